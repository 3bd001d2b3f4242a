"""Somebody with a browser: what a test of the page asks through, and what it finds in the answers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any, Final

import httpx

from tests.http.running import SITE, Api, product, token

ORIGIN: Final = "http://stock.test"
FROM_HERE: Final = {"Origin": ORIGIN}
HTMX: Final = {"HX-Request": "true"}
TABLE: Final = "/admin/inventory"
VOID: Final = frozenset({"br", "img", "input", "link", "meta"})


@dataclass
class Element:
    """An element of a page."""

    tag: str
    attributes: dict[str, str]
    texts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """What a person reads in it."""
        return " ".join(" ".join(self.texts).split())


class Elements(HTMLParser):
    """Every element of a page, each with the text within it.

    What a template with an id holds is kept for the script, and left out; one without brings rows, which need one.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[Element] = []
        self._open: list[Element] = []
        self.feed(text)

    @property
    def _is_shown(self) -> bool:
        return not any(element.tag == "template" and "id" in element.attributes for element in self._open)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        if self._is_shown:
            self.found.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._is_shown:
            self.found.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop().tag != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._is_shown:
            for element in self._open:
                element.texts.append(data)


@dataclass
class Page:
    """An answer, as a page."""

    response: httpx.Response
    elements: list[Element]

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def text(self) -> str:
        return self.response.text

    @property
    def words(self) -> str:
        """What a person reads, without the marks between."""
        return " ".join(re.sub(r"<[^>]+>", " ", self.text).split())

    def every(self, tag: str, **wanted: str) -> list[Element]:
        """Every element of this tag with these attributes; `class_` is one of its classes."""
        kind = wanted.pop("class_", None)
        return [
            each
            for each in self.elements
            if each.tag == tag
            and (kind is None or kind in each.attributes.get("class", "").split())
            and all(each.attributes.get(name.replace("_", "-")) == value for name, value in wanted.items())
        ]

    def one(self, tag: str, **wanted: str) -> Element:
        """The one of them that there is."""
        (found,) = self.every(tag, **wanted)
        return found

    def value(self, name: str) -> str:
        """What a field of a form is filled with."""
        return self.one("input", name=name).attributes["value"]

    @property
    def items(self) -> list[str]:
        """The rows' items by number, in order."""
        numbers = {f"row-{product(number)}_none": str(number) for number in range(60)}
        rows = [each.attributes["id"] for each in self.elements if each.attributes.get("id", "").startswith("row-")]
        return [numbers.get(row, row) for row in rows]


class Browser:
    """One who looks, signed in with a token or not at all."""

    def __init__(self, api: Api, bearer: str | None, headers: Mapping[str, str] = {}) -> None:
        self.api = api
        self._headers = dict(headers) | ({} if bearer is None else {"Cookie": f"stock_session={bearer}"})

    async def ask(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] = {},
        **more: Any,  # noqa: ANN401 - httpx's own arguments
    ) -> Page:
        said = {**self._headers, **headers}
        response = await self.api.client.request(method, ORIGIN + path, headers=said, **more)
        kind = response.headers.get("content-type", "")
        return Page(response, Elements(response.text).found if kind.startswith("text/html") else [])

    async def get(self, path: str = TABLE, *, htmx: bool = False, **query: object) -> Page:
        """Look at a page, of the site unless the path says more; None leaves a parameter out."""
        params = {"site": SITE, **query} if path.startswith(TABLE) and "?" not in path else None
        said = {name: value for name, value in (params or {}).items() if value is not None}
        return await self.ask("GET", path, params=said or None, headers=HTMX if htmx else {})

    async def post(
        self, path: str, form: Mapping[str, object], *, htmx: bool = True, headers: Mapping[str, str] = FROM_HERE
    ) -> Page:
        """Send a form, as htmx does or as a browser without it."""
        return await self.ask("POST", path, data=form, headers={**headers, **(HTMX if htmx else {})})

    async def adjust(self, kind: str, quantity: object, number: int = 1, **fields: object) -> Page:
        """Open the dialog of a product, fill its form and send it."""
        path = f"{TABLE}/adjust?site={SITE}&product={product(number)}"
        form = await self.get(path, htmx=True)
        filled = {"key": form.value("key"), "version": form.value("version"), "kind": kind, "quantity": quantity}
        return await self.post(path, filled | fields)


def signed_in(
    api: Api, role: str = "org_admin", sites: tuple[str, ...] = (SITE,), headers: Mapping[str, str] = {}
) -> Browser:
    """Somebody with this role."""
    return Browser(api, token(role, sites), headers)
