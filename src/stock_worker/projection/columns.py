"""The items of one site as columns. Law: a row is one item, told whole; what follows from rows is computed when asked.

Pure: rows come in (`apply`), and what is asked of all of them at once is a few operations on arrays. A row keeps its
place for as long as the columns live. Money is exact: whole millionths as int64, and the few values that have more
decimals or are larger as Decimal beside them. Source: contract sections 1 and 7, rule 12, cases H1 and H3.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

import numpy as np
import numpy.typing as npt

from stock_worker.core.model import Level
from stock_worker.projection.texts import Texts

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]
Keys = npt.NDArray[np.bytes_]

LEVELS: Final = (Level.OK, Level.LOW, Level.CRITICAL, Level.OUT)
"""By code, the worst last."""
PER_UNIT: Final = 1_000_000
"""Money is counted in millionths."""

PRODUCT_BYTES: Final = 16
"""A key begins with its product; that of a product without variant has no more."""
_KEY: Final = 33  # 16 bytes of the product; for a variant \x01 and 16 more, so that a product comes before its variants
_ROWS_MIN: Final = 1_024

_NUMBERS: Final[Mapping[str, npt.DTypeLike]] = {
    "item_id": np.int64,
    "key": f"S{_KEY}",
    "on_hand": np.int64,
    "reserved": np.int64,
    "costed": np.int64,
    "last_movement": np.int64,
    "value": np.int64,
    "price_value": np.int64,
    "level": np.int8,
    "is_variant": np.bool_,
    "moved": np.bool_,
    "tracked": np.bool_,
    "archived": np.bool_,
    "valued": np.bool_,
    "has_cost": np.bool_,
    "has_price": np.bool_,
}
FIELDS: Final = (*_NUMBERS, "odd_value", "odd_price_value", "name", "sku", "category_id", "category_name")
"""What a row that comes in says, in this order; the columns of the statements `rows` and `rows_of`."""


class Products(Sequence[str]):
    """Ids of products by code."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def __len__(self) -> int:
        return len(self._keys)

    def codes_of(self, keys: Sequence[bytes]) -> Ints:
        """Give the codes of products by key; -1 where one is not here."""
        return _places(self._keys, keys)

    def __getitem__(self, code: Any) -> Any:  # noqa: ANN401 - as Sequence has it: an id, or ids of a slice
        if isinstance(code, slice):
            return [self[each] for each in range(*code.indices(len(self)))]
        return str(UUID(bytes=bytes(self._keys[code]).ljust(PRODUCT_BYTES, b"\0")))


