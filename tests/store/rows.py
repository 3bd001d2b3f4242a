"""One row of each table that the database takes, to be bent by the tests that see it refuse."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncpg

Row = Mapping[str, Any]

SITE = "5ee00000-0000-4000-8000-000000000001"
OTHER_SITE = "5ee00000-0000-4000-8000-000000000002"
PRODUCT = "a0000000-0000-4000-8000-000000000001"
PLACE = "10c00000-0000-4000-8000-000000000001"
ID = "1d000000-0000-4000-8000-000000000001"
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)

MOVED = {
    "version": 1,
    "first_movement_at": NOON,
    "last_movement_at": NOON,
    "last_movement_type": "restock",
}

ROWS: Mapping[str, Row] = {
    "locations": {
        "site_id": SITE,
        "location_id": PLACE,
        "code": "DEFAULT",
        "name": "Default",
        "fulfillment_priority": 0,
        "is_default": True,
        "is_active": True,
        "created_at": NOON,
        "updated_at": NOON,
    },
    "items": {
        "site_id": SITE,
        "product_id": PRODUCT,
        "on_hand": 5,
        "reserved": 2,
        "costed_quantity": 4,
        "average_cost": Decimal("1.25"),
        **MOVED,
    },
    "location_stock": {"item_id": 1, "location_id": PLACE, "site_id": SITE, "on_hand": 5, "reserved": 2, "held": 1},
    "movements": {
        "item_id": 1,
        "version": 1,
        "type": "restock",
        "quantity": 3,
        "previous_stock": 0,
        "new_stock": 3,
        "on_hand": 5,
        "reserved": 2,
        "location_on_hand": 5,
        "location_reserved": 2,
        "costed_quantity": 4,
        "net_sold": 0,
        "recorded_at": NOON,
        "occurred_at": NOON,
        "last_of_command": True,
        "movement_id": ID,
        "site_id": SITE,
        "location_id": PLACE,
        "reference_type": "restock",
        "reference_id": "R-1",
        "source": "restock",
        "source_partition": 0,
        "source_offset": 7,
    },
    "references": {
        "site_id": SITE,
        "type": "restock",
        "id": "R-1",
        "decided_at": NOON,
        "source": "restock",
        "source_partition": 0,
        "source_offset": 7,
        "fingerprint": bytes(16),
        "fingerprint_version": 1,
        "outcome": "applied",
        "movements": [1, 1],
    },
    "orders": {"site_id": SITE, "order_id": "O-1", "mode": "reserve", "expires_at": NOON, "due_at": NOON},
    "order_lines": {
        "order_pk": 1,
        "line_id": "1",
        "item_id": 1,
        "site_id": SITE,
        "position": 1,
        "mode": "reserve",
        "expired": True,
        "tracked": True,
        "placed": 3,
        "cancelled": 1,
        "fulfilled": 2,
        "returned": 2,
        "allocations": "[]",
        "versions": [1],
    },
    "parked_commands": {
        "site_id": SITE,
        "reference_type": "return",
        "reference_id": "RT-1",
        "order_pk": 1,
        "order_id": "O-1",
        "parked_at": NOON,
        "topic": "return-received",
        "partition": 0,
        "offset": 7,
        "timestamp_ms": 1,
        "key": None,
        "value": b"{}",
        "header_names": ["traceparent"],
        "header_values": [b"00"],
        "fingerprint": bytes(16),
        "fingerprint_version": 1,
    },
    "products": {
        "item_id": 1,
        "site_id": SITE,
        "product_id": PRODUCT,
        "revision": 1,
        "updated_at": NOON,
        "track_inventory": True,
        "archived": False,
        "name": "Mug",
        "unit_price": Decimal("9.50"),
        "cost_price": Decimal("1.25"),
    },
    "alert_rules": {
        "site_id": SITE,
        "product_id": PRODUCT,
        "updated_at": NOON,
        "low_stock_threshold": 5,
        "backorder_limit": -2,
        "reorder_point": 8,
        "reorder_quantity": 20,
    },
    "site_settings": {"site_id": SITE, "stamp": 1, "updated_at": NOON, "currency": "EUR", "reservation_ttl": 900},
    "reevaluations": {
        "site_id": SITE,
        "product_id": PRODUCT,
        "created_at": NOON,
        "limit_changed": True,
        "after_product_id": PRODUCT,
    },
    "dismissals": {
        "alert_id": ID,
        "item_id": 1,
        "site_id": SITE,
        "dismissed_at": NOON,
        "dismissed_by": "Ada",
    },
    "daily_totals": {
        "item_id": 1,
        "site_id": SITE,
        "day": NOON.date(),
        "location_id": PLACE,
        "type": "restock",
        "movements": 1,
        "units_in": 3,
        "units_out": 0,
    },
    "watermarks": {"topic": "restock", "partition": 0, "applied_to": NOON, "reported_at": NOON},
    "dead_letters": {
        "topic": "restock",
        "partition": 0,
        "offset": 7,
        "timestamp_ms": 1,
        "recorded_at": NOON,
        "site_id": SITE,
        "reason": "malformed",
        "detail": "not JSON",
        "key": None,
        "value": b"{",
        "header_names": [],
        "header_values": [],
        "settled_at": NOON,
        "settled_by": "Ada",
        "settlement": "a test of the sender's",
    },
    "relay_shards": {"shard": 3, "slot": 0},
    "outbox": {
        "created_at": NOON,
        "id": ID,
        "shard": 3,
        "aggregatetype": "item",
        "aggregateid": "x",
        "type": "stock-worker.stock-level.v1",
        "topic": "stock-level",
        "key": b"x",
        "payload": b"{}",
    },
}

OTHERS: Mapping[str, Row] = {
    "locations": {"site_id": OTHER_SITE},
    "items": {"site_id": OTHER_SITE},
    "location_stock": {"site_id": OTHER_SITE},
    "movements": {"site_id": OTHER_SITE},
    "references": {"site_id": OTHER_SITE},
    "orders": {"site_id": OTHER_SITE},
    "order_lines": {"site_id": OTHER_SITE, "order_pk": 2},
    "parked_commands": {"site_id": OTHER_SITE, "order_pk": 2},
    "products": {"site_id": OTHER_SITE},
    "alert_rules": {"site_id": OTHER_SITE},
    "site_settings": {"site_id": OTHER_SITE},
    "reevaluations": {"site_id": OTHER_SITE},
    "dismissals": {"site_id": OTHER_SITE, "alert_id": PLACE},
    "daily_totals": {"site_id": OTHER_SITE},
    "watermarks": {"partition": 1},
    "dead_letters": {"site_id": OTHER_SITE, "offset": 8},
    "relay_shards": {"shard": 5},
}
"""What is different in the same rows of another site."""

SITED = tuple(table for table, row in ROWS.items() if "site_id" in row)


async def insert(connection: "asyncpg.Connection", table: str, row: Row) -> None:
    """Insert one row."""
    columns = ", ".join(f'"{name}"' for name in row)
    places = ", ".join(f"${number}" for number in range(1, len(row) + 1))
    await connection.execute(f'INSERT INTO stock."{table}" ({columns}) VALUES ({places})', *row.values())


async def insert_all(connection: "asyncpg.Connection", changes: Mapping[str, Row]) -> None:
    """Insert the row of every table, bent by the table's changes; the rows that are of an item are of the one made."""
    for table, row in ROWS.items():
        bent = {**row, **changes.get(table, {})}
        if "item_id" in row:
            bent["item_id"] = await connection.fetchval("SELECT max(item_id) FROM stock.items")
        await insert(connection, table, bent)
