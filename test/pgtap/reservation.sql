-- Money set aside for calls that go on, so that those of one account cannot spend it twice (design 6).
BEGIN;
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS billing CASCADE;
SELECT billing.create_ledger();
SELECT no_plan();

-- 0.60 a minute is 0.01 a second; the callshop pays 0.30; behind 49 a fee of 0.10 and whole minutes.
INSERT INTO billing.tariff (id, name, currency) VALUES (1, 'retail', 'EUR'), (2, 'to callshops', 'EUR');
INSERT INTO billing.rate (id, tariff_id, prefix, price, connect_fee, first_increment, next_increment) VALUES
	(1, 1, '44', 0.60, NULL, NULL, NULL), (2, 1, '49', 0.60, 0.10, 60, 60), (3, 2, '44', 0.30, NULL, NULL, NULL), (4, 1, '1', 0.60, NULL, NULL, NULL);
INSERT INTO billing.rate_step (rate_id, from_second, price) VALUES (4, 60, -0.60);
INSERT INTO billing.account (id, name, currency, tariff_id, billing, credit_limit) VALUES (1, 'Ann', 'EUR', 1, 'prepaid', 0), (2, 'Bob', 'EUR', 1, 'postpaid', NULL), (10, 'callshop', 'EUR', 2, 'postpaid', 1);
INSERT INTO billing.account (id, name, currency, tariff_id, billing, parent_id) VALUES (11, 'booth', 'EUR', 1, 'prepaid', 10);
INSERT INTO billing.service (account_id, kind, identifier) SELECT id, 'extension', 100 + id FROM billing.account WHERE id <> 10;
INSERT INTO billing.entry (account_id, kind, amount) VALUES (1, 'payment', 5), (11, 'payment', 5);

CREATE FUNCTION pg_temp.slice(caller text, seconds integer, callee text DEFAULT '4420') RETURNS text LANGUAGE sql AS $$
	SELECT CASE WHEN a.allowed THEN format('%s: %s s', a.reservation_id, a.max_seconds) ELSE format('%s (%s) %s', a.reason, a.leg, a.reservation_id) END
	FROM billing.authorize(caller => caller, callee => callee, reserve => seconds) a
$$;
CREATE FUNCTION pg_temp.more(number bigint, seconds integer) RETURNS text LANGUAGE sql AS $$
	SELECT CASE WHEN a.allowed THEN format('%s: %s s', a.reservation_id, a.max_seconds) ELSE format('%s (%s) %s', a.reason, a.leg, a.reservation_id) END
	FROM billing.authorize(reservation => number, reserve => seconds) a
$$;
CREATE FUNCTION pg_temp.left(account bigint) RETURNS numeric LANGUAGE sql AS $$SELECT trim_scale(available) FROM billing._spendable(account)$$;

SELECT is(pg_temp.slice('101', 60), '1: 60 s', 'a slice of a minute');
SELECT is(pg_temp.left(1), 4.4, '5.00 - 60 x 0.01');
SELECT results_eq('SELECT id, leg, account_id, account, currency, seconds, amount, made_at, expires_at, call ->> ''callee'' FROM billing.open_reservation',
	$$VALUES (1::bigint, 'customer', 1::bigint, 'Ann', 'EUR', 60, 0.60::numeric, now(), now() + interval '1 hour', '4420')$$, 'it is there to be seen');
SELECT is((SELECT spendable FROM billing._spendable(1)), 5.0, 'the balance is as it was');
SELECT is(pg_temp.more(1, 60), '1: 120 s', 'another slice: two minutes from the beginning of the call');
SELECT is(pg_temp.left(1), 3.8, '5.00 - 120 x 0.01: the whole call so far and the slice');
SELECT is(pg_temp.slice('101', 300, '4930'), '2: 300 s', 'another call at the same time: 0.10 + 5 x 0.60 = 3.10 of 3.80');
SELECT is(pg_temp.left(1), 0.7, '3.80 - 3.10');
SELECT is(pg_temp.more(1, 60), '1: 180 s', 'the first call goes on: 0.60 of 0.70');
SELECT is(pg_temp.more(1, 60), '1: 190 s', 'less than a slice is left: 0.10');
SELECT is(pg_temp.more(1, 60), 'not_enough_balance (customer) ', 'and then nothing');
SELECT is((SELECT seconds FROM billing.open_reservation WHERE id = 1), 190, 'what it had stands');
SELECT is(pg_temp.slice('101', 60), 'not_enough_balance (customer) ', 'no third call');
SELECT is(pg_temp.left(1), 0.0, '5.00 = 1.90 + 3.10');

