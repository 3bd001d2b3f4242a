"""The peer tuned by hand: asyncpg, one transaction a message in four round trips, sixteen connections at once.

One statement locks and reads, one writes every row; the plans are prepared once. Settings, rules and locations are kept
for a second, which the style can live with. Events are published after the commit without waiting for each, and the
offsets are committed once a polled batch is through and acknowledged, so nothing is lost but what a crash takes between
a commit and its publishing. Run as a module.
"""

import asyncio
import hashlib
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import asyncpg
import orjson
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord

from benchmarks.peers import events
from benchmarks.peers.events import Asked, Event
from benchmarks.peers.rules import Key, Part, Site, Wanted, allot, costed_after, site_of
from stock_worker.core.alerts import SALES_WINDOW, days_until_stockout
from stock_worker.core.policy import Rule, Settings

CONNECTIONS: Final = int(os.environ.get("PEER_WORKERS", "16"))
PREFIX: Final = os.environ.get("STOCK_TOPIC_PREFIX", "")
POLLED_AT_ONCE: Final = 2_000

KEPT_S: Final = 1.0

SETTINGS: Final = f"SELECT {', '.join(Settings._fields)} FROM stock.site_settings WHERE site_id = $1"
RULES: Final = f"SELECT product_id, variant_id, {', '.join(Rule._fields)} FROM stock.alert_rules WHERE site_id = $1"
LOCATIONS: Final = """
SELECT location_id, code, is_default FROM stock.locations WHERE site_id = $1 AND is_active
ORDER BY fulfillment_priority, code, location_id
"""
LOCK: Final = """
SELECT k.position, i.item_id, i.on_hand, i.version, i.revision, i.level, i.emitted_level, i.costed_quantity, i.net_sold,
       i.average_cost, i.first_movement_at, s.location_id, s.on_hand AS location_on_hand,
       EXISTS (SELECT FROM stock.references r WHERE r.site_id = $1 AND r.type = 'order' AND r.id = $4) AS known
FROM unnest($2::uuid[], $3::uuid[]) WITH ORDINALITY AS k(product_id, variant_id, position)
JOIN stock.items i ON i.site_id = $1 AND i.product_id = k.product_id
  AND (i.variant_id = k.variant_id OR (i.variant_id IS NULL AND k.variant_id IS NULL))
JOIN stock.location_stock s ON s.item_id = i.item_id
ORDER BY i.item_id, s.location_id FOR UPDATE OF i, s
"""
SOLD_BEFORE: Final = """
SELECT net_sold FROM stock.movements WHERE item_id = $1 AND recorded_at <= $2 ORDER BY version DESC LIMIT 1
"""
WRITE: Final = """
WITH placed AS (
    INSERT INTO stock.orders (site_id, order_id) VALUES ($1, $2) RETURNING order_pk
), told AS (
    INSERT INTO stock.references (site_id, decided_at, source_offset, source_partition, fingerprint_version, type, id,
                                  source, order_id, outcome, fingerprint, movements)
    VALUES ($1, $3, $4, $5, 1, 'order', $2, $6, $2, 'applied', $7, $11)
), item AS (
    UPDATE stock.items i SET on_hand = n.on_hand, version = n.version, revision = i.revision + 1,
        costed_quantity = n.costed, net_sold = n.net_sold, level = n.level, emitted_level = n.emitted,
        stay = CASE WHEN n.alert_id IS NULL THEN i.stay ELSE i.stay + 1 END,
        alert_id = coalesce(n.alert_id, i.alert_id),
        level_since = CASE WHEN n.alert_id IS NULL THEN i.level_since ELSE $3 END,
        last_alerted_at = CASE WHEN n.emitted = i.emitted_level OR n.emitted = 'ok' THEN i.last_alerted_at ELSE $3 END,
        last_movement_at = $3, last_movement_type = 'sale'
    FROM unnest($12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[], $17::text[], $18::text[],
                $19::uuid[]) AS n(item_id, on_hand, version, costed, net_sold, level, emitted, alert_id)
    WHERE i.item_id = n.item_id
), row AS (
    SELECT * FROM unnest($20::bigint[], $21::bigint[], $22::bigint[], $23::text[], $24::uuid[], $25::bigint[],
                         $26::bigint[], $27::bigint[], $28::bigint[], $29::numeric[], $30::bool[], $31::uuid[])
        AS n(item_id, version, quantity, line_id, location_id, on_hand, location_on_hand, costed, net_sold,
             average_cost, last, movement_id)
), place AS (
    UPDATE stock.location_stock s SET on_hand = s.on_hand + n.quantity
    FROM (SELECT item_id, location_id, sum(quantity) AS quantity FROM row GROUP BY item_id, location_id) n
    WHERE s.item_id = n.item_id AND s.location_id = n.location_id
), day AS (
    INSERT INTO stock.daily_totals AS d (item_id, site_id, day, location_id, type, movements, units_in, units_out)
    SELECT item_id, $1, $10::date, location_id, 'sale', count(*), 0, -sum(quantity)
    FROM row GROUP BY item_id, location_id ORDER BY item_id, location_id
    ON CONFLICT (item_id, day, location_id, type) DO UPDATE SET
        movements = d.movements + excluded.movements, units_out = d.units_out + excluded.units_out
), line AS (
    INSERT INTO stock.order_lines (order_pk, item_id, placed, cancelled, fulfilled, returned, position, expired,
                                   tracked, site_id, line_id, mode, allocations, versions)
    SELECT order_pk, n.item_id, n.placed, 0, 0, 0, n.position, false, true, $1, n.line_id, 'sale', n.allocations,
           n.versions::bigint[]
    FROM placed, unnest($32::bigint[], $33::bigint[], $34::text[], $35::jsonb[], $36::text[])
        WITH ORDINALITY AS n(item_id, placed, line_id, allocations, versions, position)
)
INSERT INTO stock.movements (item_id, version, quantity, previous_stock, new_stock, on_hand, reserved,
                             location_on_hand, location_reserved, costed_quantity, net_sold, source_offset, recorded_at,
                             occurred_at, source_partition, last_of_command, movement_id, site_id, location_id, type,
                             reference_type, reference_id, source, order_id, line_id, unit_cost, average_cost, actor)
SELECT item_id, version, quantity, on_hand - quantity, on_hand, on_hand, 0, location_on_hand, 0, costed, net_sold, $4,
       $3, $8, $5, last, movement_id, $1, location_id, 'sale', 'order', $2, $6, $2, line_id, average_cost, average_cost,
       $9
FROM row
"""
REFUSE: Final = """
WITH seen AS (INSERT INTO stock.orders (site_id, order_id) VALUES ($1, $2))
INSERT INTO stock.references (site_id, decided_at, source_offset, source_partition, fingerprint_version, type, id,
                              source, order_id, outcome, code, fingerprint, movements, rejected)
VALUES ($1, $3, $4, $5, 1, 'order', $2, $6, $2, 'rejected', 'insufficient_stock', $7, '{}', $8)
"""


