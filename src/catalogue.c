/*
 * catalogue.c
 *	  What a statement knows of the catalogue: its snapshot, its generation, and how the tables are read.
 *
 * "Coherence" in src/README explains the whole; here is what the code relies on:
 *
 * - Every change of a catalogue table invalidates the relcache entry of billing.catalogue_signal, in the
 *   changing backend at its next command and in the others after the commit.  Our callback only raises
 *   catalogue_generation.
 * - A statement first accepts invalidations, then notes the generation, then takes its snapshot.  So whatever
 *   it loads is at least as new as the generation it is marked with, and may be kept for later statements
 *   until the generation moves.
 * - What is loaded under a snapshot that may be older than that (REPEATABLE READ, SERIALIZABLE, parallel
 *   query) is kept for that transaction, or for that statement only.
 */
#include "billing.h"

#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_class_d.h"
#include "catalog/pg_collation_d.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

typedef struct TableNames
{
	const char *table;
	const char *index;
	const char *columns[CATALOGUE_COLUMNS];
} TableNames;

/* The column numbers of billing_scan_... and billing_key_... are positions in these lists. */
static const TableNames table_names[CATALOGUE_TABLES] = {
	[CATALOGUE_EXCHANGE_RATE] = {"exchange_rate", "exchange_rate_pkey",
	{"base", "quote", "valid_from", "rate"}},
	[CATALOGUE_CALENDAR] = {"calendar", "calendar_pkey",
	{"id", "name", "timezone", "free_weekdays", "is_default"}},
	[CATALOGUE_CALENDAR_DAY] = {"calendar_day", "calendar_day_pkey",
	{"calendar_id", "date", "day_type"}},
	[CATALOGUE_CALENDAR_BAND] = {"calendar_band", "calendar_band_calendar",
	{"calendar_id", "valid_from", "day_type", "weekdays", "band", "starts", "ends"}},
	[CATALOGUE_TARIFF] = {"tariff", "tariff_pkey",
	{"id", "terms_from", "is_default_customer", "base_tariff_id", "connect_fee", "attempt_fee", "first_increment",
		"next_increment", "increment_rule", "grace_seconds", "free_seconds", "min_amount", "max_amount",
		"surcharge_percent", "duration_rounding", "rounding_digits", "rounding_mode", "boundary", "calendar_id", "name",
		"currency", "average_duration", "loss_percent"}},
	[CATALOGUE_TARIFF_TERMS] = {"tariff_terms", "tariff_terms_pkey",
	{"tariff_id", "terms_from", "is_default_customer", "base_tariff_id", "connect_fee", "attempt_fee", "first_increment",
		"next_increment", "increment_rule", "grace_seconds", "free_seconds", "min_amount", "max_amount",
		"surcharge_percent", "duration_rounding", "rounding_digits", "rounding_mode", "boundary", "calendar_id"}},
	[CATALOGUE_RATE] = {"rate", "rate_key",
	{"id", "tariff_id", "prefix", "exact", "day_type", "band", "valid_from", "destination", "price", "first_price",
		"connect_fee", "attempt_fee", "first_increment", "next_increment", "increment_rule", "grace_seconds",
		"free_seconds", "min_amount", "max_amount", "surcharge_percent", "duration_rounding", "rounding_digits",
		"rounding_mode", "blocked", "withdrawn", "boundary"}},
	[CATALOGUE_RATE_BY_ID] = {"rate", "rate_pkey",
	{"id", "tariff_id", "destination"}},
	[CATALOGUE_RATE_STEP] = {"rate_step", "rate_step_pkey",
	{"rate_id", "from_second", "price", "increment"}},
	[CATALOGUE_PLAN] = {"plan", "plan_pkey",
	{"id", "tariff_id"}},
	[CATALOGUE_ALLOWANCE] = {"allowance", "allowance_key",
	{"plan_id", "leg"}},
	[CATALOGUE_ACCOUNT] = {"account", "account_pkey",
	{"id", "terms_from", "tariff_id", "plan_id", "parent_id", "name", "currency", "is_provider", "timezone", "active", "billing",
		"credit_limit"}},
	[CATALOGUE_ACCOUNT_TERMS] = {"account_terms", "account_terms_pkey",
	{"account_id", "terms_from", "tariff_id", "plan_id", "parent_id"}},
	[CATALOGUE_SERVICE] = {"service", "service_key",
	{"id", "terms_from", "tariff_id", "plan_id", "provider_id", "out_payment", "account_id", "side", "kind", "identifier", "field",
		"tenant", "primary_id", "active", "cost_center", "max_channels"}},
	[CATALOGUE_SERVICE_BY_ID] = {"service", "service_pkey",
	{"id", "terms_from", "tariff_id", "plan_id", "provider_id", "out_payment", "account_id", "side", "kind", "identifier", "field",
		"tenant", "primary_id", "active", "cost_center", "max_channels"}},
	[CATALOGUE_SERVICE_TERMS] = {"service_terms", "service_terms_pkey",
	{"service_id", "terms_from", "tariff_id", "plan_id", "provider_id", "out_payment"}},
	[CATALOGUE_DID_RATE] = {"did_rate", "did_rate_key",
	{"id", "number", "tenant", "leg", "day_type", "band", "valid_from", "currency", "calendar_id", "price", "first_price",
		"connect_fee", "attempt_fee", "first_increment", "next_increment", "increment_rule", "grace_seconds",
		"free_seconds", "min_amount", "max_amount", "surcharge_percent", "duration_rounding", "rounding_digits",
		"rounding_mode", "boundary", "withdrawn"}},
	[CATALOGUE_ARCHIVED_PARTITION] = {"archived_partition", "archived_partition_pkey",
	{"starts_at", "ends_at", "readopted_at"}},
};

