"""A month of the demo's shop. Law: the worker's own write path decides it, at the moments that it is given as clock.

Nothing is written here but through `handle_batch` and the steering that the API has: whatever stands in the ledger in
the end was decided as any command is, and a shop in a test and the demo's are the same. What is drawn is the same in
every run; so is what becomes of it.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import product
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from stock_worker.cli.demo.catalogue import CURRENCY, Article, articles
from stock_worker.cli.terminal import Unfit
from stock_worker.core import topics
from stock_worker.core.ids import default_location_id
from stock_worker.core.model import Entry, Malformed, Outcome, OutcomeKind, Record, Source
from stock_worker.handle import Policy, handle_batch
from stock_worker.store.steering import locations, rules, settings
from stock_worker.store.steering.refused import Refused
from stock_worker.wire.decode import command_of, decode

if TYPE_CHECKING:
    from asyncpg import Connection

DAYS: Final = 30
SEED: Final = 20_260_801
TIME_ZONE: Final = "Europe/Lisbon"

_SOURCE: Final = Source("cli")
_HOURS: Final = (7, 11, 15, 19)
"""When something happens on a day, within the hour: parcels leave and goods come in, then there are orders, and in the
end the shop's own work."""
_ORDERS_AT_ONCE: Final = 4
_CROWN: Final = 1.0
"""The exponent of how popular articles are: a few sell most."""
_WAREHOUSE_WORTH: Final = 600
"""In CURRENCY at price: what a full shelf of one article holds, within the next two."""
_SHELF_MIN: Final = 8
_SHELF_MAX: Final = 90
_DEAR: Final = 60
"""Of what costs so much or more a few are kept, and its rule says so."""
_PEOPLE: Final = ("Inês", "Tomás", "Beatriz")
_WHY_DAMAGED: Final = ("Dropped", "Broken in transit", "Water damage", "Torn seam")
_WHY_HELD: Final = ("Kept for a customer", "Photo shoot", "Shop window")


class Message(NamedTuple):
    """A command: its topic, and what it says but for the site."""

    topic: str
    document: Mapping[str, Any]


@dataclass(slots=True)
class _Placed:
    """An order that was taken, and that has yet to leave: what it holds, by line."""

    order_id: str
    lines: list[dict[str, Any]]


