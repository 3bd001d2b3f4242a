"""A worker inside the test's process: the intake and the loop, on the real broker and database, without the relay.

What is sent, what was applied and what is committed are asked of the servers; `outcomes` is read off the metrics.
"""

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from stock_worker.audit.drift import Drift
from stock_worker.audit.verify import verify
from stock_worker.core.topics import COMMAND_TOPICS, EVENT_TOPICS, RESTOCK, dead_letter_topic
from stock_worker.intake import Decode, Intake
from stock_worker.metrics import PREFIX, Metrics
from stock_worker.settings import Settings
from stock_worker.store.engine import connect
from stock_worker.sweeper import Sweeper
from stock_worker.wire.decode import decode
from stock_worker.worker import Worker

SITE = str(uuid5(NAMESPACE_OID, "site"))
PARTITIONS = 2
PATIENCE_S = 30.0

Headers = Sequence[tuple[str, bytes | None]]


def product(number: int) -> str:
    """A product's id, by number."""
    return str(uuid5(NAMESPACE_OID, f"product {number}"))


def restock(reference_id: str, number: int = 1, quantity: int = 1, lines: int = 1) -> bytes:
    """A restock of one product (or of that many products from this number on)."""
    entries = [{"product_id": product(number + n), "quantity": quantity} for n in range(lines)]
    return json.dumps({"site_id": SITE, "reference_id": reference_id, "lines": entries}).encode()


def settings_for(bootstrap: str, database_url: str, prefix: str, **more: object) -> Settings:
    """The settings of a test's worker, whatever the environment says."""
    given: dict[str, object] = {
        "kafka_bootstrap": bootstrap,
        "database_url": database_url,
        "topic_prefix": prefix,
        "group_id": f"{prefix}group",
        "kafka_session_timeout_ms": 6_000,
        "topic_partitions": PARTITIONS,
        "http_host": "127.0.0.1",
        "http_port": 0,
    }
    return Settings(_env_file=None, **{**given, **more})  # type: ignore[arg-type] # pydantic checks them


async def make_topics(bootstrap: str, prefix: str, partitions: int = PARTITIONS) -> None:
    """Make every topic of the service."""
    names = [*COMMAND_TOPICS, *EVENT_TOPICS, *map(dead_letter_topic, COMMAND_TOPICS)]
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()

    async def seen() -> bool:
        return {prefix + name for name in names} <= {topic["topic"] for topic in await admin.describe_topics()}

    try:
        await admin.create_topics([NewTopic(prefix + name, partitions, 1) for name in names])
        await until(seen)  # the broker that is asked learns of them a moment after the controller
    finally:
        await admin.close()


async def until(condition: Callable[[], Any], patience_s: float = PATIENCE_S) -> None:
    """Wait for a condition, which may be asked with await. Raises AssertionError past the deadline."""
    deadline = monotonic() + patience_s
    while True:
        answer = condition()
        if isinstance(answer, Awaitable):
            answer = await answer
        if answer:
            return
        assert monotonic() < deadline, f"not within {patience_s:g} s: {condition}"
        await asyncio.sleep(0.02)


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def busy() -> float:
    """How much more time things take on this machine at this moment; at least 1."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


@dataclass
class Shop:
    """One set of topics and one database, and what a test asks of them."""

    settings: Settings

    async def send(
        self,
        *values: bytes | None,
        topic: str = RESTOCK,
        headers: Headers = (),
        partition: int = 0,
        key: bytes = b"key",
    ) -> None:
        """Send records to one partition, in order."""
        producer = AIOKafkaProducer(bootstrap_servers=self.settings.kafka_bootstrap, max_request_size=4 * 1024 * 1024)
        await producer.start()
        try:
            name = self.settings.topic_prefix + topic
            sends = [await producer.send(name, value, key, partition, headers=list(headers)) for value in values]
            await asyncio.gather(*sends)
        finally:
            await producer.stop()

    async def ask(self, query: str, *arguments: object) -> Any:  # noqa: ANN401 - whatever the column holds
        """Ask the database as its owner: one value."""
        connection = await asyncpg.connect(self.settings.database_url)
        try:
            return await connection.fetchval(query, *arguments)
        finally:
            await connection.close()

    async def tell(self, script: str) -> None:
        """Run statements as the database's owner."""
        connection = await asyncpg.connect(self.settings.database_url)
        try:
            await connection.execute(script)
        finally:
            await connection.close()

    async def rows(self, query: str, *arguments: object) -> list[Any]:
        """Ask the database as its owner: all rows."""
        connection = await asyncpg.connect(self.settings.database_url)
        try:
            return list(await connection.fetch(query, *arguments))
        finally:
            await connection.close()

    async def drifts(self) -> list[Drift]:
        """What `verify` finds; nothing where every counter, total and list follows from the ledger."""
        auditor = await connect(self.settings.database_url, "stock_worker", plans="free")
        try:
            return await verify(auditor)
        finally:
            await auditor.close()

    async def on_hand(self, number: int = 1) -> int:
        """The stock of a product; 0 before its first movement."""
        return int(
            await self.ask("SELECT coalesce(sum(on_hand), 0) FROM stock.items WHERE product_id = $1", product(number))
        )

    async def movements(self) -> int:
        """How many rows the ledger has."""
        return int(await self.ask("SELECT count(*) FROM stock.movements"))

    async def end(self, topic: str = RESTOCK, partition: int = 0) -> int:
        """The offset that the next record will have."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.settings.kafka_bootstrap)
        await consumer.start()
        try:
            at = TopicPartition(self.settings.topic_prefix + topic, partition)
            return int((await consumer.end_offsets([at]))[at])
        finally:
            await consumer.stop()

    async def committed(self, topic: str = RESTOCK, partition: int = 0) -> int:
        """The group's committed offset; 0 before the first commit."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.settings.kafka_bootstrap)
        await admin.start()
        try:
            offsets = await admin.list_consumer_group_offsets(self.settings.group_id)
        finally:
            await admin.close()
        at = TopicPartition(self.settings.topic_prefix + topic, partition)
        return max(0, offsets[at].offset) if at in offsets else 0


