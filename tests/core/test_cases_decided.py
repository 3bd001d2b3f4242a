"""The contract's "Cases decided", in its order: one test a sentence, named after it. Given, when, then; no I/O.

Sentences that have their test beside the rule they belong to (test_reservations, test_places, test_costs, test_levels)
are not repeated; docs/coverage.md lists all of them.
"""

import re
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest

from stock_worker.core import events
from stock_worker.core.decide import expiry_of
from stock_worker.core.levels import evaluate
from stock_worker.core.model import Command, ItemKey, Line, Mode, MovementType, OrderKey, OutcomeKind
from stock_worker.core.orders import Totals
from stock_worker.core.policy import Rule, Settings, resolve
from stock_worker.core.refusals import Code
from stock_worker.core.state import Item, World
from tests.core.shop import (
    DEFAULT,
    NOON,
    SITE,
    adjust,
    cancel,
    cancel_whole,
    count,
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
    product,
    reserve,
    restock,
    run,
    spot,
    stock,
    there,
    transfer,
    world,
)

APPLIED, NO_EFFECT, EXPIRED = OutcomeKind.APPLIED, OutcomeKind.NO_EFFECT, OutcomeKind.EXPIRED
REJECTED, PARKED, SUPERSEDED = OutcomeKind.REJECTED, OutcomeKind.PARKED, OutcomeKind.SUPERSEDED
PARTLY = OutcomeKind.PARTLY_APPLIED

ORDER = place("O", line("a", 3))
HELD = reserve("O", line("a", 6), after_s=60)
AMENDMENT = place("O", line("a", 1, "2"), ref="more", amend=True)
W = cancel_whole("O")


def shop(*before: Command) -> World:
    """A shop with 10 of a at its only location, and what else happened before."""
    opened = world()
    run(opened, restock(line("a", 10), ref="opening"), *before)
    return opened


def branches(*before: Command, **stocked: int) -> World:
    """Locations A, B, C (not in use) and at last the default D, with this stock of item a."""
    opened = locate(world(), "A", "B", inactive=("C",))
    opened.sites[SITE].locations[DEFAULT].priority = 9
    opened.sites[SITE].route()
    run(opened, *(restock(at(code, units), ref=f"stock {code}") for code, units in stocked.items()), *before)
    return opened


def at(code: str | None, quantity: int | None, line_id: str | None = None, **more: object) -> Line:
    """So many of item a at a location."""
    named = line("a", quantity, line_id)._replace(location_id=None if code is None else spot(code))
    return named._replace(**more)  # type: ignore[arg-type] # any field of a line


def kinds(opened: World, *commands: Command) -> list[OutcomeKind]:
    """What becomes of commands."""
    return [outcome.kind for outcome in run(opened, *commands)]


def totals(opened: World, line_id: str = "1") -> Totals:
    """The totals of a line of order O."""
    return opened.orders[OrderKey(SITE, "O")].lines[line_id].totals


# ------------------------------------------------------------------ orders


@pytest.mark.parametrize(
    "later",
    [
        place("O", line("a", 1), ref="again"),
        place("O", line("a", 1, "2"), ref="more", amend=True),
        reserve("O", line("a", 1, "2"), after_s=60, ref="longer", amend=True),
    ],
    ids=["a placement", "an amendment", "an amendment that reserves"],
)
def test_c1_under_a_whole_cancellation_every_later_placement_or_amendment_is_superseded(later: Command) -> None:
    opened = shop(ORDER, W)
    (outcome,) = run(opened, later)
    assert (outcome.kind, outcome.movements, stock(opened, "a")) == (SUPERSEDED, (), 10)


def test_c1_even_when_the_cancellation_came_first() -> None:
    assert kinds(shop(), W, ORDER, place("O", line("a", 1), ref="again"), AMENDMENT) == [NO_EFFECT] + [SUPERSEDED] * 3


def test_c2_under_a_whole_cancellation_a_named_one_of_a_placed_order_has_no_effect() -> None:
    opened = shop(ORDER, W)
    (outcome,) = run(opened, cancel("O", line(None, 9, "1"), ref="c"))
    assert (outcome.kind, outcome.code, outcome.movements) == (NO_EFFECT, None, ())


