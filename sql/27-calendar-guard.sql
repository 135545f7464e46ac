-- The rules of calendars, of the bands that rates name, and of DID rates: trigger functions, attached in
-- sql/ledger/45-guard.sql. As in 25-guard.sql, a rule that looks at other rows locks what it has seen: whoever
-- writes a rate for a band shares the row of its calendar, whoever changes windows has it alone.

-- Calls.

CREATE FUNCTION billing._call_of_calendar(calendar_id bigint, spans tstzmultirange) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	call text;
BEGIN
	LOCK TABLE billing.cdr IN SHARE MODE;
	SELECT format('%s of %s', c.id, c.started_at) INTO call
	FROM billing.cdr c
		CROSS JOIN LATERAL (VALUES (c.customer_rate_id), (c.reseller_rate_id), (c.provider_rate_id),
			(c.did_incoming_rate_id), (c.did_owner_rate_id), (c.did_provider_rate_id)) n(rate_id)
		JOIN (
			SELECT r.id FROM billing.rate r
			WHERE r.tariff_id IN (
				SELECT t.id FROM billing.tariff t WHERE t.calendar_id = _call_of_calendar.calendar_id
				UNION SELECT f.tariff_id FROM billing.tariff_terms f WHERE f.calendar_id = _call_of_calendar.calendar_id)
				AND EXISTS (SELECT FROM billing.rate s WHERE s.tariff_id = r.tariff_id AND (s.day_type <> 'any' OR s.band IS NOT NULL))
			UNION ALL
			SELECT d.id FROM billing.did_rate d
			WHERE coalesce(d.calendar_id, (SELECT k.id FROM billing.calendar k WHERE k.is_default)) = _call_of_calendar.calendar_id
				AND EXISTS (SELECT FROM billing.did_rate s
					WHERE s.number = d.number AND s.tenant = d.tenant AND s.leg = d.leg AND (s.day_type <> 'any' OR s.band IS NOT NULL))) u ON u.id = n.rate_id
		CROSS JOIN LATERAL (SELECT coalesce(c.answered_at, c.started_at) AS instant,
			ceil(greatest(billing._call_seconds(c.billsec, c.answered_at, c.ended_at),
				billing._call_seconds(coalesce(c.did_billsec, c.billsec), c.answered_at, c.ended_at), 0)) AS seconds) i
	WHERE spans && CASE WHEN isfinite(i.instant) AND i.instant < '9999-12-31' THEN
		tstzrange(i.instant, i.instant + make_interval(secs => i.seconds::double precision), '[]') ELSE 'empty' END
	LIMIT 1;
	RETURN call;
END $$;
COMMENT ON FUNCTION billing._call_of_calendar(bigint, tstzmultirange) IS 'A call, as text, of which a part lies in spans and which names a rate that this calendar has a say in (of a tariff that has or had it, or of a DID, where some price depends on day type or band); null when there is none. One scan of billing.cdr, after waiting for loads in flight.';

-- Calendars.

