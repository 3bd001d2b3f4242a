"""The table. Law: what it shows is in its address, and a row that changes stays where it is.

A row is replaced by itself when its item moves; filters, order and pages are asked anew by who looks. Source: contract
section 7 (the page).
"""

import asyncio
from typing import Annotated, Final, Literal
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, BeforeValidator, Field

from stock_worker.http.access import Books
from stock_worker.http.admin.failing import PageRoute
from stock_worker.http.admin.items import Row, SeveralMeant, read_rows
from stock_worker.http.admin.rendering import is_part, render
from stock_worker.http.admin.session import HOME, Here, Visit, about
from stock_worker.http.backend import Backend
from stock_worker.http.pages import LIMIT, LIMIT_MAX, PAGE_MAX, Page
from stock_worker.http.parameters import PlainText
from stock_worker.http.routes.items import ItemsAsked, Status, list_items
from stock_worker.http.routes.locations import list_locations
from stock_worker.http.shapes_steering import Location
from stock_worker.store.reads.items import Sort

router = APIRouter(prefix=HOME, include_in_schema=False, route_class=PageRoute)

SEARCH_MIN: Final = 3
COLUMNS: Final[dict[Sort, tuple[str, str]]] = {
    "name": ("Product", "asc"),
    "sku": ("Variant (SKU)", "asc"),
    "quantity": ("On hand", "desc"),
    "available": ("Available", "asc"),
    "value": ("Value", "desc"),
    "last_movement": ("Last movement", "desc"),
}
"""What the table is sorted by, the column's words, and which way comes first."""
STATUSES: Final[dict[Status, str]] = {
    "all": "Any status",
    "in_stock": "In stock",
    "low_stock": "Low or critical",
    "critical": "Critical",
    "out_of_stock": "Out of stock",
}

_NONE_WHERE_EMPTY: Final = BeforeValidator(lambda value: value or None)


class Asked(BaseModel):
    """What the table is asked to show, as its address says it."""

    q: Annotated[PlainText, Field(max_length=500)] = ""
    status: Status = "all"
    category: Annotated[PlainText, Field(max_length=500)] = ""
    location: Annotated[UUID | None, _NONE_WHERE_EMPTY] = None
    sort: Sort = "name"
    order: Literal["asc", "desc"] = "asc"
    page: Annotated[int, Field(ge=1, le=PAGE_MAX)] = 1

    @property
    def search(self) -> str | None:
        """What is searched for, once it is long enough."""
        return searched(self.q)

    @property
    def is_narrowed(self) -> bool:
        """Whether some items are left out."""
        return bool(self.q.strip() or self.category or self.location) or self.status != "all"

    @property
    def of_items(self) -> ItemsAsked:
        """The same, asked of the API."""
        return ItemsAsked(
            status=self.status,
            search=self.search,
            category_id=self.category or None,
            location_id=self.location,
            sort=self.sort,
            order=self.order,
            page=self.page,
            limit=LIMIT,
        )


class Table:
    """What is shown, and where everything beside it is."""

    def __init__(self, here: Visit, asked: Asked) -> None:
        self._site_id, self.asked = here.site_id, asked

    def path(self, **changes: object) -> str:
        """The address of this table but for some changes; it begins at the first page unless that is said."""
        said = self.asked.model_dump() | {"page": 1} | changes
        kept = {name: value for name, value in said.items() if value != Asked.model_fields[name].default}
        return f"{HOME}?{urlencode({'site': self._site_id, **kept})}"

    def sorted_path(self, sort: Sort) -> str:
        """The address of this table by another column, or by the same one the other way."""
        if sort == self.asked.sort:
            return self.path(order="desc" if self.asked.order == "asc" else "asc")
        return self.path(sort=sort, order=COLUMNS[sort][1])

    @property
    def everything(self) -> str:
        """The address of all items."""
        return f"{HOME}?{urlencode({'site': self._site_id})}"


@router.get("")
async def show(request: Request, books: Books, here: Here, asked: Annotated[Asked, Query()]) -> Response:
    """Show the items of a site, or the part of the page that a filter changes."""
    found, places = await asyncio.gather(list_items(books, here.access, asked.of_items), places_of(books, here))
    rows = [Row(item, here.site_id) for item in found.items]
    table = Table(here, asked)
    context = {
        **about(here),
        "table": table,
        "asked": asked,
        "rows": rows,
        "pagination": found.pagination,
        "page_path": lambda number: table.path(page=number),
        "columns": COLUMNS,
        "statuses": STATUSES,
        "locations": places,
        "search_min": SEARCH_MIN,
        "category": next((row.item.category_name for row in rows if row.item.category_name), asked.category),
    }
    if is_part(request):
        address = {"HX-Push-Url": table.path(page=asked.page)}
        return render(request, "parts/table.html", context, headers=address)
    return render(request, "inventory.html", context)


@router.get("/rows")
async def show_rows(
    request: Request,
    books: Books,
    here: Here,
    refs: SeveralMeant,
    dialog: Annotated[str, Query(max_length=80)] = "",
) -> Response:
    """Show items as they are now, each in the place of its row; and in the dialog that is open over one of them."""
    rows = await read_rows(books, here.access, refs)  # an item that is no more stays as it was last shown
    opened = next((row for row in rows if row.ref.id == dialog), None)
    return render(request, "parts/rows.html", {**about(here), "rows": rows, "opened": opened})


def searched(text: str) -> str | None:
    """Give what is searched for; None while it is too short for a search."""
    wanted = text.strip()
    return wanted if len(wanted) >= SEARCH_MIN else None


async def places_of(books: Backend, here: Visit) -> list[Location]:
    """Give the locations of a site that are in use."""
    return (await list_locations(books, here.access, Page(1, LIMIT_MAX), is_active=True)).locations
