-- What people who may create objects, or hold some rights on the catalogue, cannot turn against the extension and the ledger.
BEGIN;
SET client_min_messages = warning;
SET TimeZone = 'UTC';
CREATE EXTENSION IF NOT EXISTS pgtap;
SELECT no_plan();
CREATE ROLE billing_test_stranger;
CREATE ROLE billing_test_reader;

-- CREATE EXTENSION.
CREATE SCHEMA billing AUTHORIZATION billing_test_stranger;
SELECT throws_ok('CREATE EXTENSION billing CASCADE', '42501', 'schema billing belongs to "billing_test_stranger"', 'design 2: no extension in a schema that a stranger owns');
ALTER SCHEMA billing OWNER TO CURRENT_USER;
GRANT USAGE, CREATE ON SCHEMA billing TO billing_test_stranger;
-- numeric against integer: more to the point than pg_catalog's numeric against numeric.
CREATE FUNCTION public.trap(numeric, integer) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT NULL::boolean';
CREATE OPERATOR public.>= (LEFTARG = numeric, RIGHTARG = integer, FUNCTION = public.trap);
CREATE OPERATOR public.> (LEFTARG = numeric, RIGHTARG = integer, FUNCTION = public.trap);
CREATE OPERATOR billing.>= (LEFTARG = numeric, RIGHTARG = integer, FUNCTION = public.trap);
CREATE OPERATOR billing.< (LEFTARG = numeric, RIGHTARG = integer, FUNCTION = public.trap);
CREATE EXTENSION billing CASCADE;
SELECT is(billing._call_seconds(5, NULL, NULL), 5::numeric, 'design 2: the extension binds no operator of somebody else');
SELECT is(billing._call_answered(5, NULL, NULL), true, 'design 2: nor one in public');
SELECT is_empty($$
	SELECT pg_describe_object(d.classid, d.objid, d.objsubid), o.oprname
	FROM pg_depend d JOIN pg_operator o ON d.refclassid = 'pg_operator'::regclass AND d.refobjid = o.oid
	WHERE o.oprcode = 'public.trap'::regproc
$$, 'design 2: nothing depends on one');

