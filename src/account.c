/*
 * account.c
 *	  Accounts, their plans, and the exchange rates between their currencies, as a statement sees them.
 *
 * Each is read by its primary key when a call first needs it, and kept with the catalogue.
 */
#include "billing.h"

#include "pgtime.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define CURRENCY_LENGTH		4	/* ISO 4217 and its NUL */

typedef struct AccountEntry
{
	int64		id;
	Account    *account;		/* NULL: there is none */
} AccountEntry;

typedef struct PlanEntry
{
	int64		id;
	int64		tariff_id;
	uint32		allowances;		/* bits of the legs that have included minutes */
} PlanEntry;

typedef struct ExchangeVersion
{
	TimestampTz valid_from;
	int64		rate;			/* 9 decimals */
} ExchangeVersion;

typedef struct ExchangeKey
{
	char		base[CURRENCY_LENGTH];
	char		quote[CURRENCY_LENGTH];
} ExchangeKey;

typedef struct ExchangeEntry
{
	ExchangeKey key;
	int			count;
	ExchangeVersion *versions;	/* latest first */
} ExchangeEntry;

enum {ACCOUNT_ID, ACCOUNT_TERMS_FROM, ACCOUNT_TARIFF, ACCOUNT_PLAN, ACCOUNT_PARENT, ACCOUNT_NAME, ACCOUNT_CURRENCY, ACCOUNT_IS_PROVIDER,
	ACCOUNT_TIMEZONE, ACCOUNT_ACTIVE, ACCOUNT_BILLING, ACCOUNT_CREDIT_LIMIT};
enum {PLAN_ID, PLAN_TARIFF};
enum {ALLOWANCE_PLAN, ALLOWANCE_LEG};
enum {EXCHANGE_BASE, EXCHANGE_QUOTE, EXCHANGE_VALID_FROM, EXCHANGE_RATE};

static void
read_terms(CatalogueScan *scan, void *into)
{
	AccountTerms *terms = into;

	terms->terms_from = billing_scan_int64(scan, ACCOUNT_TERMS_FROM, DT_NOBEGIN);
	terms->tariff_id = billing_scan_int64(scan, ACCOUNT_TARIFF, 0);
	terms->plan_id = billing_scan_int64(scan, ACCOUNT_PLAN, 0);
	terms->parent_id = billing_scan_int64(scan, ACCOUNT_PARENT, 0);
}

/* What it may owe: a prepaid account nothing unless it says how much, a postpaid one anything (reading 33). */
static Numeric
read_credit_limit(CatalogueScan *scan, MemoryContext context)
{
	MemoryContext former = MemoryContextSwitchTo(context);
	bool		isnull;
	Datum		stated = billing_scan_datum(scan, ACCOUNT_CREDIT_LIMIT, &isnull);
	Numeric		limit = NULL;

	if (!isnull)
		limit = DatumGetNumericCopy(stated);
	else if (strcmp(billing_scan_text(scan, ACCOUNT_BILLING, former), "prepaid") == 0)
		limit = int64_to_numeric(0);
	MemoryContextSwitchTo(former);
	return limit;
}

static Account *
load_account(Statement *statement, int64 id)
{
	MemoryContext context = billing_rows_context(statement);
	Account    *account = NULL;
	CatalogueScan scan;
	ScanKeyData key;

	billing_key_int8(statement, CATALOGUE_ACCOUNT, ACCOUNT_ID, id, &key);
	billing_scan_begin(statement, CATALOGUE_ACCOUNT, &key, 1, &scan);
	if (billing_scan_next(&scan))
	{
		account = MemoryContextAllocZero(context, sizeof(Account));
		account->id = id;
		account->name = billing_scan_text(&scan, ACCOUNT_NAME, context);
		account->currency = billing_intern(statement, billing_scan_text(&scan, ACCOUNT_CURRENCY, CurrentMemoryContext));
		account->zone = pg_tzset(billing_scan_text(&scan, ACCOUNT_TIMEZONE, CurrentMemoryContext));
		if (account->zone == NULL)
			account->zone = pg_tzset("UTC");
		account->is_provider = billing_scan_bool(&scan, ACCOUNT_IS_PROVIDER);
		account->active = billing_scan_bool(&scan, ACCOUNT_ACTIVE);
		account->credit_limit = read_credit_limit(&scan, context);
		billing_terms_add(&account->terms, context, sizeof(AccountTerms), read_terms, &scan);
	}
	billing_scan_end(&scan);
	if (account)
		billing_terms_load(statement, CATALOGUE_ACCOUNT_TERMS, id, &account->terms, context, sizeof(AccountTerms), read_terms);
	return account;
}

/* The account, or NULL if there is none of this id. */
const Account *
billing_account(Statement *statement, int64 id)
{
	HTAB	   *accounts = billing_catalogue_hash(billing_rows_context(statement), &statement->catalogue->accounts, "billing accounts",
										  sizeof(int64), sizeof(AccountEntry));
	AccountEntry *entry = hash_search(accounts, &id, HASH_FIND, NULL);

	if (entry == NULL)
	{
		Account    *account = load_account(statement, id);

		entry = hash_search(accounts, &id, HASH_ENTER, NULL);
		entry->account = account;
	}
	return entry->account;
}

/* The terms in force at the instant; NULL before the first ones. */
const AccountTerms *
billing_account_terms(const Account *account, TimestampTz at)
{
	return billing_terms_at(&account->terms, sizeof(AccountTerms), at);
}

