-- Old calls leave, what they add up to stays (design 6; issue 4, point 8; promise 3).
BEGIN;
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS billing CASCADE;
SELECT billing.create_ledger();
SELECT no_plan();

-- The customer pays 0.60 a minute, the provider gets 0.20. The DID: 0.10 a minute and a fee of 1, once in a session.
INSERT INTO billing.tariff (id, name, currency) VALUES (1, 'sell', 'EUR'), (2, 'buy', 'EUR');
INSERT INTO billing.rate (id, tariff_id, prefix, destination, price) VALUES (1, 1, '44', 'UK', 0.60), (2, 2, '44', 'UK', 0.20);
INSERT INTO billing.account (id, name, currency, tariff_id, is_provider, timezone) VALUES
	(1, 'customer', 'EUR', 1, false, 'Europe/Vilnius'), (2, 'provider', 'EUR', 2, true, 'UTC'), (3, 'dialler', 'EUR', NULL, false, 'UTC'), (4, 'owner', 'EUR', NULL, false, 'UTC');
INSERT INTO billing.service (id, account_id, side, kind, identifier, cost_center) VALUES
	(1, 1, 'customer', 'auth_code', 'c', 'sales'), (2, 2, 'provider', 'trunk', 'out', NULL), (3, 2, 'provider', 'trunk', 'in', NULL),
	(4, 3, 'customer', 'ani', '37060000001', NULL), (5, 4, 'customer', 'did', '37052000001', NULL);
INSERT INTO billing.did_rate (leg, number, currency, price, connect_fee) VALUES ('did_incoming', '37052000001', 'EUR', 0.10, 1);

CREATE TABLE billing.cdr_2025_01 PARTITION OF billing.cdr FOR VALUES FROM ('2025-01-01') TO ('2025-02-01');
CREATE TABLE billing.cdr_2025_02 PARTITION OF billing.cdr FOR VALUES FROM ('2025-02-01') TO ('2025-03-01');
SELECT billing._account_partition('billing.cdr_2025_01'), billing._account_partition('billing.cdr_2025_02');

CREATE FUNCTION pg_temp.load(call_id text, started_at timestamptz, billsec numeric) RETURNS void LANGUAGE sql AS $$
	INSERT INTO billing.cdr (source, call_id, started_at, billsec, callee, auth_code, dst_trunk) VALUES ('s', call_id, started_at, billsec, '442079460000', 'c', 'out')
	ON CONFLICT DO NOTHING
$$;
CREATE FUNCTION pg_temp.dial(session_id text, call_id text, started_at timestamptz) RETURNS void LANGUAGE sql AS $$
	INSERT INTO billing.cdr (source, session_id, call_id, started_at, billsec, callee, caller, src_trunk) VALUES ('s', session_id, call_id, started_at, 60, '37052000001', '37060000001', 'in')
$$;
-- All of usage, whatever the slot, by key.
CREATE VIEW pg_temp.every_key AS
SELECT u.account_id, u.leg, u.day, u.cost_center, u.destination, u.currency, sum(u.calls) AS calls, sum(u.answered) AS answered, sum(u.seconds) AS seconds,
	sum(u.billsec) AS billsec, sum(u.amount) AS amount, sum(u.credit) AS credit
FROM billing.usage u GROUP BY 1, 2, 3, 4, 5, 6 HAVING (sum(u.calls), sum(u.amount), sum(u.credit)) <> (0, 0, 0);
CREATE FUNCTION pg_temp.owed(account bigint) RETURNS numeric LANGUAGE sql AS 'SELECT sum(amount - credit) FROM billing.usage WHERE account_id = account';
-- Folded rows and their months: where they differ.
CREATE VIEW pg_temp.wrong_months AS
SELECT account_id, leg, month, currency FROM (
	SELECT m.account_id, m.leg, m.month, m.currency, m.amount, m.credit FROM billing.usage_month m
	UNION ALL
	SELECT u.account_id, u.leg, date_trunc('month', u.day)::date, u.currency, -u.amount, -u.credit FROM billing.usage u WHERE u.slot <= 0) b
