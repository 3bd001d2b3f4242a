"""The outbox as the relay sees it. Law: a row goes when Kafka has it, and never because a cursor has passed it.

Slots are session advisory locks, so a session that ends, however it ends, leaves its slot; which shard belongs to which
slot stands in `relay_shards`, so it is known after that too. Source: docs/decisions/0002.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from stock_worker.store.sql import statements

if TYPE_CHECKING:
    from asyncpg import Connection

SLOTS: Final = 16
"""As many relays can be at work as there are shards; one more waits until a slot is free."""
LARGE_BYTES: Final = 16 * 1024
"""A row beyond this is fetched by itself, within the budget of its reader."""
LAST: Final = 2**63 - 1

_LOCK_SPACE: Final = 0x5354_4B52  # "STKR": the first half of the advisory lock's key
_SQL: Final = statements("outbox")

Row = tuple[Any, ...]
"""(seq, shard, size, id, created_at, aggregatetype, type, topic, key, payload, header_names, header_values)."""
SEQ, SHARD, SIZE = 0, 1, 2
_BODY: Final = 8
"""Where in a row the columns begin that a large one comes without."""


async def begin(connection: "Connection", *, idle_max_s: float) -> None:
    """Make a fresh session the relay's.

    Deleting need not be durable: rows that a crash brings back are published again under the same id. A session that
    says nothing for `idle_max_s` is ended by the server, so that a relay which was frozen gives up its slot.
    """
    idle_max_ms = int(idle_max_s * 1000)
    await connection.execute(
        "SET synchronous_commit = off; SET enable_bitmapscan = off; SET enable_sort = off; "
        f"SET idle_session_timeout = {idle_max_ms}; SET tcp_user_timeout = {idle_max_ms}"
    )
    await connection.execute(_SQL["lay_out_shards"])


# ---------------------------------------------------------------- rows


async def read(
    connection: "Connection", shards: Collection[int], *, after: int, upto: int, rows_max: int, large_max_bytes: int
) -> tuple[list[Row], bool]:
    """Read the oldest rows with after < seq <= upto, in order; also say whether that was all there is.

    Ends early, before the large row (LARGE_BYTES) that would not fit in `large_max_bytes` with those before it; a large
    row that comes first is read whatever its size.
    """
    fetched = await connection.fetch(_SQL["read"], list(shards), after, upto, rows_max, LARGE_BYTES)
    found = cast("list[Row]", fetched)  # a Record unpacks like a tuple
    rows: list[Row] = []
    large: list[int] = []
    size = 0
    for row in found:
        if row[SIZE] > LARGE_BYTES:
            size += row[SIZE]
            if large and size > large_max_bytes:
                break
            large.append(row[SEQ])
        rows.append(row)
    if large:
        bodies = {body["seq"]: tuple(body)[1:] for body in await connection.fetch(_SQL["read_large"], large)}
        # One that is gone in between was published by another: we have lost our slot, and will be told so.
        rows = [
            (*tuple(row)[:_BODY], *bodies[row[SEQ]]) if row[SIZE] > LARGE_BYTES else row
            for row in rows
            if row[SIZE] <= LARGE_BYTES or row[SEQ] in bodies
        ]
    return rows, len(found) < rows_max and len(rows) == len(found)


async def delete(connection: "Connection", seqs: Sequence[int]) -> None:
    """Delete published rows; `seqs` are in order."""
    if seqs:
        await connection.execute(_SQL["delete"], *_runs(seqs))


async def newest(connection: "Connection") -> int:
    """Give the highest seq that can be seen, 0 in an empty outbox."""
    return int(await connection.fetchval(_SQL["newest"]))


async def horizon(connection: "Connection") -> tuple[int, int]:
    """Give the oldest transaction that may still write, and the next one to come."""
    row = await connection.fetchrow(_SQL["horizon"])
    assert row is not None
    return int(row["oldest"]), int(row["next"])


def _runs(seqs: Sequence[int]) -> tuple[list[int], list[int]]:
    """Cut ascending numbers into runs without a gap: their first and their last numbers."""
    if seqs[-1] - seqs[0] == len(seqs) - 1:
        return [seqs[0]], [seqs[-1]]
    breaks = [n for n in range(1, len(seqs)) if seqs[n] != seqs[n - 1] + 1]
    return [seqs[n] for n in (0, *breaks)], [seqs[n - 1] for n in (*breaks, len(seqs))]


# ---------------------------------------------------------------- shards and slots


async def identity(connection: "Connection") -> str:
    """Name this database, for ids that outlive the session."""
    return str(await connection.fetchval(_SQL["identity"]))


async def take_slot(connection: "Connection", slot: int) -> bool:
    """Take a slot for as long as the connection lives, if nobody has it."""
    return bool(await connection.fetchval(_SQL["take_slot"], _LOCK_SPACE, slot))


async def free_slot(connection: "Connection", slot: int) -> None:
    """Give a slot back."""
    await connection.execute(_SQL["free_slot"], _LOCK_SPACE, slot)


async def live_relays(connection: "Connection") -> int:
    """Count the sessions that hold a slot."""
    return int(await connection.fetchval(_SQL["live_relays"], _LOCK_SPACE))


async def owners(connection: "Connection") -> dict[int, int | None]:
    """Tell whose slot each shard is; None is nobody's."""
    return {row["shard"]: row["slot"] for row in await connection.fetch(_SQL["owners"])}


async def claim(connection: "Connection", slot: int, most: int) -> None:
    """Take up to `most` shards that are nobody's. Durable before it returns, as all changes of owners are."""
    await _lasting(connection, _SQL["claim"], slot, most)


async def inherit(connection: "Connection", slot: int, dead: int) -> None:
    """Take the shards of a dead relay's slot, whose lock the caller holds."""
    await _lasting(connection, _SQL["inherit"], slot, dead)


async def give_up(connection: "Connection", slot: int, shards: Iterable[int]) -> None:
    """Leave shards to whoever claims them; nothing of them may be under way."""
    await _lasting(connection, _SQL["give_up"], slot, list(shards))


async def _lasting(connection: "Connection", statement: str, *values: object) -> None:
    """Run a statement durably: who may have records under way must be known after a crash too."""
    async with connection.transaction():
        await connection.execute("SET LOCAL synchronous_commit = on")
        await connection.execute(statement, *values)
