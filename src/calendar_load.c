/*
 * calendar_load.c
 *	  Reads calendars, their named dates and their windows; calendar_at in SQL.
 */
#include "billing.h"

#include "catalog/pg_type_d.h"
#include "funcapi.h"
#include "pgtime.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define EVERY_WEEKDAY	0xfe	/* bits 1 to 7 */

typedef struct CalendarEntry
{
	int64		id;
	Calendar   *calendar;		/* NULL: there is none */
} CalendarEntry;

enum {CALENDAR_ID, CALENDAR_NAME, CALENDAR_TIMEZONE, CALENDAR_FREE_WEEKDAYS, CALENDAR_IS_DEFAULT};
enum {DAY_CALENDAR, DAY_DATE, DAY_DAY_TYPE};
enum {BAND_CALENDAR, BAND_VALID_FROM, BAND_DAY_TYPE, BAND_WEEKDAYS, BAND_BAND, BAND_STARTS, BAND_ENDS};

static const char *const day_type_names[] = {"any", "work", "free"};

DayType
billing_day_type(const char *name)
{
	return billing_name_index("day_type", name, day_type_names, lengthof(day_type_names));
}

const char *
billing_day_type_name(DayType day_type)
{
	return day_type_names[day_type];
}

/* An array of ISO weekdays as bits; null means every one. */
static int
weekday_bits(CatalogueScan *scan, int column)
{
	bool		isnull;
	Datum		value = billing_scan_datum(scan, column, &isnull);
	Datum	   *elements;
	bool	   *nulls;
	int			count;
	int			bits = 0;

	if (isnull)
		return EVERY_WEEKDAY;
	deconstruct_array(DatumGetArrayTypeP(value), INT2OID, sizeof(int16), true, TYPALIGN_SHORT, &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
		if (!nulls[i])
			bits |= 1 << (DatumGetInt16(elements[i]) & 7);
	return bits;
}

static DayType
scan_day_type(CatalogueScan *scan, int column)
{
	return billing_day_type(billing_scan_text(scan, column, CurrentMemoryContext));
}

static int
compare_days(const void *a, const void *b)
{
	int32		left = ((const CalendarDay *) a)->date;
	int32		right = ((const CalendarDay *) b)->date;

	return (left > right) - (left < right);
}

static void
load_days(Statement *statement, Calendar *calendar)
{
	CatalogueScan scan;
	ScanKeyData key;
	int			room = 64;

	calendar->days = MemoryContextAlloc(statement->catalogue->context, room * sizeof(CalendarDay));
	billing_key_int8(statement, CATALOGUE_CALENDAR_DAY, DAY_CALENDAR, calendar->id, &key);
	billing_scan_begin(statement, CATALOGUE_CALENDAR_DAY, &key, 1, &scan);
	while (billing_scan_next(&scan))
	{
		bool		isnull;

		if (calendar->ndays == room)
			calendar->days = repalloc(calendar->days, (room *= 2) * sizeof(CalendarDay));
		calendar->days[calendar->ndays++] = (CalendarDay) {
			.date = DatumGetDateADT(billing_scan_datum(&scan, DAY_DATE, &isnull)),
			.day_type = scan_day_type(&scan, DAY_DAY_TYPE)
		};
	}
	billing_scan_end(&scan);
	qsort(calendar->days, calendar->ndays, sizeof(CalendarDay), compare_days);
}

static int
compare_windows(const void *a, const void *b)
{
	TimestampTz left = ((const CalendarWindow *) a)->valid_from;
	TimestampTz right = ((const CalendarWindow *) b)->valid_from;

	return (left < right) - (left > right);
}

static void
load_windows(Statement *statement, Calendar *calendar)
{
	MemoryContext context = statement->catalogue->context;
	CatalogueScan scan;
	ScanKeyData key;
	int			room = 16;

	calendar->windows = MemoryContextAlloc(context, room * sizeof(CalendarWindow));
	billing_key_int8(statement, CATALOGUE_CALENDAR_BAND, BAND_CALENDAR, calendar->id, &key);
	billing_scan_begin(statement, CATALOGUE_CALENDAR_BAND, &key, 1, &scan);
	while (billing_scan_next(&scan))
	{
		bool		isnull;

		if (calendar->nwindows == room)
			calendar->windows = repalloc(calendar->windows, (room *= 2) * sizeof(CalendarWindow));
		calendar->windows[calendar->nwindows++] = (CalendarWindow) {
			.valid_from = billing_scan_int64(&scan, BAND_VALID_FROM, DT_NOBEGIN),
			.day_type = scan_day_type(&scan, BAND_DAY_TYPE),
			.weekdays = weekday_bits(&scan, BAND_WEEKDAYS),
			.band = billing_scan_text(&scan, BAND_BAND, context),
			.starts = DatumGetTimeADT(billing_scan_datum(&scan, BAND_STARTS, &isnull)),
			.ends = DatumGetTimeADT(billing_scan_datum(&scan, BAND_ENDS, &isnull))
		};
	}
	billing_scan_end(&scan);
	qsort(calendar->windows, calendar->nwindows, sizeof(CalendarWindow), compare_windows);
}

static Calendar *
load_calendar(Statement *statement, int64 id)
{
	MemoryContext context = statement->catalogue->context;
	Calendar   *calendar = NULL;
	CatalogueScan scan;
	ScanKeyData key;

	billing_key_int8(statement, CATALOGUE_CALENDAR, CALENDAR_ID, id, &key);
	billing_scan_begin(statement, CATALOGUE_CALENDAR, &key, 1, &scan);
	if (billing_scan_next(&scan))
	{
		calendar = MemoryContextAllocZero(context, sizeof(Calendar));
		calendar->id = id;
		calendar->name = billing_scan_text(&scan, CALENDAR_NAME, context);
		calendar->timezone = billing_scan_text(&scan, CALENDAR_TIMEZONE, context);
		calendar->free_weekdays = weekday_bits(&scan, CALENDAR_FREE_WEEKDAYS);
		calendar->zone = pg_tzset(calendar->timezone);
		calendar->last_answer.windows = -1;
	}
	billing_scan_end(&scan);
	if (calendar == NULL)
		return NULL;
	if (calendar->zone == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("time zone \"%s\" of calendar \"%s\" is not known to this server", calendar->timezone, calendar->name),
				 errhint("Time zones come from the operating system's or PostgreSQL's tzdata; bring it up to date.")));
	load_days(statement, calendar);
	load_windows(statement, calendar);
	return calendar;
}

