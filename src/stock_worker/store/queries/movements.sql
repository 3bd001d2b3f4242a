-- Ledger rows with what the catalog calls their item.

-- name: movements_at
-- Rows by key. Indexes: movements_pkey, items_pkey, products_pkey.
SELECT m.*, i.product_id, i.variant_id, p.name, p.variant_name, p.sku, p.image_url
FROM unnest($1::bigint[], $2::bigint[]) AS k (item_id, version)
JOIN stock.movements m ON m.item_id = k.item_id AND m.version = k.version
JOIN stock.items i ON i.item_id = m.item_id
LEFT JOIN stock.products p ON p.item_id = m.item_id;
