"""People read and steer while orders flow. Law: requests fall due at a fixed rate, whatever the API does.

Eight connections ask for everything that contract section 7 has, over all sites, while a worker applies orders; the API
and the worker are processes of their own. The first requests of each site at each process are told apart, before the
load, which is then that of a server in service. Then adjustments go in over HTTP: as fast as they are answered, and
after that at a fixed rate.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from benchmarks.asking import (
    KINDS,
    LIST,
    QUARTER,
    SELDOM,
    SUMMARY,
    Kind,
    World,
    adjustments,
    at_site,
    mixed,
    orders_of,
    quarter,
    site_of_order,
)
from benchmarks.client import Answered, Asked
from benchmarks.cpu import Meter, Used
from benchmarks.openloop import COLD_BROKER_S, Clock, ms_within
from benchmarks.place import Ground, Place
from benchmarks.serving import Served, serving
from benchmarks.sites import Sites, lay_sites, verify_sites

ORDERS_PER_S: Final = 500.0
READERS: Final = 8
WRITERS: Final = 32
_ACQUAINTED: Final = 24
"""Connections on which a site is asked for the first time."""
_AGAIN: Final = 3
"""Times that it is asked so: a process that has nothing else to do may take every connection of one time."""
WRITES_PER_S: Final = 250.0
PEAK_MIN: Final = 500.0
"""Adjustments a second over HTTP that are aimed at; half of them is the open loop's rate."""
WRITE_MAX_MS: Final = 100.0
_WARM_S: Final = 20.0
"""How long the load runs before its requests count: each connection plans its statements anew the first five times."""
_AT_MOST_PER_S: Final = 2_000
"""Adjustments to have at hand for the closed loop: more than it takes."""


@dataclass(frozen=True, slots=True)
class Told:
    """What requests of one kind took, in sorted seconds; `failed` of them were not answered as they should."""

    name: str
    limit_ms: float | None
    seconds: Sequence[float]
    failed: int

    def ms(self, part: float) -> float:
        """Give the milliseconds within which a part of them was answered."""
        return ms_within(self.seconds, part)

    @property
    def is_met(self) -> bool:
        """Whether all were answered, 99 of 100 within the limit."""
        return not self.failed and (self.limit_ms is None or self.ms(0.99) <= self.limit_ms)


@dataclass(frozen=True, slots=True)
class Load:
    """One load of requests beside orders; `first` are the first requests of each site, on the slowest connection."""

    first: Sequence[Told]
    endpoints: Sequence[Told]
    orders_per_s: float
    order_p99_ms: float
    used: Used


@dataclass(frozen=True, slots=True)
class Writes:
    """Adjustments: a second in the closed loop, and what each took in either loop."""

    peak_per_s: float
    closed: Told
    opened: Told
    used: Used


@dataclass(frozen=True, slots=True)
class Reads:
    """Everything that was measured on the same sites, the loads by how many processes the API had."""

    sites: Sites
    loads: Mapping[int, Load]
    writes: Writes


@dataclass(frozen=True, slots=True)
class Span:
    """How long: requests for `load_s` a number of processes, adjustments for `writes_s` a loop."""

    load_s: float
    writes_s: float
    processes: Sequence[int] = (2, 1)


async def reads(ground: Ground, meter: Meter, sites: Sites, span: Span, say: Callable[[str], None]) -> Reads:
    """Lay the sites, load them with requests for each number of processes, then with adjustments, and verify."""
    loads: dict[int, Load] = {}
    writes: Writes | None = None
    async with ground.migrated() as url:
        now = await lay_sites(url, sites, say)
        for processes in span.processes:
            async with ground.topics() as prefix:
                await ground.checkpoint()
                place = Place(ground.stack.kafka_bootstrap, url, prefix)
                async with serving(place, processes, now) as served:
                    load = loads[processes] = await _load(place, meter, served, World(sites, now, []), span.load_s)
                    met = sum(each.is_met for each in load.endpoints)
                    say(f"{processes} processes: {met} of {len(load.endpoints)} within their limits")
                    if writes is None:
                        writes = await _writes(meter, served, sites, span.writes_s)
                        say(f"adjustments: {writes.peak_per_s:,.0f}/s, p99 {writes.opened.ms(0.99):.0f} ms at half")
        await verify_sites(url, sites)
    assert writes is not None
    return Reads(sites, loads, writes)


async def _first_requests(served: Served, meter: Meter, sites: Sites, now: datetime) -> list[Told]:
    """Ask each site on many connections, one site after the other: each process meets each site.

    Which process takes a connection is up to the kernel, so that a few would now and then all be one's.
    """
    done = []
    for name, path in ((LIST, "/items"), (SUMMARY, "/reports/inventory"), (QUARTER, quarter(now))):
        slowest = []
        for site in range(sites.sites):
            answers: list[Answered] = []
            for _ in range(_AGAIN):
                answers += (await served.ask(meter, [Asked(at_site(site, path))] * _ACQUAINTED, _ACQUAINTED))[0]
            slowest.append(max(answers, key=lambda each: each.seconds))
        done.append(_told(name, None, slowest))
    return done


async def _load(place: Place, meter: Meter, served: Served, world: World, seconds: float) -> Load:
    sites = world.sites
    tag, warm = f"{place.prefix}", int(ORDERS_PER_S * COLD_BROKER_S)
    async with Clock(place, tag, orders_of(sites, tag), warm + int(ORDERS_PER_S * (_WARM_S + seconds))) as clock:
        await clock.first_answer(served.worker)
        first = await _first_requests(served, meter, sites, world.now)
        await clock.offer(ORDERS_PER_S, served.worker, until=warm)
        known = [(site_of_order(sites, number), f"{tag}{number:09d}") for number in range(clock.answered)]
        requests = mixed(world._replace(orders=known), _WARM_S + seconds)
        offering = asyncio.create_task(clock.offer(ORDERS_PER_S, served.worker))
        answered, began = clock.answered, time.monotonic()
        answers, used = await served.ask(meter, [each for _, each in requests], READERS)
        orders_per_s = (clock.answered - answered) / (time.monotonic() - began)
        await offering
        order_ms = ms_within(await clock.answers(warm), 0.99)
    by_kind: dict[Kind, list[Answered]] = {kind: [] for kind, _ in requests}
    for answer in answers:
        kind, asked = requests[answer.number]
        if asked.due_s >= _WARM_S:
            by_kind[kind].append(answer)
    told = [_told(kind.name, kind.limit_ms, by_kind[kind]) for kind in (*KINDS, SELDOM) if kind in by_kind]
    return Load(first, told, orders_per_s, order_ms, used)


async def _writes(meter: Meter, served: Served, sites: Sites, seconds: float) -> Writes:
    many = int(_AT_MOST_PER_S * seconds)
    closed, _ = await served.ask(meter, adjustments(sites, "c", many, 1.0), WRITERS, closed_s=seconds)
    opened, used = await served.ask(meter, adjustments(sites, "o", int(WRITES_PER_S * seconds), WRITES_PER_S), WRITERS)
    peak = sum(each.is_ok for each in closed) / seconds
    return Writes(peak, _told("as fast as answered", None, closed), _told("open", WRITE_MAX_MS, opened), used)


def _told(name: str, limit_ms: float | None, answers: Sequence[Answered]) -> Told:
    failed = sum(not each.is_ok for each in answers)
    return Told(name, limit_ms, sorted(each.seconds for each in answers), failed)
