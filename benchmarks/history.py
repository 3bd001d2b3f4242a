"""Five million rows of history, laid by COPY. Law: chains, sums, orders and references agree; `verify` finds no drift.

Two-line orders over the stocked zipf items, in the past, each with its reference, its order and its lines. The ledger
goes over one connection and the rest over another, since each keeps one core busy.
"""

import asyncio
import random
from array import array
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import datetime, timedelta
from itertools import islice
from typing import Final
from zoneinfo import ZoneInfo

import asyncpg

from benchmarks.stocked import TIMEZONE, copy, cost_of, places_of, settle
from benchmarks.workload import LINES, SITE, ZIPF, is_scarce
from stock_worker.store import tables

_CHUNK: Final = 5_000
"""Orders that become one piece of COPY's text."""
_A_SECOND: Final = 100
"""Orders of one second of the past."""


async def lay_history(database_url: str, rows: int, say: Callable[[str], None]) -> None:
    """Lay `rows` movements, rounded to whole orders, over a database that is stocked for zipf."""
    orders = rows // LINES
    wanted = _wanted(orders)
    versions, sold, newest = array("q"), array("q", [0]) * ZIPF.items, array("q", [0]) * ZIPF.items
    for at, number in enumerate(wanted):
        sold[number] += 1
        newest[number] = at // LINES
        versions.append(sold[number] + len(places_of(number)))  # the first ones are the restock's
    first, second = await asyncpg.connect(database_url), await asyncpg.connect(database_url)
    try:
        began = (await first.fetchval("SELECT now()")) - timedelta(days=60)

        def times(order: int) -> str:
            return _time(began, order).isoformat()

        async with asyncio.TaskGroup() as both:
            both.create_task(_copy(first, "movements", _MOVEMENT, _movements(orders, wanted, versions, times)))
            both.create_task(_copy_the_rest(second, orders, wanted, versions, times))
        numbers = [number for number in range(ZIPF.items) if sold[number]]
        columns = ([n + 1 for n in numbers], [sold[n] for n in numbers], [times(newest[n]) for n in numbers])
        await first.execute(_ITEMS, *columns, [_seller(n) for n in numbers])
        await copy(first, "daily_totals", _DAY, _days(began, wanted))
        await settle(first)
    finally:
        await first.close()
        await second.close()
    say(f"laid {orders * LINES:,} movements of {orders:,} orders")


Times = Callable[[int], str]


