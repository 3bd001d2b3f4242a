"""What orders ask for. Law: all lines of a placement are taken or none, and some need not even be looked at.

Superseded by a lasting cancellation, placed already, expired on arrival: in this order, and the first and the last
count as placed. Source: contract rules 4 to 7 and the decided cases on orders.
"""

from datetime import datetime, timedelta
from typing import Final

from stock_worker.core.allocations import by_location, put
from stock_worker.core.booking import RESERVED, SALE, Draft, book, schedule
from stock_worker.core.lines import Refused, available_to, concluded, move, rejected
from stock_worker.core.model import Command, CommandKind, ItemKey, Line, Mode, Outcome, OutcomeKind
from stock_worker.core.orders import Totals
from stock_worker.core.places import route
from stock_worker.core.refusals import Code
from stock_worker.core.state import Item, Order, OrderLine, World

PARKED: Final = Outcome(OutcomeKind.PARKED)
NO_EFFECT: Final = Outcome(OutcomeKind.NO_EFFECT)


def place(world: World, command: Command) -> Outcome:
    """Place an order, all lines or none."""
    order = order_of(world, command)
    if order.cancelled_whole:
        return _supersede(world, command, order)
    if order.placed:
        return Outcome(
            OutcomeKind.REJECTED,
            Code.ORDER_ALREADY_PLACED,
            f"order {command.order_id} was already placed; to add lines to it send amend true with new line_ids",
        )
    return _add(world, command, order)


def amend(world: World, command: Command) -> Outcome:
    """Add lines to a placed order, or give its reservations another time; waits while there is none."""
    order = order_of(world, command)
    if not order.placed:
        return PARKED
    if order.cancelled_whole:
        return _supersede(world, command, order)
    draft = Draft(world, command, order)
    known = [
        Refused(
            line,
            Code.ORDER_ALREADY_PLACED,
            available_to(draft, _item(world, order, line), line),
            detail=f"line_id {line.line_id} exists",
        )
        for line in command.lines or ()
        if line.line_id in order.lines
    ]
    if known:
        return rejected(known)
    holds = any(line.mode is Mode.RESERVE and not line.expired for line in order.lines.values())
    given = command.expires_at if _mode(world, command, order) is Mode.RESERVE else None
    if not command.lines and (given is None or given == order.expires_at or not holds):
        return NO_EFFECT
    return _add(world, command, order)


def order_of(world: World, command: Command) -> Order:
    """The order that the command names."""
    assert command.order_key is not None  # decoding demands it of these commands
    return world.orders[command.order_key]


def _mode(world: World, command: Command, order: Order) -> Mode:
    """The command's own mode, else the order's when it is placed, else the site's."""
    if command.mode is not None:
        return command.mode
    return order.mode if order.placed else world.sites[command.site_id].settings.mode


def _expires_at(world: World, command: Command, order: Order, mode: Mode) -> datetime | None:
    """When the order's reservations expire once this command is accepted."""
    if mode is Mode.SALE:
        return order.expires_at
    if command.expires_at is not None:
        return command.expires_at
    if any(line.mode is Mode.RESERVE for line in order.lines.values()):
        return order.expires_at
    ttl = world.sites[command.site_id].settings.reservation_ttl
    return None if ttl is None else world.recorded_at + timedelta(seconds=ttl)


def _supersede(world: World, command: Command, order: Order) -> Outcome:
    """Count new lines as placed; the lasting cancellation cancels them at once, so nothing moves."""
    if not order.placed or command.kind is CommandKind.AMEND:
        mode = _mode(world, command, order)
        _name(world, order, mode, _expires_at(world, command, order, mode))
        _write_lines(world, command, order, mode, expired=False)
    return Outcome(OutcomeKind.SUPERSEDED)


def _add(world: World, command: Command, order: Order) -> Outcome:
    """Add the command's lines to the order: sell or reserve them, or only write them where their time is past."""
    mode = _mode(world, command, order)
    expires_at = _expires_at(world, command, order, mode)
    if mode is Mode.RESERVE and expires_at is not None and expires_at <= world.recorded_at:
        _name(world, order, mode, expires_at)
        _write_lines(world, command, order, mode, expired=True)
        return Outcome(OutcomeKind.EXPIRED)
    draft = Draft(world, command, order)
    refused: list[Refused] = []
    lines = enumerate(command.lines or (), len(order.lines) + 1)
    for position, line in sorted(lines, key=lambda numbered: numbered[1].location_id is None):
        new = _new_line(world, order, line, position, mode)
        draft.lines[new.line_id] = new
        refusal = _take(draft, world.items[new.item], line, new) if new.tracked else None
        draft.effective = draft.effective or new.tracked
        if refusal is not None:
            refused.append(refusal)
    if refused:
        return rejected(refused)
    draft.effective = draft.effective or not command.lines
    _name(world, order, mode, expires_at)
    return concluded(draft, refused)


def _name(world: World, order: Order, mode: Mode, expires_at: datetime | None) -> None:
    """Let the order know its mode and its time; a plain sale's row says so from the start."""
    mode = order.mode if order.placed else mode
    if (mode, expires_at) == (order.mode, order.expires_at):
        return
    order.mode, order.expires_at = mode, expires_at
    world.changes.orders[order.key] = order
    schedule(world, order)


def _write_lines(world: World, command: Command, order: Order, mode: Mode, *, expired: bool) -> None:
    """Write the lines of a command that takes nothing, those that the order does not have yet."""
    draft = Draft(world, command, order)
    for position, line in enumerate(command.lines or (), len(order.lines) + 1):
        new = _new_line(world, order, line, position, mode)
        if new.line_id not in order.lines:
            new.expired = expired
            draft.lines[new.line_id] = new
    book(draft)


def _new_line(world: World, order: Order, line: Line, position: int, mode: Mode) -> OrderLine:
    assert line.line_id is not None
    assert line.quantity is not None
    item = _item(world, order, line)
    return OrderLine(
        line.line_id,
        position,
        item.key,
        Totals(line.quantity),
        [],
        [],
        mode,
        tracked=item.policy.tracked,
        location_id=line.location_id,
    )


def _item(world: World, order: Order, line: Line) -> Item:
    """The item that a line of a placement names."""
    assert line.product_id is not None
    return world.items[ItemKey(order.key.site_id, line.product_id, line.variant_id)]


def _take(draft: Draft, item: Item, line: Line, order_line: OrderLine) -> Refused | None:
    """Sell or reserve a line's units where its routing leads; a location's units are one row."""
    parts = route(draft, item, line)
    if isinstance(parts, Refused):
        return parts
    reserves = order_line.mode is Mode.RESERVE
    for location_id, units in by_location(parts):
        refusal = move(draft, item, location_id, RESERVED if reserves else SALE, -units, line, order_line)
        if refusal is not None:
            return refusal
    for location_id, units in parts:
        put(order_line, location_id, **{"reserved" if reserves else "sold": units})
    return None
