"""What can be wrong with the stored stock. Law: each finding has a kind of this list, each kind is one law broken.

The text of a kind is its name in `verify --json` and in logs.
"""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """One law of the ledger, of an item, of an order line or of a reference (contract section 2, rules 1, 5 and 10)."""

    # rows of the ledger, one after the other
    VERSION_GAP = "version_gap"  # versions of an item are 1, 2, 3 … without gaps
    PREVIOUS_STOCK = "previous_stock"  # a row starts at what the row before it left
    QUANTITY = "quantity"  # previous_stock + quantity = new_stock
    NEW_STOCK = "new_stock"  # new_stock = on_hand - reserved
    ON_HAND_STEP = "on_hand_step"  # on_hand moves by quantity, but not for reserved and unreserved
    RESERVED_STEP = "reserved_step"  # reserved moves by -quantity for these two, and for no other
    LOCATION_ON_HAND_STEP = "location_on_hand_step"  # the same at the row's location
    LOCATION_RESERVED_STEP = "location_reserved_step"
    NET_SOLD_STEP = "net_sold_step"  # net_sold moves by -quantity for sales and returns, and for no other
    COST = "cost"  # unit_cost, average_cost and costed_quantity are what rule 12 makes of the rows before
    TIME_WENT_BACK = "time_went_back"  # recorded_at never decreases per item
    SITE = "site"  # what belongs together is of one site
    MOVEMENT_WITHOUT_ITEM = "movement_without_item"

    # items and their locations
    ITEM_VERSION = "item_version"  # an item's version is that of its last row
    ITEM_COUNTERS = "item_counters"  # an item's counters are those of its last row
    ITEM_MOVED_AT = "item_moved_at"  # first and last movement are those of the ledger
    ITEM_COST = "item_cost"  # an item's average, costed units and net sales are those of its last row
    LEVEL = "level"  # the level is the answer of the item's thresholds to what is available
    REVISION = "revision"  # an item that moved was published
    LOCATION_COUNTERS = "location_counters"  # a location's counters are those of its last row
    LOCATION_HELD = "location_held"  # what people hold at a location is what they reserved there and did not release
    DAILY_TOTALS = "daily_totals"  # the days' totals of a location and type add up to the ledger's
    LOCATION_SUM = "location_sum"  # an item's counters are the sums of its locations'
    LOCATION_UNKNOWN = "location_unknown"  # stock lies at locations of the site

    # lines of orders
    LINE_SOLD = "line_sold"  # what the ledger sold for a line is what rule 5 computes from its totals
    LINE_RESERVED = "line_reserved"  # what the ledger keeps for a line is what rule 5 computes from its totals
    LINE_RETURNED = "line_returned"  # what came back for a line is its total R
    LINE_DAMAGED = "line_damaged"  # no more is damaged than came back
    LINE_PLACED = "line_placed"  # P = reserved + sold + cancelled + expired
    LINE_ALLOCATIONS = "line_allocations"  # what a line says it holds, place by place, is what it sold
    LINE_VERSIONS = "line_versions"  # a line lists the rows that carry it, all of them, and no others
    ORDER_DUE = "order_due"  # an order is due at its time if and only if it holds something
    LINE_WITHOUT_ORDER = "line_without_order"
    PARKED_OF_A_PLACED_ORDER = "parked_of_a_placed_order"  # a placement decides what was parked for it
    PARKED_AND_DECIDED = "parked_and_decided"  # a reference is parked or decided, never both

    # references
    MOVEMENT_REFERENCE = "movement_reference"  # each row is listed by the reference that it carries
    REFERENCE_MOVEMENTS = (
        "reference_movements"  # each row that a reference lists exists, carries it, and is listed once
    )
    REFERENCE_ORDER = "reference_order"  # a row's order is its reference's
    REFERENCE_NOT_PLACED = "reference_not_placed"  # an accepted placement left an order with lines
    LAST_OF_COMMAND = "last_of_command"  # the last row of a command for an item says so, and no other


@dataclass(frozen=True, slots=True)
class Drift:
    """One finding: the law, whose row (in words a person can search for), and what was expected and found."""

    kind: Kind
    subject: str
    detail: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.subject}: {self.detail} (expected {self.expected}, found {self.found})"


def item_words(site_id: object, product_id: object, variant_id: object) -> str:
    """An item as its Kafka key names it."""
    return f"item {site_id}/{product_id}/{variant_id or ''}"
