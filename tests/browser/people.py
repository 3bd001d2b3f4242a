"""Somebody at the inventory page: signed in, with the table open, or with no more than a keyboard."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final, NamedTuple

import httpx
from playwright.async_api import Locator, expect

from stock_worker.http.admin.session import BASE, COOKIE, HOME
from stock_worker.http.app import BASE as API
from stock_worker.settings import Settings
from tests.browser.conftest import OpenTab
from tests.browser.tabs import Tab
from tests.http.booking import Books
from tests.http.running import SITE, product, token
from tests.http.served import Served

MARKUP: Final = "<img src=x onerror=alert(1)> & \"Sons'"


class Thing(NamedTuple):
    """A product, and how many of it there are."""

    name: str
    quantity: int


async def lay(books: Books, things: dict[int, Thing]) -> None:
    """Have these announced and delivered just now."""
    now = datetime.now(UTC)
    for number, thing in things.items():
        await books.announce(number, now, name=thing.name, sku=sku(number), category_id="c", category_name="Things")
        if thing.quantity:
            await books.restock(number, thing.quantity, now, unit_cost="2.50")


@asynccontextmanager
async def shop_of(settings: Settings, things: dict[int, Thing]) -> AsyncIterator[Books]:
    """A worker that books beside, in a shop of these, for as long as the block runs."""
    books = await Books.open(settings.database_url, settings.topic_prefix)
    await lay(books, things)
    yield books
    await books.connection.close()


def sku(number: int) -> str:
    """A product's sku."""
    return f"SKU-{number}"


async def sign_in(tab: Tab, bearer: str) -> None:
    """Have the cookie that a signed in browser has."""
    await tab.page.context.add_cookies(
        [
            {
                "name": COOKIE,
                "value": bearer,
                "domain": "127.0.0.1",
                "path": BASE,
                "httpOnly": True,
                "sameSite": "Strict",
            }
        ]
    )


async def arrived(open_tab: OpenTab, served: Served, role: str = "org_admin", **screen: object) -> Tab:
    """Open a tab at somebody who is signed in and looks at nothing yet."""
    tab = await open_tab(served.url, **screen)
    await sign_in(tab, token(role))
    return tab


async def visit(open_tab: OpenTab, served: Served, path: str = HOME, role: str = "org_admin", **screen: object) -> Tab:
    """Open a tab at a page, signed in; where none is named, at the table."""
    tab = await arrived(open_tab, served, role, **screen)
    await tab.page.goto(path)
    return tab


async def is_live(tab: Tab) -> None:
    """Wait until the table follows the stock."""
    await expect(tab.page.locator("#live")).to_have_text("Live", timeout=20_000)


def row(tab: Tab, number: int) -> Locator:
    """A product's row."""
    return tab.page.locator(f"#row-{product(number)}_none")


async def shows(tab: Tab, number: int, available: str) -> None:
    """Wait until a row says how many are available."""
    await expect(row(tab, number).locator("td.available")).to_have_text(available, timeout=20_000)


async def focused(tab: Tab) -> str:
    """The id of what has the focus, else its tag."""
    found: str = await tab.page.evaluate("document.activeElement.id || document.activeElement.tagName")
    return found


async def tabbed_to(tab: Tab, wanted: str, *, at_most: int = 60) -> None:
    """Press Tab until an element has the focus; each stop on the way must be seen to have it."""
    for _ in range(at_most):
        await tab.page.keyboard.press("Tab")
        outline = await tab.page.evaluate(_OUTLINE)
        assert outline != "none", await tab.page.evaluate("document.activeElement.outerHTML")
        if await focused(tab) == wanted:
            return
    raise AssertionError(f"Tab does not lead to {wanted}")


async def adjusted(client: httpx.AsyncClient, number: int, quantity: int, key: str) -> None:
    """Have a product adjusted by the API."""
    body = {"type": "adjustment", "lines": [{"product_id": product(number), "quantity": quantity}]}
    headers = {"Idempotency-Key": key}
    answer = await client.post(f"{API}/sites/{SITE}/adjustments", json=body, headers=headers)
    assert answer.status_code == 200, answer.text


async def fits(tab: Tab) -> bool:
    """Whether nothing sticks out to the side."""
    return bool(await tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


async def rejoin(tab: Tab) -> None:
    """Have the page connect again, as it does when a person comes back to its tab."""
    await tab.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


_OUTLINE: Final = """() => {
    const at = document.activeElement;
    const shown = at.matches("[type=radio]") ? at.nextElementSibling : at;
    return getComputedStyle(shown).outlineStyle;
}"""
