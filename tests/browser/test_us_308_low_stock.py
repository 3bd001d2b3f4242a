"""US-308, low stock filtering: a toggle on the inventory, low by a threshold, and rows that stand out."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Final

import pytest_asyncio
from playwright.async_api import expect

from stock_worker.settings import Settings
from tests.browser.conftest import OpenTab
from tests.browser.people import fits, visit
from tests.browser.tabs import PHONE, Tab
from tests.flow.running import make_topics
from tests.http.booking import Books
from tests.http.running import SITE, product
from tests.http.served import Served

TABLE: Final = f"/admin/inventory?site={SITE}"
STOCK: Final = {1: 11, 2: 10, 3: 6, 4: 5, 5: 3, 6: 0}
"""Available of each product: by the thresholds 10, 3 and 0 the first is in stock, the last is out of it."""


@pytest_asyncio.fixture(scope="module", autouse=True)
async def books(settings: Settings) -> AsyncIterator[Books]:
    """A product on each side of each threshold."""
    await make_topics(settings.kafka_bootstrap, settings.topic_prefix)
    opened = await Books.open(settings.database_url)
    for number, quantity in STOCK.items():
        await opened.announce(number, datetime.now(UTC), name=f"Thing {number}")
        if quantity:
            await opened.restock(number, quantity, datetime.now(UTC))
    yield opened
    await opened.connection.close()


async def rows(tab: Tab) -> str:
    """The products in the table, by number, in order."""
    numbers = {f"row-{product(number)}_none": str(number) for number in STOCK}
    ids = await tab.page.locator("#results tr[data-item]").evaluate_all("rows => rows.map(row => row.id)")
    return "".join(numbers[each] for each in ids)


async def test_us_308_a_toggle_shows_low_stock_only(open_tab: OpenTab, app: Served) -> None:
    tab = await visit(open_tab, app, TABLE)
    async with tab.page.expect_response("**/admin/inventory/rows**"):  # what moved before the page was live
        await tab.page.reload()
    toggle = tab.page.get_by_role("switch", name="Low stock only")
    assert await rows(tab) == "123456"
    await toggle.focus()
    await tab.page.keyboard.press("Space")
    await expect(toggle).to_have_attribute("aria-checked", "true")
    await expect(tab.page.locator("#results tr[data-item]")).to_have_count(4)
    assert await rows(tab) == "2345"
    assert "status=low_stock" in tab.page.url
    await tab.page.reload()
    assert await rows(tab) == "2345", "it is in the address"
    await toggle.click()
    await expect(tab.page.locator("#results tr[data-item]")).to_have_count(len(STOCK))


async def test_us_308_rows_stand_out_in_yellow_and_red_with_a_word(open_tab: OpenTab, app: Served) -> None:
    for dark in (False, True):
        tab = await visit(open_tab, app, TABLE, screen=PHONE, dark=dark)
        found = await tab.page.locator("#results tr[data-item]").evaluate_all(
            """rows => rows.map(row => [row.querySelector(".badge").textContent.trim(),
                getComputedStyle(row).backgroundColor.match(/\\d+/g).map(Number)])"""
        )
        words = [word for word, _ in found]
        assert words == ["In stock", "Low", "Low", "Low", "Critical", "Out of stock"]
        (_, plain), (_, low), (_, critical), (_, out) = (found[number] for number in (0, 1, 4, 5))
        assert len({*map(tuple, (plain, low, critical, out))}) == 4
        for red, green, blue in (low, critical):
            assert min(red, green) > blue, "yellow"
        assert out[0] > max(out[1], out[2]), "red"
        assert (await tab.violations(), await fits(tab)) == ([], True)


async def test_us_308_low_is_at_most_the_threshold_which_a_site_sets(
    open_tab: OpenTab, app: Served, books: Books
) -> None:
    await books.set(low_stock_threshold=5)
    tab = await visit(open_tab, app, f"{TABLE}&status=low_stock")
    assert await rows(tab) == "45", "5 and 3 are; 6 is not any more"
    await books.rule(product(3), low_stock_threshold=6)
    await tab.page.reload()
    assert await rows(tab) == "345", "a product's own threshold counts more"
