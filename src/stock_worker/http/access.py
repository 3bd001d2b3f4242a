"""Who may do what. Law: a route says in its signature what it needs, and runs only for one who has it.

Viewers read their sites, an org_admin writes them, a platform_admin everything. A site of somebody else's is forbidden,
whether there is such a site or not. Source: contract section 7, who may.
"""

from typing import Annotated, NamedTuple
from uuid import UUID

from fastapi import Depends, Path, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from stock_worker.http.backend import Backend
from stock_worker.http.problems import Problem
from stock_worker.http.tokens import Principal, Role, unauthenticated

_BEARER = HTTPBearer(auto_error=False, bearerFormat="JWT", description="`stock-worker token` makes one for a trial.")


class Access(NamedTuple):
    """One who may, at one site."""

    principal: Principal
    site_id: str

    @property
    def sites(self) -> frozenset[str]:
        """What row level security lets this one see: the token's sites, or the one asked for where all are allowed."""
        if self.principal.role is Role.PLATFORM_ADMIN:
            return frozenset([self.site_id])
        return self.principal.sites


async def _backend(request: Request) -> Backend:  # a coroutine: the framework would run a function in a thread
    backend: Backend = request.app.state.backend
    return backend


Books = Annotated[Backend, Depends(_backend)]


async def principal_of(
    request: Request, books: Books, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)]
) -> Principal:
    """Say who asks. Raises Problem: unauthenticated."""
    if credentials is None:
        raise unauthenticated("send the header Authorization: Bearer TOKEN")
    principal = await books.verifier.principal(credentials.credentials)
    request.state.principal = principal  # for the access log
    return principal


Site = Annotated[UUID, Path(description="The site's id.")]
Asker = Annotated[Principal, Depends(principal_of)]


async def reader_of(site: Site, principal: Asker) -> Access:
    """Let one read a site. Raises Problem: forbidden."""
    access = Access(principal, str(site))
    if access.site_id not in access.sites:
        raise Problem("forbidden", "the token is not for this site")
    return access


Reader = Annotated[Access, Depends(reader_of)]


async def writer_of(access: Reader) -> Access:
    """Let one change a site that he reads. Raises Problem: forbidden."""
    if access.principal.role is Role.VIEWER:
        raise Problem("forbidden", "a viewer reads; changes need the role org_admin or platform_admin")
    return access


async def operator_of(principal: Asker) -> Principal:
    """Let one do what belongs to no site. Raises Problem: forbidden."""
    if principal.role is not Role.PLATFORM_ADMIN:
        raise Problem("forbidden", "this needs the role platform_admin")
    return principal


Writer = Annotated[Access, Depends(writer_of)]
Operator = Annotated[Principal, Depends(operator_of)]
