"""Contract section 5: of several codes that apply to one command, the first in the table is the command's. No I/O."""

import pytest

from stock_worker.core.model import MAX_COUNTER, Command, Line, Mode, MovementType
from stock_worker.core.refusals import Code
from stock_worker.core.state import World
from tests.core.shop import (
    DEFAULT,
    adjust,
    cancel,
    count,
    fulfil,
    give_back,
    item_key,
    line,
    locate,
    place,
    restock,
    run,
    spot,
    transfer,
    world,
)


def at(code: str, letter: str, quantity: int, **more: object) -> Line:
    """So many of an item at a location."""
    return line(letter, quantity)._replace(location_id=spot(code), **more)  # type: ignore[arg-type] # fields of a line


def shop() -> World:
    """10 of a at A, none of b, as many of f as there can be; an order O of 3 a; locations A, C (not in use) and D."""
    opened = locate(world(), "A", inactive=("C",))
    run(opened, restock(at("A", "a", 10), at("A", "f", 1), ref="opening"), place("O", at("A", "a", 3)))
    full = opened.items[item_key("f")]
    full.on_hand = full.places[spot("A")].on_hand = MAX_COUNTER
    return opened


STALE, FUTURE = {"expected_version": 9}, {"counted_at_version": 9}
BEYOND, NONE = line(None, 9, "1"), line(None, 1, "9")
ADJUST, DAMAGE, UNRESERVED = MovementType.ADJUSTMENT, MovementType.DAMAGE, MovementType.UNRESERVED

ROWS: list[tuple[str, str, Command]] = [
    ("reference_conflict", "order_already_placed", place("O", at("A", "a", 4))),
    ("order_already_placed", "unknown_location", place("O", at("X", "a", 99), ref="2")),
    ("order_already_placed", "insufficient_stock", place("O", line("a", 99, "1"), ref="2", amend=True)),
    ("unknown_line", "exceeds_placed", fulfil("O", BEYOND, NONE, ref="x")),
    ("unknown_line", "exceeds_cancellable", cancel("O", BEYOND, NONE, ref="x")),
    ("unknown_line", "exceeds_returnable", give_back("O", BEYOND, NONE, ref="x")),
    ("location_required", "unknown_location", count(at("X", "a", 1), line("b", 1), ref="x")),
    ("location_required", "unknown_version", count(line("a", 1, counted_at_version=9), ref="x")),
    ("unknown_location", "inactive_location", adjust(DAMAGE, at("C", "a", 1), at("X", "a", 1), ref="x")),
    ("unknown_location", "inactive_location", transfer(spot("C"), spot("X"), line("a", 1), ref="x")),
    ("inactive_location", "same_location", transfer(spot("C"), spot("C"), line("a", 1), ref="x")),
    ("inactive_location", "version_conflict", adjust(DAMAGE, at("C", "a", 1, **STALE), ref="x")),
    ("inactive_location", "unknown_version", count(at("A", "a", 1, **FUTURE), at("C", "b", 1), ref="x")),
    ("inactive_location", "insufficient_stock", place("P", at("A", "a", 99), at("C", "b", 1))),
    ("same_location", "insufficient_stock", transfer(spot("A"), spot("A"), line("a", 99), ref="x")),
    ("version_conflict", "insufficient_stock", adjust(DAMAGE, at("A", "a", 99), at("A", "b", 1, **STALE), ref="x")),
    ("version_conflict", "exceeds_reserved", adjust(UNRESERVED, at("A", "a", 1), at("A", "b", 1, **STALE), ref="x")),
    ("version_conflict", "counter_overflow", adjust(ADJUST, at("A", "f", 1, **STALE), ref="x")),
    ("insufficient_stock", "counter_overflow", adjust(ADJUST, at("A", "f", 1), at("A", "a", -99), ref="x")),
]


@pytest.mark.parametrize(("first", "second", "refused"), ROWS, ids=[f"{one} before {two}" for one, two, _ in ROWS])
def test_section_5_the_first_code_that_applies_wins(first: str, second: str, refused: Command) -> None:
    (outcome,) = run(shop(), refused)
    assert outcome.code is Code[first.upper()]
    assert Code[first.upper()] < Code[second.upper()]


@pytest.mark.parametrize("letter", ["a", "b"], ids=["stocked before", "never_stocked"])
def test_section_5_the_detail_of_insufficient_stock_says_whether_the_item_ever_moved(letter: str) -> None:
    (outcome,) = run(shop(), adjust(MovementType.SALE, at("A", letter, 99), ref="x"))
    (told,) = outcome.rejected
    assert (told.code, told.detail) == (Code.INSUFFICIENT_STOCK, "never_stocked" if letter == "b" else None)


def test_section_5_a_new_items_version_is_0_and_lines_are_compared_with_the_state_before_the_command() -> None:
    lines = [line("n", 1, expected_version=0), line("n", 1, expected_version=0)]
    first, second = run(shop(), adjust(ADJUST, *lines, ref="1"), adjust(ADJUST, *lines, ref="2"))
    assert (first.code, second.code) == (None, Code.VERSION_CONFLICT)
    assert [told.detail for told in second.rejected] == ["version is 2"] * 2


def test_section_5_a_counter_goes_to_its_bound_and_not_beyond() -> None:
    opened = world()
    run(opened, restock(line("a", 1), ref="1"))
    item = opened.items[item_key("a")]
    item.on_hand = item.places[DEFAULT].on_hand = MAX_COUNTER - 2
    just, beyond = run(opened, restock(line("a", 2), ref="2"), restock(line("a", 1), ref="3"))
    assert (just.code, beyond.code, item.on_hand) == (None, Code.COUNTER_OVERFLOW, 10**15)


def test_section_5_a_reservation_is_refused_in_the_same_order() -> None:
    asked = place("P", at("A", "a", 99), at("C", "a", 1), mode=Mode.RESERVE)
    (outcome,) = run(shop(), asked)
    assert outcome.code is Code.INACTIVE_LOCATION
    assert [told.code for told in outcome.rejected] == [Code.INSUFFICIENT_STOCK, Code.INACTIVE_LOCATION]
