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

#endif							/* BILLING_COMPAT_H */
