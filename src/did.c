/*
 * did.c
 *	  The three prices of a DID: incoming, owner and provider (design 5.6, K1 to K14).
 *
 * The prices belong to the number, not to its present holder.  All three keep the sign of the document: a positive
 * amount is paid by the leg's account, a negative one to it (K13).
 */
#include "billing.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

typedef enum DidLeg
{
	DID_INCOMING,
	DID_OWNER,
	DID_PROVIDER
} DidLeg;

#define DID_LEGS	(DID_PROVIDER + 1)

typedef struct DidRate
{
	Rate		rate;
	const char *currency;
	int64		calendar_id;	/* 0: the default one */
} DidRate;

/* All versions of a number's prices. */
struct DidRates
{
	int			count[DID_LEGS];
	DidRate    *rates[DID_LEGS];	/* latest first */
};

/* A leg of a DID to be priced. */
typedef struct DidSource
{
	Statement  *statement;
	const DidRate *rates;
	int			nrates;
	TimestampTz at;
	int64		out_payment;	/* per minute, in the account's currency (D14) */
	const char *currency;		/* the account's */
	bool		without_fee;
} DidSource;

enum {DID_ID, DID_NUMBER, DID_TENANT, DID_LEG, DID_DAY_TYPE, DID_BAND, DID_VALID_FROM, DID_CURRENCY, DID_CALENDAR, DID_PRICE,
	DID_FIRST_PRICE, DID_CONNECT_FEE, DID_ATTEMPT_FEE, DID_FIRST_INCREMENT, DID_NEXT_INCREMENT, DID_INCREMENT_RULE,
	DID_GRACE, DID_FREE, DID_MIN, DID_MAX, DID_SURCHARGE, DID_DURATION_ROUNDING, DID_ROUNDING_DIGITS,
	DID_ROUNDING_MODE, DID_BOUNDARY, DID_WITHDRAWN};

static const char *const leg_names[DID_LEGS] = {"did_incoming", "did_owner", "did_provider"};

/* ---- reading ---- */

/* A DID's rate inherits from nothing: all terms are its own. */
static void
read_charge(CatalogueScan *scan, ChargeTerms *terms)
{
	bool		isnull;

	memset(terms, 0, sizeof(ChargeTerms));
	terms->price = billing_scan_fixed(scan, DID_PRICE, MONEY_DIGITS, &isnull);
	terms->first_price = billing_scan_fixed(scan, DID_FIRST_PRICE, MONEY_DIGITS, &isnull);
	if (isnull)
		terms->first_price = terms->price;
	terms->connect_fee = billing_scan_fixed(scan, DID_CONNECT_FEE, MONEY_DIGITS, &isnull);
	terms->attempt_fee = billing_scan_fixed(scan, DID_ATTEMPT_FEE, MONEY_DIGITS, &isnull);
	terms->first_increment = billing_scan_int32(scan, DID_FIRST_INCREMENT, 1);
	terms->next_increment = billing_scan_int32(scan, DID_NEXT_INCREMENT, 1);
	terms->increment_rule = billing_increment_rule(billing_scan_text(scan, DID_INCREMENT_RULE, CurrentMemoryContext));
	terms->grace_seconds = billing_scan_int32(scan, DID_GRACE, 0);
	terms->free_seconds = billing_scan_int32(scan, DID_FREE, 0);
	terms->min_amount = billing_scan_fixed(scan, DID_MIN, MONEY_DIGITS, &isnull);
	terms->has_min = !isnull;
	terms->max_amount = billing_scan_fixed(scan, DID_MAX, MONEY_DIGITS, &isnull);
	terms->has_max = !isnull;
	terms->surcharge = (int32) billing_scan_fixed(scan, DID_SURCHARGE, 4, &isnull);
	terms->duration_rounding = billing_duration_rounding(billing_scan_text(scan, DID_DURATION_ROUNDING, CurrentMemoryContext));
	terms->rounding_digits = (int8) billing_scan_int32(scan, DID_ROUNDING_DIGITS, MONEY_DIGITS);
	terms->rounding_mode = billing_rounding_mode(billing_scan_text(scan, DID_ROUNDING_MODE, CurrentMemoryContext));
	terms->split = billing_boundary_splits(billing_scan_text(scan, DID_BOUNDARY, CurrentMemoryContext));
}

