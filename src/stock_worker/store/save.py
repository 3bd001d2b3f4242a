"""Write what a batch has decided. Law: a handful of set-based statements, and nothing that `Changes` does not say.

References are inserted in key order; their primary key is the backstop of rule 1. The ledger, new order lines and the
outbox go by COPY, which needs a role that no row level security binds. Source: contract rule 2.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from stock_worker.core.model import CatalogEntry, ItemKey, Record, Reference
from stock_worker.core.state import Location, World
from stock_worker.store.columns import COPIED
from stock_worker.store.rows import (
    daily_rows,
    dead_letter_row,
    movement_row,
    new_line_row,
    old_line_row,
    parked_row,
    reference_row,
)
from stock_worker.store.sql import statements

if TYPE_CHECKING:
    from datetime import datetime

    from asyncpg import Connection

SQL: Final = statements("save")


async def save(connection: "Connection", world: World, *, fingerprint_version: int) -> None:
    """Write the world's changes: locations, items, places, the ledger, orders, references, parked commands."""
    assert connection.is_in_transaction(), "a batch is written whole or not at all"
    changes = world.changes
    if changes.movements or changes.locations:
        await _save_locations(connection, world)
    await _save_items(connection, world)
    await _save_counters(connection, world)
    if changes.movements:
        await _copy(connection, "movements", [movement_row(world, row) for row in changes.movements])
    await _save_orders(connection, world)
    if changes.decided:
        rows = [reference_row(world, *decided, fingerprint_version) for decided in changes.decided]
        rows.sort(key=lambda row: (row[0], row[5], row[6]))
        await _copy(connection, "references", rows)
    if changes.unparked:
        await unpark(connection, changes.unparked)
    if changes.parked:
        parked = [parked_row(world, command, fingerprint_version) for command in changes.parked.values()]
        await _copy(connection, "parked_commands", parked)


async def unpark(connection: "Connection", references: Sequence[Reference]) -> int:
    """Take commands out of the parked ones. Returns how many were there."""
    status: str = await connection.execute(SQL["unpark"], *_columns(references))
    return int(status.removeprefix("DELETE "))


async def save_dead_letters(
    connection: "Connection", letters: Iterable[tuple[Record, str | None, str, str]], recorded_at: "datetime"
) -> None:
    """Keep dead letters whole: (record, site_id, reason, detail) each."""
    await _copy(connection, "dead_letters", [dead_letter_row(*letter, recorded_at) for letter in letters])


async def save_outbox(connection: "Connection", rows: Sequence[tuple[Any, ...]]) -> None:
    """Put events and dead letters into the outbox, in order; columns in the table's order."""
    await _copy(connection, "outbox", rows)


async def _copy(connection: "Connection", table: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Append rows whose columns stand in the order of `COPIED`."""
    await connection.copy_records_to_table(table, schema_name="stock", columns=COPIED[table], records=rows)


def _columns(rows: Iterable[tuple[Any, ...]], count: int = 0) -> list[list[Any]]:
    """Turn rows into the arrays that a set-based statement takes; `count` arrays where there may be no row."""
    return list(map(list, zip(*rows, strict=True))) or [[] for _ in range(count)]


async def _save_locations(connection: "Connection", world: World) -> None:
    """A site's default location becomes a row with its first movement or location; inflows opened the others."""
    sites = {row.item.site_id for row in world.changes.movements} | {site_id for site_id, _ in world.changes.locations}
    defaults = [(site_id, world.sites[site_id].default_location_id) for site_id in sorted(sites)]
    new = {key: world.sites[key[0]].locations[key[1]] for key in defaults} | world.changes.locations
    inserted = [_location(world, site_id, location) for (site_id, _), location in new.items() if not location.stored]
    reopened = [
        (site_id, location_id, location.priority)
        for (site_id, location_id), location in world.changes.locations.items()
        if location.stored
    ]
    if inserted:
        await connection.execute(SQL["insert_locations"], *_columns(inserted), world.recorded_at)
    if reopened:
        await connection.execute(SQL["reopen_locations"], *_columns(reopened), world.recorded_at)


def _location(world: World, site_id: str, location: Location) -> tuple[str, str, str, str, int, bool]:
    is_default = location.location_id == world.sites[site_id].default_location_id
    name = "Default" if is_default else location.code
    return site_id, location.location_id, location.code, name, location.priority, is_default


async def _save_items(connection: "Connection", world: World) -> None:
    changes = world.changes
    if changes.averages:
        averages = [(item.item_id, item.average_cost) for item in changes.averages.values()]
        await connection.execute(SQL["update_averages"], *_columns(averages))
    told = [(item.item_id, item.revision) for item in changes.items.values() if item.last_movement_type is None]
    if told:
        await connection.execute(SQL["update_revisions"], *_columns(told))
    if changes.levels:
        levels = [
            (
                *(change.item.item_id, change.item.level, change.item.emitted, change.item.stay, change.alert_id),
                *(change.since, change.alerted_at),
            )
            for change in changes.levels.values()
        ]
        await connection.execute(SQL["update_levels"], *_columns(levels))
    if changes.catalog:
        rows = [_catalog(world, key, entry) for key, entry in changes.catalog.items()]
        await connection.execute(SQL["upsert_products"], *_columns(rows), world.recorded_at)
        revisions = [(world.items[key].item_id, world.items[key].catalog_revision) for key in changes.catalog]
        await connection.execute(SQL["update_catalog_revisions"], *_columns(revisions))


def _catalog(world: World, key: ItemKey, entry: CatalogEntry) -> tuple[Any, ...]:
    return (world.items[key].item_id, *key, *entry)


async def _save_counters(connection: "Connection", world: World) -> None:
    """Write what movements change of items, of places and of days; new places come first."""
    changes = world.changes
    moved = [
        (
            *(item.item_id, item.on_hand, item.reserved, item.version, item.revision, item.costed),
            *(item.net_sold, item.last_movement_type),
        )
        for item in changes.items.values()
        if item.last_movement_type is not None
    ]
    moved.sort()  # rows side by side on a page are then changed one after the other
    new, old = [], []
    for (item_id, location_id), (item, place) in changes.places.items():
        counters = place.on_hand, place.reserved, place.held, place.counted_at
        if place.stored:
            old.append((item_id, location_id, *counters))
        else:
            new.append((item_id, location_id, item.key.site_id, *counters))
    old.sort(key=lambda row: row[:2])
    if new:
        await connection.execute(SQL["insert_location_stock"], *_columns(new))
    if moved or old:
        days = _columns(daily_rows(world), 8)
        await connection.execute(SQL["move"], *_columns(moved, 8), world.recorded_at, *_columns(old, 6), *days)


async def _save_orders(connection: "Connection", world: World) -> None:
    changes = world.changes
    if changes.orders:
        rows = sorted(
            (order.order_pk, order.cancelled_whole, order.mode, order.expires_at, order.due_at)
            for order in changes.orders.values()
        )
        await connection.execute(SQL["update_orders"], *_columns(rows))
    new = [pair for pair in changes.lines.values() if not pair[1].stored]
    old = [pair for pair in changes.lines.values() if pair[1].stored]
    if new:
        await _copy(connection, "order_lines", [new_line_row(world, *pair) for pair in new])
    if old:
        await connection.execute(SQL["update_order_lines"], *_columns(old_line_row(*pair) for pair in old))
