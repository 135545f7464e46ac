-- Which price list, and which rate of it: precedence, base tariffs, resellers, dates, exact, withdrawn, blocked.
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

-- A tariff with its rates: prefix, price and whatever else a rate names.
CREATE FUNCTION pg_temp.tariff(tariff_name text, rates jsonb, terms jsonb DEFAULT '{}') RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	t bigint := pg_temp.put('tariff', '{"currency": "EUR"}' || terms || jsonb_build_object('name', tariff_name));
BEGIN
	PERFORM pg_temp.put('rate', r || jsonb_build_object('tariff_id', t)) FROM jsonb_array_elements(rates) AS r;
	RETURN t;
END $$;
CREATE FUNCTION pg_temp.tariff(tariff_name text) RETURNS bigint LANGUAGE sql AS $$ SELECT id FROM billing.tariff WHERE name = tariff_name $$;
CREATE FUNCTION pg_temp.account(account_name text) RETURNS bigint LANGUAGE sql AS $$ SELECT id FROM billing.account WHERE name = account_name $$;

-- An account and its service: the auth-code of the same name.
CREATE FUNCTION pg_temp.customer(name text, terms jsonb DEFAULT '{}', service jsonb DEFAULT '{}') RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	a bigint := pg_temp.put('account', '{"currency": "EUR"}' || terms || jsonb_build_object('name', name));
BEGIN
	PERFORM pg_temp.put('service', '{"kind": "auth_code"}' || jsonb_build_object('account_id', a, 'identifier', name) || service);
	RETURN a;
END $$;
CREATE FUNCTION pg_temp.provider(name text, tariff_id bigint, service jsonb DEFAULT '{}') RETURNS bigint LANGUAGE sql AS $$
	SELECT pg_temp.customer(name, jsonb_build_object('is_provider', true, 'tariff_id', tariff_id), '{"side": "provider"}' || service)
$$;

-- Calls last 60 s, so the amount is the price.
CREATE FUNCTION pg_temp.call(raw jsonb) RETURNS billing.cdr LANGUAGE sql AS $$
	INSERT INTO billing.cdr SELECT r.* FROM jsonb_populate_record(NULL::billing.cdr,
		'{"source": "", "started_at": "2026-03-02 12:00:00+00", "disposition": "ANSWERED", "callee": "442079460000", "billsec": 60}' || raw) AS r
	RETURNING *
$$;
-- Amount and reason of the customer's leg.
CREATE FUNCTION pg_temp.pays(code text, callee text DEFAULT '442079460000', at text DEFAULT '2026-03-02 12:00:00+00') RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', trim_scale(c.customer_amount), c.customer_reason) FROM pg_temp.call(jsonb_build_object('auth_code', code, 'callee', callee, 'started_at', at)) AS c
$$;

-- V6: an empty catalogue
SELECT is(format('%s %s', c.status, num_nonnulls(c.customer_amount, c.reseller_amount, c.provider_amount)), 'unrated 0', 'V6: without a price list no price, and the call is there') FROM pg_temp.call('{}') AS c;

-- V7: operator-only: neither a customer's service nor a default tariff
SELECT pg_temp.provider('P3', pg_temp.tariff('p3', '[{"prefix": "44", "price": 0.30}]'));
SELECT is(format('%s %s', c.provider_amount, c.status), '-0.30000000 rated', 'V7: the operator''s price is counted') FROM pg_temp.call('{"provider_code": "P3", "auth_code": "anyone"}') AS c;
SELECT is(num_nonnulls(c.customer_account_id, c.customer_service_id, c.customer_rate_id, c.customer_billsec, c.customer_amount, c.customer_reason), 0, 'V7: and no customer''s is')
FROM pg_temp.call('{"provider_code": "P3", "auth_code": "anyone"}') AS c;

-- V13 to V16: precedence of lists
SELECT pg_temp.tariff('default', '[{"prefix": "44", "price": 0.10}, {"prefix": "1", "price": 0.11}]', '{"is_default_customer": true}');
SELECT pg_temp.tariff('account', '[{"prefix": "44", "price": 0.20}]'), pg_temp.tariff('account plan', '[{"prefix": "44", "price": 0.30}]'),
	pg_temp.tariff('service plan', '[{"prefix": "44", "price": 0.40}]'), pg_temp.tariff('service', '[{"prefix": "44", "price": 0.50}]');
