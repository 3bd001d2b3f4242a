"""Around every request. Law: what comes in is bounded, what goes out is counted, logged once and safe in a browser.

Plain ASGI, so that a stream is not held back. Metrics carry the route's template and never a path, an id or a site.
Source: contract section 8 (metrics).
"""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stock_worker.http.problems import Problem, unexpected
from stock_worker.log import say
from stock_worker.metrics import Metrics

logger = logging.getLogger(__name__)

BODY_MAX_BYTES: Final = 1024 * 1024
"""As much as Kafka takes in a record: a command of 1,000 lines fits several times."""
RATE: Final = 1_000.0
"""Requests a second of one address, in each process, and how many it may save up."""
BURST: Final = 2_000.0
_ADDRESSES_MAX: Final = 10_000
_UNKNOWN: Final = "unknown"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_TRACE_MAX: Final = 55
"""As long as a traceparent is."""
_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_POLICY: Final = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")


class Watch:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp, metrics: Metrics, clock: Callable[[], float] = time.perf_counter) -> None:
        self._app, self._metrics, self._clock = app, metrics, clock
        self._rates = Rates()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status, has_begun = self._clock(), 500, False

        async def sending(message: Message) -> None:
            nonlocal status, has_begun
            if message["type"] == "http.response.start":
                status, has_begun = message["status"], True
                there = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *((name, value) for name, value in (*_HEADERS, _POLICY) if name not in there),
                ]
            await send(message)

        try:
            if not self._rates.allows(_address(scope), began):
                answer = Problem("too_many_requests", "slow down", headers={"Retry-After": "1"}).response()
                await answer(scope, receive, sending)
            else:
                await self._app(scope, Bounded(scope, receive).receive, sending)
        except Exception as error:
            # Here and not in the framework's own layer for this, which is further out: it would answer without these
            # headers, uncounted, and let the server log a traceback of a database that is away.
            problem = unexpected(error, scope["method"], _route(scope))
            if has_begun:
                raise  # only a cut connection tells whoever reads that this is not all
            await problem.response()(scope, receive, sending)
        finally:
            self._tell(scope, status, self._clock() - began)

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        route = _route(scope)
        method = scope["method"] if route != _UNKNOWN and scope["method"] in _METHODS else "-"
        self._metrics.http_requests_total.labels(route, method, str(status)).inc()
        self._metrics.http_request_seconds.labels(route).observe(seconds)
        principal = scope.get("state", {}).get("principal")
        say(
            logger,
            logging.INFO,
            "request",
            method=scope["method"],
            route=route,
            status=status,
            seconds=round(seconds, 4),
            subject=principal.subject if principal else None,
            trace=(_header(scope, b"traceparent") or "")[:_TRACE_MAX] or None,
        )


class Bounded:
    """A request's body, which ends with a problem where it is too large, whatever it said of its length."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive, self._left = receive, BODY_MAX_BYTES
        said = _header(scope, b"content-length")
        self._is_too_large = said is not None and said.isdecimal() and int(said) > BODY_MAX_BYTES

    async def receive(self) -> Message:
        """Take the next part. Raises Problem."""
        message = await self._receive()
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            if self._is_too_large or self._left < 0:
                raise Problem("too_large", f"a body has at most {BODY_MAX_BYTES:,} bytes")
        return message


class Rates:
    """How many requests each address has left; the one that was quiet the longest is forgotten first."""

    def __init__(self) -> None:
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, address: str, now: float) -> bool:
        """Whether one request more is within the rate, and counts it."""
        left, at = self._left.pop(address, (BURST, now))
        left = min(BURST, left + (now - at) * RATE)
        allowed = left >= 1
        self._left[address] = (left - allowed, now)
        if len(self._left) > _ADDRESSES_MAX:
            self._left.popitem(last=False)
        return allowed


def _route(scope: Scope) -> str:
    """Give the template. An included router keeps its own part of it; the whole is in what FastAPI leaves beside it."""
    found = scope.get("fastapi", {}).get("effective_route_context") or scope.get("route")
    return str(getattr(found, "path", _UNKNOWN))


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""


def _header(scope: Scope, name: bytes) -> str | None:
    found = next((value for key, value in scope["headers"] if key == name), None)
    return None if found is None else found.decode("latin-1")
