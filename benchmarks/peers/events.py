"""What both peers tell. Law: field by field the events of contract section 6, so nobody publishes less than another.

Each event is (topic, key, payload, id); ids are random, since a peer that publishes after its commit never sends again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import uuid4  # noqa: TID251 - a peer is its own shell

from stock_worker.core.alerts import scope_of
from stock_worker.core.model import Level as AlertLevel
from stock_worker.core.policy import ItemPolicy


class Event(NamedTuple):
    """One event to publish; `topic` is without prefix."""

    topic: str
    key: str
    payload: dict[str, Any]
    id: str


@dataclass(frozen=True, slots=True)
class Movement:
    """One ledger row as it is told."""

    movement_id: str
    product_id: str
    variant_id: str | None
    location_id: str
    version: int
    quantity: int
    previous_stock: int
    new_stock: int
    on_hand: int
    location_on_hand: int
    average_cost: Decimal | None
    costed_quantity: int
    line_id: str
    last_of_command: bool


class Stock(NamedTuple):
    """What lies at one location."""

    location_id: str
    code: str
    on_hand: int


class Alert(NamedTuple):
    """A change of an item's level."""

    alert_id: str
    previous_level: str
    days_until_stockout: float | None


@dataclass(frozen=True, slots=True)
class Level:
    """An item after the order; `alert` when the level changed."""

    product_id: str
    variant_id: str | None
    places: Sequence[Stock]
    on_hand: int
    version: int
    revision: int
    level: str
    policy: ItemPolicy
    alert: Alert | None


@dataclass(frozen=True, slots=True)
class Asked:
    """What every event of one order repeats."""

    site_id: str
    order_id: str
    actor: str | None
    occurred_at: str
    recorded_at: str
    source: Mapping[str, Any]


def now() -> datetime:
    """Read the clock."""
    return datetime.now(UTC)  # noqa: TID251 - a peer is its own shell


def new_id() -> str:
    """Draw an id."""
    return str(uuid4())


def of_applied(asked: Asked, movements: Iterable[Movement], levels: Iterable[Level]) -> list[Event]:
    """Tell an order that was booked: each movement, each alert, each item's level, then the sender."""
    rows = list(movements)
    told = [_stock_changed(asked, row) for row in rows]
    after = list(levels)
    told += [_alert(asked, level, level.alert) for level in after if level.alert]
    told += [_stock_level(asked, level) for level in after]
    told.append(_applied(asked, rows))
    return told


def refusal(lines: Sequence[dict[str, Any]]) -> str:
    """Say why an order cannot be met."""
    return f"{len(lines)} of the order's lines cannot be met"


def of_rejected(asked: Asked, lines: Sequence[dict[str, Any]]) -> list[Event]:
    """Tell an order that cannot be met."""
    payload = {
        **_head(asked),
        "code": "insufficient_stock",
        "message": refusal(lines),
        "lines": lines,
        "source": asked.source,
    }
    return [Event("adjustment-rejected", f"{asked.site_id}/{asked.order_id}", payload, new_id())]


def headers(event: Event, time: str) -> dict[str, str]:
    """Give the CloudEvents headers."""
    return {
        "ce_specversion": "1.0",
        "ce_id": event.id,
        "ce_type": f"stock-worker.{event.topic}.v1",
        "ce_source": "peer",
        "ce_time": time,
        "content-type": "application/json",
    }


def _stock_changed(asked: Asked, row: Movement) -> Event:
    payload = {
        "site_id": asked.site_id,
        "product_id": row.product_id,
        "variant_id": row.variant_id,
        "sku": None,
        "movement_id": row.movement_id,
        "location_id": row.location_id,
        "version": row.version,
        "type": "sale",
        "quantity": row.quantity,
        "previous_stock": row.previous_stock,
        "new_stock": row.new_stock,
        "available": row.new_stock,
        "on_hand": row.on_hand,
        "reserved": 0,
        "location_on_hand": row.location_on_hand,
        "location_reserved": 0,
        "unit_cost": _money(row.average_cost),
        "average_cost": _money(row.average_cost),
        "costed_quantity": row.costed_quantity,
        "reference_type": "order",
        "reference_id": asked.order_id,
        "order_id": asked.order_id,
        "line_id": row.line_id,
        "reason": None,
        "note": None,
        "actor": asked.actor,
        "actor_id": None,
        "source": asked.source,
        "occurred_at": asked.occurred_at,
        "recorded_at": asked.recorded_at,
        "last_of_command": row.last_of_command,
    }
    return Event("stock-changed", _item_key(asked, row), payload, row.movement_id)


def _stock_level(asked: Asked, item: Level) -> Event:
    limit = item.policy.backorder_limit
    places = [
        {
            "location_id": place.location_id,
            "code": place.code,
            "on_hand": place.on_hand,
            "reserved": 0,
            "available": place.on_hand,
        }
        for place in item.places
    ]
    payload = {
        "site_id": asked.site_id,
        "product_id": item.product_id,
        "variant_id": item.variant_id,
        "on_hand": item.on_hand,
        "reserved": 0,
        "available": item.on_hand,
        "sellable": max(item.on_hand + limit, 0),
        "track_inventory": True,
        "backorder_limit": limit,
        "level": item.level,
        "version": item.version,
        "revision": item.revision,
        "locations": places,
        "updated_at": asked.recorded_at,
    }
    return Event("stock-level", _item_key(asked, item), payload, new_id())


def _alert(asked: Asked, item: Level, alert: Alert) -> Event:
    policy = item.policy
    payload = {
        "site_id": asked.site_id,
        "product_id": item.product_id,
        "variant_id": item.variant_id,
        "sku": policy.sku,
        "name": policy.name,
        "alert_id": alert.alert_id,
        "previous_level": alert.previous_level,
        "level": item.level,
        "available": item.on_hand,
        "on_hand": item.on_hand,
        "reserved": 0,
        "version": item.version,
        "revision": item.revision,
        "thresholds": policy.thresholds._asdict(),
        "rule": {"scope": scope_of(AlertLevel(item.level), policy.scopes)},
        "cause": "movement",
        "reorder_point": policy.reorder_point,
        "reorder_quantity": policy.reorder_quantity,
        "days_until_stockout": alert.days_until_stockout,
        "notify": policy.notify,
    }
    return Event("alert-level-changed", _item_key(asked, item), payload, alert.alert_id)


def _applied(asked: Asked, rows: Iterable[Movement]) -> Event:
    lines = [
        {
            "line_id": row.line_id,
            "product_id": row.product_id,
            "variant_id": row.variant_id,
            "location_id": row.location_id,
            "type": "sale",
            "quantity": row.quantity,
        }
        for row in rows
    ]
    payload = {**_head(asked), "outcome": "applied", "lines": lines}
    return Event("adjustment-applied", f"{asked.site_id}/{asked.order_id}", payload, new_id())


def _head(asked: Asked) -> dict[str, Any]:
    return {
        "site_id": asked.site_id,
        "reference_type": "order",
        "reference_id": asked.order_id,
        "order_id": asked.order_id,
    }


def _item_key(asked: Asked, item: Movement | Level) -> str:
    return f"{asked.site_id}/{item.product_id}/{item.variant_id or ''}"


def _money(value: Decimal | None) -> str | None:
    return None if value is None else format(value, "f")
