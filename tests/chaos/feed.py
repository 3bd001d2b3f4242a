"""A seeded workload that keeps coming. Law: what is remembered as sent is what Kafka has acknowledged, and where.

The producer is idempotent: what it sends again because an answer was lost is one record. A record whose answer never
came is remembered without a position; the oracle knows what that means.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Final

import asyncpg
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from stock_worker.core.model import Record
from stock_worker.handle import Policy, handle_batch
from stock_worker.store.engine import connect
from stock_worker.wire.decode import decode
from tests.chaos.harness import Shop
from tests.chaos.steering import steer
from tests.oracle.generator import FIRST, generate
from tests.oracle.records import Sent
from tests.oracle.shop import Mix, before_stock, steering_of

_TICK_S: Final = 0.1
_CHANGE_S: Final = 1.0
_GOODBYE_S: Final = 5.0
"""aiokafka's stop waits for what a broker that is gone will never acknowledge."""


async def stock_up(shop: Shop, seed: int, mix: Mix, per_second: float) -> list[Sent]:
    """Make a workload that begins now, and apply its first restocks and settings before any worker starts.

    Returns the rest, to be sent so many a second. Topics have no order between them: with a backlog the orders would
    come first, and find nothing to sell.
    """
    mix = mix._replace(begins=datetime.now(UTC), lasts_s=mix.commands / per_second)
    records, shop.steering = generate(seed, mix), steering_of(seed, mix)
    first = [record for record in records if FIRST in (record.value or b"")]
    connection = await connect(shop.database_url, "stock_worker")
    try:
        await steer(connection, before_stock(shop.steering.first))
        commands = [decode(Record(shop.prefix + each.topic, 0, -1, 0, *each[1:4]), each.topic) for each in first]
        await handle_batch(connection, commands, Policy(topic_prefix=shop.prefix))
        await steer(connection, [step for step in shop.steering.first if step.what == "location"])
    finally:
        await connection.close()
    shop.sent += first
    applied = set(first)
    return [record for record in records if record not in applied]


class Feed:
    """Sends records in their order, so many a second; `left` says how many have not been handed to Kafka yet."""

    def __init__(self, shop: Shop, records: Sequence[Sent], per_second: float) -> None:
        self._shop, self._records = shop, records
        self._at_once = max(1, int(per_second * _TICK_S))
        self._next = 0
        self._stopping = asyncio.Event()
        self._acknowledgements: list[asyncio.Future[Any]] = []
        self._producer = AIOKafkaProducer(
            bootstrap_servers=shop.bootstrap, enable_idempotence=True, linger_ms=5, max_request_size=4 * 1024 * 1024
        )

    @property
    def left(self) -> int:
        """How many records have not been handed over."""
        return len(self._records) - self._next

    async def run(self) -> None:
        """Send until told to stop, or to the end."""
        while self.left and not self._stopping.is_set():
            await self._send(self._at_once)
            with suppress(TimeoutError):
                async with asyncio.timeout(_TICK_S):
                    await self._stopping.wait()

    async def finish(self, *, everything: bool) -> None:
        """Stop; send what is left where the whole workload is wanted; then note what Kafka has acknowledged."""
        self._stopping.set()
        if everything:
            while self.left:
                await self._send(500)
        for message, future in zip(self._records, self._acknowledgements, strict=False):
            with suppress(KafkaError):
                metadata = await future
                message = message._replace(partition=metadata.partition, offset=metadata.offset)  # noqa: PLW2901
            self._shop.sent.append(message)

    async def _send(self, records: int) -> None:
        for message in self._records[self._next : self._next + records]:
            self._acknowledgements.append(
                await self._producer.send(
                    self._shop.prefix + message.topic, message.value, message.key, headers=list(message.headers)
                )
            )
            self._next += 1


async def _change(shop: Shop, stopping: asyncio.Event) -> None:
    """Change a rule now and then. A change whose answer was lost is made again, which changes nothing more."""
    steps, shop.steering.meanwhile = shop.steering.meanwhile, []
    for step in steps:
        with suppress(TimeoutError):
            async with asyncio.timeout(_CHANGE_S):
                await stopping.wait()
        if stopping.is_set():
            return
        shop.steering.meanwhile.append(step)
        while True:
            try:
                connection = await connect(shop.database_url, "stock_worker")
                try:
                    await steer(connection, [step])
                    break
                finally:
                    await connection.close()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await asyncio.sleep(_TICK_S)  # the database is away


@asynccontextmanager
async def feeding(
    shop: Shop, records: Sequence[Sent], per_second: float, *, everything: bool = False
) -> AsyncIterator[Feed]:
    """Keep a shop busy for as long as the block runs, and change its rules; afterwards `shop` knows what was done."""
    feed = Feed(shop, records, per_second)
    await feed._producer.start()
    running, changing = asyncio.create_task(feed.run()), asyncio.create_task(_change(shop, feed._stopping))
    try:
        yield feed
        feed._stopping.set()
        await running
        await changing
        await feed.finish(everything=everything)
    finally:
        running.cancel()
        changing.cancel()
        await asyncio.wait([running, changing])
        with suppress(TimeoutError):
            async with asyncio.timeout(_GOODBYE_S):
                await feed._producer.stop()
