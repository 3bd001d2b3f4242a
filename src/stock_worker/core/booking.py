"""From a decided command to ledger rows. Law: nothing is booked before the whole command is accepted.

A `Draft` collects the steps of one command and answers what stock would be left by them, so that a second line on the
same item sees what the first one took; a refused command's draft is dropped and the world is untouched. `book` turns
the steps into movements and changes the counters. Source: contract section 2, rules 3 and 10.
"""

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import NamedTuple

from stock_worker.core.alerts import BUILT_IN, level_of
from stock_worker.core.ids import numbered, series
from stock_worker.core.model import MAX_COUNTER, Command, Line, Movement, MovementType
from stock_worker.core.state import AlertChange, Allocation, Item, Order, OrderLine, Place, World


class Step(NamedTuple):
    """One movement to be: its type, place and signed effect on on_hand; `line` is the command line it answers."""

    item: Item
    location_id: str
    type: MovementType
    quantity: int
    line_id: str | None
    order_line: OrderLine | None
    reason: str | None
    note: str | None
    unit_cost: Decimal | None = None


@dataclass(slots=True)
class Draft:
    """The steps of one command so far, over a world that they have not changed yet.

    `lines` holds working copies of the order lines that the command changes or adds; they replace the order's own when
    the draft is booked.
    """

    world: World
    command: Command
    order: Order | None = None
    steps: list[Step] = field(default_factory=list)
    lines: dict[str, OrderLine] = field(default_factory=dict)
    _moved: dict[int, int] = field(default_factory=dict)
    _moved_at: dict[tuple[int, str], int] = field(default_factory=dict)

    def line(self, line_id: str) -> OrderLine:
        """Give the working copy of a line of the order."""
        line = self.lines.get(line_id)
        if line is None:
            assert self.order is not None
            kept = self.order.lines[line_id]
            line = self.lines[line_id] = replace(
                kept,
                allocations=[Allocation(a.location_id, a.sold) for a in kept.allocations],
                versions=kept.versions.copy(),
            )
        return line

    def available(self, item: Item) -> int:
        """The item's available as the steps so far would leave it."""
        return item.on_hand - item.reserved + self._moved.get(item.item_id, 0)

    def on_hand_at(self, item: Item, location_id: str) -> int:
        """The place's on_hand as the steps so far would leave it."""
        place = item.places.get(location_id)
        return (place.on_hand if place else 0) + self._moved_at.get((item.item_id, location_id), 0)

    def available_at(self, item: Item, location_id: str) -> int:
        """The place's available as the steps so far would leave it."""
        place = item.places.get(location_id)
        return self.on_hand_at(item, location_id) - (place.reserved if place else 0)

    def overflows(self, item: Item, location_id: str, quantity: int) -> bool:
        """Whether a counter would leave the contract's bounds."""
        on_hand = item.on_hand + self._moved.get(item.item_id, 0) + quantity
        return abs(on_hand) > MAX_COUNTER or abs(self.on_hand_at(item, location_id) + quantity) > MAX_COUNTER

    def move(
        self,
        item: Item,
        location_id: str,
        kind: MovementType,
        quantity: int,
        line: Line | None,
        order_line: OrderLine | None = None,
    ) -> None:
        """Add a step. `line` gives reason, note and cost; `order_line` is the working copy that it moves."""
        line_id = order_line.line_id if order_line else line.line_id if line else None
        reason = (line.reason if line else None) or self.command.reason
        note = (line.note if line else None) or self.command.note
        cost = line.unit_cost if line else None
        self.steps.append(Step(item, location_id, kind, quantity, line_id, order_line, reason, note, cost))
        self._moved[item.item_id] = self._moved.get(item.item_id, 0) + quantity
        at = (item.item_id, location_id)
        self._moved_at[at] = self._moved_at.get(at, 0) + quantity
        if order_line is not None and kind is MovementType.SALE:
            _allocate(order_line, location_id, -quantity)


def book(draft: Draft) -> tuple[Movement, ...]:
    """Make the draft true: counters, order lines, ledger rows, alert levels. Returns the rows in the order written."""
    order = draft.order
    for line_id, line in draft.lines.items():
        assert order is not None
        order.lines[line_id] = line
        draft.world.changes.lines[order.key, line_id] = (order, line)
    last = {step.item.item_id: index for index, step in enumerate(draft.steps)}
    rows = tuple(
        [_write_movement(draft, step, last=last[step.item.item_id] == index) for index, step in enumerate(draft.steps)]
    )
    for index in sorted(last.values()):
        _evaluate(draft.world, draft.command, draft.steps[index].item)
    return rows


def _allocate(line: OrderLine, location_id: str, units: int) -> None:
    """Keep where the line's units are: a sale adds to its place, a sale of opposite sign gives back there."""
    for allocation in line.allocations:
        if allocation.location_id == location_id:
            allocation.sold += units
            return
    line.allocations.append(Allocation(location_id, units))


def _write_movement(draft: Draft, step: Step, *, last: bool) -> Movement:
    world, command = draft.world, draft.command
    item, quantity = step.item, step.quantity
    place = item.places.get(step.location_id)
    if place is None:
        place = item.places[step.location_id] = Place()
    world.changes.places[item.item_id, step.location_id] = (item, place)
    if item.item_id not in world.changes.items:
        world.changes.items[item.item_id] = item
        item.revision += 1
    previous = item.on_hand - item.reserved
    item.on_hand += quantity
    place.on_hand += quantity
    item.version += 1
    recorded_at = world.recorded_at
    if item.last_movement_at is not None and item.last_movement_at > recorded_at:
        recorded_at = item.last_movement_at
    item.last_movement_at = recorded_at
    item.last_movement_type = step.type
    if step.order_line is not None:
        step.order_line.versions.append(item.version)
    if not item.movement_ids:
        item.movement_ids = series("movement", item.key.text)
    row = Movement(  # by position: naming 22 arguments costs as much again as making the row
        numbered(item.movement_ids, item.version),
        item.key,
        step.location_id,
        item.version,
        step.type,
        quantity,
        previous,
        previous + quantity,
        item.on_hand,
        item.reserved,
        place.on_hand,
        place.reserved,
        step.unit_cost,
        None,
        None,
        None if draft.order is None else draft.order.key.order_id,
        step.line_id,
        step.reason,
        step.note,
        recorded_at,
        last,
        command,
    )
    world.changes.movements.append(row)
    return row


def _evaluate(world: World, command: Command, item: Item) -> None:
    """Compare the level with the one last emitted, once per item and command (contract rule 10)."""
    level = level_of(item.available, BUILT_IN)
    if level is item.level:
        return
    alert = AlertChange(
        item=item.key,
        alert_id=numbered(series("alert", item.key.text), item.version),
        previous_level=item.level,
        level=level,
        on_hand=item.on_hand,
        reserved=item.reserved,
        version=item.version,
        revision=item.revision,
        command=command,
    )
    item.level = level
    world.changes.alerts.append(alert)
