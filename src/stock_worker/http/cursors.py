"""Cursors. Law: one names the last row that was given; what comes after it follows, whatever came in meanwhile.

It is opaque: text that this service made and that only it reads. Source: contract section 7 (ledgers, dead letters).
"""

import base64
import binascii
from collections.abc import Sequence
from typing import TypeVar

import orjson
from pydantic import TypeAdapter, ValidationError

from stock_worker.http.problems import Problem

T = TypeVar("T")


def cursor_of(key: Sequence[str | int]) -> str:
    """Write the key of a row as a cursor."""
    return base64.urlsafe_b64encode(orjson.dumps(key)).rstrip(b"=").decode()


def read_cursor(cursor: str, key: TypeAdapter[T]) -> T:
    """Read the key of a row. Raises Problem: malformed."""
    try:
        document = base64.b64decode(cursor.encode() + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return key.validate_json(document, strict=True)
    except (binascii.Error, ValidationError, UnicodeEncodeError):
        raise Problem("malformed", "cursor: give next_cursor as it came, or none to begin") from None
