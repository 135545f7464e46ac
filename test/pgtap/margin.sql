-- billing.margin and its sums (P10, V2, V7, C9, K13, design 4).
-- The calls arrive rated (rated_at is set), so nothing here depends on how they are rated.
BEGIN;
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS billing CASCADE;
SELECT billing.create_ledger();
SELECT plan(32);

INSERT INTO billing.tariff (id, name, currency) VALUES (101, 'retail', 'USD'), (102, 'wholesale', 'USD'), (103, 'vendor', 'USD'), (104, 'anyone', 'GBP');
INSERT INTO billing.rate (id, tariff_id, prefix, destination, price) VALUES
	(201, 101, '44', 'UK', 1), (202, 102, '44', 'UK wholesale', 1), (203, 103, '44', 'UK vendor', 1), (204, 104, '44', 'UK', 1), (205, 101, '49', 'Germany', 1), (206, 103, '49', 'Germany vendor', 1);
INSERT INTO billing.account (id, name, is_provider, currency) VALUES
	(2, 'Callshop', false, 'USD'), (3, 'Vendor', true, 'USD'), (4, 'Owner', false, 'USD'), (5, 'Euro vendor', true, 'EUR'), (6, 'Customer', false, 'USD'), (7, 'Euro callshop', false, 'EUR');
INSERT INTO billing.account (id, name, parent_id, currency) VALUES (1, 'Booth', 2, 'USD'), (8, 'Booth of Euro callshop', 7, 'USD');

INSERT INTO billing.cdr (id, source, call_id, started_at, answered_at, billsec, callee, rerouted, status, rated_at,
	customer_account_id, customer_rate_id, customer_amount, customer_reason, reseller_account_id, reseller_rate_id, reseller_amount,
	provider_account_id, provider_rate_id, provider_amount, provider_reason)
