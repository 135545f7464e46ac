/*
 * authorize.c
 *	  Before a call: who pays, may it be made, and how long (design 6).
 *
 * A switch waits for the answer, so that all it takes is in the compiled catalogue or read straight by an index.  Queries
 * run only for what few calls need: included minutes, and reservations.
 */
#include "authorize.h"

#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type_d.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/regproc.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

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

/* An error puts the role back as well. */
static void
become_owner(Oid *save_userid, int *save_sec_context)
{
	GetUserIdAndSecContext(save_userid, save_sec_context);
	SetUserIdAndSecContext(ledger_owner(), *save_sec_context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
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
 * billing.release(): the function of the same name behind an underscore, run with the rights of the ledger's owner,
 * restricted, so that a switch needs EXECUTE on this and billing.authorize() and no right on any table.  Not SECURITY
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

	become_owner(&save_userid, &save_sec_context);
	InitFunctionCallInfoData(*call, (FmgrInfo *) fcinfo->flinfo->fn_extra, fcinfo->nargs, fcinfo->fncollation, NULL, NULL);
	for (int i = 0; i < fcinfo->nargs; i++)
		call->args[i] = fcinfo->args[i];
	result = FunctionCallInvoke(call);
	fcinfo->isnull = call->isnull;
	SetUserIdAndSecContext(save_userid, save_sec_context);
	return result;
}

/* ---- what was asked, and what is answered ---- */

enum {ASK_CALLER, ASK_CALLEE, ASK_DID, ASK_REDIRECTED_BY, ASK_AUTH_CODE, ASK_TENANT, ASK_SOURCE, ASK_SRC_TRUNK, ASK_SRC_IP,
	ASK_DST_TRUNK, ASK_DST_IP, ASK_PROVIDER_CODE, ASK_AT, CALL_COLUMNS,
	ASK_CHANNELS = CALL_COLUMNS, ASK_RESERVE, ASK_RESERVATION, ASK_AT_MOST, ASK_EXPIRES};

enum {ANSWER_ALLOWED, ANSWER_REASON, ANSWER_LEG, ANSWER_ACCOUNT, ANSWER_SERVICE, ANSWER_RESELLER, ANSWER_RATE, ANSWER_DESTINATION,
	ANSWER_CURRENCY, ANSWER_PRICE, ANSWER_CONNECT_FEE, ANSWER_FIRST_INCREMENT, ANSWER_NEXT_INCREMENT, ANSWER_MAX_SECONDS,
	ANSWER_RESERVATION, ANSWER_EXPIRES, ANSWER_NOTE, ANSWER_COLUMNS};

/* The call as a row of billing.cdr: the attribute of each column is the place of the argument. */
static const CdrMap call_map = {.raw = {
	[RAW_CALLER] = ASK_CALLER + 1, [RAW_CALLEE] = ASK_CALLEE + 1, [RAW_DID] = ASK_DID + 1,
	[RAW_REDIRECTED_BY] = ASK_REDIRECTED_BY + 1, [RAW_AUTH_CODE] = ASK_AUTH_CODE + 1, [RAW_TENANT] = ASK_TENANT + 1,
	[RAW_SOURCE] = ASK_SOURCE + 1, [RAW_SRC_TRUNK] = ASK_SRC_TRUNK + 1, [RAW_SRC_IP] = ASK_SRC_IP + 1,
	[RAW_DST_TRUNK] = ASK_DST_TRUNK + 1, [RAW_DST_IP] = ASK_DST_IP + 1, [RAW_PROVIDER_CODE] = ASK_PROVIDER_CODE + 1,
	[RAW_STARTED_AT] = ASK_AT + 1
}};

/* A question of a switch, on its way to the answer. */
typedef struct Question
{
	MemoryContext context;
	Datum		call[CALL_COLUMNS];
	bool		no_call[CALL_COLUMNS];
	Datum		request;		/* the call as its reservation keeps it */
	bool		no_request;
	bool		has_channels;
	int32		channels;
	bool		reserves;
	int64		slice;			/* seconds to be reserved */
	bool		extends;
	int64		reservation;	/* that is made longer */
	int64		held;			/* seconds that it has */
	bool		has_most;
	int64		most;
	Interval   *expires;		/* NULL: after an hour */
	Cdr			cdr;
	Search		search;
	int64		owner_id;		/* who holds the DID */
	LegKind		payer;			/* the leg that the answer tells of */
	int64		accounts[LEGS];	/* of those who pay */
	int64		pools[LEGS];	/* services whose own plan they draw from */
	const char *reason;
	int			leg;			/* LEGS: none */
	const char *note;
	Datum		answer[ANSWER_COLUMNS];
	bool		no_answer[ANSWER_COLUMNS];
} Question;

static void
put(Question *question, int column, Datum value)
{
	question->answer[column] = value;
	question->no_answer[column] = false;
}

static void
put_id(Question *question, int column, int64 id)
{
	if (id != 0)
		put(question, column, Int64GetDatum(id));
}

static void
put_text(Question *question, int column, const char *text)
{
	if (text)
		put(question, column, CStringGetTextDatum(text));
}

/* Always true, so that the first reason ends the questions. */
static bool
refuse(Question *question, const char *reason, int leg)
{
	question->reason = reason;
	question->leg = leg;
	return true;
}

/* ---- snapshots ---- */

/* What the rest of the answer is read under, in place of the snapshot before: it shows what has been written since. */
static void
renew_snapshot(Question *question)
{
	CommandCounterIncrement();
	PopActiveSnapshot();
	PushActiveSnapshot(GetTransactionSnapshot());
	question->search.statement = billing_statement(question->context);
}

/* ---- queries, for what few calls need ---- */

#define MOST_PARAMETERS	(CALL_COLUMNS + 9)	/* of a reservation */

/* Runs a query of one row, with a snapshot of its own, and copies its columns; false: it had none. */
static bool
query(SPIPlanPtr *plan, const char *text, int nargs, const Oid *types, Datum *values, const bool *nulls, int ncolumns, Datum *columns, bool *no_columns)
{
	MemoryContext context = CurrentMemoryContext;
	char		absent[MOST_PARAMETERS];
	bool		found;

	for (int i = 0; i < nargs; i++)
		absent[i] = nulls[i] ? 'n' : ' ';
	SPI_connect();
	if (*plan == NULL)
	{
		SPIPlanPtr	prepared = SPI_prepare(text, nargs, (Oid *) types);

		if (prepared == NULL || SPI_keepplan(prepared) != 0)
			elog(ERROR, "could not prepare \"%s\": %s", text, SPI_result_code_string(SPI_result));
		*plan = prepared;
	}
	if (SPI_execute_plan(*plan, values, absent, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not execute \"%s\": %s", text, SPI_result_code_string(SPI_result));
	found = SPI_processed > 0;
	for (int i = 0; found && i < ncolumns; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(SPI_tuptable->tupdesc, i);

		columns[i] = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, i + 1, &no_columns[i]);
		if (!no_columns[i])
		{
			MemoryContext former = MemoryContextSwitchTo(context);

			columns[i] = datumCopy(columns[i], attribute->attbyval, attribute->attlen);
			MemoryContextSwitchTo(former);
		}
	}
	SPI_finish();
	return found;
}

/* The call that a reservation was made for takes the place of what the switch says; false: there is no such reservation. */
static bool
read_reserved_call(Question *question)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {INT8OID};
	Datum		columns[CALL_COLUMNS + 1];
	bool		no_columns[CALL_COLUMNS + 1];

	if (!query(&plan, "SELECT caller, callee, did, redirected_by, auth_code, tenant, source, src_trunk, src_ip, dst_trunk, dst_ip, provider_code, started_at,"
			   " request FROM billing._reserved_call($1)", 1, types, &(Datum) {Int64GetDatum(question->reservation)}, &(bool) {false},
			   CALL_COLUMNS + 1, columns, no_columns))
		return false;
	memcpy(question->call, columns, sizeof(question->call));
	memcpy(question->no_call, no_columns, sizeof(question->no_call));
	question->request = columns[CALL_COLUMNS];
	question->no_request = no_columns[CALL_COLUMNS];
	return true;
}

