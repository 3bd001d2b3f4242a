"""The reports, as pages: whose figures they are, of which days, what is told where they cannot be, and their files."""

import csv
import io
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

import pytest

from stock_worker.http.admin.bars import HEIGHT, WIDTH, Step, columns_of, length, steps_of
from stock_worker.http.admin.report_days import Asked, Days, Unfit
from stock_worker.http.shapes_reports import DayFlow
from tests.admin.looking import Page, signed_in
from tests.http.booking import Books, place, variant
from tests.http.books import HOUR, NOON
from tests.http.running import OTHER, SITE, Api, product

REPORTS: Final = "/admin/reports"
NAMES: Final = ("inventory", "valuation", "movements", "reorder")
MARCH: Final = "from=2026-03-01&to=2026-03-31"
DAY: Final = timedelta(days=1)
BERLIN: Final = ZoneInfo("Europe/Berlin")
MARKUP: Final = "<script>alert(1)</script>\"'&{{ 7*7 }}"


def at(name: str = "", query: str = "") -> str:
    """The address of all reports or of one."""
    return f"{REPORTS}{name and '/' + name}?site={SITE}{query and '&' + query}"


def rows(page: Page, caption: str) -> list[list[str]]:
    """What the rows of a table say, cell by cell."""
    place = next(n for n, each in enumerate(page.elements) if (each.tag, each.text) == ("caption", caption))
    found: list[list[str]] = []
    for each in page.elements[place:]:
        if each.tag == "table":
            break
        if each.tag == "tr":
            found.append([])
        elif each.tag in ("th", "td"):
            found[-1].append(each.text)
    return found[1:]


def figures(page: Page) -> dict[str, str]:
    """What stands above a report's table."""
    return dict(zip([each.text for each in page.every("dt")], [each.text for each in page.every("dd")], strict=True))


# ---------------------------------------------------------------- the page


async def test_the_page_is_there_at_once_and_each_report_comes_by_itself(served: Api) -> None:
    page = await signed_in(served).get(at(query="on=2026-03-31&period=7&page=2"))
    assert page.status == 200
    loads = {each.attributes["id"]: each.attributes for each in page.every("section", class_="report")}
    assert tuple(loads) == NAMES
    assert {name: (each["hx-get"], each["hx-trigger"]) for name, each in loads.items()} == {
        "inventory": (at("inventory"), "load"),
        "valuation": (at("valuation", "on=2026-03-31"), "load"),
        "movements": (at("movements", "period=7"), "load"),
        "reorder": (at("reorder", "page=2"), "load"),
    }
    assert page.text.count("<noscript><p><a href=") == len(NAMES), "without script each is a link"
    assert page.one("a", href=f"{REPORTS}?site={SITE}").attributes["aria-current"] == "page"
    assert not page.every("table"), "nothing was asked for yet"


@pytest.mark.parametrize("name", NAMES)
async def test_a_report_comes_as_a_part_and_is_a_page_without_script(served: Api, name: str) -> None:
    part = await signed_in(served).get(at(name), htmx=True)
    assert (part.status, len(part.every("html")), len(part.every("section", id=name))) == (200, 0, 1)
    assert "hx-trigger" not in part.one("section", id=name).attributes, "it does not ask again and again"
    page = await signed_in(served).get(at(name))
    assert (len(page.every("html")), len(page.every("section"))) == (1, 1)
    assert [each.text for each in page.every("a", href=at())] == ["Reports", "All reports"]


@pytest.mark.parametrize("name", NAMES)
async def test_a_site_without_stock_is_told_so(served: Api, name: str) -> None:
    page = await signed_in(served).get(at(name), htmx=True)
    assert (len(page.every("div", class_="empty")), page.every("table")) == (1, [])


async def test_the_address_follows_who_asks_and_not_what_comes_by_itself(served: Api) -> None:
    fit, unfit = "on=2026-03-31&period=7&page=2", "from=2026-03-31"
    for trigger, query, pushed in [
        ("ask-movements-7", fit, at(query=fit)),
        ("ask-movements", unfit, None),
        ("movements", fit, None),
        (None, fit, None),
    ]:
        said = {"HX-Request": "true"} | ({} if trigger is None else {"HX-Trigger": trigger})
        page = await signed_in(served).ask("GET", at("movements", query), headers=said)
        assert page.response.headers.get("hx-push-url") == pushed, trigger


