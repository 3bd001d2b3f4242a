"""Contract rule 4 with a negative backorder_limit: safety stock, which no promise may touch. Tables; no I/O."""

import pytest

from stock_worker.core.model import Line, Mode, MovementType, OutcomeKind
from stock_worker.core.refusals import Code
from stock_worker.core.state import World
from tests.core.shop import adjust, hold_to, line, locate, place, restock, run, spot, transfer, world


def at(code: str | None, quantity: int) -> Line:
    """So many of item a at a location."""
    return line("a", quantity)._replace(location_id=spot(code) if code else None)


def shop(*codes: str) -> World:
    """Five of item a at each of these locations, of which four are safety stock."""
    opened = hold_to(locate(world(), *(code for code in codes if code != "D")), "a", backorder_limit=-4)
    run(opened, restock(*(at(code, 5) for code in codes), ref="opening"))
    return opened


@pytest.mark.parametrize("mode", [Mode.SALE, Mode.RESERVE])
@pytest.mark.parametrize(
    ("codes", "named", "most"),
    [("D", None, 1), ("D", "D", 1), ("AB", "A", 5), ("AB", None, 6)],
    ids=["one location", "named", "what other locations have is safety too", "routed"],
)
def test_rule_4_safety_stock_is_kept(codes: str, named: str | None, most: int, mode: Mode) -> None:
    opened = shop(*codes)
    if named == "A":
        run(opened, adjust(MovementType.DAMAGE, at("B", 4), ref="d"))  # 6 in all: two of A's five may go
        most = 2
    more, just = run(opened, place("O", at(named, most + 1), mode=mode), place("P", at(named, most), mode=mode))
    assert (more.code, just.kind) == (Code.INSUFFICIENT_STOCK, OutcomeKind.APPLIED)
    assert more.rejected[0].shortfall == 1


@pytest.mark.parametrize("kind", [MovementType.SALE, MovementType.RESERVED])
def test_rule_4_safety_stock_is_kept_from_sales_and_holds_by_hand(kind: MovementType) -> None:
    more, just = run(shop("D"), adjust(kind, at("D", 2), ref="2"), adjust(kind, at("D", 1), ref="1"))
    assert (more.code, just.kind) == (Code.INSUFFICIENT_STOCK, OutcomeKind.APPLIED)


def test_rule_4_safety_stock_is_the_items_and_not_each_locations() -> None:
    (outcome,) = run(shop("A", "B"), place("O", at("A", 5)))
    assert outcome.kind is OutcomeKind.APPLIED, "five are left at B, and four are to be kept"


def test_rule_4_facts_and_transfers_know_no_safety_stock() -> None:
    opened = shop("A", "B")
    outcomes = run(
        opened,
        transfer(spot("A"), spot("B"), line("a", 5), ref="t"),
        adjust(MovementType.DAMAGE, at("B", 10), ref="d"),
    )
    assert [outcome.kind for outcome in outcomes] == [OutcomeKind.APPLIED] * 2
