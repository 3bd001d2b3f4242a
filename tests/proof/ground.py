"""Where a part's shops stand. Law: each has a database and topics of its own, on the servers of the part's stack."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from stock_worker.devstack import Stack
from stock_worker.store.migrate import upgrade
from tests.chaos.harness import Shop, open_shop
from tests.databases import name_of, new_database


@dataclass(frozen=True, slots=True)
class Ground:
    """A stack, and a migrated database on it that others are copied from."""

    stack: Stack
    migrated: str

    @asynccontextmanager
    async def shop(self, **settings: str) -> AsyncIterator[Shop]:
        """Open a shop; settings of its workers by their names in the environment."""
        prefix = f"p{uuid.uuid4().hex[:8]}-"
        with new_database(self.stack.database_url, name_of(self.migrated)) as url:
            async with open_shop(self.stack.kafka_bootstrap, url, prefix, **settings) as shop:
                yield shop


@asynccontextmanager
async def ground(stack: Stack) -> AsyncIterator[Ground]:
    """Make the migrated database."""
    with new_database(stack.database_url) as url:
        await asyncio.to_thread(upgrade, url)
        yield Ground(stack, url)
