"""EXPLAIN of each statement as the worker's session plans it, on a just-migrated database and on a filled one.

Both, because a session keeps the plan it made while a table was empty. What the session does is what is looked at:
connect() makes plans independent of the values, so there are none here (NULL for each parameter).
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from stock_worker.store.engine import Plans, Role, connect
from stock_worker.store.sql import statements
from tests.store.test_sql import NAMED

Plan = dict[str, Any]

GROWING = {
    "items",
    "location_stock",
    "locations",
    "movements",
    "references",
    "orders",
    "order_lines",
    "parked_commands",
    "products",
    "alert_rules",
    "site_settings",
    "reevaluations",
    "dismissals",
    "daily_totals",
    "dead_letters",
    "outbox",
}
KNOWN_NOT_TO_GROW = {"watermarks", "relay_shards", "alembic_version"}

MAY_SCAN = {
    "gauges.alert_items": "a gauge of all items, which bounds how often it runs by how long it took",
    "gauges.parked_commands": "a gauge of all that is parked, from an index alone",
    "locations.take_turn": "it is a lock and has no plan",
    "projection.mark": "jobs are few: one a change of a rule or setting, and each is removed when it is done",
    "sweeper.fence_jobs": "jobs are few: one a change of a rule or setting, and each is removed when it is done",
    "imports.skus": "an import looks up every sku of one site, once, by a person",
    "verify": "an audit reads everything, or one slice of it",
}
"""Statements, or whole files, that are not on the hot path, and why they may read a table from end to end."""

SETTINGS = {"gauges": "SET constraint_exclusion = on; SET plan_cache_mode = force_generic_plan"}
"""Files whose connection leaves the planner free, and what it sets (the second only so that values do not matter)."""

HOT = [(file, name) for file, name in NAMED if not MAY_SCAN.keys() & {file, f"{file}.{name}"}]

FILL = """
    INSERT INTO stock.items (site_id, product_id, on_hand, version, first_movement_at, last_movement_at,
                             last_movement_type)
    SELECT sites.id, gen_random_uuid(), 7, 1, now(), now(), 'restock'
    FROM (SELECT gen_random_uuid() AS id FROM generate_series(1, 20)) AS sites, generate_series(1, 500);

    INSERT INTO stock.locations (site_id, location_id, code, name, fulfillment_priority, is_default, is_active,
        created_at, updated_at)
    SELECT DISTINCT ON (site_id) site_id, gen_random_uuid(), 'DEFAULT', '', 0, true, true, now(), now()
    FROM stock.items;

    INSERT INTO stock.location_stock (item_id, on_hand, reserved, site_id, location_id)
    SELECT item_id, 7, 0, site_id, location_id FROM stock.items JOIN stock.locations USING (site_id);

    INSERT INTO stock.movements (item_id, version, quantity, previous_stock, new_stock, on_hand, reserved,
        location_on_hand, location_reserved, costed_quantity, net_sold, recorded_at, occurred_at, last_of_command,
        movement_id, site_id, location_id, type, reference_type, reference_id, source)
    SELECT item_id, v, 1, v - 1, v, v, 0, v, 0, 0, 0, now() - v * interval '1 hour', now(), true, gen_random_uuid(),
        site_id, location_id, 'restock', 'restock', item_id || '-' || v, 'restock'
    FROM stock.location_stock, generate_series(1, 10) AS v;

    INSERT INTO stock."references" (site_id, decided_at, fingerprint_version, type, id, source, outcome, fingerprint,
        movements)
    SELECT site_id, recorded_at, 1, reference_type, reference_id, source, 'applied', '', ARRAY[item_id, version]
    FROM stock.movements;

    INSERT INTO stock.orders (site_id, order_id, mode, expires_at, due_at)
    SELECT site_id, 'O-' || id, 'reserve', decided_at, CASE WHEN id LIKE '%21' THEN decided_at END
    FROM stock."references" WHERE id LIKE '%1';

    INSERT INTO stock.order_lines (order_pk, item_id, placed, cancelled, fulfilled, returned, position, expired,
        tracked, site_id, line_id, mode, allocations, versions)
    SELECT order_pk, min(item_id), 3, 0, 1, 0, line, false, true, site_id, line, 'sale', '[]', '{}'
    FROM stock.orders JOIN stock.items USING (site_id), generate_series(1, 2) AS line GROUP BY order_pk, site_id, line;

    INSERT INTO stock.parked_commands (order_pk, parked_at, timestamp_ms, "offset", partition, fingerprint_version,
        site_id, reference_type, reference_id, order_id, topic, fingerprint, value, header_names, header_values)
    SELECT order_pk, now(), 1, order_pk, 1, 1, site_id, 'fulfilment', order_id, order_id, 'order-fulfilled', '', '',
        '{}', '{}' FROM stock.orders;

    INSERT INTO stock.products (item_id, updated_at, track_inventory, archived, site_id, product_id, name)
    SELECT item_id, now(), true, false, site_id, product_id, 'Mug' FROM stock.items;

    INSERT INTO stock.alert_rules (updated_at, site_id, product_id, low_stock_threshold)
    SELECT now(), site_id, product_id, 5 FROM stock.items;

    INSERT INTO stock.site_settings (stamp, updated_at, site_id) SELECT 1, now(), site_id FROM stock.locations;

    INSERT INTO stock.reevaluations (created_at, limit_changed, site_id, product_id)
    SELECT now(), true, site_id, product_id FROM stock.items;

    INSERT INTO stock.dismissals (item_id, dismissed_at, alert_id, site_id, dismissed_by)
    SELECT item_id, now(), gen_random_uuid(), site_id, 'Ada' FROM stock.items;

    INSERT INTO stock.daily_totals (item_id, movements, units_in, units_out, day, site_id, location_id, type)
    SELECT item_id, 1, 1, 0, date '2026-01-01' + version::int, site_id, location_id, type FROM stock.movements;

    INSERT INTO stock.dead_letters ("offset", timestamp_ms, recorded_at, partition, site_id, topic, reason, detail,
        header_names, header_values)
    SELECT n, 1, now(), 1, NULL, 'restock', 'malformed', '', '{}', '{}' FROM generate_series(1, 20000) AS n;

    INSERT INTO stock.outbox (created_at, id, shard, aggregatetype, aggregateid, type, topic, key, payload)
    SELECT recorded_at, movement_id, item_id % 16, 'item', item_id, 'stock-worker.stock-changed.v1', 'stock-changed',
        ''::bytea, ''::bytea FROM stock.movements;
