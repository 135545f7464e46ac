-- billing.unrated and billing.unrated_summary: what could not be priced, and why (P9, D18, V13, readings 29 and 40).
-- The calls arrive rated (rated_at is set), so nothing here depends on how they are rated.
BEGIN;
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS billing CASCADE;
SELECT billing.create_ledger();
SELECT plan(20);

INSERT INTO billing.account (id, name, is_provider, currency) VALUES (1, 'Customer', false, 'USD'), (2, 'Callshop', false, 'USD'), (3, 'Vendor', true, 'USD');

INSERT INTO billing.cdr (id, source, call_id, started_at, billsec, caller, callee, callee_number, auth_code, did, status, rated_at,
	customer_account_id, customer_amount, customer_reason, reseller_account_id, reseller_amount, provider_account_id, provider_amount, provider_reason,
	did_owner_account_id, did_owner_amount, did_provider_account_id, did_provider_amount, did_reason)
VALUES
	-- All is well.
	(1, 'f', 'rated', '2026-03-01', 600, '1', '+442071', '442071', NULL, NULL, 'rated', now(), 1, 1, NULL, NULL, NULL, 3, -0.5, NULL, NULL, NULL, NULL, NULL, NULL),
	-- Notes beside amounts: nobody's call on the default tariff; an unanswered call without a rate; a blocked number that the vendor bills.
	(2, 'f', 'note default', '2026-03-01', 600, '1', '+442071', '442071', NULL, NULL, 'rated', now(), NULL, 1, 'no_account', NULL, NULL, 3, -0.5, NULL, NULL, NULL, NULL, NULL, NULL),
	(3, 'f', 'note unanswered', '2026-03-01', 0, '1', '+442071', '442071', NULL, NULL, 'rated', now(), 1, 0, 'no_rate', NULL, NULL, 3, 0, 'no_rate', NULL, NULL, NULL, NULL, NULL),
	-- One side each.
	(4, 'f', 'no customer', '2026-03-02', 300, '1', '+442072', '442072', '777', NULL, 'partial', now(), NULL, NULL, 'no_account', NULL, NULL, 3, -0.5, NULL, NULL, NULL, NULL, NULL, NULL),
	(5, 'f', 'no vendor price', '2026-03-03', 400, '1', '+882161', '882161', NULL, NULL, 'partial', now(), 1, 1, NULL, NULL, NULL, 3, NULL, 'no_rate', NULL, NULL, NULL, NULL, NULL),
	(6, 'f', 'no reseller price', '2026-03-04', 200, '1', '+442074', '442074', NULL, NULL, 'partial', now(), 1, 1, 'no_rate', 2, NULL, 3, -1, NULL, NULL, NULL, NULL, NULL, NULL),
	(7, 'f', 'blocked', '2026-03-05', 100, '1', '+442075', '442075', NULL, NULL, 'partial', now(), 1, NULL, 'blocked', NULL, NULL, 3, -1, 'blocked', NULL, NULL, NULL, NULL, NULL),
	-- The customer's note is no failure beside the provider's.
	(8, 'f', 'note and failure', '2026-03-06', 50, '1', '+442076', '442076', NULL, NULL, 'partial', now(), NULL, 1, 'no_account', NULL, NULL, NULL, NULL, 'no_account', NULL, NULL, NULL, NULL, NULL),
	-- Both sides.
	(9, 'f', 'both', '2026-03-07', 700, '1', '+882162', '882162', NULL, NULL, 'unrated', now(), 1, NULL, 'no_rate', 2, NULL, 3, NULL, 'no_rate', NULL, NULL, NULL, NULL, NULL),
	-- DIDs: an owner without a rate, another provider than the number's, an unknown number, a note beside prices.
	(10, 'f', 'owner no rate', '2026-03-08', 80, '1', '900', '900', NULL, '442079460000', 'partial', now(), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1, NULL, 3, -1, 'no_rate'),
	(11, 'f', 'mismatch', '2026-03-09', 81, '1', '900', '900', NULL, '442079460000', 'partial', now(), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1, 0, 3, NULL, 'provider_mismatch'),
	(12, 'f', 'unknown did', '2026-03-10', 82, '1', '+498912', '498912', NULL, NULL, 'unrated', now(), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'unknown_did'),
	(13, 'f', 'did note', '2026-03-11', 83, '1', '900', '900', NULL, '442079460000', 'partial', now(), 1, NULL, 'blocked', NULL, NULL, NULL, NULL, NULL, 2, 1, NULL, NULL, 'blocked'),
	-- The row itself: no start, a number that is none, a duration that is none; and one of which nothing was expected.
	(14, 'f', 'no start', '-infinity', 60, '1', '4420', '4420', NULL, NULL, 'invalid', now(), NULL, NULL, 'no_start', NULL, NULL, NULL, NULL, 'no_start', NULL, NULL, NULL, NULL, NULL),
	(15, 'f', 'bad number', '2026-03-12', 60, '1', 'alice', NULL, NULL, NULL, 'invalid', now(), NULL, NULL, 'invalid_number', NULL, NULL, NULL, NULL, 'invalid_number', NULL, NULL, NULL, NULL, NULL),
	(16, 'f', 'bad duration', '2026-03-13', 'NaN', '1', '442071', '442071', NULL, NULL, 'invalid', now(), NULL, NULL, 'invalid_duration', NULL, NULL, NULL, NULL, 'invalid_duration', NULL, NULL, NULL, NULL, NULL),
	(17, 'f', 'nothing expected', '2026-03-14', 10, '1', '442071', '442071', NULL, NULL, 'unrated', now(), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);

