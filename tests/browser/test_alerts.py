"""Alerts, thresholds and settings as a person has them: by keyboard, in place, on a phone, for everybody."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Final

import pytest
import pytest_asyncio
from playwright.async_api import Route, expect

from stock_worker.settings import Settings
from tests.browser.conftest import OpenTab
from tests.browser.people import arrived, fits, focused, is_live, visit
from tests.browser.tabs import PHONE, WIDE, Screen, Tab
from tests.flow.running import make_topics
from tests.http.booking import Books, variant
from tests.http.running import SITE, product
from tests.http.served import Served

ALERTS: Final = f"/admin/alerts?site={SITE}"
SETTINGS: Final = f"/admin/settings?site={SITE}"
MARKUP: Final = "<img src=x onerror=alert(1)> & \"Sons'"
STOCK: Final = {1: 0, 2: 1, 3: 2, 4: 6, 5: 8, 6: 50}
"""Available of variants 1 to 6: one is out, two are critical, two are low, and the last is in stock."""
PAGES: Final = (
    ALERTS,
    f"{ALERTS}&dismissed=true",
    f"/admin/alerts/reorder?site={SITE}",
    f"/admin/alerts/rule?site={SITE}&product={product(5)}&variant={variant(5)}",
    SETTINGS,
)


def row(number: int) -> str:
    """The name of an item in the page."""
    return f"{product(number)}_{variant(number)}"


@pytest_asyncio.fixture(scope="module", autouse=True)
async def books(settings: Settings) -> AsyncIterator[Books]:
    """A shop with an alert of each level, a name with markup in it, and something to reorder."""
    await make_topics(settings.kafka_bootstrap, settings.topic_prefix)
    opened = await Books.open(settings.database_url, settings.topic_prefix)
    now = datetime.now(UTC)
    for number, quantity in STOCK.items():
        name = MARKUP if number == 5 else f"Thing {number}"
        told = {
            "name": name,
            "variant_name": "Blue",
            "sku": f"SKU-{number}",
            "category_id": "c",
            "category_name": "Odds",
        }
        await opened.announce(number, now, variant_id=variant(number), **told)
        await opened.restock(number, quantity or 1, now, variant_id=variant(number))
    await opened.adjust("damage", 1, 1, now, variant_id=variant(1))
    await opened.rule(reorder_point=7, reorder_quantity=24)
    yield opened
    await opened.connection.close()


async def rows(tab: Tab) -> list[str]:
    """The items of the list by number, in order."""
    numbers = {f"alert-{row(number)}": str(number) for number in STOCK}
    ids = await tab.page.locator("#alerts tr[data-item]").evaluate_all("rows => rows.map(row => row.id)")
    return [numbers[each] for each in ids]


@pytest.mark.parametrize(("screen", "dark"), [(WIDE, True), (PHONE, False)], ids=["wide, dark", "phone, light"])
async def test_every_page_is_for_everybody_and_fits(open_tab: OpenTab, app: Served, screen: Screen, dark: bool) -> None:
    tab = await visit(open_tab, app, PAGES[0], screen=screen, dark=dark)
    for path in PAGES:
        await tab.page.goto(path)
        assert (await tab.violations(), await fits(tab), await tab.layout_shift()) == ([], True, 0), path
    await tab.page.goto(ALERTS)
    await tab.page.locator(f"#rule-{row(5)}").click()
    await expect(tab.page.get_by_role("dialog")).to_contain_text(MARKUP)
    assert (await tab.violations(), await fits(tab)) == ([], True)


async def test_the_list_is_narrowed_in_place_and_in_the_address(open_tab: OpenTab, app: Served) -> None:
    tab = await visit(open_tab, app, ALERTS)
    assert await rows(tab) == ["1", "2", "3", "4", "5"]
    await tab.page.get_by_label("Level").select_option("critical")
    await expect(tab.page.locator("#alerts tr[data-item]")).to_have_count(2)
    await tab.page.get_by_label("Search name or SKU").fill("sku-3")
    await expect(tab.page.locator("#alerts tr[data-item]")).to_have_count(1)
    assert "q=sku-3" in tab.page.url
    await tab.page.reload()
    assert await rows(tab) == ["3"]


async def test_the_list_follows_what_moves_but_not_below_ones_hands(
    open_tab: OpenTab, whole: Served, books: Books
) -> None:
    tab = await visit(open_tab, whole, ALERTS)
    await is_live(tab)
    addresses = await tab.page.evaluate("history.length")
    sixth = tab.page.locator(f"#alert-{row(6)}")
    await books.adjust("damage", 6, 45, datetime.now(UTC), variant_id=variant(6))
    await expect(sixth.locator("td.available")).to_have_text("5", timeout=20_000)
    await books.adjust("damage", 6, 1, datetime.now(UTC), variant_id=variant(6))
    await expect(sixth.locator("td.available")).to_have_text("4", timeout=20_000)
    chosen = tab.page.locator(f"#pick-{row(6)}")
    await chosen.check()
    await books.restock(6, 46, datetime.now(UTC), variant_id=variant(6))
    await expect(tab.page.locator("#live")).to_have_text("Live, changes wait", timeout=20_000)
    await expect(sixth).to_be_visible()
    await chosen.uncheck()
    await tab.page.mouse.move(0, 0)
    await tab.page.locator("#search").focus()
    await expect(sixth).to_have_count(0, timeout=20_000)
    await expect(tab.page.locator("#live")).to_have_text("Live")
    assert await tab.page.evaluate("history.length") == addresses


async def test_a_list_that_was_asked_for_before_one_came_to_it_waits_as_well(open_tab: OpenTab, app: Served) -> None:
    tab = await arrived(open_tab, app)
    asked, may_come = asyncio.Event(), asyncio.Event()

    async def hold(route: Route) -> None:
        if "hx-request" in route.request.headers:
            asked.set()
            await may_come.wait()
        await route.continue_()

    await tab.page.route("**/admin/alerts?*", hold)
    await tab.page.goto(ALERTS)
    async with asyncio.timeout(20):
        await asked.wait()
    await tab.page.locator(f"#dismiss-{row(1)}").focus()
    await tab.page.evaluate("document.getElementById('alerts').dataset.first = ''")
    may_come.set()
    await expect(tab.page.locator("#live")).to_have_text("Live, changes wait", timeout=20_000)
    await expect(tab.page.locator("#alerts[data-first]")).to_have_count(1)
    assert await focused(tab) == f"dismiss-{row(1)}"
    await tab.page.locator("#search").focus()
    await expect(tab.page.locator("#alerts[data-first]")).to_have_count(0, timeout=20_000)


async def test_a_threshold_is_overridden_in_place_and_its_inheritance_is_seen(open_tab: OpenTab, app: Served) -> None:
    tab = await visit(open_tab, app, ALERTS)
    threshold, dialog = tab.page.locator(f"#rule-{row(4)}"), tab.page.get_by_role("dialog")
    await expect(threshold).to_have_text("10 the default")
    await threshold.click()
    low, said = dialog.get_by_label("Low at"), dialog.locator("#low_stock_threshold-said")
    await expect(said).to_have_text("Inherited from the default: 10")
    await dialog.get_by_role("link", name="Whole product").click()
    await expect(dialog.get_by_role("link", name="Whole product")).to_have_attribute("aria-current", "true")
    await low.fill("9")
    await dialog.get_by_role("button", name="Save").click()
    await expect(threshold).to_have_text("9 the product")
    await expect(tab.page.get_by_role("status", name="Messages")).to_contain_text("Saved: thresholds of Thing 4, Blue.")
    await expect(threshold).to_be_focused()
    await threshold.click()
    await expect(said).to_have_text("Inherited from the product: 9")
    await dialog.get_by_label("Critical at").fill("1e99")
    await dialog.get_by_role("button", name="Save").click()
    await expect(dialog.locator("#critical_stock_threshold-said")).to_contain_text("Must be an integer")
    await expect(dialog.get_by_label("Critical at")).to_be_focused()
    await tab.fault("422")
    await dialog.get_by_label("Critical at").fill("")
    await low.fill("8")
    await low.press("Enter")
    await expect(threshold).to_have_text("8 the variant")
    await threshold.click()
    await expect(said).to_have_text("Set here in place of 9 from the product")
    await low.fill("")
    await low.press("Enter")
    await expect(threshold).to_have_text("9 the product")


async def test_settings_are_saved_and_refused_at_their_fields(open_tab: OpenTab, app: Served) -> None:
    tab = await visit(open_tab, app, SETTINGS)
    zone, save = tab.page.get_by_label("Time zone"), tab.page.get_by_role("button", name="Save")
    await zone.fill("Mars/Olympus")
    await tab.page.get_by_label("Email recipients").fill("ada@shop.test\nbob@shop.test")
    await save.click()
    await expect(tab.page.locator("#timezone-said")).to_contain_text("Must be the name of a time zone")
    await tab.fault("422")
    await expect(zone).to_be_focused()
    await zone.fill("Asia/Tokyo")
    await tab.page.get_by_label("Call the webhook").check()
    await zone.press("Enter")
    await expect(tab.page.get_by_role("status").filter(has_text="Saved.")).to_be_visible()
    await tab.page.reload()
    await expect(zone).to_have_value("Asia/Tokyo")
    await expect(tab.page.get_by_label("Email recipients")).to_have_value("ada@shop.test\nbob@shop.test")
    await expect(tab.page.get_by_label("Call the webhook")).to_be_checked()


async def test_alerts_are_dismissed_by_keyboard_alone(open_tab: OpenTab, app: Served, books: Books) -> None:
    tab = await visit(open_tab, app, ALERTS)
    press, toasts = tab.page.keyboard.press, tab.page.get_by_role("status", name="Messages")
    for _ in range(40):
        await press("Tab")
        if await focused(tab) == f"dismiss-{row(1)}":
            break
    await press("d")
    await expect(tab.page.get_by_role("dialog")).to_contain_text("Dismiss Thing 1, Blue?")
    await press("Escape")
    assert await focused(tab) == f"dismiss-{row(1)}"
    await press("j")
    assert await focused(tab) == f"dismiss-{row(2)}"
    await press("d")
    await expect(tab.page.get_by_role("button", name="Dismiss", exact=True).last).to_be_focused()
    await press("Enter")
    await expect(toasts).to_contain_text("Dismissed: 1 alert.")
    await expect(tab.page.locator(f"#dismiss-{row(3)}")).to_be_focused()
    assert await rows(tab) == ["1", "3", "4", "5"]
    await press("x")
    await press("k")
    await press("x")
    await expect(tab.page.locator("#dismiss-chosen")).to_have_text("Dismiss 2 chosen")
    for _ in range(40):
        await press("Tab")
        if await focused(tab) == "dismiss-chosen":
            break
    await press("Enter")
    await expect(tab.page.get_by_role("dialog")).to_contain_text("Dismiss 2 alerts?")
    await press("Enter")
    await expect(toasts).to_contain_text("Dismissed: 2 alerts.")
    await expect(tab.page.locator("#alerts tr[data-item]")).to_have_count(2)
    assert await rows(tab) == ["4", "5"]
    await tab.page.get_by_role("link", name="Dismissed").click()
    assert sorted(await rows(tab)) == ["1", "2", "3"]
    await books.restock(3, 60, datetime.now(UTC), variant_id=variant(3))
    await tab.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # as who comes back to the tab
    await expect(tab.page.locator("#alerts tr[data-item]")).to_have_count(2)
