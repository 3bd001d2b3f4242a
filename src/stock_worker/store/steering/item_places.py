"""Where an item lies at a location, and when it is short there. Law: counters are the ledger's and are not touched.

A known item may get a row, with zeros, at a place where it has never been. The item's row is locked as a batch locks
it, since a batch inserts what it did not find under that lock. Source: contract section 7 (`PATCH …/locations/…`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from stock_worker.core.model import MAX_COUNTER, ItemKey
from stock_worker.store.sql import statements
from stock_worker.store.steering import locations
from stock_worker.store.steering.fields import NAME_MAX, Field, integer, text, unfit
from stock_worker.store.steering.refused import Refused, Why

if TYPE_CHECKING:
    from asyncpg import Connection

SQL: Final = statements("item_places")

FIELDS: Final[Mapping[str, Field]] = {"bin_location": text(NAME_MAX), "reorder_point": integer(0, MAX_COUNTER)}
"""What people set."""


@dataclass(frozen=True, slots=True)
class ItemPlace:
    """An item at a location: its counters, and what people note of it. Quantities are units."""

    location_id: str
    on_hand: int
    reserved: int
    held: int
    bin_location: str | None
    reorder_point: int | None
    last_counted_at: datetime | None


async def change(
    connection: "Connection", item: ItemKey, location_id: str, given: Mapping[str, object]
) -> ItemPlace | Refused:
    """Note what is given of an item at a location."""
    refused = unfit("an item at a location", FIELDS, given)
    if refused is not None:
        return refused
    async with connection.transaction():
        if not await locations.hold(connection, item.site_id, location_id):
            return Refused(Why.NOT_FOUND, f"the site has no location {location_id}")
        item_id = await connection.fetchval(SQL["lock_item"], *item)
        if item_id is None:
            return Refused(Why.NOT_FOUND, "the site has no such item: it has neither moved nor been announced")
        noted = await connection.fetchrow(SQL["notes_of_place"], item_id, location_id)
        values = [given[name] if name in given else noted and noted[name] for name in FIELDS]
        row = await connection.fetchrow(SQL["write_notes"], item_id, location_id, item.site_id, *values)
        assert row is not None
        return ItemPlace(location_id, *row)