def test_c3_a_named_cancellation_of_what_expired_is_applied_counts_and_moves_nothing() -> None:
    opened = shop(HELD)
    expire_at(opened, "O", 60)
    (outcome,) = run(opened, cancel("O", line(None, 2, "1"), ref="c"))
    assert (outcome.kind, outcome.movements, totals(opened).cancelled) == (APPLIED, (), 2)


@pytest.mark.parametrize("before", [(), (W,)], ids=["unknown", "cancelled before it was placed"])
@pytest.mark.parametrize(
    "early", [cancel("O", line(None, 1, "1"), ref="c"), AMENDMENT], ids=["cancellation", "amendment"]
)
def test_c4_what_names_an_order_that_was_never_placed_is_parked_cancelled_whole_or_not(
    early: Command, before: tuple[Command, ...]
) -> None:
    assert kinds(shop(*before), early) == [PARKED]


@pytest.mark.parametrize(
    ("asked", "kind", "cancelled"), [(5, REJECTED, 0), (4, APPLIED, 4), (None, APPLIED, 4)], ids=["5", "4", "all"]
)
def test_c5_what_has_expired_is_left_to_be_cancelled(asked: int | None, kind: OutcomeKind, cancelled: int) -> None:
    opened = shop(HELD, fulfil("O", line("a", 2), ref="f"))
    expire_at(opened, "O", 60)
    (outcome,) = run(opened, cancel("O", line(None, asked, "1"), ref="c"))
    assert (outcome.kind, totals(opened).cancelled) == (kind, cancelled)
    assert [told.shortfall for told in outcome.rejected] == [1] * (kind is REJECTED)


NOWHERE = at("X", 999)


@pytest.mark.parametrize(
    ("before", "asked", "kind", "code"),
    [
        ((W,), place("O", NOWHERE), SUPERSEDED, None),
        ((ORDER, W), place("O", NOWHERE, ref="again"), SUPERSEDED, None),
        ((W,), reserve("O", NOWHERE, after_s=0), SUPERSEDED, None),
        ((ORDER,), reserve("O", NOWHERE, after_s=0, ref="again"), REJECTED, Code.ORDER_ALREADY_PLACED),
        (
            (ORDER,),
            reserve("O", NOWHERE._replace(line_id="1"), after_s=0, ref="2", amend=True),
            REJECTED,
            Code.ORDER_ALREADY_PLACED,
        ),
        ((), reserve("O", NOWHERE, after_s=0), EXPIRED, None),
        ((), place("O", NOWHERE), REJECTED, Code.UNKNOWN_LOCATION),
    ],
    ids=[
        "superseded before lines and locations",
        "superseded before already placed",
        "superseded before expired",
        "already placed before expired",
        "a line_id that exists before expired",
        "expired before lines and locations",
        "then lines and locations",
    ],
)
def test_c6_superseded_then_already_placed_then_expired_then_lines_and_locations(
    before: tuple[Command, ...], asked: Command, kind: OutcomeKind, code: Code | None
) -> None:
    (outcome,) = run(shop(*before), asked)
    assert (outcome.kind, outcome.code) == (kind, code)


@pytest.mark.parametrize(
    ("before", "again"),
    [((W, ORDER), SUPERSEDED), ((reserve("O", line("a", 3), after_s=0),), REJECTED)],
    ids=["superseded", "expired"],
)
def test_c6_such_orders_count_as_placed(before: tuple[Command, ...], again: OutcomeKind) -> None:
    opened = shop(*before)
    assert kinds(
        opened,
        fulfil("O", line(None, 1, "1"), ref="f"),
        fulfil("O", line(None, 1, "9"), ref="g"),
        place("O", line("a", 1), ref="again"),
    ) == [APPLIED, REJECTED, again]
    assert stock(opened, "a") == 9


