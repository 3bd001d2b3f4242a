"""What a site's items come to. Law: sums are exact, whatever their size.

Pure. Source: contract section 7 (`…/reports/inventory`, `…/reports/valuation`), rule 12, case H5.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

import numpy as np

from stock_worker.projection.columns import LEVELS, PER_UNIT, Codes, Columns, Flags, Ints

_HALF: Final = 32  # bits: sums of either half of fewer than 2**31 numbers fit
_LOW: Final = (1 << _HALF) - 1
_FLOAT_EXACT: Final = 1 << 53  # up to here a float64 has every whole number
_LIMB: Final = 22  # bits: sums of parts of so many, of fewer than 2**31 numbers, are exact as floats
_LOW_LIMB: Final = (1 << _LIMB) - 1
_LIMBS: Final = 3  # that make 64 bits
_COUNTS: Final = ("in_stock_count", "low_stock_count", "critical_stock_count", "out_of_stock_count")  # as LEVELS


def exact_sum(values: Ints) -> int:
    """Add up, beyond 64 bits where that is needed."""
    return (int((values >> _HALF).sum()) << _HALF) + int((values & _LOW).sum())


def exact_sums(values: Ints, groups: Codes, count: int) -> list[int]:
    """Add up by group, as floats that are exact, which takes a fifth of the time: limb by limb where sums are large."""
    if not len(values) or max(int(values.max()), -int(values.min())) * len(values) < _FLOAT_EXACT:
        return [int(total) for total in np.bincount(groups, values, count).tolist()]
    totals, rest = [0] * count, values
    for limb in range(_LIMBS):
        part = rest & _LOW_LIMB if limb < _LIMBS - 1 else rest  # the last one has the sign
        sums = np.bincount(groups, part, count).tolist()
        totals = [total + (int(of_part) << limb * _LIMB) for total, of_part in zip(totals, sums, strict=True)]
        rest = rest >> _LIMB
    return totals


def summary(columns: Columns) -> dict[str, Any]:
    """Sum up all tracked items that people see."""
    chosen = columns.seen & columns.tracked
    products = np.zeros(len(columns.products), np.bool_)
    products[columns.product_code[chosen]] = True
    levels = np.bincount(columns.level[chosen], minlength=len(LEVELS)).tolist()
    return {
        "total_products": int(products.sum()),
        "total_variants": int((chosen & columns.is_variant).sum()),
        "total_quantity": exact_sum(columns.on_hand[chosen]),
        "total_value": _money(exact_sum(columns.value[chosen])) + _odd(columns.odd_values, chosen),
        **dict(zip(_COUNTS, levels, strict=True)),
    }


def by_category(columns: Columns) -> list[dict[str, Any]]:
    """Value the tracked items that moved, by category (by name where it has no id)."""
    chosen = columns.moved & columns.tracked
    groups, keys = _groups(columns)
    group = groups[columns.category[chosen]]
    units = np.maximum(columns.on_hand, 0)[chosen]
    uncosted = units - columns.costed[chosen]
    has_cost, has_price = columns.has_cost[chosen], columns.has_price[chosen]
    negative = np.maximum(-columns.on_hand, 0)[chosen]
    count = len(keys)
    sums: dict[str, list[int]] = {
        "quantity": exact_sums(units, group, count),
        "uncosted_units": exact_sums(np.where(has_cost, 0, uncosted), group, count),
        "catalog_costed_units": exact_sums(np.where(has_cost, uncosted, 0), group, count),
        "unpriced_units": exact_sums(np.where(has_price, 0, units), group, count),
        "negative_units": exact_sums(negative, group, count),
    }
    value = [_money(total) for total in exact_sums(columns.value[chosen], group, count)]
    price_value = [_money(total) for total in exact_sums(columns.price_value[chosen], group, count)]
    for totals, odd in ((value, columns.odd_values), (price_value, columns.odd_price_values)):
        for row, exact in odd.items():
            if chosen[row]:
                totals[int(groups[columns.category[row]])] += exact
    names = _names(columns, groups, np.flatnonzero(np.bincount(columns.category[chosen])).tolist())
    return [
        {"category_id": keys[each][0], "category_name": name, "value": value[each], "price_value": price_value[each]}
        | {figure: totals[each] for figure, totals in sums.items()}
        for each, name in names.items()
    ]


def _groups(columns: Columns) -> tuple[Codes, list[tuple[str | None, str | None]]]:
    """Give the group of each category, and what makes each group."""
    keys: dict[tuple[str | None, str | None], int] = {}
    groups = [
        keys.setdefault((category_id, None if category_id is not None else name), len(keys))
        for category_id, name in columns.categories
    ]
    return np.array(groups, np.int32), list(keys)


def _names(columns: Columns, groups: Codes, there: Iterable[int]) -> dict[int, str | None]:
    """Give the name of each group that has an item: the first of its categories' names. `there` are their codes."""
    names: dict[int, list[str]] = {}
    for code in there:
        found = names.setdefault(int(groups[code]), [])
        name = columns.categories[code][1]
        if name is not None:
            found.append(name)
    return {each: min(found, default=None) for each, found in names.items()}


def _odd(odd: Mapping[int, Decimal], chosen: Flags) -> Decimal:
    return sum((value for row, value in odd.items() if chosen[row]), Decimal(0))


def _money(millionths: int) -> Decimal:
    return Decimal(millionths) / PER_UNIT
