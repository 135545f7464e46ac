-- billing.charge: one row for each leg of each call (P2, P3, P8, V13, C9, K1), and its way to the indexes.
-- The calls arrive rated (rated_at is set), so nothing here depends on how they are rated.
BEGIN;
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS billing CASCADE;
SELECT billing.create_ledger();
SELECT plan(33);

INSERT INTO billing.tariff (id, name, currency, is_default_customer) VALUES
	(101, 'retail', 'USD', false), (102, 'wholesale', 'USD', false), (103, 'vendor', 'EUR', false), (104, 'anyone', 'GBP', true);
INSERT INTO billing.rate (id, tariff_id, prefix, destination, price) VALUES
	(201, 101, '44', 'UK retail', 0.60), (202, 102, '44', 'UK wholesale', 0.30), (203, 103, '44', 'UK vendor', 0.20), (204, 104, '44', 'UK anyone', 0.90);
INSERT INTO billing.account (id, name, is_provider, parent_id, tariff_id, currency) VALUES
	(2, 'Callshop', false, NULL, 102, 'USD'), (3, 'Vendor', true, NULL, 103, 'EUR'), (4, 'Owner', false, NULL, 101, 'USD'), (5, 'Carrier', true, NULL, 103, 'EUR');
INSERT INTO billing.account (id, name, parent_id, tariff_id, currency) VALUES (1, 'Booth', 2, 101, 'USD');
INSERT INTO billing.service (id, account_id, side, kind, identifier, cost_center) VALUES
	(301, 1, 'customer', 'extension', '17', 'Lisbon'), (302, 3, 'provider', 'trunk', 'to-vendor', NULL), (303, 4, 'customer', 'did', '442079460000', 'Porto');

-- 61 s, billed 120 to the customer at 60/60 (0.60 * 120 / 60 = 1.20), 60 + 60 to the reseller
-- (0.30 * 120 / 60 = 0.60), 66 by the vendor at 6/6 (0.20 * 66 / 60 = 0.22).
INSERT INTO billing.cdr (id, source, call_id, session_id, started_at, answered_at, billsec, caller, callee, caller_number, callee_number, status, rated_at,
	customer_account_id, customer_service_id, customer_rate_id, customer_billsec, customer_amount,
	reseller_account_id, reseller_rate_id, reseller_billsec, reseller_amount,
	provider_account_id, provider_service_id, provider_rate_id, provider_billsec, provider_amount)
VALUES (1001, 'pbx', 'a', 's1', '2026-03-01 10:00:00+00', '2026-03-01 10:00:05+00', 61, '+17', '+442079460001', '17', '442079460001', 'rated', now(),
	1, 301, 201, 120, 1.20, 2, 202, 120, 0.60, 3, 302, 203, 66, -0.22);
-- A call to a DID: three prices (K1); the DID's clock runs 70 s.
INSERT INTO billing.cdr (id, source, call_id, started_at, billsec, did_billsec, caller, callee, did, status, rated_at, did_service_id,
	did_incoming_account_id, did_incoming_billsec, did_incoming_amount, did_owner_account_id, did_owner_billsec, did_owner_amount,
	did_provider_account_id, did_provider_billsec, did_provider_amount)
VALUES (1002, 'pbx', 'b', '2026-03-01 11:00:00+00', 60, 70, '17', '900', '442079460000', 'rated', now(), 303,
	1, 70, 0.07, 4, 70, 0, 5, 70, -0.01);
-- Nobody's call, priced by the default customer tariff; the reason is a note.
INSERT INTO billing.cdr (id, source, call_id, started_at, billsec, caller, callee, status, rated_at, customer_rate_id, customer_billsec, customer_amount, customer_reason)
VALUES (1003, 'pbx', 'c', '2026-03-01 12:00:00+00', 60, '17', '442079460001', 'rated', now(), 204, 60, 0.90, 'no_account');
-- The customer is priced, its reseller is not; the provider's leg is free of charge.
INSERT INTO billing.cdr (id, source, call_id, started_at, answered_at, ended_at, callee, status, rated_at, customer_account_id, customer_service_id, customer_rate_id, customer_billsec, customer_amount, customer_reason,
	reseller_account_id, provider_account_id, provider_rate_id, provider_billsec, provider_amount)
