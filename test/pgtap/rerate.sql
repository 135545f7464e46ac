-- Rating again: billing.rerate() commits, so this file stands in no transaction. P3, P18, K20, readings 38, 40, 41, V7.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS billing CASCADE;
SELECT billing.create_ledger();
SELECT no_plan();

SELECT billing.create_partitions('2026-03-01', '2026-05-01');
INSERT INTO billing.tariff (id, name, currency) VALUES (1, 'sell', 'EUR'), (2, 'buy', 'EUR'), (3, 'other', 'EUR');
INSERT INTO billing.rate (id, tariff_id, prefix, destination, price, import) VALUES
	(11, 1, '44', 'UK', 0.60, 'uk.csv'), (12, 1, '1', 'US', 0.12, 'us.csv'), (21, 2, '44', 'UK', 0.30, NULL), (22, 2, '1', 'US', 0.06, NULL),
	(31, 3, '44', 'UK', 0.90, NULL), (32, 3, '1', 'US', 0.18, NULL);
INSERT INTO billing.account (id, name, currency, tariff_id, is_provider, timezone) VALUES
	(1, 'Acme', 'EUR', 1, false, 'Europe/Vilnius'), (2, 'Beta', 'EUR', 1, false, 'UTC'), (9, 'Carrier', 'EUR', 2, true, 'UTC');
INSERT INTO billing.service (account_id, side, kind, identifier) VALUES
	(1, 'customer', 'auth_code', 'acme'), (2, 'customer', 'auth_code', 'beta'), (9, 'provider', 'auth_code', 'carrier');
-- A minute each: 0.60 for the UK, 0.12 for the US; the carrier is paid half of that.
INSERT INTO billing.cdr (source, call_id, started_at, answered_at, billsec, callee, auth_code, provider_code) VALUES
	('a', 'uk1', '2026-03-10 10:00+00', '2026-03-10 10:00+00', 60, '442079460001', 'acme', 'carrier'),
	('a', 'uk2', '2026-04-10 10:00+00', '2026-04-10 10:00+00', 60, '442079460002', 'beta', 'carrier'),
	('b', 'us1', '2026-03-11 10:00+00', '2026-03-11 10:00+00', 60, '12025550101', 'acme', 'carrier'),
	('b', 'us2', '2026-04-11 10:00+00', '2026-04-11 10:00+00', 60, '12025550102', 'beta', 'carrier'),
	('b', 'fr1', '2026-04-12 10:00+00', '2026-04-12 10:00+00', 60, '33140000000', 'beta', 'carrier');

CREATE TEMP TABLE image (call_id text, place text, call jsonb);
CREATE FUNCTION pg_temp.take() RETURNS void LANGUAGE sql AS $$
	DELETE FROM image;
	INSERT INTO image SELECT c.call_id, format('%s %s %s', c.tableoid, c.ctid, c.xmin), to_jsonb(c) FROM billing.cdr c;
$$;
-- Calls that were written to, and columns of them that are others now.
CREATE FUNCTION pg_temp.touched() RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(i.call_id, ' ' ORDER BY i.call_id) FROM image i JOIN billing.cdr c USING (call_id) WHERE i.place <> format('%s %s %s', c.tableoid, c.ctid, c.xmin);
$$;
CREATE FUNCTION pg_temp.columns(call_id text) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(e.key, ' ' ORDER BY e.key)
	FROM image i JOIN billing.cdr c USING (call_id) CROSS JOIN LATERAL jsonb_each(to_jsonb(c)) e
	WHERE i.call_id = $1 AND i.call -> e.key IS DISTINCT FROM e.value;
$$;
CREATE FUNCTION pg_temp.run() RETURNS TABLE (state text, seen bigint, changed bigint, skipped_closed bigint) LANGUAGE sql AS $$
	SELECT p.state, p.seen, p.changed, p.skipped_closed FROM billing.rerate_progress p ORDER BY p.run_id DESC LIMIT 1;
