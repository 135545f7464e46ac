-- What the present catalogue would price otherwise: billing.stale(), and billing.rerate_call() for some legs of a call. P3, P18, K20, readings 40, 41.
BEGIN;
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS billing CASCADE;
SELECT billing.create_ledger();
SELECT no_plan();

INSERT INTO billing.tariff (id, name, currency) VALUES (1, 'sell', 'EUR'), (2, 'buy', 'EUR'), (3, 'shop', 'EUR');
INSERT INTO billing.rate (id, tariff_id, prefix, price) VALUES (11, 1, '44', 0.60), (21, 2, '44', 0.30), (31, 3, '44', 0.48);
INSERT INTO billing.account (id, name, currency, tariff_id, is_provider) VALUES (1, 'Acme', 'EUR', 1, false), (8, 'Shop', 'EUR', 3, false), (9, 'Carrier', 'EUR', 2, true);
INSERT INTO billing.account (id, name, currency, tariff_id, parent_id) VALUES (2, 'Booth', 'EUR', 1, 8);
INSERT INTO billing.service (account_id, side, kind, identifier, provider_id) VALUES
	(1, 'customer', 'auth_code', 'acme', NULL), (2, 'customer', 'auth_code', 'booth', NULL), (9, 'provider', 'auth_code', 'carrier', NULL),
	(9, 'provider', 'trunk', 'in', NULL), (1, 'customer', 'did', '37052000001', 9), (1, 'customer', 'extension', '101', NULL);
INSERT INTO billing.did_rate (id, number, leg, currency, price) VALUES (41, '37052000001', 'did_owner', 'EUR', 0.12), (42, '37052000001', 'did_provider', 'EUR', 0.06);
-- A minute each.
INSERT INTO billing.cdr (call_id, started_at, answered_at, billsec, callee, auth_code, provider_code, src_trunk) VALUES
	('acme', '2026-03-10', '2026-03-10', 60, '442079460001', 'acme', 'carrier', NULL),
	('booth', '2026-03-11', '2026-03-11', 60, '442079460001', 'booth', 'carrier', NULL),
	('did', '2026-03-12', '2026-03-12', 60, '37052000001', NULL, NULL, 'in'),
	('bad', '2026-03-13', '2026-03-13', 60, 'x', 'acme', 'carrier', NULL),
	('none', '2026-03-14', '2026-03-14', 60, '33140000000', 'acme', 'carrier', NULL);

SELECT results_eq('SELECT call_id, status, customer_amount, reseller_amount, provider_amount, did_owner_amount, did_provider_amount FROM billing.cdr ORDER BY started_at',
	$$VALUES ('acme', 'rated', 0.60::numeric, NULL::numeric, -0.30::numeric, NULL::numeric, NULL::numeric), ('booth', 'rated', 0.60, 0.48, -0.30, NULL, NULL),
		('did', 'rated', NULL, NULL, NULL, 0.12, 0.06), ('bad', 'invalid', NULL, NULL, NULL, NULL, NULL), ('none', 'unrated', NULL, NULL, NULL, NULL, NULL)$$,
	'five calls of each kind');
SELECT is((SELECT count(*) FROM billing.stale('-infinity', 'infinity')), 0::bigint, 'P18: what was just rated is not stale');
SELECT is((SELECT count(*) FROM billing.stale(NULL, NULL)), 0::bigint, 'P18: null is no bound');

SELECT billing.correct_rate(31, '{"price": 0.54}', 'typo'), billing.correct_rate(21, '{"price": 0.36}', 'typo'), billing.correct_rate(42, '{"price": 0.12}', 'typo');
SELECT results_eq($$SELECT c.call_id, s.leg, s.old_account_id, s.old_rate_id, s.old_billsec, s.old_amount, s.old_reason, s.new_account_id, s.new_rate_id, s.new_billsec, s.new_amount, s.new_reason, s.difference
	FROM billing.stale('-infinity', 'infinity') s JOIN billing.cdr c ON c.id = s.cdr_id AND c.started_at = s.started_at ORDER BY c.started_at, s.leg$$,
	$$VALUES ('acme', 'provider', 9::bigint, 21::bigint, 60, -0.30::numeric, NULL, 9::bigint, 21::bigint, 60, -0.36::numeric, NULL, -0.06::numeric),
		('booth', 'provider', 9, 21, 60, -0.30, NULL, 9, 21, 60, -0.36, NULL, -0.06), ('booth', 'reseller', 8, 31, 60, 0.48, NULL, 8, 31, 60, 0.54, NULL, 0.06),
		('did', 'did_provider', 9, 42, 60, 0.06, NULL, 9, 42, 60, 0.12, NULL, 0.06)$$,
	'P18: the legs that would be priced otherwise, old, new and difference');
