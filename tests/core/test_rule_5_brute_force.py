"""Contract rule 5 by brute force: 1,111,110 orders of commands, 8,007 multisets, walked as a tree."""

import gc
from copy import deepcopy
from typing import Any, Final

from stock_worker.core import orders
from stock_worker.core.decide import decide
from stock_worker.core.model import OrderKey, OutcomeKind
from stock_worker.core.orders import units_cancelled, units_out
from stock_worker.core.state import World
from tests.core.product import SITE, command_of, copy_of, decide_in, item_key, load, new_world
from tests.models.brute_force import COMMANDS, DEPTH, MULTISETS, ORDERS, PRODUCT, Totals, walk
from tests.models.model_subject import STOCK, ModelSubject

STEPS: Final = [[command_of(*command(n)) for n in range(DEPTH + 1)] for command in COMMANDS.values()]
ORDER: Final = OrderKey(SITE, "O")
ITEM: Final = item_key(PRODUCT)
REJECTED: Final = OutcomeKind.REJECTED


class ProductSubject:
    """The product's core, on a copy of its world at each step."""

    def __init__(self, world: World) -> None:
        self.world = world

    def step(self, kind: int, occurrence: int) -> tuple["ProductSubject", bool]:
        world = copy_of(self.world)
        outcome = decide(world, STEPS[kind][occurrence])
        freed = world.changes.decided[1:]
        return ProductSubject(world), outcome.kind is REJECTED or any(each.outcome.kind is REJECTED for each in freed)

    def totals(self) -> dict[str, Any]:
        """Each line by rule 5; the item's stock must tell the same."""
        item, order = self.world.items[ITEM], self.world.orders.get(ORDER)
        lines: dict[str, Any] = {"available": item.available}
        held = 0
        for name, line in order.lines.items() if order else ():
            assert order is not None
            placed, whole = line.totals.placed, order.cancelled_whole
            sold = orders.held(line.totals, line.mode, whole=whole, expired=False).sold
            gone = units_cancelled(line.totals, whole=whole)
            # What the line says it holds is what it took, place by place.
            assert sold == sum(part.sold for part in line.allocations)
            assert placed == sold + gone
            held += sold - line.totals.returned
            lines[name] = Totals(placed, sold, gone, units_out(line.totals))
        assert item.available == STOCK - held
        return lines


def stocked() -> ProductSubject:
    world = new_world()
    line = {"product_id": PRODUCT, "quantity": STOCK}
    decide_in(world, command_of("restock", {"reference_id": "start", "lines": [line]}))
    load(world, STEPS[0][0])
    return ProductSubject(world)


def test_the_walk_counts_every_order_once_and_the_model_agrees_with_itself() -> None:
    report = walk(ModelSubject(), depth=4)
    assert report.orders == 10 + 10**2 + 10**3 + 10**4
    assert len(report.multisets) == 10 + 55 + 220 + 715
    assert report.contradictions == []


def test_the_walk_notices_totals_that_depend_on_the_order() -> None:
    class Forgetful(ModelSubject):
        """Planted fault: a fulfilment after the whole cancellation does not count."""

        def step(self, kind: int, occurrence: int) -> tuple[ModelSubject, bool]:
            child, refused = super().step(kind, occurrence)
            order = self.model.orders.get("O")
            if order and order.whole and "1" in order.lines:
                child.model.orders["O"].lines["1"]["F"] = order.lines["1"]["F"]
            return Forgetful(child.model), refused

    names = {name for names, _, _ in walk(Forgetful(), depth=3).contradictions for name in names}
    assert {"place", "cancel whole", "fulfil 1"} <= names


def test_a_copied_world_is_whole_and_shares_nothing() -> None:
    subject = stocked()
    for kind, occurrence in ((4, 1), (0, 1), (2, 1), (6, 1), (9, 1)):  # parked, freed, amended, fulfilled, returned
        before = deepcopy(subject.world)
        child, _ = subject.step(kind, occurrence)
        before.changes = subject.world.changes
        assert subject.world == before
        subject = child


def test_rule_5_every_refusal_free_order_of_a_multiset_ends_in_equal_totals() -> None:
    gc.disable()  # the copies have no cycles; looking for some costs a third of the time
    try:
        report = walk(stocked())
    finally:
        gc.enable()
    assert report.orders == ORDERS == 1_111_110
    assert len(report.multisets) == MULTISETS
    assert report.contradictions == []


def test_rule_5_model_and_product_agree_on_what_each_multiset_ends_in() -> None:
    product, model = walk(stocked(), depth=4), walk(ModelSubject(), depth=4)
    assert product.free == model.free
    assert {each: product.totals[each] for each in product.totals} == model.totals