GROUP BY 1, 2, 3, 4 HAVING sum(amount) <> 0 OR sum(credit) <> 0;
-- Live and folded usage against the calls and credits that are there.
CREATE VIEW pg_temp.wrong_usage AS
SELECT account_id, leg, day, cost_center, destination, currency FROM (
	SELECT u.account_id, u.leg, u.day, u.cost_center, u.destination, u.currency, u.calls, u.answered, u.seconds, u.billsec, u.amount, u.credit FROM billing.usage u WHERE u.slot >= 0
	UNION ALL
	SELECT c.account_id, c.leg, c.day, c.cost_center, c.destination, c.currency, -c.calls, -c.answered, -c.seconds, -c.billsec, -c.amount, 0 FROM billing._counted_in('billing.cdr') c
	UNION ALL
	SELECT k.account_id, k.leg, k.day, k.cost_center, k.destination, k.currency, 0, 0, 0, 0, 0, -k.amount FROM billing.credit k) b
GROUP BY 1, 2, 3, 4, 5, 6
HAVING (sum(calls), sum(answered), sum(seconds), sum(billsec), sum(amount), sum(credit)) <> (0, 0, 0, 0, 0, 0);

SELECT pg_temp.load('a', '2025-01-10 10:00Z', 60), pg_temp.load('b', '2025-01-31 23:30Z', 120), pg_temp.load('c', '2025-02-03 10:00Z', 60), pg_temp.load('d', '2024-06-01 10:00Z', 60);
-- Session y within January; session x begins in it and goes on in February.
SELECT pg_temp.dial('y', 'y1', '2025-01-20 10:00Z'), pg_temp.dial('y', 'y2', '2025-01-20 10:05Z'), pg_temp.dial('x', 'x1', '2025-01-31 23:50Z'), pg_temp.dial('x', 'x2', '2025-02-01 00:10Z');
SELECT billing.settle_credits();
CREATE TEMP TABLE before AS SELECT * FROM pg_temp.every_key;
CREATE TEMP TABLE january AS SELECT * FROM billing.cdr_2025_01;
CREATE TEMP TABLE january_credit AS SELECT * FROM billing.credit WHERE started_at < '2025-02-01';
SELECT is(pg_temp.owed(1), 3.00, 'promise 3: (60 + 120 + 60 + 60) / 60 x 0.60');
SELECT is(pg_temp.owed(3), 2.40, 'K4: 4 x 0.10 and a fee of 1 for each of 2 sessions');

-- Refusals.
SELECT throws_ok($$SELECT * FROM billing.archive(NULL)$$, '22023', NULL, 'archive: no instant');
SELECT throws_ok($$SELECT * FROM billing.archive('infinity')$$, '22023', NULL, 'archive: calls that are still to come cannot be archived');
SELECT is_empty($$SELECT * FROM billing.archive('2025-01-31 23:59:59Z')$$, 'issue 4.8: whole partitions only: January is not over');
SELECT ok(NOT has_function_privilege('public', 'billing.archive(timestamptz)', 'EXECUTE') AND NOT has_function_privilege('public', 'billing.unarchive(text)', 'EXECUTE'), 'archive and unarchive are the owner''s');

-- Archiving.
SELECT results_eq($$SELECT partition, starts_at, ends_at, calls, slot FROM billing.archive('2025-02-15 00:00Z')$$,
	$$VALUES ('billing.cdr_2025_01', '2025-01-01 00:00Z'::timestamptz, '2025-02-01 00:00Z'::timestamptz, 5::bigint, -1)$$,
	'issue 4.8: January leaves, not the default partition, nor February, which is not over by then');
