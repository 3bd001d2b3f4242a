-- Dead letters, for who has to settle them (store/dead_letters.py).

-- name: letters
-- The newest dead letters, without what they carried. Index: dead_letters_by_time.
SELECT topic, partition, "offset", timestamp_ms, recorded_at, site_id, reason, detail, settled_at, settled_by,
       settlement
FROM stock.dead_letters
WHERE recorded_at >= coalesce($1, '-infinity'::timestamptz) AND ($2::text[] IS NULL OR topic = ANY($2))
  AND ($3::text IS NULL OR reason = $3) AND ($4 OR settled_at IS NULL)
ORDER BY recorded_at DESC, topic DESC, partition DESC, "offset" DESC, timestamp_ms DESC LIMIT $5;

-- name: letter
-- One of them, whole; two if its topic was made anew and the place given again. Index: dead_letters_pkey.
SELECT topic, partition, "offset", timestamp_ms, recorded_at, site_id, reason, detail, settled_at, settled_by,
       settlement, key, value, header_names, header_values
FROM stock.dead_letters
WHERE topic = ANY($1::text[]) AND partition = $2 AND "offset" = $3 AND ($4::bigint IS NULL OR timestamp_ms = $4)
ORDER BY topic, timestamp_ms;

-- name: hold_letter
-- Held while it is sent again, so that only one does. Index: dead_letters_pkey.
SELECT settled_at, settled_by, settlement FROM stock.dead_letters
WHERE topic = $1 AND partition = $2 AND "offset" = $3 AND timestamp_ms = $4 FOR UPDATE;

-- name: settle
-- What became of it. Index: dead_letters_pkey.
UPDATE stock.dead_letters SET settled_at = clock_timestamp(), settled_by = $5, settlement = $6
WHERE topic = $1 AND partition = $2 AND "offset" = $3 AND timestamp_ms = $4;

-- name: known_references
-- Which of these references are known, and as what. Indexes: references_pkey, parked_commands_pkey.
SELECT r.id, r.fingerprint, r.outcome
FROM unnest($3::text[]) AS k(id) JOIN stock.references r ON r.site_id = $1 AND r.type = $2 AND r.id = k.id
UNION ALL
SELECT p.reference_id, p.fingerprint, 'parked'
FROM unnest($3::text[]) AS k(id)
JOIN stock.parked_commands p ON p.site_id = $1 AND p.reference_type = $2 AND p.reference_id = k.id;
