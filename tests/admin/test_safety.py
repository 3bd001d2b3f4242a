"""What a browser is allowed, what another site can do, and who may do what: every route of the page."""

import hashlib
from importlib import resources
from typing import Final

import pytest

from stock_worker.http.admin.rendering import POLICY
from stock_worker.http.admin.static_files import FILES, KINDS, address_of
from stock_worker.http.app import create_app
from stock_worker.metrics import Metrics
from tests.admin.looking import FROM_HERE, ORIGIN, TABLE, Browser, signed_in
from tests.http.booking import Books
from tests.http.books import NOON
from tests.http.routes import routes_of
from tests.http.running import OTHER, SITE, Api, product

ITEM: Final = f"site={SITE}&product={product(1)}"
ANYBODY, SIGNED_IN, READS, WRITES = "anybody", "signed in", "reads", "writes"
NEEDS: Final = {
    "GET /admin": ANYBODY,
    "GET /admin/alerts": READS,
    "GET /admin/alerts/dismissal": WRITES,
    "GET /admin/alerts/reorder": READS,
    "GET /admin/alerts/rule": READS,
    "GET /admin/dead-letters": READS,
    "GET /admin/dead-letters/discard": WRITES,
    "GET /admin/dead-letters/letter": READS,
    "GET /admin/dead-letters/replay": WRITES,
    "GET /admin/inventory": READS,
    "GET /admin/inventory/adjust": WRITES,
    "GET /admin/inventory/bulk": WRITES,
    "GET /admin/inventory/history": READS,
    "GET /admin/inventory/live": READS,
    "GET /admin/inventory/rows": READS,
    "GET /admin/locations": READS,
    "GET /admin/locations/edit": WRITES,
    "GET /admin/locations/new": WRITES,
    "GET /admin/locations/preview": WRITES,
    "GET /admin/locations/transfer": WRITES,
    "GET /admin/orders": READS,
    "GET /admin/pictures/{motif}-{colour}.svg": ANYBODY,
    "GET /admin/reports": READS,
    "GET /admin/reports/{name}": READS,
    "GET /admin/reports/{name}.csv": READS,
    "GET /admin/settings": READS,
    "GET /admin/sign-in": ANYBODY,
    "GET /admin/sites": SIGNED_IN,
    "GET /admin/static/{name}": ANYBODY,
    "POST /admin/alerts/dismissal": WRITES,
    "POST /admin/alerts/rule": WRITES,
    "POST /admin/dead-letters/discard": WRITES,
    "POST /admin/dead-letters/replay": WRITES,
    "POST /admin/inventory/adjust": WRITES,
    "POST /admin/inventory/bulk": WRITES,
    "POST /admin/inventory/undo": WRITES,
    "POST /admin/locations/edit": WRITES,
    "POST /admin/locations/move": WRITES,
    "POST /admin/locations/new": WRITES,
    "POST /admin/locations/state": WRITES,
    "POST /admin/locations/transfer": WRITES,
    "POST /admin/settings": WRITES,
    "POST /admin/sign-in": ANYBODY,
    "POST /admin/sign-out": ANYBODY,
}
QUERIES: Final = dict.fromkeys(("/rows", "/bulk"), f"&item={product(1)}_none")
PAGES: Final = {
    "sign-in": "/admin/sign-in",
    "sites": "/admin/sites",
    "the table": f"{TABLE}?site={SITE}",
    "the form": f"{TABLE}/adjust?{ITEM}",
    "the history": f"{TABLE}/history?{ITEM}",
    "the alerts": f"/admin/alerts?site={SITE}",
    "the dismissal": f"/admin/alerts/dismissal?site={SITE}&alert={OTHER}",
    "what to reorder": f"/admin/alerts/reorder?site={SITE}",
    "the rule": f"/admin/alerts/rule?{ITEM}",
    "the settings": f"/admin/settings?site={SITE}",
    "the locations": f"/admin/locations?site={SITE}",
    "a new location": f"/admin/locations/new?site={SITE}",
    "a transfer": f"/admin/locations/transfer?{ITEM}",
    "no item to transfer": f"/admin/locations/transfer?site={SITE}",
    "the orders": f"/admin/orders?site={SITE}&order=O",
    "the dead letters": f"/admin/dead-letters?site={SITE}",
    "the reports": f"/admin/reports?site={SITE}",
    "a report": f"/admin/reports/valuation?site={SITE}",
    "the form of several": f"{TABLE}/bulk?{ITEM}&item={product(1)}_none",
    "a problem": f"{TABLE}?site={OTHER}",
    "no such page": f"{TABLE}?site={SITE}&page=0",
}


