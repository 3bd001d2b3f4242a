"""Reports as CSV (RFC 4180). Law: no cell is a formula, and numbers stay numbers.

A spreadsheet takes a text that begins with = + - @ tab or CR for a formula; such a text gets a leading apostrophe. Rows
are sent as they are read; the first are read before anything is sent, so that a fault then still is a problem.
"""

import csv
import io
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, Literal

import anyio
from fastapi import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

MEDIA_TYPE: Final = "text/csv"
FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")

_WEIGHT: Final = re.compile(r"[01](\.[0-9]{0,3})?")

Format = Literal["json", "csv"]
Rows = Iterable[Mapping[str, Any]]


def is_wanted(request: Request, format_: Format | None) -> bool:
    """Say whether an answer is to be CSV: the parameter decides, else what the request accepts."""
    if format_ is not None:
        return format_ == "csv"
    accepted = request.headers.get("accept", "").lower()
    return _weight(accepted, MEDIA_TYPE) > _weight(accepted, "application/json")


async def answer(name: str, columns: Sequence[str], parts: AsyncGenerator[Rows]) -> StreamingResponse:
    """Answer with a file of this name: a line of columns, then the rows, part by part."""
    first = await _next(parts)

    async def lines() -> AsyncIterator[str]:
        yield _lines(columns, [dict(zip(columns, columns, strict=True)), *(first or ())])
        while (rows := await _next(parts)) is not None:
            yield _lines(columns, rows)

    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return _File(parts, lines(), media_type=f"{MEDIA_TYPE}; charset=utf-8", headers=headers)


class _File(StreamingResponse):
    """A file that closes what it is read from when it ends, however it ends.

    A generator that nobody reads to its end closes when it is collected, and one of which nothing was read closes
    nothing at all: its connection and its turn would be kept from others for so long.
    """

    def __init__(self, parts: AsyncGenerator[Rows], lines: AsyncIterator[str], **more: Any) -> None:  # noqa: ANN401 - handed on
        super().__init__(lines, **more)
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            with anyio.CancelScope(shield=True):
                await self._parts.aclose()


def cell(value: object) -> object:
    """Write a value so that a spreadsheet reads it as what it is."""
    match value:
        case bool():
            return str(value).lower()
        case None | int() | float():
            return value
        case Decimal():
            return format(value, "f")
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case _:
            text = str(value)
            return f"'{text}" if text.startswith(FORMULAS) else text


def _weight(accepted: str, media_type: str) -> float:
    """How much a request wants a type that it names, from 0 to 1; one that it does not name, not at all."""
    for part in accepted.split(","):
        name, *parameters = (word.strip() for word in part.split(";"))
        if name == media_type:
            weights = [word.removeprefix("q=") for word in parameters if word.startswith("q=")]
            return float(weights[0]) if weights and _WEIGHT.fullmatch(weights[0]) else 1.0
    return 0.0


async def _next(parts: AsyncGenerator[Rows]) -> Rows | None:
    """Read the next part to its end, though who asked may have gone: a read that is cut leaves its transaction open."""
    rows = None
    with anyio.CancelScope(shield=True), suppress(StopAsyncIteration):
        rows = await anext(parts)
    return rows


def _lines(columns: Sequence[str], rows: Rows) -> str:
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\r\n")
    writer.writerows([cell(row[name]) for name in columns] for row in rows)
    return written.getvalue()
