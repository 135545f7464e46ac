-- Included minutes: pools, cycles, straddling calls, roll-over, changes of plan (D3, D9 to D12, C20, C21, K21, readings 24 to 28).
BEGIN;
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS billing CASCADE;
SELECT billing.create_ledger();
SELECT no_plan();

-- 0.60 a minute to the US (1), 0.30 to Canada (1613), 1.20 to the UK (44); no fee, by the second.
INSERT INTO billing.tariff (id, name, currency) VALUES (1, 'retail', 'USD');
INSERT INTO billing.rate (id, tariff_id, prefix, destination, price) VALUES (1, 1, '1', 'US', 0.60), (2, 1, '1613', 'Canada', 0.30), (3, 1, '44', 'UK', 1.20);
INSERT INTO billing.plan (id, name, tariff_id) VALUES (1, 'Business Premium', 1);
INSERT INTO billing.allowance (id, plan_id, name, seconds) VALUES (1, 1, 'US', 60000);
INSERT INTO billing.allowance_prefix (allowance_id, prefix, included) VALUES (1, '1', true), (1, '1613', false);
INSERT INTO billing.account (id, name, currency) VALUES (1, 'DTH', 'USD');
INSERT INTO billing.service (id, account_id, kind, identifier, plan_id, cost_center) VALUES (1, 1, 'did', '16138221234', 1, 'Ottawa');
INSERT INTO billing.service (id, account_id, kind, identifier, primary_id, additional_charge) SELECT 10 + n, 1, 'virtual_number', '1613822200' || n, 1, 2.50 FROM generate_series(0, 9) n;
INSERT INTO billing.service (id, account_id, kind, identifier, plan_id) VALUES (21, 1, 'extension', '201', 1), (22, 1, 'extension', '202', 1);

CREATE FUNCTION pg_temp.load(call_id text, caller text, starts text, billsec integer, callee text DEFAULT '12125550000') RETURNS void LANGUAGE sql AS $$
	INSERT INTO billing.cdr (source, call_id, started_at, billsec, caller, callee) VALUES ('s', call_id, starts::timestamptz, billsec, caller, callee)
$$;
-- What is credited: 'call seconds amount', by call.
CREATE FUNCTION pg_temp.credits(pattern text DEFAULT '%') RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(format('%s %s %s', c.call_id, k.seconds, trim_scale(k.amount)), ', ' ORDER BY c.call_id COLLATE "C", k.id)
	FROM billing.credit k JOIN billing.cdr c ON c.id = k.cdr_id AND c.started_at = k.started_at WHERE k.kind = 'allowance' AND c.call_id LIKE pattern
$$;
CREATE FUNCTION pg_temp.pools() RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(format('%s %s %s+%s-%s', coalesce(l.service, l.account), l.cycle, l.granted, l.rolled_over, l.used), ', ' ORDER BY coalesce(l.service, l.account) COLLATE "C", l.cycle)
	FROM billing.allowance_left l
$$;
-- Promise 3: the credits in usage are the credits.
CREATE FUNCTION pg_temp.adds_up() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT format('%s %s %s %s %s %s', x.account_id, x.leg, x.day, x.cost_center, x.destination, sum(x.credit))
	FROM (SELECT u.account_id, u.leg, u.day, u.cost_center, u.destination, u.currency, u.credit FROM billing.usage u
		UNION ALL SELECT k.account_id, k.leg, k.day, k.cost_center, k.destination, k.currency, -k.amount FROM billing.credit k) x
	GROUP BY x.account_id, x.leg, x.day, x.cost_center, x.destination, x.currency HAVING sum(x.credit) <> 0
$$;

-- The DTH example: 1,000 minutes to the US, one DID and ten virtual numbers.
SELECT lives_ok($$SELECT pg_temp.load('v' || n, '1613822200' || n, '2026-03-05 10:00'::timestamptz + n * interval '1 hour' || '', 5400) FROM generate_series(0, 9) n$$, 'ten virtual numbers call the US for 90 minutes each');
SELECT lives_ok($$SELECT pg_temp.load('w', '16138221234', '2026-03-06 10:00', 9000)$$, 'the DID for 150 minutes');
SELECT ok(bool_and(customer_amount = CASE call_id WHEN 'w' THEN 90 ELSE 54 END AND customer_account_id = 1), 'promise 2: rating looks at no other call: 90 x 0.60, 150 x 0.60') FROM billing.cdr;
SELECT is_empty('SELECT FROM billing.credit', 'design 6: the statement only queues');
SELECT is(billing.settle_credits(), 1::bigint, 'D10: one pool');
-- 10 x 90 = 900 minutes; of 150 minutes 100 are left: 100 x 0.60 = 60.
SELECT is(pg_temp.credits(), 'v0 5400 54, v1 5400 54, v2 5400 54, v3 5400 54, v4 5400 54, v5 5400 54, v6 5400 54, v7 5400 54, v8 5400 54, v9 5400 54, w 6000 60',
	'D9 D10: eleven numbers draw from one pool of 1,000 minutes; reading 25: the call that straddles its end is split');
