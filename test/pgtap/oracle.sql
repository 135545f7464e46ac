-- 100,000 random calls, by random calendars, rates and parameters, cost in C what they cost by test/oracle.sql, to the last digit.
BEGIN;
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS billing CASCADE;
SELECT billing.create_ledger();
SELECT no_plan();
SET LOCAL plan_cache_mode = force_generic_plan;
\ir ../oracle.sql
\if :{?calls}
\else
\set calls 100000
\endif

-- Random, but of fixed seeds and the same on every server: md5 of a name gives a number below n, or one of the values. null stands for "not said".
CREATE FUNCTION pg_temp.rnd(seed text, n int) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT ('x' || left(md5(seed), 7))::bit(28)::int % n $$;
CREATE FUNCTION pg_temp.pick(seed text, choices anyarray) RETURNS anyelement LANGUAGE sql IMMUTABLE AS $$ SELECT choices[1 + pg_temp.rnd(seed, cardinality(choices))] $$;
-- Prices of 0 to 8 decimals, some negative, some 0, a few as big as can be.
CREATE FUNCTION pg_temp.price(seed text) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
	SELECT CASE pg_temp.rnd('p' || seed, 40) WHEN 0 THEN 0 WHEN 1 THEN 99999999.99999999 WHEN 2 THEN 0.00000001
		ELSE round((pg_temp.rnd('q' || seed, 20000) - 3000) * 0.1 ^ pg_temp.pick('r' || seed, ARRAY[1, 2, 3, 4, 4, 5, 8]), 8) END
$$;

-- Calendars. Windows wrap midnight, lie in the hour that is skipped or repeated, end at odd seconds; every kind of day, several sets.
INSERT INTO billing.calendar (id, name, timezone, free_weekdays) VALUES (1, 'Vilnius', 'Europe/Vilnius', '{6,7}'), (2, 'New York', 'America/New_York', '{6,7}'),
	(3, 'Kolkata', 'Asia/Kolkata', '{7}'), (4, 'UTC', 'UTC', '{}'), (5, 'Vilnius, two sets', 'Europe/Vilnius', '{5,6,7}'), (6, 'no bands', 'America/New_York', '{7}');
INSERT INTO billing.calendar_band (calendar_id, valid_from, day_type, weekdays, band, starts, ends) VALUES
	(1, '-infinity', 'work', NULL, 'peak', '06:30', '20:00'), (1, '-infinity', 'any', NULL, 'night', '22:00', '07:00'), (1, '-infinity', 'free', '{7}', 'sunday', '09:00', '12:00'),
	(2, '-infinity', 'work', NULL, 'peak', '08:00', '18:00'), (2, '-infinity', 'any', NULL, 'night', '00:00', '04:00'), (2, '-infinity', 'free', NULL, 'peak', '01:15', '01:45'), (2, '-infinity', 'free', NULL, 'gap', '02:10', '02:50'),
	(3, '-infinity', 'work', '{1,2,3}', 'peak', '09:00:00', '18:30:30'), (3, '-infinity', 'work', '{4,5,6}', 'peak', '10:00', '14:00'), (3, '-infinity', 'any', NULL, 'night', '21:00', '24:00'), (3, '-infinity', 'any', NULL, 'night', '00:00', '05:30'),
	(4, '-infinity', 'work', NULL, 'peak', '12:00', '13:00'), (4, '-infinity', 'any', NULL, 'night', '23:59:30', '00:00:30'),
	(5, '-infinity', 'work', NULL, 'peak', '08:00', '20:00'), (5, '-infinity', 'free', NULL, 'night', '03:20', '03:40'),
	(5, '2026-10-25 00:30+00', 'work', NULL, 'peak', '09:00', '18:00'), (5, '2026-10-25 00:30+00', 'any', NULL, 'night', '02:30', '03:30');
