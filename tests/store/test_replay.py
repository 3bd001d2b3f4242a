"""Dead letters that go back, or are closed (contract section 8, `dlt`): what goes, under which name, and only once."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from stock_worker import replay
from stock_worker.core.model import Command, Malformed, Record
from stock_worker.core.refusals import Code
from stock_worker.core.topics import command_topic_of
from stock_worker.handle import Policy, end_parked, handle_batch
from stock_worker.replay import Replay
from stock_worker.store.dead_letters import Letter, find, list_letters
from stock_worker.store.engine import connect
from stock_worker.store.load import overdue
from stock_worker.store.steering.refused import Refused, Why
from stock_worker.wire.decode import decode
from tests.store.records import SITE, line, product, record

TRACE = (("traceparent", b"00-1"), ("broken", b"\xff"), ("none", None))
FOR_EVER = timedelta(days=9_999)


@dataclass
class Desk:
    """Where somebody settles dead letters: a worker's connection, and what was sent."""

    worker: asyncpg.Connection
    sent: list[Record] = field(default_factory=list)

    async def produce(self, sending: Record) -> None:
        """Take what is sent, in the place of Kafka."""
        self.sent.append(sending)

    async def handle(self, *records: Record) -> list[str]:
        """Decode and apply records as the worker does; gives what became of each."""
        batch = [decode(each, command_topic_of(each.topic)) for each in records]
        return [outcome.kind.value for outcome in await handle_batch(self.worker, batch, Policy())]

    async def letter(self, of: Record) -> Letter:
        """Find the letter of a record."""
        (found,) = await find(self.worker, [of.topic], of.partition, of.offset, None)
        return found

    async def plan(self, of: Record, reference_id: str | None = None) -> Replay | Refused:
        """Plan the replay of a record."""
        return await replay.plan(self.worker, await self.letter(of), reference_id=reference_id)

    async def send(self, of: Record, reference_id: str | None = None) -> Replay:
        """Plan it and send it."""
        planned = await self.plan(of, reference_id)
        assert isinstance(planned, Replay), planned
        assert await replay.send(self.worker, planned, "Ada", self.produce) is None
        return planned

    async def settlements(self) -> list[tuple[str | None, str | None]]:
        """Who settled each letter, and how."""
        found = await list_letters(self.worker, settled_too=True, limit=100)
        return [(each.settlement and each.settlement.by, each.settlement and each.settlement.words) for each in found]


@pytest_asyncio.fixture
async def desk(database: str) -> AsyncIterator[Desk]:
    connection = await connect(database, "stock_worker")
    yield Desk(connection)
    await connection.close()


def restock(reference_id: str, quantity: int = 5) -> Record:
    """A delivery, with a key, headers and a time of its own."""
    return record("restock", {"reference_id": reference_id, "lines": [line("a", quantity)]}, TRACE)


def again(sent: Record) -> Record:
    """What was sent, as it arrives."""
    return sent._replace(offset=1_000_000 + sent.offset)


async def on_hand(desk: Desk) -> int:
    return await desk.worker.fetchval("SELECT coalesce(sum(on_hand), 0) FROM stock.items")


# ---------------------------------------------------------------- what goes, and under which name


async def test_8_a_letter_without_a_reference_goes_as_it_came(desk: Desk) -> None:
    """What the database could not take left none; the bug is mended, and it goes back."""
    bad = restock("R")
    await handle_batch(desk.worker, [Malformed(bad, "met a bug", Code.INTERNAL_ERROR)], Policy())
    planned = await desk.send(bad)
    assert (planned.was, planned.reference_id) == ("R", "R")
    assert desk.sent == [bad], "key, value, headers, time: all of it"
    assert await desk.settlements() == [("Ada", "replayed as R")]
    assert await desk.handle(again(bad)) == ["applied"]


async def test_8_what_conflicted_goes_under_a_new_name_and_the_first_stands(desk: Desk) -> None:
    first, other, third = restock("R"), restock("R", 7), restock("R", 9)
    assert await desk.handle(first, other, third) == ["applied", "conflict", "conflict"]
    planned = await desk.send(other)
    assert (planned.was, planned.reference_id) == ("R", "R-replay-1")
    (sent,) = desk.sent
    assert sent == other._replace(value=sent.value)
    assert json.loads(sent.value or b"") == json.loads(other.value or b"") | {"reference_id": "R-replay-1"}
    assert await desk.handle(again(sent)) == ["applied"]
    assert await on_hand(desk) == 12
    assert (await desk.send(third)).reference_id == "R-replay-2"


async def test_8_of_two_that_go_at_once_none_takes_the_others_name(desk: Desk) -> None:
    first, other, third = restock("R"), restock("R", 7), restock("R", 9)
    await desk.handle(first, other, third)
    planned = await desk.plan(other)
    assert isinstance(planned, Replay)
    assert planned.reference_id is not None
    beside = await replay.plan(desk.worker, await desk.letter(third), taken={planned.reference_id})
    assert isinstance(beside, Replay)
    assert beside.reference_id == "R-replay-2"


