-- What `rebuild` computes from the ledger and writes where it differs; always a bounded number of items or orders at a
-- time, locked, so that no batch comes in between.

-- name: lock_items
-- The next items of a site or of all ($1) after $2, locked in id order as a batch does. Index: items_pkey.
SELECT item_id FROM stock.items
WHERE item_id > $2::bigint AND ($1::uuid IS NULL OR site_id = $1)
ORDER BY item_id LIMIT $3 FOR UPDATE;

-- name: items
-- Items whose figures are not those of their first and last rows, with what these say. Indexes: items_pkey,
-- movements_pkey.
SELECT i.item_id, i.site_id, i.product_id, i.variant_id,
  ROW(n.on_hand, n.reserved, n.version, n.costed_quantity, n.net_sold, n.average_cost)::text AS expected,
  ROW(i.on_hand, i.reserved, i.version, i.costed_quantity, i.net_sold, i.average_cost)::text AS found,
  coalesce(n.on_hand, 0) AS on_hand, coalesce(n.reserved, 0) AS reserved, coalesce(n.version, 0) AS version,
  coalesce(n.costed_quantity, 0) AS costed_quantity, coalesce(n.net_sold, 0) AS net_sold, n.average_cost,
  o.recorded_at AS first_movement_at, n.recorded_at AS last_movement_at, n.type AS last_movement_type
FROM stock.items i
LEFT JOIN LATERAL (SELECT * FROM stock.movements m WHERE m.item_id = i.item_id ORDER BY m.version DESC LIMIT 1) n ON true
LEFT JOIN LATERAL (SELECT * FROM stock.movements m WHERE m.item_id = i.item_id ORDER BY m.version LIMIT 1) o ON true
WHERE i.item_id = ANY($1::bigint[])
  AND (i.on_hand, i.reserved, i.version, i.costed_quantity, i.net_sold, i.average_cost, i.first_movement_at,
       i.last_movement_at, i.last_movement_type)
    IS DISTINCT FROM (coalesce(n.on_hand, 0), coalesce(n.reserved, 0), coalesce(n.version, 0),
       coalesce(n.costed_quantity, 0), coalesce(n.net_sold, 0), n.average_cost, o.recorded_at, n.recorded_at, n.type)
ORDER BY i.item_id;

-- name: write_items
-- Items as the ledger has them. Index: items_pkey.
UPDATE stock.items i SET
  on_hand = n.on_hand, reserved = n.reserved, version = n.version, costed_quantity = n.costed_quantity,
  net_sold = n.net_sold, average_cost = n.average_cost, first_movement_at = n.first_movement_at,
  last_movement_at = n.last_movement_at, last_movement_type = n.last_movement_type
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::numeric[],
            $8::timestamptz[], $9::timestamptz[], $10::text[])
  AS n(item_id, on_hand, reserved, version, costed_quantity, net_sold, average_cost, first_movement_at,
       last_movement_at, last_movement_type)
WHERE i.item_id = n.item_id;

-- name: places
-- Places of items whose counters are not those of their last rows, or whose holds are not what people reserved by hand.
-- Indexes: location_stock_pkey, movements_pkey.
SELECT i.item_id, i.site_id, i.product_id, i.variant_id, coalesce(s.location_id, m.location_id) AS location_id,
  coalesce(m.on_hand, 0) AS on_hand, coalesce(m.reserved, 0) AS reserved, coalesce(h.held, 0) AS held,
  ROW(coalesce(m.on_hand, 0), coalesce(m.reserved, 0), coalesce(h.held, 0))::text AS expected,
  ROW(s.on_hand, s.reserved, s.held)::text AS found
FROM (SELECT * FROM stock.location_stock WHERE item_id = ANY($1::bigint[])) s
FULL JOIN (SELECT DISTINCT ON (item_id, location_id) item_id, location_id, location_on_hand AS on_hand,
             location_reserved AS reserved
           FROM stock.movements WHERE item_id = ANY($1::bigint[])
           ORDER BY item_id, location_id, version DESC) m
  ON m.item_id = s.item_id AND m.location_id = s.location_id
LEFT JOIN (SELECT item_id, location_id, -sum(quantity)::bigint AS held FROM stock.movements
           WHERE item_id = ANY($1::bigint[]) AND type IN ('reserved', 'unreserved') AND order_id IS NULL
           GROUP BY item_id, location_id) h
  ON h.item_id = m.item_id AND h.location_id = m.location_id
JOIN stock.items i ON i.item_id = coalesce(s.item_id, m.item_id)
WHERE (s.on_hand, s.reserved, s.held)
  IS DISTINCT FROM (coalesce(m.on_hand, 0), coalesce(m.reserved, 0), coalesce(h.held, 0))
