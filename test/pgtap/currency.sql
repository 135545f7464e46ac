-- One currency for reports (C28, readings 38 and 39): billing.exchange(), margin_in(), margin_summary_in(), usage_in().
BEGIN;
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS billing CASCADE;
SELECT billing.create_ledger();
SELECT no_plan();

INSERT INTO billing.exchange_rate (base, quote, valid_from, rate) VALUES
	('EUR', 'USD', '-infinity', 1.10), ('EUR', 'USD', '2026-03-10 12:00+00', 1.20), ('GBP', 'EUR', '2026-01-01', 1.15),
	('USD', 'JPY', '-infinity', 150), ('USD', 'CHF', '-infinity', 3), ('CHF', 'USD', '2026-03-01', 0.5), ('USD', 'DKK', '-infinity', 11);

-- exchange().
SELECT is(billing.exchange(10, 'EUR', 'USD', '2026-03-10 11:59:59+00'), 11.00000000, 'C28: 10 x 1.10, the direct pair');
SELECT is(billing.exchange(10, 'EUR', 'USD', '2026-03-10 12:00:00+00'), 12.00000000, 'reading 38: 10 x 1.20, from valid_from on');
SELECT is(billing.exchange(12, 'USD', 'EUR', '2026-03-11'), 10.00000000, 'C28: 12 / 1.20, the inverse');
SELECT is(billing.exchange(12, 'USD', 'CHF', '2026-03-11'), 36.00000000, 'C28: the direct pair goes before the inverse, which would be 24');
SELECT is(billing.exchange(12, 'CHF', 'USD', '2026-02-11'), 4.00000000, 'C28: as long as the direct pair is not in force, the inverse: 12 / 3');
SELECT is(billing.exchange(12, 'CHF', 'USD', '2026-03-11'), 6.00000000, 'C28: then it: 12 x 0.5');
SELECT is(billing.exchange(1, 'GBP', 'USD', '2026-03-11'), NULL, 'C28: never through a third currency');
SELECT is(billing.exchange(1, 'GBP', 'EUR', '2025-12-31'), NULL, 'reading 38: nothing before the first rate');
SELECT is(billing.exchange(1, 'ZZZ', 'EUR', '2026-03-11'), NULL, 'null for an unknown currency');
SELECT is(billing.exchange(1.123456785, 'EUR', 'EUR', '2026-03-11'), 1.12345679, 'of one currency: only rounded');
SELECT is(billing.exchange(NULL, 'EUR', 'USD', '2026-03-11'), NULL, 'null for null');
-- 0.00000005 x 1.10 = 0.000000055, 0.00000005 / 3 is below a half.
SELECT is(billing.exchange(0.00000005, 'EUR', 'USD', '2026-03-01'), 0.00000006, 'reading 39: a half is rounded away from zero');
SELECT is(billing.exchange(-0.00000005, 'EUR', 'USD', '2026-03-01'), -0.00000006, 'reading 39: on either side');
SELECT is(billing.exchange(2, 'CHF', 'USD', '2026-02-11'), 0.66666667, 'reading 39: 2 / 3 up');
SELECT is(billing.exchange(1, 'CHF', 'USD', '2026-02-11'), 0.33333333, 'reading 39: 1 / 3 down');
-- 1000000000000.00000001 / 150: 6666666666.66666666673...; a quotient of 16 digits would not know.
SELECT is(billing.exchange(1000000000000.00000001, 'JPY', 'USD', '2026-03-01'), 6666666666.66666667, 'promise 5: big amounts keep their decimals');
-- 2200000000.00000005 / 11 = 200000000.0000000045454...: rounded to 9 decimals, as numeric's / does here, it would be a half.
SELECT is(billing.exchange(2200000000.00000005, 'DKK', 'USD', '2026-03-01'), 200000000.00000000, 'promise 5: one rounding, of the exact quotient');
SELECT is(billing.exchange(-2200000000.00000005, 'DKK', 'USD', '2026-03-01'), -200000000.00000000, 'promise 5: on either side');
SELECT isnt(round(2200000000.00000005 / 11.000000000, 8), 200000000.00000000, 'promise 5: which rounding a quotient does not give');

