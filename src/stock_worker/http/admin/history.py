"""The drawer of one item. Law: each row of the ledger says who, what, when and why, and where its command came from.

It pages by the API's cursor, so what comes in meanwhile moves nothing. Source: contract section 2, section 7 (history,
the page).
"""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response
from pydantic import BeforeValidator

from stock_worker.core.model import MovementType
from stock_worker.http.access import Books
from stock_worker.http.admin.chart import HEIGHT, WIDTH, Point, chart_of
from stock_worker.http.admin.failing import PageRoute
from stock_worker.http.admin.items import Meant, Ref, read_row
from stock_worker.http.admin.rendering import is_part, render
from stock_worker.http.admin.session import HOME, Here, Visit, about
from stock_worker.http.backend import Backend
from stock_worker.http.pages import LIMIT, LIMIT_MAX, Page
from stock_worker.http.routes.history import list_movements
from stock_worker.http.routes.locations import list_locations
from stock_worker.http.shapes_history import Movements, MovementsAsked

router = APIRouter(prefix=HOME, include_in_schema=False, route_class=PageRoute)

TYPES: Final = {
    MovementType.SALE: "Sale",
    MovementType.RESTOCK: "Restock",
    MovementType.RETURN: "Return",
    MovementType.ADJUSTMENT: "Adjustment",
    MovementType.DAMAGE: "Damaged",
    MovementType.EXPIRED: "Expired",
    MovementType.TRANSFER: "Transfer",
    MovementType.RESERVED: "Reserved",
    MovementType.UNRESERVED: "Released",
}
"""Each type in words, in the order in which a person picks one."""

Type = Annotated[MovementType | None, BeforeValidator(lambda value: value or None), Query()]


@router.get("/history")
async def show(
    request: Request,
    books: Books,
    here: Here,
    ref: Meant,
    type_: Annotated[Type, Query(alias="type")] = None,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """Show what moved of an item, the newest first; with a cursor the part that follows."""
    found = await _movements(books, here, ref, type_, cursor, LIMIT)
    more = None
    if found.next_cursor is not None:
        said = {"cursor": found.next_cursor} | ({} if type_ is None else {"type": type_.value})
        more = f"{HOME}/history?{ref.query(here.site_id, **said)}"
    context = {
        **about(here),
        "movements": found.movements,
        "more": more,
        "types": TYPES,
        "names": await _names(books, here),
    }
    if cursor is not None and is_part(request):
        return render(request, "parts/movements.html", context)
    drawn = found if type_ is None and cursor is None else None
    if drawn is None or found.next_cursor is not None:
        drawn = await _movements(books, here, ref, None, None, LIMIT_MAX)
    context |= {
        "row": await read_row(books, here.access, ref),
        "total": found.total,
        "total_is_exact": found.total_is_exact,
        "chosen": type_,
        "chart": chart_of([Point(each.recorded_at, each.new_stock) for each in drawn.movements]),
        "chart_size": (WIDTH, HEIGHT),
    }
    return render(request, "parts/history.html" if is_part(request) else "history.html", context)


async def _movements(
    books: Backend, here: Visit, ref: Ref, kind: MovementType | None, cursor: str | None, limit: int
) -> Movements:
    asked = MovementsAsked(
        product_id=ref.product,
        variant_id="none" if ref.variant is None else str(ref.variant),
        type=[] if kind is None else [kind],
        cursor=cursor,
        limit=limit,
    )
    return await list_movements(books, here.access, asked)


async def _names(books: Backend, here: Visit) -> dict[str, str]:
    """Give the names of the site's locations by id, of those that are closed too; none where there is but one."""
    found = (await list_locations(books, here.access, Page(1, LIMIT_MAX), is_active=None)).locations
    return {str(each.location_id): each.name for each in found} if len(found) > 1 else {}
