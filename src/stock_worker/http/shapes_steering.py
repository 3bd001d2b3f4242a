"""The shapes of what people set, and of what waits for them. Law: a field that is absent stays, null clears it.

What a field may hold is judged where it is kept (store/steering); its type and bounds are said here as well, for who
reads the API. Names of forms are the admin's. Source: contract section 7.
"""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from stock_worker.core.model import MAX_COUNTER
from stock_worker.http.pages import Pagination
from stock_worker.http.shapes import Id, Shape
from stock_worker.store.steering.fields import ADDRESS_MAX, CODE_MAX, NAME_MAX, RECIPIENTS_MAX, TEXT_MAX
from stock_worker.store.steering.locations import PRIORITY_MAX
from stock_worker.store.steering.settings import TTL_MAX
from stock_worker.wire.values import NAME_MAX_CHARACTERS, NAME_PATTERN

_ONE_LINE: Final = r"^[^\p{Cc}]*[^\p{Cc}\s][^\p{Cc}]*$"
_ADDRESS: Final = r"^[^@\s\p{Cc}]+@[^@\s\p{Cc}]+$"

Words = Annotated[str, Field(min_length=1, max_length=NAME_MAX, pattern=_ONE_LINE)]
Code = Annotated[str, Field(min_length=1, max_length=CODE_MAX, pattern=_ONE_LINE, examples=["SHOP"])]
Email = Annotated[str, Field(max_length=ADDRESS_MAX, pattern=_ADDRESS, examples=["ada@shop.test"])]
WebAddress = Annotated[str, Field(max_length=TEXT_MAX, pattern=r"^https?://\S+$", examples=["https://shop.test/hook"])]
Threshold = Annotated[int, Field(ge=-MAX_COUNTER, le=MAX_COUNTER, examples=[5])]
ReorderPoint = Annotated[int, Field(ge=0, le=MAX_COUNTER, examples=[8])]
ReorderQuantity = Annotated[int, Field(ge=1, le=MAX_COUNTER, examples=[24])]
Priority = Annotated[int, Field(ge=-PRIORITY_MAX, le=PRIORITY_MAX, examples=[1])]
Seconds = Annotated[int, Field(ge=1, le=TTL_MAX, examples=[900])]
TimeZone = Annotated[str, Field(examples=["Europe/Paris"])]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", examples=["EUR"])]
Kind = Literal["warehouse", "store", "fulfillment_center", "dropship"]
Frequency = Literal["instant", "daily", "weekly"]
Mode = Literal["sale", "reserve"]
Source = Literal["variant", "product", "site", "settings", "built-in"]

_ABSENT: Final[Any] = Field(default_factory=lambda: None)
"""A field that may be left out. Nobody reads what it has then: only what was given is taken."""


class Change(BaseModel):
    """What somebody wants changed."""

    model_config = ConfigDict(strict=True, extra="forbid")

    @property
    def given(self) -> dict[str, Any]:
        """The fields that were given, null included."""
        return self.model_dump(exclude_unset=True)


# ---------------------------------------------------------------- alerts


class Alert(Shape):
    """An item that is low, critical or out, in one stay at this level.

    `threshold` is the one that makes the level, `threshold_source` who says so; `reorder_quantity` is null where no
    rule says how much; `days_until_stockout` is null without sales in the last 30 days.
    """

    alert_id: Id
    product_id: Id
    variant_id: Id | None
    product_name: str | None
    variant_name: str | None
    sku: str | None
    category_id: str | None
    category_name: str | None
    current_stock: Annotated[int, Field(description="Available: on hand less reserved.", examples=[2])]
    alert_level: Literal["low", "critical", "out"]
    threshold: int
    threshold_source: Source
    reorder_quantity: int | None
    image_url: str | None
    last_movement_at: datetime | None
    last_alerted_at: datetime | None
    dismissed_at: datetime | None
    dismissed_by: str | None
    days_until_stockout: float | None


class Alerts(Shape):
    """A page of alerts, the worst first."""

    alerts: list[Alert]
    pagination: Pagination


