-- What a call earned (P10, V2, C9). The sign is that of design 4: the operator's profit is the reseller's
-- amount where there is a reseller leg, else the customer's, + provider + DID legs. Money of two currencies
-- is never added, and what is not known is null, not 0. All money is net of credits: what is owed after all (design 6).

CREATE OR REPLACE VIEW billing.margin AS
SELECT l.cdr_id, l.started_at, l.instant, l.customer_account_id, l.reseller_account_id, l.provider_account_id, l.destination,
	l.revenue - l.revenue_credit AS revenue, -(l.provider_amount - l.provider_credit) AS cost, l.did_amount - l.did_credit AS did_amount,
	CASE WHEN m.known AND m.one_currency THEN coalesce(l.revenue - l.revenue_credit, 0) + coalesce(l.provider_amount - l.provider_credit, 0)
		+ coalesce(l.did_amount - l.did_credit, 0) END AS operator_margin,
	CASE WHEN l.customer_currency = l.reseller_currency THEN l.customer_amount - l.customer_credit - (l.reseller_amount - l.reseller_credit) END AS reseller_margin,
	CASE WHEN m.one_currency THEN m.currency END AS currency,
	CASE WHEN m.one_currency THEN m.currency ELSE l.revenue_currency END AS revenue_currency,
	CASE WHEN m.one_currency THEN m.currency ELSE l.cost_currency END AS cost_currency,
	CASE WHEN m.one_currency THEN m.currency WHEN l.did_currency = l.other_did_currency THEN l.did_currency END AS did_currency,
	l.status, CASE WHEN l.did_amount IS NOT NULL THEN l.did_credit END AS did_credit,
	CASE WHEN l.revenue IS NOT NULL THEN l.revenue_credit END AS revenue_credit, CASE WHEN l.provider_amount IS NOT NULL THEN -l.provider_credit END AS cost_credit
