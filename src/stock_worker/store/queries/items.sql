-- Items as people list them (store/reads/items.py). Which items are found is asked apart from what is told of them, so
-- that the first can be answered from elsewhere.

-- name: listed
-- The items of a site that people see: how many fit ($2 to $7), the ids of one page of them, and, where $12 asks for it,
-- what all its tracked ones come to. One row. Indexes: items_key_is_unique_null_equals_null, products_pkey,
-- location_stock_pkey.
WITH seen AS MATERIALIZED (
  SELECT i.item_id, i.product_id, i.variant_id, i.on_hand, i.on_hand - i.reserved AS available, i.last_movement_at,
    p.name, p.sku, p.category_id, coalesce(p.track_inventory, true) AS tracked,
    CASE WHEN i.version > 0 THEN i.level WHEN coalesce(p.track_inventory, true) THEN 'out' ELSE 'ok' END AS level,
    CASE WHEN i.costed_quantity > 0 OR p.cost_price IS NOT NULL OR i.on_hand <= 0 THEN
      i.costed_quantity * coalesce(i.average_cost, 0)
        + (greatest(i.on_hand, 0) - i.costed_quantity) * coalesce(p.cost_price, 0)
    END AS value
  FROM stock.items i LEFT JOIN stock.products p ON p.item_id = i.item_id
  WHERE i.site_id = $1 AND (i.version > 0 OR i.catalog_revision IS NOT NULL)
    AND NOT (coalesce(p.archived, false) AND i.on_hand = 0 AND i.reserved = 0)
    -- A product that is sold by its variants, one of which is seen, is no item of its own until it moves.
    AND NOT (i.variant_id IS NULL AND i.version = 0 AND EXISTS (
      SELECT FROM stock.items v LEFT JOIN stock.products q ON q.item_id = v.item_id
      WHERE v.site_id = $1 AND v.product_id = i.product_id AND v.variant_id IS NOT NULL
        AND (v.version > 0 OR v.catalog_revision IS NOT NULL)
        AND NOT (coalesce(q.archived, false) AND v.on_hand = 0 AND v.reserved = 0)
    ))
), found AS MATERIALIZED (
  SELECT * FROM seen s
  WHERE ($2::text[] IS NULL OR s.level = ANY($2)) AND ($3::bigint IS NULL OR s.available <= $3)
    AND ($4::text IS NULL OR s.name ILIKE $4 OR s.sku ILIKE $4) AND ($5::text IS NULL OR s.category_id = $5)
    AND ($6::uuid IS NULL
      OR EXISTS (SELECT FROM stock.location_stock l WHERE l.item_id = s.item_id AND l.location_id = $6))
    AND (s.tracked OR NOT $7::boolean)
), page AS (
  SELECT f.item_id, row_number() OVER (ORDER BY
    CASE WHEN NOT $9::boolean THEN CASE $8::text WHEN 'name' THEN lower(f.name) WHEN 'sku' THEN lower(f.sku) END END
      ASC NULLS LAST,
    CASE WHEN $9 THEN CASE $8 WHEN 'name' THEN lower(f.name) WHEN 'sku' THEN lower(f.sku) END END DESC NULLS LAST,
    CASE $8 WHEN 'quantity' THEN f.on_hand WHEN 'available' THEN f.available WHEN 'value' THEN f.value
      WHEN 'last_movement' THEN extract(epoch FROM f.last_movement_at) END * CASE WHEN $9 THEN -1 ELSE 1 END
      ASC NULLS LAST,
    f.product_id, f.variant_id NULLS FIRST
  ) AS place
  FROM found f ORDER BY place LIMIT $10::bigint OFFSET $11::bigint
)
SELECT (SELECT count(*) FROM found) AS total,
  (SELECT array_agg(item_id ORDER BY place) FROM page) AS item_ids,
  summary.*
FROM (
  SELECT count(DISTINCT product_id) AS total_products, count(variant_id) AS total_variants,
    coalesce(sum(on_hand), 0)::bigint AS total_quantity, coalesce(sum(value), 0) AS total_value,
    count(*) FILTER (WHERE level = 'ok') AS in_stock_count, count(*) FILTER (WHERE level = 'low') AS low_stock_count,
    count(*) FILTER (WHERE level = 'critical') AS critical_stock_count,
    count(*) FILTER (WHERE level = 'out') AS out_of_stock_count
  FROM seen WHERE tracked AND $12::boolean
) AS summary;

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
