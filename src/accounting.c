/*
 * accounting.c
 *	  The accounting pass: what a statement did to billing.cdr, it does to billing.usage (promise 3, design 6).
 *
 * The pass has no exceptions and reads no clock: it adds every row of NEW and takes away every row of OLD, whoever
 * priced it, so that the change of billing.usage is always the change of the sum over billing.cdr.  It looks labels up in
 * what is committed by now, not in the snapshot of the transaction: they are frozen once a call names them, and
 * those who change them all the same lock billing.cdr and count anew.
 */
#include "accounting.h"

#include "access/table.h"
#include "access/tableam.h"
#include "catalog/partition.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type_d.h"
#include "commands/trigger.h"
#include "executor/tuptable.h"
#include "pgtime.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

/* One run of the pass. */
typedef struct Pass
{
	MemoryContext context;
	MemoryContext row_context;
	Statement  *statement;
	UsageSums  *sums;
	CreditQueue *queue;
	HTAB	   *moved;			/* rows that have to stand in OLD; NULL: none */
	const char *nothing;		/* the interned empty name */
	struct pg_tz *utc;
	struct pg_tz *day_zone;		/* of the last day that was asked for, with the instant and the answer */
	TimestampTz day_instant;
	DateADT		day;
} Pass;

/* A leg of a stored row. */
typedef struct StoredLeg
{
	LegKind		kind;
	bool		has_account;
	int64		account_id;
	const Account *account;		/* NULL: none, or not known */
	int64		service_id;		/* 0: none, as below */
	int64		rate_id;
	int64		billsec;
	Money		amount;
	bool		has_amount;
} StoredLeg;

/* ---- the key of a leg ---- */

/* Beyond these instants a zone's offset could leave the range of timestamps; billing._usage_day() knows them too. */
#define FIRST_LOCAL_INSTANT	(INT64CONST(-730118) * USECS_PER_DAY)	/* 0001-01-02 */
#define LAST_LOCAL_INSTANT	(INT64CONST(2921939) * USECS_PER_DAY)	/* 9999-12-31 */

static DateADT
day_of(Pass *pass, TimestampTz instant, struct pg_tz *zone)
{
	struct pg_tm tm;
	fsec_t		fsec;
	int			offset;
	bool		local;

	if (TIMESTAMP_IS_NOBEGIN(instant))
		return DATEVAL_NOBEGIN;
	if (TIMESTAMP_IS_NOEND(instant))
		return DATEVAL_NOEND;
	if (pass->day_zone == zone && pass->day_instant == instant)
		return pass->day;
	local = instant >= FIRST_LOCAL_INSTANT && instant < LAST_LOCAL_INSTANT;
	if (timestamp2tm(instant, &offset, &tm, &fsec, NULL, local ? zone : pass->utc) != 0)
		elog(ERROR, "timestamp out of range");
	pass->day_zone = zone;
	pass->day_instant = instant;
	pass->day = date2j(tm.tm_year, tm.tm_mon, tm.tm_mday) - POSTGRES_EPOCH_JDATE;
	return pass->day;
}

/* A name that the row carries and the catalogue does not know: whoever brings it counts the row anew. */
static void
note_unknown(Pass *pass, const char *kind, int64 id)
{
	billing_queue_unknown(pass->queue, kind, id);
}

static const char *
cost_center_of(Pass *pass, const StoredLeg *leg)
{
	const Service *service;

	if (leg->kind == LEG_RESELLER || leg->service_id == 0)
		return pass->nothing;
	service = billing_service(pass->statement, leg->service_id);
	if (service == NULL)
		note_unknown(pass, "service", leg->service_id);
	return service ? service->cost_center : pass->nothing;
}

static void
label_leg(Pass *pass, const StoredLeg *leg, UsageKey *key)
{
	const RateLabel *label = NULL;

	key->destination = key->currency = pass->nothing;
	if (leg->rate_id != 0 && leg->kind <= LEG_PROVIDER)
	{
		label = billing_rate_label(pass->statement, leg->rate_id);
		if (!label->known)
			note_unknown(pass, "rate", leg->rate_id);
		key->destination = label->destination;
	}
	if (leg->account)
		key->currency = leg->account->currency;
	else if (label)
		key->currency = label->currency;
	key->cost_center = cost_center_of(pass, leg);
}

/* ---- pools of included minutes ---- */

