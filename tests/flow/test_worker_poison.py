"""Contract rule 13: what cannot be read never stops or skips its neighbours, and no header makes a good value bad."""

from collections.abc import AsyncIterator, Awaitable
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer import fetcher
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy
from aiokafka.record.memory_records import MemoryRecords

from stock_worker.core.topics import RESTOCK
from stock_worker.devstack import Stack
from tests.flow.running import Headers, Running, Shop, make_topics, restock, running, settings_for, until


class NoText(str):
    """A header name that is written as bytes that are no UTF-8, as librdkafka lets a producer do."""

    __slots__ = ()

    def encode(self, *_: str) -> bytes:
        return b"\xff\xfename"


GOOD = restock("good")
LONG = GOOD[:-1] + b', "note": "' + b"x" * 1_000 + b'", "padding": "' + b"p" * 1_040_000 + b'"}'


Counter = tuple[Shop, Running]


@pytest.fixture(scope="module")
async def counter(stack: Stack, module_database: str) -> AsyncIterator[Counter]:
    """A shop whose worker runs for all the rows below, one after the other."""
    shop = Shop(settings_for(stack.kafka_bootstrap, module_database, f"poison{uuid4().hex[:8]}-"))
    await make_topics(stack.kafka_bootstrap, shop.settings.topic_prefix)
    async with running(shop.settings) as one:
        yield shop, one


@pytest.mark.parametrize(
    ("value", "headers", "outcome"),
    [
        (GOOD, [("nothing", None)], "applied"),
        (GOOD, [("bytes", b"\xff\xfe\x00")], "applied"),
        (GOOD, [("ce_time", b"\xff"), ("traceparent", b"\xff")], "applied"),
        (GOOD, [("n\0l", b"x")], "applied"),
        (GOOD, [("same", b"1"), ("same", b"2")], "applied"),
        (b"", [], "malformed"),
        (None, [], "malformed"),
        (b"{", [("nothing", None), ("bytes", b"\xff")], "malformed"),
        (b"{", [("n\0l", b"x")], "malformed"),
        (b"\xff\xfe", [], "malformed"),
        (b'"\\ud800"', [], "malformed"),
        (b"[" * 100_000, [], "malformed"),
        (b"x" * 1_000_000, [], "malformed"),
        (LONG, [], "applied"),
    ],
    ids=[
        "null-header",
        "header-not-utf8",
        "cloudevents-headers-not-utf8",
        "nul-in-a-header-name",
        "a-header-twice",
        "empty-value",
        "null-value",
        "unreadable-headers-and-value",
        "nul-in-the-header-name-of-a-dead-letter",
        "value-not-utf8",
        "lone-surrogate",
        "deeply-nested",
        "one-megabyte-of-nothing",
        "one-megabyte",
    ],
)
async def test_a_strange_record_passes_between_its_neighbours(
    counter: Counter, value: bytes | None, headers: Headers, outcome: str
) -> None:
    shop, one = counter
    before, stock, place = one.outcomes(), await shop.on_hand(), await shop.end()
    own = None if value is None else value.replace(b"good", f"good{place}".encode())
    await shop.send(restock(f"before{place}"))
    await shop.send(own, headers=headers)
    await shop.send(restock(f"after{place}"))

    await one.decided(sum(before.values()) + 3)

    expected = {"applied": 3} if outcome == "applied" else {"applied": 2, outcome: 1}
    assert {
        kind: count - before.get(kind, 0) for kind, count in one.outcomes().items() if count != before.get(kind)
    } == (expected)
    assert not one.worker.breaker._times
    assert await shop.on_hand() == stock + expected["applied"]
    await until(lambda: _is(shop.committed(), place + 3))
    if outcome == "malformed":
        kept = 'SELECT value IS NOT DISTINCT FROM $1 FROM stock.dead_letters WHERE "offset" = $2'
        assert await shop.ask(kept, value, place + 1)


async def test_a_header_name_that_is_no_text_hides_no_record(shop: Shop) -> None:
    await _produce_raw(shop, [restock("before"), b"{", restock("beside"), restock("after")])

    async with running(shop.settings) as one:
        await one.decided(4)

        assert one.outcomes() == {"applied": 3, "malformed": 1}
    assert await shop.on_hand() == 3
    assert await shop.ask("SELECT header_names FROM stock.dead_letters") == [r"\xff\xfename"]


async def test_without_our_reading_aiokafka_never_gets_past_such_a_header(shop: Shop) -> None:
    """When this fails, aiokafka reads such headers by itself, and `readable` can go."""
    await _produce_raw(shop, [restock("before")])
    consumer = AIOKafkaConsumer(bootstrap_servers=shop.settings.kafka_bootstrap, auto_offset_reset="earliest")
    ours, fetcher.MemoryRecords = fetcher.MemoryRecords, MemoryRecords
    try:
        await consumer.start()
        consumer.assign([TopicPartition(shop.settings.topic_prefix + RESTOCK, 0)])
        for _ in range(2):
            with pytest.raises(UnicodeDecodeError):
                await consumer.getone()
    finally:
        await consumer.stop()
        fetcher.MemoryRecords = ours


async def _is(asked: Awaitable[int], wanted: int) -> bool:
    return await asked == wanted


async def _produce_raw(shop: Shop, values: list[bytes]) -> None:
    """Write one batch whose records have a header name that no Python producer can write."""
    batch = _DefaultRecordBatchBuilderPy(2, 0, 0, -1, -1, -1, 1 << 20)
    for number, value in enumerate(values):
        assert batch.append(number, 1_700_000_000_000, b"key", value, [(NoText("name"), b"x")])
    topic = shop.settings.topic_prefix + RESTOCK
    request: Any = ProduceRequest(
        transactional_id=None, required_acks=-1, timeout=10_000, topics=[(topic, [(0, bytes(batch.build()))])]
    )
    client = AIOKafkaClient(bootstrap_servers=shop.settings.kafka_bootstrap)
    await client.bootstrap()

    async def written() -> bool:
        await client.force_metadata_update()
        leader = client.cluster.leader_for_partition(TopicPartition(topic, 0))
        response = await client.send(leader, request)
        return bool(response.topics[0][1][0][1] == 0)

    try:
        client.add_topic(topic)
        await until(written)  # the topic is new, and its partitions may not have elected a leader yet
    finally:
        await client.close()
