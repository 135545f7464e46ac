-- billing.catalogue_check(): what will go wrong before it does (C9, C24, C28, D6, D8, P5, V13, readings 26, 29, 35).
-- One catalogue without a problem; then each problem beside its like that is none.
BEGIN;
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS billing CASCADE;
SELECT plan(39);
SELECT throws_ok('SELECT * FROM billing.catalogue_check()', '55000', NULL, 'without a ledger it says so');
SELECT billing.create_ledger();

CREATE FUNCTION pg_temp.found(problem text) RETURNS SETOF text LANGUAGE sql AS
$$SELECT c.subject FROM billing.catalogue_check() c WHERE c.problem = $1 ORDER BY c.subject$$;
CREATE FUNCTION pg_temp.detail(problem text, subject text) RETURNS text LANGUAGE sql AS
$$SELECT c.detail FROM billing.catalogue_check() c WHERE c.problem = $1 AND c.subject = $2$$;

SELECT is_empty('SELECT * FROM billing.catalogue_check()', 'an empty catalogue has no problems');

-- Vendors at 0.10 and 0.12 for 44, 0.30 and 0.28 for 4479; retail sells 44 at 0.20 and 4479 at 0.40.
INSERT INTO billing.account (id, name, is_provider, currency) VALUES (3, 'Vendor', true, 'USD'), (4, 'Other vendor', true, 'USD');
INSERT INTO billing.calendar (id, name, timezone) VALUES (1, 'week', 'UTC');
INSERT INTO billing.calendar_band (calendar_id, band, starts, ends) VALUES (1, 'peak', '08:00', '20:00');
INSERT INTO billing.tariff (id, name, currency, calendar_id) VALUES (101, 'retail', 'USD', 1), (103, 'vendor', 'USD', NULL), (104, 'other vendor', 'USD', NULL);
INSERT INTO billing.rate (tariff_id, prefix, destination, price) VALUES
	(101, '44', 'UK', 0.20), (101, '4479', 'UK mobile', 0.40),
	(103, '44', 'UK', 0.10), (103, '4479', 'UK mobile', 0.30),
	(104, '44', 'UK', 0.12), (104, '4479', 'UK mobile', 0.28);
UPDATE billing.account SET tariff_id = 103, terms_from = now() WHERE id = 3;
UPDATE billing.account SET tariff_id = 104, terms_from = now() WHERE id = 4;
INSERT INTO billing.account (id, name, currency, tariff_id) VALUES (10, 'Customer', 'USD', 101);
INSERT INTO billing.service (account_id, side, kind, identifier) VALUES (10, 'customer', 'auth_code', '1001'), (3, 'provider', 'trunk', 'to-vendor'), (4, 'provider', 'trunk', 'to-other');
SELECT is_empty('SELECT * FROM billing.catalogue_check()', 'a catalogue in which all is well has no problems');

-- Sell price below buy price.
SAVEPOINT s;
INSERT INTO billing.rate (tariff_id, prefix, destination, price, valid_from) VALUES (101, '4479', 'UK mobile', 0.27, now());
SELECT results_eq($$SELECT severity, problem, subject FROM billing.catalogue_check()$$,
	$$VALUES ('warning', 'sell_below_buy', 'tariff retail, prefix 4479 (UK mobile)')$$,
	'V2 C24: a price below that of the cheapest provider is found; the one above it is not');
-- 180 s at 0.27 are 0.81, at 0.28 0.84.
SELECT matches(pg_temp.detail('sell_below_buy', 'tariff retail, prefix 4479 (UK mobile)'), '180 s to 4479 sells for 0.81 USD and costs 0.84 USD by other vendor',
	'reading 35: compared for the list''s average duration, and said with the figures');
UPDATE billing.tariff SET loss_percent = 4 WHERE id = 101;
SELECT is_empty('SELECT * FROM billing.catalogue_check()', 'C24: a loss of 4 % is allowed: 0.84 less 4 % is 0.8064');
UPDATE billing.tariff SET loss_percent = -50 WHERE id = 101;
SELECT results_eq($$SELECT pg_temp.found('sell_below_buy')$$, ARRAY['tariff retail, prefix 4479 (UK mobile)'],
	'C24: 44 at 0.20 is 100 % above cost, 4479 is not 50 % above');
ROLLBACK TO s;
INSERT INTO billing.rate (tariff_id, prefix, destination, price) VALUES (103, '4470', 'UK personal', 0.50), (104, '4470', 'UK personal', 0.60);
SELECT results_eq($$SELECT pg_temp.found('sell_below_buy')$$, ARRAY['tariff retail, prefix 44 (UK)'],
	'a prefix that only the providers tell apart is found under the rate that sells it');
