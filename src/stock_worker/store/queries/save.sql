-- name: insert_locations
-- A site's default location with its first movement, and locations that inflows opened. Index: locations_pkey.
INSERT INTO stock.locations
  (site_id, location_id, code, name, fulfillment_priority, is_default, is_active, created_at, updated_at)
SELECT site_id, location_id, code, name, fulfillment_priority, is_default, true, $7, $7
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::int[], $6::boolean[])
  AS k(site_id, location_id, code, name, fulfillment_priority, is_default)
ON CONFLICT DO NOTHING;

-- name: reopen_locations
-- Inactive locations that an inflow named: active again, last in priority. Index: locations_pkey.
UPDATE stock.locations l SET
  is_active = true, archived_at = NULL, fulfillment_priority = n.fulfillment_priority, updated_at = $4
FROM unnest($1::uuid[], $2::uuid[], $3::int[]) AS n(site_id, location_id, fulfillment_priority)
WHERE l.site_id = n.site_id AND l.location_id = n.location_id;

-- name: update_averages
-- The few items whose average cost changed, before their costed units do. Index: items_pkey.
UPDATE stock.items i SET average_cost = n.average_cost
FROM unnest($1::bigint[], $2::numeric[]) AS n(item_id, average_cost)
WHERE i.item_id = n.item_id;

-- name: move
-- All counters that movements change, in one statement, since each costs a round trip: of the items ($1 to $8), at $9,
-- where an item's time does not go back; of the places that items have or were counted at ($10 to $15); and the batch
-- folded by site-local day ($16 to $23). Indexes: items_pkey, location_stock_pkey, daily_totals_pkey.
WITH moved AS (
  UPDATE stock.items i SET
    on_hand = n.on_hand, reserved = n.reserved, version = n.version, revision = n.revision,
    costed_quantity = n.costed_quantity, net_sold = n.net_sold,
    first_movement_at = coalesce(i.first_movement_at, $9), last_movement_at = greatest(i.last_movement_at, $9),
    last_movement_type = n.last_movement_type
  FROM unnest(
    $1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::text[]
  ) AS n(item_id, on_hand, reserved, version, revision, costed_quantity, net_sold, last_movement_type)
  WHERE i.item_id = n.item_id
), placed AS (
  UPDATE stock.location_stock s SET
    on_hand = n.on_hand, reserved = n.reserved, held = n.held,
    last_counted_at = coalesce(n.counted_at, s.last_counted_at)
  FROM unnest($10::bigint[], $11::uuid[], $12::bigint[], $13::bigint[], $14::bigint[], $15::timestamptz[])
    AS n(item_id, location_id, on_hand, reserved, held, counted_at)
  WHERE s.item_id = n.item_id AND s.location_id = n.location_id
)
INSERT INTO stock.daily_totals AS d
  (item_id, site_id, day, location_id, type, movements, units_in, units_out)
SELECT * FROM unnest(
  $16::bigint[], $17::uuid[], $18::date[], $19::uuid[], $20::text[], $21::bigint[], $22::bigint[], $23::bigint[]
)
ON CONFLICT (item_id, day, location_id, type) DO UPDATE SET
  movements = d.movements + excluded.movements, units_in = d.units_in + excluded.units_in,
  units_out = d.units_out + excluded.units_out;

-- name: update_revisions
-- Items that are told of without having moved, since a rule or the catalog changed. Index: items_pkey.
UPDATE stock.items i SET revision = n.revision
FROM unnest($1::bigint[], $2::bigint[]) AS n(item_id, revision)
WHERE i.item_id = n.item_id;

-- name: update_levels
-- The stay at a new level of the few items whose level, shown or emitted, changed. Index: items_pkey.
UPDATE stock.items i SET
  level = n.level, emitted_level = n.emitted_level, stay = n.stay, alert_id = n.alert_id,
  level_since = coalesce(n.level_since, i.level_since), last_alerted_at = coalesce(n.last_alerted_at, i.last_alerted_at)
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::uuid[], $6::timestamptz[], $7::timestamptz[])
  AS n(item_id, level, emitted_level, stay, alert_id, level_since, last_alerted_at)
WHERE i.item_id = n.item_id;

-- name: upsert_products
-- What the catalog says of items from now on. Index: products_pkey.
INSERT INTO stock.products
  (item_id, site_id, product_id, variant_id, name, variant_name, sku, options, category_id, category_name, image_url,
   unit_price, cost_price, track_inventory, archived, revision, updated_at)
SELECT k.*, $17 FROM unnest(
  $1::bigint[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::jsonb[], $9::text[],
  $10::text[], $11::text[], $12::numeric[], $13::numeric[], $14::boolean[], $15::boolean[], $16::bigint[]
) AS k
ON CONFLICT (item_id) DO UPDATE SET
  name = excluded.name, variant_name = excluded.variant_name, sku = excluded.sku, options = excluded.options,
  category_id = excluded.category_id, category_name = excluded.category_name, image_url = excluded.image_url,
  unit_price = excluded.unit_price, cost_price = excluded.cost_price, track_inventory = excluded.track_inventory,
  archived = excluded.archived, revision = excluded.revision, updated_at = excluded.updated_at;

-- name: update_catalog_revisions
-- That what workers remember of these items' catalog entries is old. Index: items_pkey.
UPDATE stock.items i SET catalog_revision = n.catalog_revision
FROM unnest($1::bigint[], $2::bigint[]) AS n(item_id, catalog_revision)
WHERE i.item_id = n.item_id;

-- name: insert_location_stock
-- Items that come to a place for the first time. Index: location_stock_pkey.
INSERT INTO stock.location_stock (item_id, location_id, site_id, on_hand, reserved, held, last_counted_at)
SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::bigint[], $5::bigint[], $6::bigint[], $7::timestamptz[]);

-- name: update_orders
-- Orders whose own row changed: cancelled as a whole, or their reservations' mode and time. Index:
-- orders_order_pk_is_unique.
UPDATE stock.orders o SET
  cancelled_whole = n.cancelled_whole, mode = n.mode, expires_at = n.expires_at, due_at = n.due_at
FROM unnest($1::bigint[], $2::boolean[], $3::text[], $4::timestamptz[], $5::timestamptz[])
  AS n(order_pk, cancelled_whole, mode, expires_at, due_at)
WHERE o.order_pk = n.order_pk;

-- name: update_order_lines
-- Totals, places and rows of lines stored before. Index: order_lines_pkey.
UPDATE stock.order_lines l SET
  cancelled = n.cancelled, fulfilled = n.fulfilled, returned = n.returned, expired = n.expired,
  allocations = n.allocations, versions = n.versions::bigint[]
FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::boolean[], $7::jsonb[], $8::text[])
  AS n(order_pk, line_id, cancelled, fulfilled, returned, expired, allocations, versions)
WHERE l.order_pk = n.order_pk AND l.line_id = n.line_id;

-- name: unpark
-- Parked commands that have been decided. Index: parked_commands_pkey.
DELETE FROM stock.parked_commands p
USING unnest($1::uuid[], $2::text[], $3::text[]) AS k(site_id, type, id)
WHERE p.site_id = k.site_id AND p.reference_type = k.type AND p.reference_id = k.id;
