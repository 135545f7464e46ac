-- Partitions of billing.cdr: made by function, made by hand and adopted, and what is refused until then (design 4 and 6).
BEGIN;
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS billing CASCADE;
SELECT billing.create_ledger();
SELECT no_plan();
SET timezone = 'UTC';

-- 0.60 a minute: a call of n seconds costs n / 100.
INSERT INTO billing.tariff (id, name, currency) VALUES (1, 'retail', 'EUR');
INSERT INTO billing.rate (tariff_id, prefix, destination, price) VALUES (1, '49', 'Germany', 0.6);
INSERT INTO billing.account (id, name, currency, tariff_id) VALUES (1, 'one', 'EUR', 1), (2, 'two', 'EUR', 1);
INSERT INTO billing.service (account_id, kind, identifier) VALUES (1, 'extension', '100'), (2, 'extension', '200');

CREATE FUNCTION pg_temp.load(relation text, name text, started_at timestamptz, billsec integer, caller text DEFAULT '100') RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('INSERT INTO %s (call_id, started_at, billsec, caller, callee) VALUES ($1, $2, $3, $4, ''4930'')', relation) USING name, started_at, billsec, caller;
END $$;

-- What billing.usage says, and what it says otherwise than the calls.
CREATE VIEW pg_temp.total AS
	SELECT account_id, sum(calls)::bigint AS calls, sum(billsec)::bigint AS billsec, sum(amount) AS amount FROM billing.usage GROUP BY 1 HAVING sum(calls) <> 0;
CREATE FUNCTION pg_temp.differing() RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FROM (
		SELECT u.account_id, u.leg, u.day, u.cost_center, u.destination, u.currency FROM (
			SELECT account_id, leg, day, cost_center, destination, currency, calls, answered, seconds, billsec, amount, credit FROM billing.usage
			UNION ALL
			SELECT account_id, leg, day, cost_center, destination, currency, -calls, -answered, -seconds, -billsec, -amount, -credit FROM billing._counted()) u
		GROUP BY 1, 2, 3, 4, 5, 6
		HAVING (sum(calls), sum(answered), sum(seconds), sum(billsec), sum(amount), sum(credit)) <> (0, 0, 0, 0, 0, 0)) d
$$;
CREATE FUNCTION pg_temp.counting(relation regclass) RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FROM pg_trigger t WHERE t.tgrelid = relation AND t.tgfoid = 'billing.account_cdr()'::regprocedure AND t.tgenabled = 'O'
$$;

-- create_partitions(): 10 + 20 + 30 seconds of account 1, 40 of account 2, from January to March.
SELECT pg_temp.load('billing.cdr', 'jan', '2026-01-15', 10), pg_temp.load('billing.cdr', 'feb', '2026-02-15', 20),
	pg_temp.load('billing.cdr', 'mar', '2026-03-15', 30), pg_temp.load('billing.cdr', 'two', '2026-02-01', 40, '200');
PREPARE all_calls AS SELECT * FROM (VALUES (1::bigint, 3::bigint, 60::bigint, 0.60), (2, 1, 40, 0.40)) v(account_id, calls, billsec, amount);
SELECT bag_eq('TABLE pg_temp.total', 'EXECUTE all_calls', 'P3: calls of the default partition are counted');
SELECT is(billing.create_partitions('2026-01-01', '2026-03-01'), 2, 'design 4: create_partitions() makes two months');
SELECT is((SELECT count(*) FROM billing.cdr_default), 1::bigint, 'design 4: and moves their calls there');
SELECT bag_eq('TABLE pg_temp.total', 'EXECUTE all_calls', 'P3: calls that move to a new partition are counted once');
SELECT is(pg_temp.differing(), 0::bigint, 'P3: day by day too');
SELECT is(ARRAY[pg_temp.counting('billing.cdr_202601'), pg_temp.counting('billing.cdr_202602')], ARRAY[5, 5]::bigint[], 'P3: new partitions count what is written to them by name');
SELECT pg_temp.load('billing.cdr_202601', 'direct', '2026-01-16', 1);
UPDATE billing.cdr_202601 SET billsec = 11 WHERE call_id = 'jan';
DELETE FROM billing.cdr_202602 WHERE call_id = 'two';
SELECT bag_eq('TABLE pg_temp.total', $$ VALUES (1::bigint, 4::bigint, 62::bigint, 0.62) $$, 'P3: INSERT, UPDATE, DELETE of a partition by its name');
TRUNCATE billing.cdr_202601;
SELECT bag_eq('TABLE pg_temp.total', $$ VALUES (1::bigint, 2::bigint, 50::bigint, 0.50) $$, 'P3: TRUNCATE of a partition');

