"""The peer tuned by hand: asyncpg, one transaction a message in four round trips, sixteen connections at once.

One statement locks and reads, one writes every row; the plans are prepared once. Events are published after the commit
without waiting for each, and the offsets are committed once a polled batch is through and acknowledged, so nothing is
lost but what a crash takes between a commit and its publishing. Run as a module.
"""

import asyncio
import hashlib
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import asyncpg
import orjson
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord

from benchmarks.peers import events
from benchmarks.peers.events import Asked, Event
from stock_worker.core.ids import default_location_id

CONNECTIONS: Final = int(os.environ.get("PEER_WORKERS", "16"))
PREFIX: Final = os.environ.get("STOCK_TOPIC_PREFIX", "")
POLLED_AT_ONCE: Final = 2_000

LOCK: Final = """
SELECT k.position, i.item_id, i.on_hand, i.version, i.revision, i.level, s.on_hand AS location_on_hand,
       EXISTS (SELECT FROM stock.references r WHERE r.site_id = $1 AND r.type = 'order' AND r.id = $5) AS known
FROM unnest($2::uuid[], $3::uuid[]) WITH ORDINALITY AS k(product_id, variant_id, position)
JOIN stock.items i ON i.site_id = $1 AND i.product_id = k.product_id
  AND (i.variant_id = k.variant_id OR (i.variant_id IS NULL AND k.variant_id IS NULL))
JOIN stock.location_stock s ON s.item_id = i.item_id AND s.location_id = $4
ORDER BY i.item_id FOR UPDATE OF i, s
"""
WRITE: Final = """
WITH placed AS (
    INSERT INTO stock.orders (site_id, order_id) VALUES ($1, $2) RETURNING order_pk
), told AS (
    INSERT INTO stock.references (site_id, decided_at, source_offset, source_partition, fingerprint_version, type, id,
                                  source, order_id, outcome, fingerprint, movements)
    VALUES ($1, $3, $4, $5, 1, 'order', $2, $6, $2, 'applied', $7, $11)
), item AS (
    UPDATE stock.items i SET on_hand = n.on_hand, version = n.version, revision = i.revision + 1, level = n.level,
        alert_id = coalesce(n.alert_id, i.alert_id),
        level_since = CASE WHEN n.alert_id IS NULL THEN i.level_since ELSE $3 END,
        last_alerted_at = CASE WHEN n.alert_id IS NULL OR n.level = 'ok' THEN i.last_alerted_at ELSE $3 END,
        last_movement_at = $3, last_movement_type = 'sale'
    FROM unnest($12::bigint[], $13::bigint[], $14::bigint[], $15::text[], $16::uuid[])
        AS n(item_id, on_hand, version, level, alert_id)
    WHERE i.item_id = n.item_id
), place AS (
    UPDATE stock.location_stock s SET on_hand = n.on_hand
    FROM unnest($12::bigint[], $17::bigint[]) AS n(item_id, on_hand)
    WHERE s.item_id = n.item_id AND s.location_id = $8
), line AS (
    INSERT INTO stock.order_lines (order_pk, item_id, placed, cancelled, fulfilled, returned, position, site_id,
                                   line_id, mode, allocations, versions)
    SELECT order_pk, n.item_id, -n.quantity, 0, 0, 0, n.position, $1, n.line_id, 'sale',
           jsonb_build_array(jsonb_build_array($8::uuid, -n.quantity, 0)), ARRAY[n.version]
    FROM placed, unnest($18::bigint[], $19::bigint[], $20::bigint[], $21::text[])
        WITH ORDINALITY AS n(item_id, version, quantity, line_id, position)
)
INSERT INTO stock.movements (item_id, version, quantity, previous_stock, new_stock, on_hand, reserved,
                             location_on_hand, location_reserved, source_offset, recorded_at, occurred_at,
                             source_partition, last_of_command, movement_id, site_id, location_id, type, reference_type,
                             reference_id, source, order_id, line_id, actor)
SELECT n.item_id, n.version, n.quantity, n.on_hand - n.quantity, n.on_hand, n.on_hand, 0, n.location_on_hand, 0, $4, $3,
       $9, $5, n.last, n.movement_id, $1, $8, 'sale', 'order', $2, $6, $2, n.line_id, $10
FROM unnest($18::bigint[], $19::bigint[], $20::bigint[], $21::text[], $22::bigint[], $23::bigint[], $24::bool[],
            $25::uuid[]) AS n(item_id, version, quantity, line_id, on_hand, location_on_hand, last, movement_id)
"""
REFUSE: Final = """
WITH seen AS (INSERT INTO stock.orders (site_id, order_id) VALUES ($1, $2))
INSERT INTO stock.references (site_id, decided_at, source_offset, source_partition, fingerprint_version, type, id,
                              source, order_id, outcome, code, fingerprint, movements, rejected)
VALUES ($1, $3, $4, $5, 1, 'order', $2, $6, $2, 'rejected', 'insufficient_stock', $7, '{}', $8)
"""


