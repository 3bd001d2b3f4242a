"""The words of the domain as values. Law: what a sender said is frozen; nothing here knows bytes, SQL or time of day.

Ids are canonical text (a UUID is lower case 8-4-4-4-12), quantities are integers, money is Decimal, times are aware
datetimes in UTC. Source: contract sections 1 to 3.
"""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple

from stock_worker.core.refusals import Code

MAX_QUANTITY: Final = 1_000_000_000
MAX_COUNTER: Final = 10**15
"""A counter beyond this, either way, is `counter_overflow`; it leaves 64-bit arithmetic a thousandfold of room."""
MAX_LINES: Final = 1_000


class MovementType(StrEnum):
    """The nine kinds of ledger row (contract section 2)."""

    ADJUSTMENT = "adjustment"
    SALE = "sale"
    RETURN = "return"
    RESTOCK = "restock"
    TRANSFER = "transfer"
    DAMAGE = "damage"
    EXPIRED = "expired"
    RESERVED = "reserved"
    UNRESERVED = "unreserved"


class Level(StrEnum):
    """Alert level of an item, from well to worst (contract rule 10)."""

    OK = "ok"
    LOW = "low"
    CRITICAL = "critical"
    OUT = "out"


class Mode(StrEnum):
    """What an order line does with stock: take it at once, or hold it until it is fulfilled (contract rule 5)."""

    SALE = "sale"
    RESERVE = "reserve"


class OutcomeKind(StrEnum):
    """What became of one record: the closed list of `stock_worker_commands_total{outcome}` (contract section 8)."""

    APPLIED = "applied"
    PARTLY_APPLIED = "partly_applied"
    NO_EFFECT = "no_effect"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"
    REJECTED = "rejected"
    CONFLICT = "conflict"
    DUPLICATE = "duplicate"
    PARKED = "parked"
    MALFORMED = "malformed"
    FAILED = "failed"


class ItemKey(NamedTuple):
    """What is counted; a product without variants has variant_id None."""

    site_id: str
    product_id: str
    variant_id: str | None

    @property
    def text(self) -> str:
        """The Kafka key of item events: `site/product/variant`, the last part empty when there is none."""
        return f"{self.site_id}/{self.product_id}/{self.variant_id or ''}"


class OrderKey(NamedTuple):
    """An order of a site, as its sender names it."""

    site_id: str
    order_id: str


class Reference(NamedTuple):
    """The idempotency key of one command, remembered for ever."""

    site_id: str
    type: str
    id: str


class Record(NamedTuple):
    """A Kafka record as it came: `topic` with the deployment's prefix, times in ms since the epoch, nothing decoded."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


class Source(NamedTuple):
    """Where a command came from: a Kafka position, or `http`, `cli` or `sweeper` as the topic and no position."""

    topic: str
    partition: int | None = None
    offset: int | None = None


class Line(NamedTuple):
    """One line of any command; contract section 3 says which fields a command knows, the others are None.

    `quantity` is a positive count, but signed on an adjustment of type `adjustment`; None on a cancellation means all
    that is left of the line; on a count it is what was counted, 0 or more. `location_ids` limits routing. `unit_cost`
    is money per unit in `currency`. `counted_at_version` is the item's version that the counter saw.
    """

    line_id: str | None
    product_id: str | None
    variant_id: str | None
    location_id: str | None
    quantity: int | None
    reason: str | None = None
    note: str | None = None
    damaged: bool = False
    unit_cost: Decimal | None = None
    currency: str | None = None
    expected_version: int | None = None
    location_ids: tuple[str, ...] | None = None
    counted_at_version: int | None = None


class CommandKind(StrEnum):
    """Which rule decides a command. EXPIRE is the sweeper's own; the others come by topic or HTTP."""

    PLACE = "place"
    AMEND = "amend"
    CANCEL = "cancel"
    FULFIL = "fulfil"
    RETURN = "return"
    RESTOCK = "restock"
    ADJUST = "adjust"
    COUNT = "count"
    TRANSFER = "transfer"
    EXPIRE = "expire"


