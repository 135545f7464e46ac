-- One currency for reports (C28, readings 38 and 39): amounts stand in the currencies of their accounts, and are
-- converted when somebody asks, by the exchange rate in force when the money came about.

CREATE FUNCTION billing.exchange(amount numeric, base text, quote text, at timestamptz DEFAULT now()) RETURNS numeric
LANGUAGE plpgsql STABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	rate numeric;
BEGIN
	IF base = quote THEN
		RETURN round(amount, 8);
	END IF;
	SELECT x.rate INTO rate FROM billing.exchange_rate x
	WHERE x.base = exchange.base AND x.quote = exchange.quote AND x.valid_from <= exchange.at ORDER BY x.valid_from DESC LIMIT 1;
	IF FOUND THEN
		RETURN round(amount * rate, 8);
	END IF;
	SELECT x.rate INTO rate FROM billing.exchange_rate x
	WHERE x.base = exchange.quote AND x.quote = exchange.base AND x.valid_from <= exchange.at ORDER BY x.valid_from DESC LIMIT 1;
	-- The quotient plus a half, cut off: amount / rate would be rounded once before round().
	RETURN sign(amount) * div(200000000 * abs(amount) + rate, 2 * rate) * 0.00000001;
END $$;
COMMENT ON FUNCTION billing.exchange(numeric, text, text, timestamptz) IS 'An amount of base in quote by the exchange rate in force at an instant: the direct pair, else the inverse, never through a third currency (C28, reading 38). Exact, with one rounding to 8 decimals, half away from zero (reading 39). Null where there is no rate, or for a null. Reads billing.exchange_rate with the rights of the caller.';

CREATE FUNCTION billing._in_currency(amount numeric, base text, quote text, at timestamptz) RETURNS numeric
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE WHEN amount = 0 THEN 0.00000000 WHEN base = quote THEN round(amount, 8) ELSE billing.exchange(amount, base, quote, at) END;
COMMENT ON FUNCTION billing._in_currency(numeric, text, text, timestamptz) IS 'As billing.exchange(), but nothing is nothing in any currency, also an unknown one.';

-- A day that begins twice, because clocks go back from 01:00 to 00:00, begins the first time.
CREATE FUNCTION billing._day_start(day date, timezone text) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE WHEN day > '0001-01-02'::date AND day < '9999-12-31'::date THEN (
		SELECT CASE WHEN billing._usage_day(s.at - interval '1 hour', timezone) = day THEN s.at - interval '1 hour' ELSE s.at END
		FROM (SELECT day::timestamp AT TIME ZONE timezone AS at) s)
	ELSE day::timestamp AT TIME ZONE 'UTC' END;
COMMENT ON FUNCTION billing._day_start(date, text) IS 'The first instant of a day of billing._usage_day() in a time zone; outside the years 1 to 9999 that of UTC. Null for a null.';

CREATE FUNCTION billing._require_currency(code text) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM billing._require_ledger();
	IF NOT EXISTS (SELECT FROM billing.currency c WHERE c.code = _require_currency.code) THEN
		RAISE EXCEPTION 'there is no currency "%"', coalesce(code, 'null') USING
			ERRCODE = 'invalid_parameter_value',
			DETAIL = 'A code of billing.currency is expected.',
			HINT = 'Codes are those of ISO 4217, such as EUR or USD, in capital letters.';
	END IF;
END $$;
COMMENT ON FUNCTION billing._require_currency(text) IS 'Raises 22023 for a currency that billing.currency does not have, 55000 without a ledger.';

-- What view margin cannot add up, because legs are in different currencies, is taken leg by leg from view charge.
-- OFFSET 0: what a row needs is worked out once, and not again wherever it is mentioned.
CREATE FUNCTION billing.margin_in(currency text, starts timestamptz DEFAULT NULL, ends timestamptz DEFAULT NULL)
RETURNS TABLE (cdr_id bigint, started_at timestamptz, instant timestamptz, customer_account_id bigint, reseller_account_id bigint, provider_account_id bigint,
	destination text, revenue numeric, cost numeric, did_amount numeric, operator_margin numeric, reseller_margin numeric, status text, reason text)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
