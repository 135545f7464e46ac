/*
 * rerate.c
 *	  Rating again: what a stored call would be if some of its legs were rated by the present catalogue (P18, design 6).
 */
#include "billing.h"

#include "access/xact.h"
#include "catalog/pg_type_d.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"

#define ALL_LEGS		((1 << LEGS) - 1)
#define CUSTOMER_SIDE	(1 << LEG_CUSTOMER | 1 << LEG_RESELLER)
#define PROVIDER_SIDE	(1 << LEG_PROVIDER)
#define DID_SIDE		(1 << LEG_DID_INCOMING | 1 << LEG_DID_OWNER | 1 << LEG_DID_PROVIDER)

/* The rated columns of a call as they are stored, and as they would be. */
typedef struct Rerating
{
	int			named;			/* legs that are rated again, a bit each */
	Datum		former[RATED_COLUMNS];
	bool		former_nulls[RATED_COLUMNS];
	Datum		values[RATED_COLUMNS];
	bool		nulls[RATED_COLUMNS];
} Rerating;

static inline bool
names(const Rerating *rerating, int legs)
{
	return (rerating->named & legs) != 0;
}

/* ---- legs that are named ---- */

static int
leg_bit(Datum name)
{
	char	   *leg = TextDatumGetCString(name);

	for (int kind = 0; kind < LEGS; kind++)
		if (strcmp(leg, billing_leg_names[kind]) == 0)
			return 1 << kind;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"%s\" is no leg of a call", leg),
			 errdetail("Legs are customer, reseller, provider, did_incoming, did_owner and did_provider.")));
}

/* The second argument; null: all. */
static int
named_legs(FunctionCallInfo fcinfo)
{
	Datum	   *elements;
	bool	   *nulls;
	int			count;
	int			named = 0;

	if (PG_ARGISNULL(1))
		return ALL_LEGS;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
		named |= nulls[i] ? 0 : leg_bit(elements[i]);
	if (named == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("no leg is named"),
				 errhint("Leave the argument out, or null, for all legs.")));
	return named;
}

/* ---- a mixture of stored and new legs ---- */

static const char *
former_text(const Rerating *rerating, RatedColumn column)
{
	return rerating->former_nulls[column] ? NULL : TextDatumGetCString(rerating->former[column]);
}

/*
 * The reason of a stored leg.  The legs of a side share a column: it is this leg's where it has no price.  Customers
 * have one without an account too.
 */
static const char *
former_reason(const Rerating *rerating, LegKind kind)
{
	const LegColumns *columns = &billing_leg_columns[kind];
	const bool *nulls = rerating->former_nulls;
	bool		priced = !nulls[columns->amount] &&
		(!nulls[columns->rate] || (!nulls[columns->billsec] && DatumGetInt32(rerating->former[columns->billsec]) != 0));

	if (nulls[columns->account] ? kind != LEG_CUSTOMER && kind != LEG_PROVIDER : priced)
		return NULL;
	return former_text(rerating, columns->reason);
}

/* A leg that is not named stays as it is stored. */
static void
keep_leg(const Rerating *rerating, LegKind kind, Rating *rating)
{
	const LegColumns *columns = &billing_leg_columns[kind];
	Leg		   *leg = billing_rating_leg(rating, kind);

	leg->has_amount = !rerating->former_nulls[columns->amount];
	leg->applies = leg->has_amount || !rerating->former_nulls[columns->account];
	leg->reason = former_reason(rerating, kind);
	if (kind == LEG_CUSTOMER)
		rating->customer_expected = leg->applies || leg->reason;
	else if (kind == LEG_PROVIDER)
		/* a reason alone may also say that nothing was expected of anybody */
		rating->provider_expected = leg->applies || (leg->reason && rating->provider_expected);
}

/* Of a side whose legs are partly new: what concerns the whole call, else what the first leg says. */
static const char *
side_reason(const char *note, const char *const *reasons, int count)
{
	for (int i = 0; note == NULL && i < count; i++)
		note = reasons[i];
	return note;
}

/* Turns the rating of a call into that of a call of which only the named legs are new. */
static void
mix(const Rerating *rerating, Rating *rating)
{
	bool		customer_note = rating->invalid || !(rating->customer.reason || rating->reseller.reason);
	bool		did_note = !(rating->did_incoming.reason || rating->did_owner.reason || rating->did_provider.reason);

	for (int kind = 0; kind < LEGS; kind++)
		if (!names(rerating, 1 << kind))
			keep_leg(rerating, kind, rating);
	rating->customer_reason = side_reason(customer_note ? rating->customer_reason : NULL,
										  (const char *[]) {rating->customer.reason, rating->reseller.reason}, 2);
	rating->did_reason = side_reason(did_note ? rating->did_reason : NULL,
									 (const char *[]) {rating->did_incoming.reason, rating->did_owner.reason, rating->did_provider.reason}, 3);
	rating->status = billing_status(rating);
}

