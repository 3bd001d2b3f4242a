"""The table: what a row says, and that all of what is shown is in the address."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Final

import pytest
import pytest_asyncio

from tests.admin.looking import TABLE, Browser, signed_in
from tests.http.booking import Books
from tests.http.books import NOON, VARIANT
from tests.http.running import OTHER, SITE, Api, product

AVAILABLE: Final = {1: 50, 2: 8, 3: 2, 4: 0}
"""What there is of each product: in stock, low, critical, out."""


async def a_shop(books: Books) -> None:
    """Four products of two categories, one at each level."""
    for number, quantity in AVAILABLE.items():
        category = "odd" if number % 2 else "even"
        said = {"category_id": category, "category_name": f"The {category} ones"}
        await books.announce(number, NOON, name=f"Thing {number}", sku=f"SKU-{9 - number}", **said)
        if quantity:
            await books.restock(number, quantity, NOON + timedelta(days=number), unit_cost=f"{number}.25")


@pytest_asyncio.fixture(scope="module")
async def browser(served: Api) -> AsyncIterator[Browser]:
    """An org_admin who looks at four products, which nobody changes."""
    books = await Books.open(served.backend.settings.database_url)
    await a_shop(books)
    await books.connection.close()
    yield signed_in(served)


async def test_a_row_says_what_there_is(api: Api, books: Books) -> None:
    await books.set(timezone="Asia/Tokyo", currency="EUR")
    said = {"name": "Mug", "variant_name": "Blue", "sku": "MUG-B", "category_id": "c", "category_name": "Kitchen"}
    await books.announce(1, NOON, variant_id=VARIANT, **said)
    await books.restock(1, 1234, variant_id=VARIANT, unit_cost="1.005")
    await books.adjust("reserved", 1, 34, variant_id=VARIANT)
    page = await signed_in(api).get()
    row = page.one("tr", id=f"row-{product(1)}_{VARIANT}").text
    assert row == "M Mug Kitchen Blue MUG-B 1,234 34 1,200 In stock 1,240.17 1 Mar 2026, 21:00 Adjust"
    assert "EUR" in page.one("th", class_="value").text
    assert page.one("time").attributes["title"] == "1 Mar 2026, 21:00:00 JST"


STATUSES: Final = {
    1: ("level-ok", "In stock"),
    2: ("level-low", "Low"),
    3: ("level-critical", "Critical"),
    4: ("level-out", "Out of stock"),
}


@pytest.mark.parametrize("number", STATUSES)
async def test_a_status_is_a_word_with_an_icon_in_a_row_of_its_colour(browser: Browser, number: int) -> None:
    style, word = STATUSES[number]
    page = await browser.get()
    row = page.one("tr", id=f"row-{product(number)}_none")
    assert row.attributes["class"] == style
    assert f" {word} " in row.text
    assert len(page.every("svg", class_="icon")) >= len(AVAILABLE)


async def test_an_item_that_is_not_tracked_has_no_level(api: Api, books: Books) -> None:
    await books.announce(1, track_inventory=False)
    assert "Not tracked" in (await signed_in(api).get()).one("tr", id=f"row-{product(1)}_none").text


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ({}, "1234"),
        ({"status": "in_stock"}, "1"),
        ({"status": "low_stock"}, "23"),
        ({"status": "critical"}, "3"),
        ({"status": "out_of_stock"}, "4"),
        ({"category": "odd"}, "13"),
        ({"category": "odd", "status": "low_stock"}, "3"),
        ({"q": "thing 2"}, "2"),
        ({"q": "sku-8"}, "1"),
        ({"q": "th"}, "1234"),
        ({"q": "%%%"}, ""),
        ({"sort": "sku"}, "4321"),
        ({"sort": "quantity", "order": "desc"}, "1234"),
        ({"sort": "available"}, "4321"),
        ({"sort": "value", "order": "desc"}, "1234"),
        ({"sort": "last_movement", "order": "desc"}, "3214"),
        ({"location": "", "q": "", "category": ""}, "1234"),
    ],
    ids=lambda value: "&".join(f"{k}={v}" for k, v in value.items()) or "all" if isinstance(value, dict) else "",
)
async def test_the_address_says_what_is_shown(browser: Browser, query: dict[str, str], shown: str) -> None:
    for htmx in (False, True):
        page = await browser.get(htmx=htmx, **query)
        assert "".join(page.items) == shown


async def test_a_part_of_the_page_has_the_address_of_the_whole(browser: Browser) -> None:
    part = await browser.get(htmx=True, q="", status="low_stock", category="", sort="name", order="asc")
    assert part.response.headers["hx-push-url"] == f"{TABLE}?site={SITE}&status=low_stock"
    assert part.every("html") == []
    assert part.one("div", id="narrowing").attributes["hx-swap-oob"] == "true"
    whole = await browser.get(part.response.headers["hx-push-url"])
    assert whole.items == part.items


async def test_low_stock_only_is_a_switch_that_is_a_link(browser: Browser) -> None:
    for href, checked, shown in (("status=low_stock", "true", "23"), ("", "false", "1234")):
        path = (await browser.get(status=None if href else "low_stock")).one("a", role="switch").attributes["href"]
        page = await browser.get(path)
        assert page.one("a", role="switch").attributes["aria-checked"] == checked
        assert "".join(page.items) == shown


async def test_a_header_sorts_and_sorts_the_other_way(browser: Browser) -> None:
    page = await browser.get()
    shown = []
    for _ in range(2):
        page = await browser.get(page.one("a", id="sort-quantity").attributes["href"])
        shown.append(("".join(page.items), page.one("th", class_="quantity").attributes["aria-sort"]))
    assert shown == [("1234", "descending"), ("4321", "ascending")]


async def test_a_filter_is_kept_through_sorting_and_forms(browser: Browser) -> None:
    page = await browser.get(category="odd", sort="quantity", order="desc")
    fields = {name: page.value(name) for name in ("site", "category", "sort", "order")}
    assert fields == {"site": SITE, "category": "odd", "sort": "quantity", "order": "desc"}
    assert "category=odd" in page.one("a", id="sort-sku").attributes["href"]
    assert page.one("a", id="category").text.startswith("The odd ones")


async def test_pages_are_links(api: Api, books: Books) -> None:
    for number in range(1, 53):
        await books.announce(number, name=f"Thing {number:02}")
    browser = signed_in(api)
    first = await browser.get()
    assert "1\u201350 of 52" in first.one("nav", class_="pages").text
    second = await browser.get(first.one("a", id="Next").attributes["href"])
    assert (second.items, "51\u201352 of 52" in second.one("nav", class_="pages").text) == (["51", "52"], True)
    assert (await browser.get(second.one("a", id="Previous").attributes["href"])).items == first.items
    assert "no such page" in (await browser.get(page=9)).words


@pytest.mark.parametrize(
    ("query", "words"),
    [({}, "No items yet"), ({"q": "nothing"}, "Nothing fits"), ({"status": "critical"}, "Nothing fits"),
     ({"category": "x"}, "Nothing fits"), ({"q": "x"}, "at least 3 signs")],
    ids=["a new site", "a search", "a status", "a category", "a search too short"],
)  # fmt: skip
async def test_an_empty_table_says_why(served: Api, query: dict[str, str], words: str) -> None:
    page = await signed_in(served, "platform_admin").get(htmx=False, site=OTHER, **query)
    assert (page.status, words in page.words, page.items) == (200, True, [])


@pytest.mark.parametrize(
    "query", [{"page": "0"}, {"status": "some"}, {"location": "here"}, {"sort": "colour"}, {"q": "\x00ab"}], ids=str
)
async def test_an_address_that_says_nothing_is_told_so(served: Api, query: dict[str, str]) -> None:
    page = await signed_in(served).get(htmx=False, **query)
    assert (page.status, page.one("h1").text) == (422, "The request cannot be understood")
    part = await signed_in(served).get(htmx=True, **query)
    assert (part.status, part.response.headers["hx-retarget"], part.response.headers["hx-push-url"]) == (
        422,
        "#toasts",
        "false",
    )


async def test_a_database_that_is_away_is_told_in_a_page(api: Api) -> None:
    await api.backend._readers.close()  # type: ignore[union-attr] # as if it were gone
    page = await signed_in(api).get()
    assert page.status >= 500
    assert page.every("h1")


@pytest.mark.parametrize(
    ("accepted", "number", "money"),
    [
        ("", "1,234", "1,234.50"),
        ("de-DE,de;q=0.9,en;q=0.8", "1.234", "1.234,50"),
        ("fr", "1\u202f234", "1\u202f234,50"),
        ("sv-SE", "1\u00a0234", "1\u00a0234,50"),
        ("de-CH", "1\u2019234", "1\u2019234.50"),
        ("tlh, en;q=0.5", "1,234", "1,234.50"),
        ("en;q=0.1, de;q=0.9", "1.234", "1.234,50"),
        ("*;q=x, ,", "1,234", "1,234.50"),
    ],
)
async def test_numbers_have_the_readers_signs(api: Api, books: Books, accepted: str, number: str, money: str) -> None:
    await books.restock(1, 1234, unit_cost="1")
    await books.restock(2, 1, unit_cost="1234.5")
    page = await signed_in(api, headers={"Accept-Language": accepted}).get()
    assert number in page.text
    assert money in page.text


# ---------------------------------------------------------------- rows


async def test_rows_are_given_as_they_are_now_in_their_places(api: Api, books: Books) -> None:
    await a_shop(books)
    browser = signed_in(api)
    await books.restock(3, 40)
    query = "&".join(f"item={product(number)}_none" for number in (3, 4, 59))
    page = await browser.get(f"{TABLE}/rows?site={SITE}&{query}", htmx=True)
    assert page.items == ["3", "4"], "what is not there is left out"
    row = page.one("tr", id=f"row-{product(3)}_none")
    assert (row.attributes["hx-swap-oob"], row.attributes["class"], " 42 " in row.text) == ("true", "level-ok", True)
    assert page.every("dl") == []


async def test_the_dialog_over_a_row_follows_it(api: Api, books: Books) -> None:
    await books.restock(3, 2)
    browser = signed_in(api)
    await books.restock(3, 40)
    path = f"{TABLE}/rows?site={SITE}&item={product(3)}_none&dialog={product(3)}_none"
    figures = (await browser.get(path, htmx=True)).one("dl", id="figures")
    assert (figures.attributes["data-on-hand"], figures.attributes["data-version"]) == ("42", "2")


@pytest.mark.parametrize("item", ["", "x_none", f"{product(1)}", f"{product(1)}_x"])
async def test_what_is_no_row_is_refused(served: Api, item: str) -> None:
    assert (await signed_in(served).get(f"{TABLE}/rows?site={SITE}&item={item}", htmx=True)).status == 422
