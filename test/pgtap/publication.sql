-- A ledger may be published as a whole (design 9): no table of it refuses changes because its rows cannot be identified.
BEGIN;
SET client_min_messages = error;	-- wal_level may be too low to publish anything
SET timezone = 'UTC';
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS billing CASCADE;
SELECT billing.create_ledger();
SELECT no_plan();

SELECT is_empty($$
	SELECT c.relname FROM pg_class c
	WHERE c.relnamespace = 'billing'::regnamespace AND c.relkind IN ('r', 'p') AND c.relreplident = 'd' AND c.relname <> 'catalogue_signal'
		AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)$$, 'design 9: a subscriber can tell the rows of each table');

CREATE PUBLICATION billing_everything FOR ALL TABLES;
SELECT billing.create_partitions('2026-03-01', '2026-04-01');
INSERT INTO billing.tariff (id, name, currency) VALUES (1, 'retail', 'EUR');
INSERT INTO billing.rate (tariff_id, prefix, price) VALUES (1, '49', 0.6);
INSERT INTO billing.plan (id, name) VALUES (1, 'minutes'), (2, 'none');
INSERT INTO billing.allowance (id, plan_id, name, seconds) VALUES (1, 1, 'all', 600);
INSERT INTO billing.allowance_prefix (allowance_id, prefix, included) VALUES (1, '', true);
INSERT INTO billing.account (id, name, currency, tariff_id, plan_id) VALUES (1, 'berlin', 'EUR', 1, 1);
INSERT INTO billing.service (id, account_id, kind, identifier) VALUES (1, 1, 'extension', '100');
CREATE FUNCTION pg_temp.call(call_id text) RETURNS void LANGUAGE sql AS $$
	INSERT INTO billing.cdr (call_id, started_at, billsec, caller, callee) VALUES (call_id, '2026-03-02', 60, '100', '4930')
$$;
SELECT lives_ok($$SELECT pg_temp.call('a'), billing.settle_credits(), billing.compact_usage()$$, 'design 9: calls are counted, settled and folded');
SELECT lives_ok($$SELECT pg_temp.call('b'), billing.settle_credits(), billing.compact_usage(), billing.rebuild_usage()$$, 'design 9: again');
SELECT lives_ok($$DELETE FROM billing.cdr WHERE call_id = 'b'$$, 'design 9: a call goes');
SELECT lives_ok($$SELECT FROM billing.archive('2026-04-01')$$, 'design 9: a partition leaves');
SELECT lives_ok($$SELECT billing.unarchive('billing.cdr_202603')$$, 'design 9: and comes back');
SELECT lives_ok($$DELETE FROM billing.cdr; SELECT billing.settle_credits()$$, 'design 9: all go');
SELECT is_empty('SELECT * FROM billing.verify()', 'P3: verify() agrees');

SELECT * FROM finish();
ROLLBACK;
