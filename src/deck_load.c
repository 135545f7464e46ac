/*
 * deck_load.c
 *	  Reads the rates of a tariff: all of them into a deck, or those of one number through the btree.
 */
#include "billing.h"

#include "access/stratnum.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "prefix_sql.h"

/* What a price list may have at the most beside its own rows: rows read before scratch memory is reset. */
#define ROWS_PER_RESET	1024

#define LENGTHS_PER_PROBE	3	/* beside the longest */

enum {RATE_ID, RATE_TARIFF, RATE_PREFIX, RATE_EXACT, RATE_DAY_TYPE, RATE_BAND, RATE_VALID_FROM, RATE_DESTINATION, RATE_PRICE,
	RATE_FIRST_PRICE, RATE_CONNECT_FEE, RATE_ATTEMPT_FEE, RATE_FIRST_INCREMENT, RATE_NEXT_INCREMENT,
	RATE_INCREMENT_RULE, RATE_GRACE, RATE_FREE, RATE_MIN, RATE_MAX, RATE_SURCHARGE, RATE_DURATION_ROUNDING,
	RATE_ROUNDING_DIGITS, RATE_ROUNDING_MODE, RATE_BLOCKED, RATE_WITHDRAWN, RATE_BOUNDARY};
enum {STEP_RATE, STEP_FROM_SECOND, STEP_PRICE, STEP_INCREMENT};

/* Where rates that are read are kept, and what they share. */
typedef struct RateReader
{
	Statement  *statement;
	MemoryContext context;
	bool		has_steps;		/* the table of steps is not empty */
	const RateOverride *last_override;
	const char *last_destination;
} RateReader;

/* ---- names of the catalogue ---- */

static const char *const increment_rule_names[] = {"first_next", "aligned"};
static const char *const duration_rounding_names[] = {"up", "half_up", "none"};
static const char *const rounding_mode_names[] = {"half_up", "half_even", "up", "down"};
static const char *const boundary_names[] = {"start", "split"};

IncrementRule
billing_increment_rule(const char *name)
{
	return billing_name_index("increment_rule", name, increment_rule_names, lengthof(increment_rule_names));
}

const char *
billing_increment_rule_name(IncrementRule rule)
{
	return increment_rule_names[rule];
}

DurationRounding
billing_duration_rounding(const char *name)
{
	return billing_name_index("duration_rounding", name, duration_rounding_names, lengthof(duration_rounding_names));
}

const char *
billing_duration_rounding_name(DurationRounding rounding)
{
	return duration_rounding_names[rounding];
}

RoundingMode
billing_rounding_mode(const char *name)
{
	return billing_name_index("rounding_mode", name, rounding_mode_names, lengthof(rounding_mode_names));
}

const char *
billing_rounding_mode_name(RoundingMode mode)
{
	return rounding_mode_names[mode];
}

/* Whether a boundary's name is split. */
bool
billing_boundary_splits(const char *name)
{
	return billing_name_index("boundary", name, boundary_names, lengthof(boundary_names)) == 1;
}

/* ---- one rate ---- */

/* Whether any rate has steps: most catalogues have none, and no rate needs to be asked for them. */
static bool
has_steps(Statement *statement)
{
	Catalogue  *catalogue = statement->catalogue;

	if (catalogue->has_rate_steps < 0)
	{
		CatalogueScan scan;

		billing_scan_begin(statement, CATALOGUE_RATE_STEP, NULL, 0, &scan);
		catalogue->has_rate_steps = billing_scan_next(&scan);
		billing_scan_end(&scan);
	}
	return catalogue->has_rate_steps > 0;
}

static int
compare_steps(const void *a, const void *b)
{
	return ((const ChargeStep *) a)->from_second - ((const ChargeStep *) b)->from_second;
}

