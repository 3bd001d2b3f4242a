"""US-306, adjusting stock: from a row's button, by the keyboard alone, once, and with everybody else at it too."""

from collections.abc import AsyncIterator
from typing import Final

import pytest
import pytest_asyncio
from playwright.async_api import Locator, expect

from stock_worker.settings import Settings
from tests.browser.conftest import OpenTab
from tests.browser.people import (
    MARKUP,
    Thing,
    adjusted,
    fits,
    focused,
    is_live,
    row,
    shop_of,
    shows,
    tabbed_to,
    visit,
)
from tests.browser.tabs import PHONE, Tab
from tests.http.booking import Books
from tests.http.running import product
from tests.http.served import Served

THINGS: Final = {number: Thing(f"Thing {number}", 10) for number in range(1, 9)} | {9: Thing(MARKUP, 10)}


@pytest_asyncio.fixture(scope="module")
async def books(settings: Settings) -> AsyncIterator[Books]:
    """A worker that books beside, in a shop of a few things."""
    async with shop_of(settings, THINGS) as opened:
        yield opened


@pytest.fixture
async def table(open_tab: OpenTab, whole: Served, books: Books) -> Tab:
    """The table, before an org_admin."""
    return await visit(open_tab, whole)


def dialog(tab: Tab) -> Locator:
    """The dialog that changes one item."""
    return tab.page.locator("dialog#adjust")


async def opened(tab: Tab, number: int) -> Locator:
    """Open the dialog of a row."""
    await row(tab, number).get_by_role("button", name="Adjust").click()
    await expect(dialog(tab)).to_be_visible()
    return dialog(tab)


async def booked(books: Books, number: int) -> list[tuple[str, int, str | None, str | None, str | None]]:
    """What the ledger has of a product since it was delivered."""
    rows = [each for each in await books.ledger() if each["product_id"] == product(number)]
    return [(each["type"], each["quantity"], each["reason"], each["note"], each["actor"]) for each in rows[1:]]


# ---------------------------------------------------------------- the story


async def test_each_row_has_a_button_that_opens_a_dialog_with_operation_quantity_and_reason(table: Tab) -> None:
    await expect(table.page.get_by_role("button", name="Adjust")).to_have_count(len(THINGS))
    there = await opened(table, 1)
    for name in ("Add: Restock", "Remove: Damaged", "Set: Counted", "Hold: Hold"):
        await expect(there.get_by_role("radio", name=name)).to_have_count(1)
    await expect(there.get_by_label("Quantity")).to_be_focused()
    await expect(there.get_by_label("Reason")).to_be_visible()


async def test_it_is_booked_through_the_api_told_in_a_toast_and_seen_in_the_row_at_once(
    table: Tab, books: Books
) -> None:
    there = await opened(table, 2)
    await there.get_by_role("radio", name="Remove: Damaged").check()
    await there.get_by_label("Quantity").fill("3")
    await expect(there.locator("[data-shows=available]")).to_have_text("10 \u2192 7")
    await there.get_by_label("Reason").fill("Damaged in storage")
    await there.get_by_label("Note").fill("wet")
    await there.get_by_role("button", name="Book").click()
    await expect(table.page.locator("#toasts .toast.good")).to_contain_text("Booked: Thing 2 \u22123, now 7 available")
    await expect(row(table, 2).locator("td.available")).to_have_text("7", timeout=1_000)
    await expect(there).to_be_hidden()
    assert await booked(books, 2) == [("damage", -3, "Damaged in storage", "wet", "Ada")]
    await table.page.get_by_role("button", name="Undo: Thing 2").click()
    await shows(table, 2, "10")


# ---------------------------------------------------------------- by keyboard


async def test_with_the_keyboard_alone_an_item_is_adjusted_and_the_focus_comes_back(table: Tab, books: Books) -> None:
    button = f"adjust-{product(3)}_none"
    await tabbed_to(table, button)
    await table.page.keyboard.press("Enter")
    await expect(dialog(table).get_by_label("Quantity")).to_be_focused()
    await table.page.keyboard.type("4")
    await table.page.keyboard.press("Shift+Tab")
    await table.page.keyboard.press("ArrowRight")
    await expect(dialog(table).locator("[data-shows=available]")).to_have_text("10 \u2192 14")
    await table.page.keyboard.press("Enter")
    await shows(table, 3, "14")
    await expect(dialog(table)).to_be_hidden()
    assert await focused(table) == button
    assert [each[:2] for each in await booked(books, 3)] == [("return", 4)]


