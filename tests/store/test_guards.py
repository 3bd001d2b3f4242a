import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
import pytest_asyncio

from stock_worker.store.engine import Role, connect, open_pool
from stock_worker.store.roles import RolesNeeded, ensure_roles
from tests.store.rows import ID, MOVED, NOON, OTHER_SITE, OTHERS, PLACE, PRODUCT, ROWS, SITE, SITED, insert, insert_all

OWNER = None  # the login that migrated
LIMIT = 10**15
LATER = NOON + timedelta(hours=1)
ARCHIVED = {"archived_at": NOON}
NUMBERS = (
    "low_stock_threshold",
    "critical_stock_threshold",
    "out_of_stock_threshold",
    "backorder_limit",
    "reorder_point",
    "reorder_quantity",
)


@asynccontextmanager
async def acting(database_url: str, role: Role | None) -> AsyncIterator[asyncpg.Connection]:
    """A connection as a role."""
    connection = await connect(database_url, role)
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def rollback(database_url: str, role: Role | None) -> AsyncIterator[asyncpg.Connection]:
    """A connection as a role, in a transaction that is rolled back at the end."""
    async with acting(database_url, role) as connection:
        transaction = connection.transaction()
        await transaction.start()
        try:
            yield connection
        finally:
            await transaction.rollback()


async def tell(database_url: str, script: str) -> None:
    """Run a script as the owner."""
    async with acting(database_url, OWNER) as owner:
        await owner.execute(script)


@pytest_asyncio.fixture(scope="module")
async def filled(module_database: str) -> str:
    """The URL of a database with one row of SITE in every table, and one of OTHER_SITE in every table with sites."""
    async with acting(module_database, "stock_worker") as worker:
        await insert_all(worker, {})
        await insert_all(worker, OTHERS)
        await insert(worker, "dead_letters", {**ROWS["dead_letters"], "offset": 9, "site_id": None})
    return module_database


# ---------------------------------------------------------------- contract 2: the rows testify

