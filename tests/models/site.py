"""The state of one site, and the end of every command. Law: a trial is taken over whole, or refused with one code.

A refusal changes nothing; what is taken over becomes ledger rows, versions and, once per item, a level.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import Any, Final, NamedTuple

from tests.models.levels import Mood, Policy
from tests.models.orders import Order
from tests.models.places import Book
from tests.models.trial import HOLDING, Trial
from tests.models.words import PRECEDENCE, Alert, Expected, Item, Reference, Spot

WINDOW: Final = timedelta(days=30)
DAY: Final = timedelta(days=1)
MICROSECOND: Final = timedelta(microseconds=1)


class Entry(NamedTuple):
    """A ledger row as later commands need it: `on_hand` is its effect on that, `counted` says that a count wrote it."""

    place: str
    type: str
    quantity: int
    on_hand: int
    counted: bool
    at: datetime


class Site:
    """Everything that is remembered of one site."""

    def __init__(self, default: str = "default") -> None:
        self.book = Book(default)
        self.policy = Policy()
        self.ledger: dict[Item, list[Entry]] = {}
        self.mood: dict[Item, Mood] = {}
        self.counted_at: dict[Spot, datetime] = {}
        self.catalog: dict[Item, dict[str, Any]] = {}
        self.orders: dict[str, Order] = {}
        self.known: dict[Reference, str] = {}
        self.waiting: dict[Reference, str] = {}
        self.limits_changed: dict[Item, None] = {}

    # ------------------------------------------------------------ what is asked of it

    def version(self, item: Item) -> int:
        """The number of an item's movements."""
        return len(self.ledger.get(item, ()))

    def tracked(self, item: Item) -> bool:
        """Whether an item's stock is kept; what the catalog has not announced is."""
        return bool(self.catalog.get(item, {}).get("tracked", True))

    def watched(self, item: Item) -> bool:
        """Whether an item has alert levels: it is tracked and not archived."""
        return self.tracked(item) and not self.catalog.get(item, {}).get("archived", False)

    def days_until_stockout(self, item: Item, now: datetime) -> Decimal | None:
        """How long the stock lasts at the mean daily net sales of the last 30 days; None without sales."""
        rows = self.ledger.get(item, [])
        net = -sum(row.quantity for row in rows if row.type in ("sale", "return") and now - WINDOW < row.at <= now)
        if net <= 0:
            return None
        since_first = Fraction((now - rows[0].at) // MICROSECOND, DAY // MICROSECOND)
        days = min(max(since_first, Fraction(1)), Fraction(30))
        lasts = max(Fraction(self.book.available(item)) * days / net, Fraction(0))
        # Tenths of a day: round() of a fraction is exact and goes to the even neighbour.
        return Decimal(round(lasts * 10)).scaleb(-1).quantize(Decimal("0.1"), ROUND_HALF_EVEN)

    # ------------------------------------------------------------ the end of every command

    def conclude(
        self, trial: Trial, now: datetime, *, atomic: bool = True, counted: bool = False, otherwise: str = "no_effect"
    ) -> Expected:
        """Take a trial over, or refuse it whole with the first code in precedence.

        `otherwise` is the outcome of a command that moved nothing and changed no total of a tracked line.
        """
        failed = tuple(sorted(trial.failed, key=lambda fail: fail.position))
        code = min((fail.code for fail in failed), key=PRECEDENCE.index, default=None)
        if failed and (atomic or not trial.accepted):
            return Expected("rejected", code, failed=failed)
        self.book = trial.book
        for row in trial.rows:
            on_hand = 0 if row.type in HOLDING else row.quantity
            entry = Entry(row.location, row.type, row.quantity, on_hand, counted, now)
            self.ledger.setdefault(row.item, []).append(entry)
        items = tuple(dict.fromkeys(row.item for row in trial.rows))
        alerts = tuple(self.evaluate(items, now, "movement"))
        outcome = "partly_applied" if failed else "applied" if trial.rows or trial.changed else otherwise
        return Expected(outcome, code, tuple(trial.rows), alerts, failed, told=items)

    def evaluate(self, items: Iterable[Item], now: datetime, cause: str) -> Iterator[Alert]:
        """Look at the level of items that have moved; emit the changes."""
        for item in items:
            mood = self.mood.get(item, Mood())
            available = self.book.available(item)
            level, scope = self.policy.level(item, available)
            if not self.watched(item):
                level, scope = "ok", self.policy.threshold(item, "low_stock_threshold")[1]
            if level != mood.shown:
                mood = Mood(level, mood.emitted, mood.episode + 1)
            if level != mood.emitted and self.policy.is_active(item):
                days = self.days_until_stockout(item, now)
                yield Alert(item, mood.emitted, level, cause, scope, mood.episode, days)
                mood = mood._replace(emitted=level)
            self.mood[item] = mood
