/*
 * usage_write.c
 *	  How the sums of a statement get into billing.usage.
 *
 * They go to its partition of live rows, without queries, for planning and starting one cost more than the call.  As
 * create_ledger() makes it, billing.usage_live has no row trigger but the guard, and then rows are written straight to the
 * table and its index; where somebody has added columns, constraints or triggers, through the executor's simple
 * operations, which serve them all (as logical replication does).  Statement triggers do not fire.
 */
#include "accounting.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_collation_d.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "storage/bufmgr.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/* ---- the slot ---- */

/* Parts of a long transaction: so many writes of it may hit one row before the pass goes on in the next one. */
#define WRITES_PER_PART		64
#define TRANSACTION_SLOT	0x40000000

static bool
lock_slot(Oid usage, int32 slot)
{
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, usage, (uint32) slot, 2);
	return LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

static int32
transaction_slot(void)
{
	return TRANSACTION_SLOT | (int32) (XidFromFullTransactionId(GetTopFullTransactionId()) & (TRANSACTION_SLOT - 1));
}

/*
 * The slot that this transaction may write: nobody else writes its rows until the transaction ends.  The lock is taken
 * each time, because a savepoint that is rolled back takes along what was locked in it.  A prepared transaction keeps
 * the slot of the backend that it left, and compact_usage() borrows it: then the slot is the transaction's own.
 */
static int32
own_slot(Oid usage)
{
	int32		slot = compat_backend_number();

	return lock_slot(usage, slot) ? slot : transaction_slot();
}

/* How often this transaction has written before. */
static int32
count_write(void)
{
	static uint32 transaction = 0;
	static int32 writes = 0;

	if (transaction != compat_local_transaction())
	{
		transaction = compat_local_transaction();
		writes = 0;
	}
	return writes++;
}

/* ---- the writer ---- */

/* The numbers of the key first, then its texts. */
enum {KEY_ACCOUNT, KEY_SLOT, KEY_DAY, KEY_PART, KEY_LEG, KEY_DESTINATION, KEY_COST_CENTER, KEY_CURRENCY, KEY_COLUMNS};
enum {SUM_CALLS = KEY_COLUMNS, SUM_ANSWERED, SUM_SECONDS, SUM_BILLSEC, SUM_AMOUNT, SUM_CREDIT, USAGE_COLUMNS};

static const char *const column_names[USAGE_COLUMNS] = {
	"account_id", "slot", "day", "part", "leg", "destination", "cost_center", "currency",
	"calls", "answered", "seconds", "billsec", "amount", "credit"
};

#define ROWS_AT_ONCE	256

typedef struct UsageWriter
{
	MemoryContext context;		/* of the whole write */
	MemoryContext row_context;	/* of the rows that are written together */
	Relation	usage;			/* billing.usage_live */
	bool		plain;			/* as create_ledger() made it */
	AttrNumber	columns[USAGE_COLUMNS];
	int32		slot;
	int32		part;
	TupleTableSlot *former;		/* the row that is being changed, and what becomes of it */
	TupleTableSlot *row;
	TupleTableSlot *added[ROWS_AT_ONCE];	/* rows that are to be stored, with the hashes of their keys */
	uint32		hashes[ROWS_AT_ONCE];
	int			count;
	BulkInsertState bulk;		/* NULL: few rows */
	EState	   *estate;			/* NULL: the executor was not needed yet */
	EPQState	epq;
	ResultRelInfo *result;
} UsageWriter;

static bool
is_guard(const Trigger *trigger)
{
	return strcmp(trigger->tgname, "guard_usage") == 0 || !TRIGGER_FOR_ROW(trigger->tgtype);
}

static bool
is_plain(Relation usage)
{
	TupleConstr *constraints = RelationGetDescr(usage)->constr;

	for (int i = 0; usage->trigdesc && i < usage->trigdesc->numtriggers; i++)
		if (!is_guard(&usage->trigdesc->triggers[i]))
			return false;
	return RelationGetNumberOfAttributes(usage) == USAGE_COLUMNS &&
		(constraints == NULL || (constraints->num_check == 0 && !constraints->has_generated_stored));
}

/* Where a column stands is remembered, and looked at again each time. */
static AttrNumber
usage_column(Relation usage, int column)
{
	static AttrNumber remembered[USAGE_COLUMNS];
	TupleDesc	desc = RelationGetDescr(usage);
	AttrNumber	attribute = remembered[column];

	if (attribute == InvalidAttrNumber || attribute > desc->natts ||
		strcmp(NameStr(TupleDescAttr(desc, attribute - 1)->attname), column_names[column]) != 0)
		attribute = get_attnum(RelationGetRelid(usage), column_names[column]);
	if (attribute == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of table \"billing.usage\" does not exist", column_names[column]),
				 errhint("Is the ledger older than the extension? Run: SELECT billing.upgrade_ledger();")));
	remembered[column] = attribute;
	return attribute;
}

