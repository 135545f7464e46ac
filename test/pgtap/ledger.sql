-- create_ledger(), upgrade_ledger(), drop_ledger(), create_partitions(): the ledger as a whole (design 2 and 4).
BEGIN;
SET client_min_messages = warning;
SET TimeZone = 'UTC';
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS billing CASCADE;
SELECT no_plan();

SELECT is(billing.ledger_version(), NULL, 'design 2: no ledger, no version');
SELECT throws_ok('SELECT billing._require_ledger()', '55000', 'the billing ledger does not exist in this database', 'design 2: what needs a ledger says so');
SELECT is(billing.create_ledger(), 'billing ledger 1', 'design 2: create_ledger() makes it');
SELECT is(billing.create_ledger(), 'billing ledger 1', 'design 2: create_ledger() a second time changes nothing');
SELECT is(billing.ledger_version(), 1, 'design 2: the version is read from the ledger');
SELECT lives_ok('SELECT billing._require_ledger()', 'design 2: what needs a ledger finds it');
SELECT is(obj_description('billing.catalogue_signal'::regclass), 'billing ledger 1', 'design 2: the version is a comment');

SELECT is_empty($$
	SELECT c.relname FROM pg_class c JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
	WHERE c.relnamespace = 'billing'::regnamespace
$$, 'design 2: no table, view or sequence is a member of the extension');
SELECT is_empty($$
	SELECT d.classid::regclass, d.objid FROM pg_depend d
		JOIN pg_trigger t ON d.classid = 'pg_trigger'::regclass AND d.objid = t.oid WHERE d.deptype = 'e'
$$, 'design 2: no trigger is a member of the extension');
SELECT is_empty($$
	SELECT a.attrelid::regclass, a.attname
	FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_type t ON t.oid = a.atttypid
		JOIN pg_depend d ON d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e'
	WHERE c.relnamespace = 'billing'::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND a.attname <> 'prefix'
$$, 'design 2: only prefix columns have a type of the extension');
SELECT is_empty($$
	SELECT a.attrelid::regclass, a.attname FROM pg_attribute a
	WHERE a.attrelid = 'billing.cdr'::regclass AND a.attnum > 0 AND NOT a.attisdropped
		AND (a.atttypmod <> -1 AND a.attname !~ '_amount$' OR a.atttypid IN (SELECT oid FROM pg_type WHERE typtype = 'd'))
$$, 'promise 1: raw columns have no length and no domain');
SELECT is((SELECT count(*) FROM pg_constraint WHERE conrelid = 'billing.cdr'::regclass AND contype IN ('c', 'f')), 0::bigint,
	'promise 1: billing.cdr has no CHECK and no foreign key');
SELECT is_empty($$
	SELECT c.relname, a.attname FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
	WHERE c.relnamespace = 'billing'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
		AND (obj_description(c.oid) IS NULL OR (a.attnum IS NOT NULL AND col_description(c.oid, a.attnum) IS NULL))
$$, 'design 3: every table, view and column has a comment');
SELECT is_empty($$
	SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
	WHERE p.pronamespace = 'billing'::regnamespace AND obj_description(p.oid, 'pg_proc') IS NULL
$$, 'every function has a comment');
SELECT is_empty($$
	SELECT f.name FROM unnest(ARRAY['create_ledger', 'upgrade_ledger', 'drop_ledger', 'correct_rate', 'change_timezone', 'create_partitions']) f(name)
		JOIN pg_proc p ON p.proname = f.name AND p.pronamespace = 'billing'::regnamespace
	WHERE has_function_privilege('public', p.oid, 'EXECUTE')
$$, 'what changes the ledger is not PUBLIC''s');

-- Currencies.
SELECT results_eq($$ SELECT code, digits FROM billing.currency WHERE code IN ('JPY', 'USD', 'KWD', 'CLF', 'UYW', 'HUF', 'ISK') ORDER BY 1 $$,
	$$ VALUES ('CLF', 4::smallint), ('HUF', 2::smallint), ('ISK', 0::smallint), ('JPY', 0::smallint), ('KWD', 3::smallint), ('USD', 2::smallint), ('UYW', 4::smallint) $$,
	'design 3: currencies come with their digits of ISO 4217');
