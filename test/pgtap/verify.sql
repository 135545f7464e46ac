-- verify(): nothing when all is well, and a row for each discrepancy, each of which is planted here (design 6, issue 4.9).
BEGIN;
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS billing CASCADE;
SELECT billing.create_ledger();
SELECT no_plan();
SET timezone = 'UTC';

SELECT is_empty('SELECT * FROM billing.verify()', 'issue 4.9: a new ledger');
SELECT is_empty('SELECT * FROM billing.verify(fast => true)', 'issue 4.9: fast');

-- 0.60 a minute; the second call of a session is credited its connect fee of 0.05.
INSERT INTO billing.tariff (id, name, currency) VALUES (1, 'retail', 'EUR');
INSERT INTO billing.rate (id, tariff_id, prefix, destination, price) VALUES (1, 1, '49', 'Germany', 0.6);
INSERT INTO billing.account (id, name, currency, tariff_id) VALUES (1, 'one', 'EUR', 1), (2, 'two', 'EUR', 1);
INSERT INTO billing.service (id, account_id, kind, identifier, cost_center) VALUES (1, 1, 'extension', '100', 'lab'), (2, 2, 'did', '4420', NULL);
INSERT INTO billing.did_rate (number, leg, currency, price, connect_fee) VALUES ('4420', 'did_owner', 'EUR', 0, 0.05);
INSERT INTO billing.cdr (id, call_id, session_id, started_at, billsec, caller, callee) VALUES
	(1, 'a', NULL, '2026-01-10 12:00', 60, '100', '4930'), (2, 'b', NULL, '2026-01-10 12:00', 30, '100', '4930'), (3, 'c', NULL, '2026-02-10 12:00', 30, '100', '4930'),
	(4, 'v1', 'visit', '2026-02-10 12:00', 5, '77', '4420'), (5, 'v2', 'visit', '2026-02-10 12:10', 5, '77', '4420');
SELECT is_empty('SELECT * FROM billing.verify()', 'issue 4.9: credits that wait are no discrepancy');
SELECT results_eq('SELECT kind, session_id, number FROM billing.pending_credits', $$ VALUES ('session_fee', 'visit', '4420') $$, 'issue 4.9: but listed');
SELECT billing.settle_credits();
SELECT is_empty('SELECT * FROM billing.pending_credits', 'issue 4.9: until they are settled');
SELECT is((SELECT sum(credit) FROM billing.usage), 0.05, 'K4: a credit');
SELECT is_empty('SELECT * FROM billing.verify()', 'issue 4.9: all is well');
SELECT billing.compact_usage();
SELECT is_empty('SELECT * FROM billing.verify()', 'issue 4.9: after folding too');

-- Account 1 owes 0.90 + 0.30, account 2 owes 0.10 less a credit of 0.05: what is planted below shows in the balance.

-- Plants something, and says what verify() finds; nothing of it stays.
CREATE FUNCTION pg_temp.found(planted text, fast boolean DEFAULT false) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	findings text;
BEGIN
	BEGIN
		EXECUTE planted;
		SELECT string_agg(concat_ws(' ', v."check", v.account_id, v.leg, v.day, trim_scale(v.actual) || '<>' || trim_scale(v.expected)), '; ' ORDER BY v."check", v.account_id, v.day) INTO findings
		FROM billing.verify(fast) v;
		RAISE EXCEPTION USING ERRCODE = 'XX999';
	EXCEPTION WHEN SQLSTATE 'XX999' THEN
		RETURN findings;
	END;
END $$;
SELECT is(pg_temp.found(''), NULL, 'a plain look finds nothing');