/* What triggers, constraints and indexes need; a statement that changes rows in place needs none of it. */
static void
open_executor(UsageWriter *writer)
{
	MemoryContext former;

	if (writer->estate)
		return;
	former = MemoryContextSwitchTo(writer->context);
	writer->estate = CreateExecutorState();
	writer->estate->es_snapshot = GetActiveSnapshot();
	writer->result = makeNode(ResultRelInfo);
	InitResultRelInfo(writer->result, writer->usage, 0, NULL, 0);
	ExecOpenIndices(writer->result, false);
	/* Where AFTER triggers look for it. */
	writer->estate->es_opened_result_relations = list_make1(writer->result);
	compat_EvalPlanQualInit(&writer->epq, writer->estate);
	AfterTriggerBeginQuery();
	MemoryContextSwitchTo(former);
}

static void
close_executor(UsageWriter *writer)
{
	if (writer->estate == NULL)
		return;
	AfterTriggerEndQuery(writer->estate);
	EvalPlanQualEnd(&writer->epq);
	ExecResetTupleTable(writer->estate->es_tupleTable, false);
	ExecCloseResultRelations(writer->estate);
	FreeExecutorState(writer->estate);
}

static void
open_writer(UsageWriter *writer)
{
	Oid			usage = billing_ledger_relation("usage_live");

	if (!OidIsValid(usage))
		billing_ledger_missing();
	memset(writer, 0, sizeof(UsageWriter));
	writer->context = CurrentMemoryContext;
	writer->row_context = AllocSetContextCreate(CurrentMemoryContext, "billing usage row", ALLOCSET_DEFAULT_SIZES);
	writer->usage = table_open(usage, RowExclusiveLock);
	writer->plain = is_plain(writer->usage);
	for (int i = 0; i < USAGE_COLUMNS; i++)
		writer->columns[i] = usage_column(writer->usage, i);
	writer->former = table_slot_create(writer->usage, NULL);
	writer->row = table_slot_create(writer->usage, NULL);
	if (writer->plain)
		CheckCmdReplicaIdentity(writer->usage, CMD_UPDATE);
	else
	{
		billing_owner_search_path();
		open_executor(writer);
	}
}

static void
close_writer(UsageWriter *writer)
{
	for (int i = 0; i < ROWS_AT_ONCE && writer->added[i]; i++)
		ExecDropSingleTupleTableSlot(writer->added[i]);
	ExecDropSingleTupleTableSlot(writer->former);
	ExecDropSingleTupleTableSlot(writer->row);
	if (writer->bulk)
		FreeBulkInsertState(writer->bulk);
	close_executor(writer);
	table_close(writer->usage, NoLock);
	MemoryContextDelete(writer->row_context);

	/* What runs next in this transaction sees the rows, and may write them again. */
	CommandCounterIncrement();
}

static void
entry_values(const UsageWriter *writer, const UsageEntry *entry, Datum *values)
{
	values[KEY_ACCOUNT] = Int64GetDatum(entry->key.account_id);
	values[KEY_SLOT] = Int32GetDatum(writer->slot);
	values[KEY_DAY] = DateADTGetDatum(entry->key.day);
	values[KEY_PART] = Int32GetDatum(writer->part);
	values[KEY_LEG] = CStringGetTextDatum(billing_leg_names[entry->key.leg]);
	values[KEY_DESTINATION] = CStringGetTextDatum(entry->key.destination);
	values[KEY_COST_CENTER] = CStringGetTextDatum(entry->key.cost_center);
	values[KEY_CURRENCY] = CStringGetTextDatum(entry->key.currency);
	values[SUM_CALLS] = Int64GetDatum(entry->calls);
	values[SUM_ANSWERED] = Int64GetDatum(entry->answered);
	values[SUM_SECONDS] = NumericGetDatum(billing_numeric_from_fixed(entry->micros, 6));
	values[SUM_BILLSEC] = Int64GetDatum(entry->billsec);
	values[SUM_AMOUNT] = NumericGetDatum(billing_numeric_from_money(entry->amount));
	values[SUM_CREDIT] = NumericGetDatum(billing_numeric_from_money(entry->credit));
}

/* ---- finding the row of a key ---- */