SELECT is((SELECT count(*) FROM billing.currency WHERE digits = 3), 7::bigint, 'ISO 4217 has seven currencies of thousandths: BHD IQD JOD KWD LYD OMR TND');

-- DROP EXTENSION.
SELECT throws_ok('DROP EXTENSION billing', '2BP01', NULL, 'design 2: plain DROP EXTENSION is refused while a ledger stands');

-- Upgrade.
CREATE ROLE billing_test_reader;
SELECT billing._ledger_object('VIEW') AS a_view LIMIT 1 \gset
GRANT SELECT ON :a_view TO billing_test_reader;
ALTER TABLE billing.rate ENABLE TRIGGER ALL;
ALTER TABLE billing.tariff DISABLE TRIGGER catalogue_signal;
CREATE TABLE billing.own (x integer);
CREATE TRIGGER catalogue_signal_of_mine AFTER INSERT ON billing.own FOR EACH ROW EXECUTE FUNCTION billing.catalogue_changed();
DELETE FROM billing.currency WHERE code = 'AED';
UPDATE billing.currency SET digits = 3, name = 'ours' WHERE code = 'USD';
INSERT INTO billing.currency (code, digits) VALUES ('ZZZ', 2);
SELECT is(billing.upgrade_ledger(), 'billing ledger 1', 'design 2: upgrade_ledger() says the version');
SELECT results_eq($$
	SELECT tgrelid::regclass::text, tgname::text COLLATE "default", tgenabled::text FROM pg_trigger
	WHERE tgfoid = 'billing.catalogue_changed()'::regprocedure AND tgrelid IN ('billing.rate'::regclass, 'billing.tariff'::regclass, 'billing.own'::regclass)
	ORDER BY tgrelid::regclass::text COLLATE "C", tgname
$$, $$ VALUES ('billing.own', 'catalogue_signal_of_mine', 'O'), ('billing.rate', 'catalogue_signal', 'A'), ('billing.rate', 'catalogue_signal_statement', 'A'), ('billing.rate', 'catalogue_signal_truncate', 'A'),
	('billing.tariff', 'catalogue_signal', 'D'), ('billing.tariff', 'catalogue_signal_statement', 'A'), ('billing.tariff', 'catalogue_signal_truncate', 'A') $$,
	'design 2: ALWAYS comes back after --disable-triggers; what users disabled or made stays');
SELECT results_eq($$ SELECT code, digits, name FROM billing.currency WHERE code IN ('AED', 'USD', 'ZZZ') ORDER BY 1 $$,
	$$ VALUES ('AED', 2::smallint, 'UAE dirham'), ('USD', 3::smallint, 'ours'), ('ZZZ', 2::smallint, NULL) $$,
	'design 2: missing currencies come back, changed and own ones stay');
ALTER TABLE billing.tariff ENABLE ALWAYS TRIGGER catalogue_signal;
DROP TABLE billing.own;

SELECT pg_get_viewdef(:'a_view'::regclass) AS definition \gset
DO $$
DECLARE
	views text := (SELECT string_agg(v, ', ') FROM billing._ledger_object('VIEW') v);
	a_view text := (SELECT v FROM billing._ledger_object('VIEW') v LIMIT 1);
BEGIN
	EXECUTE format('DROP VIEW %s', views);
	EXECUTE format('CREATE VIEW %s AS SELECT 1 AS other_column', a_view);
	EXECUTE format('GRANT SELECT ON %s TO billing_test_reader', a_view);
	EXECUTE format('CREATE VIEW public.report AS SELECT * FROM %s', a_view);
END $$;
SELECT throws_ok('SELECT billing.upgrade_ledger()', '2BP01', 'the views of the billing ledger cannot be replaced',
	'design 2: a view of users in the way is named, not dropped');
DROP VIEW public.report;
SELECT lives_ok('SELECT billing.upgrade_ledger()', 'design 2: views whose columns changed are made again');
SELECT is(pg_get_viewdef(:'a_view'::regclass), :'definition', 'design 2: as the code has them');
SELECT ok(has_table_privilege('billing_test_reader', :'a_view', 'SELECT'), 'design 2: and with their grants');
SELECT is_empty($$ SELECT v FROM billing._ledger_object('VIEW') v WHERE to_regclass(v) IS NULL $$, 'design 2: all of them');