async def test_everything_that_a_person_asks_with_says_that_he_asks(api: Api, books: Books) -> None:
    await books.rule(reorder_point=5)
    for number in range(25):
        await books.restock(number, 1)
    seen = set()
    for name, query in (("valuation", "on=2026-03-31"), ("movements", MARCH), ("reorder", "page=2")):
        page = await signed_in(api).get(at(name, query), htmx=True)
        asking = [each for each in page.elements if "hx-get" in each.attributes]
        assert all(each.attributes["id"].startswith("ask-") for each in asking), name
        seen |= {each.tag for each in asking}
        for link in page.every("a"):
            assert link.attributes.get("hx-get") in (None, link.attributes["href"])
    assert seen == {"a", "form"}


# ---------------------------------------------------------------- what each tells


async def test_the_stock_of_today(api: Api, books: Books) -> None:
    await books.set(currency="EUR")
    for number, left in enumerate((30, 10, 9, 3, 0), 1):
        await books.announce(number, cost_price="1234.5678")
        await books.restock(number, left + 1)
        await books.adjust("damage", number, 1)
    await books.announce(9, track_inventory=False)
    page = await signed_in(api, headers={"Accept-Language": "de"}).get(at("inventory"), htmx=True)
    assert figures(page) == {"Items": "5", "Products": "5", "Units on hand": "52", "Value at cost": "64.197,53 EUR"}
    assert page.one("data").attributes["value"] == "64197.5256", "the exact value is kept"
    told = rows(page, "Items by status")
    assert [(row[0], row[-1]) for row in told] == [
        ("In stock", "1"),
        ("Low", "2"),
        ("Critical", "1"),
        ("Out of stock", "1"),
    ]
    assert [each.attributes["width"] for each in page.every("rect")] == ["20.0", "40.0", "20.0", "20.0"]


async def test_the_value_now_and_then_by_category(api: Api, books: Books) -> None:
    await books.set(timezone="Europe/Berlin", currency="EUR")
    await books.announce(1, category_id="a", category_name="Apparel", unit_price="10")
    await books.announce(2, category_id="k", category_name="Kitchen", cost_price="5")
    await books.restock(1, 4, NOON, unit_cost="2.50")
    await books.restock(2, 3, NOON)
    midnight = datetime(2026, 3, 2, tzinfo=BERLIN).astimezone(UTC)
    await books.restock(1, 1, midnight - timedelta(microseconds=1), unit_cost="2.50")
    await books.restock(1, 100, midnight, unit_cost="2.50")
    browser = signed_in(api)
    page = await browser.get(at("valuation"), htmx=True)
    assert figures(page) == {
        "Value at cost": "277.50 EUR",
        "Value at price": "1,050.00 EUR",
        "Possible profit": "772.50 EUR",
        "Units": "108",
    }
    assert [row[0::2] for row in rows(page, "Value by category")] == [["Apparel", "105"], ["Kitchen", "3"]]
    assert [each.attributes["width"] for each in page.every("rect")] == ["100.0", "5.71"]
    assert [each.text for each in page.every("li")] == [
        "3 units valued at the catalog's cost price",
        "3 units without a price: not in the value at price",
    ]
    for query, told, moment in [
        ("on=2026-02-28", [], "28 Feb 2026, 23:59:59 CET"),
        ("on=2026-03-01", ["Kitchen 3 15.00", "Apparel 5 12.50"], "1 Mar 2026, 23:59:59 CET"),
        ("on=2026-03-01&at=14:00", ["Kitchen 3 15.00", "Apparel 4 10.00"], "1 Mar 2026, 14:00:00 CET"),
        ("on=2026-03-02&at=00:00", ["Apparel 105 262.50", "Kitchen 3 15.00"], "2 Mar 2026, 00:00:00 CET"),
    ]:
        page = await browser.get(at("valuation", query), htmx=True)
        found = rows(page, "Value by category") if told else []
        assert [" ".join([row[0], *row[2:]]) for row in found] == told, query
        assert len(page.every("div", class_="empty")) == (not told)
        assert page.one("time").text == moment
        assert page.every("a", id="ask-valuation-now"), "and back to now"


