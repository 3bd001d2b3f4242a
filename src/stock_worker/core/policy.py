"""What an item is held to: whether it counts, its thresholds and limits, whom to tell. Law: fields inherit one by one.

The rule of the variant, of the product, of the site, then the site's settings, then what is built in: the first that
says anything about a field says it. Source: contract section 1 (backorder_limit), rules 10 and 11.
"""

from functools import lru_cache
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from stock_worker.core.alerts import BUILT_IN, Scopes, Thresholds
from stock_worker.core.model import CatalogEntry, Mode

BACKORDER_LIMIT: Final = 0
"""How far below zero promises may take available, in units, where no rule says otherwise."""
BY_DEFAULT: Final = "default"
"""The scope of what no rule says: settings and built-in values."""


class Rule(NamedTuple):
    """An alert rule of a variant, a product or a site; None inherits. Quantities are units of available."""

    low_stock_threshold: int | None = None
    critical_stock_threshold: int | None = None
    out_of_stock_threshold: int | None = None
    backorder_limit: int | None = None
    reorder_point: int | None = None
    reorder_quantity: int | None = None
    is_active: bool | None = None
    notify_email: bool | None = None
    notify_dashboard: bool | None = None
    notify_webhook: bool | None = None


class Settings(NamedTuple):
    """A site's settings with their defaults; None says nothing. `reservation_ttl` is in seconds."""

    low_stock_threshold: int | None = None
    critical_stock_threshold: int | None = None
    out_of_stock_threshold: int | None = None
    email_recipients: tuple[str, ...] = ()
    email_frequency: str = "daily"
    dashboard_enabled: bool = True
    webhook_url: str | None = None
    webhook_enabled: bool = False
    mode: Mode = Mode.SALE
    reservation_ttl: int | None = None
    timezone: str = "UTC"
    currency: str | None = None


class ItemPolicy(NamedTuple):
    """All that is asked of an item when it moves or is told of. `sku` and `name` are None until the catalog tells."""

    tracked: bool
    archived: bool
    sku: str | None
    name: str | None
    thresholds: Thresholds
    scopes: Scopes
    backorder_limit: int
    backorder_scope: str
    reorder_point: int | None
    reorder_quantity: int | None
    is_active: bool
    notify: dict[str, Any]

    @property
    def watched(self) -> bool:
        """Whether the item has alert levels at all; untracked and archived ones are ok and silent."""
        return self.tracked and not self.archived


NO_RULE: Final = Rule()
NO_SETTINGS: Final = Settings()


def resolve(
    entry: CatalogEntry | None, variant: Rule | None, product: Rule | None, site: Rule | None, settings: Settings
) -> ItemPolicy:
    """Join an item's catalog entry with the rules that reach it, the nearest first."""
    rules = [
        (scope, rule)
        for scope, rule in (("variant", variant), ("product", product), ("site", site))
        if rule is not None
    ]

    def first(field: str) -> tuple[Any, str]:
        for scope, rule in rules:
            value = getattr(rule, field)
            if value is not None:
                return value, scope
        return getattr(settings, field, None), BY_DEFAULT

    def said(field: str, *, default: bool) -> bool:
        value = first(field)[0]
        return default if value is None else bool(value)

    (low, low_scope), (critical, critical_scope), (out, out_scope) = (
        first(f"{name}_threshold") for name in ("low_stock", "critical_stock", "out_of_stock")
    )
    limit, limit_scope = first("backorder_limit")
    return ItemPolicy(
        tracked=entry is None or entry.track_inventory,
        archived=entry is not None and entry.archived,
        sku=entry.sku if entry else None,
        name=entry.name if entry else None,
        thresholds=Thresholds(
            BUILT_IN.low if low is None else low,
            BUILT_IN.critical if critical is None else critical,
            BUILT_IN.out if out is None else out,
        ),
        scopes=Scopes(low_scope, critical_scope, out_scope),
        backorder_limit=BACKORDER_LIMIT if limit is None else limit,
        backorder_scope=limit_scope,
        reorder_point=first("reorder_point")[0],
        reorder_quantity=first("reorder_quantity")[0],
        is_active=said("is_active", default=True),
        notify={
            "dashboard": settings.dashboard_enabled and said("notify_dashboard", default=True),
            "email": {
                "enabled": said("notify_email", default=True),
                "recipients": list(settings.email_recipients),
                "frequency": settings.email_frequency,
            },
            "webhook": {
                "enabled": settings.webhook_enabled and said("notify_webhook", default=False),
                "url": settings.webhook_url,
            },
        },
    )


PLAIN: Final = resolve(None, None, None, None, NO_SETTINGS)
"""The policy of an item of which neither the catalog nor a rule nor a setting says anything."""


@lru_cache(maxsize=1_024)
def zone_of(timezone: str) -> ZoneInfo:
    """Give a time zone by its name in the IANA database; it was checked when the setting was made."""
    return ZoneInfo(timezone)
