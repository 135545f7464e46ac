-- Which prefixes does a number begin with: the operators @>, <@ and <->, and their indexes (design 7).

-- what the planner asks

CREATE FUNCTION billing.prefix_contains_support(internal) RETURNS internal
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'billing_prefix_contains_support';
COMMENT ON FUNCTION billing.prefix_contains_support(internal) IS
'Planner support of @>: turns it into an exact condition on any btree with a prefix column. For the server only. (P13)';

CREATE FUNCTION billing.prefix_contained_support(internal) RETURNS internal
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'billing_prefix_contained_support';
COMMENT ON FUNCTION billing.prefix_contained_support(internal) IS
'Planner support of <@: turns it into an exact condition on any btree with a prefix column. For the server only. (P13)';

CREATE FUNCTION billing.prefix_contains_sel(internal, oid, internal, integer) RETURNS double precision
LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'billing_prefix_contains_sel';
COMMENT ON FUNCTION billing.prefix_contains_sel(internal, oid, internal, integer) IS
'Restriction estimate of @>, a fraction of 0 to 1. For the server only. (P13)';

CREATE FUNCTION billing.prefix_contained_sel(internal, oid, internal, integer) RETURNS double precision
LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'billing_prefix_contained_sel';
COMMENT ON FUNCTION billing.prefix_contained_sel(internal, oid, internal, integer) IS
'Restriction estimate of <@, a fraction of 0 to 1. For the server only. (P13)';

CREATE FUNCTION billing.prefix_contains_joinsel(internal, oid, internal, smallint, internal) RETURNS double precision
LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'billing_prefix_contains_joinsel';
COMMENT ON FUNCTION billing.prefix_contains_joinsel(internal, oid, internal, smallint, internal) IS
'Join estimate of @>, a fraction of 0 to 1. For the server only. (P13)';

CREATE FUNCTION billing.prefix_contained_joinsel(internal, oid, internal, smallint, internal) RETURNS double precision
LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'billing_prefix_contained_joinsel';
COMMENT ON FUNCTION billing.prefix_contained_joinsel(internal, oid, internal, smallint, internal) IS
'Join estimate of <@, a fraction of 0 to 1. For the server only. (P13)';

-- the functions that the support functions build conditions of

CREATE FUNCTION billing.prefixes(billing.prefix) RETURNS billing.prefix[]
LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'billing_prefix_prefixes';
COMMENT ON FUNCTION billing.prefixes(billing.prefix) IS
'All prefixes that this one begins with, from the empty one to itself: p @> q is p = ANY (billing.prefixes(q)). Null for null; no errors. (P13)';

CREATE FUNCTION billing.prefixes(text) RETURNS billing.prefix[]
LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'billing_prefix_prefixes_number';
COMMENT ON FUNCTION billing.prefixes(text) IS
'All prefixes of a number, from the empty one to its first 15 symbols, after dropping a leading +; an empty array if it is not readable. Null for null; no errors. (P13, D17)';

CREATE FUNCTION billing.prefix_last(billing.prefix) RETURNS billing.prefix
LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'billing_prefix_last';
COMMENT ON FUNCTION billing.prefix_last(billing.prefix) IS
'The last prefix in dialling order that begins with this one: p <@ q is p BETWEEN q AND billing.prefix_last(q). Null for null; no errors. (P13)';

-- containment

CREATE FUNCTION billing.prefix_contains(billing.prefix, billing.prefix) RETURNS boolean
LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE SUPPORT billing.prefix_contains_support
AS 'MODULE_PATHNAME', 'billing_prefix_contains';
COMMENT ON FUNCTION billing.prefix_contains(billing.prefix, billing.prefix) IS
'Does the second prefix begin with the first? Every prefix does with itself and with the empty one. Null for null; no errors. (P13)';

CREATE FUNCTION billing.prefix_contains(billing.prefix, text) RETURNS boolean
LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE SUPPORT billing.prefix_contains_support
AS 'MODULE_PATHNAME', 'billing_prefix_contains_number';
COMMENT ON FUNCTION billing.prefix_contains(billing.prefix, text) IS
'Does the number, by its first 15 symbols and without a leading +, begin with the prefix? False, never an error, for a number that is not readable. Null for null. (P13, V17, D17)';