COMMENT ON TABLE billing.catalogue_signal IS 'billing ledger 1000';
SELECT throws_ok('SELECT billing.create_ledger()', '55000', 'the billing ledger is newer than the extension', 'design 2: create_ledger() on a newer ledger');
SELECT throws_ok('SELECT billing.upgrade_ledger()', '55000', 'the billing ledger is newer than the extension', 'design 2: upgrade_ledger() on a newer ledger');
COMMENT ON TABLE billing.catalogue_signal IS 'billing ledger 0';
SELECT is(billing.create_ledger(), 'billing ledger 0', 'design 2: create_ledger() leaves an older ledger to upgrade_ledger()');
SELECT is(billing.upgrade_ledger(), 'billing ledger 1', 'design 2: which brings it to the version of the code');

-- Partitions. What is stored is compared whole; rated_at keeps the trigger from pricing.
INSERT INTO billing.cdr (call_id, started_at, rated_at, status, customer_amount)
SELECT 'c' || n, timestamptz '2025-12-31 12:00+00' + n * interval '12 hours', '2026-06-01', 'rated', 0.12345678 * n FROM generate_series(0, 150) n;
CREATE TEMP TABLE before AS TABLE billing.cdr;
SELECT is(billing.create_partitions('2026-01-01', '2026-03-01'), 2, 'design 4: create_partitions() adds months');
SELECT is(billing.create_partitions('2026-01-01', '2026-04-01'), 1, 'design 4: and skips those that stand');
SELECT results_eq($$ SELECT tableoid::regclass::text, count(*) FROM billing.cdr GROUP BY 1 ORDER BY 1 $$,
	-- n = 0 is 2025-12-31 12:00; 62 half days are January, 56 February, n = 119 to 150 are 32 in March.
	$$ VALUES ('billing.cdr_202601', 62::bigint), ('billing.cdr_202602', 56::bigint), ('billing.cdr_202603', 32::bigint), ('billing.cdr_default', 1::bigint) $$,
	'design 4: calls move out of the default partition');
SELECT results_eq('TABLE before ORDER BY id', 'TABLE billing.cdr ORDER BY id', 'design 4: none is lost, none is rated again');
SELECT is((SELECT count(*) FROM pg_trigger t WHERE t.tgrelid = 'billing.cdr_202601'::regclass AND t.tgname = 'zz_rate'), 1::bigint, 'design 4: the new partition rates');
SELECT is((SELECT count(*) FROM pg_index WHERE indrelid = 'billing.cdr_202601'::regclass), (SELECT count(*) FROM pg_index WHERE indrelid = 'billing.cdr_default'::regclass),
	'design 4: and has the indexes');
SELECT is(billing.create_partitions('2027-01-31', '2027-02-03', '1 day'), 3, 'design 4: days');
SELECT is(billing.create_partitions('2028-01-01', '2028-01-02', '12 hours'), 2, 'design 4: hours');
SELECT is(billing.create_partitions('2029-01-01', '2030-01-01', '3 months'), 4, 'design 4: quarters');
SELECT is((SELECT count(*) FROM pg_class WHERE relnamespace = 'billing'::regnamespace
	AND relname IN ('cdr_20270131', 'cdr_20270201', 'cdr_20270202', 'cdr_20280101_000000', 'cdr_20280101_120000', 'cdr_202901', 'cdr_202904', 'cdr_202907', 'cdr_202910')), 9::bigint,
	'design 4: names say what is in them');
SET TimeZone = 'Europe/Berlin';
SELECT billing.create_partitions('2031-01-31', '2031-04-01');
SELECT results_eq($$ SELECT pg_get_expr(relpartbound, oid) COLLATE "default" FROM pg_class WHERE relname ~ '^cdr_20310' AND relkind = 'r' ORDER BY relname COLLATE "C" $$,
	$$ VALUES ('FOR VALUES FROM (''2031-01-31 00:00:00+01'') TO (''2031-02-28 00:00:00+01'')'),
		('FOR VALUES FROM (''2031-02-28 00:00:00+01'') TO (''2031-03-31 00:00:00+02'')'), ('FOR VALUES FROM (''2031-03-31 00:00:00+02'') TO (''2031-04-30 00:00:00+02'')') $$,
	'design 4: months are those of the session''s zone, and the 31st comes back after February');