INSERT INTO billing.calendar_day (calendar_id, date, day_type, name)
SELECT c.id, d.date, d.day_type, d.name FROM billing.calendar AS c, (VALUES ('2026-01-01'::date, 'free', 'a holiday'), ('2026-03-28', 'work', 'a Saturday that is worked'), ('2026-03-30', 'free', 'a Monday that is not'),
	('2026-11-01', 'work', 'a Sunday that is worked'), ('2026-11-02', 'free', 'a holiday'), ('2026-12-25', 'free', 'a holiday'), ('2027-03-14', 'work', 'a Sunday that is worked')) AS d (date, day_type, name);

INSERT INTO billing.exchange_rate (base, quote, valid_from, rate) VALUES ('USD', 'EUR', '-infinity', 0.912345678), ('USD', 'EUR', '2026-10-25 00:59:59.5+00', 1.1), ('EUR', 'GBP', '-infinity', 0.873);

-- 480 lists. Every fourth has long increments, so that calls of days end; every twentieth costs as much as can be; every fifth has the one before as its base, every ninth no calendar, every eleventh aligned increments.
CREATE TEMP TABLE list AS SELECT n, n % 4 = 0 AS coarse, n % 11 = 0 AS aligned, CASE WHEN n % 9 > 0 THEN 1 + pg_temp.rnd('calendar' || n, 6) END AS calendar_id, CASE WHEN n % 5 = 0 THEN n - 1 END AS base,
	(ARRAY['EUR', 'EUR', 'USD', 'GBP'])[1 + (n - 1) / 5 % 4] AS currency FROM generate_series(1, 480) AS n;
CREATE FUNCTION pg_temp.increment(seed text, coarse boolean) RETURNS int LANGUAGE sql IMMUTABLE AS $$
	SELECT pg_temp.pick(seed, CASE WHEN coarse THEN ARRAY[30, 60, 60, 77, 300] ELSE ARRAY[1, 6, 7, 10, 15, 20, 30, 30, 60, 60] END)
$$;
INSERT INTO billing.tariff (id, name, currency, calendar_id, base_tariff_id, connect_fee, attempt_fee, first_increment, next_increment, increment_rule, grace_seconds, free_seconds, min_amount, max_amount,
	surcharge_percent, boundary, duration_rounding, rounding_digits, rounding_mode)
SELECT n, 'list ' || n, currency, calendar_id, base, CASE WHEN n % 2 = 0 THEN pg_temp.price('fee' || n) ELSE 0 END, CASE WHEN n % 7 = 0 THEN pg_temp.price('attempt' || n) ELSE 0 END,
	pg_temp.pick('first' || n, ARRAY[0, 0, 1, 1, 10, 30, 60]), pg_temp.increment('next' || n, coarse), CASE WHEN aligned THEN 'aligned' ELSE 'first_next' END,
	pg_temp.pick('grace' || n, ARRAY[0, 0, 0, 3, 30]), CASE WHEN aligned THEN 0 ELSE pg_temp.pick('free' || n, ARRAY[0, 0, 0, 5, 60]) END,
	pg_temp.pick('min' || n, ARRAY[NULL, NULL, 0, 0.05, 0.12345678]), CASE WHEN n % 20 <> 16 THEN pg_temp.pick('max' || n, ARRAY[NULL, NULL, NULL, 0.5, 5.00000001]) END,
	CASE WHEN n % 20 = 16 THEN 9999.9999 ELSE pg_temp.pick('surcharge' || n, ARRAY[0, 0, 0, 10, 0.0001, -100, 33.3333, 9999.9999]) END,
	CASE WHEN aligned OR n % 3 = 0 THEN 'start' ELSE 'split' END, pg_temp.pick('duration' || n, ARRAY['up', 'up', 'half_up', 'none']), pg_temp.rnd('digits' || n, 13) - 4,
	pg_temp.pick('mode' || n, ARRAY['half_up', 'half_even', 'up', 'down'])
FROM list ORDER BY n;

