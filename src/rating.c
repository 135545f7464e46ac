/*
 * rating.c
 *	  A call from caller to amounts: who, which price list, which rate, how much (design 5).
 *
 * A pure function of the row and the catalogue as of the call (promise 2): it writes nothing and raises no error
 * for what the row says (promise 1).
 */
#include "billing.h"

#include "utils/timestamp.h"

/* A call, what is known of it, and who asks. */
typedef struct Call
{
	Statement  *statement;
	const Cdr  *cdr;
	Trace	   *trace;
	Number		number;
	const char *invalid;		/* reason why the row cannot be read; NULL: it can */
} Call;

/* One leg to be priced. */
typedef struct LegTerms
{
	const char *name;
	int64		tariff_id;
	const char *currency;		/* of the account; NULL: the tariff's */
	int			sign;			/* of a positive charge */
	bool		may_block;		/* a blocked rate refuses the leg, else it is a note */
} LegTerms;

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

static void
trace_price(Call *call, const LegTerms *terms, const Price *price)
{
	const ChargeTerms *charge = &price->terms;
	char	   *prefix;

	if (call->trace == NULL)
		return;
	prefix = billing_prefix_text(price->rate->prefix);
	billing_trace(call->trace, terms->name, "rate", "rate %lld of tariff \"%s\": %s \"%s\"%s%s, in force from %s%s",
				  (long long) price->rate->id, price->tariff->name, price->rate->exact ? "the whole number" : "prefix", prefix,
				  price->rate->destination ? ", " : "", price->rate->destination ? price->rate->destination : "",
				  price->rate->valid_from == DT_NOBEGIN ? "the beginning" : timestamptz_to_str(price->rate->valid_from),
				  price->rate->blocked ? ", blocked" : "");
	billing_trace(call->trace, terms->name, "terms",
				  "%s %s a minute (first increment %s), connect fee %s, increments %d/%d %s, grace %d s, free %d s, surcharge %s %%",
				  billing_money_text(charge->price), price->tariff->currency, billing_money_text(charge->first_price),
				  billing_money_text(charge->connect_fee), charge->first_increment, charge->next_increment,
				  charge->increment_rule == INCREMENT_ALIGNED ? "aligned" : "first_next", charge->grace_seconds,
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
	if (!call->cdr->answered)
		billing_trace(call->trace, terms->name, "unanswered", "attempt fee %s", billing_money_text(by->attempt_fee));
	else if (charge->in_grace)
		billing_trace(call->trace, terms->name, "grace", "not longer than %d s: free, without fee and minimum", by->grace_seconds);
	else
		billing_trace(call->trace, terms->name, "seconds", "%s s%s, billed %lld s",
					  billing_decimal_text(call->cdr->seconds.micros, 6), rounded_seconds(call->cdr->seconds, by, charge),
					  (long long) charge->billed);

	exact = charge->numerator * 100 / CHARGE_DENOMINATOR;	/* shown with 10 decimals, cut */
	billing_trace(call->trace, terms->name, "charge", "%s %s before rounding%s%s", billing_decimal_text(exact, MONEY_DIGITS + 2),
				  price->tariff->currency, charge->minimum_held ? ", raised to the minimum" : "",
				  charge->maximum_held ? ", lowered to the maximum" : "");
	if (exchange->needed)
		billing_trace(call->trace, terms->name, "exchange", "%s %s at %s", exchange->inverse ? "divided by" : "multiplied with",
					  "the exchange rate", billing_decimal_text(exchange->rate, 9));
	if (charge->out_of_range)
		billing_trace(call->trace, terms->name, "amount", "out of range: 1,000,000,000,000 or more");
	else
		billing_trace(call->trace, terms->name, "amount", "%s %s, rounded %s to %d decimals",
					  billing_money_text(charge->amount * terms->sign), terms->currency ? terms->currency : price->tariff->currency,
					  billing_rounding_mode_name(by->rounding_mode), by->rounding_digits);
}

static void
refuse(Call *call, const LegTerms *terms, Leg *leg, const char *reason)
{
	leg->reason = reason;
	TRACE(call->trace, terms->name, "reason", "%s", reason);
}

static void
charge_leg(Call *call, const LegTerms *terms, const Price *price, Leg *leg)
{
	Exchange	exchange = {0};
	Charge		charge;
	bool		free_attempt = !call->cdr->answered && price->terms.attempt_fee == 0;

	if (terms->currency && !free_attempt &&
		!billing_exchange(call->statement, price->tariff->currency, terms->currency, call->cdr->at, &exchange))
	{
		refuse(call, terms, leg, "no_exchange_rate");
		return;
	}
	if (call->cdr->answered)
		billing_charge_answered(&price->terms, call->cdr->seconds, &exchange, &charge);
	else
		billing_charge_attempt(&price->terms, &exchange, &charge);
	trace_charge(call, terms, price, &exchange, &charge);

	leg->has_billsec = true;
	leg->billsec = (int32) charge.billed;
	if (charge.out_of_range)
	{
		refuse(call, terms, leg, "amount_out_of_range");
		return;
	}
	leg->has_amount = true;
	leg->amount = charge.amount * terms->sign;
}

/* An unanswered call costs nothing where it has no rate; why there is none is kept. */
static void
without_rate(Call *call, const LegTerms *terms, Leg *leg, const char *reason)
{
	refuse(call, terms, leg, reason);
	if (!call->cdr->answered)
	{
		leg->has_billsec = leg->has_amount = true;
		leg->billsec = 0;
		leg->amount = 0;
	}
}

static void
price_leg(Call *call, const LegTerms *terms, Leg *leg)
{
	Price		price;

	if (call->invalid)
		refuse(call, terms, leg, call->invalid);
	else if (terms->tariff_id == 0)
		without_rate(call, terms, leg, "no_tariff");
	else if (!billing_price(call->statement, terms->tariff_id, call->number, call->cdr->at, &price))
		without_rate(call, terms, leg, "no_rate");
	else
	{
		trace_price(call, terms, &price);
		if (price.rate->blocked && terms->may_block)
		{
			refuse(call, terms, leg, "blocked");
			return;
		}
		leg->rate_id = price.rate->id;
		charge_leg(call, terms, &price, leg);
		if (price.rate->blocked && leg->reason == NULL)
			refuse(call, terms, leg, "blocked");
	}
}

/* ---- the legs ---- */

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
	terms.tariff_id = buyer_tariff(call, billing_account_terms(parent, call->cdr->at));
	terms.currency = parent->currency;
	TRACE(call->trace, terms.name, "account", "%s (%lld), from whom the customer buys", parent->name, (long long) parent_id);
	price_leg(call, &terms, leg);
}

