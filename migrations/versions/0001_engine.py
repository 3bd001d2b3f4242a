"""All tables of stock: places, items, ledger, orders, catalog, rules, what waits and what goes out; and their guards.

Frozen: what has been migrated is never edited, and nothing is imported from the product. A test compares the catalogs
that this makes with those of `store/tables` and `store/guards.sql`.
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
        type text DEFAULT 'warehouse' NOT NULL,
        address_line_1 text,
        address_line_2 text,
        city text,
        state text,
        postal_code text,
        country text,
        contact_name text,
        contact_email text,
        contact_phone text,
        fulfillment_priority integer NOT NULL,
        is_default boolean NOT NULL,
        is_active boolean NOT NULL,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        archived_at timestamptz,
        CONSTRAINT locations_pkey PRIMARY KEY (site_id, location_id),
        CONSTRAINT locations_code_is_unique_in_the_site UNIQUE (site_id, code),
        CONSTRAINT locations_default_is_active CHECK (NOT is_default OR is_active),
        CONSTRAINT locations_active_is_not_archived CHECK (NOT is_active OR archived_at IS NULL),
        CONSTRAINT locations_type_is_known CHECK (type IN ('warehouse','store','fulfillment_center','dropship'))
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
        stay bigint DEFAULT '0' NOT NULL,
        costed_quantity bigint DEFAULT '0' NOT NULL,
        net_sold bigint DEFAULT '0' NOT NULL,
        catalog_revision bigint,
        site_id uuid NOT NULL,
        product_id uuid NOT NULL,
        variant_id uuid,
        alert_id uuid,
        level_since timestamptz,
        last_alerted_at timestamptz,
        first_movement_at timestamptz,
        last_movement_at timestamptz,
        average_cost numeric(30, 6),
        level text DEFAULT 'ok' NOT NULL,
        emitted_level text DEFAULT 'ok' NOT NULL,
        last_movement_type text,
        CONSTRAINT items_pkey PRIMARY KEY (item_id),
        CONSTRAINT items_key_is_unique_null_equals_null UNIQUE NULLS NOT DISTINCT (site_id, product_id, variant_id),
        CONSTRAINT items_counters_are_bounded CHECK (
            on_hand BETWEEN -1000000000000000 AND 1000000000000000
            AND reserved BETWEEN -1000000000000000 AND 1000000000000000
        ),
        CONSTRAINT items_reserved_is_a_count CHECK (reserved >= 0),
        CONSTRAINT items_level_is_known CHECK (
            level IN ('ok','low','critical','out') AND emitted_level IN ('ok','low','critical','out')
        ),
        CONSTRAINT items_costed_lie_there CHECK (costed_quantity BETWEEN 0 AND greatest(on_hand, 0)),
        CONSTRAINT items_costed_have_an_average CHECK (average_cost IS NOT NULL OR costed_quantity = 0),
        CONSTRAINT items_average_is_not_negative CHECK (average_cost >= 0),
        CONSTRAINT items_moved_if_and_only_if_versioned CHECK (
            (version = 0) = (last_movement_at IS NULL) AND (version = 0) = (first_movement_at IS NULL)
            AND (version = 0) = (last_movement_type IS NULL)
        ),
        CONSTRAINT items_never_moved_hold_nothing CHECK (version > 0 OR (on_hand = 0 AND reserved = 0))
    ) WITH (fillfactor = 70)
    """,
    "CREATE INDEX items_alerts ON stock.items (site_id, alert_id) WHERE alert_id IS NOT NULL",
    """
    CREATE TABLE stock.location_stock (
        item_id bigint NOT NULL,
        on_hand bigint NOT NULL,
        reserved bigint NOT NULL,
        held bigint DEFAULT '0' NOT NULL,
        reorder_point bigint,
        last_counted_at timestamptz,
        site_id uuid NOT NULL,
        location_id uuid NOT NULL,
        bin_location text,
        CONSTRAINT location_stock_pkey PRIMARY KEY (item_id, location_id),
        CONSTRAINT location_stock_is_of_an_item FOREIGN KEY(item_id) REFERENCES stock.items (item_id),
        CONSTRAINT location_stock_counters_are_bounded CHECK (
            on_hand BETWEEN -1000000000000000 AND 1000000000000000
            AND reserved BETWEEN -1000000000000000 AND 1000000000000000
        ),
        CONSTRAINT location_stock_held_is_a_part_of_reserved CHECK (held BETWEEN 0 AND reserved),
        CONSTRAINT location_stock_reorder_point_is_a_count CHECK (reorder_point >= 0)
    ) WITH (fillfactor = 70)
    """,
    "CREATE INDEX location_stock_by_location ON stock.location_stock (site_id, location_id, item_id)",
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
        costed_quantity bigint NOT NULL,
        net_sold bigint NOT NULL,
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
        average_cost numeric(30, 6),
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
            (outcome IN ('rejected','partly_applied')) = (code IS NOT NULL) AND (code IS NULL) = (rejected IS NULL)
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
        expires_at timestamptz,
        due_at timestamptz,
        order_id text NOT NULL,
        mode text DEFAULT 'sale' NOT NULL,
        CONSTRAINT orders_pkey PRIMARY KEY (site_id, order_id),
        CONSTRAINT orders_order_pk_is_unique UNIQUE (order_pk),
        CONSTRAINT orders_mode_is_known CHECK (mode IN ('sale','reserve')),
        CONSTRAINT orders_due_when_they_expire CHECK (due_at IS NULL OR due_at = expires_at)
    ) WITH (fillfactor = 90)
    """,
    "CREATE INDEX orders_due ON stock.orders (due_at) WHERE due_at IS NOT NULL",
    """
    CREATE TABLE stock.order_lines (
        order_pk bigint NOT NULL,
        item_id bigint NOT NULL,
        placed bigint NOT NULL,
        cancelled bigint NOT NULL,
        fulfilled bigint NOT NULL,
        returned bigint NOT NULL,
        position integer NOT NULL,
        expired boolean NOT NULL,
        tracked boolean NOT NULL,
        site_id uuid NOT NULL,
        location_id uuid,
        line_id text NOT NULL,
        mode text NOT NULL,
        allocations jsonb NOT NULL,
        versions bigint[] NOT NULL,
        CONSTRAINT order_lines_pkey PRIMARY KEY (order_pk, line_id),
        CONSTRAINT order_lines_placed_is_a_count CHECK (placed > 0),
        CONSTRAINT order_lines_totals_stay_within_placed CHECK (
            cancelled BETWEEN 0 AND placed AND fulfilled BETWEEN 0 AND placed AND returned BETWEEN 0 AND placed
        ),
        CONSTRAINT order_lines_mode_is_known CHECK (mode IN ('sale','reserve')),
        CONSTRAINT order_lines_only_reservations_expire CHECK (NOT expired OR mode = 'reserve')
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
    CREATE TABLE stock.products (
        item_id bigint NOT NULL,
        revision bigint,
        updated_at timestamptz NOT NULL,
        track_inventory boolean NOT NULL,
        archived boolean NOT NULL,
        site_id uuid NOT NULL,
        product_id uuid NOT NULL,
        variant_id uuid,
        name text,
        variant_name text,
        sku text,
        category_id text,
        category_name text,
        image_url text,
        unit_price numeric,
        cost_price numeric,
        options jsonb,
        CONSTRAINT products_pkey PRIMARY KEY (item_id),
        CONSTRAINT products_are_of_an_item FOREIGN KEY(item_id) REFERENCES stock.items (item_id),
        CONSTRAINT products_announced_have_a_name CHECK (archived OR name IS NOT NULL),
        CONSTRAINT products_prices_are_not_negative CHECK (unit_price >= 0 AND cost_price >= 0)
    )
    """,
    """
    CREATE TABLE stock.alert_rules (
        low_stock_threshold bigint,
        critical_stock_threshold bigint,
        out_of_stock_threshold bigint,
        backorder_limit bigint,
        reorder_point bigint,
        reorder_quantity bigint,
        updated_at timestamptz NOT NULL,
        is_active boolean,
        notify_email boolean,
        notify_dashboard boolean,
        notify_webhook boolean,
        site_id uuid NOT NULL,
        product_id uuid,
        variant_id uuid,
        CONSTRAINT alert_rules_scope_is_unique_null_equals_null UNIQUE NULLS NOT DISTINCT (
            site_id, product_id, variant_id
        ),
        CONSTRAINT alert_rules_of_a_variant_name_its_product CHECK (variant_id IS NULL OR product_id IS NOT NULL),
        CONSTRAINT alert_rules_numbers_are_bounded CHECK (
            low_stock_threshold BETWEEN -1000000000000000 AND 1000000000000000
            AND critical_stock_threshold BETWEEN -1000000000000000 AND 1000000000000000
            AND out_of_stock_threshold BETWEEN -1000000000000000 AND 1000000000000000
            AND backorder_limit BETWEEN -1000000000000000 AND 1000000000000000
            AND reorder_point BETWEEN -1000000000000000 AND 1000000000000000
            AND reorder_quantity BETWEEN -1000000000000000 AND 1000000000000000
        ),
        CONSTRAINT alert_rules_reorders_are_counts CHECK (reorder_point >= 0 AND reorder_quantity > 0)
    )
    """,
    """
    CREATE TABLE stock.site_settings (
        stamp bigint NOT NULL,
        low_stock_threshold bigint,
        critical_stock_threshold bigint,
        out_of_stock_threshold bigint,
        reservation_ttl bigint,
        updated_at timestamptz NOT NULL,
        dashboard_enabled boolean DEFAULT true NOT NULL,
        webhook_enabled boolean DEFAULT false NOT NULL,
        site_id uuid NOT NULL,
        email_recipients text[] DEFAULT '{}' NOT NULL,
        email_frequency text DEFAULT 'daily' NOT NULL,
        webhook_url text,
        mode text DEFAULT 'sale' NOT NULL,
        timezone text DEFAULT 'UTC' NOT NULL,
        currency text,
        CONSTRAINT site_settings_pkey PRIMARY KEY (site_id),
        CONSTRAINT site_settings_thresholds_are_bounded CHECK (
            low_stock_threshold BETWEEN -1000000000000000 AND 1000000000000000
            AND critical_stock_threshold BETWEEN -1000000000000000 AND 1000000000000000
            AND out_of_stock_threshold BETWEEN -1000000000000000 AND 1000000000000000
        ),
        CONSTRAINT site_settings_mode_is_known CHECK (mode IN ('sale','reserve')),
        CONSTRAINT site_settings_frequency_is_known CHECK (email_frequency IN ('instant','daily','weekly')),
        CONSTRAINT site_settings_ttl_is_a_count CHECK (reservation_ttl > 0),
        CONSTRAINT site_settings_currency_is_three_letters CHECK (currency ~ '^[A-Z]{3}$')
    )
    """,
    """
    CREATE TABLE stock.reevaluations (
        job_id bigint GENERATED ALWAYS AS IDENTITY,
        fence bigint,
        created_at timestamptz NOT NULL,
        limit_changed boolean NOT NULL,
        site_id uuid NOT NULL,
        product_id uuid,
        variant_id uuid,
        after_product_id uuid,
        after_variant_id uuid,
        CONSTRAINT reevaluations_pkey PRIMARY KEY (job_id),
        CONSTRAINT reevaluations_of_a_variant_name_its_product CHECK (variant_id IS NULL OR product_id IS NOT NULL),
        CONSTRAINT reevaluations_are_done_up_to_an_item CHECK (
            after_variant_id IS NULL OR after_product_id IS NOT NULL
        )
    )
    """,
    """
    CREATE TABLE stock.dismissals (
        item_id bigint NOT NULL,
        dismissed_at timestamptz NOT NULL,
        alert_id uuid NOT NULL,
        site_id uuid NOT NULL,
        dismissed_by text NOT NULL,
        CONSTRAINT dismissals_pkey PRIMARY KEY (alert_id),
        CONSTRAINT dismissals_are_of_an_item FOREIGN KEY(item_id) REFERENCES stock.items (item_id)
    )
    """,
    """
    CREATE TABLE stock.daily_totals (
        item_id bigint NOT NULL,
        movements bigint NOT NULL,
        units_in bigint NOT NULL,
        units_out bigint NOT NULL,
        day date NOT NULL,
        site_id uuid NOT NULL,
        location_id uuid NOT NULL,
        type text NOT NULL,
        CONSTRAINT daily_totals_pkey PRIMARY KEY (item_id, day, location_id, type),
        CONSTRAINT daily_totals_type_is_one_of_nine CHECK (
            type IN ('adjustment','sale','return','restock','transfer','damage','expired','reserved','unreserved')
        ),
        CONSTRAINT daily_totals_are_counts CHECK (movements > 0 AND units_in >= 0 AND units_out >= 0)
    ) WITH (fillfactor = 70)
    """,
    """
    CREATE TABLE stock.watermarks (
        partition integer NOT NULL,
        applied_to timestamptz NOT NULL,
        reported_at timestamptz NOT NULL,
        topic text NOT NULL,
        CONSTRAINT watermarks_pkey PRIMARY KEY (topic, partition)
    ) WITH (fillfactor = 70)
    """,
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
        settled_at timestamptz,
        settled_by text,
        settlement text,
        CONSTRAINT dead_letters_pkey PRIMARY KEY (topic, partition, "offset", timestamp_ms),
        CONSTRAINT dead_letters_reason_is_known CHECK (
            reason IN ('malformed','reference_conflict','order_never_placed','internal_error')
        ),
        CONSTRAINT dead_letters_each_header_has_a_value CHECK (
            cardinality(header_names) = cardinality(header_values)
        ),
        CONSTRAINT dead_letters_are_settled_by_somebody_somehow CHECK (
            (settled_at IS NULL) = (settled_by IS NULL) AND (settled_at IS NULL) = (settlement IS NULL)
        )
    )
    """,
    """
    CREATE INDEX dead_letters_by_time
    ON stock.dead_letters (recorded_at, topic, partition, "offset", timestamp_ms)
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
    "SELECT, INSERT": ("movements", "references", "dead_letters", "dismissals"),
    "SELECT, INSERT, UPDATE": (
        "locations",
        "items",
        "location_stock",
        "orders",
        "order_lines",
        "products",
        "site_settings",
        "watermarks",
        "relay_shards",
    ),
    "SELECT, INSERT, DELETE": ("parked_commands", "outbox"),
    "SELECT, INSERT, UPDATE, DELETE": ("alert_rules", "reevaluations", "daily_totals"),
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
    "products",
    "alert_rules",
    "site_settings",
    "reevaluations",
    "dismissals",
    "daily_totals",
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
    run("GRANT UPDATE (settled_at, settled_by, settlement) ON stock.dead_letters TO stock_worker")
    for table in (*SITED, "alembic_version"):
        run(f'GRANT SELECT ON stock."{table}" TO stock_api')


def downgrade() -> None:
    for table in ("outbox", "relay_shards", "watermarks", *reversed(SITED)):
        run(f'DROP TABLE stock."{table}"')
    run("DROP FUNCTION stock.refuse_change()")
    run("REVOKE ALL ON stock.alembic_version FROM stock_worker, stock_api")
    run("REVOKE ALL ON SCHEMA stock FROM stock_worker, stock_api")


def run(statement: str) -> None:
    """Send it as it stands: `op.execute` would read a colon as a parameter."""
    op.get_bind().exec_driver_sql(statement)