SELECT pg_temp.put('plan', jsonb_build_object('name', name, 'tariff_id', pg_temp.tariff(name))) FROM unnest(ARRAY['account plan', 'service plan']) AS name;
SELECT pg_temp.put('plan', '{"name": "no tariff"}');
CREATE FUNCTION pg_temp.plan(plan_name text) RETURNS bigint LANGUAGE sql AS $$ SELECT id FROM billing.plan WHERE name = plan_name $$;
SELECT pg_temp.customer('1', '{}', '{}'),
	pg_temp.customer('2', jsonb_build_object('tariff_id', pg_temp.tariff('account'))),
	pg_temp.customer('3', jsonb_build_object('tariff_id', pg_temp.tariff('account'), 'plan_id', pg_temp.plan('account plan'))),
	pg_temp.customer('4', jsonb_build_object('tariff_id', pg_temp.tariff('account'), 'plan_id', pg_temp.plan('account plan')), jsonb_build_object('plan_id', pg_temp.plan('service plan'))),
	pg_temp.customer('5', jsonb_build_object('tariff_id', pg_temp.tariff('account'), 'plan_id', pg_temp.plan('account plan')), jsonb_build_object('plan_id', pg_temp.plan('service plan'), 'tariff_id', pg_temp.tariff('service'))),
	pg_temp.customer('6', jsonb_build_object('tariff_id', pg_temp.tariff('account'), 'plan_id', pg_temp.plan('no tariff')), jsonb_build_object('plan_id', pg_temp.plan('no tariff')));
SELECT is(pg_temp.pays('1'), '0.1', 'V13: an account without a list has the default');
SELECT is(pg_temp.pays('2'), '0.2', 'V14: the account''s tariff comes before the default');
SELECT is(pg_temp.pays('3'), '0.3', 'the account''s plan comes before its tariff');
SELECT is(pg_temp.pays('4'), '0.4', 'the service''s plan comes before the account''s');
SELECT is(pg_temp.pays('5'), '0.5', 'the service''s tariff comes before its plan');
SELECT is(pg_temp.pays('6'), '0.2', 'plans without a tariff are passed over');
SELECT is(pg_temp.pays('1', '12125550100'), '0.11', 'V13: the default prices what it has');
SELECT is(pg_temp.pays('2', '12125550100'), 'no_rate', 'V14: the default is not asked when the assigned list lacks the number');
SELECT is(format('%s %s %s', c.customer_amount, c.customer_account_id IS NULL, c.customer_reason), '0.10000000 t no_account', 'V13: a caller that nobody knows is priced by the default, account null')
FROM pg_temp.call('{"auth_code": "nobody"}') AS c;
SELECT is(c.status, 'rated', 'V13: and is rated') FROM pg_temp.call('{"auth_code": "nobody"}') AS c;
SELECT is(format('%s %s', c.customer_amount, c.provider_amount), '0.20000000 -0.30000000', 'V1, V3: two prices, each by its own list') FROM pg_temp.call('{"auth_code": "2", "provider_code": "P3"}') AS c;
SELECT throws_ok($$SELECT pg_temp.tariff('second default', '[]', '{"is_default_customer": true}')$$, '23505', NULL, 'V15: at most one default');
SELECT pg_temp.provider('P4', pg_temp.tariff('p3'), jsonb_build_object('tariff_id', pg_temp.tariff('p4', '[{"prefix": "44", "price": 0.25}]')));
SELECT is((pg_temp.call('{"provider_code": "P4"}')).provider_amount, -0.25, 'provider: its service''s list comes before its own');
SELECT pg_temp.provider('P5', NULL);
SELECT is(format('%s %s', c.provider_amount IS NULL, c.provider_reason), 't no_tariff', 'provider: the default customer tariff is not for it') FROM pg_temp.call('{"provider_code": "P5"}') AS c;
-- A virtual number is priced by its primary's list.
SELECT pg_temp.put('service', jsonb_build_object('account_id', pg_temp.account('5'), 'kind', 'virtual_number', 'identifier', '4930556', 'primary_id',
	pg_temp.put('service', jsonb_build_object('account_id', pg_temp.account('5'), 'kind', 'did', 'identifier', '4930555', 'tariff_id', pg_temp.tariff('service')))));
