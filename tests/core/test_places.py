"""Contract rule 7, transfers, and rule 9: where units are taken, brought, moved and counted. Tables; no I/O."""

import pytest

from stock_worker.core.model import Line, Mode, MovementType, OutcomeKind
from stock_worker.core.refusals import Code
from stock_worker.core.state import Changes, World
from tests.core.shop import (
    DEFAULT,
    SITE,
    adjust,
    cancel,
    cancel_whole,
    count,
    fulfil,
    give_back,
    hold_to,
    item_key,
    line,
    locate,
    moved,
    place,
    placed,
    restock,
    run,
    spot,
    stock,
    there,
    transfer,
    world,
)

APPLIED, NO_EFFECT, REJECTED = OutcomeKind.APPLIED, OutcomeKind.NO_EFFECT, OutcomeKind.REJECTED


def at(code: str | None, quantity: int, **more: object) -> Line:
    """So many of item a at a location."""
    asked = line("a", quantity)._replace(location_id=None if code is None else spot(code))
    return asked._replace(**more)  # type: ignore[arg-type] # any field of a line


def shop(**stocked: int) -> World:
    """Locations A (first), B, C (not in use) and the default D, with this stock of item a."""
    opened = locate(world(), "A", "B", inactive=("C",))
    opened.sites[SITE].locations[DEFAULT].priority = 9
    opened.sites[SITE].route()
    run(opened, *(restock(at(code, units), ref=f"stock {code}") for code, units in stocked.items()))
    return opened


# ------------------------------------------------------------------ rule 7: routing


@pytest.mark.parametrize(
    ("stocked", "limit", "asked", "rows"),
    [
        ({"A": 5, "B": 5, "D": 5}, 0, at(None, 4), [("A", 4)]),
        ({"A": 3, "B": 5, "D": 5}, 0, at(None, 4), [("B", 4)]),
        ({"A": 3, "B": 3, "D": 5}, 0, at(None, 4), [("D", 4)]),
        ({"A": 3, "B": 2, "D": 1}, 0, at(None, 6), [("A", 3), ("B", 2), ("D", 1)]),
        ({"A": 3, "B": 2, "D": 1}, 0, at(None, 4), [("A", 3), ("B", 1)]),
        ({"A": 3, "B": 2}, 4, at(None, 8), [("A", 3), ("B", 2), ("D", 3)]),
        ({"A": 3, "D": 2}, 4, at(None, 8), [("A", 3), ("D", 5)]),
        ({"A": 3}, 4, at("B", 4), [("B", 4)]),
        ({"A": 5, "B": 5}, 0, at(None, 4, location_ids=(spot("B"),)), [("B", 4)]),
        ({"A": 5, "B": 2, "D": 1}, 0, at(None, 3, location_ids=(spot("B"), spot("D"))), [("B", 2), ("D", 1)]),
        ({"A": 1}, 4, at(None, 5, location_ids=(spot("A"), spot("D"))), [("A", 1), ("D", 4)]),
        ({"A": 5}, 0, at(None, 2, location_ids=(spot("A"), spot("C"))), [("A", 2)]),
    ],
    ids=[
        "the first that has all of it",
        "the second has all of it",
        "the last has all of it",
        "each what it has",
        "no more than is needed",
        "what no location has is a backorder at the default",
        "one row at the default, backorder included",
        "a named location, its backorder too",
        "limited to a set",
        "split within the set",
        "backorder where the default is in the set",
        "an inactive one in the set is passed over",
    ],
)
def test_rule_7_where_an_orders_line_is_taken(
    stocked: dict[str, int], limit: int, asked: Line, rows: list[tuple[str, int]]
) -> None:
    opened = hold_to(shop(**stocked), "a", backorder_limit=limit)
    (outcome,) = run(opened, place("O", asked))
    assert placed(outcome) == [("sale", -units, code) for code, units in rows]


