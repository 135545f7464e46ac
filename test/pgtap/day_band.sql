-- Rates by day type and band: which one competes, which one wins (design 5.4, K12, V8, V9, V19, V21, P14).
BEGIN;
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS billing CASCADE;
SELECT billing.create_ledger();
SELECT no_plan();

-- Vilnius is 2 hours before UTC in March. Monday 2, Saturday 7, Sunday 8 March 2026; Wednesday 11 is a holiday, Saturday 14 is worked.
INSERT INTO billing.calendar (name, timezone) VALUES ('home', 'Europe/Vilnius'), ('free peak', 'Europe/Vilnius'), ('NY', 'America/New_York');
INSERT INTO billing.calendar_band (calendar_id, day_type, weekdays, band, starts, ends) SELECT c.id, v.day_type, v.weekdays::smallint[], v.band, v.starts::time, v.ends::time FROM billing.calendar AS c JOIN (VALUES
	('home', 'work', NULL, 'peak', '08:00', '20:00'), ('home', 'any', NULL, 'night', '22:00', '06:00'), ('home', 'work', '{5}', 'night', '21:00', '22:00'),
	('free peak', 'work', NULL, 'peak', '08:00', '20:00'), ('free peak', 'free', NULL, 'peak', '10:00', '12:00'),
	('NY', 'work', NULL, 'peak', '08:00', '18:00')) AS v (calendar, day_type, weekdays, band, starts, ends) ON v.calendar = c.name;
INSERT INTO billing.calendar_day (calendar_id, date, day_type, name) SELECT id, v.date::date, v.day_type, v.day FROM billing.calendar, (VALUES ('2026-03-11', 'free', 'a holiday'), ('2026-03-14', 'work', 'a Saturday that is worked')) AS v (date, day_type, day) WHERE name <> 'NY';

-- A list by a calendar; its rates: prefix, exact, day type, band, price, and if it ends, from when it is withdrawn.
CREATE FUNCTION pg_temp.list(list text, calendar_name text, base text DEFAULT NULL) RETURNS bigint LANGUAGE sql AS $$
	INSERT INTO billing.tariff (name, currency, calendar_id, base_tariff_id) VALUES (list, 'EUR', (SELECT id FROM billing.calendar WHERE name = calendar_name), (SELECT id FROM billing.tariff WHERE name = base)) RETURNING id
$$;
CREATE FUNCTION pg_temp.rate(list text, prefix text, day_type text, band text, price numeric, exact boolean DEFAULT false, valid_from timestamptz DEFAULT '-infinity', withdrawn boolean DEFAULT false, blocked boolean DEFAULT false)
RETURNS bigint LANGUAGE sql AS $$
	INSERT INTO billing.rate (tariff_id, prefix, exact, day_type, band, price, valid_from, withdrawn, blocked)
	SELECT id, prefix::billing.prefix, exact, day_type, band, price, valid_from, withdrawn, blocked FROM billing.tariff WHERE name = list RETURNING id
$$;
-- The price of a number, and whose day type and band it is.
CREATE FUNCTION pg_temp.price(list text, at timestamptz, number text DEFAULT '442079460000') RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', trim_scale(m.price), m.day_type, m.band) FROM billing.tariff AS t, LATERAL billing.match_rate(t.id, number, at) AS m WHERE t.name = list
$$;

