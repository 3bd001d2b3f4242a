"""Who looks. Law: the session is the token itself, in a cookie that no script reads and no other site sends.

It counts as long as the token does, and nothing is kept here: to sign out is to forget it. Source: contract section 7
(the page).
"""

from datetime import datetime
from typing import Annotated, Any, Final, NamedTuple
from urllib.parse import quote, urlsplit
from uuid import UUID

from fastapi import Depends, Query, Request, Response

from stock_worker.core.policy import zone_of
from stock_worker.http.access import Access, Books, reader_of, writer_of
from stock_worker.http.admin.figures import Figures, signs_of
from stock_worker.http.problems import Problem
from stock_worker.http.routes.settings import read_settings
from stock_worker.http.tokens import Principal, Role, expires_at

BASE: Final = "/admin"
"""Below it is the page, and the cookie is sent nowhere else."""
COOKIE: Final = "stock_session"
HOME: Final = "/admin/inventory"
SIGN_IN: Final = "/admin/sign-in"
SITES: Final = "/admin/sites"


class Elsewhere(Exception):  # noqa: N818 - it is no error: it leads to another page
    """What was asked for is not to be had before something else."""


class SignInNeeded(Elsewhere):
    """Nobody is known to ask. `ended` says that somebody was."""

    def __init__(self, *, ended: bool) -> None:
        super().__init__()
        self.ended = ended


class SiteNeeded(Elsewhere):
    """The token is for several sites, and none is named."""


class ComeAgain(Elsewhere):
    """The request came from another site, so that the browser kept the cookie back."""


class Session(NamedTuple):
    """Somebody who is signed in."""

    principal: Principal
    token: str

    @property
    def may_write(self) -> bool:
        """Whether controls that change anything are for this one."""
        return self.principal.role is not Role.VIEWER


class Visit(NamedTuple):
    """Somebody at one site, and how figures are written for him there."""

    session: Session
    access: Access
    figures: Figures

    @property
    def site_id(self) -> str:
        """The site that is looked at."""
        return self.access.site_id


def own_path(text: str | None, otherwise: str = HOME) -> str:
    """Give a path of these pages, to lead back to; whatever is none leads home."""
    if not text or "\\" in text or any(sign < " " for sign in text):
        return otherwise
    parts = urlsplit(text)
    if parts.scheme or parts.netloc or not parts.path.startswith(f"{BASE}/"):
        return otherwise
    return parts.path + (f"?{parts.query}" if parts.query else "")


def sign_in_path(request: Request) -> str:
    """Where to sign in, and to come back from to where one was."""
    if current := request.headers.get("hx-current-url"):
        parts = urlsplit(current)
        back = own_path(parts._replace(scheme="", netloc="", fragment="").geturl())
    elif request.method == "GET":
        back = own_path(request.url.path + (f"?{request.url.query}" if request.url.query else ""))
    else:
        back = HOME
    return f"{SIGN_IN}?next={quote(back, safe='')}"


def keep(answer: Response, token: str, now: datetime, *, is_secure: bool) -> None:
    """Have a browser keep a token that was verified as the session, for as long as it counts."""
    answer.set_cookie(
        COOKIE,
        token,
        max_age=max(0, int(expires_at(token) - now.timestamp())),
        path=BASE,
        secure=is_secure,
        httponly=True,
        samesite="strict",
    )


async def session_of(request: Request, books: Books) -> Session:
    """Say who is signed in. Raises SignInNeeded."""
    token = request.cookies.get(COOKIE)
    if not token:
        if request.method == "GET" and request.headers.get("sec-fetch-site") == "cross-site":
            raise ComeAgain
        raise SignInNeeded(ended=False)
    try:
        principal = await books.verifier.principal(token)
    except Problem as problem:
        if problem.code == "unauthenticated":
            raise SignInNeeded(ended=True) from None
        raise
    request.state.principal = principal  # for the access log
    return Session(principal, token)


SignedIn = Annotated[Session, Depends(session_of)]


async def _visit(
    request: Request, books: Books, session: SignedIn, site: Annotated[UUID | None, Query()] = None
) -> Visit:
    if site is None:
        if len(session.principal.sites) != 1:
            raise SiteNeeded
        site = UUID(next(iter(session.principal.sites)))
    access = await reader_of(site, session.principal)
    settings = await read_settings(books, access)
    signs = signs_of(request.headers.get("accept-language", ""))
    return Visit(session, access, Figures(signs, zone_of(settings.timezone), settings.currency))


Here = Annotated[Visit, Depends(_visit)]


async def _writing(here: Here) -> Visit:
    await writer_of(here.access)
    return here


Writing = Annotated[Visit, Depends(_writing)]


def about(here: Visit) -> dict[str, Any]:
    """Give what every template of a site needs."""
    return {"here": here, "at": here.figures, "site_id": here.site_id, "session": here.session}
