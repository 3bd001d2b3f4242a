"""What commands asked for against what was moved. Law: totals only, no order of arrival is assumed (rule 5)."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any, Final

from tests.models.meaning import canonical_type
from tests.oracle.commands import Command, Reference
from tests.oracle.records import Judgement

Moves = Counter[tuple[Any, ...]]

TAKES: Final = ("sale", "damage", "expired")


@dataclass(slots=True)
class Line:
    """The totals of one order line, as the accepted commands add up."""

    item: tuple[str, str | None]
    placed: int
    cancelled: int = 0
    fulfilled: int = 0
    returned: int = 0

    def sold(self, *, whole: bool) -> int:
        """Rule 5, mode sale."""
        out = max(self.fulfilled, self.returned)
        return self.placed - min(self.placed if whole else self.cancelled, self.placed - out)


@dataclass(slots=True)
class Order:
    """An order with the commands that named it."""

    commands: list[Command] = field(default_factory=list)
    lines: dict[str, Line] = field(default_factory=dict)
    whole: bool = False
    placed: bool = False
    certain: bool = True


def judge_quantities(commands: dict[Reference, Command], judgement: Judgement) -> None:
    """Judge that the rows are what the accepted commands asked for, and that the refusals were in place."""
    orders: dict[tuple[str, str], Order] = defaultdict(Order)
    for command in commands.values():
        _judge_told_lines(command, judgement)
        _judge_asked(command, judgement)
        if command.value.get("order_id") is not None:
            orders[command.reference[0], command.value["order_id"]].commands.append(command)
    for (_, name), order in orders.items():
        _add_up(order)
        _judge_order(name, order, judgement)
        for command in order.commands:
            if command.outcome == "rejected":
                _judge_refusal(command, order, judgement)
            elif command.outcome is None and order.placed:
                judgement.lost.append(f"{command} is parked although order {name} was placed")


def _judge_told_lines(command: Command, judgement: Judgement) -> None:
    """The sender is told one line for each row."""
    if not command.applied:
        return
    names = ("line_id", "product_id", "variant_id", "location_id", "type", "quantity")
    told = Counter(tuple(line[name] for name in names) for line in command.applied[0]["lines"])
    rows = Counter(tuple(row[name] for name in names) for row in command.rows)
    if told != rows:
        judgement.wrong.append(
            f"{command}: told {sorted(told - rows, key=repr)}, moved {sorted(rows - told, key=repr)}"
        )


def _judge_asked(command: Command, judgement: Judgement) -> None:
    """The rows of a command are what it asked for, but for the sales that rule 5 adds and takes away."""
    if not command.accepted:
        return
    rows: Moves = Counter((_item(row), row["type"], row["quantity"]) for row in command.rows)
    if command.topic == "order-placed":
        _expect(
            command,
            Counter((_item(line), "sale", -line["quantity"]) for line in command.value["lines"]),
            rows,
            judgement,
        )
    elif command.topic == "restock":
        _expect(
            command,
            Counter((_item(line), "restock", line["quantity"]) for line in command.value["lines"]),
            rows,
            judgement,
        )
    elif command.topic == "stock-adjustment":
        _expect(command, _adjusted(command), rows, judgement)
    elif command.topic == "return-received":
        _expect_return(command, judgement)
    else:
        gives = command.topic == "order-cancelled"
        if any(row["type"] != "sale" or (row["quantity"] > 0) != gives for row in command.rows):
            judgement.wrong.append(f"{command} moved {sorted(rows, key=repr)}")
        if gives and command.value.get("lines"):
            asked = sum(line.get("quantity") or 0 for line in command.value["lines"])
            given = sum(row["quantity"] for row in command.rows)
            if given < asked or (given > asked and all(line.get("quantity") for line in command.value["lines"])):
                judgement.wrong.append(f"{command} cancelled {given} of {asked}")


def _expect(command: Command, asked: Moves, rows: Moves, judgement: Judgement) -> None:
    if asked != rows:
        judgement.wrong.append(
            f"{command}: asked and not moved {sorted(asked - rows, key=repr)}, "
            f"moved and not asked {sorted(rows - asked, key=repr)}"
        )


def _adjusted(command: Command) -> Moves:
    kind = canonical_type(command.value["type"])
    refused = Counter((_item(line), abs(line["requested"])) for event in command.rejected for line in event["lines"])
    moves: Moves = Counter()
    for line in command.value["lines"]:
        quantity = line["quantity"] if kind == "adjustment" else abs(line["quantity"]) * (-1 if kind in TAKES else 1)
        if refused[_item(line), abs(quantity)]:
            refused[_item(line), abs(quantity)] -= 1
        else:
            moves[_item(line), kind, int(quantity)] += 1
    return moves


def _expect_return(command: Command, judgement: Judgement) -> None:
    came = sum(row["quantity"] for row in command.rows if row["type"] == "return")
    broken = -sum(row["quantity"] for row in command.rows if row["type"] == "damage")
    lines = command.value["lines"]
    asked = (
        sum(line["quantity"] for line in lines),
        sum(line["quantity"] for line in lines if line.get("condition") == "damaged"),
    )
    if (came, broken) != asked:
        judgement.wrong.append(f"{command}: {asked} came back and were damaged, {came, broken} were booked")


# ---------------------------------------------------------------- orders


def _add_up(order: Order) -> None:
    placements = [
        each for each in order.commands if each.topic == "order-placed" and each.outcome in ("applied", "superseded")
    ]
    first = sorted(
        (each for each in placements if not each.value.get("amend")), key=lambda each: each.outcome != "applied"
    )
    order.placed = bool(first)
    # Of several superseded placements the first one decided counts, and it is not known which that was.
    order.certain = len(first) < 2 or first[0].outcome == "applied" or _same_lines(first)
    for command in (*first[:1], *(each for each in placements if each.value.get("amend"))):
        for position, line in enumerate(command.value["lines"], 1):
            order.lines.setdefault(line.get("line_id") or str(position), Line(_item(line), line["quantity"]))
    for command in order.commands:
        if command.topic == "order-cancelled" and command.value.get("lines") is None:
            order.whole = order.whole or command.outcome is not None
        elif command.topic != "order-placed" and command.outcome == "applied":
            _add_totals(order, command)


def _same_lines(placements: list[Command]) -> bool:
    return all(each.value["lines"] == placements[0].value["lines"] for each in placements)


def _add_totals(order: Order, command: Command) -> None:
    if command.topic == "return-received" and all(row["order_id"] is None for row in command.rows):
        return  # booked blind, its order never having come in time
    for asked in command.value["lines"]:
        name, line = _pick(order, asked)
        if line is None:
            order.certain = False
        elif command.topic == "order-fulfilled":
            line.fulfilled += asked["quantity"]
        elif command.topic == "return-received":
            line.returned += asked["quantity"]
        elif asked.get("quantity") is not None:
            line.cancelled += asked["quantity"]
        else:  # all that was left: how much that was, only the row says
            line.cancelled += sum(row["quantity"] for row in command.rows if row["line_id"] == name)


def _pick(order: Order, asked: dict[str, Any]) -> tuple[str, Line | None]:
    if asked.get("line_id") is not None:
        return asked["line_id"], order.lines.get(asked["line_id"])
    found = [(name, line) for name, line in order.lines.items() if line.item == _item(asked)]
    return found[0] if len(found) == 1 else ("", None)


def _judge_order(name: str, order: Order, judgement: Judgement) -> None:
    """What the rows say of each line is what rule 5 says of its totals."""
    sold: Counter[str] = Counter()
    came: Counter[str] = Counter()
    for command in order.commands:
        for row in command.rows:
            if row["order_id"] is not None:
                sold[row["line_id"]] -= row["quantity"] if row["type"] == "sale" else 0
                came[row["line_id"]] += row["quantity"] if row["type"] == "return" else 0
    if not order.certain:
        return
    for line_id in {*order.lines, *sold, *came}:
        line = order.lines.get(line_id)
        if line is None:
            judgement.wrong.append(f"order {name} moved stock for line {line_id}, which it has not")
        elif (sold[line_id], came[line_id]) != (line.sold(whole=order.whole), line.returned):
            judgement.wrong.append(
                f"order {name} line {line_id}: {sold[line_id]} sold and {came[line_id]} returned, "
                f"by rule 5 {line.sold(whole=order.whole)} and {line.returned}"
            )


def _judge_refusal(command: Command, order: Order, judgement: Judgement) -> None:
    """A refusal must be possible, given how the order ended: totals only grow, so what was too much stays too much."""
    code, lines = command.rejected[0]["code"], command.value.get("lines") or []
    asked: Counter[str] = Counter()
    for line in lines:
        asked[_pick(order, line)[0]] += line.get("quantity") or 0
    possible = True
    known = [(quantity, order.lines[name]) for name, quantity in asked.items() if name in order.lines]
    if not order.certain:
        return
    if code == "order_already_placed":
        names = {line.get("line_id") for line in lines}
        amends = command.value.get("amend")
        possible = order.placed and (not amends or bool(names & set(order.lines)))
    elif code == "unknown_line":
        added = any(each.value.get("amend") for each in order.commands)
        possible = added or any(_pick(order, line)[1] is None for line in lines)
    elif code == "exceeds_placed":
        possible = any(quantity + line.fulfilled > line.placed for quantity, line in known)
    elif code == "exceeds_returnable":
        possible = any(quantity + line.returned > line.placed for quantity, line in known)
    elif code == "exceeds_cancellable":
        left = [line.placed - max(line.fulfilled, line.returned) - line.cancelled for _, line in known]
        possible = any(quantity > most for (quantity, _), most in zip(known, left, strict=True))
    if not possible:
        judgement.wrong.append(f"{command} was refused as {code}, which cannot have been")


def _item(line: dict[str, Any]) -> tuple[str, str | None]:
    product, variant = line.get("product_id"), line.get("variant_id")
    return (product or "").lower(), variant.lower() if variant else None