-- Day type and band of an instant
SELECT is((SELECT concat_ws(' ', d.day_type, d.band) FROM billing.calendar AS c, LATERAL billing.calendar_at(c.id, v.at::timestamptz) AS d WHERE c.name = 'home'), v.want, v.what)
FROM (VALUES
	('2026-03-02 05:59:59.999999+00', 'work', 'reading 17: before peak'), ('2026-03-02 06:00+00', 'work peak', 'reading 17: from 08:00 on it is peak'),
	('2026-03-02 17:59:59.999999+00', 'work peak', 'reading 17: until 20:00'), ('2026-03-02 18:00+00', 'work', 'reading 17: and not at 20:00'),
	('2026-03-02 20:00+00', 'work night', 'reading 17: a window that wraps midnight, before it'), ('2026-03-02 22:00+00', 'work night', 'reading 17: and after it'), ('2026-03-03 04:00+00', 'work', 'reading 17: and its end'),
	('2026-03-06 21:59:59+00', 'work night', 'reading 17: Friday''s night'), ('2026-03-06 22:00+00', 'free night', 'reading 17: of which the part after midnight is Saturday''s'),
	('2026-03-06 19:30+00', 'work night', 'weekdays: on Friday the night begins at 21:00'), ('2026-03-05 19:30+00', 'work', 'weekdays: on Thursday it does not'),
	('2026-03-07 12:00+00', 'free', 'K15: Saturday is free'), ('2026-03-08 12:00+00', 'free', 'K15: Sunday is free'), ('2026-03-11 12:00+00', 'free', 'V21, reading 18: a holiday is a free day, peak does not apply'),
	('2026-03-11 20:00+00', 'free night', 'reading 18: a band for any day does'), ('2026-03-14 12:00+00', 'work peak', 'K15, reading 14: a Saturday that is worked has its peak'), ('2026-03-10 22:00+00', 'free night', 'reading 14: a holiday begins at 00:00 there')) AS v (at, want, what);
SELECT is((SELECT concat_ws(' ', d.day_type, d.band) FROM billing.calendar AS c, LATERAL billing.calendar_at(c.id, v.at::timestamptz) AS d WHERE c.name = 'free peak'), v.want, v.what)
FROM (VALUES ('2026-03-11 09:00+00', 'free peak', 'reading 18: unless a band is defined for free days'), ('2026-03-11 11:00+00', 'free', 'which has its own hours'), ('2026-03-07 09:00+00', 'free peak', 'on a Saturday too')) AS v (at, want, what);

-- Design 5.4: day and band, band, day, any. Monday 12:00 is work and peak; each list lacks what beats the next.
SELECT pg_temp.list('four', 'home'), pg_temp.list('three', 'home'), pg_temp.list('two', 'home'), pg_temp.list('one', 'home'), pg_temp.list('none', 'home');
SELECT pg_temp.rate(l, '44', d, b, p) FROM (VALUES ('work', 'peak', 0.40, 4), ('any', 'peak', 0.30, 3), ('work', NULL, 0.20, 2), ('any', NULL, 0.10, 1), ('free', NULL, 0.90, 1), ('free', 'night', 0.95, 1)) AS r (d, b, p, n),
	(VALUES ('four', 4), ('three', 3), ('two', 2), ('one', 1)) AS l (l, least) WHERE n <= least;
SELECT pg_temp.rate('none', '44', 'free', NULL, 0.90), pg_temp.rate('none', '4', 'any', NULL, 0.04);
SELECT is(pg_temp.price(list, '2026-03-02 10:00+00'), want, 'design 5.4: ' || what) FROM (VALUES ('four', '0.4 work peak', 'day and band comes first'), ('three', '0.3 any peak', 'then the band'), ('two', '0.2 work', 'then the day'), ('one', '0.1 any', 'then any'),
	('none', '0.04 any', 'a prefix of which nothing fits gives way to a shorter one')) AS v (list, want, what);
SELECT is(pg_temp.price('four', at), want, 'design 5.4: ' || what) FROM (VALUES ('2026-03-02 18:30+00'::timestamptz, '0.2 work', 'outside all windows only the day counts'), ('2026-03-07 10:00+00', '0.9 free', 'K12: a free day'),
	('2026-03-07 21:00+00', '0.95 free night', 'a free night'), ('2026-03-02 21:00+00', '0.2 work', 'no price for a work night: the day'), ('2026-03-11 10:00+00', '0.9 free', 'V21: a holiday'), ('2026-03-14 10:00+00', '0.4 work peak', 'K15: a Saturday that is worked')) AS v (at, want, what);
