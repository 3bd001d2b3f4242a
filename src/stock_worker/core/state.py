"""What a batch has loaded: the world in which its commands are decided. Law: only `booking` and `decide` change it.

Everything that a command may touch was named by `keys` and loaded before; a key that is missing here is a bug and
raises KeyError. Counters are units; the item's are the sums of its places'.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from stock_worker.core.model import Command, ItemKey, Level, Movement, MovementType, OrderKey, Outcome, Reference
from stock_worker.core.orders import Totals


@dataclass(slots=True)
class Place:
    """The stock of one item at one location. `stored` is False until a row exists."""

    on_hand: int = 0
    reserved: int = 0
    stored: bool = False


@dataclass(slots=True)
class Item:
    """An item under its lock. `level` is the level last emitted.

    `last_movement_type` is known once it has moved in this world. `movement_ids` is the series of its movements' ids,
    derived when the first is needed.
    """

    key: ItemKey
    item_id: int
    on_hand: int = 0
    reserved: int = 0
    version: int = 0
    revision: int = 0
    level: Level = Level.OK
    last_movement_at: datetime | None = None
    last_movement_type: MovementType | None = None
    places: dict[str, Place] = field(default_factory=dict)
    movement_ids: str = ""

    @property
    def available(self) -> int:
        """What can still be sold."""
        return self.on_hand - self.reserved


@dataclass(slots=True)
class Allocation:
    """Units of an order line taken at one location; a line's list is in the order in which they were taken."""

    location_id: str
    sold: int


@dataclass(slots=True)
class OrderLine:
    """A line of a placed order. `versions` are those of the item's movements that this line caused."""

    line_id: str
    position: int
    item: ItemKey
    totals: Totals
    allocations: list[Allocation]
    versions: list[int]
    stored: bool = False


@dataclass(slots=True)
class Order:
    """An order under its lock: a stub until it is placed, that is, until it has lines."""

    key: OrderKey
    order_pk: int
    cancelled_whole: bool = False
    lines: dict[str, OrderLine] = field(default_factory=dict)
    parked: list[Command] = field(default_factory=list)

    @property
    def placed(self) -> bool:
        """Whether a placement was accepted; a superseded one counts."""
        return bool(self.lines)


@dataclass(slots=True)
class Site:
    """The places of one tenant: `codes` by location. `stored` is False until its default location is a row."""

    site_id: str
    default_location_id: str
    codes: dict[str, str]
    stored: bool


class Decided(NamedTuple):
    """A command with its outcome, as it will be remembered."""

    command: Command
    outcome: Outcome


@dataclass(slots=True)
class Changes:
    """What the batch has changed so far, in the order in which it happened; `save` writes exactly this.

    `items` and `places` go by item_id.
    """

    movements: list[Movement] = field(default_factory=list)
    items: dict[int, Item] = field(default_factory=dict)
    places: dict[tuple[int, str], tuple[Item, Place]] = field(default_factory=dict)
    orders: dict[OrderKey, Order] = field(default_factory=dict)
    lines: dict[tuple[OrderKey, str], tuple[Order, OrderLine]] = field(default_factory=dict)
    decided: list[Decided] = field(default_factory=list)
    parked: dict[Reference, Command] = field(default_factory=dict)
    unparked: list[Reference] = field(default_factory=list)
    alerts: list["AlertChange"] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class AlertChange:
    """One change of an item's level, seen after one command, before the next; numbers are those of that moment."""

    item: ItemKey
    alert_id: str
    previous_level: Level
    level: Level
    on_hand: int
    reserved: int
    version: int
    revision: int
    command: Command


@dataclass(slots=True)
class World:
    """All that a batch may read and change, and the moment it is decided at (PostgreSQL's clock, after the locks)."""

    recorded_at: datetime
    sites: dict[str, Site] = field(default_factory=dict)
    items: dict[ItemKey, Item] = field(default_factory=dict)
    orders: dict[OrderKey, Order] = field(default_factory=dict)
    references: dict[Reference, bytes] = field(default_factory=dict)
    parked: dict[Reference, bytes] = field(default_factory=dict)
    changes: Changes = field(default_factory=Changes)
