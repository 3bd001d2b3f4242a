"""What OpenAPI says of every route alike. Law: no answer is given that is not written down.

Source: contract section 7.
"""

from typing import Any, Final

from pydantic import TypeAdapter

from stock_worker.http.commands import body_schema
from stock_worker.http.problems import MEDIA_TYPE, TITLES
from stock_worker.wire.messages import SHAPES

_PROBLEM: Final = {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}

Responses = dict[int | str, dict[str, Any]]


def problems(*codes: str) -> Responses:
    """Write down the problems that a route answers with, beside those of every route."""
    wanted = (*_EVERYWHERE, *codes)
    by_status: dict[int, list[str]] = {}
    for status, title in (TITLES[code] for code in wanted):
        by_status.setdefault(status, []).append(title)
    return {
        status: {"description": "; ".join(dict.fromkeys(titles)), "content": {MEDIA_TYPE: _PROBLEM}}
        for status, titles in sorted(by_status.items())
    }


def command_body(topic: str, example: dict[str, Any]) -> dict[str, Any]:
    """Write down a body that is a topic's message; `example` is one of them."""
    adapter: TypeAdapter[Any] = SHAPES[topic]
    content = {"application/json": {"schema": body_schema(adapter), "example": example}}
    return {"requestBody": {"required": True, "content": content}}


_EVERYWHERE: Final = (
    "malformed", "unauthenticated", "forbidden", "too_many_requests", "internal_error", "unavailable", "timed_out",
)  # fmt: skip
