"""Dismissing alerts (contract rule 10): one episode, the current one."""

from uuid import uuid4

import pytest

from stock_worker.store.steering import alerts
from stock_worker.store.steering.alerts import Dismissal
from stock_worker.store.steering.refused import Refused, Why
from tests.store.records import line
from tests.store.steering.conftest import Site


async def at(site: Site, on_hand: int) -> str:
    """Bring item a to this stock; gives the id of the alert that it is at then."""
    now = await site.ask("SELECT coalesce(sum(on_hand), 0) FROM stock.items WHERE site_id = $1")
    await site.apply(
        "stock-adjustment", reference_id=str(uuid4()), type="adjustment", lines=[line("a", on_hand - int(now))]
    )
    return str(await site.ask("SELECT alert_id FROM stock.items WHERE site_id = $1"))


async def dismiss(site: Site, alert_id: str, by: str = "Ada") -> Dismissal | Refused:
    """Dismiss an alert of the site."""
    return await alerts.dismiss(site.worker, site.site_id, alert_id, by)


async def dismissed(site: Site) -> int:
    """How many alerts of the site were dismissed."""
    return int(await site.ask("SELECT count(*) FROM stock.dismissals WHERE site_id = $1"))


async def test_rule_10_the_alert_that_an_item_is_at_is_dismissed_once(site: Site) -> None:
    low = await at(site, 8)
    first = await dismiss(site, low)
    assert isinstance(first, Dismissal)
    assert (first.alert_id, first.dismissed_by) == (low, "Ada")
    assert await dismiss(site, low.upper(), "Bob") == first
    assert await dismissed(site) == 1


async def test_rule_10_an_alert_that_has_ended_is_stale(site: Site) -> None:
    low = await at(site, 8)
    critical = await at(site, 2)
    stale = Refused(Why.STALE, "this alert has ended: the item's level is critical by now")
    assert await dismiss(site, low) == stale
    assert isinstance(await dismiss(site, critical), Dismissal)
    await at(site, 50)
    assert await dismiss(site, critical) == Refused(Why.STALE, "this alert has ended: the item's level is ok by now"), (
        "dismissing it again is too late as well"
    )
    assert await at(site, 8) not in {low, critical}, "the next stay at a level is another alert"
    assert await dismissed(site) == 1


async def test_rule_10_what_is_no_alert_is_not_found(site: Site) -> None:
    low = await at(site, 8)
    ok = await at(site, 50)
    not_yet = f"{low[:-1]}f"
    for alert_id in (ok, not_yet, str(uuid4())):
        assert await dismiss(site, alert_id) == Refused(Why.NOT_FOUND, f"the site has no alert {alert_id}")
    again = await at(site, 8)
    other = Site(site.worker, str(uuid4()))
    assert await dismiss(other, again) == Refused(Why.NOT_FOUND, f"the site has no alert {again}")
    assert await dismissed(site) == 0


@pytest.mark.parametrize("by", ["", "x" * 501, "a\x00b"])
async def test_7_who_dismissed_is_text(site: Site, by: str) -> None:
    refused = await dismiss(site, await at(site, 8), by)
    assert isinstance(refused, Refused)
    assert refused.why is Why.MALFORMED
    assert await dismissed(site) == 0
