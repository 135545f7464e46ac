--
-- The type prefix: input and output, errors, operators, index support
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS billing CASCADE;
RESET client_min_messages;
SET search_path = public, billing;

-- how an error looks to the client
CREATE FUNCTION pg_temp.refused(command text, OUT state text, OUT message text, OUT detail text, OUT hint text)
LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE command;
	state := 'none';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
		detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
END $$;

--
-- input, output, length
--
SELECT input, input::prefix AS prefix, length(input::prefix), input::prefix::text = ltrim(input, '+') AS same
FROM (VALUES (''), ('4'), ('44'), ('+44'), ('0'), ('00'), ('0123456789*#ABC'), ('D'), ('*#06#'), ('+*1'),
	('999999999999999'), ('DDDDDDDDDDDDDDD'), ('+123456789012345')) v(input);
SELECT NULL::prefix IS NULL AS null, NULL::text::prefix IS NULL AS cast, length(NULL::prefix) IS NULL AS length;

-- every byte that can be written: 16 symbols are accepted, + alone is not
SELECT string_agg(chr(c), '' ORDER BY c) AS symbols, count(*)
FROM generate_series(1, 127) c
WHERE (pg_temp.refused(format('SELECT %L::billing.prefix', chr(c)))).state = 'none';

-- bad input
SELECT quote_literal(input) AS input, r.*
FROM (VALUES (1, '1234567890123456'), (2, '+1234567890123456'), (3, '44a'), (4, 'E'), (5, 'abcd'), (6, ' 44'), (7, '44 '), (8, '4 4'),
	(9, ' '), (10, '+'), (11, '++44'), (12, '4+4'), (13, '44+'), (14, '-44'), (15, '44.5'), (16, '4e1'), (17, '0x1'), (18, '(0)20'),
	(19, 'NULL'), (20, E'44\n'), (21, '123456789012345x'), (22, '1234567890123456x')) v(i, input),
	pg_temp.refused(format('SELECT %L::billing.prefix', input)) r
ORDER BY i \gx
-- full-width and Arabic digits, a no-break space, an en dash: only the state, for the rest depends on the encoding
SELECT i, (pg_temp.refused(format('SELECT %L::billing.prefix', input))).state
FROM (VALUES (1, '４４'), (2, '44２'), (3, '٤٤'), (4, '44 '), (5, '44–'), (6, '＋44')) v(i, input) ORDER BY i;
SELECT (pg_temp.refused($$SELECT E'44\000'::billing.prefix$$)).state AS nul;
-- the cast refuses the same, in the same words
SELECT r.* FROM pg_temp.refused($$SELECT billing.prefix('44x'::text)$$) r;
SELECT r.* FROM pg_temp.refused($$SELECT '44'::varchar::billing.prefix, '44 '::varchar::billing.prefix$$) r;
-- from 16 on the error is a soft one
SELECT current_setting('server_version_num')::integer >= 160000 AS soft \gset
\if :soft
SELECT pg_input_is_valid('44', 'billing.prefix') AND NOT pg_input_is_valid('44x', 'billing.prefix')
	AND NOT pg_input_is_valid('+', 'billing.prefix') AND NOT pg_input_is_valid('1234567890123456', 'billing.prefix') AS soft \gset
\else
\set soft t
\endif
\echo :soft

-- the binary form: written by hand in both directions
SELECT prefix_send(p) FROM (VALUES (''::prefix), ('4'), ('4420'), ('*#ABCD'), ('123456789012345'), ('DDDDDDDDDDDDDDD')) v(p);
\copy (SELECT '4420'::billing.prefix) TO PROGRAM 'od -An -v -tx1' (FORMAT binary)
CREATE TEMP TABLE received (p prefix);
\copy received FROM PROGRAM 'printf "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0\0\1\0\0\0\10\104\040\0\0\0\0\0\4\377\377"' (FORMAT binary)
\copy received FROM PROGRAM 'printf "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0\0\1\0\0\0\10\022\064\126\170\220\022\064\137\377\377"' (FORMAT binary)
\copy received FROM PROGRAM 'printf "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0\0\1\0\0\0\10\0\0\0\0\0\0\0\0\377\377"' (FORMAT binary)
SELECT p, length(p) FROM received ORDER BY p;
-- symbols behind the end, and a value of four bytes
\copy received FROM PROGRAM 'printf "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0\0\1\0\0\0\10\104\042\0\0\0\0\0\3\377\377"' (FORMAT binary)
\copy received FROM PROGRAM 'printf "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0\0\1\0\0\0\10\0\0\0\0\0\0\0\020\377\377"' (FORMAT binary)
\set VERBOSITY sqlstate
\copy received FROM PROGRAM 'printf "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0\0\1\0\0\0\10\104\042\0\0\0\0\0\3\377\377"' (FORMAT binary)
\copy received FROM PROGRAM 'printf "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0\0\1\0\0\0\4\104\040\0\4\377\377"' (FORMAT binary)
\set VERBOSITY default