-- the band before the day, whatever their prices, age or the order in which they were written
SELECT pg_temp.list('age', 'home');
SELECT pg_temp.rate('age', '', 'any', 'peak', 0.30, valid_from => '2026-01-01 00:00+00'), pg_temp.rate('age', '', 'work', NULL, 0.20, valid_from => '2026-02-01 00:00+00'), pg_temp.rate('age', '', 'any', NULL, 0.10, valid_from => '2026-03-01 00:00+00');
SELECT is(pg_temp.price('age', '2026-03-02 10:00+00'), '0.3 any peak', 'design 5.4: a later version of another fit does not supersede');
SELECT is(pg_temp.price('age', '2025-12-31 10:00+00'), '', 'and before the first there is none');
SELECT is(pg_temp.price('age', '2026-03-02 18:30+00'), '0.2 work', 'outside peak: the day, older than any');

-- withdrawn: no version; the next fit, then shorter prefixes
SELECT pg_temp.list('withdrawn', 'home');
SELECT pg_temp.rate('withdrawn', '44', 'work', 'peak', 0.40), pg_temp.rate('withdrawn', '44', 'any', 'peak', 0.30), pg_temp.rate('withdrawn', '44', 'work', NULL, 0.20), pg_temp.rate('withdrawn', '44', 'any', NULL, 0.10), pg_temp.rate('withdrawn', '4', 'work', 'peak', 0.04);
SELECT pg_temp.rate('withdrawn', '44', d, b, 0, valid_from => ('2026-03-0' || n || ' 00:00+00')::timestamptz, withdrawn => true) FROM (VALUES ('work', 'peak', 3), ('any', 'peak', 4), ('work', NULL, 5), ('any', NULL, 6)) AS v (d, b, n);
SELECT is(pg_temp.price('withdrawn', ('2026-03-0' || n || ' 10:00+00')::timestamptz), want, 'design 5.4: withdrawn: ' || what)
FROM (VALUES (2, '0.4 work peak', 'not yet'), (3, '0.3 any peak', 'the band is left'), (4, '0.2 work', 'the day is left'), (5, '0.1 any', 'any is left'), (6, '0.04 work peak', 'nothing is left: a shorter prefix')) AS v (n, want, what);
SELECT pg_temp.rate('withdrawn', '44', 'work', NULL, 0.25, valid_from => '2026-03-09 00:00+00');
SELECT is(pg_temp.price('withdrawn', '2026-03-09 10:00+00'), '0.25 work', 'design 5.4: a later version brings it back');
-- blocked wins like any other
SELECT pg_temp.list('blocked', 'home');
SELECT pg_temp.rate('blocked', '44', 'work', 'peak', 0.40, blocked => true), pg_temp.rate('blocked', '44', 'any', NULL, 0.10);
SELECT is((SELECT m.blocked FROM billing.tariff AS t, LATERAL billing.match_rate(t.id, '442079460000', at) AS m WHERE t.name = 'blocked'), want, 'design 5.4: ' || what)
FROM (VALUES ('2026-03-02 10:00+00'::timestamptz, true, 'blocked in peak'), ('2026-03-02 19:00+00', false, 'and not after it'), ('2026-03-11 10:00+00', false, 'nor on a holiday')) AS v (at, want, what);

-- The prefix comes before day and band, an exact number before any prefix
SELECT pg_temp.list('prefixes', 'home');
SELECT pg_temp.rate('prefixes', '44', 'work', 'peak', 0.40), pg_temp.rate('prefixes', '4420', 'any', NULL, 0.20), pg_temp.rate('prefixes', '4420', 'any', 'night', 0.01), pg_temp.rate('prefixes', '442079460001', 'any', NULL, 0.11, exact => true),
	pg_temp.rate('prefixes', '442079460002', 'any', 'night', 0.12, exact => true), pg_temp.rate('prefixes', '442079460002', 'work', 'peak', 0.13), pg_temp.rate('prefixes', '44207', 'free', NULL, 0.17);