BEGIN
	PERFORM billing._require_currency(currency);
	RETURN QUERY
	SELECT m.cdr_id, m.started_at, m.instant, m.customer_account_id, m.reseller_account_id, m.provider_account_id, m.destination,
		v.revenue, v.cost, v.did_amount,
		CASE WHEN k.known AND NOT k.lacking THEN coalesce(v.revenue, 0) - coalesce(v.cost, 0) + coalesce(v.did_amount, 0) END,
		v.reseller_margin, m.status, CASE WHEN k.lacking THEN 'no_exchange_rate' END
	FROM (SELECT n.* FROM billing.margin n WHERE (starts IS NULL OR n.instant >= starts) AND (ends IS NULL OR n.instant < ends) OFFSET 0) m
		CROSS JOIN LATERAL (SELECT CASE WHEN isfinite(m.instant) THEN m.instant ELSE m.started_at END AS at) i
		CROSS JOIN LATERAL (
			SELECT count(*) FILTER (WHERE c.did) AS dids, count(*) FILTER (WHERE c.did AND c.net IS NULL) AS unpriced_dids, sum(c.value) FILTER (WHERE c.did) AS did_amount,
				min(c.value) FILTER (WHERE c.leg = 'customer') - min(c.value) FILTER (WHERE c.leg = 'reseller') AS reseller_margin,
				coalesce(bool_or(c.net IS NOT NULL AND c.value IS NULL), false) AS lacking
			FROM (
				SELECT ch.leg, ch.leg LIKE 'did%' AS did, ch.net, billing._in_currency(ch.net, ch.currency, margin_in.currency, i.at) AS value
				FROM billing.charge ch
				WHERE ch.cdr_id = m.cdr_id AND ch.started_at = m.started_at
					AND ((m.currency IS NULL AND m.operator_margin IS NULL AND m.status IN ('rated', 'partial'))
						OR (m.reseller_account_id IS NOT NULL AND m.reseller_margin IS NULL))
				OFFSET 0) c) g
		CROSS JOIN LATERAL (
			SELECT billing._in_currency(m.revenue, m.revenue_currency, margin_in.currency, i.at) AS revenue,
				billing._in_currency(m.cost, m.cost_currency, margin_in.currency, i.at) AS cost,
				CASE WHEN m.did_amount IS NOT NULL THEN billing._in_currency(m.did_amount, m.did_currency, margin_in.currency, i.at)
					WHEN g.unpriced_dids = 0 AND NOT g.lacking THEN g.did_amount END AS did_amount,
				CASE WHEN m.reseller_margin IS NOT NULL THEN billing._in_currency(m.reseller_margin, m.revenue_currency, margin_in.currency, i.at)
					WHEN m.reseller_account_id IS NOT NULL THEN g.reseller_margin END AS reseller_margin
			OFFSET 0) v
		CROSS JOIN LATERAL (
			SELECT m.operator_margin IS NOT NULL OR (m.status = 'rated' AND m.currency IS NULL AND g.unpriced_dids = 0 AND (m.revenue IS NOT NULL OR g.dids > 0)) AS known,
				g.lacking OR num_nonnulls(m.revenue) > num_nonnulls(v.revenue) OR num_nonnulls(m.cost) > num_nonnulls(v.cost)
				OR num_nonnulls(m.did_amount) > num_nonnulls(v.did_amount) OR num_nonnulls(m.reseller_margin) > num_nonnulls(v.reseller_margin) AS lacking) k;
END $$;
COMMENT ON FUNCTION billing.margin_in(text, timestamptz, timestamptz) IS 'billing.margin in one currency, by the exchange rates in force at each call''s rating instant (C28, reading 38): a row for each call whose rating instant is at or after starts and before ends (null: no bound). Money is net of credits; each of revenue, cost, did_amount and reseller_margin is rounded once, DID legs and a reseller''s in different currencies leg by leg; operator_margin = revenue - cost + did_amount, also of calls whose legs are in different currencies. Amounts without an exchange rate are null, as is operator_margin then, with reason no_exchange_rate; what is null in billing.margin for want of a price is null here without a reason. Reads with the rights of the caller. 22023 for an unknown currency, 55000 without a ledger.';

CREATE FUNCTION billing.margin_summary_in(currency text, starts timestamptz DEFAULT NULL, ends timestamptz DEFAULT NULL)
RETURNS TABLE (month date, destination text, customer_account_id bigint, provider_account_id bigint, calls bigint, calls_with_both bigint,
	revenue numeric, cost numeric, did_amount numeric, margin numeric, margin_percent numeric, calls_without_cost bigint, revenue_without_cost numeric,
	calls_without_revenue bigint, cost_without_revenue numeric, reseller_margin numeric, calls_without_exchange_rate bigint)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
