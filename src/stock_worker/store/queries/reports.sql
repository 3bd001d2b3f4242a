-- What a site's stock comes to (store/reads/reports.py). Tracked items only.

-- name: valuation_part
-- The last product of the part of some $3 items that begins with product $2, and the first one after it. Index:
-- items_key_is_unique_null_equals_null, index only.
SELECT last,
  (SELECT product_id FROM stock.items WHERE site_id = $1 AND product_id > last ORDER BY product_id LIMIT 1) AS next
FROM (
  SELECT product_id AS last
  FROM (
    SELECT product_id FROM stock.items WHERE site_id = $1 AND product_id >= $2 ORDER BY product_id LIMIT $3::int
  ) part
  ORDER BY product_id DESC LIMIT 1
) found;

-- name: valuation_at
-- Units, cost and price by category of the products from $3 to $4, as the ledger had them at $2; prices are today's. Of
-- an item that moved since, its versions are halved, as its time never goes back, until a few are left, of which the
-- newest is read backwards: one descent of the index finds these, where halving would go down for each. Indexes:
-- items_key_is_unique_null_equals_null, movements_pkey, products_pkey.
WITH RECURSIVE search(item_id, low, high) AS (
  SELECT item_id, 0::bigint, version FROM stock.items
  WHERE site_id = $1 AND product_id BETWEEN $3 AND $4 AND last_movement_at > $2::timestamptz
  UNION ALL
  SELECT s.item_id, CASE WHEN m.recorded_at <= $2 THEN m.version ELSE s.low END,
    CASE WHEN m.recorded_at <= $2 THEN s.high ELSE m.version - 1 END
  FROM search s
  CROSS JOIN LATERAL (
    SELECT version, recorded_at FROM stock.movements
    WHERE item_id = s.item_id AND version = (s.low + s.high + 1) / 2 LIMIT 1 -- by its key, however many are sought
  ) m
  WHERE s.high - s.low > 4
), figures AS (
  SELECT item_id, on_hand, costed_quantity, average_cost FROM stock.items
  WHERE site_id = $1 AND product_id BETWEEN $3 AND $4 AND version > 0 AND last_movement_at <= $2
  UNION ALL
  SELECT m.item_id, m.on_hand, m.costed_quantity, m.average_cost
  FROM search s
  CROSS JOIN LATERAL (
    SELECT item_id, on_hand, costed_quantity, average_cost FROM stock.movements
    WHERE item_id = s.item_id AND version BETWEEN s.low AND s.high AND recorded_at <= $2
    ORDER BY version DESC LIMIT 1
  ) m
  WHERE s.high - s.low <= 4
), parts AS (
  SELECT p.category_id, p.category_name, p.cost_price, p.unit_price, greatest(f.on_hand, 0) AS units,
    greatest(-f.on_hand, 0) AS negative, greatest(f.on_hand, 0) - f.costed_quantity AS uncosted,
    f.costed_quantity * coalesce(f.average_cost, 0) AS costed_value
  FROM figures f
  LEFT JOIN LATERAL (
    SELECT category_id, category_name, cost_price, unit_price, track_inventory FROM stock.products
    WHERE item_id = f.item_id LIMIT 1 -- by its key: a merge would read the catalog from its first row for each part
  ) p ON true
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
GROUP BY category_id, CASE WHEN category_id IS NULL THEN category_name END;

-- name: product_names
-- What the catalog calls products, by any of their variants. Indexes: items_key_is_unique_null_equals_null,
-- products_pkey.
SELECT i.product_id, min(p.name) AS name
FROM stock.items i JOIN stock.products p ON p.item_id = i.item_id
WHERE i.site_id = $1 AND i.product_id = ANY($2::uuid[]) GROUP BY i.product_id;