static void
rate_customer(Call *call, const Service *service, Rating *rating)
{
	const Account *account = billing_account(call->statement, service->account_id);
	const AccountTerms *account_terms = billing_account_terms(account, call->cdr->at);
	LegTerms	terms = {.name = "customer", .currency = account->currency, .sign = 1, .may_block = true};

	rating->customer.applies = true;
	rating->customer.account_id = account->id;
	rating->customer_service_id = service->id;
	TRACE(call->trace, terms.name, "account", "%s (%lld)", account->name, (long long) account->id);

	terms.tariff_id = service_tariff(call, service);
	if (terms.tariff_id == 0)
		terms.tariff_id = buyer_tariff(call, account_terms);
	price_leg(call, &terms, &rating->customer);

	if (account_terms && account_terms->parent_id != 0)
		rate_reseller(call, account_terms->parent_id, &rating->reseller);
}

/* Nobody was found: the default customer tariff, where there is one, prices the call all the same (V13). */
static void
rate_unknown_customer(Call *call, Rating *rating)
{
	LegTerms	terms = {.name = "customer", .sign = 1, .may_block = true};

	terms.tariff_id = call->cdr->has_start ? billing_default_tariff(call->statement, call->cdr->at) : 0;
	if (terms.tariff_id == 0)
	{
		refuse(call, &terms, &rating->customer, call->invalid ? call->invalid : "no_account");
		return;
	}
	TRACE(call->trace, terms.name, "account", "none was found; the default customer tariff prices the call");
	rating->customer.applies = true;
	price_leg(call, &terms, &rating->customer);
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

	rating->provider_expected = parties->onward_hop || parties->target_provider.verdict != FOUND_NONE;
	if (!rating->provider_expected)
		return;
	if (service == NULL)
	{
		refuse(call, &terms, &rating->provider, call->invalid ? call->invalid : verdict_reason(parties->target_provider));
		return;
	}
	account = billing_account(call->statement, service->account_id);
	account_terms = billing_account_terms(account, call->cdr->at);
	service_terms = billing_service_terms(service, call->cdr->at);
	rating->provider.applies = true;
	rating->provider.account_id = account->id;
	rating->provider_service_id = service->id;
	TRACE(call->trace, terms.name, "account", "%s (%lld)", account->name, (long long) account->id);

	terms.currency = account->currency;
	terms.tariff_id = service_terms ? service_terms->tariff_id : 0;
	if (terms.tariff_id == 0 && account_terms)
		terms.tariff_id = account_terms->tariff_id;
	price_leg(call, &terms, &rating->provider);
}

