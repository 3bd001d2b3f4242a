"""Every route of the application, as a request for it: what a table of all routes is made over."""

import re
from typing import Any, Final, NamedTuple
from uuid import NAMESPACE_OID, uuid5

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from stock_worker.http.app import BASE, create_app
from stock_worker.http.backend import Backend
from stock_worker.http.tokens import Verifier
from stock_worker.metrics import Metrics
from tests.flow.running import settings_for
from tests.http.running import KEY

SITED: Final = f"{BASE}/sites/{{site}}"


class RouteOf(NamedTuple):
    """One method of one path template."""

    method: str
    template: str

    def __str__(self) -> str:
        """Name it as the tables do."""
        return f"{self.method} {self.template.removeprefix(BASE)}"

    def path(self, site: str) -> str:
        """A path of this template: of this site, and with ids that nothing has."""
        sited = self.template.replace("{site}", site)
        return re.sub(r"\{[^}]+\}", lambda found: str(uuid5(NAMESPACE_OID, found.group())), sited)


def routes_of(app: FastAPI) -> list[RouteOf]:
    """Every route that a request can reach."""
    found = [
        RouteOf(method, context.path or "")
        for context in iter_route_contexts(app.routes)
        for method in sorted(context.methods or ())
        if method != "HEAD"
    ]
    assert found
    return sorted(found)


def description() -> dict[str, Any]:
    """The description of all of them, made without a server: tables are made over it before there is one."""
    said = settings_for("127.0.0.1:1", "postgresql://nobody@127.0.0.1:1/none", "", jwt_key=KEY)
    metrics = Metrics()
    return create_app(Backend(said, metrics, Verifier.of(said)), metrics).openapi()
