-- Which price lists a session compiles, within billing.deck_memory (issue 5, point 3): seen by the memory contexts that it has.
BEGIN;
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS billing CASCADE;
SELECT billing.create_ledger();
SELECT no_plan();
SET max_parallel_workers_per_gather = 0;

-- Six lists of 2,000 rates, one of 20,000, one of five.
INSERT INTO billing.tariff (id, name, currency) SELECT i, 'list ' || i, 'EUR' FROM generate_series(1, 6) AS i UNION ALL VALUES (7, 'large', 'EUR'), (8, 'small', 'EUR');
INSERT INTO billing.rate (tariff_id, prefix, price) SELECT t, (100000 + i)::text::billing.prefix, t FROM generate_series(1, 7) AS t, generate_series(1, CASE t WHEN 7 THEN 20000 ELSE 2000 END) AS i;
INSERT INTO billing.rate (tariff_id, prefix, price) SELECT 8, i::text::billing.prefix, 8 FROM generate_series(1, 5) AS i;

CREATE FUNCTION pg_temp.compiled() RETURNS text LANGUAGE sql AS $$ SELECT coalesce(string_agg(ident, ', ' ORDER BY ident), 'none') FROM pg_backend_memory_contexts WHERE name = 'billing deck' $$;
CREATE FUNCTION pg_temp.kilobytes() RETURNS bigint LANGUAGE sql AS $$ SELECT coalesce(sum(total_bytes), 0)::bigint / 1024 FROM pg_backend_memory_contexts WHERE name = 'billing deck' $$;
-- So many calls, each by the next of the lists; how many were priced rightly.
CREATE FUNCTION pg_temp.calls(count int, VARIADIC lists bigint[]) RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FROM generate_series(1, count) AS i, LATERAL (SELECT lists[1 + i % cardinality(lists)] AS list) AS l, LATERAL billing.match_rate(l.list, (100001 + i % 2000)::text || '55', '2026-03-02') AS m
	WHERE m.rate_tariff_id = l.list
$$;

SELECT is(pg_temp.calls(40, 7, 8), 40::bigint, '20 calls by a large and a small list in one table');
SELECT is(pg_temp.compiled(), 'small', 'a small list is compiled soon, however large the table is');
SELECT is(pg_temp.calls(500, 7), 500::bigint, '500 more by the large one');
SELECT is(pg_temp.compiled(), 'small', 'a list of 20,000 rates is not worth compiling for some hundred calls');
SELECT is(pg_temp.calls(1000, 7), 1000::bigint, 'and 1,000');
SELECT is(pg_temp.compiled(), 'large, small', 'but for a thousand it is');

-- Another catalogue, so that nothing is compiled.
UPDATE billing.tariff SET average_duration = 1 WHERE id = 1;
SET billing.deck_memory = '600kB';
SELECT is(pg_temp.calls(30000, 1, 2, 3, 4, 5, 6), 30000::bigint, 'calls of six lists in turn where three fit are priced');
SELECT is((SELECT count(*) FROM pg_backend_memory_contexts WHERE name = 'billing deck'), 3::bigint, 'three are compiled');
SELECT cmp_ok(pg_temp.kilobytes(), '<=', 600::bigint, 'within the bound');
CREATE TEMP TABLE before AS SELECT pg_temp.compiled() AS lists;
SELECT is(pg_temp.calls(30001, 1, 2, 3, 4, 5, 6), 30001::bigint, 'more of them');
SELECT is(pg_temp.compiled(), lists, 'the same three stay: none is thrown away for one that is asked no more often') FROM before;
SELECT ok(lists !~ '6', 'list 6 is none of them') FROM before;
SELECT is(pg_temp.calls(20000, 6, 5, 6, 5, 6, 1), 20000::bigint, 'now most calls are by lists 5 and 6');
SELECT matches(pg_temp.compiled(), 'list 5, list 6', 'which take the places of others');
SELECT cmp_ok(pg_temp.kilobytes(), '<=', 600::bigint, 'within the bound');

SET billing.deck_memory = '64kB';
UPDATE billing.tariff SET average_duration = 2 WHERE id = 1;
SELECT is(pg_temp.calls(3000, 1, 2), 3000::bigint, 'lists that do not fit at all are probed');
SELECT is(pg_temp.compiled(), 'none', 'and never compiled');
SELECT is((SELECT count(*) FROM generate_series(1, 20) AS i, LATERAL billing.match_rate(8, (1 + i % 5) || '55', '2026-03-02') AS m WHERE m.rate_tariff_id = 8), 20::bigint, 'a small one');
SELECT is(pg_temp.compiled(), 'small', 'is compiled beside them');

-- Customers and what is charged by are remembered within the same bound; with one list of 10,000 rates beside them.
SET billing.deck_memory = '2MB';
INSERT INTO billing.tariff (id, name, currency) VALUES (9, 'standard', 'EUR');
INSERT INTO billing.rate (tariff_id, prefix, price) SELECT 9, (10000 + i)::text::billing.prefix, 0.60 FROM generate_series(1, 10000) AS i;
INSERT INTO billing.account (id, name, currency, tariff_id) SELECT i, 'customer ' || i, 'EUR', 9 FROM generate_series(1, 20000) AS i;
INSERT INTO billing.service (account_id, kind, identifier) SELECT id, 'auth_code', 'code ' || id FROM billing.account;
CREATE FUNCTION pg_temp.customers(count int) RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FROM generate_series(1, count) AS i, LATERAL (SELECT 'code ' || 1 + i % 20000 AS auth_code, (10001 + i % 10000)::text || '55' AS callee, timestamptz '2026-03-02' AS started_at, 60::numeric AS billsec) AS c,
		LATERAL billing.rate_call(c) AS r WHERE r.customer_account_id = 1 + i % 20000 AND r.customer_amount = 0.60
$$;
SELECT is(pg_temp.customers(30000), 30000::bigint, '30,000 calls of 20,000 customers');
SELECT cmp_ok(sum(total_bytes)::bigint / 1024, '<=', 2200::bigint, 'all that a session remembers is within the bound') FROM pg_backend_memory_contexts WHERE name LIKE 'billing%' OR parent LIKE 'billing%';
SELECT is(pg_temp.compiled(), 'standard', 'their list is compiled');

-- Without its index the table is read as it is.
ALTER TABLE billing.rate DROP CONSTRAINT rate_key;
SELECT is(pg_temp.calls(20, 1, 2), 20::bigint, 'and without the index of the rates too they are found');
SELECT * FROM finish();
ROLLBACK;
