-- What is told of orders: what they hold, of which items, where, and which commands wait for them.

-- name: order
-- One order, or the stub of one that is only named. Index: orders_pkey.
SELECT order_pk, order_id, mode, expires_at, cancelled_whole
FROM stock.orders WHERE site_id = $1 AND order_id = $2;

-- name: lines
-- Its lines with what the catalog calls their items. Indexes: order_lines_pkey, items_pkey, products_pkey.
SELECT l.line_id, l.position, l.mode, l.placed, l.cancelled, l.fulfilled, l.returned, l.expired, l.tracked,
  l.location_id, l.allocations, i.product_id, i.variant_id, p.name, p.variant_name, p.sku, p.image_url
FROM stock.order_lines l
JOIN stock.items i ON i.item_id = l.item_id
LEFT JOIN stock.products p ON p.item_id = l.item_id
WHERE l.order_pk = $1 AND l.site_id = $2
ORDER BY l.position;

-- name: parked_of_order
-- What waits for it, in the order in which it will be decided, up to $3. Index: parked_commands_by_order.
SELECT reference_type, reference_id, order_id, topic, partition, "offset", parked_at
FROM stock.parked_commands WHERE order_pk = $1 AND site_id = $2
ORDER BY seq LIMIT $3;

-- name: parked_reference
-- A command that waits for its order. Index: parked_commands_pkey.
SELECT reference_type, reference_id, order_id, topic, partition, "offset", parked_at
FROM stock.parked_commands WHERE site_id = $1 AND reference_type = $2 AND reference_id = $3;

-- name: parked_of_site
-- What waits in a site, the longest first, after a row. Index: parked_commands_pkey by the site, then sorted: few wait.
SELECT seq, reference_type, reference_id, order_id, topic, partition, "offset", parked_at
FROM stock.parked_commands
WHERE site_id = $1 AND (parked_at, seq) > ($2::timestamptz, $3::bigint)
ORDER BY parked_at, seq LIMIT $4;

-- name: count_parked
-- How many wait in a site, up to $2. Index: parked_commands_pkey.
SELECT count(*) FROM (SELECT FROM stock.parked_commands WHERE site_id = $1 LIMIT $2) found;

-- name: location_names
-- What the site calls its places. Index: locations_pkey.
SELECT location_id, code, name FROM stock.locations WHERE site_id = $1 AND location_id = ANY($2::uuid[]);

-- name: item
-- One item that has moved or was announced. Indexes: items_key_is_unique_null_equals_null, products_pkey.
SELECT i.item_id, i.site_id, i.product_id, i.variant_id, i.reserved, p.name, p.variant_name, p.sku, p.image_url
FROM stock.items i LEFT JOIN stock.products p ON p.item_id = i.item_id
WHERE i.site_id = $1 AND i.product_id = $2 AND (i.variant_id = $3 OR (i.variant_id IS NULL AND $3::uuid IS NULL))
  AND (i.version > 0 OR p.item_id IS NOT NULL);

-- name: reserved_places
-- Where an item is reserved, in the order in which orders take from there. Indexes: location_stock_pkey,
-- locations_pkey.
SELECT s.location_id, l.code, l.name, s.reserved, s.held
FROM stock.location_stock s JOIN stock.locations l ON l.site_id = s.site_id AND l.location_id = s.location_id
WHERE s.item_id = $1 AND s.site_id = $2 AND s.reserved > 0
ORDER BY l.fulfillment_priority, l.code, s.location_id;

-- name: reserving_lines
-- A page of the lines that hold an item for orders, the longest held first, each beside how many there are; one row
-- without a line where the page is empty. Found through the movements that reserved. Indexes: movements_pkey,
-- orders_pkey, order_lines_pkey.
WITH holding AS MATERIALIZED (
  SELECT o.order_pk, o.order_id, o.expires_at, l.line_id, l.position, l.allocations
  FROM (
    SELECT DISTINCT m.site_id, m.order_id, m.line_id FROM stock.movements m
    WHERE m.item_id = $1 AND m.site_id = $2 AND m.type = 'reserved' AND m.order_id IS NOT NULL
  ) k
  JOIN stock.orders o ON o.site_id = k.site_id AND o.order_id = k.order_id
  JOIN stock.order_lines l ON l.order_pk = o.order_pk AND l.line_id = k.line_id
  WHERE EXISTS (SELECT FROM jsonb_array_elements(l.allocations) AS part WHERE part ->> 2 <> '0')
)
SELECT (SELECT count(*) FROM holding) AS total, page.*
FROM (VALUES (1)) AS one
LEFT JOIN (SELECT * FROM holding ORDER BY order_pk, position LIMIT $3 OFFSET $4) AS page ON true
ORDER BY page.order_pk, page.position;
