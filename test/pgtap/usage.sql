-- billing.usage is the sum of the calls, whatever was done to them (promise 3, design 6). Sums by hand.
BEGIN;
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS billing CASCADE;
SELECT billing.create_ledger();
SELECT no_plan();
SET timezone = 'Asia/Tokyo';

-- A call of n seconds: retail n / 100, the reseller's n / 200, the provider is paid n / 400, all in EUR; nobody in USD n / 50.
INSERT INTO billing.tariff (id, name, currency, is_default_customer) VALUES
	(1, 'retail', 'EUR', false), (2, 'reseller', 'EUR', false), (3, 'wholesale', 'EUR', false), (4, 'default', 'USD', true);
INSERT INTO billing.rate (id, tariff_id, prefix, destination, price) VALUES
	(1, 1, '49', 'Germany', 0.6), (2, 1, '4917', 'Germany mobile', 1.2), (3, 1, '33', NULL, 0.6), (4, 2, '49', 'Germany', 0.3),
	(5, 3, '49', 'DE', 0.15), (6, 4, '', 'World', 1.2);
INSERT INTO billing.account (id, name, currency, tariff_id, timezone, is_provider, parent_id) VALUES
	(1, 'berlin', 'EUR', 1, 'Europe/Berlin', false, NULL), (2, 'shop', 'EUR', 2, 'UTC', false, NULL), (3, 'booth', 'EUR', 1, 'America/New_York', false, 2),
	(4, 'carrier', 'EUR', 3, 'UTC', true, NULL), (5, 'kiritimati', 'EUR', 1, 'Pacific/Kiritimati', false, NULL);
INSERT INTO billing.service (id, account_id, side, kind, identifier, cost_center) VALUES
	(1, 1, 'customer', 'extension', '100', 'lab'), (2, 1, 'customer', 'extension', '101', 'office'), (3, 1, 'customer', 'extension', '102', NULL),
	(4, 3, 'customer', 'extension', '300', 'booth 4'), (5, 4, 'provider', 'trunk', 'out', 'Frankfurt'), (6, 5, 'customer', 'extension', '500', NULL);