@dataclass(slots=True)
class _Item:
    """An item under its lock."""

    item_id: int
    on_hand: int
    version: int
    revision: int
    level: str
    location_on_hand: int
    product_id: str
    variant_id: str | None
    alert: tuple[str, str] | None = None


class Peer:
    """Sixteen connections between one consumer and one producer."""

    def __init__(self) -> None:
        bootstrap = os.environ["STOCK_KAFKA_BOOTSTRAP"]
        self.consumer = AIOKafkaConsumer(
            f"{PREFIX}order-placed",
            bootstrap_servers=bootstrap,
            group_id=os.environ.get("STOCK_GROUP_ID", "peer"),
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        self.producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, linger_ms=5, max_batch_size=262_144
        )
        self.stopping = asyncio.Event()

    async def run(self) -> None:
        """Poll, spread over the connections, wait for the acknowledgements, commit the offsets."""
        for name in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(name, self.stopping.set)
        session = {"role": "stock_worker", "TimeZone": "UTC", "jit": "off", "plan_cache_mode": "force_generic_plan"}
        pool = await asyncpg.create_pool(
            os.environ["STOCK_DATABASE_URL"],
            min_size=CONNECTIONS,
            max_size=CONNECTIONS,
            server_settings=session,
            reset=_keep,
        )
        async with pool, self.consumer, self.producer:
            while not self.stopping.is_set():
                polled = await self.consumer.getmany(timeout_ms=200, max_records=POLLED_AT_ONCE)
                if not polled:
                    continue
                waiting = iter([record for records in polled.values() for record in records])
                async with asyncio.TaskGroup() as group:
                    for _ in range(CONNECTIONS):
                        group.create_task(self._take(pool, waiting))
                await self.producer.flush()
                await self.consumer.commit()

    async def _take(self, pool: asyncpg.Pool, waiting: Any) -> None:  # noqa: ANN401 - an iterator that sixteen share
        async with pool.acquire() as connection:
            for record in waiting:
                told = await book(connection, record)
                time = events.now().isoformat()
                for event in told:
                    await self.producer.send(
                        PREFIX + event.topic,
                        orjson.dumps(event.payload),
                        event.key.encode(),
                        headers=[(name, value.encode()) for name, value in events.headers(event, time).items()],
                    )


async def main() -> None:
    """Live until asked to end."""
    await Peer().run()


async def _keep(_connection: Any) -> None:  # noqa: ANN401 - nothing of a session is left behind, so nothing is reset
    return


