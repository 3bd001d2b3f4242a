"""What the law on skips does to a run, in one process and in two: what is skipped unlisted makes it red, by name."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import conftest

ROOT = Path(__file__).parents[2]
FILES = {
    "test_passes.py": "def test_passes():\n    pass\n",
    "test_skips.py": "import pytest\n\ndef test_skips():\n    pytest.skip('no server')\n",
    "test_whole.py": "import pytest\n\npytest.importorskip('no_such_module')\n",
    "test_fails.py": "import pytest\n\n@pytest.mark.xfail\ndef test_fails():\n    assert False\n",
}


@pytest.mark.parametrize("processes", [0, 2])
@pytest.mark.parametrize(
    ("files", "code", "named", "summary"),
    [
        (["test_passes.py", "test_fails.py"], 0, [], "1 passed, 1 xfailed in"),
        (FILES, 1, ["test_skips.py::test_skips", "test_whole.py"], "1 passed, 2 skipped, 1 xfailed in"),
    ],
    ids=["none skipped", "two skipped"],
)
def test_what_is_skipped_unlisted_fails_the_run_and_is_named(
    tmp_path: Path, files: list[str], code: int, named: list[str], summary: str, processes: int
) -> None:
    for name in files:
        (tmp_path / name).write_text(FILES[name])
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-c", "pyproject.toml", "-p", "tests.conftest"),
            *("-n", str(processes), "--dist", "loadfile", "--rootdir", str(tmp_path), str(tmp_path)),
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
        timeout=60,
        check=False,
    )
    assert ran.returncode == code, ran.stdout + ran.stderr
    words = "SKIPPED, and not listed in tests/skips.toml: "
    said = ran.stdout.splitlines()
    assert sorted(line.removeprefix(words) for line in said if line.startswith(words)) == named
    assert said[-1].startswith(summary)


@pytest.mark.parametrize(
    ("ci", "unlisted"),
    [("", ["tests/a.py::two"]), ("true", ["tests/a.py::two", "tests/c.py::four"])],
    ids=["a developer's machine", "CI"],
)
def test_what_is_listed_is_no_fault(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ci: str, unlisted: list[str]
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(conftest, "SKIPS", tmp_path / "skips.toml")
    listed = '[skips]\n"tests/a.py::one" = "why"\n"tests/b.py*" = "why"\n'
    conftest.SKIPS.write_text(f'{listed}[skips-outside-ci]\n"tests/c.py*" = "why"\n')
    law = conftest._SkipLaw()
    for nodeid in ("tests/a.py::one", "tests/a.py::two", "tests/b.py::three[x]", "tests/c.py::four"):
        law._note(nodeid)
    assert law._unlisted == unlisted
