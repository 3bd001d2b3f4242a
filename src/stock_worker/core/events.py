"""The events as values. Law: an event tells what the ledger and the item say, with the contract's fields and no others.

Ids are derived, so an event that is decided again keeps its `ce_id`. Source: contract section 6.
"""

from typing import Any, Final, NamedTuple

from stock_worker.core import topics
from stock_worker.core.alerts import days_until_stockout, scope_of
from stock_worker.core.ids import numbered, series, single
from stock_worker.core.model import Command, Movement, Outcome, OutcomeKind, Source
from stock_worker.core.state import AlertChange, Item, Site, World

_SILENT: Final = frozenset({OutcomeKind.DUPLICATE, OutcomeKind.PARKED})


class Event(NamedTuple):
    """One event to publish: `topic` without prefix; `key` is its Kafka key as text."""

    id: str
    topic: str
    aggregate: str
    key: str
    payload: dict[str, Any]
    traceparent: str | None


def stock_changed(world: World, movement: Movement) -> Event:
    """Tell one ledger row."""
    command = movement.command
    reference = command.reference
    item = movement.item
    payload = {
        "site_id": item.site_id,
        "product_id": item.product_id,
        "variant_id": item.variant_id,
        "sku": world.items[item].policy.sku,
        "movement_id": movement.movement_id,
        "location_id": movement.location_id,
        "version": movement.version,
        "type": movement.type.value,
        "quantity": movement.quantity,
        "previous_stock": movement.previous_stock,
        "new_stock": movement.new_stock,
        "available": movement.new_stock,
        "on_hand": movement.on_hand,
        "reserved": movement.reserved,
        "location_on_hand": movement.location_on_hand,
        "location_reserved": movement.location_reserved,
        "unit_cost": movement.unit_cost,
        "average_cost": movement.average_cost,
        "costed_quantity": movement.costed_quantity,
        "reference_type": reference.type,
        "reference_id": reference.id,
        "order_id": movement.order_id,
        "line_id": movement.line_id,
        "reason": movement.reason,
        "note": movement.note,
        "actor": command.actor,
        "actor_id": command.actor_id,
        "source": told_source(command.source),
        "occurred_at": command.occurred_at,
        "recorded_at": movement.recorded_at,
        "last_of_command": movement.last_of_command,
    }
    return Event(movement.movement_id, topics.STOCK_CHANGED, "item", item.text, payload, command.traceparent)


def stock_level(world: World, item: Item) -> Event:
    """Tell an item's state after the batch."""
    site, policy = world.sites[item.key.site_id], item.policy
    available, limit = item.available, policy.backorder_limit
    payload = {
        "site_id": item.key.site_id,
        "product_id": item.key.product_id,
        "variant_id": item.key.variant_id,
        "on_hand": item.on_hand,
        "reserved": item.reserved,
        "available": available,
        "sellable": max(available + limit, 0) if policy.tracked else None,
        "track_inventory": policy.tracked,
        "backorder_limit": limit,
        "level": item.level.value,
        "version": item.version,
        "revision": item.revision,
        "locations": [_location(site, item, location_id) for location_id in item.places],
        "updated_at": world.recorded_at if item.last_movement_type is None else item.last_movement_at,
    }
    key = item.key.text
    return Event(numbered(series("level", key), item.revision), topics.STOCK_LEVEL, "item", key, payload, None)


