"""Alerts, and their dismissal. Law: the worst comes first, and says since when, by whose threshold, and what to do.

A dismissal cannot be taken back, so it is asked for once more; what has ended meanwhile is told and changes nothing.
Source: contract rule 10, section 7 (`…/alerts`, the page).
"""

from datetime import datetime, timedelta
from typing import Annotated, Final
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from stock_worker.http.access import Books
from stock_worker.http.admin.failing import PageRoute
from stock_worker.http.admin.forms import Form
from stock_worker.http.admin.inventory import SEARCH_MIN, searched
from stock_worker.http.admin.items import STATUSES, Named, Ref, Status, read_row
from stock_worker.http.admin.rendering import is_part, render
from stock_worker.http.admin.session import Here, Visit, Writing, about
from stock_worker.http.backend import Backend
from stock_worker.http.pages import LIMIT, PAGE_MAX
from stock_worker.http.parameters import PlainText
from stock_worker.http.problems import Problem
from stock_worker.http.routes.alerts import AlertsAsked, Dismissal, Level, dismiss_alert, list_alerts
from stock_worker.http.shapes_steering import Alert

ALERTS: Final = "/admin/alerts"
CHANGED: Final = {"HX-Reswap": "none", "HX-Trigger-After-Swap": "alerts-changed"}
"""Said with an answer after which the list is another: its page asks for it again."""

router = APIRouter(prefix=ALERTS, include_in_schema=False, route_class=PageRoute)

LEVELS: Final[dict[Level, str]] = {"all": "Any level", "out": "Out of stock", "critical": "Critical", "low": "Low"}
SOURCES: Final = {
    "variant": "the variant",
    "product": "the product",
    "site": "the site",
    "settings": "the settings",
    "built-in": "the default",
}
"""Who says what holds, in words."""

_UNITS: Final = ((timedelta(days=1), "day"), (timedelta(hours=1), "hour"), (timedelta(minutes=1), "minute"))
_ENDED: Final = frozenset({"conflict", "not_found"})


class Asked(BaseModel):
    """Which alerts the page is asked to show, as its address says it."""

    q: Annotated[PlainText, Field(max_length=500)] = ""
    level: Level = "all"
    category: Annotated[PlainText, Field(max_length=500)] = ""
    dismissed: Dismissal = "false"
    page: Annotated[int, Field(ge=1, le=PAGE_MAX)] = 1

    @property
    def search(self) -> str | None:
        """What is searched for, once it is long enough."""
        return searched(self.q)

    @property
    def is_narrowed(self) -> bool:
        """Whether some alerts are left out."""
        return bool(self.search or self.category) or self.level != "all"

    @property
    def of_alerts(self) -> AlertsAsked:
        """The same, asked of the API."""
        return AlertsAsked(
            level=self.level,
            dismissed=self.dismissed,
            search=self.search,
            category_id=self.category or None,
            page=self.page,
            limit=LIMIT,
        )

    def path(self, site_id: str, **changes: object) -> str:
        """The address of these alerts but for some changes; it begins at the first page unless that is said."""
        said = self.model_dump() | {"page": 1} | changes
        kept = {name: value for name, value in said.items() if value != Asked.model_fields[name].default}
        return f"{ALERTS}?{urlencode({'site': site_id, **kept})}"


class Shown(Named):
    """An alert as the list shows it."""

    def __init__(self, alert: Alert, site_id: str, now: datetime) -> None:
        ref = Ref(alert.product_id, alert.variant_id)
        super().__init__(ref, site_id, (alert.product_name, alert.variant_name))
        self.alert, self._now = alert, now

    @property
    def status(self) -> Status:
        """Say how the item stands."""
        return STATUSES[self.alert.alert_level]

    @property
    def source(self) -> str:
        """Say whose threshold makes the level."""
        return SOURCES[self.alert.threshold_source]

    @property
    def lasted(self) -> str | None:
        """Say for how long the alert has been told; None where nobody was told."""
        since = self.alert.last_alerted_at
        return None if since is None else lasting(self._now - since)

    @property
    def rule(self) -> str:
        """Where what the item is held to is shown and set."""
        return rule_path(self.ref.query(self.site_id))

    @property
    def dismissal(self) -> str:
        """Where this alert is dismissed."""
        return f"{ALERTS}/dismissal?{self.ref.query(self.site_id, alert=str(self.alert.alert_id))}"

    @property
    def inventory(self) -> str:
        """Where the item is in the table."""
        return table_path(self.site_id, self.alert.sku or self.alert.product_name)


