/*
 * authorize.c
 *	  Before a call: what it would cost, and how long those who pay for it can afford it (design 6).
 *
 * Both ask the same core as the trigger: a call is allowed for as long as what it will be charged is there.
 */
#include "billing.h"

#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type_d.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

/* ---- with the rights of the ledger's owner ---- */

static Oid
ledger_owner(void)
{
	Oid			signal = billing_ledger_relation("catalogue_signal");
	HeapTuple	tuple;
	Oid			owner;

	if (!OidIsValid(signal))
		billing_ledger_missing();
	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(signal));
	if (!HeapTupleIsValid(tuple))
		billing_ledger_missing();
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/* The extension's function with the same arguments and the same name behind an underscore. */
static Oid
inner_function(Oid self)
{
	Oid			extension = getExtensionOfObject(ProcedureRelationId, self);
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(self));
	Form_pg_proc proc;
	Oid			target;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", self);
	proc = (Form_pg_proc) GETSTRUCT(tuple);
	target = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum(psprintf("_%s", NameStr(proc->proname))),
							 PointerGetDatum(&proc->proargtypes), ObjectIdGetDatum(proc->pronamespace));
	ReleaseSysCache(tuple);
	if (!OidIsValid(target) || !OidIsValid(extension) || getExtensionOfObject(ProcedureRelationId, target) != extension)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("extension billing has no function behind %s", format_procedure(self)),
				 errhint("Was it renamed? Run ALTER EXTENSION billing UPDATE.")));
	return target;
}

/*
 * billing.authorize() and billing.release(): the functions of the same name behind an underscore, run with the rights of
 * the ledger's owner, restricted, so that a switch needs EXECUTE on these two and no right on any table.  Not SECURITY
 * DEFINER, for the reason given at billing_as_owner().
 */
