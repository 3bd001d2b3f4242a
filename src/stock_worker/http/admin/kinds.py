"""What a person does to stock, as the API's commands. Law: each kind is one command, and one that undoes what it did.

Of several items it is one command too: an adjustment whose lines stand alone, or a count, which is of all or of none.

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
Route = Literal["adjustments", "adjustments/bulk", "counts", "restocks"]


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
    kind, words, line = _kind(form), _words(form), _line(form, ref)
    quantity = _whole(form.get("quantity", ""))
    if kind.effect == "to":
        line |= {"counted": quantity, "counted_at_version": _version(form.get("version", ""))}
        return Asked("counts", {**words, "lines": [line]})
    line["quantity"] = _signed(kind, quantity)
    if kind.type is None:
        return Asked("restocks", {**words, "lines": [{**line, "unit_cost": amount}]})
    return Asked("adjustments", {**words, "type": kind.type.value, "lines": [line]})


def read_form_of_several(form: Fields, refs: Sequence[Ref]) -> Asked:
    """Read what a form asks for of several items; each line is called by its item. Raises Problem: malformed.

    All get the same quantity; counted is each for itself, and one that has no figure is not counted.
    """
    kind, words = _kind(form), _words(form)
    if kind.effect == "to":
        seen = {ref: text for ref in refs if (text := form.get(counted_name(ref)))}
        if not seen:
            raise Problem("malformed", "Fill in what was counted, of one item at least.")
        lines = [
            {
                **_line(form, ref),
                "line_id": ref.id,
                "counted": _whole(text),
                "counted_at_version": _version(form.get(version_name(ref), "")),
            }
            for ref, text in seen.items()
        ]
        return Asked("counts", {**words, "lines": lines})
    quantity = _signed(kind, _whole(form.get("quantity", "")))
    lines = [{**_line(form, ref), "line_id": ref.id, "quantity": quantity} for ref in refs]
    return Asked("adjustments/bulk", {**words, "type": kind.type or MovementType.RESTOCK, "lines": lines})


def counted_name(ref: Ref) -> str:
    """Name the field for what was counted of an item."""
    return f"counted-{ref.id}"


def version_name(ref: Ref) -> str:
    """Name the field for the version at which an item was shown."""
    return f"version-{ref.id}"


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


def _kind(form: Fields) -> Kind:
    kind = KINDS.get(form.get("kind", ""))
    if kind is None:
        raise Problem("malformed", "Choose what to do.")
    return kind


def _words(form: Fields) -> dict[str, str | None]:
    return {"reason": form.get("reason"), "note": form.get("note")}


def _line(form: Fields, ref: Ref) -> dict[str, Any]:
    variant_id = None if ref.variant is None else str(ref.variant)
    return {"product_id": str(ref.product), "variant_id": variant_id, "location_id": form.get("location")}


def _whole(text: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise Problem("malformed", "Quantity is a whole number, in digits alone.")
    return int(text)


def _version(text: str) -> int | None:
    return int(text) if _WHOLE.fullmatch(text) else None


def _signed(kind: Kind, quantity: int) -> int:
    return -quantity if kind == KINDS["less"] else quantity


_HELD: Final = frozenset({MovementType.RESERVED, MovementType.UNRESERVED})
