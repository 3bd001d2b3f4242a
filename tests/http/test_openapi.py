"""The description of the API is true and whole, and its page works where nothing outside can be reached."""

import asyncio
import hashlib
import re
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib import resources
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.validators import extend
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from stock_worker.health import Health
from stock_worker.http.app import BASE
from stock_worker.http.page import PARTS, POLICY
from stock_worker.http.serve import around
from stock_worker.metrics import Metrics
from tests.flow.running import settings_for
from tests.http.routes import description
from tests.http.running import KEY, Api, token

METHODS: Final = {"get", "post", "put", "patch", "delete"}
EVERYWHERE: Final = {"401", "403", "422", "429", "500", "503"}


@pytest.fixture
async def document(api: Api) -> dict[str, Any]:
    """The description, as it is served."""
    answer = await api.client.get(f"http://stock.test{BASE}/openapi.json")
    assert answer.status_code == 200
    return dict(answer.json())


def _operations(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{method.upper()} {path}", operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    ]


def _every(value: object, name: str) -> Iterator[Any]:
    """Each value of this name, wherever it stands."""
    if isinstance(value, dict):
        for key, below in value.items():
            if key == name:
                yield below
            yield from _every(below, name)
    elif isinstance(value, list):
        for below in value:
            yield from _every(below, name)


# ---------------------------------------------------------------- the document


async def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    for reference in _every(document, "$ref"):
        at: Any = document
        for step in reference.removeprefix("#/").split("/"):
            assert step in at, reference
            at = at[step]


async def test_the_document_is_valid_openapi(document: dict[str, Any]) -> None:
    schemathesis.openapi.from_dict(document).validate()
    assert document["openapi"].startswith("3.1")
    for schema in _every(document, "schema"):
        Draft202012Validator.check_schema(schema, format_checker=FormatChecker(()))  # `re` does not know \p
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema, format_checker=FormatChecker(()))  # `re` does not know \p


async def test_every_route_says_what_it_does_what_it_takes_and_what_can_go_wrong(document: dict[str, Any]) -> None:
    lacking = []
    for name, operation in _operations(document):
        lacking += [
            (name, word) for word in ("summary", "description", "tags", "operationId") if not operation.get(word)
        ]
        lacking += [(name, status) for status in sorted(EVERYWHERE - set(operation["responses"]))]
        lacking += [
            (name, parameter["name"])
            for parameter in operation.get("parameters", ())
            if not parameter.get("description") and not parameter["schema"].get("description")
        ]
        for status, response in operation["responses"].items():
            content = response.get("content", {})
            if status >= "400" and list(content) != ["application/problem+json"]:
                lacking.append((name, f"{status} is no problem"))
            if status < "300" and status != "204" and not content:
                lacking.append((name, f"{status} has no shape"))
        for media in operation.get("requestBody", {}).get("content", {}).values():
            if media.get("schema", {}) == {} and "example" not in media:
                lacking.append((name, "a body without shape and example"))
    assert not lacking, "\n".join(map(str, lacking))


async def test_an_example_fits_its_shape(document: dict[str, Any]) -> None:
    seen = 0
    for name, operation in _operations(document):
        for media in operation.get("requestBody", {}).get("content", {}).values():
            if "example" in media:
                shape = media["schema"] | {"components": document["components"]}
                problems = [error.message for error in _validator(shape).iter_errors(media["example"])]
                assert not problems, (name, problems)
                seen += 1
    assert seen >= 4


def _validator(schema: dict[str, Any]) -> Any:  # noqa: ANN401 - the library has no name for its kind
    r"""A validator without patterns: Python's `re` does not know \p, which JSON Schema's dialect has."""
    return extend(Draft202012Validator, {"pattern": lambda *_: None})(schema)  # type: ignore[no-untyped-call]


# ---------------------------------------------------------------- what is answered


