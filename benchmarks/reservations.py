"""Reservations of the past, laid by COPY. Law: the rows are as the engine would have left them; `verify` is clean.

Two-line orders in mode reserve over a database that is stocked for zipf, each held where the routing leads. They are
due in a month; `make_due` gives some another time, as amendments would.
"""

import random
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any, Final, NamedTuple

import asyncpg

from benchmarks.stocked import TIMEZONE, copy, cost_of, places_of, settle
from benchmarks.workload import LINES, SITE, ZIPF, is_scarce

TAG: Final = "x-"
"""What the ids of these orders begin with."""


class _Row(NamedTuple):
    """A line that holds units, with the item's numbers after it."""

    order: int
    position: int
    number: int
    units: int
    version: int
    reserved: int


async def lay_reservations(database_url: str, orders: int) -> None:
    """Lay so many reserving orders."""
    connection = await asyncpg.connect(database_url)
    try:
        moment: datetime = await connection.fetchval("SELECT now() - interval '1 hour'")
        day: date = await connection.fetchval("SELECT ($1::timestamptz AT TIME ZONE $2)::date", moment, TIMEZONE)
        rows = list(_rows(orders))
        due = moment + timedelta(days=30)
        await copy(connection, "movements", _MOVEMENT, (_movement(rows, at, moment) for at in range(len(rows))))
        await copy(
            connection, "orders", _ORDER, ((n + 1, SITE, _order_id(n), "reserve", due, due) for n in range(orders))
        )
        await copy(connection, "order_lines", _LINE, map(_line, rows))
        await copy(connection, "references", _REFERENCE, _references(rows, moment))
        totals: dict[int, list[int]] = {}
        for row in rows:
            total = totals.setdefault(row.number, [0, 0])
            total[0] += 1
            total[1] += row.units
        days = ((n + 1, many, 0, units, day, SITE, _place(n), "reserved") for n, (many, units) in totals.items())
        await copy(connection, "daily_totals", _DAY, days)
        columns = zip(*((n + 1, _place(n), many, units) for n, (many, units) in totals.items()), strict=True)
        await connection.execute(_ITEMS, *map(list, columns), moment)
        await settle(connection)
    finally:
        await connection.close()


async def make_due(connection: asyncpg.Connection, first: int, last: int, at: datetime) -> None:
    """Let the orders from `first` up to before `last` expire at a moment that is still to come."""
    await connection.execute(_DUE, first + 1, last, at)


def _rows(orders: int) -> Iterator[_Row]:
    source = random.Random(5)
    held: dict[int, tuple[int, int]] = {}
    for order in range(orders):
        for position, drawn in enumerate(ZIPF.draw(source, LINES), 1):
            number = drawn + is_scarce(drawn)  # a scarce item would run out
            version, reserved = held.get(number, (len(places_of(number)), 0))
            units = source.choice((1, 1, 2, 3))
            held[number] = (version + 1, reserved + units)
            yield _Row(order, position, number, units, *held[number])


def _place(number: int) -> str:
    return places_of(number)[0][0]


def _order_id(order: int) -> str:
    return f"{TAG}{order:09d}"


def _movement(rows: list[_Row], at: int, moment: datetime) -> tuple[Any, ...]:
    row = rows[at]
    places = places_of(row.number)
    on_hand = sum(units for _, units in places)
    last = row.position == LINES or rows[at + 1].number != row.number
    counters = (row.number + 1, row.version, -row.units, on_hand - row.reserved + row.units, on_hand - row.reserved)
    there = (on_hand, row.reserved, places[0][1], row.reserved, on_hand, 0)
    movement_id = f"00000000-0000-8{row.number >> 12:03x}-8{row.number & 4095:03x}-{row.version:012x}"
    told = (row.order, moment, moment, 0, last, movement_id, SITE, places[0][0], "reserved", "order")
    order_id = _order_id(row.order)
    return (*counters, *there, *told, order_id, "order-placed", order_id, str(row.position), cost_of(row.number))


def _line(row: _Row) -> tuple[Any, ...]:
    totals = (row.order + 1, row.number + 1, row.units, 0, 0, 0, row.position, False, True)
    allocations = f'[["{_place(row.number)}",0,{row.units}]]'
    return (*totals, SITE, str(row.position), "reserve", allocations, [row.version])


def _references(rows: list[_Row], moment: datetime) -> Iterator[tuple[Any, ...]]:
    for at in range(0, len(rows), LINES):
        lines, order_id = rows[at : at + LINES], _order_id(rows[at].order)
        pairs = [number for row in lines for number in (row.number + 1, row.version)]
        position = (SITE, moment, rows[at].order, 0, 1)
        yield (*position, "order", order_id, "order-placed", order_id, "applied", at.to_bytes(16, "big"), pairs)


_MOVEMENT: Final = (
    *("item_id", "version", "quantity", "previous_stock", "new_stock", "on_hand", "reserved", "location_on_hand"),
    *("location_reserved", "costed_quantity", "net_sold", "source_offset", "recorded_at", "occurred_at"),
    *("source_partition", "last_of_command", "movement_id", "site_id", "location_id", "type", "reference_type"),
    *("reference_id", "source", "order_id", "line_id", "average_cost"),
)
_ORDER: Final = ("order_pk", "site_id", "order_id", "mode", "expires_at", "due_at")
_LINE: Final = (
    *("order_pk", "item_id", "placed", "cancelled", "fulfilled", "returned", "position", "expired", "tracked"),
    *("site_id", "line_id", "mode", "allocations", "versions"),
)
_REFERENCE: Final = (
    *("site_id", "decided_at", "source_offset", "source_partition", "fingerprint_version", "type", "id", "source"),
    *("order_id", "outcome", "fingerprint", "movements"),
)
_DAY: Final = ("item_id", "movements", "units_in", "units_out", "day", "site_id", "location_id", "type")
_ITEMS: Final = """
WITH n AS (
    SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::bigint[]) AS n(item_id, location_id, many, units)
), place AS (
    UPDATE stock.location_stock s SET reserved = s.reserved + n.units
    FROM n WHERE s.item_id = n.item_id AND s.location_id = n.location_id
)
UPDATE stock.items i SET reserved = i.reserved + n.units, version = i.version + n.many, revision = i.revision + n.many,
    last_movement_at = $5, last_movement_type = 'reserved'
FROM n WHERE i.item_id = n.item_id
"""
_DUE: Final = "UPDATE stock.orders SET expires_at = $3, due_at = $3 WHERE order_pk BETWEEN $1 AND $2"
