/*
 * spendable.c
 *	  What an account can spend: its balance and its credit limit, less what is reserved (reading 33, design 6).
 *
 * A switch waits for it, so the rows are read straight by their indexes, all under one snapshot: compact_usage() moves
 * sums from one table to another.
 */
#include "authorize.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/visibilitymap.h"
#include "access/xact.h"
#include "catalog/pg_type_d.h"
#include "executor/tuptable.h"
#include "funcapi.h"
#include "storage/bufmgr.h"
#include "storage/lock.h"
#include "storage/predicate.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* ---- the tables ---- */

#define SPENDING_COLUMNS	5

typedef struct SpendingTable
{
	const char *name;
	const char *index;			/* begins with account_id */
	const char *columns[SPENDING_COLUMNS];
	AttrNumber	attributes[SPENDING_COLUMNS];	/* where they were last time */
} SpendingTable;

/* Every table has the account first. */
enum {ACCOUNT};
enum {ENTRY_AMOUNT = 1};
enum {USAGE_AMOUNT = 1, USAGE_CREDIT};
enum {RESERVATION_AMOUNT = 1, RESERVATION_EXPIRES, RESERVATION_RELEASED, RESERVATION_ID};

static SpendingTable entries = {"entry", "entry_account", {"account_id", "amount"}};
static SpendingTable months = {"usage_month", "usage_month_key", {"account_id", "amount", "credit"}};
static SpendingTable live = {"usage_live", "usage_live_account", {"account_id", "amount", "credit"}};
static SpendingTable reservations = {"reservation", "reservation_open", {"account_id", "amount", "expires_at", "released_at", "id"}};

typedef struct SpendingScan
{
	SpendingTable *table;
	Relation	relation;
	Relation	index;			/* NULL: there is none that can be used */
	SysScanDesc scan;
	Datum	   *values;			/* of the row that was reached */
	bool	   *nulls;
} SpendingScan;

/* Where a column stands is remembered, and looked at again each time. */
static AttrNumber
find_column(SpendingTable *table, Relation relation, int column)
{
	TupleDesc	desc = RelationGetDescr(relation);
	AttrNumber	attribute = table->attributes[column];

	if (attribute == InvalidAttrNumber || attribute > desc->natts ||
		strcmp(NameStr(TupleDescAttr(desc, attribute - 1)->attname), table->columns[column]) != 0)
		attribute = get_attnum(RelationGetRelid(relation), table->columns[column]);
	if (attribute == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of table \"billing.%s\" does not exist", table->columns[column], table->name),
				 errhint("Is the ledger older than the extension? Run: SELECT billing.upgrade_ledger();")));
	return table->attributes[column] = attribute;
}

/* The rights that a query would need. */
static void
check_rights(Relation relation)
{
	if (pg_class_aclcheck(RelationGetRelid(relation), GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, RelationGetRelationName(relation));
	if (relation->rd_rel->relrowsecurity && check_enable_rls(RelationGetRelid(relation), InvalidOid, true) == RLS_ENABLED)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("query would be affected by row-level security policy for table \"%s\"", RelationGetRelationName(relation))));
}

static Relation
open_index(const SpendingTable *table, Relation relation)
{
	Oid			oid = billing_ledger_relation(table->index);
	Relation	index = OidIsValid(oid) ? index_open(oid, AccessShareLock) : NULL;

	if (index && (index->rd_index->indrelid != RelationGetRelid(relation) || !index->rd_index->indisvalid))
	{
		index_close(index, AccessShareLock);
		index = NULL;
	}
	return index;
}

static void
open_table(SpendingScan *scan, SpendingTable *table)
{
	Oid			oid = billing_ledger_relation(table->name);

	if (!OidIsValid(oid))
		billing_ledger_missing();
	scan->table = table;
	scan->relation = table_open(oid, AccessShareLock);
	check_rights(scan->relation);
	for (int i = 0; i < SPENDING_COLUMNS && table->columns[i]; i++)
		find_column(table, scan->relation, i);
	scan->index = open_index(table, scan->relation);
}

/* The locks stay until the transaction ends, as those of a query. */
static void
close_table(SpendingScan *scan)
{
	if (scan->index)
		index_close(scan->index, NoLock);
	table_close(scan->relation, NoLock);
}