BROKEN: list[tuple[str, str, dict[str, Any]]] = [
    ("locations_pkey", "locations", {"code": "OTHER", "is_default": False}),
    ("locations_code_is_unique_in_the_site", "locations", {"location_id": PRODUCT, "is_default": False}),
    ("locations_default_is_active", "locations", {"is_active": False}),
    ("locations_one_default_per_site", "locations", {"location_id": PRODUCT, "code": "OTHER"}),
    (
        "locations_active_is_not_archived",
        "locations",
        {"location_id": ID, "code": "N", "is_default": False, **ARCHIVED},
    ),
    ("locations_type_is_known", "locations", {"location_id": ID, "code": "N", "is_default": False, "type": "van"}),
    ("items_key_is_unique_null_equals_null", "items", {}),
    ("items_key_is_unique_null_equals_null", "items", {"variant_id": None}),
    ("items_counters_are_bounded", "items", {"product_id": PLACE, "on_hand": LIMIT + 1}),
    ("items_counters_are_bounded", "items", {"product_id": PLACE, "on_hand": -LIMIT - 1, "costed_quantity": 0}),
    ("items_counters_are_bounded", "items", {"product_id": PLACE, "reserved": LIMIT + 1}),
    ("items_reserved_is_a_count", "items", {"product_id": PLACE, "reserved": -1}),
    ("items_level_is_known", "items", {"product_id": PLACE, "level": "empty"}),
    ("items_level_is_known", "items", {"product_id": PLACE, "emitted_level": "empty"}),
    ("items_costed_lie_there", "items", {"product_id": PLACE, "costed_quantity": 6}),
    ("items_costed_lie_there", "items", {"product_id": PLACE, "costed_quantity": -1}),
    ("items_costed_lie_there", "items", {"product_id": PLACE, "on_hand": -5, "costed_quantity": 1}),
    ("items_costed_have_an_average", "items", {"product_id": PLACE, "average_cost": None}),
    ("items_average_is_not_negative", "items", {"product_id": PLACE, "average_cost": -1}),
    ("items_moved_if_and_only_if_versioned", "items", {"product_id": PLACE, "first_movement_at": None}),
    ("items_moved_if_and_only_if_versioned", "items", {"product_id": PLACE, "last_movement_at": None}),
    ("items_moved_if_and_only_if_versioned", "items", {"product_id": PLACE, "last_movement_type": None}),
    (
        "items_moved_if_and_only_if_versioned",
        "items",
        {"product_id": PLACE, "version": 0, "on_hand": 0, "reserved": 0, "costed_quantity": 0},
    ),
    (
        "items_never_moved_hold_nothing",
        "items",
        {"product_id": PLACE, "reserved": 0, **dict.fromkeys(MOVED), "version": 0},
    ),
    ("location_stock_pkey", "location_stock", {}),
    ("location_stock_is_of_an_item", "location_stock", {"item_id": 99}),
    ("location_stock_counters_are_bounded", "location_stock", {"location_id": SITE, "on_hand": -LIMIT - 1}),
    ("location_stock_counters_are_bounded", "location_stock", {"location_id": SITE, "reserved": LIMIT + 1}),
    ("location_stock_held_is_a_part_of_reserved", "location_stock", {"location_id": SITE, "held": 3}),
    ("location_stock_held_is_a_part_of_reserved", "location_stock", {"location_id": SITE, "held": -1}),
    ("location_stock_held_is_a_part_of_reserved", "location_stock", {"location_id": SITE, "reserved": -1, "held": 0}),
    ("location_stock_reorder_point_is_a_count", "location_stock", {"location_id": SITE, "reorder_point": -1}),
    ("movements_pkey", "movements", {}),
    ("movements_previous_plus_quantity_is_new", "movements", {"version": 3, "quantity": 4}),
    ("movements_new_is_on_hand_less_reserved", "movements", {"version": 3, "reserved": 3}),
    ("movements_version_starts_at_one", "movements", {"version": 0}),
    ("movements_type_is_one_of_nine", "movements", {"version": 3, "type": "sold"}),
    ("movements_sign_agrees_with_type", "movements", {"version": 3, "quantity": 0, "previous_stock": 3}),
    ("movements_sign_agrees_with_type", "movements", {"version": 3, "type": "reserved"}),
    (
        "movements_sign_agrees_with_type",
        "movements",
        {"version": 3, "type": "unreserved", "quantity": -3, "previous_stock": 6},
    ),
    ("movements_position_is_whole_or_absent", "movements", {"version": 3, "source_offset": None}),
    ("movements_position_is_whole_or_absent", "movements", {"version": 3, "source_partition": None}),
    ("references_pkey", "references", {}),
    ("references_outcome_is_final", "references", {"id": "R-3", "outcome": "parked", "movements": []}),
    ("references_refused_if_and_only_if_coded", "references", {"id": "R-3", "outcome": "partly_applied"}),
    ("references_refused_if_and_only_if_coded", "references", {"id": "R-3", "code": "unknown_line", "rejected": "[]"}),
    ("references_refused_if_and_only_if_coded", "references", {"id": "R-3", "rejected": "[]"}),
    ("references_only_what_was_applied_moved", "references", {"id": "R-3", "outcome": "no_effect"}),
    ("references_movements_are_item_and_version_pairs", "references", {"id": "R-3", "movements": [1]}),
    ("orders_pkey", "orders", {}),
    ("orders_mode_is_known", "orders", {"order_id": "O-3", "mode": "gift"}),
    ("orders_due_when_they_expire", "orders", {"order_id": "O-3", "due_at": LATER}),
    ("order_lines_pkey", "order_lines", {}),
    (
        "order_lines_placed_is_a_count",
        "order_lines",
        {"line_id": "2", "placed": 0, "cancelled": 0, "fulfilled": 0, "returned": 0},
    ),
    ("order_lines_totals_stay_within_placed", "order_lines", {"line_id": "2", "cancelled": 4}),
    ("order_lines_totals_stay_within_placed", "order_lines", {"line_id": "2", "fulfilled": 4}),
    ("order_lines_totals_stay_within_placed", "order_lines", {"line_id": "2", "returned": -1}),
    ("order_lines_mode_is_known", "order_lines", {"line_id": "2", "mode": "gift", "expired": False}),
    ("order_lines_only_reservations_expire", "order_lines", {"line_id": "2", "mode": "sale"}),
    ("parked_commands_pkey", "parked_commands", {}),
    ("parked_commands_each_header_has_a_value", "parked_commands", {"reference_id": "RT-2", "header_names": []}),
    ("products_pkey", "products", {}),
    ("products_are_of_an_item", "products", {"item_id": 99}),
    ("products_announced_have_a_name", "products", {"item_id": 99, "name": None}),
    ("products_prices_are_not_negative", "products", {"item_id": 99, "unit_price": -1}),
    ("products_prices_are_not_negative", "products", {"item_id": 99, "cost_price": -1}),
    ("alert_rules_scope_is_unique_null_equals_null", "alert_rules", {}),
    ("alert_rules_of_a_variant_name_its_product", "alert_rules", {"product_id": None, "variant_id": ID}),
    *(("alert_rules_numbers_are_bounded", "alert_rules", {"variant_id": ID, name: LIMIT + 1}) for name in NUMBERS),
    ("alert_rules_reorders_are_counts", "alert_rules", {"variant_id": ID, "reorder_point": -1}),
    ("alert_rules_reorders_are_counts", "alert_rules", {"variant_id": ID, "reorder_quantity": 0}),
    ("site_settings_pkey", "site_settings", {}),
    *(
        ("site_settings_thresholds_are_bounded", "site_settings", {"site_id": ID, name: -LIMIT - 1})
        for name in NUMBERS
        if name.endswith("_threshold")
    ),
    ("site_settings_mode_is_known", "site_settings", {"site_id": ID, "mode": "gift"}),
    ("site_settings_frequency_is_known", "site_settings", {"site_id": ID, "email_frequency": "hourly"}),
    ("site_settings_ttl_is_a_count", "site_settings", {"site_id": ID, "reservation_ttl": 0}),
    ("site_settings_currency_is_three_letters", "site_settings", {"site_id": ID, "currency": "Euro"}),
    (
        "reevaluations_of_a_variant_name_its_product",
        "reevaluations",
        {"product_id": None, "variant_id": ID},
    ),
    (
        "reevaluations_are_done_up_to_an_item",
        "reevaluations",
        {"after_product_id": None, "after_variant_id": ID},
    ),
    ("dismissals_pkey", "dismissals", {}),
    ("dismissals_are_of_an_item", "dismissals", {"alert_id": SITE, "item_id": 99}),
    ("daily_totals_pkey", "daily_totals", {}),
    ("daily_totals_type_is_one_of_nine", "daily_totals", {"type": "sold"}),
    ("daily_totals_are_counts", "daily_totals", {"type": "sale", "movements": 0}),
    ("daily_totals_are_counts", "daily_totals", {"type": "sale", "units_in": -1}),
    ("daily_totals_are_counts", "daily_totals", {"type": "sale", "units_out": -1}),
    ("watermarks_pkey", "watermarks", {}),
    ("dead_letters_pkey", "dead_letters", {}),
    ("dead_letters_reason_is_known", "dead_letters", {"offset": 10, "reason": "ugly"}),
    ("dead_letters_each_header_has_a_value", "dead_letters", {"offset": 10, "header_values": [b"x"]}),
    *(
        ("dead_letters_are_settled_by_somebody_somehow", "dead_letters", {"offset": 10, name: None})
        for name in ("settled_at", "settled_by", "settlement")
    ),
    ("relay_shards_pkey", "relay_shards", {}),
    ("relay_shards_are_sixteen", "relay_shards", {"shard": 16}),
    ("relay_shards_slots_are_sixteen", "relay_shards", {"shard": 5, "slot": 16}),
    ("outbox_shard_is_one_of_sixteen", "outbox", {"shard": 16}),
    ("outbox_shard_is_one_of_sixteen", "outbox", {"shard": -1}),
    ("outbox_never_null_key_and_null_payload", "outbox", {"key": None, "payload": None}),
]

