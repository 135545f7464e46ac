-- The three prices of a DID (K1 to K14, K16, D13, D14, readings 8 to 14 and 28, design 5.6).
BEGIN;
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS billing CASCADE;
SELECT billing.create_ledger();
SELECT no_plan();

-- Every customer buys at 0.60 a minute, every carrier sells at 0.30.
INSERT INTO billing.tariff (name, currency) VALUES ('sell', 'EUR'), ('buy', 'EUR');
INSERT INTO billing.rate (tariff_id, prefix, price) SELECT id, '', CASE name WHEN 'sell' THEN 0.60 ELSE 0.30 END FROM billing.tariff;
INSERT INTO billing.account (name, is_provider, currency, tariff_id) SELECT v.name, v.provider, v.currency, t.id
FROM (VALUES ('Caller', false, 'EUR'), ('Owner', false, 'EUR'), ('Other', false, 'EUR'), ('Krona', false, 'SEK'), ('DIDCo', true, 'EUR'), ('Wrong', true, 'EUR'), ('Carrier', true, 'EUR')) AS v (name, provider, currency)
	JOIN billing.tariff AS t ON t.name = CASE WHEN v.provider THEN 'buy' ELSE 'sell' END;
CREATE FUNCTION pg_temp.account(name text) RETURNS bigint LANGUAGE sql STABLE AS $$ SELECT id FROM billing.account AS a WHERE a.name = account.name $$;
INSERT INTO billing.service (account_id, side, kind, identifier, tenant) SELECT pg_temp.account(account), side, kind, identifier, tenant FROM (VALUES
	('Caller', 'customer', 'extension', '201', ''), ('Caller', 'customer', 'ani', '4930201', ''), ('Caller', 'customer', 'auth_code', 'PIN1', ''), ('Caller', 'customer', 'trunk', 'caller-trunk', ''), ('Caller', 'customer', 'ip', '10.0.0.0/24', ''),
	('Owner', 'customer', 'extension', '101', ''), ('Owner', 'customer', 'extension', '102', ''), ('Owner', 'customer', 'ani', '4930101', ''), ('Owner', 'customer', 'auth_code', 'PIN0', ''), ('Owner', 'customer', 'trunk', 'owner-trunk', ''),
	('Caller', 'customer', 'extension', '300', 'A'), ('Other', 'customer', 'extension', '300', 'B'),
	('DIDCo', 'provider', 'trunk', 'didco-in', ''), ('DIDCo', 'provider', 'ip', '192.0.2.0/24', ''), ('DIDCo', 'provider', 'source', 'didco.csv', ''), ('Wrong', 'provider', 'trunk', 'wrong-in', ''),
	('Carrier', 'provider', 'auth_code', 'CARR', ''), ('Carrier', 'provider', 'trunk', 'carrier-out', ''), ('Carrier', 'provider', 'ip', '198.51.100.1/32', '')) AS v (account, side, kind, identifier, tenant);

-- Two calendars, the first one for DID rates that name none. Vilnius: 2 March 2026 is a Monday, 7 a Saturday, 11 a holiday, 14 a Saturday that is worked; 22:00 UTC is midnight.
INSERT INTO billing.calendar (name, timezone, is_default) VALUES ('home', 'Europe/Vilnius', true), ('UTC', 'UTC', false);
INSERT INTO billing.calendar_day (calendar_id, date, day_type) SELECT id, v.date::date, v.day_type FROM billing.calendar, (VALUES ('2026-03-11', 'free'), ('2026-03-14', 'work')) AS v (date, day_type) WHERE name = 'home';
INSERT INTO billing.calendar_band (calendar_id, band, starts, ends) SELECT id, 'peak', '08:00', '20:00' FROM billing.calendar;

-- A DID 3705200 and two digits: of an account, or of nobody, from DIDCo unless it is said otherwise.
CREATE FUNCTION pg_temp.did(last text, account text, provider text DEFAULT 'DIDCo', out_payment numeric DEFAULT 0, tenant text DEFAULT '', active tstzrange DEFAULT '(,)') RETURNS bigint LANGUAGE sql AS $$
	INSERT INTO billing.service (account_id, kind, identifier, provider_id, out_payment, tenant, active)
	VALUES (pg_temp.account(account), 'did', '3705200' || last, pg_temp.account(provider), out_payment, tenant, active) RETURNING id
$$;
-- Its price for a leg, named in short.
CREATE FUNCTION pg_temp.price(last text, leg text, vals jsonb) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	row jsonb := '{"currency": "EUR"}' || vals || jsonb_build_object('number', '3705200' || last, 'leg', 'did_' || leg);
	cols text := (SELECT string_agg(quote_ident(k), ', ') FROM jsonb_object_keys(row) AS k);
	id bigint;
BEGIN
	EXECUTE format('INSERT INTO billing.did_rate (%1$s) SELECT %1$s FROM jsonb_populate_record(NULL::billing.did_rate, $1) RETURNING id', cols) INTO id USING row;
	RETURN id;
END $$;

CREATE FUNCTION pg_temp.call(raw jsonb) RETURNS billing.cdr LANGUAGE sql AS $$
	INSERT INTO billing.cdr SELECT r.* FROM jsonb_populate_record(NULL::billing.cdr,
		'{"source": "", "started_at": "2026-03-02 12:00:00+00", "disposition": "ANSWERED", "caller": "49999", "billsec": 60}' || raw) AS r
	RETURNING *
