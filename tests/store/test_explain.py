"""`explain`: why this number and this level, down to topic, partition and offset."""

from dataclasses import asdict

import asyncpg

from stock_worker.audit.explain import explain
from stock_worker.cli.explain import words
from stock_worker.handle import Policy, handle_batch
from tests.store.histories import NOON
from tests.store.records import SITE, line, message, product


async def test_an_item_is_explained_down_to_its_messages(auditor: asyncpg.Connection) -> None:
    stocked = message("restock", reference_id="R", reason="delivery", lines=[line("a", 9)])
    held = message(
        "order-placed", order_id="O", mode="reserve", expires_at="2026-03-02T00:00:00Z", lines=[line("a", 7)]
    )
    by_hand = message("stock-adjustment", reference_id="H", type="reserved", lines=[line("a", 1)])
    await handle_batch(auditor, [stocked, held, by_hand], Policy(), clock=NOON)
    told = await explain(auditor, SITE, product("a"), None)
    assert told is not None
    assert (told.item["available"], told.item["on_hand"], told.item["reserved"]) == (1, 9, 8)
    assert told.level["why"] == "1 available is at most the critical threshold of 3"
    assert told.level["thresholds"]["critical"] == {"value": 3, "from": "built-in"}
    assert [(row["version"], row["type"], row["reference_id"]) for row in told.movements] == [
        (3, "reserved", "H"),
        (2, "reserved", "O"),
        (1, "restock", "R"),
    ]
    assert told.movements[2]["source"] == {
        "topic": "restock",
        "partition": 0,
        "offset": stocked.record.offset,  # type: ignore[union-attr] # it came from Kafka
    }
    assert [(order["order_id"], order["reserved"][0]["units"]) for order in told.held_by] == [("O", 7)]
    text = "\n".join(words(told))
    assert "available  1 = 9 on hand - 8 reserved" in text
    assert "held by    order O line 1: 7 until 2026-03-02 00:00:00Z" in text
    assert "8 reserved, 1 of them held by hand" in text
    assert "restock R  restock-0@" in text
    assert asdict(told)["level"]["level"] == "critical"


async def test_the_origin_of_each_threshold_is_told(auditor: asyncpg.Connection) -> None:
    await handle_batch(auditor, [message("restock", reference_id="R", lines=[line("a", 9)])], Policy(), clock=NOON)
    await auditor.execute(
        "INSERT INTO stock.alert_rules (site_id, product_id, updated_at, low_stock_threshold) VALUES ($1, $2, $3, 20)",
        *(SITE, product("a"), NOON),
    )
    told = await explain(auditor, SITE, product("a"), None)
    assert told is not None
    assert told.level["thresholds"]["low"] == {"value": 20, "from": "product"}


async def test_an_item_that_never_was_is_told_so(auditor: asyncpg.Connection) -> None:
    await handle_batch(
        auditor,
        [message("stock-adjustment", reference_id="A", type="sale", lines=[line("a", 1)])],
        Policy(),
        clock=NOON,
    )
    assert await explain(auditor, SITE, product("a"), None) is None, "a row at version 0 is invisible"
    assert await explain(auditor, SITE, product("b"), None) is None
