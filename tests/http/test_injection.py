"""Contract section 7, every parameter is bound: hostile texts in each parameter of each route stay texts.

The table is made over the description of the API, so a new route or field is in it by itself.
"""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from copy import deepcopy
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import asyncpg
import httpx
import pytest

from stock_worker.core.ids import default_location_id
from stock_worker.http.problems import MEDIA_TYPE
from tests.http.booking import variant
from tests.http.own_site import own_site
from tests.http.routes import description
from tests.http.running import OTHER, Api, product, token
from tests.store.catalogs import CATALOGS, rows_of

HOSTILE: Final = {
    "a quote that ends the text": "x' OR '1'='1",
    "a statement and a comment": "1'; DROP TABLE stock.items; --",
    "signs of patterns": '%_\\%%"::uuid\\',
    "NUL": "a\0b",
    "a lone surrogate": "a\ud800b",
    "a header of its own": "a\r\nX-Injected: 1\r\n\r\n<html>",
    "very long": "x" * 5_000,
    "a template": "{{7*7}}${7*7}<%=7*7%>{0.__class__}%(key)s%n",
    "a script": "<script>alert(1)</script>",
    "a way out of the folder": "../../../../etc/passwd",
    "signs that look like others": "\u202e\u200b\uff07 OR 1=1\uff1b\u0130\u1e9e\U0001f3f4",
    "a formula": "=cmd|' /C calc'!A0",
    "JSON": '{"$gt": ""}, "role": "platform_admin"',
}
INSIDE: Final = ("Traceback", "asyncpg", "psycopg", "SELECT", "syntax error", "stock_worker", "root:", "site-packages")
"""What an answer has where something of ours, or of the machine, got out."""
NO_KAFKA: Final = "/stream"
ALWAYS_READ: Final = ("Accept", "traceparent", "Last-Event-ID")
"""Headers that are looked at whatever is asked; they are hostile together."""
NO_SUCH_PATH: Final = {404, 405}
"""What a text with a slash comes to in a path: another path, or another method's."""
SAMPLES: Final = {
    "partition": "0",
    "offset": "0",
    "timestamp_ms": "0",
    "topic": "restock",
    "from": "2026-03-01T00:00:00Z",
    "to": "2026-03-02T00:00:00Z",
    "reference_type": "restock",
    "reference_id": "R",
    "product": product(1),
    "product_id": product(1),
    "variant": variant(1),
    "variant_id": variant(1),
    "alert_id": product(2),
}
"""Values that get as far as the books: where one parameter is hostile, the others are these."""

DESCRIBED: Final = description()


class Place(NamedTuple):
    """Where a text goes: `path`, `query`, `header` or `body`, and by which name or way."""

    where: str
    name: tuple[str | int, ...]

    def __str__(self) -> str:
        """Name it for a person."""
        return f"{self.where} {'.'.join(map(str, self.name))}"


NOWHERE: Final = Place("nowhere", ())


class Operation(NamedTuple):
    """One method of one path, as it is described."""

    method: str
    path: str
    said: Mapping[str, Any]

    def __str__(self) -> str:
        """Name it as the tables do."""
        return f"{self.method} {self.path.removeprefix('/api/v1')}"

    def places(self) -> list[Place]:
        """Every place for a text, those that are described and those that every request has."""
        return [
            *(Place(each["in"], (each["name"],)) for each in self.said.get("parameters", ())),
            Place("header", ALWAYS_READ),
            *(Place("body", way) for way in _texts(self.shape())),
        ]

    def shape(self) -> Mapping[str, Any]:
        """What its body is; nothing where it takes none."""
        return dict(self._media().get("schema", {}))

    def body(self) -> Any:  # noqa: ANN401 - JSON
        """A body that fits."""
        return deepcopy(self._media().get("example")) or _sample(self.shape())

    def _media(self) -> Mapping[str, Any]:
        return dict(self.said.get("requestBody", {}).get("content", {}).get("application/json", {}))


OPERATIONS: Final = [
    Operation(method.upper(), path, said) for path, item in DESCRIBED["paths"].items() for method, said in item.items()
]

# ---------------------------------------------------------------- what a body may have


