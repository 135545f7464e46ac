/*
 * move.c
 *	  Which statements will be counted, and which rows a statement moves between partitions (design 4 and 6).
 *
 * Statement triggers fire for the table that a statement names, and the rows of an UPDATE that go to another partition
 * stand in its transition tables; but those of a MERGE stand in none.  So the row triggers take notes, and the
 * statement triggers read them.  Triggers of one executor query share flinfo->fn_mcxt, whatever partition they fire for.
 */
#include "accounting.h"

#include "catalog/partition.h"
#include "commands/trigger.h"
#include "lib/ilist.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

/* An executor query that writes billing.cdr, by the memory that its triggers share. */
typedef struct CountedQuery
{
	dlist_node	node;
	MemoryContext context;
	MemoryContextCallback callback;
	HTAB	   *moved;			/* MovedRow; NULL: none */
	Oid			updated_relation;	/* the row that it was about to UPDATE last; InvalidOid: none */
	ItemPointerData updated_row;
} CountedQuery;

static dlist_head queries = DLIST_STATIC_INIT(queries);

static void
query_ends(void *arg)
{
	CountedQuery *query = arg;

	dlist_delete(&query->node);
}

static CountedQuery *
find_query(MemoryContext query_context)
{
	dlist_iter	iter;

	dlist_foreach(iter, &queries)
	{
		CountedQuery *query = dlist_container(CountedQuery, node, iter.cur);

		if (query->context == query_context)
			return query;
	}
	return NULL;
}

/* Notes that the statement triggers of this query will fire. */
void
billing_statement_counted(MemoryContext query_context)
{
	CountedQuery *query = find_query(query_context);

	if (query)
		return;
	query = MemoryContextAllocZero(query_context, sizeof(CountedQuery));
	query->context = query_context;
	query->callback.func = query_ends;
	query->callback.arg = query;
	dlist_push_head(&queries, &query->node);
	MemoryContextRegisterResetCallback(query_context, &query->callback);
}

/* A table that was found to be no partition of billing.cdr; attaching it, or what it is a partition of, invalidates it. */
static Oid	elsewhere = InvalidOid;

static void
forget_elsewhere(Datum arg, Oid relation)
{
	if (relation == elsewhere || !OidIsValid(relation))
		elsewhere = InvalidOid;
}

/* The server keeps no partition's ancestors in memory: looking for them costs more than rating a call. */
static bool
is_partition_of_cdr(Relation relation)
{
	static bool registered = false;
	Oid			cdr;

	if (!relation->rd_rel->relispartition || RelationGetRelid(relation) == elsewhere)
		return false;
	if (!registered)
		CacheRegisterRelcacheCallback(forget_elsewhere, (Datum) 0);
	registered = true;
	cdr = billing_ledger_relation("cdr");
	if (OidIsValid(cdr) && list_member_oid(get_partition_ancestors(RelationGetRelid(relation)), cdr))
		return true;
	elsewhere = RelationGetRelid(relation);
	return false;
}

/*
 * A row that no statement trigger will count is refused before it is stored (design 4).  Logical replication fires no
 * statement triggers at all, and has a row trigger of its own (design 9).
 */
void
billing_require_counted(MemoryContext query_context, Relation relation)
{
	if (find_query(query_context) || SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA || !is_partition_of_cdr(relation))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("partition \"%s\" of billing.cdr does not count its calls", RelationGetRelationName(relation)),
			 errdetail("It lacks the statement triggers of the accounting pass, which fire for the table that a statement names."),
			 errhint("Run: SELECT billing.adopt_partition('%s.%s'); or write to billing.cdr.",
					 quote_identifier(get_namespace_name(RelationGetNamespace(relation))),
					 quote_identifier(RelationGetRelationName(relation)))));
}

/* Kept with the query: between this and the DELETE of a move other triggers may run queries of their own. */
void
billing_note_update(MemoryContext query_context, Oid relation, ItemPointer row)
{
	CountedQuery *query = find_query(query_context);

	if (query == NULL)
		return;
	query->updated_relation = relation;
	query->updated_row = *row;
}

/* The rows that the query moved, as MovedRow by key; NULL: none. */
HTAB *
billing_moved_rows(MemoryContext query_context)
{
	CountedQuery *query = find_query(query_context);

	return query ? query->moved : NULL;
}

static void
note_moved(CountedQuery *query, Relation relation, TupleTableSlot *slot)
{
	AttrNumber	id = get_attnum(RelationGetRelid(relation), "id");
	AttrNumber	started_at = get_attnum(RelationGetRelid(relation), "started_at");
	MovedRow	row = {0};
	bool		isnull;

	if (id == InvalidAttrNumber || started_at == InvalidAttrNumber)
		return;
	row.id = DatumGetInt64(slot_getattr(slot, id, &isnull));
	row.started_at = DatumGetTimestampTz(slot_getattr(slot, started_at, &isnull));
	if (query->moved == NULL)
	{
		HASHCTL		control = {
			.keysize = sizeof(MovedRow),
			.entrysize = sizeof(MovedRow),
			.hcxt = query->context
		};

		query->moved = hash_create("billing moved rows", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	hash_search(query->moved, &row, HASH_ENTER, NULL);
}

/* billing.note_move(): see its COMMENT.  An UPDATE that moves a row fires BEFORE UPDATE and then BEFORE DELETE for it. */
PG_FUNCTION_INFO_V1(billing_note_move);
Datum
billing_note_move(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	MemoryContext query_context = fcinfo->flinfo->fn_mcxt;
	CountedQuery *query;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(data->tg_event) || !TRIGGER_FIRED_FOR_ROW(data->tg_event) ||
		!TRIGGER_FIRED_BY_DELETE(data->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("billing.note_move() takes notes of rows that are being deleted"),
				 errdetail("It must be called as a BEFORE DELETE trigger for each row.")));
	if (fcinfo->flinfo->fn_extra == NULL)
	{
		billing_require_counted(query_context, data->tg_relation);
		fcinfo->flinfo->fn_extra = data;
	}
	query = find_query(query_context);
	if (query && query->updated_relation == RelationGetRelid(data->tg_relation) &&
		ItemPointerEquals(&query->updated_row, &data->tg_trigslot->tts_tid))
		note_moved(query, data->tg_relation, data->tg_trigslot);
	return PointerGetDatum(data->tg_trigtuple);
}
