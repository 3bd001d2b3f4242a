"""The kinds of value a message is made of. Law: a value is one canonical thing, or the message is malformed.

A UUID becomes lower case, a time an instant in UTC, money a Decimal; text is kept as it came. pydantic checks in Rust,
strictly: "5" and true are no integers. Source: contract section 1, and the decided cases on values.
"""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from stock_worker.core.model import MAX_COUNTER, MAX_QUANTITY

NAME_MAX_CHARACTERS: Final = 128
TITLE_MAX_CHARACTERS: Final = 500
TEXT_MAX_CHARACTERS: Final = 2_000
MONEY_MAX_DIGITS: Final = 15
"""Digits of money before the point: as many as a counter has, so that their product fits any report."""
MONEY_MAX_DECIMALS: Final = 10

UUID_PATTERN: Final = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
NAME_PATTERN: Final = r"^[^\p{Cc}]*$"
MONEY_PATTERN: Final = rf"^[0-9]{{1,{MONEY_MAX_DIGITS}}}(\.[0-9]{{1,{MONEY_MAX_DECIMALS}}})?$"
CURRENCY_PATTERN: Final = "^[A-Z]{3}$"

Uuid = Annotated[str, StringConstraints(pattern=UUID_PATTERN, to_lower=True)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=NAME_MAX_CHARACTERS, pattern=NAME_PATTERN)]
"""A reference, order id or line id."""
Text = Annotated[str, StringConstraints(max_length=TEXT_MAX_CHARACTERS)]
Title = Annotated[str, StringConstraints(max_length=TITLE_MAX_CHARACTERS)]
"""A name of a thing, for people."""
Money = Annotated[str, StringConstraints(pattern=MONEY_PATTERN)]
Currency = Annotated[str, StringConstraints(pattern=CURRENCY_PATTERN)]
Count = Annotated[int, Field(ge=1, le=MAX_QUANTITY)]
SignedCount = Annotated[int, Field(ge=-MAX_QUANTITY, le=MAX_QUANTITY)]
Counted = Annotated[int, Field(ge=0, le=MAX_QUANTITY)]
Revision = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Version = Annotated[int, Field(ge=0, le=MAX_COUNTER)]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_MS: Final = (datetime(9999, 12, 31, tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt](?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|(60))(?:\.[0-9]+)?"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)


def instant(text: str) -> datetime | None:
    """Read an RFC 3339 time with its offset as an instant in UTC; None if it is none. Finer than 1 µs is cut off."""
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    leap = match[1] is not None
    try:
        if leap:  # Python has no second 60: read 59 and go on by one
            text = f"{text[:17]}59{text[19:]}"
        moment = datetime.fromisoformat(text.upper())
        if moment.tzinfo is not UTC:
            moment = moment.astimezone(UTC)
        if leap:
            # Leap seconds end a day in UTC and nothing else; whatever calls itself second 60 elsewhere is no time.
            return moment + timedelta(seconds=1) if (moment.hour, moment.minute) == (23, 59) else None
    except (ValueError, OverflowError):  # 30 February; a year that its offset moves out of the calendar
        return None
    return moment


def instant_of_ms(timestamp_ms: int) -> datetime:
    """Read Kafka's timestamp; its -1 for "none", and what no calendar holds, become the nearest instant there is."""
    return _EPOCH + timedelta(milliseconds=min(max(timestamp_ms, 0), _LATEST_MS))


def money(text: str) -> Decimal:
    """Read decimal text that has the pattern of money; "1.50" and "1.5" are one value."""
    return Decimal(text)


def canonical_money(amount: Decimal) -> str:
    """Spell an amount in the one way that all its spellings share, e.g. 1.5 for 1.50."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def with_integral_floats_as_integers(document: object) -> object:
    """Turn 5.0 into 5 where a message has integers: in its own fields and in those of its lines.

    A copy, since nothing of what arrived is changed. Only a document that failed once needs it.
    """
    if not isinstance(document, dict):
        return document
    repaired = {name: _integral(value) for name, value in document.items()}
    lines = repaired.get("lines")
    if isinstance(lines, list):
        repaired["lines"] = [
            {name: _integral(value) for name, value in line.items()} if isinstance(line, dict) else line
            for line in lines
        ]
    return repaired


def holds_nul(document: object) -> bool:
    """Whether a NUL hides anywhere in a document, names of fields included. Walks without recursion, however deep."""
    todo: list[object] = [document]
    while todo:
        value = todo.pop()
        if isinstance(value, str):
            if "\x00" in value:
                return True
        elif isinstance(value, dict):
            todo.extend(value)
            todo.extend(value.values())
        elif isinstance(value, list):
            todo.extend(value)
    return False


def _integral(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value
