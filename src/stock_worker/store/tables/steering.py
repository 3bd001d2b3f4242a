"""What people and the catalog say: products, alert rules, settings, dismissals, and what is to be evaluated again.

Law: a field that is NULL inherits; one that is set is within its bounds. Source: contract rules 10 to 12, section 7.
"""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Identity,
    Index,
    Numeric,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from stock_worker.store.tables.schema import COUNTER, SCHEMA, metadata

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
    Index("products_by_change", "site_id", "updated_at"),  # what is new in a catalog that somebody remembers
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
    CheckConstraint(
        f"low_stock_threshold {COUNTER} AND critical_stock_threshold {COUNTER} AND out_of_stock_threshold {COUNTER} "
        f"AND backorder_limit {COUNTER} AND reorder_point {COUNTER} AND reorder_quantity {COUNTER}",
        name="alert_rules_numbers_are_bounded",
    ),
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
    CheckConstraint(
        f"low_stock_threshold {COUNTER} AND critical_stock_threshold {COUNTER} AND out_of_stock_threshold {COUNTER}",
        name="site_settings_thresholds_are_bounded",
    ),
    CheckConstraint("mode IN ('sale','reserve')", name="site_settings_mode_is_known"),
    CheckConstraint("email_frequency IN ('instant','daily','weekly')", name="site_settings_frequency_is_known"),
    CheckConstraint("reservation_ttl > 0", name="site_settings_ttl_is_a_count"),
    CheckConstraint("currency ~ '^[A-Z]{3}$'", name="site_settings_currency_is_three_letters"),
)

reevaluations = Table(
    "reevaluations",
    metadata,
    Column("job_id", BigInteger, Identity(always=True), nullable=False),
    # The first transaction that surely sees the change; NULL until the sweeper saw the job.
    Column("fence", BigInteger),
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
