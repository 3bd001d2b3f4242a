"""Run a stack for as long as this runs: `python -m stock_worker.devstack`.

Standard output is two lines for another shell to take over; tests and the demo then use this stack. The rest is said on
standard error.
"""

import shlex
import signal
import sys
from types import FrameType

from stock_worker.devstack import DATABASE_VARIABLE, KAFKA_VARIABLE, StartFailed, stack


def main() -> int:
    """Start, print the two variables, wait for Ctrl-C or SIGTERM, end."""
    signal.signal(signal.SIGTERM, _leave)
    try:
        with stack(say=_say, environment={}) as started:
            sys.stdout.write(f"export {KAFKA_VARIABLE}={shlex.quote(started.kafka_bootstrap)}\n")
            sys.stdout.write(f"export {DATABASE_VARIABLE}={shlex.quote(started.database_url)}\n")
            sys.stdout.flush()
            _say("running until Ctrl-C")
            while True:
                signal.pause()
    except KeyboardInterrupt:
        return 0
    except StartFailed as fault:
        _say(str(fault))
        return 1


def _leave(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _say(words: str) -> None:
    sys.stderr.write(f"devstack: {words}\n")


if __name__ == "__main__":
    sys.exit(main())
