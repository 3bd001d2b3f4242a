"""What a batch has loaded: the world in which its commands are decided. Law: only `booking` and `decide` change it.

Everything that a command may touch was named by `keys` and loaded before; a key that is missing here is a bug and
raises KeyError. Counters are units; the item's are the sums of its places'.
"""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from stock_worker.core.model import (
    CatalogEntry,
    Command,
    ItemKey,
    Level,
    Mode,
    Movement,
    MovementType,
    OrderKey,
    Outcome,
    Reference,
)
from stock_worker.core.orders import Totals
from stock_worker.core.policy import NO_SETTINGS, PLAIN, ItemPolicy, Settings


@dataclass(slots=True)
class Place:
    """The stock of one item at one location; `held` is the part of `reserved` that people hold.

    `counted_at` is set when a count of this world looked at it. `stored` is False until a row exists.
    """

    on_hand: int = 0
    reserved: int = 0
    held: int = 0
    counted_at: datetime | None = None
    stored: bool = False


@dataclass(slots=True)
class Item:
    """An item under its lock. `level` is the one that shows, `emitted` the one last emitted, `stay` counts its stays.

    `average_cost` is None until an inflow had a cost; `costed` units of `on_hand` are valued at it. `net_sold` is what
    was sold, less what was cancelled and came back. `catalog_revision` counts the changes of its catalog entry, ours
    and not the sender's; None without one. `last_movement_type` is known once it has moved in this world.
    `movement_ids` is the series of its movements' ids, derived when the first is needed.
    """

    key: ItemKey
    item_id: int
    on_hand: int = 0
    reserved: int = 0
    version: int = 0
    revision: int = 0
    level: Level = Level.OK
    emitted: Level = Level.OK
    stay: int = 0
    costed: int = 0
    net_sold: int = 0
    average_cost: Decimal | None = None
    catalog_revision: int | None = None
    first_movement_at: datetime | None = None
    last_movement_at: datetime | None = None
    last_movement_type: MovementType | None = None
    policy: ItemPolicy = PLAIN
    places: dict[str, Place] = field(default_factory=dict)
    movement_ids: str = ""

    @property
    def available(self) -> int:
        """What can still be sold."""
        return self.on_hand - self.reserved


@dataclass(slots=True)
class Allocation:
    """Units of an order line at one location; a line's list says in which order they came to be there.

    `sold` units were sold from there and `reserved` are held there; `given_back` were, and are not sold again;
    `returned` of the sold ones came back.
    """

    location_id: str
    sold: int = 0
    reserved: int = 0
    given_back: int = 0
    returned: int = 0


@dataclass(slots=True)
class OrderLine:
    """A line of a placed order. `versions` are those of the item's movements that this line caused.

    `location_id` is the place that its sender named; `tracked` is whether the item was when the line was placed;
    `expired` is E of rule 5, for mode reserve alone.
    """

    line_id: str
    position: int
    item: ItemKey
    totals: Totals
    allocations: list[Allocation]
    versions: list[int]
    mode: Mode = Mode.SALE
    expired: bool = False
    tracked: bool = True
    location_id: str | None = None
    stored: bool = False

    @property
    def reserved(self) -> int:
        """The units that the line holds."""
        return sum(allocation.reserved for allocation in self.allocations)


@dataclass(slots=True)
class Order:
    """An order under its lock: a stub until it is placed, that is, until it has lines.

    `mode` is what its placement said or took from the site. `expires_at` is None where it never expires, `due_at` is
    the same while something is reserved.
    """

    key: OrderKey
    order_pk: int
    cancelled_whole: bool = False
    mode: Mode = Mode.SALE
    expires_at: datetime | None = None
    due_at: datetime | None = None
    lines: dict[str, OrderLine] = field(default_factory=dict)
    parked: list[Command] = field(default_factory=list)

    @property
    def placed(self) -> bool:
        """Whether a placement was accepted; a superseded or expired one counts."""
        return bool(self.lines)


@dataclass(slots=True)
class Location:
    """A place of a site. `stored` is False until a row exists as it is here."""

    location_id: str
    code: str
    priority: int
    active: bool = True
    stored: bool = True


