-- What the ledger's views read off a CDR. One expression each, without SET, so that the planner inlines
-- them; the SQL-standard bodies bind their names when they are created, so search_path does not matter.

CREATE FUNCTION billing._call_seconds(billsec numeric, answered_at timestamptz, ended_at timestamptz) RETURNS numeric
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN CASE
		WHEN billsec IS NOT NULL THEN CASE WHEN billsec >= 0 AND billsec < 1e9 THEN billsec END
		WHEN answered_at IS NULL OR ended_at IS NULL THEN 0
		WHEN extract(epoch FROM ended_at) - extract(epoch FROM answered_at) >= 0
			AND extract(epoch FROM ended_at) - extract(epoch FROM answered_at) < 1e9
		THEN extract(epoch FROM ended_at) - extract(epoch FROM answered_at) END;
COMMENT ON FUNCTION billing._call_seconds(numeric, timestamptz, timestamptz) IS
	'Seconds of a call before rounding and increments: billsec, else ended_at - answered_at, else 0 (design 5, step 5). Null where that is negative, NaN, infinite or 1e9 and more, so that one unreadable row cannot spoil a sum. Raises no error.';

CREATE FUNCTION billing._call_answered(billsec numeric, answered_at timestamptz, disposition text) RETURNS boolean
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN answered_at IS NOT NULL OR coalesce(billsec > 0, false) OR coalesce(upper(disposition) = 'ANSWERED', false);
COMMENT ON FUNCTION billing._call_answered(numeric, timestamptz, text) IS
	'True when a call was answered: it has an answered_at, or billed seconds, or the disposition ANSWERED in any case. Never null. Raises no error.';

CREATE FUNCTION billing._month(instant timestamptz, timezone text) RETURNS date
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN CASE WHEN instant >= '0001-01-02 00:00:00+00'::timestamptz AND instant < '9999-12-31 00:00:00+00'::timestamptz
		THEN date_trunc('month', instant AT TIME ZONE timezone)::date END;
COMMENT ON FUNCTION billing._month(timestamptz, text) IS
	'First day of the month in which an instant lies on the wall clock of a time zone. Null for an instant outside the years 1 to 9999, where a zone''s offset could leave the range of timestamps. Raises 22023 for an unknown time zone.';
