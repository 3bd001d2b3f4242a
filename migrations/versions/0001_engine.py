"""The engine: locations, items, ledger, references, orders, parked commands, dead letters, outbox, and their guards.

Frozen: what has been migrated is never edited, and nothing is imported from the product. A test compares the catalogs
that this makes with those of `store/tables.py` and `store/guards.sql`.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    """
    CREATE TABLE stock.locations (
        site_id uuid NOT NULL,
        location_id uuid NOT NULL,
        code text NOT NULL,
        name text NOT NULL,
        fulfillment_priority integer NOT NULL,
        is_default boolean NOT NULL,
        is_active boolean NOT NULL,
        created_at timestamptz NOT NULL,
        CONSTRAINT locations_pkey PRIMARY KEY (site_id, location_id),
        CONSTRAINT locations_code_is_unique_in_the_site UNIQUE (site_id, code),
        CONSTRAINT locations_default_is_active CHECK (NOT is_default OR is_active)
    )
    """,
    "CREATE UNIQUE INDEX locations_one_default_per_site ON stock.locations (site_id) WHERE is_default",
    """
    CREATE TABLE stock.items (
        item_id bigint GENERATED ALWAYS AS IDENTITY,
        on_hand bigint DEFAULT '0' NOT NULL,
        reserved bigint DEFAULT '0' NOT NULL,
        version bigint DEFAULT '0' NOT NULL,
        revision bigint DEFAULT '0' NOT NULL,
        site_id uuid NOT NULL,
        product_id uuid NOT NULL,
        variant_id uuid,
        alert_id uuid,
        level_since timestamptz,
        last_alerted_at timestamptz,
        first_movement_at timestamptz,
        last_movement_at timestamptz,
        level text DEFAULT 'ok' NOT NULL,
        last_movement_type text,
        CONSTRAINT items_pkey PRIMARY KEY (item_id),
        CONSTRAINT items_key_is_unique_null_equals_null UNIQUE NULLS NOT DISTINCT (site_id, product_id, variant_id),
        CONSTRAINT items_counters_are_bounded CHECK (
            on_hand BETWEEN -1000000000000000 AND 1000000000000000
            AND reserved BETWEEN -1000000000000000 AND 1000000000000000
        ),
        CONSTRAINT items_reserved_is_a_count CHECK (reserved >= 0),
        CONSTRAINT items_level_is_known CHECK (level IN ('ok','low','critical','out')),
        CONSTRAINT items_moved_if_and_only_if_versioned CHECK (
            (version = 0) = (last_movement_at IS NULL)
            AND (version = 0) = (first_movement_at IS NULL)
            AND (version = 0) = (last_movement_type IS NULL)
        ),
        CONSTRAINT items_never_moved_hold_nothing CHECK (version > 0 OR (on_hand = 0 AND reserved = 0))
    ) WITH (fillfactor = 70)
    """,
    """
    CREATE TABLE stock.location_stock (
        item_id bigint NOT NULL,
        on_hand bigint NOT NULL,
        reserved bigint NOT NULL,
        site_id uuid NOT NULL,
        location_id uuid NOT NULL,
        CONSTRAINT location_stock_pkey PRIMARY KEY (item_id, location_id),
        CONSTRAINT location_stock_is_of_an_item FOREIGN KEY(item_id) REFERENCES stock.items (item_id),
        CONSTRAINT location_stock_counters_are_bounded CHECK (
            on_hand BETWEEN -1000000000000000 AND 1000000000000000
            AND reserved BETWEEN -1000000000000000 AND 1000000000000000
        ),
        CONSTRAINT location_stock_reserved_is_a_count CHECK (reserved >= 0)
    ) WITH (fillfactor = 70)
    """,
    """
    CREATE TABLE stock.movements (
        item_id bigint NOT NULL,
        version bigint NOT NULL,
        quantity bigint NOT NULL,
        previous_stock bigint NOT NULL,
        new_stock bigint NOT NULL,
        on_hand bigint NOT NULL,
        reserved bigint NOT NULL,
        location_on_hand bigint NOT NULL,
        location_reserved bigint NOT NULL,
        costed_quantity bigint,
        source_offset bigint,
        recorded_at timestamptz NOT NULL,
        occurred_at timestamptz NOT NULL,
        source_partition integer,
        last_of_command boolean NOT NULL,
        movement_id uuid NOT NULL,
        site_id uuid NOT NULL,
        location_id uuid NOT NULL,
        actor_id uuid,
        type text NOT NULL,
        reference_type text NOT NULL,
        reference_id text NOT NULL,
        source text NOT NULL,
        order_id text,
        line_id text,
        unit_cost numeric,
        average_cost numeric(24, 6),
        actor text,
        reason text,
        note text,
        CONSTRAINT movements_pkey PRIMARY KEY (item_id, version),
        CONSTRAINT movements_previous_plus_quantity_is_new CHECK (previous_stock + quantity = new_stock),
        CONSTRAINT movements_new_is_on_hand_less_reserved CHECK (new_stock = on_hand - reserved),
        CONSTRAINT movements_version_starts_at_one CHECK (version > 0),
        CONSTRAINT movements_type_is_one_of_nine CHECK (
            type IN ('adjustment','sale','return','restock','transfer','damage','expired','reserved','unreserved')
        ),
        CONSTRAINT movements_sign_agrees_with_type CHECK (
            CASE type WHEN 'reserved' THEN quantity < 0 WHEN 'unreserved' THEN quantity > 0 ELSE quantity <> 0 END
        ),
        CONSTRAINT movements_position_is_whole_or_absent CHECK (
            (source_partition IS NULL) = (source_offset IS NULL)
        )
    )
    """,
    "CREATE INDEX movements_site_time ON stock.movements (site_id, recorded_at)",
    """
    CREATE TABLE stock."references" (
        site_id uuid NOT NULL,
        decided_at timestamptz NOT NULL,
        source_offset bigint,
        source_partition integer,
        fingerprint_version smallint NOT NULL,
        type text NOT NULL,
        id text NOT NULL,
        source text NOT NULL,
        order_id text,
        outcome text NOT NULL,
        code text,
        fingerprint bytea NOT NULL,
        movements bigint[] NOT NULL,
        rejected jsonb,
        CONSTRAINT references_pkey PRIMARY KEY (site_id, type, id),
        CONSTRAINT references_outcome_is_final CHECK (
            outcome IN ('applied','partly_applied','no_effect','superseded','expired','rejected')
        ),
        CONSTRAINT references_refused_if_and_only_if_coded CHECK (
            (outcome IN ('rejected','partly_applied')) = (code IS NOT NULL)
            AND (code IS NULL) = (rejected IS NULL)
        ),
        CONSTRAINT references_only_what_was_applied_moved CHECK (
            outcome IN ('applied','partly_applied') OR cardinality(movements) = 0
        ),
        CONSTRAINT references_movements_are_item_and_version_pairs CHECK (cardinality(movements) % 2 = 0)
    )
    """,
    """
    CREATE TABLE stock.orders (
        order_pk bigint GENERATED ALWAYS AS IDENTITY,
        site_id uuid NOT NULL,
        cancelled_whole boolean DEFAULT false NOT NULL,
        order_id text NOT NULL,
        CONSTRAINT orders_pkey PRIMARY KEY (site_id, order_id),
        CONSTRAINT orders_order_pk_is_unique UNIQUE (order_pk)
    ) WITH (fillfactor = 90)
    """,
    """
    CREATE TABLE stock.order_lines (
        order_pk bigint NOT NULL,
        item_id bigint NOT NULL,
        placed bigint NOT NULL,
        cancelled bigint NOT NULL,
        fulfilled bigint NOT NULL,
        returned bigint NOT NULL,
        position integer NOT NULL,
        site_id uuid NOT NULL,
        line_id text NOT NULL,
        mode text NOT NULL,
        allocations jsonb NOT NULL,
        versions bigint[] NOT NULL,
        CONSTRAINT order_lines_pkey PRIMARY KEY (order_pk, line_id),
        CONSTRAINT order_lines_placed_is_a_count CHECK (placed > 0),
        CONSTRAINT order_lines_totals_stay_within_placed CHECK (
            cancelled BETWEEN 0 AND placed
            AND fulfilled BETWEEN 0 AND placed
            AND returned BETWEEN 0 AND placed
        ),
        CONSTRAINT order_lines_mode_is_known CHECK (mode IN ('sale'))
    ) WITH (fillfactor = 85)
    """,
    """
    CREATE TABLE stock.parked_commands (
        seq bigint GENERATED ALWAYS AS IDENTITY,
        order_pk bigint NOT NULL,
        parked_at timestamptz NOT NULL,
        timestamp_ms bigint NOT NULL,
        "offset" bigint NOT NULL,
        partition integer NOT NULL,
        fingerprint_version smallint NOT NULL,
        site_id uuid NOT NULL,
        reference_type text NOT NULL,
        reference_id text NOT NULL,
        order_id text NOT NULL,
        topic text NOT NULL,
        fingerprint bytea NOT NULL,
        key bytea,
        value bytea NOT NULL,
        header_names text[] NOT NULL,
        header_values bytea[] NOT NULL,
        CONSTRAINT parked_commands_pkey PRIMARY KEY (site_id, reference_type, reference_id),
        CONSTRAINT parked_commands_each_header_has_a_value CHECK (
            cardinality(header_names) = cardinality(header_values)
        )
    )
    """,
    "CREATE INDEX parked_commands_by_age ON stock.parked_commands (parked_at)",
    "CREATE INDEX parked_commands_by_order ON stock.parked_commands (order_pk, seq)",
    """
    CREATE TABLE stock.dead_letters (
        "offset" bigint NOT NULL,
        timestamp_ms bigint NOT NULL,
        recorded_at timestamptz NOT NULL,
        partition integer NOT NULL,
        site_id uuid,
        topic text NOT NULL,
        reason text NOT NULL,
        detail text NOT NULL,
        key bytea,
        value bytea,
        header_names text[] NOT NULL,
        header_values bytea[] NOT NULL,
        CONSTRAINT dead_letters_pkey PRIMARY KEY (topic, partition, "offset", timestamp_ms),
        CONSTRAINT dead_letters_reason_is_known CHECK (
            reason IN ('malformed','reference_conflict','order_never_placed','internal_error')
        ),
        CONSTRAINT dead_letters_each_header_has_a_value CHECK (
            cardinality(header_names) = cardinality(header_values)
        )
    )
    """,
    """
    CREATE TABLE stock.relay_shards (
        shard smallint NOT NULL,
        slot smallint,
        CONSTRAINT relay_shards_pkey PRIMARY KEY (shard),
        CONSTRAINT relay_shards_are_sixteen CHECK (shard BETWEEN 0 AND 15),
        CONSTRAINT relay_shards_slots_are_sixteen CHECK (slot BETWEEN 0 AND 15)
    )
    """,
    """
    CREATE TABLE stock.outbox (
        seq bigint GENERATED ALWAYS AS IDENTITY,
        created_at timestamptz NOT NULL,
        id uuid NOT NULL,
        shard smallint NOT NULL,
        aggregatetype text NOT NULL,
        aggregateid text NOT NULL,
        type text NOT NULL,
        topic text NOT NULL,
        key bytea,
        payload bytea,
        header_names text[],
        header_values bytea[],
        CONSTRAINT outbox_pkey PRIMARY KEY (seq),
        CONSTRAINT outbox_shard_is_one_of_sixteen CHECK (shard BETWEEN 0 AND 15),
        CONSTRAINT outbox_never_null_key_and_null_payload CHECK (key IS NOT NULL OR payload IS NOT NULL)
    ) WITH (
        autovacuum_vacuum_scale_factor = 0,
        autovacuum_vacuum_threshold = 20000,
        autovacuum_vacuum_insert_scale_factor = 0,
        autovacuum_vacuum_cost_delay = 0
    )
    """,
)

APPEND_ONLY = ("movements", "references")
WORKER = {
    "SELECT, INSERT": ("movements", "references", "dead_letters"),
    "SELECT, INSERT, UPDATE": ("locations", "items", "location_stock", "orders", "order_lines", "relay_shards"),
    "SELECT, INSERT, DELETE": ("parked_commands", "outbox"),
    "SELECT": ("alembic_version",),
}
SITED = (
    "locations",
    "items",
    "location_stock",
    "movements",
    "references",
    "orders",
    "order_lines",
    "parked_commands",
    "dead_letters",
)

REFUSE_CHANGE = """
    CREATE FUNCTION stock.refuse_change() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RAISE EXCEPTION '% on %.% is refused: its rows are never changed or removed', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege', HINT = 'Correct stock with a stock-adjustment.';
