-- The relay's statements. Its session is its own: store/outbox.py `begin` says how it differs.

-- ---------------------------------------------------------------- rows

-- name: read
-- The oldest rows of some shards, in order. A row of more than $5 bytes comes without key, payload and headers (`size`
-- says so), since a thousand megabyte dead letters must not be in memory at once. Index: outbox_pkey.
SELECT seq, shard, size, id, created_at, aggregatetype, type, topic,
       CASE WHEN size <= $5 THEN key END AS key,
       CASE WHEN size <= $5 THEN payload END AS payload,
       CASE WHEN size <= $5 THEN header_names END AS header_names,
       CASE WHEN size <= $5 THEN header_values END AS header_values
FROM (
    SELECT *, coalesce(octet_length(key), 0) + coalesce(octet_length(payload), 0)
              + coalesce(pg_column_size(header_names), 0) + coalesce(pg_column_size(header_values), 0) AS size
    FROM stock.outbox
    WHERE seq > $2 AND seq <= $3 AND shard = ANY($1::smallint[])
) AS waiting
ORDER BY seq LIMIT $4;

-- name: read_large
-- What `read` left out, for as many rows as fit in memory. Index: outbox_pkey.
SELECT seq, key, payload, header_names, header_values FROM stock.outbox WHERE seq = ANY($1::bigint[]);

-- name: delete
-- Published rows, as runs of seq without a gap: a run is one look into the index. Index: outbox_pkey.
DELETE FROM stock.outbox AS waiting USING unnest($1::bigint[], $2::bigint[]) AS run (first, last)
WHERE waiting.seq BETWEEN run.first AND run.last;

-- name: newest
-- The highest seq that can be seen; a relay that takes something over asks once. Index: outbox_pkey.
SELECT coalesce(max(seq), 0) FROM stock.outbox;

-- name: horizon
-- The oldest transaction that may still write, and the next one to come: not xmax, which is one past the newest that
-- has ended, while one that is under way may have that number or a higher one.
SELECT pg_snapshot_xmin(s.taken)::text::bigint AS oldest,
       pg_snapshot_xmax(s.taken)::text::bigint + age(pg_snapshot_xmax(s.taken)::xid) AS next
FROM pg_current_snapshot() AS s(taken);

-- ---------------------------------------------------------------- shards and slots

-- name: identity
-- Which database this is, whatever it is called: transactional ids of two databases must not meet on one Kafka.
SELECT system_identifier::text || '-' || (SELECT oid FROM pg_database WHERE datname = current_database())
FROM pg_control_system();

-- name: take_slot
-- Advisory locks are per database and end with the session, however it ends.
SELECT pg_try_advisory_lock($1::integer, $2::integer);

-- name: free_slot
-- Give back one taking of the lock.
SELECT pg_advisory_unlock($1::integer, $2::integer);

-- name: live_relays
-- How many sessions hold a slot. No table is read.
SELECT count(DISTINCT pid) FROM pg_locks
WHERE locktype = 'advisory' AND classid = $1::integer::oid AND objsubid = 2 AND granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database());

-- name: lay_out_shards
-- The sixteen rows, where they are not there yet. Index: relay_shards_pkey.
INSERT INTO stock.relay_shards (shard) SELECT generate_series(0, 15) ON CONFLICT DO NOTHING;

-- name: owners
-- Sixteen rows: whose slot each shard is.
SELECT shard, slot FROM stock.relay_shards ORDER BY shard;

-- name: claim
-- Take up to $2 shards that are nobody's; another relay that claims at this moment gets others.
UPDATE stock.relay_shards SET slot = $1
WHERE shard = ANY (ARRAY(SELECT shard FROM stock.relay_shards WHERE slot IS NULL ORDER BY shard LIMIT $2
                         FOR UPDATE SKIP LOCKED));

-- name: inherit
-- Take all the shards of a dead relay's slot.
UPDATE stock.relay_shards SET slot = $1 WHERE slot = $2;

-- name: give_up
-- Leave shards to others; nothing of them is under way.
UPDATE stock.relay_shards SET slot = NULL WHERE slot = $1 AND shard = ANY($2::smallint[]);