async def book(connection: Any, record: ConsumerRecord) -> list[Event]:  # noqa: ANN401 - a pool's proxy
    """Book one order in one transaction; returns what to publish."""
    order = orjson.loads(record.value)
    site_id, order_id, lines = order["site_id"], order["order_id"], order["lines"]
    keys = list({(line["product_id"], line.get("variant_id")): None for line in lines})
    location_id = default_location_id(site_id)
    source = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
    meaning = hashlib.blake2b(orjson.dumps([order_id, lines]), digest_size=16).digest()
    async with connection.transaction():
        products, variants = [key[0] for key in keys], [key[1] for key in keys]
        found = await connection.fetch(LOCK, site_id, products, variants, location_id, order_id)
        if found and found[0]["known"]:
            return []
        moment = events.now()
        asked = Asked(site_id, order_id, order.get("actor"), order["occurred_at"], moment.isoformat(), source)
        items = {key: _item(row, *key) for row in found for key in [keys[row["position"] - 1]]}
        refused = _refused(lines, items)
        head = (site_id, order_id, moment, record.offset, record.partition, record.topic, meaning)
        if refused:
            await connection.execute(REFUSE, *head, orjson.dumps({"lines": refused}).decode())
            return events.of_rejected(asked, refused)
        rows = [_move(items, lines, index, location_id) for index in range(len(lines))]
        occurred_at = datetime.fromisoformat(order["occurred_at"])
        await connection.execute(WRITE, *head, location_id, occurred_at, asked.actor, *_columns(items, rows))
    return events.of_applied(asked, [row for _, row in rows], [_level(item, location_id) for item in items.values()])


def _item(row: asyncpg.Record, product_id: str, variant_id: str | None) -> _Item:
    counters = (row["item_id"], row["on_hand"], row["version"], row["revision"], row["level"], row["location_on_hand"])
    return _Item(*counters, product_id, variant_id)


def _refused(lines: Sequence[dict[str, Any]], items: dict[Any, _Item]) -> list[dict[str, Any]]:
    """Find the lines that cannot be met, each on what the one before left."""
    left = {key: item.on_hand for key, item in items.items()}
    refused = []
    for line in lines:
        key = (line["product_id"], line.get("variant_id"))
        available = left.get(key, 0)
        if available < line["quantity"]:
            refused.append(events.rejected_line(line["line_id"], *key, line["quantity"], available))
        left[key] = available - line["quantity"]
    return refused


def _move(
    items: dict[Any, _Item], lines: Sequence[dict[str, Any]], index: int, location_id: str
) -> tuple[_Item, events.Movement]:
    line = lines[index]
    key = (line["product_id"], line.get("variant_id"))
    item, quantity = items[key], line["quantity"]
    previous = item.on_hand
    item.on_hand -= quantity
    item.location_on_hand -= quantity
    item.version += 1
    last = all((later["product_id"], later.get("variant_id")) != key for later in lines[index + 1 :])
    if last:
        level = events.level_of(item.on_hand)
        if level != item.level:
            item.alert = (events.new_id(), item.level)
            item.level = level
        item.revision += 1
    row = events.Movement(
        events.new_id(),
        *key,
        location_id,
        item.version,
        -quantity,
        previous,
        item.on_hand,
        item.on_hand,
        item.location_on_hand,
        line["line_id"],
        last,
    )
    return item, row


def _columns(items: dict[Any, _Item], rows: Sequence[tuple[_Item, events.Movement]]) -> tuple[list[Any], ...]:
    """Give the columns of WRITE, from $11 on."""
    after = list(items.values())
    told = [row for _, row in rows]
    return (
        [number for item, row in rows for number in (item.item_id, row.version)],
        [item.item_id for item in after],
        [item.on_hand for item in after],
        [item.version for item in after],
        [item.level for item in after],
        [item.alert and item.alert[0] for item in after],
        [item.location_on_hand for item in after],
        [item.item_id for item, _ in rows],
        [row.version for row in told],
        [row.quantity for row in told],
        [row.line_id for row in told],
        [row.on_hand for row in told],
        [row.location_on_hand for row in told],
        [row.last_of_command for row in told],
        [row.movement_id for row in told],
    )


def _level(item: _Item, location_id: str) -> events.Level:
    return events.Level(
        item.product_id,
        item.variant_id,
        location_id,
        item.on_hand,
        item.location_on_hand,
        item.version,
        item.revision,
        item.level,
        item.alert,
    )


if __name__ == "__main__":
    uvloop.run(main())
