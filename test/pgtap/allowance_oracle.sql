-- Property: whatever the order in which calls come, change and go, plans change and credits are settled, the credits are
-- those of a plain model that walks the calls once, cycle by cycle, in the order of reading 25 (design 6, D9 to D12).
BEGIN;
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS billing CASCADE;
SELECT billing.create_ledger();
SELECT no_plan();

-- The price list as the model knows it, too: 44 with a fee by 60/30, 1 by the second with a minimum, 49 for nobody's allowance.
CREATE TABLE pg_temp.price (prefix text, price numeric, fee numeric, first integer, next integer, least numeric);
INSERT INTO pg_temp.price VALUES ('44', 0.123, 0.05, 60, 30, 0), ('1', 0.077, 0, 1, 1, 0.02), ('49', 0.2, 0, 1, 1, 0);
INSERT INTO billing.tariff (id, name, currency) VALUES (1, 'list', 'EUR');
INSERT INTO billing.rate (tariff_id, prefix, destination, price, connect_fee, first_increment, next_increment, min_amount)
SELECT 1, p.prefix::billing.prefix, p.prefix, p.price, p.fee, p.first, p.next, nullif(p.least, 0) FROM pg_temp.price p;

INSERT INTO billing.plan (id, name, tariff_id, cycle, first_cycle) VALUES (1, 'monthly', 1, 'monthly', 'prorated'), (2, 'weekly', 1, 'weekly', 'prorated'), (3, 'two weeks', 1, 'two_weekly', 'full');
INSERT INTO billing.allowance (id, plan_id, name, seconds, rollover) VALUES (1, 1, 'London', 1300, true), (2, 1, 'UK', 2100, false), (3, 1, 'NANP', 1701, true),
	(4, 2, 'NANP', 401, false), (5, 2, 'all but Canada', 333, true), (6, 3, 'UK', 1100, true);
CREATE TABLE pg_temp.covers (allowance_id bigint, prefix text, included boolean);
INSERT INTO pg_temp.covers VALUES (1, '4420', true), (2, '44', true), (2, '4478', false), (3, '1', true), (3, '1613', false), (4, '1', true), (5, '', true), (5, '1613', false), (5, '49', false), (6, '44', true);
INSERT INTO billing.allowance_prefix SELECT c.allowance_id, c.prefix::billing.prefix, c.included FROM pg_temp.covers c;

-- 1: an account's pool. 2: another zone. 3: services with plans of their own beside the account's. 4: changes its plan.
INSERT INTO billing.account (id, name, currency, plan_id, tariff_id, timezone) VALUES (1, 'one', 'EUR', 1, 1, 'UTC'), (2, 'two', 'EUR', 2, 1, 'America/New_York'), (3, 'three', 'EUR', 1, 1, 'Europe/Vilnius'), (4, 'four', 'EUR', 1, 1, 'Asia/Kolkata');
INSERT INTO billing.service (id, account_id, kind, identifier, plan_id) VALUES (11, 1, 'ani', '11', NULL), (12, 1, 'ani', '12', NULL), (21, 2, 'ani', '21', NULL), (31, 3, 'ani', '31', NULL), (32, 3, 'did', '32', 3), (33, 3, 'extension', '33', 2), (41, 4, 'ani', '41', NULL);
INSERT INTO billing.service (id, account_id, kind, identifier, primary_id) VALUES (34, 3, 'virtual_number', '34', 32);

-- Who has which plan from when to when: pool, callers, zone.
CREATE TABLE pg_temp.held (pool text, callers text[], zone text, plan_id bigint, starts timestamptz, ends timestamptz);
INSERT INTO pg_temp.held VALUES ('account:1', '{11,12}', 'UTC', 1, '-infinity', 'infinity'), ('account:2', '{21}', 'America/New_York', 2, '-infinity', 'infinity'), ('account:3', '{31}', 'Europe/Vilnius', 1, '-infinity', 'infinity'),
	('service:32', '{32,34}', 'Europe/Vilnius', 3, '-infinity', 'infinity'), ('service:33', '{33}', 'Europe/Vilnius', 2, '-infinity', '2026-02-25 08:00'),
	('account:4', '{41}', 'Asia/Kolkata', 1, '-infinity', '2026-02-10 12:00'), ('account:4', '{41}', 'Asia/Kolkata', 2, '2026-02-10 12:00', '2026-03-03'),
	('account:4', '{41}', 'Asia/Kolkata', 3, '2026-03-10', 'infinity');