-- IST is read as Israel's time, half past three hours away.
SET TimeZone = 'Asia/Kolkata';
SELECT is(current_setting('datestyle'), 'ISO, MDY', 'the tests of pgTAP run with ISO dates');
SET datestyle = 'Postgres, DMY';
SELECT is(billing.create_partitions('2033-01-01 00:00+05:30', '2033-03-01 00:00+05:30'), 2, 'design 4: bounds are the same whatever the DateStyle');
SELECT is(billing.create_partitions('2033-01-01 00:00+05:30', '2033-03-01 00:00+05:30'), 0, 'design 4: and found again');
SET datestyle = 'ISO, MDY';
SELECT is(billing.create_partitions('2033-01-01 00:00+05:30', '2033-03-01 00:00+05:30'), 0, 'design 4: with another DateStyle too');
SET TimeZone = 'UTC';
SELECT results_eq($$ SELECT relname::text COLLATE "default", pg_get_expr(relpartbound, oid) COLLATE "default", obj_description(oid, 'pg_class') COLLATE "default" FROM pg_class WHERE relname ~ '^cdr_2033' AND relkind = 'r' ORDER BY relname COLLATE "C" $$,
	$$ VALUES ('cdr_203301', 'FOR VALUES FROM (''2032-12-31 18:30:00+00'') TO (''2033-01-31 18:30:00+00'')', 'Calls started from 2033-01-01 00:00:00+05:30 to before 2033-02-01 00:00:00+05:30.'),
		('cdr_203302', 'FOR VALUES FROM (''2033-01-31 18:30:00+00'') TO (''2033-02-28 18:30:00+00'')', 'Calls started from 2033-02-01 00:00:00+05:30 to before 2033-03-01 00:00:00+05:30.') $$,
	'design 4: months of India under DateStyle Postgres');
SELECT throws_ok($$ SELECT billing.create_partitions('2026-02-01', '2026-02-01') $$, '22023', NULL, 'design 4: no empty range');
SELECT throws_ok($$ SELECT billing.create_partitions('-infinity', '2026-02-01') $$, '22023', NULL, 'design 4: no infinite range');
SELECT throws_ok($$ SELECT billing.create_partitions('2026-02-01', '2026-03-01', '-1 day') $$, '22023', NULL, 'design 4: no step backwards');
SELECT throws_ok($$ SELECT billing.create_partitions('2026-02-01', '2026-03-01', '1 month -31 days') $$, '22023', NULL, 'design 4: no step that stands still in a February');

-- A column of users, a generated one too, and a dropped one.
ALTER TABLE billing.cdr ADD COLUMN gone integer, ADD COLUMN mine text DEFAULT 'x', ADD COLUMN half numeric GENERATED ALWAYS AS (billsec / 2) STORED;
ALTER TABLE billing.cdr DROP COLUMN gone;
INSERT INTO billing.cdr (call_id, started_at, rated_at, mine, billsec) VALUES ('m', '2032-01-15', now(), 'y', 60);
SELECT lives_ok($$ SELECT billing.create_partitions('2032-01-01', '2032-02-01') $$, 'design 4: tables with columns of users too');
SELECT results_eq($$ SELECT tableoid::regclass::text, mine, half FROM billing.cdr WHERE call_id = 'm' $$, $$ VALUES ('billing.cdr_203201', 'y', 30::numeric) $$,
	'design 4: users'' columns move along');

-- Drop.
SELECT throws_ok('SELECT billing.drop_ledger()', '55006', 'the billing ledger holds calls', 'design 2: drop_ledger() asks before calls are lost');
CREATE VIEW public.report AS SELECT count(*) FROM billing.account;
SELECT throws_ok('SELECT billing.drop_ledger(with_data => true)', '2BP01', NULL, 'design 2: and leaves users'' objects alone');
DROP VIEW public.report;
SELECT lives_ok('SELECT billing.drop_ledger(with_data => true)', 'design 2: drop_ledger() is the way out');
SELECT is(billing.ledger_version(), NULL, 'design 2: no ledger any more');
SELECT is_empty($$
	SELECT relname FROM pg_class c WHERE relnamespace = 'billing'::regnamespace AND relkind IN ('r', 'p', 'v', 'S', 'm')
		UNION ALL SELECT typname FROM pg_type WHERE typnamespace = 'billing'::regnamespace AND typtype = 'd'
$$, 'design 2: nothing of it stays');

