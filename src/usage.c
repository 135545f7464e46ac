/*
 * usage.c
 *	  Sums for billing.usage: gathered by key in memory, written in key order into a slot of our own (design 6).
 *
 * "Accounting" in src/README tells why there are slots and parts.
 */
#include "accounting.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_collation_d.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/* ---- gathering ---- */

/* Names are interned in the catalogue, so that two are equal when their pointers are. */
static inline uint32
hash_key(const UsageKey *key)
{
	uint32		hash = murmurhash32((uint32) key->account_id ^ (uint32) (key->account_id >> 32));

	hash = hash_combine(hash, murmurhash32(((uint32) key->day << 4) | key->leg << 1 | key->has_account));
	hash = hash_combine(hash, murmurhash32((uint32) ((uintptr_t) key->destination >> 3)));
	hash = hash_combine(hash, murmurhash32((uint32) ((uintptr_t) key->cost_center >> 3)));
	return hash_combine(hash, murmurhash32((uint32) ((uintptr_t) key->currency >> 3)));
}

static inline bool
same_key(const UsageKey *a, const UsageKey *b)
{
	return a->account_id == b->account_id && a->day == b->day && a->leg == b->leg && a->has_account == b->has_account &&
		a->destination == b->destination && a->cost_center == b->cost_center && a->currency == b->currency;
}

#define SH_PREFIX			usage
#define SH_ELEMENT_TYPE		UsageEntry
#define SH_KEY_TYPE			UsageKey
#define SH_KEY				key
#define SH_HASH_KEY(tb, key)	hash_key(&(key))
#define SH_EQUAL(tb, a, b)		same_key(&(a), &(b))
#define SH_SCOPE			static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

UsageSums *
billing_usage_sums(MemoryContext context)
{
	UsageSums  *sums = MemoryContextAllocZero(context, sizeof(UsageSums));

	sums->context = context;
	sums->entries = usage_create(context, 8, NULL);
	return sums;
}

/* The sums of a key, zero at first; valid until the next one is asked for. */
UsageEntry *
billing_usage_entry(UsageSums *sums, const UsageKey *key)
{
	bool		found;
	UsageEntry *entry = usage_insert(sums->entries, *key, &found);

	if (!found)
	{
		entry->calls = entry->answered = entry->billsec = 0;
		entry->micros = entry->amount = entry->credit = 0;
	}
	return entry;
}

/* ---- the slot ---- */

/* Parts of a long transaction: so many writes of it may hit one row before the pass goes on in the next one. */
#define WRITES_PER_PART		64
#define TRANSACTION_SLOT	0x40000000

static bool
lock_slot(int32 slot)
{
	LOCKTAG		tag;
	Oid			usage = billing_ledger_relation("usage");

	if (!OidIsValid(usage))
		billing_ledger_missing();
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, usage, (uint32) slot, 2);
	return LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

/*
 * The slot that this transaction may write: nobody else writes its rows until the transaction ends.  The lock is taken
 * each time, because a savepoint that is rolled back takes along what was locked in it.  A prepared transaction keeps
 * the slot of the backend that it left, and compact_usage() borrows it: then the slot is the transaction's own.
 */
static int32
own_slot(void)
{
	int32		slot = compat_backend_number();

	if (lock_slot(slot))
		return slot;
	return TRANSACTION_SLOT | (int32) (XidFromFullTransactionId(GetTopFullTransactionId()) & (TRANSACTION_SLOT - 1));
}

static int32
next_part(void)
{
	static uint32 transaction = 0;
	static int32 writes = 0;

	if (transaction != compat_local_transaction())
	{
		transaction = compat_local_transaction();
		writes = 0;
	}
	return writes++ / WRITES_PER_PART;
}

/* ---- writing ---- */

enum {KEY_ACCOUNT, KEY_SLOT, KEY_DAY, KEY_PART, KEY_LEG, KEY_DESTINATION, KEY_COST_CENTER, KEY_CURRENCY, KEY_COLUMNS};
enum {SUM_CALLS, SUM_ANSWERED, SUM_SECONDS, SUM_BILLSEC, SUM_AMOUNT, SUM_CREDIT, SUM_COLUMNS};