static void
keep_column(Rerating *rerating, RatedColumn column)
{
	rerating->values[column] = rerating->former[column];
	rerating->nulls[column] = rerating->former_nulls[column];
}

/* Whatever a leg or a side that is not named has, byte for byte (P3). */
static void
keep_columns(Rerating *rerating)
{
	for (int kind = 0; kind < LEGS; kind++)
	{
		const LegColumns *columns = &billing_leg_columns[kind];

		if (names(rerating, 1 << kind))
			continue;
		keep_column(rerating, columns->account);
		keep_column(rerating, columns->rate);
		keep_column(rerating, columns->billsec);
		keep_column(rerating, columns->amount);
	}
	if (!names(rerating, 1 << LEG_CUSTOMER))
		keep_column(rerating, RATED_CUSTOMER_SERVICE);
	if (!names(rerating, CUSTOMER_SIDE))
		keep_column(rerating, RATED_CUSTOMER_REASON);
	if (!names(rerating, PROVIDER_SIDE))
	{
		keep_column(rerating, RATED_PROVIDER_SERVICE);
		keep_column(rerating, RATED_PROVIDER_REASON);
	}
	if (!names(rerating, DID_SIDE))
	{
		keep_column(rerating, RATED_DID_SERVICE);
		keep_column(rerating, RATED_DID_REASON);
	}
}

static void
read_former(FunctionCallInfo fcinfo, Cdr *cdr, Rerating *rerating)
{
	Datum	   *values;
	bool	   *nulls;
	const CdrMap *map = billing_record_columns(fcinfo, &values, &nulls);

	billing_cdr_read(map, values, nulls, cdr);
	for (int i = 0; i < RATED_COLUMNS; i++)
	{
		AttrNumber	attribute = map->rated[i];

		rerating->former_nulls[i] = attribute == InvalidAttrNumber || nulls[attribute - 1];
		rerating->former[i] = rerating->former_nulls[i] ? (Datum) 0 : values[attribute - 1];
	}
}

/* Rates the first argument again, as far as the second one says. */
static void
rerate(FunctionCallInfo fcinfo, Rerating *rerating)
{
	Statement  *statement;
	Cdr			cdr;
	Rating		rating;

	billing_check_reader(GetUserId());
	statement = billing_statement(fcinfo->flinfo->fn_mcxt);
	rerating->named = named_legs(fcinfo);
	read_former(fcinfo, &cdr, rerating);
	if (unlikely(billing_too_old(statement, &cdr)))
		rating = (Rating) {.status = "unrated", .customer_reason = "too_old", .provider_reason = "too_old"};
	else
		billing_rate(statement, &cdr, &(RatingRequest) {0}, &rating);
	if (rerating->named != ALL_LEGS)
		mix(rerating, &rating);
	billing_rated_columns(&rating, rerating->values, rerating->nulls);
	if (rerating->named != ALL_LEGS)
		keep_columns(rerating);
}

/* billing.rerate_call(cdr, legs): the rated columns that the row would have, nothing stored. */
PG_FUNCTION_INFO_V1(billing_rerate_call);
Datum
billing_rerate_call(PG_FUNCTION_ARGS)
{
	Rerating	rerating;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	rerate(fcinfo, &rerating);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(billing_result_desc(fcinfo), rerating.values, rerating.nulls)));
}

/* ---- what would change ---- */

static bool
column_changes(const Rerating *rerating, RatedColumn column)
{
	Datum		former = rerating->former[column];
	Datum		value = rerating->values[column];

	if (rerating->former_nulls[column] || rerating->nulls[column])
		return rerating->former_nulls[column] != rerating->nulls[column];
	switch (column)
	{
		case RATED_CUSTOMER_AMOUNT:
		case RATED_RESELLER_AMOUNT:
		case RATED_PROVIDER_AMOUNT:
		case RATED_DID_INCOMING_AMOUNT:
		case RATED_DID_OWNER_AMOUNT:
		case RATED_DID_PROVIDER_AMOUNT:
			return !DatumGetBool(DirectFunctionCall2(numeric_eq, former, value));
		case RATED_CUSTOMER_REASON:
		case RATED_PROVIDER_REASON:
		case RATED_DID_REASON:
		case RATED_STATUS:
			return !datum_image_eq(former, value, false, -1);
		case RATED_CUSTOMER_BILLSEC:
		case RATED_RESELLER_BILLSEC:
		case RATED_PROVIDER_BILLSEC:
		case RATED_DID_INCOMING_BILLSEC:
		case RATED_DID_OWNER_BILLSEC:
		case RATED_DID_PROVIDER_BILLSEC:
			return DatumGetInt32(former) != DatumGetInt32(value);
		default:
			return DatumGetInt64(former) != DatumGetInt64(value);
	}
}

static bool
changes(const Rerating *rerating)
{
	for (int i = 0; i < RATED_COLUMNS; i++)
		if (column_changes(rerating, i))
			return true;
	return false;
}

