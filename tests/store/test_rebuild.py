"""`rebuild`: what follows from the ledger is computed again; a good history has nothing to rebuild."""

import json
from datetime import UTC, datetime

import asyncpg
import pytest

from stock_worker.audit.drift import Kind
from stock_worker.audit.rebuild import rebuild
from stock_worker.audit.verify import verify
from stock_worker.handle import Policy, expire, handle_batch
from stock_worker.store.engine import connect
from stock_worker.store.steering import settings
from stock_worker.store.steering.rules import Scope, change
from tests.store.histories import NOON, A, history
from tests.store.records import DEFAULT, SITE, line, message

DAMAGE = {
    "counters of an item": ("UPDATE stock.items SET on_hand = on_hand + 3, version = version + 1", Kind.ITEM_COUNTERS),
    "costs of an item": ("UPDATE stock.items SET average_cost = 99, costed_quantity = 0", Kind.ITEM_COUNTERS),
    "net sales": ("UPDATE stock.items SET net_sold = net_sold - 1", Kind.ITEM_COUNTERS),
    "counters of places": ("UPDATE stock.location_stock SET on_hand = on_hand - 1", Kind.LOCATION_COUNTERS),
    "holds": ("UPDATE stock.location_stock SET held = reserved, on_hand = on_hand + 1", Kind.LOCATION_COUNTERS),
    "a place that is lost": ("DELETE FROM stock.location_stock WHERE on_hand <> 0", Kind.LOCATION_COUNTERS),
    "days": ("UPDATE stock.daily_totals SET movements = movements + 1, units_in = 7", Kind.DAILY_TOTALS),
    "days that are lost": ("DELETE FROM stock.daily_totals WHERE type = 'sale'", Kind.DAILY_TOTALS),
    "places of lines": (
        """UPDATE stock.order_lines SET allocations = '[["a0000000-0000-4000-8000-00000000000a",1,0]]'""",
        Kind.LINE_ALLOCATIONS,
    ),
}


def silent(_phase: str, _done: int) -> None:
    return


@pytest.mark.parametrize("seed", range(100, 106))
async def test_a_good_history_has_nothing_to_rebuild(auditor: asyncpg.Connection, seed: int) -> None:
    policy, entries = Policy(), history(seed, expiries=True)
    for start in range(0, len(entries), 20):
        await handle_batch(auditor, entries[start : start + 20], policy, clock=NOON)
    await expire(auditor, policy, NOON.replace(hour=18), 3, clock=NOON.replace(hour=18))
    assert await rebuild(auditor, dry_run=True, say=silent) == []


async def test_a_backorder_is_told_from_the_row_that_it_shares_with_what_the_default_has(
    auditor: asyncpg.Connection,
) -> None:
    """Of 5 the default, which sells first, has 2, A has 2, and one is a backorder: the first to be given back."""
    await change(auditor, Scope(SITE), {"backorder_limit": 4})
    stocked = [line("a", 2), line("a", 2, location_id=A)]
    one = [{"line_id": "1", "quantity": 1}]
    for told in (
        message("restock", reference_id="1", lines=stocked),
        message("order-placed", order_id="O", lines=[line("a", 5)]),
        *(message("order-cancelled", order_id="O", reference_id=f"c{number}", lines=one) for number in range(3)),
    ):
        await handle_batch(auditor, [told], Policy(), clock=NOON)
        assert await rebuild(auditor, dry_run=True, say=silent) == []
    (kept,) = await auditor.fetch("SELECT allocations FROM stock.order_lines")
    assert json.loads(kept["allocations"]) == [[DEFAULT, 2, 0], [DEFAULT, 0, 0, 1, 0], [A, 0, 0, 2, 0]]


@pytest.mark.parametrize(("damage", "kind"), DAMAGE.values(), ids=list(DAMAGE))
async def test_what_was_damaged_is_rebuilt(auditor: asyncpg.Connection, database: str, damage: str, kind: Kind) -> None:
    await handle_batch(auditor, history(7), Policy(), clock=NOON)
    owner = await connect(database, None)
    await owner.execute("ALTER TABLE stock.items NO FORCE ROW LEVEL SECURITY")
    for table in ("location_stock", "daily_totals", "order_lines"):
        await owner.execute(f"ALTER TABLE stock.{table} NO FORCE ROW LEVEL SECURITY")
    await owner.execute(damage)
    await owner.close()
    found = {drift.kind for drift in await rebuild(auditor, dry_run=True, say=silent)}
    assert kind in found
    assert await verify(auditor) != []
    assert {drift.kind for drift in await rebuild(auditor, dry_run=False, say=silent)} == found
    assert await rebuild(auditor, dry_run=True, say=silent) == []
    assert await verify(auditor) == []


async def test_days_are_rebuilt_as_the_site_reckons_them(auditor: asyncpg.Connection, database: str) -> None:
    """Two deliveries of one day in UTC, of which the second is tomorrow's in Auckland."""
    await settings.change(auditor, SITE, {"timezone": "Pacific/Auckland"})
    for hour in (9, 13):
        clock = datetime(2026, 6, 3, hour, tzinfo=UTC)
        delivery = message("restock", reference_id=f"{hour}", lines=[line("a", hour)])
        await handle_batch(auditor, [delivery], Policy(), clock=clock)
    query = "SELECT day::text, units_in FROM stock.daily_totals ORDER BY day"
    days = [("2026-06-03", 9), ("2026-06-04", 13)]
    assert [tuple(row) for row in await auditor.fetch(query)] == days
    owner = await connect(database, None)
    await owner.execute("ALTER TABLE stock.daily_totals NO FORCE ROW LEVEL SECURITY")
    await owner.execute("DELETE FROM stock.daily_totals WHERE units_in = 13")
    await owner.close()
    assert [drift.kind for drift in await rebuild(auditor, dry_run=False, say=silent)] == [Kind.DAILY_TOTALS]
    assert [tuple(row) for row in await auditor.fetch(query)] == days


async def test_rule_8_holds_are_rebuilt_without_what_orders_reserve(auditor: asyncpg.Connection, database: str) -> None:
    entries = [
        message("restock", reference_id="R", lines=[line("a", 9)]),
        message("order-placed", order_id="O", mode="reserve", lines=[line("a", 3)]),
        message("stock-adjustment", reference_id="H", type="reserved", lines=[line("a", 2)]),
    ]
    await handle_batch(auditor, entries, Policy(), clock=NOON)
    assert await rebuild(auditor, dry_run=True, say=silent) == []
    owner = await connect(database, None)
    await owner.execute("ALTER TABLE stock.location_stock NO FORCE ROW LEVEL SECURITY")
    await owner.execute("UPDATE stock.location_stock SET held = 1")
    await owner.close()
    assert [drift.kind for drift in await rebuild(auditor, dry_run=False, say=silent)] == [Kind.LOCATION_COUNTERS]
    row = await auditor.fetchrow("SELECT on_hand, reserved, held FROM stock.location_stock")
    assert tuple(row or ()) == (9, 5, 2)
