"""Contract section 6 and the relay's promises: every row at least once, per key in order, whoever publishes."""

import asyncio
import json
import random

import pytest
from aiokafka.partitioner import DefaultPartitioner

from stock_worker.devstack import Stack
from stock_worker.relay import Relay
from stock_worker.store import outbox
from tests.flow.relaying import LEVEL, Outlet, ids, values, without_doubles
from tests.flow.running import until


@pytest.fixture
def outlet(stack: Stack, database: str, topics: str) -> Outlet:
    return Outlet(stack.kafka_bootstrap, database, topics)


# ---------------------------------------------------------------- section 6: what a record looks like


async def test_6_an_event_has_its_key_its_value_and_the_cloud_events_headers_of_its_columns(outlet: Outlet) -> None:
    await outlet.topic(LEVEL)
    row = outlet.event("site/product/", {"available": 5})
    async with outlet.relaying():
        await outlet.write(row)
        await outlet.drained()
    (record,) = await outlet.published()
    assert (record.key, record.value) == (b"site/product/", b'{"available": 5}')
    assert dict(record.headers) == {
        "ce_specversion": b"1.0",
        "ce_id": str(row["id"]).encode(),
        "ce_type": b"stock-worker.stock-level.v1",
        "ce_source": b"the-source",
        "ce_time": b"2026-03-04T12:00:00.250000Z",
        "content-type": b"application/json",
    }


async def test_6_an_event_carries_the_traceparent_of_its_command(outlet: Outlet) -> None:
    await outlet.topic(LEVEL)
    async with outlet.relaying():
        await outlet.write(outlet.event("k", 1, header_names=["traceparent"], header_values=[b"00-1-2-01"]))
        await outlet.drained()
    (record,) = await outlet.published()
    assert dict(record.headers)["traceparent"] == b"00-1-2-01"
    assert len(record.headers) == 7


@pytest.mark.parametrize(
    ("key", "value", "headers"),
    [
        pytest.param(b"k", b"{", (("dlt-reason", b"malformed"),), id="a plain one"),
        pytest.param(None, b"{", (("dlt-reason", b"malformed"),), id="null key"),
        pytest.param(b"k", None, (("dlt-reason", b"malformed"),), id="null value"),
        pytest.param(b"", None, (("dlt-null-key", b"true"),), id="null key and null value"),
        pytest.param(b"\xff\x00", b"\xff\x00", (("x", None), ("x", b"\xff"), ("x", b"")), id="bytes, repeated headers"),
        pytest.param(b"k", b"v", (), id="no headers"),
    ],
)
async def test_6_a_dead_letter_has_the_headers_of_its_row_and_no_others(
    outlet: Outlet, key: bytes | None, value: bytes | None, headers: tuple[tuple[str, bytes | None], ...]
) -> None:
    await outlet.topic("restock-dlt")
    async with outlet.relaying():
        await outlet.write(outlet.letter(key, value, headers))
        await outlet.drained()
    (record,) = await outlet.published("restock-dlt")
    assert (record.key, record.value, record.headers) == (key, value, headers)


async def test_6_a_key_is_in_the_partition_where_every_other_client_looks_for_it_and_in_order(outlet: Outlet) -> None:
    await outlet.topic(LEVEL, partitions=7)
    draw = random.Random(6)
    keys = [f"site/{n}/" for n in range(40)]
    rows = [outlet.event(draw.choice(keys), n) for n in range(3_000)]
    async with outlet.relaying() as relay:
        for first in range(0, 3_000, 500):
            await outlet.write(*rows[first : first + 500])
            relay.wake.set()
        await outlet.drained()
    records = await outlet.published()
    for record in records:
        assert record.partition == DefaultPartitioner()(record.key, list(range(7)), [])
    sent: dict[str, list[int]] = {}
    for n, row in enumerate(rows):
        sent.setdefault(str(row["aggregateid"]), []).append(n)
    assert values(records) == sent


async def test_6_megabyte_values_arrive_whole_and_in_order(outlet: Outlet) -> None:
    await outlet.topic("restock-dlt", max_message_bytes="2097152")
    draw = random.Random(6)
    letters = [outlet.letter(b"k", draw.randbytes(1_048_576), [("n", str(n).encode())]) for n in range(30)]
    await outlet.write(*letters, outlet.letter(b"k", b"small", [("n", b"30")]))
    async with outlet.relaying():
        await outlet.drained()
    records = await outlet.published("restock-dlt")
    assert [record.headers[0][1] for record in records] == [str(n).encode() for n in range(31)]
    assert [record.value for record in records] == [letter["payload"] for letter in letters] + [b"small"]


# ---------------------------------------------------------------- one relay


async def test_rows_of_another_process_are_found_without_a_wake(outlet: Outlet) -> None:
    await outlet.topic(LEVEL)
    async with outlet.relaying() as relay:
        await until(lambda: len(relay.shards) == 16)
        await outlet.write(outlet.event("k", 1))
        await outlet.drained(patience_s=5)


async def test_a_relay_counts_what_kafka_took(outlet: Outlet) -> None:
    await outlet.topic(LEVEL)
    await outlet.topic("stock-changed")
    counted: dict[str, int] = {}

    def count(published: object) -> None:
        for topic, records in dict(published).items():  # type: ignore[call-overload] # a Counter
            counted[topic] = counted.get(topic, 0) + records

    async with outlet.relaying(published=count):
        await outlet.write(*(outlet.event("k", n, topic) for n in range(10) for topic in (LEVEL, "stock-changed")))
        await outlet.drained()
    assert counted == {outlet.prefix + LEVEL: 10, outlet.prefix + "stock-changed": 10}


