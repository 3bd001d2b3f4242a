"""`stock-worker dlt` (contract section 8): from a record that was set aside to one that is applied, on real servers."""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stock_worker.core.topics import ORDER_PLACED, RESTOCK
from tests.flow.commands import Ran, Terminal, names
from tests.flow.running import PARTITIONS, Shop, restock, running

BAD = b'{"site_id": 5}'
HEADERS = [("traceparent", b"00-1"), ("broken", b"\xff"), ("none", None)]


@dataclass
class Desk:
    """A terminal, and the shop whose dead letters are looked at."""

    shop: Shop
    terminal: Terminal

    @property
    def topic(self) -> str:
        """The restocks' topic with the deployment's prefix."""
        return self.shop.settings.topic_prefix + RESTOCK

    async def records(self) -> int:
        """How many restocks were ever sent."""
        return sum([await self.shop.end(partition=number) for number in range(PARTITIONS)])

    def type(self, *words: str, exit_code: int = 0) -> Ran:
        """Type a `dlt` command."""
        ran = self.terminal.type("dlt", *words)
        assert ran.exit_code == exit_code, ran
        assert "Traceback" not in ran.said
        return ran


@pytest.fixture
async def desk(shop: Shop, tmp_path: Path) -> Desk:
    """Two restocks of one reference, the second of other goods, and one that is none: offsets 0, 1, 2."""
    await shop.send(restock("R", 1), restock("R", 2, 7), BAD, headers=HEADERS)
    async with running(shop.settings) as one:
        await one.decided(3)
        assert one.outcomes() == {"applied": 1, "conflict": 1, "malformed": 1}
    return Desk(shop, Terminal(tmp_path, names(shop.settings)))


def cli(desk: Desk, *words: str, exit_code: int = 0) -> "asyncio.Future[Ran]":
    """Type a command in a thread: it runs a loop of its own."""
    return asyncio.ensure_future(asyncio.to_thread(desk.type, *words, exit_code=exit_code))


async def test_list_filters_and_names_each_letter(desk: Desk) -> None:
    malformed, conflict = (await cli(desk, "list", "--json")).json
    assert (malformed["letter"], conflict["letter"]) == (f"{desk.topic}/0/2", f"{desk.topic}/0/1")
    assert (malformed["reason"], malformed["settled_at"]) == ("malformed", None)
    assert (await cli(desk, "list")).lines[1].split("\t")[0] == conflict["letter"]

    async def letters(*words: str) -> list[str]:
        return [line.split("\t")[0][-1] for line in (await cli(desk, "list", *words)).lines]

    assert await letters("--reason", "malformed") == ["2"]
    assert await letters("--topic", RESTOCK, "--topic", ORDER_PLACED) == ["2", "1"]
    assert await letters("--topic", ORDER_PLACED) == []
    assert await letters("--since", "10m") == ["2", "1"]
    assert await letters("--since", "2100-01-01T00:00:00Z") == []
    assert await letters("--limit", "1") == ["2"]


async def test_show_says_what_can_be_done(desk: Desk) -> None:
    shown = (await cli(desk, "show", f"{RESTOCK}/0/1", "--json")).json
    assert shown["value"]["reference_id"] == "R"
    assert shown["key"] == "key"
    assert shown["headers"] == {"traceparent": "00-1", "broken": "\\xff", "none": None}
    assert (shown["can_be_replayed"], shown["words"]) == (True, "as R-replay-1, since R is settled")
    plain = await cli(desk, "show", f"{desk.topic}/0/2")
    assert 'value\t{"site_id": 5}' in plain.lines
    assert "cannot be replayed: it is still malformed: " in plain.said


async def test_replay_is_a_dry_run_until_it_is_meant_and_then_is_applied(desk: Desk) -> None:
    letter = f"{RESTOCK}/0/1"
    dry = await cli(desk, "replay", letter)
    name, words, value = dry.lines[0].split("\t")
    assert (name, words) == (letter, "as R-replay-1, since R is settled")
    assert '"reference_id":"R-replay-1"' in value
    assert dry.said.strip() == "1 would be sent; --yes sends"
    assert await desk.records() == 3, "nothing was sent"
    (sent,) = (await cli(desk, "replay", letter, "--yes", "--by", "Ada", "--json")).json
    assert (sent["refused"], sent["reference_id"], sent["topic"]) == (None, "R-replay-1", desk.topic)
    async with running(desk.shop.settings) as one:
        await one.decided(1)
        assert one.outcomes() == {"applied": 1}
    assert await desk.shop.on_hand(2) == 7
    occurred = "SELECT occurred_at FROM stock.movements WHERE reference_id = 'R-replay-1'"
    kept = 'SELECT to_timestamp(timestamp_ms / 1000.0) FROM stock.dead_letters WHERE "offset" = 1'
    assert await desk.shop.ask(occurred) == await desk.shop.ask(kept), "it tells when it happened, not when it was sent"
    traced = "SELECT header_values[1] FROM stock.outbox WHERE aggregateid LIKE '%R-replay-1' AND header_names[1] = $1"
    assert await desk.shop.ask(traced, "traceparent") == b"00-1"
    assert [line.split("\t")[0] for line in (await cli(desk, "list")).lines] == [f"{desk.topic}/0/2"]
    listed = (await cli(desk, "list", "--settled", "--json")).json
    assert [(each["settled_by"], each["settlement"]) for each in listed] == [
        (None, None),
        ("Ada", "replayed as R-replay-1"),
    ]
    again = await cli(desk, "replay", letter, "--yes", exit_code=1)
    assert again.said.startswith(f"{letter}: it is settled: replayed as R-replay-1 (Ada, ")
    assert await desk.records() == 4


