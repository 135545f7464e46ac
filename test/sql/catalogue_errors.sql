-- What the catalogue says when it refuses: message, detail, hint and SQLSTATE of every guard.
SET client_min_messages = warning;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
BEGIN;
CREATE EXTENSION IF NOT EXISTS billing CASCADE;

CREATE FUNCTION pg_temp.refused(statement text) RETURNS TABLE (complaint text) LANGUAGE plpgsql AS $$
DECLARE
	m text; d text; h text;
BEGIN
	EXECUTE statement;
	RETURN QUERY SELECT 'accepted';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS m = MESSAGE_TEXT, d = PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT;
	RETURN QUERY SELECT c FROM unnest(ARRAY[SQLSTATE || ': ' || m, 'DETAIL: ' || nullif(regexp_replace(d, '^Failing row contains.*', ''), ''), 'HINT: ' || nullif(h, '')]) c WHERE c IS NOT NULL;
END $$;
\pset format unaligned
\pset tuples_only on

-- Without a ledger.
SELECT pg_temp.refused('SELECT billing.correct_rate(1, ''{"price": 1}'', ''why'')');
SELECT pg_temp.refused('SELECT billing.change_timezone(1, ''UTC'')');
SELECT pg_temp.refused('SELECT billing.create_partitions(''2026-01-01'', ''2026-02-01'')');
SELECT pg_temp.refused('SELECT billing.upgrade_ledger()');
SELECT pg_temp.refused('SELECT billing.drop_ledger()');

SELECT billing.create_ledger();
-- A ledger of a later version.
COMMENT ON TABLE billing.catalogue_signal IS 'billing ledger 1000';
SELECT pg_temp.refused('SELECT billing.create_ledger()');
SELECT pg_temp.refused('SELECT billing.upgrade_ledger()');
COMMENT ON TABLE billing.catalogue_signal IS 'billing ledger 1';

INSERT INTO billing.account (id, name, currency, is_provider) VALUES (1, 'Vitelity', 'USD', true), (2, 'customer', 'USD', false), (3, 'reseller', 'USD', false);
INSERT INTO billing.account (id, name, currency, parent_id) VALUES (4, 'booth', 'USD', 3);
INSERT INTO billing.tariff (id, name, currency) VALUES (1, 'retail', 'USD'), (2, 'wholesale', 'USD'), (3, 'euro', 'EUR');
INSERT INTO billing.rate (id, tariff_id, prefix, price) VALUES (10, 1, '44', 0.02), (11, 1, '49', 0.03);
INSERT INTO billing.plan (id, name, tariff_id) VALUES (1, 'Business', 1);
INSERT INTO billing.service (id, account_id, kind, identifier) VALUES (20, 2, 'trunk', 'tr-2'), (21, 2, 'did', '+442079460000'), (22, 3, 'extension', '100');
INSERT INTO billing.service (id, account_id, side, kind, identifier) VALUES (23, 1, 'provider', 'trunk', 'vitelity');
INSERT INTO billing.service (id, account_id, kind, identifier, primary_id) VALUES (24, 2, 'virtual_number', '442079460001', 21);
INSERT INTO billing.cdr (id, call_id, started_at, rated_at, status, customer_account_id, customer_service_id, customer_rate_id, customer_billsec, customer_amount)
VALUES (1000, 'a', '2026-01-15 12:00+00', '2026-01-15 12:05+00', 'rated', 2, 20, 10, 60, 0.02);

-- What calls have used.
SELECT pg_temp.refused('UPDATE billing.rate SET price = 0.5 WHERE id = 10');
SELECT pg_temp.refused('DELETE FROM billing.rate WHERE id = 10');
SELECT pg_temp.refused('INSERT INTO billing.rate_step (rate_id, from_second, price) VALUES (10, 60, 0.01)');
SELECT pg_temp.refused('UPDATE billing.tariff SET currency = ''EUR'' WHERE id = 1');
SELECT pg_temp.refused('UPDATE billing.account SET currency = ''EUR'' WHERE id = 2');
SELECT pg_temp.refused('UPDATE billing.account SET timezone = ''Europe/Berlin'' WHERE id = 2');
SELECT pg_temp.refused('DELETE FROM billing.service WHERE id = 20');
SELECT pg_temp.refused('UPDATE billing.service SET identifier = ''tr-3'' WHERE id = 20');
INSERT INTO billing.account (id, name, currency) VALUES (5, 'no services', 'USD');
INSERT INTO billing.cdr (id, call_id, started_at, rated_at, status, customer_account_id) VALUES (1001, 'b', '2026-01-15 12:00+00', '2026-01-15 12:05+00', 'unrated', 5);
SELECT pg_temp.refused('DELETE FROM billing.account WHERE id = 5');

