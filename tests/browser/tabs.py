"""A browser, its tabs, and what is read off one. Law: a browser reaches this machine alone, and no fault is unseen.

Each tab has a context of its own: no cookie, no cache and no setting is left of another test. A console error, an
uncaught exception or a failed request of it fails the test, unless the test said that it came (`Tab.fault`).
"""

import re
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from playwright.async_api import Browser, CDPSession, ConsoleMessage, Page, Request, async_playwright

from tests.flow.running import until

VENDORED: Final = Path(__file__).with_name("vendored")
PICTURES: Final = Path(".pytest_cache/browser")
"""Where pictures of what failed are kept, below the folder of the run."""
_HERE_ALONE: Final = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
_WATCH_SHIFT: Final = """
    window.layoutShift = 0;
    const add = entries => entries.forEach(each => { if (!each.hadRecentInput) window.layoutShift += each.value; });
    window.layoutShifts = new PerformanceObserver(list => add(list.getEntries()));
    window.layoutShifts.observe({type: "layout-shift", buffered: true});
"""
_READ_SHIFT: Final = """async () => {
    const frame = () => new Promise(requestAnimationFrame);
    await frame(); await frame();  // what was changed just now is laid out in the first and told in the second
    window.layoutShifts.takeRecords().forEach(each => { if (!each.hadRecentInput) window.layoutShift += each.value; });
    return window.layoutShift;
}"""


class Screen(NamedTuple):
    """What a page is shown on: its size in CSS pixels, the device's pixels to each, and whether it is a phone."""

    width: int
    height: int
    density: int = 1
    is_phone: bool = False


WIDE: Final = Screen(1280, 800)
PHONE: Final = Screen(375, 812, density=2, is_phone=True)


@asynccontextmanager
async def browser_at(path: str) -> AsyncIterator[Browser]:
    """Run the browser at a path for as long as the block runs, without a window."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=[_HERE_ALONE])
        try:
            yield browser
        finally:
            await browser.close()


@dataclass
class Tab:
    """A page, and what came of it so far."""

    page: Page
    wire: CDPSession
    faults: list[str] = field(default_factory=list)
    requested: list[str] = field(default_factory=list)
    _urls: dict[str, str] = field(default_factory=dict)
    _bytes: dict[str, int] = field(default_factory=dict)

    async def fault(self, pattern: str) -> None:
        """Say that a fault which a regular expression finds is wanted here, and wait until it came."""
        await until(lambda: any(re.search(pattern, fault) for fault in self.faults))
        self.faults[:] = [fault for fault in self.faults if not re.search(pattern, fault)]

    async def violations(self) -> list[str]:
        """What axe holds against the page as it is now, one line for each rule and element."""
        await self._run(_axe())  # over the wire, which no content security policy forbids
        return await self._run("""axe.run({resultTypes: ["violations"]}).then(({violations}) => violations.flatMap(
            ({id, impact, help, nodes}) => nodes.map(({target}) => `${id} (${impact}): ${target}: ${help}`)))""")

    async def layout_shift(self) -> float:
        """How much of what was seen moved unasked since the page was opened: the sum of its layout shift scores.

        What comes within half a second of a person's click or key is asked for, and left out.
        """
        return await self.page.evaluate(_READ_SHIFT)

    async def transferred(self) -> dict[str, int]:
        """How many bytes, with headers and as compressed, each URL brought since the tab was opened.

        What is still under way, such as a stream of events, is not among them.
        """
        await self._settle()
        return dict(self._bytes)

    async def slow_network(self, *, latency_ms: int = 400, bytes_per_s: int = 50_000) -> None:
        """Have each request from now on go as over a bad mobile connection."""
        limits = {"latency": latency_ms, "downloadThroughput": bytes_per_s, "uploadThroughput": bytes_per_s}
        await self.wire.send("Network.emulateNetworkConditions", {"offline": False, **limits})

    async def end(self, picture: Path, *, failed: bool) -> None:
        """Keep a picture of what failed, and say where; raise AssertionError for faults that nobody wanted."""
        await self._settle()
        if failed or self.faults:
            picture.parent.mkdir(parents=True, exist_ok=True)
            await self.page.screenshot(path=picture)
            sys.stdout.write(f"{self.page.url} as it was: {picture}\n")
        assert not self.faults, "\n".join(["the page had faults:", *self.faults])

    async def watch(self) -> None:
        """Begin to note what comes of the page."""
        context = self.page.context
        context.on("console", self._note_console)
        context.on("weberror", lambda fault: self.faults.append(f"exception: {fault.error}"))
        context.on("requestfailed", self._note_failed)
        context.on("request", lambda request: self.requested.append(request.url))
        await context.add_init_script(_WATCH_SHIFT)
        self.wire.on("Network.requestWillBeSent", self._note_sent)
        self.wire.on("Network.loadingFinished", self._note_finished)
        await self.wire.send("Network.enable")

    async def _run(self, expression: str) -> Any:  # noqa: ANN401 - whatever the expression gives
        asked = {"expression": expression, "awaitPromise": True, "returnByValue": True}
        answer = await self.wire.send("Runtime.evaluate", asked)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def _settle(self) -> None:
        """Wait until what the browser has told so far is noted: it answers in order."""
        await self.wire.send("Runtime.evaluate", {"expression": "0"})
        await self.page.title()

    def _note_console(self, message: ConsoleMessage) -> None:
        url = message.location["url"]
        # A browser asks for this on its own where a page names no icon, but once in its life: no test could expect it.
        if message.type == "error" and not url.endswith("/favicon.ico"):
            self.faults.append(f"console: {message.text} ({url})")

    def _note_failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # the page itself or a click to elsewhere ended it
            self.faults.append(f"request: {request.failure}: {request.method} {request.url}")

    def _note_sent(self, event: dict[str, Any]) -> None:
        number = event["requestId"]
        if redirect := event.get("redirectResponse"):
            self._note_finished({"requestId": number, "encodedDataLength": redirect["encodedDataLength"]})
        self._urls[number] = event["request"]["url"]

    def _note_finished(self, event: dict[str, Any]) -> None:
        url = self._urls.get(event["requestId"], "")
        self._bytes[url] = self._bytes.get(url, 0) + int(event["encodedDataLength"])


@asynccontextmanager
async def tab_of(
    browser: Browser,
    base_url: str,
    *,
    picture: Path,
    failed: Callable[[], bool] = lambda: False,
    screen: Screen = WIDE,
    dark: bool = False,
    locale: str = "en-GB",
    time_zone: str = "UTC",
) -> AsyncIterator[Tab]:
    """Open a tab at a person who sits there, uses that screen and likes it dark; close it when the block ends.

    Paths are below `base_url`. `failed` is asked at the end: a picture is then kept, as it is after a fault. Raises
    AssertionError for faults.
    """
    context = await browser.new_context(
        base_url=base_url,
        viewport={"width": screen.width, "height": screen.height},
        device_scale_factor=screen.density,
        is_mobile=screen.is_phone,
        has_touch=screen.is_phone,
        color_scheme="dark" if dark else "light",
        locale=locale,
        timezone_id=time_zone,
    )
    try:
        page = await context.new_page()
        tab = Tab(page, await context.new_cdp_session(page))
        await tab.watch()
        yield tab
        await tab.end(picture, failed=failed())
    finally:
        await context.close()


@cache
def _axe() -> str:
    return (VENDORED / "axe.min.js").read_text(encoding="utf-8")