static void
read_steps(RateReader *reader, int64 rate_id, RateOverride *override)
{
	CatalogueScan scan;
	ScanKeyData key;
	ChargeStep	steps[64];
	List	   *more = NIL;
	int			count = 0;
	ChargeStep *all;

	billing_key_int8(reader->statement, CATALOGUE_RATE_STEP, STEP_RATE, rate_id, &key);
	billing_scan_begin(reader->statement, CATALOGUE_RATE_STEP, &key, 1, &scan);
	while (billing_scan_next(&scan))
	{
		bool		isnull;
		ChargeStep *step = count < lengthof(steps) ? &steps[count] : palloc(sizeof(ChargeStep));

		step->from_second = billing_scan_int32(&scan, STEP_FROM_SECOND, 0);
		step->price = billing_scan_fixed(&scan, STEP_PRICE, MONEY_DIGITS, &isnull);
		step->increment = billing_scan_int32(&scan, STEP_INCREMENT, 1);
		if (count++ >= lengthof(steps))
			more = lappend(more, step);
	}
	billing_scan_end(&scan);
	if (count == 0)
		return;

	all = MemoryContextAlloc(reader->context, count * sizeof(ChargeStep));
	for (int i = 0; i < count; i++)
		all[i] = i < lengthof(steps) ? steps[i] : *(ChargeStep *) list_nth(more, i - lengthof(steps));
	qsort(all, count, sizeof(ChargeStep), compare_steps);
	override->terms.nsteps = count;
	override->terms.steps = all;
}

static void
take_fixed(CatalogueScan *scan, int column, int scale, uint32 flag, uint32 *given, int64 *value)
{
	bool		isnull;

	*value = billing_scan_fixed(scan, column, scale, &isnull);
	if (!isnull)
		*given |= flag;
}

static void
take_int32(CatalogueScan *scan, int column, uint32 flag, uint32 *given, int32 *value)
{
	*value = billing_scan_int32(scan, column, -1000);
	if (*value != -1000)		/* below every bound of these columns: null */
		*given |= flag;
	else
		*value = 0;
}

static void
read_override(CatalogueScan *scan, RateOverride *override)
{
	ChargeTerms *terms = &override->terms;
	int32		digits;
	int64		surcharge;
	char	   *name;

	memset(override, 0, sizeof(RateOverride));
	take_fixed(scan, RATE_FIRST_PRICE, MONEY_DIGITS, TERM_FIRST_PRICE, &override->given, &terms->first_price);
	take_fixed(scan, RATE_CONNECT_FEE, MONEY_DIGITS, TERM_CONNECT_FEE, &override->given, &terms->connect_fee);
	take_fixed(scan, RATE_ATTEMPT_FEE, MONEY_DIGITS, TERM_ATTEMPT_FEE, &override->given, &terms->attempt_fee);
	take_fixed(scan, RATE_MIN, MONEY_DIGITS, TERM_MIN_AMOUNT, &override->given, &terms->min_amount);
	take_fixed(scan, RATE_MAX, MONEY_DIGITS, TERM_MAX_AMOUNT, &override->given, &terms->max_amount);
	take_fixed(scan, RATE_SURCHARGE, 4, TERM_SURCHARGE, &override->given, &surcharge);
	take_int32(scan, RATE_FIRST_INCREMENT, TERM_FIRST_INCREMENT, &override->given, &terms->first_increment);
	take_int32(scan, RATE_NEXT_INCREMENT, TERM_NEXT_INCREMENT, &override->given, &terms->next_increment);
	take_int32(scan, RATE_GRACE, TERM_GRACE_SECONDS, &override->given, &terms->grace_seconds);
	take_int32(scan, RATE_FREE, TERM_FREE_SECONDS, &override->given, &terms->free_seconds);
	take_int32(scan, RATE_ROUNDING_DIGITS, TERM_ROUNDING_DIGITS, &override->given, &digits);
	terms->surcharge = (int32) surcharge;
	terms->rounding_digits = (int8) digits;
	terms->has_min = (override->given & TERM_MIN_AMOUNT) != 0;
	terms->has_max = (override->given & TERM_MAX_AMOUNT) != 0;

	if ((name = billing_scan_text(scan, RATE_INCREMENT_RULE, CurrentMemoryContext)) != NULL)
	{
		override->given |= TERM_INCREMENT_RULE;
		terms->increment_rule = billing_increment_rule(name);
	}
	if ((name = billing_scan_text(scan, RATE_DURATION_ROUNDING, CurrentMemoryContext)) != NULL)
	{
		override->given |= TERM_DURATION_ROUNDING;
		terms->duration_rounding = billing_duration_rounding(name);
	}
	if ((name = billing_scan_text(scan, RATE_ROUNDING_MODE, CurrentMemoryContext)) != NULL)
	{
		override->given |= TERM_ROUNDING_MODE;
		terms->rounding_mode = billing_rounding_mode(name);
	}
	if ((name = billing_scan_text(scan, RATE_BOUNDARY, CurrentMemoryContext)) != NULL)
	{
		override->given |= TERM_BOUNDARY;
		terms->split = billing_boundary_splits(name);
	}
}