async def test_escape_closes_the_dialog_and_nothing_is_booked(table: Tab, books: Books) -> None:
    await table.page.locator(f"#history-{product(4)}_none").focus()
    await table.page.keyboard.press("a")
    await expect(dialog(table)).to_be_visible()
    await table.page.keyboard.type("9")
    await table.page.keyboard.press("Escape")
    await expect(dialog(table)).to_be_hidden()
    assert await focused(table) == f"adjust-{product(4)}_none"
    assert await booked(books, 4) == []


async def test_what_is_refused_says_what_is_possible_and_that_is_booked(table: Tab, books: Books) -> None:
    there = await opened(table, 5)
    await there.get_by_role("radio", name="Remove: Sale").check()
    await there.get_by_label("Quantity").fill("12")
    await there.get_by_role("button", name="Book").click()
    await expect(there.get_by_role("alert").first).to_contain_text("At most 10 can be booked")
    assert await table.violations() == []
    await there.get_by_role("button", name="Use 10").click()
    await there.get_by_role("button", name="Book").click()
    await shows(table, 5, "0")
    assert [each[:2] for each in await booked(books, 5)] == [("sale", -10)]
    await table.fault("409|htmx:")


# ---------------------------------------------------------------- with others


async def test_two_who_adjust_one_item_both_see_the_end_and_what_they_preview_stays_true(
    open_tab: OpenTab, table: Tab, whole: Served, books: Books
) -> None:
    other = await visit(open_tab, whole)
    await is_live(table)
    await is_live(other)
    mine = await opened(table, 6)
    await mine.get_by_role("radio", name="Remove: Damaged").check()
    await mine.get_by_label("Quantity").fill("2")
    await expect(mine.locator("[data-shows=available]")).to_have_text("10 \u2192 8")
    theirs = await opened(other, 6)
    await theirs.get_by_label("Quantity").fill("5")
    await theirs.get_by_role("button", name="Book").click()
    await expect(mine.locator("[data-shows=available]")).to_have_text("15 \u2192 13", timeout=20_000)
    await mine.get_by_role("button", name="Book").click()
    await shows(table, 6, "13")
    await shows(other, 6, "13")
    assert [each[1] for each in await booked(books, 6)] == [5, -2]


async def test_on_a_slow_network_a_second_click_books_nothing_more(table: Tab, books: Books) -> None:
    there = await opened(table, 7)
    await there.get_by_label("Quantity").fill("1")
    await table.slow_network(latency_ms=500)
    await there.get_by_role("button", name="Book").dblclick()
    await shows(table, 7, "11")
    assert len(await booked(books, 7)) == 1


async def test_a_server_that_does_not_answer_is_told_and_the_same_try_again_books_once(
    table: Tab, whole: Served, books: Books
) -> None:
    there = await opened(table, 8)
    await there.get_by_label("Quantity").fill("1")
    await table.page.context.set_offline(offline=True)
    await there.get_by_role("button", name="Book").click()
    await expect(there.locator(".lost")).to_contain_text("Nothing is booked twice: try again.")
    await table.page.context.set_offline(offline=False)
    await there.get_by_role("button", name="Book").click()
    await shows(table, 8, "11")
    async with whole.client() as client:
        await adjusted(client, 8, 1, "after it")
    await shows(table, 8, "12")
    assert [each[1] for each in await booked(books, 8)] == [1, 1]
    await table.fault("ERR_INTERNET_DISCONNECTED|htmx:")


# ---------------------------------------------------------------- for everybody


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_on_a_phone_the_dialog_fits_and_axe_finds_nothing(
    open_tab: OpenTab, whole: Served, books: Books, dark: bool
) -> None:
    tab = await visit(open_tab, whole, screen=PHONE, dark=dark)
    there = await opened(tab, 9)
    await expect(there.locator("h2")).to_have_text(f"Adjust {MARKUP}")
    assert await fits(tab)
    assert await tab.violations() == []
    box = await there.get_by_role("button", name="Book").bounding_box()
    assert box is not None
    assert box["height"] >= 44
    assert box["y"] + box["height"] <= PHONE.height
