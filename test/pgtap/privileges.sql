-- Who may do what in a ledger of somebody who is no superuser: strangers, loaders, switches (design 2).
BEGIN;
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS billing CASCADE;
SELECT no_plan();
CREATE ROLE billing_test_owner;
CREATE ROLE billing_test_stranger;
CREATE ROLE billing_test_switch;
GRANT USAGE, CREATE ON SCHEMA billing TO billing_test_owner;
GRANT USAGE ON SCHEMA billing TO billing_test_stranger, billing_test_switch;
GRANT CREATE ON SCHEMA public TO billing_test_owner, billing_test_stranger;
GRANT EXECUTE ON FUNCTION billing.create_ledger TO billing_test_owner;
SET ROLE billing_test_owner;
SELECT billing.create_ledger();
INSERT INTO billing.tariff (id, name, currency) VALUES (1, 'retail', 'EUR');
INSERT INTO billing.rate (id, tariff_id, prefix, destination, price) VALUES (1, 1, '49', 'Germany', 0.6);
INSERT INTO billing.plan (id, name, tariff_id) VALUES (1, 'ten minutes', 1);
INSERT INTO billing.allowance (id, plan_id, name, seconds) VALUES (1, 1, 'Germany', 600);
INSERT INTO billing.allowance_prefix (allowance_id, prefix) VALUES (1, '49');
INSERT INTO billing.account (id, name, currency, plan_id, billing) VALUES (1, 'one', 'EUR', 1, 'prepaid');
INSERT INTO billing.service (id, account_id, kind, identifier) VALUES (1, 1, 'extension', '100');
INSERT INTO billing.entry (account_id, kind, amount) VALUES (1, 'payment', 3);
RESET ROLE;

-- A stranger with a table of his own.
SET ROLE billing_test_stranger;
CREATE TABLE public.calls (id bigint, started_at timestamptz, customer_account_id bigint, customer_amount numeric(20,8), rated_at timestamptz);
CREATE TRIGGER account_insert AFTER INSERT ON public.calls REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION billing.account_cdr();
CREATE TRIGGER account_truncate BEFORE TRUNCATE ON public.calls FOR EACH STATEMENT EXECUTE FUNCTION billing.account_cdr();
CREATE TABLE public.credits (account_id bigint, leg text, day date, cost_center text, destination text, currency text, amount numeric);
CREATE TRIGGER account_insert AFTER INSERT ON public.credits REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION billing.account_credit();
SELECT throws_ok($$ INSERT INTO public.calls VALUES (1, '2026-01-10', 1, -1000, now()) $$, '42501', 'permission denied for table usage', 'design 2: the pass counts no table of a stranger');
SELECT throws_ok('TRUNCATE public.calls', '42501', NULL, 'design 2: nor its TRUNCATE');
SELECT throws_ok($$ INSERT INTO public.credits VALUES (1, 'customer', '2026-01-10', '', '', 'EUR', 1000) $$, '42501', 'permission denied for table usage', 'design 2: nor his credits');
ALTER TABLE public.credits ALTER cost_center TYPE integer USING 0, ALTER amount TYPE integer USING 0;
SELECT throws_ok($$ INSERT INTO public.credits VALUES (1, 'customer', '2026-01-10', 77, '', 'EUR', 1000) $$, '42703', NULL, 'design 2: columns of other types are no credits');
SELECT throws_ok('SELECT * FROM billing.authorize(caller => ''100'', callee => ''4930'')', '42501', NULL, 'design 2: authorize() is not PUBLIC''s');
SELECT throws_ok('SELECT * FROM billing._longest_call(ROW(), ''{}'', ''{}'', 1)', '42501', NULL, 'design 2: nor are prices');
SELECT throws_ok('SELECT billing.covered_amount(ROW(), ''customer'', 1)', '42501', NULL, 'design 2: covered or not');
SELECT throws_ok('SELECT billing.did_fee(ROW(), ''did_owner'')', '42501', NULL, 'design 2: nor fees');
SELECT throws_ok('SELECT billing.rerate_call(ROW(), NULL)', '42501', NULL, 'design 2: nor what calls would cost by now');
SELECT throws_ok('SELECT billing._rerate_changes(ROW(), NULL)', '42501', NULL, 'design 2: or whether they would');
SELECT throws_ok('SELECT billing._rerate_legs(ROW(), NULL)', '42501', NULL, 'design 2: or leg by leg');
RESET ROLE;
SELECT is_empty('SELECT * FROM billing.usage', 'promise 3: nothing of that was counted');

