/*
 * compat.h
 *		What differs between PostgreSQL 15 and 18, under readable names.
 *
 * postgres.h comes first.
 */
#ifndef BILLING_COMPAT_H
#define BILLING_COMPAT_H

#if PG_VERSION_NUM < 150000
#error "billing needs PostgreSQL 15 or later"
#endif

/* The macros for varlena values left postgres.h in 16. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/*
 * An error of an input function: from 16 on the caller may ask, by escontext,
 * for a soft one (pg_input_is_valid, COPY ... ON_ERROR); before, it is raised.
 * Returns the value from the calling function.
 */
#if PG_VERSION_NUM >= 160000
#include "nodes/miscnodes.h"
#define input_error_return(escontext, value, ...) \
	ereturn(escontext, value, __VA_ARGS__)
#else
#define input_error_return(escontext, value, ...) \
	do { \
		(void) (escontext); \
		ereport(ERROR, __VA_ARGS__); \
		return value; \
	} while (0)
#endif

/* The local id of the running transaction; MyProc comes from storage/proc.h. */
#if PG_VERSION_NUM >= 170000
#define compat_local_transaction() (MyProc->vxid.lxid)
#else
#define compat_local_transaction() (MyProc->lxid)
#endif

/* The number of our backend, from 1 on; storage/proc.h and, up to 16, storage/backendid.h give it. */
#if PG_VERSION_NUM >= 170000
#define compat_backend_number() ((int32) (MyProcNumber + 1))
#else
#define compat_backend_number() ((int32) MyBackendId)
#endif

/* 16 asks for the result relations of the query, 18 for its instrumentation. */
#if PG_VERSION_NUM >= 160000
#define compat_EvalPlanQualInit(epq, estate) EvalPlanQualInit(epq, estate, NULL, NIL, -1, NIL)
#else
#define compat_EvalPlanQualInit(epq, estate) EvalPlanQualInit(epq, estate, NULL, NIL, -1)
#endif
#if PG_VERSION_NUM >= 180000
#define compat_index_beginscan(table, index, snapshot, nkeys) index_beginscan(table, index, snapshot, NULL, nkeys, 0)
#else
#define compat_index_beginscan(table, index, snapshot, nkeys) index_beginscan(table, index, snapshot, nkeys, 0)
#endif

/* From 16 on an UPDATE tells which indexes want a new entry, before whether any does. */
#if PG_VERSION_NUM >= 160000
#include "access/tableam.h"
typedef TU_UpdateIndexes compat_UpdateIndexes;
#define compat_all_indexes TU_All
#define compat_ExecInsertIndexTuples(result, slot, estate, update, indexes) \
	list_free(ExecInsertIndexTuples(result, slot, estate, update, false, NULL, NIL, (indexes) == TU_Summarizing))
#else
typedef bool compat_UpdateIndexes;
#define compat_all_indexes true
#define compat_ExecInsertIndexTuples(result, slot, estate, update, indexes) \
	list_free(ExecInsertIndexTuples(result, slot, estate, update, false, NULL, NIL))
#endif

/* Up to 15 a compiled regular expression is malloc'ed; from 16 on it goes with its memory context. */
#if PG_VERSION_NUM >= 160000
#define compat_regex_free(regex) ((void) (regex))
#else
#define compat_regex_free(regex) pg_regfree(regex)
#endif

#endif							/* BILLING_COMPAT_H */
