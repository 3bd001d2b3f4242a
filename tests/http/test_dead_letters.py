"""Contract section 7, dead letters: list, show, replay (dry run first), discard; rule 13: a letter stays whole."""

import base64
import itertools
import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, TopicPartition

from stock_worker.core.model import Malformed, Record
from stock_worker.core.refusals import Code
from stock_worker.core.topics import RESTOCK
from stock_worker.devstack import Stack
from stock_worker.handle import Policy, handle_batch
from stock_worker.wire.decode import decode
from tests.flow.running import PARTITIONS, make_topics
from tests.http.own_site import own_site
from tests.http.running import Api, product, serving, token

OFFSETS = itertools.count()
STAMP = 1_772_366_400_000
HEADERS = (("traceparent", b"00-1"), ("broken", b"\xff"), ("none", None))
OPERATOR = token("platform_admin", ())


class Served(NamedTuple):
    """The API, and the prefix of its topics, which exist."""

    api: Api
    prefix: str


@pytest_asyncio.fixture(scope="module")
async def served(stack: Stack, module_database: str) -> AsyncIterator[Served]:
    prefix = f"{module_database.rsplit('_', 1)[-1]}-"
    await make_topics(stack.kafka_bootstrap, prefix)
    async with serving(module_database, kafka_bootstrap=stack.kafka_bootstrap, topic_prefix=prefix) as api:
        yield Served(api, prefix)


@pytest.fixture
def api(served: Served) -> Api:
    """The API, and a site of which nothing is known."""
    return own_site(served.api)


@pytest.fixture
def topic(served: Served) -> str:
    """The restocks' topic with the deployment's prefix."""
    return served.prefix + RESTOCK


def restock(api: Api, topic: str, reference_id: str, quantity: int) -> Record:
    lines = [{"product_id": product(1), "quantity": quantity}]
    value = json.dumps({"site_id": api.site_id, "reference_id": reference_id, "lines": lines}).encode()
    return Record(topic, 0, next(OFFSETS), STAMP, b"key", value, HEADERS)


async def handle(api: Api, *entries: Record | Malformed) -> list[str]:
    """Apply records as the worker does; gives what became of each."""
    batch = [decode(each, RESTOCK) if isinstance(each, Record) else each for each in entries]
    outcomes = await api.backend.steer(lambda connection: handle_batch(connection, batch, Policy()))
    return [each.kind.value for each in outcomes]


async def conflicts(api: Api, topic: str, count: int = 1) -> list[Record]:
    """One delivery of reference R, and others that say something else under its name: dead letters of the site."""
    letters = [restock(api, topic, "R", 2 + n) for n in range(count)]
    assert await handle(api, restock(api, topic, "R", 1), *letters) == ["applied", *["conflict"] * count]
    return letters


async def malformed(api: Api, topic: str) -> Record:
    """A record whose site cannot be read."""
    bad = Record(topic, 1, next(OFFSETS), STAMP, None, b"\xffnot JSON", ())
    assert await handle(api, bad) == ["malformed"]
    return bad


def path_of(record: Record) -> str:
    return f"/dead-letters/{record.topic}/{record.partition}/{record.offset}/{record.timestamp_ms}"


async def operate(
    api: Api, method: str, path: str, bearer: str | None = OPERATOR, *, json: object = None
) -> httpx.Response:
    """Ask for the letters of all sites."""
    headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
    return await api.client.request(method, path, headers=headers, json=json)


def raw(value: bytes | None, text: str | None) -> dict[str, str | None] | None:
    return None if value is None else {"text": text, "base64": base64.b64encode(value).decode()}


async def offsets(api: Api, **query: Any) -> list[int]:  # noqa: ANN401 - parameters of any kind
    answer = await api.get("/dead-letters", bearer=api.token("viewer"), **query)
    assert answer.status_code == 200, answer.text
    return [each["offset"] for each in answer.json()["dead_letters"]]