async def test_what_moved_by_day_type_and_product(api: Api, books: Books) -> None:
    await books.set(timezone="Europe/Berlin")
    await books.announce(1, name="Mug")
    midnight = datetime(2026, 4, 1, tzinfo=BERLIN).astimezone(UTC)
    await books.restock(1, 1_500, NOON)
    await books.adjust("damage", 1, 20, NOON + HOUR)
    await books.restock(2, 7, midnight - HOUR)
    await books.adjust("reserved", 2, 2, midnight - HOUR)
    await books.restock(2, 9_999, midnight)
    page = await signed_in(api).get(at("movements", MARCH), htmx=True)
    span = "1 Mar 2026 to 31 Mar 2026"
    assert rows(page, f"Units in and out, {span}") == [
        ["1 Mar 2026", "1,500", "20", "+1,480"],
        ["31 Mar 2026", "7", "0", "+7"],
    ]
    assert [(row[0], *row[2:]) for row in rows(page, "Movements by type")] == [
        ("Restock", "2", "1,507"),
        ("Damaged", "1", "20"),
        ("Reserved", "1", "2"),
    ]
    assert [(row[0], *row[2:]) for row in rows(page, "Products that moved most")] == [
        ("Mug", "1,500", "20"),
        (f"Product {product(2)}", "7", "0"),
    ]
    assert [each.text for each in page.every("title")][-1] == "31 Mar 2026: 7 in, 0 out"
    assert len(page.every("title")) == 31
    assert page.one("svg", role="img").attributes["aria-label"].startswith(f"Units in and out, {span}: at most 1,500 ")


async def test_what_is_to_be_reordered_page_by_page(api: Api, books: Books) -> None:
    await books.rule(reorder_point=10, reorder_quantity=24)
    for number in range(1, 22):
        await books.announce(number, name=f"Product {number:02}", sku=f"P-{number:02}", variant_name="Blue")
        await books.restock(number, 4, location_id=place(1))
    browser = signed_in(api)
    page = await browser.get(at("reorder"), htmx=True)
    told = rows(page, "Items at or below their reorder point")
    assert len(told) == 20
    assert told[0] == ["Product 01, Blue P-01", "In all", "", "4", "10", "24"]
    assert page.every("rect")[0].attributes["width"] == "40.0"
    assert "1\N{EN DASH}20 of 21" in page.words
    page = await browser.get(page.one("a", id="ask-reorder-Next").attributes["href"], htmx=True)
    assert [row[0] for row in rows(page, "Items at or below their reorder point")] == ["Product 21, Blue P-21"]
    assert "There is no such page" in (await browser.get(at("reorder", "page=3"), htmx=True)).words


async def test_markup_in_a_name_is_text_in_every_report(api: Api, books: Books) -> None:
    said = dict.fromkeys(("name", "variant_name", "sku", "category_id", "category_name"), MARKUP)
    await books.announce(1, NOON, variant_id=variant(1), cost_price="1", **said)
    await books.rule(reorder_point=10)
    await books.restock(1, 5, variant_id=variant(1))
    for name in ("valuation", "movements", "reorder"):
        page = await signed_in(api).get(at(name, MARCH))
        assert MARKUP in page.one("main").text, name
        assert "alert(1)</script>" not in page.text


# ---------------------------------------------------------------- what cannot be


@pytest.mark.parametrize(
    ("name", "query", "fields", "words"),
    [
        ("valuation", "on=tomorrow", {"on"}, "A day is needed, such as 2026-03-31."),
        ("valuation", "on=2026-03-31&at=late", {"at"}, "A time is needed, such as 18:30."),
        ("valuation", "at=12:00", {"on"}, "A time needs its day."),
        ("valuation", "on=9999-12-31", {"on"}, "The day must be one of the years 1 to 9999."),
        ("movements", "from=2026-02-30&to=2026-03-01", {"from"}, "A day is needed, such as 2026-03-31."),
        ("movements", "from=2026-03-01", {"to"}, "A day is needed, such as 2026-03-31."),
        ("movements", "from=2026-03-02&to=2026-03-01", {"from", "to"}, "to must come after from"),
        ("movements", "from=2026-03-02&to=9999-12-31", {"to"}, "The last day is the one before 31 December 9999."),
    ],
    ids=["no day", "no time", "a time alone", "the last", "no such day", "one end", "turned", "past the last"],
)
async def test_what_cannot_be_is_told_at_its_field(
    served: Api, name: str, query: str, fields: set[str], words: str
) -> None:
    for htmx in (True, False):
        page = await signed_in(served).get(at(name, query), htmx=htmx)
        assert page.status == 422
        assert page.one("p", id=f"{name}-wrong").text == words
        invalid = [each.attributes for each in page.every("input", aria_invalid="true")]
        assert {each["name"] for each in invalid} == fields
        assert {each["aria-describedby"] for each in invalid} == {f"{name}-wrong"}
        typed = dict(part.split("=") for part in query.split("&"))
        assert {field: page.one("input", id=field).attributes["value"] for field in typed} == typed, "as it was typed"
    assert (await signed_in(served).get(f"{REPORTS}/{name}.csv?site={SITE}&{query}")).status == 422


