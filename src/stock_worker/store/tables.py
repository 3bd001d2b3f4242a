"""The tables as SQLAlchemy Core metadata. Law: rows audit themselves; a CHECK states each law as an equivalence.

Migrations build the same catalog, and a test compares the two. What metadata cannot say (triggers, roles, grants,
policies) stands in `guards.sql`. `site_id` is in every table: row level security reads it, and one day distribution.
Source: contract section 2 and rule 2; docs/decisions/0003 for keys and indexes.
"""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

SCHEMA = "stock"
metadata = MetaData(schema=SCHEMA)

_COUNTER = "BETWEEN -1000000000000000 AND 1000000000000000"
_TYPES = "('adjustment','sale','return','restock','transfer','damage','expired','reserved','unreserved')"
_HOT = {"fillfactor": 70}  # room on the page, so that an update of unindexed columns stays heap-only

locations = Table(
    "locations",
    metadata,
    Column("site_id", Uuid, nullable=False),
    Column("location_id", Uuid, nullable=False),
    Column("code", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("type", Text, nullable=False, server_default="warehouse"),
    Column("address_line_1", Text),
    Column("address_line_2", Text),
    Column("city", Text),
    Column("state", Text),
    Column("postal_code", Text),
    Column("country", Text),
    Column("contact_name", Text),
    Column("contact_email", Text),
    Column("contact_phone", Text),
    Column("fulfillment_priority", Integer, nullable=False),
    Column("is_default", Boolean, nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("archived_at", DateTime(timezone=True)),
    PrimaryKeyConstraint("site_id", "location_id", name="locations_pkey"),
    UniqueConstraint("site_id", "code", name="locations_code_is_unique_in_the_site"),
    CheckConstraint("NOT is_default OR is_active", name="locations_default_is_active"),
    CheckConstraint("NOT is_active OR archived_at IS NULL", name="locations_active_is_not_archived"),
    CheckConstraint("type IN ('warehouse','store','fulfillment_center','dropship')", name="locations_type_is_known"),
    Index("locations_one_default_per_site", "site_id", unique=True, postgresql_where=text("is_default")),
)

items = Table(
    "items",
    metadata,
    Column("item_id", BigInteger, Identity(always=True), nullable=False),
    Column("on_hand", BigInteger, nullable=False, server_default="0"),
    Column("reserved", BigInteger, nullable=False, server_default="0"),
    Column("version", BigInteger, nullable=False, server_default="0"),
    Column("revision", BigInteger, nullable=False, server_default="0"),
    Column("stay", BigInteger, nullable=False, server_default="0"),  # how many levels it has been at: ids of alerts
    Column("costed_quantity", BigInteger, nullable=False, server_default="0"),
    Column("net_sold", BigInteger, nullable=False, server_default="0"),
    Column("catalog_revision", BigInteger),  # of its row in products, so that a worker knows whether its copy is true
    Column("site_id", Uuid, nullable=False),
    Column("product_id", Uuid, nullable=False),
    Column("variant_id", Uuid),
    Column("alert_id", Uuid),
    Column("level_since", DateTime(timezone=True)),
    Column("last_alerted_at", DateTime(timezone=True)),
    Column("first_movement_at", DateTime(timezone=True)),
    Column("last_movement_at", DateTime(timezone=True)),
    Column("average_cost", Numeric(30, 6)),
    Column("level", Text, nullable=False, server_default="ok"),
    Column("emitted_level", Text, nullable=False, server_default="ok"),
    Column("last_movement_type", Text),
    PrimaryKeyConstraint("item_id", name="items_pkey"),
    UniqueConstraint(
        "site_id",
        "product_id",
        "variant_id",
        name="items_key_is_unique_null_equals_null",
        postgresql_nulls_not_distinct=True,
    ),
    CheckConstraint(f"on_hand {_COUNTER} AND reserved {_COUNTER}", name="items_counters_are_bounded"),
    CheckConstraint("reserved >= 0", name="items_reserved_is_a_count"),
    CheckConstraint(
        "level IN ('ok','low','critical','out') AND emitted_level IN ('ok','low','critical','out')",
        name="items_level_is_known",
    ),
    CheckConstraint("costed_quantity BETWEEN 0 AND greatest(on_hand, 0)", name="items_costed_lie_there"),
    CheckConstraint("average_cost IS NOT NULL OR costed_quantity = 0", name="items_costed_have_an_average"),
    CheckConstraint("average_cost >= 0", name="items_average_is_not_negative"),
    CheckConstraint(
        "(version = 0) = (last_movement_at IS NULL) AND (version = 0) = (first_movement_at IS NULL) "
        "AND (version = 0) = (last_movement_type IS NULL)",
        name="items_moved_if_and_only_if_versioned",
    ),
    CheckConstraint("version > 0 OR (on_hand = 0 AND reserved = 0)", name="items_never_moved_hold_nothing"),
    postgresql_with=_HOT,
)

location_stock = Table(
    "location_stock",
    metadata,
    Column("item_id", BigInteger, nullable=False),
    Column("on_hand", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False),
    Column("held", BigInteger, nullable=False, server_default="0"),  # of reserved: by people, not by orders
    Column("reorder_point", BigInteger),
    Column("last_counted_at", DateTime(timezone=True)),
    Column("site_id", Uuid, nullable=False),
    Column("location_id", Uuid, nullable=False),
    Column("bin_location", Text),
    PrimaryKeyConstraint("item_id", "location_id", name="location_stock_pkey"),
    ForeignKeyConstraint(["item_id"], [f"{SCHEMA}.items.item_id"], name="location_stock_is_of_an_item"),
    CheckConstraint(f"on_hand {_COUNTER} AND reserved {_COUNTER}", name="location_stock_counters_are_bounded"),
    CheckConstraint("held BETWEEN 0 AND reserved", name="location_stock_held_is_a_part_of_reserved"),
    CheckConstraint("reorder_point >= 0", name="location_stock_reorder_point_is_a_count"),
    postgresql_with=_HOT,
)

movements = Table(
    "movements",
    metadata,
    Column("item_id", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("quantity", BigInteger, nullable=False),
    Column("previous_stock", BigInteger, nullable=False),
    Column("new_stock", BigInteger, nullable=False),
    Column("on_hand", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False),
    Column("location_on_hand", BigInteger, nullable=False),
    Column("location_reserved", BigInteger, nullable=False),
    Column("costed_quantity", BigInteger, nullable=False),
    Column("net_sold", BigInteger, nullable=False),
    Column("source_offset", BigInteger),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
    Column("source_partition", Integer),
    Column("last_of_command", Boolean, nullable=False),
    Column("movement_id", Uuid, nullable=False),
    Column("site_id", Uuid, nullable=False),
    Column("location_id", Uuid, nullable=False),
    Column("actor_id", Uuid),
    Column("type", Text, nullable=False),
    Column("reference_type", Text, nullable=False),
    Column("reference_id", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("order_id", Text),
    Column("line_id", Text),
    Column("unit_cost", Numeric),
    Column("average_cost", Numeric(30, 6)),
    Column("actor", Text),
    Column("reason", Text),
    Column("note", Text),
    PrimaryKeyConstraint("item_id", "version", name="movements_pkey"),
    CheckConstraint("previous_stock + quantity = new_stock", name="movements_previous_plus_quantity_is_new"),
    CheckConstraint("new_stock = on_hand - reserved", name="movements_new_is_on_hand_less_reserved"),
    CheckConstraint("version > 0", name="movements_version_starts_at_one"),
    CheckConstraint(f"type IN {_TYPES}", name="movements_type_is_one_of_nine"),
    CheckConstraint(
        "CASE type WHEN 'reserved' THEN quantity < 0 WHEN 'unreserved' THEN quantity > 0 ELSE quantity <> 0 END",
        name="movements_sign_agrees_with_type",
    ),
    CheckConstraint(
        "(source_partition IS NULL) = (source_offset IS NULL)",
        name="movements_position_is_whole_or_absent",
    ),
    Index("movements_site_time", "site_id", "recorded_at"),
)

references = Table(
    "references",
    metadata,
    Column("site_id", Uuid, nullable=False),
    Column("decided_at", DateTime(timezone=True), nullable=False),
    Column("source_offset", BigInteger),
    Column("source_partition", Integer),
    Column("fingerprint_version", SmallInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("order_id", Text),
    Column("outcome", Text, nullable=False),
    Column("code", Text),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("movements", ARRAY(BigInteger), nullable=False),
    Column("rejected", JSONB),
    PrimaryKeyConstraint("site_id", "type", "id", name="references_pkey"),
    CheckConstraint(
        "outcome IN ('applied','partly_applied','no_effect','superseded','expired','rejected')",
        name="references_outcome_is_final",
    ),
    CheckConstraint(
        "(outcome IN ('rejected','partly_applied')) = (code IS NOT NULL) AND (code IS NULL) = (rejected IS NULL)",
        name="references_refused_if_and_only_if_coded",
    ),
    CheckConstraint(
        "outcome IN ('applied','partly_applied') OR cardinality(movements) = 0",
        name="references_only_what_was_applied_moved",
    ),
    CheckConstraint("cardinality(movements) % 2 = 0", name="references_movements_are_item_and_version_pairs"),
)

orders = Table(
    "orders",
    metadata,
    Column("order_pk", BigInteger, Identity(always=True), nullable=False),
    Column("site_id", Uuid, nullable=False),
    Column("cancelled_whole", Boolean, nullable=False, server_default=text("false")),
    Column("expires_at", DateTime(timezone=True)),
    Column("due_at", DateTime(timezone=True)),  # expires_at while something is reserved: what the sweeper looks at
    Column("order_id", Text, nullable=False),
    Column("mode", Text, nullable=False, server_default="sale"),
    PrimaryKeyConstraint("site_id", "order_id", name="orders_pkey"),
    UniqueConstraint("order_pk", name="orders_order_pk_is_unique"),  # from a line to its order: audits and reads
    CheckConstraint("mode IN ('sale','reserve')", name="orders_mode_is_known"),
    CheckConstraint("due_at IS NULL OR due_at = expires_at", name="orders_due_when_they_expire"),
    Index("orders_due", "due_at", postgresql_where=text("due_at IS NOT NULL")),
    postgresql_with={"fillfactor": 90},
)

order_lines = Table(
    "order_lines",
    metadata,
    Column("order_pk", BigInteger, nullable=False),
    Column("item_id", BigInteger, nullable=False),
    Column("placed", BigInteger, nullable=False),
    Column("cancelled", BigInteger, nullable=False),
    Column("fulfilled", BigInteger, nullable=False),
    Column("returned", BigInteger, nullable=False),
    Column("position", Integer, nullable=False),
    Column("expired", Boolean, nullable=False),
    Column("tracked", Boolean, nullable=False),
    Column("site_id", Uuid, nullable=False),
    Column("location_id", Uuid),  # that its sender named
    Column("line_id", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("allocations", JSONB, nullable=False),
    Column("versions", ARRAY(BigInteger), nullable=False),
    PrimaryKeyConstraint("order_pk", "line_id", name="order_lines_pkey"),
    CheckConstraint("placed > 0", name="order_lines_placed_is_a_count"),
    CheckConstraint(
        "cancelled BETWEEN 0 AND placed AND fulfilled BETWEEN 0 AND placed AND returned BETWEEN 0 AND placed",
        name="order_lines_totals_stay_within_placed",
    ),
    CheckConstraint("mode IN ('sale','reserve')", name="order_lines_mode_is_known"),
    CheckConstraint("NOT expired OR mode = 'reserve'", name="order_lines_only_reservations_expire"),
    postgresql_with={"fillfactor": 85},
)

parked_commands = Table(
    "parked_commands",
    metadata,
    Column("seq", BigInteger, Identity(always=True), nullable=False),
    Column("order_pk", BigInteger, nullable=False),
    Column("parked_at", DateTime(timezone=True), nullable=False),
    Column("timestamp_ms", BigInteger, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("fingerprint_version", SmallInteger, nullable=False),
    Column("site_id", Uuid, nullable=False),
    Column("reference_type", Text, nullable=False),
    Column("reference_id", Text, nullable=False),
    Column("order_id", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("key", LargeBinary),
    Column("value", LargeBinary, nullable=False),
    Column("header_names", ARRAY(Text), nullable=False),
    Column("header_values", ARRAY(LargeBinary), nullable=False),
    PrimaryKeyConstraint("site_id", "reference_type", "reference_id", name="parked_commands_pkey"),
    Index("parked_commands_by_order", "order_pk", "seq"),
    Index("parked_commands_by_age", "parked_at"),
    CheckConstraint(
        "cardinality(header_names) = cardinality(header_values)",
        name="parked_commands_each_header_has_a_value",
    ),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("offset", BigInteger, nullable=False),
    Column("timestamp_ms", BigInteger, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    Column("partition", Integer, nullable=False),
    Column("site_id", Uuid),
    Column("topic", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("key", LargeBinary),
    Column("value", LargeBinary),
    Column("header_names", ARRAY(Text), nullable=False),
    Column("header_values", ARRAY(LargeBinary), nullable=False),
    PrimaryKeyConstraint("topic", "partition", "offset", "timestamp_ms", name="dead_letters_pkey"),
    CheckConstraint(
        "reason IN ('malformed','reference_conflict','order_never_placed','internal_error')",
        name="dead_letters_reason_is_known",
    ),
    CheckConstraint(
        "cardinality(header_names) = cardinality(header_values)",
        name="dead_letters_each_header_has_a_value",
    ),
)

products = Table(
    "products",
    metadata,
    Column("item_id", BigInteger, nullable=False),
    Column("revision", BigInteger),  # the catalog's; NULL until a message had one
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("track_inventory", Boolean, nullable=False),
    Column("archived", Boolean, nullable=False),
    Column("site_id", Uuid, nullable=False),
    Column("product_id", Uuid, nullable=False),
    Column("variant_id", Uuid),
    Column("name", Text),
    Column("variant_name", Text),
    Column("sku", Text),
    Column("category_id", Text),
    Column("category_name", Text),
    Column("image_url", Text),
    Column("unit_price", Numeric),
    Column("cost_price", Numeric),
    Column("options", JSONB),
    PrimaryKeyConstraint("item_id", name="products_pkey"),
    ForeignKeyConstraint(["item_id"], [f"{SCHEMA}.items.item_id"], name="products_are_of_an_item"),
    CheckConstraint("archived OR name IS NOT NULL", name="products_announced_have_a_name"),
    CheckConstraint("unit_price >= 0 AND cost_price >= 0", name="products_prices_are_not_negative"),
)

alert_rules = Table(
    "alert_rules",
    metadata,
    Column("low_stock_threshold", BigInteger),
    Column("critical_stock_threshold", BigInteger),
    Column("out_of_stock_threshold", BigInteger),
    Column("backorder_limit", BigInteger),
    Column("reorder_point", BigInteger),
    Column("reorder_quantity", BigInteger),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("is_active", Boolean),
    Column("notify_email", Boolean),
    Column("notify_dashboard", Boolean),
    Column("notify_webhook", Boolean),
    Column("site_id", Uuid, nullable=False),
    Column("product_id", Uuid),
    Column("variant_id", Uuid),
    UniqueConstraint(
        "site_id",
        "product_id",
        "variant_id",
        name="alert_rules_scope_is_unique_null_equals_null",
        postgresql_nulls_not_distinct=True,
    ),
    CheckConstraint("variant_id IS NULL OR product_id IS NOT NULL", name="alert_rules_of_a_variant_name_its_product"),
    CheckConstraint(f"backorder_limit {_COUNTER}", name="alert_rules_limit_is_bounded"),
    CheckConstraint("reorder_point >= 0 AND reorder_quantity > 0", name="alert_rules_reorders_are_counts"),
)

site_settings = Table(
    "site_settings",
    metadata,
    Column("stamp", BigInteger, nullable=False),  # grows with each change of the site's settings or rules
    Column("low_stock_threshold", BigInteger),
    Column("critical_stock_threshold", BigInteger),
    Column("out_of_stock_threshold", BigInteger),
    Column("reservation_ttl", BigInteger),  # seconds
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("dashboard_enabled", Boolean, nullable=False, server_default=text("true")),
    Column("webhook_enabled", Boolean, nullable=False, server_default=text("false")),
    Column("site_id", Uuid, nullable=False),
    Column("email_recipients", ARRAY(Text), nullable=False, server_default="{}"),
    Column("email_frequency", Text, nullable=False, server_default="daily"),
    Column("webhook_url", Text),
    Column("mode", Text, nullable=False, server_default="sale"),
    Column("timezone", Text, nullable=False, server_default="UTC"),
    Column("currency", Text),
    PrimaryKeyConstraint("site_id", name="site_settings_pkey"),
    CheckConstraint("mode IN ('sale','reserve')", name="site_settings_mode_is_known"),
    CheckConstraint("email_frequency IN ('instant','daily','weekly')", name="site_settings_frequency_is_known"),
    CheckConstraint("reservation_ttl > 0", name="site_settings_ttl_is_a_count"),
    CheckConstraint("currency ~ '^[A-Z]{3}$'", name="site_settings_currency_is_three_letters"),
)

reevaluations = Table(
    "reevaluations",
    metadata,
    Column("job_id", BigInteger, Identity(always=True), nullable=False),
    Column(
        "fence", BigInteger
    ),  # the first transaction that surely sees the change; NULL until the sweeper saw the job
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("limit_changed", Boolean, nullable=False),
    Column("site_id", Uuid, nullable=False),
    Column("product_id", Uuid),  # NULL: of the whole site
    Column("variant_id", Uuid),  # NULL with a product: of all its variants
    Column("after_product_id", Uuid),  # how far it is done: keys of the last item, in the order of the items' index
    Column("after_variant_id", Uuid),
    PrimaryKeyConstraint("job_id", name="reevaluations_pkey"),
    CheckConstraint("variant_id IS NULL OR product_id IS NOT NULL", name="reevaluations_of_a_variant_name_its_product"),
    CheckConstraint(
        "after_variant_id IS NULL OR after_product_id IS NOT NULL", name="reevaluations_are_done_up_to_an_item"
    ),
)

dismissals = Table(
    "dismissals",
    metadata,
    Column("item_id", BigInteger, nullable=False),
    Column("dismissed_at", DateTime(timezone=True), nullable=False),
    Column("alert_id", Uuid, nullable=False),
    Column("site_id", Uuid, nullable=False),
    Column("dismissed_by", Text, nullable=False),
    PrimaryKeyConstraint("alert_id", name="dismissals_pkey"),
    ForeignKeyConstraint(["item_id"], [f"{SCHEMA}.items.item_id"], name="dismissals_are_of_an_item"),
)

daily_totals = Table(
    "daily_totals",
    metadata,
    Column("item_id", BigInteger, nullable=False),
    Column("movements", BigInteger, nullable=False),
    Column("units_in", BigInteger, nullable=False),
    Column("units_out", BigInteger, nullable=False),
    Column("day", Date, nullable=False),  # in the site's time zone when it was written
    Column("site_id", Uuid, nullable=False),
    Column("location_id", Uuid, nullable=False),
    Column("type", Text, nullable=False),
    PrimaryKeyConstraint("item_id", "day", "location_id", "type", name="daily_totals_pkey"),
    CheckConstraint(f"type IN {_TYPES}", name="daily_totals_type_is_one_of_nine"),
    CheckConstraint("movements > 0 AND units_in >= 0 AND units_out >= 0", name="daily_totals_are_counts"),
    postgresql_with=_HOT,
)

watermarks = Table(
    "watermarks",
    metadata,
    Column("partition", Integer, nullable=False),
    Column("applied_to", DateTime(timezone=True), nullable=False),  # every command up to then is applied
    Column("reported_at", DateTime(timezone=True), nullable=False),
    Column("topic", Text, nullable=False),
    PrimaryKeyConstraint("topic", "partition", name="watermarks_pkey"),
    postgresql_with=_HOT,
)

relay_shards = Table(
    "relay_shards",
    metadata,
    Column("shard", SmallInteger, nullable=False, autoincrement=False),
    Column("slot", SmallInteger),  # whose relay may have records of this shard under way; NULL = nobody's
    PrimaryKeyConstraint("shard", name="relay_shards_pkey"),
    CheckConstraint("shard BETWEEN 0 AND 15", name="relay_shards_are_sixteen"),
    CheckConstraint("slot BETWEEN 0 AND 15", name="relay_shards_slots_are_sixteen"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("seq", BigInteger, Identity(always=True), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("id", Uuid, nullable=False),
    Column("shard", SmallInteger, nullable=False),
    Column("aggregatetype", Text, nullable=False),
    Column("aggregateid", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("key", LargeBinary),
    Column("payload", LargeBinary),
    Column("header_names", ARRAY(Text)),
    Column("header_values", ARRAY(LargeBinary)),
    PrimaryKeyConstraint("seq", name="outbox_pkey"),
    CheckConstraint("shard BETWEEN 0 AND 15", name="outbox_shard_is_one_of_sixteen"),
    CheckConstraint("key IS NOT NULL OR payload IS NOT NULL", name="outbox_never_null_key_and_null_payload"),
    postgresql_with={
        "autovacuum_vacuum_scale_factor": 0,
        "autovacuum_vacuum_threshold": 20000,
        "autovacuum_vacuum_insert_scale_factor": 0,
        "autovacuum_vacuum_cost_delay": 0,
    },
)
