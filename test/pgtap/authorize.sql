-- What a switch is told before it connects a call (design 6): who pays, may it be made and how long.
BEGIN;
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS billing CASCADE;
SELECT billing.create_ledger();
SELECT no_plan();

INSERT INTO billing.exchange_rate (base, quote, rate, valid_from) VALUES ('EUR', 'USD', 2, '-infinity');
INSERT INTO billing.calendar (id, name, timezone) VALUES (1, 'Vilnius', 'Europe/Vilnius');
INSERT INTO billing.calendar_band (calendar_id, day_type, band, starts, ends) VALUES (1, 'any', 'night', '20:00', '08:00');
INSERT INTO billing.tariff (id, name, currency, calendar_id) VALUES (1, 'retail', 'EUR', 1), (2, 'booths', 'EUR', NULL), (3, 'to callshops', 'EUR', NULL);
INSERT INTO billing.rate (id, tariff_id, prefix, destination, price, connect_fee, first_increment, next_increment, grace_seconds, min_amount, blocked, boundary) VALUES
	(1, 1, '44', 'UK', 0.60, NULL, NULL, NULL, NULL, NULL, false, NULL),
	(2, 1, '370', 'Lithuania', 0.60, 0.10, 60, 60, NULL, NULL, false, NULL),
	(3, 1, '49', 'Germany', 0.60, NULL, NULL, NULL, NULL, NULL, false, NULL),
	(4, 1, '33', 'France', 0.60, NULL, NULL, NULL, NULL, NULL, true, NULL),
	(5, 1, '800', 'free', 0, NULL, NULL, NULL, NULL, NULL, false, NULL),
	(6, 1, '900', 'paid out', -0.60, NULL, NULL, NULL, NULL, NULL, false, NULL),
	(7, 1, '81', 'grace', 6.00, NULL, NULL, NULL, 10, NULL, false, NULL),
	(8, 1, '39', 'minimum', 0.60, NULL, NULL, NULL, NULL, 6, false, NULL),
	(9, 1, '1', 'cheaper later', 0.60, NULL, NULL, NULL, NULL, NULL, false, NULL),
	(12, 1, '48', 'by day and night', 0.60, NULL, NULL, NULL, NULL, NULL, false, 'split'),
	(21, 2, '44', 'UK', 1.00, NULL, NULL, NULL, NULL, NULL, false, NULL),
	(22, 2, '45', 'Denmark', 1.00, NULL, NULL, NULL, NULL, NULL, false, NULL),
	(23, 2, '46', 'Sweden', 1.00, NULL, NULL, NULL, NULL, NULL, false, NULL),
	(31, 3, '44', 'UK', 0.60, NULL, NULL, NULL, NULL, NULL, false, NULL),
	(32, 3, '46', 'Sweden', 0.60, NULL, NULL, NULL, NULL, NULL, true, NULL);
INSERT INTO billing.rate (id, tariff_id, prefix, band, price, boundary) VALUES (13, 1, '48', 'night', 0.30, 'split');
INSERT INTO billing.rate_step (rate_id, from_second, price) VALUES (3, 60, 0.30), (9, 60, -0.60);

INSERT INTO billing.account (id, name, currency, tariff_id, billing, credit_limit) VALUES
	(1, 'Ann', 'EUR', 1, 'prepaid', NULL), (2, 'Bob', 'EUR', 1, 'postpaid', NULL), (3, 'Cid', 'EUR', 1, 'postpaid', 3),
	(4, 'Dan', 'USD', 1, 'prepaid', NULL), (5, 'Eve', 'CHF', 1, 'prepaid', NULL), (6, 'Fay', 'EUR', NULL, 'postpaid', NULL),
	(10, 'callshop', 'EUR', 3, 'postpaid', 2);
INSERT INTO billing.account (id, name, currency, tariff_id, billing, credit_limit, parent_id) VALUES (11, 'booth 1', 'EUR', 2, 'prepaid', 0, 10);
INSERT INTO billing.service (id, account_id, kind, identifier, tenant, max_channels) VALUES
	(1, 1, 'extension', '101', '', NULL), (2, 2, 'extension', '102', '', NULL), (3, 3, 'extension', '103', '', NULL),
	(4, 4, 'extension', '104', '', NULL), (5, 5, 'extension', '105', '', NULL), (6, 6, 'extension', '106', '', NULL),
	(7, 1, 'extension', '107', 'north', NULL), (8, 2, 'extension', '107', 'south', NULL), (9, 2, 'trunk', 'pbx', '', 2),
	(11, 11, 'extension', '111', '', NULL);
