"""What an item is held to, and when it alerts (contract rule 10). Law: each field of a rule is inherited on its own.

The variant's rule says it, else the product's, the site's, the settings, else what is built in.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from tests.models.words import Item

Scope = tuple[str | None, ...]
"""("variant", product, variant), ("product", product) or ("site",)."""

THRESHOLDS: Final = ("out_of_stock_threshold", "critical_stock_threshold", "low_stock_threshold")
LEVELS: Final = ("out", "critical", "low")
BUILT_IN: Final = {"out_of_stock_threshold": 0, "critical_stock_threshold": 3, "low_stock_threshold": 10}


class Policy:
    """The rules and settings of a site. A field that is absent or None inherits."""

    def __init__(self) -> None:
        self.rules: dict[Scope, dict[str, Any]] = {}
        self.settings: dict[str, Any] = {}

    def copy(self) -> "Policy":
        """A policy that shares nothing that changes."""
        new = Policy()
        new.rules = {scope: dict(fields) for scope, fields in self.rules.items()}
        new.settings = dict(self.settings)
        return new

    def said(self, item: Item, field: str) -> tuple[Any, str]:
        """What the nearest rule says of a field, and its scope; (None, "default") where no rule says anything."""
        for scope in scopes_of(item):
            value = self.rules.get(scope, {}).get(field)
            if value is not None:
                return value, str(scope[0])
        return None, "default"

    def flag(self, item: Item, field: str, *, otherwise: bool) -> bool:
        """A field that is true or false."""
        value, _ = self.said(item, field)
        return otherwise if value is None else bool(value)

    def threshold(self, item: Item, field: str) -> tuple[int, str]:
        """One threshold and where it comes from; settings and built-in values are `default`."""
        value, scope = self.said(item, field)
        if value is None:
            value = self.settings.get(field)
        return BUILT_IN[field] if value is None else value, scope

    def level(self, item: Item, available: int) -> tuple[str, str]:
        """The level of so many units, and the scope of the threshold that made it; for ok, of the low one."""
        for field, level in zip(THRESHOLDS, LEVELS, strict=True):
            threshold, scope = self.threshold(item, field)
            if available <= threshold:
                return level, scope
        return "ok", self.threshold(item, "low_stock_threshold")[1]

    def backorder_limit(self, item: Item) -> int:
        """How far below zero promises may take an item; negative is safety stock."""
        return self.said(item, "backorder_limit")[0] or 0

    def is_active(self, item: Item) -> bool:
        """Whether changes of the item's level are emitted."""
        return self.flag(item, "is_active", otherwise=True)

    def notify(self, item: Item) -> dict[str, Any]:
        """Who is told of an alert: the rule and the site must both want it."""
        site = self.settings
        return {
            "dashboard": site_flag(site, "dashboard_enabled", otherwise=True)
            and self.flag(item, "notify_dashboard", otherwise=True),
            "email": {
                "enabled": self.flag(item, "notify_email", otherwise=True),
                "recipients": list(site.get("email_recipients") or []),
                "frequency": site.get("email_frequency") or "daily",
            },
            "webhook": {
                "enabled": site_flag(site, "webhook_enabled", otherwise=False)
                and self.flag(item, "notify_webhook", otherwise=False),
                "url": site.get("webhook_url"),
            },
        }


class Mood(NamedTuple):
    """How an item stands: the level that shows, the one last emitted, and how many stays at a level it began."""

    shown: str = "ok"
    emitted: str = "ok"
    episode: int = 0


def scopes_of(item: Item) -> Iterator[Scope]:
    """The rules that reach an item, the nearest first."""
    product, variant = item
    if variant is not None:
        yield "variant", product, variant
    yield "product", product
    yield ("site",)


def site_flag(settings: dict[str, Any], field: str, *, otherwise: bool) -> bool:
    """A setting that is true or false."""
    value = settings.get(field)
    return otherwise if value is None else bool(value)


def level_of(available: int) -> str:
    """The level with the built-in thresholds."""
    return Policy().level(("", None), available)[0]
