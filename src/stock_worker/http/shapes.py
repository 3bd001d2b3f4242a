"""The shapes of answers. Law: what is answered is written down here, with what it means, and OpenAPI says the same.

Names are those of contract section 2, but for reports and forms, which have the names of the admin's reference
documents. Money is decimal text, times are UTC. Source: contract section 7.
"""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from stock_worker.core.model import MovementType

Id = UUID
Money = Annotated[
    Decimal, Field(examples=["12.50"]), PlainSerializer(lambda value: format(value, "f"), return_type=str)
]


class Shape(BaseModel):
    """What every answer has in common: it is made of rows as they are."""

    model_config = ConfigDict(from_attributes=True)


class Position(Shape):
    """Where a Kafka record is."""

    topic: str
    partition: int
    offset: int


class Booked(Shape):
    """What a row of the ledger says, whoever asks. `quantity` is the signed effect on available."""

    version: int
    type: MovementType
    quantity: int
    previous_stock: int
    new_stock: int
    on_hand: int
    reserved: int
    location_id: Id
    unit_cost: Money | None
    average_cost: Money | None
    costed_quantity: int
    reference_type: str
    reference_id: str
    order_id: str | None
    line_id: str | None
    reason: str | None
    note: str | None
    actor: str | None
    source: Position | str
    occurred_at: datetime
    recorded_at: datetime
    last_of_command: bool


class Movement(Booked):
    """A row of the ledger: who, what, when and why."""

    movement_id: Id
    site_id: Id
    product_id: Id
    variant_id: Id | None
    name: str | None
    variant_name: str | None
    sku: str | None
    image_url: str | None
    location_on_hand: int
    location_reserved: int
    actor_id: Id | None


class RefusedLine(Shape):
    """A line that failed: `available` is what there was, `shortfall` how much was missing."""

    line_id: str | None
    product_id: Id | None
    variant_id: Id | None
    location_id: Id | None
    requested: int | None
    available: int | None
    shortfall: int | None
    code: str
    detail: str | None


class Written(Shape):
    """What became of a command. `repeated`: it was decided before, and this is the first answer again.

    `code`, `message` and `lines` say what was refused of one that is `partly_applied`; `rows` are what was booked.
    """

    outcome: Annotated[str, Field(examples=["applied"])]
    repeated: bool
    reference_type: str
    reference_id: str
    code: str | None
    message: str | None
    lines: list[RefusedLine]
    rows: list[Movement]


class LineResult(Shape):
    """What became of one line of many. `error` says why it was refused, `code` says it to a program."""

    line_id: str
    product_id: Id
    variant_id: Id | None
    success: bool
    code: str | None
    error: str | None
    rows: list[Movement]


class WrittenInBulk(Written):
    """What became of a command line by line. `success` is whether every line was booked."""

    success: bool
    results: list[LineResult]


class ProblemDetails(Shape):
    """What is wrong (RFC 9457). `code` is for a program: the refusal's where a command is refused."""

    model_config = ConfigDict(extra="allow")

    type: Annotated[str, Field(examples=["urn:stock-worker:problem:refused"])]
    title: str
    status: int
    detail: str
    code: Annotated[str, Field(examples=["insufficient_stock"])]
    lines: list[RefusedLine] | None = None
    errors: list[dict[str, Any]] | None = None