/*
 * Where the last rows of a key were written: a hint, for the row is compared before it is used.  What is not remembered is
 * not looked for either: a second row of a key is as good as the first one, and compact_usage() folds both.
 */
typedef struct Remembered
{
	uint32		hash;
	ItemPointerData row;
} Remembered;

#define REMEMBERED_ROWS	32768	/* a power of two: the keys of a day of a busy session; memory is taken as it is used */

static Remembered remembered_rows[REMEMBERED_ROWS];
static Oid	remembered_usage = InvalidOid;

static uint32
hash_entry(const UsageWriter *writer, const UsageKey *key)
{
	uint32		hash = hash_bytes_uint32((uint32) key->account_id ^ ((uint32) key->day << 8) ^ key->leg);

	hash = hash_combine(hash, hash_bytes((const unsigned char *) key->destination, strlen(key->destination)));
	hash = hash_combine(hash, hash_bytes((const unsigned char *) key->cost_center, strlen(key->cost_center)));
	hash = hash_combine(hash, hash_bytes_uint32((uint32) writer->slot ^ ((uint32) writer->part << 16)));
	return hash != 0 ? hash : 1;	/* 0: not to be remembered */
}

static void
remember_row(const UsageWriter *writer, uint32 hash, ItemPointer row)
{
	if (OidIsValid(remembered_usage) && remembered_usage != RelationGetRelid(writer->usage))
		memset(remembered_rows, 0, sizeof(remembered_rows));
	remembered_usage = RelationGetRelid(writer->usage);
	remembered_rows[hash % REMEMBERED_ROWS] = (Remembered) {hash, *row};
}

static bool
equal_key(const UsageWriter *writer, const Datum *values, bool has_account)
{
	TupleTableSlot *former = writer->former;

	slot_getallattrs(former);
	for (int i = 0; i < KEY_COLUMNS; i++)
	{
		Datum		value = former->tts_values[writer->columns[i] - 1];
		bool		isnull = former->tts_isnull[writer->columns[i] - 1];

		if (i == KEY_ACCOUNT && isnull == has_account)
			return false;
		if (isnull)
			continue;
		if (i >= KEY_LEG ? !DatumGetBool(DirectFunctionCall2Coll(texteq, DEFAULT_COLLATION_OID, value, values[i])) :
			value != values[i])
			return false;
	}
	return true;
}

static bool
find_remembered(UsageWriter *writer, uint32 hash, const Datum *values, bool has_account)
{
	Remembered *remembered = &remembered_rows[hash % REMEMBERED_ROWS];

	if (remembered->hash != hash || remembered_usage != RelationGetRelid(writer->usage) ||
		ItemPointerGetBlockNumber(&remembered->row) >= RelationGetNumberOfBlocks(writer->usage) ||
		!table_tuple_fetch_row_version(writer->usage, &remembered->row, SnapshotSelf, writer->former))
		return false;
	if (equal_key(writer, values, has_account))
		return true;
	ExecClearTuple(writer->former);
	return false;
}

/* ---- writing a row ---- */

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
	ExprContext *context;

	memset(row->tts_isnull, true, desc->natts * sizeof(bool));
	if (writer->plain)
		return;
	context = GetPerTupleExprContext(writer->estate);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);
		Node	   *expression = attribute->attisdropped || attribute->attgenerated ? NULL :
			build_column_default(writer->usage, i + 1);

		if (expression)
			row->tts_values[i] = ExecEvalExpr(ExecInitExpr(expression_planner((Expr *) expression), NULL), context, &row->tts_isnull[i]);
	}
}

/* A new row: the key, the sums, and what others have added. */
static void
form_row(UsageWriter *writer, const UsageEntry *entry, const Datum *values, TupleTableSlot *row)
{
	ExecClearTuple(row);
	default_values(writer, row);
	for (int i = 0; i < USAGE_COLUMNS; i++)
	{
		row->tts_values[writer->columns[i] - 1] = values[i];
		row->tts_isnull[writer->columns[i] - 1] = i == KEY_ACCOUNT && !entry->key.has_account;
	}
	ExecStoreVirtualTuple(row);
}

/* The row that was found, with the sums added. */
static void
form_changed(UsageWriter *writer, const Datum *values)
{
	TupleTableSlot *row = ExecClearTuple(writer->row);
	int			natts = row->tts_tupleDescriptor->natts;

	slot_getallattrs(writer->former);
	memcpy(row->tts_values, writer->former->tts_values, natts * sizeof(Datum));
	memcpy(row->tts_isnull, writer->former->tts_isnull, natts * sizeof(bool));
	for (int i = SUM_CALLS; i < USAGE_COLUMNS; i++)
	{
		AttrNumber	attribute = writer->columns[i];

		row->tts_values[attribute - 1] = add(i, row->tts_values[attribute - 1], values[i]);
	}
	ExecStoreVirtualTuple(row);
}

