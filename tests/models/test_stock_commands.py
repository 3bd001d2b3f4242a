"""Rules 3, 4, 8 and 11 by hand: bounds, holds, transfers, and items whose stock is not kept."""

from typing import Any

import pytest

from tests.models.desk import Desk, X, answer, line, rows
from tests.models.words import Expected


def adjusted(desk: Desk, kind: str, quantity: int, place: str | None = None, **more: Any) -> Expected:  # noqa: ANN401
    """Adjust X, at a location or at none in particular."""
    where = {} if place is None else {"location_id": place}
    return desk.tell("stock-adjustment", line("X", quantity, **where, **more), type=kind)


@pytest.mark.parametrize(
    ("kind", "most"),
    [
        # D has 5 of which 4 are reserved, A has 3: of the item 4 are available, and 2 more may be promised.
        ("damage", 5),
        ("expired", 5),
        ("adjustment", 5),
        ("sale", 3),
        ("reserved", 3),
    ],
)
def test_facts_are_bounded_by_what_is_there_and_promises_by_what_is_available(kind: str, most: int) -> None:
    for quantity, well in ((most, True), (most + 1, False)):
        desk = Desk()
        desk.stock(D=5, A=3)
        desk.set_rule(("site",), {"backorder_limit": 2})
        desk.place(line("X", 4, location_id="D"), mode="reserve")
        told = adjusted(desk, kind, -quantity)
        assert answer(told) == ([("D", most)] if well else ("insufficient_stock", 1))
        if not well:
            assert told.failed[0].available == 4


def test_a_negative_limit_bounds_the_item_and_not_its_locations() -> None:
    desk = Desk()
    desk.stock(D=2, A=5)
    desk.set_rule(("site",), {"backorder_limit": -5})
    assert answer(adjusted(desk, "sale", 2, "D")) == [("D", 2)]
    assert answer(adjusted(desk, "sale", 1, "A")) == ("insufficient_stock", 1)
    assert answer(adjusted(desk, "damage", 5, "A")) == [("A", 5)]


def test_each_line_stands_alone_where_the_sender_says_so() -> None:
    desk = Desk()
    desk.stock(D=3)
    lines = line("X", 2), line("X", 2), line("X", 1, expected_version=9), line("X", 1, expected_version=1)
    told = desk.tell("stock-adjustment", *lines, type="sale", atomic=False)
    assert (told.outcome, told.code, rows(told)) == (
        *("partly_applied", "version_conflict"),
        [("D", "sale", -2), ("D", "sale", -1)],
    )
    assert [(fail.position, fail.code) for fail in told.failed] == [(1, "insufficient_stock"), (2, "version_conflict")]
    none = desk.tell("stock-adjustment", *lines[1:3], type="sale", atomic=False)
    assert (none.outcome, none.code) == ("rejected", "version_conflict")


def test_a_counter_has_bounds() -> None:
    desk = Desk()
    desk.stock(D=10**15 - 1)
    assert answer(adjusted(desk, "restock", 2)) == ("counter_overflow", None)
    desk.place(line("X", 1, line_id="1"))
    desk.stock(D=2)
    assert desk.cancel_whole().code == "counter_overflow"
    assert not desk.orders["O"].whole


# ---------------------------------------------------------------- rule 8


def test_holds_are_released_in_routing_order_and_orders_are_left_alone() -> None:
    desk = Desk()
    desk.stock(D=1, A=5, B=5)
    desk.place(line("X", 1, location_id="A"), mode="reserve")
    assert rows(adjusted(desk, "reserved", 2, "B")) == [("B", "reserved", -2)]
    adjusted(desk, "reserved", 3, "A")
    assert answer(adjusted(desk, "unreserved", 6)) == ("exceeds_reserved", 1)
    assert answer(adjusted(desk, "unreserved", 3, "B")) == ("exceeds_reserved", 1)
    assert rows(adjusted(desk, "unreserved", 4)) == [("A", "unreserved", 3), ("B", "unreserved", 1)]
    assert rows(adjusted(desk, "unreserved", 1, "B")) == [("B", "unreserved", 1)]
    assert (desk.book.all_reserved(X), sum(desk.book.held.values())) == (1, 0)


# ---------------------------------------------------------------- transfers


