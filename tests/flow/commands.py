"""The program as a person runs it, in an empty folder, with only the settings that are given.

`Terminal.type` calls the program's `main` in this process: some sixty commands would otherwise spend minutes importing.
`Terminal.start` runs it as a process of its own.
"""

import io
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest

from stock_worker import cli
from stock_worker.settings import Settings


@dataclass(frozen=True)
class Ran:
    """What a command gave, said and ended with."""

    exit_code: int
    given: str
    said: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever the command gives
        """The data, of a command that gives one JSON document."""
        return orjson.loads(self.given)

    @property
    def lines(self) -> list[str]:
        """The data, line by line."""
        return self.given.splitlines()


@dataclass
class Terminal:
    """Where commands are typed."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)

    def having(self, more: Mapping[str, str]) -> "Terminal":
        """The same with other settings."""
        return Terminal(self.folder, self.settings | dict(more))

    def type(self, *words: str, sent: bytes = b"") -> Ran:
        """Run `stock-worker` with these words to its end."""
        given, said = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), io.StringIO()
        exit_code = 0
        with pytest.MonkeyPatch.context() as here, redirect_stdout(given), redirect_stderr(said):
            here.chdir(self.folder)
            for name in [name for name in os.environ if name.startswith("STOCK_")]:
                here.delenv(name)
            for name, value in self.settings.items():
                here.setenv(name, value)
            here.setattr(sys, "argv", ["stock-worker", *words])
            here.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(sent)))
            try:
                cli.main()
            except SystemExit as end:
                exit_code = int(end.code or 0)
        given.seek(0)
        return Ran(exit_code, given.read(), said.getvalue())

    def start(self, *words: str, log: Path) -> "subprocess.Popen[bytes]":
        """Start `stock-worker` with these words; both outputs go to the log."""
        with log.open("wb") as out:
            return subprocess.Popen(
                [sys.executable, "-m", "stock_worker", *words],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=environment(self.settings),
                start_new_session=True,
            )


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """The process's own environment, with these settings and no others of ours."""
    return {name: value for name, value in os.environ.items() if not name.startswith("STOCK_")} | dict(given)


def names(settings: Settings) -> dict[str, str]:
    """The variables of the settings that a test's service runs with."""
    told = ("kafka_bootstrap", "database_url", "topic_prefix", "group_id", "topic_partitions", "http_host", "http_port")
    return {f"STOCK_{name.upper()}": str(getattr(settings, name)) for name in told}