-- create_ledger() takes nothing over.
CREATE FUNCTION pg_temp.refusal(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	BEGIN
		EXECUTE statement;
		PERFORM billing.create_ledger();
		RAISE EXCEPTION USING ERRCODE = 'XX999';
	EXCEPTION WHEN SQLSTATE 'XX999' THEN RETURN NULL; WHEN OTHERS THEN RETURN SQLSTATE || ' ' || SQLERRM;
	END;
END $$;
SELECT is(pg_temp.refusal(v.statement), format('42710 billing.%s exists already and belongs to no ledger', v.name), 'design 2: create_ledger() takes over no ' || v.what) FROM (VALUES
	('charge', 'view of somebody else', 'SET LOCAL ROLE billing_test_stranger; CREATE VIEW billing.charge AS SELECT 1 AS x; RESET ROLE'),
	('margin', 'view of its own, of other columns', 'CREATE VIEW billing.margin AS SELECT 1 AS x'),
	('unrated', 'table in place of a view', 'CREATE TABLE billing.unrated ()'),
	('tariff', 'table', 'CREATE TABLE billing.tariff ()'),
	('price', 'domain', 'CREATE DOMAIN billing.price AS text'),
	('cdr', 'type in place of a table', 'CREATE TYPE billing.cdr AS ENUM ()'),
	('rate_id_seq', 'sequence', 'CREATE SEQUENCE billing.rate_id_seq')) v(name, what, statement);
SELECT ok(n > 25, 'it looks for every one of them') FROM (SELECT count(*) AS n FROM unnest(ARRAY['TABLE', 'VIEW', 'DOMAIN', 'SEQUENCE']) k CROSS JOIN LATERAL billing._ledger_object(k) o) c;
SELECT is(billing.create_ledger(), 'billing ledger 1', 'design 2: nothing in the way');
SELECT is_empty($$
	SELECT pg_describe_object(d.classid, d.objid, d.objsubid)
	FROM pg_depend d JOIN pg_operator o ON d.refclassid = 'pg_operator'::regclass AND d.refobjid = o.oid WHERE o.oprcode = 'public.trap'::regproc
$$, 'design 2: create_ledger() binds no operator of somebody else either');
SELECT is(pg_get_constraintdef(oid), 'CHECK (((VALUE > (''-100000000''::integer)::numeric) AND (VALUE < (100000000)::numeric)))', 'design 3: the bounds of a price compare by pg_catalog')
FROM pg_constraint WHERE conname = 'price_in_range';

-- upgrade_ledger() replaces only what is the ledger's, and keeps what its owner has set.
ALTER VIEW billing.charge OWNER TO billing_test_stranger;
SELECT throws_ok('SELECT billing.upgrade_ledger()', '55000', 'view billing.charge does not belong to the owner of the billing ledger', 'design 2: upgrade_ledger() replaces no view of somebody else');
ALTER VIEW billing.charge OWNER TO CURRENT_USER;
CREATE FUNCTION pg_temp.settings() RETURNS TABLE (name text, options text[], own text, columns text) LANGUAGE sql AS $$
	SELECT c.relname::text, (SELECT array_agg(o ORDER BY o) FROM unnest(c.reloptions) o), c.relacl::text,
		(SELECT string_agg(a.attname || a.attacl::text, ' ' ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attacl IS NOT NULL)
	FROM pg_class c WHERE c.relnamespace = 'billing'::regnamespace AND c.relkind = 'v' ORDER BY 1
$$;
ALTER VIEW billing.charge SET (security_invoker = true, security_barrier = true);
ALTER VIEW billing.margin SET (security_barrier);
GRANT SELECT ON billing.unrated TO billing_test_reader WITH GRANT OPTION;
GRANT SELECT (cdr_id, leg) ON billing.charge TO billing_test_reader;
GRANT SELECT (leg) ON billing.charge TO billing_test_stranger WITH GRANT OPTION;
GRANT UPDATE (leg) ON billing.charge TO PUBLIC;
CREATE TEMP TABLE before AS SELECT * FROM pg_temp.settings();
SELECT is((SELECT count(*) FROM before WHERE options IS NOT NULL OR columns IS NOT NULL), 2::bigint, 'design 2: options and grants to keep');
SELECT billing.upgrade_ledger();
SELECT results_eq('SELECT * FROM pg_temp.settings()', 'TABLE before', 'design 2: views that are replaced keep their options and grants');
ALTER VIEW billing.charge RENAME COLUMN amount TO former_name;
SELECT billing.upgrade_ledger();
SELECT hasnt_column('billing'::name, 'charge'::name, 'former_name'::name, 'design 2: views whose columns changed are made again');
SELECT results_eq('SELECT * FROM pg_temp.settings()', 'TABLE before', 'design 2: and keep their options and grants, of columns too');
ALTER DEFAULT PRIVILEGES IN SCHEMA billing GRANT SELECT ON TABLES TO billing_test_stranger;
ALTER VIEW billing.charge RENAME COLUMN leg TO former_name;
SELECT billing.upgrade_ledger();
SELECT is(has_table_privilege('billing_test_stranger', 'billing.margin', 'SELECT'), false, 'design 2: default privileges do not give back what was taken');
ALTER DEFAULT PRIVILEGES IN SCHEMA billing REVOKE SELECT ON TABLES FROM billing_test_stranger;

-- Corrections of rates that have priced calls.
INSERT INTO billing.calendar (id, name, timezone, is_default) VALUES (1, 'c', 'UTC', true);
INSERT INTO billing.calendar_band (calendar_id, band, starts, ends) VALUES (1, 'peak', '08:00', '18:00');
INSERT INTO billing.tariff (id, name, currency, calendar_id) VALUES (1, 'retail', 'USD', 1), (2, 'other', 'USD', 1);
INSERT INTO billing.rate (id, tariff_id, prefix, price) VALUES (10, 1, '44', 0.02);
INSERT INTO billing.did_rate (id, leg, number, currency, price) VALUES (11, 'did_owner', '442079460000', 'USD', 0.02);
INSERT INTO billing.rate_step (rate_id, from_second, price) VALUES (10, 60, 0.01);
INSERT INTO billing.cdr (call_id, started_at, rated_at, customer_rate_id, did_owner_rate_id) VALUES ('c', '2026-01-15 12:00+00', '2026-01-15 12:05+00', 10, 11);
-- Writes its own proof and changes one column; what it was refused with, or null.
CREATE FUNCTION pg_temp.forged(relation text, rate bigint, assignment text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	BEGIN
		EXECUTE format('CREATE TABLE pg_temp.wanted AS SELECT * FROM billing.%I WHERE id = %s', relation, rate);
		EXECUTE format('UPDATE pg_temp.wanted SET %s', assignment);
		EXECUTE format('INSERT INTO billing.rate_correction (rate_id, reason, old, new) SELECT r.id, ''forged'', to_jsonb(r), to_jsonb(w) FROM billing.%I r JOIN pg_temp.wanted w USING (id)', relation);
		EXECUTE format('UPDATE billing.%I SET %s WHERE id = %s', relation, assignment, rate);
		RAISE EXCEPTION USING ERRCODE = 'XX999';
	EXCEPTION WHEN SQLSTATE 'XX999' THEN RETURN NULL; WHEN OTHERS THEN RETURN SQLSTATE;
	END;
END $$;
SELECT is(pg_temp.forged('rate', 10, v.assignment), '23001', 'design 3: no proof lets a priced rate be given another ' || v.assignment)
FROM (VALUES ('tariff_id = 2'), ('prefix = ''45'''), ('exact = true'), ('day_type = ''work'''), ('band = ''peak'''), ('valid_from = ''2026-01-01'''), ('withdrawn = true'),
	('price = 1, withdrawn = true')) v(assignment);
SELECT is(pg_temp.forged('rate', 10, 'price = 1'), NULL, 'design 3: what correct_rate() may change passes with a record');
SELECT is(pg_temp.forged('did_rate', 11, v.assignment), '23001', 'design 3: no proof lets a priced DID rate be given another ' || v.assignment)
FROM (VALUES ('leg = ''did_provider'''), ('tenant = ''x'''), ('number = ''442079460001'''), ('day_type = ''work'''), ('band = ''peak'''), ('valid_from = ''2026-01-01'''),
	('currency = ''EUR'''), ('withdrawn = true'), ('price = 1, withdrawn = true')) v(assignment);
SELECT is(pg_temp.forged('did_rate', 11, 'price = 1'), NULL, 'design 3: what correct_rate() may change of a DID rate passes with a record');
SELECT throws_ok('UPDATE billing.rate SET price = 0.03 WHERE id = 10', '23001', NULL, 'design 3: a priced rate stays');
SELECT billing.correct_rate(10, '{"price": 0.03}', 'there');
SELECT billing.correct_rate(10, '{"price": 0.02}', 'and back');
SELECT throws_ok('UPDATE billing.rate SET price = 0.03 WHERE id = 10', '23001', NULL, 'design 3: a record serves once: only the last of the transaction counts');
SELECT billing.correct_rate(10, '{"steps": [{"from_second": 60, "price": 0.01, "increment": 1}, {"from_second": 120, "price": 0.005, "increment": 1}]}', 'there');
SELECT billing.correct_rate(10, '{"steps": []}', 'and back');
SELECT throws_ok('INSERT INTO billing.rate_step (rate_id, from_second, price) VALUES (10, 120, 0.005)', '23001', NULL, 'design 3: for steps too');
SELECT billing.correct_rate(11, '{"price": 0.03}', 'there');
SELECT billing.correct_rate(11, '{"price": 0.02}', 'and back');
SELECT throws_ok('UPDATE billing.did_rate SET price = 0.03 WHERE id = 11', '23001', NULL, 'design 3: and for DID rates');

-- Former terms hold to the rules of the present ones.
SELECT is_empty($$
	WITH rule AS (
		SELECT c.conrelid, replace(c.conname, t.name || '_terms_', t.name || '_') AS name, replace(pg_get_constraintdef(c.oid), t.name || '_id', 'id') AS rule, t.name AS kind, t.terms
		FROM (SELECT n, n || v FROM unnest(ARRAY['tariff', 'account', 'service']) n, unnest(ARRAY['', '_terms']) v) k(kind, relation)
			CROSS JOIN LATERAL (SELECT k.kind AS name, ('billing.' || k.kind || '_terms')::regclass AS terms) t
			JOIN pg_constraint c ON c.conrelid = ('billing.' || k.relation)::regclass AND c.contype = 'c'
	)
	SELECT r.kind, r.name, r.rule FROM rule r
	WHERE r.conrelid <> r.terms
		-- Only what a rule over terms alone can say; the id itself is the live row's business.
		AND r.name <> r.kind || '_id'
		AND NOT EXISTS (
			SELECT FROM pg_constraint c CROSS JOIN LATERAL unnest(c.conkey) u(attnum) JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = u.attnum
			WHERE c.conrelid = r.conrelid AND c.conname = r.name AND a.attname <> 'id'
				AND NOT EXISTS (SELECT FROM pg_attribute f WHERE f.attrelid = r.terms AND f.attname = a.attname))
		AND NOT EXISTS (SELECT FROM rule f WHERE f.conrelid = f.terms AND f.kind = r.kind AND f.rule = r.rule)
$$, 'design 3: every CHECK of a table whose columns are terms stands on its former terms');
UPDATE billing.tariff SET connect_fee = 1, terms_from = '2026-01-01' WHERE id = 1;
CREATE FUNCTION pg_temp.former(assignment text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	BEGIN
		EXECUTE format('CREATE TABLE pg_temp.wanted AS SELECT * FROM billing.tariff_terms WHERE tariff_id = 1; UPDATE pg_temp.wanted SET tariff_id = 2, %s;
			INSERT INTO billing.tariff_terms SELECT * FROM pg_temp.wanted', assignment);
		RAISE EXCEPTION USING ERRCODE = 'XX999';
	EXCEPTION WHEN SQLSTATE 'XX999' THEN RETURN NULL; WHEN OTHERS THEN RETURN SQLSTATE;
	END;
END $$;
SELECT is(pg_temp.former('connect_fee = 2'), NULL, 'design 3: former terms may be brought along');
SELECT is(pg_temp.former(v.bad), '23514', 'design 3: former terms refuse ' || v.bad)
FROM (VALUES ('increment_rule = ''nonsense'''), ('next_increment = 0'), ('first_increment = -1'), ('grace_seconds = -5'), ('free_seconds = 86401'), ('surcharge_percent = ''NaN'''),
	('boundary = ''end'''), ('duration_rounding = ''down'''), ('rounding_digits = 9'), ('rounding_mode = ''x'''), ('min_amount = -1'), ('max_amount = -1'), ('min_amount = 2, max_amount = 1'),
	('increment_rule = ''aligned'', free_seconds = 1'), ('increment_rule = ''aligned'', boundary = ''split'''), ('base_tariff_id = 2'), ('terms_from = ''infinity''')) v(bad);
INSERT INTO billing.account (id, name, currency) VALUES (1, 'a', 'USD');
INSERT INTO billing.service (id, account_id, kind, identifier) VALUES (1, 1, 'trunk', 't');
SELECT throws_ok($$ INSERT INTO billing.account_terms (account_id, terms_from) VALUES (1, 'infinity') $$, '23514', NULL, 'design 3: former terms of an account have begun');
SELECT throws_ok($$ INSERT INTO billing.account_terms (account_id, terms_from, parent_id) VALUES (1, '2026-01-01', 1) $$, '23514', NULL, 'design 3: and did not name it as its parent');
SELECT throws_ok($$ INSERT INTO billing.service_terms (service_id, terms_from, out_payment) VALUES (1, 'infinity', 0) $$, '23514', NULL, 'design 3: former terms of a service have begun');

-- History is not rewritten.
UPDATE billing.account SET tariff_id = 1, terms_from = '2026-01-01' WHERE id = 1;
UPDATE billing.service SET tariff_id = 1, terms_from = '2026-01-01' WHERE id = 1;
SELECT throws_ok(format('UPDATE billing.%s_terms SET replaced_at = now()', t), '23001', format('billing.%s_terms is history and does not change', t), 'design 3: former terms of a ' || t || ' do not change')
FROM unnest(ARRAY['tariff', 'account', 'service']) t;
SELECT lives_ok('DELETE FROM billing.service WHERE id = 1', 'design 3: they go with a row that no call names');

-- Row-level security, forced upon an owner who is no superuser, does not blind the guards.
CREATE ROLE billing_test_owner;
GRANT USAGE, CREATE ON SCHEMA billing TO billing_test_owner;
DO $$
DECLARE
	relation regclass;
BEGIN
	FOR relation IN SELECT c.oid FROM pg_class c WHERE c.relnamespace = 'billing'::regnamespace AND c.relkind IN ('r', 'p', 'v') LOOP
		EXECUTE format('ALTER TABLE %s OWNER TO billing_test_owner', relation);
	END LOOP;
END $$;
GRANT EXECUTE ON FUNCTION billing.drop_ledger(boolean) TO billing_test_owner;
INSERT INTO billing.cdr (call_id, started_at, rated_at, customer_account_id) VALUES ('d', '2026-01-15 12:00+00', '2026-01-15 12:05+00', 1);
ALTER TABLE billing.cdr ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
SET LOCAL ROLE billing_test_owner;
SELECT is((SELECT count(*) FROM billing.cdr), 0::bigint, 'the owner sees no call');
SELECT throws_ok('UPDATE billing.rate SET price = 1 WHERE id = 10', '42501', NULL, 'design 3: a rate that calls may name does not change');
SELECT throws_ok('DELETE FROM billing.account WHERE id = 1', '42501', NULL, 'design 3: an account that calls may name is not deleted');
SELECT throws_ok('SELECT billing.drop_ledger()', '42501', NULL, 'design 2: a ledger that may hold calls is not dropped');
RESET ROLE;
ALTER TABLE billing.cdr DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;

-- The signal is the ledger's.
CREATE TABLE public.stranger (x integer);
CREATE TRIGGER noise AFTER INSERT ON public.stranger FOR EACH ROW EXECUTE FUNCTION billing.catalogue_changed();
SELECT lives_ok('INSERT INTO public.stranger VALUES (1)', 'design 7: a table of somebody else signals nothing, and is not disturbed');

SELECT * FROM finish();
ROLLBACK;
