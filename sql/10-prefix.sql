-- The type prefix: dialled symbols, at most 15, in eight bytes (design 3).
-- Requirements: P13 (longest prefix), V17 (prefix and fixed numbers), D17 (up to 15 digits, the most granular wins).

CREATE TYPE billing.prefix;

-- text and binary form

CREATE FUNCTION billing.prefix_in(cstring) RETURNS billing.prefix
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'billing_prefix_in';
COMMENT ON FUNCTION billing.prefix_in(cstring) IS
'Reads a prefix: 0 to 15 of the symbols 0-9 * # A-D after an optional +, which is dropped; the empty string is the empty prefix. Null for null. Error 22P02 for anything else, + alone included. (D17)';

CREATE FUNCTION billing.prefix_out(billing.prefix) RETURNS cstring
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'billing_prefix_out';
COMMENT ON FUNCTION billing.prefix_out(billing.prefix) IS
'Writes the symbols of a prefix, without +. Null for null; no errors. (D17)';

CREATE FUNCTION billing.prefix_recv(internal) RETURNS billing.prefix
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'billing_prefix_recv';
COMMENT ON FUNCTION billing.prefix_recv(internal) IS
'Reads the binary form: 8 bytes in network order, symbols as nibbles from the highest on, zeros, the length in the lowest nibble. Error 22P03 if a nibble behind the symbols is not zero. (D17)';

CREATE FUNCTION billing.prefix_send(billing.prefix) RETURNS bytea
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'billing_prefix_send';
COMMENT ON FUNCTION billing.prefix_send(billing.prefix) IS
'Writes the binary form of a prefix, 8 bytes. Null for null; no errors. (D17)';

CREATE TYPE billing.prefix (
	INPUT = billing.prefix_in,
	OUTPUT = billing.prefix_out,
	RECEIVE = billing.prefix_recv,
	SEND = billing.prefix_send,
	INTERNALLENGTH = 8,
	PASSEDBYVALUE,
	ALIGNMENT = double,
	STORAGE = plain,
	CATEGORY = 'U'
);
COMMENT ON TYPE billing.prefix IS
'The beginning of dialled numbers: 0 to 15 of the symbols 0-9 * # A-D, sorted in this order, a prefix before what begins with it. The empty prefix matches every number. (P13, V17, D17)';

-- Casts. Both are assignment casts: a price list is loaded from text columns and written to them without casts, and is
-- checked on the way. Neither is implicit: prefix = text must stay an error, for it could mean either comparison.

CREATE FUNCTION billing.prefix(text) RETURNS billing.prefix
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'billing_prefix_from_text';
COMMENT ON FUNCTION billing.prefix(text) IS
'The cast from text: reads and refuses (22P02) what the input function does. Null for null. (D17)';

CREATE FUNCTION billing.text(billing.prefix) RETURNS text
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'billing_prefix_to_text';
COMMENT ON FUNCTION billing.text(billing.prefix) IS
'The cast to text: the symbols, without +. Null for null; no errors. (D17)';

CREATE CAST (text AS billing.prefix) WITH FUNCTION billing.prefix(text) AS ASSIGNMENT;
COMMENT ON CAST (text AS billing.prefix) IS 'Symbols 0-9 * # A-D, at most 15, after an optional +; else 22P02.';
CREATE CAST (varchar AS billing.prefix) WITH FUNCTION billing.prefix(text) AS ASSIGNMENT;
COMMENT ON CAST (varchar AS billing.prefix) IS 'Symbols 0-9 * # A-D, at most 15, after an optional +; else 22P02.';
CREATE CAST (billing.prefix AS text) WITH FUNCTION billing.text(billing.prefix) AS ASSIGNMENT;
COMMENT ON CAST (billing.prefix AS text) IS 'The symbols, without +.';

CREATE FUNCTION billing.length(billing.prefix) RETURNS integer
LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'billing_prefix_length';
COMMENT ON FUNCTION billing.length(billing.prefix) IS
'The number of symbols of a prefix, 0 to 15. Null for null; no errors. (D17)';

-- order

CREATE FUNCTION billing.prefix_eq(billing.prefix, billing.prefix) RETURNS boolean
LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'billing_prefix_eq';
COMMENT ON FUNCTION billing.prefix_eq(billing.prefix, billing.prefix) IS
'Are two prefixes the same? Null for null; no errors. (P13)';

CREATE FUNCTION billing.prefix_ne(billing.prefix, billing.prefix) RETURNS boolean
LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'billing_prefix_ne';
COMMENT ON FUNCTION billing.prefix_ne(billing.prefix, billing.prefix) IS
'Are two prefixes different? Null for null; no errors. (P13)';

CREATE FUNCTION billing.prefix_lt(billing.prefix, billing.prefix) RETURNS boolean
LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'billing_prefix_lt';
COMMENT ON FUNCTION billing.prefix_lt(billing.prefix, billing.prefix) IS
'Does the first prefix come before the second in dialling order? Null for null; no errors. (P13)';

CREATE FUNCTION billing.prefix_le(billing.prefix, billing.prefix) RETURNS boolean
LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'billing_prefix_le';
COMMENT ON FUNCTION billing.prefix_le(billing.prefix, billing.prefix) IS
'Does the first prefix not come after the second in dialling order? Null for null; no errors. (P13)';

CREATE FUNCTION billing.prefix_gt(billing.prefix, billing.prefix) RETURNS boolean
LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'billing_prefix_gt';
COMMENT ON FUNCTION billing.prefix_gt(billing.prefix, billing.prefix) IS
'Does the first prefix come after the second in dialling order? Null for null; no errors. (P13)';