SELECT is(pg_temp.pools(), '16138221234 2026-03-01 60000+0-60000', 'D10: the pool is the primary''s, and empty');
SELECT results_eq('SELECT amount, credit, net FROM billing.charge WHERE call_id = ''w''', 'VALUES (90.0, 60.0, 30.0)', 'design 6: gross, credit and net');
SELECT is_empty('SELECT pg_temp.adds_up()', 'design 6: usage.credit is the sum of the credits');
SELECT is((SELECT sum(credit) FROM billing.usage), 600.0, 'design 6: 1,000 x 0.60 in usage');
SELECT is((SELECT string_agg(DISTINCT cost_center, '/') FROM billing.usage WHERE credit <> 0), '/Ottawa', 'D15: each under the cost centre of its number');
SELECT is(billing.settle_credits(), 0::bigint, 'nothing is queued any more');
SELECT lives_ok($$SELECT pg_temp.load('x', '16138222000', '2026-03-07', 60), pg_temp.load('y', '16138222000', '2026-03-07', 60, '16137000000'), pg_temp.load('z', '16138222000', '2026-04-01', 60)$$, 'further calls');
SELECT billing.settle_credits();
SELECT is(pg_temp.credits('x'), NULL, 'D10: the pool is exhausted');
SELECT is(pg_temp.credits('z'), 'z 60 0.6', 'D10: the next month has its own 1,000 minutes');
SELECT is(pg_temp.pools(), '16138221234 2026-03-01 60000+0-60000, 16138221234 2026-04-01 60000+0-60', 'D10: K21: unused minutes are lost');
SELECT is(billing.allowance_remaining(1, 11, 'customer', '12125550000', '2026-04-02'), 59940::bigint, 'what a call of a virtual number could draw: its primary''s');
SELECT is(billing.allowance_remaining(1, 11, 'customer', '+12125550000', '2026-06-02'), 60000::bigint, 'in a cycle without a call all');
SELECT is(billing.allowance_remaining(1, 11, 'customer', '16130000000', '2026-04-02'), 0::bigint, 'D12: to a destination that is excluded nothing');

-- Two extensions with the same plan, without association.
SELECT pg_temp.load('e' || n, n::text, '2026-03-10', 60000) FROM generate_series(201, 202) n;
SELECT billing.settle_credits();
SELECT is(pg_temp.credits('e%'), 'e201 60000 600, e202 60000 600', 'D11: two straight extensions are two pools');
SELECT pg_temp.load('f', '201', '2026-05-10', 60, '442070000000'), pg_temp.load('g', '201', '2026-05-10', 60, '16135550000'), pg_temp.load('h', '201', '2026-05-11', 60);
SELECT billing.settle_credits();
SELECT is(pg_temp.credits('_'), 'h 60 0.6, w 6000 60, z 60 0.6', 'D12: neither the UK nor Canada, of which the longest prefix says no, consumes US minutes');

-- Late calls, deletions, changes.
CREATE TABLE pg_temp.before AS SELECT call_id, k.seconds, k.amount FROM billing.credit k JOIN billing.cdr c ON c.id = k.cdr_id;
SELECT pg_temp.load('a', '16138222009', '2026-03-01', 3600);
SELECT billing.settle_credits();
SELECT is(pg_temp.credits('a') || ', ' || pg_temp.credits('w'), 'a 3600 36, w 2400 24', 'reading 25: a late call draws before those that began later: 6,000 - 3,600 are left for the last');
DELETE FROM billing.cdr WHERE call_id = 'a';
SELECT billing.settle_credits();
SELECT set_eq('SELECT call_id, k.seconds, k.amount FROM billing.credit k JOIN billing.cdr c ON c.id = k.cdr_id', 'SELECT * FROM pg_temp.before', 'design 6: deleted again, it has never been');
UPDATE billing.cdr SET caller = '201' WHERE call_id = 'v0';
SELECT billing.settle_credits();
SELECT is(pg_temp.credits('v0') || ', ' || pg_temp.credits('w') || ', ' || pg_temp.credits('x') || ', ' || pg_temp.credits('e201'), 'v0 5400 54, w 9000 90, x 60 0.6, e201 54600 546',
	'design 6: a call that changes its service leaves one pool and joins the other');
UPDATE billing.cdr SET caller = '16138222000' WHERE call_id = 'v0';
UPDATE billing.cdr SET rated_at = NULL;
SELECT billing.settle_credits();
CREATE TABLE pg_temp.once AS SELECT * FROM billing.credit;
SELECT set_eq('SELECT call_id, k.seconds, k.amount FROM billing.credit k JOIN billing.cdr c ON c.id = k.cdr_id', 'SELECT * FROM pg_temp.before', 'P18: rated again, all is as before');
UPDATE billing.cdr SET rated_at = NULL;
SELECT billing.settle_credits();
SELECT set_eq('SELECT * FROM billing.credit', 'SELECT * FROM pg_temp.once', 'P18: and once more: nothing is written');
UPDATE billing.cdr SET started_at = '2026-04-30' WHERE call_id = 'w';
SELECT billing.settle_credits();
SELECT is(pg_temp.credits('w') || ', ' || pg_temp.credits('x'), 'w 9000 90, x 60 0.6', 'design 6: a call that moves to another cycle draws there');
SELECT is(pg_temp.pools(), '16138221234 2026-03-01 60000+0-54060, 16138221234 2026-04-01 60000+0-9060, 201 2026-03-01 60000+0-60000, 201 2026-05-01 60000+0-60, 202 2026-03-01 60000+0-60000', 'the view tells each cycle');
SELECT is_empty('SELECT pg_temp.adds_up()', 'design 6: usage.credit is still the sum of the credits');