@dataclass
class Shop:
    """The shop: what it knows of its stock, and what it does next."""

    site_id: str
    _draw: random.Random = field(default_factory=lambda: random.Random(SEED))  # noqa: S311 - the same in every run
    _articles: list[Article] = field(default_factory=articles)
    _available: dict[tuple[str, str | None], int] = field(default_factory=dict)
    _in_warehouse: dict[tuple[str, str | None], int] = field(default_factory=dict)
    _open: list[_Placed] = field(default_factory=list)
    _number: int = 1_000

    def __post_init__(self) -> None:
        """Draw what is popular, and whose supplier will let the shop down."""
        self._articles = self._draw.sample(self._articles, len(self._articles))
        self._weights = [1 / (rank**_CROWN) for rank in range(1, len(self._articles) + 1)]
        self._let_down = {_key(article) for article in self._articles[1::5]}

    async def lay(self, connection: "Connection", now: datetime, policy: Policy) -> None:
        """Open the shop on the day that was DAYS before `now`, and trade until five minutes before it.

        `connection` acts as the worker; the site has no stock yet. Raises Unfit where the shop cannot be set up.
        """
        begin = (now - timedelta(days=DAYS)).replace(hour=0, minute=0, second=0, microsecond=0)
        store_id = await self._steer(connection)
        announced = [_announcement(self.site_id, article, begin) for article in self._articles]
        await handle_batch(connection, announced, policy, clock=begin)
        await self._book(connection, policy, begin + timedelta(hours=1), self._opening(store_id))
        for day, hour in product(range(DAYS + 1), _HOURS):
            moment = begin + timedelta(days=day, hours=hour, seconds=self._draw.randint(0, 3_000))
            if moment > now - timedelta(minutes=10):
                break
            await self._book(connection, policy, moment, self._happening(day, hour, store_id))
        await self._book(connection, policy, now - timedelta(minutes=5), self._orders())

    def next(self) -> Message:
        """Give what comes next at a shop that is open: mostly an order, now and then a delivery."""
        if self._draw.random() < 0.1:  # noqa: PLR2004 - as much comes in as goes out
            return self._delivery([self._popular(1)[0]], 20)
        return self._order(mode="sale")

    # ------------------------------------------------------------ setting up

    async def _steer(self, connection: "Connection") -> str:
        """Set the site, its locations and rules. Returns the id of the store, which is beside the warehouse."""
        asked: list[object] = [
            await settings.change(connection, self.site_id, {"timezone": TIME_ZONE, "currency": CURRENCY})
        ]
        store = await locations.create(
            connection, self.site_id, {"code": "CHIADO", "name": "Chiado store", "type": "store", "city": "Lisboa"}
        )
        warehouse = {"code": "WAREHOUSE", "name": "Warehouse", "city": "Setúbal"}
        asked += [
            store,
            await locations.change(connection, self.site_id, default_location_id(self.site_id), warehouse),
            await rules.change(connection, rules.Scope(self.site_id), {"reorder_point": 12, "reorder_quantity": 24}),
        ]
        few = {"low_stock_threshold": 3, "critical_stock_threshold": 1, "reorder_point": 4, "reorder_quantity": 6}
        for product_id in dict.fromkeys(each.product_id for each in self._articles if each.price >= _DEAR):
            asked.append(await rules.change(connection, rules.Scope(self.site_id, product_id), few))
        if (refused := next((one for one in asked if isinstance(one, Refused)), None)) is not None:
            raise Unfit(f"the demo's shop could not be set up: {refused}")
        assert isinstance(store, locations.Location)
        return store.location_id

    def _opening(self, store_id: str) -> list[Message]:
        """Fill the shelves of the warehouse, and some of the store's."""
        goods = [each for each in self._articles if each.is_tracked]
        filled = [self._delivery(goods[at : at + 60], None) for at in range(0, len(goods), 60)]
        return [*filled, self._transfer(store_id, goods[:40])]

    # ------------------------------------------------------------ what happens

    def _happening(self, day: int, hour: int, store_id: str) -> list[Message]:
        """What happens on a day at one of _HOURS."""
        if hour == _HOURS[0]:
            return [*self._parcels(), *self._deliveries(day)]
        return self._orders() + (self._work(day, store_id) if hour == _HOURS[-1] else [])

    def _orders(self) -> list[Message]:
        return [self._order() for _ in range(self._draw.randint(1, 2 * _ORDERS_AT_ONCE - 1))]

    def _order(self, mode: str = "reserve") -> Message:
        self._number += 1
        lines = [
            {**article.ids, "quantity": self._draw.choice((1, 1, 1, 2, 2, 3)), "line_id": str(position)}
            for position, article in enumerate(self._popular(self._draw.choice((1, 1, 2, 2, 3))), 1)
        ]
        return Message(topics.ORDER_PLACED, {"order_id": f"S{self._number}", "mode": mode, "lines": lines})

    def _parcels(self) -> list[Message]:
        """Send off what was ordered; one order in nine stays for a day more."""
        leaving = [order for order in self._open if self._draw.random() > 1 / 9]
        self._open = [order for order in self._open if order not in leaving]
        sent: list[Message] = []
        for order in leaving:
            parcel = {"order_id": order.order_id, "reference_id": f"parcel-{order.order_id}", "lines": order.lines}
            sent.append(Message(topics.ORDER_FULFILLED, parcel))
            if self._draw.random() < 0.05:  # noqa: PLR2004 - one in twenty comes back, some of it damaged
                back = {**order.lines[0], "quantity": 1, "condition": self._draw.choice(("sellable", "damaged"))}
                reference = f"return-{order.order_id}"
                returned = {"order_id": order.order_id, "reference_id": reference, "lines": [back]}
                sent.append(Message(topics.RETURN_RECEIVED, returned))
        return sent

    def _deliveries(self, day: int) -> list[Message]:
        """Order again, twice a week, what runs short; what a supplier does not send runs out."""
        if day % 4 != 3:  # noqa: PLR2004 - see above
            return []
        short = [
            article
            for article in self._articles
            if self._available.get(_key(article), _shelf(article)) * 2 < _shelf(article)
            and _key(article) not in self._let_down
        ]
        return [self._delivery(short, None)] if short else []

    def _work(self, day: int, store_id: str) -> list[Message]:
        """What the shop's own people do on a day."""
        found: list[Message] = []
        (article,) = self._popular(1)
        if day % 3 == 0:
            found.append(self._adjustment("damage", article, 1, self._draw.choice(_WHY_DAMAGED)))
        if day % 7 == 4:  # noqa: PLR2004 - once a week
            pantry = [each for each in self._articles if each.category == "Pantry"]
            found.append(self._adjustment("expired", self._draw.choice(pantry), 2, "Past its date"))
        if day % 6 == 5:  # noqa: PLR2004 - now and then
            found.append(self._adjustment("reserved", article, 1, self._draw.choice(_WHY_HELD)))
        if day % 7 == 6:  # noqa: PLR2004 - at the end of a week
            found += [self._transfer(store_id, self._popular(8)), self._count(self._draw.sample(self._articles, 6))]
        return found

    def _delivery(self, goods: Sequence[Article], quantity: int | None) -> Message:
        """Have goods come in: so many of each, or as many as its shelf takes."""
        lines = [
            {
                **article.ids,
                "quantity": quantity or self._missing(article),
                "unit_cost": str(article.cost),
                "currency": CURRENCY,
            }
            for article in goods
        ]
        self._number += 1
        return Message(topics.RESTOCK, {"reference_id": f"PO-{self._number}", "reason": "Delivery", "lines": lines})

    def _missing(self, article: Article) -> int:
        """How many fill its shelf; what will come no more is nearly gone when the month begins."""
        if _key(article) in self._let_down:
            return max(2, _shelf(article) // 4)
        return max(1, _shelf(article) - self._available.get(_key(article), 0))

    def _transfer(self, store_id: str, goods: Iterable[Article]) -> Message:
        there = {_key(article): self._in_warehouse.get(_key(article), _shelf(article)) for article in goods}
        self._number += 1
        moved = {
            "reference_id": f"transfer-{self._number}",
            "from_location_id": default_location_id(self.site_id),
            "to_location_id": store_id,
            "actor": self._draw.choice(_PEOPLE),
            "lines": [_line(key, quantity=units // 4) for key, units in there.items() if units >= _SHELF_MIN],
        }
        return Message(topics.STOCK_TRANSFER, moved)

    def _count(self, goods: Iterable[Article]) -> Message:
        """Count some shelves of the warehouse: now and then one is missing, or one more is found."""
        warehouse = default_location_id(self.site_id)
        lines = [
            _line(key, counted=max(0, units + self._draw.choice((0, 0, 0, -1, 1))), location_id=warehouse)
            for article in goods
            if (units := self._in_warehouse.get(key := _key(article))) is not None
        ]
        self._number += 1
        counted = {"reference_id": f"count-{self._number}", "reason": "Weekly count", "lines": lines}
        return Message(topics.STOCK_COUNT, {**counted, "actor": self._draw.choice(_PEOPLE)})

    def _adjustment(self, kind: str, article: Article, quantity: int, reason: str) -> Message:
        self._number += 1
        about = {"reference_id": f"shelf-{self._number}", "reason": reason, "actor": self._draw.choice(_PEOPLE)}
        return Message(
            topics.STOCK_ADJUSTMENT, {**about, "type": kind, "lines": [{**article.ids, "quantity": quantity}]}
        )

    # ------------------------------------------------------------ drawing and booking

    def _popular(self, count: int) -> list[Article]:
        """Draw different articles, the popular ones more often."""
        drawn: dict[Article, None] = {}
        while len(drawn) < count:
            drawn |= dict.fromkeys(self._draw.choices(self._articles, self._weights))
        return list(drawn)

    async def _book(self, connection: "Connection", policy: Policy, at: datetime, messages: Iterable[Message]) -> None:
        """Have a batch decided at a moment, and learn what became of it."""
        batch = [(message, self._read(message, at)) for message in messages if message.document["lines"]]
        outcomes = await handle_batch(connection, [entry for _, entry in batch], policy, clock=at)
        for (message, _), outcome in zip(batch, outcomes, strict=True):
            self._learn(message, outcome)

    def _read(self, message: Message, at: datetime) -> Entry:
        command = command_of({"site_id": self.site_id, **message.document}, message.topic, _SOURCE, at)
        assert not isinstance(command, str), command
        return command

    def _learn(self, message: Message, outcome: Outcome) -> None:
        """Note what there is now; an order that was refused will not leave."""
        for row in outcome.movements:
            key = (row.item.product_id, row.item.variant_id)
            self._available[key] = row.new_stock
            if row.location_id == default_location_id(self.site_id):
                self._in_warehouse[key] = row.location_on_hand
        if message.topic == topics.ORDER_PLACED and outcome.kind is OutcomeKind.APPLIED:
            lines = [{"line_id": line["line_id"], "quantity": line["quantity"]} for line in message.document["lines"]]
            self._open.append(_Placed(message.document["order_id"], lines))


def _announcement(site_id: str, article: Article, at: datetime) -> Entry:
    """Have the catalog tell of an article."""
    key = f"{site_id}/{article.product_id}/{article.variant_id or ''}".encode()
    value = orjson.dumps({"site_id": site_id, **article.announced})
    record = Record(topics.PRODUCT_CHANGED, 0, 0, int(at.timestamp() * 1000), key, value, ())
    entry = decode(record, topics.PRODUCT_CHANGED)
    assert not isinstance(entry, Malformed), entry.detail
    return entry


def _shelf(article: Article) -> int:
    """How many of an article the warehouse has when its shelf is full."""
    return max(_SHELF_MIN, min(_SHELF_MAX, int(_WAREHOUSE_WORTH / article.price)))


def _key(article: Article) -> tuple[str, str | None]:
    return article.product_id, article.variant_id


def _line(key: tuple[str, str | None], **more: object) -> dict[str, object]:
    product_id, variant_id = key
    return {"product_id": product_id, **({"variant_id": variant_id} if variant_id else {}), **more}