static void
read_rate(CatalogueScan *scan, MemoryContext context, DidRate *rate)
{
	RateOverride *terms = MemoryContextAllocZero(context, sizeof(RateOverride));

	memset(rate, 0, sizeof(DidRate));
	read_charge(scan, &terms->terms);
	rate->rate.id = billing_scan_int64(scan, DID_ID, 0);
	rate->rate.day_type = billing_day_type(billing_scan_text(scan, DID_DAY_TYPE, CurrentMemoryContext));
	rate->rate.band = billing_scan_text(scan, DID_BAND, context);
	rate->rate.valid_from = billing_scan_int64(scan, DID_VALID_FROM, DT_NOBEGIN);
	rate->rate.price = terms->terms.price;
	rate->rate.override = terms;
	rate->rate.withdrawn = billing_scan_bool(scan, DID_WITHDRAWN);
	rate->currency = billing_scan_text(scan, DID_CURRENCY, context);
	rate->calendar_id = billing_scan_int64(scan, DID_CALENDAR, 0);
}

static int
compare_rates(const void *a, const void *b)
{
	return billing_rate_compare(&((const DidRate *) a)->rate, &((const DidRate *) b)->rate);
}

static struct DidRates *
load_rates(Statement *statement, const Service *did)
{
	MemoryContext context = billing_directory_context(statement);
	struct DidRates *rates = MemoryContextAllocZero(context, sizeof(struct DidRates));
	int			room[DID_LEGS] = {4, 4, 4};
	CatalogueScan scan;
	ScanKeyData keys[2];

	for (DidLeg leg = DID_INCOMING; leg < DID_LEGS; leg++)
		rates->rates[leg] = MemoryContextAlloc(context, room[leg] * sizeof(DidRate));
	billing_key_text(statement, CATALOGUE_DID_RATE, DID_NUMBER, did->identifier, strlen(did->identifier), &keys[0]);
	billing_key_text(statement, CATALOGUE_DID_RATE, DID_TENANT, did->tenant, strlen(did->tenant), &keys[1]);
	billing_scan_begin(statement, CATALOGUE_DID_RATE, keys, 2, &scan);
	while (billing_scan_next(&scan))
	{
		DidLeg		leg = billing_name_index("leg", billing_scan_text(&scan, DID_LEG, CurrentMemoryContext), leg_names, DID_LEGS);

		if (rates->count[leg] == room[leg])
			rates->rates[leg] = repalloc(rates->rates[leg], (room[leg] *= 2) * sizeof(DidRate));
		read_rate(&scan, context, &rates->rates[leg][rates->count[leg]++]);
	}
	billing_scan_end(&scan);
	for (DidLeg leg = DID_INCOMING; leg < DID_LEGS; leg++)
		qsort(rates->rates[leg], rates->count[leg], sizeof(DidRate), compare_rates);
	return rates;
}

/* The prices of the number; read when it is first called, kept with its service. */
static const struct DidRates *
did_rates(Statement *statement, const Service *did)
{
	if (did->did_rates == NULL)
		((Service *) did)->did_rates = load_rates(statement, did);
	return did->did_rates;
}

/* ---- the price ---- */

static void
day_of(const DidSource *source, const DidRate *rate, TimestampTz instant, Price *price, TimestampTz *until)
{
	int64		calendar_id = rate->calendar_id != 0 ? rate->calendar_id : billing_default_calendar(source->statement);
	Calendar   *calendar = calendar_id != 0 ? billing_calendar(source->statement, calendar_id) : NULL;
	TimestampTz day_until;

	price->day = (DayBand) {DAY_ANY, NULL};
	price->calendar = NULL;
	if (calendar == NULL || TIMESTAMP_NOT_FINITE(instant))
		return;
	billing_calendar_at(calendar, instant, source->at, &price->day, &day_until);
	price->calendar = calendar->name;
	*until = Min(*until, day_until);
}

