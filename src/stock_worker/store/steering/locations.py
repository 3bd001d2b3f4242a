"""A site's locations. Law: a location in use always has a way to be the one that a batch books to, and no other has.

A batch holds all locations of its sites (FOR SHARE) while it books. So a change first takes its turn, and looks for
stock after: what was booked there meanwhile is then seen, and what comes later finds the location closed. The turn is a
lock of the table, not of rows: sharers pass by whoever waits for a row (measured: six sessions that shared one kept a
FOR UPDATE out for 39 s, until they stopped), and a batch of a site without rows holds none. Batches wait meanwhile, so
whoever does not get its turn soon gives it up. Source: contract section 1 (location), rule 7, decided cases on places.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import asyncpg

from stock_worker.core.ids import default_location_id
from stock_worker.store.load import DEFAULT_LOCATION_CODE
from stock_worker.store.sql import statements
from stock_worker.store.steering.fields import CODE_MAX, NAME_MAX, Field, address, boolean, choice, integer, text, unfit
from stock_worker.store.steering.refused import Refused, Why

if TYPE_CHECKING:
    from asyncpg import Connection
    from asyncpg import Record as Row

SQL: Final = statements("locations")
PRIORITY_MAX: Final = 10**9
_BUILT_IN_NAME: Final = "Default"


@dataclass(frozen=True, slots=True)
class Location:
    """A place of a site. Its times are None for the default location of a site that has no rows yet."""

    location_id: str
    code: str
    name: str
    type: str = "warehouse"
    address_line_1: str | None = None
    address_line_2: str | None = None
    city: str | None = None
    state: str | None = None
    postal_code: str | None = None
    country: str | None = None
    contact_name: str | None = None
    contact_email: str | None = None
    contact_phone: str | None = None
    fulfillment_priority: int = 0
    is_default: bool = False
    is_active: bool = True
    archived_at: datetime | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


FIELDS: Final[Mapping[str, Field]] = {
    "code": text(CODE_MAX, clears=False),
    "name": text(NAME_MAX, clears=False),
    "type": choice("warehouse", "store", "fulfillment_center", "dropship", clears=False),
    "address_line_1": text(NAME_MAX),
    "address_line_2": text(NAME_MAX),
    "city": text(NAME_MAX),
    "state": text(NAME_MAX),
    "postal_code": text(NAME_MAX),
    "country": text(NAME_MAX),
    "contact_name": text(NAME_MAX),
    "contact_email": address(),
    "contact_phone": text(NAME_MAX),
    "fulfillment_priority": integer(-PRIORITY_MAX, PRIORITY_MAX, clears=False),
    "is_default": boolean(clears=False),
    "is_active": boolean(clears=False),
}
"""What people set, in the order in which it is shown."""

_NAMES: Final = tuple(field.name for field in fields(Location))


async def list_locations(connection: "Connection", site_id: str) -> list[Location]:
    """Give a site's locations in the order of routing; a site without any has the built-in default."""
    rows = await connection.fetch(SQL["locations_of_site"], site_id)
    return [_location(row) for row in rows] or [_built_in(site_id)]


async def find(connection: "Connection", site_id: str, name: str) -> Location | Refused:
    """Give the location of this id or this code; an id goes first."""
    there = await list_locations(connection, site_id)
    found = [each for each in there if each.location_id == name.lower()] or [
        each for each in there if each.code == name
    ]
    return found[0] if found else _unknown(name)


async def create(connection: "Connection", site_id: str, given: Mapping[str, object]) -> Location | Refused:
    """Make a location: active and last in priority unless said otherwise, with its id as the code where it has none.

    The first one of a site makes the built-in default a row too.
    """
    if refused := unfit("a location", FIELDS, given):
        return refused
    if "name" not in given:
        return Refused(Why.MALFORMED, "name is missing")
    location_id = str(await connection.fetchval(SQL["draw_id"]))
    new = _changed(Location(location_id, location_id, ""), {}, given)
    if isinstance(new, Refused):
        return new
    try:
        async with connection.transaction():
            await _take_turn(connection)
            await _make_default_a_row(connection, site_id)
            there = await _there(connection, site_id)
            if "fulfillment_priority" not in given:
                new = replace(new, fulfillment_priority=_last(there))
            if new.is_default:
                await connection.execute(SQL["clear_default"], site_id)
            return _location(await connection.fetchrow(SQL["insert_location"], site_id, *_values(new)))
    except (asyncpg.UniqueViolationError, asyncpg.LockNotAvailableError) as error:
        return _lost(error, given)


async def change(
    connection: "Connection", site_id: str, location_id: str, given: Mapping[str, object]
) -> Location | Refused:
    """Change what is given of a location, among it whether it is the default and whether it is in use.

    One that is taken into use again goes last in priority, unless a priority is given.
    """
    if refused := unfit("a location", FIELDS, given):
        return refused
    try:
        async with connection.transaction():
            await _take_turn(connection)
            there = await _there(connection, site_id, also=location_id)
            old = there.get(location_id)
            if old is None:
                return _unknown(location_id)
            new = _changed(old, there, given)
            if isinstance(new, Refused) or new == old:
                return new
            if old.is_active and not new.is_active and (refused := await _not_empty(connection, site_id, old)):
                return refused
            if new.is_default and not old.is_default:
                await connection.execute(SQL["clear_default"], site_id)
            return _location(await connection.fetchrow(SQL["update_location"], site_id, *_values(new)))
    except (asyncpg.UniqueViolationError, asyncpg.LockNotAvailableError) as error:
        return _lost(error, given)


