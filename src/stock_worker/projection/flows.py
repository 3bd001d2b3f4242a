"""What moved at sites, remembered by day. Law: a day is remembered once nothing can be added to it; all else is read.

A day's totals only grow while somewhere on earth it may still be that day, or was until an hour ago: a transaction that
was recorded then and has not ended by now has been cut off (`idle_in_transaction_session_timeout`, statement timeouts).
So it does not matter what a site's time zone is or becomes. `rebuild` alone writes old days again: each is read again
after ten minutes, a few a report, and none is told that is older than an hour.

Spans that are not whole days are read from the ledger, in the site's time zone of now (H5). Where it was the same when
a whole day inside of them was written, that day is taken from the totals all the same: it has the same rows.
Source: contract section 7 (reports), case H5.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from stock_worker.core.model import MovementType
from stock_worker.core.policy import zone_of
from stock_worker.projection.days import Adding, Block, Ints, Items, Part, Sums, fold, item_ids_of, read_rows
from stock_worker.store.reads.reports import Period, midnight
from stock_worker.store.sql import statements

if TYPE_CHECKING:
    from asyncpg import Connection
    from asyncpg import Record as Row

SQL: Final = statements("flows")

TOP: Final = 10
"""Products that are told as those that moved most."""
MOST_BYTES: Final = 256 * 2**20
"""What a process remembers, all sites together: a million rows of totals are ten million bytes."""
SETTLES: Final = timedelta(hours=1)
"""How long after its end a day, or after its change a time zone, may still be written by what began before."""
AGES: Final = timedelta(minutes=10)
"""A day that was read so long ago is read again."""
SPOILS: Final = timedelta(hours=1)
"""A day that was read so long ago is not told."""

_DAY: Final = timedelta(days=1)
_BEHIND_UTC: Final = timedelta(hours=12)
"""No time zone is further behind."""
_AT_ONCE: Final = 7
"""Days that one statement reads."""
_ROWS_AT_ONCE: Final = 100_000
"""Rows that are added up before others get their turn: some milliseconds."""

Blocks = tuple[tuple[MovementType, Block], ...]


class Span(NamedTuple):
    """A half-open span of time."""

    start: datetime
    end: datetime


class Days(NamedTuple):
    """Days from the first to before the last."""

    first: date
    last: date

    def each(self) -> list[date]:
        """All of them."""
        return [self.first + _DAY * n for n in range((self.last - self.first).days)]


class _Standing(NamedTuple):
    """The row of the statement `standing`."""

    moment: datetime
    first_day: date | None
    last_day: date | None
    first_at: datetime | None
    last_at: datetime | None
    settled_at: datetime | None


class _Day(NamedTuple):
    """The totals of a day, as a snapshot had them."""

    blocks: Blocks
    read_at: datetime
    reading: int
    nbytes: int


@dataclass(slots=True)
class _Site:
    """What is remembered of one site."""

    items: Items = field(default_factory=Items)
    days: OrderedDict[date, _Day] = field(default_factory=OrderedDict)  # what was told last stands last
    readings: Iterator[int] = field(default_factory=count)
    loading: asyncio.Lock = field(default_factory=asyncio.Lock)
    standing: _Standing | None = None  # as the last report had it
    added_up: tuple[Hashable, Adding] | None = None  # what the last report had of days that are over, and of what

    @property
    def nbytes(self) -> int:
        sums = 0 if self.added_up is None else self.added_up[1].nbytes
        return self.items.nbytes + sums + sum(day.nbytes for day in self.days.values())


class Flows:
    """What a process remembers of what moved, up to `most_bytes`; the site asked for least lately goes first."""

    def __init__(self, *, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._sites: OrderedDict[str, _Site] = OrderedDict()

    @property
    def nbytes(self) -> int:
        """The memory that is taken."""
        return sum(site.nbytes for site in self._sites.values())

    def is_cold(self, site_id: str, first: date, last: date) -> bool:
        """Whether so many of these days would have to be read that it takes a second and not a moment."""
        site = self._sites.get(site_id)
        if site is None or site.standing is None:
            return True
        days = _moved_in(Days(first, last), site.standing)
        return sum(day not in site.days for day in days.each()) > _AT_ONCE

    async def read(self, connection: "Connection", site_id: str, period: Period, left_out: Ints) -> Sums:
        """Sum up what moved in a period, as the connection's snapshot has it, but for the items that are `left_out`.

        Raises what asyncpg raises, and OverflowError where sums do not fit into 64 bits. What was read until then stays
        remembered.
        """
        row = await connection.fetchrow(SQL["standing"], site_id)
        assert row is not None
        standing = _Standing(*row)
        site = self._sites.setdefault(site_id, _Site())
        self._sites.move_to_end(site_id)
        site.standing = standing
        sums, parts = Adding(site.items, left_out), list[Part]()
        for piece in pieces(period, standing):
            if isinstance(piece, Span):
                parts += await _from_ledger(connection, site_id, site.items, piece, period.timezone)
                continue
            split = min(max(first_open(standing.moment), piece.first), piece.last)
            over = await _remembered(connection, site_id, site, Days(piece.first, split), standing.moment)
            for run in runs(Days(split, piece.last).each()):
                parts += _parts(await _totals(connection, site_id, site.items, run))
            sums = await _added_up(site, over, left_out)
        self._forget_beyond()
        sums = sums.copy(left_out)
        await _add(sums, parts)
        return sums.sums(TOP)

    def _forget_beyond(self) -> None:
        """Forget sites, then days of the last one, until what is left fits. What somebody adds up is still theirs."""
        left = self.nbytes
        while left > self._most_bytes and self._sites:
            site_id, site = next(iter(self._sites.items()))
            if len(self._sites) > 1 or not site.days:
                left -= self._sites.pop(site_id).nbytes
            else:
                left -= site.days.popitem(last=False)[1].nbytes


def first_open(moment: datetime) -> date:
    """The first day that something may still be added to."""
    return (moment.astimezone(UTC) - _BEHIND_UTC - SETTLES).date()


def pieces(period: Period, standing: _Standing) -> list[Days | Span]:
    """Cut a period, as far as anything moved in it, into whole days of the totals and spans of the ledger."""
    if standing.first_day is None or standing.last_day is None:
        return []
    if period.days is not None:
        days = _moved_in(Days(*period.days), standing)
        return [days] if days.first < days.last else []
    if standing.first_at is None or standing.last_at is None:
        return []
    zone = zone_of(period.timezone)
    start = max(period.start, midnight(standing.first_at.astimezone(zone).date(), zone))
    end = min(period.end, midnight(standing.last_at.astimezone(zone).date() + _DAY, zone))
    if start >= end:
        return []
    surely = start if standing.settled_at is None else max(start, standing.settled_at + SETTLES)
    first = surely.astimezone(zone).date()
    first += _DAY * (midnight(first, zone) < surely)
    last = end.astimezone(zone).date()
    if first >= last:
        return [Span(start, end)]
    around = Span(start, midnight(first, zone)), Span(midnight(last, zone), end)
    return [Days(first, last), *(span for span in around if span.start < span.end)]


def _moved_in(days: Days, standing: _Standing) -> Days:
    """Give those of these days from the first to the last on which anything moved."""
    if standing.first_day is None or standing.last_day is None:
        return Days(days.first, days.first)
    return Days(max(days.first, standing.first_day), min(days.last, standing.last_day + _DAY))


def runs(days: Sequence[date]) -> list[Days]:
    """Put days, in order, together to runs of which each is one statement's."""
    found: list[Days] = []
    for day in days:
        if found and found[-1].last == day and len(found[-1].each()) < _AT_ONCE:
            found[-1] = Days(found[-1].first, day + _DAY)
        else:
            found.append(Days(day, day + _DAY))
    return found


