"""Where the units of an order go, by hand: given back last in first out, sold again where they were given back."""

from typing import Any

import pytest

from tests.models.desk import Desk, X, line, rows

Step = tuple[Any, ...]


def desk_with(mode: str, **stock: int) -> Desk:
    """A desk with stock, and an order O for as much as there is, with 2 more as a backorder."""
    desk = Desk()
    desk.stock(**stock)
    desk.set_rule(("site",), {"backorder_limit": 2})
    expires_at = desk.later(hours=1).isoformat()
    desk.place(line("X", sum(stock.values()) + 2, line_id="1"), mode=mode, expires_at=expires_at)
    return desk


@pytest.mark.parametrize(("mode", "kind"), [("sale", "sale"), ("reserve", "unreserved")])
@pytest.mark.parametrize(
    ("quantity", "expected"),
    [
        # D gave 3, then A 2, then D is to get 2 more: 2 of D, 2 of A, 3 of D from the end.
        (1, [("D", 1)]),
        (2, [("D", 2)]),
        (3, [("D", 2), ("A", 1)]),
        (4, [("D", 2), ("A", 2)]),
        (6, [("D", 4), ("A", 2)]),
        (None, [("D", 5), ("A", 2)]),
    ],
)
def test_a_cancellation_gives_back_what_was_taken_last(
    mode: str, kind: str, quantity: int | None, expected: list[tuple[str, int]]
) -> None:
    told = desk_with(mode, D=3, A=2).cancel(quantity)
    assert rows(told) == [(place, kind, many) for place, many in expected]


def test_what_was_sold_at_a_location_now_closed_goes_to_the_default() -> None:
    desk = Desk()
    desk.stock(A=2)
    desk.place(line("X", 2, line_id="1"))
    assert desk.set_location("A", active=False)
    assert rows(desk.cancel(1)) == [("D", "sale", 1)]
    assert rows(desk.give_back(1)) == [("D", "return", 1)]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        # The order has D 3, A 2, D 2 reserved, the oldest first.
        ([("fulfil", 2)], [("D", "unreserved", 2), ("D", "sale", -2)]),
        ([("fulfil", 4)], [*(("D", "unreserved", 3), ("D", "sale", -3)), *(("A", "unreserved", 1), ("A", "sale", -1))]),
        ([("fulfil", 7)], [*(("D", "unreserved", 5), ("D", "sale", -5)), *(("A", "unreserved", 2), ("A", "sale", -2))]),
        ([("fulfil", 1, "A")], [("A", "unreserved", 1), ("A", "sale", -1)]),
        (
            [("fulfil", 3, "A")],
            [*(("A", "unreserved", 2), ("A", "sale", -2)), *(("D", "unreserved", 1), ("A", "sale", -1))],
        ),
        ([("fulfil", 1, "B")], [("D", "unreserved", 1), ("B", "sale", -1)]),
        ([("fulfil", 1, "C")], [("D", "unreserved", 1), ("D", "sale", -1)]),
        ([("fulfil", 1, "Z")], [("D", "unreserved", 1), ("D", "sale", -1)]),
        ([("give_back", 1)], [*(("D", "unreserved", 1), ("D", "sale", -1)), ("D", "return", 1)]),
        ([("give_back", 1, "B")], [*(("D", "unreserved", 1), ("D", "sale", -1)), ("B", "return", 1)]),
        ([("fulfil", 1, "A"), ("give_back", 1)], [("A", "return", 1)]),
        ([("fulfil", 1, "A"), ("fulfil", 1, "B"), ("give_back", 2)], [("B", "return", 1), ("A", "return", 1)]),
        ([("fulfil", 2, "A"), ("give_back", 1, "Z"), ("give_back", 1)], [("A", "return", 1)]),
    ],
)
def test_a_reservation_is_released_where_it_is_held_and_sold_where_it_left(
    steps: list[Step], expected: list[tuple[str, str, int]]
) -> None:
    desk = desk_with("reserve", D=3, A=2)
    *before, last = [getattr(desk, name)(*how) for name, *how in steps]
    assert all(each.outcome == "applied" for each in before)
    assert rows(last) == expected


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        # Of A's 2 and B's 2, all cancelled: B's were given back first, and so A's leave first.
        ([("fulfil", 1)], [("A", "sale", -1)]),
        ([("fulfil", 3)], [("A", "sale", -2), ("B", "sale", -1)]),
        ([("fulfil", 1, "D")], [("D", "sale", -1)]),
        ([("fulfil", 1, "Z")], [("A", "sale", -1)]),
        ([("fulfil", 1, "D"), ("fulfil", 2)], [("A", "sale", -1), ("B", "sale", -1)]),
        ([("give_back", 1, "D")], [("A", "sale", -1), ("D", "return", 1)]),
        ([("fulfil", 4)], [("A", "sale", -2), ("B", "sale", -2)]),
    ],
)
@pytest.mark.parametrize("way", ["cancelled", "expired"])
def test_units_no_longer_held_are_sold_where_the_sender_says_else_where_they_were_given_back(
    way: str, steps: list[Step], expected: list[tuple[str, str, int]]
) -> None:
    desk = Desk()
    desk.stock(A=2, B=2)
    desk.place(line("X", 4, line_id="1"), mode="reserve", expires_at=desk.later(hours=1).isoformat())
    if way == "cancelled":
        assert rows(desk.cancel(4)) == [("B", "unreserved", 2), ("A", "unreserved", 2)]
    else:
        desk.wait(hours=1)
        assert rows(desk.expire("O", desk.now)) == [("B", "unreserved", 2), ("A", "unreserved", 2)]
    assert rows([getattr(desk, name)(*how) for name, *how in steps][-1]) == expected


