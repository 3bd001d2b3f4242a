"""Blocks and their sums against sums of the rows one by one."""

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from itertools import groupby
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stock_worker.core.model import MovementType
from stock_worker.projection.days import Adding, Items, Sums, fold, read_rows, total
from tests.projection.summing import Moved, summed, told

DAY = date(2026, 3, 1)
PRODUCTS = [UUID(int=number << 100 | number) for number in (3, 1, 2, 2**27)]
Row = tuple[int, MovementType, int, int, int]
"""Day, type, item, units in, units out; one movement."""


def packed(*figures: Sequence[int]) -> bytes:
    return b"".join(value.to_bytes(8, "big") for row in figures for value in row)


def known(*item_ids: int) -> Items:
    items = Items()
    items.learn(b"".join(item.to_bytes(8, "big") + PRODUCTS[item % len(PRODUCTS)].bytes for item in item_ids))
    return items


def wanted(rows: Sequence[Row], untracked: set[int], most: int) -> Sums:
    """Sum up rows one by one."""
    return summed(
        (
            Moved(kind, DAY + timedelta(number), PRODUCTS[item % len(PRODUCTS)], *units)
            for number, kind, item, *units in rows
            if item not in untracked
        ),
        most,
    )


units = st.one_of(st.integers(0, 3), st.integers(0, 10**15))
movement = st.tuples(st.integers(0, 2), st.sampled_from(MovementType), st.integers(1, 9), units, units)


@given(st.lists(movement, max_size=30), st.sets(st.integers(1, 12)), st.integers(1, 4), st.integers(0, 30))
def test_blocks_add_up_to_what_their_rows_do(rows: list[Row], untracked: set[int], most: int, met_first: int) -> None:
    """Whatever the widths, however many rows an item has on a day, and though items are met in two steps."""
    items = known(*(item for _, _, item, *_ in rows[:met_first]))
    left_out = np.array(sorted(untracked), np.int64)
    sums = Adding(items, left_out)
    for part in (rows[:met_first], rows[met_first:]):
        items.learn(b"".join(item.to_bytes(8, "big") + PRODUCTS[item % 4].bytes for _, _, item, *_ in part))
        sums = sums.copy(left_out)
        ordered = sorted(part, key=lambda row: row[:2])
        for (number, kind), group in groupby(ordered, key=lambda row: row[:2]):
            sent = read_rows(packed(*((item, 1, *moved) for _, _, item, *moved in group)))
            sums.add(DAY + timedelta(number), kind, fold(items, sent))
    assert told(sums.sums(most)) == wanted(rows, untracked, most)


def test_what_was_copied_stays_as_it_was() -> None:
    items, nothing = known(1, 2), np.empty(0, np.int64)
    block = fold(items, read_rows(packed((1, 1, 5, 0), (2, 1, 0, 7))))
    first = Adding(items, nothing)
    first.add(DAY, MovementType.SALE, block)
    before = first.sums(10)
    first.copy(nothing).add(DAY, MovementType.SALE, block)
    assert first.sums(10) == before


def test_an_item_has_one_row_in_a_block_and_keeps_it() -> None:
    items = known(70, 7)
    block = fold(items, read_rows(packed((7, 1, 2, 0), (70, 1, 0, 3), (7, 2, 0, 4))))
    rows = items.rows_of(np.array([7, 70])).tolist()
    assert {row: figures for row, *figures in zip(*(column.tolist() for column in block), strict=True)} == {
        rows[0]: [3, 2, 4],
        rows[1]: [1, 0, 3],
    }
    items.learn((8).to_bytes(8, "big") + PRODUCTS[0].bytes)
    assert items.rows_of(np.array([7, 70])).tolist() == rows
    assert items.rows_of(np.array([8, 9])).tolist() == [2, -1]


@pytest.mark.parametrize(("largest", "width"), [(0, 1), (127, 1), (128, 2), (2**31 - 1, 4), (2**31, 8)])
def test_a_figure_takes_as_few_bytes_as_the_largest_needs(largest: int, width: int) -> None:
    block = fold(known(1), read_rows(packed((1, 1, largest, 0))))
    assert (block.units_in.itemsize, block.units_in.tolist()) == (width, [largest])


def a_sum(_items: Items, half: int) -> None:
    total(np.array([half, half]))


def an_item(items: Items, half: int) -> None:
    fold(items, read_rows(packed((1, 1, half, 0), (1, 1, half, 0))))


def days(items: Items, half: int) -> None:
    sums = Adding(items, np.empty(0, np.int64))
    for number in range(2):
        sums.add(DAY + timedelta(number), MovementType.RESTOCK, fold(items, read_rows(packed((1, 1, half, 0)))))
    sums.sums(10)


@pytest.mark.parametrize("adds_up", [a_sum, an_item, days])
def test_what_64_bits_do_not_hold_is_refused(adds_up: Callable[[Items, int], None]) -> None:
    with pytest.raises(OverflowError):
        adds_up(known(1), 2**62)
    adds_up(known(1), 2**62 - 1)