-- Up to ten rates a list, by prefix, exact number, day type, band of its calendar and version; most lists price every number.
INSERT INTO oracle_rate
SELECT DISTINCT ON (n, prefix, exact, day_type, band, valid_from) n * 100 + i, n, prefix, exact, day_type, band, valid_from, CASE WHEN i = 0 AND n % 20 = 16 THEN 99999999.99999999 ELSE pg_temp.price('price' || s) END,
	CASE WHEN pg_temp.rnd('fp' || s, 4) = 0 THEN pg_temp.price('first price' || s) END, CASE WHEN pg_temp.rnd('f' || s, 5) = 0 THEN pg_temp.price('fee' || s) END, NULL,
	CASE WHEN pg_temp.rnd('fi' || s, 4) = 0 THEN pg_temp.pick('first' || s, ARRAY[0, 1, 20, 60]) END, CASE WHEN pg_temp.rnd('ni' || s, 3) = 0 THEN pg_temp.increment('next' || s, coarse) END, NULL,
	CASE WHEN pg_temp.rnd('g' || s, 8) = 0 THEN pg_temp.rnd('grace' || s, 20) END, CASE WHEN NOT aligned AND pg_temp.rnd('fr' || s, 8) = 0 THEN pg_temp.rnd('free' || s, 40) END,
	NULL, NULL, CASE WHEN pg_temp.rnd('su' || s, 8) = 0 THEN 2.5 END, CASE WHEN NOT aligned THEN pg_temp.pick('boundary' || s, ARRAY[NULL, NULL, NULL, NULL, 'start', 'split']) END,
	pg_temp.pick('duration' || s, ARRAY[NULL, NULL, NULL, 'up', 'none']), pg_temp.pick('digits' || s, ARRAY[NULL, NULL, NULL, 2, 8])::smallint, pg_temp.pick('mode' || s, ARRAY[NULL, NULL, NULL, 'half_even', 'up']),
	i > 0 AND pg_temp.rnd('blocked' || s, 15) = 0, i > 0 AND pg_temp.rnd('withdrawn' || s, 9) = 0
FROM list, generate_series(0, 9) AS i, LATERAL (SELECT n || '.' || i AS s) AS x, LATERAL (SELECT i > 0 AND pg_temp.rnd('exact' || s, 6) = 0 AS exact) AS e,
	LATERAL (SELECT CASE WHEN i = 0 THEN '' WHEN exact THEN pg_temp.pick('number' || s, ARRAY['442079460000', '37061234567']) ELSE pg_temp.pick('prefix' || s, ARRAY['', '', '', '44', '4420', '370']) END AS prefix) AS p,
	LATERAL (SELECT CASE WHEN i = 0 OR calendar_id IS NULL THEN 'any' ELSE pg_temp.pick('day type' || s, ARRAY['any', 'any', 'work', 'free']) END AS day_type,
		CASE WHEN i > 0 AND pg_temp.rnd('banded' || s, 5) < 3 THEN (SELECT band FROM (SELECT DISTINCT band FROM billing.calendar_band AS w WHERE w.calendar_id = list.calendar_id) AS w ORDER BY md5(band || s) LIMIT 1) END AS band,
		CASE WHEN i = 0 THEN '-infinity' ELSE pg_temp.pick('valid' || s, ARRAY['-infinity', '-infinity', '-infinity', '2026-03-29 00:59:30+00', '2026-10-25 00:59:59.5+00']) END::timestamptz AS valid_from) AS d
WHERE i > 0 OR n % 6 > 0
ORDER BY n, prefix, exact, day_type, band, valid_from, i;
INSERT INTO billing.rate (id, tariff_id, prefix, exact, day_type, band, valid_from, price, first_price, connect_fee, attempt_fee, first_increment, next_increment, increment_rule, grace_seconds, free_seconds, min_amount, max_amount,
	surcharge_percent, boundary, duration_rounding, rounding_digits, rounding_mode, blocked, withdrawn)