def test_c8_an_amendment_of_an_unknown_order_is_parked_and_decided_right_after_the_placement() -> None:
    opened = shop()
    early, late = run(opened, AMENDMENT, ORDER)
    assert (early.kind, late.kind) == (PARKED, APPLIED)
    assert [(waited.reference.id, outcome.kind) for waited, outcome in late.released] == [("more", APPLIED)]
    assert stock(opened, "a") == 6


def test_c9_an_amendment_with_a_line_id_that_exists_is_already_placed_and_the_detail_names_it() -> None:
    opened = shop(ORDER)
    (outcome,) = run(opened, place("O", line("a", 1, "new"), line("a", 1, "1"), ref="more", amend=True))
    assert (outcome.kind, outcome.code) == (REJECTED, Code.ORDER_ALREADY_PLACED)
    (told,) = outcome.rejected
    assert told.line_id == "1"
    assert told.detail is not None
    assert "line_id 1" in told.detail
    assert list(opened.orders[OrderKey(SITE, "O")].lines) == ["1"]


def test_c12_a_line_id_unknown_to_a_placed_order_is_told_at_once() -> None:
    asked = [
        cancel("O", line(None, 1, "9"), ref="c"),
        fulfil("O", line(None, 1, "9"), ref="f"),
        give_back("O", line(None, 1, "9"), ref="r"),
    ]
    opened = shop(ORDER)
    assert [(outcome.kind, outcome.code) for outcome in run(opened, *asked)] == [(REJECTED, Code.UNKNOWN_LINE)] * 3
    assert not opened.parked


RED = line("a", 2)._replace(variant_id=product("r"))


@pytest.mark.parametrize(
    ("named", "code"),
    [
        (line("a", 1), Code.UNKNOWN_LINE),
        (line("a", 1, "1"), Code.UNKNOWN_LINE),
        (RED._replace(quantity=1), None),
        (line(None, 1, "1"), None),
    ],
    ids=["by product", "by product and line_id", "by product and variant", "by line_id"],
)
def test_c13_a_product_without_a_variant_means_no_variant(named: Line, code: Code | None) -> None:
    opened = world()
    run(opened, restock(RED, ref="r"), place("O", RED))
    (outcome,) = run(opened, fulfil("O", named, ref="f"))
    assert outcome.code is code


def test_c14_a_command_that_changed_a_total_is_applied_even_if_nothing_moved() -> None:
    opened = shop(ORDER)
    (outcome,) = run(opened, fulfil("O", line(None, 2, "1"), ref="f"))
    assert (outcome.kind, outcome.movements, totals(opened).fulfilled) == (APPLIED, (), 2)


# ------------------------------------------------------------------ places


@pytest.mark.parametrize("code", ["B", "C", "X"], ids=["another", "one not in use", "an unknown one"])
def test_c16_the_location_of_a_returned_line_says_where_the_goods_are(code: str) -> None:
    opened = branches(place("O", at("A", 3)), A=5)
    (outcome,) = run(opened, give_back("O", at(code, 2), ref="r"))
    assert placed(outcome) == [("return", 2, code)]
    assert opened.sites[SITE].is_active(spot(code))


def test_c17_the_location_of_a_fulfilment_in_mode_sale_is_ignored() -> None:
    opened = branches(place("O", at("A", 3)), A=5, B=5)
    first, _, last = run(opened, fulfil("O", at("B", 1), ref="f"), cancel_whole("O"), fulfil("O", at("B", 1), ref="g"))
    assert (first.kind, first.movements) == (APPLIED, ())
    assert placed(last) == [("sale", -1, "A")], "where it was given back"


@pytest.mark.parametrize(
    ("line_place", "named", "left_from"),
    [("A", "B", "B"), ("A", "C", "A"), ("A", None, "A"), ("C", None, "D"), (None, None, "D")],
    ids=["the named", "the line's, for the named is not in use", "the line's", "the default", "the default, too"],
)
def test_c20_units_that_were_never_held_leave_from_the_named_place_else_the_lines_else_the_default(
    line_place: str | None, named: str | None, left_from: str
) -> None:
    opened = branches(cancel_whole("O"), reserve("O", at(line_place, 2)), A=5, B=5, D=5)
    (outcome,) = run(opened, fulfil("O", at(named, 2), ref="f"))
    assert placed(outcome) == [("sale", -2, left_from)]


