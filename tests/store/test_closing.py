"""Contract rule 7: a location goes out of use only when it is empty, by what batches under way bring there too."""

import asyncio

import asyncpg
import pytest

from stock_worker.handle import Policy, handle_batch
from stock_worker.store.steering import locations
from stock_worker.store.steering.locations import Location
from stock_worker.store.steering.refused import Refused, Why
from tests.flow.running import until
from tests.store.records import SITE, line, message
from tests.store.waiting import THE_LEDGER, are_waiting


@pytest.mark.parametrize("archived", [False, True], ids=["out of use", "archived"])
async def test_rule_7_a_location_does_not_close_over_what_is_on_its_way(
    sessions: list[asyncpg.Connection], *, archived: bool
) -> None:
    worker, person, owner = sessions
    shop = await locations.create(person, SITE, {"name": "Shop"})
    assert isinstance(shop, Location)

    transaction = owner.transaction()
    await transaction.start()
    await owner.execute(THE_LEDGER)
    delivery = message("restock", reference_id="R", lines=[line("a", 5, location_id=shop.location_id)])
    batch = asyncio.create_task(handle_batch(worker, [delivery], Policy()))
    await until(lambda: are_waiting(owner, 1))
    where = person, SITE, shop.location_id
    closing = asyncio.create_task(
        locations.archive(*where) if archived else locations.change(*where, {"is_active": False})
    )

    async def closed_or_waits() -> bool:
        return closing.done() or await are_waiting(owner, 2)

    await until(closed_or_waits)
    await transaction.rollback()
    await batch
    closed = await closing
    assert isinstance(closed, Refused), closed
    assert closed.why is Why.NOT_EMPTY
