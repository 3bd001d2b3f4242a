"""What the database says of itself. Law: looking costs at most a hundredth of the time, and never delays a batch.

The outbox is looked at every second, since consumption pauses when it is too deep or too old and goes on when it has
drained to half. The other gauges are counted every five seconds, or as seldom as their share of time asks for. A slice
of the ledger is audited every minute. Each look that fails is a fault that readiness tells of. Source: contract 8.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, NoReturn

from stock_worker.audit.verify import verify
from stock_worker.core.model import Level
from stock_worker.faults import Retry, Stop, reaction
from stock_worker.log import one_line, say
from stock_worker.metrics import Metrics
from stock_worker.settings import Settings
from stock_worker.store.engine import connect
from stock_worker.store.sql import statements

if TYPE_CHECKING:
    from asyncpg import Connection

logger = logging.getLogger(__name__)

_LOOK_EVERY_S: Final = 1.0
_COUNT_EVERY_S: Final = 5.0
_AUDIT_EVERY_S: Final = 60.0
_SHARE: Final = 0.01
"""Of all time, what one of the counts may take: a count over a grown table runs less often."""
_REST: Final = 9
"""So many times as long as it took, an audit rests after each portion: half a second at once is seen in a p99."""
_SLICE_FIRST_BYTES: Final = 1 << 20
"""Of the ledger, in the first slice after a start: some 6,000 rows, which take less than its share of a minute."""
_SLICES_MAX: Final = 1 << 20
_DRIFTS_SAID: Final = 10
_PENDING_BEYOND: Final = 1_000_000
"""Rows at which counting the outbox ends: by then it only says "too many"."""

Sleep = Callable[[float], Awaitable[None]]


class Gauges:
    """One loop over one connection of its own."""

    def __init__(
        self, settings: Settings, metrics: Metrics, outbox_has_room: asyncio.Event, *, sleep: Sleep = asyncio.sleep
    ) -> None:
        self.settings = settings
        self.metrics = metrics
        self.fault: str | None = "the database has not been asked yet"
        self._has_room = outbox_has_room
        self._sleep = sleep
        self._sql = statements("gauges")
        self._connection: Connection | None = None
        self._due = dict.fromkeys(_COUNTS, 0.0)

    async def run(self) -> NoReturn:
        """Look for ever. Raises Stop; any other fault is told by readiness and tried again in a second."""
        try:
            while True:
                try:
                    await self.look()
                    self.fault = None
                except Exception as error:  # noqa: BLE001 - `reaction` knows each; a bug is logged
                    self._discard_connection()
                    self.fault = _fault(error, "gauges")
                await self._sleep(_LOOK_EVERY_S)
        finally:
            self._discard_connection()

    async def look(self) -> None:
        """Look at the outbox, and count what is due."""
        if self._connection is None:
            self._connection = await _open(self.settings, "stock-worker gauges")
        await self._look_at_outbox(self._connection)
        for name, count in _COUNTS.items():
            began = time.monotonic()
            if began >= self._due[name]:
                await count(self, self._connection)
                took = time.monotonic() - began
                self._due[name] = began + max(_COUNT_EVERY_S, took / _SHARE)

    async def _look_at_outbox(self, connection: "Connection") -> None:
        row = await connection.fetchrow(self._sql["outbox_depth"], _PENDING_BEYOND)
        assert row is not None
        pending, age_s = int(row["pending"]), max(0.0, float(row["oldest_age_s"]))
        self.metrics.outbox_pending.set(pending)
        self.metrics.outbox_oldest_age_seconds.set(age_s)
        settings = self.settings
        if pending > settings.outbox_max_rows or age_s > settings.outbox_max_age_s:
            if self._has_room.is_set():
                say(logger, logging.WARNING, "consumption paused: the outbox", pending=pending, oldest_age_s=age_s)
            self._has_room.clear()
        elif pending <= settings.outbox_max_rows // 2:
            if not self._has_room.is_set():
                say(logger, logging.INFO, "consumption goes on: the outbox drained", pending=pending)
            self._has_room.set()

    async def _count_alerts(self, connection: "Connection") -> None:
        found = {row["level"]: row["items"] for row in await connection.fetch(self._sql["alert_items"])}
        for level in Level:
            if level is not Level.OK:
                self.metrics.alert_items.labels(level).set(found.get(level, 0))

    async def _count_parked(self, connection: "Connection") -> None:
        self.metrics.parked_commands.set(await connection.fetchval(self._sql["parked_commands"]))

    async def _count_overdue(self, connection: "Connection") -> None:
        self.metrics.reservations_overdue.set(await connection.fetchval(self._sql["reservations_overdue"]))

    def _discard_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()


_COUNTS: Final[dict[str, Callable[[Gauges, "Connection"], Awaitable[None]]]] = {
    "alert_items": Gauges._count_alerts,  # noqa: SLF001 - this table is part of the class
    "parked_commands": Gauges._count_parked,  # noqa: SLF001 - the same
    "reservations_overdue": Gauges._count_overdue,  # noqa: SLF001 - the same
}


async def audit(settings: Settings, metrics: Metrics, *, sleep: Sleep = asyncio.sleep) -> NoReturn:
    """Verify one slice of the ledger every minute, over a connection that is open only meanwhile.

    A slice is 1 of n. How large the ledger is says n at first, since a worker over ten million rows that began with a
    64th of them would take a core for half a minute after each start. Then n doubles and halves until a slice takes
    about its share of the minute: a small shop is verified whole every minute, a large one in as many as it takes.
    """
    part, parts, took_s = 0, 0, 0.0

    async def rest(portion_s: float) -> None:
        nonlocal took_s
        took_s += portion_s
        await sleep(portion_s * _REST)

    while True:
        await sleep(_AUDIT_EVERY_S)
        took_s = 0.0
        try:
            async with _auditing(settings) as connection:
                parts = parts or _first_slices(await connection.fetchval(statements("gauges")["ledger_bytes"]))
                drifts = await verify(connection, slice=(part, parts), rest=rest)
        except Exception as error:  # noqa: BLE001 - `reaction` knows each; a bug is logged
            _fault(error, "audit")
            continue
        metrics.ledger_drift_items.set(len({drift.subject for drift in drifts}))
        for drift in drifts[:_DRIFTS_SAID]:
            say(logger, logging.ERROR, "the ledger drifted; see: stock-worker verify", drift=str(drift))
        part, parts = _next_slice(part, parts, took_s)


@asynccontextmanager
async def _auditing(settings: Settings) -> AsyncIterator["Connection"]:
    connection = await _open(settings, "stock-worker audit")
    try:
        yield connection
    finally:
        connection.terminate()


def _first_slices(ledger_bytes: int) -> int:
    """Into how many slices to cut a ledger of this size before it is known how long one takes."""
    return min(max(1, ledger_bytes // _SLICE_FIRST_BYTES), _SLICES_MAX)


def _next_slice(part: int, parts: int, took_s: float) -> tuple[int, int]:
    """Give the next slice; finer slices where this one took too long, coarser where it hardly took anything."""
    share_s = _AUDIT_EVERY_S * _SHARE
    if took_s > share_s:
        parts = min(parts * 2, _SLICES_MAX)
    elif took_s < share_s / 4:
        parts = max(parts // 2, 1)
    return (part + 1) % parts, parts


async def _open(settings: Settings, name: str) -> "Connection":
    return await connect(settings.database_url, "stock_worker", application_name=name, plans="free")


def _fault(error: Exception, who: str) -> str:
    """Put a fault in words for readiness; logs what is no fault of the world. Raises Stop."""
    kind = reaction(error)
    if kind is Stop:
        raise Stop(f"{who}: {one_line(error)}") from error
    if not issubclass(kind, Retry):
        logger.error("%s failed", who, exc_info=error)
    return f"database: {one_line(error)}"
