"""What `pace.py` takes for granted of aiokafka; a release that keeps the two numbers elsewhere fails here."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import TopicPartition

from stock_worker.core.topics import STOCK_LEVEL
from stock_worker.devstack import Stack
from stock_worker.pace import Pace
from tests.flow.relaying import Outlet

WAIT_MS = 40
FLOW_S = 1.5


class Reader:
    """A consumer of one topic whose fetches are counted."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.at = TopicPartition(topic, 0)
        self.consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
        self.producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
        self.fetches = 0
        self._send = self.consumer._client.send

    async def start(self) -> None:
        async def counted(node_id: int, request: object, **more: object) -> object:
            self.fetches += type(request).__name__ == "FetchRequest"
            return await self._send(node_id, request, **more)

        self.consumer._client.send = counted
        self.consumer.assign([self.at])
        await self.consumer.start()
        await self.producer.start()
        await self.consumer.seek_to_end(self.at)

    async def stop(self) -> None:
        await self.consumer.stop()
        await self.producer.stop()

    async def flow(self, pace: Pace | None) -> float:
        """Let records come for a while, every two milliseconds; returns fetches a second."""
        begun, fetched, polled = time.monotonic(), self.fetches, 0
        feeding = asyncio.create_task(self._feed())
        while time.monotonic() - begun < FLOW_S or not feeding.done():
            records = await self.consumer.getmany(timeout_ms=10)
            if records and pace:
                pace.flows(self.consumer)
            polled += sum(map(len, records.values()))
        assert polled > 100, "records flowed"
        return (self.fetches - fetched) / (time.monotonic() - begun)

    async def _feed(self) -> None:
        end = time.monotonic() + FLOW_S
        while time.monotonic() < end:
            await self.producer.send(self.at.topic, b"{}", b"k", partition=0)
            await asyncio.sleep(0.002)


@pytest.fixture
async def reader(stack: Stack, topics: str) -> AsyncIterator[Reader]:
    outlet = Outlet(stack.kafka_bootstrap, "", topics)
    await outlet.topic(STOCK_LEVEL, partitions=1)
    reader = Reader(stack.kafka_bootstrap, topics + STOCK_LEVEL)
    await reader.start()
    yield reader
    await reader.stop()


async def test_while_records_flow_a_fetch_gathers_them(reader: Reader) -> None:
    at_once, gathered = await reader.flow(None), await reader.flow(Pace(WAIT_MS))
    assert gathered < 1000 / WAIT_MS + 5 < at_once / 2, (gathered, at_once)


@pytest.mark.parametrize(("took_ms", "gathers_ms"), [(1, WAIT_MS), (64, 80), (10_000, 3 * WAIT_MS)])
async def test_while_a_batch_takes_longer_a_fetch_gathers_as_long(
    reader: Reader, took_ms: float, gathers_ms: float
) -> None:
    pace = Pace(WAIT_MS)
    for _ in range(50):
        pace.took(took_ms / 1000)
    fetches = await reader.flow(pace)
    assert 500 / gathers_ms < fetches < 1000 / gathers_ms + 3, "a second"


async def test_after_a_silence_kafka_is_asked_seldom_and_answers_at_once(reader: Reader) -> None:
    pace = Pace(WAIT_MS)
    await reader.flow(pace)
    await asyncio.sleep(WAIT_MS * 10 / 1000 + 0.6)
    fetched = reader.fetches
    await asyncio.sleep(2)
    assert reader.fetches - fetched <= 5, "two a second"
    took = []
    for _ in range(3):
        begun = time.monotonic()
        await reader.producer.send_and_wait(reader.at.topic, b"{}", b"k", partition=0)
        assert await reader.consumer.getmany(timeout_ms=2_000)
        took.append(time.monotonic() - begun)
    assert min(took) < WAIT_MS / 1000, took
