#!/usr/bin/env bash
# test/bench/copy.sh [ROWS]: rows/s of COPY into billing.cdr, beside COPY of the same rows, already rated, into a copy
# of the table: same columns, indexes and partitions, no triggers. In the server that the environment names.
set -euo pipefail
rows=${1:-${BENCH_ROWS:-1000000}}
repetitions=${BENCH_REPETITIONS:-3}
here=$(cd "$(dirname "$0")" && pwd)
demo=$here/../demo
data=$(mktemp -d)
trap 'rm -rf "$data"' EXIT
chmod 755 "$data"       # the server reads the files itself

"$demo/generate" "$data" "$rows"
createdb bench
cd "$data"
export PGDATABASE=bench
psql -X -q -f "$demo/catalogue.sql"
rm -f vodafone-late.csv
query() { psql -XqAt -v ON_ERROR_STOP=1 "$@"; }

# Every file has a header, so its columns name themselves. Timed by the server's clock, after a checkpoint.
declare -A target=([rating]=billing.cdr [trigger]=billing.cdr [plain]=bench.cdr)
run() {
    local what=$1 suffix=.csv file
    [ "$what" = rating ] || suffix=.rated
    {
        echo "TRUNCATE billing.cdr, bench.cdr; CHECKPOINT; SELECT clock_timestamp() AS began \\gset"
        for file in vitelity gafachi vodafone; do
            echo "COPY ${target[$what]} ($(head -n 1 $file$suffix)) FROM '$data/$file$suffix' (FORMAT csv, HEADER);"
        done
        echo "INSERT INTO bench.run SELECT '$what', count(*), extract(epoch FROM clock_timestamp() - :'began') FROM ${target[$what]};"
    } | query
}

query <<'END'
SET client_min_messages = warning;
CREATE SCHEMA bench;
CREATE TABLE bench.run (what text, rows bigint, seconds numeric);
CREATE TABLE bench.cdr (LIKE billing.cdr INCLUDING ALL) PARTITION BY RANGE (started_at);
SELECT format('CREATE TABLE bench.%I PARTITION OF bench.cdr %s', c.relname, pg_get_expr(c.relpartbound, c.oid))
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'billing.cdr'::regclass \gexec
END
run rating
for file in vitelity gafachi vodafone; do
    query -c "COPY (SELECT * FROM billing.cdr WHERE source = '$file') TO '$data/$file.rated' (FORMAT csv, HEADER)"
done
query -c "TRUNCATE bench.run"
for _ in $(seq "$repetitions"); do run plain; run trigger; run rating; done

cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
memory=$(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo)
echo
echo "Machine: $(nproc) x ${cpu:-unknown processor}, $((memory / 1048576)) GiB; load $(cut -d ' ' -f 1-2 /proc/loadavg)"
query <<'END'
SELECT 'Server: ' || split_part(version(), ' on ', 1) || '; fsync ' || current_setting('fsync') || ', shared_buffers ' || current_setting('shared_buffers')
	|| ', ' || (SELECT count(*) FROM pg_indexes WHERE schemaname = 'billing' AND tablename = 'cdr') || ' indexes, '
	|| (SELECT count(*) FROM pg_inherits WHERE inhparent = 'billing.cdr'::regclass) || ' partitions, '
	|| (SELECT count(*) FROM billing.rate) || ' rates, ' || (SELECT count(*) FROM billing.service) || ' services';
SELECT 'Measured: COPY of ' || (SELECT max(rows) FROM bench.run) || ' rows from three CSV files on the server, one session, tables emptied and a checkpoint before each;' || E'\n'
	|| count(*) || ' repetitions in turn, seconds by the server''s clock' FROM bench.run WHERE what = 'plain';
\pset format aligned
\pset tuples_only off
\pset footer off
\pset linestyle unicode
\echo
SELECT CASE what WHEN 'plain' THEN 'rated rows, copy of the table without triggers' WHEN 'trigger' THEN 'rated rows, billing.cdr (stored as they arrive)'
		ELSE 'raw rows, billing.cdr (rated)' END AS "COPY",
	to_char(percentile_disc(0.5) WITHIN GROUP (ORDER BY rows / seconds), '9,999,990') AS "rows/s, median",
	to_char(min(rows / seconds), '9,999,990') AS slowest, to_char(max(rows / seconds), '9,999,990') AS fastest,
	to_char(percentile_disc(0.5) WITHIN GROUP (ORDER BY seconds / rows) * 1e6, '990.00') AS "us a row"
FROM bench.run GROUP BY what ORDER BY what;
\pset format unaligned
\pset tuples_only on
SELECT E'\nratio: ' || to_char(percentile_disc(0.5) WITHIN GROUP (ORDER BY seconds / rows) FILTER (WHERE what = 'plain')
	/ percentile_disc(0.5) WITHIN GROUP (ORDER BY seconds / rows) FILTER (WHERE what = 'rating'), 'FM990.00') || ' of plain COPY (goal: at least 0.50)' FROM bench.run;
END