described = schemathesis.openapi.from_dict(description())
CASES: Final = max(5, 200 // len(_operations(described.raw_schema)))
"""For each route; they are the same in each run. Who may ask is test_access's."""


@pytest.fixture(scope="module")
def address(module_database: str) -> Iterator[str]:
    """An API that answers on a port."""
    said = settings_for("127.0.0.1:1", module_database, "", jwt_key=KEY)
    health = Health(Metrics(), unhealthy=list, unready=list, paused=list, around=around(said))
    listening = Health.bind("127.0.0.1", 0)
    port = listening.getsockname()[1]
    thread = threading.Thread(target=lambda: asyncio.run(health.serve(listening)))
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        health.stop()
        thread.join()


@described.exclude(path_regex="/stream$").parametrize()  # its answer never ends, and there is no Kafka here
@settings(max_examples=CASES, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_is_asked_the_answer_is_one_that_is_written_down(address: str, case: schemathesis.Case) -> None:
    case.call_and_validate(
        base_url=address,
        headers={"Authorization": f"Bearer {token('platform_admin', ())}"},
        checks=[
            not_a_server_error,
            status_code_conformance,
            content_type_conformance,
            response_schema_conformance,
            unsupported_method,
        ],
    )


# ---------------------------------------------------------------- the page

PINNED: Final = {  # swagger-ui-dist 5.35.0
    "swagger-ui-bundle.js": "e6a898692f2d768e807c3ba4626068a69a2c5dd960dd6c76f3e4d3a3de180af2",
    "swagger-ui.css": "5ed08757e53da3e026d6cbecc61fe5d43585c9560b302d534ad56692519a273d",
    "favicon-32x32.png": "3ed612f41e050ca5e7000cad6f1cbe7e7da39f65fca99c02e99e6591056e5837",
}


class Links(HTMLParser):
    """What a page loads, and what of it stands in the page itself."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        self.loads += [value for name, value in attrs if name in {"src", "href"} and value]
        if (tag == "script" and "src" not in said) or tag == "style" or any(name.startswith("on") for name in said):
            self.inline.append(tag)


async def test_the_page_loads_its_own_parts_and_nothing_else(api: Api) -> None:
    page = await api.client.get(f"http://stock.test{BASE}/docs")
    assert (page.status_code, page.headers["content-security-policy"]) == (200, POLICY)
    links = Links()
    links.feed(page.text)
    assert not links.inline, "the policy runs no script that stands in the page"
    assert sorted(links.loads) == sorted(f"docs/{name}" for name in PARTS)
    for name in links.loads:
        part = await api.client.get(f"http://stock.test{BASE}/{name}")
        assert (part.status_code, part.headers["content-type"].split(";")[0]) == (
            200,
            PARTS[name.removeprefix("docs/")],
        )
    start = (await api.client.get(f"http://stock.test{BASE}/docs/init.js")).text
    assert re.search(r'url: "openapi\.json"', start)
    assert "validatorUrl: null" in start, "or a server far away is asked"


@pytest.mark.parametrize("path", ["index.html", "README.md", "..%2fpage.py", "%2e%2e/page.py", "no.js"])
async def test_the_page_gives_nothing_but_its_parts(api: Api, path: str) -> None:
    assert (await api.client.get(f"http://stock.test{BASE}/docs/{path}")).status_code == 404


def test_the_policy_lets_the_page_run_and_asks_nobody_else() -> None:
    allowed = dict(part.split(" ", 1) for part in POLICY.split("; "))
    assert allowed["default-src"] == "'none'"
    assert allowed["script-src"] == "'self'"
    assert not re.search(r"\*|https?:|unsafe-eval", POLICY)


@pytest.mark.parametrize("name", PINNED)
def test_the_pages_parts_are_those_of_the_release(name: str) -> None:
    part = resources.files("stock_worker.http") / "swagger" / name
    assert hashlib.sha256(part.read_bytes()).hexdigest() == PINNED[name]
