#!/usr/bin/env bash
# test/bench/accounting.sh [ROWS]: what counting calls costs, in the server that the environment names.
#   1. INSERT of one call with commit, by 1, 2 and 8 clients: into billing.cdr (rated and counted) beside the same call, already
#      rated, into a copy of the table without triggers: same columns, indexes and partitions
#   2. COPY of ROWS calls into billing.cdr beside the same COPY when calls are rated and not counted: a month from three files,
#      and the same calls on one day in one file; what counting costs depends on how many calls share a row of billing.usage
#   3. 100,000 INSERTs of one call in one transaction: its first, fifth and last tenth
# BENCH_SECONDS: of each run of the first part; BENCH_DURABLE=1: every commit waits for the disk; BENCH_PROTOCOL: simple (as
# pgbench and most loaders by default) or prepared, else both; BENCH_PARTS="1 3": some of it only.
set -euo pipefail
rows=${1:-${BENCH_ROWS:-1000000}}
repetitions=${BENCH_REPETITIONS:-3}
seconds=${BENCH_SECONDS:-5}
protocols=${BENCH_PROTOCOL:-simple prepared}
parts=${BENCH_PARTS:-1 2 3}
here=$(cd "$(dirname "$0")" && pwd)
demo=$here/../demo
data=$(mktemp -d)
trap 'rm -rf "$data"' EXIT
chmod 755 "$data"       # the server reads the files itself
query() { psql -XqAt -v ON_ERROR_STOP=1 "$@"; }
wanted() { [[ " $parts " == *" $1 "* ]]; }

"$demo/generate" "$data" "$rows"
createdb bench_accounting
export PGDATABASE=bench_accounting
cd "$data"
psql -X -q -f "$demo/catalogue.sql"
rm -f vodafone-late.csv
if [ -n "${BENCH_DURABLE:-}" ]; then
    query -o /dev/null -c "ALTER SYSTEM SET fsync = on" -c "ALTER SYSTEM SET synchronous_commit = on" -c "ALTER SYSTEM SET full_page_writes = on" -c "SELECT pg_reload_conf()"
fi

query <<'END'
SET client_min_messages = warning;
CREATE SCHEMA bench;
-- count: clients of single calls, rows of billing.usage after a COPY.
CREATE TABLE bench.run (what text, count bigint, rows bigint, seconds numeric);
CREATE TABLE bench.tenth (place integer, began timestamptz, cpu numeric);
-- Seconds that this process has computed, which other work on the machine does not change.
CREATE FUNCTION bench.cpu() RETURNS numeric LANGUAGE sql AS $$ SELECT (f[12]::numeric + f[13]::numeric) / 100 FROM string_to_array(regexp_replace(pg_read_file('/proc/self/stat'), '^.*\) ', ''), ' ') f $$;
CREATE TABLE bench.cdr (LIKE billing.cdr INCLUDING ALL) PARTITION BY RANGE (started_at);
SELECT format('CREATE TABLE bench.%I PARTITION OF bench.cdr %s', c.relname, pg_get_expr(c.relpartbound, c.oid))
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'billing.cdr'::regclass \gexec
END

# Also after calls that were not counted.
clean() { query -o /dev/null -c "SET client_min_messages = warning" -c "TRUNCATE billing.cdr, bench.cdr" -c "SELECT billing.rebuild_usage()" -c "TRUNCATE billing.credit_queue" -c "VACUUM billing.usage" -c "CHECKPOINT"; }
# As the ledger makes it. Only without it are no calls gathered for it either; DISABLE TRIGGER leaves that.
count_calls() {
    query -c "SET client_min_messages = warning" -c "DROP TRIGGER IF EXISTS account_insert ON billing.cdr"
    [ "$1" = no ] || query -c "CREATE TRIGGER account_insert AFTER INSERT ON billing.cdr REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION billing.account_cdr()"
}

# ---- one call a transaction ----

