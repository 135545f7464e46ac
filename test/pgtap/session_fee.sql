-- The connect fee of a DID leg is due once in a session (K4, reading 8, design 6), whatever the order in which its
-- calls come, change or go.
BEGIN;
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS billing CASCADE;
SELECT billing.create_ledger();
SELECT no_plan();

-- Incoming 0.10 a minute and a fee of 1, owner -0.02 and a fee of -0.5 (paid to the owner), provider -0.01 without a fee.
INSERT INTO billing.account (id, name, currency, is_provider) VALUES (1, 'dialler', 'EUR', false), (2, 'owner', 'EUR', false), (3, 'provider', 'EUR', true);
INSERT INTO billing.service (account_id, kind, identifier, provider_id) VALUES (2, 'did', '37052000001', 3), (2, 'did', '37052000002', 3);
INSERT INTO billing.service (account_id, kind, identifier) VALUES (1, 'ani', '37060000001');
INSERT INTO billing.service (account_id, side, kind, identifier) VALUES (3, 'provider', 'trunk', 'in');
INSERT INTO billing.did_rate (id, leg, number, currency, price, connect_fee)
SELECT 10 * n + l.id, l.leg, '3705200000' || n, 'EUR', l.price, l.fee
FROM generate_series(1, 2) n CROSS JOIN (VALUES (1, 'did_incoming', 0.10, 1), (2, 'did_owner', -0.02, -0.5), (3, 'did_provider', -0.01, 0)) l(id, leg, price, fee);

CREATE FUNCTION pg_temp.load(session_id text, call_id text, minute integer, did text DEFAULT '37052000001', caller text DEFAULT '37060000001', billsec integer DEFAULT 60) RETURNS void LANGUAGE sql AS $$
	INSERT INTO billing.cdr (source, session_id, call_id, started_at, billsec, callee, caller, src_trunk)
	VALUES ('s', session_id, call_id, '2026-12-21 10:00'::timestamptz + minute * interval '1 minute', billsec, did, caller, 'in')
$$;
-- What is credited: 'call leg amount', ordered.
CREATE FUNCTION pg_temp.credits() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT format('%s %s %s', c.call_id, k.leg, trim_scale(k.amount)) FROM billing.credit k JOIN billing.cdr c ON c.id = k.cdr_id AND c.started_at = k.started_at ORDER BY 1
$$;

SELECT lives_ok($$SELECT pg_temp.load('x', 'a', 0), pg_temp.load('x', 'b', 1), pg_temp.load('x', 'c', 2)$$, 'three calls of one connection to the DID');
SELECT results_eq('SELECT call_id, did_incoming_amount, did_owner_amount, did_provider_amount FROM billing.cdr ORDER BY 1',
	'VALUES (''a'', 1.10, -0.52, -0.01), (''b'', 1.10, -0.52, -0.01), (''c'', 1.10, -0.52, -0.01)', 'promise 2: rating does not look at other calls: each carries the fee');
SELECT is_empty('SELECT FROM billing.credit', 'design 6: the statement only queues');
SELECT is(billing.settle_credits(), 1::bigint, 'K4: one pool is settled');
SELECT results_eq('SELECT pg_temp.credits()', ARRAY['b did_incoming 1', 'b did_owner -0.5', 'c did_incoming 1', 'c did_owner -0.5'],
	'K4 reading 8: 1 session with 3 onward calls is 1 fee, of each leg: the first call keeps it');
SELECT results_eq('SELECT leg, sum(amount), sum(credit), sum(net) FROM billing.charge WHERE leg LIKE ''did%'' GROUP BY leg ORDER BY leg',
	'VALUES (''did_incoming'', 3.30, 2.0, 1.30), (''did_owner'', -1.56, -1.0, -0.56), (''did_provider'', -0.03, 0.0, -0.03)', 'design 6: gross, credit and net: 3 x 0.10 + 1; 3 x -0.02 - 0.5');
SELECT is(billing.settle_credits(), 0::bigint, 'nothing is queued any more');
SELECT is_empty('SELECT FROM billing.credit_queue', 'design 6: the queue is empty');

SELECT lives_ok($$SELECT pg_temp.load('y', 'd', 10), pg_temp.load('y', 'e', 11)$$, 'another session');
SELECT lives_ok('SELECT billing.settle_credits()', 'settles');
SELECT results_eq('SELECT pg_temp.credits()', ARRAY['b did_incoming 1', 'b did_owner -0.5', 'c did_incoming 1', 'c did_owner -0.5', 'e did_incoming 1', 'e did_owner -0.5'],
	'K4: 2 sessions are 2 fees');
