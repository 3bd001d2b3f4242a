"""`python -m benchmarks`: measure, print the tables, write docs/benchmarks/*.csv and the tables of docs/performance.md.

`--part` runs one part alone; `--quick` makes everything small, to try the harness, and writes nothing.
"""

import argparse
import logging
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

import uvloop

from benchmarks import report
from benchmarks.contenders import EVERYBODY, OURS, Contender, ContenderFailed
from benchmarks.cpu import Meter
from benchmarks.expiry import expiry
from benchmarks.growth import growth
from benchmarks.indexes import indexes
from benchmarks.machine import describe
from benchmarks.mix import mix
from benchmarks.openloop import latency, memory
from benchmarks.page import page
from benchmarks.place import KAFKA_SETTINGS, LARGE_POSTGRES_SETTINGS, POSTGRES_SETTINGS, Ground
from benchmarks.reads import Span, reads
from benchmarks.sites import Sites
from benchmarks.throughput import Size, Throughput
from benchmarks.workload import DISTRIBUTIONS, ZIPF
from stock_worker.devstack import Stack, StartFailed, stack

PARTS = ("throughput", "latency", "growth", "indexes", "memory", "mix", "expiry")
READS, PAGE = "reads", "page"
"""The first is half as long as all the others together, and the second needs a browser: each is run by itself."""
_OF_THE_PEAK: Final = {"latency", "growth", "indexes", "memory", "mix"}
"""They load the engine with a share of its peak, or with so many seconds of it."""

_Told = tuple[str, Sequence[Sequence[object]]]
"""A table, and the rows of its CSV."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of everything."""

    size: Size
    peak_s: float
    latencies: int
    latency_s: float
    rows: int
    pairs: int
    index_pairs: int
    pair_s: float
    minute_s: float
    mix_pairs: int
    reservations: int
    piles: int
    quiet_s: float
    sites: Sites
    reading: Span
    site: Sites
    views: int


FULL = Plan(
    Size(),
    peak_s=5.0,
    latencies=3,
    latency_s=20.0,
    rows=5_000_000,
    pairs=5,
    index_pairs=11,  # a limit of 5 % is less than one pair's noise
    pair_s=5.0,
    minute_s=60.0,
    mix_pairs=3,
    reservations=100_000,
    piles=2,
    quiet_s=15.0,
    sites=Sites(10, 100_000),
    reading=Span(load_s=150.0, writes_s=15.0),
    site=Sites(1, 100_000),
    views=25,
)
QUICK = Plan(
    Size(3.0, 2.0, 1),
    peak_s=1.0,
    latencies=2,
    latency_s=4.0,
    rows=100_000,
    pairs=1,
    index_pairs=1,
    pair_s=2.0,
    minute_s=3.0,
    mix_pairs=1,
    reservations=2_000,
    piles=2,
    quiet_s=3.0,
    sites=Sites(2, 2_000),
    reading=Span(load_s=10.0, writes_s=3.0),
    site=Sites(1, 2_000),
    views=2,
)


def main() -> int:
    """Measure; exit code 1 where a contender failed or the servers did not start."""
    wanted = _options(sys.argv[1:])
    began = time.monotonic()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job is started deaf to it
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))  # leave nothing behind either way
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # a topic that is being made has no leader at first
    try:
        postgres = LARGE_POSTGRES_SETTINGS if wanted.part == READS else POSTGRES_SETTINGS
        with stack(say=_say, postgres_settings=postgres, kafka_settings=KAFKA_SETTINGS, measured=True) as started:
            uvloop.run(_measure(started, wanted))
    except (ContenderFailed, StartFailed) as fault:
        _say(str(fault))
        return 1
    except KeyboardInterrupt:
        return 130
    _say(f"{(time.monotonic() - began) / 60:.1f} minutes")
    return 0