/* How well a version fits: 3 day and band, 2 band, 1 day, 0 any, -1 not at all (design 5.4). */
static int
fit_of(const Rate *rate, DayBand day)
{
	if (rate->band && (day.band == NULL || strcmp(rate->band, day.band) != 0))
		return -1;
	if (rate->day_type != DAY_ANY && rate->day_type != day.day_type)
		return -1;
	return (rate->band ? 2 : 0) + (rate->day_type != DAY_ANY ? 1 : 0);
}

/* Whether a later version of the same day type and band is in force; the rates stand latest first. */
static bool
superseded(const DidSource *source, int position)
{
	const Rate *rate = &source->rates[position].rate;

	for (int i = 0; i < position; i++)
	{
		const Rate *later = &source->rates[i].rate;

		if (later->valid_from <= source->at && later->day_type == rate->day_type &&
			(later->band == NULL) == (rate->band == NULL) && (rate->band == NULL || strcmp(later->band, rate->band) == 0))
			return true;
	}
	return false;
}

/*
 * The version in force with the best fit; each is judged by its own calendar.  Of the same fit the latest decides,
 * and if that one is withdrawn the fit has none.
 */
static const DidRate *
choose_rate(const DidSource *source, TimestampTz instant, Price *price, TimestampTz *until)
{
	const DidRate *best[4] = {NULL, NULL, NULL, NULL};
	Price		days[4];

	for (int i = 0; i < source->nrates; i++)
	{
		const DidRate *rate = &source->rates[i];
		Price		day;
		int			fit;

		if (rate->rate.valid_from > source->at || superseded(source, i))
			continue;
		day_of(source, rate, instant, &day, until);
		fit = fit_of(&rate->rate, day.day);
		if (fit >= 0 && best[fit] == NULL)
		{
			best[fit] = rate;
			days[fit] = day;
		}
	}
	for (int fit = 3; fit >= 0; fit--)
		if (best[fit] && !best[fit]->rate.withdrawn)
		{
			price->day = days[fit].day;
			price->calendar = days[fit].calendar;
			return best[fit];
		}
	return NULL;
}

static bool
did_price(const void *did_source, TimestampTz instant, Price *price, TimestampTz *until)
{
	const DidSource *source = did_source;
	const DidRate *rate;

	*until = DT_NOEND;
	memset(price, 0, sizeof(Price));
	rate = choose_rate(source, instant, price, until);
	if (rate)
	{
		price->rate = &rate->rate;
		price->currency = rate->currency;
		price->terms = rate->rate.override->terms;
	}
	else if (source->nrates > 0)
		return false;
	else
	{
		price->currency = source->currency;
		price->terms.first_increment = price->terms.next_increment = 1;
		price->terms.rounding_digits = MONEY_DIGITS;
	}
	price->terms.out_payment = source->out_payment;
	if (source->without_fee)
		price->terms.connect_fee = 0;
	return true;
}

/* ---- the legs ---- */

static void
not_applicable(Call *call, DidLeg leg, const char *why)
{
	TRACE(call->trace, leg_names[leg], "not applicable", "%s", why);
}

static void
price_did(Call *call, DidLeg which, const struct DidRates *rates, int64 account_id, int64 out_payment, Leg *leg)
{
	const Account *account = billing_account(call->statement, account_id);
	DidSource	source = {
		.statement = call->statement,
		.rates = rates->rates[which],
		.nrates = rates->count[which],
		.at = call->cdr->at,
		.out_payment = out_payment,
		.without_fee = call->without_did_fee
	};
	LegTerms	terms = {
		.name = leg_names[which],
		.find = did_price,
		.source = &source,
		.seconds = call->cdr->did_seconds,
		.answered = call->cdr->answered || call->cdr->did_seconds.micros > 0 || call->cdr->did_seconds.more,
		.sign = 1
	};

	leg->applies = true;
	leg->account_id = account_id;
	if (account == NULL)
	{
		billing_refuse(call, &terms, leg, "no_account");
		return;
	}
	source.currency = terms.currency = account->currency;
	TRACE(call->trace, terms.name, "account", "%s (%lld)", account->name, (long long) account_id);
	if (out_payment != 0)
		TRACE(call->trace, terms.name, "out-payment", "%s %s a billed minute is taken off", billing_money_text(out_payment), account->currency);
	if (call->cdr->bad_did_duration)
		billing_refuse(call, &terms, leg, "invalid_duration");
	else
		billing_price_leg(call, &terms, leg);
}

