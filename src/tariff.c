/*
 * tariff.c
 *	  Price lists: their terms, their chain of base tariffs, and the price of a number (design 5.3, 5.4).
 */
#include "billing.h"

#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define BASE_DEPTH		4		/* base tariffs below a tariff (design 3) */

#define LEAST_PROBES	16		/* of its btree before a price list may be compiled */

typedef struct TariffEntry
{
	int64		id;
	Tariff	   *tariff;			/* NULL: there is none */
} TariffEntry;

/* A stretch of time in which a tariff was, or is, the default one. */
typedef struct DefaultTariff
{
	int64		tariff_id;
	TimestampTz terms_from;
	bool		is_default;
} DefaultTariff;

struct DefaultTariffs
{
	int			count;
	DefaultTariff *terms;		/* latest first */
};

enum {TARIFF_ID, TARIFF_TERMS_FROM, TARIFF_IS_DEFAULT, TARIFF_BASE, TARIFF_CONNECT_FEE, TARIFF_ATTEMPT_FEE,
	TARIFF_FIRST_INCREMENT, TARIFF_NEXT_INCREMENT, TARIFF_INCREMENT_RULE, TARIFF_GRACE, TARIFF_FREE, TARIFF_MIN,
	TARIFF_MAX, TARIFF_SURCHARGE, TARIFF_DURATION_ROUNDING, TARIFF_ROUNDING_DIGITS, TARIFF_ROUNDING_MODE,
	TARIFF_BOUNDARY, TARIFF_CALENDAR, TARIFF_NAME, TARIFF_CURRENCY, TARIFF_AVERAGE_DURATION, TARIFF_LOSS_PERCENT};

static void
read_terms(CatalogueScan *scan, void *into)
{
	TariffTerms *terms = into;
	ChargeTerms *charge = &terms->charge;
	bool		isnull;

	memset(terms, 0, sizeof(TariffTerms));
	terms->terms_from = billing_scan_int64(scan, TARIFF_TERMS_FROM, DT_NOBEGIN);
	terms->base_tariff_id = billing_scan_int64(scan, TARIFF_BASE, 0);
	charge->connect_fee = billing_scan_fixed(scan, TARIFF_CONNECT_FEE, MONEY_DIGITS, &isnull);
	charge->attempt_fee = billing_scan_fixed(scan, TARIFF_ATTEMPT_FEE, MONEY_DIGITS, &isnull);
	charge->first_increment = billing_scan_int32(scan, TARIFF_FIRST_INCREMENT, 1);
	charge->next_increment = billing_scan_int32(scan, TARIFF_NEXT_INCREMENT, 1);
	charge->increment_rule = billing_increment_rule(billing_scan_text(scan, TARIFF_INCREMENT_RULE, CurrentMemoryContext));
	charge->grace_seconds = billing_scan_int32(scan, TARIFF_GRACE, 0);
	charge->free_seconds = billing_scan_int32(scan, TARIFF_FREE, 0);
	charge->min_amount = billing_scan_fixed(scan, TARIFF_MIN, MONEY_DIGITS, &isnull);
	charge->has_min = !isnull;
	charge->max_amount = billing_scan_fixed(scan, TARIFF_MAX, MONEY_DIGITS, &isnull);
	charge->has_max = !isnull;
	charge->surcharge = (int32) billing_scan_fixed(scan, TARIFF_SURCHARGE, 4, &isnull);
	charge->duration_rounding = billing_duration_rounding(billing_scan_text(scan, TARIFF_DURATION_ROUNDING, CurrentMemoryContext));
	charge->rounding_digits = (int8) billing_scan_int32(scan, TARIFF_ROUNDING_DIGITS, MONEY_DIGITS);
	charge->rounding_mode = billing_rounding_mode(billing_scan_text(scan, TARIFF_ROUNDING_MODE, CurrentMemoryContext));
	charge->split = billing_boundary_splits(billing_scan_text(scan, TARIFF_BOUNDARY, CurrentMemoryContext));
	terms->calendar_id = billing_scan_int64(scan, TARIFF_CALENDAR, 0);
}

