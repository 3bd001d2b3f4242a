"""Why this number, and why this level. Law: every figure is told with the rows that made it, down to the message.

Reads only: the item, its places, its newest movements with their references and positions in Kafka, what holds it, and
which rule, of which scope, makes its level. Source: contract sections 2 and 7, rule 10.
"""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from stock_worker.store.sql import statements
from stock_worker.store.steering import rules
from stock_worker.store.steering.rules import Effective, Scope

if TYPE_CHECKING:
    import asyncpg

SQL = statements("explain")

_LEVELS: Final = {"out": "out_of_stock_threshold", "critical": "critical_stock_threshold", "low": "low_stock_threshold"}
_ORDERS_MAX: Final = 50


@dataclass(frozen=True, slots=True)
class Explained:
    """What there is to say of one item; all as plain values, ready for JSON."""

    item: dict[str, Any]
    places: list[dict[str, Any]]
    level: dict[str, Any]
    movements: list[dict[str, Any]]
    held_by: list[dict[str, Any]]


async def explain(
    connection: "asyncpg.Connection",
    site_id: str,
    product_id: str,
    variant_id: str | None,
    *,
    version: int | None = None,
    limit: int = 20,
) -> Explained | None:
    """Explain an item, its movements up to `version` (the newest by default), at most `limit` of them.

    None where the item never moved and is in no catalog. Who asks is in a REPEATABLE READ transaction: what is
    told is of one snapshot.
    """
    item = await connection.fetchrow(SQL["item"], site_id, product_id, variant_id)
    if item is None or (item["version"] == 0 and item["catalog_revision"] is None):
        return None
    item_id = item["item_id"]
    last = item["version"] if version is None else min(version, item["version"])
    rows = await connection.fetch(SQL["movements"], item_id, last, limit)
    held_by = await connection.fetch(SQL["holding_orders"], item_id, _ORDERS_MAX)
    return Explained(
        item=_item(item),
        places=[dict(row) for row in await connection.fetch(SQL["places"], item_id)],
        level=await _level(connection, item),
        movements=[_movement(row) for row in rows],
        held_by=[_held(row) for row in held_by],
    )


def _item(row: "asyncpg.Record") -> dict[str, Any]:
    names = (
        *("site_id", "product_id", "variant_id", "name", "variant_name", "sku", "track_inventory", "archived"),
        *("on_hand", "reserved", "version", "revision", "average_cost", "costed_quantity", "last_movement_at"),
    )
    told = {name: row[name] for name in names}
    return told | {"available": row["on_hand"] - row["reserved"]}


def _movement(row: "asyncpg.Record") -> dict[str, Any]:
    told = dict(row)
    partition, offset = told.pop("source_partition"), told.pop("source_offset")
    if partition is not None:
        told["source"] = {"topic": told["source"], "partition": partition, "offset": offset}
    return told


def _held(row: "asyncpg.Record") -> dict[str, Any]:
    told = dict(row)
    parts = json.loads(told.pop("allocations"))
    return told | {"reserved": [{"location_id": part[0], "units": part[2]} for part in parts if part[2]]}


async def _level(connection: "asyncpg.Connection", item: "asyncpg.Record") -> dict[str, Any]:
    """The level with the threshold that made it and where that came from, and what is not crossed yet."""
    site_id, product_id, variant_id = item["site_id"], item["product_id"], item["variant_id"]
    scope = Scope(str(site_id), str(product_id), None if variant_id is None else str(variant_id))
    holds = (await rules.read(connection, scope)).effective
    thresholds = {level: _told(holds[field]) for level, field in _LEVELS.items()}
    available = item["on_hand"] - item["reserved"]
    crossed = next((level for level, found in thresholds.items() if available <= found["value"]), "ok")
    if not item["track_inventory"] or item["archived"]:
        why = "untracked and archived items are ok"
    elif item["version"] == 0:
        why = "it never moved: it has no level"
    elif crossed == "ok":
        why = f"{available} available is above the low threshold of {thresholds['low']['value']}"
    else:
        why = f"{available} available is at most the {crossed} threshold of {thresholds[crossed]['value']}"
    return {
        "level": item["level"],
        "emitted": item["emitted_level"],
        "alert_id": item["alert_id"],
        "since": item["level_since"],
        "last_alerted_at": item["last_alerted_at"],
        "why": why,
        "thresholds": thresholds,
        "backorder_limit": _told(holds["backorder_limit"]),
    }


def _told(holds: Effective) -> dict[str, Any]:
    return {"value": holds.value, "from": holds.source}
