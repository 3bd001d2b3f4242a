"""The shapes of reports. Law: a field that the admin's reference document names has its name here.

Quantities are on_hand; value is at cost, but for a valuation's total_value, which is at price.
Source: contract section 7.
"""

from datetime import date, datetime
from typing import Annotated

from pydantic import Field

from stock_worker.http.pages import Pagination
from stock_worker.http.shapes import Id, Money, Shape
from stock_worker.http.shapes_items import ReportItem


class InventorySummary(Shape):
    """All tracked items of the site, whatever the filters find; the four counts are of disjoint levels."""

    total_products: int
    total_variants: int
    total_quantity: int
    total_value: Money
    in_stock_count: int
    low_stock_count: int
    critical_stock_count: int
    out_of_stock_count: int


class InventoryReport(Shape):
    """A page of tracked items, and what all of them come to."""

    items: list[ReportItem]
    summary: InventorySummary
    pagination: Pagination


class CategoryValue(Shape):
    """What a category's stock is worth at cost; its id is null for items that have none."""

    category_id: str | None
    category_name: str
    quantity: int
    value: Money


class StockValuation(Shape):
    """What lies there: `total_value` at price, `total_cost` at cost, units above 0.

    `uncosted_units` are of unknown cost and in no figure of cost; `catalog_costed_units` have none of their own and are
    valued at the catalog's cost price; `unpriced_units` have no price and are not in total_value; `negative_units` are
    what negative stock is short of, and have no value.
    """

    total_value: Money
    total_cost: Money
    potential_profit: Money
    total_units: int
    uncosted_units: int
    catalog_costed_units: int
    unpriced_units: int
    negative_units: int
    by_category: list[CategoryValue]
    currency: str | None
    as_of: datetime | None


class ReportPeriod(Shape):
    """From when, and up to before when; days are those of the time zone."""

    start: datetime
    end: datetime
    timezone: Annotated[str, Field(examples=["Europe/Berlin"])]


class TypeTotal(Shape):
    """How many movements of a type, and how many units they moved, in either direction."""

    count: int
    total_quantity: int


class DayFlow(Shape):
    """What came in and went out on one day of the site."""

    date: date
    in_quantity: int
    out_quantity: int
    net_change: int


class TopMover(Shape):
    """A product with all its variants, and how much of it came in and went out."""

    product_id: Id
    product_name: str | None
    total_out: int
    total_in: int


class StockMovementReport(Shape):
    """What moved: every type, the days that had a flow, and up to ten products that flowed most.

    Reserved, unreserved and transfer are shown by type, and are no flow.
    """

    period: ReportPeriod
    movements_by_type: dict[str, TypeTotal]
    daily_movements: list[DayFlow]
    top_movers: list[TopMover]


class AlertedProduct(Shape):
    """An item that is short. `threshold` is the one asked for, else the one that made its level."""

    product_id: Id
    variant_id: Id | None
    product_name: str | None
    variant_name: str | None
    sku: str | None
    current_stock: int
    alert_level: Annotated[str, Field(examples=["critical"])]
    threshold: int
    image_url: str | None
    last_movement_at: datetime | None
    days_until_stockout: float | None


class AlertedProducts(Shape):
    """A page of items that are short."""

    items: list[AlertedProduct]
    pagination: Pagination


class ReorderLine(Shape):
    """What is at or below its reorder point: an item as a whole (location_id is null), or at one location.

    `reorder_quantity` is the rule's of the item, null where none says how much.
    """

    product_id: Id
    variant_id: Id | None
    name: str | None
    variant_name: str | None
    sku: str | None
    image_url: str | None
    location_id: Id | None
    location_code: str | None
    location_name: str | None
    bin_location: str | None
    on_hand: int
    reserved: int
    available: int
    reorder_point: int
    reorder_quantity: int | None
    alert_level: str


class ReorderReport(Shape):
    """A page of what is to be reordered, by name; an item stands before its locations."""

    items: list[ReorderLine]
    pagination: Pagination
