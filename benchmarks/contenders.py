"""Who is measured. Law: a contender is a process started as its users start it, told where to work and nothing else."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.place import Place

LOGS: Final = Path(".bench")
_TO_END_S: Final = 30.0
_TAIL_LINES: Final = 15


class ContenderFailed(RuntimeError):  # noqa: N818 - named after what happened
    """A contender ended, or stood still, before its round was over; the message has its last words."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to do the work; `guess` is orders/s to size the first round with."""

    name: str
    words: str
    command: tuple[str, ...]
    guess: float
    workers: int | None = None
    settings: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Running:
    """A started contender."""

    process: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """Raise ContenderFailed if it has ended."""
        if self.process.poll() is not None:
            raise ContenderFailed(f"ended with {self.process.returncode}:\n{self.last_words()}")

    def last_words(self) -> str:
        """Give the end of its log."""
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(lines[-_TAIL_LINES:])


@asynccontextmanager
async def running(contender: Contender, place: Place) -> AsyncIterator[Running]:
    """Run a contender for as long as the block does; then it is asked to end."""
    LOGS.mkdir(exist_ok=True)
    log = LOGS / f"{contender.name}.log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STOCK_")}
    environment |= place.environment | dict(contender.settings)
    if contender.workers:
        environment["PEER_WORKERS"] = str(contender.workers)
    process = _start(contender.command, environment, log)
    try:
        yield Running(process, log)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.to_thread(process.wait, _TO_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as some:
        some.bind(("127.0.0.1", 0))
        return int(some.getsockname()[1])


def _start(command: Sequence[str], environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as out:
        return subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=environment)


def _module(name: str) -> tuple[str, ...]:
    return (sys.executable, "-m", name)


def api(processes: int) -> Contender:
    """Give the API as a contender of its own, in so many processes."""
    command = (*_module("stock_worker"), "api", "--processes", str(processes))
    return Contender(f"api-{processes}", f"stock-worker api --processes {processes}", command, guess=0)


OURS: Final = Contender("stock-worker", "stock-worker run", (*_module("stock_worker"), "run"), guess=3_000)
PEERS: Final = (
    Contender(
        "idiomatic-1", "FastStream, SQLAlchemy ORM, one at a time", _module("benchmarks.peers.idiomatic"), 150, 1
    ),
    Contender("idiomatic-10", "the same, 10 concurrent", _module("benchmarks.peers.idiomatic"), 180, 10),
    Contender("hand-tuned", "asyncpg by hand, 16 connections", _module("benchmarks.peers.handtuned"), 600, 16),
)
EVERYBODY: Final[Sequence[Contender]] = (OURS, *PEERS)