async def test_8_what_waited_in_vain_goes_under_a_new_name_once_its_order_is_there(desk: Desk) -> None:
    lines = [{"line_id": "1", "quantity": 1}]
    early = record("order-fulfilled", {"reference_id": "F", "order_id": "O", "lines": lines})
    assert await desk.handle(restock("R"), early) == ["applied", "parked"]
    waiting = await overdue(desk.worker, datetime.now(UTC) + FOR_EVER, 10)
    await end_parked(desk.worker, Policy(), waiting)
    assert (await desk.letter(early)).entry.reason == "order_never_placed"
    await desk.handle(record("order-placed", {"order_id": "O", "lines": [line("a", 1)]}))
    assert (await desk.send(early)).reference_id == "F-replay-1"
    assert await desk.handle(again(desk.sent[0])) == ["applied"]
    assert await desk.worker.fetchval("SELECT fulfilled FROM stock.order_lines") == 1


@pytest.mark.parametrize(
    ("topic", "fields", "reference_id"),
    [
        ("order-placed", {"order_id": "O", "lines": [line("a", 1)]}, "O-replay-1"),
        ("order-cancelled", {"order_id": "O"}, "O-replay-1"),
        ("restock", {"reference_id": "x" * 128, "lines": [line("a", 1)]}, "x" * 119 + "-replay-1"),
    ],
    ids=["an order's own id", "an order's own id, cancelled", "a long one is cut"],
)
async def test_8_the_new_name_is_made_of_the_old(
    desk: Desk, topic: str, fields: dict[str, Any], reference_id: str
) -> None:
    told = record(topic, fields)
    command = decode(told, topic)
    assert isinstance(command, Command)
    await desk.worker.execute(
        'INSERT INTO stock."references" (site_id, decided_at, fingerprint_version, type, id, source, outcome, '
        "fingerprint, movements) VALUES ($1, now(), 1, $2, $3, 'cli', 'applied', $4, '{}')",
        *command.reference,
        bytes(16),
    )
    assert await desk.handle(told) == ["conflict"]
    assert (await desk.send(told)).reference_id == reference_id
    sent = decode(desk.sent[0], topic)
    assert isinstance(sent, Command)
    assert (sent.reference.id, sent.order_id, sent.lines) == (reference_id, command.order_id, command.lines)


async def test_8_the_catalogs_records_go_without_a_name(desk: Desk) -> None:
    fields = {"product_id": product("a"), "name": "Mug", "status": "active", "revision": 1}
    told = record("product-changed", fields)._replace(key=f"{SITE}/{product('a')}/".encode())
    await handle_batch(desk.worker, [Malformed(told, "met a bug", Code.INTERNAL_ERROR)], Policy())
    named = await desk.plan(told, "R")
    assert named == Refused(Why.MALFORMED, "a record of the catalog has no reference_id")
    assert (await desk.send(told)).reference_id is None
    assert desk.sent == [told]
    assert await desk.settlements() == [("Ada", "replayed")]


async def test_8_somebody_may_choose_the_name(desk: Desk) -> None:
    first, other = restock("R"), restock("R", 7)
    await desk.handle(first, other, restock("S"))
    assert await desk.plan(other, "S") == Refused(Why.KNOWN, "S is known already: choose another reference_id")
    wrong = Refused(Why.MALFORMED, "reference_id must be 1 to 128 characters on one line")
    for name in ("", "x" * 129, "a\nb"):
        assert await desk.plan(other, name) == wrong
    assert (await desk.send(other, "mine")).words == "replayed as mine"


# ---------------------------------------------------------------- what does not go


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (b"{", "it is still malformed: the value is not JSON: "),
        (b"{}", "it is still malformed: "),
        (None, "it is still malformed: the record has no value"),
    ],
)
async def test_8_what_is_malformed_still_is_and_the_decoder_says_why(
    desk: Desk, value: bytes | None, words: str
) -> None:
    bad = record("restock", value)
    assert await desk.handle(bad) == ["malformed"]
    refused = await desk.plan(bad)
    assert isinstance(refused, Refused)
    assert (refused.why, refused.message[: len(words)]) == (Why.UNFIT, words)
    assert await desk.settlements() == [(None, None)]


async def test_8_what_was_taken_meanwhile_is_not_taken_twice(desk: Desk) -> None:
    bad = restock("R")
    await handle_batch(desk.worker, [Malformed(bad, "met a bug", Code.INTERNAL_ERROR)], Policy())
    assert await desk.handle(again(bad)) == ["applied"]
    assert await desk.plan(bad) == Refused(Why.KNOWN, "it has been taken meanwhile: R is applied")
    assert isinstance(await desk.plan(bad, "R2"), Replay), "who insists names it"