-- A switch needs EXECUTE on two functions, and INSERT on raw columns, whatever the owner may.
GRANT EXECUTE ON FUNCTION billing.authorize, billing.release TO billing_test_switch;
GRANT INSERT (call_id, started_at, answered_at, billsec, caller, callee) ON billing.cdr TO billing_test_switch;
SET ROLE billing_test_switch;
-- 660 seconds: 600 are included, a minute of 0.60 is due.
SELECT lives_ok($$ INSERT INTO billing.cdr (call_id, started_at, billsec, caller, callee) VALUES ('a', date_trunc('month', now()), 660, '100', '4930') $$, 'design 2: a switch loads calls');
SELECT results_eq($$ SELECT allowed, reason, max_seconds FROM billing.authorize(caller => '100', callee => '4930') $$, $$ VALUES (true, NULL::text, 240) $$, 'design 6: and asks, of included minutes too: 3.00 - 0.60 are 240 seconds');
SELECT results_eq($$ SELECT allowed, max_seconds, reservation_id FROM billing.authorize(caller => '100', callee => '4930', reserve => 60) $$, $$ VALUES (true, 60, 1::bigint) $$, 'design 6: reserves');
SELECT is(billing.release(1), false, 'design 6: and releases');
SELECT throws_ok('TABLE billing.' || t, '42501', NULL, 'design 2: but reads no ' || t) FROM unnest(ARRAY['cdr', 'account', 'rate', 'usage', 'balance', 'reservation']) t;
SELECT throws_ok('SELECT billing._release(1)', '42501', NULL, 'design 2: and calls nothing behind it');
RESET ROLE;

-- What the owner has put on billing.usage runs with his rights, so it does not look for names where the loader says.
SET ROLE billing_test_owner;
CREATE TABLE public.seen (name text);
CREATE FUNCTION public.see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.seen VALUES (lower('SEEN')); RETURN NULL; END $$;
CREATE TRIGGER see AFTER INSERT OR UPDATE ON billing.usage FOR EACH ROW EXECUTE FUNCTION public.see();
RESET ROLE;
CREATE SCHEMA trap AUTHORIZATION billing_test_switch;
GRANT USAGE ON SCHEMA trap TO billing_test_owner;
CREATE FUNCTION trap.lower(text) RETURNS text LANGUAGE sql AS $$ SELECT 'trapped as ' || current_user $$;
SET ROLE billing_test_switch;
SET search_path = trap, pg_catalog, public;
INSERT INTO billing.cdr (call_id, started_at, billsec, caller, callee) VALUES ('b', date_trunc('month', now()), 60, '100', '4930');
RESET ROLE;
SET search_path = public;
SELECT results_eq('SELECT name FROM public.seen', $$ VALUES ('seen') $$, 'design 2: a loader''s search_path ends at the triggers of billing.cdr');

-- Row-level security, forced upon the owner, does not let sums of a part pass for those of all.
GRANT EXECUTE ON FUNCTION billing.settle_credits, billing.check_overdrafts, billing.close_period, billing.authorize, billing.release, billing.stale, billing.rerate_preview TO billing_test_owner;
SET ROLE billing_test_owner;
SELECT billing.settle_credits();
SELECT isnt_empty('TABLE billing.credit', 'D10: there is a credit');
INSERT INTO billing.rate (id, tariff_id, prefix, destination, price) VALUES (2, 1, '493', 'Berlin', 1.2);
SELECT isnt_empty('SELECT * FROM billing.stale(NULL, NULL)', 'design 6: the owner asks what is stale');
SELECT isnt_empty('SELECT * FROM billing.rerate_preview(NULL, NULL)', 'design 6: and what rerate() would do');
INSERT INTO billing.credit_queue (kind, account_id, leg, day) VALUES ('allowance', 1, 'customer', date_trunc('month', now()));
ALTER TABLE billing.cdr ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
SELECT throws_ok('SELECT billing.settle_credits()', '42501', NULL, 'design 6: what is settled by calls that cannot be seen is refused');
SELECT throws_ok('SELECT * FROM billing.authorize(caller => ''100'', callee => ''4930'')', '42501', NULL, 'design 6: by authorize() too');
SELECT isnt_empty('TABLE billing.credit', 'D10: the credit is still there');
ALTER TABLE billing.cdr DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
ALTER TABLE billing.entry ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
SELECT throws_ok('SELECT * FROM billing.authorize(caller => ''100'', callee => ''4930'')', '42501', NULL, 'design 6: nor is a balance made of what can be seen');
SELECT throws_ok('SELECT billing.release(1)', '42501', NULL, 'design 6: of a call that is over');
SELECT throws_ok('SELECT billing.check_overdrafts()', '42501', NULL, 'design 6: or of all accounts');
ALTER TABLE billing.entry DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
SELECT is(billing.close_period(1, date_trunc('month', now())::date), date_trunc('month', now())::date, 'design 6: the owner needs EXECUTE on what he calls, and on nothing behind it');
ALTER TABLE billing.period_close ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
SELECT throws_ok($$ INSERT INTO billing.entry (account_id, kind, amount, at) VALUES (1, 'payment', 1, date_trunc('month', now()) - interval '1 day') $$, '42501', NULL, 'design 6: no closed period is overlooked');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
