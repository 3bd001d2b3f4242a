"""Rules 1, 5 and 6 by hand: in which order things may come, what waits, what ends, and what is only told."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.models.desk import Desk, X, answer, line, rows
from tests.models.orders import parts_of
from tests.models.words import Expected

Act = Callable[[Desk], Expected]


def reserved(desk: Desk, quantity: int = 4, hours: float = 1, **more: Any) -> Expected:  # noqa: ANN401 - any field
    """Reserve units of X as line 1 of the order O, for so long."""
    expires_at = desk.later(hours=hours).isoformat()
    return desk.place(line("X", quantity, line_id="1"), mode="reserve", expires_at=expires_at, **more)


def amended(desk: Desk, *lines: dict[str, Any], **more: Any) -> Expected:  # noqa: ANN401 - any field
    """Amend the order O."""
    return desk.place(*lines, amend=True, **more)


def late(desk: Desk) -> Expected:
    """Let an hour pass, and look whether the order's time is over."""
    desk.wait(hours=1)
    return desk.expire("O", desk.now)


def parts(desk: Desk, line_id: str = "1") -> tuple[int, ...]:
    """What became of a line's units: sold, cancelled, reserved, expired."""
    order = desk.orders["O"]
    return tuple(parts_of(order.lines[line_id], whole=order.whole))


def stocked() -> Desk:
    """A desk with 9 of X at the default."""
    desk = Desk()
    desk.stock(D=9)
    return desk


# ---------------------------------------------------------------- rule 1


def test_a_reference_is_remembered_with_what_it_meant() -> None:
    desk = stocked()
    value = {"reference_id": "r", "order_id": "O", "lines": [line("X", 2)]}
    assert desk.apply("order-placed", value, desk.now).outcome == "applied"
    assert desk.apply("order-placed", {**value, "mode": None, "note": "again"}, desk.now) == Expected("duplicate")
    assert desk.apply("order-placed", {**value, "mode": "sale"}, desk.now).code == "reference_conflict"
    assert desk.apply("restock", {"reference_id": "r", "lines": [line("X", 2)]}, desk.now).outcome == "applied"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"expires_at": "2026-03-01T18:00:00Z"}, {"expires_at": "2026-03-01T19:00:00+01:00"}, True),
        ({"expires_at": "2026-03-01T18:00:00Z"}, {}, False),
        (
            {"lines": [line("X", 1, location_ids=["A", "B", "A"])]},
            {"lines": [line("X", 1, location_ids=["b", "a"])]},
            True,
        ),
        ({"lines": [line("X", 1)]}, {"lines": [line("X", 1, line_id="1", reason="no")]}, True),
        ({"lines": [line("X", 1), line("Y", 1)]}, {"lines": [line("Y", 1), line("X", 1)]}, False),
    ],
)
def test_what_means_the_same(one: dict[str, Any], other: dict[str, Any], same: bool) -> None:
    desk = stocked()
    base = {"reference_id": "r", "order_id": "O", "lines": [line("X", 1)]}
    desk.apply("order-placed", {**base, **one}, desk.now)
    assert (desk.apply("order-placed", {**base, **other}, desk.now).outcome == "duplicate") == same


def test_a_refusal_sticks() -> None:
    desk = stocked()
    value = {"reference_id": "r", "order_id": "O", "lines": [line("X", 10)]}
    assert desk.apply("order-placed", value, desk.now).outcome == "rejected"
    desk.stock(D=1)
    assert desk.apply("order-placed", value, desk.now).outcome == "duplicate"
    assert desk.place(line("X", 10)).outcome == "applied"


# ---------------------------------------------------------------- rule 5, mode reserve


