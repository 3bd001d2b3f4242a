"""The peer as a good team writes it: a FastStream handler a message, SQLAlchemy ORM, one transaction a message.

Rows are locked, settings, rules and locations are read in each transaction, a reference makes a redelivery silent, and
the events are published after the commit, so a crash in between loses them: that weakness is the style's own. Run as a
module; `PEER_WORKERS` is FastStream's max_workers.
"""

import asyncio
import hashlib
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import uvloop
from faststream import AckPolicy, FastStream
from faststream.kafka import KafkaBroker, KafkaMessage
from pydantic import BaseModel, PositiveInt
from sqlalchemy import and_, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from benchmarks.peers import events
from benchmarks.peers.entities import (
    AlertRule,
    DailyTotal,
    Item,
    Location,
    LocationStock,
    Movement,
    Order,
    OrderLine,
    Reference,
    SiteSettings,
)
from benchmarks.peers.events import Asked, Event
from benchmarks.peers.rules import Key, Part, Site, Wanted, allot, costed_after, site_of
from stock_worker.core.alerts import SALES_WINDOW, days_until_stockout
from stock_worker.core.policy import Settings

WORKERS: Final = int(os.environ.get("PEER_WORKERS", "1"))
PREFIX: Final = os.environ.get("STOCK_TOPIC_PREFIX", "")
GROUP: Final = os.environ.get("STOCK_GROUP_ID", "peer")

broker = KafkaBroker(
    os.environ["STOCK_KAFKA_BOOTSTRAP"],
    acks="all",
    enable_idempotence=True,
    allow_auto_create_topics=False,
    log_level=logging.DEBUG,  # what FastStream says of every message
)
engine = create_async_engine(
    os.environ["STOCK_DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://", 1),
    pool_size=WORKERS,
    max_overflow=0,
    connect_args={"server_settings": {"role": "stock_worker", "TimeZone": "UTC", "jit": "off"}},
)
sessions = async_sessionmaker(engine, expire_on_commit=False)


class OrderPlacedLine(BaseModel):
    """A line of an order."""

    line_id: str
    product_id: UUID
    variant_id: UUID | None = None
    quantity: PositiveInt

    @property
    def key(self) -> Key:
        """Product and variant as text."""
        return str(self.product_id), str(self.variant_id) if self.variant_id else None


class OrderPlaced(BaseModel):
    """The message."""

    site_id: UUID
    order_id: str
    occurred_at: datetime
    actor: str | None = None
    lines: list[OrderPlacedLine]


@broker.subscriber(
    f"{PREFIX}order-placed",
    group_id=GROUP,
    auto_offset_reset="earliest",
    # One at a time: committed after the work. Ten at once: the variant that commits by itself is the faster one of
    # FastStream's two, measured; the peer is given it.
    ack_policy=AckPolicy.NACK_ON_ERROR if WORKERS == 1 else AckPolicy.ACK_FIRST,
    max_workers=WORKERS,
)
async def on_order_placed(order: OrderPlaced, message: KafkaMessage) -> None:
    """Book an order, then tell."""
    record = message.raw_message
    assert not isinstance(record, tuple)
    source = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
    async with sessions() as session, session.begin():
        told = await book(session, order, source)
    await asyncio.gather(*(_publish(event, events.now().isoformat()) for event in told))


async def book(session: AsyncSession, order: OrderPlaced, source: Mapping[str, Any]) -> list[Event]:
    """Decide and write one order; returns what to publish once it is committed."""
    if await session.get(Reference, (order.site_id, "order", order.order_id)):
        return []
    items = await _lock_items(session, order)
    places = await _places(session, items.values())
    site = await _site(session, order)
    recorded_at = datetime.now(UTC)  # noqa: TID251 - a peer is its own shell
    asked = Asked(
        str(order.site_id),
        order.order_id,
        order.actor,
        order.occurred_at.isoformat(),
        recorded_at.isoformat(),
        source,
    )
    stock = {
        key: {str(place.location_id): place.on_hand - place.reserved for place in places[item.item_id]}
        for key, item in items.items()
    }
    wanted = [Wanted(line.line_id, line.key, line.quantity) for line in order.lines]
    parts, refused = allot(site, wanted, stock)
    placed = Order(site_id=order.site_id, order_id=order.order_id)
    session.add(placed)
    reference = Reference(
        site_id=order.site_id,
        type="order",
        id=order.order_id,
        decided_at=recorded_at,
        source=source["topic"],
        source_partition=source["partition"],
        source_offset=source["offset"],
        fingerprint=hashlib.blake2b(order.model_dump_json(exclude={"occurred_at", "actor"}).encode()).digest()[:16],
        order_id=order.order_id,
        outcome="rejected" if refused else "applied",
        code="insufficient_stock" if refused else None,
        movements=[],
        rejected={"message": events.refusal(refused), "lines": refused} if refused else None,
    )
    session.add(reference)
    if refused:
        return events.of_rejected(asked, refused)
    rows = _book_lines(session, order, asked, _Stock(placed, reference, items, places, recorded_at), parts)
    await _add_to_days(session, site, rows)
    by_id = {item.item_id: item for item in items.values()}
    levels = [await _level(session, site, item, places[item.item_id], recorded_at) for item in by_id.values()]
    return events.of_applied(asked, [_told(row, by_id[row.item_id]) for row in rows], levels)


