"""The rules of stock without an order. Law: facts are booked, promises are checked, nothing is clamped.

A line on an untracked item is accepted and moves nothing. Source: contract rules 3, 4, 8 and 11; section 3 for the
kinds of adjustment.
"""

from collections.abc import Callable
from typing import Final

from stock_worker.core.allocations import Part
from stock_worker.core.booking import Draft
from stock_worker.core.lines import Refused, available_to, concluded, move, rejected, short
from stock_worker.core.model import Command, CommandKind, ItemKey, Line, MovementType, Outcome, OutcomeKind
from stock_worker.core.places import holding, inflow_place, promise_at, refusal_of
from stock_worker.core.refusals import Code
from stock_worker.core.state import Item, World

LineRule = Callable[[Draft, Item, Line], Refused | None]


def restock(world: World, command: Command) -> Outcome:
    """Book what arrived, at its cost."""
    return each_line(world, command, _restock_line)


def blind_return(world: World, command: Command) -> Outcome:
    """Book what came back without an order; damaged goods come in and go out again."""
    return each_line(world, command, _return_line)


def adjust(world: World, command: Command) -> Outcome:
    """Book a manual change of one kind, all lines or, where the command says so, each on its own."""
    assert command.adjustment is not None
    return each_line(world, command, ADJUSTMENTS[command.adjustment])


def transfer(world: World, command: Command) -> Outcome:
    """Move goods from one place to another, out of the first before into the second."""
    return each_line(world, command, _transfer_line)


def each_line(world: World, command: Command, rule: LineRule) -> Outcome:
    """Decide the lines one after the other, those that name a location first, and book them."""
    draft = Draft(world, command)
    refused: list[Refused] = []
    located = command.kind is not CommandKind.TRANSFER
    for line in sorted(command.lines or (), key=lambda line: located and line.location_id is None):
        assert line.product_id is not None
        item = world.items[ItemKey(command.site_id, line.product_id, line.variant_id)]
        if not item.policy.tracked:
            continue
        refusal = _before_the_rule(draft, item, line) or rule(draft, item, line)
        if refusal is not None:
            refused.append(refusal)
    draft.effective = bool(draft.steps)
    if not refused or command.atomic or len(refused) == len(command.lines or ()):
        return concluded(draft, refused)
    told, booked = rejected(refused), concluded(draft, [])
    return Outcome(OutcomeKind.PARTLY_APPLIED, told.code, told.message, told.rejected, booked.movements)


def _before_the_rule(draft: Draft, item: Item, line: Line) -> Refused | None:
    """Compare with the version before the command: its own earlier lines do not make a line stale.

    A place that cannot be used is told first (section 5); an inflow would open it.
    """
    if line.expected_version is None or line.expected_version == item.version:
        return None
    kind, quantity = draft.command.adjustment, line.quantity or 0
    brings = kind in (MovementType.RESTOCK, MovementType.RETURN) or (kind is MovementType.ADJUSTMENT and quantity > 0)
    if not brings and (refusal := refusal_of(draft, item, line, line.location_id)):
        return refusal
    return Refused(line, Code.VERSION_CONFLICT, available_to(draft, item, line), detail=f"version is {item.version}")


def _inflow(kind: MovementType) -> LineRule:
    def rule(draft: Draft, item: Item, line: Line) -> Refused | None:
        assert line.quantity is not None
        return move(draft, item, inflow_place(draft, line), kind, line.quantity, line)

    return rule


_restock_line: Final = _inflow(MovementType.RESTOCK)


def _return_line(draft: Draft, item: Item, line: Line) -> Refused | None:
    assert line.quantity is not None
    location_id = inflow_place(draft, line)
    refusal = move(draft, item, location_id, MovementType.RETURN, line.quantity, line)
    if refusal is None and line.damaged:
        draft.move(item, location_id, MovementType.DAMAGE, -line.quantity, line)
    return refusal


def _adjust_line(draft: Draft, item: Item, line: Line) -> Refused | None:
    assert line.quantity is not None
    if line.quantity < 0:
        return _remove(draft, item, line, MovementType.ADJUSTMENT, -line.quantity)
    return move(draft, item, inflow_place(draft, line), MovementType.ADJUSTMENT, line.quantity, line)


def _outflow(kind: MovementType) -> LineRule:
    def rule(draft: Draft, item: Item, line: Line) -> Refused | None:
        assert line.quantity is not None
        return _remove(draft, item, line, kind, line.quantity)

    return rule


def _remove(draft: Draft, item: Item, line: Line, kind: MovementType, units: int) -> Refused | None:
    """Goods that are gone are gone, sold or not; but no place can lose more than it has on hand."""
    location_id = line.location_id or draft.site.default_location_id
    refusal = refusal_of(draft, item, line, location_id)
    if refusal is not None:
        return refusal
    on_hand = draft.on_hand_at(item, location_id)
    if units > on_hand:
        return short(draft, item, line, on_hand)
    return move(draft, item, location_id, kind, -units, line)


def _promise(kind: MovementType) -> LineRule:
    """Take or hold by hand: only orders are routed, so without a location it is the default's."""

    def rule(draft: Draft, item: Item, line: Line) -> Refused | None:
        return _move_parts(
            draft, item, line, kind, promise_at(draft, item, line, line.location_id or draft.site.default_location_id)
        )

    return rule


def _release_line(draft: Draft, item: Item, line: Line) -> Refused | None:
    return _move_parts(draft, item, line, MovementType.UNRESERVED, holding(draft, item, line))


def _move_parts(
    draft: Draft, item: Item, line: Line, kind: MovementType, parts: list[Part] | Refused
) -> Refused | None:
    if isinstance(parts, Refused):
        return parts
    sign = 1 if kind is MovementType.UNRESERVED else -1
    for location_id, units in parts:
        refusal = move(draft, item, location_id, kind, sign * units, line)
        if refusal is not None:
            return refusal
    return None


def _transfer_line(draft: Draft, item: Item, line: Line) -> Refused | None:
    assert line.quantity is not None
    source, target = draft.command.from_location_id, draft.command.to_location_id
    assert source is not None
    assert target is not None
    told = line._replace(location_id=source)
    refusals = [
        refused._replace(detail=place)
        for place in (source, target)
        if (refused := refusal_of(draft, item, told, place)) is not None
    ]
    if refusals:
        return min(refusals, key=lambda refused: refused.code)
    if source == target:
        return Refused(told, Code.SAME_LOCATION, draft.available_at(item, source))
    could = draft.available_at(item, source)
    if line.quantity > could:
        return short(draft, item, told, could)
    if draft.overflows(item, target, MovementType.TRANSFER, line.quantity):
        return Refused(told, Code.COUNTER_OVERFLOW, could)
    draft.move(item, source, MovementType.TRANSFER, -line.quantity, line)
    draft.move(item, target, MovementType.TRANSFER, line.quantity, line)
    return None


ADJUSTMENTS: Final[dict[MovementType, LineRule]] = {
    MovementType.ADJUSTMENT: _adjust_line,
    MovementType.DAMAGE: _outflow(MovementType.DAMAGE),
    MovementType.EXPIRED: _outflow(MovementType.EXPIRED),
    MovementType.SALE: _promise(MovementType.SALE),
    MovementType.RESERVED: _promise(MovementType.RESERVED),
    MovementType.RESTOCK: _restock_line,
    MovementType.RETURN: _return_line,
    MovementType.UNRESERVED: _release_line,
}
