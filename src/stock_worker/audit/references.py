"""References. Law: a reference lists exactly the rows that carry it, and of each item's rows the last one says so."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from stock_worker.audit.drift import Drift, Kind
from stock_worker.store.sql import statements

if TYPE_CHECKING:
    import asyncpg

SQL = statements("verify")


async def check_references(connection: "asyncpg.Connection", keys: Sequence[tuple[Any, ...]]) -> list[Drift]:
    """Check the references with these keys (site_id, type, id). The connection is in the portion's transaction.

    That every row is listed by the reference which it carries is checked with the items.
    """
    columns = [list(column) for column in zip(*keys, strict=True)]
    drifts = [drift for row in await connection.fetch(SQL["references"], *columns) for drift in _drifts(row)]
    for row in await connection.fetch(SQL["placements_without_lines"], *columns):
        words = f"order {row['id']} of site {row['site_id']}"
        law = f"a placement that was {row['outcome']} left order {row['order_id']} with lines"
        drifts.append(Drift(Kind.REFERENCE_NOT_PLACED, words, law, "lines", "none"))
    return drifts


def _drifts(row: "asyncpg.Record") -> Iterator[Drift]:
    words = f"{row['type']} {row['id']} of site {row['site_id']}, rows of item_id {row['item_id']}"
    if row["listed"] != row["different"]:
        law = "each row is listed once"
        yield Drift(Kind.REFERENCE_MOVEMENTS, words, law, str(row["different"]), str(row["listed"]))
    if row["listed"] != row["own"]:
        law = "each row listed exists and carries the reference"
        yield Drift(Kind.REFERENCE_MOVEMENTS, words, law, str(row["listed"]), str(row["own"]))
    if row["strange"]:
        law = "each row's order is the reference's"
        yield Drift(Kind.REFERENCE_ORDER, words, law, "0 others", f"{row['strange']} others")
    if row["last"] != [row["newest"]]:
        law = "last_of_command on the newest row and on no other"
        yield Drift(Kind.LAST_OF_COMMAND, words, law, str([row["newest"]]), str(row["last"] or "none"))
