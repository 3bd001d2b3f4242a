-- name: skus
-- The items of a site by sku. The catalog's rows of one site are read from end to end, once an import.
SELECT site_id, product_id, variant_id, sku FROM stock.products WHERE site_id = $1 AND sku IS NOT NULL AND NOT archived;
