-- Ledger rows with what the catalog calls their item, and the keys of those that a question is about.
-- A page is found by keys alone and told by `movements_at`; order is (recorded_at, item_id, version), newest first.

-- name: movements_at
-- Rows by key. Indexes: movements_pkey, items_pkey, products_pkey.
SELECT m.*, i.product_id, i.variant_id, p.name, p.variant_name, p.sku, p.image_url
FROM unnest($1::bigint[], $2::bigint[]) AS k (item_id, version)
JOIN stock.movements m ON m.item_id = k.item_id AND m.version = k.version
JOIN stock.items i ON i.item_id = m.item_id
LEFT JOIN stock.products p ON p.item_id = m.item_id;

-- name: items_meant
-- The items of a product: all ($3), or the one with this variant or with none. Index:
-- items_key_is_unique_null_equals_null.
SELECT item_id, version FROM stock.items
WHERE site_id = $1 AND product_id = $2
  AND ($3::boolean OR variant_id = $4 OR (variant_id IS NULL AND $4::uuid IS NULL));

-- name: order_positions
-- The rows that an order caused. Indexes: orders_pkey, order_lines_pkey.
SELECT l.item_id, version
FROM stock.orders o JOIN stock.order_lines l ON l.order_pk = o.order_pk CROSS JOIN LATERAL unnest(l.versions) AS version
WHERE o.site_id = $1 AND o.order_id = $2;

-- name: reference_positions
-- The rows that a command wrote, as pairs in one array. Index: references_pkey.
SELECT movements FROM stock.references WHERE site_id = $1 AND type = $2 AND id = $3;

-- name: versions_before
-- How many rows items have from before a moment each, found by halving, since an item's time never goes back. The LIMIT
-- keeps each step a lookup: as a plain join the planner reads the whole ledger instead. Index: movements_pkey.
WITH RECURSIVE search(item_id, low, high, moment) AS (
  SELECT item_id, 0::bigint, version, moment
  FROM unnest($1::bigint[], $2::bigint[], $3::timestamptz[]) AS k (item_id, version, moment)
  UNION ALL
  SELECT s.item_id, CASE WHEN m.recorded_at < s.moment THEN m.version ELSE s.low END,
         CASE WHEN m.recorded_at < s.moment THEN s.high ELSE m.version - 1 END, s.moment
  FROM search s CROSS JOIN LATERAL (
    SELECT m.recorded_at, m.version FROM stock.movements m
    WHERE m.item_id = s.item_id AND m.version = (s.low + s.high + 1) / 2 LIMIT 1
  ) m
  WHERE s.low < s.high
)
SELECT item_id, low AS versions FROM search WHERE low = high;

-- name: page_of_items
-- A page of the rows of items, each between two versions: the newest of each, then the newest of those. Index:
-- movements_pkey.
SELECT found.item_id, found.version, found.recorded_at
FROM unnest($2::bigint[], $3::bigint[], $4::bigint[]) AS k (item_id, low, high)
CROSS JOIN LATERAL (
  SELECT m.item_id, m.version, m.recorded_at FROM stock.movements m
  WHERE m.item_id = k.item_id AND m.version > k.low AND m.version <= k.high AND m.site_id = $1
    AND ($5::text[] IS NULL OR m.type = ANY($5)) AND ($6::uuid IS NULL OR m.location_id = $6)
  ORDER BY m.version DESC LIMIT $7
) found
ORDER BY found.recorded_at DESC, found.item_id DESC, found.version DESC LIMIT $7;

-- name: count_of_items
-- How many rows these are, up to $7. Index: movements_pkey.
SELECT count(*) FROM (
  SELECT FROM unnest($2::bigint[], $3::bigint[], $4::bigint[]) AS k (item_id, low, high)
  JOIN stock.movements m ON m.item_id = k.item_id AND m.version > k.low AND m.version <= k.high
  WHERE m.site_id = $1
    AND ($5::text[] IS NULL OR m.type = ANY($5)) AND ($6::uuid IS NULL OR m.location_id = $6)
  LIMIT $7
) found;

-- name: page_of_positions
-- A page of the rows with these keys, from $6 on and before a row. Index: movements_pkey.
SELECT m.item_id, m.version, m.recorded_at
FROM unnest($2::bigint[], $3::bigint[]) AS k (item_id, version)
JOIN stock.movements m ON m.item_id = k.item_id AND m.version = k.version
WHERE m.site_id = $1
  AND ($4::text[] IS NULL OR m.type = ANY($4)) AND ($5::uuid IS NULL OR m.location_id = $5)
  AND m.recorded_at >= $6 AND (m.recorded_at, m.item_id, m.version) < ($7::timestamptz, $8::bigint, $9::bigint)
ORDER BY m.recorded_at DESC, m.item_id DESC, m.version DESC LIMIT $10;

-- name: count_of_positions
-- How many rows these are, up to $8. Index: movements_pkey.
SELECT count(*) FROM (
  SELECT FROM unnest($2::bigint[], $3::bigint[]) AS k (item_id, version)
  JOIN stock.movements m ON m.item_id = k.item_id AND m.version = k.version
  WHERE m.site_id = $1
    AND ($4::text[] IS NULL OR m.type = ANY($4)) AND ($5::uuid IS NULL OR m.location_id = $5)
    AND m.recorded_at >= $6 AND m.recorded_at < $7
  LIMIT $8
) found;

-- name: page_of_site
-- A page of a site's rows, from $4 on and before a row. One comparison bounds it above, so that the index is entered
-- there, however deep the page is. Index: movements_site_time.
SELECT m.item_id, m.version, m.recorded_at
FROM stock.movements m
WHERE m.site_id = $1
  AND ($2::text[] IS NULL OR m.type = ANY($2)) AND ($3::uuid IS NULL OR m.location_id = $3)
  AND m.recorded_at >= $4 AND (m.recorded_at, m.item_id, m.version) < ($5::timestamptz, $6::bigint, $7::bigint)
ORDER BY m.recorded_at DESC, m.item_id DESC, m.version DESC LIMIT $8;

-- name: count_of_site
-- How many rows these are, up to $6. Index: movements_site_time.
SELECT count(*) FROM (
  SELECT FROM stock.movements m
  WHERE m.site_id = $1
    AND ($2::text[] IS NULL OR m.type = ANY($2)) AND ($3::uuid IS NULL OR m.location_id = $3)
    AND m.recorded_at >= $4 AND m.recorded_at < $5
  LIMIT $6
) found;