/* The rows of an account; more narrows them by the second column of the index, and its attribute is filled in. */
static void
begin_scan(SpendingScan *scan, int64 account_id, int column, const ScanKeyData *more, Snapshot snapshot)
{
	int			natts = RelationGetNumberOfAttributes(scan->relation);
	int			nkeys = more ? 2 : 1;
	ScanKeyData keys[2];

	ScanKeyInit(&keys[0], scan->table->attributes[ACCOUNT], BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(account_id));
	if (more)
	{
		keys[1] = *more;
		keys[1].sk_attno = scan->table->attributes[column];
	}
	if (scan->index)
		scan->scan = systable_beginscan_ordered(scan->relation, scan->index, snapshot, nkeys, keys);
	else
		scan->scan = systable_beginscan(scan->relation, InvalidOid, false, snapshot, nkeys, keys);
	scan->values = palloc(natts * sizeof(Datum));
	scan->nulls = palloc(natts * sizeof(bool));
}

static bool
next_row(SpendingScan *scan)
{
	HeapTuple	tuple;

	CHECK_FOR_INTERRUPTS();
	tuple = scan->index ? systable_getnext_ordered(scan->scan, ForwardScanDirection) : systable_getnext(scan->scan);
	if (!HeapTupleIsValid(tuple))
		return false;
	heap_deform_tuple(tuple, RelationGetDescr(scan->relation), scan->values, scan->nulls);
	return true;
}

static void
end_scan(SpendingScan *scan)
{
	if (scan->index)
		systable_endscan_ordered(scan->scan);
	else
		systable_endscan(scan->scan);
	pfree(scan->values);
	pfree(scan->nulls);
	close_table(scan);
}

static int
place_of(const SpendingScan *scan, int column)
{
	return scan->table->attributes[column] - 1;
}

static Money
money_of(const SpendingScan *scan, int column)
{
	int			place = place_of(scan, column);

	return scan->nulls[place] ? 0 : billing_money_from_numeric(DatumGetNumeric(scan->values[place]));
}

/* ---- the sums ---- */

/* Which column of an index holds an attribute of its table; 0: none. */
static int
index_column(Relation index, AttrNumber attribute)
{
	for (int i = 0; i < index->rd_index->indnatts; i++)
		if (index->rd_index->indkey.values[i] == attribute)
			return i + 1;
	return 0;
}

/* Whether the row of an index entry is seen; all rows of a page that has not been written for long are. */
static bool
is_seen(IndexScanDesc scan, ItemPointer row, Buffer *visibility, TupleTableSlot *slot)
{
	BlockNumber page = ItemPointerGetBlockNumber(row);

	if (!VM_ALL_VISIBLE(scan->heapRelation, page, visibility))
		return index_fetch_heap(scan, slot);
	PredicateLockPage(scan->heapRelation, page, scan->xs_snapshot);
	return true;
}

/* The sum of a column that the index holds: the table is read for pages only that have been written lately. */
static Money
indexed_sum(const SpendingScan *table, int column, int64 account_id, Snapshot snapshot)
{
	TupleTableSlot *slot = table_slot_create(table->relation, NULL);
	IndexScanDesc scan = compat_index_beginscan(table->relation, table->index, snapshot, 1);
	Buffer		visibility = InvalidBuffer;
	ScanKeyData key;
	ItemPointer row;
	Money		sum = 0;

	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(account_id));
	scan->xs_want_itup = true;
	index_rescan(scan, &key, 1, NULL, 0);
	while ((row = index_getnext_tid(scan, ForwardScanDirection)) != NULL)
	{
		bool		isnull;

		CHECK_FOR_INTERRUPTS();
		if (is_seen(scan, row, &visibility, slot))
			sum += billing_money_from_numeric(DatumGetNumeric(index_getattr(scan->xs_itup, column, scan->xs_itupdesc, &isnull)));
	}
	if (BufferIsValid(visibility))
		ReleaseBuffer(visibility);
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	return sum;
}

/* Entries grow with the years; their index holds the amounts. */
static Money
entry_sum(int64 account_id, Snapshot snapshot)
{
	SpendingScan scan;
	int			column;
	Money		sum = 0;

	open_table(&scan, &entries);
	column = scan.index ? index_column(scan.index, entries.attributes[ENTRY_AMOUNT]) : 0;
	if (column > 0)
	{
		sum = indexed_sum(&scan, column, account_id, snapshot);
		close_table(&scan);
		return sum;
	}
	begin_scan(&scan, account_id, 0, NULL, snapshot);
	while (next_row(&scan))
		sum += money_of(&scan, ENTRY_AMOUNT);
	end_scan(&scan);
	return sum;
}

