"""What is wrong with a message, for a person. Law: one line, at most 500 characters, the field first.

Nothing of what the sender wrote is repeated, except ids that have been found well-formed. Source: contract rule 13,
header `dlt-detail`.
"""

from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from stock_worker.wire.values import CURRENCY_PATTERN, MONEY_PATTERN, NAME_PATTERN, UUID_PATTERN

DETAIL_MAX_CHARACTERS: Final = 500
TIME_WORDS: Final = "must be an RFC 3339 time with an offset, such as 2026-01-31T12:00:00Z"

_PATTERNS: Final = {
    UUID_PATTERN: "must be a UUID, 8-4-4-4-12 hexadecimal digits",
    NAME_PATTERN: "must be text without control characters",
    MONEY_PATTERN: 'must be money as decimal text of 0 or more, such as "12.50"',
    CURRENCY_PATTERN: 'must be three capital letters, such as "EUR"',
}
_WORDS: Final = {
    "string_type": "must be text",
    "string_too_short": "must have at least {min_length} character",
    "string_too_long": "must have at most {max_length} characters",
    "int_type": "must be a whole number",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be less than {lt}",
    "bool_type": "must be true or false",
    "literal_error": "must be one of {expected}",
    "list_type": "must be a list",
    "too_short": "must have at least {min_length} entry",
    "too_long": "must have at most {max_length} entries",
    "dict_type": "must be an object",
}


def of(error: ValidationError) -> str:
    """Say what is wrong first, and how much more is."""
    first, *others = error.errors(include_url=False)
    more = f" (and {len(others)} more)" if others else ""
    return f"{_path(first['loc'])} {_expected(first)}{more}"


def one_line(detail: str) -> str:
    """Fold and cut words so that they fit a header and a row of a table."""
    folded = " ".join(detail.split())
    return folded if len(folded) <= DETAIL_MAX_CHARACTERS else folded[: DETAIL_MAX_CHARACTERS - 1] + "…"


def _path(location: tuple[int | str, ...]) -> str:
    """Spell a place in a message as a person writes it: lines[0].quantity."""
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return path.removeprefix(".") or "the value"


def _expected(error: ErrorDetails) -> str:
    kind, context = error["type"], error.get("ctx", {})
    a_field = bool(error["loc"]) and isinstance(error["loc"][-1], str)
    if kind == "missing" or (a_field and error["input"] is None):  # null counts as absent
        return "is missing"
    if kind == "string_pattern_mismatch":
        return _PATTERNS[context["pattern"]]
    return _WORDS[kind].format(**context) if kind in _WORDS else str(error["msg"])