def test_c21_a_row_for_each_line_location_and_step_and_each_unreserved_right_before_its_sale() -> None:
    opened = branches(reserve("O", at(None, 5), at(None, 2)), A=3, B=4)
    (outcome,) = run(opened, fulfil("O", line(None, 5, "1"), line(None, 2, "2"), ref="f"))
    rows = outcome.movements
    keys = [(row.line_id, row.location_id, row.type) for row in rows]
    assert len(set(keys)) == len(keys) == 6, "three places, and an unreserved and a sale at each"
    assert [row.type.value for row in rows] == ["unreserved", "sale"] * 3
    for freed, sold in zip(rows[::2], rows[1::2], strict=True):
        assert (freed.line_id, freed.location_id, freed.quantity) == (sold.line_id, sold.location_id, -sold.quantity)


def test_c23_equal_totals_are_promised_and_not_equal_locations() -> None:
    """Whichever of two orders comes first has A's unit; the one that is cancelled gives back another's place."""
    one, other, gone = reserve("O", at(None, 1)), reserve("P", at(None, 1)), cancel_whole("O")
    left = fulfil("P", line(None, 1, "1"), ref="f")
    first, second = (branches(*steps, gone, left, A=1, B=1) for steps in ((one, other), (other, one)))
    assert totals(first) == totals(second)
    assert first.items[item_key("a")].on_hand == second.items[item_key("a")].on_hand == 1
    assert first.items[item_key("a")].reserved == second.items[item_key("a")].reserved == 0
    assert there(first, "a") != there(second, "a")


@pytest.mark.parametrize(
    ("ids", "kind", "rows"),
    [
        ("AD", APPLIED, [("sale", -1, "A"), ("sale", -3, "D")]),
        ("DA", APPLIED, [("sale", -1, "A"), ("sale", -3, "D")]),
        ("AB", REJECTED, []),
        ("A", REJECTED, []),
    ],
    ids=["the default among them", "in another order", "the default not among them", "one alone"],
)
def test_c24_location_ids_are_a_set_and_only_with_the_default_among_them_there_is_a_backorder(
    ids: str, kind: OutcomeKind, rows: list[tuple[str, int, str]]
) -> None:
    opened = hold_to(branches(A=1, B=1), "a", backorder_limit=5)
    (outcome,) = run(opened, place("O", at(None, 4, location_ids=tuple(map(spot, ids)))))
    assert (outcome.kind, placed(outcome)) == (kind, rows)


def test_c24_location_ids_are_of_the_line() -> None:
    opened = branches(A=5, B=5)
    (outcome,) = run(opened, place("O", at(None, 2, location_ids=(spot("B"),)), at(None, 2)))
    assert placed(outcome) == [("sale", -2, "B"), ("sale", -2, "A")]


def test_c25_a_location_that_is_opened_again_keeps_its_name_and_goes_last() -> None:
    opened = branches(A=1)
    run(opened, restock(at("C", 1), ref="r"))
    location = opened.sites[SITE].locations[spot("C")]
    assert (location.code, location.active) == ("C", True)
    assert opened.sites[SITE].routing == [spot(code) for code in "ABDC"]


# ------------------------------------------------------------------ counts


@pytest.mark.parametrize(("code", "refusal"), [("X", Code.UNKNOWN_LOCATION), ("C", Code.INACTIVE_LOCATION)])
def test_c28_a_count_opens_no_location(code: str, refusal: Code) -> None:
    opened = branches(A=1)
    (outcome,) = run(opened, count(at(code, 5), ref="c"))
    assert outcome.code is refusal
    assert not opened.sites[SITE].is_active(spot(code))


# ------------------------------------------------------------------ time