SELECT is((SELECT count(*) FROM billing.cdr), 3::bigint, 'issue 4.8: its calls are no longer in billing.cdr');
SELECT set_eq('SELECT * FROM billing.cdr_2025_01', 'SELECT * FROM january', 'issue 4.8: they are in the table, as they were');
SELECT is_empty($$SELECT tgname FROM pg_trigger WHERE tgrelid = 'billing.cdr_2025_01'::regclass AND NOT tgisinternal$$, 'issue 4.8: which has no triggers any more');
SELECT set_eq('SELECT * FROM pg_temp.every_key', 'SELECT * FROM before', 'promise 3: all that usage adds up to is the same, key by key');
SELECT is_empty('SELECT * FROM pg_temp.wrong_usage', 'promise 3: slots from 0 up are what is left');
SELECT is_empty('SELECT * FROM pg_temp.wrong_months', 'design 6: months are the sum of their folded days');
SELECT results_eq('SELECT leg, sum(calls), sum(amount), sum(credit) FROM billing.usage WHERE slot = -1 GROUP BY leg ORDER BY leg',
	$$VALUES ('customer', 2::numeric, 1.80, 0.0), ('did_incoming', 3, 3.30, 1.0), ('provider', 2, -0.60, 0.0)$$,
	'issue 4.8: January: 3 minutes at 0.60 and 0.20; 3 x 1.10, of which the fee of y2 is credited');
SELECT is(pg_temp.owed(1), 3.00, 'issue 4.8: the customer owes what he owed');
SELECT is(pg_temp.owed(3), 2.40, 'issue 4.8: and so does who dialled');
SELECT is_empty('SELECT * FROM billing._verify_archive()', 'verify: the archive is as recorded');
SELECT is_empty('SELECT * FROM billing.verify()', 'promise 3: verify() finds nothing wrong');
SELECT is((SELECT archived_by FROM billing.archived_partition), current_user::text, 'C19: who archived it is kept');

-- Credits.
SELECT is((SELECT count(*) FROM billing.credit), 1::bigint, 'K4: the credit of the call in February stays');
SELECT set_eq('SELECT id, cdr_id, started_at, leg, kind, pool, amount, account_id, day FROM billing.archived_credit WHERE NOT keeps_fee',
	'SELECT id, cdr_id, started_at, leg, kind, pool, amount, account_id, day FROM january_credit', 'issue 4.8: those of January are kept beside');
SELECT pg_temp.dial('x', 'x3', '2025-02-01 00:20Z');
SELECT lives_ok('SELECT billing.settle_credits()', 'K4: session x goes on');
SELECT is((SELECT count(*) FROM billing.credit WHERE leg = 'did_incoming'), 2::bigint, 'K4: and has paid its fee in January');
SELECT is(pg_temp.owed(3), 2.50, 'K4: one more minute at 0.10, no fee');
DELETE FROM billing.cdr WHERE call_id = 'x3';
SELECT billing.settle_credits();

SELECT is(billing.create_partitions('2025-01-01', '2025-03-01'), 0, 'issue 4.8: no new partition is made for what is archived');

-- What arrives late.
SELECT pg_temp.load('a', '2025-01-10 10:00Z', 60), pg_temp.load('new', '2025-01-15 10:00Z', 600), pg_temp.load('first', '2025-01-01 00:00Z', 60);
SELECT results_eq($$SELECT call_id, status, customer_reason, provider_reason, coalesce(customer_account_id, provider_account_id), coalesce(customer_amount, provider_amount), rated_at IS NOT NULL
	FROM billing.cdr_default WHERE started_at >= '2025-01-01' ORDER BY call_id$$,
	$$VALUES ('a', 'unrated', 'too_old', 'too_old', NULL::bigint, NULL::numeric, true), ('first', 'unrated', 'too_old', 'too_old', NULL, NULL, true), ('new', 'unrated', 'too_old', 'too_old', NULL, NULL, true)$$,
	'issue 4.8: calls of January, known or not, are stored as too_old');
