"""What pytest says to a planted fault. Law: a test counts only where the package that was named is the one run.

A plugin: `pytest -p tests.proof.witness --package FOLDER --testimony FILE`. It writes one JSON object a line: what came
of each phase of each test, and at the end whether anything of the product was imported from elsewhere, here or in a
process that was started as the tests start theirs.
"""

import json
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

_WORDS_MAX: Final = 200
_ASK: Final = "import stock_worker; print(stock_worker.__file__)"


class Phase(NamedTuple):
    """One phase of one test: `setup`, `call` or `teardown`; `error` is the type of what was raised, in `words`."""

    test: str
    phase: str
    outcome: str
    seconds: float
    error: str
    words: str


class Witnessed(NamedTuple):
    """All that one run said; `strange` are the files of the product that came from elsewhere, None if it broke off."""

    phases: list[Phase]
    strange: list[str] | None


def read(file: Path) -> Witnessed:
    """Read what a run has written; nothing where it did not come so far."""
    said = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []
    strange = [line["strange"] for line in said if "strange" in line]
    return Witnessed([Phase(**line) for line in said if "test" in line], strange[0] if strange else None)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the two options."""
    parser.addoption("--package", type=Path, required=True, help="the folder of the package that is to be run")
    parser.addoption("--testimony", type=Path, required=True, help="where to write what came of it")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Write down what came of a phase."""
    report = yield
    raised = call.excinfo if report.failed else None
    words = " ".join(str(raised.value).split()) if raised else ""
    phase = Phase(
        test=report.nodeid,
        phase=report.when,
        outcome=report.outcome,
        seconds=report.duration,
        error=raised.type.__name__ if raised else "",
        words=words[:_WORDS_MAX],
    )
    _write(item.config, phase._asdict())
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write down what was imported from elsewhere."""
    package: Path = session.config.getoption("package")
    loaded = [sys.modules[name].__file__ for name in sorted(sys.modules) if name.split(".")[0] == "stock_worker"]
    elsewhere = subprocess.run([sys.executable, "-c", _ASK], capture_output=True, text=True, check=True).stdout.strip()
    files = [Path(file) for file in (*loaded, elsewhere) if file]
    _write(session.config, {"strange": [str(file) for file in files if not file.is_relative_to(package)]})


def _write(config: pytest.Config, said: dict[str, object]) -> None:
    with config.getoption("testimony").open("a", encoding="utf-8") as out:
        out.write(json.dumps(said) + "\n")
