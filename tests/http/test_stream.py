"""Contract section 7, the stream: what is published of a site is told once, whoever is asked where one was cut off."""

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import NewPartitions, RecordsToDelete

from stock_worker.core.topics import ALERT_LEVEL_CHANGED, STOCK_CHANGED
from stock_worker.devstack import Stack
from stock_worker.http import stream as streams
from stock_worker.http import stream_listener
from stock_worker.http.problems import Problem
from stock_worker.http.stream import TOPICS, Hub
from stock_worker.http.stream_ids import read_id, write_id
from stock_worker.http.stream_listener import Found
from tests.flow.relaying import Outlet, values
from tests.flow.running import Shop, busy, make_topics, product, settings_for, until
from tests.http.running import KEY, OTHER, SITE, serving, token
from tests.http.streaming import Place, Told, admin_of, numbers, place, publish

# ---------------------------------------------------------------- where a listener is

PARTITIONS = [TopicPartition("changed", 0), TopicPartition("changed", 1), TopicPartition("alert", 0)]


def test_an_id_is_a_position() -> None:
    position = dict(zip(PARTITIONS, (12, 0, 345), strict=True))
    assert write_id(position) == "12.0~345"
    assert read_id("12.0~345", PARTITIONS) == position


def test_a_partition_that_was_made_since_is_read_from_its_beginning() -> None:
    assert read_id("12~345", PARTITIONS) == dict(zip(PARTITIONS, (12, 0, 345), strict=True))


def test_an_id_of_partitions_that_are_not_there_is_of_no_use() -> None:
    assert read_id("12.0.7~345", PARTITIONS) is None


WRONG_IDS = [
    "x",
    "1",
    "1.2",
    "1.2~",
    "~3",
    "1..2~3",
    "1.2~3~4",
    "1.2~-3",
    "1.2~3 ",
    "1.2~\uff13",
    "1.2~" + "9" * 19,
    "\0",
]


@pytest.mark.parametrize("text", WRONG_IDS)
def test_what_is_no_id_is_malformed(text: str) -> None:
    with pytest.raises(Problem) as raised:
        read_id(text, PARTITIONS)
    assert raised.value.code == "malformed"


# ---------------------------------------------------------------- a shop, and its API in one or two processes


@pytest.fixture
async def shop(stack: Stack, database: str, topics: str) -> Shop:
    """Fresh topics and a fresh database."""
    await make_topics(stack.kafka_bootstrap, topics)
    return Shop(settings_for(stack.kafka_bootstrap, database, topics, jwt_key=KEY))


@pytest.fixture
async def here(shop: Shop) -> AsyncIterator[Place]:
    """An API process."""
    async with place(shop.settings) as one:
        yield one


@pytest.fixture
async def there(shop: Shop) -> AsyncIterator[Place]:
    """Another one of the same shop."""
    async with place(shop.settings) as one:
        yield one


def outlet_of(shop: Shop) -> Outlet:
    return Outlet(shop.settings.kafka_bootstrap, shop.settings.database_url, shop.settings.topic_prefix)


async def write(client: httpx.AsyncClient, path: str, key: str, body: object, site: str = SITE) -> None:
    """Change stock over HTTP."""
    headers = {"Authorization": f"Bearer {token(sites=(SITE, OTHER))}", "Idempotency-Key": key}
    answer = await client.post(f"/sites/{site}{path}", json=body, headers=headers)
    assert answer.status_code == 200, answer.text


# ---------------------------------------------------------------- what is told


async def test_changes_of_stock_and_of_levels_are_told_as_published(shop: Shop, here: Place) -> None:
    async with (
        outlet_of(shop).relaying(),
        httpx.AsyncClient(base_url=here.address) as client,
        here.listening() as stream,
    ):
        assert stream.response.headers["content-type"] == "text/event-stream"
        assert stream.response.headers["x-accel-buffering"] == "no"
        assert "content-length" not in stream.response.headers
        await write(client, "/restocks", "r1", {"lines": [{"product_id": product(1), "quantity": 2}]})
        told = {each.event: each.data for each in await stream.events(2)}
    assert set(told) == {STOCK_CHANGED, ALERT_LEVEL_CHANGED}
    for topic, data in told.items():
        assert [values(await outlet_of(shop).published(topic))[f"{SITE}/{product(1)}/"]] == [[data]]
    assert (told[STOCK_CHANGED]["version"], told[STOCK_CHANGED]["new_stock"]) == (1, 2)
    assert (told[ALERT_LEVEL_CHANGED]["previous_level"], told[ALERT_LEVEL_CHANGED]["level"]) == ("ok", "critical")


