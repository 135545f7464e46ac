-- billing.account_statement() and account_balance() (C1, C2, C8, P7, readings 16 and 39, design 6).
-- The calls arrive rated (rated_at is set), so nothing here depends on how they are rated.
BEGIN;
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS billing CASCADE;
SELECT billing.create_ledger();
SELECT no_plan();

INSERT INTO billing.tariff (id, name, currency) VALUES (1, 'retail', 'EUR');
INSERT INTO billing.rate (id, tariff_id, prefix, destination, price) VALUES (1, 1, '44', 'UK', 1), (2, 1, '49', 'Germany', 1);
INSERT INTO billing.account (id, name, is_provider, currency, timezone) VALUES (1, 'Berlin', false, 'EUR', 'Europe/Berlin'), (2, 'vendor', true, 'EUR', 'UTC'), (3, 'nothing', false, 'EUR', 'UTC'),
	(4, 'Havana', false, 'EUR', 'America/Havana'), (5, 'strange', false, 'EUR', 'UTC');
INSERT INTO billing.service (id, account_id, kind, identifier, cost_center) VALUES (1, 1, 'extension', '101', 'Sales'), (2, 1, 'extension', '102', NULL);

-- In Berlin March 2026 begins at 23:00 UTC of 28 February, and ends, in summer, at 22:00 UTC of 31 March.
INSERT INTO billing.entry (id, account_id, at, kind, amount, reference, leg, destination) VALUES
	(1, 1, '2026-02-10 09:00+00', 'payment', 20, 'T1', NULL, NULL), (2, 1, '2026-02-28 22:59:59+00', 'fee', -1, NULL, NULL, NULL), (3, 1, '2026-02-28 23:00:00+00', 'fee', -2, NULL, NULL, NULL),
	(6, 1, '2026-03-05 10:00+00', 'payment', 5, 'T3', NULL, NULL), (5, 1, '2026-03-05 09:00+00', 'adjustment', -0.50, 'T2', 'customer', 'UK'), (4, 1, '2026-03-05 10:00+00', 'refund', -1, NULL, NULL, NULL),
	(7, 1, '2026-03-31 22:00:00+00', 'payment', 7, 'T4', NULL, NULL), (8, 2, '2026-03-31', 'payment', -0.30, 'V1', NULL, NULL);
INSERT INTO billing.cdr (id, source, call_id, started_at, answered_at, billsec, callee, status, rated_at, customer_account_id, customer_service_id, customer_rate_id, customer_billsec, customer_amount,
	provider_account_id, provider_rate_id, provider_billsec, provider_amount)
SELECT n, 'f', n::text, v.at, v.at, 60, '44', 'rated', now(), 1, v.service, v.rate, v.billed, v.amount, 2, 1, 60, -0.10
FROM (VALUES (1, '2026-02-28 22:00+00'::timestamptz, 1, 1, 60, 1.00), (2, '2026-02-28 23:10+00', 1, 1, 60, 0.25), (3, '2026-03-01 10:00+00', 1, 1, 120, 0.50), (4, '2026-03-01 11:00+00', 1, 2, 60, 0.40),
	(5, '2026-03-01 12:00+00', 2, 1, 60, 0.30), (6, '2026-03-05 01:00+00', 2, 1, 60, 2.00), (7, '2026-03-31 22:30+00', 1, 1, 60, 4.00)) v(n, at, service, rate, billed, amount);
INSERT INTO billing.credit (cdr_id, started_at, leg, kind, pool, allowance, cycle, seconds, amount, account_id, day, cost_center, destination, currency)
VALUES (6, '2026-03-05 01:00+00', 'customer', 'allowance', 'service:2', 'UK', '2026-03-01', 30, 0.75, 1, '2026-03-05', '', 'UK', 'EUR');

-- February: 20 - 1 - 1.00 = 18. The first of March: -2, -0.40 to Germany and -(0.25 + 0.50) to the UK for Sales, -0.30. The fifth: -0.50, -1, +5, -(2.00 - 0.75).
SELECT results_eq($$SELECT * FROM billing.account_statement(1, '2026-03-01', '2026-04-01')$$, $$VALUES
	('2026-03-01'::date, NULL::timestamptz, 'opening', NULL::text, NULL::text, NULL::text, NULL::text, NULL::bigint, NULL::bigint, NULL::numeric, NULL::numeric, NULL::numeric, 18.00),
	('2026-03-01', '2026-02-28 23:00+00', 'fee', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, -2, 16.00),
	('2026-03-01', NULL, 'calls', 'customer', 'Germany', 'Sales', NULL, 1, 60, 0.40, 0, -0.40, 15.60),
	('2026-03-01', NULL, 'calls', 'customer', 'UK', 'Sales', NULL, 2, 180, 0.75, 0, -0.75, 14.85),
	('2026-03-01', NULL, 'calls', 'customer', 'UK', NULL, NULL, 1, 60, 0.30, 0, -0.30, 14.55),
	('2026-03-05', '2026-03-05 09:00+00', 'adjustment', 'customer', 'UK', NULL, 'T2', NULL, NULL, NULL, NULL, -0.50, 14.05),
	('2026-03-05', '2026-03-05 10:00+00', 'refund', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, -1, 13.05),
	('2026-03-05', '2026-03-05 10:00+00', 'payment', NULL, NULL, NULL, 'T3', NULL, NULL, NULL, NULL, 5, 18.05),
	('2026-03-05', NULL, 'calls', 'customer', 'UK', NULL, NULL, 1, 60, 2.00, 0.75, -1.25, 16.80),
	('2026-04-01', NULL, 'closing', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 16.80)$$,
	'C1 C2 C8: a month in the account''s time zone: opening balance, movements, closing balance');
