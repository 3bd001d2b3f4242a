"""Write what a batch has decided. Law: a handful of set-based statements, and nothing that `Changes` does not say.

References are inserted in key order; their primary key is the backstop of rule 1. The ledger, new order lines and the
outbox go by COPY, which needs a role that no row level security binds. Source: contract rule 2.
"""

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from stock_worker.core.model import Command, Level, Movement, Outcome, Record, Reference
from stock_worker.core.state import Order, OrderLine, World
from stock_worker.store.columns import COPIED
from stock_worker.store.sql import statements

if TYPE_CHECKING:
    from datetime import datetime

    from asyncpg import Connection

SQL: Final = statements("batch")


async def save(connection: "Connection", world: World, *, fingerprint_version: int) -> None:
    """Write the world's changes: places, items, orders, the ledger, references, parked commands."""
    assert connection.is_in_transaction(), "a batch is written whole or not at all"
    changes = world.changes
    if changes.movements:
        await _save_default_locations(connection, world)
        await _save_items(connection, world)
        await _save_places(connection, world)
        await _copy(connection, "movements", [_movement(world, row) for row in changes.movements])
    await _save_orders(connection, world)
    if changes.decided:
        rows = [_reference(world, decided.command, decided.outcome, fingerprint_version) for decided in changes.decided]
        rows.sort(key=lambda row: (row[0], row[5], row[6]))
        await _copy(connection, "references", rows)
    if changes.unparked:
        await unpark(connection, changes.unparked)
    if changes.parked:
        parked = [_parked(world, command, fingerprint_version) for command in changes.parked.values()]
        await _copy(connection, "parked_commands", parked)


async def unpark(connection: "Connection", references: Sequence[Reference]) -> int:
    """Take commands out of the parked ones. Returns how many were there."""
    status: str = await connection.execute(SQL["unpark"], *map(list, zip(*references, strict=True)))
    return int(status.removeprefix("DELETE "))


async def save_dead_letters(
    connection: "Connection", letters: Iterable[tuple[Record, str | None, str, str]], recorded_at: "datetime"
) -> None:
    """Keep dead letters whole: (record, site_id, reason, detail) each."""
    rows = [
        (
            *(r.offset, r.timestamp_ms, recorded_at, r.partition, site_id, r.topic, reason, detail, r.key, r.value),
            *header_columns(r.headers),
        )
        for r, site_id, reason, detail in letters
    ]
    await _copy(connection, "dead_letters", rows)


async def save_outbox(connection: "Connection", rows: Sequence[tuple[Any, ...]]) -> None:
    """Put events and dead letters into the outbox, in order; columns in the table's order."""
    await _copy(connection, "outbox", rows)


def header_columns(headers: Iterable[tuple[str, bytes | None]]) -> tuple[list[str], list[bytes | None]]:
    """Split headers into the two array columns that keep them."""
    pairs = list(headers)
    return [name for name, _ in pairs], [value for _, value in pairs]


async def _copy(connection: "Connection", table: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Append rows whose columns stand in the order of `COPIED`."""
    await connection.copy_records_to_table(table, schema_name="stock", columns=COPIED[table], records=rows)


async def _save_default_locations(connection: "Connection", world: World) -> None:
    moved = {row.item.site_id for row in world.changes.movements}
    sites = [world.sites[site_id] for site_id in sorted(moved)]
    new = [(site.site_id, site.default_location_id) for site in sites if not site.stored]
    if new:
        await connection.execute(SQL["insert_default_location"], *map(list, zip(*new, strict=True)), world.recorded_at)


async def _save_items(connection: "Connection", world: World) -> None:
    rows = [
        (item.item_id, item.on_hand, item.reserved, item.version, item.revision, item.last_movement_type)
        for item in world.changes.items.values()
    ]
    rows.sort()  # rows side by side on a page are then changed one after the other
    await connection.execute(SQL["update_items"], *map(list, zip(*rows, strict=True)), world.recorded_at)
    if world.changes.alerts:
        await connection.execute(SQL["update_levels"], *map(list, zip(*_levels(world), strict=True)))


def _levels(world: World) -> list[tuple[int, str, str, bool]]:
    """The stay at which each item whose level changed ends, and whether it was anything but ok meanwhile."""
    levels: dict[int, tuple[int, str, str, bool]] = {}
    for alert in world.changes.alerts:
        item_id = world.items[alert.item].item_id
        alerted = alert.level is not Level.OK or (item_id in levels and levels[item_id][-1])
        levels[item_id] = (item_id, alert.level, alert.alert_id, alerted)
    return list(levels.values())


async def _save_places(connection: "Connection", world: World) -> None:
    new, old = [], []
    for (item_id, location_id), (item, place) in world.changes.places.items():
        if place.stored:
            old.append((item_id, location_id, place.on_hand, place.reserved))
        else:
            new.append((item_id, location_id, item.key.site_id, place.on_hand, place.reserved))
    old.sort()
    if new:
        await connection.execute(SQL["insert_location_stock"], *map(list, zip(*new, strict=True)))
    if old:
        await connection.execute(SQL["update_location_stock"], *map(list, zip(*old, strict=True)))


async def _save_orders(connection: "Connection", world: World) -> None:
    changes = world.changes
    if changes.orders:
        await connection.execute(SQL["cancel_orders"], *map(list, zip(*sorted(changes.orders), strict=True)))
    new = [pair for pair in changes.lines.values() if not pair[1].stored]
    old = [pair for pair in changes.lines.values() if pair[1].stored]
    if new:
        await _copy(connection, "order_lines", [_new_line(world, *pair) for pair in new])
    if old:
        columns = map(list, zip(*(_old_line(*pair) for pair in old), strict=True))
        await connection.execute(SQL["update_order_lines"], *columns)


def _allocations(line: OrderLine) -> str:
    return "[" + ",".join([f'["{kept.location_id}",{kept.sold},0]' for kept in line.allocations]) + "]"


def _new_line(world: World, order: Order, line: OrderLine) -> tuple[Any, ...]:
    return (
        order.order_pk,
        world.items[line.item].item_id,
        *line.totals,
        line.position,
        line.item.site_id,
        line.line_id,
        "sale",
        _allocations(line),
        line.versions,
    )


def _old_line(order: Order, line: OrderLine) -> tuple[Any, ...]:
    totals = line.totals
    versions = "{" + ",".join(map(str, line.versions)) + "}"
    return (
        order.order_pk,
        line.line_id,
        totals.cancelled,
        totals.fulfilled,
        totals.returned,
        _allocations(line),
        versions,
    )


def _movement(world: World, row: Movement) -> tuple[Any, ...]:
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


def _reference(world: World, command: Command, outcome: Outcome, fingerprint_version: int) -> tuple[Any, ...]:
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


def _parked(world: World, command: Command, fingerprint_version: int) -> tuple[Any, ...]:
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
