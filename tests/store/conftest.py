"""Connections to a test's own database, as the service has them."""

from collections.abc import AsyncIterator

import asyncpg
import pytest_asyncio

from stock_worker.store.engine import connect


@pytest_asyncio.fixture
async def worker(database: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection as the worker's, which looks up many keys."""
    connection = await connect(database, "stock_worker")
    yield connection
    await connection.close()


@pytest_asyncio.fixture
async def auditor(database: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection as an audit's, which reads many rows."""
    connection = await connect(database, "stock_worker", plans="free")
    yield connection
    await connection.close()


@pytest_asyncio.fixture
async def sessions(database: str) -> AsyncIterator[list[asyncpg.Connection]]:
    """Two connections as the worker's, of whoever meet, and the owner's, which may hold them up."""
    connections = [
        await connect(database, "stock_worker"),
        await connect(database, "stock_worker"),
        await connect(database, None),
    ]
    yield connections
    for connection in connections:
        await connection.close()
