"""What lies between a listener and the process that he comes to. Law: it is read from Kafka, to where the process is.

He reads twice. During the first part, which may be long, nothing waits for him; during the second, which is short, what
the process reads does. What comes both ways he is told once: `Listener.take` knows where he is. Source: contract
section 7 (`…/stream`).
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaTimeoutError

from stock_worker.http.stream_listener import AT_ONCE, QUIET_S, Listener, Write, events_of
from stock_worker.settings import Settings, kafka_client_options

ANSWER_MAX_S: Final = 5.0
POLL_MS: Final = 500
BEHIND: Final = "behind"
"""Told in place of events that are not to be had: what was shown is to be read again, and goes on from this id."""

_REQUEST_MAX_MS: Final = 3_000
_SEE_PARTITIONS_MS: Final = 10_000
_PARTITION_FETCH_MAX_BYTES: Final = 256 * 1024


def client_options(settings: Settings) -> dict[str, Any]:
    """Give the options of a client that soon says that Kafka does not answer.

    It is to say so itself: aiokafka 0.14 leaves a connection open where it is cancelled while it starts.
    """
    return {**kafka_client_options(settings), "request_timeout_ms": _REQUEST_MAX_MS}


@asynccontextmanager
async def consumer_of(settings: Settings) -> AsyncIterator[AIOKafkaConsumer]:
    """Open a consumer without a group, which stands where it is told to. Raises what aiokafka raises."""
    consumer = AIOKafkaConsumer(
        **client_options(settings),
        enable_auto_commit=False,
        auto_offset_reset="none",  # a log that lost its place is said, and never passed over
        metadata_max_age_ms=_SEE_PARTITIONS_MS,
        max_partition_fetch_bytes=_PARTITION_FETCH_MAX_BYTES,
    )
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()


def is_there(listener: Listener, position: Mapping[TopicPartition, int]) -> bool:
    """Whether nothing lies between a listener and `position`."""
    return all(listener.position[at] >= offset for at, offset in position.items())


async def catch_up(
    settings: Settings, listener: Listener, position: Mapping[TopicPartition, int], write: Write
) -> None:
    """Tell a listener what lies between him and `position`, which moves on meanwhile; then he is live.

    Raises KafkaError, OSError.
    """
    async with consumer_of(settings) as consumer:
        partitions = list(position)  # those where he is level as well: they move on while he reads the others
        async with asyncio.timeout(ANSWER_MAX_S):
            first = await consumer.beginning_offsets(partitions)
        is_behind = any(listener.position[at] < offset for at, offset in first.items())
        listener.pass_over(first)
        if is_behind:
            await write(listener.text(BEHIND, b'{"reason":"expired"}'))
        consumer.assign(partitions)
        for at in partitions:
            consumer.seek(at, listener.position[at])
        for is_live in (False, True):
            listener.is_live = is_live  # in the same breath as the position is looked at
            await _read_to(dict(position), consumer, listener, settings.topic_prefix, write)


async def _read_to(
    end: Mapping[TopicPartition, int], consumer: AIOKafkaConsumer, listener: Listener, prefix: str, write: Write
) -> None:
    """Read up to there at least, and tell all that is read: a poll does not give it a second time."""
    clock = asyncio.get_running_loop().time
    came_at = told_at = clock()
    while not is_there(listener, end):
        found = await consumer.getmany(timeout_ms=POLL_MS, max_records=AT_ONCE)
        text = b"".join(listener.take(event) for event in events_of(found, prefix) if listener.wants(event))
        text += listener.rest()
        listener.pass_over({at: await consumer.position(at) for at in found})
        now = clock()
        if text or now - told_at > QUIET_S:
            await write(text or listener.where())
            told_at = now
        if found:
            came_at = now
        elif now - came_at > ANSWER_MAX_S:
            raise KafkaTimeoutError("Kafka gives nothing of what it has")
