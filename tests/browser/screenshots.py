"""Pictures of the pages for docs/screenshots, off the real program with a shop of data: `make screenshots`.

Law: a picture shows what the program serves, and a page that has a fault gives none. A page more is a line of `SHOTS`.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from playwright.async_api import Browser

from stock_worker import devstack
from stock_worker.http.app import BASE
from stock_worker.settings import Settings
from stock_worker.store.migrate import upgrade
from tests import databases
from tests.browser.finding import NoBrowserError, find
from tests.browser.shop import fill
from tests.browser.tabs import PHONE, PICTURES, WIDE, Tab, browser_at, tab_of
from tests.flow.running import make_topics, settings_for
from tests.http.booking import Books
from tests.http.running import token
from tests.http.served import Served, serving_process

FOLDER: Final = Path(__file__).parents[2] / "docs/screenshots"
SCREENS: Final = {"wide": WIDE, "phone": PHONE}
LIGHTS: Final = {"light": False, "dark": True}


_LIVE: Final = '#live :text-is("Live")'
_AT_REST: Final = """() => Promise.all([
    ...document.getAnimations().map(each => each.finished.catch(() => {})),
    ...[...document.images].filter(each => each.getBoundingClientRect().top < innerHeight).map(each => each.decode()),
])"""


def seen(selector: str) -> Callable[[Tab], Awaitable[None]]:
    """Wait until an element is seen."""

    async def act(tab: Tab) -> None:
        await tab.page.locator(selector).first.wait_for()

    return act


def signed_in(selector: str) -> Callable[[Tab], Awaitable[None]]:
    """Sign in, which leads back, and wait until an element is seen."""

    async def act(tab: Tab) -> None:
        await tab.page.get_by_label("Token").fill(token())
        await tab.page.get_by_role("button", name="Sign in").click()
        await seen(selector)(tab)

    return act


def opened(what: str, of: str, selector: str) -> Callable[[Tab], Awaitable[None]]:
    """Sign in, open the dialog of this name over the first row with these words, and wait until an element is seen."""

    async def act(tab: Tab) -> None:
        await signed_in(_LIVE)(tab)
        await tab.page.locator(f'table.items tr:has-text("{of}") [data-opens="{what}"]').first.click()
        await seen(f"dialog#{what}[open] {selector}")(tab)

    return act


async def an_order(tab: Tab) -> None:
    """Sign in, and go to the newest order of an item from its history."""
    await opened("history", "Ruled planner", "li.movement")(tab)
    await tab.page.locator('li.movement a[href^="/admin/orders"]').first.click()
    await seen("#order :is(.timeline, table)")(tab)


class Shot(NamedTuple):
    """What the files are named after, the path of the page, and what to do there before the picture is taken."""

    name: str
    path: str
    act: Callable[[Tab], Awaitable[None]]


SHOTS: Final = (
    Shot("swagger", f"{BASE}/docs", seen(".opblock")),
    Shot("sign-in", "/admin/sign-in", seen("form")),
    Shot("inventory", "/admin/inventory?sort=last_movement&order=desc", signed_in(_LIVE)),
    Shot("low-stock", "/admin/inventory?status=low_stock&sort=available", signed_in(_LIVE)),
    Shot("adjust", "/admin/inventory?q=mug", opened("adjust", "Enamel mug", "form")),
    Shot(
        "history", "/admin/inventory?sort=last_movement&order=desc", opened("history", "Ruled planner", "li.movement")
    ),
    Shot("alerts", "/admin/alerts", signed_in(_LIVE)),
    Shot("reports", "/admin/reports", signed_in("#valuation .told-table")),
    Shot("order", "/admin/inventory?sort=last_movement&order=desc", an_order),
    Shot("locations", "/admin/locations", signed_in("#places strong")),
    Shot("dead-letters", "/admin/dead-letters", signed_in("#letters")),
    Shot("settings", "/admin/settings", signed_in("#save")),
)


async def take(browser: Browser, served: Served, shots: Iterable[Shot], folder: Path) -> list[Path]:
    """Take each of these in light and dark, wide and on a phone; give the files. Raises AssertionError for faults."""
    taken = []
    for shot, (light, dark), (size, screen) in product(shots, LIGHTS.items(), SCREENS.items()):
        path = folder / f"{shot.name}-{light}-{size}.png"
        async with tab_of(browser, served.url, picture=PICTURES / path.name, screen=screen, dark=dark) as tab:
            await tab.page.goto(shot.path)
            await shot.act(tab)
            await tab.page.evaluate(_AT_REST)
            # A hidden caret is a style at its field, which a row read meanwhile would carry on: that is forbidden.
            picture = await tab.page.screenshot(animations="disabled", caret="initial")
        path.write_bytes(picture)
        taken.append(path)
    return taken


async def pictures_of_a_shop(shots: Iterable[Shot], settings: Settings, browser_path: str) -> list[Path]:
    """Fill a shop up to this moment, serve it, and take pictures of it.

    No worker runs beside: nobody told the shop's events, and one that finds them a month old pauses until they are.
    """
    await make_topics(settings.kafka_bootstrap, settings.topic_prefix)
    books = await Books.open(settings.database_url)
    await fill(books, datetime.now(UTC))
    await books.connection.close()
    with TemporaryDirectory() as room, serving_process("api", folder=Path(room), settings=settings) as served:
        await served.answers("/readyz", 200)
        async with browser_at(browser_path) as browser:
            return await take(browser, served, shots, FOLDER)


def main() -> int:
    """Take all pictures, or those that are named; 1 where there is no browser, 2 where there is no such name."""
    shots = tuple(shot for shot in SHOTS if shot.name in (sys.argv[1:] or [shot.name]))
    if len(shots) < len(sys.argv[1:]):
        sys.stderr.write(f"screenshots: there are {', '.join(shot.name for shot in SHOTS)}\n")
        return 2
    try:
        browser_path = find(os.environ)
    except NoBrowserError as fault:
        sys.stderr.write(f"screenshots: {fault}\n")
        return 1
    FOLDER.mkdir(parents=True, exist_ok=True)
    with devstack.stack() as stack, databases.new_database(stack.database_url) as database_url:
        upgrade(database_url)
        settings = settings_for(stack.kafka_bootstrap, database_url, "")
        for path in asyncio.run(pictures_of_a_shop(shots, settings, browser_path)):
            sys.stdout.write(f"{path.relative_to(Path.cwd())}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
