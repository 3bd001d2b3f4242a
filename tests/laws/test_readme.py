"""The README's commands exist, the quick ones run, and what it sends is a command."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from stock_worker.cli.commands import app
from stock_worker.core.model import Command, OutcomeKind, Record
from stock_worker.core.topics import EVENT_TOPICS
from stock_worker.wire.decode import decode

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONSOLES = "\n".join(re.findall(r"```console\n(.*?)```", README, re.DOTALL))
COMMANDS = re.findall(r"stock-worker ([a-z]+)((?: [a-z]+)*)", CONSOLES)
SENT = re.search(r"echo '(?P<message>[^']*)' \| stock-worker emit (?P<topic>[a-z-]+)", CONSOLES)
TARGETS = re.findall(r"^\$ make ([a-z/]+)", CONSOLES, re.MULTILINE)
SHOWN = re.findall(r"^(command|event) +([a-z_-]+) +[\d,]+$", README, re.MULTILINE)


def test_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150


@pytest.mark.parametrize("command", sorted({name for name, _ in COMMANDS}))
def test_readme_names_a_command_of_the_program(command: str) -> None:
    assert command in get_command(app).commands  # type: ignore[attr-defined] # a group has commands
    helped = subprocess.run([sys.executable, "-m", "stock_worker", command, "--help"], capture_output=True, check=True)
    assert helped.stdout


def test_readme_names_subcommands_that_exist() -> None:
    subcommands = {word for name, words in COMMANDS if name == "topics" for word in words.split()[:1]}
    assert subcommands == {"create"}
    assert subcommands <= set(get_command(app).commands["topics"].commands)  # type: ignore[attr-defined] # groups


def test_readme_begins_with_the_demo_and_the_tests() -> None:
    assert TARGETS[:2] == ["demo", "test"]


@pytest.mark.parametrize("target", TARGETS)
def test_readme_names_targets_that_make_has(target: str) -> None:
    listed = subprocess.run(["make", "-C", str(ROOT), "help"], capture_output=True, text=True, check=True).stdout
    assert re.search(rf"^  {target} ", listed, re.MULTILINE)


@pytest.mark.parametrize("module", re.findall(r"python -m ([a-z_.]+)", CONSOLES))
def test_readme_names_modules_that_can_be_run(module: str) -> None:
    path = ROOT / "src" / module.replace(".", "/")
    assert (path / "__main__.py").exists()


def test_readme_sends_a_command_that_is_applied() -> None:
    assert SENT
    assert json.loads(SENT["message"])
    record = Record(SENT["topic"], 0, 0, 0, None, SENT["message"].encode(), ())
    assert isinstance(decode(record, SENT["topic"]), Command)


def test_readme_shows_outcomes_and_topics_of_the_closed_lists() -> None:
    known = {"command": {kind.value for kind in OutcomeKind}, "event": set(EVENT_TOPICS)}
    assert SHOWN
    assert all(name in known[what] for what, name in SHOWN)


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)]+)\)", README))
def test_readme_links_lead_somewhere(link: str) -> None:
    assert (ROOT / link).exists()
