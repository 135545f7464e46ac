CREATE TABLE billing.currency (
	code text PRIMARY KEY CONSTRAINT currency_code CHECK (code ~ '^[A-Z]{3}$'),
	digits smallint NOT NULL CONSTRAINT currency_digits CHECK (digits BETWEEN 0 AND 8),
	name text
);
COMMENT ON TABLE billing.currency IS 'Currencies by their ISO 4217 code; filled by create_ledger(), own ones may be added.';
COMMENT ON COLUMN billing.currency.code IS 'ISO 4217 code: three capital letters.';
COMMENT ON COLUMN billing.currency.digits IS 'Decimals of the smallest coin; what people are shown and invoiced in.';
COMMENT ON COLUMN billing.currency.name IS 'Its name in English.';

CREATE TABLE billing.exchange_rate (
	base text NOT NULL REFERENCES billing.currency,
	quote text NOT NULL REFERENCES billing.currency,
	valid_from timestamptz NOT NULL DEFAULT '-infinity' CONSTRAINT exchange_rate_valid_from CHECK (valid_from < 'infinity'),
	rate numeric(18,9) NOT NULL CONSTRAINT exchange_rate_positive CHECK (rate > 0 AND rate < 1000000000),
	PRIMARY KEY (base, quote, valid_from),
	CONSTRAINT exchange_rate_pair CHECK (base <> quote)
);
COMMENT ON TABLE billing.exchange_rate IS 'One unit of base is rate units of quote from valid_from on (C28, reading 38). Rating asks for the direct pair, else for the inverse, never through a third currency. A row that is changed or deleted makes the calls that it converted stale: they keep their amounts until they are rated again; a new rate is a new valid_from.';
COMMENT ON COLUMN billing.exchange_rate.base IS 'Currency of which one unit is priced.';
COMMENT ON COLUMN billing.exchange_rate.quote IS 'Currency in which it is priced.';
COMMENT ON COLUMN billing.exchange_rate.valid_from IS 'In force from this instant until a later row of the pair.';
COMMENT ON COLUMN billing.exchange_rate.rate IS 'How many units of quote one unit of base is worth; 9 decimals.';
