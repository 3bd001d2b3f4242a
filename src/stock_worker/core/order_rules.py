"""The rules of orders in mode sale. Law: each command changes one total of a line; stock follows from the totals.

Every rule reads the world, fills a `Draft`, and books it only when no line was refused; else the world is as before.
Source: contract rules 4 and 5 and the decided cases on orders.
"""

from collections.abc import Callable
from typing import Final

from stock_worker.core.booking import Draft, book
from stock_worker.core.lines import Refused, applied, default_place, find_line, rejected, take
from stock_worker.core.model import Command, CommandKind, ItemKey, Line, MovementType, Outcome, OutcomeKind
from stock_worker.core.orders import Totals, units_left, units_sold
from stock_worker.core.refusals import Code
from stock_worker.core.state import Item, Order, OrderLine, World
from stock_worker.core.stock_rules import blind_return, return_line

LineRule = Callable[[Draft, OrderLine, Line], Refused | None]

_PARKED: Final = Outcome(OutcomeKind.PARKED)
_NO_EFFECT: Final = Outcome(OutcomeKind.NO_EFFECT)


def place(world: World, command: Command) -> Outcome:
    """Place an order, all lines or none."""
    order = _order(world, command)
    if order.cancelled_whole:
        return _supersede(world, command, order)
    if order.placed:
        return Outcome(
            OutcomeKind.REJECTED,
            Code.ORDER_ALREADY_PLACED,
            f"order {command.order_id} was already placed; to add lines to it send amend true with new line_ids",
        )
    return _sell(world, command, order)


def amend(world: World, command: Command) -> Outcome:
    """Add lines to a placed order; waits while there is none."""
    order = _order(world, command)
    if not order.placed:
        return _PARKED
    if order.cancelled_whole:
        return _supersede(world, command, order)
    known = [
        Refused(
            line,
            Code.ORDER_ALREADY_PLACED,
            _item(world, order, line).available,
            detail=f"line_id {line.line_id} exists",
        )
        for line in command.lines or ()
        if line.line_id in order.lines
    ]
    if known:
        return rejected(known)
    return _sell(world, command, order) if command.lines else _NO_EFFECT


def cancel(world: World, command: Command) -> Outcome:
    """Cancel named units, or the whole order and whatever is placed under its id later."""
    if command.lines is None:
        return _cancel_whole(world, command, _order(world, command))
    return _change(world, command, _cancel_line)


def fulfil(world: World, command: Command) -> Outcome:
    """Book what left the building; units that were cancelled before have left all the same."""
    return _change(world, command, _fulfil_line)


def return_received(world: World, command: Command) -> Outcome:
    """Book what came back, to the order that it names or blind."""
    if command.order_id is None:
        return blind_return(world, command)
    return _change(world, command, _return_line)


def _order(world: World, command: Command) -> Order:
    assert command.order_key is not None  # decoding demands it of these commands
    return world.orders[command.order_key]


def _supersede(world: World, command: Command, order: Order) -> Outcome:
    """Count new lines as placed; the lasting cancellation cancels them at once, so nothing moves."""
    if not order.placed or command.kind is CommandKind.AMEND:
        draft = Draft(world, command, order)
        for position, line in enumerate(command.lines or (), len(order.lines) + 1):
            new = _new_line(world, order, line, position)
            if new.line_id not in order.lines:
                draft.lines[new.line_id] = new
        book(draft)
    return Outcome(OutcomeKind.SUPERSEDED)


def _sell(world: World, command: Command, order: Order) -> Outcome:
    draft = Draft(world, command, order)
    refused: list[Refused] = []
    lines = enumerate(command.lines or (), len(order.lines) + 1)
    for position, line in sorted(lines, key=lambda numbered: numbered[1].location_id is None):
        new = _new_line(world, order, line, position)
        draft.lines[new.line_id] = new
        refusal = take(draft, world.items[new.item], line, new)
        if refusal is not None:
            refused.append(refusal)
    return rejected(refused) if refused else applied(draft)


def _new_line(world: World, order: Order, line: Line, position: int) -> OrderLine:
    assert line.line_id is not None
    assert line.quantity is not None
    return OrderLine(line.line_id, position, _item(world, order, line).key, Totals(line.quantity), [], [])


def _item(world: World, order: Order, line: Line) -> Item:
    """The item that a line of a placement names."""
    assert line.product_id is not None
    return world.items[ItemKey(order.key.site_id, line.product_id, line.variant_id)]


