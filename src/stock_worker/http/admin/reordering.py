"""What to reorder. Law: it is the API's report: what is at or below its reorder point, as a whole or at a location.

Source: contract section 7 (`/reports/reorder`, the page).
"""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from stock_worker.http.access import Books
from stock_worker.http.admin.alerts import ALERTS, rule_path, table_path
from stock_worker.http.admin.failing import PageRoute
from stock_worker.http.admin.items import STATUSES, Named, Ref, Status
from stock_worker.http.admin.rendering import is_part, render
from stock_worker.http.admin.session import Here, about
from stock_worker.http.pages import LIMIT, PAGE_MAX
from stock_worker.http.routes.reports import ShortAsked, report_reorder
from stock_worker.http.shapes_reports import ReorderLine, ReorderReport

router = APIRouter(prefix=ALERTS, include_in_schema=False, route_class=PageRoute)


class Due(Named):
    """A line of the report as the page shows it."""

    def __init__(self, line: ReorderLine, site_id: str) -> None:
        super().__init__(Ref(line.product_id, line.variant_id), site_id, (line.name, line.variant_name))
        self.line = line

    @property
    def status(self) -> Status:
        """Say how the item stands."""
        return STATUSES[self.line.alert_level]

    @property
    def rule(self) -> str:
        """Where what the item is held to is shown and set."""
        return rule_path(self.ref.query(self.site_id))

    @property
    def inventory(self) -> str:
        """Where the item is in the table."""
        return table_path(self.site_id, self.line.sku or self.line.name)


@router.get("/reorder")
async def show(
    request: Request, books: Books, here: Here, page: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 1
) -> Response:
    """Show what is at or below its reorder point, and how much to order."""
    found = await report_reorder(request, books, here.access, ShortAsked(page=page, limit=LIMIT, format="json"))
    assert isinstance(found, ReorderReport)

    def page_path(number: int) -> str:
        return f"{ALERTS}/reorder?site={here.site_id}" + (f"&page={number}" if number > 1 else "")

    context = {
        **about(here),
        "rows": [Due(line, here.site_id) for line in found.items],
        "pagination": found.pagination,
        "page_path": page_path,
    }
    if is_part(request):
        return render(request, "parts/reorder.html", context, headers={"HX-Push-Url": page_path(page)})
    return render(request, "reorder.html", context)
