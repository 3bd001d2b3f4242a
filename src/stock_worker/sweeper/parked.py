"""Commands that wait for an order. Law: one whose time is over is ended, as a blind return or as never placed.

One that cannot be ended is dead-lettered alone. Source: contract rules 5 and 13, STOCK_PARKED_TTL_HOURS.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from stock_worker.breaker import Breaker
from stock_worker.core.model import Outcome
from stock_worker.core.topics import command_topic_of
from stock_worker.handle import Policy, end_parked, set_aside_parked
from stock_worker.log import detail_of, say
from stock_worker.metrics import Metrics
from stock_worker.settings import Settings
from stock_worker.store.load import Waiting, clock_now, overdue
from stock_worker.sweeper.duty import Swept, in_halves, tell_set_aside

if TYPE_CHECKING:
    from asyncpg import Connection

logger = logging.getLogger(__name__)

_AT_ONCE: Final = 200
"""Commands ended in one transaction: few, since it holds their orders' and items' locks."""

Ended = tuple[str, Outcome]
"""The topic that a command came by, and what became of it."""


class Parked:
    """Ends parked commands past their time, oldest first."""

    def __init__(
        self,
        settings: Settings,
        policy: Policy,
        metrics: Metrics,
        breaker: Breaker,
        clock: Callable[[], datetime | None],
    ) -> None:
        self._ttl = timedelta(hours=float(settings.parked_ttl_hours))
        self._policy, self._metrics, self._breaker, self._clock = policy, metrics, breaker, clock

    async def sweep(self, connection: "Connection") -> Swept:
        """End what is over its time, up to one transaction's worth. Raises Held."""
        now = self._clock() or await clock_now(connection)
        waiting = await overdue(connection, now - self._ttl, _AT_ONCE)
        if not waiting:
            return Swept(0)
        ended = await in_halves(
            connection, waiting, partial(self._end, connection), partial(self._set_aside, connection)
        )
        if ended:
            self._metrics.count(ended)
            say(logger, logging.INFO, "parked commands ended", commands=len(ended))
        return Swept(len(ended), more=len(ended) == _AT_ONCE)

    async def _end(self, connection: "Connection", waiting: Sequence[Waiting]) -> list[Ended]:
        ended = await end_parked(connection, self._policy, waiting, clock=self._clock())
        return [(command_topic_of(command.source.topic), outcome) for command, outcome in ended]

    async def _set_aside(self, connection: "Connection", waiting: Waiting, error: Exception) -> list[Ended]:
        tell_set_aside("parked command", "/".join(waiting.reference), error, self._breaker)
        outcome = await set_aside_parked(connection, self._policy, waiting, detail_of(error), clock=self._clock())
        return [] if outcome is None else [(command_topic_of(waiting.record.topic), outcome)]
