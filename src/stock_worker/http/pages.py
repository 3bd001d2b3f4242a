"""Lists that people page through. Law: a page is as long as was asked for, and says how much there is in all.

Source: contract section 7 (page number and limit with total).
"""

from typing import Annotated, Final, NamedTuple

from fastapi import Depends, Query

from stock_worker.http.shapes import Shape

LIMIT: Final = 50
LIMIT_MAX: Final = 200
PAGE_MAX: Final = 1_000_000

Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX, description="How many at most.")]


class Pagination(Shape):
    """Where in a list its page is. `total` is what passes the filters, on all pages."""

    page: int
    limit: int
    total: int
    total_pages: int


class Page(NamedTuple):
    """The page that was asked for."""

    number: int
    limit: int

    @property
    def offset(self) -> int:
        """How many come before it."""
        return (self.number - 1) * self.limit

    def of(self, total: int) -> Pagination:
        """Say where it is in a list of so many."""
        return Pagination(page=self.number, limit=self.limit, total=total, total_pages=-(-total // self.limit))


async def _page(
    page: Annotated[int, Query(ge=1, le=PAGE_MAX, description="From 1.")] = 1, limit: Limit = LIMIT
) -> Page:
    return Page(page, limit)


Paged = Annotated[Page, Depends(_page)]
