-- explain tells calendar, band, every part of a split call, each DID leg and why one did not apply (promise 4).
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
-- What explain says of a leg under a topic, in order.
CREATE FUNCTION pg_temp.says(raw jsonb, leg text, topic text) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(e.explanation, '; ' ORDER BY e.step) FROM billing.explain(pg_temp.call(raw)) AS e WHERE e.leg = says.leg AND e.topic = says.topic
$$;
-- The price of a number is an amount of the row, so what it says of the amount must be what the row holds.
CREATE FUNCTION pg_temp.amount(cdr billing.cdr, leg text) RETURNS text LANGUAGE sql AS $$ SELECT trim_scale((to_jsonb(cdr) ->> (leg || '_amount'))::numeric)::text $$;

SELECT pg_temp.did('01', 'Owner'), pg_temp.price('01', 'incoming', '{"price": 0.60, "connect_fee": 0.05}'), pg_temp.price('01', 'owner', '{"price": 0.30}'), pg_temp.price('01', 'provider', '{"price": 0.12}');
SELECT pg_temp.did('02', NULL), pg_temp.did('03', 'Owner', NULL), pg_temp.did('04', 'Owner', out_payment => 0.06), pg_temp.price('04', 'owner', '{"price": 0.60, "day_type": "work", "boundary": "split"}'), pg_temp.price('04', 'owner', '{"price": 0.12, "day_type": "free"}');
SELECT pg_temp.did('05', 'Owner'), pg_temp.price('05', 'owner', '{"price": 0.60, "valid_from": "2030-01-01 00:00+00"}');

-- Every leg of a DID call
SELECT is(pg_temp.says('{"callee": "370520001", "caller": "4930201", "src_trunk": "didco-in"}', leg, 'account'), format('%s (%s)', name, pg_temp.account(name)), 'explain: whose leg ' || leg || ' is')
FROM (VALUES ('did_incoming', 'Caller'), ('did_owner', 'Owner'), ('did_provider', 'DIDCo')) AS v (leg, name);
SELECT is(trim_scale(substring(e.explanation FROM '^(-?[0-9.]+) EUR')::numeric)::text, pg_temp.amount(c, e.leg), 'explain: the amount of ' || e.leg || ' is that of the row')
FROM pg_temp.call('{"callee": "370520001", "caller": "4930201", "src_trunk": "didco-in", "billsec": 77}') AS c, LATERAL billing.explain(c) AS e WHERE e.topic = 'amount' ORDER BY e.step;
SELECT is(count(DISTINCT e.leg), 3::bigint, 'explain: three legs have an amount') FROM billing.explain(pg_temp.call('{"callee": "370520001", "caller": "4930201", "src_trunk": "didco-in"}')) AS e WHERE e.topic = 'amount';
SELECT matches(pg_temp.says('{"callee": "370520001", "caller": "4930201", "src_trunk": "didco-in"}', leg, 'rate'), 'rate ' || r.id || '\y', 'explain: the rate of ' || leg) FROM billing.did_rate AS r WHERE number = '370520001' ORDER BY leg;
SELECT matches(pg_temp.says('{"callee": "370520001", "src_trunk": "didco-in"}', 'did', 'identified by'), '"370520001".*did 370520001', 'explain: which number is the DID');
SELECT matches(pg_temp.says('{"callee": "370520001", "src_trunk": "didco-in"}', 'did_provider', 'identified by'), 'didco-in', 'explain: who delivered the call');
SELECT matches(pg_temp.says('{"callee": "370520001", "caller": "4930201", "src_trunk": "didco-in"}', 'did_incoming', 'identified by'), 'ani 4930201', 'explain: by what the caller was recognised');
SELECT matches(pg_temp.says('{"callee": "370520001", "caller": "4930201", "did_billsec": 90}', 'did_owner', 'seconds'), '^90 s', 'K16: explain tells the clock of the DID');

-- Why a leg did not apply
SELECT matches(pg_temp.says(raw, leg, 'not applicable'), why, 'explain: ' || what) FROM (VALUES
	('{"callee": "370520001", "src_trunk": "didco-in"}'::jsonb, 'did_incoming', 'not recognised', 'K3: nobody was recognised'), ('{"callee": "370520001", "caller": "101"}', 'did_owner', 'owner', 'K8: the owner''s own call'),
	('{"callee": "370520001", "caller": "201"}', 'did_provider', 'on the net', 'K6: no provider in a call on the net'), ('{"callee": "370520002", "caller": "4930201"}', 'did_owner', 'stock', 'D4: a number in stock'),
	('{"callee": "370520002", "caller": "4930201"}', 'did_incoming', 'no such price', 'a leg without a price'), ('{"callee": "370520003"}', 'did_provider', 'no provider', 'a number without provider')) AS v (raw, leg, why, what);
