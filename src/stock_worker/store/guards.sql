-- What the metadata in tables/ cannot say: who may do what, what nobody may do, and what ANALYZE may leave out.
-- Law: PUBLIC has nothing; the worker cannot change what the ledger has said; the reader sees the sites it was told.
-- A migration carries its own frozen copy; a test compares the two catalogs. The roles themselves: store/roles.py.

-- ---------------------------------------------------------------- the ledger and the references are never changed

-- For each statement, not for each row: an UPDATE that finds no row is refused as well, and TRUNCATE has no rows.
CREATE FUNCTION stock.refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION '% on %.% is refused: its rows are never changed or removed', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege', HINT = 'Correct stock with a stock-adjustment.';
END;
$$;
REVOKE ALL ON FUNCTION stock.refuse_change() FROM PUBLIC;

CREATE TRIGGER movements_are_never_changed
    BEFORE UPDATE OR DELETE OR TRUNCATE ON stock.movements
    FOR EACH STATEMENT EXECUTE FUNCTION stock.refuse_change();
CREATE TRIGGER references_are_never_changed
    BEFORE UPDATE OR DELETE OR TRUNCATE ON stock."references"
    FOR EACH STATEMENT EXECUTE FUNCTION stock.refuse_change();
-- ALWAYS: session_replication_role = replica does not switch them off.
ALTER TABLE stock.movements ENABLE ALWAYS TRIGGER movements_are_never_changed;
ALTER TABLE stock."references" ENABLE ALWAYS TRIGGER references_are_never_changed;

-- ---------------------------------------------------------------- who may do what

-- Identity columns draw from their sequences without a grant. FOR UPDATE and FOR SHARE need UPDATE.
REVOKE ALL ON SCHEMA stock FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA stock FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA stock FROM PUBLIC;
GRANT USAGE ON SCHEMA stock TO stock_worker, stock_api;

GRANT SELECT, INSERT
    ON stock.movements, stock."references", stock.dead_letters, stock.dismissals
    TO stock_worker;
-- A dead letter stays as it came: only what became of it is written beside it.
GRANT UPDATE (settled_at, settled_by, settlement)
    ON stock.dead_letters
    TO stock_worker;
GRANT SELECT, INSERT, UPDATE
    ON stock.locations, stock.items, stock.location_stock, stock.orders, stock.order_lines, stock.products,
       stock.site_settings, stock.watermarks, stock.relay_shards
    TO stock_worker;
GRANT SELECT, INSERT, DELETE
    ON stock.parked_commands, stock.outbox
    TO stock_worker;
GRANT SELECT, INSERT, UPDATE, DELETE
    ON stock.alert_rules, stock.reevaluations, stock.daily_totals
    TO stock_worker;

GRANT SELECT
    ON stock.locations, stock.items, stock.location_stock, stock.movements, stock."references", stock.orders,
       stock.order_lines, stock.parked_commands, stock.products, stock.alert_rules, stock.site_settings,
       stock.reevaluations, stock.dismissals, stock.daily_totals, stock.dead_letters
    TO stock_api;

-- ---------------------------------------------------------------- which rows the reader sees

