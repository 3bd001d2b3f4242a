"""The page's own way to the stream: by the cookie, gone on with after an event, and over with the token."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from stock_worker.core.topics import ALERT_LEVEL_CHANGED, STOCK_CHANGED
from stock_worker.devstack import Stack
from tests.flow.running import Shop, make_topics, settings_for
from tests.http.running import KEY, OTHER, SITE, token
from tests.http.streaming import Place, Stream, place, publish


@pytest.fixture
async def shop(stack: Stack, database: str, topics: str) -> Shop:
    """Fresh topics and a fresh database."""
    await make_topics(stack.kafka_bootstrap, topics)
    return Shop(settings_for(stack.kafka_bootstrap, database, topics, jwt_key=KEY))


@pytest.fixture
async def here(shop: Shop) -> AsyncIterator[Place]:
    """A process that answers on a port."""
    async with place(shop.settings) as one:
        yield one


@asynccontextmanager
async def listening(here: Place, bearer: str, **headers: str) -> AsyncIterator[Stream]:
    """Listen as an EventSource does."""
    address = f"{here.address.removesuffix('/api/v1')}/admin/inventory/live?site={SITE}"
    said = {"Cookie": f"stock_session={bearer}", **headers}
    async with (
        httpx.AsyncClient(timeout=60) as client,
        client.stream("GET", address, headers=said) as response,
    ):
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        yield Stream(response)


async def test_who_holds_the_cookie_is_told_of_the_site_and_goes_on_after_what_he_has(shop: Shop, here: Place) -> None:
    async with listening(here, token("viewer")) as stream:
        await stream.next()
        await publish(shop, 1)
        await publish(shop, 2, site=OTHER)
        await publish(shop, 3, topic=ALERT_LEVEL_CHANGED)
        told = await stream.events(2)
    assert {(each.event, each.data["number"]) for each in told} == {(STOCK_CHANGED, 1), (ALERT_LEVEL_CHANGED, 3)}
    await publish(shop, 4)
    async with listening(here, token("viewer"), **{"Last-Event-ID": told[-1].id}) as stream:
        assert (await stream.event()).data["number"] == 4


@pytest.mark.parametrize("bearer", [None, "nonsense"], ids=["signed out", "ended"])
async def test_who_is_signed_out_is_told_so_by_an_event(here: Place, bearer: str | None) -> None:
    """An EventSource shows a page neither a status nor where it is led."""
    address = f"{here.address.removesuffix('/api/v1')}/admin/inventory/live?site={SITE}"
    said = {"Accept": "text/event-stream"} | ({} if bearer is None else {"Cookie": f"stock_session={bearer}"})
    async with httpx.AsyncClient() as client:
        answer = await client.get(address, headers=said)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text == "event: session-ended\ndata: {}\n\n"


async def test_it_is_over_with_the_token(here: Place) -> None:
    async with listening(here, token("viewer", exp=int(time.time()) + 2)) as stream:
        assert await stream.until_the_end() == []
