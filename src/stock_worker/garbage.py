"""Python's collector of cycles. Law: a process that makes objects by the thousand, and hardly a cycle, is asked seldom.

Python's own thresholds spend a quarter of the shell's CPU on a batch looking for some (13.2 against 8.7 µs a record,
200,000 records), and 17 % of the API's on the availability of 100 items.
"""

import gc
from typing import Final

_THRESHOLDS: Final = (50_000, 50, 100)


def collect_seldom() -> None:
    """Let this process look for cycles seldom from now on."""
    gc.set_threshold(*_THRESHOLDS)