@pytest.mark.parametrize(
    ("chosen", "expected"), [(STOCK_CHANGED, [1, 3]), (ALERT_LEVEL_CHANGED, [2, 4]), (",".join(TOPICS), [1, 2, 3, 4])]
)
async def test_events_chooses_also_for_what_was_missed(
    shop: Shop, here: Place, chosen: str, expected: list[int]
) -> None:
    start = await here.where()
    for number in (1, 2):
        await publish(shop, number, topic=TOPICS[number - 1])
    async with here.listening(start, events=chosen) as stream:
        told = await stream.events(len(expected) // 2)
        for number in (3, 4):
            await publish(shop, number, topic=TOPICS[number - 3])
        told += await stream.events(len(expected) // 2)
    assert sorted(numbers(told)) == expected
    assert {each.event for each in told} == set(chosen.split(","))


async def test_another_sites_changes_move_the_position_and_are_not_told(
    shop: Shop, here: Place, there: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "QUIET_S", 0.1)
    async with here.listening() as stream, there.listening(site=OTHER, bearer=token(sites=(OTHER,))) as others:
        start = (await stream.next()).id
        await publish(shop, 1, 2, 3, site=OTHER)
        assert numbers(await others.events(3)) == [1, 2, 3]
        while (told := await stream.next()).id == start:
            assert not told.event
        assert (start, told.id) == ("0.0~0.0", "3.0~0.0")
        await publish(shop, 4, partition=1)
        event = await stream.event()
        assert (numbers([event]), event.id) == ([4], "3.1~0.0")


async def test_silence_is_broken_by_where_one_is(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "QUIET_S", 0.1)
    async with here.listening() as stream:
        assert {await stream.next() for _ in range(3)} == {Told("", None, "0.0~0.0")}


# ---------------------------------------------------------------- who may


async def test_who_may_listen(here: Place) -> None:
    for bearer, site, status in (
        ("nonsense", SITE, 401),
        (token("viewer", exp=int(time.time()) - 60), SITE, 401),
        (token("viewer"), OTHER, 403),
        (token("viewer"), SITE, 200),
        (token("platform_admin", ()), OTHER, 200),
    ):
        async with here.asking(bearer=bearer, site=site) as response:
            assert response.status_code == status, (bearer, site)


async def test_a_stream_ends_with_its_token(here: Place) -> None:
    async with here.listening(bearer=token("viewer", exp=time.time() + 2)) as stream:
        began = time.time()
        await stream.until_the_end()
        assert 0 < time.time() - began < 4
    assert not here.backend.stream._listeners


async def test_what_is_malformed_is_422(here: Place) -> None:
    for name, text in (
        *(("last_event_id", wrong) for wrong in WRONG_IDS),
        *(
            ("events", wrong)
            for wrong in ("stock-level", "", "stock-changed,", "stock-changed,x", "\0", "stock-changed\n")
        ),
    ):
        async with here.asking(**{name: text}) as response:
            await response.aread()
            assert (response.status_code, response.json()["code"]) == (422, "malformed"), (name, text)


# ---------------------------------------------------------------- coming back


class Held(Hub):
    """A hub that reads nothing while it is held."""

    go_on: asyncio.Event

    async def _poll(self, consumer: AIOKafkaConsumer) -> Found:
        found = await super()._poll(consumer)
        await self.go_on.wait()
        return found


@pytest.fixture
async def held(shop: Shop) -> AsyncIterator[tuple[Place, Held]]:
    """A process whose hub can be held."""
    async with place(shop.settings) as one:
        hub = one.backend.stream = Held(shop.settings)
        hub.go_on = asyncio.Event()
        async with hub.open():
            yield one, hub


async def test_a_process_that_is_behind_tells_nothing_again(shop: Shop, here: Place, held: tuple[Place, Held]) -> None:
    slow, hub = held
    async with here.listening() as stream:
        await slow.where()
        await publish(shop, *range(5))
        last = (await stream.events(5))[-1].id
    async with slow.listening(last) as stream:
        assert await stream.next() == Told("", None, last)
        hub.go_on.set()
        await publish(shop, 5, 6)
        assert numbers(await stream.events(2)) == [5, 6]


async def test_a_process_that_is_ahead_tells_all_that_was_missed(shop: Shop, here: Place, there: Place) -> None:
    async with there.listening() as ahead:
        async with here.listening() as stream:
            await publish(shop, *range(3))
            last = (await stream.events(3))[1].id
        await publish(shop, *range(3, 1_500))
        await publish(shop, *range(5), site=OTHER)
        assert len(await ahead.events(1_500)) == 1_500
        async with there.listening(last_event_id=last) as stream:
            assert numbers(await stream.events(1_498)) == [*range(2, 1_500)]
            await publish(shop, 1_500)
            told = await stream.events(1)
        assert numbers(told) == [1_500]
        await publish(shop, 1_501)
        await ahead.events(2)
        async with there.listening(told[0].id) as stream:  # by exactly one
            assert numbers(await stream.events(1)) == [1_501]


async def test_what_comes_while_one_catches_up_is_told_too(shop: Shop, here: Place) -> None:
    """In a partition where he was level as well: it is in neither part of what lies between when he begins."""
    hub, told = here.backend.stream, b""
    async with here.listening() as other:
        start = (await other.next()).id
        await publish(shop, 1)
        await other.event()
        listener = await hub.join(SITE, TOPICS, start)

        async def take(text: bytes) -> None:
            nonlocal told
            told += text
            if b'"number": 1}' in text:
                await publish(shop, 2)
                await publish(shop, 3, partition=1)
                await publish(shop, 4, topic=ALERT_LEVEL_CHANGED)
                await other.events(3)

        telling = asyncio.create_task(hub.tell(listener, take))
        try:
            await until(lambda: told.count(b"event: ") >= 4)
            await publish(shop, 5, partition=1)
            await until(lambda: b'"number": 5}' in told)
        finally:
            telling.cancel()
            hub.leave(listener)
            await asyncio.wait([telling])
    assert [told.count(b'"number": %d}' % number) for number in range(1, 6)] == [1] * 5


async def test_one_who_is_too_slow_is_cut_off_and_comes_back(
    shop: Shop, here: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_listener, "WAITING_MAX", 100)
    all_of_them = [*range(500)]
    async with here.listening() as quick, here.listening() as slow:
        await slow.next()
        for at in range(0, 500, 50):
            await publish(shop, *all_of_them[at : at + 50], padding="x" * 20_000)
            assert numbers(await quick.events(50)) == all_of_them[at : at + 50]
        await until(lambda: len(here.backend.stream._listeners[SITE.encode()]) == 1)
        told = await slow.until_the_end()
    assert 0 < len(told) < 500
    async with here.listening(told[-1].id) as stream:
        told += await stream.events(500 - len(told))
    assert numbers(told) == all_of_them


# ---------------------------------------------------------------- what is no more


async def test_what_the_log_has_no_more_is_said_first(shop: Shop, here: Place) -> None:
    start = await here.where()
    await publish(shop, *range(10))
    at = TopicPartition(shop.settings.topic_prefix + STOCK_CHANGED, 0)
    async with admin_of(shop) as admin:
        await admin.delete_records({at: RecordsToDelete(before_offset=4)})
    async with here.listening(start) as stream:
        behind = await stream.event()
        assert behind == Told("behind", {"reason": "expired"}, "4.0~0.0")
        assert numbers(await stream.events(6)) == [*range(4, 10)]


@pytest.mark.parametrize("last", ["1000.0~0.0", "0.0.0~0.0"])
async def test_an_id_of_another_log_is_said_first(shop: Shop, here: Place, last: str) -> None:
    async with here.listening(last) as stream:
        behind = await stream.event()
        assert behind == Told("behind", {"reason": "unknown_id"}, "0.0~0.0")
        await publish(shop, 1)
        assert numbers(await stream.events(1)) == [1]


async def test_topics_that_grow_end_the_streams_and_nothing_is_missed(
    shop: Shop, here: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stock_worker.http.stream_catch_up._SEE_PARTITIONS_MS", 500)
    async with here.listening() as stream:
        await publish(shop, 1)
        last = (await stream.event()).id
        name = shop.settings.topic_prefix + STOCK_CHANGED
        async with admin_of(shop) as admin:
            await admin.create_partitions({name: NewPartitions(3)})
        await stream.until_the_end()
    await publish(shop, 2, partition=2)
    async with here.listening(last) as stream:
        told = await stream.event()
        assert (numbers([told]), told.id) == ([2], "1.0.1~0.0")


async def test_nobody_listening_ends_the_reading(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_ALONE_MAX_S", 0.1)
    last = await here.where()
    await until(lambda: here.backend.stream._consumer is None)
    assert await here.where() == last


# ---------------------------------------------------------------- Kafka is not there


async def test_without_a_broker_it_is_503(database: str) -> None:
    async with serving(database) as api:
        for _ in range(2):
            answer = await api.get("/stream")
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            assert answer.headers["retry-after"] == "1"


async def test_without_the_topics_it_is_503_and_says_so(stack: Stack, database: str, topics: str) -> None:
    async with (
        place(settings_for(stack.kafka_bootstrap, database, topics, jwt_key=KEY)) as one,
        one.asking() as response,
    ):
        await response.aread()
        assert response.status_code == 503
        assert f"{topics}stock-changed" in response.json()["detail"]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_a_broker_that_goes_away_ends_the_streams_and_they_are_gone_on_with(
    own_stack: Stack, database: str, topics: str, how: str
) -> None:
    assert own_stack.kafka
    await make_topics(own_stack.kafka_bootstrap, topics)
    shop = Shop(settings_for(own_stack.kafka_bootstrap, database, topics, jwt_key=KEY))
    async with place(shop.settings) as one:
        async with one.listening() as stream:
            await publish(shop, 1, 2)
            last = (await stream.events(2))[0].id
            await asyncio.to_thread(getattr(own_stack.kafka, how))
            await asyncio.wait_for(stream.until_the_end(), 20)
        async with one.asking(last) as response:
            assert response.status_code == 503
        await asyncio.to_thread(own_stack.kafka.start)
        await until(lambda: _is_answering(one))
        await publish(shop, 3)
        async with one.listening(last) as stream:
            assert numbers(await stream.events(2)) == [2, 3]


async def _is_answering(one: Place) -> bool:
    async with one.asking() as response:
        return response.status_code == 200


# ---------------------------------------------------------------- nothing missed, nothing doubled

CHANGES = 10_000
LINES = 100
ALERTS = 3 * LINES  # each item goes from ok to critical, to low, to ok


@pytest.mark.slow
async def test_ten_thousand_changes_over_reconnects(shop: Shop, here: Place, there: Place) -> None:
    """One who comes back again and again, to one process or the other, is told what the ledger has, once, in order."""
    outlet = outlet_of(shop)
    async with outlet.relaying(), httpx.AsyncClient(base_url=there.address, timeout=60) as client:
        start = await here.where()
        wandering = asyncio.create_task(wander([here, there], start, CHANGES + ALERTS))
        for n in range(0, CHANGES // LINES, 4):
            lines = [{"product_id": product(line), "quantity": 1} for line in range(LINES)]
            await write(client, "/restocks", f"r{n}", {"lines": lines[:20]}, OTHER)
            await asyncio.gather(*(write(client, "/restocks", f"r{n + k}", {"lines": lines}) for k in range(4)))
        told = await asyncio.wait_for(wandering, 30 * busy())
        await outlet.drained()

    assert {each.data["site_id"] for each in told} == {SITE}
    for topic in TOPICS:
        published = values(await outlet.published(topic))
        ours = {key: events for key, events in published.items() if key.startswith(SITE)}
        assert by_product(told, topic) == {key.split("/")[1]: events for key, events in ours.items()}, topic
    heard = {each: [row["version"] for row in rows] for each, rows in by_product(told, STOCK_CHANGED).items()}
    assert heard == {product(line): [*range(1, CHANGES // LINES + 1)] for line in range(LINES)}
    assert await shop.ask("SELECT count(*) FROM stock.movements WHERE site_id = $1", SITE) == CHANGES


async def wander(places: list[Place], last: str, count: int) -> list[Told]:
    """Listen here and there for a while each, until there were so many events."""
    chance, told = random.Random(6), list[Told]()
    while len(told) < count:
        async with chance.choice(places).listening(last) as stream:
            told += await stream.events(min(chance.choice([1, 10, 100, 1_000]), count - len(told)))
            last = told[-1].id
    return told


def by_product(told: list[Told], topic: str) -> dict[str, list[Any]]:
    """The events of one topic by product, as they came."""
    found: dict[str, list[Any]] = defaultdict(list)
    for each in told:
        if each.event == topic:
            found[each.data["product_id"]].append(each.data)
    return found
