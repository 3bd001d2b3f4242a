"""Which rows a batch may touch. Law: what is not named here is not loaded, and deciding on it is a bug (KeyError).

The lines of an order name their items themselves, so those of known orders and of parked amendments come from what
the order's lock brought along, not from the command.
"""

from collections.abc import Iterable

from stock_worker.core.model import Command, CommandKind, ItemKey, OrderKey, Reference

_NAMES_ITEMS = frozenset(
    {
        CommandKind.PLACE,
        CommandKind.AMEND,
        CommandKind.RESTOCK,
        CommandKind.ADJUST,
        CommandKind.COUNT,
        CommandKind.TRANSFER,
    }
)


def items_of(command: Command) -> list[ItemKey]:
    """The items that the command itself brings in; a return does so only when it is blind."""
    if command.kind not in _NAMES_ITEMS and not (command.kind is CommandKind.RETURN and command.order_id is None):
        return []
    return blind_items_of(command)


def blind_items_of(command: Command) -> list[ItemKey]:
    """The items that the command's lines name, whatever its kind."""
    site_id = command.reference.site_id
    return [
        ItemKey(site_id, line.product_id, line.variant_id)
        for line in command.lines or ()
        if line.product_id is not None
    ]


def orders_of(commands: Iterable[Command]) -> set[OrderKey]:
    """The orders whose rows must be locked: a blind return and whatever names no order have none."""
    return {key for command in commands if (key := command.order_key) is not None}


def references_of(commands: Iterable[Command]) -> set[Reference]:
    """The references to look up."""
    return {command.reference for command in commands}