/* The calendar, or NULL if there is none of this id. */
Calendar *
billing_calendar(Statement *statement, int64 id)
{
	HTAB	   *calendars = billing_catalogue_hash(statement->catalogue->context, &statement->catalogue->calendars, "billing calendars",
												   sizeof(int64), sizeof(CalendarEntry));
	CalendarEntry *entry = hash_search(calendars, &id, HASH_FIND, NULL);

	if (entry == NULL)
	{
		Calendar   *calendar = load_calendar(statement, id);

		entry = hash_search(calendars, &id, HASH_ENTER, NULL);
		entry->calendar = calendar;
	}
	return entry->calendar;
}

/* The calendar of DID rates that name none; 0 if no calendar is the default one. */
int64
billing_default_calendar(Statement *statement)
{
	Catalogue  *catalogue = statement->catalogue;

	if (catalogue->default_calendar < 0)
	{
		int64		found = 0;
		CatalogueScan scan;

		billing_scan_begin(statement, CATALOGUE_CALENDAR, NULL, 0, &scan);
		while (billing_scan_next(&scan))
			if (billing_scan_bool(&scan, CALENDAR_IS_DEFAULT))
				found = billing_scan_int64(&scan, CALENDAR_ID, 0);
		billing_scan_end(&scan);
		catalogue->default_calendar = found;
	}
	return catalogue->default_calendar;
}

/* billing.calendar_at(calendar_id, instant): the day type and band of an instant; nulls for an unknown calendar. */
PG_FUNCTION_INFO_V1(billing_calendar_day_band);
Datum
billing_calendar_day_band(PG_FUNCTION_ARGS)
{
	TimestampTz at = PG_GETARG_TIMESTAMPTZ(1);
	Calendar   *calendar = billing_calendar(billing_statement(fcinfo->flinfo->fn_mcxt), PG_GETARG_INT64(0));
	TupleDesc	desc;
	Datum		values[2] = {0};
	bool		nulls[2] = {true, true};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (calendar && !TIMESTAMP_NOT_FINITE(at))
	{
		DayBand		day;
		TimestampTz until;

		billing_calendar_at(calendar, at, at, &day, &until);
		values[0] = CStringGetTextDatum(billing_day_type_name(day.day_type));
		nulls[0] = false;
		nulls[1] = day.band == NULL;
		values[1] = day.band ? CStringGetTextDatum(day.band) : (Datum) 0;
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