# The 34 customers of the demo that have a code, a carrier, 500 numbers.
raw='source, call_id, started_at, answered_at, ended_at, billsec, disposition, caller, callee, auth_code'
values="'vitelity', :call::text, timestamptz '2026-09-03 10:00+00' + :second * interval '1 second', timestamptz '2026-09-03 10:00+00' + :second * interval '1 second', timestamptz '2026-09-03 10:00+00' + :second * interval '1 second', :billsec, 'ANSWERED', '12125550000', '1212555' || (1000 + :callee), (410000 + 411 * :customer)::text"
{ echo '\set call random(1, 1000000000000000000)'; echo '\set second random(0, 86399)'; echo '\set billsec random(1, 600)'; echo '\set callee random(0, 499)'; echo '\set customer random(0, 33)'; } >one.sql
cp one.sql plain.sql
echo "INSERT INTO billing.cdr ($raw) VALUES ($values);" >>one.sql
single() {
    local what=$1 clients=$2 protocol=$3 tps
    clean
    tps=$(pgbench -n -M "$protocol" -c "$clients" -j "$clients" -T "$seconds" -f "$what.sql" | sed -n 's/^tps = \([0-9.]*\).*/\1/p')
    query -c "INSERT INTO bench.run VALUES ('$what.$protocol', $clients, 1, 1 / $tps)"
}
if wanted 1; then
    # The columns that rating fills are given by the plain INSERT, so that both store the same row.
    pgbench -n -t 200 -f one.sql >/dev/null
    query -c "DO \$\$BEGIN ASSERT (SELECT count(*) >= 190 FROM billing.cdr WHERE status = 'rated' AND num_nonnulls(customer_amount, provider_amount) = 2), 'calls are rated on two legs'; END\$\$" \
        -c "DO \$\$BEGIN ASSERT (SELECT sum(calls) = 2 * (SELECT count(*) FROM billing.cdr) FROM billing.usage), 'and counted'; END\$\$"
    given=$(query -F '|' -c "SELECT string_agg(quote_ident(key), ', ' ORDER BY key), string_agg(quote_literal(value), ', ' ORDER BY key)
        FROM (SELECT c FROM billing.cdr c WHERE status = 'rated' ORDER BY id LIMIT 1) r, jsonb_each_text(to_jsonb(r.c)) e WHERE value IS NOT NULL AND key <> ALL (string_to_array('id, $raw', ', '))")
    echo "INSERT INTO bench.cdr ($raw, ${given%%|*}) VALUES ($values, ${given#*|});" >>plain.sql
    for protocol in $protocols; do
        for clients in 1 2 8; do
            for _ in $(seq "$repetitions"); do single plain "$clients" "$protocol"; single one "$clients" "$protocol"; done
        done
    done
fi

# ---- COPY ----

copy() {
    local what=$1 files=$2 file
    clean
    count_calls "$([ "$what" = counted ] && echo yes || echo no)"
    {
        echo "SELECT clock_timestamp() AS began \\gset"
        for file in $files; do
            echo "COPY billing.cdr ($(head -n 1 "$file.csv")) FROM '$data/$file.csv' (FORMAT csv, HEADER);"
        done
        echo "INSERT INTO bench.run SELECT '$what ${files##* }', (SELECT count(*) FROM billing.usage), count(*), extract(epoch FROM clock_timestamp() - :'began') FROM billing.cdr;"
    } | query
}
if wanted 2; then
    month='vitelity gafachi vodafone'
    copy rated "$month"
    moved() { echo "$1 - date_trunc('day', started_at) + timestamptz '2026-09-03 00:00+00'"; }
    query -c "DELETE FROM bench.run WHERE what LIKE '% %'" -c "COPY (SELECT source, call_id, $(moved started_at) AS started_at, $(moved answered_at) AS answered_at, $(moved ended_at) AS ended_at, billsec, disposition, caller, callee,
        auth_code, src_trunk, dst_trunk, src_ip, provider_code FROM billing.cdr) TO STDOUT (FORMAT csv, HEADER)" >day.csv
    for _ in $(seq "$repetitions"); do
        for file in "$month" day; do copy rated "$file"; copy counted "$file"; done
    done
    query -c "DO \$\$BEGIN ASSERT NOT EXISTS (SELECT FROM billing.verify()), 'totals equal rows'; END\$\$"
fi

# ---- one long transaction ----

