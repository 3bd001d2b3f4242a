"""US-305, the inventory table: what a row shows, what colours it, and that it is true while one looks at it."""

import asyncio
import colorsys
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio
from playwright.async_api import expect

from stock_worker.http.admin.session import HOME, SIGN_IN, SITES
from stock_worker.settings import Settings
from tests.browser.conftest import OpenTab
from tests.browser.people import (
    MARKUP,
    Thing,
    adjusted,
    fits,
    focused,
    is_live,
    rejoin,
    row,
    shop_of,
    shows,
    sign_in,
    sku,
    tabbed_to,
    visit,
)
from tests.browser.tabs import PHONE, Tab
from tests.http.booking import Books
from tests.http.running import OTHER, SITE, product, token
from tests.http.served import Served, serving_process

THINGS: Final = {
    1: Thing("Mug", 50),
    2: Thing("Board", 8),
    3: Thing("Knife", 2),
    4: Thing("Pan", 0),
    5: Thing(MARKUP, 30),
    6: Thing("Basket", 40),
    7: Thing("Candle", 3),
}


@pytest_asyncio.fixture(scope="module")
async def books(settings: Settings) -> AsyncIterator[Books]:
    """A worker that books beside, in a shop of a few things."""
    async with shop_of(settings, THINGS) as opened:
        yield opened


@pytest.fixture
async def table(open_tab: OpenTab, whole: Served, books: Books) -> Tab:
    """The table, before an org_admin."""
    return await visit(open_tab, whole)


# ---------------------------------------------------------------- the story


async def test_the_page_is_at_admin_inventory_for_who_signs_in(open_tab: OpenTab, whole: Served, books: Books) -> None:
    tab = await open_tab(whole.url)
    await tab.page.goto(f"{HOME}?q=mug")
    assert await tab.violations() == []
    await tab.page.keyboard.type(token())
    await tab.page.keyboard.press("Enter")
    await expect(row(tab, 1)).to_be_visible()
    assert tab.page.url == f"{whole.url}{HOME}?q=mug"
    await tab.page.get_by_role("button", name="Sign out").click()
    await expect(tab.page).to_have_url(re.compile(SIGN_IN))


@pytest.mark.parametrize(("number", "status"), [(1, "In stock"), (2, "Low"), (3, "Critical"), (4, "Out of stock")])
async def test_a_row_shows_product_variant_sku_stock_and_status(table: Tab, number: int, status: str) -> None:
    there = row(table, number)
    await expect(there.locator("td.name strong")).to_have_text(THINGS[number].name)
    await expect(there.locator("td.sku")).to_have_text(sku(number))
    await expect(there.locator("td.quantity")).to_have_text(str(THINGS[number].quantity))
    await expect(there.locator("td.status")).to_have_text(status)


async def hue(tab: Tab, number: int) -> float:
    """The colour of the bar at a row's edge, as degrees on the wheel: red is 0, yellow 60; -1 where there is none."""
    found = "id => getComputedStyle(document.getElementById(id).cells[0]).boxShadow"
    shadow = await tab.page.evaluate(found, f"row-{product(number)}_none")
    if shadow == "none":
        return -1
    red, green, blue = (int(part) / 255 for part in re.findall(r"\d+", shadow)[:3])
    return colorsys.rgb_to_hsv(red, green, blue)[0] * 360


async def test_what_is_low_is_yellow_and_what_is_out_is_red_by_the_thresholds_of_the_rules(
    table: Tab, books: Books
) -> None:
    bars = {number: await hue(table, number) for number in (1, 2, 4)}
    assert bars[1] == -1
    assert 40 < bars[2] < 65
    assert min(bars[4], 360 - bars[4]) < 15
    await books.rule(product(6), low_stock_threshold=45)
    await table.page.reload()
    await expect(row(table, 6).locator("td.status")).to_have_text("Low")
    assert 40 < await hue(table, 6) < 65


# ---------------------------------------------------------------- while one looks


async def test_a_hundred_changes_move_nothing_but_their_figures(table: Tab, whole: Served) -> None:
    """Nor the focus, nor what is chosen."""
    await is_live(table)
    box = row(table, 1).get_by_role("checkbox")
    await box.check()
    await table.page.locator(f"#adjust-{product(2)}_none").focus()
    async with whole.client() as client:
        for turn in range(10):
            numbers = [(turn + number) % 3 + 1 for number in range(10)]
            await asyncio.gather(*(adjusted(client, n, 1, f"live {turn}/{at}") for at, n in enumerate(numbers)))
    left = {n: THINGS[n].quantity + sum((t + a) % 3 + 1 == n for t in range(10) for a in range(10)) for n in (1, 2, 3)}
    for number, quantity in left.items():
        await shows(table, number, str(quantity))
    assert await table.layout_shift() == 0
    assert await focused(table) == f"adjust-{product(2)}_none"
    await expect(box).to_be_checked()
    await expect(table.page.locator("#selection [role=status]")).to_have_text("1 selected")


