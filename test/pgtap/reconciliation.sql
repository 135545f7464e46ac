-- billing.provider_reconciliation and billing.customer_summary: the month's end (P6, P7, P8).
-- The calls arrive rated (rated_at is set), so nothing here depends on how they are rated.
BEGIN;
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS billing CASCADE;
SELECT billing.create_ledger();
SELECT plan(16);

INSERT INTO billing.tariff (id, name, currency) VALUES (101, 'retail', 'USD'), (103, 'vitelity', 'USD'), (104, 'anyone', 'GBP');
INSERT INTO billing.rate (id, tariff_id, prefix, destination, price) VALUES
	(201, 101, '44', 'UK', 1), (203, 103, '44', 'UK', 1), (204, 103, '49', 'Germany', 1), (205, 104, '44', 'UK', 1);
INSERT INTO billing.account (id, name, is_provider, currency, timezone) VALUES
	(2, 'Callshop', false, 'USD', 'UTC'), (3, 'Vitelity', true, 'USD', 'America/New_York'), (5, 'Vodafone', true, 'EUR', 'Asia/Tokyo'), (6, 'Customer', false, 'USD', 'Europe/Paris');
INSERT INTO billing.account (id, name, parent_id, currency, timezone) VALUES (1, 'Booth', 2, 'USD', 'UTC');

INSERT INTO billing.cdr (id, source, call_id, started_at, answered_at, billsec, disposition, callee, status, rated_at,
	customer_account_id, customer_rate_id, customer_billsec, customer_amount, customer_reason, reseller_account_id, reseller_billsec, reseller_amount,
	provider_account_id, provider_rate_id, provider_billsec, provider_amount, provider_reason)