SELECT results_eq($$SELECT kind, day, movement, balance FROM billing.account_statement(2)$$, $$VALUES ('opening', NULL::date, NULL::numeric, 0.0),
	('calls', '2026-02-28', 0.20, 0.20), ('calls', '2026-03-01', 0.30, 0.50), ('calls', '2026-03-05', 0.10, 0.60),
	('payment', '2026-03-31', -0.30, 0.30), ('calls', '2026-03-31', 0.10, 0.40), ('closing', NULL, NULL, 0.40)$$,
	'P7: of a provider everything: its calls raise what it has, what it is paid lowers it; entries go before the calls of their day');
SELECT results_eq('SELECT kind, balance FROM billing.account_statement(3)', $$VALUES ('opening', 0.0), ('closing', 0.0)$$, 'C11: of an account without anything');
SELECT results_eq($$SELECT kind, day, balance FROM billing.account_statement(1, '2026-03-03', '2026-03-03')$$, $$VALUES ('opening', '2026-03-03'::date, 14.55), ('closing', '2026-03-03', 14.55)$$, 'a period without days');
SELECT results_eq($$SELECT kind, movement, balance FROM billing.account_statement(1, '2026-03-06')$$, $$VALUES ('opening', NULL::numeric, 16.80), ('payment', 7.0, 23.80), ('calls', -4.0, 19.80), ('closing', NULL, 19.80)$$, 'without an end: to the end');
SELECT results_eq($$SELECT kind, movement, balance FROM billing.account_statement(1, ends => '2026-03-01')$$, $$VALUES ('opening', NULL::numeric, 0.0), ('payment', 20.0, 20.0), ('fee', -1.0, 19.0), ('calls', -1.0, 18.0), ('closing', NULL, 18.0)$$, 'without a start: from the beginning');
SELECT is(billing.account_balance(1), 19.80, 'C8: the balance now');
SELECT is(billing.account_balance(1, '2026-03-01'), 18.00, 'at the beginning of a day in the account''s time zone');
SELECT is(billing.account_balance(1, '-infinity'), 0.0, 'before everything');
SELECT is(billing.account_balance(1, 'infinity'), 19.80, 'after everything');
SELECT throws_ok('SELECT * FROM billing.account_statement(99)', 'P0002', 'there is no account 99', 'an unknown account');
SELECT throws_ok('SELECT * FROM billing.account_statement(NULL)', 'P0002', 'there is no account null', 'no account');
SELECT throws_ok('SELECT billing.account_balance(99)', 'P0002', 'there is no account 99', 'no balance either');
SELECT throws_ok('SELECT billing.account_balance(99, ''2026-03-01'')', 'P0002', 'there is no account 99', 'at no day');
SELECT throws_ok($$SELECT * FROM billing.account_statement(1, '2026-03-02', '2026-03-01')$$, '22023', 'a statement cannot end before it begins', 'a period that ends before it begins');

-- Odd days: one that begins twice (Havana sets its clocks back from 01:00 to 00:00 on 2 November 2025, which begins at 04:00 UTC),
-- and calls without an instant, at the ends of time.
INSERT INTO billing.entry (id, account_id, at, kind, amount) VALUES (11, 4, '2025-11-02 03:59+00', 'payment', 1), (12, 4, '2025-11-02 04:30+00', 'payment', 2), (13, 4, '2025-11-02 05:30+00', 'payment', 4),
	(14, 5, '4712-01-01 BC', 'payment', 8), (15, 5, '294276-12-31 23:00+00', 'payment', 16);
INSERT INTO billing.cdr (id, source, call_id, started_at, billsec, callee, status, rated_at, customer_account_id, customer_amount) VALUES
	(20, 'f', '20', '2025-11-02 04:30+00', 60, '44', 'rated', now(), 4, 0.5), (21, 'f', '21', '-infinity', 60, '44', 'rated', now(), 5, 0.25), (22, 'f', '22', '294276-12-31 23:00+00', 60, '44', 'rated', now(), 5, 0.125);
