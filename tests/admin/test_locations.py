"""Locations and transfers: what is done is done by the API, and what it refuses is said where it was asked."""

from typing import Any, Final
from uuid import UUID

import pytest
import pytest_asyncio

from stock_worker.http.admin.locations import moved
from stock_worker.http.problems import Problem
from stock_worker.http.shapes_steering import Location
from tests.admin.looking import Browser, Page, signed_in
from tests.http.booking import Books, place
from tests.http.running import SITE, Api, product

PLACES: Final = f"/admin/locations?site={SITE}"
TRANSFER: Final = f"/admin/locations/transfer?site={SITE}&product={product(1)}"


async def make(api: Api, name: str, **fields: object) -> str:
    """Make a location; gives its id."""
    answer = await api.ask("POST", "/locations", json={"name": name, **fields})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["location_id"])


async def listed(api: Api) -> list[dict[str, Any]]:
    """What the API lists."""
    return list((await api.get("/locations")).json()["locations"])


def form_of(location: str, what: str = "edit") -> str:
    return f"/admin/locations/{what}?site={SITE}&location={location}"


def names(page: Page) -> list[str]:
    """The locations that a page shows, in order."""
    return [each.text for each in page.every("strong")]


async def test_a_site_without_locations_has_its_default(api: Api) -> None:
    page = await signed_in(api).get(PLACES)
    assert (names(page), page.every("button", class_="step")) == (["Default"], [])
    assert "Everything lies in one place" in page.words
    assert [each.text for each in page.every("a", class_="button")] == ["New location", "Items", "Edit"]


async def test_a_viewer_sees_them_and_no_control(api: Api) -> None:
    await make(api, "East")
    await make(api, "Barn", is_active=False)
    page = await signed_in(api, "viewer").get(PLACES)
    assert names(page) == ["Default", "East", "Barn"]
    assert {each.text for each in page.every("a", class_="button")} == {"Items"}
    assert [each.text for each in page.every("button")] == ["Sign out"]


async def test_a_location_is_made_and_shown_at_once(api: Api) -> None:
    browser = signed_in(api)
    path = f"/admin/locations/new?site={SITE}"
    assert (await browser.get(path, htmx=True)).one("form", id="location-form").attributes["hx-post"] == path
    answer = await browser.post(path, {"name": "East", "code": "E", "type": "store", "city": "Lyon"})
    assert (answer.status, names(answer)) == (200, ["Default", "East"])
    assert answer.response.headers["hx-retarget"] == "#places"
    assert answer.response.headers["hx-trigger-after-swap"] == "adjusted"
    assert "East is made" in answer.one("div", class_="toast").text
    made = (await listed(api))[1]
    assert (made["name"], made["code"], made["type"], made["city"], made["state"]) == (
        "East",
        "E",
        "store",
        "Lyon",
        None,
    )


async def test_without_script_the_same_leads_back_to_the_list(api: Api) -> None:
    answer = await signed_in(api).post(f"/admin/locations/new?site={SITE}", {"name": "East"}, htmx=False)
    assert (answer.status, answer.response.headers["location"]) == (303, PLACES)


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"name": ""}, 422, "Name is needed."),
        ({"name": "West", "code": "E"}, 409, "has the code E"),
        ({"name": "West", "contact_email": "nobody"}, 422, "Email is not of the form that it must have."),
        ({"name": "West", "type": "cellar"}, 422, "Type is not of"),
        ({"name": "x" * 501}, 422, "Name is too long."),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_a_refusal_is_shown_in_the_form_with_what_was_typed(
    served: Api, shared: tuple[str, str], fields: dict[str, str], status: int, words: str
) -> None:
    sent = {"city": "<b>Lyon", **fields}
    answer = await signed_in(served).post(f"/admin/locations/new?site={SITE}", sent)
    assert (answer.status, answer.value("city")) == (status, "<b>Lyon")
    assert words in answer.one("div", role="alert").text
    assert len(answer.every("input", aria_invalid="true")) == (status == 422 and "type" not in fields)
    assert len(await listed(served)) == 3


async def test_an_edit_changes_what_is_different_and_clears_what_is_empty(api: Api) -> None:
    east = await make(api, "East", code="E", city="Lyon", country="France")
    browser = signed_in(api)
    form = await browser.get(form_of(east), htmx=True)
    assert [form.value(name) for name in ("name", "code", "city", "state")] == ["East", "E", "Lyon", ""]
    sent = {"name": "East depot", "code": "E", "type": "warehouse", "city": "", "country": "France"}
    assert (await browser.post(form_of(east), sent)).status == 200
    now = (await listed(api))[1]
    assert (now["name"], now["code"], now["city"], now["country"]) == ("East depot", "E", None, "France")
    refused = await browser.post(form_of(east), {**sent, "code": ""})
    assert (refused.status, "Code is needed." in refused.one("div", role="alert").text) == (422, True)


