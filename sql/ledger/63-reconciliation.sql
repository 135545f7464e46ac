-- What each party owes for a month (P7). A month is one of the account's own time zone, by the rating instant;
-- calls without a price are counted and not summed.

CREATE OR REPLACE VIEW billing.customer_summary AS
SELECT ch.account_id, a.name AS account, ch.leg, billing._month(ch.instant, coalesce(a.timezone, 'UTC')) AS month, ch.currency,
	count(*) AS calls, count(*) FILTER (WHERE ch.answered) AS answered,
	coalesce(sum(ch.seconds), 0) AS seconds, coalesce(sum(ch.billed_seconds), 0) AS billed_seconds,
	sum(ch.amount) AS amount, count(*) FILTER (WHERE ch.amount IS NULL) AS unpriced_calls,
	sum(ch.credit) AS credit, sum(ch.net) AS net
FROM billing.charge ch
	LEFT JOIN billing.account a ON a.id = ch.account_id
WHERE ch.leg IN ('customer', 'reseller', 'did_incoming', 'did_owner')
GROUP BY ch.account_id, a.name, ch.leg, billing._month(ch.instant, coalesce(a.timezone, 'UTC')), ch.currency;

COMMENT ON VIEW billing.customer_summary IS 'What each account owes for a month''s calls as a buyer, by leg: its own calls (customer), those of the accounts below it (reseller), its DIDs (did_incoming, did_owner).';
COMMENT ON COLUMN billing.customer_summary.account_id IS 'The account; null for calls of nobody''s that the default customer tariff prices (V13).';
COMMENT ON COLUMN billing.customer_summary.account IS 'Its name.';
COMMENT ON COLUMN billing.customer_summary.leg IS 'customer, reseller, did_incoming or did_owner.';
COMMENT ON COLUMN billing.customer_summary.month IS 'First day of the month in the account''s time zone in which the rating instant lies; UTC without an account.';
COMMENT ON COLUMN billing.customer_summary.currency IS 'The account''s currency.';
COMMENT ON COLUMN billing.customer_summary.calls IS 'Calls, answered or not.';
COMMENT ON COLUMN billing.customer_summary.answered IS 'Of these, answered ones.';
COMMENT ON COLUMN billing.customer_summary.seconds IS 'Seconds before rounding and increments.';
COMMENT ON COLUMN billing.customer_summary.billed_seconds IS 'Seconds after increments.';
COMMENT ON COLUMN billing.customer_summary.amount IS 'What the account owes for them; null where none of them has a price.';
COMMENT ON COLUMN billing.customer_summary.unpriced_calls IS 'Calls without a price: counted, not in amount; billing.unrated says why.';
COMMENT ON COLUMN billing.customer_summary.credit IS 'What is taken off because of other calls, such as included minutes (D10) and connect fees of a session that are due once (K4).';
COMMENT ON COLUMN billing.customer_summary.net IS 'amount - credit: what the account owes after all.';

CREATE OR REPLACE VIEW billing.provider_reconciliation AS
SELECT billing._month(ch.instant, a.timezone) AS month, ch.account_id AS provider_id, a.name AS provider, ch.leg, ch.destination,
	count(*) AS calls, count(*) FILTER (WHERE ch.answered) AS answered,
	coalesce(sum(ch.seconds), 0) AS seconds, coalesce(sum(ch.billed_seconds), 0) AS billed_seconds,
	-sum(ch.amount) AS owed, ch.currency, count(*) FILTER (WHERE ch.amount IS NULL) AS unpriced_calls,
	-sum(ch.credit) AS credit, -sum(ch.net) AS net
FROM billing.charge ch
	JOIN billing.account a ON a.id = ch.account_id
WHERE ch.leg IN ('provider', 'did_provider')
GROUP BY billing._month(ch.instant, a.timezone), ch.account_id, a.name, ch.leg, ch.destination, ch.currency;

COMMENT ON VIEW billing.provider_reconciliation IS 'How much is owed to each provider for a month, by destination: what its invoice is compared with (P7).';
COMMENT ON COLUMN billing.provider_reconciliation.month IS 'First day of the month in the provider''s time zone in which the rating instant lies.';
COMMENT ON COLUMN billing.provider_reconciliation.provider_id IS 'The provider''s account.';
COMMENT ON COLUMN billing.provider_reconciliation.provider IS 'Its name.';
COMMENT ON COLUMN billing.provider_reconciliation.leg IS 'provider: calls that it carried; did_provider: calls to its DIDs.';
COMMENT ON COLUMN billing.provider_reconciliation.destination IS 'Destination of its rate; null for calls that its price list does not price and for DIDs.';
COMMENT ON COLUMN billing.provider_reconciliation.calls IS 'Calls, answered or not.';
COMMENT ON COLUMN billing.provider_reconciliation.answered IS 'Of these, answered ones.';
COMMENT ON COLUMN billing.provider_reconciliation.seconds IS 'Seconds before rounding and increments.';
COMMENT ON COLUMN billing.provider_reconciliation.billed_seconds IS 'Seconds after the provider''s increments (P8).';
COMMENT ON COLUMN billing.provider_reconciliation.owed IS 'What we owe the provider: positive, we pay; negative, it pays. Null where none of the calls has a price.';
COMMENT ON COLUMN billing.provider_reconciliation.currency IS 'The provider''s currency.';
COMMENT ON COLUMN billing.provider_reconciliation.unpriced_calls IS 'Calls without a price: counted, not in owed; billing.unrated says why.';
COMMENT ON COLUMN billing.provider_reconciliation.credit IS 'What is taken off what we owe because of other calls, such as included minutes (D10) and connect fees of a session that are due once (K4); has the sign of owed.';
COMMENT ON COLUMN billing.provider_reconciliation.net IS 'owed - credit: what we owe after all.';