/* Neighbouring rates of a list mostly say the same, so one copy serves them. */
static const RateOverride *
keep_override(RateReader *reader, const RateOverride *override)
{
	RateOverride *kept;

	if (override->given == 0 && override->terms.nsteps == 0)
		return NULL;
	if (reader->last_override && memcmp(reader->last_override, override, sizeof(RateOverride)) == 0)
		return reader->last_override;
	kept = MemoryContextAlloc(reader->context, sizeof(RateOverride));
	memcpy(kept, override, sizeof(RateOverride));
	reader->last_override = kept;
	return kept;
}

static const char *
keep_destination(RateReader *reader, const char *destination)
{
	if (destination == NULL)
		return NULL;
	if (reader->last_destination == NULL || strcmp(reader->last_destination, destination) != 0)
		reader->last_destination = MemoryContextStrdup(reader->context, destination);
	return reader->last_destination;
}

static void
read_rate(RateReader *reader, CatalogueScan *scan, Rate *rate)
{
	RateOverride override;
	bool		isnull;

	memset(rate, 0, sizeof(Rate));
	rate->id = billing_scan_int64(scan, RATE_ID, 0);
	rate->prefix = DatumGetUInt64(billing_scan_datum(scan, RATE_PREFIX, &isnull));
	rate->exact = billing_scan_bool(scan, RATE_EXACT);
	rate->day_type = billing_day_type(billing_scan_text(scan, RATE_DAY_TYPE, CurrentMemoryContext));
	rate->band = billing_scan_text(scan, RATE_BAND, reader->context);
	rate->valid_from = billing_scan_int64(scan, RATE_VALID_FROM, DT_NOBEGIN);
	rate->destination = keep_destination(reader, billing_scan_text(scan, RATE_DESTINATION, CurrentMemoryContext));
	rate->price = billing_scan_fixed(scan, RATE_PRICE, MONEY_DIGITS, &isnull);
	rate->blocked = billing_scan_bool(scan, RATE_BLOCKED);
	rate->withdrawn = billing_scan_bool(scan, RATE_WITHDRAWN);

	read_override(scan, &override);
	if (reader->has_steps)
		read_steps(reader, rate->id, &override);
	rate->override = keep_override(reader, &override);
}

/* ---- all rates of a tariff ---- */

/*
 * Reads the rates into deck->rates; false: they do not fit.  The scan keeps memory of
 * its own in the context in which it is advanced, so only what is made of a row goes into the one that is reset.
 */