SELECT is((SELECT count(*) FROM billing.unrated WHERE cdr_id IN (1, 2, 3)), 0::bigint, 'P9: a note beside an amount is not listed (V13, an unanswered call without a rate)');
SELECT results_eq('SELECT side, leg, reason, account_id, auth_code FROM billing.unrated WHERE cdr_id = 4',
	$$VALUES ('customer', 'customer', 'no_account', NULL::bigint, '777')$$, 'P9: a call of no customer shows the customer''s side, and the code that nobody has');
SELECT results_eq('SELECT side, leg, reason, account_id FROM billing.unrated WHERE cdr_id = 5',
	$$VALUES ('provider', 'provider', 'no_rate', 3::bigint)$$, 'P9: a call that the provider''s list does not price shows the provider''s side');
SELECT results_eq('SELECT side, leg, reason, account_id FROM billing.unrated WHERE cdr_id = 6',
	$$VALUES ('customer', 'reseller', 'no_rate', 2::bigint)$$, 'C17: a reseller without a price shows as the reseller');
SELECT results_eq('SELECT side, reason, account_id FROM billing.unrated WHERE cdr_id = 7',
	$$VALUES ('customer', 'blocked', 1::bigint)$$, 'P9: a blocked number shows its customer once; the provider''s leg is paid and only keeps the note');
SELECT results_eq('SELECT side, reason FROM billing.unrated WHERE cdr_id = 8',
	$$VALUES ('provider', 'no_account')$$, 'the default tariff''s note is no failure when the other side fails');
SELECT results_eq('SELECT side, leg, reason, account_id FROM billing.unrated WHERE cdr_id = 9 ORDER BY side',
	$$VALUES ('customer', 'customer', 'no_rate', 1::bigint), ('provider', 'provider', 'no_rate', 3)$$, 'P9: a call that fails on both sides is listed on both');
SELECT results_eq('SELECT side, leg, reason, account_id, callee FROM billing.unrated WHERE cdr_id IN (10, 11, 12) ORDER BY cdr_id',
	$$VALUES ('did', 'did_owner', 'no_rate', 1::bigint, '442079460000'), ('did', 'did_provider', 'provider_mismatch', 3, '442079460000'), ('did', NULL, 'unknown_did', NULL, '498912')$$,
	'DID legs without a price and unknown numbers are listed under the number that was called');
