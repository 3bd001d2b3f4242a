-- name: outbox_depth
-- How many events wait, and since when in seconds. Every second on every worker, hence the bound. Index: outbox_pkey.
SELECT (SELECT count(*) FROM (SELECT FROM stock.outbox LIMIT $1) AS pending) AS pending,
       coalesce((SELECT extract(epoch FROM clock_timestamp() - created_at) FROM stock.outbox ORDER BY seq LIMIT 1), 0)
           AS oldest_age_s;

-- name: alert_items
-- Items by alert level. No index: the level changes with the hottest rows; `gauges` bounds how often this may run.
SELECT level, count(*) AS items FROM stock.items WHERE version > 0 AND level <> 'ok' GROUP BY level;

-- name: parked_commands
-- Commands that wait for their order. Index: parked_commands_by_age, index only.
SELECT count(*) FROM stock.parked_commands;

-- name: reservations_overdue
-- Orders whose reservations are past their time and have not expired. Index: orders_due.
SELECT count(*) FROM stock.orders WHERE due_at <= statement_timestamp();

-- name: ledger_bytes
-- How large the ledger is, without reading it; the planner's count would be unknown after a restore.
SELECT pg_relation_size('stock.movements');
