"""A site's settings. Law: each change of settings or rules leaves a stamp, and a job where it may change a level.

The stamp says to workers that what they remember is old. The job has the sweeper evaluate the items of its scope again;
both are written in the change's own transaction, so none is missed. The settings row is locked first, by changes of
rules too: two that meet are one after the other. Source: contract section 7 (`…/settings`), rule 10.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from stock_worker.core.model import MAX_COUNTER, Mode
from stock_worker.core.policy import NO_SETTINGS, Settings
from stock_worker.store.policies import settings_of
from stock_worker.store.sql import statements
from stock_worker.store.steering.fields import (
    Field,
    addresses,
    boolean,
    choice,
    currency,
    integer,
    time_zone,
    unfit,
    web_address,
)
from stock_worker.store.steering.refused import Refused

if TYPE_CHECKING:
    from asyncpg import Connection

SQL: Final = statements("settings")
TTL_MAX: Final = 100 * 366 * 24 * 3600
"""Seconds that a reservation may last: a century, so that its end is a date."""

FIELDS: Final[Mapping[str, Field]] = {
    "low_stock_threshold": integer(-MAX_COUNTER, MAX_COUNTER),
    "critical_stock_threshold": integer(-MAX_COUNTER, MAX_COUNTER),
    "out_of_stock_threshold": integer(-MAX_COUNTER, MAX_COUNTER),
    "email_recipients": addresses(),
    "email_frequency": choice("instant", "daily", "weekly"),
    "dashboard_enabled": boolean(),
    "webhook_url": web_address(),
    "webhook_enabled": boolean(),
    "mode": choice("sale", "reserve"),
    "reservation_ttl": integer(1, TTL_MAX),
    "timezone": time_zone(),
    "currency": currency(),
}
"""What people set; null goes back to the default."""

_THRESHOLDS: Final = {name for name in FIELDS if name.endswith("_threshold")}


async def read(connection: "Connection", site_id: str) -> Settings:
    """Give a site's settings, with the defaults where it has none."""
    row = await connection.fetchrow(SQL["settings_of_site"], site_id)
    return NO_SETTINGS if row is None else settings_of(row)


async def change(connection: "Connection", site_id: str, given: Mapping[str, Any]) -> Settings | Refused:
    """Change what is given of a site's settings."""
    refused = unfit("a site's settings", FIELDS, given)
    if refused is not None:
        return refused
    async with connection.transaction():
        old = await lock(connection, site_id)
        new = old._replace(**{name: _canonical(name, value) for name, value in given.items()})
        if new != old:
            await connection.execute(SQL["write_settings"], site_id, *new)
            changed = {name for name in FIELDS if getattr(new, name) != getattr(old, name)}
            await leave_word(connection, site_id, evaluate=bool(changed & _THRESHOLDS))
    return new


async def list_sites(connection: "Connection", limit: int) -> list[tuple[str, Settings]]:
    """Give the settings of the sites that have set anything."""
    rows = await connection.fetch(SQL["sites_with_settings"], limit)
    return [(str(row["site_id"]), settings_of(row)) for row in rows]


async def lock(connection: "Connection", site_id: str) -> Settings:
    """Lock the row that all changes of a site's settings and rules take first; it is made where it is missing."""
    await connection.execute(SQL["make_settings"], site_id)
    row = await connection.fetchrow(SQL["lock_settings"], site_id)
    assert row is not None
    return settings_of(row)


async def leave_word(
    connection: "Connection",
    site_id: str,
    product_id: str | None = None,
    variant_id: str | None = None,
    *,
    evaluate: bool,
    limit_changed: bool = False,
) -> None:
    """Tell workers that what they remember of the site is old, and have the scope's items evaluated again."""
    await connection.execute(SQL["stamp"], site_id)
    if evaluate:
        await connection.execute(SQL["leave_job"], site_id, product_id, variant_id, limit_changed)


def _canonical(name: str, value: Any) -> Any:  # noqa: ANN401 - whatever the field holds
    """A value as `Settings` has it; null is the default."""
    if value is None:
        return getattr(NO_SETTINGS, name)
    if name == "mode":
        return Mode(value)
    return tuple(value) if name == "email_recipients" else value
