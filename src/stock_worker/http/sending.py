"""Records that people send again. Law: what was not acknowledged counts as not sent, and is said so in time.

A producer lives for one request: replays are rare, and one that stays open would be broken just when it is needed. It
is opened before a letter is held, so that a broker that does not answer keeps nobody waiting. Source: contract
section 7 (dead letters).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from stock_worker.core.model import Record
from stock_worker.core.topics import REQUEST_MAX_BYTES
from stock_worker.http.problems import Problem
from stock_worker.log import quiet
from stock_worker.relay.producer import discard
from stock_worker.replay import Produce
from stock_worker.settings import Settings, kafka_client_options

_PATIENCE_S: Final = 9.0
_FAULTS: Final = (KafkaError, OSError)  # a timeout is an OSError


@asynccontextmanager
async def producing(settings: Settings, topic: str) -> AsyncIterator[Produce]:
    """Open Kafka to send to a topic. Raises Problem: unavailable, or conflict where there is no such topic."""
    options: dict[str, Any] = kafka_client_options(settings)
    with quiet("aiokafka"):
        await _look_for(topic, options)
        producer = AIOKafkaProducer(**options, acks="all", enable_idempotence=True, max_request_size=REQUEST_MAX_BYTES)
        try:
            await _in_time(producer.start())
            yield lambda record: _send(producer, record)
        finally:
            await discard(producer)


async def _look_for(topic: str, options: dict[str, Any]) -> None:
    """See that the topic is there: a broker that makes topics by itself would make it on sending."""
    admin = AIOKafkaAdminClient(**options)
    try:
        await _in_time(admin.start())
        there = await _in_time(admin.describe_topics())
    finally:
        await admin.close()
    if topic not in {each["topic"] for each in there}:
        raise Problem("conflict", f"Kafka has no topic {topic} any more", more={"why": "no_topic"})


async def _send(producer: AIOKafkaProducer, record: Record) -> None:
    time_ms = record.timestamp_ms if record.timestamp_ms >= 0 else None
    headers = list(record.headers)
    await _in_time(
        producer.send_and_wait(record.topic, record.value, record.key, timestamp_ms=time_ms, headers=headers)
    )


async def _in_time(work: Any) -> Any:  # noqa: ANN401 - aiokafka says no types
    try:
        async with asyncio.timeout(_PATIENCE_S):
            return await work
    except _FAULTS as error:
        raise Problem("unavailable", "Kafka does not answer, and nothing is settled; try again") from error