/* billing._rerate_changes(cdr, legs): whether rating the named legs again would change the row. */
PG_FUNCTION_INFO_V1(billing_rerate_changes);
Datum
billing_rerate_changes(PG_FUNCTION_ARGS)
{
	Rerating	rerating;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	rerate(fcinfo, &rerating);
	PG_RETURN_BOOL(changes(&rerating));
}

static bool
leg_changes(const Rerating *rerating, LegKind kind)
{
	const LegColumns *columns = &billing_leg_columns[kind];

	return column_changes(rerating, columns->account) || column_changes(rerating, columns->rate) ||
		column_changes(rerating, columns->billsec) || column_changes(rerating, columns->amount);
}

static bool
leg_applies(const Rerating *rerating, LegKind kind)
{
	const LegColumns *columns = &billing_leg_columns[kind];

	return !rerating->former_nulls[columns->account] || !rerating->nulls[columns->account] ||
		!rerating->former_nulls[columns->amount] || !rerating->nulls[columns->amount];
}

/*
 * What the legs of a side share, or all legs, has changed: that is told with a leg that changes, else with one that
 * applies, else with the first that is named.
 */
static int
with_shared_change(const Rerating *rerating, int side, int changed)
{
	int			named = rerating->named & side;

	if ((named & changed) != 0)
		return changed;
	for (int kind = 0; kind < LEGS; kind++)
		if ((named & 1 << kind) != 0 && leg_applies(rerating, kind))
			return changed | 1 << kind;
	return changed | (named & -named);
}

/* The legs that change, a bit each: at least one where any column does. */
static int
changed_legs(const Rerating *rerating)
{
	int			changed = 0;

	for (int kind = 0; kind < LEGS; kind++)
		if (leg_changes(rerating, kind))
			changed |= 1 << kind;
	if (column_changes(rerating, RATED_CUSTOMER_SERVICE))
		changed |= 1 << LEG_CUSTOMER;
	if (column_changes(rerating, RATED_CUSTOMER_REASON))
		changed = with_shared_change(rerating, CUSTOMER_SIDE, changed);
	if (column_changes(rerating, RATED_PROVIDER_SERVICE) || column_changes(rerating, RATED_PROVIDER_REASON))
		changed |= 1 << LEG_PROVIDER;
	if (column_changes(rerating, RATED_DID_SERVICE) || column_changes(rerating, RATED_DID_REASON))
		changed = with_shared_change(rerating, DID_SIDE, changed);
	if (column_changes(rerating, RATED_STATUS))
		changed = with_shared_change(rerating, ALL_LEGS, changed);
	return changed;
}

enum {CHANGE_LEG, CHANGE_CHANGED, CHANGE_PAIRS};

/* Old and new value of a column stand side by side. */
static int
put_pair(const Rerating *rerating, RatedColumn column, int place, Datum *values, bool *nulls)
{
	values[place] = rerating->former[column];
	nulls[place] = rerating->former_nulls[column];
	values[place + 1] = rerating->values[column];
	nulls[place + 1] = rerating->nulls[column];
	return place + 2;
}

/*
 * billing._rerate_legs(cdr, legs): for a row that would change, its named legs, old and new; no rows for one that
 * would not.
 */
PG_FUNCTION_INFO_V1(billing_rerate_legs);
Datum
billing_rerate_legs(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Rerating	rerating;
	int			changed;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0))
		return (Datum) 0;
	rerate(fcinfo, &rerating);
	changed = changed_legs(&rerating);
	for (int kind = 0; changed != 0 && kind < LEGS; kind++)
	{
		const LegColumns *columns = &billing_leg_columns[kind];
		Datum		values[CHANGE_PAIRS + 14];
		bool		nulls[CHANGE_PAIRS + 14] = {false};
		bool		leg_changed = (changed & 1 << kind) != 0;
		int			place = CHANGE_PAIRS;

		if (!leg_changed && !(names(&rerating, 1 << kind) && leg_applies(&rerating, kind)))
			continue;
		values[CHANGE_LEG] = CStringGetTextDatum(billing_leg_names[kind]);
		values[CHANGE_CHANGED] = BoolGetDatum(leg_changed);
		place = put_pair(&rerating, columns->account, place, values, nulls);
		place = put_pair(&rerating, columns->service, place, values, nulls);
		place = put_pair(&rerating, columns->rate, place, values, nulls);
		place = put_pair(&rerating, columns->billsec, place, values, nulls);
		place = put_pair(&rerating, columns->amount, place, values, nulls);
		place = put_pair(&rerating, columns->reason, place, values, nulls);
		place = put_pair(&rerating, RATED_STATUS, place, values, nulls);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* billing._in_transaction_block(): whether the client has begun one, in which no procedure can COMMIT. */
PG_FUNCTION_INFO_V1(billing_in_transaction_block);
Datum
billing_in_transaction_block(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(IsTransactionBlock());
}
