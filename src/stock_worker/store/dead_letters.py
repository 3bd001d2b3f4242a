"""Dead letters as they are kept. Law: a letter stays whole; once settled it stays settled.

Source: contract rule 13, section 8 (`dlt`).
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from stock_worker.core.model import Record, Reference
from stock_worker.store.load import record_of
from stock_worker.store.sql import statements

if TYPE_CHECKING:
    from asyncpg import Connection
    from asyncpg import Record as Row

SQL: Final = statements("dead_letters")


class Position(NamedTuple):
    """Where a record was: its topic with the deployment's prefix. The timestamp tells a topic from its successor."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int

    @property
    def text(self) -> str:
        """The position as people name it; the timestamp only where it is needed."""
        return f"{self.topic}/{self.partition}/{self.offset}"


class Settlement(NamedTuple):
    """What became of a letter: why it was discarded, or what it was replayed as."""

    at: datetime
    by: str
    words: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A letter in a list: all but what it carried."""

    position: Position
    recorded_at: datetime
    site_id: str | None
    reason: str
    detail: str
    settlement: Settlement | None


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter, whole."""

    entry: Entry
    record: Record


class Known(NamedTuple):
    """A reference that is known: what it means, and its outcome or `parked`."""

    fingerprint: bytes
    outcome: str


async def list_letters(
    connection: "Connection",
    *,
    since: datetime | None = None,
    topics: Sequence[str] | None = None,
    reason: str | None = None,
    settled_too: bool = False,
    limit: int,
) -> list[Entry]:
    """Give the newest letters that pass the filters, the newest first."""
    rows = await connection.fetch(SQL["letters"], since, topics, reason, settled_too, limit)
    return [entry_of(row) for row in rows]


async def find(
    connection: "Connection", topics: Sequence[str], partition: int, offset: int, timestamp_ms: int | None
) -> list[Letter]:
    """Give the letters of one place in any of these topics: none, one, or one for each life that the topic had."""
    rows = await connection.fetch(SQL["letter"], topics, partition, offset, timestamp_ms)
    return [Letter(entry_of(row), record_of(row)) for row in rows]


@asynccontextmanager
async def held(connection: "Connection", position: Position) -> AsyncIterator[Settlement | None]:
    """Hold a letter in a transaction while somebody settles it; gives what became of it already."""
    async with connection.transaction():
        row = await connection.fetchrow(SQL["hold_letter"], *position)
        yield None if row is None else _settlement(row)


async def settle(connection: "Connection", position: Position, by: str, words: str) -> None:
    """Write down what became of a letter that is held."""
    await connection.execute(SQL["settle"], *position, by, words)


async def known_references(connection: "Connection", reference: Reference, ids: Iterable[str]) -> dict[str, Known]:
    """Which of `ids`, as references like this one, are known."""
    rows = await connection.fetch(SQL["known_references"], reference.site_id, reference.type, list(ids))
    return {row["id"]: Known(row["fingerprint"], row["outcome"]) for row in rows}


def entry_of(row: "Row") -> Entry:
    """Read a row of a list of letters."""
    return Entry(
        Position(row["topic"], row["partition"], row["offset"], row["timestamp_ms"]),
        row["recorded_at"],
        None if row["site_id"] is None else str(row["site_id"]),
        row["reason"],
        row["detail"],
        _settlement(row),
    )


def _settlement(row: "Row") -> Settlement | None:
    return None if row["settled_at"] is None else Settlement(row["settled_at"], row["settled_by"], row["settlement"])
