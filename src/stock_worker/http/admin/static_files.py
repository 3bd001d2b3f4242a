"""Files of the page. Law: an address names the contents, so a browser may keep them for ever.

A first view waits for each file that it asks for, so what is always loaded together is one. Source: contract section 7
(the page).
"""

import functools
import gzip
import hashlib
from collections.abc import Mapping
from importlib import resources
from typing import Annotated, Final, NamedTuple

from fastapi import APIRouter, Path, Request, Response

from stock_worker.http.problems import Problem

router = APIRouter(prefix="/admin", include_in_schema=False)

FILES: Final[Mapping[str, tuple[str, ...]]] = {
    "app.css": ("app.css",),
    "app.js": ("htmx.min.js", "app.js"),
    "alerts.css": ("app.css", "alerts.css"),
    "alerts.js": ("alerts.js",),
    "bulk.css": ("app.css", "bulk.css"),
    "bulk.js": ("bulk.js",),
    "icon.svg": ("icon.svg",),
    "lists.css": ("app.css", "lists.css"),
    "reports.css": ("app.css", "reports.css"),
    "reports.js": ("reports.js",),
}
"""Every file that a page may load, and which of `static` stand in it: a page has one of each kind, and scripts of its
own beside `app.js`."""
KINDS: Final = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
"""What a file is, by the ending of its name."""

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
    read = {name: _read(name) for name in FILES}
    return {
        _addressed(name): _File(KINDS[name.rpartition(".")[2]], text, gzip.compress(text, mtime=0))
        for name, text in read.items()
    }


@functools.cache
def _read(name: str) -> bytes:
    folder = resources.files("stock_worker.http.admin") / "static"
    return b"\n".join((folder / part).read_bytes() for part in FILES[name])