async def _remembered(
    connection: "Connection", site_id: str, site: _Site, days: Days, moment: datetime
) -> dict[date, _Day]:
    """Give days that are over, and remember those that had to be read."""
    async with site.loading:
        told = {day: site.days[day] for day in days.each() if day in site.days}
        for run in runs(_to_read(told, days, moment)):
            for day, blocks in (await _totals(connection, site_id, site.items, run)).items():
                nbytes = sum(block.nbytes for _, block in blocks)
                told[day] = site.days[day] = _Day(blocks, moment, next(site.readings), nbytes)
    for day in days.each():
        if day in site.days:  # who was asked for more than fits may have had it forgotten since
            site.days.move_to_end(day)
    return {day: told[day] for day in days.each()}


async def _added_up(site: _Site, days: Mapping[date, _Day], left_out: Ints) -> Adding:
    """Add up days that are over, unless the last report had the very same ones and the same items left out."""
    made_of = left_out.tobytes(), *((day, known.reading) for day, known in days.items())
    if site.added_up is None or site.added_up[0] != made_of:
        sums = Adding(site.items, left_out)
        await _add(sums, _parts({day: known.blocks for day, known in days.items()}))
        site.added_up = made_of, sums
    return site.added_up[1]


async def _add(sums: Adding, parts: Iterable[Part]) -> None:
    """Take blocks in; others get their turn in between."""
    rows = 0
    for day, kind, block in parts:
        sums.add(day, kind, block)
        rows += len(block.rows)
        if rows > _ROWS_AT_ONCE:
            rows = 0
            await asyncio.sleep(0)


def _parts(days: Mapping[date, Blocks]) -> list[Part]:
    return [(day, kind, block) for day, blocks in days.items() for kind, block in blocks]


def _to_read(told: Mapping[date, _Day], days: Days, moment: datetime) -> list[date]:
    """Days that are not remembered or have spoilt, and the few oldest of those that have aged."""
    aged = sorted((known.read_at, day) for day, known in told.items() if moment - known.read_at > AGES)
    again = {day for read_at, day in aged[:_AT_ONCE]} | {day for read_at, day in aged if moment - read_at > SPOILS}
    return [day for day in days.each() if day not in told or day in again]


async def _totals(connection: "Connection", site_id: str, items: Items, days: Days) -> dict[date, Blocks]:
    rows = await connection.fetch(SQL["totals"], site_id, *days)
    found: dict[date, Blocks] = dict.fromkeys(days.each(), ())
    for day, kind, block in await _taken_up(connection, site_id, items, rows):
        found[day] += ((kind, block),)
    return found


async def _from_ledger(connection: "Connection", site_id: str, items: Items, span: Span, zone: str) -> list[Part]:
    parts: list[Part] = []
    start = span.start
    while start < span.end:
        end = min(start + _DAY * _AT_ONCE, span.end)
        rows = await connection.fetch(SQL["ledger"], site_id, start, end, zone)
        parts += await _taken_up(connection, site_id, items, rows)
        start = end
    return parts


async def _taken_up(connection: "Connection", site_id: str, items: Items, rows: Iterable["Row"]) -> list[Part]:
    """Take packed rows up, and first the items that have not been met. Others get their turn after each block."""
    told = [(row["day"], MovementType(row["type"]), read_rows(row["rows"])) for row in rows]
    met = [item_ids_of(sent) for _, _, sent in told]
    unknown = items.unknown(np.concatenate(met)).tolist() if met else []
    if unknown:
        items.learn(await connection.fetchval(SQL["products"], site_id, unknown))
    parts: list[Part] = []
    for day, kind, sent in told:
        parts.append((day, kind, fold(items, sent)))
        await asyncio.sleep(0)
    return parts
