"""A site with everything on, laid by COPY. Law: the rows are as the engine would have left them; `verify` is clean.

Two locations, a cost for every unit, settings, an alert rule of the site and a hundred of products and variants. One
restock of a thousand items after the other, all of one moment in the past. A quarter of the items lie at the second
location alone, so that orders of them are routed past the first; a quarter lie at both.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import asyncpg

from benchmarks.workload import SITE, Distribution, is_scarce, item_ids, stock_of
from stock_worker.core.ids import default_location_id
from stock_worker.store import tables
from stock_worker.store.tables import ledger

LOCATION: Final = default_location_id(SITE)
SECOND_LOCATION: Final = "5ec0d000-0000-4000-8000-00000000be4c"
TIMEZONE: Final = "Europe/Berlin"
_RESERVE: Final = 1_000
"""Units at the second location of an item that lies at both; no line is routed there while the first has plenty."""
_ITEMS_OF_A_RESTOCK: Final = 1_000
_RULES: Final = 100
_RULE_EVERY: Final = 97
"""Prime, so that rules meet products, variants and scarce items alike."""


async def lay_stock(connection: asyncpg.Connection, distribution: Distribution) -> None:
    """Stock every item of a distribution in a migrated, empty database; `connection` is the owner's."""
    moment: datetime = await connection.fetchval("SELECT now() - interval '90 days'")
    day: date = await connection.fetchval("SELECT ($1::timestamptz AT TIME ZONE $2)::date", moment, TIMEZONE)
    numbers = range(distribution.items)
    await copy(connection, "locations", _LOCATION, _locations(moment))
    await copy(connection, "site_settings", _SETTINGS, [_settings(moment)])
    await copy(connection, "alert_rules", _RULE, _rules(moment))
    await copy(connection, "items", _ITEM, (_item(number, moment) for number in numbers))
    await copy(connection, "location_stock", _PLACE, _places(numbers))
    await copy(connection, "movements", _MOVEMENT, _movements(numbers, moment))
    await copy(connection, "daily_totals", _DAY, _days(numbers, day))
    await copy(connection, "references", _REFERENCE, _references(numbers, moment))
    await settle(connection)


def places_of(number: int) -> tuple[tuple[str, int], ...]:
    """Give where an item lies at first, as (location_id, units); its first movements are in this order."""
    units = stock_of(number)
    if number % 4 == 3:
        return ((SECOND_LOCATION, units),)
    if number % 4 == 1 and not is_scarce(number):
        return ((LOCATION, units), (SECOND_LOCATION, _RESERVE))
    return ((LOCATION, units),)


def cost_of(number: int) -> Decimal:
    """Give what a unit of an item cost."""
    return Decimal(100 + number % 900).scaleb(-2)


async def copy(connection: asyncpg.Connection, table: str, columns: Sequence[str], rows: Any) -> None:  # noqa: ANN401
    """COPY rows into a table of the schema."""
    await connection.copy_records_to_table(table, schema_name=tables.SCHEMA, columns=list(columns), records=rows)


async def settle(connection: asyncpg.Connection) -> None:
    """Do at once what would else happen in the middle of a round: numbering, statistics, freezing."""
    for table, column in (("items", "item_id"), ("orders", "order_pk")):
        name = f"{tables.SCHEMA}.{table}"
        await connection.execute(
            f"SELECT setval(pg_get_serial_sequence('{name}', '{column}'), coalesce(max({column}), 0) + 1, false) "
            f"FROM {name}"
        )
    await connection.execute("VACUUM (FREEZE, ANALYZE)")


