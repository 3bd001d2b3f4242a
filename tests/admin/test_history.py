"""The drawer of one item: who, what, when and why, where it came from, page by page, and its line."""

from datetime import timedelta
from typing import Final

import pytest

from stock_worker.http.admin.chart import HEIGHT, WIDTH, Point, chart_of
from tests.admin.looking import TABLE, signed_in
from tests.http.booking import Books
from tests.http.books import EAST, HOUR, NOON
from tests.http.running import SITE, Api, product

HISTORY: Final = f"{TABLE}/history?site={SITE}&product={product(1)}"


async def test_a_movement_says_who_what_when_why_and_where_from(api: Api, books: Books) -> None:
    await books.announce(1, name="Mug", sku="MUG")
    await books.set(timezone="Europe/Paris")
    await books.book("restock", {"lines": [{"product_id": product(1), "quantity": 7}], "actor": "Bob"}, NOON)
    order = {"order_id": "o-1", "lines": [{"product_id": product(1), "quantity": 2}]}
    await books.book("order-placed", order, NOON + HOUR)
    browser = signed_in(api)
    await browser.adjust("damage", 1, reason="dropped", note="by the cat")
    page = await browser.get(HISTORY)
    told = [each.text for each in page.every("li", class_="movement")]
    assert [text.split(" 1 Mar")[0].split(" 26 ")[0] for text in told][1:] == ["Sale \u22122 7 → 5", "Restock +7 0 → 7"]
    assert told[0].startswith("Damaged \u22121 5 → 4")
    assert "by Ada dropped: by the cat adjustment page-" in told[0]
    assert told[0].endswith("http")
    assert "1 Mar 2026, 14:00 by the system" in told[1]
    assert "order o-1" in told[1]
    assert "order-placed/0/" in told[1]
    assert "by Bob" in told[2]
    assert "History of Mug" in page.one("h2", id="history-title").text


async def test_a_location_is_named_where_there_are_several(api: Api, books: Books) -> None:
    await books.restock(1, 1)
    assert "Default" not in (await signed_in(api).get(HISTORY)).one("ol").text
    await books.restock(1, 1, location_id=EAST)
    told = [each.text for each in (await signed_in(api).get(HISTORY)).every("li", class_="movement")]
    assert [EAST in text for text in told] == [True, False]
    assert "Default" in told[1]


async def test_it_leads_to_the_thresholds_of_the_item(api: Api, books: Books) -> None:
    await books.announce(1, name="Mug")
    await books.restock(1, 9)
    browser = signed_in(api)
    links = (await browser.get(HISTORY)).every("a")
    address = next(each.attributes["href"] for each in links if each.text == "Thresholds")
    assert "Thresholds of Mug" in (await browser.get(address)).words


async def test_one_type_is_shown_and_chosen(api: Api, books: Books) -> None:
    await books.restock(1, 9)
    await books.adjust("damage", 1, 2, NOON + HOUR)
    page = await signed_in(api).get(f"{HISTORY}&type=damage", htmx=True)
    assert [each.text.split()[0] for each in page.every("li", class_="movement")] == ["Damaged"]
    assert "selected" in page.one("option", value="damage").attributes
    assert page.every("polyline"), "the line is of all movements"
    none = await signed_in(api).get(f"{HISTORY}&type=sale", htmx=True)
    assert "No such movement" in none.words
    assert (await signed_in(api).get(f"{HISTORY}&type=gift")).status == 422


async def test_days_are_the_sites_and_whole(api: Api, books: Books) -> None:
    await books.set(timezone="Asia/Tokyo")
    for hours, quantity in ((2.9, 1), (3, 2), (26.9, 3), (27, 4)):  # 12:00 in UTC is 21:00 there
        await books.restock(1, quantity, NOON + hours * HOUR)
    browser = signed_in(api)
    for query, shown in (
        ("from=2026-03-02&to=2026-03-02", [3, 2]),
        ("from=2026-03-02", [4, 3, 2]),
        ("to=2026-03-01", [1]),
        ("from=&to=&at=", [4, 3, 2, 1]),
    ):
        page = await browser.get(f"{HISTORY}&{query}", htmx=True)
        changes = [each.text for each in page.every("span") if "change" in each.attributes.get("class", "")]
        assert changes == [f"+{quantity}" for quantity in shown], query
        assert f"{len(shown)} in all" in page.words


async def test_what_is_narrowed_is_so_on_every_page(api: Api, books: Books) -> None:
    for number in range(60):
        await books.restock(1, 1, NOON + timedelta(minutes=number))
    await books.restock(1, 1000, NOON + timedelta(days=2))
    browser = signed_in(api)
    first = await browser.get(f"{HISTORY}&type=restock&to=2026-03-01", htmx=True)
    rest = await browser.get(first.one("li", class_="more").attributes["hx-get"], htmx=True)
    assert [len(page.every("li", class_="movement")) for page in (first, rest)] == [50, 10]


