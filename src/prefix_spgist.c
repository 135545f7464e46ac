/*
 * prefix_spgist.c
 *		The SP-GiST operator class prefix_ops: a trie of dialled symbols.
 *
 * An inner tuple carries all symbols from the root down to it (they fit into
 * eight bytes anyway), so nothing has to be reconstructed on the way.  Its nodes
 * are labelled with the code of the next symbol, or LABEL_END for the prefixes
 * that end here.  A leaf holds the whole prefix.
 *
 * Inner tuples take all that their values have in common, so values that cannot
 * be told apart by a symbol are equal: an all-the-same tuple has nodes LABEL_END
 * only.
 */
#include "postgres.h"

#include "access/spgist.h"
#include "access/stratnum.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/float.h"

#include "prefix_sql.h"

PG_FUNCTION_INFO_V1(billing_prefix_spg_config);
PG_FUNCTION_INFO_V1(billing_prefix_spg_choose);
PG_FUNCTION_INFO_V1(billing_prefix_spg_picksplit);
PG_FUNCTION_INFO_V1(billing_prefix_spg_inner_consistent);
PG_FUNCTION_INFO_V1(billing_prefix_spg_leaf_consistent);

#define LABEL_END	(-1)
#define NLABELS		17			/* LABEL_END and the 16 symbols */

/* The label below an inner tuple whose symbols p begins with. */
static int
label_of(Prefix p, Prefix inner)
{
	int			level = prefix_len(inner);

	return level < prefix_len(p) ? (int) prefix_symbol(p, level) : LABEL_END;
}

static Datum *
one_label(int label)
{
	Datum	   *labels = palloc(sizeof(Datum));

	labels[0] = Int16GetDatum(label);
	return labels;
}

/*
 * prefix_spg_config(internal, internal)
 */
Datum
billing_prefix_spg_config(PG_FUNCTION_ARGS)
{
	spgConfigIn *in = (spgConfigIn *) PG_GETARG_POINTER(0);
	spgConfigOut *out = (spgConfigOut *) PG_GETARG_POINTER(1);

	out->prefixType = in->attType;
	out->labelType = INT2OID;
	out->canReturnData = true;
	out->longValuesOK = false;
	PG_RETURN_VOID();
}

/*
 * Put a new tuple, of the symbols upper and one node, above the present one,
 * which stays as it is.
 */
static void
split_above(spgChooseOut *out, Prefix upper, int label, Prefix lower)
{
	out->resultType = spgSplitTuple;
	out->result.splitTuple.prefixHasPrefix = true;
	out->result.splitTuple.prefixPrefixDatum = PrefixGetDatum(upper);
	out->result.splitTuple.prefixNNodes = 1;
	out->result.splitTuple.prefixNodeLabels = one_label(label);
	out->result.splitTuple.childNodeN = 0;
	out->result.splitTuple.postfixHasPrefix = true;
	out->result.splitTuple.postfixPrefixDatum = PrefixGetDatum(lower);
}

/* The first node whose label is not less: where to look, and where to add. */
static int
find_node(const spgChooseIn *in, int label)
{
	int			i = 0;

	while (i < in->nNodes && DatumGetInt16(in->nodeLabels[i]) < label)
		i++;
	return i;
}

/*
 * prefix_spg_choose(internal, internal)
 */
Datum
billing_prefix_spg_choose(PG_FUNCTION_ARGS)
{
	spgChooseIn *in = (spgChooseIn *) PG_GETARG_POINTER(0);
	spgChooseOut *out = (spgChooseOut *) PG_GETARG_POINTER(1);
	Prefix		p = DatumGetPrefix(in->datum);
	Prefix		inner = DatumGetPrefix(in->prefixDatum);
	Prefix		common = prefix_common(p, inner);
	int			label = label_of(p, inner);
	int			node;

	if (common != inner)
	{
		split_above(out, common, label_of(inner, common), inner);
		PG_RETURN_VOID();
	}

	node = find_node(in, label);
	if (node < in->nNodes && DatumGetInt16(in->nodeLabels[node]) == label)
	{
		out->resultType = spgMatchNode;
		out->result.matchNode.nodeN = node;
		out->result.matchNode.levelAdd = 0;
		out->result.matchNode.restDatum = in->datum;
	}
	else if (in->allTheSame)
		split_above(out, inner, LABEL_END, inner);	/* no node may be added */
	else
	{
		out->resultType = spgAddNode;
		out->result.addNode.nodeLabel = Int16GetDatum(label);
		out->result.addNode.nodeN = node;
	}
	PG_RETURN_VOID();
}

/* Fills node[label + 1] with the number of the node for it; returns how many. */
static int
number_nodes(const spgPickSplitIn *in, Prefix common, int *node)
{
	bool		used[NLABELS] = {false};
	int			nnodes = 0;

	for (int i = 0; i < in->nTuples; i++)
		used[label_of(DatumGetPrefix(in->datums[i]), common) + 1] = true;
	for (int i = 0; i < NLABELS; i++)
		node[i] = used[i] ? nnodes++ : -1;
	return nnodes;
}

/*
 * prefix_spg_picksplit(internal, internal)
 */
