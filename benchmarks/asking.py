"""What people ask of the API. Law: every kind of read has its limit, and is asked of every site and of many items.

Drawn with a seed, so every run asks the same.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from typing import Final, NamedTuple
from urllib.parse import quote

from benchmarks.client import Asked
from benchmarks.sites import CATEGORIES, DAYS, Sites, second_location, site_id
from benchmarks.workload import LINES, item_ids, order_message

REQUESTS_PER_S: Final = 40.0
_PAGE: Final = 20
_LONG_SHARE: Final = 0.1


class Kind(NamedTuple):
    """Requests of one kind: the limit of their p99, their share of the whole, and one of them."""

    name: str
    limit_ms: float
    weight: int
    ask: Callable[[random.Random, "World"], Asked]


class World(NamedTuple):
    """What may be asked for; `orders` are answered ones, as (site, order_id)."""

    sites: Sites
    now: datetime
    orders: Sequence[tuple[int, str]]

    def site(self, source: random.Random) -> int:
        """Draw a site."""
        return source.randrange(self.sites.sites)

    def number(self, source: random.Random) -> int:
        """Draw an item; one in ten is one of those with a long history."""
        number = source.randrange(self.sites.items)
        return number // 100 * 100 if source.random() < _LONG_SHARE else number


def at_site(site: int, path: str) -> str:
    """Give the path of something of a site."""
    return f"/api/v1/sites/{site_id(site)}{path}"


def _anywhere(path: str, source: random.Random, world: World) -> Asked:
    return Asked(at_site(world.site(source), path))


def _item(tail: str, source: random.Random, world: World) -> Asked:
    number = world.number(source)
    product, variant = item_ids(number)
    return Asked(at_site(number // world.sites.items_each, f"/items/{product}{f'/{variant}' if variant else ''}{tail}"))


def _history(source: random.Random, world: World) -> Asked:
    number = world.number(source)
    return Asked(at_site(number // world.sites.items_each, f"/movements?product_id={item_ids(number)[0]}"))


def _availability(source: random.Random, world: World) -> Asked:
    site, each = world.site(source), world.sites.items_each
    numbers = (site * each + number for number in source.sample(range(each), 100))
    items = [dict(zip(("product_id", "variant_id"), item_ids(number), strict=True)) for number in numbers]
    return Asked(at_site(site, "/availability"), body={"items": items})


def _search(source: random.Random, world: World) -> Asked:
    site, number = world.site(source), source.randrange(world.sites.items_each)
    words = source.choice(("walnut", "lamp", f"{number:06d}", f"sku-{site}-{number:06d}"[:11]))
    return Asked(at_site(site, f"/items?search={quote(words)}"))


def _filtered(source: random.Random, world: World) -> Asked:
    site = world.site(source)
    filters = (
        f"status={source.choice(('in_stock', 'low_stock', 'critical', 'out_of_stock'))}",
        f"category_id=category-{source.randrange(CATEGORIES)}",
        f"location_id={second_location(site)}",
    )
    return Asked(at_site(site, f"/items?{source.choice(filters)}"))


def _sorted(by: str, source: random.Random, world: World) -> Asked:
    query = f"sort={by}&order={source.choice(('asc', 'desc'))}&page={source.choice((1, _PAGE))}"
    return _anywhere(f"/items?{query}", source, world)


def _valuation_then(source: random.Random, world: World) -> Asked:
    moment = world.now - timedelta(days=source.uniform(1, DAYS - 1))
    return _anywhere(f"/reports/valuation?as_of={quote(moment.isoformat())}", source, world)


def _movements_report(source: random.Random, world: World) -> Asked:
    return _anywhere(quarter(world.now), source, world)


def quarter(now: datetime) -> str:
    """Give the path of a report of the days before that of a moment."""
    last = now.date()
    return f"/reports/movements?from={last - timedelta(days=DAYS)}&to={last}"


def _order(source: random.Random, world: World) -> Asked:
    site, order_id = source.choice(world.orders)
    return Asked(at_site(site, f"/orders/{order_id}"))


def _reference(source: random.Random, world: World) -> Asked:
    site, order_id = source.choice(world.orders)
    return Asked(at_site(site, f"/references/order/{order_id}"))


LIST: Final = "list by name"
SUMMARY: Final = "report: summary"
QUARTER: Final = "report: movements of 90 days"
KINDS: Final = (
    Kind("item", 50, 8, partial(_item, "")),
    Kind("availability of 100", 50, 6, _availability),
    Kind("history of an item", 50, 6, _history),
    Kind("history of the site", 50, 3, partial(_anywhere, "/movements")),
    Kind("search", 50, 4, _search),
    Kind(LIST, 50, 4, partial(_sorted, "name")),
    Kind("list by sku", 50, 3, partial(_sorted, "sku")),
    Kind("list filtered", 50, 4, _filtered),
    *(Kind(f"list by {by}", 100, 2, partial(_sorted, by)) for by in ("quantity", "available", "value")),
    Kind("list by last_movement", 100, 2, partial(_sorted, "last_movement")),
    Kind("alerts", 50, 3, partial(_anywhere, "/alerts")),
    Kind("order", 50, 2, _order),
    Kind("reference", 50, 2, _reference),
    Kind("explain", 50, 2, partial(_item, "/explain")),
    Kind(SUMMARY, 300, 2, partial(_anywhere, "/reports/inventory")),
    Kind("report: valuation", 300, 2, partial(_anywhere, "/reports/valuation")),
    Kind(QUARTER, 300, 2, _movements_report),
    Kind("report: reorder", 300, 2, partial(_anywhere, "/reports/reorder")),
)
SELDOM: Final = Kind("report: valuation as of", 10_000, 0, _valuation_then)
_SELDOM_FROM_S: Final = 5.0
_SELDOM_EVERY_S: Final = 15.0
"""One asks for all that a site's ledger said: a person does it now and then."""


