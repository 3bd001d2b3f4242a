"""What a part came to, kept. Law: a result counts for exactly the sources it was measured on.

One JSON file a part under docs/proof. The sources are told by a digest of every file under src, tests, migrations and
the lock file, whether committed or not; the commit is told beside it, for people.
"""

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.proof.part import Report, Table

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / "docs" / "proof"
SOURCES: Final = ("src", "tests", "migrations", "requirements.lock")
LIBRARIES: Final = ("aiokafka", "asyncpg", "faststream", "hypothesis", "uvloop")


@dataclass(frozen=True, slots=True)
class Result:
    """A part's report, on what it was measured, and when."""

    part: str
    report: Report
    seconds: float
    stack: str
    sources: str
    commit: str
    dirty: bool
    finished_at: str
    machine: str
    versions: Mapping[str, str]

    @property
    def passed(self) -> bool:
        """Whether nothing was wrong."""
        return not self.report.failures

    @property
    def is_present(self) -> bool:
        """Whether it was measured on the sources as they are now."""
        return self.sources == sources()


class Revision(NamedTuple):
    """What a part is measured on, asked before it begins: others may commit meanwhile."""

    sources: str
    commit: str
    dirty: bool


def revision() -> Revision:
    """The sources as they are now."""
    dirty = bool(_git("status", "--porcelain", "--", *SOURCES))
    return Revision(sources(), _git("rev-parse", "--short=12", "HEAD"), dirty)


def new(part: str, report: Report, *, seconds: float, stack: str, measured_on: Revision) -> Result:
    """Put a report together with what it was measured on."""
    return Result(
        part=part,
        report=report,
        seconds=round(seconds, 1),
        stack=stack,
        **measured_on._asdict(),
        finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=_machine(),
        versions={"Python": platform.python_version(), **{name: metadata.version(name) for name in LIBRARIES}},
    )


def save(result: Result) -> None:
    """Write a result, in one rename."""
    FOLDER.mkdir(exist_ok=True)
    place = FOLDER / f"{result.part}.json"
    fresh = place.with_suffix(".new")
    fresh.write_text(json.dumps(asdict(result), indent=1, ensure_ascii=False) + "\n")
    fresh.rename(place)


def load(part: str) -> Result | None:
    """Read the result of a part; None where there is none."""
    place = FOLDER / f"{part}.json"
    if not place.exists():
        return None
    told: dict[str, Any] = json.loads(place.read_text())
    report = told.pop("report")
    tables = [Table(**table) for table in report["tables"]]
    return Result(report=Report(report["figures"], tables, report["failures"]), **told)


def sources() -> str:
    """The digest of the sources as they are now."""
    digest = hashlib.sha256()
    for name in sorted(_git("ls-files", "-co", "--exclude-standard", "--", *SOURCES).splitlines()):
        file = ROOT / name
        if file.is_file():
            digest.update(f"{name}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:16]


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def _machine() -> str:
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cpu = Path("/proc/cpuinfo")
    told = cpu.read_text().splitlines() if cpu.exists() else []
    model = next((line.partition(":")[2].strip() for line in told if line.startswith("model name")), platform.machine())
    return f"{os.cpu_count()} CPUs, {model}, {memory_gib:.0f} GiB, {platform.system()} {platform.release()}"
