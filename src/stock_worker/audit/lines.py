"""Order lines. Law: what the ledger moved for a line is what rule 5 computes from its totals, and nothing else.

P placed, C cancelled by name, W the whole order cancelled, F fulfilled, R returned, E expired: out = max(F, R);
cancelled = min(P if W else C, P - out); in mode sale sold = P - cancelled and nothing is reserved; in mode reserve
sold = out, and P - out - cancelled is reserved until E. F leaves no row of its own where the goods had been sold
before: it is checked only through what it does to `cancelled`. A line placed while its item was untracked never moves.
"""

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from stock_worker.audit.drift import Drift, Kind
from stock_worker.store.sql import statements

if TYPE_CHECKING:
    import asyncpg

SQL = statements("verify")


async def check_lines(connection: "asyncpg.Connection", keys: Sequence[tuple[Any, ...]]) -> list[Drift]:
    """Check the lines with these keys (order_pk, line_id). The connection is in the portion's transaction."""
    if not keys:
        return []
    orders, names = zip(*keys, strict=True)
    rows = await connection.fetch(SQL["lines"], list(orders), list(names))
    return [drift for row in rows for drift in _line_drifts(row)]


async def check_lines_of_items(connection: "asyncpg.Connection", ids: Sequence[int]) -> list[Drift]:
    """Check the lines that moved these items."""
    return await check_lines(connection, [tuple(row) for row in await connection.fetch(SQL["lines_of_items"], ids)])


async def check_due(connection: "asyncpg.Connection", site_id: str | None) -> list[Drift]:
    """Find orders that the sweeper would miss, or would look at for nothing."""
    return [
        Drift(
            Kind.ORDER_DUE,
            f"order {row['order_id']} of site {row['site_id']}",
            "due at its time while it holds something",
            str(row["expected"]),
            str(row["found"]),
        )
        for row in await connection.fetch(SQL["due"], site_id)
    ]


async def check_parked(connection: "asyncpg.Connection", site_id: str | None) -> list[Drift]:
    """Find commands that wait although their order was placed, or although they were decided."""
    drifts: list[Drift] = []
    for row in await connection.fetch(SQL["parked"], site_id):
        words = f"{row['reference_type']} {row['reference_id']} of site {row['site_id']}"
        if row["decided"]:
            drifts.append(Drift(Kind.PARKED_AND_DECIDED, words, "decided or parked, never both", "one", "both"))
        if row["placed"]:
            law = f"what waits for order {row['order_id']} is decided with its placement"
            drifts.append(Drift(Kind.PARKED_OF_A_PLACED_ORDER, words, law, "decided", "parked"))
    return drifts


def _line_drifts(row: "asyncpg.Record") -> Iterator[Drift]:
    words = f"order {row['order_id']} line {row['line_id']} of site {row['site_id']}"
    if row["order_id"] is None:
        words = f"order_pk {row['order_pk']} line {row['line_id']} of site {row['site_id']}"
        yield Drift(Kind.LINE_WITHOUT_ORDER, words, "the order of a line exists in its site", "a row", "none")
        return
    placed, came_back = row["placed"], row["returned"]
    out = max(row["fulfilled"], came_back)
    cancelled = min(placed if row["cancelled_whole"] else row["cancelled"], placed - out)
    allocated = json.loads(row["allocations"])
    kept = (sum(part[1] for part in allocated), sum(part[2] for part in allocated))
    rest = placed - out - cancelled
    sold, reserved = (out, 0 if row["expired"] else rest) if row["mode"] == "reserve" else (placed - cancelled, 0)
    expired = rest if row["expired"] else 0
    if not row["tracked"]:
        sold = reserved = came_back = 0
    told = row["held"] + row["sold"] + cancelled + expired if row["tracked"] else placed
    laws = (
        (Kind.LINE_SOLD, "units that the ledger sold, by rule 5", sold, row["sold"]),
        (Kind.LINE_RESERVED, "units that the ledger keeps reserved, by rule 5", reserved, row["held"]),
        (Kind.LINE_RETURNED, "units that the ledger took back = R", came_back, row["came_back"]),
        (Kind.LINE_PLACED, "reserved + sold + cancelled + expired = P", placed, told),
        (Kind.LINE_ALLOCATIONS, "units sold, reserved by location", (row["sold"], row["held"]), kept),
        (Kind.SITE, "the item's site", row["site_id"], row["item_site_id"]),
        # A row listed twice, one that does not exist and one of another line all make these differ.
        (Kind.LINE_VERSIONS, "rows listed that carry the line", row["listed"], row["own"]),
    )
    for kind, law, expected, found in laws:
        if expected != found:
            yield Drift(kind, words, law, str(expected), str(found))
    if not 0 <= row["damaged"] <= row["came_back"]:
        law = "units damaged are of those that came back"
        yield Drift(Kind.LINE_DAMAGED, words, law, f"0 to {row['came_back']}", str(row["damaged"]))
