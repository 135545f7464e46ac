-- match_rate against a brute force that knows only texts: left() and =, no operator and no code of the extension.
BEGIN;
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS billing CASCADE;
SELECT billing.create_ledger();
SELECT no_plan();

-- Random, but of fixed seeds and the same on every server: md5 of a name gives a number below n, or a text of the alphabet's symbols.
CREATE FUNCTION pg_temp.rnd(seed text, n int) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT ('x' || left(md5(seed), 7))::bit(28)::int % n $$;
CREATE FUNCTION pg_temp.symbols(seed text, len int, alphabet text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT left(translate(md5(seed), '0123456789abcdef', left(repeat(alphabet, 16), 16)), len)
$$;
CREATE FUNCTION pg_temp.instant(n int) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$
	SELECT (ARRAY['-infinity', '2026-01-01 00:00+00', '2026-02-01 00:00+00', '2026-03-01 00:00+00'])[n + 1]::timestamptz
$$;

-- 24 lists over 2 to 14 symbols (few, so that prefixes of one another are many), of 1 to 3,000 rates; two of three have a base, up to 3 deep below them.
CREATE TEMP TABLE list AS SELECT t + 1000 AS id, left('01#D23*A456789', 2 + t % 4 * 4) AS alphabet, (ARRAY[1, 5, 40, 300, 1000, 3000])[1 + t % 6] AS rates,
	CASE WHEN t % 3 <> 1 THEN t + 1000 - 1 END AS base FROM generate_series(1, 24) AS t;
INSERT INTO billing.tariff (id, name, currency, base_tariff_id) SELECT id, 'random ' || id, 'EUR', base FROM list ORDER BY id;

-- The rates as text: a fifth exact, half dated, a seventh withdrawn, half at most 6 symbols long.
CREATE TEMP TABLE entry AS SELECT DISTINCT ON (l.id, prefix, exact, valid_from) l.id * 10000 + i AS rate_id, l.id AS list, prefix, exact, valid_from, pg_temp.rnd('withdrawn' || seed, 7) = 0 AS withdrawn
FROM list AS l, generate_series(1, rates) AS i, LATERAL (SELECT l.id || '.' || i AS seed) AS s,
	LATERAL (SELECT pg_temp.symbols('prefix' || seed, pg_temp.rnd('length' || seed, CASE i % 2 WHEN 0 THEN 7 ELSE 16 END), alphabet) AS prefix) AS p,
	LATERAL (SELECT prefix <> '' AND pg_temp.rnd('exact' || seed, 5) = 0 AS exact, pg_temp.instant(pg_temp.rnd('dated' || seed, 2) * pg_temp.rnd('from' || seed, 4)) AS valid_from) AS v;
INSERT INTO billing.rate (id, tariff_id, prefix, exact, valid_from, withdrawn, price) SELECT rate_id, list, prefix::billing.prefix, exact, valid_from, withdrawn, 0.01 FROM entry;

-- 108,000 numbers: random ones, and those made of a rate's prefix, as it is, with symbols after it, or with the last one off. Five instants.
CREATE TEMP TABLE number (id int GENERATED ALWAYS AS IDENTITY, list int, number text, at timestamptz);
INSERT INTO number (list, number, at) SELECT l.id, pg_temp.symbols('number' || l.id || '.' || i, 1 + pg_temp.rnd('digits' || l.id || '.' || i, 15), alphabet), pg_temp.instant(1 + i % 3) - (i % 2) * interval '1 microsecond'
FROM list AS l, generate_series(1, 2500) AS i;
CREATE TEMP TABLE nth AS SELECT list, prefix, row_number() OVER (PARTITION BY list ORDER BY rate_id) AS n FROM entry;
CREATE TEMP TABLE pick AS SELECT list, alphabet, i, 1 + pg_temp.rnd('pick' || seed, entries) AS n, seed
FROM (SELECT l.id AS list, alphabet, max(n)::int AS entries FROM list AS l JOIN nth ON nth.list = l.id GROUP BY l.id, alphabet) AS l, generate_series(1, 2000) AS i, LATERAL (SELECT list || '.' || i AS seed) AS s;
ANALYZE nth, pick;
INSERT INTO number (list, number, at) SELECT list, coalesce(nullif(CASE i % 3 WHEN 0 THEN prefix WHEN 1 THEN left(prefix || pg_temp.symbols('tail' || seed, 1 + pg_temp.rnd('more' || seed, 6), alphabet), 15)
	ELSE left(prefix, greatest(length(prefix) - 1, 0)) END, ''), '0'), pg_temp.instant(1 + i % 3) - (i % 2) * interval '1 microsecond' FROM pick JOIN nth USING (list, n);

-- The brute force. In force: the latest version of each key, dropped when it is withdrawn.
CREATE TEMP TABLE in_force AS SELECT * FROM (SELECT DISTINCT ON (at, list, prefix, exact) at, entry.* FROM (SELECT DISTINCT at FROM number) AS i JOIN entry ON valid_from <= at ORDER BY at, list, prefix, exact, valid_from DESC) AS e WHERE NOT withdrawn;
CREATE TEMP TABLE chain AS WITH RECURSIVE c AS (SELECT id AS list, id AS looked_up, base, 0 AS depth FROM list UNION ALL SELECT c.list, l.id, l.base, depth + 1 FROM c JOIN list AS l ON l.id = c.base) SELECT * FROM c;
CREATE TEMP TABLE beginning AS SELECT id, list, at, length(number) AS digits, len, left(number, len) AS prefix FROM number, generate_series(0, length(number)) AS len;
ANALYZE in_force, chain, beginning;
-- The nearest list decides, then an exact number, then the longest prefix.
CREATE TEMP TABLE brute AS SELECT DISTINCT ON (n.id) n.id, e.rate_id, e.prefix, e.exact, c.looked_up FROM beginning AS n JOIN chain AS c USING (list)
	JOIN in_force AS e ON e.list = c.looked_up AND e.at = n.at AND e.prefix = n.prefix AND (NOT e.exact OR n.digits = n.len) ORDER BY n.id, c.depth, e.exact DESC, n.len DESC;

CREATE TEMP TABLE matched AS SELECT n.id, m.rate_id, m.prefix::text AS prefix, m.exact, m.rate_tariff_id FROM number AS n, LATERAL billing.match_rate(n.list, n.number, n.at) AS m;
SELECT ok(count(*) >= 100000, format('%s numbers are looked up in 24 random lists', count(*))) FROM matched;
SELECT is(string_agg(format('list %s, number %s at %s: %s, should be %s', n.list, n.number, n.at, m.rate_id, b.rate_id), '; '), NULL, 'match_rate finds the rate that brute force finds')
FROM (SELECT m.id FROM matched AS m LEFT JOIN brute AS b USING (id) WHERE (m.rate_id, m.prefix, m.exact, m.rate_tariff_id) IS DISTINCT FROM (b.rate_id, b.prefix, b.exact, b.looked_up) ORDER BY id LIMIT 10) AS d
	JOIN number AS n USING (id) JOIN matched AS m USING (id) LEFT JOIN brute AS b USING (id);
-- The property must have had something to prove.
SELECT ok(count(*) FILTER (WHERE rate_id IS NOT NULL) > 30000, 'tens of thousands have a rate') FROM matched;
SELECT ok(count(*) FILTER (WHERE rate_id IS NULL) > 5000, 'thousands have none') FROM matched;
SELECT ok(count(*) > 1000, 'a thousand are exact') FROM matched WHERE exact;
SELECT ok(count(*) > 1000, 'a thousand come from a base') FROM matched JOIN number AS n USING (id) WHERE rate_tariff_id <> n.list;
SELECT ok(count(*) > 1000, 'a thousand would have another rate at another instant') FROM brute JOIN number AS n USING (id) WHERE EXISTS (SELECT FROM entry AS e WHERE e.list = looked_up AND e.prefix = brute.prefix AND e.exact = brute.exact AND e.valid_from > n.at);

-- Once more where most lists do not fit the memory and are asked through their btree; some numbers without it too. Touching a tariff makes a session begin anew.
SET LOCAL billing.deck_memory = '64kB';
UPDATE billing.tariff SET average_duration = 1 WHERE id = 1001;
SELECT is(count(*), 0::bigint, 'the btree finds what compiled lists find') FROM number AS n JOIN matched AS m USING (id), LATERAL billing.match_rate(n.list, n.number, n.at) AS p WHERE p.rate_id IS DISTINCT FROM m.rate_id;
SAVEPOINT with_index;
ALTER TABLE billing.rate DROP CONSTRAINT rate_key;
SELECT is(count(*), 0::bigint, 'and the table without its index') FROM number AS n JOIN matched AS m USING (id), LATERAL billing.match_rate(n.list, n.number, n.at) AS p WHERE n.id % 2000 = 0 AND p.rate_id IS DISTINCT FROM m.rate_id;
ROLLBACK TO with_index;
RESET billing.deck_memory;

-- The same numbers as calls: the trigger names the same rates. The digits alone, because callees of other symbols are many here and rare there.
INSERT INTO billing.account (id, name, currency, tariff_id) SELECT id, 'account ' || id, 'EUR', id FROM list;
INSERT INTO billing.service (account_id, kind, identifier) SELECT id, 'auth_code', id::text FROM list;
INSERT INTO billing.cdr (call_id, started_at, callee, billsec, auth_code) SELECT id, at, number, 60, list FROM number;
SELECT is(count(*), 0::bigint, 'the trigger finds the rate that brute force finds') FROM number AS n LEFT JOIN brute AS b USING (id) LEFT JOIN billing.cdr AS c ON c.call_id = n.id::text AND c.started_at = n.at
WHERE c.customer_rate_id IS DISTINCT FROM b.rate_id OR c.call_id IS NULL;

-- The 300,000 real prefixes, where they are. psql starts in the repository, or BILLING_SHARED_DATA says where they are.
\set directory `echo "${BILLING_SHARED_DATA:-../shared/data}"`
\set real `f="${BILLING_SHARED_DATA:-../shared/data}/e164_prefixes.csv"; test -r "$f" && echo true || echo false`
\if :real
CREATE TEMP TABLE real (prefix text, destination text);
\set copy '\\copy real FROM PROGRAM ''cat "${BILLING_SHARED_DATA:-../shared/data}/e164_prefixes.csv"'' WITH (FORMAT csv, HEADER)'
:copy
INSERT INTO billing.tariff (id, name, currency) VALUES (2000, 'real', 'EUR');
INSERT INTO billing.rate (id, tariff_id, prefix, destination, price) SELECT 100000000 + row_number() OVER (ORDER BY prefix COLLATE "C"), 2000, prefix::billing.prefix, destination, 0.01 FROM real;
SELECT is(count(*), (SELECT count(*) FROM real), 'every real prefix is a rate') FROM billing.rate WHERE tariff_id = 2000;
-- 60,000 numbers: every tenth prefix with digits after it, and every tenth with its last digit another
CREATE TEMP TABLE real_number AS SELECT left(CASE n % 2 WHEN 0 THEN prefix ELSE left(prefix, -1) END || pg_temp.symbols('real' || n, 6, '0123456789'), 15) AS number
FROM (SELECT prefix, row_number() OVER (ORDER BY prefix COLLATE "C") AS n FROM real) AS r WHERE n % 10 < 2;
CREATE INDEX ON real (prefix);
ANALYZE real;
SELECT is(string_agg(format('%s: %s, should be %s', number, m.prefix, b.prefix), '; '), NULL, format('match_rate finds the longest of %s real prefixes for %s numbers', (SELECT count(*) FROM real), (SELECT count(*) FROM real_number)))
FROM real_number AS n, LATERAL billing.match_rate(2000, n.number) AS m,
	LATERAL (SELECT max(r.prefix) AS prefix FROM real AS r WHERE r.prefix = ANY (ARRAY(SELECT left(n.number, len) FROM generate_series(1, length(n.number)) AS len))) AS b
WHERE m.prefix::text IS DISTINCT FROM b.prefix;
\else
SELECT skip('e164_prefixes.csv is not in ' || :'directory' || ', BILLING_SHARED_DATA names another directory', 2);
\endif

SELECT * FROM finish();
ROLLBACK;