CREATE FUNCTION billing.prefix_ge(billing.prefix, billing.prefix) RETURNS boolean
LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'billing_prefix_ge';
COMMENT ON FUNCTION billing.prefix_ge(billing.prefix, billing.prefix) IS
'Does the first prefix not come before the second in dialling order? Null for null; no errors. (P13)';

CREATE OPERATOR billing.= (
	LEFTARG = billing.prefix, RIGHTARG = billing.prefix, FUNCTION = billing.prefix_eq,
	COMMUTATOR = OPERATOR(billing.=), NEGATOR = OPERATOR(billing.<>),
	RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES
);
COMMENT ON OPERATOR billing.= (billing.prefix, billing.prefix) IS 'Same prefix.';

CREATE OPERATOR billing.<> (
	LEFTARG = billing.prefix, RIGHTARG = billing.prefix, FUNCTION = billing.prefix_ne,
	COMMUTATOR = OPERATOR(billing.<>), NEGATOR = OPERATOR(billing.=),
	RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR billing.<> (billing.prefix, billing.prefix) IS 'Different prefixes.';

CREATE OPERATOR billing.< (
	LEFTARG = billing.prefix, RIGHTARG = billing.prefix, FUNCTION = billing.prefix_lt,
	COMMUTATOR = OPERATOR(billing.>), NEGATOR = OPERATOR(billing.>=),
	RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
COMMENT ON OPERATOR billing.< (billing.prefix, billing.prefix) IS 'Before, in dialling order.';

CREATE OPERATOR billing.<= (
	LEFTARG = billing.prefix, RIGHTARG = billing.prefix, FUNCTION = billing.prefix_le,
	COMMUTATOR = OPERATOR(billing.>=), NEGATOR = OPERATOR(billing.>),
	RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
COMMENT ON OPERATOR billing.<= (billing.prefix, billing.prefix) IS 'Before or the same, in dialling order.';

CREATE OPERATOR billing.> (
	LEFTARG = billing.prefix, RIGHTARG = billing.prefix, FUNCTION = billing.prefix_gt,
	COMMUTATOR = OPERATOR(billing.<), NEGATOR = OPERATOR(billing.<=),
	RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);
COMMENT ON OPERATOR billing.> (billing.prefix, billing.prefix) IS 'After, in dialling order.';

CREATE OPERATOR billing.>= (
	LEFTARG = billing.prefix, RIGHTARG = billing.prefix, FUNCTION = billing.prefix_ge,
	COMMUTATOR = OPERATOR(billing.<=), NEGATOR = OPERATOR(billing.<),
	RESTRICT = scalargesel, JOIN = scalargejoinsel
);
COMMENT ON OPERATOR billing.>= (billing.prefix, billing.prefix) IS 'After or the same, in dialling order.';

CREATE FUNCTION billing.prefix_cmp(billing.prefix, billing.prefix) RETURNS integer
LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'billing_prefix_cmp';
COMMENT ON FUNCTION billing.prefix_cmp(billing.prefix, billing.prefix) IS
'Dialling order: -1, 0 or 1 as the first prefix is before, the same as or after the second. Null for null; no errors. (P13)';

CREATE FUNCTION billing.prefix_sortsupport(internal) RETURNS void
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'billing_prefix_sortsupport';
COMMENT ON FUNCTION billing.prefix_sortsupport(internal) IS
'Sort support of the btree operator class prefix_ops. For the server only. (P13)';

CREATE FUNCTION billing.prefix_hash(billing.prefix) RETURNS integer
LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'billing_prefix_hash';
COMMENT ON FUNCTION billing.prefix_hash(billing.prefix) IS
'Hash of a prefix, the same on every machine. Null for null; no errors. (P13)';

CREATE FUNCTION billing.prefix_hash_extended(billing.prefix, bigint) RETURNS bigint
LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'billing_prefix_hash_extended';
COMMENT ON FUNCTION billing.prefix_hash_extended(billing.prefix, bigint) IS
'Seeded 64-bit hash of a prefix, the same on every machine. Null for null; no errors. (P13)';

CREATE OPERATOR CLASS billing.prefix_ops DEFAULT FOR TYPE billing.prefix USING btree AS
	OPERATOR 1 billing.<,
	OPERATOR 2 billing.<=,
	OPERATOR 3 billing.=,
	OPERATOR 4 billing.>=,
	OPERATOR 5 billing.>,
	FUNCTION 1 billing.prefix_cmp(billing.prefix, billing.prefix),
	FUNCTION 2 billing.prefix_sortsupport(internal),
	FUNCTION 4 pg_catalog.btequalimage(oid);
COMMENT ON OPERATOR CLASS billing.prefix_ops USING btree IS
'Dialling order. Serves @> and <@ too, by the planner support functions. (P13)';
COMMENT ON OPERATOR FAMILY billing.prefix_ops USING btree IS 'Dialling order of prefixes.';

CREATE OPERATOR CLASS billing.prefix_ops DEFAULT FOR TYPE billing.prefix USING hash AS
	OPERATOR 1 billing.=,
	FUNCTION 1 billing.prefix_hash(billing.prefix),
	FUNCTION 2 billing.prefix_hash_extended(billing.prefix, bigint);
COMMENT ON OPERATOR CLASS billing.prefix_ops USING hash IS 'Equality of prefixes. (P13)';
COMMENT ON OPERATOR FAMILY billing.prefix_ops USING hash IS 'Equality of prefixes.';
