"""The model as a subject of the brute force: this validates the walk itself, and the model against rule 5."""

from typing import Any, Final

from tests.models.brute_force import COMMANDS, DEPTH, PLACED, PRODUCT, Totals
from tests.models.stock_model import Expected, Order, StockModel, cancelled

STEPS: Final = [[command(n) for n in range(DEPTH + 1)] for command in COMMANDS.values()]
STOCK: Final = 100


class ModelSubject:
    """A model that copies itself before each step."""

    def __init__(self, model: StockModel | None = None) -> None:
        self.model = model or stocked_model()

    def step(self, kind: int, occurrence: int) -> tuple["ModelSubject", bool]:
        """Decide one command on a copy."""
        model = copy_of(self.model)
        return ModelSubject(model), refused(model.apply(*STEPS[kind][occurrence]))

    def totals(self) -> dict[str, Any]:
        """Each line by rule 5, and what is left of the stock."""
        return totals_of(self.model)


def stocked_model() -> StockModel:
    """A model with plenty of one item."""
    model = StockModel()
    line = {"product_id": PRODUCT, "quantity": STOCK}
    model.apply("restock", {"reference_id": "start", "lines": [line]})
    return model


def refused(expected: Expected) -> bool:
    """Whether a command or one that it set free was refused."""
    return expected.outcome == "rejected" or any(after.outcome == "rejected" for _, after in expected.followed)


def totals_of(model: StockModel) -> dict[str, Any]:
    """Each line by rule 5, and what is left of the stock."""
    order = model.orders.get("O", Order())
    lines: dict[str, Any] = {"available": model.on_hand[(PRODUCT, None)]}
    for name, line in order.lines.items():
        gone = cancelled(line, whole=order.whole)
        assert 0 <= gone <= line["P"] <= PLACED
        lines[name] = Totals(line["P"], line["P"] - gone, gone, max(line["F"], line["R"]))
    return lines


def copy_of(model: StockModel) -> StockModel:
    """A copy that shares nothing that a command changes."""
    new = StockModel()
    new.on_hand, new.version, new.level = dict(model.on_hand), dict(model.version), dict(model.level)
    new.known, new.waiting = dict(model.known), dict(model.waiting)
    for name, order in model.orders.items():
        twin = new.orders[name] = Order()
        twin.placed, twin.whole, twin.parked = order.placed, order.whole, list(order.parked)
        twin.lines = {line_id: dict(line) for line_id, line in order.lines.items()}
    return new