SELECT is(pg_temp.found('SET LOCAL billing.usage_writer = on; ' || v.planted), v.findings, 'issue 4.9: ' || v.what) FROM (VALUES
	('a call too many', $$ UPDATE billing.usage SET calls = calls + 1 WHERE leg = 'customer' AND day = '2026-01-10' $$, 'usage_calls 1 customer 2026-01-10 3<>2'),
	('an answer too few', $$ UPDATE billing.usage SET answered = answered - 1 WHERE leg = 'customer' AND day = '2026-01-10' $$, 'usage_answered 1 customer 2026-01-10 1<>2'),
	('other seconds', $$ UPDATE billing.usage SET seconds = 90.5 WHERE leg = 'customer' AND day = '2026-01-10' $$, 'usage_seconds 1 customer 2026-01-10 90.5<>90'),
	('other billed seconds', $$ UPDATE billing.usage SET billsec = 0 WHERE leg = 'customer' AND day = '2026-01-10' $$, 'usage_billsec 1 customer 2026-01-10 0<>90'),
	('another amount, and a month that does not know', $$ UPDATE billing.usage SET amount = amount + 0.00000001 WHERE leg = 'customer' AND day = '2026-01-10' $$,
		'balance 1 -1.2<>-1.20000001; month_amount 1 customer 2026-01-01 0.9<>0.90000001; usage_amount 1 customer 2026-01-10 0.90000001<>0.9'),
	('another credit', $$ UPDATE billing.usage SET credit = 0.04 WHERE leg = 'did_owner' $$, 'balance 2 -0.05<>-0.06; month_credit 2 did_owner 2026-02-01 0.05<>0.04; usage_credit 2 did_owner 2026-02-10 0.04<>0.05'),
	('a row that is gone', $$ DELETE FROM billing.usage WHERE leg = 'customer' AND day = '2026-01-10' $$, 'balance 1 -1.2<>-0.3; month_amount 1 customer 2026-01-01 0.9<>0; usage_amount 1 customer 2026-01-10 0<>0.9; '
		'usage_answered 1 customer 2026-01-10 0<>2; usage_billsec 1 customer 2026-01-10 0<>90; usage_calls 1 customer 2026-01-10 0<>2; usage_seconds 1 customer 2026-01-10 0<>90'),
	('a row that no call has, without account', $$ INSERT INTO billing.usage (account_id, leg, day, slot, calls) VALUES (NULL, 'customer', '2026-01-10', 9, 1) $$, 'usage_calls customer 2026-01-10 1<>0'),
	('a row under another cost centre', $$ UPDATE billing.usage SET cost_center = 'x' WHERE leg = 'customer' AND day = '2026-02-10' AND calls = 1; UPDATE billing.usage SET answered = 0, seconds = 0, billsec = 0, amount = 0.3 WHERE cost_center = 'x' $$,
		'usage_amount 1 customer 2026-02-10 0<>0.3; usage_amount 1 customer 2026-02-10 0.3<>0; usage_answered 1 customer 2026-02-10 0<>1; usage_billsec 1 customer 2026-02-10 0<>30; '
		'usage_calls 1 customer 2026-02-10 0<>1; usage_calls 1 customer 2026-02-10 1<>0; usage_seconds 1 customer 2026-02-10 0<>30'),
	('another month', $$ UPDATE billing.usage_month SET amount = amount - 1 WHERE account_id = 1 AND month = '2026-01-01' $$, 'balance 1 -0.2<>-1.2; month_amount 1 customer 2026-01-01 -0.1<>0.9'),
	('another credit of a month', $$ UPDATE billing.usage_month SET credit = 0 WHERE account_id = 2 $$, 'balance 2 -0.1<>-0.05; month_credit 2 did_owner 2026-02-01 0<>0.05'),
	('a month that is gone', $$ DELETE FROM billing.usage_month WHERE account_id = 1 AND month = '2026-01-01' $$, 'balance 1 -0.3<>-1.2; month_amount 1 customer 2026-01-01 0<>0.9'),
	('a payment, which the balance knows', $$ INSERT INTO billing.entry (account_id, kind, amount) VALUES (1, 'payment', 10) $$, NULL),
	('a month of nothing', $$ INSERT INTO billing.usage_month (account_id, leg, month, currency, amount, credit) VALUES (1, 'provider', '2020-01-01', 'EUR', 1, 0) $$, 'balance 1 -2.2<>-1.2; month_amount 1 provider 2020-01-01 1<>0'),
	('calls that nobody counted', $$ ALTER TABLE billing.cdr DISABLE TRIGGER account_delete; DELETE FROM billing.cdr WHERE id = 2; ALTER TABLE billing.cdr ENABLE TRIGGER account_delete $$,
		'usage_amount 1 customer 2026-01-10 0.9<>0.6; usage_answered 1 customer 2026-01-10 2<>1; usage_billsec 1 customer 2026-01-10 90<>60; usage_calls 1 customer 2026-01-10 2<>1; usage_seconds 1 customer 2026-01-10 90<>60'),
	('a credit that nobody counted', $$ ALTER TABLE billing.credit DISABLE TRIGGER account_update; UPDATE billing.credit SET amount = 0.03; ALTER TABLE billing.credit ENABLE TRIGGER account_update $$, 'usage_credit 2 did_owner 2026-02-10 0.05<>0.03')) v(what, planted, findings);

