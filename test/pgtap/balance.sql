-- billing.balance, usage_by_day and usage_by_month (C1, C8, C14, P7, D15, readings 33 and 39, design 6).
-- The calls arrive rated (rated_at is set), so nothing here depends on how they are rated.
BEGIN;
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS billing CASCADE;
SELECT billing.create_ledger();
SELECT no_plan();

INSERT INTO billing.tariff (id, name, currency) VALUES (1, 'retail', 'EUR'), (2, 'vendor', 'EUR');
INSERT INTO billing.rate (id, tariff_id, prefix, destination, price) VALUES (1, 1, '44', 'UK', 1), (2, 1, '49', 'Germany', 1), (3, 2, '44', 'UK', 1);
INSERT INTO billing.account (id, name, is_provider, currency, billing, credit_limit, timezone) VALUES
	(1, 'prepaid', false, 'EUR', 'prepaid', NULL, 'Europe/Berlin'), (2, 'prepaid with credit', false, 'EUR', 'prepaid', 5, 'UTC'),
	(3, 'postpaid', false, 'EUR', 'postpaid', NULL, 'UTC'), (4, 'postpaid with limit', false, 'EUR', 'postpaid', 20, 'UTC'), (5, 'vendor', true, 'EUR', 'postpaid', NULL, 'UTC'),
	(6, 'new', false, 'EUR', 'prepaid', 0, 'UTC');
INSERT INTO billing.service (id, account_id, kind, identifier, cost_center) VALUES (1, 1, 'extension', '101', 'Sales'), (2, 1, 'extension', '102', 'Support'), (3, 1, 'extension', '103', NULL);
CREATE FUNCTION pg_temp.money(of_account bigint, OUT entries numeric, OUT amount numeric, OUT credit numeric, OUT net numeric, OUT balance numeric,
	OUT credit_limit numeric, OUT reserved numeric, OUT spendable numeric, OUT available numeric) LANGUAGE sql AS
$$SELECT entries, amount, credit, net, balance, credit_limit, reserved, spendable, available FROM billing.balance WHERE account_id = of_account$$;
CREATE FUNCTION pg_temp.balances() RETURNS TABLE (account_id bigint, balance numeric) LANGUAGE sql AS 'SELECT account_id, balance FROM billing.balance ORDER BY 1';

SELECT results_eq('SELECT account_id, name, currency, billing, balance FROM billing.balance WHERE account_id = 6', $$VALUES (6::bigint, 'new', 'EUR', 'prepaid', 0.0)$$, 'C8: an account that nothing has happened to has 0');
SELECT is((SELECT count(*) FROM billing.balance), 6::bigint, 'C8: each account has one');
SELECT results_eq('SELECT spendable FROM billing.balance ORDER BY account_id', 'VALUES (0.0), (5), (NULL), (20), (NULL), (0)',
	'reading 33 C14: without a limit a prepaid account has nothing to spend, and a postpaid one no limit');

INSERT INTO billing.entry (account_id, kind, amount) VALUES (1, 'payment', 10), (1, 'fee', -2.50), (1, 'adjustment', 0.00000001), (2, 'payment', 1), (4, 'payment', 1), (5, 'payment', -30);
INSERT INTO billing.cdr (id, source, call_id, started_at, answered_at, ended_at, billsec, callee, status, rated_at, customer_account_id, customer_service_id, customer_rate_id, customer_billsec, customer_amount,
	provider_account_id, provider_rate_id, provider_billsec, provider_amount)
SELECT n, 'f', n::text, v.at, v.answered, NULL, v.seconds, '44', 'rated', now(), v.account, v.service, v.rate, v.billed, v.amount, 5, 3, v.seconds, -0.10
FROM (VALUES
	(1, '2026-02-28 22:30+00'::timestamptz, '2026-02-28 22:30+00'::timestamptz, 61, 1, 1, 1, 120, 0.12),
	(2, '2026-02-28 23:30+00', '2026-02-28 23:30+00', 30, 1, 1, 1, 60, 0.06),
	(3, '2026-03-05', NULL, 0, 1, 1, 1, 0, 0),
	(4, '2026-03-05', '2026-03-05', 60, 1, 2, 2, 60, 0.20),
	(5, '2026-03-05', '2026-03-05', 60, 1, 3, 1, 60, 0.06),
	(6, '2026-03-05', '2026-03-05', 60, 4, NULL, 1, 60, 1.25)) v(n, at, answered, seconds, account, service, rate, billed, amount);