-- A partition made by hand counts through the root only.
CREATE TABLE billing.by_hand PARTITION OF billing.cdr FOR VALUES FROM ('2026-04-01') TO ('2026-05-01');
SELECT pg_temp.load('billing.cdr', 'apr', '2026-04-02', 5);
SELECT is(pg_temp.differing(), 0::bigint, 'P3: a call for a partition made by hand is counted by the statement trigger of billing.cdr');
SELECT throws_ok($$ SELECT pg_temp.load('billing.by_hand', 'direct', '2026-04-02', 5) $$, '55000', 'partition "by_hand" of billing.cdr does not count its calls', 'design 4: INSERT into an unadopted partition is refused');
SELECT throws_ok($$ UPDATE billing.by_hand SET billsec = 6 $$, '55000', NULL, 'design 4: so is UPDATE');
SELECT throws_ok($$ DELETE FROM billing.by_hand $$, '55000', NULL, 'design 4: so is DELETE');
SELECT is(pg_temp.differing(), 0::bigint, 'P3: nothing of that was counted');
SELECT is(billing.adopt_partition('billing.by_hand'), 1::bigint, 'design 4: adopt_partition() returns the calls that it finds');
SELECT is(pg_temp.differing(), 0::bigint, 'P3: a call that was counted before is counted once');
SELECT pg_temp.load('billing.by_hand', 'direct', '2026-04-02', 5);
SELECT bag_eq('TABLE pg_temp.total', $$ VALUES (1::bigint, 4::bigint, 60::bigint, 0.60) $$, 'P3: an adopted partition counts: 20 + 30 + 5 + 5 seconds');
SELECT is(billing.adopt_partition('billing.by_hand'), 2::bigint, 'design 4: adopting twice');
SELECT is(ARRAY[pg_temp.counting('billing.by_hand'), pg_temp.differing()], ARRAY[5, 0]::bigint[], 'design 4: changes nothing');

-- A table that brings its calls: two raw ones, one rated elsewhere, one that nobody is assigned to. ATTACH counts nothing.
CREATE TABLE billing.brought (LIKE billing.cdr INCLUDING DEFAULTS);
SELECT pg_temp.load('billing.brought', 'raw', '2026-05-02', 7), pg_temp.load('billing.brought', 'raw too', '2026-05-02', 8, '200');
INSERT INTO billing.brought (call_id, started_at, rated_at, status, billsec, customer_account_id, customer_billsec, customer_amount)
VALUES ('rated', '2026-05-03', now(), 'rated', 9, 2, 60, 5.5), ('nobody', '2026-05-03', now(), 'rated', 9, NULL, 60, 2);
ALTER TABLE billing.cdr ATTACH PARTITION billing.brought FOR VALUES FROM ('2026-05-01') TO ('2026-06-01');
SELECT is(pg_temp.differing(), 2::bigint, 'design 4: the rated calls of an attached table are not counted yet: account 2, and none');
SELECT is(billing.adopt_partition('billing.brought'), 4::bigint, 'design 4: adopt_partition() of an attached table');
SELECT is(pg_temp.differing(), 0::bigint, 'P3: counts them');
-- Account 2: 8 seconds at 0.08, 60 at 5.50.
SELECT bag_eq('TABLE pg_temp.total', $$ VALUES (1::bigint, 5::bigint, 67::bigint, 0.67), (2, 2, 68, 5.58), (NULL, 1, 60, 2) $$, 'P3: rated ones as they are, raw ones rated');
SELECT is((SELECT count(*) FROM billing.brought WHERE rated_at IS NULL), 0::bigint, 'P1: every call was seen by the trigger');