-- The second call ends after 61 s; it is stored, then released.
INSERT INTO billing.cdr (call_id, started_at, caller, callee, billsec) VALUES ('2', now(), '101', '4930', 61);
SELECT is(billing.release(2), false, 'settled, and the account is not overdrawn');
SELECT is(pg_temp.left(1), 1.8, '5.00 - 1.90 - (0.10 + 2 x 0.60)');
SELECT is(billing.release(2), false, 'again: the same');
SELECT is(pg_temp.more(2, 60), 'no_reservation () ', 'a call that is over cannot be extended');
SELECT is(pg_temp.more(99, 60), 'no_reservation () ', 'nor one that never was');
SELECT is(billing.release(99), NULL, 'nor released');
SELECT is(billing.release(NULL), NULL, 'nor nothing');
SELECT is_empty('SELECT FROM billing.open_reservation WHERE id = 2', 'what is released does not count');
SELECT is((SELECT count(*) FROM billing.reservation WHERE id = 2 AND released_at = now()), 1::bigint, 'but is still there');
SELECT is((SELECT max_seconds FROM billing.authorize(reservation => 1)), 250, 'without a number of seconds a slice is a minute');
SELECT is(billing.release(1), false, 'a call that was not stored costs nothing');
SELECT is(pg_temp.left(1), 3.7, '5.00 - 1.30');

-- Expiry.
SELECT is((SELECT expires_at FROM billing.authorize(caller => '101', callee => '4420', reserve => 60, expires => '5 minutes')), now() + interval '5 minutes', 'when it expires is the switch''s to say');
SELECT is(pg_temp.left(1), 3.1, 'it counts');
UPDATE billing.reservation SET expires_at = now() WHERE id = 3;
SELECT is(pg_temp.left(1), 3.7, 'from its expiry on it does not');
SELECT is_empty('SELECT FROM billing.open_reservation', 'nor is it seen');
SELECT is(pg_temp.more(3, 10), '3: 70 s', 'a switch that was late may still extend it');
SELECT is(pg_temp.left(1), 3.0, 'and it counts again');
SELECT is(billing.release(3), false, 'and is settled');

-- A chain: each link sets its own aside.
SELECT is(pg_temp.slice('111', 60), '4: 60 s', 'a booth');
SELECT results_eq('SELECT id, leg, account_id, amount FROM billing.open_reservation ORDER BY leg',
	$$VALUES (4::bigint, 'customer', 11::bigint, 0.60::numeric), (4, 'reseller', 10, 0.30)$$, 'C17: one number, the booth 0.60, the callshop 0.30');
SELECT is(pg_temp.slice('111', 600), '5: 140 s', 'C17: the callshop has 0.70 left, at 0.005 a second');
SELECT is(pg_temp.slice('111', 1), 'not_enough_balance (reseller) ', 'C17: then it has nothing, though the booth has');
SELECT is(billing.release(4), false, 'both are released');
SELECT results_eq('SELECT pg_temp.left(10), pg_temp.left(11)', 'VALUES (0.3, 3.6)', '1.00 - 0.70 and 5.00 - 1.40');
SELECT is(billing.release(5), false, 'and the other call');

-- Without a limit there is nothing to run out of, but it is kept all the same.
SELECT is(pg_temp.slice('102', 60), '6: 60 s', 'an account without a limit');
SELECT is((SELECT amount FROM billing.open_reservation WHERE id = 6), 0.60::numeric, 'what it will owe');
SELECT is(pg_temp.more(6, 0), '6: 61 s', 'a slice is a second at least');
SELECT is(billing.release(6), false, 'settled');

-- A charge that becomes smaller again: hung up at the dearest second, it must be there.
SELECT is(pg_temp.slice('101', 100, '1212'), '7: 100 s', '60 s cost 0.60, 100 s 0.20');
SELECT is((SELECT amount FROM billing.open_reservation WHERE id = 7), 0.60::numeric, 'the dearest second is reserved');
SELECT is(billing.release(7), false, 'settled');