SELECT results_eq('SELECT side, reason FROM billing.unrated WHERE cdr_id = 13',
	$$VALUES ('customer', 'blocked')$$, 'blocked is a note on a DID leg that is priced');
SELECT results_eq('SELECT side, leg, reason, account_id, seconds FROM billing.unrated WHERE status = ''invalid'' ORDER BY cdr_id',
	$$VALUES ('call', NULL, 'no_start', NULL::bigint, 60::numeric), ('call', NULL, 'invalid_number', NULL, 60), ('call', NULL, 'invalid_duration', NULL, NULL)$$,
	'rows that cannot be read are listed once each, whatever both sides say');
SELECT results_eq('SELECT side, reason FROM billing.unrated WHERE cdr_id = 17',
	$$VALUES ('call', NULL)$$, 'a call of which nothing was expected is listed too: no CDR is lost');
SELECT is((SELECT count(DISTINCT cdr_id) FROM billing.unrated), (SELECT count(*) FROM billing.cdr WHERE status <> 'rated'), 'each call that is not rated is listed');
SELECT results_eq('SELECT cdr_id FROM billing.unrated LIMIT 4', ARRAY[9, 9, 5, 4]::bigint[], 'billed time comes first');
SELECT is((SELECT caller || ' ' || callee FROM billing.unrated WHERE cdr_id = 4), '1 442072', 'numbers are shown as they were rated, else raw');
SELECT is((SELECT callee FROM billing.unrated WHERE cdr_id = 15), 'alice', 'a number that cannot be read is shown as it came');

SELECT results_eq($$SELECT reason, side, leg, account_id, account, first_digits, calls, seconds, first_seen, last_seen FROM billing.unrated_summary WHERE reason = 'no_rate' AND side = 'provider'$$,
	$$VALUES ('no_rate', 'provider', 'provider', 3::bigint, 'Vendor', '882', 2::bigint, 1100::numeric, '2026-03-03'::timestamptz, '2026-03-07'::timestamptz)$$,
	'D18: the summary counts 400 + 700 s of the vendor to 882, with the first and the last call');
SELECT results_eq($$SELECT side, account_id, first_digits, calls, seconds FROM billing.unrated_summary WHERE reason IN ('no_account', 'unknown_did') ORDER BY reason, side$$,
	$$VALUES ('customer', NULL::bigint, '442', 1::bigint, 300::numeric), ('provider', NULL, '442', 1, 50), ('did', NULL, '498', 1, 82)$$,
	'by reason, side, account and first digits, without a plus');
SELECT results_eq($$SELECT calls, seconds FROM billing.unrated_summary WHERE reason = 'invalid_duration'$$, $$VALUES (1::bigint, 0::numeric)$$,
	'a NaN duration counts as a call and spoils no sum');
SELECT is((SELECT sum(calls) FROM billing.unrated_summary), (SELECT count(*)::numeric FROM billing.unrated), 'the summary counts each line');
SET LOCAL enable_seqscan = off;
CREATE FUNCTION pg_temp.plan_of(query text) RETURNS SETOF text LANGUAGE plpgsql AS
$$BEGIN RETURN QUERY EXECUTE 'EXPLAIN (COSTS OFF) ' || query; END$$;
SELECT ok(EXISTS (SELECT FROM pg_temp.plan_of($$SELECT * FROM billing.unrated WHERE started_at >= '2026-03-01'$$) line
	WHERE strpos(line, (SELECT replace(i.indexrelid::regclass::text, 'billing.', '') FROM pg_inherits h JOIN pg_index i ON i.indexrelid = h.inhrelid
		WHERE h.inhparent = 'billing.cdr_unrated'::regclass AND i.indrelid = 'billing.cdr_default'::regclass)) > 0),
	'a day''s unrated calls are read by the partial index of unrated calls');

SELECT * FROM finish();
ROLLBACK;
