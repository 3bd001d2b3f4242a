"""Sentences of the contract's rules that no table beside them shows: one test each, in the rules' order. No I/O."""

import pytest

from stock_worker.core.model import Command, Level, Line, Mode, MovementType, OutcomeKind
from stock_worker.core.refusals import Code
from stock_worker.core.state import Location, World
from tests.core.shop import (
    DEFAULT,
    SITE,
    adjust,
    cancel,
    count,
    expire_at,
    fulfil,
    give_back,
    hold_to,
    item_key,
    line,
    locate,
    place,
    placed,
    reserve,
    restock,
    run,
    spot,
    stock,
    there,
    transfer,
    world,
)

APPLIED, REJECTED, PARKED = OutcomeKind.APPLIED, OutcomeKind.REJECTED, OutcomeKind.PARKED


def at(code: str | None, quantity: int, **more: object) -> Line:
    """So many of item a at a location."""
    named = line("a", quantity)._replace(location_id=None if code is None else spot(code))
    return named._replace(**more)  # type: ignore[arg-type] # any field of a line


def shop(**stocked: int) -> World:
    """Locations A and B before the default D, with this stock of item a."""
    opened = locate(world(), "A", "B")
    opened.sites[SITE].locations[DEFAULT].priority = 9
    opened.sites[SITE].route()
    run(opened, *(restock(at(code, units), ref=f"stock {code}") for code, units in stocked.items()))
    return opened


# ------------------------------------------------------------------ rule 4


HELD = reserve("O", at("A", 8))


@pytest.mark.parametrize(
    ("fact", "left"),
    [
        (restock(at("A", 1), ref="x"), 3),
        (give_back(None, at("A", 1), ref="x"), 3),
        (count(at("A", 0), ref="x"), -8),
        (adjust(MovementType.DAMAGE, at("A", 9), ref="x"), -7),
        (adjust(MovementType.EXPIRED, at("A", 10), ref="x"), -8),
        (adjust(MovementType.ADJUSTMENT, at("A", -10), ref="x"), -8),
    ],
    ids=["restock", "return", "count", "damage", "expired", "adjustment"],
)
def test_rule_4_facts_are_booked_though_orders_hold_what_is_gone(fact: Command, left: int) -> None:
    opened = shop(A=10)
    *_, outcome = run(opened, HELD, fact)
    assert (outcome.kind, stock(opened, "a")) == (APPLIED, left)


def test_rule_4_a_fulfilment_is_booked_though_nothing_is_there() -> None:
    opened = shop(A=8)
    *_, outcome = run(opened, HELD, count(at("A", 0), ref="k"), fulfil("O", line("a", 8), ref="f"))
    assert (outcome.kind, there(opened, "a")["A"]) == (APPLIED, (-8, 0))


@pytest.mark.parametrize(
    "kind", [MovementType.DAMAGE, MovementType.EXPIRED, MovementType.ADJUSTMENT], ids=lambda kind: kind.value
)
def test_rule_4_what_is_gone_is_bounded_by_what_lay_at_the_location(kind: MovementType) -> None:
    sign = -1 if kind is MovementType.ADJUSTMENT else 1
    opened = shop(A=3, B=9)
    just, beyond = run(opened, adjust(kind, at("A", sign * 3), ref="1"), adjust(kind, at("A", sign), ref="2"))
    assert (just.kind, beyond.code) == (APPLIED, Code.INSUFFICIENT_STOCK)


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize(
    ("limit", "code", "most"),
    [(0, "A", 3), (4, "A", 7), (-1, "A", 3), (-4, "A", 1), (0, None, 5), (4, None, 9), (-4, None, 1)],
    ids=[
        *("a location's own", "and the backorder limit", "safety stock is the item's", "and bounds a location too"),
        *("all of them", "all and the limit", "all but the safety stock"),
    ],
)
def test_rule_4_promises_keep_the_item_above_its_limit_and_the_location_above_its_own(
    mode: Mode, limit: int, code: str | None, most: int
) -> None:
    for asked, kind in ((most, APPLIED), (most + 1, REJECTED)):
        opened = hold_to(shop(A=3, B=2), "a", backorder_limit=limit)
        (outcome,) = run(opened, place("O", at(code, asked), mode=mode))
        assert outcome.kind is kind, asked