static Money
usage_sum(SpendingTable *table, int64 account_id, Snapshot snapshot)
{
	SpendingScan scan;
	Money		sum = 0;

	open_table(&scan, table);
	begin_scan(&scan, account_id, 0, NULL, snapshot);
	while (next_row(&scan))
		sum += money_of(&scan, USAGE_AMOUNT) - money_of(&scan, USAGE_CREDIT);
	end_scan(&scan);
	return sum;
}

static Money
reserved_sum(int64 account_id, int64 except, Snapshot snapshot)
{
	SpendingScan scan;
	ScanKeyData open;
	Money		sum = 0;

	ScanKeyInit(&open, 1, BTGreaterStrategyNumber, F_TIMESTAMPTZ_GT, TimestampTzGetDatum(GetCurrentTransactionStartTimestamp()));
	open_table(&scan, &reservations);
	begin_scan(&scan, account_id, RESERVATION_EXPIRES, &open, snapshot);
	while (next_row(&scan))
		if (scan.nulls[place_of(&scan, RESERVATION_RELEASED)] &&
			(except == 0 || DatumGetInt64(scan.values[place_of(&scan, RESERVATION_ID)]) != except))
			sum += money_of(&scan, RESERVATION_AMOUNT);
	end_scan(&scan);
	return sum;
}

/* What an account can spend, under the snapshot; the reservation that is named (0: none) is not taken off. */
Spendable
billing_spendable(const Account *account, int64 reservation, Snapshot snapshot)
{
	Spendable	result = {0};

	if (account->credit_limit == NULL)
		return result;
	result.limited = true;
	result.spendable = billing_money_from_numeric(account->credit_limit) + entry_sum(account->id, snapshot) -
		usage_sum(&months, account->id, snapshot) - usage_sum(&live, account->id, snapshot);
	result.available = result.spendable - reserved_sum(account->id, reservation, snapshot);
	return result;
}

/* billing._spendable(account_id, reservation) */
PG_FUNCTION_INFO_V1(billing_spendable_of);
Datum
billing_spendable_of(PG_FUNCTION_ARGS)
{
	const Account *account = NULL;
	Spendable	found = {0};
	Datum		values[2] = {0};
	bool		nulls[2] = {true, true};

	billing_check_reader(GetUserId());
	if (!PG_ARGISNULL(0))
		account = billing_account(billing_statement(fcinfo->flinfo->fn_mcxt), PG_GETARG_INT64(0));
	if (account)
		found = billing_spendable(account, PG_ARGISNULL(1) ? 0 : PG_GETARG_INT64(1), GetActiveSnapshot());
	if (found.limited)
	{
		values[0] = NumericGetDatum(billing_numeric_from_money(found.spendable));
		values[1] = NumericGetDatum(billing_numeric_from_money(found.available));
		nulls[0] = nulls[1] = false;
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(billing_result_desc(fcinfo), values, nulls)));
}

/* ---- one at a time ---- */

static int
compare_objects(const void *a, const void *b)
{
	uint32		left = *(const uint32 *) a;
	uint32		right = *(const uint32 *) b;

	return (left > right) - (left < right);
}

/*
 * Lets one transaction at a time make reservations on those of the accounts that have a limit; in the order of their
 * ids, so that two cannot wait for each other.  Who has no limit cannot run out of it, and a large reseller's calls need
 * not wait for each other.  A snapshot that is to show what others have reserved is taken after it.
 */
void
billing_lock_spending(Statement *statement, const int64 *accounts, int count)
{
	uint32		objects[LEGS];
	int			nobjects = 0;
	LOCKTAG		tag;

	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a reservation cannot be made in a transaction that is %s", IsolationIsSerializable() ? "SERIALIZABLE" : "REPEATABLE READ"),
				 errdetail("It must see the reservations that other transactions have made since this one began."),
				 errhint("Use READ COMMITTED.")));
	for (int i = 0; i < count; i++)
	{
		const Account *account = accounts[i] != 0 ? billing_account(statement, accounts[i]) : NULL;

		if (account && account->credit_limit)
			objects[nobjects++] = (uint32) (account->id % INT64CONST(0x80000000));
	}
	qsort(objects, nobjects, sizeof(uint32), compare_objects);
	for (int i = 0; i < nobjects; i++)
	{
		if (i > 0 && objects[i] == objects[i - 1])
			continue;
		/* as pg_advisory_xact_lock(integer, integer) with the table's oid, of which there are more than integers above 0 */
		SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, billing_ledger_relation("reservation") ^ 0x80000000, objects[i], 2);
		(void) LockAcquire(&tag, ExclusiveLock, false, false);
	}
}
