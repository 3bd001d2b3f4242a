"""Is it alive, is it ready, what does it count. Law: answers from memory, from the first moment, whatever is down.

`/healthz` is the loop's heartbeat, and fails only where a restart would help. `/readyz` gives the reasons against, as
JSON. `/metrics` is Prometheus's text. Neither asks the database or Kafka: others do, and leave what they found.
Source: contract section 8.
"""

import contextlib
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, NamedTuple

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from stock_worker.metrics import Metrics

Reasons = Callable[[], list[str]]
Endpoint = Callable[[Request], Awaitable[Response]]


class Served(NamedTuple):
    """What is served on the port. `end` ends what would not end by itself when the server is to."""

    app: ASGIApp
    end: Callable[[], None] = lambda: None


Around = Callable[[Metrics, ASGIApp], AbstractAsyncContextManager[Served]]
"""Makes of health's application what is served on the port, and holds what that needs while it is."""

_BACKLOG: Final = 128
_GOODBYE_S: Final = 1
_GOODBYE_AROUND_S: Final = 16
"""For what is under way: a statement of a request ends within 15 s."""
_KEEP_ALIVE_S: Final = 75
"""Longer than the minute after which a load balancer lets go of a connection: else it may send into a closed one."""


@asynccontextmanager
async def alone(_metrics: Metrics, health: ASGIApp) -> AsyncIterator[Served]:
    """Serve health and nothing around it."""
    yield Served(health)


class Health:
    """The three routes on one port. `unhealthy`, `unready` and `paused` give reasons; none is well."""

    def __init__(
        self, metrics: Metrics, *, unhealthy: Reasons, unready: Reasons, paused: Reasons, around: Around = alone
    ) -> None:
        self.metrics = metrics
        self.is_alone = around is alone
        self._unhealthy, self._unready, self._paused, self._around = unhealthy, unready, paused, around
        self._server: _Server | None = None
        self._end: Callable[[], None] = lambda: None
        self._stopped = False

    @staticmethod
    def bind(host: str, port: int, *, is_shared: bool = False) -> socket.socket:
        """Take the port, before anything else starts; alone, or with whoever shares it too. Raises OSError."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family, backlog=_BACKLOG, reuse_port=is_shared)
        listening.setblocking(False)  # noqa: FBT003 - the socket's own signature
        return listening

    @staticmethod
    def share(host: str, port: int, processes: int) -> list[socket.socket]:
        """Take the port for several processes, a socket for each. Raises OSError where somebody has it.

        The kernel deals connections out among such sockets. From a single one that all accept from, the process that
        is woken first takes nearly every connection, while the others have nothing to do.
        """
        with Health.bind(host, port) as alone:  # else we would share it with whoever shares as well: another API
            port = alone.getsockname()[1]
        return [Health.bind(host, port, is_shared=True) for _ in range(processes)]

    async def serve(self, listening: socket.socket) -> None:
        """Answer until `stop`. Signals are the service's and not the server's."""
        async with self._around(self.metrics, self.app()) as served:
            config = uvicorn.Config(
                served.app,
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="off",
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=_GOODBYE_S if self.is_alone else _GOODBYE_AROUND_S,
            )
            self._server, self._end = _Server(config), served.end
            self._server.should_exit = self._stopped
            await self._server.serve(sockets=[listening])

    def stop(self) -> None:
        """Let `serve` return, once what is under way is answered."""
        self._stopped = True
        if self._server:
            self._end()
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
