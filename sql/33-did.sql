-- DIDs: prices by kind of day (K12), and numbers that change hands (D4).

CREATE FUNCTION billing._did_price(rate jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
RETURN rate - '{id,day_type,valid_from,withdrawn}'::text[];
COMMENT ON FUNCTION billing._did_price(jsonb) IS 'What a row of did_rate says of prices: all of it but its id, day type, valid_from and withdrawn.';

CREATE FUNCTION billing._did_course(number text, tenant text, leg text, at timestamptz,
	OUT leg_of text, OUT band text, OUT instant timestamptz, OUT work jsonb, OUT free jsonb, OUT any_day jsonb, OUT specific boolean)
RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	WITH mine AS (
		SELECT d.* FROM billing.did_rate d
		WHERE d.number = _did_course.number AND d.tenant = _did_course.tenant AND (_did_course.leg IS NULL OR d.leg = _did_course.leg)
	), turn AS (
		SELECT DISTINCT m.leg, m.band, greatest(m.valid_from, _did_course.at) AS instant FROM mine m
	), held AS (
		SELECT t.leg, t.band, t.instant, k.day_type, (
			SELECT CASE WHEN NOT m.withdrawn THEN to_jsonb(m) END
			FROM mine m
			WHERE m.leg = t.leg AND m.band IS NOT DISTINCT FROM t.band AND m.day_type = k.day_type AND m.valid_from <= t.instant
			ORDER BY m.valid_from DESC LIMIT 1) AS rate
		FROM turn t CROSS JOIN unnest(ARRAY['any', 'work', 'free']) k(day_type)
	), met AS (
		SELECT h.leg, h.band, h.instant, (jsonb_agg(h.rate) FILTER (WHERE h.day_type = 'any')) -> 0 AS any_day,
			(jsonb_agg(h.rate) FILTER (WHERE h.day_type = 'work')) -> 0 AS work, (jsonb_agg(h.rate) FILTER (WHERE h.day_type = 'free')) -> 0 AS free
		FROM held h GROUP BY h.leg, h.band, h.instant
	)
	SELECT m.leg, m.band, m.instant, nullif(coalesce(nullif(m.work, 'null'), m.any_day), 'null'), nullif(coalesce(nullif(m.free, 'null'), m.any_day), 'null'),
		nullif(m.any_day, 'null'), m.work <> 'null' OR m.free <> 'null'
	FROM met m ORDER BY 1, 2, 3;
END $$;
COMMENT ON FUNCTION billing._did_course(text, text, text, timestamptz, OUT text, OUT text, OUT timestamptz, OUT jsonb, OUT jsonb, OUT jsonb, OUT boolean) IS 'For each leg and band of a DID, at an instant and whenever it changes later: the row of did_rate by which work days and free days are priced, the one of day type any, whether work or free have one of their own.';

CREATE FUNCTION billing._redraw_did_rate(number text, tenant text, leg text, at timestamptz, wanted jsonb) RETURNS integer
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	drawn jsonb;
	written integer;
BEGIN
	-- One row where a price begins, or, as a withdrawn copy, ends; none where all goes on as before.
	WITH want AS (
		SELECT w.*, lag(billing._did_price(w.rate)) OVER k AS former, row_number() OVER k = 1 AS first
		FROM jsonb_to_recordset(wanted) w(leg text, band text, day_type text, instant timestamptz, rate jsonb)
		WINDOW k AS (PARTITION BY w.leg, w.band, w.day_type ORDER BY w.instant)
	), stands AS (
		SELECT w.*, s.rate AS present FROM want w LEFT JOIN LATERAL (
			SELECT to_jsonb(d) AS rate FROM billing.did_rate d
			WHERE d.number = _redraw_did_rate.number AND d.tenant = _redraw_did_rate.tenant AND d.leg = w.leg
				AND d.band IS NOT DISTINCT FROM w.band AND d.day_type = w.day_type AND d.valid_from <= _redraw_did_rate.at
			ORDER BY d.valid_from DESC LIMIT 1) s ON w.first
	), change AS (
		SELECT s.day_type, s.instant, coalesce(s.rate, s.former, s.present) AS rate, s.rate IS NULL AS withdrawn
		FROM stands s
		WHERE CASE WHEN NOT s.first THEN billing._did_price(s.rate) IS DISTINCT FROM s.former
			WHEN s.present IS NULL OR (s.present ->> 'withdrawn')::boolean THEN s.rate IS NOT NULL
			ELSE billing._did_price(s.rate) IS DISTINCT FROM billing._did_price(s.present) END
	)
	SELECT jsonb_agg(c.rate - 'id' || jsonb_build_object('day_type', c.day_type, 'valid_from', c.instant, 'withdrawn', c.withdrawn)
		|| jsonb_build_object('number', _redraw_did_rate.number, 'tenant', _redraw_did_rate.tenant))
	INTO drawn FROM change c;

	DELETE FROM billing.did_rate d
	WHERE d.number = _redraw_did_rate.number AND d.tenant = _redraw_did_rate.tenant AND (_redraw_did_rate.leg IS NULL OR d.leg = _redraw_did_rate.leg)
		AND d.valid_from > _redraw_did_rate.at;
	INSERT INTO billing.did_rate AS d (leg, tenant, number, day_type, band, valid_from, currency, calendar_id, price, first_price, connect_fee, attempt_fee,
		first_increment, next_increment, increment_rule, grace_seconds, free_seconds, min_amount, max_amount, surcharge_percent, boundary,
		duration_rounding, rounding_digits, rounding_mode, withdrawn)
	SELECT n.leg, n.tenant, n.number, n.day_type, n.band, n.valid_from, n.currency, n.calendar_id, n.price, n.first_price, n.connect_fee, n.attempt_fee,
		n.first_increment, n.next_increment, n.increment_rule, n.grace_seconds, n.free_seconds, n.min_amount, n.max_amount, n.surcharge_percent, n.boundary,
		n.duration_rounding, n.rounding_digits, n.rounding_mode, n.withdrawn
	FROM jsonb_populate_recordset(NULL::billing.did_rate, drawn) n
	ON CONFLICT ON CONSTRAINT did_rate_key DO UPDATE SET (currency, calendar_id, price, first_price, connect_fee, attempt_fee,
		first_increment, next_increment, increment_rule, grace_seconds, free_seconds, min_amount, max_amount, surcharge_percent, boundary,
		duration_rounding, rounding_digits, rounding_mode, withdrawn) = (EXCLUDED.currency, EXCLUDED.calendar_id, EXCLUDED.price, EXCLUDED.first_price,
		EXCLUDED.connect_fee, EXCLUDED.attempt_fee, EXCLUDED.first_increment, EXCLUDED.next_increment, EXCLUDED.increment_rule, EXCLUDED.grace_seconds,
		EXCLUDED.free_seconds, EXCLUDED.min_amount, EXCLUDED.max_amount, EXCLUDED.surcharge_percent, EXCLUDED.boundary, EXCLUDED.duration_rounding,
		EXCLUDED.rounding_digits, EXCLUDED.rounding_mode, EXCLUDED.withdrawn);
	GET DIAGNOSTICS written = ROW_COUNT;
	RETURN written;
END $$;
COMMENT ON FUNCTION billing._redraw_did_rate(text, text, text, timestamptz, jsonb) IS 'Writes the versions of a DID''s prices from an instant on so that they are as wanted: an array of leg, band, day_type, instant and rate (a row of did_rate, null: none), one for each instant at which any of them changes. Returns how many rows it wrote. 23001 when a call names a version that would go.';

CREATE FUNCTION billing._known_did(number text, tenant text, leg text, at timestamptz) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	canonical CONSTANT text := regexp_replace(number, '^\+', '');
BEGIN
	PERFORM billing._require_ledger();
	IF leg NOT IN ('did_incoming', 'did_owner', 'did_provider') OR at IS NULL OR at = 'infinity' THEN
		RAISE EXCEPTION 'leg "%" or instant % is not possible', leg, coalesce(at::text, 'null') USING
			ERRCODE = 'invalid_parameter_value',
			DETAIL = 'The legs of a DID are did_incoming, did_owner and did_provider; null is all of them.',
			HINT = 'Give the instant from which on it shall hold, such as now().';
	END IF;
	PERFORM FROM billing.did_rate d
	WHERE d.number = canonical AND d.tenant = _known_did.tenant AND (_known_did.leg IS NULL OR d.leg = _known_did.leg) ORDER BY d.id FOR UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'DID "%"% has no price%', canonical, coalesce(' of tenant "' || nullif(tenant, '') || '"', ''), coalesce(' for ' || leg, '') USING
			ERRCODE = 'no_data_found',
			HINT = 'Insert it into billing.did_rate.';
	END IF;
	RETURN canonical;
END $$;
COMMENT ON FUNCTION billing._known_did(text, text, text, timestamptz) IS 'The number without +, its prices locked. P0002 when it has none, 22023 for a leg or instant that is none, 55000 without a ledger.';

CREATE FUNCTION billing.split_did_rate(number text, tenant text DEFAULT '', leg text DEFAULT NULL, at timestamptz DEFAULT now()) RETURNS integer
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	canonical CONSTANT text := billing._known_did(number, tenant, leg, at);
	wanted jsonb;
BEGIN
	-- A kind of day that has a price of its own keeps it; any ends, in each band that has it, also what was to come.
	SELECT jsonb_agg(jsonb_build_object('leg', c.leg_of, 'band', c.band, 'day_type', k.day_type, 'instant', c.instant, 'rate',
		CASE k.day_type WHEN 'work' THEN c.work WHEN 'free' THEN c.free END))
	INTO wanted
	FROM billing._did_course(canonical, tenant, leg, at) c CROSS JOIN unnest(ARRAY['any', 'work', 'free']) k(day_type)
	HAVING bool_or(c.any_day IS NOT NULL);
	IF wanted IS NULL THEN
		RAISE EXCEPTION 'DID "%" has no price of day type any to split', canonical USING
			ERRCODE = 'no_data_found',
			DETAIL = format('None is in force at %s or later.', at),
			HINT = 'It may be split already.';
	END IF;
	RETURN billing._redraw_did_rate(canonical, tenant, leg, at, wanted);
END $$;
COMMENT ON FUNCTION billing.split_did_rate(text, text, text, timestamptz) IS 'Makes prices for work days and for free days out of those for any day, from an instant on (K12): for one leg or all (null), with and without band, present versions and those to come. The price of no call changes; a kind of day that has a price already keeps it. Returns how many rows of billing.did_rate were written. P0002 when there is nothing to split, 23514 without a calendar, 23001 when a call names a version that would go (at lies in the past), 22023, 55000.';
REVOKE ALL ON FUNCTION billing.split_did_rate(text, text, text, timestamptz) FROM PUBLIC;

CREATE FUNCTION billing.combine_did_rate(number text, keep text DEFAULT NULL, tenant text DEFAULT '', leg text DEFAULT NULL, at timestamptz DEFAULT now())
RETURNS integer
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	canonical CONSTANT text := billing._known_did(number, tenant, leg, at);
	differs record;
	wanted jsonb;
BEGIN
	IF keep NOT IN ('work', 'free') THEN
		RAISE EXCEPTION 'prices of "%" days cannot be kept', keep USING
			ERRCODE = 'invalid_parameter_value',
			HINT = 'Use keep => ''work'' or keep => ''free''.';
	END IF;
	IF keep IS NULL THEN
		SELECT c.* INTO differs FROM billing._did_course(canonical, tenant, leg, at) c
		WHERE billing._did_price(c.work) IS DISTINCT FROM billing._did_price(c.free) LIMIT 1;
		IF FOUND THEN
			RAISE EXCEPTION 'DID "%" has other prices on work days than on free days', canonical USING
				ERRCODE = 'invalid_parameter_value',
				DETAIL = format('From %s on, %s%s is %s on work days and %s on free days, or another of its columns differs.', differs.instant, differs.leg_of,
					coalesce(', band ' || differs.band, ''), coalesce(differs.work ->> 'price', 'not priced'), coalesce(differs.free ->> 'price', 'not priced')),
				HINT = 'Say which of them are to stay: keep => ''work'' or keep => ''free''.';
		END IF;
	END IF;
	SELECT jsonb_agg(jsonb_build_object('leg', c.leg_of, 'band', c.band, 'day_type', k.day_type, 'instant', c.instant, 'rate',
		CASE WHEN k.day_type <> 'any' THEN NULL WHEN keep = 'free' THEN c.free ELSE c.work END))
	INTO wanted
	FROM billing._did_course(canonical, tenant, leg, at) c CROSS JOIN unnest(ARRAY['any', 'work', 'free']) k(day_type)
	HAVING bool_or(c.specific);
	IF wanted IS NULL THEN
		RAISE EXCEPTION 'DID "%" has no prices of work days or free days to combine', canonical USING
			ERRCODE = 'no_data_found',
			DETAIL = format('None is in force at %s or later.', at),
			HINT = 'Its prices hold on any day already.';
	END IF;
	RETURN billing._redraw_did_rate(canonical, tenant, leg, at, wanted);
END $$;
COMMENT ON FUNCTION billing.combine_did_rate(text, text, text, text, timestamptz) IS 'Makes prices for any day out of those for work days and free days, from an instant on (K12): the way back from split_did_rate(). keep says whose prices survive, work or free; null is only possible where they are equal, now and in all versions to come. Versions of work and free end by withdrawn ones. Returns how many rows of billing.did_rate were written. 22023 when the prices differ and keep is null, P0002 when there is nothing to combine, 23001 when a call names a version that would go (at lies in the past), 55000.';
REVOKE ALL ON FUNCTION billing.combine_did_rate(text, text, text, text, timestamptz) FROM PUBLIC;

-- DIDs that change hands.

CREATE FUNCTION billing._move_did(number text, account_id bigint, tenant text, at timestamptz, out_payment numeric, cost_center text) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	canonical CONSTANT text := regexp_replace(number, '^\+', '');
	present record;
	moved bigint;
BEGIN
	PERFORM billing._require_ledger();
	IF at IS NULL OR NOT isfinite(at) THEN
		RAISE EXCEPTION 'a DID changes hands at an instant, not at %', coalesce(at::text, 'null') USING
			ERRCODE = 'invalid_parameter_value',
			HINT = 'Give the instant from which on it shall hold, such as now().';
	END IF;
	SELECT s.* INTO present FROM billing.service s
	WHERE s.side = 'customer' AND s.kind = 'did' AND s.identifier = canonical AND s.tenant = _move_did.tenant AND s.active @> at FOR UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no DID "%"% at %', canonical, coalesce(' of tenant "' || nullif(tenant, '') || '"', ''), at USING
			ERRCODE = 'no_data_found',
			DETAIL = 'No service of kind did with this number is active then.',
			HINT = 'Insert it into billing.service, without account_id for the stock.';
	END IF;
	IF present.account_id IS NOT DISTINCT FROM _move_did.account_id THEN
		RAISE EXCEPTION 'DID "%" is % already', canonical, CASE WHEN account_id IS NULL THEN 'in stock' ELSE format('with account %s', account_id) END USING
			ERRCODE = 'object_not_in_prerequisite_state',
			DETAIL = format('Service %s is active in %s.', present.id, present.active),
			HINT = 'Nothing has to be done, or at is wrong.';
	END IF;

	IF lower(present.active) = at THEN
		-- It would have held for no time.
		DELETE FROM billing.service s WHERE s.id = present.id;
	ELSE
		UPDATE billing.service s SET active = tstzrange(lower(present.active), at, CASE WHEN lower_inc(present.active) THEN '[)' ELSE '()' END) WHERE s.id = present.id;
	END IF;
	-- What an account has agreed on goes with the account; what stock carries comes along.
	INSERT INTO billing.service (account_id, side, kind, identifier, tenant, provider_id, cost_center, max_channels, monthly_fee, out_payment, active, attributes)
	VALUES (_move_did.account_id, 'customer', 'did', canonical, _move_did.tenant, present.provider_id, _move_did.cost_center, present.max_channels,
		CASE WHEN present.account_id IS NULL THEN present.monthly_fee ELSE 0 END,
		coalesce(_move_did.out_payment, CASE WHEN present.account_id IS NULL THEN present.out_payment ELSE 0 END),
		tstzrange(at, upper(present.active), CASE WHEN upper_inc(present.active) THEN '[]' ELSE '[)' END), present.attributes)
	RETURNING id INTO moved;
	RETURN moved;
END $$;
COMMENT ON FUNCTION billing._move_did(text, bigint, text, timestamptz, numeric, text) IS 'Ends the service of a DID at an instant and begins another for an account, or for the stock when account_id is null. The range of the new one ends where the former one''s did.';

CREATE FUNCTION billing.assign_did(number text, account_id bigint, tenant text DEFAULT '', at timestamptz DEFAULT now(),
	out_payment numeric DEFAULT NULL, cost_center text DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF account_id IS NULL THEN
		RAISE EXCEPTION 'a DID is assigned to an account' USING
			ERRCODE = 'invalid_parameter_value',
			HINT = 'Use billing.release_did() to take it back to stock.';
	END IF;
	RETURN billing._move_did(number, account_id, tenant, at, out_payment, cost_center);
END $$;
COMMENT ON FUNCTION billing.assign_did(text, bigint, text, timestamptz, numeric, text) IS 'Gives a DID, from stock or from another account, to an account from an instant on (D3, D4): the present service ends there, another begins; two are never active at once, and the prices stay, for they belong to the number. Provider, max_channels and attributes come along; out_payment (per minute, in the currency of the account) and monthly_fee come from stock, but not from another account. Returns the new service. P0002 when no such DID is active then, 55000 when the account has it already, 23P01 when the number is given away later, 23503 for an unknown account, 22023.';
REVOKE ALL ON FUNCTION billing.assign_did(text, bigint, text, timestamptz, numeric, text) FROM PUBLIC;

CREATE FUNCTION billing.release_did(number text, tenant text DEFAULT '', at timestamptz DEFAULT now()) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN billing._move_did(number, NULL, tenant, at, NULL, NULL);
END $$;
COMMENT ON FUNCTION billing.release_did(text, text, timestamptz) IS 'Takes a DID back to stock from an instant on (D4): the service of its account ends there, one without account begins; provider and prices stay, out_payment and monthly_fee end with the account. Returns the new service. P0002 when no such DID is active then, 55000 when it is in stock already, 22023.';
REVOKE ALL ON FUNCTION billing.release_did(text, text, timestamptz) FROM PUBLIC;
