-- The default calendar comes when it comes: guards protect what prices depend on, and nothing else.
BEGIN;
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS billing CASCADE;
SELECT billing.create_ledger();
SELECT no_plan();

-- A calendar that no price depends on may still be made: a first default one, after calls to DIDs.
INSERT INTO billing.account (id, name, currency) VALUES (9001, 'Late', 'EUR');
INSERT INTO billing.service (account_id, kind, identifier) VALUES (9001, 'did', '370529999');
INSERT INTO billing.did_rate (leg, number, currency, price) VALUES ('did_owner', '370529999', 'EUR', 1);
INSERT INTO billing.cdr (call_id, started_at, billsec, caller, callee) VALUES ('late', '2026-03-02 10:00:00+00', 60, '49999', '370529999');
SELECT is((SELECT did_owner_amount FROM billing.cdr WHERE call_id = 'late'), 1::numeric, 'a call to a DID, priced without a calendar: 60 s at 1.00');
INSERT INTO billing.calendar (id, name, timezone, is_default) VALUES (9001, 'Late default', 'Europe/Vilnius', true);
SELECT lives_ok($$INSERT INTO billing.calendar_band (calendar_id, band, starts, ends) VALUES (9001, 'peak', '08:00', '18:00')$$, 'windows of a default calendar on which no price depends yet');
SELECT lives_ok($$INSERT INTO billing.calendar_day (calendar_id, date, day_type) VALUES (9001, '2026-03-02', 'free')$$, 'and its days, past ones too');

-- From then on a price that depends on the day is protected.
INSERT INTO billing.did_rate (leg, number, day_type, currency, price) VALUES ('did_owner', '370529999', 'free', 'EUR', 0.5);
INSERT INTO billing.cdr (call_id, started_at, billsec, caller, callee) VALUES ('free', '2026-03-02 11:00:00+00', 60, '49999', '370529999');
SELECT is((SELECT did_owner_amount FROM billing.cdr WHERE call_id = 'free'), 0.5, 'the day is free: 60 s at 0.50');
SELECT throws_ok($$DELETE FROM billing.calendar_day WHERE date = '2026-03-02'$$, '23001', NULL, 'and stays so, for a call has cost what it cost by it');

SELECT * FROM finish();
ROLLBACK;