SELECT is(pg_temp.owed(1), 3.00, 'promise 3: and not charged a second time');
SELECT set_eq('SELECT * FROM pg_temp.every_key', 'SELECT * FROM before', 'promise 3: nothing was counted');
SELECT pg_temp.load('edge', '2025-02-01 00:00Z', 60), pg_temp.load('earlier', '2024-12-31 23:59:59Z', 60);
SELECT is(pg_temp.owed(1), 4.20, 'issue 4.8: at the end of the period and before its start calls are charged as ever: 2 x 0.60');
INSERT INTO billing.cdr (source, call_id, callee, auth_code, started_at, billsec) VALUES ('s', 'none', '442079460000', 'c', '-infinity', 60);
SELECT is((SELECT customer_reason FROM billing.cdr WHERE call_id = 'none'), 'no_start', 'promise 1: a call without a start is not too old');
UPDATE billing.cdr SET billsec = 61 WHERE call_id = 'new';
SELECT is((SELECT customer_reason FROM billing.cdr WHERE call_id = 'new'), 'too_old', 'issue 4.8: it stays too old when it is corrected');
UPDATE billing.cdr SET dst_trunk = 'in' WHERE call_id = 'new';
SELECT is((SELECT provider_reason || coalesce(provider_account_id::text, '') FROM billing.cdr WHERE call_id = 'new'), 'too_old', 'issue 4.8: or given to another provider');
UPDATE billing.cdr SET started_at = '2025-02-05' WHERE call_id = 'new';
SELECT is((SELECT customer_amount FROM billing.cdr WHERE call_id = 'new'), 0.61, 'issue 4.8: with another start it is rated: 61 / 60 x 0.60');
UPDATE billing.cdr SET started_at = '2025-01-05' WHERE call_id = 'new';
SELECT is((SELECT customer_reason || coalesce(customer_amount::text, '') FROM billing.cdr WHERE call_id = 'new'), 'too_old', 'issue 4.8: and the other way round');
SELECT is((SELECT count(*) FROM billing.explain((SELECT c FROM billing.cdr c WHERE call_id = 'new')) e WHERE e.topic = 'horizon'), 1::bigint, 'promise 4: explain says so');
SELECT is((SELECT customer_amount FROM billing.rate_call((SELECT c FROM billing.cdr c WHERE call_id = 'new'))), 0.61, 'promise 2: what it would cost depends on the call and the catalogue alone');
INSERT INTO billing.cdr (source, call_id, started_at, billsec, customer_account_id, customer_billsec, customer_amount, status, rated_at)
VALUES ('s', 'rated', '2025-01-15', 60, 1, 60, 5, 'rated', now());
SELECT is(pg_temp.owed(1), 9.20, 'promise 3: a call that comes rated is stored and counted as it comes');
DELETE FROM billing.cdr WHERE call_id IN ('rated', 'edge', 'earlier', 'none');

-- A table that is no partition is its owner's business.
SAVEPOINT gone;
DELETE FROM billing.cdr_2025_01 WHERE call_id = 'a';
SELECT throws_ok($$SELECT billing.unarchive('cdr_2025_01')$$, '55000', 'billing.cdr holds 3 calls of the period of billing.cdr_2025_01', 'unarchive: too old calls must go first');
DELETE FROM billing.cdr WHERE customer_reason = 'too_old';
SELECT throws_ok($$SELECT billing.unarchive('cdr_2025_01')$$, '55000', 'billing.cdr_2025_01 does not hold the calls that were archived', 'unarchive: a call is missing');
DROP TABLE billing.cdr_2025_01;
SELECT set_eq('SELECT * FROM pg_temp.every_key', 'SELECT * FROM before', 'issue 4.8: the table may be dropped: usage stays');
SELECT throws_ok($$SELECT billing.unarchive('cdr_2025_01')$$, '42P01', NULL, 'unarchive: the table is gone');
SELECT throws_ok($$SELECT billing.unarchive('cdr_2024_01')$$, 'P0002', NULL, 'unarchive: an unknown name');
CREATE TABLE billing.cdr_2025_01 PARTITION OF billing.cdr FOR VALUES FROM ('2025-01-01') TO ('2025-02-01');
SELECT pg_temp.load('late', '2025-01-15 10:00Z', 60);
SELECT is((SELECT tableoid::regclass::text || customer_reason FROM billing.cdr WHERE call_id = 'late'), 'billing.cdr_2025_01too_old', 'issue 4.8: a new partition does not open the period');
SELECT is_empty('SELECT * FROM billing._verify_archive()', 'verify: which has the name of an archived one, but not its calls');
SELECT is(billing.adopt_partition('billing.cdr_2025_01'), 1::bigint, 'issue 4.8: it is a partition like any other');
SELECT results_eq($$SELECT partition, calls, slot FROM billing.archive('2025-02-01')$$, $$VALUES ('billing.cdr_2025_01', 1::bigint, -2)$$, 'issue 4.8: it leaves in its turn');
SELECT set_eq('SELECT * FROM pg_temp.every_key', 'SELECT * FROM before', 'promise 3: with nothing to count');
-- The first one comes back instead of the second.
DROP TABLE billing.cdr_2025_01;
CREATE TABLE billing.cdr_2025_01 (LIKE billing.cdr_default INCLUDING ALL);
INSERT INTO billing.cdr_2025_01 SELECT * FROM january;
SELECT is(billing.unarchive('cdr_2025_01'), 5::bigint, 'unarchive: of two archives of the name, the one whose calls the table holds');
SELECT set_eq('SELECT * FROM pg_temp.every_key', 'SELECT * FROM before', 'promise 3: usage is the same');
SELECT is_empty('SELECT * FROM pg_temp.wrong_usage', 'promise 3: and live');
ROLLBACK TO gone;

