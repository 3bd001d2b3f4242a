"""What a part of the proof says. Law: a part passes only where it names no failure, and every figure was measured.

`make proof` runs the parts one by one (`python -m tests.proof PART ...`) and writes docs/reliability.md from what they
report; a part that was run before, at the same revision, need not be run again.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from stock_worker.devstack import Stack

Say = Callable[[str], None]
"""Tell a person how far it is."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows to show in the report, under a heading."""

    heading: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Report:
    """What one part found: `figures` are (what, how many), `failures` say what was wrong, in words."""

    figures: Sequence[tuple[str, str]]
    tables: Sequence[Table] = ()
    failures: Sequence[str] = field(default=())


Part = Callable[[Stack, Say], Awaitable[Report]]
"""Run one part on real servers that nobody else uses meanwhile."""
