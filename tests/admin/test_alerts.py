"""Alerts on the page: what a row says, what narrows the list, and that a dismissal hides what it named and no more."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Final

import pytest
import pytest_asyncio

from stock_worker.http.admin.alerts import lasting
from tests.admin.looking import Browser, Page, signed_in
from tests.http.booking import Books
from tests.http.books import NOON, VARIANT
from tests.http.running import OTHER, SITE, Api, product

ALERTS: Final = f"/admin/alerts?site={SITE}"
DISMISSAL: Final = f"/admin/alerts/dismissal?site={SITE}"
REORDER: Final = f"/admin/alerts/reorder?site={SITE}"
STOCK: Final = {1: 50, 2: 8, 3: 2, 4: 0}
"""What there is of each product: in stock, low, critical, out."""


async def a_shop(books: Books) -> None:
    """Four products of two categories, one at each level."""
    for number, quantity in STOCK.items():
        category = "odd" if number % 2 else "even"
        said = {"category_id": category, "category_name": f"The {category} ones"}
        await books.announce(number, NOON, name=f"Thing {number}", sku=f"SKU-{9 - number}", **said)
        await books.restock(number, quantity or 1, NOON)
    await books.adjust("damage", 4, 1, NOON)


def numbers(page: Page) -> str:
    """The products in a list, by number, in order."""
    names = {f"alert-{product(number)}_none": str(number) for number in range(60)}
    found = [each.attributes["id"] for each in page.every("tr") if "id" in each.attributes]
    return "".join(names.get(each, each) for each in found)


@pytest_asyncio.fixture(scope="module")
async def browser(served: Api) -> AsyncIterator[Browser]:
    """An org_admin who looks at four products, which nobody changes."""
    books = await Books.open(served.backend.settings.database_url)
    await a_shop(books)
    await books.connection.close()
    yield signed_in(served)


# ---------------------------------------------------------------- the list


async def test_a_row_says_how_it_stands_since_when_and_by_whose_threshold(api: Api, books: Books) -> None:
    await books.set(timezone="Asia/Tokyo")
    await books.rule(low_stock_threshold=1200, reorder_quantity=2500)
    said = {"name": "Mug", "variant_name": "Blue", "sku": "MUG-B", "category_id": "c", "category_name": "Kitchen"}
    await books.announce(1, NOON, variant_id=VARIANT, **said)
    await books.restock(1, 1234, NOON, variant_id=VARIANT)
    await books.adjust("sale", 1, 134, NOON, variant_id=VARIANT)
    page = await signed_in(api, headers={"Accept-Language": "de"}).get(ALERTS)
    row = page.one("tr", id=f"alert-{product(1)}_{VARIANT}").text
    days = row.split("1 Mar 2026, 21:00 ")[0].split("the site ")[1]
    assert days.endswith(" days "), "how long, at the clock of the process"
    assert row.replace(days, "") == (
        "Low Mug Blue MUG-B Kitchen 1.100 1.200 the site 1 Mar 2026, 21:00 \u2013 2.500 History Dismiss"
    )
    assert page.one("time").attributes["title"] == "1 Mar 2026, 21:00:00 JST"


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(seconds=59), "just now"),
        (timedelta(minutes=1), "1 minute"),
        (timedelta(minutes=119), "1 hour"),
        (timedelta(hours=47), "1 day"),
        (timedelta(days=400), "400 days"),
    ],
    ids=str,
)
def test_how_long_is_in_the_greatest_unit_that_it_fills(span: timedelta, words: str) -> None:
    assert lasting(span) == words


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", "432"),
        ("&level=out", "4"),
        ("&level=critical", "3"),
        ("&level=low", "2"),
        ("&q=thing+2", "2"),
        ("&q=sku-5", "4"),
        ("&q=th", "432"),
        ("&category=even", "42"),
        ("&category=even&level=low", "2"),
        ("&dismissed=true", ""),
        ("&dismissed=all", "432"),
    ],
    ids=lambda value: value or "all",
)
async def test_the_address_says_which_alerts_are_shown(browser: Browser, query: str, shown: str) -> None:
    for htmx in (False, True):
        assert numbers(await browser.get(ALERTS + query, htmx=htmx)) == shown


async def test_a_part_of_the_page_has_the_address_of_the_whole(browser: Browser) -> None:
    part = await browser.get(f"{ALERTS}&q=&level=low&category=", htmx=True)
    assert part.response.headers["hx-push-url"] == f"{ALERTS}&level=low"
    assert part.every("html") == []


async def test_a_level_is_a_word_with_an_icon_in_a_row_of_its_colour(browser: Browser) -> None:
    page = await browser.get(ALERTS)
    rows = [(each.attributes["class"], each.text.split(" Thing")[0]) for each in page.every("tr", role="row")[1:]]
    assert rows == [("level-out", "Out of stock"), ("level-critical", "Critical"), ("level-low", "Low")]
    assert len(page.every("svg", class_="icon")) >= len(rows)


async def test_pages_are_links(api: Api, books: Books) -> None:
    for number in range(1, 53):
        await books.restock(number, 5)
    browser = signed_in(api)
    first = await browser.get(ALERTS)
    assert "1\u201350 of 52" in first.one("nav", class_="pages").text
    second = await browser.get(first.one("a", id="Next").attributes["href"])
    assert (len(second.every("tr")), "51\u201352 of 52" in second.one("nav", class_="pages").text) == (3, True)
    assert "no such page" in (await browser.get(f"{ALERTS}&page=9")).words


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/admin/alerts?", "All is well"),
        ("/admin/alerts?dismissed=true&", "Nothing is dismissed"),
        ("/admin/alerts?level=low&", "No alert fits"),
        ("/admin/alerts?q=nothing&", "No alert fits"),
        ("/admin/alerts?q=x&", "at least 3 signs"),
        ("/admin/alerts/reorder?", "Nothing to reorder"),
    ],
    ids=["none", "none dismissed", "a level", "a search", "a search too short", "none to reorder"],
)
async def test_an_empty_list_says_why(served: Api, path: str, words: str) -> None:
    page = await signed_in(served, "platform_admin").get(f"{path}site={OTHER}")
    assert (page.status, words in page.words, page.every("tr")) == (200, True, [])


@pytest.mark.parametrize("query", ["&page=0", "&level=ok", "&dismissed=some", "&q=%00ab"])
async def test_an_address_that_says_nothing_is_told_so(served: Api, query: str) -> None:
    page = await signed_in(served).get(ALERTS + query)
    assert (page.status, page.one("h1").text) == (422, "The request cannot be understood")


async def test_a_viewer_sees_alerts_and_no_way_to_dismiss_them(served: Api, browser: Browser) -> None:
    for role, dismisses in (("viewer", 0), ("org_admin", 3)):
        page = await signed_in(served, role).get(ALERTS)
        assert numbers(page) == "432"
        assert len([each for each in page.every("a", class_="button") if each.text == "Dismiss"]) == dismisses
        assert len(page.every("input", type="checkbox")) == dismisses
        assert len(page.every("button", id="dismiss-chosen")) == (1 if dismisses else 0)


# ---------------------------------------------------------------- dismissal


async def test_what_is_chosen_is_asked_for_once_more_and_dismissed(api: Api, books: Books) -> None:
    await a_shop(books)
    browser = signed_in(api)
    boxes = [each.attributes["value"] for each in (await browser.get(ALERTS)).every("input", type="checkbox")]
    asked = await browser.get(f"{DISMISSAL}&alert={boxes[0]}&alert={boxes[2]}", htmx=True)
    assert asked.one("h2").text == "Dismiss 2 alerts?"
    assert numbers(await browser.get(ALERTS)) == "432", "nothing is done by looking"
    done = await browser.post(DISMISSAL, {"alerts": asked.value("alerts")})
    assert "Dismissed: 2 alerts." in done.words
    said = [done.response.headers[f"hx-{name}"] for name in ("reswap", "trigger-after-swap")]
    assert said == ["none", "alerts-changed"]
    assert numbers(await browser.get(ALERTS)) == "3"
    hidden = await browser.get(f"{ALERTS}&dismissed=true")
    assert numbers(hidden) == "42"
    assert "by Ada" in hidden.words
    assert hidden.every("input", type="checkbox") == [], "there is no way back"


async def test_one_is_dismissed_by_its_name_and_without_script_in_pages(api: Api, books: Books) -> None:
    await a_shop(books)
    browser = signed_in(api)
    link = (await browser.get(ALERTS)).one("a", id=f"dismiss-{product(3)}_none").attributes["href"]
    asked = await browser.get(link)
    assert (asked.one("h2").text, len(asked.every("html"))) == ("Dismiss Thing 3?", 1)
    done = await browser.post(
        asked.one("form", class_="sheet").attributes["action"], {"alerts": asked.value("alerts")}, htmx=False
    )
    assert (done.status, "Dismissed: 1 alert." in done.words) == (200, True)
    assert numbers(await browser.get(ALERTS)) == "42"


async def test_what_ended_meanwhile_is_told(api: Api, books: Books) -> None:
    await a_shop(books)
    browser = signed_in(api)
    boxes = [each.attributes["value"] for each in (await browser.get(ALERTS)).every("input", type="checkbox")]
    await books.restock(4, 60)
    done = await browser.post(DISMISSAL, {"alerts": " ".join([*boxes, boxes[0]])})
    assert "Dismissed: 2 alerts. 1 had ended already." in done.words


@pytest.mark.parametrize("alerts", ["", "x", "1 2"], ids=["none", "no id", "no ids"])
async def test_a_dismissal_of_nothing_is_refused(served: Api, alerts: str) -> None:
    assert (await signed_in(served).post(DISMISSAL, {"alerts": alerts})).status == 422
    assert (await signed_in(served).get(DISMISSAL, htmx=True)).status == 422


# ---------------------------------------------------------------- what to reorder


async def test_what_is_to_be_reordered_is_told_with_how_much(api: Api, books: Books) -> None:
    await a_shop(books)
    await books.rule(product(2), reorder_point=9, reorder_quantity=48)
    page = await signed_in(api).get(REORDER)
    assert page.one("tr", id=f"due-{product(2)}_none").text == "Low Thing 2 SKU-7 All locations 8 9 48 History"
    assert len(page.every("tr")) == 2


async def test_a_location_short_of_its_own_point_is_told_with_its_name(api: Api, books: Books) -> None:
    made = await api.ask("POST", "/locations", json={"name": "East", "code": "E"})
    assert made.status_code == 201, made.text
    east = made.json()["location_id"]
    await books.restock(1, 60, location_id=east)
    answer = await api.ask("PATCH", f"/items/{product(1)}/locations/{east}", json={"reorder_point": 80})
    assert answer.status_code == 200, answer.text
    row = (await signed_in(api).get(REORDER)).one("tr", id=f"due-{product(1)}_none-{east}").text
    assert "East 60 80" in row