async def sent(stack: Stack, topic: str) -> list[Any]:
    """All records that a topic has."""
    consumer = AIOKafkaConsumer(bootstrap_servers=stack.kafka_bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        parts = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        consumer.assign(parts)
        ends = await consumer.end_offsets(parts)
        found: list[Any] = []
        while len(found) < sum(ends.values()):
            for records in (await consumer.getmany(timeout_ms=1_000)).values():
                found += records
        return found
    finally:
        await consumer.stop()


# ---------------------------------------------------------------- look


async def test_a_site_lists_the_letters_that_name_it_the_newest_first(api: Api, topic: str) -> None:
    first, second = await conflicts(api, topic, 2)
    await malformed(api, topic)
    await conflicts(own_site(api), topic)
    told = (await api.get("/dead-letters")).json()
    assert [each["offset"] for each in told["dead_letters"]] == [second.offset, first.offset]
    assert (told["next_cursor"], told["total"], told["total_is_exact"]) == (None, 2, True)
    letter = told["dead_letters"][1]
    assert letter == {
        "topic": topic,
        "partition": 0,
        "offset": first.offset,
        "timestamp_ms": STAMP,
        "recorded_at": letter["recorded_at"],
        "site_id": api.site_id,
        "reason": "reference_conflict",
        "detail": letter["detail"],
        "settlement": None,
    }


async def test_filters(api: Api, topic: str) -> None:
    first, second = await conflicts(api, topic, 2)
    await api.ask("POST", f"{path_of(first)}/discard", json={"reason": "a test"})
    assert await offsets(api) == await offsets(api, settled="false") == [second.offset]
    assert await offsets(api, settled="true") == [first.offset]
    assert await offsets(api, settled="all") == [second.offset, first.offset]
    assert await offsets(api, settled="all", reason="reference_conflict") == [second.offset, first.offset]
    assert await offsets(api, settled="all", reason="malformed") == []
    assert await offsets(api, settled="all", topic=topic) == [second.offset, first.offset]
    assert await offsets(api, settled="all", topic=RESTOCK) == [], "a topic is named whole"


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
async def test_cursors_join_to_the_whole_though_all_have_one_time(api: Api, topic: str, limit: int) -> None:
    letters = await conflicts(api, topic, 7)
    found: list[int] = []
    cursor, pages = None, 0
    while pages == 0 or cursor is not None:
        page = (await api.get("/dead-letters", limit=limit, cursor=cursor)).json()
        assert (page["total"], len(page["dead_letters"]) <= limit) == (7, True)
        found += [each["offset"] for each in page["dead_letters"]]
        cursor, pages = page["next_cursor"], pages + 1
    assert found == [each.offset for each in reversed(letters)]
    assert pages == -(-7 // limit)


@pytest.mark.parametrize(
    "query",
    [
        {"cursor": "x"},
        {"cursor": "é"},
        {"cursor": "\x00"},
        {"cursor": ""},
        {"cursor": base64.urlsafe_b64encode(b"[1,2,3,4,5]").decode()},
        {"cursor": base64.urlsafe_b64encode(b'[1,"a\\u0000",3,4,5]').decode()},
        {"cursor": base64.urlsafe_b64encode(b'[99999999999999999999,"a",3,4,5]').decode()},
        {"cursor": base64.urlsafe_b64encode(b'[1,"a",3,4,99999999999999999999]').decode()},
        {"limit": 0},
        {"limit": 201},
        {"reason": "bad"},
        {"settled": "perhaps"},
        {"topic": "a\x00"},
        {"topic": "a b"},
    ],
)
async def test_a_query_that_does_not_fit_is_422(api: Api, query: dict) -> None:
    answer = await api.get("/dead-letters", **query)
    assert (answer.status_code, answer.json()["code"]) == (422, "malformed"), answer.text


async def test_a_letter_is_told_whole(api: Api, topic: str) -> None:
    (letter,) = await conflicts(api, topic)
    told = (await api.get(path_of(letter), bearer=api.token("viewer"))).json()
    assert letter.value is not None
    assert (told["key"], told["value"]) == (raw(b"key", "key"), raw(letter.value, letter.value.decode()))
    assert told["headers"] == [
        {"name": "traceparent", "value": raw(b"00-1", "00-1")},
        {"name": "broken", "value": raw(b"\xff", None)},
        {"name": "none", "value": None},
    ]
    assert (told["offset"], told["settlement"]) == (letter.offset, None)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("restock/0/99999/1", 404),
        ("restock/0/-1/1", 422),
        (f"restock/{2**31}/1/1", 422),
        (f"restock/0/{2**63}/1", 422),
        (f"restock/0/1/{2**63}", 422),
        ("restock/0/1/x", 422),
        (f"{quote(chr(0))}/0/1/1", 422),
        ("%ED%A0%80/0/1/1", 422),
    ],
)
async def test_what_is_no_letter(api: Api, path: str, status: int) -> None:
    assert (await api.get(f"/dead-letters/{path}")).status_code == status
    for action, body in (("replay", {}), ("discard", {"reason": "x"})):
        answer = await api.ask("POST", f"/dead-letters/{path}/{action}", json=body)
        assert answer.status_code == status, answer.text
    assert (await operate(api, "GET", f"/dead-letters/{path}")).status_code == status


# ---------------------------------------------------------------- send again