-- Increments.
SELECT pg_temp.refused('UPDATE billing.tariff SET increment_rule = ''aligned'', free_seconds = 10 WHERE id = 1');
SELECT pg_temp.refused('INSERT INTO billing.rate (id, tariff_id, prefix, increment_rule, free_seconds) VALUES (99, 1, ''33'', ''aligned'', 10)');
UPDATE billing.tariff SET free_seconds = 10, max_amount = 1, terms_from = '2020-01-01' WHERE id = 2;
SELECT pg_temp.refused('INSERT INTO billing.rate (id, tariff_id, prefix, valid_from, increment_rule) VALUES (99, 2, ''33'', ''2020-01-01'', ''aligned'')');
SELECT pg_temp.refused('INSERT INTO billing.rate (id, tariff_id, prefix, valid_from, min_amount) VALUES (99, 2, ''33'', ''2020-01-01'', 2)');
UPDATE billing.tariff SET free_seconds = 0, max_amount = NULL, terms_from = '2021-01-01' WHERE id = 2;
SELECT pg_temp.refused('INSERT INTO billing.rate (id, tariff_id, prefix, valid_from, increment_rule) VALUES (99, 2, ''33'', ''2020-01-01'', ''aligned'')');
INSERT INTO billing.rate (id, tariff_id, prefix, increment_rule) VALUES (12, 1, '33', 'aligned');
SELECT pg_temp.refused('INSERT INTO billing.rate_step (rate_id, from_second, price) VALUES (12, 60, 0.01)');

-- Bases.
UPDATE billing.tariff SET base_tariff_id = 2 WHERE id = 1;
SELECT pg_temp.refused('UPDATE billing.tariff SET base_tariff_id = 1 WHERE id = 2');
SELECT pg_temp.refused('UPDATE billing.tariff SET base_tariff_id = 3 WHERE id = 2');
INSERT INTO billing.tariff (id, name, currency, base_tariff_id) VALUES (4, 'b1', 'USD', 1), (5, 'b2', 'USD', 4), (6, 'b3', 'USD', 5);
SELECT pg_temp.refused('INSERT INTO billing.tariff (id, name, currency, base_tariff_id) VALUES (7, ''b4'', ''USD'', 6)');

-- Terms.
SELECT pg_temp.refused('UPDATE billing.tariff SET connect_fee = 1, terms_from = ''2019-01-01'' WHERE id = 2');
SELECT pg_temp.refused('UPDATE billing.tariff SET terms_from = ''2029-01-01'' WHERE id = 2');
UPDATE billing.tariff SET is_default_customer = true, terms_from = '2025-01-01' WHERE id = 2;
UPDATE billing.tariff SET is_default_customer = false, terms_from = '2026-01-01' WHERE id = 2;
SELECT pg_temp.refused('INSERT INTO billing.tariff (id, name, currency, is_default_customer) VALUES (8, ''second default'', ''USD'', true)');

-- Corrections.
SELECT pg_temp.refused('SELECT billing.correct_rate(10, ''{"price": 0.021}'', '' '')');
SELECT pg_temp.refused('SELECT billing.correct_rate(10, ''[]'', ''typo'')');
SELECT pg_temp.refused('SELECT billing.correct_rate(10, ''{"prefix": "45"}'', ''typo'')');
SELECT pg_temp.refused('SELECT billing.correct_rate(77, ''{"price": 0.021}'', ''typo'')');
SELECT pg_temp.refused('SELECT billing.change_timezone(77, ''UTC'')');