if wanted 3; then
    count_calls yes
    clean
    {
        echo 'BEGIN;'
        for tenth in 1 2 3 4 5 6 7 8 9 10; do
            echo "INSERT INTO bench.tenth VALUES ($tenth, clock_timestamp(), bench.cpu());"
            for n in $(seq 10000); do
                echo "INSERT INTO billing.cdr ($raw) VALUES ('vitelity', '$tenth-$n', '2026-09-03 10:00+00', '2026-09-03 10:00+00', '2026-09-03 10:01+00', 60, 'ANSWERED', '12125550000', '12125551234', '410000');"
            done
        done
        echo "INSERT INTO bench.tenth VALUES (11, clock_timestamp(), bench.cpu()); COMMIT;"
    } >long.sql
    query -f long.sql
    query -c "DO \$\$BEGIN ASSERT (SELECT sum(calls) = 2 * 100000 FROM billing.usage), 'all of them are counted on two legs'; END\$\$"
fi

cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
echo
echo "Machine: $(nproc) x ${cpu:-unknown processor}; load $(cut -d ' ' -f 1-2 /proc/loadavg)"
query -v seconds="$seconds" -v repetitions="$repetitions" <<'END'
SELECT 'Server: ' || split_part(version(), ' on ', 1) || '; fsync ' || current_setting('fsync') || ', synchronous_commit ' || current_setting('synchronous_commit') || ', '
	|| (SELECT count(*) FROM pg_indexes WHERE schemaname = 'billing' AND tablename = 'cdr') || ' indexes';
SELECT format('Measured: %s repetitions in turn, tables emptied and a checkpoint before each; single calls %s s', :'repetitions', :'seconds');
\pset format aligned
\pset tuples_only off
\pset footer off
\pset linestyle unicode
SELECT EXISTS (SELECT FROM bench.run WHERE what LIKE 'one.%') AS first, EXISTS (SELECT FROM bench.run WHERE what LIKE '% %') AS second, EXISTS (SELECT FROM bench.tenth) AS third \gset
\if :first
SELECT r.protocol, r.clients AS "clients, one call a transaction", to_char(1 / r.plain, '999,990') AS "plain, calls/s", to_char(1 / r.one, '999,990') AS "billing.cdr, calls/s",
	to_char(r.plain / r.one, '0.00') AS ratio, CASE WHEN r.clients <= 2 THEN '0.75' END AS goal
FROM (
	SELECT split_part(what, '.', 2) AS protocol, count AS clients, percentile_disc(0.5) WITHIN GROUP (ORDER BY seconds) FILTER (WHERE what LIKE 'plain.%') AS plain,
		percentile_disc(0.5) WITHIN GROUP (ORDER BY seconds) FILTER (WHERE what LIKE 'one.%') AS one
	FROM bench.run WHERE what ~ '^(plain|one)[.]' GROUP BY 1, 2) r ORDER BY 1 DESC, 2;
\endif
\if :second
SELECT to_char(r.rows, '9,999,990') AS "calls by COPY", CASE r.file WHEN 'day' THEN 'on one day' ELSE 'in a month' END AS "when", to_char(r.sums, '999,990') AS "rows of usage", to_char(r.rows / r.rated, '999,990') AS "rated, calls/s",
	to_char(r.rows / r.counted, '999,990') AS "rated and counted, calls/s", to_char(r.rated / r.counted, '0.00') AS ratio, '0.85' AS goal
FROM (
	SELECT split_part(what, ' ', 2) AS file, max(rows) AS rows, max(count) AS sums, percentile_disc(0.5) WITHIN GROUP (ORDER BY seconds) FILTER (WHERE what LIKE 'rated %') AS rated,
		percentile_disc(0.5) WITHIN GROUP (ORDER BY seconds) FILTER (WHERE what LIKE 'counted %') AS counted
	FROM bench.run WHERE what LIKE '% %' GROUP BY 1) r ORDER BY 2 DESC;
\endif
\if :third
SELECT v.what AS "100,000 calls in a transaction", to_char(max(s) FILTER (WHERE place = 1), '990.00') AS "first tenth, s", to_char(max(s) FILTER (WHERE place = 5), '990.00') AS "fifth, s",
	to_char(max(s) FILTER (WHERE place = 10), '990.00') AS "last, s", to_char(max(s) FILTER (WHERE place = 10) / max(s) FILTER (WHERE place = 1), '990.00') AS "last to first"
FROM (SELECT place, lead(cpu) OVER (ORDER BY place) - cpu AS cpu, extract(epoch FROM lead(began) OVER (ORDER BY place) - began) AS elapsed FROM bench.tenth) t
	CROSS JOIN LATERAL (VALUES ('computing', cpu), ('elapsed', elapsed)) v(what, s) GROUP BY 1 ORDER BY 1;
\endif
END
