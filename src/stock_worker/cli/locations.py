"""`stock-worker locations`. Law: a location is named by its id or its code, and what cannot be done says why."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stock_worker.cli import steer, terminal
from stock_worker.cli.steer import AsJson, Given, Site

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import asyncpg

    from stock_worker.store.steering.locations import Location
    from stock_worker.store.steering.refused import Refused

app = typer.Typer(help="Keep a site's locations.", no_args_is_help=True, rich_markup_mode=None)

Named = Annotated[str, typer.Argument(metavar="LOCATION", help="Its id or its code.")]


@app.command("list")
def list_(site: Site, as_json: AsJson = False) -> None:
    """List a site's locations in the order of routing."""
    from stock_worker.store.steering.locations import list_locations  # noqa: PLC0415 - not for --help

    there = steer.connected("locations", lambda connection: list_locations(connection, str(site)))
    if as_json:
        terminal.give_json([asdict(each) for each in there])
        return
    terminal.give_table(
        ("id", "code", "name", "type", "priority", "state"),
        [
            (each.location_id, each.code, each.name, each.type, str(each.fulfillment_priority), _state(each))
            for each in there
        ],
    )


@app.command()
def show(site: Site, location: Named, as_json: AsJson = False) -> None:
    """Show all that is known of a location."""
    from stock_worker.store.steering import locations  # noqa: PLC0415 - not for --help

    found = steer.connected("locations", lambda connection: locations.find(connection, str(site), location))
    steer.show(asdict(found), as_json=as_json)


@app.command()
def create(site: Site, given: Given, as_json: AsJson = False) -> None:
    """Make a location, such as: create SITE name=Shop code=SHOP type=store; it goes last unless said otherwise.

    Fields: code, name, type (warehouse, store, fulfillment_center or dropship), address_line_1, address_line_2, city,
    state, postal_code, country, contact_name, contact_email, contact_phone, fulfillment_priority, is_default,
    is_active.
    """
    from stock_worker.store.steering import locations  # noqa: PLC0415 - not for --help

    fields = steer.read_fields("a location", locations.FIELDS, given)
    made = steer.connected("locations", lambda connection: locations.create(connection, str(site), fields))
    steer.show(asdict(made), as_json=as_json)


@app.command("set")
def set_(site: Site, location: Named, given: Given, as_json: AsJson = False) -> None:
    """Change fields of a location, those of `create`."""
    from stock_worker.store.steering import locations  # noqa: PLC0415 - not for --help

    _change(site, location, steer.read_fields("a location", locations.FIELDS, given), as_json=as_json)


@app.command()
def default(site: Site, location: Named, as_json: AsJson = False) -> None:
    """Make a location the site's default; no stock moves."""
    _change(site, location, {"is_default": True}, as_json=as_json)


@app.command()
def deactivate(site: Site, location: Named, as_json: AsJson = False) -> None:
    """Take an empty location out of use; goods that arrive there take it into use again."""
    _change(site, location, {"is_active": False}, as_json=as_json)


@app.command()
def archive(site: Site, location: Named, as_json: AsJson = False) -> None:
    """Close an empty location for good; it is kept for the history."""
    from stock_worker.store.steering import locations  # noqa: PLC0415 - not for --help

    _on(site, location, locations.archive, as_json=as_json)


@app.command()
def restore(site: Site, location: Named, as_json: AsJson = False) -> None:
    """Take an inactive or archived location into use again; it goes last in priority."""
    from stock_worker.store.steering import locations  # noqa: PLC0415 - not for --help

    _on(site, location, locations.restore, as_json=as_json)


def _change(site: Any, location: str, given: dict[str, Any], *, as_json: bool) -> None:  # noqa: ANN401 - a site's id
    from stock_worker.store.steering import locations  # noqa: PLC0415 - not for --help

    async def change(connection: "asyncpg.Connection", site_id: str, location_id: str) -> "Location | Refused":
        return await locations.change(connection, site_id, location_id, given)

    _on(site, location, change, as_json=as_json)


def _on(
    site: Any,  # noqa: ANN401 - a site's id
    name: str,
    work: "Callable[[asyncpg.Connection, str, str], Awaitable[Location | Refused]]",
    *,
    as_json: bool,
) -> None:
    """Do something to the location of this name, and show it as it is then."""
    from stock_worker.store.steering import locations  # noqa: PLC0415 - not for --help
    from stock_worker.store.steering.refused import Refused  # noqa: PLC0415 - the same

    async def named(connection: "asyncpg.Connection") -> "Location | Refused":
        found = await locations.find(connection, str(site), name)
        return found if isinstance(found, Refused) else await work(connection, str(site), found.location_id)

    steer.show(asdict(steer.connected("locations", named)), as_json=as_json)


def _state(location: "Location") -> str:
    if location.is_default:
        return "default"
    if location.is_active:
        return "active"
    return "inactive" if location.archived_at is None else "archived"