ROLLBACK TO s;
INSERT INTO billing.rate (tariff_id, prefix, destination, price, valid_from, blocked) VALUES (101, '4479', 'UK mobile', 0.01, now(), true);
SELECT is_empty('SELECT * FROM billing.catalogue_check()', 'a blocked number is not sold');
ROLLBACK TO s;
-- A call of 10 s against a first increment of 60.
UPDATE billing.tariff SET average_duration = 10 WHERE id = 101;
UPDATE billing.tariff SET first_increment = 60, next_increment = 60 WHERE id IN (103, 104);
SELECT results_eq($$SELECT pg_temp.found('sell_below_buy')$$, ARRAY['tariff retail, prefix 44 (UK)', 'tariff retail, prefix 4479 (UK mobile)'],
	'increments count: 10 s sell for 0.0333 and cost a whole minute at 0.10');
ROLLBACK TO s;
INSERT INTO billing.tariff (id, name, currency, base_tariff_id) VALUES (102, 'special', 'USD', 101);
INSERT INTO billing.rate (tariff_id, prefix, destination, price) VALUES (102, '4420', 'London', 0.05);
INSERT INTO billing.service (account_id, side, kind, identifier, tariff_id) VALUES (10, 'customer', 'auth_code', '1002', 102);
SELECT results_eq($$SELECT pg_temp.found('sell_below_buy')$$, ARRAY['tariff special, prefix 4420 (London)'], 'a service''s own list over a base is judged too');
ROLLBACK TO s;
INSERT INTO billing.account (id, name, currency, tariff_id) VALUES (20, 'Callshop', 'USD', 101);
INSERT INTO billing.tariff (id, name, currency, owner_id) VALUES (105, 'booths', 'USD', 20);
INSERT INTO billing.rate (tariff_id, prefix, destination, price) VALUES (105, '44', 'UK', 0.15), (105, '4479', 'UK mobile', 0.45);
INSERT INTO billing.account (id, name, currency, parent_id, tariff_id) VALUES (21, 'Booth', 'USD', 20, 105);
INSERT INTO billing.service (account_id, kind, identifier) VALUES (21, 'extension', '17');
SELECT results_eq('SELECT severity, problem, subject FROM billing.catalogue_check()',
	$$VALUES ('warning', 'sell_below_buy', 'tariff booths, prefix 44 (UK)')$$,
	'C9: a booth''s price is compared with what its callshop pays, 0.15 below 0.20, 0.45 above 0.40');
ROLLBACK TO s;

-- A peak price without an any price.
INSERT INTO billing.rate (tariff_id, prefix, band, price) VALUES (101, '4420', 'peak', 0.50), (101, '44', 'peak', 0.50);
SELECT results_eq('SELECT severity, problem, subject FROM billing.catalogue_check()',
	$$VALUES ('error', 'no_any_rate', 'tariff retail, prefix 4420')$$, 'V19: a peak price without an any price is found; the one with it is not');
INSERT INTO billing.rate (tariff_id, prefix, day_type, price) VALUES (101, '4420', 'work', 0.50);
SELECT results_eq($$SELECT pg_temp.found('no_any_rate')$$, ARRAY['tariff retail, prefix 4420'], 'K12: work days alone do not fill the week');
INSERT INTO billing.rate (tariff_id, prefix, day_type, price) VALUES (101, '4420', 'free', 0.50);
SELECT is_empty($$SELECT pg_temp.found('no_any_rate')$$, 'K12: work and free days together do');
INSERT INTO billing.rate (tariff_id, prefix, price, valid_from, withdrawn) VALUES (101, '44', 0, now(), true);
SELECT results_eq($$SELECT pg_temp.found('no_any_rate')$$, ARRAY['tariff retail, prefix 44'], 'an any price that is withdrawn is none');
ROLLBACK TO s;
INSERT INTO billing.rate (tariff_id, prefix, band, price, valid_from) VALUES (101, '4420', 'peak', 0.50, now() + interval '1 day');
SELECT results_eq($$SELECT pg_temp.found('no_any_rate')$$, ARRAY['tariff retail, prefix 4420'], 'a price of tomorrow is found today');
ROLLBACK TO s;