ORDER BY i.item_id, 5;

-- name: write_places
-- Places as the ledger has them. Index: location_stock_pkey.
INSERT INTO stock.location_stock AS s (item_id, site_id, location_id, on_hand, reserved, held)
SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::bigint[], $5::bigint[], $6::bigint[])
ON CONFLICT (item_id, location_id) DO UPDATE SET
  on_hand = excluded.on_hand, reserved = excluded.reserved, held = excluded.held;

-- name: days
-- Items whose days do not add up to their ledger by location and type. Indexes: daily_totals_pkey, movements_pkey.
SELECT i.item_id, i.site_id, i.product_id, i.variant_id,
  string_agg(DISTINCT coalesce(d.type, m.type), ', ') AS types,
  ROW(sum(m.movements), sum(m.units_in), sum(m.units_out))::text AS expected,
  ROW(sum(d.movements), sum(d.units_in), sum(d.units_out))::text AS found
FROM (SELECT item_id, location_id, type, sum(movements) AS movements, sum(units_in) AS units_in,
        sum(units_out) AS units_out
      FROM stock.daily_totals WHERE item_id = ANY($1::bigint[]) GROUP BY item_id, location_id, type) d
FULL JOIN (SELECT item_id, location_id, type, count(*) AS movements, sum(greatest(quantity, 0)) AS units_in,
             sum(greatest(-quantity, 0)) AS units_out
           FROM stock.movements WHERE item_id = ANY($1::bigint[]) GROUP BY item_id, location_id, type) m
  ON m.item_id = d.item_id AND m.location_id = d.location_id AND m.type = d.type
JOIN stock.items i ON i.item_id = coalesce(d.item_id, m.item_id)
WHERE (d.movements, d.units_in, d.units_out) IS DISTINCT FROM (m.movements, m.units_in, m.units_out)
GROUP BY i.item_id
ORDER BY i.item_id;

-- name: forget_days
-- The days of items that do not add up. Index: daily_totals_pkey.
DELETE FROM stock.daily_totals WHERE item_id = ANY($1::bigint[]);

-- name: write_days
-- Days as the ledger has them, in the time zone that the site has now. Indexes: movements_pkey, site_settings_pkey.
INSERT INTO stock.daily_totals (item_id, site_id, day, location_id, type, movements, units_in, units_out)
SELECT m.item_id, m.site_id, (m.recorded_at AT TIME ZONE coalesce(s.timezone, 'UTC'))::date, m.location_id, m.type,
  count(*), sum(greatest(m.quantity, 0)), sum(greatest(-m.quantity, 0))
FROM stock.movements m LEFT JOIN stock.site_settings s ON s.site_id = m.site_id
WHERE m.item_id = ANY($1::bigint[])
GROUP BY 1, 2, 3, 4, 5;

-- name: lock_orders
-- The next orders of a site or of all ($1) after $2, locked. Index: orders_order_pk_is_unique.
SELECT order_pk FROM stock.orders
WHERE order_pk > $2::bigint AND ($1::uuid IS NULL OR site_id = $1)
ORDER BY order_pk LIMIT $3 FOR UPDATE;

-- name: line_rows
-- The lines of these orders with the rows that carry them, in the order in which they were written. Indexes:
-- order_lines_pkey, orders_order_pk_is_unique, movements_pkey.
SELECT l.order_pk, l.line_id, l.site_id, o.order_id, l.allocations, l.versions AS listed, m.version, m.type, m.quantity,
  m.location_id, m.location_on_hand - m.location_reserved AS available_there, m.reference_type, m.reference_id
FROM stock.order_lines l JOIN stock.orders o ON o.order_pk = l.order_pk
LEFT JOIN LATERAL unnest(l.versions) AS v(version) ON true
LEFT JOIN LATERAL (SELECT * FROM stock.movements m WHERE m.item_id = l.item_id AND m.version = v.version
                     AND m.order_id = o.order_id AND m.line_id = l.line_id LIMIT 1) m ON true
WHERE l.order_pk = ANY($1::bigint[])
ORDER BY l.order_pk, l.line_id, m.version;

-- name: write_allocations
-- Where lines have their units, as the ledger says. Index: order_lines_pkey.
UPDATE stock.order_lines l SET allocations = n.allocations
FROM unnest($1::bigint[], $2::text[], $3::jsonb[]) AS n(order_pk, line_id, allocations)
WHERE l.order_pk = n.order_pk AND l.line_id = n.line_id;
