"""What is asked of a site's items. Law: each answer is of one snapshot, that of the connection and of the columns both.

What columns do not hold (places, dismissals, rules) is read beside them. Whoever asks has the columns to itself until
it has its answer (sites.py). Source: contract section 7, cases H1, H3 and H5.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np

from stock_worker.projection import due, lists, sums
from stock_worker.projection.columns import Columns, Ints
from stock_worker.projection.refresh import ids_of
from stock_worker.store.reads import alerts, reports
from stock_worker.store.reads.items import Listed, Order, Slice, Wanted
from stock_worker.store.sql import statements

if TYPE_CHECKING:
    from asyncpg import Connection

T = TypeVar("T")
Question = Callable[["Connection", Columns, str], Awaitable[T]]
"""Asked on a snapshot, of the columns as it has them, of a site."""

SQL: Final = statements("projection")


@dataclass(frozen=True, slots=True)
class ListItems:
    """Which items fit, and a slice of them; with the sums over all tracked ones where they are asked for."""

    wanted: Wanted
    order: Order = Order()  # noqa: RUF009 - a value
    part: Slice = Slice()  # noqa: RUF009 - a value
    summary: bool = False

    async def __call__(self, connection: "Connection", columns: Columns, site_id: str) -> Listed:
        """Answer."""
        at_location = None
        if self.wanted.location_id is not None:
            at_location = ids_of(await connection.fetchval(SQL["at_location"], site_id, self.wanted.location_id))
        fits = lists.fitting(columns, self.wanted, at_location)
        ids = lists.page(columns, fits, self.order, self.part).tolist()
        return Listed(int(fits.sum()), ids, sums.summary(columns) if self.summary else {})


async def find_untracked(_connection: "Connection", columns: Columns, _site_id: str) -> Ints:
    """Give the ids of the items that are not tracked: they do not count in what moved."""
    return columns.item_id[~columns.tracked]


async def value(connection: "Connection", columns: Columns, site_id: str) -> dict[str, Any]:
    """Value the stock of a site now."""
    return await reports.valued(connection, site_id, sums.by_category(columns))


@dataclass(frozen=True, slots=True)
class FindDue:
    """What is to be reordered: how much, and a slice of it."""

    part: Slice = Slice()  # noqa: RUF009 - a value

    async def __call__(self, connection: "Connection", columns: Columns, site_id: str) -> tuple[int, list[reports.Due]]:
        """Answer."""
        points = {row["key"]: row["reorder_point"] for row in await connection.fetch(SQL["reorder_points"], site_id)}
        places = [
            due.Place(row["item_id"], str(row["location_id"]), row["reorder_point"], row["code"])
            for row in await connection.fetch(SQL["short_places"], site_id)
        ]
        return due.due(columns, points, places, self.part)


@dataclass(frozen=True, slots=True)
class FindAlerts:
    """How many items are at an alert that fits, and a slice of their ids, the worst first."""

    filters: alerts.Filters
    part: Slice

    async def __call__(self, connection: "Connection", columns: Columns, site_id: str) -> tuple[int, list[int]]:
        """Answer."""
        dismissed: Ints | None = None
        if self.filters.dismissed is not None:
            rows = await connection.fetch(SQL["dismissed"], site_id)
            dismissed = np.array([row["item_id"] for row in rows], np.int64)
        without, within = (None, dismissed) if self.filters.dismissed else (dismissed, None)
        wanted = Wanted(search=self.filters.search, category_id=self.filters.category_id)
        among = None if wanted == Wanted() else lists.fitting(columns, wanted, None)
        total, ids = lists.alerts(columns, self.filters.level, without, within, self.part, among)
        return total, ids.tolist()
