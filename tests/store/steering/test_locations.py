"""Contract section 7, locations: what a person may do with a place, and that nothing is left where stock lies."""

from typing import Any
from uuid import uuid4

import pytest

from stock_worker.store.steering import locations
from stock_worker.store.steering.locations import Location
from stock_worker.store.steering.refused import Refused, Why
from tests.store.records import line
from tests.store.steering.conftest import Site


async def made(site: Site, name: str, **more: object) -> Location:
    """Make a location with this name and code."""
    location = await locations.create(site.worker, site.site_id, {"name": name, "code": name, **more})
    assert isinstance(location, Location), location
    return location


async def changed(site: Site, location: Location, **given: object) -> Location:
    """Change a location."""
    location_or_not = await locations.change(site.worker, site.site_id, location.location_id, given)
    assert isinstance(location_or_not, Location), location_or_not
    return location_or_not


async def listed(site: Site) -> list[tuple[str, int, bool, bool]]:
    """Code, priority, default and active of each location, in the order of routing."""
    return [
        (each.code, each.fulfillment_priority, each.is_default, each.is_active)
        for each in await locations.list_locations(site.worker, site.site_id)
    ]


# ---------------------------------------------------------------- the built-in default


async def test_1_a_site_has_its_default_before_anything_happened(site: Site) -> None:
    (built_in,) = await locations.list_locations(site.worker, site.site_id)
    assert built_in == Location(site.default, "DEFAULT", "Default", is_default=True)
    assert await locations.find(site.worker, site.site_id, "DEFAULT") == built_in
    assert await site.ask("SELECT count(*) FROM stock.locations WHERE site_id = $1") == 0


async def test_1_the_first_location_makes_the_default_a_row_too(site: Site) -> None:
    shop = await made(site, "SHOP")
    assert await listed(site) == [("DEFAULT", 0, True, True), ("SHOP", 1, False, True)]
    assert await site.ask(
        "SELECT is_default FROM stock.locations WHERE site_id = $1 AND location_id = $2", site.default
    )
    assert shop.created_at is not None
    assert shop.created_at == shop.updated_at


async def test_1_the_built_in_default_can_be_changed_before_it_is_a_row(site: Site) -> None:
    name = {"name": "Main hall"}
    main = await locations.change(site.worker, site.site_id, site.default, name)
    assert isinstance(main, Location)
    assert (main.name, main.code, main.is_default) == ("Main hall", "DEFAULT", True)
    assert len(await locations.list_locations(site.worker, site.site_id)) == 1


async def test_1_the_row_that_a_movement_made_is_the_one_that_a_location_finds(site: Site) -> None:
    assert await site.apply("restock", reference_id="R", lines=[line("a", 5)]) == "applied"
    await made(site, "SHOP")
    assert [code for code, *_ in await listed(site)] == ["DEFAULT", "SHOP"]


# ---------------------------------------------------------------- create and change


async def test_7_a_location_has_every_field_of_the_reference_document(site: Site) -> None:
    given = {
        "code": "WH1",
        "name": "Warehouse 1",
        "type": "fulfillment_center",
        "address_line_1": "1 Long Street",
        "address_line_2": "Gate 2",
        "city": "Lyon",
        "state": "Rhône",
        "postal_code": "69000",
        "country": "France",
        "contact_name": "Ada",
        "contact_email": "ada@example.com",
        "contact_phone": "+33 4 00 00 00 00",
        "fulfillment_priority": -5,
        "is_default": True,
        "is_active": True,
    }
    location = await locations.create(site.worker, site.site_id, given)
    assert isinstance(location, Location)
    assert {name: getattr(location, name) for name in given} == given
    assert set(given) == set(locations.FIELDS)
    assert await listed(site) == [("WH1", -5, True, True), ("DEFAULT", 0, False, True)]
    assert await locations.find(site.worker, site.site_id, location.location_id.upper()) == location


async def test_7_a_location_without_a_code_has_its_id_as_one(site: Site) -> None:
    location = await locations.create(site.worker, site.site_id, {"name": "Kiosk"})
    assert isinstance(location, Location)
    assert location.code == location.location_id
    assert (await changed(site, location, code=location.location_id)).code == location.location_id


async def test_7_what_is_absent_stays_and_null_clears(site: Site) -> None:
    shop = await made(site, "SHOP", city="Lyon", contact_name="Ada")
    after = await changed(site, shop, contact_name=None, name="The shop")
    assert (after.city, after.contact_name, after.name, after.code) == ("Lyon", None, "The shop", "SHOP")
    assert after.updated_at is not None
    assert shop.updated_at is not None
    assert after.updated_at > shop.updated_at


async def test_7_a_change_that_changes_nothing_writes_nothing(site: Site) -> None:
    shop = await made(site, "SHOP", city="Lyon")
    before = await site.state()
    assert await changed(site, shop, city="Lyon") == shop
    assert await locations.change(site.worker, site.site_id, shop.location_id, {}) == shop
    assert await site.state() == before