-- Columns in another order.
DO $$
BEGIN
	EXECUTE format('CREATE TABLE billing.reordered AS SELECT %s FROM billing.cdr WHERE false',
		(SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum DESC) FROM pg_attribute a WHERE a.attrelid = 'billing.cdr'::regclass AND a.attnum > 0));
END $$;
ALTER TABLE billing.reordered ALTER id SET NOT NULL, ALTER source SET NOT NULL, ALTER started_at SET NOT NULL, ALTER source SET DEFAULT '', ALTER id SET DEFAULT nextval('billing.cdr_id_seq');
SELECT pg_temp.load('billing.reordered', 'brought', '2026-10-02', 1);
ALTER TABLE billing.cdr ATTACH PARTITION billing.reordered FOR VALUES FROM ('2026-10-01') TO ('2026-11-01');
SELECT is(billing.adopt_partition('billing.reordered'), 1::bigint, 'design 9: a partition with its columns in another order');
SELECT pg_temp.load('billing.reordered', 'straight', '2026-10-02', 2), pg_temp.load('billing.cdr', 'root', '2026-10-02', 4);
UPDATE billing.reordered SET billsec = 8 WHERE call_id = 'root';
SELECT is((SELECT sum(billsec) FROM billing.usage WHERE day = '2026-10-02')::bigint, 11::bigint, 'design 9: counts 1 + 2 + 8 seconds');
DELETE FROM billing.cdr WHERE call_id = 'straight';
SELECT is(pg_temp.differing(), 0::bigint, 'P3: by name, not by place');

-- A partition that is divided itself.
CREATE TABLE billing.divided PARTITION OF billing.cdr FOR VALUES FROM ('2026-06-01') TO ('2026-08-01') PARTITION BY RANGE (started_at);
CREATE TABLE billing.divided_june PARTITION OF billing.divided FOR VALUES FROM ('2026-06-01') TO ('2026-07-01');
CREATE TABLE billing.divided_july PARTITION OF billing.divided FOR VALUES FROM ('2026-07-01') TO ('2026-08-01');
SELECT pg_temp.load('billing.cdr', 'june', '2026-06-02', 1);
SELECT throws_ok($$ SELECT pg_temp.load('billing.divided', 'direct', '2026-06-02', 5) $$, '55000', NULL, 'design 4: INSERT into an unadopted branch is refused');
SELECT is(billing.adopt_partition('billing.divided'), 1::bigint, 'design 4: adopt_partition() of a divided partition');
SELECT is(ARRAY[pg_temp.counting('billing.divided'), pg_temp.counting('billing.divided_june'), pg_temp.counting('billing.divided_july')], ARRAY[5, 5, 5]::bigint[], 'design 4: reaches all of it');
SELECT pg_temp.load('billing.divided', 'branch', '2026-06-02', 2), pg_temp.load('billing.divided_july', 'leaf', '2026-07-02', 3);
UPDATE billing.divided SET started_at = '2026-07-15' WHERE call_id = 'branch';
SELECT is(pg_temp.differing(), 0::bigint, 'P3: each of its levels counts, and a call that moves is counted once');
SELECT is((SELECT sum(billsec) FROM billing.usage WHERE day BETWEEN '2026-06-01' AND '2026-07-31')::bigint, 6::bigint, 'P3: 1 + 2 + 3 seconds');

-- Repair.
ALTER TABLE billing.by_hand DISABLE TRIGGER account_delete;
DROP TRIGGER account_insert ON billing.by_hand;
DELETE FROM billing.by_hand WHERE call_id = 'direct';
SELECT is(pg_temp.differing(), 1::bigint, 'P3: a disabled trigger lets a change pass');
SELECT is(billing.adopt_partition('billing.by_hand'), 1::bigint, 'design 4: adopt_partition() repairs');
SELECT is(pg_temp.counting('billing.by_hand'), 5::bigint, 'design 4: the triggers');
SELECT is(pg_temp.differing(), 0::bigint, 'P3: and the sums');
DELETE FROM billing.by_hand;
SELECT is(pg_temp.differing(), 0::bigint, 'P3: which count again');