$$;
-- The legs that apply: whose and how much; '?' where there is no amount. Then the status and the reasons.
CREATE FUNCTION pg_temp.leg(name text, account_id bigint, amount numeric, reason text DEFAULT NULL) RETURNS text LANGUAGE sql STABLE AS $$
	SELECT CASE WHEN num_nonnulls(account_id, amount) > 0 THEN format('%s %s %s', name, coalesce((SELECT a.name FROM billing.account AS a WHERE id = account_id), '-'), coalesce(trim_scale(amount)::text, '?')) END
$$;
CREATE FUNCTION pg_temp.legs(raw jsonb) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(', ', pg_temp.leg('customer', c.customer_account_id, c.customer_amount), pg_temp.leg('provider', c.provider_account_id, c.provider_amount),
		pg_temp.leg('did_incoming', c.did_incoming_account_id, c.did_incoming_amount), pg_temp.leg('did_owner', c.did_owner_account_id, c.did_owner_amount), pg_temp.leg('did_provider', c.did_provider_account_id, c.did_provider_amount),
		concat_ws(' ', c.status, c.customer_reason, c.provider_reason, c.did_reason)) FROM pg_temp.call(raw) AS c
$$;

-- 01: Owner's, at 0.60, 0.30 and 0.12 a minute, the first with a connect fee of 0.05
SELECT pg_temp.did('01', 'Owner'), pg_temp.price('01', 'incoming', '{"price": 0.60, "connect_fee": 0.05}'), pg_temp.price('01', 'owner', '{"price": 0.30}'), pg_temp.price('01', 'provider', '{"price": 0.12}');
SELECT is(pg_temp.legs(raw), want, what) FROM (VALUES
	('{"callee": "370520001", "caller": "4930201", "src_trunk": "didco-in"}'::jsonb, 'did_incoming Caller 0.65, did_owner Owner 0.3, did_provider DIDCo 0.12, rated', 'K1, K2, K5, K11: three prices for one call, a minute each, and no customer or provider leg'),
	('{"callee": "+370520001", "caller": "+4930201", "src_trunk": "didco-in"}', 'did_incoming Caller 0.65, did_owner Owner 0.3, did_provider DIDCo 0.12, rated', 'K1: numbers may begin with a plus'),
	('{"callee": "7", "did": "370520001", "caller": "4930201", "src_trunk": "didco-in"}', 'did_incoming Caller 0.65, did_owner Owner 0.3, did_provider DIDCo 0.12, rated', 'design 5.6: did comes before callee'),
	('{"callee": "370520001", "caller": "49999", "src_trunk": "didco-in"}', 'did_owner Owner 0.3, did_provider DIDCo 0.12, rated', 'K3: nobody is recognised: no incoming price and no fee'),
	('{"callee": "370520001", "caller": null, "src_trunk": "didco-in"}', 'did_owner Owner 0.3, did_provider DIDCo 0.12, rated', 'K3: no caller at all'),
	('{"callee": "370520001", "caller": "201", "src_trunk": "didco-in"}', 'did_owner Owner 0.3, did_provider DIDCo 0.12, rated', 'design 5.2: behind a provider a caller is an ani or nobody, no extension of ours'),
	('{"callee": "370520001", "auth_code": "PIN1", "src_trunk": "didco-in"}', 'did_incoming Caller 0.65, did_owner Owner 0.3, did_provider DIDCo 0.12, rated', 'K3: recognised by PIN'),
	('{"callee": "370520001", "auth_code": "PIN9", "caller": "4930201", "src_trunk": "didco-in"}', 'did_incoming Caller 0.65, did_owner Owner 0.3, did_provider DIDCo 0.12, rated', 'an unknown PIN falls to the caller'),
	('{"callee": "370520001", "caller": "4930201", "src_ip": "192.0.2.7"}', 'did_incoming Caller 0.65, did_owner Owner 0.3, did_provider DIDCo 0.12, rated', 'K11: the provider by its address'),
	('{"callee": "370520001", "caller": "4930201", "source": "didco.csv"}', 'did_incoming Caller 0.65, did_owner Owner 0.3, did_provider DIDCo 0.12, rated', 'K11, design 5.2: the provider by its own CDR file'),
	('{"callee": "370520001", "caller": "4930201"}', 'did_incoming Caller 0.65, did_owner Owner 0.3, did_provider DIDCo 0.12, rated', 'design 5.6: no source is named, the caller is no extension: the DID''s provider'),
	('{"callee": "370520001"}', 'did_owner Owner 0.3, did_provider DIDCo 0.12, rated', 'design 5.6: no source is named, nobody recognised: the DID''s provider'),
	('{"callee": "370520001", "auth_code": "PIN1"}', 'did_incoming Caller 0.65, did_owner Owner 0.3, did_provider DIDCo 0.12, rated', 'design 5.6: a PIN alone does not make the call one on the net'),
	('{"callee": "370520001", "caller": "201"}', 'did_incoming Caller 0.65, did_owner Owner 0.3, rated', 'K6: a local user to a local user through the DID: the owner pays, no provider is in it'),
	('{"callee": "370520001", "src_trunk": "caller-trunk"}', 'did_incoming Caller 0.65, did_owner Owner 0.3, rated', 'reading 12: recognised by trunk, on the net'),
	('{"callee": "370520001", "src_ip": "10.0.0.9"}', 'did_incoming Caller 0.65, did_owner Owner 0.3, rated', 'reading 12: recognised by address, on the net'),
	('{"callee": "370520001", "caller": "101"}', 'did_incoming Owner 0.65, rated', 'K8, reading 11: the owner dials himself: incoming only'),
	('{"callee": "370520001", "caller": "102"}', 'did_incoming Owner 0.65, rated', 'K8, reading 10: from another device: the account counts'),
	('{"callee": "370520001", "src_trunk": "owner-trunk"}', 'did_incoming Owner 0.65, rated', 'K8, reading 10: through his trunk'),
	('{"callee": "370520001", "caller": "4930101", "src_trunk": "didco-in"}', 'did_incoming Owner 0.65, did_provider DIDCo 0.12, rated', 'K8: from outside by his ani: the provider still pays'),
	('{"callee": "370520001", "auth_code": "PIN0", "src_trunk": "didco-in"}', 'did_incoming Owner 0.65, did_provider DIDCo 0.12, rated', 'K8: from outside by his PIN'),
	('{"callee": "370520001", "caller": "49999", "redirected_by": "201"}', 'did_incoming Caller 0.65, did_owner Owner 0.3, rated', 'design 5.2: redirected_by takes the caller''s place'),
	('{"callee": "370520001", "caller": "300"}', 'did_owner Owner 0.3, rated ambiguous', 'D6, K3: an extension of two tenants is on the net; who dials is not guessed, and the row says so'),
	('{"callee": "370520001", "caller": "300", "tenant": "A"}', 'did_incoming Caller 0.65, did_owner Owner 0.3, rated', 'D6: with its tenant it is; the DID without one serves every tenant'),
	('{"callee": "370520001", "caller": "4930201", "src_trunk": "wrong-in"}', 'did_incoming Caller 0.65, did_owner Owner 0.3, did_provider Wrong ?, partial provider_mismatch', 'design 5.6: from another provider than the DID''s: provider_mismatch')) AS v (raw, want, what);
