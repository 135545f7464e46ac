--
-- Longest prefix: what the sources ask for, and the property that every way to it finds the same
--
BEGIN;
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS billing CASCADE;
RESET client_min_messages;

SELECT plan(52);
SET search_path = public, billing;

--
-- P13: 416=0.10, 416368=0.20, 416987=0.30
--
CREATE TEMP TABLE pattern (prefix prefix PRIMARY KEY, price numeric);
INSERT INTO pattern VALUES ('416', 0.10), ('416368', 0.20), ('416987', 0.30);
CREATE FUNCTION pg_temp.price(number text) RETURNS numeric LANGUAGE sql AS
'SELECT price FROM pattern WHERE prefix @> number ORDER BY prefix DESC LIMIT 1';
SELECT is(pg_temp.price('4163681234'), 0.20, 'P13: 4163681234 has the price of 416368');
SELECT is(pg_temp.price('4167851234'), 0.10, 'P13: 4167851234 has the price of 416');
SELECT is(pg_temp.price('4169871234'), 0.30, 'P13: 4169871234 has the price of 416987');
SELECT is(pg_temp.price('416368'), 0.20, 'P13: a number may be as long as its prefix');
SELECT is(pg_temp.price('41636'), 0.10, 'P13: a prefix longer than the number does not match');
SELECT is(pg_temp.price('41'), NULL, 'P13: a number shorter than all prefixes has none');
SELECT is(pg_temp.price('5163681234'), NULL, 'P13: another number has none');
SELECT is(pg_temp.price('+4163681234'), 0.20, 'P13: a leading + is not dialled');
INSERT INTO pattern VALUES ('4163681234', 0.05);
SELECT is(pg_temp.price('4163681234'), 0.05, 'P13: a pattern may be a complete number');
INSERT INTO pattern VALUES ('', 0.99);
SELECT is(pg_temp.price('5163681234'), 0.99, 'P13: the empty prefix matches every number');
SELECT is(pg_temp.price(''), 0.99, 'P13: the empty prefix matches the empty number');
SELECT is(pg_temp.price('anonymous'), NULL, 'P13: what is not a number matches nothing, not even the empty prefix');
SELECT is(pg_temp.price(NULL), NULL, 'P13: null matches nothing');

--
-- V17: a prefix rule matches what begins with it, a fixed-number rule only the number
--
SELECT ok('44'::prefix @> '442012345678'::text, 'V17: a prefix rule matches a number with that prefix');
SELECT ok('44'::prefix @> '44'::text, 'V17: a prefix rule matches the prefix itself');
SELECT ok(NOT '44'::prefix @> '4'::text, 'V17: a prefix rule does not match a shorter number');
SELECT ok(NOT '44'::prefix @> '0044'::text, 'V17: a prefix is only at the beginning');
SELECT ok('442012345678'::prefix = '+442012345678'::prefix, 'V17: a fixed number equals the number, with or without +');
SELECT ok('442012345678'::prefix <> '4420123456780'::prefix, 'V17: a fixed number is not a longer number');
SELECT ok('0044'::prefix <> '044'::prefix, 'V17: leading zeros count');
SELECT ok('442'::prefix <@ '44'::prefix AND NOT '44'::prefix <@ '442'::prefix, 'V17: <@ is @> the other way round');

--
-- D17: a prefix has up to 15 digits, the most granular wins: 16138221234, 16, 1
--
CREATE TEMP TABLE granular (prefix prefix);
CREATE INDEX ON granular USING spgist (prefix);
INSERT INTO granular VALUES ('16138221234'), ('16'), ('1');
CREATE FUNCTION pg_temp.granular(number text) RETURNS text LANGUAGE sql AS
'SELECT prefix::text FROM granular WHERE prefix @> number ORDER BY prefix <-> number LIMIT 1';
SELECT is(pg_temp.granular('16138221234'), '16138221234', 'D17: the most granular prefix wins');
SELECT is(pg_temp.granular('16138221235'), '16', 'D17: another number in 16 gets 16');
SELECT is(pg_temp.granular('12125551234'), '1', 'D17: another number in 1 gets 1');
SELECT is(pg_temp.granular('442012345678'), NULL, 'D17: no prefix, no match');
SELECT is(length('123456789012345'::prefix), 15, 'D17: 15 digits are a prefix');
SELECT throws_ok($$SELECT '1234567890123456'::prefix$$, '22P02', NULL, 'D17: 16 digits are not');
SELECT ok('123456789012345'::prefix @> '12345678901234599'::text, 'D17: a longer number matches by its first 15 digits');
SELECT ok(NOT '123456789012345'::prefix @> '12345678901234x'::text, 'D17: a number with a letter does not match');
SELECT throws_ok($$SELECT '44'::prefix @> '12345678901234599'$$, '22P02', NULL, 'D17: an untyped literal is a prefix, so at most 15 symbols');
SELECT throws_ok($$SELECT ''::prefix @> '44 20'$$, '22P02', NULL, 'D17: an untyped literal is a prefix, so without spaces');
SELECT lives_ok($$SELECT ''::prefix @> '44 20'::text$$, 'D17: a number as text never raises an error');
SELECT throws_ok(format('SELECT %L::prefix', input), '22P02', NULL, format('D17: %L is not a prefix', input))
FROM unnest('{+,++1,1+,a," 1","1 ",-1,1.0}'::text[]) input;

