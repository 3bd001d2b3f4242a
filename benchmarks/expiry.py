"""A pile of reservations expires while orders flow. Law: quiet and expiring phases take turns on one running worker.

The reservations lie in the database from the start; a pile of them is given a time that is about to come. Afterwards
the database must show that none expired early, none twice, and that each gave back what it held.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from benchmarks.contenders import OURS, ContenderFailed, running
from benchmarks.cpu import Meter, Used
from benchmarks.feed import Feed, Sent, feeding
from benchmarks.measure import audit_ledger, until_told
from benchmarks.place import Ground, Place
from benchmarks.reservations import TAG, lay_reservations, make_due
from benchmarks.workload import ZIPF, orders
from stock_worker.core.topics import ORDER_PLACED

QUIET, EXPIRING = "quiet", "expiring"
FLOOR: Final = 0.7
"""Orders keep at least 70 % of their speed."""
_WARM_ORDERS: Final = 5_000
_AHEAD_S: Final = 15.0
"""How far ahead of its time a pile is given it: far longer than writing it takes under load."""


@dataclass(frozen=True, slots=True)
class Phase:
    """What one phase showed; `waited_s` is from the pile's time to its first expiry."""

    kind: str
    seconds: float
    orders: int
    expiries: int
    waited_s: float
    used: Used


@dataclass(frozen=True, slots=True)
class Expiry:
    """The phases in their order."""

    phases: list[Phase]

    def of(self, kind: str) -> list[Phase]:
        """The phases of a kind."""
        return [phase for phase in self.phases if phase.kind == kind]

    def speed(self, kind: str) -> float:
        """Orders/s over all phases of a kind."""
        return sum(phase.orders for phase in self.of(kind)) / sum(phase.seconds for phase in self.of(kind))

    @property
    def ratio(self) -> float:
        """What share of their speed orders keep."""
        return self.speed(EXPIRING) / self.speed(QUIET)

    @property
    def expired(self) -> int:
        """How many reservations expired."""
        return sum(phase.expiries for phase in self.phases)

    @property
    def took_s(self) -> float:
        """How long they took, from their time to the last one's event."""
        return sum(phase.waited_s + phase.seconds for phase in self.of(EXPIRING))


async def expiry(
    ground: Ground, meter: Meter, *, reservations: int, piles: int, quiet_s: float, say: Callable[[str], None]
) -> Expiry:
    """Let `reservations` expire in piles, with quiet phases before, between and after."""
    done = Expiry([])
    async with ground.place(ZIPF) as place:
        await lay_reservations(place.database_url, reservations)
        await ground.checkpoint()
        source = (Sent(ORDER_PLACED, *order) for order in orders(ZIPF, "o-"))
        async with running(OURS, place) as process:
            async with feeding(place, source, process, apart=TAG.encode()) as feed:
                await feed.until(lambda: feed.answered > _WARM_ORDERS)
                for pile in range(piles + 1):
                    for phase in (QUIET, EXPIRING)[: 1 if pile == piles else 2]:
                        size = reservations // piles
                        run = _quiet(feed, quiet_s) if phase == QUIET else _expiring(feed, place, pile * size, size)
                        before = meter.read(process.process.pid)
                        seconds, answered, waited_s = await run
                        used = before.until(meter.read(process.process.pid))
                        expired = 0 if phase == QUIET else size
                        done.phases.append(Phase(phase, seconds, answered, expired, waited_s, used))
                        say(f"{phase:8} {answered / seconds:8,.0f} orders/s over {seconds:.1f} s, {expired:,} expired")
            await _audit(place, reservations // piles * piles)
    return done


async def _quiet(feed: Feed, seconds: float) -> tuple[float, int, float]:
    loop = asyncio.get_running_loop()
    began, first = loop.time(), feed.answered
    ended = await feed.until(lambda: loop.time() >= began + seconds)
    return ended - began, feed.answered - first, 0.0


async def _expiring(feed: Feed, place: Place, first: int, many: int) -> tuple[float, int, float]:
    """Give a pile its time; the phase is from the first expiry told to the last."""
    already = feed.apart
    connection = await asyncpg.connect(place.database_url)
    try:
        at: datetime = await connection.fetchval("SELECT clock_timestamp()") + timedelta(seconds=_AHEAD_S)
        await make_due(connection, first, first + many, at)
        late = await connection.fetchval("SELECT extract(epoch FROM clock_timestamp() - $1)::float8", at)
    finally:
        await connection.close()
    if late > 0:
        raise ContenderFailed(f"the pile was laid {late:.1f} s after its time")
    due_at = asyncio.get_running_loop().time() - late
    began = await feed.until(lambda: feed.apart > already)
    answered = feed.answered
    ended = await feed.until(lambda: feed.apart >= already + many)
    return ended - began, feed.answered - answered, began - due_at


async def _audit(place: Place, many: int) -> None:
    """Raise ContenderFailed unless each reservation expired once, in time and whole, and the ledger agrees."""
    connection = await asyncpg.connect(place.database_url)
    try:
        await until_told(connection)
        found = await connection.fetchrow(_EXPIRED, TAG)
        assert found is not None
        if tuple(found) != (many, many, many, 0, 0, 0, 0):
            raise ContenderFailed(f"of {many} reservations: {dict(found)}")
    finally:
        await connection.close()
    await audit_ledger(place)


_EXPIRED: Final = """
WITH due AS MATERIALIZED (
    SELECT order_pk, site_id, order_id, expires_at, due_at FROM stock.orders WHERE order_id LIKE $1 || '%'
), line AS MATERIALIZED (
    SELECT due.order_id, l.line_id, l.placed, l.expired, l.allocations, due.expires_at
    FROM due JOIN stock.order_lines l USING (order_pk)
), given_back AS MATERIALIZED (
    SELECT order_id, line_id, sum(quantity) AS units, min(recorded_at) AS first_at,
           count(DISTINCT reference_id) AS times
    FROM stock.movements WHERE type = 'unreserved' AND reference_type = 'expiry' GROUP BY order_id, line_id
), reference AS MATERIALIZED (
    SELECT order_id, outcome FROM stock.references WHERE type = 'expiry'
)
SELECT (SELECT count(*) FROM due) AS laid,
       (SELECT count(*) FROM reference WHERE outcome = 'applied') AS expiries,
       (SELECT count(DISTINCT order_id) FROM reference) AS expired,
       (SELECT count(*) FROM due WHERE due_at IS NOT NULL) AS still_due,
       (SELECT count(*) FROM given_back g JOIN line USING (order_id, line_id)
        WHERE g.first_at < line.expires_at) AS early,
       (SELECT count(*) FROM given_back WHERE times <> 1) AS twice,
       (SELECT count(*) FROM line LEFT JOIN given_back g USING (order_id, line_id)
        WHERE g.units IS DISTINCT FROM line.placed OR NOT line.expired
           OR line.allocations -> 0 ->> 2 <> '0') AS not_whole
"""