@pytest.mark.parametrize(
    ("source", "target", "quantity", "expected"),
    [
        ("D", "A", 3, [("D", 3), ("A", -3)]),
        ("D", "A", 4, ("insufficient_stock", 1)),
        ("A", "D", 1, ("insufficient_stock", 1)),
        ("D", "D", 1, ("same_location", None)),
        ("Z", "Z", 1, ("unknown_location", None)),
        ("D", "Z", 1, ("unknown_location", None)),
        ("C", "Z", 1, ("unknown_location", None)),
        ("C", "D", 1, ("inactive_location", None)),
        ("D", "C", 9, ("inactive_location", None)),
    ],
)
def test_a_transfer_asks_only_that_its_source_has_it(source: str, target: str, quantity: int, expected: object) -> None:
    desk = Desk()
    desk.stock(D=5)
    desk.set_rule(("site",), {"backorder_limit": 50})
    desk.place(line("X", 2, location_id="D"), mode="reserve")
    lines = line("X", quantity, location_id="B"), line("X", quantity)
    told = desk.tell("stock-transfer", lines[0], from_location_id=source, to_location_id=target)
    assert answer(told) == expected
    if told.code in ("same_location", "unknown_location"):
        told = desk.tell("stock-transfer", *lines, from_location_id=source, to_location_id=target)
        assert [fail.position for fail in told.failed] == [0, 1]


# ---------------------------------------------------------------- rule 11


def untracked() -> Desk:
    """A desk with 9 of X, which is tracked, and U, which is not."""
    desk = Desk()
    desk.stock(D=9)
    desk.tell("product-changed", product_id="U", revision=1, status="active", track_inventory=False)
    return desk


@pytest.mark.parametrize(
    ("topic", "value", "more"),
    [
        ("restock", {}, {"location_id": "Z"}),
        ("return-received", {}, {}),
        ("stock-adjustment", {"type": "sale"}, {"location_id": "C", "expected_version": 5}),
        ("stock-adjustment", {"type": "unreserved"}, {}),
        ("stock-count", {}, {"counted": 5}),
        ("stock-transfer", {"from_location_id": "D", "to_location_id": "A"}, {}),
        ("order-placed", {"order_id": "O"}, {"location_id": "Z"}),
        ("order-placed", {"order_id": "O", "mode": "reserve"}, {"location_ids": ["Z"]}),
    ],
)
def test_untracked_lines_are_accepted_and_move_nothing(topic: str, value: dict[str, Any], more: dict[str, Any]) -> None:
    desk = untracked()
    told = desk.tell(topic, line("U", 5, **more), **value)
    assert told == Expected("no_effect")
    assert (desk.book.routing(), desk.counted_at, desk.version(("U", None))) == (["D", "A", "B"], {}, 0)


def test_a_line_remembers_whether_it_was_placed_tracked() -> None:
    desk = untracked()
    desk.place(line("X", 2, line_id="1"), line("U", 2, line_id="2"))
    for product, tracked in (("X", False), ("U", True)):
        desk.tell("product-changed", product_id=product, revision=2, status="active", track_inventory=tracked)
    both = {"line_id": "1", "quantity": 1}, {"line_id": "2", "quantity": 1}
    assert rows(desk.tell("order-cancelled", *both, order_id="O")) == [("D", "sale", 1)]
    assert rows(desk.tell("return-received", *both, order_id="O")) == [("D", "return", 1)]
    assert desk.tell("order-cancelled", both[1], order_id="O").code == "exceeds_cancellable"
    assert desk.tell("order-fulfilled", both[1], order_id="O").outcome == "no_effect"
    assert desk.cancel_whole().outcome == "no_effect"
    assert desk.orders["O"].whole
    assert rows(desk.tell("return-received", line("U", 1))) == [("D", "return", 1)]


def test_what_is_left_of_an_untracked_line_is_cancelled_without_effect() -> None:
    desk = untracked()
    desk.place(line("U", 2, line_id="1"))
    assert desk.cancel_whole().outcome == "no_effect"
    assert desk.place(line("X", 1), amend=True).outcome == "superseded"


def test_an_untracked_line_is_accepted_beside_one_that_fails() -> None:
    desk = untracked()
    told = desk.tell("stock-adjustment", line("U", 5), line("X", 10), type="sale", atomic=False)
    assert (told.outcome, told.moved, told.failed[0].position) == ("partly_applied", (), 1)
