"""Is it alive, is it ready, what does it count. Law: answers from memory, from the first moment, whatever is down.

`/healthz` is the loop's heartbeat, and fails only where a restart would help. `/readyz` gives the reasons against, as
JSON. `/metrics` is Prometheus's text. Neither asks the database or Kafka: others do, and leave what they found.
Source: contract section 8.
"""

import contextlib
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stock_worker.metrics import Metrics

Reasons = Callable[[], list[str]]
Endpoint = Callable[[Request], Awaitable[Response]]

_BACKLOG: Final = 128
_GOODBYE_S: Final = 1


class Health:
    """The three routes on one port. `unhealthy`, `unready` and `paused` give reasons; none is well."""

    def __init__(self, metrics: Metrics, *, unhealthy: Reasons, unready: Reasons, paused: Reasons) -> None:
        self.metrics = metrics
        self._unhealthy, self._unready, self._paused = unhealthy, unready, paused
        self._server: _Server | None = None

    def bind(self, host: str, port: int) -> socket.socket:
        """Take the port, before anything else starts. Raises OSError."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        listening.setblocking(False)  # noqa: FBT003 - the socket's own signature
        return listening

    async def serve(self, listening: socket.socket) -> None:
        """Answer until `stop`. Signals are the service's and not the server's."""
        config = uvicorn.Config(
            self.app(), log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=_GOODBYE_S
        )
        self._server = _Server(config)
        await self._server.serve(sockets=[listening])

    def stop(self) -> None:
        """Let `serve` return."""
        if self._server:
            self._server.should_exit = True

    def app(self) -> Starlette:
        """Make the application."""
        routes = {"/healthz": self._healthz, "/readyz": self._readyz, "/metrics": self._metrics_text}
        return Starlette(routes=[Route(path, self._told(path, answer)) for path, answer in routes.items()])

    async def _healthz(self, _request: Request) -> Response:
        return _verdict("alive", self._unhealthy(), {})

    async def _readyz(self, _request: Request) -> Response:
        return _verdict("ready", self._unready(), {"paused": self._paused()})

    async def _metrics_text(self, _request: Request) -> Response:
        return Response(self.metrics.exposition(), media_type=CONTENT_TYPE_LATEST)

    def _told(self, route: str, answer: Endpoint) -> Endpoint:
        """Count and time what is answered."""

        async def endpoint(request: Request) -> Response:
            began = time.perf_counter()
            response = await answer(request)
            self.metrics.http_request_seconds.labels(route).observe(time.perf_counter() - began)
            self.metrics.http_requests_total.labels(route, request.method, str(response.status_code)).inc()
            return response

        return endpoint


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone: the service finishes its batch first."""
        yield


def _verdict(name: str, reasons: list[str], more: dict[str, list[str]]) -> Response:
    return JSONResponse({name: not reasons, "reasons": reasons, **more}, status_code=503 if reasons else 200)
