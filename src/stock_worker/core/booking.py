"""From a decided command to ledger rows. Law: nothing is booked before the whole command is accepted.

A `Draft` collects the steps of one command and answers what stock would be left by them, so that a second line on the
same item sees what the first one took; a refused command's draft is dropped and the world is untouched. `book` turns
the steps into movements and changes the counters. Source: contract section 2, rules 3, 7 and 12.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from stock_worker.core.costing import flow_in, flow_out
from stock_worker.core.ids import numbered, series
from stock_worker.core.levels import evaluate, tell_level
from stock_worker.core.model import MAX_COUNTER, Command, Line, Movement, MovementType
from stock_worker.core.state import Item, Location, Order, OrderLine, Place, Site, World

RESERVED, UNRESERVED = MovementType.RESERVED, MovementType.UNRESERVED
SALE, RETURN, TRANSFER = MovementType.SALE, MovementType.RETURN, MovementType.TRANSFER


class Step(NamedTuple):
    """One movement to be: its type, place and signed effect on available; `line` is the command line it answers."""

    item: Item
    location_id: str
    type: MovementType
    quantity: int
    line_id: str | None
    order_line: OrderLine | None
    reason: str | None
    note: str | None
    unit_cost: Decimal | None
    currency: str | None


@dataclass(slots=True)
class Draft:
    """The steps of one command so far, over a world that they have not changed yet.

    `lines` holds working copies of the order lines that the command changes or adds; they replace the order's own when
    the draft is booked. `opened` are the locations that its inflows opened, `counted` the places it counted.
    `effective` is whether it did anything to a tracked line, moved or not (contract rule 11).
    """

    world: World
    command: Command
    order: Order | None = None
    effective: bool = False
    steps: list[Step] = field(default_factory=list)
    lines: dict[str, OrderLine] = field(default_factory=dict)
    opened: dict[str, Location] = field(default_factory=dict)
    counted: list[tuple[Item, str]] = field(default_factory=list)
    _on_hand: dict[int, int] = field(default_factory=dict)
    _reserved: dict[int, int] = field(default_factory=dict)
    _on_hand_at: dict[tuple[int, str], int] = field(default_factory=dict)
    _reserved_at: dict[tuple[int, str], int] = field(default_factory=dict)
    _held_at: dict[tuple[int, str], int] = field(default_factory=dict)

    @property
    def site(self) -> Site:
        """The site of the command."""
        return self.world.sites[self.command.reference.site_id]

    def line(self, line_id: str) -> OrderLine:
        """Give the working copy of a line of the order."""
        line = self.lines.get(line_id)
        if line is None:
            assert self.order is not None
            kept = self.order.lines[line_id]
            line = self.lines[line_id] = replace(
                kept, allocations=[replace(each) for each in kept.allocations], versions=kept.versions.copy()
            )
        return line

    def is_active(self, location_id: str) -> bool:
        """Whether the location is in use, or would be by the steps so far."""
        return location_id in self.opened or self.site.is_active(location_id)

    def open(self, location_id: str) -> None:
        """Open a location that is unknown or inactive: active, last in priority, an unknown one named by its id."""
        known = self.site.locations
        last = max((each.priority for each in (*known.values(), *self.opened.values())), default=0)
        code = known[location_id].code if location_id in known else location_id
        self.opened[location_id] = Location(location_id, code, last + 1, stored=location_id in known)

    def available(self, item: Item) -> int:
        """The item's available as the steps so far would leave it."""
        return self._on_hand_of(item) - self._reserved_of(item)

    def on_hand_at(self, item: Item, location_id: str) -> int:
        """The place's on_hand as the steps so far would leave it."""
        place = item.places.get(location_id)
        return (place.on_hand if place else 0) + self._on_hand_at.get((item.item_id, location_id), 0)

    def reserved_at(self, item: Item, location_id: str) -> int:
        """The place's reserved units as the steps so far would leave them."""
        place = item.places.get(location_id)
        return (place.reserved if place else 0) + self._reserved_at.get((item.item_id, location_id), 0)

    def held_at(self, item: Item, location_id: str) -> int:
        """The units held by people at the place as the steps so far would leave them."""
        place = item.places.get(location_id)
        return (place.held if place else 0) + self._held_at.get((item.item_id, location_id), 0)

    def available_at(self, item: Item, location_id: str) -> int:
        """The place's available as the steps so far would leave it."""
        return self.on_hand_at(item, location_id) - self.reserved_at(item, location_id)

    def overflows(self, item: Item, location_id: str, kind: MovementType, quantity: int) -> bool:
        """Whether a counter of the place or the item would leave the contract's bounds by such a step."""
        if kind is RESERVED or kind is UNRESERVED:
            # An item's reserved units are never fewer than a place's, and both only overflow upwards.
            return self._reserved_of(item) - quantity > MAX_COUNTER
        on_hand, there = self._on_hand_of(item) + quantity, self.on_hand_at(item, location_id) + quantity
        return abs(on_hand) > MAX_COUNTER or abs(there) > MAX_COUNTER

    def move(
        self,
        item: Item,
        location_id: str,
        kind: MovementType,
        quantity: int,
        line: Line,
        order_line: OrderLine | None = None,
    ) -> None:
        """Add a step. `line` gives reason, note and cost; `order_line` is the working copy that it belongs to.

        A reservation without an order line is one that a person holds.
        """
        line_id = order_line.line_id if order_line else line.line_id
        reason, note = line.reason or self.command.reason, line.note or self.command.note
        cost, currency = line.unit_cost, line.currency
        self.steps.append(Step(item, location_id, kind, quantity, line_id, order_line, reason, note, cost, currency))
        at = (item.item_id, location_id)
        if kind is RESERVED or kind is UNRESERVED:
            self._reserved[item.item_id] = self._reserved.get(item.item_id, 0) - quantity
            self._reserved_at[at] = self._reserved_at.get(at, 0) - quantity
            if order_line is None:
                self._held_at[at] = self._held_at.get(at, 0) - quantity
        else:
            self._on_hand[item.item_id] = self._on_hand.get(item.item_id, 0) + quantity
            self._on_hand_at[at] = self._on_hand_at.get(at, 0) + quantity

    def _on_hand_of(self, item: Item) -> int:
        return item.on_hand + self._on_hand.get(item.item_id, 0)

    def _reserved_of(self, item: Item) -> int:
        return item.reserved + self._reserved.get(item.item_id, 0)


