"""Alert rules as a list. Law: what a rule leaves to others is null here; what holds in the end is asked scope by scope.

Source: contract section 7 (`…/alert-rules`).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from stock_worker.core.policy import Rule
from stock_worker.store.sql import statements

if TYPE_CHECKING:
    from asyncpg import Connection

SQL: Final = statements("rule_pages")


async def read_rules(
    connection: "Connection", site_id: str, product_id: str | None, *, limit: int, offset: int
) -> tuple[list[Mapping[str, Any]], int]:
    """Give a page of a site's rules (or of a product's), by product and variant, and how many there are."""
    rows = await connection.fetch(SQL["page"], site_id, product_id, limit, offset)
    total: int = await connection.fetchval(SQL["total"], site_id, product_id)
    return [
        {
            "product_id": row["product_id"],
            "variant_id": row["variant_id"],
            "rule": {name: row[name] for name in Rule._fields},
            "updated_at": row["updated_at"],
        }
        for row in rows
    ], total
