"""What moves while somebody looks. Law: it is the API's stream, for who holds the cookie in the place of a header.

A browser's EventSource sends no bearer. Source: contract section 7 (`…/stream`, the page).
"""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Response

from stock_worker.http.access import Books
from stock_worker.http.admin.failing import PageRoute
from stock_worker.http.admin.session import HOME, Here
from stock_worker.http.routes.stream import listen
from stock_worker.http.stream import TOPICS

router = APIRouter(prefix=HOME, include_in_schema=False, route_class=PageRoute)


@router.get("/live")
async def live(
    books: Books,
    here: Here,
    last_event_id: Annotated[str | None, Query()] = None,
    last_event_id_header: Annotated[str | None, Header(alias="Last-Event-ID")] = None,
) -> Response:
    """Tell changes of stock and of levels, from now or after the last event there was."""
    last = last_event_id_header or last_event_id
    return await listen(books, here.access, here.session.token, TOPICS, last)
