-- One arm for each leg, each with a plain condition on its own columns: a condition on account_id and
-- started_at reaches every arm's partial index (design 2 and 4). All columns have one type in all arms,
-- or the planner would not flatten the UNION ALL. Credits are subqueries in the list of columns: whoever does not ask
-- for them pays nothing for them.

CREATE OR REPLACE VIEW billing.charge AS
SELECT c.id AS cdr_id, c.started_at, coalesce(c.answered_at, c.started_at) AS instant, 'customer'::text AS leg,
	c.customer_account_id AS account_id, c.customer_service_id AS service_id, c.customer_rate_id AS rate_id,
	r.destination,
	coalesce(c.caller_number, c.caller) AS caller,
	coalesce(c.callee_number, c.callee) AS callee,
	billing._call_seconds(c.billsec, c.answered_at, c.ended_at) AS seconds,
	billing._call_answered(c.billsec, c.answered_at, c.disposition) AS answered,
	c.customer_billsec AS billed_seconds, c.customer_amount AS amount,
	coalesce(a.currency, t.currency) AS currency,
	CASE WHEN c.customer_amount IS NOT NULL AND c.customer_rate_id IS NOT NULL AND c.reseller_account_id IS NOT NULL
		AND (c.reseller_amount IS NULL OR c.reseller_rate_id IS NULL) THEN NULL ELSE c.customer_reason END AS reason,
	c.source, c.call_id, c.session_id, s.cost_center, c.status,
	CASE WHEN c.customer_amount IS NOT NULL THEN coalesce((SELECT sum(k.amount) FROM billing.credit k
		WHERE k.cdr_id = c.id AND k.started_at = c.started_at AND k.leg = 'customer'), 0) END AS credit,
	c.customer_amount - coalesce((SELECT sum(k.amount) FROM billing.credit k
		WHERE k.cdr_id = c.id AND k.started_at = c.started_at AND k.leg = 'customer'), 0) AS net
FROM billing.cdr c
	LEFT JOIN billing.account a ON a.id = c.customer_account_id
	LEFT JOIN billing.service s ON s.id = c.customer_service_id
	LEFT JOIN billing.rate r ON r.id = c.customer_rate_id
	LEFT JOIN billing.tariff t ON t.id = r.tariff_id
WHERE c.customer_account_id IS NOT NULL OR c.customer_amount IS NOT NULL
UNION ALL
SELECT c.id AS cdr_id, c.started_at, coalesce(c.answered_at, c.started_at) AS instant, 'reseller'::text AS leg,
	c.reseller_account_id AS account_id, NULL::bigint AS service_id, c.reseller_rate_id AS rate_id,
	r.destination,
	coalesce(c.caller_number, c.caller) AS caller,
	coalesce(c.callee_number, c.callee) AS callee,
	billing._call_seconds(c.billsec, c.answered_at, c.ended_at) AS seconds,
	billing._call_answered(c.billsec, c.answered_at, c.disposition) AS answered,
	c.reseller_billsec AS billed_seconds, c.reseller_amount AS amount,
	coalesce(a.currency, t.currency) AS currency,
	CASE WHEN c.reseller_amount IS NULL OR c.reseller_rate_id IS NULL THEN c.customer_reason END AS reason,
	c.source, c.call_id, c.session_id, NULL::text AS cost_center, c.status,
	CASE WHEN c.reseller_amount IS NOT NULL THEN coalesce((SELECT sum(k.amount) FROM billing.credit k
		WHERE k.cdr_id = c.id AND k.started_at = c.started_at AND k.leg = 'reseller'), 0) END AS credit,
	c.reseller_amount - coalesce((SELECT sum(k.amount) FROM billing.credit k
		WHERE k.cdr_id = c.id AND k.started_at = c.started_at AND k.leg = 'reseller'), 0) AS net
FROM billing.cdr c
	LEFT JOIN billing.account a ON a.id = c.reseller_account_id
	LEFT JOIN billing.rate r ON r.id = c.reseller_rate_id
	LEFT JOIN billing.tariff t ON t.id = r.tariff_id
