"""What a terminal is given. Law: stdout carries data and nothing else, as text for a person or JSON for a program.

Words, progress and warnings go to stderr. A reader that goes away (`| head`) ends the command without a word.
"""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

    from stock_worker.settings import Settings

FINDING = 1
USAGE = 2


class Unfit(Exception):  # noqa: N818 - a finding in words
    """A command cannot go on; the text says why and what to do."""


class Misused(Exception):  # noqa: N818 - the same, and the command line is at fault
    """What was typed cannot be; the text says what can."""


ENV_FILE = Path(".env")
env_file = ENV_FILE
"""Where settings are read that the environment does not hold; the option --env-file names another."""


def read_settings() -> "Settings":
    """Read the settings, and warn of names that nobody knows. Raises SettingsError, which ends with exit code 2."""
    from stock_worker.settings import read  # noqa: PLC0415 - pydantic takes longer than the rest of --help

    settings, warnings = read(env_file)
    for warning in warnings:
        say(f"warning: {warning}")
    return settings


def say(words: str) -> None:
    """Say words to the person, on stderr."""
    print(words, file=sys.stderr, flush=True)


def give(text: str) -> None:
    """Give one line of data, at once: another program may be waiting for it."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains when it flushes at exit
        sys.exit(0)


def give_json(data: object) -> None:
    """Give one JSON document on one line."""
    give(json.dumps(data, ensure_ascii=False, default=spelled))


def spelled(value: object) -> str:
    """Spell what JSON has no type for; times as events have them."""
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else str(value)


def give_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Give a table: drawn on a terminal, tab-separated where a program reads it."""
    if not sys.stdout.isatty():
        for row in rows:
            give("\t".join(row))
        return
    from rich.table import Table  # noqa: PLC0415 - slow to import
    from rich.text import Text  # noqa: PLC0415 - the same

    table = Table(*headings, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console().print(table)


class Say(Protocol):
    """Told how far a phase has come: its name, how many are done, and of how many where that is known."""

    def __call__(self, phase: str, done: int, total: int | None = None) -> None:
        """Draw it."""


@contextmanager
def progress(*, wanted: bool = True) -> Iterator[Say]:
    """Draw one bar a phase on stderr, where that is a terminal."""
    from rich.progress import (  # noqa: PLC0415 - slow to import
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    shown = console(words=True)
    columns = (
        *(TextColumn("{task.description:12}"), BarColumn(), MofNCompleteColumn()),
        *(TimeElapsedColumn(), TimeRemainingColumn()),
    )
    with Progress(*columns, console=shown, disable=not (wanted and shown.is_terminal)) as bars:
        phases: dict[str, TaskID] = {}

        def say(phase: str, done: int, total: int | None = None) -> None:
            if phase not in phases:
                phases[phase] = bars.add_task(phase, total=total)
            bars.update(phases[phase], completed=done, total=total)

        yield say


def console(*, words: bool = False) -> "Console":
    """Make the console of stdout, or of stderr for words and progress."""
    from rich.console import Console  # noqa: PLC0415 - slow to import

    return Console(stderr=words, highlight=False)