$$;
-- Promise 3, leg by leg.
CREATE FUNCTION pg_temp.wrong_totals() RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FROM (
		SELECT v.leg, v.account_id, sum(v.amount) AS amount, count(*) AS calls
		FROM billing.cdr c CROSS JOIN LATERAL (VALUES ('customer', c.customer_account_id, c.customer_amount), ('provider', c.provider_account_id, c.provider_amount)) v(leg, account_id, amount)
		WHERE v.account_id IS NOT NULL OR v.amount IS NOT NULL GROUP BY 1, 2) r
		FULL JOIN (SELECT u.leg, u.account_id, sum(u.amount) AS amount, sum(u.calls) AS calls FROM billing.usage u GROUP BY 1, 2 HAVING sum(u.calls) <> 0) u
			ON u.leg = r.leg AND u.account_id IS NOT DISTINCT FROM r.account_id
	WHERE (coalesce(u.amount, 0), u.calls) IS DISTINCT FROM (coalesce(r.amount, 0), r.calls);
$$;

-- Nothing to do.
SELECT pg_temp.take();
CALL billing.rerate('2026-01-01', '2027-01-01');
SELECT results_eq('SELECT * FROM pg_temp.run()', $$VALUES ('done', 5::bigint, 0::bigint, 0::bigint)$$, 'P18: a run over calls that are priced as the catalogue says changes none');
SELECT is(pg_temp.touched(), NULL, 'P18: and writes to none: every row is where it was, of the transaction that it was');
SELECT is((SELECT count(*) FROM billing.rating_revision), 0::bigint, 'and there is nothing to revise');

-- P3: both sides' prices were wrong; only the provider's is rated again.
SELECT billing.correct_rate(11, '{"price": 0.66}', 'typo'), billing.correct_rate(21, '{"price": 0.33}', 'typo');
SELECT pg_temp.take();
CALL billing.rerate('2026-01-01', '2027-01-01', legs => '{provider}', reason => 'the carrier''s list was wrong', batch => 2);
SELECT results_eq('SELECT * FROM pg_temp.run()', $$VALUES ('done', 5::bigint, 2::bigint, 0::bigint)$$, 'P3: the provider''s re-rating changes the two calls to the UK, in batches of two');
SELECT is(pg_temp.touched(), 'uk1 uk2', 'P3: and touches no other');
SELECT is(pg_temp.columns('uk1'), 'provider_amount rated_at', 'P3: the customer''s side stays byte for byte');
SELECT results_eq('SELECT customer_amount, provider_amount FROM billing.cdr WHERE callee ~ ''^44'' ORDER BY call_id',
	-- 0.33 * 60 / 60, paid
	$$VALUES (0.60::numeric, -0.33::numeric), (0.60, -0.33)$$, 'P3: the provider''s amounts follow the list, the customer''s do not');
SELECT results_eq($$SELECT v.leg, v.old_rate_id, v.new_rate_id, v.old_billsec, v.new_billsec, v.old_amount, v.new_amount, v.old_account_id, v.new_account_id, v.reason, v.run_id = p.run_id, v.at = c.rated_at
	FROM billing.rating_revision v JOIN billing.cdr c ON c.id = v.cdr_id AND c.started_at = v.started_at CROSS JOIN (SELECT max(run_id) AS run_id FROM billing.rerate_progress) p ORDER BY c.call_id$$,
	$$VALUES ('provider', 21::bigint, 21::bigint, 60, 60, -0.30::numeric, -0.33::numeric, 9::bigint, 9::bigint, 'the carrier''s list was wrong', true, true),
		('provider', 21, 21, 60, 60, -0.30, -0.33, 9, 9, 'the carrier''s list was wrong', true, true)$$,
	'reading 41: what changed is kept with old and new, run and reason');
SELECT is(pg_temp.wrong_totals(), 0::bigint, 'promise 3: totals equal rows');
SELECT throws_ok('UPDATE billing.rating_revision SET new_amount = 0', '23001', NULL, 'reading 41: revisions do not change');
SELECT throws_ok('DELETE FROM billing.rating_revision', '23001', NULL, 'nor go');
SELECT throws_ok('TRUNCATE billing.rating_revision', '23001', NULL, 'one by one or all at once');

-- P18: idempotent.
SELECT pg_temp.take();
CALL billing.rerate('2026-01-01', '2027-01-01', legs => '{provider}');
SELECT results_eq('SELECT state, changed FROM pg_temp.run()', $$VALUES ('done', 0::bigint)$$, 'P18: running it twice changes nothing the second time');
SELECT is(pg_temp.touched(), NULL, 'P18: nor writes anything');

