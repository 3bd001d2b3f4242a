-- What a site's stock comes to (store/reads/reports.py). Tracked items only.

-- name: valuation
-- Units, cost and price by category, now or as the ledger had them at $2; prices are today's. An item that moved since
-- is looked up by halving, as an item's time never goes back. Indexes: items_key_is_unique_null_equals_null,
-- movements_pkey, products_pkey.
WITH RECURSIVE search(item_id, low, high) AS (
  SELECT item_id, 0::bigint, version FROM stock.items WHERE site_id = $1 AND last_movement_at > $2::timestamptz
  UNION ALL
  SELECT s.item_id, CASE WHEN m.recorded_at <= $2 THEN m.version ELSE s.low END,
    CASE WHEN m.recorded_at <= $2 THEN s.high ELSE m.version - 1 END
  FROM search s
  CROSS JOIN LATERAL (
    SELECT version, recorded_at FROM stock.movements
    WHERE item_id = s.item_id AND version = (s.low + s.high + 1) / 2 LIMIT 1 -- by its key, however many are sought
  ) m
  WHERE s.low < s.high
), figures AS (
  SELECT item_id, on_hand, costed_quantity, average_cost FROM stock.items
  WHERE site_id = $1 AND version > 0 AND ($2 IS NULL OR last_movement_at <= $2)
  UNION ALL
  SELECT m.item_id, m.on_hand, m.costed_quantity, m.average_cost
  FROM search s
  CROSS JOIN LATERAL (
    SELECT item_id, on_hand, costed_quantity, average_cost FROM stock.movements
    WHERE item_id = s.item_id AND version = s.low LIMIT 1
  ) m
  WHERE s.low = s.high
), parts AS (
  SELECT p.category_id, p.category_name, p.cost_price, p.unit_price, greatest(f.on_hand, 0) AS units,
    greatest(-f.on_hand, 0) AS negative, greatest(f.on_hand, 0) - f.costed_quantity AS uncosted,
    f.costed_quantity * coalesce(f.average_cost, 0) AS costed_value
  FROM figures f LEFT JOIN stock.products p ON p.item_id = f.item_id
  WHERE coalesce(p.track_inventory, true)
)
SELECT category_id, min(category_name) AS category_name, sum(units)::bigint AS quantity,
  sum(costed_value + uncosted * coalesce(cost_price, 0)) AS value,
  sum(units * coalesce(unit_price, 0)) AS price_value,
  coalesce(sum(uncosted) FILTER (WHERE cost_price IS NULL), 0)::bigint AS uncosted_units,
  coalesce(sum(uncosted) FILTER (WHERE cost_price IS NOT NULL), 0)::bigint AS catalog_costed_units,
  coalesce(sum(units) FILTER (WHERE unit_price IS NULL), 0)::bigint AS unpriced_units,
  sum(negative)::bigint AS negative_units
FROM parts
GROUP BY category_id, CASE WHEN category_id IS NULL THEN category_name END
ORDER BY value DESC, category_id;

-- name: product_names
-- What the catalog calls products, by any of their variants. Indexes: items_key_is_unique_null_equals_null,
-- products_pkey.
SELECT i.product_id, min(p.name) AS name
FROM stock.items i JOIN stock.products p ON p.item_id = i.item_id
WHERE i.site_id = $1 AND i.product_id = ANY($2::uuid[]) GROUP BY i.product_id;

-- name: to_reorder
-- What is at or below its reorder point, as a whole (location_id is null) and by place: how many, and one page. One row.
-- Indexes: items_key_is_unique_null_equals_null, products_pkey, alert_rules_scope_is_unique_null_equals_null,
-- location_stock_pkey, locations_pkey.
WITH counted AS MATERIALIZED (
  SELECT i.item_id, i.product_id, i.variant_id, i.on_hand - i.reserved AS available, p.name,
    coalesce(v.reorder_point, r.reorder_point, s.reorder_point) AS reorder_point
  FROM stock.items i
  LEFT JOIN stock.products p ON p.item_id = i.item_id
  LEFT JOIN stock.alert_rules v
    ON v.site_id = i.site_id AND v.product_id = i.product_id AND v.variant_id = i.variant_id
  LEFT JOIN stock.alert_rules r ON r.site_id = i.site_id AND r.product_id = i.product_id AND r.variant_id IS NULL
  LEFT JOIN stock.alert_rules s ON s.site_id = i.site_id AND s.product_id IS NULL
  WHERE i.site_id = $1 AND (i.version > 0 OR i.catalog_revision IS NOT NULL)
    AND coalesce(p.track_inventory, true) AND NOT coalesce(p.archived, false)
    AND NOT (i.variant_id IS NULL AND i.version = 0 AND EXISTS (
      SELECT FROM stock.items w LEFT JOIN stock.products q ON q.item_id = w.item_id
      WHERE w.site_id = $1 AND w.product_id = i.product_id AND w.variant_id IS NOT NULL
        AND (w.version > 0 OR w.catalog_revision IS NOT NULL)
        AND NOT (coalesce(q.archived, false) AND w.on_hand = 0 AND w.reserved = 0)
    ))
), due AS MATERIALIZED (
  SELECT item_id, NULL::uuid AS location_id, reorder_point, name, product_id, variant_id, NULL::text AS code
  FROM counted WHERE available <= reorder_point
  UNION ALL
  SELECT c.item_id, s.location_id, s.reorder_point, c.name, c.product_id, c.variant_id, l.code
  FROM counted c
  JOIN stock.location_stock s ON s.item_id = c.item_id AND s.on_hand - s.reserved <= s.reorder_point
  JOIN stock.locations l ON l.site_id = s.site_id AND l.location_id = s.location_id AND l.is_active
), page AS (
  SELECT d.*, row_number() OVER (
    ORDER BY lower(d.name) NULLS LAST, d.product_id, d.variant_id NULLS FIRST, d.code NULLS FIRST
  ) AS place
  FROM due d ORDER BY place LIMIT $2::bigint OFFSET $3::bigint
)
SELECT (SELECT count(*) FROM due) AS total, array_agg(item_id ORDER BY place) AS item_ids,
  array_agg(location_id ORDER BY place) AS location_ids, array_agg(reorder_point ORDER BY place) AS reorder_points
FROM page;