/* Whether an account is the owner, or was below it at the instant. */
bool
billing_belongs_to(Statement *statement, int64 account_id, int64 owner_id, TimestampTz at)
{
	const Account *account;
	const AccountTerms *terms;

	if (account_id == owner_id)
		return true;
	account = billing_account(statement, account_id);
	terms = account ? billing_account_terms(account, at) : NULL;
	return terms && terms->parent_id == owner_id;
}

static uint32
load_allowances(Statement *statement, int64 plan_id)
{
	uint32		legs = 0;
	CatalogueScan scan;
	ScanKeyData key;

	billing_key_int8(statement, CATALOGUE_ALLOWANCE, ALLOWANCE_PLAN, plan_id, &key);
	billing_scan_begin(statement, CATALOGUE_ALLOWANCE, &key, 1, &scan);
	while (billing_scan_next(&scan))
		legs |= 1 << billing_leg_kind(billing_scan_text(&scan, ALLOWANCE_LEG, CurrentMemoryContext));
	billing_scan_end(&scan);
	return legs;
}

static const PlanEntry *
find_plan(Statement *statement, int64 plan_id)
{
	HTAB	   *plans = billing_catalogue_hash(statement->catalogue->context, &statement->catalogue->plans, "billing plans",
									   sizeof(int64), sizeof(PlanEntry));
	PlanEntry  *entry = hash_search(plans, &plan_id, HASH_FIND, NULL);

	if (entry == NULL)
	{
		PlanEntry	plan = {.id = plan_id};
		CatalogueScan scan;
		ScanKeyData key;

		billing_key_int8(statement, CATALOGUE_PLAN, PLAN_ID, plan_id, &key);
		billing_scan_begin(statement, CATALOGUE_PLAN, &key, 1, &scan);
		if (billing_scan_next(&scan))
			plan.tariff_id = billing_scan_int64(&scan, PLAN_TARIFF, 0);
		billing_scan_end(&scan);
		plan.allowances = load_allowances(statement, plan_id);

		entry = hash_search(plans, &plan_id, HASH_ENTER, NULL);
		*entry = plan;
	}
	return entry;
}

/* The tariff of a plan, 0 if it has none. */
int64
billing_plan_tariff(Statement *statement, int64 plan_id)
{
	return find_plan(statement, plan_id)->tariff_id;
}

/* For which legs a plan has included minutes: 1 << LegKind. */
uint32
billing_plan_allowances(Statement *statement, int64 plan_id)
{
	return find_plan(statement, plan_id)->allowances;
}

static int
compare_versions(const void *a, const void *b)
{
	TimestampTz left = ((const ExchangeVersion *) a)->valid_from;
	TimestampTz right = ((const ExchangeVersion *) b)->valid_from;

	return (left < right) - (left > right);
}

static void
load_exchange(Statement *statement, const ExchangeKey *pair, ExchangeEntry *loaded)
{
	MemoryContext context = statement->catalogue->context;
	CatalogueScan scan;
	ScanKeyData keys[2];
	int			room = 8;

	loaded->count = 0;
	loaded->versions = MemoryContextAlloc(context, room * sizeof(ExchangeVersion));
	billing_key_text(statement, CATALOGUE_EXCHANGE_RATE, EXCHANGE_BASE, pair->base, strlen(pair->base), &keys[0]);
	billing_key_text(statement, CATALOGUE_EXCHANGE_RATE, EXCHANGE_QUOTE, pair->quote, strlen(pair->quote), &keys[1]);
	billing_scan_begin(statement, CATALOGUE_EXCHANGE_RATE, keys, 2, &scan);
	while (billing_scan_next(&scan))
	{
		bool		isnull;
		ExchangeVersion *version;

		if (loaded->count == room)
			loaded->versions = repalloc(loaded->versions, (room *= 2) * sizeof(ExchangeVersion));
		version = &loaded->versions[loaded->count++];
		version->valid_from = billing_scan_int64(&scan, EXCHANGE_VALID_FROM, DT_NOBEGIN);
		version->rate = billing_scan_fixed(&scan, EXCHANGE_RATE, 9, &isnull);
	}
	billing_scan_end(&scan);
	qsort(loaded->versions, loaded->count, sizeof(ExchangeVersion), compare_versions);
}

static bool
pair_in_force(Statement *statement, const char *base, const char *quote, TimestampTz at, int64 *rate)
{
	HTAB	   *pairs = billing_catalogue_hash(statement->catalogue->context, &statement->catalogue->exchange_rates, "billing exchange rates",
									   sizeof(ExchangeKey), sizeof(ExchangeEntry));
	ExchangeKey key = {0};
	ExchangeEntry *entry;

	strlcpy(key.base, base, CURRENCY_LENGTH);
	strlcpy(key.quote, quote, CURRENCY_LENGTH);
	entry = hash_search(pairs, &key, HASH_FIND, NULL);
	if (entry == NULL)
	{
		ExchangeEntry loaded;

		load_exchange(statement, &key, &loaded);
		entry = hash_search(pairs, &key, HASH_ENTER, NULL);
		entry->count = loaded.count;
		entry->versions = loaded.versions;
	}

	for (int i = 0; i < entry->count; i++)
		if (entry->versions[i].valid_from <= at)
		{
			*rate = entry->versions[i].rate;
			return true;
		}
	return false;
}

/* From base to quote at the instant: the direct pair, else the inverse (C28, reading 38); false: neither. */
bool
billing_exchange(Statement *statement, const char *base, const char *quote, TimestampTz at, Exchange *exchange)
{
	*exchange = (Exchange) {0};
	if (strcmp(base, quote) == 0)
		return true;
	exchange->needed = true;
	if (pair_in_force(statement, base, quote, at, &exchange->rate))
		return true;
	exchange->inverse = true;
	return pair_in_force(statement, quote, base, at, &exchange->rate);
}