@pytest.mark.parametrize(
    ("stocked", "limit", "asked", "code", "available", "shortfall"),
    [
        ({"A": 3, "B": 2}, 0, at(None, 6), Code.INSUFFICIENT_STOCK, 5, 1),
        ({"A": 3, "B": 2}, 4, at(None, 10), Code.INSUFFICIENT_STOCK, 5, 1),
        ({"A": 3, "B": 2}, 0, at("A", 4), Code.INSUFFICIENT_STOCK, 3, 1),
        ({"A": 3, "B": 2}, -2, at(None, 4), Code.INSUFFICIENT_STOCK, 5, 1),
        ({"A": 3, "B": 2}, 4, at(None, 4, location_ids=(spot("A"),)), Code.INSUFFICIENT_STOCK, 5, 1),
        ({"A": 3}, 0, at("X", 1), Code.UNKNOWN_LOCATION, 0, None),
        ({"A": 3}, 0, at("C", 1), Code.INACTIVE_LOCATION, 0, None),
        ({"A": 3}, 0, at(None, 1, location_ids=(spot("A"), spot("X"))), Code.UNKNOWN_LOCATION, 3, None),
    ],
    ids=[
        "more than all have together",
        "more than the backorder limit too",
        "more than the named one has",
        "safety stock is kept",
        "no backorder without the default in the set",
        "unknown location",
        "inactive location",
        "an unknown location in the set",
    ],
)
def test_rule_7_what_cannot_be_taken(
    stocked: dict[str, int], limit: int, asked: Line, code: Code, available: int, shortfall: int | None
) -> None:
    opened = hold_to(shop(**stocked), "a", backorder_limit=limit)
    before = there(opened, "a")
    (outcome,) = run(opened, place("O", asked))
    assert (outcome.kind, outcome.code) == (REJECTED, code)
    assert (outcome.rejected[0].available, outcome.rejected[0].shortfall) == (available, shortfall)
    assert there(opened, "a") == before


def test_rule_7_lines_with_a_location_come_first() -> None:
    opened = shop(A=5)
    (outcome,) = run(opened, place("O", at(None, 2), at("A", 4)))
    assert outcome.code is Code.INSUFFICIENT_STOCK
    assert [told.line_id for told in outcome.rejected] == ["1"], "the second line took its four before"


@pytest.mark.parametrize(
    ("undo", "rows"),
    [
        (cancel("O", line("a", 4), ref="c"), [("sale", 1, "D"), ("sale", 2, "B"), ("sale", 1, "A")]),
        (cancel_whole("O"), [("sale", 1, "D"), ("sale", 2, "B"), ("sale", 3, "A")]),
        (give_back("O", line("a", 2), ref="r"), [("return", 1, "D"), ("return", 1, "B")]),
        (
            give_back("O", line("a", 2, damaged=True), ref="r"),
            [("return", 1, "D"), ("damage", -1, "D"), ("return", 1, "B"), ("damage", -1, "B")],
        ),
        (give_back("O", at("A", 2), ref="r"), [("return", 2, "A")]),
    ],
    ids=["cancelled by name", "cancelled whole", "returned", "returned damaged", "returned to where it is now"],
)
def test_rule_7_units_go_back_to_where_they_came_from_last_in_first_out(
    undo: object, rows: list[tuple[str, int, str]]
) -> None:
    opened = shop(A=3, B=2, D=1)
    *_, outcome = run(opened, place("O", at(None, 6)), undo)  # type: ignore[arg-type] # a command
    assert placed(outcome) == rows


