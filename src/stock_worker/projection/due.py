"""What is to be reordered. Law: an item is due at or below the reorder point of the nearest rule that gives one.

Pure. An item is due as a whole, and apart from that at each place with a reorder point of its own; in the order of
names, an item before its places. Source: contract section 7 (`…/reports/reorder`), rule 10 (rules inherit).
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from stock_worker.projection.columns import PRODUCT_BYTES, Columns, Ints
from stock_worker.projection.lists import name_places
from stock_worker.store.reads.items import Slice
from stock_worker.store.reads.reports import Due

_NONE: Final = -1  # no reorder point, which is a count


class Place(NamedTuple):
    """An item that is short at a place. `code` is the place's."""

    item_id: int
    location_id: str
    reorder_point: int
    code: str


def due(
    columns: Columns, points: Mapping[bytes | None, int], places: Sequence[Place], part: Slice
) -> tuple[int, list[Due]]:
    """Find what is due: how much, and a slice of it.

    `points` are those of rules by the key of a product or a variant, None for the site; `places` the short ones.
    """
    held_to = _held_to(columns, points)
    reorderable = columns.seen & columns.tracked & ~columns.archived
    rows = np.flatnonzero(reorderable & (held_to != _NONE) & (columns.available <= held_to))
    at = columns.rows_of(np.array([place.item_id for place in places], np.int64))
    known = np.flatnonzero(at >= 0)
    there = known[reorderable[at[known]]]
    # Places of an item stand behind it, by their code: so codes are numbers here, and the item's own is before them.
    codes = {code: number for number, code in enumerate(sorted({place.code for place in places}), start=1)}
    all_rows = np.concatenate([rows, at[there]])
    own = np.zeros(len(rows), np.int64)
    of_places = np.array([codes[places[number].code] for number in there.tolist()], np.int64)
    order = np.lexsort((np.concatenate([own, of_places]), name_places(columns)[all_rows]))
    end = None if part.limit is None else part.offset + part.limit
    found = []
    for number in order[part.offset : end].tolist():
        row = int(all_rows[number])
        if number < len(rows):
            found.append(Due(int(columns.item_id[row]), None, int(held_to[row])))
        else:
            place = places[int(there[number - len(rows)])]
            found.append(Due(place.item_id, place.location_id, place.reorder_point))
    return len(all_rows), found


def _held_to(columns: Columns, points: Mapping[bytes | None, int]) -> Ints:
    held_to = np.full(columns.count, points.get(None, _NONE), np.int64)
    of_products = {key: point for key, point in points.items() if key is not None and len(key) == PRODUCT_BYTES}
    codes = columns.products.codes_of(list(of_products))
    by_product = np.full(len(columns.products) + 1, _NONE, np.int64)  # the last for what is not here
    by_product[codes] = list(of_products.values())
    by_product[-1] = _NONE
    of_product = by_product[columns.product_code]
    held_to = np.where(of_product != _NONE, of_product, held_to)
    of_variants = {key: point for key, point in points.items() if key is not None and key not in of_products}
    rows = columns.rows_of_keys(list(of_variants))
    held_to[rows[rows >= 0]] = np.array(list(of_variants.values()), np.int64)[rows >= 0]
    return held_to