-- Straddling calls with fee and minimum, and whole minutes: 1 + 0.60 a minute, at least 5; 90 s are 120 s.
INSERT INTO billing.tariff (id, name, currency, connect_fee, min_amount, first_increment, next_increment) VALUES (2, 'fees', 'USD', 1, 1.5, 60, 60);
INSERT INTO billing.rate (id, tariff_id, prefix, price) VALUES (21, 2, '1', 0.60);
INSERT INTO billing.plan (id, name, tariff_id, cycle) VALUES (2, 'fees', 2, 'weekly');
INSERT INTO billing.allowance (id, plan_id, name, seconds) VALUES (2, 2, 'US', 300);
INSERT INTO billing.allowance_prefix (allowance_id, prefix) VALUES (2, '1');
INSERT INTO billing.account (id, name, currency, plan_id) VALUES (2, 'fees', 'USD', 2);
INSERT INTO billing.service (id, account_id, kind, identifier) VALUES (31, 2, 'ani', '300'), (32, 2, 'ani', '301');
SELECT pg_temp.load('p1', '300', '2026-03-02 00:00', 90), pg_temp.load('p2', '301', '2026-03-03', 121), pg_temp.load('p3', '300', '2026-03-08 23:59:59', 10), pg_temp.load('p4', '300', '2026-03-09', 0);
SELECT billing.settle_credits();
-- p1: 120 billed s, 1 + 1.20 = 2.20, wholly covered: nothing remains. p2: 180 s, 1 + 1.80 = 2.80, wholly covered. p3: pool empty (120 + 180).
SELECT is(pg_temp.credits('p%'), 'p1 120 2.2, p2 180 2.8', 'reading 24: billed seconds are drawn; reading 25: the fee falls away with the whole call; a plan of the account is one pool for its services');
SELECT pg_temp.load('p0', '300', '2026-03-02 00:00', 61);
SELECT billing.settle_credits();
-- p0 before p1 by call_id: 120 s, 2.20. p1 then 120 s, 2.20. p2: 60 of 180 s: 2.80 - (1 + 0 + 1.20 = 2.20) = 0.60.
SELECT is(pg_temp.credits('p%'), 'p0 120 2.2, p1 120 2.2, p2 60 0.6', 'reading 25: of one instant by call_id; the fee stays where a second is not covered');
SELECT pg_temp.load('p00', '300', '2026-03-02 00:00', 30), pg_temp.load('p01', '300', '2026-03-02 00:00', 55);
SELECT billing.settle_credits();
-- p0 120 s (''p0'' < ''p00'' < ''p01'' < ''p1''), p00 60 s: 1.60, p01 60 s: 1.60; p1: 60 of 120 s: 2.20 - 1.60 = 0.60.
SELECT is(pg_temp.credits('p%'), 'p0 120 2.2, p00 60 1.6, p01 60 1.6, p1 60 0.6', 'reading 25: splits at any call');
SELECT is((SELECT trim_scale(net) FROM billing.charge WHERE call_id = 'p1'), 1.6, 'V12: 1 + 0.60 for the minute behind');
UPDATE billing.cdr SET billsec = 20 WHERE call_id IN ('p1');
SELECT billing.settle_credits();
SELECT is(pg_temp.credits('p1'), 'p1 60 1.6', 'the call gets shorter: now it is wholly covered');
DELETE FROM billing.cdr WHERE call_id = 'p01';
UPDATE billing.cdr SET billsec = 61 WHERE call_id = 'p00';
SELECT billing.settle_credits();
SELECT is(pg_temp.credits('p1'), 'p1 60 1.6', '120 + 120 + 60');
SELECT pg_temp.load('q', '300', '2026-03-09', 61), pg_temp.load('q2', '300', '2026-03-10', 240);
SELECT billing.settle_credits();
SELECT is(pg_temp.credits('q%'), 'q 120 2.2, q2 180 1.8', 'C20: a weekly cycle begins on Monday; 240 s: 3.40 - (1 + 0.60)');
-- With a minimum: 240 s of which 180 are covered: 1 + 0.60 is above it; if the fee were not there, 1.5 would hold.
SELECT is(billing.covered_amount(jsonb_populate_record(NULL::billing.cdr, '{"started_at": "2026-03-01", "caller": "300", "callee": "12125550000", "billsec": 240}'), 'customer', s), a,
	format('reading 25: %s covered seconds of 240', s)) FROM (VALUES (0, 3.4), (60, 2.8), (180, 1.6), (239, 1.5), (240, 0), (1000000, 0)) v(s, a);
