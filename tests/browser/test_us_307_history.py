"""US-307, the history of an item: who, what, when and why, from its variant in the table, and as it was then."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio
from playwright.async_api import Locator, expect

from stock_worker.settings import Settings
from tests.browser.conftest import OpenTab
from tests.browser.people import MARKUP, Thing, fits, focused, lay, row, visit
from tests.browser.tabs import PHONE, Tab
from tests.flow.running import make_topics
from tests.http.booking import Books
from tests.http.running import product
from tests.http.served import Served

TOKYO: Final = ZoneInfo("Asia/Tokyo")
LONG_AGO: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest_asyncio.fixture(scope="module")
async def books(settings: Settings) -> AsyncIterator[Books]:
    """A worker that books beside: a delivery long ago, damage an hour later, and sales of many days."""
    await make_topics(settings.kafka_bootstrap, settings.topic_prefix)
    opened = await Books.open(settings.database_url, settings.topic_prefix)
    await opened.set(timezone=TOKYO.key)
    lines = [{"product_id": product(1), "quantity": 200}]
    await opened.book("restock", {"lines": lines, "actor": "Bob", "reason": "Delivery"}, LONG_AGO)
    damage = {"type": "damage", "lines": [{"product_id": product(1), "quantity": 5}], "actor": "Eve"}
    await opened.book("stock-adjustment", {**damage, "reason": MARKUP, "note": "wet"}, LONG_AGO + timedelta(hours=1))
    for day in range(1, 53):
        await opened.adjust("sale", 1, 1, LONG_AGO + timedelta(days=day))
    await lay(opened, {1: Thing("Mug", 0)})
    yield opened
    await opened.connection.close()


@pytest.fixture
async def table(open_tab: OpenTab, app: Served, books: Books) -> Tab:
    """The table, before a viewer."""
    return await visit(open_tab, app, role="viewer")


async def opened(tab: Tab) -> Locator:
    """Open the drawer by the item's variant."""
    await row(tab, 1).locator("td.sku a").click()
    drawer = tab.page.locator("dialog#history")
    await expect(drawer.get_by_role("heading", name="History of Mug")).to_be_focused()
    return drawer


async def test_a_click_on_the_sku_opens_a_drawer_and_escape_leads_back(table: Tab) -> None:
    drawer = await opened(table)
    await expect(drawer.locator("svg[role=img]")).to_be_visible()
    await table.page.keyboard.press("Escape")
    await expect(drawer).to_be_hidden()
    assert await focused(table) == f"history-{product(1)}_none"
    await table.page.keyboard.press("h")
    await expect(drawer).to_be_visible()


async def test_with_control_it_opens_in_a_tab_of_its_own(table: Tab) -> None:
    link = row(table, 1).locator("td.sku a")
    async with table.page.context.expect_page() as coming:
        await link.click(modifiers=["Control"])
    beside = await coming.value
    await expect(beside.get_by_role("heading", name="History of Mug")).to_be_visible()
    await expect(table.page.locator("dialog#history")).to_be_hidden()


async def test_the_timeline_shows_who_what_when_and_why_the_newest_first(table: Tab) -> None:
    drawer = await opened(table)
    movements = drawer.locator(".movement")
    await expect(movements.first).to_contain_text("144 \u2192 143")
    await movements.last.scroll_into_view_if_needed()
    await expect(movements).to_have_count(54)
    last = movements.nth(53)
    await expect(last).to_contain_text("Restock +200")
    await expect(last).to_contain_text("1 Mar 2026, 21:00 by Bob")
    await expect(last.locator(".why")).to_have_text("Delivery")
    await expect(movements.nth(52).locator(".why")).to_have_text(f"{MARKUP}: wet")


async def test_it_is_narrowed_by_type_and_days_of_the_site(table: Tab) -> None:
    drawer = await opened(table)
    movements = drawer.locator(".movement")
    await drawer.locator("#type").select_option("damage")
    await expect(movements).to_have_count(1)
    await drawer.locator("#type").select_option("")
    await expect(drawer.locator(".found")).to_contain_text("54 in all")
    await drawer.get_by_label("From", exact=True).fill("2026-03-02")
    await expect(drawer.locator(".found")).to_contain_text("52 in all")
    await drawer.get_by_label("To", exact=True).fill("2026-03-04")
    await expect(movements).to_have_count(3)
    assert await focused(table) == "to", "who picks is not led away"
    await expect(drawer.locator(".found")).to_contain_text("3 in all, times in Asia/Tokyo")


async def test_it_shows_the_stock_at_a_moment_of_the_site(table: Tab) -> None:
    drawer = await opened(table)
    await drawer.get_by_label("Stock at a moment").fill("2026-03-01T21:30")
    was = drawer.locator(".was")
    await expect(was).to_contain_text("At 1 Mar 2026, 21:30:00 JST")
    await expect(was).to_contain_text(re.compile(r"Available\s*200"))
    await drawer.get_by_label("Stock at a moment").fill("2026-03-01T22:30")
    await expect(was).to_contain_text(re.compile(r"Available\s*195"))


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_on_a_phone_the_drawer_fits_and_axe_finds_nothing(
    open_tab: OpenTab, app: Served, books: Books, dark: bool
) -> None:
    tab = await visit(open_tab, app, role="viewer", screen=PHONE, dark=dark)
    drawer = await opened(tab)
    await drawer.get_by_label("Stock at a moment").fill("2026-03-01T21:30")
    await expect(drawer.locator(".was")).to_be_visible()
    assert await fits(tab)
    assert await tab.violations() == []


async def test_a_history_has_an_address_of_its_own(table: Tab) -> None:
    address = await row(table, 1).locator("td.sku a").get_attribute("href")
    await table.page.goto(f"{address}&type=damage&at=2026-03-01T21:30")
    await expect(table.page.locator(".movement")).to_have_count(1)
    await expect(table.page.locator(".was")).to_contain_text(re.compile(r"Available\s*200"))
    assert await table.violations() == []
