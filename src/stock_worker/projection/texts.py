"""A column of texts, searched and sorted. Law: the order is that of code points in lower case, ties by the item's key.

Rows without a text have no place in the order. Few changes are put in their places by halving; many, by sorting a list
that is nearly sorted. Source: contract section 7 (search and sorts of `…/items`), case H3.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]

_END: Final = "\0"  # of the text, before the key: no text has it, and nothing comes before it
_NONE: Final = ""
_FEW: Final = 1_000


class Texts:
    """The texts of all rows in lower case, each with its item's key behind it, which breaks ties."""

    def __init__(self) -> None:
        self._texts: list[str] = []  # _NONE where a row has none
        self._order: Rows = np.empty(0, np.int64)
        self._moved: set[int] = set()

    def put(self, rows: Iterable[int], texts: Iterable[str | None], keys: Iterable[bytes]) -> None:
        """Take the texts of these rows; a row that is new comes behind the last one."""
        known = self._texts
        for row, text, key in zip(rows, texts, keys, strict=True):
            now = _NONE if text is None else f"{text.lower()}{_END}{key.decode('latin-1')}"
            if row == len(known):
                known.append(now)
            elif known[row] == now:
                continue
            known[row] = now
            self._moved.add(row)

    def holds(self, part: str) -> Rows:
        """Give the rows whose text has this part, in any case."""
        wanted = part.lower()
        found = [row for row, text in enumerate(self._texts) if wanted in text]
        # The part may be in a key alone, whose bytes are no text.
        return np.array([row for row in found if wanted in _plain(self._texts[row])], np.int64)

    def ascending(self) -> Rows:
        """Give the rows that have a text, in order."""
        if self._moved:
            self._settle()
        return self._order

    def is_same(self, row: int, other: int) -> bool:
        """Say whether two rows have the same text."""
        return _plain(self._texts[row]) == _plain(self._texts[other])

    def _settle(self) -> None:
        texts = self._texts
        moved = np.zeros(len(texts), np.bool_)
        moved[list(self._moved)] = True
        kept = self._order[~moved[self._order]]
        coming = sorted((row for row in self._moved if texts[row] != _NONE), key=texts.__getitem__)
        if len(coming) > _FEW:
            rows = kept.tolist() + coming
            rows.sort(key=texts.__getitem__)
            self._order = np.array(rows, np.int64)
        else:
            places = [bisect_left(kept, texts[row], key=texts.__getitem__) for row in coming]
            self._order = np.insert(kept, places, coming)
        self._moved.clear()


def _plain(text: str) -> str:
    return text[: text.index(_END)]


def page_downwards(texts: Texts, upwards: Rows, offset: int, limit: int) -> Sequence[int]:
    """Give a page of rows, which are in ascending order, downwards; rows of the same text stay in their order.

    Only the page's texts are looked at, and those that are the same at its ends.
    """
    count = len(upwards)
    high, low = max(count - offset, 0), max(count - offset - limit, 0)
    if low == high:
        return []
    last = count - high
    while low and texts.is_same(upwards[low - 1], upwards[low]):
        low -= 1
    while high < count and texts.is_same(upwards[high], upwards[high - 1]):
        high += 1
    groups: list[list[int]] = []
    for row in upwards[low:high].tolist():
        if groups and texts.is_same(groups[-1][0], row):
            groups[-1].append(row)
        else:
            groups.append([row])
    rows = [row for group in reversed(groups) for row in group]
    skipped = last - (count - high)
    return rows[skipped : skipped + limit]