DRAWN_BY_THE_DATABASE = {"items_pkey", "orders_order_pk_is_unique", "outbox_pkey", "reevaluations_pkey"}
"""Keys of identity columns: nobody can give one twice."""


@pytest.mark.parametrize(("law", "table", "change"), BROKEN)
async def test_2_the_database_refuses_a_row_that_breaks(
    filled: str, law: str, table: str, change: dict[str, Any]
) -> None:
    async with rollback(filled, "stock_worker") as worker:
        with pytest.raises(asyncpg.IntegrityConstraintViolationError) as refused:
            await insert(worker, table, {**ROWS[table], **change})
        assert refused.value.constraint_name == law


async def test_2_every_law_of_a_table_has_a_row_that_breaks_it(filled: str) -> None:
    async with rollback(filled, OWNER) as owner:
        laws = await owner.fetch(
            "SELECT conname FROM pg_constraint WHERE connamespace = 'stock'::regnamespace AND contype <> 'n' "
            "UNION SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid "
            "WHERE relnamespace = 'stock'::regnamespace AND indisunique"
        )
    named = {law["conname"] for law in laws} - DRAWN_BY_THE_DATABASE - {"alembic_version_pkc"}
    assert named == {law for law, _, _ in BROKEN}


@pytest.mark.parametrize("table", ROWS)
async def test_2_a_key_drawn_by_the_database_cannot_be_given(filled: str, table: str) -> None:
    async with rollback(filled, "stock_worker") as worker:
        drawn = await worker.fetchval(
            "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass($1) AND attidentity <> ''",
            f'stock."{table}"',
        )
        if drawn:
            with pytest.raises(asyncpg.GeneratedAlwaysError):
                await insert(worker, table, {**ROWS[table], drawn: 1})


