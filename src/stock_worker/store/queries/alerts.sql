-- Items that are low, critical or out, for the people who look after them (store/reads/alerts.py).

-- name: told
-- These items ($2, in this order), with what the catalog and the rules say of them. Indexes: items_pkey, dismissals_pkey,
-- products_pkey, alert_rules_scope_is_unique_null_equals_null, site_settings_pkey.
WITH a AS (
  SELECT i.item_id, i.product_id, i.variant_id, i.alert_id, i.level, i.on_hand - i.reserved AS available, i.net_sold,
         i.first_movement_at, i.last_movement_at, i.last_alerted_at, d.dismissed_at, d.dismissed_by,
         array_position($2::bigint[], i.item_id) AS place
  FROM stock.items i LEFT JOIN stock.dismissals d ON d.alert_id = i.alert_id AND d.site_id = i.site_id
  WHERE i.site_id = $1 AND i.item_id = ANY($2)
)
SELECT a.item_id, a.product_id, a.variant_id, a.alert_id, a.level, a.available, a.net_sold, a.first_movement_at,
       a.last_movement_at, a.last_alerted_at, a.dismissed_at, a.dismissed_by, p.name, p.variant_name, p.sku,
       p.category_id, p.category_name, p.image_url, now() AS at,
       coalesce(v.reorder_quantity, o.reorder_quantity, s.reorder_quantity) AS reorder_quantity,
       coalesce(t.of_variant, t.of_product, t.of_site, t.of_settings) AS threshold,
       CASE WHEN t.of_variant IS NOT NULL THEN 'variant' WHEN t.of_product IS NOT NULL THEN 'product'
            WHEN t.of_site IS NOT NULL THEN 'site' WHEN t.of_settings IS NOT NULL THEN 'settings'
            ELSE 'built-in' END AS threshold_source
FROM a
LEFT JOIN stock.products p ON p.item_id = a.item_id
LEFT JOIN stock.alert_rules v ON v.site_id = $1 AND v.product_id = a.product_id AND v.variant_id = a.variant_id
LEFT JOIN stock.alert_rules o ON o.site_id = $1 AND o.product_id = a.product_id AND o.variant_id IS NULL
LEFT JOIN stock.alert_rules s ON s.site_id = $1 AND s.product_id IS NULL
LEFT JOIN stock.site_settings g ON g.site_id = $1
CROSS JOIN LATERAL (VALUES
  ('out', v.out_of_stock_threshold, o.out_of_stock_threshold, s.out_of_stock_threshold, g.out_of_stock_threshold),
  ('critical', v.critical_stock_threshold, o.critical_stock_threshold, s.critical_stock_threshold,
   g.critical_stock_threshold),
  ('low', v.low_stock_threshold, o.low_stock_threshold, s.low_stock_threshold, g.low_stock_threshold)
) AS t (level, of_variant, of_product, of_site, of_settings)
WHERE t.level = a.level
ORDER BY a.place;
