"""Contract rule 12: what units are worth. Figures worked out by hand; no I/O."""

from decimal import Decimal

import pytest

from stock_worker.core.model import Command, Movement, MovementType
from stock_worker.core.policy import Settings
from tests.core.shop import (
    SITE,
    adjust,
    cancel_whole,
    count,
    give_back,
    hold_to,
    item_key,
    line,
    locate,
    place,
    reserve,
    restock,
    run,
    spot,
    transfer,
    world,
)

D = Decimal
EUR = Settings(currency="EUR")


def cost(quantity: int, unit_cost: str | None = None, currency: str | None = None) -> Command:
    """A delivery of item a."""
    asked = line("a", quantity)._replace(unit_cost=None if unit_cost is None else D(unit_cost), currency=currency)
    return restock(asked, ref=f"{quantity} at {unit_cost} {currency}")


def sold(quantity: int) -> Command:
    """A sale of item a by hand."""
    return adjust(MovementType.SALE, line("a", quantity), ref=f"sold {quantity}")


def figures(row: Movement) -> tuple[Decimal | None, Decimal | None, int | None]:
    """What a row says of costs."""
    return row.unit_cost, row.average_cost, row.costed_quantity


@pytest.mark.parametrize(
    ("commands", "unit_cost", "average", "costed", "ignored"),
    [
        ([cost(3, "10")], "10", "10", 3, False),
        ([cost(3, "10"), cost(1, "20")], "20", "12.5", 4, False),
        ([cost(1, "1"), cost(2, "2")], "2", "1.666667", 3, False),
        ([cost(1, "0.000001"), cost(1, "0.000002")], "0.000002", "0.000002", 2, False),
        ([cost(1, "0.000002"), cost(1, "0.000003")], "0.000003", "0.000002", 2, False),
        ([cost(3)], None, None, 0, False),
        ([cost(3), cost(1, "8")], "8", "8", 1, False),
        ([cost(3, "10"), cost(2)], "10", "10", 5, False),
        ([cost(3), cost(1, "8"), cost(2)], "8", "8", 3, False),
        ([cost(4, "10"), sold(1)], "10", "10", 3, False),
        ([cost(4, "10"), sold(4)], "10", "10", 0, False),
        ([cost(4, "10"), sold(4), cost(2)], "10", "10", 2, False),
        ([cost(4, "10"), sold(4), cost(2, "3")], "3", "3", 2, False),
        ([cost(3), cost(3, "8"), sold(1)], "8", "8", 3, False),
        ([cost(3), cost(3, "8"), sold(3)], "8", "8", 1, False),
        ([cost(2), cost(1, "8"), sold(2)], "8", "8", 0, False),
        ([cost(3, "0")], "0", "0", 3, False),
    ],
    ids=[
        "the first cost",
        "weighted",
        "six decimals",
        "half to even, up",
        "half to even, down",
        "no cost yet",
        "earlier units stay uncosted",
        "no cost takes the average",
        "no cost takes the average beside uncosted ones",
        "outflow leaves the average",
        "all gone",
        "C44: the average outlives the stock",
        "and is replaced by the next cost",
        "C45: pro rata, half to even: half a unit is none",
        "C45: pro rata, half to even: one and a half are two",
        "C45: pro rata, two thirds are one",
        "free of charge",
    ],
)
def test_rule_12_the_moving_average(
    commands: list[Command], unit_cost: str | None, average: str | None, costed: int, ignored: bool
) -> None:
    opened = world()
    *_, last = run(opened, *commands)
    row = last.movements[-1]
    assert figures(row) == (unit_cost and D(unit_cost), average and D(average), costed)
    assert row.cost_ignored is ignored


@pytest.mark.parametrize(
    ("commands", "average", "costed", "ignored"),
    [
        ([cost(3, "10", "EUR"), cost(2, "9", "USD")], "10", 3, True),
        ([cost(2, "9", "USD")], None, 0, True),
        ([cost(2, "9", "EUR")], "9", 2, False),
        ([cost(2, "9")], "9", 2, False),
    ],
    ids=["another currency is uncosted", "and makes no average", "the site's own", "none named is the site's"],
)
def test_rule_12_a_cost_in_another_currency(
    commands: list[Command], average: str | None, costed: int, ignored: bool
) -> None:
    opened = world()
    opened.sites[SITE].settings = EUR
    *_, last = run(opened, *commands)
    (row,) = last.movements
    assert (row.average_cost, row.costed_quantity, row.cost_ignored) == (average and D(average), costed, ignored)
    assert (row.unit_cost is None) is ignored, "C48: a cost that was not used is not on the row"


