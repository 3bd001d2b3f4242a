"""The planted faults, each against its tests. Law: a fault is caught where its tests pass without it and fail with it.

Each is planted in a copy of the package, and its tests are run by a pytest of their own that imports the copy, as do
the programs that the tests start. The copy without a fault goes first, with the tests of all: what fails there catches
nothing. Caught is what a test says itself, in its own time: an error while collecting or setting up, a name that the
fault broke, and a run that had to be ended count as not caught.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Final

from stock_worker.devstack import DATABASE_VARIABLE, KAFKA_VARIABLE, Stack
from tests.proof import witness
from tests.proof.part import Report, Say, Table
from tests.proof.planted import FAULTS, Edit, Fault
from tests.proof.witness import Phase, Witnessed

ROOT: Final = Path(__file__).parents[2]
SOURCE: Final = ROOT / "src" / "stock_worker"
CLEAN_MAX_S: Final = 900.0
FAULTY_MAX_S: Final = 240.0
"""Far more than any test's own deadline: whoever is still at it then hangs."""
BROKEN: Final = frozenset(
    {"AttributeError", "ImportError", "ModuleNotFoundError", "NameError", "SyntaxError", "UnboundLocalError"}
)
"""What a fault raises that was planted so badly that the product does not run at all."""


@dataclass(frozen=True, slots=True)
class Run:
    """One pytest: what its witness wrote, how long it took, and whether it had to be ended."""

    said: Witnessed
    seconds: float
    was_ended: bool
    last_words: str


async def run(stack: Stack, say: Say) -> Report:
    """Run the whole table."""
    began = monotonic()
    failures: list[str] = []
    rows: list[tuple[str, ...]] = []
    with tempfile.TemporaryDirectory(prefix="stock-worker-faults-") as folder:
        place = Path(folder)
        clean = copy_of_the_product(place / "clean")
        tests = list(dict.fromkeys(test for fault in FAULTS for test in fault.caught_by))
        say(f"{len(tests)} tests without any fault")
        without = await pytest_on(clean, tests, stack, CLEAN_MAX_S)
        failures += unfit(without, tests)
        for number, fault in enumerate(FAULTS, 1):
            found, row, words = await _judge(fault, clean, place / str(number), stack, without)
            failures += found
            rows.append(row)
            say(f"{number}/{len(FAULTS)} {fault.name}: {'; '.join(found) or words}")
    caught = sum(row[-2] != NOT_CAUGHT for row in rows)
    figures = (
        ("faults planted", str(len(FAULTS))),
        ("caught by tests that pass without them", str(caught)),
        ("tests that catch them", str(len(tests))),
        ("seconds without any fault", f"{without.seconds:.0f}"),
        ("seconds in all", f"{monotonic() - began:.0f}"),
    )
    heading = ("fault", "what it breaks", "caught by", "which says", "seconds")
    return Report(figures, [Table("Planted faults", heading, rows)], failures)


NOT_CAUGHT: Final = "not caught"


async def _judge(
    fault: Fault, clean: Path, place: Path, stack: Stack, without: Run
) -> tuple[list[str], tuple[str, ...], str]:
    """Plant one fault and run its tests; gives what is wrong, the fault's row of the table, and what a test said."""
    names = ", ".join(name_of(test) for test in fault.caught_by)
    found = plant(fault.edits, shutil.copytree(clean, place, symlinks=True))
    if found:
        return [f"{fault.name}: {each}" for each in found], (fault.name, fault.breaks, names, NOT_CAUGHT, ""), ""
    with_it = await pytest_on(place, fault.caught_by, stack, FAULTY_MAX_S)
    shutil.rmtree(place)
    found = [f"{fault.name}: {each}" for each in escaped(with_it, fault.caught_by)]
    found += [f"{fault.name}: {test} does not pass without it" for test in fault.caught_by if unfit(without, [test])]
    first = [phase for test in fault.caught_by for phase in failing(with_it.said, test)[:1]]
    says = NOT_CAUGHT if found else ", ".join(dict.fromkeys(phase.error for phase in first))
    words = "; ".join(f"{phase.error}: {phase.words}" for phase in first)
    return found, (fault.name, fault.breaks, names, says, f"{with_it.seconds:.0f}"), words


# ---------------------------------------------------------------- the copy


def copy_of_the_product(place: Path) -> Path:
    """Copy the package, laid out as in the repository, so that it finds its migrations; without old bytecode."""
    shutil.copytree(SOURCE, package_in(place), ignore=shutil.ignore_patterns("__pycache__"))
    (place / "migrations").symlink_to(ROOT / "migrations")
    return place


def package_in(place: Path) -> Path:
    """Where a copy has the package."""
    return place / "src" / "stock_worker"


def beside(place: Path, ending: str) -> Path:
    """Where a run on a copy writes: not in the copy, which the faults are planted in after the first run."""
    return place.with_name(f"{place.name}.{ending}")


