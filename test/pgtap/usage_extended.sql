-- What a user may put on billing.usage and billing.cdr of his own: triggers, columns, indexes, divided partitions (promise 3, design 6).
BEGIN;
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS billing CASCADE;
SELECT billing.create_ledger();
SELECT no_plan();

-- A call of n seconds costs n / 100.
INSERT INTO billing.tariff (id, name, currency) VALUES (1, 'retail', 'EUR');
INSERT INTO billing.rate (id, tariff_id, prefix, destination, price) VALUES (1, 1, '49', 'Germany', 0.6);
INSERT INTO billing.account (id, name, currency, tariff_id) VALUES (1, 'berlin', 'EUR', 1);
INSERT INTO billing.service (id, account_id, kind, identifier) VALUES (1, 1, 'extension', '100');
SELECT billing.create_partitions('2026-08-01', '2026-10-01');

CREATE FUNCTION pg_temp.calls(name text, days integer) RETURNS void LANGUAGE sql AS $$
	INSERT INTO billing.cdr (call_id, started_at, billsec, caller, callee)
	SELECT name || ' ' || i, '2026-08-01 12:00Z'::timestamptz + i * interval '1 day', 10, '100', '4930' FROM generate_series(1, days) i
$$;

-- Triggers on usage: what they remember from one row to the next must last as long as the statement.
CREATE TABLE pg_temp.noticed (event text);
GRANT INSERT ON pg_temp.noticed TO PUBLIC;
CREATE FUNCTION pg_temp.notice() RETURNS trigger LANGUAGE plpgsql SET work_mem = '4MB' AS $$
BEGIN
	INSERT INTO pg_temp.noticed VALUES (TG_WHEN || ' ' || TG_OP);
	RETURN NEW;
END $$;
CREATE TRIGGER before_row BEFORE INSERT OR UPDATE ON billing.usage FOR EACH ROW EXECUTE FUNCTION pg_temp.notice();
CREATE TRIGGER after_row AFTER INSERT OR UPDATE ON billing.usage FOR EACH ROW EXECUTE FUNCTION pg_temp.notice();
SELECT lives_ok($$SELECT pg_temp.calls('first', 12)$$, 'design 6: a trigger on usage with settings of its own fires for each row');
SELECT lives_ok($$SELECT pg_temp.calls('second', 12)$$, 'design 6: and for each row that is there already');
SELECT bag_eq('SELECT event, count(*)::integer FROM pg_temp.noticed GROUP BY 1',
	$$VALUES ('BEFORE INSERT', 12), ('AFTER INSERT', 12), ('BEFORE UPDATE', 12), ('AFTER UPDATE', 12)$$, 'design 6: once each');
-- DDL refuses a table that is open.
SELECT lives_ok($test$DO $$BEGIN PERFORM pg_temp.calls('third', 2); ALTER TABLE billing.usage_live SET (fillfactor = 60); END$$ $test$,
	'design 6: after which the table is closed');
DROP TRIGGER before_row ON billing.usage;
DROP TRIGGER after_row ON billing.usage;

-- Columns and indexes.
ALTER TABLE billing.usage ADD COLUMN gone integer DEFAULT 3, ADD COLUMN noted text NOT NULL DEFAULT 'as ' || lower('ADDED'),
	ADD COLUMN net numeric GENERATED ALWAYS AS (amount - credit) STORED, ADD COLUMN nothing integer;
ALTER TABLE billing.usage DROP COLUMN gone;
CREATE INDEX ON billing.usage (lower(destination), (amount - credit)) WHERE calls > 1;
SELECT lives_ok($$SELECT pg_temp.calls('fourth', 14)$$, 'design 6: usage may have columns and indexes of the user');
SELECT results_eq('SELECT day, sum(calls), sum(amount), noted, sum(net), nothing FROM billing.usage WHERE day > ''2026-08-12'' GROUP BY 1, 4, 6 ORDER BY 1',
	$$VALUES ('2026-08-13'::date, 3::numeric, 0.3, 'as added', 0.3, NULL::integer), ('2026-08-14', 1, 0.1, 'as added', 0.1, NULL), ('2026-08-15', 1, 0.1, 'as added', 0.1, NULL)$$,
	'design 6: a new row gets their defaults, generated ones follow it');
SELECT is_empty('SELECT * FROM billing.verify()', 'P3: verify() agrees with all of it');

-- The note of an UPDATE that came to nothing does not make a DELETE of the row a move.
SAVEPOINT before;
UPDATE billing.cdr SET billsec = 11 WHERE call_id = 'first 1';
ROLLBACK TO before;
SELECT lives_ok($$MERGE INTO billing.cdr c USING (VALUES ('first 1'), ('first 2')) v(call_id) ON c.call_id = v.call_id
	WHEN MATCHED AND v.call_id = 'first 1' THEN DELETE WHEN MATCHED THEN UPDATE SET billsec = 20$$, 'design 6: a MERGE that deletes what a statement before failed to change');
SELECT is_empty('SELECT * FROM billing.verify()', 'P3: is counted');

-- What runs between the note and the move does not hide it.
CREATE FUNCTION pg_temp.meddle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE billing.cdr SET billsec = 30 WHERE call_id = 'first 4' AND pg_trigger_depth() = 1;
	RETURN NEW;
END $$;
CREATE TRIGGER zzz_meddle BEFORE UPDATE ON billing.cdr FOR EACH ROW EXECUTE FUNCTION pg_temp.meddle();
SELECT throws_ok($$MERGE INTO billing.cdr c USING (VALUES ('first 3')) v(call_id) ON c.call_id = v.call_id WHEN MATCHED THEN UPDATE SET started_at = '2026-09-20 12:00Z'$$,
	'0A000', 'a MERGE cannot move calls to another partition of billing.cdr', 'design 6: a MERGE that moves a call is refused, whatever triggers do meanwhile');
DROP TRIGGER zzz_meddle ON billing.cdr;

-- A partition that is divided itself, one part of which has no triggers of its own.
CREATE TABLE billing.cdr_divided PARTITION OF billing.cdr FOR VALUES FROM ('2025-01-01') TO ('2026-01-01') PARTITION BY RANGE (started_at);
SELECT billing.adopt_partition('billing.cdr_divided');
CREATE TABLE billing.cdr_divided_1 PARTITION OF billing.cdr_divided FOR VALUES FROM ('2025-01-01') TO ('2025-02-01');
INSERT INTO billing.cdr (call_id, started_at, billsec, caller, callee) VALUES ('old', '2025-01-05 12:00Z', 10, '100', '4930');
TRUNCATE billing.cdr_divided;
SELECT is_empty($$SELECT * FROM billing.verify() WHERE "check" <> 'partition'$$, 'P3: TRUNCATE of a divided partition takes its calls away');
INSERT INTO billing.cdr (call_id, started_at, billsec, caller, callee) VALUES ('old', '2025-01-05 12:00Z', 10, '100', '4930');
TRUNCATE billing.cdr;
SELECT is_empty($$SELECT * FROM billing.verify() WHERE "check" <> 'partition'$$, 'P3: TRUNCATE of all takes them away once');

SELECT * FROM finish();
ROLLBACK;