INSERT INTO billing.cdr (id, source, call_id, started_at, billsec, callee, status, rated_at, customer_account_id) VALUES (7, 'f', '7', '2026-03-06', 60, '7', 'unrated', now(), 2);

-- 10 - 2.50 + 0.00000001 - (0.12 + 0.06 + 0 + 0.20 + 0.06 = 0.44)
SELECT results_eq('SELECT * FROM pg_temp.money(1)', 'VALUES (7.50000001, 0.44, 0.0, 0.44, 7.06000001, NULL::numeric, 0.0, 7.06000001, 7.06000001)', 'C1 reading 39: entries - calls, to the eighth decimal');
SELECT results_eq('SELECT * FROM pg_temp.money(2)', 'VALUES (1.0, 0.0, 0.0, 0.0, 1.0, 5.0, 0.0, 6.0, 6.0)', 'reading 33: 1 + 5; a call without a price costs nothing yet');
SELECT results_eq('SELECT * FROM pg_temp.money(4)', 'VALUES (1.0, 1.25, 0.0, 1.25, -0.25, 20.0, 0.0, 19.75, 19.75)', 'C8 reading 33: it owes 0.25 and may owe 20');
SELECT results_eq('SELECT * FROM pg_temp.money(5)', 'VALUES (-30.0, -0.60, 0.0, -0.60, -29.40, NULL::numeric, 0.0, NULL::numeric, NULL::numeric)', 'P7: the vendor is owed 6 x 0.10 and was paid 30');

-- Reservations and credits.
INSERT INTO billing.reservation (leg, account_id, call, seconds, amount, expires_at, released_at) VALUES ('customer', 1, '{}', 60, 2, now() + interval '1 hour', NULL),
	('customer', 1, '{}', 60, 1, now() + interval '1 hour', NULL), ('customer', 1, '{}', 60, 4, now() + interval '1 hour', now()), ('customer', 1, '{}', 60, 8, now(), NULL);
INSERT INTO billing.credit (cdr_id, started_at, leg, kind, pool, allowance, cycle, seconds, amount, account_id, day, cost_center, destination, currency)
VALUES (1, '2026-02-28 22:30+00', 'customer', 'allowance', 'service:1', 'UK', '2026-02-01', 60, 0.06, 1, '2026-02-28', 'Sales', 'UK', 'EUR');
SELECT results_eq('SELECT * FROM pg_temp.money(1)', 'VALUES (7.50000001, 0.44, 0.06, 0.38, 7.12000001, NULL::numeric, 3.0, 7.12000001, 4.12000001)',
	'design 6: net of credits; reserved is what is neither released nor expired: 2 + 1');
SELECT results_eq('SELECT account_id, b.spendable, b.available FROM billing.balance b ORDER BY 1', 'SELECT a.id, s.spendable, s.available FROM billing.account a CROSS JOIN billing._spendable(a.id) s ORDER BY 1',
	'C14: what authorize() goes by is what people see');

