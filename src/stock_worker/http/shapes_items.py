"""The shapes of items. Law: an item in a list has the field names of the admin's inventory report.

`quantity` is on_hand, `reserved_quantity` reserved, `available_quantity` available. Source: contract section 7.
"""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, Field

from stock_worker.http.pages import Pagination
from stock_worker.http.shapes import Id, Money, Shape


class ItemPlace(Shape):
    """What of an item lies at one place."""

    location_id: Id
    code: str
    name: str
    on_hand: int
    reserved: int
    available: int
    bin_location: str | None
    reorder_point: int | None
    last_counted_at: datetime | None


class ReportItem(Shape):
    """An item as the admin's inventory report has it.

    `unit_cost` is the average cost, else the catalog's cost price; `total_value` is what lies there at cost as far as
    that is known (null where nothing of it is), `uncosted_quantity` how many units of it are of unknown cost.
    `alert_level` is null where a past state is told.
    """

    product_id: Id
    variant_id: Id | None
    name: str | None
    variant_name: str | None
    sku: str | None
    category_id: str | None
    category_name: str | None
    quantity: int
    reserved_quantity: int
    available_quantity: int
    unit_cost: Money | None
    total_value: Money | None
    uncosted_quantity: int
    low_stock_threshold: int
    alert_level: Annotated[str | None, Field(examples=["low"])]
    last_movement_at: datetime | None
    last_movement_type: str | None
    image_url: str | None


class Item(ReportItem):
    """An item with where it lies. `version` is the number of its movements."""

    options: Any
    track_inventory: bool
    archived: bool
    version: int
    last_counted_at: datetime | None
    locations: list[ItemPlace]


class ItemThen(Item):
    """An item as it is, or as the ledger had it at `as_of`; names, notes and rules are today's."""

    as_of: datetime | None


class ItemList(Shape):
    """A page of items."""

    items: list[Item]
    pagination: Pagination


class AskedItem(BaseModel):
    """An item that is asked for."""

    product_id: UUID
    variant_id: UUID | None = None


class AskedAvailability(BaseModel):
    """Which items; their answers come in this order."""

    items: Annotated[list[AskedItem], Field(min_length=1, max_length=1000)]


class Availability(Shape):
    """What can be had of an item. `sellable` is available with what may be backordered; null: it is not tracked.

    An item that was never seen has nothing, at version 0.
    """

    product_id: Id
    variant_id: Id | None
    on_hand: int
    reserved: int
    available: int
    sellable: int | None
    track_inventory: bool
    level: Annotated[str, Field(examples=["ok"])]
    version: int


class Availabilities(Shape):
    """What can be had of each of the items asked for, in their order."""

    items: list[Availability]
