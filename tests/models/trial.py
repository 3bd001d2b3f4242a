"""What one command would do to stock. Law: nothing of it counts until the model takes it over."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

MAX_COUNTER: Final = 10**15

Item = tuple[str, str | None]


class Moved(NamedTuple):
    """One movement: its item, its type, its signed effect on available, and the line_id that it tells."""

    item: Item
    type: str
    quantity: int
    line: str | None = None


class Alert(NamedTuple):
    """One change of an item's level."""

    item: Item
    previous: str
    level: str


class Failed(NamedTuple):
    """One failing line by its 0-based position: what was asked and by how much it fell short, where that is told."""

    position: int
    code: str
    requested: int | None = None
    shortfall: int | None = None


class Trial:
    """What one command would do: nothing of it counts until the model takes it over."""

    def __init__(self, left: Mapping[Item, int]) -> None:
        self.left = left
        self.on_hand: dict[Item, int] = {}
        self.moved: list[Moved] = []
        self.failed: list[Failed] = []
        self.changed = False

    def stock(self, item: Item) -> int:
        """What the lines before this one left."""
        return self.on_hand.get(item, self.left.get(item, 0))

    def move(self, position: int, item: Item, kind: str, quantity: int, line: str | None = None) -> None:
        """Book a row, unless a counter would leave its bounds."""
        after = self.stock(item) + quantity
        if abs(after) > MAX_COUNTER:
            self.fail(position, "counter_overflow")
        elif quantity:
            self.on_hand[item] = after
            self.moved.append(Moved(item, kind, quantity, line))

    def take(self, position: int, item: Item, kind: str, quantity: int, line: str | None = None) -> None:
        """Book an outflow that needs stock: available must not fall below 0, nor on_hand, which here is the same."""
        could = max(self.stock(item), 0)
        if quantity > could:
            self.fail(position, "insufficient_stock", quantity, quantity - could)
        else:
            self.move(position, item, kind, -quantity, line)

    def fail(self, position: int, code: str, requested: int | None = None, shortfall: int | None = None) -> None:
        """Note that a line is refused."""
        self.failed.append(Failed(position, code, requested, shortfall))


def take_back(trial: Trial, position: int, item: Item, asked: dict[str, Any], line: str | None = None) -> None:
    """Book goods that came back; damaged ones leave at once, whatever stock there is: they are a fact."""
    trial.move(position, item, "return", asked["quantity"], line)
    if asked.get("condition") == "damaged":
        trial.move(position, item, "damage", -asked["quantity"], line)


def item_of(line: dict[str, Any]) -> Item:
    """What a line counts."""
    return line["product_id"], line.get("variant_id")