static void
insert_index_entries(UsageWriter *writer, TupleTableSlot *row, bool update, compat_UpdateIndexes indexes)
{
	open_executor(writer);
	compat_ExecInsertIndexTuples(writer->result, row, writer->estate, update, indexes);
	ResetPerTupleExprContext(writer->estate);
}

/* In the memory of the whole query: what triggers keep between two rows lives where they are called. */
static void
store_by_executor(UsageWriter *writer, TupleTableSlot *row, bool found)
{
	MemoryContext former = MemoryContextSwitchTo(writer->estate->es_query_cxt);

	writer->estate->es_output_cid = GetCurrentCommandId(true);
	if (found)
		ExecSimpleRelationUpdate(writer->result, writer->estate, &writer->epq, writer->former, row);
	else
		ExecSimpleRelationInsert(writer->result, writer->estate, row);
	MemoryContextSwitchTo(former);
	ResetPerTupleExprContext(writer->estate);
}

/* The row that was found; the index only where it has not found room on its page. */
static void
change_row(UsageWriter *writer, uint32 hash, const Datum *values)
{
	compat_UpdateIndexes indexes = compat_all_indexes;

	form_changed(writer, values);
	if (!writer->plain)
		store_by_executor(writer, writer->row, true);
	else
	{
		simple_table_tuple_update(writer->usage, &writer->former->tts_tid, writer->row, GetActiveSnapshot(), &indexes);
		if (indexes)
			insert_index_entries(writer, writer->row, true, indexes);
	}
	remember_row(writer, hash, &writer->row->tts_tid);
	ExecClearTuple(writer->former);
}

/* ---- rows that are stored together ---- */

static void
store_added(UsageWriter *writer)
{
	if (writer->plain && writer->count > 0)
		table_multi_insert(writer->usage, writer->added, writer->count, GetCurrentCommandId(true), 0, writer->bulk);
	for (int i = 0; i < writer->count; i++)
	{
		if (writer->plain)
			insert_index_entries(writer, writer->added[i], false, compat_all_indexes);
		else
			store_by_executor(writer, writer->added[i], false);
		if (writer->hashes[i] != 0)
			remember_row(writer, writer->hashes[i], &writer->added[i]->tts_tid);
	}
	writer->count = 0;
	MemoryContextReset(writer->row_context);
}

static void
add_new_row(UsageWriter *writer, const UsageEntry *entry, uint32 hash, const Datum *values)
{
	TupleTableSlot **row = &writer->added[writer->count];

	if (*row == NULL)
	{
		MemoryContext former = MemoryContextSwitchTo(writer->context);

		*row = table_slot_create(writer->usage, NULL);
		MemoryContextSwitchTo(former);
	}
	form_row(writer, entry, values, *row);
	writer->hashes[writer->count++] = hash;
}

static void
write_entry(UsageWriter *writer, const UsageEntry *entry)
{
	MemoryContext former = MemoryContextSwitchTo(writer->row_context);
	/* A statement with many keys has few that an earlier one had. */
	uint32		hash = writer->bulk ? 0 : hash_entry(writer, &entry->key);
	Datum		values[USAGE_COLUMNS];

	CHECK_FOR_INTERRUPTS();
	entry_values(writer, entry, values);
	if (hash != 0 && find_remembered(writer, hash, values, entry->key.has_account))
		change_row(writer, hash, values);
	else
		add_new_row(writer, entry, hash, values);
	MemoryContextSwitchTo(former);
	/* The executor forgets the defaults of a row with the row before. */
	if (writer->count == (writer->plain ? ROWS_AT_ONCE : 1))
		store_added(writer);
}

#define MANY_ENTRIES	64

/* Adds the entries to billing.usage. */
void
billing_usage_write_entries(const UsageEntry *const *entries, int count)
{
	bool		may_write = billing_usage_writer;
	UsageWriter writer;

	open_writer(&writer);
	writer.slot = own_slot(billing_ledger_relation("usage"));
	writer.part = count_write() / WRITES_PER_PART;
	if (count >= MANY_ENTRIES)
		writer.bulk = GetBulkInsertState();
	billing_usage_writer = true;
	PG_TRY();
	{
		for (int i = 0; i < count; i++)
			write_entry(&writer, entries[i]);
		store_added(&writer);
	}
	PG_FINALLY();
	{
		billing_usage_writer = may_write;
	}
	PG_END_TRY();
	close_writer(&writer);
}
