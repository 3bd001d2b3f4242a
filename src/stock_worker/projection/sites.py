"""The sites that a process holds. Law: what is held is whole and no newer than who asks, or it is not held.

A site is loaded when it is asked for first, on a connection of the load's own, and whoever asks meanwhile waits for it.
Those who ask of one site take turns: each begins its snapshot in its turn, so that snapshots follow one another, brings
what is held up to it, and has its answer before the next begins. What was being loaded or brought up when something
failed or was cut off is dropped. What is held for RELOAD_S is loaded anew beside its use.

Whoever comes back to a site waits for all that moved since: so a site that is in use is followed, sooner or later by
how much moves there.
Source: contract section 7.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeVar

from stock_worker.log import one_line, say
from stock_worker.metrics import Metrics
from stock_worker.projection.asked import Question
from stock_worker.projection.refresh import AT_ONCE, RECORDED_BACK, Held

if TYPE_CHECKING:
    from asyncpg import Connection

logger = logging.getLogger(__name__)

T = TypeVar("T")
Reading = Callable[[Iterable[str], float | None], AbstractAsyncContextManager["Connection"]]
"""Opens a snapshot on which these sites are seen, for at most so many seconds (None: as long as a request may take)."""

RELOAD_S: Final = 600.0
"""`rebuild` mends counters without a movement: what it mended is shown after so long."""
ITEMS_MAX: Final = 3_000_000
"""Items that a process holds: some 600 bytes each. The site that was asked for longest ago goes first."""
FOLLOW_S: Final = 1.0
FOLLOW_MAX_S: Final = 3.0
"""Each time costs some five round trips, however little has moved."""
_IN_USE_S: Final = 300.0
"""How long after it was asked for a site is followed: somebody who looks at a page is about to ask again."""
_LOADS: Final = 2
"""Loads at once: each keeps a connection, which others need to be answered."""
_LOAD_MAX_S: Final = 120.0
_TURN_MAX_S: Final = 10.0
_WAIT_MAX_S: Final = 20.0
"""How long a request waits for a load, which goes on without it."""


@dataclass
class _Site:
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    held: Held | None = None
    loaded_at: float = 0.0
    loading: asyncio.Task[Held] | None = None
    asked_at: float = 0.0
    current_at: float = 0.0
    following: asyncio.Task[None] | None = None


class Sites:
    """What a process holds, by site; the site asked for last is the last."""

    def __init__(
        self,
        reading: Reading,
        metrics: Metrics,
        *,
        recorded_back: timedelta = RECORDED_BACK,
        items_max: int = ITEMS_MAX,
    ) -> None:
        self._reading, self._metrics = reading, metrics
        self._recorded_back, self._items_max = recorded_back, items_max
        self._sites: dict[str, _Site] = {}
        self._loads = asyncio.Semaphore(_LOADS)
        self._follows = asyncio.Lock()

    @property
    def items(self) -> int:
        """How many items are held."""
        return sum(site.held.columns.count for site in self._sites.values() if site.held is not None)

    @asynccontextmanager
    async def asking(
        self, sites: Iterable[str], site_id: str, question: Question[T], *, at_most_s: float | None = None
    ) -> AsyncIterator[tuple["Connection", T]]:
        """Answer a question about a site, and give the snapshot that the answer is of, for what is to be read beside.

        Raises what the database raises, and TimeoutError.
        """
        site = self._sites.pop(site_id, None) or _Site()
        self._sites[site_id] = site
        await self._loaded(site_id, site)
        async with asyncio.timeout(_TURN_MAX_S):
            await site.turn.acquire()
        has_turn = True
        try:
            held = await self._loaded(site_id, site)
            async with self._reading(sites, at_most_s) as connection:
                held = await self._brought_up(site, held, connection)
                answer = await question(connection, held.columns, site_id)
                site.turn.release()
                has_turn = False
                yield connection, answer
        finally:
            if has_turn:
                site.turn.release()
            self._see_used(site_id, site)

    async def close(self) -> None:
        """End the loads that are under way, and follow no site any more."""
        tasks = [task for site in self._sites.values() for task in (site.loading, site.following) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _see_used(self, site_id: str, site: _Site) -> None:
        """Follow a site from now on, if it is not followed yet."""
        site.asked_at = asyncio.get_running_loop().time()
        if site.following is None and site.held is not None:
            site.following = asyncio.create_task(self._follow(site_id, site), name=f"follow of site {site_id}")

    async def _follow(self, site_id: str, site: _Site) -> None:
        """Bring a site up when nobody has for a while, one after the other, until it is out of use or not held."""
        loop = asyncio.get_running_loop()
        try:
            while site.held is not None and loop.time() < site.asked_at + _IN_USE_S:
                if (rest := site.current_at + _pause(site.held) - loop.time()) > 0:
                    await asyncio.sleep(rest)
                    continue
                async with self._follows, site.turn:
                    if site.held is not None:
                        async with self._reading([site_id], None) as connection:
                            await self._brought_up(site, site.held, connection)
        except Exception as error:  # noqa: BLE001 - who asks next is told by the error that he meets himself
            say(logger, logging.WARNING, "a site's items could not be followed", error=one_line(error))
        finally:
            site.following = None

    async def _loaded(self, site_id: str, site: _Site) -> Held:
        """Give what is held of a site, once something is; begin to load it anew where it is old."""
        now = asyncio.get_running_loop().time()
        if site.loading is None and (site.held is None or now >= site.loaded_at + RELOAD_S):
            site.loading = asyncio.create_task(self._load(site_id, site), name=f"load of site {site_id}")
            site.loading.add_done_callback(_look_at)
        if site.held is not None:
            return site.held
        assert site.loading is not None
        async with asyncio.timeout(_WAIT_MAX_S):
            return await asyncio.shield(site.loading)

    async def _load(self, site_id: str, site: _Site) -> Held:
        loop, held = asyncio.get_running_loop(), Held(site_id)
        try:
            async with self._loads, self._reading([site_id], _LOAD_MAX_S) as connection:
                began = loop.time()
                with self._timed("load"):
                    await held.load(connection)
            self._keep(site, held)
        finally:
            site.loading = None
        seconds = round(loop.time() - began, 3)
        say(logger, logging.INFO, "holding a site's items", site=site_id, items=held.columns.count, seconds=seconds)
        return held

    def _keep(self, site: _Site, held: Held) -> None:
        site.held, site.loaded_at = held, asyncio.get_running_loop().time()
        for other in list(self._sites.values()):
            if self.items > self._items_max and other is not site:
                other.held = None
        self._metrics.projection_items.set(self.items)

    async def _brought_up(self, site: _Site, held: Held, connection: "Connection") -> Held:
        """Bring up what is held, or load it on the snapshot where it cannot be."""
        current = held
        try:
            with self._timed("refresh"):
                if not await held.refresh(connection, self._recorded_back):
                    current = Held(held.site_id)
                    await current.load(connection)
        except BaseException:
            self._drop(site, held)
            raise
        if current is not held:
            self._keep(site, current)
        site.current_at = asyncio.get_running_loop().time()
        return current

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        yield
        self._metrics.projection_seconds.labels(step).observe(loop.time() - began)

    @staticmethod
    def _drop(site: _Site, held: Held) -> None:
        if site.held is held:
            site.held = None


def _pause(held: Held) -> float:
    """Say in how many seconds as much moves as is read at once, within bounds."""
    return min(max(AT_ONCE / held.moving if held.moving else FOLLOW_MAX_S, FOLLOW_S), FOLLOW_MAX_S)


def _look_at(load: asyncio.Task[Held]) -> None:
    """Tell of a load that failed; who waits for it is told by the error itself."""
    if not load.cancelled() and (error := load.exception()) is not None:
        say(logger, logging.WARNING, "a site's items could not be loaded", error=one_line(error))
