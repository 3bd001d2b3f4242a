"""The dialog that changes stock. Law: what was asked is booked once, and a refusal says what would be possible.

A form has a key of its own, which its command is booked under: a second click or a try again gets the first answer. A
refusal is for ever, so the form that it is shown in has a new key; the script draws one at each edit. Source: contract
rule 1, section 7 (writes, the page).
"""

import secrets
from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from stock_worker.http.access import Access, Books
from stock_worker.http.admin.failing import PageRoute
from stock_worker.http.admin.forms import Fields, Form
from stock_worker.http.admin.inventory import places_of
from stock_worker.http.admin.items import Meant, Row, read_row
from stock_worker.http.admin.kinds import GROUPS, REASONS, UNDONE_BY_HAND, Asked, read_form, undoing
from stock_worker.http.admin.rendering import is_part, render
from stock_worker.http.admin.session import HOME, Visit, Writing, about
from stock_worker.http.backend import Backend
from stock_worker.http.problems import Problem
from stock_worker.http.routes import writes
from stock_worker.http.routes.history import read_reference
from stock_worker.http.shapes import Written

router = APIRouter(prefix=HOME, include_in_schema=False, route_class=PageRoute)

_KEY_BYTES: Final = 12
_KEY_MAX: Final = 128
_ROUTES: Final = {
    "adjustments": writes.adjust,
    "adjustments/bulk": writes.adjust_many,
    "counts": writes.count,
    "restocks": writes.restock,
}


@router.get("/adjust")
async def ask(request: Request, books: Books, here: Writing, ref: Meant) -> Response:
    """Show the form for an item."""
    return await _form(request, books, here, await read_row(books, here.access, ref), {}, status=200)


@router.post("/adjust")
async def adjust(request: Request, books: Books, form: Form, here: Writing, ref: Meant) -> Response:
    """Book what the form asks for; a refusal is shown in the form."""
    key = form.get("key") or new_key()
    try:
        asked = read_form(form, ref, here.figures.amount(form["unit_cost"]) if "unit_cost" in form else None)
        told = await write(request, books, here.access, key, asked)
    except Problem as problem:
        row = await read_row(books, here.access, ref)
        refused = {"problem": problem, "possible": possible(problem)}
        return await _form(request, books, here, row, again(form, key, problem), status=problem.status, refused=refused)
    return _done(request, here, await read_row(books, here.access, ref), told)


@router.post("/undo")
async def undo(request: Request, books: Books, form: Form, here: Writing, ref: Meant) -> Response:
    """Take back what a form booked, once."""
    kind, name = form.get("reference_type", ""), form.get("reference_id", "")
    asked = None
    if kind in UNDONE_BY_HAND:
        rows = (await read_reference(books, here.access, kind, name)).rows
        mine = [row for row in rows if (row.product_id, row.variant_id) == ref]
        asked = undoing(name, ref, mine) if len(mine) == len(rows) else None
    if asked is None or len(key := f"undo-{name}") > _KEY_MAX:
        raise Problem("conflict", "This cannot be undone here; book the opposite.")
    told = await write(request, books, here.access, key, asked)
    return _done(request, here, await read_row(books, here.access, ref), told, is_undo=True)


def new_key() -> str:
    """Draw a key that no form had."""
    return f"page-{secrets.token_urlsafe(_KEY_BYTES)}"


def filled(kept: Fields) -> dict[str, str]:
    """Fill a form with what was typed, under the key of that or a new one."""
    return {**_FRESH, "key": new_key(), **kept}


def again(form: Fields, key: str, problem: Problem) -> Fields:
    """Keep what was typed for another try: under the same key where nobody knows whether it was booked."""
    return {**form, "key": key if problem.code in _UNANSWERED else new_key()}


def possible(problem: Problem) -> int | None:
    """How many of the units that were refused could be had at that moment; None where that is not the matter."""
    lines = problem.more.get("lines") or ()
    return next((units for line in lines if (units := possible_of(line)) is not None), None)


def possible_of(line: Mapping[str, Any]) -> int | None:
    """How many of a refused line's units could be had; None where that is not the matter."""
    requested, shortfall = line.get("requested"), line.get("shortfall")
    if isinstance(requested, int) and isinstance(shortfall, int):
        return max(0, abs(requested) - shortfall)
    return None


async def write(request: Request, books: Backend, access: Access, key: str, asked: Asked) -> Written:
    """Book a command by the API's own route. Raises Problem."""
    return await _ROUTES[asked.route](request, books, access, key, asked.body)


async def _form(
    request: Request,
    books: Backend,
    here: Visit,
    row: Row,
    kept: Fields,
    *,
    status: int,
    refused: Mapping[str, Any] | None = None,
) -> Response:
    context = {
        **about(here),
        "row": row,
        "kept": filled(kept),
        "groups": GROUPS,
        "reasons": REASONS,
        "locations": await places_of(books, here),
        "refused": refused,
    }
    template = "parts/adjust.html" if is_part(request) else "adjust.html"
    return render(request, template, context, status=status)


def _done(request: Request, here: Visit, row: Row, told: Written, *, is_undo: bool = False) -> Response:
    change = sum(booked.quantity for booked in told.rows)
    context = {
        **about(here),
        "row": row,
        "rows": [row],
        "opened": None,
        "told": told,
        "is_undo": is_undo,
        "change": change,
        "may_undo": bool(told.rows) and not is_undo,
    }
    if is_part(request):
        # The form stays as it is until its dialog closes, which the script does; a toast is swapped by its undoing.
        said = {} if is_undo else {"HX-Reswap": "none", "HX-Trigger-After-Swap": "adjusted"}
        return render(request, "parts/adjusted.html", context, headers=said)
    return render(request, "adjusted.html", context)


_FRESH: Final = dict.fromkeys(("quantity", "unit_cost", "location", "reason", "note", "version"), "") | {
    "kind": "restock"
}
_UNANSWERED: Final = frozenset({"unavailable", "timed_out", "internal_error", "too_many_requests"})
