"""One API for the tests of a file, each with a site that no other knows: a database for each would take longer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx

from tests.http.running import Api, token


@dataclass
class OwnSite(Api):
    """The application, and one who asks it about a site of their own."""

    site_id: str = ""

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
        """Ask below the site, or below another one, as an org_admin of it, as somebody else, or as nobody."""
        said = bearer if bearer is None else bearer or self.token("org_admin")
        return await super().ask(method, path, bearer=said, site=site or self.site_id, headers=headers, **more)

    async def get(self, path: str, *, bearer: str | None = "", site: str = "", **query: object) -> httpx.Response:
        """Read; None as a value leaves the parameter out."""
        return await super().get(path, bearer=bearer, site=site, **query)

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
        return await super().write(path, body, key=key, bearer=bearer, site=site, headers=headers)


def own_site(served: Api) -> OwnSite:
    """Give one of these tests its site."""
    return OwnSite(served.client, served.backend, served.metrics, site_id=str(uuid4()))
