-- What a process holds of a site's items, and what it asks to bring that up to its snapshot (projection/refresh.py).

-- name: mark
-- The oldest transaction that the snapshot does not see, the number that is given out next (xmax is only one past the
-- newest that has ended), when this was asked, whether levels may change without a movement, and the items (in 8 bytes
-- each) that moved or whose entry in the catalog changed, by transactions from $3 on, which record nothing before $2.
-- Indexes: site_settings_pkey, movements_site_time, products_by_change; jobs are few.
SELECT pg_snapshot_xmin(s.taken)::text::bigint AS oldest,
  pg_snapshot_xmax(s.taken)::text::bigint + age(pg_snapshot_xmax(s.taken)::xid) AS next, now() AS moment,
  (SELECT stamp FROM stock.site_settings WHERE site_id = $1) AS stamp,
  EXISTS (SELECT FROM stock.reevaluations WHERE site_id = $1) AS has_jobs,
  (SELECT string_agg(int8send(t.item_id), ''::bytea) FROM (
    SELECT item_id FROM stock.movements WHERE site_id = $1 AND recorded_at >= $2 AND age(xmin) <= age($3::xid)
    UNION
    SELECT item_id FROM stock.products WHERE site_id = $1 AND updated_at >= $2 AND age(xmin) <= age($3)
  ) t) AS touched
FROM pg_current_snapshot() AS s(taken);

-- name: known
-- The items of a site that moved or were announced, by key, in 8 bytes each. Index:
-- items_key_is_unique_null_equals_null.
SELECT string_agg(int8send(i.item_id), ''::bytea) FROM (
  SELECT item_id FROM stock.items
  WHERE site_id = $1 AND (version > 0 OR catalog_revision IS NOT NULL) ORDER BY product_id, variant_id
) i;

-- name: rows_of
-- Items as columns hold them (projection/columns.py, FIELDS). Money is in millionths where it is a whole number of them
-- that fits; else it is odd. Indexes: items_pkey, products_pkey.
SELECT i.item_id, uuid_send(i.product_id) || coalesce('\x01'::bytea || uuid_send(i.variant_id), ''::bytea) AS key,
  i.on_hand, i.reserved, i.costed_quantity AS costed,
  coalesce((extract(epoch FROM i.last_movement_at) * 1000000)::bigint, 0) AS last_movement,
  CASE WHEN w.value < 9e12 AND w.value = trunc(w.value, 6) THEN (w.value * 1000000)::bigint ELSE 0 END AS value,
  CASE WHEN w.price_value < 9e12 AND w.price_value = trunc(w.price_value, 6) THEN (w.price_value * 1000000)::bigint
    ELSE 0 END AS price_value,
  CASE WHEN i.version > 0 THEN array_position(ARRAY['ok', 'low', 'critical', 'out'], i.level) - 1
    WHEN coalesce(p.track_inventory, true) THEN 3 ELSE 0 END AS level,
  i.variant_id IS NOT NULL AS is_variant, i.version > 0 AS moved, coalesce(p.track_inventory, true) AS tracked,
  coalesce(p.archived, false) AS archived, w.value IS NOT NULL AS valued, p.cost_price IS NOT NULL AS has_cost,
  p.unit_price IS NOT NULL AS has_price,
  CASE WHEN NOT (w.value < 9e12 AND w.value = trunc(w.value, 6)) THEN w.value END AS odd_value,
  CASE WHEN NOT (w.price_value < 9e12 AND w.price_value = trunc(w.price_value, 6)) THEN w.price_value END
    AS odd_price_value,
  p.name, p.sku, p.category_id, p.category_name
FROM stock.items i LEFT JOIN stock.products p ON p.item_id = i.item_id
CROSS JOIN LATERAL (
  SELECT CASE WHEN i.costed_quantity > 0 OR p.cost_price IS NOT NULL OR i.on_hand <= 0 THEN
      i.costed_quantity * coalesce(i.average_cost, 0)
        + (greatest(i.on_hand, 0) - i.costed_quantity) * coalesce(p.cost_price, 0)
    END AS value,
    greatest(i.on_hand, 0) * coalesce(p.unit_price, 0) AS price_value
  OFFSET 0 -- computed once
) w
WHERE i.site_id = $1 AND i.item_id = ANY($2::bigint[]);

-- name: short
-- The levels of a site's items but those that are ok. Index: items_short.
SELECT item_id, array_position(ARRAY['ok', 'low', 'critical', 'out'], level) - 1 AS code
FROM stock.items WHERE site_id = $1 AND level <> 'ok';

-- name: at_location
-- The items that lie or have lain at a place, in 8 bytes each. Index: location_stock_by_location.
SELECT string_agg(int8send(item_id), ''::bytea) FROM stock.location_stock WHERE site_id = $1 AND location_id = $2;

-- name: dismissed
-- The items that are at an alert which somebody dismissed. Indexes: items_short, dismissals_pkey.
SELECT i.item_id FROM stock.items i JOIN stock.dismissals d ON d.alert_id = i.alert_id AND d.site_id = i.site_id
WHERE i.site_id = $1 AND i.level <> 'ok';

-- name: reorder_points
-- The reorder points that rules give: of the site (no key), of products and of variants, by key. Index:
-- alert_rules_scope_is_unique_null_equals_null.
SELECT uuid_send(product_id) || coalesce('\x01'::bytea || uuid_send(variant_id), ''::bytea) AS key, reorder_point
FROM stock.alert_rules WHERE site_id = $1 AND reorder_point IS NOT NULL;

-- name: short_places
-- Items at places in use where they are at or below the reorder point noted there. Indexes: location_stock_reordered,
-- locations_pkey.
SELECT s.item_id, s.location_id, s.reorder_point, l.code
FROM stock.location_stock s JOIN stock.locations l ON l.site_id = s.site_id AND l.location_id = s.location_id
WHERE s.site_id = $1 AND s.reorder_point IS NOT NULL AND s.on_hand - s.reserved <= s.reorder_point AND l.is_active;
