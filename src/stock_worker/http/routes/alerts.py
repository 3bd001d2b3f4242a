"""Alerts, and their dismissal. Law: dismissing hides one stay at one level; the next one is told again.

Source: contract rule 10 and section 7 (`…/alerts`).
"""

from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query
from pydantic import Field

from stock_worker.http.access import Books, Reader, Writer
from stock_worker.http.documents import problems
from stock_worker.http.parameters import Paged, PlainText
from stock_worker.http.shapes_steering import Alerts, Dismissed
from stock_worker.projection.asked import FindAlerts
from stock_worker.store.reads.alerts import Filters, tell_alerts
from stock_worker.store.reads.items import Slice
from stock_worker.store.steering.alerts import dismiss
from stock_worker.store.steering.fields import NAME_MAX

router = APIRouter(prefix="/sites/{site}/alerts", tags=["alerts"])

_DISMISSED: Final = {"false": False, "true": True, "all": None}

Level = Literal["all", "low", "critical", "out"]
Dismissal = Literal["false", "true", "all"]


class AlertsAsked(Paged):
    """Which alerts."""

    level: Annotated[Level, Field(description="Exactly this level; all is every one but ok.")] = "all"
    dismissed: Annotated[Dismissal, Field(description="Those that are not dismissed, those that are, or both.")] = (
        "false"
    )
    search: Annotated[
        PlainText | None,
        Field(min_length=3, max_length=500, description="A part of name or sku, in any case, sign for sign."),
    ] = None
    category_id: Annotated[PlainText | None, Field(max_length=500, description="Of this category.")] = None

    @property
    def filters(self) -> Filters:
        """Say which alerts are asked for."""
        level = None if self.level == "all" else self.level
        return Filters(level, _DISMISSED[self.dismissed], self.search, self.category_id)


@router.get("", responses=problems())
async def list_alerts(books: Books, access: Reader, asked: Annotated[AlertsAsked, Query()]) -> Alerts:
    """List the items that are low, critical or out, the worst first."""
    question = FindAlerts(asked.filters, Slice(asked.limit, asked.offset))
    async with books.sites.asking(access.sites, access.site_id, question) as (connection, (total, item_ids)):
        alerts = await tell_alerts(connection, access.site_id, item_ids)
    return Alerts.model_validate({"alerts": alerts, "pagination": asked.pagination(total)})


@router.post("/{alert_id}/dismissal", responses=problems("not_found", "conflict"))
async def dismiss_alert(
    books: Books, access: Writer, alert_id: Annotated[UUID, Path(description="One stay at one level.")]
) -> Dismissed:
    """Dismiss the alert that an item is at. 409 where that stay is over: there is another alert, or none, by now."""
    by = access.principal.name[:NAME_MAX]
    done = await books.steer(lambda connection: dismiss(connection, access.site_id, str(alert_id), by))
    return Dismissed.model_validate(done)
