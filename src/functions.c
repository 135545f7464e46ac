/*
 * functions.c
 *	  Rating as SQL functions: the same core, without storing anything.
 */
#include "billing.h"

#include "access/tupdesc.h"
#include "catalog/pg_type_d.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

/* ---- records ---- */

/* What a function that takes and returns records keeps between its calls. */
typedef struct RecordState
{
	Oid			type;			/* of the argument that map was made for */
	int32		typmod;
	CdrMap		map;
	TupleDesc	result;
	struct TermColumns *terms;
} RecordState;

static RecordState *
record_state(FunctionCallInfo fcinfo)
{
	RecordState *state = fcinfo->flinfo->fn_extra;

	if (state == NULL)
	{
		state = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(RecordState));
		fcinfo->flinfo->fn_extra = state;
	}
	return state;
}

/* The row type that a function returns. */
TupleDesc
billing_result_desc(FunctionCallInfo fcinfo)
{
	RecordState *state = record_state(fcinfo);

	if (state->result == NULL)
	{
		MemoryContext former = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
		TupleDesc	desc;

		if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
			elog(ERROR, "return type must be a row type");
		state->result = BlessTupleDesc(desc);
		MemoryContextSwitchTo(former);
	}
	return state->result;
}

/* The columns of the first argument, a row, and which of them are those of billing.cdr by name. */
const CdrMap *
billing_record_columns(FunctionCallInfo fcinfo, Datum **values, bool **nulls)
{
	Oid			type = get_fn_expr_argtype(fcinfo->flinfo, 0);
	RecordState *state = record_state(fcinfo);
	HeapTupleHeader header;
	HeapTupleData tuple;
	TupleDesc	desc;

	if (type != RECORDOID && !type_is_rowtype(type))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("a call detail record is expected, not %s", format_type_be(type)),
				 errdetail("The argument must be a row with columns of billing.cdr."),
				 errhint("For example: billing.rate_call(jsonb_populate_record(NULL::billing.cdr, '{\"callee\": \"442079460000\"}')).")));

	header = PG_GETARG_HEAPTUPLEHEADER(0);
	desc = lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(header), HeapTupleHeaderGetTypMod(header));
	if (state->type != HeapTupleHeaderGetTypeId(header) || state->typmod != HeapTupleHeaderGetTypMod(header))
	{
		billing_cdr_map(desc, &state->map);
		state->type = HeapTupleHeaderGetTypeId(header);
		state->typmod = HeapTupleHeaderGetTypMod(header);
	}

	tuple.t_len = HeapTupleHeaderGetDatumLength(header);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	tuple.t_data = header;
	*values = palloc(desc->natts * sizeof(Datum));
	*nulls = palloc(desc->natts * sizeof(bool));
	heap_deform_tuple(&tuple, desc, *values, *nulls);
	ReleaseTupleDesc(desc);
	return &state->map;
}

/* Reads the first argument, a row with the raw columns of billing.cdr by name; missing ones count as null. */
void
billing_record_read(FunctionCallInfo fcinfo, Cdr *cdr)
{
	Datum	   *values;
	bool	   *nulls;
	const CdrMap *map = billing_record_columns(fcinfo, &values, &nulls);

	billing_cdr_read(map, values, nulls, cdr);
}

/* billing.rate_call(cdr): the rated columns of the call, nothing stored. */
PG_FUNCTION_INFO_V1(billing_rate_call);
Datum
billing_rate_call(PG_FUNCTION_ARGS)
{
	Cdr			cdr;
	Rating		rating;
	Datum		values[RATED_COLUMNS];
	bool		nulls[RATED_COLUMNS];

	billing_record_read(fcinfo, &cdr);
	billing_rate(billing_statement(fcinfo->flinfo->fn_mcxt), &cdr, &(RatingRequest) {0}, &rating);
	billing_rated_columns(&rating, values, nulls);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(billing_result_desc(fcinfo), values, nulls)));
}

/* ---- match_rate ---- */

