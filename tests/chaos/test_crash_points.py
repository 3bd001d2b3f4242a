"""A worker dies at a named point and another goes on: nothing is lost, doubled, told out of order or left out."""

import asyncio
import json
import signal
from collections import Counter
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from stock_worker import topics as topic_admin
from stock_worker.core.model import Record
from stock_worker.devstack import Stack
from stock_worker.handle import Policy, handle_batch
from stock_worker.settings import Settings
from stock_worker.store.engine import connect
from stock_worker.wire.decode import decode
from tests.chaos.harness import Shop
from tests.chaos.launch import POINTS
from tests.oracle.oracle import judge
from tests.oracle.records import Seen, Sent

pytestmark = pytest.mark.chaos

SITE = "00000000-0000-4000-8000-000000000001"
ITEMS = [f"00000000-0000-4000-8000-0000000000{n:02x}" for n in range(8)]
OPENING = 10_000
ORDERS = 300
BATCH = 50


@pytest_asyncio.fixture
async def shop(stack: Stack, database: str, topics: str) -> AsyncIterator[Shop]:
    opened = Shop(stack.kafka_bootstrap, database, topics)
    settings = Settings(
        _env_file=None,
        kafka_bootstrap=opened.bootstrap,
        database_url=database,
        topic_prefix=topics,
        topic_partitions=opened.partitions,
    )
    await topic_admin.create(settings)
    await stock_up(opened)
    yield opened
    opened.close()


def message(topic: str, key: str, **fields: object) -> Sent:
    """A message as another team's service would send it."""
    return Sent(topic, key.encode(), json.dumps({"site_id": SITE, **fields}).encode())


def opening() -> Sent:
    """Stock for every item."""
    lines = [{"product_id": item, "quantity": OPENING} for item in ITEMS]
    return message("restock", "opening", reference_id="opening", lines=lines)._replace(partition=0, offset=0)


async def stock_up(shop: Shop) -> None:
    """Stock every item before the workers start: topics have no order between them."""
    sent = opening()
    record = Record(f"{shop.prefix}{sent.topic}", sent.partition, sent.offset, 0, sent.key, sent.value, ())
    connection = await connect(shop.database_url, "stock_worker")
    await handle_batch(connection, [decode(record, sent.topic)], Policy(topic_prefix=shop.prefix))
    await connection.close()
    shop.sent.append(sent)


def orders() -> list[Sent]:
    """Two-line orders; every tenth is sent twice."""
    placed = [
        message(
            "order-placed",
            f"O{n}",
            order_id=f"O{n}",
            lines=[
                {"product_id": ITEMS[n % len(ITEMS)], "quantity": 1},
                {"product_id": ITEMS[(n * 3 + 1) % len(ITEMS)], "quantity": 2},
            ],
        )
        for n in range(ORDERS)
    ]
    return placed + placed[::10]


def left_by(received: list[Seen]) -> dict[bytes | None, int]:
    """What the newest row of each item left available."""
    rows = [(record.key, json.loads(record.value or b"")) for record in received if record.topic == "stock-changed"]
    return {key: row["available"] for key, row in sorted(rows, key=lambda told: told[1]["version"])}


async def assert_whole(shop: Shop) -> None:
    """Judge from outside, and ask the product's own audit."""
    received = await shop.received()
    judgement = judge(shop.sent, received)
    assert judgement.faults == []
    assert +judgement.outcomes == Counter(applied=ORDERS + 1, duplicate=len(orders()) - ORDERS)
    assert sum(left_by(received).values()) == OPENING * len(ITEMS) - 3 * ORDERS
    audit = await asyncio.to_thread(shop.run, "verify", "--json")
    assert json.loads(audit.stdout) == []


@pytest.mark.parametrize("point", [point for point in POINTS if point not in {"during_rebalance", "on_sigterm"}])
async def test_a_worker_that_dies_at(point: str, shop: Shop) -> None:
    await shop.produce(orders())
    victim = shop.start("one", point=point, passes=1 if point == "after_poll" else 3, batch=BATCH)
    assert await victim.ended() == -signal.SIGKILL, victim.said()
    shop.start("one", batch=BATCH)
    await shop.drained()
    await assert_whole(shop)


async def test_a_worker_that_dies_during_a_rebalance(shop: Shop) -> None:
    await shop.produce(orders())
    victim = shop.start("one", point="during_rebalance", passes=2, batch=BATCH)
    await shop.applied_something()
    shop.start("two", batch=BATCH)
    assert await victim.ended() == -signal.SIGKILL, victim.said()
    await shop.drained()
    await assert_whole(shop)


async def test_a_worker_that_dies_on_sigterm_in_mid_batch(shop: Shop) -> None:
    await shop.produce(orders())
    victim = shop.start("one", point="on_sigterm", batch=BATCH)
    await shop.applied_something()
    victim.signal(signal.SIGTERM)
    assert await victim.ended() == -signal.SIGKILL, victim.said()
    shop.start("one", batch=BATCH)
    await shop.drained()
    await assert_whole(shop)


async def test_sigterm_finishes_the_batch_and_ends_well(shop: Shop) -> None:
    await shop.produce(orders())
    first = shop.start("one", batch=BATCH)
    await shop.applied_something()
    first.signal(signal.SIGTERM)
    assert await first.ended(25) == 0, first.said()
    shop.start("one", batch=BATCH)
    await shop.drained()
    await assert_whole(shop)