/* What the columns must hold, whichever table they stand in; a domain counts as its base type. */
static const struct
{
	const char *column;
	Oid			type;
	const char *table;			/* the only one of which it is said; NULL: all */
}			column_types[] = {
	{"active", BOOLOID, "account"}, {"billing", TEXTOID}, {"credit_limit", NUMERICOID}, {"max_channels", INT4OID},
	{"average_duration", INT4OID}, {"loss_percent", NUMERICOID},
	{"base", TEXTOID}, {"quote", TEXTOID}, {"valid_from", TIMESTAMPTZOID}, {"rate", NUMERICOID},
	{"id", INT8OID}, {"name", TEXTOID}, {"timezone", TEXTOID}, {"free_weekdays", INT2ARRAYOID}, {"is_default", BOOLOID},
	{"calendar_id", INT8OID}, {"date", DATEOID}, {"day_type", TEXTOID}, {"weekdays", INT2ARRAYOID}, {"band", TEXTOID},
	{"starts", TIMEOID}, {"ends", TIMEOID}, {"terms_from", TIMESTAMPTZOID}, {"is_default_customer", BOOLOID},
	{"base_tariff_id", INT8OID}, {"connect_fee", NUMERICOID}, {"attempt_fee", NUMERICOID}, {"first_increment", INT4OID},
	{"next_increment", INT4OID}, {"increment_rule", TEXTOID}, {"grace_seconds", INT4OID}, {"free_seconds", INT4OID},
	{"min_amount", NUMERICOID}, {"max_amount", NUMERICOID}, {"surcharge_percent", NUMERICOID},
	{"duration_rounding", TEXTOID}, {"rounding_digits", INT2OID}, {"rounding_mode", TEXTOID}, {"boundary", TEXTOID},
	{"currency", TEXTOID}, {"tariff_id", INT8OID}, {"exact", BOOLOID}, {"destination", TEXTOID}, {"price", NUMERICOID},
	{"first_price", NUMERICOID}, {"blocked", BOOLOID}, {"withdrawn", BOOLOID}, {"rate_id", INT8OID},
	{"from_second", INT4OID}, {"increment", INT4OID}, {"plan_id", INT8OID}, {"parent_id", INT8OID},
	{"is_provider", BOOLOID}, {"account_id", INT8OID}, {"provider_id", INT8OID}, {"out_payment", NUMERICOID},
	{"side", TEXTOID}, {"kind", TEXTOID}, {"identifier", TEXTOID}, {"field", TEXTOID}, {"tenant", TEXTOID},
	{"primary_id", INT8OID}, {"cost_center", TEXTOID}, {"active", TSTZRANGEOID}, {"service_id", INT8OID}, {"number", TEXTOID}, {"leg", TEXTOID},
	{"starts_at", TIMESTAMPTZOID}, {"ends_at", TIMESTAMPTZOID}, {"readopted_at", TIMESTAMPTZOID},
	{"prefix", InvalidOid}		/* billing.prefix */
};

