"""The places that hold stock. Law: they stand as they serve orders, and what cannot be done is said where it was asked.

What is in use is ordered by hand, one step at a time; what is not stays below, for the history. Source: contract
section 1 (location), rule 7, section 7 (locations, the page).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any, Final, NamedTuple, TypeVar
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import ValidationError

from stock_worker.http.access import Access, Books
from stock_worker.http.admin.failing import PageRoute, lead
from stock_worker.http.admin.forms import Fields, Form
from stock_worker.http.admin.rendering import is_part, render
from stock_worker.http.admin.session import Here, Visit, Writing, about
from stock_worker.http.backend import Backend
from stock_worker.http.pages import LIMIT_MAX, Page
from stock_worker.http.problems import Problem
from stock_worker.http.routes import locations as api
from stock_worker.http.shapes_steering import Location, LocationChange, NewLocation

PLACES: Final = "/admin/locations"
router = APIRouter(prefix=PLACES, include_in_schema=False, route_class=PageRoute)

KINDS: Final = {
    "warehouse": "Warehouse",
    "store": "Shop",
    "fulfillment_center": "Fulfilment centre",
    "dropship": "Dropship supplier",
}
"""Each type in words."""


Wanted = TypeVar("Wanted", bound=LocationChange)


class Field(NamedTuple):
    """A field of the form: its words, and what a browser may fill it with."""

    word: str
    autocomplete: str = "off"
    type: str = "text"


ADDRESS: Final[Mapping[str, Field]] = {
    "address_line_1": Field("Address", "address-line1"),
    "address_line_2": Field("Address, second line", "address-line2"),
    "postal_code": Field("Postal code", "postal-code"),
    "city": Field("City", "address-level2"),
    "state": Field("State", "address-level1"),
    "country": Field("Country", "country-name"),
    "contact_name": Field("Contact", "name"),
    "contact_email": Field("Email", "email", "email"),
    "contact_phone": Field("Phone", "tel", "tel"),
}
"""What may be left empty, in the order of the form."""

_KNOWN_BY: Final = ("name", "code", "type")
_FAULTS: Final = {"missing": "is needed", "string_type": "is needed", "string_too_long": "is too long"}
_MISFIT: Final = "is not of the form that it must have"
_STATES: Final[Mapping[str, tuple[Callable[[Backend, Access, UUID], Awaitable[Location]], str]]] = {
    "default": (
        lambda books, access, place: api.change_location(books, access, place, LocationChange(is_default=True)),
        "is the default now",
    ),
    "archived": (api.archive_location, "is archived; it can be taken into use again below"),
    "active": (api.restore_location, "is in use again, last in order"),
}
"""What a location can become: how, and what is said then."""


@router.get("")
async def show(request: Request, books: Books, here: Here) -> Response:
    """Show the locations of a site."""
    return render(request, "locations.html", await _listed(books, here))


@router.get("/new")
async def ask_new(request: Request, books: Books, here: Writing) -> Response:
    """Show the form for a location to be made."""
    del books
    return _form(request, here, None, {"type": "warehouse"})


@router.post("/new")
async def make(request: Request, books: Books, form: Form, here: Writing) -> Response:
    """Make a location; a refusal is shown in the form."""
    try:
        made = await api.create_location(books, here.access, _read(NewLocation, form), Response())
    except Problem as problem:
        return _form(request, here, None, form, refused=problem)
    return await _done(request, books, here, f"{made.name} is made, last in order.")


@router.get("/edit")
async def ask_edit(request: Request, books: Books, here: Writing, location: Annotated[UUID, Query()]) -> Response:
    """Show the form of a location."""
    there = await api.read_location(books, here.access, location)
    return _form(request, here, there, _fields(there))


@router.post("/edit")
async def edit(
    request: Request, books: Books, form: Form, here: Writing, location: Annotated[UUID, Query()]
) -> Response:
    """Change what the form says otherwise; a refusal is shown in it."""
    there = await api.read_location(books, here.access, location)
    kept = _fields(there)
    said = {name: form.get(name) for name in (*_KNOWN_BY, *ADDRESS)}
    changes = {name: value for name, value in said.items() if value != kept.get(name)}
    try:
        now = await api.change_location(books, here.access, location, _read(LocationChange, changes))
    except Problem as problem:
        return _form(request, here, there, form, refused=problem)
    return await _done(request, books, here, f"{now.name} is saved.")


@router.post("/state")
async def become(
    request: Request, books: Books, form: Form, here: Writing, location: Annotated[UUID, Query()]
) -> Response:
    """Make a location the default, archive it or take it into use again; a refusal is shown in its form."""
    found = _STATES.get(form.get("become", ""))
    if found is None:
        raise Problem("malformed", "Choose what it is to become.")
    there = await api.read_location(books, here.access, location)
    act, words = found
    try:
        now = await act(books, here.access, location)
    except Problem as problem:
        return _form(request, here, there, _fields(there), refused=problem)
    return await _done(request, books, here, f"{now.name} {words}.")


@router.post("/move")
async def move(
    request: Request, books: Books, form: Form, here: Writing, location: Annotated[UUID, Query()]
) -> Response:
    """Let a location serve one place sooner or later."""
    steps = {"up": -1, "down": 1}.get(form.get("way", ""))
    if steps is None:
        raise Problem("malformed", "It goes up or down.")
    there = [each for each in await _all(books, here) if each.is_active]
    for place, priority in moved(there, location, steps).items():
        await api.change_location(books, here.access, place, LocationChange(fulfillment_priority=priority))
    return await _done(request, books, here, None)


def moved(there: Sequence[Location], location_id: UUID, steps: int) -> dict[UUID, int]:
    """Give the priorities to change so that one of these locations goes so many places down; none where it cannot.

    The numbers that there are go to other places; only where two are the same do they grow, for equals have no order.
    """
    ids = [each.location_id for each in there]
    if location_id not in ids or not 0 <= ids.index(location_id) + steps < len(ids):
        return {}
    at = ids.index(location_id)
    ids.insert(at + steps, ids.pop(at))
    now = {each.location_id: each.fulfillment_priority for each in there}
    wanted: dict[UUID, int] = {}
    last = None
    for place, number in zip(ids, sorted(now.values()), strict=True):
        last = number if last is None else max(number, last + 1)
        wanted[place] = last
    return {place: number for place, number in wanted.items() if number != now[place]}


async def _all(books: Backend, here: Visit) -> list[Location]:
    return (await api.list_locations(books, here.access, Page(1, LIMIT_MAX), is_active=None)).locations


async def _listed(books: Backend, here: Visit) -> dict[str, Any]:
    found = await _all(books, here)
    return {
        **about(here),
        "kinds": KINDS,
        "active": [each for each in found if each.is_active],
        "closed": [each for each in found if not each.is_active],
    }


async def _done(request: Request, books: Backend, here: Visit, message: str | None) -> Response:
    if not is_part(request):
        return lead(request, f"{PLACES}?{urlencode({'site': here.site_id})}")
    # Whatever form it was, the list is what changes; the script closes the form after.
    said = {"HX-Retarget": "#places", "HX-Reswap": "outerHTML", "HX-Push-Url": "false"}
    if message is not None:
        said["HX-Trigger-After-Swap"] = "adjusted"
    context = await _listed(books, here) | {"message": message}
    return render(request, "parts/places_changed.html", context, headers=said)


def _form(
    request: Request, here: Visit, there: Location | None, kept: Fields, *, refused: Problem | None = None
) -> Response:
    context = {
        **about(here),
        "there": there,
        "kept": {**dict.fromkeys((*_KNOWN_BY, *ADDRESS), ""), **kept},
        "address": ADDRESS,
        "is_detailed": any(kept.get(name) for name in ADDRESS),
        "kinds": KINDS,
        "refused": refused,
        "wrong": {each["field"] for each in refused.more.get("errors", ())} if refused else set(),
    }
    template = "parts/location.html" if is_part(request) else "location.html"
    return render(request, template, context, status=refused.status if refused else 200)


def _fields(there: Location) -> dict[str, str]:
    return {name: value for name in (*_KNOWN_BY, *ADDRESS) if (value := getattr(there, name))}


def _read(shape: type[Wanted], fields: Mapping[str, str | None]) -> Wanted:
    """Read a form as what the API takes. Raises Problem: malformed, with the fields that are wrong."""
    known = {name: value for name, value in fields.items() if name in (*_KNOWN_BY, *ADDRESS)}
    try:
        return shape.model_validate(known)
    except ValidationError as error:
        errors = [
            {"field": str(each["loc"][0]), "message": _FAULTS.get(each["type"], _MISFIT)} for each in error.errors()
        ]
        detail = " ".join(f"{_words(each['field'])} {each['message']}." for each in errors)
        raise Problem("malformed", detail, more={"errors": errors}) from None


def _words(name: str) -> str:
    return ADDRESS[name].word if name in ADDRESS else name.capitalize()