VALUES
	-- P8: 61 s, 120 s to the customer at 60/60, 66 s by the provider at 6/6.
	(1, 'v', '1', '2026-03-10 10:00:00+00', '2026-03-10 10:00:05+00', 61, 'ANSWERED', '44', 'rated', now(), 6, 201, 120, 1.20, NULL, NULL, NULL, NULL, 3, 203, 66, -0.66, NULL),
	(2, 'v', '2', '2026-03-10 11:00:00+00', NULL, 30.5, 'answered', '44', 'rated', now(), 6, 201, 60, 0.60, NULL, NULL, NULL, NULL, 3, 203, 36, -0.36, NULL),
	-- Nobody answered: counted, nothing owed.
	(3, 'v', '3', '2026-03-10 12:00:00+00', NULL, 0, 'NO ANSWER', '44', 'rated', now(), 6, 201, 0, 0, NULL, NULL, NULL, NULL, 3, 203, 0, 0, NULL),
	-- Another destination; and one that the list does not price.
	(4, 'v', '4', '2026-03-10 13:00:00+00', NULL, 60, NULL, '49', 'rated', now(), 6, 201, 60, 0.60, NULL, NULL, NULL, NULL, 3, 204, 60, -0.25, NULL),
	(5, 'v', '5', '2026-03-10 14:00:00+00', NULL, 90, NULL, '88', 'unrated', now(), 6, NULL, NULL, NULL, 'no_rate', NULL, NULL, NULL, 3, NULL, NULL, NULL, 'no_rate'),
	-- 02:00 UTC of 1 April is still March in New York, and April in Paris.
	(6, 'v', '6', '2026-04-01 02:00:00+00', NULL, 60, NULL, '44', 'rated', now(), 6, 201, 60, 1.00, NULL, NULL, NULL, NULL, 3, 203, 60, -0.10, NULL),
	-- Started on 31 March in New York, answered on 1 April: the answer counts.
	(7, 'v', '7', '2026-04-01 03:59:58+00', '2026-04-01 04:00:00+00', 60, NULL, '44', 'rated', now(), 6, 201, 60, 1.00, NULL, NULL, NULL, NULL, 3, 203, 60, -0.10, NULL),
	-- 16:00 UTC of 28 February is March in Tokyo; Vodafone is owed euros, and pays for one call.
	(8, 'w', '8', '2026-02-28 16:00:00+00', NULL, 60, NULL, '44', 'rated', now(), 6, 201, 60, 1.00, NULL, NULL, NULL, NULL, 5, NULL, 60, -0.50, NULL),
	(9, 'w', '9', '2026-03-28 10:00:00+00', NULL, 60, NULL, '44', 'rated', now(), 6, 201, 60, 1.00, NULL, NULL, NULL, NULL, 5, NULL, 60, 0.70, NULL),
	-- A booth: its own amount, and the callshop's.
	(10, 'w', '10', '2026-03-15 10:00:00+00', NULL, 60, NULL, '44', 'partial', now(), 1, 201, 60, 1.00, NULL, 2, 60, 0.60, NULL, NULL, NULL, NULL, 'no_account'),
	-- Nobody's call on the default tariff.
	(11, 'w', '11', '2026-03-15 10:00:00+00', NULL, 60, NULL, '44', 'rated', now(), NULL, 205, 60, 0.90, 'no_account', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	-- Times that cannot be read, with charges as a restore may bring them, and without.
	(12, 'x', '12', '2026-05-05', NULL, 'NaN', NULL, '44', 'rated', now(), 6, 201, 60, 1.00, NULL, NULL, NULL, NULL, 3, 203, 60, -0.10, NULL),
	(13, 'x', '13', '-infinity', 'infinity', NULL, NULL, '44', 'rated', now(), 6, 201, 60, 1.00, NULL, NULL, NULL, NULL, 3, 203, 60, -0.10, NULL),
	(14, 'x', '14', '294276-12-31', '4713-01-01 BC', 5, NULL, '44', 'rated', now(), 6, 201, 60, 1.00, NULL, NULL, NULL, NULL, 3, 203, 60, -0.10, NULL),
	(15, 'x', '15', '-infinity', NULL, 'NaN', NULL, '44', 'invalid', now(), NULL, NULL, NULL, NULL, 'no_start', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'no_start');
INSERT INTO billing.cdr (id, source, call_id, started_at, billsec, callee, status, rated_at, did_provider_account_id, did_provider_billsec, did_provider_amount)
VALUES (20, 'v', '20', '2026-03-20', 60, '900', 'rated', now(), 3, 60, 0.05);

-- March of Vitelity to the UK: calls 1, 2, 3 and 6; 61 + 30.5 + 0 + 60 s; 66 + 36 + 0 + 60 billed; 0.66 + 0.36 + 0 + 0.10.
SELECT results_eq($$SELECT provider, calls, answered, seconds, billed_seconds, owed, currency, unpriced_calls FROM billing.provider_reconciliation
	WHERE provider_id = 3 AND month = '2026-03-01' AND leg = 'provider' AND destination = 'UK'$$,
	$$VALUES ('Vitelity', 4::bigint, 3::bigint, 151.5, 162::bigint, 1.12, 'USD', 0::bigint)$$,
	'P7 P8: calls, answered calls, seconds, billed seconds and what is owed, by the provider''s month');
SELECT results_eq($$SELECT destination, calls, owed, unpriced_calls FROM billing.provider_reconciliation WHERE provider_id = 3 AND month = '2026-03-01' AND leg = 'provider' ORDER BY destination$$,
	$$VALUES ('Germany', 1::bigint, 0.25, 0::bigint), ('UK', 4, 1.12, 0), (NULL, 1, NULL, 1)$$,
	'P7: by destination; a call without a price is counted and owes nothing that is known');
SELECT results_eq($$SELECT calls, owed FROM billing.provider_reconciliation WHERE provider_id = 3 AND month = '2026-04-01'$$,
	$$VALUES (1::bigint, 0.10)$$, 'P7: a call belongs to the month of its answer on the provider''s clock');
SELECT results_eq($$SELECT month, calls, owed, currency FROM billing.provider_reconciliation WHERE provider_id = 5$$,
	$$VALUES ('2026-03-01'::date, 2::bigint, -0.20, 'EUR')$$, 'P7: 0.50 owed less 0.70 that the provider owes us is -0.20, in the provider''s currency and month');
SELECT results_eq($$SELECT calls, seconds, owed FROM billing.provider_reconciliation WHERE leg = 'did_provider'$$,
	$$VALUES (1::bigint, 60::numeric, -0.05)$$, 'K11: what a provider owes for calls to its DIDs stands on a line of its own');
SELECT results_eq($$SELECT calls, seconds, owed FROM billing.provider_reconciliation WHERE month = '2026-05-01'$$,
	$$VALUES (1::bigint, 0::numeric, 0.10)$$, 'a NaN duration spoils no sum');
SELECT results_eq($$SELECT calls, seconds, owed FROM billing.provider_reconciliation WHERE month IS NULL$$,
	$$VALUES (2::bigint, 5::numeric, 0.20)$$, 'calls at the ends of time have no month and break nothing');
SELECT is((SELECT sum(calls) FROM billing.provider_reconciliation), (SELECT count(provider_account_id) + count(did_provider_account_id) FROM billing.cdr)::numeric, 'every call of every provider is counted once');
SELECT is((SELECT sum(owed) FROM billing.provider_reconciliation WHERE currency = 'USD' AND leg = 'provider'), (SELECT -sum(provider_amount) FROM billing.cdr WHERE provider_account_id = 3), 'and its money is the money of the calls');

-- Customer 6 in Paris: February has call 8 (17:00 of the 28th), March calls 1 to 5 and 9, April 6 and 7.
SELECT results_eq($$SELECT month, calls, answered, seconds, billed_seconds, amount, unpriced_calls, currency FROM billing.customer_summary WHERE account_id = 6 AND month < '2026-05-01' ORDER BY month$$,
	$$VALUES ('2026-02-01'::date, 1::bigint, 1::bigint, 60::numeric, 60::bigint, 1.00, 0::bigint, 'USD'),
		('2026-03-01', 6, 5, 61 + 30.5 + 0 + 60 + 90 + 60, 120 + 60 + 0 + 60 + 60, 1.20 + 0.60 + 0 + 0.60 + 1.00, 1, 'USD'),
		('2026-04-01', 2, 2, 120, 120, 2.00, 0, 'USD')$$,
	'P6 P8: the customer''s month, by its own clock and its own increments');
SELECT results_eq($$SELECT account, leg, amount FROM billing.customer_summary WHERE account_id IN (1, 2) ORDER BY account_id$$,
	$$VALUES ('Booth', 'customer', 1.00), ('Callshop', 'reseller', 0.60)$$, 'C9: the booth owes the callshop, the callshop owes the operator');
SELECT results_eq($$SELECT account, month, currency, calls, amount FROM billing.customer_summary WHERE account_id IS NULL$$,
	$$VALUES (NULL, '2026-03-01'::date, 'GBP', 1::bigint, 0.90)$$, 'V13: nobody''s calls are summed in the default tariff''s currency');
SELECT results_eq($$SELECT calls, seconds, amount FROM billing.customer_summary WHERE account_id = 6 AND (month IS NULL OR month = '2026-05-01') ORDER BY month$$,
	$$VALUES (1::bigint, 0::numeric, 1.00), (2, 5, 2.00)$$, 'times that cannot be read break nothing');
SELECT is((SELECT sum(amount) FROM billing.customer_summary WHERE leg = 'customer'), (SELECT sum(customer_amount) FROM billing.cdr), 'the customers'' money is the money of the calls');
SELECT is((SELECT count(*) FROM billing.customer_summary WHERE account_id IN (3, 5)), 0::bigint, 'P11: a provider''s legs are not on a customer''s summary');
UPDATE billing.account SET name = 'Vitelity Inc.' WHERE id = 3;
SELECT is((SELECT count(*) FROM billing.provider_reconciliation WHERE provider = 'Vitelity'), 0::bigint, 'the name is that of today');

SELECT * FROM finish();
ROLLBACK;
