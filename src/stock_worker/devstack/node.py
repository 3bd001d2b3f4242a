"""Law: a node that is stopped or killed starts again on the same data, at the same port.

`stop` is how an operator ends a server, `kill` is a crash. Both wait until the process is gone.
"""

import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from stock_worker.devstack.scratch import Account, Scratch, StartFailed, tail

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0


class Node(Protocol):
    """One server of the stack, as tests of crashes see it."""

    @property
    def pid(self) -> int | None:
        """The server's process id; None while it is down."""

    def start(self) -> None:
        """Start and wait until it answers."""

    def stop(self) -> None:
        """End it in order."""

    def kill(self) -> None:
        """Crash it."""


class ProcessNode:
    """A node that is a process of our own."""

    def __init__(
        self,
        scratch: Scratch,
        name: str,
        command: Sequence[str],
        *,
        ready: Callable[["ProcessNode"], bool],
        stop_signal: signal.Signals,
        kill_signal: signal.Signals,
        account: Account | None = None,
    ) -> None:
        self.name = name
        self.log = scratch.root / f"{name.lower()}.log"
        self.log_start = 0  # bytes; where the log of this life begins
        self._scratch = scratch
        self._command = command
        self._ready = ready
        self._stop_signal = stop_signal
        self._kill_signal = kill_signal
        self._account = account
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id, None while it is down."""
        process = self._process
        return process.pid if process and process.poll() is None else None

    def start(self) -> None:
        """Launch, and wait until it is ready; a start that fails raises StartFailed with the log's last lines."""
        assert self.pid is None, f"{self.name} runs already"
        self.log_start = self.log.stat().st_size if self.log.exists() else 0
        process = self._scratch.launch(self._command, self.log, account=self._account, end_with=self._kill_signal)
        self._process = process
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._ready(self):
            if process.poll() is not None:
                raise StartFailed(f"{self.name} ended with {process.returncode} at start:\n{tail(self.log)}")
            if time.monotonic() > deadline:
                self.kill()
                raise StartFailed(f"{self.name} was not ready after {START_TIMEOUT_S:.0f} s:\n{tail(self.log)}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Ask it to end; after STOP_TIMEOUT_S it is killed."""
        self._end(self._stop_signal)

    def kill(self) -> None:
        """End it as a crash would."""
        self._end(self._kill_signal)

    def _end(self, how: signal.Signals) -> None:
        process = self._process
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._scratch.forget(process.pid)
        self._process = None

    def said(self, words: bytes) -> bool:
        """Whether this life's log holds these words."""
        with Path(self.log).open("rb") as log:
            log.seek(self.log_start)
            return words in log.read()
