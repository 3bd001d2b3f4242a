-- What is told of items (store/reads/items.py). Which items are listed is asked of what is held of a site.

-- name: known
-- Ids of items by their key, of those that moved or were announced. Index: items_key_is_unique_null_equals_null.
SELECT i.item_id, i.product_id, i.variant_id
FROM unnest($2::uuid[], $3::uuid[]) AS k(product_id, variant_id)
JOIN stock.items i ON i.site_id = $1 AND i.product_id = k.product_id
  AND (i.variant_id = k.variant_id OR (i.variant_id IS NULL AND k.variant_id IS NULL))
WHERE i.version > 0 OR i.catalog_revision IS NOT NULL;

-- name: states
-- What items are and what the catalog calls them. Indexes: items_pkey, products_pkey.
SELECT i.item_id, i.product_id, i.variant_id, i.on_hand, i.reserved, i.version, i.costed_quantity, i.average_cost,
  i.net_sold, i.level, i.first_movement_at, i.last_movement_at, i.last_movement_type, p.name, p.variant_name, p.sku,
  p.options, p.category_id, p.category_name, p.image_url, p.cost_price,
  coalesce(p.track_inventory, true) AS track_inventory, coalesce(p.archived, false) AS archived
FROM stock.items i LEFT JOIN stock.products p ON p.item_id = i.item_id
WHERE i.site_id = $1 AND i.item_id = ANY($2::bigint[]);

-- name: places
-- Where items lie or have lain. Indexes: location_stock_pkey, locations_pkey.
SELECT s.item_id, s.location_id, l.code, l.name, s.on_hand, s.reserved, s.bin_location, s.reorder_point,
  s.last_counted_at
FROM stock.location_stock s JOIN stock.locations l ON l.site_id = s.site_id AND l.location_id = s.location_id
WHERE s.site_id = $1 AND s.item_id = ANY($2::bigint[])
ORDER BY s.item_id, l.fulfillment_priority, l.code, s.location_id;

-- name: rows_at
-- The newest row of each item at $2, found by halving, since an item's time never goes back. Index: movements_pkey.
WITH RECURSIVE search(item_id, low, high) AS (
  SELECT item_id, 0::bigint, version FROM stock.items WHERE item_id = ANY($1::bigint[])
  UNION ALL
  SELECT s.item_id, CASE WHEN m.recorded_at <= $2 THEN m.version ELSE s.low END,
    CASE WHEN m.recorded_at <= $2 THEN s.high ELSE m.version - 1 END
  FROM search s
  CROSS JOIN LATERAL (
    SELECT version, recorded_at FROM stock.movements
    WHERE item_id = s.item_id AND version = (s.low + s.high + 1) / 2 LIMIT 1 -- by its key, however many are sought
  ) m
  WHERE s.low < s.high
)
SELECT m.item_id, m.version, m.on_hand, m.reserved, m.average_cost, m.costed_quantity, m.net_sold, m.recorded_at, m.type
FROM search s JOIN stock.movements m ON m.item_id = s.item_id AND m.version = s.low
WHERE s.low = s.high;

-- name: places_at
-- What lay where after an item's row $2: the newest row of each place up to it. Index: movements_pkey.
SELECT s.location_id, m.location_on_hand AS on_hand, m.location_reserved AS reserved
FROM stock.location_stock s
CROSS JOIN LATERAL (
  SELECT location_on_hand, location_reserved FROM stock.movements
  WHERE item_id = s.item_id AND version <= $2 AND location_id = s.location_id ORDER BY version DESC LIMIT 1
) m
WHERE s.item_id = $1;
