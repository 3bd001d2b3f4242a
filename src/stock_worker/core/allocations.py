"""Where the units of an order line are. Law: what came to a pile last leaves it first, unless a rule says otherwise.

A line's allocations stand in the order in which units came to be where they are, so a location may stand there more
than once: sold from first, held elsewhere, sold from again. Each pile (held for the line, sold and not come back, given
back) is told from this one list. Rows are one per line, location and step, so what is taken from a pile is told by
location. Source: contract rules 5 and 7 and the decided cases on places.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from stock_worker.core.state import Allocation, OrderLine


class Part(NamedTuple):
    """Units of a line at one location."""

    location_id: str
    units: int


def put(line: OrderLine, location_id: str, *, sold: int = 0, reserved: int = 0, given_back: int = 0) -> None:
    """Add units that are sold from a location, held there or given back there from now on."""
    allocations = line.allocations
    if not allocations or allocations[-1].location_id != location_id:
        allocations.append(Allocation(location_id))
    newest = allocations[-1]
    newest.sold += sold
    newest.reserved += reserved
    newest.given_back += given_back


def fill(line: OrderLine, units: int, named: str | None) -> list[Part]:
    """Take held units to sell them: at the location that a fulfilment names first, then the oldest first."""
    here = [each for each in line.allocations if each.location_id == named]
    elsewhere = [each for each in line.allocations if each.location_id != named]
    return _take(line, [*here, *elsewhere], units, _reserved, _release)


def free(line: OrderLine, units: int) -> list[Part]:
    """Take held units to give them back."""
    return _take(line, reversed(line.allocations), units, _reserved, _release)


def unsell(line: OrderLine, units: int) -> list[Part]:
    """Take sold units to give them back."""
    return _take(line, reversed(line.allocations), units, _gone, _take_off)


def come_back(line: OrderLine, units: int) -> list[Part]:
    """Note that sold units came back; tells where they came from."""
    return _take(line, reversed(line.allocations), units, _gone, _note_returned)


def leave_again(line: OrderLine, units: int, permitted: Callable[[str], bool]) -> list[Part]:
    """Take units that were given back at permitted locations, as far as there are any."""
    there = [each for each in reversed(line.allocations) if permitted(each.location_id)]
    return _take(line, there, units, _given_back, _forget)


def by_location(parts: Iterable[Part]) -> list[Part]:
    """One part for each location, in the order of their first: rows are one per line, location and step."""
    units: dict[str, int] = {}
    for part in parts:
        units[part.location_id] = units.get(part.location_id, 0) + part.units
    return [Part(*each) for each in units.items()]


def _take(
    line: OrderLine,
    allocations: Iterable[Allocation],
    units: int,
    there: Callable[[Allocation], int],
    take: Callable[[Allocation, int], None],
) -> list[Part]:
    """Take up to `units` in this order."""
    taken = []
    for allocation in allocations:
        part = min(units, there(allocation))
        if part > 0:
            take(allocation, part)
            taken.append(Part(allocation.location_id, part))
            units -= part
    line.allocations = [each for each in line.allocations if each.sold or each.reserved or each.given_back]
    return by_location(taken)


def _reserved(allocation: Allocation) -> int:
    return allocation.reserved


def _gone(allocation: Allocation) -> int:
    return allocation.sold - allocation.returned


def _given_back(allocation: Allocation) -> int:
    return allocation.given_back


def _release(allocation: Allocation, units: int) -> None:
    allocation.reserved -= units


def _take_off(allocation: Allocation, units: int) -> None:
    allocation.sold -= units


def _note_returned(allocation: Allocation, units: int) -> None:
    allocation.returned += units


def _forget(allocation: Allocation, units: int) -> None:
    allocation.given_back -= units