def test_c49_a_site_without_a_currency_compares_none() -> None:
    opened = world()
    *_, last = run(opened, cost(1, "10", "EUR"), cost(1, "20", "USD"))
    assert figures(last.movements[0]) == (D(20), D(15), 2)


@pytest.mark.parametrize(
    ("before", "inflow", "average", "costed", "ignored"),
    [
        ([], cost(8, "2"), None, 0, True),
        ([cost(1, "7")], cost(8, "2"), "7", 4, True),
        ([cost(1, "7")], cost(8), "7", 4, False),
        ([cost(1, "7")], cost(3, "2"), "7", 0, True),
        ([cost(1, "7")], cost(4, "2"), "7", 0, True),
    ],
    ids=["no average yet", "above zero at the average", "without a cost too", "still negative", "just even"],
)
def test_c46_inflow_into_negative_stock_leaves_the_average(
    before: list[Command], inflow: Command, average: str | None, costed: int, ignored: bool
) -> None:
    """The item is at -4 (or -5 where it never had one)."""
    opened = hold_to(world(), "a", backorder_limit=9)
    *_, last = run(opened, *before, sold(5), inflow)
    (row,) = last.movements
    assert (row.average_cost, row.costed_quantity, row.cost_ignored) == (average and D(average), costed, ignored)


def test_rule_12_a_transfer_changes_no_worth() -> None:
    opened = locate(world(), "A")
    *_, last = run(opened, cost(2), cost(3, "8"), transfer(spot("D"), spot("A"), line("a", 4), ref="t"))
    assert [figures(row) for row in last.movements] == [(D(8), D(8), 1), (D(8), D(8), 3)]


def test_c47_reservations_carry_no_cost() -> None:
    opened = world()
    *_, held, freed = run(opened, cost(3, "8"), reserve("O", line("a", 2)), cancel_whole("O"))
    assert [figures(row) for row in (*held.movements, *freed.movements)] == [(None, D(8), 3), (None, D(8), 3)]


def test_rule_12_what_comes_back_takes_the_average() -> None:
    opened = world()
    outcomes = run(
        opened,
        cost(4, "8"),
        place("O", line("a", 4)),
        give_back("O", line("a", 1), ref="r"),
        cancel_whole("O"),
        count(line("a", 6), ref="c"),
    )
    assert [figures(outcome.movements[-1]) for outcome in outcomes] == [
        (D(8), D(8), 4),
        (D(8), D(8), 0),
        (D(8), D(8), 1),
        (D(8), D(8), 4),
        (D(8), D(8), 6),
    ]


def test_rule_12_reconciles_over_ten_thousand_movements() -> None:
    """What came in at cost, less what went out at the average of its moment, is what is there at the average.

    Rounding the average to six decimals may cost at most half of its last digit times the units, at each inflow.
    """
    opened = world()
    value = bound = D(0)
    state = 7
    for step in range(10_000):
        state = state * 1_103_515_245 + 12_345 & 0x7FFFFFFF
        item = opened.items.get(item_key("a"))
        if item is None or item.on_hand < 50 or state % 2:
            units, price = 1 + state % 40, D(100 + state % 900) / 100
            value += units * price
            (outcome,) = run(opened, restock(line("a", units)._replace(unit_cost=price), ref=str(step)))
            bound += D("0.0000005") * outcome.movements[0].costed_quantity
        else:
            units = 1 + state % 45
            assert item.average_cost is not None
            value -= units * item.average_cost
            run(opened, adjust(MovementType.DAMAGE, line("a", units), ref=str(step)))
    item = opened.items[item_key("a")]
    assert item.costed == item.on_hand
    assert item.average_cost is not None
    assert abs(value - item.average_cost * item.costed) <= bound


@pytest.mark.parametrize(
    ("costs", "average"),
    [
        ([(1, "123456789012.345678")], "123456789012.345678"),
        ([(1_000_000_000, "99999999.999999"), (1, "0.000001")], "99999999.899999"),
        ([(3, "333333333333333.333333"), (4, "0.000001")], "142857142857142.857143"),
    ],
    ids=["as it came", "a unit in a billion", "fifteen digits"],
)
def test_rule_12_an_average_is_exact_however_large(costs: list[tuple[int, str]], average: str) -> None:
    *_, last = run(world(), *(cost(*each) for each in costs))
    assert last.movements[0].average_cost == D(average)
