"""Which commands mean the same (rule 1). Law: two values do if and only if their canonical texts are equal.

Absent and null are alike, contract defaults are filled in, site defaults are not; what merely tells about the command
(when, who, why) is left out; the order of lines counts.
"""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from tests.models.words import Reference

SIGNED: Final = "adjustment"
ALIASES: Final = {
    "received": "restock",
    "sold": "sale",
    "returned": "return",
    "adjusted": "adjustment",
    "manual_adjustment": "adjustment",
}
REFERENCE_TYPES: Final = {
    "order-placed": "order",
    "order-cancelled": "cancellation",
    "order-fulfilled": "fulfilment",
    "return-received": "return",
    "restock": "restock",
    "stock-adjustment": "adjustment",
    "stock-count": "count",
    "stock-transfer": "transfer",
}
FIELDS: Final = {
    "order-placed": ("order_id", "mode", "expires_at", "amend", "lines"),
    "order-cancelled": ("order_id", "lines"),
    "order-fulfilled": ("order_id", "lines"),
    "return-received": ("order_id", "lines"),
    "restock": ("lines",),
    "stock-adjustment": ("type", "atomic", "lines"),
    "stock-count": ("lines",),
    "stock-transfer": (),
}
LINE_FIELDS: Final = {
    "order-placed": ("location_ids",),
    "order-cancelled": (),
    "order-fulfilled": (),
    "return-received": ("condition",),
    "restock": ("unit_cost", "currency"),
    "stock-adjustment": ("expected_version",),
    "stock-count": ("counted", "counted_at_version"),
    "stock-transfer": (),
}
IDENTITIES: Final = ("line_id", "product_id", "variant_id", "location_id", "quantity")


def reference_of(topic: str, value: dict[str, Any]) -> Reference:
    """The idempotency key of a command, within its site."""
    named = value.get("reference_id")
    return REFERENCE_TYPES[topic], named if named is not None else value["order_id"]


def meaning_of(topic: str, value: dict[str, Any]) -> str:
    """The canonical text of a command, without its reference."""
    meant = {name: value.get(name) for name in FIELDS[topic]}
    if topic == "stock-transfer":
        meant = {name: value[name].lower() for name in ("from_location_id", "to_location_id")}
    if topic == "order-placed":
        meant["amend"] = bool(value.get("amend"))
        meant["expires_at"] = instant(value.get("expires_at"))
    if topic == "stock-adjustment":
        meant["type"] = canonical_type(value["type"])
        meant["atomic"] = value.get("atomic") is not False
    lines = value.get("lines")
    if lines is not None:
        kind = str(meant.get("type", SIGNED))
        meant["lines"] = [_line(topic, kind, number, line) for number, line in enumerate(lines, 1)]
    return json.dumps([topic, meant], sort_keys=True, default=str)


def instant(text: str | None) -> datetime | None:
    """A moment, whatever offset it was told with."""
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


def canonical_type(text: str) -> str:
    """The type of an adjustment without its alias."""
    return ALIASES.get(text, text)


def _line(topic: str, kind: str, number: int, line: dict[str, Any]) -> dict[str, Any]:
    meant: dict[str, Any] = {name: line.get(name) for name in (*IDENTITIES, *LINE_FIELDS[topic])}
    for name in ("product_id", "variant_id", "location_id"):
        meant[name] = meant[name].lower() if meant[name] else None
    if meant["quantity"] is not None:
        meant["quantity"] = int(meant["quantity"]) if kind == SIGNED else abs(int(meant["quantity"]))
    if topic == "order-placed":
        meant["line_id"] = meant["line_id"] or str(number)
        allowed = meant["location_ids"]
        meant["location_ids"] = None if allowed is None else sorted({place.lower() for place in allowed})
    if meant.get("unit_cost") is not None:
        meant["unit_cost"] = str(Decimal(meant["unit_cost"]).normalize())
    if topic == "return-received":
        meant["condition"] = meant["condition"] or "sellable"
    return meant