CREATE FUNCTION billing.prefix_contained(billing.prefix, billing.prefix) RETURNS boolean
LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE SUPPORT billing.prefix_contained_support
AS 'MODULE_PATHNAME', 'billing_prefix_contained';
COMMENT ON FUNCTION billing.prefix_contained(billing.prefix, billing.prefix) IS
'Does the first prefix begin with the second? Null for null; no errors. (P13)';

CREATE FUNCTION billing.prefix_contained(text, billing.prefix) RETURNS boolean
LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE SUPPORT billing.prefix_contained_support
AS 'MODULE_PATHNAME', 'billing_prefix_number_contained';
COMMENT ON FUNCTION billing.prefix_contained(text, billing.prefix) IS
'Does the number, by its first 15 symbols and without a leading +, begin with the prefix? False, never an error, for a number that is not readable. Null for null. (P13, V17, D17)';

-- A literal without a type on the right is read as a prefix (the server prefers equal types), so one of more than 15
-- symbols is refused, with a hint; write prefix @> '...'::text, as for a parameter.

CREATE OPERATOR billing.@> (
	LEFTARG = billing.prefix, RIGHTARG = billing.prefix, FUNCTION = billing.prefix_contains,
	COMMUTATOR = OPERATOR(billing.<@),
	RESTRICT = billing.prefix_contains_sel, JOIN = billing.prefix_contains_joinsel
);
COMMENT ON OPERATOR billing.@> (billing.prefix, billing.prefix) IS
'The right prefix begins with the left one. A literal without a type is read as a prefix, at most 15 symbols: write @> ''...''::text for a number of any length.';

CREATE OPERATOR billing.<@ (
	LEFTARG = billing.prefix, RIGHTARG = billing.prefix, FUNCTION = billing.prefix_contained,
	COMMUTATOR = OPERATOR(billing.@>),
	RESTRICT = billing.prefix_contained_sel, JOIN = billing.prefix_contained_joinsel
);
COMMENT ON OPERATOR billing.<@ (billing.prefix, billing.prefix) IS 'The left prefix begins with the right one.';

CREATE OPERATOR billing.@> (
	LEFTARG = billing.prefix, RIGHTARG = text, FUNCTION = billing.prefix_contains,
	COMMUTATOR = OPERATOR(billing.<@),
	RESTRICT = billing.prefix_contains_sel, JOIN = billing.prefix_contains_joinsel
);
COMMENT ON OPERATOR billing.@> (billing.prefix, text) IS 'The number, of any length, begins with the prefix.';

CREATE OPERATOR billing.<@ (
	LEFTARG = text, RIGHTARG = billing.prefix, FUNCTION = billing.prefix_contained,
	COMMUTATOR = OPERATOR(billing.@>),
	RESTRICT = billing.prefix_contained_sel, JOIN = billing.prefix_contained_joinsel
);
COMMENT ON OPERATOR billing.<@ (text, billing.prefix) IS 'The number, of any length, begins with the prefix.';

-- distance

CREATE FUNCTION billing.prefix_distance(billing.prefix, billing.prefix) RETURNS double precision
LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'billing_prefix_distance';
COMMENT ON FUNCTION billing.prefix_distance(billing.prefix, billing.prefix) IS
'15 minus the length of the first prefix, in symbols, if the second begins with it, else infinity: ascending order is longest match first. Null for null; no errors. (P13, D17)';

CREATE FUNCTION billing.prefix_distance(billing.prefix, text) RETURNS double precision
LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'billing_prefix_distance_number';
COMMENT ON FUNCTION billing.prefix_distance(billing.prefix, text) IS
'15 minus the length of the prefix, in symbols, if the number begins with it, else infinity, also for a number that is not readable: ascending order is longest match first. Null for null; no errors. (P13, D17)';

