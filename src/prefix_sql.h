/*
 * prefix_sql.h
 *		What ties prefix.h to the server: Datums, text, errors.
 *
 * postgres.h and fmgr.h come first.
 */
#ifndef BILLING_PREFIX_SQL_H
#define BILLING_PREFIX_SQL_H

#include "fmgr.h"
#include "nodes/nodes.h"

#include "compat.h"
#include "prefix.h"

/* The type is passed by value, so a server without 64-bit Datums cannot load it. */
StaticAssertDecl(FLOAT8PASSBYVAL && sizeof(Datum) == sizeof(Prefix),
				 "billing needs a server with 64-bit Datums");

#define DatumGetPrefix(d)		((Prefix) DatumGetUInt64(d))
#define PrefixGetDatum(p)		UInt64GetDatum(p)
#define PG_GETARG_PREFIX(n)		DatumGetPrefix(PG_GETARG_DATUM(n))
#define PG_RETURN_PREFIX(p)		return PrefixGetDatum(p)

/* Reads what must be a prefix: false, or an error, if it is none. */
extern bool billing_prefix_parse(const char *s, size_t len, Node *escontext,
								 Prefix *out);

/* Reads a number, by its first 15 symbols; false if it is not readable. */
extern bool billing_prefix_of_number(Datum number, Prefix *out);

/* Its operators <= and >=, for who scans an index by them. */
extern PGDLLEXPORT Datum billing_prefix_le(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum billing_prefix_ge(PG_FUNCTION_ARGS);

/* How far a prefix is from being the longest match of a number. */
extern double billing_prefix_miss(Prefix p, Prefix number);

#endif							/* BILLING_PREFIX_SQL_H */