CREATE FUNCTION billing.keep_calendar() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	served text;
BEGIN
	IF TG_OP = 'UPDATE' AND NOT (OLD.is_default AND NOT NEW.is_default)
		AND (NEW.id, NEW.timezone, NEW.free_weekdays) IS NOT DISTINCT FROM (OLD.id, OLD.timezone, OLD.free_weekdays)
	THEN
		RETURN NULL;
	END IF;
	-- Waits for who gives the calendar to somebody: their foreign keys and check_did_rate() share the row.
	PERFORM FROM billing.calendar c WHERE c.id = OLD.id FOR UPDATE;
	IF OLD.is_default THEN
		SELECT format('DID %s has a %s for day type %s%s and names no calendar.', d.number, d.leg, d.day_type, coalesce(', band ' || d.band, '')) INTO served
		FROM billing.did_rate d WHERE d.calendar_id IS NULL AND (d.day_type <> 'any' OR d.band IS NOT NULL) LIMIT 1;
		IF FOUND THEN
			RAISE EXCEPTION 'calendar "%" serves DID rates by default', OLD.name USING
				ERRCODE = 'restrict_violation',
				DETAIL = served || ' Another default calendar, or another time zone or other free days of this one, would change what past calls cost.',
				HINT = 'Make another calendar, and name it in new versions of the DID rates (calendar_id, valid_from).';
		END IF;
	END IF;
	IF TG_OP = 'DELETE' OR (NEW.id, NEW.timezone, NEW.free_weekdays) IS NOT DISTINCT FROM (OLD.id, OLD.timezone, OLD.free_weekdays) THEN
		RETURN NULL;
	END IF;

	SELECT u.name INTO served FROM (
		SELECT format('Tariff "%s" has it.', t.name) AS name FROM billing.tariff t WHERE t.calendar_id = OLD.id
		UNION ALL
		SELECT format('Tariff "%s" had it from %s on.', t.name, f.terms_from) FROM billing.tariff_terms f JOIN billing.tariff t ON t.id = f.tariff_id WHERE f.calendar_id = OLD.id
		UNION ALL
		SELECT format('DID %s has it for %s.', d.number, d.leg) FROM billing.did_rate d WHERE d.calendar_id = OLD.id) u LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'calendar "%" is in use: its time zone and free weekdays stay', OLD.name USING
			ERRCODE = 'restrict_violation',
			DETAIL = served,
			HINT = 'Make another calendar, and name it in an UPDATE of the tariff (calendar_id, terms_from) or in a new version of the DID rate.';
	END IF;
	RETURN NULL;
END $$;
COMMENT ON FUNCTION billing.keep_calendar() IS 'AFTER UPDATE or DELETE row trigger of calendar: time zone and free weekdays stay while a tariff or DID rate refers to it, and the default stays the default while a DID rate relies on it (design 3). 23001.';

CREATE FUNCTION billing._weekday_type(free_weekdays smallint[], date date) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
RETURN CASE WHEN extract(isodow FROM date)::smallint = ANY (free_weekdays) THEN 'free' ELSE 'work' END;
COMMENT ON FUNCTION billing._weekday_type(smallint[], date) IS 'free when the weekday of the date is one of free_weekdays (ISO, 1 Monday), else work (K15).';

CREATE FUNCTION billing._keep_days(calendar_ids bigint[], dates date[]) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	changed record;
	call text;
BEGIN
	FOR changed IN
		SELECT k.id, k.name, range_agg(tstzrange(d.date::timestamp AT TIME ZONE k.timezone, (d.date + 1)::timestamp AT TIME ZONE k.timezone)) AS spans
		FROM unnest(calendar_ids, dates) d(calendar_id, date) JOIN billing.calendar k ON k.id = d.calendar_id
		GROUP BY k.id, k.name
	LOOP
		call := billing._call_of_calendar(changed.id, changed.spans);
		IF call IS NOT NULL THEN
			RAISE EXCEPTION 'days of calendar "%" have priced calls and stay what they are', changed.name USING
				ERRCODE = 'restrict_violation',
				DETAIL = format('Call %s was priced by one of them.', call),
				HINT = 'Make another calendar with the right days, name it in an UPDATE of the tariff (calendar_id, terms_from) or in a new version of the DID rate, and have the calls rated again.';
		END IF;
	END LOOP;
END $$;
COMMENT ON FUNCTION billing._keep_days(bigint[], date[]) IS 'Raises 23001 when a part of a call that a rate of the calendar priced lies on one of the dates.';

CREATE FUNCTION billing.keep_calendar_day() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	calendar_ids bigint[];
	dates date[];
