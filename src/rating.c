/*
 * rating.c
 *	  A call from caller to amounts: who, which price list, which rate, how much (design 5).
 *
 * A pure function of the row and the catalogue as of the call (promise 2): it writes nothing and raises no error
 * for what the row says (promise 1).
 */
#include "authorize.h"

#include "common/int.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

const char *const billing_leg_names[LEGS] = {"customer", "reseller", "provider", "did_incoming", "did_owner", "did_provider"};

LegKind
billing_leg_kind(const char *name)
{
	return billing_name_index("leg", name, billing_leg_names, LEGS);
}

Leg *
billing_rating_leg(Rating *rating, LegKind kind)
{
	static const size_t places[LEGS] = {
		offsetof(Rating, customer), offsetof(Rating, reseller), offsetof(Rating, provider),
		offsetof(Rating, did_incoming), offsetof(Rating, did_owner), offsetof(Rating, did_provider)
	};

	return (Leg *) ((char *) rating + places[kind]);
}

/* ---- what the row must say ---- */

/* The called number; false: it is missing or not made of dialled symbols. */
static bool
read_number(RawText text, Number *number)
{
	size_t		symbols;

	if (text.data == NULL || !billing_prefix_scan(text.data, text.length, &number->symbols, &symbols))
		return false;
	number->longer = symbols > PREFIX_MAX_LEN;
	return symbols > 0;
}

static void
read_call(Call *call)
{
	const Cdr  *cdr = call->cdr;

	call->invalid = NULL;
	if (!cdr->has_start)
		call->invalid = "no_start";
	else if (cdr->bad_duration)
		call->invalid = "invalid_duration";
	else if (!read_number(cdr->text[RAW_CALLEE_NUMBER], &call->number))
		call->invalid = "invalid_number";
}

/* ---- which price list (design 5.3) ---- */

static int64
account_tariff(Call *call, const AccountTerms *terms)
{
	int64		tariff_id = 0;

	if (terms == NULL)
		return 0;
	if (terms->plan_id != 0)
		tariff_id = billing_plan_tariff(call->statement, terms->plan_id);
	return tariff_id != 0 ? tariff_id : terms->tariff_id;
}

/* The service's own list, else its plan's; a virtual number shares its primary's (D9). */
static int64
service_tariff(Call *call, const Service *service)
{
	const ServiceTerms *terms;

	if (service->kind == KIND_VIRTUAL_NUMBER)
		service = billing_service(call->statement, service->primary_id);
	terms = service ? billing_service_terms(service, call->cdr->at) : NULL;
	if (terms == NULL)
		return 0;
	if (terms->tariff_id == 0 && terms->plan_id != 0)
		return billing_plan_tariff(call->statement, terms->plan_id);
	return terms->tariff_id;
}

/* An account without a list of its own, and without a parent who would sell to it, buys by the default one. */
static int64
buyer_tariff(Call *call, const AccountTerms *terms)
{
	int64		tariff_id = account_tariff(call, terms);

	if (tariff_id == 0 && (terms == NULL || terms->parent_id == 0))
		tariff_id = billing_default_tariff(call->statement, call->cdr->at);
	return tariff_id;
}

/* ---- how much (design 5.5) ---- */

static const char *
price_list_name(const Price *price)
{
	return price->tariff ? psprintf("tariff \"%s\"", price->tariff->name) : "the DID's prices";
}

static void
trace_day(Call *call, const LegTerms *terms, const Price *price, const char *topic, TimestampTz instant)
{
	if (price->calendar)
		billing_trace(call->trace, terms->name, topic, "%s is a %s day%s%s by calendar \"%s\"",
					  timestamptz_to_str(instant), billing_day_type_name(price->day.day_type),
					  price->day.band ? ", band " : ", in no band", price->day.band ? price->day.band : "", price->calendar);
}

