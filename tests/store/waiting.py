"""Who waits for a lock, so that a test can hold one until everybody it wants is there."""

import asyncpg

THE_LEDGER = "LOCK TABLE stock.movements IN SHARE MODE"
"""Nobody can write it; whoever has decided a batch waits here."""
WAITING = """
SELECT count(DISTINCT pid) FROM pg_locks
WHERE NOT granted AND pid IN (SELECT pid FROM pg_stat_activity WHERE datname = current_database())
"""


async def are_waiting(owner: asyncpg.Connection, sessions: int) -> bool:
    """Whether so many sessions of this database wait for a lock."""
    return bool(await owner.fetchval(WAITING) == sessions)
