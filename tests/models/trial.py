"""What one command would do. Law: nothing of it counts until the model takes it over, and a line that fails does none.

Lines are decided one after the other, each on what the one before left (contract rule 3).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Final

from tests.models.costs import NO_COST, Cost, Value, inflow, outflow
from tests.models.places import Book
from tests.models.words import Failed, Item, Moved, Refused

MAX_COUNTER: Final = 10**15
HOLDING: Final = ("reserved", "unreserved")
"""The types that move the reserved counter; every other moves on_hand."""

Line = dict[str, Any]


class Trial:
    """A copy of the book and of an order's lines, with the rows that brought it to what it is."""

    def __init__(self, book: Book, lines: dict[str, Line] | None = None) -> None:
        self.book = book.copy()
        self.lines = copy_of_lines(lines or {})
        self.rows: list[Moved] = []
        self.failed: list[Failed] = []
        self.accepted = 0
        self.changed = False
        """Whether a total of a tracked line changed, even if nothing moved."""

    @contextmanager
    def line(self, position: int) -> Iterator[None]:
        """Decide one line: what it did is undone if it is refused."""
        before = self.book.copy(), copy_of_lines(self.lines), len(self.rows), self.changed
        try:
            yield
        except Refused as refused:
            self.book, self.lines, rows, self.changed = before
            del self.rows[rows:]
            self.failed.append(Failed(position, *refused.told))
        else:
            self.accepted += 1

    def move(
        self, item: Item, place: str, kind: str, quantity: int, line_id: str | None = None, cost: Cost = NO_COST
    ) -> None:
        """Book a row; `quantity` is the signed effect on available."""
        if not quantity:
            return
        value, on_hand = self._value(item), self.book.all_on_hand(item)
        if kind in HOLDING:
            self._count(item, place, 0, -quantity)
            self._row(item, place, kind, quantity, line_id)
            return
        used = False
        if quantity > 0:
            value, used = inflow(value, on_hand, quantity, cost)
        else:
            value = outflow(value, on_hand, -quantity)
        self.book.value[item] = value
        self._count(item, place, quantity, 0)
        ignored = cost.unit_cost is not None and not used
        shown = cost.unit_cost if used else None if ignored else value.average
        self._row(item, place, kind, quantity, line_id, shown, ignored=ignored)

    def hold(self, item: Item, place: str, quantity: int, line_id: str | None) -> None:
        """Book a manual hold, or with a negative quantity its release."""
        self.move(item, place, "reserved" if quantity > 0 else "unreserved", -quantity, line_id)
        self.book.held[item, place] = self.book.held.get((item, place), 0) + quantity

    def transfer(self, item: Item, source: str, target: str, quantity: int, line_id: str | None) -> None:
        """Book units out of one location and into another; they take their value with them."""
        value = self._value(item)
        self.move(item, source, "transfer", -quantity, line_id)
        self.book.value[item] = value
        self._count(item, target, quantity, 0)
        self._row(item, target, "transfer", quantity, line_id, value.average)

    def _value(self, item: Item) -> Value:
        return self.book.value.get(item, Value())

    def _count(self, item: Item, place: str, on_hand: int, reserved: int) -> None:
        book, spot = self.book, (item, place)
        book.on_hand[spot] = book.on_hand.get(spot, 0) + on_hand
        book.reserved[spot] = book.reserved.get(spot, 0) + reserved
        counters = (book.on_hand[spot], book.reserved[spot], book.all_on_hand(item), book.all_reserved(item))
        if any(abs(counter) > MAX_COUNTER for counter in counters):
            raise Refused("counter_overflow")

    def _row(
        self,
        item: Item,
        place: str,
        kind: str,
        quantity: int,
        line_id: str | None,
        unit_cost: Decimal | None = None,
        *,
        ignored: bool = False,
    ) -> None:
        on_hand, reserved = self.book.all_on_hand(item), self.book.all_reserved(item)
        cost = unit_cost, ignored
        self.rows.append(Moved(item, place, kind, quantity, line_id, *cost, on_hand, reserved, *self._value(item)))


def copy_of_lines(lines: dict[str, Line]) -> dict[str, Line]:
    """Order lines that share nothing that changes."""
    return {
        name: {field: list(value) if isinstance(value, list) else value for field, value in line.items()}
        for name, line in lines.items()
    }


def item_of(line: Line) -> Item:
    """What a line counts."""
    return line["product_id"], line.get("variant_id")