-- Credits.
SELECT is(pg_temp.found(v.planted), v.findings, 'issue 4.9: ' || v.what) FROM (VALUES
	('a credit of no call', $$ INSERT INTO billing.credit (cdr_id, started_at, leg, kind, pool, amount, account_id, day, currency) VALUES (99, '2026-01-10', 'customer', 'session_fee', 'x', 1, 1, '2026-01-10', 'EUR') $$, 'credit_call 1 customer 2026-01-10'),
	('a credit on a leg that does not apply', $$ INSERT INTO billing.credit (cdr_id, started_at, leg, kind, pool, amount, account_id, day, currency) VALUES (1, '2026-01-10 12:00', 'provider', 'session_fee', 'x', 1, 1, '2026-01-10', 'EUR') $$, 'credit_call 1 provider 2026-01-10'),
	('a credit on a leg without amount', $$ UPDATE billing.cdr SET customer_amount = NULL WHERE id = 1;
		INSERT INTO billing.credit (cdr_id, started_at, leg, kind, pool, amount, account_id, day, cost_center, destination, currency) VALUES (1, '2026-01-10 12:00', 'customer', 'session_fee', 'x', 1, 1, '2026-01-10', 'lab', 'Germany', 'EUR') $$, 'credit_amount 1 customer 2026-01-10'),
	('a credit of another day', $$ UPDATE billing.credit SET day = '2026-02-11' $$, 'credit_key 2 did_owner 2026-02-11'),
	('a credit of another account', $$ UPDATE billing.credit SET account_id = 1 $$, 'credit_key 1 did_owner 2026-02-10'),
	('a credit in another currency', $$ UPDATE billing.credit SET currency = 'USD' $$, 'credit_key 2 did_owner 2026-02-10'),
	('a credit whose call is gone waits', $$ DELETE FROM billing.cdr WHERE session_id = 'visit' $$, NULL),
	('a credit whose call has moved waits', $$ UPDATE billing.cdr SET answered_at = '2026-03-01' WHERE session_id = 'visit' $$, NULL)) v(what, planted, findings);

-- Identity.
SELECT is(pg_temp.found(v.planted), v.findings, 'issue 4.9: ' || v.what) FROM (VALUES
	('an index that is not valid', $$ UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'billing.cdr_default_source_call_id_started_at_key'::regclass $$, 'identity'),
	('no identity of calls', $$ ALTER TABLE billing.cdr DROP CONSTRAINT cdr_identity $$, 'identity; identity'),
	('two services of one identifier', $$ ALTER TABLE billing.service DROP CONSTRAINT service_identity; INSERT INTO billing.service (id, account_id, kind, identifier) VALUES (9, 2, 'extension', '100') $$, 'service 1')) v(what, planted, findings);

-- Triggers, partitions.
SELECT is(pg_temp.found(v.planted), v.findings, 'issue 4.9: ' || v.what) FROM (VALUES
	('a disabled guard', 'ALTER TABLE billing.rate DISABLE TRIGGER keep_rate_update', 'trigger'),
	('a guard that is gone', 'DROP TRIGGER keep_rate_update ON billing.rate', 'trigger'),
	('a guard of replicas', 'ALTER TABLE billing.usage_live ENABLE REPLICA TRIGGER guard_usage', 'trigger'),
	('a signal that is not ALWAYS', 'ALTER TABLE billing.tariff ENABLE TRIGGER catalogue_signal', 'trigger'),
	('what pg_restore --disable-triggers leaves', 'ALTER TABLE billing.tariff DISABLE TRIGGER ALL; ALTER TABLE billing.tariff ENABLE TRIGGER ALL', 'trigger; trigger; trigger'),
	('no rating', 'ALTER TABLE billing.cdr_default DISABLE TRIGGER zz_rate', 'trigger'),
	('no notes of moves', 'ALTER TABLE ONLY billing.cdr DISABLE TRIGGER zz_move', 'trigger'),
	('no accounting', 'ALTER TABLE billing.cdr DISABLE TRIGGER account_insert', 'partition 4<>5'),
	('no accounting of credits', 'ALTER TABLE billing.credit DISABLE TRIGGER account_insert', 'trigger'),
	('an unadopted partition', $$ CREATE TABLE billing.by_hand PARTITION OF billing.cdr FOR VALUES FROM ('2027-01-01') TO ('2027-02-01') $$, 'partition 0<>5'),
	('an adopted one', $$ CREATE TABLE billing.by_hand PARTITION OF billing.cdr FOR VALUES FROM ('2027-01-01') TO ('2027-02-01'); SELECT billing.adopt_partition('billing.by_hand') $$, NULL),
	('one that was made by function', $$ SELECT billing.create_partitions('2026-01-01', '2026-03-01') $$, NULL)) v(what, planted, findings);

