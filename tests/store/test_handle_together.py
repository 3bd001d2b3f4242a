"""Two batches that meet, and one that is decided twice: rules 1 and 2 where nobody is alone.

The owner of the tables holds a lock that both batches need, until both wait: who has read what by then is not luck.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg
import pytest
import pytest_asyncio

from stock_worker.core.model import Entry, Outcome
from stock_worker.faults import RetryNow, reaction
from stock_worker.handle import Policy, handle_batch
from stock_worker.store.engine import connect
from tests.flow.running import until
from tests.store.records import line, message
from tests.store.waiting import THE_LEDGER, are_waiting

Batch = Sequence[Entry]


@dataclass
class Meeting:
    """Two workers, and the owner who lets them meet."""

    workers: tuple[asyncpg.Connection, asyncpg.Connection]
    owner: asyncpg.Connection

    async def before(self, *batch: Entry) -> None:
        """Apply what happened before."""
        await handle_batch(self.workers[0], batch, Policy())

    async def apply(self, lock: str, *batches: Batch) -> tuple[list[list[Outcome] | BaseException], datetime]:
        """Apply one batch a worker at the same time; gives what each says, and the moment when the lock was let go."""
        transaction = self.owner.transaction()
        await transaction.start()
        await self.owner.execute(lock)
        applying = []
        for number, (worker, batch) in enumerate(zip(self.workers, batches, strict=True), 1):
            applying.append(asyncio.create_task(handle_batch(worker, batch, Policy())))
            await until(lambda number=number: are_waiting(self.owner, number))  # type: ignore[misc] # it takes no argument
        released_at: datetime = await self.owner.fetchval("SELECT clock_timestamp()")
        await transaction.rollback()
        return await asyncio.gather(*applying, return_exceptions=True), released_at


@pytest_asyncio.fixture
async def meeting(database: str) -> AsyncIterator[Meeting]:
    connections = [await connect(database, role) for role in ("stock_worker", "stock_worker", None)]
    yield Meeting((connections[0], connections[1]), connections[2])
    for connection in connections:
        await connection.close()


def said(outcomes: Sequence[list[Outcome] | BaseException]) -> list[list[str] | str]:
    """What became of each batch, as text."""
    return [
        f"{type(each).__name__}: {each}"
        if isinstance(each, BaseException)
        else [outcome.kind.value for outcome in each]
        for each in outcomes
    ]


async def test_rule_1_of_two_meanings_that_one_reference_is_given_at_once_one_stands(meeting: Meeting) -> None:
    """They share no lock, so neither finds the other when it looks; the key of the references is the backstop."""
    await meeting.before(message("restock", reference_id="opening", lines=[line("a", 1), line("b", 1)]))
    meanings = [[message("restock", reference_id="R", lines=[line(letter, 5)])] for letter in "ab"]
    outcomes, _ = await meeting.apply(THE_LEDGER, *meanings)
    assert said(outcomes).count(["applied"]) == 1
    failed = next(number for number, each in enumerate(outcomes) if isinstance(each, BaseException))
    error = outcomes[failed]
    assert isinstance(error, asyncpg.UniqueViolationError)
    assert (error.constraint_name, reaction(error)) == ("references_pkey", RetryNow)
    (again,) = await handle_batch(meeting.workers[0], meanings[failed], Policy())
    assert again.kind.value == "conflict"
    assert await meeting.owner.fetchval("SELECT sum(on_hand) FROM stock.items") == 1 + 1 + 5


async def test_rule_2_a_batch_that_waited_for_an_item_decides_on_what_was_left_of_it(meeting: Meeting) -> None:
    await meeting.before(message("restock", reference_id="opening", lines=[line("a", 5)]))
    orders = [[message("order-placed", order_id=name, lines=[line("a", 3)])] for name in ("O", "P")]
    outcomes, _ = await meeting.apply(THE_LEDGER, *orders)
    assert said(outcomes) == [["applied"], ["rejected"]]
    assert tuple(await meeting.owner.fetchrow("SELECT on_hand, version FROM stock.items") or ()) == (2, 2)


async def test_2_recorded_at_is_read_after_the_locks(meeting: Meeting) -> None:
    await meeting.before(message("restock", reference_id="opening", lines=[line("a", 5)]))
    deliveries = [[message("restock", reference_id=name, lines=[line("a", 1)])] for name in ("R", "S")]
    outcomes, released_at = await meeting.apply(THE_LEDGER, *deliveries)
    assert said(outcomes) == [["applied"], ["applied"]]
    last = "SELECT recorded_at FROM stock.movements WHERE version = 3"
    assert await meeting.owner.fetchval(last) > released_at, "it had begun before, and waited for the item since"


@pytest.mark.parametrize(
    ("lock", "batches"),
    [
        (
            "SELECT FROM stock.orders WHERE order_id = 'O' FOR UPDATE",
            (
                [("order-cancelled", {"order_id": "O"}), ("order-cancelled", {"order_id": "P"})],
                [("order-cancelled", {"order_id": "P"}), ("order-cancelled", {"order_id": "O"})],
            ),
        ),
        (
            "SELECT FROM stock.items ORDER BY item_id LIMIT 1 FOR UPDATE",
            (
                [("restock", {"reference_id": "R", "lines": [line("a", 1), line("b", 1)]})],
                [("restock", {"reference_id": "S", "lines": [line("b", 1), line("a", 1)]})],
            ),
        ),
        (
            "SELECT FROM stock.items ORDER BY item_id LIMIT 1 FOR UPDATE",
            (
                [("restock", {"reference_id": "R", "lines": [line("a", 1), line("b", 1)]})],
                [("restock", {"reference_id": "S", "lines": [line("b", 1)]}), ("order-cancelled", {"order_id": "O"})],
            ),
        ),
    ],
    ids=["orders", "items", "items of orders too"],
)
async def test_rule_2_batches_that_meet_take_their_locks_in_one_order(
    meeting: Meeting, lock: str, batches: tuple[list[tuple[str, dict]], list[tuple[str, dict]]]
) -> None:
    """The first waits for the lock; were the second to hold by then what the first wants next, they would deadlock."""
    await meeting.before(
        message("restock", reference_id="opening", lines=[line("a", 5), line("b", 5)]),
        message("order-placed", order_id="O", lines=[line("a", 1)]),
        message("order-placed", order_id="P", lines=[line("b", 1)]),
    )
    outcomes, _ = await meeting.apply(lock, *([message(topic, **more) for topic, more in each] for each in batches))
    assert not [each for each in outcomes if isinstance(each, BaseException)]


async def test_6_what_is_decided_again_is_told_again_under_the_same_ids(
    new_database: Callable[[], str],
) -> None:
    """A worker dies before its COMMIT, and another decides: no consumer may take that for news."""
    batch = [
        message("restock", reference_id="R", lines=[line("a", 10), line("b", 1)]),
        message("order-placed", order_id="O", lines=[line("a", 2), line("a", 5)]),
        message("order-placed", order_id="P", lines=[line("b", 2)]),
        message("restock", reference_id="R", lines=[line("a", 11)]),
        message("restock", reference_id="S", lines=[]),
    ]
    first, second = [await _told(new_database(), batch) for _ in range(2)]
    assert {row["topic"] for row in first} == {
        *("stock-changed", "stock-level", "alert-level-changed", "adjustment-applied", "adjustment-rejected"),
        "restock-dlt",
    }
    assert first == second
    assert len({row["id"] for row in first}) == len(first)


async def _told(database: str, batch: Batch) -> list[asyncpg.Record]:
    worker = await connect(database, "stock_worker")
    try:
        await handle_batch(worker, batch, Policy(), clock=datetime(2026, 3, 1, 12, tzinfo=UTC))
        rows: Awaitable[list[asyncpg.Record]] = worker.fetch("SELECT * FROM stock.outbox ORDER BY seq")
        return await rows
    finally:
        await worker.close()
