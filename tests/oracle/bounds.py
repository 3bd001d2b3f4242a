"""What no row may do to its item. Law: promises keep within bounds, nothing is released that is not held, costs add up.

Everything here is told from one item's rows, in the order of their versions.
"""

from collections import Counter
from decimal import Decimal
from typing import Any, Final

from tests.models.costs import Cost, Value, inflow, outflow
from tests.oracle.records import Judgement

Row = dict[str, Any]

HOLDING: Final = ("reserved", "unreserved")
TYPES: Final = {
    "order": {"sale", "reserved"},
    "cancellation": {"sale", "unreserved"},
    "fulfilment": {"sale", "unreserved"},
    "return": {"return", "damage", "sale", "unreserved"},
    "restock": {"restock"},
    "count": {"adjustment"},
    "transfer": {"transfer"},
    "expiry": {"unreserved"},
    "adjustment": {"adjustment", "damage", "expired", "sale", "restock", "return", *HOLDING},
}
"""The types of rows that a command may write, by its reference."""


def judge_bounds(key: str, rows: list[Row], limit: int, judgement: Judgement) -> None:
    """Judge each row of an item that may be promised down to -limit."""
    held: Counter[tuple[str, str | None, str | None]] = Counter()
    value = moved_out = Value()
    on_hand = 0
    for row in rows:
        where = f"{key} version {row['version']}"
        if row["type"] not in TYPES[row["reference_type"]]:
            judgement.wrong.append(f"{where}: a {row['reference_type']} wrote a {row['type']}")
        judgement.wrong += [f"{where}: {sentence}" for sentence in _broken(row, limit)]
        if row["type"] in HOLDING:
            holder = (row["location_id"], row["order_id"], row["line_id"] if row["order_id"] else None)
            held[holder] -= row["quantity"]
            if held[holder] < 0:
                judgement.wrong.append(f"{where} releases more than {holder} holds")
        told = Value(_money(row["average_cost"]), row["costed_quantity"])
        moved_out = value if row["type"] == "transfer" and row["quantity"] < 0 else moved_out
        possible = [moved_out] if row["type"] == "transfer" and row["quantity"] > 0 else _values(row, value, on_hand)
        if told not in possible:
            judgement.wrong.append(f"{where}: the value is {told}, by rule 12 {possible[0]}")
        value, on_hand = told, row["on_hand"]


def _broken(row: Row, limit: int) -> list[str]:
    """The bounds of rule 4 that a row breaks."""
    available_there = row["location_on_hand"] - row["location_reserved"]
    promised = row["reference_type"] == "order" or (
        row["reference_type"] == "adjustment" and row["type"] in ("sale", "reserved")
    )
    takes = row["quantity"] < 0
    broken = []
    if promised and takes and row["new_stock"] < -limit:
        broken.append(f"{row['new_stock']} available after a promise, with a limit of {limit}")
    if promised and takes and available_there < -max(limit, 0):
        broken.append(f"{available_there} available there after a promise, with a limit of {limit}")
    if row["type"] == "transfer" and takes and available_there < 0:
        broken.append(f"{available_there} available where a transfer left")
    if row["reference_type"] == "adjustment" and not promised and takes and row["location_on_hand"] < 0:
        broken.append(f"{row['location_on_hand']} on hand after what cannot have been there")
    return broken


def _values(row: Row, value: Value, on_hand: int) -> list[Value]:
    """What rule 12 can make of the value before a row; a row does not say of a cost that was not used what it was."""
    cost, quantity = _money(row["unit_cost"]), row["quantity"]
    if row["type"] in HOLDING:
        return [value]
    if quantity < 0:
        return [outflow(value, on_hand, -quantity)]
    if cost is not None:
        return [inflow(value, on_hand, quantity, Cost(cost if row["type"] == "restock" else None))[0]]
    foreign = inflow(value, on_hand, quantity, Cost(Decimal(0), comparable=False))[0]
    none = inflow(value, on_hand, quantity, Cost(None))[0]
    return [foreign, none] if on_hand < 0 or value.average is None else [foreign]


def _money(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