def book(draft: Draft) -> tuple[Movement, ...]:
    """Make the draft true: counters, order lines, ledger rows, levels. Returns the rows in the order written."""
    world, order = draft.world, draft.order
    if draft.opened:
        _open(draft)
    if order is not None and draft.lines:
        for line_id, line in draft.lines.items():
            order.lines[line_id] = line
            world.changes.lines[order.key, line_id] = (order, line)
        if order.expires_at is not None:
            schedule(world, order)
    for item, location_id in draft.counted:
        _place(world, item, location_id).counted_at = world.recorded_at
    last = {step.item.item_id: index for index, step in enumerate(draft.steps)}
    rows = []
    costed_on_the_way = 0
    for index, step in enumerate(draft.steps):
        row, costed_on_the_way = _write_movement(draft, step, costed_on_the_way, last=last[step.item.item_id] == index)
        rows.append(row)
    for index in sorted(last.values()):
        evaluate(world, draft.steps[index].item, draft.command)
    return tuple(rows)


def schedule(world: World, order: Order) -> None:
    """Let the sweeper find the order at its time while it holds something, and not longer."""
    due_at = order.expires_at if any(line.reserved for line in order.lines.values()) else None
    if due_at != order.due_at:
        order.due_at = due_at
        world.changes.orders[order.key] = order


def _open(draft: Draft) -> None:
    site = draft.site
    for location_id, location in draft.opened.items():
        site.locations[location_id] = location
        draft.world.changes.locations[site.site_id, location_id] = location
    site.route()


def _place(world: World, item: Item, location_id: str) -> Place:
    place = item.places.get(location_id)
    if place is None:
        place = item.places[location_id] = Place()
    world.changes.places[item.item_id, location_id] = (item, place)
    return place


def _write_movement(draft: Draft, step: Step, on_the_way: int, *, last: bool) -> tuple[Movement, int]:
    """Write one row. `on_the_way`: costed units that a transfer's first row took. Returns the row and those units."""
    world, item = draft.world, step.item
    place = _place(world, item, step.location_id)
    tell_level(world, item)
    previous = item.on_hand - item.reserved
    unit_cost, ignored = None, False
    if step.type is RESERVED or step.type is UNRESERVED:
        item.reserved -= step.quantity
        place.reserved -= step.quantity
        if step.order_line is None:
            place.held -= step.quantity
    else:
        unit_cost, ignored, on_the_way = _cost(draft, step, on_the_way)
        item.on_hand += step.quantity
        place.on_hand += step.quantity
        if step.type is SALE or step.type is RETURN:
            item.net_sold -= step.quantity
    recorded_at = _time(world, item)
    item.version += 1
    item.last_movement_type = step.type
    if step.order_line is not None:
        step.order_line.versions.append(item.version)
    if not item.movement_ids:
        item.movement_ids = series("movement", item.key.text)
    row = Movement(  # by position: naming 24 arguments costs as much again as making the row
        numbered(item.movement_ids, item.version),
        item.key,
        step.location_id,
        item.version,
        step.type,
        step.quantity,
        previous,
        previous + step.quantity,
        item.on_hand,
        item.reserved,
        place.on_hand,
        place.reserved,
        unit_cost,
        item.average_cost,
        item.costed,
        None if draft.order is None else draft.order.key.order_id,
        step.line_id,
        step.reason,
        step.note,
        recorded_at,
        last,
        draft.command,
        item.net_sold,
        ignored,
    )
    world.changes.movements.append(row)
    return row, on_the_way


def _cost(draft: Draft, step: Step, on_the_way: int) -> tuple[Decimal | None, bool, int]:
    """Let the step's units flow in or out at their cost. Returns unit_cost, whether one was ignored, and `on_the_way`.

    What a transfer takes out of the costed units its second row puts back: moving goods changes no worth.
    """
    item, quantity = step.item, step.quantity
    if quantity < 0:
        taken = flow_out(item, -quantity)
        return item.average_cost, False, taken if step.type is TRANSFER else 0
    if step.type is TRANSFER:
        item.costed += on_the_way
        return item.average_cost, False, 0
    currency, average = draft.site.settings.currency, item.average_cost
    foreign = step.currency is not None and currency is not None and step.currency != currency
    unit_cost, ignored = flow_in(item, quantity, step.unit_cost, foreign=foreign)
    if item.average_cost is not average:
        draft.world.changes.averages[item.item_id] = item
    return unit_cost, ignored, 0


def _time(world: World, item: Item) -> datetime:
    """The batch's moment, but an item's time does not go back."""
    recorded_at = world.recorded_at
    if item.last_movement_at is not None and item.last_movement_at > recorded_at:
        recorded_at = item.last_movement_at
    item.last_movement_at = recorded_at
    if item.first_movement_at is None:
        item.first_movement_at = recorded_at
    return recorded_at