SELECT lives_ok($$SELECT pg_temp.load('x', 'f', 5, '37052000002'), pg_temp.load(NULL, 'g', 6), pg_temp.load(NULL, 'h', 7), pg_temp.load('', 'i', 8), pg_temp.load('', 'j', 9)$$, 'other DIDs, and no session');
SELECT is((SELECT count(*) FROM billing.credit_queue), 1::bigint, 'calls without a session queue nothing');
SELECT is(billing.settle_credits(), 1::bigint, 'K4: another DID of the session is a pool of its own');
SELECT is((SELECT count(*) FROM billing.credit), 6::bigint, 'K4: and has its own fee; calls without a session have each their own');

-- A late arrival.
SELECT lives_ok($$SELECT pg_temp.load('x', 'z', -1)$$, 'an earlier call comes later');
SELECT is((SELECT settle_credits FROM billing.settle_credits()), 1::bigint, 'its session is settled again');
SELECT results_eq('SELECT pg_temp.credits() LIMIT 2', ARRAY['a did_incoming 1', 'a did_owner -0.5'], 'reading 8: the fee moves to the earlier call');
SELECT is((SELECT sum(amount) FROM billing.credit WHERE leg = 'did_incoming' AND pool LIKE '%"x"%'), 3.0, 'reading 8: still exactly one of four');
-- Calls that a change removes from the session, or take the fee away from.
DELETE FROM billing.cdr WHERE call_id = 'z';
SELECT billing.settle_credits();
SELECT results_eq('SELECT pg_temp.credits() LIMIT 2', ARRAY['b did_incoming 1', 'b did_owner -0.5'], 'design 6: the first call is deleted: the next keeps the fee');
UPDATE billing.cdr SET session_id = 'other' WHERE call_id = 'a';
SELECT billing.settle_credits();
SELECT results_eq('SELECT pg_temp.credits()', ARRAY['c did_incoming 1', 'c did_owner -0.5', 'e did_incoming 1', 'e did_owner -0.5'], 'design 6: a call leaves the session');
UPDATE billing.cdr SET session_id = 'x', started_at = '2026-12-21 10:30' WHERE call_id = 'a';
SELECT billing.settle_credits();
SELECT results_eq('SELECT pg_temp.credits()', ARRAY['a did_incoming 1', 'a did_owner -0.5', 'c did_incoming 1', 'c did_owner -0.5', 'e did_incoming 1', 'e did_owner -0.5'], 'design 6: and comes back as the last');
UPDATE billing.cdr SET billsec = 0 WHERE call_id = 'b';
SELECT billing.settle_credits();
SELECT results_eq('SELECT pg_temp.credits()', ARRAY['a did_incoming 1', 'a did_owner -0.5', 'e did_incoming 1', 'e did_owner -0.5'], 'reading 19: a call without a fee is not the first that has one');
UPDATE billing.cdr SET caller = '37060000009' WHERE call_id = 'c';
SELECT billing.settle_credits();
SELECT results_eq('SELECT pg_temp.credits()', ARRAY['a did_owner -0.5', 'e did_incoming 1', 'e did_owner -0.5'], 'K3: nor one whose dialler is not recognised: each leg has its own first');
UPDATE billing.cdr SET billsec = 60 WHERE call_id = 'b';
UPDATE billing.cdr SET caller = '37060000001' WHERE call_id = 'c';

-- Rating again, twice, with another fee.
SELECT billing.settle_credits();
SELECT billing.correct_rate(11, '{"connect_fee": 2}', 'typo');
UPDATE billing.cdr SET rated_at = NULL;
SELECT billing.settle_credits();
SELECT results_eq('SELECT pg_temp.credits()', ARRAY['a did_incoming 2', 'a did_owner -0.5', 'c did_incoming 2', 'c did_owner -0.5', 'e did_incoming 2', 'e did_owner -0.5'], 'P18: rated again, the credits follow');
CREATE TABLE pg_temp.once AS SELECT * FROM billing.credit;
UPDATE billing.cdr SET rated_at = NULL;
SELECT billing.settle_credits();
SELECT set_eq('SELECT * FROM billing.credit', 'SELECT * FROM pg_temp.once', 'P18: rated again once more, nothing changes, not even the row');

