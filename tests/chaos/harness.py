"""A shop under fire: real workers as processes, what was sent to them, and what came out of the topics.

Law: everything is judged from outside: the harness knows topics, settings, and the tables that say what still waits.
"""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Final

import asyncpg
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError

from tests.chaos.launch import Armed, start
from tests.chaos.life import Life
from tests.oracle.records import EVENT_TOPICS, Seen, Sent
from tests.oracle.steering import Steering

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
PARTITIONS: Final = 4
SESSION_TIMEOUT_MS: Final = 6_000
DRAIN_TIMEOUT_S: Final = 180.0
WAITING: Final = {
    "orders are due": "SELECT count(*) FROM stock.orders WHERE due_at <= clock_timestamp()",
    "changed rules have not reached their items": "SELECT count(*) FROM stock.reevaluations",
    "events wait": "SELECT count(*) FROM stock.outbox",
}


@dataclass(slots=True)
class Shop:
    """One database, one set of topics, one consumer group, and the workers on them."""

    bootstrap: str
    database_url: str
    prefix: str
    folder: Path
    more_settings: dict[str, str] = field(default_factory=dict)
    lives: list[Life] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    steering: Steering = field(default_factory=Steering)

    @property
    def alive(self) -> list[Life]:
        """The workers that live."""
        return [life for life in self.lives if life.code is None]

    def start(self, member: str | None, point: str | None = None, passes: int = 1) -> Life:
        """Start a worker, with a point armed or none; a member id makes it a static member."""
        return self._start(member or "dynamic", ["run"], {"STOCK_GROUP_INSTANCE_ID": member or ""}, point, passes)

    async def run(self, *arguments: str, point: str | None = None, passes: int = 1) -> Life:
        """Run a command of the program to its end."""
        life = self._start(arguments[0], arguments, {}, point, passes)
        await life.ended()
        return life

    def _start(
        self, name: str, arguments: Sequence[str], settings: dict[str, str], point: str | None, passes: int
    ) -> Life:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("STOCK_")}
        ours = {
            "STOCK_KAFKA_BOOTSTRAP": self.bootstrap,
            "STOCK_DATABASE_URL": self.database_url,
            "STOCK_TOPIC_PREFIX": self.prefix,
            "STOCK_GROUP_ID": f"{self.prefix}group",
            "STOCK_TOPIC_PARTITIONS": str(PARTITIONS),
            "STOCK_KAFKA_SESSION_TIMEOUT_MS": str(SESSION_TIMEOUT_MS),
            "STOCK_HTTP_HOST": "127.0.0.1",
            "STOCK_HTTP_PORT": "0",
        }
        log = self.folder / f"{len(self.lives)}-{name}.log"
        environment = {**kept, **ours, **self.more_settings, **settings}
        life = Life(name, start(environment, self.folder, log, arguments, Armed(point, passes)), log)
        self.lives.append(life)
        return life

    # ---------------------------------------------------------------- what still waits

    async def drained(self, timeout_s: float = DRAIN_TIMEOUT_S) -> None:
        """Wait until every command is applied, its offset committed, what is due is done, and every event published."""
        deadline = monotonic() + timeout_s
        while left := await self._left():
            if monotonic() > deadline:
                said = "\n---\n".join(life.said(1_500) for life in self.lives[-2:])
                raise TimeoutError(f"{left} after {timeout_s:g} s; the last workers said:\n{said}")
            await asyncio.sleep(0.1)

    async def ask(self, query: str) -> int:
        """Ask the database for a number."""
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
        if "STOCK_PARKED_TTL_HOURS" in self.more_settings:
            parked = await self.ask("SELECT count(*) FROM stock.parked_commands")
            if parked:
                return f"{parked} commands are parked"
        for what, query in WAITING.items():
            if waiting := await self.ask(query):
                return f"{waiting} {what}"
        return None

    # ---------------------------------------------------------------- what came out

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
        return [TopicPartition(self.prefix + topic, n) for topic in topics for n in range(PARTITIONS)]

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


@asynccontextmanager
async def open_shop(bootstrap: str, database_url: str, prefix: str, **settings: str) -> AsyncIterator[Shop]:
    """Open a shop on a migrated database and make its topics; settings by their names in the environment.

    When the block is left, every process of it has ended.
    """
    with shop_of(bootstrap, database_url, prefix, **settings) as shop:
        made = await shop.run("topics", "create")
        assert made.code == 0, made.said()
        yield shop


@contextmanager
def shop_of(bootstrap: str, database_url: str, prefix: str, **settings: str) -> Iterator[Shop]:
    """A shop without topics, on whatever the database is."""
    with tempfile.TemporaryDirectory(prefix="stock-worker-chaos-") as folder:
        shop = Shop(bootstrap, database_url, prefix, Path(folder), settings)
        try:
            yield shop
        finally:
            for life in shop.lives:
                life.end()