-- From 2026-02-25 on extension 33 draws from its account's pool, with 31.

CREATE FUNCTION pg_temp.cycle_start(cycle text, day date) RETURNS date LANGUAGE sql AS $$
	SELECT CASE cycle WHEN 'monthly' THEN make_date(extract(year FROM day)::integer, extract(month FROM day)::integer, 1) WHEN 'weekly' THEN date_trunc('week', day)::date
		ELSE (SELECT max(d)::date FROM generate_series('2001-01-01'::timestamp, day::timestamp, '14 days') d) END
$$;
CREATE FUNCTION pg_temp.cycle_end(cycle text, day date) RETURNS date LANGUAGE sql AS $$
	SELECT (day + CASE cycle WHEN 'monthly' THEN interval '1 month' WHEN 'weekly' THEN interval '1 week' ELSE interval '2 weeks' END)::date
$$;
-- What a call costs with its first seconds covered: fee and minimum only where a second is not.
CREATE FUNCTION pg_temp.cost(callee text, seconds bigint, covered bigint, OUT billed bigint, OUT amount numeric) LANGUAGE sql AS $$
	SELECT b.billed, CASE WHEN b.billed <= covered THEN 0 ELSE greatest(p.least, round(p.fee + p.price * (b.billed - covered) / 60, 8)) END
	FROM pg_temp.price p, LATERAL (SELECT CASE WHEN seconds = 0 THEN 0 ELSE p.first + ceil(greatest(seconds - p.first, 0)::numeric / p.next)::bigint * p.next END AS billed) b
	WHERE callee LIKE p.prefix || '%'
$$;

CREATE TABLE pg_temp.expected (call_id text, pool text, allowance text, cycle date, seconds bigint, amount numeric);
CREATE TABLE pg_temp.expected_cycle (pool text, allowance text, cycle date, granted bigint, rolled_over bigint, used bigint);

CREATE FUNCTION pg_temp.model() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	h record; c record; a record;
	kind text; whole date; first date; last date; stop date;
	n bigint; billed bigint; done bigint; before numeric; after numeric; had_calls boolean;
BEGIN
	TRUNCATE pg_temp.expected, pg_temp.expected_cycle;
	CREATE TEMP TABLE IF NOT EXISTS purse (id bigint, name text, seconds bigint, rollover boolean, own bigint, carry bigint, used bigint);
	FOR h IN SELECT * FROM pg_temp.held LOOP
		SELECT p.cycle INTO kind FROM billing.plan p WHERE p.id = h.plan_id;
		CREATE TEMP TABLE pool_call ON COMMIT DROP AS
			SELECT x.*, (x.at AT TIME ZONE h.zone)::date AS day
			FROM (SELECT k.*, coalesce(k.answered_at, k.started_at) AS at FROM billing.cdr k) x
			WHERE (x.caller = ANY (h.callers) OR (h.pool = 'account:3' AND x.caller = '33' AND x.at >= '2026-02-25 08:00')) AND x.at >= h.starts AND x.at < h.ends;
		SELECT min(day), max(day) INTO first, last FROM pool_call;
		IF isfinite(h.starts) THEN
			first := (h.starts AT TIME ZONE h.zone)::date;
		END IF;
		DELETE FROM purse;
		INSERT INTO purse SELECT l.id, l.name, l.seconds, l.rollover, 0, 0, 0 FROM billing.allowance l WHERE l.plan_id = h.plan_id;
		whole := pg_temp.cycle_start(kind, first);
		WHILE whole <= last LOOP
			stop := pg_temp.cycle_end(kind, whole);
			UPDATE purse SET carry = CASE WHEN rollover THEN own - greatest(used - carry, 0) ELSE 0 END;
			UPDATE purse SET used = 0, own = CASE WHEN isfinite(h.starts) AND first > whole AND h.plan_id <> 3 THEN floor(seconds::numeric * (stop - first) / (stop - whole)) ELSE seconds END;
			had_calls := false;
			FOR c IN SELECT * FROM pool_call k WHERE k.day >= whole AND k.day < stop ORDER BY k.started_at, k.source, k.call_id, k.id LOOP
				had_calls := true;
				SELECT x.billed, x.amount INTO billed, before FROM pg_temp.cost(c.callee, c.billsec::bigint, 0) x;
				done := 0;
				FOR a IN
					SELECT w.*, m.prefix FROM purse w CROSS JOIN LATERAL (
						SELECT v.prefix, v.included FROM pg_temp.covers v WHERE v.allowance_id = w.id AND c.callee LIKE v.prefix || '%' ORDER BY length(v.prefix) DESC LIMIT 1) m
					WHERE m.included ORDER BY length(m.prefix) DESC, w.id
				LOOP
					n := least(a.own + a.carry - a.used, billed - done);
					CONTINUE WHEN n <= 0;
					done := done + n;
					SELECT x.amount INTO after FROM pg_temp.cost(c.callee, c.billsec::bigint, done) x;
					INSERT INTO pg_temp.expected VALUES (c.call_id, h.pool, a.name, greatest(whole, CASE WHEN isfinite(h.starts) THEN first ELSE whole END), n, before - after);
					before := after;
					UPDATE purse SET used = used + n WHERE id = a.id;
				END LOOP;
			END LOOP;
			IF had_calls THEN
				INSERT INTO pg_temp.expected_cycle SELECT h.pool, w.name, greatest(whole, CASE WHEN isfinite(h.starts) THEN first ELSE whole END), w.own, w.carry, w.used FROM purse w;
			END IF;
			whole := stop;
		END LOOP;
		DROP TABLE pool_call;
	END LOOP;
