-- What `verify` reads. Whole tables or one slice of the items; always a bounded number of items, lines or references at
-- a time. A statement that returns expected and found returns only the rows in which the two differ.

-- name: count_items
-- How far there is to go.
SELECT count(*) FROM stock.items WHERE ($1::uuid IS NULL OR site_id = $1) AND item_id % $3::int = $2::int;

-- name: next_items
-- The next items of a site or of all ($1), in a slice ($2 of $3), after $4, at most $5. Index: items_pkey.
SELECT item_id FROM stock.items
WHERE item_id > $4::bigint AND ($1::uuid IS NULL OR site_id = $1) AND item_id % $3::int = $2::int
ORDER BY item_id LIMIT $5;

-- name: ledger
-- Each row against the one before it, of its item and of its location. Index: movements_pkey.
SELECT i.site_id, i.product_id, i.variant_id, w.version, d.kind, d.expected, d.found
FROM (
  SELECT m.item_id, m.version, m.site_id, m.quantity, m.previous_stock, m.new_stock, m.on_hand, m.reserved,
    m.location_on_hand, m.location_reserved, m.recorded_at, m.net_sold,
    CASE WHEN m.type IN ('sale', 'return') THEN -m.quantity ELSE 0 END AS net_sold_step,
    lag(m.net_sold, 1, 0::bigint) OVER item AS net_sold_before,
    CASE WHEN m.type IN ('reserved', 'unreserved') THEN 0 ELSE m.quantity END AS on_hand_step,
    CASE WHEN m.type IN ('reserved', 'unreserved') THEN -m.quantity ELSE 0 END AS reserved_step,
    lag(m.version, 1, 0::bigint) OVER item AS version_before,
    lag(m.new_stock, 1, 0::bigint) OVER item AS new_stock_before,
    lag(m.on_hand, 1, 0::bigint) OVER item AS on_hand_before,
    lag(m.reserved, 1, 0::bigint) OVER item AS reserved_before,
    lag(m.recorded_at) OVER item AS recorded_before,
    lag(m.location_on_hand, 1, 0::bigint) OVER location AS location_on_hand_before,
    lag(m.location_reserved, 1, 0::bigint) OVER location AS location_reserved_before
  FROM stock.movements m
  WHERE m.item_id = ANY($1::bigint[])
  WINDOW item AS (PARTITION BY m.item_id ORDER BY m.version),
         location AS (PARTITION BY m.item_id, m.location_id ORDER BY m.version)
) w
JOIN stock.items i ON i.item_id = w.item_id
CROSS JOIN LATERAL (VALUES
  ('version_gap', w.version_before + 1, w.version),
  ('previous_stock', w.new_stock_before, w.previous_stock),
  ('quantity', w.previous_stock + w.quantity, w.new_stock),
  ('new_stock', w.on_hand - w.reserved, w.new_stock),
  ('on_hand_step', w.on_hand_before + w.on_hand_step, w.on_hand),
  ('reserved_step', w.reserved_before + w.reserved_step, w.reserved),
  ('location_on_hand_step', w.location_on_hand_before + w.on_hand_step, w.location_on_hand),
  ('location_reserved_step', w.location_reserved_before + w.reserved_step, w.location_reserved),
  ('net_sold_step', w.net_sold_before + w.net_sold_step, w.net_sold),
  ('time_went_back', 0, CASE WHEN w.recorded_at < w.recorded_before
                             THEN (extract(epoch FROM w.recorded_at - w.recorded_before) * 1000000)::bigint
                             ELSE 0 END),
  ('site', 0, CASE WHEN w.site_id = i.site_id THEN 0 ELSE 1 END)
) AS d(kind, expected, found)
WHERE d.expected <> d.found
  -- Rows that are right are done with here: naming the laws takes ten times as long as this.
  AND (ROW(w.version, w.previous_stock, w.new_stock, w.new_stock,
           w.on_hand, w.reserved,
           w.location_on_hand, w.location_reserved, w.net_sold, w.site_id)
    <> ROW(w.version_before + 1, w.new_stock_before, w.previous_stock + w.quantity, w.on_hand - w.reserved,
           w.on_hand_before + w.on_hand_step, w.reserved_before + w.reserved_step,
           w.location_on_hand_before + w.on_hand_step, w.location_reserved_before + w.reserved_step,
           w.net_sold_before + w.net_sold_step, i.site_id)
    OR w.recorded_at < w.recorded_before)
ORDER BY w.item_id, w.version;

