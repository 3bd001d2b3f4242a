"""An order by its id: every unit, where it is, what waits, and the rows that say so."""

from typing import Any, Final

import pytest

from stock_worker.http.admin.orders import standing
from stock_worker.http.shapes_history import Order, OrderLine
from tests.admin.looking import Page, signed_in
from tests.http.books import EAST, HOUR, NOON, WEST, announced, book, line, sent
from tests.http.running import OTHER, SITE, Api, product

ORDERS: Final = f"/admin/orders?site={SITE}"
MARKUP: Final = "<script>alert(1)</script>/a&b"


async def look(api: Api, order_id: str, *, htmx: bool = False, role: str = "viewer") -> Page:
    """Look an order up as a form does it."""
    headers = {"HX-Request": "true"} if htmx else {}
    params = {"site": SITE, "order": order_id}
    return await signed_in(api, role).ask("GET", "/admin/orders", params=params, headers=headers)


def figures(page: Page) -> list[list[str]]:
    """The figures of each line: placed, reserved, fulfilled, cancelled, returned, expired."""
    told = [each.text for each in page.every("td", class_="figure")]
    return [told[at : at + 6] for at in range(0, len(told), 6)]


async def test_nothing_is_asked_for_yet(served: Api) -> None:
    page = await signed_in(served).get(ORDERS)
    assert (page.status, "Look up an order" in page.words) == (200, True)


async def test_an_order_with_every_unit_its_places_and_its_rows(api: Api) -> None:
    await book(
        api,
        announced(1, name="Mug", sku="M-1"),
        sent("restock", reference_id="R", lines=[line(1, 6, location_id=EAST), line(1, 8, location_id=WEST)]),
        sent("order-placed", order_id="O", mode="reserve", lines=[line(1, 10)]),
        sent("order-cancelled", reference_id="C", order_id="O", lines=[{"line_id": "1", "quantity": 3}]),
        sent("order-fulfilled", reference_id="F", order_id="O", lines=[{"line_id": "1", "quantity": 5}]),
        sent("return-received", reference_id="B", order_id="O", lines=[{"line_id": "1", "quantity": 2}]),
    )
    page = await look(api, " O ")
    assert figures(page) == [["10", "2", "5", "3", "2", "0"]]
    assert (await look(api, "O", htmx=True)).response.headers["hx-push-url"] == f"{ORDERS}&order=O"
    assert page.one("title").text == "Order O"
    assert "Reserved, partly fulfilled" in page.words
    assert "does not expire" in page.words
    rows = (await api.get("/movements", order_id="O")).json()["movements"]
    assert len(page.every("li", class_="movement")) == len(rows)
    history = f"/admin/inventory/history?site={SITE}&product={product(1)}"
    links = [each for each in page.every("a") if each.attributes["href"] == history]
    assert [each.text for each in links] == ["Mug"] * (1 + len(rows))
    where = page.one("td", class_="wide").text
    assert sum(int(word) for word in where.replace(EAST, "").replace(WEST, "").split() if word.isdigit()) == 12


async def test_what_waits_says_for_what_and_until_when(api: Api) -> None:
    await book(api, sent("order-fulfilled", reference_id="F", order_id="O", lines=[{"line_id": "1", "quantity": 1}]))
    page = await look(api, "O")
    assert "Not placed yet" in page.words
    waits = page.one("div", class_="waits").text
    assert waits.startswith("1 waiting for this order to be placed A fulfilment, F , since 1 Mar 2026, 12:00")
    assert "given up 8 Mar 2026, 12:00" in waits
    assert "this order has moved nothing" in page.words


async def test_a_refused_placement_says_why(api: Api) -> None:
    await book(api, sent("order-placed", order_id="O", lines=[line(1, 2)]))
    page = await look(api, "O")
    assert "Refused" in page.words
    assert "insufficient_stock (never_stocked), 2 asked for" in page.one("div", class_="refused").text


async def test_a_reservation_says_until_when(api: Api) -> None:
    await api.stock(quantity=3)
    expires = (NOON + 5 * HOUR).isoformat()
    await book(api, sent("order-placed", order_id="O", mode="reserve", expires_at=expires, lines=[line(1, 2)]))
    assert "until 1 Mar 2026, 17:00" in (await look(api, "O")).words


@pytest.mark.parametrize(
    ("order_id", "words"),
    [("nobody's", "No message ever named"), ("x" * 129, "at most 128"), ("a\x00", "control"), (MARKUP, "No message")],
    ids=["unknown", "too long", "no text", "markup"],
)
async def test_what_is_not_there_says_what_to_check(served: Api, order_id: str, words: str) -> None:
    for htmx, status in ((False, 404), (True, 200)):
        page = await look(served, order_id, htmx=htmx)
        assert (page.status, words in page.words, "Check that" in page.words) == (status, True, True)
        assert page.every("script", src="") == []


async def test_an_order_of_another_site_is_not_found(api: Api) -> None:
    await book(api, sent("order-placed", site_id=OTHER, order_id="O", lines=[line(1, 2)]))
    assert (await look(api, "O", role="platform_admin")).status == 404


async def test_the_ledger_goes_on_where_a_page_ends(api: Api) -> None:
    await api.stock(quantity=100)
    lines = [{**line(1, 1), "line_id": str(number)} for number in range(60)]
    await book(api, sent("order-placed", order_id=MARKUP, lines=lines))
    page = await look(api, MARKUP)
    assert (len(page.every("li", class_="movement")), "60 rows" in page.words) == (50, True)
    more = page.one("li", class_="more").attributes["hx-get"]
    rest = await signed_in(api).ask("GET", more, headers={"HX-Request": "true"})
    assert (len(rest.every("li", class_="movement")), rest.every("li", class_="more")) == (10, [])
    assert (await signed_in(api).ask("GET", more)).status == 200, "and without script"
    assert MARKUP in page.one("h2").text


def order(*lines: dict[str, int], **said: Any) -> Order:  # noqa: ANN401 - fields of any kind
    """An order of these lines; a figure that is not named is 0."""
    zeros: dict[str, Any] = dict.fromkeys(
        ("placed", "reserved", "sold", "fulfilled", "cancelled", "returned", "expired"), 0
    )
    made = [OrderLine.model_construct(**{**zeros, **each}) for each in lines]
    told = {"placed": bool(lines), "lines": made, "cancelled_whole": False, "refusal": None, **said}
    return Order.model_construct(**told)


@pytest.mark.parametrize(
    ("told", "word"),
    [
        pytest.param(order(), "Not placed yet", id="only named"),
        pytest.param(order(cancelled_whole=True), "Cancelled before it was placed", id="cancelled first"),
        pytest.param(order(refusal=object()), "Refused", id="refused"),
        pytest.param(order({"reserved": 2}), "Reserved", id="reserved"),
        pytest.param(order({"reserved": 1, "sold": 1, "fulfilled": 1}), "Reserved, partly fulfilled", id="half"),
        pytest.param(order({"sold": 2, "fulfilled": 2}, {"cancelled": 1}), "Fulfilled", id="fulfilled"),
        pytest.param(order({"sold": 2}), "Sold", id="sold"),
        pytest.param(order({"sold": 2, "fulfilled": 1}), "Partly fulfilled", id="sold and half gone"),
        pytest.param(order({"cancelled": 2}), "Cancelled", id="cancelled"),
        pytest.param(order({"expired": 2}), "Expired", id="expired"),
    ],
)
def test_how_an_order_stands(told: Order, word: str) -> None:
    assert standing(told).word == word
