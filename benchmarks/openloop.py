"""Latency under a load that does not wait. Law: the clock of an order starts when it was due, not when it was sent.

Orders fall due at a fixed rate whatever the engine does; the time that the generator itself falls behind counts as
latency. An order ends when its adjustment-applied or adjustment-rejected event has been consumed.
"""

import asyncio
import gc
import math
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from typing import Final, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from benchmarks.contenders import OURS, ContenderFailed, Running, running
from benchmarks.cpu import Meter, Used, tree_rss
from benchmarks.place import PARTITIONS, Ground, Place
from benchmarks.workload import ZIPF, number_of, orders
from stock_worker.core.topics import ADJUSTMENT_APPLIED, ADJUSTMENT_REJECTED, ORDER_PLACED

SHARES: Final = (0.25, 1 / 3, 0.5)
_WARM_S: Final = 5.0
COLD_BROKER_S: Final = 30.0
"""The broker's JVM compiles what runs often; until it has, it takes twice its CPU from all the others."""
_DUE_EVERY_S: Final = 0.005
_LINGER_MS: Final = 5
"""A request to Kafka for nearly each order would take as much of the machine from all others as the database does."""
_LAST_ANSWER_S: Final = 30.0
_START_MAX_S: Final = 60.0
_SAMPLE_EVERY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds from due to consumed in one round; `behind_ms` is the generator's own worst delay."""

    share: float
    number: int
    orders_per_s: float
    orders: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    behind_ms: float
    used: Used


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident bytes of the worker's processes, the median over a minute, by minute from 1."""

    orders_per_s: float
    by_minute: Sequence[float]
    used: Used

    @property
    def growth(self) -> float:
        """The last minute over the second."""
        return self.by_minute[-1] / self.by_minute[min(1, len(self.by_minute) - 1)]


async def latency(
    ground: Ground, meter: Meter, peak: float, *, rounds: int, seconds: float, say: Callable[[str], None]
) -> list[Latency]:
    """Load one worker with the shares of the peak by turns, `rounds` times: a disk that stalls spoils one of them."""
    done = []
    async with ground.place(ZIPF) as place, running(OURS, place) as process:
        for turn, (number, share) in enumerate(product(range(1, rounds + 1), SHARES)):
            rate = peak * share
            tag = f"l{turn}-"
            warm_s = _WARM_S if turn else COLD_BROKER_S
            async with Clock(place, tag, _orders(tag), int(rate * (seconds + warm_s))) as clock:
                if turn == 0:
                    await clock.first_answer(process)
                first = int(rate * warm_s)
                await clock.offer(rate, process, until=first)
                before = meter.read(process.process.pid)
                behind = await clock.offer(rate, process)
                used = before.until(meter.read(process.process.pid))
                row = _latency(share, number, rate, await clock.answers(first), behind, used)
            say(f"latency at {share:.0%} ({rate:,.0f}/s): p50 {row.p50_ms:.0f}, p99 {row.p99_ms:.0f} ms")
            done.append(row)
    return done


