-- What each account has (design 6): its entries less what its calls cost. Nothing is added up twice: the calls of folded
-- days are read from their months, the others from the live rows, so that a balance is a few rows of an index.

CREATE OR REPLACE VIEW billing.balance AS
SELECT a.id AS account_id, a.name, a.currency, a.billing, e.entries, u.amount, u.credit, u.amount - u.credit AS net,
	e.entries - (u.amount - u.credit) AS balance, a.credit_limit::numeric AS credit_limit, r.reserved,
	e.entries - (u.amount - u.credit) + l.credit_limit AS spendable,
	e.entries - (u.amount - u.credit) + l.credit_limit - r.reserved AS available
FROM billing.account a
	CROSS JOIN LATERAL (SELECT CASE WHEN a.billing = 'prepaid' THEN coalesce(a.credit_limit, 0) ELSE a.credit_limit END AS credit_limit) l
	CROSS JOIN LATERAL (SELECT coalesce(sum(n.amount), 0) AS entries FROM billing.entry n WHERE n.account_id = a.id) e
	CROSS JOIN LATERAL (
		SELECT coalesce(sum(s.amount), 0) AS amount, coalesce(sum(s.credit), 0) AS credit
		FROM (
			SELECT m.amount, m.credit FROM billing.usage_month m WHERE m.account_id = a.id
			UNION ALL
			SELECT v.amount, v.credit FROM billing.usage v WHERE v.account_id = a.id AND v.slot > 0) s) u
	CROSS JOIN LATERAL (
		SELECT coalesce(sum(o.amount), 0) AS reserved FROM billing.reservation o
		WHERE o.account_id = a.id AND o.released_at IS NULL AND o.expires_at > now()) r;

COMMENT ON VIEW billing.balance IS 'What each account has, in its currency: entries less calls net of credits (C1, C8, design 6). All columns of money are net sums of everything until now; billing.account_balance() tells the balance at a day.';
COMMENT ON COLUMN billing.balance.account_id IS 'The account.';
COMMENT ON COLUMN billing.balance.name IS 'Its name.';
COMMENT ON COLUMN billing.balance.currency IS 'Its currency, that of all money of the row.';
COMMENT ON COLUMN billing.balance.billing IS 'prepaid or postpaid.';
COMMENT ON COLUMN billing.balance.entries IS 'Sum of its entries: payments, adjustments, fees, refunds, settlements.';
COMMENT ON COLUMN billing.balance.amount IS 'Charges of its calls on all legs: positive, it owes them; negative, it is owed them.';
COMMENT ON COLUMN billing.balance.credit IS 'Credits on these, as of the last billing.settle_credits().';
COMMENT ON COLUMN billing.balance.net IS 'amount - credit.';
COMMENT ON COLUMN billing.balance.balance IS 'entries - net: positive, the account has money; negative, it owes.';
COMMENT ON COLUMN billing.balance.credit_limit IS 'What it may owe, as billing.account has it; null: a prepaid account may owe nothing, a postpaid one without limit.';
COMMENT ON COLUMN billing.balance.reserved IS 'What open reservations of billing.authorize() set aside for calls that go on.';
COMMENT ON COLUMN billing.balance.spendable IS 'balance + credit limit (reading 33); null: no limit.';
COMMENT ON COLUMN billing.balance.available IS 'spendable - reserved: what another call may cost; null: no limit.';

CREATE OR REPLACE VIEW billing.usage_by_day AS
SELECT u.account_id, a.name AS account, u.leg, u.day, nullif(u.cost_center, '') AS cost_center, nullif(u.destination, '') AS destination,
	nullif(u.currency, '') AS currency, sum(u.calls)::bigint AS calls, sum(u.answered)::bigint AS answered, sum(u.seconds) AS seconds,
	sum(u.billsec)::bigint AS billed_seconds, sum(u.amount) AS amount, sum(u.credit) AS credit, sum(u.amount - u.credit) AS net
FROM billing.usage u LEFT JOIN billing.account a ON a.id = u.account_id
GROUP BY u.account_id, a.name, u.leg, u.day, u.cost_center, u.destination, u.currency
HAVING (sum(u.calls), sum(u.amount), sum(u.credit)) <> (0, 0, 0);

