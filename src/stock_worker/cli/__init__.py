"""The commands. Law: data on stdout, words on stderr; exit code 0 is well, 1 a finding or a fault, 2 a usage error.

A fault of the surroundings (a setting, a login, a server, a migration, a topic) is one line that says what to do; only
a bug shows its traceback. Source: contract section 8.
"""

import sys
from typing import NoReturn

from stock_worker.cli import terminal
from stock_worker.cli.commands import app


def main() -> NoReturn:
    """Run the command line and end the process."""
    try:
        app()
    except Exception as fault:
        from stock_worker.cli.faults import explained  # noqa: PLC0415 - only a fault needs its words

        words = explained(fault)
        if words is None:
            raise
        terminal.say(words.text)
        sys.exit(words.exit_code)
    sys.exit(0)
