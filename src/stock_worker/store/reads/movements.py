"""Ledger rows as they are told. Law: a row has the contract's names of a movement, with who, what, when and why.

Source: contract sections 2 and 7.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from stock_worker.store.sql import statements

if TYPE_CHECKING:
    from asyncpg import Connection
    from asyncpg import Record as Row

SQL: Final = statements("movements")

FIELDS: Final = (
    *("movement_id", "site_id", "product_id", "variant_id", "name", "variant_name", "sku", "image_url"),
    *("location_id", "version", "type", "quantity", "previous_stock", "new_stock", "on_hand", "reserved"),
    *("location_on_hand", "location_reserved", "unit_cost", "average_cost", "costed_quantity"),
    *("reference_type", "reference_id", "order_id", "line_id", "reason", "note", "actor", "actor_id"),
    *("occurred_at", "recorded_at", "last_of_command"),
)

Told = Mapping[str, Any]
Position = tuple[int, int]
"""The key of a ledger row: item and version."""


async def at_positions(connection: "Connection", positions: Iterable[Position]) -> dict[Position, Told]:
    """Give the rows of these keys."""
    wanted = list(positions)
    if not wanted:
        return {}
    columns = [item_id for item_id, _ in wanted], [version for _, version in wanted]
    rows = await connection.fetch(SQL["movements_at"], *columns)
    return {(row["item_id"], row["version"]): told(row) for row in rows}


def told(row: "Row") -> Told:
    """Tell a row: its fields, and where its command came from."""
    return {name: row[name] for name in FIELDS} | {"source": told_source(row)}


def told_source(row: "Row") -> dict[str, Any] | str:
    """A Kafka position as an object, any other entrance as its name."""
    source: str = row["source"]
    if row["source_partition"] is None:
        return source
    return {"topic": source, "partition": row["source_partition"], "offset": row["source_offset"]}
