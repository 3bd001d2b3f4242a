"""Dismiss an alert. Law: one episode is hidden, and nothing else: the next stay at a level is told again.

The ids of an item's alerts are one series, so an old one still names its item, and can be told from one that never
was. An alert that ends while it is dismissed is hidden for the moment that it had left. Source: contract rule 10.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID

from stock_worker.core.ids import numbered
from stock_worker.core.model import Level
from stock_worker.store.sql import statements
from stock_worker.store.steering.fields import NAME_MAX, text, unfit
from stock_worker.store.steering.refused import Refused, Why

if TYPE_CHECKING:
    from asyncpg import Connection

SQL: Final = statements("dismissals")
_NUMBER_DIGITS: Final = 12
_LAST_NUMBER: Final = 16**_NUMBER_DIGITS - 1
_BY: Final = {"dismissed_by": text(NAME_MAX, clears=False)}


class Dismissal(NamedTuple):
    """Who dismissed an alert, and when: the first time, if it was done again."""

    alert_id: str
    dismissed_at: datetime
    dismissed_by: str


async def dismiss(connection: "Connection", site_id: str, alert_id: str, dismissed_by: str) -> Dismissal | Refused:
    """Dismiss the alert that an item of the site is at."""
    refused = unfit("a dismissal", _BY, {"dismissed_by": dismissed_by})
    if refused is not None:
        return refused
    asked = str(UUID(alert_id))
    series = asked[:-_NUMBER_DIGITS]
    async with connection.transaction():
        item = await connection.fetchrow(
            SQL["item_of_alert"], site_id, numbered(series, 0), numbered(series, _LAST_NUMBER)
        )
        current = None if item is None else str(item["alert_id"])
        if item is None or current is None or asked > current or (asked == current and item["level"] == Level.OK):
            return Refused(Why.NOT_FOUND, f"the site has no alert {asked}")
        if asked < current:
            return Refused(Why.STALE, f"this alert has ended: the item's level is {item['level']} by now")
        await connection.execute(SQL["dismiss"], asked, item["item_id"], site_id, dismissed_by)
        row = await connection.fetchrow(SQL["dismissal"], asked)
        assert row is not None
        return Dismissal(asked, row["dismissed_at"], row["dismissed_by"])