SELECT is(pg_temp.says('{"callee": "370520001", "src_trunk": "didco-in", "caller": "4930201"}', leg, 'not applicable'), NULL, 'explain: nothing of the kind about a leg that applies') FROM unnest(ARRAY['did_incoming', 'did_owner', 'did_provider']) AS leg;
-- Why one has no amount
SELECT matches(pg_temp.says('{"callee": "370520001", "src_trunk": "wrong-in"}', 'did_provider', 'reason'), 'provider_mismatch', 'explain: provider_mismatch, of which leg');
SELECT matches(pg_temp.says('{"callee": "370520005"}', 'did_owner', 'reason'), 'no_rate', 'explain: no_rate, of which leg');
SELECT is(pg_temp.says('{"callee": "370520005"}', 'did', 'outcome'), 'no_rate', 'explain: what the row says');
SELECT is(pg_temp.says('{"callee": "370520099", "src_trunk": "didco-in"}', 'did', 'outcome'), 'unknown_did', 'explain: unknown_did');
-- Out-payment, apart (reading 28)
SELECT matches(pg_temp.says('{"callee": "370520004"}', 'did_owner', 'out-payment'), '0\.06', 'reading 28: explain shows the out-payment apart');

-- Calendar, day type and band. 10:00 UTC is 12:00 in Vilnius.
SELECT matches(pg_temp.says('{"callee": "370520001", "src_trunk": "didco-in", "started_at": "2026-03-02 10:00+00"}', 'did_owner', 'calendar'), 'work.*peak.*home', 'explain: day type, band and calendar of a DID leg');
SELECT matches(pg_temp.says('{"callee": "370520001", "src_trunk": "didco-in", "started_at": "2026-03-11 10:00+00"}', 'did_owner', 'calendar'), 'free.*no band.*home', 'explain: a holiday, no band');
-- 30 s of Friday at 0.60 - 0.06, 30 s of Saturday at 0.12 - 0.06
SELECT matches(pg_temp.says('{"callee": "370520004", "started_at": "2026-03-06 21:59:30+00"}', 'did_owner', 'boundary'), '22:00:00.*free', 'explain: where a call of a DID crosses into another day');
SELECT matches(pg_temp.says('{"callee": "370520004", "started_at": "2026-03-06 21:59:30+00"}', 'did_owner', 'part'), 'second 30: .*' || id || ', 0\.12 ', 'explain: the part behind it, its rate and price') FROM billing.did_rate WHERE number = '370520004' AND day_type = 'free';

-- A customer's call over several boundaries: peak from 08:00 (06:00 UTC) to 20:00, nothing for a while, then night
INSERT INTO billing.calendar (name, timezone) VALUES ('bands', 'Europe/Vilnius');
INSERT INTO billing.calendar_band (calendar_id, day_type, band, starts, ends) SELECT id, d, b, s::time, e::time FROM billing.calendar, (VALUES ('work', 'peak', '08:00', '20:00'), ('work', 'evening', '20:00', '21:00'), ('any', 'night', '22:00', '06:00')) AS v (d, b, s, e) WHERE name = 'bands';
INSERT INTO billing.tariff (name, currency, calendar_id, boundary) SELECT 'split', 'EUR', id, 'split' FROM billing.calendar WHERE name = 'bands';
INSERT INTO billing.rate (tariff_id, prefix, band, price, blocked) SELECT id, '44', band, price, blocked FROM billing.tariff, (VALUES (NULL, 0.30, false), ('peak', 0.60, false), ('evening', 9, true), ('night', 0.06, false)) AS v (band, price, blocked) WHERE name = 'split';
INSERT INTO billing.account (name, currency, tariff_id) SELECT 'split', 'EUR', id FROM billing.tariff WHERE name = 'split';
INSERT INTO billing.service (account_id, kind, identifier) VALUES (pg_temp.account('split'), 'auth_code', 'split');
-- 19:59:30 local to 22:00:30: 30 s peak, an hour of evening that is blocked, an hour of none, 30 s of night
CREATE TEMP TABLE crossing AS SELECT e.* FROM billing.explain(pg_temp.call('{"auth_code": "split", "callee": "442079460000", "started_at": "2026-03-02 17:59:30+00", "billsec": 7260}')) AS e WHERE e.leg = 'customer';
SELECT matches((SELECT explanation FROM crossing WHERE topic = 'calendar'), 'work.*peak.*bands', 'explain: calendar and band at the start');
SELECT matches((SELECT explanation FROM crossing WHERE topic = 'rate'), 'peak', 'explain: the rate at the start, and its band');
SELECT ok(EXISTS (SELECT FROM crossing WHERE topic = 'boundary' AND explanation ~ want), 'explain: a boundary: ' || want) FROM unnest(ARRAY['19:00:00', '20:00:00.*night']) AS want;
SELECT ok(EXISTS (SELECT FROM crossing WHERE topic = 'part' AND explanation ~ want), 'explain: a part: ' || want) FROM unnest(ARRAY['second 3630\y.*0\.3 ', 'second 7230\y.*0\.06 ']) AS want;
SELECT ok(EXISTS (SELECT FROM crossing WHERE explanation ~ '18:00:00'), 'explain: a band that is blocked is a part too: it says that the price before goes on');
-- 3630 * 0.01 + 3600 * 0.005 + 30 * 0.001 = 54.33
SELECT matches((SELECT explanation FROM crossing WHERE topic = 'amount'), '^54\.33 EUR', 'explain: the amount of all parts');
SELECT is((SELECT count(*) FROM billing.explain(pg_temp.call('{"auth_code": "split", "callee": "442079460000", "started_at": "2026-03-02 17:58:30+00", "billsec": 60}')) AS e WHERE e.topic IN ('boundary', 'part')), 0::bigint, 'explain: a call that crosses nothing has no parts to tell');

SELECT * FROM finish();
ROLLBACK;
