"""Rule 12 by hand: each table is one item's life, with the average and the costed units after every step."""

from decimal import Decimal
from typing import Any

import pytest

from tests.models.costs import Cost, Value, inflow, outflow
from tests.models.desk import Desk, X, line

Step = tuple[str, int, dict[str, Any]]
After = tuple[str | None, int, str | None]

IN, OUT, SOLD = "restock", "damage", "sale"
TWO = Decimal(2)


def euros(cost: str, currency: str | None = None) -> dict[str, Any]:
    """An inflow's cost, in the site's money where no other is said."""
    return {"unit_cost": cost, **({} if currency is None else {"currency": currency})}


LIVES: dict[str, list[tuple[Step, After]]] = {
    # (what, how many, cost) and then: the average, the costed units, the row's own cost
    "a weighted mean": [
        ((IN, 10, euros("2.00")), ("2", 10, "2.00")),
        ((IN, 5, euros("5.00")), ("3", 15, "5.00")),  # (20 + 25) / 15
        ((OUT, 3, {}), ("3", 12, "3")),
        ((IN, 4, euros("1.5")), ("2.625", 16, "1.5")),  # (36 + 6) / 16
    ],
    "six places, half to even": [
        ((IN, 2, euros("0.000001")), ("0.000001", 2, "0.000001")),
        ((IN, 2, euros("0.000002")), ("0.000002", 4, "0.000002")),  # 0.0000015 goes to the even 2
        ((IN, 4, euros("0.000003")), ("0.000002", 8, "0.000003")),  # 0.0000025 goes to the even 2
    ],
    "thirds": [
        ((IN, 1, euros("1")), ("1", 1, "1")),
        ((IN, 2, euros("2")), ("1.666667", 3, "2")),
        ((IN, 3, euros("0")), ("0.833334", 6, "0")),  # 5.000001 / 6 = 0.8333335, to the even 4
    ],
    "uncosted first": [
        ((IN, 10, {}), (None, 0, None)),
        ((OUT, 2, {}), (None, 0, None)),
        ((IN, 4, euros("3")), ("3", 4, "3")),  # the 8 without a cost are worth nothing known
        ((OUT, 3, {}), ("3", 3, "3")),  # 4 * 3 / 12 = 1
        ((IN, 2, {}), ("3", 5, "3")),  # takes the average
        ((OUT, 5, {}), ("3", 3, "3")),  # 5 * 5 / 11 = 2.27
    ],
    "pro rata goes half to even": [
        ((IN, 2, {}), (None, 0, None)),
        ((IN, 2, euros("1")), ("1", 2, "1")),
        ((OUT, 1, {}), ("1", 2, "1")),  # 2 * 1 / 4 = 0.5, to the even 0
        ((IN, 1, {}), ("1", 3, "1")),
        ((OUT, 2, {}), ("1", 1, "1")),  # 3 * 2 / 4 = 1.5, to the even 2
    ],
    "the average outlives the stock": [
        ((IN, 3, euros("4")), ("4", 3, "4")),
        ((OUT, 3, {}), ("4", 0, "4")),
        ((IN, 2, {}), ("4", 2, "4")),
        ((OUT, 2, {}), ("4", 0, "4")),
        ((IN, 2, euros("7")), ("7", 2, "7")),
    ],
    "below nothing": [
        ((IN, 2, euros("4")), ("4", 2, "4")),
        ((SOLD, 5, {}), ("4", 0, "4")),
        ((IN, 2, euros("9")), ("4", 0, None)),  # from -3 to -1: the average stays, the cost is ignored
        ((IN, 4, euros("9")), ("4", 3, None)),  # from -1 to 3: three are worth the average
    ],
    "below nothing and nothing known": [
        ((SOLD, 3, {}), (None, 0, None)),
        ((IN, 5, euros("9")), (None, 0, None)),
        ((IN, 1, euros("9")), ("9", 1, "9")),
    ],
    "another money": [
        ((IN, 4, euros("2", "EUR")), ("2", 4, "2")),
        ((IN, 4, euros("1", "USD")), ("2", 4, None)),  # booked as uncosted, and said so
        ((OUT, 4, {}), ("2", 2, "2")),
        ((SOLD, 6, {}), ("2", 0, "2")),
        ((IN, 3, euros("1", "USD")), ("2", 0, None)),  # from -2 to 1: not even the average
    ],
}