-- name: items
-- Items beside the first and the last row of their ledger and the sums of their locations. Indexes: items_pkey,
-- movements_pkey, location_stock_pkey.
SELECT i.*,
  newest.version AS newest_version, newest.on_hand AS newest_on_hand, newest.reserved AS newest_reserved,
  newest.recorded_at AS newest_at, newest.type AS newest_type, oldest.recorded_at AS oldest_at,
  newest.average_cost AS newest_average, newest.costed_quantity AS newest_costed, newest.net_sold AS newest_sold,
  coalesce(p.track_inventory AND NOT p.archived, true) AS watched,
  coalesce(v.low_stock_threshold, r.low_stock_threshold, s.low_stock_threshold, t.low_stock_threshold, 10) AS low,
  coalesce(v.critical_stock_threshold, r.critical_stock_threshold, s.critical_stock_threshold,
           t.critical_stock_threshold, 3) AS critical,
  coalesce(v.out_of_stock_threshold, r.out_of_stock_threshold, s.out_of_stock_threshold,
           t.out_of_stock_threshold, 0) AS out,
  EXISTS (SELECT FROM stock.reevaluations e WHERE e.site_id = i.site_id) AS is_being_evaluated,
  coalesce(places.on_hand, 0)::bigint AS places_on_hand, coalesce(places.reserved, 0)::bigint AS places_reserved
FROM stock.items i
LEFT JOIN LATERAL (SELECT * FROM stock.movements m WHERE m.item_id = i.item_id ORDER BY m.version DESC LIMIT 1) newest
  ON true
LEFT JOIN LATERAL (SELECT * FROM stock.movements m WHERE m.item_id = i.item_id ORDER BY m.version LIMIT 1) oldest
  ON true
LEFT JOIN LATERAL (SELECT sum(s.on_hand) AS on_hand, sum(s.reserved) AS reserved
                   FROM stock.location_stock s WHERE s.item_id = i.item_id) places
  ON true
LEFT JOIN stock.products p ON p.item_id = i.item_id
LEFT JOIN stock.alert_rules v ON v.site_id = i.site_id AND v.product_id = i.product_id AND v.variant_id = i.variant_id
LEFT JOIN stock.alert_rules r ON r.site_id = i.site_id AND r.product_id = i.product_id AND r.variant_id IS NULL
LEFT JOIN stock.alert_rules s ON s.site_id = i.site_id AND s.product_id IS NULL
LEFT JOIN stock.site_settings t ON t.site_id = i.site_id
WHERE i.item_id = ANY($1::bigint[])
ORDER BY i.item_id;

-- name: costed_rows
-- The rows that move on_hand of items that have, or had, a cost. Index: movements_pkey.
SELECT i.site_id, i.product_id, i.variant_id, m.item_id, m.version, m.type, m.quantity, m.on_hand, m.unit_cost,
  m.average_cost, m.costed_quantity
FROM stock.movements m JOIN stock.items i ON i.item_id = m.item_id
WHERE m.item_id = ANY($1::bigint[])
  AND (m.item_id IN (SELECT c.item_id FROM stock.items c
                     WHERE c.item_id = ANY($1::bigint[]) AND c.average_cost IS NOT NULL)
       OR m.average_cost IS NOT NULL OR m.unit_cost IS NOT NULL OR m.costed_quantity <> 0)
ORDER BY m.item_id, m.version;

-- name: held
-- Locations at which people hold more or less than they reserved by hand. Indexes: movements_pkey, location_stock_pkey.
SELECT i.site_id, i.product_id, i.variant_id, s.location_id, coalesce(m.held, 0)::bigint AS expected, s.held AS found
FROM stock.location_stock s JOIN stock.items i ON i.item_id = s.item_id
LEFT JOIN (SELECT item_id, location_id, -sum(quantity) AS held FROM stock.movements
           WHERE item_id = ANY($1::bigint[]) AND type IN ('reserved', 'unreserved') AND order_id IS NULL
           GROUP BY item_id, location_id) m
  ON m.item_id = s.item_id AND m.location_id = s.location_id
WHERE s.item_id = ANY($1::bigint[]) AND s.held <> coalesce(m.held, 0)
ORDER BY s.item_id, s.location_id;

-- name: daily_totals
-- Totals by location and type that are not the ledger's, all days together: a day is that of the site's time zone when
-- the row was written. Indexes: movements_pkey, daily_totals_pkey.
SELECT i.site_id, i.product_id, i.variant_id, coalesce(d.location_id, m.location_id) AS location_id,
  coalesce(d.type, m.type) AS type, ARRAY[m.movements, m.units_in, m.units_out] AS expected,
  ARRAY[d.movements, d.units_in, d.units_out] AS found