@pytest.mark.parametrize(
    ("at_time", "told"),
    [
        (NOON, r"2026-03-01T12:00:00Z"),
        (NOON + timedelta(milliseconds=250), r"2026-03-01T12:00:00\.250*Z"),
        (datetime(2026, 3, 1, 14, 30, tzinfo=timezone(timedelta(hours=2, minutes=30))), r"2026-03-01T12:00:00Z"),
    ],
    ids=["no fraction", "a fraction", "another offset"],
)
def test_c29_an_expiry_is_named_by_its_order_and_its_time_in_utc(at_time: datetime, told: str) -> None:
    reference = expiry_of(OrderKey(SITE, "o" * 128), at_time)
    assert reference.type == "expiry"
    assert re.fullmatch("o" * 128 + "@" + told, reference.id), "longer than 128 is fine here"


def test_c30_the_outcome_of_an_expiry_is_applied() -> None:
    outcome = expire_at(shop(HELD), "O", 60)
    assert outcome is not None
    assert outcome.kind is APPLIED


@pytest.mark.parametrize(
    ("after_s", "kind"), [(-1, EXPIRED), (0, EXPIRED), (0.000001, APPLIED)], ids=["before", "at", "after"]
)
def test_c33_expired_means_not_after_recorded_at(after_s: float, kind: OutcomeKind) -> None:
    assert kinds(shop(), reserve("O", line("a", 1), after_s=after_s)) == [kind]


def test_c33_reservation_ttl_is_in_seconds_from_recorded_at() -> None:
    opened = shop()
    opened.recorded_at = NOON + timedelta(hours=5)
    opened.sites[SITE].settings = Settings(mode=Mode.RESERVE, reservation_ttl=90)
    run(opened, place("O", line("a", 1)))
    assert opened.orders[OrderKey(SITE, "O")].expires_at == NOON + timedelta(hours=5, seconds=90)


# ------------------------------------------------------------------ meaning


def test_c38_each_refused_line_has_its_own_code_and_the_rest_is_booked() -> None:
    opened = shop()
    lines = (line("a", 11), line("a", 2), line("a", 1, expected_version=7))
    (outcome,) = run(opened, adjust(MovementType.DAMAGE, *lines, ref="x", atomic=False))
    assert (outcome.kind, moved(outcome)) == (PARTLY, [("damage", -2)])
    assert [told.code for told in outcome.rejected] == [Code.INSUFFICIENT_STOCK, Code.VERSION_CONFLICT]


def test_c38_none_accepted_is_refused_with_the_first_code_in_precedence() -> None:
    lines = (line("a", 11), line("a", 1, expected_version=7))
    (outcome,) = run(shop(), adjust(MovementType.DAMAGE, *lines, ref="x", atomic=False))
    assert (outcome.kind, outcome.code, outcome.movements) == (REJECTED, Code.VERSION_CONFLICT, ())


# ------------------------------------------------------------------ cost


def delivery(quantity: int, unit_cost: str, currency: str) -> Command:
    """So many of item a at a cost."""
    entry = line("a", quantity, unit_cost=Decimal(unit_cost), currency=currency)
    return restock(entry, ref=f"{quantity} at {unit_cost} {currency}")


def test_c47_a_row_carries_the_cost_of_its_inflow_or_else_the_average() -> None:
    opened = world()
    first, second, sold = run(
        opened, delivery(1, "10", "EUR"), delivery(1, "20", "EUR"), adjust(MovementType.SALE, line("a", 1), ref="s")
    )
    costs = [outcome.movements[0].unit_cost for outcome in (first, second, sold)]
    assert costs == [Decimal(10), Decimal(20), Decimal(15)]


@pytest.mark.parametrize(("currency", "ignored"), [("USD", True), ("EUR", False)])
def test_c48_a_cost_that_was_not_used_is_not_on_the_row_and_its_applied_line_says_so(
    currency: str, *, ignored: bool
) -> None:
    opened = world()
    opened.sites[SITE].settings = Settings(currency="EUR")
    asked = delivery(2, "9", currency)
    (outcome,) = run(opened, asked)
    (row,) = outcome.movements
    assert row.unit_cost == (None if ignored else Decimal(9))
    (applied,) = events.told(asked, outcome, emit_applied=True)
    assert applied.payload["lines"][0].get("cost_ignored") is (True if ignored else None)


# ------------------------------------------------------------------ levels


