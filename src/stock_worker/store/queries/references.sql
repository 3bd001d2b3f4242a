-- References with their outcomes.

-- name: references_known
-- What became of these. Index: references_pkey.
SELECT r.site_id, r.type, r.id, r.outcome, r.code, r.rejected, r.movements, r.order_id, r.source, r.source_partition,
  r.source_offset, r.decided_at
FROM unnest($1::uuid[], $2::text[], $3::text[]) AS k (site_id, type, id)
JOIN stock.references r ON r.site_id = k.site_id AND r.type = k.type AND r.id = k.id;