async def test_a_click_that_began_before_its_row_moved_is_not_lost(table: Tab, whole: Served) -> None:
    await is_live(table)
    before = int(await row(table, 1).locator("td.available").inner_text())
    await table.page.locator(f"#adjust-{product(1)}_none").hover()
    await table.page.mouse.down()
    async with whole.client() as client:
        await adjusted(client, 1, 1, "meanwhile")
    await shows(table, 1, str(before + 1))
    await table.page.mouse.up()
    await expect(table.page.locator("#adjust-form")).to_be_visible()


async def test_who_is_signed_out_meanwhile_is_told_and_comes_back_to_where_he_was(table: Tab, whole: Served) -> None:
    await table.page.goto(f"{HOME}?status=low_stock")
    await is_live(table)
    await sign_in(table, "a token that has ended")
    await rejoin(table)
    toast = table.page.locator("#toasts .toast")
    await expect(toast).to_contain_text("The session has ended.")
    await expect(table.page.locator("#live")).to_have_text("Signed out")
    await toast.get_by_role("link", name="Sign in").click()
    await expect(table.page.locator("#message")).to_contain_text("The session has ended.")
    await table.page.keyboard.type(token())
    await table.page.keyboard.press("Enter")
    await expect(row(table, 7)).to_be_visible()
    assert table.page.url == f"{whole.url}{HOME}?status=low_stock"
    await sign_in(table, "a token that has ended")
    await table.page.locator("#sort-quantity").click()
    await expect(table.page.locator("#message")).to_contain_text("The session has ended.")
    assert "status%3Dlow_stock" in table.page.url


# ---------------------------------------------------------------- finding


async def test_what_is_shown_is_in_the_address_and_back_and_forward_lead_through_it(table: Tab, whole: Served) -> None:
    search = table.page.get_by_role("searchbox")
    await table.page.keyboard.press("/")
    await table.page.keyboard.type("sku-3")
    await expect(row(table, 1)).to_have_count(0)
    await expect(row(table, 3)).to_be_visible()
    await table.page.goto(HOME)
    await table.page.locator("#low").click()
    await expect(row(table, 1)).to_have_count(0)
    await table.page.locator("#sort-sku").click()
    await expect(table.page.locator("th.sku")).to_have_attribute("aria-sort", "ascending")
    await table.page.go_back()
    await expect(table.page.locator("th.name")).to_have_attribute("aria-sort", "ascending")
    await expect(table.page.locator("#low")).to_have_attribute("aria-checked", "true")
    await table.page.go_back()
    await expect(row(table, 1)).to_be_visible()
    await table.page.go_back()
    await expect(row(table, 1)).to_have_count(0)
    await expect(search).to_have_value("sku-3")
    await table.page.go_forward()
    await expect(row(table, 1)).to_be_visible()
    await expect(search).to_have_value("")


async def test_on_a_slow_network_it_says_that_it_works_and_the_last_that_was_asked_is_shown(table: Tab) -> None:
    await table.slow_network(latency_ms=1_500)  # more than the next step takes on a busy machine
    await table.page.locator("#low").click()
    await expect(table.page.locator("#results")).to_have_attribute("aria-busy", "true")
    await table.page.get_by_role("searchbox").fill("sku-1")
    await expect(row(table, 3)).to_have_count(0)
    await expect(table.page.locator("#results")).not_to_have_attribute("aria-busy", "true")
    await table.fault("htmx:(sendAbort|afterRequest)")  # what htmx says of a request that another one took the place of


# ---------------------------------------------------------------- several at once


