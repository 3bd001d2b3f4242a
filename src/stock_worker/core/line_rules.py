"""What happens to the lines of a placed order. Law: each command changes one total; stock follows from the totals.

Every rule fills a `Draft` with the step from the line's old state to its new one, and books it only when no line was
refused; a command about an order that is not placed is parked. Source: contract rules 5 to 7, the decided cases on
orders and places.
"""

from collections.abc import Callable

from stock_worker.core.allocations import Part, by_location, come_back, fill, free, leave_again, put, unsell
from stock_worker.core.booking import RETURN, SALE, UNRESERVED, Draft
from stock_worker.core.lines import Refused, available_to, concluded, find_line, move, rejected
from stock_worker.core.model import Command, CommandKind, Line, Mode, MovementType, Outcome
from stock_worker.core.order_rules import PARKED, order_of
from stock_worker.core.orders import Totals, held, units_left
from stock_worker.core.places import inflow_place, usable
from stock_worker.core.refusals import Code
from stock_worker.core.state import OrderLine, World
from stock_worker.core.stock_rules import blind_return

LineRule = Callable[[Draft, OrderLine, Line], Refused | None]


def cancel(world: World, command: Command) -> Outcome:
    """Cancel named units, or the whole order and whatever is placed under its id later."""
    return _cancel_whole(world, command) if command.lines is None else _change(world, command, _cancel_line)


def fulfil(world: World, command: Command) -> Outcome:
    """Book what left the building; units that were cancelled or expired before have left all the same."""
    return _change(world, command, _fulfil_line)


def return_received(world: World, command: Command) -> Outcome:
    """Book what came back, to the order that it names or blind."""
    return blind_return(world, command) if command.order_id is None else _change(world, command, _return_line)


def is_due(world: World, command: Command) -> bool:
    """Whether an expiry still is one: the order has this time, it has come, and something is reserved."""
    order = order_of(world, command)
    at = order.expires_at
    if at is None or at != command.expires_at or at > world.recorded_at:
        return False
    return any(line.reserved for line in order.lines.values())


def expire(world: World, command: Command) -> Outcome:
    """Give back what is still reserved; what has expired stays so (E of rule 5)."""
    order = order_of(world, command)
    draft = Draft(world, command, order)
    refused = []
    for kept in order.lines.values():
        if kept.mode is Mode.RESERVE and not kept.expired:
            line = draft.line(kept.line_id)
            line.expired = True
            asked = Line(kept.line_id, None, None, None, kept.reserved)
            refusal = _step(draft, line, line.totals, asked, whole=order.cancelled_whole)
            if refusal is not None:
                refused.append(_named(draft, line, refusal))
    draft.effective = True
    return concluded(draft, refused)


def _cancel_whole(world: World, command: Command) -> Outcome:
    order = order_of(world, command)
    draft = Draft(world, command, order)
    refused: list[Refused] = []
    for kept in order.lines.values():
        if left := units_left(kept.totals, whole=order.cancelled_whole):
            line = draft.line(kept.line_id)
            refusal = _step(draft, line, line.totals, Line(kept.line_id, None, None, None, left), whole=True)
            draft.effective = draft.effective or line.tracked
            if refusal is not None:
                refused.append(_named(draft, line, refusal))
    if refused:
        return rejected(refused)
    if not order.cancelled_whole:
        order.cancelled_whole = True
        world.changes.orders[order.key] = order
    return concluded(draft, refused)


def _change(world: World, command: Command, rule: LineRule) -> Outcome:
    """Apply one rule to each line of a command about a placed order; park the command while it is not placed."""
    order = order_of(world, command)
    if not order.placed:
        return PARKED
    draft = Draft(world, command, order)
    refused: list[Refused] = []
    for line in sorted(command.lines or (), key=lambda line: line.location_id is None):
        found = find_line(order, line)
        if found is None:
            refused.append(Refused(line, Code.UNKNOWN_LINE))
        elif (refusal := rule(draft, draft.line(found.line_id), line)) is not None:
            refused.append(_named(draft, found, refusal))
    draft.lines = {line_id: line for line_id, line in draft.lines.items() if line.totals != order.lines[line_id].totals}
    draft.effective = any(line.tracked for line in draft.lines.values())
    return concluded(draft, refused)


def _named(draft: Draft, order_line: OrderLine, refusal: Refused) -> Refused:
    """Tell the item of the order's line, which its sender need not have named, and what is available of it.

    That is what the location has that the line names, unless its location is ignored.
    """
    _, product_id, variant_id = order_line.item
    line = refusal.line._replace(line_id=order_line.line_id, product_id=product_id, variant_id=variant_id)
    kind = draft.command.kind
    ignored = kind is CommandKind.CANCEL or (kind is CommandKind.FULFIL and order_line.mode is Mode.SALE)
    where = line._replace(location_id=None) if ignored else line
    return refusal._replace(line=line, available=available_to(draft, draft.world.items[order_line.item], where))


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
    return _step(draft, order_line, totals._replace(cancelled=totals.cancelled + quantity), line, whole=False)


def _fulfil_line(draft: Draft, order_line: OrderLine, line: Line) -> Refused | None:
    assert draft.order is not None
    assert line.quantity is not None
    totals = order_line.totals
    if totals.fulfilled + line.quantity > totals.placed:
        return Refused(line, Code.EXCEEDS_PLACED, could=totals.placed - totals.fulfilled)
    fulfilled = totals._replace(fulfilled=totals.fulfilled + line.quantity)
    named = line.location_id if order_line.mode is Mode.RESERVE else None
    if named is not None and not draft.is_active(named):
        named = None
    return _step(draft, order_line, fulfilled, line, whole=draft.order.cancelled_whole, named=named)