static uint64 catalogue_generation = 1;
static uint32 written_transaction = 0;	/* lxid of the transaction of ours that last wrote the catalogue */
static uint64 watched_generation = 0;
static Oid	checked_owner = InvalidOid;	/* who may read the catalogue, as of checked_generation */
static uint64 checked_generation = 0;
static Oid	signal_relation = InvalidOid;
static Oid	watched[CATALOGUE_TABLES];
static Catalogue *current_catalogue = NULL;
static Catalogue *latest_catalogue = NULL;	/* beside a current one that shows an older snapshot */
static dlist_head statements = DLIST_STATIC_INIT(statements);

/* ---- invalidation ---- */

static void
relcache_callback(Datum arg, Oid relation)
{
	if (relation != InvalidOid && relation != signal_relation)
	{
		int			i = 0;

		while (i < CATALOGUE_TABLES && watched[i] != relation)
			i++;
		if (i == CATALOGUE_TABLES)
			return;
	}
	catalogue_generation++;
}

static void
release_snapshot(Statement *statement)
{
	if (statement->snapshot == NULL)
		return;
	UnregisterSnapshotFromOwner(statement->snapshot, TopTransactionResourceOwner);
	statement->snapshot = NULL;
}

/* The snapshots belong to the transaction's resource owner, which is about to go. */
static void
xact_callback(XactEvent event, void *arg)
{
	dlist_iter	iter;

	dlist_foreach(iter, &statements)
		release_snapshot(dlist_container(Statement, node, iter.cur));
}

/*
 * What was seen in a subtransaction that is rolled back may never have been: statements that began in it begin anew,
 * should they go on at all (PL/pgSQL evaluates expressions in memory that outlives the block).
 */
static void
subxact_callback(SubXactEvent event, SubTransactionId subtransaction, SubTransactionId parent, void *arg)
{
	dlist_iter	iter;

	if (event != SUBXACT_EVENT_ABORT_SUB)
		return;
	dlist_foreach(iter, &statements)
	{
		Statement  *statement = dlist_container(Statement, node, iter.cur);

		if (statement->subtransaction >= subtransaction)
			release_snapshot(statement);
	}
}

/*
 * This transaction has begun to write the catalogue: from now on it keeps what it loads to itself, for its own rows
 * may yet be rolled back, without a signal even, if a statement fails before its AFTER triggers fire.
 */
void
billing_catalogue_written(void)
{
	written_transaction = compat_local_transaction();
}

/* Roles have changed: who may read the catalogue is asked again. */
static void
role_callback(Datum arg, int cache, uint32 hash)
{
	checked_owner = InvalidOid;
}

void
billing_catalogue_init(void)
{
	CacheRegisterSyscacheCallback(AUTHOID, role_callback, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, role_callback, (Datum) 0);
	CacheRegisterRelcacheCallback(relcache_callback, (Datum) 0);
	RegisterXactCallback(xact_callback, NULL);
	RegisterSubXactCallback(subxact_callback, NULL);
}

/* ---- names ---- */

/* The oid of a relation of the ledger, or InvalidOid. */
Oid
billing_ledger_relation(const char *name)
{
	Oid			schema = get_namespace_oid(BILLING_SCHEMA, true);

	return OidIsValid(schema) ? get_relname_relid(name, schema) : InvalidOid;
}

void
billing_ledger_missing(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the billing ledger does not exist in this database"),
			 errdetail("The extension brings the code; tables, triggers and views are made by a function."),
			 errhint("Run: SELECT billing.create_ledger();")));
}

static Oid
require_relation(const char *name)
{
	Oid			relation = billing_ledger_relation(name);

	if (!OidIsValid(relation))
		billing_ledger_missing();
	return relation;
}

/* From here on the callback knows that the table concerns us. */
static Oid
watch_table(CatalogueTable table)
{
	return watched[table] = require_relation(table_names[table].table);
}

/*
 * Rating by trigger reads the catalogue with the rights of the owner of the table that fired (design 2), so that nobody
 * learns prices by putting the trigger on a table of his own.
 */
void
billing_check_reader(Oid owner)
{
	if (owner == checked_owner && checked_generation == catalogue_generation)
		return;
	/* A superuser needs no look at each of them, which a session that stores one call would notice. */
	for (int i = 0; i < CATALOGUE_TABLES && !superuser_arg(owner); i++)
		if (pg_class_aclcheck(watch_table(i), owner, ACL_SELECT) != ACLCHECK_OK)
			aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, table_names[i].table);
	checked_owner = owner;
	checked_generation = catalogue_generation;
}

