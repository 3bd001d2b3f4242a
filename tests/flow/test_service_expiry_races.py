"""Contract rules 5 and 6: what is sent about an order around the very moment at which its reservation expires."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import pytest
from aiokafka import AIOKafkaProducer

from stock_worker.core.topics import ORDER_CANCELLED, ORDER_FULFILLED, ORDER_PLACED, RETURN_RECEIVED
from stock_worker.sweeper import expiries
from tests.flow.running import PARTITIONS, SITE, Shop, busy, product, restock, running, sweeping, until

ORDERS: Final = 300
ITEMS: Final = 20
EACH: Final = 6
STOCK: Final = 1_000
AT_ONCE: Final = 5
"""Commands of a batch and expiries of a transaction: few, so that a crowd waits when its orders are due."""
LAST: Final = timedelta(days=1)
"""How much later an amendment has a reservation end, if it does."""


class Sent(NamedTuple):
    """A command about an order. Quantity 0: the whole order cancelled, or an amendment without lines."""

    topic: str
    order_id: str
    reference_id: str
    quantity: int
    expires_at: datetime | None = None


def _message(sent: Sent, item: int) -> bytes:
    told: dict[str, Any] = {"site_id": SITE, "order_id": sent.order_id, "reference_id": sent.reference_id}
    if sent.topic == ORDER_PLACED:
        line = {"product_id": product(item), "quantity": sent.quantity, "line_id": sent.reference_id}
        told |= {"mode": "reserve", "amend": True, "lines": [line] if sent.quantity else []}
        if sent.expires_at:
            told["expires_at"] = sent.expires_at.isoformat()
    elif sent.quantity:
        told["lines"] = [{"line_id": "1", "quantity": sent.quantity}]
    return json.dumps(told).encode()


def _script(order: int, due: datetime, chance: random.Random) -> list[Sent]:
    """Two commands about an order, of whatever kind."""
    order_id = f"O{order}"
    found = []
    for number in range(2):
        topic, quantity, expires_at = chance.choice(
            [
                (ORDER_FULFILLED, chance.randint(1, EACH), None),
                (ORDER_FULFILLED, chance.randint(1, EACH), None),
                (ORDER_CANCELLED, chance.randint(1, EACH), None),
                (ORDER_CANCELLED, 0, None),
                (RETURN_RECEIVED, chance.randint(1, EACH), None),
                (ORDER_PLACED, 2, None),
                (ORDER_PLACED, 2, due + LAST),
                (ORDER_PLACED, 0, due + LAST),
            ]
        )
        found.append(Sent(topic, order_id, f"{order_id} {number}", quantity, expires_at))
    return found


class Line(NamedTuple):
    """A line as the formulas of rule 5 have it, which are written down here once more."""

    reserved: int
    sold: int
    cancelled: int
    expired: int

    @staticmethod
    def of(placed: int, accepted: Sequence[Sent], *, whole: bool, has_expired: bool) -> "Line":
        """A line in mode reserve after these commands about it."""
        totals: Counter[str] = Counter()
        for sent in accepted:
            totals[sent.topic] += sent.quantity
        out = max(totals[ORDER_FULFILLED], totals[RETURN_RECEIVED])
        cancelled = min(placed if whole else totals[ORDER_CANCELLED], placed - out)
        left = placed - out - cancelled
        return Line(0 if has_expired else left, out, cancelled, left if has_expired else 0)


class Decided(NamedTuple):
    """What became of a reference, and when."""

    outcome: str
    at: datetime


async def _send_around(due: datetime, commands: Sequence[Sent], shop: Shop) -> dict[str, datetime]:
    """Send from a second before it to a second after; gives when Kafka had each.

    Half of them crowd right before it, so that they wait unread at that time, and a quarter come once the first orders
    have expired, however long that takes.
    """
    producer = AIOKafkaProducer(bootstrap_servers=shop.settings.kafka_bootstrap)
    await producer.start()
    acknowledged: dict[str, datetime] = {}

    async def one(command: Sent) -> None:
        partition = int(command.order_id[1:]) % PARTITIONS
        value = _message(command, int(command.order_id[1:]) % ITEMS)
        await producer.send_and_wait(shop.settings.topic_prefix + command.topic, value, partition=partition)
        acknowledged[command.reference_id] = datetime.now(UTC)

    async def evenly(some: Sequence[Sent], begin: datetime, end: datetime) -> None:
        for n, command in enumerate(some):
            at = begin + (end - begin) * n / len(some)
            await asyncio.sleep((at - datetime.now(UTC)).total_seconds())
            await one(command)

    async def crowding(some: Sequence[Sent], at: datetime) -> None:
        await asyncio.sleep((at - datetime.now(UTC)).total_seconds())
        await asyncio.gather(*map(one, some))

    async def late(some: Sequence[Sent]) -> None:
        await until(lambda: shop.ask("SELECT count(*) > 0 FROM stock.references WHERE type = 'expiry'"))
        for command in some:
            await one(command)

    second = timedelta(seconds=1)
    try:
        await asyncio.gather(
            evenly(commands[0::4], due - second, due + second),
            crowding([*commands[1::4], *commands[2::4]], due - second / 10),
            late(commands[3::4]),
        )
    finally:
        await producer.stop()
    return acknowledged


def _order(number: int, due: datetime) -> bytes:
    line = {"product_id": product(number % ITEMS), "quantity": EACH}
    told = {"site_id": SITE, "order_id": f"O{number}", "mode": "reserve", "lines": [line]}
    return json.dumps({**told, "expires_at": due.isoformat()}).encode()


async def test_rules_5_and_6_an_order_adds_up_whatever_meets_its_expiry(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiries, "_AT_ONCE", AT_ONCE)
    chance = random.Random(6)
    await shop.send(restock("R", number=0, quantity=STOCK, lines=ITEMS))
    async with running(shop.settings, batch_max_records=AT_ONCE) as one, sweeping(one):
        await one.decided(1)
        due: datetime = await shop.ask("SELECT clock_timestamp()") + timedelta(seconds=1 + 2 * busy())
        for partition in range(PARTITIONS):
            numbers = range(partition, ORDERS, PARTITIONS)
            await shop.send(*(_order(number, due) for number in numbers), topic=ORDER_PLACED, partition=partition)
        await one.decided(1 + ORDERS)
        assert one.outcomes() == {"applied": 1 + ORDERS}, "none was past its time when it came"
        sent = [command for number in range(ORDERS) for command in _script(number, due, chance)]
        chance.shuffle(sent)
        acknowledged = await _send_around(due, sent, shop)
        await one.decided(1 + ORDERS + len(sent))
        await until(lambda: shop.ask("SELECT count(*) = 0 FROM stock.orders WHERE due_at <= clock_timestamp()"))

    known = {
        (row["type"], row["id"]): Decided(row["outcome"], row["decided_at"])
        for row in await shop.rows("SELECT type, id, outcome, decided_at FROM stock.references")
    }
    its_time = due.astimezone(UTC).isoformat().replace("+00:00", "Z")
    expiries_of = {key[1].partition("@"): found for key, found in known.items() if key[0] == "expiry"}
    assert {time for _, _, time in expiries_of} == {its_time}
    expired = {order_id: found for (order_id, _, _), found in expiries_of.items()}
    assert all(found.outcome == "applied" and found.at >= due for found in expired.values())
    decided = {command: known[REFERENCE[command.topic], command.reference_id] for command in sent}

    # the race was one
    first, last = min(found.at for found in expired.values()), max(found.at for found in expired.values())
    assert sum(first < found.at < last for found in decided.values()) > 20, "commands were decided among expiries"
    after = [command for command, found in decided.items() if _is_after(found, expired.get(command.order_id))]
    assert len(after) > 20, "and some came too late for theirs"
    assert 0 < len(expired) < ORDERS

    # nothing expires past what Kafka had by then
    assert not [command for command in after if acknowledged[command.reference_id] <= due]

    # every line adds up
    ledger = await _ledger(shop)
    lines = {
        key: line for number in range(ORDERS) for key, line in _lines(f"O{number}", sent, decided, expired).items()
    }
    for key, (line, given_back) in lines.items():
        assert min(line) >= 0, key
        assert ledger.pop(key, Ledger(0, 0, 0)) == Ledger(line.reserved, line.sold, given_back), key
    assert ledger == {}
    stored = await shop.rows("SELECT sum(on_hand)::int, sum(reserved)::int, min(reserved) FROM stock.items")
    returned = sum(
        command.quantity
        for command, found in decided.items()
        if command.topic == RETURN_RECEIVED and found.outcome == "applied"
    )
    sold, reserved = (sum(line[n] for line, _ in lines.values()) for n in (1, 0))
    assert tuple(stored[0])[:2] == (STOCK * ITEMS - sold + returned, reserved)
    assert await shop.ask("SELECT least(min(reserved), min(location_reserved)) FROM stock.movements") >= 0
    assert await shop.drifts() == []


REFERENCE: Final = {
    ORDER_PLACED: "order",
    ORDER_CANCELLED: "cancellation",
    ORDER_FULFILLED: "fulfilment",
    RETURN_RECEIVED: "return",
}


def _is_after(found: Decided, expiry: Decided | None) -> bool:
    return expiry is not None and found.at > expiry.at


class Ledger(NamedTuple):
    """What the ledger's rows of a line come to: units held, units sold, and units that an expiry gave back."""

    reserved: int
    sold: int
    given_back: int