"""


STATES = ("just migrated", "filled")


@pytest_asyncio.fixture(scope="module")
async def seen(module_database: str) -> dict[tuple[str, str, str], Plan]:
    """The plan of each hot statement in each state of one database, by (state, file, name)."""
    plans = {}
    for state in STATES:
        if state == "filled":
            await run(module_database, "stock_worker", FILL)
            await run(module_database, None, "ANALYZE")
        for file, name in HOT:
            worker = await connect(module_database, "stock_worker", plans="free" if file in SETTINGS else None)
            await worker.execute(SETTINGS.get(file, "SELECT"))
            plans[state, file, name] = await explain(worker, statements(file)[name])
            await worker.close()
    return plans


@pytest.mark.parametrize(("file", "name"), HOT)
@pytest.mark.parametrize("state", STATES)
def test_no_hot_statement_scans_a_growing_table(
    seen: Mapping[tuple[str, str, str], Plan], state: str, file: str, name: str
) -> None:
    assert list(scans(seen[state, file, name])) == []


@pytest.mark.usefixtures("seen")
@pytest.mark.parametrize("name", ["lines", "references"])
async def test_an_audit_looks_each_row_of_the_ledger_up_by_its_whole_key(module_database: str, name: str) -> None:
    """By the item alone, each line of a popular item would read the item's whole ledger."""
    auditor = await connect(module_database, "stock_worker", plans="free")
    plan = await explain(auditor, statements("verify")[name])
    await auditor.close()
    lookups = [node["Index Cond"] for node in nodes(plan) if node.get("Relation Name") == "movements"]
    assert lookups
    assert all("item_id" in lookup and "version" in lookup for lookup in lookups)


