"""What became of a command, and why. Law: a reference tells its first outcome and exactly the rows that it wrote.

Source: contract rule 1 and section 7 (`…/references`).
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from stock_worker.core.model import Reference
from stock_worker.store.reads import movements
from stock_worker.store.sql import statements

if TYPE_CHECKING:
    from asyncpg import Connection
    from asyncpg import Record as Row

SQL: Final = statements("references")


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcome of a reference. `lines` are those that were refused; `rows` are movements, in the order written."""

    reference: Reference
    outcome: str
    code: str | None
    message: str | None
    lines: tuple[Mapping[str, Any], ...]
    rows: tuple[movements.Told, ...]
    order_id: str | None
    source: dict[str, Any] | str
    decided_at: datetime


async def read_answers(connection: "Connection", asked: Collection[Reference]) -> dict[Reference, Answer]:
    """Give what became of these references; one that is not known is left out."""
    columns = [each.site_id for each in asked], [each.type for each in asked], [each.id for each in asked]
    found = await connection.fetch(SQL["references_known"], *columns)
    positions = {position for row in found for position in movements.as_positions(row["movements"])}
    rows = await movements.at_positions(connection, positions)
    return {(answer := _answer(row, rows)).reference: answer for row in found}


def _answer(row: "Row", rows: Mapping[movements.Position, movements.Told]) -> Answer:
    refused = json.loads(row["rejected"]) if row["rejected"] else {"message": None, "lines": []}
    return Answer(
        Reference(str(row["site_id"]), row["type"], row["id"]),
        row["outcome"],
        row["code"],
        refused["message"],
        tuple(refused["lines"]),
        tuple(rows[position] for position in movements.as_positions(row["movements"])),
        row["order_id"],
        movements.source_of(row),
        row["decided_at"],
    )
