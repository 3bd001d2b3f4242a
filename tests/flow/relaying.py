"""An outbox, its topics and relays: what the tests of the relay share.

Run as a program it is one relay, for tests that kill or freeze it: `python -m tests.flow.relaying '{…}'`.
"""

import asyncio
import json
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from subprocess import Popen
from typing import Any, Final, TypeVar
from zlib import crc32

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.producer.sender import Sender

from stock_worker.relay import Relay, publisher
from stock_worker.store import outbox
from stock_worker.store.engine import connect
from stock_worker.store.tables.delivery import outbox as table
from tests.flow.running import PATIENCE_S, until

NOON: Final = datetime(2026, 3, 4, 12, 0, 0, 250_000, tzinfo=UTC)
LEVEL: Final = "stock-level"
COLUMNS: Final = [column.name for column in table.columns if column.identity is None]
T = TypeVar("T")
ROOT: Final = Path(__file__).parents[2]


@dataclass(frozen=True)
class Outlet:
    """A database with an outbox, and a prefix of topics on a broker."""

    bootstrap: str
    database: str
    prefix: str

    async def topic(self, name: str, partitions: int = 3, **config: str) -> None:
        """Create a topic; config by Kafka's names, with _ for a dot."""
        new = NewTopic(self.prefix + name, partitions, 1)
        new.topic_configs = {key.replace("_", "."): value for key, value in config.items()}
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            assert (await admin.create_topics([new])).topic_errors[0][1] == 0

            async def is_seen() -> bool:  # the broker learns of it a moment after the controller
                return self.prefix + name in await admin.list_topics()

            await until(is_seen)
        finally:
            await admin.close()

    def event(self, key: str, payload: object, topic: str = LEVEL, **columns: object) -> dict[str, object]:
        """One event as a row."""
        row = dict.fromkeys(COLUMNS) | {
            "created_at": NOON,
            "id": uuid.uuid4(),
            "shard": crc32(key.encode()) % 16,
            "aggregatetype": "item",
            "aggregateid": key,
            "type": f"stock-worker.{topic}.v1",
            "topic": self.prefix + topic,
            "key": key.encode(),
            "payload": json.dumps(payload).encode(),
        }
        return row | columns

    def letter(
        self, key: bytes | None, payload: bytes | None, headers: Sequence[tuple[str, bytes | None]] = ()
    ) -> dict[str, object]:
        """One dead letter as a row."""
        columns = {
            "shard": crc32(key or b"") % 16,
            "aggregatetype": "dead_letter",
            "key": key,
            "payload": payload,
            "header_names": [name for name, _ in headers],
            "header_values": [value for _, value in headers],
        }
        return self.event("", None, "restock-dlt") | columns

    async def write(self, *rows: Mapping[str, object]) -> None:
        """Put rows into the outbox, in one transaction."""
        async with self.session() as worker:
            await worker.copy_records_to_table(
                "outbox",
                schema_name="stock",
                columns=COLUMNS,
                records=[[row[name] for name in COLUMNS] for row in rows],
            )

    async def ask(self, query: str, *values: object) -> Any:  # noqa: ANN401 - whatever it asks for
        """Ask the database for one value."""
        async with self.session() as worker:
            return await worker.fetchval(query, *values)

    async def waiting(self) -> int:
        """How many rows the outbox has."""
        return int(await self.ask("SELECT count(*) FROM stock.outbox"))

    async def drained(self, patience_s: float = PATIENCE_S) -> None:
        """Wait until the outbox is empty."""
        await until(self._is_drained, patience_s)

    async def _is_drained(self) -> bool:
        return await self.waiting() == 0

    async def shards(self) -> dict[int, int | None]:
        """Whose slot each shard is."""
        async with self.session() as worker:
            return await outbox.owners(worker)

    async def live(self) -> int:
        """How many relays hold a slot."""
        async with self.session() as worker:
            return await outbox.live_relays(worker)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[asyncpg.Connection]:
        """A session of the worker's role."""
        connection = await connect(self.database, "stock_worker", application_name="test")
        try:
            yield connection
        finally:
            await connection.close()

    async def published(self, topic: str = LEVEL) -> list[Any]:
        """Every record that the topic has, by partition in order."""
        consumer = AIOKafkaConsumer(
            self.prefix + topic,
            bootstrap_servers=self.bootstrap,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        await consumer.start()
        try:
            partitions = sorted(consumer.assignment())
            ends = await consumer.end_offsets(partitions)
            found: dict[TopicPartition, list[Any]] = {partition: [] for partition in partitions}
            while [partition for partition in partitions if await consumer.position(partition) < ends[partition]]:
                for partition, records in (await consumer.getmany(timeout_ms=200)).items():
                    found[partition] += records
        finally:
            await consumer.stop()
        return [record for partition in partitions for record in found[partition]]

    def relay(self, **more: Any) -> Relay:  # noqa: ANN401 - the relay's own arguments
        """A relay of this outbox, not yet running."""
        terms: dict[str, Any] = {
            "database_url": self.database,
            "kafka": {"bootstrap_servers": self.bootstrap},
            "group_id": "test",
            "event_source": "the-source",
            "wake": asyncio.Event(),
        }
        return Relay(**(terms | more))

    @asynccontextmanager
    async def relaying(self, **more: Any) -> AsyncIterator[Relay]:  # noqa: ANN401 - the relay's own arguments
        """A relay at work, for as long as the block runs; one that dies fails the test."""
        relay = self.relay(**more)
        running = asyncio.create_task(relay.run())
        try:
            yield relay
        finally:
            relay.stop()
            await running

    @contextmanager
    def process(self, point: str, *, fenced: bool = True) -> Iterator[Popen[bytes]]:
        """A relay in a process of its own, armed with a point of POINTS; killed at the end."""
        told = {"bootstrap": self.bootstrap, "database": self.database, "point": point, "fenced": fenced}
        process = Popen([sys.executable, "-m", "tests.flow.relaying", json.dumps(told)], cwd=ROOT)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def values(records: Sequence[Any]) -> dict[str, list[Any]]:
    """The payloads of each key, in order."""
    found: dict[str, list[Any]] = {}
    for record in records:
        found.setdefault(record.key.decode(), []).append(json.loads(record.value))
    return found


def ids(records: Sequence[Any]) -> list[str]:
    """The ce_id of each record."""
    return [dict(record.headers)["ce_id"].decode() for record in records]


def without_doubles(said: Sequence[T]) -> list[T]:
    """What a consumer is left with that drops what it has seen."""
    return list(dict.fromkeys(said))


# ---------------------------------------------------------------- a relay in a process of its own


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _freeze() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _before(owner: Any, name: str, happening: Callable[[], None], condition: Callable[..., bool]) -> None:  # noqa: ANN401
    """Have something happen once, before the function runs with arguments of some kind."""
    function: Callable[..., Awaitable[Any]] = getattr(owner, name)
    left = [1]

    async def passing(*arguments: Any, **more: Any) -> Any:  # noqa: ANN401 - whatever the function takes
        if left and condition(*arguments):
            left.pop()
            happening()
        return await function(*arguments, **more)

    setattr(owner, name, passing)


def _any(*_: object) -> bool:
    return True


def _some(_connection: object, seqs: Sequence[int]) -> bool:
    return bool(seqs)


def _levels(_sender: object, _node: int, batches: Mapping[TopicPartition, object]) -> bool:
    return any(partition.topic.endswith(LEVEL) for partition in batches)


POINTS: Final[dict[str, tuple[object, str, Callable[[], None], Callable[..., bool]]]] = {
    "dies after read": (publisher.Publisher, "publish", _die, _any),
    "dies before it sends": (Sender, "_send_produce_req", _die, _levels),
    "dies before it deletes": (outbox, "delete", _die, _some),
    "freezes before it sends": (Sender, "_send_produce_req", _freeze, _levels),
}
"""Point → (owner, function, what happens before it, with which arguments)."""


async def _main(told: Mapping[str, Any]) -> None:
    outlet = Outlet(told["bootstrap"], told["database"], "")
    if told["point"]:
        _before(*POINTS[told["point"]])
    if not told["fenced"]:
        vars(publisher)["open_fenced"] = _open_unfenced
    await outlet.relay(idle_max_s=1.0).run()


async def _open_unfenced(options: Mapping[str, Any], _: str) -> AIOKafkaProducer:
    """The planted fault: a producer with an id of its own, which nobody can fence."""
    producer = AIOKafkaProducer(**options, enable_idempotence=True, acks="all")
    await producer.start()
    return producer


if __name__ == "__main__":
    asyncio.run(_main(json.loads(sys.argv[1])))