def mixed(world: World, seconds: float) -> list[tuple[Kind, Asked]]:
    """Draw requests by their weights, due one after the other."""
    source = random.Random(11)
    due_s = [number / REQUESTS_PER_S for number in range(int(seconds * REQUESTS_PER_S))]
    seldom = set(range(int(_SELDOM_FROM_S * REQUESTS_PER_S), len(due_s), int(_SELDOM_EVERY_S * REQUESTS_PER_S)))
    kinds = source.choices(KINDS, [kind.weight for kind in KINDS], k=len(due_s))
    drawn = (SELDOM if number in seldom else kind for number, kind in enumerate(kinds))
    return [(kind, kind.ask(source, world)._replace(due_s=due)) for kind, due in zip(drawn, due_s, strict=True)]


def orders_of(sites: Sites, tag: str) -> Iterator[tuple[bytes, bytes]]:
    """Give key and value of order-placed messages without end, of each site in turn, over all of its items."""
    source = random.Random(7)
    for number in count():
        site, order_id = site_of_order(sites, number), f"{tag}{number:09d}"
        wanted = [site * sites.items_each + source.randrange(sites.items_each) for _ in range(LINES)]
        yield order_id.encode(), order_message(site_id(site), order_id, wanted, source.choices((1, 1, 2), k=LINES))


def site_of_order(sites: Sites, number: int) -> int:
    """Give the site of an order, by the number in its id."""
    return number % sites.sites


def adjustments(sites: Sites, tag: str, many: int, per_s: float) -> list[Asked]:
    """Draw so many adjustments, each of one item under a key of its own, due one after the other."""
    source = random.Random(13)
    drawn = []
    for number in range(many):
        site, product, variant = sites.key(source.randrange(sites.items))
        line = {"product_id": product, "variant_id": variant, "quantity": 1}
        body = {"type": "adjustment", "reason": "found", "lines": [line]}
        drawn.append(Asked(f"/api/v1/sites/{site}/adjustments", number / per_s, body, f"{tag}{number:09d}"))
    return drawn