static bool
read_rates(RateReader *reader, Tariff *tariff, Deck *deck, Size limit)
{
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "billing rates", ALLOCSET_DEFAULT_SIZES);
	MemoryContext row = AllocSetContextCreate(scratch, "billing rate", ALLOCSET_DEFAULT_SIZES);
	MemoryContext former = MemoryContextSwitchTo(scratch);
	CatalogueScan scan;
	ScanKeyData key;
	Size		room = tariff->rows + 1;	/* as many as the index has, dead ones included */
	bool		fit = true;

	deck->rates = MemoryContextAllocHuge(deck->context, room * sizeof(Rate));
	billing_key_int8(reader->statement, CATALOGUE_RATE, RATE_TARIFF, tariff->id, &key);
	billing_scan_begin(reader->statement, CATALOGUE_RATE, &key, 1, &scan);
	while (billing_scan_next(&scan))
	{
		if (deck->nrates == room)
		{
			room *= 2;
			fit = MemoryContextMemAllocated(deck->context, true) + room * sizeof(Rate) <= limit;
			if (!fit)
				break;
			deck->rates = repalloc_huge(deck->rates, room * sizeof(Rate));
		}
		MemoryContextSwitchTo(row);
		read_rate(reader, &scan, &deck->rates[deck->nrates++]);
		if (deck->nrates % ROWS_PER_RESET == 0)
			MemoryContextReset(row);
		MemoryContextSwitchTo(scratch);
	}
	MemoryContextSwitchTo(former);
	billing_scan_end(&scan);
	MemoryContextDelete(scratch);
	return fit;
}

/* Compiles the tariff, in a context of its own below the current one; NULL: it does not fit. */
Deck *
billing_deck_load(Statement *statement, Tariff *tariff, Size limit)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "billing deck", ALLOCSET_START_SMALL_SIZES);
	Deck	   *deck = MemoryContextAllocZero(context, sizeof(Deck));
	RateReader	reader = {
		.statement = statement,
		.context = context,
		.has_steps = has_steps(statement)
	};

	MemoryContextSetIdentifier(context, tariff->name);
	deck->context = context;
	deck->tariff = tariff;
	if (!read_rates(&reader, tariff, deck, limit))
	{
		MemoryContextDelete(context);
		return NULL;
	}
	qsort(deck->rates, deck->nrates, sizeof(Rate), billing_rate_compare);
	billing_deck_build(deck);
	deck->bytes = MemoryContextMemAllocated(context, true);
	return deck;
}

/* How many rates the tariff has, at most the limit. */
uint64
billing_count_rates(Statement *statement, Tariff *tariff, uint64 limit)
{
	ScanKeyData key;

	billing_key_int8(statement, CATALOGUE_RATE, RATE_TARIFF, tariff->id, &key);
	return billing_count_entries(statement, CATALOGUE_RATE, &key, limit);
}

/* ---- the rates of one number ---- */

/* All versions of one prefix, in memory of the current context. */
typedef struct Versions
{
	Prefix		prefix;
	int			count;
	int			room;
	Rate	   *rates;
} Versions;

static Prefix
scan_prefix(CatalogueScan *scan)
{
	bool		isnull;

	return DatumGetUInt64(billing_scan_datum(scan, RATE_PREFIX, &isnull));
}

static void
add_version(RateReader *reader, CatalogueScan *scan, Versions *versions)
{
	if (versions->count == versions->room)
	{
		versions->room = versions->room ? 2 * versions->room : 4;
		versions->rates = versions->rates ? repalloc(versions->rates, versions->room * sizeof(Rate)) : palloc(versions->room * sizeof(Rate));
	}
	read_rate(reader, scan, &versions->rates[versions->count++]);
}

/*
 * The last prefix of the list, in dialling order, that the scan reaches, and its versions if the number begins with it;
 * false: there is none.
 */
static bool
probe_index(RateReader *reader, CatalogueScan *scan, Prefix number, Versions *versions)
{
	bool		any = false;

	versions->count = 0;
	while (billing_scan_next(scan))
	{
		Prefix		prefix = scan_prefix(scan);

		if (any && prefix != versions->prefix)
			break;
		any = true;
		versions->prefix = prefix;
		if (!prefix_contains(prefix, number))
			break;
		add_version(reader, scan, versions);
	}
	return any;
}

