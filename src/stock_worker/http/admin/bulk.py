"""One change of several items at once. Law: it is one command under one key, and each item says what became of it.

What was refused can be asked for again, by a form with a new key. Source: contract rule 1, section 7
(`…/adjustments/bulk`, the page).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from fastapi import APIRouter, Request, Response

from stock_worker.http.access import Books
from stock_worker.http.admin.adjusting import again, filled, new_key, possible_of, write
from stock_worker.http.admin.failing import PageRoute
from stock_worker.http.admin.forms import Fields, Form
from stock_worker.http.admin.inventory import places_of
from stock_worker.http.admin.items import Ref, Row, SeveralMeant, read_rows
from stock_worker.http.admin.kinds import GROUPS, REASONS, Asked, counted_name, read_form_of_several, version_name
from stock_worker.http.admin.rendering import is_part, render
from stock_worker.http.admin.session import HOME, Visit, Writing, about
from stock_worker.http.backend import Backend
from stock_worker.http.problems import Problem
from stock_worker.http.shapes import Written

router = APIRouter(prefix=HOME, include_in_schema=False, route_class=PageRoute)

_PATH: Final = f"{HOME}/bulk"
_WITH_THE_OTHERS: Final = "not booked, since another one was refused"


class Told(NamedTuple):
    """What became of one item: the change of what is available, or why there is none.

    `refusal` is None where it was booked; `possible` says how many units could be had, None where that is not why.
    """

    row: Row
    change: int
    refusal: str | None
    possible: int | None


@router.get("/bulk")
async def ask(request: Request, books: Books, here: Writing, refs: SeveralMeant) -> Response:
    """Show the form for some items."""
    return await _form(request, books, here, refs, {}, status=200)


@router.post("/bulk")
async def adjust(request: Request, books: Books, form: Form, here: Writing, refs: SeveralMeant) -> Response:
    """Book what the form asks for of each item, and say what became of each."""
    key = form.get("key") or new_key()
    asked: Asked | None = None
    try:
        asked = read_form_of_several(form, refs)
        told = await write(request, books, here.access, key, asked)
    except Problem as problem:
        if asked is None or not problem.more.get("lines"):
            kept = again(form, key, problem)
            return await _form(request, books, here, refs, kept, status=problem.status, refused=problem)
        return _done(request, here, await _results(books, here, asked, problem), status=problem.status)
    return _done(request, here, await _results(books, here, asked, told), is_repeated=told.repeated)


async def _results(books: Backend, here: Visit, asked: Asked, told: Written | Problem) -> list[Told]:
    if isinstance(told, Problem):
        faults = {line["line_id"]: line for line in told.more["lines"]}
        changes, otherwise = Counter[str | None](), _WITH_THE_OTHERS
    else:
        faults = {line.line_id: line.model_dump() for line in told.lines}
        changes, otherwise = Counter[str | None](), None
        for booked in told.rows:
            changes[booked.line_id] += booked.quantity
    results = []
    names = [line["line_id"] for line in asked.body["lines"]]
    for row in await _rows(books, here, [Ref.of_id(name) for name in names]):
        name = row.ref.id
        if fault := faults.get(name):
            words = fault["detail"] or fault["code"].replace("_", " ")
            results.append(Told(row, 0, words, possible_of(fault)))
        else:
            results.append(Told(row, changes[name], otherwise, None))
    return results


async def _form(
    request: Request,
    books: Backend,
    here: Visit,
    refs: Sequence[Ref],
    kept: Fields,
    *,
    status: int,
    refused: Problem | None = None,
) -> Response:
    rows = await _rows(books, here, refs)
    context = {
        **about(here),
        "chosen": rows,
        "path": _path(here, refs),
        "kept": filled(kept),
        "counted": {row.ref: kept.get(counted_name(row.ref), "") for row in rows},
        "seen": {row.ref: kept.get(version_name(row.ref)) or row.item.version for row in rows},
        "counted_name": counted_name,
        "version_name": version_name,
        "groups": GROUPS,
        "reasons": REASONS,
        "locations": await places_of(books, here),
        "refused": refused,
    }
    return render(request, "parts/bulk.html" if is_part(request) else "bulk.html", context, status=status)


async def _rows(books: Backend, here: Visit, refs: Sequence[Ref]) -> list[Row]:
    """Read the chosen items. Raises Problem: not_found."""
    rows = await read_rows(books, here.access, refs)
    if len(rows) < len(refs):
        raise Problem("not_found", "an item that was chosen never moved and is in no catalog")
    return rows


def _done(
    request: Request, here: Visit, results: Sequence[Told], *, status: int = 200, is_repeated: bool = False
) -> Response:
    refused = [told.row.ref for told in results if told.refusal]
    context = {
        **about(here),
        "results": results,
        "rows": [told.row for told in results],
        "opened": None,
        "refused": refused,
        "again": _path(here, refused),
        "is_repeated": is_repeated,
    }
    if not is_part(request):
        return render(request, "bulk_booked.html", context, status=status)
    if refused:
        return render(request, "parts/bulk_booked.html", context, status=status)
    said = {"HX-Reswap": "none", "HX-Trigger-After-Swap": "adjusted"}
    return render(request, "parts/bulk_booked.html", context, headers=said)


def _path(here: Visit, refs: Iterable[Ref]) -> str:
    return f"{_PATH}?site={here.site_id}" + "".join(f"&item={ref.id}" for ref in refs)
