"""Workers that are killed whenever it happens to be. Law: the moment is drawn, and every death is a SIGKILL.

Three seats, each with a worker that is killed 0 to 1 s after its first applied batch and replaced at once: two or three
live at any time. Two seats keep their static member id, so that their next life goes on where they were. The third is
given a new one now and then: a member comes, the one before is missed, and all partitions move, twice.
"""

import asyncio
import signal
from dataclasses import dataclass, field
from random import Random
from typing import Final

from tests.chaos.feed import feeding, stock_up
from tests.chaos.harness import Shop
from tests.chaos.verdict import Verdict, judge_shop
from tests.oracle.shop import Mix

SEATS: Final = ("one", "two", "three")
NEW_MEMBER_SHARE: Final = 0.3
AFTER_MAX_S: Final = 1.0
APPLIES_WITHIN_S: Final = 40.0
APPLIED_SHARE_MIN: Final = 0.8
SHOP_SETTINGS: Final = {"STOCK_BATCH_MAX_RECORDS": "100", "STOCK_PARKED_TTL_HOURS": "0.004"}


@dataclass(slots=True)
class Kills:
    """What was done to the workers: of each kill whether the life had applied, and how many lived a moment before."""

    applied: list[bool] = field(default_factory=list)
    living: list[int] = field(default_factory=list)
    new_members: int = 0

    @property
    def applied_share(self) -> float:
        """The share of the lives that applied something before they were killed."""
        return sum(self.applied) / len(self.applied) if self.applied else 0.0


async def kill_at_random(
    shop: Shop, kills: int, mix: Mix, *, per_second: float, seed: int = 1
) -> tuple[Kills, Verdict]:
    """Kill at random moments while the workload comes; then let the living finish all of it, and judge."""
    records = await stock_up(shop, seed, mix, per_second)
    done = Kills()
    async with feeding(shop, records, per_second, everything=True) as feed:
        await _Killer(shop, kills, Random(seed), done).run()
        left = feed.left
    await shop.drained()
    verdict = await judge_shop(shop)
    if not left:
        verdict.failures.append("the workload had ended before the last kill")
    if done.applied_share < APPLIED_SHARE_MIN:
        verdict.failures.append(f"only {done.applied_share:.0%} of the killed lives had applied something")
    if set(done.living) != {len(SEATS)}:
        verdict.failures.append(f"before the kills there lived {sorted(set(done.living))}, not {len(SEATS)}")
    return done, verdict


@dataclass(slots=True)
class _Killer:
    shop: Shop
    kills: int
    random: Random
    done: Kills
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self) -> None:
        """Kill until there were enough; leaves a worker alive on each seat."""
        async with asyncio.TaskGroup() as seats:
            for seat in SEATS:
                seats.create_task(self._sit(seat))

    async def _sit(self, seat: str) -> None:
        member = seat
        life = self.shop.start(member)
        while True:
            applied = await life.applied(APPLIES_WITHIN_S)
            await asyncio.sleep(self.random.uniform(0, AFTER_MAX_S))  # the drawn moment: the subject of all this
            async with self.turn:
                if len(self.done.applied) >= self.kills:
                    return
                assert life.code is None, f"{member} died by itself:\n{life.said()}"
                self.done.living.append(len(self.shop.alive))
                life.signal(signal.SIGKILL)
                assert await life.ended() == -signal.SIGKILL
                self.done.applied.append(applied)
                if seat == SEATS[-1] and self.random.random() < NEW_MEMBER_SHARE:
                    self.done.new_members += 1
                    member = f"{seat}-{self.done.new_members}"
                life = self.shop.start(member)
