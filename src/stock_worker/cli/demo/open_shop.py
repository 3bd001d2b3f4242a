"""The demo's shop, open to look at. Law: what is shown is served by `stock-worker api`, and changes by commands alone.

The shop's month is laid while the API starts, which reads nothing before somebody asks. Then an order comes every other
second, through Kafka and the worker, so that the page moves; and the shop closes with the demo.
"""

import asyncio
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final
from urllib.error import URLError
from urllib.request import urlopen
from uuid import NAMESPACE_URL, uuid5

from fastapi import Response

from stock_worker.cli import kafka
from stock_worker.cli.database import as_worker
from stock_worker.cli.demo.door import door
from stock_worker.cli.demo.ground import Run
from stock_worker.cli.demo.month import Shop
from stock_worker.cli.demo.processes import Process
from stock_worker.cli.terminal import Unfit
from stock_worker.handle import Policy
from stock_worker.http.admin.session import HOME, keep
from stock_worker.http.tokens import Principal, Role, signed
from stock_worker.settings import Settings

SITE: Final = str(uuid5(NAMESPACE_URL, "https://demo.example/shop"))
_TRADE_EVERY_S: Final = 2.0
_SIGNED_IN_FOR: Final = timedelta(hours=24)
_START_MAX_S: Final = 60.0
_LOOK_EVERY_S: Final = 0.2
_ANSWER_S: Final = 2.0


async def keep_open(run: Run, api: Process, tell: Callable[[str], None], ending: asyncio.Event) -> None:
    """Lay the shop that the API shows, tell the link to it, and trade until the end. Raises Unfit where that fails."""
    settings, shop = run.settings, Shop(SITE)
    async with as_worker(settings.database_url, "demo") as connection:
        now: datetime = await connection.fetchval("SELECT clock_timestamp()")
        await shop.lay(connection, now, Policy(settings.topic_prefix, settings.emit_applied))
    address = f"http://{settings.http_host}:{run.api_port}"
    await _ready(address, api, ending)
    if ending.is_set():
        return
    async with door(f"{address}{HOME}", _session(settings, now)) as link:
        tell(f"look at the shop, signed in (the link works once): {link}")
        await _trade(settings, shop, api, ending)


def _session(settings: Settings, now: datetime) -> str:
    """Give the cookie of an admin of the shop; the key that signs it was drawn for this run and ends with it."""
    holder = Principal("demo", "Demo", Role.ORG_ADMIN, frozenset([SITE]))
    answer = Response()
    keep(answer, signed(settings, holder, now, now + _SIGNED_IN_FOR), now, is_secure=False)
    return answer.headers["set-cookie"]


async def _ready(address: str, api: Process, ending: asyncio.Event) -> None:
    """Wait until the API answers, or until nobody wants it any more."""

    def answers() -> bool:
        try:
            with urlopen(f"{address}/readyz", timeout=_ANSWER_S):  # noqa: S310 - our own
                return True
        except (URLError, OSError):
            return False

    deadline = asyncio.get_running_loop().time() + _START_MAX_S
    while not (ending.is_set() or await asyncio.to_thread(answers)):
        api.check()
        if asyncio.get_running_loop().time() > deadline:
            raise Unfit(f"the API did not answer within {_START_MAX_S:.0f} s:\n{api.said()}")
        await asyncio.sleep(_LOOK_EVERY_S)


async def _trade(settings: Settings, shop: Shop, api: Process, ending: asyncio.Event) -> None:
    """Send what happens at the shop, until the end."""
    async with kafka.producer(settings) as producer:
        while not ending.is_set():
            api.check()
            topic, document = shop.next()
            value = json.dumps({"site_id": SITE, **document}).encode()
            await producer.send_and_wait(settings.topic_prefix + topic, value, SITE.encode())
            try:
                async with asyncio.timeout(_TRADE_EVERY_S):
                    await ending.wait()
            except TimeoutError:
                continue
