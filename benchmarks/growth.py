"""Does a full ledger slow the engine? Law: fresh and filled take turns, pair by pair, on the same orders.

The fresh database is copied anew for each round. The filled one is kept and goes on filling, as a shop's does.
"""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Final

from benchmarks.contenders import OURS
from benchmarks.cpu import Meter
from benchmarks.history import lay_history
from benchmarks.measure import Round, closed_round
from benchmarks.place import Ground, Place
from benchmarks.workload import ZIPF, some_orders

FRESH, FILLED = "fresh", "filled"
SMALLEST: Final = 8_000
"""Orders of a round, at least: fewer would measure the edges."""


@dataclass(frozen=True, slots=True)
class Growth:
    """The rounds on both, and the rows that one of them began with."""

    rows: int
    rounds: list[Round]

    def speed(self, which: str) -> float:
        """The median speed on the fresh or the filled ledger, in orders/s."""
        return median([done.orders_per_s for done in self.rounds if done.distribution == which])

    @property
    def slower(self) -> float:
        """By what share the filled one is slower; negative when it is faster."""
        return 1 - self.speed(FILLED) / self.speed(FRESH)


async def growth(
    ground: Ground, meter: Meter, peak: float, *, rows: int, pairs: int, seconds: float, say: Callable[[str], None]
) -> Growth:
    """Measure `pairs` pairs of rounds of about `seconds` each."""
    done: list[Round] = []
    async with ground.stocked(ZIPF) as filled:
        await lay_history(filled, rows, say)
        for pair in range(1, pairs + 1):
            orders = some_orders(ZIPF, f"g{pair}-", max(SMALLEST, int(peak * seconds)), seed=pair)
            turns = (FRESH, FILLED) if pair % 2 else (FILLED, FRESH)
            for which in turns:
                done.append(await _round(ground, meter, which, filled, orders, pair))
                say(f"pair {pair} {which:6} {done[-1].orders_per_s:8,.0f} orders/s")
    return Growth(rows, done)


async def _round(
    ground: Ground, meter: Meter, which: str, filled: str, orders: list[tuple[bytes, bytes]], pair: int
) -> Round:
    if which == FRESH:
        async with ground.place(ZIPF) as place:
            return await closed_round(OURS, place, orders, meter, distribution=which, number=pair)
    async with ground.topics() as prefix:
        await ground.checkpoint()
        place = Place(ground.stack.kafka_bootstrap, filled, prefix)
        return await closed_round(OURS, place, orders, meter, distribution=which, number=pair, audit=False)