async def test_the_default_goes_to_another_and_the_old_one_is_archived_and_comes_back(api: Api) -> None:
    east = await make(api, "East")
    default = (await listed(api))[0]["location_id"]
    browser = signed_in(api)
    stays = await browser.post(form_of(default, "state"), {"become": "archived"})
    assert (stays.status, "make another one the default" in stays.one("div", role="alert").text) == (409, True)
    assert (await browser.post(form_of(east, "state"), {"become": "default"})).status == 200
    archived = await browser.post(form_of(default, "state"), {"become": "archived"})
    assert (archived.status, "Not in use" in archived.words) == (200, True)
    assert [(each["is_default"], each["is_active"]) for each in await listed(api)] == [(False, False), (True, True)]
    assert (await browser.post(form_of(default, "state"), {"become": "active"})).status == 200
    assert [each["name"] for each in await listed(api)] == ["East", "Default"], "it goes last"


async def test_one_with_stock_is_not_archived_and_says_where_to_look(api: Api) -> None:
    east = await make(api, "East")
    await api.stock(location_id=east)
    refused = await signed_in(api).post(form_of(east, "state"), {"become": "archived"})
    assert (refused.status, "is not empty" in refused.one("div", role="alert").text) == (409, True)
    assert f"location={east}" in refused.one("div", role="alert").text or [
        each for each in refused.every("a") if f"location={east}" in each.attributes["href"]
    ]


@pytest.mark.parametrize(("what", "form"), [("state", {"become": "sold"}), ("state", {}), ("move", {"way": "left"})])
async def test_what_is_no_choice_is_said(served: Api, shared: tuple[str, str], what: str, form: dict[str, str]) -> None:
    assert (await signed_in(served).post(form_of(shared[0], what), form)).status == 422


# ---------------------------------------------------------------- order


def served_as(number: int, priority: int) -> Location:
    """A location of which no more is known than its id and its priority."""
    said: dict[str, Any] = {"location_id": UUID(place(number)), "fulfillment_priority": priority}
    return Location.model_construct(**said)


@pytest.mark.parametrize(
    ("numbers", "at", "steps", "changes"),
    [
        pytest.param([0, 1, 2], 2, -1, {2: 1, 1: 2}, id="up"),
        pytest.param([0, 1, 2], 0, 1, {1: 0, 0: 1}, id="down"),
        pytest.param([0, 5, 9], 2, -1, {2: 5, 1: 9}, id="numbers change places"),
        pytest.param([0, 0, 0], 2, -1, {2: 1, 1: 2}, id="equals get an order"),
        pytest.param([0, 0, 1, 7], 1, -1, {0: 1, 2: 2}, id="and what follows makes room"),
        pytest.param([0, 1], 0, -1, {}, id="the first stays first"),
        pytest.param([0, 1], 1, 1, {}, id="the last stays last"),
    ],
)
def test_the_fewest_priorities_change(numbers: list[int], at: int, steps: int, changes: dict[int, int]) -> None:
    there = [served_as(number, priority) for number, priority in enumerate(numbers)]
    found = moved(there, there[at].location_id, steps)
    assert found == {there[number].location_id: priority for number, priority in changes.items()}
    now = {each.location_id: found.get(each.location_id, each.fulfillment_priority) for each in there}
    wanted = [each.location_id for each in there]
    if changes:
        wanted.insert(at + steps, wanted.pop(at))
        assert sorted(wanted, key=now.__getitem__) == wanted


async def test_a_step_up_is_the_order_that_orders_are_served_in(api: Api) -> None:
    await make(api, "East")
    await make(api, "Barn", is_active=False)
    west = await make(api, "West")
    page = await signed_in(api).post(form_of(west, "move"), {"way": "up"})
    assert names(page) == ["Default", "West", "East", "Barn"]
    assert [each["name"] for each in await listed(api) if each["is_active"]] == ["Default", "West", "East"]
    assert page.one("button", id=f"up-{west}").attributes.get("aria-disabled") is None


# ---------------------------------------------------------------- transfers


async def lay(api: Api) -> tuple[str, str]:
    """Two locations: ten of a product in the first, three of them held."""
    first, second = await make(api, "East", code="E"), await make(api, "West")
    await api.stock(quantity=10, location_id=first)
    held = {"type": "reserved", "lines": [{"product_id": product(1), "quantity": 3, "location_id": first}]}
    assert (await api.write("/adjustments", held)).status_code == 200
    return first, second


@pytest.fixture
async def places(api: Api) -> tuple[str, str]:
    return await lay(api)


@pytest_asyncio.fixture(scope="module")
async def shared(served: Api) -> tuple[str, str]:
    """The same in the database of this file, for what changes nothing."""
    return await lay(served)


async def lies(api: Api) -> dict[str, int]:
    """Where the product lies."""
    told = (await api.get(f"/items/{product(1)}")).json()
    return {each["name"]: each["on_hand"] for each in told["locations"] if each["on_hand"]}


