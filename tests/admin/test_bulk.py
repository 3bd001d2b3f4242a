"""Several items at once: one command under one key, each item with what became of it, and what was refused again."""

from typing import Final

import pytest

from stock_worker.http.problems import Problem
from tests.admin.looking import TABLE, Browser, Page, signed_in
from tests.http.booking import Books
from tests.http.books import EAST
from tests.http.running import SITE, Api, product

STOCK: Final = {1: 10, 2: 4, 3: 7}
NAMES: Final = {number: f"{product(number)}_none" for number in STOCK}
PATH: Final = f"{TABLE}/bulk?site={SITE}" + "".join(f"&item={name}" for name in NAMES.values())


@pytest.fixture
async def browser(api: Api, books: Books) -> Browser:
    """An org_admin at a site with three products."""
    for number, quantity in STOCK.items():
        await books.announce(number, name=f"Thing {number}")
        await api.stock(number, quantity)
    return signed_in(api)


async def left(api: Api) -> list[int]:
    """What there is of each product."""
    return [(await api.get(f"/items/{product(number)}")).json()["available_quantity"] for number in STOCK]


def told(page: Page) -> dict[str, str]:
    """What became of each item, by its name."""
    lines = [each.text for each in page.every("li") if each.attributes.get("class") in {"done", "not"}]
    return {line[:7]: line[7:].strip() for line in lines}


@pytest.mark.parametrize(
    ("kind", "after"),
    [
        ("restock", [12, 6, 9]), ("return", [12, 6, 9]), ("more", [12, 6, 9]), ("damage", [8, 2, 5]),
        ("expired", [8, 2, 5]), ("sale", [8, 2, 5]), ("less", [8, 2, 5]), ("hold", [8, 2, 5]),
    ],
)  # fmt: skip
async def test_each_kind_books_every_item_with_who_and_why(
    browser: Browser, api: Api, books: Books, kind: str, after: list[int]
) -> None:
    form = {"key": "k", "kind": kind, "quantity": "2", "reason": "because", "note": "as I said"}
    answer = await browser.post(PATH, form)
    assert answer.status == 200, answer.words
    assert await left(api) == after
    rows = [row for row in await books.ledger() if row["reference_id"] == "k"]
    assert [(row["actor"], row["reason"], row["note"]) for row in rows] == [("Ada", "because", "as I said")] * 3
    assert "Booked: 3 items." in answer.one("div", class_="toast").text
    assert len([each for each in answer.every("tr") if each.attributes.get("hx-swap-oob")]) == 3, "rows at once"
    assert answer.response.headers["hx-trigger-after-swap"] == "adjusted"


async def test_what_is_possible_is_booked_and_what_is_not_says_what_would_be(browser: Browser, api: Api) -> None:
    answer = await browser.post(PATH, {"key": "k", "kind": "sale", "quantity": "5"})
    assert (answer.status, answer.one("h2").text) == (200, "2 booked, 1 not")
    assert told(answer) == {
        "Thing 1": "\u22125, now 5 available",
        "Thing 2": "Not booked: at most 4 can be as things stand",
        "Thing 3": "\u22125, now 2 available",
    }
    assert await left(api) == [5, 4, 2]
    again = await browser.get(next(each for each in answer.every("a") if "again" in each.text).attributes["href"])
    assert [each.attributes["name"] for each in again.every("input", class_="own")] == [f"counted-{NAMES[2]}"]
    assert again.value("key") != "k"


async def test_where_nothing_could_be_booked_each_says_why(browser: Browser, api: Api) -> None:
    answer = await browser.post(PATH, {"key": "k", "kind": "release", "quantity": "1"})
    assert (answer.status, answer.one("h2").text) == (409, "0 booked, 3 not")
    assert set(told(answer).values()) == {"Not booked: none can be as things stand"}
    assert await left(api) == [10, 4, 7]


async def test_the_same_key_books_once(browser: Browser, api: Api) -> None:
    answers = [await browser.post(PATH, {"key": "k", "kind": "sale", "quantity": "5"}) for _ in range(2)]
    assert [told(answer)["Thing 2"] for answer in answers] == ["Not booked: at most 4 can be as things stand"] * 2
    assert "booked before, and once" in answers[1].words
    assert await left(api) == [5, 4, 2]