PG_FUNCTION_INFO_V1(billing_for_switch);
Datum
billing_for_switch(PG_FUNCTION_ARGS)
{
	LOCAL_FCINFO(call, FUNC_MAX_ARGS);
	Oid			save_userid;
	int			save_sec_context;
	Datum		result;

	if (fcinfo->flinfo->fn_extra == NULL)
	{
		FmgrInfo   *target = MemoryContextAlloc(fcinfo->flinfo->fn_mcxt, sizeof(FmgrInfo));

		fmgr_info_cxt(inner_function(fcinfo->flinfo->fn_oid), target, fcinfo->flinfo->fn_mcxt);
		fcinfo->flinfo->fn_extra = target;
	}

	GetUserIdAndSecContext(&save_userid, &save_sec_context);
	SetUserIdAndSecContext(ledger_owner(), save_sec_context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	InitFunctionCallInfoData(*call, (FmgrInfo *) fcinfo->flinfo->fn_extra, fcinfo->nargs, fcinfo->fncollation, NULL, NULL);
	for (int i = 0; i < fcinfo->nargs; i++)
		call->args[i] = fcinfo->args[i];
	result = FunctionCallInvoke(call);
	fcinfo->isnull = call->isnull;
	SetUserIdAndSecContext(save_userid, save_sec_context);
	return result;
}

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

void
billing_quote_leg(const Price *price, const ChargeSplit *split, LegQuote *quote)
{
	quote->currency = price->currency;
	quote->terms = price->terms;
	quote->terms.steps = NULL;
	quote->terms.nsteps = 0;
	quote->falls = may_fall(&price->terms, split);
}

/* ---- arguments and results, one element a leg ---- */

static int
leg_array(FunctionCallInfo fcinfo, int argument, const char *name, Oid type, int length, bool byval, Datum **values, bool **nulls)
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
covered_argument(FunctionCallInfo fcinfo, int argument, int64 *covered)
{
	Datum	   *values;
	bool	   *nulls;
	int			count = leg_array(fcinfo, argument, "covered", INT8OID, 8, FLOAT8PASSBYVAL, &values, &nulls);

	memset(covered, 0, LEGS * sizeof(int64));
	for (int leg = 0; leg < count; leg++)
		if (!nulls[leg])
			covered[leg] = DatumGetInt64(values[leg]);
}

static Datum
leg_result(Datum *values, bool *nulls, Oid type)
{
	int			lower = 1;
	int			count = LEGS;
	int16		length;
	bool		byval;
	char		align;

	get_typlenbyvalalign(type, &length, &byval, &align);
	return PointerGetDatum(construct_md_array(values, nulls, 1, &count, &lower, type, length, byval, align));
}

static Datum
leg_ids(const int64 *ids)
{
	Datum		values[LEGS];
	bool		nulls[LEGS];

	for (int leg = 0; leg < LEGS; leg++)
	{
		nulls[leg] = ids[leg] == 0;
		values[leg] = Int64GetDatum(ids[leg]);
	}
	return leg_result(values, nulls, INT8OID);
}

static Datum
leg_texts(const char *const *texts)
{
	Datum		values[LEGS];
	bool		nulls[LEGS];

	for (int leg = 0; leg < LEGS; leg++)
	{
		nulls[leg] = texts[leg] == NULL;
		values[leg] = nulls[leg] ? (Datum) 0 : CStringGetTextDatum(texts[leg]);
	}
	return leg_result(values, nulls, TEXTOID);
}

static Datum
leg_money(const Money *money, const bool *nulls)
{
	Datum		values[LEGS];

	for (int leg = 0; leg < LEGS; leg++)
		values[leg] = nulls[leg] ? (Datum) 0 : NumericGetDatum(billing_numeric_from_money(money[leg]));
	return leg_result(values, (bool *) nulls, NUMERICOID);
}

static Datum
leg_int32(const int32 *numbers, const bool *nulls)
{
	Datum		values[LEGS];

	for (int leg = 0; leg < LEGS; leg++)
		values[leg] = Int32GetDatum(numbers[leg]);
	return leg_result(values, (bool *) nulls, INT4OID);
}

static Datum
optional_id(int64 id, bool *isnull)
{
	*isnull = id == 0;
	return Int64GetDatum(id);
}

static Datum
optional_text(const char *text, bool *isnull)
{
	*isnull = text == NULL;
	return text ? CStringGetTextDatum(text) : (Datum) 0;
}

/* ---- included minutes ---- */

/*
 * Whether a plan includes minutes for a leg, and the service whose own plan it is (0: the account's): the rule by which
 * the accounting pass queues pools.
 */
static bool
is_included(Statement *statement, const Cdr *cdr, LegKind kind, const Leg *leg, int64 service_id, int64 *pool_service_id)
{
	const Account *account = leg->account_id != 0 ? billing_account(statement, leg->account_id) : NULL;
	const AccountTerms *account_terms = account ? billing_account_terms(account, cdr->at) : NULL;
	const Service *service = service_id != 0 ? billing_service(statement, service_id) : NULL;
	const ServiceTerms *service_terms;
	int64		plan_id = account_terms ? account_terms->plan_id : 0;

	*pool_service_id = 0;
	if (account == NULL)
		return false;
	if (service && service->kind == KIND_VIRTUAL_NUMBER)
		service = billing_service(statement, service->primary_id);
	service_terms = service ? billing_service_terms(service, cdr->at) : NULL;
	if (service_terms && service_terms->plan_id != 0)
	{
		plan_id = service_terms->plan_id;
		*pool_service_id = service->id;
	}
	return plan_id != 0 && (billing_plan_allowances(statement, plan_id) & (1 << kind)) != 0;
}

static void
pool_legs(Statement *statement, const Cdr *cdr, Rating *rating, Datum *included, Datum *pools)
{
	static const bool no_nulls[LEGS] = {false};
	const int64 services[LEGS] = {
		[LEG_CUSTOMER] = rating->customer_service_id, [LEG_PROVIDER] = rating->provider_service_id, [LEG_DID_OWNER] = rating->did_service_id
	};
	Datum		values[LEGS];
	int64		ids[LEGS];

	for (int i = 0; i < LEGS; i++)
		values[i] = BoolGetDatum(is_included(statement, cdr, i, billing_rating_leg(rating, i), services[i], &ids[i]));
	*included = leg_result(values, (bool *) no_nulls, BOOLOID);
	*pools = leg_ids(ids);
}

/* ---- what it would cost ---- */

/* The call as answered at once and so long. */
static void
set_seconds(Cdr *cdr, int64 seconds)
{
	cdr->answered = true;
	cdr->bad_duration = cdr->bad_did_duration = false;
	cdr->seconds = cdr->did_seconds = (CallSeconds) {seconds * MICROS_PER_SECOND, false};
}

enum {QUOTE_CUSTOMER_SERVICE, QUOTE_DID_SERVICE, QUOTE_INVALID, QUOTE_DID_REASON, QUOTE_ACCOUNTS, QUOTE_RATES, QUOTE_REASONS,
	QUOTE_AMOUNTS, QUOTE_TARIFFS, QUOTE_CURRENCIES, QUOTE_PRICES, QUOTE_FEES, QUOTE_FIRST, QUOTE_NEXT,
	QUOTE_INCLUDED, QUOTE_POOLS, QUOTE_COLUMNS};

static void
quote_legs(Rating *rating, const LegQuote *quotes, Datum *values)
{
	int64		accounts[LEGS];
	int64		rates[LEGS];
	int64		tariffs[LEGS];
	const char *reasons[LEGS];
	const char *currencies[LEGS];
	Money		amounts[LEGS];
	Money		prices[LEGS];
	Money		fees[LEGS];
	int32		first[LEGS];
	int32		next[LEGS];
	bool		no_amount[LEGS];
	bool		no_price[LEGS];

	for (int i = 0; i < LEGS; i++)
	{
		const Leg  *leg = billing_rating_leg(rating, i);

		accounts[i] = leg->account_id;
		rates[i] = leg->rate_id;
		tariffs[i] = quotes[i].tariff_id;
		reasons[i] = leg->reason;
		currencies[i] = quotes[i].currency;
		amounts[i] = leg->amount;
		prices[i] = quotes[i].terms.price;
		fees[i] = quotes[i].terms.connect_fee;
		first[i] = quotes[i].terms.first_increment;
		next[i] = quotes[i].terms.next_increment;
		no_amount[i] = !leg->has_amount;
		no_price[i] = quotes[i].currency == NULL;
	}
	values[QUOTE_ACCOUNTS] = leg_ids(accounts);
	values[QUOTE_RATES] = leg_ids(rates);
	values[QUOTE_REASONS] = leg_texts(reasons);
	values[QUOTE_AMOUNTS] = leg_money(amounts, no_amount);
	values[QUOTE_TARIFFS] = leg_ids(tariffs);
	values[QUOTE_CURRENCIES] = leg_texts(currencies);
	values[QUOTE_PRICES] = leg_money(prices, no_price);
	values[QUOTE_FEES] = leg_money(fees, no_price);
	values[QUOTE_FIRST] = leg_int32(first, no_price);
	values[QUOTE_NEXT] = leg_int32(next, no_price);
}

/* billing._quote_call(cdr, seconds): who takes part in the call, and what each is charged for so many seconds, by what. */
PG_FUNCTION_INFO_V1(billing_quote_call);
Datum
billing_quote_call(PG_FUNCTION_ARGS)
{
	LegQuote	quotes[LEGS] = {0};
	Statement  *statement;
	Cdr			cdr;
	Rating		rating;
	Datum		values[QUOTE_COLUMNS];
	bool		nulls[QUOTE_COLUMNS] = {0};

	billing_check_reader(GetUserId());
	statement = billing_statement(fcinfo->flinfo->fn_mcxt);
	billing_record_read(fcinfo, &cdr);
	set_seconds(&cdr, PG_GETARG_INT32(1));
	billing_rate(statement, &cdr, &(RatingRequest) {.quotes = quotes}, &rating);

	values[QUOTE_CUSTOMER_SERVICE] = optional_id(rating.customer_service_id, &nulls[QUOTE_CUSTOMER_SERVICE]);
	values[QUOTE_DID_SERVICE] = optional_id(rating.did_service_id, &nulls[QUOTE_DID_SERVICE]);
	values[QUOTE_INVALID] = optional_text(rating.invalid ? rating.customer_reason : NULL, &nulls[QUOTE_INVALID]);
	values[QUOTE_DID_REASON] = optional_text(rating.did_reason, &nulls[QUOTE_DID_REASON]);
	quote_legs(&rating, quotes, values);
	pool_legs(statement, &cdr, &rating, &values[QUOTE_INCLUDED], &values[QUOTE_POOLS]);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(billing_result_desc(fcinfo), values, nulls)));
}

