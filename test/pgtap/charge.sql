-- How much: fees, steps, minimum and maximum, surcharge, rounding, exchange rates, bounds.
BEGIN;
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS billing CASCADE;
SELECT billing.create_ledger();
SELECT no_plan();

-- Inserts one row of the catalogue, as named, and returns its id.
CREATE FUNCTION pg_temp.put(tab text, vals jsonb) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	cols text := (SELECT string_agg(quote_ident(k), ', ') FROM jsonb_object_keys(vals) AS k);
	id bigint;
BEGIN
	EXECUTE format('INSERT INTO billing.%1$I (%2$s) SELECT %2$s FROM jsonb_populate_record(NULL::billing.%1$I, $1) RETURNING id', tab, cols) INTO id USING vals;
	RETURN id;
END $$;

-- A price list of one rate for every number, and the account that is sold by it and has its name as auth-code. Returns the rate.
CREATE FUNCTION pg_temp.list(name text, terms jsonb, currency text DEFAULT 'EUR', account_currency text DEFAULT 'EUR', provider boolean DEFAULT false)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	t bigint := pg_temp.put('tariff', jsonb_build_object('name', name, 'currency', currency));
	a bigint := pg_temp.put('account', jsonb_build_object('name', name, 'currency', account_currency, 'tariff_id', t, 'is_provider', provider));
BEGIN
	PERFORM pg_temp.put('service', jsonb_build_object('account_id', a, 'kind', 'auth_code', 'identifier', name, 'side', CASE WHEN provider THEN 'provider' ELSE 'customer' END));
	RETURN pg_temp.put('rate', '{"prefix": ""}' || terms || jsonb_build_object('tariff_id', t));
END $$;

CREATE FUNCTION pg_temp.call(raw jsonb) RETURNS billing.cdr LANGUAGE sql AS $$
	INSERT INTO billing.cdr SELECT r.* FROM jsonb_populate_record(NULL::billing.cdr,
		'{"source": "", "started_at": "2026-03-02 12:00:00+00", "disposition": "ANSWERED", "callee": "442079460000", "billsec": 60}' || raw) AS r
	RETURNING *
$$;

