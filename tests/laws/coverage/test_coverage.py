"""The table of promises against the tests that there are: each promise is shown, by a test that bears its name."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.laws.coverage import table as listed_in
from tests.laws.coverage.__main__ import main, passed
from tests.laws.coverage.table import PAGE, ROOT, Promise, missing, not_yet, page, promises
from tests.laws.docs_tables import CONTRACT, table

PROMISES = promises()


def with_wholes(tests: list[str]) -> set[str]:
    """These tests, and each as a whole."""
    return {name for test in tests for name in (test, test.partition("[")[0])}


def collected(files: list[str]) -> list[str]:
    """The tests of these files, as another pytest finds them."""
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *files],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
        check=False,
    )
    return [line for line in ran.stdout.splitlines() if "::" in line]


def test_every_promise_is_shown_by_tests_that_there_are(request: pytest.FixtureRequest) -> None:
    named = [test for promise in PROMISES for test in promise.shown_by]
    here = with_wholes([item.nodeid for item in request.session.items])
    elsewhere = missing(named, here)  # all of it where only these laws run, nothing in a run of everything
    files = sorted({test.partition("::")[0] for test in elsewhere})
    assert [file for file in files if not (ROOT / file).is_file()] == []
    if files:
        elsewhere = missing(elsewhere, with_wholes(collected(files)))
    assert elsewhere == []


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.id)
def test_a_promise_is_said_and_shown_by_a_test_named_after_it(promise: Promise) -> None:
    assert promise.says
    assert promise.shown_by
    if promise.named is not None:
        assert any(re.search(promise.named, test.partition("::")[2]) for test in promise.shown_by), promise.named


def test_no_promise_stands_twice() -> None:
    names = [*(promise.id for promise in PROMISES), *(name for name, _, _ in not_yet())]
    assert len(set(names)) == len(names)
    assert len({promise.says for promise in PROMISES}) == len(PROMISES)


IN_ANOTHER = {"C22"}
"""What readers must not rely on: it stands with C21, which says on what they may."""


def test_no_row_of_the_contracts_tables_and_no_decided_case_is_left_out() -> None:
    """In the contract's order, too."""
    names = [promise.id for promise in PROMISES]
    cases = re.findall(r"^- \*\*(C\d+)\*\*", CONTRACT.read_text(encoding="utf-8"), re.MULTILINE)
    assert [name for name in names if re.fullmatch(r"C\d+", name)] == [case for case in cases if case not in IN_ANOTHER]
    of_the_api = re.findall(r"^- \*\*(H\d+)\*\*", CONTRACT.read_text(encoding="utf-8"), re.MULTILINE)
    assert [name for name in names if re.fullmatch(r"H\d+", name)] == of_the_api
    assert rows_of(names, "Refusal") == [row[0] for row in table("refusals")]
    topics = [(row[0], row[1]) for row in table("topics") if not row[0].endswith("-dlt")]
    assert rows_of(names, "Topic") == rows_of(names, "Ref") == [topic for topic, way in topics if way == "in"]
    assert rows_of(names, "Event") == [topic for topic, way in topics if way == "out"]
    commands = [row[0].split()[0] for row in table("commands") if row[2] == "now"]
    assert rows_of(names, "Command") == list(dict.fromkeys(commands))
    assert {name.partition(".")[0] for name in names if name.startswith("R") and name[1].isdigit()} == {
        f"R{number}" for number in range(1, 14)
    }


def rows_of(names: list[str], kind: str) -> list[str]:
    """The rows of one of the contract's tables that have a promise."""
    return [name.partition(".")[2] for name in names if name.startswith(f"{kind}.")]


def test_docs_coverage_is_what_the_table_gives() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make coverage`"


# ---------------------------------------------------------------- what a run vouches for

RESULTS = """<testsuites><testsuite>
<testcase classname="tests.core.test_a" name="test_b[x]" />
<testcase classname="tests.core.test_a" name="test_b[y]">{y}</testcase>
<testcase classname="tests.core.test_a" name="test_c" />
</testsuite></testsuites>"""
ALL = {f"tests/core/test_a.py::{name}" for name in ("test_b[x]", "test_b[y]", "test_b", "test_c")}


@pytest.mark.parametrize(
    ("second", "not_passed"),
    [
        ("", []),
        ("<skipped/>", ["test_b", "test_b[y]"]),
        ("<failure/>", ["test_b", "test_b[y]"]),
        ("<error/>", ["test_b", "test_b[y]"]),
    ],
    ids=["passed", "skipped", "failed", "its teardown failed"],
)
def test_a_test_has_passed_when_each_row_of_it_has(tmp_path: Path, second: str, not_passed: list[str]) -> None:
    file = tmp_path / "results.xml"
    file.write_text(RESULTS.format(y=second))
    assert sorted(ALL - passed([file])) == [f"tests/core/test_a.py::{name}" for name in not_passed]


def test_a_run_that_did_not_see_a_listed_test_pass_writes_no_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results, listed = tmp_path / "results.xml", tmp_path / "promises.toml"
    results.write_text(RESULTS.format(y="<skipped/>"))
    monkeypatch.setattr(listed_in, "TABLE", listed)
    monkeypatch.setattr("tests.laws.coverage.__main__.PAGE", tmp_path / "coverage.md")
    listed.write_text('["Rule 1"]\n"R1.1" = ["something", "core/test_a.py::test_c", "core/test_a.py::test_b[y]"]\n')
    assert main([str(results)]) == 1
    assert capsys.readouterr().err == "coverage: not seen passing: tests/core/test_a.py::test_b[y]\n"
    assert not (tmp_path / "coverage.md").exists()
    listed.write_text('["Rule 1"]\n"R1.1" = ["something", "core/test_a.py::test_c", "core/test_a.py::test_b[x]"]\n')
    assert main([str(results)]) == 0
    assert "| R1.1 | something |" in (tmp_path / "coverage.md").read_text()
