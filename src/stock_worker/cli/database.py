"""The database as a command asks it. Law: a command acts as the worker, is named in the server's list, and hangs up."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncpg

    from stock_worker.store.engine import Plans


@asynccontextmanager
async def as_worker(
    database_url: str, command: str, *, plans: "Plans | None" = None
) -> "AsyncIterator[asyncpg.Connection]":
    """Hold a connection that acts as the worker for as long as the block runs; `plans` as in `store.engine.connect`."""
    from stock_worker.store.engine import connect  # noqa: PLC0415 - not for --help

    connection = await connect(database_url, "stock_worker", application_name=f"stock-worker {command}", plans=plans)
    try:
        yield connection
    finally:
        await connection.close()
