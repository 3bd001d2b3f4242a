-- name: share_locations
-- The places of the batch's sites, held so that none changes under it. Index: locations_pkey.
SELECT site_id, location_id, code, is_default
FROM stock.locations WHERE site_id = ANY($1::uuid[])
ORDER BY site_id, location_id FOR SHARE;

-- name: insert_orders
-- A stub for every order not seen before, in key order; the insert is the new order's lock. Index: orders_pkey.
INSERT INTO stock.orders (site_id, order_id)
SELECT site_id, order_id FROM unnest($1::uuid[], $2::text[]) AS k(site_id, order_id)
ON CONFLICT DO NOTHING
RETURNING order_pk, site_id, order_id;

-- name: lock_orders
-- The orders seen before, in the order of the keys given. Index: orders_pkey.
SELECT o.order_pk, o.site_id, o.order_id, o.cancelled_whole
FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY AS k(site_id, order_id, position)
JOIN stock.orders o ON o.site_id = k.site_id AND o.order_id = k.order_id
ORDER BY k.position FOR UPDATE OF o;

-- name: order_lines
-- The lines of the locked orders. Indexes: order_lines_pkey, items_pkey.
SELECT l.order_pk, l.line_id, l.position, l.placed, l.cancelled, l.fulfilled, l.returned, l.allocations, l.versions,
       i.site_id, i.product_id, i.variant_id
FROM stock.order_lines l JOIN stock.items i ON i.item_id = l.item_id
WHERE l.order_pk = ANY($1::bigint[])
ORDER BY l.order_pk, l.position;

-- name: parked_of_orders
-- What waits for the locked orders, in arrival order. Index: parked_commands_by_order.
SELECT order_pk, topic, partition, "offset", timestamp_ms, key, value, header_names, header_values
FROM stock.parked_commands WHERE order_pk = ANY($1::bigint[])
ORDER BY order_pk, seq;

-- name: insert_items
-- A row at version 0 for every item not seen before, in key order. Index: items_key_is_unique_null_equals_null.
INSERT INTO stock.items (site_id, product_id, variant_id)
SELECT k.site_id, k.product_id, k.variant_id
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS k(site_id, product_id, variant_id)
ON CONFLICT DO NOTHING;

-- name: find_items
-- Ids of items by their key; they never change. Index: items_key_is_unique_null_equals_null.
SELECT i.item_id, i.site_id, i.product_id, i.variant_id
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS k(site_id, product_id, variant_id)
JOIN stock.items i ON i.site_id = k.site_id AND i.product_id = k.product_id
  AND (i.variant_id = k.variant_id OR (i.variant_id IS NULL AND k.variant_id IS NULL));

-- name: lock_items
-- The batch's lock roots, in id order so that two batches cannot deadlock. Index: items_pkey.
SELECT item_id, on_hand, reserved, version, revision, level, last_movement_at
FROM stock.items WHERE item_id = ANY($1::bigint[])
ORDER BY item_id FOR UPDATE;

-- name: location_stock
-- Stock by place of the locked items. Index: location_stock_pkey.
SELECT item_id, location_id, on_hand, reserved
FROM stock.location_stock WHERE item_id = ANY($1::bigint[]);

-- name: references
-- What the batch's references meant before. Index: references_pkey.
SELECT r.site_id, r.type, r.id, r.fingerprint
FROM unnest($1::uuid[], $2::text[], $3::text[]) AS k(site_id, type, id)
JOIN stock.references r ON r.site_id = k.site_id AND r.type = k.type AND r.id = k.id;

-- name: parked
-- Which of the batch's references wait for their order. Index: parked_commands_pkey.
SELECT p.site_id, p.reference_type, p.reference_id, p.fingerprint
FROM unnest($1::uuid[], $2::text[], $3::text[]) AS k(site_id, type, id)
JOIN stock.parked_commands p
  ON p.site_id = k.site_id AND p.reference_type = k.type AND p.reference_id = k.id;