VALUES
	-- Design 4: booth 1.00, callshop 0.60, vendor -0.40.
	(1, 'f', 'booth', '2026-03-01', NULL, 60, '44', NULL, 'rated', now(), 1, 201, 1.00, NULL, 2, 202, 0.60, 3, 203, -0.40, NULL),
	-- A customer of the operator: 1.00 - 0.40; and one that loses: 0.30 - 0.40.
	(2, 'f', 'direct', '2026-03-02', NULL, 60, '44', NULL, 'rated', now(), 6, 201, 1.00, NULL, NULL, NULL, NULL, 3, 203, -0.40, NULL),
	(3, 'f', 'loss', '2026-03-03', NULL, 60, '49', NULL, 'rated', now(), 6, 205, 0.30, NULL, NULL, NULL, NULL, 3, 206, -0.40, NULL),
	-- One side has no price: the provider's, the customer's, the reseller's.
	(4, 'f', 'no cost', '2026-03-04', NULL, 60, '44', NULL, 'partial', now(), 6, 201, 2.00, NULL, NULL, NULL, NULL, 3, NULL, NULL, 'no_rate'),
	(5, 'f', 'no revenue', '2026-03-05', NULL, 60, '44', NULL, 'partial', now(), 6, NULL, NULL, 'no_rate', NULL, NULL, NULL, 3, 203, -0.50, NULL),
	(6, 'f', 'no reseller', '2026-03-06', NULL, 60, '44', NULL, 'partial', now(), 1, 201, 1.00, 'no_rate', 2, NULL, NULL, 3, 203, -0.40, NULL),
	(7, 'f', 'neither', '2026-03-07', NULL, 60, '44', NULL, 'unrated', now(), 6, NULL, NULL, 'no_rate', NULL, NULL, NULL, 3, NULL, NULL, 'no_rate'),
	-- No provider was expected; no customer was (V7); an attempt that went on by another route.
	(8, 'f', 'on-net', '2026-03-08', NULL, 60, '44', NULL, 'rated', now(), 6, 201, 0.25, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	(9, 'f', 'operator only', '2026-03-09', NULL, 60, '44', NULL, 'rated', now(), NULL, NULL, NULL, NULL, NULL, NULL, NULL, 3, 203, -0.40, NULL),
	(10, 'f', 'rerouted', '2026-03-10', NULL, 0, '44', true, 'rated', now(), NULL, NULL, NULL, NULL, NULL, NULL, NULL, 3, 203, -0.01, NULL),
	-- Two currencies: on both sides, and between the booth and its callshop.
	(11, 'f', 'usd eur', '2026-03-11', NULL, 60, '44', NULL, 'rated', now(), 6, 201, 1.00, NULL, NULL, NULL, NULL, 5, 203, -0.40, NULL),
	(12, 'f', 'booth usd, callshop eur', '2026-03-12', NULL, 60, '44', NULL, 'rated', now(), 8, 201, 1.00, NULL, 7, 202, 0.60, 5, 203, -0.40, NULL),
	-- Nobody's call: the default tariff's currency; unanswered and unpriced, its zero adds to any money.
	(13, 'f', 'nobody', '2026-03-13', NULL, 60, '44', NULL, 'rated', now(), NULL, 204, 1.00, 'no_account', NULL, NULL, NULL, 3, 203, -0.40, NULL),
	(14, 'f', 'nobody unanswered', '2026-03-14', NULL, 0, '44', NULL, 'rated', now(), NULL, NULL, 0, 'no_account', NULL, NULL, NULL, 3, 203, -0.02, NULL),
	-- Zero is a price.
	(15, 'f', 'free', '2026-03-15', NULL, 60, '44', NULL, 'rated', now(), 6, 201, 0, NULL, NULL, NULL, NULL, 3, 203, 0, NULL),
	-- The month is that of the answer, in UTC; a duration that cannot be read breaks nothing.
	(16, 'f', 'over the month', '2026-03-31 23:59:50+00', '2026-04-01 00:00:00+00', 60, '44', NULL, 'rated', now(), 6, 201, 1.00, NULL, NULL, NULL, NULL, 3, 203, -0.40, NULL),
	(17, 'f', 'invalid', '-infinity', 'infinity', 'NaN', '44', NULL, 'invalid', now(), NULL, NULL, NULL, 'no_start', NULL, NULL, NULL, NULL, NULL, NULL, 'no_start'),
	(18, 'f', 'odd', '2026-03-16', 'infinity', 'NaN', '44', NULL, 'rated', now(), 6, 201, 1, NULL, NULL, NULL, NULL, 3, 203, -1, NULL);
-- DID legs: 0.10 from the caller, 0.05 from the owner, -0.02 to the provider; and one without its price.
INSERT INTO billing.cdr (id, source, call_id, started_at, billsec, callee, status, rated_at, did_incoming_account_id, did_incoming_amount,
	did_owner_account_id, did_owner_amount, did_provider_account_id, did_provider_amount, did_reason)
VALUES (20, 'f', 'did', '2026-05-01', 60, '900', 'rated', now(), 6, 0.10, 4, 0.05, 3, -0.02, NULL),
	(21, 'f', 'did partial', '2026-05-01', 60, '900', 'partial', now(), 6, 0.10, 4, NULL, 3, -0.02, 'no_rate'),
	(22, 'f', 'did currencies', '2026-05-01', 60, '900', 'rated', now(), 6, 0.10, 4, 0.05, 5, -0.02, NULL);

CREATE FUNCTION pg_temp.margin(call text, OUT revenue numeric, OUT cost numeric, OUT operator numeric, OUT reseller numeric, OUT currency text) LANGUAGE sql AS
$$SELECT revenue, cost, operator_margin, reseller_margin, currency FROM billing.margin WHERE call = (SELECT c.call_id FROM billing.cdr c WHERE c.id = cdr_id)$$;

SELECT results_eq($$SELECT * FROM pg_temp.margin('booth')$$, $$VALUES (0.60, 0.40, 0.20, 0.40, 'USD')$$,
	'C9 design 4: booth 1.00, callshop 0.60, vendor -0.40: the operator earns 0.20, the callshop 0.40');
SELECT results_eq($$SELECT * FROM pg_temp.margin('direct')$$, $$VALUES (1.00, 0.40, 0.60, NULL::numeric, 'USD')$$, 'P10: 1.00 - 0.40 = 0.60, and there is no reseller');
SELECT results_eq($$SELECT * FROM pg_temp.margin('loss')$$, $$VALUES (0.30, 0.40, -0.10, NULL::numeric, 'USD')$$, 'V2: 0.30 - 0.40 is a loss of 0.10');
SELECT results_eq($$SELECT * FROM pg_temp.margin('no cost')$$, $$VALUES (2.00, NULL::numeric, NULL::numeric, NULL::numeric, 'USD')$$, 'P10: null, not 0 and not 2.00, where the provider''s side has no price');
SELECT results_eq($$SELECT * FROM pg_temp.margin('no revenue')$$, $$VALUES (NULL::numeric, 0.50, NULL::numeric, NULL::numeric, 'USD')$$, 'P10: null where the customer''s side has no price');
SELECT results_eq($$SELECT * FROM pg_temp.margin('no reseller')$$, $$VALUES (NULL::numeric, 0.40, NULL::numeric, NULL::numeric, 'USD')$$, 'P10: the customer''s amount does not stand in for a reseller without a price');
SELECT results_eq($$SELECT * FROM pg_temp.margin('neither')$$, $$VALUES (NULL::numeric, NULL::numeric, NULL::numeric, NULL::numeric, NULL::text)$$, 'P10: null where neither has one');
SELECT results_eq($$SELECT * FROM pg_temp.margin('on-net')$$, $$VALUES (0.25, NULL::numeric, 0.25, NULL::numeric, 'USD')$$, 'a rated call of which no provider was expected earns its revenue');
SELECT results_eq($$SELECT * FROM pg_temp.margin('operator only')$$, $$VALUES (NULL::numeric, 0.40, NULL::numeric, NULL::numeric, 'USD')$$, 'V7 P10: a cost without a customer''s price is no margin');
SELECT results_eq($$SELECT * FROM pg_temp.margin('rerouted')$$, $$VALUES (NULL::numeric, 0.01, -0.01, NULL::numeric, 'USD')$$, 'a rerouted attempt costs what its provider charges');
SELECT results_eq($$SELECT * FROM pg_temp.margin('usd eur')$$, $$VALUES (1.00, 0.40, NULL::numeric, NULL::numeric, NULL::text)$$, 'C28: dollars and euros are not added');
SELECT results_eq($$SELECT revenue_currency, cost_currency FROM billing.margin WHERE cdr_id = 11$$, $$VALUES ('USD', 'EUR')$$, 'C28: each keeps its currency');
SELECT results_eq($$SELECT * FROM pg_temp.margin('booth usd, callshop eur')$$, $$VALUES (0.60, 0.40, 0.20, NULL::numeric, 'EUR')$$, 'C28: the operator''s euros add up, the callshop''s dollars and euros do not');
SELECT results_eq($$SELECT * FROM pg_temp.margin('nobody')$$, $$VALUES (1.00, 0.40, NULL::numeric, NULL::numeric, NULL::text)$$, 'V13: nobody''s call is revenue in the default tariff''s currency');
SELECT results_eq($$SELECT * FROM pg_temp.margin('nobody unanswered')$$, $$VALUES (0.00, 0.02, -0.02, NULL::numeric, 'USD')$$, 'a zero of no currency adds to any money');
SELECT results_eq($$SELECT * FROM pg_temp.margin('free')$$, $$VALUES (0.00, 0.00, 0.00, NULL::numeric, 'USD')$$, 'a price of 0 is a margin of 0');
SELECT is((SELECT count(*) FROM billing.margin WHERE cdr_id = 17), 0::bigint, 'a row that cannot be read has no margin');
SELECT is((SELECT count(*) FROM billing.margin), (SELECT count(*) FROM billing.cdr WHERE status <> 'invalid'), 'every other call is there once');
SELECT results_eq($$SELECT destination FROM billing.margin WHERE cdr_id IN (1, 5, 7) ORDER BY cdr_id$$, $$VALUES ('UK'), ('UK vendor'), (NULL)$$,
	'the destination is the customer''s rate''s, else the provider''s');
SELECT results_eq($$SELECT did_amount, operator_margin, currency FROM billing.margin WHERE cdr_id >= 20 ORDER BY cdr_id$$,
	$$VALUES (0.13, 0.13, 'USD'), (NULL, NULL, 'USD'), (NULL, NULL, NULL)$$,
	'K13: the DID legs of 0.10 + 0.05 - 0.02 earn 0.13; null where one has no price or another currency');

-- Customer 6 with vendor 3 to the UK in March: direct 1.00 - 0.40 and free 0 - 0 have both; no cost 2.00 stands apart.
SELECT results_eq($$SELECT calls, calls_with_both, revenue, cost, margin, margin_percent, calls_without_cost, revenue_without_cost, calls_without_revenue, cost_without_revenue
	FROM billing.margin_summary WHERE month = '2026-03-01' AND destination = 'UK' AND customer_account_id = 6 AND provider_account_id = 3$$,
	$$VALUES (3::bigint, 2::bigint, 1.00, 0.40, 0.60, 60.00, 1::bigint, 2.00, 0::bigint, NULL::numeric)$$,
	'V2: margin = revenue - cost of calls with both; revenue without cost stands apart');
SELECT results_eq($$SELECT calls, calls_with_both, revenue, margin, calls_without_revenue, cost_without_revenue
	FROM billing.margin_summary WHERE month = '2026-03-01' AND destination = 'UK vendor' AND customer_account_id = 6$$,
	$$VALUES (1::bigint, 0::bigint, NULL::numeric, NULL::numeric, 1::bigint, 0.50)$$,
	'P10: cost without revenue stands apart, and no margin is invented');
SELECT results_eq($$SELECT currency, revenue_currency, cost_currency, calls, margin, revenue_without_cost, cost_without_revenue
	FROM billing.margin_summary WHERE month = '2026-03-01' AND provider_account_id = 5 AND customer_account_id = 6$$,
	$$VALUES (NULL::text, 'USD', 'EUR', 1::bigint, NULL::numeric, 1.00, 0.40)$$,
	'C28: calls in two currencies have a line of their own, each sum in its currency');
SELECT results_eq($$SELECT reseller_margin FROM billing.margin_summary WHERE destination = 'UK' AND customer_account_id = 1$$,
	$$VALUES (0.40)$$, 'C9: the callshop''s margin is summed too');
SELECT results_eq($$SELECT calls, margin FROM billing.margin_summary WHERE month = '2026-04-01'$$,
	$$VALUES (1::bigint, 0.60)$$, 'a call belongs to the month of its answer, in UTC');
SELECT results_eq($$SELECT calls, margin FROM billing.margin_summary WHERE month IS NULL$$,
	$$VALUES (1::bigint, 0.00)$$, 'a call at the end of time has no month and breaks nothing');
SELECT is((SELECT sum(margin) FROM billing.margin_summary WHERE currency = 'USD'), (SELECT sum(operator_margin) FROM billing.margin WHERE currency = 'USD'),
	'the sums are those of the calls');
-- March in dollars: UK has booth 0.20, direct 0.60, free 0, on-net 0.25 = 1.05; Germany loses 0.10.
SELECT results_eq($$SELECT destination, margin FROM billing.margin_by_destination WHERE month = '2026-03-01' AND currency = 'USD' AND margin IS NOT NULL AND destination IN ('UK', 'Germany')$$,
	$$VALUES ('Germany', -0.10), ('UK', 1.05)$$, 'V2 V27: margin by destination, the loss-making ones first');
SELECT results_eq($$SELECT calls, calls_with_both, revenue, cost, margin_percent, calls_without_cost, revenue_without_cost FROM billing.margin_by_destination
	WHERE month = '2026-03-01' AND currency = 'USD' AND destination = 'UK'$$,
	-- booth, direct, no cost, no reseller, on-net, free; revenue 0.60 + 1.00 + 0.25 + 0, cost 0.40 + 0.40 + 0 + 0; 105 / 1.85 = 56.76
	$$VALUES (6::bigint, 4::bigint, 1.85, 0.80, 56.76, 1::bigint, 2.00)$$, 'with the same columns as the summary');

-- Credits of every leg. Booth 1.00 - 0.30, callshop 0.60 - 0.10, vendor -0.40 + 0.05: the operator earns 0.50 - 0.35, the callshop 0.70 - 0.50.
INSERT INTO billing.credit (cdr_id, started_at, leg, kind, pool, allowance, amount, account_id, day)
SELECT c.id, c.started_at, v.leg, 'allowance', 'by hand', 'x', v.amount, v.account_id, '2026-03-01'
FROM billing.cdr c, LATERAL (VALUES ('customer', 0.30, c.customer_account_id), ('reseller', 0.10, c.reseller_account_id), ('provider', -0.05, c.provider_account_id)) v(leg, amount, account_id) WHERE c.id = 1;
SELECT results_eq('SELECT revenue, cost, operator_margin, reseller_margin, revenue_credit, cost_credit FROM billing.margin WHERE cdr_id = 1', 'VALUES (0.50, 0.35, 0.15, 0.20, 0.10, 0.05)',
	'design 6: margins are of what is owed after all');
SELECT results_eq('SELECT leg, amount, credit, net FROM billing.charge WHERE cdr_id = 1 ORDER BY amount', 'VALUES (''provider'', -0.40, -0.05, -0.35), (''reseller'', 0.60, 0.10, 0.50), (''customer'', 1.00, 0.30, 0.70)',
	'design 6: gross, credit and net of each leg');
SELECT results_eq('SELECT owed, credit, net FROM billing.provider_reconciliation r JOIN billing.cdr c ON c.provider_account_id = r.provider_id WHERE c.id = 1 AND r.credit <> 0',
	'SELECT sum(-amount), 0.05, sum(-amount) - 0.05 FROM billing.charge h JOIN billing.cdr c ON c.provider_account_id = h.account_id WHERE c.id = 1 AND h.leg = ''provider'' AND h.destination IN (SELECT destination FROM billing.charge WHERE cdr_id = 1 AND leg = ''provider'') AND billing._month(h.instant, ''UTC'') = ''2026-03-01''',
	'design 6: owed, credit and net of a provider');

SELECT * FROM finish();
ROLLBACK;
