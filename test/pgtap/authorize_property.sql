-- The longest duration that billing.authorize() gives, against every second asked one by one (design 6, reading 9).
BEGIN;
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS billing CASCADE;
SELECT billing.create_ledger();
SELECT plan(6);

SELECT setseed(0.4);
CREATE FUNCTION pg_temp.pick(VARIADIC choices numeric[]) RETURNS numeric LANGUAGE sql VOLATILE AS $$SELECT choices[1 + floor(random() * cardinality(choices))::int]$$;
INSERT INTO billing.calendar (id, name, timezone) VALUES (1, 'calendar', 'UTC');
INSERT INTO billing.calendar_band (calendar_id, day_type, band, starts, ends) VALUES (1, 'any', 'night', '20:00', '20:05'), (1, 'any', 'late', '20:05', '08:00');
INSERT INTO billing.tariff (id, name, currency, calendar_id) VALUES (1, 'retail', 'EUR', 1), (2, 'to callshops', 'EUR', 1);
-- 300 numbers, each priced at random by day and night, in both lists.
INSERT INTO billing.rate (tariff_id, prefix, band, price, first_price, connect_fee, first_increment, next_increment, grace_seconds, free_seconds, min_amount, max_amount, surcharge_percent, boundary, rounding_digits)
SELECT t, (1000 + n)::text::billing.prefix, b.band, pg_temp.pick(0.60, 0.06, 0.61, 0, -0.30), pg_temp.pick(NULL, NULL, 1.20, -0.60), pg_temp.pick(0, 0, 0.10, -0.20),
	pg_temp.pick(1, 1, 10, 60, 0), pg_temp.pick(1, 6, 60), pg_temp.pick(0, 0, 5), pg_temp.pick(0, 0, 20), pg_temp.pick(NULL, NULL, 0.05), pg_temp.pick(NULL, NULL, 3),
	pg_temp.pick(0, 0, 10), CASE pg_temp.pick(0, 1) WHEN 0 THEN 'start' ELSE 'split' END, pg_temp.pick(8, 8, 2)
FROM generate_series(1, 2) t, generate_series(1, 300) n, (VALUES (NULL), ('night')) b(band)
ORDER BY t, n, b.band;
INSERT INTO billing.rate_step (rate_id, from_second, price, increment)
SELECT r.id, pg_temp.pick(30, 60, 200), pg_temp.pick(0.30, 1.20, 0, -0.60), pg_temp.pick(1, 6, 30) FROM (SELECT id FROM billing.rate WHERE id % 3 = 0 ORDER BY id) r;
INSERT INTO billing.account (id, name, currency, tariff_id, billing) VALUES (10, 'callshop', 'EUR', 2, 'prepaid');
INSERT INTO billing.account (id, name, currency, tariff_id, billing, parent_id) VALUES (11, 'booth', 'EUR', 1, 'prepaid', 10);
INSERT INTO billing.service (account_id, kind, identifier) VALUES (11, 'extension', '111');

-- Each number as a call of its own, from 19:59, with random money of both.
CREATE TEMP TABLE call AS
SELECT n, (1000 + n)::text || '55' AS callee, pg_temp.pick(0, 0.10, 0.50, 1, 2.55, 4, 50) AS booth, pg_temp.pick(0.20, 1, 3, 10, 100) AS callshop
FROM generate_series(1, 300) n;
-- What every second costs.
CREATE TEMP TABLE cost AS
SELECT c.n, s.seconds, c.booth, c.callshop, greatest(r.customer_amount, 0) AS customer, greatest(r.reseller_amount, 0) AS reseller
FROM call c CROSS JOIN generate_series(1, 500) s(seconds)
	CROSS JOIN LATERAL (SELECT '111'::text AS caller, c.callee, '2026-12-21 19:59'::timestamptz AS started_at, '2026-12-21 19:59'::timestamptz AS answered_at, s.seconds::numeric AS billsec) k
	CROSS JOIN LATERAL billing.rate_call(k) r;
CREATE TEMP TABLE expected AS
SELECT c.n, coalesce(min(c.seconds) FILTER (WHERE c.customer > c.booth OR c.reseller > c.callshop) - 1, 500) AS seconds
FROM cost c GROUP BY c.n;
-- Reading 9: the first second that costs something must be affordable, whatever stood before it for nothing.
UPDATE expected e SET seconds = 0
FROM (
	SELECT c.n, k.leg, 1 + greatest(m.grace_seconds, CASE WHEN m.first_increment = 0 THEN m.free_seconds ELSE 0 END) AS second
	FROM call c CROSS JOIN (VALUES (1, 'customer'), (2, 'reseller')) k(tariff, leg)
		CROSS JOIN LATERAL billing.match_rate(k.tariff, c.callee, '2026-12-21 19:59') m) f
	JOIN cost c ON c.n = f.n AND c.seconds = f.second
WHERE e.n = f.n AND CASE f.leg WHEN 'customer' THEN c.customer > c.booth ELSE c.reseller > c.callshop END;

CREATE TEMP TABLE found AS
SELECT c.n, l.seconds, l.amount
FROM call c
	CROSS JOIN LATERAL (SELECT '111'::text AS caller, c.callee, '2026-12-21 19:59'::timestamptz AS started_at) k
	CROSS JOIN LATERAL billing._longest_call(k, ARRAY[c.booth, c.callshop], '{}', 500) l;

SELECT is_empty('SELECT e.n, e.seconds, f.seconds FROM expected e JOIN found f USING (n) WHERE e.seconds <> f.seconds ORDER BY n LIMIT 5',
	'design 6: the longest call is as long as asking second by second makes it');
SELECT is((SELECT count(*) FROM found), 300::bigint, 'of 300 calls');
SELECT cmp_ok((SELECT count(*) FROM found WHERE seconds BETWEEN 1 AND 499), '>', 80::bigint, 'many of which end for want of money');
SELECT cmp_ok((SELECT count(*) FROM found WHERE seconds = 0), '>', 10::bigint, 'some cannot begin');
SELECT cmp_ok((SELECT count(DISTINCT c.n) FROM cost c JOIN cost d ON d.n = c.n AND d.seconds = c.seconds + 1 AND d.customer < c.customer), '>', 20::bigint, 'and some become cheaper while they last');
SELECT is_empty($$
	SELECT f.n, f.amount[1:2], m.customer, m.reseller
	FROM found f CROSS JOIN LATERAL (SELECT max(c.customer) AS customer, max(c.reseller) AS reseller FROM cost c WHERE c.n = f.n AND c.seconds <= f.seconds) m
	WHERE f.seconds > 0 AND (f.amount[1], f.amount[2]) <> (m.customer, m.reseller) ORDER BY 1 LIMIT 5$$, 'what is reserved is the most that any second of it costs');

SELECT * FROM finish();
ROLLBACK;