static void
trace_rate(Call *call, const LegTerms *terms, const Price *price)
{
	const Rate *rate = price->rate;
	char	   *day = "";

	if (rate->day_type != DAY_ANY || rate->band)
		day = psprintf(", for %s days%s%s", billing_day_type_name(rate->day_type), rate->band ? " in band " : "", rate->band ? rate->band : "");
	if (price->tariff == NULL)
		billing_trace(call->trace, terms->name, "rate", "DID rate %lld%s, in force from %s", (long long) rate->id, day,
					  rate->valid_from == DT_NOBEGIN ? "the beginning" : timestamptz_to_str(rate->valid_from));
	else
		billing_trace(call->trace, terms->name, "rate", "rate %lld of %s: %s \"%s\"%s%s%s, in force from %s%s",
					  (long long) rate->id, price_list_name(price), rate->exact ? "the whole number" : "prefix",
					  billing_prefix_text(rate->prefix), rate->destination ? ", " : "", rate->destination ? rate->destination : "", day,
					  rate->valid_from == DT_NOBEGIN ? "the beginning" : timestamptz_to_str(rate->valid_from),
					  rate->blocked ? ", blocked" : "");
}

static void
trace_price(Call *call, const LegTerms *terms, const Price *price)
{
	const ChargeTerms *charge = &price->terms;

	if (call->trace == NULL)
		return;
	trace_day(call, terms, price, "calendar", call->cdr->at);
	if (price->rate)
		trace_rate(call, terms, price);
	billing_trace(call->trace, terms->name, "terms",
				  "%s %s a minute (first increment %s), connect fee %s, increments %d/%d %s, grace %d s, free %d s, surcharge %s %%",
				  billing_money_text(charge->price), price->currency, billing_money_text(charge->first_price),
				  billing_money_text(charge->connect_fee), charge->first_increment, charge->next_increment,
				  billing_increment_rule_name(charge->increment_rule), charge->grace_seconds,
				  charge->free_seconds, billing_money_text((Money) charge->surcharge * 10000));
	for (int i = 0; i < charge->nsteps; i++)
		billing_trace(call->trace, terms->name, "step", "from second %d: %s a minute in increments of %d s",
					  charge->steps[i].from_second, billing_money_text(charge->steps[i].price), charge->steps[i].increment);
}

/* How duration_rounding has changed the seconds, if it has. */
static const char *
rounded_seconds(CallSeconds seconds, const ChargeTerms *terms, const Charge *charge)
{
	if (charge->micros == seconds.micros && !seconds.more)
		return "";
	return psprintf(", rounded %s to %s s", billing_duration_rounding_name(terms->duration_rounding),
					billing_decimal_text(charge->micros, 6));
}

static void
trace_charge(Call *call, const LegTerms *terms, const Price *price, const Exchange *exchange, const Charge *charge)
{
	const ChargeTerms *by = &price->terms;
	Money		exact;

	if (call->trace == NULL)
		return;
	if (!terms->answered)
		billing_trace(call->trace, terms->name, "unanswered", "attempt fee %s", billing_money_text(by->attempt_fee));
	else if (charge->in_grace)
		billing_trace(call->trace, terms->name, "grace", "not longer than %d s: free, without fee and minimum", by->grace_seconds);
	else
		billing_trace(call->trace, terms->name, "seconds", "%s s%s, billed %lld s",
					  billing_decimal_text(terms->seconds.micros, 6), rounded_seconds(terms->seconds, by, charge),
					  (long long) charge->billed);
	if (charge->billed > 0 && by->covered > 0)
		billing_trace(call->trace, terms->name, "allowance", "%lld billed s are included%s", (long long) Min(by->covered, charge->billed),
					  charge->wholly_covered ? ", all of them: without fee and minimum" : "");

	exact = charge->numerator * 100 / CHARGE_DENOMINATOR;	/* shown with 10 decimals, cut */
	billing_trace(call->trace, terms->name, "charge", "%s %s before rounding%s%s", billing_decimal_text(exact, MONEY_DIGITS + 2),
				  price->currency, charge->minimum_held ? ", raised to the minimum" : "",
				  charge->maximum_held ? ", lowered to the maximum" : "");
	if (exchange->needed)
		billing_trace(call->trace, terms->name, "exchange", "%s the exchange rate %s",
					  exchange->inverse ? "divided by" : "multiplied with", billing_decimal_text(exchange->rate, 9));
	if (charge->out_of_range)
		billing_trace(call->trace, terms->name, "amount", "out of range: 1,000,000,000,000 or more");
	else
		billing_trace(call->trace, terms->name, "amount", "%s %s, rounded %s to %d decimals",
					  billing_money_text(charge->amount * terms->sign), terms->currency ? terms->currency : price->currency,
					  billing_rounding_mode_name(by->rounding_mode), by->rounding_digits);
}

