"""Verify what is stored against itself. Law: the ledger testifies; every counter, total and list must follow from it.

Reads in portions, each one snapshot (a batch commits whole, so a snapshot is consistent whatever else is written), and
keeps nothing of a portion but its drifts. Rules 5 and 10 stand in this package a second time on purpose.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from stock_worker.audit.drift import Drift
from stock_worker.audit.items import check_items, check_movements_without_item
from stock_worker.audit.lines import check_due, check_lines, check_lines_of_items, check_parked
from stock_worker.audit.references import check_references
from stock_worker.store.sql import statements

if TYPE_CHECKING:
    import asyncpg

    Keys = list[asyncpg.Record]

Say = Callable[[str, int, int], None]
"""Told how far a phase has come: its name, how many are done, how many there are (as counted at its start)."""
Rest = Callable[[float], Awaitable[None]]
"""Awaited after each portion, outside of its snapshot, with the seconds that it took."""

SQL = statements("verify")

ITEMS_AT_ONCE: Final = 500
ITEMS_BETWEEN_RESTS: Final = 25
"""Items of a portion where others are to be spared: some tens of milliseconds of the server."""
KEYS_AT_ONCE: Final = 2_000

_NIL: Final = "00000000-0000-0000-0000-000000000000"


async def verify(
    connection: "asyncpg.Connection",
    *,
    site_id: str | None = None,
    slice: tuple[int, int] | None = None,  # noqa: A002 - the interface calls it so
    say: Say | None = None,
    rest: Rest | None = None,
) -> list[Drift]:
    """Check all, or one site, or of `slice` = (k, n) the items whose item_id % n is k, with the lines they moved.

    `connection` sees every site (role stock_worker, plans "free") and is in no transaction. A slice leaves out what no
    item leads to: rows without an item, what references list beyond rows, parked commands. Raises asyncpg errors as
    they are.
    """
    reader = _Reader(connection, site_id, say, rest)
    if slice is not None:
        return await reader.items(slice, with_their_lines=True)
    drifts = await reader.items((0, 1), with_their_lines=False)
    drifts += await reader.lines()
    drifts += await reader.references()
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        drifts += await check_movements_without_item(connection)
        drifts += await check_parked(connection, site_id)
        drifts += await check_due(connection, site_id)
    return drifts


class _Reader:
    """Goes through a table in the order of its key, one portion and one snapshot at a time."""

    def __init__(
        self, connection: "asyncpg.Connection", site_id: str | None, say: Say | None, rest: Rest | None
    ) -> None:
        self._connection, self._site_id, self._say, self._rest = connection, site_id, say, rest

    async def items(self, part: tuple[int, int], *, with_their_lines: bool) -> list[Drift]:
        async def check(keys: Sequence[tuple[Any, ...]]) -> list[Drift]:
            ids = [item_id for (item_id,) in keys]
            drifts = await check_items(self._connection, ids)
            return drifts + await check_lines_of_items(self._connection, ids) if with_their_lines else drifts

        async def following(after: tuple[Any, ...]) -> "Keys":
            at_once = ITEMS_AT_ONCE if self._rest is None else ITEMS_BETWEEN_RESTS
            return await self._connection.fetch(SQL["next_items"], self._site_id, *part, *after, at_once)

        total = await self._count(SQL["count_items"], *part)
        return await self._walk("items", total, (0,), following, check)

    async def lines(self) -> list[Drift]:
        async def check(keys: Sequence[tuple[Any, ...]]) -> list[Drift]:
            return await check_lines(self._connection, keys)

        async def following(after: tuple[Any, ...]) -> "Keys":
            return await self._connection.fetch(SQL["next_lines"], self._site_id, *after, KEYS_AT_ONCE)

        total = await self._count(SQL["count_lines"])
        return await self._walk("order lines", total, (0, ""), following, check)

    async def references(self) -> list[Drift]:
        async def check(keys: Sequence[tuple[Any, ...]]) -> list[Drift]:
            return await check_references(self._connection, keys)

        async def following(after: tuple[Any, ...]) -> "Keys":
            return await self._connection.fetch(SQL["next_references"], self._site_id, *after, KEYS_AT_ONCE)

        total = await self._count(SQL["count_references"])
        return await self._walk("references", total, (_NIL, "", ""), following, check)

    async def _count(self, counting: str, *of: int) -> int:
        """How far there is to go; unknown where nobody is told, since counting reads a whole table."""
        return 0 if self._say is None else int(await self._connection.fetchval(counting, self._site_id, *of))

    async def _walk(
        self,
        phase: str,
        total: int,
        after: tuple[Any, ...],
        following: Callable[[tuple[Any, ...]], Awaitable["Keys"]],
        check: Callable[[Sequence[tuple[Any, ...]]], Awaitable[list[Drift]]],
    ) -> list[Drift]:
        drifts: list[Drift] = []
        done = 0
        if self._say is not None:
            self._say(phase, done, total)
        while True:
            began = time.monotonic()
            async with self._connection.transaction(isolation="repeatable_read", readonly=True):
                keys = await following(after)
                if not keys:
                    return drifts
                drifts += await check([tuple(key) for key in keys])
            done, after = done + len(keys), tuple(keys[-1])
            if self._say is not None:
                self._say(phase, done, max(done, total))  # rows may have come since they were counted
            if self._rest is not None:
                await self._rest(time.monotonic() - began)