FROM (
	SELECT c.id AS cdr_id, c.started_at, coalesce(c.answered_at, c.started_at) AS instant,
		c.customer_account_id, c.reseller_account_id, c.provider_account_id,
		coalesce(cr.destination, rr.destination, pr.destination) AS destination,
		c.customer_amount, c.reseller_amount, c.provider_amount,
		CASE WHEN c.reseller_account_id IS NULL THEN c.customer_amount ELSE c.reseller_amount END AS revenue,
		CASE WHEN (c.did_incoming_account_id IS NULL OR c.did_incoming_amount IS NOT NULL)
				AND (c.did_owner_account_id IS NULL OR c.did_owner_amount IS NOT NULL)
				AND (c.did_provider_account_id IS NULL OR c.did_provider_amount IS NOT NULL)
				AND coalesce(c.did_incoming_amount, c.did_owner_amount, c.did_provider_amount) IS NOT NULL
				AND LEAST(ia.currency, oa.currency, pd.currency) = GREATEST(ia.currency, oa.currency, pd.currency)
			THEN coalesce(c.did_incoming_amount, 0) + coalesce(c.did_owner_amount, 0) + coalesce(c.did_provider_amount, 0) END AS did_amount,
		CASE WHEN coalesce(c.did_incoming_amount, c.did_owner_amount, c.did_provider_amount) IS NOT NULL THEN coalesce((
			SELECT sum(k.amount) FROM billing.credit k
			WHERE k.cdr_id = c.id AND k.started_at = c.started_at AND k.leg IN ('did_incoming', 'did_owner', 'did_provider')), 0) ELSE 0 END AS did_credit,
		coalesce((SELECT sum(k.amount) FROM billing.credit k WHERE k.cdr_id = c.id AND k.started_at = c.started_at AND k.leg = 'customer'), 0) AS customer_credit,
		coalesce((SELECT sum(k.amount) FROM billing.credit k WHERE k.cdr_id = c.id AND k.started_at = c.started_at AND k.leg = 'reseller'), 0) AS reseller_credit,
		coalesce((SELECT sum(k.amount) FROM billing.credit k WHERE k.cdr_id = c.id AND k.started_at = c.started_at AND k.leg = 'provider'), 0) AS provider_credit,
		coalesce((SELECT sum(k.amount) FROM billing.credit k WHERE k.cdr_id = c.id AND k.started_at = c.started_at
			AND k.leg = CASE WHEN c.reseller_account_id IS NULL THEN 'customer' ELSE 'reseller' END), 0) AS revenue_credit,
		coalesce(c.did_incoming_account_id, c.did_owner_account_id, c.did_provider_account_id) IS NOT NULL AS has_did,
		coalesce(ca.currency, ct.currency) AS customer_currency, ra.currency AS reseller_currency,
		CASE WHEN c.reseller_amount IS NOT NULL THEN ra.currency
			WHEN c.reseller_account_id IS NULL AND c.customer_amount IS NOT NULL THEN coalesce(ca.currency, ct.currency) END AS revenue_currency,
		CASE WHEN c.provider_amount IS NOT NULL THEN pa.currency END AS cost_currency,
		LEAST(ia.currency, oa.currency, pd.currency) AS did_currency,
		GREATEST(ia.currency, oa.currency, pd.currency) AS other_did_currency,
		c.rerouted, c.status
	FROM billing.cdr c
		LEFT JOIN billing.account ca ON ca.id = c.customer_account_id
		LEFT JOIN billing.account ra ON ra.id = c.reseller_account_id
		LEFT JOIN billing.account pa ON pa.id = c.provider_account_id
		LEFT JOIN billing.account ia ON ia.id = c.did_incoming_account_id
		LEFT JOIN billing.account oa ON oa.id = c.did_owner_account_id
		LEFT JOIN billing.account pd ON pd.id = c.did_provider_account_id
		LEFT JOIN billing.rate cr ON cr.id = c.customer_rate_id
		LEFT JOIN billing.tariff ct ON ct.id = cr.tariff_id
		LEFT JOIN billing.rate rr ON rr.id = c.reseller_rate_id
		LEFT JOIN billing.rate pr ON pr.id = c.provider_rate_id
	WHERE c.status IS DISTINCT FROM 'invalid') l
	CROSS JOIN LATERAL (
		SELECT coalesce(l.revenue_currency, l.cost_currency, l.did_currency) AS currency,
			-- A zero whose currency is not known (a call nobody answered and nobody priced) adds to any money.
			coalesce(LEAST(l.revenue_currency, l.cost_currency, l.did_currency) = GREATEST(l.revenue_currency, l.cost_currency, l.other_did_currency), true)
				AND (l.revenue_currency IS NOT NULL OR coalesce(l.revenue, 0) = 0)
				AND (l.cost_currency IS NOT NULL OR coalesce(l.provider_amount, 0) = 0) AS one_currency,
			l.status = 'rated' AND (l.did_amount IS NOT NULL OR NOT l.has_did)
				AND (l.revenue IS NOT NULL OR l.did_amount IS NOT NULL OR l.provider_amount IS NOT NULL AND coalesce(l.rerouted, false)) AS known) m;

COMMENT ON VIEW billing.margin IS 'What each readable call earned (P10, V2, C9). A margin is null, not 0, where an expected leg has no price, where a cost has no revenue beside it, or where the legs are in different currencies. A rated call of which no provider was expected (on-net) earns its revenue; a rerouted attempt costs what its provider charges.';
COMMENT ON COLUMN billing.margin.cdr_id IS 'The call: billing.cdr.id.';
COMMENT ON COLUMN billing.margin.started_at IS 'Start of the call; together with cdr_id the key of billing.cdr.';
COMMENT ON COLUMN billing.margin.instant IS 'The rating instant: answered_at, else started_at.';
COMMENT ON COLUMN billing.margin.customer_account_id IS 'The customer; null where none was found, also with the default customer tariff.';
COMMENT ON COLUMN billing.margin.reseller_account_id IS 'The customer''s parent, who buys from the operator; null without one.';
COMMENT ON COLUMN billing.margin.provider_account_id IS 'The provider who carried the call; null where none was found.';
COMMENT ON COLUMN billing.margin.destination IS 'Destination of the customer''s rate, else the reseller''s, else the provider''s.';
COMMENT ON COLUMN billing.margin.revenue IS 'What the operator is owed for the call: the reseller''s amount where there is a reseller, else the customer''s, net of revenue_credit; in revenue_currency. Null where it has no price.';
COMMENT ON COLUMN billing.margin.cost IS 'What the operator owes the provider: the provider''s amount with the sign turned, net of cost_credit, in cost_currency. Null where it has no price.';
COMMENT ON COLUMN billing.margin.did_amount IS 'Sum of the DID legs, net of did_credit, in did_currency: positive flows to the operator (K13). Null where none applies, one has no price, or they differ in currency.';
COMMENT ON COLUMN billing.margin.operator_margin IS 'revenue - cost + did_amount, all net of credits, in currency; null where it is not known.';
COMMENT ON COLUMN billing.margin.reseller_margin IS 'What the reseller earns: customer''s amount - reseller''s amount, both net of credits, in the currency of both; null without a reseller, where one of them has no price, or where their currencies differ.';
COMMENT ON COLUMN billing.margin.currency IS 'The one currency of revenue, cost and DID legs; null where they differ: such money is never added.';
COMMENT ON COLUMN billing.margin.revenue_currency IS 'Currency of revenue.';
COMMENT ON COLUMN billing.margin.cost_currency IS 'Currency of cost.';
COMMENT ON COLUMN billing.margin.did_currency IS 'Currency of the DID legs; null where they differ.';
COMMENT ON COLUMN billing.margin.status IS 'Status of the call: rated, partial or unrated.';
COMMENT ON COLUMN billing.margin.did_credit IS 'Connect fees that an earlier call of the session has paid (K4), and included minutes, already taken off did_amount; null where did_amount is.';
COMMENT ON COLUMN billing.margin.revenue_credit IS 'Included minutes (D10), already taken off revenue; null where revenue is.';
COMMENT ON COLUMN billing.margin.cost_credit IS 'Credits on what we owe the provider, already taken off cost; null where cost is.';

