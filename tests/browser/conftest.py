"""What a test in a browser starts from: a browser, tabs, and the program as processes over a database of the file.

async def test_it(open_tab: OpenTab, app: Served) -> None:
    tab = await open_tab(app.url, screen=PHONE, dark=True)
    await tab.page.goto("/api/v1/docs")
    assert await tab.violations() == []
"""

import os
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import AsyncExitStack
from typing import Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from stock_worker.devstack import Stack
from stock_worker.settings import Settings
from tests.browser.finding import NoBrowserError, find
from tests.browser.tabs import PICTURES, Tab, browser_at, tab_of
from tests.flow.running import make_topics, settings_for
from tests.http.served import Served, serving_process

OpenTab = Callable[..., Awaitable[Tab]]
_FAILED: Final = pytest.StashKey[bool]()


# ---------------------------------------------------------------- the browser


@pytest_asyncio.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """The machine's browser, one for each process of the run; without one its tests are skipped."""
    try:
        path = find(os.environ)
    except NoBrowserError as fault:
        pytest.skip(str(fault))
    async with browser_at(path) as started:
        yield started


@pytest.fixture
async def open_tab(browser: Browser, request: pytest.FixtureRequest) -> AsyncIterator[OpenTab]:
    """Open tabs, each as if nobody had used the browser before; the arguments are those of `tabs.tab_of`."""
    name = re.sub(r"\W+", "-", request.node.nodeid)
    async with AsyncExitStack() as leaving:
        opened = 0

        async def opening(base_url: str, **more: object) -> Tab:
            nonlocal opened
            opened += 1
            picture = request.config.rootpath / PICTURES / f"{name}-{opened}.png"
            failed = lambda: request.node.stash.get(_FAILED, False)  # noqa: E731 - known only when it is asked
            return await leaving.enter_async_context(
                tab_of(browser, base_url, picture=picture, failed=failed, **more)  # type: ignore[arg-type] # handed on
            )

        yield opening


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell the tabs of a test, before they are closed, whether it failed."""
    report = yield
    item.stash[_FAILED] = item.stash.get(_FAILED, False) or report.failed
    return report


# ---------------------------------------------------------------- the program


@pytest.fixture(scope="module")
def settings(stack: Stack, module_database: str) -> Settings:
    """The settings that the processes of one file share: a database, and topics that no other file has."""
    return settings_for(stack.kafka_bootstrap, module_database, f"t{uuid.uuid4().hex[:10]}-")


@pytest_asyncio.fixture(scope="module")
async def app(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """`stock-worker api`, ready; `tests.http.running.token` makes what it takes."""
    with serving_process("api", folder=tmp_path_factory.mktemp("api"), settings=settings) as served:
        await served.answers("/readyz", 200)
        yield served


@pytest_asyncio.fixture(scope="module")
async def worker(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """`stock-worker run` beside it, ready, for a test that sends messages."""
    await make_topics(settings.kafka_bootstrap, settings.topic_prefix)
    with serving_process("run", folder=tmp_path_factory.mktemp("run"), settings=settings) as served:
        await served.answers("/readyz", 200)
        yield served


@pytest_asyncio.fixture(scope="module")
async def whole(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """`stock-worker run --with-api`, ready: what is changed in a page is told to every page."""
    await make_topics(settings.kafka_bootstrap, settings.topic_prefix)
    with serving_process("run", "--with-api", folder=tmp_path_factory.mktemp("whole"), settings=settings) as served:
        await served.answers("/readyz", 200)
        yield served
