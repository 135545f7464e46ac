-- boundary = split: increments are laid out from the answer, each priced by its own start (readings 15 to 17, design 5.5).
BEGIN;
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS billing CASCADE;
SELECT billing.create_ledger();
SELECT no_plan();

-- Inserts one row of the catalogue, as named.
CREATE FUNCTION pg_temp.put(tab text, vals jsonb) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	cols text := (SELECT string_agg(quote_ident(k), ', ') FROM jsonb_object_keys(vals) AS k);
	id bigint;
BEGIN
	EXECUTE format('INSERT INTO billing.%1$I (%2$s) SELECT %2$s FROM jsonb_populate_record(NULL::billing.%1$I, $1) RETURNING id', tab, cols) INTO id USING vals;
	RETURN id;
END $$;

-- A price list that splits, its rates, and the account that is sold by it and has its name as auth-code.
CREATE FUNCTION pg_temp.list(name text, calendar text, terms jsonb, rates jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	t bigint := pg_temp.put('tariff', '{"currency": "EUR", "boundary": "split"}' || terms || jsonb_build_object('name', name, 'calendar_id', (SELECT c.id FROM billing.calendar AS c WHERE c.name = calendar)));
	a bigint := pg_temp.put('account', jsonb_build_object('name', name, 'currency', 'EUR', 'tariff_id', t));
BEGIN
	PERFORM pg_temp.put('service', jsonb_build_object('account_id', a, 'kind', 'auth_code', 'identifier', name));
	PERFORM pg_temp.put('rate', '{"prefix": ""}' || r || jsonb_build_object('tariff_id', t)) FROM jsonb_array_elements(rates) AS r;
END $$;

CREATE FUNCTION pg_temp.call(raw jsonb) RETURNS billing.cdr LANGUAGE sql AS $$
	INSERT INTO billing.cdr SELECT r.* FROM jsonb_populate_record(NULL::billing.cdr, '{"source": "", "disposition": "ANSWERED", "callee": "442079460000"}' || raw) AS r RETURNING *
$$;
-- Billed seconds, amount and reason of a call that was answered at an instant.
CREATE FUNCTION pg_temp.pays(code text, at timestamptz, seconds numeric) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', c.customer_billsec || ' s', trim_scale(c.customer_amount), c.customer_reason)
	FROM pg_temp.call(jsonb_build_object('auth_code', code, 'started_at', at - interval '10 minutes', 'answered_at', at, 'billsec', seconds)) AS c
$$;

-- Vilnius is 2 hours before UTC in winter and 3 in summer, New York 5 and 4 behind it.
INSERT INTO billing.calendar (name, timezone) VALUES ('bands', 'Europe/Vilnius'), ('days', 'Europe/Vilnius'), ('NY days', 'America/New_York'), ('hours', 'Europe/Vilnius'), ('NY hours', 'America/New_York');
INSERT INTO billing.calendar_band (calendar_id, day_type, band, starts, ends) SELECT c.id, v.day_type, v.band, v.starts::time, v.ends::time FROM billing.calendar AS c JOIN (VALUES
	('bands', 'work', 'peak', '08:00', '20:00'), ('bands', 'work', 'evening', '20:00', '22:00'), ('bands', 'any', 'night', '23:00', '06:00'),
	('hours', 'any', 'early', '02:00', '03:10'), ('hours', 'any', 'lost', '03:10', '03:15'), ('hours', 'any', 'twice', '03:20', '03:40'), ('hours', 'any', 'late', '03:50', '04:30'),
	('NY hours', 'any', 'night', '01:30', '02:30')) AS v (calendar, day_type, band, starts, ends) ON v.calendar = c.name;
INSERT INTO billing.calendar_day (calendar_id, date, day_type, name) SELECT c.id, v.date::date, v.day_type, v.day FROM billing.calendar AS c JOIN (VALUES
	('days', '2026-02-16', 'free', 'a Monday that is a holiday'), ('days', '2026-02-28', 'work', 'a Saturday that is worked'), ('bands', '2026-12-25', 'free', 'a Friday that is a holiday')) AS v (calendar, date, day_type, day) ON v.calendar = c.name;

-- 0.60 a minute is 0.01 a second, 0.30 is 0.005, 0.12 is 0.002, 0.06 is 0.001. The first increment is 1 s and each next one 1 s, where nothing else is said.
SELECT pg_temp.list('bands', 'bands', '{}', '[{"price": 0.30}, {"band": "peak", "price": 0.60}, {"band": "night", "price": 0.06}]');
SELECT pg_temp.list('whole', 'bands', '{"boundary": "start"}', '[{"price": 0.30}, {"band": "peak", "price": 0.60}, {"band": "night", "price": 0.06}]');
SELECT pg_temp.list('days', 'days', '{}', '[{"day_type": "work", "price": 0.60}, {"day_type": "free", "price": 0.12}]');
SELECT pg_temp.list('NY days', 'NY days', '{}', '[{"day_type": "work", "price": 0.60}, {"day_type": "free", "price": 0.12}]');

-- The end and the beginning of peak, on Monday 2 March. 20:00 is 18:00 UTC.
SELECT is(pg_temp.pays('whole', '2026-03-02 17:59:00+00', 120), '120 s 1.2', 'reading 15: start: the whole call at the price at which it began: 120 * 0.01');
SELECT is(pg_temp.pays('bands', '2026-03-02 17:59:00+00', 120), '120 s 0.9', 'reading 15: split: over the end of peak: 60 * 0.01 + 60 * 0.005');
SELECT is(pg_temp.pays('bands', '2026-03-02 17:59:00+00', 60), '60 s 0.6', 'reading 17: a call that ends with the window is all within it');
SELECT is(pg_temp.pays('bands', '2026-03-02 17:59:00+00', 61), '61 s 0.605', 'reading 17: the second that begins at its end is not');
SELECT is(pg_temp.pays('bands', '2026-03-02 18:00:00+00', 60), '60 s 0.3', 'reading 17: a call that begins at its end is not');
SELECT is(pg_temp.pays('whole', '2026-03-02 18:00:00+00', 60), '60 s 0.3', 'reading 17: half open also with boundary start');
SELECT is(pg_temp.pays('whole', '2026-03-02 17:59:59.999999+00', 60), '60 s 0.6', 'reading 17: a microsecond before, it is');
SELECT is(pg_temp.pays('bands', '2026-03-02 05:59:30+00', 90), '90 s 0.75', 'reading 15: into peak: 30 * 0.005 + 60 * 0.01');
SELECT is(pg_temp.pays('bands', '2026-03-02 03:59:30+00', 90), '90 s 0.33', 'reading 15: out of the night: 30 * 0.001 + 60 * 0.005');
SELECT is(pg_temp.pays('bands', '2026-03-02 20:59:30+00', 90), '90 s 0.21', 'reading 15: into the night: 30 * 0.005 + 60 * 0.001');
SELECT is(pg_temp.pays('bands', '2026-03-02 21:59:30+00', 60), '60 s 0.06', 'reading 17: a night that wraps midnight is one: 60 * 0.001');
-- Increments start at 19:59:59.5, 20:00:00.5
SELECT is(pg_temp.pays('bands', '2026-03-02 17:59:59.5+00', 2), '2 s 0.015', 'reading 15: an increment is priced by its start, to the microsecond: 0.01 + 0.005');
SELECT is(pg_temp.pays('bands', '2026-03-02 17:59:59+00', 1.2), '2 s 0.015', 'reading 20: rounded up to 2 s, the second one begins behind the boundary: 0.01 + 0.005');

-- Midnight: Friday 6 to Saturday 7, Sunday 8 to Monday 9 March. 00:00 is 22:00 UTC.
SELECT is(pg_temp.pays('days', '2026-03-06 21:59:30+00', 60), '60 s 0.36', 'reading 15: over midnight into a free day: 30 * 0.01 + 30 * 0.002');
SELECT is(pg_temp.pays('days', '2026-03-08 21:59:30+00', 45), '45 s 0.21', 'reading 15: over midnight into a work day: 30 * 0.002 + 15 * 0.01');
SELECT is(pg_temp.pays('days', '2026-03-09 21:59:30+00', 60), '60 s 0.6', 'reading 15: a midnight between work days is none: 60 * 0.01');
-- A holiday's edges
SELECT is(pg_temp.pays('days', '2026-02-15 21:59:50+00', 60), '60 s 0.12', 'reading 18: Sunday into a Monday that is a holiday: 60 * 0.002');
SELECT is(pg_temp.pays('days', '2026-02-16 21:59:50+00', 60), '60 s 0.52', 'reading 18: out of the holiday: 10 * 0.002 + 50 * 0.01');
SELECT is(pg_temp.pays('days', '2026-02-27 21:59:50+00', 60), '60 s 0.6', 'reading 14: Friday into a Saturday that is worked: 60 * 0.01');
SELECT is(pg_temp.pays('days', '2026-02-28 21:59:50+00', 60), '60 s 0.2', 'reading 14: out of it: 10 * 0.01 + 50 * 0.002');
-- Thursday 24 to Friday 25 December: the night goes on, the day type changes; at 06:00 the night ends and no peak begins at 08:00
SELECT is(pg_temp.pays('bands', '2026-12-24 21:59:50+00', 60), '60 s 0.06', 'reading 17: the night is for any day: 60 * 0.001');
SELECT is(pg_temp.pays('bands', '2026-12-25 05:59:30+00', 60), '60 s 0.3', 'reading 18: no peak begins on a holiday: 60 * 0.005');
SELECT is(pg_temp.pays('bands', '2026-12-24 17:59:30+00', 60), '60 s 0.45', 'reading 18: on the day before it does: 30 * 0.01 + 30 * 0.005');

-- Clocks forward, Vilnius: Sunday 29 March, 03:00 becomes 04:00 at 01:00 UTC. "early" is cut short, "lost" and "twice" never are, "late" has begun.
SELECT pg_temp.list('early', 'hours', '{}', '[{"price": 0.60}, {"band": "early", "price": 0.06}]');
SELECT pg_temp.list('lost', 'hours', '{}', '[{"price": 0.60}, {"band": "lost", "price": 6}, {"band": "twice", "price": 6}]');
SELECT pg_temp.list('twice', 'hours', '{}', '[{"price": 0.60}, {"band": "twice", "price": 0.06}]');
SELECT pg_temp.list('late', 'hours', '{}', '[{"price": 0.60}, {"band": "late", "price": 0.06}]');
SELECT is(pg_temp.pays('early', '2026-03-29 00:59:30+00', 60), '60 s 0.33', 'reading 16: Vilnius forward: a window ends where the clock is put forward: 30 * 0.001 + 30 * 0.01');
-- from 02:00 (00:00 UTC) there are 3,600 s of it and not 4,200
SELECT is(pg_temp.pays('early', '2026-03-28 23:00:00+00', 10800), '10800 s 75.6', 'reading 16: Vilnius forward: 70 minutes of a window last 60: 3600 * 0.001 + 7200 * 0.01');
SELECT is(pg_temp.pays('lost', '2026-03-29 00:00:00+00', 7200), '7200 s 72', 'reading 16: Vilnius forward: a window within the hour that is left out never holds: 7200 * 0.01');
SELECT is(pg_temp.pays('late', '2026-03-29 00:59:30+00', 60), '60 s 0.33', 'reading 16: Vilnius forward: at 04:00 a window from 03:50 holds: 30 * 0.01 + 30 * 0.001');
-- of "late", 04:00 to 04:30 are left: 1,800 s
SELECT is(pg_temp.pays('late', '2026-03-29 00:00:00+00', 7200), '7200 s 55.8', 'reading 16: Vilnius forward: what is left of it: 1800 * 0.001 + 5400 * 0.01');
-- from Sunday 00:00 (22:00 UTC): 23 hours are 82,800 s
SELECT is(pg_temp.pays('days', '2026-03-28 22:00:00+00', 86400), '86400 s 201.6', 'reading 16: Vilnius: a day of 23 hours: 82800 * 0.002 + 3600 * 0.01');
SELECT is(pg_temp.pays('days', '2026-03-28 22:00:00+00', 82800), '82800 s 165.6', 'reading 16: Vilnius: all of a day of 23 hours: 82800 * 0.002');

-- Clocks back, Vilnius: Sunday 25 October, 04:00 becomes 03:00 at 01:00 UTC. 03:20 is 00:20 and 01:20 UTC.
SELECT is(pg_temp.pays('twice', '2026-10-25 00:19:30+00', 60), '60 s 0.33', 'reading 16: Vilnius back: the first time: 30 * 0.01 + 30 * 0.001');
SELECT is(pg_temp.pays('twice', '2026-10-25 01:19:30+00', 60), '60 s 0.33', 'reading 16: Vilnius back: and again');
SELECT is(pg_temp.pays('twice', '2026-10-25 00:00:00+00', 7200), '7200 s 50.4', 'reading 16: Vilnius back: a window of 20 minutes lasts twice 20: 2400 * 0.001 + 4800 * 0.01');
-- "late" from 03:50 is 00:50 to 01:00 UTC, then 01:50 to 02:30 UTC: 600 + 2,400 s
SELECT is(pg_temp.pays('late', '2026-10-25 00:59:30+00', 60), '60 s 0.33', 'reading 16: Vilnius back: at 03:00 it does not hold any more: 30 * 0.001 + 30 * 0.01');
SELECT is(pg_temp.pays('late', '2026-10-25 00:00:00+00', 10800), '10800 s 81', 'reading 16: Vilnius back: and holds again: 3000 * 0.001 + 7800 * 0.01');
-- "early" from 02:00 is 23:00 to 00:10 UTC, 03:00 to 03:10 again 01:00 to 01:10 UTC: 4,200 + 600 s
SELECT is(pg_temp.pays('early', '2026-10-24 22:00:00+00', 14400), '14400 s 100.8', 'reading 16: Vilnius back: the clock goes back into a window: 4800 * 0.001 + 9600 * 0.01');
-- from Sunday 00:00 (21:00 UTC): 25 hours are 90,000 s
SELECT is(pg_temp.pays('days', '2026-10-24 21:00:00+00', 90001), '90001 s 180.01', 'reading 16: Vilnius: a day of 25 hours: 90000 * 0.002 + 0.01');

-- New York: Sunday 8 March, 02:00 becomes 03:00 at 07:00 UTC; Sunday 1 November, 02:00 becomes 01:00 at 06:00 UTC
SELECT pg_temp.list('NY', 'NY hours', '{}', '[{"price": 0.60}, {"band": "night", "price": 0.06}]');
SELECT is(pg_temp.pays('NY', '2026-03-08 06:59:30+00', 60), '60 s 0.33', 'reading 16: New York forward: 30 * 0.001 + 30 * 0.01');
SELECT is(pg_temp.pays('NY', '2026-03-08 06:00:00+00', 7200), '7200 s 55.8', 'reading 16: New York forward: an hour''s window lasts half an hour: 1800 * 0.001 + 5400 * 0.01');
-- 01:30 to 02:00 is 05:30 to 06:00 UTC, then 01:30 to 02:30 is 06:30 to 07:30 UTC
SELECT is(pg_temp.pays('NY', '2026-11-01 05:00:00+00', 10800), '10800 s 59.4', 'reading 16: New York back: an hour''s window lasts one and a half: 5400 * 0.001 + 5400 * 0.01');
SELECT is(pg_temp.pays('NY', '2026-11-01 05:59:30+00', 60), '60 s 0.33', 'reading 16: New York back: 30 * 0.001 + 30 * 0.01');
SELECT is(pg_temp.pays('NY days', '2026-03-08 05:00:00+00', 86400), '86400 s 201.6', 'reading 16: New York: a day of 23 hours: 82800 * 0.002 + 3600 * 0.01');
SELECT is(pg_temp.pays('NY days', '2026-11-01 04:00:00+00', 90060), '90060 s 180.6', 'reading 16: New York: a day of 25 hours: 90000 * 0.002 + 60 * 0.01');

-- First and next increments: those of the rate at the start, then each rate's own next one. 20:00 is 18:00 UTC.
SELECT pg_temp.list('increments', 'bands', '{"first_increment": 30}', '[{"price": 0.30, "next_increment": 6, "first_price": 9}, {"band": "peak", "price": 0.60, "next_increment": 60, "first_price": 1.20}]');
-- 30 s at 1.20 = 0.60; from 19:59:30 60 s at 0.60 = 0.60; from 20:00:30 twice 6 s at 0.30 = 0.06
SELECT is(pg_temp.pays('increments', '2026-03-02 17:59:00+00', 100), '102 s 1.26', 'reading 15: each increment by the rate in which it starts, next_increment after the first');
-- 30 s at 1.20 = 0.60 though 20 s of them are behind the boundary; then 6 s at 0.30 = 0.03
SELECT is(pg_temp.pays('increments', '2026-03-02 17:59:50+00', 31), '36 s 0.63', 'reading 15: the first increment is not cut');
-- 0.60, 0.60 from 19:59:40 to 20:00:40, then 6 s at 0.30 = 0.03
SELECT is(pg_temp.pays('increments', '2026-03-02 17:59:10+00', 91), '96 s 1.23', 'reading 15: nor is a later one');
-- into peak (08:00 is 06:00 UTC): 30 s at 9 = 4.50; from 07:59:50 twice 6 s at 0.30 = 0.06; from 08:00:02 60 s at 0.60
SELECT is(pg_temp.pays('increments', '2026-03-02 05:59:20+00', 50), '102 s 5.16', 'reading 15: no re-rounding at the boundary, first_price at the start only');
SELECT pg_temp.list('no first', 'bands', '{"first_increment": 0}', '[{"price": 0.30, "next_increment": 6}, {"band": "peak", "price": 0.60, "next_increment": 60}]');
-- 60 s from 19:59:30 at 0.60; then 6 s at 0.30 = 0.03
SELECT is(pg_temp.pays('no first', '2026-03-02 17:59:30+00', 61), '66 s 0.63', 'reading 15: first_increment 0: the first one is the next one of the rate at the start');

-- Steps: seconds of the call; those of the rate in whose band the increment starts
SELECT pg_temp.list('steps', 'bands', '{"first_increment": 30, "next_increment": 60}', '[{"price": 0.30}, {"band": "peak", "price": 0.60}]');
INSERT INTO billing.rate_step (rate_id, from_second, price, increment) SELECT r.id, CASE WHEN band = 'peak' THEN 60 ELSE 120 END, CASE WHEN band = 'peak' THEN 0.06 ELSE 0.03 END, CASE WHEN band = 'peak' THEN 30 ELSE 1 END
FROM billing.rate AS r JOIN billing.tariff AS t ON t.id = r.tariff_id AND t.name = 'steps';
-- boundary at 90: 30 s at 0.60 = 0.30, from 30 60 s at 0.60 = 0.60, from 90 60 s at 0.30 = 0.30, from 150 10 s at 0.03 = 0.005
SELECT is(pg_temp.pays('steps', '2026-03-02 17:58:30+00', 160), '160 s 1.205', 'K22, reading 15: after the boundary the steps are the later rate''s');
-- boundary at 120: 0.30, 0.60, from 90 30 s at 0.06 = 0.03, from 120 40 s at 0.03 = 0.02
SELECT is(pg_temp.pays('steps', '2026-03-02 17:58:00+00', 160), '160 s 0.95', 'K22, reading 15: before it the first one''s');

-- Free seconds, grace, fee, minimum, maximum, surcharge and rounding are the starting rate's
SELECT pg_temp.list('free', 'bands', '{"first_increment": 10, "next_increment": 10}', '[{"price": 0.30, "free_seconds": 0}, {"band": "peak", "price": 0.60, "free_seconds": 60}]');
-- 10 s at 0.60 = 0.10; nothing to 70; from 70, behind the boundary at 60, three times 10 s at 0.30 = 0.15
SELECT is(pg_temp.pays('free', '2026-03-02 17:59:00+00', 95), '40 s 0.25', 'C19, reading 15: free seconds over the boundary');
SELECT is(pg_temp.pays('free', '2026-03-02 17:59:00+00', 70), '10 s 0.1', 'C19, reading 15: a call within them');
-- from off-peak without free seconds, at 07:59:50: 10 s at 0.30 = 0.05, 10 s at 0.60 = 0.10
SELECT is(pg_temp.pays('free', '2026-03-02 05:59:50+00', 20), '20 s 0.15', 'C19, reading 15: the later rate''s free seconds are not asked');
SELECT pg_temp.list('terms', 'bands', '{}', '[{"price": 0.30, "grace_seconds": 100, "connect_fee": 0.50, "min_amount": 5}, {"band": "peak", "price": 0.60, "grace_seconds": 30, "connect_fee": 0.05}]');
SELECT is(pg_temp.pays('terms', '2026-03-02 17:59:45+00', 30), '0 s 0', 'K18, reading 15: within grace, over the boundary');
-- 0.05 + 15 * 0.01 + 16 * 0.005 = 0.28
SELECT is(pg_temp.pays('terms', '2026-03-02 17:59:45+00', 31), '31 s 0.28', 'K18, reading 15: grace, fee and minimum are those of the start; the fee once');
SELECT is(pg_temp.pays('terms', '2026-03-02 05:59:30+00', 100), '0 s 0', 'K18, reading 15: and of the other start');
-- 0.50 + 30 * 0.005 + 71 * 0.01 = 1.36, at least 5
SELECT is(pg_temp.pays('terms', '2026-03-02 05:59:30+00', 101), '101 s 5', 'reading 15: the minimum of the start');
SELECT pg_temp.list('more', 'bands', '{}', '[{"price": 0.30, "surcharge_percent": 900, "rounding_digits": 0}, {"band": "peak", "price": 0.60, "surcharge_percent": 10, "rounding_digits": 2, "max_amount": 1}]');
-- (30 * 0.01 + 30 * 0.005) * 1.1 = 0.495
SELECT is(pg_temp.pays('more', '2026-03-02 17:59:30+00', 60), '60 s 0.5', 'reading 15: surcharge and rounding of the start');
-- (30 * 0.01 + 300 * 0.005) * 1.1 = 1.98
SELECT is(pg_temp.pays('more', '2026-03-02 17:59:30+00', 330), '330 s 1', 'reading 15: the maximum of the start, over all of the call');
SELECT is((SELECT band FROM billing.rate WHERE id = (pg_temp.call('{"auth_code": "more", "started_at": "2026-03-02 17:59:30+00", "billsec": 330}')).customer_rate_id), 'peak', 'reading 15: the row names the rate at the start');
SELECT is(pg_temp.pays('more', '2026-03-02 17:59:30+00', 0), '0 s 0', 'reading 19: 0 s cost nothing');
SELECT pg_temp.list('paid', 'bands', '{}', '[{"price": 0.30}, {"band": "peak", "price": -0.60}]');
SELECT is(pg_temp.pays('paid', '2026-03-02 17:59:30+00', 60), '60 s -0.15', 'reading 15: a negative price within a call: 30 * -0.01 + 30 * 0.005');
SELECT is(pg_temp.pays('paid', '2026-03-02 17:59:30+00', 90), '90 s 0', 'reading 15: 30 * -0.01 + 60 * 0.005 = 0');
-- a rate may say start where its list says split, and the other way round; the starting rate decides
SELECT pg_temp.list('own boundary', 'bands', '{}', '[{"price": 0.30}, {"band": "peak", "price": 0.60, "boundary": "start"}]');
SELECT is(pg_temp.pays('own boundary', '2026-03-02 17:59:30+00', 60), '60 s 0.6', 'reading 15: the boundary of the rate at the start: start');
SELECT is(pg_temp.pays('own boundary', '2026-03-02 05:59:30+00', 60), '60 s 0.45', 'reading 15: the boundary of the rate at the start: split: 30 * 0.005 + 30 * 0.01');

-- A later band that is blocked, or has no rate: the price before goes on
SELECT pg_temp.list('blocked', 'bands', '{}', '[{"price": 0.30}, {"band": "peak", "price": 0.60}, {"band": "evening", "price": 9, "blocked": true}]');
SELECT is(pg_temp.pays('blocked', '2026-03-02 17:59:30+00', 60), '60 s 0.6', 'design 5.5: a later band that is blocked: the price before goes on: 60 * 0.01');
-- evening from 20:00 to 22:00, then any until 23:00: 30 + 7200 s at 0.01 = 72.30, 30 s at 0.005 = 0.15
SELECT is(pg_temp.pays('blocked', '2026-03-02 17:59:30+00', 7260), '7260 s 72.45', 'design 5.5: until one has a price again');
SELECT is(pg_temp.pays('blocked', '2026-03-02 18:00:00+00', 60), 'blocked', 'a call that begins there is blocked');
SELECT pg_temp.list('gap', 'bands', '{}', '[{"band": "peak", "price": 0.60, "next_increment": 30}, {"band": "night", "price": 0.06}]');
-- 1 + 241 * 30 = 7231 s is the first start at or after 19:59:30 + 3 h 30 m (23:00 is at 10,830 s): 1 + 361 * 30 = 10,831. Until then 0.60, then 29 s at 0.06 to 10,860
SELECT is(pg_temp.pays('gap', '2026-03-02 17:59:30+00', 10860), '10860 s 108.339', 'design 5.5: a later band without a rate: price and increment before go on: 10831 * 0.01 + 29 * 0.001');
SELECT is(pg_temp.pays('gap', '2026-03-02 18:00:00+00', 60), 'no_rate', 'a call that begins there has no rate');
-- the other prefixes are the number's too: 4420 has a price for the evening only, 44 for any time
SELECT pg_temp.list('prefixes', 'bands', '{}', '[{"prefix": "44", "price": 0.60}, {"prefix": "4420", "band": "evening", "price": 0.06}]');
SELECT is(pg_temp.pays('prefixes', '2026-03-02 17:59:30+00', 60), '60 s 0.33', 'design 5.4, 5.5: each increment looks for the number anew, the longest prefix of its band: 30 * 0.01 + 30 * 0.001');

-- valid_from within a call is no boundary, of a rate, of windows, of terms
SELECT pg_temp.list('dated', 'bands', '{}', '[{"price": 0.30}, {"price": 3, "valid_from": "2026-03-02 17:59:30+00"}, {"band": "peak", "price": 0.60}, {"band": "peak", "price": 6, "valid_from": "2026-03-02 10:00:00+00"}]');
SELECT is(pg_temp.pays('dated', '2026-03-02 09:59:30+00', 60), '60 s 0.6', 'reading 15: valid_from within the call is no boundary: 60 * 0.01');
-- 0.10 a second by the version of 10:00; off-peak by the version before 17:59:30, for the call began at 17:59:00
SELECT is(pg_temp.pays('dated', '2026-03-02 17:59:00+00', 120), '120 s 6.3', 'reading 15: behind a boundary too, versions are those of the start: 60 * 0.10 + 60 * 0.005');
INSERT INTO billing.calendar (name, timezone) VALUES ('two sets', 'Europe/Vilnius');
INSERT INTO billing.calendar_band (calendar_id, valid_from, day_type, band, starts, ends) SELECT id, v.valid_from::timestamptz, 'any', v.band, v.starts::time, v.ends::time FROM billing.calendar, (VALUES
	('-infinity', 'peak', '08:00', '20:00'), ('2026-03-02 10:00:00+00', 'peak', '08:00', '09:00'), ('2026-03-02 10:00:00+00', 'night', '13:00', '14:00')) AS v (valid_from, band, starts, ends) WHERE name = 'two sets';
SELECT pg_temp.list('two sets', 'two sets', '{}', '[{"price": 0.30}, {"band": "peak", "price": 0.60}, {"band": "night", "price": 0.06}]');
SELECT is(pg_temp.pays('two sets', '2026-03-02 09:59:30+00', 60), '60 s 0.6', 'reading 15: nor is the valid_from of windows: 60 * 0.01');
SELECT is(pg_temp.pays('two sets', '2026-03-02 10:00:00+00', 60), '60 s 0.3', 'a call that begins with the new set has it: 60 * 0.005');
-- 13:00 is 11:00 UTC: the new set has a window there, the old one has peak until 18:00 UTC
SELECT is(pg_temp.pays('two sets', '2026-03-02 10:59:30+00', 60), '60 s 0.18', 'a new set replaces all of the old one: 30 * 0.005 + 30 * 0.001');
SELECT is(pg_temp.pays('two sets', '2026-03-02 09:00:00+00', 7260), '7260 s 72.6', 'reading 15: a call that began before keeps the old set: 7260 * 0.01');

-- A list by its base behind a boundary, and the base by its own calendar
SELECT pg_temp.list('base', 'NY hours', '{"boundary": "start"}', '[{"price": 0.30}, {"band": "night", "price": 0.12}]');
SELECT pg_temp.list('own', 'bands', jsonb_build_object('base_tariff_id', id), '[{"band": "peak", "price": 0.60}]') FROM billing.tariff WHERE name = 'base';
-- 08:30 in Vilnius is 01:30 in New York, 06:30 UTC; 08:00 is 06:00 UTC
SELECT is(pg_temp.pays('own', '2026-03-02 17:59:30+00', 60), '60 s 0.45', 'design 3, 5.5: behind the end of peak the base has the price: 30 * 0.01 + 30 * 0.005');
SELECT is(pg_temp.pays('own', '2026-03-07 06:29:30+00', 60), '60 s 0.3', 'design 5.5: the boundary is that of the rate at the start, which is the base''s: 60 * 0.005');
-- Saturday: no peak; the base alone; Monday: from peak the base's window is not asked, the list itself has a price
SELECT is(pg_temp.pays('own', '2026-03-02 06:29:30+00', 60), '60 s 0.6', 'design 3: while the list has a price its base is not asked: 60 * 0.01');

-- 24 hours: Monday 2 March 00:00 is 22:00 UTC. Night 6 + 1 h, 0.001: 25.20; peak 12 h, 0.01: 432; the rest 5 h, 0.005: 90
SELECT is(pg_temp.pays('bands', '2026-03-01 22:00:00+00', 86400), '86400 s 547.2', 'a call of 24 hours: 25200 * 0.001 + 43200 * 0.01 + 18000 * 0.005');
-- 30 days of 86,400 s from there, to 1 April 01:00. Free are 7, 8, 14, 15, 21, 22, 28 March and the 29th with its 23 hours: 7 * 86400 + 82800 = 687,600 s, 0.002: 1375.20; the rest 1,904,400 s, 0.01: 19044
SELECT is(pg_temp.pays('days', '2026-03-01 22:00:00+00', 2592000), '2592000 s 20419.2', 'a call of 30 days: 687600 * 0.002 + 1904400 * 0.01');
-- by the minute: every boundary lies on a whole minute, so the same
UPDATE billing.tariff SET first_increment = 60, next_increment = 60, terms_from = '2026-03-01 00:00+00' WHERE name = 'days';
SELECT is(pg_temp.pays('days', '2026-03-01 22:00:00+00', 2591941), '2592000 s 20419.2', 'a call of 30 days by the minute');
-- a year: 365 days of work
SELECT is(pg_temp.pays('whole', '2026-03-02 17:00:00+00', 31536000), '31536000 s 315360', 'a call of a year by the price at its start: 31536000 * 0.01');

-- Providers and resellers split by their own lists: sold by bands, bought by days
INSERT INTO billing.account (name, is_provider, currency, tariff_id) SELECT 'carrier', true, 'EUR', id FROM billing.tariff WHERE name = 'NY';
INSERT INTO billing.service (account_id, side, kind, identifier) SELECT id, 'provider', 'auth_code', 'carrier' FROM billing.account WHERE name = 'carrier';
INSERT INTO billing.account (name, currency, tariff_id, parent_id) SELECT 'booth', 'EUR', tariff_id, (SELECT id FROM billing.account WHERE name = 'twice') FROM billing.account WHERE name = 'late';
INSERT INTO billing.service (account_id, kind, identifier) SELECT id, 'auth_code', 'booth' FROM billing.account WHERE name = 'booth';
-- booth, by "late": 30 * 0.01 + 30 * 0.001 at 00:50 UTC; its parent by "twice": 60 * 0.01; the carrier by NY (20:49:30 there): 60 * 0.01, which we pay
SELECT is(format('%s %s %s', trim_scale(c.customer_amount), trim_scale(c.reseller_amount), trim_scale(c.provider_amount)), '0.33 0.6 -0.6', 'P3, P8: each leg splits by its own calendar and list')
FROM pg_temp.call('{"auth_code": "booth", "provider_code": "carrier", "started_at": "2026-10-25 00:49:30+00", "billsec": 60}') AS c;
-- 01:29:30 in New York, 05:29:30 UTC on Monday 2 March + 1 hour of winter time: 06:29:30 UTC
SELECT is(trim_scale(c.provider_amount), -0.33, 'P3, P8: a provider''s leg over a boundary: -(30 * 0.01 + 30 * 0.001)') FROM pg_temp.call('{"auth_code": "late", "provider_code": "carrier", "started_at": "2026-03-02 06:29:30+00", "billsec": 60}') AS c;

SELECT * FROM finish();
ROLLBACK;
