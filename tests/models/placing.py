"""Placing and amending orders (contract rules 5, 6 and 7). Law: lines are looked at last.

Under a whole cancellation everything is superseded; then an order that is placed already; then a reservation that is
past; then the lines, one after the other.
"""

from datetime import datetime, timedelta
from typing import Any

from tests.models.meaning import instant
from tests.models.orders import Order, new_line, take
from tests.models.site import Site
from tests.models.stock import located_first, short
from tests.models.trial import Line, Trial, item_of
from tests.models.words import Expected, Refused


def place(site: Site, value: dict[str, Any], now: datetime) -> Expected:
    """Place an order."""
    order = site.orders[value["order_id"]]
    mode = value.get("mode") or site.policy.settings.get("mode") or "sale"
    if order.whole:
        if not order.placed:
            order.mode = mode
        return supersede(site, order, value, mode)
    if order.placed:
        return Expected("rejected", "order_already_placed")
    expires_at = due_at(site, value, now) if mode == "reserve" else None
    expected = add_lines(site, order, value, now, mode, expires_at)
    if expected.outcome != "rejected":
        order.mode = mode
    return expected


def amend(site: Site, value: dict[str, Any], now: datetime) -> Expected:
    """Add lines to a placed order, and set when its reservations end."""
    order = site.orders[value["order_id"]]
    mode = value.get("mode") or order.mode
    if not order.placed:
        return Expected("parked")
    if order.whole:
        return supersede(site, order, value, mode)
    given = instant(value.get("expires_at")) if mode == "reserve" else None
    if not value["lines"]:
        return prolong(order, given, now)
    expires_at = order.expires_at
    if mode == "reserve":
        reserves = any(line["mode"] == "reserve" for line in order.lines.values())
        expires_at = given or (order.expires_at if reserves else due_at(site, value, now))
    return add_lines(site, order, value, now, mode, expires_at)


def prolong(order: Order, given: datetime | None, now: datetime) -> Expected:
    """Change nothing but when reservations end, if there are any to end."""
    if given is None or given == order.expires_at or not runs(order):
        return Expected("no_effect")
    order.expires_at = given
    return Expected("expired" if given <= now else "applied")


def runs(order: Order) -> bool:
    """Whether an order has reservations that may end."""
    return any(line["mode"] == "reserve" and not line["E"] for line in order.lines.values())


def due_at(site: Site, value: dict[str, Any], now: datetime) -> datetime | None:
    """When a reservation ends: as the sender says, else after the site's time to live, else never."""
    ttl = site.policy.settings.get("reservation_ttl")
    return instant(value.get("expires_at")) or (None if ttl is None else now + timedelta(seconds=ttl))


def supersede(site: Site, order: Order, value: dict[str, Any], mode: str) -> Expected:
    """Lines that come under W count as placed and as cancelled; only an amendment adds to a placed order."""
    if value.get("amend") or not order.placed:
        for position, line in enumerate(value["lines"]):
            name = line_id_of(position, line)
            order.lines.setdefault(name, new_line(name, line, mode=mode, tracked=site.tracked(item_of(line))))
    order.placed = True
    return Expected("superseded")


def add_lines(
    site: Site, order: Order, value: dict[str, Any], now: datetime, mode: str, expires_at: datetime | None
) -> Expected:
    """Try the lines of a placement or an amendment, and keep them if all can be met."""
    late = mode == "reserve" and expires_at is not None and expires_at <= now
    trial = Trial(site.book)
    for position, asked in located_first(value["lines"]):
        name = line_id_of(position, asked)
        line = new_line(name, asked, mode=mode, tracked=site.tracked(item_of(asked)), expired=late)
        with trial.line(position):
            if name in order.lines:
                raise Refused("order_already_placed", asked["quantity"], detail=name)
            trial.lines[name] = line
            if line["tracked"] and not late:
                trial.changed = True
                take_line(site, trial, line, asked)
    expected = site.conclude(trial, now)
    if expected.outcome != "rejected":
        order.placed, order.expires_at = True, expires_at
        order.lines.update(trial.lines)
        if late:
            expected = expected._replace(outcome="expired")
    return expected


def take_line(site: Site, trial: Trial, line: Line, asked: Line) -> None:
    """Sell or reserve a line: at the location that it names, else where routing finds it."""
    item, quantity, named = line["item"], asked["quantity"], asked.get("location_id")
    limit, book = site.policy.backorder_limit(item), trial.book
    if named is not None:
        places = [book.outflow_from(named)]
        could = book.room(item, named, limit)
    else:
        places = book.limited(asked.get("location_ids"))
        could = book.room_in(item, places, limit)
    if quantity > could:
        raise short(site, trial, item, quantity, could, named)
    take(trial, line, [(named, quantity)] if named is not None else list(book.route(item, quantity, places)))


def line_id_of(position: int, line: Line) -> str:
    """A placement's line without an id is named by its 1-based position."""
    return line.get("line_id") or str(position + 1)
