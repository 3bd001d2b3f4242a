"""Contract rule 10: what a worker remembers of an item's rules and settings is old as soon as somebody changes them."""

import asyncpg
import pytest

from stock_worker.handle import Policy, handle_batch
from stock_worker.store.steering import rules, settings
from stock_worker.store.steering.rules import Scope
from tests.store.records import SITE, line, message, product

SCOPES = (Scope(SITE), Scope(SITE, product("a")), Scope(SITE, product("a"), product("x")))


@pytest.mark.parametrize("scope", SCOPES, ids=["the site's rule", "the product's", "the variant's"])
async def test_rule_10_a_rule_that_is_remembered_is_read_again_once_it_changed(
    worker: asyncpg.Connection, scope: Scope
) -> None:
    """It decides how far below zero an item may be sold, so each order asks what the worker goes by."""
    policy = Policy()

    async def order(order_id: str, units: int) -> str:
        asked = line("a", units, variant_id=product("x"))
        (outcome,) = await handle_batch(worker, [message("order-placed", order_id=order_id, lines=[asked])], policy)
        return outcome.kind.value

    await rules.change(worker, scope, {"backorder_limit": 5})
    assert [await order("O1", 5), await order("O2", 1)] == ["applied", "rejected"]
    await rules.change(worker, scope, {"backorder_limit": 8})
    assert [await order("O3", 3), await order("O4", 1)] == ["applied", "rejected"]
    await rules.change(worker, scope, {"backorder_limit": 20})
    assert await order("O5", 1) == "applied"
    await rules.delete(worker, scope)
    assert await order("O6", 1) == "rejected", "without a rule there is no backorder"


async def test_a_setting_that_is_remembered_is_read_again_once_it_changed(worker: asyncpg.Connection) -> None:
    policy = Policy()

    async def level(reference_id: str) -> str:
        await handle_batch(worker, [message("restock", reference_id=reference_id, lines=[line("a", 5)])], policy)
        return str(await worker.fetchval("SELECT level FROM stock.items"))

    await settings.change(worker, SITE, {"low_stock_threshold": 4})
    assert await level("1") == "ok"
    await settings.change(worker, SITE, {"low_stock_threshold": 30})
    assert await level("2") == "low"