/* ---- status ---- */

/* By how many of the expected legs have an amount (design 4). */
const char *
billing_status(const Rating *rating)
{
	int			expected = rating->customer_expected + rating->reseller.applies + rating->provider_expected;
	int			priced = (rating->customer_expected && rating->customer.has_amount) +
		(rating->reseller.applies && rating->reseller.has_amount) +
		(rating->provider_expected && rating->provider.has_amount);

	if (rating->invalid)
		return "invalid";
	if (priced == 0)
		return "unrated";
	return priced == expected ? "rated" : "partial";
}

/* A call of which nobody expects money still says why (promise 1). */
static void
explain_nothing_expected(const Parties *parties, Rating *rating)
{
	if (rating->customer_expected || rating->provider_expected || rating->invalid)
		return;
	if (parties->did_ambiguous)
		rating->did_reason = "ambiguous";
	else if (parties->did_call)
		rating->did_reason = "no_rate";
	else if (parties->source_provider.verdict != FOUND_NONE)
		rating->did_reason = "unknown_did";
	else
		rating->provider_reason = "no_account";
}

/* Rates a call: fills the rating, and the trace for those who ask how. */
void
billing_rate(Statement *statement, const Cdr *cdr, Trace *trace, Rating *rating)
{
	Call		call = {.statement = statement, .cdr = cdr, .trace = trace};
	Parties		parties = {0};

	memset(rating, 0, sizeof(Rating));
	billing_directory_begin_call(statement);
	read_call(&call);
	rating->invalid = call.invalid != NULL;
	if (cdr->has_start)
	{
		TRACE(trace, "call", "instant", "%s, %s", timestamptz_to_str(cdr->at), cdr->answered ? "answered" : "not answered");
		billing_identify(statement, cdr, trace, &parties);
		rating->did_service_id = parties.did ? parties.did->id : 0;
		rate_customer_side(&call, &parties, rating);
		rate_provider(&call, &parties, rating);
	}

	rating->customer_reason = rating->customer.reason ? rating->customer.reason : rating->reseller.reason;
	rating->provider_reason = rating->provider.reason;
	if (rating->invalid)
		rating->customer_reason = rating->provider_reason = call.invalid;
	explain_nothing_expected(&parties, rating);
	rating->status = billing_status(rating);
	TRACE(trace, "call", "status", "%s", rating->status);
}