static Tariff *
load_tariff(Statement *statement, int64 id)
{
	MemoryContext context = statement->catalogue->context;
	Tariff	   *tariff = NULL;
	CatalogueScan scan;
	ScanKeyData key;

	billing_key_int8(statement, CATALOGUE_TARIFF, TARIFF_ID, id, &key);
	billing_scan_begin(statement, CATALOGUE_TARIFF, &key, 1, &scan);
	if (billing_scan_next(&scan))
	{
		bool		isnull;

		tariff = MemoryContextAllocZero(context, sizeof(Tariff));
		tariff->id = id;
		tariff->next_try = LEAST_PROBES;
		tariff->name = billing_scan_text(&scan, TARIFF_NAME, context);
		tariff->currency = billing_scan_text(&scan, TARIFF_CURRENCY, context);
		tariff->average_duration = billing_scan_int32(&scan, TARIFF_AVERAGE_DURATION, 0);
		tariff->loss_percent = billing_scan_fixed(&scan, TARIFF_LOSS_PERCENT, 4, &isnull);
		billing_terms_add(&tariff->terms, context, sizeof(TariffTerms), read_terms, &scan);
	}
	billing_scan_end(&scan);
	if (tariff)
		billing_terms_load(statement, CATALOGUE_TARIFF_TERMS, id, &tariff->terms, context, sizeof(TariffTerms), read_terms);
	return tariff;
}

/* The tariff, or NULL if there is none of this id. */
Tariff *
billing_tariff(Statement *statement, int64 id)
{
	HTAB	   *tariffs = billing_catalogue_hash(statement->catalogue->context, &statement->catalogue->tariffs, "billing tariffs",
												 sizeof(int64), sizeof(TariffEntry));
	TariffEntry *entry = hash_search(tariffs, &id, HASH_FIND, NULL);

	if (entry == NULL)
	{
		Tariff	   *tariff = load_tariff(statement, id);

		entry = hash_search(tariffs, &id, HASH_ENTER, NULL);
		entry->tariff = tariff;
	}
	return entry->tariff;
}

/* The terms in force at the instant; NULL before the first ones. */
const TariffTerms *
billing_tariff_terms(const Tariff *tariff, TimestampTz at)
{
	return billing_terms_at(&tariff->terms, sizeof(TariffTerms), at);
}

/* ---- the default customer tariff ---- */

static int
compare_defaults(const void *a, const void *b)
{
	const DefaultTariff *left = a;
	const DefaultTariff *right = b;

	if (left->terms_from != right->terms_from)
		return left->terms_from > right->terms_from ? -1 : 1;
	return (left->tariff_id > right->tariff_id) - (left->tariff_id < right->tariff_id);
}

static void
collect_defaults(Statement *statement, CatalogueTable table, struct DefaultTariffs *defaults, int *room)
{
	CatalogueScan scan;

	billing_scan_begin(statement, table, NULL, 0, &scan);
	while (billing_scan_next(&scan))
	{
		if (defaults->count == *room)
			defaults->terms = repalloc(defaults->terms, (*room *= 2) * sizeof(DefaultTariff));
		defaults->terms[defaults->count++] = (DefaultTariff) {
			.tariff_id = billing_scan_int64(&scan, TARIFF_ID, 0),
			.terms_from = billing_scan_int64(&scan, TARIFF_TERMS_FROM, DT_NOBEGIN),
			.is_default = billing_scan_bool(&scan, TARIFF_IS_DEFAULT)
		};
	}
	billing_scan_end(&scan);
}

/* Few tariffs are ever the default one; the terms of the others are of no interest here. */
static void
keep_ever_default(struct DefaultTariffs *defaults)
{
	int64	   *ids = palloc(defaults->count * sizeof(int64) + 1);
	int			nids = 0;
	int			kept = 0;

	for (int i = 0; i < defaults->count; i++)
		if (defaults->terms[i].is_default)
			ids[nids++] = defaults->terms[i].tariff_id;

	for (int i = 0; i < defaults->count; i++)
	{
		int			j = 0;

		while (j < nids && ids[j] != defaults->terms[i].tariff_id)
			j++;
		if (j < nids)
			defaults->terms[kept++] = defaults->terms[i];
	}
	defaults->count = kept;
	pfree(ids);
}

