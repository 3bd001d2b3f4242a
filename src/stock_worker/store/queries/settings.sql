-- A site's settings, and what each change of them or of its rules leaves behind (store/steering/settings.py).

-- name: settings_of_site
-- What a site has set. Index: site_settings_pkey.
SELECT low_stock_threshold, critical_stock_threshold, out_of_stock_threshold, email_recipients, email_frequency,
       dashboard_enabled, webhook_url, webhook_enabled, mode, reservation_ttl, timezone, currency
FROM stock.site_settings WHERE site_id = $1;

-- name: sites_with_settings
-- The sites that have set anything, for a person. Index: site_settings_pkey.
SELECT site_id, low_stock_threshold, critical_stock_threshold, out_of_stock_threshold, email_recipients,
       email_frequency, dashboard_enabled, webhook_url, webhook_enabled, mode, reservation_ttl, timezone, currency
FROM stock.site_settings WHERE stamp > 0 ORDER BY site_id LIMIT $1;

-- name: make_settings
-- The row that changes lock, with nothing set. Index: site_settings_pkey.
INSERT INTO stock.site_settings (site_id, stamp, updated_at) VALUES ($1, 0, clock_timestamp()) ON CONFLICT DO NOTHING;

-- name: lock_settings
-- The row that changes of settings and rules take first, so that two do not meet. Index: site_settings_pkey.
SELECT low_stock_threshold, critical_stock_threshold, out_of_stock_threshold, email_recipients, email_frequency,
       dashboard_enabled, webhook_url, webhook_enabled, mode, reservation_ttl, timezone, currency
FROM stock.site_settings WHERE site_id = $1 FOR UPDATE;

-- name: write_settings
-- The settings as they are wanted. Index: site_settings_pkey.
UPDATE stock.site_settings SET
  low_stock_threshold = $2, critical_stock_threshold = $3, out_of_stock_threshold = $4, email_recipients = $5,
  email_frequency = $6, dashboard_enabled = $7, webhook_url = $8, webhook_enabled = $9, mode = $10,
  reservation_ttl = $11, timezone = $12, currency = $13
WHERE site_id = $1;

-- name: stamp
-- That what workers remember of the site is old. Index: site_settings_pkey.
UPDATE stock.site_settings SET stamp = stamp + 1, updated_at = clock_timestamp() WHERE site_id = $1;

-- name: leave_job
-- That the items of this scope have to be evaluated again.
INSERT INTO stock.reevaluations (site_id, product_id, variant_id, limit_changed, created_at)
VALUES ($1, $2, $3, $4, clock_timestamp());
