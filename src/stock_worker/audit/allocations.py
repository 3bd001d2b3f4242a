"""Where an order line has its units, told from its rows alone. Law: no code is shared with what decides.

A line's rows, in the order in which they were written, say what was reserved, sold, given back and returned where: a
release right before a sale of the same command fills a reservation, every other one gives back; a sale of opposite sign
undoes the newest sale; what came back is taken off the newest sale too. Source: contract rules 5 and 7.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

Row = Any
"""A row of `line_rows`: version, type, quantity, location_id, reference_type, reference_id."""


@dataclass(slots=True)
class Part:
    """What a line has at one location."""

    sold: int = 0
    reserved: int = 0
    given_back: int = 0
    returned: int = 0


@dataclass(slots=True)
class Line:
    """The parts of a line, by location, in the order in which they were first used."""

    parts: dict[str, Part] = field(default_factory=dict)

    def at(self, row: Row) -> Part:
        """The part at the row's location."""
        return self.parts.setdefault(str(row["location_id"]), Part())

    def newest(self) -> Iterable[Part]:
        """The parts, the newest first."""
        return reversed(self.parts.values())


def allocations_of(rows: Sequence[Row]) -> list[list[Any]]:
    """Replay a line's rows: [location_id, sold, reserved] each, and given_back, returned where there are any."""
    line = Line()
    filled = {
        row["version"] + 1
        for row, following in pairwise(rows)
        if row["type"] == "unreserved" and _fills(row, following)
    }
    for row in rows:
        quantity, kind = row["quantity"], row["type"]
        if kind == "reserved":
            line.at(row).reserved -= quantity
        elif kind == "unreserved":
            line.at(row).reserved -= quantity
            if row["version"] + 1 not in filled:
                line.at(row).given_back += quantity
        elif kind == "sale" and quantity > 0:
            _take_off(line, quantity, "sold")
            line.at(row).given_back += quantity
        elif kind == "sale":
            line.at(row).sold -= quantity
            if row["reference_type"] != "order" and row["version"] not in filled:
                _forget_given_back(line, -quantity)
        elif kind == "return":
            _take_off(line, quantity, "returned")
    return [_told(name, part) for name, part in line.parts.items()]


def _fills(row: Row, following: Row) -> bool:
    """Whether a release is half of filling a reservation."""
    return bool(
        following["version"] == row["version"] + 1
        and following["type"] == "sale"
        and (following["reference_type"], following["reference_id"]) == (row["reference_type"], row["reference_id"])
    )


def _take_off(line: Line, units: int, what: str) -> None:
    """Undo the newest sales, or note that their units came back."""
    for part in line.newest():
        here = min(units, part.sold - part.returned)
        if here > 0:
            units -= here
            if what == "sold":
                part.sold -= here
            else:
                part.returned += here


def _forget_given_back(line: Line, units: int) -> None:
    for part in line.newest():
        here = min(units, part.given_back)
        part.given_back -= here
        units -= here


def _told(location_id: str, part: Part) -> list[Any]:
    more = [part.given_back, part.returned] if part.given_back or part.returned else []
    return [location_id, part.sold, part.reserved, *more]
