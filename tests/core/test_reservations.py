"""Contract rules 5 and 6 in mode reserve, and rule 8: what is held, filled, given back and lapses. Tables; no I/O."""

import pytest

from stock_worker.core.model import Command, Mode, MovementType, OutcomeKind
from stock_worker.core.policy import Settings
from stock_worker.core.refusals import Code
from stock_worker.core.state import World
from tests.core.shop import (
    SITE,
    adjust,
    cancel,
    cancel_whole,
    expire_at,
    fulfil,
    give_back,
    hold_to,
    item_key,
    line,
    locate,
    moved,
    place,
    placed,
    reserve,
    restock,
    run,
    spot,
    stock,
    there,
    world,
)

APPLIED, NO_EFFECT, EXPIRED = OutcomeKind.APPLIED, OutcomeKind.NO_EFFECT, OutcomeKind.EXPIRED
SUPERSEDED, REJECTED = OutcomeKind.SUPERSEDED, OutcomeKind.REJECTED
HELD = reserve("O", line("a", 6), after_s=60)


def shop(*before: Command, units: int = 10) -> World:
    opened = world()
    run(opened, restock(line("a", units), ref="opening"), *before)
    return opened


def counters(opened: World) -> tuple[int, int]:
    item = opened.items[item_key("a")]
    return item.on_hand, item.reserved


# ------------------------------------------------------------------ rule 5, mode reserve


@pytest.mark.parametrize(
    ("commands", "rows", "after"),
    [
        ((HELD,), [("reserved", -6)], (10, 6)),
        (
            (HELD, fulfil("O", line("a", 4), ref="f")),
            [("unreserved", 4), ("sale", -4)],
            (6, 2),
        ),
        ((HELD, cancel("O", line("a", 2), ref="c")), [("unreserved", 2)], (10, 4)),
        ((HELD, cancel_whole("O")), [("unreserved", 6)], (10, 0)),
        (
            (HELD, give_back("O", line("a", 1), ref="r")),
            [("unreserved", 1), ("sale", -1), ("return", 1)],
            (10, 5),
        ),
        (
            (HELD, fulfil("O", line("a", 1), ref="f"), give_back("O", line("a", 1, damaged=True), ref="r")),
            [("return", 1), ("damage", -1)],
            (9, 5),
        ),
        ((HELD, cancel_whole("O"), fulfil("O", line("a", 2), ref="f")), [("sale", -2)], (8, 0)),
        (
            (HELD, cancel("O", line("a", 5), ref="c"), fulfil("O", line("a", 3), ref="f")),
            [("unreserved", 1), ("sale", -1), ("sale", -2)],
            (7, 0),
        ),
    ],
    ids=[
        "placed",
        "fulfilled",
        "cancelled by name",
        "cancelled whole",
        "returned before it was fulfilled",
        "damaged goods come back",
        "left although it was cancelled",
        "left in part although it was cancelled",
    ],
)
def test_rule_5_a_reservation_moves_the_step_from_state_to_state(
    commands: tuple[Command, ...], rows: list[tuple[str, int]], after: tuple[int, int]
) -> None:
    opened = shop()
    *_, last = run(opened, *commands)
    assert moved(last) == rows
    assert counters(opened) == after


def test_rule_5_what_left_beyond_what_is_held_is_sold_in_one_command() -> None:
    """Three leave of a line of which one is still held: one is unreserved and sold, two are sold."""
    opened = shop(HELD, cancel("O", line("a", 5), ref="c"))
    (outcome,) = run(opened, fulfil("O", line("a", 3), ref="f"))
    assert moved(outcome)[0][0] == "unreserved"
    assert sum(quantity for kind, quantity in moved(outcome) if kind == "sale") == -3


def test_rule_4_a_reservation_is_a_promise() -> None:
    opened = shop(HELD)
    (outcome,) = run(opened, reserve("P", line("a", 5)))
    assert (outcome.kind, outcome.code) == (REJECTED, Code.INSUFFICIENT_STOCK)
    assert (outcome.rejected[0].available, outcome.rejected[0].shortfall) == (4, 1)


def test_c10_an_amendment_takes_its_own_mode_else_the_orders() -> None:
    opened = shop(HELD)
    outcomes = run(
        opened,
        place("O", line("a", 1, line_id="x"), ref="1", amend=True),
        place("O", line("a", 1, line_id="y"), ref="2", amend=True, mode=Mode.SALE),
    )
    assert [moved(outcome) for outcome in outcomes] == [[("reserved", -1)], [("sale", -1)]]


def test_section_3_without_a_mode_and_a_time_the_site_decides() -> None:
    opened = shop()
    opened.sites[SITE].settings = Settings(mode=Mode.RESERVE, reservation_ttl=90)
    run(opened, place("O", line("a", 1)))
    (order,) = opened.orders.values()
    assert order.mode is Mode.RESERVE
    assert order.expires_at is not None
    assert (order.expires_at - opened.recorded_at).total_seconds() == 90
    assert order.due_at == order.expires_at


# ------------------------------------------------------------------ rule 6: time