-- FORCE: the owner of the tables is held to it too. The worker has BYPASSRLS. stock.sites is a list of site ids with
-- commas; never set it is NULL, after a set_config(…, true) that has ended it is '': both see nothing. The sub-select
-- is evaluated once a statement. A dead letter whose site could not be read has none, and is the operators' alone.
ALTER TABLE stock.locations ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY locations_of_the_sites ON stock.locations FOR SELECT TO stock_api USING (
    site_id = ANY ((SELECT string_to_array(NULLIF(current_setting('stock.sites', true), ''), ',')::uuid[])::uuid[])
);
ALTER TABLE stock.items ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY items_of_the_sites ON stock.items FOR SELECT TO stock_api USING (
    site_id = ANY ((SELECT string_to_array(NULLIF(current_setting('stock.sites', true), ''), ',')::uuid[])::uuid[])
);
ALTER TABLE stock.location_stock ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY location_stock_of_the_sites ON stock.location_stock FOR SELECT TO stock_api USING (
    site_id = ANY ((SELECT string_to_array(NULLIF(current_setting('stock.sites', true), ''), ',')::uuid[])::uuid[])
);
ALTER TABLE stock.movements ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY movements_of_the_sites ON stock.movements FOR SELECT TO stock_api USING (
    site_id = ANY ((SELECT string_to_array(NULLIF(current_setting('stock.sites', true), ''), ',')::uuid[])::uuid[])
);
ALTER TABLE stock."references" ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY references_of_the_sites ON stock."references" FOR SELECT TO stock_api USING (
    site_id = ANY ((SELECT string_to_array(NULLIF(current_setting('stock.sites', true), ''), ',')::uuid[])::uuid[])
);
ALTER TABLE stock.orders ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY orders_of_the_sites ON stock.orders FOR SELECT TO stock_api USING (
    site_id = ANY ((SELECT string_to_array(NULLIF(current_setting('stock.sites', true), ''), ',')::uuid[])::uuid[])
);
ALTER TABLE stock.order_lines ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY order_lines_of_the_sites ON stock.order_lines FOR SELECT TO stock_api USING (
    site_id = ANY ((SELECT string_to_array(NULLIF(current_setting('stock.sites', true), ''), ',')::uuid[])::uuid[])
);
ALTER TABLE stock.parked_commands ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY parked_commands_of_the_sites ON stock.parked_commands FOR SELECT TO stock_api USING (
    site_id = ANY ((SELECT string_to_array(NULLIF(current_setting('stock.sites', true), ''), ',')::uuid[])::uuid[])
);
ALTER TABLE stock.products ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY products_of_the_sites ON stock.products FOR SELECT TO stock_api USING (
    site_id = ANY ((SELECT string_to_array(NULLIF(current_setting('stock.sites', true), ''), ',')::uuid[])::uuid[])
);
ALTER TABLE stock.alert_rules ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY alert_rules_of_the_sites ON stock.alert_rules FOR SELECT TO stock_api USING (
    site_id = ANY ((SELECT string_to_array(NULLIF(current_setting('stock.sites', true), ''), ',')::uuid[])::uuid[])
);
ALTER TABLE stock.site_settings ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY site_settings_of_the_sites ON stock.site_settings FOR SELECT TO stock_api USING (
    site_id = ANY ((SELECT string_to_array(NULLIF(current_setting('stock.sites', true), ''), ',')::uuid[])::uuid[])
);
ALTER TABLE stock.reevaluations ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY reevaluations_of_the_sites ON stock.reevaluations FOR SELECT TO stock_api USING (
    site_id = ANY ((SELECT string_to_array(NULLIF(current_setting('stock.sites', true), ''), ',')::uuid[])::uuid[])
);
ALTER TABLE stock.dismissals ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY dismissals_of_the_sites ON stock.dismissals FOR SELECT TO stock_api USING (
    site_id = ANY ((SELECT string_to_array(NULLIF(current_setting('stock.sites', true), ''), ',')::uuid[])::uuid[])
);
ALTER TABLE stock.daily_totals ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY daily_totals_of_the_sites ON stock.daily_totals FOR SELECT TO stock_api USING (
    site_id = ANY ((SELECT string_to_array(NULLIF(current_setting('stock.sites', true), ''), ',')::uuid[])::uuid[])
);
ALTER TABLE stock.dead_letters ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY dead_letters_of_the_sites ON stock.dead_letters FOR SELECT TO stock_api USING (
    site_id = ANY ((SELECT string_to_array(NULLIF(current_setting('stock.sites', true), ''), ',')::uuid[])::uuid[])
);

-- ---------------------------------------------------------------- what ANALYZE leaves out

-- Columns that no statement asks by. Looking through their values, lists of numbers above all, was more than half of
-- an ANALYZE, and tables that grow are analyzed while orders wait for the same CPU.
ALTER TABLE stock.movements
    ALTER quantity SET STATISTICS 0, ALTER previous_stock SET STATISTICS 0, ALTER new_stock SET STATISTICS 0,
    ALTER on_hand SET STATISTICS 0, ALTER reserved SET STATISTICS 0, ALTER location_on_hand SET STATISTICS 0,
    ALTER location_reserved SET STATISTICS 0, ALTER costed_quantity SET STATISTICS 0, ALTER net_sold SET STATISTICS 0,
    ALTER unit_cost SET STATISTICS 0, ALTER average_cost SET STATISTICS 0, ALTER source SET STATISTICS 0,
    ALTER source_partition SET STATISTICS 0, ALTER source_offset SET STATISTICS 0, ALTER actor SET STATISTICS 0,
    ALTER reason SET STATISTICS 0, ALTER note SET STATISTICS 0, ALTER occurred_at SET STATISTICS 0;
ALTER TABLE stock."references"
    ALTER fingerprint SET STATISTICS 0, ALTER fingerprint_version SET STATISTICS 0, ALTER source SET STATISTICS 0,
    ALTER source_partition SET STATISTICS 0, ALTER source_offset SET STATISTICS 0, ALTER movements SET STATISTICS 0,
    ALTER rejected SET STATISTICS 0;
ALTER TABLE stock.order_lines
    ALTER placed SET STATISTICS 0, ALTER cancelled SET STATISTICS 0, ALTER fulfilled SET STATISTICS 0,
    ALTER returned SET STATISTICS 0, ALTER position SET STATISTICS 0, ALTER tracked SET STATISTICS 0,
    ALTER allocations SET STATISTICS 0, ALTER versions SET STATISTICS 0;
