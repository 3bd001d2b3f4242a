"""Where an order line has its units, told from its rows alone. Law: no code is shared with what decides.

A line's rows, in the order in which they were written, say what was reserved, sold, given back and returned where: a
release right before a sale of the same command fills a reservation, every other one gives back; a sale of opposite sign
undoes the newest sale; what came back is taken off the newest sale too. A backorder is what its row left below nothing
at its location; it was taken after all else. Source: contract rules 5 and 7.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

Row = Any
"""A row of `line_rows`: version, type, quantity, reference_type, reference_id, location_id, available_there (after)."""


@dataclass(slots=True)
class Part:
    """What a line has at one location since the same moment."""

    location_id: str
    sold: int = 0
    reserved: int = 0
    given_back: int = 0
    returned: int = 0


class Line:
    """The parts of a line, the oldest first."""

    def __init__(self) -> None:
        self.parts: list[Part] = []

    def add(self, pile: str, location_id: str, units: int) -> None:
        """Let units come to a pile, at the end."""
        if units:
            if not self.parts or self.parts[-1].location_id != location_id:
                self.parts.append(Part(location_id))
            setattr(self.parts[-1], pile, getattr(self.parts[-1], pile) + units)

    def take(self, pile: str, units: int, location_id: str | None = None, *, oldest: bool = False) -> int:
        """Take units off a pile, of one location or of all, the newest first; gives how many there were not."""
        for part in self.parts if oldest else reversed(self.parts):
            if location_id in (None, part.location_id):
                here = min(units, getattr(part, pile))
                setattr(part, pile, getattr(part, pile) - here)
                units -= here
        return units

    def come_back(self, units: int) -> None:
        """Let the newest of the units that left come back."""
        for part in reversed(self.parts):
            here = min(units, part.sold - part.returned)
            part.returned += here
            units -= here

    def unsell(self, units: int) -> None:
        """Undo the newest of the sales whose units did not come back."""
        for part in reversed(self.parts):
            here = min(units, part.sold - part.returned)
            part.sold -= here
            units -= here


def allocations_of(rows: Sequence[Row]) -> list[list[Any]]:
    """Replay a line's rows: [location_id, sold, reserved, given_back, returned] each."""
    line = Line()
    placing = [row for row in rows if row["reference_type"] == "order"]
    beyond = [min(max(-row["available_there"], 0), -row["quantity"]) for row in placing]
    for row, units in zip(placing, beyond, strict=True):
        line.add(_pile(row), str(row["location_id"]), -row["quantity"] - units)
    for row, units in zip(placing, beyond, strict=True):
        line.add(_pile(row), str(row["location_id"]), units)
    later = rows[len(placing) :]
    fills = {row["version"] for row, following in pairwise(later) if _is_filled(row, following)}
    for row in later:
        _replay(line, row, fills)
    return in_short(_told(part) for part in line.parts)


def _replay(line: Line, row: Row, fills: set[int]) -> None:
    """Take one row over that came after the line's placement; `fills` are the releases that a sale followed."""
    quantity, kind, at = row["quantity"], row["type"], str(row["location_id"])
    if kind == "unreserved":
        line.take("reserved", quantity, at, oldest=row["version"] in fills)
        if row["version"] not in fills:
            line.add("given_back", at, quantity)
    elif kind == "sale" and quantity > 0:
        line.unsell(quantity)
        line.add("given_back", at, quantity)
    elif kind == "sale":
        if row["version"] - 1 not in fills:
            line.take("given_back", line.take("given_back", -quantity, at))
        line.add("sold", at, -quantity)
    elif kind == "return":
        line.come_back(quantity)


def _pile(row: Row) -> str:
    return "reserved" if row["type"] == "reserved" else "sold"


def in_short(parts: Iterable[list[Any]]) -> list[list[Any]]:
    """The same without what is nothing, and what follows on the same location as one."""
    short: list[list[Any]] = []
    for location_id, *units in parts:
        counts = [*units, 0, 0][:4]
        if any(counts) and short and short[-1][0] == location_id:
            short[-1][1:] = [one + other for one, other in zip(short[-1][1:], counts, strict=True)]
        elif any(counts):
            short.append([location_id, *counts])
    return short


def _is_filled(row: Row, following: Row) -> bool:
    """Whether a release is half of filling a reservation."""
    return bool(
        row["type"] == "unreserved"
        and following["version"] == row["version"] + 1
        and following["type"] == "sale"
        and (following["reference_type"], following["reference_id"]) == (row["reference_type"], row["reference_id"])
    )


def _told(part: Part) -> list[Any]:
    return [part.location_id, part.sold, part.reserved, part.given_back, part.returned]
