/*
 * usage.c
 *	  Sums for billing.usage, gathered by key in memory, and the guard of that table (design 6).
 *
 * "Accounting" in src/README tells why there are slots and parts.
 */
#include "accounting.h"

#include "commands/trigger.h"
#include "common/hashfn.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* ---- gathering ---- */

/* Names are interned in the catalogue, so that two are equal when their pointers are. */
static inline uint32
hash_key(const UsageKey *key)
{
	uint32		hash = murmurhash32((uint32) key->account_id ^ (uint32) (key->account_id >> 32));

	hash = hash_combine(hash, murmurhash32(((uint32) key->day << 4) | key->leg << 1 | key->has_account));
	hash = hash_combine(hash, murmurhash32((uint32) ((uintptr_t) key->destination >> 3)));
	hash = hash_combine(hash, murmurhash32((uint32) ((uintptr_t) key->cost_center >> 3)));
	return hash_combine(hash, murmurhash32((uint32) ((uintptr_t) key->currency >> 3)));
}

static inline bool
same_key(const UsageKey *a, const UsageKey *b)
{
	return a->account_id == b->account_id && a->day == b->day && a->leg == b->leg && a->has_account == b->has_account &&
		a->destination == b->destination && a->cost_center == b->cost_center && a->currency == b->currency;
}

#define SH_PREFIX			usage
#define SH_ELEMENT_TYPE		UsageEntry
#define SH_KEY_TYPE			UsageKey
#define SH_KEY				key
#define SH_HASH_KEY(tb, key)	hash_key(&(key))
#define SH_EQUAL(tb, a, b)		same_key(&(a), &(b))
#define SH_SCOPE			static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

UsageSums *
billing_usage_sums(MemoryContext context)
{
	UsageSums  *sums = MemoryContextAllocZero(context, sizeof(UsageSums));

	sums->context = context;
	sums->entries = usage_create(context, 8, NULL);
	return sums;
}

/* The sums of a key, zero at first; valid until the next one is asked for. */
UsageEntry *
billing_usage_entry(UsageSums *sums, const UsageKey *key)
{
	bool		found;
	UsageEntry *entry = usage_insert(sums->entries, *key, &found);

	if (!found)
	{
		entry->calls = entry->answered = entry->billsec = 0;
		entry->micros = entry->amount = entry->credit = 0;
	}
	return entry;
}

/* ---- writing ---- */

static bool
is_zero(const UsageEntry *entry)
{
	return entry->calls == 0 && entry->answered == 0 && entry->billsec == 0 && entry->micros == 0 && entry->amount == 0 &&
		entry->credit == 0;
}

/* By account and day, so that the entries of an index and the rows that are read together stand side by side. */
static int
compare_entries(const void *a, const void *b)
{
	const UsageKey *left = &(*(const UsageEntry *const *) a)->key;
	const UsageKey *right = &(*(const UsageEntry *const *) b)->key;

	if (left->account_id != right->account_id)
		return left->account_id > right->account_id ? 1 : -1;
	return (left->day > right->day) - (left->day < right->day);
}

/* Adds the sums to billing.usage, with the rights of the ledger's owner, which the caller has taken. */
void
billing_usage_write(UsageSums *sums)
{
	const UsageEntry **entries = palloc_extended((sums->entries->members + 1) * sizeof(UsageEntry *), MCXT_ALLOC_HUGE);
	int			count = 0;
	usage_iterator iterator;
	UsageEntry *entry;

	usage_start_iterate(sums->entries, &iterator);
	while ((entry = usage_iterate(sums->entries, &iterator)) != NULL)
		if (!is_zero(entry))
			entries[count++] = entry;
	if (count == 0)
		return;
	qsort(entries, count, sizeof(UsageEntry *), compare_entries);

	billing_usage_write_entries(entries, count);
}

/* ---- the guard ---- */

/* billing.guard_usage(): see its COMMENT. */
PG_FUNCTION_INFO_V1(billing_guard_usage);
Datum
billing_guard_usage(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(data->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("billing.guard_usage() guards rows that are about to be written"),
				 errdetail("It must be called as a BEFORE trigger.")));
	if (!billing_usage_writer && !TRIGGER_FIRED_BY_INSERT(data->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("billing.%s is written by the accounting pass only", RelationGetRelationName(data->tg_relation)),
				 errdetail("It is the sum over billing.cdr, and nothing else."),
				 errhint("Change the calls; to count them anew, run SELECT billing.rebuild_usage();")));
	if (!TRIGGER_FIRED_FOR_ROW(data->tg_event) || !billing_usage_writer)
		return PointerGetDatum(NULL);
	return PointerGetDatum(TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? data->tg_newtuple : data->tg_trigtuple);
}
