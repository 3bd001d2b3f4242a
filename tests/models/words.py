"""What the model says of a command, as values. Law: nothing here decides; who compares picks what is promised."""

from decimal import Decimal
from typing import Final, NamedTuple

Item = tuple[str, str | None]
Spot = tuple[Item, str]
"""An item at a location."""
Reference = tuple[str, str]

PRECEDENCE: Final = (
    "order_already_placed",
    "unknown_line",
    "location_required",
    "unknown_location",
    "inactive_location",
    "same_location",
    "version_conflict",
    "unknown_version",
    "exceeds_placed",
    "exceeds_cancellable",
    "exceeds_returnable",
    "exceeds_reserved",
    "insufficient_stock",
    "counter_overflow",
    "order_never_placed",
)
"""Contract section 5, without the codes of what is no command or was one already."""


class Moved(NamedTuple):
    """One movement. The counters, the average and the costed units are the item's after it.

    `quantity` is the signed effect on available. `cost_ignored` says that the inflow had a cost that was not used.
    """

    item: Item
    location: str
    type: str
    quantity: int
    line_id: str | None = None
    unit_cost: Decimal | None = None
    cost_ignored: bool = False
    on_hand: int = 0
    reserved: int = 0
    average_cost: Decimal | None = None
    costed: int = 0


class Alert(NamedTuple):
    """One emitted change of an item's level: from the level last emitted, because of a movement or of a rule.

    `scope` is where the threshold came from that made the level, `episode` which of the item's stays this is, `days`
    how long the stock lasts.
    """

    item: Item
    previous: str
    level: str
    cause: str = "movement"
    scope: str = "default"
    episode: int = 1
    days: Decimal | None = None


class Failed(NamedTuple):
    """One failing line by its 0-based position: what was asked and by how much it fell short, where that is told."""

    position: int
    code: str
    requested: int | None = None
    shortfall: int | None = None
    available: int | None = None
    detail: str | None = None


class Expected(NamedTuple):
    """What must become of one command; `followed` are the parked commands that it set free, in order.

    `told` are the items whose newest state must be published.
    """

    outcome: str
    code: str | None = None
    moved: tuple[Moved, ...] = ()
    alerts: tuple[Alert, ...] = ()
    failed: tuple[Failed, ...] = ()
    followed: tuple[tuple[Reference, "Expected"], ...] = ()
    told: tuple[Item, ...] = ()


class Refused(Exception):  # noqa: N818 - a refusal is an answer, not an error
    """A line cannot be met: its code, and what `Failed` tells beside it."""

    def __init__(
        self,
        code: str,
        requested: int | None = None,
        shortfall: int | None = None,
        available: int | None = None,
        detail: str | None = None,
    ) -> None:
        super().__init__(code)
        self.told = (code, requested, shortfall, available, detail)
