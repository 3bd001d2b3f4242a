"""The rules as tables, in the contract's order (docs/contract.md, section 4). Given, when, then; no I/O.

After every refusal the world is compared with what it was: a refused command changes nothing but its reference.
"""

from copy import deepcopy
from decimal import Decimal

import pytest

from stock_worker.core.decide import end_parked
from stock_worker.core.model import MAX_COUNTER, Command, MovementType, OutcomeKind
from stock_worker.core.refusals import Code
from stock_worker.core.state import World
from tests.core.shop import (
    DEFAULT,
    adjust,
    cancel,
    cancel_whole,
    fulfil,
    give_back,
    item_key,
    line,
    moved,
    place,
    restock,
    run,
    stock,
    world,
)

APPLIED, NO_EFFECT = OutcomeKind.APPLIED, OutcomeKind.NO_EFFECT
REJECTED, CONFLICT, DUPLICATE = OutcomeKind.REJECTED, OutcomeKind.CONFLICT, OutcomeKind.DUPLICATE
PARKED, SUPERSEDED, PARTLY = OutcomeKind.PARKED, OutcomeKind.SUPERSEDED, OutcomeKind.PARTLY_APPLIED

STOCKED = restock(line("a", 10), line("b", 5), ref="opening")


def shop(*before: Command) -> World:
    """A shop with 10 of a and 5 of b, and what else happened before."""
    opened = world()
    run(opened, STOCKED, *before)
    return opened


def state_of(opened: World) -> tuple[object, ...]:
    """All that a refused command must leave as it was."""
    changes = opened.changes
    return deepcopy(
        (opened.items, opened.orders, len(changes.movements), len(changes.alerts), changes.lines, changes.orders)
    )


# ------------------------------------------------------------------ section 2: the ledger


def test_ledger_rows_testify() -> None:
    opened = shop(place("O", line("a", 2), line("a", 3)))
    rows = [row for row in opened.changes.movements if row.item == item_key("a")]
    assert [(row.version, row.previous_stock, row.quantity, row.new_stock) for row in rows] == [
        (1, 0, 10, 10),
        (2, 10, -2, 8),
        (3, 8, -3, 5),
    ]
    assert all(row.new_stock == row.on_hand - row.reserved for row in rows)
    assert [row.last_of_command for row in rows] == [True, False, True]
    assert {row.location_id for row in rows} == {DEFAULT}
    assert len({row.movement_id for row in rows}) == len(rows)


def test_ledger_damaged_return_comes_in_and_goes_out() -> None:
    (outcome,) = run(shop(), give_back(None, line("a", 2, damaged=True), ref="r"))
    assert moved(outcome) == [("return", 2), ("damage", -2)]
    assert [row.last_of_command for row in outcome.movements] == [False, True]


def test_ledger_keeps_the_cost_of_what_arrived() -> None:
    (outcome,) = run(shop(), restock(line("a", 1, unit_cost=Decimal("2.50")), ref="r"))
    assert outcome.movements[0].unit_cost == Decimal("2.50")


# ------------------------------------------------------------------ rule 1: once


def test_rule_1_a_known_reference_changes_nothing_and_tells_nothing() -> None:
    order = place("O", line("a", 2))
    opened = shop(order)
    before = state_of(opened)
    (again,) = run(opened, order)
    assert again.kind is DUPLICATE
    assert state_of(opened) == before


def test_rule_1_the_same_reference_with_another_meaning_is_a_conflict_and_the_original_stands() -> None:
    opened = shop(place("O", line("a", 2)))
    before = state_of(opened)
    (other,) = run(opened, place("O", line("a", 3)))
    assert (other.kind, other.code) == (CONFLICT, Code.REFERENCE_CONFLICT)
    assert state_of(opened) == before


def test_rule_1_a_refusal_is_sticky() -> None:
    order = place("O", line("a", 11))
    outcomes = run(shop(), order, restock(line("a", 5), ref="more"), order, place("O", line("a", 11), ref="O-2"))
    assert [outcome.kind for outcome in outcomes] == [REJECTED, APPLIED, DUPLICATE, APPLIED]


# ------------------------------------------------------------------ rule 3: all or nothing


