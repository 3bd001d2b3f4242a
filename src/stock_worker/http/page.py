"""The API's own page (Swagger UI). Law: everything it needs comes from here, and the browser runs nothing else.

It works where nothing of the world outside can be reached, and asks nobody but this server. Its parts are files beside
this one, pinned by a test. They are public, as the description of the API is: both say what there is, and nothing of
anybody's stock. Source: contract section 7.
"""

import functools
from importlib import resources
from typing import Annotated, Final

from fastapi import APIRouter, Path, Response

from stock_worker.http.problems import Problem

router = APIRouter(include_in_schema=False)

PARTS: Final = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "init.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
_ALLOWED: Final = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self' 'unsafe-inline'",  # Swagger UI writes widths and colours into its elements
    "img-src": "'self' data:",  # its icons stand in the style sheet
    "connect-src": "'self'",  # to try a request
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
POLICY: Final = "; ".join(f"{what} {whence}" for what, whence in _ALLOWED.items())
_KEPT: Final = {"Cache-Control": "public, max-age=3600"}


@router.get("/docs")
async def page() -> Response:
    """Show every route, and let a person try them."""
    return Response(_read("index.html"), media_type="text/html", headers={"Content-Security-Policy": POLICY})


@router.get("/docs/{part}")
async def part(part: Annotated[str, Path()]) -> Response:
    """Give one of the page's parts."""
    if part not in PARTS:
        raise Problem("not_found", "the page has no such part")
    return Response(_read(part), media_type=PARTS[part], headers=_KEPT)


@functools.cache
def _read(name: str) -> bytes:
    return (resources.files("stock_worker.http") / "swagger" / name).read_bytes()