void
billing_refuse(Call *call, const LegTerms *terms, Leg *leg, const char *reason)
{
	leg->reason = reason;
	TRACE(call->trace, terms->name, "reason", "%s", reason);
}

/* ---- calls that cross into another band or day (reading 15) ---- */

static void
trace_segment(Call *call, const LegTerms *terms, const Price *price, TimestampTz instant, int64 from_second)
{
	if (call->trace == NULL)
		return;
	trace_day(call, terms, price, "boundary", instant);
	billing_trace(call->trace, terms->name, "part", "from second %lld: rate %lld, %s %s a minute in increments of %d s", (long long) from_second,
				  (long long) (price->rate ? price->rate->id : 0), billing_money_text(price->terms.price), price->currency,
				  price->terms.next_increment);
}

static void
trace_gap(Call *call, const LegTerms *terms, const Price *price, TimestampTz instant)
{
	if (call->trace == NULL)
		return;
	if (price)
		trace_day(call, terms, price, "boundary", instant);
	billing_trace(call->trace, terms->name, "part", "from %s: %s, the price before goes on", timestamptz_to_str(instant),
				  price == NULL ? "no rate" : price->rate && price->rate->blocked ? "blocked" : "a rate in another currency");
}

static const ChargeStep *
copy_steps(const ChargeStep *steps, int count)
{
	return count > 0 ? memcpy(palloc(count * sizeof(ChargeStep)), steps, count * sizeof(ChargeStep)) : NULL;
}

static void
add_segment(ChargeSplit *split, int *room, int64 from_second, const ChargeTerms *terms)
{
	ChargeSegment *segments = (ChargeSegment *) split->segments;

	if (split->count == *room)
	{
		*room = *room ? 2 * *room : 16;
		segments = segments ? repalloc_huge(segments, *room * sizeof(ChargeSegment)) : palloc(*room * sizeof(ChargeSegment));
		split->segments = segments;
	}
	segments[split->count++] = (ChargeSegment) {
		from_second, terms->price, terms->next_increment, terms->nsteps, copy_steps(terms->steps, terms->nsteps)
	};
}

/*
 * The stretches of a call behind its boundaries, each with the price for the same number in its band and day; where
 * there is none, or it is blocked or in another currency, the price before goes on.  A boundary within a second counts
 * for increments that start behind it, and increments start at whole seconds, so it is rounded up.
 *
 * Looking for a later price may evict the deck that holds the first one: what is needed of it is copied before.
 */
static void
split_call(Call *call, const LegTerms *terms, Price *start, TimestampTz until, ChargeSplit *split)
{
	MemoryContext leg_context = CurrentMemoryContext;
	MemoryContext scratch;
	TimestampTz at = call->cdr->at;
	TimestampTz ends;
	int64		rate_id = start->rate ? start->rate->id : 0;
	int			room = 0;

	if (pg_add_s64_overflow(at, billing_duration_round(terms->seconds, start->terms.duration_rounding), &ends) || until >= ends)
		return;
	start->terms.steps = copy_steps(start->terms.steps, start->terms.nsteps);
	start->rate = NULL;
	scratch = AllocSetContextCreate(leg_context, "billing split call", ALLOCSET_DEFAULT_SIZES);
	while (until < ends)
	{
		TimestampTz instant = until;
		Price		price;
		int64		from_second = (instant - at + MICROS_PER_SECOND - 1) / MICROS_PER_SECOND;
		bool		found;

		CHECK_FOR_INTERRUPTS();
		MemoryContextReset(scratch);
		MemoryContextSwitchTo(scratch);
		found = terms->find(terms->source, instant, &price, &until);
		MemoryContextSwitchTo(leg_context);
		Assert(until > instant);
		if (!found || (price.rate && price.rate->blocked) || strcmp(price.currency, start->currency) != 0)
		{
			trace_gap(call, terms, found ? &price : NULL, instant);
			continue;
		}
		if (price.rate && price.rate->id == rate_id)
			continue;
		rate_id = price.rate ? price.rate->id : 0;
		add_segment(split, &room, from_second, &price.terms);
		trace_segment(call, terms, &price, instant, from_second);
	}
	MemoryContextDelete(scratch);
}

