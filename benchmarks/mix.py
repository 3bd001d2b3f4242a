"""Orders alone against a mix of all that a shop sends. Law: the two take turns, and each command counts once in both.

Of a hundred acts 60 are orders, 10 reservations, 10 cancellations, 10 returns, 5 restocks and 5 adjustments, of two
lines each unless their sender would have one. Each reservation is fulfilled later, by a command of its own: a hundred
acts are 110 commands. Cancellations, returns and fulfilments name orders sent so much earlier that most are known;
topics have no order between them, so a few are parked first, and what was is told.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count, islice
from statistics import median
from typing import Any, Final
from urllib.request import urlopen

import asyncpg
import orjson

from benchmarks.contenders import OURS, ContenderFailed, free_port, running
from benchmarks.cpu import Meter
from benchmarks.feed import WINDOW, Sent, feeding
from benchmarks.measure import Round, audit_ledger, until_told
from benchmarks.place import Ground, Place
from benchmarks.stocked import places_of
from benchmarks.workload import SITE, ZIPF, item_ids, orders
from stock_worker.core.topics import (
    ORDER_CANCELLED,
    ORDER_FULFILLED,
    ORDER_PLACED,
    RESTOCK,
    RETURN_RECEIVED,
    STOCK_ADJUSTMENT,
)

ALONE, MIXED = "orders alone", "mix"
FLOOR: Final = 0.7
"""The mix stays within 30 % of orders alone."""
_LATER: Final = 2 * WINDOW
"""Commands between an order and what is said of it: more than can be unanswered at once."""
_SHARES: Final = {"order": 60, "reservation": 10, "cancellation": 10, "return": 10, "restock": 5, "adjustment": 5}
_SMALLEST: Final = 4_000


@dataclass(frozen=True, slots=True)
class Mix:
    """The rounds, and what became of the commands of each mixed one, counted by the worker (once a record)."""

    rounds: list[Round]
    outcomes: list[Mapping[str, int]]

    def speed(self, which: str) -> float:
        """The median speed of orders alone or of the mix, in commands/s."""
        return median([done.orders_per_s for done in self.rounds if done.distribution == which])

    @property
    def ratio(self) -> float:
        """The mix over orders alone."""
        return self.speed(MIXED) / self.speed(ALONE)

    def share(self, outcome: str) -> float:
        """The share of the mixed rounds' commands that ended, or waited, so."""
        return sum(each.get(outcome, 0) for each in self.outcomes) / sum(sum(each.values()) for each in self.outcomes)


async def mix(
    ground: Ground, meter: Meter, peak: float, *, pairs: int, seconds: float, say: Callable[[str], None]
) -> Mix:
    """Measure `pairs` pairs of rounds of about `seconds` each."""
    done = Mix([], [])
    commands = _LATER + max(_SMALLEST, int(peak * seconds))
    for pair in range(1, pairs + 1):
        for which in (ALONE, MIXED) if pair % 2 else (MIXED, ALONE):
            measured, outcomes = await _round(ground, meter, which, commands, pair)
            done.rounds.append(measured)
            if which == MIXED:
                done.outcomes.append(outcomes)
            say(f"pair {pair} {which:12} {measured.orders_per_s:8,.0f} commands/s {outcomes}")
    return done


async def _round(ground: Ground, meter: Meter, which: str, many: int, pair: int) -> tuple[Round, dict[str, int]]:
    source = _mixed(pair) if which == MIXED else _alone(pair)
    port = free_port()
    ours = replace(OURS, settings=(("STOCK_HTTP_PORT", str(port)),))
    async with ground.place(ZIPF) as place, running(ours, place) as process:
        async with feeding(place, islice(source, many), process) as feed:
            began = await feed.until(lambda: feed.answered >= _LATER)
            before, first = meter.read(process.process.pid), feed.answered
            ended = await feed.until(lambda: feed.sent >= many)
            used, last = before.until(meter.read(process.process.pid)), feed.answered
            await feed.until(lambda: feed.answered >= many * 0.99)
            rejected = await _settled(place, many)
        outcomes = _outcomes(port)
    if sum(outcomes.values()) != many:
        raise ContenderFailed(f"{many} commands were sent, and the worker counts {outcomes}")
    rate = (last - first) / (ended - began)
    return Round(OURS.name, which, pair, last - first, ended - began, rate, rejected, used), outcomes