-- Attached by hand.
SAVEPOINT by_hand;
DELETE FROM billing.cdr WHERE customer_reason = 'too_old';
ALTER TABLE billing.cdr ATTACH PARTITION billing.cdr_2025_01 FOR VALUES FROM ('2025-01-01') TO ('2025-02-01');
SELECT is((SELECT detail FROM billing._verify_archive()), 'archive 1 is a partition again, but was not taken back by billing.unarchive()', 'verify: an archived table was attached by hand');
SELECT throws_ok($$SELECT billing.adopt_partition('billing.cdr_2025_01')$$, '55000', 'billing.cdr_2025_01 holds calls that are archived', 'promise 3: it is not adopted, for its calls are counted already');
ROLLBACK TO by_hand;

-- A wrong archive shows.
SAVEPOINT wrong;
SET LOCAL billing.usage_writer = on;
UPDATE billing.usage SET amount = amount + 1 WHERE slot = -1 AND leg = 'customer' AND day = '2025-01-10';
SELECT is((SELECT count(*) FROM billing._verify_archive()), 1::bigint, 'verify: usage of an archive was changed');
UPDATE billing.usage SET amount = amount - 1 WHERE slot = -1 AND leg = 'customer' AND day = '2025-01-10';
INSERT INTO billing.usage (account_id, leg, day, slot, calls) VALUES (1, 'customer', '2025-01-10', -7, 1);
SELECT is((SELECT detail FROM billing._verify_archive()), 'usage has rows of slot -7, whose archive does not exist', 'verify: usage of an archive that does not exist');
ROLLBACK TO wrong;
-- A data-only restore brings usage, where the triggers stand already.
SAVEPOINT restored;
CREATE TEMP TABLE dumped AS SELECT * FROM billing.usage;
SET LOCAL billing.usage_writer = on;
DELETE FROM billing.usage;
SET LOCAL billing.usage_writer = off;
INSERT INTO billing.usage SELECT * FROM dumped;
SELECT is_empty('SELECT * FROM billing.usage WHERE slot >= 0', 'design 6: a data-only restore counts the calls itself');
SELECT is_empty('SELECT * FROM billing._verify_archive()', 'issue 4.8: but brings the sums of those that are archived');
SELECT billing.rebuild_usage();
SELECT set_eq('SELECT * FROM pg_temp.every_key', 'SELECT * FROM before', 'promise 3: usage is what it was');
SELECT is_empty('SELECT * FROM pg_temp.wrong_months', 'design 6: and so are its months');
ROLLBACK TO restored;

-- The account of archived calls.
SAVEPOINT zone;
DELETE FROM billing.cdr;
DELETE FROM billing.service WHERE account_id = 1;
SELECT throws_ok('DELETE FROM billing.account WHERE id = 1', '23001', NULL, 'C21: nor one whose calls are all archived');
ROLLBACK TO zone;
ALTER TABLE billing.account DISABLE TRIGGER keep_account_update;
UPDATE billing.account SET timezone = 'Pacific/Kiritimati' WHERE id = 3;
ALTER TABLE billing.account ENABLE TRIGGER keep_account_update;
SELECT billing.rebuild_usage();
DELETE FROM billing.cdr WHERE customer_reason = 'too_old';
SELECT lives_ok($$SELECT billing.unarchive('cdr_2025_01')$$, 'unarchive: in another time zone');
SELECT results_eq($$SELECT k.day FROM billing.credit k JOIN billing.cdr c ON c.id = k.cdr_id AND c.started_at = k.started_at WHERE c.call_id = 'y2'$$, ARRAY['2025-01-21'::date],
	'unarchive: 10:05 UTC is the next day in Kiritimati: calls and credits are counted by the days of now');