SELECT is(billing.covered_amount(jsonb_populate_record(NULL::billing.cdr, '{"started_at": "2026-03-01", "caller": "300", "callee": "12125550000"}'), 'customer', 60), 0.0, 'an attempt is never covered');
SELECT is(billing.covered_amount(jsonb_populate_record(NULL::billing.cdr, '{"started_at": "2026-03-01", "caller": "300", "callee": "12125550000", "billsec": 60}'), 'provider', 60), NULL, 'a leg without an amount has none');
SELECT throws_ok($$SELECT billing.covered_amount(jsonb_populate_record(NULL::billing.cdr, '{}'), 'customer', -1)$$, '22023', NULL, 'negative seconds are refused');
SELECT throws_ok($$SELECT billing.covered_amount(jsonb_populate_record(NULL::billing.cdr, '{}'), 'x', 1)$$, '22023', NULL, 'an unknown leg is refused');

-- Amounts that the catalogue would not give: rows that arrive rated.
INSERT INTO billing.account (id, name, currency, plan_id) VALUES (3, 'history', 'USD', 2);
INSERT INTO billing.cdr (source, call_id, started_at, billsec, caller, callee, customer_account_id, customer_billsec, customer_amount, status, rated_at)
VALUES ('s', 'r1', '2026-03-02', 100, 'x', '12125550000', 3, 100, 7, 'rated', '2026-03-03'), ('s', 'r2', '2026-03-03', 300, 'x', '+12125550000', 3, 300, 1, 'rated', '2026-03-03'),
	('s', 'r3', '2026-03-10', 7, 'x', '12125550000', 3, 700, 1, 'rated', '2026-03-03'), ('s', 'r4', '2026-03-02', 100, 'x', '12125550000', 3, 100, -7, 'rated', '2026-03-03');
SELECT billing.settle_credits();
-- r1 whole. r2: 200 of 300 s of 1: 0.66666667. r3: 300 of 700 s of 1: 0.42857143 (0.428571428...). r4 is paid out: draws nothing.
SELECT is(pg_temp.credits('r%'), 'r1 100 7, r2 200 0.66666667, r3 300 0.42857143', 'design 6: what arrived priced is credited by its seconds, whole or in proportion');

-- Several allowances of a plan: the longest prefix first, then the lower id; what one does not cover the next one may.
INSERT INTO billing.plan (id, name, tariff_id) VALUES (4, 'several', 1);
INSERT INTO billing.allowance (id, plan_id, name, seconds) VALUES (41, 4, 'world', 100), (42, 4, 'NANP', 60), (43, 4, 'more NANP', 30), (44, 4, 'no prefix', 1000);
INSERT INTO billing.allowance_prefix (allowance_id, prefix) VALUES (41, ''), (42, '1'), (43, '1');
INSERT INTO billing.account (id, name, currency, plan_id) VALUES (4, 'several', 'USD', 4);
INSERT INTO billing.service (id, account_id, kind, identifier) VALUES (41, 4, 'ani', '400');
SELECT pg_temp.load('m1', '400', '2026-03-02', 120), pg_temp.load('m2', '400', '2026-03-03', 120, '442070000000');
SELECT billing.settle_credits();
-- m1: 60 + 30 + 30 s at 0.01 a second; m2: the 70 s left of the world, at 0.02.
SELECT is(pg_temp.credits('m%'), 'm1 60 0.6, m1 30 0.3, m1 30 0.3, m2 70 1.4', 'D12: the most specific allowance goes first');
SELECT is(billing.allowance_remaining(4, 41, 'customer', '12125550000', '2026-04-02'), 190::bigint, 'a call could draw from all three');
SELECT is_empty('SELECT pg_temp.adds_up()', 'design 6: usage.credit is the sum of the credits');

-- Roll-over: 100 s a month.
INSERT INTO billing.plan (id, name, tariff_id) VALUES (5, 'rolling', 1);
INSERT INTO billing.allowance (id, plan_id, name, seconds, rollover) VALUES (5, 5, 'US', 100, true);
INSERT INTO billing.allowance_prefix (allowance_id, prefix) VALUES (5, '1');
INSERT INTO billing.account (id, name, currency, plan_id) VALUES (5, 'rolling', 'USD', 5);
INSERT INTO billing.service (id, account_id, kind, identifier) VALUES (51, 5, 'ani', '500');
CREATE FUNCTION pg_temp.rolling() RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(format('%s %s+%s-%s', to_char(l.cycle, 'MM'), l.granted, l.rolled_over, l.used), ', ' ORDER BY l.cycle) FROM billing.allowance_left l WHERE l.account = 'rolling' $$;
SELECT pg_temp.load('t1', '500', '2026-01-10', 40), pg_temp.load('t2', '500', '2026-02-10', 120), pg_temp.load('t3', '500', '2026-03-10', 150);
SELECT billing.settle_credits();
-- January: 100, 40 used, 60 left. February: 60 first, then 60 of its own: 40 left. March: 140 of 150.
SELECT is(pg_temp.rolling(), '01 100+0-40, 02 100+60-120, 03 100+40-140', 'design 6: unused seconds join the next cycle and go first');
SELECT is(billing.allowance_remaining(5, 51, 'customer', '12125550000', '2026-04-02'), 0::bigint + 100, 'March has left nothing of its own');
SELECT pg_temp.load('t0', '500', '2026-01-05', 30);
SELECT billing.settle_credits();
-- January: 70 used, 30 left; February 30 + 90 own: 10 left; March 110.
SELECT is(pg_temp.rolling(), '01 100+0-70, 02 100+30-120, 03 100+10-110', 'design 6: a late call goes on through the months');
SELECT pg_temp.load('t4', '500', '2026-05-10', 500);
SELECT billing.settle_credits();
SELECT is(pg_temp.rolling(), '01 100+0-70, 02 100+30-120, 03 100+10-110, 05 100+100-200', 'a month without a call leaves all of its own, and nothing of the one before');
DELETE FROM billing.cdr WHERE call_id = 't3';
SELECT pg_temp.load('t5', '500', '2026-04-30 23:59:59', 1);
SELECT billing.settle_credits();
-- April: March (without a call) leaves 100; 1 s of them is used, so all 100 of April are left.
SELECT is(pg_temp.rolling(), '01 100+0-70, 02 100+30-120, 04 100+100-1, 05 100+100-200', 'what rolled over goes first and is lost after one cycle');
SELECT pg_temp.load('t6', '500', '2025-11-10', 1, '442070000000');
SELECT billing.settle_credits();
SELECT is(pg_temp.rolling(), '11 100+0-0, 01 100+100-70, 02 100+100-120, 04 100+100-1, 05 100+100-200', 'a plan that was always there begins with its first call');
DELETE FROM billing.cdr WHERE call_id = 't6';
SELECT billing.settle_credits();
SELECT is(pg_temp.rolling(), '01 100+0-70, 02 100+30-120, 04 100+100-1, 05 100+100-200', 'and the other way round');

