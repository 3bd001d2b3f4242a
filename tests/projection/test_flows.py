"""What is remembered of days, against the ledger: whatever comes in, spoils, is cut off or does not fit."""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
import numpy as np
import pytest

from stock_worker.core.model import MovementType
from stock_worker.projection import flows as module
from stock_worker.projection.days import Flow, Sums
from stock_worker.projection.flows import TOP, Days, Flows, Span, first_open, pieces, runs
from stock_worker.store.engine import connect
from stock_worker.store.reads.reports import Period, period_of
from tests.http.booking import Books, variant
from tests.http.running import OTHER, SITE
from tests.projection.summing import Moved, summed, told

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FIRST = date(2026, 3, 24)
"""Of eight days about a change of the clocks."""
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
UNTRACKED = "SELECT item_id FROM stock.products WHERE site_id = $1 AND NOT track_inventory"


@pytest.fixture
async def books(database: str) -> AsyncIterator[Books]:
    opened = await Books.open(database)
    yield opened
    await opened.connection.close()


@asynccontextmanager
async def reading(database: str, site: str = SITE) -> AsyncIterator[asyncpg.Connection]:
    """One snapshot, as requests have it."""
    connection = await connect(database, "stock_api")
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await connection.execute("SELECT set_config('stock.sites', $1, true)", site)
            yield connection
    finally:
        await connection.close(timeout=5)


async def ask(flows: Flows, database: str, start: date, end: date, site: str = SITE) -> Sums:
    async with reading(database, site) as connection:
        rows = await connection.fetch(UNTRACKED, site)
        left_out = np.array([row["item_id"] for row in rows], np.int64)
        return await flows.read(connection, site, await period_of(connection, site, start, end), left_out)


async def wanted(books: Books, start: datetime, end: datetime, zone: str, site: str = SITE) -> Sums:
    """Sum up the ledger row by row."""
    left_out = {row["item_id"] for row in await books.connection.fetch(UNTRACKED, site)}
    return summed(
        (
            Moved(
                MovementType(row["type"]),
                row["recorded_at"].astimezone(ZoneInfo(zone)).date(),
                UUID(row["product_id"]),
                max(row["quantity"], 0),
                max(-row["quantity"], 0),
            )
            for row in await books.ledger(site)
            if start <= row["recorded_at"] < end and row["item_id"] not in left_out
        ),
        TOP,
    )


async def a_shop(books: Books, timezone: str) -> None:
    """Eight days of movements of fourteen products, some with variants, and one that is not tracked any more."""
    draw = random.Random(timezone)
    await books.set(timezone=timezone)
    await books.connection.execute("UPDATE stock.site_settings SET updated_at = $1", LONG_AGO)
    at = datetime.combine(FIRST, datetime.min.time(), UTC)
    while at < datetime.combine(FIRST + 8 * DAY, datetime.min.time(), UTC):
        number = draw.randint(1, 14)
        of: dict[str, Any] = {"variant_id": variant(draw.randint(1, 3))} if number % 3 == 0 else {}
        kind = draw.choice(["restock", "damage", "reserved", "return", "adjustment"])
        await books.restock(number, draw.randint(5, 9), at, **of)
        await books.adjust(kind, number, draw.randint(1, 4), at, **of)
        at += timedelta(minutes=draw.randint(20, 140))
    await books.announce(3, variant_id=variant(1), track_inventory=False)
    await books.announce(4, track_inventory=False)