FROM (SELECT item_id, location_id, type, sum(movements)::bigint AS movements, sum(units_in)::bigint AS units_in,
        sum(units_out)::bigint AS units_out
      FROM stock.daily_totals WHERE item_id = ANY($1::bigint[]) GROUP BY item_id, location_id, type) d
FULL JOIN (SELECT item_id, location_id, type, count(*) AS movements, sum(greatest(quantity, 0))::bigint AS units_in,
             sum(greatest(-quantity, 0))::bigint AS units_out
           FROM stock.movements WHERE item_id = ANY($1::bigint[]) GROUP BY item_id, location_id, type) m
  ON m.item_id = d.item_id AND m.location_id = d.location_id AND m.type = d.type
JOIN stock.items i ON i.item_id = coalesce(d.item_id, m.item_id)
WHERE (d.movements, d.units_in, d.units_out) IS DISTINCT FROM (m.movements, m.units_in, m.units_out)
ORDER BY i.item_id, 4, 5;

-- name: places
-- Locations of items beside the last row that the ledger has for them. Indexes: location_stock_pkey, movements_pkey.
SELECT i.site_id, i.product_id, i.variant_id, coalesce(s.location_id, m.location_id) AS location_id,
  s.site_id AS place_site_id, s.on_hand, s.reserved, m.location_on_hand, m.location_reserved,
  l.location_id IS NOT NULL AS known
FROM (SELECT * FROM stock.location_stock WHERE item_id = ANY($1::bigint[])) s
FULL JOIN (SELECT DISTINCT ON (item_id, location_id) item_id, location_id, location_on_hand, location_reserved
           FROM stock.movements WHERE item_id = ANY($1::bigint[])
           ORDER BY item_id, location_id, version DESC) m
  ON m.item_id = s.item_id AND m.location_id = s.location_id
JOIN stock.items i ON i.item_id = coalesce(s.item_id, m.item_id)
LEFT JOIN stock.locations l ON l.site_id = i.site_id AND l.location_id = coalesce(s.location_id, m.location_id)
-- A place that was counted or given a bin before anything moved there has a row of zeros.
WHERE (s.on_hand, s.reserved) IS DISTINCT FROM (coalesce(m.location_on_hand, 0), coalesce(m.location_reserved, 0))
   OR l.location_id IS NULL OR s.site_id IS DISTINCT FROM i.site_id
ORDER BY i.item_id, 4;

-- name: unlisted_by_reference
-- Rows that the reference which they carry does not list. Indexes: movements_pkey, references_pkey.
WITH rows AS MATERIALIZED (
  SELECT item_id, version, site_id, reference_type, reference_id
  FROM stock.movements WHERE item_id = ANY($1::bigint[])
), listed AS (
  SELECT k.site_id, k.reference_type, k.reference_id, p.item_id, p.version
  FROM (SELECT DISTINCT site_id, reference_type, reference_id FROM rows) k
  JOIN stock.references r ON r.site_id = k.site_id AND r.type = k.reference_type AND r.id = k.reference_id
  -- Taken apart in one pass: each subscript of a long array would read it from its beginning.
  CROSS JOIN LATERAL (
    SELECT at, number AS item_id, lead(number) OVER (ORDER BY at) AS version
    FROM unnest(r.movements) WITH ORDINALITY AS n(number, at)
  ) p
  WHERE p.at % 2 = 1
)
SELECT i.site_id, i.product_id, i.variant_id, m.version, m.reference_type, m.reference_id
FROM rows m
JOIN stock.items i ON i.item_id = m.item_id
LEFT JOIN listed l ON l.item_id = m.item_id AND l.version = m.version AND l.site_id = m.site_id
  AND l.reference_type = m.reference_type AND l.reference_id = m.reference_id
WHERE l.version IS NULL
ORDER BY m.item_id, m.version;

-- name: unlisted_by_line
-- Rows that the order line which they carry does not list. Indexes: movements_pkey, orders_pkey, order_lines_pkey.
WITH rows AS MATERIALIZED (
  SELECT item_id, version, site_id, order_id, line_id
  FROM stock.movements WHERE item_id = ANY($1::bigint[]) AND order_id IS NOT NULL AND line_id IS NOT NULL
), listed AS (
  SELECT k.site_id, k.order_id, k.line_id, l.item_id, version
  FROM (SELECT DISTINCT site_id, order_id, line_id FROM rows) k
  JOIN stock.orders o ON o.site_id = k.site_id AND o.order_id = k.order_id
  JOIN stock.order_lines l ON l.order_pk = o.order_pk AND l.line_id = k.line_id
  CROSS JOIN LATERAL unnest(l.versions) AS version
)
SELECT i.site_id, i.product_id, i.variant_id, m.version, m.order_id, m.line_id
FROM rows m
JOIN stock.items i ON i.item_id = m.item_id
LEFT JOIN listed l ON l.item_id = m.item_id AND l.version = m.version AND l.site_id = m.site_id
  AND l.order_id = m.order_id AND l.line_id = m.line_id