class _Stock:
    """What a booking touches."""

    def __init__(
        self,
        placed: Order,
        reference: Reference,
        items: Mapping[Key, Item],
        places: Mapping[int, Sequence[LocationStock]],
        recorded_at: datetime,
    ) -> None:
        self.placed = placed
        self.reference = reference
        self.items = items
        self.places = places
        self.recorded_at = recorded_at


def _book_lines(
    session: AsyncSession, order: OrderPlaced, asked: Asked, stock: _Stock, parts: Sequence[Sequence[Part]]
) -> list[Movement]:
    last = {line.key: (line.line_id, given[-1].location_id) for line, given in zip(order.lines, parts, strict=True)}
    rows: list[Movement] = []
    numbers: list[int] = []
    for position, (line, given) in enumerate(zip(order.lines, parts, strict=True), 1):
        item = stock.items[line.key]
        versions = []
        for location_id, units in given:
            place = next(each for each in stock.places[item.item_id] if str(each.location_id) == location_id)
            row = _move(order, asked, line, item, place, units)
            row.last_of_command = last[line.key] == (line.line_id, location_id)
            row.recorded_at = item.last_movement_at = stock.recorded_at
            rows.append(row)
            versions.append(item.version)
            numbers += [item.item_id, item.version]
        stock.placed.lines.append(
            OrderLine(
                line_id=line.line_id,
                site_id=order.site_id,
                item_id=item.item_id,
                position=position,
                placed=line.quantity,
                allocations=[[location_id, units, 0] for location_id, units in given],
                versions=versions,
            )
        )
    session.add_all(rows)
    stock.reference.movements = numbers
    return rows


def _move(
    order: OrderPlaced, asked: Asked, line: OrderPlacedLine, item: Item, place: LocationStock, units: int
) -> Movement:
    previous = item.on_hand - item.reserved
    item.costed_quantity = costed_after(item.costed_quantity, item.on_hand, units)
    item.on_hand -= units
    item.net_sold += units
    item.version += 1
    place.on_hand -= units
    item.last_movement_type = "sale"
    return Movement(
        item_id=item.item_id,
        version=item.version,
        movement_id=UUID(events.new_id()),
        site_id=order.site_id,
        location_id=place.location_id,
        type="sale",
        quantity=-units,
        previous_stock=previous,
        new_stock=item.on_hand - item.reserved,
        on_hand=item.on_hand,
        reserved=item.reserved,
        location_on_hand=place.on_hand,
        location_reserved=place.reserved,
        costed_quantity=item.costed_quantity,
        net_sold=item.net_sold,
        unit_cost=item.average_cost,
        average_cost=item.average_cost,
        reference_type="order",
        reference_id=order.order_id,
        order_id=order.order_id,
        line_id=line.line_id,
        source=asked.source["topic"],
        source_partition=asked.source["partition"],
        source_offset=asked.source["offset"],
        occurred_at=order.occurred_at,
        actor=order.actor,
    )


async def _add_to_days(session: AsyncSession, site: Site, rows: Sequence[Movement]) -> None:
    """Add the rows to their day's totals."""
    totals: dict[tuple[int, UUID], list[int]] = {}
    for row in rows:
        total = totals.setdefault((row.item_id, row.location_id), [0, 0])
        total[0] += 1
        total[1] -= row.quantity
    values = [
        {
            "item_id": item_id,
            "location_id": location_id,
            "day": site.day(rows[0].recorded_at),
            "type": "sale",
            "site_id": rows[0].site_id,
            "movements": movements,
            "units_in": 0,
            "units_out": units,
        }
        for (item_id, location_id), (movements, units) in totals.items()
    ]
    new = insert(DailyTotal).values(values)
    await session.execute(
        new.on_conflict_do_update(
            index_elements=["item_id", "day", "location_id", "type"],
            set_={
                "movements": DailyTotal.movements + new.excluded.movements,
                "units_out": DailyTotal.units_out + new.excluded.units_out,
            },
        )
    )


