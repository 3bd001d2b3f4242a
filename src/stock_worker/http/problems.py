"""Errors as problem details (RFC 9457). Law: every answer that is no success says what is wrong and what to do.

`type` is a name that never changes, `title` its words, `detail` what went wrong this time, `code` the last part of
`type`, for a program. More members say more: the lines of a refused command, the fields of a malformed request.
Nothing of a server's own fault is told but that it happened. Source: contract section 7.
"""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from stock_worker.faults import Retry, reaction, sqlstate
from stock_worker.log import one_line, say

logger = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
_TYPE: Final = "urn:stock-worker:problem:"
_QUERY_CANCELED: Final = "57014"
_AGAIN_S: Final = 1

TITLES: Final[Mapping[str, tuple[int, str]]] = {
    "malformed": (422, "The request cannot be understood"),
    "unauthenticated": (401, "A valid bearer token is needed"),
    "forbidden": (403, "The token does not allow this"),
    "not_found": (404, "There is no such thing"),
    "method_not_allowed": (405, "This path does not take this method"),
    "refused": (409, "The command is refused"),
    "conflict": (409, "It cannot be done as things stand"),
    "too_large": (413, "The request is too large"),
    "too_many_requests": (429, "Too many requests"),
    "internal_error": (500, "A fault of the server"),
    "unavailable": (503, "The server cannot answer now"),
    "timed_out": (503, "The answer took too long"),
}
"""Every problem by its code: the status, and the words that are the same each time."""


class Problem(HTTPException):
    """What is wrong with one request. `code` is one of TITLES; `more` are members of the answer.

    The framework lets its own kind of exception through wherever it reads a request; of any other it makes a 400.
    """

    def __init__(
        self, code: str, detail: str, *, more: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(TITLES[code][0], detail, headers)
        self.code, self.more = code, dict(more or {})

    @property
    def status(self) -> int:
        """The status of the answer."""
        return self.status_code

    def response(self) -> Response:
        """Make the answer."""
        status, title = TITLES[self.code]
        body = {"type": _TYPE + self.code, "title": title, "status": status, "detail": self.detail, "code": self.code}
        content = orjson.dumps(body | self.more, default=str, option=orjson.OPT_UTC_Z)
        return Response(content, status, media_type=MEDIA_TYPE, headers=self.headers)


def install(app: FastAPI) -> None:
    """Let the application answer every error that it expects as a problem; the rest is the watch's."""
    app.add_exception_handler(Problem, _told)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _of_the_framework)


def of_validation(error: RequestValidationError) -> Problem:
    """Say which fields of a request are wrong, and how."""
    errors = [{"field": ".".join(map(str, fault["loc"])), "message": fault["msg"]} for fault in error.errors()]
    detail = f"{errors[0]['field']}: {errors[0]['message']}" if errors else "the request cannot be understood"
    return Problem("malformed", detail, more={"errors": errors})


def of_fault(error: BaseException) -> Problem:
    """Say a fault of the surroundings, or of ours, without its inside."""
    if sqlstate(error) == _QUERY_CANCELED:
        return Problem("timed_out", "the database took too long; ask for less, or later", headers=_again())
    if issubclass(reaction(error), Retry):
        return Problem("unavailable", "the database does not answer; try again", headers=_again())
    return Problem("internal_error", "a fault of the server; it is in its log")


def unexpected(error: Exception, method: str, route: str) -> Problem:
    """Say what nobody expected, and tell the log: a fault of the surroundings in one line, a bug with its traceback."""
    problem = of_fault(error)
    if problem.code == "internal_error":
        logger.error("%s %s failed", method, route, exc_info=error)
    else:
        say(logger, logging.WARNING, "a request could not be answered", code=problem.code, error=one_line(error))
    return problem


async def _told(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.response()


async def _malformed(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return of_validation(error).response()


async def _of_the_framework(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    codes = {status: code for code, (status, _) in reversed(list(TITLES.items()))}
    code = codes.get(error.status_code, "malformed" if error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR else "")
    return Problem(code or "internal_error", str(error.detail), headers=error.headers).response()


def _again() -> dict[str, str]:
    return {"Retry-After": str(_AGAIN_S)}