@pytest.mark.parametrize(
    ("acts", "outcome", "moves", "expected"),
    [
        # Of 4 reserved: what the last act moves, and then (sold, cancelled, reserved, expired).
        ([lambda d: d.fulfil(3)], "applied", [("unreserved", 3), ("sale", -3)], (3, 0, 1, 0)),
        ([lambda d: d.cancel(3)], "applied", [("unreserved", 3)], (0, 3, 1, 0)),
        (
            [lambda d: d.cancel(3), lambda d: d.fulfil(2)],
            "applied",
            [("unreserved", 1), ("sale", -1), ("sale", -1)],
            (2, 2, 0, 0),
        ),
        ([lambda d: d.fulfil(2), lambda d: d.give_back(1)], "applied", [("return", 1)], (2, 0, 2, 0)),
        ([lambda d: d.give_back(1), lambda d: d.fulfil(1)], "applied", [], (1, 0, 3, 0)),
        ([lambda d: d.give_back(1)], "applied", [("unreserved", 1), ("sale", -1), ("return", 1)], (1, 0, 3, 0)),
        ([lambda d: d.cancel_whole()], "applied", [("unreserved", 4)], (0, 4, 0, 0)),
        ([lambda d: d.cancel_whole(), lambda d: d.fulfil(1)], "applied", [("sale", -1)], (1, 3, 0, 0)),
        ([lambda d: d.cancel_whole(), lambda d: d.cancel(1)], "no_effect", [], (0, 4, 0, 0)),
        ([lambda d: d.cancel_whole(), lambda d: d.cancel_whole()], "no_effect", [], (0, 4, 0, 0)),
        ([lambda d: d.fulfil(4), lambda d: d.cancel_whole()], "no_effect", [], (4, 0, 0, 0)),
        ([lambda d: d.cancel(None)], "applied", [("unreserved", 4)], (0, 4, 0, 0)),
        ([lambda d: d.cancel(None), lambda d: d.cancel(None)], "no_effect", [], (0, 4, 0, 0)),
        ([late], "applied", [("unreserved", 4)], (0, 0, 0, 4)),
        ([lambda d: d.fulfil(1), late], "applied", [("unreserved", 3)], (1, 0, 0, 3)),
        ([late, late], "not_due", [], (0, 0, 0, 4)),
        ([late, lambda d: d.fulfil(3)], "applied", [("sale", -3)], (3, 0, 0, 1)),
        ([late, lambda d: d.cancel(3)], "applied", [], (0, 3, 0, 1)),
        ([late, lambda d: d.cancel(3), lambda d: d.fulfil(2)], "applied", [("sale", -2)], (2, 2, 0, 0)),
        ([late, lambda d: d.cancel_whole()], "applied", [], (0, 4, 0, 0)),
        ([late, lambda d: d.give_back(1)], "applied", [("sale", -1), ("return", 1)], (1, 0, 0, 3)),
        ([lambda d: d.fulfil(4), late], "not_due", [], (4, 0, 0, 0)),
        ([lambda d: d.expire("O", d.now)], "not_due", [], (0, 0, 4, 0)),
    ],
)
def test_a_reserved_line_is_a_function_of_its_totals(
    acts: list[Act], outcome: str, moves: list[tuple[str, int]], expected: tuple[int, ...]
) -> None:
    desk = stocked()
    reserved(desk)
    last = [act(desk) for act in acts][-1]
    assert (last.outcome, [(row.type, row.quantity) for row in last.moved]) == (outcome, moves)
    assert parts(desk) == expected
    assert desk.book.all_reserved(X) == expected[2]


@pytest.mark.parametrize(
    ("act", "refusal"),
    [
        (lambda d: d.fulfil(5), ("exceeds_placed", 1)),
        (lambda d: d.give_back(5), ("exceeds_returnable", 1)),
        (lambda d: d.cancel(5), ("exceeds_cancellable", 1)),
        (lambda d: [d.cancel(1), d.fulfil(1), d.cancel(3)][-1], ("exceeds_cancellable", 1)),
        (lambda d: [late(d), d.cancel(3), d.cancel(2)][-1], ("exceeds_cancellable", 1)),
        (lambda d: d.tell("order-fulfilled", {"line_id": "2", "quantity": 1}, order_id="O"), ("unknown_line", None)),
        (lambda d: d.tell("order-fulfilled", line("Y", 1, line_id="1"), order_id="O"), ("unknown_line", None)),
        (lambda d: d.place(line("X", 1)), None),
        (lambda d: amended(d, line("X", 1, line_id="1")), ("order_already_placed", None)),
        (lambda d: amended(d, line("X", 6, line_id="2")), ("insufficient_stock", 1)),
    ],
)
def test_what_is_refused_changes_nothing(act: Act, refusal: tuple[str, int | None] | None) -> None:
    desk = stocked()
    reserved(desk)
    told = act(desk)
    assert (answer(told) if told.failed else told.code) == (refusal or "order_already_placed")
    assert set(desk.orders["O"].lines) == {"1"}


# ---------------------------------------------------------------- what waits


def test_what_names_an_order_that_is_not_there_waits_for_it() -> None:
    desk = stocked()
    assert [each.outcome for each in (desk.fulfil(1), desk.cancel(2), amended(desk, line("X", 1, line_id="2")))] == [
        *["parked"] * 3
    ]
    assert reserved(desk, quantity=10).outcome == "rejected"
    placed = reserved(desk)
    assert [(reference[0], each.outcome) for reference, each in placed.followed] == [
        *(("fulfilment", "applied"), ("cancellation", "applied"), ("order", "applied"))
    ]
    assert (parts(desk), parts(desk, "2")) == ((1, 2, 1, 0), (0, 0, 1, 0))
    assert desk.waiting == {}


def test_what_waited_too_long_ends() -> None:
    desk = Desk()
    desk.fulfil(1)
    desk.tell("return-received", line("X", 2, line_id="1", location_id="Z"), order_id="O")
    desk.tell("return-received", {"line_id": "1", "quantity": 2}, order_id="O")
    ended = [desk.end_parked(reference, desk.now) for reference in list(desk.waiting)]
    assert [(each.outcome, each.code) for each in ended] == [
        *(("rejected", "order_never_placed"), ("applied", None), ("rejected", "order_never_placed"))
    ]
    assert rows(ended[1]) == [("Z", "return", 2)]