async def _lock_items(session: AsyncSession, order: OrderPlaced) -> dict[Key, Item]:
    wanted = {(line.product_id, line.variant_id) for line in order.lines}
    query = (
        select(Item)
        .where(Item.site_id == order.site_id)
        .where(or_(*(and_(Item.product_id == product, Item.variant_id == variant) for product, variant in wanted)))
        .order_by(Item.item_id)
        .with_for_update()
    )
    return {_key(item): item for item in await session.scalars(query)}


async def _places(session: AsyncSession, items: Iterable[Item]) -> dict[int, list[LocationStock]]:
    """Read where the locked items lie."""
    places: dict[int, list[LocationStock]] = {item.item_id: [] for item in items}
    for place in await session.scalars(select(LocationStock).where(LocationStock.item_id.in_(places))):
        places[place.item_id].append(place)
    return places


async def _site(session: AsyncSession, order: OrderPlaced) -> Site:
    """Read settings, the rules that reach the order's items and the active locations, after the locks."""
    settings = await session.get(SiteSettings, order.site_id)
    products = {line.product_id for line in order.lines}
    rules = await session.scalars(
        select(AlertRule)
        .where(AlertRule.site_id == order.site_id)
        .where(or_(AlertRule.product_id.in_(products), AlertRule.product_id.is_(None)))
    )
    locations = await session.scalars(
        select(Location)
        .where(Location.site_id == order.site_id, Location.is_active)
        .order_by(Location.fulfillment_priority, Location.code, Location.location_id)
    )
    said = {name: value for name, value in vars(settings).items() if name in Settings._fields} if settings else None
    return site_of(said, map(vars, rules), map(vars, locations))


async def _level(
    session: AsyncSession, site: Site, item: Item, places: Sequence[LocationStock], moment: datetime
) -> events.Level:
    """Count the change that is told, and evaluate the alert level."""
    item.revision += 1
    available, policy = item.on_hand - item.reserved, site.policy(_key(item))
    level, alert = site.level(_key(item), available), None
    if level != item.level:
        item.stay += 1
        item.level, item.alert_id, item.level_since = level, UUID(events.new_id()), moment
    if policy.is_active and level != item.emitted_level:
        sold = item.net_sold - await _sold_before(session, item, moment - SALES_WINDOW)
        days = days_until_stockout(available, sold, item.first_movement_at, moment)
        alert = events.Alert(str(item.alert_id), item.emitted_level, days)
        item.emitted_level = level
        item.last_alerted_at = moment if level != "ok" else item.last_alerted_at
    stock = [events.Stock(str(place.location_id), site.code(str(place.location_id)), place.on_hand) for place in places]
    return events.Level(*_key(item), stock, item.on_hand, item.version, item.revision, item.level, policy, alert)


async def _sold_before(session: AsyncSession, item: Item, before: datetime) -> int:
    """Find what the item had sold by then."""
    query = (
        select(Movement.net_sold)
        .where(Movement.item_id == item.item_id, Movement.recorded_at <= before)
        .order_by(Movement.version.desc())
        .limit(1)
    )
    return await session.scalar(query) or 0


def _key(item: Item) -> Key:
    return str(item.product_id), str(item.variant_id) if item.variant_id else None


def _told(row: Movement, item: Item) -> events.Movement:
    assert row.line_id is not None
    return events.Movement(
        str(row.movement_id),
        *_key(item),
        str(row.location_id),
        row.version,
        row.quantity,
        row.previous_stock,
        row.new_stock,
        row.on_hand,
        row.location_on_hand,
        row.average_cost,
        row.costed_quantity,
        row.line_id,
        row.last_of_command,
    )


async def _publish(event: Event, time: str) -> None:
    await broker.publish(
        event.payload, topic=PREFIX + event.topic, key=event.key.encode(), headers=events.headers(event, time)
    )


if __name__ == "__main__":
    logging.getLogger("aiokafka").setLevel(logging.ERROR)
    uvloop.run(FastStream(broker, after_shutdown=[engine.dispose]).run(log_level=logging.WARNING))
