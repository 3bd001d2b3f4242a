"""What a person waits for at the inventory page while orders flow. Law: from the start or the click to what is painted.

One site; a real browser on the same machine. A view begins with an empty cache and ends in the frame in which the first
row stands. An adjustment begins with the click on Book and ends in the frame in which its row has changed.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import environ
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from playwright.async_api import Browser

from benchmarks.asking import orders_of
from benchmarks.openloop import COLD_BROKER_S, Clock, ms_within
from benchmarks.place import Ground, Place
from benchmarks.serving import Served, serving
from benchmarks.sites import Sites, lay_sites, site_id, verify_sites
from stock_worker.http.admin import pictures
from stock_worker.http.admin.session import BASE, COOKIE, HOME
from tests.browser.finding import find
from tests.browser.tabs import Tab, browser_at, tab_of

ORDERS_PER_S: Final = 200.0
VIEW_MAX_MS: Final = 500.0
ADJUST_MAX_MS: Final = 200.0
BYTES_MAX: Final = 150_000
PART: Final = 0.95
"""So many of them within the limit."""
_PER_VIEW: Final = 4
"""Adjustments after each view, of rows that are seen."""
_ROWS: Final = 20
_VIEW_MAX_S: Final = 10.0
"""A view with its adjustments, at most: so long orders are at hand."""
_ANSWER_MAX_S: Final = 30.0
_WATCH: Final = """
    new MutationObserver((_, watch) => {
        if (!document.querySelector("tr[data-item]")) return;
        watch.disconnect();
        requestAnimationFrame(() => requestAnimationFrame(() => { window.contentAt = performance.now(); }));
    }).observe(document, {childList: true, subtree: true});
"""
_BOOK: Final = """item => new Promise(done => {
    const version = () => document.getElementById("row-" + item).dataset.version;
    const before = version(), begun = performance.now();
    new MutationObserver((_, watch) => {
        if (version() === before) return;
        watch.disconnect();
        requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - begun)));
    }).observe(document.body, {childList: true, subtree: true, attributes: true});
    document.querySelector("#adjust-form .primary").click();
})"""


@dataclass(frozen=True, slots=True)
class Seen:
    """Sorted seconds of views and adjustments, the site's first view at its process, and the bytes of the largest view.

    A picture's bytes are not counted.
    """

    sites: Sites
    first_s: float
    views: Sequence[float]
    adjustments: Sequence[float]
    transferred: int
    orders_per_s: float


async def page(ground: Ground, sites: Sites, views: int, say: Callable[[str], None]) -> Seen:
    """Lay one site, let orders flow, and have a browser look `views` times and adjust some items each time."""
    async with ground.migrated() as url, ground.topics() as prefix, browser_at(find(environ)) as browser:
        now = await lay_sites(url, sites, say)
        await ground.checkpoint()
        place = Place(ground.stack.kafka_bootstrap, url, prefix)
        async with serving(place, 1, now) as served:
            seen = await _look(browser, place, served, sites, views)
        await verify_sites(url, sites)
    view_ms, adjustment_ms = (ms_within(took, PART) for took in (seen.views, seen.adjustments))
    say(f"95 of 100 views in {view_ms:.0f} ms, adjustments in {adjustment_ms:.0f} ms")
    return seen


async def _look(browser: Browser, place: Place, served: Served, sites: Sites, views: int) -> Seen:
    tag = place.prefix
    many = int(ORDERS_PER_S * (COLD_BROKER_S + _VIEW_MAX_S * (views + 1)))
    looked, adjusted, transferred = list[float](), list[float](), 0
    async with Clock(place, tag, orders_of(sites, tag), many) as clock:
        await clock.first_answer(served.worker)
        offering = asyncio.create_task(clock.offer(ORDERS_PER_S, served.worker))
        await asyncio.sleep(COLD_BROKER_S)
        answered, began = clock.answered, time.monotonic()
        with TemporaryDirectory() as folder:
            picture = Path(folder) / "fault.png"
            for view in range(views + 1):
                async with tab_of(browser, served.url, picture=picture) as tab:
                    looked.append(await _view(tab, served))
                    sizes = await tab.transferred()
                    transferred = max(transferred, sum(size for url, size in sizes.items() if pictures.PATH not in url))
                    adjusted += [await _adjust(tab, view * _PER_VIEW + each) for each in range(_PER_VIEW)]
        orders_per_s = (clock.answered - answered) / (time.monotonic() - began)
        offering.cancel()
    return Seen(sites, looked[0], sorted(looked[1:]), sorted(adjusted), transferred, orders_per_s)


async def _view(tab: Tab, served: Served) -> float:
    """Look at the site as somebody who is signed in and was never here; returns the seconds to the first row."""
    context = tab.page.context
    await context.add_cookies([{"name": COOKIE, "value": served.token, "url": f"{served.url}{BASE}/"}])
    await context.add_init_script(_WATCH)
    await tab.page.goto(f"{HOME}?site={site_id(0)}")
    return float(await (await tab.page.wait_for_function("window.contentAt")).json_value()) / 1_000


async def _adjust(tab: Tab, number: int) -> float:
    """Book one unit more or less of a row that is seen; returns the seconds from the click to the changed row."""
    row = tab.page.locator("tr[data-item]").nth(number % _ROWS)
    item = await row.get_attribute("data-item")
    await row.get_by_role("button").click()
    await tab.page.locator("#quantity").fill("1")
    await tab.page.locator(f"[name=kind][value={('more', 'damage')[number % 2]}]").check(force=True)
    async with asyncio.timeout(_ANSWER_MAX_S):
        return float(await tab.page.evaluate(_BOOK, item)) / 1_000