async def test_a_dry_run_says_what_would_be_sent_and_sends_nothing(api: Api, topic: str) -> None:
    (letter,) = await conflicts(api, topic)
    told = (await api.ask("POST", f"{path_of(letter)}/replay")).json()
    assert (told["sent"], told["topic"]) == (False, topic)
    assert (told["was"], told["reference_id"]) == ("R", "R-replay-1")
    assert json.loads(told["value"]["text"])["reference_id"] == "R-replay-1"
    for body in ({}, {"dry_run": True}):
        assert (await api.ask("POST", f"{path_of(letter)}/replay", json=body)).json() == told
    named = await api.ask("POST", f"{path_of(letter)}/replay", json={"reference_id": "S"})
    assert named.json()["reference_id"] == "S"
    assert (await api.get(path_of(letter))).json()["settlement"] is None


async def test_what_is_replayed_comes_as_it_was_under_a_new_name_and_once(api: Api, topic: str, stack: Stack) -> None:
    (letter,) = await conflicts(api, topic)
    before = len(await sent(stack, topic))
    answer = await api.ask("POST", f"{path_of(letter)}/replay", json={"dry_run": False})
    assert (answer.status_code, answer.json()["sent"], answer.json()["reference_id"]) == (200, True, "R-replay-1")
    found = [each for each in await sent(stack, topic) if json.loads(each.value)["site_id"] == api.site_id]
    (record,) = found
    assert (record.key, record.timestamp, tuple(record.headers)) == (b"key", STAMP, HEADERS)
    assert json.loads(record.value) == json.loads(letter.value or b"") | {"reference_id": "R-replay-1"}
    settlement = (await api.get(path_of(letter))).json()["settlement"]
    assert (settlement["by"], settlement["words"]) == ("Ada", "replayed as R-replay-1")
    again = await api.ask("POST", f"{path_of(letter)}/replay", json={"dry_run": False})
    assert (again.status_code, again.json()["why"]) == (409, "settled")
    assert len(await sent(stack, topic)) == before + 1


async def test_a_reference_that_is_known_is_a_conflict(api: Api, topic: str) -> None:
    first, second = await conflicts(api, topic, 2)
    assert await handle(api, restock(api, topic, "S", 99)) == ["applied"]
    answer = await api.ask("POST", f"{path_of(first)}/replay", json={"reference_id": "S"})
    assert (answer.status_code, answer.json()["code"], answer.json()["why"]) == (409, "conflict", "known")
    assert (await api.ask("POST", f"{path_of(second)}/replay", json={"reference_id": "T"})).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b'{"dry_run": 1}',
        b'{"dry_run": null}',
        b'{"reference_id": ""}',
        b'{"reference_id": "a\\u0000"}',
        b'{"reference_id": "\\ud800"}',
        b'{"reference_id": "' + b"x" * 129 + b'"}',
        b'{"yes": true}',
        b"[]",
    ],
)
async def test_what_asks_for_no_replay_is_422(api: Api, topic: str, body: bytes) -> None:
    (letter,) = await conflicts(api, topic)
    headers = {"Content-Type": "application/json"}
    answer = await api.ask("POST", f"{path_of(letter)}/replay", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "malformed")


async def test_a_letter_whose_topic_is_gone_stays_open(api: Api) -> None:
    (letter,) = await conflicts(api, f"gone-{RESTOCK}")
    answer = await api.ask("POST", f"{path_of(letter)}/replay", json={"dry_run": False})
    assert (answer.status_code, answer.json()["why"]) == (409, "no_topic")
    assert (await api.get(path_of(letter))).json()["settlement"] is None


async def test_without_kafka_a_letter_stays_open_and_is_said_so(module_database: str, served: Served) -> None:
    """The stock itself can still be read and written: Kafka is asked for by a replay alone."""
    async with serving(module_database, kafka_bootstrap="127.0.0.1:1") as cut_off:
        api = own_site(cut_off)
        (letter,) = await conflicts(api, served.prefix + RESTOCK)
        answer = await api.ask("POST", f"{path_of(letter)}/replay", json={"dry_run": False})
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert (await api.get(path_of(letter))).json()["settlement"] is None
        await api.stock()


# ---------------------------------------------------------------- close


