"""A line of available over time. Law: it goes through what the ledger says, as steps, and through nothing else.

Rows of one moment were booked together: what the last of them left was there, and nobody could see what came between,
such as a reservation that was released and not yet sold.
Source: contract section 2 (movements).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

WIDTH: Final = 600
HEIGHT: Final = 96
_EDGE: Final = 4
_LEAST: Final = 2
"""One moment is a point and no line."""


class Point(NamedTuple):
    """What a row of the ledger left: available, from then on."""

    at: datetime
    available: int


class Chart(NamedTuple):
    """The points of a line in a picture of WIDTH by HEIGHT, where zero is in it, and what it goes through."""

    points: str
    zero: float | None
    least: int
    most: int
    since: datetime
    until: datetime


def chart_of(newest_first: Sequence[Point]) -> Chart | None:
    """Draw the rows of one item; None where there are too few."""
    rows = list({row.at: row for row in reversed(newest_first)}.values())
    if len(rows) < _LEAST:
        return None
    levels = [row.available for row in rows]
    least, most = min(levels), max(levels)
    since, until = rows[0].at, rows[-1].at
    lasted_s = (until - since).total_seconds() or 1.0
    low, high = min(least, 0), max(most, 0, min(least, 0) + 1)

    def across(moment: datetime) -> float:
        return round(_EDGE + (WIDTH - 2 * _EDGE) * (moment - since).total_seconds() / lasted_s, 1)

    def down(level: int) -> float:
        return round(_EDGE + (HEIGHT - 2 * _EDGE) * (high - level) / (high - low), 1)

    points = [f"{across(since)},{down(levels[0])}"]
    for before, row in zip(levels, rows[1:], strict=False):
        points += [f"{across(row.at)},{down(before)}", f"{across(row.at)},{down(row.available)}"]
    return Chart(" ".join(points), down(0), least, most, since, until)
