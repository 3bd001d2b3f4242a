"""Contract section 7: bin and reorder point of an item at a location."""

from typing import Any

import pytest

from stock_worker.audit.verify import verify
from stock_worker.store.engine import connect
from stock_worker.store.steering import item_places, locations
from stock_worker.store.steering.item_places import ItemPlace
from stock_worker.store.steering.locations import Location
from stock_worker.store.steering.refused import Refused, Why
from tests.store.records import line, product
from tests.store.steering.conftest import Site


async def noted(site: Site, letter: str, location_id: str, **given: object) -> tuple[Any, ...]:
    """Note something; gives (on_hand, reserved, bin, reorder point)."""
    place = await item_places.change(site.worker, site.item(letter), location_id, given)
    assert isinstance(place, ItemPlace), place
    return place.on_hand, place.reserved, place.bin_location, place.reorder_point


async def test_7_what_is_absent_stays_and_null_clears(site: Site) -> None:
    await site.apply("restock", reference_id="R", lines=[line("a", 5)])
    assert await noted(site, "a", site.default, bin_location="A-1", reorder_point=3) == (5, 0, "A-1", 3)
    assert await noted(site, "a", site.default, reorder_point=0) == (5, 0, "A-1", 0)
    assert await noted(site, "a", site.default, bin_location=None) == (5, 0, None, 0)
    assert await noted(site, "a", site.default) == (5, 0, None, 0)


async def test_7_an_item_that_was_never_there_gets_a_row_that_the_ledger_then_fills(
    site: Site, module_database: str
) -> None:
    await site.apply("restock", reference_id="R", lines=[line("a", 5)])
    shop = await locations.create(site.worker, site.site_id, {"name": "Shop"})
    assert isinstance(shop, Location)
    assert await noted(site, "a", shop.location_id, bin_location="B-2") == (0, 0, "B-2", None)
    await site.apply("restock", reference_id="S", lines=[line("a", 2, location_id=shop.location_id)])
    assert await noted(site, "a", shop.location_id) == (2, 0, "B-2", None)
    auditor = await connect(module_database, "stock_worker", plans="free")
    assert await verify(auditor, site_id=site.site_id) == []
    await auditor.close()


async def test_7_an_item_that_was_only_announced_is_known(site: Site) -> None:
    await site.worker.execute(
        "INSERT INTO stock.items (site_id, product_id, catalog_revision) VALUES ($1, $2, 1)", site.site_id, product("a")
    )
    assert await noted(site, "a", site.default, reorder_point=4) == (0, 0, None, 4)
    assert await site.ask("SELECT is_default FROM stock.locations WHERE site_id = $1") is True
    await site.apply("restock", reference_id="R", lines=[line("a", 5)])
    assert await noted(site, "a", site.default) == (5, 0, None, 4)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"reorder_point": -1}, "reorder_point must be an integer from 0 to 1000000000000000"),
        ({"reorder_point": 10**15 + 1}, "reorder_point must be an integer from 0 to 1000000000000000"),
        ({"reorder_point": "5"}, "reorder_point must be an integer from 0 to 1000000000000000"),
        ({"bin_location": ""}, "bin_location must not be empty"),
        ({"on_hand": 5}, "on_hand is no field of an item at a location; one of: bin_location, reorder_point"),
    ],
)
async def test_7_a_malformed_field_is_refused(site: Site, given: dict[str, Any], words: str) -> None:
    await site.apply("restock", reference_id="R", lines=[line("a", 5)])
    before = await site.state()
    refused = await item_places.change(site.worker, site.item("a"), site.default, given)
    assert refused == Refused(Why.MALFORMED, words)
    assert await site.state() == before


async def test_7_an_unknown_location_or_item_is_not_found(site: Site) -> None:
    await site.apply("restock", reference_id="R", lines=[line("a", 5)])
    await site.worker.execute(
        "INSERT INTO stock.items (site_id, product_id) VALUES ($1, $2)", site.site_id, product("c")
    )
    before = await site.state()
    nowhere = await item_places.change(site.worker, site.item("a"), product("x"), {"reorder_point": 1})
    assert nowhere == Refused(Why.NOT_FOUND, f"the site has no location {product('x')}")
    for letter in ("b", "c"):  # never heard of; a row that a batch locked and never moved
        nothing = await item_places.change(site.worker, site.item(letter), site.default, {"reorder_point": 1})
        assert nothing == Refused(Why.NOT_FOUND, "the site has no such item: it has neither moved nor been announced")
    assert await site.state() == before