BEGIN
	RETURN QUERY
	SELECT billing._month(m.instant, 'UTC'), m.destination, m.customer_account_id, m.provider_account_id, count(*), count(m.operator_margin),
		sum(coalesce(m.revenue, 0)) FILTER (WHERE m.operator_margin IS NOT NULL), sum(coalesce(m.cost, 0)) FILTER (WHERE m.operator_margin IS NOT NULL),
		sum(coalesce(m.did_amount, 0)) FILTER (WHERE m.operator_margin IS NOT NULL), sum(m.operator_margin),
		round(100 * sum(m.operator_margin) / nullif(sum(m.revenue) FILTER (WHERE m.operator_margin IS NOT NULL), 0), 2),
		count(m.revenue) FILTER (WHERE m.operator_margin IS NULL), sum(m.revenue) FILTER (WHERE m.operator_margin IS NULL),
		count(m.cost) FILTER (WHERE m.operator_margin IS NULL), sum(m.cost) FILTER (WHERE m.operator_margin IS NULL),
		sum(m.reseller_margin), count(m.reason)
	FROM billing.margin_in(currency, starts, ends) m
	GROUP BY 1, 2, 3, 4;
END $$;
COMMENT ON FUNCTION billing.margin_summary_in(text, timestamptz, timestamptz) IS 'billing.margin_in() summed by month of the rating instant in UTC, destination, customer and provider, with the columns of billing.margin_summary: margin = revenue - cost + did_amount over the calls_with_both, whose margin is known; what the others brought or cost stands apart. calls_without_exchange_rate: calls of which an amount could not be converted; it is in no sum. Errors as margin_in().';

CREATE FUNCTION billing.usage_in(currency text, starts date DEFAULT NULL, ends date DEFAULT NULL)
RETURNS TABLE (account_id bigint, account text, leg text, month date, cost_center text, destination text, from_currency text, calls bigint, answered bigint,
	seconds numeric, billed_seconds bigint, amount numeric, credit numeric, net numeric, reason text)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
BEGIN
	PERFORM billing._require_currency(currency);
	RETURN QUERY
	SELECT d.account_id, d.account, d.leg, date_trunc('month', d.day::timestamp)::date, d.cost_center, d.destination, d.currency,
		sum(d.calls)::bigint, sum(d.answered)::bigint, sum(d.seconds), sum(d.billed_seconds)::bigint,
		CASE WHEN NOT bool_or(v.lacking) THEN sum(v.amount) END, CASE WHEN NOT bool_or(v.lacking) THEN sum(v.credit) END,
		CASE WHEN NOT bool_or(v.lacking) THEN sum(v.amount - v.credit) END, CASE WHEN bool_or(v.lacking) THEN 'no_exchange_rate' END
	FROM billing.usage_by_day d
		LEFT JOIN billing.account a ON a.id = d.account_id
		CROSS JOIN LATERAL (SELECT billing._day_start(d.day, coalesce(a.timezone, 'UTC')) AS at) i
		CROSS JOIN LATERAL (
			SELECT billing._in_currency(d.amount, d.currency, usage_in.currency, i.at) AS amount,
				billing._in_currency(d.credit, d.currency, usage_in.currency, i.at) AS credit
			OFFSET 0) c
		CROSS JOIN LATERAL (SELECT c.amount, c.credit, c.amount IS NULL OR c.credit IS NULL AS lacking) v
	WHERE (starts IS NULL OR d.day >= starts) AND (ends IS NULL OR d.day < ends)
	GROUP BY 1, 2, 3, 4, 5, 6, 7;
END $$;
COMMENT ON FUNCTION billing.usage_in(text, date, date) IS 'billing.usage_by_month in one currency, of the days from starts until before ends in each account''s time zone (null: no bound). Each day''s amount and credit are converted from from_currency, that of the account, by the exchange rate in force at the beginning of that day in the account''s time zone, and rounded once: usage knows days, so a rate that changes within a day counts from the next one; billing.margin_in() converts call by call. amount, credit and net are null with reason no_exchange_rate where a day of the month has none. Reads with the rights of the caller. 22023 for an unknown currency, 55000 without a ledger.';
