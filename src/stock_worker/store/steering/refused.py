"""What somebody asked for and cannot have. Law: a refusal is a value, and one sentence says why."""

from enum import StrEnum
from typing import NamedTuple


class Why(StrEnum):
    """The kinds of refusal: the first is the asker's mistake, the last passes, the others are how things stand."""

    MALFORMED = "malformed"
    NOT_FOUND = "not_found"
    CODE_TAKEN = "code_taken"
    IS_DEFAULT = "is_default"
    NOT_EMPTY = "not_empty"
    NOT_ACTIVE = "not_active"
    STALE = "stale"
    SETTLED = "settled"
    UNFIT = "unfit"
    KNOWN = "known"
    BUSY = "busy"


class Refused(NamedTuple):
    """A refusal, for a program and for a person."""

    why: Why
    message: str
