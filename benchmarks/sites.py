"""Sites as a quarter of a year leaves them, laid in SQL. Law: the rows are as the engine would have left them.

Each site has two locations, a catalog, settings, alert rules, levels and reorder points; each item one restock, then
sales and damages of one unit, at the one location where it lies. Rows of the ledger stand in the order of their time,
all sites mixed, and each day's totals are folded from them. Of the references only those stand that lead to the items
which are verified afterwards: nobody else reads them.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final

import asyncpg

from benchmarks.contenders import ContenderFailed
from benchmarks.stocked import TIMEZONE, settle
from benchmarks.workload import item_ids
from stock_worker.audit.verify import verify
from stock_worker.cli.database import as_worker
from stock_worker.core.ids import default_location_id
from stock_worker.http.admin import pictures

DAYS: Final = 90
CATEGORIES: Final = 40
_DAYS_AT_ONCE: Final = 5
_VERIFIED: Final = 400


@dataclass(frozen=True, slots=True)
class Sites:
    """How many sites there are, and how many items each has: a multiple of 2,000, so that everything has its share."""

    sites: int
    items_each: int

    @property
    def items(self) -> int:
        """Items of all sites."""
        return self.sites * self.items_each

    @property
    def movements(self) -> int:
        """Movements at first: ten an item."""
        return 10 * self.items

    @property
    def verified(self) -> int:
        """Of so many items one is verified."""
        return max(1, self.items // _VERIFIED)

    def key(self, number: int) -> tuple[str, str, str | None]:
        """Give site, product and variant of an item, counted over all sites from 0."""
        return (site_id(number // self.items_each), *item_ids(number))


def site_id(site: int) -> str:
    """Give the id of a site, counted from 0."""
    return f"5117e000-0000-4000-8000-{site:012x}"


def second_location(site: int) -> str:
    """Give the id of a site's second location, at which a quarter of its items lie."""
    return f"5ec0d000-0000-4000-8000-{site:012x}"


async def lay_sites(database_url: str, sites: Sites, say: Callable[[str], None]) -> datetime:
    """Lay them into a migrated, empty database, over two connections, since each keeps one core busy.

    Returns the moment up to which there are movements.
    """
    connections = [await asyncpg.connect(database_url) for _ in range(2)]
    try:
        first = connections[0]
        bounds = [row["at"] for row in await first.fetch(_BOUNDS, DAYS, _DAYS_AT_ONCE, TIMEZONE)]
        span: tuple[datetime, datetime] = (bounds[0], bounds[-1])
        for connection in connections:
            await connection.execute("SET work_mem = '256MB'")
            await connection.execute("SET synchronous_commit = off")
            await connection.execute(_LAID.format(sites=sites.sites, each=sites.items_each))
            places = [(site, default_location_id(site_id(site)), second_location(site)) for site in range(sites.sites)]
            await connection.executemany("INSERT INTO laid_places VALUES ($1, $2, $3)", places)
            await connection.execute("ANALYZE laid_places")
        for steering in (_LOCATIONS, _SETTINGS, _SITE_RULES, _RULES):
            await first.execute(steering.format(zone=TIMEZONE))
        await first.execute(_ITEMS, *span)
        await asyncio.gather(*(each.execute(sql) for each, sql in zip(connections, (_PLACES, _PRODUCTS), strict=True)))
        say(f"laid {sites.items:,} items at {sites.sites} sites")
        windows = [(*span, *each, TIMEZONE) for each in pairwise(bounds)]
        await asyncio.gather(*(_lay(each, windows[turn::2]) for turn, each in enumerate(connections)))
        await first.execute(_REFERENCES, sites.verified, sites.items)
        await settle(first)
    finally:
        for connection in connections:
            await connection.close()
    say(f"laid {sites.movements:,} movements")
    return span[1]


async def verify_sites(database_url: str, sites: Sites) -> None:
    """Let `verify` look at some items with all that they lead to. Raises ContenderFailed where it finds a drift."""
    async with as_worker(database_url, "benchmark", plans="free") as connection:
        if found := await verify(connection, slice=(0, sites.verified)):
            raise ContenderFailed(f"{len(found)} drifts, the first: {found[0]}")


async def _lay(connection: asyncpg.Connection, windows: Sequence[Sequence[object]]) -> None:
    for window in windows:
        await connection.execute(_MOVEMENTS, *window)


