/*
 * usage.c
 *	  Sums for billing.usage: gathered by key in memory, written in key order into a slot of our own (design 6).
 *
 * "Accounting" in src/README tells why there are slots and parts.
 */
#include "billing.h"

#include "access/xact.h"
#include "catalog/pg_type_d.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/memutils.h"

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

/* ---- the slot ---- */

/* Parts of a long transaction: so many writes of it may hit one row before the pass goes on in the next one. */
#define WRITES_PER_PART		64
#define TRANSACTION_SLOT	0x40000000

static bool
lock_slot(int32 slot)
{
	LOCKTAG		tag;
	Oid			usage = billing_ledger_relation("usage");

	if (!OidIsValid(usage))
		billing_ledger_missing();
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, usage, (uint32) slot, 2);
	return LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

/*
 * The slot that this transaction may write: nobody else writes its rows until the transaction ends.  The lock is taken
 * each time, because a savepoint that is rolled back takes along what was locked in it.  A prepared transaction keeps
 * the slot of the backend that it left, and compact_usage() borrows it: then the slot is the transaction's own.
 */
static int32
own_slot(void)
{
	int32		slot = compat_backend_number();

	if (lock_slot(slot))
		return slot;
	return TRANSACTION_SLOT | (int32) (XidFromFullTransactionId(GetTopFullTransactionId()) & (TRANSACTION_SLOT - 1));
}

static int32
next_part(void)
{
	static uint32 transaction = 0;
	static int32 writes = 0;

	if (transaction != compat_local_transaction())
	{
		transaction = compat_local_transaction();
		writes = 0;
	}
	return writes++ / WRITES_PER_PART;
}

/* billing.usage_slot(): the slot of billing.usage that this transaction may write. */
PG_FUNCTION_INFO_V1(billing_usage_slot);
Datum
billing_usage_slot(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(own_slot());
}

/* billing.try_usage_slot(slot): whether this transaction now holds the slot, which nobody else is writing. */
PG_FUNCTION_INFO_V1(billing_try_usage_slot);
Datum
billing_try_usage_slot(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(lock_slot(PG_GETARG_INT32(0)));
}

/* ---- writing ---- */

#define USAGE_COLUMNS	14
#define FEW_KEYS		4
#define KEYS_AT_ONCE	10000

#define ADD_TO_USAGE \
	" ON CONFLICT ON CONSTRAINT usage_key DO UPDATE SET" \
	" calls = u.calls OPERATOR(pg_catalog.+) EXCLUDED.calls," \
	" answered = u.answered OPERATOR(pg_catalog.+) EXCLUDED.answered," \
	" seconds = u.seconds OPERATOR(pg_catalog.+) EXCLUDED.seconds," \
	" billsec = u.billsec OPERATOR(pg_catalog.+) EXCLUDED.billsec," \
	" amount = u.amount OPERATOR(pg_catalog.+) EXCLUDED.amount," \
	" credit = u.credit OPERATOR(pg_catalog.+) EXCLUDED.credit"

#define INTO_USAGE \
	"INSERT INTO billing.usage AS u (account_id, leg, day, cost_center, destination, currency, slot, part," \
	" calls, answered, seconds, billsec, amount, credit)"

static const char *const one_key_query = INTO_USAGE
" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)" ADD_TO_USAGE;

/* Not unnest() of several arrays, which is a word of the grammar only without a schema. */
static const char *const many_keys_query = INTO_USAGE
" SELECT n.* FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4),"
" pg_catalog.unnest($5), pg_catalog.unnest($6), pg_catalog.unnest($7), pg_catalog.unnest($8), pg_catalog.unnest($9),"
" pg_catalog.unnest($10), pg_catalog.unnest($11), pg_catalog.unnest($12), pg_catalog.unnest($13), pg_catalog.unnest($14)) n"
ADD_TO_USAGE;

static const Oid column_types[USAGE_COLUMNS] = {
	INT8OID, TEXTOID, DATEOID, TEXTOID, TEXTOID, TEXTOID, INT4OID, INT4OID, INT8OID, INT8OID, NUMERICOID, INT8OID, NUMERICOID, NUMERICOID
};

static const Oid array_types[USAGE_COLUMNS] = {
	INT8ARRAYOID, TEXTARRAYOID, DATEARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, INT4ARRAYOID, INT4ARRAYOID, INT8ARRAYOID,
	INT8ARRAYOID, NUMERICARRAYOID, INT8ARRAYOID, NUMERICARRAYOID, NUMERICARRAYOID
};