/* Seconds that the reservation has, which nobody else changes from now on; false: it was released. */
static bool
lock_reservation(Question *question)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {INT8OID};
	Datum		held;
	bool		isnull;

	if (!query(&plan, "SELECT billing._lock_reservation($1)", 1, types, &(Datum) {Int64GetDatum(question->reservation)}, &(bool) {false},
			   1, &held, &isnull))
		return false;
	question->held = DatumGetInt32(held);
	return true;
}

/* ---- who takes part ---- */

static const Leg *
leg_of(Question *question, LegKind kind)
{
	return billing_rating_leg(&question->search.rating, kind);
}

/* The answer's columns about the leg that pays: of a call that ends at a DID, its owner's. */
static void
put_payer(Question *question)
{
	const Rating *rating = &question->search.rating;
	const LegQuote *quote = &question->search.quotes[question->payer];
	bool		customer = question->payer == LEG_CUSTOMER;

	put_id(question, ANSWER_ACCOUNT, customer ? rating->customer.account_id : question->owner_id);
	put_id(question, ANSWER_SERVICE, customer ? rating->customer_service_id : rating->did_service_id);
	put_id(question, ANSWER_RESELLER, rating->reseller.account_id);
	put_id(question, ANSWER_RATE, leg_of(question, question->payer)->rate_id);
	if (customer)
		put_text(question, ANSWER_DESTINATION, quote->destination);
	put_text(question, ANSWER_CURRENCY, quote->currency);
	if (quote->currency == NULL)
		return;
	put(question, ANSWER_PRICE, NumericGetDatum(billing_numeric_from_money(quote->terms.price)));
	put(question, ANSWER_CONNECT_FEE, NumericGetDatum(billing_numeric_from_money(quote->terms.connect_fee)));
	put(question, ANSWER_FIRST_INCREMENT, Int32GetDatum(quote->terms.first_increment));
	put(question, ANSWER_NEXT_INCREMENT, Int32GetDatum(quote->terms.next_increment));
}

