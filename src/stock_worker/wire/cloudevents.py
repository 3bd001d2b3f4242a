"""CloudEvents 1.0 headers, binary mode, as they come with a command. Law: a header is never a reason to refuse a value.

A header that is null, is not UTF-8 or does not hold what its name says counts as absent. Source: contract section 3,
rule 13.
"""

from datetime import datetime
from typing import Final

from stock_worker.wire.values import instant

_TRACEPARENT_MAX: Final = 512
"""In characters; a traceparent of today has 55. Every event of a command carries it, so a longer one is dropped."""


Headers = tuple[tuple[str, bytes | None], ...]


def time(headers: Headers) -> datetime | None:
    """Read when the event happened; of two headers with one name the first that can be read counts."""
    for name, value in headers:
        if name == "ce_time" and (moment := instant(_text(value))) is not None:
            return moment
    return None


def traceparent(headers: Headers) -> str | None:
    """Read the trace that the command's events carry on: any printable one, since nothing here interprets it."""
    for name, value in headers:
        if name == "traceparent" and (trace := _text(value)).isprintable() and 0 < len(trace) <= _TRACEPARENT_MAX:
            return trace
    return None


def _text(value: bytes | None) -> str:
    try:
        return (value or b"").decode()
    except UnicodeDecodeError:
        return ""
