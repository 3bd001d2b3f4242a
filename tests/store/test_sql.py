import functools
import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import pytest

from stock_worker.store.engine import connect
from stock_worker.store.sql import parse, statements

PACKAGE = Path(__file__).parents[2] / "src" / "stock_worker"
FILES = sorted(file.stem for file in (PACKAGE / "store" / "queries").glob("*.sql"))
NAMED = [(file, name) for file in FILES for name in statements(file)]


# ---------------------------------------------------------------- the loader


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("", {}, id="empty"),
        pytest.param("-- only words\n", {}, id="only words"),
        pytest.param("-- name: one\nSELECT 1;\n", {"one": "SELECT 1"}, id="one"),
        pytest.param("-- name: one\nSELECT 1", {"one": "SELECT 1"}, id="no semicolon"),
        pytest.param("--name:one\nSELECT 1;", {"one": "SELECT 1"}, id="no blanks in the header"),
        pytest.param(
            "-- All.\n\n-- name: one\n-- Why.\nSELECT 1\n\n-- so\n  FROM a;\n\n-- name: two_b\nSELECT 2;\n",
            {"one": "SELECT 1\n  FROM a", "two_b": "SELECT 2"},
            id="two, with words",
        ),
    ],
)
def test_a_file_is_cut_into_its_statements(text: str, found: Mapping[str, str]) -> None:
    assert parse(text, "x.sql") == found


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("SELECT 1;", "x.sql: SQL before the first `-- name:`: SELECT 1;"),
        ("-- name: one\nSELECT 1;\n-- name: one\nSELECT 2;", "x.sql: two statements are named one"),
        ("-- name: one\n-- words\n-- name: two\nSELECT 2;", "x.sql: no SQL under the name one"),
    ],
)
def test_a_file_that_is_ambiguous_is_refused(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=re.escape(fault)):
        parse(text, "x.sql")


def test_a_file_is_read_once_and_cannot_be_changed() -> None:
    assert statements("batch") is statements("batch")
    with pytest.raises(TypeError):
        statements("batch")["lock_items"] = "SELECT 1"  # type: ignore[index]


# ---------------------------------------------------------------- the statements


async def test_every_statement_is_understood_by_the_migrated_database(module_database: str) -> None:
    worker = await connect(module_database, "stock_worker")
    try:
        for file, name in NAMED:
            prepared = await worker.prepare(statements(file)[name])
            assert prepared.get_parameters() is not None
    finally:
        await worker.close()


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_every_statement_is_used_and_used_under_its_name(file: str, name: str) -> None:
    assert name in used(file), f"{file}.sql: nobody runs {name}"


@pytest.mark.parametrize("file", FILES)
def test_every_name_that_is_used_has_a_statement(file: str) -> None:
    assert used(file) <= set(statements(file))


@pytest.mark.parametrize("file", FILES)
def test_every_statement_says_why_it_exists(file: str) -> None:
    lines = (PACKAGE / "store" / "queries" / f"{file}.sql").read_text().splitlines()
    for header, following in pairwise(lines):
        if header.startswith("-- name:"):
            assert following.startswith("-- "), f"{file}.sql: {header} has no line of purpose"


@functools.cache
def sources() -> list[str]:
    """The package's modules, read once: two hundred rows look through all of them."""
    return [module.read_text() for module in PACKAGE.rglob("*.py")]


@functools.cache
def used(file: str) -> set[str]:
    """The names that the package looks up in `statements(file)`, by the variable that each module binds it to."""
    names = set()
    for text in sources():
        if f'statements("{file}")' not in text:
            continue
        for variable in re.findall(rf'(\w+)(?:: [^=\n]+)? = statements\("{file}"\)', text):
            names |= set(re.findall(rf'\b{variable}\[\s*"(\w+)"\s*\]', text))
        names |= set(re.findall(rf'statements\("{file}"\)\["(\w+)"\]', text))
    return names
