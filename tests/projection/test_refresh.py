"""What is held of a site against a fresh load of it, after everything that can change an item."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from asyncpg import Connection

from stock_worker.handle import Policy, handle_batch
from stock_worker.projection.columns import FIELDS, Columns
from stock_worker.projection.refresh import SQL, Held, ids_of
from stock_worker.store.engine import connect
from stock_worker.store.steering import rules
from stock_worker.store.steering.rules import Scope
from tests.http.booking import Books, variant
from tests.http.running import OTHER, SITE, product
from tests.store.records import message

NUMBERS: Final = [name for name in FIELDS if hasattr(Columns(), name)]


@pytest.fixture
async def reader(database: str) -> AsyncIterator[Connection]:
    """A connection as the API's readers have it."""
    connection = await connect(database, "stock_api")
    yield connection
    await connection.close()


@pytest.fixture
async def books(database: str) -> AsyncIterator[Books]:
    """A worker that books by the database's clock."""
    opened = await Books.open(database)
    yield opened
    await opened.connection.close()


@asynccontextmanager
async def snapshot(reader: Connection, site: str = SITE) -> AsyncIterator[Connection]:
    """A snapshot on which the site is seen."""
    async with reader.transaction(isolation="repeatable_read", readonly=True):
        await reader.execute("SELECT set_config('stock.sites', $1, true)", site)
        yield reader


async def load(reader: Connection, site: str = SITE) -> Held:
    """What a fresh load holds."""
    held = Held(site)
    async with snapshot(reader, site):
        await held.load(reader)
    return held


async def refresh(reader: Connection, held: Held) -> None:
    """Bring up what is held, as the service does."""
    async with snapshot(reader, held.site_id):
        assert await held.refresh(reader, timedelta(0))


def rows(held: Held) -> dict[int, dict[str, Any]]:
    """All that columns hold, by item id."""
    columns = held.columns
    texts = {name: [text.partition("\0")[0] for text in getattr(columns, name)._texts] for name in ("names", "skus")}
    return {
        item_id: {name: getattr(columns, name)[row] for name in NUMBERS}
        | {name: texts[name][row] for name in texts}
        | {"category": columns.categories[columns.category[row]]}
        | {"odd": (columns.odd_values.get(row), columns.odd_price_values.get(row))}
        for row, item_id in enumerate(columns.item_id.tolist())
    }


async def assert_whole(reader: Connection, held: Held) -> None:
    """What is held, once it is brought up, is what a fresh load holds."""
    await refresh(reader, held)
    assert rows(held) == rows(await load(reader))


async def now(books: Books) -> datetime:
    """The database's clock."""
    moment: datetime = await books.connection.fetchval("SELECT clock_timestamp()")
    return moment


async def one_change(books: Books, draw: random.Random) -> None:
    """Change something by the real way: stock, the catalog, a rule that is worked off."""
    number, at = draw.randrange(6), await now(books)
    kind = draw.choice(["restock", "restock", "cost", "damage", "variant", "announce", "untrack", "archive", "rule"])
    if kind == "rule":
        await books.rule(*draw.choice([(), (product(number),)]), low_stock_threshold=draw.randrange(4, 30))
    elif kind == "cost":
        await books.restock(number, draw.randrange(1, 9), at, unit_cost=draw.choice(["2.5", "0.0000000001"]))
    elif kind == "variant":
        await books.restock(number, draw.randrange(1, 9), at, variant_id=variant(draw.randrange(3)))
    elif kind == "restock":
        await books.restock(number, draw.randrange(1, 9), at)
    elif kind == "damage":
        await books.restock(number, 3, at)
        await books.adjust("damage", number, draw.randrange(1, 4), await now(books))
    else:
        status, tracked = ("archived" if kind == "archive" else "active"), kind != "untrack"
        await books.announce(
            number,
            at,
            name=draw.choice(["Mug", "Äpfel"]),
            sku=draw.choice(["S-1", None]),
            category_id=draw.choice(["c1", None]),
            category_name=draw.choice(["Cups", None]),
            unit_price=draw.choice(["9.99", None]),
            cost_price=draw.choice(["3.25", "0.0000001", None]),
            status=status,
            track_inventory=tracked,
        )