END $$;

-- A few hundred calls; many begin at the same instant, some are answered later, beyond midnight or days.
CREATE TABLE pg_temp.raw AS SELECT '' AS source, '' AS call_id, now() AS started_at, now() AS answered_at, 0 AS billsec, '' AS caller, '' AS callee WITH NO DATA;
CREATE FUNCTION pg_temp.draw(count integer) RETURNS void LANGUAGE sql AS $$
	TRUNCATE pg_temp.raw;
	INSERT INTO pg_temp.raw
	SELECT 's' || (random() * 2)::integer, n::text, s.at, CASE WHEN random() < 0.2 THEN s.at + random() * random() * interval '3 days' END,
		CASE WHEN random() < 0.1 THEN 0 ELSE (random() * 400)::integer END,
		(ARRAY['11', '12', '21', '31', '32', '33', '34', '41'])[1 + (random() * 7.99)::integer % 8],
		(ARRAY['442071', '442072', '447800', '4411', '12125', '16135', '4930'])[1 + (random() * 6.99)::integer % 7]
	FROM generate_series(1, count) n, LATERAL (SELECT '2026-01-20'::timestamptz + (random() * 85 + n * 0)::integer * interval '1 day' + (random() * 4 + n * 0)::integer * interval '5 hours') s(at)
$$;
CREATE FUNCTION pg_temp.insert_calls(ids text[]) RETURNS void LANGUAGE sql AS $$
	INSERT INTO billing.cdr (source, call_id, started_at, answered_at, billsec, caller, callee)
	SELECT r.source, r.call_id, r.started_at, r.answered_at, r.billsec, r.caller, r.callee FROM pg_temp.raw r WHERE r.call_id = ANY (ids) ORDER BY random()
$$;
CREATE FUNCTION pg_temp.differences() RETURNS SETOF text LANGUAGE sql AS $$
	WITH have AS (
		SELECT format('%s %s %s %s %s %s', c.call_id, k.pool, k.allowance, k.cycle, k.seconds, trim_scale(k.amount)) AS what FROM billing.credit k JOIN billing.cdr c ON c.id = k.cdr_id AND c.started_at = k.started_at
		UNION ALL SELECT format('cycle %s %s %s %s %s %s', coalesce('service:' || l.service_id, 'account:' || l.account_id), l.allowance, l.cycle, l.granted, l.rolled_over, l.used) FROM billing.allowance_left l
	), want AS (
		SELECT format('%s %s %s %s %s %s', e.call_id, e.pool, e.allowance, e.cycle, e.seconds, trim_scale(e.amount)) AS what FROM pg_temp.expected e
		UNION ALL SELECT format('cycle %s %s %s %s %s %s', e.pool, e.allowance, e.cycle, e.granted, e.rolled_over, e.used) FROM pg_temp.expected_cycle e
	)
	(SELECT 'credited: ' || h.what FROM (SELECT what FROM have EXCEPT ALL SELECT what FROM want) h)
	UNION ALL (SELECT 'expected: ' || w.what FROM (SELECT what FROM want EXCEPT ALL SELECT what FROM have) w)
	ORDER BY 1
