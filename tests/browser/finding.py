"""The browser that tests drive. Law: the machine's own, found in one order, or one line that says how to get one.

`python -m tests.browser.finding` is the part of `make setup` that installs Debian's package where there is no browser.
Whatever comes of it, setup goes on: without a browser the tests of this folder are skipped, and only CI is red then
(tests/skips.toml). Only the standard library is imported.
"""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from typing import Final

VARIABLE: Final = "CHROMIUM"
"""Names a browser of one's own, before any other; no setting of the program."""
NAMES: Final = ("chromium", "google-chrome", "chrome")
HOW: Final = (
    f"as root on Debian, make setup installs it; elsewhere install Chromium or Chrome, or name one in {VARIABLE}"
)
_UPDATE: Final = ("apt-get", "update", "-qq")
_INSTALL: Final = (
    *("apt-get", "install", "-y", "-qq", "--no-install-recommends"),
    *("-o", "DPkg::Lock::Timeout=120", "chromium"),
)


class NoBrowserError(Exception):
    """No browser is found, or the one that is named cannot be run."""


def find(environment: Mapping[str, str]) -> str:
    """The path of the browser that CHROMIUM names, or else of the first of `NAMES`. Raises NoBrowserError."""
    named = environment.get(VARIABLE)
    for name in (named,) if named else NAMES:
        if path := shutil.which(name, path=environment.get("PATH")):
            return path
    raise NoBrowserError(f"{VARIABLE} names {named}, which cannot be run" if named else f"no browser is found: {HOW}")


def install(environment: Mapping[str, str]) -> None:
    """Have a browser afterwards. Raises NoBrowserError with one line that says what stands against it."""
    try:
        find(environment)
    except NoBrowserError:
        if environment.get(VARIABLE) or not _is_debian() or os.geteuid() != 0 or not shutil.which("apt-get"):
            raise
    else:
        return
    quiet = {**environment, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(_UPDATE, env=quiet, stdin=subprocess.DEVNULL, capture_output=True, check=False)  # old lists may do
    ran = subprocess.run(_INSTALL, env=quiet, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if ran.returncode:
        said = ran.stderr.strip().splitlines() or [f"it ended with {ran.returncode}"]
        raise NoBrowserError(f"{' '.join(_INSTALL)}: {said[-1]}")
    find(environment)


def _is_debian() -> bool:
    """Whether the package `chromium` is a browser here; Ubuntu's is a door to another store."""
    try:
        return platform.freedesktop_os_release()["ID"] == "debian"
    except (OSError, KeyError):
        return False


if __name__ == "__main__":
    try:
        install(os.environ)
    except NoBrowserError as fault:
        sys.stderr.write(f"setup: tests/browser will be skipped: {fault}\n")
