-- name: moment_and_settings
-- The moment of the batch, read after its locks, so that workers' clocks do not matter, and the settings of its sites.
-- Index: site_settings_pkey.
SELECT m.moment, s.site_id, s.stamp, s.low_stock_threshold, s.critical_stock_threshold, s.out_of_stock_threshold,
       s.email_recipients, s.email_frequency, s.dashboard_enabled, s.webhook_url, s.webhook_enabled, s.mode,
       s.reservation_ttl, s.timezone, s.currency
FROM (SELECT clock_timestamp() AS moment) AS m LEFT JOIN stock.site_settings s ON s.site_id = ANY($1::uuid[]);

-- name: rules_of_products
-- The alert rules of these products, of their variants and of their sites. Index:
-- alert_rules_scope_is_unique_null_equals_null.
SELECT r.site_id, r.product_id, r.variant_id, r.low_stock_threshold, r.critical_stock_threshold,
       r.out_of_stock_threshold, r.backorder_limit, r.reorder_point, r.reorder_quantity, r.is_active, r.notify_email,
       r.notify_dashboard, r.notify_webhook
FROM unnest($1::uuid[], $2::uuid[]) AS k(site_id, product_id)
JOIN stock.alert_rules r ON r.site_id = k.site_id AND r.product_id = k.product_id
UNION ALL
SELECT r.site_id, r.product_id, r.variant_id, r.low_stock_threshold, r.critical_stock_threshold,
       r.out_of_stock_threshold, r.backorder_limit, r.reorder_point, r.reorder_quantity, r.is_active, r.notify_email,
       r.notify_dashboard, r.notify_webhook
FROM stock.alert_rules r WHERE r.site_id = ANY($1::uuid[]) AND r.product_id IS NULL;

-- name: catalog_entries
-- What the catalog says of the locked items. Index: products_pkey.
SELECT item_id, name, variant_name, sku, options, category_id, category_name, image_url, unit_price, cost_price,
       track_inventory, archived, revision
FROM stock.products WHERE item_id = ANY($1::bigint[]);