@pytest.mark.parametrize(
    ("lines", "kind", "left"),
    [
        ((line("a", 4), line("a", 6)), APPLIED, (0, 5)),
        ((line("a", 4), line("a", 7)), REJECTED, (10, 5)),
        ((line("a", 1), line("b", 6)), REJECTED, (10, 5)),
    ],
    ids=["two lines add up", "two lines exceed together", "one line fails, none is taken"],
)
def test_rule_3_lines_add_up_and_stand_or_fall_together(lines: tuple, kind: OutcomeKind, left: tuple[int, int]) -> None:
    opened = shop()
    (outcome,) = run(opened, place("O", *lines))
    assert outcome.kind is kind
    assert (stock(opened, "a"), stock(opened, "b")) == left


def test_rule_3_each_line_stands_alone_where_the_command_says_so() -> None:
    opened = shop()
    lines = (line("a", 11), line("b", 2), line("c", 1))
    (outcome,) = run(opened, adjust(MovementType.DAMAGE, *lines, ref="x", atomic=False))
    assert (outcome.kind, outcome.code) == (PARTLY, Code.INSUFFICIENT_STOCK)
    assert moved(outcome) == [("damage", -2)]
    assert [(r.shortfall, r.detail) for r in outcome.rejected] == [(1, None), (1, "never_stocked")]


def test_rule_3_none_accepted_is_refused_with_the_first_code_in_precedence() -> None:
    opened = shop()
    before = state_of(opened)
    lines = (line("a", 11), line("b", 1, expected_version=7))
    (outcome,) = run(opened, adjust(MovementType.DAMAGE, *lines, ref="x", atomic=False))
    assert (outcome.kind, outcome.code) == (REJECTED, Code.VERSION_CONFLICT)
    assert [entry.code for entry in outcome.rejected] == [Code.INSUFFICIENT_STOCK, Code.VERSION_CONFLICT]
    assert state_of(opened) == before


# ------------------------------------------------------------------ rule 4: facts are booked, promises are checked


@pytest.mark.parametrize(
    ("kind", "quantity", "expected", "left"),
    [
        (MovementType.SALE, 8, APPLIED, 0),
        (MovementType.SALE, 9, REJECTED, 8),
        (MovementType.DAMAGE, 8, APPLIED, 0),
        (MovementType.DAMAGE, 9, REJECTED, 8),
        (MovementType.EXPIRED, 9, REJECTED, 8),
        (MovementType.EXPIRED, 1, APPLIED, 7),
        (MovementType.ADJUSTMENT, -8, APPLIED, 0),
        (MovementType.ADJUSTMENT, -9, REJECTED, 8),
        (MovementType.ADJUSTMENT, 9, APPLIED, 17),
        (MovementType.RESTOCK, 9, APPLIED, 17),
        (MovementType.RETURN, 9, APPLIED, 17),
    ],
)
def test_rule_4_adjustments(kind: MovementType, quantity: int, expected: OutcomeKind, left: int) -> None:
    opened = shop(place("O", line("a", 2)))
    (outcome,) = run(opened, adjust(kind, line("a", quantity), ref="x"))
    assert outcome.kind is expected
    assert stock(opened, "a") == left
    if expected is REJECTED:
        assert (outcome.rejected[0].available, outcome.rejected[0].shortfall) == (8, 1)


def test_rule_4_goods_that_left_have_left_even_below_zero() -> None:
    opened = shop(place("O", line("a", 10)), cancel("O", line(None, 10, "1"), ref="c"), place("P", line("a", 10)))
    (outcome,) = run(opened, fulfil("O", line(None, 10, "1"), ref="f"))
    assert moved(outcome) == [("sale", -10)]
    assert stock(opened, "a") == -10


def test_rule_4_counters_are_bounded() -> None:
    opened = shop()
    full = opened.items[item_key("a")]
    full.on_hand = full.places[DEFAULT].on_hand = MAX_COUNTER
    before = state_of(opened)
    (outcome,) = run(opened, restock(line("a", 1), ref="one more"))
    assert (outcome.kind, outcome.code) == (REJECTED, Code.COUNTER_OVERFLOW)
    assert state_of(opened) == before


def test_rule_4_what_a_whole_cancellation_gives_back_is_bounded_too() -> None:
    opened = shop(place("O", line("b", 1), line("a", 3)))
    full = opened.items[item_key("a")]
    full.on_hand = full.places[DEFAULT].on_hand = MAX_COUNTER - 2
    before = state_of(opened)
    (outcome,) = run(opened, cancel_whole("O"))
    assert (outcome.kind, outcome.code) == (REJECTED, Code.COUNTER_OVERFLOW)
    (told,) = outcome.rejected
    assert (told.line_id, told.product_id, told.requested) == ("2", item_key("a").product_id, 3)
    assert state_of(opened) == before