@pytest.mark.parametrize("life", LIVES.values(), ids=LIVES)
def test_the_life_of_an_average(life: list[tuple[Step, After]]) -> None:
    desk = Desk()
    desk.set_rule(("site",), {"backorder_limit": 5})
    desk.set_settings({"currency": "EUR"})
    for (kind, quantity, cost), (average, costed, unit_cost) in life:
        if kind == IN:
            told = desk.tell("restock", line("X", quantity, **cost))
        else:
            told = desk.tell("stock-adjustment", line("X", quantity), type=kind)
        (row,) = told.moved
        assert (row.average_cost, row.costed) == (None if average is None else Decimal(average), costed)
        assert row.unit_cost == (None if unit_cost is None else Decimal(unit_cost))
        assert row.cost_ignored == (unit_cost is None and "unit_cost" in cost)


def test_a_site_without_money_compares_none() -> None:
    desk = Desk()
    told = desk.tell("restock", line("X", 1, **euros("1", "EUR")), line("X", 1, **euros("2", "USD")))
    assert told.moved[-1].average_cost == Decimal("1.5")


def test_reserving_has_no_cost_and_leaves_the_value_alone() -> None:
    desk = Desk()
    desk.tell("restock", line("X", 3, **euros("2")))
    (row,) = desk.place(line("X", 2, line_id="1"), mode="reserve").moved
    assert (row.unit_cost, row.average_cost, row.costed) == (None, TWO, 3)
    released, sold = desk.fulfil(2).moved
    assert (released.unit_cost, sold.unit_cost, sold.costed) == (None, TWO, 1)
    (returned,) = desk.give_back(1).moved
    assert (returned.unit_cost, returned.costed) == (TWO, 2)


def test_units_that_move_take_their_value_with_them() -> None:
    """Of 6 units 3 are costed; 2 that move take 1 and bring it back, even where what is left is nothing."""
    desk = Desk()
    desk.tell("restock", line("X", 3))
    desk.tell("restock", line("X", 3, **euros("2")))
    out, into = desk.tell("stock-transfer", line("X", 2), from_location_id="D", to_location_id="A").moved
    assert [(row.on_hand, row.costed, row.unit_cost, row.average_cost) for row in (out, into)] == [
        (4, 2, TWO, TWO),
        (6, 3, TWO, TWO),
    ]
    out, into = desk.tell("stock-transfer", line("X", 4), from_location_id="D", to_location_id="A").moved
    assert [(row.on_hand, row.costed) for row in (out, into)] == [(2, 1), (6, 3)]


def test_a_transfer_that_leaves_the_item_below_nothing_brings_its_value_back() -> None:
    """A has 5 and D owes 3: of the item there are 2, costed; 4 move."""
    desk = Desk()
    desk.set_rule(("site",), {"backorder_limit": 3})
    desk.place(line("X", 3))
    desk.tell("restock", line("X", 4, **euros("9"), location_id="A"))  # ignored: three were owed
    desk.tell("restock", line("X", 1, **euros("1"), location_id="A"))
    assert desk.book.value[X] == Value(Decimal(1), 1)
    out, into = desk.tell("stock-transfer", line("X", 4), from_location_id="A", to_location_id="B").moved
    assert [(row.on_hand, row.costed) for row in (out, into)] == [(-2, 0), (2, 1)]


def test_a_count_that_finds_units_books_them_at_the_average() -> None:
    desk = Desk()
    desk.tell("restock", line("X", 3, **euros("2")))
    (row,) = desk.tell("stock-count", {"product_id": "X", "location_id": "D", "counted": 5}).moved
    assert (row.unit_cost, row.costed) == (TWO, 5)


def test_costed_units_never_exceed_what_is_there() -> None:
    for on_hand in range(1, 12):
        for costed in range(on_hand + 1):
            for quantity in range(1, 15):
                after = outflow(Value(Decimal(1), costed), on_hand, quantity).costed
                assert 0 <= after <= max(on_hand - quantity, 0)
    assert inflow(Value(Decimal(1), 0), -5, 3, Cost()) == (Value(Decimal(1), 0), False)