-- K20: old, new, difference; nothing is saved.
SELECT results_eq($$SELECT account_id, leg, calls, old_amount, new_amount, difference, currency FROM billing.rerate_preview('2026-01-01', '2027-01-01')$$,
	$$VALUES (1::bigint, 'customer', 1::bigint, 0.60::numeric, 0.66::numeric, 0.06::numeric, 'EUR'), (2, 'customer', 1, 0.60, 0.66, 0.06, 'EUR')$$,
	'K20: the preview shows old, new and difference per account and leg');
SELECT results_eq($$SELECT account_id, calls FROM billing.rerate_preview('2026-01-01', '2027-01-01', account_id => 2)$$, $$VALUES (2::bigint, 1::bigint)$$, 'K20: of one account');
SELECT is((SELECT count(*) FROM billing.rerate_preview('2026-01-01', '2027-01-01', legs => '{provider,reseller}')), 0::bigint, 'K20: of some legs');
CALL billing.rerate('2026-01-01', '2027-01-01', dry_run => true);
SELECT results_eq('SELECT * FROM pg_temp.run()', $$VALUES ('done', 5::bigint, 2::bigint, 0::bigint)$$, 'K20: a dry run counts what would change');
SELECT is(pg_temp.touched(), NULL, 'K20: and changes nothing');
SELECT is((SELECT count(*) FROM billing.rating_revision), 2::bigint, 'K20: nor says that anything was changed');
-- Any tariff, tried in a transaction: a minute to the UK at 0.90, to the US at 0.18.
BEGIN;
UPDATE billing.account SET tariff_id = 3, terms_from = '2026-01-01' WHERE id = 2;
SELECT string_agg(format('%s %s %s %s', calls, trim_scale(old_amount), trim_scale(new_amount), trim_scale(difference)), ', ') AS tried
FROM billing.rerate_preview('2026-01-01', '2027-01-01', 2) \gset
ROLLBACK;
SELECT is(:'tried'::text, '2 0.72 1.08 0.36', 'K20: testing mode with any tariff: 0.60 + 0.12 would be 0.90 + 0.18');

-- Filters.
CALL billing.rerate('2026-01-01', '2027-01-01', account_id => 2);
SELECT results_eq($$SELECT call_id, customer_amount FROM billing.cdr WHERE callee ~ '^44' ORDER BY 1$$, $$VALUES ('uk1', 0.60::numeric), ('uk2', 0.66)$$, 'P18: re-rating of one account');
CALL billing.rerate('2026-01-01', '2027-01-01', source => 'b');
SELECT results_eq('SELECT seen, changed FROM pg_temp.run()', $$VALUES (3::bigint, 0::bigint)$$, 'P18: of one source');
CALL billing.rerate('2026-01-01', '2027-01-01', tariff_id => 2);
SELECT results_eq('SELECT seen, changed FROM pg_temp.run()', $$VALUES (5::bigint, 1::bigint)$$, 'P18: of one tariff: a leg that does not change counts as well, for the provider''s is priced by it');
SELECT billing.correct_rate(11, '{"price": 0.72}', 'typo'), billing.correct_rate(12, '{"price": 0.24}', 'typo');
CALL billing.rerate('2026-01-01', '2027-01-01', tariff_id => 3);
SELECT results_eq('SELECT changed FROM pg_temp.run()', $$VALUES (0::bigint)$$, 'P18: and not of others');
CALL billing.rerate('2026-01-01', '2027-01-01', import => 'us.csv');
SELECT results_eq($$SELECT call_id, customer_amount FROM billing.cdr WHERE customer_amount IS NOT NULL ORDER BY 1$$,
	$$VALUES ('uk1', 0.66::numeric), ('uk2', 0.66), ('us1', 0.24), ('us2', 0.24)$$, 'P18: of one import of rates');
CALL billing.rerate('2026-04-01', '2026-04-11');
SELECT results_eq($$SELECT call_id, customer_amount FROM billing.cdr WHERE callee ~ '^44' ORDER BY 1$$, $$VALUES ('uk1', 0.66::numeric), ('uk2', 0.72)$$, 'P18: of one period');

