/*
 * identify.c
 *	  Who takes part in a call: customer, providers and DID (design 5.2).
 *
 * Customer and provider are looked for independently (P4).  On each side the first level with a match decides;
 * an unknown code falls to the next level.
 */
#include "billing.h"

#include "mb/pg_wchar.h"

static const char *
found_name(Found found)
{
	switch (found.verdict)
	{
		case FOUND_ONE:
			return "found";
		case FOUND_AMBIGUOUS:
			return "services of several accounts match: ambiguous, nobody is charged";
		case FOUND_PATTERN_ERROR:
			return "a pattern failed at run time";
		default:
			return "no service";
	}
}

#define SHOWN_BYTES		80		/* of a value in an explanation */

static int
shown_length(RawText value)
{
	return pg_mbcliplen(value.data, value.length, SHOWN_BYTES);
}

static void
trace_found(Trace *trace, const char *leg, const char *what, RawText value, Found found)
{
	if (trace == NULL || value.data == NULL)
		return;
	if (found.service)
		billing_trace(trace, leg, "identified by", "%s \"%.*s\": service %lld (%s %s), account %lld",
					  what, shown_length(value), value.data, (long long) found.service->id,
					  billing_kind_name(found.service->kind), found.service->identifier,
					  (long long) found.service->account_id);
	else
		billing_trace(trace, leg, "identified by", "%s \"%.*s\": %s", what, shown_length(value), value.data, found_name(found));
}

/* Numbers are compared without the leading + that international ones may carry. */
static RawText
number_text(RawText value)
{
	if (value.length > 1 && value.data[0] == '+')
	{
		value.data++;
		value.length--;
	}
	return value;
}

static Found
find_one(Statement *statement, const Cdr *cdr, ServiceSide side, ServiceKind kind, RawText value)
{
	Candidates	candidates = {0};

	billing_candidates(statement, cdr, side, kind, value, &candidates);
	return billing_decide(&candidates);
}

static void
add_caller_kinds(Statement *statement, const Cdr *cdr, RawText caller, Candidates *candidates)
{
	billing_candidates(statement, cdr, SIDE_CUSTOMER, KIND_EXTENSION, caller, candidates);
	billing_candidates(statement, cdr, SIDE_CUSTOMER, KIND_VIRTUAL_NUMBER, caller, candidates);
	billing_candidates(statement, cdr, SIDE_CUSTOMER, KIND_DID, caller, candidates);
	billing_candidates(statement, cdr, SIDE_CUSTOMER, KIND_ANI, caller, candidates);
}

/* The caller as extension, virtual number, DID or ani, all one level; a DID in stock identifies nobody. */
static Found
find_caller(Statement *statement, const Cdr *cdr, RawText caller)
{
	Candidates	candidates = {.owned = true};

	add_caller_kinds(statement, cdr, caller, &candidates);
	return billing_decide(&candidates);
}

/* Trunk, else the longest network, of either side. */
static Found
find_source(Statement *statement, const Cdr *cdr, ServiceSide side, Trace *trace, const char *leg)
{
	Found		found = find_one(statement, cdr, side, KIND_TRUNK, cdr->text[RAW_SRC_TRUNK]);

	trace_found(trace, leg, "src_trunk", cdr->text[RAW_SRC_TRUNK], found);
	if (found.verdict != FOUND_NONE)
		return found;
	found = find_one(statement, cdr, side, KIND_IP, cdr->text[RAW_SRC_IP]);
	trace_found(trace, leg, "src_ip", cdr->text[RAW_SRC_IP], found);
	return found;
}

/* ---- the customer ---- */

/* All traffic of a source is its account's; the caller selects the service within it or an account below (D7, D8). */
static Found
select_within(Statement *statement, const Cdr *cdr, RawText caller, Found source)
{
	Candidates	candidates = {.owned = true, .within = source.service->account_id};

	add_caller_kinds(statement, cdr, caller, &candidates);
	return candidates.count > 0 ? billing_decide(&candidates) : source;
}

/* A call that came in on a DID and went on: who ordered that pays for the onward way (design 5.6). */
static Found
find_forwarder(Statement *statement, const Cdr *cdr, const Parties *parties, Trace *trace)
{
	RawText		redirected_by = number_text(cdr->text[RAW_REDIRECTED_BY]);
	RawText		caller = number_text(cdr->text[RAW_CALLER_NUMBER]);
	Found		found = find_caller(statement, cdr, redirected_by);

	trace_found(trace, "customer", "redirected_by", redirected_by, found);
	if (found.verdict != FOUND_NONE)
		return found;
	if (parties->did_ambiguous)
		return (Found) {FOUND_AMBIGUOUS, NULL};
	if (parties->did->account_id != 0)
	{
		found = (Found) {FOUND_ONE, parties->did};
		trace_found(trace, "customer", "the forwarding DID", cdr->text[RAW_DID], found);
		return found;
	}
	found = find_one(statement, cdr, SIDE_CUSTOMER, KIND_ANI, caller);
	trace_found(trace, "customer", "caller", caller, found);
	return found;
}

