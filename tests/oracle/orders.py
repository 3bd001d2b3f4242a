"""What orders come to. Law: totals only, no order of arrival is assumed (rule 5)."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from tests.models.meaning import instant
from tests.models.words import Item
from tests.oracle.asked import item_of
from tests.oracle.commands import EXPIRY, Command, Reference
from tests.oracle.records import Judgement
from tests.oracle.steering import Steering

PLACED: Final = ("applied", "superseded", "expired", "no_effect")
"""The outcomes of a placement or an amendment that counts."""
GRACE: Final = timedelta(seconds=30)
"""What was due longer than this before the last row must have expired."""


@dataclass(slots=True)
class Line:
    """The totals of one order line, as the accepted commands add up; `by` is the command that placed it.

    `vague`: its totals may be more than can be told, since nothing moves of what has expired or is untracked.
    """

    item: Item
    placed: int
    by: Command
    reserves: bool = False
    expired: bool = False
    cancelled: int = 0
    fulfilled: int = 0
    returned: int = 0
    vague: bool = False

    def parts(self, *, whole: bool) -> tuple[int, int]:
        """Rule 5: what is sold, and what is reserved."""
        out = max(self.fulfilled, self.returned)
        cancelled = min(self.placed if whole else self.cancelled, self.placed - out)
        if not self.reserves:
            return self.placed - cancelled, 0
        return out, 0 if self.expired else self.placed - out - cancelled


@dataclass(slots=True)
class Order:
    """An order with the commands that named it."""

    commands: list[Command] = field(default_factory=list)
    lines: dict[str, Line] = field(default_factory=dict)
    whole: bool = False
    placed: bool = False
    certain: bool = True

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows that were booked for it."""
        return (row for command in self.commands for row in command.rows if row["order_id"] is not None)


def judge_orders(commands: dict[Reference, Command], steering: Steering, judgement: Judgement) -> None:
    """Judge that the rows of each order are what rule 5 makes of the accepted commands, and that refusals could be."""
    orders: dict[tuple[str, str], Order] = defaultdict(Order)
    for command in commands.values():
        if command.order_id is not None:
            orders[command.reference[0], command.order_id].commands.append(command)
    times = (datetime.fromisoformat(row["recorded_at"]) for each in commands.values() for row in each.rows)
    last = max(times, default=None)
    for (site, name), order in orders.items():
        _add_up(order)
        untracked = {item for owner, item in steering.untracked if owner == site}
        loose = {item for owner, item in steering.loose if owner == site}
        _judge_order(name, order, untracked, loose, judgement)
        _judge_places(order, judgement)
        _judge_expiries(name, order, last, judgement)
        for command in order.commands:
            if command.outcome == "rejected":
                _judge_refusal(command, order, judgement)
            elif command.outcome is None and order.placed:
                judgement.lost.append(f"{command} is parked although order {name} was placed")


def _add_up(order: Order) -> None:
    placements = [each for each in order.commands if each.topic == "order-placed" and each.outcome in PLACED]
    first = sorted(
        (each for each in placements if not each.value.get("amend")), key=lambda each: each.outcome == "superseded"
    )
    order.placed = bool(first)
    # Of several superseded placements the first one decided counts, and it is not known which that was.
    order.certain = len(first) < 2 or first[0].outcome != "superseded" or _same_lines(first)
    mode = first[0].value.get("mode") if first else None
    for command in (*first[:1], *(each for each in placements if each.value.get("amend"))):
        reserves = (command.value.get("mode") or mode) == "reserve"
        for position, asked in enumerate(command.value["lines"], 1):
            line = Line(item_of(asked), asked["quantity"], command, reserves, command.outcome == "expired")
            order.lines.setdefault(asked.get("line_id") or str(position), line)
    for command in order.commands:
        if command.topic == "order-cancelled" and command.value.get("lines") is None:
            order.whole = order.whole or command.outcome is not None
        elif command.topic == EXPIRY:
            for line in (order.lines[row["line_id"]] for row in command.rows if row["line_id"] in order.lines):
                line.expired = True
        elif command.topic != "order-placed":
            _add_change(order, command)


def _add_change(order: Order, command: Command) -> None:
    """What was cancelled, fulfilled or returned by name; where nothing was tracked, totals may have changed unseen."""
    if command.outcome == "applied":
        _add_totals(order, command)
    elif command.outcome == "no_effect":
        for _, line in (_pick(order, asked) for asked in command.value["lines"]):
            if line is not None:
                line.vague = True


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
        else:  # all that was left: how much that was, only the rows say, and of what had expired none does
            given = [row["quantity"] for row in command.rows if row["line_id"] == name]
            line.cancelled += sum(given)
            line.vague = line.vague or not given
            line.expired = line.expired or (line.reserves and not given)


