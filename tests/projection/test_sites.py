"""What a process holds: who waits for whom, what is dropped, and that nothing shown is older than its snapshot."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
from asyncpg import Connection
from asyncpg.exceptions import PostgresError

from stock_worker.metrics import Metrics
from stock_worker.projection import sites as module
from stock_worker.projection.asked import ListItems
from stock_worker.projection.columns import Columns
from stock_worker.projection.refresh import AT_ONCE, Held
from stock_worker.projection.sites import Sites
from stock_worker.store.engine import open_pool
from stock_worker.store.reads.items import Listed, Wanted
from tests.flow.running import until
from tests.http.booking import Books
from tests.http.running import OTHER, SITE

ALL: Final = ListItems(Wanted())


class Readers:
    """Readers as the backend opens them; counts them, and fails once where a test says so."""

    def __init__(self, pool: Any) -> None:  # noqa: ANN401 - a pool
        self.pool, self.opened, self.fails = pool, 0, False
        self.begun = asyncio.Event()

    @asynccontextmanager
    async def reading(self, sites: Iterable[str], _at_most_s: float | None = None) -> AsyncIterator[Connection]:
        """Open a snapshot."""
        self.opened += 1
        self.begun.set()
        async with (
            self.pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            await connection.execute("SELECT set_config('stock.sites', $1, true)", ",".join(sites))
            if self.fails:
                self.fails = False
                await connection.execute("SET LOCAL statement_timeout = 1")
                with pytest.raises(PostgresError):
                    await connection.execute("SELECT pg_sleep(1)")  # the transaction is broken from here on
            yield connection


@pytest.fixture
async def readers(database: str) -> AsyncIterator[Readers]:
    """Readers of the test's database."""
    async with open_pool(database, "stock_api", most=4, timeout_s=15.0, name="tests") as pool:
        yield Readers(pool)


@pytest.fixture
async def books(database: str) -> AsyncIterator[Books]:
    """A worker over the same database, in no connection that is read on."""
    opened = await Books.open(database)
    yield opened
    await opened.connection.close()


async def restock(books: Books, number: int, site: str = SITE) -> None:
    """Have something arrive, by the database's clock."""
    await books.restock(number, 5, await books.connection.fetchval("SELECT clock_timestamp()"), site=site)


async def ids(held: Sites, site: str = SITE, sees: Iterable[str] = (SITE,)) -> list[int]:
    """The ids of all items that are listed."""
    async with held.asking(sees, site, ALL) as (_, listed):
        found: list[int] = listed.item_ids
        return found


async def test_what_another_connection_has_written_is_there_at_once(readers: Readers, books: Books) -> None:
    held = Sites(readers.reading, Metrics())
    for count in range(5):
        assert len(await ids(held)) == count
        await restock(books, count)


async def test_those_who_come_at_once_share_one_load(readers: Readers, books: Books) -> None:
    await restock(books, 1)
    metrics = Metrics()
    held = Sites(readers.reading, metrics)
    found = await asyncio.gather(*(ids(held) for _ in range(6)))
    assert [len(each) for each in found] == [1] * 6
    assert readers.opened == 6 + 1
    seconds = "stock_worker_projection_seconds_count"
    assert metrics.registry.get_sample_value(seconds, {"step": "load"}) == 1
    assert metrics.registry.get_sample_value(seconds, {"step": "refresh"}) == 6
    assert metrics.registry.get_sample_value("stock_worker_projection_items") == 1


async def test_each_answer_is_of_the_snapshot_that_it_is_given_with(readers: Readers, books: Books) -> None:
    """Of many who ask while others write, each finds the items of its list on its own snapshot, and no more."""
    held = Sites(readers.reading, Metrics())

    async def ask() -> None:
        async with held.asking([SITE], SITE, ALL) as (connection, listed):
            rows = await connection.fetch("SELECT item_id FROM stock.items WHERE site_id = $1", SITE)
            assert sorted(listed.item_ids) == sorted(row["item_id"] for row in rows)

    async def write() -> None:
        for number in range(30):
            await restock(books, number)

    writing = asyncio.create_task(write())
    while not writing.done():
        await asyncio.gather(*(ask() for _ in range(5)))
    await writing


async def test_a_site_is_seen_by_its_tokens_alone(readers: Readers, books: Books) -> None:
    await restock(books, 1)
    await restock(books, 2, OTHER)
    held = Sites(readers.reading, Metrics())
    mine, others = await ids(held), await ids(held, OTHER, [OTHER, SITE])
    assert len(mine) == len(others) == 1
    assert mine != others


async def test_what_fails_while_it_is_brought_up_is_dropped_and_loaded_again(readers: Readers, books: Books) -> None:
    held = Sites(readers.reading, Metrics())
    await restock(books, 1)
    assert len(await ids(held)) == 1
    readers.fails = True
    with pytest.raises(PostgresError):
        await ids(held)
    assert held.items == 0
    await restock(books, 2)
    assert len(await ids(held)) == 2


async def test_who_waits_for_a_load_that_fails_is_told(readers: Readers, caplog: pytest.LogCaptureFixture) -> None:
    held = Sites(readers.reading, Metrics())
    readers.fails = True
    with pytest.raises(PostgresError):
        await ids(held)
    assert "could not be loaded" in caplog.text
    assert await ids(held) == []


