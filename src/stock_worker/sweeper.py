"""What time brings. Law: a parked command ends once its time is over, through the one write path, whoever sweeps.

Every worker sweeps; each command is decided again under its locks, so two sweepers and a placement that comes in the
same moment agree. A sweep that fails is tried again with the next. A command that cannot be ended is found by halving
and is dead-lettered alone, so that it keeps no other; bugs count for the worker's breaker, and while that is open
nothing is swept. Source: contract rules 5 and 13, STOCK_PARKED_TTL_HOURS.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NoReturn

from stock_worker.core.model import Outcome
from stock_worker.core.topics import command_topic_of
from stock_worker.faults import Quarantine, Retry, Stop, is_bug, reaction
from stock_worker.handle import Policy, end_parked, set_aside_parked
from stock_worker.log import one_line, say
from stock_worker.metrics import Metrics
from stock_worker.settings import Settings
from stock_worker.store.engine import connect
from stock_worker.store.load import Waiting, clock_now, overdue
from stock_worker.worker import Breaker, Held, detail_of

if TYPE_CHECKING:
    from asyncpg import Connection

logger = logging.getLogger(__name__)

_EVERY_S: Final = 5.0
_AT_ONCE: Final = 200
"""Commands ended in one transaction: few, since it holds their orders' and items' locks."""


class Sweeper:
    """One loop over one connection. `sleep` and `clock` are the world's unless a test passes its own."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        *,
        wake: asyncio.Event,
        breaker: Breaker,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], datetime | None] = lambda: None,  # None: PostgreSQL's
    ) -> None:
        self.settings = settings
        self.metrics = metrics
        self.policy = Policy(topic_prefix=settings.topic_prefix, emit_applied=settings.emit_applied)
        self._wake, self._breaker, self._sleep, self._clock = wake, breaker, sleep, clock
        self._connection: Connection | None = None
        self._failed_with: str | None = None

    async def run(self) -> NoReturn:
        """Sweep for ever. Raises Stop; every other fault is told and tried again with the next sweep."""
        try:
            while True:
                try:
                    while not self._breaker.is_open and await self.sweep() == _AT_ONCE:
                        pass
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

    async def sweep(self) -> int:
        """End what is over its time, up to one transaction's worth. Returns how many were ended. Raises Held."""
        if self._connection is None:
            url = self.settings.database_url
            self._connection = await connect(url, "stock_worker", application_name="stock-worker sweeper")
        ttl = timedelta(hours=float(self.settings.parked_ttl_hours))
        now = self._clock() or await clock_now(self._connection)
        waiting = await overdue(self._connection, now - ttl, _AT_ONCE)
        ended = await self._end(self._connection, waiting)
        if ended:
            self._wake.set()
            self.metrics.count(ended)
            say(logger, logging.INFO, "parked commands ended", commands=len(ended))
        return len(ended)

    async def _end(self, connection: "Connection", waiting: Sequence[Waiting]) -> list[tuple[str, Outcome]]:
        """End these, in halves where they cannot be ended together. Returns the topic and outcome of each."""
        try:
            ended = await end_parked(connection, self.policy, waiting, clock=self._clock())
        except Exception as error:
            if reaction(error) is not Quarantine or connection.is_closed():
                raise
            if len(waiting) == 1:
                return await self._set_aside(connection, waiting[0], error)
            middle = len(waiting) // 2
            return [*await self._end(connection, waiting[:middle]), *await self._end(connection, waiting[middle:])]
        return [(command_topic_of(command.source.topic), outcome) for command, outcome in ended]

    async def _set_aside(
        self, connection: "Connection", waiting: Waiting, error: Exception
    ) -> list[tuple[str, Outcome]]:
        bug, reference = is_bug(error), waiting.reference
        say(logger, logging.ERROR, "parked command set aside", reference="/".join(reference), error=one_line(error))
        if bug:
            logger.error("the bug", exc_info=error)
            self._breaker.count(time.monotonic())
        outcome = await set_aside_parked(connection, self.policy, waiting, detail_of(error), clock=self._clock())
        return [] if outcome is None else [(command_topic_of(waiting.record.topic), outcome)]

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
