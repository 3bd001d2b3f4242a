-- name: share_locations
-- The places of the batch's sites, held so that none changes under it. Index: locations_pkey.
SELECT site_id, location_id, code, fulfillment_priority, is_default, is_active
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
SELECT o.order_pk, o.site_id, o.order_id, o.cancelled_whole, o.mode, o.expires_at, o.due_at
FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY AS k(site_id, order_id, position)
JOIN stock.orders o ON o.site_id = k.site_id AND o.order_id = k.order_id
ORDER BY k.position FOR UPDATE OF o;

-- name: order_lines
-- The lines of the locked orders. Indexes: order_lines_pkey, items_pkey.
SELECT l.order_pk, l.line_id, l.position, l.placed, l.cancelled, l.fulfilled, l.returned, l.allocations, l.versions,
       l.mode, l.expired, l.tracked, l.location_id, i.site_id, i.product_id, i.variant_id
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
SELECT item_id, on_hand, reserved, version, revision, level, emitted_level, stay, costed_quantity, net_sold, average_cost,
       catalog_revision, first_movement_at, last_movement_at
FROM stock.items WHERE item_id = ANY($1::bigint[])
ORDER BY item_id FOR UPDATE;

-- name: location_stock
-- Stock by place of the locked items. Index: location_stock_pkey.
SELECT item_id, location_id, on_hand, reserved, held
FROM stock.location_stock WHERE item_id = ANY($1::bigint[]);

-- name: moved_since
-- What moved at the places of counts since the version that each counter saw, counts aside. Index: movements_pkey.
SELECT k.item_id, k.location_id, k.version, coalesce((
  SELECT sum(m.quantity) FROM stock.movements m
  WHERE m.item_id = k.item_id AND m.version > k.version AND m.location_id = k.location_id
    AND m.reference_type <> 'count' AND m.type NOT IN ('reserved', 'unreserved')
), 0)::bigint AS moved
FROM unnest($1::bigint[], $2::uuid[], $3::bigint[]) AS k(item_id, location_id, version);

-- name: sold_before
-- What items had sold by $2, found by halving, since an item's time never goes back. Index: movements_pkey.
WITH RECURSIVE search(item_id, low, high) AS (
  SELECT item_id, 0::bigint, version FROM stock.items WHERE item_id = ANY($1::bigint[])
  UNION ALL
  SELECT s.item_id, CASE WHEN m.recorded_at <= $2 THEN m.version ELSE s.low END,
         CASE WHEN m.recorded_at <= $2 THEN s.high ELSE m.version - 1 END
  FROM search s JOIN stock.movements m ON m.item_id = s.item_id AND m.version = (s.low + s.high + 1) / 2
  WHERE s.low < s.high
)
SELECT m.item_id, m.net_sold
FROM search s JOIN stock.movements m ON m.item_id = s.item_id AND m.version = s.low
WHERE s.low = s.high;

-- name: references
-- What the batch's references meant before, and which of them wait for their order. Indexes: references_pkey,
-- parked_commands_pkey.
SELECT r.site_id, r.type, r.id, r.fingerprint, false AS is_parked
FROM unnest($1::uuid[], $2::text[], $3::text[]) AS k(site_id, type, id)
JOIN stock.references r ON r.site_id = k.site_id AND r.type = k.type AND r.id = k.id
UNION ALL
SELECT p.site_id, p.reference_type, p.reference_id, p.fingerprint, true
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
