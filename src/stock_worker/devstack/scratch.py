"""Law: all that a devstack writes lies in one temporary folder, its processes are noted there, and none outlives it.

The owner removes the folder when it leaves; the watchdog does when the owner cannot; the next start does when neither
could (both killed), which it knows from the lock on the folder: the kernel drops a lock when its holders are dead.
"""

import fcntl
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from stock_worker.devstack import watchdog

PREFIX = "stock-worker-devstack-"
# Below every system's ephemeral range: a client that retries while its server is down could otherwise be given the
# server's own port, connect to itself, and hold the port against the restart.
PORTS = range(15_000, 30_000)
LOG_TAIL_LINES = 25


class StartFailed(RuntimeError):  # noqa: N818 - named after what happened, like the other faults here
    """A part of the stack did not come up; the message says which, and what its log said last."""


@dataclass(frozen=True, slots=True)
class Account:
    """The ordinary user that a server runs as when we are root: PostgreSQL refuses root."""

    uid: int
    gid: int


class Scratch:
    """One devstack's folder, with the processes that were started in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._closed = False
        self._launching = threading.Lock()
        self._launched: list[subprocess.Popen[bytes]] = []
        (root / "pids").mkdir()

    def folder(self, name: str, account: Account | None = None) -> Path:
        """Make a folder that belongs to the server's user and to nobody else."""
        path = self.root / name
        path.mkdir(mode=0o700, exist_ok=True)
        if account:
            os.chown(path, account.uid, account.gid)
        return path

    def launch(
        self,
        command: Sequence[str],
        log: Path,
        *,
        account: Account | None = None,
        end_with: signal.Signals = signal.SIGKILL,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a process in a session of its own, so that Ctrl-C is ours alone, and note it for the watchdog.

        The command line has to name something under root: that is how the process is known again.
        """
        assert any(str(self.root) in word for word in command), f"not recognisable later: {command}"
        with self._launching, log.open("ab") as out:
            if self._closed:
                raise StartFailed("the stack is closing")
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=self.root,
                env=environment,
                start_new_session=True,
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
            )
            (self.root / "pids" / str(process.pid)).write_text(str(int(end_with)))
            self._launched.append(process)
        return process

    def run(self, command: Sequence[str], log: Path, *, account: Account | None = None) -> None:
        """Run a preparing command to its end; its last words are in the fault when it fails."""
        process = self.launch(command, log, account=account)
        code = process.wait()
        self.forget(process.pid)
        if code != 0:
            raise StartFailed(f"{Path(command[0]).name} ended with {code}:\n{tail(log)}")

    def forget(self, pid: int) -> None:
        """Strike a process that has ended."""
        (self.root / "pids" / str(pid)).unlink(missing_ok=True)

    def close(self) -> None:
        """End what still runs and remove the folder; nothing can be launched any more."""
        with self._launching:
            self._closed = True
        watchdog.clear(self.root)
        for process in self._launched:
            process.wait()


@contextmanager
def open_scratch() -> Iterator[Scratch]:
    """Open a scratch folder with its watchdog, after clearing those whose owners are dead."""
    sweep()
    # The lock is taken under another name, so that no sweep ever sees the folder unlocked.
    fresh = Path(tempfile.mkdtemp(prefix="stock-worker-new-"))
    with ExitStack() as leaving:
        lock = os.open(fresh, os.O_RDONLY)
        leaving.callback(os.close, lock)
        fcntl.flock(lock, fcntl.LOCK_EX)
        root = fresh.rename(fresh.with_name(PREFIX + fresh.name.removeprefix("stock-worker-new-")))
        root.chmod(0o711)  # the server's user passes through to its own folder
        here = Scratch(root)
        leaving.callback(watchdog.remove, root)
        guard = _watch(root, lock)
        leaving.callback(_dismiss, guard)
        leaving.callback(here.close)
        yield here


def sweep() -> None:
    """Clear the folders of this user whose owner and watchdog are both dead."""
    for root in Path(tempfile.gettempdir()).glob(PREFIX + "*"):
        try:
            lock = os.open(root, os.O_RDONLY)
        except OSError:
            continue
        try:
            if os.fstat(lock).st_uid == os.geteuid():
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                watchdog.clear(root)
        except BlockingIOError:
            pass  # its owner lives
        finally:
            os.close(lock)


def _watch(root: Path, lock: int) -> subprocess.Popen[bytes]:
    """Start the watchdog; it holds the same lock, so the folder is not anybody's to sweep while it lives."""
    return subprocess.Popen(
        [sys.executable, "-I", "-S", watchdog.__file__, str(root), str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=[lock],
        start_new_session=True,
    )


def _dismiss(guard: subprocess.Popen[bytes]) -> None:
    guard.communicate()


def free_ports(count: int) -> list[int]:
    """Find ports that nobody listens on at 127.0.0.1, all different."""
    draw = random.SystemRandom()
    with ExitStack() as held:
        ports: list[int] = []
        while len(ports) < count:
            trial = held.enter_context(socket.socket())
            port = draw.choice(PORTS)
            try:
                trial.bind(("127.0.0.1", port))
            except OSError:
                continue
            ports.append(port)
        return ports


def tail(log: Path) -> str:
    """Read the last lines of a log, for the message of a fault."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join(f"  | {line}" for line in lines[-LOG_TAIL_LINES:]) or "  | (its log is empty)"