@dataclass(slots=True)
class _Item:
    """An item under its lock; `places` has on_hand by location."""

    key: Key
    item_id: int
    on_hand: int
    version: int
    revision: int
    level: str
    emitted: str
    costed: int
    net_sold: int
    average_cost: Decimal | None
    first_movement_at: datetime
    places: dict[str, int]
    alert_id: str | None = None
    alert: events.Alert | None = None


@dataclass(slots=True)
class _Line:
    """A line as it is written."""

    item: _Item
    line_id: str
    placed: int
    parts: Sequence[Part]
    versions: list[int]


class Sites:
    """What sites say, for a second."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[float, Site]] = {}

    async def get(self, connection: Any, site_id: str) -> Site:  # noqa: ANN401 - a pool's proxy
        """Give a site, read again where the copy is older than a second."""
        read_at, site = self._kept.get(site_id, (0.0, None))
        if site is None or time.monotonic() - read_at > KEPT_S:
            read_at = time.monotonic()
            settings = await connection.fetchrow(SETTINGS, site_id)
            rules, locations = await connection.fetch(RULES, site_id), await connection.fetch(LOCATIONS, site_id)
            site = site_of(settings, rules, locations)
            self._kept[site_id] = (read_at, site)
        return site


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
        self.sites = Sites()
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
                told = await book(connection, self.sites, record)
                moment = events.now().isoformat()
                for event in told:
                    await self.producer.send(
                        PREFIX + event.topic,
                        orjson.dumps(event.payload),
                        event.key.encode(),
                        headers=[(name, value.encode()) for name, value in events.headers(event, moment).items()],
                    )


async def main() -> None:
    """Live until asked to end."""
    await Peer().run()


async def _keep(_connection: Any) -> None:  # noqa: ANN401 - nothing of a session is left behind, so nothing is reset
    return


async def book(connection: Any, sites: Sites, record: ConsumerRecord) -> list[Event]:  # noqa: ANN401 - a pool's proxy
    """Book one order in one transaction; returns what to publish."""
    order = orjson.loads(record.value)
    site_id, order_id = order["site_id"], order["order_id"]
    lines = [
        Wanted(line["line_id"], (line["product_id"], line.get("variant_id")), line["quantity"])
        for line in order["lines"]
    ]
    keys = list({line.key: None for line in lines})
    site = await sites.get(connection, site_id)
    source = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
    meaning = hashlib.blake2b(orjson.dumps([order_id, order["lines"]]), digest_size=16).digest()
    async with connection.transaction():
        found = await connection.fetch(LOCK, site_id, [key[0] for key in keys], [key[1] for key in keys], order_id)
        if found and found[0]["known"]:
            return []
        moment = events.now()
        asked = Asked(site_id, order_id, order.get("actor"), order["occurred_at"], moment.isoformat(), source)
        items = _items(found, keys)
        parts, refused = allot(site, lines, {key: item.places for key, item in items.items()})
        head = (site_id, order_id, moment, record.offset, record.partition, record.topic, meaning)
        if refused:
            told = orjson.dumps({"message": events.refusal(refused), "lines": refused}).decode()
            await connection.execute(REFUSE, *head, told)
            return events.of_rejected(asked, refused)
        written, rows = _move(items, lines, parts)
        for item in items.values():
            await _evaluate(connection, site, item, moment)
        said = (datetime.fromisoformat(order["occurred_at"]), asked.actor, site.day(moment))
        await connection.execute(WRITE, *head, *said, *_columns(items, written, rows))
    return events.of_applied(asked, [row for _, row in rows], [_level(site, item) for item in items.values()])


def _items(found: Sequence[asyncpg.Record], keys: Sequence[Key]) -> dict[Key, _Item]:
    items: dict[Key, _Item] = {}
    for row in found:
        key = keys[row["position"] - 1]
        if key not in items:
            counters = (row["item_id"], row["on_hand"], row["version"], row["revision"])
            levels = (row["level"], row["emitted_level"])
            worth = (row["costed_quantity"], row["net_sold"], row["average_cost"])
            items[key] = _Item(key, *counters, *levels, *worth, row["first_movement_at"], {})
        items[key].places[str(row["location_id"])] = row["location_on_hand"]
    return items


Row = tuple[_Item, events.Movement]


def _move(
    items: dict[Key, _Item], lines: Sequence[Wanted], parts: Sequence[Sequence[Part]]
) -> tuple[list[_Line], list[Row]]:
    written, rows = [], []
    newest = {line.key: index for index, line in enumerate(lines)}
    for index, (line, given) in enumerate(zip(lines, parts, strict=True)):
        item = items[line.key]
        written.append(_Line(item, line.line_id, line.quantity, given, []))
        for part in given:
            last = newest[line.key] == index and part is given[-1]
            rows.append((item, _row(item, line, part, last=last)))
            written[-1].versions.append(item.version)
    return written, rows


def _row(item: _Item, line: Wanted, part: Part, *, last: bool) -> events.Movement:
    location_id, units = part
    previous = item.on_hand
    item.costed = costed_after(item.costed, item.on_hand, units)
    item.on_hand -= units
    item.net_sold += units
    item.places[location_id] -= units
    item.version += 1
    return events.Movement(
        events.new_id(),
        *item.key,
        location_id,
        item.version,
        -units,
        previous,
        item.on_hand,
        item.on_hand,
        item.places[location_id],
        item.average_cost,
        item.costed,
        line.line_id,
        last,
    )


async def _evaluate(connection: Any, site: Site, item: _Item, moment: datetime) -> None:  # noqa: ANN401 - as above
    """Count the change that is told, and evaluate the alert level."""
    item.revision += 1
    level = site.level(item.key, item.on_hand)
    if level == item.level == item.emitted:
        return
    if level != item.level:
        item.level, item.alert_id = level, events.new_id()
    if item.alert_id and site.policy(item.key).is_active and level != item.emitted:
        before = await connection.fetchval(SOLD_BEFORE, item.item_id, moment - SALES_WINDOW) or 0
        days = days_until_stockout(item.on_hand, item.net_sold - before, item.first_movement_at, moment)
        item.alert = events.Alert(item.alert_id, item.emitted, days)
        item.emitted = level


def _columns(items: dict[Key, _Item], lines: Sequence[_Line], rows: Sequence[Row]) -> tuple[list[Any], ...]:
    """Give the columns of WRITE, from $11 on."""
    after = list(items.values())
    told = [row for _, row in rows]
    return (
        [number for item, row in rows for number in (item.item_id, row.version)],
        [item.item_id for item in after],
        [item.on_hand for item in after],
        [item.version for item in after],
        [item.costed for item in after],
        [item.net_sold for item in after],
        [item.level for item in after],
        [item.emitted for item in after],
        [item.alert_id for item in after],
        [item.item_id for item, _ in rows],
        [row.version for row in told],
        [row.quantity for row in told],
        [row.line_id for row in told],
        [row.location_id for row in told],
        [row.on_hand for row in told],
        [row.location_on_hand for row in told],
        [row.costed_quantity for row in told],
        _net_sold(rows),
        [row.average_cost for row in told],
        [row.last_of_command for row in told],
        [row.movement_id for row in told],
        [line.item.item_id for line in lines],
        [line.placed for line in lines],
        [line.line_id for line in lines],
        [orjson.dumps([[*part, 0] for part in line.parts]).decode() for line in lines],
        ["{" + ",".join(map(str, line.versions)) + "}" for line in lines],
    )


def _net_sold(rows: Sequence[Row]) -> list[int]:
    """What the item had sold after each row: what it has now, less what the later rows sold."""
    return [item.net_sold - (row.on_hand - item.on_hand) for item, row in rows]


def _level(site: Site, item: _Item) -> events.Level:
    stock = [events.Stock(place, site.code(place), on_hand) for place, on_hand in item.places.items()]
    policy = site.policy(item.key)
    return events.Level(*item.key, stock, item.on_hand, item.version, item.revision, item.level, policy, item.alert)


if __name__ == "__main__":
    uvloop.run(main())
