"""The demo from curtain to curtain. Law: whatever ends it, what it started ends and what it made is removed.

Imports only what starts the servers; the rest is imported while they start.
"""

import asyncio
import os
import signal
import sys
from contextlib import ExitStack
from importlib import import_module
from threading import Thread
from types import FrameType
from typing import Final

from stock_worker import devstack
from stock_worker.cli import terminal
from stock_worker.cli.terminal import Misused
from stock_worker.devstack.scratch import open_scratch

UNWATCHED_S: Final = 30


def play(began: float, *, as_json: bool) -> int:
    """Run the demo, which was asked for at `began` on the monotonic clock. Returns the exit code."""
    watched = sys.stdout.isatty() and not as_json
    seconds = _seconds(watched=watched)
    signal.signal(signal.SIGTERM, _interrupt)
    # A second or more of imports, in the time that the servers take to start anyway.
    Thread(target=import_module, args=("stock_worker.cli.demo.act",), daemon=True).start()
    with ExitStack() as leaving:
        try:
            stack = leaving.enter_context(devstack.stack(say=terminal.say))
            room = leaving.enter_context(open_scratch())
            from stock_worker.cli.demo.act import act, picture_for  # noqa: PLC0415 - see above
            from stock_worker.cli.demo.ground import ground  # noqa: PLC0415 - see above

            run = leaving.enter_context(ground(stack, room, began))
            return asyncio.run(act(run, picture_for(watched=watched, as_json=as_json), seconds, as_json=as_json))
        except (KeyboardInterrupt, asyncio.CancelledError):
            terminal.say("interrupted")
            return terminal.FINDING
        finally:
            for name in (signal.SIGINT, signal.SIGTERM):  # what is left is short and has to be done
                signal.signal(name, signal.SIG_IGN)


def _seconds(*, watched: bool) -> int | None:
    """How long to play; None is until Ctrl-C."""
    given = os.environ.get("STOCK_DEMO_SECONDS", "")
    if not given:
        return None if watched else UNWATCHED_S
    if not given.isdecimal() or int(given) < 1:
        raise Misused(f"STOCK_DEMO_SECONDS: {given!r} is no whole number of seconds above 0")
    return int(given)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
