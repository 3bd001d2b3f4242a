"""Seeded workloads: every command in scope, over several sites, items and orders. Law: no product code, no clock.

The same seed and mix give the same records. What a record will come to is not decided here (topics have no order among
them); the mix only sees to it that most commands can move stock and that every outcome and refusal has its share.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid5

from tests.oracle.poison import poisons
from tests.oracle.records import Headers, Sent

NAMESPACE: Final = UUID("00000000-0000-4000-8000-00000000feed")
NEVER: Final = 999_999
"""A quantity and a version that nothing here ever reaches."""


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


@dataclass(slots=True)
class Order:
    """What the generator remembers of an order: its lines as (line_id, item, quantity)."""

    site: str
    name: str
    lines: list[tuple[str, dict[str, Any], int]]
    amended: int = 0


@dataclass(slots=True)
class Shop:
    """What may be named: items with plenty or little stock, and the orders so far."""

    random: Random
    sites: list[str]
    items: dict[str, list[dict[str, Any]]]
    orders: list[Order] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(10**9)))

    def name(self, prefix: str) -> str:
        """A reference or an order nobody used before."""
        return f"{prefix}-{next(self.numbers)}"

    def some_items(self, site: str, most: int) -> list[dict[str, Any]]:
        """One to `most` items of a site, some of them twice in a command; the first ones more often."""
        items = self.items[site]
        return [items[int(len(items) * self.random.random() ** 2)] for _ in range(self.random.randint(1, most))]

    def an_order(self) -> Order:
        """An order, more often a young one."""
        return self.orders[-1 - int(len(self.orders) * self.random.random() ** 3)]


Made = tuple[str, dict[str, Any]]


def generate(seed: int, mix: Mix | None = None) -> list[Sent]:
    """Make the records of one workload in the order in which they are to be produced."""
    mix = mix or Mix()
    random = Random(seed)
    shop = _new_shop(random, seed, mix)
    made = list(_stock(shop))
    names, weights = zip(*((maker, weight) for maker, weight in MAKERS.items()), strict=True)
    while len(made) < mix.commands:
        (maker,) = random.choices(names, weights)
        made += maker(shop) if shop.orders else _place(shop)
    records = [_record(random, each, large=random.random() < mix.large) for each in made]
    again = [(random.randrange(len(records)), each) for each in range(int(len(records) * mix.duplicates))]
    for index, _ in sorted(again, reverse=True):
        later = min(index + random.randint(1, 200), len(records))
        records.insert(later, _again(random, records[index], made))
    broken = poisons(random, null_keys_and_values=mix.null_keys_and_values)
    for _ in range(int(len(made) * mix.poison)):
        records.insert(random.randrange(len(records) + 1), next(broken))
    for index in range(len(records) - 1):
        if random.random() < mix.reordered:
            other = min(index + random.randint(1, 50), len(records) - 1)
            records[index], records[other] = records[other], records[index]
    return records


def _new_shop(random: Random, seed: int, mix: Mix) -> Shop:
    sites = [str(uuid5(NAMESPACE, f"{seed} site {number}")) for number in range(mix.sites)]
    items: dict[str, list[dict[str, Any]]] = {}
    for site in sites:
        items[site] = []
        for number in range(mix.items):
            item: dict[str, Any] = {"product_id": str(uuid5(NAMESPACE, f"{site} product {number // 2}"))}
            if number % 2:
                item["variant_id"] = str(uuid5(NAMESPACE, f"{site} variant {number}"))
            items[site].append(item)
    return Shop(random, sites, items)


def _stock(shop: Shop) -> Iterator[Made]:
    """Something of everything at first, so that orders can be met: little of some items, so that levels change."""
    for site in shop.sites:
        for number, item in enumerate(shop.items[site]):
            line = {**item, "quantity": 15 if number % 4 == 0 else 500, "unit_cost": "2.50"}
            yield "restock", {"site_id": site, "reference_id": shop.name("first"), "lines": [line]}


# ---------------------------------------------------------------- one maker a kind of command


def _place(shop: Shop) -> list[Made]:
    site, name = shop.random.choice(shop.sites), shop.name("O")
    chosen = [(item, shop.random.randint(1, 4)) for item in shop.some_items(site, 3)]
    explicit = shop.random.random() < 0.3
    lines = [{**item, "quantity": many} for item, many in chosen]
    if explicit:
        lines = [{**line, "line_id": f"L{number}"} for number, line in enumerate(lines)]
    named = [f"L{number}" if explicit else str(number + 1) for number in range(len(lines))]
    shop.orders.append(Order(site, name, [(each, *pair) for each, pair in zip(named, chosen, strict=True)]))
    return [("order-placed", {"site_id": site, "order_id": name, "lines": lines})]


def _place_too_much(shop: Shop) -> list[Made]:
    site = shop.random.choice(shop.sites)
    lines = [{**item, "quantity": many} for item, many in zip(shop.some_items(site, 3), (NEVER, 1, 1), strict=False)]
    return [("order-placed", {"site_id": site, "order_id": shop.name("X"), "lines": lines})]


def _place_again(shop: Shop) -> list[Made]:
    """The same lines under another reference: refused, or superseded where the order was cancelled meanwhile."""
    order = shop.an_order()
    lines = [{**item, "line_id": name, "quantity": many} for name, item, many in order.lines if name[0] != "A"]
    reference = shop.name("again")
    return [
        ("order-placed", {"site_id": order.site, "order_id": order.name, "reference_id": reference, "lines": lines})
    ]


def _amend(shop: Shop) -> list[Made]:
    order = shop.an_order()
    order.amended += 1
    if shop.random.random() < 0.1:
        new = [order.lines[0]]  # a line that exists
    else:
        (item,) = shop.some_items(order.site, 1)
        new = [(f"A{order.amended}", item, 2)]
        order.lines += new
    lines = [{**item, "line_id": name, "quantity": many} for name, item, many in new]
    value = {"site_id": order.site, "order_id": order.name, "reference_id": shop.name("amend"), "amend": True}
    return [("order-placed", {**value, "lines": lines})]


def _cancel(shop: Shop) -> list[Made]:
    return [_about(shop, "order-cancelled", shop.random.choice((1, 1, 2, None)))]


def _fulfil(shop: Shop) -> list[Made]:
    return [_about(shop, "order-fulfilled", shop.random.choice((1, 1, 2)))]


def _return(shop: Shop) -> list[Made]:
    topic, value = _about(shop, "return-received", 1)
    for line in value["lines"]:
        line["condition"] = shop.random.choice(("sellable", "sellable", "damaged"))
    return [(topic, value)]


def _too_much(shop: Shop) -> list[Made]:
    return [_about(shop, shop.random.choice(("order-cancelled", "order-fulfilled", "return-received")), NEVER)]


def _unknown_line(shop: Shop) -> list[Made]:
    topic, value = _about(shop, shop.random.choice(("order-cancelled", "order-fulfilled", "return-received")), 1)
    return [(topic, {**value, "lines": [*value["lines"], {"line_id": "nobody's", "quantity": 1}]})]


def _cancel_whole(shop: Shop) -> list[Made]:
    order = shop.an_order()
    reference = {} if shop.random.random() < 0.5 else {"reference_id": shop.name("whole")}
    return [("order-cancelled", {"site_id": order.site, "order_id": order.name, **reference})]


def _cancel_before(shop: Shop) -> list[Made]:
    """A tombstone, and the placement that it supersedes."""
    ((topic, value),) = _place(shop)
    return [("order-cancelled", {"site_id": value["site_id"], "order_id": value["order_id"]}), (topic, value)]


def _early(shop: Shop) -> list[Made]:
    """What happens to an order, before the order."""
    placed = _place(shop)
    order = shop.orders.pop()
    name, _, _ = order.lines[0]
    value = {"site_id": order.site, "order_id": order.name, "lines": [{"line_id": name, "quantity": 1}]}
    early = [
        (topic, {**value, "reference_id": shop.name("early")})
        for topic in ("order-cancelled", "order-fulfilled", "return-received")
    ]
    shop.orders.append(order)
    return [early[shop.random.randrange(3)], *placed]


def _ghost(shop: Shop) -> list[Made]:
    """About an order that never comes: parked, until it is ended."""
    site, (item,) = shop.sites[0], shop.some_items(shop.sites[0], 1)
    topic = shop.random.choice(("order-cancelled", "order-fulfilled", "return-received", "return-received"))
    line = {**item, "quantity": 1} if topic == "return-received" else {"line_id": "1", "quantity": 1}
    return [(topic, {"site_id": site, "order_id": shop.name("G"), "reference_id": shop.name("ghost"), "lines": [line]})]


def _blind_return(shop: Shop) -> list[Made]:
    site = shop.random.choice(shop.sites)
    damaged = [{}, {"condition": "damaged"}]
    lines = [{**item, "quantity": 1, **shop.random.choice(damaged)} for item in shop.some_items(site, 2)]
    return [("return-received", {"site_id": site, "reference_id": shop.name("blind"), "lines": lines})]


def _restock(shop: Shop) -> list[Made]:
    site = shop.random.choice(shop.sites)
    lines = [{**item, "quantity": shop.random.randint(2, 12)} for item in shop.some_items(site, 4)]
    return [("restock", {"site_id": site, "reference_id": shop.name("restock"), "lines": lines})]


def _adjust(shop: Shop) -> list[Made]:
    site, random = shop.random.choice(shop.sites), shop.random
    kind = random.choice(("adjustment", "damage", "expired", "sale", "sold", "restock", "received", "return"))
    sign = random.choice((1, -1)) if kind == "adjustment" else 1
    lines = [{**item, "quantity": sign * random.randint(1, 3)} for item in shop.some_items(site, 3)]
    value = {"site_id": site, "reference_id": shop.name("adjust"), "type": kind, "lines": lines}
    return [("stock-adjustment", value if random.random() < 0.5 else {**value, "actor": "a person", "atomic": True})]


def _adjust_partly(shop: Shop) -> list[Made]:
    site = shop.random.choice(shop.sites)
    lines = [{**item, "quantity": 1} for item in shop.items[site][1:3]]
    lines.append({**shop.items[site][3], "quantity": NEVER})
    value = {"site_id": site, "reference_id": shop.name("partly"), "type": "damage", "atomic": False}
    return [("stock-adjustment", {**value, "lines": lines})]


def _adjust_another_version(shop: Shop) -> list[Made]:
    site = shop.random.choice(shop.sites)
    line = {**shop.items[site][1], "quantity": 1, "expected_version": NEVER}
    value = {"site_id": site, "reference_id": shop.name("version"), "type": "restock"}
    return [("stock-adjustment", {**value, "lines": [line]})]


def _conflict(shop: Shop) -> list[Made]:
    """Two meanings under one reference."""
    ((topic, value),) = _restock(shop)
    other = {**value, "lines": [{**line, "quantity": line["quantity"] + 1} for line in value["lines"]]}
    return [(topic, value), (topic, other)]


def _about(shop: Shop, topic: str, quantity: int | None) -> Made:
    """A command about one or two lines of an order, named by line_id or, where that is enough, by their item."""
    order = shop.an_order()
    lines = []
    for name, item, _ in shop.random.sample(order.lines, min(len(order.lines), shop.random.randint(1, 2))):
        alone = not order.amended and [each for _, each, _ in order.lines].count(item) == 1
        named = item if alone and shop.random.random() < 0.2 else {"line_id": name}
        lines.append({**named} if quantity is None else {**named, "quantity": quantity})
    value = {"site_id": order.site, "order_id": order.name, "reference_id": shop.name(topic)}
    return topic, {**value, "lines": lines}


MAKERS: Final[dict[Callable[[Shop], list[Made]], int]] = {
    _place: 26,
    _place_too_much: 3,
    _place_again: 3,
    _amend: 4,
    _cancel: 6,
    _fulfil: 5,
    _return: 7,
    _too_much: 4,
    _unknown_line: 2,
    _cancel_whole: 4,
    _cancel_before: 2,
    _early: 3,
    _ghost: 2,
    _blind_return: 4,
    _restock: 12,
    _adjust: 12,
    _adjust_partly: 2,
    _adjust_another_version: 2,
    _conflict: 2,
}
"""How often each is made, relative to the others."""


# ---------------------------------------------------------------- values to records


def _record(random: Random, made: Made, *, large: bool) -> Sent:
    topic, value = made
    padded = {**value, "nobody_knows": "x" * 900_000} if large else value
    key = random.choice((None, value["site_id"].encode(), str(value.get("order_id", "")).encode(), b"\xff\x00"))
    return Sent(topic, key, json.dumps(padded).encode(), _headers(random))


def _headers(random: Random) -> Headers:
    """Mostly none; sometimes CloudEvents, a trace, or what cannot be read, which is no reason to refuse a value."""
    odd: tuple[Headers, ...] = (
        (("ce_id", b"1"), ("ce_time", b"2026-01-01T00:00:00Z"), ("ce_type", b"shop.order.v1")),
        (("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),),
        (("content-type", None), ("ce_time", b"\xff\xfe")),
        (("ce_time", b"yesterday"), ("traceparent", b"nonsense")),
    )
    return random.choice(odd) if random.random() < 0.2 else ()


def _again(random: Random, record: Sent, made: list[Made]) -> Sent:
    """The same command once more: byte by byte, or said otherwise with the same meaning."""
    if random.random() < 0.5 or record.value is None or len(record.value) > 100_000:
        return record
    value = json.loads(record.value)
    said = dict(random.sample(sorted(value.items()), len(value)))
    said |= {"site_id": value["site_id"].upper(), "actor": "somebody else", "note": None, "nobody_knows": [len(made)]}
    return record._replace(value=json.dumps(said, indent=1).encode(), headers=_headers(random))