@router.get("")
async def show(request: Request, books: Books, here: Here, asked: Annotated[Asked, Query()]) -> Response:
    """Show the alerts of a site, or the part of the page that a filter changes."""
    found = await list_alerts(books, here.access, asked.of_alerts)
    rows = [Shown(alert, here.site_id, books.clock()) for alert in found.alerts]
    context = {
        **about(here),
        "asked": asked,
        "rows": rows,
        "pagination": found.pagination,
        "levels": LEVELS,
        "search_min": SEARCH_MIN,
        "category": next((row.alert.category_name for row in rows if row.alert.category_name), asked.category),
        "page_path": lambda number: asked.path(here.site_id, page=number),
    }
    if is_part(request):
        address = asked.path(here.site_id, page=asked.page)
        is_there = request.headers.get("hx-current-url", "").endswith(address)  # it is the same list, read again
        return render(request, "parts/alerts.html", context, headers={} if is_there else {"HX-Push-Url": address})
    return render(request, "alerts.html", context)


@router.get("/dismissal")
async def ask_dismissal(
    request: Request,
    books: Books,
    here: Writing,
    alert: Annotated[list[UUID], Query(min_length=1, max_length=LIMIT)],
    product: UUID | None = None,
    variant: UUID | None = None,
) -> Response:
    """Ask whether these alerts are to be dismissed; with an item where it is but the item's."""
    row = None if product is None else await read_row(books, here.access, Ref(product, variant))
    context = {**about(here), "alerts": alert, "row": row}
    return render(request, "parts/dismissal.html" if is_part(request) else "dismissal.html", context)


@router.post("/dismissal")
async def dismiss(request: Request, books: Books, form: Form, here: Writing) -> Response:
    """Dismiss the alerts that a form names, those that have not ended."""
    asked = _ids(form.get("alerts", ""))
    dismissed = sum([await _dismiss(books, here, each) for each in asked])
    context = {**about(here), "dismissed": dismissed, "ended": len(asked) - dismissed}
    if is_part(request):
        return render(request, "parts/dismissed.html", context, headers=CHANGED)
    return render(request, "dismissed.html", context)


def lasting(span: timedelta) -> str:
    """Say how long something lasted, in the greatest unit that it fills."""
    for unit, word in _UNITS:
        if count := span // unit:
            return f"{count} {word}{'' if count == 1 else 's'}"
    return "just now"


def rule_path(query: str) -> str:
    """Where a rule is shown and set; the query names the site, and the item if it is of one."""
    return f"{ALERTS}/rule?{query}"


def table_path(site_id: str, search: str | None) -> str:
    """Where the table shows what a search finds."""
    return f"/admin/inventory?{urlencode({'site': site_id, **({'q': search} if search else {})})}"


async def _dismiss(books: Backend, here: Visit, alert_id: UUID) -> bool:
    try:
        await dismiss_alert(books, here.access, alert_id)
    except Problem as problem:
        if problem.code not in _ENDED:
            raise
        return False
    return True


def _ids(text: str) -> list[UUID]:
    try:
        found = [UUID(each) for each in dict.fromkeys(text.split())]
    except ValueError:
        raise Problem("malformed", "alerts: ids, with spaces between") from None
    if not 0 < len(found) <= LIMIT:
        raise Problem("malformed", f"Choose 1 to {LIMIT} alerts.")
    return found
