-- The sites that there are (store/reads/sites.py). There is no table of them: a site is what its rows say.

-- name: sites_with_items
-- The first $1 sites that have an item, in order: one step down the index for each, however many items it has.
-- Index: items_key_is_unique_null_equals_null.
WITH RECURSIVE sites AS (
  (SELECT site_id FROM stock.items ORDER BY site_id LIMIT 1)
  UNION ALL
  SELECT (SELECT i.site_id FROM stock.items i WHERE i.site_id > s.site_id ORDER BY i.site_id LIMIT 1)
  FROM sites s WHERE s.site_id IS NOT NULL
)
SELECT site_id FROM sites WHERE site_id IS NOT NULL LIMIT $1::bigint;