class Dismissed(Shape):
    """Who dismissed an alert, and when: the first time, if it was done again."""

    alert_id: Id
    dismissed_at: datetime
    dismissed_by: str


# ---------------------------------------------------------------- rules


class RuleFields(Shape):
    """What a rule says itself; null inherits."""

    low_stock_threshold: int | None
    critical_stock_threshold: int | None
    out_of_stock_threshold: int | None
    backorder_limit: int | None
    reorder_point: int | None
    reorder_quantity: int | None
    is_active: bool | None
    notify_email: bool | None
    notify_dashboard: bool | None
    notify_webhook: bool | None


class RuleChange(Change):
    """Fields of a rule; null inherits. A negative backorder_limit is a safety stock."""

    low_stock_threshold: Threshold | None = _ABSENT
    critical_stock_threshold: Threshold | None = _ABSENT
    out_of_stock_threshold: Threshold | None = _ABSENT
    backorder_limit: Threshold | None = _ABSENT
    reorder_point: ReorderPoint | None = _ABSENT
    reorder_quantity: ReorderQuantity | None = _ABSENT
    is_active: bool | None = _ABSENT
    notify_email: bool | None = _ABSENT
    notify_dashboard: bool | None = _ABSENT
    notify_webhook: bool | None = _ABSENT


class InEffect(Shape):
    """What holds for one field, and who says so."""

    value: int | bool | None
    source: Source


class EffectiveRule(Shape):
    """What holds for each field."""

    low_stock_threshold: InEffect
    critical_stock_threshold: InEffect
    out_of_stock_threshold: InEffect
    backorder_limit: InEffect
    reorder_point: InEffect
    reorder_quantity: InEffect
    is_active: InEffect
    notify_email: InEffect
    notify_dashboard: InEffect
    notify_webhook: InEffect


class Rule(Shape):
    """The rule of a site, a product or a variant (`rule` is null where it has none), and what holds for it."""

    site_id: Id
    product_id: Id | None
    variant_id: Id | None
    rule: RuleFields | None
    updated_at: datetime | None
    effective: EffectiveRule


class ListedRule(Shape):
    """A rule in a list: that of the site where there is no product, that of a product where there is no variant."""

    product_id: Id | None
    variant_id: Id | None
    rule: RuleFields
    updated_at: datetime


class Rules(Shape):
    """A page of rules, by product and variant; the site's own comes last."""

    rules: list[ListedRule]
    pagination: Pagination


# ---------------------------------------------------------------- settings


class SiteSettings(Shape):
    """A site's settings, with the defaults where nothing was set. `reservation_ttl` is in seconds; null is for ever."""

    default_low_threshold: int
    default_critical_threshold: int
    default_out_threshold: int
    email_recipients: list[str]
    email_frequency: Frequency
    dashboard_enabled: bool
    webhook_url: str | None
    webhook_enabled: bool
    mode: Mode
    reservation_ttl: int | None
    timezone: str
    currency: str | None


class SettingsChange(Change):
    """Settings to change; null goes back to the default."""

    default_low_threshold: Threshold | None = _ABSENT
    default_critical_threshold: Threshold | None = _ABSENT
    default_out_threshold: Threshold | None = _ABSENT
    email_recipients: Annotated[list[Email], Field(max_length=RECIPIENTS_MAX)] | None = _ABSENT
    email_frequency: Frequency | None = _ABSENT
    dashboard_enabled: bool | None = _ABSENT
    webhook_url: WebAddress | None = _ABSENT
    webhook_enabled: bool | None = _ABSENT
    mode: Mode | None = _ABSENT
    reservation_ttl: Seconds | None = _ABSENT
    timezone: TimeZone | None = _ABSENT
    currency: Currency | None = _ABSENT


# ---------------------------------------------------------------- locations