-- Margins. Customers in USD and EUR, callshop 3 in GBP below which 4 calls in EUR; providers in EUR, SEK (which has no rate) and USD.
INSERT INTO billing.tariff (id, name, currency) VALUES (1, 'usd', 'USD'), (2, 'eur', 'EUR'), (3, 'gbp', 'GBP');
INSERT INTO billing.rate (id, tariff_id, prefix, destination, price) VALUES (1, 1, '44', 'UK', 1), (2, 2, '44', 'UK', 1), (3, 3, '44', 'UK', 1);
INSERT INTO billing.account (id, name, is_provider, currency) VALUES (1, 'Dollar', false, 'USD'), (2, 'Euro', false, 'EUR'), (3, 'Pound shop', false, 'GBP'),
	(5, 'Euro vendor', true, 'EUR'), (6, 'Krona vendor', true, 'SEK'), (7, 'Dollar vendor', true, 'USD'), (8, 'Dollar owner', false, 'USD');
INSERT INTO billing.account (id, name, parent_id, currency) VALUES (4, 'Euro booth', 3, 'EUR');
INSERT INTO billing.cdr (id, source, call_id, started_at, answered_at, billsec, callee, status, rated_at,
	customer_account_id, customer_rate_id, customer_amount, reseller_account_id, reseller_rate_id, reseller_amount, provider_account_id, provider_rate_id, provider_amount, provider_reason)
