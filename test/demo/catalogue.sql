-- The demo's ledger and catalogue, from an empty database: run by psql -X in the directory that test/demo/generate
-- filled.
\set ON_ERROR_STOP on
\set QUIET on
SET client_min_messages = warning;

CREATE EXTENSION billing CASCADE;
SELECT billing.create_ledger() \g /dev/null

-- ---- What the calls are rated by

-- A price list with the currency and the increments that its prices hold for.
INSERT INTO billing.tariff (name, currency, first_increment, next_increment, connect_fee) VALUES
	('Vitelity 2026', 'USD', 6, 6, 0),
	('Gafachi 2026', 'USD', 1, 1, 0),
	('Vodafone 2026', 'EUR', 60, 60, 0.002),
	('Retail', 'USD', 60, 60, 0.01),
	('Wholesale', 'USD', 6, 6, 0),
	('Flat', 'USD', 1, 1, 0);
INSERT INTO billing.exchange_rate (base, quote, valid_from, rate) VALUES
	('EUR', 'USD', '-infinity', 1.0825),
	('EUR', 'USD', '2026-10-15 00:00+00', 1.0710);

-- The providers, and how each is found in a call: by the file, by the trunks to it, by its code.
INSERT INTO billing.account (name, is_provider, tariff_id, currency, timezone)
SELECT p.name, true, t.id, 'USD', p.timezone
FROM (VALUES ('Vitelity', 'America/New_York'), ('Gafachi', 'UTC'), ('Vodafone', 'Europe/London')) p (name, timezone)
	JOIN billing.tariff t ON t.name = p.name || ' 2026';
INSERT INTO billing.service (account_id, side, kind, identifier)
SELECT a.id, 'provider', s.kind, s.identifier
FROM (VALUES ('Vitelity', 'source', 'vitelity'), ('Gafachi', 'trunk', 'gafachi-ny'), ('Gafachi', 'trunk', 'gafachi-la'), ('Vodafone', 'auth_code', 'VF-0042')) s (provider, kind, identifier)
	JOIN billing.account a ON a.name = s.provider;

-- The customers: most on a shared price list, five on one of their own over Retail.
CREATE TEMP TABLE customer (name text, tariff text);
CREATE TEMP TABLE identity (account text, kind text, identifier text);
CREATE TEMP TABLE price (tariff text, prefix billing.prefix, exact boolean, destination text, price numeric, blocked boolean);
\copy customer FROM 'customers.csv' (FORMAT csv, HEADER)
\copy identity FROM 'services.csv' (FORMAT csv, HEADER)
\copy price FROM 'prices.csv' (FORMAT csv, HEADER)
INSERT INTO billing.tariff (name, currency, base_tariff_id, first_increment, next_increment)
SELECT c.name, 'USD', retail.id, 30, 6
FROM customer c, billing.tariff retail
WHERE retail.name = 'Retail' AND c.tariff = c.name;
INSERT INTO billing.account (name, tariff_id, currency)
SELECT c.name, t.id, 'USD'
FROM customer c JOIN billing.tariff t ON t.name = c.tariff;
INSERT INTO billing.service (account_id, kind, identifier)
SELECT a.id, i.kind, i.identifier
FROM identity i JOIN billing.account a ON a.name = i.account;
INSERT INTO billing.rate (tariff_id, prefix, exact, destination, price, blocked)
SELECT t.id, p.prefix, p.exact, p.destination, p.price, p.blocked
FROM price p JOIN billing.tariff t ON t.name = p.tariff;
ANALYZE;

-- The month, and what lies before and after it in other time zones.
SELECT billing.create_partitions('2026-09-01', '2026-12-01', '1 month') \g /dev/null