def plant(edits: Sequence[Edit], place: Path) -> list[str]:
    """Make the edits in a copy. Gives what is wrong with them: a text that is not there once, or code that is none."""
    wrong = []
    for edit in edits:
        file = package_in(place) / edit.file
        text = file.read_text(encoding="utf-8")
        if text.count(edit.old) != 1:
            wrong.append(f"stands {text.count(edit.old)} times in {edit.file}, and not once: {edit.old.strip()!r}")
            continue
        text = text.replace(edit.old, edit.new)
        if file.suffix == ".py":
            try:
                compile(text, edit.file, "exec")
            except SyntaxError as error:
                wrong.append(f"{edit.file} is no Python any more: {error}")
        file.write_text(text, encoding="utf-8")
        # What the clean run compiled is copied along; of a file that was written in the same second, of the same
        # length, it would be taken for good.
        for compiled in (file.parent / "__pycache__").glob(f"{file.stem}.*"):
            compiled.unlink()
    return wrong


# ---------------------------------------------------------------- the run


async def pytest_on(place: Path, tests: Sequence[str], stack: Stack, most_s: float) -> Run:
    """Run tests on a copy, against this stack. One test is enough to stop at where only one has to fail."""
    testimony = beside(place, "jsonl")
    testimony.unlink(missing_ok=True)
    command = [
        *(sys.executable, "-m", "pytest", "-q", "-p", "tests.proof.witness", "-p", "no:cacheprovider"),
        *("--package", str(package_in(place)), "--testimony", str(testimony)),
        *(("-x",) if len(tests) == 1 else ()),
        *tests,
    ]
    began = monotonic()
    with beside(place, "log").open("w+b") as log:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=ROOT,
            env=_environment(place, stack),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        was_ended = False
        try:
            async with asyncio.timeout(most_s):
                await process.wait()
        except TimeoutError:
            was_ended = True
        finally:
            with contextlib.suppress(ProcessLookupError):  # the programs that the tests started are of its group
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        log.seek(0)
        last_words = log.read().decode(errors="replace").strip()[-2_000:]
    return Run(witness.read(testimony), monotonic() - began, was_ended, last_words)


def _environment(place: Path, stack: Stack) -> Mapping[str, str]:
    """Our own, with the copy before the installed package; what hypothesis finds is forgotten with the copy."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("STOCK_", "PYTEST_"))}
    return kept | {
        "PYTHONPATH": str(place / "src"),
        "HYPOTHESIS_STORAGE_DIRECTORY": str(beside(place, "hypothesis")),
        KAFKA_VARIABLE: stack.kafka_bootstrap,
        DATABASE_VARIABLE: stack.database_url,
    }


# ---------------------------------------------------------------- the verdict


def unfit(without: Run, tests: Sequence[str]) -> list[str]:
    """Say which tests cannot catch anything, since they do not pass without a fault."""
    if without.was_ended or without.said.strange is None:
        return [f"the run without any fault broke off: {without.last_words}"]
    wrong = [f"without any fault, {file} was not of the copy" for file in without.said.strange]
    for test in tests:
        phases = [phase for phase in without.said.phases if belongs(phase, test)]
        if not any(phase.phase == "call" for phase in phases):
            wrong.append(f"{test} did not run")
        wrong += [
            f"without any fault, {phase.test} has {phase.outcome} in {phase.phase}: {phase.error} {phase.words}"
            for phase in phases
            if phase.outcome != "passed"
        ]
    return wrong


def escaped(with_it: Run, tests: Sequence[str]) -> list[str]:
    """Say why a fault is not caught; nothing where each of its tests failed, and by itself."""
    if with_it.was_ended:
        return [f"its tests hung, and were ended after {with_it.seconds:.0f} s"]
    if with_it.said.strange is None:
        return [f"its run broke off: {with_it.last_words}"]
    wrong = [f"{file} was imported, and not the copy" for file in with_it.said.strange]
    for test in tests:
        failed = failing(with_it.said, test)
        if not failed:
            phases = [phase for phase in with_it.said.phases if belongs(phase, test)]
            other = [f"failed in {phase.phase}: {phase.words}" for phase in phases if phase.outcome == "failed"]
            did = "passes with it" if phases else f"did not run: {with_it.last_words}"
            wrong.append(f"{test} {(other or [did])[0]}")
        wrong += [f"it does not even run: {each.error} {each.words}" for each in failed if each.error in BROKEN]
    return wrong


def failing(said: Witnessed, test: str) -> list[Phase]:
    """Where a test itself failed."""
    return [
        phase for phase in said.phases if belongs(phase, test) and (phase.phase, phase.outcome) == ("call", "failed")
    ]


def belongs(phase: Phase, test: str) -> bool:
    """Whether a phase is of this test, or of one of its rows."""
    return phase.test == test or phase.test.startswith(f"{test}[")


def name_of(test: str) -> str:
    """Name a test without its folder."""
    return test.removeprefix("tests/")