@pytest.mark.parametrize(
    ("units", "scope"),
    [(50, "variant"), (12, "variant"), (4, "product"), (1, "site")],
    ids=["back to ok: the low one's", "low", "critical", "out"],
)
def test_c51_the_scope_is_that_of_the_threshold_that_made_the_level(units: int, scope: str) -> None:
    opened = hold_to(world(), "a")
    opened.items[item_key("a")].policy = resolve(
        None,
        Rule(low_stock_threshold=20),
        Rule(critical_stock_threshold=5),
        Rule(out_of_stock_threshold=1),
        Settings(),
    )
    before = 8 if units == 50 else 50
    run(opened, restock(line("a", before), ref="0"))
    run(opened, adjust(MovementType.ADJUSTMENT, line("a", units - before), ref="1"))
    alert = events.alert_level_changed(opened, opened.changes.alerts[-1])
    assert alert.payload["rule"] == {"scope": scope}


@pytest.mark.parametrize("settings", [Settings(), Settings(low_stock_threshold=30)], ids=["built in", "settings"])
def test_c51_settings_and_what_is_built_in_are_the_default_scope(settings: Settings) -> None:
    opened = hold_to(world(), "a")
    opened.items[item_key("a")].policy = resolve(None, None, None, None, settings)
    run(opened, restock(line("a", 9), ref="0"))
    (alert,) = opened.changes.alerts
    assert events.alert_level_changed(opened, alert).payload["rule"] == {"scope": "default"}


def test_c52_before_its_first_movement_an_item_alerts_nothing() -> None:
    opened = hold_to(world(), "a")
    evaluate(opened, opened.items[item_key("a")], None)
    run(opened, count(line("a", 0), ref="c"), place("O", line("a", 1)))
    assert (opened.changes.alerts, opened.changes.items) == ([], {})


# ------------------------------------------------------------------ untracked

UNTRACKED = at(None, 3)


@pytest.mark.parametrize(
    "asked",
    [
        place("O", UNTRACKED),
        reserve("O", UNTRACKED),
        restock(UNTRACKED, ref="x"),
        give_back(None, UNTRACKED, ref="x"),
        *(adjust(kind, UNTRACKED, ref="x") for kind in MovementType if kind is not MovementType.TRANSFER),
        count(UNTRACKED, ref="x"),
        transfer(spot("A"), spot("B"), UNTRACKED, ref="x"),
    ],
    ids=[
        *("sale order", "reserve order", "restock", "blind return"),
        *(kind.value for kind in MovementType if kind is not MovementType.TRANSFER),
        *("count", "transfer"),
    ],
)
def test_c55_an_untracked_line_of_any_command_is_accepted_and_moves_nothing(asked: Command) -> None:
    """C56 with it: a command without other lines has no effect."""
    opened = hold_to(branches(), "a", tracked=False)
    (outcome,) = run(opened, asked)
    assert (outcome.kind, outcome.code, outcome.movements) == (NO_EFFECT, None, ())
    assert there(opened, "a") == {}


def test_c56_totals_of_untracked_lines_change_and_are_guarded_all_the_same() -> None:
    opened = hold_to(world(), "a", tracked=False)
    outcomes = run(
        opened,
        place("O", line("a", 3)),
        fulfil("O", line(None, 2, "1"), ref="f"),
        fulfil("O", line(None, 2, "1"), ref="g"),
        cancel("O", line(None, 2, "1"), ref="c"),
        give_back("O", line(None, 4, "1"), ref="r"),
    )
    assert [outcome.kind for outcome in outcomes] == [NO_EFFECT, NO_EFFECT, REJECTED, REJECTED, REJECTED]
    codes = [Code.EXCEEDS_PLACED, Code.EXCEEDS_CANCELLABLE, Code.EXCEEDS_RETURNABLE]
    assert [outcome.code for outcome in outcomes[2:]] == codes
    assert totals(opened).fulfilled == 2


def test_c56_beside_a_tracked_line_the_command_is_applied() -> None:
    opened = shop()
    hold_to(opened, "b", tracked=False)
    (outcome,) = run(opened, place("O", line("a", 1), line("b", 1)))
    assert (outcome.kind, moved(outcome)) == (APPLIED, [("sale", -1)])