static Oid
expected_type(const char *table, const char *column)
{
	for (int i = 0; i < (int) lengthof(column_types); i++)
		if (strcmp(column_types[i].column, column) == 0 &&
			(column_types[i].table == NULL || strcmp(column_types[i].table, table) == 0))
			return OidIsValid(column_types[i].type) ? column_types[i].type :
				GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum(column),
								ObjectIdGetDatum(get_namespace_oid(BILLING_SCHEMA, false)));
	elog(ERROR, "column \"%s\" of the catalogue has no type", column);
}

static AttrNumber
map_column(const TableNames *names, TupleDesc desc, const char *column)
{
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);
		Oid			expected;

		if (attribute->attisdropped || strcmp(NameStr(attribute->attname), column) != 0)
			continue;
		expected = expected_type(names->table, column);
		if (attribute->atttypid != expected && getBaseType(attribute->atttypid) != expected)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("column \"%s\" of table \"%s.%s\" has type %s", column, BILLING_SCHEMA, names->table,
							format_type_be(attribute->atttypid)),
					 errdetail("It must have type %s.", format_type_be(expected))));
		return attribute->attnum;
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("column \"%s\" of table \"%s.%s\" does not exist", column, BILLING_SCHEMA, names->table),
			 errhint("Is the ledger older than the extension? Run: SELECT billing.upgrade_ledger();")));
}

/* The table and its columns, checked, because they are read without the executor's help. */
static void
map_table(CatalogueTable table, TableMap *map)
{
	const TableNames *names = &table_names[table];
	Relation	relation = relation_open(watched[table], NoLock);

	if (relation->rd_rel->relkind != RELKIND_RELATION)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s.%s\" is not an ordinary table", BILLING_SCHEMA, names->table),
				 errdetail("The catalogue is read by its own tables only; views, partitioned and foreign tables will not do.")));
	map->relation = watched[table];
	map->index = billing_ledger_relation(names->index);
	if (OidIsValid(map->index) && (IndexGetRelation(map->index, true) != map->relation || !get_index_isvalid(map->index)))
		map->index = InvalidOid;
	for (int i = 0; i < CATALOGUE_COLUMNS && names->columns[i]; i++)
		map->attribute[i] = map_column(names, RelationGetDescr(relation), names->columns[i]);
	relation_close(relation, NoLock);
}

/*
 * Where the table stands, locked until the transaction ends, so that no DDL changes it under a statement that goes on
 * reading it.  A session that rates one call asks for a few of them only, and each costs it the server's own catalogs.
 */
const TableMap *
billing_table_map(Statement *statement, CatalogueTable table)
{
	TableMap   *map = &statement->catalogue->table[table];

	if (map->generation != 0)
		LockRelationOid(map->relation, AccessShareLock);
	while (map->generation != catalogue_generation)
	{
		uint64		generation = catalogue_generation;

		/* Locking accepts what has changed by now, also the name. */
		LockRelationOid(watch_table(table), AccessShareLock);
		if (generation != catalogue_generation)
			continue;
		map_table(table, map);
		map->generation = generation;
	}
	return map;
}

/* ---- catalogues ---- */

static Catalogue *
create_catalogue(uint64 generation, uint32 transaction)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "billing catalogue", ALLOCSET_DEFAULT_SIZES);
	Catalogue  *catalogue = MemoryContextAllocZero(context, sizeof(Catalogue));

	catalogue->context = context;
	catalogue->generation = generation;
	catalogue->transaction = transaction;
	catalogue->default_calendar = -1;
	catalogue->has_rate_steps = -1;
	dlist_init(&catalogue->decks);
	return catalogue;
}

static void
unpin_catalogue(Catalogue *catalogue)
{
	if (catalogue && --catalogue->pins == 0 && catalogue != current_catalogue && catalogue != latest_catalogue)
		MemoryContextDelete(catalogue->context);
}

/* The catalogue that is kept for other statements, in *kept; a private one is asked for with kept = NULL. */
static Catalogue *
pin_catalogue(uint64 generation, uint32 transaction, Catalogue **kept)
{
	Catalogue  *catalogue = kept ? *kept : NULL;

	if (catalogue == NULL || catalogue->generation != generation || catalogue->transaction != transaction)
	{
		catalogue = create_catalogue(generation, transaction);
		if (kept)
		{
			Catalogue  *former = *kept;

			*kept = catalogue;
			if (former && former->pins == 0)
				MemoryContextDelete(former->context);
		}
	}
	catalogue->pins++;
	return catalogue;
}

