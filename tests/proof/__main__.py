"""`python -m tests.proof [PART ...]`. Law: what passed on these sources is not run again, and nothing outlives the run.

Without a part's name every part runs that has no passing result on the sources as they are, so that a run may be
interrupted and gone on with. Each part has servers of its own. The results are kept and docs/reliability.md is written
after each part. Exit code 1 when a part that was to run, or any part's kept result, is a failure.
"""

import asyncio
import logging
import signal
import sys
import time
import traceback
from collections.abc import Awaitable, Mapping, Sequence
from functools import partial
from types import FrameType
from typing import Final

from stock_worker import devstack
from tests.proof import faults, kills, models, page, points, results, world
from tests.proof.part import Part, Report

PARTS: Final[Mapping[str, Part]] = {
    "models": models.run,
    "points": points.run,
    "kills": kills.run,
    "world": world.run,
    "faults": faults.run,
}
"""In the order in which they run."""
PART_MAX_S: Final = 25 * 60.0


def main(names: Sequence[str]) -> int:
    """Run parts, tell how far they are, and return the exit code."""
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        _say(f"there is no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
        return 2
    signal.signal(signal.SIGTERM, _interrupt)
    logging.basicConfig(level=logging.ERROR)  # aiokafka warns of each leader that is not elected yet
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    chosen = names or [name for name in PARTS if not _has_passed(name)]
    for name in chosen:
        result = _run(name)
        results.save(result)
        page.write([(part, results.load(part)) for part in PARTS])
        _say(f"{name}: {'passed' if result.passed else 'FAILED'} in {result.seconds:,.0f} s")
        for failure in result.report.failures:
            _say(f"{name}: {failure}")
    failed = [name for name in (names or PARTS) if not _has_passed(name)]
    _say(f"not passed on these sources: {', '.join(failed)}" if failed else "every part has passed on these sources")
    return 1 if failed else 0


def _has_passed(name: str) -> bool:
    kept = results.load(name)
    return kept is not None and kept.passed and kept.is_present


def _run(name: str) -> results.Result:
    """Run one part on a stack of its own; what it raises is its failure."""
    say, began, measured_on = partial(_tell, name), time.monotonic(), results.revision()
    how = "no servers"
    try:
        with devstack.stack(say=say, environment={}) as stack:
            how = stack.how
            report = asyncio.run(_bounded(PARTS[name](stack, say)))
    except Exception as fault:  # noqa: BLE001 - a part that breaks has failed, and the others are still to run
        traceback.print_exc()
        report = Report([], failures=[f"{type(fault).__name__}: {fault}"])
    return results.new(name, report, seconds=time.monotonic() - began, stack=how, measured_on=measured_on)


async def _bounded(part: Awaitable[Report]) -> Report:
    async with asyncio.timeout(PART_MAX_S):
        return await part


def _tell(part: str, words: str) -> None:
    _say(f"{part}: {words}")


def _say(words: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {words}\n")
    sys.stderr.flush()


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