SELECT is_empty('SELECT * FROM pg_temp.wrong_usage UNION ALL SELECT account_id, leg, month, NULL, NULL, currency FROM pg_temp.wrong_months', 'promise 3: usage is the sum of the calls');
SELECT is(pg_temp.owed(3), 2.40, 'promise 3: and of the same amount');
ROLLBACK TO zone;

-- And back.
DELETE FROM billing.cdr WHERE customer_reason = 'too_old';
SELECT is(billing.unarchive('cdr_2025_01'), 5::bigint, 'unarchive: five calls are back');
SELECT set_eq($$SELECT * FROM billing.cdr WHERE started_at >= '2025-01-01' AND started_at < '2025-02-01'$$, 'SELECT * FROM january', 'unarchive: as they were');
SELECT set_eq($$SELECT * FROM billing.credit WHERE started_at < '2025-02-01'$$, 'SELECT * FROM january_credit', 'unarchive: and so are their credits');
SELECT is_empty('SELECT FROM billing.archived_credit', 'unarchive: which are archived no more');
SELECT set_eq('SELECT * FROM pg_temp.every_key', 'SELECT * FROM before', 'promise 3: usage is what it was');
SELECT is_empty('SELECT * FROM pg_temp.wrong_usage', 'promise 3: all of it live or folded');
SELECT is_empty('SELECT * FROM pg_temp.wrong_months', 'design 6: months are the sum of their folded days');
SELECT is_empty('SELECT * FROM billing._verify_archive()', 'verify: nothing is left of the archive');
SELECT is_empty('SELECT * FROM billing.verify()', 'promise 3: verify() finds nothing wrong in what is back');
SELECT pg_temp.load('a', '2025-01-10 10:00Z', 60), pg_temp.load('new', '2025-01-15 10:00Z', 600);
SELECT is(pg_temp.owed(1), 9.00, 'unarchive: the file is loaded again: the known call once (3.00), the new one charged: 10 x 0.60');
DELETE FROM billing.cdr_2025_01 WHERE call_id = 'new';
SELECT is(pg_temp.owed(1), 3.00, 'unarchive: what is done to the partition counts again');

-- Once more, with a timetable of two levels, and a period that begins at no instant.
CREATE TABLE billing.cdr_2023 PARTITION OF billing.cdr FOR VALUES FROM ('2023-01-01') TO ('2024-01-01') PARTITION BY RANGE (started_at);
CREATE TABLE billing.cdr_2023_1 PARTITION OF billing.cdr_2023 FOR VALUES FROM ('2023-01-01') TO ('2023-07-01') PARTITION BY RANGE (started_at);
CREATE TABLE billing."cdr 2023 1 s" PARTITION OF billing.cdr_2023_1 FOR VALUES FROM ('2023-01-01') TO ('2023-07-01');
CREATE TABLE billing.cdr_2023_2 PARTITION OF billing.cdr_2023 FOR VALUES FROM ('2023-07-01') TO ('2024-01-01');
SELECT billing._account_partition(p.relid) FROM pg_partition_tree('billing.cdr_2023') p;
SELECT pg_temp.load('p', '2023-03-01', 60), pg_temp.load('q', '2023-09-01', 60);
DROP TABLE before;
CREATE TEMP TABLE before AS SELECT * FROM pg_temp.every_key;
SELECT results_eq($$SELECT partition, calls FROM billing.archive('2023-07-01')$$, $$VALUES ('billing.cdr_2023_1', 1::bigint)$$, 'issue 4.8: half of a year leaves, with its own partitions');
SELECT is((SELECT count(*) FROM pg_trigger t JOIN pg_partition_tree('billing.cdr_2023_1') p ON p.relid = t.tgrelid WHERE NOT t.tgisinternal), 0::bigint, 'issue 4.8: without triggers at any level');
SELECT results_eq($$SELECT partition, calls FROM billing.archive('2025-02-01')$$, $$VALUES ('billing.cdr_2023', 1::bigint), ('billing.cdr_2025_01', 5)$$, 'issue 4.8: then the rest of the year, and January again');
SELECT set_eq('SELECT * FROM pg_temp.every_key', 'SELECT * FROM before', 'promise 3: usage is the same');
SELECT is_empty('SELECT * FROM pg_temp.wrong_usage UNION ALL SELECT account_id, leg, month, NULL, NULL, currency FROM pg_temp.wrong_months', 'promise 3: in all its parts');
SELECT pg_temp.load('between', '2024-06-01', 60), pg_temp.load('late', '2023-03-01', 60), pg_temp.load('later', '2023-12-31', 60);
SELECT results_eq($$SELECT call_id, customer_reason FROM billing.cdr WHERE call_id IN ('between', 'late', 'later') ORDER BY call_id$$, $$VALUES ('between', NULL), ('late', 'too_old'), ('later', 'too_old')$$,
	'issue 4.8: between two archived periods calls are charged');
