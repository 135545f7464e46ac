/*
 * prefix_support.c
 *		What the planner learns about @> and <@ of prefixes: index conditions for
 *		btrees, and selectivities.
 *
 * Both operators have a container (the prefix) and a number (a prefix or text
 * that begins with it): container @> number, number <@ container.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/stratnum.h"
#include "catalog/pg_am.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "nodes/supportnodes.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"
#include "utils/syscache.h"

#include "prefix_sql.h"

PG_FUNCTION_INFO_V1(billing_prefix_contains_support);
PG_FUNCTION_INFO_V1(billing_prefix_contained_support);
PG_FUNCTION_INFO_V1(billing_prefix_contains_sel);
PG_FUNCTION_INFO_V1(billing_prefix_contained_sel);
PG_FUNCTION_INFO_V1(billing_prefix_contains_joinsel);
PG_FUNCTION_INFO_V1(billing_prefix_contained_joinsel);

/* When nothing is known, as for LIKE with a fixed beginning. */
#define DEFAULT_SELECTIVITY 0.005

/* ---------- index conditions ---------- */

/*
 * A call of the extension's function of that name, found beside the operator's
 * function whatever the search_path; folded if the argument is constant.  NULL
 * if there is none.
 */
static Node *
call_beside(const SupportRequestIndexCondition *req, const char *name,
			Node *arg)
{
	Oid			argtype = exprType(arg);
	oidvector  *argtypes = buildoidvector(&argtype, 1);
	Oid			func = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
									   CStringGetDatum(name),
									   PointerGetDatum(argtypes),
									   ObjectIdGetDatum(get_func_namespace(req->funcid)));

	if (!OidIsValid(func))
		return NULL;
	return eval_const_expressions(req->root,
								  (Node *) makeFuncExpr(func, get_func_rettype(func),
														list_make1(copyObject(arg)),
														InvalidOid,
														exprCollation(arg),
														COERCE_EXPLICIT_CALL));
}

/* The operator of the index's family for two values of its type. */
static Oid
family_operator(const SupportRequestIndexCondition *req, int strategy)
{
	Oid			type = req->index->opcintype[req->indexcol];

	return get_opfamily_member(req->opfamily, type, type, strategy);
}

/* key @> number: key = ANY (prefixes(number)) */
static List *
any_prefix_of(const SupportRequestIndexCondition *req, Node *key, Node *number)
{
	Node	   *prefixes = call_beside(req, "prefixes", number);
	Oid			equal = family_operator(req, BTEqualStrategyNumber);
	ScalarArrayOpExpr *any;

	if (prefixes == NULL || !OidIsValid(equal))
		return NIL;

	any = makeNode(ScalarArrayOpExpr);
	any->opno = equal;
	any->opfuncid = get_opcode(equal);
	any->useOr = true;
	any->args = list_make2(key, prefixes);
	any->location = -1;
	return list_make1(any);
}

/* key <@ container: key >= container AND key <= prefix_last(container) */
static List *
range_of(const SupportRequestIndexCondition *req, Node *key, Node *container)
{
	Node	   *last = call_beside(req, "prefix_last", container);
	Oid			ge = family_operator(req, BTGreaterEqualStrategyNumber);
	Oid			le = family_operator(req, BTLessEqualStrategyNumber);

	if (last == NULL || !OidIsValid(ge) || !OidIsValid(le))
		return NIL;

	return list_make2(make_opclause(ge, BOOLOID, false, (Expr *) key,
									(Expr *) container, InvalidOid, InvalidOid),
					  make_opclause(le, BOOLOID, false, (Expr *) key,
									(Expr *) last, InvalidOid, InvalidOid));
}

static List *
call_arguments(Node *call)
{
	if (is_opclause(call))
		return ((OpExpr *) call)->args;
	if (is_funcclause(call))
		return ((FuncExpr *) call)->args;
	return NIL;
}

/* Exact conditions on a btree's column, or NIL; container is an argument's place. */
static List *
index_condition(SupportRequestIndexCondition *req, int container)
{
	List	   *args = call_arguments(req->node);
	Node	   *key,
			   *other;

	if (req->index->relam != BTREE_AM_OID || list_length(args) != 2)
		return NIL;

	key = list_nth(args, req->indexarg);
	other = list_nth(args, 1 - req->indexarg);

	/* A column of numbers as text has an order of its own. */
	if (exprType(list_nth(args, container)) != req->index->opcintype[req->indexcol])
		return NIL;
	/* The planner has seen to this for operators, not for calls by name. */
	if (!is_pseudo_constant_for_index(req->root, other, req->index))
		return NIL;

	req->lossy = false;
	if (req->indexarg == container)
		return any_prefix_of(req, key, other);
	if (exprType(key) != exprType(other))
		return NIL;
	return range_of(req, key, other);
}

static Node *
support(Node *request, int container)
{
	if (IsA(request, SupportRequestIndexCondition))
		return (Node *) index_condition((SupportRequestIndexCondition *) request,
										container);
	return NULL;
}

/*
 * prefix_contains_support(internal), prefix_contained_support(internal)
 * The planner support functions of @> and <@.
 */
