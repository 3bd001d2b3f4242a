"""The reports in a browser: a known shop's figures and files, by keyboard, on a phone, and while one is under way."""

import asyncio
import re
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio
from playwright.async_api import Route, expect

from stock_worker.settings import Settings
from stock_worker.store.engine import connect
from tests.browser.conftest import OpenTab
from tests.browser.people import sign_in
from tests.browser.tabs import PHONE, WIDE, Screen, Tab
from tests.flow.running import until
from tests.http.booking import Books
from tests.http.running import SITE, token
from tests.http.served import Served

REPORTS: Final = "/admin/reports"
API: Final = f"/api/v1/sites/{SITE}/reports"
NAMES: Final = ("inventory", "valuation", "movements", "reorder")
ZONE: Final = ZoneInfo("America/New_York")
HOUR: Final = timedelta(hours=1)
END_WHO_WAITS: Final = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'"""


class Delivery(NamedTuple):
    """What came in, when by the shop's clocks, at which cost, and how much of it was broken an hour later."""

    number: int
    clock: str
    units: int
    cost: str
    broken: int = 0

    @property
    def at(self) -> datetime:
        """When."""
        return datetime.fromisoformat(self.clock).replace(tzinfo=ZONE).astimezone(UTC)


DELIVERIES: Final = (
    Delivery(1, "2026-02-27T09:00", 1_200, "2.50", broken=4),
    Delivery(2, "2026-02-28T23:30", 70, "11.99", broken=5),
    Delivery(1, "2026-03-01T00:00", 300, "2.50"),
    Delivery(3, "2026-03-08T01:30", 9, "100", broken=6),
)
"""What came half an hour before March broke in March; on 8 March the clocks change at two."""
NAMED: Final = {1: '<b>Mug</b> & "co"', 2: "Bowl", 3: "Clock"}
SORTS: Final = {1: "Kitchen", 2: "Kitchen", 3: "Home"}


def left(until: datetime | None = None) -> dict[int, int]:
    """How many of each were there at a moment, or are there now."""
    units = Counter[int]()
    for each in DELIVERIES:
        units[each.number] += each.units if until is None or each.at <= until else 0
        units[each.number] -= each.broken if until is None or each.at + HOUR <= until else 0
    return {number: count for number, count in units.items() if count}


def values(units: dict[int, int]) -> dict[str, tuple[int, Decimal]]:
    """How many of each sort these are, and what they cost."""
    cost = {each.number: Decimal(each.cost) for each in DELIVERIES}
    return {
        sort: (
            sum(count for number, count in units.items() if SORTS[number] == sort),
            sum((count * cost[number] for number, count in units.items() if SORTS[number] == sort), Decimal()),
        )
        for sort in {SORTS[number] for number in units}
    }


def lines(found: dict[str, tuple[int, Decimal]]) -> list[list[str]]:
    """The same as the report has it, the dearest first."""
    dearest_first = sorted(found.items(), key=lambda each: -each[1][1])
    return [[sort, f"{units:,}", f"{cost:,.2f}"] for sort, (units, cost) in dearest_first]


def flows(first: date, last: date) -> dict[date, tuple[int, int]]:
    """What came in and went out on each day of the shop on which something did."""
    days: dict[date, list[int]] = {}
    for each in DELIVERIES:
        for at, place, units in ((each.at, 0, each.units), (each.at + HOUR, 1, each.broken)):
            if units:
                days.setdefault(at.astimezone(ZONE).date(), [0, 0])[place] += units
    return {day: (sums[0], sums[1]) for day, sums in sorted(days.items()) if first <= day <= last}


@pytest_asyncio.fixture(scope="module")
async def shop(app: Served, settings: Settings) -> Served:
    """The program over the shop."""
    books = await Books.open(settings.database_url)
    await books.set(timezone=str(ZONE), currency="USD")
    for number, name in NAMED.items():
        sort = SORTS[number]
        await books.announce(number, DELIVERIES[0].at, name=name, category_id=sort, category_name=sort)
    for each in DELIVERIES:
        await books.restock(each.number, each.units, each.at, unit_cost=each.cost)
        if each.broken:
            await books.adjust("damage", each.number, each.broken, each.at + HOUR)
    await books.rule(reorder_point=70, reorder_quantity=1_000)
    await books.connection.close()
    return app


async def looking(tab: Tab, served: Served, query: str = "") -> None:
    """Look at the reports, as a viewer who is signed in."""
    await sign_in(tab, token("viewer"))
    await tab.page.goto(f"{REPORTS}?site={SITE}{query and '&' + query}")


async def told(tab: Tab, *names: str) -> None:
    """Wait until these reports, or all, have come."""
    for name in names or NAMES:
        await expect(tab.page.locator(f"#{name}[hx-trigger]")).to_have_count(0)


