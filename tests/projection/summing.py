"""Movements summed up one by one, for whoever adds them up by blocks."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from typing import NamedTuple
from uuid import UUID

from stock_worker.core.model import MovementType
from stock_worker.projection.days import NO_FLOW, Flow, Sums, Total


class Moved(NamedTuple):
    """One movement."""

    kind: MovementType
    day: date
    product: UUID
    units_in: int
    units_out: int


def summed(movements: Iterable[Moved], most: int) -> Sums:
    """Sum movements up, with so many top products."""
    types: dict[MovementType, list[int]] = defaultdict(lambda: [0, 0])
    days: dict[date, list[int]] = defaultdict(lambda: [0, 0])
    products: dict[UUID, list[int]] = defaultdict(lambda: [0, 0])
    for kind, day, product, units_in, units_out in movements:
        types[kind][0] += 1
        types[kind][1] += units_in + units_out
        if kind not in NO_FLOW and (units_in or units_out):
            for sums in (days[day], products[product]):
                sums[0] += units_in
                sums[1] += units_out
    top = sorted(products.items(), key=lambda each: (-sum(each[1]), each[0].bytes))[:most]
    return Sums(
        {kind: Total(*sums) for kind, sums in types.items()},
        {day: Flow(*sums) for day, sums in sorted(days.items())},
        [(product, Flow(*sums)) for product, sums in top],
    )


def told(sums: Sums) -> Sums:
    """Leave types out of which nothing is left."""
    return sums._replace(by_type={kind: found for kind, found in sums.by_type.items() if found.movements})