# ------------------------------------------------------------------ rule 5: order-free


C1, C2 = cancel("O", line(None, 1, "1"), ref="c1"), cancel("O", line(None, 2, "1"), ref="c2")
F1, F2 = fulfil("O", line(None, 1, "1"), ref="f1"), fulfil("O", line(None, 2, "1"), ref="f2")
R1, R2 = give_back("O", line(None, 1, "1"), ref="r1"), give_back("O", line(None, 2, "1"), ref="r2")
W = cancel_whole("O")
ORDER = place("O", line("a", 3))


@pytest.mark.parametrize(
    ("steps", "kinds", "last_rows", "left"),
    [
        ((ORDER, C1), (APPLIED, APPLIED), [("sale", 1)], 8),
        ((ORDER, C1, F2), (APPLIED,) * 3, [], 8),
        ((ORDER, F2, C1, F1), (APPLIED,) * 4, [("sale", -1)], 7),
        ((ORDER, W), (APPLIED, APPLIED), [("sale", 3)], 10),
        ((ORDER, F2, W), (APPLIED,) * 3, [("sale", 1)], 8),
        ((ORDER, W, F2), (APPLIED,) * 3, [("sale", -2)], 8),
        ((ORDER, W, R1), (APPLIED,) * 3, [("sale", -1), ("return", 1)], 10),
        ((ORDER, R1), (APPLIED,) * 2, [("return", 1)], 8),
        ((ORDER, F1, R2), (APPLIED,) * 3, [("return", 2)], 9),
        ((W, ORDER), (NO_EFFECT, SUPERSEDED), [], 10),
        ((W, ORDER, F1), (NO_EFFECT, SUPERSEDED, APPLIED), [("sale", -1)], 9),
        ((ORDER, C1, C2, C1), (APPLIED, APPLIED, APPLIED, DUPLICATE), [], 10),
        ((ORDER, F2, F1, W), (APPLIED, APPLIED, APPLIED, NO_EFFECT), [], 7),
    ],
    ids=lambda value: (
        ""
        if not isinstance(value, tuple) or not isinstance(value[0], Command)
        else " ".join(entry.reference.id for entry in value)
    ),
)
def test_rule_5_a_line_is_a_function_of_its_totals(
    steps: tuple, kinds: tuple, last_rows: list[tuple[str, int]], left: int
) -> None:
    opened = shop()
    outcomes = run(opened, *steps)
    assert tuple(outcome.kind for outcome in outcomes) == kinds
    assert moved(outcomes[-1]) == last_rows
    assert stock(opened, "a") == left


@pytest.mark.parametrize(
    ("before", "refused", "code", "shortfall"),
    [
        ((ORDER, F2), fulfil("O", line(None, 2, "1"), ref="f9"), Code.EXCEEDS_PLACED, 1),
        ((ORDER, R2), give_back("O", line(None, 2, "1"), ref="r9"), Code.EXCEEDS_RETURNABLE, 1),
        ((ORDER, F2), cancel("O", line(None, 2, "1"), ref="c9"), Code.EXCEEDS_CANCELLABLE, 1),
        ((ORDER, C2), cancel("O", line(None, 2, "1"), ref="c9"), Code.EXCEEDS_CANCELLABLE, 1),
        ((ORDER,), fulfil("O", line(None, 1, "9"), ref="f9"), Code.UNKNOWN_LINE, None),
        ((ORDER,), fulfil("O", line("b", 1), ref="f9"), Code.UNKNOWN_LINE, None),
        ((ORDER,), fulfil("O", line("b", 1, "1"), ref="f9"), Code.UNKNOWN_LINE, None),
        ((place("O", line("a", 1), line("a", 1)),), fulfil("O", line("a", 1), ref="f9"), Code.UNKNOWN_LINE, None),
        ((ORDER,), place("O", line("a", 1), ref="again"), Code.ORDER_ALREADY_PLACED, None),
        ((ORDER,), place("O", line("a", 1, "1"), ref="more", amend=True), Code.ORDER_ALREADY_PLACED, None),
        ((ORDER, C1), place("O", line("a", 9, "2"), ref="more", amend=True), Code.INSUFFICIENT_STOCK, 1),
    ],
)
def test_rule_5_refusals(before: tuple, refused: Command, code: Code, shortfall: int | None) -> None:
    opened = shop(*before)
    kept = state_of(opened)
    (outcome,) = run(opened, refused)
    assert (outcome.kind, outcome.code) == (REJECTED, code)
    assert [entry.shortfall for entry in outcome.rejected] in ([shortfall], [])
    assert state_of(opened) == kept