--
-- casts: assignment, not implicit
--
CREATE TEMP TABLE loaded (t text, v varchar(20), p prefix, q prefix);
INSERT INTO loaded (t, v) VALUES ('+4420', '*12');
UPDATE loaded SET p = t, q = v;
UPDATE loaded SET t = p, v = q;
SELECT * FROM loaded;
SELECT castsource::regtype, casttarget::regtype, castcontext FROM pg_cast
WHERE 'prefix'::regtype IN (castsource, casttarget) ORDER BY 1, 2;
SELECT p = t FROM loaded;
SELECT p || 'x' FROM loaded;

--
-- operators
--
-- a number matches its prefixes
SELECT prefix, number, prefix::prefix @> number::prefix AS "@>", number::prefix <@ prefix::prefix AS "<@",
	prefix::prefix @> number AS "@> text", number <@ prefix::prefix AS "text <@", prefix::prefix <-> number::prefix AS "<->",
	prefix::prefix <-> number AS "<-> text"
FROM (VALUES ('', ''), ('', '44'), ('4', '44'), ('44', '44'), ('440', '44'), ('44', '440'), ('43', '44'), ('44', '4'), ('0', ''),
	('0', '00'), ('00', '0'), ('*', '*#06#'), ('#', '*#06#'), ('A', 'AB'), ('44', '+442'), ('123456789012345', '123456789012345'),
	('123456789012344', '123456789012345'), ('12345678901234', '123456789012345')) v(prefix, number);
-- numbers as text may be longer, or not readable at all, and are never an error
SELECT quote_literal(number) AS number, number <@ ''::prefix AS any, number <@ '44'::prefix AS "44", number <@ '123456789012345'::prefix AS "15",
	'123456789012345'::prefix <-> number AS distance, prefixes(number)
FROM (VALUES (1, '4420'), (2, '+4420'), (3, ''), (4, '+'), (5, '++44'), (6, '44 20'), (7, '44a'), (8, 'anonymous'), (9, '123456789012345'),
	(10, '1234567890123456'), (11, '+12345678901234567890'), (12, '123456789012345x'), (13, '1234567890123456789x'), (14, NULL)) v(i, number)
ORDER BY i;
-- long enough to be compressed and stored elsewhere
CREATE TEMP TABLE long (number text);
INSERT INTO long VALUES (repeat('44', 500000)), (repeat('44', 500000) || 'x');
SELECT '444'::prefix @> number, number <@ '444'::prefix, '444'::prefix <-> number, cardinality(prefixes(number)) FROM long;

-- a literal without a type is read as a prefix: more than 15 symbols are refused, and the hint says what to write
SELECT '44'::prefix @> '4420', '44'::prefix @> '+4420', '4420' <@ '44'::prefix;
SELECT r.* FROM pg_temp.refused($$SELECT '44'::billing.prefix OPERATOR(billing.@>) '44201234567890123'$$) r \gx
SELECT '44'::prefix @> '44201234567890123'::text;
PREPARE by_text(text) AS SELECT '44'::prefix @> $1;
EXECUTE by_text('44201234567890123');

-- order: 0-9 * # A-D, a prefix before what begins with it
SELECT string_agg(p::text, ' ' ORDER BY p) FROM (VALUES ('44'::prefix), ('4'), ('440'), ('D'), ('5'), ('43'), ('*'), ('#'), ('A'), ('9'), ('0'), ('00'),
	('449'), ('44*'), ('4D'), ('45'), ('444444444444444'), ('44444444444444'), ('B'), ('C')) v(p);