_BOUNDS: Final = """
SELECT (date_trunc('day', now() AT TIME ZONE $3) - make_interval(days => day)) AT TIME ZONE $3 AS at
FROM generate_series($1::int, 0, -$2::int) day
UNION ALL SELECT now() ORDER BY at
"""
"""Midnights of the sites, so that what is laid between two of them is whole days."""
_LAID: Final = """
CREATE TEMP TABLE laid_places (site int, first uuid, second uuid);
CREATE TEMP VIEW laid AS
SELECT g, n, site, g + 1 AS item_id, k, final, final + k - 1 AS units, (g * 7919 % 10007) / 10007.0::float8 AS early,
       ('5117e000-0000-4000-8000-' || lpad(to_hex(site), 12, '0'))::uuid AS site_id,
       ('9a0d0c70-0000-4000-8000-' || lpad(to_hex(g), 12, '0'))::uuid AS product_id,
       CASE WHEN g % 2 = 1 THEN ('7a51a000-0000-4000-8000-' || lpad(to_hex(g), 12, '0'))::uuid END AS variant_id,
       CASE WHEN n % 4 = 3 THEN second ELSE first END AS location_id,
       (100 + n % 900) / 100.0 AS cost,
       CASE n % 100 WHEN 13 THEN 'low' WHEN 47 THEN 'critical' WHEN 81 THEN 'out' ELSE 'ok' END AS level,
       n / ({each} / 100) AS rule, n % ({each} / 100) AS after_rule
FROM (SELECT g, g % {each} AS n, (g / {each})::int AS site,
             CASE WHEN g % 100 = 0 THEN 505 ELSE 5 END AS k,
             CASE g % 100 WHEN 13 THEN 8 WHEN 47 THEN 2 WHEN 81 THEN 0 ELSE 50 + g * 7919 % 1000 END AS final
      FROM generate_series(0, {sites}::bigint * {each} - 1) g) numbers
JOIN laid_places USING (site);
"""
"""An item has 4 movements after its restock, one in a hundred 504; 3 in a hundred are short."""
_LOCATIONS: Final = """
INSERT INTO stock.locations (site_id, location_id, code, name, fulfillment_priority, is_default, is_active,
                             created_at, updated_at)
SELECT ('5117e000-0000-4000-8000-' || lpad(to_hex(site), 12, '0'))::uuid, location_id, code, name, priority,
       priority = 0, true, now(), now()
FROM laid_places, LATERAL (VALUES (first, 'DEFAULT', 'Default', 0), (second, 'SECOND', 'Second', 1))
     AS place(location_id, code, name, priority)
"""
_SETTINGS: Final = """
INSERT INTO stock.site_settings (site_id, stamp, email_recipients, timezone, currency, updated_at)
SELECT site_id, 102, ARRAY['stock@shop.example'], '{zone}', 'EUR', now() FROM stock.locations WHERE is_default
"""
_SITE_RULES: Final = """
INSERT INTO stock.alert_rules (site_id, low_stock_threshold, reorder_point, reorder_quantity, updated_at)
SELECT site_id, 11, 20, 100, now() FROM stock.site_settings
"""
_RULES: Final = """
INSERT INTO stock.alert_rules (site_id, product_id, variant_id, low_stock_threshold, critical_stock_threshold,
                               reorder_point, reorder_quantity, updated_at)
SELECT site_id, product_id, variant_id, 20, 5, 100, 500, now() FROM laid WHERE after_rule = 17 + rule % 2
"""
"""A hundred a site, on items that have plenty, products and variants alike."""
_ITEMS: Final = """
INSERT INTO stock.items (item_id, on_hand, version, revision, stay, costed_quantity, net_sold, catalog_revision,
                         site_id, product_id, variant_id, alert_id, level_since, last_alerted_at, first_movement_at,
                         last_movement_at, average_cost, level, emitted_level, last_movement_type)
OVERRIDING SYSTEM VALUE
SELECT item_id, final, k, k, (level <> 'ok')::int, final, k - 1 - k / 10, 1, site_id, product_id, variant_id,
       CASE WHEN level <> 'ok' THEN ('a1e47000-0000-8000-8000-' || lpad(to_hex(g), 12, '0'))::uuid END,
       CASE WHEN level <> 'ok' THEN newest END, CASE WHEN level <> 'ok' THEN newest END,
       $1::timestamptz + ($2::timestamptz - $1) * (early / k), newest, cost, level, level,
       CASE WHEN k % 10 = 0 THEN 'damage' ELSE 'sale' END
FROM laid, LATERAL (SELECT $1::timestamptz + ($2::timestamptz - $1) * ((k - 1 + early) / k) AS newest) last
"""
_PLACES: Final = """
INSERT INTO stock.location_stock (item_id, on_hand, reserved, reorder_point, site_id, location_id, bin_location)
SELECT item_id, final, 0, CASE WHEN n % 50 = 29 THEN 100 END, site_id, location_id, 'A-' || n % 1000 FROM laid
"""
_PRODUCTS: Final = f"""
INSERT INTO stock.products (item_id, revision, updated_at, track_inventory, archived, site_id, product_id, variant_id,
                            name, variant_name, sku, category_id, category_name, image_url, unit_price, cost_price,
                            options)
SELECT item_id, 1, now(), true, false, site_id, product_id, variant_id,
       (ARRAY['Linen','Cotton','Woollen','Oak','Walnut','Steel','Copper','Glass','Paper','Leather'])[1 + n / 7 % 10]
       || ' ' || (ARRAY['shirt','table','lamp','bowl','chair','jacket','vase','notebook','belt','shelf'])[1 + n % 10]
       || ' ' || lpad(n::text, 6, '0'),
       CASE WHEN variant_id IS NOT NULL THEN 'Size ' || n % 9 END, 'SKU-' || site || '-' || lpad(n::text, 6, '0'),
       'category-' || n % {CATEGORIES}, 'Category ' || n % {CATEGORIES},
       '{pictures.PATH}/'
       || (ARRAY['shirt','house','lamp','bowl','pad','scarf','jar','book','wallet','basket'])[1 + n % 10]
       || (ARRAY['-amber.svg', '-blue.svg'])[1 + n / 10 % 2], cost * 2, cost,
       CASE WHEN variant_id IS NOT NULL THEN jsonb_build_object('size', n % 9) END
FROM laid
"""
_MOVEMENTS: Final = """
WITH span AS (
    SELECT extract(epoch FROM $3::timestamptz - $1) / extract(epoch FROM $2 - $1) AS low,
           extract(epoch FROM $4::timestamptz - $1) / extract(epoch FROM $2 - $1) AS high
), told AS (
    SELECT laid.*, v, at
    FROM laid, span,
        LATERAL generate_series(greatest(1, floor(k * low - early)::int), least(k, ceil(k * high - early)::int + 1)) v,
        LATERAL (SELECT $1::timestamptz + ($2::timestamptz - $1) * ((v - 1 + early) / k) AS at) moment
    WHERE at >= $3 AND at < $4
    ORDER BY at
), new AS (
    INSERT INTO stock.movements (item_id, version, quantity, previous_stock, new_stock, on_hand, reserved,
        location_on_hand, location_reserved, costed_quantity, net_sold, source_offset, recorded_at, occurred_at,
        source_partition, last_of_command, movement_id, site_id, location_id, type, reference_type, reference_id,
        source, unit_cost, average_cost, actor, reason)
    SELECT item_id, v, CASE v WHEN 1 THEN units ELSE -1 END, CASE v WHEN 1 THEN 0 ELSE units - v + 2 END,
        units - v + 1, units - v + 1, 0, units - v + 1, 0, units - v + 1, v - 1 - v / 10, g, at,
        at - interval '1 second', v % 12, true,
        ('00000000-0000-8000-8' || lpad(to_hex(v), 3, '0') || '-' || lpad(to_hex(g), 12, '0'))::uuid,
        site_id, location_id, CASE WHEN v = 1 THEN 'restock' WHEN v % 10 = 0 THEN 'damage' ELSE 'sale' END,
        CASE v WHEN 1 THEN 'restock' ELSE 'adjustment' END, 'old-' || g || '-' || v,
        CASE v WHEN 1 THEN 'restock' ELSE 'stock-adjustment' END, cost, cost, 'till',
        CASE WHEN v > 1 AND v % 10 = 0 THEN 'broken' END
    FROM told
    RETURNING item_id, quantity, recorded_at, site_id, location_id, type
)
INSERT INTO stock.daily_totals (item_id, movements, units_in, units_out, day, site_id, location_id, type)
SELECT item_id, count(*), sum(greatest(quantity, 0)), sum(greatest(-quantity, 0)), (recorded_at AT TIME ZONE $5)::date,
       site_id, location_id, type
FROM new GROUP BY item_id, 5, site_id, location_id, type
"""
"""Between two midnights. An item's movements are evenly apart; each is a sale of one unit, every tenth a damage."""
_REFERENCES: Final = """
INSERT INTO stock."references" (site_id, decided_at, source_offset, source_partition, fingerprint_version, type, id,
                                source, outcome, fingerprint, movements)
SELECT site_id, recorded_at, source_offset, source_partition, 1, reference_type, reference_id, source, 'applied',
       decode(md5(reference_id), 'hex'), ARRAY[item_id, version]
FROM stock.movements
WHERE item_id IN (SELECT each FROM generate_series($1::bigint, $2::bigint, $1::bigint) each)
"""