async def test_another_problem_stands_where_the_report_would(served: Api) -> None:
    path = f"{REPORTS}/valuation?site={OTHER}"
    part = await signed_in(served).get(path, htmx=True)
    assert (part.status, part.response.headers["hx-retarget"]) == (403, "#valuation .told")
    assert part.one("button").attributes["hx-get"] == path
    assert "The token does not allow this." in part.one("div", role="alert").text
    assert (await signed_in(served).get(path)).one("h1").text == "The token does not allow this"


# ---------------------------------------------------------------- files


FILES: Final[list[tuple[str, str, Mapping[str, str]]]] = [
    ("inventory", "", {}),
    ("valuation", "", {}),
    ("valuation", "on=2026-03-01&at=14:00", {"as_of": "2026-03-01T13:00:00Z"}),
    ("movements", MARCH, {"from": "2026-03-01", "to": "2026-04-01"}),
    ("reorder", "page=2", {}),
]


async def test_a_file_is_the_one_of_the_api(api: Api, books: Books) -> None:
    await books.set(timezone="Europe/Berlin")
    await books.rule(reorder_point=10)
    for number in range(1, 25):
        await books.announce(number, name="=1+1", category_id="c", cost_price="1.5")
        await books.restock(number, 4, NOON + number * DAY / 24)
    for name, query, asked in FILES:
        page = await signed_in(api, "viewer").get(at(name, query))
        link = next(each.attributes["href"] for each in page.every("a") if each.text == "Download CSV")
        file = (await signed_in(api, "viewer").get(link)).response
        wanted = await api.get(f"/reports/{name}", format="csv", **asked)
        assert (file.status_code, file.content) == (200, wanted.content), name
        for header in ("content-type", "content-disposition", "cache-control"):
            assert file.headers[header] == wanted.headers[header]
        assert list(csv.DictReader(io.StringIO(file.text)))


# ---------------------------------------------------------------- days


@pytest.mark.parametrize(
    ("said", "days"),
    [
        ({}, ("2026-02-02", "2026-03-03")),
        ({"period": "7"}, ("2026-02-25", "2026-03-03")),
        ({"period": "30"}, ("2026-02-02", "2026-03-03")),
        ({"period": "90"}, ("2025-12-04", "2026-03-03")),
        ({"period": "month"}, ("2026-03-01", "2026-03-03")),
        ({"period": "7", "from": "2024-02-28", "to": "2024-02-29"}, ("2024-02-28", "2024-02-29")),
    ],
    ids=["nothing said", "7", "30", "90", "this month", "days typed"],
)
def test_a_period_ends_today_and_has_both_its_ends(said: dict[str, str], days: tuple[str, str]) -> None:
    found = Asked.model_validate(said).days(date(2026, 3, 3))
    assert (found.first.isoformat(), found.last.isoformat()) == days
    assert found.after - found.last == DAY


@pytest.mark.parametrize(
    ("said", "moment"),
    [
        ({}, None),
        ({"on": "2026-03-28"}, "2026-03-28T22:59:59.999999+00:00"),
        ({"on": "2026-03-29"}, "2026-03-29T21:59:59.999999+00:00"),
        ({"on": "2026-03-29", "at": "03:00"}, "2026-03-29T01:00:00+00:00"),
        ({"on": "2026-10-25", "at": "02:30"}, "2026-10-25T00:30:00+00:00"),
    ],
    ids=["now", "a day", "a day of 23 hours", "a time", "the first of two such times"],
)
def test_a_moment_is_one_of_the_site(said: dict[str, str], moment: str | None) -> None:
    found = Asked.model_validate(said).moment(BERLIN)
    assert (found and found.isoformat()) == moment


