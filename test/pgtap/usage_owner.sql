-- A ledger of somebody who is no superuser: accounting runs with the rights of its owner, whoever loads calls (design 2).
BEGIN;
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS billing CASCADE;
SELECT no_plan();
CREATE ROLE billing_test_owner;
CREATE ROLE billing_test_loader;
CREATE ROLE billing_test_clerk;
GRANT USAGE, CREATE ON SCHEMA billing TO billing_test_owner;
GRANT USAGE ON SCHEMA billing TO billing_test_loader, billing_test_clerk;
DO $$
DECLARE
	name text;
BEGIN
	FOR name IN SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = 'billing'::regnamespace AND p.proname = ANY (ARRAY['create_ledger', 'create_partitions', 'rebuild_usage',
		'compact_usage', 'change_timezone', 'change_cost_center', 'rename_destination', 'adopt_partition', 'settle_credits', 'verify', 'rate_call', 'match_rate']) LOOP
		EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO billing_test_owner', name);
	END LOOP;
END $$;
SET ROLE billing_test_owner;
SELECT billing.create_ledger();
GRANT INSERT ON billing.cdr TO billing_test_loader;
GRANT SELECT, INSERT, UPDATE ON billing.account, billing.service, billing.rate TO billing_test_clerk;
INSERT INTO billing.tariff (id, name, currency) VALUES (1, 'retail', 'EUR');
INSERT INTO billing.rate (id, tariff_id, prefix, destination, price) VALUES (1, 1, '49', 'Germany', 0.6);
INSERT INTO billing.account (id, name, currency, tariff_id) VALUES (1, 'one', 'EUR', 1);
INSERT INTO billing.service (id, account_id, kind, identifier, cost_center) VALUES (1, 1, 'extension', '100', 'lab');

SET ROLE billing_test_loader;
SELECT lives_ok($$ INSERT INTO billing.cdr (call_id, started_at, billsec, caller, callee) VALUES ('a', '2026-01-10 23:30Z', 60, '100', '4930') $$, 'design 2: INSERT on billing.cdr is all that a loader needs');
SELECT lives_ok($$ INSERT INTO billing.cdr (call_id, started_at, rated_at, status, billsec, customer_account_id, customer_service_id, customer_rate_id, customer_amount) VALUES ('b', '2026-01-10 23:30Z', now(), 'rated', 60, 7, 8, 9, 2) $$, 'design 6: also for names that are not there yet');
SET ROLE billing_test_owner;
SELECT results_eq('SELECT account_id, amount FROM billing.usage ORDER BY 1', $$ VALUES (1::bigint, 0.60), (7, 2.00) $$, 'P3: its calls are counted');

SET ROLE billing_test_clerk;
SELECT lives_ok($$ INSERT INTO billing.account (id, name, currency, timezone) VALUES (7, 'seven', 'EUR', 'Europe/Berlin') $$, 'design 6: a clerk brings an account that calls name');
SELECT lives_ok($$ INSERT INTO billing.service (id, account_id, kind, identifier, cost_center) VALUES (8, 7, 'extension', '700', 'east') $$, 'design 6: a service');
SELECT lives_ok($$ INSERT INTO billing.rate (id, tariff_id, prefix, destination) VALUES (9, 1, '81', 'Japan') $$, 'design 6: a rate');
SELECT throws_ok('SELECT billing.rebuild_usage()', '42501', NULL, 'design 2: but does not rebuild');
SELECT throws_ok('SELECT billing._rebuild_usage(NULL)', '42501', NULL, 'design 2: by whatever function');
SET ROLE billing_test_owner;
SELECT results_eq('SELECT day, cost_center, destination, amount FROM billing.usage WHERE account_id = 7', $$ VALUES ('2026-01-11'::date, 'east', 'Japan', 2.00) $$, 'design 6: its calls are counted anew');
SELECT cmp_ok(billing.compact_usage(), '>', 0::bigint, 'design 6: the owner folds');
SELECT lives_ok($$ SELECT billing.change_timezone(1, 'Europe/Berlin') $$, 'design 3: changes a time zone');
SELECT lives_ok($$ SELECT billing.change_cost_center(1, 'attic') $$, 'D15: a cost centre');
SELECT lives_ok($$ SELECT billing.rename_destination(1, 'Germany', 'Allemagne') $$, 'design 6: a destination');
SELECT results_eq('SELECT day, cost_center, destination, amount FROM billing.usage WHERE account_id = 1', $$ VALUES ('2026-01-11'::date, 'attic', 'Allemagne', 0.60) $$, 'design 6: and the calls go along');
SELECT is(billing.create_partitions('2026-01-01Z', '2026-02-01Z'), 1, 'design 4: makes partitions');
CREATE TABLE billing.by_hand PARTITION OF billing.cdr FOR VALUES FROM ('2026-03-01Z') TO ('2026-04-01Z');
SELECT is(billing.adopt_partition('billing.by_hand'), 0::bigint, 'design 4: adopts');
SELECT is(billing.rebuild_usage(), 2::bigint, 'design 6: rebuilds');
SELECT is(billing.settle_credits(), 0::bigint, 'design 6: settles');
SELECT is_empty('SELECT * FROM billing.verify()', 'issue 4.9: and verifies, with no right but those of an owner');
SET ROLE billing_test_loader;
SELECT throws_ok('SELECT * FROM billing.verify()', '42501', NULL, 'design 2: which is nobody else''s');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
