"""What the catalog says of items (contract section 3). Law: it gates nothing; it says what is tracked and what is past.

A value without `revision` that says `gone` stands for a null value: the product is archived.
"""

from datetime import datetime
from typing import Any

from tests.models.site import Site
from tests.models.trial import item_of
from tests.models.words import Expected


def announce(site: Site, value: dict[str, Any], now: datetime) -> Expected:
    """Keep the catalog's newest copy; what is older or equal is none."""
    item = item_of(value)
    old = site.catalog.get(item)
    if value.get("gone"):
        if old is not None and old["archived"]:
            return Expected("duplicate")
        new = {"tracked": True, "revision": None, **(old or {}), "archived": True}
    else:
        if old is not None and old["revision"] is not None and value["revision"] <= old["revision"]:
            return Expected("duplicate")
        tracked = value.get("track_inventory") is not False
        new = {"tracked": tracked, "revision": value["revision"], "archived": value["status"] == "archived"}
    was = old or {"tracked": True, "archived": False}
    site.catalog[item] = new
    changed = any(was[field] != new[field] for field in ("tracked", "archived"))
    told = (item,) if changed and site.version(item) else ()
    return Expected("applied", alerts=tuple(site.evaluate(told, now, "rule")), told=told)