async def rows(tab: Tab, caption: str) -> list[list[str]]:
    """What a table that is seen tells, cell by cell, without its bars."""
    found = tab.page.locator("table", has=tab.page.locator("caption", has_text=re.compile(f"^{re.escape(caption)}$")))
    lines = await found.locator("tbody tr").all_inner_texts()
    return [[" ".join(cell.split()) for cell in line.split("\t") if cell.strip()] for line in lines]


async def test_each_report_shows_the_figures_of_the_shop(open_tab: OpenTab, shop: Served) -> None:
    tab = await open_tab(shop.url)
    await looking(tab, shop, "on=2026-02-28&from=2026-02-28&to=2026-03-08")
    await told(tab)
    now = left()
    worth = sum(value for _, value in values(now).values())
    figures = [" ".join(text.split()) for text in await tab.page.locator("#inventory .figures div").all_inner_texts()]
    assert figures == [
        "Items 3",
        "Products 3",
        f"Units on hand {sum(now.values()):,}",
        f"Value at cost {worth:,.2f} USD",
    ]
    statuses = [["In stock", "2"], ["Low", "0"], ["Critical", "1"], ["Out of stock", "0"]]
    assert await rows(tab, "Items by status") == statuses

    then = values(left(datetime(2026, 3, 1, tzinfo=ZONE).astimezone(UTC) - timedelta(microseconds=1)))
    assert await rows(tab, "Value by category") == [
        [sort, f"{units:,}", f"{cost:,.2f}"] for sort, (units, cost) in then.items()
    ]
    assert then == {"Kitchen": (1_266, 1_196 * Decimal("2.5") + 70 * Decimal("11.99"))}, "nothing of March"
    await tab.page.get_by_role("link", name="Now").click()
    await expect(tab.page.locator("#on")).to_have_value("")
    dearest_first = sorted(values(now).items(), key=lambda each: -each[1][1])
    assert await rows(tab, "Value by category") == [
        [sort, f"{units:,}", f"{cost:,.2f}"] for sort, (units, cost) in dearest_first
    ]

    await tab.page.get_by_text("Figures", exact=True).click()
    by_day = flows(date(2026, 2, 28), date(2026, 3, 8))
    assert list(by_day.values()) == [(70, 0), (300, 5), (9, 6)]
    assert await rows(tab, "Units in and out, 28 Feb 2026 to 8 Mar 2026") == [
        [f"{day.day} {day:%b %Y}", f"{units_in}", f"{units_out}", f"{units_in - units_out:+}"]
        for day, (units_in, units_out) in by_day.items()
    ]
    columns = tab.page.locator("#movements .flow rect")
    assert [await columns.and_(tab.page.locator(kind)).count() for kind in (".place", ".in", ".out")] == [9, 3, 2]
    assert await rows(tab, "Movements by type") == [["Restock", "3", "379"], ["Damaged", "2", "11"]]
    assert await rows(tab, "Products that moved most") == [
        [NAMED[1], "300", "0"],
        ["Bowl", "70", "5"],
        ["Clock", "9", "6"],
    ]
    assert await rows(tab, "Items at or below their reorder point") == [
        [NAMED[number], "In all", f"{now[number]}", "70", "1,000"] for number in (2, 3)
    ]


async def test_a_file_is_the_one_of_the_api(open_tab: OpenTab, shop: Served) -> None:
    tab = await open_tab(shop.url)
    await looking(tab, shop, "on=2026-02-28&at=12:00&from=2026-02-28&to=2026-03-08")
    await told(tab)
    asked = {"valuation": "&as_of=2026-02-28T17:00:00Z", "movements": "&from=2026-02-28&to=2026-03-09"}
    async with shop.client() as client:
        for name in NAMES:
            wanted = await client.get(f"{API}/{name}?format=csv{asked.get(name, '')}")
            async with tab.page.expect_download() as downloading:
                await tab.page.locator(f"#{name}").get_by_role("link", name="Download CSV").click()
            download = await downloading.value
            assert download.suggested_filename == f"{name}.csv"
            file = (await download.path()).read_bytes()
            assert file == wanted.content, name
            assert file.count(b"\r\n") > 1


