-- Dead letters of a site or of all, from one to the next (store/reads/dead_letters.py).

-- name: page
-- Those that pass the filters and come after a place ($5 to $9) in the list, the newest first. Index:
-- dead_letters_by_time.
SELECT topic, partition, "offset", timestamp_ms, recorded_at, site_id, reason, detail, settled_at, settled_by,
       settlement
FROM stock.dead_letters
WHERE ($1::uuid IS NULL OR site_id = $1) AND ($2::text IS NULL OR topic = $2) AND ($3::text IS NULL OR reason = $3)
  AND ($4::boolean IS NULL OR (settled_at IS NOT NULL) = $4)
  AND (recorded_at, topic, partition, "offset", timestamp_ms)
    < (coalesce($5, 'infinity'::timestamptz), $6::text, $7::int, $8::bigint, $9::bigint)
ORDER BY recorded_at DESC, topic DESC, partition DESC, "offset" DESC, timestamp_ms DESC LIMIT $10;

-- name: total
-- How many pass the filters, counted up to $5. Index: dead_letters_by_time.
SELECT count(*) FROM (
  SELECT FROM stock.dead_letters
  WHERE ($1::uuid IS NULL OR site_id = $1) AND ($2::text IS NULL OR topic = $2) AND ($3::text IS NULL OR reason = $3)
    AND ($4::boolean IS NULL OR (settled_at IS NOT NULL) = $4)
  LIMIT $5
) AS counted;
