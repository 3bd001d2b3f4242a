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

LONGEST_MS = 120
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

    async def flow(self, pace: Pace | None, together: int = 1) -> float:
        """Let so many records at a time come for a while, every two milliseconds; returns fetches a second."""
        begun, fetched, polled = time.monotonic(), self.fetches, 0
        feeding = asyncio.create_task(self._feed(together))
        while time.monotonic() - begun < FLOW_S or not feeding.done():
            records = await self.consumer.getmany(timeout_ms=10)
            if records and pace:
                pace.flows(self.consumer, sum(map(len, records.values())))
            polled += sum(map(len, records.values()))
        assert polled > 100, "records flowed"
        return (self.fetches - fetched) / (time.monotonic() - begun)

    async def _feed(self, together: int) -> None:
        end = time.monotonic() + FLOW_S
        while time.monotonic() < end:
            for _ in range(together):
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


@pytest.mark.parametrize(("together", "gathers_ms"), [(1, 60), (10, LONGEST_MS / 3)])
async def test_while_records_flow_a_fetch_gathers_some(reader: Reader, together: int, gathers_ms: float) -> None:
    at_once, gathered = await reader.flow(None, together), await reader.flow(Pace(LONGEST_MS), together)
    assert 500 / gathers_ms < gathered < 1000 / gathers_ms + 5 < at_once / 2, (gathered, at_once)


@pytest.mark.parametrize(("took_ms", "gathers_ms"), [(72, 90), (10_000, LONGEST_MS)])
async def test_while_a_batch_takes_longer_a_fetch_gathers_as_long(
    reader: Reader, took_ms: float, gathers_ms: float
) -> None:
    pace = Pace(LONGEST_MS)
    for _ in range(50):
        pace.took(took_ms / 1000)
    fetches = await reader.flow(pace)
    assert 500 / gathers_ms < fetches < 1000 / gathers_ms + 3, "a second"


async def test_after_a_silence_kafka_is_asked_seldom_and_answers_at_once(reader: Reader) -> None:
    pace = Pace(LONGEST_MS)
    await reader.flow(pace)
    await asyncio.sleep(LONGEST_MS * 4 / 1000 + 0.6)
    fetched = reader.fetches
    await asyncio.sleep(2)
    assert reader.fetches - fetched <= 5, "two a second"
    took = []
    for _ in range(3):
        begun = time.monotonic()
        await reader.producer.send_and_wait(reader.at.topic, b"{}", b"k", partition=0)
        assert await reader.consumer.getmany(timeout_ms=2_000)
        took.append(time.monotonic() - begun)
    assert min(took) < LONGEST_MS / 3 / 1000, took