# ---------------------------------------------------------------- contract 2: never updated or deleted, by nobody

CHANGES = {
    "update": 'UPDATE stock."{table}" SET site_id = site_id',
    "update of no row": 'UPDATE stock."{table}" SET site_id = site_id WHERE false',
    "delete": 'DELETE FROM stock."{table}"',
    "delete of no row": 'DELETE FROM stock."{table}" WHERE false',
    "truncate": 'TRUNCATE stock."{table}"',
    "upsert": (
        'INSERT INTO stock."{table}" SELECT * FROM stock."{table}" '
        "ON CONFLICT ON CONSTRAINT {table}_pkey DO UPDATE SET site_id = excluded.site_id"
    ),
    "merge": 'MERGE INTO stock."{table}" t USING (SELECT 1) s ON true WHEN MATCHED THEN DELETE',
    "cascade": 'TRUNCATE stock.items, stock."{table}" CASCADE',
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("table", ["movements", "references"])
@pytest.mark.parametrize("role", [OWNER, "stock_worker", "stock_api"])
async def test_2_the_ledger_and_the_references_are_never_changed(
    filled: str, role: Role | None, table: str, change: str
) -> None:
    words = "its rows are never changed or removed" if role is OWNER else "permission denied for table"
    async with rollback(filled, role) as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match=words):
            await connection.execute(CHANGES[change].format(table=table))
    async with rollback(filled, "stock_worker") as worker:
        assert await worker.fetchval(f'SELECT count(*) FROM stock."{table}"') == 2


@pytest.mark.parametrize("table", ["movements", "references"])
async def test_2_a_replica_is_held_to_it_too(filled: str, table: str) -> None:
    async with rollback(filled, OWNER) as owner:
        fires = await owner.fetchval(
            "SELECT tgenabled FROM pg_trigger WHERE tgrelid = to_regclass($1) AND NOT tgisinternal", f'stock."{table}"'
        )
        assert fires == b"A"  # always, session_replication_role or not


# ---------------------------------------------------------------- who may do what