def test_an_address_says_what_does_not_go_without_saying() -> None:
    asked = Asked.model_validate({"period": "30", "from": "2026-03-01", "to": "2026-03-02", "page": "1", "on": ""})
    assert asked.path(SITE) == at(query="from=2026-03-01&to=2026-03-02")
    assert asked.path(SITE, "/reorder", ("page",)) == at("reorder")
    assert asked.path(SITE, "/movements", ("from", "to"), **{"from": None, "to": None}) == at("movements")


def test_a_day_before_all_time_is_unfit() -> None:
    with pytest.raises(Unfit):
        Asked.model_validate({"on": "0001-01-01", "at": "00:00"}).moment(ZoneInfo("Asia/Tokyo"))


# ---------------------------------------------------------------- pictures


def flow(day: str, units_in: int, units_out: int = 0) -> DayFlow:
    """A day on which something moved."""
    net = units_in - units_out
    return DayFlow(date=date.fromisoformat(day), in_quantity=units_in, out_quantity=units_out, net_change=net)


def span(first: str, last: str) -> Days:
    """Some days."""
    return Days(date.fromisoformat(first), date.fromisoformat(last))


@pytest.mark.parametrize(
    ("days", "count", "some"),
    [
        (span("2026-02-27", "2026-03-02"), 4, {"27 Feb 2026": 1, "28 Feb 2026": 0, "2 Mar 2026": 6}),
        (span("2026-01-01", "2026-04-02"), 92, {"1 Jan 2026": 0, "27 Feb 2026": 1, "3 Mar 2026": 8}),
        (
            span("2026-01-01", "2026-04-03"),
            14,
            {
                "1 to 4 Jan 2026": 0,
                "23 Feb 2026 to 1 Mar 2026": 1,
                "2 to 8 Mar 2026": 14,
                "30 Mar 2026 to 3 Apr 2026": 0,
            },
        ),
        (span("2020-01-01", "9999-12-30"), 2, {"27 to 28 Feb 2026": 1, "1 to 3 Mar 2026": 14}),
    ],
    ids=["days", "as many days as can be seen", "weeks", "months from the first flow to the last"],
)
def test_a_long_period_is_summed_up_to_what_can_be_seen(days: Days, count: int, some: dict[str, int]) -> None:
    flows = [flow("2026-02-27", 1), flow("2026-03-02", 6), flow("2026-03-03", 8)]
    steps = steps_of([each for each in flows if days.first <= each.date <= days.last], days)
    assert len(steps) == count
    assert {step.words: step.units_in for step in steps if step.words in some} == some
    assert all(before.days.after == step.days.first for before, step in pairwise(steps))


def test_nothing_in_thousands_of_years_is_one_step() -> None:
    assert len(steps_of([], span("0001-01-01", "9999-12-30"))) == 1
    last = steps_of([flow("9999-12-01", 3)], span("0001-01-01", "9999-12-30"))
    assert [step.units_in for step in last] == [3]


def test_columns_are_as_high_as_their_figures() -> None:
    day = span("2026-03-01", "2026-03-01")
    columns = columns_of([Step(day, 30, 0), Step(day, 0, 10), Step(day, 0, 0), Step(day, 15, 5)])
    assert [each.up for each in columns.columns] == [114, 0, 0, 57]
    assert [each.down for each in columns.columns] == [0, 38, 0, 19]
    assert [each.top + each.up for each in columns.columns] == [columns.zero] * 4
    assert columns.zero + 38 == HEIGHT - 4
    assert [each.place for each in columns.columns] == [0, WIDTH / 4, WIDTH / 2, WIDTH * 3 / 4]
    assert (columns.most_in, columns.most_out) == (30, 10)


@pytest.mark.parametrize(
    ("value", "most", "long"),
    [(0, 10, 0), (10, 10, 100), (1, 3, 33.33), (-5, 10, 0), (5, 0, 0), (5, -1, 0)],
    ids=["none", "the longest", "a third", "below zero", "of none", "of less than none"],
)
def test_a_bar_is_as_long_as_its_figure(value: int, most: int, long: float) -> None:
    assert length(value, most) == long
