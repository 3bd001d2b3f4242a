"""Whose CPU it was. Law: what a round used is told apart from what others used meanwhile, and a noisy row says so.

Own: the benchmark, the contender, the broker, the database, each with its children; of the rest the kernel's threads
are left out, since they work for whoever writes. Time that the hypervisor took (steal) makes a row noisy as well.
"""

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import psutil

from stock_worker.devstack import Stack

NOISY_CORES: Final = 0.15
_KERNEL: Final = 2  # the pid of kthreadd, parent of the kernel's threads


@dataclass(frozen=True, slots=True)
class Used:
    """Cores used over an interval, by whom."""

    own: Mapping[str, float]
    others: float
    stolen: float

    @property
    def noisy(self) -> bool:
        """Whether others took enough to doubt the row."""
        return self.others > NOISY_CORES or self.stolen > NOISY_CORES


@dataclass(frozen=True, slots=True)
class Reading:
    """CPU seconds since each process began, by whom, and of the machine."""

    at: float
    own: Mapping[str, float]
    kernel: float
    busy: float
    stolen: float

    def until(self, later: "Reading") -> Used:
        """Give what was used between two readings."""
        span = later.at - self.at
        own = {name: (seconds - self.own.get(name, 0.0)) / span for name, seconds in later.own.items()}
        others = (later.busy - self.busy - later.kernel + self.kernel) / span - sum(own.values())
        return Used(own, max(0.0, others), (later.stolen - self.stolen) / span)


class Meter:
    """Knows which processes are the experiment's own."""

    def __init__(self, stack: Stack) -> None:
        self._roots = {
            "broker": stack.kafka.pid if stack.kafka else _listener(stack.kafka_bootstrap),
            "database": stack.postgres.pid if stack.postgres else _listener(stack.database_url),
        }

    def read(self, contender_pid: int | None = None, **more: int) -> Reading:
        """Read the clocks of all processes now; `more` are pids of others that are the experiment's own, by name."""
        machine = psutil.cpu_times()
        own = {"benchmark": _own(psutil.Process())}
        roots = {"contender": contender_pid, **more, **self._roots}
        own |= {name: tree_seconds(pid) for name, pid in roots.items() if pid}
        busy = machine.user + machine.nice + machine.system
        return Reading(time.monotonic(), own, _kernel_seconds(), busy, machine.steal)


def tree_seconds(pid: int) -> float:
    """CPU seconds of a process, of its living descendants and of those it has buried."""
    return sum(_own(process) + _buried(process) for process in tree(pid))


def tree_rss(pid: int) -> int:
    """Resident bytes of a process and its descendants."""
    total = 0
    for process in tree(pid):
        with suppress(psutil.Error):
            total += process.memory_info().rss
    return total


def tree(pid: int) -> list[psutil.Process]:
    """Give a process and its descendants, as far as they still live."""
    with suppress(psutil.Error):
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    return []


def _own(process: psutil.Process) -> float:
    with suppress(psutil.Error):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0


def _buried(process: psutil.Process) -> float:
    with suppress(psutil.Error):
        times = process.cpu_times()
        return float(times.children_user + times.children_system)
    return 0.0


def _kernel_seconds() -> float:
    return sum(_own(process) for process in psutil.process_iter(["ppid"]) if process.info["ppid"] == _KERNEL)


def _listener(address: str) -> int | None:
    """Find the process that listens where a server is named, if it is on this machine and we may look."""
    port = urlsplit(address if "://" in address else f"//{address.split(',', 1)[0]}").port
    with suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
                return connection.pid
    return None
