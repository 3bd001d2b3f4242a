"""What people steer while batches run: whoever comes second sees what the first has done.

The owner of the tables holds a lock that the first needs, until both wait: who has read what by then is not luck.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any

import asyncpg
import pytest_asyncio

from stock_worker.core.ids import default_location_id
from stock_worker.core.model import ItemKey, Outcome
from stock_worker.handle import Policy, handle_batch
from stock_worker.store.engine import connect
from stock_worker.store.steering import item_places, locations, rules, settings
from stock_worker.store.steering.item_places import ItemPlace
from stock_worker.store.steering.locations import Location
from stock_worker.store.steering.refused import Refused, Why
from stock_worker.store.steering.rules import Scope
from tests.flow.running import until
from tests.store.records import SITE, line, message, product
from tests.store.waiting import THE_LEDGER, are_waiting

DEFAULT = default_location_id(SITE)
ITEM = ItemKey(SITE, product("a"), None)
THE_PLACES_STOCK = "LOCK TABLE stock.location_stock IN ACCESS EXCLUSIVE MODE"
"""Nobody can read it; whoever wants to close a location waits here."""
THE_REFERENCES = "LOCK TABLE stock.references IN ACCESS EXCLUSIVE MODE"
"""Nobody can read them; a batch that has seen the locations and has not decided yet waits here."""
THE_RULES = "LOCK TABLE stock.alert_rules IN ACCESS EXCLUSIVE MODE"

Work = Coroutine[Any, Any, Any]


class Meeting:
    """Three sessions of workers and the owner, who lets them meet."""

    def __init__(self, workers: Sequence[asyncpg.Connection], owner: asyncpg.Connection) -> None:
        self.first, self.second, self.third = workers
        self.owner = owner

    async def meet(self, lock: str, *works: Work) -> list[Any]:
        """Start each work when those before it wait, then let go of the lock; gives what each says."""
        transaction = self.owner.transaction()
        await transaction.start()
        await self.owner.execute(lock)
        tasks = []
        for number, work in enumerate(works, 1):
            tasks.append(asyncio.create_task(work))
            await until(lambda number=number: are_waiting(self.owner, number))  # type: ignore[misc] # it takes no argument
        await transaction.rollback()
        return await asyncio.gather(*tasks, return_exceptions=True)

    async def on_hand(self) -> dict[str, int]:
        """What lies where."""
        rows = await self.owner.fetch("SELECT location_id::text, on_hand FROM stock.location_stock WHERE on_hand <> 0")
        return {row["location_id"]: row["on_hand"] for row in rows}


@pytest_asyncio.fixture
async def meeting(database: str) -> AsyncIterator[Meeting]:
    workers = [await connect(database, "stock_worker") for _ in range(3)]
    owner = await connect(database, None)
    yield Meeting(workers, owner)
    for connection in (*workers, owner):
        await connection.close()


async def apply(worker: asyncpg.Connection, topic: str, **fields: object) -> str:
    """Apply one command; gives its outcome or the code that it was refused with."""
    (outcome,) = await handle_batch(worker, [message(topic, **fields)], Policy())
    assert isinstance(outcome, Outcome)
    return outcome.code.text if outcome.code else outcome.kind.value


async def shop_of(worker: asyncpg.Connection) -> str:
    """Make a location."""
    shop = await locations.create(worker, SITE, {"name": "Shop", "code": "SHOP"})
    assert isinstance(shop, Location)
    return shop.location_id


# ---------------------------------------------------------------- closing a location against a batch


async def test_rule_7_a_location_does_not_close_over_what_a_batch_under_way_books_there(meeting: Meeting) -> None:
    shop = await shop_of(meeting.first)
    booked, closed = await meeting.meet(
        THE_LEDGER,
        apply(meeting.first, "restock", reference_id="R", lines=[line("a", 5, location_id=shop)]),
        locations.change(meeting.second, SITE, shop, {"is_active": False}),
    )
    assert booked == "applied"
    assert isinstance(closed, Refused)
    assert closed.why is Why.NOT_EMPTY
    assert await meeting.on_hand() == {shop: 5}


async def test_rule_7_a_batch_finds_the_location_closed_that_was_closed_while_it_waited(meeting: Meeting) -> None:
    shop = await shop_of(meeting.first)
    await apply(meeting.first, "restock", reference_id="R", lines=[line("a", 5)])
    transfer = {"from_location_id": DEFAULT, "to_location_id": shop, "reference_id": "T", "lines": [line("a", 2)]}
    closed, booked = await meeting.meet(
        THE_PLACES_STOCK,
        locations.change(meeting.second, SITE, shop, {"is_active": False}),
        apply(meeting.first, "stock-transfer", **transfer),
    )
    assert isinstance(closed, Location)
    assert booked == "inactive_location"
    assert await meeting.on_hand() == {DEFAULT: 5}


async def test_rule_7_a_batch_uses_the_default_that_it_saw_and_the_next_one_the_new(meeting: Meeting) -> None:
    shop = await shop_of(meeting.first)
    booked, changed, next_booked = await meeting.meet(
        THE_LEDGER,
        apply(meeting.first, "restock", reference_id="R", lines=[line("a", 5)]),
        locations.change(meeting.second, SITE, shop, {"is_default": True}),
        apply(meeting.third, "restock", reference_id="S", lines=[line("a", 2)]),
    )
    assert (booked, next_booked) == ("applied", "applied")
    assert isinstance(changed, Location)
    assert await meeting.on_hand() == {DEFAULT: 5, shop: 2}


async def test_rule_7_the_first_batch_of_a_site_has_no_location_to_hold_and_yet_none_closes_over_it(
    meeting: Meeting,
) -> None:
    async def make_another_the_default_and_close_it() -> Location | Refused:
        await locations.create(meeting.second, SITE, {"name": "Shop", "is_default": True})
        return await locations.change(meeting.second, SITE, DEFAULT, {"is_active": False})

    booked, closed = await meeting.meet(
        THE_REFERENCES,
        apply(meeting.first, "restock", reference_id="R", lines=[line("a", 5)]),
        make_another_the_default_and_close_it(),
    )
    assert booked == "applied"
    assert isinstance(closed, Refused)
    assert closed.why is Why.NOT_EMPTY
    assert await meeting.on_hand() == {DEFAULT: 5}


async def test_a_change_gives_up_its_turn_before_batches_wait_long_for_it(meeting: Meeting) -> None:
    shop = await shop_of(meeting.first)
    busy = Refused(Why.BUSY, "batches under way did not end in time: try again")
    async with meeting.owner.transaction():
        await meeting.owner.execute("SELECT FROM stock.locations FOR SHARE")
        assert await locations.change(meeting.first, SITE, shop, {"name": "New"}) == busy
        assert await locations.archive(meeting.first, SITE, shop) == busy
        assert await locations.create(meeting.first, SITE, {"name": "Depot"}) == busy
        assert (await locations.list_locations(meeting.first, SITE))[1].name == "Shop", "reading goes on"


# ---------------------------------------------------------------- two people at once


async def test_7_two_changes_of_one_rule_are_one_after_the_other(meeting: Meeting) -> None:
    scope = Scope(SITE, product("a"))
    await meeting.meet(
        THE_RULES,
        rules.change(meeting.first, scope, {"low_stock_threshold": 7}),
        rules.change(meeting.second, scope, {"backorder_limit": 5}),
        settings.change(meeting.third, SITE, {"low_stock_threshold": 9}),
    )
    found = await rules.read(meeting.first, scope)
    assert found.effective["low_stock_threshold"] == (7, "product")
    assert found.effective["backorder_limit"] == (5, "product")
    assert await meeting.owner.fetchval("SELECT stamp FROM stock.site_settings") == 3
    assert await meeting.owner.fetchval("SELECT count(*) FROM stock.reevaluations") == 3


async def test_7_of_two_locations_with_one_code_one_is_made(meeting: Meeting) -> None:
    await shop_of(meeting.first)
    depot = {"name": "Depot", "code": "DEPOT"}
    made = await meeting.meet(
        "LOCK TABLE stock.locations IN SHARE MODE",
        locations.create(meeting.first, SITE, depot),
        locations.create(meeting.second, SITE, depot),
    )
    assert sorted(type(each).__name__ for each in made) == ["Location", "Refused"]
    assert [each.why for each in made if isinstance(each, Refused)] == [Why.CODE_TAKEN]


async def test_7_the_first_locations_of_a_site_made_at_once_have_one_default(meeting: Meeting) -> None:
    made = await meeting.meet(
        "LOCK TABLE stock.locations IN SHARE MODE",
        locations.create(meeting.first, SITE, {"name": "Shop", "is_default": True}),
        locations.create(meeting.second, SITE, {"name": "Depot", "is_default": True}),
        apply(meeting.third, "restock", reference_id="R", lines=[line("a", 5)]),
    )
    assert [type(each).__name__ for each in made[:2]] == ["Location", "Location"]
    there = await locations.list_locations(meeting.first, SITE)
    assert len(there) == 3
    assert [each.is_default for each in there].count(True) == 1


async def test_7_a_note_about_an_item_and_its_first_units_at_a_place_both_stand(meeting: Meeting) -> None:
    shop = await shop_of(meeting.first)
    await apply(meeting.first, "restock", reference_id="R", lines=[line("a", 5)])
    booked, noted = await meeting.meet(
        THE_LEDGER,
        apply(meeting.first, "restock", reference_id="S", lines=[line("a", 2, location_id=shop)]),
        item_places.change(meeting.second, ITEM, shop, {"bin_location": "B-2"}),
    )
    assert booked == "applied"
    assert isinstance(noted, ItemPlace)
    assert (noted.on_hand, noted.bin_location) == (2, "B-2")