static void
quote_call(Question *question)
{
	Rating	   *rating = &question->search.rating;
	const Service *did;

	billing_cdr_read(&call_map, question->call, question->no_call, &question->cdr);
	billing_search_begin(&question->search, billing_statement(question->context), &question->cdr);
	did = rating->did_service_id != 0 ? billing_service(question->search.statement, rating->did_service_id) : NULL;
	question->owner_id = did ? did->account_id : 0;
	question->payer = rating->customer.account_id != 0 || question->owner_id == 0 ? LEG_CUSTOMER : LEG_DID_OWNER;
	for (int i = 0; i < PAYERS; i++)
		question->accounts[billing_payers[i]] = leg_of(question, billing_payers[i])->account_id;
	put_payer(question);
}

/* ---- why a call may not be made, but for money ---- */

/* Somebody in the chain would not pay (C17); a reason beside an amount says that the account is missing. */
static bool
is_unpriced(Question *question)
{
	const Rating *rating = &question->search.rating;

	if (rating->invalid)
		return refuse(question, rating->customer_reason, LEG_CUSTOMER);
	for (int i = 0; i < PAYERS; i++)
		if (leg_of(question, billing_payers[i])->reason)
			return refuse(question, leg_of(question, billing_payers[i])->reason, billing_payers[i]);
	if (rating->customer.account_id != 0 || question->owner_id != 0)
		return false;
	if (rating->did_service_id != 0)
		return refuse(question, "no_account", LEG_DID_OWNER);
	if (rating->did_reason)
		return refuse(question, rating->did_reason, LEG_DID_OWNER);
	return refuse(question, "no_account", LEG_CUSTOMER);
}

/* The account of a leg, or of the DID, is switched off. */
static bool
is_inactive(Question *question)
{
	static const LegKind order[PAYERS] = {LEG_CUSTOMER, LEG_RESELLER, LEG_DID_INCOMING, LEG_DID_OWNER};

	for (int i = 0; i < PAYERS; i++)
	{
		int64		id = order[i] == LEG_DID_OWNER ? question->owner_id : question->accounts[order[i]];
		const Account *account = id != 0 ? billing_account(question->search.statement, id) : NULL;

		if (account && !account->active)
			return refuse(question, "inactive", order[i]);
	}
	return false;
}

/* The service has as many calls in progress as it may have (D7). */
static bool
lacks_channels(Question *question)
{
	const Rating *rating = &question->search.rating;
	int64		id = question->payer == LEG_CUSTOMER ? rating->customer_service_id : rating->did_service_id;
	const Service *service;

	if (!question->has_channels || id == 0)
		return false;
	service = billing_service(question->search.statement, id);
	return service && service->max_channels > 0 && question->channels >= service->max_channels &&
		refuse(question, "channels", question->payer);
}

