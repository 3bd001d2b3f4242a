"""Items that need somebody. Law: an alert is an item's level as it shows, with the threshold that makes it.

Untracked and archived items are at no level (rule 10), and so are not here. Source: contract rule 10 and section 7
(`…/alerts`).
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from stock_worker.core.alerts import BUILT_IN, SALES_WINDOW, days_until_stockout
from stock_worker.core.model import Level
from stock_worker.store.sql import statements

if TYPE_CHECKING:
    from asyncpg import Connection
    from asyncpg import Record as Row

SQL: Final = statements("alerts")
BATCH: Final = statements("batch")
_BUILT_IN: Final = {Level.LOW: BUILT_IN.low, Level.CRITICAL: BUILT_IN.critical, Level.OUT: BUILT_IN.out}


class Filters(NamedTuple):
    """Which alerts; None takes all. `search` is plain text, found anywhere in name or sku."""

    level: str | None
    dismissed: bool | None
    search: str | None = None
    category_id: str | None = None


async def tell_alerts(connection: "Connection", site_id: str, item_ids: Sequence[int]) -> list[Mapping[str, Any]]:
    """Tell of the alerts that these items are at, in this order."""
    rows = await connection.fetch(SQL["told"], site_id, item_ids)
    sold = await _sold_lately(connection, rows)
    return [_told(row, sold[row["item_id"]]) for row in rows]


async def _sold_lately(connection: "Connection", rows: Sequence["Row"]) -> dict[int, int]:
    """What each item sold within the window: what it ever sold, less what it had sold when the window began."""
    sold = {row["item_id"]: row["net_sold"] for row in rows}
    begins = {row["at"] - SALES_WINDOW for row in rows}
    for begin in begins:  # one: all rows are of one snapshot
        older = [row["item_id"] for row in rows if row["first_movement_at"] <= begin]
        for row in await connection.fetch(BATCH["sold_before"], older, begin) if older else ():
            sold[row["item_id"]] -= row["net_sold"]
    return sold


def _told(row: "Row", sold: int) -> Mapping[str, Any]:
    threshold = row["threshold"]
    return {
        "alert_id": row["alert_id"],
        "product_id": row["product_id"],
        "variant_id": row["variant_id"],
        "product_name": row["name"],
        "variant_name": row["variant_name"],
        "sku": row["sku"],
        "category_id": row["category_id"],
        "category_name": row["category_name"],
        "current_stock": row["available"],
        "alert_level": row["level"],
        "threshold": _BUILT_IN[Level(row["level"])] if threshold is None else threshold,
        "threshold_source": row["threshold_source"],
        "reorder_quantity": row["reorder_quantity"],
        "image_url": row["image_url"],
        "last_movement_at": row["last_movement_at"],
        "last_alerted_at": row["last_alerted_at"],
        "dismissed_at": row["dismissed_at"],
        "dismissed_by": row["dismissed_by"],
        "days_until_stockout": days_until_stockout(row["available"], sold, row["first_movement_at"], row["at"]),
    }