WHERE c.reseller_account_id IS NOT NULL OR c.reseller_amount IS NOT NULL
UNION ALL
SELECT c.id AS cdr_id, c.started_at, coalesce(c.answered_at, c.started_at) AS instant, 'provider'::text AS leg,
	c.provider_account_id AS account_id, c.provider_service_id AS service_id, c.provider_rate_id AS rate_id,
	r.destination,
	coalesce(c.caller_number, c.caller) AS caller,
	coalesce(c.callee_number, c.callee) AS callee,
	billing._call_seconds(c.billsec, c.answered_at, c.ended_at) AS seconds,
	billing._call_answered(c.billsec, c.answered_at, c.disposition) AS answered,
	c.provider_billsec AS billed_seconds, c.provider_amount AS amount,
	coalesce(a.currency, t.currency) AS currency,
	c.provider_reason AS reason,
	c.source, c.call_id, c.session_id, s.cost_center, c.status,
	CASE WHEN c.provider_amount IS NOT NULL THEN coalesce((SELECT sum(k.amount) FROM billing.credit k
		WHERE k.cdr_id = c.id AND k.started_at = c.started_at AND k.leg = 'provider'), 0) END AS credit,
	c.provider_amount - coalesce((SELECT sum(k.amount) FROM billing.credit k
		WHERE k.cdr_id = c.id AND k.started_at = c.started_at AND k.leg = 'provider'), 0) AS net
FROM billing.cdr c
	LEFT JOIN billing.account a ON a.id = c.provider_account_id
	LEFT JOIN billing.service s ON s.id = c.provider_service_id
	LEFT JOIN billing.rate r ON r.id = c.provider_rate_id
	LEFT JOIN billing.tariff t ON t.id = r.tariff_id
WHERE c.provider_account_id IS NOT NULL OR c.provider_amount IS NOT NULL
UNION ALL
SELECT c.id AS cdr_id, c.started_at, coalesce(c.answered_at, c.started_at) AS instant, 'did_incoming'::text AS leg,
	c.did_incoming_account_id AS account_id, c.did_service_id AS service_id, c.did_incoming_rate_id AS rate_id,
	NULL::text AS destination,
	coalesce(c.caller_number, c.caller) AS caller,
	coalesce(c.did, c.callee_number, c.callee) AS callee,
	billing._call_seconds(coalesce(c.did_billsec, c.billsec), c.answered_at, c.ended_at) AS seconds,
	billing._call_answered(c.billsec, c.answered_at, c.disposition) AS answered,
	c.did_incoming_billsec AS billed_seconds, c.did_incoming_amount AS amount,
	a.currency,
	c.did_reason AS reason,
	c.source, c.call_id, c.session_id, s.cost_center, c.status,
	CASE WHEN c.did_incoming_amount IS NOT NULL THEN coalesce((SELECT sum(k.amount) FROM billing.credit k
		WHERE k.cdr_id = c.id AND k.started_at = c.started_at AND k.leg = 'did_incoming'), 0) END AS credit,
	c.did_incoming_amount - coalesce((SELECT sum(k.amount) FROM billing.credit k
		WHERE k.cdr_id = c.id AND k.started_at = c.started_at AND k.leg = 'did_incoming'), 0) AS net
FROM billing.cdr c
	LEFT JOIN billing.account a ON a.id = c.did_incoming_account_id
	LEFT JOIN billing.service s ON s.id = c.did_service_id
WHERE c.did_incoming_account_id IS NOT NULL OR c.did_incoming_amount IS NOT NULL
UNION ALL
SELECT c.id AS cdr_id, c.started_at, coalesce(c.answered_at, c.started_at) AS instant, 'did_owner'::text AS leg,
	c.did_owner_account_id AS account_id, c.did_service_id AS service_id, c.did_owner_rate_id AS rate_id,
	NULL::text AS destination,
	coalesce(c.caller_number, c.caller) AS caller,
	coalesce(c.did, c.callee_number, c.callee) AS callee,
	billing._call_seconds(coalesce(c.did_billsec, c.billsec), c.answered_at, c.ended_at) AS seconds,
	billing._call_answered(c.billsec, c.answered_at, c.disposition) AS answered,
	c.did_owner_billsec AS billed_seconds, c.did_owner_amount AS amount,
	a.currency,
	c.did_reason AS reason,
	c.source, c.call_id, c.session_id, s.cost_center, c.status,
	CASE WHEN c.did_owner_amount IS NOT NULL THEN coalesce((SELECT sum(k.amount) FROM billing.credit k
		WHERE k.cdr_id = c.id AND k.started_at = c.started_at AND k.leg = 'did_owner'), 0) END AS credit,
	c.did_owner_amount - coalesce((SELECT sum(k.amount) FROM billing.credit k
		WHERE k.cdr_id = c.id AND k.started_at = c.started_at AND k.leg = 'did_owner'), 0) AS net
FROM billing.cdr c
	LEFT JOIN billing.account a ON a.id = c.did_owner_account_id
	LEFT JOIN billing.service s ON s.id = c.did_service_id
