"""A site's settings (contract section 7): defaults, what is refused, and what a change leaves behind."""

from typing import Any

import pytest

from stock_worker.core.model import Mode
from stock_worker.core.policy import NO_SETTINGS, Settings
from stock_worker.store.steering import settings
from stock_worker.store.steering.refused import Refused, Why
from tests.store.steering.conftest import Site

EVERYTHING: dict[str, Any] = {
    "low_stock_threshold": 20,
    "critical_stock_threshold": 5,
    "out_of_stock_threshold": 1,
    "email_recipients": ["ops@example.com", "ada+stock@example.com"],
    "email_frequency": "weekly",
    "dashboard_enabled": False,
    "webhook_url": "https://hooks.example.com/stock?key=1",
    "webhook_enabled": True,
    "mode": "reserve",
    "reservation_ttl": 900,
    "timezone": "Europe/Paris",
    "currency": "EUR",
}


async def set_(site: Site, **given: object) -> Settings:
    """Change settings."""
    changed = await settings.change(site.worker, site.site_id, given)
    assert isinstance(changed, Settings), changed
    return changed


async def left(site: Site) -> tuple[int | None, int]:
    """The site's stamp, and how many jobs wait."""
    stamp = await site.ask("SELECT stamp FROM stock.site_settings WHERE site_id = $1")
    return stamp, await site.ask("SELECT count(*) FROM stock.reevaluations WHERE site_id = $1 AND NOT limit_changed")


async def test_7_a_site_that_has_set_nothing_has_the_defaults(site: Site) -> None:
    assert await settings.read(site.worker, site.site_id) == NO_SETTINGS
    assert await site.ask("SELECT count(*) FROM stock.site_settings WHERE site_id = $1") == 0


async def test_7_every_setting_can_be_set_and_goes_back_to_its_default(site: Site) -> None:
    assert set(EVERYTHING) == set(settings.FIELDS) == set(Settings._fields)
    changed = await set_(site, **EVERYTHING)
    wanted = EVERYTHING | {"email_recipients": tuple(EVERYTHING["email_recipients"]), "mode": Mode.RESERVE}
    assert changed._asdict() == wanted
    assert await settings.read(site.worker, site.site_id) == changed
    assert (site.site_id, changed) in await settings.list_sites(site.worker, 1_000)
    assert await set_(site, **dict.fromkeys(EVERYTHING)) == NO_SETTINGS
    assert await settings.read(site.worker, site.site_id) == NO_SETTINGS


async def test_7_what_is_absent_stays(site: Site) -> None:
    await set_(site, **EVERYTHING)
    changed = await set_(site, timezone="UTC")
    assert changed._asdict() | {"timezone": "Europe/Paris"} == (await set_(site, timezone="Europe/Paris"))._asdict()


MALFORMED: list[tuple[dict[str, Any], str]] = [
    ({"colour": 1}, "colour is no field of a site's settings; one of: low_stock_threshold, "),
    ({"low_stock_threshold": 10**15 + 1}, "low_stock_threshold must be an integer from "),
    ({"email_recipients": "ops@example.com"}, "email_recipients must be a list of at most 100 email addresses"),
    ({"email_recipients": ["ops"]}, "email_recipients must be a list of email addresses, and one of them is none"),
    ({"email_recipients": ["a@b", 5]}, "email_recipients must be a list of email addresses, and one of them is none"),
    ({"email_recipients": [f"{n}@b" for n in range(101)]}, "email_recipients must be a list of at most 100"),
    ({"email_frequency": "hourly"}, "email_frequency must be one of: instant, daily, weekly"),
    ({"dashboard_enabled": "true"}, "dashboard_enabled must be true or false"),
    *(
        ({"webhook_url": url}, "webhook_url must be a URL that begins with http:// or https://")
        for url in ("ftp://a", "//a", "https://", "https://a b", "http://a:port", "http://[a", 5, "", "x" * 2_001)
    ),
    ({"mode": "gift"}, "mode must be one of: sale, reserve"),
    *(({"reservation_ttl": value}, "reservation_ttl must be an integer from 1 to 3162240000") for value in (0, 10**10)),
    *(
        ({"timezone": zone}, "timezone must be the name of a time zone in the IANA database, such as Europe/Paris")
        for zone in ("Mars/Olympus", "europe/paris", "../etc/passwd", "Europe", ["UTC"], "")
    ),
    *(
        ({"currency": currency}, "currency must be three capital letters (ISO 4217), such as EUR")
        for currency in ("eur", "EURO", "EU", "EUR\n", 978)
    ),
]


@pytest.mark.parametrize(("given", "words"), MALFORMED, ids=[str(given) for given, _ in MALFORMED])
async def test_7_a_malformed_setting_is_refused_and_changes_nothing(
    site: Site, given: dict[str, Any], words: str
) -> None:
    before = await site.state()
    refused = await settings.change(site.worker, site.site_id, {"low_stock_threshold": 7, **given})
    assert isinstance(refused, Refused)
    assert (refused.why, refused.message[: len(words)]) == (Why.MALFORMED, words)
    assert await site.state() == before


@pytest.mark.parametrize("name", EVERYTHING)
async def test_rule_10_a_change_leaves_a_stamp_and_for_thresholds_a_job(site: Site, name: str) -> None:
    jobs = int(name.endswith("_threshold"))
    await set_(site, **{name: EVERYTHING[name]})
    assert await left(site) == (1, jobs)
    await set_(site, **{name: EVERYTHING[name]})
    assert await left(site) == (1, jobs), "nothing changed"
    await set_(site, **{name: None})
    assert await left(site) == (2, 2 * jobs)
