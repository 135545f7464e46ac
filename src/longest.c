/*
 * longest.c
 *	  Before a call: how long those who pay for it can afford it (design 6, reading 9).
 *
 * The same core as the trigger's prices every duration that is tried: a call is allowed for as long as what it will be charged is there.
 */
#include "authorize.h"

#include "catalog/pg_type_d.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

const LegKind billing_payers[PAYERS] = {LEG_CUSTOMER, LEG_RESELLER, LEG_DID_OWNER, LEG_DID_INCOMING};

/* ---- what a leg is charged by ---- */

static void
note_price(int64 price, bool *rises, bool *sinks)
{
	*rises |= price > 0;
	*sinks |= price < 0;
}

static void
note_steps(const ChargeStep *steps, int count, bool *rises, bool *sinks)
{
	for (int i = 0; i < count; i++)
		note_price(steps[i].price, rises, sinks);
}

/* Whether one second more may make the charge smaller: something in it is paid, and something paid out. */
static bool
may_fall(const ChargeTerms *terms, const ChargeSplit *split)
{
	bool		rises = terms->has_min && terms->min_amount > 0;
	bool		sinks = false;

	note_price(terms->connect_fee, &rises, &sinks);
	note_price(terms->first_price, &rises, &sinks);
	note_price(terms->price, &rises, &sinks);
	note_price(-terms->out_payment, &rises, &sinks);
	note_steps(terms->steps, terms->nsteps, &rises, &sinks);
	for (int i = 0; i < split->count; i++)
	{
		note_price(split->segments[i].price, &rises, &sinks);
		note_steps(split->segments[i].steps, split->segments[i].nsteps, &rises, &sinks);
	}
	return rises && sinks;
}

/* Asked before the call is split, which may evict the deck that holds the rate. */
void
billing_quote_destination(const Price *price, LegQuote *quote)
{
	quote->destination = price->rate && price->rate->destination ? pstrdup(price->rate->destination) : NULL;
}

void
billing_quote_leg(const Price *price, const ChargeSplit *split, const Exchange *exchange, int sign, LegQuote *quote)
{
	const ChargeTerms *terms = &price->terms;

	quote->currency = price->currency;
	quote->terms = *terms;
	if (terms->nsteps > 0)
		quote->terms.steps = memcpy(palloc(terms->nsteps * sizeof(ChargeStep)), terms->steps, terms->nsteps * sizeof(ChargeStep));
	quote->exchange = *exchange;
	quote->sign = sign;
	quote->splits = terms->split && terms->increment_rule == INCREMENT_FIRST_NEXT;
	quote->falls = may_fall(terms, split);
}

/* ---- the call as answered at once and so long ---- */

static void
rate_seconds(Search *search, int64 seconds)
{
	Cdr		   *cdr = search->cdr;

	cdr->answered = true;
	cdr->bad_duration = cdr->bad_did_duration = false;
	cdr->seconds = cdr->did_seconds = (CallSeconds) {seconds * MICROS_PER_SECOND, false};
	memset(search->quotes, 0, sizeof(search->quotes));
	billing_rate(search->statement, cdr, &(RatingRequest) {.covered = search->covered, .quotes = search->quotes}, &search->rating);
}

/* Who takes part and by which terms does not depend on the duration, unless the terms change while the call lasts. */
static void
charge_seconds(Search *search, LegKind kind, int64 seconds)
{
	const LegQuote *quote = &search->quotes[kind];
	const ChargeSplit unsplit = {0};
	Leg		   *leg = billing_rating_leg(&search->rating, kind);
	Charge		charge;

	if (quote->currency == NULL)
		return;
	billing_charge_answered(&quote->terms, &unsplit, (CallSeconds) {seconds * MICROS_PER_SECOND, false}, &quote->exchange, &charge);
	leg->billsec = (int32) charge.billed;
	leg->has_amount = !charge.out_of_range;
	leg->amount = charge.amount * quote->sign;
	if (charge.out_of_range)
		leg->reason = "amount_out_of_range";
}

/* Prices the call as it is after a second: who takes part in it, and what each is charged by. */
void
billing_search_begin(Search *search, Statement *statement, Cdr *cdr)
{
	search->statement = statement;
	search->cdr = cdr;
	search->short_leg = LEGS;
	search->splits = false;
	rate_seconds(search, 1);
	for (int i = 0; i < LEGS; i++)
		search->splits |= search->quotes[i].splits;
}