WORKER_MAY = {
    "locations": "SELECT INSERT UPDATE",
    "items": "SELECT INSERT UPDATE",
    "location_stock": "SELECT INSERT UPDATE",
    "movements": "SELECT INSERT",
    "references": "SELECT INSERT",
    "orders": "SELECT INSERT UPDATE",
    "order_lines": "SELECT INSERT UPDATE",
    "parked_commands": "SELECT INSERT DELETE",
    "products": "SELECT INSERT UPDATE",
    "alert_rules": "SELECT INSERT UPDATE DELETE",
    "site_settings": "SELECT INSERT UPDATE",
    "reevaluations": "SELECT INSERT UPDATE DELETE",
    "dismissals": "SELECT INSERT",
    "daily_totals": "SELECT INSERT UPDATE DELETE",
    "watermarks": "SELECT INSERT UPDATE",
    "dead_letters": "SELECT INSERT",
    "relay_shards": "SELECT INSERT UPDATE",
    "outbox": "SELECT INSERT DELETE",
    "alembic_version": "SELECT",
}
API_MAY = dict.fromkeys(WORKER_MAY, "SELECT") | {"outbox": "", "relay_shards": "", "watermarks": ""}
RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN")


@pytest.mark.parametrize(("role", "may"), [("stock_worker", WORKER_MAY), ("stock_api", API_MAY), ("public", {})])
async def test_8_a_role_may_do_what_it_needs_and_no_more(filled: str, role: str, may: dict[str, str]) -> None:
    async with rollback(filled, OWNER) as owner:
        found = await owner.fetch(
            "SELECT relname, string_agg(right_, ' ') AS rights FROM pg_class, unnest($2::text[]) AS right_ "
            "WHERE relnamespace = 'stock'::regnamespace AND relkind <> 'i' AND has_table_privilege($1, oid, right_) "
            "GROUP BY relname",
            role,
            [right for right in RIGHTS if right != "MAINTAIN" or owner.get_server_version().major > 16],
        )
        assert {row["relname"]: set(row["rights"].split()) for row in found} == {
            table: set(rights.split()) for table, rights in may.items() if rights
        }
        schema = [
            right
            for right in ("USAGE", "CREATE")
            if await owner.fetchval("SELECT has_schema_privilege($1, 'stock', $2)", role, right)
        ]
        assert schema == ([] if role == "public" else ["USAGE"])
        assert not await owner.fetchval("SELECT has_function_privilege($1, 'stock.refuse_change()', 'EXECUTE')", role)


async def test_8_the_roles_cannot_log_in_and_only_the_worker_passes_row_level_security(filled: str) -> None:
    async with rollback(filled, OWNER) as owner:
        roles = await owner.fetch(
            "SELECT rolname, rolcanlogin, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb FROM pg_roles "
            "WHERE rolname IN ('stock_worker', 'stock_api') ORDER BY rolname"
        )
        assert [tuple(role) for role in roles] == [
            ("stock_api", False, False, False, False, False),
            ("stock_worker", False, False, True, False, False),
        ]


async def test_8_the_worker_writes_with_copy_where_it_may_insert(filled: str) -> None:
    async with rollback(filled, "stock_worker") as worker:
        for table, row in ROWS.items():
            columns = dict(row) | {"product_id": PLACE, "location_id": ROWS["outbox"]["id"], "code": "NEW"}
            columns |= {"version": 9, "offset": 99, "id": str(uuid.uuid4()), "reference_id": "N", "order_id": "N"}
            columns |= {"line_id": "N", "is_default": False, "shard": 9, "alert_id": str(uuid.uuid4())}
            columns |= {"site_id": PLACE, "partition": 9}
            columns = {name: value for name, value in columns.items() if name in row}
            if "item_id" in columns:
                columns["item_id"] = await worker.fetchval("SELECT max(item_id) FROM stock.items")
            await worker.copy_records_to_table(
                table, schema_name="stock", columns=list(columns), records=[tuple(columns.values())]
            )


# ---------------------------------------------------------------- contract 7: row level security holds the reader

TOLD = {
    "never told": (None, set()),
    "told nothing": ("", set()),
    "one site": (SITE, {SITE}),
    "another site": (OTHER_SITE, {OTHER_SITE}),
    "both": (f"{SITE},{OTHER_SITE}", {SITE, OTHER_SITE}),
    "in capitals": (SITE.upper(), {SITE}),
    "a site that is not there": (PRODUCT, set()),
}