def _return_line(draft: Draft, order_line: OrderLine, line: Line) -> Refused | None:
    assert draft.order is not None
    assert line.quantity is not None
    totals = order_line.totals
    if totals.returned + line.quantity > totals.placed:
        return Refused(line, Code.EXCEEDS_RETURNABLE, could=totals.placed - totals.returned)
    returned = totals._replace(returned=totals.returned + line.quantity)
    refusal = _step(draft, order_line, returned, line, whole=draft.order.cancelled_whole)
    return refusal or (_take_back(draft, order_line, line) if order_line.tracked else None)


def _take_back(draft: Draft, order_line: OrderLine, line: Line) -> Refused | None:
    """Book goods that came back where they are now, else where they came from; damaged ones leave at once."""
    assert line.quantity is not None
    item = draft.world.items[order_line.item]
    from_where = come_back(order_line, line.quantity)
    assert sum(part.units for part in from_where) == line.quantity, "what came back had left"
    if line.location_id is not None:
        parts = [Part(inflow_place(draft, line), line.quantity)]
    else:
        parts = _home(draft, from_where)
    for location_id, units in parts:
        refusal = move(draft, item, location_id, RETURN, units, line, order_line)
        if refusal is not None:
            return refusal
        if line.damaged:
            draft.move(item, location_id, MovementType.DAMAGE, -units, line, order_line)
    return None


def _step(
    draft: Draft, order_line: OrderLine, totals: Totals, line: Line, *, whole: bool, named: str | None = None
) -> Refused | None:
    """Take the step from the line's state as stored to the one that these totals and flags give (rule 5).

    `line` is the command's; `named` is the active location that a fulfilment says.
    """
    order = draft.order
    assert order is not None
    kept = order.lines[order_line.line_id]
    before = held(order_line.totals, order_line.mode, whole=order.cancelled_whole, expired=kept.expired)
    after = held(totals, order_line.mode, whole=whole, expired=order_line.expired)
    order_line.totals = totals
    if not order_line.tracked:
        return None
    sold, released = after.sold - before.sold, before.reserved - after.reserved
    if sold < 0:
        return _give_back_sold(draft, order_line, -sold, line)
    from_reserved = min(sold, released)
    refusal = _sell_reserved(draft, order_line, from_reserved, line, named)
    refusal = refusal or _sell_unheld(draft, order_line, sold - from_reserved, line, named)
    return refusal or _give_back_reserved(draft, order_line, released - from_reserved, line)


def _sell_reserved(draft: Draft, order_line: OrderLine, units: int, line: Line, named: str | None) -> Refused | None:
    """Fill a reservation: free the units where they were held, and sell them where they left from."""
    item = draft.world.items[order_line.item]
    for location_id, part in fill(order_line, units, named):
        left_from = named or location_id
        refusal = move(draft, item, location_id, UNRESERVED, part, line, order_line)
        refusal = refusal or move(draft, item, left_from, SALE, -part, line, order_line)
        if refusal is not None:
            return refusal
        put(order_line, left_from, sold=part)
    return None


def _sell_unheld(draft: Draft, order_line: OrderLine, units: int, line: Line, named: str | None) -> Refused | None:
    """Book goods that left although nobody held them any more: a fact, so nothing is asked of available.

    They left from the place named, else from where they were given back, else from the line's own, else the default.
    """
    if not units:
        return None
    if named is not None:
        parts = [Part(named, units)]
        again = leave_again(order_line, units, named.__eq__)
    else:
        again = parts = leave_again(order_line, units, draft.is_active)
        if rest := units - sum(part.units for part in parts):
            own = usable(draft, order_line.location_id or draft.site.default_location_id)
            parts = by_location([*parts, Part(own, rest)])
    # Those that left from elsewhere are no longer given back either.
    leave_again(order_line, units - sum(part.units for part in again), lambda _: True)
    item = draft.world.items[order_line.item]
    for location_id, part in parts:
        refusal = move(draft, item, location_id, SALE, -part, line, order_line)
        if refusal is not None:
            return refusal
        put(order_line, location_id, sold=part)
    return None


def _give_back_sold(draft: Draft, order_line: OrderLine, units: int, line: Line) -> Refused | None:
    """Undo a sale where its units came from, last in first out; at the default where that is no longer in use."""
    item = draft.world.items[order_line.item]
    for location_id, part in _home(draft, unsell(order_line, units)):
        refusal = move(draft, item, location_id, SALE, part, line, order_line)
        if refusal is not None:
            return refusal
        put(order_line, location_id, given_back=part)
    return None


def _give_back_reserved(draft: Draft, order_line: OrderLine, units: int, line: Line) -> Refused | None:
    """Free reserved units where they are held, last in first out."""
    item = draft.world.items[order_line.item]
    for location_id, part in free(order_line, units):
        refusal = move(draft, item, location_id, UNRESERVED, part, line, order_line)
        if refusal is not None:
            return refusal
        put(order_line, location_id, given_back=part)
    return None


def _home(draft: Draft, parts: list[Part]) -> list[Part]:
    """Where units go back to: where they were, or the default for a location that is no longer in use."""
    return by_location(Part(usable(draft, location_id), units) for location_id, units in parts)
