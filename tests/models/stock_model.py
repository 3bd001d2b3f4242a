"""A second opinion on contract sections 4 and 5, in plain dict arithmetic. Law: it shares no line with the product.

One site with its default location, every command of this release. A command is a topic and its JSON value; ids are any
text, since nothing here validates: what is malformed is for the decoder to say.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from tests.models.meaning import SIGNED, Reference, canonical_type, meaning_of, reference_of
from tests.models.trial import Alert, Failed, Item, Moved, Trial, item_of, take_back

PRECEDENCE: Final = (
    "order_already_placed",
    "unknown_line",
    "version_conflict",
    "exceeds_placed",
    "exceeds_cancellable",
    "exceeds_returnable",
    "insufficient_stock",
    "counter_overflow",
    "order_never_placed",
)
GIVES: Final = ("restock", "return", "unreserved")
"""The adjustment types that add to stock; of the others only `adjustment` has a sign of its own."""


class Expected(NamedTuple):
    """What must become of one command; `followed` are the parked commands that it set free, in order."""

    outcome: str
    code: str | None = None
    moved: tuple[Moved, ...] = ()
    alerts: tuple[Alert, ...] = ()
    failed: tuple[Failed, ...] = ()
    followed: tuple[tuple[Reference, "Expected"], ...] = ()


class Order:
    """An order as its totals; a line is {name, item, P, C, F, R} (rule 5)."""

    def __init__(self) -> None:
        self.placed = False
        self.whole = False
        self.lines: dict[str, dict[str, Any]] = {}
        self.parked: list[tuple[str, dict[str, Any]]] = []


def cancelled(line: dict[str, Any], *, whole: bool) -> int:
    """Rule 5: `min(P if W else C, P - out)`."""
    out = max(line["F"], line["R"])
    return min(line["P"] if whole else line["C"], line["P"] - out)


def left(line: dict[str, Any], *, whole: bool) -> int:
    """What can still be cancelled: `P - out - cancelled`."""
    return int(line["P"] - max(line["F"], line["R"]) - cancelled(line, whole=whole))


def level_of(available: int) -> str:
    """Rule 10 with the built-in thresholds 10, 3 and 0."""
    for threshold, level in ((0, "out"), (3, "critical"), (10, "low")):
        if available <= threshold:
            return level
    return "ok"


class StockModel:
    """The stock of one site. `on_hand` is also what is available: this release reserves nothing."""

    def __init__(self) -> None:
        self.on_hand: dict[Item, int] = {}
        self.version: dict[Item, int] = {}
        self.level: dict[Item, str] = {}
        self.orders: dict[str, Order] = {}
        self.known: dict[Reference, str] = {}
        self.waiting: dict[Reference, str] = {}

    def apply(self, topic: str, value: dict[str, Any]) -> Expected:
        """Decide one command, and the parked ones that it sets free."""
        reference, meaning = reference_of(topic, value), meaning_of(topic, value)
        first = self.known.get(reference) or self.waiting.get(reference)
        if first is not None:
            same = first == meaning
            return Expected("duplicate") if same else Expected("conflict", "reference_conflict")
        order = self.order(value)
        was_placed = order is not None and order.placed
        expected = self._decide(topic, value)
        if expected.outcome == "parked":
            assert order is not None
            order.parked.append((topic, value))
            self.waiting[reference] = meaning
            return expected
        self.known[reference] = meaning
        if order is not None and order.placed and not was_placed:
            return expected._replace(followed=tuple(self._free(order)))
        return expected

    def end_parked(self, reference: Reference) -> Expected:
        """What the sweeper does with a command that was parked for too long."""
        for order in self.orders.values():
            for parked in order.parked:
                if reference_of(*parked) == reference:
                    order.parked.remove(parked)
                    self.known[reference] = self.waiting.pop(reference)
                    return self._end(*parked)
        raise KeyError(reference)

    def order(self, value: dict[str, Any]) -> Order | None:
        """Find the order that a command names; a stub where it is new."""
        order_id = value.get("order_id")
        return None if order_id is None else self.orders.setdefault(order_id, Order())

    def _end(self, topic: str, value: dict[str, Any]) -> Expected:
        if topic == "return-received" and all(line.get("product_id") for line in value["lines"]):
            return self._blind_return(value)
        return Expected("rejected", "order_never_placed")

    def _free(self, order: Order) -> Iterator[tuple[Reference, Expected]]:
        parked, order.parked = order.parked, []
        for topic, value in parked:
            reference = reference_of(topic, value)
            self.known[reference] = self.waiting.pop(reference)
            yield reference, self._decide(topic, value)

    def _decide(self, topic: str, value: dict[str, Any]) -> Expected:
        if topic == "order-placed":
            return self._amend(value) if value.get("amend") else self._place(value)
        if topic == "return-received" and value.get("order_id") is None:
            return self._blind_return(value)
        rules: dict[str, Callable[[dict[str, Any]], Expected]] = {
            "order-cancelled": self._cancel,
            "order-fulfilled": self._fulfil,
            "return-received": self._return,
            "restock": self._restock,
            "stock-adjustment": self._adjust,
        }
        return rules[topic](value)

    # ------------------------------------------------------------ orders

    def _place(self, value: dict[str, Any]) -> Expected:
        order = self.orders[value["order_id"]]
        if order.whole:
            return self._supersede(order, value)
        if order.placed:
            return Expected("rejected", "order_already_placed")
        return self._add_lines(order, value)

    def _amend(self, value: dict[str, Any]) -> Expected:
        order = self.orders[value["order_id"]]
        if not order.placed:
            return Expected("parked")
        if order.whole:
            return self._supersede(order, value)
        return self._add_lines(order, value)

    def _supersede(self, order: Order, value: dict[str, Any]) -> Expected:
        """Lines that come under W count as placed and as cancelled; only an amendment adds to a placed order."""
        if value.get("amend") or not order.placed:
            for position, line in enumerate(value["lines"]):
                name = line_id_of(position, line)
                order.lines.setdefault(name, new_line(name, line))
        order.placed = True
        return Expected("superseded")

    def _add_lines(self, order: Order, value: dict[str, Any]) -> Expected:
        trial = Trial(self.on_hand)
        new: dict[str, dict[str, Any]] = {}
        for position, line in located_first(value["lines"]):
            name = line_id_of(position, line)
            if name in order.lines:
                trial.fail(position, "order_already_placed")
                continue
            new[name] = new_line(name, line)
            trial.take(position, item_of(line), "sale", line["quantity"], name)
            trial.changed = True
        expected = self._conclude(trial)
        if expected.outcome != "rejected":
            order.placed = True
            order.lines.update(new)
        return expected

    def _cancel(self, value: dict[str, Any]) -> Expected:
        order = self.orders[value["order_id"]]
        if value.get("lines") is not None:
            return self._change(order, value, self._cancel_line)
        trial = Trial(self.on_hand)
        for name, line in order.lines.items():
            back = left(line, whole=order.whole)
            trial.move(0, line["item"], "sale", back, name)
            trial.changed = trial.changed or back > 0
        order.whole = True
        return self._conclude(trial)

    def _fulfil(self, value: dict[str, Any]) -> Expected:
        return self._change(self.orders[value["order_id"]], value, self._fulfil_line)

    def _return(self, value: dict[str, Any]) -> Expected:
        return self._change(self.orders[value["order_id"]], value, self._return_line)

    def _change(
        self,
        order: Order,
        value: dict[str, Any],
        rule: Callable[[Order, Trial, int, dict[str, Any], dict[str, Any]], None],
    ) -> Expected:
        """Change totals of an order's lines, whole or not at all."""
        if not order.placed:
            return Expected("parked")
        trial, before = Trial(self.on_hand), order.lines
        order.lines = {name: dict(line) for name, line in before.items()}
        for position, asked in located_first(value["lines"]):
            line = find_line(order, asked)
            if line is None:
                trial.fail(position, "unknown_line")
            else:
                rule(order, trial, position, line, asked)
        expected = self._conclude(trial)
        if expected.outcome == "rejected":
            order.lines = before
        return expected

    def _cancel_line(
        self, order: Order, trial: Trial, position: int, line: dict[str, Any], asked: dict[str, Any]
    ) -> None:
        if order.whole:
            return
        most = left(line, whole=False)
        quantity = most if asked.get("quantity") is None else asked["quantity"]
        if quantity > most:
            trial.fail(position, "exceeds_cancellable", quantity, quantity - most)
        elif quantity:
            self._step(order, trial, position, line, ("C", quantity))

    def _fulfil_line(
        self, order: Order, trial: Trial, position: int, line: dict[str, Any], asked: dict[str, Any]
    ) -> None:
        quantity, most = asked["quantity"], line["P"] - line["F"]
        if quantity > most:
            trial.fail(position, "exceeds_placed", quantity, quantity - most)
        else:
            self._step(order, trial, position, line, ("F", quantity))

    def _return_line(
        self, order: Order, trial: Trial, position: int, line: dict[str, Any], asked: dict[str, Any]
    ) -> None:
        quantity, most = asked["quantity"], line["P"] - line["R"]
        if quantity > most:
            trial.fail(position, "exceeds_returnable", quantity, quantity - most)
        else:
            self._step(order, trial, position, line, ("R", quantity))
            take_back(trial, position, line["item"], asked, line["name"])

    def _step(self, order: Order, trial: Trial, position: int, line: dict[str, Any], change: tuple[str, int]) -> None:
        """Change one total; what moves is the step from the old state of the line to the new."""
        sold = line["P"] - cancelled(line, whole=order.whole)
        line[change[0]] += change[1]
        trial.move(
            position, line["item"], "sale", sold - (line["P"] - cancelled(line, whole=order.whole)), line["name"]
        )
        trial.changed = True

    # ------------------------------------------------------------ stock

    def _blind_return(self, value: dict[str, Any]) -> Expected:
        trial = Trial(self.on_hand)
        for position, line in located_first(value["lines"]):
            take_back(trial, position, item_of(line), line, line.get("line_id"))
        return self._conclude(trial)

    def _restock(self, value: dict[str, Any]) -> Expected:
        trial = Trial(self.on_hand)
        for position, line in located_first(value["lines"]):
            trial.move(position, item_of(line), "restock", line["quantity"], line.get("line_id"))
        return self._conclude(trial)

    def _adjust(self, value: dict[str, Any]) -> Expected:
        trial, kind = Trial(self.on_hand), canonical_type(value["type"])
        for position, line in located_first(value["lines"]):
            item, wanted = item_of(line), line.get("expected_version")
            quantity = line["quantity"] if kind == SIGNED else abs(line["quantity"])
            if wanted is not None and wanted != self.version.get(item, 0):
                trial.fail(position, "version_conflict")
            elif kind in GIVES or (kind == SIGNED and quantity > 0):
                trial.move(position, item, kind, quantity, line.get("line_id"))
            else:
                trial.take(position, item, kind, abs(quantity), line.get("line_id"))
        return self._conclude(trial, atomic=value.get("atomic") is not False)

    # ------------------------------------------------------------ the end of every command

    def _conclude(self, trial: Trial, *, atomic: bool = True) -> Expected:
        """Take a trial over, or refuse it whole; a refusal has the first code in precedence."""
        failed = tuple(sorted(trial.failed))
        code = min((fail.code for fail in failed), key=PRECEDENCE.index, default=None)
        if failed and (atomic or not trial.moved):
            return Expected("rejected", code, failed=failed)
        self.on_hand.update(trial.on_hand)
        for moved in trial.moved:
            self.version[moved.item] = self.version.get(moved.item, 0) + 1
        alerts = tuple(self._levels(list(dict.fromkeys(moved.item for moved in trial.moved))))
        outcome = "partly_applied" if failed else "applied" if trial.moved or trial.changed else "no_effect"
        return Expected(outcome, code, tuple(trial.moved), alerts, failed)

    def _levels(self, items: list[Item]) -> Iterator[Alert]:
        for item in items:
            previous, level = self.level.get(item, "ok"), level_of(self.on_hand[item])
            self.level[item] = level
            if level != previous:
                yield Alert(item, previous, level)


def located_first(lines: list[dict[str, Any]]) -> list[tuple[int, dict[str, Any]]]:
    """The order in which lines are decided (rule 7): those that name a location first."""
    return sorted(enumerate(lines), key=lambda numbered: numbered[1].get("location_id") is None)


def find_line(order: Order, asked: dict[str, Any]) -> dict[str, Any] | None:
    """Pick an order's line by line_id, else by product and variant; none, several or a disagreement is None."""
    name, product = asked.get("line_id"), asked.get("product_id")
    found = [
        line
        for line_id, line in order.lines.items()
        if (name is None or name == line_id) and (product is None or line["item"] == item_of(asked))
    ]
    return found[0] if len(found) == 1 else None


def line_id_of(position: int, line: dict[str, Any]) -> str:
    """A placement's line without an id is named by its 1-based position."""
    return line.get("line_id") or str(position + 1)


def new_line(name: str, line: dict[str, Any]) -> dict[str, Any]:
    """An order line just placed."""
    return {"name": name, "item": item_of(line), "P": line["quantity"], "C": 0, "F": 0, "R": 0}