DELETE FROM billing.cdr WHERE call_id IN ('between', 'late', 'later');
SELECT lives_ok($$SELECT billing.unarchive('billing.cdr_2023'), billing.unarchive('billing.cdr_2023_1'), billing.unarchive('cdr_2025_01')$$, 'unarchive: outermost first');
SELECT set_eq('SELECT * FROM pg_temp.every_key', 'SELECT * FROM before', 'promise 3: usage is the same');
SELECT is_empty('SELECT * FROM pg_temp.wrong_usage UNION ALL SELECT account_id, leg, month, NULL, NULL, currency FROM pg_temp.wrong_months', 'promise 3: in all its parts, again');
SELECT is((SELECT count(*) FROM billing.cdr), 10::bigint, 'unarchive: all ten calls are there');
SELECT is((SELECT count(*) FROM pg_trigger t JOIN pg_partition_tree('billing.cdr_2023') p ON p.relid = t.tgrelid WHERE t.tgname = 'account_insert'), 4::bigint, 'unarchive: with the triggers of partitions');

-- A cycle of included minutes that an archived partition cuts: 90 seconds of December, of which 60 have left.
INSERT INTO billing.plan (id, name) VALUES (1, 'ninety');
INSERT INTO billing.allowance (id, plan_id, name, seconds) VALUES (1, 1, 'all', 90);
INSERT INTO billing.allowance_prefix (allowance_id, prefix) VALUES (1, '');
INSERT INTO billing.account (id, name, currency, tariff_id, plan_id) VALUES (5, 'planned', 'EUR', 1, 1);
INSERT INTO billing.service (id, account_id, kind, identifier) VALUES (6, 5, 'auth_code', 'p');
CREATE TABLE billing.cdr_2024_12a PARTITION OF billing.cdr FOR VALUES FROM ('2024-12-01') TO ('2024-12-16');
SELECT billing._account_partition('billing.cdr_2024_12a');
CREATE FUNCTION pg_temp.planned(call_id text, started_at timestamptz) RETURNS void LANGUAGE sql AS $$
	INSERT INTO billing.cdr (source, call_id, started_at, billsec, callee, auth_code) VALUES ('s', call_id, started_at, 60, '442079460000', 'p')