SELECT is(num_nonnulls(c.did_incoming_account_id, c.did_owner_account_id, c.did_provider_account_id, c.did_incoming_amount, c.did_owner_amount, c.did_provider_amount, c.customer_amount), 0, 'design 5.2: a rerouted row has no DID legs')
FROM pg_temp.call('{"callee": "370520001", "src_trunk": "didco-in", "rerouted": true}') AS c;
SELECT is(format('%s %s %s %s', c.did_service_id = s.id, i.leg, o.leg, p.leg), 't did_incoming did_owner did_provider', 'promise 4: the row names the DID and the rate of each leg')
FROM pg_temp.call('{"callee": "370520001", "caller": "4930201", "src_trunk": "didco-in"}') AS c JOIN billing.service AS s ON s.identifier = '370520001'
	LEFT JOIN billing.did_rate AS i ON i.id = c.did_incoming_rate_id LEFT JOIN billing.did_rate AS o ON o.id = c.did_owner_rate_id LEFT JOIN billing.did_rate AS p ON p.id = c.did_provider_rate_id;
-- K13: 0.65 + 0.30 + 0.12
SELECT is(c.did_incoming_amount + c.did_owner_amount + c.did_provider_amount, 1.07, 'K13: the profit of a DID call is the sum of its prices') FROM pg_temp.call('{"callee": "370520001", "caller": "4930201", "src_trunk": "didco-in"}') AS c;

-- Duration and answer. Three minutes of the DID, one of the onward call or as the switch counts.
SELECT is(pg_temp.legs(raw), want, what) FROM (VALUES
	('{"callee": "370520001", "billsec": 60, "did_billsec": 180, "caller": "4930201"}'::jsonb, 'did_incoming Caller 1.85, did_owner Owner 0.9, did_provider DIDCo 0.36, rated', 'K16: DID legs by did_billsec: 0.05 + 3 * 0.60, 3 * 0.30, 3 * 0.12'),
	('{"callee": "370520001", "billsec": null, "did_billsec": 180}', 'did_owner Owner 0.9, did_provider DIDCo 0.36, rated', 'K16: did_billsec alone'),
	('{"callee": "370520001", "billsec": null, "answered_at": "2026-03-02 12:00:00+00", "ended_at": "2026-03-02 12:02:00+00"}', 'did_owner Owner 0.6, did_provider DIDCo 0.24, rated', 'K16: neither: from answer to end'),
	('{"callee": "370520001", "billsec": 0, "disposition": "NO ANSWER", "caller": "4930201"}', 'did_incoming Caller 0, did_owner Owner 0, did_provider DIDCo 0, rated', 'reading 19: unanswered: nothing, no fee'),
	('{"callee": "370520001", "billsec": 0, "caller": "4930201"}', 'did_incoming Caller 0, did_owner Owner 0, did_provider DIDCo 0, rated', 'reading 19: answered for 0 s: nothing, no fee')) AS v (raw, want, what);
SELECT is(format('%s %s', c.did_owner_amount IS NULL, c.did_reason), 't invalid_duration', 'K16: a did_billsec that cannot be is a reason, no error') FROM pg_temp.call('{"callee": "370520001", "billsec": 60, "did_billsec": -1}') AS c;