_LOCATION: Final = (
    *("site_id", "location_id", "code", "name", "fulfillment_priority", "is_default", "is_active"),
    *("created_at", "updated_at"),
)
_SETTINGS: Final = ("site_id", "stamp", "email_recipients", "timezone", "currency", "updated_at")
_RULE: Final = (
    *("site_id", "product_id", "variant_id", "low_stock_threshold", "critical_stock_threshold"),
    *("backorder_limit", "reorder_point", "reorder_quantity", "notify_webhook", "updated_at"),
)
_ITEM: Final = (
    *("item_id", "on_hand", "version", "revision", "costed_quantity", "average_cost", "site_id", "product_id"),
    *("variant_id", "first_movement_at", "last_movement_at", "last_movement_type"),
)
_PLACE: Final = ("item_id", "on_hand", "reserved", "site_id", "location_id")
_MOVEMENT: Final = tuple(column.name for column in ledger.movements.columns)
_DAY: Final = ("item_id", "movements", "units_in", "units_out", "day", "site_id", "location_id", "type")
_REFERENCE: Final = (
    *("site_id", "decided_at", "fingerprint_version", "type", "id", "source", "outcome", "fingerprint", "movements"),
)


def _locations(moment: datetime) -> list[tuple[Any, ...]]:
    return [
        (SITE, LOCATION, "DEFAULT", "Default", 0, True, True, moment, moment),
        (SITE, SECOND_LOCATION, "SECOND", "Second", 1, False, True, moment, moment),
    ]


def _settings(moment: datetime) -> tuple[Any, ...]:
    return (SITE, 2 + _RULES, ["stock@shop.example"], TIMEZONE, "EUR", moment)


def _rules(moment: datetime) -> Iterator[tuple[Any, ...]]:
    """Lay the site's rule, which says a threshold too, and those nearer; no item is below its own at first."""
    yield (SITE, None, None, 11, None, None, 20, 100, None, moment)
    for number in range(0, _RULES * _RULE_EVERY, _RULE_EVERY):
        said = (9, 2, 0, 15, 50, None) if is_scarce(number) else (500, 100, 50, 1_000, 5_000, True)
        yield (SITE, *item_ids(number), *said, moment)


def _item(number: int, moment: datetime) -> tuple[Any, ...]:
    places = places_of(number)
    units = sum(many for _, many in places)
    counters = (number + 1, units, len(places), 1, units, cost_of(number))
    return (*counters, SITE, *item_ids(number), moment, moment, "restock")


def _places(numbers: range) -> Iterator[tuple[Any, ...]]:
    return ((n + 1, units, 0, SITE, location_id) for n in numbers for location_id, units in places_of(n))


def _days(numbers: range, day: date) -> Iterator[tuple[Any, ...]]:
    for number in numbers:
        for location_id, units in places_of(number):
            yield (number + 1, 1, units, 0, day, SITE, location_id, "restock")


def _reference_id(number: int) -> str:
    return f"first-{number // _ITEMS_OF_A_RESTOCK:04d}"


def _movements(numbers: range, moment: datetime) -> Iterator[tuple[Any, ...]]:
    for number in numbers:
        places, before = places_of(number), 0
        for version, (location_id, units) in enumerate(places, 1):
            after = before + units
            said: dict[str, Any] = {
                "item_id": number + 1,
                "version": version,
                "quantity": units,
                "previous_stock": before,
                "new_stock": after,
                "on_hand": after,
                "reserved": 0,
                "location_on_hand": units,
                "location_reserved": 0,
                "costed_quantity": after,
                "net_sold": 0,
                "recorded_at": moment,
                "occurred_at": moment - timedelta(seconds=1),
                "last_of_command": version == len(places),
                "movement_id": f"00000000-0000-8000-8{version:03x}-{number:012x}",
                "site_id": SITE,
                "location_id": location_id,
                "type": "restock",
                "reference_type": "restock",
                "reference_id": _reference_id(number),
                "source": "cli",
                "unit_cost": cost_of(number),
                "average_cost": cost_of(number),
            }
            yield tuple(said.get(name) for name in _MOVEMENT)
            before = after


def _references(numbers: range, moment: datetime) -> Iterator[tuple[Any, ...]]:
    for first in numbers[::_ITEMS_OF_A_RESTOCK]:
        restocked = numbers[first : first + _ITEMS_OF_A_RESTOCK]
        rows = [(number + 1, version) for number in restocked for version in range(1, len(places_of(number)) + 1)]
        pairs = [figure for row in rows for figure in row]
        yield (SITE, moment, 1, "restock", _reference_id(first), "cli", "applied", b"\0" * 16, pairs)
