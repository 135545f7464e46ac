-- DIDs in the views: did_reconciliation, did_inventory, and charge, margin and summaries net of session fees
-- (K1, K4, K12, K13, D4, D14, P10, design 6).
BEGIN;
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS billing CASCADE;
SELECT billing.create_ledger();
SELECT no_plan();

INSERT INTO billing.calendar (id, name, timezone, is_default) VALUES (1, 'UTC', 'UTC', true);
INSERT INTO billing.calendar_band (calendar_id, band, starts, ends) VALUES (1, 'peak', '08:00', '20:00');
INSERT INTO billing.account (id, name, currency, is_provider) VALUES (1, 'dialler', 'EUR', false), (2, 'owner', 'EUR', false), (3, 'provider', 'EUR', true), (4, 'US owner', 'USD', false);
INSERT INTO billing.service (id, account_id, kind, identifier, tenant, provider_id, active, out_payment, cost_center) VALUES
	(20, NULL, 'did', '370520001', '', 3, '(,2026-01-01)', 0, NULL), (21, 2, 'did', '370520001', '', 3, '[2026-01-01,)', 0.01, 'Vilnius'),
	(22, NULL, 'did', '370520002', '', 3, '(,)', 0, NULL), (23, 2, 'did', '370520003', '', NULL, '(,2026-02-01)', 0, NULL),
	(24, 2, 'did', '370520004', '', NULL, '[2100-01-01,)', 0, NULL), (25, 4, 'did', '370520001', 'b', 3, '(,)', 0, NULL);
INSERT INTO billing.service (account_id, kind, identifier) VALUES (1, 'ani', '37060000001');
INSERT INTO billing.service (account_id, side, kind, identifier) VALUES (3, 'provider', 'trunk', 'in');
INSERT INTO billing.did_rate (leg, number, tenant, day_type, band, valid_from, currency, price, connect_fee) VALUES
	('did_incoming', '370520001', '', 'any', NULL, '-infinity', 'EUR', 0.10, 1), ('did_provider', '370520001', '', 'any', NULL, '-infinity', 'EUR', -0.02, 0),
	('did_owner', '370520001', '', 'any', NULL, '-infinity', 'EUR', 0.05, 0), ('did_owner', '370520001', '', 'free', NULL, '-infinity', 'EUR', 0.03, 0),
	('did_owner', '370520001', '', 'work', 'peak', '2100-01-01', 'EUR', 0.09, 0), ('did_owner', '370520001', '', 'work', NULL, '2100-01-01', 'EUR', 0.08, 0),
	('did_provider', '370520002', '', 'any', NULL, '-infinity', 'EUR', -0.03, 0), ('did_provider', '370520002', '', 'any', NULL, '2020-01-01', 'EUR', -0.04, 0),
	('did_provider', '370520003', '', 'work', 'peak', '-infinity', 'EUR', 1, 0),
	('did_owner', '370520001', 'b', 'any', NULL, '-infinity', 'USD', 0.50, 0), ('did_provider', '370520001', 'b', 'any', NULL, '-infinity', 'EUR', -0.20, 0);

SELECT results_eq('SELECT tenant, number, state, since, owner, provider, out_payment, cost_center FROM billing.did_inventory ORDER BY number, tenant',
	$$VALUES ('', '370520001', 'assigned', '2026-01-01 00:00+00'::timestamptz, 'owner', 'provider', 0.01, 'Vilnius'), ('b', '370520001', 'assigned', NULL, 'US owner', 'provider', 0, NULL),
		('', '370520002', 'stock', NULL, NULL, 'provider', 0, NULL), ('', '370520003', 'ended', '2026-02-01', NULL, NULL, NULL, NULL), ('', '370520004', 'future', NULL, NULL, NULL, NULL, NULL)$$,
	'D4: each DID once: in stock or with whom, since when, from whom');
SELECT results_eq('SELECT number, incoming_work, incoming_free, owner_work, owner_free, provider_work, provider_free, incoming_currency, owner_currency, has_bands FROM billing.did_inventory ORDER BY number, tenant',
	$$VALUES ('370520001', 0.10, 0.10, 0.05, 0.03, -0.02, -0.02, 'EUR', 'EUR', false), ('370520001', NULL, NULL, 0.50, 0.50, -0.20, -0.20, NULL, 'USD', false),
		('370520002', NULL, NULL, NULL, NULL, -0.04, -0.04, NULL, NULL, false), ('370520003', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, true), ('370520004', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, false)$$,
	'K12: at the prices in force now, on work days and free days');

-- Two calls of a session on a Wednesday, one unanswered on a Saturday; one from an unknown number; one of tenant b.
INSERT INTO billing.cdr (call_id, session_id, started_at, billsec, callee, caller, src_trunk, tenant) VALUES
	('1', 's', '2026-10-07 10:00', 60, '370520001', '37060000001', 'in', NULL), ('2', 's', '2026-10-07 10:05', 120, '370520001', '37060000001', 'in', NULL),
	('3', NULL, '2026-10-31 23:00', 0, '370520001', '37060000001', 'in', NULL), ('4', NULL, '2026-11-01 10:00', 60, '370520001', '37069999999', 'in', NULL),
	('5', NULL, '2026-10-08 10:00', 60, '370520001', '37069999999', 'in', 'b'), ('6', NULL, '2026-10-08 10:00', 60, '370520002', '37069999999', 'in', NULL);