async def archive(connection: "Connection", site_id: str, location_id: str) -> Location | Refused:
    """Close a location for good: it is kept for the history, and can be restored."""
    try:
        async with connection.transaction():
            await _take_turn(connection)
            old = (await _there(connection, site_id)).get(location_id, _built_in(site_id))
            if old.location_id != location_id:
                return _unknown(location_id)
            if old.archived_at is not None:
                return old
            if old.is_default:
                return _default_stays(old)
            if refused := await _not_empty(connection, site_id, old):
                return refused
            return _location(await connection.fetchrow(SQL["archive_location"], site_id, location_id))
    except asyncpg.LockNotAvailableError as error:
        return _lost(error, {})


async def restore(connection: "Connection", site_id: str, location_id: str) -> Location | Refused:
    """Take a closed location into use again: it keeps its name and goes last in priority."""
    return await change(connection, site_id, location_id, {"is_active": True})


async def hold(connection: "Connection", site_id: str, location_id: str) -> bool:
    """Hold one location as a batch does, so that it cannot be closed meanwhile; False if the site does not have it."""
    if location_id == default_location_id(site_id):
        await _make_default_a_row(connection, site_id)
    return bool(await connection.fetchval(SQL["share_location"], site_id, location_id))


# ---------------------------------------------------------------- in one's turn


async def _take_turn(connection: "Connection") -> None:
    """Wait for the batches and the changes under way; whatever comes later waits for this transaction's end."""
    await connection.execute(SQL["be_impatient"])
    await connection.execute(SQL["take_turn"])


async def _there(connection: "Connection", site_id: str, *, also: str | None = None) -> dict[str, Location]:
    """Give a site's locations; `also` is one to be changed, which may be the built-in default."""
    rows = await connection.fetch(SQL["locations_of_site"], site_id)
    if not rows and also == default_location_id(site_id):
        await _make_default_a_row(connection, site_id)
        rows = await connection.fetch(SQL["locations_of_site"], site_id)
    there = [_location(row) for row in rows]
    return {each.location_id: each for each in there}


async def _make_default_a_row(connection: "Connection", site_id: str) -> None:
    built_in = _built_in(site_id)
    await connection.execute(
        SQL["insert_built_in"],
        site_id,
        built_in.location_id,
        built_in.code,
        built_in.name,
        built_in.fulfillment_priority,
    )


def _changed(old: Location, there: Mapping[str, Location], given: Mapping[str, Any]) -> Location | Refused:
    """Give a location as it is wanted, or why it cannot be."""
    new = replace(old, **given)
    if new.is_active and not old.is_active:
        new = replace(new, archived_at=None)
        if "fulfillment_priority" not in given:
            new = replace(new, fulfillment_priority=_last(there))
    if _is_an_id(new.code) and new.code != new.location_id:
        return Refused(Why.MALFORMED, "code must not have the form of an id: locations that goods open take theirs")
    if old.is_default and not (new.is_default and new.is_active):
        return _default_stays(old)
    if new.is_default and not new.is_active:
        return Refused(Why.NOT_ACTIVE, f"location {new.code} is not in use, so it cannot be the default")
    return new


async def _not_empty(connection: "Connection", site_id: str, location: Location) -> Refused | None:
    items: int = await connection.fetchval(SQL["items_at"], site_id, location.location_id)
    if not items:
        return None
    return Refused(
        Why.NOT_EMPTY, f"location {location.code} is not empty: stock of {items} items lies there or is reserved there"
    )


def _last(there: Mapping[str, Location]) -> int:
    return max((each.fulfillment_priority for each in there.values()), default=-1) + 1


# ---------------------------------------------------------------- words and shapes


def _unknown(name: str) -> Refused:
    return Refused(Why.NOT_FOUND, f"the site has no location {name}")


def _default_stays(location: Location) -> Refused:
    return Refused(
        Why.IS_DEFAULT, f"location {location.code} is the site's default: make another one the default first"
    )


def _lost(error: asyncpg.PostgresError, given: Mapping[str, object]) -> Refused:
    if isinstance(error, asyncpg.LockNotAvailableError):
        return Refused(Why.BUSY, "batches under way did not end in time: try again")
    return Refused(Why.CODE_TAKEN, f"another location of the site has the code {given.get('code')}")


def _built_in(site_id: str) -> Location:
    return Location(default_location_id(site_id), DEFAULT_LOCATION_CODE, _BUILT_IN_NAME, is_default=True)


def _location(row: "Row | None") -> Location:
    assert row is not None, "a row that is locked does not go away"
    return Location(str(row["location_id"]), *(row[name] for name in _NAMES[1:]))


def _values(location: Location) -> list[Any]:
    """The columns that are written, in the order of the statements; times are the database's."""
    return [getattr(location, name) for name in _NAMES[: _NAMES.index("created_at")]]


def _is_an_id(code: str) -> bool:
    try:
        return str(UUID(code)) == code.lower()
    except ValueError:
        return False