/* ---- statements ---- */

static uint32
hash_xids(const TransactionId *xids, int count)
{
	return count > 0 ? hash_bytes((const unsigned char *) xids, count * sizeof(TransactionId)) : 0;
}

/* Tells the active snapshot from that of another query which happens to run in the same memory. */
static uint32
snapshot_identity(Snapshot snapshot)
{
	return hash_combine(hash_xids(snapshot->xip, snapshot->xcnt), hash_xids(snapshot->subxip, snapshot->subxcnt)) +
		snapshot->suboverflowed;
}

/* A snapshot of our own: the transaction's is one object whose command id goes on counting. */
static Snapshot
register_copy(Snapshot snapshot)
{
	Snapshot	copy;

	PushActiveSnapshot(snapshot);
	copy = RegisterSnapshotOnOwner(GetActiveSnapshot(), TopTransactionResourceOwner);
	PopActiveSnapshot();
	return copy;
}

/* Whether what the statement reads may be older than what is committed. */
static bool
reads_former(const Statement *statement)
{
	return IsolationUsesXactSnapshot() && !statement->latest;
}

/* Of which transaction the catalogue is private: one whose snapshot may be old, or which writes the catalogue itself. */
static uint32
private_transaction(const Statement *statement)
{
	uint32		transaction = compat_local_transaction();

	return reads_former(statement) || written_transaction == transaction ? transaction : 0;
}

/* Where the catalogue is kept: REPEATABLE READ rates by one and counts by another. */
static Catalogue **
keeping_place(const Statement *statement)
{
	if (IsInParallelMode())
		return NULL;
	return IsolationUsesXactSnapshot() && statement->latest ? &latest_catalogue : &current_catalogue;
}

static void
statement_reset(void *arg)
{
	Statement  *statement = arg;

	dlist_delete(&statement->node);
	release_snapshot(statement);
	unpin_catalogue(statement->catalogue);
}

static Statement *
create_statement(MemoryContext context)
{
	Statement  *statement = MemoryContextAllocZero(context, sizeof(Statement));

	statement->context = context;
	statement->callback.func = statement_reset;
	statement->callback.arg = statement;
	dlist_push_head(&statements, &statement->node);
	MemoryContextRegisterResetCallback(context, &statement->callback);
	return statement;
}

static void
statement_begin(Statement *statement)
{
	Snapshot	active = GetActiveSnapshot();
	Snapshot	snapshot;
	uint64		generation;

	release_snapshot(statement);
	unpin_catalogue(statement->catalogue);
	statement->catalogue = NULL;

	/* Names first: a change that is signalled before we know whom to watch would be missed. */
	do
	{
		generation = catalogue_generation;
		if (watched_generation != generation)
			signal_relation = require_relation("catalogue_signal");
		watched_generation = generation;
		AcceptInvalidationMessages();
	} while (generation != catalogue_generation);

	statement->catalogue = pin_catalogue(generation, private_transaction(statement), keeping_place(statement));

	if (IsInParallelMode())
		snapshot = active;		/* no other can be taken; it may be older than the generation */
	else if (reads_former(statement))
		snapshot = GetTransactionSnapshot();
	else
		snapshot = GetLatestSnapshot();
	statement->snapshot = register_copy(snapshot);
	statement->subtransaction = GetCurrentSubTransactionId();

	statement->identity = snapshot_identity(active);
	statement->identity_xmin = active->xmin;
	statement->identity_xmax = active->xmax;
	statement->identity_curcid = active->curcid;
}

static bool
statement_continues(const Statement *statement)
{
	Snapshot	active = GetActiveSnapshot();

	return statement->snapshot != NULL &&
		statement->identity_xmin == active->xmin &&
		statement->identity_xmax == active->xmax &&
		statement->identity_curcid == active->curcid &&
		statement->identity == snapshot_identity(active);
}

/*
 * The statement that runs in this query context, begun if need be.  query_context is flinfo->fn_mcxt: the same
 * for all partitions and calls of one executor query.  PL/pgSQL evaluates simple expressions in a context that
 * outlives the statement, therefore the active snapshot is compared too.
 */
