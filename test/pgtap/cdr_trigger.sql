-- The trigger zz_rate: no row can make it fail, every way of writing gives the same, and it prices again only when it must.
BEGIN;
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS billing CASCADE;
SELECT billing.create_ledger();
SELECT no_plan();

-- Acme pays 0.60 a minute, Gafachi gets 0.30 and Vitelity 0.20.
INSERT INTO billing.tariff (name, currency) VALUES ('Acme', 'EUR'), ('Gafachi', 'EUR'), ('Vitelity', 'EUR');
INSERT INTO billing.rate (tariff_id, prefix, price) SELECT id, '44', CASE name WHEN 'Acme' THEN 0.60 WHEN 'Gafachi' THEN 0.30 ELSE 0.20 END FROM billing.tariff;
INSERT INTO billing.account (name, currency, tariff_id, is_provider) SELECT name, 'EUR', id, name <> 'Acme' FROM billing.tariff;
INSERT INTO billing.service (account_id, kind, identifier, side) SELECT id, 'auth_code', name, CASE WHEN is_provider THEN 'provider' ELSE 'customer' END FROM billing.account;
INSERT INTO billing.service (account_id, kind, identifier, side) SELECT id, 'trunk', name, 'provider' FROM billing.account WHERE is_provider;

-- What the trigger filled in, without what must differ from row to row.
CREATE FUNCTION pg_temp.rated(c billing.cdr) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(key || '=' || value, ' ' ORDER BY key) FROM jsonb_each_text(jsonb_strip_nulls(to_jsonb(c)))
	WHERE key ~ '^(customer|reseller|provider|did)_|^(status|caller_number|callee_number)$' AND key NOT IN ('provider_code', 'did_billsec')
$$;

-- Item 6 of issue 2: one row that is bad in every column beside 1,000 good ones, in one COPY
\copy billing.cdr (id, source, call_id, session_id, tenant, started_at, answered_at, ended_at, duration, billsec, did_billsec, disposition, caller, callee, redirected_by, did, auth_code, provider_code, src_trunk, dst_trunk, src_ip, dst_ip, rerouted, custom, caller_number, callee_number) FROM PROGRAM 'awk ''BEGIN { OFS = "\t"; n = "\\N"; w = "\\t%\\b\\\\([{*+?\\v"; for (i = 1; i <= 12; i++) w = w w; for (i = 1; i <= 1001; i++) if (i == 500) print n, n, "worst", w, w, "infinity", "-infinity", "infinity", "NaN", "-Infinity", "1e100000", w, w, w, w, w, w, w, w, w, w, w, n, "null", w, w; else print n, "copy", i, n, n, "2026-03-02 12:00:00+00", n, n, 60, 60, n, "ANSWERED", "100", "442079460000", n, n, "Acme", "Gafachi", n, n, n, n, "f", "{}", n, n }'''
SELECT is(count(*), 1001::bigint, 'one bad row in a COPY of 1,001: all are there') FROM billing.cdr;
SELECT is(count(*), 1000::bigint, 'the 1,000 good ones are priced') FROM billing.cdr WHERE source = 'copy' AND customer_amount = 0.60 AND provider_amount = -0.30 AND status = 'rated';
SELECT is(format('%s, %s amounts', status, num_nonnulls(customer_amount, reseller_amount, provider_amount)), 'invalid, 0 amounts', 'the bad one is invalid, without amounts') FROM billing.cdr WHERE call_id = 'worst';
SELECT is(format('%s %s', source = '', rated_at IS NOT NULL), 't t', 'a null source is an empty one, and rated_at is set') FROM billing.cdr WHERE call_id = 'worst';
SELECT is(count(id), 1001::bigint, 'null ids are filled') FROM billing.cdr;
SELECT is(count(DISTINCT id), 1001::bigint, 'each with another') FROM billing.cdr;
SELECT ok(bool_and(reason IN ('no_start', 'invalid_number', 'invalid_duration')), 'an invalid row says why, on both sides') FROM billing.cdr, LATERAL (VALUES (customer_reason), (provider_reason)) AS r (reason) WHERE call_id = 'worst';

