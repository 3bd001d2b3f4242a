"""What do the reads' indexes cost the engine? Law: rounds with and without them take turns, on the same orders.

The database without them is the same copy, with the indexes of migration 0002 dropped before the round.
"""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Final

import asyncpg

from benchmarks.contenders import OURS
from benchmarks.cpu import Meter
from benchmarks.growth import SMALLEST
from benchmarks.measure import Round, closed_round
from benchmarks.place import Ground
from benchmarks.workload import ZIPF, some_orders

WITH, WITHOUT = "with", "without"
SLOWER_MAX: Final = 0.05
OF_READS: Final = (
    "items_short",
    "location_stock_reordered",
    "daily_totals_by_day",
    "products_by_change",
    "dead_letters_of_site",
)
"""What migration 0002 makes; one that is not there ends the run."""


@dataclass(frozen=True, slots=True)
class Indexes:
    """The rounds of both kinds, in pairs."""

    rounds: list[Round]

    def speeds(self, which: str) -> list[float]:
        """The speeds with or without them, in orders/s, in the order of the pairs."""
        found = [(done.number, done.orders_per_s) for done in self.rounds if done.distribution == which]
        return [speed for _, speed in sorted(found)]

    @property
    def slower(self) -> float:
        """By what share the engine is slower with them, the median of the pairs; negative when it is faster."""
        pairs = zip(self.speeds(WITH), self.speeds(WITHOUT), strict=True)
        return median([1 - with_them / without for with_them, without in pairs])


async def indexes(
    ground: Ground, meter: Meter, peak: float, *, pairs: int, seconds: float, say: Callable[[str], None]
) -> Indexes:
    """Measure `pairs` pairs of rounds of about `seconds` each."""
    done: list[Round] = []
    for pair in range(1, pairs + 1):
        orders = some_orders(ZIPF, f"i{pair}-", max(SMALLEST, int(peak * seconds)), seed=pair)
        for which in (WITH, WITHOUT) if pair % 2 else (WITHOUT, WITH):
            async with ground.place(ZIPF) as place:
                if which == WITHOUT:
                    await _drop(place.database_url)
                done.append(await closed_round(OURS, place, orders, meter, distribution=which, number=pair))
            say(f"pair {pair} {which:7} {done[-1].orders_per_s:8,.0f} orders/s")
    return Indexes(done)


async def _drop(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(f"DROP INDEX {', '.join(f'stock.{name}' for name in OF_READS)}")
    finally:
        await connection.close()