async def memory(
    ground: Ground, meter: Meter, rate: float, *, minutes: int = 5, minute_s: float = 60.0, say: Callable[[str], None]
) -> Memory:
    """Load one worker with a fixed rate, and look at its resident memory every second."""
    count = int(rate * minutes * minute_s)
    samples: list[tuple[float, int]] = []
    async with (
        ground.place(ZIPF) as place,
        running(OURS, place) as process,
        Clock(place, "m-", _orders("m-"), count) as clock,
    ):
        await clock.first_answer(process)
        before = meter.read(process.process.pid)
        looking = asyncio.create_task(_look_at_memory(process.process.pid, samples))
        await clock.offer(rate, process)
        looking.cancel()
        used = before.until(meter.read(process.process.pid))
        await clock.answers(0)
    by_minute = []
    for minute in range(minutes):
        within = sorted(size for at, size in samples if minute * minute_s <= at < (minute + 1) * minute_s)
        by_minute.append(float(within[len(within) // 2]))
    done = Memory(rate, by_minute, used)
    say(f"memory at {rate:,.0f}/s: minute {minutes} over minute 2 is {done.growth:.3f}")
    return done


class Clock:
    """Offers orders at a rate, and notes when each was due and when its answer came; their ids are of `tag`."""

    def __init__(self, place: Place, tag: str, source: Iterator[tuple[bytes, bytes]], count: int) -> None:
        self._topic = place.prefix + ORDER_PLACED
        self._tag = tag.encode()
        self._count = count
        self._source = source
        self._next = 0
        self._due = array("d", [math.nan]) * count
        self._answered = array("d", [math.nan]) * count
        self._left = count
        self._all = asyncio.Event()
        self._partitions = [at for topic in (ADJUSTMENT_APPLIED, ADJUSTMENT_REJECTED) for at in place.partitions(topic)]
        self._producer = AIOKafkaProducer(bootstrap_servers=place.bootstrap, linger_ms=_LINGER_MS)
        self._consumer = AIOKafkaConsumer(bootstrap_servers=place.bootstrap)
        self._listening: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._consumer.assign(self._partitions)
        await self._producer.start()
        await self._consumer.start()
        await self._consumer.seek_to_end(*self._partitions)
        self._listening = asyncio.create_task(self._listen())
        gc.collect()
        gc.freeze()  # a full collection in the generator would look like latency of the engine
        return self

    async def __aexit__(self, *_: object) -> None:
        gc.unfreeze()
        if self._listening:
            self._listening.cancel()
            with suppress(asyncio.CancelledError):
                await self._listening
        await self._producer.stop()
        await self._consumer.stop()

    @property
    def answered(self) -> int:
        """How many are answered so far."""
        return self._count - self._left

    async def first_answer(self, process: Running) -> None:
        """Send one order and wait for its answer: the worker is up."""
        await self._send(time.perf_counter())
        deadline = time.monotonic() + _START_MAX_S
        while self._left == self._count:
            process.check()
            if time.monotonic() > deadline:
                raise ContenderFailed(f"no first answer:\n{process.last_words()}")
            await asyncio.sleep(0.05)

    async def offer(self, rate: float, process: Running, until: int | None = None) -> float:
        """Send what falls due until order `until`; returns by how many seconds the generator was late at worst."""
        last = self._count if until is None else min(until, self._count)
        first, began, behind = self._next, time.perf_counter(), 0.0
        while self._next < last:
            now = time.perf_counter()
            wanted = min(last, first + int((now - began) * rate) + 1)
            while self._next < wanted:
                due = began + (self._next - first) / rate
                behind = max(behind, time.perf_counter() - due)
                await self._send(due)
            process.check()
            await asyncio.sleep(_DUE_EVERY_S)
        return behind

    async def answers(self, first: int) -> list[float]:
        """Wait for every answer; returns the seconds that each took from order `first` on, sorted."""
        await self._producer.flush()
        try:
            async with asyncio.timeout(_LAST_ANSWER_S):
                await self._all.wait()
        except TimeoutError:
            raise ContenderFailed(f"{self._left} of {self._count} orders were never answered") from None
        return sorted(self._answered[number] - self._due[number] for number in range(first, self._count))

    async def _send(self, due: float) -> None:
        key, value = next(self._source)
        number, self._next = self._next, self._next + 1
        self._due[number] = due
        await self._producer.send(self._topic, value, key, partition=number % PARTITIONS)

    async def _listen(self) -> None:
        while True:
            polled = await self._consumer.getmany(timeout_ms=1_000)
            now = time.perf_counter()
            for records in polled.values():
                for record in records:
                    order_id = record.key.rpartition(b"/")[2]
                    if order_id.startswith(self._tag):
                        number = number_of(order_id)
                        if math.isnan(self._answered[number]):
                            self._answered[number] = now
                            self._left -= 1
            if not self._left:
                self._all.set()


def ms_within(seconds: Sequence[float], part: float) -> float:
    """Give the milliseconds within which a part of them took, of sorted seconds."""
    return 1_000 * seconds[min(len(seconds) - 1, math.ceil(part * len(seconds)) - 1)]


def _orders(tag: str) -> Iterator[tuple[bytes, bytes]]:
    return orders(ZIPF, tag, seed=7)


def _latency(share: float, number: int, rate: float, seconds: list[float], behind: float, used: Used) -> Latency:
    p50_ms, p99_ms, max_ms = (ms_within(seconds, part) for part in (0.5, 0.99, 1.0))
    return Latency(share, number, rate, len(seconds), p50_ms, p99_ms, max_ms, 1_000 * behind, used)


async def _look_at_memory(pid: int, samples: list[tuple[float, int]]) -> None:
    began = time.monotonic()
    while True:
        samples.append((time.monotonic() - began, tree_rss(pid)))
        await asyncio.sleep(_SAMPLE_EVERY_S)
