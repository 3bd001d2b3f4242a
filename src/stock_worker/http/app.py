"""The application: every route, behind one watch, over one backend. Law: what is served is listed here.

Source: contract section 7.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import APIRouter, FastAPI

from stock_worker import __version__
from stock_worker.http import problems
from stock_worker.http.backend import Backend
from stock_worker.http.routes import alerts, dead_letters, history, items, locations, reports, rules, settings, stream, writes
from stock_worker.http.watch import Watch
from stock_worker.metrics import Metrics

BASE: Final = "/api/v1"
_DESCRIPTION: Final = """How many are left, and why. Every change is a command under a key of its own: sent twice, it
is booked once. Errors are problem details (RFC 9457). Money is decimal text; times are UTC."""


def create_app(backend: Backend, metrics: Metrics) -> FastAPI:
    """Make the application over a backend, which it opens when it starts and closes when it ends."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with backend.open():
            yield

    app = FastAPI(
        title="stock-worker",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=f"{BASE}/openapi.json",
    )
    app.state.backend = backend
    api = APIRouter(prefix=BASE)
    for routes in (history, items, reports, writes, alerts, dead_letters, locations, rules, settings, stream):
        api.include_router(routes.router)
    app.include_router(api)
    problems.install(app)
    app.add_middleware(Watch, metrics=metrics)
    return app