-- name: dead_positions
-- Which records have been dead-lettered already. Index: dead_letters_pkey.
SELECT d.topic, d.partition, d."offset", d.timestamp_ms
FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[]) AS k(topic, partition, "offset", timestamp_ms)
JOIN stock.dead_letters d ON d.topic = k.topic AND d.partition = k.partition AND d."offset" = k."offset"
  AND d.timestamp_ms = k.timestamp_ms;

-- name: clock
-- The moment of the batch, read after its locks, so that workers' clocks do not matter.
SELECT clock_timestamp();

-- name: overdue_parked
-- Commands that have waited since before $1, oldest first. Index: parked_commands_by_age.
SELECT topic, partition, "offset", timestamp_ms, key, value, header_names, header_values,
       site_id, reference_type, reference_id
FROM stock.parked_commands WHERE parked_at < $1
ORDER BY parked_at LIMIT $2;

-- name: insert_default_location
-- A site's default location becomes a row with its first movement. Index: locations_pkey.
INSERT INTO stock.locations
  (site_id, location_id, code, name, fulfillment_priority, is_default, is_active, created_at)
SELECT site_id, location_id, 'DEFAULT', 'Default', 0, true, true, $3
FROM unnest($1::uuid[], $2::uuid[]) AS k(site_id, location_id)
ON CONFLICT DO NOTHING;

-- name: update_items
-- Counters and version of the items that moved, at $7; an item's time does not go back. Index: items_pkey.
UPDATE stock.items i SET
  on_hand = n.on_hand, reserved = n.reserved, version = n.version, revision = n.revision,
  first_movement_at = coalesce(i.first_movement_at, $7), last_movement_at = greatest(i.last_movement_at, $7),
  last_movement_type = n.last_movement_type
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[])
  AS n(item_id, on_hand, reserved, version, revision, last_movement_type)
WHERE i.item_id = n.item_id;

-- name: update_levels
-- The stay at a new level of the few items whose level changed. Index: items_pkey.
UPDATE stock.items i SET
  level = n.level, alert_id = n.alert_id, level_since = i.last_movement_at,
  last_alerted_at = CASE WHEN n.alerted THEN i.last_movement_at ELSE i.last_alerted_at END
FROM unnest($1::bigint[], $2::text[], $3::uuid[], $4::boolean[]) AS n(item_id, level, alert_id, alerted)
WHERE i.item_id = n.item_id;

-- name: insert_location_stock
-- Items that come to a place for the first time. Index: location_stock_pkey.
INSERT INTO stock.location_stock (item_id, location_id, site_id, on_hand, reserved)
SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::bigint[], $5::bigint[]);

-- name: update_location_stock
-- Counters by place of the items that moved. Index: location_stock_pkey.
UPDATE stock.location_stock s SET on_hand = n.on_hand, reserved = n.reserved
FROM unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::bigint[]) AS n(item_id, location_id, on_hand, reserved)
WHERE s.item_id = n.item_id AND s.location_id = n.location_id;

-- name: cancel_orders
-- Orders cancelled as a whole, now and whenever they are placed. Index: orders_pkey.
UPDATE stock.orders o SET cancelled_whole = true
FROM unnest($1::uuid[], $2::text[]) AS n(site_id, order_id)
WHERE o.site_id = n.site_id AND o.order_id = n.order_id;

-- name: update_order_lines
-- Totals, places and rows of lines stored before. Index: order_lines_pkey.
UPDATE stock.order_lines l SET
  cancelled = n.cancelled, fulfilled = n.fulfilled, returned = n.returned,
  allocations = n.allocations, versions = n.versions::bigint[]
FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::jsonb[], $7::text[])
  AS n(order_pk, line_id, cancelled, fulfilled, returned, allocations, versions)
WHERE l.order_pk = n.order_pk AND l.line_id = n.line_id;

-- name: unpark
-- Parked commands that have been decided. Index: parked_commands_pkey.
DELETE FROM stock.parked_commands p
USING unnest($1::uuid[], $2::text[], $3::text[]) AS k(site_id, type, id)
WHERE p.site_id = k.site_id AND p.reference_type = k.type AND p.reference_id = k.id;