static const char *const key_names[KEY_COLUMNS] = {
	"account_id", "slot", "day", "part", "leg", "destination", "cost_center", "currency"
};

static const char *const sum_names[SUM_COLUMNS] = {"calls", "answered", "seconds", "billsec", "amount", "credit"};

static const Oid key_equality[KEY_COLUMNS] = {F_INT8EQ, F_INT4EQ, F_DATE_EQ, F_INT4EQ, F_TEXTEQ, F_TEXTEQ, F_TEXTEQ, F_TEXTEQ};

/*
 * Writes rows of billing.usage one by one through the executor's simple operations, as logical replication does: no
 * query is planned or started for them, which cost more than the call itself.  Row triggers, constraints and all
 * indexes are served; statement triggers do not fire.
 */
typedef struct UsageWriter
{
	Relation	usage;
	Relation	index;
	AttrNumber	keys[KEY_COLUMNS];
	AttrNumber	sums[SUM_COLUMNS];
	EState	   *estate;
	EPQState	epq;
	ResultRelInfo *result;
	TupleTableSlot *former;
	TupleTableSlot *row;
	int32		slot;
	int32		part;
} UsageWriter;

static AttrNumber
usage_column(Relation usage, const char *name)
{
	AttrNumber	attribute = get_attnum(RelationGetRelid(usage), name);

	if (attribute == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of table \"billing.usage\" does not exist", name),
				 errhint("Is the ledger older than the extension? Run: SELECT billing.upgrade_ledger();")));
	return attribute;
}

static void
open_writer(UsageWriter *writer)
{
	Oid			usage = billing_ledger_relation("usage");
	Oid			index = billing_ledger_relation("usage_key");

	if (!OidIsValid(usage) || !OidIsValid(index))
		billing_ledger_missing();
	writer->usage = table_open(usage, RowExclusiveLock);
	writer->index = index_open(index, RowExclusiveLock);
	for (int i = 0; i < KEY_COLUMNS; i++)
		writer->keys[i] = usage_column(writer->usage, key_names[i]);
	for (int i = 0; i < SUM_COLUMNS; i++)
		writer->sums[i] = usage_column(writer->usage, sum_names[i]);

	writer->estate = CreateExecutorState();
	writer->estate->es_snapshot = GetActiveSnapshot();
	writer->result = makeNode(ResultRelInfo);
	InitResultRelInfo(writer->result, writer->usage, 0, NULL, 0);
	ExecOpenIndices(writer->result, false);
	/* Where AFTER triggers look for it. */
	writer->estate->es_opened_result_relations = list_make1(writer->result);
	compat_EvalPlanQualInit(&writer->epq, writer->estate);
	writer->former = table_slot_create(writer->usage, NULL);
	writer->row = table_slot_create(writer->usage, NULL);
	AfterTriggerBeginQuery();
	writer->slot = own_slot();
	writer->part = next_part();
}

static void
close_writer(UsageWriter *writer)
{
	AfterTriggerEndQuery(writer->estate);
	EvalPlanQualEnd(&writer->epq);
	ExecDropSingleTupleTableSlot(writer->former);
	ExecDropSingleTupleTableSlot(writer->row);
	ExecResetTupleTable(writer->estate->es_tupleTable, false);
	ExecCloseResultRelations(writer->estate);
	FreeExecutorState(writer->estate);
	index_close(writer->index, NoLock);
	table_close(writer->usage, NoLock);

	/* What runs next in this transaction sees the rows, and may write them again. */
	CommandCounterIncrement();
}

static void
key_values(const UsageWriter *writer, const UsageKey *key, Datum *values)
{
	values[KEY_ACCOUNT] = Int64GetDatum(key->account_id);
	values[KEY_SLOT] = Int32GetDatum(writer->slot);
	values[KEY_LEG] = CStringGetTextDatum(billing_leg_names[key->leg]);
	values[KEY_DAY] = DateADTGetDatum(key->day);
	values[KEY_PART] = Int32GetDatum(writer->part);
	values[KEY_DESTINATION] = CStringGetTextDatum(key->destination);
	values[KEY_COST_CENTER] = CStringGetTextDatum(key->cost_center);
	values[KEY_CURRENCY] = CStringGetTextDatum(key->currency);
}

