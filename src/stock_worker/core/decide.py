"""One command, one outcome. Law: a known reference is answered before its content is judged.

`decide` looks the reference up, asks the rule of the command's kind (`RULES`), remembers the outcome, and then decides
what was parked for an order that this command placed, in arrival order. Source: contract rules 1, 3 and 5.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from stock_worker.core import counts, line_rules, order_rules, stock_rules
from stock_worker.core.model import Command, CommandKind, OrderKey, Outcome, OutcomeKind, Reference
from stock_worker.core.order_rules import order_of
from stock_worker.core.refusals import Code
from stock_worker.core.state import Decided, World

Rule = Callable[[World, Command], Outcome]

RULES: Final[dict[CommandKind, Rule]] = {
    CommandKind.PLACE: order_rules.place,
    CommandKind.AMEND: order_rules.amend,
    CommandKind.CANCEL: line_rules.cancel,
    CommandKind.FULFIL: line_rules.fulfil,
    CommandKind.RETURN: line_rules.return_received,
    CommandKind.RESTOCK: stock_rules.restock,
    CommandKind.ADJUST: stock_rules.adjust,
    CommandKind.COUNT: counts.count,
    CommandKind.TRANSFER: stock_rules.transfer,
    CommandKind.EXPIRE: line_rules.expire,
}

_DUPLICATE: Final = Outcome(OutcomeKind.DUPLICATE)
_PARKED: Final = Outcome(OutcomeKind.PARKED)


def decide(world: World, command: Command) -> Outcome:
    """Decide one command on what the commands before it left, and change the world by its outcome."""
    known = _known(world, command)
    if known is not None:
        return known
    outcome = RULES[command.kind](world, command)
    if outcome.kind is OutcomeKind.PARKED:
        _park(world, command)
        return outcome
    _remember(world, command, outcome)
    if command.kind is CommandKind.PLACE and outcome.kind is not OutcomeKind.REJECTED:
        released = _decide_parked(world, command)
        return replace(outcome, released=released) if released else outcome
    return outcome


def end_parked(world: World, command: Command) -> Outcome:
    """End a command that waited too long for its order: a return that names its products is booked as a blind one.

    Returns PARKED when the order was placed meanwhile or the command is no longer parked: then nothing is changed.
    """
    if command.reference not in world.parked or _order_is_placed(world, command):
        return _PARKED
    if command.kind is CommandKind.RETURN and all(line.product_id is not None for line in command.lines or ()):
        outcome = stock_rules.blind_return(world, command)
    else:
        outcome = Outcome(
            OutcomeKind.REJECTED,
            Code.ORDER_NEVER_PLACED,
            f"order {command.order_id} was not placed in time; if it was placed since, send this again under a new "
            "reference_id",
        )
    assert command.order_key is not None  # only commands that name an order are parked
    order = world.orders[command.order_key]
    order.parked = [waiting for waiting in order.parked if waiting.reference != command.reference]
    _unpark(world, command)
    _remember(world, command, outcome)
    return outcome


def expire(world: World, command: Command) -> Outcome | None:
    """Let an order's reservations expire, decided again under the lock; None where they are not due (any more).

    A time that an amendment brought back may have been used up: then the reference tells this moment in its place.
    """
    if not line_rules.is_due(world, command):
        return None
    if command.reference in world.references:
        command = replace(command, reference=expiry_of(order_of(world, command).key, world.recorded_at))
    outcome = RULES[command.kind](world, command)
    _remember(world, command, outcome)
    return outcome


def expiry_of(order: OrderKey, at: datetime) -> Reference:
    """The reference of an expiry: the order and its time, in UTC with Z and no fraction where there is none."""
    moment = at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return Reference(order.site_id, "expiry", f"{order.order_id}@{moment}")


def _known(world: World, command: Command) -> Outcome | None:
    fingerprint = world.references.get(command.reference) or world.parked.get(command.reference)
    if fingerprint is None:
        return None
    if fingerprint == command.fingerprint:
        return _DUPLICATE
    reference = command.reference
    return Outcome(
        OutcomeKind.CONFLICT,
        Code.REFERENCE_CONFLICT,
        f"reference {reference.type} {reference.id} was used before with another meaning, which stands; "
        "send this under a new reference_id",
    )


def _remember(world: World, command: Command, outcome: Outcome) -> None:
    world.references[command.reference] = command.fingerprint
    world.changes.decided.append(Decided(command, outcome))


def _park(world: World, command: Command) -> None:
    assert command.order_key is not None  # only commands that name an order are parked
    world.orders[command.order_key].parked.append(command)
    world.parked[command.reference] = command.fingerprint
    world.changes.parked[command.reference] = command


def _unpark(world: World, command: Command) -> None:
    del world.parked[command.reference]
    if world.changes.parked.pop(command.reference, None) is None:
        world.changes.unparked.append(command.reference)


def _decide_parked(world: World, placement: Command) -> tuple[tuple[Command, Outcome], ...]:
    assert placement.order_key is not None
    order = world.orders[placement.order_key]
    waiting, order.parked = order.parked, []
    decided = []
    for command in waiting:
        _unpark(world, command)
        outcome = RULES[command.kind](world, command)
        _remember(world, command, outcome)
        decided.append((command, outcome))
    return tuple(decided)


def _order_is_placed(world: World, command: Command) -> bool:
    return command.order_key is not None and world.orders[command.order_key].placed