COMMENT ON VIEW billing.usage_by_day IS 'billing.usage for people: the calls of each account by leg, day, cost centre and destination, archived ones included (P7, D15).';
COMMENT ON COLUMN billing.usage_by_day.account_id IS 'The account; null: calls that nobody is assigned to and the default customer tariff prices (V13).';
COMMENT ON COLUMN billing.usage_by_day.account IS 'Its name.';
COMMENT ON COLUMN billing.usage_by_day.leg IS 'customer, reseller, provider, did_incoming, did_owner or did_provider.';
COMMENT ON COLUMN billing.usage_by_day.day IS 'Day of the rating instant in the account''s time zone (UTC without an account); -infinity where the call has no instant.';
COMMENT ON COLUMN billing.usage_by_day.cost_center IS 'Cost centre or location of the service (D15); null: none.';
COMMENT ON COLUMN billing.usage_by_day.destination IS 'Destination of the rate; null: none, as on DID legs.';
COMMENT ON COLUMN billing.usage_by_day.currency IS 'Currency of the money of the row; null: unknown.';
COMMENT ON COLUMN billing.usage_by_day.calls IS 'Calls, answered or not, priced or not.';
COMMENT ON COLUMN billing.usage_by_day.answered IS 'Of these, answered ones.';
COMMENT ON COLUMN billing.usage_by_day.seconds IS 'Seconds before rounding and increments.';
COMMENT ON COLUMN billing.usage_by_day.billed_seconds IS 'Seconds after increments.';
COMMENT ON COLUMN billing.usage_by_day.amount IS 'What the account owes for them: positive, it pays; negative, it is paid (a provider).';
COMMENT ON COLUMN billing.usage_by_day.credit IS 'What is taken off because of other calls, as of the last billing.settle_credits().';
COMMENT ON COLUMN billing.usage_by_day.net IS 'amount - credit.';

CREATE OR REPLACE VIEW billing.usage_by_month AS
SELECT u.account_id, a.name AS account, u.leg, date_trunc('month', u.day::timestamp)::date AS month, nullif(u.cost_center, '') AS cost_center,
	nullif(u.destination, '') AS destination, nullif(u.currency, '') AS currency, sum(u.calls)::bigint AS calls, sum(u.answered)::bigint AS answered,
	sum(u.seconds) AS seconds, sum(u.billsec)::bigint AS billed_seconds, sum(u.amount) AS amount, sum(u.credit) AS credit, sum(u.amount - u.credit) AS net
FROM billing.usage u LEFT JOIN billing.account a ON a.id = u.account_id
GROUP BY u.account_id, a.name, u.leg, date_trunc('month', u.day::timestamp)::date, u.cost_center, u.destination, u.currency
HAVING (sum(u.calls), sum(u.amount), sum(u.credit)) <> (0, 0, 0);

COMMENT ON VIEW billing.usage_by_month IS 'billing.usage for people: the calls of each account by leg, month, cost centre and destination, archived ones included: how much is owed by each customer, or with the sign turned to each provider (P7, D15).';
COMMENT ON COLUMN billing.usage_by_month.account_id IS 'The account; null: calls that nobody is assigned to and the default customer tariff prices (V13).';
COMMENT ON COLUMN billing.usage_by_month.account IS 'Its name.';
COMMENT ON COLUMN billing.usage_by_month.leg IS 'customer, reseller, provider, did_incoming, did_owner or did_provider.';
COMMENT ON COLUMN billing.usage_by_month.month IS 'First day of the month of the rating instant in the account''s time zone (UTC without an account); -infinity where the call has no instant.';
COMMENT ON COLUMN billing.usage_by_month.cost_center IS 'Cost centre or location of the service (D15); null: none.';
COMMENT ON COLUMN billing.usage_by_month.destination IS 'Destination of the rate; null: none, as on DID legs.';
COMMENT ON COLUMN billing.usage_by_month.currency IS 'Currency of the money of the row; null: unknown.';
COMMENT ON COLUMN billing.usage_by_month.calls IS 'Calls, answered or not, priced or not.';
COMMENT ON COLUMN billing.usage_by_month.answered IS 'Of these, answered ones.';
COMMENT ON COLUMN billing.usage_by_month.seconds IS 'Seconds before rounding and increments.';
COMMENT ON COLUMN billing.usage_by_month.billed_seconds IS 'Seconds after increments.';
COMMENT ON COLUMN billing.usage_by_month.amount IS 'What the account owes for them: positive, it pays; negative, it is paid (a provider).';
COMMENT ON COLUMN billing.usage_by_month.credit IS 'What is taken off because of other calls, as of the last billing.settle_credits().';
COMMENT ON COLUMN billing.usage_by_month.net IS 'amount - credit.';
