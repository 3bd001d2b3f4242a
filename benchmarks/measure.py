"""One closed round: commands in Kafka → events in Kafka. Law: start-up does not count, work does, all of it.

The commands lie in Kafka before the contender starts. The clock runs from the first answer seen in Kafka (an answer is
an adjustment-applied or adjustment-rejected event; end offsets are polled every 50 ms) to the moment when every order
is answered and every movement is told; the answers that were there at the first look are not counted. Afterwards the
database must hold exactly what was answered, or the round does not count at all.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import asyncpg
from aiokafka import AIOKafkaConsumer

from benchmarks.contenders import Contender, ContenderFailed, Running, running
from benchmarks.cpu import Meter, Used
from benchmarks.place import Place, preload
from benchmarks.workload import LINES
from stock_worker.audit.verify import verify
from stock_worker.cli.database import as_worker
from stock_worker.core.topics import ADJUSTMENT_APPLIED, ADJUSTMENT_REJECTED, STOCK_CHANGED

_LOOK_EVERY_S: Final = 0.05
_STILL_MAX_S: Final = 60.0
_OUTBOX_EMPTY_S: Final = 30.0
_VERIFIED: Final = 400
"""Items of a round that `verify` looks at; all of them would take longer than the round."""


@dataclass(frozen=True, slots=True)
class Round:
    """What a round showed: orders answered per second of the steady part, and whose CPU it took."""

    contender: str
    distribution: str
    number: int
    orders: int
    seconds: float
    orders_per_s: float
    rejected: int
    used: Used


@dataclass(frozen=True, slots=True)
class _Seen:
    """What stood in Kafka at a moment."""

    at: float
    applied: int
    rejected: int
    movements: int

    @property
    def answered(self) -> int:
        return self.applied + self.rejected

    def is_all_of(self, orders: int) -> bool:
        """Whether every order is answered and every movement is told."""
        return self.answered >= orders and self.movements >= LINES * self.applied


async def closed_round(
    contender: Contender,
    place: Place,
    orders: Sequence[tuple[bytes, bytes]],
    meter: Meter,
    *,
    distribution: str,
    number: int,
    audit: bool = True,
) -> Round:
    """Measure one contender on `orders`. Raises ContenderFailed where it ends, stands still or did other work."""
    await preload(place, orders)
    await asyncio.sleep(0.5)  # the broker's and the server's own loose ends
    async with AIOKafkaConsumer(bootstrap_servers=place.bootstrap) as client:
        watch = _Watch(client, place)
        async with running(contender, place) as process:
            first = await watch.until(1, process)
            before = meter.read(process.process.pid)
            last = await watch.until(len(orders), process)
            used = before.until(meter.read(process.process.pid))
            if audit:
                await _audit(place, last)
    if last.answered - first.answered < len(orders) / 2:
        raise ContenderFailed(f"{len(orders)} orders are too few: {first.answered} were answered at the first look")
    seconds = last.at - first.at
    rate = (last.answered - first.answered) / seconds
    return Round(contender.name, distribution, number, len(orders), seconds, rate, last.rejected, used)


class _Watch:
    """Polls the end offsets of the event topics."""

    def __init__(self, client: AIOKafkaConsumer, place: Place) -> None:
        self._client = client
        self._topics = [place.partitions(topic) for topic in (ADJUSTMENT_APPLIED, ADJUSTMENT_REJECTED, STOCK_CHANGED)]

    async def until(self, orders: int, process: Running) -> _Seen:
        """Wait until so many orders are answered, all but the first one with all their movements told."""
        most, moved_at = -1, time.monotonic()
        while True:
            began = time.monotonic()
            seen = await self._look()
            if seen.answered >= 1 == orders or seen.is_all_of(orders):
                return seen
            if seen.answered + seen.movements > most:
                most, moved_at = seen.answered + seen.movements, seen.at
            process.check()
            if seen.at - moved_at > _STILL_MAX_S:
                raise ContenderFailed(f"stands still at {seen.answered} of {orders} orders:\n{process.last_words()}")
            await asyncio.sleep(max(0.0, began + _LOOK_EVERY_S - time.monotonic()))

    async def _look(self) -> _Seen:
        offsets = await self._client.end_offsets([at for topic in self._topics for at in topic])
        counts = [sum(offsets[at] for at in topic) for topic in self._topics]
        return _Seen(time.monotonic(), *counts)


async def _audit(place: Place, seen: _Seen) -> None:
    """Compare what was told with what was written."""
    connection = await asyncpg.connect(place.database_url)
    try:
        written = await connection.fetchrow(_WRITTEN)
        expected = (seen.applied, seen.rejected, LINES * seen.applied, LINES * seen.applied, seen.answered)
        assert written is not None
        if tuple(written) != expected or seen.movements != LINES * seen.applied:
            raise ContenderFailed(f"told {expected} and {seen.movements} movements, but wrote {tuple(written)}")
        await until_told(connection)
    finally:
        await connection.close()
    await audit_ledger(place)


async def until_told(connection: asyncpg.Connection) -> None:
    """Wait until the outbox is empty."""
    deadline = time.monotonic() + _OUTBOX_EMPTY_S
    while await connection.fetchval("SELECT EXISTS (SELECT FROM stock.outbox)"):
        if time.monotonic() > deadline:
            raise ContenderFailed("the outbox does not empty")
        await asyncio.sleep(0.1)


async def audit_ledger(place: Place) -> None:
    """Compare every item with its ledger, and let `verify` look at some items with all that they lead to."""
    async with as_worker(place.database_url, "benchmark", plans="free") as connection:
        if drift := await connection.fetchval(_DRIFT):
            raise ContenderFailed(f"{drift} items differ from their ledger")
        items = await connection.fetchval("SELECT count(*) FROM stock.items")
        if found := await verify(connection, slice=(0, max(1, items // _VERIFIED))):
            raise ContenderFailed(f"{len(found)} drifts, the first: {found[0]}")


_WRITTEN: Final = """
SELECT (SELECT count(*) FROM stock.references WHERE type = 'order' AND outcome = 'applied'),
       (SELECT count(*) FROM stock.references WHERE type = 'order' AND outcome = 'rejected'),
       (SELECT count(*) FROM stock.movements WHERE type = 'sale'),
       (SELECT count(*) FROM stock.order_lines),
       (SELECT count(*) FROM stock.orders)
"""
_DRIFT: Final = """
SELECT count(*) FROM stock.items i
JOIN (SELECT item_id, sum(on_hand) AS on_hand, sum(reserved) AS reserved FROM stock.location_stock GROUP BY item_id) s
  USING (item_id)
JOIN (SELECT item_id, sum(quantity) AS quantity, max(version) AS version, count(*) AS rows
      FROM stock.movements GROUP BY item_id) m USING (item_id)
JOIN (SELECT item_id, sum(movements) AS rows, sum(units_in - units_out) AS quantity
      FROM stock.daily_totals GROUP BY item_id) d USING (item_id)
WHERE (i.on_hand, i.reserved) <> (s.on_hand, s.reserved) OR i.on_hand - i.reserved <> m.quantity
   OR i.version <> m.version OR i.version <> m.rows OR (d.rows, d.quantity) <> (m.rows, m.quantity)
"""