VALUES
	-- 2.20 USD, 1 EUR: before noon 2.00 - 1.00 EUR. The call began then, and was answered by another rate: 2.40 / 1.20.
	(1, 'f', 'mixed', '2026-03-10 11:00+00', NULL, 60, '44', 'rated', now(), 1, 1, 2.20, NULL, NULL, NULL, 5, 2, -1, NULL),
	(2, 'f', 'answered later', '2026-03-10 11:59:50+00', '2026-03-10 12:00+00', 60, '44', 'rated', now(), 1, 1, 2.40, NULL, NULL, NULL, 5, 2, -1, NULL),
	(3, 'f', 'one currency', '2026-03-11', NULL, 60, '44', 'rated', now(), 1, 1, 2.40, NULL, NULL, NULL, 7, 1, -1.20, NULL),
	(4, 'f', 'no rate', '2026-03-11', NULL, 60, '44', 'rated', now(), 2, 2, 3, NULL, NULL, NULL, 6, 2, -1, NULL),
	(5, 'f', 'no price', '2026-03-11', NULL, 60, '44', 'partial', now(), 1, 1, 2.40, NULL, NULL, NULL, 5, NULL, NULL, 'no_rate'),
	-- The booth pays 3 EUR, its callshop 2 GBP = 2.30 EUR, the vendor gets 1 EUR.
	(6, 'f', 'booth', '2026-03-11', NULL, 60, '44', 'rated', now(), 4, 2, 3, 3, 3, 2, 5, 2, -1, NULL),
	(7, 'f', 'euros', '2026-03-11', NULL, 60, '44', 'rated', now(), 2, 2, 3, NULL, NULL, NULL, 5, 2, -1, NULL),
	(8, 'f', 'on-net', '2026-03-31 23:00+00', '2026-04-01 00:00+00', 60, '44', 'rated', now(), 2, 2, 3, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	(9, 'f', 'free krona', '2026-03-11', NULL, 0, '44', 'rated', now(), 2, 2, 0, NULL, NULL, NULL, 6, 2, 0, NULL);
INSERT INTO billing.cdr (id, source, call_id, started_at, billsec, callee, status, rated_at, did_incoming_account_id, did_incoming_amount,
	did_owner_account_id, did_owner_amount, did_provider_account_id, did_provider_amount, did_reason)
VALUES
	-- 1.20 USD + 0.60 USD - 0.30 EUR = 1.00 + 0.50 - 0.30 EUR; then one without a price; then one in SEK.
	(20, 'f', 'did', '2026-03-12', 60, '900', 'rated', now(), 1, 1.20, 8, 0.60, 5, -0.30, NULL),
	(21, 'f', 'did partial', '2026-03-12', 60, '900', 'partial', now(), 1, 1.20, 8, NULL, 5, -0.30, 'no_rate'),
	(22, 'f', 'did krona', '2026-03-12', 60, '900', 'rated', now(), 2, 1, 8, 0.60, 6, -0.30, NULL);
CREATE FUNCTION pg_temp.margin(call bigint, OUT revenue numeric, OUT cost numeric, OUT did numeric, OUT operator numeric, OUT reseller numeric, OUT reason text) LANGUAGE sql AS
$$SELECT revenue, cost, did_amount, operator_margin, reseller_margin, reason FROM billing.margin_in('EUR') WHERE cdr_id = call$$;

SELECT results_eq('SELECT * FROM pg_temp.margin(1)', 'VALUES (2.00, 1.00, NULL::numeric, 1.00, NULL::numeric, NULL)', 'C28 P10: 2.20 / 1.10 - 1.00: dollars and euros in euros');
SELECT results_eq('SELECT * FROM pg_temp.margin(2)', 'VALUES (2.00, 1.00, NULL::numeric, 1.00, NULL::numeric, NULL)', 'reading 38: the exchange rate is that of the answer: 2.40 / 1.20');
SELECT results_eq('SELECT * FROM pg_temp.margin(3)', 'VALUES (2.00, 1.00, NULL::numeric, 1.00, NULL::numeric, NULL)', 'C28: both sides in dollars: 2.40 / 1.20 - 1.20 / 1.20');
SELECT results_eq('SELECT * FROM pg_temp.margin(4)', $$VALUES (3.00, NULL::numeric, NULL::numeric, NULL::numeric, NULL::numeric, 'no_exchange_rate')$$, 'C28: no exchange rate: a reason, and no error');
SELECT results_eq('SELECT * FROM pg_temp.margin(5)', 'VALUES (2.00, NULL::numeric, NULL::numeric, NULL::numeric, NULL::numeric, NULL)', 'P10: no price: null, and that is no matter of exchange rates');
SELECT results_eq('SELECT * FROM pg_temp.margin(6)', 'VALUES (2.30, 1.00, NULL::numeric, 1.30, 0.70, NULL)', 'C9 C28: 2 GBP x 1.15 - 1; the callshop earns 3.00 - 2.30');
SELECT results_eq('SELECT * FROM pg_temp.margin(7)', 'VALUES (3.00, 1.00, NULL::numeric, 2.00, NULL::numeric, NULL)', 'P10: what is in the currency stays as it is');
SELECT results_eq('SELECT * FROM pg_temp.margin(8)', 'VALUES (3.00, NULL::numeric, NULL::numeric, 3.00, NULL::numeric, NULL)', 'P10: no provider was expected');
SELECT results_eq('SELECT * FROM pg_temp.margin(9)', 'VALUES (0.00, 0.00, NULL::numeric, 0.00, NULL::numeric, NULL)', 'nothing is nothing in any currency');
SELECT results_eq('SELECT * FROM pg_temp.margin(20)', 'VALUES (NULL::numeric, NULL::numeric, 1.20, 1.20, NULL::numeric, NULL)', 'K13 C28: 1.00 + 0.50 - 0.30');
SELECT results_eq('SELECT * FROM pg_temp.margin(21)', 'VALUES (NULL::numeric, NULL::numeric, NULL::numeric, NULL::numeric, NULL::numeric, NULL)', 'K13 P10: null where one has no price');
SELECT results_eq('SELECT * FROM pg_temp.margin(22)', $$VALUES (NULL::numeric, NULL::numeric, NULL::numeric, NULL::numeric, NULL::numeric, 'no_exchange_rate')$$, 'K13 C28: and with a reason where one cannot be converted');
SELECT is((SELECT count(*) FROM billing.margin_in('EUR')), (SELECT count(*) FROM billing.margin), 'every call is there once');
SELECT results_eq($$SELECT cdr_id, revenue, cost, did_amount, operator_margin, reseller_margin FROM billing.margin_in('USD') WHERE cdr_id IN (3, 20) ORDER BY cdr_id$$,
	-- 0.30 EUR x 1.20 = 0.36
	$$VALUES (3::bigint, 2.40, 1.20, NULL::numeric, 1.20, NULL::numeric), (20, NULL, NULL, 1.44, 1.44, NULL)$$, 'C28: in dollars, 1.20 + 0.60 - 0.36');
SELECT is((SELECT array_agg(cdr_id ORDER BY cdr_id) FROM billing.margin_in('EUR', '2026-03-10 12:00+00', '2026-04-01')), '{2,3,4,5,6,7,9,20,21,22}', 'a period is one of rating instants, without its end');
-- An allowance takes 0.60 USD off the first call: (2.20 - 0.60) / 1.10 = 1.45454545.
INSERT INTO billing.credit (cdr_id, started_at, leg, kind, account_id, day, cost_center, destination, currency, amount, pool, cycle, seconds)
SELECT 1, '2026-03-10 11:00+00', 'customer', 'allowance', 1, '2026-03-10', '', 'UK', 'USD', 0.60, 1, '2026-03-01', 10;
SELECT results_eq('SELECT revenue, operator FROM pg_temp.margin(1)', 'VALUES (1.45454545, 0.45454545)', 'design 6: net of credits');
SELECT throws_ok($$SELECT * FROM billing.margin_in('Eur')$$, '22023', 'there is no currency "Eur"', 'an unknown currency');
SELECT throws_ok($$SELECT * FROM billing.margin_in(NULL)$$, '22023', 'there is no currency "null"', 'no currency');

-- Sums. March, Dollar to UK with Euro vendor: 1.45454545 - 1 and 2 - 1, and 2.00 without a cost.
SELECT results_eq($$SELECT calls, calls_with_both, revenue, cost, margin, margin_percent, calls_without_cost, revenue_without_cost, calls_without_exchange_rate
	FROM billing.margin_summary_in('EUR') WHERE month = '2026-03-01' AND destination = 'UK' AND customer_account_id = 1 AND provider_account_id = 5$$,
	-- 1.45454545 / 3.45454545 = 42.11 percent
	$$VALUES (3::bigint, 2::bigint, 3.45454545, 2.00, 1.45454545, 42.11, 1::bigint, 2.00, 0::bigint)$$, 'V2 C28: a month in one currency');
SELECT results_eq($$SELECT calls, calls_with_both, margin, revenue_without_cost, calls_without_exchange_rate FROM billing.margin_summary_in('EUR') WHERE customer_account_id = 2 AND provider_account_id = 6$$,
	$$VALUES (2::bigint, 1::bigint, 0.00, 3.00, 1::bigint)$$, 'C28: calls that cannot be converted are counted');
SELECT is((SELECT sum(reseller_margin) FROM billing.margin_summary_in('EUR')), 0.70, 'C9: what resellers earned');
SELECT is((SELECT sum(margin) FROM billing.margin_summary_in('EUR', '2026-03-01', '2026-04-01')),
	(SELECT sum(operator_margin) FROM billing.margin_in('EUR') WHERE cdr_id <> 8), 'the sums are those of the calls');
SELECT throws_ok($$SELECT * FROM billing.margin_summary_in('EEE')$$, '22023', 'there is no currency "EEE"', 'an unknown currency of sums');

-- usage_in(): the exchange rate of the beginning of the day. Dollar: 10 March 2.20 - 0.60 and 2.40 by 1.10, 11 March 2 x 2.40 by 1.20.
SELECT results_eq($$SELECT from_currency, calls, amount, credit, net, reason FROM billing.usage_in('EUR') WHERE account_id = 1 AND leg = 'customer'$$,
	-- 4.60 / 1.10 = 4.18181818, + 4.80 / 1.20 = 4.00; 0.60 / 1.10 = 0.54545455
	$$VALUES ('USD', 4::bigint, 8.18181818, 0.54545455, 7.63636363, NULL)$$, 'C28 P7: 4.60 / 1.10 + 4.80 / 1.20, less 0.60 / 1.10');
SELECT results_eq($$SELECT destination, amount, net, calls, reason FROM billing.usage_in('EUR') WHERE account_id = 5 AND leg = 'provider' ORDER BY 1$$,
	$$VALUES ('UK', -4.00, -4.00, 4::bigint, NULL), (NULL, 0.00, 0.00, 1, NULL)$$, 'P7: what is in the currency stays; a call without a price counts, and adds nothing');
SELECT results_eq($$SELECT calls, amount, net, reason FROM billing.usage_in('EUR') WHERE account_id = 6 AND leg = 'provider'$$,
	$$VALUES (2::bigint, NULL::numeric, NULL::numeric, 'no_exchange_rate')$$, 'C28: no exchange rate: a reason');
SELECT is((SELECT sum(calls) FROM billing.usage_in('EUR', '2026-03-11', '2026-03-12') WHERE account_id = 1), 2::numeric, 'days from starts until before ends');
-- The day of the exchange rate is the account's: 09:00 of 10 March UTC is 22:00 in Auckland, whose day began at 11:00 UTC of 9 March;
-- 13:00 UTC is 02:00 of the 11th, which began at 11:00 UTC, before noon.
INSERT INTO billing.account (id, name, currency, timezone) VALUES (9, 'Kiwi', 'USD', 'Pacific/Auckland');
INSERT INTO billing.cdr (id, source, call_id, started_at, billsec, callee, status, rated_at, customer_account_id, customer_rate_id, customer_amount) VALUES
	(30, 'f', 'kiwi', '2026-03-10 13:00+00', 60, '44', 'rated', now(), 9, 1, 1.10), (31, 'f', 'kiwi 2', '2026-03-11 11:00+00', 60, '44', 'rated', now(), 9, 1, 1.20);
SELECT results_eq($$SELECT calls, amount FROM billing.usage_in('EUR') WHERE account_id = 9$$, $$VALUES (2::bigint, 2.00)$$,
	'C28: 1.10 / 1.10 + 1.20 / 1.20, by the beginning of the day in the account''s time zone');
SELECT is(billing._day_start(d, z), w, 'reading 16: where a day begins: ' || z || ' ' || d) FROM (VALUES
	('2026-03-29'::date, 'Europe/Berlin', '2026-03-28 23:00+00'::timestamptz), ('2026-03-30', 'Europe/Berlin', '2026-03-29 22:00+00'),
	-- clocks go back from 01:00 to 00:00; and forward from 00:00 to 01:00; and back from 24:00 to 23:00 of the day before
	('2025-11-02', 'America/Havana', '2025-11-02 04:00+00'), ('2018-11-04', 'America/Sao_Paulo', '2018-11-04 03:00+00'), ('2018-02-18', 'America/Sao_Paulo', '2018-02-18 03:00+00'),
	('-infinity', 'UTC', '-infinity'), ('4714-11-24 BC', 'Asia/Tokyo', '4714-11-24 00:00+00 BC'), (NULL, 'UTC', NULL)) v(d, z, w);
SELECT results_eq($$SELECT account_id, leg, month, cost_center, destination, from_currency, calls, answered, seconds, billed_seconds FROM billing.usage_in('JPY') ORDER BY 1, 2, 3, 4, 5$$,
	$$SELECT account_id, leg, month, cost_center, destination, currency, calls, answered, seconds, billed_seconds FROM billing.usage_by_month ORDER BY 1, 2, 3, 4, 5$$,
	'P7: the rows are those of usage_by_month');
SELECT throws_ok($$SELECT * FROM billing.usage_in('')$$, '22023', 'there is no currency ""', 'an unknown currency of usage');

SELECT * FROM finish();
ROLLBACK;
