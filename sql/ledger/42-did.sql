-- What DIDs cost: three prices a number (K1), which stay with it whoever holds it.

CREATE TABLE billing.did_rate (
	id bigint PRIMARY KEY DEFAULT nextval('billing.rate_id_seq') CONSTRAINT did_rate_id CHECK (id > 0),
	leg text NOT NULL CONSTRAINT did_rate_leg CHECK (leg IN ('did_incoming', 'did_owner', 'did_provider')),
	tenant text NOT NULL DEFAULT '',
	number text NOT NULL CONSTRAINT did_rate_number CHECK (number <> ''),
	day_type text NOT NULL DEFAULT 'any' CONSTRAINT did_rate_day_type CHECK (day_type IN ('any', 'work', 'free')),
	band text CONSTRAINT did_rate_band CHECK (band <> ''),
	valid_from timestamptz NOT NULL DEFAULT '-infinity' CONSTRAINT did_rate_valid_from CHECK (valid_from < 'infinity'),
	currency text NOT NULL REFERENCES billing.currency,
	calendar_id bigint REFERENCES billing.calendar,
	price billing.price NOT NULL DEFAULT 0,
	first_price billing.price,
	connect_fee billing.price NOT NULL DEFAULT 0,
	attempt_fee billing.price NOT NULL DEFAULT 0,
	first_increment integer NOT NULL DEFAULT 1 CONSTRAINT did_rate_first_increment CHECK (first_increment BETWEEN 0 AND 86400),
	next_increment integer NOT NULL DEFAULT 1 CONSTRAINT did_rate_next_increment CHECK (next_increment BETWEEN 1 AND 86400),
	increment_rule text NOT NULL DEFAULT 'first_next' CONSTRAINT did_rate_increment_rule CHECK (increment_rule IN ('first_next', 'aligned')),
	grace_seconds integer NOT NULL DEFAULT 0 CONSTRAINT did_rate_grace_seconds CHECK (grace_seconds BETWEEN 0 AND 86400),
	free_seconds integer NOT NULL DEFAULT 0 CONSTRAINT did_rate_free_seconds CHECK (free_seconds BETWEEN 0 AND 86400),
	min_amount billing.price CONSTRAINT did_rate_min_amount CHECK (min_amount >= 0),
	max_amount billing.price CONSTRAINT did_rate_max_amount CHECK (max_amount >= 0),
	surcharge_percent numeric(8,4) NOT NULL DEFAULT 0 CONSTRAINT did_rate_surcharge_percent CHECK (surcharge_percent >= -100 AND surcharge_percent < 10000),
	boundary text NOT NULL DEFAULT 'start' CONSTRAINT did_rate_boundary CHECK (boundary IN ('start', 'split')),
	duration_rounding text NOT NULL DEFAULT 'up' CONSTRAINT did_rate_duration_rounding CHECK (duration_rounding IN ('up', 'half_up', 'none')),
	rounding_digits smallint NOT NULL DEFAULT 8 CONSTRAINT did_rate_rounding_digits CHECK (rounding_digits BETWEEN -4 AND 8),
	rounding_mode text NOT NULL DEFAULT 'half_up' CONSTRAINT did_rate_rounding_mode CHECK (rounding_mode IN ('half_up', 'half_even', 'up', 'down')),
	withdrawn boolean NOT NULL DEFAULT false,
	CONSTRAINT did_rate_key UNIQUE NULLS NOT DISTINCT (number, tenant, leg, day_type, band, valid_from),
	CONSTRAINT did_rate_min_max CHECK (min_amount <= max_amount),
	CONSTRAINT did_rate_aligned_free CHECK (increment_rule <> 'aligned' OR free_seconds = 0),
	CONSTRAINT did_rate_aligned_split CHECK (increment_rule <> 'aligned' OR boundary <> 'split')
);
CREATE INDEX did_rate_calendar ON billing.did_rate (calendar_id) WHERE calendar_id IS NOT NULL;

COMMENT ON TABLE billing.did_rate IS 'Prices of a DID for who dials it, who owns it and who provides it (K1), by day and band, in dated versions. They belong to the number, not to its present holder. Positive: the account of the leg pays; negative: it is paid (K2, K5, K11). A row that a call names keeps its prices (design 3).';
COMMENT ON COLUMN billing.did_rate.id IS 'Key; what a priced call names. From one sequence with billing.rate.';
COMMENT ON COLUMN billing.did_rate.leg IS 'Whose price it is: did_incoming (who dials), did_owner, did_provider.';
COMMENT ON COLUMN billing.did_rate.tenant IS 'Tenant of the DID, as in billing.service; empty: none.';
COMMENT ON COLUMN billing.did_rate.number IS 'Number of the DID, as in billing.service, without +.';
COMMENT ON COLUMN billing.did_rate.day_type IS 'Kind of day on which it holds: any, work, free (K12).';
COMMENT ON COLUMN billing.did_rate.band IS 'Name of the time band in which it holds; null: any.';
COMMENT ON COLUMN billing.did_rate.valid_from IS 'In force from this instant until a later version of the same key.';
COMMENT ON COLUMN billing.did_rate.currency IS 'Currency of its prices.';
COMMENT ON COLUMN billing.did_rate.calendar_id IS 'Calendar that says day type and band; null: the default calendar (reading 14).';
COMMENT ON COLUMN billing.did_rate.price IS 'Price per minute; negative: paid to the account of the leg.';
COMMENT ON COLUMN billing.did_rate.first_price IS 'Price per minute within the first increment; null: price.';
COMMENT ON COLUMN billing.did_rate.connect_fee IS 'Fee of an answered call, once in a session (K4).';
COMMENT ON COLUMN billing.did_rate.attempt_fee IS 'Fee of a call that was not answered.';
COMMENT ON COLUMN billing.did_rate.first_increment IS 'Seconds of the first increment; 0 to 86,400.';
COMMENT ON COLUMN billing.did_rate.next_increment IS 'Seconds of each further increment; 1 to 86,400.';
COMMENT ON COLUMN billing.did_rate.increment_rule IS 'first_next: the first increment, then whole next ones; aligned: multiples of next, at least first (K17).';
COMMENT ON COLUMN billing.did_rate.grace_seconds IS 'A call of at most so many seconds costs nothing, no fee and no minimum either (K18).';
COMMENT ON COLUMN billing.did_rate.free_seconds IS 'Seconds that are free after the first increment; not with aligned increments.';
COMMENT ON COLUMN billing.did_rate.min_amount IS 'An answered call costs at least this, either way; null: no minimum.';
COMMENT ON COLUMN billing.did_rate.max_amount IS 'A call costs at most this, either way; null: no maximum.';
COMMENT ON COLUMN billing.did_rate.surcharge_percent IS 'Percent added to the charge, fee included.';
COMMENT ON COLUMN billing.did_rate.boundary IS 'start: the whole call at the price in force when it starts; split: each increment by its own start (reading 15); not with aligned increments.';
COMMENT ON COLUMN billing.did_rate.duration_rounding IS 'How fractions of a second are rounded before increments: up, half_up, none.';
COMMENT ON COLUMN billing.did_rate.rounding_digits IS 'Decimals of the amount, -4 (tens of thousands) to 8.';
COMMENT ON COLUMN billing.did_rate.rounding_mode IS 'How the amount is rounded, once: half_up (half away from zero), half_even, up (away from zero), down (towards zero).';
COMMENT ON COLUMN billing.did_rate.withdrawn IS 'True: ends the versions before it; counts as no version (design 5).';
