"""Settings on the page: what is shown holds, what is changed is kept, and what does not fit is told at its field."""

from typing import Any, Final

import pytest

from tests.admin.looking import Browser, Page, signed_in
from tests.http.running import SITE, Api

SETTINGS: Final = f"/admin/settings?site={SITE}"
KEPT: Final[dict[str, Any]] = {
    "default_low_threshold": 20,
    "default_critical_threshold": 5,
    "default_out_threshold": -1,
    "email_recipients": ["ada@shop.test", "bob@shop.test"],
    "email_frequency": "instant",
    "dashboard_enabled": False,
    "webhook_url": "https://shop.test/hook",
    "webhook_enabled": True,
    "mode": "reserve",
    "reservation_ttl": 900,
    "timezone": "Asia/Tokyo",
    "currency": "JPY",
}
TYPED: Final = {
    "default_low_threshold": "20",
    "default_critical_threshold": "5",
    "default_out_threshold": "-1",
    "email_recipients": "ada@shop.test\r\nbob@shop.test",
    "email_frequency": "instant",
    "webhook_url": "https://shop.test/hook",
    "webhook_enabled": "true",
    "mode": "reserve",
    "reservation_ttl": "900",
    "timezone": "Asia/Tokyo",
    "currency": "JPY",
}


async def shown(browser: Browser) -> dict[str, str]:
    """What each field was filled with."""
    inputs = (await browser.get(SETTINGS)).every("input", type="hidden")
    return {
        each.attributes["name"]: each.attributes["value"] for each in inputs if each.attributes["name"][:4] == "was-"
    }


async def save(browser: Browser, *, htmx: bool = True, **fields: str) -> Page:
    """Change some fields of the form as it is shown, and send it."""
    was = await shown(browser)
    return await browser.post(SETTINGS, was | {name[4:]: value for name, value in was.items()} | fields, htmx=htmx)


async def told(api: Api) -> dict[str, Any]:
    return (await api.get("/settings")).json()


async def test_every_setting_is_shown_kept_and_emptied(api: Api) -> None:
    browser = signed_in(api)
    before = await told(api)
    was = await shown(browser)
    assert {name[4:] for name in was} == set(before) == set(KEPT)
    page = await browser.post(SETTINGS, was | TYPED)
    assert (page.status, "Saved." in page.words) == (200, True)
    assert await told(api) == KEPT
    again = await browser.get(SETTINGS)
    assert (again.value("timezone"), again.one("textarea").text) == ("Asia/Tokyo", "ada@shop.test bob@shop.test")
    await browser.post(SETTINGS, {**(await shown(browser)), "dashboard_enabled": "true"})
    assert await told(api) == before, "an empty field goes back to its default"


@pytest.mark.parametrize(
    ("field", "typed", "words"),
    [
        ("timezone", "Mars/Olympus", "Must be the name of a time zone in the IANA database, such as Europe/Paris."),
        ("currency", "euro", "Must be three capital letters (ISO 4217), such as EUR."),
        ("webhook_url", "shop.test", "Must be a URL that begins with http:// or https://."),
        ("email_recipients", "ada", "Must be a list of email addresses, and one of them is none."),
        ("default_low_threshold", "1.5", "Must be an integer from -1000000000000000 to 1000000000000000."),
        ("reservation_ttl", "0", "Must be an integer from 1 to 3162240000."),
        ("mode", "gift", "Must be one of: sale, reserve."),
        ("webhook_enabled", "maybe", "Must be true or false."),
    ],
)
async def test_what_does_not_fit_is_told_at_its_field(served: Api, field: str, typed: str, words: str) -> None:
    before = await told(served)
    for htmx in (True, False):
        page = await save(signed_in(served), htmx=htmx, **{field: typed, "default_out_threshold": "-5"})
        assert (page.status, page.one("p", id=f"{field}-said").text) == (422, words)
        assert "Nothing is saved yet" in page.words
        assert page.value("default_out_threshold") == "-5", "what was typed stays"
    assert await told(served) == before


async def test_all_faults_are_told_at_once_and_the_first_has_the_focus(served: Api) -> None:
    page = await save(signed_in(served), timezone="Mars", currency="x")
    wrong = [each.attributes["name"] for each in page.every("input") if each.attributes.get("aria-invalid") == "true"]
    focused = [each.attributes["name"] for each in page.every("input") if "autofocus" in each.attributes]
    assert (wrong, focused) == (["timezone", "currency"], ["timezone"])


async def test_two_people_who_change_different_settings_do_not_undo_each_other(api: Api) -> None:
    browser = signed_in(api)
    was = await shown(browser)
    typed = {name[4:]: value for name, value in was.items()}
    await save(browser, currency="EUR")
    await browser.post(SETTINGS, was | typed | {"timezone": "Asia/Tokyo"})
    found = await told(api)
    assert (found["currency"], found["timezone"]) == ("EUR", "Asia/Tokyo")


async def test_a_viewer_reads_the_settings_and_has_nothing_to_change_them_with(served: Api) -> None:
    page = await signed_in(served, "viewer").get(SETTINGS)
    read = {name: page.one("output", id=name).text for name in ("timezone", "dashboard_enabled", "mode", "webhook_url")}
    assert read == {
        "timezone": "UTC",
        "dashboard_enabled": "On",
        "mode": "Takes stock at once",
        "webhook_url": "None",
    }
    assert [each for tag in ("input", "select", "textarea", "datalist") for each in page.every(tag)] == []
    assert [each.text for each in page.every("button")] == ["Sign out"]
