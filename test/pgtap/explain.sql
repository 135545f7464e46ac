-- Promise 4: every amount explains itself.
BEGIN;
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS billing CASCADE;
SELECT billing.create_ledger();
SELECT no_plan();

INSERT INTO billing.tariff (id, name, currency, connect_fee) VALUES (1, 'Retail', 'USD', 0.05), (2, 'Wholesale', 'EUR', 0), (3, 'Owner', 'EUR', 0);
INSERT INTO billing.rate (id, tariff_id, prefix, exact, destination, price, first_price, first_increment, next_increment, rounding_digits, rounding_mode, surcharge_percent, min_amount, grace_seconds, blocked, valid_from) VALUES
	(101, 1, '4420', false, 'London', 0.60, 1.20, 60, 6, 4, 'half_even', 10, NULL, 3, false, '2026-01-01 00:00+00'),
	(102, 1, '441', false, 'Minimum', 0.60, NULL, 1, 1, NULL, NULL, NULL, 5, NULL, false, '-infinity'),
	(103, 1, '449', false, 'Blocked', 0.60, NULL, 1, 1, NULL, NULL, NULL, NULL, NULL, true, '-infinity'),
	(201, 2, '44', false, 'UK', 0.30, NULL, 6, 6, NULL, NULL, NULL, NULL, NULL, false, '-infinity'),
	(202, 2, '442070000000', true, 'One number', 0.10, NULL, 30, 30, NULL, NULL, NULL, NULL, NULL, false, '-infinity'),
	(301, 3, '4', false, 'World', 0.40, NULL, 1, 1, NULL, NULL, NULL, NULL, NULL, false, '-infinity');
INSERT INTO billing.rate_step (rate_id, from_second, price, increment) VALUES (101, 600, 0.24, 30);
INSERT INTO billing.exchange_rate (base, quote, rate) VALUES ('USD', 'EUR', 0.9);
INSERT INTO billing.account (id, name, currency, tariff_id, is_provider, parent_id) VALUES (10, 'Callshop', 'EUR', 3, false, NULL), (11, 'Booth', 'EUR', 1, false, 10), (20, 'Gafachi', 'EUR', 2, true, NULL), (12, 'Other', 'EUR', NULL, false, NULL),
	(13, 'In yen', 'JPY', 1, false, NULL);
INSERT INTO billing.service (id, account_id, kind, identifier, side, tenant) VALUES (1001, 11, 'auth_code', 'B1', 'customer', ''), (1002, 20, 'trunk', 'gafachi', 'provider', ''), (1003, 12, 'auth_code', 'no list', 'customer', ''),
	(1004, 10, 'extension', '500', 'customer', 'a'), (1005, 12, 'extension', '500', 'customer', 'b'), (1006, 13, 'auth_code', 'yen', 'customer', '');

-- What explain says of a leg, one line for all its steps.
CREATE FUNCTION pg_temp.said(wanted_leg text, raw jsonb) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(topic || ': ' || explanation, '; ' ORDER BY step)
	FROM billing.explain(jsonb_populate_record(NULL::billing.cdr, '{"source": "", "started_at": "2026-03-02 12:00:00+00", "disposition": "ANSWERED", "callee": "442079460000"}' || raw)) WHERE leg = wanted_leg
$$;

-- 61 s at 60/6: 66 s. 0.05 + 1.20 * 60 / 60 + 0.60 * 6 / 60 = 1.31, + 10 % = 1.441 USD, * 0.9 = 1.2969 EUR
CREATE TEMP TABLE leg AS SELECT leg, pg_temp.said(leg, '{"auth_code": "B1", "dst_trunk": "gafachi", "billsec": 60.5}') AS said FROM unnest(ARRAY['customer', 'reseller', 'provider']) AS leg;
SELECT matches(said, want, format('%s: %s', leg, what)) FROM leg JOIN (VALUES
	('customer', 'B1', 'the identifier by which it was found'), ('customer', '\m1001\M', 'the service'), ('customer', 'auth_code', 'its kind'), ('customer', '\m11\M', 'the account'),
	('customer', '\m101\M', 'the rate'), ('customer', 'Retail', 'the tariff'), ('customer', '4420', 'the prefix'), ('customer', 'London', 'the destination'), ('customer', '2026-01-01', 'since when'),
	('customer', '0\.6', 'the price'), ('customer', '1\.2\M', 'the first price'), ('customer', '0\.05', 'the fee'), ('customer', '60/6', 'the increments'), ('customer', 'first_next', 'their rule'), ('customer', '\m10 %', 'the surcharge'),
	('customer', '\m600\M.*0\.24.*\m30\M', 'the step'), ('customer', 'USD', 'the list''s currency'), ('customer', '60\.5', 'the seconds as they came'), ('customer', '\m66\M', 'the billed seconds'),
	('customer', '1\.441\d* USD', 'the charge before conversion'), ('customer', '0\.9\M', 'the exchange rate'), ('customer', '1\.2969\d* EUR', 'the amount'), ('customer', '4 (decimals|digits)', 'rounded to how many digits'), ('customer', 'half_even', 'rounded how'),
	('reseller', '\m301\M', 'its rate'), ('reseller', 'Owner', 'its tariff'),
	-- 0.40 * 61 / 60 = 0.40666667
	('reseller', '0\.40666667', 'its amount'),
	('provider', 'gafachi', 'the trunk'), ('provider', '\m1002\M', 'the service'), ('provider', '\m201\M', 'the rate'), ('provider', 'Wholesale', 'the tariff'), ('provider', '6/6', 'its own increments'),
	-- 0.30 * 66 / 60 = 0.33, which we pay
	('provider', '-0\.33\M', 'the amount with its sign')) AS v (leg, want, what) USING (leg);
