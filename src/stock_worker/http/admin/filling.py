"""What a person fills in. Law: a field is judged by the row that judges it for the API; its fault stands at it.

A form says of each field what it was filled with when it was shown: what nobody touched is not sent on, so two people
who change different fields do not undo each other. Source: contract section 7 (`…/alert-rules`, `…/settings`).
"""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from stock_worker.http.admin.forms import Fields
from stock_worker.store.steering.fields import Field

WAS: Final = "was-"
"""Before a field's name: what it was filled with."""

_INTEGER: Final = re.compile(r"-?[0-9]{1,16}")
_BETWEEN: Final = re.compile(r"[\s,;]+")
_BOOLEANS: Final = {"true": True, "false": False}


class Filled(NamedTuple):
    """The values of the fields that were changed, None where one was emptied; and what is wrong, by field."""

    given: dict[str, Any]
    faults: dict[str, str]


def read_filled(form: Fields, fields: Mapping[str, Field]) -> Filled:
    """Read what was changed of these fields."""
    filled = Filled({}, {})
    for name, field in fields.items():
        value, was = (_value(field, form.get(key, "")) for key in (name, WAS + name))
        if value == was:
            continue
        filled.given[name] = value
        if value is not None and (words := field.judge(value)):
            filled.faults[name] = f"{words[0].upper()}{words[1:]}."
    return filled


def text_of(value: object) -> str:
    """Write a value as the field of a form has it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return "\n".join(value) if isinstance(value, list) else str(value)


def _value(field: Field, text: str) -> object:
    """Read a field; what cannot be read stays as it is, for its judge."""
    if not text:
        return None
    if field.kind == "integer":
        return int(text) if _INTEGER.fullmatch(text) else text
    if field.kind == "boolean":
        return _BOOLEANS.get(text, text)
    return _BETWEEN.split(text) if field.kind == "texts" else text
