"""The rules of stock without an order. Law: facts are booked, promises are checked, nothing is clamped.

Source: contract rules 3 and 4; section 3 for the kinds of adjustment.
"""

from collections.abc import Callable
from typing import Final

from stock_worker.core.booking import Draft
from stock_worker.core.lines import Refused, applied, move, place_of, rejected, short, take
from stock_worker.core.model import Command, ItemKey, Line, MovementType, Outcome, OutcomeKind
from stock_worker.core.refusals import Code
from stock_worker.core.state import Item, OrderLine, World

LineRule = Callable[[Draft, Item, Line], Refused | None]


def restock(world: World, command: Command) -> Outcome:
    """Book what arrived; the cost given stays on the row."""
    return _each_line(world, command, _restock_line)


def blind_return(world: World, command: Command) -> Outcome:
    """Book what came back without an order; damaged goods come in and go out again."""
    return _each_line(world, command, return_line)


def adjust(world: World, command: Command) -> Outcome:
    """Book a manual change of one kind, all lines or, where the command says so, each on its own."""
    assert command.adjustment is not None
    return _each_line(world, command, ADJUSTMENTS[command.adjustment])


def return_line(draft: Draft, item: Item, line: Line, order_line: OrderLine | None = None) -> Refused | None:
    """Add the `return` row of a line, and the `damage` row of damaged goods."""
    assert line.quantity is not None
    refusal = move(draft, item, line, MovementType.RETURN, line.quantity, order_line)
    if refusal is None and line.damaged:
        draft.move(item, place_of(draft, line), MovementType.DAMAGE, -line.quantity, line, order_line)
    return refusal


def _each_line(world: World, command: Command, rule: LineRule) -> Outcome:
    draft = Draft(world, command)
    refused: list[Refused] = []
    for line in sorted(command.lines or (), key=lambda line: line.location_id is None):
        assert line.product_id is not None
        item = world.items[ItemKey(command.site_id, line.product_id, line.variant_id)]
        refusal = _stale(item, line) or rule(draft, item, line)
        if refusal is not None:
            refused.append(refusal)
    if not refused:
        return applied(draft)
    if command.atomic or not draft.steps:
        return rejected(refused)
    told, booked = rejected(refused), applied(draft)
    return Outcome(OutcomeKind.PARTLY_APPLIED, told.code, told.message, told.rejected, booked.movements)


def _stale(item: Item, line: Line) -> Refused | None:
    """Compare with the version before the command: its own earlier lines do not make a line stale."""
    if line.expected_version is None or line.expected_version == item.version:
        return None
    return Refused(line, Code.VERSION_CONFLICT, item.available, detail=f"version is {item.version}")


def _restock_line(draft: Draft, item: Item, line: Line) -> Refused | None:
    assert line.quantity is not None
    return move(draft, item, line, MovementType.RESTOCK, line.quantity)


def _adjust_line(draft: Draft, item: Item, line: Line) -> Refused | None:
    assert line.quantity is not None
    if line.quantity < 0:
        return _remove(draft, item, line, MovementType.ADJUSTMENT, -line.quantity)
    return move(draft, item, line, MovementType.ADJUSTMENT, line.quantity)


def _damage_line(draft: Draft, item: Item, line: Line) -> Refused | None:
    assert line.quantity is not None
    return _remove(draft, item, line, MovementType.DAMAGE, line.quantity)


def _expired_line(draft: Draft, item: Item, line: Line) -> Refused | None:
    assert line.quantity is not None
    return _remove(draft, item, line, MovementType.EXPIRED, line.quantity)


def _remove(draft: Draft, item: Item, line: Line, kind: MovementType, units: int) -> Refused | None:
    """Goods that are gone are gone, sold or not; but no place can lose more than it has on hand."""
    on_hand = draft.on_hand_at(item, place_of(draft, line))
    if units > on_hand:
        return short(draft, item, line, on_hand)
    return move(draft, item, line, kind, -units)


ADJUSTMENTS: Final[dict[MovementType, LineRule]] = {
    MovementType.ADJUSTMENT: _adjust_line,
    MovementType.DAMAGE: _damage_line,
    MovementType.EXPIRED: _expired_line,
    MovementType.SALE: take,
    MovementType.RESTOCK: _restock_line,
    MovementType.RETURN: return_line,
}
