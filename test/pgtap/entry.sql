-- billing.entry: money that is not calls (C1, C8, C27, design 6).
BEGIN;
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS billing CASCADE;
CREATE ROLE billing_test_owner;
CREATE ROLE billing_test_clerk;
GRANT USAGE, CREATE ON SCHEMA billing TO billing_test_owner;
GRANT USAGE ON SCHEMA billing TO billing_test_clerk;
GRANT EXECUTE ON FUNCTION billing.create_ledger() TO billing_test_owner;
SET ROLE billing_test_owner;
SELECT billing.create_ledger();
RESET ROLE;
SELECT no_plan();

INSERT INTO billing.account (id, name, currency, timezone) VALUES (1, 'Berlin', 'EUR', 'Europe/Berlin'), (2, 'Havana', 'USD', 'America/Havana'), (3, 'without', 'EUR', 'UTC'), (4, 'other', 'EUR', 'UTC');

-- What an entry is.
INSERT INTO billing.entry (account_id, kind, amount) SELECT 4, k, 1 FROM unnest('{payment,adjustment,fee,refund,settlement}'::text[]) k;
SELECT is((SELECT count(*) FROM billing.entry WHERE at = now()), 5::bigint, 'C1 C27: payments, adjustments, fees, refunds and settlements, at once unless it is said when');
INSERT INTO billing.entry (account_id, kind, amount, reference) VALUES (4, 'payment', 10, 'R1'), (4, 'payment', 10, 'R1');
SELECT is((SELECT count(*) FROM billing.entry WHERE reference = 'R1'), 2::bigint, 'two payments may name one invoice');
INSERT INTO billing.entry (account_id, kind, amount, leg, destination, period_from, period_until, note) VALUES (4, 'settlement', -0.00000001, 'provider', 'UK', '2026-02-01', '2026-03-01', 'dispute 7');
SELECT results_eq($$SELECT amount::numeric, leg, destination, period_from, period_until, note FROM billing.entry WHERE kind = 'settlement' AND leg IS NOT NULL$$,
	$$VALUES (-0.00000001, 'provider', 'UK', '2026-02-01'::date, '2026-03-01'::date, 'dispute 7')$$, 'promise 5: to the eighth decimal, for a leg, a destination and a period');