def test_rule_6_what_is_still_reserved_is_given_back_at_its_time() -> None:
    opened = shop(HELD, fulfil("O", line("a", 1), ref="f"), cancel("O", line("a", 2), ref="c"))
    outcome = expire_at(opened, "O", 60)
    assert outcome is not None
    assert (outcome.kind, moved(outcome)) == (APPLIED, [("unreserved", 3)])
    (row,) = outcome.movements
    assert (row.command.reference.type, row.command.reference.id) == ("expiry", "O@2026-03-01T12:01:00Z")
    assert counters(opened) == (9, 0)
    (order,) = opened.orders.values()
    assert order.due_at is None


@pytest.mark.parametrize(
    ("before", "after_s"),
    [((), 59.9), ((cancel_whole("O"),), 61), ((fulfil("O", line("a", 6), ref="f"),), 61)],
    ids=["too early", "nothing left: cancelled", "nothing left: fulfilled"],
)
def test_c31_an_expiry_that_is_not_due_writes_no_reference(before: tuple[Command, ...], after_s: float) -> None:
    opened = shop(HELD, *before)
    known = set(opened.references)
    assert expire_at(opened, "O", after_s) is None
    assert set(opened.references) == known


def test_rule_6_already_past_on_arrival_is_expired_and_moves_nothing() -> None:
    opened = shop()
    early, late, again, left = run(
        opened,
        reserve("O", line("a", 6), after_s=0),
        fulfil("O", line("a", 2), ref="f"),
        reserve("O", line("a", 6), after_s=60, ref="again"),
        cancel("O", line(line_id="1"), ref="c"),
    )
    assert (early.kind, early.movements) == (EXPIRED, ())
    assert moved(late) == [("sale", -2)], "it counts as placed, and goods that left have left"
    assert again.code is Code.ORDER_ALREADY_PLACED
    assert (left.kind, left.movements) == (APPLIED, ()), "C3: what expired can still be cancelled, and nothing moves"


def test_c3_a_whole_cancellation_after_expiry_is_applied_and_moves_nothing() -> None:
    opened = shop(HELD)
    expire_at(opened, "O", 60)
    (outcome,) = run(opened, cancel_whole("O"))
    assert (outcome.kind, outcome.movements) == (APPLIED, ())


def test_c6_superseded_comes_before_expired_and_expired_after_already_placed() -> None:
    opened = shop(cancel_whole("O"), place("P", line("a", 1)))
    outcomes = run(opened, reserve("O", line("a", 1), after_s=0), reserve("P", line("a", 1), after_s=0, ref="p2"))
    assert [outcome.kind for outcome in outcomes] == [SUPERSEDED, REJECTED]


def test_rule_5_an_amendment_may_give_another_time() -> None:
    opened = shop(HELD)
    (outcome,) = run(opened, reserve("O", after_s=120, ref="longer", amend=True))
    assert (outcome.kind, outcome.movements) == (APPLIED, ())
    assert expire_at(opened, "O", 100) is None
    assert expire_at(opened, "O", 120) is not None


def test_c11_lines_that_expired_stay_expired() -> None:
    opened = shop(HELD)
    expire_at(opened, "O", 60)
    (outcome,) = run(opened, reserve("O", line("a", 2, line_id="new"), after_s=200, ref="more", amend=True))
    assert moved(outcome) == [("reserved", -2)]
    assert counters(opened) == (10, 2)
    (order,) = opened.orders.values()
    assert [kept.expired for kept in order.lines.values()] == [True, False]


def test_a30_a_time_that_came_back_expires_under_the_moment_of_its_decision() -> None:
    opened = shop(HELD)
    first = expire_at(opened, "O", 60)
    run(opened, reserve("O", line("a", 2, line_id="new"), after_s=200, ref="more", amend=True))
    run(opened, reserve("O", after_s=60, ref="back", amend=True))
    second = expire_at(opened, "O", 90)
    assert first is not None
    assert second is not None
    assert moved(second) == [("unreserved", 2)]
    references = [row.command.reference.id for row in (*first.movements, *second.movements)]
    assert references == ["O@2026-03-01T12:01:00Z", "O@2026-03-01T12:01:30Z"]


def test_a28_an_amendment_that_is_past_writes_its_lines_and_makes_the_rest_due() -> None:
    opened = shop(HELD)
    opened.recorded_at = opened.recorded_at.replace(second=30)
    (outcome,) = run(opened, reserve("O", line("a", 1, line_id="x"), after_s=10, ref="r", amend=True))
    assert (outcome.kind, outcome.movements) == (EXPIRED, ())
    expired = expire_at(opened, "O", 30)
    assert expired is not None
    assert moved(expired) == [("unreserved", 6)]


# ------------------------------------------------------------------ places of reservations


def test_c18_a_fulfilment_releases_what_is_reserved_at_its_location_first_then_the_oldest() -> None:
    opened = locate(world(), "A", "B")
    run(
        opened,
        restock(line("a", 3)._replace(location_id=spot("A")), line("a", 3)._replace(location_id=spot("B")), ref="r"),
        reserve("O", line("a", 6)),
    )
    (outcome,) = run(opened, fulfil("O", line("a", 4)._replace(location_id=spot("B")), ref="f"))
    assert placed(outcome) == [
        *(("unreserved", 3, "B"), ("sale", -3, "B")),
        *(("unreserved", 1, "A"), ("sale", -1, "B")),
    ]