-- Another plan in the middle of a cycle.
INSERT INTO billing.plan (id, name, tariff_id, first_cycle) VALUES (6, 'six', 1, 'prorated'), (7, 'seven', 1, 'full');
INSERT INTO billing.allowance (id, plan_id, name, seconds, rollover) VALUES (6, 6, 'US', 100, true), (7, 7, 'US', 1000, false);
INSERT INTO billing.allowance_prefix (allowance_id, prefix) VALUES (6, '1'), (7, '1');
INSERT INTO billing.account (id, name, currency, tariff_id) VALUES (6, 'changing', 'USD', 1);
INSERT INTO billing.service (id, account_id, kind, identifier) VALUES (61, 6, 'ani', '600');
SELECT pg_temp.load('c1', '600', '2026-03-10', 60), pg_temp.load('c2', '600', '2026-03-20 11:59:59', 60), pg_temp.load('c3', '600', '2026-03-20 12:00', 60), pg_temp.load('c4', '600', '2026-04-20', 500);
SELECT is((SELECT count(*) FROM billing.credit_queue), 0::bigint, 'without a plan nothing is queued');
CREATE FUNCTION pg_temp.changing() RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(format('%s %s %s+%s-%s', l.plan, l.cycle, l.granted, l.rolled_over, l.used), ', ' ORDER BY l.cycle, l.plan COLLATE "C", l.used) FROM billing.allowance_left l WHERE l.account = 'changing' $$;
UPDATE billing.account SET plan_id = 6, terms_from = '2026-03-20 12:00' WHERE id = 6;
SELECT is(billing.settle_credits(), 1::bigint, 'a plan from an instant in the past queues the calls since');
-- 12 of 31 days are left, the 20th among them: 100 x 12 / 31 = 38.7. April has 100 and none left over: 38 were used.
SELECT is(pg_temp.changing(), 'six 2026-03-20 38+0-38, six 2026-04-01 100+0-100', 'design 6: a plan that begins in mid-cycle is prorated by the days left');
SELECT is(pg_temp.credits('c%'), 'c3 38 0.38, c4 100 1', 'only calls since then draw');
UPDATE billing.account SET plan_id = 7, terms_from = '2026-04-20' WHERE id = 6;
SELECT billing.settle_credits();
SELECT is(pg_temp.changing(), 'six 2026-03-20 38+0-38, seven 2026-04-20 1000+0-500', 'design 6: the old pool ends, the new one starts in full if the plan says so');
SELECT is(pg_temp.credits('c%'), 'c3 38 0.38, c4 500 5', 'and the credits follow');
SELECT is(billing.allowance_remaining(6, 61, 'customer', '1', '2026-04-19 23:59:59'), 100::bigint, 'before the instant the old one: March left nothing');
SELECT is(billing.allowance_remaining(6, 61, 'customer', '1', '2026-04-20'), 500::bigint, 'from the instant on the new one');
UPDATE billing.account SET plan_id = NULL, tariff_id = 1, terms_from = '2026-04-20 10:00' WHERE id = 6;
UPDATE billing.account SET plan_id = 6, terms_from = '2026-04-20 11:00' WHERE id = 6;
UPDATE billing.account SET plan_id = 7, terms_from = '2026-04-20 12:00' WHERE id = 6;
UPDATE billing.account SET plan_id = 6, terms_from = '2026-04-20 13:00' WHERE id = 6;
SELECT pg_temp.load('d' || n, '600', '2026-04-20 09:30'::timestamptz + n * interval '1 hour' || '', 50) FROM generate_series(0, 4) n;
SELECT billing.settle_credits();
-- 11 of 30 days: 100 x 11 / 30 = 36, twice; 'seven' in full, twice.
SELECT is(pg_temp.changing(), 'six 2026-03-20 38+0-38, seven 2026-04-20 1000+0-50, seven 2026-04-20 1000+0-550, six 2026-04-20 36+0-36, six 2026-04-20 36+0-36', 'several changes on one day are pools of their own');
SELECT is(pg_temp.credits('d%'), 'd0 50 0.5, d2 36 0.36, d3 50 0.5, d4 36 0.36', 'each call draws from the plan of its instant');
SELECT pg_temp.load('d5', '600', '2026-05-01', 90), pg_temp.load('d6', '600', '2026-06-01', 150);
SELECT billing.settle_credits();
SELECT is(pg_temp.credits('d6'), 'd6 110 1.1', 'roll-over goes on from the part of a cycle: May had 100 and none over (36 used), of which 10 are left for June');
DELETE FROM billing.cdr WHERE call_id = 'd4';
SELECT billing.settle_credits();
SELECT is(pg_temp.credits('d5') || ', ' || pg_temp.credits('d6'), 'd5 90 0.9, d6 146 1.46', 'without it 36 go to May first: 54 of its own used, 46 left');
-- A service gets a plan of its own: its calls leave the account's pool.
UPDATE billing.service SET plan_id = 7, terms_from = '2026-05-01' WHERE id = 61;
SELECT is(billing.settle_credits(), 2::bigint, 'both pools are queued');
SELECT is(pg_temp.credits('d5') || ', ' || pg_temp.credits('d6'), 'd5 90 0.9, d6 150 1.5', 'D3: the service draws from its own');
SELECT is((SELECT count(*) FROM billing.allowance_cycle WHERE account_id = 6 AND service_id IS NULL AND cycle >= '2026-05-01'), 0::bigint, 'and the account''s pool has no such cycles any more');
SELECT is_empty('SELECT pg_temp.adds_up()', 'design 6: usage.credit is the sum of the credits');