SELECT throws_ok(format('INSERT INTO billing.entry (account_id, kind, amount, %s) VALUES (4, ''fee'', %s)', columns, content), state, NULL, what) FROM (VALUES
	('note', '1.123456789, NULL', '23514', 'promise 5: a ninth decimal is refused and not rounded'),
	('note', '''NaN'', NULL', '23514', 'promise 5: NaN is no money'),
	('note', '''Infinity'', NULL', '23514', 'promise 5: nor is infinity'),
	('note', 'NULL, NULL', '23502', 'an entry has an amount'),
	('at', '1, ''infinity''', '23514', 'it is of some day'),
	('at', '1, ''-infinity''', '23514', 'which is not before all days'),
	('at', '1, NULL', '23502', 'nor none'),
	('leg', '1, ''operator''', '23514', 'an unknown leg'),
	('period_from, period_until', '1, ''2026-02-01'', ''2026-02-01''', '23514', 'a period has a day at least'),
	('period_from', '1, ''-infinity''', '23514', 'and ends')) v(columns, content, state, what);
SELECT throws_ok($$INSERT INTO billing.entry (account_id, kind, amount) VALUES (4, 'bonus', 1)$$, '23514', NULL, 'an unknown kind');
SELECT throws_ok($$INSERT INTO billing.entry (account_id, kind, amount) VALUES (99, 'fee', 1)$$, '23503', NULL, 'an unknown account');
SELECT throws_ok($$INSERT INTO billing.entry (account_id, kind, amount) VALUES (NULL, 'fee', 1)$$, '23502', NULL, 'no account');

-- Append only.
SELECT throws_ok(statement, '23001', 'billing.entry is append only', 'design 6: append only: ' || statement) FROM unnest(ARRAY[
	'UPDATE billing.entry SET note = ''x''', 'UPDATE billing.entry SET amount = 2 WHERE id = 1', 'DELETE FROM billing.entry', 'DELETE FROM billing.entry WHERE false', 'TRUNCATE billing.entry',
	'INSERT INTO billing.entry (id, account_id, kind, amount) VALUES (1, 4, ''payment'', 2) ON CONFLICT (id) DO UPDATE SET amount = 2']) statement;
SELECT throws_ok('TRUNCATE billing.account CASCADE', '23001', NULL, 'design 6: nor do entries go with their accounts');

-- Who and when is not for the writer to say, and the writer needs no other right.
GRANT INSERT (account_id, kind, amount, created_at, created_by, at) ON billing.entry TO billing_test_clerk;
SET ROLE billing_test_clerk;
SELECT lives_ok($$INSERT INTO billing.entry (account_id, kind, amount, created_at, created_by) VALUES (3, 'payment', 5, '2000-01-01', 'somebody else')$$, 'a clerk needs INSERT only, in a ledger of any owner');
RESET ROLE;
SELECT is((SELECT format('%s %s', created_at, created_by) FROM billing.entry WHERE account_id = 3), format('%s %s', now(), session_user), 'who wrote an entry and when cannot be forged');

-- Closed periods: days before 1 March 2026 in Berlin, where it begins at 23:00 UTC of the day before.
SELECT billing.close_period(1, '2026-03-01');
CREATE FUNCTION pg_temp.refusal(account bigint, instant timestamptz) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO billing.entry (account_id, at, kind, amount) VALUES (account, instant, 'payment', 1);
	RETURN NULL;
EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
SELECT is(pg_temp.refusal(1, '2026-02-28 22:59:59.999999+00'), '55000 account 1 is closed until 2026-03-01', 'design 6: no entry in a closed period');
SELECT is(pg_temp.refusal(1, '2020-01-01'), '55000 account 1 is closed until 2026-03-01', 'design 6: however long ago');
SELECT is(pg_temp.refusal(1, '4712-01-01 BC'), '55000 account 1 is closed until 2026-03-01', 'design 6: even then');
SELECT is(pg_temp.refusal(1, '2026-02-28 23:00+00'), NULL, 'design 6: from its end on, in the time zone of the account');
SELECT is(pg_temp.refusal(3, '2020-01-01'), NULL, 'other accounts are not closed');
SET ROLE billing_test_clerk;
SELECT throws_ok($$INSERT INTO billing.entry (account_id, kind, amount, at) VALUES (1, 'payment', 5, '2026-01-01')$$, '55000', 'account 1 is closed until 2026-03-01', 'nor may a clerk who cannot read when it was closed');
RESET ROLE;
SELECT billing.reopen_period(1, '2026-02-01', 'a payment was forgotten');
SELECT is(pg_temp.refusal(1, '2026-02-28 12:00+00'), NULL, 'until it is opened again');
SELECT is(pg_temp.refusal(1, '2026-01-31 12:00+00'), '55000 account 1 is closed until 2026-02-01', 'as far as it is');
SELECT billing.reopen_period(1, NULL, 'all of it');
SELECT is(pg_temp.refusal(1, '2026-01-31 12:00+00'), NULL, 'all of it');
-- Havana sets its clocks back from 01:00 to 00:00 on 2 November 2025: that day begins at 04:00 UTC, its second midnight is at 05:00 UTC.
SELECT billing.close_period(2, '2025-11-02');
SELECT is(pg_temp.refusal(2, '2025-11-02 03:59+00'), '55000 account 2 is closed until 2025-11-02', 'reading 16: a day that begins twice: the day before is closed');
SELECT is(pg_temp.refusal(2, '2025-11-02 04:30+00'), NULL, 'reading 16: and its first hour is open');
SELECT is(ARRAY[billing._period_closed(2, NULL, '2025-11-02 03:59:59+00'), billing._period_closed(NULL, 2, '2025-11-02 04:00+00')], '{t,f}', 'reading 16: to re-rating too');

-- Guards of the account.
SELECT throws_ok('UPDATE billing.account SET currency = ''USD'' WHERE id = 3', '23001', 'account "without" has calls or entries: its id and currency stay', 'design 3: the currency stays once an entry names the account');
SELECT throws_ok('UPDATE billing.account SET id = 33 WHERE id = 3', NULL, NULL, 'design 3: so does the id');
SELECT throws_ok('UPDATE billing.account SET timezone = ''Asia/Tokyo'' WHERE id = 3', '23001', NULL, 'design 3: and the time zone');
SELECT throws_ok('DELETE FROM billing.account WHERE id = 3', '23503', NULL, 'an account with entries is never deleted');
INSERT INTO billing.account (id, name, currency) VALUES (5, 'empty', 'EUR');
SELECT lives_ok('UPDATE billing.account SET currency = ''USD'', id = 6, timezone = ''Asia/Tokyo'' WHERE id = 5', 'design 3: as long as nothing names it, all may change');
SELECT lives_ok('DELETE FROM billing.account WHERE id = 6', 'and it may go');
SELECT lives_ok('UPDATE billing.account SET credit_limit = 5, active = false WHERE id = 3', 'what is no key of an entry may change');
SELECT billing.change_timezone(3, 'Asia/Tokyo');
-- 2020-01-01 00:00 UTC is 09:00 in Tokyo; 2019-12-31 16:00 UTC is the next day there.
INSERT INTO billing.entry (account_id, at, kind, amount) VALUES (3, '2019-12-31 16:00+00', 'fee', -3);
SELECT is(billing.account_balance(3, '2020-01-01'), 0.0, 'design 3: change_timezone() moves entries too: none before the day');
SELECT is(billing.account_balance(3, '2020-01-02'), -2.0, 'design 3: on the day 1 - 3');

SELECT * FROM finish();
ROLLBACK;