@pytest.mark.parametrize(
    ("undo", "rows"),
    [
        (cancel("O", line("a", 1), ref="c"), [("unreserved", 1, "D")]),
        (cancel("O", line("a", 4), ref="c"), [("unreserved", 2, "D"), ("unreserved", 2, "A")]),
        (fulfil("O", at("A", 1), ref="f"), [("unreserved", 1, "A"), ("sale", -1, "A")]),
        (give_back("O", at(None, 1), ref="r"), [("unreserved", 1, "D"), ("sale", -1, "D"), ("return", 1, "D")]),
    ],
    ids=["one cancelled", "more than the backorder", "filled where it is named", "came back as the oldest left"],
)
def test_rule_7_a_backorder_was_taken_last_also_where_the_default_sells_first(
    undo: object, rows: list[tuple[str, int, str]]
) -> None:
    """D has 2 and A 2 of an order of 5: the backorder of one is D's too, and one row with D's own."""
    opened = hold_to(shop(D=2, A=2), "a", backorder_limit=4)
    opened.sites[SITE].locations[DEFAULT].priority = -1
    opened.sites[SITE].route()
    taken, outcome = run(opened, place("O", at(None, 5), mode=Mode.RESERVE), undo)  # type: ignore[arg-type] # a command
    assert placed(taken) == [("reserved", -3, "D"), ("reserved", -2, "A")]
    assert placed(outcome) == rows


def test_rule_7_the_last_sold_go_back_first_wherever_they_were_held() -> None:
    """Held at A, then B; filled from B, then A: what left last was A's."""
    opened = shop(A=2, B=2)
    outcomes = run(
        opened,
        place("O", at(None, 4), mode=Mode.RESERVE),
        fulfil("O", at("B", 1), ref="1"),
        fulfil("O", at("A", 1), ref="2"),
        give_back("O", at(None, 1), ref="3"),
        give_back("O", at(None, 1), ref="4"),
    )
    assert [placed(outcome) for outcome in outcomes[3:]] == [[("return", 1, "A")], [("return", 1, "B")]]


def test_rule_7_what_came_back_is_not_counted_twice() -> None:
    opened = shop(A=3, B=2, D=1)
    outcomes = run(
        opened, place("O", at(None, 6)), give_back("O", at(None, 1), ref="1"), give_back("O", at(None, 3), ref="2")
    )
    assert placed(outcomes[2]) == [("return", 2, "B"), ("return", 1, "A")]


def test_rule_7_to_the_default_if_the_place_is_inactive() -> None:
    opened = shop(A=3)
    run(opened, place("O", at(None, 3)))
    opened.sites[SITE].locations[spot("A")].active = False
    opened.sites[SITE].route()
    (outcome,) = run(opened, cancel_whole("O"))
    assert placed(outcome) == [("sale", 3, "D")]
    (left,) = run(opened, fulfil("O", at(None, 1), ref="f"))
    assert placed(left) == [("sale", -1, "D")], "it left from where it was given back"


def test_rule_7_without_a_location_the_default_is_meant() -> None:
    opened = shop(A=5, D=5)
    outcomes = run(
        opened,
        restock(at(None, 1), ref="1"),
        give_back(None, at(None, 1), ref="2"),
        adjust(MovementType.DAMAGE, at(None, 1), ref="3"),
        adjust(MovementType.ADJUSTMENT, at(None, -1), ref="4"),
        adjust(MovementType.EXPIRED, at("A", 1), ref="5"),
    )
    assert [placed(outcome)[0][2] for outcome in outcomes] == ["D", "D", "D", "D", "A"]


@pytest.mark.parametrize("code", ["X", "C"])
@pytest.mark.parametrize("kind", ["restock", "return", "adjustment"])
def test_rule_4_an_inflow_opens_the_location_that_it_names(code: str, kind: str) -> None:
    opened = shop(A=1)
    asked = {
        "restock": restock(at(code, 2), at(code, 1), ref="i"),
        "return": give_back(None, at(code, 2), at(code, 1), ref="i"),
        "adjustment": adjust(MovementType.ADJUSTMENT, at(code, 2), at(code, 1), ref="i"),
    }[kind]
    (outcome,) = run(opened, asked)
    assert [row[1:] for row in placed(outcome)] == [(2, code), (1, code)]
    location = opened.sites[SITE].locations[spot(code)]
    assert (location.active, location.priority) == (True, 10)
    assert location.code == ("C" if code == "C" else spot("X")), "C25: a known one keeps its name"
    assert opened.sites[SITE].routing[-1] == spot(code)
    assert list(opened.changes.locations) == [(SITE, spot(code))]


