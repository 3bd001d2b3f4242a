"""Signing in and out, and which site. Law: only a token that the API would take opens a session.

Source: contract section 7 (the page).
"""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from stock_worker.http.access import Books
from stock_worker.http.admin.failing import PageRoute, lead
from stock_worker.http.admin.forms import Form
from stock_worker.http.admin.rendering import render
from stock_worker.http.admin.session import BASE, COOKIE, HOME, SIGN_IN, SignedIn, keep, own_path
from stock_worker.http.problems import Problem
from stock_worker.http.tokens import Role
from stock_worker.store.reads.sites import sites_with_items

router = APIRouter(prefix=BASE, include_in_schema=False, route_class=PageRoute)

COOKIE_MAX_BYTES: Final = 4_000
"""More a browser drops, name and attributes included, and does not say so."""
SITES_MAX: Final = 200


@router.get("")
async def home(request: Request) -> Response:
    """Lead to the inventory."""
    return lead(request, HOME)


@router.get("/sign-in")
async def ask_token(
    request: Request, next_: Annotated[str, Query(alias="next", max_length=4_000)] = "", *, ended: bool = False
) -> Response:
    """Ask for a token."""
    message = "The session has ended. Sign in again to go on where you were." if ended else None
    return _form(request, own_path(next_), message)


@router.post("/sign-in")
async def sign_in(request: Request, books: Books, form: Form) -> Response:
    """Open a session with a token."""
    back = own_path(form.get("next"))
    token = form.get("token", "").removeprefix("Bearer ").strip()
    try:
        principal = await books.verifier.principal(token)
    except Problem as problem:
        return _form(request, back, str(problem.detail), refused=problem.status)
    if len(token) > COOKIE_MAX_BYTES:
        return _form(
            request, back, f"The token is too long for a cookie: at most {COOKIE_MAX_BYTES:,} signs.", refused=422
        )
    request.state.principal = principal
    answer = RedirectResponse(back, 303)
    keep(answer, token, books.clock(), is_secure=request.url.scheme == "https")
    return answer


@router.post("/sign-out")
async def sign_out(request: Request, form: Form) -> Response:
    """Forget the session."""
    del form  # only that it came from here
    answer = lead(request, SIGN_IN)
    answer.delete_cookie(COOKIE, path=BASE, secure=request.url.scheme == "https", httponly=True, samesite="strict")
    return answer


@router.get("/sites")
async def pick_site(request: Request, books: Books, session: SignedIn, site: str = "") -> Response:
    """Let somebody pick one of the sites that are open to him."""
    message = None
    if site:
        try:
            return lead(request, f"{HOME}?site={UUID(site.strip())}")
        except ValueError:
            message = "A site's id is a UUID, such as 6b1f8c1e-5a53-4d0c-9a43-0d8a3f1f7b11."
    is_everywhere = session.principal.role is Role.PLATFORM_ADMIN
    if is_everywhere:
        sites = await books.steer(lambda connection: sites_with_items(connection, SITES_MAX))
    else:
        sites = sorted(session.principal.sites)
    context = {"session": session, "sites": sites, "is_everywhere": is_everywhere, "message": message, "typed": site}
    return render(request, "sites.html", context, status=422 if message else 200)


def _form(request: Request, back: str, message: str | None, *, refused: int | None = None) -> Response:
    context = {"next": back, "message": message, "is_wrong": refused is not None}
    return render(request, "sign_in.html", context, status=refused or 200)
