"""Rule 9 by hand: a count undoes nothing that happened while it was on its way."""

from typing import Any

import pytest

from tests.models.desk import Desk, X, answer, line, rows
from tests.models.trial import Line

AT = {"location_id": "D"}


def counted(desk: Desk, many: int, version: int | None = None, **more: Any) -> object:  # noqa: ANN401 - any field of a line
    """Tell a count of X at the default; return how it changed on_hand, or what it was answered."""
    asked: Line = {"product_id": "X", "counted": many, **AT, **more}
    if version is not None:
        asked["counted_at_version"] = version
    told = desk.tell("stock-count", asked)
    return told.moved[0].quantity if told.moved else told.code or told.outcome


def desk_with_history() -> Desk:
    """Of X at D: 10 (version 1), sold 3 (2), at A 4 (3), a count finds 9 (4), damaged 1 (5): on hand are 8."""
    desk = Desk()
    desk.stock(D=10)
    desk.place(line("X", 3, **AT))
    desk.stock(A=4)
    assert counted(desk, 9) == 2
    desk.tell("stock-adjustment", line("X", 1), type="damage")
    assert desk.book.on_hand[X, "D"] == 8
    return desk


@pytest.mark.parametrize(
    ("many", "version", "expected"),
    [
        (8, None, "no_effect"),
        (5, None, -3),
        (0, None, -8),
        (9, 5, 1),
        # At version 4 there were 9, and 1 was damaged since.
        (9, 4, "no_effect"),
        (10, 4, 1),
        # At versions 2 and 3 there were 7, and a count has corrected 2 since.
        (7, 3, -2),
        (9, 3, "no_effect"),
        (9, 2, "no_effect"),
        (8, 2, -1),
        # At version 1 there were 10.
        (12, 1, "no_effect"),
        (10, 1, -2),
        # Before the first there was nothing.
        (2, 0, "no_effect"),
        (0, 0, -2),
        (1, 6, "unknown_version"),
    ],
)
def test_a_count_corrects_what_was_wrong_when_the_counter_looked(
    many: int, version: int | None, expected: object
) -> None:
    assert counted(desk_with_history(), many, version) == expected


def test_a_version_more_than_100_000_back_is_unknown() -> None:
    desk = desk_with_history()
    desk.ledger[X] += desk.ledger[X][-1:] * 100_000
    assert counted(desk, 0, 4) == "unknown_version"
    assert counted(desk, 0, 5) != "unknown_version"


def test_two_lines_that_come_to_one_place_are_decided_one_after_the_other() -> None:
    """The first corrects by 2; of the second's 3 that is part, and versions are those before the command."""
    desk = Desk()
    for name in "AB":
        desk.set_location(name, active=False)
    desk.stock(D=5)
    told = desk.tell(
        "stock-count",
        {"product_id": "X", "counted": 8, "counted_at_version": 1},
        {"product_id": "X", "counted": 7, "location_id": "D"},
    )
    assert rows(told) == [("D", "adjustment", 2), ("D", "adjustment", 1)]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"counted": 1}, "location_required"),
        ({"counted": 1, "location_id": "C"}, "inactive_location"),
        ({"counted": 1, "location_id": "Z"}, "unknown_location"),
        ({"counted": 1, "location_id": "A", "counted_at_version": 9}, "unknown_version"),
    ],
)
def test_a_count_says_where_and_opens_nothing(asked: dict[str, Any], code: str) -> None:
    desk = Desk()
    desk.stock(D=5)
    told = desk.tell("stock-count", {"product_id": "X", **asked}, {"product_id": "X", "counted": 5, **AT})
    assert answer(told) == (code, None)
    assert (desk.book.routing(), desk.counted_at) == (["D", "A", "B"], {})


def test_a_site_with_one_active_location_need_not_name_it() -> None:
    desk = Desk()
    for name in "AB":
        desk.set_location(name, active=False)
    assert rows(desk.tell("stock-count", {"product_id": "X", "counted": 3})) == [("D", "adjustment", 3)]


def test_when_was_counted_is_kept_even_if_nothing_was_wrong() -> None:
    desk = Desk()
    assert counted(desk, 0) == "no_effect"
    assert desk.counted_at == {(X, "D"): desk.now}
    assert desk.version(X) == 0


def test_a_count_may_leave_less_than_nothing() -> None:
    """Of 5 seen, 5 were sold meanwhile; the counter saw only 3."""
    desk = Desk()
    desk.stock(D=5)
    desk.place(line("X", 5, **AT))
    assert counted(desk, 3, 1) == -2
    assert desk.book.available(X) == -2


def test_a_reservation_does_not_touch_what_is_counted() -> None:
    desk = Desk()
    desk.stock(D=5)
    desk.place(line("X", 2, **AT), mode="reserve")
    assert counted(desk, 5) == "no_effect"
    assert counted(desk, 4) == -1
    assert desk.book.available(X) == 2