def test_rule_4_a_refused_command_opens_nothing() -> None:
    opened = shop(A=1)
    (outcome,) = run(opened, adjust(MovementType.ADJUSTMENT, at("X", 2), at("A", -9), ref="i"))
    assert outcome.code is Code.INSUFFICIENT_STOCK
    assert spot("X") not in opened.sites[SITE].locations


@pytest.mark.parametrize(
    "kind", [MovementType.DAMAGE, MovementType.SALE, MovementType.RESERVED, MovementType.UNRESERVED]
)
@pytest.mark.parametrize(("code", "refusal"), [("X", Code.UNKNOWN_LOCATION), ("C", Code.INACTIVE_LOCATION)])
def test_section_5_what_takes_opens_nothing(kind: MovementType, code: str, refusal: Code) -> None:
    opened = shop(A=3)
    (outcome,) = run(opened, adjust(kind, at(code, 1), ref="x"))
    assert outcome.code is refusal


@pytest.mark.parametrize(
    ("kind", "quantity", "code"),
    [
        ("adjustment", -1, Code.INACTIVE_LOCATION),
        ("damage", 1, Code.INACTIVE_LOCATION),
        ("unreserved", 1, Code.INACTIVE_LOCATION),
        ("adjustment", 1, Code.VERSION_CONFLICT),
        ("restock", 1, Code.VERSION_CONFLICT),
    ],
)
def test_section_5_a_place_that_cannot_be_used_comes_before_a_stale_version(
    kind: str, quantity: int, code: Code
) -> None:
    opened = shop(A=3)
    (outcome,) = run(opened, adjust(MovementType(kind), at("C", quantity, expected_version=9), ref="x"))
    assert outcome.code is code


def test_rule_11_where_each_line_stands_alone_an_untracked_one_is_accepted() -> None:
    opened = hold_to(shop(A=3), "b", tracked=False)
    (outcome,) = run(opened, adjust(MovementType.DAMAGE, at("A", 9), line("b", 1), ref="x", atomic=False))
    assert (outcome.kind, len(outcome.rejected), outcome.movements) == (OutcomeKind.PARTLY_APPLIED, 1, ())


def test_rule_3_lines_of_a_fulfilment_that_name_a_location_come_first() -> None:
    opened = shop(A=3)
    lines = (at(None, 2, line_id="1"), at("B", 2, line_id="1"))
    *_, outcome = run(opened, place("O", at("A", 3), mode=Mode.RESERVE), fulfil("O", *lines, ref="f"))
    assert outcome.code is Code.EXCEEDS_PLACED
    assert [told.location_id for told in outcome.rejected] == [None], "the second line was decided before"


# ------------------------------------------------------------------ transfers


def test_a_transfer_has_two_rows_out_first() -> None:
    opened = shop(A=5)
    (outcome,) = run(opened, transfer(spot("A"), spot("B"), line("a", 2), line("a", 1), ref="t"))
    assert placed(outcome) == [
        *(("transfer", -2, "A"), ("transfer", 2, "B")),
        *(("transfer", -1, "A"), ("transfer", 1, "B")),
    ]
    assert [row.last_of_command for row in outcome.movements] == [False, False, False, True]
    assert (stock(opened, "a"), there(opened, "a")) == (5, {"A": (2, 0), "B": (3, 0)})


@pytest.mark.parametrize(
    ("source", "target", "quantity", "code", "shortfall", "culprit"),
    [
        ("A", "B", 6, Code.INSUFFICIENT_STOCK, 1, None),
        ("A", "A", 1, Code.SAME_LOCATION, None, None),
        ("X", "B", 1, Code.UNKNOWN_LOCATION, None, "X"),
        ("A", "X", 1, Code.UNKNOWN_LOCATION, None, "X"),
        ("A", "C", 1, Code.INACTIVE_LOCATION, None, "C"),
        ("C", "X", 1, Code.UNKNOWN_LOCATION, None, "X"),
    ],
)
def test_rule_4_a_transfer_that_cannot_be(
    source: str, target: str, quantity: int, code: Code, shortfall: int | None, culprit: str | None
) -> None:
    opened = hold_to(shop(A=5), "a", backorder_limit=100)
    (outcome,) = run(opened, transfer(spot(source), spot(target), line("a", quantity), ref="t"))
    told = outcome.rejected[0]
    assert (outcome.code, told.shortfall) == (code, shortfall)
    assert (told.location_id, told.detail) == (spot(source), culprit and spot(culprit)), "its own is where it is taken"