static void
sum_values(const UsageEntry *entry, Datum *values)
{
	values[SUM_CALLS] = Int64GetDatum(entry->calls);
	values[SUM_ANSWERED] = Int64GetDatum(entry->answered);
	values[SUM_SECONDS] = NumericGetDatum(billing_numeric_from_fixed(entry->micros, 6));
	values[SUM_BILLSEC] = Int64GetDatum(entry->billsec);
	values[SUM_AMOUNT] = NumericGetDatum(billing_numeric_from_money(entry->amount));
	values[SUM_CREDIT] = NumericGetDatum(billing_numeric_from_money(entry->credit));
}

/* The row of our slot for this key, whoever wrote it last: nobody else does now. */
static bool
find_row(UsageWriter *writer, const Datum *values, bool has_account)
{
	ScanKeyData keys[KEY_COLUMNS];
	IndexScanDesc scan;
	bool		found;

	for (int i = 0; i < KEY_COLUMNS; i++)
	{
		bool		isnull = i == KEY_ACCOUNT && !has_account;

		ScanKeyEntryInitialize(&keys[i], isnull ? SK_ISNULL | SK_SEARCHNULL : 0, i + 1,
							   isnull ? InvalidStrategy : BTEqualStrategyNumber, InvalidOid,
							   key_equality[i] == F_TEXTEQ ? DEFAULT_COLLATION_OID : InvalidOid,
							   isnull ? InvalidOid : key_equality[i], isnull ? (Datum) 0 : values[i]);
	}
	scan = compat_index_beginscan(writer->usage, writer->index, SnapshotSelf, KEY_COLUMNS);
	index_rescan(scan, keys, KEY_COLUMNS, NULL, 0);
	found = index_getnext_slot(scan, ForwardScanDirection, writer->former);
	index_endscan(scan);
	return found;
}

static Datum
add(int sum, Datum former, Datum more)
{
	if (sum == SUM_SECONDS || sum == SUM_AMOUNT || sum == SUM_CREDIT)
		return DirectFunctionCall2(numeric_add, former, more);
	return Int64GetDatum(DatumGetInt64(former) + DatumGetInt64(more));
}

/* Columns that somebody has added to billing.usage get their defaults. */
static void
default_values(UsageWriter *writer, TupleTableSlot *row)
{
	TupleDesc	desc = row->tts_tupleDescriptor;
	ExprContext *context = GetPerTupleExprContext(writer->estate);

	memset(row->tts_isnull, true, desc->natts * sizeof(bool));
	if (desc->natts == KEY_COLUMNS + SUM_COLUMNS)
		return;
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);
		Node	   *expression = attribute->attisdropped || attribute->attgenerated ? NULL :
			build_column_default(writer->usage, i + 1);

		if (expression)
			row->tts_values[i] = ExecEvalExpr(ExecInitExpr(expression_planner((Expr *) expression), NULL), context, &row->tts_isnull[i]);
	}
}

/* In the memory of the whole query: what triggers keep between two rows lives where they are called. */
static void
store_row(UsageWriter *writer, bool found)
{
	MemoryContext former = MemoryContextSwitchTo(writer->estate->es_query_cxt);

	writer->estate->es_output_cid = GetCurrentCommandId(true);
	if (found)
		ExecSimpleRelationUpdate(writer->result, writer->estate, &writer->epq, writer->former, writer->row);
	else
		ExecSimpleRelationInsert(writer->result, writer->estate, writer->row);
	MemoryContextSwitchTo(former);
}

static void
write_entry(UsageWriter *writer, const UsageEntry *entry)
{
	TupleTableSlot *row = ExecClearTuple(writer->row);
	int			natts = row->tts_tupleDescriptor->natts;
	Datum		keys[KEY_COLUMNS];
	Datum		sums[SUM_COLUMNS];
	bool		found;

	key_values(writer, &entry->key, keys);
	sum_values(entry, sums);
	found = find_row(writer, keys, entry->key.has_account);
	if (found)
	{
		slot_getallattrs(writer->former);
		memcpy(row->tts_values, writer->former->tts_values, natts * sizeof(Datum));
		memcpy(row->tts_isnull, writer->former->tts_isnull, natts * sizeof(bool));
	}
	else
	{
		default_values(writer, row);
		for (int i = 0; i < KEY_COLUMNS; i++)
		{
			row->tts_values[writer->keys[i] - 1] = keys[i];
			row->tts_isnull[writer->keys[i] - 1] = i == KEY_ACCOUNT && !entry->key.has_account;
		}
	}
	for (int i = 0; i < SUM_COLUMNS; i++)
	{
		AttrNumber	attribute = writer->sums[i];

		row->tts_values[attribute - 1] = found ? add(i, row->tts_values[attribute - 1], sums[i]) : sums[i];
		row->tts_isnull[attribute - 1] = false;
	}
	ExecStoreVirtualTuple(row);
	store_row(writer, found);
	ExecClearTuple(writer->former);
	ResetPerTupleExprContext(writer->estate);
}

