-- The demo, from an empty database to a priced month: run by psql -X in the directory that test/demo/generate filled.
\set ON_ERROR_STOP on
\set QUIET on
SET client_min_messages = warning;

CREATE EXTENSION billing CASCADE;
SELECT billing.create_ledger() \g /dev/null

-- ---- What the calls are rated by

-- A price list with the currency and the increments that its prices hold for.
INSERT INTO billing.tariff (name, currency, first_increment, next_increment, connect_fee) VALUES
	('Vitelity 2026', 'USD', 6, 6, 0),
	('Gafachi 2026', 'USD', 1, 1, 0),
	('Vodafone 2026', 'EUR', 60, 60, 0.002),
	('Retail', 'USD', 60, 60, 0.01),
	('Wholesale', 'USD', 6, 6, 0),
	('Flat', 'USD', 1, 1, 0);
INSERT INTO billing.exchange_rate (base, quote, valid_from, rate) VALUES
	('EUR', 'USD', '-infinity', 1.0825),
	('EUR', 'USD', '2026-10-15 00:00+00', 1.0710);

-- The providers, and how each is found in a call: by the file, by the trunks to it, by its code.
INSERT INTO billing.account (name, is_provider, tariff_id, currency, timezone)
SELECT p.name, true, t.id, 'USD', p.timezone
FROM (VALUES ('Vitelity', 'America/New_York'), ('Gafachi', 'UTC'), ('Vodafone', 'Europe/London')) p (name, timezone)
	JOIN billing.tariff t ON t.name = p.name || ' 2026';
INSERT INTO billing.service (account_id, side, kind, identifier)
SELECT a.id, 'provider', s.kind, s.identifier
FROM (VALUES ('Vitelity', 'source', 'vitelity'), ('Gafachi', 'trunk', 'gafachi-ny'), ('Gafachi', 'trunk', 'gafachi-la'), ('Vodafone', 'auth_code', 'VF-0042')) s (provider, kind, identifier)
	JOIN billing.account a ON a.name = s.provider;

-- The customers: most on a shared price list, five on one of their own over Retail.
CREATE TEMP TABLE customer (name text, tariff text);
CREATE TEMP TABLE identity (account text, kind text, identifier text);
CREATE TEMP TABLE price (tariff text, prefix billing.prefix, exact boolean, destination text, price numeric, blocked boolean);
\copy customer FROM 'customers.csv' (FORMAT csv, HEADER)
\copy identity FROM 'services.csv' (FORMAT csv, HEADER)
\copy price FROM 'prices.csv' (FORMAT csv, HEADER)
INSERT INTO billing.tariff (name, currency, base_tariff_id, first_increment, next_increment)
SELECT c.name, 'USD', retail.id, 30, 6
FROM customer c, billing.tariff retail
WHERE retail.name = 'Retail' AND c.tariff = c.name;
INSERT INTO billing.account (name, tariff_id, currency)
SELECT c.name, t.id, 'USD'
FROM customer c JOIN billing.tariff t ON t.name = c.tariff;
INSERT INTO billing.service (account_id, kind, identifier)
SELECT a.id, i.kind, i.identifier
FROM identity i JOIN billing.account a ON a.name = i.account;
INSERT INTO billing.rate (tariff_id, prefix, exact, destination, price, blocked)
SELECT t.id, p.prefix, p.exact, p.destination, p.price, p.blocked
FROM price p JOIN billing.tariff t ON t.name = p.tariff;
ANALYZE;

SELECT billing.create_partitions('2026-10-01', '2026-12-01', '1 month') \g /dev/null

-- ---- The calls: each file as the provider sent it, its columns in its order

CREATE SCHEMA demo;
CREATE TABLE demo.planted (kind text PRIMARY KEY, calls bigint NOT NULL, description text NOT NULL);
CREATE TABLE demo.loaded (file text PRIMARY KEY, lines bigint NOT NULL, calls bigint NOT NULL, seconds numeric NOT NULL);
\copy demo.planted FROM 'planted.csv' (FORMAT csv, HEADER)