async def send(browser: Browser, places: tuple[str, str], quantity: object, **fields: object) -> Page:
    form = {"key": "page-1", "from": places[0], "to": places[1], "quantity": quantity}
    return await browser.post(TRANSFER, {**form, **fields})


async def test_an_item_is_looked_for_and_chosen(api: Api, books: Books) -> None:
    for number in range(1, 11):
        await books.announce(number, name=f"Mug {number}" if number < 10 else "Pan", sku=f"S-{number}")
    browser = signed_in(api)
    path = f"/admin/locations/transfer?site={SITE}"
    first = await browser.get(path, htmx=True)
    assert (len(first.every("li")), "10 items in all" in first.words) == (8, True)
    found = await browser.get(f"{path}&q=pan&from={place(1)}", htmx=True)
    (link,) = [each for each in found.every("a") if "Pan" in each.text]
    assert f"product={product(10)}" in link.attributes["href"]
    assert f"from={place(1)}" in link.attributes["href"], "what is chosen already is kept"
    assert "No item is called that" in (await browser.get(f"{path}&q=kettle")).words
    assert "at least 3 signs" in (await browser.get(f"{path}&q=pa")).words


async def test_a_transfer_is_booked_once_with_who_and_why(api: Api, books: Books, places: tuple[str, str]) -> None:
    browser = signed_in(api)
    answers = [await send(browser, places, 4, reason="shop window", note="by bike") for _ in range(2)]
    assert [each.status for each in answers] == [200, 200]
    assert "Moved 4 of" in answers[0].words
    assert "from East to West" in answers[0].words
    assert "booked before, and once" in answers[1].words
    assert await lies(api) == {"East": 6, "West": 4}
    row = (await books.ledger())[-1]
    assert (row["type"], row["actor"], row["reason"], row["note"]) == ("transfer", "Ada", "shop window", "by bike")


@pytest.mark.parametrize(
    ("quantity", "fields", "words"),
    [
        (8, {}, "At most 7 can be moved"),
        (0, {}, "quantity"),
        ("1.5", {}, "whole number"),
        ("", {}, "whole number"),
        (1, {"to": ""}, "where it goes"),
        (1, {"from": "the cellar"}, "from_location_id"),
    ],
)
async def test_a_refusal_says_what_would_be_possible_under_another_key(
    served: Api, shared: tuple[str, str], quantity: object, fields: dict[str, str], words: str
) -> None:
    answer = await send(signed_in(served), shared, quantity, **fields)
    assert answer.status in {409, 422}
    assert words in answer.one("div", role="alert").text
    assert answer.value("key") != "page-1"
    assert await lies(served) == {"East": 10}


async def test_to_the_same_place_is_refused(served: Api, shared: tuple[str, str]) -> None:
    answer = await send(signed_in(served), shared, 1, to=shared[0])
    assert (answer.status, answer.value("quantity")) == (409, "1")


async def test_a_transfer_that_got_no_answer_keeps_its_key(
    served: Api, shared: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(*_: object) -> None:
        raise Problem("unavailable", "the database does not answer; try again")

    monkeypatch.setattr(served.backend.writer, "write", silent)
    answer = await send(signed_in(served), shared, 1)
    assert (answer.status, answer.value("key")) == (503, "page-1")


@pytest.mark.parametrize(
    ("chosen", "figures", "is_short"),
    [
        ("", [], False),
        ("from", ["7"], False),
        ("from quantity", ["7 → 2"], False),
        ("from to quantity", ["7 → 2", "0 → 5"], False),
        ("from to more", ["7 → \u22121", "0 → 8"], True),
        ("from same quantity", ["7"], False),
    ],
)
async def test_the_preview_says_what_would_be_left(
    served: Api, shared: tuple[str, str], chosen: str, figures: list[str], is_short: bool
) -> None:
    said = {"from": f"from={shared[0]}", "to": f"to={shared[1]}", "same": f"to={shared[0]}"}
    said |= {"quantity": "quantity=5", "more": "quantity=8"}
    path = "&".join([TRANSFER.replace("transfer", "preview"), *(said[word] for word in chosen.split())])
    page = await signed_in(served).get(path, htmx=True)
    assert page.status == 200
    assert [each.text for each in page.every("dd")] == figures
    assert ("At most 7 can be moved" in page.words) == is_short


async def test_without_script_a_transfer_is_a_page(api: Api, places: tuple[str, str]) -> None:
    browser = signed_in(api)
    form = await browser.get(f"{TRANSFER}&from={places[0]}")
    assert form.one("form", id="transfer-form").attributes["action"] == TRANSFER
    chosen = [each.text for each in form.every("option") if "selected" in each.attributes]
    assert chosen == ["East, 7 available"]
    sent = {"key": form.value("key"), "from": places[0], "to": places[1], "quantity": "2"}
    done = await browser.post(TRANSFER, sent, htmx=False)
    assert (done.status, len(done.every("html")), "Moved 2 of" in done.words) == (200, 1, True)
    assert "Inventory Alerts Reports Orders Locations" in done.words
