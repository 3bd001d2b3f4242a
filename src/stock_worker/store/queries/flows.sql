-- What moved at a site, for whoever remembers it (projection/flows.py). Rows come packed: one value a day and type, in
-- it eight bytes a figure, so that a reader takes a hundred thousand of them up at once.

-- name: standing
-- What a period is cut by: the moment, between which days there are totals, between which moments there are movements,
-- and since when the site's time zone is surely what it is. Indexes: daily_totals_by_day, movements_site_time,
-- site_settings_pkey.
SELECT now() AS moment,
  (SELECT min(day) FROM stock.daily_totals WHERE site_id = $1) AS first_day,
  (SELECT max(day) FROM stock.daily_totals WHERE site_id = $1) AS last_day,
  (SELECT min(recorded_at) FROM stock.movements WHERE site_id = $1) AS first_at,
  (SELECT max(recorded_at) FROM stock.movements WHERE site_id = $1) AS last_at,
  (SELECT updated_at FROM stock.site_settings WHERE site_id = $1) AS settled_at;

-- name: totals
-- The totals of days, $2 to before $3. Index: daily_totals_by_day.
SELECT day, type,
  string_agg(int8send(item_id) || int8send(movements) || int8send(units_in) || int8send(units_out), ''::bytea) AS rows
FROM stock.daily_totals WHERE site_id = $1 AND day >= $2 AND day < $3
GROUP BY day, type;

-- name: ledger
-- The rows of the ledger from $2 to before $3, by days of the time zone $4. Index: movements_site_time.
SELECT (recorded_at AT TIME ZONE $4::text)::date AS day, type,
  string_agg(
    int8send(item_id) || int8send(1::bigint) || int8send(greatest(quantity, 0)) || int8send(greatest(-quantity, 0)),
    ''::bytea
  ) AS rows
FROM stock.movements WHERE site_id = $1 AND recorded_at >= $2 AND recorded_at < $3
GROUP BY 1, 2;

-- name: products
-- Of which product items are. Index: items_pkey.
SELECT string_agg(int8send(item_id) || uuid_send(product_id), ''::bytea)
FROM stock.items WHERE site_id = $1 AND item_id = ANY($2::bigint[]);
