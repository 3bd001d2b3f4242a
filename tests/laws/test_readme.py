"""The README's commands exist, and the quick ones run."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from stock_worker.cli.commands import app

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"stock-worker ([a-z]+)", "\n".join(re.findall(r"```console\n(.*?)```", README, re.DOTALL)))
TARGETS = re.findall(r"\$ make ([a-z/]+)", README)


def test_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150


@pytest.mark.parametrize("command", sorted(set(COMMANDS)))
def test_readme_names_a_command_of_the_program(command: str) -> None:
    assert command in get_command(app).commands  # type: ignore[attr-defined] # a group has commands
    helped = subprocess.run([sys.executable, "-m", "stock_worker", command, "--help"], capture_output=True, check=True)
    assert helped.stdout


@pytest.mark.parametrize("target", ["demo", "test"])
def test_readme_shows_the_two_commands_and_make_has_them(target: str) -> None:
    assert target in TARGETS
    listed = subprocess.run(["make", "-C", str(ROOT), "help"], capture_output=True, text=True, check=True).stdout
    assert re.search(rf"^  {target} ", listed, re.MULTILINE)


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)]+)\)", README))
def test_readme_links_lead_somewhere(link: str) -> None:
    assert (ROOT / link).exists()