enum {MATCH_RATE, MATCH_PREFIX, MATCH_EXACT, MATCH_DAY_TYPE, MATCH_BAND, MATCH_VALID_FROM, MATCH_DESTINATION, MATCH_TARIFF,
	MATCH_CURRENCY, MATCH_PRICE, MATCH_FIRST_PRICE, MATCH_CONNECT_FEE, MATCH_ATTEMPT_FEE, MATCH_FIRST_INCREMENT,
	MATCH_NEXT_INCREMENT, MATCH_INCREMENT_RULE, MATCH_GRACE, MATCH_FREE, MATCH_MIN, MATCH_MAX, MATCH_SURCHARGE,
	MATCH_BOUNDARY, MATCH_DURATION_ROUNDING, MATCH_ROUNDING_DIGITS, MATCH_ROUNDING_MODE, MATCH_BLOCKED, MATCH_COLUMNS};


static Datum
optional_text(const char *text, bool *isnull)
{
	*isnull = text == NULL;
	return text ? CStringGetTextDatum(text) : (Datum) 0;
}

static Datum
money_datum(int64 money)
{
	return NumericGetDatum(billing_numeric_from_money(money));
}

/*
 * What match_rate() says of terms, but for the rate's own price.  Most rates of a list are charged by the same terms,
 * so the columns are kept from one call to the next.
 */
typedef struct TermColumns
{
	MemoryContext context;		/* of the values */
	bool		made;
	ChargeTerms terms;			/* of which they were made */
	Datum		values[MATCH_COLUMNS];
	bool		nulls[MATCH_COLUMNS];
} TermColumns;

static void
make_term_columns(const ChargeTerms *terms, Datum *values, bool *nulls)
{
	values[MATCH_CONNECT_FEE] = money_datum(terms->connect_fee);
	values[MATCH_ATTEMPT_FEE] = money_datum(terms->attempt_fee);
	values[MATCH_FIRST_INCREMENT] = Int32GetDatum(terms->first_increment);
	values[MATCH_NEXT_INCREMENT] = Int32GetDatum(terms->next_increment);
	values[MATCH_INCREMENT_RULE] = CStringGetTextDatum(billing_increment_rule_name(terms->increment_rule));
	values[MATCH_GRACE] = Int32GetDatum(terms->grace_seconds);
	values[MATCH_FREE] = Int32GetDatum(terms->free_seconds);
	nulls[MATCH_MIN] = !terms->has_min;
	values[MATCH_MIN] = terms->has_min ? money_datum(terms->min_amount) : (Datum) 0;
	nulls[MATCH_MAX] = !terms->has_max;
	values[MATCH_MAX] = terms->has_max ? money_datum(terms->max_amount) : (Datum) 0;
	values[MATCH_SURCHARGE] = NumericGetDatum(int64_div_fast_to_numeric(terms->surcharge, 4));
	values[MATCH_BOUNDARY] = CStringGetTextDatum(terms->split ? "split" : "start");
	values[MATCH_DURATION_ROUNDING] = CStringGetTextDatum(billing_duration_rounding_name(terms->duration_rounding));
	values[MATCH_ROUNDING_DIGITS] = Int32GetDatum(terms->rounding_digits);
	values[MATCH_ROUNDING_MODE] = CStringGetTextDatum(billing_rounding_mode_name(terms->rounding_mode));
}

static const TermColumns *
term_columns(FunctionCallInfo fcinfo, const ChargeTerms *terms)
{
	RecordState *state = record_state(fcinfo);
	TermColumns *columns = state->terms;
	ChargeTerms common = *terms;
	MemoryContext former;

	common.price = common.first_price = 0;
	common.nsteps = 0;
	common.steps = NULL;
	if (columns == NULL)
	{
		columns = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(TermColumns));
		columns->context = AllocSetContextCreate(fcinfo->flinfo->fn_mcxt, "billing terms", ALLOCSET_SMALL_SIZES);
		state->terms = columns;
	}
	if (columns->made && memcmp(&columns->terms, &common, sizeof(ChargeTerms)) == 0)
		return columns;

	columns->made = false;
	MemoryContextReset(columns->context);
	former = MemoryContextSwitchTo(columns->context);
	make_term_columns(&common, columns->values, columns->nulls);
	MemoryContextSwitchTo(former);
	memcpy(&columns->terms, &common, sizeof(ChargeTerms));
	columns->made = true;
	return columns;
}