@pytest.mark.parametrize("told", TOLD)
@pytest.mark.parametrize("table", SITED)
async def test_7_the_reader_sees_the_rows_of_the_sites_it_was_told(filled: str, table: str, told: str) -> None:
    sites, seen = TOLD[told]
    async with rollback(filled, "stock_api") as api:
        if sites is not None:
            await api.execute("SELECT set_config('stock.sites', $1, true)", sites)
        rows = await api.fetch(f'SELECT site_id FROM stock."{table}"')
        assert sorted(str(row["site_id"]) for row in rows) == sorted(seen)


@pytest.mark.parametrize("table", SITED)
async def test_7_a_setting_that_has_ended_shows_nothing(filled: str, table: str) -> None:
    async with acting(filled, "stock_api") as api:
        async with api.transaction():
            await api.execute("SELECT set_config('stock.sites', $1, true)", SITE)
            assert await api.fetchval(f'SELECT count(*) FROM stock."{table}"') == 1
        assert await api.fetchval("SELECT current_setting('stock.sites', true)") == ""  # and no longer null
        assert await api.fetchval(f'SELECT count(*) FROM stock."{table}"') == 0


@pytest.mark.parametrize("sites", ["all", f"{SITE};{OTHER_SITE}", "%", f"{SITE},"])
async def test_7_a_setting_that_is_no_list_of_sites_is_an_error(filled: str, sites: str) -> None:
    async with rollback(filled, "stock_api") as api:
        await api.execute("SELECT set_config('stock.sites', $1, true)", sites)
        with pytest.raises(asyncpg.InvalidTextRepresentationError):
            await api.fetch("SELECT 1 FROM stock.items")


async def test_7_every_table_with_a_site_is_under_forced_row_level_security(filled: str) -> None:
    async with rollback(filled, OWNER) as owner:
        rows = await owner.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = 'stock'::regnamespace "
            "AND relrowsecurity AND relforcerowsecurity"
        )
        sited = await owner.fetch(
            "SELECT table_name FROM information_schema.columns WHERE table_schema = 'stock' AND column_name = 'site_id'"
        )
    assert {row["relname"] for row in rows} == {row["table_name"] for row in sited} == set(SITED)


async def test_7_the_worker_sees_all_sites_and_letters_without_one(filled: str) -> None:
    async with rollback(filled, "stock_worker") as worker:
        assert {await worker.fetchval(f'SELECT count(*) FROM stock."{table}"') for table in SITED} == {2, 3}
        assert await worker.fetchval("SELECT count(*) FROM stock.dead_letters WHERE site_id IS NULL") == 1


SETTLED = ("settled_at", "settled_by", "settlement")


async def test_7_the_worker_writes_beside_a_dead_letter_what_became_of_it_and_nothing_else(filled: str) -> None:
    async with rollback(filled, OWNER) as owner:
        columns = await owner.fetch(
            "SELECT relname, attname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid "
            "WHERE relnamespace = 'stock'::regnamespace AND relkind = 'r' AND attnum > 0 "
            "AND NOT has_table_privilege('stock_worker', attrelid, 'UPDATE') "
            "AND has_column_privilege('stock_worker', attrelid, attnum, 'UPDATE')"
        )
    assert {tuple(column) for column in columns} == {("dead_letters", name) for name in SETTLED}


@pytest.mark.parametrize(
    "statement", ["SELECT * FROM stock.outbox", "DELETE FROM stock.orders", "SET ROLE stock_worker"]
)
async def test_7_the_reader_can_do_nothing_else(filled: str, statement: str) -> None:
    async with rollback(filled, "stock_api") as api:
        if statement.startswith("SET"):
            # The login may act as both: what holds the reader is that SQL of its own never comes from a request.
            await api.execute(statement)
        else:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await api.execute(statement)


# ---------------------------------------------------------------- a search path cannot be used against us