def test_a_whole_cancellation_comes_before_its_order() -> None:
    desk = stocked()
    assert desk.cancel_whole().outcome == "no_effect"
    assert desk.cancel(1).outcome == "parked"
    assert amended(desk, line("X", 1, line_id="2")).outcome == "parked"
    placed = reserved(desk, hours=-1)
    assert placed.outcome == "superseded"
    assert [each.outcome for _, each in placed.followed] == ["no_effect", "superseded"]
    assert reserved(desk).outcome == "superseded"
    assert (parts(desk), parts(desk, "2")) == ((0, 4, 0, 0), (0, 1, 0, 0))


# ---------------------------------------------------------------- rule 6


def test_a_reservation_that_is_past_when_it_arrives_moves_nothing() -> None:
    desk = stocked()
    desk.fulfil(1, "A")
    told = reserved(desk, hours=0, quantity=99)
    assert (told.outcome, told.moved) == ("expired", ())
    ((_, freed),) = told.followed
    assert rows(freed) == [("A", "sale", -1)]
    assert parts(desk) == (1, 0, 0, 98)
    assert amended(desk, line("X", 1, line_id="2")).outcome == "expired"
    assert amended(desk, line("X", 1, line_id="2")).code == "order_already_placed"
    assert reserved(desk).code == "order_already_placed"


def test_where_no_time_is_given_the_site_says_how_long() -> None:
    desk = stocked()
    desk.place(line("X", 1), mode="reserve", order_id="for ever")
    desk.set_settings({"reservation_ttl": 60, "mode": "reserve"})
    desk.place(line("X", 1))
    assert desk.orders["for ever"].expires_at is None
    assert desk.orders["O"].expires_at == desk.later(minutes=1)
    sale = desk.place(line("X", 1, line_id="1"), order_id="P", mode="sale", expires_at=desk.later(hours=-1).isoformat())
    assert (sale.outcome, desk.orders["P"].expires_at) == ("applied", None)
    assert desk.place(line("X", 1, line_id="2"), order_id="P", mode="reserve", amend=True).outcome == "applied"
    assert desk.orders["P"].expires_at == desk.later(minutes=1)
    desk.set_settings({"reservation_ttl": None})
    desk.place(line("X", 1, line_id="3"), order_id="P", mode="reserve", amend=True)
    assert desk.orders["P"].expires_at == desk.later(minutes=1)


@pytest.mark.parametrize(
    ("hours", "mode", "outcome", "moves_to"),
    [
        (2, None, "applied", 2),
        (2, "sale", "no_effect", 1),
        (1, None, "no_effect", 1),
        (None, None, "no_effect", 1),
        (0, None, "expired", 0),
        (-1, None, "expired", -1),
    ],
)
def test_an_amendment_without_lines_moves_the_time(
    hours: float | None, mode: str | None, outcome: str, moves_to: float
) -> None:
    desk = stocked()
    reserved(desk)
    expires_at = None if hours is None else desk.later(hours=hours).isoformat()
    told = amended(desk, mode=mode, expires_at=expires_at)
    assert (told.outcome, told.moved) == (outcome, ())
    assert desk.orders["O"].expires_at == desk.later(hours=moves_to)


def test_an_amendment_without_lines_needs_a_reservation_that_runs() -> None:
    desk = stocked()
    desk.place(line("X", 1, line_id="1"), order_id="sale")
    later = desk.later(hours=9).isoformat()
    assert desk.place(order_id="sale", mode="reserve", amend=True, expires_at=later).outcome == "no_effect"
    reserved(desk)
    late(desk)
    assert amended(desk, expires_at=later).outcome == "no_effect"


def test_an_amendment_that_is_past_still_ends_what_the_order_reserves() -> None:
    desk = stocked()
    reserved(desk)
    told = amended(desk, line("X", 99, line_id="2"), expires_at=desk.now.isoformat())
    assert (told.outcome, parts(desk, "2")) == ("expired", (0, 0, 0, 99))
    assert rows(desk.expire("O", desk.now)) == [("D", "unreserved", 4)]


def test_an_expiry_has_a_reference_of_its_own() -> None:
    desk = stocked()
    first = desk.later(hours=1)
    reserved(desk)
    desk.wait(hours=1)
    desk.expire("O", desk.now)
    assert ("expiry", "O@2026-03-01T13:00:00Z") in desk.known
    amended(desk, line("X", 1, line_id="2"), expires_at=desk.later(hours=1).isoformat())
    amended(desk, expires_at=first.isoformat())
    desk.wait(seconds=1.5)
    assert rows(desk.expire("O", desk.now)) == [("D", "unreserved", 1)]
    assert ("expiry", "O@2026-03-01T13:00:01.500000Z") in desk.known


def test_an_amendment_takes_its_own_mode_else_the_orders() -> None:
    desk = stocked()
    reserved(desk)
    assert rows(amended(desk, line("X", 1, line_id="2"))) == [("D", "reserved", -1)]
    assert rows(amended(desk, line("X", 1, line_id="3"), mode="sale")) == [("D", "sale", -1)]
    assert desk.orders["O"].mode == "reserve"
    desk.wait(hours=1)
    assert rows(desk.expire("O", desk.now)) == [("D", "unreserved", 4), ("D", "unreserved", 1)]
    assert amended(desk, line("X", 1, line_id="4"), mode="sale").outcome == "applied"
