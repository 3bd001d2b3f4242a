"""The rules of lists, sums and alerts, item by item in plain Python, and random items to try them on."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from hypothesis import strategies as st

from stock_worker.core.model import Level
from stock_worker.projection.columns import LEVELS, PER_UNIT
from stock_worker.store.reads.items import Order, Wanted

_ODD: Final = 9 * 10**12
ID_MAX: Final = 12


@dataclass(frozen=True)
class Thing:
    """An item, as a person would note it."""

    item_id: int
    product: int
    variant: int | None
    on_hand: int
    reserved: int
    costed: int
    moved_at: int | None
    value: Decimal | None
    price_value: Decimal
    level: Level
    tracked: bool
    archived: bool
    has_cost: bool
    has_price: bool
    name: str | None
    sku: str | None
    category: tuple[str | None, str | None]

    @property
    def key(self) -> bytes:
        """Its key as rows have it."""
        product = UUID(int=self.product << 96).bytes
        return product if self.variant is None else product + b"\x01" + UUID(int=self.variant).bytes

    @property
    def place(self) -> tuple[int, int]:
        """What breaks ties."""
        return self.product, -1 if self.variant is None else self.variant

    @property
    def is_empty(self) -> bool:
        """Whether it is archived and holds nothing."""
        return self.archived and not self.on_hand and not self.reserved

    @property
    def row(self) -> tuple[Any, ...]:
        """It as the database tells of it, in the order of FIELDS."""
        value, odd_value = _told(self.value)
        price_value, odd_price_value = _told(self.price_value)
        return (
            *(self.item_id, self.key, self.on_hand, self.reserved, self.costed, self.moved_at or 0),
            *(value, price_value, LEVELS.index(self.level), self.variant is not None, self.moved_at is not None),
            *(self.tracked, self.archived, self.value is not None, self.has_cost, self.has_price),
            *(odd_value, odd_price_value, self.name, self.sku, *self.category),
        )


def _told(value: Decimal | None) -> tuple[int, Decimal | None]:
    if value is None:
        return 0, None
    whole = value * PER_UNIT
    fits = value < _ODD and whole == int(whole)
    return (int(whole), None) if fits else (0, value)


_MONEY: Final = st.sampled_from(
    ["0", "1", "2.5", "2.5000001", "2.50000015", "0.0000001", "8999999999999.999999", "9000000000000", "1e24", "1e24"]
).map(Decimal)
_TEXT: Final = st.sampled_from(
    [None, "", "mug", "Mug", "MUG cup", "Ärmel", "ärmel", "zebra", "a", "a ", "日本の茶碗", "𝄞"]
)
_CATEGORIES: Final = [(None, None), (None, "Loose"), ("c1", "Cups"), ("c1", "Beakers"), ("c2", None), ("c3", "Pots")]


@st.composite
def things(draw: st.DrawFn) -> list[Thing]:
    """Some items; of a product and variant there is one."""
    keys = draw(st.lists(st.integers(1, ID_MAX), unique=True, max_size=ID_MAX))
    return [draw(thing(item_id)) for item_id in keys]


@st.composite
def thing(draw: st.DrawFn, item_id: int) -> Thing:
    """One item, whose id says which product and variant it is: of four products the third has none."""
    product, which = divmod(item_id - 1, 3)
    moved_at = draw(st.none() | st.integers(0, 3))
    on_hand = 0 if moved_at is None else draw(st.integers(-2, 4) | st.just(10**15))
    has_cost = draw(st.booleans())
    return Thing(
        item_id=item_id,
        product=(product * 7 + 3) % 5 << 8 * (product % 2),
        variant=None if which == 0 else which << 8,
        on_hand=on_hand,
        reserved=0 if moved_at is None else draw(st.integers(0, 2)),
        costed=draw(st.integers(0, max(on_hand, 0))),
        moved_at=moved_at,
        value=draw(_MONEY | st.none()),
        price_value=draw(_MONEY),
        level=draw(st.sampled_from(LEVELS)),
        tracked=draw(st.booleans() | st.just(value=True)),
        archived=draw(st.booleans()),
        has_cost=has_cost,
        has_price=draw(st.booleans()),
        name=draw(_TEXT),
        sku=draw(_TEXT),
        category=draw(st.sampled_from(_CATEGORIES)),
    )


def seen(all_: Sequence[Thing]) -> list[Thing]:
    """Those that people see."""
    base = [each for each in all_ if not each.is_empty]
    with_variants = {each.product for each in base if each.variant is not None}
    return [
        each
        for each in base
        if each.variant is not None or each.moved_at is not None or each.product not in with_variants
    ]


def found(all_: Sequence[Thing], wanted: Wanted, at_location: Sequence[int] | None) -> list[Thing]:
    """Those of them that fit."""
    search = None if wanted.search is None else wanted.search.lower()
    return [
        each
        for each in seen(all_)
        if (wanted.levels is None or each.level in wanted.levels)
        and (wanted.max_available is None or each.on_hand - each.reserved <= wanted.max_available)
        and (search is None or any(search in (text or "").lower() for text in (each.name, each.sku)))
        and (wanted.category_id is None or each.category[0] == wanted.category_id)
        and (at_location is None or each.item_id in at_location)
        and (each.tracked or not wanted.tracked_only)
    ]


def ordered(some: Sequence[Thing], order: Order) -> list[int]:
    """Their ids in order."""

    def of(each: Thing) -> Any:  # noqa: ANN401 - texts and numbers
        text = {"name": each.name, "sku": each.sku}
        if order.sort in text:
            return None if text[order.sort] is None else str(text[order.sort]).lower()
        return {
            "quantity": each.on_hand,
            "available": each.on_hand - each.reserved,
            "value": each.value,
            "last_movement": each.moved_at,
        }[order.sort]

    by_item = sorted(some, key=lambda each: each.place)
    with_value = sorted((each for each in by_item if of(each) is not None), key=of, reverse=order.descending)
    return [each.item_id for each in [*with_value, *(each for each in by_item if of(each) is None)]]


def summary(all_: Sequence[Thing]) -> dict[str, Any]:
    """What the tracked ones that are seen come to."""
    tracked = [each for each in seen(all_) if each.tracked]
    counts = [sum(each.level is level for each in tracked) for level in LEVELS]
    return {
        "total_products": len({each.product for each in tracked}),
        "total_variants": sum(each.variant is not None for each in tracked),
        "total_quantity": sum(each.on_hand for each in tracked),
        "total_value": sum((each.value or Decimal(0) for each in tracked), Decimal(0)),
        "in_stock_count": counts[0],
        "low_stock_count": counts[1],
        "critical_stock_count": counts[2],
        "out_of_stock_count": counts[3],
    }


def by_category(all_: Sequence[Thing]) -> dict[tuple[str | None, str | None], dict[str, Any]]:
    """What the tracked ones that moved are worth, by category: by its id, or by its name where it has none."""
    groups: dict[tuple[str | None, str | None], list[Thing]] = {}
    for each in all_:
        if each.tracked and each.moved_at is not None:
            category_id, name = each.category
            groups.setdefault((category_id, name if category_id is None else None), []).append(each)
    return {key: _worth(some) for key, some in groups.items()}


def _worth(some: Sequence[Thing]) -> dict[str, Any]:
    def total(units: dict[int, int]) -> int:
        return sum(units.values())

    units = {each.item_id: max(each.on_hand, 0) for each in some}
    uncosted = {each.item_id: units[each.item_id] - each.costed for each in some}
    return {
        "category_name": min((each.category[1] for each in some if each.category[1] is not None), default=None),
        "quantity": total(units),
        "value": sum((each.value or Decimal(0) for each in some), Decimal(0)),
        "price_value": sum((each.price_value for each in some), Decimal(0)),
        "uncosted_units": sum(uncosted[each.item_id] for each in some if not each.has_cost),
        "catalog_costed_units": sum(uncosted[each.item_id] for each in some if each.has_cost),
        "unpriced_units": sum(units[each.item_id] for each in some if not each.has_price),
        "negative_units": sum(max(-each.on_hand, 0) for each in some),
    }
