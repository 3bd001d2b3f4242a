"""Bytes of a record as a person reads them. Law: what is shown is what was there, and nothing in it hides or acts.

JSON is laid out token by token, so numbers keep their spelling and a name that stands twice is seen twice. Signs that
nobody sees, or that turn the direction of others, are written as escapes. Source: contract rule 13, section 7 (dead
letters, the page).
"""

import json
import re
import unicodedata
from typing import Final, NamedTuple

from stock_worker.http.shapes_steering import Raw

SHOWN_MAX: Final = 20_000
"""Characters of a value that are shown; the API gives all."""

_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
_OPEN: Final = frozenset("{[")
_CLOSE: Final = frozenset("}]")
_INDENT_MAX: Final = 40
_LAYOUT: Final = frozenset("\n\t")
_UNSEEN: Final = frozenset({"Cc", "Cf", "Zl", "Zp"})
_PLANE: Final = 0xFFFF


class Shown(NamedTuple):
    """Bytes in words: what kind of text it is, the text, and whether it ends before they do."""

    kind: str
    text: str
    is_cut: bool = False


def shown(raw: Raw | None) -> Shown:
    """Show bytes as laid out JSON, as text, or as base64."""
    if raw is None:
        return Shown("null", "")
    if raw.text is None:
        return Shown("base64, for it is no UTF-8", raw.base64[:SHOWN_MAX], len(raw.base64) > SHOWN_MAX)
    if len(raw.text) > SHOWN_MAX:
        return Shown("text", visible(raw.text[:SHOWN_MAX]), is_cut=True)
    try:
        json.loads(raw.text)
    except (ValueError, RecursionError):
        return Shown("text", visible(raw.text))
    return Shown("JSON", visible(laid_out(raw.text)))


def laid_out(text: str) -> str:
    """Put every member and element of a JSON text on a line of its own, and change nothing else."""
    words = _TOKEN.findall(text)
    parts: list[str] = []
    depth = 0
    for before, word in zip(("", *words), words, strict=False):
        closes = word in _CLOSE
        depth -= closes
        if before == "," or (before in _OPEN) != closes:
            parts.append(_line(depth))
        parts.append(": " if word == ":" else word)
        depth += word in _OPEN
    return "".join(parts)


def visible(text: str) -> str:
    """Write signs that nobody sees as escapes; lines and tabs stay."""
    return "".join(
        sign if sign in _LAYOUT or unicodedata.category(sign) not in _UNSEEN else _escape(ord(sign)) for sign in text
    )


def _line(depth: int) -> str:
    return "\n" + "  " * min(depth, _INDENT_MAX)


def _escape(point: int) -> str:
    return f"\\u{point:04x}" if point <= _PLANE else f"\\U{point:08x}"
