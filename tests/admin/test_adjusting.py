"""The dialog: each kind is one command, booked once; a refusal says what is possible; what was booked is undone."""

from decimal import Decimal
from typing import Final

import pytest

from stock_worker.http.problems import Problem
from tests.admin.looking import TABLE, Browser, signed_in
from tests.http.booking import Books
from tests.http.books import EAST, VARIANT
from tests.http.running import SITE, Api, product

ITEM: Final = f"site={SITE}&product={product(1)}"
FORM: Final = f"{TABLE}/adjust?{ITEM}"

Booked = tuple[str, int, int, int]
"""A row as these tests see it: type, quantity, on_hand and reserved after it."""


async def booked(books: Books) -> list[Booked]:
    """What the ledger has, in order."""
    return [(row["type"], row["quantity"], row["on_hand"], row["reserved"]) for row in await books.ledger()]


@pytest.fixture
async def browser(api: Api) -> Browser:
    """An org_admin at a site with ten of a product."""
    await api.stock(quantity=10)
    return signed_in(api)


KINDS: Final[dict[str, tuple[int, Booked]]] = {
    "restock": (4, ("restock", 4, 14, 0)),
    "return": (4, ("return", 4, 14, 0)),
    "more": (4, ("adjustment", 4, 14, 0)),
    "damage": (4, ("damage", -4, 6, 0)),
    "expired": (4, ("expired", -4, 6, 0)),
    "sale": (4, ("sale", -4, 6, 0)),
    "less": (4, ("adjustment", -4, 6, 0)),
    "count": (7, ("adjustment", -3, 7, 0)),
    "hold": (4, ("reserved", -4, 10, 4)),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_each_kind_books_its_command_with_who_and_why(browser: Browser, books: Books, kind: str) -> None:
    quantity, row = KINDS[kind]
    answer = await browser.adjust(kind, quantity, reason="because", note="as I said")
    assert answer.status == 200, answer.words
    assert (await booked(books))[1:] == [row]
    last = (await books.ledger())[-1]
    assert (last["actor"], last["reason"], last["note"], last["source"]) == ("Ada", "because", "as I said", "http")


async def test_what_is_held_is_released(browser: Browser, books: Books) -> None:
    await browser.adjust("hold", 4)
    await browser.adjust("release", 3)
    assert (await booked(books))[-1] == ("unreserved", 3, 10, 1)


async def test_a_restock_has_its_cost_in_the_readers_signs(api: Api, books: Books) -> None:
    await api.stock(quantity=10)
    german = signed_in(api, headers={"Accept-Language": "de"})
    assert (await german.adjust("restock", 1, unit_cost="12,50")).status == 200
    assert (await books.ledger())[-1]["unit_cost"] == Decimal("12.5")
    assert (await german.adjust("restock", 1, unit_cost="1.234,50")).status == 422, "no guess at what a point means"


async def test_a_variant_is_adjusted_and_not_its_product(api: Api, books: Books) -> None:
    await books.restock(1, 5, variant_id=VARIANT)
    path = f"{FORM}&variant={VARIANT}"
    browser = signed_in(api)
    form = {"key": "k", "kind": "damage", "quantity": "2"}
    answer = await browser.post(path, form)
    assert len(answer.every("tr", id=f"row-{product(1)}_{VARIANT}")) == 1
    assert [row["variant_id"] for row in await books.ledger()] == [VARIANT, VARIANT]


async def test_success_is_a_toast_and_the_row_at_once(browser: Browser) -> None:
    answer = await browser.adjust("restock", 4)
    row = answer.one("tr", id=f"row-{product(1)}_none")
    assert (row.attributes["hx-swap-oob"], " 14 " in row.text) == ("true", True)
    assert answer.response.headers["hx-trigger-after-swap"] == "adjusted"
    assert answer.response.headers["hx-reswap"] == "none"
    toast = answer.one("div", class_="toast")
    assert "+4, now 14 available" in toast.text


async def test_without_script_the_same_is_a_page(browser: Browser, books: Books) -> None:
    form = await browser.get(FORM)
    assert form.one("form", id="adjust-form").attributes["action"] == FORM
    sent = {"key": form.value("key"), "kind": "damage", "quantity": "99"}
    refused = await browser.post(FORM, sent, htmx=False)
    assert (refused.status, len(refused.every("html"))) == (409, 1)
    done = await browser.post(FORM, {**sent, "key": refused.value("key"), "quantity": "3"}, htmx=False)
    assert (done.status, "\u22123, now 7 available" in done.words) == (200, True)
    assert len(await booked(books)) == 2


# ---------------------------------------------------------------- once


async def test_the_same_key_books_once(browser: Browser, books: Books) -> None:
    form = {"key": "page-1", "kind": "damage", "quantity": "3"}
    answers = [await browser.post(FORM, form) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 200]
    assert "booked before, and once" in answers[-1].words
    assert await booked(books) == [("restock", 10, 10, 0), ("damage", -3, 7, 0)]


async def test_every_form_has_a_key_of_its_own(browser: Browser) -> None:
    keys = {(await browser.get(FORM, htmx=True)).value("key") for _ in range(3)}
    assert len(keys) == 3


@pytest.mark.parametrize("fields", [{"quantity": "99"}, {"quantity": "one"}, {"kind": "gift"}], ids=str)
async def test_a_refused_form_comes_back_with_another_key_and_what_was_typed(
    browser: Browser, books: Books, fields: dict[str, str]
) -> None:
    sent = {"key": "page-1", "kind": "damage", "quantity": "2", "reason": "<i>water", "note": "n", **fields}
    answer = await browser.post(FORM, sent)
    assert answer.status in {409, 422}
    assert answer.value("key") != "page-1"
    assert (answer.value("reason"), answer.value("note"), answer.value("quantity")) == (
        "<i>water",
        "n",
        sent["quantity"],
    )
    assert answer.one("div", role="alert").text
    assert len(await booked(books)) == 1
    again = {**sent, "key": answer.value("key"), "kind": "damage", "quantity": "2"}
    assert (await browser.post(FORM, again)).status == 200


async def test_a_form_that_got_no_answer_keeps_its_key(
    browser: Browser, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What became of it is not known: only under the same key is it booked once."""

    async def silent(*_: object) -> None:
        raise Problem("unavailable", "the database does not answer; try again")

    monkeypatch.setattr(api.backend.writer, "write", silent)
    answer = await browser.post(FORM, {"key": "page-1", "kind": "damage", "quantity": "2"})
    assert (answer.status, answer.value("key")) == (503, "page-1")
    assert "try again" in answer.words


async def test_a_count_keeps_what_moved_since_it_was_shown(browser: Browser, books: Books) -> None:
    form = await browser.get(FORM, htmx=True)
    await books.adjust("sale", 1, 2)
    answer = await browser.post(FORM, {"key": "k", "version": form.value("version"), "kind": "count", "quantity": "9"})
    assert answer.status == 200
    assert (await booked(books))[-1] == ("adjustment", -1, 7, 0)


# ---------------------------------------------------------------- what would be possible


@pytest.mark.parametrize(
    ("kind", "quantity", "words"),
    [
        ("damage", 12, "At most 10 can be booked"),
        ("sale", 11, "At most 10 can be booked"),
        ("hold", 99, "At most 10 can be booked"),
        ("release", 1, "None can be booked"),
        ("damage", 0, "quantity"),
        ("restock", 1_000_000_001, "quantity"),
        ("restock", "-1", "whole number"),
        ("restock", "1.5", "whole number"),
        ("restock", "", "whole number"),
    ],
)
async def test_a_refusal_says_what_would_be_possible(
    browser: Browser, books: Books, kind: str, quantity: object, words: str
) -> None:
    answer = await browser.adjust(kind, quantity)
    assert answer.status in {409, 422}
    assert words in answer.one("div", role="alert").text
    assert len(await booked(books)) == 1


async def test_a_location_is_asked_for_where_there_are_several(api: Api, books: Books) -> None:
    await api.stock(quantity=10)
    browser = signed_in(api)
    assert (await browser.get(FORM, htmx=True)).every("select", name="location") == []
    await api.stock(quantity=5, location_id=EAST)
    assert (await browser.get(FORM, htmx=True)).every("select", name="location")
    refused = await browser.adjust("count", 3)
    assert (refused.status, "location" in refused.one("div", role="alert").text) == (409, True)
    await browser.adjust("damage", 4, location=EAST)
    assert str((await books.ledger())[-1]["location_id"]) == EAST


async def test_an_item_that_nobody_knows_cannot_be_adjusted(api: Api) -> None:
    assert (await signed_in(api).get(FORM, htmx=True)).status == 404


# ---------------------------------------------------------------- taking back


UNDONE: Final[dict[str, Booked]] = {
    "restock": ("adjustment", -4, 10, 0),
    "return": ("adjustment", -4, 10, 0),
    "more": ("adjustment", -4, 10, 0),
    "damage": ("adjustment", 4, 10, 0),
    "expired": ("adjustment", 4, 10, 0),
    "sale": ("adjustment", 4, 10, 0),
    "less": ("adjustment", 4, 10, 0),
    "count": ("adjustment", 3, 10, 0),
    "hold": ("unreserved", 4, 10, 0),
}


@pytest.mark.parametrize("kind", UNDONE)
async def test_what_was_booked_is_taken_back_once(browser: Browser, books: Books, kind: str) -> None:
    toast = await browser.adjust(kind, KINDS[kind][0])
    form = toast.one("form")
    fields = {name: toast.value(name) for name in ("reference_type", "reference_id")}
    answers = [await browser.post(form.attributes["action"], fields) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 200]
    assert "Undone" in answers[0].words
    assert answers[0].every("form") == [], "there is no undo of an undo"
    assert (await booked(books))[2:] == [UNDONE[kind]]
    assert (await books.ledger())[-1]["reason"] == f"undo of {fields['reference_id']}"


async def test_what_was_held_at_several_places_is_held_there_again(api: Api, books: Books) -> None:
    await api.stock(quantity=3)
    await api.stock(quantity=5, location_id=EAST)
    browser = signed_in(api)
    await browser.adjust("hold", 3)
    await browser.adjust("hold", 5, location=EAST)
    toast = await browser.adjust("release", 7)
    fields = {name: toast.value(name) for name in ("reference_type", "reference_id")}
    await browser.post(toast.one("form").attributes["action"], fields)
    rows = (await books.ledger())[4:]
    released = {row["location_id"]: row["quantity"] for row in rows if row["type"] == "unreserved"}
    assert len(released) == 2
    assert {row["location_id"]: -row["quantity"] for row in rows if row["type"] == "reserved"} == released


async def test_nothing_to_do_is_said_and_cannot_be_undone(browser: Browser, books: Books) -> None:
    toast = await browser.adjust("count", 10)
    assert ("Nothing to do" in toast.words, toast.every("form")) == (True, [])
    assert len(await booked(books)) == 1


async def test_only_what_people_book_is_taken_back(browser: Browser, api: Api, books: Books) -> None:
    order = {"order_id": "o1", "lines": [{"product_id": product(1), "quantity": 1}]}
    await books.book("order-placed", order)
    two = {"type": "damage", "lines": [{"product_id": product(n), "quantity": 1} for n in (1, 2)]}
    await api.stock(2)
    await api.write("/adjustments", two, key="of two items")
    for kind, name, status in (
        ("order", "o1", 409),
        ("adjustment", "of two items", 409),
        ("adjustment", "unknown", 404),
        ("", "", 409),
    ):
        answer = await browser.post(f"{TABLE}/undo?{ITEM}", {"reference_type": kind, "reference_id": name})
        assert answer.status == status, (kind, name)
