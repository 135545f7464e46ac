-- Increments: how seconds become billed seconds, by billed_seconds() and on stored calls.
BEGIN;
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS billing CASCADE;
SELECT billing.create_ledger();
SELECT no_plan();

-- Stores one call and returns it with its price.
CREATE FUNCTION pg_temp.call(raw jsonb) RETURNS billing.cdr LANGUAGE sql AS $$
	INSERT INTO billing.cdr SELECT r.* FROM jsonb_populate_record(NULL::billing.cdr,
		'{"source": "", "started_at": "2026-03-02 12:00:00+00", "disposition": "ANSWERED", "callee": "442079460000"}' || raw) AS r
	RETURNING *
$$;

-- One price list with one price for every number, and an account that is sold by it and found by the auth-code of that name.
CREATE FUNCTION pg_temp.list(name text, price numeric, terms jsonb DEFAULT '{}', provider boolean DEFAULT false) RETURNS void LANGUAGE sql AS $$
	WITH t AS (INSERT INTO billing.tariff (name, currency, first_increment, next_increment, increment_rule, connect_fee, grace_seconds, free_seconds,
			duration_rounding, rounding_digits, rounding_mode)
		SELECT name, 'EUR', coalesce(first_increment, 1), coalesce(next_increment, 1), coalesce(increment_rule, 'first_next'), coalesce(connect_fee, 0),
			coalesce(grace_seconds, 0), coalesce(free_seconds, 0), coalesce(duration_rounding, 'up'), coalesce(rounding_digits, 8), coalesce(rounding_mode, 'half_up')
		FROM jsonb_to_record(terms) AS x (first_increment int, next_increment int, increment_rule text, connect_fee numeric, grace_seconds int, free_seconds int,
			duration_rounding text, rounding_digits int, rounding_mode text)
		RETURNING id),
	r AS (INSERT INTO billing.rate (tariff_id, prefix, price) SELECT id, '', price FROM t),
	a AS (INSERT INTO billing.account (name, is_provider, currency, tariff_id) SELECT name, provider, 'EUR', id FROM t RETURNING id)
	INSERT INTO billing.service (account_id, side, kind, identifier) SELECT id, CASE WHEN provider THEN 'provider' ELSE 'customer' END, 'auth_code', name FROM a
$$;

-- The table of requirements.md section 2, row by row: a is first_next, b is aligned (MOR).
CREATE TEMP TABLE section_2 (seconds int, first int, next int, a int, b int);
INSERT INTO section_2 VALUES
	(30, 10, 6, 34, 30), (1, 10, 6, 10, 12), (11, 10, 6, 16, 12), (17, 10, 6, 22, 18), (10, 10, 6, 10, 12),
	(61, 60, 1, 61, 61), (61, 60, 60, 120, 120),
	(35, 10, 30, 40, 60), (5, 10, 30, 10, 30), (91, 90, 60, 150, 120), (150, 90, 60, 150, 180), (15, 1, 10, 21, 20),
	(32, 30, 6, 36, 36), (57, 30, 6, 60, 60), (75, 30, 6, 78, 78);
-- "0 | any | 0 | 0": with every pair of the table.
INSERT INTO section_2 SELECT DISTINCT 0, first, next, 0, 0 FROM section_2;

SELECT is(billing.billed_seconds(seconds, first, next, rule), want, format('section 2: %s s at %s/%s is %s s by %s', seconds, first, next, want, rule))
FROM section_2, LATERAL (VALUES ('first_next', a), ('aligned', b)) AS r (rule, want) ORDER BY first, next, rule, seconds;

-- The same rows as calls. 0.60 a minute is 0.01 a second, so the amount is the billed seconds / 100.
SELECT pg_temp.list(format('%s/%s %s', first, next, rule), 0.60, jsonb_build_object('first_increment', first, 'next_increment', next, 'increment_rule', rule))
FROM (SELECT DISTINCT first, next FROM section_2) AS s, (VALUES ('first_next'), ('aligned')) AS r (rule);
SELECT is(format('%s s %s', c.customer_billsec, c.customer_amount), format('%s s %s', want, (want / 100.0)::numeric(20,8)),
	format('section 2, stored: %s s at %s/%s is %s s by %s', seconds, first, next, want, rule))
FROM section_2, LATERAL (VALUES ('first_next', a), ('aligned', b)) AS r (rule, want),
	pg_temp.call(jsonb_build_object('auth_code', format('%s/%s %s', first, next, rule), 'billsec', seconds)) AS c ORDER BY first, next, rule, seconds;

