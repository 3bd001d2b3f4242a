"""Throughput of everybody on every distribution. Law: rounds are interleaved, so that a slow minute hits all alike."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from benchmarks.contenders import OURS, Contender
from benchmarks.cpu import Meter
from benchmarks.measure import Round, closed_round
from benchmarks.place import Ground
from benchmarks.workload import ZIPF, Distribution, some_orders

_SMALLEST: Final = 200
_SMALLEST_OURS: Final = 8_000
"""Orders of a round, at least: fewer would measure the edges, which for us are batches of a thousand."""


@dataclass(frozen=True, slots=True)
class Size:
    """How long the rounds are meant to be, in seconds of steady work, and how many."""

    ours_s: float = 9.0
    peers_s: float = 4.0
    rounds: int = 3


class Throughput:
    """Runs rounds; remembers each contender's speed, to size its next round."""

    def __init__(self, ground: Ground, meter: Meter, say: Callable[[str], None]) -> None:
        self._ground = ground
        self._meter = meter
        self._say = say
        self._speed: dict[tuple[str, str], float] = {}

    async def run(
        self, contenders: Sequence[Contender], distributions: Sequence[Distribution], size: Size
    ) -> list[Round]:
        """Measure everybody on everything; the first pass over zipf only finds out how large a round has to be."""
        for contender in contenders:
            await self._round(contender, ZIPF, 0, min(2.0, size.ours_s))
        done = []
        for number, distribution, contender in _interleaved(contenders, distributions, size.rounds):
            seconds = size.ours_s if contender is OURS else size.peers_s
            done.append(await self._round(contender, distribution, number, seconds))
        return done

    async def peak(self, seconds: float) -> float:
        """Find our speed on zipf, for the parts that load us with a share of it: the median of three short rounds."""
        await self._round(OURS, ZIPF, 0, min(2.0, seconds))
        return median([(await self._round(OURS, ZIPF, number, seconds)).orders_per_s for number in (1, 2, 3)])

    async def _round(self, contender: Contender, distribution: Distribution, number: int, seconds: float) -> Round:
        near = self._speed.get((contender.name, ZIPF.name), contender.guess)
        speed = self._speed.get((contender.name, distribution.name), near)
        smallest = _SMALLEST_OURS if contender is OURS else _SMALLEST
        orders = some_orders(distribution, "o-", max(smallest, int(speed * seconds)))
        async with self._ground.place(distribution, peer=contender is not OURS) as place:
            done = await closed_round(
                contender, place, orders, self._meter, distribution=distribution.name, number=number
            )
        self._speed[contender.name, distribution.name] = done.orders_per_s
        noise = (
            f" (others used {done.used.others:.2f} cores, the hypervisor {done.used.stolen:.2f})"
            if done.used.noisy
            else ""
        )
        self._say(
            f"{distribution.name:8} {contender.name:13} {done.orders_per_s:8,.0f} orders/s "
            f"over {done.seconds:.1f} s{noise}"
        )
        return done


def _interleaved(
    contenders: Sequence[Contender], distributions: Sequence[Distribution], rounds: int
) -> Iterator[tuple[int, Distribution, Contender]]:
    for number in range(1, rounds + 1):
        for distribution in distributions:
            for contender in contenders:
                yield number, distribution, contender
