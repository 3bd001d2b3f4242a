"""Locations, orders and dead letters as a person uses them: by keyboard, on a phone, in the dark."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, TopicPartition
from playwright.async_api import expect

from stock_worker.core.model import Record
from stock_worker.core.topics import RESTOCK
from stock_worker.handle import Policy, handle_batch
from stock_worker.settings import Settings
from stock_worker.wire.decode import decode
from tests.browser.conftest import OpenTab
from tests.browser.people import arrived, fits
from tests.browser.tabs import PHONE
from tests.flow.running import make_topics
from tests.http.booking import Books
from tests.http.running import SITE, product
from tests.http.served import Served

MARKUP = "<script>document.title = 'run'</script><img src=x onerror=alert(1)>"
PLACES, ORDERS, LETTERS = (f"/admin/{name}?site={SITE}" for name in ("locations", "orders", "dead-letters"))


@pytest_asyncio.fixture(scope="module")
async def books(settings: Settings) -> AsyncIterator[Books]:
    """A worker over the database of the file."""
    opened = await Books.open(settings.database_url)
    yield opened
    await opened.connection.close()


async def test_places_are_made_put_in_order_and_stocked_by_keyboard(
    open_tab: OpenTab, app: Served, books: Books
) -> None:
    await books.announce(1, name=MARKUP, sku="M-1")
    await books.restock(1, 9)
    tab = await arrived(open_tab, app)
    page, keys = tab.page, tab.page.keyboard
    await page.goto(PLACES)
    for name in ("East", "West"):
        await page.locator("#new").focus()
        await keys.press("Enter")
        await page.locator("[name=name]:focus").wait_for()
        await keys.type(name)
        await keys.press("Enter")
        await page.locator(f"td.name:has-text('{name}')").wait_for()
        await page.locator("#new:focus").wait_for()  # the dialog is closed, and one is back where one was
    up = page.get_by_role("button", name="Move West up")
    await up.focus()
    for order in (["Default", "West", "East"], ["West", "Default", "East"]):
        await keys.press("Enter")
        await expect(page.locator("tbody strong")).to_have_text(order, timeout=30_000)
        assert await up.evaluate("each => each === document.activeElement"), "one can go on"
    assert await tab.violations() == []

    await page.locator("#transfer").focus()
    await keys.press("Enter")
    await page.locator("#search:focus").wait_for()
    await keys.type("m-1")
    await page.locator("#found li").first.wait_for()
    await keys.press("Tab")
    await keys.press("Enter")
    await page.locator("#from:focus").wait_for()
    assert MARKUP in await page.locator("#sheet-title").inner_text()
    assert await page.title() == "Locations"
    for word in ("Default", "Tab", "East", "Tab", "12"):
        await (keys.press(word) if word == "Tab" else keys.type(word))
    await page.locator("#preview", has_text="At most 9 can be moved").wait_for()
    await keys.press("Enter")
    offer = page.get_by_role("button", name="Use 9")
    await offer.wait_for()
    await tab.fault("409")
    assert await tab.violations() == []
    await offer.focus()
    await keys.press("Enter")
    await page.locator("#preview", has_text="9 → 0").wait_for()
    await keys.press("Enter")
    await page.locator(".toast", has_text="Moved 9 of").wait_for()
    await page.locator("#transfer:focus").wait_for()
    rows = [row for row in await books.ledger() if row["type"] == "transfer"]
    assert [(row["quantity"], row["location_on_hand"]) for row in rows] == [(-9, 0), (9, 9)]


async def test_on_a_phone_in_the_dark_a_refusal_is_where_it_was_asked(
    open_tab: OpenTab, app: Served, books: Books
) -> None:
    tab = await arrived(open_tab, app, screen=PHONE, dark=True)
    page = tab.page
    await page.goto(PLACES)
    await page.get_by_role("button", name="Edit Default").tap()
    await page.locator("#location-form").wait_for()
    assert await page.locator("#become-archived").count() == 0, "the default cannot be archived"
    assert (await tab.violations(), await fits(tab)) == ([], True)
    await page.get_by_label("Email").or_(page.get_by_text("Address and contact")).first.tap()
    await page.get_by_label("Email").fill("nobody@nowhere@")
    await page.locator("#location-form").evaluate("form => { form.noValidate = true; }")
    await page.get_by_role("button", name="Save").tap()
    await page.get_by_role("alert").get_by_text("Email is not of the form").wait_for()
    await tab.fault("422")
    assert (await tab.violations(), await fits(tab)) == ([], True)


async def test_an_order_is_looked_up_by_keyboard_and_its_address_tells_it(
    open_tab: OpenTab, app: Served, books: Books
) -> None:
    now = datetime.now(UTC)
    await books.announce(2, name=MARKUP)
    await books.restock(2, 9, now)
    until_then = (now + timedelta(days=1)).isoformat()
    lines = [{"product_id": product(2), "quantity": 4}]
    await books.book(
        "order-placed", {"order_id": MARKUP, "mode": "reserve", "expires_at": until_then, "lines": lines}, now
    )
    await books.book("order-fulfilled", {"order_id": "W", "lines": [{"line_id": "1", "quantity": 1}]}, now)
    for role, more in (("viewer", {}), ("org_admin", {"screen": PHONE, "dark": True})):
        tab = await arrived(open_tab, app, role, **more)
        page = tab.page
        await page.goto(ORDERS)
        await page.locator("#search:focus").wait_for()
        for order_id, words in (("W", "waiting for this order"), (MARKUP, "Reserved"), ("none", "no such order")):
            await page.locator("#search").fill(order_id)
            await page.keyboard.press("Enter")
            await page.locator("#order", has_text=words).wait_for()
            assert (await tab.violations(), await fits(tab)) == ([], True)
        assert page.url.endswith("order=none")
        await page.go_back()
        await page.locator("#order td.name", has_text=MARKUP).wait_for()
        assert await page.title() != "run"
        await page.locator("#order td.name a").focus()
        await page.keyboard.press("Enter")
        await page.get_by_role("heading", name="History of").wait_for()


async def letters(settings: Settings, books: Books, *reference_ids: str) -> None:
    """Two messages of each reference that say different things: the second is a dead letter."""
    topic = settings.topic_prefix + RESTOCK
    for offset, (reference_id, quantity) in enumerate((name, 1 + n) for name in reference_ids for n in range(2)):
        lines = [{"product_id": product(3), "quantity": quantity, "note": MARKUP}]
        value = json.dumps({"site_id": SITE, "reference_id": reference_id, "lines": lines}).encode()
        record = Record(topic, 0, offset, 1_772_366_400_000, MARKUP.encode(), value, (("h", MARKUP.encode()),))
        await handle_batch(books.connection, [decode(record, RESTOCK)], Policy())


async def test_a_dead_letter_is_looked_at_sent_again_or_discarded(
    open_tab: OpenTab, app: Served, books: Books, settings: Settings
) -> None:
    await make_topics(settings.kafka_bootstrap, settings.topic_prefix)
    await letters(settings, books, "sent again", "discarded")
    tab = await arrived(open_tab, app)
    page, keys = tab.page, tab.page.keyboard
    await page.goto(LETTERS)
    assert await tab.violations() == []
    links = page.locator("#letters td.name a")
    await links.first.focus()
    await keys.press("j")
    await keys.press("Enter")
    await page.locator("#replay").focus()
    assert MARKUP in await page.locator(".raw").first.inner_text()
    assert await tab.violations() == []
    await keys.press("Enter")
    await page.get_by_text("Nothing is sent yet.").wait_for()
    await page.locator("button.primary:focus", has_text="Send it now").wait_for()
    assert await tab.violations() == []
    assert await sent(settings) == []
    await keys.press("Enter")
    await page.locator(".toast", has_text="replayed as sent again-replay-1").wait_for()
    assert await sent(settings) == ["sent again-replay-1"]
    assert await page.locator("#replay").count() == 0

    phone = await arrived(open_tab, app, screen=PHONE, dark=True)
    page = phone.page
    await page.goto(LETTERS)
    await page.locator("#letters td.name a").first.tap()
    await page.locator("#discard").tap()
    await page.locator("[name=reason]:focus").wait_for()
    assert (await phone.violations(), await fits(phone)) == ([], True)
    await page.keyboard.type(MARKUP)
    await page.get_by_role("button", name="Discard for good").tap()
    await page.locator(".toast", has_text=MARKUP).wait_for()
    assert (await phone.violations(), await fits(phone)) == ([], True)
    await page.get_by_role("link", name="Dead letters").first.tap()
    await page.get_by_role("heading", name="Nothing waits").wait_for()


async def sent(settings: Settings) -> list[str]:
    """The references of the restocks that Kafka has."""
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        topic = settings.topic_prefix + RESTOCK
        parts = [TopicPartition(topic, number) for number in range(settings.topic_partitions)]
        consumer.assign(parts)
        count = sum((await consumer.end_offsets(parts)).values())
        found: list[str] = []
        while len(found) < count:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found += [json.loads(record.value)["reference_id"] for record in records]
        return found
    finally:
        await consumer.stop()


@pytest.mark.parametrize("name", ["reports", "locations", "settings"])
async def test_on_a_phone_one_sees_where_one_is(open_tab: OpenTab, app: Served, name: str) -> None:
    tab = await arrived(open_tab, app, screen=PHONE)
    await tab.page.goto(f"/admin/{name}?site={SITE}")
    box = await tab.page.locator(".places [aria-current]").bounding_box()
    assert box is not None
    assert 0 <= box["x"] <= box["x"] + box["width"] <= PHONE.width
    assert await tab.page.evaluate("window.scrollY") == 0
