"""What went wrong, as a page. Law: whoever looks at a page is told in one, with what to do, and signs in where he must.

Source: contract section 7 (the page).
"""

from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute

from stock_worker.http.admin.rendering import is_part, render
from stock_worker.http.admin.session import HOME, SITES, ComeAgain, Elsewhere, SignInNeeded, sign_in_path
from stock_worker.http.problems import TITLES, Problem, of_validation, unexpected

_SEE_OTHER: Final = 303
_EVENTS: Final = "text/event-stream"
_ENDED: Final = "event: session-ended\ndata: {}\n\n"
_IN_A_TOAST: Final = {"HX-Retarget": "#toasts", "HX-Reswap": "beforeend", "HX-Push-Url": "false"}


class PageRoute(APIRoute):
    """A route whose problems are pages, or notes on the page there is."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Give the framework's handler, with what it raises told."""
        answer = super().get_route_handler()

        async def told(request: Request) -> Response:
            try:
                return await answer(request)
            except Elsewhere as needed:
                return _lead_to(request, needed)
            except Exception as error:  # noqa: BLE001 - a bug of ours is told as the API tells it, and logged
                return self.tell(request, _problem_of(error, request, self.path))

        return told

    def tell(self, request: Request, problem: Problem) -> Response:
        """Make a page of a problem, or a note on the page there is."""
        return _tell(request, problem)


def lead(request: Request, path: str) -> Response:
    """Send the browser elsewhere, whoever asks for it."""
    if is_part(request):
        return Response(status_code=204, headers={"HX-Redirect": path})
    return RedirectResponse(path, _SEE_OTHER)


def _lead_to(request: Request, needed: Elsewhere) -> Response:
    if isinstance(needed, ComeAgain):
        # A page of ours that asks again: this time the request comes from here, and the cookie with it.
        return render(request, "again.html", {"url": str(request.url.replace(scheme="", netloc=""))})
    if isinstance(needed, SignInNeeded):
        if _EVENTS in request.headers.get("accept", ""):
            # A browser shows no script where its EventSource is led, or with which status.
            return Response(_ENDED, media_type=_EVENTS)
        return lead(request, sign_in_path(request) + ("&ended=1" if needed.ended else ""))
    return lead(request, SITES)


def _problem_of(error: Exception, request: Request, route: str) -> Problem:
    if isinstance(error, RequestValidationError):
        return of_validation(error)
    return error if isinstance(error, Problem) else unexpected(error, request.method, route)


def _tell(request: Request, problem: Problem) -> Response:
    context = {"title": TITLES[problem.code][1], "detail": str(problem.detail), "status": problem.status, "home": HOME}
    said = dict(problem.headers or {})
    if is_part(request):
        return render(request, "parts/problem.html", context, status=problem.status, headers=said | _IN_A_TOAST)
    return render(request, "problem.html", context, status=problem.status, headers=said)