-- Of BI.
CREATE FUNCTION pg_temp.usage_of(of_account bigint) RETURNS TABLE (month date, cost_center text, destination text, calls bigint, answered bigint, seconds numeric, billed bigint, amount numeric, credit numeric, net numeric) LANGUAGE sql AS
$$SELECT month, cost_center, destination, calls, answered, seconds, billed_seconds, amount, credit, net FROM billing.usage_by_month WHERE account_id = of_account ORDER BY 1, 2, 3$$;
-- In Berlin the second call is of 1 March.
SELECT results_eq('SELECT * FROM pg_temp.usage_of(1)', $$VALUES
	('2026-02-01'::date, 'Sales', 'UK', 1::bigint, 1::bigint, 61::numeric, 120::bigint, 0.12, 0.06, 0.06),
	('2026-03-01', 'Sales', 'UK', 2, 1, 30, 60, 0.06, 0, 0.06),
	('2026-03-01', 'Support', 'Germany', 1, 1, 60, 60, 0.20, 0, 0.20),
	('2026-03-01', NULL, 'UK', 1, 1, 60, 60, 0.06, 0, 0.06)$$, 'D15 P8: by cost centre, destination and month in the account''s time zone');
SELECT results_eq('SELECT account, leg, month, destination, currency, calls, answered, seconds, billed_seconds, -amount FROM billing.usage_by_month WHERE account_id = 5 ORDER BY month',
	$$VALUES ('vendor', 'provider', '2026-02-01'::date, 'UK', 'EUR', 2::bigint, 2::bigint, 91::numeric, 91::bigint, 0.20), ('vendor', 'provider', '2026-03-01', 'UK', 'EUR', 4, 3, 180, 180, 0.40)$$,
	'P7: what is owed to a provider for a month: calls, answered, seconds, billed seconds, amount, currency');
SELECT results_eq('SELECT day, cost_center, calls, amount FROM billing.usage_by_day WHERE account_id = 1 AND destination = ''UK'' ORDER BY 1, 2',
	$$VALUES ('2026-02-28'::date, 'Sales', 1::bigint, 0.12), ('2026-03-01', 'Sales', 1, 0.06), ('2026-03-05', 'Sales', 1, 0), ('2026-03-05', NULL, 1, 0.06)$$, 'P7: by day too');
SELECT results_eq('SELECT destination, currency, calls, amount FROM billing.usage_by_month WHERE account_id = 2', $$VALUES (NULL::text, 'EUR', 1::bigint, 0.0)$$, 'P9: calls without a price are counted');
SELECT results_eq($$SELECT account_id, leg, month, sum(calls), sum(amount), sum(credit) FROM billing.usage_by_month GROUP BY 1, 2, 3 ORDER BY 1, 2, 3$$,
	$$SELECT ch.account_id, ch.leg, billing._month(ch.instant, a.timezone), count(*)::numeric, coalesce(sum(ch.amount), 0), coalesce(sum(ch.credit), 0) FROM billing.charge ch JOIN billing.account a ON a.id = ch.account_id GROUP BY 1, 2, 3 ORDER BY 1, 2, 3$$,
	'promise 3: the same sums as those of the charges');

-- Folding, further calls in live rows beside it, and an archived partition, change no sum but their own.
CREATE TEMP TABLE before AS SELECT * FROM pg_temp.balances();
CREATE TEMP TABLE used AS SELECT * FROM billing.usage_by_month;
SELECT cmp_ok(billing.compact_usage(), '>', 0::bigint, 'rows are folded');
SELECT is((SELECT count(*) FROM billing.usage WHERE slot > 0), 0::bigint, 'all of them');
SELECT results_eq('SELECT * FROM pg_temp.balances()', 'SELECT * FROM before ORDER BY 1', 'design 6: folding changes no balance');
SELECT set_eq('SELECT * FROM billing.usage_by_month', 'SELECT * FROM used', 'design 6: nor what BI reads');
UPDATE billing.cdr SET customer_amount = 0.50 WHERE id = 4;
DELETE FROM billing.cdr WHERE id = 2;
SELECT cmp_ok((SELECT count(*) FROM billing.usage WHERE slot > 0 AND account_id = 1), '>', 0::bigint, 'what is changed then lies beside it');
-- 7.12000001 + 0.20 - 0.50 + 0.06
SELECT is((SELECT balance FROM billing.balance WHERE account_id = 1), 6.88000001, 'promise 3: a call that changes and one that goes change the balance');
SELECT is((SELECT count(*) FROM billing.usage_by_day WHERE account_id = 1 AND day = '2026-03-01'), 0::bigint, 'what adds up to nothing is not shown');
SELECT results_eq('SELECT * FROM pg_temp.usage_of(1) WHERE cost_center = ''Support''', $$VALUES ('2026-03-01'::date, 'Support', 'Germany', 1::bigint, 1::bigint, 60::numeric, 60::bigint, 0.50, 0.0, 0.50)$$, 'folded and live rows are one');
SET LOCAL billing.usage_writer = on;
INSERT INTO billing.usage (account_id, leg, day, destination, currency, slot, calls, answered, amount, credit) VALUES (1, 'customer', '2020-05-05', 'UK', 'EUR', -1, 3, 3, 4, 1);
INSERT INTO billing.usage_month (account_id, leg, month, currency, amount, credit) VALUES (1, 'customer', '2020-05-01', 'EUR', 4, 1);
RESET billing.usage_writer;
SELECT is((SELECT balance FROM billing.balance WHERE account_id = 1), 3.88000001, 'design 6: archived calls stay in the balance: 6.88000001 - (4 - 1)');
SELECT results_eq('SELECT calls, net FROM billing.usage_by_month WHERE account_id = 1 AND month = ''2020-05-01''', $$VALUES (3::bigint, 3.0)$$, 'and in what BI reads');