def _resolved(shape: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The shapes that a value may have, without references."""
    if "$ref" in shape:
        return _resolved(DESCRIBED["components"]["schemas"][shape["$ref"].rpartition("/")[2]])
    for word in ("anyOf", "oneOf", "allOf"):
        if word in shape:
            return [each for part in shape[word] for each in _resolved(part)]
    return [shape]


def _texts(shape: Mapping[str, Any], way: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The way to every text that a value of this shape may have."""
    for each in _resolved(shape) if shape else ():
        if each.get("type") == "string":
            yield way
        elif each.get("type") == "array":
            yield from _texts(each.get("items", {}), (*way, 0))
        for name, part in each.get("properties", {}).items():
            yield from _texts(part, (*way, name))


def _sample(shape: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
    """A value of this shape, with what it needs."""
    if not shape:
        return None
    each = _resolved(shape)[0]
    match each.get("type"):
        case "object":
            return {
                name: _sample(part) for name, part in each["properties"].items() if name in each.get("required", ())
            }
        case "array":
            return [_sample(each["items"])]
        case "string":
            return product(1) if each.get("format") == "uuid" else each.get("enum", ["warehouse"])[0]
    return 1


def _put(body: Any, way: tuple[str | int, ...], text: str) -> Any:  # noqa: ANN401 - JSON
    """The body with a text at the end of a way, which is made where it is not there."""
    if not way:
        return text
    step, *rest = way
    if isinstance(step, int):
        return [_put(body[0] if isinstance(body, list) and body else None, tuple(rest), text)]
    there = body if isinstance(body, dict) else {}
    return {**there, step: _put(there.get(step), tuple(rest), text)}


# ---------------------------------------------------------------- what is sent


async def _send(api: Api, operation: Operation, place: Place, text: str, key: str) -> httpx.Response:
    """Send a request whose one place is hostile."""
    own = {**SAMPLES, "site": api.site_id, "location_id": default_location_id(api.site_id), "Idempotency-Key": key}
    path, query, headers, body = operation.path, {}, {}, operation.body()
    for parameter in operation.said.get("parameters", ()):
        at, name = Place(parameter["in"], (parameter["name"],)), parameter["name"]
        value = text if at == place else own.get(name, "R" if parameter.get("required") else None)
        if value is None:
            continue
        if at.where == "path":
            path = path.replace(f"{{{name}}}", quote(value.encode(errors="surrogatepass"), safe=""))
        elif at.where == "query":
            query[name] = value
        else:
            headers[name] = value
    if place.where == "header":
        headers |= dict.fromkeys(map(str, place.name), text)
    if place.where == "body":
        body = _put(body, place.name, text)
    asked = "&".join(f"{name}={quote(value.encode(errors='surrogatepass'), safe='')}" for name, value in query.items())
    role = "org_admin" if "{site}" in operation.path else "platform_admin"
    headers["Authorization"] = f"Bearer {token(role, (api.site_id,))}"
    if body is not None:
        headers["Content-Type"] = "application/json"
    return await api.client.request(
        operation.method,
        f"http://stock.test{path}?{asked}",
        headers=[(name, value.encode(errors="surrogatepass")) for name, value in headers.items()],
        content=None if body is None else json.dumps(body),
    )


def _wrong(operation: Operation, answer: httpx.Response) -> list[str]:
    """What is wrong with an answer to a hostile text."""
    status, kind = str(answer.status_code), answer.headers.get("content-type", "").split(";")[0]
    described = operation.said["responses"].get(status, {})
    wrong = [f"{word} got out" for word in INSIDE if word in answer.text]
    if answer.status_code >= 500 and not operation.path.endswith(NO_KAFKA):
        wrong.append(f"it is the server's fault: {answer.text}")
    if kind not in described.get("content", {}):
        wrong.append(f"{status} {kind} is not written down")
    if kind == MEDIA_TYPE and answer.json()["status"] != answer.status_code:
        wrong.append(f"the problem is another one: {answer.text}")
    for name, value in answer.headers.raw:
        if name.lower() == b"x-injected" or any(sign < 0x20 or sign == 0x7F for sign in name + value):
            wrong.append(f"a header is split: {name!r} {value!r}")
    if answer.headers["x-content-type-options"] != "nosniff":
        wrong.append("a browser may take it for a page")
    return wrong


def _changed(place: Place, text: str, answer: httpx.Response) -> list[str]:
    """What became of a text that was taken and is told again: it is the same, sign for sign."""
    if place.where != "body" or len(place.name) != 1 or not answer.is_success:
        return []
    told = answer.json().get(place.name[0], text)
    return [] if told == text else [f"it was taken as {told!r}"]


# ---------------------------------------------------------------- what stays as it was


class Untouched(NamedTuple):
    """What the database is, and what another site has in it."""

    owner: asyncpg.Connection

    async def look(self) -> dict[str, Any]:
        """Look at every catalog of the schema, and count the rows of each table that are another site's."""
        found: dict[str, Any] = {name: await rows_of(self.owner, name) for name in CATALOGS}
        tables = await self.owner.fetch(
            "SELECT table_name FROM information_schema.columns WHERE table_schema = 'stock' AND column_name = 'site_id'"
        )
        for table in sorted(row["table_name"] for row in tables):
            found[table] = await self.owner.fetchval(f'SELECT count(*) FROM stock."{table}" WHERE site_id = $1', OTHER)
        return found


@pytest.fixture
async def untouched(served: Api, module_database: str) -> AsyncIterator[Untouched]:
    """Who looks at the database, in which another site has something."""
    await served.write(
        "/restocks",
        {"lines": [{"product_id": product(1), "quantity": 5}]},
        key="theirs",
        site=OTHER,
        bearer=token("platform_admin", ()),
    )
    owner = await asyncpg.connect(module_database)
    try:
        yield Untouched(owner)
    finally:
        await owner.close()


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
async def test_a_hostile_text_is_a_text_in_every_parameter(
    served: Api, untouched: Untouched, operation: Operation
) -> None:
    api = own_site(served)
    await api.stock(quantity=100)
    await api.stock(quantity=100, variant_id=variant(1))
    harmless = await _send(api, operation, NOWHERE, "", "harmless")
    assert harmless.status_code not in {401, 403, 422}, f"it does not get as far as the books: {harmless.text}"
    before = await untouched.look()
    wrong = []
    for place in operation.places():
        for number, (name, text) in enumerate(HOSTILE.items()):
            answer = await _send(api, operation, place, text, f"{place} {number}")
            if place.where == "path" and "/" in text and answer.status_code in NO_SUCH_PATH:
                continue
            found = [*_wrong(operation, answer), *_changed(place, text, answer)]
            wrong += [f"{place}, {name}: {each}" for each in found]
    assert not wrong, "\n".join(wrong)
    assert await untouched.look() == before


def test_every_route_is_in_the_table_and_every_kind_of_place() -> None:
    places = [place for operation in OPERATIONS for place in operation.places()]
    assert {place.where for place in places} == {"path", "query", "header", "body"}
    assert ("body", ("lines", 0, "reason")) in places
    assert ("body", ("items", 0, "product_id")) in places
