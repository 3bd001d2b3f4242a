"""Cancelling, fulfilling, returning and expiring (contract rules 5 and 6). Law: a command changes totals, nothing else.

What moves is the step from the old state of a line to the new. A command is decided whole or not at all; one that
names lines of an order that was never placed waits for it.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tests.models.orders import Order, come_back, left, parts_of, step
from tests.models.site import Site
from tests.models.stock import located_first
from tests.models.trial import Line, Trial, item_of
from tests.models.words import Expected, Reference, Refused

Rule = Callable[[Trial, Line, Line], None]


def cancel(site: Site, value: dict[str, Any], now: datetime) -> Expected:
    """Cancel named lines, or the whole order; the latter holds even if the order is not known yet."""
    order = site.orders[value["order_id"]]
    if value.get("lines") is not None:
        return change(site, order, value["lines"], now, cancel_line(whole=order.whole), located=False)

    def all_of_it(trial: Trial, line: Line) -> None:
        if left(line, whole=order.whole):
            step(trial, line, parts_of(line, whole=order.whole), parts_of(line, whole=True))

    expected = each_line(site, order, now, all_of_it)
    order.whole = order.whole or expected.outcome != "rejected"
    return expected


def cancel_line(*, whole: bool) -> Rule:
    """Cancel units by name: those sold or reserved, or of what has expired; under W nothing is left."""

    def rule(trial: Trial, line: Line, asked: Line) -> None:
        if whole:
            return
        most = left(line, whole=False)
        quantity = most if asked.get("quantity") is None else asked["quantity"]
        if quantity > most:
            raise Refused("exceeds_cancellable", quantity, quantity - most)
        if quantity:
            add(trial, line, "C", quantity, whole=whole)

    return rule


def fulfil(site: Site, value: dict[str, Any], now: datetime) -> Expected:
    """Book what left the building; only a reservation cares from where."""
    order = site.orders[value["order_id"]]

    def rule(trial: Trial, line: Line, asked: Line) -> None:
        quantity, most = asked["quantity"], line["P"] - line["F"]
        if quantity > most:
            raise Refused("exceeds_placed", quantity, quantity - most)
        named = asked.get("location_id") if line["mode"] == "reserve" else None
        add(trial, line, "F", quantity, whole=order.whole, named=named)

    return change(site, order, value["lines"], now, rule)


def give_back(site: Site, value: dict[str, Any], now: datetime) -> Expected:
    """Book what came back of an order; what came back must have left, so it may sell first."""
    order = site.orders[value["order_id"]]

    def rule(trial: Trial, line: Line, asked: Line) -> None:
        quantity, most = asked["quantity"], line["P"] - line["R"]
        if quantity > most:
            raise Refused("exceeds_returnable", quantity, quantity - most)
        add(trial, line, "R", quantity, whole=order.whole)
        if line["tracked"]:
            come_back(trial, line, asked)

    return change(site, order, value["lines"], now, rule)


def expire(site: Site, order_id: str, now: datetime) -> Expected:
    """Give back what is still reserved when its time is over; what is not due leaves no reference."""
    reference = expiry_of(site, order_id, now)
    if reference is None:
        return Expected("not_due")

    def rule(trial: Trial, line: Line) -> None:
        if line["mode"] == "reserve" and not line["E"]:
            before = parts_of(line, whole=False)
            line["E"] = True
            step(trial, line, before, parts_of(line, whole=False))

    expected = each_line(site, site.orders[order_id], now, rule)
    site.known[reference] = "expiry"
    return expected


def expiry_of(site: Site, order_id: str, now: datetime) -> Reference | None:
    """The reference of the expiry of an order that is due; None for one that is not."""
    order = site.orders.get(order_id, Order())
    holds = any(line["held"] for line in order.lines.values())
    if order.expires_at is None or order.expires_at > now or not holds:
        return None
    reference = "expiry", f"{order_id}@{in_utc(order.expires_at)}"
    # An amendment may have brought an old time back; then the moment tells the two expiries apart.
    return ("expiry", f"{order_id}@{in_utc(now)}") if reference in site.known else reference


def in_utc(moment: datetime) -> str:
    """A time as references spell it."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


# ---------------------------------------------------------------- what they share


def change(site: Site, order: Order, lines: list[Line], now: datetime, rule: Rule, *, located: bool = True) -> Expected:
    """Change totals of the lines that are named, whole or not at all."""
    if not order.placed:
        return Expected("parked")
    trial = Trial(site.book, order.lines)
    for position, asked in located_first(lines) if located else list(enumerate(lines)):
        with trial.line(position):
            rule(trial, find_line(trial.lines, asked), asked)
    return take_over(site, order, trial, now)


def each_line(site: Site, order: Order, now: datetime, rule: Callable[[Trial, Line], None]) -> Expected:
    """Change every line of an order, whole or not at all."""
    trial = Trial(site.book, order.lines)
    for position, name in enumerate(order.lines):
        with trial.line(position):
            rule(trial, trial.lines[name])
    return take_over(site, order, trial, now)


def take_over(site: Site, order: Order, trial: Trial, now: datetime) -> Expected:
    """Keep what a trial made of the order's lines, unless it is refused."""
    expected = site.conclude(trial, now)
    if expected.outcome != "rejected":
        order.lines = trial.lines
    return expected


def add(trial: Trial, line: Line, total: str, quantity: int, *, whole: bool, named: str | None = None) -> None:
    """Change one total of a line, and book the step."""
    before = parts_of(line, whole=whole)
    line[total] += quantity
    step(trial, line, before, parts_of(line, whole=whole), named)


def find_line(lines: dict[str, Line], asked: Line) -> Line:
    """Pick an order's line by line_id, else by product and variant; none, several or a disagreement is refused."""
    name, product = asked.get("line_id"), asked.get("product_id")
    found = [
        line
        for line_id, line in lines.items()
        if (name is None or name == line_id) and (product is None or line["item"] == item_of(asked))
    ]
    if len(found) != 1:
        raise Refused("unknown_line", asked.get("quantity"))
    return found[0]
