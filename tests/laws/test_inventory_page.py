"""docs/inventory-page.md: each test that it names exists, and each test of these files is named once."""

import ast
from pathlib import Path
from typing import Final

import pytest

from tests.laws.docs_tables import table

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "inventory-page.md"
NAMED: Final = [row[-1] for name in ("acceptance", "beside") for row in table(name, PAGE)]
FILES: Final = sorted({ROOT / "tests" / "browser" / name.partition("::")[0] for name in NAMED})


def told_by(file: Path) -> list[str]:
    """The tests of a file, as the page names them."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    functions = [each.name for each in tree.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [f"{file.name}::{name}" for name in functions if name.startswith("test_")]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_each_test_of_a_story_is_named_once(file: Path) -> None:
    assert sorted(name for name in NAMED if name.startswith(f"{file.name}::")) == sorted(told_by(file))
