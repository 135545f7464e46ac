-- DID rates: what is refused, what stays, split and combine, and numbers that change hands
-- (K1, K12, D3, D4, D14, design 3).
BEGIN;
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS billing CASCADE;
SELECT billing.create_ledger();
SELECT no_plan();

CREATE FUNCTION pg_temp.refusal(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	state text;
	hint text;
BEGIN
	EXECUTE statement;
	SET CONSTRAINTS ALL IMMEDIATE;
	RAISE SQLSTATE 'ZZZZZ';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, hint = PG_EXCEPTION_HINT;
	RETURN CASE WHEN state <> 'ZZZZZ' THEN state || CASE WHEN hint = '' THEN ' without hint' ELSE '' END END;
END $$;

INSERT INTO billing.account (id, name, currency, is_provider) VALUES (1, 'dialler', 'EUR', false), (2, 'owner', 'EUR', false), (3, 'provider', 'EUR', true), (4, 'next owner', 'EUR', false);
INSERT INTO billing.service (id, account_id, kind, identifier, provider_id) VALUES (20, 2, 'did', '37052000001', 3), (21, 2, 'did', '37052000002', 3);
INSERT INTO billing.service (account_id, kind, identifier) VALUES (1, 'ani', '37060000001');
INSERT INTO billing.service (account_id, side, kind, identifier) VALUES (3, 'provider', 'trunk', 'from-provider');

-- Refusals.
SELECT is(pg_temp.refusal(v.statement), v.sqlstate, 'design 3: ' || v.what) FROM (VALUES
	('a day type without any calendar', $$ INSERT INTO billing.did_rate (leg, number, currency, day_type) VALUES ('did_owner', '1', 'EUR', 'work') $$, '23514'),
	('a band without any calendar', $$ INSERT INTO billing.did_rate (leg, number, currency, band) VALUES ('did_owner', '1', 'EUR', 'peak') $$, '23514'),
	('any day needs none', $$ INSERT INTO billing.did_rate (leg, number, currency) VALUES ('did_owner', '1', 'EUR') $$, NULL)) v(what, statement, sqlstate);
INSERT INTO billing.calendar (id, name, timezone, is_default) VALUES (1, 'LT', 'Europe/Vilnius', true), (2, 'other', 'UTC', false);
INSERT INTO billing.calendar_band (calendar_id, band, starts, ends) VALUES (1, 'peak', '08:00', '20:00'), (2, 'night', '20:00', '08:00');
SELECT is(pg_temp.refusal(v.statement), v.sqlstate, 'design 3: ' || v.what) FROM (VALUES
	('the default calendar serves a rate that names none', $$ INSERT INTO billing.did_rate (leg, number, currency, day_type, band) VALUES ('did_owner', '1', 'EUR', 'work', 'peak') $$, NULL),
	('a band that it does not define', $$ INSERT INTO billing.did_rate (leg, number, currency, band) VALUES ('did_owner', '1', 'EUR', 'night') $$, '23514'),
	('which another calendar does', $$ INSERT INTO billing.did_rate (leg, number, currency, band, calendar_id) VALUES ('did_owner', '1', 'EUR', 'night', 2) $$, NULL),
	('the default that a rate relies on stays the default', $$ INSERT INTO billing.did_rate (leg, number, currency, band) VALUES ('did_owner', '1', 'EUR', 'peak'); UPDATE billing.calendar SET is_default = false $$, '23001'),
	('and is not deleted', $$ INSERT INTO billing.did_rate (leg, number, currency, band) VALUES ('did_owner', '1', 'EUR', 'peak'); DELETE FROM billing.calendar WHERE id = 1 $$, '23001'),
	('nor gets another time zone', $$ INSERT INTO billing.did_rate (leg, number, currency, band) VALUES ('did_owner', '1', 'EUR', 'peak'); UPDATE billing.calendar SET timezone = 'UTC' WHERE id = 1 $$, '23001'),
	('nor loses the last window of the band', $$ INSERT INTO billing.did_rate (leg, number, currency, band) VALUES ('did_owner', '1', 'EUR', 'peak'); DELETE FROM billing.calendar_band WHERE calendar_id = 1 $$, '23001'),
	('a default that nobody relies on may change', $$ UPDATE billing.calendar SET is_default = false $$, NULL),
	('a calendar that a DID rate names keeps its time zone', $$ INSERT INTO billing.did_rate (leg, number, currency, calendar_id) VALUES ('did_owner', '1', 'EUR', 2); UPDATE billing.calendar SET timezone = 'Asia/Tokyo' WHERE id = 2 $$, '23001'),
	('a number of other symbols', $$ INSERT INTO billing.did_rate (leg, number, currency) VALUES ('did_owner', '+370 5', 'EUR') $$, '22P02'),
	('a leg that is none', $$ INSERT INTO billing.did_rate (leg, number, currency) VALUES ('customer', '1', 'EUR') $$, '23514 without hint'),
	('aligned increments that are split', $$ INSERT INTO billing.did_rate (leg, number, currency, increment_rule, boundary) VALUES ('did_owner', '1', 'EUR', 'aligned', 'split') $$, '23514 without hint'),
	('aligned increments with free seconds', $$ INSERT INTO billing.did_rate (leg, number, currency, increment_rule, free_seconds) VALUES ('did_owner', '1', 'EUR', 'aligned', 3) $$, '23514 without hint'),
	('NaN', $$ INSERT INTO billing.did_rate (leg, number, currency, price) VALUES ('did_owner', '1', 'EUR', 'NaN') $$, '23514 without hint'),
	('a minimum above the maximum', $$ INSERT INTO billing.did_rate (leg, number, currency, min_amount, max_amount) VALUES ('did_owner', '1', 'EUR', 2, 1) $$, '23514 without hint'),
	('two versions of one key', $$ INSERT INTO billing.did_rate (leg, number, currency) VALUES ('did_owner', '1', 'EUR'), ('did_owner', '+1', 'EUR') $$, '23505 without hint')) v(what, statement, sqlstate);

-- One sequence for both kinds of rates.
ALTER SEQUENCE billing.rate_id_seq RESTART WITH 100000;
INSERT INTO billing.tariff (id, name, currency) VALUES (1, 'list', 'EUR');
INSERT INTO billing.rate (tariff_id, prefix) VALUES (1, '1');
INSERT INTO billing.did_rate (leg, number, currency) VALUES ('did_owner', '99', 'EUR');
SELECT results_eq('SELECT id FROM billing.rate UNION ALL SELECT id FROM billing.did_rate', 'VALUES (100000::bigint), (100001)', 'design 3: ids of rates and DID rates are of one sequence');

-- Prices of two numbers: incoming 0.01, owner 0.02 (peak 0.04), provider -0.005; the second has an owner price for next month.
INSERT INTO billing.did_rate (id, leg, number, band, currency, price, connect_fee) VALUES
	(1, 'did_incoming', '+37052000001', NULL, 'EUR', 0.01, 0.1), (2, 'did_owner', '37052000001', NULL, 'EUR', 0.02, 0), (3, 'did_owner', '37052000001', 'peak', 'EUR', 0.04, 0),
	(4, 'did_provider', '37052000001', NULL, 'EUR', -0.005, 0), (5, 'did_owner', '37052000002', NULL, 'EUR', 0.02, 0);
INSERT INTO billing.did_rate (id, leg, number, currency, price, valid_from) VALUES (6, 'did_owner', '37052000002', 'EUR', 0.03, '2027-02-01');
SELECT is((SELECT number FROM billing.did_rate WHERE id = 1), '37052000001', 'design 3: the number is kept without +, as the service has it');
-- What a call of one minute costs: on a Sunday, before peak and at peak on a Monday, and later, when the second
-- number has another price: on a Monday and a Saturday. 2026-12-20 is a Sunday; Vilnius is at UTC+2.
CREATE FUNCTION pg_temp.prices(did text) RETURNS TABLE (at text, incoming numeric, owner numeric, provider numeric) LANGUAGE sql AS $$
	SELECT v.at, trim_scale(r.did_incoming_amount), trim_scale(r.did_owner_amount), trim_scale(r.did_provider_amount)
	FROM unnest(ARRAY['2026-12-20 12:00+02', '2026-12-21 07:00+02', '2026-12-21 12:00+02', '2027-02-01 07:00+02', '2027-02-06 12:00+02']) v(at)
		CROSS JOIN LATERAL billing.rate_call(jsonb_populate_record(NULL::billing.cdr, jsonb_build_object('started_at', v.at, 'billsec', 60, 'callee', did,
			'caller', '37060000001', 'src_trunk', 'from-provider'))) r
$$;
CREATE TABLE pg_temp.before AS SELECT n.number, p.* FROM (VALUES ('37052000001'), ('37052000002')) n(number) CROSS JOIN LATERAL pg_temp.prices(n.number) p;
SELECT results_eq($$SELECT at, incoming, owner, provider FROM pg_temp.before WHERE number = '37052000001'$$,
	$$VALUES ('2026-12-20 12:00+02', 0.11, 0.02, -0.005), ('2026-12-21 07:00+02', 0.11, 0.02, -0.005), ('2026-12-21 12:00+02', 0.11, 0.04, -0.005), ('2027-02-01 07:00+02', 0.11, 0.02, -0.005), ('2027-02-06 12:00+02', 0.11, 0.02, -0.005)$$,
	'K1: three prices: 0.01 and the fee, 0.02 or 0.04 at peak, -0.005');

-- Split. Instants before the calls, so that the split prices them.
SELECT is(pg_temp.refusal(v.statement), v.sqlstate, 'K12: ' || v.what) FROM (VALUES
	('an unknown number is not split', $$ SELECT billing.split_did_rate('1') $$, 'P0002'),
	('nor one of another tenant', $$ SELECT billing.split_did_rate('37052000001', 'b') $$, 'P0002'),
	('nor an unknown leg', $$ SELECT billing.split_did_rate('37052000001', leg => 'customer') $$, '22023'),
	('nor at no instant', $$ SELECT billing.split_did_rate('37052000001', at => NULL) $$, '22023'),
	('nor without a calendar', $$ UPDATE billing.did_rate SET band = NULL, valid_from = '2020-01-01' WHERE id = 3; UPDATE billing.calendar SET is_default = false; SELECT billing.split_did_rate('37052000001') $$, '23514'),
	('what is not split is not combined', $$ SELECT billing.combine_did_rate('37052000001') $$, 'P0002')) v(what, statement, sqlstate);
SAVEPOINT whole;
-- Four prices (one of a band) of any day: each gets work, free and an end of any.
SELECT is(billing.split_did_rate('+37052000001', at => '2026-12-01 00:00+02'), 12, 'K12: split makes work and free out of each price for any day, and ends that');
SELECT set_eq($$SELECT leg, band, day_type, price::numeric, withdrawn FROM billing.did_rate WHERE number = '37052000001' AND valid_from = '2026-12-01 00:00+02'$$,
	$$SELECT d.leg, d.band, k.day_type, d.price::numeric, k.day_type = 'any' FROM billing.did_rate d CROSS JOIN unnest(ARRAY['any', 'work', 'free']) k(day_type) WHERE d.id <= 4$$,
	'K12: of all legs, with their bands');
SELECT is(billing.split_did_rate('37052000002', at => '2026-12-01 00:00+02'), 5, 'K12: versions to come are split too');
SELECT results_eq($$SELECT n.number, p.* FROM (VALUES ('37052000001'), ('37052000002')) n(number) CROSS JOIN LATERAL pg_temp.prices(n.number) p$$, 'SELECT * FROM pg_temp.before',
	'K12: the price of every call is what it was');
SELECT is(pg_temp.refusal($$SELECT billing.split_did_rate('37052000001', at => '2026-12-02')$$), 'P0002', 'K12: what is split is not split again');

-- Combine.
SELECT is(billing.combine_did_rate('37052000001', at => '2026-12-10'), 12, 'K12: sets that are equal are combined without being told which');
SELECT is_empty($$SELECT FROM billing.did_rate d WHERE number = '37052000001' AND valid_from = '2026-12-10' AND withdrawn <> (day_type <> 'any')$$, 'K12: withdrawn versions end work and free');
SELECT results_eq($$SELECT n.number, p.* FROM (VALUES ('37052000001'), ('37052000002')) n(number) CROSS JOIN LATERAL pg_temp.prices(n.number) p$$, 'SELECT * FROM pg_temp.before',
	'K12: and the price of every call is what it was');
ROLLBACK TO whole;
SELECT is(billing.split_did_rate('37052000001', leg => 'did_owner', at => '2026-12-01 00:00+02'), 6, 'K12: one leg only');
INSERT INTO billing.did_rate (leg, number, day_type, currency, price, valid_from) VALUES ('did_owner', '37052000001', 'free', 'EUR', 0.01, '2026-12-05');
SELECT results_eq($$SELECT owner FROM pg_temp.prices('37052000001')$$, 'VALUES (0.01), (0.02), (0.04), (0.02), (0.01)', 'K12: free days have a price of their own');
SELECT is(pg_temp.refusal(v.statement), v.sqlstate, 'K12: ' || v.what) FROM (VALUES
	('sets that differ are not combined by guess', $$ SELECT billing.combine_did_rate('37052000001', at => '2026-12-10') $$, '22023'),
	('nor when they differ later only', $$ SELECT billing.combine_did_rate('37052000001', at => '2026-12-02') $$, '22023'),
	('nor by a word that is no set', $$ SELECT billing.combine_did_rate('37052000001', 'any', at => '2026-12-10') $$, '22023')) v(what, statement, sqlstate);
SAVEPOINT differs;
SELECT lives_ok($$SELECT billing.combine_did_rate('37052000001', 'work', at => '2026-12-10')$$, 'K12: keep names the set that survives');
SELECT results_eq($$SELECT owner FROM pg_temp.prices('37052000001')$$, 'VALUES (0.02), (0.02), (0.04), (0.02), (0.02)', 'K12: work survives');
ROLLBACK TO differs;
SELECT lives_ok($$SELECT billing.combine_did_rate('37052000001', 'free', at => '2026-12-10')$$, 'K12: free may survive as well');
SELECT results_eq($$SELECT owner FROM pg_temp.prices('37052000001')$$, 'VALUES (0.01), (0.01), (0.04), (0.01), (0.01)', 'K12: free survives, peak was the same in both');
ROLLBACK TO differs;
-- A kind of day that has a price keeps it.
INSERT INTO billing.did_rate (leg, number, day_type, currency, price) VALUES ('did_incoming', '37052000001', 'free', 'EUR', 0.5);
SELECT is(billing.split_did_rate('37052000001', leg => 'did_incoming', at => '2026-12-01'), 2, 'K12: only work days are made, any ends');
SELECT results_eq($$SELECT incoming FROM pg_temp.prices('37052000001')$$, 'VALUES (0.5), (0.11), (0.11), (0.11), (0.5)', 'K12: free days keep what they had');
ROLLBACK TO whole;

-- What calls name stays, and is corrected on record.
INSERT INTO billing.cdr (call_id, started_at, billsec, callee, caller, src_trunk) VALUES ('1', '2026-12-21 07:00+02', 60, '37052000001', '37060000001', 'from-provider');
SELECT results_eq('SELECT did_incoming_rate_id, did_owner_rate_id, did_provider_rate_id, did_service_id FROM billing.cdr', 'VALUES (1::bigint, 2::bigint, 4::bigint, 20::bigint)', 'K1: the call names its three prices');
SELECT is(pg_temp.refusal(format(v.statement, n.id)), v.sqlstate, format('design 3: price %s: %s', n.id, v.what))
FROM (VALUES (1), (2), (4)) n(id) CROSS JOIN (VALUES
	('stays', 'UPDATE billing.did_rate SET price = 1 WHERE id = %s', '23001'), ('keeps its day type', 'UPDATE billing.did_rate SET day_type = ''work'' WHERE id = %s', '23001'),
	('keeps its id', 'UPDATE billing.did_rate SET id = 7000 WHERE id = %s', '23001'), ('is not withdrawn in place', 'UPDATE billing.did_rate SET withdrawn = true WHERE id = %s', '23001'),
	('is not deleted', 'DELETE FROM billing.did_rate WHERE id = %s', '23001'), ('is not truncated', 'TRUNCATE billing.did_rate -- %s', '23001'),
	('is corrected', 'SELECT billing.correct_rate(%s, ''{"price": 7, "connect_fee": 1}'', ''typo'')', NULL),
	('is not corrected without a reason', 'SELECT billing.correct_rate(%s, ''{"price": 7}'', NULL)', '22023'),
	('has no steps', 'SELECT billing.correct_rate(%s, ''{"steps": []}'', ''x'')', '22023'), ('is never blocked', 'SELECT billing.correct_rate(%s, ''{"blocked": true}'', ''x'')', '22023'),
	('keeps its number', 'SELECT billing.correct_rate(%s, ''{"number": "1"}'', ''x'')', '22023'),
	('a correction lets nothing else pass', 'SELECT billing.correct_rate(%s, ''{"price": 7}'', ''typo''); UPDATE billing.did_rate SET price = 8', '23001')) v(what, statement, sqlstate);
SELECT is(pg_temp.refusal(v.statement), v.sqlstate, 'design 3: ' || v.what) FROM (VALUES
	('a price that no call names changes', $$ UPDATE billing.did_rate SET price = 1 WHERE id = 3 $$, NULL), ('and goes', $$ DELETE FROM billing.did_rate WHERE id = 3 $$, NULL),
	('a new version passes', $$ INSERT INTO billing.did_rate (leg, number, currency, price, valid_from) VALUES ('did_owner', '37052000001', 'EUR', 3, '2027-01-01') $$, NULL),
	('the split of prices that calls name passes from then on', $$ SELECT billing.split_did_rate('37052000001', at => '2027-01-01') $$, NULL),
	('a window that decided the price stays', $$ UPDATE billing.calendar_band SET ends = '21:00' WHERE calendar_id = 1 $$, '23001'),
	('a day that decided it', $$ INSERT INTO billing.calendar_day VALUES (1, '2026-12-21', 'free') $$, '23001')) v(what, statement, sqlstate);
SELECT billing.correct_rate(2, '{"price": 0.025}', 'typo');
SELECT results_eq('SELECT rate_id, reason, (old ->> ''price'')::numeric, (new ->> ''price'')::numeric FROM billing.rate_correction', 'VALUES (2::bigint, ''typo'', 0.02, 0.025)', 'design 3: a correction keeps the old row');
UPDATE billing.cdr SET rated_at = NULL;
SELECT is((SELECT did_owner_amount FROM billing.cdr), 0.025, 'design 3: and prices the call when it is rated again');

-- A number changes hands; its prices stay with it.
SELECT is(pg_temp.refusal(v.statement), v.sqlstate, 'D4: ' || v.what) FROM (VALUES
	('a number that nobody has', $$ SELECT billing.assign_did('1', 4) $$, 'P0002'), ('no instant', $$ SELECT billing.assign_did('37052000001', 4, at => NULL) $$, '22023'),
	('no account', $$ SELECT billing.assign_did('37052000001', NULL) $$, '22023'), ('an unknown account', $$ SELECT billing.assign_did('37052000001', 99) $$, '23503 without hint'),
	('who has it already', $$ SELECT billing.assign_did('37052000001', 2) $$, '55000'), ('another tenant''s', $$ SELECT billing.assign_did('37052000001', 4, 'b') $$, 'P0002')) v(what, statement, sqlstate);
SELECT billing.release_did('+37052000001', at => '2027-01-01 00:00+02') AS stock \gset
SELECT results_eq(format('SELECT account_id, provider_id, active::text, identifier FROM billing.service WHERE id = %s', :stock), $$VALUES (NULL::bigint, 3::bigint, '["2026-12-31 22:00:00+00",)', '37052000001')$$, 'D4: a number goes back to stock');
SELECT is((SELECT active::text FROM billing.service WHERE id = 20), '(,"2026-12-31 22:00:00+00")', 'D4: with its owner it ends there');
SELECT is(pg_temp.refusal($$SELECT billing.release_did('37052000001', at => '2027-01-02')$$), '55000', 'D4: what is in stock is not released again');
SELECT billing.assign_did('37052000001', 4, at => '2027-01-15 00:00+02', out_payment => 0.001, cost_center => 'Kaunas') AS next \gset
SELECT results_eq(format('SELECT account_id, provider_id, active::text, out_payment::numeric, cost_center FROM billing.service WHERE id = %s', :next), $$VALUES (4::bigint, 3::bigint, '["2027-01-14 22:00:00+00",)', 0.001, 'Kaunas')$$, 'D3 D4: and to the next owner');
SELECT results_eq(format($$
	SELECT v.at, r.did_service_id, r.did_owner_account_id, r.did_owner_amount, r.did_provider_amount, r.status
	FROM unnest(ARRAY['2026-12-31 07:00+02', '2026-12-31 23:59:59.999+02', '2027-01-01 00:00+02', '2027-01-14 23:59+02', '2027-01-15 00:00+02']) v(at)
		CROSS JOIN LATERAL billing.rate_call(jsonb_populate_record(NULL::billing.cdr, jsonb_build_object('started_at', v.at, 'billsec', 60, 'callee', '37052000001', 'caller', '37060000001', 'src_trunk', 'from-provider'))) r$$),
	format($$VALUES ('2026-12-31 07:00+02', 20::bigint, 2::bigint, 0.025, -0.005, 'rated'), ('2026-12-31 23:59:59.999+02', 20, 2, 0.025, -0.005, 'rated'),
		('2027-01-01 00:00+02', %1$s, NULL, NULL, -0.005, 'rated'), ('2027-01-14 23:59+02', %1$s, NULL, NULL, -0.005, 'rated'), ('2027-01-15 00:00+02', %2$s, 4, 0.024, -0.005, 'rated')$$, :stock, :next),
	'D4 D13 D14: each instant has one holder; the prices are the number''s, the out-payment the new owner''s');
SELECT is((SELECT count(*) FROM billing.service x JOIN billing.service y ON y.id > x.id AND y.kind = 'did' AND y.identifier = x.identifier AND y.tenant = x.tenant AND y.active && x.active WHERE x.kind = 'did'), 0::bigint, 'D4: never two at once');
SELECT is(pg_temp.refusal($$SELECT billing.assign_did('37052000001', 1, at => '2026-12-30'); SELECT billing.assign_did('37052000001', 4, at => '2026-12-30 12:00')$$), NULL, 'D4: a number may be given to others before it goes back: until then');
SELECT billing.assign_did('37052000002', 4, at => '2027-01-15') AS second \gset
SELECT is((SELECT out_payment::numeric FROM billing.service WHERE id = :second), 0::numeric, 'D14: an out-payment is not handed on');
SELECT isnt(billing.assign_did('37052000002', 1, at => '2027-01-15'), :second::bigint, 'D4: a holder that would have held it for no time was none');
SELECT is_empty(format('SELECT FROM billing.service WHERE id = %s', :second), 'D4: and is gone');

SELECT * FROM finish();
ROLLBACK;
