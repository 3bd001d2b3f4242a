"""A shop under fire: real workers as processes, what was sent to them, and what came out of the topics.

Law: everything is judged from outside: the harness knows topics and settings, and no code of the product.
"""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Final

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError

from tests.oracle.records import EVENT_TOPICS, Seen, Sent

COMMANDS: Final = (
    "order-placed",
    "order-cancelled",
    "order-fulfilled",
    "return-received",
    "restock",
    "stock-adjustment",
    "stock-count",
    "stock-transfer",
    "product-changed",
)
SESSION_TIMEOUT_MS: Final = 6_000
DRAIN_TIMEOUT_S: Final = 90.0
_ROOT: Final = Path(__file__).parents[2]


@dataclass(slots=True)
class Life:
    """One worker process, from start to death. `log` is what it said."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def code(self) -> int | None:
        """The exit code, negative for a signal, None while it lives."""
        return self.process.poll()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    async def ended(self, timeout_s: float = 60.0) -> int:
        """Wait for its death. Raises TimeoutError with the end of its log."""
        deadline = monotonic() + timeout_s
        while (code := self.process.poll()) is None:
            if monotonic() > deadline:
                raise TimeoutError(f"the worker still lives; it last said:\n{self.said()}")
            await asyncio.sleep(0.02)
        return code

    def said(self, characters: int = 3_000) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-characters:]


@dataclass(slots=True)
class Shop:
    """One database, one set of topics, one consumer group, and the workers on them."""

    bootstrap: str
    database_url: str
    prefix: str
    partitions: int = 4
    lives: list[Life] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    more_settings: dict[str, str] = field(default_factory=dict)
    _folder: tempfile.TemporaryDirectory[str] = field(default_factory=tempfile.TemporaryDirectory)

    def environment(self, member: str | None = None) -> dict[str, str]:
        """The settings of a worker; a member id makes it a static member."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("STOCK_")}
        return kept | {
            "STOCK_KAFKA_BOOTSTRAP": self.bootstrap,
            "STOCK_DATABASE_URL": self.database_url,
            "STOCK_TOPIC_PREFIX": self.prefix,
            "STOCK_GROUP_ID": f"{self.prefix}group",
            "STOCK_TOPIC_PARTITIONS": str(self.partitions),
            "STOCK_KAFKA_SESSION_TIMEOUT_MS": str(SESSION_TIMEOUT_MS),
            "STOCK_HTTP_PORT": "0",
            "STOCK_GROUP_INSTANCE_ID": member or "",
            **self.more_settings,
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the program to its end."""
        return subprocess.run(
            [sys.executable, "-m", "stock_worker", *arguments],
            cwd=self._folder.name,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )

    def start(self, member: str, *, point: str = "none", passes: int = 1, batch: int | None = None) -> Life:
        """Start a worker, with a crash point armed or none."""
        log = Path(self._folder.name) / f"{len(self.lives)}-{member}.log"
        settings = self.environment(member) | ({"STOCK_BATCH_MAX_RECORDS": str(batch)} if batch else {})
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.launch", point, str(passes), "run"],
                cwd=_ROOT,
                env=settings,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        life = Life(process, log)
        self.lives.append(life)
        return life

    async def produce(self, messages: Sequence[Sent]) -> None:
        """Send messages, each topic's in their order, and remember where they went."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self.bootstrap, acks="all", linger_ms=5, max_request_size=4 * 1024 * 1024
        )
        await producer.start()
        try:
            futures = [
                await producer.send(
                    self.prefix + message.topic, message.value, message.key, headers=list(message.headers)
                )
                for message in messages
            ]
            for message, future in zip(messages, futures, strict=True):
                metadata = await future
                self.sent.append(message._replace(partition=metadata.partition, offset=metadata.offset))
        finally:
            await producer.stop()

    async def drained(self, timeout_s: float = DRAIN_TIMEOUT_S) -> None:
        """Wait until every command is applied, its offset committed, and every event published."""
        deadline = monotonic() + timeout_s
        while left := await self._left():
            if monotonic() > deadline:
                said = "\n---\n".join(life.said(1_500) for life in self.lives[-2:])
                raise TimeoutError(f"{left} after {timeout_s:g} s; the last workers said:\n{said}")
            await asyncio.sleep(0.1)

    async def applied_something(self, timeout_s: float = 60.0) -> None:
        """Wait until a worker has committed its first batch."""
        deadline = monotonic() + timeout_s
        while not await self._ask("SELECT count(*) FROM stock.references WHERE type = 'order'"):
            assert monotonic() < deadline, f"nothing was applied; the worker said:\n{self.lives[-1].said()}"
            await asyncio.sleep(0.02)

    async def _ask(self, query: str) -> int:
        connection = await asyncpg.connect(self.database_url)
        try:
            await connection.execute("SET ROLE stock_worker")
            return int(await connection.fetchval(query))
        finally:
            await connection.close()

    async def _left(self) -> str | None:
        async with self._consumer() as consumer:
            ends = await consumer.end_offsets(self._partitions(COMMANDS))
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            committed = await admin.list_consumer_group_offsets(f"{self.prefix}group")
        except GroupCoordinatorNotAvailableError:
            return "the group has no coordinator yet"
        finally:
            await admin.close()
        lag = sum(end - max(0, committed[tp].offset if tp in committed else 0) for tp, end in ends.items())
        if lag:
            return f"{lag} commands wait"
        waiting = await self._ask("SELECT count(*) FROM stock.outbox")
        return f"{waiting} events wait" if waiting else None

    async def received(self) -> list[Seen]:
        """All that came out: the records of every event and dead-letter topic, each partition in order."""
        names = (*EVENT_TOPICS, *(f"{topic}-dlt" for topic in COMMANDS))
        records: list[Seen] = []
        async with self._consumer() as consumer:
            partitions = self._partitions(names)
            consumer.assign(partitions)
            await consumer.seek_to_beginning(*partitions)
            ends = await consumer.end_offsets(partitions)
            while any([await consumer.position(tp) < end for tp, end in ends.items()]):
                for fetched in (await consumer.getmany(timeout_ms=500)).values():
                    records += [self._seen(record) for record in fetched]
        return records

    def _seen(self, record: ConsumerRecord) -> Seen:
        topic = record.topic.removeprefix(self.prefix)
        return Seen(topic, record.partition, record.offset, record.key, record.value, tuple(record.headers))

    def _partitions(self, topics: Sequence[str]) -> list[TopicPartition]:
        return [TopicPartition(self.prefix + topic, n) for topic in topics for n in range(self.partitions)]

    @asynccontextmanager
    async def _consumer(self) -> AsyncIterator[AIOKafkaConsumer]:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap, enable_auto_commit=False, max_partition_fetch_bytes=4 * 1024 * 1024
        )
        await consumer.start()
        try:
            yield consumer
        finally:
            await consumer.stop()

    def close(self) -> None:
        """End what still lives and forget the logs."""
        for life in self.lives:
            if life.code is None:
                life.process.kill()
            life.process.wait()
        self._folder.cleanup()