def admin_routes(api: Api) -> list[tuple[str, str]]:
    """Every route of the page, by method and path."""
    routes = routes_of(create_app(api.backend, Metrics()))
    return [(each.method, each.template) for each in routes if each.template.startswith("/admin")]


async def test_every_route_has_its_row_and_every_row_its_route(api: Api) -> None:
    assert {f"{method} {path}" for method, path in admin_routes(api)} == set(NEEDS)


@pytest.mark.parametrize(
    ("role", "sites", "needs", "status"),
    [
        ("viewer", (SITE,), WRITES, 403),
        ("viewer", (OTHER,), READS, 403),
        ("org_admin", (OTHER,), READS, 403),
        ("org_admin", (OTHER,), WRITES, 403),
        (None, (), SIGNED_IN, 303),
        (None, (), READS, 303),
        (None, (), WRITES, 303),
    ],
    ids=lambda value: value if isinstance(value, str) else ("other" if value == (OTHER,) else None),
)
async def test_who_may_not_is_refused_or_signs_in(
    api: Api, role: str | None, sites: tuple[str, ...], needs: str, status: int
) -> None:
    await api.stock()
    browser = Browser(api, None) if role is None else signed_in(api, role, sites)
    asked = [each for each in admin_routes(api) if NEEDS[" ".join(each)] == needs]
    assert asked
    for method, path in asked:
        query = QUERIES.get(path.removeprefix(TABLE), "")
        answer = await browser.ask(method, f"{path}?{ITEM}{query}", headers=FROM_HERE)
        assert answer.status == status, (method, path)


async def test_a_viewer_sees_no_control_that_changes_anything(api: Api) -> None:
    await api.stock()
    for role, count in (("viewer", 0), ("org_admin", 1), ("platform_admin", 1)):
        page = await signed_in(api, role).get()
        assert len([each for each in page.every("a", class_="button") if each.text == "Adjust"]) == count
        assert len(page.every("input", name="item")) == len(page.every("form", id="selection")) == count


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://evil.test"},
        {"Origin": "null"},
        {"Origin": ORIGIN, "Sec-Fetch-Site": "cross-site"},
        {"Origin": ORIGIN, "Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
    ],
    ids=["of nowhere", "of another site", "of no origin", "cross-site", "of a sister", "typed"],
)
async def test_a_form_of_another_site_changes_nothing(api: Api, headers: dict[str, str]) -> None:
    await api.stock(quantity=5)
    browser = signed_in(api)
    form = {"kind": "damage", "quantity": "1", "key": "k"}
    assert (await browser.post(f"{TABLE}/adjust?{ITEM}", form, headers=headers)).status == 403
    others = ("alerts/dismissal", "alerts/rule", "settings")
    for path in (
        "/admin/sign-in",
        "/admin/sign-out",
        f"{TABLE}/undo?{ITEM}",
        f"{TABLE}/bulk?{ITEM}&item={product(1)}_none",
        *(f"/admin/{each}?{ITEM}" for each in others),
    ):
        answer = await browser.post(path, {"token": "x"}, headers=headers)
        assert (answer.status, "set-cookie" in answer.response.headers) == (403, False), path
    assert (await api.get(f"/items/{product(1)}")).json()["quantity"] == 5


@pytest.mark.parametrize("name", PAGES)
async def test_the_browser_runs_nothing_that_stands_in_a_page(api: Api, name: str) -> None:
    await api.stock()
    page = await signed_in(api).get(PAGES[name])
    assert page.response.headers["content-security-policy"] == POLICY
    assert page.response.headers["cache-control"] == "no-store"
    for each in page.elements:
        assert each.tag != "style", "the policy shows no style that stands in the page"
        assert each.tag != "script" or (each.attributes["src"].startswith("/admin/static/") and not each.text)
        assert not [name for name in each.attributes if name.startswith(("on", "hx-on")) or name == "style"], each
    assert '"allowEval":false' in page.text


