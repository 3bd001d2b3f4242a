"""Lock and read all that a batch may touch. Law: locks are taken in one order, and what they guard is read after them.

Locations (shared), orders, items, each sorted; then the clock, policies, references and parked keys. Two batches that
meet wait for each other and do not deadlock. Source: docs/decisions/0001; the statements are in `queries/batch.sql`.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from stock_worker.core.alerts import SALES_WINDOW
from stock_worker.core.counts import WINDOW
from stock_worker.core.ids import default_location_id
from stock_worker.core.keys import blind_items_of, items_of, orders_of, references_of
from stock_worker.core.model import Command, CommandKind, ItemKey, Level, Mode, OrderKey, Record, Reference
from stock_worker.core.orders import Totals
from stock_worker.core.state import Allocation, Item, Location, Order, OrderLine, Place, Site, World
from stock_worker.store.known import Known
from stock_worker.store.policies import catalog_entries, hold_to_policies, moment_and_settings
from stock_worker.store.sql import statements

if TYPE_CHECKING:
    from asyncpg import Connection
    from asyncpg import Record as Row

SQL: Final = statements("batch")
SWEEPER_SQL: Final = statements("sweeper")
DEFAULT_LOCATION_CODE: Final = "DEFAULT"

DecodeParked = Callable[[Record], Command]


class Waiting(NamedTuple):
    """A parked command as it is kept: its reference, and the record that it came as."""

    reference: Reference
    record: Record


async def load(
    connection: "Connection",
    commands: Sequence[Command],
    decode_parked: DecodeParked,
    known: Known,
    clock: datetime | None,
    *,
    announced: Iterable[ItemKey] = (),
    blind: bool = False,
) -> World:
    """Give the world in which `commands` can be decided; `decode_parked` reads what waits for their orders.

    `known` is what this process remembers between batches. `clock` replaces PostgreSQL's for tests and the demo.
    `announced` are items that the batch's catalog records name. `blind` also loads the items that returns of an order
    name, for the case that the order never comes.
    """
    assert connection.is_in_transaction(), "locks outside a transaction guard nothing"
    announced = list(announced)
    sites = await _sites(connection, {command.site_id for command in commands} | {key.site_id for key in announced})
    orders, seen = await _orders(connection, commands)
    await _parked_of(connection, seen, commands, decode_parked)
    keys = _item_keys(commands, orders.values())
    if blind:
        keys.update(key for command in commands for key in blind_items_of(command))
    keys.update(announced)
    items, moment = await _held_items(connection, keys, sites, known)
    references, parked = await _references(connection, commands)
    parked.update((waiting.reference, waiting.fingerprint) for order in orders.values() for waiting in order.parked)
    world = World(clock or moment, sites, items, orders, references, parked)
    world.catalog = await catalog_entries(connection, [items[key] for key in announced])
    await _windows(connection, world, commands)
    return world


async def load_items(connection: "Connection", keys: Sequence[ItemKey], known: Known, clock: datetime | None) -> World:
    """Give a world of these items, locked, and nothing else: to evaluate their levels again."""
    assert connection.is_in_transaction(), "locks outside a transaction guard nothing"
    sites = await _sites(connection, {key.site_id for key in keys})
    items, moment = await _held_items(connection, set(keys), sites, known)
    return World(clock or moment, sites, items)


async def clock_now(connection: "Connection") -> datetime:
    """PostgreSQL's clock at this moment, not at the transaction's start."""
    moment: datetime = await connection.fetchval(SQL["clock"])
    return moment


async def dead_positions(connection: "Connection", records: Iterable[Record]) -> set[tuple[str, int, int, int]]:
    """Which of the records were dead-lettered before, as (topic, partition, offset, timestamp)."""
    positions = [(r.topic, r.partition, r.offset, r.timestamp_ms) for r in records]
    if not positions:
        return set()
    rows = await connection.fetch(SQL["dead_positions"], *map(list, zip(*positions, strict=True)))
    return {tuple(row) for row in rows}


async def overdue(connection: "Connection", before: datetime, limit: int) -> list[Waiting]:
    """The commands parked before a moment, oldest first; not locked."""
    rows = await connection.fetch(SQL["overdue_parked"], before, limit)
    return [
        Waiting(Reference(str(row["site_id"]), row["reference_type"], row["reference_id"]), record_of(row))
        for row in rows
    ]


async def pick_due_orders(
    connection: "Connection", reach: datetime, limit: int, except_for: Sequence[int]
) -> list[tuple[OrderKey, datetime]]:
    """The orders due up to `reach` with their times, locked, the longest overdue first; none another has picked."""
    rows = await connection.fetch(SWEEPER_SQL["pick_due_orders"], reach, except_for, limit)
    return [(OrderKey(str(row["site_id"]), row["order_id"]), row["expires_at"]) for row in rows]


def record_of(row: "Row") -> Record:
    """Give back a record as it came, from a row that kept it."""
    headers = tuple(zip(row["header_names"], row["header_values"], strict=True))
    return Record(row["topic"], row["partition"], row["offset"], row["timestamp_ms"], row["key"], row["value"], headers)


async def _sites(connection: "Connection", site_ids: set[str]) -> dict[str, Site]:
    sites: dict[str, Site] = {}
    locations: dict[str, dict[str, Location]] = {}
    defaults: dict[str, str] = {}
    for row in await connection.fetch(SQL["share_locations"], sorted(site_ids)):
        site_id, location_id = str(row["site_id"]), str(row["location_id"])
        location = Location(location_id, row["code"], row["fulfillment_priority"], row["is_active"])
        locations.setdefault(site_id, {})[location_id] = location
        if row["is_default"]:
            defaults[site_id] = location_id
    for site_id in site_ids:
        if site_id not in locations:
            defaults[site_id] = default_location_id(site_id)
            unsaved = Location(defaults[site_id], DEFAULT_LOCATION_CODE, 0, stored=False)
            locations[site_id] = {unsaved.location_id: unsaved}
        sites[site_id] = Site(site_id, defaults[site_id], locations[site_id])
    return sites


async def _orders(
    connection: "Connection", commands: Sequence[Command]
) -> tuple[dict[OrderKey, Order], dict[OrderKey, Order]]:
    """Give all orders of the batch, locked, and those of them that were there before."""
    keys = sorted(orders_of(commands))
    if not keys:
        return {}, {}
    columns = ([key.site_id for key in keys], [key.order_id for key in keys])
    orders = {}
    for row in await connection.fetch(SQL["insert_orders"], *columns):
        key = OrderKey(str(row["site_id"]), row["order_id"])
        orders[key] = Order(key, row["order_pk"])
    seen = [key for key in keys if key not in orders]
    if seen:
        columns = ([key.site_id for key in seen], [key.order_id for key in seen])
        rows = await connection.fetch(SQL["lock_orders"], *columns)
        for key, row in zip(seen, rows, strict=True):
            orders[key] = Order(
                key, row["order_pk"], row["cancelled_whole"], Mode(row["mode"]), row["expires_at"], row["due_at"]
            )
        await _lines(connection, {orders[key].order_pk: orders[key] for key in seen})
    return orders, {key: orders[key] for key in seen}


async def _lines(connection: "Connection", by_pk: dict[int, Order]) -> None:
    for row in await connection.fetch(SQL["order_lines"], list(by_pk)):
        totals = Totals(row["placed"], row["cancelled"], row["fulfilled"], row["returned"])
        location_id = row["location_id"]
        by_pk[row["order_pk"]].lines[row["line_id"]] = OrderLine(
            row["line_id"],
            row["position"],
            item_key(row),
            totals,
            [Allocation(*parts) for parts in json.loads(row["allocations"])],
            list(row["versions"]),
            Mode(row["mode"]),
            row["expired"],
            row["tracked"],
            None if location_id is None else str(location_id),
            stored=True,
        )


async def _parked_of(
    connection: "Connection", orders: dict[OrderKey, Order], commands: Sequence[Command], decode: DecodeParked
) -> None:
    """Read what waits for the orders that this batch places: those named before that have no lines yet."""
    placed = {command.order_key for command in commands if command.kind is CommandKind.PLACE}
    by_pk = {order.order_pk: order for key, order in orders.items() if key in placed and not order.placed}
    if by_pk:
        for row in await connection.fetch(SQL["parked_of_orders"], list(by_pk)):
            by_pk[row["order_pk"]].parked.append(decode(record_of(row)))


def _item_keys(commands: Sequence[Command], orders: Iterable[Order]) -> set[ItemKey]:
    keys = {key for command in commands for key in items_of(command)}
    for order in orders:
        keys.update(line.item for line in order.lines.values())
        for command in order.parked:
            keys.update(blind_items_of(command))
    return keys


async def _held_items(
    connection: "Connection", keys: set[ItemKey], sites: dict[str, Site], known: Known
) -> tuple[dict[ItemKey, Item], datetime]:
    """Lock items, then read the clock and what they and their sites are held to."""
    items = await _items(connection, keys, known)
    moment, settings = await moment_and_settings(connection, sites)
    for site_id, (_, of_site) in settings.items():
        sites[site_id].settings = of_site
    await hold_to_policies(connection, items.values(), settings, known)
    return items, moment


async def _items(connection: "Connection", keys: set[ItemKey], known: Known) -> dict[ItemKey, Item]:
    known.bound()
    await _learn(connection, keys, known.ids)
    by_id = {known.ids[key]: Item(key, known.ids[key]) for key in keys}
    ids = list(by_id)
    if not ids:
        return {}
    rows = await connection.fetch(SQL["lock_items"], ids)
    assert len(rows) == len(ids), "an item id was remembered that the database does not have"
    for row in rows:
        item = by_id[row["item_id"]]
        item.on_hand, item.reserved = row["on_hand"], row["reserved"]
        item.version, item.revision = row["version"], row["revision"]
        item.level, item.emitted, item.stay = Level(row["level"]), Level(row["emitted_level"]), row["stay"]
        item.costed, item.net_sold, item.average_cost = row["costed_quantity"], row["net_sold"], row["average_cost"]
        item.catalog_revision = row["catalog_revision"]
        item.first_movement_at, item.last_movement_at = row["first_movement_at"], row["last_movement_at"]
    for row in await connection.fetch(SQL["location_stock"], ids):
        place = Place(row["on_hand"], row["reserved"], row["held"], stored=True)
        by_id[row["item_id"]].places[str(row["location_id"])] = place
    return {item.key: item for item in by_id.values()}


async def _learn(connection: "Connection", keys: set[ItemKey], known: dict[ItemKey, int]) -> None:
    """Find the ids of items not known yet, making rows for those never seen; ids never change."""
    for make in (False, True, False):
        missing = sorted((key for key in keys if key not in known), key=lambda key: (*key[:2], key.variant_id or ""))
        if not missing:
            return
        columns = list(map(list, zip(*missing, strict=True)))
        if make:
            await connection.execute(SQL["insert_items"], *columns)
            continue
        for row in await connection.fetch(SQL["find_items"], *columns):
            known[item_key(row)] = row["item_id"]


def item_key(row: "Row") -> ItemKey:
    """The key of an item from the three columns that name it."""
    variant_id = row["variant_id"]
    return ItemKey(str(row["site_id"]), str(row["product_id"]), None if variant_id is None else str(variant_id))


async def _windows(connection: "Connection", world: World, commands: Iterable[Command]) -> None:
    """For counts that say what version they saw: by how much on_hand of their places moved since, counts aside."""
    wanted = set()
    for command in commands:
        if command.kind is CommandKind.COUNT:
            for line in command.lines or ():
                assert line.product_id is not None
                item = world.items[ItemKey(command.site_id, line.product_id, line.variant_id)]
                version = line.counted_at_version
                if version is not None and item.version - WINDOW <= version < item.version:
                    place = line.location_id or world.sites[command.site_id].default_location_id
                    wanted.add((item.item_id, place, version))
    if wanted:
        rows = await connection.fetch(SQL["moved_since"], *map(list, zip(*wanted, strict=True)))
        world.windows = {(row["item_id"], str(row["location_id"]), row["version"]): row["moved"] for row in rows}


async def load_sold_before(connection: "Connection", world: World) -> None:
    """For the items whose level changed and that moved before the window of sales: what they had sold by then."""
    before = world.recorded_at - SALES_WINDOW
    ids = {
        alert.item.item_id
        for alert in world.changes.alerts
        if alert.item.first_movement_at is not None and alert.item.first_movement_at <= before
    }
    if ids:
        rows = await connection.fetch(SQL["sold_before"], sorted(ids), before)
        world.sold_before = {row["item_id"]: row["net_sold"] for row in rows}


async def _references(
    connection: "Connection", commands: Sequence[Command]
) -> tuple[dict[Reference, bytes], dict[Reference, bytes]]:
    """What the references of commands meant before, and of those that wait for their order what they mean."""
    decided, parked = dict[Reference, bytes](), dict[Reference, bytes]()
    keys = sorted(references_of(commands))
    if keys:
        for row in await connection.fetch(SQL["references"], *map(list, zip(*keys, strict=True))):
            known = parked if row["is_parked"] else decided
            known[Reference(str(row["site_id"]), row["type"], row["id"])] = row["fingerprint"]
    return decided, parked
