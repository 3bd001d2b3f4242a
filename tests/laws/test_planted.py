"""The table of planted faults: what it changes is there to be changed, and what is to catch it is there to do so."""

import ast
from pathlib import Path

import pytest

from tests.proof.planted import FAULTS, Fault

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "stock_worker"


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_planted_fault_has_its_place_and_leaves_code(fault: Fault) -> None:
    texts: dict[str, str] = {}
    for edit in fault.edits:
        text = texts.setdefault(edit.file, (SOURCE / edit.file).read_text(encoding="utf-8"))
        assert text.count(edit.old) == 1, f"{edit.file}: {edit.old!r}"
        texts[edit.file] = text.replace(edit.old, edit.new)
    for file, text in texts.items():
        if file.endswith(".py"):
            compile(text, file, "exec")


@pytest.mark.parametrize("test", sorted({test for fault in FAULTS for test in fault.caught_by}))
def test_a_test_that_is_to_catch_a_fault_is_there(test: str) -> None:
    file, name = test.split("::")
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert name.split("[")[0] in functions


def test_planted_faults_are_told_apart_and_each_has_a_test() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    assert all(fault.edits and fault.caught_by for fault in FAULTS)