-- V10 to V12
SELECT is(billing.billed_seconds(30, 10, 6), 34, 'V10: 30 s with T1 10 and T2 6 is 10 + 4 * 6 = 34 s');
SELECT is(array_agg(DISTINCT billing.billed_seconds(s, 10, 6)), ARRAY[10], 'V11: 1 to 10 s are 10 s') FROM generate_series(1, 10) AS s;
SELECT is(array_agg(DISTINCT billing.billed_seconds(s, 10, 6)), ARRAY[16], 'V11: 11 to 16 s are 16 s') FROM generate_series(11, 16) AS s;
SELECT is(billing.billed_seconds(17, 10, 6), 22, 'V11: 17 s are 22 s');
SELECT ok(bool_and(billing.billed_seconds(10 + 6 * k, 10, 6) = 10 + 6 * k), 'V11: exactly 10 + 6k s is itself') FROM generate_series(0, 1000) AS k;
SELECT is(billing.billed_seconds(0, 10, 6), 0, 'V11: 0 s is 0 s');
-- 0.60 * 34 / 60 = 0.34
SELECT is(billing.charge_amount(30, 0.60, 10, 6), 0.34, 'V12: 30 s at 0.60 a minute, T1 10 and T2 6, cost 0.34');

-- cgrates#118: 0.006 a minute is 0.0001 a second: 36 s 0.0036, 60 s 0.0060, 78 s 0.0078
SELECT pg_temp.list('cgrates', 0.006, '{"first_increment": 30, "next_increment": 6}');
SELECT is((pg_temp.call(jsonb_build_object('auth_code', 'cgrates', 'billsec', s))).customer_amount, want, format('cgrates#118: %s s at 30/6 and 0.006 cost %s', s, want))
FROM (VALUES (32, 0.0036), (57, 0.0060), (75, 0.0078)) AS v (s, want);

-- K17: minimal time is first_increment, increment is next_increment, of the aligned rule
SELECT is(billing.billed_seconds(s, min, inc, 'aligned'), want, format('K17: %s s, minimal time %s, increment %s: %s s', s, min, inc, want))
FROM (VALUES (1, 10, 1, 10), (10, 10, 1, 10), (11, 10, 1, 11), (15, 0, 10, 20), (15, 0, 20, 20), (65, 0, 60, 120), (5, 10, 30, 30)) AS v (s, min, inc, want);

-- K18
SELECT is(billing.billed_seconds(s, 60, 60, grace_seconds => 3), want, format('K18: %s s with grace 3 are %s s', s, want))
FROM (VALUES (0, 0), (1, 0), (3, 0), (4, 60), (61, 120)) AS v (s, want);
SELECT is(billing.billed_seconds(s, 10, 30, 'aligned', 3), want, format('K18: %s s with grace 3 are %s s by aligned', s, want)) FROM (VALUES (3, 0), (4, 30)) AS v (s, want);
SELECT pg_temp.list('grace', 0.60, '{"first_increment": 60, "next_increment": 60, "grace_seconds": 3, "connect_fee": 0.05}');
SELECT is((pg_temp.call('{"auth_code": "grace", "billsec": 3}')).customer_amount, 0::numeric, 'K18, C19: a call that ends within the grace period costs nothing, no fee either');
-- 0.05 + 0.60 * 60 / 60 = 0.65
SELECT is((pg_temp.call('{"auth_code": "grace", "billsec": 4}')).customer_amount, 0.65, 'C19: a longer call pays the whole first interval and the fee');
SELECT is((pg_temp.call('{"auth_code": "grace", "billsec": 3}')).status, 'rated', 'K18: a call within grace is rated, at 0');
-- up: 3.1 is 4 s, above the grace; half_up: 3.4 is 3 s, within it; none: 3.1 is above it
SELECT is(billing.billed_seconds(s, 60, 60, grace_seconds => 3, duration_rounding => r), want, format('K18: %s s rounded by %s with grace 3 are %s s', s, r, want))
FROM (VALUES (3.1, 'up', 60), (3.4, 'half_up', 0), (3.5, 'half_up', 60), (3.1, 'none', 60), (3.0, 'none', 0)) AS v (s, r, want);

-- C18, C19: free seconds lie after interval 1 and before the first interval N
SELECT is(billing.billed_seconds(s, first, next, free_seconds => free), want, format('C19: %s s at %s/%s with %s free are %s s', s, first, next, free, want))
FROM (VALUES
	(20, 30, 6, 30, 30),	-- within interval 1
	(60, 30, 6, 30, 30),	-- 60 - 30 - 30 = 0
	(61, 30, 6, 30, 36),	-- 30 + ceil(1 / 6) * 6
	(90, 30, 6, 30, 60),	-- 30 + ceil(30 / 6) * 6
	(60, 0, 1, 60, 0),	-- from the start when there is no interval 1
	(61, 0, 1, 60, 1),
	(0, 30, 6, 30, 0)) AS v (s, first, next, free, want);
SELECT pg_temp.list('free', 0.60, '{"first_increment": 30, "next_increment": 6, "free_seconds": 30}');
-- 0.60 * 36 / 60 = 0.36
SELECT is((pg_temp.call('{"auth_code": "free", "billsec": 61}')).customer_amount, 0.36, 'C19: 61 s with 30 free cost 36 s');