static void
charge_leg(Call *call, const LegTerms *terms, Price *price, TimestampTz until, Leg *leg)
{
	Exchange	exchange = {0};
	ChargeSplit split = {0};
	Charge		charge;
	bool		free_attempt = !terms->answered && price->terms.attempt_fee == 0;

	if (terms->currency && !free_attempt &&
		!billing_exchange(call->statement, price->currency, terms->currency, call->cdr->at, &exchange))
	{
		billing_refuse(call, terms, leg, "no_exchange_rate");
		return;
	}
	if (call->covered)
		price->terms.covered = call->covered[billing_leg_kind(terms->name)];
	if (terms->answered)
	{
		if (price->terms.split && price->terms.increment_rule == INCREMENT_FIRST_NEXT)
			split_call(call, terms, price, until, &split);
		if (call->quotes)
			billing_quote_leg(price, &split, &exchange, terms->sign, &call->quotes[billing_leg_kind(terms->name)]);
		billing_charge_answered(&price->terms, &split, terms->seconds, &exchange, &charge);
	}
	else
		billing_charge_attempt(&price->terms, &exchange, &charge);
	trace_charge(call, terms, price, &exchange, &charge);

	leg->has_billsec = true;
	leg->billsec = (int32) charge.billed;
	if (charge.out_of_range)
	{
		billing_refuse(call, terms, leg, "amount_out_of_range");
		return;
	}
	leg->has_amount = true;
	leg->amount = charge.amount * terms->sign;
}

/* An unanswered call costs nothing where it has no rate; why there is none is kept. */
static void
without_rate(Call *call, const LegTerms *terms, Leg *leg, const char *reason)
{
	billing_refuse(call, terms, leg, reason);
	if (!terms->answered)
	{
		leg->has_billsec = leg->has_amount = true;
		leg->billsec = 0;
		leg->amount = 0;
	}
}

/* Prices a leg: fills in rate, billed seconds and amount, or the reason why not. */
void
billing_price_leg(Call *call, const LegTerms *terms, Leg *leg)
{
	Price		price;
	TimestampTz until;

	if (call->invalid)
		billing_refuse(call, terms, leg, call->invalid);
	else if (terms->find == NULL)
		without_rate(call, terms, leg, "no_tariff");
	else if (!terms->find(terms->source, call->cdr->at, &price, &until))
		without_rate(call, terms, leg, "no_rate");
	else
	{
		bool		blocked = price.rate && price.rate->blocked;

		trace_price(call, terms, &price);
		if (blocked && terms->may_block)
		{
			billing_refuse(call, terms, leg, "blocked");
			return;
		}
		leg->rate_id = price.rate ? price.rate->id : 0;
		if (call->quotes)
			billing_quote_destination(&price, &call->quotes[billing_leg_kind(terms->name)]);
		charge_leg(call, terms, &price, until, leg);
		if (blocked && leg->reason == NULL)
			billing_refuse(call, terms, leg, "blocked");
	}
}

/* Prices a leg for the called number by a tariff; 0: there is none. */
static void
price_by_tariff(Call *call, LegTerms *terms, int64 tariff_id, Leg *leg)
{
	TariffSource source = {call->statement, tariff_id, call->number, call->cdr->at};

	terms->seconds = call->cdr->seconds;
	terms->answered = call->cdr->answered;
	terms->source = &source;
	terms->find = tariff_id != 0 ? billing_tariff_price : NULL;
	if (call->quotes)
		call->quotes[billing_leg_kind(terms->name)].tariff_id = tariff_id;
	billing_price_leg(call, terms, leg);
}

/*
 * ---- the legs ----
 *
 * Foreign keys see to it that a service's account exists, but a logical subscriber copies table by table, and a
 * --disable-triggers restore checks nothing: then the account is not there yet, and the call waits for it unrated.
 */

static const char *
verdict_reason(Found found)
{
	switch (found.verdict)
	{
		case FOUND_AMBIGUOUS:
			return "ambiguous";
		case FOUND_PATTERN_ERROR:
			return "pattern_error";
		case FOUND_NONE:
			return "no_account";
		default:
			return NULL;
	}
}

