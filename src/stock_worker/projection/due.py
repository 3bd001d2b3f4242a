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
    order = name_places(columns)
    lines = [
        (place, "", Due(item_id, None, point))
        for place, item_id, point in zip(
            order[rows].tolist(), columns.item_id[rows].tolist(), held_to[rows].tolist(), strict=True
        )
    ]
    at = columns.rows_of(np.array([place.item_id for place in places], np.int64))
    for row, place in zip(at.tolist(), places, strict=True):
        if reorderable[row]:
            found = Due(place.item_id, place.location_id, place.reorder_point)
            lines.append((int(order[row]), place.code, found))
    lines.sort(key=lambda line: (line[0], line[2].location_id is not None, line[1]))
    end = None if part.limit is None else part.offset + part.limit
    return len(lines), [line[2] for line in lines[part.offset : end]]


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
