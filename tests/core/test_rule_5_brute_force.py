"""Contract rule 5 by brute force: every order of the commands of each mode, walked as a tree."""

import gc
from copy import deepcopy
from typing import Any, Final

import pytest

from stock_worker.core import decide as deciding
from stock_worker.core.decide import decide
from stock_worker.core.model import Command, OrderKey, OutcomeKind
from stock_worker.core.orders import held, units_cancelled, units_out
from stock_worker.core.state import World
from tests.core.product import SITE, command_of, copy_of, expiry_in, item_key, load, new_world
from tests.models.brute_force import EVENING, EXPIRE, PRODUCT, RESERVE, SALE, Half, Report, Totals, walk
from tests.models.model_subject import STOCK, ModelSubject

ORDER: Final = OrderKey(SITE, "O")
ITEM: Final = item_key(PRODUCT)
REJECTED: Final = OutcomeKind.REJECTED

Steps = list[list[Command | None]]
HALVES: Final = pytest.mark.parametrize("half", [SALE, RESERVE], ids=["sale", "reserve"])


class ProductSubject:
    """The product's core, on a copy of its world at each step; a step that is None is the expiry."""

    def __init__(self, steps: Steps, world: World) -> None:
        self.steps, self.world = steps, world

    def step(self, kind: int, occurrence: int) -> tuple["ProductSubject", bool]:
        world, command = copy_of(self.world), self.steps[kind][occurrence]
        if command is None:
            world.recorded_at = EVENING
            expiry = expiry_in(world, "O")
            outcome = None if expiry is None else deciding.expire(world, expiry)
            return ProductSubject(self.steps, world), outcome is not None and outcome.kind is REJECTED
        outcome = decide(world, command)
        freed = world.changes.decided[1:]
        refused = outcome.kind is REJECTED or any(each.outcome.kind is REJECTED for each in freed)
        return ProductSubject(self.steps, world), refused

    def totals(self) -> dict[str, Any]:
        """Each line by rule 5; the item's stock must tell the same."""
        item, order = self.world.items[ITEM], self.world.orders.get(ORDER)
        lines: dict[str, Any] = {"on_hand": item.on_hand, "reserved": item.reserved}
        gone = kept = 0
        for name, line in order.lines.items() if order else ():
            assert order is not None
            totals, whole = line.totals, order.cancelled_whole
            sold, reserved = held(totals, line.mode, whole=whole, expired=line.expired)
            cancelled = units_cancelled(totals, whole=whole)
            # What the line says it holds is what it took, place by place.
            assert sold == sum(part.sold for part in line.allocations)
            assert reserved == line.reserved
            gone += sold - totals.returned
            kept += reserved
            expired = totals.placed - sold - cancelled - reserved
            assert expired == 0 or line.expired
            lines[name] = Totals(totals.placed, sold, cancelled, units_out(totals), reserved, expired)
        assert (item.on_hand, item.reserved) == (STOCK - gone, kept)
        return lines


def stocked(half: Half) -> ProductSubject:
    """The product with plenty of one item, and the commands of one mode."""
    world = new_world()
    line = {"product_id": PRODUCT, "quantity": STOCK}
    opening = command_of("restock", {"reference_id": "start", "lines": [line]})
    load(world, opening)
    decide(world, opening)
    steps: Steps = [[None if asked[0] == EXPIRE else command_of(*asked) for asked in row] for row in half.steps()]
    assert steps[0][0] is not None
    load(world, steps[0][0])
    return ProductSubject(steps, world)


def walked(half: Half, depth: int | None = None) -> Report:
    """Walk the product."""
    gc.disable()  # the copies have no cycles; looking for some costs a third of the time
    try:
        return walk(stocked(half), half, depth)
    finally:
        gc.enable()


def test_how_many_orders_there_are() -> None:
    assert (SALE.depth, SALE.orders(), SALE.multisets()) == (6, 1_111_110, 8_007)
    assert (RESERVE.depth, RESERVE.orders(), RESERVE.multisets()) == (5, 177_155, 4_367)
    assert RESERVE.orders(6) == 1_948_716


@HALVES
def test_the_walk_counts_every_order_once_and_the_model_agrees_with_itself(half: Half) -> None:
    report = walk(ModelSubject(half.steps()), half, 4)
    many = len(half.commands)
    assert report.orders == half.orders(4) == many + many**2 + many**3 + many**4
    assert len(report.multisets) == half.multisets(4)
    assert report.contradictions == []


def test_the_walk_notices_totals_that_depend_on_the_order() -> None:
    class Forgetful(ModelSubject):
        """Planted fault: a fulfilment after the whole cancellation does not count."""

        def step(self, kind: int, occurrence: int) -> tuple[ModelSubject, bool]:
            child, refused = super().step(kind, occurrence)
            order = self.model.orders.get("O")
            if order and order.whole and "1" in order.lines:
                child.model.orders["O"].lines["1"]["F"] = order.lines["1"]["F"]
            return child, refused

    names = {name for names, _, _ in walk(Forgetful(SALE.steps()), SALE, 3).contradictions for name in names}
    assert {"place", "cancel whole", "fulfil 1"} <= names


def test_the_walk_notices_an_expiry_that_comes_too_early() -> None:
    class Hasty(ModelSubject):
        """Planted fault: what is placed when its time is past is reserved all the same."""

        def step(self, kind: int, occurrence: int) -> tuple[ModelSubject, bool]:
            child, refused = super().step(kind, occurrence)
            for line in child.model.orders["O"].lines.values() if "O" in child.model.orders else ():
                line["E"] = line["E"] and bool(line["back"])
            return child, refused

    contradictions = walk(Hasty(RESERVE.steps()), RESERVE, 2).contradictions
    assert ("place", EXPIRE) in [names for names, _, _ in contradictions]


@pytest.mark.parametrize(
    ("half", "acts"),
    [
        # One is parked and freed; then lines are added, units leave, time passes and goods come back.
        (SALE, ((4, 1), (0, 1), (2, 1), (6, 1), (9, 1))),
        (RESERVE, ((4, 1), (0, 1), (2, 1), (6, 1), (10, 1), (9, 1))),
    ],
    ids=["sale", "reserve"],
)
def test_a_copied_world_is_whole_and_shares_nothing(half: Half, acts: tuple[tuple[int, int], ...]) -> None:
    subject = stocked(half)
    for kind, occurrence in acts:
        before = deepcopy(subject.world)
        child, _ = subject.step(kind, occurrence)
        before.changes = subject.world.changes
        assert subject.world == before
        subject = child


@HALVES
def test_rule_5_every_refusal_free_order_of_a_multiset_ends_in_equal_totals(half: Half) -> None:
    report = walked(half)
    assert report.orders == half.orders()
    assert len(report.multisets) == half.multisets()
    assert report.contradictions == []


@HALVES
def test_rule_5_model_and_product_agree_on_what_each_multiset_ends_in(half: Half) -> None:
    product, model = walked(half, 4), walk(ModelSubject(half.steps()), half, 4)
    assert product.free == model.free
    assert {each: product.totals[each] for each in product.totals} == model.totals