async def test_several_are_chosen_and_adjusted_and_each_says_what_became_of_it(table: Tab, books: Books) -> None:
    before = len(await books.ledger())
    await row(table, 6).get_by_role("checkbox").focus()
    await table.page.keyboard.press("x")
    await row(table, 4).get_by_role("link", name="History").focus()
    await table.page.keyboard.press("x")
    await expect(table.page.locator("#selection [role=status]")).to_have_text("2 selected")
    await tabbed_to(table, "adjust-selected")
    await table.page.keyboard.press("Enter")
    dialog = table.page.locator("dialog#bulk")
    await expect(dialog).to_be_visible()
    assert await table.violations() == []
    await dialog.get_by_role("radio", name="Remove: Sale").check()
    await dialog.locator("#quantity").fill("1")
    await table.page.keyboard.press("Enter")
    await expect(dialog.locator("h2")).to_have_text("1 booked, 1 not")
    await expect(dialog.locator(".not")).to_contain_text("Not booked: none can be as things stand")
    assert await table.violations() == []
    await shows(table, 6, str(THINGS[6].quantity - 1))
    await table.page.keyboard.press("Escape")
    await expect(table.page.locator("#selection [role=status]")).to_have_text("1 selected")
    await expect(row(table, 4).get_by_role("checkbox")).to_be_checked()
    await table.page.locator("#pick-all").check()
    await expect(table.page.locator("#selection [role=status]")).to_have_text(f"{len(THINGS)} selected")
    await table.page.keyboard.press("Escape")
    await expect(table.page.locator("#selection")).to_be_hidden()
    assert await focused(table) == "pick-all"
    assert len(await books.ledger()) == before + 1


# ---------------------------------------------------------------- for everybody


PAGES: Final = {"sites": SITES, "a problem": f"{HOME}?site={OTHER}"}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_axe_finds_nothing_on_the_table_sites_and_a_problem(
    open_tab: OpenTab, whole: Served, books: Books, dark: bool
) -> None:
    tab = await visit(open_tab, whole, dark=dark)
    await row(tab, 1).get_by_role("checkbox").check()
    assert await tab.violations() == []
    for path in PAGES.values():
        await tab.page.goto(path)
        assert await tab.violations() == [], path
    await tab.fault("403")
    await tab.page.context.clear_cookies()
    await tab.page.goto(HOME)
    assert await tab.violations() == [], "signing in"


async def test_on_a_phone_each_item_is_a_card_that_fits(open_tab: OpenTab, whole: Served, books: Books) -> None:
    tab = await visit(open_tab, whole, screen=PHONE)
    assert await fits(tab)
    assert await tab.violations() == []
    for target in await row(tab, 5).get_by_role("button").all() + await row(tab, 5).locator(".pick label").all():
        box = await target.bounding_box()
        assert box is not None
        assert box["height"] >= 44
    await expect(row(tab, 5).locator("td.name strong")).to_have_text(THINGS[5].name)


async def test_markup_in_a_name_is_text(table: Tab) -> None:
    await expect(row(table, 5).locator("td.name strong")).to_have_text(MARKUP)
    await expect(row(table, 5).get_by_role("button", name=f"Adjust {MARKUP}")).to_be_visible()


async def test_a_viewer_sees_nothing_that_changes_anything(open_tab: OpenTab, whole: Served, books: Books) -> None:
    tab = await visit(open_tab, whole, role="viewer")
    await expect(row(tab, 1)).to_be_visible()
    await expect(tab.page.get_by_role("checkbox")).to_have_count(0)
    await expect(tab.page.locator("main").get_by_role("button")).to_have_count(0)
    assert (await tab.page.goto(f"{HOME}/bulk?site={SITE}&item={product(1)}_none")).status == 403  # type: ignore[union-attr]
    await tab.fault("403")


# ---------------------------------------------------------------- the end: it takes the program of the others away


async def test_a_server_that_restarts_is_told_of_and_what_it_missed_is_caught_up_with(
    open_tab: OpenTab, whole: Served, books: Books, settings: Settings, tmp_path: Path
) -> None:
    tab = await open_tab(whole.url)
    await tab.page.clock.install()
    await sign_in(tab, token("viewer"))
    await tab.page.goto(HOME)
    await is_live(tab)
    whole.popen.terminate()
    await whole.ended(20)
    await expect(tab.page.locator("#live")).to_have_text("Not live: trying again")
    async with tab.page.expect_event("requestfailed", lambda request: "REFUSED" in request.failure):
        await tab.page.clock.fast_forward(10_000)  # as long as it waits at most before it tries again
    await books.adjust("adjustment", 7, -1, datetime.now(UTC))
    again = {"STOCK_HTTP_PORT": str(whole.port)}
    with serving_process("run", "--with-api", folder=tmp_path, settings=settings, more=again) as second:
        await replace(second, port=whole.port).answers("/readyz", 200)
        await tab.page.clock.fast_forward(10_000)
        await is_live(tab)
        await shows(tab, 7, str(THINGS[7].quantity - 1))
        await tab.page.goto("about:blank")
    await tab.fault(
        "ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_CONNECTION_RESET|503|htmx:(sendError|afterR)"
    )