/* Paid by the customer who dials, if we know him (K2, K3). */
static void
rate_incoming(Call *call, const Parties *parties, const struct DidRates *rates, Leg *leg)
{
	if (parties->dialler.verdict != FOUND_ONE)
		not_applicable(call, DID_INCOMING, "who dials is not recognised as a customer");
	else if (rates->count[DID_INCOMING] == 0)
		not_applicable(call, DID_INCOMING, "the number has no such price");
	else
		price_did(call, DID_INCOMING, rates, parties->dialler.service->account_id, 0, leg);
}

/* Paid by the one who holds the number, except for his own calls (K5, K6, K8, reading 10). */
static void
rate_owner(Call *call, const Parties *parties, const struct DidRates *rates, Leg *leg)
{
	const Service *did = parties->did;
	const ServiceTerms *terms = billing_service_terms(did, call->cdr->at);
	int64		out_payment = terms ? terms->out_payment : 0;

	if (did->account_id == 0)
		not_applicable(call, DID_OWNER, "the number is in stock");
	else if (parties->dialler.service && parties->dialler.service->account_id == did->account_id)
		not_applicable(call, DID_OWNER, "the owner dials his own number");
	else if (rates->count[DID_OWNER] == 0 && out_payment == 0)
		not_applicable(call, DID_OWNER, "the number has no such price");
	else
		price_did(call, DID_OWNER, rates, did->account_id, out_payment, leg);
}

/* Paid by the one who delivered the call, if that is the DID's provider (K11). */
static void
rate_did_provider(Call *call, const Parties *parties, const struct DidRates *rates, Leg *leg)
{
	const ServiceTerms *terms = billing_service_terms(parties->did, call->cdr->at);
	int64		provider_id = terms ? terms->provider_id : 0;
	const Service *source = parties->source_provider.service;

	if (provider_id == 0)
		not_applicable(call, DID_PROVIDER, "the number has no provider");
	else if (source && source->account_id != provider_id)
	{
		leg->applies = true;
		leg->account_id = source->account_id;
		leg->reason = "provider_mismatch";
		TRACE(call->trace, leg_names[DID_PROVIDER], "reason", "provider_mismatch: account %lld delivered the call, the number is of account %lld",
			  (long long) source->account_id, (long long) provider_id);
	}
	else if (source == NULL && parties->source_provider.verdict != FOUND_NONE)
	{
		leg->applies = true;
		leg->reason = parties->source_provider.verdict == FOUND_AMBIGUOUS ? "ambiguous" : "pattern_error";
		TRACE(call->trace, leg_names[DID_PROVIDER], "reason", "which provider delivered the call is not clear: %s", leg->reason);
	}
	else if (source == NULL && parties->dialler_on_net)
		not_applicable(call, DID_PROVIDER, "a customer of ours dials on the net");
	else if (rates->count[DID_PROVIDER] == 0)
		not_applicable(call, DID_PROVIDER, "the number has no such price");
	else
		price_did(call, DID_PROVIDER, rates, provider_id, 0, leg);
}

/* The three legs of a call to a known DID; whether it ends there or goes on. */
void
billing_rate_did(Call *call, const Parties *parties, Rating *rating)
{
	const struct DidRates *rates;

	if (call->cdr->rerouted)
		return;
	rates = did_rates(call->statement, parties->did);
	rate_incoming(call, parties, rates, &rating->did_incoming);
	rate_owner(call, parties, rates, &rating->did_owner);
	rate_did_provider(call, parties, rates, &rating->did_provider);
}