def test_rule_5_what_comes_before_its_order_waits_and_is_decided_with_it_in_arrival_order() -> None:
    opened = shop()
    early = run(opened, F1, R1, C1)
    assert [outcome.kind for outcome in early] == [PARKED] * 3
    assert [outcome.kind for outcome in run(opened, F1)] == [DUPLICATE]
    assert [outcome.kind for outcome in run(opened, fulfil("O", line(None, 2, "1"), ref="f1"))] == [CONFLICT]
    (placed,) = run(opened, ORDER)
    decided = [(done.command.reference.id, done.outcome.kind) for done in opened.changes.decided[1:]]
    assert decided == [("O", APPLIED), ("f1", APPLIED), ("r1", APPLIED), ("c1", APPLIED)]
    assert [(waited.reference.id, what.kind) for waited, what in placed.released] == decided[1:]
    assert moved(placed) == [("sale", -3)]
    assert stock(opened, "a") == 10 - 3 + 1 + 1
    assert not opened.parked
    assert not opened.changes.parked


def test_rule_5_what_waits_goes_on_waiting_when_the_placement_is_refused() -> None:
    opened = shop()
    outcomes = run(opened, F1, place("O", line("a", 11)), place("O", line("a", 3), ref="O-2"))
    assert [outcome.kind for outcome in outcomes] == [PARKED, REJECTED, APPLIED]
    assert opened.changes.decided[-1].command is F1


@pytest.mark.parametrize(
    ("waiting", "kind", "code", "rows"),
    [
        (give_back("O", line("a", 2), ref="r"), APPLIED, None, [("return", 2)]),
        (give_back("O", line(None, 2, "1"), ref="r"), REJECTED, Code.ORDER_NEVER_PLACED, []),
        (fulfil("O", line("a", 2), ref="f"), REJECTED, Code.ORDER_NEVER_PLACED, []),
        (cancel("O", line("a", 2), ref="c"), REJECTED, Code.ORDER_NEVER_PLACED, []),
    ],
)
def test_rule_5_a_parked_command_ends(
    waiting: Command, kind: OutcomeKind, code: Code | None, rows: list[tuple[str, int]]
) -> None:
    opened = shop()
    run(opened, waiting)
    outcome = end_parked(opened, waiting)
    assert (outcome.kind, outcome.code, moved(outcome)) == (kind, code, rows)
    assert all(row.order_id is None for row in outcome.movements)
    assert [o.kind for o in run(opened, waiting)] == [DUPLICATE]
    (placed,) = run(opened, ORDER)
    assert placed.released == ()


def test_rule_5_a_parked_command_whose_order_came_is_not_ended() -> None:
    opened = shop()
    run(opened, F1, ORDER)
    assert end_parked(opened, F1).kind is PARKED


# ------------------------------------------------------------------ rule 10: alerts


@pytest.mark.parametrize(
    ("commands", "levels"),
    [
        ((restock(line("n", 11), ref="1"),), []),
        ((restock(line("n", 10), ref="1"),), [("ok", "low")]),
        ((restock(line("n", 4), ref="1"), place("O", line("n", 1))), [("ok", "low"), ("low", "critical")]),
        ((restock(line("n", 20), ref="1"), place("O", line("n", 20))), [("ok", "out")]),
        ((restock(line("n", 20), ref="1"), place("O", line("n", 12), line("n", 5))), [("ok", "critical")]),
        ((restock(line("n", 10), ref="1"), give_back(None, line("n", 5, damaged=True), ref="r")), [("ok", "low")]),
        (
            (restock(line("n", 20), ref="1"), place("O", line("n", 15)), cancel_whole("O")),
            [("ok", "low"), ("low", "ok")],
        ),
    ],
    ids=["starts at ok", "low at 10", "critical at 3", "out at 0", "not once a row", "nor half-way", "and back"],
)
def test_rule_10_each_change_of_level_alerts_once(commands: tuple, levels: list[tuple[str, str]]) -> None:
    opened = world()
    run(opened, *commands)
    alerts = [alert for alert in opened.changes.alerts if alert.item.key == item_key("n")]
    assert [(alert.previous_level.value, alert.level.value) for alert in alerts] == levels
    assert len({alert.alert_id for alert in alerts}) == len(alerts)


