"""docs/inventory-names.md: each endpoint and field that it names is in the description of the API, each test exists."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from stock_worker.http.app import BASE, create_app
from stock_worker.http.backend import Backend
from stock_worker.http.tokens import Verifier
from stock_worker.metrics import Metrics
from tests.flow.running import settings_for
from tests.http.running import KEY

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs" / "inventory-names.md").read_text(encoding="utf-8")
SITED: Final = f"{BASE}/sites/{{site}}"
ACTIONS: Final = re.findall(r"^\| `([\w.]+)` \| `(\w+ /\S+)` \| `(tests/\S+)` \|", PAGE, re.MULTILINE)
ENDPOINTS: Final = sorted(set(re.findall(r"`((?:GET|POST|PATCH|DELETE) /[^`]+)`", PAGE)))
FIELDS: Final = sorted(set(re.findall(r"`([A-Z]\w+\.\w+)`", PAGE)))
TESTS: Final = sorted(set(re.findall(r"`(tests/\S+::\w+)`", PAGE)))


class Type(NamedTuple):
    """A type of the page: where it is found, and what is said of each field."""

    name: str
    endpoints: list[str]
    tests: list[str]
    rows: list[list[str]]

    def __str__(self) -> str:
        """Name it as the page does."""
        return self.name


def _type(section: str) -> Type:
    name, _, text = section.partition("\n")
    found = re.search(r"^(?:.*\. )?In (?P<ends>.*)\. Shown by (?P<tests>.*)\.$", text, re.MULTILINE)
    assert found, name
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| `")]
    return Type(name, re.findall(r"`([^`]+)`", found["ends"]), re.findall(r"`([^`]+)`", found["tests"]), rows)


TYPES: Final = [_type(section) for section in PAGE.split("\n### ")[1:]]


@cache
def description() -> dict[str, Any]:
    """The description, as the application gives it."""
    settings = settings_for("127.0.0.1:1", "postgresql://nobody@127.0.0.1:1/none", "", jwt_key=KEY)
    verifier, metrics = Verifier.of(settings), Metrics()
    assert verifier is not None
    return create_app(Backend(settings, metrics, verifier), metrics).openapi()


def operation(endpoint: str) -> dict[str, Any]:
    """What the description says of `METHOD /path`; KeyError where there is none."""
    method, path = endpoint.split()
    return dict(description()["paths"][SITED + path][method.lower()])


def properties(schema: str) -> dict[str, Any]:
    """The fields of a schema by its name; KeyError where there is none."""
    return dict(description()["components"]["schemas"][schema]["properties"])


def _references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for name, below in value.items():
            if name == "$ref":
                yield below.rpartition("/")[2]
            else:
                yield from _references(below)
    elif isinstance(value, list):
        for below in value:
            yield from _references(below)


def spoken_by(endpoint: str) -> set[str]:
    """Every schema that an endpoint takes or gives."""
    found: set[str] = set()
    waiting = list(_references(operation(endpoint)))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _references(description()["components"]["schemas"][name])
    return found


def test_the_page_has_the_actions_and_the_types() -> None:
    assert len({name for name, _, _ in ACTIONS}) == 20
    assert len(TYPES) == len({each.name for each in TYPES}) == 16
    assert all(len(each.rows) > 1 for each in TYPES)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_an_endpoint_is_there_and_takes_what_is_named(endpoint: str) -> None:
    path, mark, name = re.fullmatch(r"([^?#]+)([?#]?)(.*)", endpoint).groups()  # type: ignore[union-attr] # it fits all
    there = operation(path)
    if mark == "?":
        assert name in {each["name"] for each in there["parameters"] if each["in"] == "query"}
    elif mark == "#":
        assert name in there["requestBody"]["content"]["application/json"]["schema"]["properties"]


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_is_in_its_schema(field: str) -> None:
    schema, _, name = field.partition(".")
    assert name in properties(schema)


@pytest.mark.parametrize("each", TYPES, ids=str)
def test_a_type_is_found_in_its_endpoints_and_each_field_has_a_place_or_a_reason(each: Type) -> None:
    spoken = set().union(*map(spoken_by, each.endpoints))
    assert each.tests
    for field, here, why in each.rows:
        found = re.match(r"`([A-Z]\w+)\.\w+`", here)
        if found:
            assert found[1] in spoken, field
        assert here != "none" or why, field


@pytest.mark.parametrize("test", TESTS)
def test_a_test_that_is_named_exists(test: str) -> None:
    file, _, name = test.partition("::")
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert name in {each.name for each in tree.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}