SELECT clock_timestamp() AS began \gset
\copy billing.cdr (source, call_id, started_at, answered_at, ended_at, billsec, disposition, caller, callee, auth_code, src_trunk, src_ip) FROM 'vitelity.csv' (FORMAT csv, HEADER)
INSERT INTO demo.loaded VALUES ('vitelity.csv', :ROW_COUNT, :ROW_COUNT, extract(epoch FROM clock_timestamp() - :'began'));

SELECT clock_timestamp() AS began \gset
\copy billing.cdr (started_at, duration, billsec, callee, caller, dst_trunk, src_ip, src_trunk, auth_code, call_id, source, disposition) FROM 'gafachi.csv' (FORMAT csv, HEADER)
INSERT INTO demo.loaded VALUES ('gafachi.csv', :ROW_COUNT, :ROW_COUNT, extract(epoch FROM clock_timestamp() - :'began'));

SELECT clock_timestamp() AS began \gset
\copy billing.cdr (call_id, provider_code, src_trunk, src_ip, auth_code, caller, callee, started_at, answered_at, ended_at, disposition, source) FROM 'vodafone.csv' (FORMAT csv, HEADER)
INSERT INTO demo.loaded VALUES ('vodafone.csv', :ROW_COUNT, :ROW_COUNT, extract(epoch FROM clock_timestamp() - :'began'));

-- A file that repeats some of another: what is there already stays as it is, and is charged once.
SELECT clock_timestamp() AS began \gset
CREATE TEMP TABLE late AS
	SELECT call_id, provider_code, src_trunk, src_ip, auth_code, caller, callee, started_at, answered_at, ended_at, disposition, source
	FROM billing.cdr WITH NO DATA;
\copy late FROM 'vodafone-late.csv' (FORMAT csv, HEADER)
\set lines :ROW_COUNT
INSERT INTO billing.cdr (call_id, provider_code, src_trunk, src_ip, auth_code, caller, callee, started_at, answered_at, ended_at, disposition, source)
SELECT * FROM late
ON CONFLICT (source, call_id, started_at) DO NOTHING;
INSERT INTO demo.loaded VALUES ('vodafone-late.csv', :lines, :ROW_COUNT, extract(epoch FROM clock_timestamp() - :'began'));
ANALYZE billing.cdr;

-- ---- What was planted in the files, found again in the ledger

CREATE VIEW demo.found AS
SELECT p.kind, p.description, p.calls AS planted, f.calls AS found
FROM demo.planted p
	LEFT JOIN (
		SELECT 'calls' AS kind, count(*) AS calls FROM billing.cdr
		UNION ALL
		SELECT 'rows_' || source, count(*) FROM billing.cdr GROUP BY source
		UNION ALL
		SELECT 'duplicates', sum(lines - calls) FROM demo.loaded
		UNION ALL
		SELECT unnest(ARRAY['unanswered', 'next_month']), unnest(ARRAY[sum(calls - answered), sum(calls) FILTER (WHERE month = '2026-11-01')])
		FROM billing.provider_reconciliation
		UNION ALL
		SELECT CASE WHEN reason = 'no_rate' THEN 'unknown_prefix' WHEN reason = 'no_account' THEN 'unknown_code'
				WHEN reason = 'blocked' AND callee LIKE '%442079460999' THEN 'blocked_number' WHEN reason = 'blocked' THEN 'blocked_prefix' END, count(*)
		FROM billing.unrated WHERE side = 'customer' GROUP BY 1
		UNION ALL
		SELECT 'over_month_end', count(*)
		FROM billing.cdr c JOIN billing.account a ON a.id = c.provider_account_id
		WHERE coalesce(c.answered_at, c.started_at) AT TIME ZONE a.timezone < '2026-11-01'
			AND coalesce(c.ended_at, c.started_at + c.duration * interval '1 second') AT TIME ZONE a.timezone >= '2026-11-01') f USING (kind);
