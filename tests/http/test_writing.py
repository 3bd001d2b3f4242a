"""Contract rules 2 and 13 at the API's door: many requests share a transaction, and none suffers from another."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest

from stock_worker import handle
from stock_worker.core.model import Command
from stock_worker.http import writing
from tests.http.running import Api, product

NAME = "stock-worker api writer"
ONE = {"type": "restock", "lines": [{"product_id": product(1), "quantity": 1}]}


class Batches(list[int]):
    """How many commands each call of the write path had; `fails` are keys that it has a bug with."""

    fails: frozenset[str] = frozenset()


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> Batches:
    """Watch the write path that the writer calls."""
    seen = Batches()

    async def watched(connection: object, commands: Sequence[Command], *more: object) -> object:
        seen.append(len(commands))
        if any(command.reference.id in seen.fails for command in commands):
            raise ZeroDivisionError("a bug of ours")
        return await handle.handle_batch(connection, commands, *more)  # type: ignore[arg-type] # as it came

    monkeypatch.setattr(writing, "handle_batch", watched)
    return seen


async def _at_once(api: Api, *keys: str) -> list[Any]:
    return await asyncio.gather(*(api.write("/adjustments", ONE, key=key) for key in keys))


async def test_requests_that_come_at_once_share_transactions(api: Api, batches: Batches) -> None:
    answers = await _at_once(api, *(f"k{n}" for n in range(100)))
    assert {answer.status_code for answer in answers} == {200}
    assert sum(batches) == 100
    assert len(batches) < 20
    assert sorted(answer.json()["rows"][0]["new_stock"] for answer in answers) == list(range(1, 101))


async def test_one_key_in_two_requests_at_once_is_booked_once(api: Api) -> None:
    answers = [answer.json() for answer in await _at_once(api, "same", "same", "same")]
    assert Counter(answer["repeated"] for answer in answers) == {False: 1, True: 2}
    assert len({json.dumps(answer["rows"]) for answer in answers}) == 1


async def test_a_bug_with_one_command_fails_that_one_alone(api: Api, batches: Batches) -> None:
    batches.fails = frozenset(["k7"])
    answers = await _at_once(api, *(f"k{n}" for n in range(20)))
    failed = [number for number, answer in enumerate(answers) if answer.status_code != 200]
    assert failed == [7]
    assert (answers[7].status_code, answers[7].json()["code"]) == (500, "internal_error")
    assert "ZeroDivisionError" not in answers[7].text
    batches.fails = frozenset()
    assert (await api.write("/adjustments", ONE, key="k7")).json()["repeated"] is False, "it left no reference"


async def test_a_connection_that_breaks_is_opened_again_and_the_request_does_not_notice(
    api: Api, database: str
) -> None:
    await api.write("/adjustments", ONE)
    owner = await asyncpg.connect(database)
    try:
        await owner.fetch("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1", NAME)
    finally:
        await owner.close()
    answer = await api.write("/adjustments", ONE)
    assert (answer.status_code, answer.json()["rows"][0]["new_stock"]) == (200, 2)


async def test_a_database_that_is_away_is_told_and_waited_for(
    api: Api, monkeypatch: pytest.MonkeyPatch, database: str
) -> None:
    monkeypatch.setattr(writing, "_PATIENCE_S", 0.3)
    await api.write("/adjustments", ONE)
    owner = await asyncpg.connect(database)
    try:
        await owner.execute(f'ALTER DATABASE "{database.rpartition("/")[2]}" CONNECTION LIMIT 0')
        await owner.fetch("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1", NAME)
        answer = await api.write("/adjustments", ONE)
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert answer.headers["retry-after"]
        await owner.execute(f'ALTER DATABASE "{database.rpartition("/")[2]}" CONNECTION LIMIT -1')
    finally:
        await owner.close()
    assert (await api.write("/adjustments", ONE)).status_code == 200


async def test_the_rows_of_an_answer_say_what_the_event_says(api: Api, database: str) -> None:
    answer = await api.write("/restocks", {"lines": [{"product_id": product(1), "quantity": 3, "unit_cost": "1.25"}]})
    (row,) = answer.json()["rows"]
    owner = await asyncpg.connect(database)
    try:
        payload = await owner.fetchval("SELECT payload FROM stock.outbox WHERE topic = 'stock-changed'")
    finally:
        await owner.close()
    event = json.loads(payload)
    assert {name: row[name] for name in event.keys() - {"available"}} == {
        name: value for name, value in event.items() if name != "available"
    }
