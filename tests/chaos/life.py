"""One worker process, from start to death. Law: what it did is read from its own log, never from inside it."""

import asyncio
import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from time import monotonic
from typing import Any, Final

import psutil

from tests.chaos.launch import last_words

PATIENCE_S: Final = 90.0
"""For one thing to happen; other work may have the machine meanwhile."""
_LOOK_EVERY_S: Final = 0.02


@dataclass(slots=True)
class Life:
    """A process of `stock-worker`; `log` is what it said."""

    member: str
    process: BaseProcess
    log: Path
    _lines: list[dict[str, Any]] = field(default_factory=list)
    _read: int = 0

    @property
    def code(self) -> int | None:
        """The exit code, negative for a signal, None while it lives."""
        return self.process.exitcode

    @property
    def is_frozen(self) -> bool:
        """Whether a SIGSTOP holds it."""
        assert self.process.pid is not None
        return self.code is None and psutil.Process(self.process.pid).status() == psutil.STATUS_STOPPED

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    async def ended(self, timeout_s: float = PATIENCE_S) -> int:
        """Wait for its death. Raises TimeoutError with the end of its log."""
        await self.until(lambda: self.code is not None, "ends", timeout_s)
        assert self.code is not None
        return self.code

    def died_at(self, point: str) -> bool:
        """Whether it ended by SIGKILL, at this point."""
        return self.code == -signal.SIGKILL and self.said().rstrip().endswith(last_words(point))

    def said(self, characters: int = 3_000) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-characters:] if self.log.exists() else ""

    def lines(self, message: str) -> list[dict[str, Any]]:
        """The log lines so far that say this, with their fields."""
        self._lines += self._fresh()
        return [line for line in self._lines if line["message"] == message]

    def has_applied(self) -> bool:
        """Whether it has committed a batch in which something was decided that was not decided before."""
        return any(set(line["outcomes"]) - {"duplicate"} for line in self.lines("batch"))

    async def applied(self, timeout_s: float = PATIENCE_S) -> bool:
        """Wait for its first applied batch; says whether one came before its death or the deadline."""
        try:
            await self.until(lambda: self.code is not None or self.has_applied(), "applies", timeout_s)
        except TimeoutError:
            return False
        return self.has_applied()

    async def goes_on(self) -> None:
        """Wait until it has applied another batch than those so far."""
        so_far = len(self.lines("batch"))
        await self.until(lambda: len(self.lines("batch")) > so_far, "goes on")

    async def until(self, condition: Callable[[], bool], what: str, timeout_s: float = PATIENCE_S) -> None:
        """Wait for a condition on it. Raises TimeoutError with the end of its log."""
        deadline = monotonic() + timeout_s
        while not condition():
            if monotonic() > deadline:
                raise TimeoutError(f"{self.member} never {what}; it last said:\n{self.said()}")
            await asyncio.sleep(_LOOK_EVERY_S)

    def end(self) -> None:
        """Kill it if it still lives."""
        if self.code is None:
            self.process.kill()
        self.process.join()
        self.process.close()

    def _fresh(self) -> Iterator[dict[str, Any]]:
        """Log lines that have come whole since the last look."""
        if not self.log.exists():
            return
        with self.log.open("rb") as log:
            log.seek(self._read)
            said = log.read()
        whole = said[: said.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            if line.startswith(b'{"time"'):
                yield json.loads(line)
