"""The orders of the experiment. Law: the same seed gives the same bytes, and every contender is given the same ones.

Two-line orders, one to three units a line, over items that are stocked so that nothing runs out, except one in fifty,
which starts just above the low threshold, so that alerts and a few refusals happen as they do in a shop.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from typing import Final

SITE: Final = "5117e000-0000-4000-8000-00000000be4c"
LINES: Final = 2
_DRAWN_AT_ONCE: Final = 500  # orders; small, so that drawing never holds up an open-loop generator for long
_PLENTY: Final = 10_000_000
_SCARCE: Final = 12


@dataclass(frozen=True, slots=True)
class Distribution:
    """Which items are asked for: `draw(random, count)` gives item numbers below `items`."""

    name: str
    items: int
    words: str
    draw: Callable[[random.Random, int], list[int]]


def _zipf(items: int, exponent: float) -> Callable[[random.Random, int], list[int]]:
    weights = list(accumulate((rank + 1) ** -exponent for rank in range(items)))
    numbers = _by_rank(items)
    return lambda source, count: source.choices(numbers, cum_weights=weights, k=count)


def _by_rank(items: int) -> list[int]:
    """Popular items stand anywhere in the tables, not side by side on one page; none of them is scarce."""
    numbers = list(range(items))
    random.Random(0).shuffle(numbers)
    numbers.sort(key=is_scarce)
    return numbers


def _uniform(items: int) -> Callable[[random.Random, int], list[int]]:
    return lambda source, count: source.choices(range(items), k=count)


def _hot(items: int, share: float) -> Callable[[random.Random, int], list[int]]:
    def draw(source: random.Random, count: int) -> list[int]:
        return [0 if source.random() < share else source.randrange(items) for _ in range(count)]

    return draw


def is_scarce(number: int) -> bool:
    """Whether an item starts just above the low threshold."""
    return number % 50 == 7


def stock_of(number: int) -> int:
    """Give the units an item starts with."""
    return _SCARCE if is_scarce(number) else _PLENTY


def item_ids(number: int) -> tuple[str, str | None]:
    """Give product and variant of an item; every other item is a variant."""
    variant = f"7a51a000-0000-4000-8000-{number:012x}" if number % 2 else None
    return f"9a0d0c70-0000-4000-8000-{number:012x}", variant


ZIPF: Final = Distribution("zipf", 10_000, "Zipf, s = 1.1, over 10,000 items", _zipf(10_000, 1.1))
UNIFORM: Final = Distribution("uniform", 100_000, "uniform over 100,000 items", _uniform(100_000))
HOT: Final = Distribution("hot", 100_000, "80 % of the lines on one of 100,000 items", _hot(100_000, 0.8))
DISTRIBUTIONS: Final = (ZIPF, UNIFORM, HOT)


def orders(distribution: Distribution, tag: str, *, seed: int = 1) -> Iterator[tuple[bytes, bytes]]:
    """Give key and value of order-placed messages without end; the order ids are `tag` and a number of nine digits."""
    source = random.Random(seed)
    number = 0
    while True:
        wanted = distribution.draw(source, LINES * _DRAWN_AT_ONCE)
        units = source.choices((1, 1, 2, 3), k=LINES * _DRAWN_AT_ONCE)
        for first in range(0, len(wanted), LINES):
            order_id = f"{tag}{number:09d}"
            number += 1
            yield (
                order_id.encode(),
                order_message(SITE, order_id, wanted[first : first + LINES], units[first : first + LINES]),
            )


def some_orders(distribution: Distribution, tag: str, count: int, *, seed: int = 1) -> list[tuple[bytes, bytes]]:
    """Give the first `count` orders."""
    return list(islice(orders(distribution, tag, seed=seed), count))


def number_of(order_id: bytes) -> int:
    """Give back the number in an order id, or in anything that ends with one."""
    return int(order_id[-9:])


def order_message(site_id: str, order_id: str, wanted: Sequence[int], units: Sequence[int]) -> bytes:
    """Make an order of these items, a line each."""
    lines = ",".join(
        f'{{"line_id":"{position}",{_item_json(number)},"quantity":{quantity}}}'
        for position, (number, quantity) in enumerate(zip(wanted, units, strict=True), 1)
    )
    return (
        f'{{"site_id":"{site_id}","order_id":"{order_id}","occurred_at":"2026-01-31T12:00:00Z",'
        f'"actor":"checkout","lines":[{lines}]}}'
    ).encode()


def _item_json(number: int) -> str:
    product_id, variant_id = item_ids(number)
    variant = f',"variant_id":"{variant_id}"' if variant_id else ""
    return f'"product_id":"{product_id}"{variant}'