def alert_level_changed(world: World, alert: AlertChange) -> Event:
    """Tell one change of an item's level."""
    key, policy, available = alert.item.key, alert.policy, alert.on_hand - alert.reserved
    payload = {
        "site_id": key.site_id,
        "product_id": key.product_id,
        "variant_id": key.variant_id,
        "sku": policy.sku,
        "name": policy.name,
        "alert_id": alert.alert_id,
        "previous_level": alert.previous_level.value,
        "level": alert.level.value,
        "available": available,
        "on_hand": alert.on_hand,
        "reserved": alert.reserved,
        "version": alert.version,
        "revision": alert.revision,
        "thresholds": policy.thresholds._asdict(),
        "rule": {"scope": scope_of(alert.level, policy.scopes)},
        "cause": "movement" if alert.command else "rule",
        "reorder_point": policy.reorder_point,
        "reorder_quantity": policy.reorder_quantity,
        "days_until_stockout": days_until_stockout(
            available,
            alert.net_sold - world.sold_before.get(alert.item.item_id, 0),
            alert.item.first_movement_at,
            alert.at,
        ),
        "notify": policy.notify,
    }
    traceparent = alert.command.traceparent if alert.command else None
    return Event(alert.alert_id, topics.ALERT_LEVEL_CHANGED, "item", key.text, payload, traceparent)


def told(command: Command, outcome: Outcome, *, emit_applied: bool) -> list[Event]:
    """Tell the sender what became of a command; nothing where a redelivery or a parked command must stay silent."""
    if outcome.kind in _SILENT:
        return []
    events = []
    if outcome.code is not None:
        events.append(_adjustment_rejected(command, outcome))
    if emit_applied and outcome.kind not in (OutcomeKind.REJECTED, OutcomeKind.CONFLICT):
        events.append(_adjustment_applied(command, outcome))
    return events


def told_source(source: Source) -> dict[str, Any] | str:
    """A Kafka position as an object, any other entrance as its name."""
    if source.partition is None:
        return source.topic
    return {"topic": source.topic, "partition": source.partition, "offset": source.offset}


def _location(site: Site, item: Item, location_id: str) -> dict[str, Any]:
    place = item.places[location_id]
    return {
        "location_id": location_id,
        "code": site.locations[location_id].code,
        "on_hand": place.on_hand,
        "reserved": place.reserved,
        "available": place.on_hand - place.reserved,
    }


def _key(command: Command) -> tuple[str, str]:
    reference = command.reference
    if command.order_id is not None:
        return "order", f"{reference.site_id}/{command.order_id}"
    return "reference", f"{reference.site_id}/{reference.type}/{reference.id}"


def _head(command: Command) -> dict[str, Any]:
    reference = command.reference
    return {
        "site_id": reference.site_id,
        "reference_type": reference.type,
        "reference_id": reference.id,
        "order_id": command.order_id,
    }


def _adjustment_applied(command: Command, outcome: Outcome) -> Event:
    aggregate, key = _key(command)
    payload = _head(command)
    payload["outcome"] = outcome.kind.value
    payload["lines"] = [_applied_line(row) for row in outcome.movements]
    subject = "/".join(command.reference)
    return Event(single("applied", subject), topics.ADJUSTMENT_APPLIED, aggregate, key, payload, command.traceparent)


def _applied_line(row: Movement) -> dict[str, Any]:
    line: dict[str, Any] = {
        "line_id": row.line_id,
        "product_id": row.item.product_id,
        "variant_id": row.item.variant_id,
        "location_id": row.location_id,
        "type": row.type.value,
        "quantity": row.quantity,
    }
    if row.cost_ignored:
        line["cost_ignored"] = True
    return line


def _adjustment_rejected(command: Command, outcome: Outcome) -> Event:
    assert outcome.code is not None
    aggregate, key = _key(command)
    payload = _head(command)
    payload["code"] = outcome.code.text
    payload["message"] = outcome.message
    payload["lines"] = [line._asdict() | {"code": line.code.text} for line in outcome.rejected]
    payload["source"] = told_source(command.source)
    subject = "/".join(command.reference)
    if outcome.kind is OutcomeKind.CONFLICT:  # a reference may be misused more than once; each time is told once
        subject += f"\x1f{command.source}\x1f{command.record.timestamp_ms if command.record else ''}"
    return Event(
        single(outcome.kind.value, subject), topics.ADJUSTMENT_REJECTED, aggregate, key, payload, command.traceparent
    )