SELECT string_agg(p::text, ' ' ORDER BY p DESC) FROM (VALUES ('44'::prefix), ('4'), ('440'), (''), ('D')) v(p);
SELECT a, b, a < b AS lt, a <= b AS le, a = b AS eq, a <> b AS ne, a >= b AS ge, a > b AS gt, prefix_cmp(a, b)
FROM (VALUES ('44'::prefix, '44'::prefix), ('44', '440'), ('45', '440'), ('', '0'), ('D', '9'), ('DDDDDDDDDDDDDDD', '0')) v(a, b);
-- the 16 x 16 pairs of a few prefixes: operators, order and operands swapped agree with one another
WITH p AS (SELECT p::prefix FROM unnest('{"",0,00,01,4,44,440,4420,45,9,99,*,#,A,DD,DDDDDDDDDDDDDDD}'::text[]) p)
SELECT count(*),
	count(*) FILTER (WHERE (a.p < b.p) = (b.p > a.p) AND (a.p <= b.p) = (b.p >= a.p) AND (a.p = b.p) = NOT (a.p <> b.p)
		AND (a.p < b.p) = NOT (a.p >= b.p) AND (a.p > b.p) = NOT (a.p <= b.p) AND sign(prefix_cmp(a.p, b.p)) = -sign(prefix_cmp(b.p, a.p))) AS ordered,
	count(*) FILTER (WHERE (a.p @> b.p) = (b.p <@ a.p) AND (a.p @> b.p) = (a.p @> b.p::text) AND (a.p @> b.p) = starts_with(b.p::text, a.p::text)
		AND (a.p @> b.p) = (a.p = ANY (prefixes(b.p))) AND (a.p @> b.p) = (b.p BETWEEN a.p AND prefix_last(a.p))
		AND (a.p @> b.p) = (a.p <-> b.p <= 15)) AS contained,
	count(*) FILTER (WHERE a.p <> b.p OR prefix_hash(a.p) = prefix_hash(b.p) AND prefix_hash_extended(a.p, 1) = prefix_hash_extended(b.p, 1)) AS hashed
FROM p a, p b;
SELECT bool_and(prefix_hash_extended(i::text::prefix, 0)::bit(32) = prefix_hash(i::text::prefix)::bit(32)) AS hash_agrees,
	count(DISTINCT prefix_hash(i::text::prefix)) > 9990 AS hash_spreads FROM generate_series(1, 10000) i;
SELECT prefixes('4420'::prefix), prefixes(''::prefix), prefixes('44'), prefix_last('44'), prefix_last(''), prefix_last('123456789012345');

-- no commutator, negator or estimator is missing, none is a shell
SELECT oprname, oprleft::regtype, oprright::regtype, oprcom::regoperator, oprnegate::regoperator, oprrest, oprjoin, oprcanhash, oprcanmerge, proleakproof
FROM pg_operator o LEFT JOIN pg_proc p ON p.oid = oprcode
WHERE 'prefix'::regtype IN (oprleft, oprright) ORDER BY oprname COLLATE "C", oprleft::regtype::text COLLATE "C", oprright::regtype::text COLLATE "C";
SELECT amname, amvalidate(o.oid) FROM pg_opclass o JOIN pg_am a ON a.oid = opcmethod
WHERE opcintype = 'prefix'::regtype ORDER BY amname;

--
-- joins and partitions
--
CREATE TEMP TABLE rate (tariff_id integer, prefix prefix, price numeric);
INSERT INTO rate SELECT t, i::text, i FROM generate_series(1, 5) t, generate_series(1, 999) i;
ANALYZE rate;
SET enable_mergejoin = off; SET enable_nestloop = off;
EXPLAIN (COSTS off) SELECT count(*) FROM rate a JOIN rate b USING (prefix);
SELECT count(*) FROM rate a JOIN rate b USING (prefix);
SET enable_mergejoin = on; SET enable_hashjoin = off;
EXPLAIN (COSTS off) SELECT count(*) FROM rate a JOIN rate b USING (prefix);
SELECT count(*) FROM rate a JOIN rate b USING (prefix);
RESET enable_mergejoin; RESET enable_nestloop; RESET enable_hashjoin;
CREATE TEMP TABLE hashed (p prefix) PARTITION BY HASH (p);
CREATE TEMP TABLE hashed_0 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TEMP TABLE hashed_1 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO hashed SELECT DISTINCT prefix FROM rate;
SELECT count(*), count(*) FILTER (WHERE tableoid = 'hashed_0'::regclass) BETWEEN 400 AND 600 AS even FROM hashed;

