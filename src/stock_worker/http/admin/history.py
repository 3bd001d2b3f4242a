"""The drawer of one item. Law: each row of the ledger says who, what, when and why, and where its command came from.

It pages by the API's cursor, so what comes in meanwhile moves nothing. Days and moments in its address are the site's.
Source: contract section 2, section 7 (history, `as_of`, the page).
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, BeforeValidator, Field, NaiveDatetime

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
from stock_worker.store.reads.reports import midnight

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

_FIRST: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - in the site's zone, as what it bounds
_LAST: Final = datetime(9999, 1, 1)  # noqa: DTZ001 - the same
_NONE_WHERE_EMPTY: Final = BeforeValidator(lambda value: value or None)
_Day = Annotated[date, Field(ge=_FIRST.date(), lt=_LAST.date())]
_Moment = Annotated[NaiveDatetime, Field(ge=_FIRST, lt=_LAST)]


class Asked(BaseModel):
    """What of an item's history is asked for, as its address says it: a type, the days from and to, and a moment."""

    type: Annotated[MovementType | None, _NONE_WHERE_EMPTY] = None
    since: Annotated[_Day | None, _NONE_WHERE_EMPTY, Field(alias="from")] = None
    until: Annotated[_Day | None, _NONE_WHERE_EMPTY, Field(alias="to")] = None
    at: Annotated[_Moment | None, _NONE_WHERE_EMPTY] = None
    cursor: Annotated[str | None, Field(max_length=200)] = None

    @property
    def is_narrowed(self) -> bool:
        """Whether some movements are left out."""
        return bool(self.type or self.since or self.until)

    def then(self, zone: ZoneInfo) -> datetime | None:
        """Give the moment at which the item is asked for."""
        return None if self.at is None else self.at.replace(tzinfo=zone).astimezone(UTC)

    def of_movements(self, zone: ZoneInfo) -> dict[str, Any]:
        """The same, asked of the API; the last day is asked for to its end."""
        since = None if self.since is None else midnight(self.since, zone).isoformat()
        until = None if self.until is None else midnight(self.until + timedelta(days=1), zone).isoformat()
        return {"type": [self.type] if self.type else [], "from": since, "to": until, "cursor": self.cursor}

    def said(self) -> dict[str, str]:
        """The same as parts of an address."""
        return {name: str(value) for name, value in self.model_dump(mode="json", by_alias=True).items() if value}


@router.get("/history")
async def show(
    request: Request,
    books: Books,
    here: Here,
    ref: Meant,
    asked: Annotated[Asked, Query()],
) -> Response:
    """Show what moved of an item, the newest first; with a cursor the part that follows."""
    zone = here.figures.zone
    found = await _movements(books, here, ref, asked.of_movements(zone), LIMIT)
    more = None
    if found.next_cursor is not None:
        said = asked.said() | {"cursor": found.next_cursor}
        more = f"{HOME}/history?{ref.query(here.site_id, **said)}"
    context = {
        **about(here),
        "movements": found.movements,
        "more": more,
        "types": TYPES,
        "names": await _names(books, here),
    }
    if asked.cursor is not None and is_part(request):
        return render(request, "parts/movements.html", context)
    drawn = found
    if asked.is_narrowed or asked.cursor is not None or found.next_cursor is not None:
        drawn = await _movements(books, here, ref, {}, LIMIT_MAX)
    then = asked.then(zone)
    context |= {
        "row": await read_row(books, here.access, ref),
        "total": found.total,
        "total_is_exact": found.total_is_exact,
        "asked": asked,
        "then": then,
        "was": None if then is None else await read_row(books, here.access, ref, then),
        "chart": chart_of([Point(each.recorded_at, each.new_stock) for each in drawn.movements]),
        "chart_size": (WIDTH, HEIGHT),
    }
    return render(request, "parts/history.html" if is_part(request) else "history.html", context)


async def _movements(books: Backend, here: Visit, ref: Ref, narrowed: Mapping[str, Any], limit: int) -> Movements:
    variant_id = "none" if ref.variant is None else str(ref.variant)
    item = {"product_id": ref.product, "variant_id": variant_id, "limit": limit}
    return await list_movements(books, here.access, MovementsAsked.model_validate({**item, **narrowed}))


async def _names(books: Backend, here: Visit) -> dict[str, str]:
    """Give the names of the site's locations by id, of those that are closed too; none where there is but one."""
    found = (await list_locations(books, here.access, Page(1, LIMIT_MAX), is_active=None)).locations
    return {str(each.location_id): each.name for each in found} if len(found) > 1 else {}