static void
rate_reseller(Call *call, int64 parent_id, Leg *leg)
{
	const Account *parent = billing_account(call->statement, parent_id);
	LegTerms	terms = {.name = "reseller", .sign = 1, .may_block = true};

	leg->applies = true;
	leg->account_id = parent_id;
	if (parent == NULL)
	{
		billing_refuse(call, &terms, leg, "no_account");
		return;
	}
	terms.currency = parent->currency;
	TRACE(call->trace, terms.name, "account", "%s (%lld), from whom the customer buys", parent->name, (long long) parent_id);
	price_by_tariff(call, &terms, buyer_tariff(call, billing_account_terms(parent, call->cdr->at)), leg);
}

static void
rate_customer(Call *call, const Service *service, Rating *rating)
{
	const Account *account = billing_account(call->statement, service->account_id);
	const AccountTerms *account_terms;
	LegTerms	terms = {.name = "customer", .sign = 1, .may_block = true};
	int64		tariff_id;

	rating->customer.applies = true;
	rating->customer.account_id = service->account_id;
	rating->customer_service_id = service->id;
	if (account == NULL)
	{
		billing_refuse(call, &terms, &rating->customer, "no_account");
		return;
	}
	account_terms = billing_account_terms(account, call->cdr->at);
	terms.currency = account->currency;
	TRACE(call->trace, terms.name, "account", "%s (%lld)", account->name, (long long) account->id);

	tariff_id = service_tariff(call, service);
	if (tariff_id == 0)
		tariff_id = buyer_tariff(call, account_terms);
	price_by_tariff(call, &terms, tariff_id, &rating->customer);

	if (account_terms && account_terms->parent_id != 0)
		rate_reseller(call, account_terms->parent_id, &rating->reseller);
}

/* Nobody was found: the default customer tariff, where there is one, prices the call all the same (V13). */
static void
rate_unknown_customer(Call *call, Rating *rating)
{
	LegTerms	terms = {.name = "customer", .sign = 1, .may_block = true};
	int64		tariff_id = billing_default_tariff(call->statement, call->cdr->at);

	if (tariff_id == 0)
	{
		billing_refuse(call, &terms, &rating->customer, call->invalid ? call->invalid : "no_account");
		return;
	}
	TRACE(call->trace, terms.name, "account", "none was found; the default customer tariff prices the call");
	rating->customer.applies = true;
	price_by_tariff(call, &terms, tariff_id, &rating->customer);
	if (rating->customer.reason == NULL)
		rating->customer.reason = "no_account";
}

static void
rate_customer_side(Call *call, const Parties *parties, Rating *rating)
{
	bool		billed = billing_has_customer_service(call->statement) ||
		billing_default_tariff(call->statement, call->cdr->at) != 0;

	if (call->cdr->rerouted || parties->did_call)
		return;
	rating->customer_expected = parties->customer.verdict != FOUND_NONE ||
		(parties->source_provider.verdict == FOUND_NONE && billed);
	if (!rating->customer_expected)
		return;
	if (parties->customer.verdict == FOUND_ONE)
		rate_customer(call, parties->customer.service, rating);
	else if (parties->customer.verdict == FOUND_NONE)
		rate_unknown_customer(call, rating);
	else
		rating->customer.reason = verdict_reason(parties->customer);
}

/* What a provider charges us: its service's list, else its own; we pay, so the amount is negative (reading 7). */
static void
rate_provider(Call *call, const Parties *parties, Rating *rating)
{
	const Service *service = parties->target_provider.service;
	LegTerms	terms = {.name = "provider", .sign = -1};
	const Account *account;
	const AccountTerms *account_terms;
	const ServiceTerms *service_terms;
	int64		tariff_id;

	rating->provider_expected = parties->onward_hop || parties->target_provider.verdict != FOUND_NONE;
	if (!rating->provider_expected)
		return;
	if (service == NULL)
	{
		billing_refuse(call, &terms, &rating->provider, call->invalid ? call->invalid : verdict_reason(parties->target_provider));
		return;
	}
	rating->provider.applies = true;
	rating->provider.account_id = service->account_id;
	rating->provider_service_id = service->id;
	account = billing_account(call->statement, service->account_id);
	if (account == NULL)
	{
		billing_refuse(call, &terms, &rating->provider, "no_account");
		return;
	}
	account_terms = billing_account_terms(account, call->cdr->at);
	service_terms = billing_service_terms(service, call->cdr->at);
	TRACE(call->trace, terms.name, "account", "%s (%lld)", account->name, (long long) account->id);

	terms.currency = account->currency;
	tariff_id = service_terms ? service_terms->tariff_id : 0;
	if (tariff_id == 0 && account_terms)
		tariff_id = account_terms->tariff_id;
	price_by_tariff(call, &terms, tariff_id, &rating->provider);
}

