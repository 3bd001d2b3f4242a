"""Contract rule 10: a change of rules reaches every item, in batches, whatever is under way meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime

import asyncpg
import pytest
import pytest_asyncio

from stock_worker.breaker import Breaker
from stock_worker.handle import Policy, handle_batch
from stock_worker.store.engine import connect
from stock_worker.store.steering import rules
from stock_worker.store.steering.rules import Scope
from stock_worker.sweeper import reevaluations
from stock_worker.sweeper.reevaluations import Reevaluations
from tests.flow.running import until
from tests.store.records import SITE, line, message, product
from tests.store.waiting import THE_LEDGER, are_waiting


def _no_clock() -> datetime | None:
    return None


class Shop:
    """A worker, a sweeper, somebody who changes rules, and the owner, each with a connection of its own."""

    def __init__(self, *connections: asyncpg.Connection) -> None:
        self.worker, self.sweeper, self.person, self.owner = connections
        self.duty = Reevaluations(Policy(), Breaker(faults=2, window_s=60.0), _no_clock)

    async def stock(self, *names: str) -> None:
        """Bring fifteen of items, each named by one letter, or by two if it is a variant."""
        lines = [line(name[0], 15, **({"variant_id": product(name[1])} if name[1:] else {})) for name in names]
        await handle_batch(self.worker, [message("restock", reference_id="".join(names), lines=lines)], Policy())

    async def low_at_twenty(self, *ids: str) -> None:
        """Change the rule of the site, of a product or of a variant."""
        changed = await rules.change(self.person, Scope(SITE, *ids), {"low_stock_threshold": 20})
        assert isinstance(changed, rules.ScopeRule), changed

    async def sweep(self) -> None:
        """Sweep until nothing can be done, as a worker's sweeper does each second."""
        while (await self.duty.sweep(self.sweeper)).more:
            pass

    async def is_done(self) -> bool:
        """Sweep once more, and say whether the change has reached all items."""
        await self.sweep()
        return await self.person.fetchval("SELECT count(*) FROM stock.reevaluations") == 0

    async def levels(self) -> list[str]:
        """The levels of the items, those without variant after their variants."""
        return [
            row[0] for row in await self.person.fetch("SELECT level FROM stock.items ORDER BY product_id, variant_id")
        ]

    async def a_batch_waits(self) -> bool:
        """Whether somebody waits for a lock."""
        return await are_waiting(self.owner, 1)


@pytest_asyncio.fixture
async def shop(database: str) -> AsyncIterator[Shop]:
    connections = [await connect(database, role) for role in (*("stock_worker",) * 3, None)]
    yield Shop(*connections)
    for connection in connections:
        await connection.close()


@pytest.mark.parametrize("at_once", [1, 2, 3, 6, 7])
async def test_rule_10_a_change_reaches_every_item_however_many_batches_it_takes(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(reevaluations, "_AT_ONCE", at_once)
    await shop.stock("a", "ax", "ay", "b", "bx", "c")
    await shop.low_at_twenty()
    await until(shop.is_done)
    assert await shop.levels() == ["low"] * 6
    told = "SELECT count(*) FROM stock.outbox WHERE topic = 'alert-level-changed'"
    assert await shop.person.fetchval(told) == 6, "each of them is told once"


@pytest.mark.parametrize(
    ("ids", "levels"),
    [
        ((product("a"),), ["low", "low", "low", "ok", "ok"]),
        ((product("a"), product("x")), ["low", "ok", "ok", "ok", "ok"]),
    ],
    ids=["a product and its variants", "one variant"],
)
async def test_rule_10_a_change_reaches_its_scope_and_no_other(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, ids: tuple[str, ...], levels: list[str]
) -> None:
    monkeypatch.setattr(reevaluations, "_AT_ONCE", 2)
    await shop.stock("a", "ax", "ay", "b", "bx")
    await shop.low_at_twenty(*ids)
    await until(shop.is_done)
    assert await shop.levels() == levels


@pytest.mark.parametrize("begins", ["before the change", "while the change is being written"])
async def test_rule_10_an_item_whose_first_batch_had_read_the_old_rule_is_not_missed(shop: Shop, begins: str) -> None:
    """It is in no list of items until that batch commits, with the level of the old rule."""
    await shop.stock("a")
    ledger, change = shop.owner.transaction(), shop.person.transaction()
    await ledger.start()
    await shop.owner.execute(THE_LEDGER)
    if begins != "before the change":
        await change.start()
        await shop.low_at_twenty()
    first = asyncio.create_task(shop.stock("b"))
    await until(shop.a_batch_waits)
    if begins == "before the change":
        await shop.low_at_twenty()
    else:
        await change.commit()
    for _ in range(3):
        await asyncio.wait_for(shop.sweep(), 10)
        await shop.person.execute("SELECT pg_current_xact_id()")  # others come and go meanwhile
    await ledger.rollback()
    await first
    assert (await shop.levels())[1] == "ok", "the batch had read the old rule"
    await until(shop.is_done)
    assert await shop.levels() == ["low", "low"]
