"""What came in and cannot be decided, what goes out, and who is how far.

Law: a dead letter stays whole; it is settled by words beside it. Source: contract rule 13, section 6.
"""

from sqlalchemy import (
    ARRAY,
    BigInteger,
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
    Uuid,
)

from stock_worker.store.tables.schema import HOT, metadata

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
    Column("settled_at", DateTime(timezone=True)),  # these three come later, by an operator: last, so that COPY ends
    Column("settled_by", Text),
    Column("settlement", Text),  # why it was discarded, or `replayed as <reference_id>`
    PrimaryKeyConstraint("topic", "partition", "offset", "timestamp_ms", name="dead_letters_pkey"),
    CheckConstraint(
        "reason IN ('malformed','reference_conflict','order_never_placed','internal_error')",
        name="dead_letters_reason_is_known",
    ),
    CheckConstraint(
        "cardinality(header_names) = cardinality(header_values)",
        name="dead_letters_each_header_has_a_value",
    ),
    CheckConstraint(
        "(settled_at IS NULL) = (settled_by IS NULL) AND (settled_at IS NULL) = (settlement IS NULL)",
        name="dead_letters_are_settled_by_somebody_somehow",
    ),
    Index("dead_letters_by_time", "recorded_at", "topic", "partition", "offset", "timestamp_ms"),
    Index("dead_letters_of_site", "site_id", "recorded_at", "topic", "partition", "offset", "timestamp_ms"),
)

watermarks = Table(
    "watermarks",
    metadata,
    Column("partition", Integer, nullable=False),
    Column("applied_to", DateTime(timezone=True), nullable=False),  # every command up to then is applied
    Column("reported_at", DateTime(timezone=True), nullable=False),
    Column("topic", Text, nullable=False),
    PrimaryKeyConstraint("topic", "partition", name="watermarks_pkey"),
    postgresql_with=HOT,
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
