"""The peer as a good team writes it: a FastStream handler a message, SQLAlchemy ORM, one transaction a message.

Rows are locked, a reference makes a redelivery silent, and the events are published after the commit, so a crash in
between loses them: that weakness is the style's own. Run as a module; `PEER_WORKERS` is FastStream's max_workers.
"""

import asyncio
import hashlib
import logging
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import uvloop
from faststream import AckPolicy, FastStream
from faststream.kafka import KafkaBroker, KafkaMessage
from pydantic import BaseModel, PositiveInt
from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from benchmarks.peers import events
from benchmarks.peers.entities import Item, LocationStock, Movement, Order, OrderLine, Reference
from benchmarks.peers.events import Asked, Event
from stock_worker.core.ids import default_location_id

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
    places = await _places(session, order.site_id, items.values())
    recorded_at = datetime.now(UTC)  # noqa: TID251 - a peer is its own shell
    asked = Asked(
        str(order.site_id),
        order.order_id,
        order.actor,
        order.occurred_at.isoformat(),
        recorded_at.isoformat(),
        source,
    )
    refused = _refused(order, items)
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
        rejected={"lines": refused} if refused else None,
    )
    session.add(reference)
    if refused:
        return events.of_rejected(asked, refused)
    return _book_lines(session, order, asked, _Stock(placed, reference, items, places, recorded_at))


ItemKey = tuple[UUID, UUID | None]


class _Stock:
    """What a booking touches."""

    def __init__(
        self,
        placed: Order,
        reference: Reference,
        items: Mapping[ItemKey, Item],
        places: Mapping[int, LocationStock],
        recorded_at: datetime,
    ) -> None:
        self.placed = placed
        self.reference = reference
        self.items = items
        self.places = places
        self.recorded_at = recorded_at


def _book_lines(session: AsyncSession, order: OrderPlaced, asked: Asked, stock: _Stock) -> list[Event]:
    last = {(line.product_id, line.variant_id): line.line_id for line in order.lines}
    rows: list[Movement] = []
    numbers: list[int] = []
    for position, line in enumerate(order.lines, 1):
        key = (line.product_id, line.variant_id)
        item = stock.items[key]
        place = stock.places[item.item_id]
        previous = item.on_hand - item.reserved
        item.on_hand -= line.quantity
        item.version += 1
        place.on_hand -= line.quantity
        item.last_movement_at = stock.recorded_at
        item.last_movement_type = "sale"
        row = Movement(
            item_id=item.item_id,
            version=item.version,
            movement_id=UUID(events.new_id()),
            site_id=order.site_id,
            location_id=place.location_id,
            type="sale",
            quantity=-line.quantity,
            previous_stock=previous,
            new_stock=item.on_hand - item.reserved,
            on_hand=item.on_hand,
            reserved=item.reserved,
            location_on_hand=place.on_hand,
            location_reserved=place.reserved,
            reference_type="order",
            reference_id=order.order_id,
            order_id=order.order_id,
            line_id=line.line_id,
            source=asked.source["topic"],
            source_partition=asked.source["partition"],
            source_offset=asked.source["offset"],
            recorded_at=stock.recorded_at,
            occurred_at=order.occurred_at,
            last_of_command=last[key] == line.line_id,
            actor=order.actor,
        )
        rows.append(row)
        numbers += [item.item_id, item.version]
        session.add(row)
        stock.placed.lines.append(
            OrderLine(
                line_id=line.line_id,
                site_id=order.site_id,
                item_id=item.item_id,
                position=position,
                placed=line.quantity,
                allocations=[[str(place.location_id), line.quantity, 0]],
                versions=[item.version],
            )
        )
    stock.reference.movements = numbers
    by_id = {item.item_id: item for item in stock.items.values()}
    levels = [_level(item, stock.places[item.item_id], stock.recorded_at) for item in by_id.values()]
    return events.of_applied(asked, [_told(row, by_id[row.item_id]) for row in rows], levels)


async def _lock_items(session: AsyncSession, order: OrderPlaced) -> dict[ItemKey, Item]:
    wanted = {(line.product_id, line.variant_id) for line in order.lines}
    query = (
        select(Item)
        .where(Item.site_id == order.site_id)
        .where(or_(*(and_(Item.product_id == product, Item.variant_id == variant) for product, variant in wanted)))
        .order_by(Item.item_id)
        .with_for_update()
    )
    return {(item.product_id, item.variant_id): item for item in await session.scalars(query)}


async def _places(session: AsyncSession, site_id: UUID, items: Any) -> dict[int, LocationStock]:  # noqa: ANN401
    location_id = UUID(default_location_id(str(site_id)))
    ids = [item.item_id for item in items]
    query = select(LocationStock).where(LocationStock.item_id.in_(ids), LocationStock.location_id == location_id)
    return {place.item_id: place for place in await session.scalars(query)}


def _refused(order: OrderPlaced, items: Mapping[ItemKey, Item]) -> list[dict[str, Any]]:
    """Find the lines that cannot be met, each on what the one before left."""
    left = {key: item.on_hand - item.reserved for key, item in items.items()}
    refused = []
    for line in order.lines:
        key = (line.product_id, line.variant_id)
        available = left.get(key, 0)
        if available < line.quantity:
            variant = str(line.variant_id) if line.variant_id else None
            refused.append(events.rejected_line(line.line_id, str(line.product_id), variant, line.quantity, available))
        left[key] = available - line.quantity
    return refused


def _level(item: Item, place: LocationStock, moment: datetime) -> events.Level:
    """Count the change that is told, and evaluate the alert level."""
    item.revision += 1
    level, alert = events.level_of(item.on_hand - item.reserved), None
    if level != item.level:
        alert = (events.new_id(), item.level)
        item.level, item.alert_id, item.level_since = level, UUID(alert[0]), moment
        item.last_alerted_at = moment if level != "ok" else item.last_alerted_at
    return events.Level(
        str(item.product_id),
        str(item.variant_id) if item.variant_id else None,
        str(place.location_id),
        item.on_hand,
        place.on_hand,
        item.version,
        item.revision,
        item.level,
        alert,
    )


def _told(row: Movement, item: Item) -> events.Movement:
    assert row.line_id is not None
    return events.Movement(
        str(row.movement_id),
        str(item.product_id),
        str(item.variant_id) if item.variant_id else None,
        str(row.location_id),
        row.version,
        row.quantity,
        row.previous_stock,
        row.new_stock,
        row.on_hand,
        row.location_on_hand,
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