static bool
same_account(Found a, Found b)
{
	return a.service && b.service && a.service->account_id == b.service->account_id;
}

static Found
find_code(Statement *statement, const Cdr *cdr, Trace *trace, const char *leg)
{
	Found		found = find_one(statement, cdr, SIDE_CUSTOMER, KIND_AUTH_CODE, cdr->text[RAW_AUTH_CODE]);

	trace_found(trace, leg, "auth_code", cdr->text[RAW_AUTH_CODE], found);
	return found;
}

static Found
find_pattern(Statement *statement, const Cdr *cdr, Trace *trace, const char *leg)
{
	Found		found = find_one(statement, cdr, SIDE_CUSTOMER, KIND_PATTERN, cdr->text[RAW_CALLER_NUMBER]);

	if (found.verdict != FOUND_NONE)
		trace_found(trace, leg, "pattern; caller", cdr->text[RAW_CALLER_NUMBER], found);
	return found;
}

/*
 * A carrier on both sides of the source: inbound when its DID is known, else it sends us wholesale traffic and is
 * the customer (design 5.2).
 */
static Found
find_source_customer(Statement *statement, const Cdr *cdr, RawText caller, Parties *parties, Trace *trace, const char *leg)
{
	Found		found = find_source(statement, cdr, SIDE_CUSTOMER, trace, leg);

	if (same_account(found, parties->source_provider))
	{
		if (parties->did)
		{
			TRACE(trace, leg, "bilateral", "the source is customer and provider; a known DID is called, so it is the provider");
			return (Found) {FOUND_NONE, NULL};
		}
		TRACE(trace, leg, "bilateral", "the source is customer and provider; the called number is no known DID, so it is the customer");
		parties->source_provider = (Found) {FOUND_NONE, NULL};
	}
	if (found.verdict == FOUND_ONE)
	{
		found = select_within(statement, cdr, caller, found);
		trace_found(trace, leg, "caller within the source's account", caller, found);
	}
	return found;
}

static Found
find_customer(Statement *statement, const Cdr *cdr, Parties *parties, Trace *trace)
{
	RawText		redirected_by = number_text(cdr->text[RAW_REDIRECTED_BY]);
	RawText		caller = redirected_by.data ? redirected_by : number_text(cdr->text[RAW_CALLER_NUMBER]);
	Found		found = find_code(statement, cdr, trace, "customer");

	if (found.verdict != FOUND_NONE)
		return found;
	if (parties->did || parties->did_ambiguous)
		return find_forwarder(statement, cdr, parties, trace);

	found = find_source_customer(statement, cdr, caller, parties, trace, "customer");
	if (found.verdict != FOUND_NONE)
		return found;
	if (parties->source_provider.verdict == FOUND_NONE)
	{
		found = find_caller(statement, cdr, caller);
		trace_found(trace, "customer", redirected_by.data ? "redirected_by" : "caller", caller, found);
		if (found.verdict != FOUND_NONE)
			return found;
	}
	return find_pattern(statement, cdr, trace, "customer");
}

static bool
is_extension(Statement *statement, const Cdr *cdr, RawText caller)
{
	Candidates	candidates = {0};

	billing_candidates(statement, cdr, SIDE_CUSTOMER, KIND_EXTENSION, caller, &candidates);
	return candidates.count > 0;
}

/*
 * The customer who dials a DID, by whatever he is recognised (K3, reading 12).  A provider hands over calls of
 * anybody, so behind it only an ani is believed.  On a call that went on, redirected_by speaks of the onward way.
 * Whether he dials on our net is told by where the call comes from, whoever pays for it.
 */
static void
find_dialler(Statement *statement, const Cdr *cdr, Parties *parties, Trace *trace)
{
	RawText		redirected_by = number_text(cdr->text[RAW_REDIRECTED_BY]);
	bool		redirected = redirected_by.data && parties->did_call;
	RawText		caller = redirected ? redirected_by : number_text(cdr->text[RAW_CALLER_NUMBER]);
	bool		from_provider = parties->source_provider.verdict != FOUND_NONE;
	Found		found = find_code(statement, cdr, trace, "did_incoming");
	Found		source = find_source_customer(statement, cdr, caller, parties, trace, "did_incoming");

	parties->dialler_on_net = source.verdict != FOUND_NONE || (!from_provider && is_extension(statement, cdr, caller));
	if (found.verdict == FOUND_NONE)
		found = source;
	if (found.verdict == FOUND_NONE)
	{
		if (from_provider)
			found = find_one(statement, cdr, SIDE_CUSTOMER, KIND_ANI, caller);
		else
			found = find_caller(statement, cdr, caller);
		trace_found(trace, "did_incoming", redirected ? "redirected_by" : "caller", caller, found);
	}
	if (found.verdict == FOUND_NONE)
		found = find_pattern(statement, cdr, trace, "did_incoming");
	parties->dialler = found;
}