-- Any load order, one batch or several, root or partition.
CREATE FUNCTION pg_temp.total(loads text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	load text;
	result text;
BEGIN
	DELETE FROM billing.cdr;
	FOREACH load IN ARRAY loads LOOP
		EXECUTE load;
	END LOOP;
	PERFORM billing.settle_credits();
	SELECT string_agg(v, ', ') INTO result FROM pg_temp.credits() v;
	RETURN result;
END $$;
SELECT is(pg_temp.total(ARRAY[
		format('SELECT pg_temp.load(''o'', v.n, v.m) FROM (VALUES (''1'', 1), (''2'', 2), (''3'', 3), (''4'', 3)) v(n, m) ORDER BY %s', o.way),
		CASE WHEN o.settle THEN 'SELECT billing.settle_credits()' ELSE 'SELECT' END]), '2 did_incoming 2, 2 did_owner -0.5, 3 did_incoming 2, 3 did_owner -0.5, 4 did_incoming 2, 4 did_owner -0.5',
	'reading 8: loaded in the order of ' || o.way) FROM (VALUES ('m', true), ('m DESC', false), ('n = ''3'' DESC', true), ('md5(n)', false)) o(way, settle);
SELECT is(pg_temp.total(ARRAY['SELECT pg_temp.load(''o'', ''4'', 3)', 'SELECT billing.settle_credits()', 'SELECT pg_temp.load(''o'', ''2'', 2)', 'SELECT billing.settle_credits()',
	'SELECT pg_temp.load(''o'', ''3'', 3)', 'SELECT pg_temp.load(''o'', ''1'', 1)', 'SELECT billing.settle_credits()']), '2 did_incoming 2, 2 did_owner -0.5, 3 did_incoming 2, 3 did_owner -0.5, 4 did_incoming 2, 4 did_owner -0.5',
	'reading 8: in several batches, settled between; calls of one instant by call_id');
SELECT is(pg_temp.total(ARRAY['INSERT INTO billing.cdr (source, session_id, call_id, started_at, billsec, callee, caller, src_trunk)
		SELECT ''s'', ''o'', n::text, ''2026-12-21 10:00''::timestamptz + least(n, 3) * interval ''1 minute'', 60, ''37052000001'', ''37060000001'', ''in'' FROM generate_series(4, 1, -1) n']),
	'2 did_incoming 2, 2 did_owner -0.5, 3 did_incoming 2, 3 did_owner -0.5, 4 did_incoming 2, 4 did_owner -0.5', 'reading 8: in one statement');
SELECT billing.create_partitions('2026-12-01', '2027-02-01');
SELECT is((SELECT count(*) FROM pg_trigger WHERE tgrelid = 'billing.cdr_202612'::regclass AND tgname LIKE 'account_%'), 5::bigint, 'design 4: a partition has the statement triggers');
DELETE FROM billing.cdr_202612 WHERE call_id = '1';
INSERT INTO billing.cdr_202612 (id, source, session_id, call_id, started_at, billsec, callee, caller, src_trunk) VALUES (NULL, 's', 'o', '0', '2026-12-21 09:00', 60, '37052000001', '37060000001', 'in');
SELECT is(billing.settle_credits(), 1::bigint, 'design 4: what is written to a partition by its own name is queued');
SELECT results_eq('SELECT pg_temp.credits()', ARRAY['2 did_incoming 2', '2 did_owner -0.5', '3 did_incoming 2', '3 did_owner -0.5', '4 did_incoming 2', '4 did_owner -0.5'], 'reading 8: also there');
TRUNCATE billing.cdr;
SELECT is(billing.settle_credits(), 1::bigint, 'TRUNCATE is queued as well');
SELECT is_empty('SELECT FROM billing.credit', 'and leaves no credit');

-- Who loads needs no right on the queue.
CREATE ROLE fee_loader;
GRANT USAGE ON SCHEMA billing TO fee_loader;
GRANT INSERT (source, session_id, call_id, started_at, billsec, callee, caller, src_trunk) ON billing.cdr TO fee_loader;
SET ROLE fee_loader;
INSERT INTO billing.cdr (source, session_id, call_id, started_at, billsec, callee, caller, src_trunk) VALUES ('s', 'l', '1', '2026-12-21', 60, '37052000001', '37060000001', 'in');
RESET ROLE;
SELECT is((SELECT count(*) FROM billing.credit_queue), 1::bigint, 'design 2: a loader with INSERT on raw columns queues');
SELECT throws_ok('SET ROLE fee_loader; SELECT billing.settle_credits()', '42501', NULL, 'settle_credits() is not PUBLIC''s');

SELECT * FROM finish();
ROLLBACK;
