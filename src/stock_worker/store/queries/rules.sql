-- Alert rules, for the people who set them (store/steering/rules.py).

-- name: rules_of_scope
-- The rules that reach a scope: its own and those it inherits from. Index: alert_rules_scope_is_unique_null_equals_null.
SELECT * FROM stock.alert_rules WHERE site_id = $1 AND product_id IS NULL
UNION ALL
SELECT * FROM stock.alert_rules WHERE site_id = $1 AND product_id = $2 AND variant_id IS NULL
UNION ALL
SELECT * FROM stock.alert_rules WHERE site_id = $1 AND product_id = $2 AND variant_id = $3;

-- name: rules_of_site
-- All rules of a site. Index: alert_rules_scope_is_unique_null_equals_null.
SELECT * FROM stock.alert_rules WHERE site_id = $1 ORDER BY product_id, variant_id;

-- name: write_rule
-- A rule as it is wanted. Index: alert_rules_scope_is_unique_null_equals_null.
INSERT INTO stock.alert_rules
  (site_id, product_id, variant_id, low_stock_threshold, critical_stock_threshold, out_of_stock_threshold,
   backorder_limit, reorder_point, reorder_quantity, is_active, notify_email, notify_dashboard, notify_webhook,
   updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, clock_timestamp())
ON CONFLICT (site_id, product_id, variant_id) DO UPDATE SET
  low_stock_threshold = excluded.low_stock_threshold, critical_stock_threshold = excluded.critical_stock_threshold,
  out_of_stock_threshold = excluded.out_of_stock_threshold, backorder_limit = excluded.backorder_limit,
  reorder_point = excluded.reorder_point, reorder_quantity = excluded.reorder_quantity,
  is_active = excluded.is_active, notify_email = excluded.notify_email, notify_dashboard = excluded.notify_dashboard,
  notify_webhook = excluded.notify_webhook, updated_at = excluded.updated_at
RETURNING *;

-- name: delete_rule
-- A rule that is no more. Index: alert_rules_scope_is_unique_null_equals_null.
DELETE FROM stock.alert_rules
WHERE site_id = $1 AND (product_id = $2 OR (product_id IS NULL AND $2::uuid IS NULL))
  AND (variant_id = $3 OR (variant_id IS NULL AND $3::uuid IS NULL));
