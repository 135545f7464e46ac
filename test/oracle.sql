-- The charge of a call, slow and obvious: PL/pgSQL and numeric, an increment at a time, wall clocks by AT TIME ZONE.
-- It reads the catalogue's tables, and calls no function, operator or type of the extension: where a table holds
-- the type prefix it reads oracle_rate, the same rows with the prefix as text, from which the test fills billing.rate.

CREATE TEMP TABLE oracle_rate (id bigint PRIMARY KEY, tariff_id bigint, prefix text, exact boolean, day_type text, band text, valid_from timestamptz,
	price numeric, first_price numeric, connect_fee numeric, attempt_fee numeric, first_increment int, next_increment int, increment_rule text, grace_seconds int, free_seconds int,
	min_amount numeric, max_amount numeric, surcharge_percent numeric, boundary text, duration_rounding text, rounding_digits smallint, rounding_mode text,
	blocked boolean, withdrawn boolean);
CREATE INDEX ON oracle_rate (tariff_id);

-- The calls to be priced, and each list with its base and the base's base.
CREATE TEMP TABLE oracle_call (i int PRIMARY KEY, list bigint, number text, answered boolean, seconds numeric, at timestamptz, currency text);
CREATE TEMP TABLE oracle_chain (list bigint, depth int, member bigint, calendar_id bigint, PRIMARY KEY (list, depth));

-- Day type and band of every half minute that a call touches, such as 'work peak' (readings 14, 16, 17, 18). Clocks change, and windows begin and end,
-- on whole half minutes. windows_from names the set of windows that is in force when the call starts.
CREATE TEMP TABLE oracle_half_minute (calendar_id bigint, windows_from timestamptz, at timestamptz, day text, PRIMARY KEY (calendar_id, windows_from, at));
-- The half minutes of a call in which the days of its lists are others than before, the first one included.
CREATE TEMP TABLE oracle_day (i int, at timestamptz, days text[], PRIMARY KEY (i, at));

CREATE FUNCTION pg_temp.oracle_look_at_clocks() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO oracle_chain WITH RECURSIVE c AS (
		SELECT t.id AS list, 0 AS depth, t.id, t.calendar_id, t.base_tariff_id FROM billing.tariff AS t
		UNION ALL SELECT c.list, c.depth + 1, t.id, t.calendar_id, t.base_tariff_id FROM c JOIN billing.tariff AS t ON t.id = c.base_tariff_id)
	SELECT list, depth, id, calendar_id FROM c;

	CREATE TEMP TABLE touched AS SELECT c.i, l.depth, l.calendar_id, f.windows_from, half.at
	FROM oracle_call AS c JOIN oracle_chain AS l USING (list) CROSS JOIN LATERAL (SELECT coalesce(max(b.valid_from), '-infinity') AS windows_from FROM billing.calendar_band AS b WHERE b.calendar_id = l.calendar_id AND b.valid_from <= c.at) AS f
		CROSS JOIN LATERAL generate_series(date_bin('30 seconds', c.at, '2000-01-01 00:00+00'), c.at + make_interval(secs => ceil(c.seconds)), '30 seconds') AS half (at);
	ANALYZE touched;

	INSERT INTO oracle_half_minute
	SELECT t.calendar_id, t.windows_from, t.at, concat_ws(' ', d.day_type, (SELECT b.band FROM billing.calendar_band AS b
		WHERE b.calendar_id = t.calendar_id AND b.valid_from = t.windows_from AND b.day_type IN ('any', d.day_type) AND (b.weekdays IS NULL OR w.weekday = ANY (b.weekdays))
			AND CASE WHEN b.starts < b.ends THEN clock::time >= b.starts AND clock::time < b.ends ELSE clock::time >= b.starts OR clock::time < b.ends END
		ORDER BY b.day_type = 'any' LIMIT 1))
	FROM (SELECT DISTINCT calendar_id, windows_from, at FROM touched) AS t JOIN billing.calendar AS c ON c.id = t.calendar_id
		CROSS JOIN LATERAL (SELECT t.at AT TIME ZONE c.timezone AS clock OFFSET 0) AS wall
		CROSS JOIN LATERAL (SELECT extract(isodow FROM clock) AS weekday OFFSET 0) AS w
		CROSS JOIN LATERAL (SELECT coalesce((SELECT o.day_type FROM billing.calendar_day AS o WHERE o.calendar_id = c.id AND o.date = clock::date),
			CASE WHEN weekday = ANY (c.free_weekdays) THEN 'free' ELSE 'work' END) AS day_type OFFSET 0) AS d;
	ANALYZE oracle_half_minute;

	INSERT INTO oracle_day SELECT i, at, days FROM (SELECT i, at, days, lag(days) OVER (PARTITION BY i ORDER BY at) AS former
		FROM (SELECT i, t.at, array_agg(coalesce(day, 'any') ORDER BY depth) AS days FROM touched AS t LEFT JOIN oracle_half_minute USING (calendar_id, windows_from, at) GROUP BY i, t.at) AS a) AS b
	WHERE days IS DISTINCT FROM former;
	ANALYZE oracle_day, oracle_chain;
