"""A producer that fences every earlier one of its name. Law: all that this project knows of aiokafka's inside.

`open_fenced` asks Kafka for the producer id that belongs to a transactional id. Whoever asks next gets the same id with
a higher epoch, and a partition that has seen the higher epoch refuses the lower one. That is the whole fence; no
transaction is ever begun (docs/decisions/0002 says why that is enough, and what it costs).

aiokafka 0.14 has no such producer, hence the private names here; `tests/flow/test_relay_producer.py` fails when a
release changes what they do. aiokafka's own `stop` waits for what may never be acknowledged; `discard` does not.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any, Final

from aiokafka import AIOKafkaProducer

BATCH_MAX_BYTES: Final = 256 * 1024
"""Of one partition's records in one request, before compression; one larger record still goes, alone."""
REQUEST_MAX_MS: Final = 15_000
_GOODBYE_S: Final = 5.0


async def open_fenced(options: Mapping[str, Any], transactional_id: str) -> AIOKafkaProducer:
    """Open an idempotent producer that fences every earlier one of this id. Raises what aiokafka raises."""
    producer = AIOKafkaProducer(
        **options,
        transactional_id=transactional_id,
        acks="all",
        compression_type="zstd",  # measured against lz4: half the size for half the time
        max_batch_size=BATCH_MAX_BYTES,
        request_timeout_ms=REQUEST_MAX_MS,
    )
    try:
        await producer.start()
    except BaseException:
        await discard(producer)
        raise
    # From here on it is a plain idempotent producer, with the id and the epoch it was given.
    producer._txn_manager.transactional_id = None  # noqa: SLF001 - aiokafka offers no epoch without transactions
    return producer


async def discard(producer: AIOKafkaProducer) -> None:
    """Close a producer, without waiting for what it has not sent."""
    producer._closed = True  # noqa: SLF001 - it is closed here, and must not warn that it never was
    task: asyncio.Task[None] | None = producer._sender.sender_task  # noqa: SLF001 - the task that would send on
    if task is not None:
        task.cancel()
    with contextlib.suppress(Exception):  # whatever it says, nothing is asked of it any more
        await producer.client.close()  # fails the requests under way, which the task is waiting for
    if task is not None:
        await asyncio.wait([task], timeout=_GOODBYE_S)
        if task.done() and not task.cancelled():
            task.exception()
