-- Alerts that people have dismissed (store/steering/alerts.py).

-- name: item_of_alert
-- The item whose alerts have ids from $2 to $3, and the one that it is at. Index: items_alerts.
SELECT item_id, alert_id, level FROM stock.items WHERE site_id = $1 AND alert_id BETWEEN $2 AND $3;

-- name: dismiss
-- That somebody has dismissed this alert; the first who did stays. Index: dismissals_pkey.
INSERT INTO stock.dismissals (alert_id, item_id, site_id, dismissed_at, dismissed_by)
VALUES ($1, $2, $3, clock_timestamp(), $4) ON CONFLICT DO NOTHING;

-- name: dismissal
-- Who dismissed it. Index: dismissals_pkey.
SELECT dismissed_at, dismissed_by FROM stock.dismissals WHERE alert_id = $1;