def _pick(order: Order, asked: dict[str, Any]) -> tuple[str, Line | None]:
    if asked.get("line_id") is not None:
        return asked["line_id"], order.lines.get(asked["line_id"])
    found = [(name, line) for name, line in order.lines.items() if line.item == item_of(asked)]
    return found[0] if len(found) == 1 else ("", None)


def _judge_order(name: str, order: Order, untracked: set[Item], loose: set[Item], judgement: Judgement) -> None:
    """What the rows say of each line is what rule 5 says of its totals; untracked lines have none."""
    sold: Counter[str] = Counter()
    held: Counter[str] = Counter()
    came: Counter[str] = Counter()
    for row in order.rows():
        sold[row["line_id"]] -= row["quantity"] if row["type"] == "sale" else 0
        held[row["line_id"]] -= row["quantity"] if row["type"] in ("reserved", "unreserved") else 0
        came[row["line_id"]] += row["quantity"] if row["type"] == "return" else 0
    if not order.certain:
        return
    for line_id in {*order.lines, *sold}:
        line = order.lines.get(line_id)
        if line is None:
            judgement.wrong.append(f"order {name} moved stock for line {line_id}, which it has not")
            continue
        moved = sold[line_id], held[line_id], came[line_id]
        wanted = (0, 0, 0) if line.item in untracked else (*line.parts(whole=order.whole), line.returned)
        if moved != wanted and not (line.item in loose and not any(moved)):
            judgement.wrong.append(
                f"order {name} line {line_id}: {moved} sold, reserved and returned, by rule 5 {wanted}"
            )


def _judge_places(order: Order, judgement: Judgement) -> None:
    """A placement took what it names from where it names it, in rows of its mode."""
    for line_id, line in order.lines.items():
        asked = next(each for each in line.by.value["lines"] if item_of(each) == line.item)
        named = [each.get("location_id") for each in line.by.value["lines"] if each.get("line_id", line_id) == line_id]
        allowed = asked.get("location_ids")
        for row in line.by.rows:
            if row["line_id"] != line_id:
                continue
            if row["type"] != ("reserved" if line.reserves else "sale"):
                judgement.wrong.append(f"{line.by} took line {line_id} as {row['type']}")
            if len(line.by.value["lines"]) == 1 and named[0] is not None and row["location_id"] != named[0]:
                judgement.wrong.append(f"{line.by} took line {line_id} from another place than {named[0]}")
            if len(line.by.value["lines"]) == 1 and allowed and row["location_id"] not in allowed:
                judgement.wrong.append(f"{line.by} took line {line_id} from none of {allowed}")


def _judge_expiries(name: str, order: Order, last: datetime | None, judgement: Judgement) -> None:
    """None early, and none left out."""
    accepted = (each for each in order.commands if each.topic == "order-placed" and each.outcome in PLACED)
    ends = [end for each in accepted if (end := instant(each.value.get("expires_at"))) is not None]
    for command in order.commands:
        if command.topic != EXPIRY:
            continue
        due = datetime.fromisoformat(command.reference[2].rpartition("@")[2])
        if due not in ends:
            judgement.wrong.append(f"{command}: order {name} never was to end then")
        if not any(line.reserves for line in order.lines.values()):
            judgement.wrong.append(f"{command}: order {name} reserved nothing")
        early = [row for row in command.rows if datetime.fromisoformat(row["recorded_at"]) < due]
        if early:
            judgement.wrong.append(f"{command} came early, at {early[0]['recorded_at']}")
    holds = -sum(row["quantity"] for row in order.rows() if row["type"] in ("reserved", "unreserved"))
    if holds and ends and last is not None and max(ends) < last - GRACE:
        judgement.lost.append(f"order {name} still holds something long after its time")


def _judge_refusal(command: Command, order: Order, judgement: Judgement) -> None:
    """A refusal must be possible, given how the order ended: totals only grow, so what was too much stays too much."""
    code, lines = command.rejected[0]["code"], command.value.get("lines") or []
    asked: Counter[str] = Counter()
    for line in lines:
        asked[_pick(order, line)[0]] += line.get("quantity") or 0
    known = [(quantity, order.lines[name]) for name, quantity in asked.items() if name in order.lines]
    possible = any(line.vague for _, line in known)
    if not order.certain or possible:
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
    else:
        possible = True
    if not possible:
        judgement.wrong.append(f"{command} was refused as {code}, which cannot have been")