Datum
billing_prefix_contains_support(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(support((Node *) PG_GETARG_POINTER(0), 0));
}

Datum
billing_prefix_contained_support(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(support((Node *) PG_GETARG_POINTER(0), 1));
}

/* ---------- selectivity ---------- */

/* What a column's most common values say. */
typedef struct
{
	double		matched;		/* fraction of rows with a matching one, or what to
								 * expect if the constant is not known */
	double		total;			/* fraction of rows with any of them */
	int			nvalues;
} CommonValues;

/* A side of the operator that is a prefix column, and the constant it meets. */
typedef struct
{
	VariableStatData *column;
	bool		is_container;	/* which side is it? */
	bool		usable;			/* may the statistics be looked at? */
	const Prefix *constant;		/* NULL: not known yet */
} Search;

static bool
matches(const Search *search, Prefix value)
{
	return search->is_container ?
		prefix_contains(value, *search->constant) :
		prefix_contains(*search->constant, value);
}

static bool
statistics_slot(const Search *search, int kind, int flags, AttStatsSlot *slot)
{
	return search->usable &&
		get_attstatsslot(slot, search->column->statsTuple, kind, InvalidOid,
						 flags);
}

/*
 * The chance that a number begins with a prefix: one in 10 for each symbol.
 */
static double
chance(Prefix value)
{
	return pow(0.1, prefix_len(value));
}

static CommonValues
common_values(const Search *search)
{
	CommonValues result = {0, 0, 0};
	AttStatsSlot slot;

	if (!statistics_slot(search, STATISTIC_KIND_MCV,
						 ATTSTATSSLOT_VALUES | ATTSTATSSLOT_NUMBERS, &slot))
		return result;

	result.nvalues = slot.nvalues;
	for (int i = 0; i < slot.nvalues; i++)
	{
		Prefix		value = DatumGetPrefix(slot.values[i]);

		result.total += slot.numbers[i];
		if (search->constant == NULL)
			result.matched += slot.numbers[i] * chance(value);
		else if (matches(search, value))
			result.matched += slot.numbers[i];
	}
	free_attstatsslot(&slot);
	return result;
}

/*
 * Of the values that are not common, the fraction that a number begins with.
 * The histogram is a sample of their lengths.  At least one of them, for people
 * look up numbers that they can call.
 */
static double
fraction_matching(const Search *search, double nvalues)
{
	int			longest = search->constant ? prefix_len(*search->constant) :
		PREFIX_MAX_LEN;
	double		sum = 0;
	AttStatsSlot slot;

	if (!statistics_slot(search, STATISTIC_KIND_HISTOGRAM, ATTSTATSSLOT_VALUES,
						 &slot))
		return Min((longest + 1) / nvalues, 1.0);

	for (int i = 0; i < slot.nvalues; i++)
	{
		Prefix		value = DatumGetPrefix(slot.values[i]);

		if (prefix_len(value) <= longest)
			sum += chance(value);
	}
	sum /= slot.nvalues;
	free_attstatsslot(&slot);
	return Max(sum, 1.0 / nvalues);
}

/* The fraction of a histogram that is less than p. */
static double
histogram_below(const AttStatsSlot *slot, Prefix p)
{
	int			low = 0,
				high = slot->nvalues - 1;
	Prefix		from,
				to;

	if (p <= DatumGetPrefix(slot->values[low]))
		return 0;
	if (p > DatumGetPrefix(slot->values[high]))
		return 1;

	/* values[low] < p <= values[high] */
	while (high - low > 1)
	{
		int			middle = (low + high) / 2;

		if (DatumGetPrefix(slot->values[middle]) < p)
			low = middle;
		else
			high = middle;
	}
	from = DatumGetPrefix(slot->values[low]);
	to = DatumGetPrefix(slot->values[high]);
	return (low + (double) (p - from) / (double) (to - from)) /
		(slot->nvalues - 1);
}

/* Of the values that are not common, the fraction that begins with the constant. */
static double
fraction_within(const Search *search)
{
	AttStatsSlot slot;
	double		fraction;

	if (search->constant == NULL)
		return DEFAULT_SELECTIVITY;
	if (!statistics_slot(search, STATISTIC_KIND_HISTOGRAM, ATTSTATSSLOT_VALUES,
						 &slot))
		return chance(*search->constant);

	if (slot.nvalues < 2)
		fraction = DEFAULT_SELECTIVITY;
	else
		fraction = histogram_below(&slot, prefix_last(*search->constant)) -
			histogram_below(&slot, *search->constant);
	free_attstatsslot(&slot);
	return fraction;
}

static double
null_fraction(const VariableStatData *column)
{
	HeapTuple	tuple = column->statsTuple;

	return HeapTupleIsValid(tuple) ?
		((Form_pg_statistic) GETSTRUCT(tuple))->stanullfrac : 0.0;
}

