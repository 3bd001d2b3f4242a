"""One maker a kind of command. Law: what a command will come to is not decided here; topics have no order among them.

The mix only sees to it that most commands can move stock, and that every outcome and refusal has its share.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

from tests.oracle.shop import ARCHIVED, LOOSE, NEVER, UNTRACKED, Order, Shop, places_in_use
from tests.oracle.steering import MOVING, NOWHERE, PLAIN, default_of, place_of

Made = tuple[str, dict[str, Any]]

ABOUT_ORDERS: Final = ("order-cancelled", "order-fulfilled", "return-received")
COSTS: Final[tuple[dict[str, str], ...]] = (
    {},
    {},
    {"unit_cost": "2.50"},
    {"unit_cost": "0.333333"},
    {"unit_cost": "4", "currency": "EUR"},
    {"unit_cost": "9.99", "currency": "USD"},
)


def first_stock(shop: Shop) -> Iterator[Made]:
    """What the catalog says, and something of everything, so that orders can be met; it opens the locations.

    Little of some items, so that levels change. What comes to the closed location leaves it again.
    """
    for number, site in enumerate(shop.sites):
        if number % 3 != PLAIN:
            yield from _first_news(shop, site)
        for each, item in enumerate(shop.items[site]):
            place = {} if number % 3 == PLAIN else {"location_id": places_in_use(site)[each % 3]}
            line = {**item, **place, "quantity": 15 if each % 4 == 0 else 500, "unit_cost": "2.50"}
            yield "restock", {"site_id": site, "reference_id": shop.name("first"), "lines": [line]}
        if number % 3 != PLAIN:
            there = {**shop.items[site][1], "location_id": place_of(site, "closed"), "quantity": 1}
            told = {"site_id": site, "lines": [there]}
            yield "restock", {**told, "reference_id": shop.name("first")}
            yield "stock-adjustment", {**told, "reference_id": shop.name("first"), "type": "damage"}


def _first_news(shop: Shop, site: str) -> Iterator[Made]:
    said: dict[int, dict[str, Any]] = {UNTRACKED: {"track_inventory": False}, ARCHIVED: {"status": "archived"}}
    for number, news in said.items():
        told = {"name": shop.name("first"), "status": "active", **news, "revision": 1}
        yield "product-changed", {"site_id": site, **shop.items[site][number], **told}


# ---------------------------------------------------------------- orders


def _place(shop: Shop) -> list[Made]:
    return [_placement(shop)]


def _placement(shop: Shop, **more: str) -> Made:
    random = shop.random
    site, name = random.choice(shop.sites), shop.name("O")
    chosen = [(item, random.randint(1, 4)) for item in shop.some_items(site, 3)]
    explicit = random.random() < 0.3
    lines = [{**item, "quantity": many, **_from_where(shop, site)} for item, many in chosen]
    if explicit:
        lines = [{**line, "line_id": f"L{number}"} for number, line in enumerate(lines)]
    named = [f"L{number}" if explicit else str(number + 1) for number in range(len(lines))]
    order = Order(site, name, [(each, *pair) for each, pair in zip(named, chosen, strict=True)])
    order.reserves = more.get("mode") == "reserve"
    shop.orders.append(order)
    return "order-placed", {"site_id": site, "order_id": name, "lines": lines, **more}


def _from_where(shop: Shop, site: str) -> dict[str, Any]:
    """From a location, from wherever there is some, or from a set of locations."""
    if shop.is_plain(site) or shop.random.random() > 0.1:
        return shop.a_place(site, 0.3)
    return {"location_ids": shop.random.sample(places_in_use(site), shop.random.randint(1, 2))}


def _reserve(shop: Shop) -> list[Made]:
    """A reservation: without an end, with one in a month, or with one while the workload is sent."""
    ends = shop.random.choice(({}, {"expires_at": "2199-01-01T00:00:00Z"}, {"expires_at": shop.in_time(0.05, 0.9)}))
    return [_placement(shop, mode="reserve", **ends)]


def _reserve_late(shop: Shop) -> list[Made]:
    return [_placement(shop, mode="reserve", expires_at=shop.in_time(-1.0, -0.5))]


def _place_too_much(shop: Shop) -> list[Made]:
    site = shop.random.choice(shop.sites)
    lines = [{**item, "quantity": many} for item, many in zip(shop.some_items(site, 3), (NEVER, 1, 1), strict=False)]
    mode = shop.random.choice(({}, {"mode": "reserve"}))
    return [("order-placed", {"site_id": site, "order_id": shop.name("X"), "lines": lines, **mode})]


def _place_again(shop: Shop) -> list[Made]:
    """The same lines under another reference: refused, or superseded where the order was cancelled meanwhile."""
    order = shop.an_order()
    lines = [{**item, "line_id": name, "quantity": many} for name, item, many in order.lines if name[0] != "A"]
    mode = {"mode": "reserve"} if order.reserves else {}
    told = {"site_id": order.site, "order_id": order.name, "reference_id": shop.name("again"), "lines": lines}
    return [("order-placed", {**told, **mode})]


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
    more = shop.random.choice(({}, {}, {"mode": "reserve", "expires_at": shop.in_time(0.3, 0.95)}))
    return [("order-placed", {**value, **more, "lines": lines})]


def _prolong(shop: Shop) -> list[Made]:
    """Another end for an order's reservations, sooner or later."""
    order = shop.an_order()
    value = {"site_id": order.site, "order_id": order.name, "reference_id": shop.name("prolong"), "amend": True}
    return [("order-placed", {**value, "mode": "reserve", "expires_at": shop.in_time(0.3, 0.95), "lines": []})]


