"""What the ledger's costs must be, computed a second time. Law: each row's figures follow from those of the row before.

Rule 12: an inflow with a usable cost moves the average; one without takes it; outflow takes costed and uncosted units
pro rata in whole units; what a transfer takes its second row puts back. A row does not say whether a given cost was
ignored because of its currency or because stock was negative: then either number of costed units is right.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction
from typing import TYPE_CHECKING

from stock_worker.audit.drift import Drift, Kind, item_words

if TYPE_CHECKING:
    import asyncpg


@dataclass(slots=True)
class Worth:
    """What an item's stock is worth between two rows."""

    item_id: int
    on_hand: int = 0
    average: Decimal | None = None
    costed: int = 0
    on_the_way: int = 0


def check_costs(rows: Iterable["asyncpg.Record"]) -> Iterator[Drift]:
    """Check rows of items in the order of (item, version); each is compared on what the one before it says."""
    worth = Worth(0)
    for row in rows:
        if row["item_id"] != worth.item_id:
            worth = Worth(row["item_id"])
        found = (row["unit_cost"], row["average_cost"], row["costed_quantity"])
        possible = list(_after(worth, row))
        if found not in possible:
            words = f"{item_words(row['site_id'], row['product_id'], row['variant_id'])} version {row['version']}"
            law = "unit_cost, average_cost, costed_quantity by rule 12"
            yield Drift(Kind.COST, words, law, _text(possible[0]), _text(found))
        worth.on_hand, worth.average, worth.costed = row["on_hand"], row["average_cost"], row["costed_quantity"]


Figures = tuple[Decimal | None, Decimal | None, int]


def _after(worth: Worth, row: "asyncpg.Record") -> Iterator[Figures]:
    """The figures that the row may have: unit_cost, average_cost, costed_quantity."""
    units, average = row["quantity"], worth.average
    if row["type"] in ("reserved", "unreserved"):
        yield None, average, worth.costed
    elif units < 0:
        left = _left(worth, -units)
        worth.on_the_way = worth.costed - left
        yield average, average, left
    elif row["type"] == "transfer":
        yield average, average, worth.costed + worth.on_the_way
    else:
        yield from _after_inflow(worth, units, row["unit_cost"])


def _after_inflow(worth: Worth, units: int, cost: Decimal | None) -> Iterator[Figures]:
    average, above = worth.average, max(units + min(worth.on_hand, 0), 0)
    taken = worth.costed + (above if average is not None else 0)
    if cost is None:
        yield None, average, worth.costed  # uncosted: no average yet, or a cost in another currency
        yield None, average, taken  # a cost that negative stock did not use
    elif cost == average:
        yield cost, average, taken  # no cost was given, or the same one
    if cost is not None and worth.on_hand >= 0:
        yield cost, _mean(average or Decimal(0), worth.costed, cost, units), worth.costed + units


def _mean(average: Decimal, costed: int, cost: Decimal, units: int) -> Decimal:
    with localcontext() as context:
        context.prec = 60
        mean = (average * costed + cost * units) / (costed + units)
        return mean.quantize(Decimal("0.000001"), rounding=ROUND_HALF_EVEN)


def _left(worth: Worth, units: int) -> int:
    """Costed units after an outflow: pro rata, half to even."""
    if units >= worth.on_hand:
        return 0
    return worth.costed - round(Fraction(units * worth.costed, worth.on_hand))


def _text(figures: Figures) -> str:
    return ", ".join("none" if figure is None else str(figure) for figure in figures)
