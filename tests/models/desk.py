"""The model in a few words, to write tables about. Law: nothing is asserted here.

Items and locations are named by one letter: `D` is the default, of priority 0, then come `A` and `B`; `C` is not in
use. The clock stands at noon unless a test moves it.
"""

from datetime import datetime, timedelta
from typing import Any, Final

from tests.models.brute_force import NOON
from tests.models.stock_model import StockModel
from tests.models.trial import Line
from tests.models.words import Expected, Item

X: Final[Item] = ("X", None)


class Desk(StockModel):
    """A model with four locations; commands get a reference each."""

    def __init__(self) -> None:
        super().__init__("D")
        self.now = NOON
        self.number = 0
        for priority, name in enumerate("ABC", 1):
            self.set_location(name, priority=priority, active=name != "C")

    def tell(self, topic: str, *lines: Line, **value: Any) -> Expected:  # noqa: ANN401 - any field of a command
        """Tell it a command with these lines."""
        self.number += 1
        return self.apply(topic, {"reference_id": f"r{self.number}", "lines": list(lines), **value}, self.now)

    def stock(self, **places: int) -> None:
        """Put units of X somewhere."""
        for place, quantity in places.items():
            self.tell("restock", line("X", quantity, location_id=place))

    def place(self, *lines: Line, **value: Any) -> Expected:  # noqa: ANN401 - any field of a placement
        """Place the order O."""
        return self.tell("order-placed", *lines, **{"order_id": "O", **value})

    def about(self, topic: str, quantity: int | None, **more: Any) -> Expected:  # noqa: ANN401 - any field of a line
        """Cancel, fulfil or return units of the order's line 1."""
        asked = {"line_id": "1", **({} if quantity is None else {"quantity": quantity}), **more}
        return self.tell(topic, asked, order_id="O")

    def cancel(self, quantity: int | None) -> Expected:
        """Cancel units of line 1 by name."""
        return self.about("order-cancelled", quantity)

    def cancel_whole(self) -> Expected:
        """Cancel the whole order."""
        self.number += 1
        return self.apply("order-cancelled", {"reference_id": f"r{self.number}", "order_id": "O"}, self.now)

    def fulfil(self, quantity: int, place: str | None = None) -> Expected:
        """Fulfil units of line 1, from a location or from none in particular."""
        return self.about("order-fulfilled", quantity, **({} if place is None else {"location_id": place}))

    def give_back(self, quantity: int, place: str | None = None, **more: Any) -> Expected:  # noqa: ANN401
        """Return units of line 1."""
        return self.about("return-received", quantity, **({} if place is None else {"location_id": place}), **more)

    def wait(self, **time: float) -> None:
        """Let time pass."""
        self.now += timedelta(**time)

    def later(self, **time: float) -> datetime:
        """A moment to come."""
        return self.now + timedelta(**time)


def line(product: str, quantity: int | None = None, **more: Any) -> Line:  # noqa: ANN401 - any field of a line
    """A line about a product."""
    return {"product_id": product, **({} if quantity is None else {"quantity": quantity}), **more}


def rows(expected: Expected) -> list[tuple[str, str, int]]:
    """The rows of a command as (location, type, quantity)."""
    return [(row.location, row.type, row.quantity) for row in expected.moved]


def answer(expected: Expected) -> tuple[str, int | None] | list[tuple[str, int]]:
    """Where units were taken from, or the code with the shortfall."""
    if expected.outcome == "rejected":
        return str(expected.code), expected.failed[0].shortfall
    return [(row.location, -row.quantity) for row in expected.moved]