BEGIN
	-- What a day was and what it becomes: its row, else its weekday. A cascade finds no calendar, so nothing.
	IF TG_OP = 'INSERT' THEN
		SELECT array_agg(w.calendar_id), array_agg(w.date) INTO calendar_ids, dates
		FROM written w JOIN billing.calendar k ON k.id = w.calendar_id
		WHERE w.day_type <> billing._weekday_type(k.free_weekdays, w.date);
	ELSIF TG_OP = 'DELETE' THEN
		SELECT array_agg(f.calendar_id), array_agg(f.date) INTO calendar_ids, dates
		FROM former f JOIN billing.calendar k ON k.id = f.calendar_id
		WHERE f.day_type <> billing._weekday_type(k.free_weekdays, f.date);
	ELSIF TG_OP = 'UPDATE' THEN
		SELECT array_agg(calendar_id), array_agg(date) INTO calendar_ids, dates
		FROM former f FULL JOIN written w USING (calendar_id, date) JOIN billing.calendar k ON k.id = calendar_id
		WHERE coalesce(f.day_type, billing._weekday_type(k.free_weekdays, date)) <> coalesce(w.day_type, billing._weekday_type(k.free_weekdays, date));
	ELSE
		SELECT array_agg(d.calendar_id), array_agg(d.date) INTO calendar_ids, dates
		FROM billing.calendar_day d JOIN billing.calendar k ON k.id = d.calendar_id
		WHERE d.day_type <> billing._weekday_type(k.free_weekdays, d.date);
	END IF;
	IF dates IS NOT NULL THEN
		PERFORM billing._keep_days(calendar_ids, dates);
	END IF;
	RETURN NULL;
END $$;
COMMENT ON FUNCTION billing.keep_calendar_day() IS 'Statement trigger of calendar_day, with transition tables: a date on which a rate of the calendar has priced a call stays work or free (design 3). 23001.';

CREATE FUNCTION billing._check_weekdays(field text, days smallint[]) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF NOT days <@ '{1,2,3,4,5,6,7}'::smallint[] OR array_ndims(days) > 1 THEN
		RAISE EXCEPTION '% of % are no weekdays', field, days USING
			ERRCODE = 'check_violation',
			DETAIL = 'Weekdays are numbered as ISO 8601 does: 1 is Monday, 7 is Sunday.',
			HINT = 'Write {6,7} for Saturday and Sunday.';
	END IF;
END $$;
COMMENT ON FUNCTION billing._check_weekdays(text, smallint[]) IS 'Raises 23514 when an array holds something else than ISO weekdays; null passes.';

CREATE FUNCTION billing.check_calendar() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM billing._check_weekdays('free_weekdays', NEW.free_weekdays);
	RETURN NEW;
END $$;
COMMENT ON FUNCTION billing.check_calendar() IS 'BEFORE INSERT or UPDATE row trigger of calendar: free_weekdays are ISO weekdays, said with a hint. 23514.';

CREATE FUNCTION billing.check_window() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF NEW.starts = NEW.ends THEN
		RAISE EXCEPTION 'window of band "%" from % to % has no length', NEW.band, NEW.starts, NEW.ends USING
			ERRCODE = 'check_violation',
			DETAIL = 'A window holds from its start to before its end.',
			HINT = 'A whole day is 00:00 to 24:00.';
	END IF;
	IF NEW.weekdays = '{}' THEN
		RAISE EXCEPTION 'window of band "%" has no weekday', NEW.band USING
			ERRCODE = 'check_violation',
			DETAIL = 'It would never hold.',
			HINT = 'Leave weekdays null for every day, or delete the window.';
	END IF;
	PERFORM billing._check_weekdays('weekdays', NEW.weekdays);
	RETURN NEW;
END $$;
COMMENT ON FUNCTION billing.check_window() IS 'BEFORE INSERT or UPDATE row trigger of calendar_band: windows of some length on ISO weekdays, said with a hint. 23514.';