WHERE l.version IS NULL
ORDER BY m.item_id, m.version;

-- name: movements_without_item
-- Items that only the ledger knows: one step of the index for each item. Index: movements_pkey.
WITH RECURSIVE known(item_id) AS (
  SELECT min(item_id) FROM stock.movements
  UNION ALL
  SELECT (SELECT min(m.item_id) FROM stock.movements m WHERE m.item_id > k.item_id)
  FROM known k WHERE k.item_id IS NOT NULL
)
SELECT k.item_id FROM known k LEFT JOIN stock.items i ON i.item_id = k.item_id
WHERE k.item_id IS NOT NULL AND i.item_id IS NULL
ORDER BY k.item_id;

-- name: count_lines
-- How far there is to go.
SELECT count(*) FROM stock.order_lines WHERE $1::uuid IS NULL OR site_id = $1;

-- name: next_lines
-- The keys of the next lines of a site or of all ($1), after ($2, $3), at most $4. Index: order_lines_pkey.
SELECT order_pk, line_id FROM stock.order_lines
WHERE (order_pk, line_id) > ($2::bigint, $3::text) AND ($1::uuid IS NULL OR site_id = $1)
ORDER BY order_pk, line_id LIMIT $4;

-- name: lines_of_items
-- The keys of the lines that moved these items. Indexes: movements_pkey, orders_pkey, order_lines_pkey.
SELECT DISTINCT l.order_pk, l.line_id
FROM stock.movements m
JOIN stock.orders o ON o.site_id = m.site_id AND o.order_id = m.order_id
JOIN stock.order_lines l ON l.order_pk = o.order_pk AND l.line_id = m.line_id
WHERE m.item_id = ANY($1::bigint[])
ORDER BY 1, 2;

-- name: lines
-- Lines beside what the ledger says was moved for them. Indexes: order_lines_pkey, orders_order_pk_is_unique,
-- movements_pkey.
SELECT l.order_pk, l.line_id, l.site_id, l.placed, l.cancelled, l.fulfilled, l.returned, l.mode, l.expired, l.tracked,
  l.allocations,
  o.order_id, coalesce(o.cancelled_whole, false) AS cancelled_whole, o.site_id AS order_site_id,
  i.site_id AS item_site_id, cardinality(l.versions) AS listed,
  moved.rows, moved.own, moved.sold, moved.held, moved.came_back, moved.damaged
FROM unnest($1::bigint[], $2::text[]) AS k(order_pk, line_id)
JOIN stock.order_lines l ON l.order_pk = k.order_pk AND l.line_id = k.line_id
LEFT JOIN LATERAL (SELECT * FROM stock.orders o WHERE o.order_pk = l.order_pk AND o.site_id = l.site_id) o ON true
LEFT JOIN stock.items i ON i.item_id = l.item_id
CROSS JOIN LATERAL (
  SELECT count(*) AS rows,
    count(*) FILTER (WHERE m.order_id = o.order_id AND m.line_id = l.line_id AND m.site_id = l.site_id) AS own,
    coalesce(-sum(m.quantity) FILTER (WHERE m.type = 'sale'), 0)::bigint AS sold,
    coalesce(-sum(m.quantity) FILTER (WHERE m.type IN ('reserved', 'unreserved')), 0)::bigint AS held,
    coalesce(sum(m.quantity) FILTER (WHERE m.type = 'return'), 0)::bigint AS came_back,
    coalesce(-sum(m.quantity) FILTER (WHERE m.type = 'damage'), 0)::bigint AS damaged
  FROM (SELECT DISTINCT version FROM unnest(l.versions) AS version) v
  -- LIMIT keeps the two halves of the key together: joined freely, every line reads its item's whole ledger.
  CROSS JOIN LATERAL (SELECT * FROM stock.movements m
                      WHERE m.item_id = l.item_id AND m.version = v.version LIMIT 1) m
) moved
ORDER BY l.order_pk, l.line_id;

-- name: count_references
-- How far there is to go.
SELECT count(*) FROM stock.references WHERE $1::uuid IS NULL OR site_id = $1;