/* The same without an index: the longest prefix with which the number begins. */
static bool
probe_heap(RateReader *reader, CatalogueScan *scan, Prefix number, Versions *versions)
{
	versions->count = 0;
	while (billing_scan_next(scan))
	{
		Prefix		prefix = scan_prefix(scan);

		if (!prefix_contains(prefix, number) || (versions->count > 0 && prefix < versions->prefix))
			continue;
		if (versions->count > 0 && prefix > versions->prefix)
			versions->count = 0;
		versions->prefix = prefix;
		add_version(reader, scan, versions);
	}
	return versions->count > 0;
}

/* From first to number: of the prefixes of the number those that are as long as first and longer. */
static bool
probe_number(RateReader *reader, Tariff *tariff, Prefix first, Prefix number, Versions *versions)
{
	CatalogueScan scan;
	ScanKeyData keys[3];
	bool		found;

	billing_key_int8(reader->statement, CATALOGUE_RATE, RATE_TARIFF, tariff->id, &keys[0]);
	billing_key_datum(reader->statement, CATALOGUE_RATE, RATE_PREFIX, BTLessEqualStrategyNumber, billing_prefix_le, UInt64GetDatum(number), &keys[1]);
	billing_key_datum(reader->statement, CATALOGUE_RATE, RATE_PREFIX, BTGreaterEqualStrategyNumber, billing_prefix_ge, UInt64GetDatum(first), &keys[2]);
	if (billing_scan_begin_backward(reader->statement, CATALOGUE_RATE, keys, 3, &scan))
		found = probe_index(reader, &scan, number, versions);
	else
	{
		billing_scan_begin(reader->statement, CATALOGUE_RATE, keys, 1, &scan);
		found = probe_heap(reader, &scan, number, versions);
	}
	billing_scan_end(&scan);
	if (versions->count > 1)
		qsort(versions->rates, versions->count, sizeof(Rate), billing_rate_compare);
	billing_rate_link(versions->rates, versions->count);
	return found;
}

/* Among the versions of a prefix with which the number begins. */
static const Rate *
choose_version(const Versions *versions, Number number, TimestampTz at, DayBand day)
{
	int			nexact = 0;
	const Rate *found = NULL;

	while (nexact < versions->count && versions->rates[nexact].exact)
		nexact++;
	if (nexact > 0 && versions->prefix == number.symbols && !number.longer)
		found = billing_rate_choose(versions->rates, at, day);
	if (found == NULL && nexact < versions->count)
		found = billing_rate_choose(versions->rates + nexact, at, day);
	return found;
}

/*
 * The same answer as billing_deck_find, from the btree: for a session that rates a call or two and leaves, and for lists
 * that are not compiled.  What is returned lives in the current context.
 *
 * A prefix stands before all that begins with it, and whatever stands between a prefix of the number and the number
 * begins with that prefix.  So the last prefix that is not behind the number tells how long those may be that it
 * begins with, and two or three descents do where each length would need one.  A descent asks for a few lengths only,
 * because the server reads of a page all that the keys allow.
 */
const Rate *
billing_rate_probe(Statement *statement, Tariff *tariff, Number number, TimestampTz at, DayBand day)
{
	Prefix		symbols = number.symbols;
	Versions	versions = {0};
	RateReader	reader = {
		.statement = statement,
		.context = CurrentMemoryContext,
		.has_steps = has_steps(statement)
	};

	for (;;)
	{
		Prefix		first = prefix_truncate(symbols, Max(prefix_len(symbols) - LENGTHS_PER_PROBE, 0));
		Prefix		shortest = first;

		if (probe_number(&reader, tariff, first, symbols, &versions))
		{
			const Rate *found = choose_version(&versions, number, at, day);

			if (found)
				return found;
			if (versions.count == 0)
			{
				symbols = prefix_common(versions.prefix, symbols);
				continue;
			}
			shortest = versions.prefix;
		}
		if (shortest == PREFIX_EMPTY)
			return NULL;
		symbols = prefix_truncate(shortest, prefix_len(shortest) - 1);
	}
}
