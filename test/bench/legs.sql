-- 100 customers with an ani and a DID each, three carriers, 5,000 prefixes in each list; calls of four kinds, :rows of each.
SET client_min_messages = warning;
CREATE EXTENSION billing CASCADE;
SELECT billing.create_ledger() \g /dev/null
INSERT INTO billing.calendar (name, timezone, is_default) VALUES ('home', 'Europe/Vilnius', true);
INSERT INTO billing.calendar_band (calendar_id, band, starts, ends) SELECT id, 'peak', '08:00', '20:00' FROM billing.calendar;
INSERT INTO billing.tariff (name, currency, calendar_id) SELECT v.name, 'EUR', c.id FROM (VALUES ('sell', NULL), ('buy', NULL), ('sell by day', 'home'), ('buy by day', 'home')) AS v (name, calendar) LEFT JOIN billing.calendar AS c ON c.name = v.calendar;
INSERT INTO billing.rate (tariff_id, prefix, price) SELECT t.id, p::text::billing.prefix, 0.05 FROM billing.tariff AS t, generate_series(40000, 44999) AS p;
INSERT INTO billing.rate (tariff_id, prefix, day_type, price) SELECT r.tariff_id, r.prefix, 'work', 0.06 FROM billing.rate AS r JOIN billing.tariff AS t ON t.id = r.tariff_id WHERE t.calendar_id IS NOT NULL;
INSERT INTO billing.account (name, is_provider, currency, tariff_id) SELECT 'carrier ' || i || ' ' || t.name, true, 'EUR', t.id FROM generate_series(1, 3) AS i JOIN billing.tariff AS t ON t.name LIKE 'buy%';
INSERT INTO billing.account (name, currency, tariff_id) SELECT 'customer ' || i || ' ' || t.name, 'EUR', t.id FROM generate_series(0, 99) AS i JOIN billing.tariff AS t ON t.name LIKE 'sell%';
INSERT INTO billing.service (account_id, side, kind, identifier) SELECT id, 'provider', 'trunk', name FROM billing.account WHERE is_provider;
INSERT INTO billing.service (account_id, kind, identifier) SELECT id, 'auth_code', name FROM billing.account WHERE NOT is_provider;
INSERT INTO billing.service (account_id, kind, identifier) SELECT id, 'ani', '4930' || split_part(name, ' ', 2) FROM billing.account WHERE name LIKE 'customer % sell';
INSERT INTO billing.service (account_id, kind, identifier, provider_id)
SELECT o.id, 'did', d || split_part(o.name, ' ', 2), p.id FROM billing.account AS o, billing.account AS p, unnest(ARRAY['3705', '3706']) AS d WHERE o.name LIKE 'customer % sell' AND p.name = 'carrier 1 buy';
INSERT INTO billing.did_rate (leg, number, currency, price, day_type) SELECT leg, s.identifier, 'EUR', 0.06, d FROM billing.service AS s, unnest(ARRAY['did_incoming', 'did_owner', 'did_provider']) AS leg, unnest(ARRAY['any', 'work']) AS d
WHERE s.kind = 'did' AND (d = 'any' OR s.identifier LIKE '3706%');

-- The raw columns of a call, all of them, as a loader's rows have them.
CREATE SCHEMA bench;
SELECT format('CREATE TABLE bench.%I (%s)', t, (SELECT string_agg(format('%I %s', attname, format_type(atttypid, atttypmod)), ', ' ORDER BY attnum) FROM pg_attribute
	WHERE attrelid = 'billing.cdr'::regclass AND attnum BETWEEN 1 AND (SELECT attnum FROM pg_attribute WHERE attrelid = 'billing.cdr'::regclass AND attname = 'callee_number')))
FROM unnest(ARRAY['two legs', 'three DID legs', 'two legs, by day', 'three DID legs, by day']) AS t \gexec
SELECT format('INSERT INTO bench.%I (id, source, call_id, started_at, answered_at, billsec, disposition, caller, callee, auth_code, src_trunk, dst_trunk)
	SELECT i, ''switch'', i, at, at, 30 + i %% 300, ''ANSWERED'', %s FROM generate_series(1, %s) AS i, LATERAL (SELECT ''2026-03-02 00:00+00''::timestamptz + i * interval ''13 seconds'' AS at) AS a', t,
	CASE WHEN t LIKE 'two%' THEN format('''4999'', ''4'' || i %% 5000 + 40000, ''customer '' || i %% 100 || %L, NULL, ''carrier '' || 1 + i %% 3 || %L', ' sell' || d, ' buy' || d)
		ELSE format('''4930'' || i %% 100, %L || (i * 7 + 1) %% 100, NULL, ''carrier 1 buy'', NULL', CASE WHEN d = '' THEN '3705' ELSE '3706' END) END, :rows)
FROM unnest(ARRAY['two legs', 'three DID legs', 'two legs, by day', 'three DID legs, by day']) AS t, LATERAL (SELECT CASE WHEN t LIKE '%by day' THEN ' by day' ELSE '' END AS d) AS l \gexec
VACUUM ANALYZE;

-- What is measured must be what is claimed.
DO $$
DECLARE
	legs bigint;
BEGIN
	SELECT count(*) INTO legs FROM bench."two legs" AS c, LATERAL billing.rate_call(c) AS r WHERE c.id <= 1000 AND r.status = 'rated' AND num_nonnulls(r.customer_amount, r.provider_amount) = 2;
	ASSERT legs = least(1000, (SELECT count(*) FROM bench."two legs")), format('%s calls have two legs', legs);
	SELECT count(*) INTO legs FROM bench."three DID legs, by day" AS c, LATERAL billing.rate_call(c) AS r WHERE c.id <= 1000 AND r.status = 'rated'
		AND num_nonnulls(r.did_incoming_amount, r.did_owner_amount, r.did_provider_amount) = 3;
	ASSERT legs = least(1000, (SELECT count(*) FROM bench."three DID legs, by day")), format('%s calls have their DID legs', legs);
END $$;
