"""The relay under faults: killed, frozen, refused, cut off. Nothing is lost, nothing old comes after what is new."""

import asyncio
import json
import os
import signal
from collections import Counter

import asyncpg
import psutil
import pytest

from stock_worker.devstack import Stack
from tests.flow.relaying import LEVEL, Outlet, ids, values, without_doubles
from tests.flow.running import until

KEYS = [f"site/{n}/" for n in range(64)]  # some in every shard


@pytest.fixture
def outlet(stack: Stack, database: str, topics: str) -> Outlet:
    return Outlet(stack.kafka_bootstrap, database, topics)


# ---------------------------------------------------------------- killed


@pytest.mark.parametrize(
    ("point", "doubles"),
    [("dies after read", False), ("dies before it sends", False), ("dies before it deletes", True)],
)
async def test_a_relay_that_is_killed_loses_nothing_and_doubles_keep_their_id(
    outlet: Outlet, point: str, *, doubles: bool
) -> None:
    await outlet.topic(LEVEL)
    rows = [outlet.event(KEYS[n % 64], n) for n in range(640)]
    await outlet.write(*rows)
    with outlet.process(point) as process:
        await until(lambda: process.poll() is not None)
        assert process.returncode == -signal.SIGKILL
    assert await outlet.waiting() == 640
    async with outlet.relaying():
        await outlet.drained()
    records = await outlet.published()
    sent = {str(row["id"]): (row["key"], row["payload"]) for row in rows}
    assert {id_: (record.key, record.value) for id_, record in zip(ids(records), records, strict=True)} == sent
    assert set(Counter(ids(records)).values()) == ({2} if doubles else {1})
    for key, numbers in values(records).items():
        assert without_doubles(numbers) == list(range(KEYS.index(key), 640, 64))


# ---------------------------------------------------------------- frozen


@pytest.mark.parametrize("beside", [True, False], ids=["the other was beside it", "the other came later"])
@pytest.mark.parametrize("fenced", [True, False], ids=["fenced", "planted fault: not fenced"])
async def test_a_relay_that_wakes_after_another_took_over_publishes_nothing_old(
    outlet: Outlet, *, beside: bool, fenced: bool
) -> None:
    """It was stopped with records in its hands, a step before it writes them to the socket."""
    await outlet.topic(LEVEL)
    more = {"idle_max_s": 1.0}
    with outlet.process("freezes before it sends", fenced=fenced) as process:
        await until(lambda: _all_belong_to(outlet, 0))
        async with outlet.relaying(**more) as other:
            if beside:
                await until(lambda: len(other.shards) == 8)
            else:
                other.stop()
                await until(lambda: not other.alive)
            await outlet.write(*(outlet.event(key, "old") for key in KEYS))
            await until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)
            await until(lambda: _is_hung_up_on(outlet))
            async with outlet.relaying(**more) as later:
                await until(lambda: len(other.shards | later.shards) == 16)
                await outlet.drained()
                await outlet.write(*(outlet.event(key, "new") for key in KEYS))
                await outlet.drained()
                before = await outlet.published()
                os.kill(process.pid, signal.SIGCONT)
                live = 3 if beside else 2
                await until(lambda: _live_is(outlet, live))  # its last life is over: what it had in its hands is gone
    newest = {key: said[-1] for key, said in values(await outlet.published()).items()}
    assert values(before).keys() == set(KEYS)
    if fenced:
        assert newest == dict.fromkeys(KEYS, "new")
    else:
        assert "old" in newest.values()


async def test_a_relay_that_wakes_after_its_shards_were_inherited_publishes_nothing_old(outlet: Outlet) -> None:
    """Nobody took its slot meanwhile: only who published what it had left behind can have fenced it."""
    await outlet.topic(LEVEL)
    with outlet.process("freezes before it sends") as process:
        await until(lambda: _all_belong_to(outlet, 0), patience_s=60)  # a process has to start
        async with outlet.relaying() as other:
            await until(lambda: len(other.shards) == 8)
            await outlet.write(*(outlet.event(key, "old") for key in KEYS))
            await until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)
            await until(lambda: len(other.shards) == 16)
            await outlet.drained()
            await outlet.write(*(outlet.event(key, "new") for key in KEYS))
            await outlet.drained()
            os.kill(process.pid, signal.SIGCONT)
            await until(lambda: _live_is(outlet, 2))  # its next life: what it had in its hands is gone
    newest = {key: said[-1] for key, said in values(await outlet.published()).items()}
    assert newest == dict.fromkeys(KEYS, "new")


async def _all_belong_to(outlet: Outlet, slot: int) -> bool:
    return list((await outlet.shards()).values()) == [slot] * 16


async def _live_is(outlet: Outlet, relays: int) -> bool:
    return await outlet.live() == relays


async def _is_hung_up_on(outlet: Outlet) -> bool:
    """Whether the server has ended the session of the relay that is frozen: it had slot 0 and its shards."""
    held = await outlet.ask(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND objid = 0 "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    return not held or (await outlet.shards())[0] != 0


# ---------------------------------------------------------------- cut off


async def test_a_session_that_the_server_ends_is_begun_anew(outlet: Outlet) -> None:
    await outlet.topic(LEVEL)
    async with outlet.relaying() as relay:
        for n in range(5):
            await outlet.write(outlet.event("k", n))
            await until(lambda: len(relay.shards) == 16)
            await _hang_up(outlet)
            await until(lambda: relay.shards == frozenset())
        await outlet.drained()
    assert without_doubles(values(await outlet.published())["k"]) == [0, 1, 2, 3, 4]


async def _hang_up(outlet: Outlet) -> None:
    """End the relay's session from the server's side; its login may do that, the worker's role may not."""
    login = await asyncpg.connect(outlet.database)
    await login.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'stock-worker relay' AND datname = current_database()"
    )
    await login.close()


