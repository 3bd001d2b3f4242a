"""Rules on the page: each field says what holds and who says so, and is set, overridden and cleared on its own."""

from typing import Any, Final

import pytest

from tests.admin.looking import Browser, Page, signed_in
from tests.http.booking import Books
from tests.http.books import NOON, VARIANT
from tests.http.running import SITE, Api, product

OF_SITE: Final = f"/admin/alerts/rule?site={SITE}"
OF_VARIANT: Final = f"{OF_SITE}&product={product(1)}&variant={VARIANT}"
AT_PRODUCT: Final = f"{OF_VARIANT}&scope=product"
LOW: Final = "low_stock_threshold"


async def a_mug(books: Books) -> None:
    """One variant, of which 8 are there."""
    await books.announce(1, NOON, variant_id=VARIANT, name="Mug", variant_name="Blue", sku="MUG-B")
    await books.restock(1, 8, NOON, variant_id=VARIANT)


def filled(page: Page) -> dict[str, str]:
    """What the form of a page would send as it stands."""
    inputs = [each for each in page.every("input") if "name" in each.attributes]
    return {each.attributes["name"]: each.attributes.get("value", "") for each in inputs}


async def save(browser: Browser, path: str, *, htmx: bool = True, **fields: object) -> Page:
    """Open the form, change some fields of it and send it."""
    return await browser.post(path, filled(await browser.get(path)) | fields, htmx=htmx)


async def own(api: Api, path: str) -> dict[str, Any]:
    """What the API says that the rule of a scope sets itself."""
    rule = (await api.get(f"/alert-rules/{path}")).json()["rule"] or {}
    return {name: value for name, value in rule.items() if value is not None}


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (
            OF_VARIANT,
            [
                "Set here in place of 13 from the product",
                "Inherited from the site: 4",
                "Inherited from the settings: 1",
            ],
        ),
        (
            AT_PRODUCT,
            ["Set here in place of 12 from the site", "Inherited from the site: 4", "Inherited from the settings: 1"],
        ),
        (
            OF_SITE,
            [
                "Set here in place of 11 from the settings",
                "Set here in place of 3 from the default",
                "Inherited from the settings: 1",
            ],
        ),
    ],
    ids=["variant", "product", "site"],
)
async def test_a_field_says_what_holds_and_who_says_so(api: Api, books: Books, path: str, said: list[str]) -> None:
    await a_mug(books)
    await books.set(low_stock_threshold=11, out_of_stock_threshold=1)
    await books.rule(low_stock_threshold=12, critical_stock_threshold=4)
    await books.rule(product(1), low_stock_threshold=13)
    await books.rule(product(1), VARIANT, low_stock_threshold=14)
    page = await signed_in(api).get(path)
    assert [page.one("p", id=f"{name}_stock_threshold-said").text for name in ("low", "critical", "out_of")] == said
    assert page.one("input", id="critical_stock_threshold").attributes["placeholder"] in {"3", "4"}
    assert page.one("p", id="notify_webhook-said").text == "Inherited from the default: no"


async def test_the_form_says_how_the_item_stands_and_leads_to_each_scope(api: Api, books: Books) -> None:
    await a_mug(books)
    page = await signed_in(api).get(OF_VARIANT)
    assert page.one("h2").text == "Thresholds of Mug"
    assert "Blue MUG-B 8 available, Low" in page.words
    scopes = [each for each in page.every("a") if each.attributes.get("id", "").startswith("scope-")]
    links = {each.text: each.attributes["href"] for each in scopes}
    assert list(links) == ["This variant", "Whole product", "Whole site"]
    site = await signed_in(api).get(links["Whole site"])
    assert (site.one("a", id="scope-site").attributes["aria-current"], site.one("h2").text) == (
        "true",
        "Thresholds of Mug",
    )


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        (OF_VARIANT, f"products/{product(1)}/variants/{VARIANT}"),
        (AT_PRODUCT, f"products/{product(1)}"),
        (OF_SITE, "site"),
    ],
    ids=["variant", "product", "site"],
)
async def test_a_field_is_overridden_and_cleared_alone(api: Api, books: Books, path: str, rule: str) -> None:
    await a_mug(books)
    browser = signed_in(api)
    done = await save(browser, path, low_stock_threshold="5", notify_email="false")
    assert (done.status, done.response.headers["hx-trigger-after-swap"]) == (200, "alerts-changed")
    assert "Saved: thresholds of" in done.words
    assert await own(api, rule) == {LOW: 5, "notify_email": False}
    await save(browser, path, low_stock_threshold="", backorder_limit="-2", notify_email="false")
    assert await own(api, rule) == {"backorder_limit": -2, "notify_email": False}
    await books.sweep()
    assert (await api.get(f"/items/{product(1)}/{VARIANT}")).json()["alert_level"] == "low"


async def test_two_people_who_change_different_fields_do_not_undo_each_other(api: Api, books: Books) -> None:
    await a_mug(books)
    browser = signed_in(api)
    first = filled(await browser.get(OF_VARIANT))
    await save(browser, OF_VARIANT, critical_stock_threshold="6")
    await browser.post(OF_VARIANT, first | {LOW: "20"})
    assert await own(api, f"products/{product(1)}/variants/{VARIANT}") == {LOW: 20, "critical_stock_threshold": 6}


@pytest.mark.parametrize("htmx", [True, False], ids=["in the dialog", "without script"])
async def test_what_does_not_fit_is_told_at_its_field_and_nothing_is_set(api: Api, books: Books, htmx: bool) -> None:
    await a_mug(books)
    page = await save(
        signed_in(api), OF_VARIANT, htmx=htmx, low_stock_threshold="ten", reorder_quantity="0", reorder_point="3"
    )
    assert page.status == 422
    assert page.one("p", id=f"{LOW}-said").text.startswith("Must be an integer from")
    assert page.one("p", id="reorder_quantity-said").text == "Must be an integer from 1 to 1000000000000000."
    wrong = [each.attributes["name"] for each in page.every("input") if each.attributes.get("aria-invalid") == "true"]
    assert (wrong, page.value(LOW), page.value("reorder_point")) == ([LOW, "reorder_quantity"], "ten", "3")
    assert await own(api, f"products/{product(1)}/variants/{VARIANT}") == {}


async def test_without_script_the_form_says_that_it_is_saved(api: Api, books: Books) -> None:
    await a_mug(books)
    page = await save(signed_in(api), OF_VARIANT, htmx=False, low_stock_threshold="7")
    assert (page.status, page.value(LOW), "Saved." in page.words) == (200, "7", True)


async def test_a_viewer_sees_what_holds_and_nothing_to_set_it_with(api: Api, books: Books) -> None:
    await a_mug(books)
    page = await signed_in(api, "viewer").get(OF_VARIANT)
    assert (page.one("output", id=LOW).text, page.one("output", id="notify_email").text) == ("10", "yes")
    assert [each for tag in ("input", "select", "button") for each in page.every(tag) if each.text != "Sign out"] == []


@pytest.mark.parametrize(
    ("path", "status"),
    [(f"{OF_SITE}&scope=variant", 422), (f"{OF_SITE}&product={product(1)}&scope=variant", 422),
     (f"{OF_SITE}&scope=shelf", 422), (f"{OF_SITE}&product={product(9)}", 404)],
    ids=["a variant of nothing", "a variant of none", "no scope", "an item never seen"],
)  # fmt: skip
async def test_what_has_no_rule_is_told_so(served: Api, path: str, status: int) -> None:
    assert (await signed_in(served).get(path)).status == status