class Running:
    """A worker that runs, and what it says of itself."""

    def __init__(self, settings: Settings, decode: Decode = decode) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.wake = asyncio.Event()
        self.intake = Intake(settings, decode)
        self.worker = Worker(settings, self.intake, self.metrics, wake=self.wake)
        self.loop: asyncio.Task[Any] | None = None

    def outcomes(self) -> dict[str, int]:
        """What became of the records so far, without zeros."""
        found: dict[str, int] = {}
        for family in self.metrics.commands_total.collect():
            for sample in family.samples:
                if sample.value:
                    outcome = sample.labels["outcome"]
                    found[outcome] = found.get(outcome, 0) + int(sample.value)
        return found

    def sample(self, name: str, **labels: str) -> float:
        """One figure of the scrape, 0 where there is none."""
        return self.metrics.registry.get_sample_value(PREFIX + name, labels) or 0.0

    async def decided(self, records: int) -> None:
        """Wait until so many records have an outcome."""

        def enough() -> bool:
            if self.loop and self.loop.done():
                self.loop.result()
            return sum(self.outcomes().values()) >= records

        await until(enough)


@asynccontextmanager
async def running(settings: Settings, decode: Decode = decode, **more: object) -> AsyncIterator[Running]:
    """Run a worker for as long as the block runs, and stop it in order."""
    one = Running(settings.model_copy(update=more), decode)
    one.loop = asyncio.create_task(one.worker.run())
    offsets = asyncio.create_task(one.intake.commit_offsets())
    try:
        await one.intake.join()
        yield one
        if not one.loop.done():
            await one.worker.stop()
    finally:
        await one.intake.leave()
        for task in (one.loop, offsets):
            task.cancel()
        await asyncio.gather(one.loop, offsets, return_exceptions=True)


def sweeper_of(one: Running, every_s: float = 0.05) -> Sweeper:
    """A running worker's sweeper. It sweeps more often than each second, so that it meets the commands that come."""
    return Sweeper(
        one.settings,
        one.metrics,
        intake=one.intake,
        wake=one.wake,
        breaker=one.worker.breaker,
        sleep=lambda _: asyncio.sleep(every_s),
    )


@asynccontextmanager
async def sweeping(one: Running) -> AsyncIterator[None]:
    """Sweep beside a running worker for as long as the block runs; a sweeper that dies fails the test."""
    sweeps = asyncio.create_task(sweeper_of(one).run())
    try:
        yield
        assert not sweeps.done(), sweeps
    finally:
        await end(sweeps)


async def end(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait, a few times and not for ever: one that waits for a lock may take its cancelling amiss."""
    for _ in range(3):
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=2)
        if done:
            return
