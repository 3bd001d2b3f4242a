"""Where a round happens. Law: its own database and its own topics, alike at the start of every round, gone afterwards.

A database is a file copy of a template that is migrated, stocked and vacuumed; a checkpoint before each round keeps the
server's own housekeeping out of it.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from benchmarks.stocked import lay_stock
from benchmarks.workload import Distribution
from stock_worker.core.topics import COMMAND_TOPICS, COMPACTED_TOPICS, EVENT_TOPICS, ORDER_PLACED, dead_letter_topic
from stock_worker.devstack import Stack
from stock_worker.devstack.databases import drop_database
from stock_worker.store.migrate import upgrade

ALL_TOPICS: Final = (*COMMAND_TOPICS, *map(dead_letter_topic, COMMAND_TOPICS), *EVENT_TOPICS)
PARTITIONS: Final = 12
POSTGRES_SETTINGS: Final[Mapping[str, str]] = {
    "shared_buffers": "1GB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "15min",
}
"""The same server for everybody; fsync, full_page_writes and synchronous_commit are on, as PostgreSQL ships them."""
LARGE_POSTGRES_SETTINGS: Final[Mapping[str, str]] = {**POSTGRES_SETTINGS, "shared_buffers": "4GB"}
"""A server for a million items: their rows and indexes, which orders of all of them touch, stay in its memory."""
KAFKA_SETTINGS: Final[Mapping[str, str]] = {"log.segment.delete.delay.ms": "1000"}
"""Only so that the topics of past rounds leave the disk."""


@dataclass(frozen=True, slots=True)
class Place:
    """A database and a prefix of topics."""

    bootstrap: str
    database_url: str
    prefix: str

    @property
    def environment(self) -> dict[str, str]:
        """The variables that a contender is started with."""
        return {
            "STOCK_KAFKA_BOOTSTRAP": self.bootstrap,
            "STOCK_DATABASE_URL": self.database_url,
            "STOCK_TOPIC_PREFIX": self.prefix,
            "STOCK_GROUP_ID": f"{self.prefix}group",
            "STOCK_HTTP_HOST": "127.0.0.1",
            "STOCK_HTTP_PORT": "0",
        }

    def partitions(self, topic: str) -> list[TopicPartition]:
        """The partitions of a topic."""
        return [TopicPartition(self.prefix + topic, partition) for partition in range(PARTITIONS)]


class Ground:
    """The servers, and the templates made so far."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._templates: dict[str, str] = {}
        self._run = secrets.token_hex(3)

    @asynccontextmanager
    async def place(self, distribution: Distribution, *, peer: bool = False) -> AsyncIterator[Place]:
        """Make a fresh database and fresh topics for one round; a peer is spared the topics that it does not know."""
        names = (ORDER_PLACED, *EVENT_TOPICS) if peer else ALL_TOPICS
        async with self.database(await self._template(distribution)) as url, self.topics(names) as prefix:
            await self.checkpoint()
            yield Place(self.stack.kafka_bootstrap, url, prefix)

    @asynccontextmanager
    async def database(self, template: str) -> AsyncIterator[str]:
        """Copy a database for as long as the block runs."""
        name = self._name("round")
        await self._say(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
        try:
            yield self.url_of(name)
        finally:
            await drop_database(self.stack.database_url, name)

    @asynccontextmanager
    async def stocked(self, distribution: Distribution) -> AsyncIterator[str]:
        """Copy the stocked database of a distribution for as long as the block runs."""
        async with self.database(await self._template(distribution)) as url:
            yield url

    @asynccontextmanager
    async def migrated(self) -> AsyncIterator[str]:
        """Make an empty database with our schema for as long as the block runs."""
        name = self._name("laid")
        try:
            await self._migrate(name)
            yield self.url_of(name)
        finally:
            await drop_database(self.stack.database_url, name)

    @asynccontextmanager
    async def topics(self, names: Sequence[str] = ALL_TOPICS) -> AsyncIterator[str]:
        """Make topics under a new prefix for as long as the block runs."""
        prefix = f"{self._name('t')}-"
        admin = AIOKafkaAdminClient(bootstrap_servers=self.stack.kafka_bootstrap)
        await admin.start()
        try:
            await admin.create_topics([_topic(prefix, name) for name in names])
            await self._until_led([prefix + name for name in names])
            yield prefix
            await admin.delete_topics([prefix + name for name in names])
        finally:
            await admin.close()

    async def checkpoint(self) -> None:
        """Write what is dirty now, so that no round pays for another one's pages; a server that is not ours may not."""
        if self.stack.superuser_url:
            connection = await asyncpg.connect(self.stack.superuser_url)
            try:
                await connection.execute("CHECKPOINT")
            finally:
                await connection.close()

    async def clear(self) -> None:
        """Drop the templates, in case the server goes on living."""
        for name in self._templates.values():
            await drop_database(self.stack.database_url, name)
        self._templates.clear()

    def url_of(self, name: str) -> str:
        """Give the URL of a database of the server."""
        return urlunsplit(urlsplit(self.stack.database_url)._replace(path=f"/{name}"))

    async def _template(self, distribution: Distribution) -> str:
        key = str(distribution.items)
        if key not in self._templates:
            name = self._name(f"items_{key}")
            self._templates[key] = name
            await self._migrate(name)
            connection = await asyncpg.connect(self.url_of(name))
            try:
                await lay_stock(connection, distribution)
            finally:
                await connection.close()
        return self._templates[key]

    async def _migrate(self, name: str) -> None:
        await self._say(f'CREATE DATABASE "{name}"')
        await asyncio.to_thread(upgrade, self.url_of(name))

    async def _say(self, statement: str) -> None:
        connection = await asyncpg.connect(self.stack.database_url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    async def _until_led(self, names: Sequence[str]) -> None:
        """Wait until every partition has its leader: a producer would else stumble over it in the middle of a round."""
        async with AIOKafkaConsumer(bootstrap_servers=self.stack.kafka_bootstrap) as client:
            wanted = [TopicPartition(name, partition) for name in names for partition in range(PARTITIONS)]
            async with asyncio.timeout(30):
                while True:
                    try:
                        await client.end_offsets(wanted)
                    except Exception:  # noqa: BLE001 - not there yet, in the client's many words
                        await asyncio.sleep(0.1)
                    else:
                        return

    def _name(self, what: str) -> str:
        return f"bench_{self._run}_{what}_{secrets.token_hex(3)}"


async def preload(place: Place, orders: Sequence[tuple[bytes, bytes]]) -> None:
    """Put orders into Kafka before anybody reads them, spread evenly over the partitions."""
    topic = place.prefix + ORDER_PLACED
    async with AIOKafkaProducer(
        bootstrap_servers=place.bootstrap, linger_ms=20, max_batch_size=262_144, acks="all"
    ) as producer:
        for index, (key, value) in enumerate(orders):
            await producer.send(topic, value, key, partition=index % PARTITIONS)
        await producer.flush()


def _topic(prefix: str, name: str) -> NewTopic:
    configs = {"cleanup.policy": "compact" if name in COMPACTED_TOPICS else "delete"}
    if name.endswith("-dlt"):
        configs["max.message.bytes"] = str(2 * 1024 * 1024)
    return NewTopic(prefix + name, PARTITIONS, 1, topic_configs=configs)
