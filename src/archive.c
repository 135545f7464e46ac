/*
 * archive.c
 *	  Periods whose calls have left with an archived partition: what arrives for them later is not charged again.
 */
#include "accounting.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

typedef struct ArchivedPeriod
{
	TimestampTz starts_at;
	TimestampTz ends_at;		/* exclusive */
} ArchivedPeriod;

/* In order of time, none touching the next. */
typedef struct ArchivedPeriods
{
	int			count;
	ArchivedPeriod period[FLEXIBLE_ARRAY_MEMBER];
} ArchivedPeriods;

enum
{
	PERIOD_STARTS_AT,
	PERIOD_ENDS_AT,
	PERIOD_READOPTED_AT
};

static int
compare_periods(const void *a, const void *b)
{
	TimestampTz left = ((const ArchivedPeriod *) a)->starts_at;
	TimestampTz right = ((const ArchivedPeriod *) b)->starts_at;

	return left < right ? -1 : left > right;
}

static void
join_periods(ArchivedPeriods *periods)
{
	int			last = 0;

	if (periods->count == 0)
		return;
	qsort(periods->period, periods->count, sizeof(ArchivedPeriod), compare_periods);
	for (int i = 1; i < periods->count; i++)
	{
		const ArchivedPeriod *next = &periods->period[i];

		if (next->starts_at > periods->period[last].ends_at)
			periods->period[++last] = *next;
		else
			periods->period[last].ends_at = Max(periods->period[last].ends_at, next->ends_at);
	}
	periods->count = last + 1;
}

static ArchivedPeriods *
read_periods(Statement *statement)
{
	int			room = 8;
	ArchivedPeriods *periods = palloc(offsetof(ArchivedPeriods, period) + room * sizeof(ArchivedPeriod));
	CatalogueScan scan;

	periods->count = 0;
	billing_scan_begin(statement, CATALOGUE_ARCHIVED_PARTITION, NULL, 0, &scan);
	while (billing_scan_next(&scan))
	{
		ArchivedPeriod period;
		bool		present;
		bool		isnull;

		(void) billing_scan_datum(&scan, PERIOD_READOPTED_AT, &present);
		if (!present)
			continue;
		period.starts_at = DatumGetTimestampTz(billing_scan_datum(&scan, PERIOD_STARTS_AT, &isnull));
		period.ends_at = DatumGetTimestampTz(billing_scan_datum(&scan, PERIOD_ENDS_AT, &isnull));
		if (periods->count == room)
		{
			room *= 2;
			periods = repalloc(periods, offsetof(ArchivedPeriods, period) + room * sizeof(ArchivedPeriod));
		}
		periods->period[periods->count++] = period;
	}
	billing_scan_end(&scan);
	join_periods(periods);
	return periods;
}

/*
 * Whatever the isolation level, what is committed by now counts: a REPEATABLE READ transaction that began before
 * the archiving, and could not write billing.cdr until it was over, would charge its calls a second time.
 */
static ArchivedPeriods *
load_periods(Statement *statement)
{
	Statement	latest = *statement;
	bool		renew = IsolationUsesXactSnapshot() && !IsInParallelMode();
	ArchivedPeriods *periods;

	if (renew)
		latest.snapshot = RegisterSnapshot(GetLatestSnapshot());
	periods = read_periods(&latest);
	if (renew)
		UnregisterSnapshot(latest.snapshot);
	return memcpy(MemoryContextAlloc(statement->catalogue->context, offsetof(ArchivedPeriods, period) + periods->count * sizeof(ArchivedPeriod)),
				  periods, offsetof(ArchivedPeriods, period) + periods->count * sizeof(ArchivedPeriod));
}

/* Whether the calls of the time at which this one began have left.  A call without a start has no such time. */
bool
billing_too_old(Statement *statement, const Cdr *cdr)
{
	const ArchivedPeriods *periods = statement->catalogue->archived_periods;
	int			low = 0;
	int			high;

	if (unlikely(periods == NULL))
		periods = statement->catalogue->archived_periods = load_periods(statement);
	if (likely(periods->count == 0) || !cdr->has_start)
		return false;
	high = periods->count;
	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (periods->period[middle].ends_at > cdr->started_at)
			high = middle;
		else
			low = middle + 1;
	}
	return low < periods->count && periods->period[low].starts_at <= cdr->started_at;
}
