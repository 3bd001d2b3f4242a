"""Pictures for the docs: of a shop that has something to show, four of each page, and none of a page with a fault."""

import struct
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.browser.screenshots import Shot, seen, take
from tests.browser.shop import ARTICLES, fill
from tests.browser.tabs import Tab
from tests.http.booking import Books
from tests.http.running import serving
from tests.http.served import Served


def files(folder: Path) -> list[Path]:
    """What is in a folder."""
    return sorted(folder.iterdir())


async def test_the_shop_has_items_of_every_level(database: str) -> None:
    books = await Books.open(database)
    await fill(books, datetime(2026, 3, 31, 12, tzinfo=UTC))
    await books.connection.close()
    async with serving(database) as api:
        items = (await api.get("/items", limit=100)).json()["items"]
    assert len(items) == len(ARTICLES)
    assert {item["alert_level"] for item in items} == {"ok", "low", "critical", "out"}


async def test_a_page_gives_four_pictures(browser: Browser, app: Served, tmp_path: Path) -> None:
    taken = await take(browser, app, [Shot("health", "/healthz", seen("body"))], tmp_path)
    assert files(tmp_path) == sorted(taken)
    sizes = {path.name: struct.unpack(">II", path.read_bytes()[16:24]) for path in taken}
    assert sizes == {
        "health-light-wide.png": (1280, 800),
        "health-light-phone.png": (750, 1624),
        "health-dark-wide.png": (1280, 800),
        "health-dark-phone.png": (750, 1624),
    }


async def test_a_page_with_a_fault_gives_none(browser: Browser, app: Served, tmp_path: Path) -> None:
    async def break_it(tab: Tab) -> None:
        await tab.page.evaluate("console.error('no stock')")

    with pytest.raises(AssertionError, match="console: no stock"):
        await take(browser, app, [Shot("broken", "/healthz", break_it)], tmp_path)
    assert files(tmp_path) == []