/* Whether a provider's charge is more than the price and loss_percent of it on top; exact, and a quotient as numeric has it. */
static bool
costs_more(Money charge, const Exchange *exchange, Money price, int64 loss_percent)
{
	Datum		cost = NumericGetDatum(billing_numeric_from_money(charge));
	Datum		bound = DirectFunctionCall2(numeric_mul, NumericGetDatum(billing_numeric_from_money(price)),
											NumericGetDatum(billing_numeric_from_fixed(1000000 + loss_percent, 6)));

	if (exchange->needed)
		cost = DirectFunctionCall2(exchange->inverse ? numeric_div : numeric_mul, cost, NumericGetDatum(billing_numeric_from_fixed(exchange->rate, 9)));
	return DatumGetBool(DirectFunctionCall2(numeric_gt, cost, bound));
}

/*
 * The loss check (C24, reading 35): whether a call of the average duration of the price list by which the operator is paid,
 * the reseller's if there is one, else the customer's, would cost at the provider whom the call names more than its
 * price and loss_percent of the price on top; -10 asks that a tenth of the price remain.  A note says why it could not be compared.
 */
static bool
loses(Question *question)
{
	Search	   *search = &question->search;
	const Leg  *provider = &search->rating.provider;
	LegKind		buyer = search->rating.reseller.account_id != 0 ? LEG_RESELLER : LEG_CUSTOMER;
	const Leg  *paid = leg_of(question, buyer);
	const Tariff *tariff = NULL;
	const Account *seller;
	const Account *account;
	Exchange	exchange;

	if (search->quotes[buyer].tariff_id != 0 && provider->account_id != 0)
		tariff = billing_tariff(search->statement, search->quotes[buyer].tariff_id);
	if (tariff == NULL)
		return false;
	billing_search_seconds(search, (LegKind[]) {LEG_PROVIDER, buyer}, 2, tariff->average_duration);
	if (!provider->has_amount)
	{
		question->note = provider->reason;
		return false;
	}
	seller = billing_account(search->statement, provider->account_id);
	account = billing_account(search->statement, paid->account_id);
	if (!billing_exchange(search->statement, seller->currency, account->currency, question->cdr.started_at, &exchange))
	{
		question->note = "no_exchange_rate";
		return false;
	}
	return paid->has_amount && costs_more(-provider->amount, &exchange, paid->amount, tariff->loss_percent) &&
		refuse(question, "loss", buyer);
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


/*
 * For each leg the included seconds that the call may draw, less what open reservations of the same pool count on, and the
 * pool.  What is queued of the pools is settled before.  False: no leg has any.
 */
static bool
read_included(Question *question)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, BOOLARRAYOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, INT8OID};
	Search	   *search = &question->search;
	const int64 services[LEGS] = {[LEG_CUSTOMER] = search->rating.customer_service_id, [LEG_DID_OWNER] = search->rating.did_service_id};
	Datum		included[LEGS] = {0};
	bool		any = false;
	Datum		covered;
	Datum	   *seconds;
	bool	   *nulls;
	int			count;

	for (int i = 0; i < PAYERS; i++)
	{
		LegKind		kind = billing_payers[i];
		bool		is = is_included(search->statement, &question->cdr, kind, leg_of(question, kind), services[kind], &question->pools[kind]);

		if (!is)
			question->pools[kind] = 0;
		included[kind] = BoolGetDatum(is);
		any |= is;
	}
	if (!any)
		return false;
	query(&plan, "SELECT billing._included($1, $2, $3, $4, $5, $6, $7, $8)", lengthof(types), types,
		  (Datum[]) {billing_leg_ids(question->accounts), billing_leg_ids(services), billing_leg_ids(question->pools),
		  billing_leg_array(included, (bool[LEGS]) {false}, BOOLOID), question->call[ASK_DID], question->call[ASK_CALLEE],
		  question->call[ASK_AT], Int64GetDatum(question->reservation)},
		  (bool[]) {false, false, false, false, question->no_call[ASK_DID], question->no_call[ASK_CALLEE], question->no_call[ASK_AT], !question->extends},
		  1, &covered, &(bool) {false});
	deconstruct_array(DatumGetArrayTypeP(covered), INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &seconds, &nulls, &count);
	for (int i = 0; i < count; i++)
		search->covered[i] = nulls[i] ? 0 : DatumGetInt64(seconds[i]);
	return true;
}

/* ---- money ---- */