$$;
SELECT pg_temp.planned('m1', '2024-12-10'), pg_temp.planned('m3', '2024-12-20');
SELECT lives_ok('SELECT billing.settle_credits()', 'D10: the cycle is worked out');
SELECT is(pg_temp.owed(5), 0.30, 'D10: 60 seconds of the first call and 30 of the second cost nothing: 2 x 0.60 - 0.60 - 0.30');
SELECT is((SELECT calls FROM billing.archive('2024-12-16') WHERE partition = 'billing.cdr_2024_12a'), 1::bigint, 'issue 4.8: the first half of December leaves');
SELECT is(pg_temp.owed(5), 0.30, 'issue 4.8: the account owes what it owed');
SELECT pg_temp.planned('m2', '2024-12-18');
SELECT lives_ok('SELECT billing.settle_credits()', 'D10: the rest of the cycle is worked out again');
SELECT is(pg_temp.owed(5), 0.90, 'reading 25: the call that left has drawn 60, the late one 30, the last one none: 3 x 0.60 - 0.90');
SELECT results_eq($$SELECT c.call_id, k.seconds, k.amount FROM billing.credit k JOIN billing.cdr c ON c.id = k.cdr_id AND c.started_at = k.started_at WHERE k.account_id = 5$$, $$VALUES ('m2', 30::bigint, 0.30)$$,
	'reading 25: by what is left of the pool');
SELECT is_empty('SELECT * FROM pg_temp.wrong_usage UNION ALL SELECT account_id, leg, month, NULL, NULL, currency FROM pg_temp.wrong_months', 'promise 3: usage is the sum of the calls and credits that are there');
SELECT billing.unarchive('cdr_2024_12a');
SELECT billing.settle_credits();
SELECT is(pg_temp.owed(5), 0.90, 'unarchive: it owes the same');
SELECT is_empty('SELECT * FROM pg_temp.wrong_usage UNION ALL SELECT account_id, leg, month, NULL, NULL, currency FROM pg_temp.wrong_months', 'promise 3: usage, still');
SELECT is_empty('SELECT * FROM billing.verify()', 'promise 3: verify() finds nothing wrong at the end');

-- The bounds of a partition are the same instants, however a session writes them: in this one IST is India's, and read as Israel's.
SELECT billing.archive('2024-12-16');
SET timezone = 'Asia/Kolkata';
SET datestyle = 'German';
SELECT billing.unarchive('cdr_2024_12a');
SET timezone = 'UTC';
SET datestyle = 'ISO';
SELECT is(pg_get_expr(relpartbound, oid), 'FOR VALUES FROM (''2024-12-01 00:00:00+00'') TO (''2024-12-16 00:00:00+00'')', 'unarchive: with the bounds that it had') FROM pg_class WHERE relname = 'cdr_2024_12a';

-- The table is dropped, and somebody else takes its name.
SELECT billing.archive('2024-12-16');
ALTER TABLE billing.cdr_2024_12a RENAME TO set_aside;
CREATE ROLE billing_test_stranger;
CREATE FUNCTION pg_temp.trap() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped' USING ERRCODE = 'XX999'; END $$;
CREATE VIEW billing.cdr_2024_12a AS SELECT a.*, pg_temp.trap() AS trap FROM billing.set_aside a;
SELECT throws_ok($$SELECT billing.unarchive('cdr_2024_12a')$$, '42501', 'billing.cdr_2024_12a is no table of the owner of billing.cdr', 'unarchive: a view is not read');
SELECT throws_ok($$SELECT billing.unarchive('billing.cdr_2024_12a')$$, '42501', NULL, 'unarchive: by its whole name neither');
DROP VIEW billing.cdr_2024_12a;
ALTER TABLE billing.set_aside RENAME TO cdr_2024_12a;
ALTER TABLE billing.cdr_2024_12a OWNER TO billing_test_stranger;
SELECT throws_ok($$SELECT billing.unarchive('cdr_2024_12a')$$, '42501', NULL, 'unarchive: nor is a table of somebody else attached');
ALTER TABLE billing.cdr_2024_12a OWNER TO CURRENT_USER;
SELECT billing.unarchive('cdr_2024_12a');

-- The way out.
SELECT is((SELECT count(*) FROM billing.archive('2025-02-01')), 2::bigint, 'archived once more');
DROP VIEW pg_temp.every_key, pg_temp.wrong_months, pg_temp.wrong_usage;
SELECT lives_ok('SELECT billing.drop_ledger(with_data => true)', 'design 2: the ledger goes');
SELECT is((SELECT count(*) FROM billing.cdr_2025_01), 5::bigint, 'issue 4.8: archived tables stay');

SELECT * FROM finish();
ROLLBACK;