CREATE FUNCTION billing._check_overlap(calendar_ids bigint[]) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	hit record;
BEGIN
	-- Both parts of a window that wraps midnight are judged by the date on which the instant lies, so that two
	-- windows meet only within one date.
	WITH part AS (
		SELECT b.*, p.opens, p.closes
		FROM billing.calendar_band b CROSS JOIN LATERAL (
			SELECT b.starts AS opens, b.ends AS closes WHERE b.starts < b.ends
			UNION ALL SELECT b.starts, time '24:00' WHERE b.starts > b.ends
			UNION ALL SELECT time '00:00', b.ends WHERE b.starts > b.ends) p
		WHERE b.calendar_id = ANY (calendar_ids)
	)
	SELECT k.name, x.band, x.starts, x.ends, y.band AS other_band, y.starts AS other_starts, y.ends AS other_ends, x.day_type INTO hit
	FROM part x
		JOIN part y ON y.calendar_id = x.calendar_id AND y.valid_from = x.valid_from AND y.day_type = x.day_type AND y.id > x.id
			AND x.opens < y.closes AND y.opens < x.closes AND (x.weekdays IS NULL OR y.weekdays IS NULL OR x.weekdays && y.weekdays)
		JOIN billing.calendar k ON k.id = x.calendar_id
	LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'windows of calendar "%" overlap', hit.name USING
			ERRCODE = 'exclusion_violation',
			DETAIL = format('Day type %s has "%s" from %s to %s and "%s" from %s to %s.', hit.day_type, hit.band, hit.starts, hit.ends, hit.other_band, hit.other_starts, hit.other_ends),
			HINT = 'Let one end where the other starts, give them different weekdays, or name a day type: work or free goes before any.';
	END IF;
END $$;
COMMENT ON FUNCTION billing._check_overlap(bigint[]) IS 'Raises 23P01 when two windows of one of the calendars have the same valid_from and day type, share a weekday and overlap.';

CREATE FUNCTION billing._check_lost_bands(calendar_ids bigint[], bands text[]) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	hit record;
BEGIN
	WITH lost AS (
		SELECT DISTINCT k.id, k.name, u.band, k.is_default
		FROM unnest(calendar_ids, bands) u(calendar_id, band) JOIN billing.calendar k ON k.id = u.calendar_id
		WHERE NOT EXISTS (SELECT FROM billing.calendar_band b WHERE b.calendar_id = u.calendar_id AND b.band = u.band)
	), serves AS (
		SELECT t.id AS tariff_id, t.name, t.calendar_id FROM billing.tariff t
		UNION
		SELECT t.id, t.name, f.calendar_id
		FROM billing.tariff t CROSS JOIN LATERAL (
			SELECT f.calendar_id, coalesce(lead(f.terms_from) OVER (ORDER BY f.terms_from), t.terms_from) AS ends
			FROM billing.tariff_terms f WHERE f.tariff_id = t.id) f
		WHERE f.ends > now()
	)
	SELECT u.* INTO hit FROM (
		SELECT l.name, l.band, format('Rate %s (%s) of tariff "%s" is for it.', r.id, r.prefix, s.name) AS used
		FROM lost l JOIN serves s ON s.calendar_id = l.id JOIN billing.rate r ON r.tariff_id = s.tariff_id AND r.band = l.band
		WHERE billing._rate_in_force(r.id, now())
		UNION ALL
		SELECT l.name, l.band, format('Rate %s (%s) of DID %s is for it.', d.id, d.leg, d.number)
		FROM lost l JOIN billing.did_rate d ON d.band = l.band AND (d.calendar_id = l.id OR d.calendar_id IS NULL AND l.is_default)
		WHERE billing._did_rate_in_force(d.id, now())) u
	LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'band "%" of calendar "%" is in use and keeps a window', hit.band, hit.name USING
			ERRCODE = 'restrict_violation',
			DETAIL = hit.used,
			HINT = 'Withdraw the rates of the band first: a version with a later valid_from and withdrawn.';
	END IF;
END $$;
COMMENT ON FUNCTION billing._check_lost_bands(bigint[], text[]) IS 'Raises 23001 when one of the bands has no window left in its calendar while a rate, now or later in force, is for it.';

CREATE FUNCTION billing.keep_calendar_band() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	changed record;
	call text;
	lost_ids bigint[];
	lost_bands text[];
	since timestamptz[];
	ids bigint[];
