"""Orders, what they hold, and what waits for them. Law: a line is told by rule 5, from its totals and nothing else.

Where its units are is what its allocations say, summed by place, and those add up to the same. Source: contract
rules 5, 6 and 8, section 7 (`…/orders`, `…/reservations`, `…/parked`).
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from stock_worker.core.model import Mode, Reference
from stock_worker.core.orders import Totals, held, units_cancelled, units_left
from stock_worker.core.state import Allocation
from stock_worker.store.reads.movements import TOTAL_MAX
from stock_worker.store.sql import statements

if TYPE_CHECKING:
    from asyncpg import Connection
    from asyncpg import Record as Row

SQL: Final = statements("orders_read")

PARKED_MAX: Final = 200
"""Commands told with the order that they wait for; `…/parked` tells all."""

Told = Mapping[str, Any]
_ITEM: Final = ("product_id", "variant_id", "name", "variant_name", "sku", "image_url")
_PARKED: Final = ("reference_type", "reference_id", "order_id", "topic", "partition", "offset", "parked_at")


@dataclass(frozen=True, slots=True)
class Order:
    """An order by its lines; one without lines was named, cancelled or refused, and not placed (yet)."""

    order_id: str
    mode: str | None
    cancelled_whole: bool
    expires_at: datetime | None
    lines: list[Told]
    parked: list[Told]


class Waiting(NamedTuple):
    """Where a parked command stands in the order of time."""

    parked_at: datetime
    seq: int


@dataclass(frozen=True, slots=True)
class Parked:
    """Parked commands, the longest first; `after` is the last one's place where more follow."""

    rows: list[Told]
    after: Waiting | None
    total: int
    total_is_exact: bool


@dataclass(frozen=True, slots=True)
class Reservations:
    """What holds an item: a page of order lines out of `total`, and by place what people hold. Units throughout."""

    item: Told
    by_orders: int
    by_hand: int
    lines: list[Told]
    holds: list[Told]
    total: int


async def read_order(connection: "Connection", site_id: str, order_id: str) -> Order | None:
    """Give an order; None where nobody ever named it."""
    order = await connection.fetchrow(SQL["order"], site_id, order_id)
    if order is None:
        return None
    lines = await connection.fetch(SQL["lines"], order["order_pk"], site_id)
    waiting = await connection.fetch(SQL["parked_of_order"], order["order_pk"], site_id, PARKED_MAX)
    places = [_places(row) for row in lines]
    names = await _names(connection, site_id, (part.location_id for parts in places for part in parts))
    return Order(
        order["order_id"],
        order["mode"] if lines else None,
        order["cancelled_whole"],
        order["expires_at"],
        [_line(row, parts, names, whole=order["cancelled_whole"]) for row, parts in zip(lines, places, strict=True)],
        [_parked(row) for row in waiting],
    )


async def read_parked(connection: "Connection", reference: Reference) -> Told | None:
    """Give a command that waits for its order."""
    row = await connection.fetchrow(SQL["parked_reference"], *reference)
    return None if row is None else _parked(row)


async def list_parked(connection: "Connection", site_id: str, after: Waiting, limit: int) -> Parked:
    """Give up to `limit` of a site's parked commands that come after a place."""
    found = await connection.fetch(SQL["parked_of_site"], site_id, *after, limit + 1)
    count = await connection.fetchval(SQL["count_parked"], site_id, TOTAL_MAX + 1)
    last = found[limit - 1] if len(found) > limit else None
    return Parked(
        [_parked(row) for row in found[:limit]],
        None if last is None else Waiting(last["parked_at"], last["seq"]),
        min(count, TOTAL_MAX),
        count <= TOTAL_MAX,
    )


async def read_reservations(
    connection: "Connection", site_id: str, product_id: str, variant_id: str | None, *, limit: int, skip: int
) -> Reservations | None:
    """Give what holds an item, `limit` of the order lines after the first `skip`; None where there is no such item."""
    item = await connection.fetchrow(SQL["item"], site_id, product_id, variant_id)
    if item is None:
        return None
    places = await connection.fetch(SQL["reserved_places"], item["item_id"], site_id)
    by_hand = sum(place["held"] for place in places)
    lines: list[Told] = []
    total = 0
    if item["reserved"] > by_hand:  # else no order holds any, and the ledger is not asked
        rows = await connection.fetch(SQL["reserving_lines"], item["item_id"], site_id, limit, skip)
        total = rows[0]["total"]
        codes = {str(place["location_id"]): place["code"] for place in places}
        lines = [_reserving(row, codes) for row in rows if row["order_id"] is not None]
    return Reservations(
        {name: item[name] for name in _ITEM},
        item["reserved"] - by_hand,
        by_hand,
        lines,
        [
            {"location_id": row["location_id"], "code": row["code"], "units": row["held"]}
            for row in places
            if row["held"]
        ],
        total,
    )


def _line(row: "Row", parts: list[Allocation], names: Mapping[str, Told], *, whole: bool) -> Told:
    """Tell a line: placed is the sum of reserved, sold, cancelled and expired."""
    totals = Totals(row["placed"], row["cancelled"], row["fulfilled"], row["returned"])
    has = held(totals, Mode(row["mode"]), whole=whole, expired=row["expired"])
    told = {name: row[name] for name in (*_ITEM, "line_id", "mode", "tracked", "location_id")}
    return told | {
        "placed": totals.placed,
        "cancelled": units_cancelled(totals, whole=whole),
        "fulfilled": totals.fulfilled,
        "returned": totals.returned,
        "reserved": has.reserved,
        "sold": has.sold,
        "expired": units_left(totals, whole=whole) if row["expired"] else 0,
        "allocations": [
            {
                **names[part.location_id],
                "sold": part.sold,
                "reserved": part.reserved,
                "given_back": part.given_back,
                "returned": part.returned,
            }
            for part in parts
        ],
    }


def _reserving(row: "Row", codes: Mapping[str, str]) -> Told:
    places = [part for part in _places(row) if part.reserved]
    return {
        "order_id": row["order_id"],
        "line_id": row["line_id"],
        "expires_at": row["expires_at"],
        "units": sum(part.reserved for part in places),
        "locations": [
            {"location_id": part.location_id, "code": codes[part.location_id], "units": part.reserved}
            for part in places
        ],
    }


def _parked(row: "Row") -> Told:
    return {name: row[name] for name in _PARKED}


def _places(row: "Row") -> list[Allocation]:
    """Sum a line's allocations by place: units that came there in several steps stand in several of them."""
    found: dict[str, Allocation] = {}
    for location_id, *units in json.loads(row["allocations"]):
        part, more = found.setdefault(location_id, Allocation(location_id)), Allocation(location_id, *units)
        part.sold += more.sold
        part.reserved += more.reserved
        part.given_back += more.given_back
        part.returned += more.returned
    return list(found.values())


async def _names(connection: "Connection", site_id: str, location_ids: Iterable[str]) -> dict[str, Told]:
    """Give id, code and name of places by their id."""
    wanted = sorted(set(location_ids))
    rows = await connection.fetch(SQL["location_names"], site_id, wanted) if wanted else []
    return {str(row["location_id"]): dict(row) for row in rows}
