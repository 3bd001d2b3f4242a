"""Contract section 7, settings: the admin's names, each with its default, what fits it and what does not."""

import asyncio

import pytest

from tests.http.own_site import own_site
from tests.http.running import Api, token

DEFAULTS = {
    "default_low_threshold": 10,
    "default_critical_threshold": 3,
    "default_out_threshold": 0,
    "email_recipients": [],
    "email_frequency": "daily",
    "dashboard_enabled": True,
    "webhook_url": None,
    "webhook_enabled": False,
    "mode": "sale",
    "reservation_ttl": None,
    "timezone": "UTC",
    "currency": None,
}
FIT = {
    "default_low_threshold": 25,
    "default_critical_threshold": -5,
    "default_out_threshold": 10**15,
    "email_recipients": ["ada@shop.test", "bob@shop.test"],
    "email_frequency": "instant",
    "dashboard_enabled": False,
    "webhook_url": "https://shop.test/hook?of=stock",
    "webhook_enabled": True,
    "mode": "reserve",
    "reservation_ttl": 900,
    "timezone": "Europe/Paris",
    "currency": "EUR",
}
UNFIT = {
    "default_low_threshold": "5",
    "default_critical_threshold": 10**15 + 1,
    "default_out_threshold": True,
    "email_recipients": ["ada at shop"],
    "email_frequency": "hourly",
    "dashboard_enabled": "yes",
    "webhook_url": "ftp://shop.test",
    "webhook_enabled": 1,
    "mode": "hold",
    "reservation_ttl": 0,
    "timezone": "Europe/Atlantis",
    "currency": "euro",
}


@pytest.fixture
def api(served: Api) -> Api:
    """The API, and a site of which nothing is known."""
    return own_site(served)


async def patch(api: Api, **given: object) -> dict:
    answer = await api.ask("PATCH", "/settings", json=given)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def jobs(api: Api) -> int:
    """How many re-evaluations of the site wait for the sweeper."""
    async with api.backend.reading([api.site_id]) as connection:
        return await connection.fetchval("SELECT count(*) FROM stock.reevaluations WHERE site_id = $1", api.site_id)


async def test_a_site_that_set_nothing_is_told_what_holds(api: Api) -> None:
    answer = await api.get("/settings", bearer=api.token("viewer"))
    assert (answer.status_code, answer.json()) == (200, DEFAULTS)


@pytest.mark.parametrize("name", DEFAULTS)
async def test_each_field_is_set_alone_and_null_goes_back(api: Api, name: str) -> None:
    assert await patch(api, **{name: FIT[name]}) == DEFAULTS | {name: FIT[name]}
    assert (await api.get("/settings")).json() == DEFAULTS | {name: FIT[name]}
    assert await patch(api) == DEFAULTS | {name: FIT[name]}, "what is absent stays"
    assert await patch(api, **{name: None}) == DEFAULTS


@pytest.mark.parametrize("name", DEFAULTS)
async def test_what_does_not_fit_changes_nothing(api: Api, name: str) -> None:
    others = {other: value for other, value in FIT.items() if other != name}
    answer = await api.ask("PATCH", "/settings", json={**others, name: UNFIT[name]})
    assert (answer.status_code, answer.json()["code"]) == (422, "malformed")
    assert name in answer.json()["detail"]
    assert (await api.get("/settings")).json() == DEFAULTS


@pytest.mark.parametrize(
    "body",
    [
        b'{"low_stock_threshold": 5}',
        b'{"\\ud800": 5}',
        b'{"timezone": "\\ud800"}',
        b'{"timezone": "a\\u0000"}',
        b'{"webhook_url": "https://a\\u0000"}',
        b'{"email_recipients": ["a@b\\u0000"]}',
        b'{"currency": "EUR\\n"}',
        b'{"default_low_threshold": 1' + b"0" * 5_000 + b"}",
        b'{"default_low_threshold": NaN}',
        b"[]",
        b"5",
        b"\xff",
        b"",
    ],
)
async def test_a_body_that_is_no_change_is_422(api: Api, body: bytes) -> None:
    answer = await api.ask("PATCH", "/settings", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (422, "malformed"), answer.text
    assert (await api.get("/settings")).json() == DEFAULTS


async def test_a_threshold_that_changes_leaves_a_job_and_nothing_else_does(api: Api) -> None:
    await patch(api, timezone="Europe/Paris", email_frequency="weekly")
    assert await jobs(api) == 0
    await patch(api, default_low_threshold=20)
    assert await jobs(api) == 1
    await patch(api, default_low_threshold=20)
    assert await jobs(api) == 1, "nothing changed"


async def test_two_that_change_different_fields_at_once_lose_nothing(api: Api) -> None:
    await asyncio.gather(*(patch(api, **{name: value}) for name, value in FIT.items()))
    assert (await api.get("/settings")).json() == FIT


async def test_who_may(api: Api) -> None:
    stranger = token("org_admin", (own_site(api).site_id,))
    for bearer, reads, changes in (
        (None, 401, 401),
        (stranger, 403, 403),
        (api.token("viewer"), 200, 403),
        (api.token("org_admin"), 200, 200),
        (token("platform_admin", ()), 200, 200),
    ):
        assert (await api.get("/settings", bearer=bearer)).status_code == reads
        assert (await api.ask("PATCH", "/settings", bearer=bearer, json={})).status_code == changes


async def test_what_one_site_sets_holds_for_no_other(api: Api) -> None:
    other = own_site(api)
    await patch(other, mode="reserve")
    both = token("viewer", (api.site_id, other.site_id))
    assert (await api.get("/settings", bearer=both)).json() == DEFAULTS