BEGIN
	IF TG_OP = 'INSERT' THEN
		SELECT array_agg(w.calendar_id), array_agg(w.valid_from) INTO ids, since
		FROM (SELECT n.calendar_id, min(n.valid_from) AS valid_from FROM written n GROUP BY n.calendar_id) w;
	ELSIF TG_OP = 'UPDATE' THEN
		SELECT array_agg(w.calendar_id), array_agg(w.valid_from) INTO ids, since
		FROM (
			SELECT n.calendar_id, min(n.valid_from) AS valid_from
			FROM ((TABLE former EXCEPT TABLE written) UNION (TABLE written EXCEPT TABLE former)) n GROUP BY n.calendar_id) w;
		SELECT array_agg(f.calendar_id), array_agg(f.band) INTO lost_ids, lost_bands FROM former f;
	ELSE
		SELECT array_agg(w.calendar_id), array_agg(w.valid_from) INTO ids, since
		FROM (SELECT n.calendar_id, min(n.valid_from) AS valid_from FROM former n GROUP BY n.calendar_id) w;
		SELECT array_agg(f.calendar_id), array_agg(f.band) INTO lost_ids, lost_bands FROM former f;
	END IF;
	IF ids IS NULL THEN
		RETURN NULL;
	END IF;

	PERFORM FROM billing.calendar c WHERE c.id = ANY (ids) ORDER BY c.id FOR NO KEY UPDATE;
	IF TG_OP <> 'DELETE' THEN
		PERFORM billing._check_overlap(ids);
	END IF;
	IF lost_ids IS NOT NULL THEN
		PERFORM billing._check_lost_bands(lost_ids, lost_bands);
	END IF;
	FOR changed IN
		SELECT k.id, k.name, u.valid_from FROM unnest(ids, since) u(calendar_id, valid_from) JOIN billing.calendar k ON k.id = u.calendar_id
	LOOP
		call := billing._call_of_calendar(changed.id, tstzmultirange(tstzrange(changed.valid_from, NULL)));
		IF call IS NOT NULL THEN
			RAISE EXCEPTION 'windows of calendar "%" have priced calls since % and stay', changed.name, changed.valid_from USING
				ERRCODE = 'restrict_violation',
				DETAIL = format('Call %s was priced by a rate of the calendar.', call),
				HINT = 'Insert the whole new set of windows with a later valid_from; to correct the past, make another calendar and name it in an UPDATE of the tariff (calendar_id, terms_from) or in a new version of the DID rate.';
		END IF;
	END LOOP;
	RETURN NULL;
END $$;
COMMENT ON FUNCTION billing.keep_calendar_band() IS 'Statement trigger of calendar_band, with transition tables: no two windows of one day type overlap (23P01), a band in use keeps a window, and windows change only from an instant on from which no rate of the calendar has priced a call (23001, design 3).';

CREATE FUNCTION billing.keep_calendar_band_truncate() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF EXISTS (
		SELECT FROM billing.calendar_band b JOIN billing.calendar k ON k.id = b.calendar_id
		WHERE EXISTS (SELECT FROM billing.tariff t WHERE t.calendar_id = k.id)
			OR EXISTS (SELECT FROM billing.tariff_terms f WHERE f.calendar_id = k.id)
			OR EXISTS (SELECT FROM billing.did_rate d WHERE d.calendar_id = k.id OR d.calendar_id IS NULL AND k.is_default))
	THEN
		RAISE EXCEPTION 'windows of calendars in use cannot be truncated' USING
			ERRCODE = 'restrict_violation',
			DETAIL = 'A tariff or DID rate refers to their calendar.',
			HINT = 'DELETE the windows that are not in use.';
	END IF;
	RETURN NULL;
END $$;
COMMENT ON FUNCTION billing.keep_calendar_band_truncate() IS 'BEFORE TRUNCATE trigger of calendar_band: not while a tariff or DID rate refers to a calendar with windows. 23001.';

-- Bands and day types of rates.

CREATE FUNCTION billing._rate_in_force(rate_id bigint, at timestamptz) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN EXISTS (
		SELECT FROM billing.rate r
		WHERE r.id = _rate_in_force.rate_id AND NOT r.withdrawn AND NOT EXISTS (
			SELECT FROM billing.rate l
			WHERE l.tariff_id = r.tariff_id AND l.prefix OPERATOR(billing.=) r.prefix AND l.exact = r.exact AND l.day_type = r.day_type
				AND l.band IS NOT DISTINCT FROM r.band AND l.valid_from > r.valid_from AND l.valid_from <= at));
