/*
 * accounting.h
 *	  What the files that count calls share with each other, grouped by implementing file.
 */
#ifndef BILLING_ACCOUNTING_H
#define BILLING_ACCOUNTING_H

#include "billing.h"

/* ---- usage.c ---- */

/* palloc() aligns to 8 bytes only */
typedef Money StoredMoney __attribute__((aligned(8)));

/* What the sums of billing.usage are kept by; names are interned in the catalogue. */
typedef struct UsageKey
{
	int64		account_id;
	const char *destination;
	const char *cost_center;
	const char *currency;
	int32		day;			/* a DateADT */
	uint8		leg;
	bool		has_account;
} UsageKey;

typedef struct UsageEntry
{
	UsageKey	key;
	uint32		status;			/* simplehash's */
	int64		calls;
	int64		answered;
	int64		billsec;
	StoredMoney micros;
	StoredMoney amount;
	StoredMoney credit;
} UsageEntry;

typedef struct UsageSums
{
	MemoryContext context;
	struct usage_hash *entries;
} UsageSums;

extern UsageSums *billing_usage_sums(MemoryContext context);
extern UsageEntry *billing_usage_entry(UsageSums *sums, const UsageKey *key);
extern void billing_usage_write(UsageSums *sums);

/* ---- accounting.c ---- */

extern void billing_owner_search_path(void);

/* ---- usage_write.c ---- */

extern void billing_usage_write_entries(const UsageEntry *const *entries, int count);

/* ---- queue.c ---- */

typedef struct CreditQueue CreditQueue;

extern CreditQueue *billing_credit_queue(MemoryContext context);
extern void billing_queue_pool(CreditQueue *queue, int64 account_id, int64 service_id, LegKind leg, int32 day);
extern void billing_queue_unknown(CreditQueue *queue, const char *kind, int64 id);
extern void billing_queue_session(CreditQueue *queue, const CdrMap *map, const Datum *values, const bool *nulls);
extern void billing_queue_write(CreditQueue *queue);

/* ---- move.c ---- */

/* A row that left its partition, by its key. */
typedef struct MovedRow
{
	int64		id;
	TimestampTz started_at;
} MovedRow;

extern void billing_statement_counted(MemoryContext query_context);
extern void billing_require_counted(MemoryContext query_context, Relation relation);
extern void billing_note_update(MemoryContext query_context, Oid relation, ItemPointer row);
extern HTAB *billing_moved_rows(MemoryContext query_context);

/* ---- archive.c ---- */

extern bool billing_too_old(Statement *statement, const Cdr *cdr);

#endif							/* BILLING_ACCOUNTING_H */
