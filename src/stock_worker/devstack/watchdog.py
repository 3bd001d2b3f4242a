"""Law: when the owner of a scratch folder is gone, however it went, its servers end and the folder is removed.

Runs as a process of its own, in a session of its own, so that neither Ctrl-C nor a kill of the owner's process group
reaches it. It ends when the owner closes the pipe (orderly: nothing is left to do) or dies (even by SIGKILL).
Standard library only: it is started with `python -I -S`, and scratch.py uses `clear` for the folders of the long dead.
"""

import os
import select
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

OWNER_CHECK_S = 1.0
GRACE_S = 5.0


def main(root: Path, owner: int) -> None:
    """Wait until the pipe on standard input ends or the parent is another process, then clear."""
    while os.getppid() == owner:
        readable, _, _ = select.select([sys.stdin], [], [], OWNER_CHECK_S)
        if readable and not os.read(sys.stdin.fileno(), 1):
            break
    clear(root)


def clear(root: Path) -> None:
    """End every server noted under root/pids and remove root. Safe to repeat, and beside another that does the same."""
    noted = [(int(note.name), int(note.read_text() or signal.SIGKILL)) for note in (root / "pids").glob("[0-9]*")]
    for pid, how in noted:
        _signal(pid, how, root)
    deadline = time.monotonic() + GRACE_S
    while any(runs_from(pid, root) for pid, _ in noted) and time.monotonic() < deadline:
        time.sleep(0.02)
    for pid, _ in noted:
        _signal(pid, signal.SIGKILL, root)
    remove(root)


def remove(root: Path) -> None:
    """Remove a folder that a dying server may still be writing into."""
    deadline = time.monotonic() + GRACE_S
    while root.exists() and time.monotonic() < deadline:
        shutil.rmtree(root, ignore_errors=True)
        time.sleep(0.02 if root.exists() else 0)


def runs_from(pid: int, root: Path) -> bool:
    """Whether pid is still the server that was noted: a number is used again, a command line naming root is not."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        if Path("/proc/self").exists():
            return False
        ps = ["ps", "-ww", "-o", "args=", "-p", str(pid)]
        command = subprocess.run(ps, capture_output=True, check=False).stdout
    return os.fsencode(root) in command


def _signal(pid: int, how: int, root: Path) -> None:
    if runs_from(pid, root):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, how)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