-- The catalogue changes during a call: it is priced as of its beginning.
SELECT is((SELECT reservation_id FROM billing.authorize(caller => '101', callee => '4420', at => now() - interval '1 hour', reserve => 60)), 8::bigint, 'a call since an hour ago');
INSERT INTO billing.rate (id, tariff_id, prefix, price, valid_from) VALUES (5, 1, '44', 6, now() - interval '30 minutes');
SELECT is(pg_temp.more(8, 60), '8: 120 s', 'goes on');
SELECT is((SELECT amount FROM billing.open_reservation WHERE id = 8), 1.20::numeric, 'design 5: by the price at its beginning');
SELECT is(billing.release(8), false, 'settled');

-- Included minutes are reserved too: 100 s between two calls of an account without money.
INSERT INTO billing.plan (id, name, tariff_id) VALUES (1, 'hundred seconds', 1);
INSERT INTO billing.allowance (id, plan_id, name, seconds) VALUES (1, 1, 'USA', 100);
INSERT INTO billing.allowance_prefix (allowance_id, prefix) VALUES (1, '1');
INSERT INTO billing.account (id, name, currency, plan_id, billing) VALUES (20, 'Gus', 'EUR', 1, 'prepaid');
INSERT INTO billing.service (account_id, kind, identifier) VALUES (20, 'extension', '120');
SELECT is((SELECT max_seconds FROM billing.authorize(caller => '120', callee => '1212', reserve => 50)), 50, 'D10: 50 of 100 included seconds');
SELECT is((SELECT max_seconds FROM billing.authorize(caller => '120', callee => '1212', reserve => 70)), 50, 'D10: the other call has the other 50');
SELECT is((SELECT reason FROM billing.authorize(caller => '120', callee => '1212', reserve => 70)), 'not_enough_balance', 'D10: a third one none');
SELECT results_eq('SELECT seconds, amount, covered FROM billing.reservation WHERE account_id = 20', 'VALUES (50, 0.0, 50::bigint), (50, 0.0, 50)', 'what they count on');
SELECT is((SELECT bool_or(billing.release(id)) FROM billing.open_reservation), false, 'both are over');
SELECT is((SELECT max_seconds FROM billing.authorize(caller => '120', callee => '1212', reserve => 70)), 70, 'and what was not used is there again');
SELECT is((SELECT bool_or(billing.release(id)) FROM billing.open_reservation), false, 'settled');

INSERT INTO billing.cdr (call_id, started_at, caller, callee, billsec) VALUES ('g', now(), '120', '1212', 70);
SELECT is((SELECT max_seconds FROM billing.authorize(caller => '120', callee => '1212', reserve => 70)), 30, 'a call later 30 are left');
INSERT INTO billing.cdr (call_id, started_at, caller, callee, billsec) VALUES ('h', now(), '120', '1212', 30);
SELECT is((SELECT bool_or(billing.release(id)) FROM billing.open_reservation), false, 'what was covered is no overdraft: its credit is settled first');
SELECT is((SELECT spendable FROM billing._spendable(20)), 0.0, 'nothing was spent');

-- Overdrafts are booked, and said once (reading 9).
SELECT is_empty('SELECT FROM billing.alert', 'nothing so far');
SELECT is(pg_temp.slice('101', 60, '4930'), '13: 60 s', 'a call of a minute');
INSERT INTO billing.cdr (call_id, started_at, caller, callee, billsec) VALUES ('9', now(), '101', '4930', 600);
SELECT is((SELECT customer_amount FROM billing.cdr WHERE call_id = '9'), 6.10, 'reading 9: the switch did not hang up: it is charged all the same');
SELECT is(billing.release(13), true, 'an overdraft');
SELECT results_eq('SELECT kind, account_id, detail, ended_at FROM billing.alert',
	$$VALUES ('overdraft', 1::bigint, '{"spendable": -2.40000000, "currency": "EUR"}'::jsonb, NULL::timestamptz)$$, '5.00 - 1.30 - 6.10 = -2.40');
