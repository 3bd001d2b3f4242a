"""What a test of the API starts from."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.http.booking import Books
from tests.http.running import Api, serving


@pytest.fixture
async def api(database: str) -> AsyncIterator[Api]:
    """The API over a fresh database."""
    async with serving(database) as served:
        yield served


@pytest.fixture
async def books(database: str) -> AsyncIterator[Books]:
    """A worker over the same database, whom a test tells what to book, and when."""
    opened = await Books.open(database)
    yield opened
    await opened.connection.close()


@pytest_asyncio.fixture(scope="module")
async def served(module_database: str) -> AsyncIterator[Api]:
    """The API over a database that the tests of one file share."""
    async with serving(module_database) as api:
        yield api