def _cancel(shop: Shop) -> list[Made]:
    return [_about(shop, "order-cancelled", shop.random.choice((1, 1, 2, None)))]


def _fulfil(shop: Shop) -> list[Made]:
    topic, value = _about(shop, "order-fulfilled", shop.random.choice((1, 1, 2)))
    for line in value["lines"]:
        line.update(shop.a_place(value["site_id"], 0.3))
    return [(topic, value)]


def _return(shop: Shop) -> list[Made]:
    topic, value = _about(shop, "return-received", 1)
    for line in value["lines"]:
        line["condition"] = shop.random.choice(("sellable", "sellable", "damaged"))
        line.update(shop.a_place(value["site_id"], 0.3))
    return [(topic, value)]


def _too_much(shop: Shop) -> list[Made]:
    return [_about(shop, shop.random.choice(ABOUT_ORDERS), NEVER)]


def _unknown_line(shop: Shop) -> list[Made]:
    topic, value = _about(shop, shop.random.choice(ABOUT_ORDERS), 1)
    return [(topic, {**value, "lines": [*value["lines"], {"line_id": "nobody's", "quantity": 1}]})]


def _cancel_whole(shop: Shop) -> list[Made]:
    order = shop.an_order()
    reference = {} if shop.random.random() < 0.5 else {"reference_id": shop.name("whole")}
    return [("order-cancelled", {"site_id": order.site, "order_id": order.name, **reference})]


def _cancel_before(shop: Shop) -> list[Made]:
    """A tombstone, and the placement that it supersedes."""
    topic, value = _placement(shop, **shop.random.choice(({}, {"mode": "reserve"})))
    return [("order-cancelled", {"site_id": value["site_id"], "order_id": value["order_id"]}), (topic, value)]


def _early(shop: Shop) -> list[Made]:
    """What happens to an order, before the order."""
    placed = _place(shop)
    order = shop.orders.pop()
    name, _, _ = order.lines[0]
    value = {"site_id": order.site, "order_id": order.name, "lines": [{"line_id": name, "quantity": 1}]}
    topic = shop.random.choice(ABOUT_ORDERS)
    shop.orders.append(order)
    return [(topic, {**value, "reference_id": shop.name("early")}), *placed]


def _ghost(shop: Shop) -> list[Made]:
    """About an order that never comes: parked, until it is ended."""
    site, (item,) = shop.sites[0], shop.some_items(shop.sites[0], 1)
    topic = shop.random.choice((*ABOUT_ORDERS, "return-received"))
    line = {**item, "quantity": 1} if topic == "return-received" else {"line_id": "1", "quantity": 1}
    return [(topic, {"site_id": site, "order_id": shop.name("G"), "reference_id": shop.name("ghost"), "lines": [line]})]


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