# ------------------------------------------------------------------ rule 9: counts


def test_rule_9_a_count_corrects_what_is_there_now() -> None:
    opened = shop(A=5)
    more, less, same = run(opened, count(at("A", 7), ref="1"), count(at("A", 4), ref="2"), count(at("A", 4), ref="3"))
    assert (moved(more), moved(less)) == ([("adjustment", 2)], [("adjustment", -3)])
    assert (same.kind, same.movements) == (NO_EFFECT, ())
    assert opened.items[item_key("a")].places[spot("A")].counted_at == opened.recorded_at


def test_rule_9_a_count_undoes_nothing_that_happened_meanwhile() -> None:
    """Seen at version 1: 5 there. Sold 2 since, received 3, corrected by another count: what was counted was 6."""
    opened = shop(A=5)
    outcomes = run(
        opened,
        adjust(MovementType.SALE, at("A", 2), ref="s"),
        restock(at("A", 3), ref="r"),
        count(at("A", 6, counted_at_version=1), ref="1"),
        count(at("A", 6, counted_at_version=1), ref="2"),
        count(at("A", 5, counted_at_version=1), ref="3"),
    )
    assert [moved(outcome) for outcome in outcomes[2:]] == [[("adjustment", 1)], [], [("adjustment", -1)]]
    assert there(opened, "a")["A"] == (6, 0), "5 - 2 + 3, as the third counter found five at version 1"


def test_rule_9_what_moved_before_this_batch_counts_too() -> None:
    opened = shop(A=5)
    item = opened.items[item_key("a")]
    opened.changes, opened.windows[item.item_id, spot("A"), 0] = Changes(), 5
    (outcome,) = run(opened, count(at("A", 1, counted_at_version=0), ref="1"))
    assert moved(outcome) == [("adjustment", 1)]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (at(None, 5), Code.LOCATION_REQUIRED),
        (at("X", 5), Code.UNKNOWN_LOCATION),
        (at("C", 5), Code.INACTIVE_LOCATION),
        (at("A", 5, counted_at_version=2), Code.UNKNOWN_VERSION),
        (at("X", 5, counted_at_version=2), Code.UNKNOWN_LOCATION),
    ],
)
def test_rule_9_a_count_that_cannot_be(asked: Line, code: Code) -> None:
    opened = shop(A=5)
    (outcome,) = run(opened, count(asked, ref="c"))
    assert outcome.code is code
    assert not opened.changes.locations, "C28: a count opens no location"


def test_section_5_a_version_more_than_100000_back_is_unknown() -> None:
    opened = shop(A=5)
    opened.items[item_key("a")].version = 100_002
    old, just = run(
        opened, count(at("A", 5, counted_at_version=1), ref="1"), count(at("A", 5, counted_at_version=2), ref="2")
    )
    assert (old.code, just.code) == (Code.UNKNOWN_VERSION, None)


def test_c27_several_means_several_active_ones() -> None:
    opened = locate(world(), inactive=("C",))
    (outcome,) = run(opened, count(at(None, 5), ref="c"))
    assert placed(outcome) == [("adjustment", 5, "D")]


def test_a43_an_item_that_never_moved_counted_as_nothing_has_no_effect_and_is_counted() -> None:
    opened = world()
    (outcome,) = run(opened, count(at(None, 0), ref="c"))
    assert outcome.kind is NO_EFFECT
    assert opened.items[item_key("a")].places[DEFAULT].counted_at is not None
