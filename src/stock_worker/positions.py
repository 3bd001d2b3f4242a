"""How far partitions are applied. Law: a record counts as applied only once it is neither polled nor in hand.

`end` is asked of the broker: it counts every record that was there when it answered.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from typing import Final, NamedTuple, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition

_ANSWER_TIMEOUT_S: Final = 5.0


class Position(NamedTuple):
    """The offset up to which a partition is applied, and the one where it ends."""

    applied: int
    end: int


class Placed(Protocol):
    """A record of ours or of aiokafka's."""

    @property
    def topic(self) -> str:
        """Its topic."""

    @property
    def partition(self) -> int:
        """Its partition."""

    @property
    def offset(self) -> int:
        """Its place there."""


async def polled_positions(
    consumer: AIOKafkaConsumer, partitions: Collection[TopicPartition]
) -> dict[TopicPartition, Position]:
    """How far the consumer has polled these partitions, and where they end. Raises what aiokafka raises."""
    async with asyncio.timeout(_ANSWER_TIMEOUT_S):
        ends = await consumer.end_offsets(list(partitions))
        return {at: Position(await consumer.position(at), end) for at, end in ends.items()}


def applied_positions(
    polled: Mapping[TopicPartition, Position], outstanding: Iterable[Placed]
) -> dict[TopicPartition, Position]:
    """Take what is polled and not yet applied off the positions."""
    applied = dict(polled)
    for record in outstanding:
        at = TopicPartition(record.topic, record.partition)
        if at in applied and record.offset < applied[at].applied:
            applied[at] = applied[at]._replace(applied=record.offset)
    return applied
