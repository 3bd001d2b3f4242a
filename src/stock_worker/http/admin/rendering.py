"""Templates as answers. Law: what stands in a page is text, whatever is in it, and the browser runs our files alone.

Every value is escaped; a name that a template does not know is an error. The policy allows no script and no style that
stands in the page, and pictures of products from any server over https. Source: contract section 7 (the page).
"""

import gzip
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from fastapi import Request, Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from stock_worker.http.admin.navigation import PLACES
from stock_worker.http.admin.static_files import accepts_gzip, address_of

_ALLOWED: Final = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' https:",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
POLICY: Final = "; ".join(f"{what} {whence}" for what, whence in _ALLOWED.items())
_HEADERS: Final = {"Content-Security-Policy": POLICY, "Vary": "Accept-Encoding, Accept-Language, Cookie, HX-Request"}
_GZIP_LEVEL: Final = 5
"""Nearly as small as 9, at a third of its time."""

TEMPLATES: Final = Environment(
    loader=PackageLoader("stock_worker.http.admin"),
    autoescape=True,
    undefined=StrictUndefined,
    auto_reload=False,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.globals |= {"asset": address_of, "navigation": PLACES}


def is_part(request: Request) -> bool:
    """Whether htmx asks, which puts an answer into the page there is; else it is to be a page."""
    return "hx-request" in request.headers


def render(
    request: Request,
    template: str,
    context: Mapping[str, Any] = MappingProxyType({}),
    *,
    status: int = 200,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> Response:
    """Make an answer of a template."""
    content = TEMPLATES.get_template(template).render({"path": request.url.path, **context}).encode()
    said = {**_HEADERS, **headers}
    if accepts_gzip(request):
        content = gzip.compress(content, _GZIP_LEVEL, mtime=0)
        said["Content-Encoding"] = "gzip"
    return Response(content, status, media_type="text/html", headers=said)
