"""What `relay/producer.py` takes for granted of aiokafka and of the broker; a release that changes it fails here."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import ProducerFenced

from stock_worker.devstack import Stack
from stock_worker.relay.producer import discard, open_fenced
from tests.flow.relaying import LEVEL, Outlet


@pytest.fixture
async def outlet(stack: Stack, topics: str) -> Outlet:
    outlet = Outlet(stack.kafka_bootstrap, "", topics)
    await outlet.topic(LEVEL, partitions=2)
    return outlet


@pytest.fixture
async def lives(outlet: Outlet) -> AsyncIterator[tuple[AIOKafkaProducer, AIOKafkaProducer]]:
    """A producer, and the one that came after it under the same id."""
    options = {"bootstrap_servers": outlet.bootstrap}
    old, new = await open_fenced(options, outlet.prefix), await open_fenced(options, outlet.prefix)
    yield old, new
    await discard(old)
    await discard(new)


async def send(producer: AIOKafkaProducer, outlet: Outlet, partition: int, *values: bytes) -> None:
    """Send one batch and wait for the broker's word."""
    batch = producer.create_batch()
    for value in values:
        batch.append(timestamp=None, key=b"k", value=value, headers=[("null", None), ("x", b"1")])
    await (await producer.send_batch(batch, outlet.prefix + LEVEL, partition=partition))


async def values_of(outlet: Outlet, partition: int) -> Sequence[bytes]:
    return [record.value for record in await outlet.published() if record.partition == partition]


async def test_a_partition_that_has_seen_the_new_life_refuses_the_old_one(
    outlet: Outlet, lives: tuple[AIOKafkaProducer, AIOKafkaProducer]
) -> None:
    old, new = lives
    await send(new, outlet, 0, b"new")
    with pytest.raises(ProducerFenced):
        await send(old, outlet, 0, b"old")
    await send(new, outlet, 0, b"newer")
    assert await values_of(outlet, 0) == [b"new", b"newer"]


async def test_a_partition_that_has_not_is_open_to_both_and_that_is_why_a_relay_publishes_again_first(
    outlet: Outlet, lives: tuple[AIOKafkaProducer, AIOKafkaProducer]
) -> None:
    old, new = lives
    await send(new, outlet, 0, b"new")
    await send(old, outlet, 1, b"old")
    await send(new, outlet, 1, b"old", b"new")
    assert await values_of(outlet, 1) == [b"old", b"old", b"new"]


async def test_a_record_has_no_transaction_to_wait_for(outlet: Outlet) -> None:
    """A consumer that reads committed records sees each at once, and offsets have no gaps for markers."""
    producer = await open_fenced({"bootstrap_servers": outlet.bootstrap}, outlet.prefix)
    for n in range(3):
        await send(producer, outlet, 0, b"%d" % n)
    await discard(producer)
    assert [(record.offset, record.headers) for record in await outlet.published()] == [
        (offset, (("null", None), ("x", b"1"))) for offset in range(3)
    ]


async def test_batches_of_one_partition_keep_their_order(outlet: Outlet) -> None:
    producer = await open_fenced({"bootstrap_servers": outlet.bootstrap}, outlet.prefix)
    await asyncio.gather(*(send(producer, outlet, 0, b"%d" % n) for n in range(50)))
    await discard(producer)
    assert await values_of(outlet, 0) == [b"%d" % n for n in range(50)]


async def test_a_producer_is_discarded_at_once_whatever_it_still_has(outlet: Outlet) -> None:
    producer = await open_fenced({"bootstrap_servers": outlet.bootstrap}, outlet.prefix)
    sending = [asyncio.create_task(send(producer, outlet, 0, bytes(200_000))) for _ in range(20)]
    await asyncio.sleep(0)
    began = time.monotonic()
    await discard(producer)
    assert time.monotonic() - began < 2
    for task in sending:
        task.cancel()
    await asyncio.wait(sending)