END $$;
COMMENT ON FUNCTION billing._rate_in_force(bigint, timestamptz) IS 'Whether a rate is in force at an instant or will be later: it is not withdrawn, and no later version has taken its place by then.';

CREATE FUNCTION billing._did_rate_in_force(rate_id bigint, at timestamptz) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN EXISTS (
		SELECT FROM billing.did_rate r
		WHERE r.id = _did_rate_in_force.rate_id AND NOT r.withdrawn AND NOT EXISTS (
			SELECT FROM billing.did_rate l
			WHERE l.number = r.number AND l.tenant = r.tenant AND l.leg = r.leg AND l.day_type = r.day_type
				AND l.band IS NOT DISTINCT FROM r.band AND l.valid_from > r.valid_from AND l.valid_from <= at));
END $$;
COMMENT ON FUNCTION billing._did_rate_in_force(bigint, timestamptz) IS 'Whether a DID rate is in force at an instant or will be later: it is not withdrawn, and no later version has taken its place by then.';

CREATE FUNCTION billing._refuse_band(what text, day_type text, band text, calendar text, owner text) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF calendar IS NULL THEN
		RAISE EXCEPTION '% is for day type %, but no calendar says what day it is', what || coalesce(' for band "' || band || '"', ''), day_type USING
			ERRCODE = 'check_violation',
			DETAIL = owner,
			HINT = 'Make a calendar and name it in calendar_id, or let the rate hold on any day, without a band.';
	END IF;
	RAISE EXCEPTION '% is for band "%", which calendar "%" does not define', what, band, calendar USING
		ERRCODE = 'check_violation',
		DETAIL = owner,
		HINT = 'Insert its windows into billing.calendar_band first, or use one of its bands.';
END $$;
COMMENT ON FUNCTION billing._refuse_band(text, text, text, text, text) IS 'Raises 23514 for a rate that no calendar, or no window of its calendar, can ever choose.';

CREATE FUNCTION billing._check_bands(tariff_id bigint, rate_ids bigint[]) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	hit record;
BEGIN
	PERFORM FROM billing.calendar k
	WHERE k.id IN (
		SELECT t.calendar_id FROM billing.tariff t
		WHERE t.id = _check_bands.tariff_id OR t.id IN (SELECT r.tariff_id FROM billing.rate r WHERE r.id = ANY (rate_ids)))
	ORDER BY k.id FOR SHARE;
	SELECT r.id, r.prefix, r.day_type, r.band, k.name AS calendar, t.name INTO hit
	FROM billing.rate r JOIN billing.tariff t ON t.id = r.tariff_id LEFT JOIN billing.calendar k ON k.id = t.calendar_id
	WHERE (r.id = ANY (rate_ids) OR r.tariff_id = _check_bands.tariff_id) AND (r.day_type <> 'any' OR r.band IS NOT NULL) AND NOT r.withdrawn
		AND (k.id IS NULL OR r.band IS NOT NULL AND NOT EXISTS (SELECT FROM billing.calendar_band b WHERE b.calendar_id = k.id AND b.band = r.band))
		AND (r.id = ANY (rate_ids) OR billing._rate_in_force(r.id, greatest(now(), t.terms_from)))
	LIMIT 1;
	IF FOUND THEN
		PERFORM billing._refuse_band(format('rate %s (%s)', hit.id, hit.prefix), hit.day_type, hit.band, hit.calendar,
			CASE WHEN hit.calendar IS NULL THEN format('Tariff "%s" has no calendar.', hit.name) ELSE format('It is the calendar of tariff "%s".', hit.name) END);
	END IF;
END $$;
COMMENT ON FUNCTION billing._check_bands(bigint, bigint[]) IS 'Raises 23514 when one of the rates, or one of the tariff that is in force when its present terms are, has a day type or band without a calendar, or a band that no window of the calendar defines.';

-- DID rates.