SELECT id, tariff_id, prefix::billing.prefix, exact, day_type, band, valid_from, price, first_price, connect_fee, attempt_fee, first_increment, next_increment, increment_rule, grace_seconds, free_seconds, min_amount, max_amount,
	surcharge_percent, boundary, duration_rounding, rounding_digits, rounding_mode, blocked, withdrawn FROM oracle_rate;
INSERT INTO billing.rate_step (rate_id, from_second, price, increment)
SELECT DISTINCT ON (r.id, from_second) r.id, from_second, pg_temp.price('step' || r.id || '.' || i), pg_temp.increment('increment' || r.id || '.' || i, coarse)
FROM oracle_rate AS r JOIN list ON n = r.tariff_id, generate_series(1, 3) AS i, LATERAL (SELECT pg_temp.pick('second' || r.id || '.' || i, ARRAY[1, 15, 40, 60, 61, 100, 43200]) AS from_second) AS f
WHERE NOT aligned AND pg_temp.rnd('steps' || r.id, 4) = 0 ORDER BY r.id, from_second, i;

INSERT INTO billing.account (id, name, currency, tariff_id) SELECT n, 'account ' || n, 'EUR', n FROM list;
INSERT INTO billing.service (account_id, kind, identifier) SELECT n, 'auth_code', n::text FROM list;

-- Instants at which something changes: the clocks' changes of 2026 and 2027 and the hours around them; the midnights and the windows' edges of the days beside them and beside the days above.
CREATE TEMP TABLE moment AS SELECT array_agg(at ORDER BY at) AS moments FROM (
	SELECT t + h * interval '1 hour' AS at FROM generate_series(-1, 1) AS h, unnest('{2026-03-29 01:00+00, 2026-10-25 01:00+00, 2027-03-28 01:00+00, 2027-10-31 01:00+00,
		2026-03-08 07:00+00, 2026-11-01 06:00+00, 2027-03-14 07:00+00, 2027-11-07 06:00+00}'::timestamptz[]) AS t
	UNION SELECT '2026-10-25 00:30+00'
	UNION SELECT (d.date + near + t) AT TIME ZONE c.timezone
	FROM unnest('{2026-01-01, 2026-03-08, 2026-03-29, 2026-10-25, 2026-11-01, 2026-12-25, 2027-03-14, 2027-03-28, 2027-10-31, 2027-11-07}'::date[]) AS d (date), generate_series(-1, 1) AS near,
		billing.calendar AS c, LATERAL (SELECT '00:00'::interval UNION SELECT starts::interval FROM billing.calendar_band WHERE calendar_id = c.id UNION SELECT ends::interval FROM billing.calendar_band WHERE calendar_id = c.id) AS w (t)) AS m;

-- The calls begin at such an instant, or up to their length before it, or somewhere; to the second or to the microsecond. Most last under 200 s, a hundred for a day or more.
INSERT INTO oracle_call (i, list, number, answered, seconds, at, currency) SELECT i, list, number, answered, CASE WHEN answered THEN seconds ELSE 0 END AS seconds,
	moments[1 + pg_temp.rnd('moment' || i, cardinality(moments))]
		- pg_temp.rnd('before' || i, CASE pg_temp.rnd('on' || i, 8) WHEN 0 THEN 1 WHEN 1 THEN 90000 ELSE 2 + seconds::int END) * interval '1 second'
		+ CASE pg_temp.rnd('exactly' || i, 3) WHEN 0 THEN pg_temp.rnd('micros' || i, 1000000) - 500000 ELSE 0 END * interval '1 microsecond' AS at, 'EUR'
