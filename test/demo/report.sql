-- What a reseller wants to know when the month is over. Run by psql -X after test/demo/load.sql.
\set ON_ERROR_STOP on
\set QUIET on
\pset footer off
\pset linestyle unicode
\pset border 1
\pset null '-'
SET client_min_messages = warning;
SET TimeZone = 'UTC';

-- Columns of figures, right-aligned whatever the locale of the server.
CREATE FUNCTION pg_temp.n(numeric) RETURNS text LANGUAGE sql RETURN to_char($1, '9,999,990');
CREATE FUNCTION pg_temp.minutes(numeric) RETURNS text LANGUAGE sql RETURN to_char($1 / 60, '999,990.0');
CREATE FUNCTION pg_temp.money(numeric) RETURNS text LANGUAGE sql RETURN to_char($1, '999,990.00');
CREATE FUNCTION pg_temp.percent(numeric) RETURNS text LANGUAGE sql RETURN to_char($1, '9,990.0') || ' %';

SELECT clock_timestamp() AS began \gset

\echo
\pset title 'Loaded and rated'
SELECT coalesce(file, 'all files') AS file, pg_temp.n(sum(lines)) AS rows, pg_temp.n(sum(calls)) AS "new calls",
	to_char(sum(seconds), '990.00') AS seconds, pg_temp.n((sum(lines) / sum(seconds))) AS "rows/s"
FROM demo.loaded
GROUP BY GROUPING SETS ((file), ())
ORDER BY grouping(file), min(seconds) DESC, file;

-- The views are asked once each, and what they answer is kept for the tables below.
CREATE TEMP TABLE owed AS SELECT * FROM billing.provider_reconciliation WHERE month = '2026-10-01';
CREATE TEMP TABLE margin AS SELECT * FROM billing.margin_by_destination WHERE month = '2026-10-01';
CREATE TEMP TABLE unrated AS SELECT * FROM billing.unrated_summary;
CREATE TEMP TABLE found AS SELECT * FROM demo.found;

\pset title 'Owed to each provider for October 2026 (each in its own time zone)'
SELECT coalesce(provider, 'all') AS provider, pg_temp.n(sum(calls)) AS calls, pg_temp.n(sum(answered)) AS answered,
	pg_temp.minutes(sum(seconds)) AS minutes, pg_temp.minutes(sum(billed_seconds)) AS "billed minutes",
	pg_temp.money(sum(owed)) AS owed, currency, pg_temp.n(sum(unpriced_calls)) AS "without price"
FROM owed
GROUP BY GROUPING SETS ((provider, currency), (currency))
ORDER BY grouping(provider), sum(owed) DESC;

\pset title 'The biggest of 100 customers in October 2026'
SELECT s.account AS customer, (SELECT string_agg(DISTINCT kind, ', ') FROM billing.service WHERE account_id = s.account_id) AS "known by",
	CASE t.name WHEN s.account THEN 'its own' ELSE t.name END AS "price list",
	pg_temp.n(s.calls) AS calls, pg_temp.n(s.answered) AS answered, pg_temp.minutes(s.billed_seconds) AS "billed minutes",
	pg_temp.money(s.amount) AS amount, s.currency, pg_temp.percent(100 * s.amount / sum(s.amount) OVER ()) AS share
FROM billing.customer_summary s
	JOIN billing.account a ON a.id = s.account_id
	JOIN billing.tariff t ON t.id = a.tariff_id
WHERE s.month = '2026-10-01' AND s.leg = 'customer'
ORDER BY s.amount DESC, customer
LIMIT 10;

\pset title 'Margin in October 2026 (UTC)'
SELECT pg_temp.n(sum(calls_with_both)) AS "calls with both sides", pg_temp.money(sum(revenue)) AS revenue, pg_temp.money(sum(cost)) AS cost,
	pg_temp.money(sum(margin)) AS margin, pg_temp.percent(100 * sum(margin) / sum(revenue)) AS "of revenue",
	pg_temp.money(coalesce(sum(cost_without_revenue), 0)) AS "cost without revenue", pg_temp.money(coalesce(sum(revenue_without_cost), 0)) AS "revenue without cost"
FROM margin;

\pset title 'Destinations that earn most'
SELECT destination, pg_temp.n(calls) AS calls, pg_temp.money(revenue) AS revenue, pg_temp.money(cost) AS cost,
	pg_temp.money(margin) AS margin, pg_temp.percent(margin_percent) AS "of revenue"
FROM margin WHERE margin > 0
ORDER BY margin.margin DESC, destination
LIMIT 8;

SELECT count(*) AS losses, to_char(coalesce(-sum(margin), 0), 'FM9,999,990.00') AS lost FROM margin WHERE margin < 0 \gset
\set title 'Destinations that lose money: the worst of ' :losses ', which lose ' :lost ' USD together'
\pset title :title
SELECT destination, pg_temp.n(calls) AS calls, pg_temp.money(revenue) AS revenue, pg_temp.money(cost) AS cost,
	pg_temp.money(margin) AS margin, pg_temp.percent(margin_percent) AS "of revenue"
FROM margin WHERE margin < 0
ORDER BY margin.margin, destination
LIMIT 8;

\pset title 'What has no price, and why'
SELECT reason, string_agg(side, ' and ' ORDER BY side) AS "side without price", number AS "called number", pg_temp.n(max(calls)) AS calls, pg_temp.minutes(max(seconds)) AS minutes,
	to_char(min(first_seen), 'DD Mon HH24:MI') AS first, to_char(max(last_seen), 'DD Mon HH24:MI') AS last
FROM (
	SELECT reason, side, CASE WHEN reason = 'no_account' THEN 'any' ELSE first_digits || '...' END AS number,
		sum(calls) AS calls, sum(seconds) AS seconds, min(first_seen) AS first_seen, max(last_seen) AS last_seen
	FROM unrated GROUP BY 1, 2, 3) u
GROUP BY reason, number
ORDER BY reason, max(calls) DESC, number;

\pset title 'What the files hold on purpose, and what the ledger found'
SELECT description AS "in the files", pg_temp.n(planted) AS planted, pg_temp.n(found) AS found,
	CASE WHEN planted IS NOT DISTINCT FROM found THEN 'yes' ELSE 'NO' END AS equal
FROM found f
ORDER BY f.kind <> 'calls', f.kind NOT LIKE 'rows%', f.planted DESC;
\pset title

SELECT count(*) FILTER (WHERE planted IS DISTINCT FROM found) AS wrong,
	to_char((SELECT sum(lines) FROM demo.loaded), 'FM9,999,999') AS lines, to_char((SELECT sum(seconds) FROM demo.loaded), 'FM990.0') AS seconds,
	to_char((SELECT sum(lines) / sum(seconds) FROM demo.loaded), 'FM9,999,999') AS speed, to_char(extract(epoch FROM clock_timestamp() - :'began'), 'FM990.0') AS report
FROM found \gset
\echo :lines rows loaded and rated in :seconds s, :speed rows/s; this report took :report s.
\echo
SELECT 1 / (:wrong = 0)::int AS every_planted_kind_is_found \g /dev/null
