"""Files of the page. Law: an address names the contents, so a browser may keep them for ever.

Source: contract section 7 (the page).
"""

import functools
import gzip
import hashlib
from importlib import resources
from typing import Annotated, Final, NamedTuple

from fastapi import APIRouter, Path, Request, Response

from stock_worker.http.problems import Problem

router = APIRouter(prefix="/admin", include_in_schema=False)

KINDS: Final = {
    "app.css": "text/css",
    "app.js": "text/javascript",
    "htmx.min.js": "text/javascript",
    "icon.svg": "image/svg+xml",
    "lists.css": "text/css",
}
"""Every file that a page may load, and what it is."""

PATH: Final = "/admin/static"
_KEPT: Final = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
_HASH_LENGTH: Final = 12


class _File(NamedTuple):
    kind: str
    plain: bytes
    small: bytes


def address_of(name: str) -> str:
    """Where a file is: `/admin/static/app.0123456789ab.css`."""
    return f"{PATH}/{_addressed(name)}"


@router.get("/static/{name}")
async def read_file(request: Request, name: Annotated[str, Path()]) -> Response:
    """Give a file."""
    found = _files().get(name)
    if found is None:
        raise Problem("not_found", "the page has no such file")
    if accepts_gzip(request):
        return Response(found.small, media_type=found.kind, headers=_KEPT | {"Content-Encoding": "gzip"})
    return Response(found.plain, media_type=found.kind, headers=_KEPT)


def accepts_gzip(request: Request) -> bool:
    """Whether who asks can read what is made smaller."""
    return "gzip" in request.headers.get("accept-encoding", "")


@functools.cache
def _addressed(name: str) -> str:
    stem, _, ending = name.rpartition(".")
    return f"{stem}.{hashlib.sha256(_read(name)).hexdigest()[:_HASH_LENGTH]}.{ending}"


@functools.cache
def _files() -> dict[str, _File]:
    read = {name: _read(name) for name in KINDS}
    return {_addressed(name): _File(KINDS[name], text, gzip.compress(text, mtime=0)) for name, text in read.items()}


@functools.cache
def _read(name: str) -> bytes:
    return (resources.files("stock_worker.http.admin") / "static" / name).read_bytes()