-- Signs: 02 pays out on all three. 03 is zero. 04 mixes them, with a fee.
SELECT pg_temp.did('02', 'Owner'), pg_temp.price('02', 'incoming', '{"price": -0.60}'), pg_temp.price('02', 'owner', '{"price": -0.30}'), pg_temp.price('02', 'provider', '{"price": -0.12}');
SELECT is(pg_temp.legs('{"callee": "370520002", "caller": "4930201"}'), 'did_incoming Caller -0.6, did_owner Owner -0.3, did_provider DIDCo -0.12, rated', 'K2, K5, K11, K13: negative prices are paid to caller, owner and provider');
SELECT pg_temp.did('03', 'Owner'), pg_temp.price('03', 'incoming', '{}'), pg_temp.price('03', 'owner', '{}'), pg_temp.price('03', 'provider', '{}');
SELECT is(pg_temp.legs('{"callee": "370520003", "caller": "4930201"}'), 'did_incoming Caller 0, did_owner Owner 0, did_provider DIDCo 0, rated', 'K14: zero prices are amounts of zero, rated');
SELECT is(num_nonnulls(c.did_incoming_rate_id, c.did_owner_rate_id, c.did_provider_rate_id), 3, 'K14: and name their rates') FROM pg_temp.call('{"callee": "370520003", "caller": "4930201"}') AS c;
SELECT pg_temp.did('04', 'Owner'), pg_temp.price('04', 'incoming', '{"price": -0.60, "connect_fee": 0.05}'), pg_temp.price('04', 'owner', '{"price": 0.30}'), pg_temp.price('04', 'provider', '{"price": -0.12, "attempt_fee": 0.02}');
SELECT is(pg_temp.legs('{"callee": "370520004", "caller": "4930201", "billsec": 120}'), 'did_incoming Caller -1.15, did_owner Owner 0.6, did_provider DIDCo -0.24, rated', 'K13: each with its own sign: 0.05 - 2 * 0.60, 2 * 0.30, 2 * -0.12');
SELECT is(pg_temp.legs('{"callee": "370520004", "caller": "4930201", "billsec": 0, "disposition": "BUSY"}'), 'did_incoming Caller 0, did_owner Owner 0, did_provider DIDCo 0.02, rated', 'an attempt fee of a DID leg');

-- 05: only the owner pays. 06: no prices. 07: prices to come, and one that has gone. 08: no provider. 09, 10: in stock.
SELECT pg_temp.did('05', 'Owner'), pg_temp.price('05', 'owner', '{"price": 0.30}');
SELECT is(pg_temp.legs('{"callee": "370520005", "caller": "4930201", "src_trunk": "didco-in"}'), 'did_owner Owner 0.3, rated', 'design 5.6: a leg without any price does not apply');
SELECT is(pg_temp.legs('{"callee": "370520005", "caller": "101"}'), 'unrated no_rate', 'design 5.6: the owner''s own call, and nothing else has a price: nobody pays, and the row says so');
SELECT pg_temp.did('06', 'Owner');
SELECT is(pg_temp.legs('{"callee": "370520006", "caller": "4930201", "src_trunk": "didco-in"}'), 'unrated no_rate', 'design 5.6: a DID without prices');
SELECT pg_temp.did('07', 'Owner'), pg_temp.price('07', 'incoming', '{"price": 0.60, "valid_from": "2026-03-03 00:00:00+00"}'), pg_temp.price('07', 'owner', '{"price": 0.30}'), pg_temp.price('07', 'owner', '{"price": 0.30, "valid_from": "2026-03-01 00:00:00+00", "withdrawn": true}'),
	pg_temp.price('07', 'provider', '{"price": 0.12}'), pg_temp.price('07', 'provider', '{"price": 0.18, "valid_from": "2026-03-02 12:00:00+00"}');
SELECT is(pg_temp.legs('{"callee": "370520007", "caller": "4930201"}'), 'did_incoming Caller ?, did_owner Owner ?, did_provider DIDCo 0.18, partial no_rate', 'design 5.6: prices, but none in force: no_rate; a new version holds from its instant on');
SELECT is(pg_temp.legs('{"callee": "370520007", "caller": "4930201", "started_at": "2026-03-02 11:59:59.999999+00"}'), 'did_incoming Caller ?, did_owner Owner ?, did_provider DIDCo 0.12, partial no_rate', 'K19: and not before');
SELECT is(pg_temp.legs('{"callee": "370520007", "caller": "4930201", "started_at": "2026-03-02 23:59:30+00", "answered_at": "2026-03-03 00:00:00+00"}'), 'did_incoming Caller 0.6, did_owner Owner ?, did_provider DIDCo 0.18, partial no_rate', 'design 5.1: by the instant of the answer');
SELECT is(pg_temp.legs('{"callee": "370520007", "caller": "101", "billsec": 0, "disposition": "BUSY"}'), 'did_incoming Owner 0, rated no_rate', 'an unanswered call without a rate costs nothing and keeps its reason');
SELECT pg_temp.did('08', 'Owner', NULL), pg_temp.price('08', 'owner', '{"price": 0.30}'), pg_temp.price('08', 'provider', '{"price": 0.12}');
SELECT is(pg_temp.legs('{"callee": "370520008", "src_trunk": "didco-in"}'), 'did_owner Owner 0.3, rated', 'a DID whose provider is unknown has no provider leg');
SELECT pg_temp.did('09', NULL), pg_temp.price('09', 'incoming', '{"price": 0.60, "connect_fee": 0.05}'), pg_temp.price('09', 'owner', '{"price": 0.30}'), pg_temp.price('09', 'provider', '{"price": 0.12}');
SELECT is(pg_temp.legs('{"callee": "370520009", "caller": "4930201", "src_trunk": "didco-in"}'), 'did_incoming Caller 0.65, did_provider DIDCo 0.12, rated', 'D4: a DID in stock has no owner leg');
SELECT is(pg_temp.legs('{"callee": "370520009", "src_trunk": "didco-in"}'), 'did_provider DIDCo 0.12, rated', 'D4: in stock, nobody recognised: the provider only');
SELECT pg_temp.did('10', NULL), pg_temp.price('10', 'owner', '{"price": 0.30}');
SELECT is(pg_temp.legs('{"callee": "370520010", "src_trunk": "didco-in"}'), 'unrated no_rate', 'D4: in stock with an owner''s price only');
-- a provider that sends a call to a number that is no DID of ours
SELECT is(pg_temp.legs('{"callee": "370520099", "caller": "4930201", "src_trunk": "didco-in"}'), 'unrated unknown_did', 'a call from a provider to an unknown number: unknown_did');