@pytest.mark.parametrize("plans", ["keyed", "free"])
async def test_it_is_the_session_that_keeps_plans_from_scanning(database: str, plans: Plans) -> None:
    """A planted fault: left to itself, the planner scans what is still small."""
    connection = await connect(database, "stock_worker", plans=plans)
    await connection.execute("SET plan_cache_mode = force_generic_plan")
    found = list(scans(await explain(connection, statements("batch")["references"])))
    await connection.close()
    assert found == {"keyed": [], "free": ["Seq Scan on references", "Seq Scan on parked_commands"]}[plans]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("SELECT FROM stock.items", True),
        ("SELECT note FROM stock.movements", True),
        ("SELECT FROM stock.items WHERE on_hand > 5", True),
        ("SELECT FROM stock.items WHERE item_id = 5", False),
        ("SELECT note FROM stock.movements ORDER BY item_id, version", True),
        ("SELECT FROM stock.items ORDER BY item_id LIMIT 5", False),
        ("SELECT FROM stock.items ORDER BY on_hand LIMIT 5", True),
        ("SELECT FROM stock.items ORDER BY item_id, (SELECT count(*) FROM stock.orders) LIMIT 5", True),
        ("SELECT FROM stock.items WHERE item_id = 5 AND EXISTS (SELECT FROM stock.outbox WHERE shard = 5)", True),
        ("SELECT FROM stock.relay_shards", False),
    ],
)
@pytest.mark.usefixtures("seen")
@pytest.mark.parametrize("plans", ["keyed", "free"])
async def test_a_scan_is_found_wherever_it_hides(
    module_database: str, plans: Plans, query: str, *, found: bool
) -> None:
    connection = await connect(module_database, "stock_worker", plans=plans)
    plan = await explain(connection, query)
    await connection.close()
    assert bool(list(scans(plan))) == found, plan


async def test_every_table_grows_or_is_known_not_to(module_database: str) -> None:
    connection = await connect(module_database, "stock_worker")
    tables = await connection.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'stock'::regnamespace AND relkind = 'r'"
    )
    await connection.close()
    assert {row["relname"] for row in tables} == GROWING | KNOWN_NOT_TO_GROW


async def run(database_url: str, role: Role | None, script: str) -> None:
    connection = await connect(database_url, role, plans="free")
    await connection.execute(script)
    await connection.close()


async def explain(connection: asyncpg.Connection, query: str) -> Plan:
    """Return the plan that the session makes for a statement, whatever its parameters."""
    parameters = (await connection.prepare(query)).get_parameters()
    types = f"({', '.join(kind.name for kind in parameters)})" if parameters else ""
    nulls = f"({', '.join(['NULL'] * len(parameters))})" if parameters else ""
    await connection.execute(f"PREPARE looked_at {types} AS {query}")
    try:
        plan = json.loads(await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE looked_at {nulls}"))
    finally:
        await connection.execute("DEALLOCATE looked_at")
    found: Plan = plan[0]["Plan"]
    return found


def nodes(plan: Plan) -> Iterator[Plan]:
    """All nodes of a plan."""
    yield plan
    for part in plan.get("Plans", []):
        yield from nodes(part)


def scans(node: Plan, *, bounded: bool = False) -> Iterator[str]:
    """Name each place of a plan that reads a growing table from end to end.

    An index that is read without a condition is such a place too, but for a LIMIT that stops it (no sort between).
    """
    kind = node["Node Type"]
    keyed = "Index Cond" in node or "Recheck Cond" in node
    if node.get("Relation Name") in GROWING and kind.endswith("Scan") and not keyed and not bounded:
        yield f"{kind} on {node['Relation Name']}"
    passes = kind == "Limit" or (bounded and kind in {"LockRows", "Subquery Scan", "Result"})
    for part in node.get("Plans", []):
        yield from scans(part, bounded=passes and part["Parent Relationship"] in {"Outer", "Subquery"})
