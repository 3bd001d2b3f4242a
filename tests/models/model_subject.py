"""The model as a subject of the brute force: this validates the walk itself, and the model against rule 5."""

from datetime import datetime
from typing import Any, Final

from tests.models.brute_force import EVENING, EXPIRE, NOON, PLACED, PRODUCT, Asked, Totals
from tests.models.orders import Order, out_of, parts_of
from tests.models.stock_model import StockModel
from tests.models.trial import copy_of_lines
from tests.models.words import Expected

STOCK: Final = 100


class ModelSubject:
    """A model that copies itself before each step."""

    def __init__(self, steps: list[list[Asked]], model: StockModel | None = None, now: datetime = NOON) -> None:
        self.steps, self.now = steps, now
        self.model = model or stocked_model()

    def step(self, kind: int, occurrence: int) -> tuple["ModelSubject", bool]:
        """Decide one command on a copy."""
        (topic, value), model = self.steps[kind][occurrence], copy_of(self.model)
        if topic == EXPIRE:
            return type(self)(self.steps, model, EVENING), refused(model.expire(value["order_id"], EVENING))
        return type(self)(self.steps, model, self.now), refused(model.apply(topic, value, self.now))

    def totals(self) -> dict[str, Any]:
        """Each line by rule 5, and what is left of the stock."""
        return totals_of(self.model)


def stocked_model() -> StockModel:
    """A model with plenty of one item."""
    model = StockModel()
    line = {"product_id": PRODUCT, "quantity": STOCK}
    model.apply("restock", {"reference_id": "start", "lines": [line]}, NOON)
    return model


def refused(expected: Expected) -> bool:
    """Whether a command or one that it set free was refused."""
    return expected.outcome == "rejected" or any(after.outcome == "rejected" for _, after in expected.followed)


def totals_of(model: StockModel) -> dict[str, Any]:
    """Each line by rule 5, and what is left of the stock."""
    order, item = model.orders.get("O", Order()), (PRODUCT, None)
    lines: dict[str, Any] = {"on_hand": model.book.all_on_hand(item), "reserved": model.book.all_reserved(item)}
    for name, line in order.lines.items():
        parts = parts_of(line, whole=order.whole)
        assert all(0 <= part <= line["P"] <= PLACED for part in parts)
        assert sum(parts) == line["P"]
        lines[name] = Totals(line["P"], parts.sold, parts.cancelled, out_of(line), parts.reserved, parts.expired)
    return lines


def copy_of(model: StockModel) -> StockModel:
    """A copy that shares nothing that a command changes."""
    new = StockModel(model.book.default)
    new.book = model.book.copy()
    new.ledger = {item: list(rows) for item, rows in model.ledger.items()}
    new.mood, new.known, new.waiting = dict(model.mood), dict(model.known), dict(model.waiting)
    for name, order in model.orders.items():
        twin = new.orders[name] = Order()
        twin.placed, twin.whole, twin.parked = order.placed, order.whole, list(order.parked)
        twin.mode, twin.expires_at = order.mode, order.expires_at
        twin.lines = copy_of_lines(order.lines)
    return new