FROM moment, generate_series(1, :calls) AS i, LATERAL (SELECT i % (:calls / 100) = 0 AS long) AS l,
	LATERAL (SELECT CASE WHEN long THEN 4 + 4 * pg_temp.rnd('list' || i, 120) ELSE 1 + pg_temp.rnd('list' || i, 480) END AS list,
		pg_temp.pick('number' || i, ARRAY['442079460000', '44207', '37061234567', '12025550100']) AS number, long OR pg_temp.rnd('answered' || i, 30) > 0 AS answered,
		CASE WHEN long THEN 86401 + pg_temp.rnd('seconds' || i, 90000) WHEN i % 50 = 0 THEN pg_temp.rnd('seconds' || i, 3) ELSE pg_temp.rnd('seconds' || i, 200) END
			+ CASE pg_temp.rnd('fraction' || i, 4) WHEN 0 THEN pg_temp.rnd('micro' || i, 1000000) * 0.000001 WHEN 1 THEN 0.5 WHEN 2 THEN 0.0000001 * pg_temp.rnd('nano' || i, 2) ELSE 0 END AS seconds) AS c;
ANALYZE;

INSERT INTO billing.cdr (id, call_id, started_at, answered_at, billsec, disposition, callee, auth_code)
SELECT i, i, at, CASE WHEN answered THEN at END, seconds, CASE WHEN answered THEN 'ANSWERED' ELSE 'BUSY' END, number, list FROM oracle_call;
SELECT pg_temp.oracle_look_at_clocks();
CREATE TEMP TABLE answer AS SELECT c.i, o.* FROM oracle_call AS c, LATERAL pg_temp.oracle_charge(c) AS o;
CREATE UNIQUE INDEX ON answer (i);
ANALYZE answer;

-- A row of the catalogue, or of billing.cdr, as the INSERT that makes it.
CREATE FUNCTION pg_temp.insertion(tab text, vals jsonb) RETURNS text LANGUAGE sql AS $$
	SELECT format('INSERT INTO billing.%I (%s) VALUES (%s);', tab, string_agg(quote_ident(key), ', '), string_agg(quote_literal(CASE WHEN value LIKE '[%' THEN translate(value, '[]', '{}') ELSE value END), ', '))
	FROM jsonb_each_text(jsonb_strip_nulls(vals))
$$;
-- Everything that the call depends on, to be pasted into a test after create_ledger().
CREATE FUNCTION pg_temp.pasted(call_number int) RETURNS text LANGUAGE sql AS $$
	WITH RECURSIVE c AS (SELECT * FROM oracle_call WHERE i = call_number),
	chain AS (SELECT t.*, 0 AS depth FROM billing.tariff AS t JOIN c ON t.id = c.list UNION ALL SELECT t.*, depth + 1 FROM chain JOIN billing.tariff AS t ON t.id = chain.base_tariff_id)
	SELECT string_agg(line, E'\n' ORDER BY o, line) FROM (
		SELECT 1 AS o, pg_temp.insertion('calendar', to_jsonb(k)) AS line FROM billing.calendar AS k WHERE id IN (SELECT calendar_id FROM chain)
		UNION ALL SELECT 2, pg_temp.insertion('calendar_band', to_jsonb(k)) FROM billing.calendar_band AS k WHERE calendar_id IN (SELECT calendar_id FROM chain)
		UNION ALL SELECT 2, pg_temp.insertion('calendar_day', to_jsonb(k)) FROM billing.calendar_day AS k WHERE calendar_id IN (SELECT calendar_id FROM chain)
		UNION ALL SELECT 2, pg_temp.insertion('exchange_rate', to_jsonb(k)) FROM billing.exchange_rate AS k WHERE 'EUR' <> ALL (SELECT currency FROM chain)
		UNION ALL SELECT 4 - depth, pg_temp.insertion('tariff', to_jsonb(chain) - 'depth') FROM chain
		UNION ALL SELECT 5, pg_temp.insertion('rate', to_jsonb(k)) FROM oracle_rate AS k WHERE tariff_id IN (SELECT id FROM chain)
		UNION ALL SELECT 6, pg_temp.insertion('rate_step', to_jsonb(k)) FROM billing.rate_step AS k JOIN oracle_rate AS r ON r.id = k.rate_id WHERE r.tariff_id IN (SELECT id FROM chain)
		UNION ALL SELECT 7, pg_temp.insertion('account', to_jsonb(k)) FROM billing.account AS k JOIN c ON c.list = k.id
		UNION ALL SELECT 8, pg_temp.insertion('service', to_jsonb(k)) FROM billing.service AS k JOIN c ON c.list = k.account_id
		UNION ALL SELECT 9, pg_temp.insertion('cdr', jsonb_build_object('id', i, 'call_id', i, 'started_at', at, 'answered_at', CASE WHEN answered THEN at END, 'billsec', seconds,
			'disposition', CASE WHEN answered THEN 'ANSWERED' ELSE 'BUSY' END, 'callee', number, 'auth_code', list)) FROM c
		UNION ALL SELECT 10, format('SELECT is(format(''%%s %%s %%s %%s'', customer_rate_id, customer_billsec, customer_amount, customer_reason), %L) FROM billing.cdr WHERE id = %s;	-- got %s %s %s %s',
			format('%s %s %s %s', a.rate_id, a.billsec, a.amount::numeric(20, 8), a.reason), d.id, d.customer_rate_id, d.customer_billsec, d.customer_amount, d.customer_reason)
		FROM answer AS a JOIN billing.cdr AS d ON d.id = a.i WHERE a.i = call_number) AS l