class Location(Shape):
    """A place that holds stock; the lower `fulfillment_priority`, the sooner it serves. An archived one has its time.

    `created_at` and `updated_at` are null for the default location that a site has before it has made any.
    """

    location_id: Id
    code: str
    name: str
    type: Kind
    address_line_1: str | None
    address_line_2: str | None
    city: str | None
    state: str | None
    postal_code: str | None
    country: str | None
    contact_name: str | None
    contact_email: str | None
    contact_phone: str | None
    fulfillment_priority: int
    is_default: bool
    is_active: bool
    archived_at: datetime | None
    created_at: datetime | None
    updated_at: datetime | None


class Locations(Shape):
    """A page of locations, in the order in which they serve."""

    locations: list[Location]
    pagination: Pagination


class LocationChange(Change):
    """Fields of a location. `is_default` true makes it the default; the one that was is no more."""

    code: Code = _ABSENT
    name: Words = _ABSENT
    type: Kind = _ABSENT
    address_line_1: Words | None = _ABSENT
    address_line_2: Words | None = _ABSENT
    city: Words | None = _ABSENT
    state: Words | None = _ABSENT
    postal_code: Words | None = _ABSENT
    country: Words | None = _ABSENT
    contact_name: Words | None = _ABSENT
    contact_email: Email | None = _ABSENT
    contact_phone: Words | None = _ABSENT
    fulfillment_priority: Priority = _ABSENT
    is_default: bool = _ABSENT
    is_active: bool = _ABSENT


class NewLocation(LocationChange):
    """A location to be made: active and last in priority unless said otherwise, its id as the code if none is given."""

    name: Words


class NotedPlace(Shape):
    """An item at a location. `held` of `reserved` is what people hold; the counters are the ledger's."""

    product_id: Id
    variant_id: Id | None
    location_id: Id
    on_hand: int
    reserved: int
    available: int
    held: int
    bin_location: str | None
    reorder_point: int | None
    last_counted_at: datetime | None


class ItemPlaceChange(Change):
    """What is noted of an item at a location; null clears."""

    bin_location: Words | None = _ABSENT
    reorder_point: ReorderPoint | None = _ABSENT


# ---------------------------------------------------------------- dead letters

Reason = Literal["malformed", "reference_conflict", "order_never_placed", "internal_error"]
Settled = Literal["false", "true", "all"]


class Settlement(Shape):
    """What became of a letter: `words` are why it was discarded, or what it was replayed as."""

    at: datetime
    by: str
    words: str


class DeadLetter(Shape):
    """A record that was set aside. Its name is topic, partition, offset and timestamp_ms; null is nobody's site."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    recorded_at: datetime
    site_id: Id | None
    reason: Reason
    detail: str
    settlement: Settlement | None


class DeadLetters(Shape):
    """Dead letters, the newest first. `next_cursor` is null at the end; `total` counts up to 10,000."""

    dead_letters: list[DeadLetter]
    next_cursor: str | None
    total: int
    total_is_exact: bool


class Raw(Shape):
    """Bytes as they came: `base64` always, `text` where they are UTF-8."""

    text: str | None
    base64: str


class Header(Shape):
    """A header of a record."""

    name: str
    value: Raw | None


class WholeDeadLetter(DeadLetter):
    """A dead letter with what it carried."""

    key: Raw | None
    value: Raw | None
    headers: list[Header]


class ReplayAsked(BaseModel):
    """How to replay. A `reference_id` is the command's new one; else it keeps its own, or gets `<old>-replay-<n>`."""

    model_config = ConfigDict(strict=True, extra="forbid")

    dry_run: Annotated[bool, Field(description="Only say what would be sent.")] = True
    reference_id: Annotated[str, Field(min_length=1, max_length=NAME_MAX_CHARACTERS, pattern=NAME_PATTERN)] | None = (
        None
    )


class Replayed(Shape):
    """The record that was sent, or would be. `was` is the reference_id before; records of the catalog have none."""

    sent: bool
    topic: str
    reference_id: str | None
    was: str | None
    key: Raw | None
    value: Raw | None
    headers: list[Header]


class DiscardAsked(BaseModel):
    """Why a letter need not be sent again."""

    model_config = ConfigDict(strict=True, extra="forbid")

    reason: Annotated[str, Field(min_length=1, max_length=NAME_MAX, pattern=_ONE_LINE, examples=["a test order"])]