VALUES (1004, 'pbx', 'd', '2026-03-01 13:00:00+00', '2026-03-01 13:00:00+00', '2026-03-01 13:01:30.5+00', '44', 'partial', now(), 1, 301, 201, 91, 0.91, 'no_rate', 2, 3, 203, 91, 0);
-- Neither is: both say why.
INSERT INTO billing.cdr (id, source, call_id, started_at, billsec, callee, status, rated_at, customer_account_id, customer_reason, reseller_account_id)
VALUES (1005, 'pbx', 'e', '2026-03-01 14:00:00+00', 5, '44', 'unrated', now(), 1, 'blocked', 2);
-- Rows that cannot be read, in every way a duration can be bad.
INSERT INTO billing.cdr (id, source, call_id, started_at, answered_at, ended_at, billsec, callee, status, rated_at, customer_reason, provider_reason) VALUES
	(1010, 'pbx', 'x1', '-infinity', NULL, NULL, NULL, '44', 'invalid', now(), 'no_start', 'no_start'),
	(1011, 'pbx', 'x2', '2026-03-01 15:00:00+00', NULL, NULL, 'NaN', '44', 'invalid', now(), 'invalid_duration', 'invalid_duration');
-- What a restore or another system may bring: bad times on rows with charges.
INSERT INTO billing.cdr (id, source, call_id, started_at, answered_at, ended_at, billsec, callee, status, rated_at, customer_account_id, customer_amount) VALUES
	(1020, 'old', 'y1', '2026-03-02', NULL, NULL, 'NaN', '44', 'rated', now(), 4, 1),
	(1021, 'old', 'y2', '2026-03-02', NULL, NULL, '-1', '44', 'rated', now(), 4, 1),
	(1022, 'old', 'y3', '2026-03-02', NULL, NULL, '1e9', '44', 'rated', now(), 4, 1),
	(1023, 'old', 'y4', '2026-03-02', '2026-03-02', 'infinity', NULL, '44', 'rated', now(), 4, 1),
	(1024, 'old', 'y5', '2026-03-02', '-infinity', 'infinity', NULL, '44', 'rated', now(), 4, 1),
	(1025, 'old', 'y6', '-infinity', 'infinity', 'infinity', NULL, '44', 'rated', now(), 4, 1),
	(1026, 'old', 'y7', '2026-03-02', '4713-01-01 BC', '294276-12-31', NULL, '44', 'rated', now(), 4, 1),
	(1027, 'old', 'y8', '2026-03-02', '2026-03-02 00:00:10+00', '2026-03-02 00:00:04+00', NULL, '44', 'rated', now(), 4, 1),
	(1028, 'old', 'y9', '2026-03-02', NULL, '2026-03-02 00:00:04+00', NULL, '44', 'rated', now(), 4, 1);

SELECT results_eq($$SELECT leg, account_id, service_id, rate_id, destination, billed_seconds, amount, currency FROM billing.charge WHERE cdr_id = 1001 ORDER BY account_id$$,
	$$VALUES ('customer', 1::bigint, 301::bigint, 201::bigint, 'UK retail', 120, 1.20, 'USD'),
		('reseller', 2, NULL, 202, 'UK wholesale', 120, 0.60, 'USD'),
		('provider', 3, 302, 203, 'UK vendor', 66, -0.22, 'EUR')$$,
	'P2 P8 C9: a call is a charge of its customer, its reseller and its provider, each with its own seconds and currency');
SELECT results_eq($$SELECT DISTINCT started_at, instant, caller, callee, seconds, answered, source, call_id, session_id, status FROM billing.charge WHERE cdr_id = 1001$$,
	$$VALUES ('2026-03-01 10:00:00+00'::timestamptz, '2026-03-01 10:00:05+00'::timestamptz, '17', '442079460001', 61::numeric, true, 'pbx', 'a', 's1', 'rated')$$,
	'each charge names its call: start, rating instant, numbers as rated, raw seconds');