@pytest.mark.parametrize("code", ["X", "C"])
def test_c19_from_an_unknown_or_inactive_location_it_is_booked_where_the_units_were_reserved(code: str) -> None:
    opened = locate(world(), "A", inactive=("C",))
    run(opened, restock(line("a", 3)._replace(location_id=spot("A")), ref="r"), reserve("O", line("a", 3)))
    (outcome,) = run(opened, fulfil("O", line("a", 2)._replace(location_id=spot(code)), ref="f"))
    assert placed(outcome) == [("unreserved", 2, "A"), ("sale", -2, "A")]
    assert spot("X") not in opened.sites[SITE].locations, "a fulfilment opens nothing"


@pytest.mark.parametrize(
    ("named", "line_place", "left_from"),
    [("B", "A", "B"), (None, "A", "A"), (None, None, "A")],
    ids=["the location named", "where they were given back", "found by routing, given back there"],
)
def test_c20_units_that_nobody_holds_any_more(named: str | None, line_place: str | None, left_from: str) -> None:
    opened = locate(world(), "A", "B")
    stocked = [line("a", 5)._replace(location_id=spot(code)) for code in "AB"]
    asked = line("a", 2)._replace(location_id=spot(line_place) if line_place else None)
    run(opened, restock(*stocked, ref="r"), reserve("O", asked), cancel_whole("O"))
    (outcome,) = run(opened, fulfil("O", line("a", 2)._replace(location_id=spot(named) if named else None), ref="f"))
    assert placed(outcome) == [("sale", -2, left_from)]


# ------------------------------------------------------------------ rule 8: holds


def test_rule_8_a_hold_is_released_by_hand_and_by_nothing_else() -> None:
    opened = shop(adjust(MovementType.RESERVED, line("a", 3), ref="h"), reserve("O", line("a", 4)))
    assert stock(opened, "a") == 3
    too_many, released = run(
        opened,
        adjust(MovementType.UNRESERVED, line("a", 4), ref="u1"),
        adjust(MovementType.UNRESERVED, line("a", 3), ref="u2"),
    )
    assert (too_many.code, too_many.rejected[0].shortfall) == (Code.EXCEEDS_RESERVED, 1)
    assert moved(released) == [("unreserved", 3)]
    assert there(opened, "a") == {"D": (10, 4)}, "the order's reservation stands"


def test_c26_holds_are_released_in_routing_order() -> None:
    opened = locate(world(), "B", "A")
    stocked = [line("a", 5)._replace(location_id=spot(code)) for code in "AB"]
    holds = [line("a", 2)._replace(location_id=spot(code)) for code in "AB"]
    run(opened, restock(*stocked, ref="r"), adjust(MovementType.RESERVED, *holds, ref="h"))
    (outcome,) = run(opened, adjust(MovementType.UNRESERVED, line("a", 3), ref="u"))
    assert placed(outcome) == [("unreserved", 2, "B"), ("unreserved", 1, "A")]


def test_c60_a_hold_without_a_location_takes_the_default() -> None:
    opened = locate(world(), "A")
    stocked = [line("a", 5)._replace(location_id=spot(code)) for code in "DA"]
    run(opened, restock(*stocked, ref="r"))
    outcomes = run(
        opened,
        adjust(MovementType.RESERVED, line("a", 4), ref="h"),
        adjust(MovementType.SALE, line("a", 2), ref="s"),
    )
    assert placed(outcomes[0]) == [("reserved", -4, "D")]
    assert outcomes[1].code is Code.INSUFFICIENT_STOCK, "one is left at the default"


# ------------------------------------------------------------------ rule 11


def test_rule_11_lines_placed_while_untracked_never_move() -> None:
    opened = hold_to(world(), "a", tracked=False)
    first, received = run(opened, reserve("O", line("a", 3)), restock(line("a", 5), ref="r"))
    assert (first.kind, received.kind) == (NO_EFFECT, NO_EFFECT)
    hold_to(opened, "a", tracked=True)
    outcomes = run(
        opened,
        fulfil("O", line("a", 4), ref="f1"),
        fulfil("O", line("a", 2), ref="f2"),
        give_back("O", line("a", 1), ref="b"),
        cancel_whole("O"),
    )
    assert [outcome.code for outcome in outcomes] == [Code.EXCEEDS_PLACED, None, None, None]
    assert [outcome.kind for outcome in outcomes[1:]] == [NO_EFFECT] * 3
    assert opened.items[item_key("a")].version == 0


def test_rule_11_lines_placed_while_tracked_live_on() -> None:
    opened = shop(HELD)
    hold_to(opened, "a", tracked=False)
    (outcome,) = run(opened, fulfil("O", line("a", 6), ref="f"))
    assert moved(outcome) == [("unreserved", 6), ("sale", -6)]
