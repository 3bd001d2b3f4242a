"""Reservations whose time has come. Law: none expires while an older command about an order is unread, and none twice.

The orders that are due are picked, locked and decided again in one transaction; those that another sweeper holds are
left to it. One that cannot expire is passed over by this process, told once, and stays in `reservations_overdue`.
Source: contract rule 6.
"""

import logging
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Final

from stock_worker.breaker import Breaker
from stock_worker.faults import Quarantine, reaction
from stock_worker.handle import Policy, expire
from stock_worker.log import say
from stock_worker.metrics import Metrics
from stock_worker.store.sql import statements
from stock_worker.sweeper.duty import Swept, tell_set_aside
from stock_worker.sweeper.watermarks import Watermarks

if TYPE_CHECKING:
    from asyncpg import Connection

logger = logging.getLogger(__name__)

_AT_ONCE: Final = 200
"""Orders that expire in one transaction: few, since it holds their items' locks, which orders wait for."""


class Expiries:
    """Lets reservations expire, the longest overdue first."""

    def __init__(
        self,
        policy: Policy,
        metrics: Metrics,
        breaker: Breaker,
        watermarks: Watermarks,
        clock: Callable[[], datetime | None],
    ) -> None:
        self._policy, self._metrics, self._breaker = policy, metrics, breaker
        self._watermarks, self._clock = watermarks, clock
        self._passed_over: list[int] = []
        self._at_once = _AT_ONCE
        self._sql = statements("sweeper")

    async def sweep(self, connection: "Connection") -> Swept:
        """Let due orders expire, up to one transaction's worth. Raises Held."""
        reach = self._clock() or await self._watermarks.reach(connection)
        if reach is None:
            return Swept(0)
        try:
            expired = await expire(
                connection, self._policy, reach, self._at_once, except_for=self._passed_over, clock=self._clock()
            )
        except Exception as error:
            if reaction(error) is not Quarantine or connection.is_closed():
                raise
            return await self._narrow(connection, reach, error)
        if expired.outcomes:
            self._metrics.count([("", outcome) for outcome in expired.outcomes])
            say(logger, logging.INFO, "reservations expired", orders=len(expired.outcomes))
        more = expired.picked == self._at_once
        self._at_once = min(self._at_once * 2, _AT_ONCE)
        return Swept(len(expired.outcomes), more=more)

    async def _narrow(self, connection: "Connection", reach: datetime, error: Exception) -> Swept:
        """Take half as many next time; the one that fails alone is passed over."""
        if self._at_once > 1:
            self._at_once //= 2
            return Swept(0, more=True)
        culprit = await connection.fetchrow(self._sql["longest_overdue"], reach, self._passed_over)
        if culprit is not None:
            self._passed_over.append(culprit["order_pk"])
            tell_set_aside("expiry of an order", culprit["order_id"], error, self._breaker)
        return Swept(0, more=True)
