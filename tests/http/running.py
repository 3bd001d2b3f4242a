"""The API inside the test's process, on a real database, and how a test speaks to it."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from uuid import NAMESPACE_OID, uuid5

import httpx
import jwt

from stock_worker.http.app import BASE, create_app
from stock_worker.http.backend import Backend
from stock_worker.http.tokens import Verifier
from stock_worker.metrics import Metrics
from stock_worker.settings import Settings
from tests.flow.running import product, settings_for

KEY: Final = "the shared key of the tests, which is long enough"
SITE: Final = str(uuid5(NAMESPACE_OID, "site"))
OTHER: Final = str(uuid5(NAMESPACE_OID, "another site"))
DAY_S: Final = 86_400
"""How long a token lasts: some are made when tests are collected, and used a quarter of an hour later."""
USER: Final = str(uuid5(NAMESPACE_OID, "user"))

__all__ = ["KEY", "OTHER", "SITE", "USER", "Api", "product", "serving", "token"]


def token(role: str = "org_admin", sites: tuple[str, ...] = (SITE,), **claims: object) -> str:
    """A bearer token that the tests' service takes; a claim of None is left out."""
    said = {"sub": USER, "name": "Ada", "role": role, "sites": list(sites), "exp": int(time.time()) + DAY_S, **claims}
    return jwt.encode({name: value for name, value in said.items() if value is not None}, KEY, "HS256")


@dataclass
class Api:
    """The application, and one who asks it."""

    client: httpx.AsyncClient
    backend: Backend
    metrics: Metrics
    site_id: str = SITE
    keys: int = field(default=0)

    def token(self, role: str) -> str:
        """A token of somebody with this role at the site."""
        return token(role, (self.site_id,))

    async def ask(
        self,
        method: str,
        path: str,
        *,
        bearer: str | None = "",
        site: str = "",
        headers: Mapping[str, str] = {},
        **more: Any,  # noqa: ANN401 - httpx's own arguments
    ) -> httpx.Response:
        """Ask below the site, or below another one, as an org_admin of it, as somebody else, or as nobody.

        `path` begins with its slash.
        """
        said = {} if bearer is None else {"Authorization": f"Bearer {bearer or self.token('org_admin')}"}
        below = f"/sites/{site or self.site_id}{path}"
        return await self.client.request(method, below, headers={**said, **headers}, **more)

    async def get(self, path: str, *, bearer: str | None = "", site: str = "", **query: object) -> httpx.Response:
        """Read; None as a value leaves the parameter out."""
        params = {name: value for name, value in query.items() if value is not None}
        return await self.ask("GET", path, bearer=bearer, site=site, params=params)

    async def write(
        self,
        path: str,
        body: object,
        *,
        key: str | None = None,
        bearer: str | None = "",
        site: str = "",
        headers: Mapping[str, str] = {},
    ) -> httpx.Response:
        """Send a command, under a key of its own unless one is given."""
        self.keys += 1
        said = {"Idempotency-Key": key or f"key {self.keys}", **headers}
        return await self.ask("POST", path, bearer=bearer, site=site, headers=said, json=body)

    async def stock(self, number: int = 1, quantity: int = 10, **line: object) -> None:
        """Have so much of a product arrive."""
        body = {"lines": [{"product_id": product(number), "quantity": quantity, **line}]}
        answer = await self.write("/restocks", body)
        assert answer.status_code == 200, answer.text


@asynccontextmanager
async def serving(database_url: str, **more: object) -> AsyncIterator[Api]:
    """Serve a database for as long as the block runs."""
    settings: Settings = settings_for("127.0.0.1:1", database_url, "", jwt_key=KEY, **more)
    verifier, metrics = Verifier.of(settings), Metrics()
    assert verifier is not None
    # Tests book at moments of their own, and those may go back.
    backend = Backend(settings, metrics, verifier, recorded_back=timedelta(days=10_000))
    transport = httpx.ASGITransport(create_app(backend, metrics), raise_app_exceptions=False)
    async with (
        backend.open(),
        httpx.AsyncClient(transport=transport, base_url=f"http://stock.test{BASE}") as client,
    ):
        yield Api(client, backend, metrics)
