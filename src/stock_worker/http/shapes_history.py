"""The shapes of what happened and of what is open. Law: as in `shapes`; quantities are units.

Source: contract sections 2 and 7, rules 5, 6 and 8.
"""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BeforeValidator, Field, StringConstraints

from stock_worker.core.model import Level, Mode, MovementType
from stock_worker.http.pages import LIMIT, LIMIT_MAX, Pagination
from stock_worker.http.shapes import Booked, Id, Money, Movement, Position, RefusedLine, Shape
from stock_worker.wire.values import NAME_MAX_CHARACTERS, NAME_PATTERN, UUID_PATTERN, Name, instant
from stock_worker.wire.words import TIME_WORDS


def _instant(value: object) -> datetime:
    found = instant(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(TIME_WORDS)
    return found


Instant = Annotated[datetime, BeforeValidator(_instant)]
ReferenceId = Annotated[
    str,
    StringConstraints(
        min_length=1, max_length=NAME_MAX_CHARACTERS + len("@9999-12-31T23:59:59.999999Z"), pattern=NAME_PATTERN
    ),
]
"""A reference_id as it is asked for: an expiry's is an order_id with a time."""


class MovementsAsked(Shape):
    """Which rows of the ledger are asked for; all filters must hold."""

    product_id: Annotated[UUID | None, Field(description="All its variants, unless variant_id says which.")] = None
    variant_id: Annotated[
        str | None,
        Field(
            pattern=f"{UUID_PATTERN}|^none$", description="With product_id: one variant, or `none`, without variant."
        ),
    ] = None
    type: Annotated[
        list[MovementType],
        Field(default_factory=list, max_length=len(MovementType), description="One or several."),
    ]
    since: Annotated[Instant | None, Field(alias="from", description="Recorded then or later.")] = None
    until: Annotated[Instant | None, Field(alias="to", description="Recorded before then.")] = None
    order_id: Annotated[Name | None, Field(description="Rows that this order caused.")] = None
    reference_type: Annotated[Name | None, Field(description="With reference_id: rows that this command wrote.")] = None
    reference_id: Annotated[ReferenceId | None, Field(description="See reference_type.")] = None
    location_id: Annotated[UUID | None, Field(description="Rows of this place.")] = None
    cursor: Annotated[str | None, Field(max_length=200, description="`next_cursor` of the page before.")] = None
    limit: Annotated[int, Field(ge=1, le=LIMIT_MAX, description="How many at most.")] = LIMIT


class Movements(Shape):
    """A page of the ledger, newest first. `total` is that of all pages, exact up to 10,000."""

    movements: list[Movement]
    next_cursor: str | None
    total: int
    total_is_exact: bool


class Named(Shape):
    """An item with what the catalog calls it."""

    product_id: Id
    variant_id: Id | None
    name: str | None
    variant_name: str | None
    sku: str | None
    image_url: str | None


class Allocation(Shape):
    """Units of a line at one place: sold from there, reserved there, given back to it, come back to it."""

    location_id: Id
    code: str
    name: str
    sold: int
    reserved: int
    given_back: int
    returned: int


class OrderLine(Named):
    """A line by rule 5: placed = reserved + sold + cancelled + expired. `location_id` is what its sender named.

    A line that is not `tracked` moves nothing, whatever its figures are.
    """

    line_id: str
    mode: Mode
    tracked: bool
    location_id: Id | None
    placed: int
    cancelled: int
    fulfilled: int
    returned: int
    reserved: int
    sold: int
    expired: int
    allocations: list[Allocation]


class ParkedCommand(Shape):
    """A command that waits for its order, where it came from, and when the waiting ends by itself."""

    reference_type: str
    reference_id: str
    order_id: str
    topic: str
    partition: int
    offset: int
    parked_at: datetime
    ends_at: datetime


class Refusal(Shape):
    """Why a placement was refused."""

    code: str
    message: str | None
    lines: list[RefusedLine]
    decided_at: datetime


class Order(Shape):
    """An order. Not `placed`: only named, cancelled before it came, or refused (`refusal`, of its own reference).

    `parked` are the commands that wait for it, the first 200 in the order in which they will be decided.
    """

    order_id: str
    placed: bool
    mode: Mode | None
    cancelled_whole: bool
    expires_at: datetime | None
    lines: list[OrderLine]
    parked: list[ParkedCommand]
    refusal: Refusal | None


class UnitsAt(Shape):
    """Units at one place."""

    location_id: Id
    code: str
    units: int


class Reservation(Shape):
    """Units that an order's line holds, until it expires, and where."""

    order_id: str
    line_id: str
    units: int
    expires_at: datetime | None
    locations: list[UnitsAt]


class Reservations(Shape):
    """What holds an item: reserved = by_orders + by_hand. `reservations` is a page of order lines, oldest first."""

    item: Named
    reserved: int
    by_orders: int
    by_hand: int
    reservations: list[Reservation]
    holds: list[UnitsAt]
    pagination: Pagination


class ReferenceTold(Shape):
    """What became of a command: `outcome` with the rows it wrote, or why it was refused, and where it came from.

    One that waits for its order is `parked`; it has `parked_at` and `ends_at`, and no `decided_at` yet.
    """

    reference_type: str
    reference_id: str
    outcome: Annotated[str, Field(examples=["applied"])]
    code: str | None
    message: str | None
    lines: list[RefusedLine]
    rows: list[Movement]
    order_id: str | None
    source: Position | str
    decided_at: datetime | None
    parked_at: datetime | None
    ends_at: datetime | None


class Parked(Shape):
    """A page of the commands that wait for their orders, the longest first. `total` is exact up to 10,000."""

    parked: list[ParkedCommand]
    next_cursor: str | None
    total: int
    total_is_exact: bool


class ExplainedItem(Shape):
    """An item as it stands."""

    site_id: Id
    product_id: Id
    variant_id: Id | None
    name: str | None
    variant_name: str | None
    sku: str | None
    track_inventory: bool
    archived: bool
    on_hand: int
    reserved: int
    available: int
    version: int
    revision: int
    average_cost: Money | None
    costed_quantity: int
    last_movement_at: datetime | None


class ExplainedPlace(Shape):
    """What lies at one place; `held` is the part of reserved that people hold."""

    location_id: Id
    code: str
    name: str
    is_active: bool
    on_hand: int
    reserved: int
    held: int
    bin_location: str | None
    reorder_point: int | None
    last_counted_at: datetime | None


class Said(Shape):
    """A figure, and who says so: variant, product, site, settings or built-in."""

    value: int
    source: Annotated[str, Field(alias="from", examples=["product"])]


class Thresholds(Shape):
    """Available at or below which an item is at a level."""

    low: Said
    critical: Said
    out: Said


class ExplainedLevel(Shape):
    """The level that shows, the one last emitted, and why; `since` is when it came to it."""

    level: Level
    emitted: Level
    alert_id: Id | None
    since: datetime | None
    last_alerted_at: datetime | None
    why: str
    thresholds: Thresholds
    backorder_limit: Said


class ExplainedMovement(Booked):
    """A row of the item's ledger with what became of the command that wrote it."""

    outcome: str | None
    code: str | None


class HeldAt(Shape):
    """Units at one place."""

    location_id: Id
    units: int


class Holder(Shape):
    """A line of an order that holds some of the item."""

    order_id: str
    line_id: str
    placed: int
    cancelled: int
    fulfilled: int
    returned: int
    expired: bool
    expires_at: datetime | None
    reserved: list[HeldAt]


class Explained(Shape):
    """Why this number and why this level: every figure with the rows that made it, down to the message."""

    item: ExplainedItem
    places: list[ExplainedPlace]
    level: ExplainedLevel
    movements: list[ExplainedMovement]
    held_by: list[Holder]