MALFORMED: list[tuple[dict[str, Any], str]] = [
    ({"colour": "red"}, "colour is no field of a location; one of: code, name, "),
    ({"name": None}, "name cannot be cleared"),
    ({"name": " "}, "name must not be empty"),
    ({"name": 5}, "name must be text"),
    ({"name": "x" * 501}, "name must have at most 500 characters"),
    ({"name": "a\x00b"}, "name must not hold control characters"),
    ({"name": "a\ud800"}, "name must not hold control characters"),
    ({"code": "x" * 129}, "code must have at most 128 characters"),
    ({"code": None}, "code cannot be cleared"),
    ({"code": str(uuid4())}, "code must not have the form of an id: "),
    ({"type": "van"}, "type must be one of: warehouse, store, fulfillment_center, dropship"),
    ({"type": ["van"]}, "type must be one of: "),
    ({"contact_email": "nobody"}, "contact_email must be an email address"),
    ({"fulfillment_priority": 1.5}, "fulfillment_priority must be an integer from -1000000000 to 1000000000"),
    ({"fulfillment_priority": True}, "fulfillment_priority must be an integer from "),
    ({"fulfillment_priority": 10**9 + 1}, "fulfillment_priority must be an integer from "),
    ({"is_default": "yes"}, "is_default must be true or false"),
    ({"is_active": None}, "is_active cannot be cleared"),
]


@pytest.mark.parametrize(("given", "words"), MALFORMED, ids=[words for _, words in MALFORMED])
async def test_7_a_malformed_field_is_refused_in_one_sentence(site: Site, given: dict[str, Any], words: str) -> None:
    for asked in (
        locations.create(site.worker, site.site_id, {"name": "Shop", **given}),
        locations.change(site.worker, site.site_id, site.default, given),
    ):
        refused = await asked
        assert isinstance(refused, Refused)
        assert refused.why is Why.MALFORMED
        assert refused.message.startswith(words)
    assert await site.ask("SELECT count(*) FROM stock.locations WHERE site_id = $1") in {0, 1}


async def test_7_a_name_is_needed(site: Site) -> None:
    assert await locations.create(site.worker, site.site_id, {"code": "X"}) == Refused(Why.MALFORMED, "name is missing")
    assert await site.state() == {name: [] for name in await site.state()}


async def test_7_a_code_is_unique_in_its_site(site: Site, worker: Any) -> None:  # noqa: ANN401 - a connection
    shop = await made(site, "SHOP")
    taken = Refused(Why.CODE_TAKEN, "another location of the site has the code SHOP")
    before = await site.state()
    assert await locations.create(worker, site.site_id, {"name": "Other", "code": "SHOP"}) == taken
    assert await locations.change(worker, site.site_id, site.default, {"code": "SHOP"}) == taken
    assert await site.state() == before
    other = Site(worker, str(uuid4()))
    assert (await made(other, "SHOP")).code == shop.code
    for_a_new_site = await locations.create(worker, str(uuid4()), {"name": "Mine", "code": "DEFAULT"})
    assert for_a_new_site == Refused(Why.CODE_TAKEN, "another location of the site has the code DEFAULT")


async def test_7_a_location_of_another_site_is_not_found(site: Site) -> None:
    other = str(uuid4())
    shop = await made(site, "SHOP")
    unknown = Refused(Why.NOT_FOUND, f"the site has no location {shop.location_id}")
    for answer in (
        await locations.change(site.worker, other, shop.location_id, {"name": "Mine"}),
        await locations.archive(site.worker, other, shop.location_id),
        await locations.restore(site.worker, other, shop.location_id),
        await locations.find(site.worker, other, shop.location_id),
    ):
        assert answer == unknown
    assert await site.ask("SELECT count(*) FROM stock.locations WHERE site_id <> $1 AND site_id = $2", other) == 0


# ---------------------------------------------------------------- the default


async def test_1_changing_the_default_moves_no_stock(site: Site) -> None:
    await site.apply("restock", reference_id="R", lines=[line("a", 5)])
    shop = await made(site, "SHOP")
    assert (await changed(site, shop, is_default=True)).is_default
    assert await listed(site) == [("DEFAULT", 0, False, True), ("SHOP", 1, True, True)]
    await site.apply("restock", reference_id="S", lines=[line("a", 2)])
    places = "SELECT on_hand FROM stock.location_stock WHERE site_id = $1 AND location_id = $2"
    assert (await site.ask(places, site.default), await site.ask(places, shop.location_id)) == (5, 2)