CREATE OPERATOR billing.<-> (
	LEFTARG = billing.prefix, RIGHTARG = billing.prefix, FUNCTION = billing.prefix_distance
);
COMMENT ON OPERATOR billing.<-> (billing.prefix, billing.prefix) IS 'Distance from the longest match: ORDER BY prefix <-> number is longest first.';

CREATE OPERATOR billing.<-> (
	LEFTARG = billing.prefix, RIGHTARG = text, FUNCTION = billing.prefix_distance
);
COMMENT ON OPERATOR billing.<-> (billing.prefix, text) IS 'Distance from the longest match: ORDER BY prefix <-> number is longest first.';

-- SP-GiST

CREATE FUNCTION billing.prefix_spg_config(internal, internal) RETURNS void
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'billing_prefix_spg_config';
COMMENT ON FUNCTION billing.prefix_spg_config(internal, internal) IS
'SP-GiST operator class prefix_ops: its types. For the server only. (P13)';

CREATE FUNCTION billing.prefix_spg_choose(internal, internal) RETURNS void
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'billing_prefix_spg_choose';
COMMENT ON FUNCTION billing.prefix_spg_choose(internal, internal) IS
'SP-GiST operator class prefix_ops: the way of a new prefix. For the server only. (P13)';

CREATE FUNCTION billing.prefix_spg_picksplit(internal, internal) RETURNS void
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'billing_prefix_spg_picksplit';
COMMENT ON FUNCTION billing.prefix_spg_picksplit(internal, internal) IS
'SP-GiST operator class prefix_ops: divides by the first symbol that differs. For the server only. (P13)';

CREATE FUNCTION billing.prefix_spg_inner_consistent(internal, internal) RETURNS void
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'billing_prefix_spg_inner_consistent';
COMMENT ON FUNCTION billing.prefix_spg_inner_consistent(internal, internal) IS
'SP-GiST operator class prefix_ops: which nodes a scan visits. For the server only. (P13)';

CREATE FUNCTION billing.prefix_spg_leaf_consistent(internal, internal) RETURNS boolean
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'billing_prefix_spg_leaf_consistent';
COMMENT ON FUNCTION billing.prefix_spg_leaf_consistent(internal, internal) IS
'SP-GiST operator class prefix_ops: which prefixes a scan returns. For the server only. (P13)';

-- Strategy numbers are those of src/include/access/stratnum.h.
CREATE OPERATOR CLASS billing.prefix_ops DEFAULT FOR TYPE billing.prefix USING spgist AS
	OPERATOR 7 billing.@> (billing.prefix, billing.prefix),
	OPERATOR 7 billing.@> (billing.prefix, text),
	OPERATOR 8 billing.<@ (billing.prefix, billing.prefix),
	OPERATOR 15 billing.<-> (billing.prefix, billing.prefix) FOR ORDER BY pg_catalog.float_ops,
	OPERATOR 15 billing.<-> (billing.prefix, text) FOR ORDER BY pg_catalog.float_ops,
	OPERATOR 18 billing.= (billing.prefix, billing.prefix),
	OPERATOR 20 billing.< (billing.prefix, billing.prefix),
	OPERATOR 21 billing.<= (billing.prefix, billing.prefix),
	OPERATOR 22 billing.> (billing.prefix, billing.prefix),
	OPERATOR 23 billing.>= (billing.prefix, billing.prefix),
	FUNCTION 1 billing.prefix_spg_config(internal, internal),
	FUNCTION 2 billing.prefix_spg_choose(internal, internal),
	FUNCTION 3 billing.prefix_spg_picksplit(internal, internal),
	FUNCTION 4 billing.prefix_spg_inner_consistent(internal, internal),
	FUNCTION 5 billing.prefix_spg_leaf_consistent(internal, internal);
COMMENT ON OPERATOR CLASS billing.prefix_ops USING spgist IS
'A trie of dialled symbols: @>, <@, comparisons, and ORDER BY prefix <-> number, longest match first. (P13, D17)';
COMMENT ON OPERATOR FAMILY billing.prefix_ops USING spgist IS 'A trie of dialled symbols.';