/* ---- status ---- */

static void
count_leg(bool expected, const Leg *leg, int *nexpected, int *npriced)
{
	*nexpected += expected;
	*npriced += expected && leg->has_amount;
}

/* By how many of the expected legs have an amount (design 4). */
const char *
billing_status(const Rating *rating)
{
	int			expected = 0;
	int			priced = 0;

	count_leg(rating->customer_expected, &rating->customer, &expected, &priced);
	count_leg(rating->reseller.applies, &rating->reseller, &expected, &priced);
	count_leg(rating->provider_expected, &rating->provider, &expected, &priced);
	count_leg(rating->did_incoming.applies, &rating->did_incoming, &expected, &priced);
	count_leg(rating->did_owner.applies, &rating->did_owner, &expected, &priced);
	count_leg(rating->did_provider.applies, &rating->did_provider, &expected, &priced);

	if (rating->invalid)
		return "invalid";
	if (priced == 0)
		return "unrated";
	return priced == expected ? "rated" : "partial";
}

static bool
did_leg_applies(const Rating *rating)
{
	return rating->did_incoming.applies || rating->did_owner.applies || rating->did_provider.applies;
}

/* What else there is to say of the called DID, where its legs have no reason of their own. */
static void
note_did(const Parties *parties, Rating *rating)
{
	if (rating->did_reason)
		return;
	if (parties->did_ambiguous || parties->dialler.verdict == FOUND_AMBIGUOUS)
		rating->did_reason = "ambiguous";
	else if (parties->did_unknown && parties->source_provider.verdict != FOUND_NONE)
		rating->did_reason = "unknown_did";
}

/* A call of which nobody expects money still says why (promise 1). */
static void
explain_nothing_expected(const Parties *parties, Rating *rating)
{
	if (rating->customer_expected || rating->provider_expected || did_leg_applies(rating) || rating->invalid || rating->did_reason)
		return;
	if (parties->did_call)
		rating->did_reason = "no_rate";
	else
		rating->provider_reason = "no_account";
}

static const char *
first_reason(const char *a, const char *b, const char *c)
{
	if (a)
		return a;
	return b ? b : c;
}

/* Rates a call: fills the rating, and the trace for those who ask how. */
void
billing_rate(Statement *statement, const Cdr *cdr, const RatingRequest *request, Rating *rating)
{
	Call		call = {
		.statement = statement,
		.cdr = cdr,
		.trace = request->trace,
		.without_did_fee = request->without_did_fee,
		.covered = request->covered,
		.quotes = request->quotes
	};
	Parties		parties = {0};

	memset(rating, 0, sizeof(Rating));
	billing_directory_begin_call(statement);
	read_call(&call);
	rating->invalid = call.invalid != NULL;
	if (cdr->has_start)
	{
		TRACE(call.trace, "call", "instant", "%s, %s", timestamptz_to_str(cdr->at), cdr->answered ? "answered" : "not answered");
		billing_identify(statement, cdr, call.trace, &parties);
		rating->did_service_id = parties.did ? parties.did->id : 0;
		rate_customer_side(&call, &parties, rating);
		rate_provider(&call, &parties, rating);
		if (parties.did)
			billing_rate_did(&call, &parties, rating);
	}

	rating->customer_reason = first_reason(rating->customer.reason, rating->reseller.reason, NULL);
	rating->provider_reason = rating->provider.reason;
	rating->did_reason = first_reason(rating->did_incoming.reason, rating->did_owner.reason, rating->did_provider.reason);
	note_did(&parties, rating);
	if (rating->invalid)
		rating->customer_reason = rating->provider_reason = call.invalid;
	explain_nothing_expected(&parties, rating);
	rating->status = billing_status(rating);
	TRACE(call.trace, "call", "status", "%s", rating->status);
}
