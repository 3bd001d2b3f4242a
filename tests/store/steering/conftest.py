"""What a test of the steering store starts from: a worker's connection, and a site that no other test knows."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from stock_worker.core.ids import default_location_id
from stock_worker.core.model import ItemKey
from stock_worker.handle import Policy, handle_batch
from stock_worker.store.engine import connect
from tests.store.records import message, product


@pytest_asyncio.fixture(scope="module")
async def worker(module_database: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await connect(module_database, "stock_worker")
    yield connection
    await connection.close()


@dataclass(frozen=True)
class Site:
    """A site, and what a test does to it."""

    worker: asyncpg.Connection
    site_id: str

    @property
    def default(self) -> str:
        """The id of its built-in default location."""
        return default_location_id(self.site_id)

    def item(self, letter: str) -> ItemKey:
        """The key of an item without variant."""
        return ItemKey(self.site_id, product(letter), None)

    async def apply(self, topic: str, **fields: object) -> str:
        """Apply one command of the site; gives its outcome or the code that it was refused with."""
        (outcome,) = await handle_batch(self.worker, [message(topic, site_id=self.site_id, **fields)], Policy())
        return outcome.code.text if outcome.code else outcome.kind.value

    async def ask(self, query: str, *arguments: object) -> Any:  # noqa: ANN401 - whatever the column holds
        """Ask for one value of the site, which is $1."""
        return await self.worker.fetchval(query, self.site_id, *arguments)

    async def state(self) -> dict[str, list[asyncpg.Record]]:
        """All that people can change of the site: what a refusal must leave as it is."""
        tables = ("locations", "location_stock", "alert_rules", "site_settings", "reevaluations", "dismissals")
        query = "SELECT * FROM stock.{} WHERE site_id = $1 ORDER BY 1, 2, 3"
        return {table: await self.worker.fetch(query.format(table), self.site_id) for table in tables}


@pytest.fixture
def site(worker: asyncpg.Connection) -> Site:
    """A site of which nothing is known."""
    return Site(worker, str(uuid4()))
