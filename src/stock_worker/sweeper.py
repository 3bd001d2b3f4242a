"""What time brings. Law: a parked command ends once its time is over, through the one write path, whoever sweeps.

Every worker sweeps; each command is decided again under its locks, so two sweepers and a placement that comes in the
same moment agree. A sweep that fails is tried again with the next. Source: contract rule 5, STOCK_PARKED_TTL_HOURS.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NoReturn

from stock_worker.faults import Retry, Stop, reaction
from stock_worker.handle import Policy, end_parked
from stock_worker.log import one_line, say
from stock_worker.metrics import Metrics
from stock_worker.settings import Settings
from stock_worker.store.engine import connect

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
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], datetime | None] = lambda: None,  # None: PostgreSQL's
    ) -> None:
        self.settings = settings
        self.metrics = metrics
        self.policy = Policy(topic_prefix=settings.topic_prefix, emit_applied=settings.emit_applied)
        self._wake, self._sleep, self._clock = wake, sleep, clock
        self._connection: Connection | None = None
        self._failed_with: str | None = None

    async def run(self) -> NoReturn:
        """Sweep for ever. Raises Stop; every other fault is told and tried again with the next sweep."""
        try:
            while True:
                try:
                    while await self.sweep() == _AT_ONCE:
                        pass
                    self._failed_with = None
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
        """End what is over its time, up to one transaction's worth. Returns how many were ended."""
        if self._connection is None:
            url = self.settings.database_url
            self._connection = await connect(url, "stock_worker", application_name="stock-worker sweeper")
        ttl = timedelta(hours=float(self.settings.parked_ttl_hours))
        ended = await end_parked(self._connection, self.policy, ttl=ttl, limit=_AT_ONCE, clock=self._clock())
        if ended:
            self._wake.set()
            prefix = self.settings.topic_prefix
            self.metrics.count((command.source.topic.removeprefix(prefix), outcome) for command, outcome in ended)
            say(logger, logging.INFO, "parked commands ended", commands=len(ended))
        return len(ended)

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