SELECT is(pg_temp.price('prefixes', at, number), want, 'design 5.4: ' || what) FROM (VALUES
	('2026-03-02 10:00+00'::timestamptz, '442079460000', '0.2 any', 'a longer prefix for any time beats a shorter one for this time'), ('2026-03-02 10:00+00', '441209460000', '0.4 work peak', 'where only the shorter one matches it holds'),
	('2026-03-02 21:00+00', '442079460000', '0.01 any night', 'within a prefix the band'), ('2026-03-02 10:00+00', '442079460001', '0.11 any', 'V18: the exact number for any time beats all prefixes'),
	('2026-03-02 21:00+00', '442079460002', '0.12 any night', 'V18: the exact number at its time'), ('2026-03-02 10:00+00', '442079460002', '0.13 work peak', 'V18: out of its time it is no candidate, the prefix of the same digits is'),
	('2026-03-07 10:00+00', '442079460000', '0.17 free', 'the longest one that fits the day'), ('2026-03-02 10:00+00', '4420794600021', '0.13 work peak', 'an exact number is not a prefix')) AS v (at, number, want, what);

-- V8, V19 to V21: VoIPmonitor's price and price peak. P14: CDR2Cloud's day, evening, night and weekend lists.
SELECT pg_temp.list('voipmonitor', 'home');
SELECT pg_temp.rate('voipmonitor', '', 'any', NULL, 0.05), pg_temp.rate('voipmonitor', '', 'any', 'peak', 0.10), pg_temp.rate('voipmonitor', '442', 'any', NULL, 0.02), pg_temp.rate('voipmonitor', '442', 'any', 'peak', 0.04);
SELECT is(pg_temp.price('voipmonitor', at), want, what) FROM (VALUES ('2026-03-02 10:00+00'::timestamptz, '0.04 any peak', 'V19: price peak in the peak period'), ('2026-03-02 18:00+00', '0.02 any', 'V19: price outside it'),
	('2026-03-11 10:00+00', '0.02 any', 'V21: off-peak on a holiday'), ('2026-03-07 10:00+00', '0.02 any', 'V21: and on a Saturday')) AS v (at, want, what);
SELECT is(pg_temp.price('voipmonitor', '2026-03-02 10:00+00', '390612345'), '0.1 any peak', 'V20: the default peak price where no rule matches');
INSERT INTO billing.calendar (name, timezone) VALUES ('cdr2cloud', 'America/New_York');
INSERT INTO billing.calendar_band (calendar_id, day_type, band, starts, ends) SELECT id, 'work', b, s::time, e::time FROM billing.calendar, (VALUES ('day', '08:00', '17:00'), ('evening', '17:00', '23:00'), ('night', '23:00', '08:00')) AS v (b, s, e) WHERE name = 'cdr2cloud';
SELECT pg_temp.list('cdr2cloud', 'cdr2cloud');
SELECT pg_temp.rate('cdr2cloud', '1', 'work', 'day', 0.20), pg_temp.rate('cdr2cloud', '1', 'work', 'evening', 0.15), pg_temp.rate('cdr2cloud', '1', 'work', 'night', 0.10), pg_temp.rate('cdr2cloud', '1', 'free', NULL, 0.05);
-- New York is 5 hours behind UTC: Friday 23:30 is Saturday 04:30 UTC, Sunday 23:59 is Monday 04:59
SELECT is(pg_temp.price('cdr2cloud', at, '12025550100'), want, 'P14: ' || what) FROM (VALUES ('2026-03-02 15:00+00'::timestamptz, '0.2 work day', 'day'), ('2026-03-02 22:00+00', '0.15 work evening', 'evening'), ('2026-03-03 04:00+00', '0.1 work night', 'night'),
	('2026-03-07 04:30+00', '0.1 work night', 'Friday''s night'), ('2026-03-07 05:00+00', '0.05 free', 'the weekend begins at midnight'), ('2026-03-09 03:59:59+00', '0.05 free', 'and ends at midnight, now by summer time'), ('2026-03-09 04:00+00', '0.1 work night', 'then it is Monday''s night')) AS v (at, want, what);