--
-- The property: SP-GiST, btree and sequential scan agree with plain text.
-- Random prefixes and numbers are made from hashes, so they are the same on every
-- server; an alphabet of ten symbols replaces the digits, so few different ones
-- make deep tries with many matches.  The trie holds several copies of each prefix,
-- or all would fit on a page or two.
--
CREATE TEMP TABLE trial_text (t text);
CREATE TEMP TABLE trial_heap (prefix prefix);
CREATE TEMP TABLE trial_btree (tariff_id integer, prefix prefix);
CREATE INDEX ON trial_btree (tariff_id, prefix);
CREATE TEMP TABLE trial_trie (prefix prefix);
CREATE INDEX trial_trie_prefix ON trial_trie USING spgist (prefix);
CREATE TEMP TABLE trial_call (id integer, number text);
CREATE TEMP TABLE trial_expected (id integer, prefix text);
CREATE TEMP VIEW trial_by_heap AS
	SELECT id, (SELECT prefix FROM trial_heap r WHERE r.prefix @> c.number ORDER BY length(r.prefix) DESC LIMIT 1)::text AS prefix
	FROM trial_call c;
CREATE TEMP VIEW trial_by_btree AS
	SELECT id, (SELECT prefix FROM trial_btree r WHERE r.tariff_id = 2 AND r.prefix @> c.number ORDER BY r.prefix DESC LIMIT 1)::text AS prefix
	FROM trial_call c;
CREATE TEMP VIEW trial_by_trie AS
	SELECT id, (SELECT prefix FROM trial_trie r WHERE r.prefix @> c.number ORDER BY r.prefix <-> c.number LIMIT 1)::text AS prefix
	FROM trial_call c;
-- without the condition, the distance alone must find it; a quarter of the numbers will do
CREATE TEMP VIEW trial_by_distance AS
	SELECT id, (SELECT CASE WHEN r.prefix <-> c.number <= 15 THEN prefix END FROM trial_trie r ORDER BY r.prefix <-> c.number LIMIT 1)::text AS prefix
	FROM trial_call c WHERE c.number IS NOT NULL AND c.id % 4 = 1;

-- some of what begins like a random number of 19 digits, in this alphabet
CREATE FUNCTION pg_temp.symbols(i integer, seed integer, alphabet text, len integer) RETURNS text LANGUAGE sql AS
$$SELECT left(translate(lpad((hashint8extended(i, seed) & 9223372036854775807)::text, 19, '0'), '0123456789', alphabet), len)$$;