-- Billed seconds, amount and reason of the customer's leg of a call by that auth-code.
CREATE FUNCTION pg_temp.pays(code text, seconds numeric, raw jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', c.customer_billsec || ' s', trim_scale(c.customer_amount), c.customer_reason) FROM pg_temp.call(jsonb_build_object('auth_code', code, 'billsec', seconds) || raw) AS c
$$;

-- Fees
SELECT pg_temp.list('fee', '{"price": 0.60, "first_increment": 10, "next_increment": 6, "connect_fee": 0.05, "attempt_fee": 0.02, "min_amount": 1, "surcharge_percent": 50}');
-- (0.05 + 0.60 * 34 / 60) * 1.5 = 0.585, at least 1; at 154 s: (0.05 + 1.54) * 1.5 = 2.385
SELECT is(pg_temp.pays('fee', 30), '34 s 1', 'a fee, a surcharge and a minimum');
SELECT is(pg_temp.pays('fee', 154), '154 s 2.385', 'the surcharge is on the fee too');
SELECT is(pg_temp.pays('fee', 0), '0 s 0', 'reading 19: answered with 0 s: nothing, no fee, no minimum');
SELECT is(pg_temp.pays('fee', 0, '{"disposition": "NO ANSWER"}'), '0 s 0.02', 'unanswered: the attempt fee alone, no minimum and no surcharge');
SELECT is(pg_temp.pays('fee', NULL, '{"disposition": null}'), '0 s 0.02', 'unanswered: no answer, no seconds, no disposition');
SELECT is(pg_temp.pays('fee', NULL, '{"disposition": "busy", "ended_at": "2026-03-02 12:00:40+00"}'), '0 s 0.02', 'unanswered: the ringing is not paid');
SELECT is((pg_temp.call('{"auth_code": "fee", "billsec": 0, "disposition": "BUSY"}')).status, 'rated', 'an unanswered call is rated');
-- (0.05 + 0.60 * 154 / 60) * 1.5 = 2.385
SELECT is(pg_temp.pays('fee', NULL, '{"disposition": null, "answered_at": "2026-03-02 12:00:10+00", "ended_at": "2026-03-02 12:02:44+00"}'), '154 s 2.385',
	'without billsec the seconds are those from answer to end');
SELECT pg_temp.list('no attempt fee', '{"price": 0.60}');
SELECT is(pg_temp.pays('no attempt fee', 0, '{"disposition": "NO ANSWER"}'), '0 s 0', 'reading 19: unanswered: nothing');
SELECT is(billing.charge_amount(34, 0.60, connect_fee => 0.05), 0.39, 'charge_amount: 0.05 + 0.60 * 34 / 60 = 0.39');
SELECT is(billing.charge_amount(3, 0.60, connect_fee => 0.05, min_amount => 1, grace_seconds => 3), 0::numeric, 'reading 22: grace before minimum');
SELECT is(billing.charge_amount(4, 0.60, connect_fee => 0.05, min_amount => 1, grace_seconds => 3), 1::numeric, 'reading 22: after the grace the minimum holds');
-- 60 + (121 - 60 - 60) = 61 s
SELECT is(billing.charge_amount(121, 0.60, 60, 1, free_seconds => 60), 0.61, 'C19: free seconds after the first increment');
-- nothing is left to bill, the call is answered: the fee stays
SELECT is(billing.charge_amount(60, 0.60, 0, 1, free_seconds => 60, connect_fee => 0.05), 0.05, 'a call within its free seconds pays its fee');

-- C18: price 1 and price N
-- 1.20 * 60 / 60 + 0.60 * 6 / 60 = 1.26
SELECT is(billing.charge_amount(61, 0.60, 60, 6, first_price => 1.20), 1.26, 'C18: Price 1 for Interval 1, Price N from there');
SELECT is(billing.charge_amount(20, 0.60, 60, 6, first_price => 1.20), 1.20, 'C18: within Interval 1');
-- aligned bills 30 s; 10 of them are the first increment: 1.20 * 10 / 60 + 0.60 * 20 / 60 = 0.20 + 0.20
SELECT is(billing.charge_amount(5, 0.60, 10, 30, 'aligned', 1.20), 0.40, 'first_price by the aligned rule is for min(first, billed) seconds');
SELECT is(billing.charge_amount(90, 0.60, 60, 1, first_price => 0), 0.30, 'a first minute for nothing: 0 is a price, null is none');

-- K22, rate_step
CREATE FUNCTION pg_temp.steps(name text, terms jsonb, steps jsonb) RETURNS void LANGUAGE sql AS $$
	WITH r AS MATERIALIZED (SELECT pg_temp.list(name, terms) AS id)
	INSERT INTO billing.rate_step (rate_id, from_second, price, increment) SELECT r.id, (s ->> 0)::int, (s ->> 1)::numeric, (s ->> 2)::int FROM r, jsonb_array_elements(steps) AS s
$$;
SELECT pg_temp.steps('one step', '{"price": 0.60, "first_increment": 60, "next_increment": 60}', '[[120, 0.30, 30]]');
SELECT is(pg_temp.pays('one step', 120), '120 s 1.2', 'K22: before its second the step does nothing');
-- 120 s at 0.60 = 1.20, then 30 s at 0.30 = 0.15
SELECT is(pg_temp.pays('one step', 121), '150 s 1.35', 'K22: from its second on the step brings price and increment');
SELECT pg_temp.steps('inside first', '{"price": 0.60, "first_increment": 60, "next_increment": 60}', '[[30, 0.30, 6]]');
SELECT is(pg_temp.pays('inside first', 45), '60 s 0.6', 'K22: a step inside the first increment does not cut it');
-- 0.60 + 0.30 * 6 / 60 = 0.63
SELECT is(pg_temp.pays('inside first', 61), '66 s 0.63', 'K22: a step inside the first increment holds from the second one');
SELECT pg_temp.steps('two inside', '{"price": 0.60, "first_increment": 60, "next_increment": 60}', '[[10, 9, 1], [30, 0.30, 6]]');
SELECT is(pg_temp.pays('two inside', 61), '66 s 0.63', 'K22: of two steps inside one increment the later holds');
SELECT pg_temp.steps('inside next', '{"price": 0.60, "first_increment": 60, "next_increment": 60}', '[[90, 0.30, 6]]');
SELECT is(pg_temp.pays('inside next', 100), '120 s 1.2', 'K22: a step inside a later increment does not cut it');
-- 1.20 + 0.30 * 6 / 60 = 1.23
SELECT is(pg_temp.pays('inside next', 121), '126 s 1.23', 'K22: and holds from the increment after');
SELECT pg_temp.steps('three', '{"price": 0.60, "first_increment": 60, "next_increment": 60}', '[[60, 0.30, 50], [150, 0.06, 10], [170, 6, 60]]');
-- 60 s at 0.60 = 0.60
SELECT is(pg_temp.pays('three', 60), '60 s 0.6', 'K22: several steps: the first minute');
-- 0.60 + 0.30 * 50 / 60 = 0.85
SELECT is(pg_temp.pays('three', 61), '110 s 0.85', 'K22: several steps: the first step');
-- increments of the first step start at 60 and 110, so the next starts at 160: 0.60 + 0.30 * 100 / 60 = 1.10, + 0.06 * 10 / 60 = 1.11
SELECT is(pg_temp.pays('three', 161), '170 s 1.11', 'K22: several steps: the second');
-- 1.11 + 6 * 60 / 60 = 7.11
SELECT is(pg_temp.pays('three', 171), '230 s 7.11', 'K22: several steps: the third, to the end');
SELECT is(pg_temp.pays('three', 3771), '3830 s 367.11', 'K22: 170 s cost 1.11, then 61 minutes at 6');
SELECT pg_temp.steps('flat', '{"price": 0, "first_increment": 0, "next_increment": 60, "first_price": 3}', '[[3600, 0.06, 1]]');
SELECT is(pg_temp.pays('flat', 3600), '3600 s 0', 'an hour for nothing: with first_increment 0 nothing is at first_price');
SELECT is(pg_temp.pays('flat', 3661), '3661 s 0.061', 'then by the second: 61 * 0.06 / 60 = 0.061');

-- Minimum and maximum, surcharge
SELECT is(billing.charge_amount(s, p, connect_fee => fee, min_amount => lo, max_amount => hi, surcharge_percent => sur), want, 'minimum, maximum, surcharge: ' || what)
FROM (VALUES
	(5, 0.60, 0, 0.10, NULL, 0, 0.10, '0.05 is at least 0.10'),
	(10, 0, 0, 0.10, NULL, 0, 0.10, '0 counts as positive'),
	(10, -0.60, 0, 0.20, NULL, 0, -0.20, 'a minimum is on the magnitude'),
	(60, -0.60, 0, NULL, 0.20, 0, -0.20, 'a maximum is on the magnitude'),
	(60, 0.60, 0, NULL, 0.20, 0, 0.20, '0.60 is at most 0.20'),
	(60, 0.60, 0, NULL, 0, 0, 0, 'a maximum of 0'),
	(60, 0.60, 0.10, NULL, NULL, 10, 0.77, '(0.10 + 0.60) * 1.1'),
	(60, 0.60, 0.10, NULL, 0.75, 10, 0.75, 'the maximum comes after the surcharge'),
	(60, 0.60, 0.10, 0.80, NULL, 10, 0.80, 'the minimum comes after the surcharge'),
	(60, 0.60, 0.10, NULL, NULL, -100, 0, 'a surcharge of -100 % takes all'),
	(60, 0.60, 0.10, 0.10, NULL, -100, 0.10, 'and the minimum holds after it'),
	(60, 1, 0, NULL, NULL, 9999.9999, 100.999999, '1 * (1 + 99.999999)'),
	(60, 1, 0, NULL, NULL, 0.0001, 1.000001, '1 * 1.000001'),
	(60, -0.60, 0.70, NULL, NULL, 0, 0.10, 'a negative price beside a fee: 0.70 - 0.60'),
	(60, -0.60, 0, NULL, NULL, 50, -0.90, 'a surcharge on a negative charge: -0.60 * 1.5')) AS v (s, p, fee, lo, hi, sur, want, what);

-- Rounding: 10^-digits a minute makes the amount seconds / 60 units of the last digit. up is away from zero, down towards it.
CREATE TEMP TABLE unit (seconds int, half_up int, half_even int, up int, down int);
INSERT INTO unit VALUES
	(1, 0, 0, 1, 0), (29, 0, 0, 1, 0), (30, 1, 0, 1, 0), (31, 1, 1, 1, 0), (60, 1, 1, 1, 1), (61, 1, 1, 2, 1), (90, 2, 2, 2, 1), (150, 3, 2, 3, 2), (210, 4, 4, 4, 3);
SELECT is(array_agg(billing.charge_amount(seconds, sign * 10.0 ^ -digits, rounding_digits => digits, rounding_mode => mode) ORDER BY seconds),
	array_agg((sign * want * 10.0 ^ -digits)::numeric ORDER BY seconds), format('rounding by %s to %s digits, %s', mode, digits, CASE sign WHEN 1 THEN 'positive' ELSE 'negative' END))
FROM unit, generate_series(-4, 8) AS digits, (VALUES (1), (-1)) AS s (sign),
	LATERAL (VALUES ('half_up', half_up), ('half_even', half_even), ('up', up), ('down', down)) AS m (mode, want)
GROUP BY mode, digits, sign ORDER BY mode, digits, sign;
-- the same stored: 0.01 a minute for 30 s is 0.005
SELECT pg_temp.list('round ' || mode, jsonb_build_object('price', 0.01, 'rounding_digits', 2, 'rounding_mode', mode)) FROM unnest(ARRAY['half_up', 'half_even', 'up', 'down']) AS mode;
SELECT is(pg_temp.pays('round ' || mode, 30), '30 s ' || want, 'stored: 0.005 to 2 digits by ' || mode) FROM (VALUES ('half_up', '0.01'), ('half_even', '0'), ('up', '0.01'), ('down', '0')) AS v (mode, want);
-- 0.005 exactly twice is 0.01 in one rounding: the parts are not rounded: fee 0.005 + 0.005
SELECT is(billing.charge_amount(30, 0.01, connect_fee => 0.005, rounding_digits => 2, rounding_mode => 'down'), 0.01, 'one rounding a charge, not one a part');
-- 0.1 * 61 / 60 = 0.101666...
SELECT is(billing.charge_amount(61, 0.1), 0.10166667, '8 digits and half_up when nothing is said');

-- Negative prices. D14-like: 0.01 a minute is paid out, 5 minutes.
SELECT pg_temp.list('paid', '{"price": -0.01}');
SELECT is(pg_temp.pays('paid', 300), '300 s -0.05', 'D14: a negative price pays the customer');
SELECT pg_temp.list('pays us', '{"price": -0.01}', provider => true);
SELECT is((pg_temp.call('{"provider_code": "pays us", "billsec": 300}')).provider_amount, 0.05, 'reading 7: a provider with a negative price pays us');
SELECT pg_temp.list('we pay', '{"price": 0.01}', provider => true);
SELECT is((pg_temp.call('{"provider_code": "we pay", "billsec": 300}')).provider_amount, -0.05, 'reading 7: we pay a provider with a positive price');
SELECT is((pg_temp.call('{"provider_code": "we pay", "billsec": 0}')).provider_amount, 0::numeric, 'and a call of 0 s is 0');

-- Fractional seconds, three duration roundings; 0.60 a minute is 0.01 a second
SELECT pg_temp.list(r, jsonb_build_object('price', 0.60, 'duration_rounding', r)) FROM unnest(ARRAY['up', 'half_up', 'none']) AS r;
SELECT is(pg_temp.pays(r, s), want, format('%s s, duration rounded %s', s, r))
FROM (VALUES ('up', 60.1, '61 s 0.61'), ('half_up', 60.4, '60 s 0.6'), ('half_up', 60.5, '61 s 0.61'), ('none', 60.1, '61 s 0.61'),
	('up', 0.000001, '1 s 0.01'), ('half_up', 0.000001, '1 s 0.01'), ('none', 0.000001, '1 s 0.01'), ('half_up', 0.0, '0 s 0')) AS v (r, s, want);
-- 60.9 s from answer to end
SELECT is(pg_temp.pays('up', NULL, '{"answered_at": "2026-03-02 12:00:00.1+00", "ended_at": "2026-03-02 12:01:01+00"}'), '61 s 0.61', 'the difference of instants is exact');
SELECT is(pg_temp.pays('up', -1), 'invalid_duration', 'negative seconds are invalid_duration');

-- C28: exchange rates. The list is in USD, 1.00 a minute, the account in another currency; each call has 60 s.
INSERT INTO billing.exchange_rate (base, quote, valid_from, rate) VALUES
	('USD', 'EUR', '2026-01-01 00:00+00', 0.9), ('USD', 'EUR', '2026-04-01 00:00+00', 0.8), ('EUR', 'USD', '2026-01-01 00:00+00', 5),
	('GBP', 'USD', '-infinity', 1.25), ('CHF', 'USD', '-infinity', 3), ('EUR', 'SEK', '-infinity', 11),
	('USD', 'DKK', '2026-06-01 00:00+00', 7), ('DKK', 'USD', '2026-01-01 00:00+00', 0.125), ('USD', 'JPY', '-infinity', 150);
SELECT pg_temp.list(cur, '{"price": 1.00, "attempt_fee": 0.02}', 'USD', cur) FROM unnest(ARRAY['EUR', 'GBP', 'CHF', 'SEK', 'DKK', 'USD']) AS cur;
SELECT is(pg_temp.pays('EUR', 60), '60 s 0.9', 'C28: the direct pair, though an inverse stands there: 1.00 * 0.9');
SELECT is(pg_temp.pays('EUR', 60, '{"started_at": "2026-03-31 23:59:59.999999+00"}'), '60 s 0.9', 'C28: the rate of the instant, before the change');
SELECT is(pg_temp.pays('EUR', 60, '{"started_at": "2026-04-01 00:00:00+00"}'), '60 s 0.8', 'C28: the rate of the instant, at the change');
SELECT is(pg_temp.pays('EUR', 60, '{"started_at": "2026-03-31 23:59:50+00", "answered_at": "2026-04-01 00:00:00+00"}'), '60 s 0.8', 'C28: the instant is the answer');
SELECT is((pg_temp.call('{"auth_code": "EUR", "started_at": "2025-12-31 23:59:59+00"}')).customer_reason, 'no_exchange_rate', 'C28: before the first rate there is none');
SELECT is((pg_temp.call('{"auth_code": "EUR", "started_at": "2025-12-31 23:59:59+00"}')).customer_amount, NULL, 'C28: and no amount');
SELECT is(pg_temp.pays('GBP', 60), '60 s 0.8', 'C28: else the inverse: 1.00 / 1.25');
SELECT is(pg_temp.pays('CHF', 60), '60 s 0.33333333', 'C28: the inverse is divided once: 1 / 3');
SELECT is(pg_temp.pays('CHF', 180), '180 s 1', 'C28: 3.00 / 3 is 1, not 3 * 0.33333333');
SELECT is((pg_temp.call('{"auth_code": "SEK"}')).customer_reason, 'no_exchange_rate', 'C28: never through a third: USD to EUR and EUR to SEK do not make USD to SEK');
SELECT is(format('%s %s', c.status, c.customer_rate_id IS NOT NULL), 'unrated t', 'C28: a call without exchange rate is unrated and names its rate') FROM pg_temp.call('{"auth_code": "SEK"}') AS c;
SELECT is(pg_temp.pays('DKK', 60), '60 s 8', 'C28: a direct pair not yet in force gives way to the inverse: 1.00 / 0.125');
SELECT is(pg_temp.pays('DKK', 60, '{"started_at": "2026-06-01 00:00+00"}'), '60 s 7', 'C28: and rules when it is');
SELECT is(pg_temp.pays('USD', 60), '60 s 1', 'C28: its own currency needs none');
SELECT is(pg_temp.pays('EUR', 0, '{"disposition": "BUSY"}'), '0 s 0.018', 'C28: an attempt fee is converted: 0.02 * 0.9');
-- 0.005 USD * 0.9 = 0.0045, to 2 digits 0; rounding before the conversion would make 0.01 * 0.9 = 0.009, so 0.01
SELECT pg_temp.list('once', '{"price": 0.005, "rounding_digits": 2}', 'USD', 'EUR');
SELECT is(pg_temp.pays('once', 60), '60 s 0', 'reading 39: rounded once, after the conversion');
SELECT pg_temp.list('min USD', '{"price": 0.005, "min_amount": 0.10}', 'USD', 'EUR');
SELECT is(pg_temp.pays('min USD', 60), '60 s 0.09', 'the minimum is of the list and in its currency: 0.10 * 0.9');
SELECT pg_temp.list('provider USD', '{"price": 0.50}', 'USD', 'EUR', true);
SELECT is((pg_temp.call('{"provider_code": "provider USD"}')).provider_amount, -0.45, 'C28: each side converts on its own: -(0.50 * 0.9)');

-- Bounds
SELECT pg_temp.list('biggest', '{"price": 99999999.99999999}');
-- 99999999.99999999 * 599999 / 60 = 999998333333.3333... - 0.00009999983333... = 999998333333.33323333...
SELECT is(pg_temp.pays('biggest', 599999), '599999 s 999998333333.33323333', 'the biggest price is exact');
-- 99999999.99999999 * 600001 / 60 > 1e12
SELECT is((pg_temp.call('{"auth_code": "biggest", "billsec": 600001}')).customer_reason, 'amount_out_of_range', '1e12 is out of range');
SELECT is((pg_temp.call('{"auth_code": "biggest", "billsec": 600001}')).customer_amount, NULL, 'and has no amount');
SELECT is((pg_temp.call('{"auth_code": "biggest", "billsec": 999999999}')).customer_reason, 'amount_out_of_range', 'the biggest price for the longest call is out of range');
SELECT pg_temp.list('smallest', '{"price": -99999999.99999999, "connect_fee": -99999999.99999999, "surcharge_percent": 9999.9999}');
-- (99999999.99999999 + 99999999.99999999 * 1 / 60) * (1 + 99.999999) = 10268333231.66666563983334...
SELECT is((pg_temp.call('{"auth_code": "smallest", "billsec": 1}')).customer_amount, -10268333231.66666564, 'every parameter at its bound at once');
SELECT is((pg_temp.call('{"auth_code": "smallest", "billsec": 999999999}')).customer_reason, 'amount_out_of_range', 'and far beyond');
SELECT pg_temp.list('long', '{"price": 0.06}');
SELECT is(pg_temp.pays('long', 999999999), '999999999 s 999999.999', 'the longest call: 999,999,999 * 0.06 / 60');
SELECT is(pg_temp.pays('long', 1000000000), 'invalid_duration', 'a longer one is invalid_duration');
-- 60,000,000 * 999,999 / 60 + 999,999.99 = 999,999,999,999.99, to 0 digits 1e12
SELECT pg_temp.list('by rounding', '{"price": 60000000, "connect_fee": 999999.99, "rounding_digits": 0}');
SELECT is((pg_temp.call('{"auth_code": "by rounding", "billsec": 999999}')).customer_reason, 'amount_out_of_range', 'an amount that reaches 1e12 by rounding is out of range');
SELECT pg_temp.list('by exchange', '{"price": 60000000}', 'USD', 'JPY');
-- 1e6 * 10,000 s = 1e10 USD, * 150 = 1.5e12 JPY; 6,000 s: 9e11
SELECT is((pg_temp.call('{"auth_code": "by exchange", "billsec": 10000}')).customer_reason, 'amount_out_of_range', 'an amount that reaches 1e12 by exchange is out of range');
SELECT is(pg_temp.pays('by exchange', 6000), '6000 s 900000000000', 'and below it is not');
-- 0.30 * 10,000 / 60 = 50
SELECT pg_temp.list('sane', '{"price": 0.30}', provider => true);
SELECT is(format('%s, %s', c.status, c.provider_amount), 'partial, -50.00000000', 'the other leg of such a call is priced')
FROM pg_temp.call('{"auth_code": "by exchange", "billsec": 10000, "provider_code": "sane"}') AS c;

-- Covered seconds (D10, readings 24 and 25): the first billed seconds have price 0.
CREATE FUNCTION pg_temp.rest(name text, seconds numeric, covered bigint, leg text DEFAULT 'customer') RETURNS numeric LANGUAGE sql AS $$
	SELECT trim_scale(billing.covered_amount(jsonb_populate_record(NULL::billing.cdr, jsonb_build_object('started_at', '2026-03-01', 'callee', '442079460000', 'billsec', seconds,
		CASE leg WHEN 'provider' THEN 'provider_code' ELSE 'auth_code' END, name)), leg, covered))
$$;
-- 100 s are 60 at 1.20 and 60 at 0.60: 1.80
SELECT pg_temp.list('c first', '{"price": 0.60, "first_price": 1.20, "first_increment": 60, "next_increment": 30}');
SELECT is(pg_temp.rest('c first', 100, n), a, format('reading 24: %s of 120 billed seconds covered', n))
FROM (VALUES (0, 1.80), (30, 0.60 + 0.60), (60, 0.60), (90, 0.30), (119, 0.01), (120, 0), (121, 0)) v(n, a);
-- 45 s by 10, 20 free, 10: 30 are billed, 0.30
SELECT pg_temp.list('c free', '{"price": 0.60, "first_increment": 10, "free_seconds": 20, "next_increment": 10}');
SELECT is(pg_temp.rest('c free', 45, n), a, format('C19: free seconds draw nothing: %s of 30 covered', n)) FROM (VALUES (0, 0.30), (10, 0.20), (29, 0.01), (30, 0)) v(n, a);
-- 61 s by 60/45 aligned are 90: 60 at 1.20 and 30 at 0.60
SELECT pg_temp.list('c aligned', '{"price": 0.60, "first_price": 1.20, "first_increment": 60, "next_increment": 45, "increment_rule": "aligned"}');
SELECT is(pg_temp.rest('c aligned', 61, n), a, format('K17: aligned, %s of 90 covered', n)) FROM (VALUES (0, 1.50), (30, 0.90), (70, 0.20), (90, 0)) v(n, a);
-- 120 s: a minute at 0.60, then 0.30
INSERT INTO billing.rate_step (rate_id, from_second, price, increment) SELECT pg_temp.list('c step', '{"price": 0.60}'), 60, 0.30, 1;
SELECT is(pg_temp.rest('c step', 120, n), a, format('K22: the dear minute is covered first: %s of 120', n)) FROM (VALUES (0, 0.90), (60, 0.30), (90, 0.15), (120, 0)) v(n, a);
-- (1 + 0.60 a minute) x 1.1, at most 2: 60 s 1.76; 120 s 2.42, with 30 covered (1 + 0.90) x 1.1 = 2.09
SELECT pg_temp.list('c most', '{"price": 0.60, "connect_fee": 1, "surcharge_percent": 10, "max_amount": 2}');
SELECT is(pg_temp.rest('c most', s, n), a, format('reading 25: fee, surcharge and maximum of what remains: %s of %s s', n, s))
FROM (VALUES (60, 0, 1.76), (60, 30, 1.43), (60, 59, 1.111), (60, 60, 0), (120, 0, 2), (120, 30, 2), (120, 60, 1.76)) v(s, n, a);
SELECT pg_temp.list('c least', '{"price": 0.60, "min_amount": 1.5, "grace_seconds": 5, "attempt_fee": 0.05}');
SELECT is(pg_temp.rest('c least', s, n), a, format('reading 25: the minimum falls away with the whole call only: %s of %s s', n, s)) FROM (VALUES (60, 0, 1.5), (60, 59, 1.5), (60, 60, 0), (240, 60, 1.8), (5, 0, 0), (5, 9, 0)) v(s, n, a);
SELECT is(pg_temp.rest('c least', NULL, 60), 0.05, 'reading 19: an attempt is never covered');
-- 0.30 USD remain, * 150
SELECT pg_temp.list('c exchange', '{"price": 0.60}', 'USD', 'JPY');
SELECT is(pg_temp.rest('c exchange', 60, 30), 45.0, 'reading 38: in the account''s currency');
SELECT is(pg_temp.rest('sane', 60, n, 'provider'), a, format('reading 7: the provider''s sign stays: %s of 60', n)) FROM (VALUES (0, -0.30), (30, -0.15), (60, 0)) v(n, a);
SELECT pg_temp.list('c paid', '{"price": -0.60}');
SELECT is(pg_temp.rest('c paid', 60, n), a, format('a negative price: %s of 60', n)) FROM (VALUES (0, -0.60), (30, -0.30), (60, 0)) v(n, a);
-- the longest call at the biggest price that fits: 99999999.99999999 * (599999 - 599939) / 60
SELECT is(pg_temp.rest('biggest', 599999, 599939), 99999999.99999999, 'promise 5: the rest of the biggest amount is exact');

SELECT * FROM finish();
ROLLBACK;