END;
$$
"""
SITE_IS_TOLD = (
    "site_id = ANY ((SELECT string_to_array(NULLIF(current_setting('stock.sites', true), ''), ',')::uuid[])::uuid[])"
)


def upgrade() -> None:
    for statement in TABLES:
        run(statement)
    run(REFUSE_CHANGE)
    run("REVOKE ALL ON FUNCTION stock.refuse_change() FROM PUBLIC")
    for table in APPEND_ONLY:
        trigger = f"{table}_are_never_changed"
        run(
            f'CREATE TRIGGER {trigger} BEFORE UPDATE OR DELETE OR TRUNCATE ON stock."{table}" '
            "FOR EACH STATEMENT EXECUTE FUNCTION stock.refuse_change()"
        )
        run(f'ALTER TABLE stock."{table}" ENABLE ALWAYS TRIGGER {trigger}')
    grant()
    for table in SITED:
        run(f'ALTER TABLE stock."{table}" ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY')
        run(f'CREATE POLICY {table}_of_the_sites ON stock."{table}" FOR SELECT TO stock_api USING ({SITE_IS_TOLD})')


def grant() -> None:
    """Give each role what it needs; identity columns draw from their sequences without a grant."""
    run("REVOKE ALL ON SCHEMA stock FROM PUBLIC")
    run("REVOKE ALL ON ALL TABLES IN SCHEMA stock FROM PUBLIC")
    run("REVOKE ALL ON ALL SEQUENCES IN SCHEMA stock FROM PUBLIC")
    run("GRANT USAGE ON SCHEMA stock TO stock_worker, stock_api")
    for rights, tables in WORKER.items():
        for table in tables:
            run(f'GRANT {rights} ON stock."{table}" TO stock_worker')
    for table in (*SITED, "alembic_version"):
        run(f'GRANT SELECT ON stock."{table}" TO stock_api')


def downgrade() -> None:
    for table in ("outbox", "relay_shards", "dead_letters", "parked_commands", "order_lines", "orders"):
        run(f'DROP TABLE stock."{table}"')
    for table in ("references", "movements", "location_stock", "items", "locations"):
        run(f'DROP TABLE stock."{table}"')
    run("DROP FUNCTION stock.refuse_change()")
    run("REVOKE ALL ON stock.alembic_version FROM stock_worker, stock_api")
    run("REVOKE ALL ON SCHEMA stock FROM stock_worker, stock_api")


def run(statement: str) -> None:
    """Send it as it stands: `op.execute` would read a colon as a parameter."""
    op.get_bind().exec_driver_sql(statement)
