"""Kills at any moment, in the long run. Law: every outcome and refusal occurs often enough to be believed."""

from collections.abc import Mapping
from typing import Final

from stock_worker.devstack import Stack
from tests.chaos.killing import SHOP_SETTINGS, kill_at_random
from tests.oracle.kinds import CODES, OUTCOMES
from tests.oracle.shop import Mix
from tests.proof.ground import ground
from tests.proof.part import Report, Say, Table

KILLS: Final = 60
OFTEN: Final = 100
WORKLOAD: Final = Mix(commands=20_000)
PER_SECOND: Final = 150.0


async def run(
    stack: Stack, say: Say, kills: int = KILLS, workload: Mix = WORKLOAD, often: int = OFTEN, seed: int = 4
) -> Report:
    """Kill workers of one shop, and count what its commands came to."""
    async with ground(stack) as on, on.shop(**SHOP_SETTINGS) as shop:
        done, verdict = await kill_at_random(shop, kills, workload, per_second=PER_SECOND, seed=seed)
    say(f"{len(done.applied)} kills, {len(verdict.failures)} failures")
    failures = [
        *verdict.failures,
        *_seldom("outcome", OUTCOMES, verdict.outcomes, often),
        *_seldom("refusal", CODES, verdict.codes, often),
    ]
    figures = [
        ("kills", str(len(done.applied))),
        ("killed lives that had applied something", f"{done.applied_share:.0%}"),
        ("workers alive at once", f"{min(done.living) - 1} or {max(done.living)}"),
        ("members that came in place of a killed one, so that partitions moved", str(done.new_members)),
        (
            "duplicates, reordering, poison",
            f"{workload.duplicates:.0%}, {workload.reordered:.0%}, {workload.poison:.0%}",
        ),
        *verdict.figures(),
    ]
    tables = [_table("Outcomes", OUTCOMES, verdict.outcomes), _table("Refusals", CODES, verdict.codes)]
    return Report(figures, tables, failures)


def _seldom(kind: str, names: tuple[str, ...], counted: Mapping[str, int], often: int) -> list[str]:
    return [f"the {kind} {name} occurred {counted[name]} times, not {often}" for name in names if counted[name] < often]


def _table(heading: str, names: tuple[str, ...], counted: Mapping[str, int]) -> Table:
    return Table(heading, ("", "times"), [(name, f"{counted[name]:,}") for name in names])
