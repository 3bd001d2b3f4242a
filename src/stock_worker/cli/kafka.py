"""Kafka for a person at a terminal. Law: what cannot work is said within ten seconds, with the reason of the broker.

aiokafka's bootstrap logs why a broker was refused and raises only that none was left. So one connection is opened by
hand first: it gives the reason, and the versions of the protocol that the broker speaks.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.conn import create_conn
from aiokafka.errors import KafkaConnectionError, KafkaError

from stock_worker.cli.terminal import Misused, Unfit
from stock_worker.core.topics import COMMAND_TOPICS, EVENT_TOPICS, REQUEST_MAX_BYTES, dead_letter_topic
from stock_worker.log import quiet
from stock_worker.settings import Settings, kafka_client_options

ANSWER_TIMEOUT_MS: Final = 3_000
PATIENCE_S: Final = 9.0

TOPICS: Final = (*EVENT_TOPICS, *COMMAND_TOPICS, *map(dead_letter_topic, COMMAND_TOPICS))
"""Every topic of the service, without prefix."""


class Broker(NamedTuple):
    """A broker that answered: its address, and per API of the protocol the oldest and newest version it speaks."""

    address: str
    versions: Mapping[int, tuple[int, int]]


async def ask(settings: Settings) -> Broker:
    """Connect to the first broker that answers. Raises the reason of the last one that does not."""
    options: dict[str, Any] = kafka_client_options(settings)
    addresses = options.pop("bootstrap_servers")
    reason: BaseException | None = None
    for address in addresses:
        host, _, port = address.rpartition(":")
        try:
            with quiet("aiokafka"):
                connection = await create_conn(
                    host.strip("[]"), int(port), request_timeout_ms=ANSWER_TIMEOUT_MS, **options
                )
        except (OSError, KafkaError) as error:  # a timeout is an OSError
            reason = error
            continue
        try:
            return Broker(address, dict(connection._versions))  # noqa: SLF001 - aiokafka has no public way to ask
        finally:
            connection.close()
    if isinstance(reason, KafkaError) and not isinstance(reason, KafkaConnectionError):
        raise reason
    where = ", ".join(addresses)
    words = str(reason) or f"no answer in {ANSWER_TIMEOUT_MS / 1000:g} s"
    raise Unfit(f"no broker answers at {where}: {words}; start Kafka, or correct STOCK_KAFKA_BOOTSTRAP") from reason


@asynccontextmanager
async def producer(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    """Open a producer whose records are on disk when it says so."""
    await ask(settings)
    options: dict[str, Any] = kafka_client_options(settings)
    made = AIOKafkaProducer(**options, acks="all", enable_idempotence=True, max_request_size=REQUEST_MAX_BYTES)
    async with _started(made, made.stop):
        yield made


@asynccontextmanager
async def consumer(settings: Settings) -> AsyncIterator[AIOKafkaConsumer]:
    """Open a consumer without a group, of what is committed: reading changes nothing."""
    await ask(settings)
    options: dict[str, Any] = kafka_client_options(settings)
    made = AIOKafkaConsumer(
        **options, enable_auto_commit=False, auto_offset_reset="earliest", isolation_level="read_committed"
    )
    async with _started(made, made.stop):
        yield made


@asynccontextmanager
async def admin(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    """Open an admin client."""
    await ask(settings)
    made = AIOKafkaAdminClient(**kafka_client_options(settings))
    async with _started(made, made.close):
        yield made


@asynccontextmanager
async def _started(client: Any, close: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:  # noqa: ANN401 - any client
    """Start a client and close it in the end; what it would log meanwhile is said by us, in one line."""
    with quiet("aiokafka"):
        try:
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await client.start()
            except TimeoutError as error:
                raise Unfit(f"Kafka has not answered in {PATIENCE_S:g} s; see stock-worker doctor") from error
            yield
        finally:
            await close()


async def partitions(settings: Settings, names: Iterable[str]) -> list[TopicPartition]:
    """Find the partitions of topics (with prefix). Raises Unfit where a topic is missing."""
    async with admin(settings) as asked:
        # All of them: asking by name would create them on a broker that creates topics by itself.
        there = {topic["topic"]: topic["partitions"] for topic in await asked.describe_topics()}
    wanted = list(names)
    if missing := [name for name in wanted if name not in there]:
        raise Unfit(f"Kafka has no topic {', '.join(missing)}; run: stock-worker topics create")
    return [TopicPartition(name, part["partition"]) for name in wanted for part in there[name]]


def known(topics: Iterable[str], allowed: Iterable[str], prefix: str) -> list[str]:
    """Take topics as a person types them, with or without the prefix; give them with it. Raises Misused."""
    names = set(allowed)
    given = []
    for topic in topics:
        short = topic if topic in names else topic.removeprefix(prefix)
        if short not in names:
            raise Misused(f"{topic} is no topic that this command takes; one of: {', '.join(sorted(names))}")
        given.append(prefix + short)
    return given
