"""How far the commands about orders are applied. Law: what a row says is applied is applied, and stays so.

Of each partition that a worker owns it notes how many records there were at a moment of PostgreSQL's clock; once as
many are applied, everything older than that moment is. The least of all partitions' moments is how far reservations
may expire: a partition that nobody reads holds all expiries back, and `reservations_overdue` shows it. An old row is
true for ever, so a worker that dies or loses a partition takes nothing back. Source: contract rule 6.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Final

from aiokafka import TopicPartition

from stock_worker.core.topics import ORDER_CANCELLED, ORDER_FULFILLED, ORDER_PLACED, RETURN_RECEIVED
from stock_worker.faults import Retry
from stock_worker.intake import Intake
from stock_worker.store.load import clock_now
from stock_worker.store.sql import statements

if TYPE_CHECKING:
    from asyncpg import Connection

ORDER_TOPICS: Final = (ORDER_PLACED, ORDER_CANCELLED, ORDER_FULFILLED, RETURN_RECEIVED)
"""The topics whose commands can keep a reservation from expiring, or change what does."""


class Watermarks:
    """Notes ends of partitions, waits until they are reached, and writes down when."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._sql = statements("sweeper")
        self._noted: dict[TopicPartition, tuple[datetime, int]] = {}

    async def note(self, connection: "Connection") -> None:
        """Write how far the owned partitions are, and note where they end now."""
        owned = [at for at in self._intake.owned if self._intake.is_of(at.topic, ORDER_TOPICS)]
        moment = await clock_now(connection)  # before Kafka is asked
        try:
            positions = await self._intake.positions(owned)
        except Retry:
            return  # the watchdog tells; expiries wait
        reached = {
            at: noted[0] for at, noted in self._noted.items() if at in positions and positions[at].applied >= noted[1]
        }
        self._noted = {
            at: self._noted[at] if at in self._noted and at not in reached else (moment, position.end)
            for at, position in positions.items()
        }
        if reached:
            columns = [at.topic for at in reached], [at.partition for at in reached], list(reached.values())
            await connection.execute(self._sql["write_watermarks"], *columns)

    async def reach(self, connection: "Connection") -> datetime | None:
        """Up to when reservations may expire; None while a partition has no mark yet, or Kafka was never reached."""
        partitions = self._intake.partitions_of(ORDER_TOPICS)
        if not partitions:
            return None
        row = await connection.fetchrow(self._sql["reach"], *_columns(partitions))
        assert row is not None
        return row["applied_to"] if row["partitions"] == len(partitions) else None


def _columns(partitions: Iterable[TopicPartition]) -> tuple[list[str], list[int]]:
    return [at.topic for at in partitions], [at.partition for at in partitions]