-- Price lists that serve nobody.
INSERT INTO billing.tariff (id, name, currency) VALUES (106, 'forgotten', 'USD'), (107, 'base', 'USD'), (108, 'of a plan', 'USD');
UPDATE billing.tariff SET base_tariff_id = 107 WHERE id = 101;
INSERT INTO billing.plan (id, name, tariff_id) VALUES (1, 'plan', 108);
INSERT INTO billing.account (id, name, currency, plan_id) VALUES (11, 'Planned', 'USD', 1);
INSERT INTO billing.service (account_id, kind, identifier) VALUES (11, 'auth_code', '1011');
SELECT results_eq('SELECT severity, problem, subject FROM billing.catalogue_check()',
	$$VALUES ('info', 'unused_tariff', 'tariff forgotten')$$, 'P5: a list that nobody is on is found; a base and a plan''s are in use');
ROLLBACK TO s;

-- Networks.
INSERT INTO billing.account (id, name, currency, tariff_id) VALUES (12, 'Second', 'USD', 101);
INSERT INTO billing.service (account_id, side, kind, identifier) VALUES (10, 'customer', 'ip', '192.0.2.0/24'), (12, 'customer', 'ip', '192.0.2.128/25'),
	(10, 'customer', 'ip', '192.0.2.64/26'), (12, 'customer', 'ip', '198.51.100.7'), (3, 'provider', 'ip', '203.0.113.0/24');
SELECT results_eq('SELECT severity, problem, subject FROM billing.catalogue_check()',
	$$VALUES ('warning', 'overlapping_networks', 'customer service 192.0.2.0/24 and customer service 192.0.2.128/25')$$,
	'D8: networks of two accounts that overlap are found; one account''s own, and others, are not');
INSERT INTO billing.service (account_id, side, kind, identifier) VALUES (12, 'customer', 'ip', '203.0.113.9'), (4, 'provider', 'ip', '203.0.113.128/25');
SELECT is((SELECT count(*) FROM pg_temp.found('overlapping_networks')), 3::bigint, 'P4: so are two providers on one network, and a customer inside a provider''s');
ROLLBACK TO s;
INSERT INTO billing.account (id, name, currency, tariff_id) VALUES (12, 'Second', 'USD', 101);
INSERT INTO billing.service (account_id, side, kind, identifier, active) VALUES (10, 'customer', 'ip', '192.0.2.0/24', tstzrange(NULL, now() + interval '1 day')),
	(12, 'customer', 'ip', '192.0.2.128/25', tstzrange(now() + interval '1 day', NULL));
SELECT is_empty('SELECT * FROM billing.catalogue_check()', 'one after the other is no overlap');
ROLLBACK TO s;

-- Identifiers.
INSERT INTO billing.account (id, name, currency, tariff_id) VALUES (12, 'Second', 'USD', 101);
INSERT INTO billing.service (account_id, kind, identifier, tenant) VALUES (10, 'extension', '101', 'a'), (12, 'extension', '101', 'b'), (10, 'extension', '102', 'a'), (10, 'extension', '102', 'b');
SELECT results_eq('SELECT severity, problem, subject FROM billing.catalogue_check()',
	$$VALUES ('info', 'ambiguous_identifier', 'customer extension 101')$$,
	'D6: an extension of two accounts in two tenants is named; one of one account is not');
INSERT INTO billing.service (account_id, kind, identifier) VALUES (12, 'extension', '103');
INSERT INTO billing.service (account_id, kind, identifier, tenant) VALUES (10, 'extension', '103', 'a');
SELECT is((SELECT severity FROM billing.catalogue_check() WHERE subject = 'customer extension 103'), 'warning', 'D6: it is a warning where one has no tenant');
INSERT INTO billing.service (account_id, kind, identifier) VALUES (10, 'ani', '442079460000'), (12, 'did', '442079460000'), (10, 'auth_code', '555'), (12, 'extension', '555');
SELECT results_eq($$SELECT severity, subject FROM billing.catalogue_check() WHERE severity = 'error'$$,
	$$VALUES ('error', 'customer ani/did 442079460000')$$,
	'reading 29: a caller''s number of two accounts is an error: nobody is charged; a code is looked for elsewhere than an extension');
SELECT is(pg_temp.detail('ambiguous_identifier', 'customer extension 101'),
	'It belongs to Customer in tenant a, Second in tenant b. A call without tenant is ambiguous, and nobody is charged.', 'the accounts are named');