async def test_replay_sends_what_can_go_and_says_why_the_rest_cannot(desk: Desk) -> None:
    letters = [f"{RESTOCK}/0/{offset}" for offset in (1, 2, 9)]
    ran = await cli(desk, "replay", "--yes", *letters, exit_code=1)
    assert [line.split("\t")[0] for line in ran.lines] == letters[:1]
    said = ran.said.splitlines()
    assert said[0].startswith(f"{letters[1]}: it is still malformed: site_id ")
    assert said[1:] == [f"{letters[2]}: there is no dead letter {letters[2]}", "1 sent"]
    results = (await cli(desk, "replay", *letters, "--json", exit_code=1)).json
    assert [bool(each["refused"]) for each in results] == [True, True, True]


async def test_replay_takes_the_name_that_is_given(desk: Desk) -> None:
    letter = f"{RESTOCK}/0/1"
    (planned,) = (await cli(desk, "replay", letter, "--reference-id", "mine", "--json")).json
    assert json.loads(json.dumps(planned["value"]))["reference_id"] == "mine"
    taken = await cli(desk, "replay", letter, "--reference-id", "R", exit_code=1)
    assert taken.said == f"{letter}: R is known already: choose another reference_id\n"


async def test_discard_closes_with_a_reason(desk: Desk) -> None:
    letter = f"{RESTOCK}/0/2"
    done = await cli(desk, "discard", letter, "--reason", "a test of theirs", "--by", "Ada")
    assert (done.lines, done.said) == ([letter], "1 discarded\n")
    shown = (await cli(desk, "show", letter, "--json")).json
    assert (shown["settled_by"], shown["settlement"], shown["value"]) == ("Ada", "a test of theirs", {"site_id": 5})
    again = await cli(desk, "discard", letter, "--reason", "once more", "--json", exit_code=1)
    assert again.json[0]["refused"].startswith("it is settled: a test of theirs (Ada, ")


async def test_a_place_that_was_given_twice_is_named_with_its_time(desk: Desk) -> None:
    await desk.shop.tell(
        'INSERT INTO stock.dead_letters (topic, partition, "offset", timestamp_ms, recorded_at, reason, detail, '
        f"header_names, header_values) VALUES ('{desk.topic}', 0, 2, 5, now(), 'malformed', 'older', '{{}}', '{{}}')"
    )
    ran = await cli(desk, "show", f"{RESTOCK}/0/2", exit_code=1)
    assert ran.said.startswith(f"{RESTOCK}/0/2 is several letters; name one of: {desk.topic}/0/2/5, {desk.topic}/0/2/")
    assert (await cli(desk, "show", f"{RESTOCK}/0/2/5", "--json")).json["detail"] == "older"


USAGE: list[tuple[tuple[str, ...], str]] = [
    (("list", "--reason", "ugly"), "ugly is no reason; one of: malformed, "),
    (("list", "--topic", "stock-level"), "stock-level is no topic that this command takes"),
    (("list", "--since", "yesterday"), "--since yesterday is neither an age"),
    (("list", "--limit", "0"), "limit"),
    (("show", "restock-1"), "restock-1 is no TOPIC/PARTITION/OFFSET"),
    (("replay",), "LETTER"),
    (("replay", "restock/0/1", "restock/0/2", "--reference-id", "x"), "--reference-id is for one letter"),
    (("discard", "restock/0/1"), "--reason"),
    (("discard", "restock/0/1", "--reason", " "), "reason must not be empty"),
]


@pytest.mark.parametrize(("words", "said"), USAGE, ids=[" ".join(words) for words, _ in USAGE])
def test_what_is_typed_wrongly_ends_with_2_and_asks_nobody(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    nowhere: dict[str, Any] = {
        "STOCK_KAFKA_BOOTSTRAP": "127.0.0.1:1",
        "STOCK_DATABASE_URL": "postgresql://a:b@127.0.0.1:1/c",
    }
    ran = Terminal(tmp_path, nowhere).type("dlt", *words)
    assert (ran.exit_code, ran.given) == (2, ""), ran
    assert said in ran.said
