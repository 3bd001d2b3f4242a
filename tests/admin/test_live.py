"""The page's own way to the stream: by the cookie, gone on with after an event, and over with the token."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from stock_worker.core.topics import ALERT_LEVEL_CHANGED, STOCK_CHANGED
from stock_worker.devstack import Stack
from tests.flow.running import Shop, make_topics, product, settings_for
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


async def test_who_holds_the_cookie_is_told_what_moved_at_the_site_and_goes_on_after_it(
    shop: Shop, here: Place
) -> None:
    variant = "00000000-0000-4000-8000-000000000005"
    async with listening(here, token("viewer")) as stream:
        await stream.next()
        await publish(shop, 1, site=OTHER, item=f"{product(9)}/")
        await publish(shop, 2)
        first = await stream.event()
        await publish(shop, 3, topic=ALERT_LEVEL_CHANGED, item=f"{product(2)}/{variant}")
        second = await stream.event()
    assert (first.event, first.data) == ("moved", {STOCK_CHANGED: [f"{product(1)}_none"]})
    assert (second.event, second.data) == ("moved", {ALERT_LEVEL_CHANGED: [f"{product(2)}_{variant}"]})
    await publish(shop, 4, item=f"{product(3)}/")
    async with listening(here, token("viewer"), **{"Last-Event-ID": second.id}) as stream:
        assert (await stream.event()).data == {STOCK_CHANGED: [f"{product(3)}_none"]}


async def test_what_moved_together_is_one_event_that_names_each_item_once(shop: Shop, here: Place) -> None:
    """A page reads its rows anew: how often they moved, and how, is nothing to it."""
    where = await here.where()
    for number in (1, 2, 3):
        await publish(shop, *range(40), item=f"{product(number)}/", partition=number % 2)
    came = dict.fromkeys((f"{product(number)}_none" for number in (1, 2, 3)), 0)
    async with listening(here, token("viewer"), **{"Last-Event-ID": where}) as stream:
        events = 0
        while not all(came.values()):
            told = (await stream.event()).data
            assert list(told) == [STOCK_CHANGED]
            events += 1
            for item in told[STOCK_CHANGED]:
                came[item] += 1
    assert events <= 3
    assert max(came.values()) <= events


async def test_a_record_with_a_key_of_nobody_ends_no_stream(shop: Shop, here: Place) -> None:
    async with listening(here, token("viewer")) as stream:
        await stream.next()
        await publish(shop, 1, item="")
        await stream.event()
        await publish(shop, 2)
        assert (await stream.event()).data == {STOCK_CHANGED: [f"{product(1)}_none"]}


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
