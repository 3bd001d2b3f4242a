"""What moved, as columns: one block a day and type, a row an item. Law: sums are exact, or refused; nothing wraps.

Pure. A block has each item once, and keeps each figure in as few bytes as its largest one needs: ten bytes a row where
a table's row has a hundred. Source: contract section 7 (reports), case H5.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final, NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from stock_worker.core.model import MovementType

Ints = NDArray[np.int64]
Figures = NDArray[np.signedinteger]
"""Counts of any width; signed, so that they add up to 64 bits."""
Keys = NDArray[np.uint64]
"""UUIDs: the upper and the lower half, in two rows."""
Flags = NDArray[np.bool_]

NO_FLOW: Final = frozenset({MovementType.RESERVED, MovementType.UNRESERVED, MovementType.TRANSFER})
"""The types of movement that bring nothing in and take nothing out."""

_SENT: Final = np.dtype([("item_id", ">i8"), ("movements", ">i8"), ("units_in", ">i8"), ("units_out", ">i8")])
_SENT_PRODUCT: Final = np.dtype([("item_id", ">i8"), ("upper", ">u8"), ("lower", ">u8")])
_LIMIT: Final = 2**63
_BLOCK_BYTES: Final = 600
"""What Python and numpy need for a block, whatever is in it."""
_NO_INTS: Final[Ints] = np.empty(0, np.int64)


class Block(NamedTuple):
    """What items moved on one day in one type; `rows` are the items', see Items. Units of both directions are >= 0."""

    rows: Figures
    movements: Figures
    units_in: Figures
    units_out: Figures

    @property
    def nbytes(self) -> int:
        """The memory that it takes."""
        return _BLOCK_BYTES + sum(column.nbytes for column in self)


Part = tuple[date, MovementType, Block]
"""A block, and what it is of."""


class Flow(NamedTuple):
    """Units that came and went."""

    units_in: int
    units_out: int


class Total(NamedTuple):
    """Ledger rows of one type, and the units that they moved either way."""

    movements: int
    units: int


class Sums(NamedTuple):
    """What moved in a period: by type, by day with a flow, and the products that moved most, with theirs."""

    by_type: Mapping[MovementType, Total]
    by_day: Mapping[date, Flow]
    top: Sequence[tuple[UUID, Flow]]


class Products(NamedTuple):
    """Products in the order of their ids, and which rows are theirs: those from each one's start in `order`."""

    keys: Keys
    order: Ints
    starts: Ints

    def sums(self, by_row: Ints) -> Ints:
        """Add up what rows have, by product."""
        missing = np.zeros(len(self.order) - len(by_row), np.int64)  # items that were met later
        by_row = np.concatenate([by_row, missing])
        return np.add.reduceat(by_row[self.order], self.starts) if len(self.starts) else by_row

    def id_of(self, place: int) -> UUID:
        """The id of the product at a place."""
        upper, lower = self.keys[:, place].tolist()
        return UUID(int=upper << 64 | lower)


class Items:
    """The items of one site that have moved: each has a row, which it keeps, and a product."""

    def __init__(self) -> None:
        self._ids, self._rows = _NO_INTS, _NO_INTS  # in the order of the ids
        self._products: Keys = np.empty((2, 0), np.uint64)  # by row
        self._grouped: Products | None = None

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def nbytes(self) -> int:
        """The memory that it takes, with the codes of its products."""
        return 2 * (self._ids.nbytes + self._rows.nbytes + self._products.nbytes)

    def rows_of(self, item_ids: Ints) -> Ints:
        """The row of each item; -1 where it is not known."""
        if not len(self._ids):
            return np.full(len(item_ids), -1)
        at = np.minimum(np.searchsorted(self._ids, item_ids), len(self._ids) - 1)
        return np.where(self._ids[at] == item_ids, self._rows[at], -1)

    def unknown(self, item_ids: Ints) -> Ints:
        """Those that are not known, once each."""
        return np.unique(item_ids[self.rows_of(item_ids) < 0])

    def learn(self, sent: bytes) -> None:
        """Take up items with their products, as the statement `products` sends them; what is known stays as it is."""
        told = np.frombuffer(sent, _SENT_PRODUCT)
        _, first = np.unique(told["item_id"], return_index=True)
        fresh = told[first][self.rows_of(told["item_id"][first].astype(np.int64)) < 0]
        rows = np.arange(len(self), len(self) + len(fresh))
        ids = np.concatenate([self._ids, fresh["item_id"].astype(np.int64)])
        order = np.argsort(ids, kind="stable")
        self._rows = np.concatenate([self._rows, rows])[order]
        self._ids = ids[order]
        self._products = np.concatenate([self._products, [fresh["upper"], fresh["lower"]]], axis=1, dtype=np.uint64)
        self._grouped = None

    def products(self) -> Products:
        """The products of all rows."""
        if self._grouped is None:
            order = np.lexsort(self._products[::-1])
            keys = self._products[:, order]
            starts = np.flatnonzero(np.diff(keys, prepend=~keys[:, :1]).any(axis=0))
            self._grouped = Products(keys[:, starts], order, starts)
        return self._grouped