-- Frozen plans.
SELECT throws_ok(q, '23001', NULL, 'C21: frozen: ' || q) FROM unnest(ARRAY[
	'UPDATE billing.allowance SET seconds = 5 WHERE id = 5', 'DELETE FROM billing.allowance WHERE id = 5', 'INSERT INTO billing.allowance (id, plan_id, name, seconds) VALUES (99, 5, ''more'', 1)',
	'INSERT INTO billing.allowance_prefix VALUES (5, ''44'', true)', 'UPDATE billing.allowance_prefix SET included = false WHERE allowance_id = 5', 'DELETE FROM billing.allowance_prefix WHERE allowance_id = 5',
	'UPDATE billing.plan SET cycle = ''weekly'' WHERE id = 5', 'UPDATE billing.plan SET first_cycle = ''full'' WHERE id = 5', 'TRUNCATE billing.allowance_prefix',
	'UPDATE billing.plan SET tariff_id = 2 WHERE id = 5']) q;
SELECT lives_ok($$INSERT INTO billing.plan (id, name) VALUES (9, 'nobody''s'); INSERT INTO billing.allowance (id, plan_id, name, seconds) VALUES (9, 9, 'a', 1);
	INSERT INTO billing.allowance_prefix VALUES (9, '1', true); UPDATE billing.allowance SET seconds = 2 WHERE id = 9; DELETE FROM billing.plan WHERE id = 9$$, 'a plan that nobody has is free to change');
SELECT lives_ok('UPDATE billing.allowance SET seconds = seconds', 'an UPDATE that changes nothing passes');

-- Cycles in the time zone of the account: the month begins in Vilnius two hours before UTC.
INSERT INTO billing.account (id, name, currency, plan_id, timezone) VALUES (8, 'Vilnius', 'USD', 5, 'Europe/Vilnius');
INSERT INTO billing.service (id, account_id, kind, identifier) VALUES (81, 8, 'ani', '800');
SELECT pg_temp.load('z1', '800', '2026-02-28 21:59:59', 100), pg_temp.load('z2', '800', '2026-02-28 22:00', 60);
SELECT billing.settle_credits();
SELECT results_eq('SELECT cycle, used FROM billing.allowance_left WHERE account = ''Vilnius'' ORDER BY cycle', 'VALUES (''2026-02-01''::date, 100::bigint), (''2026-03-01'', 60)', 'design 6: cycles are days of the account''s time zone');
SELECT is((SELECT day FROM billing.credit k JOIN billing.cdr c ON c.id = k.cdr_id WHERE call_id = 'z2'), '2026-03-01'::date, 'and so is the day of a credit');
-- The rating instant decides, not the start: 31 days at most.
INSERT INTO billing.cdr (source, call_id, started_at, answered_at, billsec, caller, callee) VALUES ('s', 'z3', '2026-03-31 20:59', '2026-03-31 21:01', 10, '800', '12125550000'),
	('s', 'z4', '2026-04-30', '2026-05-31 00:00:01', 10, '800', '12125550000'), ('s', 'z5', '2026-04-30', '2026-05-31', 10, '800', '12125550000');
