"""Which browser is taken, and what `make setup` says where there is none."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.browser.finding import NoBrowserError, find

ROOT = Path(__file__).parents[2]


def laid(folder: Path, *names: str) -> None:
    """Lay programs into a folder."""
    for name in names:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    ("programs", "named", "found"),
    [
        pytest.param(["chrome", "google-chrome", "chromium"], None, "chromium", id="Chromium before others"),
        pytest.param(["chrome", "google-chrome"], None, "google-chrome", id="Google's"),
        pytest.param(["chrome"], None, "chrome", id="the last name"),
        pytest.param(["chromium", "mine"], "mine", "mine", id="the one that is named"),
        pytest.param(["chromium"], "", "chromium", id="an empty name is none"),
    ],
)
def test_the_first_of_the_order_is_taken(tmp_path: Path, programs: list[str], named: str | None, found: str) -> None:
    laid(tmp_path, *programs)
    environment = {"PATH": str(tmp_path)} | ({} if named is None else {"CHROMIUM": named and str(tmp_path / named)})
    assert find(environment) == str(tmp_path / found)


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        pytest.param({}, "no browser is found: ", id="none"),
        pytest.param({"CHROMIUM": "/no/such"}, "CHROMIUM names /no/such, which cannot be run", id="a wrong name"),
    ],
)
def test_none_is_said_in_one_line_and_setup_goes_on(tmp_path: Path, environment: dict[str, str], said: str) -> None:
    environment = environment | {"PATH": str(tmp_path)}
    with pytest.raises(NoBrowserError, match=said):
        find(environment)
    ran = subprocess.run(
        [sys.executable, "-m", "tests.browser.finding"],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (0, "")
    (line,) = ran.stderr.splitlines()
    assert said in line


def test_one_that_is_there_is_worth_no_word(tmp_path: Path) -> None:
    laid(tmp_path, "chromium")
    ran = subprocess.run(
        [sys.executable, "-m", "tests.browser.finding"],
        env={"PATH": str(tmp_path)},
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"", b"")