async def _settled(place: Place, many: int) -> int:
    """Wait until each command is decided or waits for its order, then audit; returns how many were refused."""
    connection = await asyncpg.connect(place.database_url)
    try:
        deadline = time.monotonic() + _SETTLED_S
        while (settled := await connection.fetchval(_SETTLED)) != many:
            if time.monotonic() > deadline:
                raise ContenderFailed(f"of {many} commands {settled} are decided or parked")
            await asyncio.sleep(0.2)
        await until_told(connection)
        rejected: int = await connection.fetchval(_REJECTED)
    finally:
        await connection.close()
    await audit_ledger(place)
    return rejected


def _alone(seed: int) -> Iterator[Sent]:
    return (Sent(ORDER_PLACED, *order) for order in orders(ZIPF, "o-", seed=seed))


def _mixed(seed: int) -> Iterator[Sent]:
    """Give the mix without end; what must name an order is one itself while none is old enough: not measured."""
    source, placed, reserved = random.Random(seed), deque[tuple[int, str]](), deque[tuple[int, str, list[Any]]]()
    fresh, sent, number = orders(ZIPF, "o-", seed=seed), 0, count()
    names, weights = list(_SHARES), list(_SHARES.values())
    while True:
        if reserved and reserved[0][0] <= sent - _LATER:
            _, order_id, lines = reserved.popleft()
            lines = [{"line_id": line["line_id"], "quantity": line["quantity"]} for line in lines]
            yield _command(ORDER_FULFILLED, next(number), order_id=order_id, lines=lines)
            sent += 1
        kind = source.choices(names, weights)[0]
        if kind in _OF_AN_ORDER and placed and placed[0][0] <= sent - _LATER:
            _, order_id = placed.popleft()
            yield _OF_AN_ORDER[kind](next(number), order_id)
        elif kind in _OF_ITEMS:
            yield _OF_ITEMS[kind](next(number), ZIPF.draw(source, 2))
        else:
            key, value = next(fresh)
            if kind == "reservation":
                message = orjson.loads(value) | {"mode": "reserve", "expires_at": "2099-01-01T00:00:00Z"}
                reserved.append((sent, key.decode(), message["lines"]))
                value = orjson.dumps(message)
            else:
                placed.append((sent, key.decode()))
            yield Sent(ORDER_PLACED, key, value)
        sent += 1


def _command(topic: str, number: int, **fields: object) -> Sent:
    reference_id = f"c-{number:09d}"
    message = {"site_id": SITE, "reference_id": reference_id, "occurred_at": "2026-01-31T12:00:00Z", **fields}
    return Sent(topic, reference_id.encode(), orjson.dumps(message))


def _cancellation(number: int, order_id: str) -> Sent:
    """Cancel the whole order, or every other time its second line."""
    return _command(ORDER_CANCELLED, number, order_id=order_id, **({"lines": [{"line_id": "2"}]} if number % 2 else {}))


def _return(number: int, order_id: str) -> Sent:
    return _command(RETURN_RECEIVED, number, order_id=order_id, lines=[{"line_id": "1", "quantity": 1}])


def _restock(number: int, items: list[int]) -> Sent:
    lines = [{**_item(item), "quantity": 20, "unit_cost": f"{2 + number % 5}.50", "currency": "EUR"} for item in items]
    return _command(RESTOCK, number, lines=lines)


def _adjustment(number: int, items: list[int]) -> Sent:
    quantity = -1 if number % 2 else 2
    lines = [{**_item(item), "location_id": places_of(item)[0][0], "quantity": quantity} for item in items]
    return _command(STOCK_ADJUSTMENT, number, type="adjustment", lines=lines)


def _item(number: int) -> dict[str, str | None]:
    product_id, variant_id = item_ids(number)
    return {"product_id": product_id, "variant_id": variant_id}


_OF_AN_ORDER: Final[Mapping[str, Callable[[int, str], Sent]]] = {"cancellation": _cancellation, "return": _return}
_OF_ITEMS: Final[Mapping[str, Callable[[int, list[int]], Sent]]] = {"restock": _restock, "adjustment": _adjustment}


def _outcomes(port: int) -> dict[str, int]:
    """Ask the worker what became of the records, over all topics."""
    counted: dict[str, int] = {}
    with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith("stock_worker_commands_total{"):
                outcome = line.partition('outcome="')[2].partition('"')[0]
                counted[outcome] = counted.get(outcome, 0) + int(float(line.rpartition(" ")[2]))
    return {outcome: many for outcome, many in counted.items() if many}


_SETTLED_S: Final = 30.0
_SETTLED: Final = """
SELECT (SELECT count(*) FROM stock.references WHERE source <> 'cli') + (SELECT count(*) FROM stock.parked_commands)
"""
_REJECTED: Final = "SELECT count(*) FROM stock.references WHERE outcome = 'rejected'"
