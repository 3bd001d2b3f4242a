"""Law: what takes long is made once, appears whole in one rename, and may be read by the user that a server runs as.

Whatever is kept here can be removed at any time while no stack runs: the next start makes it again.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path


def kept(name: str, make: Callable[[Path], None]) -> Path:
    """Return the folder kept under this name, letting make fill it first where it is not there yet.

    One start makes it while others wait. What a start that was killed had half made is swept.
    """
    place = folder() / name
    if place.exists():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    with (place.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in place.parent.glob("making-*"):
            shutil.rmtree(left, ignore_errors=True)
        if not place.exists():
            making = Path(tempfile.mkdtemp(prefix="making-", dir=place.parent))
            try:
                make(making)
                _let_everyone_read(making)
                making.rename(place)
            finally:
                shutil.rmtree(making, ignore_errors=True)
    return place


def folder() -> Path:
    """Name the folder that keeps things between runs; as root it must be one that an ordinary user may enter."""
    if os.geteuid() == 0:
        return Path("/var/cache/stock-worker")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stock-worker"


def _let_everyone_read(top: Path) -> None:
    for path in [top, *top.rglob("*")]:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