SELECT is((SELECT format('%s (%s)', reason, leg) FROM billing.authorize(caller => '101', callee => '4930')), 'over_credit_limit (customer)', 'no further call');
SELECT is(billing.check_overdrafts(), 1::bigint, 'the scheduler finds it too');
SELECT is((SELECT count(*) FROM billing.alert), 1::bigint, 'but says it once');
INSERT INTO billing.entry (account_id, kind, amount) VALUES (1, 'payment', 2.40);
SELECT is(billing.check_overdrafts(), 0::bigint, 'paid: at 0 it owes no more than it may');
SELECT is((SELECT count(*) FROM billing.alert WHERE ended_at = now()), 1::bigint, 'the alert is over');
INSERT INTO billing.cdr (call_id, started_at, caller, callee, billsec) VALUES ('10', now(), '101', '4930', 1);
SELECT is(billing.check_overdrafts(), 1::bigint, 'overdrawn anew');
SELECT is((SELECT count(*) FROM billing.alert WHERE ended_at IS NULL), 1::bigint, 'is said anew');
UPDATE billing.account SET billing = 'postpaid', credit_limit = NULL WHERE id = 1;
SELECT is(billing.check_overdrafts(), 0::bigint, 'without a limit there is no overdraft');
SELECT is_empty('SELECT FROM billing.alert WHERE ended_at IS NULL', 'and no alert');
INSERT INTO billing.cdr (call_id, started_at, caller, callee, billsec) VALUES ('11', now(), '102', '4420', 6000);
SELECT is(billing.check_overdrafts(), 0::bigint, 'who has none at all neither');

-- Included minutes of an account; one of its services has a plan of its own, which includes none. 44 costs 0.10 a second by now.
INSERT INTO billing.plan (id, name, tariff_id) VALUES (31, 'ten minutes', 1), (32, 'none', 1);
INSERT INTO billing.allowance (id, plan_id, name, seconds) VALUES (31, 31, 'all', 600);
INSERT INTO billing.allowance_prefix (allowance_id, prefix) VALUES (31, '');
INSERT INTO billing.account (id, name, currency, billing, plan_id) VALUES (30, 'Ida', 'EUR', 'prepaid', 31);
INSERT INTO billing.service (account_id, kind, identifier, plan_id) VALUES (30, 'extension', '130', NULL), (30, 'extension', '131', 32);
INSERT INTO billing.entry (account_id, kind, amount) VALUES (30, 'payment', 50);
SELECT matches(pg_temp.slice('131', 300), ': 300 s', 'a call without included minutes: 300 x 0.10 = 30.00 of 50.00');
SELECT is((SELECT covered FROM billing.reservation WHERE account_id = 30), 0::bigint, 'D11: it counts on none');
SELECT is((SELECT max_seconds FROM billing.authorize(caller => '130', callee => '4420')), 800, 'D11: another has all 600 s, and 20.00 / 0.10');

-- Two allowances of a plan, and an account without money.
INSERT INTO billing.plan (id, name, tariff_id) VALUES (33, 'two countries', 1);
INSERT INTO billing.allowance (id, plan_id, name, seconds) VALUES (33, 33, 'United Kingdom', 600), (34, 33, 'Germany', 600);
INSERT INTO billing.allowance_prefix (allowance_id, prefix) VALUES (33, '44'), (34, '49');
INSERT INTO billing.account (id, name, currency, billing, plan_id) VALUES (31, 'Jan', 'EUR', 'prepaid', 33);
INSERT INTO billing.service (account_id, kind, identifier) VALUES (31, 'extension', '132');
SELECT is((SELECT max_seconds FROM billing.authorize(caller => '132', callee => '4420', reserve => 200)), 200, 'D10: 200 of 600 s');
SELECT is((SELECT max_seconds FROM billing.authorize(caller => '132', callee => '4421', at_most => 1000)), 400, 'D10: another call to the same country has 400');
SELECT is((SELECT max_seconds FROM billing.authorize(caller => '132', callee => '4930', at_most => 1000)), 600, 'D12: one to another country all of its 600');
SELECT is((SELECT max_seconds FROM billing.authorize(caller => '132', callee => '4420', at => date_trunc('month', now()) + interval '1 month', at_most => 1000)), 600,
	'K21: and one in the next month all 600 of that');

SELECT * FROM finish();
ROLLBACK;