def read_rows(sent: bytes) -> NDArray[np.void]:
    """Read rows as the statements `totals` and `ledger` send them: item_id, movements, units_in, units_out."""
    return np.frombuffer(sent, _SENT)


def item_ids_of(sent: NDArray[np.void]) -> Ints:
    """The items of rows."""
    return sent["item_id"].astype(np.int64)


def fold(items: Items, sent: NDArray[np.void]) -> Block:
    """Add up rows by item; each item is known. Raises OverflowError where sums do not fit."""
    rows = items.rows_of(item_ids_of(sent))
    assert not len(rows) or rows.min() >= 0, "items are learnt before their rows are added up"
    order = np.argsort(rows, kind="stable")
    rows = rows[order]
    starts = np.flatnonzero(np.diff(rows, prepend=-1))
    columns = [rows[starts]]
    for name in _SENT.names[1:]:  # type: ignore[index] # it has names
        values = sent[name].astype(np.int64)[order]
        total(values)
        columns.append(np.add.reduceat(values, starts) if len(starts) else values)
    return Block(*map(_narrow, columns))


def total(values: NDArray[np.integer]) -> int:
    """Add up counts. Raises OverflowError where 64 bits do not hold the sum."""
    if not len(values):
        return 0
    exact = int(values.max()) * len(values) < _LIMIT
    found = int(values.sum(dtype=np.int64)) if exact else sum(map(int, values))
    if found >= _LIMIT:
        raise OverflowError("what moved is more than 64 bits can count")
    return found


class Adding:
    """What blocks come to, one by one, without the items that are `left_out`."""

    def __init__(self, items: Items, left_out: Ints) -> None:
        self._items, self._left_out = items, _flags(items, left_out)
        self._by_type: dict[MovementType, Total] = {}
        self._by_day: dict[date, Flow] = {}
        self._came, self._went = np.zeros(len(items), np.int64), np.zeros(len(items), np.int64)  # by row

    @property
    def nbytes(self) -> int:
        """The memory that it takes."""
        return self._came.nbytes + self._went.nbytes

    def copy(self, left_out: Ints) -> "Adding":
        """Begin another one with what was added so far; of items met since, these are left out, too."""
        other = Adding(self._items, left_out)
        other._by_type, other._by_day = dict(self._by_type), dict(self._by_day)
        other._came[: len(self._came)], other._went[: len(self._went)] = self._came, self._went
        return other

    def add(self, day: date, kind: MovementType, block: Block) -> None:
        """Take a block in; its items were known when this was begun. Raises OverflowError where sums do not fit."""
        kept = block if self._left_out is None else _without(block, self._left_out)
        flow = Flow(total(kept.units_in), total(kept.units_out))
        before = self._by_type.get(kind, Total(0, 0))
        self._by_type[kind] = Total(before.movements + total(kept.movements), before.units + sum(flow))
        if kind in NO_FLOW:
            return
        earlier = self._by_day.get(day, Flow(0, 0))
        self._by_day[day] = Flow(earlier.units_in + flow.units_in, earlier.units_out + flow.units_out)
        self._came[kept.rows] += kept.units_in
        self._went[kept.rows] += kept.units_out

    def sums(self, most: int) -> Sums:
        """Tell what it comes to, with up to `most` products; those that moved as much go by their ids.

        Raises OverflowError where sums do not fit.
        """
        if sum(map(sum, self._by_day.values())) >= _LIMIT:
            raise OverflowError("what moved is more than 64 bits can count")
        by_day = {day: flow for day, flow in sorted(self._by_day.items()) if any(flow)}
        return Sums(self._by_type, by_day, self._top(most))

    def _top(self, most: int) -> list[tuple[UUID, Flow]]:
        products = self._items.products()
        came, went = products.sums(self._came), products.sums(self._went)
        both = came + went
        found = np.flatnonzero(both)
        if len(found) > most:  # all that may be among the first, then those in order
            least = np.partition(both[found], len(found) - most)[len(found) - most]
            found = found[both[found] >= least]
        found = found[np.argsort(-both[found], kind="stable")][:most]
        return [(products.id_of(place), Flow(int(came[place]), int(went[place]))) for place in found.tolist()]


def _flags(items: Items, item_ids: Ints) -> Flags | None:
    """Mark the rows of these items; None where none of them has moved."""
    rows = items.rows_of(item_ids)
    rows = rows[rows >= 0]
    if not len(rows):
        return None
    flags = np.zeros(len(items), np.bool_)
    flags[rows] = True
    return flags


def _without(block: Block, left_out: Flags) -> Block:
    kept = ~left_out[block.rows]
    return block if kept.all() else Block(*(column[kept] for column in block))


def _narrow(values: Ints) -> Figures:
    """Keep counts in as few bytes as the largest one needs."""
    return values.astype(np.min_scalar_type(-1 - int(values.max(initial=0))))
