"""How urgent an item's stock is. Law: a level is a function of available and thresholds alone.

Source: contract rule 10.
"""

from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final, NamedTuple

from stock_worker.core.model import Level

SALES_WINDOW: Final = timedelta(days=30)
"""The trailing time whose sales say how fast an item sells."""


class Thresholds(NamedTuple):
    """The greatest available at which an item is low, critical or out, in units."""

    low: int
    critical: int
    out: int


BUILT_IN: Final = Thresholds(low=10, critical=3, out=0)


class Scopes(NamedTuple):
    """Where each threshold came from: variant, product, site or default."""

    low: str
    critical: str
    out: str


def level_of(available: int, thresholds: Thresholds) -> Level:
    """Give the worst level whose threshold `available` does not exceed."""
    if available <= thresholds.out:
        return Level.OUT
    if available <= thresholds.critical:
        return Level.CRITICAL
    if available <= thresholds.low:
        return Level.LOW
    return Level.OK


def scope_of(level: Level, scopes: Scopes) -> str:
    """Where the threshold that made the level came from; for ok it is the low one's."""
    return {Level.OUT: scopes.out, Level.CRITICAL: scopes.critical}.get(level, scopes.low)


def days_until_stockout(available: int, sold: int, first_movement_at: datetime | None, at: datetime) -> float | None:
    """For how many days available lasts if it sells as in the last 30; None without sales.

    `sold` are the units sold within the window, less what was cancelled and came back. A younger item is measured since
    its first movement, at least one day. One decimal, half to even, never below 0.
    """
    if sold <= 0 or first_movement_at is None:
        return None
    age = min(max(at - first_movement_at, timedelta(days=1)), SALES_WINDOW)
    days = Decimal(max(available, 0)) * Decimal(age // _TICK) / (Decimal(sold) * _TICKS_A_DAY)
    return float(days.quantize(Decimal("0.1"), rounding=ROUND_HALF_EVEN))


_TICK: Final = timedelta(microseconds=1)
_TICKS_A_DAY: Final = timedelta(days=1) // _TICK