-- Base lists have a calendar of their own, or none
SELECT pg_temp.list('base', 'NY'), pg_temp.list('timeless', NULL);
SELECT pg_temp.rate('base', '', 'any', NULL, 0.50), pg_temp.rate('base', '', 'work', 'peak', 0.55), pg_temp.rate('timeless', '', 'any', NULL, 0.70);
SELECT pg_temp.list('customer''s own', 'home', 'base'), pg_temp.list('other', 'home', 'timeless'), pg_temp.list('no calendar', NULL, 'base');
SELECT pg_temp.rate(l, '44', 'work', 'peak', 0.40) FROM unnest(ARRAY['customer''s own', 'other']) AS l;
SELECT pg_temp.rate('no calendar', '44', 'any', NULL, 0.45);
-- 12:00 in Vilnius is 05:00 in New York, 22:00 there is 15:00
SELECT is(pg_temp.price(list, at, number), want, 'design 3: ' || what) FROM (VALUES ('customer''s own', '2026-03-02 10:00+00'::timestamptz, '442079460000', '0.4 work peak', 'the list itself, by its calendar'),
	('customer''s own', '2026-03-02 20:00+00', '442079460000', '0.55 work peak', 'out of its peak the base, by the base''s calendar: New York has peak'), ('customer''s own', '2026-03-02 10:00+00', '390612345', '0.5 any', 'another number: the base out of its peak'),
	('other', '2026-03-02 20:00+00', '442079460000', '0.7 any', 'a base without calendar has prices for any time'), ('no calendar', '2026-03-02 20:00+00', '442079460000', '0.45 any', 'a list without calendar'),
	('no calendar', '2026-03-02 20:00+00', '390612345', '0.55 work peak', 'and its base with one')) AS v (list, at, number, want, what);
-- a default calendar is for DIDs; a list without calendar keeps to none
UPDATE billing.calendar SET is_default = true WHERE name = 'home';
SELECT is(pg_temp.price('timeless', '2026-03-02 10:00+00'), '0.7 any', 'design 3: a list without calendar is not by the default one');

-- The calendar of a list is one of its dated terms
SELECT pg_temp.list('moves', 'home');
SELECT pg_temp.rate('moves', '', 'any', NULL, 0.10), pg_temp.rate('moves', '', 'work', 'peak', 0.20);
UPDATE billing.tariff SET calendar_id = (SELECT id FROM billing.calendar WHERE name = 'NY'), terms_from = '2026-03-09 00:00+00' WHERE name = 'moves';
SELECT is(pg_temp.price('moves', at), want, 'design 3: ' || what) FROM (VALUES ('2026-03-02 10:00+00'::timestamptz, '0.2 work peak', 'a calendar that was replaced later still holds for calls of its time'), ('2026-03-09 10:00+00', '0.1 any', 'the new one from then on: 06:00 in New York'),
	('2026-03-09 20:00+00', '0.2 work peak', '16:00 in New York'), ('2026-03-02 20:00+00', '0.1 any', 'and not before')) AS v (at, want, what);

-- Calls: customer, reseller and provider, each by its own list and calendar
CREATE FUNCTION pg_temp.account(name text, list text, provider boolean DEFAULT false, parent text DEFAULT NULL) RETURNS bigint LANGUAGE sql AS $$
	INSERT INTO billing.account (name, is_provider, currency, tariff_id, parent_id) VALUES (account.name, provider, 'EUR', (SELECT id FROM billing.tariff AS t WHERE t.name = list), (SELECT id FROM billing.account AS p WHERE p.name = parent)) RETURNING id