/* ---- the providers ---- */

static Found
find_source_provider(Statement *statement, const Cdr *cdr, const Parties *parties, Trace *trace)
{
	Found		found = find_source(statement, cdr, SIDE_PROVIDER, trace, "did_provider");

	if (found.verdict == FOUND_NONE && parties->did_call &&
		cdr->text[RAW_SRC_TRUNK].data == NULL && cdr->text[RAW_SRC_IP].data == NULL)
	{
		found = find_one(statement, cdr, SIDE_PROVIDER, KIND_SOURCE, cdr->text[RAW_SOURCE]);
		trace_found(trace, "did_provider", "source", cdr->text[RAW_SOURCE], found);
	}
	return found;
}

/* provider_code, dst_trunk, dst_ip, pattern; where none of the columns is given, whose file it is. */
static Found
find_target_provider(Statement *statement, const Cdr *cdr, const Parties *parties, Trace *trace)
{
	static const struct
	{
		RawColumn	column;
		ServiceKind kind;
		const char *name;
	}			levels[] = {
		{RAW_PROVIDER_CODE, KIND_AUTH_CODE, "provider_code"},
		{RAW_DST_TRUNK, KIND_TRUNK, "dst_trunk"},
		{RAW_DST_IP, KIND_IP, "dst_ip"},
	};
	Found		found;

	for (int i = 0; i < (int) lengthof(levels); i++)
	{
		RawText		value = cdr->text[levels[i].column];

		found = find_one(statement, cdr, SIDE_PROVIDER, levels[i].kind, value);
		trace_found(trace, "provider", levels[i].name, value, found);
		if (found.verdict != FOUND_NONE)
			return found;
	}
	found = find_one(statement, cdr, SIDE_PROVIDER, KIND_PATTERN, cdr->text[RAW_SOURCE]);
	if (found.verdict != FOUND_NONE)
		trace_found(trace, "provider", "pattern; source", cdr->text[RAW_SOURCE], found);
	if (found.verdict == FOUND_NONE && !parties->onward_hop)
	{
		found = find_one(statement, cdr, SIDE_PROVIDER, KIND_SOURCE, cdr->text[RAW_SOURCE]);
		trace_found(trace, "provider", "source", cdr->text[RAW_SOURCE], found);
	}
	return found;
}

/*
 * The DID is did, else, if no outbound hop is named, the callee; known if a service of kind did has it.  Its prices
 * belong to tenant and number, so the same number in two tenants is ambiguous even if both are in stock.
 */
static void
find_did(Statement *statement, const Cdr *cdr, Parties *parties, Trace *trace)
{
	RawText		number = cdr->text[RAW_DID];
	Candidates	candidates = {0};
	Found		found;

	if (number.data == NULL && !parties->onward_hop)
		number = cdr->text[RAW_CALLEE_NUMBER];
	billing_candidates(statement, cdr, SIDE_CUSTOMER, KIND_DID, number_text(number), &candidates);
	found = billing_decide(&candidates);
	if (candidates.count > 1)
		found = (Found) {FOUND_AMBIGUOUS, NULL};

	parties->did = found.service;
	parties->did_ambiguous = found.verdict == FOUND_AMBIGUOUS;
	parties->did_unknown = found.verdict == FOUND_NONE && (cdr->text[RAW_DID].data || !parties->onward_hop);
	parties->did_call = !parties->onward_hop && found.verdict != FOUND_NONE;
	if (found.verdict != FOUND_NONE)
		trace_found(trace, "did", "called number", number, found);
}

/* Fills in who takes part in the call; reads nothing but the row and the catalogue. */
void
billing_identify(Statement *statement, const Cdr *cdr, Trace *trace, Parties *parties)
{
	memset(parties, 0, sizeof(Parties));
	parties->onward_hop = cdr->text[RAW_DST_TRUNK].data || cdr->text[RAW_DST_IP].data || cdr->text[RAW_PROVIDER_CODE].data;

	find_did(statement, cdr, parties, trace);
	parties->source_provider = find_source_provider(statement, cdr, parties, trace);
	if (!cdr->rerouted && !parties->did_call)
		parties->customer = find_customer(statement, cdr, parties, trace);
	if (!parties->did_call)
		parties->target_provider = find_target_provider(statement, cdr, parties, trace);
	if (parties->did && !cdr->rerouted)
		find_dialler(statement, cdr, parties, trace);
}