def test_the_policy_lets_only_our_files_run() -> None:
    allowed = dict(part.split(" ", 1) for part in POLICY.split("; "))
    assert (allowed["default-src"], allowed["script-src"], allowed["style-src"]) == ("'none'", "'self'", "'self'")
    assert "unsafe" not in POLICY
    assert (allowed["form-action"], allowed["frame-ancestors"]) == ("'self'", "'none'")


MARKUP: Final = "<script>alert(1)</script>\"'&{{ 731*7 }}"


async def test_markup_in_a_name_is_text(api: Api, books: Books) -> None:
    said = dict.fromkeys(("name", "variant_name", "sku", "category_id", "category_name"), MARKUP)
    await books.announce(1, NOON, **said, image_url='https://pictures.test/"onerror="alert(1)')
    body = {"lines": [{"product_id": product(1), "quantity": 1}], "reason": MARKUP, "note": MARKUP}
    assert (await api.write("/restocks", body)).status_code == 200
    paths = (f"{TABLE}?site={SITE}", f"{TABLE}/adjust?{ITEM}", f"{TABLE}/history?{ITEM}")
    several = f"{TABLE}/bulk?site={SITE}&item={product(1)}_none"
    for path in (*paths, several, f"/admin/alerts?site={SITE}", f"/admin/alerts/rule?{ITEM}"):
        page = await signed_in(api).get(path)
        assert page.status == 200
        assert "alert(1)</script>" not in page.text
        assert MARKUP in page.one("title").text + page.one("main").text, path
        assert "5117" not in page.one("main").text
        assert not [each for each in page.elements if "onerror" in each.attributes]
    searched = await signed_in(api).get(q=MARKUP)
    assert searched.value("q") == MARKUP


LOADED: Final = ("https://a.test/x.png", "/admin/pictures/mug-blue.svg")
NOT_LOADED: Final = ("http://a.test/x.png", "//a.test/x.png", "/admin/sites", "javascript:alert(1)", "data:,")


async def test_a_picture_is_only_loaded_from_here_and_over_https(api: Api, books: Books) -> None:
    for number, url in enumerate(LOADED + NOT_LOADED, 1):
        await books.announce(number, image_url=url)
    pictures = [each.attributes["src"] for each in (await signed_in(api).get()).every("img")]
    assert pictures == list(LOADED)


# ---------------------------------------------------------------- files


@pytest.mark.parametrize("name", FILES)
async def test_a_file_is_kept_for_ever_under_an_address_that_names_its_contents(served: Api, name: str) -> None:
    found = await served.client.get(ORIGIN + address_of(name))
    assert found.status_code == 200
    assert found.headers["content-type"].split(";")[0] == KINDS[name.rpartition(".")[2]]
    assert "immutable" in found.headers["cache-control"]
    assert found.headers["content-encoding"] == "gzip"
    assert address_of(name).split(".")[-2] == hashlib.sha256(found.content).hexdigest()[:12]
    plain = await served.client.get(ORIGIN + address_of(name), headers={"Accept-Encoding": "identity"})
    assert (plain.content, "content-encoding" in plain.headers) == (found.content, False)


@pytest.mark.parametrize("name", ["app.css", "..%2frendering.py", "README.md", "app.000000000000.css"])
async def test_nothing_else_is_given(served: Api, name: str) -> None:
    assert (await served.client.get(f"{ORIGIN}/admin/static/{name}")).status_code == 404


def test_htmx_is_the_release() -> None:
    """Version 2.0.11."""
    part = resources.files("stock_worker.http.admin") / "static" / "htmx.min.js"
    assert hashlib.sha256(part.read_bytes()).hexdigest() == (
        "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717"
    )


async def test_a_first_look_is_small(api: Api, books: Books) -> None:
    """Everything that a browser loads for a full page of 50 items, headers left out; the bound is 150 kB."""
    for number in range(1, 51):
        await books.announce(number, sku=f"SKU-{number}", category_id="c", category_name="Things")
        await books.restock(number, number)
    page = await signed_in(api).get()
    loads = [each.attributes["href"] for each in page.every("link")] + [
        each.attributes["src"] for each in page.every("script")
    ]
    answers = [page.response, *[await api.client.get(ORIGIN + path) for path in loads]]
    assert len(page.items) == 50
    assert sum(int(each.headers["content-length"]) for each in answers) < 50_000
