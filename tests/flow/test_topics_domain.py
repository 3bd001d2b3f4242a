"""The contract's tables of topics and of events, row by row: a day of a shop through a real Kafka and PostgreSQL.

What is sent to each command topic comes back on the event topics, and what is no message on the dead-letter topics.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

import pytest
from aiokafka import AIOKafkaProducer

from stock_worker.core.topics import COMMAND_TOPICS
from stock_worker.devstack import Stack
from tests.flow.conftest import Gate
from tests.flow.relaying import Outlet
from tests.flow.running import SITE, Shop, make_topics, product, restock, running, settings_for, until

MUG, STORE = product(1), "10ca7100-0000-4000-8000-000000000001"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
CATALOG_KEY = f"{SITE}/{MUG}/"


def mugs(quantity: int, **more: object) -> dict[str, Any]:
    """So many mugs."""
    return {"product_id": MUG, "quantity": quantity, **more}


DAY: Final[list[tuple[str, dict[str, Any]]]] = [
    ("product-changed", {"product_id": MUG, "name": "Mug", "sku": "M-1", "status": "active", "revision": 1}),
    ("restock", {"reference_id": "D1", "lines": [mugs(20, unit_cost="2.50")]}),
    ("stock-adjustment", {"reference_id": "A1", "type": "damage", "lines": [mugs(1)]}),
    ("stock-count", {"reference_id": "K1", "lines": [{"product_id": MUG, "counted": 18}]}),
    ("restock", {"reference_id": "D2", "lines": [mugs(1, location_id=STORE)]}),
    (
        "stock-transfer",
        {"reference_id": "T1", "from_location_id": "default", "to_location_id": STORE, "lines": [mugs(2)]},
    ),
    ("order-placed", {"order_id": "O", "lines": [mugs(12)]}),
    ("order-placed", {"order_id": "P", "lines": [mugs(99)]}),
    ("order-fulfilled", {"order_id": "O", "reference_id": "F1", "lines": [{"line_id": "1", "quantity": 10}]}),
    ("order-cancelled", {"order_id": "O", "reference_id": "C1", "lines": [{"line_id": "1", "quantity": 2}]}),
    ("return-received", {"order_id": "O", "reference_id": "R1", "lines": [{"line_id": "1", "quantity": 1}]}),
]
"""What is sent, one after the other; `default` stands for the default location."""

Records = Mapping[str, list[Any]]


@pytest.fixture(scope="module")
async def day(stack: Stack, module_database: str) -> Records:
    """What each topic has at the end of the day."""
    shop = Shop(settings_for(stack.kafka_bootstrap, module_database, f"day{uuid4().hex[:8]}-"))
    prefix = shop.settings.topic_prefix
    outlet = Outlet(stack.kafka_bootstrap, module_database, prefix)
    await make_topics(stack.kafka_bootstrap, prefix)
    producer = AIOKafkaProducer(bootstrap_servers=stack.kafka_bootstrap)
    await producer.start()
    async with running(shop.settings) as one, outlet.relaying():
        for number, (topic, fields) in enumerate(DAY, 1):
            value = json.dumps({"site_id": SITE, **fields})
            if "default" in value:
                place = await shop.ask("SELECT location_id::text FROM stock.locations WHERE is_default")
                value = value.replace('"default"', f'"{place}"')
            key = CATALOG_KEY if topic == "product-changed" else "of the sender"
            await producer.send_and_wait(
                prefix + topic, value.encode(), key.encode(), headers=[("traceparent", TRACE.encode())]
            )
            await one.decided(number)
        for number, topic in enumerate(COMMAND_TOPICS, len(DAY) + 1):
            await producer.send_and_wait(prefix + topic, b"{no message", b"its key", headers=[("its", b"\xff")])
            await one.decided(number)
        await outlet.drained()
    await producer.stop()
    events = ("stock-changed", "stock-level", "alert-level-changed", "adjustment-rejected", "adjustment-applied")
    return {topic: await outlet.published(topic) for topic in (*events, *(f"{name}-dlt" for name in COMMAND_TOPICS))}


def values(records: list[Any]) -> list[dict[str, Any]]:
    """The JSON of records."""
    return [json.loads(record.value) for record in records]


# ---------------------------------------------------------------- commands in


@pytest.mark.parametrize(
    ("topic", "reference", "rows"),
    [
        ("order-placed", ("order", "O"), [("sale", -12)]),
        ("order-cancelled", ("cancellation", "C1"), [("sale", 2)]),
        ("order-fulfilled", ("fulfilment", "F1"), []),
        ("return-received", ("return", "R1"), [("return", 1)]),
        ("restock", ("restock", "D1"), [("restock", 20)]),
        ("stock-adjustment", ("adjustment", "A1"), [("damage", -1)]),
        ("stock-count", ("count", "K1"), [("adjustment", -1)]),
        ("stock-transfer", ("transfer", "T1"), [("transfer", -2), ("transfer", 2)]),
    ],
    ids=[topic for topic in COMMAND_TOPICS if topic != "product-changed"],
)
def test_3_what_is_sent_to_a_topic_is_applied_under_its_reference(
    day: Records, topic: str, reference: tuple[str, str], rows: list[tuple[str, int]]
) -> None:
    (applied,) = [
        value
        for value in values(day["adjustment-applied"])
        if (value["reference_type"], value["reference_id"]) == reference
    ]
    assert applied["outcome"] == "applied"
    assert [(entry["type"], entry["quantity"]) for entry in applied["lines"]] == rows
    changed = [value for value in values(day["stock-changed"]) if value["reference_id"] == reference[1]]
    assert [(value["type"], value["quantity"]) for value in changed] == rows
    assert all(value["source"]["topic"].endswith(f"-{topic}") for value in changed)


@pytest.mark.parametrize("topic", ["product-changed"])
def test_3_what_the_catalog_tells_is_told_on(day: Records, topic: str) -> None:
    assert {value["sku"] for value in values(day["stock-changed"])} == {"M-1"}
    assert {(value["sku"], value["name"]) for value in values(day["alert-level-changed"])} == {("M-1", "Mug")}


# ---------------------------------------------------------------- events out

ITEM = {"site_id", "product_id", "variant_id"}
COUNTERS = {"available", "on_hand", "reserved"}
FIELDS: Final[dict[str, set[str]]] = {
    "stock-changed": ITEM
    | COUNTERS
    | {"movement_id", "location_id", "version", "type", "quantity", "previous_stock", "new_stock"}
    | {"location_on_hand", "location_reserved", "unit_cost", "average_cost", "costed_quantity"}
    | {"reference_type", "reference_id", "order_id", "line_id", "reason", "note", "actor", "actor_id"}
    | {"source", "occurred_at", "recorded_at", "last_of_command", "sku"},
    "stock-level": ITEM
    | COUNTERS
    | {"sellable", "track_inventory", "backorder_limit", "level", "version", "revision", "locations", "updated_at"},
    "alert-level-changed": ITEM
    | COUNTERS
    | {"alert_id", "previous_level", "level", "version", "revision", "thresholds", "rule", "cause"}
    | {"reorder_point", "reorder_quantity", "days_until_stockout", "notify", "sku", "name"},
    "adjustment-rejected": {"site_id", "reference_type", "reference_id", "order_id"}
    | {"code", "message", "lines", "source"},
    "adjustment-applied": {"site_id", "reference_type", "reference_id", "order_id", "outcome", "lines"},
}
HEADERS = {"ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time", "content-type"}


@pytest.mark.parametrize("topic", FIELDS)
def test_6_an_event_has_its_fields_its_key_and_its_headers(day: Records, topic: str) -> None:
    assert day[topic]
    for record, value in zip(day[topic], values(day[topic]), strict=True):
        assert set(value) == FIELDS[topic]
        if "product_id" in value:
            key = f"{SITE}/{MUG}/"
        elif value["order_id"]:
            key = f"{SITE}/{value['order_id']}"
        else:
            key = f"{SITE}/{value['reference_type']}/{value['reference_id']}"
        assert record.key.decode() == key
        headers = {name: text.decode() for name, text in record.headers}
        assert set(headers) == HEADERS | ({"traceparent"} if topic != "stock-level" else set())
        assert headers["ce_specversion"] == "1.0"
        assert headers["ce_type"] == f"stock-worker.{topic}.v1"
        assert headers["ce_source"] == "the-source"
        assert headers["content-type"] == "application/json"
        assert headers.get("traceparent", TRACE) == TRACE
        assert datetime.fromisoformat(headers["ce_time"]).tzinfo is not None
        assert str(UUID(headers["ce_id"])) == headers["ce_id"]
    ids = [dict(record.headers)["ce_id"] for record in day[topic]]
    assert len(set(ids)) == len(ids)


def test_6_stock_changed_is_told_of_every_movement_in_the_order_of_versions(day: Records) -> None:
    told = values(day["stock-changed"])
    assert [value["version"] for value in told] == list(range(1, 10))
    assert all(value["previous_stock"] + value["quantity"] == value["new_stock"] for value in told)
    assert all(value["available"] == value["new_stock"] == value["on_hand"] - value["reserved"] for value in told)


def test_6_stock_level_is_the_newest_state_with_its_locations(day: Records) -> None:
    told = values(day["stock-level"])
    revisions = [value["revision"] for value in told]
    assert revisions == sorted(set(revisions))
    last = told[-1]
    assert (last["on_hand"], last["available"], last["sellable"], last["version"]) == (10, 10, 10, 9)
    assert [set(place) for place in last["locations"]] == [
        {"location_id", "code", "on_hand", "reserved", "available"}
    ] * 2
    assert sum(place["on_hand"] for place in last["locations"]) == 10


def test_6_alert_level_changed_is_told_once_for_each_change(day: Records) -> None:
    told = values(day["alert-level-changed"])
    assert [(value["previous_level"], value["level"]) for value in told] == [("ok", "low")]
    (alert,) = told
    assert (alert["available"], alert["cause"], alert["rule"]) == (7, "movement", {"scope": "default"})
    assert alert["thresholds"] == {"low": 10, "critical": 3, "out": 0}
    assert alert["days_until_stockout"] == 0.6
    assert set(alert["notify"]) == {"dashboard", "email", "webhook"}


def test_6_adjustment_rejected_says_why_and_where_it_came_from(day: Records) -> None:
    (rejected,) = values(day["adjustment-rejected"])
    assert (rejected["reference_type"], rejected["reference_id"], rejected["order_id"]) == ("order", "P", "P")
    assert (rejected["code"], bool(rejected["message"])) == ("insufficient_stock", True)
    names = {"line_id", "product_id", "variant_id", "location_id", "requested", "available", "shortfall"}
    (line,) = rejected["lines"]
    assert set(line) == names | {"code", "detail"}
    assert (line["requested"], line["available"], line["shortfall"]) == (99, 7, 92)
    assert set(rejected["source"]) == {"topic", "partition", "offset"}


def test_6_adjustment_applied_is_told_of_every_command_that_was_not_refused(day: Records) -> None:
    told = sorted(value["reference_id"] for value in values(day["adjustment-applied"]))
    assert told == ["A1", "C1", "D1", "D2", "F1", "K1", "O", "R1", "T1"]


@pytest.mark.parametrize("topic", COMMAND_TOPICS)
def test_6_a_dead_letter_is_the_record_as_it_came_with_what_was_wrong(day: Records, topic: str) -> None:
    (letter,) = day[f"{topic}-dlt"]
    assert (letter.key, letter.value) == (b"its key", b"{no message")
    headers = dict(letter.headers)
    assert headers.pop("its") == b"\xff"
    told = {name: text.decode() for name, text in headers.items()}
    assert set(told) == {
        *("dlt-reason", "dlt-detail", "dlt-original-topic"),
        *("dlt-original-partition", "dlt-original-offset", "dlt-original-timestamp"),
    }
    assert (told["dlt-reason"], bool(told["dlt-detail"])) == ("malformed", True)
    assert told["dlt-original-topic"].endswith(f"-{topic}")
    assert all(told[f"dlt-original-{name}"].isdigit() for name in ("partition", "offset", "timestamp"))


# ---------------------------------------------------------------- rule 2, with Kafka


async def test_rule_2_offsets_are_committed_after_what_they_stand_for(shop: Shop, gate: Gate) -> None:
    await shop.send(restock("R", quantity=3))
    async with running(shop.settings) as one:
        await gate.busy.wait()
        assert (await shop.committed(), await shop.movements()) == (0, 0)
        gate.go_on.set()
        await one.decided(1)
        assert await shop.movements() == 1

        async def is_committed() -> bool:
            return await shop.committed() == 1

        await until(is_committed)
