"""How urgent an item's stock is. Law: a level is a function of available and thresholds alone.

Source: contract rule 10.
"""

from typing import Final, NamedTuple

from stock_worker.core.model import Level


class Thresholds(NamedTuple):
    """The greatest available at which an item is low, critical or out, in units."""

    low: int
    critical: int
    out: int


BUILT_IN: Final = Thresholds(low=10, critical=3, out=0)
BACKORDER_LIMIT: Final = 0
"""How far below zero sales may take available, in units, where no rule says otherwise."""


def level_of(available: int, thresholds: Thresholds) -> Level:
    """Give the worst level whose threshold `available` does not exceed."""
    if available <= thresholds.out:
        return Level.OUT
    if available <= thresholds.critical:
        return Level.CRITICAL
    if available <= thresholds.low:
        return Level.LOW
    return Level.OK
