"""Pictures for the docs: of a shop that has something to show, four of each page, and none of a page with a fault."""

import struct
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.browser.screenshots import Shot, seen, take
from tests.browser.tabs import Tab
from tests.http.served import Served


def files(folder: Path) -> list[Path]:
    """What is in a folder."""
    return sorted(folder.iterdir())


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
