"""What a test of the API starts from."""

from collections.abc import AsyncIterator

import pytest

from tests.http.running import Api, serving


@pytest.fixture
async def api(database: str) -> AsyncIterator[Api]:
    """The API over a fresh database."""
    async with serving(database) as served:
        yield served
