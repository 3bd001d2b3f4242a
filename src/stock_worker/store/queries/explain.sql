-- What `explain` tells of one item: what it is, what lies where, its last movements with what caused them, its level.

-- name: item
-- One item with its catalog entry. Indexes: items_key_is_unique_null_equals_null, products_pkey.
SELECT i.*, p.name, p.variant_name, p.sku, coalesce(p.track_inventory, true) AS track_inventory,
  coalesce(p.archived, false) AS archived
FROM stock.items i LEFT JOIN stock.products p ON p.item_id = i.item_id
WHERE i.site_id = $1 AND i.product_id = $2
  AND (i.variant_id = $3 OR (i.variant_id IS NULL AND $3::uuid IS NULL));

-- name: places
-- Where it lies. Indexes: location_stock_pkey, locations_pkey.
SELECT s.location_id, l.code, l.name, l.is_active, s.on_hand, s.reserved, s.held, s.bin_location, s.reorder_point,
  s.last_counted_at
FROM stock.location_stock s JOIN stock.locations l ON l.site_id = s.site_id AND l.location_id = s.location_id
WHERE s.item_id = $1 ORDER BY l.fulfillment_priority, l.code, s.location_id;

-- name: movements
-- Its newest movements up to a version, each with what became of the command that caused it. Indexes: movements_pkey,
-- references_pkey.
SELECT m.version, m.type, m.quantity, m.previous_stock, m.new_stock, m.on_hand, m.reserved, m.location_id,
  m.unit_cost, m.average_cost, m.costed_quantity, m.reference_type, m.reference_id, m.order_id, m.line_id, m.reason,
  m.note, m.actor, m.source, m.source_partition, m.source_offset, m.occurred_at, m.recorded_at, m.last_of_command,
  r.outcome, r.code
FROM stock.movements m
LEFT JOIN stock.references r ON r.site_id = m.site_id AND r.type = m.reference_type AND r.id = m.reference_id
WHERE m.item_id = $1 AND m.version <= $2 ORDER BY m.version DESC LIMIT $3;

-- name: holding_orders
-- Open lines of orders that reserve it, the newest placed last; up to $2. Found through the movements that reserved.
-- Indexes: movements_pkey, orders_pkey, order_lines_pkey.
SELECT o.order_id, l.line_id, l.placed, l.cancelled, l.fulfilled, l.returned, l.expired, o.expires_at, l.allocations
FROM (
  SELECT DISTINCT m.site_id, m.order_id, m.line_id FROM stock.movements m
  WHERE m.item_id = $1 AND m.type = 'reserved' AND m.order_id IS NOT NULL
) k
JOIN stock.orders o ON o.site_id = k.site_id AND o.order_id = k.order_id
JOIN stock.order_lines l ON l.order_pk = o.order_pk AND l.line_id = k.line_id
WHERE EXISTS (SELECT FROM jsonb_array_elements(l.allocations) AS part WHERE part ->> 2 <> '0')
ORDER BY o.order_pk, l.position LIMIT $2;