/* The service whose plan covers a leg; a virtual number draws from its primary's (D9). */
static const Service *
covering_service(Pass *pass, const StoredLeg *leg)
{
	const Service *service = NULL;

	if (leg->service_id != 0 && (leg->kind == LEG_CUSTOMER || leg->kind == LEG_PROVIDER || leg->kind == LEG_DID_OWNER))
		service = billing_service(pass->statement, leg->service_id);
	if (service && service->kind == KIND_VIRTUAL_NUMBER)
		service = billing_service(pass->statement, service->primary_id);
	return service;
}

static void
queue_pool(Pass *pass, const Cdr *cdr, const StoredLeg *leg, DateADT day)
{
	const Service *service;
	const ServiceTerms *service_terms;
	const AccountTerms *account_terms;
	int64		plan_id = 0;
	int64		service_id = 0;

	if (leg->account == NULL || DATE_NOT_FINITE(day))
		return;
	service = covering_service(pass, leg);
	service_terms = service ? billing_service_terms(service, cdr->at) : NULL;
	if (service_terms && service_terms->plan_id != 0)
	{
		plan_id = service_terms->plan_id;
		service_id = service->id;
	}
	else
	{
		account_terms = billing_account_terms(leg->account, cdr->at);
		plan_id = account_terms ? account_terms->plan_id : 0;
	}
	if (plan_id != 0 && (billing_plan_allowances(pass->statement, plan_id) & (1 << leg->kind)))
		billing_queue_pool(pass->queue, leg->account_id, service_id, leg->kind, day);
}

/* ---- counting ---- */

static bool
stored_int64(const CdrMap *map, RatedColumn column, const Datum *values, const bool *nulls, int64 *value)
{
	AttrNumber	attribute = map->rated[column];

	*value = 0;
	if (attribute == InvalidAttrNumber || nulls[attribute - 1])
		return false;
	*value = DatumGetInt64(values[attribute - 1]);
	return true;
}

/* False: the leg does not apply. */
static bool
read_leg(Pass *pass, const CdrMap *map, LegKind kind, const Datum *values, const bool *nulls, StoredLeg *leg)
{
	const LegColumns *columns = &billing_leg_columns[kind];
	AttrNumber	amount = map->rated[columns->amount];
	AttrNumber	billsec = map->rated[columns->billsec];

	leg->kind = kind;
	leg->has_account = stored_int64(map, columns->account, values, nulls, &leg->account_id);
	leg->has_amount = amount != InvalidAttrNumber && !nulls[amount - 1];
	if (!leg->has_account && !leg->has_amount)
		return false;
	leg->amount = leg->has_amount ? billing_money_from_numeric(DatumGetNumeric(values[amount - 1])) : 0;
	leg->billsec = billsec != InvalidAttrNumber && !nulls[billsec - 1] ? DatumGetInt32(values[billsec - 1]) : 0;
	stored_int64(map, columns->service, values, nulls, &leg->service_id);
	stored_int64(map, columns->rate, values, nulls, &leg->rate_id);
	leg->account = leg->has_account ? billing_account(pass->statement, leg->account_id) : NULL;
	if (leg->has_account && leg->account == NULL)
		note_unknown(pass, "account", leg->account_id);
	return true;
}

static void
count_leg(Pass *pass, const Cdr *cdr, const StoredLeg *leg, int sign)
{
	UsageKey	key = {
		.account_id = leg->account_id,
		.has_account = leg->has_account,
		.leg = leg->kind,
		.day = day_of(pass, cdr->at, leg->account ? leg->account->zone : pass->utc)
	};
	UsageEntry *entry;

	label_leg(pass, leg, &key);
	entry = billing_usage_entry(pass->sums, &key);
	entry->calls += sign;
	entry->answered += cdr->answered ? sign : 0;
	entry->billsec += sign * leg->billsec;
	entry->micros += (Money) (leg->kind >= LEG_DID_INCOMING ? cdr->did_seconds.micros : cdr->seconds.micros) * sign;
	entry->amount += leg->amount * sign;
	queue_pool(pass, cdr, leg, key.day);
}

