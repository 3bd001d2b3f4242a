"""The worker of the demo. Law: `stock-worker run` as everybody runs it, a process of its own that ends with the demo.

It is noted in a scratch folder with a watchdog, as the servers are: it ends even when the demo is killed.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from stock_worker.cli.demo.ground import Run
from stock_worker.cli.terminal import Unfit
from stock_worker.devstack.scratch import tail

_GOODBYE_MAX_S: Final = 30.0


class Worker:
    """The worker's process."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self._process, self._log = process, log
        self.exit_code: int | None = None

    def check(self) -> None:
        """Raise Unfit with the last lines of its log if it has ended by itself."""
        if self._process.poll() is not None:
            raise Unfit(f"the worker ended with {self._process.returncode}:\n{self.said()}")

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
async def working(run: Run) -> AsyncIterator[Worker]:
    """Run `stock-worker run` for as long as the block runs."""
    log = run.room.root / "worker.log"
    command = [sys.executable, "-m", "stock_worker", "--env-file", str(run.env_file), "run"]
    worker = Worker(run.room.launch(command, log, end_with=signal.SIGTERM, environment=dict(os.environ)), log)
    try:
        yield worker
    finally:
        await asyncio.to_thread(worker.end)