--
-- btree: @> and <@ become index conditions
--
CREATE INDEX rate_tariff ON rate (tariff_id, prefix);
SET enable_seqscan = off; SET enable_bitmapscan = off;
EXPLAIN (COSTS off) SELECT * FROM rate WHERE tariff_id = 2 AND prefix @> '4420';
SELECT * FROM rate WHERE tariff_id = 2 AND prefix @> '4420' ORDER BY prefix;
EXPLAIN (COSTS off) SELECT * FROM rate WHERE tariff_id = 2 AND prefix @> '+442012345678901234567'::text;
SELECT * FROM rate WHERE tariff_id = 2 AND prefix @> '+442012345678901234567'::text ORDER BY prefix;
EXPLAIN (COSTS off) SELECT * FROM rate WHERE tariff_id = 2 AND '4420'::text <@ prefix;
EXPLAIN (COSTS off) SELECT * FROM rate WHERE tariff_id = 2 AND '4420'::prefix <@ prefix;
EXPLAIN (COSTS off) SELECT * FROM rate WHERE tariff_id = 2 AND prefix_contains(prefix, '4420'::text);
EXPLAIN (COSTS off) SELECT * FROM rate WHERE tariff_id = 2 AND prefix @> 'anonymous'::text;
SELECT * FROM rate WHERE tariff_id = 2 AND prefix @> 'anonymous'::text;
EXPLAIN (COSTS off) SELECT * FROM rate WHERE tariff_id = 2 AND prefix <@ '44';
SELECT prefix FROM rate WHERE tariff_id = 2 AND prefix <@ '44' ORDER BY prefix;
EXPLAIN (COSTS off) SELECT * FROM rate WHERE tariff_id = 2 AND '44'::prefix @> prefix;
-- a parameter, a join, a subquery: not known before the scan starts
SET plan_cache_mode = force_generic_plan;
PREPARE lookup(integer, text) AS SELECT prefix FROM rate WHERE tariff_id = $1 AND prefix @> $2;
EXPLAIN (COSTS off) EXECUTE lookup(2, '4420');
EXECUTE lookup(2, '4420');
EXECUTE lookup(2, NULL);
PREPARE below(integer, prefix) AS SELECT count(*) FROM rate WHERE tariff_id = $1 AND prefix <@ $2;
EXPLAIN (COSTS off) EXECUTE below(2, '44');
EXECUTE below(2, '44');
EXECUTE below(2, '');
EXECUTE below(2, '9999');
EXECUTE below(2, NULL);
RESET plan_cache_mode;
EXPLAIN (COSTS off) SELECT * FROM (VALUES ('4420'), ('+331')) c(number) JOIN rate r ON r.tariff_id = 2 AND r.prefix @> c.number;
SELECT number, prefix FROM (VALUES ('4420'), ('+331'), ('x'), (''), (NULL)) c(number)
LEFT JOIN rate r ON r.tariff_id = 2 AND r.prefix @> c.number ORDER BY number, prefix;
-- a name that is not in the search_path makes no difference, nor does a domain
CREATE DOMAIN pg_temp.code AS prefix;
CREATE TEMP TABLE coded (code pg_temp.code);
INSERT INTO coded SELECT i::text::prefix FROM generate_series(1, 999) i;
CREATE INDEX ON coded (code);
SET search_path = pg_catalog;
EXPLAIN (COSTS off) SELECT * FROM coded WHERE code OPERATOR(billing.@>) '4420'::text;
SET search_path = public, billing;
-- not for the column itself, volatile numbers, or a column of text
EXPLAIN (COSTS off) SELECT count(*) FROM rate WHERE tariff_id = 2 AND prefix_contains(prefix, price::text);
EXPLAIN (COSTS off) SELECT count(*) FROM rate WHERE tariff_id = 2 AND prefix_contains(prefix, random()::text);
CREATE TEMP TABLE called (number text);
INSERT INTO called SELECT i::text FROM generate_series(1, 2000) i;
CREATE INDEX ON called (number);
RESET enable_seqscan;
EXPLAIN (COSTS off) SELECT count(*) FROM called WHERE number <@ '44'::prefix;
SELECT count(*) FROM called WHERE number <@ '44'::prefix;
-- nor for a hash index, which knows no arrays
CREATE TEMP TABLE dialled (p prefix);
INSERT INTO dialled SELECT i::text::prefix FROM generate_series(1, 999) i;
CREATE INDEX ON dialled USING hash (p);
EXPLAIN (COSTS off) SELECT * FROM dialled WHERE p @> '4420';
SET enable_seqscan = off;
EXPLAIN (COSTS off) SELECT * FROM dialled WHERE p = '442';
SELECT * FROM dialled WHERE p = '442';

