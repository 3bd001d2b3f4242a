"""Dead letters, of a site or of all. Law: a letter whose site could not be read is nobody's but the operators'.

Source: contract rule 13, section 7 (dead letters).
"""

from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from stock_worker.store.dead_letters import Entry, Letter, Position, entry_of, find
from stock_worker.store.sql import statements
from stock_worker.store.steering.refused import Refused, Why

if TYPE_CHECKING:
    from asyncpg import Connection

SQL: Final = statements("dead_letter_pages")
_NOWHERE: Final = (None, None, None, None, None)


class Filters(NamedTuple):
    """Which letters; None takes all."""

    site_id: str | None
    topic: str | None
    reason: str | None
    settled: bool | None


class Place(NamedTuple):
    """Where a letter is in the list: by when it was set aside, then by its position."""

    recorded_at: datetime
    position: Position


async def read_page(
    connection: "Connection", filters: Filters, after: Place | None, limit: int
) -> tuple[list[Entry], Place | None]:
    """Give the letters that come after a place (None: the newest), and the place to go on from, None at the end."""
    place = _NOWHERE if after is None else (after.recorded_at, *after.position)
    rows = await connection.fetch(SQL["page"], *filters, *place, limit + 1)
    found = [entry_of(row) for row in rows[:limit]]
    return found, Place(found[-1].recorded_at, found[-1].position) if len(rows) > limit else None


async def count(connection: "Connection", filters: Filters, most: int) -> int:
    """Count letters, but not beyond `most`."""
    total: int = await connection.fetchval(SQL["total"], *filters, most)
    return total


async def find_letter(connection: "Connection", position: Position, site_id: str | None) -> Letter | Refused:
    """Give the letter at a position, if it is the site's; None for the site takes any."""
    found = await find(connection, [position.topic], *position[1:])
    if not found or (site_id is not None and found[0].entry.site_id != site_id):
        return Refused(Why.NOT_FOUND, f"there is no dead letter {position.text}/{position.timestamp_ms}")
    return found[0]