static void
price_columns(FunctionCallInfo fcinfo, const Price *price, Datum *values, bool *nulls)
{
	const Rate *rate = price->rate;
	const ChargeTerms *terms = &price->terms;
	const TermColumns *columns = term_columns(fcinfo, terms);

	memcpy(values, columns->values, sizeof(columns->values));
	memcpy(nulls, columns->nulls, sizeof(columns->nulls));
	values[MATCH_RATE] = Int64GetDatum(rate->id);
	values[MATCH_PREFIX] = UInt64GetDatum(rate->prefix);
	values[MATCH_EXACT] = BoolGetDatum(rate->exact);
	values[MATCH_DAY_TYPE] = CStringGetTextDatum(billing_day_type_name(rate->day_type));
	values[MATCH_BAND] = optional_text(rate->band, &nulls[MATCH_BAND]);
	values[MATCH_VALID_FROM] = TimestampTzGetDatum(rate->valid_from);
	values[MATCH_DESTINATION] = optional_text(rate->destination, &nulls[MATCH_DESTINATION]);
	values[MATCH_TARIFF] = Int64GetDatum(price->tariff->id);
	values[MATCH_CURRENCY] = CStringGetTextDatum(price->currency);
	values[MATCH_PRICE] = money_datum(terms->price);
	values[MATCH_FIRST_PRICE] = terms->first_price == terms->price ? values[MATCH_PRICE] : money_datum(terms->first_price);
	values[MATCH_BLOCKED] = BoolGetDatum(rate->blocked);
}

/* The price of a number by a tariff; false: none, or the number cannot be read. */
static bool
match_price(FunctionCallInfo fcinfo, Price *price)
{
	text	   *called = PG_GETARG_TEXT_PP(1);
	TariffSource source = {
		.statement = billing_statement(fcinfo->flinfo->fn_mcxt),
		.tariff_id = PG_GETARG_INT64(0),
		.at = PG_GETARG_TIMESTAMPTZ(2)
	};
	size_t		symbols;
	TimestampTz until;

	if (!billing_prefix_scan(VARDATA_ANY(called), VARSIZE_ANY_EXHDR(called), &source.number.symbols, &symbols))
		return false;
	source.number.longer = symbols > PREFIX_MAX_LEN;
	return billing_tariff_price(&source, source.at, price, &until);
}

/*
 * billing.match_rate(tariff_id, number, at): the rate that prices the number and the terms it is charged by; all
 * null where there is none, or the number cannot be read.
 */
PG_FUNCTION_INFO_V1(billing_match_rate);
Datum
billing_match_rate(PG_FUNCTION_ARGS)
{
	Price		price;
	Datum		values[MATCH_COLUMNS];
	bool		nulls[MATCH_COLUMNS];

	if (match_price(fcinfo, &price))
		price_columns(fcinfo, &price, values, nulls);
	else
		memset(nulls, true, sizeof(nulls));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(billing_result_desc(fcinfo), values, nulls)));
}

/* billing.match_rate_id(tariff_id, number, at): its rate alone, without the cost of a row. */
PG_FUNCTION_INFO_V1(billing_match_rate_id);
Datum
billing_match_rate_id(PG_FUNCTION_ARGS)
{
	Price		price;

	if (!match_price(fcinfo, &price))
		PG_RETURN_NULL();
	PG_RETURN_INT64(price.rate->id);
}

/* ---- the arithmetic alone ---- */

static void
bad_argument(const char *name, const char *expected)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s is out of range", name),
			 errdetail("It must be %s.", expected)));
}