/* ---- how long ---- */

/* The legs that must be affordable: all that a customer, a reseller or the holder of a DID pays. */
static const LegKind payers[] = {LEG_CUSTOMER, LEG_RESELLER, LEG_DID_OWNER, LEG_DID_INCOMING};

#define NOBODY		LEGS
#define A_DAY		86400

typedef struct Search
{
	Statement  *statement;
	Cdr		   *cdr;
	MemoryContext scratch;		/* of one rating */
	int64		covered[LEGS];
	bool		limited[LEGS];
	Money		spendable[LEGS];
	Money		peak[LEGS];		/* the greatest amount of each leg, until the call has lasted as long as it may */
	int64		billsec[LEGS];	/* and what is billed of it by then */
	Rating		rating;			/* as of the seconds that were asked last */
	LegQuote	quotes[LEGS];
	int			short_leg;		/* whose account cannot pay; NOBODY */
} Search;

static void
rate_seconds(Search *search, int64 seconds)
{
	MemoryContext former;

	CHECK_FOR_INTERRUPTS();
	MemoryContextReset(search->scratch);
	former = MemoryContextSwitchTo(search->scratch);
	set_seconds(search->cdr, seconds);
	memset(search->quotes, 0, sizeof(search->quotes));
	billing_rate(search->statement, search->cdr, &(RatingRequest) {.covered = search->covered, .quotes = search->quotes}, &search->rating);
	MemoryContextSwitchTo(former);
}

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
	Money		sum = 0;

	if (leg->applies && !leg->has_amount)
		return false;
	if (!search->limited[kind] || owed(leg) == 0)
		return true;
	for (int i = 0; i < (int) lengthof(payers); i++)
	{
		const Leg  *other = billing_rating_leg(&search->rating, payers[i]);

		if (other->account_id == leg->account_id)
			sum += owed(other);
	}
	return sum <= search->spendable[kind];
}

