"""What a field that people set may hold. Law: one row a field; what does not fit is said in one sentence.

A field that is absent stays as it is, null clears one that can be cleared. Source: contract section 1 (values) and
section 7 (writes).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal
from unicodedata import category
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from stock_worker.store.steering.refused import Refused, Why

NAME_MAX: Final = 500
CODE_MAX: Final = 128
TEXT_MAX: Final = 2_000
ADDRESS_MAX: Final = 320
RECIPIENTS_MAX: Final = 100

_ADDRESS: Final = re.compile(r"[^@\s]+@[^@\s]+")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")

Judge = Callable[[Any], str | None]
"""Says of a value what it must be; None where it is."""


@dataclass(frozen=True, slots=True)
class Field:
    """What one field takes. `kind` is for who reads it from text; `clears` is whether null is allowed."""

    kind: Literal["integer", "boolean", "text", "texts"]
    judge: Judge
    clears: bool = True


def unfit(thing: str, fields: Mapping[str, Field], given: Mapping[str, object]) -> Refused | None:
    """Refuse the first of the given values that `thing` does not take; None if it takes them all."""
    for name, value in given.items():
        field = fields.get(name)
        if field is None:
            return Refused(Why.MALFORMED, f"{name} is no field of {thing}; one of: {', '.join(fields)}")
        if value is None:
            if not field.clears:
                return Refused(Why.MALFORMED, f"{name} cannot be cleared")
        elif words := field.judge(value):
            return Refused(Why.MALFORMED, f"{name} {words}")
    return None


def integer(low: int, high: int, *, clears: bool = True) -> Field:
    """Take a whole number within bounds."""

    def judge(value: object) -> str | None:
        whole = isinstance(value, int) and not isinstance(value, bool)
        return None if whole and low <= value <= high else f"must be an integer from {low} to {high}"  # type: ignore[operator] # whole says that it is an int

    return Field("integer", judge, clears)


def boolean(*, clears: bool = True) -> Field:
    """Take true or false."""
    return Field("boolean", lambda value: None if isinstance(value, bool) else "must be true or false", clears)


def choice(*words: str, clears: bool = True) -> Field:
    """Take one of some words."""
    return Field("text", lambda value: None if value in words else f"must be one of: {', '.join(words)}", clears)


def text(most: int, *, clears: bool = True) -> Field:
    """Take text for people on one line."""
    return Field("text", lambda value: _text(value, most), clears)


def matching(pattern: re.Pattern[str], words: str) -> Field:
    """Take text of a shape."""
    return Field("text", lambda value: None if isinstance(value, str) and pattern.fullmatch(value) else words)


def address() -> Field:
    """Take what may be an email address; whether it is one, only a letter tells."""
    return Field("text", _address)


def addresses() -> Field:
    """Take a list of email addresses."""
    return Field("texts", _addresses)


def web_address() -> Field:
    """Take a URL that a webhook can be sent to."""
    return Field("text", _web_address)


def time_zone() -> Field:
    """Take the name of a time zone."""
    words = "must be the name of a time zone in the IANA database, such as Europe/Paris"
    return Field("text", lambda value: None if isinstance(value, str) and value in available_timezones() else words)


def currency() -> Field:
    """Take the shape of an ISO 4217 code."""
    return matching(_CURRENCY, "must be three capital letters (ISO 4217), such as EUR")


def _text(value: object, most: int) -> str | None:
    if not isinstance(value, str):
        return "must be text"
    if not value.strip():
        return "must not be empty"
    if len(value) > most:
        return f"must have at most {most} characters"
    # Control characters, NUL among them, and lone surrogates, which no text column takes.
    return "must not hold control characters" if any(category(sign) in {"Cc", "Cs"} for sign in value) else None


def _address(value: object) -> str | None:
    fits = _text(value, ADDRESS_MAX) is None and _ADDRESS.fullmatch(str(value))
    return None if fits else "must be an email address"


def _addresses(value: object) -> str | None:
    if not isinstance(value, list) or len(value) > RECIPIENTS_MAX:
        return f"must be a list of at most {RECIPIENTS_MAX} email addresses"
    wrong = next((each for each in value if _address(each)), None)
    return None if wrong is None else "must be a list of email addresses, and one of them is none"


def _web_address(value: object) -> str | None:
    words = "must be a URL that begins with http:// or https://"
    if _text(value, TEXT_MAX) is not None or re.search(r"\s", str(value)):
        return words
    try:
        parts = urlsplit(str(value))
        fits = parts.scheme in {"http", "https"} and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:  # a port that is no number, a bracket left open
        return words
    return None if fits else words