CREATE OR REPLACE VIEW billing.margin_summary AS
SELECT billing._month(m.instant, 'UTC') AS month, m.destination, m.customer_account_id, m.provider_account_id,
	m.currency, m.revenue_currency, m.cost_currency,
	count(*) AS calls,
	count(m.operator_margin) AS calls_with_both,
	sum(coalesce(m.revenue, 0)) FILTER (WHERE m.operator_margin IS NOT NULL) AS revenue,
	sum(coalesce(m.cost, 0)) FILTER (WHERE m.operator_margin IS NOT NULL) AS cost,
	sum(coalesce(m.did_amount, 0)) FILTER (WHERE m.operator_margin IS NOT NULL) AS did_amount,
	sum(m.operator_margin) AS margin,
	round(100 * sum(m.operator_margin) / nullif(sum(m.revenue) FILTER (WHERE m.operator_margin IS NOT NULL), 0), 2) AS margin_percent,
	count(m.revenue) FILTER (WHERE m.operator_margin IS NULL) AS calls_without_cost,
	sum(m.revenue) FILTER (WHERE m.operator_margin IS NULL) AS revenue_without_cost,
	count(m.cost) FILTER (WHERE m.operator_margin IS NULL) AS calls_without_revenue,
	sum(m.cost) FILTER (WHERE m.operator_margin IS NULL) AS cost_without_revenue,
	sum(m.reseller_margin) AS reseller_margin
FROM billing.margin m
GROUP BY 1, m.destination, m.customer_account_id, m.provider_account_id, m.currency, m.revenue_currency, m.cost_currency;

COMMENT ON VIEW billing.margin_summary IS 'billing.margin summed by month in UTC, destination, customer, provider and currency. margin = revenue - cost + did_amount over the calls whose margin is known; what the other calls brought or cost stands apart, so that leaks show.';
COMMENT ON COLUMN billing.margin_summary.month IS 'First day of the month in UTC in which the rating instant lies; UTC because the parties of a call may be in several time zones.';
COMMENT ON COLUMN billing.margin_summary.destination IS 'Destination of the customer''s rate, else the reseller''s, else the provider''s.';
COMMENT ON COLUMN billing.margin_summary.customer_account_id IS 'The customer; null where none was found.';
COMMENT ON COLUMN billing.margin_summary.provider_account_id IS 'The provider; null where none was found.';
COMMENT ON COLUMN billing.margin_summary.currency IS 'Currency of all sums of the row; null for calls whose legs are in different currencies.';
COMMENT ON COLUMN billing.margin_summary.revenue_currency IS 'Currency of revenue_without_cost and reseller_margin; differs from cost_currency only where currency is null.';
COMMENT ON COLUMN billing.margin_summary.cost_currency IS 'Currency of cost_without_revenue.';
COMMENT ON COLUMN billing.margin_summary.calls IS 'Calls, answered or not.';
COMMENT ON COLUMN billing.margin_summary.calls_with_both IS 'Calls whose margin is known: each expected side has a price in one currency.';
COMMENT ON COLUMN billing.margin_summary.revenue IS 'Revenue of these, net of credits; a call without a customer leg adds 0. Null where there are none.';
COMMENT ON COLUMN billing.margin_summary.cost IS 'Cost of these; a call of which no provider was expected adds 0. Null where there are none.';
COMMENT ON COLUMN billing.margin_summary.did_amount IS 'DID legs of these, net of credits. Null where there are none.';
COMMENT ON COLUMN billing.margin_summary.margin IS 'revenue - cost + did_amount. Null where no margin is known.';
COMMENT ON COLUMN billing.margin_summary.margin_percent IS 'margin in percent of revenue, 2 decimals; null where revenue is 0.';
COMMENT ON COLUMN billing.margin_summary.calls_without_cost IS 'Calls with a revenue whose margin is not known: the provider''s side has no price, or is in another currency.';
COMMENT ON COLUMN billing.margin_summary.revenue_without_cost IS 'Revenue of these, in revenue_currency.';
COMMENT ON COLUMN billing.margin_summary.calls_without_revenue IS 'Calls with a cost whose margin is not known: the customer''s side has no price, or is in another currency.';
COMMENT ON COLUMN billing.margin_summary.cost_without_revenue IS 'Cost of these, in cost_currency.';
COMMENT ON COLUMN billing.margin_summary.reseller_margin IS 'What the resellers earned on the calls where that is known, in revenue_currency.';

