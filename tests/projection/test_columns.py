"""Columns against the rules item by item, on random items that come and change."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import chain
from typing import Any, Final, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stock_worker.core.model import Level
from stock_worker.projection import due, lists, sums, texts
from stock_worker.projection.columns import LEVELS, Columns
from stock_worker.store.reads.items import Order, Slice, Sort, Wanted
from stock_worker.store.reads.reports import Due
from tests.projection import model
from tests.projection.model import ID_MAX, Thing

IDS: Final = st.lists(st.integers(1, ID_MAX + 2), max_size=ID_MAX, unique=True)
SLICES: Final = st.builds(Slice, st.none() | st.integers(1, 5), st.integers(0, ID_MAX))
ORDERS: Final = st.builds(Order, st.sampled_from(get_args(Sort)), st.booleans())
WANTED: Final = st.builds(
    Wanted,
    st.none() | st.lists(st.sampled_from(LEVELS), min_size=1, unique=True).map(tuple),
    st.none() | st.integers(-2, 3),
    st.none() | st.sampled_from(["mug", "MU", "ÄRM", "a ", "茶", "\x01", "\x03"]),
    st.none() | st.sampled_from(["c1", "c2", "nothing"]),
    st.none(),
    st.booleans(),
)
HISTORIES: Final = st.lists(model.things(), min_size=1, max_size=3)


def held(history: Sequence[Sequence[Thing]]) -> tuple[Columns, list[Thing]]:
    """Columns that took one list after another, asked in between so that what they remember has to be mended."""
    columns, last = Columns(), dict[int, Thing]()
    for some in history:
        columns.apply([each.row for each in some])
        last |= {each.item_id: each for each in some}
        lists.page(columns, columns.seen, Order("name"), Slice())
    return columns, list(last.values())


def cut(ids: Sequence[int], part: Slice) -> list[int]:
    """A slice of ids."""
    return list(ids[part.offset : None if part.limit is None else part.offset + part.limit])


@given(HISTORIES, WANTED, ORDERS, SLICES, st.none() | IDS)
def test_a_list_is_what_fits_in_order(
    history: list[list[Thing]], wanted: Wanted, order: Order, part: Slice, there: list[int] | None
) -> None:
    columns, items = held(history)
    fits = lists.fitting(columns, wanted, None if there is None else np.array(there, np.int64))
    expected = model.found(items, wanted, there)
    assert int(fits.sum()) == len(expected)
    assert lists.page(columns, fits, order, part).tolist() == cut(model.ordered(expected, order), part)


@given(HISTORIES)
def test_sums_are_exact(history: list[list[Thing]]) -> None:
    columns, items = held(history)
    assert sums.summary(columns) == model.summary(items)
    found = sums.by_category(columns)
    told = {(row["category_id"], row["category_name"] if row["category_id"] is None else None): row for row in found}
    expected = model.by_category(items)
    assert {key: {name: row[name] for name in expected[key]} for key, row in told.items()} == expected
    assert len(found) == len(expected)


@given(HISTORIES, st.none() | st.sampled_from(LEVELS[1:]), IDS, st.sampled_from(["without", "within", None]), SLICES)
def test_alerts_are_the_worst_first(
    history: list[list[Thing]], level: Level | None, some: list[int], what: str | None, part: Slice
) -> None:
    columns, items = held(history)
    ids = {"without": None, "within": None, **({what: np.array(some, np.int64)} if what else {})}
    fits = [
        each
        for each in items
        if each.moved_at is not None
        and each.level is not Level.OK
        and level in {None, each.level}
        and (what is None or (each.item_id in some) == (what == "within"))
    ]
    fits.sort(key=lambda each: (-LEVELS.index(each.level), each.on_hand - each.reserved, each.place))
    total, found = lists.alerts(columns, level, ids["without"], ids["within"], part)
    assert (total, found.tolist()) == (len(fits), cut([each.item_id for each in fits], part))


@given(HISTORIES, st.data(), SLICES)
def test_what_is_due_is_at_or_below_the_nearest_reorder_point(
    history: list[list[Thing]], data: st.DataObject, part: Slice
) -> None:
    columns, items = held(history)
    keys = [None, b"\xff" * 16, b"\xff" * 33, *chain(*({each.key, each.key[:16]} for each in items))]
    points: dict[bytes | None, int] = data.draw(st.dictionaries(st.sampled_from(keys), st.integers(0, 3)))
    by_id = {each.item_id: each for each in items}
    places = [
        due.Place(item_id, f"place {n}", n, f"code {n}")
        for n, item_id in enumerate(data.draw(st.lists(st.sampled_from(sorted(by_id)))) if by_id else [])
    ]

    def point_of(each: Thing) -> int:
        reaching = [each.key, each.key[:16], None] if each.variant is not None else [each.key, None]
        return next((points[key] for key in reaching if key in points), -(10**6))

    names = model.ordered(items, Order("name"))
    reorderable = [each for each in model.seen(items) if each.tracked and not each.archived]
    lines: list[Any] = [
        (names.index(each.item_id), 0, "", Due(each.item_id, None, point_of(each)))
        for each in reorderable
        if each.on_hand - each.reserved <= point_of(each)
    ]
    lines += [
        (names.index(place.item_id), 1, place.code, Due(place.item_id, place.location_id, place.reorder_point))
        for place in places
        if by_id[place.item_id] in reorderable
    ]
    lines.sort(key=lambda line: line[:3])
    total, found = due.due(columns, points, places, part)
    assert total == len(lines)
    assert found == [line[3] for line in lines][part.offset : None if part.limit is None else part.offset + part.limit]


@given(HISTORIES, st.dictionaries(st.integers(1, ID_MAX + 2), st.integers(1, 3)))
def test_levels_are_set_of_what_moved(history: list[list[Thing]], short: dict[int, int]) -> None:
    columns, items = held(history)
    moved = {each.item_id for each in items if each.moved_at is not None}
    columns.set_levels({item_id: code for item_id, code in short.items() if item_id in moved or item_id > ID_MAX})
    for each in items:
        (row,) = columns.rows_of(np.array([each.item_id]))
        told = short.get(each.item_id, 0) if each.item_id in moved else LEVELS.index(each.level)
        assert columns.level[row] == told


@given(HISTORIES)
def test_products_have_codes_and_ids(history: list[list[Thing]]) -> None:
    columns, items = held(history)
    rows = columns.rows_of(np.array([each.item_id for each in items], np.int64))
    found = [str(columns.products[code]) for code in columns.product_code[rows]]
    assert [each.replace("-", "") for each in found] == [each.key[:16].hex() for each in items]
    assert len(columns.products) == len(set(found))
    assert columns.rows_of(np.array([ID_MAX + 1])).tolist() == [-1]


@given(st.lists(st.lists(st.tuples(st.integers(0, 40), st.sampled_from([None, "a", "b", "C", "cc"]))), max_size=8))
def test_texts_stay_in_order_and_are_found_however_they_come(batches: list[list[tuple[int, str | None]]]) -> None:
    """With so small a limit, all ways of keeping the order and of searching are gone."""
    column, last = texts.Texts(), list[str | None]()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(texts, "_FEW", 2)
        for number, batch in enumerate(batches):
            told = {min(row, len(last) + at): text for at, (row, text) in enumerate(batch)}
            for row, text in sorted(told.items()):
                if row <= len(last):
                    last[row : row + 1] = [text]
                    column.put([row], [text], [b"%02d" % row])
            if number % 3 == 2:
                column.ascending()
                column.join()
        found = column.ascending().tolist()
        held = {part: set(column.holds(part).tolist()) for part in ("A", "c", "cc", "d")}
    assert found == sorted(
        (row for row, text in enumerate(last) if text is not None), key=lambda row: (str(last[row]).lower(), row)
    )
    for part, rows in held.items():
        assert rows == {row for row, text in enumerate(last) if text is not None and part.lower() in text.lower()}


@pytest.mark.parametrize("values", [[2**62] * 9, [-(2**62)] * 9, [-1, 2**40, -(2**40)], []])
def test_a_sum_does_not_overflow(values: list[int]) -> None:
    column = np.array(values, np.int64)
    assert sums.exact_sum(column) == sum(values)
    assert sums.exact_sums(column, np.zeros(len(values), np.int32), 2) == [sum(values), 0]


def test_rows_grow_beyond_their_first_room() -> None:
    columns = Columns()
    rows = [Thing(
        item_id, item_id, None, item_id, 0, 0, 1, None, Decimal(0), Level.OK, tracked=True, archived=False,
        has_cost=False, has_price=False, name=f"{item_id:05}", sku=None, category=(None, None),
    ).row for item_id in range(1, 3_000)]  # fmt: skip
    for first in range(0, len(rows), 700):
        columns.apply(rows[first : first + 700])
    assert columns.count == len(rows)
    assert columns.on_hand.tolist() == list(range(1, 3_000))
    assert lists.page(columns, columns.seen, Order("name", descending=True), Slice(2, 10)).tolist() == [2989, 2988]
