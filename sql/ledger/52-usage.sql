-- What the calls of each account add up to (promise 3, design 6). Derived: the accounting pass keeps it equal to the sum
-- over billing.cdr at every commit. Sums are wider than what they sum, so that no row of a load can overflow them.

CREATE TABLE billing.usage (
	account_id bigint,
	leg text NOT NULL,
	day date NOT NULL,
	cost_center text NOT NULL DEFAULT '',
	destination text NOT NULL DEFAULT '',
	currency text NOT NULL DEFAULT '',
	slot integer NOT NULL DEFAULT 0,
	part integer NOT NULL DEFAULT 0,
	calls bigint NOT NULL DEFAULT 0,
	answered bigint NOT NULL DEFAULT 0,
	seconds numeric(38,6) NOT NULL DEFAULT 0,
	billsec bigint NOT NULL DEFAULT 0,
	amount numeric(38,8) NOT NULL DEFAULT 0,
	credit numeric(38,8) NOT NULL DEFAULT 0
) PARTITION BY RANGE (slot);
-- What is written again and again stands apart from what stays: the history is not blown up by it, and what is to be folded
-- needs no index to be found.
CREATE TABLE billing.usage_live PARTITION OF billing.usage FOR VALUES FROM (1) TO (MAXVALUE)
	WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX usage_live_account ON billing.usage_live (account_id);
CREATE TABLE billing.usage_folded PARTITION OF billing.usage (
	CONSTRAINT usage_key UNIQUE NULLS NOT DISTINCT (account_id, slot, day, part, leg, destination, cost_center, currency)
) FOR VALUES FROM (MINVALUE) TO (1) WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.05);
-- No unique index over account_id can identify its rows to a subscriber, for it may be null (design 9).
ALTER TABLE billing.usage REPLICA IDENTITY FULL;
ALTER TABLE billing.usage_live REPLICA IDENTITY FULL;
ALTER TABLE billing.usage_folded REPLICA IDENTITY FULL;

COMMENT ON TABLE billing.usage IS 'Calls, seconds and amounts of each account by leg, day, cost centre and destination: the exact sums of billing.cdr at every commit (promise 3). Sum over slot and part. Only the accounting pass and its functions write it; other inserts are skipped, other changes refused (design 6).';
COMMENT ON TABLE billing.usage_live IS 'The rows of billing.usage that loads have left in their slots (slot > 0); a key may have several rows in one slot.';
COMMENT ON TABLE billing.usage_folded IS 'The rows of billing.usage that compact_usage() has folded (slot 0), and those of archived calls (slot < 0).';
COMMENT ON COLUMN billing.usage.account_id IS 'Account of the leg; null: calls that nobody is assigned to and the default customer tariff prices (V13).';
COMMENT ON COLUMN billing.usage.leg IS 'customer, reseller, provider, did_incoming, did_owner or did_provider.';
COMMENT ON COLUMN billing.usage.day IS 'Day of the rating instant in the account''s time zone (UTC without an account); -infinity where the call has no instant.';
COMMENT ON COLUMN billing.usage.cost_center IS 'Cost centre of the service (D15); empty: none, or a leg without one.';
COMMENT ON COLUMN billing.usage.destination IS 'Destination of the rate; empty: none, as for DID legs.';
COMMENT ON COLUMN billing.usage.currency IS 'Currency of amount and credit: the account''s; without an account that of the rate''s tariff; empty: unknown.';
COMMENT ON COLUMN billing.usage.slot IS 'Who wrote the row: above 0 a live one, the number of a backend, or of a transaction that found its backend''s number taken; 0: folded by compact_usage(); below 0: calls that have left with the archived partition of this number (billing.archived_partition).';
COMMENT ON COLUMN billing.usage.part IS 'Counts the parts into which a long transaction spreads its writes.';
COMMENT ON COLUMN billing.usage.calls IS 'Rows of billing.cdr with this leg, priced or not.';
COMMENT ON COLUMN billing.usage.answered IS 'Those that were answered.';
COMMENT ON COLUMN billing.usage.seconds IS 'Their seconds before increments, each cut to microseconds; a duration that cannot be read counts as 0.';
COMMENT ON COLUMN billing.usage.billsec IS 'Their billed seconds.';
COMMENT ON COLUMN billing.usage.amount IS 'Their charges: what the account owes for them.';
COMMENT ON COLUMN billing.usage.credit IS 'The credits on them (billing.credit); net = amount - credit.';

-- Folded rows of usage by month, so that a balance is read from as many rows as there are months.
CREATE TABLE billing.usage_month (
	account_id bigint,
	leg text NOT NULL,
	month date NOT NULL,
	currency text NOT NULL DEFAULT '',
	amount numeric(38,8) NOT NULL,
	credit numeric(38,8) NOT NULL,
	CONSTRAINT usage_month_key UNIQUE NULLS NOT DISTINCT (account_id, leg, month, currency)
);
ALTER TABLE billing.usage_month REPLICA IDENTITY FULL;

COMMENT ON TABLE billing.usage_month IS 'The rows of billing.usage with slot <= 0, summed by month: what balances are read from, beside the live rows (slot > 0). Written together with those rows (design 6).';
COMMENT ON COLUMN billing.usage_month.account_id IS 'As in billing.usage.';
COMMENT ON COLUMN billing.usage_month.leg IS 'As in billing.usage.';
COMMENT ON COLUMN billing.usage_month.month IS 'First day of the month of billing.usage.day.';
COMMENT ON COLUMN billing.usage_month.currency IS 'As in billing.usage.';
COMMENT ON COLUMN billing.usage_month.amount IS 'Sum of billing.usage.amount of the folded rows.';
COMMENT ON COLUMN billing.usage_month.credit IS 'Sum of billing.usage.credit of the folded rows.';