async def _measure(started: Stack, wanted: argparse.Namespace) -> None:
    plan: Plan = QUICK if wanted.quick else FULL
    parts = PARTS if wanted.part == "all" else (wanted.part,)
    ground, meter = Ground(started), Meter(started)
    machine = "\n".join(f"- {line}" for line in await describe(started))
    tables: dict[str, str] = {}
    rows: dict[str, Sequence[Sequence[object]]] = {}
    try:
        speeds = Throughput(ground, meter, _say)
        if "throughput" in parts:
            rounds = await speeds.run(_chosen(wanted.only), DISTRIBUTIONS, plan.size)
            tables["throughput"], rows["throughput"] = report.throughput_table(rounds), report.round_rows(rounds)
            ours = [done for done in rounds if (done.contender, done.distribution) == (OURS.name, ZIPF.name)]
            peak = median([done.orders_per_s for done in ours]) if ours else 0.0
        elif set(parts) & _OF_THE_PEAK:
            peak = await speeds.peak(plan.peak_s)
        else:
            peak = 0.0  # nobody asks
        for part in parts:
            if part in _MEASURES:
                tables[part], rows[part] = await _MEASURES[part](ground, meter, plan, peak)
    finally:
        await ground.clear()
    if wanted.part == "all":
        tables["machine"] = machine
    else:  # the other tables are of another run, perhaps of another machine
        tables = {name: f"{table}\n\n{machine}" for name, table in tables.items()}
    print("\n\n".join(f"{name}\n\n{table}" for name, table in tables.items()))
    if not wanted.quick:
        report.write(tables, rows, report.DOCS)


async def _latency(ground: Ground, meter: Meter, plan: Plan, peak: float) -> _Told:
    done = await latency(ground, meter, peak, rounds=plan.latencies, seconds=plan.latency_s, say=_say)
    return report.latency_table(done), report.latency_rows(done)


async def _growth(ground: Ground, meter: Meter, plan: Plan, peak: float) -> _Told:
    done = await growth(ground, meter, peak, rows=plan.rows, pairs=plan.pairs, seconds=plan.pair_s, say=_say)
    return report.growth_table(done), report.round_rows(done.rounds)


async def _indexes(ground: Ground, meter: Meter, plan: Plan, peak: float) -> _Told:
    done = await indexes(ground, meter, peak, pairs=plan.index_pairs, seconds=plan.pair_s, say=_say)
    return report.indexes_table(done), report.round_rows(done.rounds)


async def _memory(ground: Ground, meter: Meter, plan: Plan, peak: float) -> _Told:
    done = await memory(ground, meter, peak / 3, minute_s=plan.minute_s, say=_say)
    return report.memory_table(done), report.memory_rows(done)


async def _mix(ground: Ground, meter: Meter, plan: Plan, peak: float) -> _Told:
    done = await mix(ground, meter, peak, pairs=plan.mix_pairs, seconds=plan.pair_s, say=_say)
    return report.mix_table(done), report.mix_rows(done)


async def _expiry(ground: Ground, meter: Meter, plan: Plan, _: float) -> _Told:
    how_many = {"reservations": plan.reservations, "piles": plan.piles}
    done = await expiry(ground, meter, **how_many, quiet_s=plan.quiet_s, say=_say)
    return report.expiry_table(done), report.expiry_rows(done)


async def _reads(ground: Ground, meter: Meter, plan: Plan, _: float) -> _Told:
    done = await reads(ground, meter, plan.sites, plan.reading, _say)
    return report.reads_table(done), report.reads_rows(done)


async def _page(ground: Ground, _: Meter, plan: Plan, __: float) -> _Told:
    seen = await page(ground, plan.site, plan.views, _say)
    return report.page_table(seen), report.page_rows(seen)


_MEASURES: Final[Mapping[str, Callable[[Ground, Meter, Plan, float], Awaitable[_Told]]]] = {
    "latency": _latency,
    "growth": _growth,
    "indexes": _indexes,
    "memory": _memory,
    "mix": _mix,
    "expiry": _expiry,
    READS: _reads,
    PAGE: _page,
}


def _chosen(names: str | None) -> list[Contender]:
    return [one for one in EVERYBODY if names is None or one.name in names.split(",")]


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Throughput, latency, growth, indexes, memory, mix, expiry; or reads; or page.",
    )
    parser.add_argument("--part", choices=(*PARTS, READS, PAGE, "all"), default="all")
    parser.add_argument(
        "--only", metavar="NAMES", help=f"contenders, with commas: {','.join(c.name for c in EVERYBODY)}"
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, nothing is written")
    return parser.parse_args(arguments)


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