--
-- SP-GiST: the same, and longest first
--
DROP INDEX rate_tariff;
CREATE INDEX rate_trie ON rate USING spgist (prefix);
EXPLAIN (COSTS off) SELECT prefix FROM rate WHERE prefix @> '4420';
SELECT prefix, count(*) FROM rate WHERE prefix @> '4420' GROUP BY 1 ORDER BY 1;
EXPLAIN (COSTS off) SELECT prefix FROM rate WHERE prefix @> '+442012345678901234567'::text
ORDER BY prefix <-> '+442012345678901234567'::text LIMIT 1;
SELECT prefix FROM rate WHERE prefix @> '+442012345678901234567'::text
ORDER BY prefix <-> '+442012345678901234567'::text LIMIT 1;
SELECT prefix, prefix <-> '4420' AS distance FROM rate WHERE prefix @> '4420' ORDER BY prefix <-> '4420';
SELECT prefix FROM rate WHERE prefix @> 'anonymous'::text ORDER BY prefix <-> 'anonymous'::text;
-- without a condition too: the matches come first, the others are infinitely far
EXPLAIN (COSTS off) SELECT prefix <-> '4420' FROM rate ORDER BY prefix <-> '4420' LIMIT 18;
SELECT d, count(*) FROM (SELECT prefix <-> '4420' AS d FROM rate ORDER BY prefix <-> '4420' LIMIT 18) s GROUP BY d ORDER BY d;
EXPLAIN (COSTS off) SELECT count(*) FROM rate WHERE prefix <@ '44';
SELECT count(*) FROM rate WHERE prefix <@ '44';
SELECT count(*) FROM rate WHERE prefix = '44';
SELECT count(*) FROM rate WHERE prefix < '2';
SELECT count(*) FROM rate WHERE prefix <= '2';
SELECT count(*) FROM rate WHERE prefix > '98';
SELECT count(*) FROM rate WHERE prefix >= '98' AND prefix <@ '9' AND prefix @> '989';
EXPLAIN (COSTS off) SELECT n, (SELECT r.prefix FROM rate r WHERE r.prefix @> n ORDER BY r.prefix <-> n LIMIT 1)
FROM (VALUES ('4420'), ('+331')) c(n);
SELECT n, (SELECT r.prefix FROM rate r WHERE r.prefix @> n ORDER BY r.prefix <-> n LIMIT 1)
FROM (VALUES ('4420'), ('+331'), ('0'), (''), ('x'), (NULL)) c(n);