INSERT INTO billing.entry (account_id, kind, amount) VALUES (1, 'payment', 5), (4, 'payment', 5), (5, 'payment', 5);

CREATE FUNCTION pg_temp.ask(caller text, callee text, at timestamptz DEFAULT now(), channels integer DEFAULT NULL, at_most integer DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
	SELECT CASE WHEN a.allowed THEN coalesce(a.max_seconds::text, 'no limit') ELSE format('%s (%s)', a.reason, a.leg) END
	FROM billing.authorize(caller => caller, callee => callee, at => at, channels => channels, at_most => at_most) a
$$;

-- Durations. 0.60 a minute is 0.01 a second.
SELECT results_eq($$SELECT allowed, reason, leg, account_id, service_id, reseller_id, rate_id, destination, currency, price, connect_fee, first_increment, next_increment, max_seconds, reservation_id, expires_at, note
	FROM billing.authorize(caller => '101', callee => '370600')$$,
	$$VALUES (true, NULL::text, NULL::text, 1::bigint, 1::bigint, NULL::bigint, 2::bigint, 'Lithuania', 'EUR', 0.60000000, 0.10000000, 60, 60, 480, NULL::bigint, NULL::timestamptz, NULL::text)$$,
	'one record: 0.10 + 8 x 0.60 = 4.90 of 5.00, the ninth minute would be 5.50');
SELECT is(pg_temp.ask('101', '4420'), '500', 'C14: prepaid 5.00 and no credit: exactly 5.00 / 0.01');
SELECT is(pg_temp.ask('101', '49301'), '940', 'K22: 60 x 0.01 + 880 x 0.005 = 5.00');
SELECT is(pg_temp.ask('101', '4822', '2026-12-21 19:59 Europe/Vilnius'), '940', 'reading 15: 60 s at 0.01 by day, then 880 s at 0.005 by night');
SELECT is(pg_temp.ask('101', '4822', '2026-12-21 12:00 Europe/Vilnius'), '500', 'reading 15: by day 500 s');
SELECT is(pg_temp.ask('101', '8001'), 'no limit', 'what is free has no limit');
SELECT is(pg_temp.ask('101', '9001'), 'no limit', 'what is paid out has none either');
SELECT is(pg_temp.ask('101', '811'), '50', 'K18: grace of 10 s, then 0.10 a second from the first on');
SELECT is(pg_temp.ask('101', '391'), 'not_enough_balance (customer)', 'the minimum of 6.00 is more than there is');
SELECT is(pg_temp.ask('104', '4420'), '250', 'C28: 0.01 EUR a second is 0.02 USD: 5.00 / 0.02');
SELECT is(pg_temp.ask('102', '4420'), 'no limit', 'postpaid without a limit');
SELECT is(pg_temp.ask('103', '4420'), '300', 'postpaid with a limit of 3.00');
SELECT is(pg_temp.ask('101', '4420', at_most => 60), '60', 'the switch wants no more');
SELECT is(pg_temp.ask('102', '4420', at_most => 60), '60', 'where there is no limit too');
SELECT is(pg_temp.ask('101', '4420', at_most => 600), '500', 'the switch wants more than there is');
SAVEPOINT paid;
INSERT INTO billing.entry (account_id, kind, amount) VALUES (1, 'payment', 5);
ROLLBACK TO paid;
SELECT is(pg_temp.ask('101', '4420'), '500', 'a payment that was rolled back is none');

-- Charges that become smaller again: 60 s cost 0.60, from then on each second gives 0.01 back.
UPDATE billing.account SET credit_limit = 0 WHERE id = 3;
INSERT INTO billing.entry (account_id, kind, amount) VALUES (3, 'payment', 0.50);
SELECT is(pg_temp.ask('103', '1212'), '50', 'the second that cannot be paid ends the call, though it would be affordable again from 70 s on');
INSERT INTO billing.entry (account_id, kind, amount) VALUES (3, 'payment', 0.10);
SELECT is(pg_temp.ask('103', '1212'), '86400', 'if the dearest second can be paid, the call may go on, a day at most');
SELECT is(pg_temp.ask('102', '1212'), 'no limit', 'an account without a limit is not asked');

-- C14, reading 9: the first increment must be there.
INSERT INTO billing.entry (account_id, kind, amount) VALUES (3, 'adjustment', -0.60);
SELECT is(pg_temp.ask('103', '4420'), 'not_enough_balance (customer)', 'C14: 0/0 is refused');
SELECT is(pg_temp.ask('103', '811'), 'not_enough_balance (customer)', 'reading 9: seconds of grace are no reason to begin a call that cannot be paid');
SELECT is(pg_temp.ask('103', '8001'), 'no limit', 'what is free needs no money');
INSERT INTO billing.entry (account_id, kind, amount) VALUES (3, 'payment', 0.69);
SELECT is(pg_temp.ask('103', '370600'), 'not_enough_balance (customer)', 'fee 0.10 + first minute 0.60 are more than 0.69');
INSERT INTO billing.entry (account_id, kind, amount) VALUES (3, 'payment', 0.01);
SELECT is(pg_temp.ask('103', '370600'), '60', 'and exactly 0.70');
SELECT results_eq($$SELECT allowed, max_seconds FROM billing.authorize(caller => '111', callee => '4420')$$, 'VALUES (false, 0)', 'C14: a stopped booth is refused, with 0 seconds');

-- What was spent: live days and folded months.
INSERT INTO billing.cdr (call_id, started_at, caller, callee, billsec) VALUES ('a', now(), '101', '4420', 60);
SELECT is(pg_temp.ask('101', '4420'), '440', 'a call of 0.60 leaves 4.40');
SET LOCAL billing.usage_writer = on;
INSERT INTO billing.usage_month (account_id, leg, month, currency, amount, credit) VALUES (1, 'customer', '2024-01-01', 'EUR', 2, 0.50), (1, 'customer', '2024-02-01', 'EUR', 1, 0);
SET LOCAL billing.usage_writer = off;
SELECT is(pg_temp.ask('101', '4420'), '190', 'folded months count by their sums: 4.40 - (2 - 0.50) - 1 = 1.90');
INSERT INTO billing.entry (account_id, kind, amount) VALUES (1, 'payment', 2.50);
INSERT INTO billing.cdr (call_id, started_at, caller, callee, billsec) VALUES ('b', now(), '101', '4420', 500);
SELECT is(pg_temp.ask('101', '4420'), 'over_credit_limit (customer)', 'C17: 4.40 - 5.00 is beyond the limit of a prepaid account');
SELECT is(pg_temp.ask('101', '8001'), 'over_credit_limit (customer)', 'C17: beyond the limit nothing is allowed');
UPDATE billing.account SET credit_limit = 1 WHERE id = 1;
SELECT is(pg_temp.ask('101', '4420'), '40', 'reading 33: prepaid and credit limit together: -0.60 + 1.00');
DELETE FROM billing.cdr;
SET LOCAL billing.usage_writer = on;
DELETE FROM billing.usage_month WHERE month < '2025-01-01';
SET LOCAL billing.usage_writer = off;

-- The chain: who sells must be paid too (C9, C17).
INSERT INTO billing.entry (account_id, kind, amount) VALUES (11, 'payment', 5);
SELECT results_eq($$SELECT allowed, account_id, reseller_id, rate_id, price, max_seconds FROM billing.authorize(caller => '111', callee => '4420')$$,
	$$VALUES (true, 11::bigint, 10::bigint, 21::bigint, 1.00000000, 200)$$, 'C17: the booth could pay 300 s, the callshop, 2.00 at 0.01 a second, 200');
INSERT INTO billing.entry (account_id, kind, amount) VALUES (10, 'payment', 10);
SELECT is(pg_temp.ask('111', '4420'), '300', 'C17: then the booth is the shorter: 5.00 at 1.00 a minute');
SELECT is(pg_temp.ask('111', '4550'), 'no_rate (reseller)', 'C17: one link without a rate');
SELECT is(pg_temp.ask('111', '4650'), 'blocked (reseller)', 'C17: one link with a blocked one');
SELECT is(pg_temp.ask('111', '4750'), 'no_rate (customer)', 'a list without the number');
INSERT INTO billing.entry (account_id, kind, amount) VALUES (10, 'adjustment', -12);
SELECT is(pg_temp.ask('111', '4420'), 'not_enough_balance (reseller)', 'C17: the callshop has used up its limit');
INSERT INTO billing.entry (account_id, kind, amount) VALUES (10, 'adjustment', -1);
SELECT is(pg_temp.ask('111', '4420'), 'over_credit_limit (reseller)', 'C17: and is beyond it');
INSERT INTO billing.entry (account_id, kind, amount) VALUES (10, 'adjustment', 13);
UPDATE billing.account SET active = false WHERE id = 10;
SELECT is(pg_temp.ask('111', '4420'), 'inactive (reseller)', 'C8: the callshop is switched off');
UPDATE billing.account SET active = id = 10 WHERE id IN (10, 11);
SELECT is(pg_temp.ask('111', '4420'), 'inactive (customer)', 'C13: the booth is');
UPDATE billing.account SET active = true WHERE id = 11;

-- Other refusals.
SELECT is(pg_temp.ask('101', '33140'), 'blocked (customer)', 'a blocked destination');
SELECT is(pg_temp.ask('101', '55140'), 'no_rate (customer)', 'no rate');
SELECT is(pg_temp.ask('106', '4420'), 'no_tariff (customer)', 'no price list');
SELECT is(pg_temp.ask('105', '4420'), 'no_exchange_rate (customer)', 'no exchange rate');
SELECT is(pg_temp.ask('199', '4420'), 'no_account (customer)', 'an unknown caller');
SELECT is(pg_temp.ask('107', '4420'), 'ambiguous (customer)', 'D6: an extension of two tenants');
SELECT is((SELECT account_id FROM billing.authorize(caller => '107', callee => '4420', tenant => 'south')), 2::bigint, 'D6: with the tenant it is one');
SELECT is(pg_temp.ask('101', 'anna@example.org'), 'invalid_number (customer)', 'no number');
SELECT is(pg_temp.ask('101', NULL), 'invalid_number (customer)', 'nothing dialled');
SELECT is(pg_temp.ask(NULL, NULL), 'invalid_number (customer)', 'nothing said at all');
SELECT is((SELECT format('%s %s', allowed, reason) FROM billing.authorize()), 'f invalid_number', 'still one record');
SELECT is((SELECT reason FROM billing.authorize(caller => '102', callee => '4420', at => NULL)), NULL, 'no instant: now');
UPDATE billing.tariff SET is_default_customer = true WHERE id = 1;
SELECT is(pg_temp.ask('199', '4420'), 'no_account (customer)', 'the default tariff would price the call, but nobody can be charged');
SELECT is(pg_temp.ask('106', '4420'), 'no limit', 'V13: an account without a list buys by the default one');
UPDATE billing.tariff SET is_default_customer = false WHERE id = 1;
SELECT results_eq($$SELECT n, reason FROM unnest(ARRAY[NULL, 0, 1, 2, 3]) n CROSS JOIN LATERAL billing.authorize(src_trunk => 'pbx', callee => '4420', channels => n)$$,
	$$VALUES (NULL, NULL), (0, NULL), (1, NULL), (2, 'channels'), (3, 'channels')$$, 'D7: two channels: with two calls in progress there is none left');
SELECT is(pg_temp.ask('102', '4420', channels => 1000), 'no limit', 'D7: a service without a number of channels');

-- DIDs (K1 to K8): incoming 0.30 a minute is 0.005 a second, owner 0.06 is 0.001.
INSERT INTO billing.account (id, name, currency, billing, is_provider) VALUES (20, 'owner', 'EUR', 'prepaid', false), (21, 'dialler', 'EUR', 'prepaid', false), (22, 'carrier', 'EUR', 'postpaid', true);
INSERT INTO billing.service (id, account_id, side, kind, identifier, provider_id) VALUES (20, 20, 'customer', 'did', '37052000001', 22), (21, NULL, 'customer', 'did', '37052000009', 22),
	(22, 21, 'customer', 'ani', '37060000001', NULL), (23, 20, 'customer', 'ani', '37060000002', NULL), (24, 22, 'provider', 'trunk', 'carrier', NULL), (25, 20, 'customer', 'did', '37052000002', 22);
INSERT INTO billing.did_rate (leg, number, currency, price) VALUES ('did_incoming', '37052000001', 'EUR', 0.30), ('did_owner', '37052000001', 'EUR', 0.06);
CREATE FUNCTION pg_temp.dial(caller text, callee text DEFAULT '37052000001') RETURNS text LANGUAGE sql AS $$
	SELECT CASE WHEN a.allowed THEN coalesce(a.max_seconds::text, 'no limit') ELSE format('%s (%s)', a.reason, a.leg) END
	FROM billing.authorize(caller => caller, callee => callee, src_trunk => 'carrier') a
$$;
SELECT is(pg_temp.dial('4420'), 'not_enough_balance (did_owner)', 'K7: the owner has nothing');
INSERT INTO billing.entry (account_id, kind, amount) VALUES (20, 'payment', 1);
SELECT results_eq($$SELECT allowed, account_id, service_id, reseller_id, price, currency, max_seconds FROM billing.authorize(caller => '4420', callee => '37052000001', src_trunk => 'carrier')$$,
	$$VALUES (true, 20::bigint, 20::bigint, NULL::bigint, 0.06000000, 'EUR', 1000)$$, 'K7: the owner pays: 1.00 / 0.001');
SELECT is(pg_temp.dial('37060000001'), 'not_enough_balance (did_incoming)', 'K2: who dials is known, and has nothing');
INSERT INTO billing.entry (account_id, kind, amount) VALUES (21, 'payment', 0.10);
SELECT is(pg_temp.dial('37060000001'), '20', 'K2, K6: 0.10 / 0.005, before the owner''s 1,000 s');
SELECT is(pg_temp.dial('37060000002'), '200', 'K8, reading 11: the owner''s own call: no owner''s price, but incoming: 1.00 / 0.005');
SELECT is(pg_temp.dial('4420', '37052000002'), 'no limit', 'a DID without prices costs nobody anything');
SELECT is(pg_temp.dial('4420', '37052000009'), 'no_account (did_owner)', 'D4: a DID in stock is nobody''s');
SELECT is(pg_temp.dial('4420', '37052000077'), 'unknown_did (did_owner)', 'a number that is not ours');
UPDATE billing.account SET active = false WHERE id = 20;
SELECT is(pg_temp.dial('4420'), 'inactive (did_owner)', 'the owner is switched off');
SELECT is(pg_temp.dial('4420', '37052000002'), 'inactive (did_owner)', 'also where nothing is charged');
UPDATE billing.account SET active = true WHERE id = 20;
INSERT INTO billing.did_rate (leg, number, currency, price, valid_from) VALUES ('did_owner', '37052000001', 'EUR', -0.06, now() - interval '1 day');
INSERT INTO billing.entry (account_id, kind, amount) VALUES (20, 'adjustment', -3);
SELECT is(pg_temp.dial('4420'), 'no limit', 'K7: a price of 0 or less is never refused for money, whatever the owner owes');

-- One account that pays two legs: it forwards a call that came in by its DID.
INSERT INTO billing.did_rate (leg, number, currency, price, valid_from) VALUES ('did_owner', '37052000001', 'EUR', 0.06, now() - interval '1 hour');
UPDATE billing.account SET tariff_id = 1, terms_from = '-infinity' WHERE id = 20;
INSERT INTO billing.entry (account_id, kind, amount) VALUES (20, 'adjustment', 8.60);
SELECT results_eq($$SELECT allowed, account_id, rate_id, max_seconds FROM billing.authorize(caller => '4420', did => '37052000001', callee => '4430', src_trunk => 'carrier', dst_trunk => 'nowhere')$$,
	$$VALUES (true, 20::bigint, 1::bigint, 600)$$, 'both together: 6.60 at 0.01 + 0.001 a second');

-- The loss check (C24, reading 35). The list asks 0.60 a minute, so 1.80 for 180 s.
INSERT INTO billing.tariff (id, name, currency, first_increment, next_increment) VALUES (40, 'buy 0.61', 'EUR', 1, 1), (41, 'buy by the minute', 'EUR', 60, 60), (42, 'buy in dollars', 'USD', 1, 1), (43, 'buy nothing', 'EUR', 1, 1);
INSERT INTO billing.rate (id, tariff_id, prefix, price) VALUES (40, 40, '44', 0.61), (41, 41, '44', 0.40), (42, 42, '44', 1.22);
INSERT INTO billing.account (id, name, currency, is_provider, tariff_id) VALUES (40, 'dear', 'EUR', true, 40), (41, 'by the minute', 'EUR', true, 41), (42, 'in dollars', 'USD', true, 42), (43, 'in francs', 'CHF', true, 40), (44, 'without prices', 'EUR', true, 43);
INSERT INTO billing.service (id, account_id, side, kind, identifier) SELECT 100 + row_number() OVER (), id, 'provider', k.kind, k.identifier
	FROM billing.account CROSS JOIN LATERAL (VALUES ('trunk', 't' || id), ('auth_code', 'c' || id), ('ip', '10.0.0.' || id)) k(kind, identifier) WHERE id >= 40;
CREATE FUNCTION pg_temp.route(dst_trunk text, loss_percent numeric, average integer DEFAULT 180, caller text DEFAULT '102') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	UPDATE billing.tariff t SET loss_percent = route.loss_percent, average_duration = average WHERE id = 1;
	RETURN (SELECT CASE WHEN a.allowed THEN concat_ws(' ', 'allowed', a.note) ELSE format('%s (%s)', a.reason, a.leg) END
		FROM billing.authorize(caller => caller, callee => '4420', dst_trunk => route.dst_trunk) a);
END $$;
SELECT is(pg_temp.route('t40', 0), 'loss (customer)', 'C24: 0.61 are more than 0.60');
SELECT is(pg_temp.route('t40', 1.6666), 'loss (customer)', 'C24: 1.83 are more than 1.80 + 1.6666 % = 1.8299988');
SELECT is(pg_temp.route('t40', 1.6667), 'allowed', 'C24: and not more than 1.80 + 1.6667 % = 1.8300006');
SELECT is(pg_temp.route('t41', -33.3333), 'allowed', 'C24: 1.20 leave a margin of a third of 1.80');
SELECT is(pg_temp.route('t41', -33.3334), 'loss (customer)', 'C24: and no more');
SELECT is(pg_temp.route('t41', 0, 61), 'loss (customer)', 'C24: 61 s: two minutes at 0.40 are more than 0.61');
SELECT is(pg_temp.route('t42', 0), 'loss (customer)', 'C28: 1.22 USD are 0.61 EUR');
SELECT is(pg_temp.route('t42', 2), 'allowed', 'C28: within 2 %');
SELECT is(pg_temp.route('t43', -99), 'allowed no_exchange_rate', 'C24: without an exchange rate there is nothing to compare, and a note says so');
SELECT is(pg_temp.route('t44', -99), 'allowed no_rate', 'C24: neither where the provider has no price');
SELECT is(pg_temp.route('elsewhere', -99), 'allowed', 'C24: a route that is no provider of ours');
SELECT is(pg_temp.route(NULL, -99), 'allowed', 'C24: no route is named');
SELECT is((SELECT reason FROM billing.authorize(caller => '102', callee => '4420', provider_code => 'c40')), 'loss', 'C24: the provider by its code');
SELECT is((SELECT reason FROM billing.authorize(caller => '102', callee => '4420', dst_ip => '10.0.0.40')), 'loss', 'C24: by its address');
-- A chain: the callshop is paid 1.00 and pays 0.60, so the operator is paid 0.60 and pays 0.61.
SELECT is((SELECT format('%s %s', reason, leg) FROM billing.authorize(caller => '111', callee => '4420', dst_trunk => 't40')), 'loss reseller', 'C24: the operator''s loss, by the list of the callshop');
UPDATE billing.tariff SET loss_percent = 2 WHERE id = 3;
SELECT is((SELECT reason FROM billing.authorize(caller => '111', callee => '4420', dst_trunk => 't40')), NULL, 'C24: which the operator accepts');
UPDATE billing.tariff SET loss_percent = -99 WHERE id = 2;
SELECT is((SELECT reason FROM billing.authorize(caller => '111', callee => '4420', dst_trunk => 't40')), NULL, 'C24: what the callshop earns is its own affair');

-- Included minutes: 100 s to the UK. 0.60 a minute behind that; Lithuania has a fee of 0.10 and whole minutes.
INSERT INTO billing.plan (id, name, tariff_id) VALUES (1, 'hundred seconds', 1);
INSERT INTO billing.allowance (id, plan_id, name, seconds) VALUES (1, 1, 'UK', 100), (2, 1, 'Lithuania', 120);
INSERT INTO billing.allowance_prefix (allowance_id, prefix) VALUES (1, '44'), (2, '370');
INSERT INTO billing.account (id, name, currency, plan_id, billing) VALUES (50, 'Gus', 'EUR', 1, 'prepaid');
INSERT INTO billing.service (id, account_id, kind, identifier) VALUES (50, 50, 'extension', '150');
SELECT is(pg_temp.ask('150', '4420', '2026-12-10'), '100', 'D10: without money, as long as the included seconds last');
SELECT is(pg_temp.ask('150', '370600', '2026-12-10'), '120', 'reading 25: wholly covered, without the fee');
SELECT is(pg_temp.ask('150', '4930', '2026-12-10'), 'not_enough_balance (customer)', 'D12: other destinations are not included');
INSERT INTO billing.entry (account_id, kind, amount) VALUES (50, 'payment', 1);
SELECT is(pg_temp.ask('150', '4420', '2026-12-10'), '200', 'reading 25: 100 s covered, 100 s at 0.01');
SELECT is(pg_temp.ask('150', '370600', '2026-12-10'), '180', 'reading 25: two minutes covered, the third costs 0.10 + 0.60, a fourth would 1.30');
INSERT INTO billing.cdr (call_id, started_at, caller, callee, billsec) VALUES ('g', '2026-12-09', '150', '4420', 130);
SELECT is(pg_temp.ask('150', '4420', '2026-12-10'), '70', 'design 6: what was called is settled first: 100 s of 130 were covered, 0.30 of 1.00 are spent, 0.70 are left');
SELECT is(pg_temp.ask('150', '4420', '2027-01-10'), '170', 'the next cycle has its own');

-- A virtual number draws from its primary's pool, an extension of the same account has nothing (D9, D11).
INSERT INTO billing.account (id, name, currency, tariff_id, billing) VALUES (51, 'Hal', 'EUR', 1, 'prepaid');
INSERT INTO billing.service (id, account_id, kind, identifier, plan_id, primary_id) VALUES
	(60, 51, 'did', '37052000060', 1, NULL), (61, 51, 'virtual_number', '37052000061', NULL, 60), (62, 51, 'extension', '162', NULL, NULL);
SELECT is(pg_temp.ask('37052000061', '4420', '2026-12-10'), '100', 'D9: a virtual number has its primary''s included seconds');
SELECT is(pg_temp.ask('37052000060', '4420', '2026-12-10'), '100', 'D3: as the primary has');
SELECT is(pg_temp.ask('162', '4420', '2026-12-10'), 'not_enough_balance (customer)', 'D11: another extension has not');
INSERT INTO billing.cdr (call_id, started_at, caller, callee, billsec) VALUES ('h', '2026-12-09', '37052000061', '4420', 40);
SELECT is(pg_temp.ask('37052000060', '4420', '2026-12-10'), '60', 'D10: one pool: what the virtual number has used the primary has no more');

-- Nothing is kept of a call that was only asked about.
SELECT is_empty('SELECT FROM billing.reservation', 'no reservation was asked for');

-- What a switch may do: design 2, EXECUTE and nothing else.
CREATE ROLE billing_test_switch;
GRANT USAGE ON SCHEMA billing TO billing_test_switch;
SET LOCAL ROLE billing_test_switch;
SELECT throws_ok($$SELECT billing.authorize(caller => '102', callee => '4420')$$, '42501', NULL, 'nobody may ask who was not granted it');
RESET ROLE;
GRANT EXECUTE ON FUNCTION billing.authorize, billing.release TO billing_test_switch;
SET LOCAL ROLE billing_test_switch;
SELECT is((SELECT a.allowed FROM billing.authorize(caller => '102', callee => '4420', reserve => 60) a), true, 'EXECUTE is enough, with a reservation too');
SELECT is((SELECT current_user::text), 'billing_test_switch', 'and the role is as before');
SELECT throws_ok('SELECT FROM billing.account', '42501', NULL, 'tables are none of its business');
SELECT throws_ok($$SELECT billing._spendable(1)$$, '42501', NULL, 'nor are balances by the back door');
SELECT throws_ok($$SELECT billing._longest_call(ROW(1), '{}', '{}', 1)$$, '42501', NULL, 'nor durations');
RESET ROLE;

-- A ledger that belongs to somebody who is no superuser.
CREATE ROLE billing_test_owner;
GRANT USAGE, CREATE ON SCHEMA billing TO billing_test_owner;
GRANT EXECUTE ON FUNCTION billing._settle_pool, billing.allowance_remaining TO billing_test_owner;
DO $$
DECLARE
	relation regclass;
BEGIN
	FOR relation IN SELECT c.oid FROM pg_class c WHERE c.relnamespace = 'billing'::regnamespace AND c.relkind IN ('r', 'p', 'v') ORDER BY c.relkind, c.relispartition LOOP
		EXECUTE format('ALTER TABLE %s OWNER TO billing_test_owner', relation);
	END LOOP;
END $$;
SET LOCAL ROLE billing_test_switch;
SELECT is((SELECT format('%s %s', a.allowed, billing.release(a.reservation_id)) FROM billing.authorize(caller => '150', callee => '4420', at => '2026-12-10', reserve => 60) a), 't f',
	'design 2: what runs, runs with the rights of the ledger''s owner');
RESET ROLE;
REVOKE SELECT ON billing.account FROM billing_test_owner;
SET LOCAL ROLE billing_test_switch;
SELECT throws_ok($$SELECT billing.authorize(caller => '102', callee => '4420')$$, '42501', NULL, 'and no others');
RESET ROLE;
GRANT SELECT ON billing.account TO billing_test_owner;

REVOKE SELECT ON billing.entry FROM billing_test_owner;
SET LOCAL ROLE billing_test_switch;
SELECT throws_ok($$SELECT billing.authorize(caller => '101', callee => '4420')$$, '42501', 'permission denied for table entry', 'nor for what is no catalogue');
RESET ROLE;
GRANT SELECT ON billing.entry TO billing_test_owner;
ALTER TABLE billing.entry ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
SET LOCAL ROLE billing_test_switch;
SELECT throws_ok($$SELECT billing.authorize(caller => '101', callee => '4420')$$, '42501', NULL, 'policies hide no money: rather there is no answer');
RESET ROLE;
ALTER TABLE billing.entry DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;

SELECT is((SELECT reason FROM billing.authorize(caller => '102', callee => '4420', at => 'infinity')), 'no_start', 'an instant that is none');

-- Indexes that somebody has dropped cost time, and no money.
INSERT INTO billing.entry (account_id, kind, amount) VALUES (1, 'payment', 20);
CREATE TEMP TABLE reserved AS SELECT a.allowed FROM billing.authorize(caller => '101', callee => '4420', reserve => 60) a;
CREATE TEMP TABLE money AS SELECT a.id, s.spendable, s.available FROM billing.account a CROSS JOIN LATERAL billing._spendable(a.id) s;
SELECT is((SELECT count(*) FROM money WHERE spendable <> available), 1::bigint, 'money is reserved');
DROP INDEX billing.entry_account, billing.reservation_open;
ALTER TABLE billing.usage_month DROP CONSTRAINT usage_month_key;
SELECT set_eq('SELECT a.id, s.spendable, s.available FROM billing.account a CROSS JOIN LATERAL billing._spendable(a.id) s', 'TABLE money', 'without its indexes a ledger has the same');

SELECT * FROM finish();
ROLLBACK;