-- Names, archives, the ledger itself.
SELECT is(pg_temp.found(v.planted), v.findings, 'issue 4.9: ' || v.what) FROM (VALUES
	('a name that came without its calls being counted', $$ ALTER TABLE billing.usage_orphan DISABLE TRIGGER keep_orphan;
		INSERT INTO billing.usage_orphan VALUES ('account', 1), ('service', 1), ('rate', 1), ('account', 999), ('service', 999), ('rate', 999); ALTER TABLE billing.usage_orphan ENABLE TRIGGER keep_orphan $$, 'orphan 1; orphan; orphan'),
	('and after a rebuild', $$ ALTER TABLE billing.usage_orphan DISABLE TRIGGER keep_orphan;
		INSERT INTO billing.usage_orphan VALUES ('account', 1), ('service', 1), ('rate', 999); ALTER TABLE billing.usage_orphan ENABLE TRIGGER keep_orphan; SELECT billing.rebuild_usage() $$, NULL),
	('an archive', $$ SELECT billing.create_partitions('2026-01-01', '2026-02-01'); SELECT billing.archive('2026-02-01') $$, NULL),
	('usage of an archive that is not there', $$ SET LOCAL billing.usage_writer = on; INSERT INTO billing.usage (account_id, leg, day, slot, calls) VALUES (1, 'customer', '2026-01-10', -99, 1) $$, 'archive'),
	('a ledger of another version', $$ COMMENT ON TABLE billing.catalogue_signal IS 'billing ledger 0' $$, 'ledger 0<>1')) v(what, planted, findings);

-- Fast: all that needs no look at the calls.
SELECT is(pg_temp.found('SET LOCAL billing.usage_writer = on; ' || v.planted, true), v.findings, 'issue 4.9: fast: ' || v.what) FROM (VALUES
	('fewer calls than none', $$ UPDATE billing.usage SET calls = -1 WHERE leg = 'customer' AND day = '2026-01-10' $$, 'usage_impossible 1 customer 2026-01-10'),
	('more answers than calls', $$ UPDATE billing.usage SET answered = 3 WHERE leg = 'customer' AND day = '2026-01-10' $$, 'usage_impossible 1 customer 2026-01-10'),
	('seconds below zero', $$ UPDATE billing.usage SET seconds = -1 WHERE leg = 'customer' AND day = '2026-01-10' $$, 'usage_impossible 1 customer 2026-01-10'),
	('money of no call', $$ INSERT INTO billing.usage (account_id, leg, day, slot, calls, amount) VALUES (1, 'customer', '2026-01-11', 9, 0, 1) $$, 'usage_impossible 1 customer 2026-01-11'),
	('another month', $$ UPDATE billing.usage_month SET amount = amount - 1 WHERE account_id = 1 AND month = '2026-01-01' $$, 'balance 1 -0.2<>-1.2; month_amount 1 customer 2026-01-01 -0.1<>0.9'),
	('a disabled guard', 'ALTER TABLE billing.rate DISABLE TRIGGER keep_rate_update', 'trigger'),
	('an unadopted partition', $$ CREATE TABLE billing.by_hand PARTITION OF billing.cdr FOR VALUES FROM ('2027-01-01') TO ('2027-02-01') $$, 'partition 0<>5'),
	('not what only the calls can tell', $$ UPDATE billing.usage SET seconds = seconds + 1 WHERE leg = 'customer' AND day = '2026-01-10' $$, NULL)) v(what, planted, findings);

-- Every table of the ledger that has triggers is asked about: no list to keep in step.
SELECT is_empty($$
	SELECT t.tgrelid::regclass::text, t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
	WHERE c.relnamespace = 'billing'::regnamespace AND NOT t.tgisinternal AND t.tgfoid <> 'billing.account_cdr()'::regprocedure
	EXCEPT SELECT e.relation::text, e.name FROM billing._expected_triggers() e $$, 'issue 4.9: verify() knows every trigger of the ledger');
SELECT is_empty('SELECT * FROM billing.verify()', 'issue 4.9: nothing of what was planted has stayed');
SELECT is(provolatile, 's', 'issue 4.9: verify() runs under one snapshot') FROM pg_proc WHERE oid = 'billing.verify(boolean)'::regprocedure;

SELECT * FROM finish();
ROLLBACK;
