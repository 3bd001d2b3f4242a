"""The dialog that moves goods between locations. Law: it is booked once, and a refusal says what could be moved.

An item is looked for first unless the address names it; what would be left at both places is shown beforehand. Keys
are those of `adjusting`. Source: contract rules 1 and 4 (transfer), section 7 (writes, the page).
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, BeforeValidator, Field

from stock_worker.http.access import Books
from stock_worker.http.admin.adjusting import again, new_key, possible
from stock_worker.http.admin.failing import PageRoute
from stock_worker.http.admin.forms import Fields, Form
from stock_worker.http.admin.inventory import SEARCH_MIN, places_of, searched
from stock_worker.http.admin.items import Meant, Ref, Row, read_row
from stock_worker.http.admin.locations import PLACES
from stock_worker.http.admin.rendering import is_part, render
from stock_worker.http.admin.session import Visit, Writing, about
from stock_worker.http.backend import Backend
from stock_worker.http.parameters import PlainText
from stock_worker.http.problems import Problem
from stock_worker.http.routes import writes
from stock_worker.http.routes.items import ItemsAsked, list_items
from stock_worker.http.shapes_steering import Location

router = APIRouter(prefix=PLACES, include_in_schema=False, route_class=PageRoute)

_FOUND_MAX: Final = 8
_WHOLE: Final = re.compile(r"[0-9]{1,12}")
_NONE_WHERE_EMPTY: Final = BeforeValidator(lambda value: value or None)
_Place = Annotated[UUID | None, _NONE_WHERE_EMPTY]


class Asked(BaseModel):
    """What is filled in already, as the address says it. `from` is no name in Python."""

    q: Annotated[PlainText, Field(max_length=500)] = ""
    source: Annotated[_Place, Field(alias="from")] = None
    target: Annotated[_Place, Field(alias="to")] = None
    quantity: Annotated[str, Field(max_length=20)] = ""

    @property
    def fields(self) -> dict[str, str]:
        """The same as fields of the form, without what is empty."""
        said = {"from": self.source, "to": self.target, "quantity": self.quantity}
        return {name: str(value) for name, value in said.items() if value}


class Side(NamedTuple):
    """A location of the transfer: what can be taken there now, and what would be there then."""

    name: str
    now: int
    then: int


async def _maybe(
    product: Annotated[UUID | None, Query()] = None, variant: Annotated[UUID | None, Query()] = None
) -> Ref | None:
    return None if product is None else Ref(product, variant)


@router.get("/transfer")
async def ask(
    request: Request,
    books: Books,
    here: Writing,
    ref: Annotated[Ref | None, Depends(_maybe)],
    asked: Annotated[Asked, Query()],
) -> Response:
    """Show the form for an item; without one, look for it."""
    if ref is None:
        return await _look(request, books, here, asked)
    return await _form(request, books, here, await read_row(books, here.access, ref), asked.fields)


@router.get("/preview")
async def preview(
    request: Request, books: Books, here: Writing, ref: Meant, asked: Annotated[Asked, Query()]
) -> Response:
    """Show what a transfer would leave at both places."""
    row = await read_row(books, here.access, ref)
    sides = sides_of(row, await places_of(books, here), asked.fields)
    return render(request, "parts/transfer_preview.html", {**about(here), "sides": sides})


@router.post("/transfer")
async def transfer(request: Request, books: Books, form: Form, here: Writing, ref: Meant) -> Response:
    """Move what the form asks for; a refusal is shown in the form."""
    key = form.get("key") or new_key()
    row = await read_row(books, here.access, ref)
    try:
        told = await writes.transfer(request, books, here.access, key, read_form(form, ref))
    except Problem as problem:
        kept = again(form, key, problem)
        return await _form(request, books, here, row, kept, problem)
    names = {str(each.location_id): each.name for each in await places_of(books, here)}
    context = {
        **about(here),
        "row": row,
        "told": told,
        "quantity": int(form["quantity"]),
        "source": names.get(form["from"], "a location"),
        "target": names.get(form["to"], "a location"),
    }
    if is_part(request):
        said = {"HX-Reswap": "none", "HX-Trigger-After-Swap": "adjusted"}
        return render(request, "parts/transferred.html", context, headers=said)
    return render(request, "transferred.html", context)


def read_form(form: Fields, ref: Ref) -> dict[str, Any]:
    """Read a form as the command's body. Raises Problem: malformed."""
    if "from" not in form or "to" not in form:
        raise Problem("malformed", "Choose where it comes from and where it goes.")
    if not _WHOLE.fullmatch(text := form.get("quantity", "")):
        raise Problem("malformed", "Quantity is a whole number, in digits alone.")
    line = {"product_id": str(ref.product), "variant_id": ref.variant and str(ref.variant), "quantity": int(text)}
    return {
        "from_location_id": form["from"],
        "to_location_id": form["to"],
        "reason": form.get("reason"),
        "note": form.get("note"),
        "lines": [line],
    }


def sides_of(row: Row, places: list[Location], fields: Mapping[str, str]) -> list[Side]:
    """Say what a transfer would leave available at its locations; those that are not chosen yet are left out."""
    names = {str(each.location_id): each.name for each in places}
    lies = {str(each.location_id): each.available for each in row.item.locations}
    text = fields.get("quantity", "")
    units = int(text) if _WHOLE.fullmatch(text) else 0
    chosen = [(fields.get("from"), -units), (fields.get("to"), units)]
    if chosen[0][0] == chosen[1][0]:
        chosen = chosen[:1]
    return [
        Side(names[place], now := lies.get(place, 0), now + (change if len(chosen) > 1 else 0))
        for place, change in chosen
        if place in names
    ]


async def _look(request: Request, books: Backend, here: Visit, asked: Asked) -> Response:
    search = searched(asked.q)
    found = await list_items(books, here.access, ItemsAsked(search=search, limit=_FOUND_MAX))

    def path(row: Row) -> str:
        return f"{PLACES}/transfer?{row.ref.query(here.site_id, **asked.fields)}"

    context = {
        **about(here),
        "asked": asked,
        "rows": [(row, path(row)) for row in (Row(item, here.site_id) for item in found.items)],
        "total": found.pagination.total,
        "search_min": SEARCH_MIN,
        "is_searched": search is not None,
    }
    if request.headers.get("hx-target") == "found":
        return render(request, "parts/transfer_items.html", context)
    template = "parts/transfer_look.html" if is_part(request) else "transfer_look.html"
    return render(request, template, context)


async def _form(
    request: Request, books: Backend, here: Visit, row: Row, kept: Fields, refused: Problem | None = None
) -> Response:
    places = await places_of(books, here)
    fresh = dict.fromkeys(("from", "to", "quantity", "reason", "note"), "") | {"key": new_key()}
    context = {
        **about(here),
        "row": row,
        "kept": {**fresh, **kept},
        "locations": places,
        "lies": {each.location_id: each.available for each in row.item.locations},
        "sides": sides_of(row, places, kept),
        "action": f"{PLACES}/transfer?{row.ref.query(here.site_id)}",
        "preview": f"{PLACES}/preview?{row.ref.query(here.site_id)}",
        "another": f"{PLACES}/transfer?{urlencode({'site': here.site_id})}",
        "refused": refused,
        "possible": None if refused is None else possible(refused),
    }
    template = "parts/transfer.html" if is_part(request) else "transfer.html"
    return render(request, template, context, status=refused.status if refused else 200)