SELECT is((SELECT cost_center FROM billing.charge WHERE cdr_id = 1001 AND leg = 'customer'), 'Lisbon', 'D15: a charge names the cost centre of its service');
SELECT is((SELECT count(*) FROM billing.charge WHERE cdr_id = 1001 AND reason IS NOT NULL), 0::bigint, 'a priced call has no reasons');
SELECT results_eq($$SELECT leg, account_id, service_id, callee, seconds, billed_seconds, amount, currency, cost_center FROM billing.charge WHERE cdr_id = 1002 ORDER BY account_id$$,
	$$VALUES ('did_incoming', 1::bigint, 303::bigint, '442079460000', 70::numeric, 70, 0.07, 'USD', 'Porto'),
		('did_owner', 4, 303, '442079460000', 70, 70, 0, 'USD', 'Porto'),
		('did_provider', 5, 303, '442079460000', 70, 70, -0.01, 'EUR', 'Porto')$$,
	'K1 K14 K16: a call to a DID is three charges by the DID''s clock, also where the amount is 0');
SELECT results_eq($$SELECT leg, account_id, amount, currency, reason FROM billing.charge WHERE cdr_id = 1003$$,
	$$VALUES ('customer', NULL::bigint, 0.90, 'GBP', 'no_account')$$,
	'V13: nobody''s call is charged once, in the default tariff''s currency, and keeps its note');
SELECT results_eq($$SELECT leg, amount, reason FROM billing.charge WHERE cdr_id = 1004 ORDER BY account_id$$,
	$$VALUES ('customer', 0.91, NULL), ('reseller', NULL, 'no_rate'), ('provider', 0, NULL)$$,
	'P9: the reseller''s reason is not the priced customer''s; null is no price, 0 is a price');
SELECT is((SELECT seconds FROM billing.charge WHERE cdr_id = 1004 AND leg = 'customer'), 90.5, 'without billsec the seconds are those between answer and end');
SELECT results_eq($$SELECT leg, amount, reason FROM billing.charge WHERE cdr_id = 1005 ORDER BY account_id$$,
	$$VALUES ('customer', NULL::numeric, 'blocked'), ('reseller', NULL, 'blocked')$$,
	'a blocked call has charges without amounts');
SELECT is((SELECT count(*) FROM billing.charge WHERE cdr_id IN (1010, 1011)), 0::bigint, 'rows that cannot be read have no charges');
SELECT results_eq($$SELECT call_id, seconds FROM billing.charge WHERE source = 'old' ORDER BY call_id$$,
	$$VALUES ('y1', NULL::numeric), ('y2', NULL), ('y3', NULL), ('y4', NULL), ('y5', NULL), ('y6', NULL), ('y7', NULL), ('y8', NULL), ('y9', 0)$$,
	'NaN, negative, huge and infinite durations show as null and break nothing');
SELECT is((SELECT sum(seconds) FROM billing.charge WHERE leg = 'customer'), 61 + 60 + 90.5 + 5 + 0, 'and spoil no sum');
SELECT is((SELECT count(*) FROM billing.charge), 3 + 3 + 1 + 3 + 2 + 9::bigint, 'no leg is missing, none is doubled');

SELECT is(billing._call_answered(0, '2026-01-01', NULL), true, 'answered: an answer time');
SELECT is(billing._call_answered(1, NULL, 'NO ANSWER'), true, 'answered: billed seconds');
SELECT is(billing._call_answered(NULL, NULL, 'Answered'), true, 'answered: the disposition, in any case');
SELECT is(billing._call_answered(0, NULL, 'BUSY'), false, 'not answered: none of them');
SELECT is(billing._call_answered(NULL, NULL, NULL), false, 'not answered: nothing known');
SELECT is(billing._month('2026-01-31 23:30:00+00', 'Europe/Paris'), '2026-02-01'::date, 'a month is one of the wall clock of its zone');
SELECT is(billing._month('infinity', 'UTC'), NULL, 'no month at the end of time');
SELECT is(billing._month('4713-01-01 00:00:00+00 BC', 'America/New_York'), NULL, 'nor where the zone would leave the range');