END $$;

-- The rate for a number by a list, else by its base: the versions of rated_at that fit the day of each list's own calendar (design 5.4).
CREATE FUNCTION pg_temp.oracle_match(list bigint, days text[], number text, rated_at timestamptz) RETURNS bigint LANGUAGE sql STABLE AS $$
	SELECT v.id FROM (
		SELECT DISTINCT ON (l.depth, r.prefix, r.exact, r.day_type, r.band) l.depth, r.* FROM oracle_chain AS l JOIN oracle_rate AS r ON r.tariff_id = l.member
		WHERE l.list = oracle_match.list AND r.valid_from <= rated_at
			AND CASE WHEN r.exact THEN r.prefix = number ELSE r.prefix = left(number, length(r.prefix)) END
			AND r.day_type IN ('any', split_part(days[l.depth + 1], ' ', 1)) AND (r.band IS NULL OR r.band = split_part(days[l.depth + 1], ' ', 2))
		ORDER BY l.depth, r.prefix, r.exact, r.day_type, r.band, r.valid_from DESC) AS v
	WHERE NOT v.withdrawn
	ORDER BY v.depth, v.exact DESC, length(v.prefix) DESC, v.band IS NULL, v.day_type = 'any' LIMIT 1
$$;

-- A rate with what it inherits from its tariff.
CREATE FUNCTION pg_temp.oracle_terms(rate_id bigint) RETURNS oracle_rate LANGUAGE sql STABLE AS $$
	SELECT r.id, r.tariff_id, r.prefix, r.exact, r.day_type, r.band, r.valid_from, r.price, coalesce(r.first_price, r.price),
		coalesce(r.connect_fee, t.connect_fee), coalesce(r.attempt_fee, t.attempt_fee), coalesce(r.first_increment, t.first_increment),
		coalesce(r.next_increment, t.next_increment), coalesce(r.increment_rule, t.increment_rule), coalesce(r.grace_seconds, t.grace_seconds),
		coalesce(r.free_seconds, t.free_seconds), coalesce(r.min_amount, t.min_amount), coalesce(r.max_amount, t.max_amount),
		coalesce(r.surcharge_percent, t.surcharge_percent), coalesce(r.boundary, t.boundary), coalesce(r.duration_rounding, t.duration_rounding),
		coalesce(r.rounding_digits, t.rounding_digits), coalesce(r.rounding_mode, t.rounding_mode), r.blocked, r.withdrawn
	FROM oracle_rate AS r JOIN billing.tariff AS t ON t.id = r.tariff_id WHERE r.id = rate_id
$$;

-- Rounds value / divisor to so many digits (reading 39); the quotient and what remains of it are exact.
CREATE FUNCTION pg_temp.oracle_round(value numeric, divisor numeric, digits int, mode text) RETURNS numeric LANGUAGE plpgsql STABLE AS $$
DECLARE
	unit numeric := CASE WHEN digits < 0 THEN ('1' || repeat('0', -digits))::numeric ELSE round(0.1 ^ digits, digits) END;
	units numeric := div(abs(value), divisor * unit);
	twice_rest numeric := 2 * (abs(value) - units * divisor * unit);
BEGIN
	RETURN (units + CASE mode
		WHEN 'up' THEN (twice_rest > 0)::int
		WHEN 'down' THEN 0
		WHEN 'half_up' THEN (twice_rest >= divisor * unit)::int
		WHEN 'half_even' THEN (twice_rest > divisor * unit OR (twice_rest = divisor * unit AND mod(units, 2) = 1))::int
	END) * unit * CASE WHEN value < 0 THEN -1 ELSE 1 END;
END $$;

