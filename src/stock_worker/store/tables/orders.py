"""What orders hold: their lines by totals, and the commands that wait for an order.

Law: a line's totals stay within what was placed, and only a reservation expires. Source: contract rules 5 and 6.
"""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from stock_worker.store.tables.schema import metadata

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