-- Tenants: 11 is Owner's in A at 0.30 and Other's in B at 0.90
SELECT pg_temp.did('11', 'Owner', tenant => 'A'), pg_temp.did('11', 'Other', tenant => 'B'), pg_temp.price('11', 'owner', '{"tenant": "A", "price": 0.30}'), pg_temp.price('11', 'owner', '{"tenant": "B", "price": 0.90}'),
	pg_temp.price('11', 'incoming', '{"tenant": "B", "price": 0.06}');
SELECT is(pg_temp.legs(raw), want, what) FROM (VALUES
	('{"callee": "370520011", "caller": "4930201", "tenant": "A"}'::jsonb, 'did_owner Owner 0.3, rated', 'D6: a DID by its tenant: A'), ('{"callee": "370520011", "caller": "4930201", "tenant": "B"}', 'did_incoming Caller 0.06, did_owner Other 0.9, rated', 'D6: and B, with other prices'),
	('{"callee": "370520011", "caller": "4930201"}', 'unrated ambiguous', 'D6: without a tenant it is not guessed')) AS v (raw, want, what);
SELECT is(c.did_service_id, NULL, 'D6: and the row names no DID') FROM pg_temp.call('{"callee": "370520011"}') AS c;

-- D13: activation and end. 12 is Owner's from 1 March on, until 5 March.
SELECT pg_temp.did('12', 'Owner', active => '[2026-03-01 00:00+00, 2026-03-05 00:00+00)'), pg_temp.price('12', 'owner', '{"price": 0.30}');
SELECT is(pg_temp.legs(jsonb_build_object('callee', '370520012', 'src_trunk', 'didco-in', 'started_at', at)), want, 'D13, reading 30: ' || what) FROM (VALUES ('2026-02-28 23:59:59.999999+00', 'unrated unknown_did', 'before its activation'), ('2026-03-01 00:00:00+00', 'did_owner Owner 0.3, rated', 'from it on'),
	('2026-03-04 23:59:59+00', 'did_owner Owner 0.3, rated', 'to its end'), ('2026-03-05 00:00:00+00', 'unrated unknown_did', 'and not after')) AS v (at, want, what);

-- D14: out-payment per minute, off the owner's price. 13: 0.10 less 0.02; 14: no price of his; 15: Price 1 and Price N; 16: as high as the price.
SELECT pg_temp.did('13', 'Owner', out_payment => 0.02), pg_temp.price('13', 'owner', '{"price": 0.10, "connect_fee": 0.05}');
SELECT is(pg_temp.legs('{"callee": "370520013", "billsec": 300}'), 'did_owner Owner 0.45, rated', 'D14, reading 28: 0.05 + 5 * (0.10 - 0.02)');
SELECT is(pg_temp.legs('{"callee": "370520013", "billsec": 300, "caller": "101"}'), 'unrated no_rate', 'reading 28: never for the owner''s own call');
SELECT pg_temp.did('14', 'Owner', out_payment => 0.02);
SELECT is(pg_temp.legs('{"callee": "370520014", "billsec": 300, "src_trunk": "didco-in"}'), 'did_owner Owner -0.1, rated', 'D14: without a price the owner is paid: 5 * -0.02');
SELECT is(c.did_owner_rate_id, NULL, 'D14: by no rate') FROM pg_temp.call('{"callee": "370520014"}') AS c;
SELECT is(pg_temp.legs('{"callee": "370520014", "billsec": 60, "did_billsec": 300}'), 'did_owner Owner -0.1, rated', 'D14, K16: by the clock of the DID');
SELECT is(pg_temp.legs('{"callee": "370520014", "billsec": 0, "disposition": "BUSY"}'), 'did_owner Owner 0, rated', 'D14: nothing for a call that was not answered');
SELECT pg_temp.did('15', 'Owner', out_payment => 0.02), pg_temp.price('15', 'owner', '{"price": 0.10, "first_price": 0.50, "first_increment": 60}');
SELECT is(pg_temp.legs('{"callee": "370520015", "billsec": 120}'), 'did_owner Owner 0.56, rated', 'D14, C18: off the first minute as off the others: 0.50 - 0.02 + 0.10 - 0.02');
SELECT pg_temp.did('16', 'Owner', out_payment => 0.02), pg_temp.price('16', 'owner', '{"price": 0.02}');
SELECT is(pg_temp.legs('{"callee": "370520016"}'), 'did_owner Owner 0, rated', 'D14: price and out-payment are even');
-- it is a dated term: 0.05 from 3 March on
UPDATE billing.service SET out_payment = 0.05, terms_from = '2026-03-03 00:00+00' WHERE identifier = '370520014';
SELECT is(pg_temp.legs(jsonb_build_object('callee', '370520014', 'started_at', at)), want, 'D14, design 3: ' || what) FROM (VALUES ('2026-03-02 23:59:59+00', 'did_owner Owner -0.02, rated', 'the former out-payment'), ('2026-03-03 00:00:00+00', 'did_owner Owner -0.05, rated', 'the new one')) AS v (at, want, what);

