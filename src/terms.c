/*
 * terms.c
 *	  Dated terms: what held for a tariff, an account or a service at an instant (design 3).
 *
 * The live row tells since when its terms hold; former ones stand in <table>_terms.  Each kind has a struct of its
 * own that begins with terms_from, so that they are kept and searched alike.
 */
#include "billing.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

static inline TimestampTz
terms_from(const void *terms)
{
	return *(const TimestampTz *) terms;
}

/* Latest first. */
static int
compare_terms(const void *a, const void *b)
{
	TimestampTz left = terms_from(a);
	TimestampTz right = terms_from(b);

	return (left < right) - (left > right);
}

static void *
room_for_one(DatedTerms *dated, MemoryContext context, Size size)
{
	if (dated->count == dated->room)
	{
		dated->room = dated->room ? 2 * dated->room : 1;
		dated->terms = dated->terms ? repalloc(dated->terms, dated->room * size) : MemoryContextAlloc(context, dated->room * size);
	}
	return (char *) dated->terms + dated->count++ * size;
}

/* Adds the terms of the row that the scan has reached. */
void
billing_terms_add(DatedTerms *dated, MemoryContext context, Size size, TermsReader read, CatalogueScan *scan)
{
	read(scan, room_for_one(dated, context, size));
}

/*
 * Adds the former terms of a row to its present ones; the table's first column is the row's id.  Present terms that hold
 * since ever have none before them, and most rows never get others: then the table is not even opened.
 */
void
billing_terms_load(Statement *statement, CatalogueTable table, int64 id, DatedTerms *dated, MemoryContext context, Size size, TermsReader read)
{
	CatalogueScan scan;
	ScanKeyData key;

	if (billing_terms_at(dated, size, DT_NOBEGIN))
		return;
	billing_key_int8(statement, table, 0, id, &key);
	billing_scan_begin(statement, table, &key, 1, &scan);
	while (billing_scan_next(&scan))
		billing_terms_add(dated, context, size, read, &scan);
	billing_scan_end(&scan);
	qsort(dated->terms, dated->count, size, compare_terms);
}

/* The terms in force at the instant; NULL before the first ones. */
const void *
billing_terms_at(const DatedTerms *dated, Size size, TimestampTz at)
{
	for (int i = 0; i < dated->count; i++)
	{
		const void *terms = (const char *) dated->terms + i * size;

		if (terms_from(terms) <= at)
			return terms;
	}
	return NULL;
}
