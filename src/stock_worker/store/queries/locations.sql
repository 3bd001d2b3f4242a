-- A site's places, for the people who keep them (store/steering/locations.py).

-- name: locations_of_site
-- All places of a site in the order of routing. Index: locations_pkey.
SELECT location_id, code, name, type, address_line_1, address_line_2, city, state, postal_code, country, contact_name,
       contact_email, contact_phone, fulfillment_priority, is_default, is_active, archived_at, created_at, updated_at
FROM stock.locations WHERE site_id = $1 ORDER BY fulfillment_priority, code, location_id;

-- name: be_impatient
-- How long a change waits for its turn, since all batches wait behind it meanwhile.
SELECT set_config('lock_timeout', '2s', true);

-- name: take_turn
-- A batch that shares places holds ROW SHARE until it ends, whether it found any or not. Shares of reads go on.
LOCK TABLE stock.locations IN EXCLUSIVE MODE;

-- name: share_location
-- One place, held so that it is not closed meanwhile. Index: locations_pkey.
SELECT true FROM stock.locations WHERE site_id = $1 AND location_id = $2 FOR SHARE;

-- name: draw_id
-- The id of a location to be made.
SELECT gen_random_uuid();

-- name: insert_built_in
-- The default location of a site that has none yet. Index: locations_pkey.
INSERT INTO stock.locations
  (site_id, location_id, code, name, fulfillment_priority, is_default, is_active, created_at, updated_at)
SELECT $1::uuid, $2::uuid, $3::text, $4::text, $5::int, true, true, clock_timestamp(), clock_timestamp()
WHERE NOT EXISTS (SELECT FROM stock.locations WHERE site_id = $1)
ON CONFLICT DO NOTHING;

-- name: insert_location
-- A new place. Index: locations_pkey.
INSERT INTO stock.locations
  (site_id, location_id, code, name, type, address_line_1, address_line_2, city, state, postal_code, country,
   contact_name, contact_email, contact_phone, fulfillment_priority, is_default, is_active, archived_at, created_at,
   updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, clock_timestamp(),
        clock_timestamp())
RETURNING location_id, code, name, type, address_line_1, address_line_2, city, state, postal_code, country,
  contact_name, contact_email, contact_phone, fulfillment_priority, is_default, is_active, archived_at, created_at,
  updated_at;

-- name: clear_default
-- Before another becomes the default: at no moment are there two. Index: locations_one_default_per_site.
UPDATE stock.locations SET is_default = false, updated_at = clock_timestamp() WHERE site_id = $1 AND is_default;

-- name: update_location
-- A place as it is wanted. Index: locations_pkey.
UPDATE stock.locations SET
  code = $3, name = $4, type = $5, address_line_1 = $6, address_line_2 = $7, city = $8, state = $9, postal_code = $10,
  country = $11, contact_name = $12, contact_email = $13, contact_phone = $14, fulfillment_priority = $15,
  is_default = $16, is_active = $17, archived_at = $18, updated_at = clock_timestamp()
WHERE site_id = $1 AND location_id = $2
RETURNING location_id, code, name, type, address_line_1, address_line_2, city, state, postal_code, country,
  contact_name, contact_email, contact_phone, fulfillment_priority, is_default, is_active, archived_at, created_at,
  updated_at;

-- name: archive_location
-- A place that is closed for good. Index: locations_pkey.
UPDATE stock.locations SET is_active = false, archived_at = clock_timestamp(), updated_at = clock_timestamp()
WHERE site_id = $1 AND location_id = $2
RETURNING location_id, code, name, type, address_line_1, address_line_2, city, state, postal_code, country,
  contact_name, contact_email, contact_phone, fulfillment_priority, is_default, is_active, archived_at, created_at,
  updated_at;

-- name: items_at
-- How many items have stock or reservations at a place. Index: location_stock_by_location.
SELECT count(*) FROM stock.location_stock
WHERE site_id = $1 AND location_id = $2 AND (on_hand <> 0 OR reserved <> 0);
