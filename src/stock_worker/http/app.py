"""The application: every route, behind one watch, over one backend. Law: what is served is listed here.

Source: contract section 7.
"""

from functools import partial
from typing import Final

from fastapi import APIRouter, FastAPI

from stock_worker import __version__
from stock_worker.http import page, problems
from stock_worker.http.admin import routes as admin
from stock_worker.http.backend import Backend
from stock_worker.http.documents import describe
from stock_worker.http.routes import (
    alerts,
    dead_letters,
    history,
    items,
    locations,
    reports,
    rules,
    settings,
    stream,
    writes,
)
from stock_worker.http.watch import Watch
from stock_worker.metrics import Metrics

BASE: Final = "/api/v1"
_DESCRIPTION: Final = """How many are left, and why. Every change is a command under a key of its own: sent twice, it
is booked once. Errors are problem details (RFC 9457). Money is decimal text; times are UTC."""


def create_app(backend: Backend, metrics: Metrics) -> FastAPI:
    """Make the application over a backend, which whoever serves it keeps open meanwhile."""
    app = FastAPI(
        title="stock-worker",
        version=__version__,
        description=_DESCRIPTION,
        docs_url=None,  # its page asks a server far away for its script; `page` has its own
        redoc_url=None,
        openapi_url=f"{BASE}/openapi.json",
    )
    app.state.backend = backend
    app.openapi = partial(describe, app)  # type: ignore[method-assign] # FastAPI's own way to have another document
    api = APIRouter(prefix=BASE)
    # What comes first is asked first: `/items/{product}/explain` would be a variant's path to `items`.
    for routes in (
        page,
        history,
        items,
        reports,
        writes,
        alerts,
        rules,
        settings,
        locations,
        dead_letters,
        stream,
    ):
        api.include_router(routes.router)
    app.include_router(api)
    app.include_router(admin.router)
    problems.install(app)
    app.add_middleware(Watch, metrics=metrics)
    return app
