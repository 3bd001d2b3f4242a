"""What a workload is about: sites, items, orders. Law: no product code, no clock; the same seed gives the same shop."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from random import Random
from typing import Any, Final, NamedTuple
from uuid import uuid5

from tests.models.trial import item_of
from tests.oracle.steering import (
    MOVING,
    NAMESPACE,
    PLAIN,
    Steering,
    Step,
    changes,
    default_of,
    place_of,
    places_at_first,
    rules_at_first,
)

NEVER: Final = 999_999
"""A quantity and a version that nothing here ever reaches."""
UNTRACKED, ARCHIVED, LOOSE = 6, 8, (10, 11)
"""The numbers of the items that the catalog says something of."""
CHANGES_MOST: Final = 1_000


class Mix(NamedTuple):
    """How many commands, over what, and the shares of what Kafka and senders do to them."""

    commands: int = 1_000
    sites: int = 3
    items: int = 40
    duplicates: float = 0.10
    reordered: float = 0.05
    poison: float = 0.01
    large: float = 0.0
    """The share of records that carry 900,000 bytes in a field nobody knows."""
    null_keys_and_values: bool = False
    """Whether poison includes records without key and value, which not every client can produce."""
    begins: datetime = datetime(2026, 3, 1, 12, tzinfo=UTC)
    lasts_s: float = 600.0
    """When the workload is sent, and for how long: reservations fall due meanwhile."""


@dataclass(slots=True)
class Order:
    """What the generator remembers of an order: its lines as (line_id, item, quantity)."""

    site: str
    name: str
    lines: list[tuple[str, dict[str, Any], int]]
    reserves: bool = False
    amended: int = 0


@dataclass(slots=True)
class Shop:
    """What may be named: items with plenty or little stock, and the orders so far."""

    random: Random
    mix: Mix
    sites: list[str]
    items: dict[str, list[dict[str, Any]]]
    orders: list[Order] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(10**9)))

    def name(self, prefix: str) -> str:
        """A reference or an order nobody used before."""
        return f"{prefix}-{next(self.numbers)}"

    def is_plain(self, site: str) -> bool:
        """Whether a site has one location, and nothing set."""
        return self.sites.index(site) % 3 == PLAIN

    def a_wide_site(self) -> str:
        """A site of several locations."""
        return self.random.choice([site for site in self.sites if not self.is_plain(site)])

    def some_items(self, site: str, most: int) -> list[dict[str, Any]]:
        """One to `most` items of a site, some of them twice in a command; the first ones more often."""
        items = self.items[site]
        return [items[int(len(items) * self.random.random() ** 2)] for _ in range(self.random.randint(1, most))]

    def an_order(self) -> Order:
        """An order, more often a young one."""
        return self.orders[-1 - int(len(self.orders) * self.random.random() ** 3)]

    def a_place(self, site: str, share: float) -> dict[str, Any]:
        """Where, said by so many lines of a site with several locations."""
        if self.is_plain(site) or self.random.random() >= share:
            return {}
        return {"location_id": self.random.choice(places_in_use(site))}

    def in_time(self, least: float, most: float) -> str:
        """A moment within the workload, told as shares of its length."""
        seconds = self.random.uniform(least, most) * self.mix.lasts_s
        return (self.mix.begins + timedelta(seconds=round(seconds, 3))).isoformat()


def places_in_use(site: str) -> tuple[str, ...]:
    """The active locations of a site with several."""
    return default_of(site), place_of(site, "east"), place_of(site, "west")


def new_shop(seed: int, mix: Mix) -> Shop:
    """The sites and items of a seed, two items a product."""
    sites = [str(uuid5(NAMESPACE, f"{seed} site {number}")) for number in range(mix.sites)]
    items: dict[str, list[dict[str, Any]]] = {}
    for site in sites:
        items[site] = []
        for number in range(mix.items):
            item: dict[str, Any] = {"product_id": str(uuid5(NAMESPACE, f"{site} product {number // 2}"))}
            if number % 2:
                item["variant_id"] = str(uuid5(NAMESPACE, f"{site} variant {number}"))
            items[site].append(item)
    return Shop(Random(seed), mix, sites, items)


def steering_of(seed: int, mix: Mix) -> Steering:
    """What is set for the sites of a seed, before and meanwhile."""
    shop, random = new_shop(seed, mix), Random(seed)
    steering = Steering()
    for number, site in enumerate(shop.sites):
        if number % 3 == PLAIN:
            continue
        items = [item_of(item) for item in shop.items[site]]
        products = [product for product, _ in items[::2]]
        steering.first += [*rules_at_first(site, products), *places_at_first(site)]
        steering.untracked.add((site, items[UNTRACKED]))
        steering.archived.add((site, items[ARCHIVED]))
        if number % 3 == MOVING:
            steering.loose |= {(site, items[each]) for each in LOOSE}
            steering.meanwhile += islice(changes(site, products, random), CHANGES_MOST)
    return steering


def before_stock(steps: list[Step]) -> list[Step]:
    """The steps that come before the first stock; the others find the locations that it opens."""
    return [step for step in steps if step.what != "location"]