static bool
exceeds_limit(Question *question)
{
	Search	   *search = &question->search;

	for (int i = 0; i < PAYERS; i++)
	{
		LegKind		kind = billing_payers[i];
		const Account *account = question->accounts[kind] != 0 ? billing_account(search->statement, question->accounts[kind]) : NULL;
		Spendable	found;

		if (account == NULL)
			continue;
		found = billing_spendable(account, question->reservation, GetActiveSnapshot());
		search->limited[kind] = found.limited;
		search->spendable[kind] = found.available;
		/* Who holds or dials a DID is asked for the price of the call alone (K7). */
		if (found.spendable < 0 && (kind == LEG_CUSTOMER || kind == LEG_RESELLER) && question->reason == NULL)
			refuse(question, "over_credit_limit", kind);
	}
	return question->reason != NULL;
}

static bool
anyone_is_limited(const Search *search)
{
	for (int i = 0; i < LEGS; i++)
		if (search->limited[i])
			return true;
	return false;
}

#define NO_LIMIT	(SECONDS_LIMIT - 1)

/* How long all can pay, put into the answer. */
static bool
lacks_balance(Question *question, int64 *seconds)
{
	Search	   *search = &question->search;
	int64		most = NO_LIMIT;

	*seconds = NO_LIMIT;
	if (question->has_most)
		most = Min(most, Max(question->most, 1));
	if (question->reserves)
		most = Min(most, question->held + question->slice);
	else if (!question->has_most && !anyone_is_limited(search))
		return false;
	*seconds = billing_search_longest(search, most);
	return (*seconds == 0 || (*seconds <= question->held && search->short_leg != LEGS)) &&
		refuse(question, "not_enough_balance", search->short_leg);
}

/* ---- reservations ---- */

/* False: it was released in the meantime. */
static bool
lock_for_reservation(Question *question)
{
	billing_lock_spending(question->search.statement, question->accounts, LEGS);
	return !question->extends || lock_reservation(question);
}

static Datum
expiry(const Question *question)
{
	static const Interval hour = {.time = USECS_PER_HOUR};

	return DirectFunctionCall2(timestamptz_pl_interval, TimestampTzGetDatum(GetCurrentTransactionStartTimestamp()),
							   IntervalPGetDatum(question->expires ? question->expires : &hour));
}

static void
reserve(Question *question, int64 seconds)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {INT8OID, JSONBOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID,
		TEXTOID, TEXTOID, TIMESTAMPTZOID, INT8ARRAYOID, NUMERICARRAYOID, INT8ARRAYOID, INT4OID, INT8ARRAYOID, INT8ARRAYOID, TIMESTAMPTZOID};
	const Search *search = &question->search;
	Datum		values[lengthof(types)] = {Int64GetDatum(question->reservation), question->request};
	bool		nulls[lengthof(types)] = {!question->extends, question->no_request};
	Datum		expires_at = expiry(question);
	Datum	   *rest = values + 2 + CALL_COLUMNS;
	Datum		number;
	bool		isnull;

	memcpy(values + 2, question->call, sizeof(question->call));
	memcpy(nulls + 2, question->no_call, sizeof(question->no_call));
	*rest++ = billing_leg_ids(question->accounts);
	*rest++ = billing_leg_money(search->peak);
	*rest++ = billing_leg_ids(search->billsec);
	*rest++ = Int32GetDatum((int32) seconds);
	*rest++ = billing_leg_ids(search->covered);
	*rest++ = billing_leg_ids(question->pools);
	*rest++ = expires_at;
	query(&plan, "SELECT billing._reserve($1, coalesce($2, pg_catalog.jsonb_build_object('caller', $3, 'callee', $4, 'did', $5, 'redirected_by', $6,"
		  " 'auth_code', $7, 'tenant', $8, 'source', $9, 'src_trunk', $10, 'src_ip', $11, 'dst_trunk', $12, 'dst_ip', $13, 'provider_code', $14,"
		  " 'started_at', $15)), $16, $17, $18, $19, $20, $21, $22)",
		  lengthof(types), types, values, nulls, 1, &number, &isnull);
	put(question, ANSWER_RESERVATION, number);
	put(question, ANSWER_EXPIRES, expires_at);
}

/* ---- the answer ---- */