-- Reading 40, 41: the rates in force at the call; a call without a rate has no amount.
INSERT INTO billing.rate (id, tariff_id, prefix, price, valid_from) VALUES (13, 1, '44', 9, now()), (14, 1, '33', 0.18, '2026-01-01');
CALL billing.rerate('2026-01-01', '2027-01-01', status => 'unrated', legs => '{customer}');
SELECT results_eq('SELECT seen, changed FROM pg_temp.run()', $$VALUES (1::bigint, 1::bigint)$$, 'reading 40: unrated calls are rated when there is a rate');
SELECT results_eq($$SELECT status, customer_rate_id, customer_amount, customer_reason, provider_reason FROM billing.cdr WHERE call_id = 'fr1'$$,
	$$VALUES ('partial', 14::bigint, 0.18::numeric, NULL, 'no_rate')$$, 'P3: by the legs that are named, and status counts the mixture');
CALL billing.rerate('2026-01-01', '2027-01-01');
SELECT is((SELECT customer_amount FROM billing.cdr WHERE call_id = 'uk2'), 0.72, 'reading 41: never by today''s rate');
INSERT INTO billing.rate (tariff_id, prefix, price, valid_from, withdrawn) VALUES (1, '33', 0, '2026-02-01', true);
CALL billing.rerate('2026-01-01', '2027-01-01');
SELECT results_eq($$SELECT status, customer_rate_id, customer_amount, customer_reason FROM billing.cdr WHERE call_id = 'fr1'$$,
	$$VALUES ('unrated', NULL::bigint, NULL::numeric, 'no_rate')$$, 'reading 40: a call whose rate is withdrawn has no amount, never 0');
SELECT results_eq($$SELECT old_amount, new_amount, old_reason, new_reason, old_status, new_status FROM billing.rating_revision ORDER BY id DESC LIMIT 1$$,
	$$VALUES (0.18::numeric, NULL::numeric, NULL, 'no_rate', 'partial', 'unrated')$$, 'reading 41: which is kept too');
SELECT is(pg_temp.wrong_totals(), 0::bigint, 'promise 3: totals equal rows');

-- A row that came with its prices is rated like any other, and another account gets it.
INSERT INTO billing.cdr (call_id, started_at, billsec, callee, auth_code, provider_code, customer_account_id, customer_amount, customer_billsec, status, rated_at)
VALUES ('old', '2026-03-20 10:00+00', 60, '12025550103', 'acme', 'carrier', 2, 5, 60, 'rated', '2026-03-21');
SELECT results_eq($$SELECT account_id, leg, calls, old_amount, new_amount, difference FROM billing.rerate_preview('2026-01-01', '2027-01-01', legs => '{customer}')$$,
	$$VALUES (1::bigint, 'customer', 1::bigint, 0::numeric, 0.24::numeric, 0.24::numeric), (2, 'customer', 1, 5, 0, -5)$$,
	'K20: a call that would move to another account counts with the old amount there and the new one here');
CALL billing.rerate('2026-01-01', '2027-01-01', account_id => 1, legs => '{customer}');
SELECT results_eq($$SELECT customer_account_id, customer_amount, provider_amount FROM billing.cdr WHERE call_id = 'old'$$,
	$$VALUES (1::bigint, 0.24::numeric, NULL::numeric)$$, 'a row that arrived rated is rated again, leg by leg');
SELECT is(pg_temp.wrong_totals(), 0::bigint, 'promise 3: the charge has moved from one account to the other');

-- Stop and go on.
SELECT billing.correct_rate(12, '{"price": 0.30}', 'typo');
CREATE FUNCTION pg_temp.stop() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM billing.stop_rerate((SELECT max(run_id) FROM billing.rerate_progress)); RETURN NULL; END $$;
CREATE TRIGGER stop AFTER UPDATE ON billing.cdr FOR EACH ROW EXECUTE FUNCTION pg_temp.stop();
CALL billing.rerate('2026-01-01', '2027-01-01', legs => '{customer}', batch => 1, reason => 'stopped');
DROP TRIGGER stop ON billing.cdr;
SELECT results_eq('SELECT * FROM pg_temp.run()', $$VALUES ('stopped', 2::bigint, 1::bigint, 0::bigint)$$, 'a run that is told to stop ends after its batch');
SELECT results_eq($$SELECT call_id, customer_amount FROM billing.cdr WHERE callee ~ '^1' ORDER BY started_at$$,
	$$VALUES ('us1', 0.30::numeric), ('old', 0.24), ('us2', 0.24)$$, 'in the order of time');