SELECT billing.settle_credits();
SELECT is((SELECT string_agg(call_id || ' ' || cycle, ', ' ORDER BY call_id) FROM billing.credit k JOIN billing.cdr c ON c.id = k.cdr_id WHERE call_id IN ('z3', 'z4', 'z5')), 'z3 2026-04-01, z5 2026-05-01',
	'a call belongs to the cycle of its answer; one that is answered more than 31 days after its start draws nothing');
SELECT is(billing._cycle_start('two_weekly', d), s, 'C20: two weeks from ' || s || ', as of ' || d) FROM (VALUES ('2001-01-01'::date, '2001-01-01'::date), ('2001-01-14', '2001-01-01'), ('2001-01-15', '2001-01-15'), ('2000-12-31', '2000-12-18'),
	-- 2026-03-04 is 9,193 days later: 656 x 14 = 9,184 days are 2026-02-23.
	('2026-03-04', '2026-02-23'), ('2026-03-08', '2026-02-23'), ('2026-03-09', '2026-03-09')) v(d, s);
SELECT is(billing._cycle_start('weekly', '2026-03-08'), '2026-03-02'::date, 'C20: weeks begin on Monday');

-- Out-payment (D14): the owner leg of a DID at 0.10 a minute, 0.04 is paid out; the allowance covers the price only.
INSERT INTO billing.plan (id, name) VALUES (10, 'inbound');
INSERT INTO billing.allowance (id, plan_id, name, leg, seconds) VALUES (10, 10, 'in', 'did_owner', 90);
INSERT INTO billing.allowance_prefix (allowance_id, prefix) VALUES (10, '370');
INSERT INTO billing.account (id, name, currency) VALUES (10, 'owner', 'USD');
INSERT INTO billing.service (id, account_id, kind, identifier, plan_id, out_payment, cost_center) VALUES (101, 10, 'did', '37052000001', 10, 0.04, 'Kaunas');
INSERT INTO billing.did_rate (leg, number, currency, price, connect_fee) VALUES ('did_owner', '37052000001', 'USD', 0.10, 1);
INSERT INTO billing.cdr (source, call_id, session_id, started_at, billsec, caller, callee) VALUES ('s', 'o1', 'x', '2026-03-01', 60, '5', '+37052000001'), ('s', 'o2', 'x', '2026-03-02', 60, '5', '+37052000001');
SELECT billing.settle_credits();
-- o1: 1 + 0.10 - 0.04 = 1.06; wholly covered -0.04 remains: credit 1.10. o2: 30 s covered: the fee is the session's credit (1), 0.05 the allowance's.
SELECT results_eq('SELECT call_id, amount, credit, net FROM billing.charge WHERE call_id LIKE ''o_'' AND leg = ''did_owner'' ORDER BY 1', 'VALUES (''o1'', 1.06, 1.10, -0.04), (''o2'', 1.06, 1.05, 0.01)',
	'D14 reading 28: the out-payment does not depend on the allowance');
INSERT INTO billing.cdr (source, call_id, session_id, started_at, billsec, caller, callee) VALUES ('s', 'o0', 'x', '2026-02-28', 60, '5', '+37052000001');
SELECT billing.settle_credits();
SELECT results_eq('SELECT call_id, amount, credit, net FROM billing.charge WHERE call_id LIKE ''o_'' AND leg = ''did_owner'' ORDER BY 1', 'VALUES (''o0'', 1.06, 1.10, -0.04), (''o1'', 1.06, 1.10, -0.04), (''o2'', 1.06, 1.05, 0.01)',
	'K4: a fee that an earlier call of the session has paid is credited once, not by the allowance again');
SELECT is_empty('SELECT pg_temp.adds_up()', 'design 6: usage.credit is the sum of the credits');

-- Other legs: a reseller's minutes, and those of who dials a DID. 0.40 and 0.20 a minute.
INSERT INTO billing.tariff (id, name, currency) VALUES (11, 'wholesale', 'USD');
INSERT INTO billing.rate (id, tariff_id, prefix, price) VALUES (111, 11, '1', 0.40);
INSERT INTO billing.plan (id, name, tariff_id) VALUES (11, 'wholesale', 11), (12, 'dialler', 1);
INSERT INTO billing.allowance (id, plan_id, name, leg, seconds) VALUES (11, 11, 'bulk', 'reseller', 90), (12, 12, 'in', 'did_incoming', 90);
INSERT INTO billing.allowance_prefix VALUES (11, '1', true), (12, '3705', true);
INSERT INTO billing.account (id, name, currency, plan_id, parent_id) VALUES (11, 'callshop', 'USD', 11, NULL), (12, 'booth', 'USD', NULL, NULL);
UPDATE billing.account SET parent_id = 11, tariff_id = 1, terms_from = '2020-01-01' WHERE id = 12;
INSERT INTO billing.account (id, name, currency, plan_id) VALUES (13, 'dialler', 'USD', 12);
INSERT INTO billing.service (id, account_id, kind, identifier) VALUES (121, 12, 'auth_code', 'booth'), (131, 13, 'ani', '1300');
INSERT INTO billing.did_rate (id, leg, number, currency, price) VALUES (112, 'did_incoming', '37052000001', 'USD', 0.20);
INSERT INTO billing.cdr (source, call_id, started_at, billsec, auth_code, callee) VALUES ('s', 'b1', '2026-03-01', 60, 'booth', '12125550000'), ('s', 'b2', '2026-03-02', 60, 'booth', '12125550000');
INSERT INTO billing.cdr (source, call_id, started_at, billsec, caller, callee) VALUES ('s', 'i1', '2026-03-01', 60, '1300', '37052000001'), ('s', 'i2', '2026-03-02', 60, '1300', '37052000001');
SELECT billing.settle_credits();
SELECT results_eq('SELECT call_id, leg, amount, credit FROM billing.charge WHERE call_id IN (''b1'', ''b2'', ''i1'', ''i2'') AND leg <> ''did_owner'' ORDER BY 1, 2',
	'VALUES (''b1'', ''customer'', 0.60, 0.0), (''b1'', ''reseller'', 0.40, 0.40), (''b2'', ''customer'', 0.60, 0.0), (''b2'', ''reseller'', 0.40, 0.20), (''i1'', ''did_incoming'', 0.20, 0.20), (''i2'', ''did_incoming'', 0.20, 0.10)',
	'design 3: an allowance covers the leg that it names');
