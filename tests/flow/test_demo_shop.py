"""The shop that the demo lays to look at: what it sells, its month in the ledger, and the link that signs in once."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import httpx

from stock_worker.audit.verify import verify
from stock_worker.cli.demo.catalogue import articles
from stock_worker.cli.demo.door import door
from stock_worker.cli.demo.month import DAYS, Shop
from stock_worker.core.model import Level, MovementType
from stock_worker.handle import Policy
from stock_worker.http.admin import pictures
from stock_worker.store.engine import connect
from tests.http.running import SITE

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
PICTURES = {pictures.address_of(motif, colour) for motif in pictures.MOTIFS for colour in pictures.COLOURS}


def test_the_shop_sells_two_hundred_products_each_with_a_picture_that_there_is() -> None:
    sold = articles()
    assert len({article.product_id for article in sold}) == 201
    assert len({(article.product_id, article.variant_id) for article in sold}) == len(sold) == 251
    assert len({article.sku for article in sold}) == len(sold)
    assert {article.picture for article in sold} <= PICTURES
    assert [article.name for article in sold if not article.is_tracked] == ["Gift card"]
    assert all(0 < article.cost < article.price for article in sold)


async def test_a_month_of_the_shop_has_everything_that_a_page_shows(database: str) -> None:
    connection = await connect(database, "stock_worker")
    try:
        await Shop(SITE).lay(connection, NOW, Policy())
        movements = await connection.fetch("SELECT type, recorded_at, location_id, source FROM stock.movements")
        levels = await connection.fetch("SELECT level, count(*) FROM stock.items WHERE version > 0 GROUP BY level")
        assert await verify(connection) == []
    finally:
        await connection.close()
    types = Counter(row["type"] for row in movements)
    assert set(types) == {kind.value for kind in MovementType}
    assert len(movements) > 1_500
    assert len({row["location_id"] for row in movements}) == 2
    moments = [row["recorded_at"] for row in movements]
    assert min(moments) < NOW - timedelta(days=DAYS - 1)
    assert max(moments) == NOW - timedelta(minutes=5)
    assert {moment.date() for moment in moments} >= {(NOW - timedelta(days=day)).date() for day in range(1, DAYS)}
    counted = {row["level"]: row["count"] for row in levels}
    assert set(counted) == {level.value for level in Level}
    assert sum(count for level, count in counted.items() if level != Level.OK) > 20


def test_the_shop_goes_on_the_same_in_every_run() -> None:
    one, two = Shop(SITE), Shop(SITE)
    sent = [one.next() for _ in range(500)]
    assert sent == [two.next() for _ in range(500)]
    assert {message.topic for message in sent} == {"order-placed", "restock"}


# ---------------------------------------------------------------- the link

PAGE = "http://127.0.0.1:1/admin/inventory"
COOKIE = "stock_session=token; HttpOnly; Path=/admin; SameSite=strict"


async def test_a_link_signs_in_once_and_then_only_leads_to_the_page() -> None:
    async with door(PAGE, COOKIE) as link, httpx.AsyncClient() as client:
        assert "token" not in link
        assert (await client.head(link)).status_code == 404  # who only looks at it does not use it up
        first, second = await client.get(link), await client.get(link)
    assert (first.status_code, first.headers["location"], first.headers["set-cookie"]) == (303, PAGE, COOKIE)
    assert (second.status_code, second.headers["location"]) == (303, PAGE)
    assert "set-cookie" not in second.headers
    assert (first.headers["cache-control"], first.content) == ("no-store", b"")


async def test_another_address_of_the_door_signs_nobody_in() -> None:
    async with door(PAGE, COOKIE) as link, httpx.AsyncClient() as client:
        for path in ("/", "/favicon.ico", urlsplit(link).path + "x", urlsplit(link).path[:-1]):
            answer = await client.get(link.replace(urlsplit(link).path, path))
            assert (answer.status_code, "set-cookie" in answer.headers) == (404, False), path
        assert "set-cookie" in (await client.get(link)).headers


async def test_what_is_no_request_does_not_close_the_door() -> None:
    async with door(PAGE, COOKIE) as link, httpx.AsyncClient() as client:
        for words in (b"\xff\xfe\r\n\r\n", b"\r\n\r\n", b"GET", b"x" * 100_000):
            _, writer = await asyncio.open_connection("127.0.0.1", urlsplit(link).port)
            writer.write(words)
            writer.close()
        assert "set-cookie" in (await client.get(link)).headers


async def test_the_link_is_gone_with_the_demo() -> None:
    async with door(PAGE, COOKIE) as link:
        pass
    async with httpx.AsyncClient() as client:
        try:
            await client.get(link)
        except httpx.ConnectError:
            return
    raise AssertionError("the door is still open")
