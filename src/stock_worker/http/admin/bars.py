"""Bars and columns. Law: a length is to another as the figures are, and a day without a figure has its place.

Pictures are an addition: the same figures stand beside them as a table. Source: contract section 7 (reports).
"""

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from stock_worker.http.admin.report_days import Days
from stock_worker.http.shapes_reports import DayFlow

WIDTH: Final = 720
HEIGHT: Final = 160
FULL: Final = 100
"""How long the longest bar is."""
_EDGE: Final = 4
_GAP: Final = 0.25
"""How much of its place a column leaves empty."""
_MOST_COLUMNS: Final = 92
"""So many days are three months."""
_WEEK: Final = 7
_MONTHS: Final = 12


class Step(NamedTuple):
    """What came in and went out in some days that follow one another: one column."""

    days: Days
    units_in: int
    units_out: int

    @property
    def net(self) -> int:
        """By how much there is more afterwards."""
        return self.units_in - self.units_out

    @property
    def words(self) -> str:
        """Its days in words."""
        first, last = self.days
        if first == last:
            return day_told(first)
        if (first.year, first.month) == (last.year, last.month):
            return f"{first.day} to {day_told(last)}"
        return f"{day_told(first)} to {day_told(last)}"


class Column(NamedTuple):
    """Where a step is drawn: what came in above the line, what went out below it."""

    step: Step
    place: float
    left: float
    width: float
    top: float
    up: float
    down: float


class Columns(NamedTuple):
    """A picture of WIDTH by HEIGHT. `step_width` is the place of a column with its gap."""

    columns: list[Column]
    step_width: float
    zero: float
    most_in: int
    most_out: int


def length(value: Decimal | int, most: Decimal | int) -> float:
    """How long a bar is beside the longest, which is FULL; what is below zero has none."""
    return float(round(max(value, 0) * FULL / Decimal(most), 2)) if most > 0 else 0.0


def day_told(day: date) -> str:
    """Write a day."""
    return f"{day.day} {day:%b %Y}"


def steps_of(flows: Sequence[DayFlow], days: Days) -> list[Step]:
    """Sum up days to as few steps as can be seen: days, else weeks, else months from the first that had a flow."""
    first, last = days
    count = (last - first).days + 1
    if count > _MOST_COLUMNS * _WEEK:
        moved = [flow.date for flow in flows]
        first, last = min(moved, default=last), max(moved, default=last)
    units_in, units_out = Counter[date](), Counter[date]()
    for flow in flows:
        end = _end_of_step(flow.date, count)
        units_in[end] += flow.in_quantity
        units_out[end] += flow.out_quantity
    steps: list[Step] = []
    while not steps or steps[-1].days.last < last:
        end = _end_of_step(first, count)
        steps.append(Step(Days(first, min(end, last)), units_in[end], units_out[end]))
        first = steps[-1].days.after
    return steps


def columns_of(steps: Sequence[Step]) -> Columns:
    """Draw steps beside one another."""
    most_in = max((step.units_in for step in steps), default=0)
    most_out = max((step.units_out for step in steps), default=0)
    scale = (HEIGHT - 2 * _EDGE) / (most_in + most_out or 1)
    step_width = WIDTH / max(len(steps), 1)
    zero = _EDGE + most_in * scale
    columns = [
        Column(
            step,
            place=round(number * step_width, 2),
            left=round((number + _GAP / 2) * step_width, 2),
            width=round((1 - _GAP) * step_width, 2),
            top=round(zero - step.units_in * scale, 2),
            up=round(step.units_in * scale, 2),
            down=round(step.units_out * scale, 2),
        )
        for number, step in enumerate(steps)
    ]
    return Columns(columns, round(step_width, 2), round(zero, 2), most_in, most_out)


def _end_of_step(first: date, count: int) -> date:
    """Say the last day of the step that begins with this one; weeks end on Sundays, months with themselves."""
    if count <= _MOST_COLUMNS:
        return first
    if count <= _MOST_COLUMNS * _WEEK:
        return first + timedelta(days=_WEEK - first.isoweekday())
    if (first.year, first.month) == (date.max.year, _MONTHS):
        return date.max
    return date(first.year + first.month // _MONTHS, first.month % _MONTHS + 1, 1) - timedelta(days=1)