def test_rule_4_a_transfer_asks_only_that_its_source_has_it() -> None:
    opened = hold_to(shop(A=3), "a", backorder_limit=9)
    run(opened, place("O", at("B", 9)))
    hold_to(opened, "a", backorder_limit=-9)
    (outcome,) = run(opened, transfer(spot("A"), spot("B"), line("a", 3), ref="t"))
    assert (outcome.kind, stock(opened, "a")) == (APPLIED, -6), "the item is below its limit, before and after"


# ------------------------------------------------------------------ rule 5


def test_rule_5_what_names_an_order_whose_placement_was_refused_is_parked() -> None:
    opened = shop(A=3)
    outcomes = run(
        opened,
        place("O", at("A", 4)),
        cancel("O", line(None, 1, "1"), ref="c"),
        fulfil("O", line(None, 1, "1"), ref="f"),
        give_back("O", line(None, 1, "1"), ref="r"),
        place("O", at("A", 3), ref="again"),
    )
    assert [outcome.kind for outcome in outcomes] == [REJECTED, PARKED, PARKED, PARKED, APPLIED]
    assert [waited.reference.id for waited, _ in outcomes[-1].released] == ["c", "f", "r"]


def test_rule_5_an_amendment_adds_lines_and_its_time_replaces_the_old() -> None:
    opened = shop(A=9)
    more = reserve("O", at("A", 2, line_id="2"), after_s=120, ref="more", amend=True)
    outcomes = run(opened, reserve("O", at("A", 3), after_s=60), more)
    assert [placed(outcome) for outcome in outcomes] == [[("reserved", -3, "A")], [("reserved", -2, "A")]]
    assert expire_at(opened, "O", 90) is None
    expired = expire_at(opened, "O", 120)
    assert expired is not None
    assert sum(row.quantity for row in expired.movements) == 5


# ------------------------------------------------------------------ rule 7


def test_rule_7_locations_of_equal_priority_go_by_code_and_then_by_id() -> None:
    opened = world()
    site = opened.sites[SITE]
    for number, code in ((3, "NORTH"), (1, "SOUTH"), (2, "NORTH")):
        name = f"10ca7100-0000-4000-8000-00000000000{number}"
        site.locations[name] = Location(name, code, 0)
    site.route()
    assert [name[-1] for name in site.routing if name != DEFAULT] == ["2", "3", "1"]
    assert site.routing[0] == DEFAULT, "its code is DEFAULT"


def test_rule_7_an_expiry_gives_back_where_the_units_were_held_last_in_first_out() -> None:
    opened = shop(A=3, B=2)
    run(opened, reserve("O", at(None, 5), after_s=60))
    outcome = expire_at(opened, "O", 60)
    assert outcome is not None
    assert placed(outcome) == [("unreserved", 2, "B"), ("unreserved", 3, "A")]


# ------------------------------------------------------------------ rule 10


@pytest.mark.parametrize(
    ("available", "level"),
    [
        *((11, Level.OK), (10, Level.LOW), (4, Level.LOW), (3, Level.CRITICAL), (1, Level.CRITICAL)),
        *((0, Level.OUT), (-1, Level.OUT)),
    ],
)
def test_rule_10_the_level_is_the_worst_whose_threshold_is_not_exceeded(available: int, level: Level) -> None:
    opened = hold_to(shop(A=20), "a", backorder_limit=9)
    run(opened, place("O", at("A", 20 - available)))
    assert opened.items[item_key("a")].level is level


def test_rule_10_the_level_is_of_what_all_locations_have() -> None:
    opened = shop(A=6)
    assert opened.items[item_key("a")].level is Level.LOW
    run(opened, restock(at("B", 6), ref="r"), transfer(spot("A"), spot("B"), line("a", 6), ref="t"))
    assert opened.items[item_key("a")].level is Level.OK
    assert len(opened.changes.alerts) == 2