-- A ledger that belongs to no superuser.
CREATE ROLE billing_test_owner;
CREATE ROLE billing_test_loader;
GRANT CREATE, USAGE ON SCHEMA billing TO billing_test_owner;
GRANT USAGE ON SCHEMA billing TO billing_test_loader;
GRANT billing_test_owner, billing_test_loader TO CURRENT_USER;
SET LOCAL ROLE billing_test_owner;
SELECT throws_ok('SELECT billing.create_ledger()', '42501', NULL, 'design 2: create_ledger() is granted');
RESET ROLE;
GRANT EXECUTE ON FUNCTION billing.create_ledger(), billing.upgrade_ledger(), billing.drop_ledger(boolean), billing.correct_rate(bigint, jsonb, text),
	billing.create_partitions(timestamptz, timestamptz, interval) TO billing_test_owner;
SET LOCAL ROLE billing_test_owner;
SELECT lives_ok('SELECT billing.create_ledger()', 'design 2: CREATE and USAGE on the schema and EXECUTE make a ledger');
SELECT lives_ok('SELECT billing.upgrade_ledger()', 'design 2: and upgrade it');
INSERT INTO billing.tariff (id, name, currency) VALUES (1, 't', 'USD');
INSERT INTO billing.rate (id, tariff_id, prefix, price) VALUES (1, 1, '44', 0.02);
SELECT lives_ok($$ SELECT billing.correct_rate(1, '{"price": 0.03}', 'typo') $$, 'design 2: and correct a rate');
SELECT is((SELECT corrected_by FROM billing.rate_correction), session_user::text, 'design 3: the author is who logged in');
RESET ROLE;
SELECT is_empty($$ SELECT relname FROM pg_class WHERE relnamespace = 'billing'::regnamespace AND relkind IN ('r', 'p', 'v', 'S') AND relowner <> 'billing_test_owner'::regrole $$,
	'design 2: all of it belongs to who called');
SELECT lives_ok($$ SELECT billing.create_partitions('2026-01-01', '2026-02-01') $$, 'design 4: a superuser adds a partition');
SELECT is((SELECT relowner::regrole::text FROM pg_class WHERE oid = 'billing.cdr_202601'::regclass), 'billing_test_owner', 'design 4: it belongs to the owner of billing.cdr');

-- Triggers run with the rights of the table's owner, and with no more.
RESET ROLE;
GRANT SELECT, INSERT, UPDATE ON billing.tariff TO billing_test_loader;
SET LOCAL ROLE billing_test_loader;
SELECT lives_ok($$ UPDATE billing.tariff SET connect_fee = 1 WHERE id = 1 $$, 'design 2: who may change a tariff needs no right on its former terms');
SELECT throws_ok($$ SELECT * FROM billing.tariff_terms $$, '42501', NULL, 'design 2: and has none');
SELECT is(current_setting('search_path') LIKE '%pg_temp%', false, 'as_owner() gives the search_path back');
SELECT is(current_user::text, 'billing_test_loader', 'as_owner() gives the user back');
SELECT throws_ok($$ UPDATE billing.tariff SET connect_fee = 2, terms_from = '-infinity' WHERE id = 1 $$, '22023', NULL, 'design 3: an error within');
SELECT is(current_user::text, 'billing_test_loader', 'as_owner() gives the user back after an error too');
RESET ROLE;
CREATE FUNCTION public.spy() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('spy.user', current_user::text, false); RETURN NEW; END $$;
CREATE TRIGGER spy BEFORE INSERT ON billing.tariff_terms FOR EACH ROW EXECUTE FUNCTION public.spy();
UPDATE billing.tariff SET attempt_fee = 1, terms_from = '2100-01-01' WHERE id = 1;
SELECT is(current_setting('spy.user'), 'billing_test_owner', 'design 2: a trigger on former terms has the rights of the ledger''s owner, not of who created the extension');
SET LOCAL ROLE billing_test_owner;
SELECT lives_ok('SELECT billing.drop_ledger()', 'design 2: the owner drops an empty ledger');
RESET ROLE;
SELECT lives_ok('DROP EXTENSION billing', 'design 2: then the extension goes too');

SELECT * FROM finish();
ROLLBACK;
