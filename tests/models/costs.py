"""What the units on hand cost (contract rule 12). Law: money is Decimal, an average has six places, half to even.

The average is the item's, whatever location its units are at; it is made of costed units alone and outlives them.
"""

from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction
from typing import Final, NamedTuple

MICRO: Final = Decimal("0.000001")


class Value(NamedTuple):
    """The average cost of an item, None until some inflow had a cost, and how many of its units are worth it."""

    average: Decimal | None = None
    costed: int = 0


class Cost(NamedTuple):
    """The cost that an inflow came with, and whether it is in the site's money."""

    unit_cost: Decimal | None = None
    comparable: bool = True


NO_COST: Final = Cost()


def cost_of(unit_cost: str | None, currency: str | None, site_currency: str | None) -> Cost:
    """Read a line's cost; without a currency it is in the site's, and a site without one compares none."""
    if unit_cost is None:
        return NO_COST
    return Cost(Decimal(unit_cost), currency is None or site_currency is None or currency == site_currency)


def inflow(value: Value, on_hand: int, quantity: int, cost: Cost) -> tuple[Value, bool]:
    """Add units to so many on hand; return the value after it, and whether the cost was used."""
    average, costed = value
    given, comparable = cost
    if on_hand < 0:
        # What was owed has no value. Only the units above zero are worth something, and that the old average.
        above = max(on_hand + quantity, 0)
        return Value(average, above if average is not None and comparable else 0), False
    if given is None:
        return Value(average, costed if average is None else costed + quantity), False
    if not comparable:
        return value, False
    with localcontext(prec=80):
        total = (average or Decimal(0)) * costed + given * quantity
        mean = (total / (costed + quantity)).quantize(MICRO, ROUND_HALF_EVEN)
    return Value(mean, costed + quantity), True


def outflow(value: Value, on_hand: int, quantity: int) -> Value:
    """Take units from so many on hand, costed and uncosted pro rata in whole units."""
    if quantity >= on_hand:
        return value._replace(costed=0)
    # round() of a fraction is exact and goes to the even neighbour.
    return value._replace(costed=value.costed - round(Fraction(value.costed * quantity, on_hand)))