-- Terms of their own: 61 s are 61, 120 and 66 s: 0.60 * 61 / 60, 0.30 * 2, 0.12 * 66 / 60
SELECT pg_temp.did('17', 'Owner'), pg_temp.price('17', 'incoming', '{"price": 0.60}'), pg_temp.price('17', 'owner', '{"price": 0.30, "first_increment": 60, "next_increment": 60}'), pg_temp.price('17', 'provider', '{"price": 0.12, "first_increment": 30, "next_increment": 6}');
SELECT is(format('%s %s %s', c.did_incoming_billsec, c.did_owner_billsec, c.did_provider_billsec), '61 120 66', 'P8: each leg by its own increments') FROM pg_temp.call('{"callee": "370520017", "caller": "4930201", "billsec": 61}') AS c;
SELECT is(pg_temp.legs('{"callee": "370520017", "caller": "4930201", "billsec": 61}'), 'did_incoming Caller 0.61, did_owner Owner 0.6, did_provider DIDCo 0.132, rated', 'P8: and by its own price');
SELECT pg_temp.did('18', 'Owner'), pg_temp.price('18', 'incoming', '{"price": 0.60, "grace_seconds": 10, "connect_fee": 1}'), pg_temp.price('18', 'owner', '{"price": 0.60, "min_amount": 0.50}'), pg_temp.price('18', 'provider', '{"price": -0.61, "rounding_digits": 2, "surcharge_percent": 10}');
-- 10 s: grace; 0.10, at least 0.50; -0.61 * 10 / 60 * 1.1 = -0.111833
SELECT is(pg_temp.legs('{"callee": "370520018", "caller": "4930201", "billsec": 10}'), 'did_incoming Caller 0, did_owner Owner 0.5, did_provider DIDCo -0.11, rated', 'K18, C18, C23: grace, minimum, surcharge and rounding of a DID leg');

-- Work days and free days
SELECT pg_temp.did('19', 'Owner'), pg_temp.price('19', 'owner', '{"price": 0.60, "day_type": "work"}'), pg_temp.price('19', 'owner', '{"price": 0.12, "day_type": "free"}'),
	pg_temp.price('19', 'provider', '{"price": 0.06}'), pg_temp.price('19', 'provider', jsonb_build_object('price', 0.09, 'day_type', 'work', 'calendar_id', (SELECT id FROM billing.calendar WHERE name = 'UTC')));
SELECT is(pg_temp.legs(jsonb_build_object('callee', '370520019', 'started_at', at)), want, 'K12, K15, reading 14: ' || what) FROM (VALUES
	('2026-03-02 12:00+00', 'did_owner Owner 0.6, did_provider DIDCo 0.09, rated', 'a work day'), ('2026-03-07 12:00+00', 'did_owner Owner 0.12, did_provider DIDCo 0.06, rated', 'a Saturday'),
	('2026-03-06 22:30+00', 'did_owner Owner 0.12, did_provider DIDCo 0.09, rated', 'Saturday in Vilnius by the default calendar, Friday yet by the one that the rate names'),
	('2026-03-11 12:00+00', 'did_owner Owner 0.12, did_provider DIDCo 0.09, rated', 'a holiday of one calendar'), ('2026-03-14 12:00+00', 'did_owner Owner 0.6, did_provider DIDCo 0.06, rated', 'a Saturday that is worked')) AS v (at, want, what);
-- 20: day and band, band, day, any; 12:00 in Vilnius is peak, 22:00 is not
SELECT pg_temp.did('20', 'Owner'), pg_temp.price('20', 'owner', '{"price": 0.10}'), pg_temp.price('20', 'owner', '{"price": 0.20, "day_type": "work"}'), pg_temp.price('20', 'owner', '{"price": 0.30, "band": "peak"}'), pg_temp.price('20', 'owner', '{"price": 0.40, "day_type": "work", "band": "peak"}');
SELECT is(pg_temp.legs('{"callee": "370520020", "started_at": "2026-03-02 10:00+00"}'), 'did_owner Owner 0.4, rated', 'design 5.4: day and band');
SELECT is(pg_temp.legs('{"callee": "370520020", "started_at": "2026-03-02 20:00+00"}'), 'did_owner Owner 0.2, rated', 'design 5.4: day');
SELECT is(pg_temp.legs('{"callee": "370520020", "started_at": "2026-03-07 10:00+00"}'), 'did_owner Owner 0.1, rated', 'design 5.4: any');
SELECT pg_temp.price('20', 'owner', '{"price": 0, "day_type": "work", "band": "peak", "valid_from": "2026-03-03 00:00+00", "withdrawn": true}');
SELECT is(pg_temp.legs('{"callee": "370520020", "started_at": "2026-03-03 10:00+00"}'), 'did_owner Owner 0.3, rated', 'design 5.4: day and band withdrawn: band');
-- 21: split at midnight: 30 s at 0.60 and 30 s at 0.12 a minute; the other leg by the price at the start
SELECT pg_temp.did('21', 'Owner', out_payment => 0.06), pg_temp.price('21', 'owner', '{"price": 0.60, "day_type": "work", "boundary": "split"}'), pg_temp.price('21', 'owner', '{"price": 0.12, "day_type": "free"}'),
	pg_temp.price('21', 'provider', '{"price": 0.60, "day_type": "work"}'), pg_temp.price('21', 'provider', '{"price": 0.12, "day_type": "free"}');
