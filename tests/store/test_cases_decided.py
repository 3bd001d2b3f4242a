"""The contract's "Cases decided" that are about what is stored and told, on a real PostgreSQL: one test a sentence."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from stock_worker.core.model import Entry
from stock_worker.handle import Policy, end_parked, expire, handle_batch
from stock_worker.store.load import overdue
from stock_worker.store.steering import locations
from stock_worker.store.steering import settings as site_settings
from stock_worker.wire.decode import decode
from tests.store.records import DEFAULT, SITE, line, message, product, record

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SHOP = "10ca7100-0000-4000-8000-000000000001"


async def tell(worker: asyncpg.Connection, *batch: Entry, clock: datetime = NOON) -> list[str]:
    """Apply a batch as a fresh process would; its outcomes."""
    return [outcome.kind.value for outcome in await handle_batch(worker, batch, Policy(), clock=clock)]


async def told(worker: asyncpg.Connection, topic: str) -> list[dict[str, Any]]:
    """What waits to be published to a topic, in order."""
    rows = await worker.fetch("SELECT payload FROM stock.outbox WHERE topic = $1 ORDER BY seq", topic)
    return [json.loads(row["payload"]) for row in rows]


# ---------------------------------------------------------------- places


async def test_c25_a_location_that_is_used_again_keeps_its_name_and_goes_last_and_default_is_first(
    worker: asyncpg.Connection,
) -> None:
    for code in ("SHOP", "ATTIC"):
        made = await locations.create(worker, SITE, {"code": code, "name": f"The {code}", "fulfillment_priority": 3})
        assert isinstance(made, locations.Location)
        await locations.change(worker, SITE, made.location_id, {"is_active": False})
    attic = await worker.fetchval("SELECT location_id::text FROM stock.locations WHERE code = 'ATTIC'")
    asked = [line("a", 1), line("a", 1, location_id=attic)]
    assert await tell(worker, message("restock", reference_id="R", lines=asked)) == ["applied"]
    rows = await worker.fetch(
        "SELECT code, name, fulfillment_priority, is_active FROM stock.locations ORDER BY fulfillment_priority, code"
    )
    assert [tuple(row) for row in rows] == [
        ("DEFAULT", "Default", 0, True),
        ("SHOP", "The SHOP", 3, False),
        ("ATTIC", "The ATTIC", 4, True),
    ]


# ---------------------------------------------------------------- time


async def test_c30_an_expiry_is_applied_and_its_source_is_the_sweeper(worker: asyncpg.Connection) -> None:
    due = NOON + timedelta(minutes=1)
    held = message(
        "order-placed", order_id="O", mode="reserve", expires_at=due.isoformat(), lines=[line("a", 2)], actor="Ann"
    )
    await tell(worker, message("restock", reference_id="R", lines=[line("a", 5)]), held)
    await expire(worker, Policy(), due, 10, clock=due)
    row = (await told(worker, "stock-changed"))[-1]
    assert (row["type"], row["quantity"], row["source"], row["actor"]) == ("unreserved", 2, "sweeper", None)
    assert (row["reference_type"], row["reference_id"]) == ("expiry", "O@2026-03-01T12:01:00Z")
    applied = (await told(worker, "adjustment-applied"))[-1]
    assert (applied["reference_type"], applied["order_id"], applied["outcome"]) == ("expiry", "O", "applied")


async def test_c32_days_go_by_recorded_at_and_a_new_time_zone_counts_from_then_on(worker: asyncpg.Connection) -> None:
    """It happened in January, and was told half an hour before midnight: in Tokyo it was the next day already."""
    late = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
    long_ago = {"occurred_at": "2026-01-05T12:00:00Z"}
    await tell(worker, message("restock", reference_id="1", lines=[line("a", 5)], **long_ago), clock=late)
    await site_settings.change(worker, SITE, {"timezone": "Asia/Tokyo"})
    await tell(worker, message("restock", reference_id="2", lines=[line("a", 7)], **long_ago), clock=late)
    rows = await worker.fetch("SELECT day::text, units_in FROM stock.daily_totals ORDER BY day")
    assert [tuple(row) for row in rows] == [("2026-03-01", 5), ("2026-03-02", 7)]


async def test_c32_the_window_of_sales_goes_by_recorded_at(worker: asyncpg.Connection) -> None:
    """30 sold in the last month by our clock, whatever the sender says of it: one a day, and 3 are left."""
    start = NOON - timedelta(days=60)
    await tell(worker, message("restock", reference_id="0", lines=[line("a", 70)]), clock=start)
    for reference_id, ago, said in (("old", 40, NOON), ("new", 10, start)):
        sold = message(
            "stock-adjustment",
            reference_id=reference_id,
            type="sale",
            lines=[line("a", 30)],
            occurred_at=said.isoformat(),
        )
        await tell(worker, sold, clock=NOON - timedelta(days=ago))
    await tell(worker, message("restock", reference_id="1", lines=[line("a", 5)]), clock=NOON)
    await tell(worker, message("stock-adjustment", reference_id="2", type="damage", lines=[line("a", 12)]), clock=NOON)
    alert = (await told(worker, "alert-level-changed"))[-1]
    assert (alert["level"], alert["available"], alert["days_until_stockout"]) == ("critical", 3, 3.0)


async def test_c34_a_return_that_is_booked_blind_keeps_its_own_source(worker: asyncpg.Connection) -> None:
    back = record("return-received", {"reference_id": "B", "order_id": "never", "lines": [line("a", 2)]})
    assert await tell(worker, decode(back, "return-received")) == ["parked"]
    later = NOON + timedelta(days=8)
    await end_parked(worker, Policy(), await overdue(worker, later, 10), clock=later)
    (row,) = await told(worker, "stock-changed")
    assert row["source"] == {"topic": "return-received", "partition": 0, "offset": back.offset}
    assert (row["type"], row["order_id"], row["reference_id"]) == ("return", None, "B")


# ---------------------------------------------------------------- meaning


@pytest.mark.parametrize(
    ("moved", "told_again"),
    [
        ({}, False),
        ({"topic": "p.restock"}, True),
        ({"partition": 1}, True),
        ({"offset": 10**9}, True),
        ({"timestamp_ms": 1}, True),
    ],
    ids=["the same place", "topic", "partition", "offset", "timestamp"],
)
async def test_c37_a_conflict_is_told_once_per_place_and_time(
    worker: asyncpg.Connection, moved: dict[str, Any], *, told_again: bool
) -> None:
    first = record("restock", {"reference_id": "R", "lines": [line("a", 10)]})
    other = record("restock", {"reference_id": "R", "lines": [line("a", 11)]})
    batches = [[first], [other], [other], [other._replace(**moved)], [other._replace(**moved)]]
    kinds = [await tell(worker, *(decode(each, "restock") for each in batch)) for batch in batches]
    assert kinds == [["applied"], *[["conflict"]] * 4]
    assert len(await told(worker, "adjustment-rejected")) == 1 + told_again
    assert await worker.fetchval("SELECT count(*) FROM stock.dead_letters") == 1 + told_again


# ---------------------------------------------------------------- levels


async def test_c52_an_announced_item_has_no_level_and_tells_nothing_before_it_moves(worker: asyncpg.Connection) -> None:
    key = f"{SITE}/{product('a')}/".encode()
    value = {"product_id": product("a"), "name": "Shirt", "status": "active", "revision": 1}
    entry = decode(record("product-changed", value)._replace(key=key), "product-changed")
    assert await tell(worker, entry) == ["applied"]
    assert await worker.fetchval("SELECT count(*) FROM stock.outbox") == 0


# ---------------------------------------------------------------- shapes


async def test_c58_a_rejected_line_says_what_was_there_at_the_location_named_else_of_the_item(
    worker: asyncpg.Connection,
) -> None:
    stock = [line("a", 3), line("a", 2, location_id=SHOP)]
    asked = [line("a", 4, location_id=SHOP), line("b", 1), line("a", 9), line("a", 1)]
    await tell(
        worker,
        message("restock", reference_id="R", lines=stock),
        message("order-placed", order_id="O", lines=asked),
    )
    (rejected,) = await told(worker, "adjustment-rejected")
    names = ("line_id", "location_id", "requested", "available", "shortfall", "code", "detail")
    assert [tuple(entry[name] for name in names) for entry in rejected["lines"]] == [
        ("1", SHOP, 4, 2, 2, "insufficient_stock", None),
        ("2", None, 1, 0, 1, "insufficient_stock", "never_stocked"),
        ("3", None, 9, 5, 4, "insufficient_stock", None),
    ], "the failing ones only, and the fourth could be had"


async def test_c59_revisions_grow_and_the_alerts_of_a_batch_carry_that_of_its_level(worker: asyncpg.Connection) -> None:
    await tell(
        worker,
        message("restock", reference_id="1", lines=[line("a", 5)]),
        message("restock", reference_id="2", lines=[line("a", 50)]),
    )
    await tell(worker, message("stock-adjustment", reference_id="3", type="damage", lines=[line("a", 55)]))
    await site_settings.change(worker, SITE, {"currency": "EUR"})
    await tell(worker, message("restock", reference_id="4", lines=[line("a", 1, location_id=DEFAULT)]))
    revisions = [event["revision"] for event in await told(worker, "stock-level")]
    assert len(revisions) == 3
    assert revisions == sorted(set(revisions))
    alerts = [(event["level"], event["revision"]) for event in await told(worker, "alert-level-changed")]
    one, two, three = revisions
    assert alerts == [("low", one), ("ok", one), ("out", two), ("critical", three)]