static bool
is_zero(const UsageEntry *entry)
{
	return entry->calls == 0 && entry->answered == 0 && entry->billsec == 0 && entry->micros == 0 && entry->amount == 0 &&
		entry->credit == 0;
}

/* In the order of usage_key, with the columns that are not constant here. */
static int
compare_entries(const void *a, const void *b)
{
	const UsageKey *left = &(*(const UsageEntry *const *) a)->key;
	const UsageKey *right = &(*(const UsageEntry *const *) b)->key;
	int			order = (left->account_id > right->account_id) - (left->account_id < right->account_id);

	if (order == 0)
		order = left->has_account - right->has_account;
	if (order == 0)
		order = (left->day > right->day) - (left->day < right->day);
	if (order == 0)
		order = strcmp(billing_leg_names[left->leg], billing_leg_names[right->leg]);
	if (order == 0)
		order = strcmp(left->destination, right->destination);
	if (order == 0)
		order = strcmp(left->cost_center, right->cost_center);
	return order != 0 ? order : strcmp(left->currency, right->currency);
}

static void
write_entries(const UsageEntry *const *entries, int count)
{
	MemoryContext former = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(former, "billing usage row", ALLOCSET_SMALL_SIZES);
	bool		may_write = billing_usage_writer;
	UsageWriter writer;

	open_writer(&writer);
	billing_usage_writer = true;
	PG_TRY();
	{
		for (int i = 0; i < count; i++)
		{
			CHECK_FOR_INTERRUPTS();
			MemoryContextSwitchTo(context);
			write_entry(&writer, entries[i]);
			MemoryContextSwitchTo(former);
			MemoryContextReset(context);
		}
	}
	PG_FINALLY();
	{
		billing_usage_writer = may_write;
	}
	PG_END_TRY();
	close_writer(&writer);
	MemoryContextDelete(context);
}

/* Adds the sums to billing.usage, with the rights of the ledger's owner, which the caller has taken. */
void
billing_usage_write(UsageSums *sums)
{
	const UsageEntry **entries = palloc_extended((sums->entries->members + 1) * sizeof(UsageEntry *), MCXT_ALLOC_HUGE);
	int			count = 0;
	usage_iterator iterator;
	UsageEntry *entry;

	usage_start_iterate(sums->entries, &iterator);
	while ((entry = usage_iterate(sums->entries, &iterator)) != NULL)
		if (!is_zero(entry))
			entries[count++] = entry;
	if (count == 0)
		return;
	qsort(entries, count, sizeof(UsageEntry *), compare_entries);

	write_entries(entries, count);
}

/* ---- the guard ---- */

/* billing.guard_usage(): see its COMMENT. */
PG_FUNCTION_INFO_V1(billing_guard_usage);
Datum
billing_guard_usage(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(data->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("billing.guard_usage() guards rows that are about to be written"),
				 errdetail("It must be called as a BEFORE trigger.")));
	if (!billing_usage_writer && !TRIGGER_FIRED_BY_INSERT(data->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("billing.%s is written by the accounting pass only", RelationGetRelationName(data->tg_relation)),
				 errdetail("It is the sum over billing.cdr, and nothing else."),
				 errhint("Change the calls; to count them anew, run SELECT billing.rebuild_usage();")));
	if (!TRIGGER_FIRED_FOR_ROW(data->tg_event) || !billing_usage_writer)
		return PointerGetDatum(NULL);
	return PointerGetDatum(TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? data->tg_newtuple : data->tg_trigtuple);
}