$$;

-- A random life of the calls: half of them come, some change, some go, the rest comes; plans change in between; settled at random moments.
CREATE FUNCTION pg_temp.live(seed double precision, count integer, change_plans boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	changes text[] := ARRAY['UPDATE billing.account SET plan_id = 2, terms_from = ''2026-02-10 12:00'' WHERE id = 4', 'UPDATE billing.account SET plan_id = NULL, terms_from = ''2026-03-03'' WHERE id = 4',
		'UPDATE billing.account SET plan_id = 3, terms_from = ''2026-03-10'' WHERE id = 4', 'UPDATE billing.service SET plan_id = NULL, terms_from = ''2026-02-25 08:00'' WHERE id = 33'];
BEGIN
	PERFORM setseed(seed);
	PERFORM pg_temp.draw(count);
	DELETE FROM billing.cdr;
	FOR i IN 1 .. 40 LOOP
		PERFORM pg_temp.insert_calls(ARRAY(SELECT r.call_id FROM pg_temp.raw r WHERE NOT EXISTS (SELECT FROM billing.cdr c WHERE c.call_id = r.call_id) ORDER BY random() LIMIT count / 25));
		IF random() < 0.5 THEN
			DELETE FROM billing.cdr WHERE call_id IN (SELECT r.call_id FROM pg_temp.raw r ORDER BY random() LIMIT 3);
		END IF;
		IF random() < 0.5 THEN
			UPDATE billing.cdr SET billsec = (random() * 400)::integer, caller = (SELECT r.caller FROM pg_temp.raw r ORDER BY random() LIMIT 1)
			WHERE call_id IN (SELECT r.call_id FROM pg_temp.raw r ORDER BY random() LIMIT 3);
		END IF;
		IF random() < 0.3 THEN
			UPDATE billing.cdr SET started_at = started_at + (random() * 20 - 10)::integer * interval '1 day', answered_at = NULL WHERE call_id IN (SELECT r.call_id FROM pg_temp.raw r ORDER BY random() LIMIT 2);
		END IF;
		IF change_plans AND i % 9 = 0 AND i / 9 <= 4 THEN
			EXECUTE changes[i / 9];
		END IF;
		IF random() < 0.4 THEN
			PERFORM billing.settle_credits();
		END IF;
	END LOOP;
	PERFORM billing.settle_credits();
	PERFORM pg_temp.model();
END $$;

SELECT lives_ok('SELECT pg_temp.live(0.1, 400, true)', '400 calls in random order, with plans that change');
SELECT is_empty('SELECT pg_temp.differences()', 'reading 25: credits and cycles are the model''s, to the last digit');
SELECT cmp_ok((SELECT count(*) FROM pg_temp.expected), '>', 200::bigint, 'the model covers many calls');
SELECT cmp_ok((SELECT count(*) FROM pg_temp.expected_cycle WHERE rolled_over > 0 AND used > rolled_over), '>', 5::bigint, 'roll-over is used');
SELECT cmp_ok((SELECT count(*) FROM pg_temp.expected e WHERE e.seconds < (SELECT c.customer_billsec FROM billing.cdr c WHERE c.call_id = e.call_id)), '>', 10::bigint, 'calls straddle');
SELECT lives_ok(format('SELECT pg_temp.live(%s, 300, false)', s), 'another life, seed ' || s) || E'\n' || is_empty('SELECT pg_temp.differences()', 'reading 25: and again, seed ' || s)
FROM unnest(ARRAY[0.2, 0.3]) s;
SELECT is_empty('SELECT * FROM billing.verify()', 'promise 3: usage.credit is the sum of the credits, and each stands on its leg');

SELECT * FROM finish();
ROLLBACK;