-- Every raw column by every bad value of its type, the rest of the row being good
CREATE TEMP TABLE bad (type text, value text);
INSERT INTO bad SELECT 'text', v FROM unnest(ARRAY[NULL, '', ' ', '+', '++44', '44 20', E'\t\n\x01', '４４２０', '442079460000x', 'ABCD*#', '0', '-1', 'null', 'NaN', '''; DROP TABLE billing.cdr; --', '%s%n', E'\\', '(((', '[', '*',
	'999.999.999.999', '1.2.3.4/99', '1.2.3.4/8', '::', '::ffff:1.2.3.4', 'fe80::1%eth0', '😀', 'Ａcme', repeat('4', 100), repeat('9', 100000), repeat(E'\u00e4', 50000), repeat('(a*)*', 1000)]) AS v;
INSERT INTO bad SELECT 'numeric', v FROM unnest(ARRAY[NULL, 'NaN', 'Infinity', '-Infinity', '-1', '-0.000001', '0', '0.0000000000000000000000001', '999999999', '999999999.000000001', '1000000000', '2147483648', '9223372036854775808', '1e30', '1e1000', '1e131071', '-1e131071', '1e-16383']) AS v;
INSERT INTO bad SELECT 'timestamp with time zone', v FROM unnest(ARRAY[NULL, 'infinity', '-infinity', '4713-01-01 00:00:00+00 BC', '294276-12-31 23:59:59+00', '1970-01-01 00:00:00+00', '2026-03-02 12:00:00.000001+00']) AS v;
INSERT INTO bad SELECT 'boolean', v FROM unnest(ARRAY[NULL, 'true', 'false']) AS v;
INSERT INTO bad SELECT 'jsonb', v FROM unnest(ARRAY[NULL, 'null', '[]', '"x"', '1e1000', repeat('[', 500) || repeat(']', 500)]) AS v;
CREATE TEMP TABLE raw AS SELECT attname AS name, format_type(atttypid, NULL) AS type FROM pg_attribute WHERE attrelid = 'billing.cdr'::regclass AND attnum BETWEEN 2 AND (SELECT attnum FROM pg_attribute WHERE attrelid = 'billing.cdr'::regclass AND attname = 'callee_number');
CREATE FUNCTION pg_temp.bad_id(col text, value text) RETURNS text LANGUAGE sql AS $$ SELECT md5(col || '/' || coalesce(value, '<null>')) $$;
CREATE FUNCTION pg_temp.with_bad(col text, value text) RETURNS billing.cdr LANGUAGE sql AS $$
	SELECT r FROM jsonb_populate_record(NULL::billing.cdr, '{"source": "bad", "started_at": "2026-03-02 12:00:00+00", "answered_at": "2026-03-02 12:00:01+00", "ended_at": "2026-03-02 12:01:01+00",
		"billsec": 60, "disposition": "ANSWERED", "callee": "442079460000", "auth_code": "Acme", "provider_code": "Gafachi"}' || jsonb_build_object('call_id', pg_temp.bad_id(col, value))
		|| CASE WHEN col = 'custom' THEN jsonb_build_object(col, value::jsonb) ELSE jsonb_build_object(col, value) END) AS r
$$;
SELECT lives_ok(format($$INSERT INTO billing.cdr SELECT (c).* FROM (SELECT pg_temp.with_bad(%L, value) AS c FROM bad WHERE type = %L OFFSET 0) AS b$$, name, type), 'no value makes it fail: ' || name) FROM raw;
SELECT is((SELECT count(*) FROM billing.cdr) - 1001, (SELECT count(*) FROM raw JOIN bad USING (type)), 'every one of them is stored');
SELECT is(count(*), 0::bigint, 'and has a status') FROM billing.cdr WHERE status IS NULL OR rated_at IS NULL OR status NOT IN ('rated', 'partial', 'unrated', 'invalid');
SELECT is(count(*), 0::bigint, 'none has an amount that is not a number') FROM billing.cdr WHERE customer_amount = 'NaN' OR provider_amount = 'NaN';
-- Bad answers and ends do not matter beside a billsec; without one they do.
SELECT lives_ok(format($$INSERT INTO billing.cdr (call_id, started_at, answered_at, ended_at, callee, auth_code) VALUES ('two of %s/%s', '2026-03-02', %L, %L, '44', 'Acme')$$, a.value, e.value, a.value, e.value),
	format('answered at %s, ended at %s', coalesce(a.value, 'null'), coalesce(e.value, 'null'))) FROM bad AS a, bad AS e WHERE a.type ~ 'timestamp' AND e.type ~ 'timestamp';
SELECT lives_ok($$INSERT INTO billing.cdr (source, call_id, started_at) SELECT s, string_agg(md5(i::text), ''), '2026-03-02' FROM generate_series(1, 300) AS i, (VALUES ('')) AS v (s) GROUP BY s$$,
	'a call id that no index takes (9,600 symbols without repetition) is stored');
SELECT is((SELECT format('%s %s', status, customer_reason) FROM billing.cdr WHERE call_id = pg_temp.bad_id(col, value)), want, format('%s %s: %s', col, coalesce(value, 'null'), want)) FROM (VALUES
	('billsec', 'NaN', 'invalid invalid_duration'), ('billsec', 'Infinity', 'invalid invalid_duration'), ('billsec', '-1', 'invalid invalid_duration'), ('billsec', '1000000000', 'invalid invalid_duration'), ('billsec', '1e131071', 'invalid invalid_duration'),
	('callee', NULL, 'invalid invalid_number'), ('callee', '', 'invalid invalid_number'), ('callee', '+', 'invalid invalid_number'), ('callee', '++44', 'invalid invalid_number'), ('callee', '44 20', 'invalid invalid_number'),
	('callee', '４４２０', 'invalid invalid_number'), ('callee', '442079460000x', 'invalid invalid_number'), ('caller', '😀', 'rated '), ('auth_code', '😀', 'partial no_account'), ('duration', 'NaN', 'rated ')) AS v (col, value, want);
SELECT is(format('%s %s %s', c.status, c.customer_reason, c.provider_reason), 'unrated no_rate no_rate', 'a number without a rate is none that cannot be read') FROM billing.cdr AS c WHERE call_id = pg_temp.bad_id('callee', '0');
SELECT is(format('%s %s %s %s', c.status, c.customer_reason, c.started_at, c.tableoid::regclass), 'invalid no_start -infinity billing.cdr_default', 'a row without a start') FROM billing.cdr AS c WHERE call_id = pg_temp.bad_id('started_at', NULL);
SELECT is(pg_temp.rated(c), pg_temp.rated(good), 'a bad ' || col || ' costs nothing where it is not needed') FROM unnest(ARRAY['duration', 'session_id', 'disposition', 'custom', 'did_billsec', 'tenant']) AS col,
	LATERAL (SELECT * FROM billing.cdr WHERE call_id = pg_temp.bad_id(col, (SELECT value FROM bad JOIN raw USING (type) WHERE raw.name = col AND value IS NOT NULL ORDER BY length(value) DESC LIMIT 1))) AS c,
	LATERAL (SELECT * FROM billing.cdr WHERE call_id = pg_temp.bad_id('duration', '0')) AS good;
-- The same core without the trigger
SELECT is(count(*), 0::bigint, 'rate_call says the same of every one of them') FROM billing.cdr AS c, billing.rate_call(c) AS r
WHERE to_jsonb(r) IS DISTINCT FROM (SELECT jsonb_object_agg(key, to_jsonb(c) -> key) FROM jsonb_object_keys(to_jsonb(r)) AS key);
SELECT lives_ok($$SELECT count(explanation) FROM billing.cdr AS c, billing.explain(c)$$, 'and explain explains every one of them');
DELETE FROM billing.cdr;

-- Every way of writing gives the same
CREATE TEMP TABLE file AS SELECT 'c' || i AS call_id, '2026-03-02 12:00:00+00'::timestamptz + i * interval '1 hour' AS started_at, i AS billsec, 'ANSWERED' AS disposition, CASE WHEN i % 7 = 0 THEN '99' ELSE '44' || i END AS callee,
	CASE WHEN i % 5 = 0 THEN 'nobody' ELSE 'Acme' END AS auth_code, CASE i % 3 WHEN 0 THEN 'Gafachi' WHEN 1 THEN 'nobody' END AS provider_code FROM generate_series(0, 99) AS i;
\set columns 'call_id, started_at, billsec, disposition, callee, auth_code, provider_code'
-- A partition with its columns in the opposite order, and one made by PARTITION OF
SELECT format('CREATE TABLE billing.cdr_turned (%s)', string_agg(format('%I %s%s', attname, format_type(atttypid, atttypmod), CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END), ', ' ORDER BY attnum DESC))
FROM pg_attribute WHERE attrelid = 'billing.cdr'::regclass AND attnum > 0 AND NOT attisdropped \gexec
ALTER TABLE billing.cdr ATTACH PARTITION billing.cdr_turned FOR VALUES FROM ('2026-03-04 00:00+00') TO ('2026-03-05 00:00+00');
CREATE TABLE billing.cdr_plain PARTITION OF billing.cdr FOR VALUES FROM ('2026-03-05 00:00+00') TO ('2026-03-06 00:00+00');
SELECT billing.adopt_partition('billing.cdr_turned'), billing.adopt_partition('billing.cdr_plain');

CREATE TEMP TABLE result (way text, call_id text, rated text);
-- Takes the rows out of the ledger and keeps what they said.
CREATE FUNCTION pg_temp.keep(way text) RETURNS void LANGUAGE sql AS $$
	INSERT INTO result SELECT way, c.call_id, pg_temp.rated(c) FROM billing.cdr AS c;
	DELETE FROM billing.cdr;
$$;
INSERT INTO billing.cdr (:columns) SELECT :columns FROM file;
SELECT is(count(DISTINCT tableoid), 3::bigint, 'the rows lie in three partitions, one of them with its columns turned round') FROM billing.cdr;
SELECT pg_temp.keep('INSERT ... SELECT');
SELECT format('INSERT INTO billing.cdr (call_id, started_at, billsec, disposition, callee, auth_code, provider_code) VALUES (%L, %L, %L, %L, %L, %L, %L)', call_id, started_at, billsec, disposition, callee, auth_code, provider_code) FROM file
\o /dev/null
\gexec
\o
SELECT pg_temp.keep('INSERT');
PREPARE load (text, timestamptz, numeric, text, text, text, text) AS INSERT INTO billing.cdr (call_id, started_at, billsec, disposition, callee, auth_code, provider_code) VALUES ($1, $2, $3, $4, $5, $6, $7);
SELECT format('EXECUTE load (%L, %L, %L, %L, %L, %L, %L)', call_id, started_at, billsec, disposition, callee, auth_code, provider_code) FROM file
\o /dev/null
\gexec
\o
SELECT pg_temp.keep('prepared statement');
INSERT INTO billing.cdr (:columns) SELECT :columns FROM file ON CONFLICT (source, call_id, started_at) DO NOTHING;
INSERT INTO billing.cdr (:columns) SELECT :columns FROM file ON CONFLICT (source, call_id, started_at) DO NOTHING;
SELECT is(count(*), 100::bigint, 'loading the file twice with DO NOTHING adds nothing') FROM billing.cdr;
SELECT pg_temp.keep('ON CONFLICT DO NOTHING');
INSERT INTO billing.cdr (call_id, started_at, billsec, disposition, callee, auth_code, provider_code) SELECT call_id, started_at, 1, 'BUSY', '1', 'x', 'y' FROM file;
INSERT INTO billing.cdr (:columns) SELECT :columns FROM file ON CONFLICT (source, call_id, started_at)
	DO UPDATE SET billsec = excluded.billsec, disposition = excluded.disposition, callee = excluded.callee, auth_code = excluded.auth_code, provider_code = excluded.provider_code, caller_number = NULL, callee_number = NULL;
SELECT is(count(*), 100::bigint, 'nor does DO UPDATE') FROM billing.cdr;
SELECT pg_temp.keep('ON CONFLICT DO UPDATE');
INSERT INTO billing.cdr_turned (:columns) SELECT :columns FROM file WHERE started_at >= '2026-03-04 00:00+00' AND started_at < '2026-03-05 00:00+00';
INSERT INTO billing.cdr_plain (:columns) SELECT :columns FROM file WHERE started_at >= '2026-03-05 00:00+00' AND started_at < '2026-03-06 00:00+00';
INSERT INTO billing.cdr_default (:columns) SELECT :columns FROM file WHERE started_at < '2026-03-04 00:00+00' OR started_at >= '2026-03-06 00:00+00';
SELECT pg_temp.keep('into the partitions');
\copy billing.cdr (call_id, started_at, billsec, disposition, callee, auth_code, provider_code) FROM PROGRAM 'i=0; while [ $i -lt 100 ]; do d=$((2 + (12 + i) / 24)); h=$(( (12 + i) % 24 )); n=44$i; [ $((i % 7)) = 0 ] && n=99; a=Acme; [ $((i % 5)) = 0 ] && a=nobody; p=\\N; [ $((i % 3)) = 0 ] && p=Gafachi; [ $((i % 3)) = 1 ] && p=nobody; printf "c%s\t2026-03-%s %s:00+00\t%s\tANSWERED\t%s\t%s\t%s\n" $i $d $h $i $n $a $p; i=$((i + 1)); done'
SELECT pg_temp.keep('COPY');
SELECT is(count(*), 100::bigint, way || ': all rows') FROM result GROUP BY way ORDER BY way;
SELECT is(count(*) FILTER (WHERE r.rated IS DISTINCT FROM s.rated), 0::bigint, r.way || ' gives the same as INSERT ... SELECT') FROM result AS r JOIN result AS s USING (call_id)
WHERE s.way = 'INSERT ... SELECT' AND r.way <> s.way GROUP BY r.way ORDER BY r.way;
-- 0.60 * 1 / 60 = 0.01 and 0.30 * 3 / 60 = 0.015
SELECT ok(rated ~ 'customer_amount=0.01000000 .*customer_billsec=1 ', 'and that is right for one second') FROM result WHERE way = 'COPY' AND call_id = 'c1';
SELECT ok(rated ~ 'provider_amount=-0.01500000 .*provider_billsec=3 ', 'and that is right for three') FROM result WHERE way = 'COPY' AND call_id = 'c3';

-- rated_at set: stored as it arrives
INSERT INTO billing.cdr (call_id, started_at, callee, billsec, auth_code, customer_amount, customer_reason, status, rated_at) VALUES ('history', '2020-01-01', '44', 60, 'Acme', 42, 'foreign', 'partial', '2020-01-02');
SELECT is(format('%s %s %s %s %s', customer_amount, customer_reason, status, customer_account_id, rated_at), '42.00000000 foreign partial  2020-01-02 00:00:00+00', 'a row with rated_at is stored as it arrives') FROM billing.cdr WHERE call_id = 'history';
UPDATE billing.cdr SET customer_reason = NULL WHERE call_id = 'history';
SELECT is(customer_amount, 42::numeric, 'and stays so when no raw column changes') FROM billing.cdr WHERE call_id = 'history';
UPDATE billing.cdr SET rated_at = NULL WHERE call_id = 'history';
SELECT is(format('%s %s %s', customer_amount, status, rated_at > '2020-01-02'), '0.60000000 rated t', 'rated_at set to null asks for a price') FROM billing.cdr WHERE call_id = 'history';

-- UPDATE rates again only when a raw column changed. The catalogue changes meanwhile: 449 is 0.90 for Acme and 0.50 for Gafachi and 0.40 for Vitelity.
INSERT INTO billing.cdr (call_id, started_at, callee, billsec, disposition, auth_code, provider_code) SELECT 'u' || i, '2026-03-02', '4491', 60, 'ANSWERED', 'Acme', 'Gafachi' FROM generate_series(1, 9) AS i;
INSERT INTO billing.rate (tariff_id, prefix, price) SELECT id, '449', CASE name WHEN 'Acme' THEN 0.90 WHEN 'Gafachi' THEN 0.50 ELSE 0.40 END FROM billing.tariff;
CREATE FUNCTION pg_temp.amounts(call text) RETURNS text LANGUAGE sql AS $$ SELECT format('%s %s', trim_scale(customer_amount), trim_scale(provider_amount)) FROM billing.cdr WHERE call_id = call $$;
UPDATE billing.cdr SET billsec = billsec, callee = '4491', custom = custom, status = status WHERE call_id = 'u1';
SELECT is(pg_temp.amounts('u1'), '0.6 -0.3', 'an UPDATE that changes no raw column does not price again');
UPDATE billing.cdr SET billsec = 120 WHERE call_id = 'u2';
SELECT is(pg_temp.amounts('u2'), '1.8 -1', 'one that does prices by the catalogue of now: 0.90 * 2, 0.50 * 2');
UPDATE billing.cdr SET rated_at = NULL WHERE call_id = 'u3';
SELECT is(pg_temp.amounts('u3'), '0.9 -0.5', 'so does rated_at set to null');
-- P3: the provider's side
CREATE TEMP TABLE before AS SELECT c.* FROM billing.cdr AS c WHERE call_id ~ '^u[4-7]$';
UPDATE billing.cdr SET provider_code = 'Vitelity' WHERE call_id = 'u4';
UPDATE billing.cdr SET provider_code = NULL, dst_trunk = 'Vitelity' WHERE call_id = 'u5';
UPDATE billing.cdr SET dst_ip = '192.0.2.1' WHERE call_id = 'u6';
UPDATE billing.cdr SET provider_code = NULL WHERE call_id = 'u7';
SELECT is(pg_temp.amounts('u' || n), want, 'P3: ' || what) FROM (VALUES (4, '0.6 -0.4', 'another provider code'), (5, '0.6 -0.4', 'a trunk instead of it'), (6, '0.6 -0.5', 'an address'), (7, '0.6 ', 'no provider any more')) AS v (n, want, what);
SELECT is(format('%s %s %s %s %s', a.customer_account_id, a.customer_service_id, a.customer_rate_id, a.customer_billsec, a.customer_amount), format('%s %s %s %s %s', b.customer_account_id, b.customer_service_id, b.customer_rate_id, b.customer_billsec, b.customer_amount),
	'P3: the customer''s leg of ' || call_id || ' is untouched') FROM billing.cdr AS a JOIN before AS b USING (call_id) ORDER BY call_id;
SELECT is(format('%s %s', num_nonnulls(provider_account_id, provider_service_id, provider_rate_id, provider_billsec, provider_amount, provider_reason), status), '0 rated', 'P3: without provider nothing of its leg stays, and the status follows') FROM billing.cdr WHERE call_id = 'u7';
UPDATE billing.cdr SET provider_code = 'Vitelity', billsec = 120 WHERE call_id = 'u8';
SELECT is(pg_temp.amounts('u8'), '1.8 -0.8', 'but with another raw column both are priced');
UPDATE billing.cdr SET started_at = '2026-03-04 01:00+00' WHERE call_id = 'u9';
SELECT is(format('%s %s', tableoid::regclass, pg_temp.amounts('u9')), 'billing.cdr_turned 0.9 -0.5', 'an UPDATE that moves a row between partitions prices it') FROM billing.cdr WHERE call_id = 'u9';

-- Savepoints
SAVEPOINT s;
INSERT INTO billing.cdr (call_id, started_at, callee, billsec, auth_code) VALUES ('savepoint', '2026-03-02', '44', 60, 'Acme');
ROLLBACK TO s;
SELECT is(count(*), 0::bigint, 'a rolled back call is none') FROM billing.cdr WHERE call_id = 'savepoint';
INSERT INTO billing.cdr (call_id, started_at, callee, billsec, auth_code) VALUES ('savepoint', '2026-03-02', '44', 60, 'Acme');
SELECT is(customer_amount, 0.60, 'and may be loaded again') FROM billing.cdr WHERE call_id = 'savepoint';

-- What stands beside the trigger and after it: users' triggers, generated columns, RETURNING, ON CONFLICT, MERGE.
-- A row that nobody else looks at is filled in where it stands, any other one is handed on as a new row.
CREATE FUNCTION pg_temp.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.custom := coalesce(NEW.custom, '{}') || jsonb_build_object(TG_NAME, concat_ws(' ', NEW.callee_number, NEW.customer_amount, NEW.status)); RETURN NEW; END $$;
CREATE FUNCTION pg_temp.leave() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE FUNCTION pg_temp.beside(call text) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', caller_number, callee_number, customer_amount, provider_amount, status, rated_at IS NOT NULL, custom) FROM billing.cdr WHERE call_id = call
$$;
PREPARE beside(text) AS INSERT INTO billing.cdr (call_id, started_at, caller, callee, billsec, auth_code, dst_trunk) VALUES ($1, '2026-03-02', '1', '44', 60, 'Acme', 'Gafachi');
EXECUTE beside('alone');
SELECT is(pg_temp.beside('alone'), '1 44 0.60000000 -0.30000000 rated t', 'a row that only zz_rate sees is rated');
CREATE TRIGGER aaa BEFORE INSERT ON billing.cdr FOR EACH ROW EXECUTE FUNCTION pg_temp.note();
EXECUTE beside('before');
SELECT is(pg_temp.beside('before'), '1 44 0.60000000 -0.30000000 rated t {"aaa": ""}', 'so is one that another trigger has changed before');
CREATE TRIGGER zzz BEFORE INSERT ON billing.cdr FOR EACH ROW EXECUTE FUNCTION pg_temp.note();
EXECUTE beside('between');
SELECT is(pg_temp.beside('between'), '1 44 0.60000000 -0.30000000 rated t {"aaa": "", "zzz": "44 0.60000000 rated"}', 'a trigger after zz_rate sees what it wrote, and may change the row');
DROP TRIGGER zzz ON billing.cdr;
CREATE TRIGGER zzz BEFORE INSERT ON billing.cdr FOR EACH ROW EXECUTE FUNCTION pg_temp.leave();
EXECUTE beside('left');
SELECT is(pg_temp.beside('left'), '1 44 0.60000000 -0.30000000 rated t {"aaa": ""}', 'or leave it as it is');
DROP TRIGGER aaa ON billing.cdr;
EXECUTE beside('after');
SELECT is(pg_temp.beside('after'), '1 44 0.60000000 -0.30000000 rated t', 'a trigger after zz_rate alone leaves it as well');
DROP TRIGGER zzz ON billing.cdr;
ALTER TABLE billing.cdr ADD COLUMN margin text GENERATED ALWAYS AS (status || ' ' || (customer_amount + provider_amount) || ' ' || callee_number) STORED;
EXECUTE beside('generated');
SELECT is(margin, 'rated 0.30000000 44', 'a stored generated column is made of what zz_rate wrote') FROM billing.cdr WHERE call_id = 'generated';
SELECT is(pg_temp.beside('generated'), '1 44 0.60000000 -0.30000000 rated t', 'and leaves it') FROM billing.cdr WHERE call_id = 'generated';
WITH written AS (
	INSERT INTO billing.cdr (call_id, started_at, caller, callee, billsec, auth_code, dst_trunk) SELECT 'returned ' || i, '2026-03-02', i, '44' || i, 60 * i, 'Acme', 'Gafachi' FROM generate_series(1, 3) AS i
	RETURNING caller_number, callee_number, customer_amount, provider_amount, status, margin)
SELECT is(string_agg(concat_ws(' ', caller_number, callee_number, customer_amount, provider_amount, status, margin), ', ' ORDER BY callee_number), '1 441 0.60000000 -0.30000000 rated rated 0.30000000 441, 2 442 1.20000000 -0.60000000 rated rated 0.60000000 442, 3 443 1.80000000 -0.90000000 rated rated 0.90000000 443',
	'RETURNING returns each row as it is stored') FROM written AS w;
ALTER TABLE billing.cdr DROP COLUMN margin;
INSERT INTO billing.cdr (call_id, started_at, caller, callee, billsec, auth_code, dst_trunk) SELECT 'returned ' || i, '2026-03-02', i, '44' || i, 120 * i, 'Acme', 'Gafachi' FROM generate_series(1, 2) AS i
ON CONFLICT (source, call_id, started_at) DO UPDATE SET custom = jsonb_build_array(excluded.customer_amount, excluded.status, excluded.callee_number);
SELECT is(string_agg(pg_temp.beside('returned ' || i), ', ' ORDER BY i), '1 441 0.60000000 -0.30000000 rated t [1.20000000, "rated", "441"], 2 442 1.20000000 -0.60000000 rated t [2.40000000, "rated", "442"]',
	'ON CONFLICT DO UPDATE reads the rated row that was excluded') FROM generate_series(1, 2) AS i;
MERGE INTO billing.cdr AS c USING (SELECT 'merged ' || i AS call, i FROM generate_series(1, 2) AS i) AS n ON c.call_id = n.call AND c.started_at = '2026-03-02'
WHEN NOT MATCHED THEN INSERT (call_id, started_at, caller, callee, billsec, auth_code, dst_trunk) VALUES (call, '2026-03-02', i, '44', 60 * i, 'Acme', 'Gafachi');
SELECT is(string_agg(pg_temp.beside('merged ' || i), ', ' ORDER BY i), '1 44 0.60000000 -0.30000000 rated t, 2 44 1.20000000 -0.60000000 rated t', 'MERGE stores rated rows') FROM generate_series(1, 2) AS i;

-- What one row needs is gone with it, also when it arrives rated: the server keeps a row's tuple when a trigger hands it back.
CREATE FUNCTION pg_temp.memory() RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RETURN to_jsonb(sum(used_bytes)) FROM pg_backend_memory_contexts; END $$;
SET LOCAL work_mem = '64kB';
INSERT INTO billing.cdr (call_id, started_at, callee, callee_number, billsec, auth_code, rated_at, custom) SELECT 'many ' || i, '2026-03-02', '44', '44', 60, 'Acme', CASE WHEN i % 2 = 0 THEN now() END,
	CASE WHEN i IN (5000, 30000) THEN pg_temp.memory() END FROM generate_series(1, 30000) AS i;
SELECT ok(max(custom::text::numeric) - min(custom::text::numeric) < 1e6, format('25,000 rows leave no memory behind: %s bytes', max(custom::text::numeric) - min(custom::text::numeric)))
FROM billing.cdr WHERE call_id IN ('many 5000', 'many 30000');
RESET work_mem;

-- A loader has INSERT on raw columns and nothing else.
CREATE ROLE billing_test_loader;
GRANT USAGE ON SCHEMA billing TO billing_test_loader;
SELECT format('GRANT INSERT (%s) ON billing.cdr TO billing_test_loader', string_agg(quote_ident(name), ', ')) FROM raw \gexec
SET ROLE billing_test_loader;
SELECT lives_ok($$INSERT INTO billing.cdr (call_id, started_at, callee, billsec, auth_code) VALUES ('loader', '2026-03-02', '441', 60, 'Acme')$$, 'a loader may load');
SELECT throws_ok($$INSERT INTO billing.cdr (call_id, started_at, customer_amount) VALUES ('loader 2', '2026-03-02', 1)$$, '42501', NULL, 'a loader writes no amount');
SELECT throws_ok($$INSERT INTO billing.cdr (call_id, started_at, rated_at) VALUES ('loader 3', '2026-03-02', now())$$, '42501', NULL, 'and no rated_at');
SELECT throws_ok($$SELECT FROM billing.rate$$, '42501', NULL, 'and reads no prices');
RESET ROLE;
SELECT is(format('%s %s %s', status, customer_amount, id IS NOT NULL), 'rated 0.60000000 t', 'its call is priced, by the rights of the table''s owner') FROM billing.cdr WHERE call_id = 'loader';

SELECT * FROM finish();
ROLLBACK;