-- 10,000 equal prefixes, what begins with them, what they begin with, and null
CREATE TEMP TABLE equal (p prefix);
CREATE INDEX equal_trie ON equal USING spgist (p);
INSERT INTO equal SELECT '442' FROM generate_series(1, 10000);
INSERT INTO equal VALUES ('4420'), ('44201'), ('44'), ('443'), (''), (NULL), ('D');
INSERT INTO equal SELECT '442' FROM generate_series(1, 1000);
INSERT INTO equal SELECT '123456789012345' FROM generate_series(1, 1000);
INSERT INTO equal SELECT '' FROM generate_series(1, 1000);
SELECT p, count(*) FROM equal WHERE p @> '44201' GROUP BY p ORDER BY p;
SELECT p, count(*) FROM equal WHERE p <@ '44' GROUP BY p ORDER BY p;
SELECT p, count(*) FROM equal WHERE p >= '' GROUP BY p ORDER BY p;
SELECT count(*) FROM equal WHERE p IS NULL;
SELECT p FROM equal WHERE p @> '44201' ORDER BY p <-> '44201' LIMIT 3;
DELETE FROM equal WHERE p = '442';
VACUUM equal;
INSERT INTO equal SELECT '442' FROM generate_series(1, 10);
SELECT p, count(*) FROM equal WHERE p @> '44201' GROUP BY p ORDER BY p;
REINDEX INDEX equal_trie;
SELECT p, count(*) FROM equal WHERE p @> '44201' GROUP BY p ORDER BY p;
RESET enable_seqscan; RESET enable_bitmapscan;

--
-- estimates: 4995 rows, 999 prefixes, each five times; ten times off is too far
--
CREATE FUNCTION pg_temp.estimate(query text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
	RETURN plan -> 0 -> 'Plan' ->> 'Plan Rows';
END $$;
ANALYZE rate;
SELECT condition, actual, pg_temp.estimate('SELECT * FROM rate WHERE ' || condition) BETWEEN actual / 10.0 AND greatest(actual, 1) * 10 AS near
FROM (VALUES ('prefix @> ''4420''', 15), ('prefix @> ''4420''::text', 15), ('''4420''::text <@ prefix', 15), ('prefix @> ''4''', 5),
	('prefix @> (SELECT ''4420''::text)', 15), ('prefix @> ''x''::text', 0), ('prefix @> NULL::text', 0),
	('prefix <@ ''4''', 555), ('prefix <@ ''44''', 55), ('''44''::prefix @> prefix', 55), ('prefix <@ ''442''', 5), ('prefix <@ ''''', 4995),
	('prefix <@ ''A''', 0), ('prefix = ''44''', 5)) v(condition, actual);
CREATE TEMP TABLE call AS SELECT (1000 + i)::text AS number FROM generate_series(1, 1000) i;
ANALYZE call;
SELECT pg_temp.estimate('SELECT * FROM rate r JOIN call c ON r.prefix @> c.number') BETWEEN 1500 AND 150000 AS "join",
	pg_temp.estimate('SELECT * FROM rate r JOIN call c ON c.number <@ r.prefix') BETWEEN 1500 AND 150000 AS swapped,
	pg_temp.estimate('SELECT * FROM call c WHERE EXISTS (SELECT FROM rate r WHERE r.prefix @> c.number)') BETWEEN 500 AND 1000 AS semi,
	pg_temp.estimate('SELECT * FROM call c WHERE number <@ ''10''::prefix') BETWEEN 10 AND 1000 AS text;

-- the operators do not leak, so row-level security does not cost the index
CREATE TABLE prefix_secured (p prefix, owner name);
INSERT INTO prefix_secured SELECT i::text::prefix, 'nobody' FROM generate_series(1, 9999) i;
CREATE INDEX ON prefix_secured (p);
ALTER TABLE prefix_secured ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON prefix_secured USING (owner = current_user);
ANALYZE prefix_secured;
CREATE ROLE regress_prefix_reader;
GRANT SELECT ON prefix_secured TO regress_prefix_reader;
GRANT USAGE ON SCHEMA billing TO regress_prefix_reader;
SET ROLE regress_prefix_reader;
SET enable_bitmapscan = off;
EXPLAIN (COSTS off) SELECT * FROM prefix_secured WHERE p OPERATOR(billing.@>) '4420'::text;
RESET ROLE;
RESET enable_bitmapscan;
DROP TABLE prefix_secured;
DROP OWNED BY regress_prefix_reader;
DROP ROLE regress_prefix_reader;

-- everything has a comment
SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
WHERE prosrc LIKE 'billing\_prefix\_%' AND obj_description(p.oid, 'pg_proc') IS NULL;
SELECT oid::regoperator FROM pg_operator WHERE 'prefix'::regtype IN (oprleft, oprright) AND obj_description(oid, 'pg_operator') IS NULL;