SELECT is((pg_temp.call('{"caller": "4930556"}')).customer_amount, 0.50, 'D9: a virtual number has its primary''s list');

-- P13, V16 to V18, D17: which rate
SELECT pg_temp.customer('P13', jsonb_build_object('tariff_id', pg_temp.tariff('P13', '[{"prefix": "416", "price": 0.10}, {"prefix": "416368", "price": 0.20}, {"prefix": "416987", "price": 0.30}]')));
SELECT is(pg_temp.pays('P13', callee), want, format('P13: %s costs %s', callee, want)) FROM (VALUES ('4163681234', '0.2'), ('4167851234', '0.1'), ('4169871234', '0.3'), ('416', '0.1'), ('41', 'no_rate'), ('+4163681234', '0.2')) AS v (callee, want);
SELECT pg_temp.customer('V18', jsonb_build_object('tariff_id', pg_temp.tariff('V18', '[{"prefix": "", "price": 0.01}, {"prefix": "44", "price": 0.10}, {"prefix": "4420", "price": 0.20},
	{"prefix": "4420", "exact": true, "price": 0.30}, {"prefix": "442", "exact": true, "price": 0.40}, {"prefix": "*#AD", "price": 0.50}]')));
SELECT is(pg_temp.pays('V18', callee), want, format('V17, V18: %s costs %s: %s', callee, want, what)) FROM (VALUES ('4420', '0.3', 'the fixed number wins over the longest prefix'), ('44201', '0.2', 'a fixed number is the whole number'),
	('442', '0.4', 'the fixed number'), ('4421', '0.1', 'the longest prefix'), ('33', '0.01', 'the list''s own default'), ('*#AD1', '0.5', 'symbols that are no digits')) AS v (callee, want, what);
-- 16138221234 is 11 symbols of D17's sample; each of its prefixes has its length as its price in cents
SELECT pg_temp.customer('D17', jsonb_build_object('tariff_id', pg_temp.tariff('D17', jsonb_agg(jsonb_build_object('prefix', left('161382212345678', n), 'price', n / 100.0))))) FROM generate_series(1, 15) AS n;
SELECT is(pg_temp.pays('D17', left('161382212345678', n)), trim_scale(n / 100.0)::text, format('D17: %s of 15 digits', n)) FROM generate_series(1, 15) AS n;
SELECT is(pg_temp.pays('D17', '16138221239'), '0.1', 'D17: the most granular wins');
SELECT is(pg_temp.pays('D17', '1613822123456789012'), '0.15', 'a number longer than 15 symbols matches by its first 15');
SELECT is(pg_temp.pays('D17', '7'), 'no_rate', 'D17: no rate');

-- Dates
SELECT pg_temp.customer('dated', jsonb_build_object('tariff_id', pg_temp.tariff('dated', '[{"prefix": "4", "price": 0.01}, {"prefix": "44", "price": 0.10},
	{"prefix": "44", "price": 0.20, "valid_from": "2026-03-01 00:00+00"}, {"prefix": "44", "withdrawn": true, "valid_from": "2026-04-01 00:00+00"},
	{"prefix": "44", "price": 0.40, "valid_from": "2026-05-01 00:00+00"}, {"prefix": "4420", "price": 0.50, "valid_from": "2026-06-01 00:00+00"}]')));
SELECT is(pg_temp.pays('dated', '442079460000', at), want, format('K19: at %s: %s, %s', at, want, what)) FROM (VALUES
	('2000-01-01 00:00:00+00', '0.1', 'from the beginning'), ('2026-02-28 23:59:59.999999+00', '0.1', 'the old price until the instant'), ('2026-03-01 00:00:00+00', '0.2', 'the new price from the instant'),
	('2026-04-01 00:00:00+00', '0.01', 'withdrawn: the shorter prefix'), ('2026-05-01 00:00:00+00', '0.4', 'again there'), ('2026-05-31 23:59:59.999999+00', '0.4', 'a price of the future is none'),
	('2026-06-01 00:00:00+00', '0.5', 'the longer prefix')) AS v (at, want, what);
SELECT is((pg_temp.call('{"auth_code": "dated", "started_at": "2026-02-28 23:59:50+00", "answered_at": "2026-03-01 00:00:00+00"}')).customer_amount, 0.20, 'the instant is the answer');
SELECT is(m.price, want, format('match_rate at %s', at)) FROM (VALUES ('2026-02-28 00:00+00'::timestamptz, 0.10), ('2026-03-01 00:00+00', 0.20), ('2026-04-15 00:00+00', 0.01), ('2026-06-01 00:00+00', 0.50)) AS v (at, want),
	billing.match_rate(pg_temp.tariff('dated'), '442079460000', at) AS m;
SELECT is((SELECT m.rate_id FROM billing.match_rate(pg_temp.tariff('dated'), '1') AS m), NULL, 'match_rate: all null when there is no rate');

-- Blocked
SELECT pg_temp.customer('blocked', jsonb_build_object('tariff_id', pg_temp.tariff('blocked', '[{"prefix": "44", "price": 0.10}, {"prefix": "449", "price": 0.90, "blocked": true}, {"prefix": "44123", "price": 0.20}]')));
SELECT is(pg_temp.pays('blocked', '449111'), 'blocked', 'a blocked rate wins like any other, and has no amount');
SELECT is(pg_temp.pays('blocked', '448111'), '0.1', 'beside it the list goes on');
SELECT pg_temp.provider('PB', pg_temp.tariff('blocked'));
SELECT is(format('%s %s', c.provider_amount, c.provider_reason), '-0.90000000 blocked', 'a provider''s blocked rate is priced, for it will be invoiced, and noted') FROM pg_temp.call('{"provider_code": "PB", "callee": "449111"}') AS c;
SELECT is(c.status, 'partial', 'a customer''s blocked call is partial') FROM pg_temp.call('{"auth_code": "blocked", "provider_code": "PB", "callee": "449111"}') AS c;
SELECT is(format('%s %s %s %s %s', c.customer_amount, c.customer_billsec, c.customer_rate_id IS NULL, c.customer_reason, c.status), '0.00000000 0 t no_rate rated', 'an unanswered call without a rate is 0 and keeps its reason')
FROM pg_temp.call('{"auth_code": "P13", "callee": "999", "disposition": "BUSY", "billsec": 0}') AS c;

-- Base tariffs, four deep
SELECT pg_temp.tariff('b5', '[{"prefix": "4", "price": 0.04}, {"prefix": "47", "price": 0.47}]', '{"first_increment": 60, "next_increment": 60, "connect_fee": 0.05}');
SELECT pg_temp.tariff('b4', '[{"prefix": "49", "price": 0.49}]', jsonb_build_object('base_tariff_id', pg_temp.tariff('b5'), 'connect_fee', 0.01));
SELECT pg_temp.tariff('b3', '[{"prefix": "43", "price": 0.43}]', jsonb_build_object('base_tariff_id', pg_temp.tariff('b4')));
SELECT pg_temp.tariff('b2', '[{"prefix": "42", "price": 0.42}, {"prefix": "4477", "price": 0.99}]', jsonb_build_object('base_tariff_id', pg_temp.tariff('b3')));
SELECT pg_temp.tariff('b1', '[{"prefix": "44", "price": 0.44}, {"prefix": "47", "price": 1, "blocked": true}, {"prefix": "49", "price": 1}, {"prefix": "49", "withdrawn": true, "valid_from": "2026-03-01 00:00+00"}]', jsonb_build_object('base_tariff_id', pg_temp.tariff('b2')));
SELECT pg_temp.customer('based', jsonb_build_object('tariff_id', pg_temp.tariff('b1')));
SELECT is(pg_temp.pays('based', callee), want, 'base tariffs: ' || what) FROM (VALUES ('447711', '0.44', 'a number that the list prices is not looked up in its base, a longer prefix there or not'), ('4211', '0.42', 'the first base'),
	('4311', '0.43', 'the second'), ('4611', '0.09', 'the fourth, with its own terms: 0.04 + fee 0.05'), ('4711', 'blocked', 'blocked is an answer'), ('4911', '0.5', 'withdrawn is none, the third has one: 0.49 + fee 0.01'), ('5', 'no_rate', 'none of them')) AS v (callee, want, what);
-- the fourth base counts whole minutes: 61 s are 120
SELECT is((pg_temp.call('{"auth_code": "based", "callee": "4611", "billsec": 61}')).customer_billsec, 120, 'base tariffs: increments are of the rate''s own list');
SELECT is(m.rate_tariff_id, pg_temp.tariff('b5'), 'match_rate names the list of the rate') FROM billing.match_rate(pg_temp.tariff('b1'), '4611') AS m;

-- C9: booth 1.00, callshop 0.60, vendor 0.40. The operator earns 0.60 - 0.40, the callshop 1.00 - 0.60.
SELECT pg_temp.customer('Callshop', jsonb_build_object('tariff_id', pg_temp.tariff('owner''s', '[{"prefix": "44", "price": 0.60}]')));
SELECT pg_temp.customer('Booth', jsonb_build_object('parent_id', pg_temp.account('Callshop'), 'tariff_id', pg_temp.tariff('callshop''s', '[{"prefix": "4", "price": 1.00}]', jsonb_build_object('owner_id', pg_temp.account('Callshop')))));
SELECT pg_temp.customer('Booth without list', jsonb_build_object('parent_id', pg_temp.account('Callshop')));
SELECT pg_temp.provider('Vendor', pg_temp.tariff('vendor''s', '[{"prefix": "4", "price": 0.40}]'));
SELECT is(format('%s %s %s', c.customer_amount, c.reseller_amount, c.provider_amount), '1.00000000 0.60000000 -0.40000000', 'C9: three levels') FROM pg_temp.call('{"auth_code": "Booth", "provider_code": "Vendor"}') AS c;
SELECT is(format('%s %s', c.reseller_amount + c.provider_amount, c.customer_amount - c.reseller_amount), '0.20000000 0.40000000', 'C9: what each earns') FROM pg_temp.call('{"auth_code": "Booth", "provider_code": "Vendor"}') AS c;
SELECT is(format('%s %s %s', c.reseller_account_id = pg_temp.account('Callshop'), c.reseller_billsec, c.status), 't 60 rated', 'C9: the reseller''s leg') FROM pg_temp.call('{"auth_code": "Booth"}') AS c;
SELECT is((pg_temp.call('{"auth_code": "Callshop"}')).reseller_account_id, NULL, 'C9: the callshop''s own call has no reseller');
SELECT is(format('%s %s %s %s %s', c.customer_amount, c.reseller_account_id IS NOT NULL, c.reseller_amount IS NULL, c.customer_reason, c.status), '1.00000000 t t no_rate partial', 'C17: the link without a rate is told')
FROM pg_temp.call('{"auth_code": "Booth", "callee": "4311"}') AS c;
SELECT is(format('%s %s %s', c.customer_amount IS NULL, c.customer_reason, c.reseller_amount), 't no_tariff 0.60000000', 'an account with a seller is not sold by the operator''s default') FROM pg_temp.call('{"auth_code": "Booth without list"}') AS c;

-- P5, P6: 100 customers on one list, three providers on three, each with its own file and its own increments
SELECT pg_temp.customer('C' || n, jsonb_build_object('tariff_id', pg_temp.tariff('account'))) FROM generate_series(1, 100) AS n;
SELECT pg_temp.provider(name, pg_temp.tariff(name, jsonb_build_array(jsonb_build_object('prefix', '44', 'price', price, 'first_increment', i, 'next_increment', i))), jsonb_build_object('kind', 'source', 'identifier', name))
FROM (VALUES ('Vitelity', 0.06, 6), ('Gafachi', 0.12, 1), ('Vodafone', 0.18, 60)) AS v (name, price, i);
-- 61 s: the customers pay 0.20 * 61 / 60 = 0.20333333; Vitelity 66 s 0.066, Gafachi 61 s 0.122, Vodafone 120 s 0.36
SELECT is(array_agg(DISTINCT format('%s %s %s %s %s', source, c.customer_amount, c.provider_billsec, c.provider_amount, c.status)),
	ARRAY['Gafachi 0.20333333 61 -0.12200000 rated', 'Vitelity 0.20333333 66 -0.06600000 rated', 'Vodafone 0.20333333 120 -0.36000000 rated'], 'P5, P6: 100 customers, three providers'' files')
FROM generate_series(1, 100) AS n, LATERAL pg_temp.call(jsonb_build_object('auth_code', 'C' || n, 'source', (ARRAY['Vitelity', 'Gafachi', 'Vodafone'])[n % 3 + 1], 'billsec', 61)) AS c;
SELECT is(count(DISTINCT customer_account_id), 100::bigint, 'P6: each customer has its own call') FROM billing.cdr WHERE source <> '';

-- Dated terms: a change holds from its instant, calls before it keep the terms they had
SELECT pg_temp.customer('T', jsonb_build_object('tariff_id', pg_temp.tariff('account')));
UPDATE billing.account SET tariff_id = pg_temp.tariff('service'), terms_from = '2026-04-01 00:00+00' WHERE name = 'T';
UPDATE billing.account SET plan_id = pg_temp.plan('account plan'), terms_from = '2026-05-01 00:00+00' WHERE name = 'T';
UPDATE billing.service SET plan_id = pg_temp.plan('service plan'), terms_from = '2026-06-01 00:00+00' WHERE identifier = 'T';
UPDATE billing.service SET tariff_id = pg_temp.tariff('P13'), terms_from = '2026-07-01 00:00+00' WHERE identifier = 'T';
SELECT is(pg_temp.pays('T', '442079460000', at), want, format('dated terms: at %s %s', at, what)) FROM (VALUES
	('2026-03-31 23:59:59.999999+00', '0.2', 'the account''s first tariff'), ('2026-04-01 00:00:00+00', '0.5', 'its second'), ('2026-04-30 23:59:59.999999+00', '0.5', 'its second'),
	('2026-05-01 00:00:00+00', '0.3', 'its plan'), ('2026-06-01 00:00:00+00', '0.4', 'the service''s plan'), ('2026-07-01 00:00:00+00', 'no_rate', 'the service''s tariff')) AS v (at, want, what);
SELECT pg_temp.customer('U', jsonb_build_object('tariff_id', pg_temp.tariff('changing', '[{"prefix": "44", "price": 0.60}, {"prefix": "49", "price": 0.60, "connect_fee": 0}]')));
UPDATE billing.tariff SET connect_fee = 0.05, terms_from = '2026-04-01 00:00+00' WHERE name = 'changing';
UPDATE billing.tariff SET connect_fee = 0.07, base_tariff_id = pg_temp.tariff('P13'), terms_from = '2026-05-01 00:00+00' WHERE name = 'changing';
SELECT is(pg_temp.pays('U', callee, at), want, format('dated terms: %s at %s', callee, at)) FROM (VALUES
	('441', '2026-03-31 23:59:59.999999+00', '0.6'), ('441', '2026-04-01 00:00:00+00', '0.65'), ('491', '2026-04-01 00:00:00+00', '0.6'), ('441', '2026-05-01 00:00:00+00', '0.67'),
	('416', '2026-04-30 23:59:59.999999+00', 'no_rate'), ('416', '2026-05-01 00:00:00+00', '0.1')) AS v (callee, at, want);
UPDATE billing.tariff SET is_default_customer = false, terms_from = '2026-04-01 00:00+00' WHERE name = 'default';
SELECT is(pg_temp.pays('1', '442079460000', at), want, 'dated terms: the default tariff, at ' || at) FROM (VALUES ('2026-03-31 23:59:59.999999+00', '0.1'), ('2026-04-01 00:00:00+00', 'no_tariff')) AS v (at, want);
UPDATE billing.tariff SET is_default_customer = true, terms_from = '2026-05-01 00:00+00' WHERE name = 'service';
SELECT is(pg_temp.pays('1', '442079460000', at), want, 'dated terms: another default tariff, at ' || at) FROM (VALUES ('2026-03-31 23:59:59.999999+00', '0.1'), ('2026-04-30 23:59:59.999999+00', 'no_tariff'), ('2026-05-01 00:00:00+00', '0.5')) AS v (at, want);
UPDATE billing.account SET parent_id = pg_temp.account('Callshop'), terms_from = '2026-06-01 00:00+00' WHERE name = '2';
SELECT is(c.reseller_amount, want, format('dated terms: the parent, at %s', at)) FROM (VALUES ('2026-05-31 23:59:59.999999+00', NULL), ('2026-06-01 00:00:00+00', 0.60)) AS v (at, want), pg_temp.call(jsonb_build_object('auth_code', '2', 'started_at', at)) AS c;

SELECT * FROM finish();
ROLLBACK;
