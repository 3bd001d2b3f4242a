"""A request as a command. Law: it is the message of its topic; who, where and under which key come from outside of it.

The body is what contract section 3 says of the topic, without site_id, reference_id, actor and actor_id: those are the
path, the header Idempotency-Key and the token, whatever the body has under these names. Source: contract section 7.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Any, Final

import orjson
from fastapi import Depends, Header, Request
from pydantic import TypeAdapter

from stock_worker.core.model import Command, OutcomeKind, Source
from stock_worker.core.refusals import Code
from stock_worker.http.access import Access
from stock_worker.http.problems import Problem
from stock_worker.http.writing import Told
from stock_worker.wire.decode import command_of

SOURCE: Final = Source("http")
SHAPE_REF: Final = "#/components/schemas/{model}"
_ABOVE_THE_BODY: Final = ("site_id", "reference_id", "actor", "actor_id")
_FAILED: Final = frozenset({OutcomeKind.REJECTED.value, OutcomeKind.CONFLICT.value})

Key = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=128,
        description="The command's reference_id: sent again, it gets the first answer and changes nothing.",
        examples=["stocktake-7/shelf-3"],
    ),
]


async def _object(request: Request) -> dict[str, Any]:
    try:
        document = orjson.loads(await request.body())
    except orjson.JSONDecodeError as error:
        raise Problem("malformed", f"the body is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise Problem("malformed", "the body must be a JSON object")
    return document


Body = Annotated[dict[str, Any], Depends(_object)]
"""A request's body, a JSON object that nobody has judged yet."""


def read_command(
    request: Request, access: Access, topic: str, key: str, body: Mapping[str, Any], now: datetime
) -> Command:
    """Read a body as its topic's message. Raises Problem: malformed, with what to mend."""
    principal = access.principal
    document = {name: value for name, value in body.items() if name not in _ABOVE_THE_BODY}
    document |= {"site_id": access.site_id, "reference_id": key, "actor": principal.name}
    if principal.actor_id is not None:
        document["actor_id"] = principal.actor_id
    found = command_of(document, topic, SOURCE, now, traceparent=request.headers.get("traceparent"))
    if isinstance(found, str):
        raise Problem("malformed", found)
    return found


def answer_of(told: Told, more: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    """Tell what became of a command, and `more`. Raises Problem: refused, with the lines that failed."""
    if told.outcome.kind is OutcomeKind.CONFLICT:
        raise Problem(
            "refused",
            told.outcome.message or "the key was used before, for something else",
            more={"outcome": "conflict", "code": Code.REFERENCE_CONFLICT.text, "lines": []},
        )
    answer = told.answer
    assert answer is not None, "what was decided has a reference"
    document = {
        "outcome": answer.outcome,
        "repeated": told.repeated,
        "reference_type": answer.reference.type,
        "reference_id": answer.reference.id,
        "code": answer.code,
        "message": answer.message,
        "lines": answer.lines,
        **more,
    }
    if answer.outcome in _FAILED:
        raise Problem("refused", answer.message or "the command is refused", more=document)
    return document | {"rows": answer.rows}


def body_schema(adapter: TypeAdapter[Any], *, without: Collection[str] = _ABOVE_THE_BODY) -> dict[str, Any]:
    """Describe a body for OpenAPI: the message's schema without what comes from outside of it.

    What it refers to stands in its `$defs`, and is referred to as `documents.describe` puts it.
    """
    schema = adapter.json_schema(mode="validation", ref_template=SHAPE_REF)
    properties = {name: each for name, each in schema["properties"].items() if name not in without}
    required = [name for name in schema.get("required", ()) if name not in without]
    return {**schema, "properties": properties, "required": required}