@pytest.mark.parametrize("seed", range(4))
async def test_what_is_held_is_what_a_load_gives_after_any_changes(books: Books, reader: Connection, seed: int) -> None:
    draw = random.Random(seed)
    held = await load(reader)
    assert rows(held) == {}
    for _ in range(8):
        for _ in range(draw.randrange(1, 4)):
            await one_change(books, draw)
        await assert_whole(reader, held)
    assert rows(held)


@pytest.mark.parametrize("nested", [False, True], ids=["flat", "in a savepoint"])
@pytest.mark.parametrize("loaded", ["before", "meanwhile"])
async def test_what_commits_late_is_found(
    database: str, books: Books, reader: Connection, loaded: str, *, nested: bool
) -> None:
    """Its rows are older than the snapshots that did not see them, by time and by number."""
    await books.restock(1, 5, await now(books))
    held = await load(reader) if loaded == "before" else None
    late = await connect(database, "stock_worker")
    outer = late.transaction()
    await outer.start()
    if nested:
        await late.execute("SELECT pg_current_xact_id(); SAVEPOINT deep; SAVEPOINT deeper")
    entry = message("restock", site_id=SITE, reference_id="late", lines=[{"product_id": product(2), "quantity": 7}])
    await handle_batch(_Joined(late), [entry], Policy())  # type: ignore[arg-type] # a connection in a transaction
    held = held or await load(reader)
    for number in range(3, 40):  # many numbers between, and many snapshots
        await books.restock(number, 1, await now(books))
        if number % 9 == 0:
            await refresh(reader, held)
    await outer.commit()
    await late.close()
    await assert_whole(reader, held)
    assert 7 in [row["on_hand"] for row in rows(held).values()]


class _Joined:
    """A connection in a transaction, which a batch takes for one in none: so it does not end with the batch."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._begun = connection, False

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever it has
        return getattr(self._connection, name)

    def is_in_transaction(self) -> bool:
        """Say what a batch wants to hear: not before it begins."""
        begun, self._begun = self._begun, True
        return begun


async def test_a_level_that_a_rule_changes_is_seen_batch_by_batch(books: Books, reader: Connection) -> None:
    for number in range(3):
        await books.restock(number, 20, await now(books))
    held = await load(reader)
    await rules.change(books.connection, Scope(SITE), {"low_stock_threshold": 30})
    await assert_whole(reader, held)
    assert {row["level"] for row in rows(held).values()} == {0}
    await books.sweep()
    await assert_whole(reader, held)
    assert {row["level"] for row in rows(held).values()} == {1}
    await rules.change(books.connection, Scope(SITE), {"low_stock_threshold": None})
    await books.sweep()
    await assert_whole(reader, held)
    assert {row["level"] for row in rows(held).values()} == {0}


async def test_what_nobody_announced_and_nothing_moved_is_not_held(books: Books, reader: Connection) -> None:
    held = await load(reader)
    await books.connection.execute("INSERT INTO stock.items (site_id, product_id) VALUES ($1, $2)", SITE, product(1))
    await books.restock(2, 1, await now(books), site=OTHER)
    await assert_whole(reader, held)
    assert rows(held) == {}
    await books.announce(1, await now(books))
    await assert_whole(reader, held)
    assert [row["level"] for row in rows(held).values()] == [3]


@pytest.mark.parametrize("what", ["next", "moment"])
async def test_nothing_is_brought_up_to_a_snapshot_of_before(books: Books, reader: Connection, what: str) -> None:
    """As after a switch to a server that is behind."""
    await books.restock(1, 5, await now(books))
    held = await load(reader)
    assert held._mark is not None
    later = {"next": 2**40, "moment": datetime(2999, 1, 1, tzinfo=UTC)}
    held._mark = {**held._mark, what: later[what]}  # type: ignore[assignment] # read like a row
    async with snapshot(reader):
        assert not await held.refresh(reader, timedelta(0))


async def test_only_what_is_new_is_asked_for(books: Books, reader: Connection) -> None:
    for number in range(5):
        await books.restock(number, 1, await now(books))
    held = await load(reader)
    await refresh(reader, held)
    assert held._mark is not None
    await books.restock(2, 1, await now(books))
    async with snapshot(reader):
        since = held._floors[0][1] - timedelta(days=1)
        asked = SITE, since, held._mark["oldest"] % 2**32
        mark = await reader.fetchrow(SQL["mark"], *asked)
    assert mark is not None
    assert len(ids_of(mark["touched"])) == 1
