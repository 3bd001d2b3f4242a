"""Changes as server-sent events. Law: nobody is told more than his token allows, nor for longer.

Source: contract section 7 (`…/stream`).
"""

import asyncio
import contextlib
import logging
from collections.abc import Collection
from typing import Annotated, Final

from aiokafka.errors import KafkaError
from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from stock_worker.http.access import Access, Books, Reader
from stock_worker.http.backend import Backend
from stock_worker.http.documents import Responses, problems
from stock_worker.http.stream import TOPICS, Hub
from stock_worker.http.stream_listener import Listener
from stock_worker.http.tokens import expires_at
from stock_worker.log import one_line, say

logger = logging.getLogger(__name__)

router = APIRouter(prefix="/sites/{site}", tags=["stream"])

LASTS_MAX_S: Final = 24 * 3600.0
"""However long a token lasts, a stream ends after a day and is gone on with."""
_GOODBYE_S: Final = 1.0
_MEDIA_TYPE: Final = "text/event-stream"
_TOPIC: Final = f"(?:{'|'.join(TOPICS)})"
_EXAMPLE: Final = 'event: stock-changed\ndata: {"site_id":"…","product_id":"…","version":7, …}\nid: 120.98~4.11\n\n'
_STREAM: Final[Responses] = {
    200: {
        "description": (
            "Events named by their topic, with contract section 6's JSON as `data` on one line. Each `id` is where to "
            "go on. `behind` comes first where what lies between is no more: read again what you show."
        ),
        "content": {_MEDIA_TYPE: {"schema": {"type": "string"}, "example": _EXAMPLE}},
    }
}


class EventStream(Response):
    """What a listener is told, until he is gone or cut off, Kafka is gone, or the time is over."""

    def __init__(self, hub: Hub, listener: Listener, lasts_s: float) -> None:
        self.status_code, self.background = 200, None
        self._hub, self._listener, self._lasts_s = hub, listener, lasts_s
        # Proxies that gather answers (nginx) would hold events back.
        self.init_headers({"content-type": _MEDIA_TYPE, "x-accel-buffering": "no"})

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Answer. Sending waits for a slow listener, so what ends the stream is waited for beside it."""

        async def write(text: bytes) -> None:
            await send({"type": "http.response.body", "body": text, "more_body": True})

        works = (self._hub.tell(self._listener, write), _is_gone(receive), self._listener.cut.wait())
        tasks = [asyncio.create_task(work) for work in works]
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await asyncio.wait(tasks, timeout=self._lasts_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._hub.leave(self._listener)
            for task in tasks:
                task.cancel()
            failed, *_ = await asyncio.gather(*tasks, return_exceptions=True)
        if isinstance(failed, KafkaError | OSError):
            say(logger, logging.WARNING, "a listener's stream lost Kafka", error=one_line(failed))
        elif isinstance(failed, Exception):
            raise failed
        with contextlib.suppress(TimeoutError):  # one who takes nothing any more does not take the end either
            async with asyncio.timeout(_GOODBYE_S):
                await send({"type": "http.response.body", "body": b"", "more_body": False})


@router.get("/stream", status_code=200, response_class=EventStream, responses={**problems(), **_STREAM})
async def stream(
    request: Request,
    books: Books,
    access: Reader,
    events: Annotated[
        str,
        Query(
            pattern=rf"^{_TOPIC}(?:,{_TOPIC})*$",
            description="Which events, with commas between them.",
            examples=[TOPICS[0]],
        ),
    ] = ",".join(TOPICS),
    last_event_id: Annotated[
        str | None, Query(description="Where to go on, for those who cannot send the header; the header counts more.")
    ] = None,
    last_event_id_header: Annotated[
        str | None, Header(alias="Last-Event-ID", description="The id of the last event there was.")
    ] = None,
) -> EventStream:
    """Tell changes of stock and of alert levels as they are published: from now, or after the last event there was."""
    _, _, token = request.headers["authorization"].partition(" ")
    return await listen(books, access, token.strip(), events.split(","), last_event_id_header or last_event_id)


async def listen(
    books: Backend,
    access: Access,
    token: str,
    topics: Collection[str],
    last_event_id: str | None,
    kind: type[Listener] = Listener,
) -> EventStream:
    """Begin to tell one who reads a site of these topics, until the token ends, which was verified before."""
    lasts_s = expires_at(token) - books.clock().timestamp()
    listener = await books.stream.join(access.site_id, topics, last_event_id, kind)
    return EventStream(books.stream, listener, max(0.0, min(lasts_s, LASTS_MAX_S)))


async def _is_gone(receive: Receive) -> None:
    """Wait until the listener hangs up."""
    while (await receive())["type"] != "http.disconnect":
        pass