-- The customer's leg of a call, in the currency of the account (design 5.5).
CREATE FUNCTION pg_temp.oracle_charge(c oracle_call, OUT rate_id bigint, OUT billsec bigint, OUT amount numeric, OUT reason text) LANGUAGE plpgsql STABLE AS $$
DECLARE
	starting oracle_rate;	-- the rate in force when the call starts: its terms hold for the whole call
	present oracle_rate;	-- the one whose price and increment the next increment takes
	later oracle_rate;
	seconds numeric;
	pos bigint;				-- where the next increment starts, in seconds of the call
	changes oracle_day[] := ARRAY(SELECT d FROM oracle_day AS d WHERE d.i = c.i ORDER BY d.at);
	next_change int := 2;
	price numeric;
	increment int;
	sixty numeric;			-- sixty times the money of the time
	of_list text := (SELECT t.currency FROM billing.tariff AS t WHERE t.id = c.list);
	multiplier numeric := 1;
	divisor numeric := 1;
BEGIN
	starting := pg_temp.oracle_terms(pg_temp.oracle_match(c.list, changes[1].days, c.number, c.at));
	IF starting.id IS NULL THEN
		reason := 'no_rate';
		IF NOT c.answered THEN
			billsec := 0;
			amount := 0;
		END IF;
		RETURN;
	ELSIF starting.blocked THEN
		reason := 'blocked';
		RETURN;
	END IF;
	rate_id := starting.id;

	IF of_list <> c.currency THEN
		SELECT e.rate INTO multiplier FROM billing.exchange_rate AS e WHERE e.base = of_list AND e.quote = c.currency AND e.valid_from <= c.at ORDER BY e.valid_from DESC LIMIT 1;
		IF NOT FOUND THEN
			multiplier := 1;
			SELECT e.rate INTO STRICT divisor FROM billing.exchange_rate AS e WHERE e.base = c.currency AND e.quote = of_list AND e.valid_from <= c.at ORDER BY e.valid_from DESC LIMIT 1;
		END IF;
	END IF;

	billsec := 0;
	amount := 0;
	IF NOT c.answered THEN
		amount := pg_temp.oracle_round(starting.attempt_fee * multiplier, divisor, starting.rounding_digits, starting.rounding_mode);
		RETURN;
	END IF;
	seconds := CASE WHEN c.seconds = 0 THEN 0 WHEN starting.duration_rounding = 'up' THEN ceil(c.seconds)
		WHEN starting.duration_rounding = 'half_up' THEN greatest(1, floor(c.seconds + 0.5)) ELSE c.seconds END;
	IF seconds <= starting.grace_seconds OR seconds = 0 THEN
		RETURN;
	END IF;

	IF starting.increment_rule = 'aligned' THEN
		billsec := ceil(greatest(seconds, starting.first_increment) / starting.next_increment) * starting.next_increment;
		sixty := starting.first_price * least(starting.first_increment, billsec) + starting.price * (billsec - least(starting.first_increment, billsec));
	ELSE
		billsec := starting.first_increment;
		sixty := starting.first_price * starting.first_increment;
		pos := starting.first_increment + starting.free_seconds;
		present := starting;
		WHILE pos < seconds LOOP
			-- Where there is no rate, or a blocked one, the price before goes on.
			WHILE starting.boundary = 'split' AND changes[next_change].at <= c.at + make_interval(secs => pos) LOOP
				later := pg_temp.oracle_terms(pg_temp.oracle_match(c.list, changes[next_change].days, c.number, c.at));
				IF later.id IS NOT NULL AND NOT later.blocked THEN
					present := later;
				END IF;
				next_change := next_change + 1;
			END LOOP;
			SELECT s.price, s.increment INTO price, increment FROM billing.rate_step AS s WHERE s.rate_id = present.id AND s.from_second <= pos ORDER BY s.from_second DESC LIMIT 1;
			IF NOT FOUND THEN
				price := present.price;
				increment := present.next_increment;
			END IF;
			billsec := billsec + increment;
			sixty := sixty + price * increment;
			pos := pos + increment;
		END LOOP;
	END IF;

	sixty := (starting.connect_fee * 60 + sixty) * (1 + starting.surcharge_percent * 0.01);
	IF abs(sixty) < starting.min_amount * 60 THEN
		sixty := starting.min_amount * 60 * CASE WHEN sixty < 0 THEN -1 ELSE 1 END;
	END IF;
	IF abs(sixty) > starting.max_amount * 60 THEN
		sixty := starting.max_amount * 60 * CASE WHEN sixty < 0 THEN -1 ELSE 1 END;
	END IF;
	amount := pg_temp.oracle_round(sixty * multiplier, 60 * divisor, starting.rounding_digits, starting.rounding_mode);
	IF abs(amount) >= 1000000000000 THEN
		amount := NULL;
		reason := 'amount_out_of_range';
	END IF;
END $$;
