"""What a batch leaves is what the next one finds: the domain through the database, in one batch and one by one."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import asyncpg
import pytest

from stock_worker.audit.verify import verify
from stock_worker.core.model import Entry, ItemKey
from stock_worker.handle import Policy, expire, handle_batch, reevaluate
from stock_worker.store.engine import connect
from stock_worker.wire.decode import decode
from tests.store.histories import NOON, history
from tests.store.records import SITE, line, message, product, record


async def tell(connection: asyncpg.Connection, *messages: Entry, clock: datetime = NOON) -> list[str]:
    """Apply messages as one batch; their outcomes."""
    outcomes = await handle_batch(connection, messages, Policy(), clock=clock)
    return [outcome.kind.value for outcome in outcomes]


async def settings(connection: asyncpg.Connection, **fields: Any) -> None:  # noqa: ANN401 - a column's value
    """Give the site settings, as steering would."""
    names = ", ".join(["site_id", "stamp", "updated_at", *fields])
    places = ", ".join(f"${number}" for number in range(1, len(fields) + 4))
    await connection.execute(
        f"INSERT INTO stock.site_settings ({names}) VALUES ({places}) ON CONFLICT (site_id) DO UPDATE SET "
        + ", ".join(f"{name} = excluded.{name}" for name in ["updated_at", *fields])
        + ", stamp = site_settings.stamp + 1",
        SITE,
        1,
        NOON,
        *fields.values(),
    )


async def rule(connection: asyncpg.Connection, product_id: str | None, **fields: Any) -> None:  # noqa: ANN401 - a column's value
    """Give a product, or the site, a rule, as steering would."""
    names = ", ".join(["site_id", "product_id", "updated_at", *fields])
    places = ", ".join(f"${number}" for number in range(1, len(fields) + 4))
    await connection.execute(
        f"INSERT INTO stock.alert_rules ({names}) VALUES ({places})",
        SITE,
        product_id,
        NOON,
        *fields.values(),
    )
    await settings(connection)


# ---------------------------------------------------------------- one batch or many


OF_ITEMS: Final = (
    "SELECT to_jsonb(t) - 'item_id' - 'movement_id' FROM stock.{} t JOIN stock.items i USING (item_id) "
    "ORDER BY i.product_id, {}"
)
STATE: Final = (
    OF_ITEMS.format("movements", "t.version"),
    OF_ITEMS.format("location_stock", "t.location_id"),
    OF_ITEMS.format("daily_totals", "t.day, t.location_id, t.type"),
    "SELECT to_jsonb(i) - 'item_id' - 'revision' FROM stock.items i ORDER BY i.product_id",
    OF_ITEMS.format("order_lines", "t.versions, t.line_id").replace("'movement_id'", "'order_pk'"),
    "SELECT to_jsonb(o) - 'order_pk' FROM stock.orders o ORDER BY o.order_id",
    "SELECT to_jsonb(r) - 'movements' FROM stock.references r ORDER BY r.type, r.id",
    "SELECT to_jsonb(p) - 'order_pk' - 'seq' FROM stock.parked_commands p ORDER BY p.reference_type, p.reference_id",
    "SELECT to_jsonb(k) FROM stock.locations k ORDER BY k.location_id",
)
LAST: Final = "SELECT payload FROM stock.outbox WHERE topic = $1 ORDER BY seq DESC LIMIT 1"


async def _state(connection: asyncpg.Connection) -> list[list[Any]]:
    return [[json.loads(row[0]) for row in await connection.fetch(query)] for query in STATE]


@pytest.mark.parametrize("seed", range(6))
async def test_one_batch_or_one_by_one_end_in_the_same_rows(
    worker: asyncpg.Connection, new_database: Callable[[], str], seed: int
) -> None:
    entries = history(seed)
    whole = await tell(worker, *entries)
    other = await connect(new_database(), "stock_worker")
    policy = Policy()
    alone = [(await handle_batch(other, [entry], policy, clock=NOON))[0].kind.value for entry in entries]
    try:
        assert whole == alone
        for left, right in zip(await _state(worker), await _state(other), strict=True):
            assert left == right
    finally:
        await other.close()
    assert {"applied", "rejected", "parked", "no_effect"} <= set(whole)
    assert await verify(worker) == []


# ---------------------------------------------------------------- rules, settings, catalog: what is remembered


async def test_a_rule_that_changes_between_batches_is_seen_by_the_next(worker: asyncpg.Connection) -> None:
    policy = Policy()

    async def told(*entries: Entry) -> list[str]:
        return [outcome.kind.value for outcome in await handle_batch(worker, entries, policy, clock=NOON)]

    assert await told(message("restock", reference_id="1", lines=[line("a", 15)])) == ["applied"]
    assert await told(message("order-placed", order_id="O1", lines=[line("a", 16)])) == ["rejected"]
    await rule(worker, product("a"), backorder_limit=5, low_stock_threshold=20)
    assert await told(message("order-placed", order_id="O2", lines=[line("a", 16)])) == ["applied"]
    row = await worker.fetchrow("SELECT level, stay FROM stock.items")
    assert row is not None
    assert tuple(row) == ("out", 1)
    payload = json.loads(
        await worker.fetchval(
            "SELECT payload FROM stock.outbox WHERE topic = 'alert-level-changed' ORDER BY seq DESC LIMIT 1"
        )
    )
    assert (payload["thresholds"], payload["rule"]) == ({"low": 20, "critical": 3, "out": 0}, {"scope": "default"})


async def test_what_the_catalog_says_is_seen_by_the_next_batch_and_told(worker: asyncpg.Connection) -> None:
    policy = Policy()
    key = f"{SITE}/{product('a')}/".encode()

    def told(**fields: Any) -> Entry:  # noqa: ANN401 - JSON
        value = {"product_id": product("a"), "name": "Shirt", "sku": "S-1", "status": "active", **fields}
        return decode(record("product-changed", value)._replace(key=key), "product-changed")

    async def apply(*entries: Entry) -> list[str]:
        return [outcome.kind.value for outcome in await handle_batch(worker, entries, policy, clock=NOON)]

    stock = message("restock", reference_id="1", lines=[line("a", 5)])
    assert await apply(told(revision=1, options={"size": "M"}, cost_price="2.50"), stock) == ["applied", "applied"]
    assert await apply(told(revision=1), told(revision=2, track_inventory=False)) == ["duplicate", "applied"]
    assert await apply(message("restock", reference_id="2", lines=[line("a", 5)])) == ["no_effect"]
    level = json.loads(await worker.fetchval(LAST, "stock-level"))
    assert (level["track_inventory"], level["sellable"], level["level"], level["revision"]) == (False, None, "ok", 2)
    alerts = [
        json.loads(row["payload"])
        for row in await worker.fetch(
            "SELECT payload FROM stock.outbox WHERE topic = 'alert-level-changed' ORDER BY seq"
        )
    ]
    assert [(alert["level"], alert["cause"], alert["sku"]) for alert in alerts] == [
        ("low", "movement", "S-1"),
        ("ok", "rule", "S-1"),
    ]
    archived = decode(record("product-changed", None)._replace(key=key), "product-changed")
    assert await apply(archived, archived) == ["applied", "duplicate"]
    row = await worker.fetchrow("SELECT archived, revision, cost_price, options, track_inventory FROM stock.products")
    assert row is not None
    assert tuple(row) == (True, 2, None, None, False)


async def test_the_day_is_that_of_the_sites_time_zone(worker: asyncpg.Connection) -> None:
    late = datetime(2026, 3, 28, 23, 30, tzinfo=UTC)
    await settings(worker, timezone="Europe/Berlin")
    await tell(worker, message("restock", reference_id="1", lines=[line("a", 5)]), clock=late)
    await settings(worker, timezone="UTC")
    await tell(worker, message("restock", reference_id="2", lines=[line("a", 2)]), clock=late)
    rows = await worker.fetch("SELECT day::text, movements, units_in, units_out FROM stock.daily_totals ORDER BY day")
    assert [tuple(row) for row in rows] == [("2026-03-28", 1, 2, 0), ("2026-03-29", 1, 5, 0)]


async def test_c54_sales_of_the_last_thirty_days_are_found_in_the_ledger(worker: asyncpg.Connection) -> None:
    """900 in stock; 60 sold 31 days ago are too old, 30 of the last 30 days count; 12 left of it now is 12 days."""
    await tell(worker, message("restock", reference_id="0", lines=[line("a", 102)]), clock=NOON - timedelta(days=60))
    for day, units in ((40, 20), (31, 40), (29, 12), (3, 20), (2, -2)):
        sale = message("stock-adjustment", reference_id=f"{day}", type="sale", lines=[line("a", units)])
        back = message("return-received", reference_id=f"{day}", lines=[line("a", -units)])
        await tell(worker, sale if units > 0 else back, clock=NOON - timedelta(days=day))
    await tell(worker, message("stock-adjustment", reference_id="d", type="damage", lines=[line("a", 2)]), clock=NOON)
    payload = json.loads(
        await worker.fetchval(
            "SELECT payload FROM stock.outbox WHERE topic = 'alert-level-changed' ORDER BY seq DESC LIMIT 1"
        )
    )
    assert (payload["level"], payload["available"], payload["days_until_stockout"]) == ("low", 10, 10.0)


async def test_rule_12_costs_survive_between_batches(worker: asyncpg.Connection) -> None:
    for number, (units, cost) in enumerate(((3, "10"), (1, "20"), (2, None))):
        asked = line("a", units) if cost is None else line("a", units, unit_cost=cost)
        await tell(worker, message("restock", reference_id=f"{number}", lines=[asked]))
    row = await worker.fetchrow("SELECT average_cost, costed_quantity FROM stock.items")
    assert row is not None
    assert tuple(row) == (Decimal("12.500000"), 6)


# ---------------------------------------------------------------- time and rules, through the database


async def test_rule_6_due_orders_are_picked_up_to_the_reach_and_expire_once(worker: asyncpg.Connection) -> None:
    stock = message("restock", reference_id="0", lines=[line("a", 50)])
    held = [
        message(
            "order-placed",
            order_id=f"O{n}",
            mode="reserve",
            expires_at=(NOON + timedelta(minutes=n)).isoformat(),
            lines=[line("a", 2)],
        )
        for n in range(1, 6)
    ]
    assert await tell(worker, stock, *held) == ["applied"] * 6
    late = NOON + timedelta(hours=1)
    first = await expire(worker, Policy(), NOON + timedelta(minutes=3), 2, clock=late)
    second = await expire(worker, Policy(), NOON + timedelta(minutes=3), 2, clock=late)
    third = await expire(worker, Policy(), NOON + timedelta(minutes=3), 2, clock=late)
    assert [(each.picked, len(each.outcomes)) for each in (first, second, third)] == [(2, 2), (1, 1), (0, 0)]
    assert await worker.fetchval("SELECT reserved FROM stock.items") == 4
    assert await worker.fetchval("SELECT count(*) FROM stock.orders WHERE due_at IS NOT NULL") == 2
    applied = await worker.fetch("SELECT payload FROM stock.outbox WHERE topic = 'adjustment-applied' ORDER BY seq")
    told = [json.loads(row["payload"]) for row in applied]
    expiries = [each for each in told if each["reference_type"] == "expiry"]
    assert [(each["order_id"], each["outcome"], len(each["lines"])) for each in expiries] == [
        (f"O{n}", "applied", 1) for n in (1, 2, 3)
    ]


async def test_rule_10_items_are_evaluated_again_and_told_once(worker: asyncpg.Connection) -> None:
    await tell(worker, message("restock", reference_id="0", lines=[line("a", 15), line("b", 40)]))
    await worker.execute("DELETE FROM stock.outbox")
    await rule(worker, None, low_stock_threshold=20)
    keys = [ItemKey(SITE, product(letter), None) for letter in "ab"]
    policy = Policy()
    told = [
        await reevaluate(worker, policy, keys, tells_limit=lambda _scope: False, clock=NOON),
        await reevaluate(worker, policy, keys, tells_limit=lambda _scope: False, clock=NOON),
        await reevaluate(worker, policy, keys, tells_limit=lambda _scope: True, clock=NOON),
    ]
    assert told == [1, 0, 2]
    topics = [row["topic"] for row in await worker.fetch("SELECT topic FROM stock.outbox ORDER BY seq")]
    assert topics == ["alert-level-changed", *["stock-level"] * 3]
    assert await verify(worker) == []
