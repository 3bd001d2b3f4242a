"""Start the real program with one crash point armed. Law: the product knows nothing of crash points.

`python -m tests.chaos.launch POINT PASSES run`: the function that a point names is wrapped, and the process kills
itself with SIGKILL at the given pass through it. `none` arms nothing.
"""

import asyncio
import functools
import importlib
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, Final

BEFORE, AFTER = "before", "after"

POINTS: Final[dict[str, tuple[str, str, str]]] = {
    "after_poll": ("stock_worker.intake", "Intake.polled", BEFORE),
    "after_decode": ("stock_worker.worker", "Worker.apply", BEFORE),
    "after_lock": ("stock_worker.handle", "load", AFTER),
    "before_commit": ("stock_worker.handle", "_write", AFTER),
    "after_commit_before_wake": ("stock_worker.worker", "Worker.wake", BEFORE),
    "after_commit_before_offsets": ("stock_worker.intake", "Intake.flush", BEFORE),
    "relay_after_read": ("stock_worker.relay.life", "Life._read", AFTER),
    "relay_after_send": ("stock_worker.relay.publisher", "Publisher._send", AFTER),
    "relay_after_acknowledgement": ("stock_worker.store.outbox", "delete", BEFORE),
    "during_rebalance": ("stock_worker.intake", "Intake.revoked", BEFORE),
    "on_sigterm": ("stock_worker.worker", "Worker.stop", BEFORE),
}
"""Crash point → (module, name in it, kill before or after it ran)."""


def arm(point: str, passes: int) -> None:
    """Wrap the function of a point so that the process dies at that pass through it."""
    module_name, path, when = POINTS[point]
    owner: Any = importlib.import_module(module_name)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    setattr(owner, name, _dying(getattr(owner, name), when, passes))


def _dying(function: Callable[..., Any], when: str, passes: int) -> Callable[..., Any]:
    left = passes

    def pass_by() -> None:
        nonlocal left
        left -= 1
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    if asyncio.iscoroutinefunction(function):

        @functools.wraps(function)
        async def dying_async(*args: Any, **more: Any) -> Any:  # noqa: ANN401 - whatever the function takes
            if when == BEFORE:
                pass_by()
            result = await function(*args, **more)
            if when == AFTER:
                pass_by()
            return result

        return dying_async

    @functools.wraps(function)
    def dying(*args: Any, **more: Any) -> Any:  # noqa: ANN401 - whatever the function takes
        if when == BEFORE:
            pass_by()
        result = function(*args, **more)
        if when == AFTER:
            pass_by()
        return result

    return dying


if __name__ == "__main__":
    chosen, count = sys.argv[1], int(sys.argv[2])
    if chosen != "none":
        arm(chosen, count)
    sys.argv = ["stock-worker", *sys.argv[3:]]
    from stock_worker.cli import main

    main()
