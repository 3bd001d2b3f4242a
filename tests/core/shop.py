"""A small shop to write tables about: commands in a few words, and a world without a database.

`place("O1", a=2)` is an order; items are named by one letter, ids a person can read. Deciding needs no I/O, so a test
reads: given, when, then.
"""

from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any
from uuid import UUID, uuid5

from stock_worker.core.decide import decide
from stock_worker.core.keys import blind_items_of
from stock_worker.core.model import (
    Command,
    CommandKind,
    ItemKey,
    Line,
    MovementType,
    OrderKey,
    Outcome,
    Record,
    Reference,
    Source,
)
from stock_worker.core.state import Item, Location, Order, Site, World

SITE = "00000000-0000-4000-8000-000000000001"
DEFAULT = str(uuid5(UUID(SITE), "default"))
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def product(letter: str) -> str:
    """The product id of an item named by one letter."""
    return f"00000000-0000-4000-8000-0000000000{ord(letter):02x}"


def item_key(letter: str) -> ItemKey:
    """The item key of an item named by one letter."""
    return ItemKey(SITE, product(letter), None)


def line(letter: str | None = None, quantity: int | None = None, line_id: str | None = None, **more: Any) -> Line:  # noqa: ANN401 - any other field
    """A line about the item with this letter."""
    return Line(line_id, product(letter) if letter else None, None, None, quantity, **more)


def command(
    kind: CommandKind,
    reference: tuple[str, str],
    lines: tuple[Line, ...] | None,
    order_id: str | None = None,
    *,
    meaning: str = "",
    **more: Any,  # noqa: ANN401 - any other field
) -> Command:
    """A command as decoding would give it; its fingerprint is of what it asks, and of `meaning`."""
    asked = repr((kind, reference, order_id, lines, more.get("adjustment"), more.get("atomic"), meaning))
    return Command(
        kind=kind,
        reference=Reference(SITE, *reference),
        order_id=order_id,
        lines=lines,
        fingerprint=blake2b(asked.encode(), digest_size=16).digest(),
        occurred_at=NOON,
        source=Source("test", 0, 0),
        record=Record("test", 0, 0, 0, None, b"{}", ()),
        **more,
    )


def place(order: str, *lines: Line, ref: str | None = None, amend: bool = False) -> Command:
    """Place an order, or with `amend` add lines to it."""
    kind = CommandKind.AMEND if amend else CommandKind.PLACE
    numbered = tuple(
        entry if entry.line_id else entry._replace(line_id=str(position)) for position, entry in enumerate(lines, 1)
    )
    return command(kind, ("order", ref or order), numbered, order)


def cancel(order: str, *lines: Line, ref: str) -> Command:
    """Cancel named lines of an order."""
    return command(CommandKind.CANCEL, ("cancellation", ref), lines, order)


def cancel_whole(order: str, ref: str | None = None) -> Command:
    """Cancel a whole order."""
    return command(CommandKind.CANCEL, ("cancellation", ref or order), None, order)


def fulfil(order: str, *lines: Line, ref: str) -> Command:
    """Say what left the building."""
    return command(CommandKind.FULFIL, ("fulfilment", ref), lines, order)


def give_back(order: str | None, *lines: Line, ref: str) -> Command:
    """Say what came back, blind where no order is named."""
    return command(CommandKind.RETURN, ("return", ref), lines, order)


def restock(*lines: Line, ref: str) -> Command:
    """Say what arrived."""
    return command(CommandKind.RESTOCK, ("restock", ref), lines)


def adjust(kind: MovementType, *lines: Line, ref: str, atomic: bool = True) -> Command:
    """A manual change."""
    return command(CommandKind.ADJUST, ("adjustment", ref), lines, adjustment=kind, atomic=atomic)


def world() -> World:
    """An empty shop."""
    return World(NOON, sites={SITE: Site(SITE, DEFAULT, {DEFAULT: Location(DEFAULT, "DEFAULT", 0, stored=False)})})


def run(shop: World, *commands: Command) -> list[Outcome]:
    """Decide commands one after the other; rows that a database would have made appear as they are named."""
    return [decide(_named(shop, entry), entry) for entry in commands]


def stock(shop: World, letter: str) -> int:
    """What is available of an item."""
    return shop.items[item_key(letter)].available


def moved(outcome: Outcome) -> list[tuple[str, int]]:
    """The ledger rows of an outcome as (type, quantity)."""
    return [(row.type.value, row.quantity) for row in outcome.movements]


def _named(shop: World, entry: Command) -> World:
    for key in blind_items_of(entry):
        shop.items.setdefault(key, Item(key, len(shop.items) + 1))
    if entry.order_id is not None:
        order = OrderKey(SITE, entry.order_id)
        shop.orders.setdefault(order, Order(order, len(shop.orders) + 1))
    return shop
