-- name: write_watermarks
-- That everything in these partitions is applied up to then; a row never goes back. Index: watermarks_pkey.
INSERT INTO stock.watermarks AS w (topic, partition, applied_to, reported_at)
SELECT topic, partition, applied_to, clock_timestamp()
FROM unnest($1::text[], $2::int[], $3::timestamptz[]) AS k(topic, partition, applied_to)
ON CONFLICT (topic, partition) DO UPDATE SET
  applied_to = greatest(w.applied_to, excluded.applied_to), reported_at = excluded.reported_at;

-- name: reach
-- Up to when all of these partitions are applied, and how many of them say so. Index: watermarks_pkey.
SELECT min(w.applied_to) AS applied_to, count(*) AS partitions
FROM unnest($1::text[], $2::int[]) AS k(topic, partition)
JOIN stock.watermarks w ON w.topic = k.topic AND w.partition = k.partition;

-- name: pick_due_orders
-- Orders whose reservations are due, the longest first, locked; those that another holds are left to it. Index:
-- orders_due.
SELECT site_id, order_id, expires_at
FROM stock.orders WHERE due_at <= $1 AND order_pk <> ALL($2::bigint[])
ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED;

-- name: longest_overdue
-- The order that is due for the longest time. Index: orders_due.
SELECT order_pk, order_id
FROM stock.orders WHERE due_at <= $1 AND order_pk <> ALL($2::bigint[])
ORDER BY due_at LIMIT 1;

-- name: reevaluation_jobs
-- The oldest changes of rules and settings whose items are not all evaluated, and whether they may begin. Index:
-- reevaluations_pkey.
SELECT job_id, fence, fence <= pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS is_ripe, limit_changed,
       site_id, product_id, variant_id, after_product_id, after_variant_id
FROM stock.reevaluations ORDER BY job_id LIMIT 20;

-- name: fence_jobs
-- Whoever can have read an old rule has an older number than this transaction: numbers are given out in order, and a
-- batch takes its own with its locks, before it reads rules. (The xmax of a snapshot will not do: it is one past the
-- newest that has ended, and a batch under way may have that number or a higher one.) No index: jobs are few.
UPDATE stock.reevaluations SET fence = pg_current_xact_id()::text::bigint WHERE fence IS NULL;

-- name: items_of_scope
-- The next items of a site, a product or a variant that have moved, after ($4, $5). Index:
-- items_key_is_unique_null_equals_null.
SELECT site_id, product_id, variant_id
FROM stock.items
WHERE site_id = $1 AND product_id >= coalesce($2, $4, '00000000-0000-0000-0000-000000000000'::uuid)
  AND ($2::uuid IS NULL OR product_id = $2) AND ($3::uuid IS NULL OR variant_id = $3) AND version > 0
  AND ($4::uuid IS NULL OR product_id > $4
       OR (product_id = $4 AND $5::uuid IS NOT NULL AND (variant_id > $5 OR variant_id IS NULL)))
ORDER BY product_id, variant_id LIMIT $6;

-- name: advance_job
-- How far a job is done. Index: reevaluations_pkey.
UPDATE stock.reevaluations SET after_product_id = $2, after_variant_id = $3 WHERE job_id = $1;

-- name: finish_job
-- A job whose items are all evaluated. Index: reevaluations_pkey.
DELETE FROM stock.reevaluations WHERE job_id = $1;