/* The fraction of the column's rows that satisfy the operator. */
static double
column_selectivity(const Search *search)
{
	CommonValues common = common_values(search);
	bool		isdefault;
	double		ndistinct = get_variable_numdistinct(search->column, &isdefault);
	double		others = Max(1.0 - null_fraction(search->column) - common.total, 0.0);
	double		nothers = Max(ndistinct - common.nvalues, 1.0);
	double		selectivity = common.matched;

	selectivity += others * (search->is_container ?
							 fraction_matching(search, nothers) :
							 fraction_within(search));
	CLAMP_PROBABILITY(selectivity);
	return selectivity;
}

/* The constant as a prefix; false if it can match nothing at all. */
static bool
constant_prefix(const Const *con, Prefix *out)
{
	if (con->constisnull)
		return false;
	if (con->consttype == TEXTOID)
		return billing_prefix_of_number(con->constvalue, out);
	*out = DatumGetPrefix(con->constvalue);
	return true;
}

static bool
statistics_usable(VariableStatData *column, Oid operator)
{
	return HeapTupleIsValid(column->statsTuple) &&
		statistic_proc_security_check(column, get_opcode(operator));
}

/* The type of one side of an operator. */
static Oid
side_type(Oid operator, int side)
{
	Oid			type[2];

	op_input_types(operator, &type[0], &type[1]);
	return type[side];
}

static double
variable_selectivity(VariableStatData *column, Node *other, Oid operator,
					 bool is_container)
{
	Prefix		constant;
	Search		search = {column, is_container, false, NULL};

	search.usable = statistics_usable(column, operator);
	if (IsA(other, Const))
	{
		if (!constant_prefix((Const *) other, &constant))
			return 0.0;
		search.constant = &constant;
	}
	return column_selectivity(&search);
}

static double
restriction_selectivity(FunctionCallInfo fcinfo, int container)
{
	PlannerInfo *root = (PlannerInfo *) PG_GETARG_POINTER(0);
	Oid			operator = PG_GETARG_OID(1);
	List	   *args = (List *) PG_GETARG_POINTER(2);
	int			relid = PG_GETARG_INT32(3);
	VariableStatData column;
	Node	   *other;
	bool		onleft;
	double		selectivity;

	if (!get_restriction_variable(root, args, relid, &column, &other, &onleft))
		return DEFAULT_SELECTIVITY;

	if (side_type(operator, onleft ? 0 : 1) == TEXTOID)
	{
		/* Numbers as text: try the operator on the statistics as they are. */
		selectivity = generic_restriction_selectivity(root, operator, InvalidOid,
													  args, relid,
													  DEFAULT_SELECTIVITY);
	}
	else
		selectivity = variable_selectivity(&column, other, operator,
										   onleft == (container == 0));
	ReleaseVariableStats(column);
	return selectivity;
}

/*
 * The fraction of the pairs that match.  For EXISTS and NOT EXISTS, the fraction
 * of the outer rows with a match: all numbers can be taken to have a prefix, and
 * a prefix to have a number as far as there are enough of them.
 */
static double
join_selectivity(FunctionCallInfo fcinfo, int container)
{
	PlannerInfo *root = (PlannerInfo *) PG_GETARG_POINTER(0);
	Oid			operator = PG_GETARG_OID(1);
	List	   *args = (List *) PG_GETARG_POINTER(2);
	JoinType	jointype = (JoinType) PG_GETARG_INT16(3);
	SpecialJoinInfo *sjinfo = (SpecialJoinInfo *) PG_GETARG_POINTER(4);
	VariableStatData side[2];
	VariableStatData *prefixes = &side[container];
	VariableStatData *numbers = &side[1 - container];
	Search		search = {prefixes, true, false, NULL};
	bool		reversed;
	double		selectivity;

	get_join_variables(root, args, sjinfo, &side[0], &side[1], &reversed);
	search.usable = statistics_usable(prefixes, operator);
	selectivity = column_selectivity(&search);

	if (jointype == JOIN_SEMI || jointype == JOIN_ANTI)
	{
		/* reversed: the outer relation is on the right */
		bool		outer_is_prefixes = (reversed ? 1 : 0) == container;

		if (!outer_is_prefixes)
			selectivity = 1.0 - null_fraction(numbers);
		else if (numbers->rel != NULL)
			selectivity = selectivity * numbers->rel->rows;
	}
	CLAMP_PROBABILITY(selectivity);

	ReleaseVariableStats(side[0]);
	ReleaseVariableStats(side[1]);
	return selectivity;
}

/*
 * prefix_contains_sel(internal, oid, internal, integer) and
 * prefix_contained_sel: the restriction estimators of @> and <@.
 */
Datum
billing_prefix_contains_sel(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(restriction_selectivity(fcinfo, 0));
}

Datum
billing_prefix_contained_sel(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(restriction_selectivity(fcinfo, 1));
}

/*
 * prefix_contains_joinsel(internal, oid, internal, smallint, internal) and
 * prefix_contained_joinsel: the join estimators of @> and <@.
 */
Datum
billing_prefix_contains_joinsel(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(join_selectivity(fcinfo, 0));
}

Datum
billing_prefix_contained_joinsel(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(join_selectivity(fcinfo, 1));
}
