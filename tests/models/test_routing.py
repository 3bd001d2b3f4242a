"""Rule 7 by hand: D has priority 0, A 1, B 2; C is not in use and Z is unknown."""

from typing import Any

import pytest

from tests.models.desk import Desk, X, answer, line, rows

ROUTES: list[tuple[str, dict[str, int], int, dict[str, Any], object]] = [
    # name, stock, backorder_limit, the line (its quantity first), parts or (code, shortfall)
    ("the first has it whole", {"D": 5, "A": 5}, 0, {"quantity": 3}, [("D", 3)]),
    ("a later one has it whole", {"D": 2, "A": 5}, 0, {"quantity": 3}, [("A", 3)]),
    ("each gives what it has", {"D": 2, "A": 2, "B": 2}, 0, {"quantity": 5}, [("D", 2), ("A", 2), ("B", 1)]),
    ("one over", {"D": 2, "A": 2, "B": 2}, 0, {"quantity": 7}, ("insufficient_stock", 1)),
    ("backorder on the default", {"A": 2, "B": 2}, 1, {"quantity": 5}, [("A", 2), ("B", 2), ("D", 1)]),
    ("one row for part and backorder", {"D": 2, "A": 2}, 2, {"quantity": 6}, [("D", 4), ("A", 2)]),
    ("backorder is bounded", {"D": 2, "A": 2}, 1, {"quantity": 6}, ("insufficient_stock", 1)),
    ("the named alone", {"D": 9, "A": 1}, 0, {"quantity": 2, "location_id": "A"}, ("insufficient_stock", 1)),
    ("the named one's backorder", {"D": 9, "A": 1}, 1, {"quantity": 2, "location_id": "A"}, [("A", 2)]),
    (
        "named before limited",
        {"D": 9, "A": 1},
        0,
        {"quantity": 1, "location_id": "A", "location_ids": ["D"]},
        [("A", 1)],
    ),
    ("limited", {"D": 9, "A": 1, "B": 1}, 0, {"quantity": 2, "location_ids": ["B", "A"]}, [("A", 1), ("B", 1)]),
    (
        "limited without backorder",
        {"D": 9, "A": 1},
        5,
        {"quantity": 3, "location_ids": ["A"]},
        ("insufficient_stock", 2),
    ),
    ("limited with backorder", {"D": 1, "A": 1}, 1, {"quantity": 3, "location_ids": ["A", "D"]}, [("D", 2), ("A", 1)]),
    ("limited to unknown", {"D": 9}, 0, {"quantity": 1, "location_ids": ["D", "Z"]}, ("unknown_location", None)),
    ("inactive is passed over", {"D": 9, "A": 1}, 0, {"quantity": 1, "location_ids": ["C", "A"]}, [("A", 1)]),
    ("inactive alone", {"D": 9}, 9, {"quantity": 1, "location_ids": ["C"]}, ("insufficient_stock", 1)),
    ("inactive named", {"D": 9}, 0, {"quantity": 1, "location_id": "C"}, ("inactive_location", None)),
    ("unknown named", {"D": 9}, 0, {"quantity": 1, "location_id": "Z"}, ("unknown_location", None)),
    ("safety stock", {"D": 3, "A": 3}, -2, {"quantity": 5}, ("insufficient_stock", 1)),
    ("up to the safety stock", {"D": 3, "A": 3}, -2, {"quantity": 4}, [("D", 3), ("A", 1)]),
]


@pytest.mark.parametrize(
    ("stock", "limit", "asked", "expected"), [row[1:] for row in ROUTES], ids=[r[0] for r in ROUTES]
)
@pytest.mark.parametrize("mode", ["sale", "reserve"])
def test_a_line_is_routed(
    mode: str, stock: dict[str, int], limit: int, asked: dict[str, Any], expected: object
) -> None:
    desk = Desk()
    desk.stock(**stock)
    desk.set_rule(("site",), {"backorder_limit": limit})
    told = desk.place(line("X", **asked), mode=mode)
    assert answer(told) == expected
    assert {row.type for row in told.moved} <= {"reserved" if mode == "reserve" else "sale"}


def test_what_one_location_owes_bounds_what_another_has() -> None:
    """D owes 3, A has 5: of the item there are 2, though A alone could give more."""
    desk = Desk()
    desk.set_rule(("site",), {"backorder_limit": 3})
    desk.place(line("X", 3))
    desk.stock(A=5)
    desk.set_rule(("site",), {"backorder_limit": 0})
    assert answer(desk.place(line("X", 3), order_id="P")) == ("insufficient_stock", 1)
    assert answer(desk.place(line("X", 2), order_id="Q")) == [("A", 2)]


