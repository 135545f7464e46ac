-- What a statement may see of the catalogue, and that no price outlives its rollback (design 7). Each of these once
-- went wrong. The file commits: its database is its own.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS billing CASCADE;
SELECT billing.create_ledger();
SELECT plan(17);

INSERT INTO billing.tariff (id, name, currency, boundary) VALUES (1, 'List', 'USD', 'split'), (2, 'Large', 'USD', 'start');
INSERT INTO billing.rate (id, tariff_id, prefix, price) VALUES (1001, 1, '44', 1);
SELECT setval('billing.rate_id_seq', 2000);
INSERT INTO billing.account (id, name, currency, tariff_id) VALUES (1, 'Alice', 'USD', 1), (2, 'Bob', 'USD', 1);
INSERT INTO billing.account (id, name, currency, tariff_id, is_provider) VALUES (3, 'Carrier', 'USD', 1, true);
INSERT INTO billing.service (account_id, side, kind, identifier) VALUES (1, 'customer', 'auth_code', 'A'), (2, 'customer', 'auth_code', 'B'), (3, 'provider', 'trunk', 'C');

CREATE FUNCTION public.price(text) RETURNS numeric LANGUAGE sql STABLE AS 'SELECT price FROM billing.match_rate(1, $1, ''2026-01-01'')';
CREATE FUNCTION public.call(jsonb) RETURNS text LANGUAGE sql STABLE AS $$
	SELECT format('%s %s %s', customer_amount, status, customer_reason) FROM billing.rate_call(jsonb_populate_record(NULL::billing.cdr, $1))$$;
-- Asks often enough for the list to be compiled.
CREATE FUNCTION public.compile() RETURNS numeric LANGUAGE sql VOLATILE AS 'SELECT max(public.price(''4420'' || g)) FROM generate_series(1, 100) g';

-- An own change, and the ways in which it can go away.
SELECT is(public.compile(), 1::numeric, 'design 7: the price before');
CREATE FUNCTION public.boom(numeric) RETURNS numeric LANGUAGE plpgsql AS $$BEGIN PERFORM public.compile(); RAISE 'boom'; END$$;
SELECT throws_ok('UPDATE billing.rate SET price = 77 WHERE id = 1001 RETURNING public.boom(price)', 'P0001', 'boom', 'an UPDATE that fails after its own price was compiled');
SELECT is(public.compile(), 1::numeric, 'design 7: a failed statement leaves no price behind, though its AFTER triggers never fired');

CREATE TEMP TABLE seen (what text, price numeric);
DO $$
DECLARE inside numeric;
BEGIN
	INSERT INTO seen VALUES ('before', public.compile());
	BEGIN
		UPDATE billing.rate SET price = 9 WHERE id = 1001;
		inside := public.compile();
		RAISE 'undo';
	EXCEPTION WHEN raise_exception THEN
		INSERT INTO seen VALUES ('inside', inside);
	END;
	INSERT INTO seen VALUES ('after', public.compile());
END$$;
SELECT is((SELECT string_agg(what || ' ' || trim_scale(price), ', ' ORDER BY what DESC) FROM seen), 'inside 9, before 1, after 1', 'design 7: a block that is rolled back takes its price along');

BEGIN;
SAVEPOINT s;
UPDATE billing.rate SET price = 8 WHERE id = 1001;
SELECT is(public.compile(), 8::numeric, 'design 7: an own change is seen');
ROLLBACK TO s;
SELECT is(public.compile(), 1::numeric, 'design 7: and not after the savepoint');
COMMIT;

CREATE FUNCTION public.change(price numeric) RETURNS numeric LANGUAGE plpgsql VOLATILE AS $$BEGIN UPDATE billing.rate r SET price = $1 WHERE id = 1001; RETURN NULL; END$$;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT is((SELECT array_agg(trim_scale(p) ORDER BY g) FROM (SELECT g, CASE WHEN g = 2 THEN public.change(6) END, (billing.match_rate(1, '442' || g, '2026-01-01')).price AS p FROM generate_series(1, 3) g) s),
	ARRAY[1, 1, 1]::numeric[], 'design 7: REPEATABLE READ: one statement, one catalogue, whatever it changes itself');
SELECT is(public.compile(), 6::numeric, 'the next statement sees the change');
ROLLBACK;
SELECT is((SELECT array_agg(trim_scale(p) ORDER BY g) FROM (SELECT g, CASE WHEN g = 2 THEN public.change(6) END, (billing.match_rate(1, '442' || g, '2026-01-01')).price AS p FROM generate_series(1, 3) g) s),
	ARRAY[1, 1, 1]::numeric[], 'design 7: READ COMMITTED: the same');
SELECT is(public.compile(), 6::numeric, 'and after the commit it holds');
UPDATE billing.rate SET price = 1 WHERE id = 1001;

-- Long scans over rows that were updated meet dead index entries.
INSERT INTO billing.rate (tariff_id, prefix, price) SELECT 2, ('7' || lpad(g::text, 5, '0'))::billing.prefix, 1 FROM generate_series(1, 6000) g;
UPDATE billing.rate SET price = 2 WHERE tariff_id = 2;
UPDATE billing.rate SET price = 3 WHERE tariff_id = 2;
DELETE FROM billing.rate WHERE tariff_id = 2 AND id % 2 = 0;
SELECT is((SELECT sum(m.price) FROM generate_series(1, 6000) g, LATERAL billing.match_rate(2, '7' || lpad(g::text, 5, '0') || '9', '2026-01-01') m), 9000::numeric,
	'a list of 6,000 rates, updated twice and half deleted, compiles: 3,000 x 3');

-- Calls whose clock was reset: before 2000 an instant is negative, and boundary split has no end to wait for.
SELECT is(public.call(jsonb_build_object('auth_code', 'A', 'callee', '4420', 'billsec', 60, 'started_at', at)), '1.00000000 rated ', 'promise 1: a split call of ' || at)
FROM unnest(ARRAY['1970-01-01 00:00:00+00', '0044-03-15 12:00:00+00 BC', '1999-12-31 23:59:59+00', '294276-12-31 23:00:00+00']) at;

-- A subscriber gets its tables one by one, so a service can come before its account.
BEGIN;
SET LOCAL session_replication_role = replica;
DELETE FROM billing.account WHERE id IN (2, 3);
SELECT is(public.call('{"auth_code": "B", "dst_trunk": "C", "callee": "4420", "billsec": 60, "started_at": "2026-01-01 00:00:00+00"}'), ' unrated no_account', 'promise 1: services whose accounts have not arrived');
ROLLBACK;

-- The signal: every table that rating reads has it, always.
SELECT is_empty($$
	SELECT t FROM unnest(ARRAY['exchange_rate', 'calendar', 'calendar_day', 'calendar_band', 'tariff', 'tariff_terms', 'rate', 'rate_step', 'plan', 'account',
		'account_terms', 'service', 'service_terms', 'did_rate']) t
	WHERE 3 <> (SELECT count(*) FROM pg_trigger WHERE tgrelid = ('billing.' || t)::regclass AND tgfoid = 'billing.catalogue_changed()'::regprocedure AND tgenabled = 'A')$$,
	'design 7: each table of the catalogue signals before a statement, after each row and after TRUNCATE, always');
SELECT * FROM finish();
