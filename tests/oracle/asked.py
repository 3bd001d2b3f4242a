"""What commands asked for against what was moved, each on its own. Law: no row that nobody asked for, and none less.

What orders come to is for `orders` to say, since a line's state is a function of totals.
"""

from collections import Counter
from typing import Any, Final

from tests.models.meaning import canonical_type
from tests.models.words import Item
from tests.oracle.commands import EXPIRY, Command, Reference
from tests.oracle.records import Judgement
from tests.oracle.steering import Steering, default_of

Row = dict[str, Any]
Ledger = dict[str, list[Row]]
Moves = Counter[tuple[Any, ...]]

TAKES: Final = ("sale", "damage", "expired", "reserved")
TOLD: Final = ("line_id", "product_id", "variant_id", "location_id", "type", "quantity")


def judge_asked(commands: dict[Reference, Command], ledger: Ledger, steering: Steering, judgement: Judgement) -> None:
    """Judge each command's rows, what its sender was told of them, and whether it could be refused."""
    for command in commands.values():
        _judge_told_lines(command, judgement)
        if command.rows:
            _judge_rows(command, ledger, steering, judgement)
        elif command.accepted and command.topic in ("restock", "stock-transfer"):
            judgement.lost.append(f"{command} is {command.outcome} and moved nothing")
        for event in command.rejected:
            if not _may_be(command, event["code"]):
                judgement.wrong.append(f"{command} was refused as {event['code']}, which cannot have been")


def item_of(line: dict[str, Any]) -> Item:
    """What a line counts, ids as events spell them."""
    product, variant = line.get("product_id"), line.get("variant_id")
    return (product or "").lower(), variant.lower() if variant else None


def _judge_told_lines(command: Command, judgement: Judgement) -> None:
    """The sender is told one line for each row."""
    if not command.applied:
        return
    told = Counter(tuple(line[name] for name in TOLD) for line in command.applied[0]["lines"])
    rows = Counter(tuple(row[name] for name in TOLD) for row in command.rows)
    if told != rows:
        judgement.wrong.append(
            f"{command}: told {sorted(told - rows, key=repr)}, moved {sorted(rows - told, key=repr)}"
        )


def _judge_rows(command: Command, ledger: Ledger, steering: Steering, judgement: Judgement) -> None:
    site = command.reference[0]
    loose = {item for owner, item in steering.loose if owner == site}
    untracked = {item for owner, item in steering.untracked if owner == site} | loose
    if command.topic in ("restock", "stock-adjustment", "stock-transfer"):
        _judge_moves(command, untracked, loose, judgement)
    elif command.topic == "return-received":
        _judge_return(command, untracked, judgement)
    elif command.topic == "stock-count":
        for row in command.rows:
            _judge_count(command, row, ledger, judgement)
    elif command.topic == "order-fulfilled":
        _judge_fulfilment(command, ledger, judgement)
    elif command.topic in ("order-cancelled", EXPIRY) and any(row["quantity"] < 0 for row in command.rows):
        judgement.wrong.append(f"{command} took stock")


def _judge_moves(command: Command, untracked: set[Item], loose: set[Item], judgement: Judgement) -> None:
    """Units by item, type and place, without the items of which it is not known whether they were tracked."""
    asked: Moves = Counter()
    for line in _accepted_lines(command):
        if item_of(line) not in untracked:
            asked.update(_moves(command, line))
    rows: Moves = Counter()
    for row in command.rows:
        if item_of(row) not in loose:
            rows[item_of(row), row["type"], _place(row)] += row["quantity"]
    if asked != rows:
        judgement.wrong.append(
            f"{command}: asked {sorted(asked.items(), key=repr)}, moved {sorted(rows.items(), key=repr)}"
        )


def _accepted_lines(command: Command) -> list[dict[str, Any]]:
    """The lines without those that were told as refused (`atomic` false)."""
    refused = Counter((item_of(line), abs(line["requested"])) for event in command.rejected for line in event["lines"])
    lines = []
    for line in command.value["lines"]:
        if refused[item_of(line), abs(line["quantity"])]:
            refused[item_of(line), abs(line["quantity"])] -= 1
        else:
            lines.append(line)
    return lines


