"""One order, looked up by its id. Law: it shows what became of every unit, what waits, and the rows that say so.

Source: contract rules 5 and 6, section 7 (orders, movements, the page).
"""

from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from pydantic import TypeAdapter, ValidationError

from stock_worker.core.model import Mode
from stock_worker.http.access import Books
from stock_worker.http.admin.failing import PageRoute
from stock_worker.http.admin.history import TYPES
from stock_worker.http.admin.items import Ref, Status
from stock_worker.http.admin.rendering import is_part, render
from stock_worker.http.admin.session import Here, Visit, about
from stock_worker.http.backend import Backend
from stock_worker.http.pages import LIMIT, LIMIT_MAX, Page
from stock_worker.http.problems import Problem
from stock_worker.http.routes.history import list_movements, read_order
from stock_worker.http.routes.locations import list_locations
from stock_worker.http.shapes import Movement
from stock_worker.http.shapes_history import Movements, MovementsAsked, Named, Order
from stock_worker.wire.values import NAME_MAX_CHARACTERS, Name

ORDERS: Final = "/admin/orders"
router = APIRouter(prefix=ORDERS, include_in_schema=False, route_class=PageRoute)

MODES: Final = {Mode.SALE: "Sold when it is placed", Mode.RESERVE: "Reserved until it is fulfilled"}
WAITING: Final = {
    "cancellation": "A cancellation of some lines",
    "fulfilment": "A fulfilment",
    "return": "A return",
}
"""What can wait for an order, in words."""
FIGURES: Final = {
    "placed": "Placed",
    "reserved": "Reserved",
    "fulfilled": "Fulfilled",
    "cancelled": "Cancelled",
    "returned": "Returned",
    "expired": "Expired",
}
"""What is told of a line's units: its name, and the column's words."""

_NAME: Final[TypeAdapter[str]] = TypeAdapter(Name)


@router.get("")
async def show(
    request: Request,
    books: Books,
    here: Here,
    order: Annotated[str, Query()] = "",
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """Show an order, or where to say which; with a cursor the rows of its ledger that follow."""
    name = order.strip()
    if cursor is not None and is_part(request) and _is_name(name):
        return render(request, "parts/order_rows.html", await _ledger(books, here, name, cursor))
    found, message = await _find(books, here, name) if name else (None, None)
    context = {
        **about(here),
        "asked": name,
        "length": NAME_MAX_CHARACTERS,
        "found": found,
        "message": message,
        "standing": found and standing(found),
        "figures": FIGURES,
        "modes": MODES,
        "waiting": WAITING,
        "called": called,
        "item_path": lambda item: item_path(here, item),
    }
    if found is not None:
        context |= await _ledger(books, here, name, cursor)
    if is_part(request):
        address = {"HX-Push-Url": _path(here, name)}
        return render(request, "parts/order.html", context, headers=address)
    return render(request, "orders.html", context, status=404 if message else 200)


def standing(order: Order) -> Status:
    """Say how an order stands, from the totals of its lines."""
    if not order.placed:
        if order.refusal is not None:
            return Status("out", "Refused")
        return Status("untracked", "Cancelled before it was placed" if order.cancelled_whole else "Not placed yet")
    reserved, sold, fulfilled, expired = (
        sum(getattr(line, name) for line in order.lines) for name in ("reserved", "sold", "fulfilled", "expired")
    )
    if reserved:
        return Status("low", "Reserved, partly fulfilled" if fulfilled else "Reserved")
    if not sold:
        return Status("untracked", "Expired" if expired else "Cancelled")
    return Status("ok", "Fulfilled" if fulfilled >= sold else "Partly fulfilled" if fulfilled else "Sold")


def called(item: Named | Movement) -> str:
    """Give the item of a line or a row in words."""
    product = item.name or f"Product {item.product_id}"
    if item.variant_id is None:
        return product
    return f"{product}, {item.variant_name or f'Variant {str(item.variant_id)[:8]}'}"


def item_path(here: Visit, item: Named | Movement) -> str:
    """Give where the history of the item of a line or a row is."""
    return f"/admin/inventory/history?{Ref(item.product_id, item.variant_id).query(here.site_id)}"


async def _find(books: Backend, here: Visit, name: str) -> tuple[Order | None, str | None]:
    """Read an order, or say why there is none."""
    if not _is_name(name):
        return None, f"An order's id has at most {NAME_MAX_CHARACTERS} signs, and no control signs among them."
    try:
        return await read_order(books, here.access, name), None
    except Problem as problem:
        if problem.code != "not_found":
            raise
        return None, "No message ever named this order at this site."


def _is_name(text: str) -> bool:
    try:
        _NAME.validate_python(text)
    except ValidationError:
        return False
    return True


async def _ledger(books: Backend, here: Visit, name: str, cursor: str | None) -> dict[str, object]:
    asked = MovementsAsked(order_id=name, type=[], cursor=cursor, limit=LIMIT)
    found: Movements = await list_movements(books, here.access, asked)
    places = (await list_locations(books, here.access, Page(1, LIMIT_MAX), is_active=None)).locations
    return {
        **about(here),
        "movements": found.movements,
        "total": found.total,
        "total_is_exact": found.total_is_exact,
        "more": found.next_cursor and _path(here, name, cursor=found.next_cursor),
        "names": {each.location_id: each.name for each in places},
        "types": TYPES,
        "called": called,
        "item_path": lambda item: item_path(here, item),
    }


def _path(here: Visit, name: str, **more: str) -> str:
    return f"{ORDERS}?{urlencode({'site': here.site_id, **({'order': name} if name else {}), **more})}"