def _cancel_whole(world: World, command: Command, order: Order) -> Outcome:
    draft = Draft(world, command, order)
    refused: list[Refused] = []
    left = 0
    for line_id, line in order.lines.items():
        cancelled_now = units_left(line.totals, whole=order.cancelled_whole)
        if cancelled_now and draft.overflows(world.items[line.item], default_place(draft), cancelled_now):
            asked = Line(line_id, None, None, None, cancelled_now)
            refused.append(_named(draft, line, Refused(asked, Code.COUNTER_OVERFLOW)))
        elif cancelled_now:
            _give_back(draft, draft.line(line_id), cancelled_now, None)
        left += cancelled_now
    if refused:
        return rejected(refused)
    if not order.cancelled_whole:
        order.cancelled_whole = True
        world.changes.orders[order.key] = order
    return applied(draft) if left else _NO_EFFECT


def _change(world: World, command: Command, rule: LineRule) -> Outcome:
    """Apply one rule to each line of a command about a placed order; park the command while it is not placed."""
    order = _order(world, command)
    if not order.placed:
        return _PARKED
    draft = Draft(world, command, order)
    refused: list[Refused] = []
    for line in command.lines or ():
        found = find_line(order, line)
        if found is None:
            refused.append(Refused(line, Code.UNKNOWN_LINE))
        elif (refusal := rule(draft, draft.line(found.line_id), line)) is not None:
            refused.append(_named(draft, found, refusal))
    if refused:
        return rejected(refused)
    if all(draft.lines[line_id].totals == order.lines[line_id].totals for line_id in draft.lines):
        return _NO_EFFECT
    return applied(draft)


def _named(draft: Draft, order_line: OrderLine, refusal: Refused) -> Refused:
    """Tell the item of the order's line, which its sender need not have named, and what it has."""
    _, product_id, variant_id = order_line.item
    line = refusal.line._replace(line_id=order_line.line_id, product_id=product_id, variant_id=variant_id)
    return refusal._replace(line=line, available=draft.available(draft.world.items[order_line.item]))


def _cancel_line(draft: Draft, order_line: OrderLine, line: Line) -> Refused | None:
    order = draft.order
    assert order is not None
    if order.cancelled_whole:
        return None
    totals = order_line.totals
    left = units_left(totals, whole=False)
    quantity = left if line.quantity is None else line.quantity
    if quantity > left:
        return Refused(line, Code.EXCEEDS_CANCELLABLE, could=left)
    return _set_totals(draft, order_line, line, totals._replace(cancelled=totals.cancelled + quantity))


def _fulfil_line(draft: Draft, order_line: OrderLine, line: Line) -> Refused | None:
    assert line.quantity is not None
    totals = order_line.totals
    if totals.fulfilled + line.quantity > totals.placed:
        return Refused(line, Code.EXCEEDS_PLACED, could=totals.placed - totals.fulfilled)
    return _set_totals(draft, order_line, line, totals._replace(fulfilled=totals.fulfilled + line.quantity))


def _return_line(draft: Draft, order_line: OrderLine, line: Line) -> Refused | None:
    assert line.quantity is not None
    totals = order_line.totals
    if totals.returned + line.quantity > totals.placed:
        return Refused(line, Code.EXCEEDS_RETURNABLE, could=totals.placed - totals.returned)
    refusal = _set_totals(draft, order_line, line, totals._replace(returned=totals.returned + line.quantity))
    if refusal is not None:
        return refusal
    return return_line(draft, draft.world.items[order_line.item], line, order_line)


def _set_totals(draft: Draft, order_line: OrderLine, line: Line, totals: Totals) -> Refused | None:
    """Take the step from the line's old state to the new one (rule 5's formula before and after)."""
    assert draft.order is not None
    whole = draft.order.cancelled_whole
    more = units_sold(totals, whole=whole) - units_sold(order_line.totals, whole=whole)
    order_line.totals = totals
    item = draft.world.items[order_line.item]
    default = default_place(draft)
    if draft.overflows(item, default, -more):
        return Refused(line, Code.COUNTER_OVERFLOW, available=draft.available(item))
    if more > 0:
        # Units that were given back before and left all the same: a fact, so nothing is asked of available.
        draft.move(item, default, MovementType.SALE, -more, line, order_line)
    elif more < 0:
        _give_back(draft, order_line, -more, line)
    return None


def _give_back(draft: Draft, order_line: OrderLine, units: int, line: Line | None) -> None:
    """Undo a sale where its units came from, last in first out."""
    item = draft.world.items[order_line.item]
    for allocation in reversed(order_line.allocations):
        given = min(units, allocation.sold)
        if given:
            draft.move(item, allocation.location_id, MovementType.SALE, given, line, order_line)
            units -= given
    assert units == 0, "a line gives back no more than it holds"