@pytest.mark.parametrize(
    ("location", "expected"),
    [({}, "D"), ({"location_id": "A"}, "A"), ({"location_id": "C"}, "D"), ({"location_id": "Z"}, "D")],
)
def test_units_that_nobody_ever_held_are_sold_at_the_lines_own_location(
    location: dict[str, str], expected: str
) -> None:
    desk = Desk()
    desk.cancel_whole()
    assert desk.place(line("X", 2, line_id="1", **location)).outcome == "superseded"
    assert rows(desk.fulfil(1)) == [(expected, "sale", -1)]


def test_a_sale_does_not_care_from_where_it_left() -> None:
    desk = Desk()
    desk.stock(A=2)
    desk.place(line("X", 2, line_id="1"))
    desk.cancel(2)
    assert rows(desk.fulfil(1, "B")) == [("A", "sale", -1)]


def test_a_fulfilment_takes_held_units_first_and_then_what_was_given_back() -> None:
    """Two of three are still reserved at A, one was cancelled: all three left."""
    desk = Desk()
    desk.stock(A=3)
    desk.place(line("X", 3, line_id="1"), mode="reserve")
    desk.cancel(1)
    assert rows(desk.fulfil(3, "B")) == [("A", "unreserved", 2), ("B", "sale", -2), ("B", "sale", -1)]
    assert (desk.book.all_on_hand(X), desk.book.all_reserved(X)) == (0, 0)
    assert (desk.book.on_hand[X, "A"], desk.book.on_hand[X, "B"]) == (3, -3)


def test_damaged_goods_leave_where_they_came_back() -> None:
    desk = Desk()
    desk.stock(A=2, B=1)
    desk.place(line("X", 3, line_id="1"))
    assert rows(desk.give_back(2, condition="damaged")) == [
        *(("B", "return", 1), ("B", "damage", -1)),
        *(("A", "return", 1), ("A", "damage", -1)),
    ]


def test_units_that_came_back_are_not_cancelled_where_they_were() -> None:
    """B's unit came back; the three left to cancel are A's."""
    desk = Desk()
    desk.stock(A=3, B=1)
    desk.place(line("X", 4, line_id="1"))
    assert rows(desk.give_back(1)) == [("B", "return", 1)]
    assert rows(desk.cancel(None)) == [("A", "sale", 3)]
