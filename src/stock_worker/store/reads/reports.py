"""What a site's stock comes to. Law: tracked items only; value is at cost, and what is of unknown cost is said apart.

Days are the site's, in its time zone of now; what moved on them is added up in projection/flows.py. Source: contract
section 7 (reports), rule 12.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from stock_worker.core.policy import zone_of
from stock_worker.store.sql import statements
from stock_worker.store.steering import settings

if TYPE_CHECKING:
    from asyncpg import Connection
    from asyncpg import Record as Row

SQL: Final = statements("reports")

NO_CATEGORY: Final = "Uncategorized"

_PART: Final = 500
"""Items that are valued at once at an earlier moment: some 10 ms of one core."""
_REST_IN_PARTS: Final = 2
_AT_MOST_S: Final = 7.0
"""Of the ten seconds that are promised."""

_SUMS: Final = (
    "quantity",
    "value",
    "price_value",
    "uncosted_units",
    "catalog_costed_units",
    "unpriced_units",
    "negative_units",
)


class Period(NamedTuple):
    """A half-open span of a site's time; `days`, where it is whole ones: the first, and the one after the last."""

    start: datetime
    end: datetime
    timezone: str
    days: tuple[date, date] | None


class Due(NamedTuple):
    """Stock that is at or below its reorder point: an item's as a whole, or at a location."""

    item_id: int
    location_id: str | None
    reorder_point: int


async def value_at(
    connection: "Connection", site_id: str, moment: datetime, *, part: int = _PART, at_most_s: float = _AT_MOST_S
) -> dict[str, Any]:
    """Value the stock of a site as the ledger had its quantity and cost at a moment, at today's prices.

    Some `part` items are valued at once, and the database's core is left to others in between, as long as the whole is
    done in `at_most_s`. The connection has one snapshot for all of them.
    """
    began = monotonic()
    parts = await _parts(connection, site_id, part)
    found = dict[tuple[str | None, str | None], dict[str, Any]]()
    for number, (first, last) in enumerate(parts, 1):
        at = monotonic()
        for row in await connection.fetch(SQL["valuation_at"], site_id, moment, first, last):
            _merge(found, row)
        took_s, still = monotonic() - at, len(parts) - number
        if still:
            spare_s = at_most_s - (monotonic() - began) - still * took_s
            await asyncio.sleep(min(_REST_IN_PARTS * took_s, max(0.0, spare_s / still)))
    return await valued(connection, site_id, found.values())


async def _parts(connection: "Connection", site_id: str, part: int) -> list[tuple[object, object]]:
    """Give the first and the last product of each part of a site: some `part` items, and all of a product."""
    parts = list[tuple[object, object]]()
    first: object = UUID(int=0)
    while first is not None and (ends := await connection.fetchrow(SQL["valuation_part"], site_id, first, part)):
        parts.append((first, ends["last"]))
        first = ends["next"]
    return parts


def by_value(categories: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Sort categories: the most valuable first, and among equals those without an id last."""
    return sorted(categories, key=lambda row: (-row["value"], row["category_id"] is None, row["category_id"] or ""))


def _merge(found: dict[tuple[str | None, str | None], dict[str, Any]], row: "Row") -> None:
    """Add a category of one part to what is found of it; where it has no id, its name tells which it is."""
    key = row["category_id"], None if row["category_id"] is not None else row["category_name"]
    if key not in found:
        found[key] = dict(row)
        return
    of = found[key]
    of.update({name: of[name] + row[name] for name in _SUMS})
    names = [name for name in (of["category_name"], row["category_name"]) if name is not None]
    of["category_name"] = min(names, default=None)


async def valued(connection: "Connection", site_id: str, rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Tell of a site's stock by category; rows have the columns of the statement `valuation_at`."""
    categories = by_value(rows)
    sums: dict[str, Any] = {name: sum(row[name] for row in categories) for name in _SUMS}
    return {
        "total_value": sums["price_value"],
        "total_cost": sums["value"],
        "potential_profit": sums["price_value"] - sums["value"],
        "total_units": sums["quantity"],
        **{name: sums[name] for name in _SUMS[3:]},
        "by_category": [
            {
                "category_id": row["category_id"],
                "category_name": row["category_name"] or row["category_id"] or NO_CATEGORY,
                "quantity": row["quantity"],
                "value": row["value"],
            }
            for row in categories
        ],
        "currency": (await settings.read(connection, site_id)).currency,
    }


async def period_of(connection: "Connection", site_id: str, start: date | datetime, end: date | datetime) -> Period:
    """Place a period in a site's time; a day begins at its midnight, or at its first moment where that is skipped.

    Raises OverflowError where that leaves the years 1 to 9999, here or in UTC.
    """
    timezone = (await settings.read(connection, site_id)).timezone
    zone = zone_of(timezone)
    first, last = _moment(start, zone), _moment(end, zone)
    days = _day_at(first, zone), _day_at(last, zone)
    whole = None if days[0] is None or days[1] is None else (days[0], days[1])
    return Period(first, last, timezone, whole)


async def read_names(connection: "Connection", site_id: str, product_ids: Sequence[object]) -> Mapping[object, str]:
    """What the catalog calls products; those that it does not name are left out."""
    rows = await connection.fetch(SQL["product_names"], site_id, product_ids)
    return {row["product_id"]: row["name"] for row in rows if row["name"] is not None}


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The first moment of a day. Raises OverflowError where that is in no year of UTC."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _moment(value: date | datetime, zone: ZoneInfo) -> datetime:
    if isinstance(value, datetime):
        return value
    return midnight(value, zone)


def _day_at(moment: datetime, zone: ZoneInfo) -> date | None:
    """The site's day that begins at a moment, if one does."""
    day = moment.astimezone(zone).date()
    return day if midnight(day, zone) == moment else None
