"""A small shop to write tables about: commands in a few words, and a world without a database.

`place("O1", a=2)` is an order; items are named by one letter, ids a person can read. Deciding needs no I/O, so a test
reads: given, when, then.
"""

from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any
from uuid import UUID, uuid5

from stock_worker.core.decide import decide, expire, expiry_of
from stock_worker.core.keys import blind_items_of
from stock_worker.core.model import (
    Command,
    CommandKind,
    ItemKey,
    Line,
    Mode,
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
    asked = repr((kind, reference, order_id, lines, sorted(more.items(), key=repr), meaning))
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


def place(order: str, *lines: Line, ref: str | None = None, amend: bool = False, **more: Any) -> Command:  # noqa: ANN401 - any other field
    """Place an order, or with `amend` add lines to it."""
    kind = CommandKind.AMEND if amend else CommandKind.PLACE
    numbered = tuple(
        entry if entry.line_id else entry._replace(line_id=str(position)) for position, entry in enumerate(lines, 1)
    )
    return command(kind, ("order", ref or order), numbered, order, **more)


def reserve(order: str, *lines: Line, after_s: float | None = None, **more: Any) -> Command:  # noqa: ANN401 - any other field
    """Place an order that reserves, until so many seconds after noon."""
    expires_at = None if after_s is None else NOON + timedelta(seconds=after_s)
    return place(order, *lines, mode=Mode.RESERVE, expires_at=expires_at, **more)


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


def count(*lines: Line, ref: str) -> Command:
    """Say what was counted: the lines' quantities."""
    return command(CommandKind.COUNT, ("count", ref), lines)


def transfer(source: str, target: str, *lines: Line, ref: str) -> Command:
    """Move goods from one place to another."""
    return command(CommandKind.TRANSFER, ("transfer", ref), lines, from_location_id=source, to_location_id=target)


def expire_at(shop: World, order: str, after_s: float) -> Outcome | None:
    """Let time come for an order's reservations, so many seconds after noon."""
    shop.recorded_at = max(shop.recorded_at, NOON + timedelta(seconds=after_s))
    key = OrderKey(SITE, order)
    at = shop.orders[key].expires_at or NOON
    reference = expiry_of(key, at)
    asked = command(CommandKind.EXPIRE, (reference.type, reference.id), None, order, expires_at=at)
    return expire(shop, asked)


def locate(shop: World, *codes: str, inactive: tuple[str, ...] = ()) -> World:
    """Give the shop more locations, the first to sell from first but for the default, each named by its code."""
    site = shop.sites[SITE]
    for priority, code in enumerate((*codes, *inactive), 1):
        site.locations[spot(code)] = Location(spot(code), code, priority, active=code not in inactive)
    site.route()
    return shop


def spot(code: str) -> str:
    """The id of a location by its code; D is the default."""
    return DEFAULT if code == "D" else str(uuid5(UUID(SITE), code))


def hold_to(shop: World, letter: str, **more: Any) -> World:  # noqa: ANN401 - any field of a policy
    """Change what an item is held to."""
    item = shop.items.setdefault(item_key(letter), Item(item_key(letter), len(shop.items) + 1))
    item.policy = item.policy._replace(**more)
    return shop


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


def placed(outcome: Outcome) -> list[tuple[str, int, str]]:
    """The ledger rows of an outcome as (type, quantity, code of the place)."""
    codes = {spot(code): code for code in "DABCX"}
    return [(row.type.value, row.quantity, codes[row.location_id]) for row in outcome.movements]


def there(shop: World, letter: str) -> dict[str, tuple[int, int]]:
    """On hand and reserved of an item, by code of the place."""
    codes = {spot(code): code for code in "DABCX"}
    places = shop.items[item_key(letter)].places
    return {codes[name]: (place.on_hand, place.reserved) for name, place in places.items()}


def _named(shop: World, entry: Command) -> World:
    for key in blind_items_of(entry):
        shop.items.setdefault(key, Item(key, len(shop.items) + 1))
    if entry.order_id is not None:
        order = OrderKey(SITE, entry.order_id)
        shop.orders.setdefault(order, Order(order, len(shop.orders) + 1))
    return shop
