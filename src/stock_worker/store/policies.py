"""Read what items are held to: settings, rules, catalog. Law: all of it is read after the locks of the items.

A change of a rule that commits meanwhile is seen by the re-evaluation that follows it, which waits for every
transaction that may have read the old one. Source: contract rule 10; the statements are in `queries/policies.sql`.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from stock_worker.core.model import CatalogEntry, ItemKey, Mode
from stock_worker.core.policy import ItemPolicy, Rule, Settings, resolve
from stock_worker.core.state import Item
from stock_worker.store.known import Held, Known
from stock_worker.store.sql import statements

if TYPE_CHECKING:
    from asyncpg import Connection
    from asyncpg import Record as Row

SQL: Final = statements("policies")


class SiteSettings(NamedTuple):
    """A site's settings, and the stamp that grows with each change of them or of a rule; None before the first."""

    stamp: int | None
    settings: Settings


NONE_YET: Final = SiteSettings(None, Settings())


async def moment_and_settings(
    connection: "Connection", site_ids: Iterable[str]
) -> tuple[datetime, dict[str, SiteSettings]]:
    """PostgreSQL's clock at this moment, and the settings of those sites that have any."""
    rows = await connection.fetch(SQL["moment_and_settings"], list(site_ids))
    settings = {str(row["site_id"]): SiteSettings(row["stamp"], settings_of(row)) for row in rows if row["site_id"]}
    return rows[0]["moment"], settings


async def hold_to_policies(
    connection: "Connection", items: Iterable[Item], settings: Mapping[str, SiteSettings], known: Known
) -> None:
    """Give each of the locked items its policy, from memory where that is still true."""
    unknown = []
    for item in items:
        stamp = settings.get(item.key.site_id, NONE_YET).stamp
        held = known.policies.get(item.item_id)
        if held is not None and held.stamp == stamp and held.catalog_revision == item.catalog_revision:
            item.policy = held.policy
        elif stamp is not None or item.catalog_revision is not None:
            unknown.append(item)
        else:
            known.policies.pop(item.item_id, None)
    if not unknown:
        return
    entries = await catalog_entries(connection, [item for item in unknown if item.catalog_revision is not None])
    rules = await _rules(connection, [item.key for item in unknown if item.key.site_id in settings])
    plain: dict[tuple[str, Rule | None, Rule | None], ItemPolicy] = {}
    for item in unknown:
        stamp, site_settings = settings.get(item.key.site_id, NONE_YET)
        site_id, product_id, variant_id = item.key
        entry = entries.get(item.key)
        of_variant = rules.get(item.key) if variant_id is not None else None
        of_product = rules.get(ItemKey(site_id, product_id, None))
        alike = (site_id, of_variant, of_product)
        if entry is not None or alike not in plain:
            policy = resolve(entry, of_variant, of_product, rules.get((site_id, None, None)), site_settings)
            if entry is None:
                plain[alike] = policy
        else:
            policy = plain[alike]
        item.policy = policy
        known.policies[item.item_id] = Held(item.catalog_revision, stamp, policy)


async def catalog_entries(connection: "Connection", items: Iterable[Item]) -> dict[ItemKey, CatalogEntry]:
    """What the catalog says of these items; nothing of one that it never told of."""
    by_id = {item.item_id: item.key for item in items}
    if not by_id:
        return {}
    rows = await connection.fetch(SQL["catalog_entries"], list(by_id))
    return {by_id[row["item_id"]]: _entry(row) for row in rows}


def settings_of(row: "Row") -> Settings:
    """Read a row of settings; its columns have the names of the fields."""
    values = {name: row[name] for name in Settings._fields}
    values["mode"] = Mode(values["mode"])
    values["email_recipients"] = tuple(values["email_recipients"])
    return Settings(**values)


async def _rules(connection: "Connection", keys: Iterable[ItemKey]) -> dict[tuple[str, str | None, str | None], Rule]:
    """The rules that reach these items, by (site, product, variant)."""
    products = sorted({key[:2] for key in keys})
    if not products:
        return {}
    columns = [site_id for site_id, _ in products], [product_id for _, product_id in products]
    return {
        (str(row["site_id"]), _text(row["product_id"]), _text(row["variant_id"])): Rule(
            *(row[name] for name in Rule._fields)
        )
        for row in await connection.fetch(SQL["rules_of_products"], *columns)
    }


def _entry(row: "Row") -> CatalogEntry:
    return CatalogEntry(
        row["name"],
        row["variant_name"],
        row["sku"],
        row["options"],
        row["category_id"],
        row["category_name"],
        row["image_url"],
        row["unit_price"],
        row["cost_price"],
        row["track_inventory"],
        row["archived"],
        row["revision"],
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)