-- Credits of calls that come by ATTACH: the second call of a session is credited its connect fee of 0.05.
INSERT INTO billing.service (id, account_id, kind, identifier) VALUES (50, 2, 'did', '4420');
INSERT INTO billing.did_rate (number, leg, currency, price, connect_fee) VALUES ('4420', 'did_owner', 'EUR', 0, 0.05);
CREATE TABLE billing.visits (LIKE billing.cdr INCLUDING DEFAULTS);
INSERT INTO billing.visits (call_id, session_id, started_at, billsec, caller, callee) VALUES ('v1', 'visit', '2026-08-02', 5, '33', '4420'), ('v2', 'visit', '2026-08-03', 5, '33', '4420');
ALTER TABLE billing.cdr ATTACH PARTITION billing.visits FOR VALUES FROM ('2026-08-01') TO ('2026-09-01');
SELECT billing.adopt_partition('billing.visits');
SELECT billing.settle_credits();
SELECT results_eq($$ SELECT day, amount, credit FROM billing.usage WHERE leg = 'did_owner' AND day >= '2026-08-01' AND (amount, credit) <> (0, 0) ORDER BY 1, 2, 3 $$,
	$$ VALUES ('2026-08-02'::date, 0.05, 0.00), ('2026-08-03', 0, 0.05), ('2026-08-03', 0.05, 0) $$, 'K4: credits of adopted calls are queued and counted');
SELECT is(pg_temp.differing(), 0::bigint, 'P3: and agree');

-- Calls that come by ATTACH before the account that they name, whose day is the one before.
CREATE TABLE billing.early (LIKE billing.cdr INCLUDING DEFAULTS);
INSERT INTO billing.early (call_id, started_at, rated_at, status, billsec, customer_account_id, customer_billsec, customer_amount) VALUES ('early', '2026-11-03 01:00', now(), 'rated', 9, 90, 60, 2);
ALTER TABLE billing.cdr ATTACH PARTITION billing.early FOR VALUES FROM ('2026-11-01') TO ('2026-12-01');
SELECT billing.adopt_partition('billing.early');
SELECT results_eq('SELECT kind, id FROM billing.usage_orphan', $$ VALUES ('account', 90::bigint) $$, 'design 6: names that adopted calls carry and nobody knows are noted');
INSERT INTO billing.account (id, name, currency, timezone) VALUES (90, 'late', 'USD', 'America/New_York');
SELECT results_eq('SELECT day, currency, amount FROM billing.usage WHERE account_id = 90', $$ VALUES ('2026-11-02'::date, 'USD', 2.00) $$, 'design 6: and counted anew when they come');

-- Refusals.
CREATE TABLE public.elsewhere (LIKE billing.cdr);
SELECT throws_ok($$ SELECT billing.adopt_partition('public.elsewhere') $$, '42809', NULL, 'design 4: a table that is no partition');
SELECT throws_ok($$ SELECT billing.adopt_partition('billing.cdr') $$, '42809', NULL, 'design 4: the root');
SELECT throws_ok($$ SELECT billing.adopt_partition(NULL) $$, '42809', NULL, 'design 4: null');
CREATE ROLE partition_stranger;
CREATE TABLE billing.strange PARTITION OF billing.cdr FOR VALUES FROM ('2026-09-01') TO ('2026-10-01');
ALTER TABLE billing.strange OWNER TO partition_stranger;
SELECT throws_ok($$ SELECT billing.adopt_partition('billing.strange') $$, '55000', 'partition billing.strange belongs to "partition_stranger"', 'design 4: a partition of another owner');

SELECT is(pg_temp.differing(), 0::bigint, 'P3: at the end');
SELECT is_empty($$ SELECT * FROM billing.verify() WHERE "check" <> 'partition' $$, 'issue 4.9: only the partition of the other owner is left to complain of');

SELECT * FROM finish();
ROLLBACK;