-- Accounts and plans.
SELECT pg_temp.refused('UPDATE billing.account SET parent_id = 4 WHERE id = 2');
SELECT pg_temp.refused('UPDATE billing.account SET parent_id = 2 WHERE id = 3');
SELECT pg_temp.refused('UPDATE billing.account SET is_provider = false WHERE id = 1');
SELECT pg_temp.refused('UPDATE billing.account SET timezone = ''Europe/Berlim'' WHERE id = 3');
SELECT pg_temp.refused('UPDATE billing.account SET timezone = ''CEST'' WHERE id = 3');
UPDATE billing.account SET plan_id = 1 WHERE id = 3;
SELECT pg_temp.refused('UPDATE billing.plan SET tariff_id = 2 WHERE id = 1');

-- Services.
SELECT pg_temp.refused('INSERT INTO billing.service (id, account_id, kind, identifier) VALUES (99, 2, ''ip'', ''10.0.0.1/8'')');
SELECT pg_temp.refused('INSERT INTO billing.service (id, account_id, kind, identifier) VALUES (99, 2, ''ip'', ''10.0.0.256'')');
SELECT pg_temp.refused('INSERT INTO billing.service (id, account_id, kind, identifier) VALUES (99, 2, ''did'', ''+44 20 7946'')');
SELECT pg_temp.refused('INSERT INTO billing.service (id, account_id, kind, field, identifier) VALUES (99, 2, ''pattern'', ''caller'', ''^44('')');
SELECT pg_temp.refused('INSERT INTO billing.service (id, account_id, kind, identifier, primary_id) VALUES (99, 2, ''virtual_number'', ''442079460002'', 24)');
SELECT pg_temp.refused('INSERT INTO billing.service (id, account_id, kind, identifier, primary_id) VALUES (99, 3, ''virtual_number'', ''442079460002'', 21)');
SELECT pg_temp.refused('UPDATE billing.service SET account_id = 3 WHERE id = 21');
SELECT pg_temp.refused('INSERT INTO billing.service (id, account_id, side, kind, identifier) VALUES (99, 2, ''provider'', ''trunk'', ''tr-2'')');
SELECT pg_temp.refused('INSERT INTO billing.service (id, account_id, kind, identifier, provider_id) VALUES (99, 2, ''did'', ''442079460003'', 2)');

-- Partitions.
SELECT pg_temp.refused('SELECT billing.create_partitions(''2026-02-01'', ''2026-02-01'')');
SELECT pg_temp.refused('SELECT billing.create_partitions(''2026-02-01'', ''infinity'')');
SELECT pg_temp.refused('SELECT billing.create_partitions(''2026-02-01'', ''2026-03-01'', ''0'')');
SELECT pg_temp.refused('SELECT billing.create_partitions(''2026-02-01'', NULL)');
SELECT billing.create_partitions('2026-02-01', '2026-03-01');
SELECT pg_temp.refused('SELECT billing.create_partitions(''2026-02-15'', ''2026-03-15'')');

-- as_owner() runs nothing but trigger functions of the extension.
CREATE TABLE pg_temp.own (x integer);
CREATE FUNCTION billing.impostor() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER t BEFORE INSERT ON pg_temp.own FOR EACH ROW EXECUTE FUNCTION billing.as_owner('impostor');
SELECT pg_temp.refused('INSERT INTO pg_temp.own VALUES (1)');
DROP TRIGGER t ON pg_temp.own;
CREATE TRIGGER t BEFORE INSERT ON pg_temp.own FOR EACH ROW EXECUTE FUNCTION billing.as_owner('ledger_version');
SELECT pg_temp.refused('INSERT INTO pg_temp.own VALUES (1)');
DROP TRIGGER t ON pg_temp.own;
CREATE TRIGGER t BEFORE INSERT ON pg_temp.own FOR EACH ROW EXECUTE FUNCTION billing.as_owner('as_owner');
SELECT pg_temp.refused('INSERT INTO pg_temp.own VALUES (1)');
DROP TRIGGER t ON pg_temp.own;
CREATE TRIGGER t BEFORE INSERT ON pg_temp.own FOR EACH ROW EXECUTE FUNCTION billing.as_owner();
SELECT pg_temp.refused('INSERT INTO pg_temp.own VALUES (1)');

-- The ledger keeps the extension, its calls keep the ledger.
SELECT pg_temp.refused('SELECT billing.drop_ledger()');
SELECT left(pg_temp.refused('DROP EXTENSION billing'), 80) LIMIT 1;
ROLLBACK;