@dataclass(frozen=True, slots=True)
class Command:
    """One decoded command: what is asked, under which reference, by whom, and where it came from.

    `order_id` is None where the command names no order; `lines` is None for a cancellation of the whole order;
    `adjustment` and `atomic` are used by ADJUST alone, `from_location_id` and `to_location_id` by TRANSFER; `mode` and
    `expires_at` by PLACE and AMEND (None: the site's, or the order's), and `expires_at` by EXPIRE, which asks for
    nothing unless it still is the order's. `fingerprint` is the hash of its meaning (contract rule 1). `record` is the
    Kafka record it was decoded from, None for the other entrances.
    """

    kind: CommandKind
    reference: Reference
    order_id: str | None
    lines: tuple[Line, ...] | None
    fingerprint: bytes
    occurred_at: datetime
    source: Source
    adjustment: MovementType | None = None
    atomic: bool = True
    actor: str | None = None
    actor_id: str | None = None
    reason: str | None = None
    note: str | None = None
    traceparent: str | None = None
    record: Record | None = None
    mode: Mode | None = None
    expires_at: datetime | None = None
    from_location_id: str | None = None
    to_location_id: str | None = None

    @property
    def site_id(self) -> str:
        """The tenant."""
        return self.reference.site_id

    @property
    def order_key(self) -> OrderKey | None:
        """The order that the command names, if any."""
        return None if self.order_id is None else OrderKey(self.reference.site_id, self.order_id)


@dataclass(frozen=True, slots=True)
class Malformed:
    """A record that is no command: `code` is MALFORMED, or INTERNAL_ERROR for one that a bisected batch left alone.

    `detail` says to a person what to mend. It is dead-lettered and leaves no reference.
    """

    record: Record
    detail: str
    code: Code = Code.MALFORMED


class CatalogEntry(NamedTuple):
    """What the catalog says of an item; money in the site's currency. `revision` is None until a message had one."""

    name: str | None
    variant_name: str | None
    sku: str | None
    options: str | None
    category_id: str | None
    category_name: str | None
    image_url: str | None
    unit_price: Decimal | None
    cost_price: Decimal | None
    track_inventory: bool
    archived: bool
    revision: int | None


@dataclass(frozen=True, slots=True)
class ProductChanged:
    """A record of the catalog's topic: the item's new entry, or None where a null value archives it.

    It has no reference: the revision within the entry says whether it is news (contract section 3).
    """

    item: ItemKey
    entry: CatalogEntry | None
    record: Record


Entry = Command | ProductChanged | Malformed
"""What a record of a command topic is decoded to."""


class Movement(NamedTuple):
    """One immutable ledger row (contract section 2). `quantity` is the signed effect on available.

    `net_sold` is what the item has sold, less what was cancelled and came back, over its whole life; `cost_ignored`
    says that the inflow's cost could not be used (rule 12). Both are not among the contract's fields of a movement.
    """

    movement_id: str
    item: ItemKey
    location_id: str
    version: int
    type: MovementType
    quantity: int
    previous_stock: int
    new_stock: int
    on_hand: int
    reserved: int
    location_on_hand: int
    location_reserved: int
    unit_cost: Decimal | None
    average_cost: Decimal | None
    costed_quantity: int
    order_id: str | None
    line_id: str | None
    reason: str | None
    note: str | None
    recorded_at: datetime
    last_of_command: bool
    command: Command
    net_sold: int
    cost_ignored: bool


class RejectedLine(NamedTuple):
    """One failing line: what was asked, what there was, and by how much it fell short."""

    line_id: str | None
    product_id: str | None
    variant_id: str | None
    location_id: str | None
    requested: int | None
    available: int | None
    shortfall: int | None
    code: Code
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one command. `rejected` is filled for REJECTED, CONFLICT and PARTLY_APPLIED alone.

    `movements` are the rows it booked, in the order written. `released` are the commands that waited for the order that
    it placed, in the order decided, with what became of each.
    """

    kind: OutcomeKind
    code: Code | None = None
    message: str | None = None
    rejected: tuple[RejectedLine, ...] = ()
    movements: tuple[Movement, ...] = field(default=(), repr=False)
    released: "tuple[tuple[Command, Outcome], ...]" = field(default=(), repr=False)