SELECT results_eq($$SELECT c.call_id, s.leg FROM billing.stale('2026-03-10', '2026-03-11') s JOIN billing.cdr c ON c.id = s.cdr_id$$,
	$$VALUES ('acme', 'provider')$$, 'P18: in a period, its end exclusive');

-- Some legs of a call.
SELECT is((SELECT to_jsonb(r) FROM billing.rerate_call(c) r), (SELECT to_jsonb(r) FROM billing.rate_call(c) r), format('all legs of %s again are the call rated anew', c.call_id)) FROM billing.cdr c ORDER BY c.started_at;
SELECT is((SELECT to_jsonb(r) FROM billing.rerate_call(c, '{customer,reseller,provider,did_incoming,did_owner,did_provider}') r), (SELECT to_jsonb(r) FROM billing.rate_call(c) r),
	format('each of %s by its name too', c.call_id)) FROM billing.cdr c ORDER BY c.started_at;
CREATE FUNCTION pg_temp.changes(call_id text, legs text[]) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(n.key || ' ' || (n.value #>> '{}')::text, ', ' ORDER BY n.key COLLATE "C")
	FROM billing.cdr c CROSS JOIN LATERAL billing.rerate_call(c, $2) r CROSS JOIN LATERAL jsonb_each(to_jsonb(r)) n
	WHERE c.call_id = $1 AND to_jsonb(c) -> n.key IS DISTINCT FROM n.value;
$$;
SELECT is(pg_temp.changes('booth', '{provider}'), 'provider_amount -0.36000000', 'P3: the provider''s leg again, and nothing else');
SELECT is(pg_temp.changes('booth', '{reseller}'), 'reseller_amount 0.54000000', 'the reseller''s alone');
SELECT is(pg_temp.changes('booth', '{customer}'), NULL, 'the customer''s, which stays');
SELECT is(pg_temp.changes('did', '{did_owner}'), NULL, 'the legs of a DID one by one');
SELECT is(pg_temp.changes('did', '{did_provider,did_owner}'), 'did_provider_amount 0.12000000', 'or together');
SELECT is(pg_temp.changes('bad', '{provider}'), NULL, 'a call that cannot be read stays so');
SELECT is_empty($$
	SELECT r.reason, n.customer_reason
	FROM generate_series(1, 20) i CROSS JOIN unnest(ARRAY['no_rate', 'blocked', 'ambiguous', 'no_tariff', 'one of another system']) r(reason)
		CROSS JOIN LATERAL billing.rerate_call(jsonb_populate_record(NULL::billing.cdr, jsonb_build_object('started_at', '2026-03-10', 'callee', '442079460001', 'customer_reason', r.reason)), '{reseller}') n
	WHERE n.customer_reason IS DISTINCT FROM r.reason $$, 'P3: the reason of a leg that is not named stays, whatever the call before said');
SELECT throws_ok($$SELECT billing.rerate_call(c, '{owner}') FROM billing.cdr c$$, '22023', '"owner" is no leg of a call', 'an unknown leg is refused');
SELECT throws_ok($$SELECT billing.rerate_call(c, '{}') FROM billing.cdr c$$, '22023', NULL, 'so are none');
SELECT ok((SELECT r IS NULL FROM billing.rerate_call(NULL::billing.cdr) r), 'null gives null');

-- V7: when the call was rated, nobody sold anything; since then there are customers, and this one is not among them.
CREATE FUNCTION pg_temp.unsold(legs text[]) RETURNS text LANGUAGE sql AS $$
	SELECT format('%s/%s/%s/%s', r.status, r.customer_amount, r.customer_reason, r.provider_amount)
	FROM billing.rerate_call(jsonb_populate_record(NULL::billing.cdr, '{"started_at": "2026-03-10", "answered_at": "2026-03-10", "billsec": 60, "callee": "442079460001",
		"provider_code": "carrier", "provider_account_id": 9, "provider_rate_id": 21, "provider_billsec": 60, "provider_amount": -0.30, "status": "rated"}'), $1) r;
$$;
SELECT is(pg_temp.unsold('{provider}'), 'rated///-0.36000000', 'V7: the provider''s leg again brings no customer in');
SELECT is(pg_temp.unsold(NULL), 'partial//no_account/-0.36000000', 'as all legs again would');

-- Reasons and status of a mixture. The customer's list and the shop's lose the UK, one after the other.
INSERT INTO billing.rate (tariff_id, prefix, price, valid_from, withdrawn) VALUES (1, '44', 0, '2026-01-01', true);
SELECT is((SELECT format('%s %s %s %s', r.status, r.customer_reason, r.customer_amount, r.reseller_amount) FROM billing.cdr c CROSS JOIN LATERAL billing.rerate_call(c, '{customer}') r WHERE c.call_id = 'booth'),
	'partial no_rate  0.48000000', 'reading 40: a leg that has lost its rate has no amount; its reason and the status say so');
SELECT is((SELECT format('%s %s', r.status, r.customer_reason) FROM billing.cdr c CROSS JOIN LATERAL billing.rerate_call(c, '{reseller,provider}') r WHERE c.call_id = 'booth'),
	'rated ', 'a reason of a leg that is not named does not come in');
UPDATE billing.cdr c SET (customer_rate_id, customer_billsec, customer_amount, customer_reason, status, rated_at)
	= (SELECT r.customer_rate_id, r.customer_billsec, r.customer_amount, r.customer_reason, r.status, now() FROM billing.rerate_call(c, '{customer}') r) WHERE c.call_id = 'booth';
SELECT is((SELECT format('%s %s %s', r.status, r.customer_reason, r.reseller_amount) FROM billing.cdr c CROSS JOIN LATERAL billing.rerate_call(c, '{reseller}') r WHERE c.call_id = 'booth'),
	'partial no_rate 0.54000000', 'the customer''s reason stays where the reseller, who shares its column, is rated again');
SELECT is((SELECT format('%s %s', r.status, r.provider_reason) FROM billing.cdr c CROSS JOIN LATERAL billing.rerate_call(c, '{customer}') r WHERE c.call_id = 'none'),
	'unrated no_rate', 'a leg that is not named keeps its reason');
SELECT is((SELECT count(*) FROM billing.cdr c WHERE c.call_id = 'booth' AND c.customer_amount IS NULL), 1::bigint,
	'design 2: an UPDATE of rated columns alone, with rated_at, is stored as it is');

-- Reading 41: a leg that moves to another account, and one that arrived with prices of its own.
INSERT INTO billing.cdr (call_id, started_at, billsec, callee, auth_code, customer_account_id, customer_amount, customer_billsec, status, rated_at)
	VALUES ('moved', '2026-04-01', 60, '999', 'acme', 2, 5, 60, 'invalid', now());
INSERT INTO billing.rate (id, tariff_id, prefix, price) VALUES (15, 1, '9', 0.90);
SELECT results_eq($$SELECT s.leg, s.old_account_id, s.old_rate_id, s.old_amount, s.new_account_id, s.new_rate_id, s.new_amount, s.difference FROM billing.stale('2026-04-01', '2026-04-02') s$$,
	$$VALUES ('customer', 2::bigint, NULL::bigint, 5::numeric, 1::bigint, 15::bigint, 0.90::numeric, -4.10::numeric)$$,
	'P18: a call that arrived with prices is asked like others, an invalid one too');
-- What only the service or status of a call tells is listed as well.
UPDATE billing.cdr SET customer_service_id = NULL, status = 'partial', rated_at = now() WHERE call_id = 'acme';
SELECT billing.correct_rate(21, '{"price": 0.30}', 'typo');
INSERT INTO billing.rate (tariff_id, prefix, price, valid_from) VALUES (1, '44', 0.60, '2026-02-01');
UPDATE billing.cdr SET customer_rate_id = (SELECT id FROM billing.rate WHERE valid_from = '2026-02-01'), rated_at = now() WHERE call_id = 'acme';
SELECT results_eq($$SELECT s.leg, s.difference FROM billing.stale('2026-03-10', '2026-03-11') s$$, $$VALUES ('customer', 0.00::numeric)$$, 'P18: a difference of nothing where only the service is another');
UPDATE billing.cdr c SET customer_service_id = s.id, rated_at = now() FROM billing.service s WHERE c.call_id = 'acme' AND s.identifier = 'acme';
SELECT results_eq($$SELECT s.leg, s.difference FROM billing.stale('2026-03-10', '2026-03-11') s$$, $$VALUES ('customer', 0.00::numeric)$$, 'or the status');
UPDATE billing.cdr SET status = 'rated', rated_at = now() WHERE call_id = 'acme';
SELECT is((SELECT count(*) FROM billing.stale('2026-03-10', '2026-03-11')), 0::bigint, 'and then nothing');

SELECT is((SELECT count(*) FROM pg_proc p WHERE p.pronamespace = 'billing'::regnamespace
	AND p.proname IN ('stale', 'rerate', 'rerate_preview', 'stop_rerate', 'close_period', 'reopen_period') AND has_function_privilege('public', p.oid, 'EXECUTE')), 0::bigint,
	'none of it is everybody''s');

SELECT * FROM finish();
ROLLBACK;