ROLLBACK TO s;
INSERT INTO billing.account (id, name, currency, tariff_id) VALUES (12, 'Second', 'USD', 101);
INSERT INTO billing.service (account_id, kind, identifier, tenant, active) VALUES (10, 'extension', '101', 'a', tstzrange(NULL, now())), (12, 'extension', '101', 'b', '(,)');
SELECT is_empty('SELECT * FROM billing.catalogue_check()', 'a service that has ended is no rival');
ROLLBACK TO s;

-- Accounts without a price list.
INSERT INTO billing.account (id, name, currency) VALUES (13, 'Unpriced', 'USD'), (14, 'Without services', 'USD');
INSERT INTO billing.account (id, name, is_provider, currency) VALUES (15, 'Unpriced vendor', true, 'USD'), (16, 'DID vendor', true, 'USD');
INSERT INTO billing.service (account_id, kind, identifier) VALUES (13, 'auth_code', '1013');
INSERT INTO billing.service (account_id, kind, identifier, provider_id) VALUES (10, 'did', '442079460001', 16);
INSERT INTO billing.account (id, name, currency) VALUES (17, 'Unpriced callshop', 'USD');
INSERT INTO billing.account (id, name, currency, parent_id) VALUES (18, 'Its booth', 'USD', 17);
INSERT INTO billing.service (account_id, kind, identifier) VALUES (18, 'extension', '18');
SELECT results_eq('SELECT severity, problem, subject FROM billing.catalogue_check()',
	$$VALUES ('error', 'no_price_list', 'account Its booth'), ('error', 'no_price_list', 'account Unpriced'),
		('error', 'no_price_list', 'account Unpriced callshop'), ('error', 'no_price_list', 'account Unpriced vendor')$$,
	'P5: customers, callshops and providers without a price list are found; who has nothing to price is not');
INSERT INTO billing.tariff (id, name, currency, is_default_customer) VALUES (109, 'default', 'USD', true);
SELECT results_eq($$SELECT pg_temp.found('no_price_list')$$, ARRAY['account Its booth', 'account Unpriced vendor'],
	'V13: the default serves customers and callshops, not a callshop''s customers and providers');
ROLLBACK TO s;

-- A reseller's customer is priced by the reseller's list (C9).
INSERT INTO billing.account (id, name, currency, tariff_id) VALUES (20, 'Callshop', 'USD', 101);
INSERT INTO billing.tariff (id, name, currency, owner_id) VALUES (105, 'booths', 'USD', 20);
INSERT INTO billing.account (id, name, currency, parent_id, tariff_id) VALUES (21, 'Booth', 'USD', 20, 105), (22, 'Booth on retail', 'USD', 20, 101);
INSERT INTO billing.account (id, name, currency, tariff_id) VALUES (23, 'Customer on booths', 'USD', 105);
INSERT INTO billing.service (account_id, kind, identifier) VALUES (21, 'extension', '21'), (22, 'extension', '22'), (23, 'extension', '23');
SELECT results_eq('SELECT severity, problem, subject FROM billing.catalogue_check()',
	$$VALUES ('warning', 'foreign_price_list', 'account Booth on retail'), ('warning', 'foreign_price_list', 'account Customer on booths')$$,
	'C9: a booth on the operator''s list and an operator''s customer on a callshop''s are found; a booth on its callshop''s is not');
ROLLBACK TO s;

-- Exchange rates.
INSERT INTO billing.account (id, name, currency, tariff_id) VALUES (24, 'Euro customer', 'EUR', 101), (25, 'Yen customer', 'JPY', 101), (26, 'Pound customer', 'GBP', 101);
INSERT INTO billing.service (account_id, kind, identifier) VALUES (24, 'auth_code', '24'), (25, 'auth_code', '25'), (26, 'auth_code', '26');
INSERT INTO billing.exchange_rate (base, quote, valid_from, rate) VALUES
	('EUR', 'USD', now() - interval '40 days', 1.1), ('EUR', 'USD', now() - interval '29 days', 1.1),
	('USD', 'JPY', now() - interval '31 days', 150), ('USD', 'JPY', now() + interval '1 day', 150), ('EUR', 'GBP', now(), 0.85);
SELECT results_eq('SELECT severity, problem, subject FROM billing.catalogue_check()',
	$$VALUES ('error', 'no_exchange_rate', 'exchange rate of USD and GBP'), ('warning', 'stale_exchange_rate', 'exchange rate of USD and JPY')$$,
	'C28: a missing pair and one older than 30 days are found; an inverse of 29 days is good, a third currency is no way');