async def test_8_what_waits_for_its_order_is_not_sent_beside_it(desk: Desk) -> None:
    early = record(
        "order-fulfilled", {"reference_id": "F", "order_id": "O", "lines": [{"line_id": "1", "quantity": 1}]}
    )
    await handle_batch(desk.worker, [Malformed(early, "met a bug", Code.INTERNAL_ERROR)], Policy())
    assert await desk.handle(again(early)) == ["parked"]
    assert await desk.plan(early) == Refused(Why.KNOWN, "it has been taken meanwhile: F is parked")


async def test_8_a_replay_that_was_sent_and_not_settled_is_not_sent_again(desk: Desk) -> None:
    """The database was lost between the two: the letter looks as before, and its command has been applied."""
    first, other = restock("R"), restock("R", 7)
    await desk.handle(first, other)
    planned = await desk.plan(other)
    assert isinstance(planned, Replay)
    assert await desk.handle(again(planned.record)) == ["applied"]
    assert await desk.plan(other) == Refused(Why.KNOWN, "it has been sent again before: R-replay-1 is applied")


async def test_8_nothing_is_settled_that_could_not_be_sent(desk: Desk) -> None:
    async def fail(_: Record) -> None:
        raise ConnectionError("no broker")

    bad = restock("R")
    await handle_batch(desk.worker, [Malformed(bad, "met a bug", Code.INTERNAL_ERROR)], Policy())
    planned = await desk.plan(bad)
    assert isinstance(planned, Replay)
    with pytest.raises(ConnectionError):
        await replay.send(desk.worker, planned, "Ada", fail)
    assert await desk.settlements() == [(None, None)]


# ---------------------------------------------------------------- settled


async def test_8_a_letter_is_settled_once(desk: Desk) -> None:
    bad, other = restock("R"), restock("S")
    for each in (bad, other):
        await handle_batch(desk.worker, [Malformed(each, "met a bug", Code.INTERNAL_ERROR)], Policy())
    planned = await desk.plan(bad)
    assert isinstance(planned, Replay)
    assert await replay.discard(desk.worker, await desk.letter(bad), "Ada", "a test of ours") is None
    refusals = [
        await desk.plan(bad),
        await replay.send(desk.worker, planned, "Bob", desk.produce),
        await replay.discard(desk.worker, await desk.letter(bad), "Bob", "another reason"),
    ]
    for refused in refusals:
        assert isinstance(refused, Refused)
        assert refused.why is Why.SETTLED
        assert refused.message.startswith("it is settled: a test of ours (Ada, 2")
    assert desk.sent == []
    assert sorted(await desk.settlements(), key=str) == [("Ada", "a test of ours"), (None, None)]
    left = await list_letters(desk.worker, limit=100)
    assert [each.position.offset for each in left] == [other.offset]


@pytest.mark.parametrize(("by", "reason"), [("", "why"), ("Ada", " "), ("Ada", "x" * 501), ("A\x00", "why")])
async def test_8_who_and_why_are_said(desk: Desk, by: str, reason: str) -> None:
    bad = restock("R")
    await handle_batch(desk.worker, [Malformed(bad, "met a bug", Code.INTERNAL_ERROR)], Policy())
    refused = await replay.discard(desk.worker, await desk.letter(bad), by, reason)
    assert isinstance(refused, Refused)
    assert refused.why is Why.MALFORMED
    assert await desk.settlements() == [(None, None)]


async def test_8_letters_are_listed_newest_first_by_what_is_asked(desk: Desk) -> None:
    malformed, other = record("restock", b"{"), record("order-placed", b"{")
    await desk.handle(malformed)
    await desk.handle(other, restock("R"))
    conflicting = restock("R", 7)
    await desk.handle(conflicting)

    async def offsets(**asked: Any) -> list[int]:  # noqa: ANN401 - filters
        return [each.position.offset for each in await list_letters(desk.worker, **{"limit": 100, **asked})]

    newest_first = [conflicting.offset, other.offset, malformed.offset]
    assert await offsets() == newest_first
    assert await offsets(limit=2) == newest_first[:2]
    assert await offsets(topics=["restock"]) == [conflicting.offset, malformed.offset]
    assert await offsets(topics=["restock", "order-placed"]) == newest_first
    assert await offsets(reason="malformed") == [other.offset, malformed.offset]
    (second,) = [each.recorded_at for each in await list_letters(desk.worker, topics=["order-placed"], limit=1)]
    assert await offsets(since=second) == newest_first[:2]
    (entry,) = await list_letters(desk.worker, reason="reference_conflict", limit=1)
    assert (entry.site_id, entry.position.text) == (SITE, f"restock/0/{conflicting.offset}")