static void
count_row(Pass *pass, const CdrMap *map, const Datum *values, const bool *nulls, int sign)
{
	Cdr			cdr;
	StoredLeg	leg;
	bool		did_priced = false;

	billing_cdr_read_times(map, values, nulls, &cdr);
	for (LegKind kind = LEG_CUSTOMER; kind < LEGS; kind++)
		if (read_leg(pass, map, kind, values, nulls, &leg))
		{
			count_leg(pass, &cdr, &leg, sign);
			did_priced |= kind >= LEG_DID_INCOMING && leg.has_amount;
		}
	if (did_priced)
		billing_queue_session(pass->queue, map, values, nulls);
}

/* A row of OLD that a MERGE is said to have moved is there after all. */
static void
forget_moved(Pass *pass, const CdrMap *map, const Datum *values)
{
	MovedRow	row = {0};

	row.id = DatumGetInt64(values[map->raw[RAW_ID] - 1]);
	row.started_at = DatumGetTimestampTz(values[map->raw[RAW_STARTED_AT] - 1]);
	hash_search(pass->moved, &row, HASH_REMOVE, NULL);
}

static void
count_slot(Pass *pass, const CdrMap *map, TupleTableSlot *slot, int sign)
{
	MemoryContext former = MemoryContextSwitchTo(pass->row_context);

	CHECK_FOR_INTERRUPTS();
	slot_getallattrs(slot);
	count_row(pass, map, slot->tts_values, slot->tts_isnull, sign);
	if (pass->moved && sign < 0)
		forget_moved(pass, map, slot->tts_values);
	MemoryContextSwitchTo(former);
	MemoryContextReset(pass->row_context);
}

static void
count_rows(Pass *pass, const CdrMap *map, TupleDesc desc, Tuplestorestate *rows, int sign)
{
	TupleTableSlot *slot;

	if (rows == NULL)
		return;
	slot = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	tuplestore_select_read_pointer(rows, 0);
	tuplestore_rescan(rows);
	while (tuplestore_gettupleslot(rows, true, false, slot))
		count_slot(pass, map, slot, sign);
	ExecDropSingleTupleTableSlot(slot);
}

/* ---- a run of the pass ---- */

/* The executor is not asked: anybody may put the triggers on a table of his own, and would write sums by them. */
static void
check_writer(Oid owner)
{
	Oid			usage = billing_ledger_relation("usage");

	if (!OidIsValid(usage))
		billing_ledger_missing();
	if (pg_class_aclcheck(usage, owner, ACL_INSERT) != ACLCHECK_OK || pg_class_aclcheck(usage, owner, ACL_UPDATE) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, "usage");
}

static Pass *
begin_pass(Oid owner)
{
	MemoryContext context;
	Pass	   *pass;

	check_writer(owner);
	context = AllocSetContextCreate(CurrentMemoryContext, "billing accounting", ALLOCSET_DEFAULT_SIZES);
	pass = MemoryContextAllocZero(context, sizeof(Pass));
	pass->context = context;
	pass->row_context = AllocSetContextCreate(context, "billing accounting row", ALLOCSET_SMALL_SIZES);
	pass->statement = billing_latest_statement(context);
	billing_directory_begin_call(pass->statement);
	pass->sums = billing_usage_sums(context);
	pass->queue = billing_credit_queue(context);
	pass->nothing = billing_intern(pass->statement, NULL);
	pass->utc = pg_tzset("UTC");
	return pass;
}

