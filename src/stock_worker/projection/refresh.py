"""What is held of a site, loaded and brought up to a snapshot. Law: afterwards it is what the snapshot has, row by row.

A row of the ledger or the catalog that the last snapshot did not see is of the oldest transaction that was under way
then, or of one with a higher number: all of them are found by number, and at most some that were seen come again. An
index finds them by time: a transaction takes its number before it reads the clock, so one whose number had not been
given out at a moment records nothing from before it (but for a clock that goes back, see RECORDED_BACK).

Every change of an item writes one of these two rows, but for its level, which changes without them only while a change
of rules or settings is worked off: the site's stamp and its jobs tell of that. `rebuild` mends counters without a row;
for its sake a site is loaded anew from time to time (sites.py). Source: contract section 7, cases H1 and H2.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from stock_worker.projection.columns import Columns, Ints
from stock_worker.store.sql import statements

if TYPE_CHECKING:
    from asyncpg import Connection
    from asyncpg import Record as Row

SQL: Final = statements("projection")

RECORDED_BACK: Final = timedelta(seconds=5)
"""How far the database's clock may go back between two snapshots without a change being missed."""
UNDER_WAY_MAX: Final = timedelta(seconds=60)
"""How old a transaction under way may be that a load does not see: one that idles for 30 s is ended by the database."""
AT_ONCE: Final = 250
"""Items read and taken together: some 3 ms, in which the process does nothing else."""
_AT_LEAST_S: Final = 0.001
_XIDS: Final = 1 << 32
_FLOORS_APART: Final = timedelta(seconds=1)


def ids_of(told: bytes | None) -> Ints:
    """Read ids that the database sends in 8 bytes each, which costs a tenth of rows."""
    return np.frombuffer(told or b"", ">i8").astype(np.int64)


@dataclass
class Held:
    """A site's items as the last snapshot had them, and what the next one has to be asked."""

    site_id: str
    columns: Columns = field(default_factory=Columns)
    moving: float = 0.0
    """Items that moved a second between the last two snapshots."""
    _mark: "Row | None" = None
    _floors: list[tuple[int, datetime]] = field(default_factory=list)
    """Which number was not given out yet, and when. The first is before all that the last snapshot did not see."""

    async def load(self, connection: "Connection") -> None:
        """Read all items, once, on the connection's snapshot."""
        mark = await connection.fetchrow(SQL["mark"], self.site_id, None, None)
        assert mark is not None
        assert self._mark is None, "it is loaded once"
        await self._read(connection, ids_of(await connection.fetchval(SQL["known"], self.site_id)).tolist())
        for texts in (self.columns.names, self.columns.skus):
            for prepare in (texts.ascending, texts.join):
                await asyncio.sleep(0)  # others have a turn in between
                prepare()
        self._note(mark)

    async def refresh(self, connection: "Connection", recorded_back: timedelta) -> bool:
        """Bring it up to the connection's snapshot, which was taken after the last one.

        Returns whether that can be done: not where the database's clock or its numbers went back since.
        """
        last = self._mark
        assert last is not None, "it is loaded first"
        since = self._floors[0][1] - recorded_back
        mark = await connection.fetchrow(SQL["mark"], self.site_id, since, last["oldest"] % _XIDS)
        assert mark is not None
        if mark["next"] < last["next"] or mark["moment"] < last["moment"]:
            return False
        touched = ids_of(mark["touched"]).tolist()
        await self._read(connection, touched)
        if mark["has_jobs"] or last["has_jobs"] or mark["stamp"] != last["stamp"]:
            short = await connection.fetch(SQL["short"], self.site_id)
            self.columns.set_levels({row["item_id"]: row["code"] for row in short})
        self._note(mark)
        self.moving = len(touched) / max((mark["moment"] - last["moment"]).total_seconds(), _AT_LEAST_S)
        return True

    async def _read(self, connection: "Connection", item_ids: list[int]) -> None:
        for first in range(0, len(item_ids), AT_ONCE):
            self.columns.apply(await connection.fetch(SQL["rows_of"], self.site_id, item_ids[first : first + AT_ONCE]))

    def _note(self, mark: "Row") -> None:
        self._mark = mark
        if not self._floors:
            self._floors.append((0, mark["moment"] - UNDER_WAY_MAX))
        if mark["moment"] >= self._floors[-1][1] + _FLOORS_APART:
            self._floors.append((mark["next"], mark["moment"]))
        while len(self._floors) > 1 and self._floors[1][0] <= mark["oldest"]:
            del self._floors[0]
