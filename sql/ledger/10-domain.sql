-- Money of the catalogue. Plain numeric with a CHECK instead of a typmod, so that a ninth decimal is
-- refused and not silently rounded; NaN sorts above every number and fails the upper bound.

CREATE DOMAIN billing.price AS numeric
	CONSTRAINT price_in_range CHECK (VALUE > -100000000 AND VALUE < 100000000)
	CONSTRAINT price_has_8_decimals CHECK (VALUE = round(VALUE, 8));
COMMENT ON DOMAIN billing.price IS 'A price or fee: less than 100,000,000 either way, at most 8 decimals, never NaN or infinite (design 3, bounds).';

CREATE DOMAIN billing.amount AS numeric
	CONSTRAINT amount_in_range CHECK (VALUE > -1000000000000 AND VALUE < 1000000000000)
	CONSTRAINT amount_has_8_decimals CHECK (VALUE = round(VALUE, 8));
COMMENT ON DOMAIN billing.amount IS 'An amount of money: less than 1,000,000,000,000 either way, at most 8 decimals, never NaN or infinite (design 3, bounds).';

-- Carries no rows. Its relcache invalidation tells every backend that the catalogue has changed (design 7),
-- and its comment, which create_ledger() and upgrade_ledger() write, carries the version of the ledger (design 2).
CREATE TABLE billing.catalogue_signal ();
