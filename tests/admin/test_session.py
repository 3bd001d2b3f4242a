"""Signing in and out: which tokens open a session, what its cookie is, and where one is led."""

import time
from urllib.parse import parse_qs, quote, urlsplit

import jwt
import pytest

from stock_worker.http.admin.session import own_path
from tests.admin.looking import FROM_HERE, ORIGIN, TABLE, Browser, signed_in
from tests.http.running import KEY, OTHER, SITE, Api, serving

SIGN_IN = "/admin/sign-in"


def signed(key: str = KEY, **claims: object) -> str:
    """A token of a viewer with other claims, or of another key."""
    said = {"sub": "ada", "role": "viewer", "sites": [SITE], "exp": int(time.time()) + 3600, **claims}
    return jwt.encode(said, key, "HS256")


async def test_a_token_opens_a_session_and_leads_back_to_where_one_was(served: Api) -> None:
    there = f"{TABLE}?site={SITE}&status=low_stock"
    asked = await Browser(served, None).get(there)
    assert asked.status == 303
    to = urlsplit(asked.response.headers["location"])
    assert (to.path, parse_qs(to.query)) == (SIGN_IN, {"next": [there]})
    form = await Browser(served, None).get(asked.response.headers["location"])
    assert form.value("next") == there
    given = signed()
    answer = await Browser(served, None).post(SIGN_IN, {"token": given, "next": there}, htmx=False)
    assert (answer.status, answer.response.headers["location"]) == (303, there)
    assert (await Browser(served, given).get(there)).status == 200


@pytest.mark.parametrize(("scheme", "secure"), [("http", False), ("https", True)], ids=["over http", "over https"])
async def test_no_script_reads_the_cookie_and_no_other_site_sends_it(served: Api, scheme: str, secure: bool) -> None:
    given = signed()
    answer = await served.client.post(
        f"{scheme}://stock.test{SIGN_IN}", data={"token": given}, headers={"Origin": f"{scheme}://stock.test"}
    )
    name, *attributes = answer.headers["set-cookie"].split("; ")
    assert name == f"stock_session={given}"
    said = {each.partition("=")[0].lower(): each.partition("=")[2] for each in attributes}
    assert said["samesite"] == "strict"
    assert said["path"] == "/admin"
    assert 3500 < int(said["max-age"]) <= 3600, "it ends with the token"
    assert "httponly" in said
    assert ("secure" in said) is secure


NO_SESSION = {
    "nothing": "",
    "nonsense": "nonsense",
    "expired": signed(exp=int(time.time()) - 3600),
    "of another key": signed("another key, which is as long as the first one is"),
    "without a role": signed(role="owner"),
}


@pytest.mark.parametrize("which", NO_SESSION)
async def test_what_the_api_would_not_take_opens_no_session(served: Api, which: str) -> None:
    answer = await Browser(served, None).post(SIGN_IN, {"token": NO_SESSION[which]}, htmx=False)
    assert answer.status == 401
    assert "set-cookie" not in answer.response.headers
    assert answer.one("p", class_="refused").text
    asked = await Browser(served, NO_SESSION[which] or None).get()
    assert (asked.status, urlsplit(asked.response.headers["location"]).path) == (303, SIGN_IN)


async def test_a_token_for_another_audience_opens_no_session(database: str) -> None:
    async with serving(database, jwt_audience="stock") as api:
        for audience, status in (("stock", 303), ("shop", 401)):
            answer = await Browser(api, None).post(SIGN_IN, {"token": signed(aud=audience)}, htmx=False)
            assert answer.status == status


async def test_who_was_signed_in_is_told_that_the_session_has_ended(served: Api) -> None:
    asked = await Browser(served, NO_SESSION["expired"]).get()
    assert "has ended" in (await Browser(served, None).get(asked.response.headers["location"])).words