$$;
SELECT pg_temp.list('sell', 'home'), pg_temp.list('wholesale', 'free peak'), pg_temp.list('buy', 'NY');
SELECT pg_temp.rate('sell', '', 'any', NULL, 0.60), pg_temp.rate('sell', '', 'work', 'peak', 1.20), pg_temp.rate('sell', '', 'free', NULL, 0.30), pg_temp.rate('wholesale', '', 'any', NULL, 0.12), pg_temp.rate('wholesale', '', 'any', 'peak', 0.24),
	pg_temp.rate('buy', '', 'any', NULL, 0.06), pg_temp.rate('buy', '', 'work', 'peak', 0.09);
SELECT pg_temp.account('reseller', 'wholesale');
SELECT pg_temp.account('customer', 'sell', parent => 'reseller'), pg_temp.account('carrier', 'buy', true);
INSERT INTO billing.service (account_id, side, kind, identifier) SELECT id, CASE WHEN is_provider THEN 'provider' ELSE 'customer' END, 'auth_code', name FROM billing.account;
CREATE FUNCTION pg_temp.legs(at timestamptz) RETURNS text LANGUAGE sql AS $$
	WITH c AS (INSERT INTO billing.cdr (started_at, billsec, disposition, callee, auth_code, provider_code) VALUES (at, 60, 'ANSWERED', '442079460000', 'customer', 'carrier') RETURNING *)
	SELECT format('%s %s %s %s', trim_scale(customer_amount), trim_scale(reseller_amount), trim_scale(provider_amount), status) FROM c
$$;
-- one minute each, so the amounts are the prices
SELECT is(pg_temp.legs(at), want, 'P8, K12: ' || what) FROM (VALUES ('2026-03-02 10:00+00'::timestamptz, '1.2 0.24 -0.06 rated', 'Monday 12:00, 05:00 in New York: peak, peak, none'), ('2026-03-02 17:00+00', '1.2 0.24 -0.09 rated', '19:00 and 12:00: peak everywhere'),
	('2026-03-02 20:00+00', '0.6 0.12 -0.09 rated', '22:00 and 15:00: only the provider''s peak'), ('2026-03-11 09:00+00', '0.3 0.24 -0.06 rated', 'a holiday at 11:00: free, the peak of free days, 05:00'), ('2026-03-11 17:00+00', '0.3 0.12 -0.09 rated', 'it is none in New York'),
	('2026-03-07 17:00+00', '0.3 0.12 -0.06 rated', 'Saturday')) AS v (at, want, what);
-- the rating instant is the answer: 19:59:50 started, 20:00:05 answered
WITH c AS (INSERT INTO billing.cdr (started_at, answered_at, billsec, callee, auth_code) VALUES ('2026-03-02 17:59:50+00', '2026-03-02 18:00:05+00', 60, '442079460000', 'customer') RETURNING *)
SELECT is(trim_scale(customer_amount), 0.6, 'reading 14: day and band are those of the answer') FROM c;
-- the same by a compiled list: 500 lookups compile it
SELECT is(count(DISTINCT m.price), 1::bigint, 'a compiled list answers as the table does') FROM billing.tariff AS t, generate_series(1, 500) AS i, LATERAL billing.match_rate(t.id, '4420794' || i, '2026-03-02 10:00+00'::timestamptz + i * interval '1 second') AS m WHERE t.name = 'four' AND m.price = 0.40;
SELECT is(array_agg(DISTINCT concat_ws(' ', trim_scale(m.price), m.day_type, m.band)), ARRAY[want], 'compiled: ' || what) FROM (VALUES ('2026-03-02 18:30+00'::timestamptz, '0.2 work', 'the day'), ('2026-03-07 10:00+00', '0.9 free', 'a free day'), ('2026-03-07 21:00+00', '0.95 free night', 'a free night'), ('2026-03-02 10:00+00', '0.4 work peak', 'day and band')) AS v (at, want, what),
	billing.tariff AS t, generate_series(1, 300) AS i, LATERAL billing.match_rate(t.id, '4420794' || i, v.at) AS m WHERE t.name = 'four' GROUP BY v.want, v.what ORDER BY v.what;

SELECT * FROM finish();
ROLLBACK;