Statement *
billing_statement(MemoryContext query_context)
{
	Statement  *statement = NULL;
	dlist_iter	iter;

	if (!ActiveSnapshotSet())
		elog(ERROR, "calls cannot be rated without an active snapshot");

	dlist_foreach(iter, &statements)
	{
		Statement  *candidate = dlist_container(Statement, node, iter.cur);

		if (candidate->context == query_context && !candidate->latest)
		{
			if (statement_continues(candidate))
				return candidate;
			statement = candidate;
			break;
		}
	}

	if (statement == NULL)
		statement = create_statement(query_context);
	statement_begin(statement);
	return statement;
}

/* A statement that sees what is committed by now, under every isolation level; it ends with the context. */
Statement *
billing_latest_statement(MemoryContext context)
{
	Statement  *statement = create_statement(context);

	statement->latest = true;
	statement_begin(statement);
	return statement;
}

/* ---- reading the tables ---- */

/* A hash table of the catalogue, made when it is first needed. */
HTAB *
billing_catalogue_hash(MemoryContext context, HTAB **slot, const char *name, Size keysize, Size entrysize)
{
	if (*slot == NULL)
	{
		HASHCTL		control = {
			.keysize = keysize,
			.entrysize = entrysize,
			.hcxt = context
		};

		*slot = hash_create(name, 256, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	return *slot;
}

/* About how many rows a table has, from its size alone: statistics may be missing. */
uint64
billing_estimated_rows(Statement *statement, CatalogueTable table)
{
	const uint64 rows_per_page = 64;
	Relation	relation = table_open(billing_table_map(statement, table)->relation, NoLock);
	uint64		rows = RelationGetNumberOfBlocks(relation) * rows_per_page;

	table_close(relation, NoLock);
	return rows;
}

static AttrNumber
attribute_of(Statement *statement, CatalogueTable table, int column)
{
	return billing_table_map(statement, table)->attribute[column];
}

void
billing_key_int8(Statement *statement, CatalogueTable table, int column, int64 value, ScanKey key)
{
	ScanKeyInit(key, attribute_of(statement, table, column), BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(value));
}

/* The value is copied into the current context, where it must stay until the scan has ended. */
void
billing_key_text(Statement *statement, CatalogueTable table, int column, const char *value, Size length, ScanKey key)
{
	ScanKeyEntryInitialize(key, 0, attribute_of(statement, table, column), BTEqualStrategyNumber, InvalidOid,
						   DEFAULT_COLLATION_OID, F_TEXTEQ, PointerGetDatum(cstring_to_text_with_len(value, (int) length)));
}

/* By a function of our own, which needs no look-up. */
void
billing_key_datum(Statement *statement, CatalogueTable table, int column, StrategyNumber strategy, PGFunction compare, Datum value, ScanKey key)
{
	FmgrInfo	function = {.fn_addr = compare, .fn_nargs = 2, .fn_strict = true, .fn_mcxt = CurrentMemoryContext};

	ScanKeyEntryInitializeWithInfo(key, 0, attribute_of(statement, table, column), strategy, InvalidOid,
								   InvalidOid, &function, value);
}

static void
open_scan(Statement *statement, CatalogueTable table, CatalogueScan *scan)
{
	scan->map = billing_table_map(statement, table);
	scan->relation = table_open(scan->map->relation, NoLock);
	scan->index = NULL;
	scan->values = palloc(RelationGetDescr(scan->relation)->natts * sizeof(Datum));
	scan->nulls = palloc(RelationGetDescr(scan->relation)->natts * sizeof(bool));
}

/* How many entries the index has for its first column, at most the limit; without the index about the rows of the table. */
uint64
billing_count_entries(Statement *statement, CatalogueTable table, ScanKey key, uint64 limit)
{
	const TableMap *map = billing_table_map(statement, table);
	uint64		entries = 0;
	Relation	relation;
	Relation	index;
	IndexScanDesc scan;

	if (!OidIsValid(map->index))
		return Min(billing_estimated_rows(statement, table), limit);
	relation = table_open(map->relation, NoLock);
	index = index_open(map->index, AccessShareLock);
	key->sk_attno = 1;
	scan = compat_index_beginscan(relation, index, statement->snapshot, 1);
	index_rescan(scan, key, 1, NULL, 0);
	while (entries < limit && index_getnext_tid(scan, ForwardScanDirection))
		entries++;
	index_endscan(scan);
	index_close(index, AccessShareLock);
	table_close(relation, NoLock);
	return entries;
}

/* By the table's index where the keys are its first columns; without keys, or without the index, by the heap. */
void
billing_scan_begin(Statement *statement, CatalogueTable table, ScanKey keys, int nkeys, CatalogueScan *scan)
{
	open_scan(statement, table, scan);
	scan->scan = systable_beginscan(scan->relation, scan->map->index, nkeys > 0 && OidIsValid(scan->map->index),
									statement->snapshot, nkeys, keys);
}

/* From the last row of the index to the first; false: the table has none, and nothing was begun. */
bool
billing_scan_begin_backward(Statement *statement, CatalogueTable table, ScanKey keys, int nkeys, CatalogueScan *scan)
{
	if (!OidIsValid(billing_table_map(statement, table)->index))
		return false;
	open_scan(statement, table, scan);
	scan->index = index_open(scan->map->index, AccessShareLock);
	scan->scan = systable_beginscan_ordered(scan->relation, scan->index, statement->snapshot, nkeys, keys);
	return true;
}

/* The next row; never in a memory context that is reset before the scan has ended. */
bool
billing_scan_next(CatalogueScan *scan)
{
	HeapTuple	tuple;

	CHECK_FOR_INTERRUPTS();
	tuple = scan->index ? systable_getnext_ordered(scan->scan, BackwardScanDirection) : systable_getnext(scan->scan);
	if (!HeapTupleIsValid(tuple))
		return false;
	heap_deform_tuple(tuple, RelationGetDescr(scan->relation), scan->values, scan->nulls);
	return true;
}

void
billing_scan_end(CatalogueScan *scan)
{
	if (scan->index)
	{
		systable_endscan_ordered(scan->scan);
		index_close(scan->index, AccessShareLock);
	}
	else
		systable_endscan(scan->scan);
	table_close(scan->relation, NoLock);
	pfree(scan->values);
	pfree(scan->nulls);
}

Datum
billing_scan_datum(CatalogueScan *scan, int column, bool *isnull)
{
	AttrNumber	attribute = scan->map->attribute[column];

	*isnull = scan->nulls[attribute - 1];
	return scan->values[attribute - 1];
}

int64
billing_scan_int64(CatalogueScan *scan, int column, int64 if_null)
{
	bool		isnull;
	Datum		value = billing_scan_datum(scan, column, &isnull);

	return isnull ? if_null : DatumGetInt64(value);
}

/* integer and smallint columns alike */
int32
billing_scan_int32(CatalogueScan *scan, int column, int32 if_null)
{
	AttrNumber	attribute = scan->map->attribute[column];
	bool		isnull;
	Datum		value = billing_scan_datum(scan, column, &isnull);

	if (isnull)
		return if_null;
	return TupleDescAttr(RelationGetDescr(scan->relation), attribute - 1)->atttypid == INT2OID ?
		DatumGetInt16(value) : DatumGetInt32(value);
}

bool
billing_scan_bool(CatalogueScan *scan, int column)
{
	bool		isnull;
	Datum		value = billing_scan_datum(scan, column, &isnull);

	return !isnull && DatumGetBool(value);
}

/* A numeric column times 10^scale; 0 when null. */
int64
billing_scan_fixed(CatalogueScan *scan, int column, int scale, bool *isnull)
{
	Datum		value = billing_scan_datum(scan, column, isnull);

	return *isnull ? 0 : billing_fixed_from_numeric(DatumGetNumeric(value), scale);
}

/* A text column, copied into the context; NULL when null. */
char *
billing_scan_text(CatalogueScan *scan, int column, MemoryContext context)
{
	bool		isnull;
	Datum		value = billing_scan_datum(scan, column, &isnull);
	text	   *packed;
	char	   *copy;

	if (isnull)
		return NULL;
	packed = DatumGetTextPP(value);
	copy = MemoryContextAlloc(context, VARSIZE_ANY_EXHDR(packed) + 1);
	memcpy(copy, VARDATA_ANY(packed), VARSIZE_ANY_EXHDR(packed));
	copy[VARSIZE_ANY_EXHDR(packed)] = '\0';
	return copy;
}

/* Which of the names it is; the tables' CHECKs see to it that it is one. */
int
billing_name_index(const char *what, const char *name, const char *const *names, int count)
{
	for (int i = 0; name && i < count; i++)
		if (strcmp(name, names[i]) == 0)
			return i;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid %s: \"%s\"", what, name ? name : "")));
}