Datum
billing_prefix_spg_picksplit(PG_FUNCTION_ARGS)
{
	spgPickSplitIn *in = (spgPickSplitIn *) PG_GETARG_POINTER(0);
	spgPickSplitOut *out = (spgPickSplitOut *) PG_GETARG_POINTER(1);
	Prefix		common = DatumGetPrefix(in->datums[0]);
	int			node[NLABELS];

	for (int i = 1; i < in->nTuples; i++)
		common = prefix_common(common, DatumGetPrefix(in->datums[i]));

	out->hasPrefix = true;
	out->prefixDatum = PrefixGetDatum(common);
	out->nNodes = number_nodes(in, common, node);
	out->nodeLabels = palloc(sizeof(Datum) * out->nNodes);
	for (int i = 0; i < NLABELS; i++)
		if (node[i] >= 0)
			out->nodeLabels[node[i]] = Int16GetDatum(i - 1);

	out->mapTuplesToNodes = palloc(sizeof(int) * in->nTuples);
	out->leafTupleDatums = palloc(sizeof(Datum) * in->nTuples);
	for (int i = 0; i < in->nTuples; i++)
	{
		Prefix		p = DatumGetPrefix(in->datums[i]);

		out->mapTuplesToNodes[i] = node[label_of(p, common) + 1];
		out->leafTupleDatums[i] = in->datums[i];
	}
	PG_RETURN_VOID();
}

/* The right side of a key; false if it is a number that cannot be read. */
static bool
key_argument(ScanKey key, Prefix *out)
{
	if (key->sk_subtype == TEXTOID)
		return billing_prefix_of_number(key->sk_argument, out);
	*out = DatumGetPrefix(key->sk_argument);
	return true;
}

/*
 * May a value from first to last satisfy the key?  The values are one prefix
 * (first = last), or all that begin with first.
 */
static bool
range_satisfies(Prefix first, Prefix last, ScanKey key)
{
	Prefix		arg;

	if ((key->sk_flags & SK_ISNULL) || !key_argument(key, &arg))
		return false;

	switch (key->sk_strategy)
	{
		case RTContainsStrategyNumber:
			return prefix_contains(first, arg);
		case RTContainedByStrategyNumber:
			return first <= prefix_last(arg) && last >= arg;
		case RTEqualStrategyNumber:
			return first <= arg && last >= arg;
		case RTLessStrategyNumber:
			return first < arg;
		case RTLessEqualStrategyNumber:
			return first <= arg;
		case RTGreaterStrategyNumber:
			return last > arg;
		case RTGreaterEqualStrategyNumber:
			return last >= arg;
		default:
			elog(ERROR, "unrecognized strategy number: %d", key->sk_strategy);
			return false;
	}
}

static bool
range_satisfies_all(Prefix first, Prefix last, ScanKey keys, int nkeys)
{
	for (int i = 0; i < nkeys; i++)
		if (!range_satisfies(first, last, &keys[i]))
			return false;
	return true;
}

/*
 * The least distance that a value from first to last can have: the only ones
 * that are not at infinity are prefixes of the number, at best the number itself.
 */
static double
range_distance(Prefix first, Prefix last, ScanKey key)
{
	Prefix		number;

	if ((key->sk_flags & SK_ISNULL) || !key_argument(key, &number) ||
		!prefix_contains(first, number))
		return get_float8_infinity();
	return billing_prefix_miss(first == last ? first : number, number);
}

static double *
range_distances(Prefix first, Prefix last, ScanKey orderbys, int n)
{
	double	   *distances = palloc(sizeof(double) * n);

	for (int i = 0; i < n; i++)
		distances[i] = range_distance(first, last, &orderbys[i]);
	return distances;
}

/* The values below a node, as a range. */
static void
node_range(Prefix inner, int label, Prefix *first, Prefix *last)
{
	*first = label == LABEL_END ? inner : prefix_append(inner, label);
	*last = label == LABEL_END ? inner : prefix_last(*first);
}

/*
 * prefix_spg_inner_consistent(internal, internal)
 */
Datum
billing_prefix_spg_inner_consistent(PG_FUNCTION_ARGS)
{
	spgInnerConsistentIn *in = (spgInnerConsistentIn *) PG_GETARG_POINTER(0);
	spgInnerConsistentOut *out = (spgInnerConsistentOut *) PG_GETARG_POINTER(1);
	Prefix		inner = DatumGetPrefix(in->prefixDatum);

	out->nNodes = 0;
	out->nodeNumbers = palloc(sizeof(int) * in->nNodes);
	if (in->norderbys > 0)
		out->distances = palloc(sizeof(double *) * in->nNodes);

	for (int i = 0; i < in->nNodes; i++)
	{
		Prefix		first,
					last;

		node_range(inner, DatumGetInt16(in->nodeLabels[i]), &first, &last);
		if (!range_satisfies_all(first, last, in->scankeys, in->nkeys))
			continue;
		if (in->norderbys > 0)
			out->distances[out->nNodes] =
				range_distances(first, last, in->orderbys, in->norderbys);
		out->nodeNumbers[out->nNodes++] = i;
	}
	PG_RETURN_VOID();
}

/*
 * prefix_spg_leaf_consistent(internal, internal) returns boolean
 */
Datum
billing_prefix_spg_leaf_consistent(PG_FUNCTION_ARGS)
{
	spgLeafConsistentIn *in = (spgLeafConsistentIn *) PG_GETARG_POINTER(0);
	spgLeafConsistentOut *out = (spgLeafConsistentOut *) PG_GETARG_POINTER(1);
	Prefix		p = DatumGetPrefix(in->leafDatum);

	out->leafValue = in->leafDatum;
	out->recheck = false;
	out->recheckDistances = false;
	if (!range_satisfies_all(p, p, in->scankeys, in->nkeys))
		PG_RETURN_BOOL(false);
	if (in->norderbys > 0)
		out->distances = range_distances(p, p, in->orderbys, in->norderbys);
	PG_RETURN_BOOL(true);
}
