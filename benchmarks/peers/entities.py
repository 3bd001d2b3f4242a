"""The tables as ORM entities, as an application of this kind has them: only what the peer reads and writes."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, DateTime, ForeignKey, Identity, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Entity(DeclarativeBase):
    """Every table lives in the schema that the migrations made."""

    __table_args__ = {"schema": "stock"}  # noqa: RUF012 - SQLAlchemy's own form
    type_annotation_map = {  # noqa: RUF012 - the same
        int: BigInteger,
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB,
        list[Any]: JSONB,
        list[int]: ARRAY(BigInteger),
        list[str]: ARRAY(Text),
    }


class Location(Entity):
    """A place of a site."""

    __tablename__ = "locations"

    site_id: Mapped[UUID] = mapped_column(primary_key=True)
    location_id: Mapped[UUID] = mapped_column(primary_key=True)
    code: Mapped[str]
    fulfillment_priority: Mapped[int]
    is_default: Mapped[bool]
    is_active: Mapped[bool]


class SiteSettings(Entity):
    """What a site says of all its items."""

    __tablename__ = "site_settings"

    site_id: Mapped[UUID] = mapped_column(primary_key=True)
    low_stock_threshold: Mapped[int | None]
    critical_stock_threshold: Mapped[int | None]
    out_of_stock_threshold: Mapped[int | None]
    email_recipients: Mapped[list[str]]
    email_frequency: Mapped[str]
    dashboard_enabled: Mapped[bool]
    webhook_url: Mapped[str | None]
    webhook_enabled: Mapped[bool]
    timezone: Mapped[str]
    currency: Mapped[str | None]


class AlertRule(Entity):
    """The rule of a variant, a product or, without both, of the site."""

    __tablename__ = "alert_rules"

    site_id: Mapped[UUID] = mapped_column(primary_key=True)
    product_id: Mapped[UUID | None] = mapped_column(primary_key=True)
    variant_id: Mapped[UUID | None] = mapped_column(primary_key=True)
    low_stock_threshold: Mapped[int | None]
    critical_stock_threshold: Mapped[int | None]
    out_of_stock_threshold: Mapped[int | None]
    backorder_limit: Mapped[int | None]
    reorder_point: Mapped[int | None]
    reorder_quantity: Mapped[int | None]
    is_active: Mapped[bool | None]
    notify_email: Mapped[bool | None]
    notify_dashboard: Mapped[bool | None]
    notify_webhook: Mapped[bool | None]


class Item(Entity):
    """An item: the row that orders of it lock."""

    __tablename__ = "items"

    item_id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    site_id: Mapped[UUID]
    product_id: Mapped[UUID]
    variant_id: Mapped[UUID | None]
    on_hand: Mapped[int] = mapped_column(default=0)
    reserved: Mapped[int] = mapped_column(default=0)
    version: Mapped[int] = mapped_column(default=0)
    revision: Mapped[int] = mapped_column(default=0)
    stay: Mapped[int] = mapped_column(default=0)
    costed_quantity: Mapped[int] = mapped_column(default=0)
    net_sold: Mapped[int] = mapped_column(default=0)
    average_cost: Mapped[Decimal | None]
    level: Mapped[str] = mapped_column(default="ok")
    emitted_level: Mapped[str] = mapped_column(default="ok")
    alert_id: Mapped[UUID | None]
    level_since: Mapped[datetime | None]
    last_alerted_at: Mapped[datetime | None]
    first_movement_at: Mapped[datetime | None]
    last_movement_at: Mapped[datetime | None]
    last_movement_type: Mapped[str | None]


class LocationStock(Entity):
    """An item's stock at one place."""

    __tablename__ = "location_stock"

    item_id: Mapped[int] = mapped_column(ForeignKey("stock.items.item_id"), primary_key=True)
    location_id: Mapped[UUID] = mapped_column(primary_key=True)
    site_id: Mapped[UUID]
    on_hand: Mapped[int]
    reserved: Mapped[int]


class Order(Entity):
    """An order and its lines."""

    __tablename__ = "orders"

    site_id: Mapped[UUID] = mapped_column(primary_key=True)
    order_id: Mapped[str] = mapped_column(primary_key=True)
    order_pk: Mapped[int] = mapped_column(Identity(always=True))
    cancelled_whole: Mapped[bool] = mapped_column(default=False)
    lines: Mapped[list["OrderLine"]] = relationship(
        primaryjoin="Order.order_pk == foreign(OrderLine.order_pk)", order_by="OrderLine.position"
    )


class OrderLine(Entity):
    """A line of an order, with where its units came from."""

    __tablename__ = "order_lines"

    order_pk: Mapped[int] = mapped_column(primary_key=True)
    line_id: Mapped[str] = mapped_column(primary_key=True)
    site_id: Mapped[UUID]
    item_id: Mapped[int]
    position: Mapped[int]
    placed: Mapped[int]
    cancelled: Mapped[int] = mapped_column(default=0)
    fulfilled: Mapped[int] = mapped_column(default=0)
    returned: Mapped[int] = mapped_column(default=0)
    expired: Mapped[bool] = mapped_column(default=False)
    tracked: Mapped[bool] = mapped_column(default=True)
    mode: Mapped[str] = mapped_column(default="sale")
    allocations: Mapped[list[Any]]
    versions: Mapped[list[int]]


class Movement(Entity):
    """One row of the ledger."""

    __tablename__ = "movements"

    item_id: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    movement_id: Mapped[UUID]
    site_id: Mapped[UUID]
    location_id: Mapped[UUID]
    type: Mapped[str]
    quantity: Mapped[int]
    previous_stock: Mapped[int]
    new_stock: Mapped[int]
    on_hand: Mapped[int]
    reserved: Mapped[int]
    location_on_hand: Mapped[int]
    location_reserved: Mapped[int]
    costed_quantity: Mapped[int]
    net_sold: Mapped[int]
    unit_cost: Mapped[Decimal | None]
    average_cost: Mapped[Decimal | None]
    reference_type: Mapped[str]
    reference_id: Mapped[str]
    order_id: Mapped[str | None]
    line_id: Mapped[str | None]
    source: Mapped[str]
    source_partition: Mapped[int | None]
    source_offset: Mapped[int | None]
    recorded_at: Mapped[datetime]
    occurred_at: Mapped[datetime]
    last_of_command: Mapped[bool]
    actor: Mapped[str | None]


class DailyTotal(Entity):
    """What moved at one place on one day of the site, by type."""

    __tablename__ = "daily_totals"

    item_id: Mapped[int] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    location_id: Mapped[UUID] = mapped_column(primary_key=True)
    type: Mapped[str] = mapped_column(primary_key=True)
    site_id: Mapped[UUID]
    movements: Mapped[int]
    units_in: Mapped[int]
    units_out: Mapped[int]


class Reference(Entity):
    """The idempotency key of one command, with its outcome."""

    __tablename__ = "references"

    site_id: Mapped[UUID] = mapped_column(primary_key=True)
    type: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(primary_key=True)
    decided_at: Mapped[datetime]
    source: Mapped[str]
    source_partition: Mapped[int | None]
    source_offset: Mapped[int | None]
    fingerprint_version: Mapped[int] = mapped_column(default=1)
    fingerprint: Mapped[bytes]
    order_id: Mapped[str | None]
    outcome: Mapped[str]
    code: Mapped[str | None]
    movements: Mapped[list[int]]
    rejected: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