@pytest.mark.parametrize("timezone", ["UTC", "Europe/Berlin", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
async def test_remembered_or_not_a_report_is_what_the_ledger_says(
    database: str, books: Books, timezone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await a_shop(books, timezone)
    flows, zone = Flows(), ZoneInfo(timezone)

    def begins(day: date) -> datetime:
        return datetime.combine(day, datetime.min.time(), zone).astimezone(UTC)

    spans: list[tuple[date, date]] = [(FIRST - DAY, FIRST + 9 * DAY), (FIRST + 2 * DAY, FIRST + 6 * DAY)]
    spans += [(begins(first) + 7 * HOUR, begins(last) + 5 * HOUR) for first, last in spans]
    spans += [(begins(FIRST + 5 * DAY) + HOUR, begins(FIRST + 5 * DAY) + 3 * HOUR)]
    for first, last in spans:
        start, end = (each if isinstance(each, datetime) else begins(each) for each in (first, last))
        expected = await wanted(books, start, end, timezone)
        assert expected.by_day
        for _ in range(2):
            assert told(await ask(flows, database, first, last)) == expected
        assert told(await ask(Flows(), database, first, last)) == expected, "from nothing"
        with monkeypatch.context() as patch:
            patch.setattr(module, "pieces", lambda *_: [Span(start, end)])  # noqa: B023 - used at once
            assert told(await ask(Flows(), database, first, last)) == expected, "from the ledger alone"
    assert set(flows._sites[SITE].days) >= set(Days(FIRST, FIRST + 7 * DAY).each())


async def test_what_becomes_untracked_or_tracked_counts_as_of_now(database: str, books: Books) -> None:
    await a_shop(books, "UTC")
    flows, end = Flows(), FIRST + 8 * DAY
    start = datetime.combine(FIRST, datetime.min.time(), UTC)
    seen = []
    for number, tracked in ((4, True), (5, False), (5, True)):
        await books.announce(number, track_inventory=tracked)
        seen.append(told(await ask(flows, database, FIRST, end)))
        assert seen[-1] == await wanted(books, start, start + 8 * DAY, "UTC")
    assert seen[0] == seen[2] != seen[1]


async def test_what_comes_in_is_told_at_once_and_old_days_are_not_read_again(database: str, books: Books) -> None:
    """A total of an old day is changed behind the ledger's back: it is told only once the day is read again."""
    now = await books.connection.fetchval("SELECT now()")
    await books.restock(1, 5, now - 9 * DAY)
    await books.restock(1, 7, now)
    flows, first, end = Flows(), now.date() - 20 * DAY, now.date() + 2 * DAY
    assert (await ask(flows, database, first, end)).by_day[now.date()] == Flow(7, 0)
    await books.restock(2, 3, now)
    await books.adjust("damage", 1, 2, now)
    sums = await ask(flows, database, first, end)
    assert (sums.by_day[now.date()], len(sums.top)) == (Flow(10, 2), 2)
    assert sums == await wanted(books, now - 20 * DAY, now + 2 * DAY, "UTC")
    await books.connection.execute("UPDATE stock.daily_totals SET units_in = units_in + 100")
    sums = await ask(flows, database, first, end)
    assert sums.by_day == {now.date() - 9 * DAY: Flow(5, 0), now.date(): Flow(310, 2)}


@pytest.mark.parametrize(
    ("ages", "spoils", "read"),
    [(10, 60, 0), (0, 60, 7), (0, 0, 19)],
    ids=["young", "aged", "spoilt"],
)
async def test_days_are_read_again_in_time(
    database: str, books: Books, monkeypatch: pytest.MonkeyPatch, ages: int, spoils: int, read: int
) -> None:
    """What `rebuild` mends is told within an hour: the oldest few of each report, or all that have spoilt."""
    midnight = datetime.combine(FIRST, datetime.min.time(), UTC)
    for number in range(19):
        await books.restock(1, 1, midnight + number * DAY)
    flows, end = Flows(), FIRST + 19 * DAY
    await ask(flows, database, FIRST, end)
    await books.connection.execute("UPDATE stock.daily_totals SET units_in = 2")
    monkeypatch.setattr(module, "AGES", ages * timedelta(minutes=1))
    monkeypatch.setattr(module, "SPOILS", spoils * timedelta(minutes=1))
    sums = await ask(flows, database, FIRST, end)
    assert [day for day, flow in sums.by_day.items() if flow.units_in == 2] == Days(FIRST, FIRST + read * DAY).each()
    if read == 7:
        for _ in range(2):
            sums = await ask(flows, database, FIRST, end)
        assert {flow.units_in for flow in sums.by_day.values()} == {2}, "in turn"


async def test_a_reading_that_is_cut_off_leaves_whole_days_or_none(database: str, books: Books) -> None:
    midnight = datetime.combine(FIRST, datetime.min.time(), UTC)
    for number in range(14):
        await books.restock(1 + number // 7, 5, midnight + number * DAY)
    flows, end = Flows(), FIRST + 14 * DAY
    locking = await connect(database, None)
    async with locking.transaction():
        await locking.execute("LOCK TABLE stock.items")  # so that products cannot be read, but totals can
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await ask(flows, database, FIRST, end)
        assert not flows._sites[SITE].days
    await ask(flows, database, FIRST, FIRST + 7 * DAY)
    async with locking.transaction():
        await locking.execute("LOCK TABLE stock.items")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await ask(flows, database, FIRST, end)
        assert list(flows._sites[SITE].days) == Days(FIRST, FIRST + 7 * DAY).each()
    await locking.close()
    assert await ask(flows, database, FIRST, end) == await wanted(books, midnight, midnight + 14 * DAY, "UTC")


async def test_reports_at_once_share_what_they_read(database: str, books: Books) -> None:
    await a_shop(books, "UTC")
    flows, end = Flows(), FIRST + 8 * DAY
    found = await asyncio.gather(*(ask(flows, database, FIRST, end) for _ in range(4)))
    assert found == [found[0]] * 4
    assert told(found[0]) == told(await ask(Flows(), database, FIRST, end))
    assert next(flows._sites[SITE].readings) == 8, "each day was read once"


@pytest.mark.parametrize("most_bytes", [0, 8_000, 10**6])
async def test_what_is_remembered_fits(database: str, books: Books, most_bytes: int) -> None:
    """The site that was asked for least lately goes first, then days of the one that was asked for now."""
    midnight = datetime.combine(FIRST, datetime.min.time(), UTC)
    for site in (SITE, OTHER):
        for number in range(20):
            await books.restock(1, 1 + number, midnight + number * DAY, site=site)
    flows, end = Flows(most_bytes=most_bytes), FIRST + 20 * DAY
    for site in (SITE, OTHER, SITE):
        sums = await ask(flows, database, FIRST, end, site)
        assert sums == await wanted(books, midnight, midnight + 20 * DAY, "UTC", site)
        assert flows.nbytes <= most_bytes
    assert len(flows._sites) == (2 if most_bytes == 10**6 else 1 if most_bytes else 0)


async def test_a_report_is_cold_until_most_of_its_days_are_remembered(database: str, books: Books) -> None:
    """Days before the first movement and after the last are none that would be read."""
    midnight = datetime.combine(FIRST, datetime.min.time(), UTC)
    for number in range(20):
        await books.restock(1, 1, midnight + number * DAY)
    flows = Flows()
    assert flows.is_cold(SITE, FIRST, FIRST + DAY), "nobody knows on which days something moved"
    await ask(flows, database, FIRST + 13 * DAY, FIRST + 20 * DAY)
    assert [flows.is_cold(SITE, FIRST + first * DAY, FIRST + 99 * DAY) for first in (-9, 0, 5, 6, 13)] == [
        *(True, True, True),
        *(False, False),
    ]
    await ask(flows, database, FIRST, FIRST + 20 * DAY)
    assert not flows.is_cold(SITE, date.min, date.max)
    assert flows.is_cold(OTHER, date.min, date.max)


async def test_a_site_of_which_nothing_is_there_is_empty(database: str) -> None:
    for first, last in ((date.min, date.max), (datetime(2, 1, 1, 1, tzinfo=UTC), datetime(9998, 1, 1, tzinfo=UTC))):
        assert await ask(Flows(), database, first, last) == Sums({}, {}, [])


# ---------------------------------------------------------------- which days, which spans


@pytest.mark.parametrize(
    ("moment", "first"),
    [("2026-03-10T12:59:59", 9), ("2026-03-10T13:00:00", 10), ("2026-03-10T23:59:59", 10), ("2026-03-11T00:00:00", 10)],
)
def test_a_day_is_over_once_it_is_nowhere_that_day_for_an_hour(moment: str, first: int) -> None:
    """13:00 in UTC is 01:00 where the clocks are furthest behind; in UTC itself the day before lasts until then."""
    assert first_open(datetime.fromisoformat(moment + "Z")) == date(2026, 3, first)


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 3, day, hour, minute, tzinfo=UTC)


def days(first: int, last: int) -> Days:
    return Days(date(2026, 3, first), date(2026, 3, last))


@pytest.mark.parametrize(
    ("start", "end", "settled_at", "found"),
    [
        (at(10, 5), at(14, 5), None, [days(11, 14), Span(at(10, 5), at(10, 23)), Span(at(13, 23), at(14, 5))]),
        (at(9, 23), at(14, 5), None, [days(10, 14), Span(at(13, 23), at(14, 5))]),
        (at(10, 5), at(13, 23), None, [days(11, 14), Span(at(10, 5), at(10, 23))]),
        (at(10, 5), at(11, 5), None, [Span(at(10, 5), at(11, 5))]),
        (at(10, 5), at(11, 23), None, [days(11, 12), Span(at(10, 5), at(10, 23))]),
        (at(28, 5), at(31, 5), None, [days(29, 31), Span(at(28, 5), at(28, 23)), Span(at(30, 22), at(31, 5))]),
        (at(1, 0, 1), at(14, 5), None, [days(3, 14), Span(at(1, 23), at(2, 23)), Span(at(13, 23), at(14, 5))]),
        (at(10, 5), at(14, 5), at(9, 0), [days(11, 14), Span(at(10, 5), at(10, 23)), Span(at(13, 23), at(14, 5))]),
        (at(10, 5), at(14, 5), at(10, 22), [days(11, 14), Span(at(10, 5), at(10, 23)), Span(at(13, 23), at(14, 5))]),
        (at(10, 5), at(14, 5), at(10, 22, 1), [days(12, 14), Span(at(10, 5), at(11, 23)), Span(at(13, 23), at(14, 5))]),
        (at(10, 5), at(14, 5), at(20, 0), [Span(at(10, 5), at(14, 5))]),
    ],
    ids=["both edges", "from midnight", "to midnight", "less than a day", "one day", "clocks change", "before all",
         "zone set before", "zone settled just in time", "zone settled later", "zone set after"],
)  # fmt: skip
def test_a_span_is_whole_days_as_far_as_the_zone_was_the_same(
    start: datetime, end: datetime, settled_at: datetime | None, found: Sequence[Any]
) -> None:
    """In Berlin, where a day begins at 23:00 in UTC until the 29th, and at 22:00 from then on."""
    there = {"first_day": date(2026, 3, 3), "last_day": date(2026, 4, 3), "first_at": at(2, 23), "last_at": at(31, 23)}
    period = Period(start, end, "Europe/Berlin", None)
    told = pieces(period, standing(there, settled_at))
    if start == at(1, 0, 1):  # the first movement's day begins at 23:00 on the 2nd
        found = [found[0], found[2]]
    assert told == found


def standing(there: Mapping[str, Any], settled_at: datetime | None) -> module._Standing:
    return module._Standing(moment=at(31, 12), settled_at=settled_at, **there)


def test_runs_are_whole_and_short() -> None:
    every = [date(2026, 3, number) for number in (1, 2, 3, 5, *range(7, 25))]
    found = runs(every)
    assert [day for run in found for day in run.each()] == every
    assert [len(run.each()) for run in found] == [3, 1, 7, 7, 4]