-- 30 * 0.01 + 30 * 0.002 = 0.36, less 0.06 for the minute
SELECT is(pg_temp.legs('{"callee": "370520021", "started_at": "2026-03-06 21:59:30+00"}'), 'did_owner Owner 0.3, did_provider DIDCo 0.6, rated', 'reading 15: a DID leg splits by its own boundary; the out-payment is taken off every part');
SELECT is(pg_temp.legs('{"callee": "370520021", "started_at": "2026-03-06 21:59:00+00", "billsec": 60, "did_billsec": 120}'), 'did_owner Owner 0.6, did_provider DIDCo 1.2, rated', 'reading 15, K16: 60 * 0.01 + 60 * 0.002 - 2 * 0.06 by the clock of the DID');

-- C28: currencies. 22 has prices in USD, 1 USD = 0.50 EUR; Krona's account has no exchange rate to it.
INSERT INTO billing.exchange_rate (base, quote, rate) VALUES ('USD', 'EUR', 0.5);
SELECT pg_temp.did('22', 'Owner', out_payment => 0.02), pg_temp.price('22', 'incoming', '{"price": 0.60, "currency": "USD"}'), pg_temp.price('22', 'owner', '{"price": 0.10, "currency": "USD"}'), pg_temp.price('22', 'provider', '{"price": -0.12, "currency": "USD"}');
SELECT pg_temp.did('23', 'Krona'), pg_temp.price('23', 'owner', '{"price": 0.10, "currency": "USD"}'), pg_temp.price('23', 'provider', '{"price": 0.10, "currency": "USD"}');
SELECT is(format('%s %s', trim_scale(c.did_incoming_amount), trim_scale(c.did_provider_amount)), '0.3 -0.06', 'C28: DID prices are converted into the currency of each account: 0.60 / 2, -0.12 / 2') FROM pg_temp.call('{"callee": "370520022", "caller": "4930201"}') AS c;
SELECT is(trim_scale(c.did_owner_amount), 0.03, 'D14, C28: the out-payment is in the currency of the account: 0.10 / 2 - 0.02') FROM pg_temp.call('{"callee": "370520022", "caller": "4930201"}') AS c;
SELECT is(pg_temp.legs('{"callee": "370520023"}'), 'did_owner Krona ?, did_provider DIDCo 0.05, partial no_exchange_rate', 'C28: no exchange rate is a reason on its leg only');

-- Forwarding to an outside number, in one CDR: the DID's legs, and the onward call, which its owner pays
SELECT is(pg_temp.legs(raw), want, what) FROM (VALUES
	('{"did": "370520001", "callee": "442079460000", "caller": "4930201", "src_trunk": "didco-in", "dst_trunk": "carrier-out"}'::jsonb,
		'customer Owner 0.6, provider Carrier -0.3, did_incoming Caller 0.65, did_owner Owner 0.3, did_provider DIDCo 0.12, rated', 'design 5.6: forwarded in one CDR: the owner of the DID pays the onward call'),
	('{"did": "370520001", "callee": "442079460000", "src_trunk": "didco-in", "provider_code": "CARR", "billsec": 60, "did_billsec": 120}',
		'customer Owner 0.6, provider Carrier -0.3, did_owner Owner 0.6, did_provider DIDCo 0.24, rated', 'K16: two clocks in one row: 2 minutes of the DID, 1 of the onward call'),
	('{"did": "370520001", "callee": "442079460000", "src_trunk": "didco-in", "dst_ip": "198.51.100.1", "redirected_by": "201"}',
		'customer Caller 0.6, provider Carrier -0.3, did_owner Owner 0.3, did_provider DIDCo 0.12, rated', 'design 5.6: redirected_by pays the onward way before the owner, and is not who dials'),
	('{"did": "370520001", "callee": "442079460000", "src_trunk": "didco-in", "dst_trunk": "carrier-out", "auth_code": "PIN1", "redirected_by": "101"}',
		'customer Caller 0.6, provider Carrier -0.3, did_incoming Caller 0.65, did_owner Owner 0.3, did_provider DIDCo 0.12, rated', 'design 5.6: a PIN pays before all'),
	('{"did": "370520001", "callee": "442079460000", "caller": "101", "dst_trunk": "carrier-out"}', 'customer Owner 0.6, provider Carrier -0.3, did_incoming Owner 0.65, rated', 'K8: the owner through his own DID to an outside number'),
	('{"did": "370520001", "callee": "442079460000", "caller": "4930201", "src_trunk": "wrong-in", "dst_trunk": "carrier-out"}',
		'customer Owner 0.6, provider Carrier -0.3, did_incoming Caller 0.65, did_owner Owner 0.3, did_provider Wrong ?, partial provider_mismatch', 'provider_mismatch beside an onward call'),
	('{"did": "370520099", "callee": "442079460000", "caller": "201", "dst_trunk": "carrier-out"}', 'customer Caller 0.6, provider Carrier -0.3, rated', 'a did that is not known: the call is an ordinary one')) AS v (raw, want, what);
-- 0.60 - 0.30 + 0.65 + 0.30 + 0.12
SELECT is(c.customer_amount + c.provider_amount + c.did_incoming_amount + c.did_owner_amount + c.did_provider_amount, 1.37, 'reading 7, K13: the operator''s profit of the call')
FROM pg_temp.call('{"did": "370520001", "callee": "442079460000", "caller": "4930201", "src_trunk": "didco-in", "dst_trunk": "carrier-out"}') AS c;
-- the same in two CDRs
SELECT is(pg_temp.legs('{"callee": "370520001", "caller": "4930201", "src_trunk": "didco-in"}'), 'did_incoming Caller 0.65, did_owner Owner 0.3, did_provider DIDCo 0.12, rated', 'forwarded in two CDRs: the call in');
SELECT is(pg_temp.legs('{"callee": "442079460000", "caller": "4930201", "redirected_by": "370520001", "dst_trunk": "carrier-out"}'), 'customer Owner 0.6, provider Carrier -0.3, rated', 'forwarded in two CDRs: the call out, redirected by the DID');
SELECT is(pg_temp.legs('{"callee": "442079460000", "caller": "4930201", "redirected_by": "101", "dst_trunk": "carrier-out"}'), 'customer Owner 0.6, provider Carrier -0.3, rated', 'forwarded in two CDRs: the call out, redirected by his extension');