static void
rate_seconds_anew(Search *search, int64 seconds)
{
	MemoryContext former;

	if (search->scratch == NULL)
		search->scratch = AllocSetContextCreate(CurrentMemoryContext, "billing longest call", ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(search->scratch);
	former = MemoryContextSwitchTo(search->scratch);
	rate_seconds(search, seconds);
	MemoryContextSwitchTo(former);
}

/* Prices some legs as they are after so many seconds; where the terms may change, all of them. */
void
billing_search_seconds(Search *search, const LegKind *legs, int count, int64 seconds)
{
	CHECK_FOR_INTERRUPTS();
	if (search->splits)
		rate_seconds_anew(search, seconds);
	else
		for (int i = 0; i < count; i++)
			charge_seconds(search, legs[i], seconds);
}

/* ---- how long ---- */

#define A_DAY		86400

/* What a leg takes from its account; what it pays out is not there yet while the call lasts. */
static Money
owed(const Leg *leg)
{
	return leg->has_amount && leg->amount > 0 ? leg->amount : 0;
}

/* Whether the account of a leg can pay all of its legs together. */
static bool
can_pay(Search *search, LegKind kind)
{
	const Leg  *leg = billing_rating_leg(&search->rating, kind);

	search->short_of = 0;
	if (leg->applies && !leg->has_amount)
		return false;
	if (!search->limited[kind] || owed(leg) == 0)
		return true;
	for (int i = 0; i < PAYERS; i++)
	{
		const Leg  *other = billing_rating_leg(&search->rating, billing_payers[i]);

		if (other->account_id == leg->account_id)
			search->short_of += owed(other);
	}
	return search->short_of <= search->spendable[kind];
}

static bool
all_can_pay(Search *search, int64 seconds)
{
	billing_search_seconds(search, billing_payers, PAYERS, seconds);
	for (int i = 0; i < PAYERS; i++)
		if (!can_pay(search, billing_payers[i]))
		{
			search->short_leg = billing_payers[i];
			return false;
		}
	return true;
}

static bool
falls(const Search *search)
{
	for (int i = 0; i < PAYERS; i++)
		if (search->quotes[billing_payers[i]].falls)
			return true;
	return false;
}

static void
note_peak(Search *search)
{
	for (int i = 0; i < LEGS; i++)
	{
		const Leg  *leg = billing_rating_leg(&search->rating, i);

		search->peak[i] = Max(search->peak[i], owed(leg));
		search->billsec[i] = leg->has_billsec ? leg->billsec : 0;
	}
}

/* The first second that costs something; the grace before it is no reason to put a call through that cannot go on. */
static int64
first_billed_second(const ChargeTerms *terms)
{
	int64		before = terms->grace_seconds;

	if (terms->first_increment == 0)
		before = Max(before, terms->free_seconds);
	return before + 1;
}

/* Whether each account can pay the first increment of its leg (reading 9). */
static bool
first_increments_fit(Search *search)
{
	if (!all_can_pay(search, 1))
		return false;
	for (int i = 0; i < PAYERS; i++)
	{
		int64		second = first_billed_second(&search->quotes[billing_payers[i]].terms);

		if (second == 1)
			continue;
		billing_search_seconds(search, billing_payers, PAYERS, second);
		if (!can_pay(search, billing_payers[i]))
		{
			search->short_leg = billing_payers[i];
			return false;
		}
	}
	return true;
}

/*
 * Charges that may become smaller again are asked second by second: the first one that cannot be paid ends the call.  So
 * that this ends in a moment too, such a call is allowed a day at most.
 */
static int64
longest_by_seconds(Search *search, int64 fits, int64 most)
{
	most = Min(most, Max(fits, A_DAY));
	while (fits < most && all_can_pay(search, fits + 1))
	{
		fits++;
		note_peak(search);
	}
	return fits;
}

static void
note_peak_at(Search *search, int64 seconds)
{
	if (seconds == 0)
		return;
	billing_search_seconds(search, billing_payers, PAYERS, seconds);
	note_peak(search);
}

/* How long the money of who is short would last, if each of the seconds tried cost the same; within the bounds. */
static int64
even_seconds(const Search *search, int64 fits, int64 tried)
{
	Money		seconds = 0;

	if (search->short_of > 0)
		seconds = tried * search->spendable[search->short_leg] / search->short_of;
	return (int64) Max(fits + 1, Min(tried - 1, seconds));
}

#define GUESSES		4

/*
 * The greatest number of seconds between some that all can pay and some that somebody cannot.  Most charges grow almost
 * evenly, so that a few guesses come close; how many seconds more an increment holds is tried in growing steps.
 */
static int64
longest_between(Search *search, int64 fits, int64 tried)
{
	bool		close = false;

	for (int i = 0; i < GUESSES && !close && tried - fits > 1; i++)
	{
		int64		guess = even_seconds(search, fits, tried);

		close = all_can_pay(search, guess);
		*(close ? &fits : &tried) = guess;
	}
	for (int64 step = 1; step < tried - fits; step *= 2)
	{
		if (!all_can_pay(search, fits + step))
			tried = fits + step;
		else
			fits += step;
	}
	while (tried - fits > 1)
	{
		int64		middle = fits + (tried - fits) / 2;

		if (all_can_pay(search, middle))
			fits = middle;
		else
			tried = middle;
	}
	return fits;
}

/* The greatest number of seconds, at most so many, that all can pay, and all that is shorter too. */
int64
billing_search_longest(Search *search, int64 most)
{
	int64		fits = 0;
	int64		tried = search->splits ? Min(60, most) : most;

	if (!first_increments_fit(search))
		return 0;
	if (!search->splits && falls(search))
		return longest_by_seconds(search, 0, most);
	/* rating a call that crosses bands costs by its length: twice as long each time, then halving what lies between */
	for (;;)
	{
		bool		fit = all_can_pay(search, tried);

		if (falls(search))
		{
			note_peak_at(search, fits);
			return longest_by_seconds(search, fits, most);
		}
		if (!fit)
			break;
		fits = tried;
		if (tried == most)
			break;
		tried = Min(2 * tried, most);
	}
	fits = longest_between(search, fits, tried);
	note_peak_at(search, fits);
	return fits;
}

/* ---- arrays with an element for each leg ---- */

Datum
billing_leg_array(Datum *values, bool *nulls, Oid type)
{
	int			lower = 1;
	int			count = LEGS;
	int16		length;
	bool		byval;
	char		align;

	get_typlenbyvalalign(type, &length, &byval, &align);
	return PointerGetDatum(construct_md_array(values, nulls, 1, &count, &lower, type, length, byval, align));
}

/* 0 is null. */
Datum
billing_leg_ids(const int64 *ids)
{
	Datum		values[LEGS];
	bool		nulls[LEGS];

	for (int leg = 0; leg < LEGS; leg++)
	{
		nulls[leg] = ids[leg] == 0;
		values[leg] = Int64GetDatum(ids[leg]);
	}
	return billing_leg_array(values, nulls, INT8OID);
}

Datum
billing_leg_money(const Money *money)
{
	Datum		values[LEGS];
	bool		nulls[LEGS] = {false};

	for (int leg = 0; leg < LEGS; leg++)
		values[leg] = NumericGetDatum(billing_numeric_from_money(money[leg]));
	return billing_leg_array(values, nulls, NUMERICOID);
}

static int
leg_argument(FunctionCallInfo fcinfo, int argument, const char *name, Oid type, int length, bool byval, Datum **values, bool **nulls)
{
	int			count;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(argument), type, length, byval, byval ? TYPALIGN_DOUBLE : TYPALIGN_INT,
					  values, nulls, &count);
	if (count > LEGS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s has %d elements", name, count),
				 errdetail("It has one for each leg, so at most %d.", LEGS)));
	return count;
}