-- Years of history are read as a few rows: 300 accounts of 2,000 days of which one is live.
SET LOCAL billing.usage_writer = on;
INSERT INTO billing.account (id, name, currency) SELECT n, n, 'EUR' FROM generate_series(101, 400) n;
INSERT INTO billing.usage (account_id, leg, day, destination, currency, slot, calls, amount) SELECT n, 'customer', '2021-01-01'::date + d, 'UK', 'EUR', CASE d WHEN 1999 THEN 7 ELSE 0 END, 1, 1
FROM generate_series(101, 400) n, generate_series(0, 1999) d;
INSERT INTO billing.usage_month (account_id, leg, month, currency, amount, credit)
SELECT account_id, leg, date_trunc('month', day::timestamp)::date, 'EUR', sum(amount), 0 FROM billing.usage WHERE slot = 0 AND account_id > 100 GROUP BY 1, 2, 3;
RESET billing.usage_writer;
INSERT INTO billing.entry (account_id, kind, amount) SELECT n, 'payment', 1 FROM generate_series(101, 400) n, generate_series(1, 60);
ANALYZE billing.usage, billing.usage_month, billing.entry, billing.account, billing.reservation;
CREATE FUNCTION pg_temp.plan(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
	found text := '';
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (ANALYZE, TIMING off, COSTS off, SUMMARY off, BUFFERS) ' || statement LOOP
		found := found || line || E'\n';
	END LOOP;
	RETURN found;
END $$;
CREATE TEMP TABLE plan AS SELECT pg_temp.plan('SELECT * FROM billing.balance WHERE account_id = 250') AS plan;
SELECT is((SELECT balance FROM billing.balance WHERE account_id = 250), -1940.0, 'C8: 60 - 2,000');
SELECT unalike(plan, '%Seq Scan on usage%', 'design 6: a balance is read by index') FROM plan;
SELECT alike(plan, '%usage_key%', 'design 6: that of usage') FROM plan;
SELECT alike(plan, '%usage_month_key%', 'design 6: and that of its months') FROM plan;
SELECT unalike(plan, '%Seq Scan on entry%', 'design 6: so are entries') FROM plan;
-- 66 months, a live day, 60 entries: 1,999 folded days would be more than that.
SELECT cmp_ok((SELECT sum(m[1]::numeric)::integer FROM plan, regexp_matches(plan, 'usage[a-z_]* .*?rows=([0-9.]+) loops=1', 'g') m), '<=', 70, 'design 6: of 2,000 days only their months and what is live');
SELECT cmp_ok((SELECT (regexp_match(plan, 'Buffers: shared hit=([0-9]+)'))[1]::integer FROM plan), '<', 150, 'design 6: a few pages');

SELECT * FROM finish();
ROLLBACK;