-- The owner's price is less the out-payment of 0.01: 0.04 on work days, 0.02 on the Sunday of call 4.
SELECT results_eq('SELECT call_id, did_incoming_amount, did_owner_amount, did_provider_amount, status FROM billing.cdr ORDER BY 1',
	$$VALUES ('1', 1.10, 0.04, -0.02, 'rated'), ('2', 1.20, 0.08, -0.04, 'rated'), ('3', 0, 0, 0, 'rated'), ('4', NULL, 0.02, -0.02, 'rated'), ('5', NULL, 0.50, -0.20, 'rated'), ('6', NULL, NULL, -0.04, 'rated')$$, 'K1 K3 D14: what the calls cost');
-- October of the first: 1.10 + 1.20 in, 0.12 owner, -0.06 provider: 2.36.
SELECT results_eq('SELECT tenant, number, month::text, currency, calls, answered, seconds, incoming, owner, provider, credit, profit, unpriced_legs FROM billing.did_reconciliation ORDER BY number, tenant, month, currency',
	$$VALUES ('', '370520001', '2026-10-01', 'EUR', 3::bigint, 2::bigint, 180::numeric, 2.30, 0.12, -0.06, 0::numeric, 2.36, 0::bigint), ('', '370520001', '2026-11-01', 'EUR', 1, 1, 60, NULL, 0.02, -0.02, 0, 0.00, 0),
		('b', '370520001', '2026-10-01', 'EUR', 1, 1, 60, NULL, NULL, -0.20, 0, -0.20, 0), ('b', '370520001', '2026-10-01', 'USD', 1, 1, 60, NULL, 0.50, NULL, 0, 0.50, 0),
		('', '370520002', '2026-10-01', 'EUR', 1, 1, 60, NULL, NULL, -0.04, 0, -0.04, 0)$$,
	'K13: what each DID earned a month: three prices and their sum, no two currencies added');
SELECT is(billing.settle_credits(), 1::bigint, 'K4: the session is settled');
SELECT results_eq($$SELECT incoming, credit, profit FROM billing.did_reconciliation WHERE number = '370520001' AND tenant = '' AND month = '2026-10-01'$$, 'VALUES (2.30, 1.0, 1.36)', 'K4: less the fee that the first call has paid');
SELECT results_eq($$SELECT call_id, amount, credit, net FROM billing.charge WHERE leg = 'did_incoming' ORDER BY call_id$$, $$VALUES ('1', 1.10, 0.0, 1.10), ('2', 1.20, 1.0, 0.20), ('3', 0, 0, 0)$$, 'design 6: charge shows gross, credit and net');
SELECT results_eq($$SELECT leg, amount, credit, net FROM billing.customer_summary WHERE account_id IN (1, 2) AND month = '2026-10-01' ORDER BY leg$$, $$VALUES ('did_incoming', 2.30, 1.0, 1.30), ('did_owner', 0.12, 0, 0.12)$$, 'design 6: so does customer_summary');
SELECT results_eq($$SELECT owed, credit, net FROM billing.provider_reconciliation WHERE month = '2026-10-01'$$, 'VALUES (0.30, 0.0, 0.30)', 'P7: and provider_reconciliation: 0.02 + 0.04 + 0.20 + 0.04');
-- 1: 1.10 + 0.04 - 0.02; 2: 1.20 + 0.08 - 0.04 - 1; 5 has EUR and USD.
SELECT results_eq($$SELECT c.call_id, m.did_amount, m.did_credit, m.operator_margin FROM billing.margin m JOIN billing.cdr c ON c.id = m.cdr_id ORDER BY 1$$,
	$$VALUES ('1', 1.12, 0.0, 1.12), ('2', 0.24, 1.0, 0.24), ('3', 0, 0, 0), ('4', 0, 0, 0), ('5', NULL, NULL, NULL), ('6', -0.04, 0, -0.04)$$, 'P10 K13: margin has the DID legs net of credits');

-- A condition on the account reaches the partial index of each leg still.
SET enable_seqscan = off;
CREATE FUNCTION pg_temp.plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$BEGIN RETURN QUERY EXECUTE 'EXPLAIN (COSTS OFF) ' || query; END$$;
SELECT is((SELECT count(*) FROM pg_temp.plan('SELECT sum(net) FROM billing.charge WHERE account_id = 2 AND started_at >= ''2026-10-01''') p WHERE p ~ 'Index Cond.*account_id = '), 6::bigint, 'design 4: with credit and net in the view');
SELECT is((SELECT count(*) FROM pg_temp.plan('SELECT sum(amount) FROM billing.charge WHERE account_id = 2') p WHERE p ~ 'credit'), 0::bigint, 'design 6: who does not ask for credits does not read them');

-- A leg with a price that is not in force yet.
INSERT INTO billing.did_rate (leg, number, valid_from, currency, price) VALUES ('did_incoming', '370520002', '2100-01-01', 'EUR', 1);
INSERT INTO billing.cdr (call_id, started_at, billsec, callee, caller, src_trunk) VALUES ('7', '2026-10-09', 60, '370520002', '37060000001', 'in');
SELECT results_eq($$SELECT calls, incoming, provider, unpriced_legs FROM billing.did_reconciliation WHERE number = '370520002'$$, $$VALUES (2::bigint, NULL::numeric, -0.08, 1::bigint)$$, 'promise 1: a leg without a price is counted, not summed');
SELECT results_eq($$SELECT side, leg, reason, callee FROM billing.unrated WHERE call_id = '7'$$, $$VALUES ('did', 'did_incoming', 'no_rate', '370520002')$$, 'P9: and stands in unrated');

SELECT * FROM finish();
ROLLBACK;
