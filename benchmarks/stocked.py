"""Items with their first stock, laid by COPY. Law: the rows are as the engine would have left them; `verify` is clean.

One restock of a thousand lines after the other, all of one moment in the past, version 1 of each item.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import asyncpg

from benchmarks.workload import SITE, Distribution, item_ids, stock_of
from stock_worker.core.ids import default_location_id
from stock_worker.store import tables
from stock_worker.store.tables import ledger

LOCATION: Final = default_location_id(SITE)
_LINES_OF_A_RESTOCK: Final = 1_000


async def lay_stock(connection: asyncpg.Connection, distribution: Distribution) -> None:
    """Stock every item of a distribution in a migrated, empty database; `connection` is the owner's."""
    moment: datetime = await connection.fetchval("SELECT now() - interval '90 days'")
    numbers = range(distribution.items)
    await copy(
        connection, "locations", _LOCATION, [(SITE, LOCATION, "DEFAULT", "Default", 0, True, True, moment, moment)]
    )
    await copy(connection, "items", _ITEM, (_item(number, moment) for number in numbers))
    await copy(connection, "location_stock", _PLACE, ((n + 1, stock_of(n), 0, SITE, LOCATION) for n in numbers))
    await copy(connection, "movements", _MOVEMENT, (_movement(number, moment) for number in numbers))
    await copy(connection, "references", _REFERENCE, _references(numbers, moment))
    await settle(connection)


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
_ITEM: Final = (
    "item_id",
    "on_hand",
    "version",
    "revision",
    "site_id",
    "product_id",
    "variant_id",
    "first_movement_at",
    "last_movement_at",
    "last_movement_type",
)
_PLACE: Final = ("item_id", "on_hand", "reserved", "site_id", "location_id")
_MOVEMENT: Final = tuple(column.name for column in ledger.movements.columns)
_REFERENCE: Final = (
    *("site_id", "decided_at", "fingerprint_version", "type", "id", "source", "outcome", "fingerprint", "movements"),
)


def _item(number: int, moment: datetime) -> tuple[Any, ...]:
    product_id, variant_id = item_ids(number)
    return (number + 1, stock_of(number), 1, 1, SITE, product_id, variant_id, moment, moment, "restock")


def _reference_id(number: int) -> str:
    return f"first-{number // _LINES_OF_A_RESTOCK:04d}"


def _movement(number: int, moment: datetime) -> tuple[Any, ...]:
    units = stock_of(number)
    said: dict[str, Any] = {
        "item_id": number + 1,
        "version": 1,
        "quantity": units,
        "previous_stock": 0,
        "new_stock": units,
        "on_hand": units,
        "reserved": 0,
        "location_on_hand": units,
        "location_reserved": 0,
        "costed_quantity": 0,
        "net_sold": 0,
        "recorded_at": moment,
        "occurred_at": moment - timedelta(seconds=1),
        "last_of_command": True,
        "movement_id": f"00000000-0000-8000-8000-{number:012x}",
        "site_id": SITE,
        "location_id": LOCATION,
        "type": "restock",
        "reference_type": "restock",
        "reference_id": _reference_id(number),
        "source": "cli",
    }
    return tuple(said.get(name) for name in _MOVEMENT)


def _references(numbers: range, moment: datetime) -> Iterator[tuple[Any, ...]]:
    for first in numbers[::_LINES_OF_A_RESTOCK]:
        lines = numbers[first : first + _LINES_OF_A_RESTOCK]
        pairs = [figure for number in lines for figure in (number + 1, 1)]
        yield (SITE, moment, 1, "restock", _reference_id(first), "cli", "applied", b"\0" * 16, pairs)
