"""One article's day beside the trade, told line by line. Law: each line is written once the database says so.

A shop of its own, with a storeroom and a shop window: the catalog announces a lamp, a rule of the product is set, goods
come in, some are moved, somebody counts, an order reserves and never pays, and its reservation expires. In the end the
lamp is explained: why this number, and why this level.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import NAMESPACE_URL, uuid5

from aiokafka import AIOKafkaProducer

from stock_worker.audit.explain import explain
from stock_worker.cli import kafka
from stock_worker.cli.database import as_worker
from stock_worker.cli.explain import words
from stock_worker.cli.terminal import Unfit
from stock_worker.core import topics
from stock_worker.core.ids import default_location_id
from stock_worker.settings import Settings
from stock_worker.store.steering import locations, rules
from stock_worker.store.steering.refused import Refused

if TYPE_CHECKING:
    from asyncpg import Connection

SITE: Final = str(uuid5(NAMESPACE_URL, "https://demo.example/Reykjavík"))
LAMP: Final = str(uuid5(NAMESPACE_URL, "https://demo.example/Reykjavík/lamp"))
_RESERVED_FOR: Final = timedelta(seconds=3)
_PATIENCE_S: Final = 45.0
_LOOK_EVERY_S: Final = 0.1

_LEVEL: Final = "SELECT level FROM stock.items WHERE site_id = $1 AND product_id = $2 AND version > 0"
_OUTCOME: Final = "SELECT outcome FROM stock.references WHERE site_id = $1 AND type = $2 AND id LIKE $3"
_STOCK: Final = "SELECT on_hand - reserved FROM stock.items WHERE site_id = $1 AND product_id = $2"
_ANNOUNCED: Final = "SELECT name FROM stock.products WHERE site_id = $1 AND product_id = $2"
_EXPIRED_AT: Final = (
    "SELECT max(recorded_at) FROM stock.movements "
    "WHERE site_id = $1 AND reference_type = 'expiry' AND type = 'unreserved'"
)


async def play(settings: Settings) -> list[str]:
    """Play the scenes. Returns what happened, a line each, and the lamp explained. Raises Unfit where one fails."""
    async with as_worker(settings.database_url, "demo") as connection, kafka.producer(settings) as producer:
        return await _Scenes(settings, connection, producer).play()


class _Scenes:
    def __init__(self, settings: Settings, connection: "Connection", producer: AIOKafkaProducer) -> None:
        self._settings, self._connection, self._producer = settings, connection, producer
        self._lines: list[str] = []

    async def play(self) -> list[str]:
        window = await self._steer()
        await self._stock(window)
        await self._reserve()
        async with self._connection.transaction(isolation="repeatable_read", readonly=True):
            told = await explain(self._connection, SITE, LAMP, None)
        assert told is not None
        return [*self._lines, "and why, by stock-worker explain:", *(f"  {line}" for line in words(told))]

    async def _steer(self) -> str:
        """Announce the lamp, open the shop window, and set the product's rule."""
        lamp = {"site_id": SITE, "product_id": LAMP, "name": "lamp", "sku": "LAMP-1", "status": "active", "revision": 1}
        await self._send(topics.PRODUCT_CHANGED, lamp, f"{SITE}/{LAMP}/")
        await self._until("the catalog's lamp", lambda: self._ask(_ANNOUNCED, SITE, LAMP))
        window = await locations.create(
            self._connection, SITE, {"code": "WINDOW", "name": "Shop window", "type": "store"}
        )
        rule = await rules.change(self._connection, rules.Scope(SITE, LAMP), {"low_stock_threshold": 25})
        if isinstance(window, Refused) or isinstance(rule, Refused):
            raise Unfit(f"the demo's own shop could not be set up: {window} {rule}")
        self._lines.append("catalog    the lamp LAMP-1 is announced; its own rule: low at 25 or less")
        return window.location_id

    async def _stock(self, window: str) -> None:
        """Bring goods in, move some, and count them."""
        storeroom = default_location_id(SITE)
        await self._apply(topics.RESTOCK, "restock", "lamps", lines=[_line(quantity=30, unit_cost="18.50")])
        self._lines.append("restock    30 lamps at 18.50 in the storeroom: ok, above 25")
        moves = {"from_location_id": storeroom, "to_location_id": window}
        await self._apply(topics.STOCK_TRANSFER, "transfer", "to-the-window", **moves, lines=[_line(quantity=10)])
        self._lines.append("transfer   10 of them to the shop window; the item's stock stays 30")
        counted = [_line(counted=9, location_id=window)]
        await self._apply(topics.STOCK_COUNT, "count", "window-evening", lines=counted)
        self._lines.append("count      9 in the window: one is missing, an adjustment of -1")

    async def _reserve(self) -> None:
        """Let an order reserve until its time comes."""
        now: datetime = await self._ask("SELECT clock_timestamp()")
        until = now + _RESERVED_FOR
        await self._send(
            topics.ORDER_PLACED,
            {
                "site_id": SITE,
                "order_id": "never-paid",
                "mode": "reserve",
                "expires_at": until.isoformat(),
                "lines": [_line(quantity=12)],
            },
            f"{SITE}/never-paid",
        )
        await self._until("the reservation", lambda: self._ask(_OUTCOME, SITE, "order", "never-paid"))
        await self._until("the alert", lambda: self._is("low", _LEVEL, SITE, LAMP))
        self._lines.append("reserve    12 until 3 s from then; 17 available: low, by the rule of the product")
        await self._until("the expiry", lambda: self._ask(_OUTCOME, SITE, "expiry", "never-paid@%"))
        expired_at: datetime = await self._ask(_EXPIRED_AT, SITE)
        late = (expired_at - until).total_seconds()
        await self._until("the stock", lambda: self._is(29, _STOCK, SITE, LAMP))
        self._lines.append(
            f"expiry     nobody paid: {late:.1f} s after its time the 12 are back; 29 available: ok again"
        )

    async def _apply(self, topic: str, kind: str, reference_id: str, **fields: object) -> None:
        await self._send(topic, {"site_id": SITE, "reference_id": reference_id, **fields}, f"{SITE}/{reference_id}")
        await self._until(reference_id, lambda: self._is("applied", _OUTCOME, SITE, kind, reference_id))

    async def _send(self, topic: str, message: dict[str, Any], key: str) -> None:
        value = json.dumps(message).encode()
        await self._producer.send_and_wait(self._settings.topic_prefix + topic, value, key.encode())

    async def _ask(self, query: str, *arguments: object) -> Any:  # noqa: ANN401 - what the query holds
        return await self._connection.fetchval(query, *arguments)

    async def _is(self, wanted: object, query: str, *arguments: object) -> bool:
        return bool(await self._ask(query, *arguments) == wanted)

    async def _until(self, what: str, condition: Callable[[], Awaitable[Any]]) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while not await condition():
            if time.monotonic() > deadline:
                raise Unfit(f"{what} did not come within {_PATIENCE_S:.0f} s")
            await asyncio.sleep(_LOOK_EVERY_S)


def _line(**more: object) -> dict[str, object]:
    return {"product_id": LAMP, **more}