# ---------------------------------------------------------------- stock


def _blind_return(shop: Shop) -> list[Made]:
    damaged = [{}, {"condition": "damaged"}]
    site, lines = _lines(shop, 2)
    lines = [{**line, "quantity": 1, **shop.random.choice(damaged)} for line in lines]
    return [("return-received", {"site_id": site, "reference_id": shop.name("blind"), "lines": lines})]


def _restock(shop: Shop) -> list[Made]:
    site, lines = _lines(shop, 4)
    lines = [{**line, "quantity": shop.random.randint(2, 12), **shop.random.choice(COSTS)} for line in lines]
    return [("restock", {"site_id": site, "reference_id": shop.name("restock"), "lines": lines})]


def _adjust(shop: Shop) -> list[Made]:
    random = shop.random
    kind = random.choice(("adjustment", "damage", "expired", "sale", "sold", "restock", "received", "return"))
    sign = random.choice((1, -1)) if kind == "adjustment" else 1
    site, lines = _lines(shop, 3)
    lines = [{**line, "quantity": sign * random.randint(1, 3)} for line in lines]
    value = {"site_id": site, "reference_id": shop.name("adjust"), "type": kind, "lines": lines}
    return [("stock-adjustment", value if random.random() < 0.5 else {**value, "actor": "a person", "atomic": True})]


def _adjust_partly(shop: Shop) -> list[Made]:
    site = shop.random.choice(shop.sites)
    lines = [{**item, "quantity": 1} for item in (shop.items[site][1], shop.items[site][13])]
    lines.append({**shop.items[site][3], "quantity": NEVER})
    value = {"site_id": site, "reference_id": shop.name("partly"), "type": "damage", "atomic": False}
    return [("stock-adjustment", {**value, "lines": lines})]


def _adjust_another_version(shop: Shop) -> list[Made]:
    site = shop.random.choice(shop.sites)
    line = {**shop.items[site][1], "quantity": 1, "expected_version": NEVER}
    value = {"site_id": site, "reference_id": shop.name("version"), "type": "restock"}
    return [("stock-adjustment", {**value, "lines": [line]})]


def _hold(shop: Shop) -> list[Made]:
    return [_held(shop, "reserved", 4)]


def _release(shop: Shop) -> list[Made]:
    return [_held(shop, "unreserved", 2)]


def _release_too_much(shop: Shop) -> list[Made]:
    return [_held(shop, "unreserved", NEVER)]


def _held(shop: Shop, kind: str, quantity: int) -> Made:
    """Holds are of few items, so that most releases find some."""
    site = shop.random.choice(shop.sites)
    line = {**shop.items[site][shop.random.choice((1, 13, 15))], "quantity": quantity}
    if kind == "reserved":
        line |= shop.a_place(site, 0.5)
    return "stock-adjustment", {"site_id": site, "reference_id": shop.name("hold"), "type": kind, "lines": [line]}


def _count(shop: Shop) -> list[Made]:
    """A count where stock is plenty or little; sometimes of a moment ago, which may be one that has not come."""
    site, lines = _lines(shop, 2)
    counted = []
    for line in {(each["product_id"], each.get("variant_id")): each for each in lines}.values():
        many = shop.random.randint(0, 25) if line == shop.items[site][0] else shop.random.randint(50, 200)
        place = {} if shop.is_plain(site) else {"location_id": shop.random.choice(places_in_use(site))}
        looked = shop.random.choice(({}, {"counted_at_version": shop.random.randint(1, 8)}))
        counted.append({**line, **place, "counted": many, **looked})
    return [("stock-count", {"site_id": site, "reference_id": shop.name("count"), "lines": counted})]


def _count_in_the_future(shop: Shop) -> list[Made]:
    site = shop.random.choice(shop.sites)
    line = {**shop.items[site][1], "location_id": default_of(site), "counted": 9, "counted_at_version": NEVER}
    return [("stock-count", {"site_id": site, "reference_id": shop.name("future"), "lines": [line]})]


def _count_somewhere(shop: Shop) -> list[Made]:
    site = shop.a_wide_site()
    line = {**shop.items[site][1], "counted": 9}
    return [("stock-count", {"site_id": site, "reference_id": shop.name("somewhere"), "lines": [line]})]