SELECT is(billing.stop_rerate((SELECT max(run_id) FROM billing.rerate_progress)), false, 'what does not run cannot be stopped');
-- As a killed one leaves it.
UPDATE billing.rerate_progress SET state = 'running' WHERE state = 'stopped';
SELECT set_config('test.run', max(run_id)::text, false) FROM billing.rerate_progress;
SELECT pg_temp.take();
SELECT format('CALL billing.rerate(resume => %s)', current_setting('test.run')) \gexec
SELECT results_eq('SELECT * FROM pg_temp.run()', $$VALUES ('done', 6::bigint, 3::bigint, 0::bigint)$$, 'and goes on from there with the arguments that it had');
SELECT is(pg_temp.touched(), 'old us2', 'with what it has not done');
SELECT is((SELECT count(*) FROM billing.rating_revision WHERE run_id = current_setting('test.run')::bigint AND reason = 'stopped'), 3::bigint, 'each call once');
SELECT is((SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())), 0::bigint, 'no lock is left');

-- Closed periods. 22:30 on the last of March in Vilnius is 19:30 UTC; 2026-03-31 21:30 UTC is April there.
INSERT INTO billing.cdr (call_id, started_at, answered_at, billsec, callee, auth_code) VALUES
	('march', '2026-03-31 19:30+00', '2026-03-31 20:30+00', 60, '442079460001', 'acme'),
	('april', '2026-03-31 19:30+00', '2026-03-31 21:30+00', 60, '442079460001', 'acme');
SELECT is(billing.close_period(1, '2026-04-01'), '2026-04-01'::date, 'a period is closed');
SELECT is(billing.close_period(1, '2026-04-01'), '2026-04-01'::date, 'twice is once');
SELECT is((SELECT count(*) FROM billing.period_close), 1::bigint, 'in the history too');
SELECT is(billing._closed_until(1), '2026-04-01'::date, 'reading 41: until the day that was given');
SELECT is(billing._closed_until(2), NULL, 'and no other account');
SELECT billing.correct_rate(11, '{"price": 1.20}', 'typo');
SELECT results_eq($$SELECT account_id, calls FROM billing.rerate_preview('2026-01-01', '2027-01-01', legs => '{customer}')$$,
	$$VALUES (1::bigint, 1::bigint), (2, 1)$$, 'K20: the preview leaves closed calls out, as the run does');
CALL billing.rerate('2026-01-01', '2027-01-01', legs => '{customer}');
SELECT results_eq('SELECT changed, skipped_closed FROM pg_temp.run()', $$VALUES (2::bigint, 2::bigint)$$, 'reading 41: calls of a closed period are skipped and counted');
SELECT results_eq($$SELECT call_id, customer_amount FROM billing.cdr WHERE callee ~ '^44' ORDER BY 1$$,
	$$VALUES ('april', 1.20::numeric), ('march', 0.72), ('uk1', 0.72), ('uk2', 1.20)$$, 'reading 41: by the day of the answer in the account''s time zone');
CALL billing.rerate('2026-01-01', '2027-01-01', legs => '{provider}');
SELECT results_eq('SELECT changed, skipped_closed FROM pg_temp.run()', $$VALUES (1::bigint, 0::bigint)$$, 'P3: what changes nothing of the closed account is not held up by it');
CALL billing.rerate('2026-01-01', '2027-01-01', legs => '{customer}', allow_closed => true);
SELECT results_eq('SELECT changed, skipped_closed FROM pg_temp.run()', $$VALUES (2::bigint, 0::bigint)$$, 'reading 41: unless that is allowed');
SELECT throws_ok($$SELECT billing.close_period(1, '2026-03-01')$$, '22023', NULL, 'a closed period does not open by closing less');
SELECT throws_ok($$SELECT billing.close_period(1, current_date + 2)$$, '22023', NULL, 'the future cannot be closed');
SELECT throws_ok($$SELECT billing.close_period(1, NULL)$$, '22023', NULL, 'nor everything');
SELECT throws_ok($$SELECT billing.close_period(77, '2026-03-01')$$, 'P0002', NULL, 'nor for nobody');
SELECT throws_ok($$SELECT billing.reopen_period(1, '2026-03-01', ' ')$$, '22023', NULL, 'reopening needs a reason');
SELECT throws_ok($$SELECT billing.reopen_period(1, '2026-05-01', 'so')$$, '22023', NULL, 'and does not close');
SELECT is(billing.reopen_period(1, '2026-03-01', 'a price list came late'), '2026-03-01'::date, 'a period can be reopened');
SELECT results_eq('SELECT closed_until, reason, closed_by = session_user FROM billing.period_close ORDER BY id',
	$$VALUES ('2026-04-01'::date, NULL, true), ('2026-03-01', 'a price list came late', true)$$, 'which is recorded');
