"""Values of core as rows of their tables. Law: columns stand in the order of `columns.COPIED`, one function a table.

Nothing is decided here and nothing awaited. Source: contract section 2 for the ledger's fields.
"""

import json
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

from stock_worker.core.model import Command, Movement, Outcome, Record
from stock_worker.core.policy import zone_of
from stock_worker.core.state import Allocation, Order, OrderLine, World

Row = tuple[Any, ...]


def movement_row(world: World, row: Movement) -> Row:
    """A row of the ledger."""
    command = row.command
    source = command.source
    return (
        world.items[row.item].item_id,
        row.version,
        row.quantity,
        row.previous_stock,
        row.new_stock,
        row.on_hand,
        row.reserved,
        row.location_on_hand,
        row.location_reserved,
        row.costed_quantity,
        row.net_sold,
        source.offset,
        row.recorded_at,
        command.occurred_at,
        source.partition,
        row.last_of_command,
        row.movement_id,
        row.item.site_id,
        row.location_id,
        command.actor_id,
        row.type,
        command.reference.type,
        command.reference.id,
        source.topic,
        row.order_id,
        row.line_id,
        row.unit_cost,
        row.average_cost,
        command.actor,
        row.reason,
        row.note,
    )


def reference_row(world: World, command: Command, outcome: Outcome, fingerprint_version: int) -> Row:
    """A reference with its first outcome and, as pairs of item and version, the rows that it wrote."""
    source = command.source
    refused = None
    if outcome.code is not None:
        lines = [line._asdict() | {"code": line.code.text} for line in outcome.rejected]
        refused = json.dumps({"message": outcome.message, "lines": lines}, separators=(",", ":"))
    pairs = [number for row in outcome.movements for number in (world.items[row.item].item_id, row.version)]
    return (
        command.reference.site_id,
        world.recorded_at,
        source.offset,
        source.partition,
        fingerprint_version,
        command.reference.type,
        command.reference.id,
        source.topic,
        command.order_id,
        outcome.kind,
        None if outcome.code is None else outcome.code.text,
        command.fingerprint,
        pairs,
        refused,
    )


def new_line_row(world: World, order: Order, line: OrderLine) -> Row:
    """A line that an order has from now on."""
    return (
        order.order_pk,
        world.items[line.item].item_id,
        *line.totals,
        line.position,
        line.expired,
        line.tracked,
        line.item.site_id,
        line.location_id,
        line.line_id,
        line.mode,
        _allocations(line),
        line.versions,
    )


def old_line_row(order: Order, line: OrderLine) -> Row:
    """What changes of a line that was stored before."""
    totals = line.totals
    versions = "{" + ",".join(map(str, line.versions)) + "}"
    return (
        order.order_pk,
        line.line_id,
        totals.cancelled,
        totals.fulfilled,
        totals.returned,
        line.expired,
        _allocations(line),
        versions,
    )


def parked_row(world: World, command: Command, fingerprint_version: int) -> Row:
    """A command that waits, with the record that it came as."""
    record, order_key = command.record, command.order_key
    assert record is not None, "only Kafka brings commands about orders"
    assert order_key is not None
    return (
        world.orders[order_key].order_pk,
        world.recorded_at,
        record.timestamp_ms,
        record.offset,
        record.partition,
        fingerprint_version,
        command.reference.site_id,
        command.reference.type,
        command.reference.id,
        order_key.order_id,
        record.topic,
        command.fingerprint,
        record.key,
        record.value,
        *header_columns(record.headers),
    )


def dead_letter_row(record: Record, site_id: str | None, reason: str, detail: str, recorded_at: datetime) -> Row:
    """A record that was set aside, whole."""
    position = (record.offset, record.timestamp_ms, recorded_at, record.partition, site_id, record.topic)
    return (*position, reason, detail, record.key, record.value, *header_columns(record.headers))


def header_columns(headers: Iterable[tuple[str, bytes | None]]) -> tuple[list[str], list[bytes | None]]:
    """Split headers into the two array columns that keep them."""
    pairs = list(headers)
    return [name for name, _ in pairs], [value for _, value in pairs]


def daily_rows(world: World) -> list[tuple[int, str, date, str, str, int, int, int]]:
    """Fold the batch's movements by item, site-local day, location and type.

    Rows: (item_id, site_id, day, location_id, type, movements, units in, units out), in the order of their keys.
    """
    totals: dict[tuple[int, str, date, str, str], list[int]] = {}
    days: dict[tuple[str, datetime], date] = {}
    for row in world.changes.movements:
        site_id = row.item.site_id
        day = days.get((site_id, row.recorded_at))
        if day is None:
            zone = zone_of(world.sites[site_id].settings.timezone)
            day = days[site_id, row.recorded_at] = row.recorded_at.astimezone(zone).date()
        key = (world.items[row.item].item_id, site_id, day, row.location_id, row.type)
        total = totals.get(key)
        if total is None:
            total = totals[key] = [0, 0, 0]
        total[0] += 1
        total[1 if row.quantity > 0 else 2] += abs(row.quantity)
    return sorted((*key, *total) for key, total in totals.items())  # type: ignore[misc] # mypy does not add tuples up


def _allocations(line: OrderLine) -> str:
    return "[" + ",".join(map(_allocation, line.allocations)) + "]"


def _allocation(kept: Allocation) -> str:
    more = f",{kept.given_back},{kept.returned}" if kept.given_back or kept.returned else ""
    return f'["{kept.location_id}",{kept.sold},{kept.reserved}{more}]'