async def test_a_count_is_each_its_own_of_what_was_shown(browser: Browser, api: Api, books: Books) -> None:
    form = await browser.get(PATH, htmx=True)
    seen = {name: form.value(name) for name in (f"version-{name}" for name in NAMES.values())}
    await api.stock(1, 5)
    counted = {f"counted-{NAMES[1]}": "9", f"counted-{NAMES[2]}": "6"}
    answer = await browser.post(PATH, {"key": form.value("key"), "kind": "count", **seen, **counted})
    assert answer.status == 200, answer.words
    assert await left(api) == [14, 6, 7], "what moved since is kept, and what has no figure is not counted"
    assert "Booked: 2 items." in answer.words
    assert [row["quantity"] for row in await books.ledger() if row["reference_type"] == "count"] == [-1, 2]


async def test_a_count_is_of_all_or_of_none(browser: Browser, api: Api) -> None:
    await api.stock(2, 1, location_id=EAST)
    counted = {f"counted-{NAMES[1]}": "9", f"counted-{NAMES[2]}": "6"}
    answer = await browser.post(PATH, {"key": "k", "kind": "count", **counted})
    assert answer.status == 409
    assert answer.one("h2").text.startswith("0 booked"), answer.words
    assert await left(api) == [10, 5, 7]
    assert (await browser.post(PATH, {"key": "l", "kind": "count", "location": EAST, **counted})).status == 200


@pytest.mark.parametrize(
    ("fields", "words"),
    [({"kind": "gift"}, "Choose what to do"), ({"quantity": ""}, "whole number"), ({"quantity": "0"}, "quantity"),
     ({"kind": "count"}, "of one item at least"), ({"kind": "count", f"counted-{NAMES[1]}": "-1"}, "whole number")],
    ids=["no kind", "no quantity", "nothing", "nothing counted", "less than nothing"],
)  # fmt: skip
async def test_what_is_to_be_mended_comes_back_with_another_key_and_what_was_typed(
    browser: Browser, api: Api, fields: dict[str, str], words: str
) -> None:
    sent = {"key": "k", "kind": "damage", "quantity": "2", "reason": "<i>water", **fields}
    answer = await browser.post(PATH, sent)
    assert (answer.status, words in answer.one("div", role="alert").text) == (422, True), answer.words
    assert answer.value("reason") == "<i>water"
    assert answer.value(f"counted-{NAMES[1]}") == fields.get(f"counted-{NAMES[1]}", "")
    assert answer.value("key") != "k"
    assert await left(api) == [10, 4, 7]


async def test_a_form_that_got_no_answer_keeps_its_key(
    browser: Browser, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(*_: object) -> None:
        raise Problem("unavailable", "the database does not answer; try again")

    monkeypatch.setattr(api.backend.writer, "write", silent)
    answer = await browser.post(PATH, {"key": "k", "kind": "damage", "quantity": "2"})
    assert (answer.status, answer.value("key"), "try again" in answer.words) == (503, "k", True)


async def test_without_script_the_boxes_are_a_form_and_its_results_a_page(browser: Browser, api: Api) -> None:
    table = await browser.get()
    boxes = table.every("input", name="item", form="selection")
    assert [each.attributes["value"] for each in boxes] == list(NAMES.values())
    assert table.one("form", id="selection").attributes["action"] == PATH.partition("?")[0]
    form = await browser.get(PATH)
    sent = {"key": form.value("key"), "kind": "sale", "quantity": "5"}
    answer = await browser.post(form.one("form", id="bulk-form").attributes["action"], sent, htmx=False)
    assert (len(answer.every("html")), answer.one("h2").text) == (1, "2 booked, 1 not")
    assert await left(api) == [5, 4, 2]


@pytest.mark.parametrize("items", ["", "&item=", "&item=x", f"&item={NAMES[1]}&item={product(9)}_none"])
async def test_what_is_no_choice_is_refused(browser: Browser, items: str) -> None:
    assert (await browser.get(f"{TABLE}/bulk?site={SITE}{items}")).status in {404, 422}
