"""The demo's processes. Law: `stock-worker run` and `api` as everybody runs them, and they end with the demo.

Each is noted in a scratch folder with a watchdog, as the servers are: it ends even when the demo is killed.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from stock_worker.cli.demo.ground import Run
from stock_worker.cli.terminal import Unfit
from stock_worker.devstack.scratch import tail

_GOODBYE_MAX_S: Final = 30.0


class Process:
    """One of them."""

    def __init__(self, name: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self._name, self._process, self._log = name, process, log
        self.exit_code: int | None = None

    def check(self) -> None:
        """Raise Unfit with the last lines of its log if it has ended by itself."""
        if self._process.poll() is not None:
            raise Unfit(f"the {self._name} ended with {self._process.returncode}:\n{self.said()}")

    def said(self) -> str:
        """Give the last lines of its log."""
        return tail(self._log)

    def end(self) -> None:
        """Ask it to end, and note how it did."""
        self._process.terminate()
        try:
            self.exit_code = self._process.wait(_GOODBYE_MAX_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self.exit_code = self._process.wait()


@asynccontextmanager
async def working(run: Run) -> AsyncIterator[Process]:
    """Run `stock-worker run` for as long as the block runs."""
    async with _running(run, "worker", ["run"], {}) as process:
        yield process


@asynccontextmanager
async def serving(run: Run) -> AsyncIterator[Process]:
    """Run `stock-worker api` for as long as the block runs, at a port of its own."""
    async with _running(run, "API", ["api", "--processes", "1"], {"STOCK_HTTP_PORT": str(run.api_port)}) as process:
        yield process


@asynccontextmanager
async def _running(run: Run, name: str, words: list[str], more: Mapping[str, str]) -> AsyncIterator[Process]:
    log = run.room.root / f"{name}.log"
    command = [sys.executable, "-m", "stock_worker", "--env-file", str(run.env_file), *words]
    environment = dict(os.environ) | dict(more)
    process = Process(name, run.room.launch(command, log, end_with=signal.SIGTERM, environment=environment), log)
    try:
        yield process
    finally:
        await asyncio.to_thread(process.end)
