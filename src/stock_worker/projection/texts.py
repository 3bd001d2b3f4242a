"""A column of texts, searched and sorted. Law: the order is that of code points in lower case, ties by the item's key.

Rows without a text have no place in the order, which takes account of what came when it is asked for: a few changes are
put in their places by halving, after many all is sorted. A search looks at the texts joined to one, and at the few that
changed since each for itself. Source: contract section 7 (search and sorts of `…/items`), case H3.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]

_END: Final = "\0"  # of the text, before the key: no text has it, and nothing comes before it
_NONE: Final = ""
_FEW: Final = 500


class Texts:
    """The texts of all rows in lower case, each with its item's key behind it, which breaks ties."""

    def __init__(self) -> None:
        self._texts: list[str] = []  # _NONE where a row has none
        self._order: Rows = np.empty(0, np.int64)
        self._moved: set[int] = set()
        self._lengths: list[int] = []  # of the texts alone
        self._joined, self._begins = "", np.empty(0, np.int64)  # all without keys, apart by _END; where each begins
        self._since: set[int] = set()  # rows that have changed since they were joined

    def put(self, rows: Iterable[int], texts: Iterable[str | None], keys: Iterable[bytes]) -> None:
        """Take the texts of these rows; a row that is new comes behind the last one."""
        known = self._texts
        for row, text, key in zip(rows, texts, keys, strict=True):
            now = _NONE if text is None else f"{text.lower()}{_END}{key.decode('latin-1')}"
            if row == len(known):
                known.append(now)
                self._lengths.append(0)
            elif known[row] == now:
                continue
            known[row] = now
            self._lengths[row] = 0 if now == _NONE else len(now) - len(key) - len(_END)
            self._moved.add(row)
            self._since.add(row)

    def holds(self, part: str) -> Rows:
        """Give the rows whose text has this part, in any case; some may come more than once.

        The part has no NUL. One text of megabytes is searched in half the time that 100,000 take.
        """
        wanted = part.lower()
        if len(self._since) > _FEW:
            self.join()
        joined, since = self._joined, self._since
        places, place = [], joined.find(wanted)
        while place >= 0:
            places.append(place)
            place = joined.find(wanted, place + 1)
        found = np.searchsorted(self._begins, np.array(places, np.int64), "right") - 1
        if not since:
            return found
        changed = [row for row in since if wanted in self._texts[row][: self._lengths[row]]]
        return np.concatenate([found[~np.isin(found, list(since))], np.array(changed, np.int64)])

    def join(self) -> None:
        """Join the texts for searches: some 20 ms for 100,000, in which the process does nothing else."""
        lengths = np.array(self._lengths, np.int64)
        self._joined = _END.join(text[:length] for text, length in zip(self._texts, self._lengths, strict=True))
        self._begins = np.cumsum(lengths + len(_END)) - lengths - len(_END)
        self._since.clear()

    def ascending(self) -> Rows:
        """Give the rows that have a text, in order."""
        if self._moved:
            self._place()
            self._moved.clear()
        return self._order

    def is_same(self, row: int, other: int) -> bool:
        """Say whether two rows have the same text."""
        return _plain(self._texts[row]) == _plain(self._texts[other])

    def _place(self) -> None:
        texts = self._texts
        coming = [row for row in self._moved if texts[row] != _NONE]
        moved = np.zeros(len(texts), np.bool_)
        moved[list(self._moved)] = True
        kept = self._order[~moved[self._order]]
        if len(coming) > _FEW:
            self._order = np.array(sorted(kept.tolist() + coming, key=texts.__getitem__), np.int64)
        else:
            coming.sort(key=texts.__getitem__)
            places = [bisect_left(kept, texts[row], key=texts.__getitem__) for row in coming]
            self._order = np.insert(kept, places, coming)


def _plain(text: str) -> str:
    return text[: text.index(_END)]


def page_downwards(texts: Texts, upwards: Rows, offset: int, limit: int) -> Sequence[int]:
    """Give a page of rows, which are in ascending order, downwards; rows of the same text stay in their order.

    Only the page's texts are looked at, and those that are the same at its ends.
    """
    total = len(upwards)
    high, low = max(total - offset, 0), max(total - offset - limit, 0)
    if low == high:
        return []
    last = total - high
    while low and texts.is_same(upwards[low - 1], upwards[low]):
        low -= 1
    while high < total and texts.is_same(upwards[high], upwards[high - 1]):
        high += 1
    groups: list[list[int]] = []
    for row in upwards[low:high].tolist():
        if groups and texts.is_same(groups[-1][0], row):
            groups[-1].append(row)
        else:
            groups.append([row])
    rows = [row for group in reversed(groups) for row in group]
    skipped = last - (total - high)
    return rows[skipped : skipped + limit]