async def _ledger(shop: Shop) -> dict[tuple[str, str], Ledger]:
    rows = await shop.rows(
        "SELECT order_id, line_id,"
        " -coalesce(sum(quantity) FILTER (WHERE type IN ('reserved', 'unreserved')), 0)::int,"
        " -coalesce(sum(quantity) FILTER (WHERE type = 'sale'), 0)::int,"
        " coalesce(sum(quantity) FILTER (WHERE reference_type = 'expiry'), 0)::int"
        " FROM stock.movements WHERE order_id IS NOT NULL GROUP BY order_id, line_id"
    )
    return {(row[0], row[1]): Ledger(*row[2:]) for row in rows}


def _lines(
    order_id: str, sent: Sequence[Sent], decided: dict[Sent, Decided], expired: dict[str, Decided]
) -> dict[tuple[str, str], tuple[Line, int]]:
    """Each line of an order as it must be, and what its expiry must have given back."""
    commands = [command for command in sent if command.order_id == order_id]
    expiry = expired.get(order_id)
    whole = [command for command in commands if command.topic == ORDER_CANCELLED and not command.quantity]
    accepted = [
        command
        for command in commands
        if command.topic != ORDER_PLACED and command.quantity and decided[command].outcome == "applied"
    ]
    found = {}
    for line_id, placed, placement in [
        ("1", EACH, None),
        *((c.reference_id, c.quantity, decided[c]) for c in commands if c.topic == ORDER_PLACED and c.quantity),
    ]:
        about = accepted if placement is None else []
        has_expired = expiry is not None and not (placement and _is_after(placement, expiry))
        is_late = placement is not None and placement.outcome == "expired"
        line = Line.of(placed, about, whole=bool(whole), has_expired=has_expired or is_late)
        given_back = 0
        if has_expired and not (placement and placement.outcome != "applied"):
            before = [command for command in about if not _is_after(decided[command], expiry)]
            was_whole = any(not _is_after(decided[command], expiry) for command in whole)
            given_back = Line.of(placed, before, whole=was_whole, has_expired=False).reserved
        found[order_id, line_id] = (line, given_back)
    return found