def _moves(command: Command, line: dict[str, Any]) -> Moves:
    """What a line asks for: units by item, type and place; the place of a release is not for its sender to say."""
    value, item, quantity = command.value, item_of(line), int(line["quantity"])
    if command.topic == "stock-transfer":
        source, target = value["from_location_id"].lower(), value["to_location_id"].lower()
        return Counter({(item, "transfer", source): -quantity, (item, "transfer", target): quantity})
    kind = "restock" if command.topic == "restock" else canonical_type(value["type"])
    if kind != "adjustment":
        quantity = abs(quantity) * (-1 if kind in TAKES else 1)
    place = (line.get("location_id") or default_of(command.reference[0])).lower()
    return Counter({(item, kind, None if kind == "unreserved" else place): quantity})


def _place(row: Row) -> str | None:
    return None if row["type"] == "unreserved" else str(row["location_id"])


def _judge_return(command: Command, untracked: set[Item], judgement: Judgement) -> None:
    """What came back of each line, and was damaged, was booked; of an untracked one nothing."""
    lines = command.value["lines"]
    asked: Moves = Counter()
    for line in lines:
        asked[_named(line), "return"] += line["quantity"]
        asked[_named(line), "damage"] -= line["quantity"] if line.get("condition") == "damaged" else 0
    for (named, kind), quantity in asked.items():
        booked = [row for row in command.rows if named in (row["line_id"], item_of(row))]
        moved = sum(row["quantity"] for row in booked if row["type"] == kind)
        if moved != quantity and not (untracked and not booked):
            judgement.wrong.append(f"{command}: {quantity} of {named} to be booked as {kind}, {moved} were")
    places = {line.get("location_id") for line in lines}
    if None not in places and {row["location_id"] for row in command.rows if row["type"] == "return"} - places:
        judgement.wrong.append(f"{command} was booked elsewhere than at {sorted(places)}")


def _named(line: dict[str, Any]) -> str | Item:
    """How a line of a return is found among the rows: those of an order carry its line_id, others what they count."""
    return str(line["line_id"]) if line.get("line_id") is not None else item_of(line)


def _judge_count(command: Command, row: Row, ledger: Ledger, judgement: Judgement) -> None:
    """The correction is what was counted, less what was there when it was counted and what counts corrected since."""
    key = f"{row['site_id']}/{row['product_id']}/{row['variant_id'] or ''}"
    line = next(line for line in command.value["lines"] if item_of(line) == item_of(row))
    there = [
        each for each in ledger[key] if each["location_id"] == row["location_id"] and each["version"] < row["version"]
    ]
    seen = line.get("counted_at_version")
    then = [each for each in there if seen is None or each["version"] <= seen]
    on_hand = then[-1]["location_on_hand"] if then else 0
    since = sum(each["quantity"] for each in there[len(then) :] if each["reference_type"] == "count")
    if row["quantity"] != line["counted"] - on_hand - since:
        judgement.wrong.append(
            f"{command}: {line['counted']} counted at {seen}, {on_hand} there, {since} corrected: {row['quantity']}"
        )


def _judge_fulfilment(command: Command, ledger: Ledger, judgement: Judgement) -> None:
    """What was reserved is freed and sold in the next row."""
    for row in command.rows:
        if row["type"] == "unreserved":
            key = f"{row['site_id']}/{row['product_id']}/{row['variant_id'] or ''}"
            following = next((each for each in ledger[key] if each["version"] == row["version"] + 1), None)
            filled = following is not None and (
                (following["type"], following["quantity"]) == ("sale", -row["quantity"])
                and (following["reference_id"], following["line_id"]) == (row["reference_id"], row["line_id"])
            )
            if not filled:
                judgement.wrong.append(f"{command} freed {row['quantity']} of line {row['line_id']}, and sold others")


def _may_be(command: Command, code: str) -> bool:
    """Whether a refusal can be, as far as the command alone tells."""
    value, lines = command.value, command.value.get("lines") or []
    about = {
        "location_required": lambda line: line.get("location_id") is None,
        "unknown_version": lambda line: line.get("counted_at_version") is not None,
        "version_conflict": lambda line: line.get("expected_version") is not None,
    }
    if code in about:
        return any(map(about[code], lines))
    if code == "same_location":
        return bool(value["from_location_id"] == value["to_location_id"])
    if code == "exceeds_reserved":
        return canonical_type(value["type"]) == "unreserved"
    if code in ("unknown_location", "inactive_location") and command.topic != "stock-transfer":
        return any(line.get("location_id") or line.get("location_ids") for line in lines)
    return True