static void
covered_argument(FunctionCallInfo fcinfo, int argument, Search *search)
{
	Datum	   *values;
	bool	   *nulls;
	int			count = leg_argument(fcinfo, argument, "covered", INT8OID, 8, FLOAT8PASSBYVAL, &values, &nulls);

	for (int leg = 0; leg < count; leg++)
		if (!nulls[leg])
			search->covered[leg] = DatumGetInt64(values[leg]);
}

static void
spendable_argument(FunctionCallInfo fcinfo, int argument, Search *search)
{
	Datum	   *values;
	bool	   *nulls;
	int			count = leg_argument(fcinfo, argument, "spendable", NUMERICOID, -1, false, &values, &nulls);

	for (int leg = 0; leg < count; leg++)
	{
		search->limited[leg] = !nulls[leg];
		if (!nulls[leg])
			search->spendable[leg] = billing_money_from_numeric(DatumGetNumeric(values[leg]));
	}
}

/* billing._longest_call(cdr, spendable, covered, most): how long all who pay can pay, who cannot pay more, and what is owed by then. */
PG_FUNCTION_INFO_V1(billing_longest_call);
Datum
billing_longest_call(PG_FUNCTION_ARGS)
{
	Search		search = {0};
	Cdr			cdr;
	int32		most = PG_GETARG_INT32(3);
	Datum		values[4];
	bool		nulls[4] = {false};

	if (most < 1 || most >= SECONDS_LIMIT)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("most is out of range"),
				 errdetail("It must be from 1 to 999,999,999 seconds.")));
	billing_check_reader(GetUserId());
	billing_record_read(fcinfo, &cdr);
	spendable_argument(fcinfo, 1, &search);
	covered_argument(fcinfo, 2, &search);
	billing_search_begin(&search, billing_statement(fcinfo->flinfo->fn_mcxt), &cdr);

	values[0] = Int32GetDatum((int32) billing_search_longest(&search, most));
	nulls[1] = search.short_leg == LEGS;
	values[1] = nulls[1] ? (Datum) 0 : CStringGetTextDatum(billing_leg_names[search.short_leg]);
	values[2] = billing_leg_money(search.peak);
	values[3] = billing_leg_ids(search.billsec);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(billing_result_desc(fcinfo), values, nulls)));
}
