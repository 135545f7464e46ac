-- The rules of the catalogue (design 3): what its constraints and guards refuse, and what they let pass.
BEGIN;
SET client_min_messages = warning;
SET TimeZone = 'UTC';
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS billing CASCADE;
SELECT billing.create_ledger();
ALTER TABLE billing.account ALTER id RESTART WITH 100000;
ALTER TABLE billing.tariff ALTER id RESTART WITH 100000;
ALTER SEQUENCE billing.rate_id_seq RESTART WITH 100000;
ALTER TABLE billing.service ALTER id RESTART WITH 100000;
SELECT no_plan();

-- What a statement is refused with, or null. One test for each row of a table of bad statements.
CREATE FUNCTION pg_temp.refusal(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	BEGIN
		EXECUTE statement;
		RAISE EXCEPTION USING ERRCODE = 'XX999';
	EXCEPTION WHEN SQLSTATE 'XX999' THEN RETURN NULL; WHEN OTHERS THEN RETURN SQLSTATE;
	END;
END $$;

INSERT INTO billing.account (id, name, currency, is_provider) VALUES (1, 'Vitelity', 'USD', true), (2, 'customer', 'USD', false), (3, 'reseller', 'USD', false);
INSERT INTO billing.account (id, name, currency, parent_id) VALUES (4, 'booth', 'USD', 3);
INSERT INTO billing.tariff (id, name, currency) VALUES (1, 'retail', 'USD'), (2, 'wholesale', 'USD'), (3, 'euro', 'EUR');
INSERT INTO billing.rate (id, tariff_id, prefix, price) VALUES (10, 1, '44', 0.02), (11, 1, '49', 0.03);
INSERT INTO billing.plan (id, name, tariff_id) VALUES (1, 'Business', 1), (2, 'unused', 1);
INSERT INTO billing.service (id, account_id, kind, identifier) VALUES (20, 2, 'trunk', 'tr-2'), (21, 2, 'did', '+442079460000'), (22, 3, 'extension', '100');

-- Money, whole seconds and digits: NaN and infinity nowhere, bounds exact.
SELECT is(pg_temp.refusal(format('UPDATE billing.%I SET %I = %L', c.relname, a.attname, v.bad)), v.sqlstate, format('design 3: %s.%s refuses %s', c.relname, a.attname, v.bad))
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_type t ON t.oid = a.atttypid
	CROSS JOIN (VALUES ('NaN', '23514'), ('Infinity', '23514'), ('-Infinity', '23514'), ('0.123456789', '23514')) v(bad, sqlstate)
WHERE c.relnamespace = 'billing'::regnamespace AND c.relname IN ('tariff', 'rate', 'plan', 'service', 'account')
	AND t.typname IN ('price', 'amount') AND a.attnum > 0 AND NOT a.attisdropped;
SELECT is(pg_temp.refusal(format('UPDATE billing.%s = %s', v.assignment, v.bad)), v.sqlstate, format('design 3: %s refuses %s', v.assignment, v.bad))
FROM (VALUES
	('tariff SET surcharge_percent', '''NaN''', '23514'), ('rate SET surcharge_percent', '''NaN''', '23514'), ('tariff SET loss_percent', '''NaN''', '23514'),
	('tariff SET surcharge_percent', '-100.1', '23514'), ('rate SET surcharge_percent', '10000', '22003'),
	('rate SET price', '100000000', '23514'), ('rate SET price', '-100000000', '23514'),
	('rate SET min_amount', '-1', '23514'), ('rate SET max_amount', '-0.01', '23514'), ('tariff SET min_amount', '-1', '23514'), ('tariff SET max_amount', '-1', '23514'),
	('rate SET first_increment', '-1', '23514'), ('rate SET first_increment', '86401', '23514'), ('rate SET next_increment', '0', '23514'), ('rate SET next_increment', '86401', '23514'),
	('tariff SET first_increment', '-1', '23514'), ('tariff SET first_increment', '86401', '23514'), ('tariff SET next_increment', '0', '23514'), ('tariff SET next_increment', '86401', '23514'),
	('tariff SET increment_rule', '''other''', '23514'), ('rate SET increment_rule', '''other''', '23514'),
	('tariff SET grace_seconds', '-1', '23514'), ('rate SET grace_seconds', '86401', '23514'), ('tariff SET free_seconds', '-1', '23514'), ('rate SET free_seconds', '86401', '23514'),
	('tariff SET boundary', '''other''', '23514'), ('rate SET boundary', '''other''', '23514'), ('tariff SET duration_rounding', '''down''', '23514'), ('rate SET duration_rounding', '''down''', '23514'),
	('tariff SET rounding_digits', '9', '23514'), ('tariff SET rounding_digits', '-5', '23514'), ('rate SET rounding_digits', '9', '23514'), ('rate SET rounding_mode', '''half_down''', '23514'),
	('tariff SET rounding_mode', '''half_down''', '23514'), ('tariff SET average_duration', '0', '23514'),
	('rate SET day_type', '''holiday''', '23514'), ('rate SET band', '''''', '23514'), ('rate SET valid_from', '''infinity''', '23514'), ('tariff SET connect_fee = 3, terms_from', '''infinity''', '23514'),
	('account SET credit_limit', '-1', '23514'), ('account SET billing', '''never''', '23514'), ('account SET name', '''''', '23514'), ('tariff SET name', '''''', '23514'),
	('plan SET cycle', '''daily''', '23514'), ('plan SET billing', '''never''', '23514'), ('plan SET on_failure', '''panic''', '23514'),
	('service SET max_channels', '0', '23514'), ('service SET active', '''empty''', '23514'), ('service SET attributes', '''{"password": "x"}''', '23514'),
	('service SET side', '''both''', '23514'), ('service SET kind', '''mac''', '23514'), ('service SET identifier', '''''', '23514'),
	('currency SET digits', '9', '23514'), ('currency SET code', '''usd''', '23514')
) v(assignment, bad, sqlstate);
SELECT is(pg_temp.refusal('INSERT INTO billing.rate_step (rate_id, from_second, price, increment) VALUES ' || v.bad), '23514', format('design 3: rate_step refuses %s', v.bad))
FROM (VALUES ('(11, 0, 0.1, 1)'), ('(11, 60, ''NaN'', 1)'), ('(11, 60, ''Infinity'', 1)'), ('(11, 60, 0.1, 0)'), ('(11, 60, 0.1, 86401)')) v(bad);
SELECT is(pg_temp.refusal('INSERT INTO billing.exchange_rate (base, quote, valid_from, rate) VALUES ' || v.bad), v.sqlstate, format('C28: exchange_rate refuses %s', v.bad))
FROM (VALUES ('(''EUR'', ''USD'', ''2026-01-01'', ''NaN'')', '23514'), ('(''EUR'', ''USD'', ''2026-01-01'', 0)', '23514'), ('(''EUR'', ''USD'', ''2026-01-01'', -1)', '23514'),
	('(''EUR'', ''EUR'', ''2026-01-01'', 1)', '23514'), ('(''EUR'', ''USD'', ''infinity'', 1)', '23514'), ('(''EUR'', ''ZZZ'', ''2026-01-01'', 1)', '23503')) v(bad, sqlstate);
SELECT lives_ok($$ UPDATE billing.rate SET price = -99999999.99999999, first_price = 99999999.99999999 WHERE id = 11 $$, 'design 3: prices up to the bounds, negative ones too');
SELECT lives_ok($$ UPDATE billing.rate SET first_increment = 0, next_increment = 1 WHERE id = 11 $$, 'design 5: a first increment of 0 is one');


-- Where a guard would refuse the same, the constraint answers first, and by its name.
SELECT throws_like(v.statement, format('%%"%s"%%', v.name), 'design 3: constraint ' || v.name) FROM (VALUES
	('tariff_not_its_own_base', 'UPDATE billing.tariff SET base_tariff_id = id WHERE id = 2'),
	('account_not_its_own_parent', 'UPDATE billing.account SET parent_id = id WHERE id = 2'),
	('rate_min_max', 'INSERT INTO billing.rate (tariff_id, prefix, min_amount, max_amount) VALUES (2, ''1'', 2, 1)'),
	('rate_aligned_free', 'INSERT INTO billing.rate (tariff_id, prefix, increment_rule, free_seconds) VALUES (2, ''1'', ''aligned'', 1)'),
	('rate_correction_reason', 'INSERT INTO billing.rate_correction (rate_id, reason, old, new) VALUES (10, '' '', ''{}'', ''{}'')'),
	('plan_name', 'UPDATE billing.plan SET name = '''' WHERE id = 2'),
	('account_terms_from', 'UPDATE billing.account SET tariff_id = 1, terms_from = ''infinity'' WHERE id = 2'),
	('service_terms_from', 'UPDATE billing.service SET tariff_id = 1, terms_from = ''infinity'' WHERE id = 20'),
	('service_side', 'UPDATE billing.service SET side = ''both'' WHERE id = 20')) v(name, statement);

-- Keys.
SELECT throws_ok($$ INSERT INTO billing.rate (id, tariff_id, prefix) VALUES (90, 1, '44') $$, '23505', NULL, 'design 3: one rate for tariff, prefix, exact, day type, band and valid_from, band null or not');
SELECT lives_ok($$ INSERT INTO billing.rate (id, tariff_id, prefix, exact) VALUES (90, 1, '44', true) $$, 'V17: the number 44 beside the prefix 44');
SELECT throws_ok($$ INSERT INTO billing.rate (id, tariff_id, prefix, exact) VALUES (91, 1, '', true) $$, '23514', NULL, 'V17: an exact rate names a number');
SELECT lives_ok($$ INSERT INTO billing.rate (id, tariff_id, prefix) VALUES (92, 1, '') $$, 'V20: the empty prefix is the default price');
SELECT throws_ok($$ INSERT INTO billing.tariff (id, name, currency) VALUES (90, 'retail', 'USD') $$, '23505', NULL, 'design 3: names of tariffs are unique');
SELECT throws_ok($$ INSERT INTO billing.account (id, name, currency) VALUES (90, 'customer', 'USD') $$, '23505', NULL, 'design 3: names of accounts are unique');
SELECT throws_ok($$ INSERT INTO billing.plan (id, name) VALUES (90, 'Business') $$, '23505', NULL, 'design 3: names of plans are unique');

-- Increments that make sense together.
SELECT is(pg_temp.refusal(v.statement), v.sqlstate, 'design 5: ' || v.what) FROM (VALUES
	('aligned with free seconds in a tariff', $$ UPDATE billing.tariff SET increment_rule = 'aligned', free_seconds = 1 WHERE id = 2 $$, '23514'),
	('aligned with free seconds in a rate', $$ INSERT INTO billing.rate (tariff_id, prefix, increment_rule, free_seconds) VALUES (2, '1', 'aligned', 1) $$, '23514'),
	('minimum above maximum in a tariff', $$ UPDATE billing.tariff SET min_amount = 2, max_amount = 1 WHERE id = 2 $$, '23514'),
	('minimum above maximum in a rate', $$ INSERT INTO billing.rate (tariff_id, prefix, min_amount, max_amount) VALUES (2, '1', 2, 1) $$, '23514')) v(what, statement, sqlstate);
INSERT INTO billing.tariff (id, name, currency, free_seconds, min_amount) VALUES (30, 'free seconds', 'USD', 10, 1);
INSERT INTO billing.tariff (id, name, currency, increment_rule, max_amount) VALUES (31, 'aligned', 'USD', 'aligned', 1);
INSERT INTO billing.rate (id, tariff_id, prefix) VALUES (300, 30, '1'), (310, 31, '1');
INSERT INTO billing.rate (id, tariff_id, prefix, min_amount, increment_rule, free_seconds) VALUES (311, 31, '2', 1, 'first_next', 10);
SELECT is(pg_temp.refusal(v.statement), v.sqlstate, 'design 5, inherited: ' || v.what) FROM (VALUES
	('aligned over free seconds of the tariff', $$ INSERT INTO billing.rate (tariff_id, prefix, increment_rule) VALUES (30, '2', 'aligned') $$, '23514'),
	('aligned over free seconds of the tariff, by UPDATE', $$ UPDATE billing.rate SET increment_rule = 'aligned' WHERE id = 300 $$, '23514'),
	('aligned with its own 0 free seconds', $$ INSERT INTO billing.rate (tariff_id, prefix, increment_rule, free_seconds) VALUES (30, '2', 'aligned', 0) $$, NULL),
	('free seconds under an aligned tariff', $$ INSERT INTO billing.rate (tariff_id, prefix, free_seconds) VALUES (31, '3', 1) $$, '23514'),
	('a tariff turned aligned over rates with free seconds', $$ UPDATE billing.tariff SET increment_rule = 'first_next' WHERE id = 31; UPDATE billing.rate SET increment_rule = NULL WHERE id = 311; UPDATE billing.tariff SET increment_rule = 'aligned' WHERE id = 31 $$, '23514'),
	('a step under an aligned tariff', $$ INSERT INTO billing.rate_step (rate_id, from_second, price) VALUES (310, 60, 1) $$, '23514'),
	('a step of a rate that is first_next', $$ INSERT INTO billing.rate_step (rate_id, from_second, price) VALUES (311, 60, 1) $$, NULL),
	('a rate with a step turned aligned', $$ INSERT INTO billing.rate_step (rate_id, from_second, price) VALUES (300, 60, 1); UPDATE billing.rate SET increment_rule = 'aligned', free_seconds = 0 WHERE id = 300 $$, '23514'),
	('a step moved to an aligned rate', $$ INSERT INTO billing.rate_step (rate_id, from_second, price) VALUES (300, 60, 1); UPDATE billing.rate_step SET rate_id = 310 $$, '23514'),
	('a maximum below the minimum of the tariff', $$ INSERT INTO billing.rate (tariff_id, prefix, max_amount) VALUES (30, '3', 0.5) $$, '23514'),
	('a minimum above the maximum of the tariff', $$ INSERT INTO billing.rate (tariff_id, prefix, min_amount) VALUES (31, '3', 1.5) $$, '23514'),
	('a tariff''s maximum put below a rate''s minimum', $$ UPDATE billing.tariff SET max_amount = 0.5 WHERE id = 31 $$, '23514'),
	('a former tariff''s maximum, while the rate is in force', $$ UPDATE billing.tariff SET max_amount = 5, terms_from = '2026-01-01' WHERE id = 31; INSERT INTO billing.rate (tariff_id, prefix, valid_from, min_amount) VALUES (31, '3', '2025-12-31', 2) $$, '23514'),
	('a former tariff''s maximum, before the rate is in force', $$ UPDATE billing.tariff SET max_amount = 5, terms_from = '2026-01-01' WHERE id = 31; INSERT INTO billing.rate (tariff_id, prefix, valid_from, min_amount) VALUES (31, '3', '2026-01-01', 2) $$, NULL)) v(what, statement, sqlstate);

-- One default customer tariff.
UPDATE billing.tariff SET is_default_customer = true, terms_from = '2026-01-01' WHERE id = 1;
SELECT throws_ok($$ UPDATE billing.tariff SET is_default_customer = true WHERE id = 2 $$, '23505', NULL, 'V15: at most one default customer tariff');
UPDATE billing.tariff SET is_default_customer = false, terms_from = '2026-03-01' WHERE id = 1;
SELECT throws_ok($$ UPDATE billing.tariff SET is_default_customer = true, terms_from = '2026-02-28' WHERE id = 2 $$, '23P01', NULL, 'V15: at no instant two, former ones included');
SELECT throws_ok($$ INSERT INTO billing.tariff (id, name, currency, is_default_customer) VALUES (91, 'default', 'USD', true) $$, '23P01', NULL, 'V15: nor a new tariff that reaches back');
SELECT lives_ok($$ UPDATE billing.tariff SET is_default_customer = true, terms_from = '2026-03-01' WHERE id = 2 $$, 'V15: one after the other');

-- Bases.
INSERT INTO billing.tariff (id, name, currency, base_tariff_id) VALUES (41, 'b1', 'USD', NULL), (42, 'b2', 'USD', 41), (43, 'b3', 'USD', 42), (44, 'b4', 'USD', 43);
SELECT lives_ok($$ INSERT INTO billing.tariff (id, name, currency, base_tariff_id) VALUES (45, 'b5', 'USD', 44) $$, 'design 3: four bases');
SELECT is(pg_temp.refusal(v.statement), v.sqlstate, 'design 3: ' || v.what) FROM (VALUES
	('a fifth base on top', $$ INSERT INTO billing.tariff (id, name, currency, base_tariff_id) VALUES (46, 'b6', 'USD', 45) $$, '23514'),
	('a fifth base below', $$ UPDATE billing.tariff SET base_tariff_id = 2 WHERE id = 41 $$, '23514'),
	('a circle', $$ UPDATE billing.tariff SET base_tariff_id = 43 WHERE id = 41 $$, '23514'),
	('itself', $$ UPDATE billing.tariff SET base_tariff_id = 41 WHERE id = 41 $$, '23514'),
	('a circle in one statement', $$ UPDATE billing.tariff SET base_tariff_id = CASE id WHEN 1 THEN 2 ELSE 1 END WHERE id IN (1, 2) $$, '23514'),
	('a circle with former terms', $$ UPDATE billing.tariff SET base_tariff_id = NULL WHERE id = 42; UPDATE billing.tariff SET base_tariff_id = 42 WHERE id = 41 $$, '23514'),
	('a circle by former terms written by hand', $$ INSERT INTO billing.tariff_terms SELECT (jsonb_populate_record(NULL::billing.tariff_terms, to_jsonb(t) || '{"tariff_id": 41, "base_tariff_id": 45, "terms_from": "2000-01-01", "replaced_at": "2026-01-01", "replaced_by": "me"}')).* FROM billing.tariff t WHERE id = 41 $$, '23514'),
	('a base in another currency', $$ UPDATE billing.tariff SET base_tariff_id = 3 WHERE id = 2 $$, '23514'),
	('another currency under a base', $$ UPDATE billing.tariff SET currency = 'EUR' WHERE id = 41 $$, '23514')) v(what, statement, sqlstate);

-- Accounts.
SELECT is(pg_temp.refusal(v.statement), v.sqlstate, 'design 3: ' || v.what) FROM (VALUES
	('a parent with a parent', $$ INSERT INTO billing.account (id, name, currency, parent_id) VALUES (50, 'x', 'USD', 4) $$, '23514'),
	('a parent that gets a parent', $$ UPDATE billing.account SET parent_id = 2 WHERE id = 3 $$, '23514'),
	('its own parent', $$ UPDATE billing.account SET parent_id = 2 WHERE id = 2 $$, '23514'),
	('child and parent in one statement', $$ INSERT INTO billing.account (id, name, currency, parent_id) VALUES (50, 'x', 'USD', 51), (51, 'y', 'USD', NULL) $$, NULL),
	('a chain in one statement', $$ INSERT INTO billing.account (id, name, currency, parent_id) VALUES (50, 'x', 'USD', 51), (51, 'y', 'USD', 3) $$, '23514'),
	('another parent', $$ UPDATE billing.account SET parent_id = 2 WHERE id = 4 $$, NULL),
	('a time zone', $$ UPDATE billing.account SET timezone = 'America/Argentina/Buenos_Aires' WHERE id = 2 $$, NULL),
	('a time zone with digits', $$ UPDATE billing.account SET timezone = 'Etc/GMT+5' WHERE id = 2 $$, NULL),
	('a misspelt time zone', $$ UPDATE billing.account SET timezone = 'Europe/Berlim' WHERE id = 2 $$, '22023'),
	('a POSIX time zone', $$ INSERT INTO billing.account (id, name, currency, timezone) VALUES (50, 'x', 'USD', 'Europe/Berlin1') $$, '22023'),
	('an abbreviation', $$ INSERT INTO billing.account (id, name, currency, timezone) VALUES (50, 'x', 'USD', 'CEST') $$, '22023')) v(what, statement, sqlstate);

-- Services.
INSERT INTO billing.service (id, account_id, kind, identifier, primary_id) VALUES (24, 2, 'virtual_number', '+442079460001', 21);
INSERT INTO billing.service (id, account_id, kind, identifier) VALUES (25, 2, 'ip', '10.0.0.1'), (26, 2, 'ip', '10.0.0.0/8'), (27, 2, 'ip', '2001:0DB8::/32'), (28, 2, 'ani', '+49*#AD');
INSERT INTO billing.service (id, side, account_id, kind, identifier) VALUES (29, 'provider', 1, 'trunk', 'tr-2');
SELECT results_eq($$ SELECT id, identifier FROM billing.service WHERE id IN (21, 24, 25, 26, 27, 28) ORDER BY id $$,
	$$ VALUES (21::bigint, '442079460000'), (24, '442079460001'), (25, '10.0.0.1/32'), (26, '10.0.0.0/8'), (27, '2001:db8::/32'), (28, '49*#AD') $$,
	'D8: identifiers are kept canonical');
SELECT is(pg_temp.refusal(v.statement), v.sqlstate, v.what) FROM (VALUES
	('D8: host bits', $$ INSERT INTO billing.service (account_id, kind, identifier) VALUES (2, 'ip', '10.0.0.1/8') $$, '22P02'),
	('D8: no address', $$ INSERT INTO billing.service (account_id, kind, identifier) VALUES (2, 'ip', '10.0.0.0/33') $$, '22P02'),
	('D8: a port is no address', $$ INSERT INTO billing.service (account_id, kind, identifier) VALUES (2, 'ip', '10.0.0.1:5060') $$, '22P02'),
	('D8: by UPDATE too', $$ UPDATE billing.service SET identifier = '10.0.0.1/8' WHERE id = 25 $$, '22P02'),
	('D8: the same network written otherwise', $$ INSERT INTO billing.service (account_id, kind, identifier) VALUES (3, 'ip', '10.0.0.1/32') $$, '23P01'),
	('a DID with spaces', $$ INSERT INTO billing.service (account_id, kind, identifier) VALUES (2, 'did', '44 20') $$, '22P02'),
	('an ani of letters', $$ INSERT INTO billing.service (account_id, kind, identifier) VALUES (2, 'ani', 'anonymous') $$, '22P02'),
	('a lone +', $$ INSERT INTO billing.service (account_id, kind, identifier) VALUES (2, 'did', '+') $$, '22P02'),
	('two +', $$ INSERT INTO billing.service (account_id, kind, identifier) VALUES (2, 'ani', '++49') $$, '22P02'),
	('D5: an extension may have letters', $$ INSERT INTO billing.service (account_id, kind, identifier) VALUES (2, 'extension', 'reception') $$, NULL),
	('P12: a pattern that does not compile', $$ INSERT INTO billing.service (account_id, kind, field, identifier) VALUES (2, 'pattern', 'caller', '^44(') $$, '2201B'),
	('P12: a pattern without a field', $$ INSERT INTO billing.service (account_id, kind, identifier) VALUES (2, 'pattern', '^44') $$, '23514'),
	('P12: a pattern over any raw field', $$ INSERT INTO billing.service (account_id, kind, field, identifier) VALUES (2, 'pattern', 'disposition', '^44') $$, NULL),
	('P12: a field that is none', $$ INSERT INTO billing.service (account_id, kind, field, identifier) VALUES (2, 'pattern', 'status', '^44') $$, '23514'),
	('a field without a pattern', $$ INSERT INTO billing.service (account_id, kind, field, identifier) VALUES (2, 'trunk', 'caller', 'x') $$, '23514'),
	('D4: a DID in stock', $$ INSERT INTO billing.service (kind, identifier) VALUES ('did', '442079460009') $$, NULL),
	('D4: nothing else is in stock', $$ INSERT INTO billing.service (kind, identifier) VALUES ('trunk', 'x') $$, '23514'),
	('D4: a DID with two customers at once', $$ INSERT INTO billing.service (account_id, kind, identifier) VALUES (3, 'did', '442079460000') $$, '23P01'),
	('D6: the same extension in another tenant', $$ INSERT INTO billing.service (account_id, kind, identifier, tenant) VALUES (2, 'extension', '100', 'b') $$, NULL),
	('D6: twice in one tenant', $$ INSERT INTO billing.service (account_id, kind, identifier) VALUES (2, 'extension', '100') $$, '23P01'),
	('P4: the same trunk on both sides', $$ SELECT 1 FROM billing.service WHERE id = 29 $$, NULL),
	('D13: the same identity one after the other', $$ UPDATE billing.service SET active = '[2026-01-01,2026-02-01)' WHERE id = 20; INSERT INTO billing.service (account_id, kind, identifier, active) VALUES (3, 'trunk', 'tr-2', '[2026-02-01,)') $$, NULL),
	('D13: overlapping by a second', $$ UPDATE billing.service SET active = '[2026-01-01,2026-02-01)' WHERE id = 20; INSERT INTO billing.service (account_id, kind, identifier, active) VALUES (3, 'trunk', 'tr-2', '[2026-01-31 23:59:59,)') $$, '23P01'),
	('reading 26: a virtual number of a virtual number', $$ INSERT INTO billing.service (account_id, kind, identifier, primary_id) VALUES (2, 'virtual_number', '442079460002', 24) $$, '23514'),
	('D9: a virtual number of a trunk', $$ INSERT INTO billing.service (account_id, kind, identifier, primary_id) VALUES (2, 'virtual_number', '442079460002', 20) $$, '23514'),
	('D9: of another account', $$ INSERT INTO billing.service (account_id, kind, identifier, primary_id) VALUES (3, 'virtual_number', '442079460002', 21) $$, '23514'),
	('D9: of another tenant', $$ INSERT INTO billing.service (account_id, kind, identifier, primary_id, tenant) VALUES (2, 'virtual_number', '442079460002', 21, 'b') $$, '23514'),
	('D9: without a primary', $$ INSERT INTO billing.service (account_id, kind, identifier) VALUES (2, 'virtual_number', '442079460002') $$, '23514'),
	('D9: a primary of something else', $$ INSERT INTO billing.service (account_id, kind, identifier, primary_id) VALUES (2, 'did', '442079460002', 21) $$, '23514'),
	('D9: with a tariff of its own', $$ INSERT INTO billing.service (account_id, kind, identifier, primary_id, tariff_id) VALUES (2, 'virtual_number', '442079460002', 21, 1) $$, '23514'),
	('D9: with a plan of its own', $$ INSERT INTO billing.service (account_id, kind, identifier, primary_id, plan_id) VALUES (2, 'virtual_number', '442079460002', 21, 1) $$, '23514'),
	('D9: the primary to another account', $$ UPDATE billing.service SET account_id = 3 WHERE id = 21 $$, '23514'),
	('D9: the primary to another kind', $$ UPDATE billing.service SET kind = 'trunk' WHERE id = 21 $$, '23514'),
	('D9: the primary to another tenant', $$ UPDATE billing.service SET tenant = 'b' WHERE id = 21 $$, '23514'),
	('D9: both to another account', $$ UPDATE billing.service SET account_id = 3 WHERE id IN (21, 24) $$, NULL),
	('P1: a provider service of a customer', $$ INSERT INTO billing.service (side, account_id, kind, identifier) VALUES ('provider', 2, 'auth_code', 'x') $$, '23514'),
	('P1: a DID from a customer', $$ INSERT INTO billing.service (account_id, kind, identifier, provider_id) VALUES (2, 'did', '442079460002', 3) $$, '23514'),
	('P1: a DID from a provider', $$ INSERT INTO billing.service (account_id, kind, identifier, provider_id) VALUES (2, 'did', '442079460002', 1) $$, NULL),
	('P1: a provider that loses its flag', $$ UPDATE billing.account SET is_provider = false WHERE id = 1 $$, '23514'),
	('P1: a DID''s provider that loses its flag', $$ UPDATE billing.service SET provider_id = 1 WHERE id = 21; DELETE FROM billing.service WHERE id = 29; UPDATE billing.account SET is_provider = false WHERE id = 1 $$, '23514'),
	('P1: a DID''s former provider that loses its flag', $$ DELETE FROM billing.service WHERE id = 29; UPDATE billing.service SET provider_id = 1, terms_from = '2025-01-01' WHERE id = 21; UPDATE billing.service SET provider_id = NULL WHERE id = 21; UPDATE billing.account SET is_provider = false WHERE id = 1 $$, '23514'),
	('P1: a former provider without services', $$ DELETE FROM billing.service WHERE id = 29; UPDATE billing.account SET is_provider = false WHERE id = 1 $$, NULL),
	('a provider of what is no DID', $$ INSERT INTO billing.service (account_id, kind, identifier, provider_id) VALUES (2, 'trunk', 'x', 1) $$, '23514'),
	('a source of a customer', $$ INSERT INTO billing.service (account_id, kind, identifier) VALUES (2, 'source', 'x') $$, '23514'),
	('a DID on the provider side', $$ INSERT INTO billing.service (side, account_id, kind, identifier) VALUES ('provider', 1, 'did', '442079460002') $$, '23514'),
	('an ani on the provider side', $$ INSERT INTO billing.service (side, account_id, kind, identifier) VALUES ('provider', 1, 'ani', '442079460002') $$, '23514')) v(what, statement, sqlstate);

-- Dated terms.
UPDATE billing.account SET tariff_id = 1, terms_from = '2025-01-01' WHERE id = 2;
SELECT results_eq($$ SELECT terms_from, tariff_id, replaced_by FROM billing.account_terms WHERE account_id = 2 $$, $$ VALUES ('-infinity'::timestamptz, NULL::bigint, session_user::text COLLATE "default") $$,
	'design 3: former terms are kept, with who replaced them');
UPDATE billing.account SET tariff_id = 2 WHERE id = 2;
SELECT results_eq($$ SELECT terms_from, tariff_id FROM billing.account_terms WHERE account_id = 2 ORDER BY 1 $$, $$ VALUES ('-infinity'::timestamptz, NULL::bigint), ('2025-01-01', 1) $$,
	'design 3: each of them');
SELECT is((SELECT terms_from FROM billing.account WHERE id = 2), now(), 'design 3: terms hold from now() when no instant is given');
UPDATE billing.account SET tariff_id = 31 WHERE id = 2;
SELECT is((SELECT count(*) FROM billing.account_terms WHERE account_id = 2), 2::bigint, 'design 3: terms that held for no time are not kept');
UPDATE billing.account SET custom = '{"note": 1}', active = false WHERE id = 2;
SELECT is((SELECT count(*) FROM billing.account_terms WHERE account_id = 2), 2::bigint, 'design 3: what prices nothing is not dated');
SELECT throws_ok($$ UPDATE billing.account SET tariff_id = 1, terms_from = '2025-06-01' WHERE id = 2 $$, '22023', NULL, 'design 3: terms do not begin before the present ones');
SELECT throws_ok($$ UPDATE billing.account SET terms_from = '2099-01-01' WHERE id = 2 $$, '22023', NULL, 'design 3: nor change their beginning');
UPDATE billing.account SET tariff_id = 1, terms_from = '2099-01-01' WHERE id = 2;
UPDATE billing.account SET tariff_id = 30 WHERE id = 2;
SELECT results_eq($$ SELECT terms_from, tariff_id FROM billing.account WHERE id = 2 $$, $$ VALUES ('2099-01-01'::timestamptz, 30::bigint) $$, 'design 3: announced terms are replaced before they begin');
SELECT lives_ok($$ UPDATE billing.service SET tariff_id = 1, out_payment = 0.01, terms_from = '2025-01-01' WHERE id = 20 $$, 'design 3: terms of a service');
SELECT results_eq($$ SELECT terms_from, tariff_id, plan_id, provider_id, out_payment::numeric FROM billing.service_terms WHERE service_id = 20 $$,
	$$ VALUES ('-infinity'::timestamptz, NULL::bigint, NULL::bigint, NULL::bigint, 0::numeric) $$, 'design 3: are kept');
SELECT is_empty($$
	SELECT t.name, c.name
	FROM (VALUES ('tariff', ARRAY['connect_fee', 'attempt_fee', 'min_amount', 'max_amount', 'first_increment', 'next_increment', 'grace_seconds', 'free_seconds', 'surcharge_percent',
		'increment_rule', 'boundary', 'duration_rounding', 'rounding_digits', 'rounding_mode', 'is_default_customer', 'base_tariff_id']),
		('account', ARRAY['tariff_id', 'plan_id', 'parent_id']), ('service', ARRAY['tariff_id', 'plan_id', 'provider_id', 'out_payment'])) t(name, columns)
		CROSS JOIN LATERAL unnest(t.columns) c(name)
	WHERE NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = format('billing.%s_terms', t.name)::regclass AND a.attname = c.name)
$$, 'design 3: every term of tariff, account and service is dated');
SELECT is_empty($$
	SELECT x.attname FROM pg_attribute x
	WHERE x.attrelid = 'billing.rate'::regclass AND x.attnum > 0 AND EXISTS (SELECT FROM pg_attribute y WHERE y.attrelid = 'billing.tariff'::regclass AND y.attname = x.attname)
		AND x.attname NOT IN ('id') AND NOT EXISTS (SELECT FROM pg_attribute y WHERE y.attrelid = 'billing.tariff_terms'::regclass AND y.attname = x.attname)
		AND x.attnum > 0
$$, 'design 3: every default that rates inherit is a dated term of the tariff');
INSERT INTO billing.account (id, name, currency) VALUES (60, 'gone', 'USD');
UPDATE billing.account SET tariff_id = 1, terms_from = '2025-01-01' WHERE id = 60;
SELECT lives_ok($$ DELETE FROM billing.account WHERE id = 60 $$, 'design 3: an account that no call names goes, with its former terms');

-- What calls have used. The calls are history: rated_at keeps them as they are.
INSERT INTO billing.plan (id, name, tariff_id) VALUES (3, 'in use', 1), (4, 'of a service', 1), (5, 'formerly in use', 1);
UPDATE billing.account SET plan_id = 3, terms_from = '2025-01-01' WHERE id = 3;
UPDATE billing.service SET plan_id = 4, terms_from = '2025-02-01' WHERE id = 20;
UPDATE billing.account SET plan_id = 5, terms_from = '2025-01-01' WHERE id = 4;
UPDATE billing.account SET plan_id = NULL WHERE id = 4;
SELECT is(pg_temp.refusal(format('UPDATE billing.plan SET tariff_id = 2 WHERE id = %s', v.id)), v.sqlstate, 'C21: tariff of a plan, ' || v.what)
FROM (VALUES (2, 'unused', NULL), (3, 'of an account', '23001'), (4, 'of a service', '23001'), (5, 'of an account formerly', '23001')) v(id, what, sqlstate);
SELECT lives_ok($$ UPDATE billing.plan SET fee = 3 WHERE id = 3 $$, 'C20: what prices no call of a plan changes');

INSERT INTO billing.calendar (id, name, timezone) VALUES (70, 'used', 'UTC');
INSERT INTO billing.calendar_band (calendar_id, band, starts, ends) VALUES (70, 'peak', '08:00', '20:00');
INSERT INTO billing.tariff (id, name, currency, calendar_id) VALUES (70, 'used', 'USD', 70);
INSERT INTO billing.rate (id, tariff_id, prefix, price, destination) VALUES (700, 70, '44', 0.02, 'UK'), (701, 70, '49', 0.03, 'Germany');
INSERT INTO billing.rate_step (rate_id, from_second, price) VALUES (700, 60, 0.01), (701, 60, 0.01);
INSERT INTO billing.account (id, name, currency) SELECT 700 + n, 'leg ' || n, 'USD' FROM generate_series(0, 6) n;
INSERT INTO billing.service (id, account_id, kind, identifier) SELECT 700 + n, 700, 'auth_code', 'code ' || n FROM generate_series(0, 3) n;

SELECT is(pg_temp.refusal($$ DELETE FROM billing.rate_step; INSERT INTO billing.cdr (call_id, started_at, rated_at, customer_rate_id) VALUES ('u', '2026-01-15', now(), 701); TRUNCATE billing.rate CASCADE $$),
	'23001', 'design 3: a used rate without steps stays under TRUNCATE');

-- Each leg by itself, each in a subtransaction of its own: a call that names rate 700 there.
SELECT is(pg_temp.refusal(format('INSERT INTO billing.cdr (call_id, started_at, rated_at, %s) VALUES (''u'', ''2026-01-15'', now(), 700); %s', n.name, v.statement)), '23001', format('design 3: %s keeps %s', n.name, v.what))
FROM unnest(ARRAY['customer_rate_id', 'reseller_rate_id', 'provider_rate_id', 'did_incoming_rate_id', 'did_owner_rate_id', 'did_provider_rate_id']) n(name)
	CROSS JOIN (VALUES ('the price', 'UPDATE billing.rate SET price = 1 WHERE id = 700'), ('the rate', 'DELETE FROM billing.rate_step WHERE rate_id = 700; DELETE FROM billing.rate WHERE id = 700')) v(what, statement);
SELECT is(pg_temp.refusal(format('INSERT INTO billing.cdr (call_id, started_at, rated_at, %s) VALUES (''u'', ''2026-01-15'', now(), 706); %s', n.name, v.statement)), '23001', format('design 3: %s keeps %s', n.name, v.what))
FROM unnest(ARRAY['customer_account_id', 'reseller_account_id', 'provider_account_id', 'did_incoming_account_id', 'did_owner_account_id', 'did_provider_account_id']) n(name)
	CROSS JOIN (VALUES ('the account', 'DELETE FROM billing.account WHERE id = 706'), ('its currency', 'UPDATE billing.account SET currency = ''EUR'' WHERE id = 706'),
		('its time zone', 'UPDATE billing.account SET timezone = ''Europe/Berlin'' WHERE id = 706'), ('its id', 'UPDATE billing.account SET id = 799 WHERE id = 706'),
		('it from TRUNCATE', 'TRUNCATE billing.account CASCADE')) v(what, statement);
SELECT is(pg_temp.refusal(format('INSERT INTO billing.cdr (call_id, started_at, rated_at, %s) VALUES (''u'', ''2026-01-15'', now(), 703); %s', n.name, v.statement)), '23001', format('design 3: %s keeps %s', n.name, v.what))
FROM unnest(ARRAY['customer_service_id', 'provider_service_id', 'did_service_id']) n(name)
	CROSS JOIN (VALUES ('the service', 'DELETE FROM billing.service WHERE id = 703'), ('its identifier', 'UPDATE billing.service SET identifier = ''other'' WHERE id = 703'),
		('its account', 'UPDATE billing.service SET account_id = 2 WHERE id = 703'), ('its kind', 'UPDATE billing.service SET kind = ''trunk'' WHERE id = 703'),
		('its tenant', 'UPDATE billing.service SET tenant = ''b'' WHERE id = 703'), ('its id', 'UPDATE billing.service SET id = 799 WHERE id = 703'),
		('its side', 'UPDATE billing.account SET is_provider = true; UPDATE billing.service SET side = ''provider'' WHERE id = 703'),
		('it from TRUNCATE', 'TRUNCATE billing.service CASCADE')) v(what, statement);

INSERT INTO billing.cdr (call_id, started_at, rated_at, status, customer_account_id, customer_service_id, customer_rate_id, customer_billsec, customer_amount)
VALUES ('used', '2026-01-15', now(), 'rated', 700, 700, 700, 60, 0.02);
SELECT is(pg_temp.refusal(format('UPDATE billing.rate SET %I = %s WHERE id = 700', v.name, v.value)), CASE v.name WHEN 'import' THEN NULL ELSE '23001' END,
	format('design 3: %s of a used rate %s', v.name, CASE v.name WHEN 'import' THEN 'may change' ELSE 'stays' END))
FROM (
	SELECT a.attname AS name, CASE a.attname WHEN 'tariff_id' THEN '2' WHEN 'prefix' THEN '''45''' WHEN 'day_type' THEN '''work''' WHEN 'band' THEN '''peak''' WHEN 'valid_from' THEN '''2026-01-01'''
		WHEN 'destination' THEN '''United Kingdom''' WHEN 'increment_rule' THEN '''first_next''' WHEN 'boundary' THEN '''start''' WHEN 'duration_rounding' THEN '''none''' WHEN 'rounding_mode' THEN '''down'''
		WHEN 'exact' THEN 'true' WHEN 'blocked' THEN 'true' WHEN 'withdrawn' THEN 'true' WHEN 'id' THEN '799' ELSE '7' END AS value
	FROM pg_attribute a WHERE a.attrelid = 'billing.rate'::regclass AND a.attnum > 0 AND NOT a.attisdropped) v
WHERE v.name <> 'id';
SELECT is(pg_temp.refusal(v.statement), v.sqlstate, 'design 3: ' || v.what) FROM (VALUES
	('id of a used rate stays', $$ DELETE FROM billing.rate_step; UPDATE billing.rate SET id = 799 WHERE id = 700 $$, '23001'),
	('an unused rate may change', $$ UPDATE billing.rate SET price = 1 WHERE id = 701 $$, NULL),
	('an unused rate may go', $$ DELETE FROM billing.rate_step WHERE rate_id = 701; DELETE FROM billing.rate WHERE id = 701 $$, NULL),
	('an UPDATE that changes nothing passes', $$ UPDATE billing.rate SET price = price $$, NULL),
	('one used rate among many', $$ UPDATE billing.rate SET price = 1 $$, '23001'),
	('a used rate stays under TRUNCATE', $$ TRUNCATE billing.rate CASCADE $$, '23001'),
	('a new step of a used rate', $$ INSERT INTO billing.rate_step (rate_id, from_second, price) VALUES (700, 120, 0.001) $$, '23001'),
	('a changed step of a used rate', $$ UPDATE billing.rate_step SET price = 0.001 WHERE rate_id = 700 $$, '23001'),
	('a step moved to a used rate', $$ UPDATE billing.rate_step SET rate_id = 700, from_second = 90 WHERE rate_id = 701 $$, '23001'),
	('a step moved away from a used rate', $$ UPDATE billing.rate_step SET rate_id = 701, from_second = 90 WHERE rate_id = 700 $$, '23001'),
	('a deleted step of a used rate', $$ DELETE FROM billing.rate_step WHERE rate_id = 700 $$, '23001'),
	('TRUNCATE of the steps of a used rate', $$ TRUNCATE billing.rate_step $$, '23001'),
	('steps of an unused rate may change', $$ UPDATE billing.rate_step SET price = 1 WHERE rate_id = 701; INSERT INTO billing.rate_step (rate_id, from_second, price) VALUES (701, 120, 0.001); DELETE FROM billing.rate_step WHERE rate_id = 701 $$, NULL),
	('the currency of a used tariff', $$ UPDATE billing.tariff SET currency = 'EUR' WHERE id = 70 $$, '23001'),
	('the owner of a used tariff', $$ UPDATE billing.tariff SET owner_id = 3 WHERE id = 70 $$, '23001'),
	('the currency of an unused tariff', $$ UPDATE billing.tariff SET currency = 'EUR' WHERE id = 3 $$, NULL),
	('the owner of an unused tariff', $$ UPDATE billing.tariff SET owner_id = 3 WHERE id = 3 $$, NULL),
	('the currency of an unused account', $$ UPDATE billing.account SET currency = 'EUR' WHERE id = 706 $$, NULL),
	('the time zone of an unused account', $$ UPDATE billing.account SET timezone = 'Europe/Berlin' WHERE id = 706 $$, NULL),
	('a used service ends', $$ UPDATE billing.service SET active = '(,2026-02-01)', monthly_fee = 1 WHERE id = 700 $$, NULL),
	('the cost centre of a used service', $$ UPDATE billing.service SET cost_center = 'x' WHERE id = 700 $$, '23001'),
	('terms of a used service change, dated', $$ UPDATE billing.service SET tariff_id = 2 WHERE id = 700 $$, NULL),
	('an unused service goes', $$ DELETE FROM billing.service WHERE id = 701 $$, NULL),
	('an unused service changes', $$ UPDATE billing.service SET identifier = 'other', account_id = 2 WHERE id = 701 $$, NULL)) v(what, statement, sqlstate);
SELECT is(pg_temp.refusal($$ INSERT INTO billing.service (id, account_id, kind, identifier) VALUES (710, 2, 'did', '4420'), (711, 2, 'did', '4421');
	INSERT INTO billing.service (id, account_id, kind, identifier, primary_id) VALUES (712, 2, 'virtual_number', '4422', 710);
	INSERT INTO billing.cdr (call_id, started_at, rated_at, customer_service_id) VALUES ('v', '2026-01-15', now(), 712);
	UPDATE billing.service SET primary_id = 711 WHERE id = 712 $$), '23001', 'D9: a used virtual number keeps its primary, whose prices it shares');

-- Corrections.
SELECT is(billing.correct_rate(700, '{"price": 0.025, "connect_fee": 0.1, "steps": [{"from_second": 60, "price": 0.01, "increment": 1}, {"from_second": 120, "price": 0.005, "increment": 6}]}', 'typo in the list'), 700::bigint,
	'design 3: correct_rate() corrects a used rate');
SELECT results_eq($$ SELECT price::numeric, connect_fee::numeric, prefix::text, destination FROM billing.rate WHERE id = 700 $$, $$ VALUES (0.025, 0.1, '44', 'UK') $$, 'design 3: in place, so that rating again is right');
SELECT results_eq($$ SELECT from_second, price::numeric, increment FROM billing.rate_step WHERE rate_id = 700 ORDER BY 1 $$, $$ VALUES (60, 0.01, 1), (120, 0.005, 6) $$, 'design 3: with its steps');
SELECT results_eq($$ SELECT rate_id, corrected_at, corrected_by, reason, (old ->> 'price')::numeric, (new ->> 'price')::numeric, jsonb_array_length(old -> 'steps') FROM billing.rate_correction $$,
	$$ VALUES (700::bigint, now(), session_user::text COLLATE "default", 'typo in the list', 0.02, 0.025, 1) $$, 'design 3: the old row, author and reason are kept');
SELECT is(pg_temp.refusal(v.statement), v.sqlstate, 'design 3: ' || v.what) FROM (VALUES
	('a correction lets nothing else pass', $$ UPDATE billing.rate SET price = 0.026 WHERE id = 700 $$, '23001'),
	('nor further columns', $$ UPDATE billing.rate SET price = 0.02, attempt_fee = 1 WHERE id = 700 $$, '23001'),
	('nor further steps', $$ INSERT INTO billing.rate_step (rate_id, from_second, price) VALUES (700, 240, 0.001) $$, '23001'),
	('nor a deleted step', $$ DELETE FROM billing.rate_step WHERE rate_id = 700 $$, '23001'),
	('nor a deleted rate', $$ SELECT billing.correct_rate(700, '{"steps": []}', 'none'); DELETE FROM billing.rate WHERE id = 700 $$, '23001'),
	('a second correction', $$ SELECT billing.correct_rate(700, '{"price": 0.027, "connect_fee": null}', 'again') $$, NULL),
	('no steps', $$ SELECT billing.correct_rate(700, '{"steps": []}', 'none') $$, NULL),
	('a changed step', $$ SELECT billing.correct_rate(700, '{"steps": [{"from_second": 60, "price": 0.3, "increment": 1}]}', 'other') $$, NULL),
	('another prefix is no correction', $$ SELECT billing.correct_rate(700, '{"prefix": "45"}', 'x') $$, '22023'),
	('another id is no correction', $$ SELECT billing.correct_rate(700, '{"id": 45}', 'x') $$, '22023'),
	('no reason', $$ SELECT billing.correct_rate(700, '{"price": 1}', '') $$, '22023'),
	('null reason', $$ SELECT billing.correct_rate(700, '{"price": 1}', NULL) $$, '22023'),
	('no changes', $$ SELECT billing.correct_rate(700, '{}', 'x') $$, '22023'),
	('null changes', $$ SELECT billing.correct_rate(700, NULL, 'x') $$, '22023'),
	('NaN is no correction', $$ SELECT billing.correct_rate(700, '{"price": "NaN"}', 'x') $$, '23514'),
	('nor are words', $$ SELECT billing.correct_rate(700, '{"price": "cheap"}', 'x') $$, '22P02'),
	('nor a null price', $$ SELECT billing.correct_rate(700, '{"price": null}', 'x') $$, '23502'),
	('aligned increments with steps are no correction', $$ SELECT billing.correct_rate(700, '{"increment_rule": "aligned"}', 'x') $$, '23514'),
	('an unknown rate', $$ SELECT billing.correct_rate(-1, '{"price": 1}', 'x') $$, 'P0002'),
	('a null rate', $$ SELECT billing.correct_rate(NULL, '{"price": 1}', 'x') $$, 'P0002')) v(what, statement, sqlstate);
SELECT lives_ok($$ SELECT billing.change_timezone(700, 'Europe/Berlin') $$, 'design 3: change_timezone() of an account with calls');
SELECT is((SELECT timezone FROM billing.account WHERE id = 700), 'Europe/Berlin', 'design 3: has changed it');
SELECT results_eq($$ SELECT account_id, changed_by, old, new FROM billing.timezone_change $$, $$ VALUES (700::bigint, session_user::text COLLATE "default", 'UTC', 'Europe/Berlin') $$, 'design 3: and kept the old one');
SELECT throws_ok($$ UPDATE billing.account SET timezone = 'UTC' WHERE id = 700 $$, '23001', NULL, 'design 3: UPDATE still may not');
SELECT throws_ok($$ SELECT billing.change_timezone(700, 'Berlin') $$, '22023', NULL, 'design 3: nor is an unknown zone taken');
SELECT throws_ok($$ SELECT billing.change_timezone(-1, 'UTC') $$, 'P0002', NULL, 'design 3: an unknown account');

-- Signals.
SELECT results_eq($$
	SELECT c.relname::text COLLATE "default", count(*) FILTER (WHERE t.tgtype & 1 <> 0), count(*) FILTER (WHERE t.tgtype & 3 = 2), count(*) FILTER (WHERE t.tgtype & 32 <> 0)
	FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
	WHERE t.tgfoid = 'billing.catalogue_changed()'::regprocedure AND t.tgenabled = 'A'
	GROUP BY 1 ORDER BY 1
$$, $$ SELECT name, 1::bigint, 1::bigint, 1::bigint FROM unnest(ARRAY['account', 'account_terms', 'allowance', 'allowance_prefix', 'archived_partition', 'calendar', 'calendar_band', 'calendar_day', 'currency', 'did_rate', 'exchange_rate', 'plan', 'rate', 'rate_step', 'service', 'service_terms', 'tariff', 'tariff_terms']) name ORDER BY 1 $$,
	'design 7: every catalogue table signals before a statement, each row and TRUNCATE, always');

SELECT * FROM finish();
ROLLBACK;
