-- Rows that once hung a load, ended it, or came out as no rating would make them (promises 1 and 2).
BEGIN;
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS billing CASCADE;
SELECT billing.create_ledger();
SELECT plan(12);
SET LOCAL statement_timeout = '60s';

INSERT INTO billing.calendar (id, name, timezone) VALUES (1, 'Vilnius', 'Europe/Vilnius');
INSERT INTO billing.calendar_band (calendar_id, day_type, band, starts, ends) VALUES (1, 'any', 'peak', '08:00', '20:00');
INSERT INTO billing.tariff (id, name, currency, calendar_id, boundary, is_default_customer) VALUES (1, 'List', 'EUR', 1, 'split', true);
INSERT INTO billing.rate (tariff_id, prefix, price) VALUES (1, '', 1);
INSERT INTO billing.account (id, name, currency) VALUES (1, 'Owner', 'EUR');
INSERT INTO billing.account (id, name, currency, is_provider) VALUES (2, 'Carrier', 'EUR', true);
INSERT INTO billing.service (account_id, kind, identifier) VALUES (1, 'did', '37052000000');
INSERT INTO billing.service (account_id, side, kind, identifier) VALUES (2, 'provider', 'trunk', 'tr1');
INSERT INTO billing.did_rate (leg, number, currency, price, connect_fee) VALUES ('did_owner', '37052000000', 'EUR', 0.1, 0.5);

-- The ends of time, where the next change of the clock is no timestamp any more: 60 s at 1.00
INSERT INTO billing.cdr (call_id, started_at, billsec, callee) VALUES ('last', '294276-12-31 12:00:00+00', 60, '442079460000'), ('first', '4713-02-01 12:00:00+00 BC', 60, '442079460000');
SELECT is(customer_amount, 1::numeric, 'promise 1: a split call of ' || started_at) FROM billing.cdr WHERE call_id IN ('last', 'first') ORDER BY call_id;

-- Sessions that no index entry could hold
INSERT INTO billing.cdr (call_id, session_id, started_at, billsec, callee)
SELECT 's' || n, string_agg(md5(i::text), ''), '2026-02-02 10:00:00+00'::timestamptz + n * interval '1 hour', 60, '37052000000'
FROM generate_series(1, 300) i, generate_series(1, 2) n GROUP BY n;
INSERT INTO billing.cdr (call_id, session_id, started_at, billsec, callee)
SELECT 'z' || n, string_agg(chr(1 + i % 30), ''), '2026-02-03 10:00:00+00'::timestamptz + n * interval '1 hour', 60, '37052000000'
FROM generate_series(1, 2500) i, generate_series(1, 2) n GROUP BY n;
SELECT is((SELECT count(*) FROM billing.cdr WHERE call_id ~ '^[sz]'), 4::bigint, 'promise 1: calls of sessions with 9,600 and 2,500 symbols are stored');
SELECT is((SELECT count(DISTINCT session_id) FROM billing.cdr WHERE call_id ~ '^s'), 1::bigint, 'and still are one session');
SELECT lives_ok('SELECT billing.settle_credits()', 'K4: their fees can be settled');
-- one fee of 0.50 in each of the two sessions is credited
SELECT is((SELECT sum(amount) FROM billing.credit), 1::numeric, 'K4: one fee a session stays');

-- A hop that comes or goes makes another call of one to a DID: 60 s at 0.10 and the fee
INSERT INTO billing.cdr (call_id, started_at, billsec, callee, dst_trunk) VALUES ('hop', '2026-02-04', 60, '37052000000', 'tr9');
SELECT is((SELECT format('%s %s %s', customer_amount, did_owner_amount, status) FROM billing.cdr WHERE call_id = 'hop'), '1.00000000  partial', 'a call that goes out');
UPDATE billing.cdr SET dst_trunk = NULL WHERE call_id = 'hop';
SELECT is((SELECT format('%s %s %s', customer_amount, did_owner_amount, status) FROM billing.cdr WHERE call_id = 'hop'), ' 0.60000000 rated', 'promise 2: without the hop it is a call to the DID');
UPDATE billing.cdr SET dst_trunk = 'tr9' WHERE call_id = 'hop';
SELECT is((SELECT format('%s %s %s', customer_amount, did_owner_amount, status) FROM billing.cdr WHERE call_id = 'hop'), '1.00000000  partial', 'promise 2: and with it again it is not');

-- For other calls it is the provider's affair alone (P3): a later price does not reach the customer's leg
INSERT INTO billing.cdr (call_id, started_at, billsec, callee) VALUES ('plain', '2026-02-04', 60, '442079460000');
INSERT INTO billing.rate (tariff_id, prefix, price) VALUES (1, '44', 7);
UPDATE billing.cdr SET dst_trunk = 'tr9' WHERE call_id = 'plain';
SELECT is((SELECT format('%s %s %s', customer_amount, provider_reason, status) FROM billing.cdr WHERE call_id = 'plain'), '1.00000000 no_account partial', 'P3: a hop is added, the customer''s leg stays; the default list''s amount without an account counts');
UPDATE billing.cdr SET dst_trunk = 'tr1' WHERE call_id = 'plain';
SELECT is((SELECT format('%s %s %s', customer_amount, provider_account_id, provider_reason) FROM billing.cdr WHERE call_id = 'plain'), '1.00000000 2 no_tariff', 'P3: another provider, the customer''s leg stays');
UPDATE billing.cdr SET dst_trunk = NULL WHERE call_id = 'plain';
SELECT is((SELECT format('%s %s', customer_amount, status) FROM billing.cdr WHERE call_id = 'plain'), '1.00000000 rated', 'P3: the provider is removed, the customer''s leg stays');

SELECT * FROM finish();
ROLLBACK;
