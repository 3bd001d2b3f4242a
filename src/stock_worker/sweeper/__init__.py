"""What time brings. Law: what is due is done once its time has come, through the one write path, whoever sweeps.

Three duties: parked commands whose time is over, reservations that expire, items to be evaluated again after a rule
changed. Every worker sweeps; each thing is decided again under its locks, so two sweepers and a command that comes in
the same moment agree. A sweep that fails is tried again with the next; bugs count for the worker's breaker, and while
that is open nothing is swept. Source: contract rules 5, 6, 10 and 13.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Final, NoReturn

from stock_worker.breaker import Breaker, Held
from stock_worker.faults import Retry, Stop, reaction
from stock_worker.handle import Policy
from stock_worker.intake import Intake
from stock_worker.log import one_line, say
from stock_worker.metrics import Metrics
from stock_worker.settings import Settings
from stock_worker.store.engine import connect
from stock_worker.sweeper.duty import Swept
from stock_worker.sweeper.expiries import Expiries
from stock_worker.sweeper.parked import Parked
from stock_worker.sweeper.reevaluations import Reevaluations
from stock_worker.sweeper.watermarks import Watermarks

if TYPE_CHECKING:
    from asyncpg import Connection

logger = logging.getLogger(__name__)

_EVERY_S: Final = 1.0


class Sweeper:
    """One loop over one connection. `sleep` and `clock` are the world's unless a test passes its own."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        *,
        intake: Intake,
        wake: asyncio.Event,
        breaker: Breaker,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], datetime | None] = lambda: None,  # None: PostgreSQL's
    ) -> None:
        self.settings = settings
        self._breaker, self._sleep, self._wake = breaker, sleep, wake
        policy = Policy(topic_prefix=settings.topic_prefix, emit_applied=settings.emit_applied)
        self._watermarks = Watermarks(intake)
        self._parked = Parked(settings, policy, metrics, breaker, clock)
        self._expiries = Expiries(policy, metrics, breaker, self._watermarks, clock)
        self._reevaluations = Reevaluations(policy, breaker, clock)
        self._connection: Connection | None = None
        self._failed_with: str | None = None

    async def run(self) -> NoReturn:
        """Sweep for ever. Raises Stop; every other fault is told and tried again with the next sweep."""
        try:
            while True:
                try:
                    if not self._breaker.is_open:
                        await self._until_nothing_is_due()
                    self._failed_with = None
                except Held as held:
                    say(logger, logging.CRITICAL, "sweeping held; mend the bug and restart", reason=str(held))
                except Stop:
                    raise
                except Exception as error:
                    self._discard_connection()
                    if reaction(error) is Stop:
                        raise Stop(f"sweeper: {one_line(error)}") from error
                    self._tell(error)
                await self._sleep(_EVERY_S)
        finally:
            self._discard_connection()

    async def sweep(self) -> Swept:
        """Note how far partitions are, and do what is due, up to one transaction's worth of each duty. Raises Held."""
        connection = await self._connected()
        await self._watermarks.note(connection)
        return await self._do_what_is_due(connection)

    async def _until_nothing_is_due(self) -> None:
        """Sweep once, and go on while more is due: Kafka is asked once, not with each of five hundred transactions."""
        swept = await self.sweep()
        while swept.more and not self._breaker.is_open:
            swept = await self._do_what_is_due(await self._connected())

    async def _do_what_is_due(self, connection: "Connection") -> Swept:
        done, more = 0, False
        for duty in (self._parked, self._expiries, self._reevaluations):
            swept = await duty.sweep(connection)
            if swept.done:
                self._wake.set()
            done, more = done + swept.done, more or swept.more
        return Swept(done, more)

    async def _connected(self) -> "Connection":
        if self._connection is None:
            url = self.settings.database_url
            self._connection = await connect(url, "stock_worker", application_name="stock-worker sweeper")
        return self._connection

    def _tell(self, error: Exception) -> None:
        """Say why a sweep failed, once for as long as the reason is the same: a server can be away for hours."""
        words = one_line(error)
        if words != self._failed_with:
            level = logging.WARNING if issubclass(reaction(error), Retry) else logging.ERROR
            say(logger, level, "sweep failed, tried again with each that follows", error=words)
        self._failed_with = words

    def _discard_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()
