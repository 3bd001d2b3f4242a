"""The rules against models, in the long run. Law: fewer tried than said is a failure.

Needs no server. The two searches run beside each other, each in a process of its own.
"""

import asyncio
import gc
import multiprocessing
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Final

from stock_worker.devstack import Stack
from tests.core.histories import WORDS
from tests.core.test_rule_5_brute_force import stocked
from tests.core.test_state_machine import STEPS, ProductAgainstModel, agree
from tests.models.brute_force import RESERVE, SALE, walk
from tests.proof.part import Report, Say, Table

RUNS: Final = 2_000
OFTEN: Final = 100


HALVES: Final = {"sale": SALE, "reserve": RESERVE}
ORDERS: Final = sum(half.orders() for half in HALVES.values())
MULTISETS: Final = sum(half.multisets() for half in HALVES.values())


async def run(_: Stack, say: Say, runs: int = RUNS, depth: int | None = None) -> Report:
    """Search both, and count what was tried."""
    loop = asyncio.get_running_loop()
    with _two_processes() as pool:
        walked, searched = await asyncio.gather(
            loop.run_in_executor(pool, every_order, depth), loop.run_in_executor(pool, histories, runs)
        )
    orders, multisets, free, contradictions = walked
    say(f"rule 5: {orders:,} orders, {len(contradictions)} contradictions")
    whole, steps, seen, disagreements = searched
    say(f"state machine: {whole:,} histories, {len(disagreements)} disagreements")
    failures = [*contradictions, *disagreements]
    if (orders, multisets) != (ORDERS, MULTISETS):
        failures.append(f"{orders:,} orders of {multisets:,} multisets were tried, not {ORDERS:,} of {MULTISETS:,}")
    if whole < RUNS:
        failures.append(f"{whole:,} histories of {STEPS} steps were tried, not {RUNS:,}")
    failures += [f"the word {word} occurred {seen[word]} times, not {OFTEN}" for word in WORDS if seen[word] < OFTEN]
    figures = [
        ("rule 5: orders of commands tried", f"{orders:,}"),
        ("of so many multisets", f"{multisets:,}"),
        ("of them free of refusals, all in agreement per multiset", f"{free:,}"),
        ("contradictions", str(len(contradictions))),
        (f"state machine: histories of {STEPS} steps", f"{whole:,}"),
        ("steps, with those of shorter histories", f"{steps:,}"),
        ("disagreements with the model", str(len(disagreements))),
    ]
    table = Table("What the histories came to", ("", "times"), [(word, f"{seen[word]:,}") for word in WORDS])
    return Report(figures, [table], failures)


@contextmanager
def _two_processes() -> Iterator[ProcessPoolExecutor]:
    """Nobody waits for a search whose part was interrupted."""
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            yield pool
        except BaseException:
            for process in pool._processes.values():
                process.kill()
            raise


def every_order(depth: int | None) -> tuple[int, int, int, list[str]]:
    """Walk the product's core through every order of up to `depth` commands (None: each mode's own), in both modes."""
    gc.disable()  # the copies have no cycles, and the process ends with this
    reports = {name: walk(stocked(half), half, depth) for name, half in HALVES.items()}
    contradictions = [
        f"rule 5, mode {name}: {' '.join(names)}: {one} and {other}"
        for name, report in reports.items()
        for names, one, other in report.contradictions
    ]
    found = reports.values()
    orders, free = sum(report.orders for report in found), sum(report.free for report in found)
    return orders, sum(len(report.multisets) for report in found), free, contradictions


def histories(runs: int) -> tuple[int, int, Mapping[str, int], list[str]]:
    """Search until `runs` whole histories were tried, elsewhere at each round; the first disagreement ends it."""
    machine, disagreements = ProductAgainstModel, list[str]()
    while machine.whole < runs and not disagreements:
        try:
            agree(runs, derandomize=False)
        except Exception as fault:  # noqa: BLE001 - whatever the search ends with is what it found
            disagreements.append(f"state machine: {type(fault).__name__}: {fault}")
    return machine.whole, machine.steps, machine.seen, disagreements
