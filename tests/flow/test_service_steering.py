"""Contract rule 10 and the two topics that people steer by, while commands flow: alert rules, the catalog, counts."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Final

import pytest
from aiokafka import AIOKafkaProducer

from stock_worker.core.topics import ORDER_PLACED, PRODUCT_CHANGED, RESTOCK, STOCK_ADJUSTMENT, STOCK_COUNT
from stock_worker.store.engine import connect
from stock_worker.store.steering import rules
from stock_worker.store.steering.rules import Scope
from stock_worker.sweeper import reevaluations
from tests.flow.relaying import Outlet, values
from tests.flow.running import SITE, Shop, product, restock, running, sweeping, until

ITEMS: Final = 200
START: Final = 20
RULED: Final = 7
"""The product that has a rule of its own."""


def _outlet(shop: Shop) -> Outlet:
    return Outlet(shop.settings.kafka_bootstrap, shop.settings.database_url, shop.settings.topic_prefix)


def _adjustment(reference_id: str, number: int, quantity: int) -> bytes:
    lines = [{"product_id": product(number), "quantity": quantity}]
    told = {"site_id": SITE, "reference_id": reference_id, "type": "adjustment", "lines": lines}
    return json.dumps(told).encode()


def _sale(order_id: str, number: int = 1, quantity: int = 1) -> bytes:
    lines = [{"product_id": product(number), "quantity": quantity}]
    return json.dumps({"site_id": SITE, "order_id": order_id, "lines": lines}).encode()


@asynccontextmanager
async def _flowing(shop: Shop, command: Callable[[int], tuple[str, bytes]]) -> AsyncIterator[list[int]]:
    """Send the command of each number, one by one, for as long as the block runs; gives those that are sent."""
    producer = AIOKafkaProducer(bootstrap_servers=shop.settings.kafka_bootstrap)
    await producer.start()
    sent: list[int] = []
    is_over = asyncio.Event()

    async def send() -> None:
        while not is_over.is_set():
            topic, value = command(len(sent))
            sent.append(len(sent))
            await producer.send_and_wait(shop.settings.topic_prefix + topic, value, partition=0)

    sending = asyncio.create_task(send())
    try:
        yield sent
    finally:
        is_over.set()
        await asyncio.gather(sending)
        await producer.stop()


# ---------------------------------------------------------------- alert rules


def _level(available: int, low: int, critical: int, out: int) -> str:
    """Rule 10, written down once more."""
    if available <= out:
        return "out"
    if available <= critical:
        return "critical"
    return "low" if available <= low else "ok"


def _a_move(number: int) -> tuple[str, bytes]:
    """Of some item a few units more, or less."""
    chance = random.Random(number)
    item, quantity = chance.randrange(ITEMS), chance.randint(1, 6)
    if chance.random() < 0.5:
        return RESTOCK, restock(f"r{number}", item, quantity)
    return STOCK_ADJUSTMENT, _adjustment(f"a{number}", item, -quantity)


CHANGES: Final[list[tuple[tuple[str, ...], dict[str, int | None]]]] = [
    ((), {"low_stock_threshold": 25, "critical_stock_threshold": 15}),
    ((product(RULED),), {"low_stock_threshold": 1_000}),
    ((), {"low_stock_threshold": 18, "out_of_stock_threshold": 12}),
    ((), {"low_stock_threshold": None, "critical_stock_threshold": None, "out_of_stock_threshold": None}),
    ((product(RULED),), {"low_stock_threshold": 40, "critical_stock_threshold": 30}),
    ((), {"low_stock_threshold": 22, "critical_stock_threshold": 18, "out_of_stock_threshold": 10}),
]
"""The rules of the site and of one product, one change after the other; the last one leaves 22, 18 and 10."""
FINAL: Final = (22, 18, 10)
FINAL_RULED: Final = (40, 30, 10)


async def test_rule_10_rules_that_change_while_stock_moves_leave_every_level_and_alert_right(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reevaluations, "_AT_ONCE", 20)
    person = await connect(shop.settings.database_url, "stock_worker")
    outlet = _outlet(shop)
    await shop.send(restock("R", number=0, quantity=START, lines=ITEMS))
    async with running(shop.settings, batch_max_records=20) as one, outlet.relaying(wake=one.wake), sweeping(one):
        await one.decided(1)
        async with _flowing(shop, _a_move) as sent:
            for ids, given in CHANGES:
                before = sum(one.outcomes().values())
                changed = await rules.change(person, Scope(SITE, *ids), given)
                assert isinstance(changed, rules.ScopeRule)
                await one.decided(before + 60)
            last = sum(one.outcomes().values())
            await until(lambda: shop.ask("SELECT count(*) = 0 FROM stock.reevaluations"))
            assert sum(one.outcomes().values()) > last, "commands flowed to the end"
        await one.decided(1 + len(sent))
        await outlet.drained()
    await person.close()

    final = {product(number): FINAL_RULED if number == RULED else FINAL for number in range(ITEMS)}
    rows = await shop.rows("SELECT product_id::text, on_hand - reserved, level, emitted_level FROM stock.items")
    expected = {item: _level(available, *final[item]) for item, available, _, _ in rows}
    assert len(expected) == ITEMS
    assert {row[0]: row[2] for row in rows} == expected
    assert {row[0]: row[3] for row in rows} == expected
    assert len(set(expected.values())) == 4, "the items are at every level"
    told = {_item(key): said[-1] for key, said in values(await outlet.published("stock-level")).items()}
    assert {item: said["level"] for item, said in told.items()} == expected
    assert {item: said["available"] for item, said in told.items()} == {row[0]: row[1] for row in rows}
    alerts = {_item(key): said for key, said in values(await outlet.published("alert-level-changed")).items()}
    for item, level in expected.items():
        chain = alerts.get(item, [])
        assert [said["previous_level"] for said in chain] == ["ok", *(said["level"] for said in chain)][:-1], item
        assert all(said["previous_level"] != said["level"] for said in chain), item
        assert (chain[-1]["level"] if chain else "ok") == level, item
        assert all(a["revision"] <= b["revision"] for a, b in pairwise(chain)), item
        for said in chain:
            assert said["level"] == _level(said["available"], *(said["thresholds"][n] for n in NAMES)), item
    causes = {said["cause"] for chain in alerts.values() for said in chain}
    assert causes == {"movement", "rule"}
    assert await shop.drifts() == []


NAMES: Final = ("low", "critical", "out")


def _item(key: str) -> str:
    return key.split("/")[1]


# ---------------------------------------------------------------- the catalog


def _entry(revision: int) -> bytes:
    told = {"site_id": SITE, "product_id": product(1), "name": "Mug", "status": "active", "revision": revision}
    return json.dumps(told).encode()


async def test_3_a_product_without_value_is_archived_and_its_alerts_end(shop: Shop) -> None:
    key, outlet = f"{SITE}/{product(1)}/".encode(), _outlet(shop)
    steps: list[tuple[str, bytes | None]] = [
        (PRODUCT_CHANGED, _entry(1)),
        (RESTOCK, restock("R", quantity=5)),
        (PRODUCT_CHANGED, None),
        (ORDER_PLACED, _sale("O", quantity=3)),
        (PRODUCT_CHANGED, None),
        (PRODUCT_CHANGED, _entry(1)),
    ]
    async with running(shop.settings) as one, outlet.relaying(wake=one.wake):
        for number, (topic, value) in enumerate(steps, 1):
            await shop.send(value, topic=topic, key=key)
            await one.decided(number)
        assert one.outcomes() == {"applied": 4, "duplicate": 2}, "told again, and news that is older"
        assert tuple((await shop.rows("SELECT name, archived FROM stock.products"))[0]) == ("Mug", True)
        assert tuple((await shop.rows("SELECT on_hand, level FROM stock.items"))[0]) == (2, "ok")
        await shop.send(_entry(2), topic=PRODUCT_CHANGED, key=key)
        await one.decided(len(steps) + 1)
        await outlet.drained()
    (alerts,) = values(await outlet.published("alert-level-changed")).values()
    changes = [(alert["previous_level"], alert["level"], alert["available"]) for alert in alerts]
    assert changes == [("ok", "low", 5), ("low", "ok", 5), ("ok", "critical", 2)], "silent while it is archived"
    (levels,) = values(await outlet.published("stock-level")).values()
    assert [(told["available"], told["level"]) for told in levels] == [
        (5, "low"),
        (5, "ok"),
        (2, "ok"),
        (2, "critical"),
    ]
    assert await shop.drifts() == []


# ---------------------------------------------------------------- counts


MISSING: Final = 7


@pytest.mark.parametrize("counts", [1, 3], ids=["one count", "three that found the same units missing"])
async def test_rule_9_a_count_while_sales_flow_corrects_what_was_miscounted_and_nothing_else(
    shop: Shop, counts: int
) -> None:
    """Each counts the shelf at a version; by the time that they are told, stock has moved on."""
    await shop.send(restock("R", quantity=1_000))
    async with running(shop.settings, batch_max_records=10) as one:
        await one.decided(1)
        versions, told = [], []
        async with _flowing(shop, lambda number: (ORDER_PLACED, _sale(f"O{number}"))) as sales:
            for number in range(counts):
                await one.decided(1 + 30 * (number + 1))
                version, on_hand = (await shop.rows("SELECT version, on_hand FROM stock.items"))[0]
                line = {"product_id": product(1), "counted": on_hand - MISSING, "counted_at_version": version}
                told.append(json.dumps({"site_id": SITE, "reference_id": f"K{number}", "lines": [line]}).encode())
                versions.append(version)
            await one.decided(1 + 30 * counts + 20)
            await shop.send(*told, topic=STOCK_COUNT)
            await until(lambda: shop.ask("SELECT count(*) = $1 FROM stock.references WHERE type = 'count'", counts))
            await one.decided(sum(one.outcomes().values()) + 20)
        await one.decided(1 + len(sales) + counts)
    outcomes = dict(await shop.rows("SELECT id, outcome FROM stock.references WHERE type = 'count'"))
    assert outcomes == {"K0": "applied", **{f"K{n}": "no_effect" for n in range(1, counts)}}
    corrections = await shop.rows("SELECT quantity, version FROM stock.movements WHERE type = 'adjustment'")
    assert [quantity for quantity, _ in corrections] == [-MISSING]
    assert max(versions) < corrections[0][1] - 1, "sales came between the counts and their booking"
    assert corrections[0][1] < 1 + len(sales) + 1, "and after it"
    assert await shop.on_hand() == 1_000 - len(sales) - MISSING
    assert await shop.drifts() == []
