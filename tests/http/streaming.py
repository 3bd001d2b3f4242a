"""API processes at real ports, and one who listens to their streams."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import httpx
import uvicorn
from aiokafka.admin import AIOKafkaAdminClient

from stock_worker.core.topics import STOCK_CHANGED
from stock_worker.health import _Server
from stock_worker.http.app import BASE, create_app
from stock_worker.http.backend import Backend
from stock_worker.http.tokens import Verifier
from stock_worker.metrics import Metrics
from stock_worker.settings import Settings
from tests.flow.running import PATIENCE_S, Shop, product, until
from tests.http.running import SITE, token


class Told(NamedTuple):
    """One block of a stream; without an event it only says where the listener is."""

    event: str
    data: Any
    id: str


class Stream:
    """An answer that goes on."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()

    async def next(self) -> Told:
        """The next block, whole. Raises StopAsyncIteration at the end of the stream."""
        fields: dict[str, str] = {}
        while line := await anext(self._lines):
            name, _, value = line.partition(": ")
            assert name not in fields, line
            fields[name] = value
        return Told(fields.get("event", ""), json.loads(fields.get("data", "null")), fields["id"])

    async def event(self) -> Told:
        """The next block that is an event, which comes soon."""
        async with asyncio.timeout(PATIENCE_S):
            while not (told := await self.next()).event:
                pass
        return told

    async def events(self, count: int) -> list[Told]:
        """So many events."""
        return [await self.event() for _ in range(count)]

    async def until_the_end(self) -> list[Told]:
        """The events until the server ends the stream, or breaks it off."""
        told = []
        try:
            while True:
                told.append(await self.event())
        except (StopAsyncIteration, httpx.RemoteProtocolError):
            return told


@dataclass
class Place:
    """One process's API: its backend, and where it answers."""

    backend: Backend
    address: str

    @asynccontextmanager
    async def asking(
        self, last: str | None = None, *, site: str = SITE, bearer: str = "", **query: str
    ) -> AsyncIterator[httpx.Response]:
        """Ask for the stream, whatever the answer is."""
        headers = {"Authorization": f"Bearer {bearer or token('viewer')}"} | ({"Last-Event-ID": last} if last else {})
        async with (
            httpx.AsyncClient(base_url=self.address, timeout=60) as client,
            client.stream("GET", f"/sites/{site}/stream", headers=headers, params=query) as response,
        ):
            yield response

    @asynccontextmanager
    async def listening(
        self, last: str | None = None, *, site: str = SITE, bearer: str = "", **query: str
    ) -> AsyncIterator[Stream]:
        """Listen, from after an event where that is given."""
        async with self.asking(last, site=site, bearer=bearer, **query) as response:
            assert response.status_code == 200, await response.aread()
            yield Stream(response)

    async def where(self) -> str:
        """The id of this moment."""
        async with self.listening() as stream:
            return (await stream.next()).id


@asynccontextmanager
async def place(settings: Settings) -> AsyncIterator[Place]:
    """Serve like a process of its own, for as long as the block runs."""
    verifier, metrics = Verifier.of(settings), Metrics()
    assert verifier is not None
    backend = Backend(settings, metrics, verifier)
    config = uvicorn.Config(
        create_app(backend, metrics), log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1
    )
    server = _Server(config)
    port = socket.create_server(("127.0.0.1", 0))
    async with backend.open():
        serving = asyncio.create_task(server.serve(sockets=[port]))
        await until(lambda: server.started)
        try:
            yield Place(backend, f"http://127.0.0.1:{port.getsockname()[1]}{BASE}")
        finally:
            backend.stream.cut_all()
            server.should_exit = True
            await serving


async def publish(
    shop: Shop,
    *numbers: int,
    site: str = SITE,
    partition: int = 0,
    topic: str = STOCK_CHANGED,
    item: str = f"{product(1)}/",
    **more: str,
) -> None:
    """Publish events of a site with these numbers, of one item: `product/variant`."""
    key = f"{site}/{item}".encode()
    values = [json.dumps({"site_id": site, "number": number, **more}).encode() for number in numbers]
    await shop.send(*values, topic=topic, partition=partition, key=key)


def numbers(told: list[Told]) -> list[int]:
    """The numbers of published events."""
    return [each.data["number"] for each in told]


@asynccontextmanager
async def admin_of(shop: Shop) -> AsyncIterator[AIOKafkaAdminClient]:
    """One who administers the broker."""
    admin = AIOKafkaAdminClient(bootstrap_servers=shop.settings.kafka_bootstrap)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()