SELECT doesnt_match(said, 'exchange', leg || ': no exchange where none was needed') FROM leg WHERE leg <> 'customer';
SELECT is(array_agg(step ORDER BY step), array_agg(n::int ORDER BY n), 'the steps are numbered from 1') FROM (SELECT step, row_number() OVER (ORDER BY step) AS n
	FROM billing.explain(jsonb_populate_record(NULL::billing.cdr, '{"started_at": "2026-03-02", "auth_code": "B1", "dst_trunk": "gafachi", "billsec": 61, "callee": "4420"}'))) AS e;

SELECT matches(pg_temp.said(leg, raw), want, 'says: ' || what) FROM (VALUES
	('provider', '{"dst_trunk": "gafachi", "callee": "442070000000", "billsec": 10}'::jsonb, '\m202\M.*whole number', 'that it was the whole number'),
	('customer', '{"auth_code": "B1", "callee": "4411", "billsec": 60}', 'minimum', 'that the minimum held'),
	('customer', '{"auth_code": "B1", "billsec": 3}', 'grace', 'that the call ended within its grace'),
	('customer', '{"auth_code": "B1", "billsec": 0, "disposition": "BUSY"}', '(unanswered|not answered).*attempt fee', 'that the call was not answered'),
	('customer', '{"auth_code": "nobody", "billsec": 60}', 'nobody.*no_account', 'no_account'),
	('customer', '{"auth_code": "no list", "billsec": 60}', 'no_tariff', 'no_tariff'),
	('customer', '{"auth_code": "B1", "callee": "33", "billsec": 60}', 'no_rate', 'no_rate'),
	('customer', '{"auth_code": "B1", "callee": "4491", "billsec": 60}', '\m103\M.*blocked', 'blocked, and by which rate'),
	('customer', '{"caller": "500", "billsec": 60}', 'ambiguous', 'ambiguous'),
	('customer', '{"auth_code": "yen", "billsec": 60}', 'USD.*no_exchange_rate|no_exchange_rate.*USD', 'no_exchange_rate, and from which currency'),
	('customer', '{"auth_code": "B1", "billsec": -1}', 'invalid_duration', 'invalid_duration'),
	('customer', '{"auth_code": "B1", "billsec": "NaN"}', 'invalid_duration', 'invalid_duration of no number'),
	('customer', '{"auth_code": "B1", "callee": "x", "billsec": 1}', 'invalid_number', 'invalid_number'),
	('customer', '{"auth_code": "B1", "billsec": 1, "started_at": null}', 'no_start', 'no_start'),
	('provider', '{"dst_trunk": "elsewhere", "billsec": 60}', 'elsewhere.*no_account', 'no_account of the provider''s side'),
	('provider', '{"dst_trunk": "gafachi", "callee": "33", "billsec": 60}', 'no_rate', 'no_rate of the provider''s side')) AS v (leg, raw, want, what);

-- Nothing is stored, and what is explained is what the trigger does.
SELECT is((SELECT count(*) FROM billing.cdr), 0::bigint, 'explain stores nothing');
INSERT INTO billing.cdr (started_at, callee, billsec, disposition, auth_code, dst_trunk) VALUES ('2026-03-02 12:00+00', '442079460000', 60.5, 'ANSWERED', 'B1', 'gafachi');
SELECT is(format('%s %s %s', customer_amount, reseller_amount, provider_amount), '1.29690000 0.40666667 -0.33000000', 'the amounts that were explained are the amounts') FROM billing.cdr;
SELECT is((SELECT count(*) FROM billing.explain(c)), (SELECT count(*) FROM billing.explain(jsonb_populate_record(NULL::billing.cdr, '{"started_at": "2026-03-02 12:00+00", "callee": "442079460000", "billsec": 60.5, "disposition": "ANSWERED", "auth_code": "B1", "dst_trunk": "gafachi"}'))),
	'a stored call is explained like the same call not stored') FROM billing.cdr AS c;
SELECT is((SELECT count(*) FROM billing.explain(NULL::billing.cdr)), 0::bigint, 'nothing has no steps');

SELECT * FROM finish();
ROLLBACK;