async def test_a_relay_that_is_stopped_publishes_what_is_there_and_leaves_its_shards(outlet: Outlet) -> None:
    await outlet.topic(LEVEL)
    async with outlet.relaying() as relay:
        await until(lambda: len(relay.shards) == 16)
        await outlet.write(*(outlet.event(f"k{n}", n) for n in range(5_000)))
    assert await outlet.waiting() == 0
    assert set((await outlet.shards()).values()) == {None}
    assert (relay.alive, relay.shards) == (False, frozenset())


async def test_the_next_relay_goes_on_where_one_ended(outlet: Outlet) -> None:
    await outlet.topic(LEVEL)
    await outlet.write(*(outlet.event(f"k{n % 50}", n) for n in range(4_000)))
    for _ in range(3):
        async with outlet.relaying() as relay:
            relay.stop_by = 0  # it may not even finish
            await asyncio.sleep(0.2)
    async with outlet.relaying():
        await outlet.drained()
    found = values(await outlet.published())
    assert {key: without_doubles(numbers) for key, numbers in found.items()} == {
        f"k{key}": list(range(key, 4_000, 50)) for key in range(50)
    }


async def test_a_missing_topic_is_named_and_waited_for(outlet: Outlet) -> None:
    await outlet.write(outlet.event("k", 1))
    async with outlet.relaying() as relay:
        await until(lambda: relay.fault and f"topic {outlet.prefix}stock-level is not there" in relay.fault)
        assert await outlet.waiting() == 1
        await outlet.topic(LEVEL)
        await outlet.drained()
        await until(lambda: relay.fault is None)
    assert values(await outlet.published()) == {"k": [1]}


async def test_a_row_that_commits_late_is_published(outlet: Outlet) -> None:
    """Its seq is lower than that of rows long gone."""
    await outlet.topic(LEVEL)
    async with outlet.relaying() as relay, outlet.session() as late:
        transaction = late.transaction()
        await transaction.start()
        row = outlet.event("late", 0)
        columns = ", ".join(row)
        places = ", ".join(f"${n}" for n in range(1, len(row) + 1))
        await late.execute(f"INSERT INTO stock.outbox ({columns}) VALUES ({places})", *row.values())
        for n in range(4):
            await outlet.write(outlet.event("early", n))
            relay.wake.set()
            await asyncio.sleep(1.1)  # so that it looks how far it may go
        assert await outlet.waiting() == 0
        await transaction.commit()
        await outlet.drained(patience_s=10)  # at once, and not when everything is read from the start all the same
    assert values(await outlet.published()) == {"late": [0], "early": [0, 1, 2, 3]}


async def test_a_bug_ends_the_relay_and_is_not_swallowed(outlet: Outlet, monkeypatch: pytest.MonkeyPatch) -> None:
    await outlet.topic(LEVEL)
    await outlet.write(outlet.event("k", 1))

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("stock_worker.relay.publisher.batches", broken)
    relay = outlet.relay()
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(relay.run(), 20)
    assert not relay.alive


# ---------------------------------------------------------------- several relays


def shares(*relays: Relay) -> list[int]:
    """How many shards each has; none has two owners."""
    owned = [shard for relay in relays for shard in relay.shards]
    assert len(owned) == len(set(owned))
    return sorted(len(relay.shards) for relay in relays)


async def test_relays_share_the_shards_and_no_row_is_sent_twice(outlet: Outlet) -> None:
    await outlet.topic(LEVEL)
    sent = 0

    async def write() -> None:
        nonlocal sent
        while True:
            await outlet.write(*(outlet.event(f"k{n % 97}", n) for n in range(sent, sent + 200)))
            sent += 200
            await asyncio.sleep(0.05)

    async with outlet.relaying() as one:
        await until(lambda: shares(one) == [16])
        writing = asyncio.create_task(write())
        async with outlet.relaying() as two:
            await until(lambda: shares(one, two) == [8, 8])
            async with outlet.relaying() as three:
                await until(lambda: shares(one, two, three) == [4, 6, 6])
            await until(lambda: shares(one, two) == [8, 8])
        await until(lambda: shares(one) == [16])
        writing.cancel()
        await asyncio.wait([writing])
        await outlet.drained()
    records = await outlet.published()
    assert len(set(ids(records))) == len(records) >= sent
    for numbers in values(records).values():
        assert numbers == sorted(numbers)


async def test_a_relay_too_many_stands_by(outlet: Outlet) -> None:
    await outlet.topic(LEVEL)
    async with outlet.session() as others:
        for slot in range(16):
            assert await outbox.take_slot(others, slot)
        async with outlet.relaying() as relay:
            await until(lambda: relay.fault is None)
            assert (relay.alive, relay.shards) == (True, frozenset())
            await outbox.free_slot(others, 5)
            await until(lambda: relay.shards != frozenset())
            assert set((await outlet.shards()).values()) == {5, None}


async def test_two_deployments_on_one_kafka_do_not_fence_each_other(
    outlet: Outlet, new_database: "object", stack: Stack
) -> None:
    other = Outlet(stack.kafka_bootstrap, new_database(), outlet.prefix)  # type: ignore[operator] # a function
    await outlet.topic(LEVEL)
    async with outlet.relaying() as one, other.relaying() as two:
        for n in range(5):
            await outlet.write(outlet.event("ours", n))
            await other.write(outlet.event("theirs", n))
            await outlet.drained()
            await other.drained()
            assert (one.fault, two.fault) == (None, None)
    found = values(await outlet.published())
    assert json.dumps(found, sort_keys=True) == '{"ours": [0, 1, 2, 3, 4], "theirs": [0, 1, 2, 3, 4]}'
