"""Which items fit, in which order. Law: items without a value for the sort come last both ways; ties go by the item.

Pure. A page is cut out before it is sorted: of 100,000 items only those that may be on it are put in order.
Source: contract section 7 (`…/items`, `…/alerts`), cases H1 and H3.
"""

from decimal import Decimal
from typing import Final

import numpy as np

from stock_worker.core.model import Level
from stock_worker.projection.columns import LEVELS, PER_UNIT, Columns, Flags, Ints
from stock_worker.projection.texts import Texts, page_downwards
from stock_worker.store.reads.items import Order, Slice, Wanted

_BEYOND: Final = 1 << 62  # more than any value that is counted in millionths
_WORST_FIRST: Final = LEVELS[:0:-1]


def fitting(columns: Columns, wanted: Wanted, at_location: Ints | None) -> Flags:
    """Say of each item whether people see it and it is asked for; `at_location` are the ids of those at the place."""
    fits = columns.seen.copy()
    if wanted.tracked_only:
        fits &= columns.tracked
    if wanted.levels is not None:
        codes = np.zeros(len(LEVELS), np.bool_)
        codes[[LEVELS.index(level) for level in wanted.levels]] = True
        fits &= codes[columns.level]
    if wanted.max_available is not None:
        fits &= columns.available <= wanted.max_available
    if wanted.category_id is not None:
        of_category = np.array([each == wanted.category_id for each, _ in columns.categories], np.bool_)
        fits &= of_category[columns.category]
    if wanted.search is not None:
        fits &= _among(columns, columns.names.holds(wanted.search)) | _among(columns, columns.skus.holds(wanted.search))
    if at_location is not None:
        fits &= _among(columns, columns.rows_of(at_location))
    return fits


def page(columns: Columns, chosen: Flags, order: Order, part: Slice) -> Ints:
    """Give the ids of a slice of the chosen items, in order."""
    limit = columns.count if part.limit is None else part.limit
    if order.sort in {"name", "sku"}:
        texts = columns.names if order.sort == "name" else columns.skus
        rows = _by_text(columns, chosen, texts, order, part.offset, limit)
    else:
        rows = _by_number(columns, chosen, order, part.offset, limit)
    return columns.item_id[rows]


def alerts(
    columns: Columns,
    level: str | None,
    without: Ints | None,
    within: Ints | None,
    part: Slice,
    among: Flags | None = None,
) -> tuple[int, Ints]:
    """Give how many items are at an alert, of one level or of all, and the ids of a slice: the worst first.

    `without` and `within` are ids of items to leave out, and of the only ones to take; `among` marks the latter too.
    """
    chosen = columns.moved & (columns.level > 0)
    if among is not None:
        chosen &= among
    if level is not None:
        chosen &= columns.level == LEVELS.index(Level(level))
    if without is not None:
        chosen &= ~_among(columns, columns.rows_of(without))
    if within is not None:
        chosen &= _among(columns, columns.rows_of(within))
    limit = columns.count if part.limit is None else part.limit
    end = part.offset + limit
    rows = np.empty(0, np.int64)
    for code in (LEVELS.index(each) for each in _WORST_FIRST):
        of_level = np.flatnonzero(chosen & (columns.level == code))
        rows = np.concatenate([rows, _first(of_level, columns.available, columns.rank, end - len(rows))])
        if len(rows) == end:
            break
    return int(chosen.sum()), columns.item_id[rows[part.offset : end]]


def name_places(columns: Columns) -> Ints:
    """Give the place of each item among all in the order of names; those without one come last."""
    places = np.empty(columns.count, np.int64)
    named = columns.names.ascending()
    nameless = np.ones(columns.count, np.bool_)
    nameless[named] = False
    last = np.flatnonzero(nameless)
    places[np.concatenate([named, last[np.argsort(columns.rank[last])]])] = np.arange(columns.count)
    return places


def _by_text(columns: Columns, chosen: Flags, texts: Texts, order: Order, offset: int, limit: int) -> Ints:
    upwards = texts.ascending()
    has_text = np.zeros(columns.count, np.bool_)
    has_text[upwards] = True
    upwards = upwards[chosen[upwards]]
    if order.descending:
        rows = np.array(page_downwards(texts, upwards, offset, limit), np.int64)
    else:
        rows = upwards[offset : offset + limit]
    return _then_the_others(columns, chosen & ~has_text, rows, max(offset - len(upwards), 0), limit)


def _by_number(columns: Columns, chosen: Flags, order: Order, offset: int, limit: int) -> Ints:
    numbers, tie, has_number = _numbers(columns, order)
    rows = np.flatnonzero(chosen & has_number)
    first = _first(rows, numbers, tie, offset + limit)[offset:]
    return _then_the_others(columns, chosen & ~has_number, first, max(offset - len(rows), 0), limit)


def _numbers(columns: Columns, order: Order) -> tuple[Ints, Ints, Flags]:
    """Give what is sorted upwards, what breaks ties, and which items have a value at all."""
    tie, has_number = columns.rank, np.ones(columns.count, np.bool_)
    if order.sort == "value":
        numbers, tie, has_number = _values(columns, descending=order.descending)
    elif order.sort == "last_movement":
        numbers, has_number = columns.last_movement, columns.moved
    else:
        numbers = columns.on_hand if order.sort == "quantity" else columns.available
    return -numbers if order.descending else numbers, tie, has_number


def _values(columns: Columns, *, descending: bool) -> tuple[Ints, Ints, Flags]:
    """Put odd values among the others: by their whole millionths, then by what they have beyond them."""
    if not columns.odd_values:
        return columns.value, columns.rank, columns.valued
    numbers, beyond = columns.value.copy(), np.zeros(columns.count, np.int64)
    exact = {value: place for place, value in enumerate(sorted(set(columns.odd_values.values())), start=1)}
    for row, value in columns.odd_values.items():
        numbers[row] = _whole_millionths(value)
        beyond[row] = -exact[value] if descending else exact[value]
    return numbers, beyond * columns.count + columns.rank, columns.valued


def _whole_millionths(value: Decimal) -> int:
    numerator, denominator = value.as_integer_ratio()
    return min(numerator * PER_UNIT // denominator, _BEYOND)


def _first(rows: Ints, numbers: Ints, tie: Ints, count: int) -> Ints:
    """Give the first so many of these rows, in order, without sorting the others."""
    if count <= 0:
        return rows[:0]
    if count < len(rows):
        its = numbers[rows]
        cut = np.partition(its, count - 1)[count - 1]
        below, equal = rows[its < cut], rows[its == cut]
        wanted = count - len(below)
        if 0 < wanted < len(equal):
            equal = equal[np.argpartition(tie[equal], wanted - 1)]
        rows = np.concatenate([below, equal[:wanted]])
    return rows[np.lexsort((tie[rows], numbers[rows]))]


def _then_the_others(columns: Columns, others: Flags, rows: Ints, offset: int, limit: int) -> Ints:
    """Fill a page with those that have no value for the sort, by the item."""
    missing = limit - len(rows)
    if missing <= 0:
        return rows
    found = np.flatnonzero(others)
    return np.concatenate([rows, _first(found, columns.rank, columns.rank, offset + missing)[offset:]])


def _among(columns: Columns, rows: Ints) -> Flags:
    flags = np.zeros(columns.count, np.bool_)
    flags[rows[rows >= 0]] = True
    return flags