def _transfer(shop: Shop) -> list[Made]:
    site = shop.a_wide_site()
    source, target = shop.random.sample(places_in_use(site), 2)
    lines = [{**item, "quantity": shop.random.randint(1, 4)} for item in shop.some_items(site, 2)]
    return [_moved(shop, site, source, target, lines)]


def _transfer_nowhere(shop: Shop) -> list[Made]:
    """To where it is, to where nobody is, or more than there is."""
    site = shop.a_wide_site()
    there = places_in_use(site)[1]
    target, quantity = shop.random.choice(((there, 1), (NOWHERE, 1), (place_of(site, "closed"), 1), (NOWHERE, NEVER)))
    lines = [{**shop.items[site][shop.random.choice((1, 13, 15))], "quantity": quantity}]
    return [_moved(shop, site, there, target, lines)]


def _moved(shop: Shop, site: str, source: str, target: str, lines: list[dict[str, Any]]) -> Made:
    value = {"site_id": site, "reference_id": shop.name("transfer"), "lines": lines}
    return "stock-transfer", {**value, "from_location_id": source, "to_location_id": target}


def _take_from_nowhere(shop: Shop) -> list[Made]:
    """Orders, damage and counts at a location that the site has not, or has no longer in use."""
    site = shop.a_wide_site()
    place = {"location_id": shop.random.choice((NOWHERE, place_of(site, "closed")))}
    told: dict[str, Any] = {"site_id": site, "reference_id": shop.name("nowhere")}
    line = {**shop.items[site][shop.random.choice((1, 13, 15))], **place}
    return [
        shop.random.choice(
            (
                ("order-placed", {**told, "order_id": shop.name("N"), "lines": [{**line, "quantity": 1}]}),
                ("stock-adjustment", {**told, "type": "damage", "lines": [{**line, "quantity": 1}]}),
                ("stock-count", {**told, "lines": [{**line, "counted": 1}]}),
            )
        )
    ]


def _news(shop: Shop) -> list[Made]:
    """What the catalog says of an item; of some items of the site whose rules change it changes what counts."""
    site = shop.random.choice(shop.sites)
    revision = next(shop.numbers) + 2
    number = shop.random.choice((*LOOSE, 13, 15, 17))
    told: dict[str, Any] = {"name": "a thing", "sku": f"S{revision}", "status": "active", "revision": revision}
    if number in LOOSE and shop.sites.index(site) % 3 == MOVING:
        told |= shop.random.choice(({}, {"track_inventory": False}, {"status": "archived"}))
    return [("product-changed", {"site_id": site, **shop.items[site][number], **told})]


def _lines(shop: Shop, most: int) -> tuple[str, list[dict[str, Any]]]:
    """A site, and lines about some of its items, some of them at a location."""
    site = shop.random.choice(shop.sites)
    return site, [{**item, **shop.a_place(site, 0.3)} for item in shop.some_items(site, most)]


def _conflict(shop: Shop) -> list[Made]:
    """Two meanings under one reference."""
    ((topic, value),) = _restock(shop)
    other = {**value, "lines": [{**line, "quantity": line["quantity"] + 1} for line in value["lines"]]}
    return [(topic, value), (topic, other)]


MAKERS: Final[dict[Callable[[Shop], list[Made]], int]] = {
    _place: 22,
    _reserve: 14,
    _reserve_late: 2,
    _place_too_much: 3,
    _place_again: 3,
    _amend: 4,
    _prolong: 2,
    _cancel: 6,
    _fulfil: 8,
    _return: 7,
    _too_much: 4,
    _unknown_line: 2,
    _cancel_whole: 4,
    _cancel_before: 2,
    _early: 3,
    _ghost: 2,
    _blind_return: 4,
    _restock: 14,
    _adjust: 12,
    _adjust_partly: 2,
    _adjust_another_version: 2,
    _hold: 4,
    _release: 4,
    _release_too_much: 2,
    _count: 5,
    _count_in_the_future: 2,
    _count_somewhere: 2,
    _transfer: 5,
    _transfer_nowhere: 5,
    _take_from_nowhere: 6,
    _news: 3,
    _conflict: 2,
}
"""How often each is made, relative to the others."""
