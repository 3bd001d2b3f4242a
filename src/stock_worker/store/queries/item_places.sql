-- What people note of an item at a place (store/steering/item_places.py).

-- name: lock_item
-- An item that is known, by movement or by catalog; its row guards those of its places. Index:
-- items_key_is_unique_null_equals_null.
SELECT item_id FROM stock.items
WHERE site_id = $1 AND product_id = $2 AND (variant_id = $3 OR (variant_id IS NULL AND $3::uuid IS NULL))
  AND (version > 0 OR catalog_revision IS NOT NULL)
FOR UPDATE;

-- name: notes_of_place
-- What is noted of a locked item at a place. Index: location_stock_pkey.
SELECT bin_location, reorder_point FROM stock.location_stock WHERE item_id = $1 AND location_id = $2;

-- name: write_notes
-- What is noted from now on; the counters of an item that has never been there are 0. Index: location_stock_pkey.
INSERT INTO stock.location_stock (item_id, location_id, site_id, on_hand, reserved, bin_location, reorder_point)
VALUES ($1, $2, $3, 0, 0, $4, $5)
ON CONFLICT (item_id, location_id) DO UPDATE SET
  bin_location = excluded.bin_location, reorder_point = excluded.reorder_point
RETURNING on_hand, reserved, held, bin_location, reorder_point, last_counted_at;
