-- Calendars: work and free days, bands, holidays, and the prices chosen by them
-- (K12, K15, V8, V9, V19-V21, P14, readings 14, 16-18; design 3).
BEGIN;
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS billing CASCADE;
SELECT billing.create_ledger();
SELECT no_plan();

-- SQLSTATE with which a statement is refused, and that a hint comes along; null: it passes. Nothing stays.
CREATE FUNCTION pg_temp.refusal(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	state text;
	hint text;
BEGIN
	EXECUTE statement;
	RAISE SQLSTATE 'ZZZZZ';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, hint = PG_EXCEPTION_HINT;
	RETURN CASE WHEN state <> 'ZZZZZ' THEN state || CASE WHEN hint = '' THEN ' without hint' ELSE '' END END;
END $$;

-- Calendar 1: Lithuania, peak on work days 08:00 to 20:00; 2: New York, bands for every hour of the week.
INSERT INTO billing.calendar (id, name, timezone, is_default) VALUES (1, 'LT', 'Europe/Vilnius', true), (2, 'US', 'America/New_York', false), (3, 'unused', 'UTC', false);
INSERT INTO billing.calendar_band (calendar_id, day_type, weekdays, band, starts, ends) VALUES
	(1, 'work', NULL, 'peak', '08:00', '20:00'),
	(2, 'work', NULL, 'day', '07:00', '19:00'), (2, 'work', NULL, 'evening', '19:00', '23:00'), (2, 'work', NULL, 'night', '23:00', '07:00'),
	(2, 'free', NULL, 'weekend', '00:00', '24:00'), (2, 'any', '{7}', 'sunday', '09:00', '12:00');
INSERT INTO billing.calendar_day (calendar_id, date, day_type, name) VALUES
	(1, '2026-12-25', 'free', 'Kalėdos'), (1, '2026-12-26', 'free', 'Antroji Kalėdų diena'), (1, '2026-12-19', 'work', 'worked Saturday'), (2, '2026-07-03', 'free', 'Independence Day (observed)');

-- 2026-12-21 is a Monday; Vilnius is two hours ahead of UTC in winter, three in summer.
SELECT results_eq(format('SELECT day_type, band FROM billing.calendar_at(%s, %L)', v.calendar, v.instant), format('VALUES (%L::text, %L::text)', v.day_type, v.band), v.what)
FROM (VALUES
	(1, '2026-12-21 07:59:59+02', 'work', NULL, 'V19: before peak'),
	(1, '2026-12-21 08:00:00+02', 'work', 'peak', 'reading 17: a window holds from its start'),
	(1, '2026-12-21 19:59:59.999999+02', 'work', 'peak', 'reading 17: to before its end'),
	(1, '2026-12-21 20:00:00+02', 'work', NULL, 'reading 17: its end is outside'),
	(1, '2026-12-20 12:00+02', 'free', NULL, 'K15: Sunday is free'),
	(1, '2026-12-19 12:00+02', 'work', 'peak', 'K15: a Saturday set to work is a work day, with its bands'),
	(1, '2026-12-12 12:00+02', 'free', NULL, 'K15: another Saturday is free'),
	(1, '2026-12-25 12:00+02', 'free', NULL, 'V21 reading 18: a holiday is a free day all day, so off-peak'),
	(1, '2026-12-25 00:00+02', 'free', NULL, 'reading 14: from its first instant in the calendar''s zone'),
	(1, '2026-12-24 23:59:59+02', 'work', NULL, 'reading 14: the instant before is the day before'),
	(1, '2026-12-24 22:00:00+00', 'free', NULL, 'reading 14: which in UTC is still the day before'),
	(1, '2026-12-26 23:59:59+02', 'free', NULL, 'reading 14: to its last instant'),
	(1, '2026-12-27 22:00:00+00', 'work', NULL, 'reading 14: midnight of Monday in Vilnius'),
	(1, '2026-06-22 05:00:00+00', 'work', 'peak', 'reading 16: 08:00 of the wall clock in summer'),
	(1, '2026-06-22 04:59:59+00', 'work', NULL, 'reading 16: before it'),
	(2, '2026-07-02 18:59:59-04', 'work', 'day', 'P14: day'),
	(2, '2026-07-02 19:00:00-04', 'work', 'evening', 'P14: evening follows at once'),
	(2, '2026-07-02 23:00:00-04', 'work', 'night', 'P14: night'),
	(2, '2026-07-01 00:00:00-04', 'work', 'night', 'reading 17: a window may wrap midnight'),
	(2, '2026-07-01 06:59:59-04', 'work', 'night', 'reading 17: its part after midnight'),
	(2, '2026-07-03 00:00:00-04', 'free', 'weekend', 'reading 17: which has its own date''s day type: a holiday ends the night before it'),
	(2, '2026-07-04 23:59:59-04', 'free', 'weekend', 'P14: weekend, all day to 24:00'),
	(2, '2026-07-06 00:00:00-04', 'work', 'night', 'reading 17: Monday has the part after midnight, though Sunday had none before'),
	(2, '2026-07-05 10:00:00-04', 'free', 'weekend', 'design 3: a window of the day''s own type goes before one of any'),
	(1, '2026-10-25 00:59:59+00', 'free', NULL, 'reading 16: the repeated hour')) v(calendar, instant, day_type, band, what);
-- Winter begins in Vilnius on Sunday 2026-10-25 at 04:00 EEST, which is 03:00 EET again; in New York on 2026-11-01.
INSERT INTO billing.calendar (id, name, timezone, free_weekdays) VALUES (4, 'every day', 'Europe/Vilnius', '{}'), (5, 'never', 'UTC', '{1,2,3,4,5,6,7}');
INSERT INTO billing.calendar_band (calendar_id, band, starts, ends) VALUES (4, 'three', '03:00', '04:00');
SELECT results_eq(format('SELECT day_type, band FROM billing.calendar_at(%s, %L)', v.calendar, v.instant), format('VALUES (%L::text, %L::text)', v.day_type, v.band), v.what)
FROM (VALUES
	(4, '2026-10-25 00:00:00+00', 'work', 'three', 'reading 16: 03:00 EEST'), (4, '2026-10-25 01:59:59+00', 'work', 'three', 'reading 16: 03:59:59 EET, an hour later by the clock of the world'),
	(4, '2026-10-25 02:00:00+00', 'work', NULL, 'reading 16: 04:00 EET'), (4, '2026-03-29 00:59:59+00', 'work', NULL, 'reading 16: 02:59:59 EET'),
	(4, '2026-03-29 01:00:00+00', 'work', NULL, 'reading 16: 04:00 EEST: the hour that is left out is never'),
	(5, '2026-12-21 12:00+00', 'free', NULL, 'K15: all weekdays may be free'), (4, '2026-12-20 12:00+02', 'work', NULL, 'K15: or none')) v(calendar, instant, day_type, band, what);
SELECT results_eq('SELECT day_type, band FROM billing.calendar_at(99, now())', 'VALUES (NULL::text, NULL::text)', 'an unknown calendar says nothing');

-- A new valid_from replaces the whole set.
INSERT INTO billing.calendar_band (calendar_id, valid_from, band, starts, ends) VALUES (4, '2027-01-01 00:00+02', 'five', '05:00', '06:00');
SELECT results_eq($$SELECT i, (billing.calendar_at(4, i::timestamptz)).band FROM unnest(ARRAY['2026-12-31 03:30+02', '2026-12-31 05:30+02', '2027-01-01 03:30+02', '2027-01-01 05:30+02']) i$$,
	$$VALUES ('2026-12-31 03:30+02', 'three'::text), ('2026-12-31 05:30+02', NULL), ('2027-01-01 03:30+02', NULL), ('2027-01-01 05:30+02', 'five')$$,
	'design 3: the windows of the latest valid_from hold, and no others');

-- Prices by day type and band: 0.10 any, 0.20 peak, 0.05 free days; peak on free days only where a rate says so.
INSERT INTO billing.tariff (id, name, currency, calendar_id) VALUES (1, 'peaked', 'EUR', 1), (2, 'plain', 'EUR', NULL), (3, 'us', 'USD', 2);
INSERT INTO billing.rate (id, tariff_id, prefix, day_type, band, price) VALUES (11, 1, '44', 'any', NULL, 0.10), (12, 1, '44', 'any', 'peak', 0.20), (13, 1, '44', 'free', NULL, 0.05),
	(14, 1, '49', 'any', NULL, 0.30), (15, 1, '49', 'work', NULL, 0.31), (16, 1, '49', 'any', 'peak', 0.32), (17, 1, '49', 'work', 'peak', 0.33),
	(18, 1, '4420', 'work', 'peak', 0.40), (21, 2, '44', 'any', NULL, 0.09);
SELECT is(m.rate_id, v.rate_id::bigint, v.what)
FROM (VALUES
	(1, '4479', '2026-12-21 12:00+02', 12, 'V19: the peak price in the peak period'),
	(1, '4479', '2026-12-21 21:00+02', 11, 'V19: the price outside it'),
	(1, '4479', '2026-12-25 12:00+02', 13, 'V21 K12: a free day''s price on a holiday, though it is noon'),
	(1, '4479', '2026-12-19 12:00+02', 12, 'K15: peak on a Saturday that is worked'),
	(1, '49', '2026-12-21 12:00+02', 17, 'design 5.4: day and band go before all'),
	(1, '49', '2026-12-21 21:00+02', 15, 'design 5.4: day before any'),
	(1, '49', '2026-12-20 21:00+02', 14, 'design 5.4: any when nothing else fits'),
	(1, '442079', '2026-12-21 12:00+02', 18, 'V18: the longest prefix that has a fitting version'),
	(1, '442079', '2026-12-21 21:00+02', 11, 'design 5.4: a prefix without a fitting version counts as none'),
	(2, '4479', '2026-12-21 12:00+02', 21, 'V9: without a calendar there is no peak, and holidays are days like others')) v(tariff, number, at, rate_id, what)
	CROSS JOIN LATERAL billing.match_rate(v.tariff, v.number, v.at::timestamptz) m;
INSERT INTO billing.rate (id, tariff_id, prefix, day_type, band, valid_from, price, withdrawn) VALUES (19, 1, '49', 'work', 'peak', '2027-01-01', 0, true);
SELECT is((billing.match_rate(1, '49', '2027-01-04 12:00+02')).rate_id, 16::bigint, 'design 5.4: band goes before day; a withdrawn version lets the next fit decide');

-- What no call could meet is refused, and says what to do.
SELECT is(pg_temp.refusal(v.statement), v.sqlstate, v.what) FROM (VALUES
	('unknown time zone', $$ INSERT INTO billing.calendar (name, timezone) VALUES ('x', 'Europe/Vilna') $$, '22023'),
	('a time zone that knows no summer', $$ INSERT INTO billing.calendar (name, timezone) VALUES ('x', 'CEST') $$, '22023'),
	('time zone changed to an unknown one', $$ UPDATE billing.calendar SET timezone = 'Mars/Base' WHERE id = 3 $$, '22023'),
	('free weekday 0', $$ INSERT INTO billing.calendar (name, timezone, free_weekdays) VALUES ('x', 'UTC', '{0}') $$, '23514'),
	('free weekday 8', $$ UPDATE billing.calendar SET free_weekdays = '{8}' WHERE id = 3 $$, '23514'),
	('free weekday null', $$ UPDATE billing.calendar SET free_weekdays = '{6,NULL}' WHERE id = 3 $$, '23514'),
	('window without length', $$ INSERT INTO billing.calendar_band (calendar_id, band, starts, ends) VALUES (3, 'x', '08:00', '08:00') $$, '23514'),
	('window changed to no length', $$ UPDATE billing.calendar_band SET ends = starts WHERE calendar_id = 4 $$, '23514'),
	('weekday 0', $$ INSERT INTO billing.calendar_band (calendar_id, weekdays, band, starts, ends) VALUES (3, '{0,1}', 'x', '08:00', '09:00') $$, '23514'),
	('no weekday', $$ INSERT INTO billing.calendar_band (calendar_id, weekdays, band, starts, ends) VALUES (3, '{}', 'x', '08:00', '09:00') $$, '23514'),
	('windows that overlap', $$ INSERT INTO billing.calendar_band (calendar_id, band, starts, ends) VALUES (3, 'x', '08:00', '12:00'), (3, 'y', '11:00', '13:00') $$, '23P01'),
	('also by an UPDATE', $$ INSERT INTO billing.calendar_band (calendar_id, band, starts, ends) VALUES (3, 'x', '08:00', '12:00'), (3, 'y', '12:00', '13:00'); UPDATE billing.calendar_band SET starts = '11:00' WHERE band = 'y' $$, '23P01'),
	('a window that wraps, over one in the morning', $$ INSERT INTO billing.calendar_band (calendar_id, band, starts, ends) VALUES (3, 'x', '22:00', '06:00'), (3, 'y', '05:00', '07:00') $$, '23P01'),
	('a window that wraps, over one in the evening', $$ INSERT INTO billing.calendar_band (calendar_id, band, starts, ends) VALUES (3, 'x', '22:00', '06:00'), (3, 'y', '21:00', '24:00') $$, '23P01'),
	('two that wrap', $$ INSERT INTO billing.calendar_band (calendar_id, band, starts, ends) VALUES (3, 'x', '22:00', '06:00'), (3, 'y', '23:00', '05:00') $$, '23P01'),
	('weekdays that share one', $$ INSERT INTO billing.calendar_band (calendar_id, weekdays, band, starts, ends) VALUES (3, '{1,2}', 'x', '08:00', '12:00'), (3, '{2,3}', 'y', '08:00', '12:00') $$, '23P01'),
	('a weekday and every day', $$ INSERT INTO billing.calendar_band (calendar_id, weekdays, band, starts, ends) VALUES (3, '{1}', 'x', '08:00', '12:00'), (3, NULL, 'y', '08:00', '12:00') $$, '23P01'),
	('a band that no window defines', $$ INSERT INTO billing.rate (tariff_id, prefix, band) VALUES (1, '1', 'night') $$, '23514'),
	('a band without a calendar', $$ INSERT INTO billing.rate (tariff_id, prefix, band) VALUES (2, '1', 'peak') $$, '23514'),
	('a day type without a calendar', $$ INSERT INTO billing.rate (tariff_id, prefix, day_type) VALUES (2, '1', 'free') $$, '23514'),
	('a rate moved to another band', $$ UPDATE billing.rate SET band = 'night' WHERE id = 12 $$, '23514'),
	('a rate moved to another tariff', $$ UPDATE billing.rate SET tariff_id = 2 WHERE id = 12 $$, '23514'),
	('a tariff that loses its calendar', $$ UPDATE billing.tariff SET calendar_id = NULL WHERE id = 1 $$, '23514'),
	('a tariff whose new calendar lacks a band', $$ UPDATE billing.tariff SET calendar_id = 2 WHERE id = 1 $$, '23514'),
	('the last window of a band in use deleted', $$ DELETE FROM billing.calendar_band WHERE calendar_id = 1 $$, '23001'),
	('or renamed', $$ UPDATE billing.calendar_band SET band = 'rush' WHERE calendar_id = 1 $$, '23001'),
	('or moved away', $$ UPDATE billing.calendar_band SET calendar_id = 3 WHERE calendar_id = 1 $$, '23001'),
	('or truncated', $$ TRUNCATE billing.calendar_band $$, '23001'),
	('time zone of a calendar in use', $$ UPDATE billing.calendar SET timezone = 'UTC' WHERE id = 1 $$, '23001'),
	('free weekdays of a calendar in use', $$ UPDATE billing.calendar SET free_weekdays = '{7}' WHERE id = 2 $$, '23001'),
	('aligned increments that are split', $$ UPDATE billing.tariff SET increment_rule = 'aligned', boundary = 'split' WHERE id = 2 $$, '23514 without hint'),
	('aligned rate of a tariff that splits', $$ UPDATE billing.tariff SET boundary = 'split' WHERE id = 2; INSERT INTO billing.rate (tariff_id, prefix, increment_rule) VALUES (2, '1', 'aligned') $$, '23514'),
	('split rate of a tariff that aligns', $$ UPDATE billing.tariff SET increment_rule = 'aligned' WHERE id = 2; INSERT INTO billing.rate (tariff_id, prefix, boundary) VALUES (2, '1', 'split') $$, '23514'),
	('tariff that turns aligned under a split rate', $$ INSERT INTO billing.rate (tariff_id, prefix, boundary) VALUES (2, '1', 'split'); UPDATE billing.tariff SET increment_rule = 'aligned' WHERE id = 2 $$, '23514'),
	('windows that touch pass', $$ INSERT INTO billing.calendar_band (calendar_id, band, starts, ends) VALUES (3, 'x', '08:00', '12:00'), (3, 'y', '12:00', '08:00') $$, NULL),
	('other weekdays pass', $$ INSERT INTO billing.calendar_band (calendar_id, weekdays, band, starts, ends) VALUES (3, '{1,2}', 'x', '08:00', '12:00'), (3, '{3}', 'y', '08:00', '12:00') $$, NULL),
	('other day types pass', $$ INSERT INTO billing.calendar_band (calendar_id, day_type, band, starts, ends) VALUES (3, 'any', 'x', '08:00', '12:00'), (3, 'work', 'y', '08:00', '12:00'), (3, 'free', 'y', '08:00', '12:00') $$, NULL),
	('another valid_from passes', $$ INSERT INTO billing.calendar_band (calendar_id, valid_from, band, starts, ends) VALUES (3, '2026-01-01', 'x', '08:00', '12:00'), (3, '2027-01-01', 'y', '08:00', '12:00') $$, NULL),
	('other windows of a band in use may go', $$ INSERT INTO billing.calendar_band (calendar_id, day_type, band, starts, ends) VALUES (1, 'free', 'peak', '10:00', '12:00'); DELETE FROM billing.calendar_band WHERE calendar_id = 1 AND day_type = 'work' $$, NULL),
	('a band whose rates are withdrawn may go', $$ INSERT INTO billing.rate (tariff_id, prefix, day_type, band, valid_from, withdrawn) VALUES (1, '44', 'any', 'peak', now(), true), (1, '4420', 'work', 'peak', now(), true), (1, '49', 'any', 'peak', now(), true), (1, '49', 'work', 'peak', now(), true); DELETE FROM billing.rate WHERE id = 19; DELETE FROM billing.calendar_band WHERE calendar_id = 1 $$, NULL),
	('a calendar nobody uses changes', $$ UPDATE billing.calendar SET timezone = 'Asia/Tokyo', free_weekdays = '{5,6}' WHERE id = 3 $$, NULL),
	('and goes, with its days and windows', $$ DELETE FROM billing.calendar WHERE id = 4 $$, NULL),
	('a calendar in use does not go', $$ DELETE FROM billing.calendar WHERE id = 1 $$, '23503 without hint'),
	('a second default calendar', $$ UPDATE billing.calendar SET is_default = true WHERE id = 3 $$, '23505 without hint'),
	('a tariff takes a calendar from an instant on', $$ UPDATE billing.tariff SET calendar_id = 3, terms_from = '2027-01-01' WHERE id = 2 $$, NULL),
	('a calendar that was in use keeps its time zone too', $$ UPDATE billing.tariff SET calendar_id = NULL WHERE id = 3; UPDATE billing.calendar SET timezone = 'UTC' WHERE id = 2 $$, '23001')) v(what, statement, sqlstate);

-- What priced calls stays (design 3). A call on Monday 2026-11-16 from 21:00 to 21:10, another that runs into a holiday.
INSERT INTO billing.account (id, name, currency, tariff_id) VALUES (1, 'customer', 'EUR', 1);
INSERT INTO billing.service (account_id, kind, identifier) VALUES (1, 'auth_code', '1');
INSERT INTO billing.cdr (call_id, started_at, billsec, callee, auth_code) VALUES
	('monday', '2026-11-16 21:00+02', 600, '4479', '1'), ('into christmas', '2026-12-24 23:55+02', 600, '4479', '1'), ('peak', '2026-12-21 12:00+02', 60, '4479', '1');
SELECT results_eq($$SELECT call_id, customer_rate_id, customer_amount FROM billing.cdr ORDER BY call_id$$,
	$$VALUES ('into christmas', 11::bigint, 1.0::numeric), ('monday', 11, 1.0), ('peak', 12, 0.2)$$,
	'V8 reading 15: 10 min at 0.10, also into the holiday, 1 min at 0.20');
SELECT is(pg_temp.refusal(v.statement), v.sqlstate, 'design 3: ' || v.what) FROM (VALUES
	('a window of a calendar in use by a rate that a call names', $$ UPDATE billing.calendar_band SET ends = '21:30' WHERE calendar_id = 1 $$, '23001'),
	('a second window', $$ INSERT INTO billing.calendar_band (calendar_id, band, starts, ends) VALUES (1, 'late', '20:00', '22:00') $$, '23001'),
	('a set from before the call', $$ INSERT INTO billing.calendar_band (calendar_id, valid_from, band, starts, ends) VALUES (1, '2026-12-01', 'peak', '20:00', '22:00') $$, '23001'),
	('a set from after the call', $$ INSERT INTO billing.calendar_band (calendar_id, valid_from, band, starts, ends) VALUES (1, '2027-01-01', 'peak', '20:00', '22:00') $$, NULL),
	('that is changed again', $$ INSERT INTO billing.calendar_band (calendar_id, valid_from, band, starts, ends) VALUES (1, '2027-01-01', 'peak', '20:00', '22:00'); UPDATE billing.calendar_band SET ends = '23:00' WHERE valid_from = '2027-01-01' AND calendar_id = 1 $$, NULL),
	('a day with a call becomes free', $$ INSERT INTO billing.calendar_day VALUES (1, '2026-11-16', 'free') $$, '23001'),
	('a day with a call that says what it was', $$ INSERT INTO billing.calendar_day VALUES (1, '2026-11-16', 'work') $$, NULL),
	('a holiday into which a call ran', $$ DELETE FROM billing.calendar_day WHERE calendar_id = 1 AND date = '2026-12-25' $$, '23001'),
	('or changed', $$ UPDATE billing.calendar_day SET day_type = 'work' WHERE calendar_id = 1 AND date = '2026-12-25' $$, '23001'),
	('or moved', $$ UPDATE billing.calendar_day SET date = '2026-12-30' WHERE calendar_id = 1 AND date = '2026-12-25' $$, '23001'),
	('or truncated', $$ TRUNCATE billing.calendar_day $$, '23001'),
	('its name is nobody''s business', $$ UPDATE billing.calendar_day SET name = 'Christmas' WHERE calendar_id = 1 AND date = '2026-12-25' $$, NULL),
	('a day without a call', $$ DELETE FROM billing.calendar_day WHERE calendar_id = 1 AND date = '2026-12-26' $$, NULL),
	('a day of another calendar', $$ INSERT INTO billing.calendar_day VALUES (2, '2026-11-16', 'free') $$, NULL),
	('the way out: another calendar, from an instant on', $$ INSERT INTO billing.calendar (id, name, timezone) VALUES (9, 'LT 2', 'Europe/Vilnius');
		INSERT INTO billing.calendar_band (calendar_id, band, starts, ends) VALUES (9, 'peak', '08:00', '20:00'); INSERT INTO billing.calendar_day VALUES (9, '2026-11-16', 'free');
		UPDATE billing.tariff SET calendar_id = 9, terms_from = '2026-11-01' WHERE id = 1; UPDATE billing.cdr SET rated_at = NULL $$, NULL)) v(what, statement, sqlstate);

-- Holidays from a file.
SELECT results_eq($$SELECT * FROM billing.import_holidays(3, E'name,date,day_type\n"Mardi Gras, ""Fat Tuesday""",2026-02-17,free\r\n\n"two\nlines",2026-02-18,FREE\n,2026-02-21,work')$$,
	'VALUES (3, 0, 0)', 'V21: columns in any order, quotes, commas and lines within a field, an empty line, no last end of line');
SELECT results_eq($$SELECT date::text, day_type, name FROM billing.calendar_day WHERE calendar_id = 3 ORDER BY 1$$,
	$$VALUES ('2026-02-17', 'free', 'Mardi Gras, "Fat Tuesday"'), ('2026-02-18', 'free', E'two\nlines'), ('2026-02-21', 'work', NULL)$$, 'V21: read as written');
SELECT results_eq($$SELECT * FROM billing.import_holidays(3, E'\uFEFFdate,day_type\n2026-02-21,free\n2026-02-22,free\n')$$, 'VALUES (1, 1, 0)', 'a second file adds and changes');
SELECT results_eq($$SELECT * FROM billing.import_holidays(3, E'date,day_type\n2026-02-21,free\n2026-02-22,free\n')$$, 'VALUES (0, 0, 2)', 'and once more changes nothing');
CREATE FUNCTION pg_temp.complaint(csv text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM billing.import_holidays(3, csv);
	RETURN NULL;
EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
SELECT matches(pg_temp.complaint(v.csv), v.complaint, 'V21: a bad line is refused by its number: ' || v.complaint) FROM (VALUES
	(E'date,day_type\n2026-01-01,free\n2026-02-30,free', '^22007 line 3 .*2026-02-30'), (E'date,day_type\n01/02/2026,free', '^22007 line 2'), (E'date,day_type,name\n2026-01-01,free,"a\nb"\n,free,', '^22007 line 4'),
	(E'date,day_type\n2026-01-01,holiday', '^22023 line 2 .*holiday'), (E'date,day_type\n2026-01-01', '^22P04 line 2 .*1 field'), (E'date,day_type,name\n2026-01-01,free,a,b', '^22P04 line 2 .*4 fields'),
	(E'date,day_type,name\n2026-01-01,free,a"b', '^22P04 line 2 '), (E'date,day_type,name\n2026-01-01,free,"a', '^22P04 line 2 '), (E'date,day_type,name\n2026-01-01,free,"a" b', '^22P04 line 2 '),
	(E'date,day_type\n2026-01-01,free\n2026-01-01,work', '^21000 line 3 .*2026-01-01'), (E'day_type\nfree', '^22P04 .*0 columns "date"'), (E'date,date,day_type\n', '^22P04 .*2 columns "date"'), ('', '^22P04'), (NULL, '^22P04')) v(csv, complaint);
SELECT is((SELECT count(*) FROM billing.calendar_day WHERE calendar_id = 3), 4::bigint, 'V21: a file with a bad line writes nothing');
SELECT throws_ok($$SELECT billing.import_holidays(99, 'date,day_type')$$, 'P0002', NULL, 'V21: an unknown calendar');

-- The sample years that come along.
\set us `cat test/data/holidays-us.csv`
\set lt `cat test/data/holidays-lt.csv`
DELETE FROM billing.calendar_day WHERE calendar_id = 3;
SELECT results_eq(format('SELECT * FROM billing.import_holidays(3, %L)', :'us'), 'VALUES (38, 0, 0)', 'V21: eleven US holidays in 2025, 2026, 2027, and five that are observed on another day');
SELECT results_eq($$SELECT date, name FROM billing.calendar_day WHERE calendar_id = 3 AND extract(isodow FROM date) <> CASE
		WHEN name ~ 'Martin|Washington|Memorial|Labor|Columbus' THEN 1 WHEN name ~ 'Thanksgiving' THEN 4 WHEN name ~ 'observed' THEN CASE date WHEN '2027-07-05' THEN 1 ELSE 5 END ELSE extract(isodow FROM date) END$$,
	'SELECT NULL::date, NULL::text WHERE false', 'V21: each on its weekday');
SELECT set_has('SELECT date FROM billing.calendar_day WHERE calendar_id = 3', $$VALUES ('2025-01-20'::date), ('2026-05-25'), ('2026-07-03'), ('2026-11-26'), ('2027-09-06'), ('2027-12-31')$$, 'V21: such as Thanksgiving 2026 on November 26');
DELETE FROM billing.calendar_day WHERE calendar_id = 3;
SELECT results_eq(format('SELECT * FROM billing.import_holidays(3, %L)', :'lt'), 'VALUES (48, 0, 0)', 'V21: sixteen days of Lithuania in 2025, 2026, 2027');
SELECT results_eq($$SELECT date::text FROM billing.calendar_day WHERE calendar_id = 3 AND name = 'Velykos' ORDER BY 1$$, $$VALUES ('2025-04-20'), ('2026-04-05'), ('2027-03-28')$$, 'V21: Easter as the Church says');
SELECT is_empty($$SELECT date FROM billing.calendar_day WHERE calendar_id = 3 AND extract(isodow FROM date) <> CASE WHEN name ~ '^(Velykos|Motinos|Tėvo)' THEN 7 WHEN name ~ 'Velykų' THEN 1 ELSE extract(isodow FROM date) END$$, 'V21: Sundays on Sundays, the Monday after Easter on a Monday');

SELECT * FROM finish();
ROLLBACK;