static void
entry_values(const UsageEntry *entry, int32 slot, int32 part, Datum *values, bool *nulls)
{
	memset(nulls, false, USAGE_COLUMNS * sizeof(bool));
	nulls[0] = !entry->key.has_account;
	values[0] = Int64GetDatum(entry->key.account_id);
	values[1] = CStringGetTextDatum(billing_leg_names[entry->key.leg]);
	values[2] = DateADTGetDatum(entry->key.day);
	values[3] = CStringGetTextDatum(entry->key.cost_center);
	values[4] = CStringGetTextDatum(entry->key.destination);
	values[5] = CStringGetTextDatum(entry->key.currency);
	values[6] = Int32GetDatum(slot);
	values[7] = Int32GetDatum(part);
	values[8] = Int64GetDatum(entry->calls);
	values[9] = Int64GetDatum(entry->answered);
	values[10] = NumericGetDatum(billing_numeric_from_fixed(entry->micros, 6));
	values[11] = Int64GetDatum(entry->billsec);
	values[12] = NumericGetDatum(billing_numeric_from_money(entry->amount));
	values[13] = NumericGetDatum(billing_numeric_from_money(entry->credit));
}

static void
write_few(const UsageEntry *const *entries, int count, int32 slot, int32 part)
{
	static SPIPlanPtr plan = NULL;
	Datum		values[USAGE_COLUMNS];
	bool		nulls[USAGE_COLUMNS];
	char		null_marks[USAGE_COLUMNS];

	for (int i = 0; i < count; i++)
	{
		entry_values(entries[i], slot, part, values, nulls);
		for (int c = 0; c < USAGE_COLUMNS; c++)
			null_marks[c] = nulls[c] ? 'n' : ' ';
		billing_execute(&plan, one_key_query, USAGE_COLUMNS, column_types, values, null_marks);
	}
}

static void
write_many(const UsageEntry *const *entries, int count, int32 slot, int32 part)
{
	static SPIPlanPtr plan = NULL;
	Datum	   *columns[USAGE_COLUMNS];
	bool	   *account_nulls = palloc0(count * sizeof(bool));
	Datum		arrays[USAGE_COLUMNS];
	bool		nulls[USAGE_COLUMNS];
	Datum		values[USAGE_COLUMNS];

	for (int c = 0; c < USAGE_COLUMNS; c++)
		columns[c] = palloc(count * sizeof(Datum));
	for (int i = 0; i < count; i++)
	{
		entry_values(entries[i], slot, part, values, nulls);
		account_nulls[i] = nulls[0];
		for (int c = 0; c < USAGE_COLUMNS; c++)
			columns[c][i] = values[c];
	}
	for (int c = 0; c < USAGE_COLUMNS; c++)
		arrays[c] = billing_array(columns[c], c == 0 ? account_nulls : NULL, count, column_types[c]);
	billing_execute(&plan, many_keys_query, USAGE_COLUMNS, array_types, arrays, NULL);
}

static bool
is_zero(const UsageEntry *entry)
{
	return entry->calls == 0 && entry->answered == 0 && entry->billsec == 0 && entry->micros == 0 && entry->amount == 0 &&
		entry->credit == 0;
}

/* In the order of usage_key, with the columns that are not constant here. */
static int
compare_entries(const void *a, const void *b)
{
	const UsageKey *left = &(*(const UsageEntry *const *) a)->key;
	const UsageKey *right = &(*(const UsageEntry *const *) b)->key;
	int			order = (left->account_id > right->account_id) - (left->account_id < right->account_id);

	if (order == 0)
		order = left->has_account - right->has_account;
	if (order == 0)
		order = strcmp(billing_leg_names[left->leg], billing_leg_names[right->leg]);
	if (order == 0)
		order = (left->day > right->day) - (left->day < right->day);
	if (order == 0)
		order = strcmp(left->destination, right->destination);
	if (order == 0)
		order = strcmp(left->cost_center, right->cost_center);
	return order != 0 ? order : strcmp(left->currency, right->currency);
}

static void
write_entries(const UsageEntry *const *entries, int count, int32 slot, int32 part)
{
	bool		writer = billing_usage_writer;

	billing_usage_writer = true;
	PG_TRY();
	{
		if (count <= FEW_KEYS)
			write_few(entries, count, slot, part);
		else
			for (int done = 0; done < count; done += KEYS_AT_ONCE)
				write_many(entries + done, Min(count - done, KEYS_AT_ONCE), slot, part);
	}
	PG_FINALLY();
	{
		billing_usage_writer = writer;
	}
	PG_END_TRY();
}

/* Adds the sums to billing.usage; the caller is connected to SPI and has the rights of the ledger's owner. */
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

	write_entries(entries, count, own_slot(), next_part());
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
				 errmsg("billing.usage is written by the accounting pass only"),
				 errdetail("It is the sum over billing.cdr, and nothing else."),
				 errhint("Change the calls; to count them anew, run SELECT billing.rebuild_usage();")));
	if (!TRIGGER_FIRED_FOR_ROW(data->tg_event) || !billing_usage_writer)
		return PointerGetDatum(NULL);
	return PointerGetDatum(TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? data->tg_newtuple : data->tg_trigtuple);
}