class Columns:
    """All items of a site that moved or were announced. Quantities are units; an array has a value for each row.

    `last_movement` is in microseconds since 1970 and means nothing where the item never `moved`. `value` (at cost, 0
    where it is not `valued`) and `price_value` are millionths, 0 where `odd_values` and `odd_price_values` have the
    exact sum. `level` is the code (of LEVELS) that is shown. `has_cost` and `has_price` say what the catalog knows.
    """

    item_id: Ints
    key: Keys
    on_hand: Ints
    reserved: Ints
    costed: Ints
    last_movement: Ints
    value: Ints
    price_value: Ints
    level: npt.NDArray[np.int8]
    is_variant: Flags
    moved: Flags
    tracked: Flags
    archived: Flags
    valued: Flags
    has_cost: Flags
    has_price: Flags

    def __init__(self) -> None:
        self.count = 0
        self.names, self.skus = Texts(), Texts()
        self.odd_values: dict[int, Decimal] = {}
        self.odd_price_values: dict[int, Decimal] = {}
        self.categories: list[tuple[str | None, str | None]] = []
        """Id and name of each category, by code; an item of none has a code too."""
        self._codes: dict[tuple[str | None, str | None], int] = {}
        self._stores: dict[str, npt.NDArray[Any]] = {
            name: np.zeros(_ROWS_MIN, kind) for name, kind in {**_NUMBERS, "category": np.int32}.items()
        }
        self._ids, self._id_rows = np.empty(0, np.int64), np.empty(0, np.int64)  # by id
        self._ranks: _Ranks | None = None
        self._seen: Flags | None = None
        self._show()

    @property
    def category(self) -> Codes:
        """The code of each item's category."""
        return self._stores["category"][: self.count]

    @property
    def available(self) -> Ints:
        """What nobody has yet."""
        return self.on_hand - self.reserved

    @property
    def rank(self) -> Ints:
        """The place of each item among all by product, then variant: what breaks ties."""
        return self._ranked().rank

    @property
    def product_code(self) -> Codes:
        """The code of each item's product; codes change when items come."""
        return self._ranked().product_code

    @property
    def products(self) -> Products:
        """The ids of products by code."""
        return self._ranked().products

    @property
    def seen(self) -> Flags:
        """Which items people see: what is archived and empty is hidden.

        So is a product that is sold by its variants, one of which is seen, until it moves itself.
        """
        if self._seen is None:
            base = ~self._put_away(slice(None))
            product = self.product_code
            has_variants = np.zeros(len(self.products), np.bool_)
            has_variants[product[base & self.is_variant]] = True
            self._seen = base & (self.is_variant | self.moved | ~has_variants[product])
        return self._seen

    def rows_of(self, item_ids: Ints) -> Ints:
        """Give the rows of items by id; -1 where an item is not here."""
        if not self.count:
            return np.full(len(item_ids), -1)
        at = np.minimum(np.searchsorted(self._ids, item_ids), self.count - 1)
        return np.where(self._ids[at] == item_ids, self._id_rows[at], -1)

    def rows_of_keys(self, keys: Sequence[bytes]) -> Ints:
        """Give the rows of items by key, as rows have it; -1 where an item is not here."""
        order = self._ranked().order
        at = _places(self.key[order], keys)
        return np.where(at >= 0, order[at], at) if self.count else at

    def apply(self, told: Sequence[Iterable[Any]]) -> None:
        """Take items as they are now, each once: those that are new get rows, the others' rows change."""
        if not told:
            return
        columns = dict(zip(FIELDS, zip(*told, strict=True), strict=True))
        ids = np.array(columns["item_id"], np.int64)
        at = self.rows_of(ids)
        if len(new := np.flatnonzero(at < 0)):
            at[new] = np.arange(self.count, self.count + len(new))
            self._grow(ids[new])
        before = self._shown_by(at)
        for name, kind in _NUMBERS.items():
            self._stores[name][at] = np.array(columns[name], kind)
        self._stores["category"][at] = self._category_codes(columns["category_id"], columns["category_name"])
        rows = at.tolist()
        _keep(self.odd_values, rows, columns["odd_value"])
        _keep(self.odd_price_values, rows, columns["odd_price_value"])
        self.names.put(rows, columns["name"], columns["key"])
        self.skus.put(rows, columns["sku"], columns["key"])
        if len(new) or not np.array_equal(before, self._shown_by(at)):
            self._seen = None

    def set_levels(self, short: Mapping[int, int]) -> None:
        """Take the levels of all items that moved: the code of those that are not ok, by item id."""
        rows = self.rows_of(np.fromiter(short, np.int64, len(short)))
        codes = np.fromiter(short.values(), np.int8, len(short))
        self.level[self.moved] = 0
        self.level[rows[rows >= 0]] = codes[rows >= 0]

    def _put_away(self, rows: Ints | slice) -> Flags:
        """Say of rows which are archived and empty."""
        put_away: Flags = self.archived[rows] & (self.on_hand[rows] == 0) & (self.reserved[rows] == 0)
        return put_away

    def _shown_by(self, rows: Ints) -> Flags:
        """Give what rows say of who is seen: movements of one item mostly leave it as it was for all."""
        return np.stack([self._put_away(rows), self.moved[rows]])

    def _category_codes(self, ids: Sequence[str | None], names: Sequence[str | None]) -> list[int]:
        codes = []
        for category in zip(ids, names, strict=True):
            code = self._codes.setdefault(category, len(self._codes))
            if code == len(self.categories):
                self.categories.append(category)
            codes.append(code)
        return codes

    def _grow(self, new_ids: Ints) -> None:
        count = self.count + len(new_ids)
        room = len(self._stores["item_id"])
        if count > room:
            more = max(count, 2 * room) - room
            self._stores = {
                name: np.concatenate([store, np.zeros(more, store.dtype)]) for name, store in self._stores.items()
            }
        order = np.argsort(new_ids)
        places = np.searchsorted(self._ids, new_ids[order])
        self._ids = np.insert(self._ids, places, new_ids[order])
        self._id_rows = np.insert(self._id_rows, places, self.count + order)
        self.count = count
        self._ranks = None
        self._show()

    def _show(self) -> None:
        for name in _NUMBERS:
            setattr(self, name, self._stores[name][: self.count])

    def _ranked(self) -> "_Ranks":
        if self._ranks is None:
            order = np.argsort(self.key, kind="stable")
            rank = np.empty(self.count, np.int64)
            rank[order] = np.arange(self.count)
            products = self.key.astype(f"S{PRODUCT_BYTES}")[order]
            is_first = np.ones(self.count, np.bool_)
            is_first[1:] = products[1:] != products[:-1]
            code = np.empty(self.count, np.int32)
            code[order] = np.cumsum(is_first) - 1
            self._ranks = _Ranks(order, rank, code, Products(products[is_first]))
        return self._ranks


class _Ranks(NamedTuple):
    order: Ints  # rows by key
    rank: Ints
    product_code: Codes
    products: Products


def _places(ordered: Keys, wanted: Sequence[bytes]) -> Ints:
    """Give the places of keys among ordered ones; -1 where one is not there."""
    if not len(ordered):
        return np.full(len(wanted), -1)
    keys = np.array(wanted, ordered.dtype)
    at = np.minimum(np.searchsorted(ordered, keys), len(ordered) - 1)
    return np.where(ordered[at] == keys, at, -1)


def _keep(kept: dict[int, Decimal], rows: Sequence[int], values: Sequence[Decimal | None]) -> None:
    for row, value in zip(rows, values, strict=True):
        if value is not None:
            kept[row] = value
        elif row in kept:
            del kept[row]