def test_what_the_default_owes_leaves_less_room_for_a_backorder() -> None:
    """D owes 1 of 3, so that A's 2 and 2 more can be promised together."""
    desk = Desk()
    desk.set_rule(("site",), {"backorder_limit": 3})
    desk.place(line("X", 1))
    desk.stock(A=2)
    assert answer(desk.place(line("X", 5), order_id="P")) == ("insufficient_stock", 1)
    assert answer(desk.place(line("X", 4), order_id="Q")) == [("A", 2), ("D", 2)]


def test_lines_with_a_location_come_first_and_lines_add_up() -> None:
    """The second line takes A's three before the first is routed to what is left."""
    desk = Desk()
    desk.stock(D=1, A=4)
    told = desk.place(line("X", 2, line_id="1"), line("X", 3, line_id="2", location_id="A"))
    assert [(row.line_id, row.location, row.quantity) for row in told.moved] == [
        ("2", "A", -3),
        ("1", "D", -1),
        ("1", "A", -1),
    ]


def test_a_line_that_fails_takes_nothing_and_every_failing_one_is_told() -> None:
    desk = Desk()
    desk.stock(D=3)
    told = desk.place(line("X", 4), line("X", 3), line("X", 1), line("Y", 1))
    assert [(fail.position, fail.shortfall, fail.available, fail.detail) for fail in told.failed] == [
        (0, 1, 3, None),
        (2, 1, 0, None),
        (3, 1, 0, "never_stocked"),
    ]
    assert desk.book.available(X) == 3


def test_locations_of_equal_priority_go_by_code() -> None:
    desk = Desk()
    desk.set_location("A", priority=0, code="A2")
    desk.set_location("B", priority=0, code="A1")
    assert desk.book.routing() == ["B", "A", "D"]  # DEFAULT comes after A2


@pytest.mark.parametrize("place", ["Z", "C"])
@pytest.mark.parametrize(
    ("topic", "value"),
    [
        ("restock", {}),
        ("return-received", {}),
        ("stock-adjustment", {"type": "adjustment"}),
        ("stock-adjustment", {"type": "restock"}),
        ("stock-adjustment", {"type": "returned"}),
    ],
)
def test_an_inflow_opens_its_location_last_in_priority(place: str, topic: str, value: dict[str, Any]) -> None:
    desk = Desk()
    told = desk.tell(topic, line("X", 2, location_id=place), **value)
    assert [(row.location, row.quantity) for row in told.moved] == [(place, 2)]
    assert desk.book.routing() == ["D", "A", "B", place]


@pytest.mark.parametrize(("place", "code"), [("Z", "unknown_location"), ("C", "inactive_location")])
@pytest.mark.parametrize("kind", ["adjustment", "damage", "expired", "sale", "reserved", "unreserved"])
def test_an_outflow_opens_nothing(kind: str, place: str, code: str) -> None:
    desk = Desk()
    desk.stock(D=9)
    told = desk.tell("stock-adjustment", line("X", -1, location_id=place), type=kind)
    assert answer(told) == (code, None)
    assert not desk.book.active(place)


def test_lines_use_what_an_earlier_one_opened_unless_the_command_is_refused() -> None:
    desk = Desk()
    lines = line("X", 5, location_id="Z"), line("X", -3, location_id="Z")
    assert rows(desk.tell("stock-adjustment", *lines, type="adjustment")) == [
        ("Z", "adjustment", 5),
        ("Z", "adjustment", -3),
    ]
    lines = line("X", 5, location_id="Y"), line("X", -6, location_id="Y")
    assert answer(desk.tell("stock-adjustment", *lines, type="adjustment")) == ("insufficient_stock", 1)
    assert not desk.book.active("Y")


def test_a_location_goes_out_of_use_only_when_it_is_empty_and_the_default_never() -> None:
    desk = Desk()
    desk.stock(A=1)
    assert not desk.set_location("A", active=False)
    assert not desk.set_location("D", active=False)
    assert desk.set_location("B", active=False)
    assert not desk.set_default("B")
    assert desk.set_default("A")
    assert answer(desk.place(line("X", 1))) == [("A", 1)]
