-- Alert rules, a page at a time (store/reads/rules.py).

-- name: page
-- A page of a site's rules, or of one product's. Index: alert_rules_scope_is_unique_null_equals_null.
SELECT product_id, variant_id, low_stock_threshold, critical_stock_threshold, out_of_stock_threshold, backorder_limit,
       reorder_point, reorder_quantity, is_active, notify_email, notify_dashboard, notify_webhook, updated_at
FROM stock.alert_rules WHERE site_id = $1 AND ($2::uuid IS NULL OR product_id = $2)
ORDER BY product_id, variant_id LIMIT $3 OFFSET $4;

-- name: total
-- How many there are. Index: alert_rules_scope_is_unique_null_equals_null.
SELECT count(*) FROM stock.alert_rules WHERE site_id = $1 AND ($2::uuid IS NULL OR product_id = $2);