/* What others have put on the owner's tables must not find names where the loader says; only then is it set, for it costs as much as a row. */
void
billing_owner_search_path(void)
{
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

/* Writes with the rights of the table's owner, restricted: whoever loads calls needs INSERT on raw columns only (design 2). */
static void
end_pass(Pass *pass, Oid owner)
{
	Oid			save_userid;
	int			save_sec_context;
	int			save_nestlevel = NewGUCNestLevel();

	GetUserIdAndSecContext(&save_userid, &save_sec_context);
	SetUserIdAndSecContext(owner, save_sec_context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	billing_usage_write(pass->sums);
	billing_queue_write(pass->queue);
	AtEOXact_GUC(true, save_nestlevel);
	SetUserIdAndSecContext(save_userid, save_sec_context);
	MemoryContextDelete(pass->context);
}

static void
refuse_moved(HTAB *moved)
{
	if (moved == NULL || hash_get_num_entries(moved) == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("a MERGE cannot move calls to another partition of billing.cdr"),
			 errdetail("The server does not tell statement triggers of such rows, so that they would not be counted."),
			 errhint("Move them with UPDATE, or with DELETE and INSERT.")));
}

static void
count_statement(TriggerData *data, MemoryContext query_context)
{
	Relation	relation = data->tg_relation;
	HTAB	   *moved = TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? billing_moved_rows(query_context) : NULL;
	int64		rows = (data->tg_newtable ? tuplestore_tuple_count(data->tg_newtable) : 0) +
		(data->tg_oldtable ? tuplestore_tuple_count(data->tg_oldtable) : 0);
	Pass	   *pass;
	CdrMap		map;

	if (rows > 0)
	{
		pass = begin_pass(relation->rd_rel->relowner);
		pass->moved = moved;
		map = *billing_cdr_map_of(relation);
		count_rows(pass, &map, RelationGetDescr(relation), data->tg_oldtable, -1);
		count_rows(pass, &map, RelationGetDescr(relation), data->tg_newtable, 1);
		end_pass(pass, relation->rd_rel->relowner);
	}
	refuse_moved(moved);
}

/* ---- TRUNCATE ---- */

/* Takes away every row of a partition that is about to be emptied, also those that came after our snapshot. */
static void
uncount_partition(Pass *pass, Relation partition)
{
	CdrMap		map = *billing_cdr_map_of(partition);
	TupleTableSlot *slot = table_slot_create(partition, NULL);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableScanDesc scan = table_beginscan(partition, snapshot, 0, NULL);

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
		count_slot(pass, &map, slot, -1);
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	ExecDropSingleTupleTableSlot(slot);
}

static bool
counts_itself(Relation partition, Oid function)
{
	for (int i = 0; partition->trigdesc && i < partition->trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &partition->trigdesc->triggers[i];

		if (trigger->tgfoid == function && TRIGGER_FOR_TRUNCATE(trigger->tgtype) &&
			trigger->tgenabled != TRIGGER_DISABLED)
			return true;
	}
	return false;
}

/* The table whose trigger counts what a partition loses: its own, else that of the next one above that has one. */
static Oid
counted_by(Relation partition, Oid function)
{
	List	   *ancestors = counts_itself(partition, function) ? NIL : get_partition_ancestors(RelationGetRelid(partition));
	ListCell   *cell;

	foreach(cell, ancestors)
	{
		Relation	ancestor = table_open(lfirst_oid(cell), AccessShareLock);
		bool		counts = counts_itself(ancestor, function);

		table_close(ancestor, NoLock);
		if (counts)
			return lfirst_oid(cell);
	}
	return RelationGetRelid(partition);
}

/* TRUNCATE fires for the table that is named and for each partition below it; those that have no trigger leave it to the next above. */
static void
count_truncate(Relation relation, Oid function)
{
	Pass	   *pass = begin_pass(relation->rd_rel->relowner);

	if (relation->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		uncount_partition(pass, relation);
	else
	{
		List	   *tables = find_all_inheritors(RelationGetRelid(relation), NoLock, NULL);
		ListCell   *cell;

		foreach(cell, tables)
		{
			Relation	partition = table_open(lfirst_oid(cell), AccessExclusiveLock);

			if (partition->rd_rel->relkind == RELKIND_RELATION && counted_by(partition, function) == RelationGetRelid(relation))
				uncount_partition(pass, partition);
			table_close(partition, NoLock);
		}
	}
	end_pass(pass, relation->rd_rel->relowner);
}

/* billing.account_cdr(): see its COMMENT. */
PG_FUNCTION_INFO_V1(billing_account_cdr);
Datum
billing_account_cdr(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_FOR_STATEMENT(data->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("billing.account_cdr() counts statements"),
				 errdetail("It must be called as a statement trigger.")));
	if (TRIGGER_FIRED_BY_TRUNCATE(data->tg_event))
		count_truncate(data->tg_relation, fcinfo->flinfo->fn_oid);
	else if (TRIGGER_FIRED_BEFORE(data->tg_event))
		billing_statement_counted(fcinfo->flinfo->fn_mcxt);
	else
		count_statement(data, fcinfo->flinfo->fn_mcxt);
	return PointerGetDatum(NULL);
}

/* ---- credits ---- */

enum {CREDIT_ACCOUNT, CREDIT_LEG, CREDIT_DAY, CREDIT_COST_CENTER, CREDIT_DESTINATION, CREDIT_CURRENCY, CREDIT_AMOUNT, CREDIT_COLUMNS};

static const char *const credit_names[CREDIT_COLUMNS] = {
	"account_id", "leg", "day", "cost_center", "destination", "currency", "amount"
};

static const Oid credit_types[CREDIT_COLUMNS] = {INT8OID, TEXTOID, DATEOID, TEXTOID, TEXTOID, TEXTOID, NUMERICOID};

static const char *
name_of(Pass *pass, Datum name)
{
	return billing_intern(pass->statement, TextDatumGetCString(name));
}

static void
count_credit(Pass *pass, TupleTableSlot *slot, const AttrNumber *columns, int sign)
{
	Datum		values[CREDIT_COLUMNS];
	bool		nulls[CREDIT_COLUMNS];
	UsageKey	key = {0};

	for (int i = 0; i < CREDIT_COLUMNS; i++)
		values[i] = slot_getattr(slot, columns[i], &nulls[i]);
	key.has_account = !nulls[CREDIT_ACCOUNT];
	key.account_id = key.has_account ? DatumGetInt64(values[CREDIT_ACCOUNT]) : 0;
	key.leg = billing_leg_kind(TextDatumGetCString(values[CREDIT_LEG]));
	key.day = DatumGetDateADT(values[CREDIT_DAY]);
	key.cost_center = name_of(pass, values[CREDIT_COST_CENTER]);
	key.destination = name_of(pass, values[CREDIT_DESTINATION]);
	key.currency = name_of(pass, values[CREDIT_CURRENCY]);
	billing_usage_entry(pass->sums, &key)->credit += billing_money_from_numeric(DatumGetNumeric(values[CREDIT_AMOUNT])) * sign;
}

static void
count_credit_slot(Pass *pass, TupleTableSlot *slot, const AttrNumber *columns, int sign)
{
	MemoryContext former = MemoryContextSwitchTo(pass->row_context);

	CHECK_FOR_INTERRUPTS();
	count_credit(pass, slot, columns, sign);
	MemoryContextSwitchTo(former);
	MemoryContextReset(pass->row_context);
}

static void
count_credits(Pass *pass, Relation relation, const AttrNumber *columns, Tuplestorestate *rows, int sign)
{
	TupleTableSlot *slot;

	if (rows == NULL)
		return;
	slot = MakeSingleTupleTableSlot(RelationGetDescr(relation), &TTSOpsMinimalTuple);
	tuplestore_select_read_pointer(rows, 0);
	tuplestore_rescan(rows);
	while (tuplestore_gettupleslot(rows, true, false, slot))
		count_credit_slot(pass, slot, columns, sign);
	ExecDropSingleTupleTableSlot(slot);
}

static void
uncount_all_credits(Pass *pass, Relation relation, const AttrNumber *columns)
{
	TupleTableSlot *slot = table_slot_create(relation, NULL);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableScanDesc scan = table_beginscan(relation, snapshot, 0, NULL);

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
		count_credit_slot(pass, slot, columns, -1);
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	ExecDropSingleTupleTableSlot(slot);
}

/* billing.account_credit(): see its COMMENT. */
PG_FUNCTION_INFO_V1(billing_account_credit);
Datum
billing_account_credit(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	AttrNumber	columns[CREDIT_COLUMNS];
	Pass	   *pass;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_FOR_STATEMENT(data->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("billing.account_credit() counts credits"),
				 errdetail("It must be called as a statement trigger.")));
	for (int i = 0; i < CREDIT_COLUMNS; i++)
	{
		columns[i] = get_attnum(RelationGetRelid(data->tg_relation), credit_names[i]);
		if (columns[i] == InvalidAttrNumber || get_atttype(RelationGetRelid(data->tg_relation), columns[i]) != credit_types[i])
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("table \"%s\" has no column \"%s\" of type %s", RelationGetRelationName(data->tg_relation), credit_names[i],
							format_type_be(credit_types[i])),
					 errhint("billing.account_credit() belongs on billing.credit.")));
	}
	pass = begin_pass(data->tg_relation->rd_rel->relowner);
	if (TRIGGER_FIRED_BY_TRUNCATE(data->tg_event))
		uncount_all_credits(pass, data->tg_relation, columns);
	else
	{
		count_credits(pass, data->tg_relation, columns, data->tg_oldtable, -1);
		count_credits(pass, data->tg_relation, columns, data->tg_newtable, 1);
	}
	end_pass(pass, data->tg_relation->rd_rel->relowner);
	return PointerGetDatum(NULL);
}
