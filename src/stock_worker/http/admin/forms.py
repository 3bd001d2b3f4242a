"""What a form sends. Law: it was sent from these pages, else it changes nothing.

A browser says itself where a request comes from (Sec-Fetch-Site, or Origin where it is older), and no page elsewhere
can say otherwise. The cookie is SameSite=Strict beside: either would do. Source: contract section 7 (the page).
"""

from collections.abc import Mapping
from typing import Annotated, Final
from urllib.parse import parse_qsl, urlsplit

from fastapi import Depends, Request

from stock_worker.http.pages import LIMIT_MAX
from stock_worker.http.problems import Problem

_FIELDS_MAX: Final = 2 * LIMIT_MAX + 50
"""Two for each of the items that a form can be of, and what else it has."""

Fields = Mapping[str, str]


async def _fields(request: Request) -> Fields:
    """Read the fields of a form, without what was left empty. Raises Problem: forbidden, malformed."""
    if not _is_from_here(request):
        raise Problem("forbidden", "this form was sent from another site")
    try:
        text = (await request.body()).decode()
        pairs = parse_qsl(text, max_num_fields=_FIELDS_MAX, errors="strict")
    except ValueError:
        raise Problem("malformed", "the form cannot be read") from None
    return {name: value.strip() for name, value in pairs if value.strip()}


Form = Annotated[Fields, Depends(_fields)]


def _is_from_here(request: Request) -> bool:
    if (site := request.headers.get("sec-fetch-site")) is not None:
        return site == "same-origin"
    origin = request.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc == request.headers.get("host")