EVIL = """
    CREATE SCHEMA evil;
    GRANT USAGE ON SCHEMA evil TO PUBLIC;
    CREATE FUNCTION evil.current_setting(text, boolean) RETURNS text LANGUAGE sql AS $$ SELECT '{everything}' $$;
    CREATE FUNCTION evil.string_to_array(text, text) RETURNS text[] LANGUAGE sql AS $$ SELECT ARRAY['{everything}'] $$;
    CREATE FUNCTION evil.yes(uuid, uuid) RETURNS boolean LANGUAGE sql AS $$ SELECT true $$;
    CREATE OPERATOR evil.= (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = evil.yes);
    CREATE FUNCTION evil.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
    CREATE TABLE evil.items (site_id uuid);
    SET LOCAL search_path = evil, pg_catalog;
"""


async def test_a_search_path_changes_neither_policy_nor_trigger(filled: str) -> None:
    async with rollback(filled, OWNER) as connection:
        await connection.execute(EVIL.format(everything=SITE))
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="never changed"):
            async with connection.transaction():
                await connection.execute("DELETE FROM stock.movements")
        await connection.execute("SET LOCAL ROLE stock_api")
        assert await connection.fetchval("SELECT current_setting('any', true)") == SITE  # the trap is laid
        assert [await connection.fetchval(f'SELECT count(*) FROM stock."{table}"') for table in SITED] == [0] * len(
            SITED
        )


async def test_a_connection_finds_only_what_is_named_whole(filled: str) -> None:
    async with rollback(filled, OWNER) as owner:
        await owner.execute("CREATE TABLE public.items ()")
        with pytest.raises(asyncpg.UndefinedTableError):
            await owner.execute("SELECT FROM items")


async def test_every_function_of_ours_has_its_own_search_path(filled: str) -> None:
    async with rollback(filled, OWNER) as owner:
        settings = await owner.fetch("SELECT proconfig FROM pg_proc WHERE pronamespace = 'stock'::regnamespace")
    assert [row["proconfig"] for row in settings] == [["search_path=pg_catalog, pg_temp"]]


# ---------------------------------------------------------------- connections


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("role", "stock_worker"),
        ("TimeZone", "UTC"),
        ("search_path", "pg_catalog"),
        ("jit", "off"),
        ("synchronous_commit", "on"),
        ("idle_in_transaction_session_timeout", "30s"),
        ("application_name", "stock-worker test"),
    ],
)
async def test_a_connection_means_the_same_whatever_the_database_says(database: str, setting: str, value: str) -> None:
    name = urlsplit(database).path.removeprefix("/")
    for change in ("TimeZone = 'Asia/Tokyo'", "search_path = public", "jit = on", "synchronous_commit = off"):
        await tell(database, f'ALTER DATABASE "{name}" SET {change}')
    worker = await connect(database, "stock_worker", application_name="stock-worker test")
    assert await worker.fetchval("SELECT current_setting($1)", setting) == value
    await worker.close()


async def test_no_statement_of_a_pool_takes_more_than_one_core(database: str) -> None:
    name = urlsplit(database).path.removeprefix("/")
    await tell(database, f'ALTER DATABASE "{name}" SET max_parallel_workers_per_gather = 8')
    async with open_pool(database, "stock_api", most=1, timeout_s=15.0, name="tests") as pool:
        assert await pool.fetchval("SHOW max_parallel_workers_per_gather") == "0"


async def test_a_login_that_was_not_granted_the_role_cannot_connect_as_it(filled: str) -> None:
    async with login(filled) as (url, name), acting(filled, OWNER) as owner:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match='permission denied to set role "stock_worker"'):
            await connect(url, "stock_worker")
        async with asyncio.timeout(10):  # nothing is left open
            while await owner.fetchval("SELECT count(*) FROM pg_stat_activity WHERE usename = $1", name):  # noqa: ASYNC110 - the server tells by being asked
                await asyncio.sleep(0.02)


# ---------------------------------------------------------------- the roles of a cluster