# ------------------------------------------------------------------ shapes


def test_c57_an_applied_line_is_an_entry_for_each_movement() -> None:
    opened = branches(reserve("O", at(None, 4)), A=3, B=4)
    asked = give_back("O", line(None, 1, "1", damaged=True), ref="r")
    (outcome,) = run(opened, asked)
    (applied,) = events.told(asked, outcome, emit_applied=True)
    ours = {"line_id": "1", "product_id": product("a"), "variant_id": None, "location_id": spot("B")}
    assert applied.payload["lines"] == [
        ours | {"type": kind, "quantity": quantity}
        for kind, quantity in (("unreserved", 1), ("sale", -1), ("return", 1), ("damage", -1))
    ]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (place("O", at("A", 4), at("B", 1)), [("1", 4, 3, 1, Code.INSUFFICIENT_STOCK)]),
        (place("O", at(None, 9)), [("1", 9, 5, 4, Code.INSUFFICIENT_STOCK)]),
        (adjust(MovementType.DAMAGE, at("B", 1), at("B", 3), ref="d"), [(None, 3, 1, 2, Code.INSUFFICIENT_STOCK)]),
        (transfer(spot("A"), spot("B"), line("a", 7), ref="t"), [(None, 7, 3, 4, Code.INSUFFICIENT_STOCK)]),
        (adjust(MovementType.UNRESERVED, at("A", 2), ref="u"), [(None, 2, 3, 2, Code.EXCEEDS_RESERVED)]),
    ],
    ids=["of the location named", "of the item", "after the line before", "of the source", "holds"],
)
def test_c58_only_failing_lines_are_told_with_what_was_available_and_the_shortfall(
    asked: Command, told: list[tuple[str | None, int, int, int, Code]]
) -> None:
    (outcome,) = run(branches(A=3, B=2), asked)
    assert [
        (entry.line_id, entry.requested, entry.available, entry.shortfall, entry.code) for entry in outcome.rejected
    ] == told


@pytest.mark.parametrize(
    ("mode", "asked", "available"),
    [
        (Mode.RESERVE, fulfil("O", at("B", 9, "1"), ref="f"), 7),
        (Mode.RESERVE, give_back("O", at("B", 9, "1"), ref="r"), 7),
        (Mode.SALE, give_back("O", at("B", 9, "1"), ref="r"), 7),
        (Mode.SALE, fulfil("O", at("B", 9, "1"), ref="f"), 9),
        (Mode.RESERVE, cancel("O", at("B", 9, "1"), ref="c"), 9),
    ],
    ids=[
        "filled there",
        "came back there",
        "sold and came back there",
        "ignored on a sale",
        "ignored on a cancellation",
    ],
)
def test_c58_a_refused_fulfilment_or_return_tells_what_the_location_named_has(
    mode: Mode, asked: Command, available: int
) -> None:
    opened = branches(A=5, B=7)
    *_, outcome = run(opened, place("O", at("A", 3), mode=mode), asked)
    (told,) = outcome.rejected
    assert (told.location_id, told.available) == (spot("B"), available)


def test_c59_a_revision_grows_with_every_state_that_is_published_and_alerts_carry_it() -> None:
    opened = shop()
    item: Item = opened.items[ItemKey(SITE, product("a"), None)]
    first = item.revision
    opened.changes = type(opened.changes)()
    run(opened, restock(line("a", 90), ref="1"), adjust(MovementType.DAMAGE, line("a", 99), ref="2"))
    assert item.revision >= first + 1
    assert len(opened.changes.alerts) == 2
    assert {alert.revision for alert in opened.changes.alerts} == {item.revision}


@pytest.mark.parametrize("kind", [MovementType.SALE, MovementType.RESERVED])
def test_c60_only_orders_are_routed(kind: MovementType) -> None:
    opened = branches(A=5)
    by_hand, by_order = run(opened, adjust(kind, at(None, 1), ref="x"), place("O", at(None, 1)))
    assert (by_hand.code, placed(by_order)) == (Code.INSUFFICIENT_STOCK, [("sale", -1, "A")])