@pytest.mark.parametrize("given", [{"is_active": False}, {"is_default": False}])
async def test_7_the_default_stays_open_and_the_default(site: Site, given: dict[str, Any]) -> None:
    stays = Refused(Why.IS_DEFAULT, "location DEFAULT is the site's default: make another one the default first")
    await made(site, "SHOP")
    before = await site.state()
    assert await locations.change(site.worker, site.site_id, site.default, given) == stays
    assert await locations.archive(site.worker, site.site_id, site.default) == stays
    assert await site.state() == before


async def test_7_only_a_location_in_use_can_be_the_default(site: Site) -> None:
    shop = await made(site, "SHOP", is_active=False)
    before = await site.state()
    assert await locations.change(site.worker, site.site_id, shop.location_id, {"is_default": True}) == Refused(
        Why.NOT_ACTIVE, "location SHOP is not in use, so it cannot be the default"
    )
    assert await site.state() == before
    assert (await changed(site, shop, is_default=True, is_active=True)).is_default


# ---------------------------------------------------------------- closing and opening again


@pytest.mark.parametrize("how", ["deactivate", "archive"])
async def test_rule_7_a_location_closes_only_when_empty(site: Site, how: str) -> None:
    shop = await made(site, "SHOP")
    await site.apply("restock", reference_id="R", lines=[line("a", 5, location_id=shop.location_id)])
    await site.apply("restock", reference_id="S", lines=[line("b", 5, location_id=shop.location_id)])
    before = await site.state()
    assert await close(site, shop, how) == Refused(
        Why.NOT_EMPTY, "location SHOP is not empty: stock of 2 items lies there or is reserved there"
    )
    assert await site.state() == before
    for letter in "ab":
        lines = [line(letter, -5, location_id=shop.location_id)]
        assert await site.apply("stock-adjustment", reference_id=letter, type="adjustment", lines=lines) == "applied"
    closed = await close(site, shop, how)
    assert isinstance(closed, Location)
    assert not closed.is_active
    assert (closed.archived_at is not None) is (how == "archive")
    asked = {"reference_id": "T", "type": "sale", "lines": [line("a", 1, location_id=shop.location_id)]}
    assert await site.apply("stock-adjustment", **asked) == "inactive_location"


async def test_rule_7_what_is_reserved_keeps_a_location_open_where_nothing_lies(site: Site) -> None:
    shop = await made(site, "SHOP")
    await site.apply("restock", reference_id="R", lines=[line("a", 1, location_id=shop.location_id)])
    hold = {"reference_id": "H", "type": "reserved", "lines": [line("a", 1, location_id=shop.location_id)]}
    assert await site.apply("stock-adjustment", **hold) == "applied"
    gone = {"reference_id": "G", "type": "damage", "lines": [line("a", 1, location_id=shop.location_id)]}
    assert await site.apply("stock-adjustment", **gone) == "applied"
    refused = await close(site, shop, "deactivate")
    assert isinstance(refused, Refused)
    assert refused.why is Why.NOT_EMPTY


@pytest.mark.parametrize("how", ["deactivate", "archive"])
async def test_7_closing_twice_is_closing_once(site: Site, how: str) -> None:
    shop = await made(site, "SHOP")
    closed = await close(site, shop, how)
    assert await close(site, shop, how) == closed
    archived = await close(site, shop, "archive")
    assert isinstance(archived, Location)
    assert archived.archived_at is not None


@pytest.mark.parametrize("how", ["deactivate", "archive"])
async def test_7_a_location_taken_into_use_again_keeps_its_name_and_goes_last(site: Site, how: str) -> None:
    shop, _ = await made(site, "SHOP"), await made(site, "DEPOT")
    await close(site, shop, how)
    again = await locations.restore(site.worker, site.site_id, shop.location_id)
    assert isinstance(again, Location)
    assert (again.code, again.name, again.archived_at) == ("SHOP", "SHOP", None)
    assert await listed(site) == [("DEFAULT", 0, True, True), ("DEPOT", 2, False, True), ("SHOP", 3, False, True)]
    assert await locations.restore(site.worker, site.site_id, shop.location_id) == again
    await close(site, shop, how)
    assert (await changed(site, shop, is_active=True, fulfillment_priority=1)).fulfillment_priority == 1


async def test_rule_4_an_inflow_opens_an_archived_location_and_it_shows(site: Site) -> None:
    shop = await made(site, "SHOP")
    await close(site, shop, "archive")
    assert (
        await site.apply("restock", reference_id="R", lines=[line("a", 5, location_id=shop.location_id)]) == "applied"
    )
    found = await locations.find(site.worker, site.site_id, "SHOP")
    assert isinstance(found, Location)
    assert (found.is_active, found.archived_at) == (True, None)


async def close(site: Site, location: Location, how: str) -> Location | Refused:
    if how == "archive":
        return await locations.archive(site.worker, site.site_id, location.location_id)
    return await locations.change(site.worker, site.site_id, location.location_id, {"is_active": False})
