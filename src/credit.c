/*
 * credit.c
 *		Which statements have to queue credits (design 6).
 *
 * Most calls have no session, so that most statements have nothing to queue. Finding that out in PL/pgSQL
 * costs a single-row INSERT almost as much as rating does; here it is a look at one column of each row.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "commands/trigger.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(billing_queue_credits);

extern Datum billing_as_owner(PG_FUNCTION_ARGS);

/* Whether a row of a transition table has a session. */
static bool
any_session(Relation relation, Tuplestorestate *rows)
{
	AttrNumber	session = get_attnum(RelationGetRelid(relation), "session_id");
	TupleTableSlot *slot;
	bool		found = false;

	if (rows == NULL || session == InvalidAttrNumber)
		return false;
	slot = MakeSingleTupleTableSlot(RelationGetDescr(relation), &TTSOpsMinimalTuple);
	tuplestore_select_read_pointer(rows, 0);
	tuplestore_rescan(rows);
	while (!found && tuplestore_gettupleslot(rows, true, false, slot))
	{
		bool		isnull;
		Datum		value = slot_getattr(slot, session, &isnull);

		/* Varlena of any kind: its size is known without a copy. */
		found = !isnull && VARSIZE_ANY_EXHDR(DatumGetPointer(value)) > 0;
	}
	ExecDropSingleTupleTableSlot(slot);
	return found;
}

/*
 * billing.queue_credits('function'): run the trigger function that does the queueing, with the rights of the
 * table's owner, when the statement has touched a row with a session.
 */
Datum
billing_queue_credits(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("billing.queue_credits() was not called as a trigger")));
	if (TRIGGER_FIRED_BY_TRUNCATE(trigdata->tg_event) ||
		any_session(trigdata->tg_relation, trigdata->tg_newtable) ||
		any_session(trigdata->tg_relation, trigdata->tg_oldtable))
		return billing_as_owner(fcinfo);
	return PointerGetDatum(NULL);
}