CREATE FUNCTION billing.canonical_did() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	NEW.number := regexp_replace(NEW.number, '^\+', '');
	IF NEW.number !~ '^[0-9*#A-D]+$' THEN
		RAISE EXCEPTION 'number "%" is not a number', NEW.number USING
			ERRCODE = 'invalid_text_representation',
			DETAIL = 'Dialled symbols are expected: 0-9, *, #, A-D, with or without a leading +.',
			HINT = 'Write it as the service of kind did has it.';
	END IF;
	RETURN NEW;
END $$;
COMMENT ON FUNCTION billing.canonical_did() IS 'BEFORE INSERT or UPDATE row trigger of did_rate: the number without +, as in billing.service. 22P02.';

CREATE FUNCTION billing.check_did_rate() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	hit record;
BEGIN
	-- The calendar keeps its windows, and the default calendar stays the default, until this has ended.
	PERFORM FROM billing.calendar k
	WHERE k.id IN (
		SELECT coalesce(w.calendar_id, (SELECT d.id FROM billing.calendar d WHERE d.is_default))
		FROM written w WHERE (w.day_type <> 'any' OR w.band IS NOT NULL) AND NOT w.withdrawn)
	ORDER BY k.id FOR SHARE;
	SELECT w.id, w.number, w.leg, w.day_type, w.band, w.calendar_id, k.name AS calendar INTO hit
	FROM written w LEFT JOIN billing.calendar k ON k.id = coalesce(w.calendar_id, (SELECT d.id FROM billing.calendar d WHERE d.is_default))
	WHERE (w.day_type <> 'any' OR w.band IS NOT NULL) AND NOT w.withdrawn
		AND (k.id IS NULL OR w.band IS NOT NULL AND NOT EXISTS (SELECT FROM billing.calendar_band b WHERE b.calendar_id = k.id AND b.band = w.band))
	LIMIT 1;
	IF FOUND THEN
		PERFORM billing._refuse_band(format('rate %s of DID %s (%s)', hit.id, hit.number, hit.leg), hit.day_type, hit.band, hit.calendar,
			CASE WHEN hit.calendar IS NULL THEN 'It names no calendar, and there is no default calendar.'
				WHEN hit.calendar_id IS NULL THEN 'It is the default calendar.' END);
	END IF;
	RETURN NULL;
END $$;
COMMENT ON FUNCTION billing.check_did_rate() IS 'Statement trigger of did_rate, with a transition table: a day type or band needs a calendar, its own or the default one, whose windows define the band (23514).';

CREATE FUNCTION billing.keep_did_rate() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	ids bigint[];
	hit record;
BEGIN
	IF TG_OP = 'DELETE' THEN
		ids := ARRAY(SELECT f.id FROM former f);
	ELSIF TG_OP = 'TRUNCATE' THEN
		ids := ARRAY(SELECT d.id FROM billing.did_rate d);
	ELSE
		-- What correct_rate() has put on record in this very transaction may pass.
		ids := ARRAY(
			SELECT f.id
			FROM former f LEFT JOIN written w ON w.id = f.id
			WHERE to_jsonb(w) IS DISTINCT FROM to_jsonb(f) AND NOT EXISTS (
				SELECT FROM billing._present_corrections() c
				WHERE c.rate_id = f.id AND c.old = to_jsonb(f) AND c.new = to_jsonb(w)));
	END IF;
	IF ids = '{}' THEN
		RETURN NULL;
	END IF;

	hit := billing._call_naming_rate(ids);
	IF hit.rate_id IS NOT NULL THEN
		RAISE EXCEPTION 'DID rate % has priced calls and cannot be %', hit.rate_id,
			CASE TG_OP WHEN 'UPDATE' THEN 'changed' ELSE 'deleted' END USING
			ERRCODE = 'restrict_violation',
			DETAIL = format('Call %s names it.', hit.call),
			HINT = 'Insert a version with a later valid_from (withdrawn, if it shall end), or correct a mistake with billing.correct_rate().';
	END IF;
	RETURN NULL;
END $$;
COMMENT ON FUNCTION billing.keep_did_rate() IS 'Statement trigger of did_rate, with transition tables: a DID rate that a call names never changes nor vanishes (design 3). 23001.';
