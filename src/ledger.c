/*
 * ledger.c
 *		What the ledger's triggers need from C: the rights they run with, and the signal that the
 *		catalogue has changed.
 */
#include "billing.h"

#include "access/htup_details.h"
#include "catalog/dependency.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(billing_as_owner);
PG_FUNCTION_INFO_V1(billing_catalogue_changed);

/*
 * The trigger function of this extension that is called "name", ready to be called.
 *
 * It must be the extension's own: a function that somebody else put into the schema would run with the
 * rights of whoever owns the table.
 */
static FmgrInfo *
find_target(FunctionCallInfo fcinfo, const char *name)
{
	Oid			self = fcinfo->flinfo->fn_oid;
	Oid			extension = getExtensionOfObject(ProcedureRelationId, self);
	oidvector  *noargs = buildoidvector(NULL, 0);
	Oid			target = InvalidOid;
	FmgrInfo   *result;
	HeapTuple	tuple;

	tuple = SearchSysCache3(PROCNAMEARGSNSP, CStringGetDatum(name), PointerGetDatum(noargs),
							ObjectIdGetDatum(get_func_namespace(self)));
	if (HeapTupleIsValid(tuple))
	{
		Form_pg_proc proc = (Form_pg_proc) GETSTRUCT(tuple);

		if (proc->prorettype == TRIGGEROID && proc->oid != self)
			target = proc->oid;
		ReleaseSysCache(tuple);
	}
	if (!OidIsValid(target) || !OidIsValid(extension) ||
		getExtensionOfObject(ProcedureRelationId, target) != extension)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("\"%s\" is no trigger function of extension billing", name),
				 errdetail("billing.as_owner() runs nothing else with the rights of a table's owner."),
				 errhint("Attach your own trigger function to the table directly.")));

	result = MemoryContextAlloc(fcinfo->flinfo->fn_mcxt, sizeof(FmgrInfo));
	fmgr_info_cxt(target, result, fcinfo->flinfo->fn_mcxt);
	return result;
}

/*
 * billing.as_owner('function'): run a trigger function of the extension with the rights of the owner of
 * the table that fired, restricted, so that who writes to the catalogue needs no right on what its guards
 * read and keep (design 2).
 *
 * SECURITY DEFINER would be wrong: the functions belong to whoever created the extension, usually a
 * superuser, while the ledger may belong to anybody. A guard that inserts into billing.tariff_terms fires
 * the triggers that the ledger's owner has put there, and they would run with the superuser's rights.
 */
Datum
billing_as_owner(PG_FUNCTION_ARGS)
{
	LOCAL_FCINFO(call, 0);
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	Oid			save_userid;
	int			save_sec_context;
	int			save_nestlevel;
	Datum		result;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("billing.as_owner() was not called as a trigger")));
	if (trigdata->tg_trigger->tgnargs < 1)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("trigger \"%s\" does not say what to run", trigdata->tg_trigger->tgname),
				 errhint("Use EXECUTE FUNCTION billing.as_owner('name of a trigger function of billing').")));

	if (fcinfo->flinfo->fn_extra == NULL)
		fcinfo->flinfo->fn_extra = find_target(fcinfo, trigdata->tg_trigger->tgargs[0]);

	/* After an error the abort of the (sub)transaction puts both back, as after any SECURITY DEFINER function. */
	GetUserIdAndSecContext(&save_userid, &save_sec_context);
	SetUserIdAndSecContext(trigdata->tg_relation->rd_rel->relowner,
						   save_sec_context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	save_nestlevel = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);

	/* The same context: row, event, arguments and transition tables are those of the trigger that fired. */
	InitFunctionCallInfoData(*call, (FmgrInfo *) fcinfo->flinfo->fn_extra, 0, InvalidOid,
							 fcinfo->context, fcinfo->resultinfo);
	result = FunctionCallInvoke(call);
	fcinfo->isnull = call->isnull;

	AtEOXact_GUC(true, save_nestlevel);
	SetUserIdAndSecContext(save_userid, save_sec_context);
	return result;
}

/*
 * billing.catalogue_changed(): invalidate the relcache entry of billing.catalogue_signal, at commit in every
 * other backend and at the next command in this one. What that means is the compiled catalogue's business.
 *
 * The table is looked up by name each time: an oid kept here would outlive a drop_ledger().  Whoever puts the
 * trigger on a table elsewhere disturbs nobody.
 */
Datum
billing_catalogue_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	Oid			signal;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("billing.catalogue_changed() was not called as a trigger")));

	signal = billing_ledger_relation("catalogue_signal");
	if (OidIsValid(signal) && get_rel_namespace(signal) == RelationGetNamespace(trigdata->tg_relation))
	{
		billing_catalogue_written();
		CacheInvalidateRelcacheByRelid(signal);
	}
	return PointerGetDatum(NULL);
}