SELECT is(billing.account_balance(4, '2025-11-02'), 1.0, 'reading 16: both first hours are of the day: before it 1');
SELECT is(billing.account_balance(4, '2025-11-03'), 6.5, 'reading 16: after it 1 + 2 + 4 - 0.5');
SELECT results_eq($$SELECT day, kind, balance FROM billing.account_statement(5)$$, $$VALUES (NULL::date, 'opening', 0.0), ('-infinity', 'calls', -0.25), ('4712-01-01 BC', 'payment', 7.75),
	('294276-12-31', 'payment', 23.75), ('294276-12-31', 'calls', 23.625), (NULL, 'closing', 23.625)$$, 'calls without an instant come first, and nothing is lost');
SELECT is(billing.account_balance(5, '2026-01-01'), 7.75, 'they count from the beginning');

-- Whatever the period, and however its calls are folded: opening + movements = closing = the opening of the next.
CREATE FUNCTION pg_temp.torn() RETURNS TABLE (account bigint, starts date, ends date) LANGUAGE sql AS $$
	WITH day AS (
		SELECT NULL::date AS day UNION ALL SELECT d::date FROM generate_series('2026-02-27'::timestamp, '2026-04-02', '1 day') d
		UNION ALL SELECT * FROM (VALUES ('2025-11-01'::date), ('2025-11-02'), ('2025-11-03'), ('-infinity'), ('infinity')) v)
	SELECT a.id, s.day, e.day
	FROM billing.account a, day s JOIN day e ON s.day IS NULL OR e.day IS NULL OR s.day <= e.day
		CROSS JOIN LATERAL (
			SELECT min(t.balance) FILTER (WHERE t.kind = 'opening') AS opening, min(t.balance) FILTER (WHERE t.kind = 'closing') AS closing, coalesce(sum(t.movement), 0) AS moved
			FROM billing.account_statement(a.id, s.day, e.day) t) p
	WHERE a.id IN (1, 4, 5) AND (p.opening + p.moved IS DISTINCT FROM p.closing
		OR p.opening IS DISTINCT FROM CASE WHEN s.day IS NULL THEN 0 ELSE billing.account_balance(a.id, s.day) END OR p.closing IS DISTINCT FROM billing.account_balance(a.id, e.day))
$$;
SELECT is_empty('SELECT * FROM pg_temp.torn()', 'design 6: each period goes on where another ends');
CREATE TEMP TABLE before AS SELECT a.id, t.* FROM billing.account a CROSS JOIN LATERAL billing.account_statement(a.id, '2026-03-01', '2026-04-01') t;
SELECT cmp_ok(billing.compact_usage(), '>', 0::bigint, 'after folding');
SELECT set_eq($$SELECT a.id, t.* FROM billing.account a CROSS JOIN LATERAL billing.account_statement(a.id, '2026-03-01', '2026-04-01') t$$, 'SELECT * FROM before', 'design 6: statements stay as they are');
INSERT INTO billing.cdr (id, source, call_id, started_at, billsec, callee, status, rated_at, customer_account_id, customer_rate_id, customer_billsec, customer_amount) VALUES (30, 'f', '30', '2026-02-15', 60, '44', 'rated', now(), 1, 1, 60, 0.05), (31, 'f', '31', '2026-03-15', 60, '44', 'rated', now(), 1, 1, 60, 0.07);
DELETE FROM billing.cdr WHERE id = 4;
SELECT results_eq($$SELECT kind, balance FROM billing.account_statement(1, '2026-03-01', '2026-04-01') WHERE kind IN ('opening', 'closing')$$,
	-- 18 - 0.05; 16.80 - 0.05 - 0.07 + 0.40
	$$VALUES ('opening', 17.95), ('closing', 17.08)$$, 'promise 3: late calls and calls that go change them, with live rows beside folded ones');
SELECT is((SELECT count(*) FROM billing.account_statement(1) WHERE destination = 'Germany'), 0::bigint, 'what adds up to nothing is not shown');
SELECT is_empty('SELECT * FROM pg_temp.torn()', 'design 6: and each period goes on where another ends');
SELECT is(billing.account_balance(a.id), b.balance, 'C8: as in billing.balance: ' || b.name) FROM billing.account a JOIN billing.balance b ON b.account_id = a.id;

-- Who may read what they are made of may read them.
CREATE ROLE billing_test_reader;
GRANT USAGE ON SCHEMA billing TO billing_test_reader;
SET ROLE billing_test_reader;
SELECT throws_ok('SELECT * FROM billing.account_statement(1)', '42501', NULL, 'a stranger reads no statement');
RESET ROLE;
GRANT SELECT ON billing.account, billing.entry, billing.usage, billing.usage_month, billing.balance TO billing_test_reader;
SET ROLE billing_test_reader;
SELECT is((SELECT balance FROM billing.account_statement(1, '2026-03-01', '2026-04-01') WHERE kind = 'closing'), 17.08, 'whoever may read its tables does');
SELECT is(billing.account_balance(1), 20.08, 'and balances: 17.08 + 7 - 4');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