ROLLBACK TO s;
UPDATE billing.account SET tariff_id = NULL WHERE id IN (3, 4);
INSERT INTO billing.tariff (id, name, currency) VALUES (110, 'euro vendor', 'EUR');
INSERT INTO billing.rate (tariff_id, prefix, price) VALUES (110, '44', 0.19);
UPDATE billing.account SET tariff_id = 110 WHERE id IN (3, 4);
INSERT INTO billing.exchange_rate (base, quote, valid_from, rate) VALUES ('EUR', 'USD', now(), 1.1);
SELECT results_eq($$SELECT pg_temp.found('sell_below_buy')$$, ARRAY['tariff retail, prefix 44 (UK)'],
	'C28: 0.19 euros are 0.209 dollars, more than 0.20');
ROLLBACK TO s;

-- Accounts that are not active.
INSERT INTO billing.account (id, name, currency, tariff_id, active) VALUES (27, 'Left', 'USD', 101, false), (28, 'Left cleanly', 'USD', 101, false);
INSERT INTO billing.service (account_id, kind, identifier, active) VALUES (27, 'auth_code', '27', '(,)'), (28, 'auth_code', '28', tstzrange(NULL, now()));
SELECT results_eq('SELECT severity, problem, subject FROM billing.catalogue_check()',
	$$VALUES ('warning', 'inactive_account', 'account Left')$$, 'services of an account that is not active are found; ended ones are not');
ROLLBACK TO s;

-- Virtual numbers.
INSERT INTO billing.service (id, account_id, kind, identifier, active) VALUES (500, 10, 'did', '442079460010', tstzrange(NULL, now() + interval '1 day')), (501, 10, 'did', '442079460011', '(,)');
INSERT INTO billing.service (account_id, kind, identifier, primary_id, active) VALUES (10, 'virtual_number', '442079460020', 500, '(,)'),
	(10, 'virtual_number', '442079460021', 500, tstzrange(NULL, now() + interval '1 day')), (10, 'virtual_number', '442079460022', 501, '(,)'),
	(10, 'virtual_number', '442079460023', 500, tstzrange(NULL, now()));
SELECT results_eq('SELECT severity, problem, subject FROM billing.catalogue_check()',
	$$VALUES ('error', 'primary_ended', 'virtual number 442079460020')$$,
	'D9, reading 26: a virtual number that outlives its primary is found; those that end with it are not');
ROLLBACK TO s;

-- Terms yet to begin.
INSERT INTO billing.account (id, name, currency, tariff_id, terms_from) VALUES (29, 'Later', 'USD', 101, now() + interval '1 day'), (30, 'Since yesterday', 'USD', 101, now() - interval '1 day');
INSERT INTO billing.service (account_id, kind, identifier, terms_from) VALUES (29, 'auth_code', '29', now() + interval '1 day'), (30, 'auth_code', '30', now());
UPDATE billing.tariff SET connect_fee = 0.01, terms_from = now() + interval '1 day' WHERE id = 101;
SELECT results_eq('SELECT severity, problem, subject FROM billing.catalogue_check()',
	$$VALUES ('info', 'future_terms', 'account Later'), ('info', 'future_terms', 'customer service auth_code 29'), ('info', 'future_terms', 'tariff retail')$$,
	'terms that are yet to begin are named; those in force are not');
ROLLBACK TO s;

-- The frame.
INSERT INTO billing.tariff (id, name, currency) VALUES (106, 'forgotten', 'USD');
INSERT INTO billing.account (id, name, currency) VALUES (13, 'Unpriced', 'USD');
INSERT INTO billing.account (id, name, currency, tariff_id, active) VALUES (27, 'Left', 'USD', 101, false);
INSERT INTO billing.service (account_id, kind, identifier) VALUES (13, 'auth_code', '1013'), (27, 'auth_code', '27');
SELECT results_eq('SELECT severity FROM billing.catalogue_check()', ARRAY['error', 'warning', 'info'], 'errors come first');
SELECT is((SELECT count(*) FROM billing.catalogue_check() WHERE num_nulls(severity, problem, subject, detail, hint) > 0), 0::bigint, 'every line says what, why and what to do');
SET LOCAL search_path = pg_temp, public;
CREATE TEMP TABLE rate (id int);
SELECT lives_ok('SELECT * FROM billing.catalogue_check()', 'a table of the same name in front changes nothing');
RESET search_path;
SELECT ok(NOT has_function_privilege('public', 'billing.catalogue_check()', 'EXECUTE'), 'it is not PUBLIC''s');
SELECT volatility_is('billing', 'catalogue_check', ARRAY[]::name[], 'stable', 'it only reads');

SELECT * FROM finish();
ROLLBACK;