-- C22: only the billed duration is rounded
SELECT is(billing.billed_seconds(s, duration_rounding => r), want, format('C22: %s s rounded by %s are %s s', s, r, want))
FROM (VALUES (60.4, 'half_up', 60), (60.5, 'half_up', 61), (60.1, 'up', 61), (60.0, 'up', 60), (60.000001, 'up', 61), (0.4, 'half_up', 1), (0.000001, 'half_up', 1),
	(0.000001, 'up', 1), (0.000001, 'none', 1), (0.49, 'none', 1), (60.1, 'none', 61)) AS v (s, r, want);
-- none: no second is added before the increments, which only count whole: 60 + ceil(0.1 / 60) * 60
SELECT is(billing.billed_seconds(60.1, 60, 60, duration_rounding => r), want, format('C22: 60.1 s at 60/60 rounded by %s are %s s', r, want))
FROM (VALUES ('up', 120), ('half_up', 60), ('none', 120)) AS v (r, want);
SELECT pg_temp.list(r, 0.60, jsonb_build_object('duration_rounding', r)) FROM (VALUES ('up'), ('half_up'), ('none')) AS v (r);
SELECT is(format('%s s of %s', c.customer_billsec, c.billsec), want, format('C22: a call of %s s, rounding %s, keeps its real duration', s, r))
FROM (VALUES (60.4, 'half_up', '60 s of 60.4'), (60.5, 'half_up', '61 s of 60.5'), (60.1, 'up', '61 s of 60.1'), (0.3, 'half_up', '1 s of 0.3')) AS v (s, r, want),
	pg_temp.call(jsonb_build_object('auth_code', r, 'billsec', s)) AS c;

-- C23: precision and mode of each list. 0.123456 for 60 s
SELECT pg_temp.list('two digits up', 0.123456, '{"rounding_digits": 2, "rounding_mode": "up"}');
SELECT pg_temp.list('four digits', 0.123456, '{"rounding_digits": 4}', true);
SELECT is(format('%s %s', c.customer_amount, c.provider_amount), '0.13000000 -0.12350000', 'C23: each list rounds its own leg: 0.123456 is 0.13 by two digits up and 0.1235 by four')
FROM pg_temp.call('{"auth_code": "two digits up", "provider_code": "four digits", "billsec": 60}') AS c;

-- P8
SELECT pg_temp.list('vendor 6/6', 0.30, '{"first_increment": 6, "next_increment": 6}', true);
SELECT pg_temp.list('customer 60/60', 0.60, '{"first_increment": 60, "next_increment": 60}');
-- 0.60 * 120 / 60 = 1.20 and 0.30 * 66 / 60 = 0.33, which we pay
SELECT is(format('%s s %s, %s s %s', c.customer_billsec, c.customer_amount, c.provider_billsec, c.provider_amount), '120 s 1.20000000, 66 s -0.33000000',
	'P8: 61 s are 120 s for the customer at 60/60 and 66 s for the provider at 6/6')
FROM pg_temp.call('{"auth_code": "customer 60/60", "provider_code": "vendor 6/6", "billsec": 61}') AS c;

-- Bounds: 86400 * ceil(999999999 / 86400) = 86400 * 11575
SELECT is(billing.billed_seconds(999999999, 86400, 86400), 1000080000, 'the longest call in the longest increments');
SELECT is(billing.billed_seconds(999999999, 0, 1), 999999999, 'the longest call by the second');
SELECT is(billing.billed_seconds(NULL), NULL, 'unknown seconds are unknown billed seconds');
-- Brute force of both rules: the increments are counted one by one.
CREATE FUNCTION pg_temp.counted(s int, first int, next int, rule text, free int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	billed int := CASE rule WHEN 'aligned' THEN 0 ELSE first END;
BEGIN
	IF s = 0 THEN
		RETURN 0;
	END IF;
	WHILE billed < CASE rule WHEN 'aligned' THEN greatest(s, first) ELSE s - free END LOOP
		billed := billed + next;
	END LOOP;
	RETURN billed;
END $$;
SELECT is(count(*) FILTER (WHERE billing.billed_seconds(s, first, next, rule, free_seconds => free) IS DISTINCT FROM pg_temp.counted(s, first, next, rule, free)), 0::bigint,
	format('counted one by one: %s with %s free seconds', rule, free))
FROM generate_series(0, 130) AS s, unnest(ARRAY[0, 1, 6, 10, 30, 60, 90]) AS first, unnest(ARRAY[1, 6, 7, 30, 60]) AS next,
	(VALUES ('first_next', 0), ('first_next', 20), ('aligned', 0)) AS r (rule, free) GROUP BY rule, free;

SELECT * FROM finish();
ROLLBACK;
