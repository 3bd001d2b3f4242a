"""What moves while somebody looks. Law: it is the API's stream, for who holds the cookie in the place of a header.

A browser's EventSource sends no bearer. A page reads anew what it shows, so it is told which items moved and not how:
500 orders of two lines a second are a thousand events. Source: contract section 7 (`…/stream`, the page).
"""

import json
from collections.abc import Collection
from typing import Annotated, Final

from fastapi import APIRouter, Header, Query, Response

from stock_worker.http.access import Books
from stock_worker.http.admin.failing import PageRoute
from stock_worker.http.admin.items import id_of_key
from stock_worker.http.admin.session import HOME, Here
from stock_worker.http.routes.stream import listen
from stock_worker.http.stream import TOPICS
from stock_worker.http.stream_ids import Position
from stock_worker.http.stream_listener import Event, Listener

router = APIRouter(prefix=HOME, include_in_schema=False, route_class=PageRoute)

MOVED: Final = "moved"
"""The event that a page is told: by topic, the items that moved, each once."""


class Watcher(Listener):
    """One who looks at a page: whatever moved since he was told last is one event."""

    def __init__(self, site_id: str, topics: Collection[str], position: Position) -> None:
        super().__init__(site_id, topics, position)
        self._moved: dict[str, dict[str, None]] = {}

    def write(self, event: Event) -> bytes:
        """Note the item, for the rest."""
        self._moved.setdefault(event.topic, {})[id_of_key(event.key)] = None
        return b""

    def rest(self) -> bytes:
        """Write the items that were noted."""
        if not self._moved:
            return b""
        moved = {topic: list(items) for topic, items in self._moved.items()}
        self._moved.clear()
        return self.text(MOVED, json.dumps(moved).encode())


@router.get("/live")
async def live(
    books: Books,
    here: Here,
    last_event_id: Annotated[str | None, Query()] = None,
    last_event_id_header: Annotated[str | None, Header(alias="Last-Event-ID")] = None,
) -> Response:
    """Tell which items' stock or level changed, from now or after the last event there was."""
    last = last_event_id_header or last_event_id
    return await listen(books, here.access, here.session.token, TOPICS, last, Watcher)