static int32
int32_argument(FunctionCallInfo fcinfo, int argument, const char *name, int32 least, int32 most, int32 if_null)
{
	int32		value = PG_ARGISNULL(argument) ? if_null : PG_GETARG_INT32(argument);

	if (value < least || value > most)
		bad_argument(name, psprintf("a whole number from %d to %d", least, most));
	return value;
}

static int64
price_argument(FunctionCallInfo fcinfo, int argument, const char *name, int scale, int64 limit)
{
	char	   *text = DatumGetCString(DirectFunctionCall1(numeric_out, PG_GETARG_DATUM(argument)));
	int64		value;
	bool		more;

	if (!billing_decimal_scan(text, scale, &value, &more) || more || value >= limit || value <= -limit)
		bad_argument(name, psprintf("finite, less than %s either way, with at most %d decimals",
									billing_decimal_text(limit, scale), scale));
	return value;
}

static const char *
name_argument(FunctionCallInfo fcinfo, int argument)
{
	return PG_ARGISNULL(argument) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(argument));
}

static CallSeconds
seconds_argument(FunctionCallInfo fcinfo, int argument)
{
	CallSeconds seconds;

	if (!billing_seconds_from_numeric(PG_GETARG_NUMERIC(argument), &seconds))
		bad_argument("seconds", "0 or more, and less than 1,000,000,000");
	return seconds;
}

static void
check_rule(const ChargeTerms *terms)
{
	if (terms->increment_rule == INCREMENT_ALIGNED && terms->free_seconds > 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("increment_rule aligned knows no free seconds"),
				 errdetail("Aligned increments are counted from the answer, so there is no place for free ones between them."),
				 errhint("Use first_next.")));
}

#define MAX_INCREMENT	86400

/* billing.billed_seconds(seconds, ...): what is billed of an answered call (V10, V11, K17, K18). */
PG_FUNCTION_INFO_V1(billing_billed_seconds);
Datum
billing_billed_seconds(PG_FUNCTION_ARGS)
{
	ChargeTerms terms = {0};

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	terms.first_increment = int32_argument(fcinfo, 1, "first_increment", 0, MAX_INCREMENT, 1);
	terms.next_increment = int32_argument(fcinfo, 2, "next_increment", 1, MAX_INCREMENT, 1);
	terms.increment_rule = PG_ARGISNULL(3) ? INCREMENT_FIRST_NEXT : billing_increment_rule(name_argument(fcinfo, 3));
	terms.grace_seconds = int32_argument(fcinfo, 4, "grace_seconds", 0, MAX_INCREMENT, 0);
	terms.free_seconds = int32_argument(fcinfo, 5, "free_seconds", 0, MAX_INCREMENT, 0);
	terms.duration_rounding = PG_ARGISNULL(6) ? DURATION_UP : billing_duration_rounding(name_argument(fcinfo, 6));
	check_rule(&terms);
	PG_RETURN_INT32((int32) billing_charge_seconds(&terms, seconds_argument(fcinfo, 0)));
}

#define PRICE_LIMIT		INT64CONST(10000000000000000)	/* 1e8 with 8 decimals */
#define PERCENT_LIMIT	INT64CONST(100000000)	/* 1e4 with 4 decimals */

