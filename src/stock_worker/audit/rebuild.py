"""Compute again from the ledger what follows from it. Law: the ledger is never touched, and what agrees is not written.

Items' counters and costs, places and holds, daily totals, where order lines have their units. A portion at a time,
each one transaction under the locks that batches take, so it runs beside workers and in bounded memory. Levels, alert
ids and revisions are not in the ledger and stay; so do the totals of order lines, which only the commands said.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from stock_worker.audit.allocations import allocations_of, in_short
from stock_worker.audit.drift import Drift, Kind, item_words
from stock_worker.store.sql import statements

if TYPE_CHECKING:
    import asyncpg

SQL = statements("rebuild")

ITEMS_AT_ONCE: Final = 200
ORDERS_AT_ONCE: Final = 500

Say = Callable[[str, int], None]
"""Told how far it has come: what is being rebuilt, and how many are done."""


async def rebuild(
    connection: "asyncpg.Connection", *, site_id: str | None = None, dry_run: bool, say: Say
) -> list[Drift]:
    """Rebuild all, or one site. Returns what differed, which is written unless `dry_run`.

    `connection` acts as stock_worker and is in no transaction. Raises asyncpg errors as they are.
    """
    drifts = await _portions(
        connection, SQL["lock_items"], site_id, ITEMS_AT_ONCE, _items(dry_run=dry_run), "items", say
    )
    return drifts + await _portions(
        connection, SQL["lock_orders"], site_id, ORDERS_AT_ONCE, _orders(dry_run=dry_run), "orders", say
    )


async def _portions(
    connection: "asyncpg.Connection",
    lock: str,
    site_id: str | None,
    at_once: int,
    work: Callable[["asyncpg.Connection", list[int]], Any],
    what: str,
    say: Say,
) -> list[Drift]:
    drifts: list[Drift] = []
    after = done = 0
    while True:
        async with connection.transaction(isolation="read_committed"):
            ids = [row[0] for row in await connection.fetch(lock, site_id, after, at_once)]
            if not ids:
                return drifts
            drifts += await work(connection, ids)
        after, done = ids[-1], done + len(ids)
        say(what, done)


def _items(*, dry_run: bool) -> Callable[["asyncpg.Connection", list[int]], Any]:
    async def work(connection: "asyncpg.Connection", ids: list[int]) -> list[Drift]:
        items = await connection.fetch(SQL["items"], ids)
        places = await connection.fetch(SQL["places"], ids)
        days = await connection.fetch(SQL["days"], ids)
        if not dry_run:
            await _write(connection, SQL["write_items"], items, _ITEM)
            await _write(connection, SQL["write_places"], places, _PLACE)
            wrong = [row["item_id"] for row in days]
            if wrong:
                await connection.execute(SQL["forget_days"], wrong)
                await connection.execute(SQL["write_days"], wrong)
        return [
            *(_drift(Kind.ITEM_COUNTERS, row, "figures of the last row") for row in items),
            *(_drift(Kind.LOCATION_COUNTERS, row, f"counters at {row['location_id']}") for row in places),
            *(_drift(Kind.DAILY_TOTALS, row, f"days of {row['types']}") for row in days),
        ]

    return work


def _orders(*, dry_run: bool) -> Callable[["asyncpg.Connection", list[int]], Any]:
    async def work(connection: "asyncpg.Connection", pks: list[int]) -> list[Drift]:
        drifts, wrong = [], []
        for key, stored, found, drift in _lines(await connection.fetch(SQL["line_rows"], pks)):
            if stored != found:
                drifts.append(drift)
                wrong.append((*key, json.dumps(found)))
        if wrong and not dry_run:
            await connection.execute(SQL["write_allocations"], *map(list, zip(*wrong, strict=True)))
        return drifts

    return work


def _lines(rows: Sequence["asyncpg.Record"]) -> Iterator[tuple[tuple[int, str], Any, Any, Drift]]:
    """Each line with its places as they are stored and as its rows say; a place without anything counts for nothing."""
    for key, of_line in groupby(rows, lambda row: (row["order_pk"], row["line_id"])):
        own = list(of_line)
        stored = in_short(json.loads(own[0]["allocations"]))
        found = allocations_of([row for row in own if row["version"] is not None])
        words = f"order {own[0]['order_id']} line {own[0]['line_id']} of site {own[0]['site_id']}"
        law = "units by location: sold, reserved, given back, returned"
        yield key, stored, found, Drift(Kind.LINE_ALLOCATIONS, words, law, json.dumps(found), json.dumps(stored))


async def _write(
    connection: "asyncpg.Connection", statement: str, rows: Sequence["asyncpg.Record"], names: tuple[str, ...]
) -> None:
    if rows:
        columns = [[row[name] for row in rows] for name in names]
        await connection.execute(statement, *columns)


def _drift(kind: Kind, row: "asyncpg.Record", law: str) -> Drift:
    return Drift(
        kind, item_words(row["site_id"], row["product_id"], row["variant_id"]), law, row["expected"], row["found"]
    )


_ITEM: Final = (
    *("item_id", "on_hand", "reserved", "version", "costed_quantity", "net_sold", "average_cost"),
    *("first_movement_at", "last_movement_at", "last_movement_type"),
)
_PLACE: Final = ("item_id", "site_id", "location_id", "on_hand", "reserved", "held")