static void
read_arguments(FunctionCallInfo fcinfo, Question *question)
{
	for (int i = 0; i < CALL_COLUMNS; i++)
	{
		question->call[i] = PG_GETARG_DATUM(i);
		question->no_call[i] = PG_ARGISNULL(i);
	}
	if (question->no_call[ASK_AT])
	{
		question->call[ASK_AT] = TimestampTzGetDatum(GetCurrentTransactionStartTimestamp());
		question->no_call[ASK_AT] = false;
	}
	question->no_request = true;
	question->has_channels = !PG_ARGISNULL(ASK_CHANNELS);
	question->channels = question->has_channels ? PG_GETARG_INT32(ASK_CHANNELS) : 0;
	question->extends = !PG_ARGISNULL(ASK_RESERVATION);
	question->reservation = question->extends ? PG_GETARG_INT64(ASK_RESERVATION) : 0;
	question->reserves = question->extends || !PG_ARGISNULL(ASK_RESERVE);
	question->slice = PG_ARGISNULL(ASK_RESERVE) ? 60 : Max(PG_GETARG_INT32(ASK_RESERVE), 1);
	question->has_most = !PG_ARGISNULL(ASK_AT_MOST);
	question->most = question->has_most ? PG_GETARG_INT32(ASK_AT_MOST) : 0;
	question->expires = PG_ARGISNULL(ASK_EXPIRES) ? NULL : PG_GETARG_INTERVAL_P(ASK_EXPIRES);
}

/* Goes from question to question until one refuses the call; false: it is refused. */
static bool
is_allowed(Question *question)
{
	int64		seconds;
	bool		included;

	if (question->extends && !read_reserved_call(question))
		return !refuse(question, "no_reservation", LEGS);
	quote_call(question);
	if (is_unpriced(question) || is_inactive(question) || lacks_channels(question) || loses(question))
		return false;

	if (question->payer == LEG_DID_OWNER)
		question->accounts[LEG_DID_OWNER] = question->owner_id;
	if (question->reserves && !lock_for_reservation(question))
		return !refuse(question, "no_reservation", LEGS);
	included = read_included(question);
	if (question->reserves || included)
	{
		renew_snapshot(question);
		billing_search_begin(&question->search, question->search.statement, &question->cdr);
	}
	if (exceeds_limit(question) || lacks_balance(question, &seconds))
		return false;

	if (seconds < NO_LIMIT)
		put(question, ANSWER_MAX_SECONDS, Int32GetDatum((int32) seconds));
	if (question->reserves)
		reserve(question, seconds);
	return true;
}

/* Under a snapshot of its own, as a query of a VOLATILE function: it shows what was written before in this transaction. */
static void
answer(FunctionCallInfo fcinfo, Question *question)
{
	bool		allowed;

	memset(question->no_answer, true, sizeof(question->no_answer));
	billing_check_reader(GetUserId());
	read_arguments(fcinfo, question);
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	allowed = is_allowed(question);
	PopActiveSnapshot();

	put(question, ANSWER_ALLOWED, BoolGetDatum(allowed));
	if (!allowed)
	{
		put(question, ANSWER_MAX_SECONDS, Int32GetDatum(0));
		put_text(question, ANSWER_REASON, question->reason);
		if (question->leg != LEGS)
			put_text(question, ANSWER_LEG, billing_leg_names[question->leg]);
	}
	put_text(question, ANSWER_NOTE, question->note);
}

/* The row type of the answer, which a switch's next question needs again. */
static TupleDesc
answer_desc(FunctionCallInfo fcinfo)
{
	static TupleDesc desc = NULL;
	static Oid	function = InvalidOid;

	if (function != fcinfo->flinfo->fn_oid)
	{
		TupleDesc	found = billing_result_desc(fcinfo);
		MemoryContext former = MemoryContextSwitchTo(TopMemoryContext);

		if (desc)
			FreeTupleDesc(desc);
		desc = CreateTupleDescCopy(found);
		function = fcinfo->flinfo->fn_oid;
		MemoryContextSwitchTo(former);
	}
	return desc;
}

/* billing.authorize(): what a switch asks before it connects a call, with the rights of the ledger's owner as billing.release(). */
PG_FUNCTION_INFO_V1(billing_authorize);
Datum
billing_authorize(PG_FUNCTION_ARGS)
{
	TupleDesc	desc = answer_desc(fcinfo);
	MemoryContext former = CurrentMemoryContext;
	Question	question = {.leg = LEGS};
	Oid			save_userid;
	int			save_sec_context;
	HeapTuple	tuple;

	question.context = AllocSetContextCreate(former, "billing authorize", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(question.context);
	become_owner(&save_userid, &save_sec_context);
	answer(fcinfo, &question);
	SetUserIdAndSecContext(save_userid, save_sec_context);
	MemoryContextSwitchTo(former);
	tuple = heap_form_tuple(desc, question.answer, question.no_answer);
	MemoryContextDelete(question.context);
	PG_RETURN_DATUM(HeapTupleGetDatum(tuple));
}