CREATE OR REPLACE VIEW billing.margin_by_destination AS
SELECT s.month, s.destination, s.currency, s.revenue_currency, s.cost_currency,
	sum(s.calls)::bigint AS calls, sum(s.calls_with_both)::bigint AS calls_with_both,
	sum(s.revenue) AS revenue, sum(s.cost) AS cost, sum(s.did_amount) AS did_amount, sum(s.margin) AS margin,
	round(100 * sum(s.margin) / nullif(sum(s.revenue), 0), 2) AS margin_percent,
	sum(s.calls_without_cost)::bigint AS calls_without_cost, sum(s.revenue_without_cost) AS revenue_without_cost,
	sum(s.calls_without_revenue)::bigint AS calls_without_revenue, sum(s.cost_without_revenue) AS cost_without_revenue
FROM billing.margin_summary s
GROUP BY s.month, s.destination, s.currency, s.revenue_currency, s.cost_currency
ORDER BY s.month, 11, s.destination;

COMMENT ON VIEW billing.margin_by_destination IS 'billing.margin_summary by month and destination, loss-making destinations first (V2).';
COMMENT ON COLUMN billing.margin_by_destination.month IS 'First day of the month in UTC in which the rating instant lies.';
COMMENT ON COLUMN billing.margin_by_destination.destination IS 'Destination of the customer''s rate, else the reseller''s, else the provider''s.';
COMMENT ON COLUMN billing.margin_by_destination.currency IS 'Currency of all sums of the row; null for calls whose legs are in different currencies.';
COMMENT ON COLUMN billing.margin_by_destination.revenue_currency IS 'Currency of revenue_without_cost; differs from cost_currency only where currency is null.';
COMMENT ON COLUMN billing.margin_by_destination.cost_currency IS 'Currency of cost_without_revenue.';
COMMENT ON COLUMN billing.margin_by_destination.calls IS 'Calls, answered or not.';
COMMENT ON COLUMN billing.margin_by_destination.calls_with_both IS 'Calls whose margin is known.';
COMMENT ON COLUMN billing.margin_by_destination.revenue IS 'Revenue of these. Null where there are none.';
COMMENT ON COLUMN billing.margin_by_destination.cost IS 'Cost of these. Null where there are none.';
COMMENT ON COLUMN billing.margin_by_destination.did_amount IS 'DID legs of these, net of credits. Null where there are none.';
COMMENT ON COLUMN billing.margin_by_destination.margin IS 'revenue - cost + did_amount. Negative: a loss.';
COMMENT ON COLUMN billing.margin_by_destination.margin_percent IS 'margin in percent of revenue, 2 decimals; null where revenue is 0.';
COMMENT ON COLUMN billing.margin_by_destination.calls_without_cost IS 'Calls with a revenue whose margin is not known.';
COMMENT ON COLUMN billing.margin_by_destination.revenue_without_cost IS 'Revenue of these, in revenue_currency.';
COMMENT ON COLUMN billing.margin_by_destination.calls_without_revenue IS 'Calls with a cost whose margin is not known.';
COMMENT ON COLUMN billing.margin_by_destination.cost_without_revenue IS 'Cost of these, in cost_currency.';