CREATE FUNCTION pg_temp.call(call_id text, started_at timestamptz, billsec numeric, caller text DEFAULT '100', callee text DEFAULT '4930', dst_trunk text DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
	INSERT INTO billing.cdr (call_id, started_at, answered_at, billsec, caller, callee, dst_trunk)
	VALUES (call_id, started_at, CASE WHEN billsec > 0 THEN started_at END, billsec, caller, callee, dst_trunk)
$$;
-- By key, over slots and parts; what adds up to nothing is not there.
CREATE VIEW pg_temp.total AS
	SELECT u.account_id, u.leg, u.day, u.cost_center, u.destination, u.currency, sum(u.calls)::bigint AS calls, sum(u.answered)::bigint AS answered,
		sum(u.seconds) AS seconds, sum(u.billsec)::bigint AS billsec, sum(u.amount) AS amount, sum(u.credit) AS credit
	FROM billing.usage u GROUP BY 1, 2, 3, 4, 5, 6 HAVING (sum(u.calls), sum(u.amount), sum(u.credit)) <> (0, 0, 0);
-- What verify() finds; the notices of credits that wait aside.
CREATE FUNCTION pg_temp.wrong() RETURNS SETOF text LANGUAGE sql AS $$ SELECT format('%s %s %s %s: %s not %s (%s)', v.check, v.account_id, v.leg, v.day, v.actual, v.expected, v.detail) FROM billing.verify() v $$;

-- INSERT.
SELECT is_empty('TABLE billing.usage', 'P3: no calls, no usage');
SELECT pg_temp.call('a1', '2026-01-10 12:00Z', 60), pg_temp.call('a2', '2026-01-10 13:00Z', 30), pg_temp.call('a3', '2026-01-10 13:00Z', 0),
	pg_temp.call('b1', '2026-01-10 13:00Z', 10, '101'), pg_temp.call('c1', '2026-01-10 13:00Z', 20, '102'), pg_temp.call('d1', '2026-01-10 13:00Z', 30, '100', '49170'),
	pg_temp.call('e1', '2026-01-10 13:00Z', 10, '100', '330'), pg_temp.call('f1', '2026-01-10 13:00Z', 10, '100', '1212');
PREPARE first_day AS VALUES
	(1::bigint, 'customer', '2026-01-10'::date, 'lab', 'Germany', 'EUR', 3::bigint, 2::bigint, 90::numeric, 90::bigint, 0.90, 0::numeric),
	(1, 'customer', '2026-01-10', 'office', 'Germany', 'EUR', 1, 1, 10, 10, 0.10, 0),
	(1, 'customer', '2026-01-10', '', 'Germany', 'EUR', 1, 1, 20, 20, 0.20, 0),
	(1, 'customer', '2026-01-10', 'lab', 'Germany mobile', 'EUR', 1, 1, 30, 30, 0.60, 0),
	-- A rate without destination, and a number without rate: it has an account, so it counts, at nothing.
	(1, 'customer', '2026-01-10', 'lab', '', 'EUR', 2, 2, 20, 10, 0.10, 0);
SELECT bag_eq('TABLE pg_temp.total', 'EXECUTE first_day', 'P3, D15: INSERT by account, leg, day, cost centre and destination');

-- The legs of one call: 100 seconds; the booth's day is that of New York, where it was 19:30 of the day before.
SELECT pg_temp.call('legs', '2026-02-01 00:30Z', 100, '300', '4930', 'out');
SELECT bag_eq($$ SELECT account_id, leg, day, cost_center, destination, calls, amount FROM pg_temp.total WHERE day BETWEEN '2026-01-31' AND '2026-02-01' $$, $$ VALUES
	(3::bigint, 'customer', '2026-01-31'::date, 'booth 4', 'Germany', 1::bigint, 1.00), (2, 'reseller', '2026-02-01', '', 'Germany', 1, 0.50),
	(4, 'provider', '2026-02-01', 'Frankfurt', 'DE', 1, -0.25) $$, 'P3, C9: each leg in its account''s day and cost centre, the provider''s below zero');

-- Without account (V13): USD of the default tariff, days of UTC whatever the session's zone.
SELECT pg_temp.call('nobody', '2026-02-05 23:30Z', 50, '999', '861');
SELECT results_eq($$ SELECT leg, day, cost_center, destination, currency, amount FROM pg_temp.total WHERE account_id IS NULL $$,
	$$ VALUES ('customer', '2026-02-05'::date, '', 'World', 'USD', 1.00) $$, 'P3, V13: a leg without account');

-- Days. Berlin: a day of 23 hours (29 March 2026) and one of 25 (25 October); Kiritimati is 14 hours ahead.
SELECT pg_temp.call('s1', '2026-03-28 22:59:59.999999Z', 1), pg_temp.call('s2', '2026-03-28 23:00Z', 2), pg_temp.call('s3', '2026-03-29 21:59:59Z', 4), pg_temp.call('s4', '2026-03-29 22:00Z', 8),
	pg_temp.call('w1', '2026-10-24 21:59:59Z', 1), pg_temp.call('w2', '2026-10-24 22:00Z', 2), pg_temp.call('w3', '2026-10-25 22:59:59Z', 4), pg_temp.call('w4', '2026-10-25 23:00Z', 8),
	pg_temp.call('k', '2026-05-31 10:00Z', 16, '500');
SELECT results_eq($$ SELECT day, billsec FROM pg_temp.total WHERE day BETWEEN '2026-03-28' AND '2026-03-30' ORDER BY 1 $$,
	$$ VALUES ('2026-03-28'::date, 1::bigint), ('2026-03-29', 6), ('2026-03-30', 8) $$, 'P3: the day on which summer begins');
SELECT results_eq($$ SELECT day, billsec FROM pg_temp.total WHERE day BETWEEN '2026-10-24' AND '2026-10-26' ORDER BY 1 $$,
	$$ VALUES ('2026-10-24'::date, 1::bigint), ('2026-10-25', 6), ('2026-10-26', 8) $$, 'P3: the day on which it ends');
SELECT results_eq($$ SELECT day FROM pg_temp.total WHERE account_id = 5 $$, $$ VALUES ('2026-06-01'::date) $$, 'P3: a zone ahead of UTC');
-- The rating instant is the answer: it rang before midnight.
INSERT INTO billing.cdr (call_id, started_at, answered_at, billsec, caller, callee) VALUES ('midnight', '2026-07-01 21:59:50Z', '2026-07-01 22:00:10Z', 1, '100', '4930'),
	('no answer', '2026-07-03 21:59:50Z', NULL, 1, '100', '4930'), ('no start', '-infinity', NULL, 1, '100', '4930');
SELECT results_eq($$ SELECT day FROM pg_temp.total WHERE day BETWEEN '2026-07-01' AND '2026-07-31' ORDER BY 1 $$, $$ VALUES ('2026-07-02'::date), ('2026-07-03') $$, 'P3: the day is that of the answer, else of the start');
SELECT is((SELECT count(*) FROM billing.cdr WHERE call_id = 'no start' AND status = 'invalid'), 1::bigint, 'P1: a call without start');
SELECT is_empty('SELECT pg_temp.wrong()', 'P3: verify() agrees so far');

-- Other ways in and out.
COPY billing.cdr (call_id, started_at, billsec, caller, callee) FROM STDIN;
copy 1	2026-08-01 12:00Z	10	100	4930
copy 2	2026-08-01 12:00Z	20.5	100	4930
copy 3	2026-08-01 12:00Z	\N	100	4930
copy 4	2026-08-01 12:00Z	-5	100	4930
\.
CREATE FUNCTION pg_temp.august() RETURNS text LANGUAGE sql AS $$
	SELECT format('%s calls, %s answered, %s s, %s billed, %s', calls, answered, trim_scale(seconds), billsec, trim_scale(amount)) FROM (
		SELECT sum(calls) AS calls, sum(answered) AS answered, sum(seconds) AS seconds, sum(billsec) AS billsec, sum(amount) AS amount
		FROM pg_temp.total WHERE day BETWEEN '2026-08-01' AND '2026-08-31') t
$$;
-- 10 and 20.5 seconds, the latter billed as 21, and a call without duration; that of -5 seconds is invalid, but has an account.
SELECT is(pg_temp.august(), '4 calls, 2 answered, 30.5 s, 31 billed, 0.31', 'P3, P1: COPY');
UPDATE billing.cdr SET billsec = 40 WHERE call_id = 'copy 1';
SELECT is(pg_temp.august(), '4 calls, 2 answered, 60.5 s, 61 billed, 0.61', 'P3: UPDATE of a raw column');
UPDATE billing.cdr SET customer_amount = 7, customer_billsec = 100 WHERE call_id = 'copy 1';
SELECT is(pg_temp.august(), '4 calls, 2 answered, 60.5 s, 121 billed, 7.21', 'P3: UPDATE of rated columns: 0.61 - 0.40 + 7');
UPDATE billing.cdr SET started_at = '2026-09-01 12:00Z' WHERE call_id = 'copy 2';
SELECT is(pg_temp.august(), '3 calls, 1 answered, 40 s, 100 billed, 7', 'P3: a call that moves to another month');
UPDATE billing.cdr SET rated_at = NULL WHERE call_id = 'copy 1';
SELECT is(pg_temp.august(), '3 calls, 1 answered, 40 s, 40 billed, 0.4', 'P3: a call that is rated again');
DELETE FROM billing.cdr WHERE call_id = 'copy 1';
SELECT is(pg_temp.august(), '2 calls, 0 answered, 0 s, 0 billed, 0', 'P3: DELETE');
INSERT INTO billing.cdr (call_id, started_at, billsec, caller, callee) VALUES ('copy 3', '2026-08-01 12:00Z', 99, '100', '4930'), ('new', '2026-08-01 12:00Z', 1, '100', '4930')
ON CONFLICT (source, call_id, started_at) DO NOTHING;
SELECT is(pg_temp.august(), '3 calls, 1 answered, 1 s, 1 billed, 0.01', 'P3: ON CONFLICT DO NOTHING counts what was new');
INSERT INTO billing.cdr (call_id, started_at, billsec, caller, callee) VALUES ('copy 3', '2026-08-01 12:00Z', 98, '100', '4930'), ('newer', '2026-08-01 12:00Z', 1, '100', '4930')
ON CONFLICT (source, call_id, started_at) DO UPDATE SET billsec = EXCLUDED.billsec;
SELECT is(pg_temp.august(), '4 calls, 3 answered, 100 s, 100 billed, 1', 'P3: ON CONFLICT DO UPDATE');
SAVEPOINT before;
SELECT pg_temp.call('gone', '2026-08-02', 500);
DELETE FROM billing.cdr WHERE call_id = 'newer';
SELECT is(pg_temp.august(), '4 calls, 3 answered, 599 s, 599 billed, 5.99', 'P3: in a savepoint');
ROLLBACK TO before;
SELECT is(pg_temp.august(), '4 calls, 3 answered, 100 s, 100 billed, 1', 'P3: and rolled back');
WITH moved AS (DELETE FROM billing.cdr WHERE call_id = 'newer' RETURNING call_id, started_at, caller, callee)
INSERT INTO billing.cdr (call_id, started_at, billsec, caller, callee) SELECT 'newest', started_at, 2, caller, callee FROM moved;
SELECT is(pg_temp.august(), '4 calls, 3 answered, 101 s, 101 billed, 1.01', 'P3: one statement that does two things');

-- Rows that arrive rated count as they are.
INSERT INTO billing.cdr (call_id, started_at, rated_at, status, billsec, customer_account_id, customer_service_id, customer_rate_id, customer_billsec, customer_amount) VALUES
	('history 1', '2026-08-10 12:00Z', '2026-09-01', 'rated', 5, 1, 2, 2, 6, 1234567890.12345678), ('history 2', '2026-08-10 12:00Z', '2026-09-01', 'rated', 5, 1, 2, 2, 6, 'NaN'),
	('history 3', '2026-08-10 12:00Z', '2026-09-01', 'unrated', NULL, 1, 2, NULL, NULL, NULL);
SELECT bag_eq($$ SELECT cost_center, destination, calls, answered, seconds, billsec, amount FROM pg_temp.total WHERE day = '2026-08-10' $$,
	$$ VALUES ('office', 'Germany mobile', 2::bigint, 2::bigint, 10::numeric, 12::bigint, 1234567890.12345678), ('office', '', 1, 0, 0, 0, 0) $$, 'P3: rated rows as they arrive, an amount that is no number as 0');

-- A MERGE that moves a call to another partition reaches no transition table.
SELECT billing.create_partitions('2026-12-01', '2027-01-01');
SELECT pg_temp.call('december', '2026-12-05 12:00Z', 3);
SELECT throws_ok($$ MERGE INTO billing.cdr c USING (VALUES ('december')) v(call_id) ON c.call_id = v.call_id WHEN MATCHED THEN UPDATE SET started_at = '2026-08-01 12:00Z' $$,
	'0A000', 'a MERGE cannot move calls to another partition of billing.cdr', 'design 6: a MERGE that moves a call is refused');
MERGE INTO billing.cdr c USING (VALUES ('december', 4), ('january', 5)) v(call_id, billsec) ON c.call_id = v.call_id AND c.started_at = '2026-12-05 12:00Z'
	WHEN MATCHED THEN UPDATE SET billsec = v.billsec WHEN NOT MATCHED THEN INSERT (call_id, started_at, billsec, caller, callee) VALUES (v.call_id, '2027-01-05 12:00Z', v.billsec, '100', '4930');
SELECT results_eq($$ SELECT day, billsec FROM pg_temp.total WHERE day >= '2026-12-01' ORDER BY 1 $$, $$ VALUES ('2026-12-05'::date, 4::bigint), ('2027-01-05', 5) $$, 'P3: any other MERGE counts');
UPDATE billing.cdr SET started_at = '2027-02-05 12:00Z', answered_at = NULL WHERE call_id = 'december';
SELECT results_eq($$ SELECT day, billsec FROM pg_temp.total WHERE day >= '2026-12-01' ORDER BY 1 $$, $$ VALUES ('2027-01-05'::date, 5::bigint), ('2027-02-05', 4) $$, 'P3: an UPDATE that moves a call to another partition');
SELECT is_empty('SELECT pg_temp.wrong()', 'P3: verify() agrees with all of it');

-- Many statements of one transaction spread over parts.
DO $$ BEGIN FOR i IN 1..200 LOOP PERFORM pg_temp.call('many ' || i, '2026-11-11 12:00Z', 1); END LOOP; END $$;
SELECT is((SELECT sum(billsec) FROM billing.usage WHERE day = '2026-11-11'), 200::numeric, 'P3: 200 statements of one transaction');
SELECT cmp_ok((SELECT count(DISTINCT part) FROM billing.usage WHERE day = '2026-11-11'), '>=', 3::bigint, 'design 6: in parts of 64');

-- Folding.
CREATE TEMP TABLE live AS TABLE pg_temp.total;
CREATE TEMP TABLE rows_before AS SELECT count(*) AS live FROM billing.usage WHERE slot > 0;
SELECT is(billing.compact_usage(), (SELECT live FROM rows_before), 'design 6: compact_usage() folds every live row that nobody is writing');
SELECT bag_eq('TABLE pg_temp.total', 'TABLE live', 'P3: and totals stay');
SELECT is((SELECT count(*) FROM billing.usage WHERE slot <> 0 OR part <> 0), 0::bigint, 'design 6: in slot 0');
SELECT is((SELECT count(*) FROM billing.usage), (SELECT count(*) FROM live), 'design 6: without the rows that add up to nothing');
SELECT bag_eq('SELECT account_id, leg, month, currency, amount FROM billing.usage_month', $$
	SELECT account_id, leg, date_trunc('month', day::timestamp)::date, currency, sum(amount) FROM live GROUP BY 1, 2, 3, 4 HAVING sum(amount) <> 0 $$, 'design 6: with the months');
SELECT is(billing.compact_usage(), 0::bigint, 'design 6: nothing is left to fold');
SELECT is_empty('SELECT pg_temp.wrong()', 'P3: verify() agrees after folding');
UPDATE billing.cdr SET billsec = billsec + 1 WHERE call_id LIKE 'many%';
DELETE FROM billing.cdr WHERE call_id = 'k';
SELECT is_empty('SELECT pg_temp.wrong()', 'P3: live rows are differences to folded ones');
SELECT billing.compact_usage();
SELECT is((SELECT sum(billsec) FROM billing.usage WHERE day = '2026-11-11' AND slot = 0), 400::numeric, 'P3: folded again');
SELECT is((SELECT count(*) FROM billing.usage WHERE account_id = 5), 0::bigint, 'design 6: the last call of an account takes its rows along');
SELECT is((SELECT count(*) FROM billing.usage_month WHERE account_id = 5), 0::bigint, 'design 6: and its months');

-- Who writes usage.
SELECT throws_ok('UPDATE billing.usage SET amount = 0', '42501', NULL, 'design 6: usage is not updated by hand');
SELECT throws_ok('DELETE FROM billing.usage', '42501', NULL, 'design 6: nor deleted');
SELECT throws_ok('TRUNCATE billing.usage', '42501', NULL, 'design 6: nor truncated');
SELECT throws_ok('UPDATE billing.usage_month SET amount = 0', '42501', NULL, 'design 6: nor are months');
INSERT INTO billing.usage (account_id, leg, day, slot, calls, amount) VALUES (1, 'customer', '2026-01-10', 0, 1, 1), (1, 'customer', '2026-01-10', 5, 1, 1);
INSERT INTO billing.usage_month (account_id, leg, month, currency, amount, credit) VALUES (1, 'customer', '2020-01-01', 'EUR', 1, 0);
SELECT is_empty('SELECT pg_temp.wrong()', 'design 6: rows that a restore brings are skipped, for the calls were counted');

-- Rebuilding.
CREATE TEMP TABLE kept AS TABLE pg_temp.total;
SELECT is(billing.rebuild_usage(), (SELECT count(*) FROM kept), 'design 6: rebuild_usage() returns the rows that it wrote');
SELECT bag_eq('TABLE pg_temp.total', 'TABLE kept', 'P3: they are what was there');
SET LOCAL billing.usage_writer = on;
UPDATE billing.usage SET amount = amount + 1;
DELETE FROM billing.usage WHERE account_id IS NULL;
RESET billing.usage_writer;
SELECT isnt_empty('SELECT pg_temp.wrong()', 'P3: after damage');
SELECT is(billing.rebuild_usage('{}'), 0::bigint, 'design 6: rebuild_usage() of no account');
SELECT is(billing.rebuild_usage(ARRAY[NULL::bigint]), 1::bigint, 'design 6: rebuild_usage() of the calls without account');
SELECT is((SELECT sum(calls) FROM billing.usage WHERE account_id IS NULL), 1::numeric, 'design 6: brings them back');
SELECT billing.rebuild_usage(ARRAY[1, 2]);
SELECT bag_eq('SELECT * FROM pg_temp.total WHERE account_id <= 2 OR account_id IS NULL', 'SELECT * FROM kept WHERE account_id <= 2 OR account_id IS NULL', 'design 6: and of some accounts');
SELECT isnt((SELECT amount FROM pg_temp.total WHERE account_id = 3), (SELECT amount FROM kept WHERE account_id = 3), 'design 6: which leaves the others');
SELECT billing.rebuild_usage(ARRAY[3, 4, NULL]);
SELECT is_empty('SELECT pg_temp.wrong()', 'P3: all is well again');

-- Names that change: the calls go along.
SELECT billing.change_timezone(3, 'UTC');
SELECT results_eq('SELECT day, amount FROM pg_temp.total WHERE account_id = 3', $$ VALUES ('2026-02-01'::date, 1.00) $$, 'design 3: change_timezone() moves calls to other days at once');
SELECT results_eq('SELECT month, amount FROM billing.usage_month WHERE account_id = 3', $$ VALUES ('2026-02-01'::date, 1.00) $$, 'design 3: and months');
SELECT billing.change_timezone(3, 'America/New_York');
SELECT throws_ok($$ UPDATE billing.account SET timezone = 'UTC' WHERE id = 3 $$, '23001', NULL, 'design 3: a record of a change serves once');
SELECT results_eq('SELECT day, amount FROM pg_temp.total WHERE account_id = 3', $$ VALUES ('2026-01-31'::date, 1.00) $$, 'design 3: there and back');
SELECT throws_ok($$ UPDATE billing.service SET cost_center = 'attic' WHERE id = 4 $$, '23001', NULL, 'D15: the cost centre of a service with calls is frozen');
SELECT billing.change_cost_center(4, 'attic');
SELECT results_eq('SELECT cost_center, amount FROM pg_temp.total WHERE account_id = 3', $$ VALUES ('attic', 1.00) $$, 'D15: change_cost_center() takes the calls along');
SELECT results_eq($$ SELECT kind, object_id, old, new, changed_by FROM billing.label_change $$, $$ VALUES ('service', 4::bigint, 'booth 4', 'attic', session_user::text COLLATE "default") $$, 'D15: and keeps the old one');
SELECT billing.change_cost_center(4, NULL);
SELECT throws_ok($$ UPDATE billing.service SET cost_center = 'attic' WHERE id = 4 $$, '23001', NULL, 'D15: a record of a change serves once');
SELECT results_eq('SELECT cost_center FROM pg_temp.total WHERE account_id = 3', $$ VALUES ('') $$, 'D15: no cost centre');
SELECT throws_ok('SELECT billing.change_cost_center(-1, NULL)', 'P0002', NULL, 'D15: of an unknown service');
UPDATE billing.service SET cost_center = 'new' WHERE id = 6;
SELECT is((SELECT cost_center FROM billing.service WHERE id = 6), 'new', 'D15: without calls it is free');

SELECT throws_ok($$ UPDATE billing.rate SET destination = 'Allemagne' WHERE id = 4 $$, '23001', NULL, 'design 6: the destination of a rate with calls is frozen');
SELECT is(billing.rename_destination(ARRAY[4], 'Allemagne'), 1::bigint, 'design 6: rename_destination()');
SELECT results_eq('SELECT destination, amount FROM pg_temp.total WHERE account_id = 2', $$ VALUES ('Allemagne', 0.50) $$, 'design 6: takes the calls along');
CREATE TEMP TABLE mobile AS SELECT coalesce(sum(amount), 0) AS amount FROM pg_temp.total WHERE destination = 'Germany mobile';
SELECT is(billing.rename_destination(1, 'Germany mobile', 'Germany M'), 1::bigint, 'design 6: a destination of a tariff');
SELECT is((SELECT sum(amount) FROM pg_temp.total WHERE destination = 'Germany M'), (SELECT amount FROM mobile), 'design 6: with its calls');
SELECT is(billing.rename_destination(4, 'World', 'Earth'), 1::bigint, 'V13: calls without account');
SELECT is((SELECT destination FROM pg_temp.total WHERE account_id IS NULL), 'Earth', 'V13: go along too');
SELECT is(billing.rename_destination(4, 'World', 'Moon'), 0::bigint, 'design 6: nothing has that name');
SELECT is(billing.rename_destination(ARRAY[6], 'Earth'), 0::bigint, 'design 6: nothing changes');
SELECT is_empty('SELECT pg_temp.wrong()', 'P3: verify() agrees with the new names');

-- Credits go along with the names of their calls: a connect fee of 0.05 that the second call of a session is credited.
INSERT INTO billing.service (id, account_id, kind, identifier, cost_center) VALUES (50, 3, 'did', '4420', 'front');
INSERT INTO billing.did_rate (number, leg, currency, price, connect_fee) VALUES ('4420', 'did_owner', 'EUR', 0, 0.05);
INSERT INTO billing.cdr (call_id, session_id, started_at, billsec, caller, callee) VALUES ('v1', 'visit', '2026-04-02 00:30Z', 5, '77', '4420'), ('v2', 'visit', '2026-04-02 00:40Z', 5, '77', '4420');
SELECT billing.settle_credits();
SELECT billing.change_timezone(3, 'UTC');
SELECT billing.change_cost_center(50, 'back');
SELECT results_eq($$ SELECT day, cost_center, calls, amount, credit FROM pg_temp.total WHERE leg = 'did_owner' $$, $$ VALUES ('2026-04-02'::date, 'back', 2::bigint, 0.10, 0.05) $$, 'K4: credits stay with their charges');
SELECT billing.settle_credits();
SELECT is_empty('SELECT pg_temp.wrong()', 'P3: and settling finds nothing to do');

-- Cycles of included minutes are days of the account: 60 seconds a month, of calls of 40 seconds on January 31st at 23:30 UTC and in February.
INSERT INTO billing.plan (id, name) VALUES (1, 'sixty');
INSERT INTO billing.allowance (id, plan_id, name, seconds) VALUES (1, 1, 'Germany', 60);
INSERT INTO billing.allowance_prefix (allowance_id, prefix) VALUES (1, '49');
INSERT INTO billing.account (id, name, currency, tariff_id, plan_id) VALUES (6, 'planned', 'EUR', 1, 1);
INSERT INTO billing.service (id, account_id, kind, identifier) VALUES (60, 6, 'extension', '600');
SELECT pg_temp.call('p1', '2026-01-31 23:30Z', 40, '600'), pg_temp.call('p2', '2026-02-10 12:00Z', 40, '600');
SELECT billing.settle_credits();
SELECT results_eq('SELECT month, credit FROM billing.usage_by_month WHERE account_id = 6 ORDER BY 1', $$ VALUES ('2026-01-01'::date, 0.40), ('2026-02-01', 0.40) $$, 'D10: each month includes its call');
SELECT billing.change_timezone(6, 'Europe/Berlin');
SELECT is_empty('SELECT pg_temp.wrong()', 'D10: credits go to other days with their charges');
SELECT isnt_empty('SELECT * FROM billing.pending_credits WHERE account_id = 6', 'D10: and their pools are queued');
SELECT billing.settle_credits();
SELECT results_eq('SELECT month, amount, credit FROM billing.usage_by_month WHERE account_id = 6', $$ VALUES ('2026-02-01'::date, 0.80, 0.60) $$, 'D10: both calls are in February now, which includes 40 and 20 seconds');
SELECT is_empty('SELECT pg_temp.wrong()', 'P3: verify() agrees');

-- Calls that come before the names that they carry.
INSERT INTO billing.cdr (call_id, started_at, rated_at, status, billsec, customer_account_id, customer_service_id, customer_rate_id, customer_billsec, customer_amount)
VALUES ('early', '2026-06-01 00:30Z', now(), 'rated', 10, 70, 71, 72, 10, 3);
SELECT results_eq('SELECT day, cost_center, destination, currency, amount FROM pg_temp.total WHERE account_id = 70', $$ VALUES ('2026-06-01'::date, '', '', '', 3.00) $$, 'design 6: a call of an account that is not there yet');
SELECT bag_eq('SELECT kind, id FROM billing.usage_orphan', $$ VALUES ('account', 70::bigint), ('service', 71), ('rate', 72) $$, 'design 6: is noted');
INSERT INTO billing.rate (id, tariff_id, prefix, destination) VALUES (72, 1, '81', 'Japan'), (73, 1, '82', 'Korea');
INSERT INTO billing.account (id, name, currency, timezone) VALUES (70, 'late', 'USD', 'America/New_York');
INSERT INTO billing.service (id, account_id, kind, identifier, cost_center) VALUES (71, 70, 'extension', '700', 'east');
SELECT results_eq('SELECT day, cost_center, destination, currency, amount FROM pg_temp.total WHERE account_id = 70', $$ VALUES ('2026-05-31'::date, 'east', 'Japan', 'USD', 3.00) $$, 'design 6: and counted anew when they come');
SELECT is_empty('TABLE billing.usage_orphan', 'design 6: none is left');
SELECT throws_ok($$ INSERT INTO billing.usage_orphan VALUES ('account', 70) $$, '40001', NULL, 'design 6: a name that is there is none to be noted');
INSERT INTO billing.usage_orphan VALUES ('account', 999), ('account', 999);
SELECT is((SELECT count(*) FROM billing.usage_orphan), 1::bigint, 'design 6: and each is noted once');
DELETE FROM billing.usage_orphan;

-- Whatever stands in a row: the pass and the recount read it alike.
INSERT INTO billing.cdr (call_id, started_at, answered_at, ended_at, billsec, did_billsec, disposition, rated_at, status, customer_account_id, customer_service_id, customer_rate_id, customer_billsec, customer_amount,
	provider_account_id, provider_service_id, provider_rate_id, provider_billsec, provider_amount, did_service_id, did_owner_account_id, did_owner_billsec, did_owner_amount, did_provider_amount)
SELECT 'odd ' || row_number() OVER (), s.v::timestamptz, a.v::timestamptz, e.v::timestamptz, b.v::numeric, d.v::numeric, p.v, now(), 'rated',
	CASE WHEN b.n % 2 = 0 THEN 1 + a.n % 3 END, a.n % 4, b.n % 8, b.n, CASE d.n % 3 WHEN 0 THEN 1.5 WHEN 1 THEN 'NaN' END,
	CASE WHEN a.n % 2 = 0 THEN 4 END, 5, 5, a.n, -b.n, 50, 3, d.n, d.n * 0.5, CASE WHEN e.n = 1 THEN 0.25 END
FROM (VALUES (0, '2026-10-25 00:30Z'), (1, '-infinity'), (2, 'infinity'), (3, '0001-01-01 12:00Z'), (4, '294276-12-31 23:59Z'), (5, '4713-01-01 BC')) s(n, v),
	(VALUES (0, NULL), (1, '2026-10-25 01:30:00.000001Z'), (2, '-infinity'), (3, 'infinity'), (4, '4713-01-01 BC')) a(n, v),
	(VALUES (0, NULL), (1, '2026-10-25 02:00Z'), (2, 'infinity')) e(n, v),
	(VALUES (0, NULL), (1, '-1'), (2, 'NaN'), (3, 'infinity'), (4, '0'), (5, '59.9999999'), (6, '0.0000001'), (7, '999999999.9999999'), (8, '1e9')) b(n, v),
	(VALUES (0, NULL), (1, '-1'), (2, '12.3456789'), (3, 'NaN')) d(n, v),
	(VALUES (NULL), ('answered'), ('NO ANSWER')) p(v);
SELECT is_empty('SELECT pg_temp.wrong()', 'P3: 9,720 odd calls');
UPDATE billing.cdr SET customer_amount = customer_amount - 1, answered_at = CASE WHEN id % 2 = 0 THEN started_at END WHERE call_id LIKE 'odd%' AND id % 3 = 0;
DELETE FROM billing.cdr WHERE call_id LIKE 'odd%' AND id % 5 = 0;
SELECT is_empty('SELECT pg_temp.wrong()', 'P3: changed and deleted in part');
SELECT billing.compact_usage();
SELECT is_empty('SELECT pg_temp.wrong()', 'P3: and folded');

-- TRUNCATE.
SAVEPOINT truncated;
TRUNCATE billing.cdr_202612;
SELECT is_empty('SELECT pg_temp.wrong()', 'P3: TRUNCATE of a partition');
TRUNCATE billing.cdr;
SELECT is_empty('SELECT * FROM pg_temp.total WHERE (calls, amount) <> (0, 0)', 'P3: TRUNCATE of all calls');
SELECT is_empty('SELECT pg_temp.wrong()', 'P3: whose credits wait to be settled');
SELECT billing.settle_credits();
SELECT is_empty('TABLE pg_temp.total', 'P3: and go');
SELECT is_empty('SELECT pg_temp.wrong()', 'P3: TRUNCATE leaves nothing behind');
ROLLBACK TO truncated;
SELECT is_empty('SELECT pg_temp.wrong()', 'P3: and rolled back');

-- Who may.
CREATE ROLE usage_stranger;
SELECT is((SELECT array_agg(p.proname ORDER BY p.proname) FROM pg_proc p
	WHERE p.pronamespace = 'billing'::regnamespace AND p.proname = ANY (ARRAY['rebuild_usage', 'compact_usage', 'change_cost_center', 'rename_destination', 'adopt_partition', 'verify'])
		AND has_function_privilege('usage_stranger', p.oid, 'EXECUTE')), NULL, 'design 6: none of it is PUBLIC''s');

SELECT * FROM finish();
ROLLBACK;