CREATE FUNCTION pg_temp.fill_trial(seed integer, alphabet text, prefixes integer, copies integer, numbers integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	-- The server's SP-GiST, of any operator class, reads pages that are gone after
	-- a TRUNCATE in the transaction that created the table; so a new index.
	DROP INDEX trial_trie_prefix;
	TRUNCATE trial_text, trial_heap, trial_btree, trial_trie, trial_call, trial_expected;
	CREATE INDEX trial_trie_prefix ON trial_trie USING spgist (prefix);
	-- lengths 0 to 15, the shorter ones more often; some prefixes twice
	INSERT INTO trial_text
	SELECT pg_temp.symbols(i, seed, alphabet, CASE WHEN i % 3 = 0 THEN i % 16 ELSE 1 + i % 5 END)
	FROM generate_series(1, prefixes) i;
	INSERT INTO trial_text SELECT t FROM trial_text WHERE hashtext(t) % 10 = 0;
	INSERT INTO trial_heap SELECT t::prefix FROM trial_text;
	INSERT INTO trial_trie SELECT prefix FROM generate_series(1, copies), trial_heap;
	INSERT INTO trial_btree SELECT tariff, prefix FROM trial_heap, generate_series(1, 3) tariff WHERE tariff = 2 OR hashtext(prefix::text) % 3 = tariff;

	-- half of the numbers begin like a prefix; some have a +, some cannot be read, some are null
	INSERT INTO trial_call
	SELECT i, CASE
		WHEN i % 97 = 0 THEN (ARRAY['', '+', '++' || n, n || ' ', n || 'x', 'x' || n, left(n, 3) || 'd' || n, NULL])[1 + i / 97 % 8]
		WHEN i % 7 = 0 THEN '+' || n
		ELSE n END
	FROM (SELECT i, CASE WHEN i % 2 = 0 THEN pg_temp.symbols(1 + i % prefixes, seed, alphabet, i % 17) || pg_temp.symbols(i, seed + 1, alphabet, i % 5)
		ELSE pg_temp.symbols(i, seed + 2, alphabet, 1 + i % 19) END AS n
		FROM generate_series(1, numbers) i) s
	ORDER BY i;
	ANALYZE trial_text, trial_heap, trial_btree, trial_trie, trial_call;

	-- the brute force: nothing of the extension is used
	INSERT INTO trial_expected
	SELECT id, max(t COLLATE "C")
	FROM (SELECT id, left(ltrim(number, '+'), 15) AS n FROM trial_call WHERE number ~ '^\+?[0-9*#A-D]+$' OR number = '') c
	CROSS JOIN LATERAL generate_series(0, length(n)) len
	JOIN trial_text ON t = left(n, len)
	GROUP BY id;
END $$;

-- how many of its numbers a view answers otherwise
CREATE FUNCTION pg_temp.differences(view text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	result bigint;
BEGIN
	EXECUTE format('SELECT count(*) FROM trial_call c LEFT JOIN trial_expected e USING (id) JOIN %I v USING (id)
		WHERE v.prefix IS DISTINCT FROM e.prefix', view) INTO result;
	RETURN result;
END $$;

CREATE FUNCTION pg_temp.plan_has(query text, what text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS off) ' || query LOOP
		IF line LIKE '%' || what || '%' THEN
			RETURN true;
		END IF;
	END LOOP;
	RETURN false;
END $$;

-- everything that begins with some of the prefixes, by every way and by text
CREATE FUNCTION pg_temp.begins_differences(copies integer) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	RETURN (SELECT count(*) FROM (SELECT t, t::prefix AS q FROM trial_text GROUP BY t ORDER BY hashtext(t) LIMIT 200) d
		CROSS JOIN LATERAL (SELECT count(*) AS n FROM trial_text x WHERE left(x.t, length(d.t)) = d.t) expected
		WHERE (SELECT count(*) FROM trial_trie r WHERE r.prefix <@ q) <> n * copies
			OR (SELECT count(*) FROM trial_heap r WHERE r.prefix <@ q) <> n
			OR (SELECT count(*) FROM trial_btree r WHERE r.tariff_id = 2 AND r.prefix <@ q) <> n);
END $$;

CREATE FUNCTION pg_temp.trial(seed integer, alphabet text, prefixes integer, copies integer, numbers integer) RETURNS text LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
DECLARE
	matched bigint;
BEGIN
	PERFORM pg_temp.fill_trial(seed, alphabet, prefixes, copies, numbers);
	SELECT count(*) INTO matched FROM trial_expected;
	RETURN format('heap %s btree %s trie %s distance %s begins %s matched %s', pg_temp.differences('trial_by_heap'),
		pg_temp.differences('trial_by_btree'), pg_temp.differences('trial_by_trie'), pg_temp.differences('trial_by_distance'),
		pg_temp.begins_differences(copies), CASE WHEN matched > numbers / 2 THEN 'enough' ELSE matched::text END);
END $$;

SELECT is(pg_temp.trial(seed, alphabet, prefixes, copies, numbers), 'heap 0 btree 0 trie 0 distance 0 begins 0 matched enough',
	format('P13, V17, D17: %s numbers of %L, %s prefixes %s times, seed %s: all ways find the longest prefix', numbers, alphabet, prefixes, copies, seed))
FROM (VALUES (1, '0123456789', 200, 30, 20000), (2, '4444420000', 200, 30, 20000), (3, '0123401234', 200, 30, 20000), (4, '*#ABCD0159', 200, 30, 20000),
	(5, '7777777778', 200, 30, 20000), (6, '0123456789', 4000, 1, 1500), (7, 'DDDDD00000', 4000, 3, 1500)) v(seed, alphabet, prefixes, copies, numbers);

SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT ok(pg_temp.plan_has('SELECT * FROM trial_by_btree', '(prefix = ANY (prefixes(c.number)))'), 'P13: the btree was used by its index condition');
SELECT ok(pg_temp.plan_has('SELECT * FROM trial_by_trie', 'Index Cond: (prefix @> c.number)'), 'P13: the SP-GiST index was used');
SELECT ok(pg_temp.plan_has('SELECT * FROM trial_by_trie', 'Order By: (prefix <-> c.number)'), 'P13: the SP-GiST index gave the order');
SELECT ok(pg_temp.plan_has('SELECT * FROM trial_by_distance', 'Order By: (prefix <-> c.number)'), 'P13: the distance alone used the SP-GiST index');
SELECT ok(pg_temp.plan_has('SELECT * FROM trial_by_heap', 'Seq Scan on trial_heap'), 'P13: the heap was read sequentially');

SELECT * FROM finish();
ROLLBACK;