-- The way to the indexes: a condition on account and time must reach each leg's own index in each partition.
CREATE FUNCTION pg_temp.plan_of(query text) RETURNS SETOF text LANGUAGE plpgsql AS
$$BEGIN RETURN QUERY EXECUTE 'EXPLAIN (COSTS OFF) ' || query; END$$;
CREATE FUNCTION pg_temp.index_of(leg text) RETURNS text LANGUAGE sql AS
$$SELECT i.indexrelid::regclass::text FROM pg_inherits h JOIN pg_index i ON i.indexrelid = h.inhrelid
	WHERE h.inhparent = ('billing.cdr_' || leg)::regclass AND i.indrelid = 'billing.cdr_default'::regclass$$;
INSERT INTO billing.cdr (source, call_id, started_at, callee, billsec, status, rated_at, customer_account_id, customer_amount, provider_account_id, provider_amount)
SELECT 'bulk', n::text, '2026-04-01 00:00:00+00'::timestamptz + n * interval '1 minute', '44', 60, 'rated', now(), 10 + n % 500, 1, 3, -1 FROM generate_series(1, 20000) n;
ANALYZE billing.cdr;
SET LOCAL max_parallel_workers_per_gather = 0;
CREATE TEMP TABLE plan AS SELECT pg_temp.plan_of($$SELECT * FROM billing.charge WHERE account_id = 17 AND started_at >= '2026-04-02' AND started_at < '2026-04-03'$$) AS line;
SELECT is((SELECT count(*) FROM plan WHERE line ~ 'Seq Scan on cdr'), 0::bigint, 'one account''s charges of a day need no sequential scan of the calls');
SET LOCAL enable_seqscan = off;
CREATE TEMP TABLE forced AS SELECT pg_temp.plan_of($$SELECT * FROM billing.charge WHERE account_id = 17 AND started_at >= '2026-04-02' AND started_at < '2026-04-03'$$) AS line;
SELECT ok(EXISTS (SELECT FROM forced WHERE strpos(line, replace(pg_temp.index_of(leg), 'billing.', '')) > 0), format('leg %s of one account''s charges is read by its own index', leg))
FROM unnest(ARRAY['customer', 'reseller', 'provider', 'did_incoming', 'did_owner', 'did_provider']) leg;
SELECT is((SELECT count(*) FROM forced WHERE line ~ 'Index Cond: .*_account_id = 17.*started_at >= .*started_at < '), 6::bigint, 'and the condition on time is part of each index condition');
CREATE TEMP TABLE leg AS SELECT pg_temp.plan_of($$SELECT * FROM billing.charge WHERE account_id = 17 AND leg = 'customer'$$) AS line;
SELECT is((SELECT count(*) FROM leg WHERE line ~ ' on cdr\S* c(_\d+)?$'), 1::bigint, 'a condition on the leg leaves the other legs out');
CREATE TEMP TABLE summary AS SELECT pg_temp.plan_of($$SELECT * FROM billing.customer_summary WHERE account_id = 17$$) AS line;
SELECT is((SELECT count(*) FROM summary WHERE line ~ 'Seq Scan on cdr'), 0::bigint, 'customer_summary of one account reads its calls by index');
CREATE TEMP TABLE owed AS SELECT pg_temp.plan_of($$SELECT * FROM billing.provider_reconciliation WHERE provider_id = 5$$) AS line;
SELECT is((SELECT count(*) FROM owed WHERE line ~ 'Seq Scan on cdr'), 0::bigint, 'provider_reconciliation of one provider reads its calls by index');
SELECT is((SELECT count(*) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
	WHERE c.relkind = 'v' AND c.relnamespace = 'billing'::regnamespace AND a.attnum > 0
		AND (col_description(c.oid, a.attnum) IS NULL OR obj_description(c.oid, 'pg_class') IS NULL)), 0::bigint, 'every view and each of its columns has a comment');

SELECT * FROM finish();
ROLLBACK;