static bool
all_can_pay(Search *search, int64 seconds)
{
	rate_seconds(search, seconds);
	for (int i = 0; i < (int) lengthof(payers); i++)
		if (!can_pay(search, payers[i]))
		{
			search->short_leg = payers[i];
			return false;
		}
	return true;
}

static bool
falls(const Search *search)
{
	for (int i = 0; i < (int) lengthof(payers); i++)
		if (search->quotes[payers[i]].falls)
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
	for (int i = 0; i < (int) lengthof(payers); i++)
	{
		int64		second = first_billed_second(&search->quotes[payers[i]].terms);

		if (second == 1)
			continue;
		rate_seconds(search, second);
		if (!can_pay(search, payers[i]))
		{
			search->short_leg = payers[i];
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

/* The greatest number of seconds, at most so many, that all can pay, and all that is shorter too. */
static int64
longest(Search *search, int64 most)
{
	int64		fits = 0;
	int64		tried = Min(60, most);

	if (!first_increments_fit(search))
		return 0;
	/* twice as long each time, then halving what lies between: rating a call that crosses bands costs by its length */
	for (;;)
	{
		bool		fit = all_can_pay(search, tried);

		if (falls(search))
		{
			if (fits > 0)
			{
				rate_seconds(search, fits);
				note_peak(search);
			}
			return longest_by_seconds(search, fits, most);
		}
		if (!fit)
			break;
		fits = tried;
		if (tried == most)
			break;
		tried = Min(2 * tried, most);
	}
	while (tried - fits > 1)
	{
		int64		middle = fits + (tried - fits) / 2;

		if (all_can_pay(search, middle))
			fits = middle;
		else
			tried = middle;
	}
	if (fits > 0)
	{
		rate_seconds(search, fits);
		note_peak(search);
	}
	return fits;
}

static void
spendable_argument(FunctionCallInfo fcinfo, int argument, Search *search)
{
	Datum	   *values;
	bool	   *nulls;
	int			count = leg_array(fcinfo, argument, "spendable", NUMERICOID, -1, false, &values, &nulls);

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
	static const bool no_nulls[LEGS] = {false};
	Search		search = {.short_leg = NOBODY};
	Cdr			cdr;
	int32		most = PG_GETARG_INT32(3);
	Datum		values[4];
	bool		nulls[4] = {0};

	if (most < 1 || most >= SECONDS_LIMIT)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("most is out of range"),
				 errdetail("It must be from 1 to 999,999,999 seconds.")));
	billing_check_reader(GetUserId());
	billing_record_read(fcinfo, &cdr);
	search.statement = billing_statement(fcinfo->flinfo->fn_mcxt);
	search.cdr = &cdr;
	search.scratch = AllocSetContextCreate(CurrentMemoryContext, "billing longest call", ALLOCSET_DEFAULT_SIZES);
	spendable_argument(fcinfo, 1, &search);
	covered_argument(fcinfo, 2, search.covered);

	values[0] = Int32GetDatum((int32) longest(&search, most));
	values[1] = optional_text(search.short_leg == NOBODY ? NULL : billing_leg_names[search.short_leg], &nulls[1]);
	values[2] = leg_money(search.peak, no_nulls);
	values[3] = leg_ids(search.billsec);
	MemoryContextDelete(search.scratch);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(billing_result_desc(fcinfo), values, nulls)));
}
