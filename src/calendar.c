/*
 * calendar.c
 *	  Which kind of day and which band an instant lies in, by the wall clock of a calendar (readings 14 to 18).
 *
 * Knows no catalog access; calendar_load.c reads the tables.  Time zones are the server's (pgtime.h).
 */
#include "billing.h"

#include "pgtime.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#define UNIX_EPOCH_OFFSET	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY)

/* An instant as a wall clock shows it. */
typedef struct LocalTime
{
	DateADT		date;			/* days since 2000-01-01 */
	int64		time;			/* microseconds since midnight */
} LocalTime;

static inline int64
floor_div(int64 dividend, int64 divisor)
{
	int64		quotient = dividend / divisor;

	return quotient * divisor > dividend ? quotient - 1 : quotient;
}

/* The clock's offset from UTC at the instant, and until when it stays, both in microseconds. */
static int64
clock_offset(const Calendar *calendar, TimestampTz at, TimestampTz *until)
{
	pg_time_t	before = floor_div(at, USECS_PER_SEC) + UNIX_EPOCH_OFFSET;
	pg_time_t	boundary;
	long		before_offset;
	long		after_offset;
	int			before_dst;
	int			after_dst;
	int			found = pg_next_dst_boundary(&before, &before_offset, &before_dst, &boundary, &after_offset, &after_dst, calendar->zone);

	/* time zones go on for ever, timestamps end in 294276 */
	*until = found > 0 && boundary - UNIX_EPOCH_OFFSET < DT_NOEND / USECS_PER_SEC ?
		(TimestampTz) (boundary - UNIX_EPOCH_OFFSET) * USECS_PER_SEC : DT_NOEND;
	return found < 0 ? 0 : (int64) before_offset * USECS_PER_SEC;
}

static LocalTime
local_time(TimestampTz at, int64 offset)
{
	LocalTime	local;
	int64		clock = at + offset;

	local.date = (DateADT) floor_div(clock, USECS_PER_DAY);
	local.time = clock - (int64) local.date * USECS_PER_DAY;
	return local;
}

/* 1 is Monday, 7 Sunday; 2000-01-01 was a Saturday. */
static int
weekday(DateADT date)
{
	return (int) (((int64) date + 5) % 7 + 7) % 7 + 1;
}

/* A date that is named is what it is named; else the weekday decides (K15). */
static DayType
day_type_of(const Calendar *calendar, DateADT date)
{
	int			low = 0;
	int			high = calendar->ndays;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (calendar->days[middle].date == date)
			return calendar->days[middle].day_type;
		if (calendar->days[middle].date < date)
			low = middle + 1;
		else
			high = middle;
	}
	return (calendar->free_weekdays & (1 << weekday(date))) ? DAY_FREE : DAY_WORK;
}

/* The windows in force: those of the latest valid_from that has come. */
static void
windows_at(const Calendar *calendar, TimestampTz at, int *first, int *last)
{
	int			i = 0;

	while (i < calendar->nwindows && calendar->windows[i].valid_from > at)
		i++;
	*first = i;
	while (i < calendar->nwindows && calendar->windows[i].valid_from == calendar->windows[*first].valid_from)
		i++;
	*last = i;
}

/* Both parts of a window that wraps midnight are judged by the date of the instant itself (reading 17). */
static bool
holds(const CalendarWindow *window, LocalTime local)
{
	if (!(window->weekdays & (1 << weekday(local.date))))
		return false;
	if (window->starts < window->ends)
		return window->starts <= local.time && local.time < window->ends;
	return local.time >= window->starts || local.time < window->ends;
}

/* The band of a local time; a window of the day's own type beats one of any. */
static const char *
band_at(const Calendar *calendar, int first, int last, LocalTime local, DayType day_type)
{
	const char *any = NULL;

	for (int i = first; i < last; i++)
	{
		const CalendarWindow *window = &calendar->windows[i];

		if (window->day_type == day_type && holds(window, local))
			return window->band;
		if (window->day_type == DAY_ANY && any == NULL && holds(window, local))
			any = window->band;
	}
	return any;
}

/* The next time of this day at which a window begins or ends; midnight at the latest. */
static int64
next_edge(const Calendar *calendar, int first, int last, LocalTime local)
{
	int64		edge = USECS_PER_DAY;

	for (int i = first; i < last; i++)
	{
		const CalendarWindow *window = &calendar->windows[i];

		if (window->starts > local.time && window->starts < edge)
			edge = window->starts;
		if (window->ends > local.time && window->ends < edge)
			edge = window->ends;
	}
	return edge;
}

/*
 * Day type and band of an instant, and the next instant at which either may change.
 *
 * As long as the clock's offset stays, local time runs as time does, so the next edge is as far away as it looks;
 * where the offset changes there is a boundary, behind which the wall clock is asked again.  So an hour that is
 * repeated, or skipped, needs no care (reading 16).  windows_from tells which set of windows holds: the one in
 * force when the call was rated, for valid_from within a call is no boundary.  Calls come in roughly by time, so the
 * last answer mostly holds for the next one too.
 */
void
billing_calendar_at(Calendar *calendar, TimestampTz at, TimestampTz windows_from, DayBand *day, TimestampTz *until)
{
	CalendarAnswer *last_answer = &calendar->last_answer;
	TimestampTz offset_until;
	int64		offset;
	LocalTime	local;
	int			first;
	int			last;

	windows_at(calendar, windows_from, &first, &last);
	if (last_answer->windows == first && last_answer->from <= at && at < last_answer->until)
	{
		*day = last_answer->day;
		*until = last_answer->until;
		return;
	}

	offset = clock_offset(calendar, at, &offset_until);
	local = local_time(at, offset);
	last_answer->day.day_type = day_type_of(calendar, local.date);
	last_answer->day.band = band_at(calendar, first, last, local, last_answer->day.day_type);
	last_answer->from = at;
	last_answer->until = Min(at + (next_edge(calendar, first, last, local) - local.time), offset_until);
	last_answer->windows = first;

	*day = last_answer->day;
	*until = last_answer->until;
}