-- name: next_references
-- The keys of the next references of a site or of all ($1), after ($2, $3, $4), at most $5. Index: references_pkey.
SELECT site_id, type, id FROM stock.references
WHERE (site_id, type, id) > ($2::uuid, $3::text, $4::text) AND ($1::uuid IS NULL OR site_id = $1)
ORDER BY site_id, type, id LIMIT $5;

-- name: references
-- What references list against what the rows carry, item by item. Indexes: references_pkey, movements_pkey.
SELECT r.site_id, r.type, r.id, p.item_id, count(*) AS listed, count(DISTINCT p.version) AS different,
  count(*) FILTER (WHERE m.site_id = r.site_id AND m.reference_type = r.type AND m.reference_id = r.id) AS own,
  count(*) FILTER (WHERE m.order_id <> r.order_id OR (m.order_id IS NOT NULL AND r.order_id IS NULL)) AS strange,
  array_agg(p.version ORDER BY p.version) FILTER (WHERE m.last_of_command) AS last, max(p.version) AS newest
FROM unnest($1::uuid[], $2::text[], $3::text[]) AS k(site_id, type, id)
JOIN stock.references r ON r.site_id = k.site_id AND r.type = k.type AND r.id = k.id
CROSS JOIN LATERAL (
  SELECT at, number AS item_id, lead(number) OVER (ORDER BY at) AS version
  FROM unnest(r.movements) WITH ORDINALITY AS n(number, at)
) p
LEFT JOIN LATERAL (SELECT * FROM stock.movements m
                   WHERE m.item_id = p.item_id AND m.version = p.version LIMIT 1) m ON true
WHERE p.at % 2 = 1
GROUP BY r.site_id, r.type, r.id, p.item_id
HAVING count(*) <> count(DISTINCT p.version)
  OR count(*) <> count(*) FILTER (WHERE m.site_id = r.site_id AND m.reference_type = r.type AND m.reference_id = r.id)
  OR count(*) FILTER (WHERE m.order_id <> r.order_id OR (m.order_id IS NOT NULL AND r.order_id IS NULL)) > 0
  OR array_agg(p.version ORDER BY p.version) FILTER (WHERE m.last_of_command) IS DISTINCT FROM ARRAY[max(p.version)]
ORDER BY r.site_id, r.type, r.id, p.item_id;

-- name: placements_without_lines
-- Accepted placements whose order has no line. Indexes: references_pkey, orders_pkey, order_lines_pkey.
SELECT r.site_id, r.id, r.order_id, r.outcome
FROM unnest($1::uuid[], $2::text[], $3::text[]) AS k(site_id, type, id)
JOIN stock.references r ON r.site_id = k.site_id AND r.type = k.type AND r.id = k.id
WHERE r.type = 'order' AND r.outcome IN ('applied', 'superseded', 'expired', 'no_effect')
  AND NOT EXISTS (
  SELECT FROM stock.orders o JOIN stock.order_lines l ON l.order_pk = o.order_pk
  WHERE o.site_id = r.site_id AND o.order_id = r.order_id
)
ORDER BY r.site_id, r.id;

-- name: due
-- Orders whose due_at is not their time while they hold something, else NULL. Indexes: orders_order_pk_is_unique,
-- order_lines_pkey.
SELECT o.site_id, o.order_id, w.expected, o.due_at AS found
FROM stock.orders o CROSS JOIN LATERAL (
  SELECT CASE WHEN bool_or(part ->> 2 <> '0') THEN o.expires_at END AS expected
  FROM stock.order_lines l CROSS JOIN LATERAL jsonb_array_elements(l.allocations) AS part
  WHERE l.order_pk = o.order_pk
) w
WHERE ($1::uuid IS NULL OR o.site_id = $1) AND o.expires_at IS NOT NULL AND o.due_at IS DISTINCT FROM w.expected
ORDER BY o.order_pk;

-- name: parked
-- Parked commands that should have been decided, or were. Indexes: order_lines_pkey, references_pkey.
SELECT p.site_id, p.reference_type, p.reference_id, p.order_id, r.id IS NOT NULL AS decided,
  EXISTS (SELECT FROM stock.order_lines l WHERE l.order_pk = p.order_pk) AS placed
FROM stock.parked_commands p
LEFT JOIN stock.references r ON r.site_id = p.site_id AND r.type = p.reference_type AND r.id = p.reference_id
WHERE ($1::uuid IS NULL OR p.site_id = $1)
  AND (r.id IS NOT NULL OR EXISTS (SELECT FROM stock.order_lines l WHERE l.order_pk = p.order_pk))
ORDER BY p.seq;