async def test_htmx_is_led_to_sign_in_as_a_whole_page_and_back_to_what_is_shown(served: Api) -> None:
    current = f"{ORIGIN}{TABLE}?site={SITE}&q=mug"
    asked = await Browser(served, None, {"HX-Current-URL": current}).get(f"{TABLE}/rows?site={SITE}&item=x", htmx=True)
    to = asked.response.headers["hx-redirect"]
    assert parse_qs(urlsplit(to).query)["next"] == [f"{TABLE}?site={SITE}&q=mug"]


async def test_a_token_too_long_for_a_cookie_is_told_so(served: Api) -> None:
    answer = await Browser(served, None).post(SIGN_IN, {"token": signed(more="x" * 5_000)}, htmx=False)
    assert (answer.status, "too long for a cookie" in answer.words) == (422, True)
    assert "set-cookie" not in answer.response.headers


@pytest.mark.parametrize(
    "path",
    ["https://evil.test/admin/", "//evil.test/admin/", "/\\evil.test/admin/", "/elsewhere", "javascript:alert(1)", "",
     "/admin/\r\nSet-Cookie: a=b"],
)  # fmt: skip
async def test_nobody_is_led_away_from_here(served: Api, path: str) -> None:
    assert own_path(path) == TABLE
    answer = await Browser(served, None).post(SIGN_IN, {"token": signed(), "next": path}, htmx=False)
    assert answer.response.headers["location"] == TABLE


async def test_to_sign_out_is_to_forget_the_token(served: Api) -> None:
    answer = await signed_in(served).post("/admin/sign-out", {}, htmx=False)
    assert (answer.status, answer.response.headers["location"]) == (303, SIGN_IN)
    assert 'stock_session="";' in answer.response.headers["set-cookie"]
    assert "Max-Age=0" in answer.response.headers["set-cookie"]


async def test_a_link_from_elsewhere_asks_again_from_here_where_the_cookie_is_sent(served: Api) -> None:
    """SameSite=Strict keeps the cookie back on a link in a mail; once, and a second time it is really not there."""
    path = f"{TABLE}?site={SITE}"
    asked = await Browser(served, None).ask("GET", path, headers={"Sec-Fetch-Site": "cross-site"})
    assert asked.status == 200
    assert asked.one("meta", http_equiv="refresh").attributes["content"] == f"0; url={path}"
    assert (await Browser(served, None).ask("GET", path, headers={"Sec-Fetch-Site": "same-origin"})).status == 303


# ---------------------------------------------------------------- sites


async def test_one_who_has_one_site_is_there(served: Api) -> None:
    assert (await signed_in(served).get(site=None)).one("section", id="results").attributes["data-site"] == SITE


async def test_one_who_has_several_picks_one(served: Api) -> None:
    browser = signed_in(served, sites=(SITE, OTHER))
    asked = await browser.get(site=None)
    assert asked.response.headers["location"] == "/admin/sites"
    links = [each.attributes["href"] for each in (await browser.get("/admin/sites")).every("a", class_="mono")]
    assert links == [f"{TABLE}?site={site}" for site in sorted((SITE, OTHER))]


async def test_a_platform_admin_picks_a_site_with_items_or_types_one(api: Api) -> None:
    await api.stock()
    browser = signed_in(api, "platform_admin", ())
    assert [each.text for each in (await browser.get("/admin/sites")).every("a", class_="mono")] == [SITE]
    typed = await browser.get(f"/admin/sites?site={OTHER}")
    assert (typed.status, typed.response.headers["location"]) == (303, f"{TABLE}?site={OTHER}")
    wrong = await browser.get(f"/admin/sites?site={quote('<i>no id')}")
    assert (wrong.status, wrong.value("site")) == (422, "<i>no id")


async def test_one_who_has_no_site_is_told_so(served: Api) -> None:
    assert "for no site" in (await signed_in(served, sites=()).get("/admin/sites")).words


async def test_the_root_leads_to_the_inventory(served: Api) -> None:
    assert (await served.client.get(f"{ORIGIN}/admin", headers=FROM_HERE)).headers["location"] == TABLE
