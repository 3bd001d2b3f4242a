"""What a person does to stock, as the API's commands. Law: each kind is one command, and one that undoes what it did.

Source: contract section 3 (adjustments), rules 8 and 9.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

from stock_worker.core.model import MovementType
from stock_worker.http.admin.forms import Fields
from stock_worker.http.admin.items import Ref
from stock_worker.http.problems import Problem
from stock_worker.http.shapes import Booked

Effect = Literal["up", "down", "to", "hold", "release"]
Route = Literal["adjustments", "counts", "restocks"]


class Kind(NamedTuple):
    """One choice of the form: its words, what it does to the counters, and the type of adjustment that it is.

    `type` is None where it is another command.
    """

    word: str
    effect: Effect
    type: MovementType | None


GROUPS: Final[Mapping[str, Mapping[str, Kind]]] = {
    "Add": {
        "restock": Kind("Restock", "up", None),
        "return": Kind("Return", "up", MovementType.RETURN),
        "more": Kind("Correction", "up", MovementType.ADJUSTMENT),
    },
    "Remove": {
        "damage": Kind("Damaged", "down", MovementType.DAMAGE),
        "expired": Kind("Expired", "down", MovementType.EXPIRED),
        "sale": Kind("Sale", "down", MovementType.SALE),
        "less": Kind("Correction", "down", MovementType.ADJUSTMENT),
    },
    "Set": {"count": Kind("Counted", "to", None)},
    "Hold": {
        "hold": Kind("Hold", "hold", MovementType.RESERVED),
        "release": Kind("Release", "release", MovementType.UNRESERVED),
    },
}
KINDS: Final = {name: kind for group in GROUPS.values() for name, kind in group.items()}
REASONS: Final = (
    *("Delivery", "Stocktake", "Damaged in storage", "Damaged in transit", "Past its date", "Lost or stolen", "Found"),
    *("Customer return", "Sold in the shop", "Sample or gift", "Kept for a customer", "Typing error"),
)
UNDOES: Final = "undo of "
UNDONE_BY_HAND: Final = frozenset({"adjustment", "restock", "count"})
"""Types of reference that this page writes, and undoes."""

_WHOLE: Final = re.compile(r"[0-9]{1,12}")


class Asked(NamedTuple):
    """A command for one of the API's routes."""

    route: Route
    body: dict[str, Any]


def read_form(form: Fields, ref: Ref, amount: str | None) -> Asked:
    """Read what a form asks for; `amount` is its unit cost as decimal text. Raises Problem: malformed."""
    kind = KINDS.get(form.get("kind", ""))
    if kind is None:
        raise Problem("malformed", "Choose what to do.")
    if not _WHOLE.fullmatch(text := form.get("quantity", "")):
        raise Problem("malformed", "Quantity is a whole number, in digits alone.")
    quantity = int(text)
    line: dict[str, Any] = {"product_id": str(ref.product), "location_id": form.get("location")}
    line["variant_id"] = None if ref.variant is None else str(ref.variant)
    words = {"reason": form.get("reason"), "note": form.get("note")}
    if kind.effect == "to":
        seen = form.get("version", "")
        line |= {"counted": quantity, "counted_at_version": int(seen) if _WHOLE.fullmatch(seen) else None}
        return Asked("counts", {**words, "lines": [line]})
    line["quantity"] = -quantity if kind == KINDS["less"] else quantity
    if kind.type is None:
        return Asked("restocks", {**words, "lines": [{**line, "unit_cost": amount}]})
    return Asked("adjustments", {**words, "type": kind.type.value, "lines": [line]})


def undoing(reference_id: str, item: Ref, rows: Sequence[Booked]) -> Asked | None:
    """The adjustment that takes back what a command of this page booked, row by row; None where that is nothing."""
    line = {"product_id": str(item.product), "variant_id": None if item.variant is None else str(item.variant)}
    held = {row.type in _HELD for row in rows}
    if len(held) != 1:
        return None
    kind = MovementType.ADJUSTMENT
    if held == {True}:
        kind = MovementType.UNRESERVED if rows[0].quantity < 0 else MovementType.RESERVED
    lines = [{**line, "location_id": str(row.location_id), "quantity": -row.quantity} for row in rows]
    return Asked("adjustments", {"type": kind.value, "reason": UNDOES + reference_id, "lines": lines})


_HELD: Final = frozenset({MovementType.RESERVED, MovementType.UNRESERVED})