@asynccontextmanager
async def login(database_url: str, attributes: str = "") -> AsyncIterator[tuple[str, str]]:
    """An ordinary login of its own, which may do nothing, for as long as the block runs: its URL and its name."""
    name = f"login_{uuid.uuid4().hex[:12]}"
    await tell(database_url, f"CREATE ROLE {name} LOGIN PASSWORD 'secret' {attributes}")
    parts = urlsplit(database_url)
    try:
        yield parts._replace(netloc=f"{name}:secret@{parts.netloc.rpartition('@')[2]}").geturl(), name
    finally:
        await tell(database_url, f"DROP ROLE {name}")


@pytest_asyncio.fixture
async def names(filled: str) -> AsyncIterator[dict[str, str]]:
    """Two roles of the cluster that are not there yet, and their stand towards row level security."""
    suffix = uuid.uuid4().hex[:12]
    roles = {f"worker_{suffix}": "BYPASSRLS", f"api_{suffix}": "NOBYPASSRLS"}
    yield roles
    await tell(filled, f"DROP ROLE IF EXISTS {', '.join(roles)}")


async def stand(database_url: str, roles: dict[str, str]) -> list[tuple[bool, bool, bool, bool]]:
    """Look at each role: may it log in; does it bypass; may the owner act as it; does the owner inherit from it."""
    async with acting(database_url, OWNER) as owner:
        rows = await owner.fetch(
            "SELECT rolcanlogin, rolbypassrls, pg_has_role(oid, 'SET'), pg_has_role(oid, 'USAGE') "
            "FROM unnest($1::text[]) WITH ORDINALITY AS r (name, n) JOIN pg_roles ON rolname = name ORDER BY n",
            list(roles),
        )
    return [tuple(row) for row in rows]


AS_WANTED = [(False, True, True, False), (False, False, True, False)]


async def test_8_roles_are_made_and_granted_once_by_many_databases_at_once(
    filled: str, new_database: Callable[[], str], names: dict[str, str]
) -> None:
    async with AsyncExitStack() as leaving:
        urls = [filled, await asyncio.to_thread(new_database)] * 4
        owners = [await leaving.enter_async_context(acting(url, OWNER)) for url in urls]
        await asyncio.gather(*(ensure_roles(owner, names) for owner in owners))
    assert await stand(filled, names) == AS_WANTED


async def test_8_roles_that_stand_wrong_are_mended(filled: str, names: dict[str, str]) -> None:
    worker, api = names
    await tell(filled, f"CREATE ROLE {worker} NOLOGIN NOBYPASSRLS; CREATE ROLE {api} NOLOGIN BYPASSRLS")
    async with acting(filled, OWNER) as owner:
        await ensure_roles(owner, names)
        await ensure_roles(owner, names)
    assert await stand(filled, names) == AS_WANTED


@pytest.mark.parametrize("attributes", ["", "CREATEROLE"])
async def test_8_a_login_that_may_not_make_the_roles_gets_the_sql_for_a_dba(
    filled: str, names: dict[str, str], attributes: str
) -> None:
    worker, api = names
    async with login(filled, attributes) as (url, name), acting(url, OWNER) as connection:
        with pytest.raises(RolesNeeded, match="permission denied to create role") as needed:
            await ensure_roles(connection, names)
        assert needed.value.sql.splitlines() == [
            f"CREATE ROLE {worker} NOLOGIN BYPASSRLS;",
            f"GRANT {worker} TO {name} WITH SET TRUE, INHERIT FALSE;",
            f"CREATE ROLE {api} NOLOGIN NOBYPASSRLS;",
            f"GRANT {api} TO {name} WITH SET TRUE, INHERIT FALSE;",
        ]
        assert needed.value.sql in str(needed.value)
        await tell(filled, needed.value.sql)
        await ensure_roles(connection, names)


async def test_8_a_login_that_only_lacks_the_grant_is_told_so(filled: str) -> None:
    async with login(filled) as (url, name), acting(url, OWNER) as connection:
        with pytest.raises(RolesNeeded) as needed:
            await ensure_roles(connection)
        assert needed.value.sql.splitlines() == [
            f"GRANT stock_worker TO {name} WITH SET TRUE, INHERIT FALSE;",
            f"GRANT stock_api TO {name} WITH SET TRUE, INHERIT FALSE;",
        ]