SELECT is(billing.allowance_remaining(11, NULL, 'reseller', '12125550000', '2026-04-01'), 90::bigint, 'and so does what remains');

-- Another time zone: a call on the last evening of a month in Vilnius is in the next one in Kiritimati, 12 hours ahead.
SELECT pg_temp.load('k', '800', '2026-08-31 12:00', 10);
SELECT billing.settle_credits();
SELECT lives_ok('SELECT billing.change_timezone(8, ''Pacific/Kiritimati'')', 'the account moves');
SELECT billing.settle_credits();
SELECT is((SELECT string_agg(format('%s %s %s', call_id, k.cycle, k.day), ', ' ORDER BY call_id) FROM billing.credit k JOIN billing.cdr c ON c.id = k.cdr_id WHERE call_id IN ('k', 'z1', 'z2')),
	'k 2026-09-01 2026-09-01, z1 2026-03-01 2026-03-01', 'design 3: its cycles move with it: z1 and z2 share 100 seconds of March now');
SELECT is_empty('SELECT * FROM billing.verify()', 'promise 3: verify() finds nothing');

-- All at once: everything queued again and again gives the same.
DROP TABLE pg_temp.once;
CREATE TABLE pg_temp.once AS SELECT * FROM billing.credit;
CREATE TABLE pg_temp.cycles AS SELECT * FROM billing.allowance_cycle;
UPDATE billing.cdr SET rated_at = NULL WHERE call_id NOT LIKE 'r_';
SELECT billing.settle_credits();
SELECT set_eq('SELECT * FROM billing.credit', 'SELECT * FROM pg_temp.once', 'P18: settled once more, not even a row is written anew');
SELECT set_eq('SELECT * FROM billing.allowance_cycle', 'SELECT * FROM pg_temp.cycles', 'P18: nor are the cycles');
SELECT is_empty('SELECT * FROM billing.verify()', 'promise 3: verify() finds nothing');
TRUNCATE billing.cdr;
SELECT billing.settle_credits();
SELECT is_empty('SELECT FROM billing.credit UNION ALL SELECT FROM billing.allowance_cycle', 'TRUNCATE leaves nothing');

-- A session goes on in the next cycle, of which the allowance covers 47 of 60 s. Whole dollars: 1.10 + 1.40 = 2.50 is 3, without the fee
-- 1.40 is 1, and with 13 s to pay 0.30 is 0. At least 1.00: 0.90 + 0.30 = 1.20, without the fee 0.30 is 1.00, with 13 s to pay as well.
INSERT INTO billing.plan (id, name) VALUES (91, 'inbound, 47 s');
INSERT INTO billing.allowance (id, plan_id, name, leg, seconds) VALUES (91, 91, 'in', 'did_owner', 47);
INSERT INTO billing.allowance_prefix (allowance_id, prefix) VALUES (91, '370');
INSERT INTO billing.service (id, account_id, kind, identifier, plan_id) VALUES (902, 10, 'did', '37052000002', 91), (903, 10, 'did', '37052000003', 91);
INSERT INTO billing.did_rate (leg, number, currency, price, connect_fee, rounding_digits, min_amount) VALUES ('did_owner', '37052000002', 'USD', 1.40, 1.10, 0, NULL), ('did_owner', '37052000003', 'USD', 0.30, 0.90, 8, 1);
INSERT INTO billing.cdr (source, call_id, session_id, started_at, billsec, caller, callee) SELECT 's', 'r' || n || m, 'r', ('2026-0' || m || '-28')::timestamptz, 60, '5', '+3705200000' || n FROM unnest('{2,3}'::integer[]) n, unnest('{2,3}'::integer[]) m;
SELECT billing.settle_credits();
SELECT results_eq('SELECT call_id, amount, credit, net FROM billing.charge WHERE call_id IN (''r23'', ''r33'') AND leg = ''did_owner'' ORDER BY 1', 'VALUES (''r23'', 3.00, 3.00, 0.00), (''r33'', 1.20, 0.20, 1.00)',
	'K4: an allowance is taken off what a call costs without the fee that another has paid: with both credits it costs neither less than nothing nor less than its minimum');

SELECT * FROM finish();
ROLLBACK;