async def test_a_database_without_an_outbox_ends_the_relay(empty_database: str, stack: Stack) -> None:
    with pytest.raises(asyncpg.UndefinedTableError):
        await asyncio.wait_for(Outlet(stack.kafka_bootstrap, empty_database, "").relay().run(), 20)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_a_broker_that_restarts_loses_and_reverses_nothing(
    own_stack: Stack, new_database: "object", topics: str, how: str
) -> None:
    database = new_database()  # type: ignore[operator] # a function
    outlet = Outlet(own_stack.kafka_bootstrap, database, topics)
    assert own_stack.kafka
    await outlet.topic(LEVEL)
    sent = 0
    async with outlet.relaying() as relay:

        async def write() -> None:
            nonlocal sent
            while True:
                await outlet.write(*(outlet.event(KEYS[n % 64], n) for n in range(sent, sent + 64)))
                sent += 64
                await asyncio.sleep(0.02)

        writing = asyncio.create_task(write())
        await until(lambda: sent > 256)
        await asyncio.to_thread(getattr(own_stack.kafka, how))
        was = sent
        await until(lambda: sent > was + 256)
        await asyncio.to_thread(own_stack.kafka.start)
        was = sent
        await until(lambda: sent > was + 256)
        writing.cancel()
        await asyncio.wait([writing])
        await outlet.drained()
        assert relay.alive
    for key, numbers in values(await outlet.published()).items():
        assert without_doubles(numbers) == list(range(KEYS.index(key), sent, 64))


# ---------------------------------------------------------------- refused


async def test_a_dead_letter_that_its_topic_cannot_take_is_cut_and_says_so(outlet: Outlet) -> None:
    """Topics that somebody made with the wrong limit; its neighbours go whole, in order."""
    await outlet.topic("restock-dlt", partitions=1, max_message_bytes="100000")
    noise = os.urandom(400_000)
    await outlet.write(
        outlet.letter(b"k", b"before", [("dlt-reason", b"malformed")]),
        outlet.letter(b"k", noise, [("x", b"original"), ("dlt-reason", b"malformed")]),
        outlet.letter(b"k", b"after", [("dlt-reason", b"malformed")]),
    )
    async with outlet.relaying():
        await outlet.drained()
    records = without_doubles([(r.value, r.headers) for r in await outlet.published("restock-dlt")])
    before, cut, after = records
    assert before == (b"before", (("dlt-reason", b"malformed"),))
    assert after == (b"after", (("dlt-reason", b"malformed"),))
    assert noise.startswith(cut[0])
    assert 25_000 < len(cut[0]) < 100_000
    assert cut[1] == (("x", b"original"), ("dlt-reason", b"malformed"), ("dlt-truncated", b"400000"))


async def test_a_dead_letter_whose_headers_are_too_large_keeps_those_of_ours(outlet: Outlet) -> None:
    await outlet.topic("restock-dlt", max_message_bytes="100000")
    await outlet.write(outlet.letter(b"k", b"v" * 600, [("x", os.urandom(200_000)), ("dlt-reason", b"malformed")]))
    async with outlet.relaying():
        await outlet.drained()
    ((key, headers),) = {(record.key, record.headers) for record in await outlet.published("restock-dlt")}
    assert (key, headers) == (b"k", (("dlt-reason", b"malformed"), ("dlt-truncated", b"600")))


async def test_an_event_that_its_topic_cannot_take_stays_json_without_its_longest_list(outlet: Outlet) -> None:
    await outlet.topic(LEVEL, max_message_bytes="20000")
    places = [{"location_id": os.urandom(16).hex(), "on_hand": n} for n in range(2_000)]
    await outlet.write(outlet.event("k", {"available": 5, "locations": places, "few": [1]}))
    async with outlet.relaying():
        await outlet.drained()
    ((value, truncated),) = {
        (record.value, dict(record.headers)["dlt-truncated"]) for record in await outlet.published()
    }
    assert json.loads(value) == {"available": 5, "locations": [], "few": [1]}
    assert int(truncated) > 100_000


async def test_a_batch_that_is_too_large_goes_record_by_record_and_whole(outlet: Outlet) -> None:
    await outlet.topic(LEVEL, partitions=1, max_message_bytes="5000")
    rows = [outlet.event("k", os.urandom(1_000).hex()) for _ in range(50)]
    await outlet.write(*rows)
    async with outlet.relaying():
        await outlet.drained()
    records = await outlet.published()
    assert without_doubles([record.value for record in records]) == [row["payload"] for row in rows]
    assert not any("dlt-truncated" in dict(record.headers) for record in records)


async def test_a_program_that_is_asked_to_stop_while_kafka_is_away_stops(
    database: str, topics: str, unused_tcp_port: int
) -> None:
    outlet = Outlet(f"127.0.0.1:{unused_tcp_port}", database, topics)
    await outlet.write(outlet.event("k", 1))
    relay = outlet.relay()
    running = asyncio.create_task(relay.run())
    await until(lambda: relay.faults > 1)
    relay.stop()
    await asyncio.wait_for(running, 15)
    assert await outlet.waiting() == 1