$$;

CREATE TEMP TABLE wrong AS SELECT a.i, count(*) OVER () AS n FROM answer AS a LEFT JOIN billing.cdr AS d ON d.id = a.i
WHERE (a.rate_id, a.billsec, a.amount, a.reason) IS DISTINCT FROM (d.customer_rate_id, d.customer_billsec, d.customer_amount, d.customer_reason);
SELECT diag(pg_temp.pasted(i)) FROM (SELECT i FROM wrong JOIN oracle_call USING (i) ORDER BY seconds, i LIMIT 3) AS w;
SELECT is(count(*), 0::bigint, format('readings 15 to 18, design 5.5: rate, billed seconds and amount of %s random calls are those of the oracle, to the last digit', (SELECT count(*) FROM answer))) FROM wrong;

-- The property must have had something to prove.
SELECT ok((SELECT count(*) FROM oracle_call) = :calls, 'every call was drawn');
SELECT ok(count(*) >= 100, 'a hundred calls last more than 24 hours') FROM oracle_call WHERE seconds > 86400;
CREATE TEMP TABLE seen AS SELECT a.i, c.seconds, c.at, pg_temp.oracle_terms(a.rate_id) AS r, a.amount, a.reason FROM answer AS a JOIN oracle_call AS c USING (i);
SELECT ok(count(*) FILTER (WHERE (r).boundary = s) > :calls / 10, 'a tenth of the calls has boundary ' || s) FROM seen, unnest(ARRAY['start', 'split']) AS s GROUP BY s ORDER BY s;
SELECT ok(count(DISTINCT (r).rounding_mode) = 4 AND count(DISTINCT (r).rounding_digits) = 13 AND count(DISTINCT (r).duration_rounding) = 3, 'every rounding mode, digit and duration rounding is met') FROM seen;
SELECT ok(count(*) FILTER (WHERE amount IS NOT NULL) > :calls / 2, 'most calls have an amount') FROM seen;
SELECT ok(count(*) FILTER (WHERE amount < 0) > :calls / 50, 'some are paid') FROM seen;
SELECT ok(count(*) > :calls / 100, 'some have no amount: ' || reason) FROM seen WHERE reason IN ('no_rate', 'blocked') GROUP BY reason ORDER BY reason;
SELECT ok(count(*) > 0, 'some are out of range') FROM seen WHERE reason = 'amount_out_of_range';
SELECT * FROM finish();
ROLLBACK;