/* billing.charge_amount(seconds, price, ...): what an answered call costs by these terms (V12, C18). */
PG_FUNCTION_INFO_V1(billing_charge_amount);
Datum
billing_charge_amount(PG_FUNCTION_ARGS)
{
	ChargeTerms terms = {0};
	Exchange	exchange = {0};
	Charge		charge;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	terms.price = terms.first_price = price_argument(fcinfo, 1, "price", MONEY_DIGITS, PRICE_LIMIT);
	terms.first_increment = int32_argument(fcinfo, 2, "first_increment", 0, MAX_INCREMENT, 1);
	terms.next_increment = int32_argument(fcinfo, 3, "next_increment", 1, MAX_INCREMENT, 1);
	terms.increment_rule = PG_ARGISNULL(4) ? INCREMENT_FIRST_NEXT : billing_increment_rule(name_argument(fcinfo, 4));
	if (!PG_ARGISNULL(5))
		terms.first_price = price_argument(fcinfo, 5, "first_price", MONEY_DIGITS, PRICE_LIMIT);
	if (!PG_ARGISNULL(6))
		terms.connect_fee = price_argument(fcinfo, 6, "connect_fee", MONEY_DIGITS, PRICE_LIMIT);
	terms.grace_seconds = int32_argument(fcinfo, 7, "grace_seconds", 0, MAX_INCREMENT, 0);
	terms.free_seconds = int32_argument(fcinfo, 8, "free_seconds", 0, MAX_INCREMENT, 0);
	terms.has_min = !PG_ARGISNULL(9);
	if (terms.has_min)
		terms.min_amount = price_argument(fcinfo, 9, "min_amount", MONEY_DIGITS, PRICE_LIMIT);
	terms.has_max = !PG_ARGISNULL(10);
	if (terms.has_max)
		terms.max_amount = price_argument(fcinfo, 10, "max_amount", MONEY_DIGITS, PRICE_LIMIT);
	if (terms.min_amount < 0 || terms.max_amount < 0 || (terms.has_min && terms.has_max && terms.min_amount > terms.max_amount))
		bad_argument("min_amount or max_amount", "0 or more, and the minimum not above the maximum");
	if (!PG_ARGISNULL(11))
		terms.surcharge = (int32) price_argument(fcinfo, 11, "surcharge_percent", 4, PERCENT_LIMIT);
	if (terms.surcharge < -1000000)
		bad_argument("surcharge_percent", "-100 or more, and less than 10000");
	terms.duration_rounding = PG_ARGISNULL(12) ? DURATION_UP : billing_duration_rounding(name_argument(fcinfo, 12));
	terms.rounding_digits = (int8) int32_argument(fcinfo, 13, "rounding_digits", -4, MONEY_DIGITS, MONEY_DIGITS);
	terms.rounding_mode = PG_ARGISNULL(14) ? ROUND_MODE_HALF_UP : billing_rounding_mode(name_argument(fcinfo, 14));
	check_rule(&terms);

	billing_charge_answered(&terms, &(ChargeSplit) {0}, seconds_argument(fcinfo, 0), &exchange, &charge);
	if (charge.out_of_range)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("amount is out of range"),
				 errdetail("It must be less than 1,000,000,000,000 either way.")));
	PG_RETURN_NUMERIC(billing_numeric_from_money(charge.amount));
}

/* ---- the fee of a session ---- */

static LegKind
did_leg_named(const char *name)
{
	LegKind		kind = billing_leg_kind(name);

	if (kind < LEG_DID_INCOMING)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is no leg of a DID", name),
				 errdetail("It must be did_incoming, did_owner or did_provider.")));
	return kind;
}

/* billing.did_fee(cdr, leg): which part of a DID leg's amount is owed to the connect fee (K4). */
PG_FUNCTION_INFO_V1(billing_did_fee);
Datum
billing_did_fee(PG_FUNCTION_ARGS)
{
	Statement  *statement;
	LegKind		kind = did_leg_named(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	Cdr			cdr;
	Rating		rating;
	Rating		without_fee;
	const Leg  *leg;
	const Leg  *other;

	billing_check_reader(GetUserId());
	statement = billing_statement(fcinfo->flinfo->fn_mcxt);
	billing_record_read(fcinfo, &cdr);
	billing_rate(statement, &cdr, &(RatingRequest) {0}, &rating);
	billing_rate(statement, &cdr, &(RatingRequest) {.without_did_fee = true}, &without_fee);
	leg = billing_rating_leg(&rating, kind);
	other = billing_rating_leg(&without_fee, kind);
	PG_RETURN_NUMERIC(billing_numeric_from_money(leg->has_amount && other->has_amount ? leg->amount - other->amount : 0));
}
