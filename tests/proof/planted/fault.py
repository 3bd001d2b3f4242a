"""A planted fault. Law: it is a mistake that an honest hand could make, and the product still starts with it.

An edit is about the rule itself, and short: it is to survive what is rebuilt around it. `tests/laws/test_planted.py`
says at once when one has lost its place.
"""

from dataclasses import dataclass
from typing import NamedTuple


class Edit(NamedTuple):
    """In `file`, below the package's folder, `old` stands exactly once and becomes `new`."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Fault:
    """`name` and `breaks` are for a person; `caught_by` are the tests that pass without the fault and fail with it.

    A test without brackets may have several rows: one of them has to fail. Of several tests each has to.
    """

    name: str
    breaks: str
    edits: tuple[Edit, ...]
    caught_by: tuple[str, ...]
