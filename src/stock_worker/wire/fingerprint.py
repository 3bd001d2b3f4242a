"""The hash of what a command means. Law: two commands hash alike if and only if their senders asked for the same.

Hashed is the decoded command: contract defaults are filled in (a missing line_id is its position, atomic is true, an
alias of a type is the type), a site's defaults are not (an absent mode stays absent, so it differs from `sale`; an
absent location differs from the default's id). Left out: when, who, reason and note. Line order counts.
Source: contract rule 1 and the decided cases on meaning.
"""

from datetime import datetime
from hashlib import blake2b
from typing import Any, Final

import orjson

from stock_worker.core.model import CommandKind, Line, Mode, MovementType, Reference
from stock_worker.wire.values import canonical_money

FINGERPRINT_VERSION: Final = 1
"""Stored with each hash. A change that alters the hash of any command that was possible before is a new version."""

FINGERPRINT_BYTES: Final = 16

_NAMES = Line._fields
_EXTRA_FROM: Final = _NAMES.index("damaged")
_PLAIN: Final = tuple(Line._field_defaults[name] for name in _NAMES[_EXTRA_FROM:])
_ALWAYS: Final = _NAMES.index("reason")


def fingerprint(  # noqa: PLR0913 - a meaning has this many parts
    kind: CommandKind,
    reference: Reference,
    order_id: str | None,
    lines: tuple[Line, ...] | None,
    *,
    adjustment: MovementType | None = None,
    atomic: bool = True,
    mode: Mode | None = None,
    expires_at: datetime | None = None,
    places: tuple[str | None, str | None] = (None, None),
) -> bytes:
    """Hash a meaning into 16 bytes.

    Fields with their default are not written at all, so a field that a later release adds leaves old hashes as they
    are. The site needs no place in it: hashes are compared within one reference only.
    """
    extras: dict[str, Any] = {}
    if adjustment is not None:
        extras["adjustment"] = adjustment.value
    if not atomic:
        extras["atomic"] = False
    if mode is not None:
        extras["mode"] = mode.value
    if expires_at is not None:
        extras["expires_at"] = expires_at
    if places != (None, None):
        extras["places"] = places
    meant = None if lines is None else [_line(line) for line in lines]
    meaning = orjson.dumps((kind.value, reference.type, reference.id, order_id, meant, extras))
    return blake2b(meaning, digest_size=FINGERPRINT_BYTES).digest()


def _line(line: Line) -> tuple[Any, ...]:
    """What a line asks for: always its id, item, place and quantity, then what is not as usual."""
    always = line[:_ALWAYS]
    if line[_EXTRA_FROM:] == _PLAIN:
        return always
    given = zip(_NAMES[_EXTRA_FROM:], line[_EXTRA_FROM:], _PLAIN, strict=True)
    extras = {name: value for name, value, usual in given if value != usual}
    if line.unit_cost is not None:
        extras["unit_cost"] = canonical_money(line.unit_cost)
    return (*always, extras)
