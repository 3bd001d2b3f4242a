"""What OpenAPI says of every route alike. Law: no answer is given that is not written down.

Source: contract section 7.
"""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from stock_worker.http.commands import SHAPE_REF, body_schema
from stock_worker.http.problems import MEDIA_TYPE, TITLES
from stock_worker.wire.messages import SHAPES

_PROBLEM: Final = {"schema": {"$ref": SHAPE_REF.format(model="ProblemDetails")}}

Responses = dict[int | str, dict[str, Any]]


class ProblemDetails(BaseModel):
    """What is wrong with a request (RFC 9457). More members say more, by the code."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="A URI of the kind of problem, which never changes.")
    title: str = Field(description="The kind in words, the same each time.")
    status: int = Field(description="The status of the answer.")
    detail: str = Field(description="What is wrong this time, and what to do.")
    code: str = Field(description="The kind, or the refusal, for a program.", examples=["insufficient_stock"])


def describe(app: FastAPI) -> dict[str, Any]:
    """Make the OpenAPI document: FastAPI's, and beside its shapes those that only bodies and problems refer to."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            openapi_version=app.openapi_version,
            description=app.description,
            routes=app.routes,
        )
        shapes = document.setdefault("components", {}).setdefault("schemas", {})
        shapes["ProblemDetails"] = ProblemDetails.model_json_schema(ref_template=SHAPE_REF)
        for operation in (each for path in document["paths"].values() for each in path.values()):
            for content in operation.get("requestBody", {}).get("content", {}).values():
                for name, shape in content["schema"].pop("$defs", {}).items():
                    assert shapes.setdefault(name, shape) == shape, f"two shapes are called {name}"
        app.openapi_schema = _in_every_dialect(document)
    return app.openapi_schema


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


def _in_every_dialect(value: Any) -> Any:  # noqa: ANN401 - any part of a JSON document
    """Spell the class of control characters out in patterns: JSON Schema's regular expressions do not know it."""
    if isinstance(value, dict):
        return {
            name: part.replace(r"\p{Cc}", _CONTROL)
            if name == "pattern" and isinstance(part, str)
            else _in_every_dialect(part)
            for name, part in value.items()
        }
    return [_in_every_dialect(part) for part in value] if isinstance(value, list) else value


_CONTROL: Final = r"\x00-\x1f\x7f-\x9f"
_EVERYWHERE: Final = (
    "malformed", "unauthenticated", "forbidden", "too_many_requests", "internal_error", "unavailable", "timed_out",
)  # fmt: skip