async def test_who_leaves_while_a_site_is_loaded_does_not_end_the_load(readers: Readers, books: Books) -> None:
    await restock(books, 1)
    held = Sites(readers.reading, Metrics())
    asked = asyncio.create_task(ids(held))
    await readers.begun.wait()
    asked.cancel()
    await asyncio.wait([asked])
    assert len(await ids(held)) == 1
    assert readers.opened == 2


async def test_the_site_asked_for_longest_ago_goes_first(readers: Readers, books: Books) -> None:
    for number in range(3):
        await restock(books, number)
        await restock(books, number, OTHER)
    held = Sites(readers.reading, Metrics(), items_max=4)
    await ids(held)
    assert held.items == 3
    await ids(held, OTHER, [OTHER])
    assert held.items == 3
    assert len(await ids(held)) == 3


async def test_what_is_held_for_long_is_loaded_anew_beside_its_use(
    readers: Readers, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`rebuild` leaves no row that tells of it."""
    await restock(books, 1)
    held = Sites(readers.reading, Metrics())
    await ids(held)
    await books.connection.execute("UPDATE stock.items SET on_hand = 1, costed_quantity = 0")

    async def on_hand(_connection: Connection, columns: Columns, _site: str) -> int:
        return int(columns.on_hand[0])

    async def asked() -> int:
        async with held.asking([SITE], SITE, on_hand) as (_, units):
            return units

    assert await asked() == 5
    monkeypatch.setattr(module, "RELOAD_S", 0.0)
    assert await asked() == 5
    monkeypatch.undo()
    await held._sites[SITE].loading  # type: ignore[misc] # it is under way
    assert await asked() == 1


async def test_a_server_that_is_behind_is_loaded_from_at_once(readers: Readers, books: Books) -> None:
    await restock(books, 1)
    held = Sites(readers.reading, Metrics())
    await ids(held)
    before = held._sites[SITE].held
    assert before is not None
    before._mark = {**before._mark, "next": 2**40}  # type: ignore[dict-item,assignment] # read like a row
    await restock(books, 2)
    assert len(await ids(held)) == 2
    assert held._sites[SITE].held is not before


async def test_a_site_in_use_is_followed_when_nobody_asks(
    readers: Readers, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FOLLOW_MAX_S", 0.05)
    await restock(books, 1)
    held = Sites(readers.reading, Metrics())
    await ids(held)
    await restock(books, 2)
    await until(lambda: held.items == 2)
    monkeypatch.setattr(module, "_IN_USE_S", 0.0)
    await until(lambda: held._sites[SITE].following is None)
    await restock(books, 3)
    assert len(await ids(held)) == 3
    await held.close()


async def test_who_asks_a_site_that_is_followed_brings_it_up_himself(readers: Readers, books: Books) -> None:
    held = Sites(readers.reading, Metrics())
    await ids(held)
    opened = readers.opened
    for number in range(3):
        await restock(books, number)
        assert len(await ids(held)) == number + 1
        await asyncio.sleep(module.FOLLOW_S / 2)
    assert readers.opened == opened + 3, "it was no second old"
    await held.close()


@pytest.mark.parametrize(
    ("moving", "seconds"),
    [(0.0, module.FOLLOW_MAX_S), (1.0, module.FOLLOW_MAX_S), (AT_ONCE / 2, 2.0), (10.0 * AT_ONCE, module.FOLLOW_S)],
)
def test_a_site_is_followed_the_sooner_the_more_moves_there(moving: float, seconds: float) -> None:
    held = Held(SITE)
    held.moving = moving
    assert module._pause(held) == seconds


async def test_a_site_that_cannot_be_followed_is_dropped_and_loaded_when_it_is_asked_for(
    readers: Readers, books: Books, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "FOLLOW_MAX_S", 0.05)
    await restock(books, 1)
    held = Sites(readers.reading, Metrics())
    await ids(held)
    readers.fails = True
    await until(lambda: held.items == 0)
    await until(lambda: "could not be followed" in caplog.text)
    assert len(await ids(held)) == 1
    await held.close()


async def test_an_end_ends_loads(readers: Readers) -> None:
    held = Sites(readers.reading, Metrics())
    asked = asyncio.create_task(ids(held))
    await readers.begun.wait()
    await held.close()
    await asyncio.wait([asked])
    assert asked.cancelled() or isinstance(asked.exception(), asyncio.CancelledError)


async def test_who_was_cut_off_in_the_middle_leaves_the_turn_to_others(readers: Readers, books: Books) -> None:
    await restock(books, 1)
    held = Sites(readers.reading, Metrics())
    await ids(held)
    reached = asyncio.Event()

    async def hangs(_connection: Connection, _columns: Columns, _site: str) -> Listed:
        reached.set()
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    async def ask() -> None:
        async with held.asking([SITE], SITE, hangs):
            pass

    asked = asyncio.create_task(ask())
    await reached.wait()
    asked.cancel()
    await asyncio.wait([asked])
    assert len(await ids(held)) == 1