WHERE c.did_owner_account_id IS NOT NULL OR c.did_owner_amount IS NOT NULL
UNION ALL
SELECT c.id AS cdr_id, c.started_at, coalesce(c.answered_at, c.started_at) AS instant, 'did_provider'::text AS leg,
	c.did_provider_account_id AS account_id, c.did_service_id AS service_id, c.did_provider_rate_id AS rate_id,
	NULL::text AS destination,
	coalesce(c.caller_number, c.caller) AS caller,
	coalesce(c.did, c.callee_number, c.callee) AS callee,
	billing._call_seconds(coalesce(c.did_billsec, c.billsec), c.answered_at, c.ended_at) AS seconds,
	billing._call_answered(c.billsec, c.answered_at, c.disposition) AS answered,
	c.did_provider_billsec AS billed_seconds, c.did_provider_amount AS amount,
	a.currency,
	c.did_reason AS reason,
	c.source, c.call_id, c.session_id, s.cost_center, c.status,
	CASE WHEN c.did_provider_amount IS NOT NULL THEN coalesce((SELECT sum(k.amount) FROM billing.credit k
		WHERE k.cdr_id = c.id AND k.started_at = c.started_at AND k.leg = 'did_provider'), 0) END AS credit,
	c.did_provider_amount - coalesce((SELECT sum(k.amount) FROM billing.credit k
		WHERE k.cdr_id = c.id AND k.started_at = c.started_at AND k.leg = 'did_provider'), 0) AS net
FROM billing.cdr c
	LEFT JOIN billing.account a ON a.id = c.did_provider_account_id
	LEFT JOIN billing.service s ON s.id = c.did_service_id
WHERE c.did_provider_account_id IS NOT NULL OR c.did_provider_amount IS NOT NULL;

COMMENT ON VIEW billing.charge IS 'The charges: one row for each leg of each call that applies (P2). An amount is what the account owes to the one that sells to it: positive, it pays; negative, it is paid (design 4). A leg that applies but has no price has a null amount and a reason.';
COMMENT ON COLUMN billing.charge.cdr_id IS 'The call: billing.cdr.id.';
COMMENT ON COLUMN billing.charge.started_at IS 'Start of the call; together with cdr_id the key of billing.cdr.';
COMMENT ON COLUMN billing.charge.instant IS 'The rating instant: answered_at, else started_at. The catalogue counted as of it, and months are counted by it.';
COMMENT ON COLUMN billing.charge.leg IS 'Whose charge it is: customer, reseller, provider, did_incoming, did_owner or did_provider.';
COMMENT ON COLUMN billing.charge.account_id IS 'The account charged; null for a call that nobody is assigned to and the default customer tariff prices (V13).';
COMMENT ON COLUMN billing.charge.service_id IS 'The service by which the account was found; for DID legs the DID; null on the reseller leg, which is the customer''s service.';
COMMENT ON COLUMN billing.charge.rate_id IS 'The rate that priced the leg; null where none did.';
COMMENT ON COLUMN billing.charge.destination IS 'Destination of that rate; null on DID legs, whose rates belong to the number.';
COMMENT ON COLUMN billing.charge.caller IS 'The calling number as it was rated, else the raw text.';
COMMENT ON COLUMN billing.charge.callee IS 'The number as it was rated: the called one, on DID legs the DID; else the raw text.';
COMMENT ON COLUMN billing.charge.seconds IS 'Seconds of the call before rounding and increments; on DID legs did_billsec where given (K16). Null where the row''s duration cannot be read.';
COMMENT ON COLUMN billing.charge.answered IS 'Whether the call was answered.';
COMMENT ON COLUMN billing.charge.billed_seconds IS 'Seconds after increments, that the amount pays for.';
COMMENT ON COLUMN billing.charge.amount IS 'What the account owes for the leg, in currency, 8 decimals; null where it has no price, 0 where the price is zero.';
COMMENT ON COLUMN billing.charge.currency IS 'The account''s currency; without an account the tariff''s.';
COMMENT ON COLUMN billing.charge.reason IS 'Why there is no amount, or a note beside one (no_account with the default tariff, blocked on a leg that is paid all the same).';
COMMENT ON COLUMN billing.charge.source IS 'Where the CDR came from.';
COMMENT ON COLUMN billing.charge.call_id IS 'The switch''s name of the call.';
COMMENT ON COLUMN billing.charge.session_id IS 'The connection that the call was part of.';
COMMENT ON COLUMN billing.charge.cost_center IS 'Cost centre or location of the service (D15); null on the reseller leg.';
COMMENT ON COLUMN billing.charge.status IS 'Status of the whole call: rated, partial, unrated or invalid.';
COMMENT ON COLUMN billing.charge.credit IS 'What is taken off the amount because of other calls: a fee that the session has paid, included minutes (K4, D10, design 6), in currency; 0 where nothing is, null where there is no amount. As of the last billing.settle_credits().';
COMMENT ON COLUMN billing.charge.net IS 'amount - credit: what the account owes after all.';