-- Calling card: a DID in stock, a session of onward calls by PIN or ani; each row has the fee, which is credited later (K4, reading 8)
SELECT is(array_agg(pg_temp.legs(jsonb_build_object('session_id', 'S1', 'call_id', 'S1-' || i, 'did', '370520009', 'callee', '44207946000' || i, 'auth_code', 'PIN1', 'src_trunk', 'didco-in', 'provider_code', 'CARR',
		'started_at', '2026-03-02 12:00:00+00'::timestamptz + i * interval '2 minutes', 'did_billsec', 90)) ORDER BY i),
	-- incoming 0.05 + 0.60 * 1.5, provider 0.12 * 1.5
	array_fill('customer Caller 0.6, provider Carrier -0.3, did_incoming Caller 0.95, did_provider DIDCo 0.18, rated'::text, ARRAY[3]), 'K4: a session of three onward calls by PIN') FROM generate_series(1, 3) AS i;
SELECT is(pg_temp.legs('{"did": "370520009", "callee": "442079460000", "caller": "4930201", "src_trunk": "didco-in", "provider_code": "CARR"}'), 'customer Caller 0.6, provider Carrier -0.3, did_incoming Caller 0.65, did_provider DIDCo 0.12, rated', 'design 5.6: by ani: the caller pays the onward call of a DID in stock');
SELECT is(pg_temp.legs('{"did": "370520009", "callee": "442079460000", "caller": "49999", "src_trunk": "didco-in", "provider_code": "CARR"}'), 'provider Carrier -0.3, did_provider DIDCo 0.12, rated', 'design 4: and nobody where he is not known: behind a provider no customer is expected');
-- the first row has no onward call: the caller hung up at the prompt
SELECT is(pg_temp.legs('{"session_id": "S2", "did": "370520009", "callee": "370520009", "auth_code": "PIN1", "src_trunk": "didco-in", "billsec": 30}'), 'did_incoming Caller 0.35, did_provider DIDCo 0.06, rated', 'K4: a session without an onward call: 0.05 + 0.30');

-- Hairpin: our customer's call to our DID leaves by a carrier and comes back
SELECT is(pg_temp.legs('{"callee": "370520001", "caller": "201", "dst_trunk": "carrier-out"}'), 'customer Caller 0.6, provider Carrier -0.3, rated', 'hairpin: the way out is an ordinary call');
SELECT is(pg_temp.legs('{"callee": "370520001", "caller": "4930201", "src_trunk": "didco-in"}'), 'did_incoming Caller 0.65, did_owner Owner 0.3, did_provider DIDCo 0.12, rated', 'hairpin: the way back is a call to the DID');
SELECT is(pg_temp.legs('{"did": "370520001", "callee": "370520002", "src_trunk": "didco-in", "dst_trunk": "carrier-out"}'), 'customer Owner 0.6, provider Carrier -0.3, did_owner Owner 0.3, did_provider DIDCo 0.12, rated', 'hairpin: a DID that is forwarded to another of ours: the legs are the first one''s');
-- P3: the onward provider's side does not touch the others
CREATE TEMP TABLE before AS SELECT * FROM pg_temp.call('{"call_id": "P3", "did": "370520001", "callee": "442079460000", "caller": "4930201", "src_trunk": "didco-in", "provider_code": "CARR"}');
UPDATE billing.cdr SET provider_code = 'nobody' WHERE call_id = 'P3';
SELECT is(to_jsonb(c) - '{provider_code,provider_account_id,provider_service_id,provider_rate_id,provider_billsec,provider_amount,provider_reason,status,rated_at}'::text[],
	to_jsonb(b) - '{provider_code,provider_account_id,provider_service_id,provider_rate_id,provider_billsec,provider_amount,provider_reason,status,rated_at}'::text[], 'P3: another provider_code leaves the DID legs as they were')
FROM before AS b JOIN billing.cdr AS c USING (call_id);
-- promise 2: rate_call answers as the trigger did, for every row of this file
SELECT is(count(*), 0::bigint, 'promise 2: rate_call says the same of every call') FROM billing.cdr AS c, LATERAL billing.rate_call(c) AS r
WHERE to_jsonb(r) IS DISTINCT FROM (SELECT jsonb_object_agg(key, to_jsonb(c) -> key) FROM jsonb_object_keys(to_jsonb(r)) AS key);

-- a carrier that is customer and provider at once, and dials a DID of ours: inbound
INSERT INTO billing.service (account_id, kind, identifier) VALUES (pg_temp.account('DIDCo'), 'trunk', 'didco-in');
SELECT is(pg_temp.legs('{"callee": "370520001", "caller": "4930201", "src_trunk": "didco-in"}'), 'did_incoming Caller 0.65, did_owner Owner 0.3, did_provider DIDCo 0.12, rated', 'design 5.2: both sides match the source and the DID is known: inbound, not its customer call');

SELECT * FROM finish();
ROLLBACK;
