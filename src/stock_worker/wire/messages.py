"""The shapes of the command messages. Law: a field is named here if and only if it is read.

Unknown fields are ignored, and so are those that a rule ignores (the location of a cancelled line). Absent and null
are alike wherever a field may be absent. What one field alone cannot tell is checked in `decode`.
Source: contract section 3; the same shapes for others to read are `contracts/schemas`.
"""

from typing import Annotated, Any, Final, Literal, NotRequired

from pydantic import ConfigDict, Field, TypeAdapter
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

from stock_worker.core import topics
from stock_worker.core.model import MAX_LINES
from stock_worker.wire.values import (
    Count,
    Counted,
    Currency,
    Money,
    Name,
    Revision,
    SignedCount,
    Text,
    Title,
    Uuid,
    Version,
)


class Message(TypedDict):
    """What every command may say. `occurred_at` is read as a time in `decode`."""

    __pydantic_config__ = ConfigDict(strict=True)  # type: ignore[misc] # pydantic's documented place for it

    site_id: Uuid
    occurred_at: NotRequired[str | None]
    actor: NotRequired[Text | None]
    actor_id: NotRequired[Uuid | None]
    reason: NotRequired[Text | None]
    note: NotRequired[Text | None]


class LineShape(TypedDict):
    """What every line may say."""

    reason: NotRequired[Text | None]
    note: NotRequired[Text | None]
    line_id: NotRequired[Name | None]


class ItemLine(LineShape):
    """A line that names its item and, if it likes, a place."""

    product_id: Uuid
    variant_id: NotRequired[Uuid | None]
    location_id: NotRequired[Uuid | None]


class PlacedLine(ItemLine):
    """A line of `order-placed`."""

    quantity: Count
    location_ids: NotRequired[Annotated[list[Uuid], Field(min_length=1, max_length=MAX_LINES)] | None]


class OrderLineShape(LineShape):
    """A line that means one of an order's: by line_id, or by product and variant."""

    product_id: NotRequired[Uuid | None]
    variant_id: NotRequired[Uuid | None]


class CancelledLine(OrderLineShape):
    """A line of `order-cancelled`; no quantity means all that is left. Its location_id is ignored."""

    quantity: NotRequired[Count | None]


class FulfilledLine(OrderLineShape):
    """A line of `order-fulfilled`."""

    quantity: Count
    location_id: NotRequired[Uuid | None]


class ReturnedLine(FulfilledLine):
    """A line of `return-received`."""

    condition: NotRequired[Literal["sellable", "damaged"] | None]


class RestockedLine(ItemLine):
    """A line of `restock`."""

    quantity: Count
    unit_cost: NotRequired[Money | None]
    currency: NotRequired[Currency | None]


class AdjustedLine(ItemLine):
    """A line of `stock-adjustment`; which signs fit depends on the type."""

    quantity: SignedCount
    expected_version: NotRequired[Version | None]


class OrderPlaced(Message):
    """An order, or with `amend` lines added to one. `decode` reads `expires_at`, which mode sale ignores."""

    order_id: Name
    reference_id: NotRequired[Name | None]
    mode: NotRequired[Literal["sale", "reserve"] | None]
    expires_at: NotRequired[Any]
    amend: NotRequired[bool | None]
    lines: Annotated[list[PlacedLine], Field(max_length=MAX_LINES)]


class OrderCancelled(Message):
    """A cancellation of named lines or, without lines, of the whole order."""

    order_id: Name
    reference_id: NotRequired[Name | None]
    lines: NotRequired[Annotated[list[CancelledLine], Field(min_length=1, max_length=MAX_LINES)] | None]


class OrderFulfilled(Message):
    """What left the building."""

    reference_id: Name
    order_id: Name
    lines: Annotated[list[FulfilledLine], Field(min_length=1, max_length=MAX_LINES)]


class ReturnReceived(Message):
    """What came back, of an order or blind."""

    reference_id: Name
    order_id: NotRequired[Name | None]
    lines: Annotated[list[ReturnedLine], Field(min_length=1, max_length=MAX_LINES)]


class Restock(Message):
    """What arrived."""

    reference_id: Name
    lines: Annotated[list[RestockedLine], Field(min_length=1, max_length=MAX_LINES)]


AdjustmentName = Literal[
    "adjustment",
    "damage",
    "expired",
    "sale",
    "reserved",
    "restock",
    "return",
    "unreserved",
    "received",
    "sold",
    "returned",
    "adjusted",
    "manual_adjustment",
]


class StockAdjustment(Message):
    """A change by hand."""

    reference_id: Name
    type: AdjustmentName
    atomic: NotRequired[bool | None]
    lines: Annotated[list[AdjustedLine], Field(min_length=1, max_length=MAX_LINES)]


class CountedLine(ItemLine):
    """A line of `stock-count`."""

    counted: Counted
    counted_at_version: NotRequired[Version | None]


class StockCount(Message):
    """What somebody counted."""

    reference_id: Name
    lines: Annotated[list[CountedLine], Field(min_length=1, max_length=MAX_LINES)]


class TransferredLine(LineShape):
    """A line of `stock-transfer`. Its location_id is ignored."""

    product_id: Uuid
    variant_id: NotRequired[Uuid | None]
    quantity: Count


class StockTransfer(Message):
    """Goods that go from one location to another."""

    reference_id: Name
    from_location_id: Uuid
    to_location_id: Uuid
    lines: Annotated[list[TransferredLine], Field(min_length=1, max_length=MAX_LINES)]


class CatalogMessage(TypedDict):
    """What the catalog says of a product or a variant. `decode` reads money."""

    __pydantic_config__ = ConfigDict(strict=True)  # type: ignore[misc] # pydantic's documented place for it

    site_id: Uuid
    product_id: Uuid
    variant_id: NotRequired[Uuid | None]
    name: Title
    variant_name: NotRequired[Title | None]
    sku: NotRequired[Title | None]
    options: NotRequired[dict[str, Any] | list[Any] | None]
    category_id: NotRequired[Name | None]
    category_name: NotRequired[Title | None]
    image_url: NotRequired[Text | None]
    unit_price: NotRequired[Money | None]
    cost_price: NotRequired[Money | None]
    track_inventory: NotRequired[bool | None]
    status: Literal["active", "archived"]
    revision: Revision


SHAPES: Final[dict[str, TypeAdapter[Any]]] = {
    topics.ORDER_PLACED: TypeAdapter(OrderPlaced),
    topics.ORDER_CANCELLED: TypeAdapter(OrderCancelled),
    topics.ORDER_FULFILLED: TypeAdapter(OrderFulfilled),
    topics.RETURN_RECEIVED: TypeAdapter(ReturnReceived),
    topics.RESTOCK: TypeAdapter(Restock),
    topics.STOCK_ADJUSTMENT: TypeAdapter(StockAdjustment),
    topics.STOCK_COUNT: TypeAdapter(StockCount),
    topics.STOCK_TRANSFER: TypeAdapter(StockTransfer),
    topics.PRODUCT_CHANGED: TypeAdapter(CatalogMessage),
}
"""The shape of each command topic."""