async def test_an_item_is_shown_as_it_was_at_a_moment_of_the_site(api: Api, books: Books) -> None:
    await books.set(timezone="Asia/Tokyo")
    await books.restock(1, 9)
    await books.restock(1, 5, NOON + HOUR, location_id=EAST)
    await books.adjust("reserved", 1, 2, NOON + 2 * HOUR)
    browser = signed_in(api)
    for at, shown in (
        ("2026-03-01T20:59", "On hand 0 Reserved 0 Available 0"),
        ("2026-03-01T21:30", "On hand 9 Reserved 0 Available 9"),
        ("2026-03-01T23:30", "On hand 14 Reserved 2 Available 12"),
    ):
        page = await browser.get(f"{HISTORY}&at={at}", htmx=True)
        assert shown in page.one("section", class_="was").text, at
        assert page.value("at") == at
        assert "JST" in page.one("section", class_="was").text
        assert ("5 on hand" in page.words) is ("14" in shown), "where it lay"
    assert (await browser.get(HISTORY)).every("section", class_="was") == []


@pytest.mark.parametrize(
    "query",
    ["from=yesterday", "to=9999-12-31", "from=0001-01-01", "at=noon", "at=9999-12-31T23:59", "at=2026-03-01T10:00Z"],
)
async def test_what_is_no_day_and_no_moment_is_told(served: Api, query: str) -> None:
    assert (await signed_in(served).get(f"{HISTORY}&{query}", htmx=True)).status == 422


async def test_it_goes_on_at_the_end_whatever_comes_in_meanwhile(api: Api, books: Books) -> None:
    for number in range(120):
        await books.restock(1, 1, NOON + timedelta(minutes=number))
    browser = signed_in(api)
    page, seen = await browser.get(HISTORY, htmx=True), []
    while True:
        seen += [each.text for each in page.every("li", class_="movement")]
        more = page.every("li", class_="more")
        if not more:
            break
        assert more[0].attributes["hx-trigger"] == "intersect once"
        await books.restock(1, 1000, NOON + timedelta(days=1))
        page = await browser.get(more[0].attributes["hx-get"], htmx=True)
        assert page.every("h2") == [], "only what follows"
    assert len(seen) == len(set(seen)) == 120
    whole = await browser.get((await browser.get(HISTORY, htmx=True)).one("li", class_="more").attributes["hx-get"])
    assert len(whole.every("html")) == 1, "without script it is a page"


async def test_a_history_of_nothing_says_so(api: Api, books: Books) -> None:
    await books.announce(1)
    page = await signed_in(api).get(HISTORY, htmx=True)
    assert ("Nothing has moved yet" in page.words, page.every("svg", role="img")) == (True, [])
    unknown = f"{TABLE}/history?site={SITE}&product={product(2)}"
    assert (await signed_in(api).get(unknown)).status == 404


# ---------------------------------------------------------------- the line


def row(hours: float, level: int) -> Point:
    """A row of the ledger that leaves so much."""
    return Point(NOON + hours * HOUR, level)


@pytest.mark.parametrize(
    ("levels", "points", "zero"),
    [
        ([0, 10], "4,92 596,92 596,4", 92),
        ([10, 0], "4,4 596,4 596,92", 92),
        ([-10, 10], "4,92 596,92 596,4", 48),
        ([-10, -5], "4,92 596,92 596,48", 4),
        ([0, 0], "4,92 596,92 596,92", 92),
    ],
    ids=["up", "down", "through zero", "below zero", "level"],
)
def test_the_line_goes_in_steps_through_what_the_ledger_says(levels: list[int], points: str, zero: int) -> None:
    chart = chart_of([row(hours, level) for hours, level in reversed(list(enumerate(levels)))])
    assert chart is not None
    drawn = [tuple(map(float, point.split(","))) for point in chart.points.split()]
    wanted = [tuple(map(float, point.split(","))) for point in points.split()]
    assert (drawn, chart.zero) == (wanted, zero)
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in drawn)


def test_the_line_is_as_far_as_time_went() -> None:
    chart = chart_of([row(10, 3), row(1, 2), row(0, 1)])
    assert chart is not None
    assert [float(point.split(",")[0]) for point in chart.points.split()] == [4, 63.2, 63.2, 596, 596]


def test_what_was_booked_together_is_one_step() -> None:
    released_and_sold = [row(3, 4), row(3, 5), row(0, 4)]
    assert chart_of(released_and_sold) == chart_of([row(3, 4), row(0, 4)])


@pytest.mark.parametrize("count", [0, 1, 2])
def test_one_moment_is_no_line(count: int) -> None:
    assert chart_of([row(0, 1)] * count) is None