def test_rule_10_all_alerts_of_a_batch_carry_its_revision() -> None:
    opened = world()
    run(opened, restock(line("n", 5), ref="1"), restock(line("n", 50), ref="2"), place("O", line("n", 55)))
    assert {alert.revision for alert in opened.changes.alerts} == {1} == {opened.items[item_key("n")].revision}


# ------------------------------------------------------------------ cases decided


@pytest.mark.parametrize(
    ("steps", "kinds"),
    [
        ((ORDER, W, place("O", line("a", 1), ref="again")), (APPLIED, APPLIED, SUPERSEDED)),
        ((ORDER, W, place("O", line("a", 1, "2"), ref="more", amend=True)), (APPLIED, APPLIED, SUPERSEDED)),
        ((ORDER, W, C1), (APPLIED, APPLIED, NO_EFFECT)),
        ((W, C1), (NO_EFFECT, PARKED)),
        ((W, place("O", line("a", 1, "2"), ref="more", amend=True)), (NO_EFFECT, PARKED)),
        ((place("O", line("a", 1, "2"), ref="more", amend=True), ORDER), (PARKED, APPLIED)),
        ((ORDER, place("O", ref="more", amend=True)), (APPLIED, NO_EFFECT)),
        ((ORDER, cancel("O", line(None, None, "1"), ref="all")), (APPLIED, APPLIED)),
        ((ORDER, C2, C1, cancel("O", line(None, None, "1"), ref="all")), (APPLIED, APPLIED, APPLIED, NO_EFFECT)),
        ((ORDER, F1), (APPLIED, APPLIED)),
    ],
)
def test_cases_decided_orders(steps: tuple, kinds: tuple) -> None:
    assert tuple(outcome.kind for outcome in run(shop(), *steps)) == kinds


def test_cases_decided_an_amendment_under_a_whole_cancellation_counts_as_placed_and_cancelled() -> None:
    opened = shop()
    run(opened, ORDER, W, place("O", line("a", 2, "2"), ref="more", amend=True))
    (left,) = run(opened, fulfil("O", line(None, 2, "2"), ref="f"))
    assert moved(left) == [("sale", -2)]


@pytest.mark.parametrize(
    ("expected_version", "kind"),
    [(0, APPLIED), (1, REJECTED)],
    ids=["a new item's is 0", "a new item has no version 1"],
)
def test_cases_decided_expected_version(expected_version: int, kind: OutcomeKind) -> None:
    lines = (line("n", 1, expected_version=expected_version), line("n", 1, expected_version=expected_version))
    assert run(shop(), adjust(MovementType.RESTOCK, *lines, ref="x"))[0].kind is kind


# C58: rejected lines. The sender may name a line by its line_id alone; whoever reads the refusal knows no order lines.
@pytest.mark.parametrize(
    ("refused", "line_id", "available", "shortfall"),
    [
        (fulfil("O", line(None, 4, "1"), ref="x"), "1", 7, 1),
        (fulfil("O", line("a", 4), ref="x"), "1", 7, 1),
        (give_back("O", line(None, 5, "1"), ref="x"), "1", 7, 2),
        (cancel("O", line(None, 6, "1"), ref="x"), "1", 7, 3),
        (cancel("O", line(None, 2, "1"), line(None, 2, "1"), ref="x"), "1", 9, 1),
        (place("O", line("a", 1, "1"), ref="x", amend=True), "1", 7, None),
    ],
    ids=["fulfilled", "named by product", "returned", "cancelled", "after the line before", "amended"],
)
def test_cases_decided_a_rejected_line_of_an_order_tells_the_item_and_what_it_has(
    refused: Command, line_id: str, available: int, shortfall: int | None
) -> None:
    (outcome,) = run(shop(ORDER), refused)
    (told,) = outcome.rejected
    assert (told.line_id, told.product_id) == (line_id, item_key("a").product_id)
    assert (told.available, told.shortfall) == (available, shortfall)