SELECT is(billing.reopen_period(1, NULL, 'all of it'), NULL, 'wholly too');
SELECT is(billing._closed_until(1), NULL, 'then nothing is closed');
SELECT throws_ok('DELETE FROM billing.period_close', '23001', NULL, 'the history stays');

-- V7: a provider's list alone makes no customer price.
SELECT is((SELECT count(*) FROM billing.cdr WHERE call_id = 'april' AND provider_amount IS NULL AND provider_account_id IS NULL), 1::bigint, 'V7: a side that is not expected stays null');

-- Arguments.
SELECT throws_ok($$CALL billing.rerate('2026-01-01', '2027-01-01', legs => '{owner}')$$, '22023', '"owner" is no leg of a call', 'an unknown leg');
SELECT throws_ok($$CALL billing.rerate('2026-01-01', '2027-01-01', legs => '{}')$$, '22023', NULL, 'no leg');
SELECT throws_ok($$CALL billing.rerate('2026-01-01', '2027-01-01', batch => 0)$$, '22023', NULL, 'no batch');
SELECT throws_ok($$CALL billing.rerate('2026-01-01', '2027-01-01', reason => '')$$, '22023', NULL, 'no reason');
SELECT throws_ok($$CALL billing.rerate()$$, '22023', NULL, 'no period');
SELECT throws_ok($$CALL billing.rerate(resume => 4711)$$, 'P0002', NULL, 'no such run');
SELECT throws_ok(format('CALL billing.rerate(resume => %s)', current_setting('test.run')), '55000', NULL, 'a run that is done');
SELECT throws_ok(format('CALL billing.rerate(resume => %s, source => ''a'')', current_setting('test.run')), '22023', NULL, 'a run with other arguments');
BEGIN;
SELECT throws_ok($$CALL billing.rerate('2026-01-01', '2027-01-01')$$, '25001', 'billing.rerate() cannot run inside a transaction block', 'in a transaction it says what to do instead');
COMMIT;

-- Under another default, with a hostile search_path, and without anything to do.
SELECT billing.correct_rate(11, '{"price": 1.80}', 'typo');
SET default_transaction_isolation = 'repeatable read';
CREATE SCHEMA trap;
CREATE FUNCTION trap.eq(bigint, bigint) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$;
CREATE OPERATOR trap.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = trap.eq);
SET search_path = trap, public, pg_catalog;
CALL billing.rerate('2026-01-01', '2027-01-01', batch => 1);
RESET search_path;
RESET default_transaction_isolation;
SELECT results_eq('SELECT state, seen, changed FROM pg_temp.run()', $$VALUES ('done', 8::bigint, 4::bigint)$$, 'a default of REPEATABLE READ and operators of others do not disturb it');
CALL billing.rerate('2030-01-01', '2030-02-01');
SELECT results_eq('SELECT * FROM pg_temp.run()', $$VALUES ('done', 0::bigint, 0::bigint, 0::bigint)$$, 'a period without calls is done at once');
SELECT is(pg_temp.wrong_totals(), 0::bigint, 'promise 3: totals equal rows');
SELECT is((SELECT count(*) FROM billing.credit_queue), 0::bigint, 'credits are settled');
SELECT is((SELECT count(*) FROM billing.stale('-infinity', 'infinity')), 0::bigint, 'nothing is stale any more');

SELECT * FROM finish();
