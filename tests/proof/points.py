"""Crash points, in the long run. Law: each is hit so many times, and every shop is judged after its last death."""

from typing import Final

from stock_worker.devstack import Stack
from tests.chaos.dying import SHOP_SETTINGS, die_at
from tests.chaos.launch import MIGRATION_POINTS, POINTS
from tests.chaos.migrating import die_while_migrating
from tests.chaos.verdict import Verdict
from tests.proof.ground import Ground, ground
from tests.proof.part import Report, Say, Table

TIMES: Final = 25


async def run(stack: Stack, say: Say, times: int = TIMES) -> Report:
    """Kill `times` workers at each point, and `times` migrations at the points of theirs together."""
    total, rows = Verdict(), list[tuple[str, ...]]()
    async with ground(stack) as on:
        for number, point in enumerate(POINTS, 1):
            verdict = await _one(on, point, times, seed=number)
            total.add(verdict)
            rows.append((point, str(times), f"{verdict.commands:,}", f"{verdict.told_again:,}", verdict.word))
            say(f"{point}: {times} deaths, {verdict.word}")
        rounds = -(-times // len(MIGRATION_POINTS))
        deaths, failures = await die_while_migrating(stack.database_url, on.migrated, rounds)
    total.failures += failures
    rows.append(("during_migrate", str(deaths), "", "", "; ".join(failures) or "equal catalogs"))
    say(f"during_migrate: {deaths} deaths, {len(failures)} failures")
    table = Table("Deaths by point", ("point", "deaths", "commands", "events told again", "judged"), rows)
    figures = [("deaths", f"{times * len(POINTS) + deaths:,}"), ("points", str(len(POINTS) + 1)), *total.figures()]
    return Report(figures, [table], total.failures)


async def _one(on: Ground, point: str, times: int, seed: int) -> Verdict:
    """A chain that cannot go on is a failure of its point, not the end of the others."""
    async with on.shop(**SHOP_SETTINGS) as shop:
        try:
            return await die_at(shop, point, times, seed)
        except (AssertionError, TimeoutError) as fault:
            return Verdict(failures=[f"{point}: {fault}"])