async def test_a_letter_is_discarded_once_with_a_reason(api: Api, topic: str) -> None:
    (letter,) = await conflicts(api, topic)
    told = (await api.ask("POST", f"{path_of(letter)}/discard", json={"reason": "a test order"})).json()
    assert (told["settlement"]["by"], told["settlement"]["words"]) == ("Ada", "a test order")
    for path, body in (("discard", {"reason": "again"}), ("replay", {}), ("replay", {"dry_run": False})):
        answer = await api.ask("POST", f"{path_of(letter)}/{path}", json=body)
        assert (answer.status_code, answer.json()["why"]) == (409, "settled")
    whole = (await api.get(path_of(letter))).json()
    assert {name: whole[name] for name in told} == told
    assert base64.b64decode(whole["value"]["base64"]) == letter.value, "it is kept"


@pytest.mark.parametrize(
    "body", [{}, {"reason": ""}, {"reason": " "}, {"reason": "a\x00"}, {"reason": "x" * 501}, {"reason": None}, []]
)
async def test_a_discard_needs_a_reason(api: Api, topic: str, body: object) -> None:
    (letter,) = await conflicts(api, topic)
    answer = await api.ask("POST", f"{path_of(letter)}/discard", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "malformed")
    assert (await api.get(path_of(letter))).json()["settlement"] is None


# ---------------------------------------------------------------- who may


async def test_an_operator_has_the_letters_of_all_and_of_no_site(api: Api, topic: str) -> None:
    (mine,), (theirs,), nobodys = (
        await conflicts(api, topic), await conflicts(own_site(api), topic), await malformed(api, topic)
    )  # fmt: skip
    page = (await operate(api, "GET", "/dead-letters?limit=3")).json()
    assert [each["offset"] for each in page["dead_letters"]] == [nobodys.offset, theirs.offset, mine.offset]
    assert [each["site_id"] for each in page["dead_letters"]][::2] == [None, api.site_id]
    whole = (await operate(api, "GET", path_of(nobodys))).json()
    assert (whole["key"], whole["value"]) == (None, raw(nobodys.value, None))
    stays = await operate(api, "POST", f"{path_of(nobodys)}/replay", json={})
    assert (stays.status_code, stays.json()["why"]) == (409, "unfit"), "it would die again"
    closed = await operate(api, "POST", f"{path_of(nobodys)}/discard", json={"reason": "noise"})
    assert closed.json()["settlement"]["words"] == "noise"
    assert (await operate(api, "POST", f"{path_of(theirs)}/replay", json={})).json()["reference_id"] == "R-replay-1"
    for hidden in (theirs, nobodys):
        for method, action, body in (("GET", "", None), ("POST", "/replay", {}), ("POST", "/discard", {"reason": "x"})):
            answer = await api.ask(method, f"{path_of(hidden)}{action}", bearer=OPERATOR, json=body)
            assert answer.status_code == 404, "below a site there are the site's letters, whoever asks"


async def test_a_bug_that_is_mended_lets_a_letter_go_as_it_came(api: Api, topic: str) -> None:
    bad = restock(api, topic, "B", 5)
    assert await handle(api, Malformed(bad, "met a bug", Code.INTERNAL_ERROR)) == ["failed"]
    told = (await operate(api, "POST", f"{path_of(bad)}/replay", json={"dry_run": False})).json()
    assert (told["sent"], told["was"], told["reference_id"]) == (True, "B", "B")
    assert bad.value is not None
    assert told["value"] == raw(bad.value, bad.value.decode())


@pytest.mark.parametrize(
    ("method", "action", "body"),
    [("GET", "", None), ("POST", "/replay", {}), ("POST", "/discard", {"reason": "x"})],
)
async def test_who_may(api: Api, topic: str, method: str, action: str, body: object) -> None:
    (letter,) = await conflicts(api, topic)
    path, writes = f"{path_of(letter)}{action}", method == "POST"
    stranger = token("org_admin", (own_site(api).site_id,))
    for bearer, here, everywhere in (
        (None, 401, 401),
        (stranger, 403, 403),
        (api.token("viewer"), 403 if writes else 200, 403),
        (api.token("org_admin"), 200, 403),
    ):
        assert (await operate(api, method, path, bearer=bearer, json=body)).status_code == everywhere
        assert (await api.ask(method, path, bearer=bearer, json=body)).status_code == here
    assert (await operate(api, "GET", "/dead-letters", bearer=api.token("org_admin"))).status_code == 403


async def test_a_letter_of_another_site_of_the_same_person_is_not_found_below_this_one(api: Api, topic: str) -> None:
    other = own_site(api)
    (theirs,) = await conflicts(other, topic)
    both = token("org_admin", (api.site_id, other.site_id))
    assert (await api.get(path_of(theirs), bearer=both)).status_code == 404
    assert (await api.get("/dead-letters", bearer=both)).json()["dead_letters"] == []
    assert (await api.ask("POST", f"{path_of(theirs)}/discard", bearer=both, json={"reason": "x"})).status_code == 404
