"""What the demo's shops send. Law: the n-th message is the same in every run, and no figure comes from here.

Three sites sell two dozen articles each. Most of it is a day's trade; some is what really happens to a topic: sent
twice, sent under a reference that is taken, out of order, wrong, or no JSON at all.
"""

import json
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from uuid import NAMESPACE_URL, uuid5

from stock_worker.core import topics

SEED: Final = 20_260_701
CITIES: Final = ("Lisbon", "Kraków", "Oslo")
GOODS: Final = ("kettle", "teapot", "mug", "grinder", "scale", "filter", "beans 1 kg", "jug")
COLOURS: Final = (None, "black", "white")

_RECENT_MAX: Final = 400
_LATER_MAX: Final = 60
"""Messages that are sent before those they build on: the gap between the two, at most."""
_FIRST_STOCK: Final = 15
_MISTAKEN: Final = 0.03
_CROWN: Final = 1.1
"""The exponent of how popular articles are: a few sell most."""


class Sent(NamedTuple):
    """One record to send: command topic without prefix, key and value."""

    topic: str
    key: bytes
    value: bytes


class Article(NamedTuple):
    """What a site sells."""

    product_id: str
    variant_id: str | None
    name: str


@dataclass(slots=True)
class Order:
    """An order as the shop remembers it: its lines by line_id, and how much of each has left."""

    order_id: str
    lines: list[dict[str, Any]]
    left: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Site:
    """One shop and its open orders."""

    city: str
    site_id: str
    articles: list[Article]
    orders: deque[Order] = field(default_factory=lambda: deque(maxlen=_RECENT_MAX))


