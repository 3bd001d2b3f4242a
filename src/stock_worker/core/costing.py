"""What stock is worth: a moving weighted average per item. Law: `costed` units never exceed what lies there.

Decimal with 6 decimals, half to even; pro rata in whole units, half to even. Each function changes the item's average
and costed units for a movement that is about to change its `on_hand`. Source: contract rule 12, decided cases on cost.
"""

from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

from stock_worker.core.state import Item

_PLACES: Final = Decimal("0.000001")
_EXACT: Final = Context(prec=60, rounding=ROUND_HALF_EVEN)
"""Wide enough for 10^15 units of a cost with 15 digits and 10 decimals: only `_PLACES` rounds."""


def flow_in(item: Item, units: int, cost: Decimal | None, *, foreign: bool) -> tuple[Decimal | None, bool]:
    """Take units in, at `cost` each where it is given; `foreign`: in a currency that is not the site's.

    Returns the row's unit_cost, and whether a given cost could not be used.
    """
    before = item.on_hand
    if cost is not None and before >= 0 and not foreign:
        total = item.costed + units
        worth = _EXACT.multiply(cost, Decimal(units))
        if item.average_cost is not None:
            worth = _EXACT.fma(item.average_cost, Decimal(item.costed), worth)
        item.average_cost = _EXACT.divide(worth, Decimal(total)).quantize(_PLACES, context=_EXACT)
        item.costed = total
        return cost, False
    if not foreign and item.average_cost is not None:
        item.costed += max(units + min(before, 0), 0)
    return (item.average_cost, False) if cost is None else (None, True)


def flow_out(item: Item, units: int) -> int:
    """Take units out, costed and uncosted ones pro rata. Returns how many of them were costed."""
    costed, there = item.costed, item.on_hand
    if units >= there:
        taken = costed
    elif costed == there:
        taken = units
    else:
        taken = _half_even(units * costed, there)
    item.costed = costed - taken
    return taken


def _half_even(numerator: int, denominator: int) -> int:
    """Divide and round to the nearest whole number, a half to the even one."""
    whole, rest = divmod(numerator, denominator)
    return whole + (2 * rest > denominator or (2 * rest == denominator and whole % 2 == 1))
