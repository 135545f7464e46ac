-- The demo's calls, each file as the provider sent it, its columns in its order: run by psql -X after
-- test/demo/catalogue.sql.
\set ON_ERROR_STOP on
\set QUIET on
SET client_min_messages = warning;

CREATE SCHEMA demo;
CREATE TABLE demo.planted (kind text PRIMARY KEY, calls bigint NOT NULL, description text NOT NULL);
CREATE TABLE demo.loaded (file text PRIMARY KEY, lines bigint NOT NULL, calls bigint NOT NULL, seconds numeric NOT NULL);
\copy demo.planted FROM 'planted.csv' (FORMAT csv, HEADER)

SELECT clock_timestamp() AS began \gset
\copy billing.cdr (source, call_id, started_at, answered_at, ended_at, billsec, disposition, caller, callee, auth_code, src_trunk, src_ip) FROM 'vitelity.csv' (FORMAT csv, HEADER)
INSERT INTO demo.loaded VALUES ('vitelity.csv', :ROW_COUNT, :ROW_COUNT, extract(epoch FROM clock_timestamp() - :'began'));

SELECT clock_timestamp() AS began \gset
\copy billing.cdr (started_at, duration, billsec, callee, caller, dst_trunk, src_ip, src_trunk, auth_code, call_id, source, disposition) FROM 'gafachi.csv' (FORMAT csv, HEADER)
INSERT INTO demo.loaded VALUES ('gafachi.csv', :ROW_COUNT, :ROW_COUNT, extract(epoch FROM clock_timestamp() - :'began'));

SELECT clock_timestamp() AS began \gset
\copy billing.cdr (call_id, provider_code, src_trunk, src_ip, auth_code, caller, callee, started_at, answered_at, ended_at, disposition, source) FROM 'vodafone.csv' (FORMAT csv, HEADER)
INSERT INTO demo.loaded VALUES ('vodafone.csv', :ROW_COUNT, :ROW_COUNT, extract(epoch FROM clock_timestamp() - :'began'));

-- A file that repeats some of another: what is there already stays as it is, and is charged once.
SELECT clock_timestamp() AS began \gset
CREATE TEMP TABLE late AS
	SELECT call_id, provider_code, src_trunk, src_ip, auth_code, caller, callee, started_at, answered_at, ended_at, disposition, source
	FROM billing.cdr WITH NO DATA;
\copy late FROM 'vodafone-late.csv' (FORMAT csv, HEADER)
\set lines :ROW_COUNT
INSERT INTO billing.cdr (call_id, provider_code, src_trunk, src_ip, auth_code, caller, callee, started_at, answered_at, ended_at, disposition, source)
SELECT * FROM late
ON CONFLICT (source, call_id, started_at) DO NOTHING;
INSERT INTO demo.loaded VALUES ('vodafone-late.csv', :lines, :ROW_COUNT, extract(epoch FROM clock_timestamp() - :'began'));
ANALYZE billing.cdr;

-- ---- What was planted in the files, found again in the ledger

CREATE VIEW demo.found AS
SELECT p.kind, p.description, p.calls AS planted, f.calls AS found
FROM demo.planted p
	LEFT JOIN (
		SELECT 'calls' AS kind, count(*) AS calls FROM billing.cdr
		UNION ALL
		SELECT 'rows_' || source, count(*) FROM billing.cdr GROUP BY source
		UNION ALL
		SELECT 'duplicates', sum(lines - calls) FROM demo.loaded
		UNION ALL
		SELECT unnest(ARRAY['unanswered', 'next_month']), unnest(ARRAY[sum(calls - answered), sum(calls) FILTER (WHERE month = '2026-11-01')])
		FROM billing.provider_reconciliation
		UNION ALL
		SELECT CASE WHEN reason = 'no_rate' THEN 'unknown_prefix' WHEN reason = 'no_account' THEN 'unknown_code'
				WHEN reason = 'blocked' AND callee LIKE '%442079460999' THEN 'blocked_number' WHEN reason = 'blocked' THEN 'blocked_prefix' END, count(*)
		FROM billing.unrated WHERE side = 'customer' GROUP BY 1
		UNION ALL
		SELECT 'over_month_end', count(*)
		FROM billing.cdr c JOIN billing.account a ON a.id = c.provider_account_id
		WHERE coalesce(c.answered_at, c.started_at) AT TIME ZONE a.timezone < '2026-11-01'
			AND coalesce(c.ended_at, c.started_at + c.duration * interval '1 second') AT TIME ZONE a.timezone >= '2026-11-01') f USING (kind);