@dataclass(slots=True)
class Site:
    """One tenant: its locations and settings. `routing` are its active locations, the first to sell from first."""

    site_id: str
    default_location_id: str
    locations: dict[str, Location]
    settings: Settings = NO_SETTINGS
    routing: list[str] = field(init=False)

    def __post_init__(self) -> None:
        """Put the active locations in order."""
        self.route()

    def route(self) -> None:
        """Order the active locations by (priority, code, id), again after one was opened (contract rule 7)."""
        active = [location for location in self.locations.values() if location.active]
        active.sort(key=lambda location: (location.priority, location.code, location.location_id))
        self.routing = [location.location_id for location in active]

    def is_active(self, location_id: str) -> bool:
        """Whether the site has this location, in use."""
        location = self.locations.get(location_id)
        return location is not None and location.active


class Decided(NamedTuple):
    """A command with its outcome, as it will be remembered."""

    command: Command
    outcome: Outcome


@dataclass(slots=True)
class Changes:
    """What the batch has changed so far, in the order in which it happened; `save` writes exactly this.

    `items` (those to be told by `stock-level`) and `places` go by item_id; `levels` are the items whose level, emitted
    or not, changed; `averages` those whose average cost did. `orders` are those whose own row changed.
    """

    movements: list[Movement] = field(default_factory=list)
    items: dict[int, Item] = field(default_factory=dict)
    places: dict[tuple[int, str], tuple[Item, Place]] = field(default_factory=dict)
    levels: dict[int, "LevelChange"] = field(default_factory=dict)
    averages: dict[int, Item] = field(default_factory=dict)
    orders: dict[OrderKey, Order] = field(default_factory=dict)
    lines: dict[tuple[OrderKey, str], tuple[Order, OrderLine]] = field(default_factory=dict)
    locations: dict[tuple[str, str], Location] = field(default_factory=dict)
    catalog: dict[ItemKey, CatalogEntry] = field(default_factory=dict)
    decided: list[Decided] = field(default_factory=list)
    parked: dict[Reference, Command] = field(default_factory=dict)
    unparked: list[Reference] = field(default_factory=list)
    alerts: list["AlertChange"] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class LevelChange:
    """An item whose level, shown or emitted, changed in this batch.

    `since` is when the stay began, `alerted_at` when a level other than ok was last emitted; None where that was not in
    this batch.
    """

    item: Item
    alert_id: str
    since: datetime | None
    alerted_at: datetime | None


@dataclass(frozen=True, slots=True)
class AlertChange:
    """One emitted change of an item's level, seen after one command; numbers are those of that moment.

    `command` is None where a rule, a setting or the catalog was the cause. `at` is the moment that days count from.
    """

    item: Item
    alert_id: str
    previous_level: Level
    level: Level
    on_hand: int
    reserved: int
    version: int
    revision: int
    net_sold: int
    policy: ItemPolicy
    at: datetime
    command: Command | None


@dataclass(slots=True)
class World:
    """All that a batch may read and change, and the moment it is decided at (PostgreSQL's clock, after the locks).

    `windows` tells counts by how much on_hand moved until this batch, counts aside, by (item_id, location_id,
    counted_at_version). `catalog` has the entries of items that the batch's catalog records name. `sold_before` is an
    item's net_sold 30 days ago, where it was moving then; it is filled in for the items whose level changed.
    """

    recorded_at: datetime
    sites: dict[str, Site] = field(default_factory=dict)
    items: dict[ItemKey, Item] = field(default_factory=dict)
    orders: dict[OrderKey, Order] = field(default_factory=dict)
    references: dict[Reference, bytes] = field(default_factory=dict)
    parked: dict[Reference, bytes] = field(default_factory=dict)
    windows: dict[tuple[int, str, int], int] = field(default_factory=dict)
    catalog: dict[ItemKey, CatalogEntry] = field(default_factory=dict)
    sold_before: dict[int, int] = field(default_factory=dict)
    changes: Changes = field(default_factory=Changes)