class Shops:
    """All sites, and the one stream of messages that they send."""

    def __init__(self, seed: int = SEED) -> None:
        self._draw = random.Random(seed)  # noqa: S311 - the same trade in every run is what is wanted
        self.sites = [_site(city) for city in CITIES]
        self._weights = [1 / (rank**_CROWN) for rank in range(1, len(self.sites[0].articles) + 1)]
        self._number = 0
        self._recent: deque[Sent] = deque(maxlen=_RECENT_MAX)
        self._later: list[tuple[int, Sent]] = []
        self._kinds: list[Callable[[Site], Sent]] = [kind for kind, _ in self._trade()]
        self._shares = [share for _, share in self._trade()]

    def names(self) -> dict[tuple[str, str | None], str]:
        """Give every article's name, by site and product and variant as event keys have them."""
        return {
            (f"{site.site_id}/{article.product_id}", article.variant_id): f"{article.name}, {site.city}"
            for site in self.sites
            for article in site.articles
        }

    def opening(self) -> list[Sent]:
        """Make the messages that fill the shelves, before anybody orders."""
        return [self._first_stock(site) for site in self.sites]

    def next(self) -> Sent:
        """Make the next message of the day."""
        self._number += 1
        if self._later and self._later[0][0] <= self._number:
            return self._later.pop(0)[1]
        site = self._draw.choice(self.sites)
        (kind,) = self._draw.choices(self._kinds, self._shares)
        sent = kind(site)
        self._recent.append(sent)
        return sent

    def _trade(self) -> list[tuple[Callable[[Site], Sent], float]]:
        """Which messages there are, and how often of a hundred."""
        return [
            (self._place, 53.0),
            (self._fulfil, 20.0),
            (self._restock, 4.0),
            (self._return, 6.0),
            (self._cancel_lines, 3.0),
            (self._cancel_whole, 2.0),
            (self._adjust, 4.0),
            (self._adjust_line_by_line, 1.0),
            (self._amend, 1.0),
            (self._send_again, 3.0),
            (self._reuse_reference, 0.5),
            (self._place_again, 0.5),
            (self._before_its_order, 1.0),
            (self._poison, 1.0),
        ]

    # ------------------------------------------------------------ a day's trade

    def _first_stock(self, site: Site) -> Sent:
        lines = [_line(article, quantity=_FIRST_STOCK, unit_cost="4.20", currency="EUR") for article in site.articles]
        return _sent(topics.RESTOCK, site, f"opening-{site.city}", reference_id=f"opening-{site.city}", lines=lines)

    def _restock(self, site: Site) -> Sent:
        lines = [
            _line(article, quantity=self._draw.randint(6, 24), unit_cost="4.35", currency="EUR")
            for article in self._articles(site, 3)
        ]
        reference = f"po-{self._number}"
        return _sent(topics.RESTOCK, site, reference, reference_id=reference, lines=lines)

    def _new_order(self, site: Site) -> Order:
        lines = [
            _line(article, quantity=self._draw.choice((1, 1, 1, 2, 3)), line_id=str(position))
            for position, article in enumerate(self._articles(site, self._draw.randint(1, 4)), 1)
        ]
        return Order(f"order-{self._number}", lines, {line["line_id"]: line["quantity"] for line in lines})

    def _place(self, site: Site) -> Sent:
        order = self._new_order(site)
        site.orders.append(order)
        return _sent(topics.ORDER_PLACED, site, order.order_id, order_id=order.order_id, lines=order.lines)

    def _amend(self, site: Site) -> Sent:
        order = self._order(site)
        (article,) = self._articles(site, 1)
        line = _line(article, quantity=1, line_id=f"added-{self._number}")
        return _sent(
            topics.ORDER_PLACED,
            site,
            order.order_id,
            order_id=order.order_id,
            reference_id=f"amend-{self._number}",
            amend=True,
            lines=[line],
        )

    def _fulfil(self, site: Site) -> Sent:
        waiting = [order for order in site.orders if any(order.left.values())]
        # Now and then one that has left already: the service has to say that there was no more of it.
        order = self._draw.choice(waiting) if waiting and self._draw.random() > _MISTAKEN else self._order(site)
        lines = [{"line_id": name, "quantity": left} for name, left in order.left.items() if left]
        order.left = dict.fromkeys(order.left, 0)
        lines = lines or [{"line_id": next(iter(order.left)), "quantity": 1}]
        reference = f"parcel-{self._number}"
        return _sent(
            topics.ORDER_FULFILLED, site, order.order_id, reference_id=reference, order_id=order.order_id, lines=lines
        )

    def _cancel_lines(self, site: Site) -> Sent:
        order = self._order(site)
        lines = [{"line_id": self._draw.choice(list(order.left))}]
        reference = f"cancel-{self._number}"
        return _sent(
            topics.ORDER_CANCELLED, site, order.order_id, reference_id=reference, order_id=order.order_id, lines=lines
        )

    def _cancel_whole(self, site: Site) -> Sent:
        order = self._order(site)
        return _sent(topics.ORDER_CANCELLED, site, order.order_id, order_id=order.order_id)

    def _return(self, site: Site) -> Sent:
        reference = f"return-{self._number}"
        condition = self._draw.choice(("sellable", "sellable", "damaged"))
        if self._draw.random() < 0.2:  # noqa: PLR2004 - a fifth comes back without its order's number
            (article,) = self._articles(site, 1)
            lines = [_line(article, quantity=1, condition=condition)]
            return _sent(topics.RETURN_RECEIVED, site, reference, reference_id=reference, lines=lines)
        order = self._order(site)
        lines = [{"line_id": self._draw.choice(list(order.left)), "quantity": 1, "condition": condition}]
        return _sent(
            topics.RETURN_RECEIVED, site, order.order_id, reference_id=reference, order_id=order.order_id, lines=lines
        )

    def _adjust(self, site: Site) -> Sent:
        (article,) = self._articles(site, 1)
        kind, quantity = self._draw.choice((("damage", 1), ("expired", 2), ("adjustment", -3), ("adjustment", 4)))
        reference = f"shelf-{self._number}"
        return _sent(
            topics.STOCK_ADJUSTMENT,
            site,
            reference,
            reference_id=reference,
            type=kind,
            actor="shelf team",
            lines=[_line(article, quantity=quantity)],
        )

    def _adjust_line_by_line(self, site: Site) -> Sent:
        """A sale at the till, line by line: what is there is sold, what is not is refused."""
        first, second = self._articles(site, 2)
        reference = f"till-{self._number}"
        lines = [_line(first, quantity=1), _line(second, quantity=500)]
        return _sent(
            topics.STOCK_ADJUSTMENT, site, reference, reference_id=reference, type="sale", atomic=False, lines=lines
        )

    # ------------------------------------------------------------ what happens besides

    def _send_again(self, site: Site) -> Sent:
        return self._draw.choice(self._recent) if self._recent else self._place(site)

    def _reuse_reference(self, site: Site) -> Sent:
        """A reference that is taken, with another meaning."""
        reference = f"opening-{site.city}"
        (article,) = self._articles(site, 1)
        lines = [_line(article, quantity=self._number)]
        return _sent(topics.RESTOCK, site, reference, reference_id=reference, lines=lines)

    def _place_again(self, site: Site) -> Sent:
        """An order that is placed, placed again under a reference of its own."""
        order = self._order(site)
        reference = f"again-{self._number}"
        return _sent(
            topics.ORDER_PLACED,
            site,
            order.order_id,
            order_id=order.order_id,
            reference_id=reference,
            lines=order.lines,
        )

    def _before_its_order(self, site: Site) -> Sent:
        """A fulfilment or a cancellation that overtakes its order, which comes a little later."""
        order = self._new_order(site)
        placed = _sent(topics.ORDER_PLACED, site, order.order_id, order_id=order.order_id, lines=order.lines)
        self._later.append((self._number + self._draw.randint(1, _LATER_MAX), placed))
        self._later.sort(key=lambda entry: entry[0])
        if self._draw.random() < 0.5:  # noqa: PLR2004 - either is as likely
            return _sent(topics.ORDER_CANCELLED, site, order.order_id, order_id=order.order_id)
        lines = [{"line_id": "1", "quantity": order.left["1"]}]
        reference = f"parcel-{self._number}"
        return _sent(
            topics.ORDER_FULFILLED, site, order.order_id, reference_id=reference, order_id=order.order_id, lines=lines
        )

    def _poison(self, site: Site) -> Sent:
        (article,) = self._articles(site, 1)
        good = {"site_id": site.site_id, "order_id": f"order-{self._number}", "lines": [_line(article, quantity=1)]}
        key = f"{site.site_id}/order-{self._number}".encode()
        count = {
            "site_id": site.site_id,
            "reference_id": f"count-{self._number}",
            "lines": [_line(article, counted=-7)],
        }
        return self._draw.choice(
            (
                Sent(topics.ORDER_PLACED, key, b"\x00\xff not JSON"),
                Sent(topics.ORDER_PLACED, key, _bytes({**good, "lines": []})),
                Sent(topics.ORDER_PLACED, key, _bytes({**good, "order_id": "a\u0000b"})),
                Sent(topics.RESTOCK, key, _bytes({**good, "reference_id": 7})),
                Sent(topics.STOCK_COUNT, key, _bytes(count)),
            )
        )

    # ------------------------------------------------------------ drawing

    def _articles(self, site: Site, count: int) -> list[Article]:
        """Draw different articles, the popular ones more often."""
        drawn: dict[Article, None] = {}
        while len(drawn) < count:
            drawn |= dict.fromkeys(self._draw.choices(site.articles, self._weights))
        return list(drawn)

    def _order(self, site: Site) -> Order:
        """Draw a recent order; the first one of a shop is placed by nobody, and what follows it is parked."""
        if not site.orders:
            site.orders.append(self._new_order(site))
        return self._draw.choice(site.orders)


def _site(city: str) -> Site:
    site_id = str(uuid5(NAMESPACE_URL, f"https://demo.example/{city}"))
    articles = []
    for goods in GOODS:
        product_id = str(uuid5(NAMESPACE_URL, f"https://demo.example/{city}/{goods}"))
        for colour in COLOURS:
            variant_id = str(uuid5(NAMESPACE_URL, f"https://demo.example/{city}/{goods}/{colour}")) if colour else None
            articles.append(Article(product_id, variant_id, f"{goods} {colour}" if colour else goods))
    return Site(city, site_id, articles)


def _line(article: Article, **more: object) -> dict[str, Any]:
    variant = {"variant_id": article.variant_id} if article.variant_id else {}
    return {"product_id": article.product_id, **variant, **more}


def _sent(topic: str, site: Site, subject: str, **message: object) -> Sent:
    return Sent(topic, f"{site.site_id}/{subject}".encode(), _bytes({"site_id": site.site_id, **message}))


def _bytes(message: dict[str, Any]) -> bytes:
    return json.dumps(message, ensure_ascii=False).encode()