static struct DefaultTariffs *
load_defaults(Statement *statement)
{
	MemoryContext context = statement->catalogue->context;
	struct DefaultTariffs *defaults = MemoryContextAllocZero(context, sizeof(struct DefaultTariffs));
	int			room = 16;

	defaults->terms = MemoryContextAlloc(context, room * sizeof(DefaultTariff));
	collect_defaults(statement, CATALOGUE_TARIFF, defaults, &room);
	collect_defaults(statement, CATALOGUE_TARIFF_TERMS, defaults, &room);
	keep_ever_default(defaults);
	qsort(defaults->terms, defaults->count, sizeof(DefaultTariff), compare_defaults);
	return defaults;
}

/* Did the tariff get other terms between these and the instant? */
static bool
superseded(const struct DefaultTariffs *defaults, int position, TimestampTz at)
{
	for (int i = 0; i < position; i++)
		if (defaults->terms[i].tariff_id == defaults->terms[position].tariff_id && defaults->terms[i].terms_from <= at)
			return true;
	return false;
}

/* The default customer tariff at the instant, by the terms in force then (V13, V15); 0: none. */
int64
billing_default_tariff(Statement *statement, TimestampTz at)
{
	struct DefaultTariffs *defaults = statement->catalogue->default_tariffs;

	if (defaults == NULL)
		defaults = statement->catalogue->default_tariffs = load_defaults(statement);
	for (int i = 0; i < defaults->count; i++)
		if (defaults->terms[i].is_default && defaults->terms[i].terms_from <= at && !superseded(defaults, i, at))
			return defaults->terms[i].tariff_id;
	return 0;
}

/* ---- the price of a number ---- */

/* The day and band of the tariff's calendar; without one every day is the same. */
static void
day_of(Statement *statement, const TariffTerms *terms, TimestampTz at, TimestampTz instant, Price *price, TimestampTz *until)
{
	Calendar   *calendar = terms->calendar_id != 0 ? billing_calendar(statement, terms->calendar_id) : NULL;
	TimestampTz day_until;

	price->day = (DayBand) {DAY_ANY, NULL};
	price->calendar = NULL;
	if (calendar == NULL || TIMESTAMP_NOT_FINITE(instant))
		return;
	billing_calendar_at(calendar, instant, at, &price->day, &day_until);
	price->calendar = calendar->name;
	*until = Min(*until, day_until);
}

/*
 * The price of a number by a tariff, else by its base (design 3); false: none has a rate that is in force.
 * A rate inherits from the tariff that holds it, by that tariff's terms at the rating instant, and is chosen by
 * that tariff's calendar.
 */
bool
billing_tariff_price(const void *tariff_source, TimestampTz instant, Price *price, TimestampTz *until)
{
	const TariffSource *source = tariff_source;
	int64		tariff_id = source->tariff_id;

	*until = DT_NOEND;
	for (int depth = 0; depth <= BASE_DEPTH && tariff_id != 0; depth++)
	{
		Tariff	   *tariff = billing_tariff(source->statement, tariff_id);
		const TariffTerms *terms = tariff ? billing_tariff_terms(tariff, source->at) : NULL;

		if (terms == NULL)
			return false;
		day_of(source->statement, terms, source->at, instant, price, until);
		price->rate = billing_tariff_rate(source->statement, tariff, source->number, source->at, price->day);
		if (price->rate)
		{
			price->tariff = tariff;
			price->currency = tariff->currency;
			billing_rate_terms(&terms->charge, price->rate, &price->terms);
			billing_note_label(source->statement, price->rate, tariff);
			return true;
		}
		tariff_id = terms->base_tariff_id;
	}
	return false;
}