def _time(began: datetime, order: int) -> datetime:
    return began + timedelta(seconds=order // _A_SECOND)


def _seller(number: int) -> str:
    """Where the item's orders are routed: its first place has plenty."""
    return places_of(number)[0][0]


def _days(began: datetime, wanted: "array[int]") -> Iterable[tuple[object, ...]]:
    """Fold the rows by item and day, as the site's clock has it."""
    zone, totals = ZoneInfo(TIMEZONE), dict[tuple[int, int], int]()
    for at, number in enumerate(wanted):
        key = (at // (LINES * _A_SECOND), number)
        totals[key] = totals.get(key, 0) + 1
    days = dict[tuple[int, datetime], int]()
    for (second, number), many in totals.items():
        local = (began + timedelta(seconds=second)).astimezone(zone)
        key_of_day = (number, local.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None))
        days[key_of_day] = days.get(key_of_day, 0) + many
    for (number, day), many in days.items():
        yield (number + 1, many, 0, many, day.date(), SITE, _seller(number), "sale")


def _wanted(orders: int) -> "array[int]":
    """Draw the items of all lines; a scarce item would run out, so a neighbour stands in for it."""
    source, wanted = random.Random(3), array("q")
    for _ in range(0, orders, _CHUNK):
        wanted.extend(number + is_scarce(number) for number in ZIPF.draw(source, LINES * _CHUNK))
    return wanted[: orders * LINES]


async def _copy_the_rest(
    connection: asyncpg.Connection, orders: int, wanted: "array[int]", versions: "array[int]", times: Times
) -> None:
    await _copy(connection, "orders", _ORDER, (f"{o + 1}\t{SITE}\t{_order_id(o)}\n" for o in range(orders)))
    await _copy(connection, "order_lines", _LINE, _lines(orders, wanted, versions))
    await _copy(connection, "references", _REFERENCE, _references(orders, wanted, versions, times))


async def _copy(connection: asyncpg.Connection, table: str, columns: str, lines: Iterable[str]) -> None:
    await connection.copy_to_table(
        table, schema_name=tables.SCHEMA, columns=columns.split(), source=_pieces(iter(lines)), format="text"
    )


async def _pieces(lines: Iterable[str]) -> AsyncIterator[bytes]:
    source = iter(lines)
    while piece := "".join(islice(source, _CHUNK)):
        yield piece.encode()


def _order_id(order: int) -> str:
    return f"h-{order:09d}"


def _movements(orders: int, wanted: "array[int]", versions: "array[int]", times: Times) -> Iterable[str]:
    at = 0
    for order in range(orders):
        moment, order_id = times(order), _order_id(order)
        for line in range(1, LINES + 1):
            number, version = wanted[at], versions[at]
            at += 1
            places = places_of(number)
            sold = version - len(places)
            after, there = sum(units for _, units in places) - sold, places[0][1] - sold
            name = f"00000000-0000-8{number >> 12:03x}-8{number & 4095:03x}-{version:012x}"
            last = line == LINES or number != wanted[at]
            yield (
                f"{number + 1}\t{version}\t-1\t{after + 1}\t{after}\t{after}\t0\t{there}\t0\t{after}\t{sold}"
                f"\t{order}\t{moment}\t{moment}\t0\t{'t' if last else 'f'}\t{name}\t{SITE}\t{places[0][0]}"
                f"\tsale\torder\t{order_id}\torder-placed\t{order_id}\t{line}\t{cost_of(number)}\t{cost_of(number)}"
                "\tcheckout\n"
            )


def _lines(orders: int, wanted: "array[int]", versions: "array[int]") -> Iterable[str]:
    for at in range(orders * LINES):
        order, position = divmod(at, LINES)
        yield (
            f"{order + 1}\t{wanted[at] + 1}\t1\t0\t0\t0\t{position + 1}\tf\tt\t{SITE}\t{position + 1}\tsale"
            f'\t[["{_seller(wanted[at])}",1,0]]\t{{{versions[at]}}}\n'
        )


def _references(orders: int, wanted: "array[int]", versions: "array[int]", times: Times) -> Iterable[str]:
    for order in range(orders):
        lines = range(order * LINES, order * LINES + LINES)
        pairs = ",".join(f"{wanted[at] + 1},{versions[at]}" for at in lines)
        order_id = _order_id(order)
        yield (
            f"{SITE}\t{times(order)}\t{order}\t0\t1\torder\t{order_id}\torder-placed\t{order_id}\tapplied"
            f"\t\\\\x{order:032x}\t{{{pairs}}}\n"
        )


_MOVEMENT: Final = (
    "item_id version quantity previous_stock new_stock on_hand reserved location_on_hand location_reserved "
    "costed_quantity net_sold source_offset recorded_at occurred_at source_partition last_of_command movement_id "
    "site_id location_id type reference_type reference_id source order_id line_id unit_cost average_cost actor"
)
_ORDER: Final = "order_pk site_id order_id"
_LINE: Final = (
    "order_pk item_id placed cancelled fulfilled returned position expired tracked site_id line_id mode allocations "
    "versions"
)
_DAY: Final = ("item_id", "movements", "units_in", "units_out", "day", "site_id", "location_id", "type")
_REFERENCE: Final = (
    "site_id decided_at source_offset source_partition fingerprint_version type id source order_id outcome "
    "fingerprint movements"
)
_ITEMS: Final = """
WITH n AS (
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::uuid[]) AS n(item_id, sold, newest, location_id)
), place AS (
    UPDATE stock.location_stock s SET on_hand = s.on_hand - n.sold
    FROM n WHERE s.item_id = n.item_id AND s.location_id = n.location_id
)
UPDATE stock.items i SET on_hand = i.on_hand - n.sold, costed_quantity = i.costed_quantity - n.sold,
    net_sold = n.sold, version = i.version + n.sold, revision = i.revision + n.sold,
    last_movement_at = n.newest::timestamptz, last_movement_type = 'sale'
FROM n WHERE i.item_id = n.item_id
"""