async def test_a_slow_report_keeps_nobody_from_the_others_and_a_failed_one_can_be_asked_for_again(
    open_tab: OpenTab, shop: Served, settings: Settings
) -> None:
    tab = await open_tab(shop.url)
    report, may_go = tab.page.locator("#valuation"), asyncio.Event()

    async def hold(route: Route) -> None:
        await may_go.wait()
        await route.continue_()

    await tab.page.route("**/admin/reports/valuation?*", hold)
    await looking(tab, shop, "on=2026-02-28")
    await told(tab, "inventory", "movements", "reorder")
    assert await report.get_attribute("aria-busy") == "true"
    await expect(report.get_by_text("Loading")).to_be_visible()
    await expect(report.get_by_label("As of")).to_have_value("2026-02-28")
    await expect(tab.page.locator("#inventory").get_by_text("Loading")).not_to_be_visible()
    may_go.set()
    await told(tab, "valuation")
    await expect(report.get_by_text("Loading")).not_to_be_visible()

    holder = await connect(settings.database_url, None)
    try:
        async with holder.transaction():
            await holder.execute("LOCK TABLE stock.movements IN ACCESS EXCLUSIVE MODE")
            await report.get_by_role("button", name="Show").click()

            async def is_ended() -> bool:
                return bool(await holder.fetch(END_WHO_WAITS))

            await until(is_ended)
            await expect(report.get_by_role("alert").filter(has_text="The server cannot answer now")).to_be_visible()
            assert await report.get_attribute("aria-busy") is None
            await expect(report.get_by_label("As of")).to_have_value("2026-02-28")
    finally:
        await holder.close()
    await tab.fault("503")
    await report.get_by_role("button", name="Try again").click()
    await expect(report.get_by_role("rowheader", name="Kitchen")).to_be_visible()

    await tab.page.context.set_offline(True)
    await report.get_by_role("link", name="Now").click()
    await expect(report.get_by_text("The server does not answer")).to_be_visible()
    await tab.fault("ERR_INTERNET_DISCONNECTED")
    await tab.page.context.set_offline(False)
    await report.get_by_role("link", name="Now").click()
    await expect(report.get_by_text("The server does not answer")).not_to_be_visible()
    await expect(report.get_by_role("rowheader", name="Home")).to_be_visible()
    tab.faults.clear()  # the browser tells of a failed request twice, in the console too


async def test_by_keyboard_alone_a_period_is_chosen_and_typed_and_mended_and_the_way_back_is_kept(
    open_tab: OpenTab, shop: Served
) -> None:
    tab = await open_tab(shop.url)
    await looking(tab, shop, "on=2026-02-28")
    await told(tab)
    page = tab.page

    async def reach(name: str) -> None:
        for _ in range(40):
            await page.keyboard.press("Tab")
            if await page.evaluate("document.activeElement.id") == name:
                return
        raise AssertionError(f"{name} is not reached")

    await reach("ask-movements-90")
    await page.keyboard.press("Enter")
    await expect(page.locator("#ask-movements-90")).to_have_attribute("aria-current", "true")
    await expect(page.locator("#ask-movements-90")).to_be_focused()
    await expect(page).to_have_url(re.compile(r"\?site=[^&]*&on=2026-02-28&period=90$"))
    await reach("from")
    await page.locator(":focus").fill("2026-03-09")
    await reach("to")
    await page.locator(":focus").fill("2026-03-08")
    await page.keyboard.press("Enter")
    await expect(page.locator("#movements-wrong")).to_have_text("to must come after from")
    await expect(page.locator("#to")).to_have_attribute("aria-describedby", "movements-wrong")
    await expect(page.locator("#to")).to_be_focused()
    await tab.fault("422")
    await page.keyboard.press("Shift+Tab")
    await page.locator("#from").fill("2026-03-08")
    await page.locator("#from").press("Enter")
    await expect(page.locator("#movements figcaption")).to_contain_text("8 Mar 2026")
    await expect(page).to_have_url(re.compile(r"&on=2026-02-28&from=2026-03-08&to=2026-03-08$"))
    await page.reload()
    await told(tab)
    await expect(page.locator("#movements figcaption")).to_contain_text("8 Mar 2026")
    await page.go_back()
    await told(tab)
    await expect(page.locator("#ask-movements-90")).to_have_attribute("aria-current", "true")


@pytest.mark.parametrize("screen", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_nobody_is_shut_out_and_nothing_jumps(
    open_tab: OpenTab, shop: Served, screen: Screen, *, dark: bool
) -> None:
    tab = await open_tab(shop.url, screen=screen, dark=dark)
    await looking(tab, shop, "from=2026-02-27&to=2026-03-08&on=never")
    await told(tab)
    await tab.fault("422")  # so that the words at a field are there
    await tab.page.get_by_text("Figures", exact=True).click()
    assert await tab.violations() == []
    assert await tab.layout_shift() < 0.1
    assert await tab.page.evaluate("document.documentElement.scrollWidth") <= screen.width
    small = await tab.page.evaluate(
        """[...document.querySelectorAll("main a, main button, main input:not([type=hidden]), main summary")]
            .filter(each => each.getBoundingClientRect().height < 24).map(each => each.outerHTML)"""
    )
    assert small == []
