-- What could not be priced, one row a side that failed (P9, D18, reading 40). Rating leaves a reason on the
-- side of every expected leg without an amount; a reason beside an amount is a note and no failure. The
-- condition on status is the predicate of the index cdr_unrated.

CREATE OR REPLACE VIEW billing.unrated AS
SELECT c.id AS cdr_id, c.started_at, c.source, c.call_id,
	coalesce(c.caller_number, c.caller) AS caller,
	CASE WHEN f.side = 'did' THEN coalesce(c.did, c.callee_number, c.callee) ELSE coalesce(c.callee_number, c.callee) END AS callee,
	c.status, f.side, f.leg, f.reason, f.account_id,
	billing._call_seconds(CASE WHEN f.side = 'did' THEN coalesce(c.did_billsec, c.billsec) ELSE c.billsec END, c.answered_at, c.ended_at) AS seconds,
	c.disposition, c.auth_code, c.provider_code, c.did, c.src_trunk, c.dst_trunk, c.src_ip, c.dst_ip, c.tenant
FROM billing.cdr c
	CROSS JOIN LATERAL (SELECT
		c.status <> 'invalid' AND c.customer_reason IS NOT NULL
			AND (c.customer_amount IS NULL OR c.reseller_account_id IS NOT NULL AND c.reseller_amount IS NULL) AS customer,
		c.status <> 'invalid' AND c.provider_reason IS NOT NULL AND c.provider_amount IS NULL AS provider,
		c.status <> 'invalid' AND c.did_reason IS NOT NULL
			AND (c.did_incoming_account_id IS NOT NULL AND c.did_incoming_amount IS NULL
				OR c.did_owner_account_id IS NOT NULL AND c.did_owner_amount IS NULL
				OR c.did_provider_account_id IS NOT NULL AND c.did_provider_amount IS NULL
				OR coalesce(c.did_incoming_amount, c.did_owner_amount, c.did_provider_amount) IS NULL) AS did) failed
	CROSS JOIN LATERAL (
		SELECT 'customer'::text AS side,
			CASE WHEN c.customer_amount IS NULL THEN 'customer'::text ELSE 'reseller' END AS leg,
			c.customer_reason AS reason,
			CASE WHEN c.customer_amount IS NULL THEN c.customer_account_id ELSE c.reseller_account_id END AS account_id
		WHERE failed.customer
		UNION ALL
		SELECT 'provider', 'provider', c.provider_reason, c.provider_account_id
		WHERE failed.provider
		UNION ALL
		SELECT 'did',
			CASE WHEN c.did_incoming_account_id IS NOT NULL AND c.did_incoming_amount IS NULL THEN 'did_incoming'
				WHEN c.did_owner_account_id IS NOT NULL AND c.did_owner_amount IS NULL THEN 'did_owner'
				WHEN c.did_provider_account_id IS NOT NULL AND c.did_provider_amount IS NULL THEN 'did_provider' END,
			c.did_reason,
			CASE WHEN c.did_incoming_account_id IS NOT NULL AND c.did_incoming_amount IS NULL THEN c.did_incoming_account_id
				WHEN c.did_owner_account_id IS NOT NULL AND c.did_owner_amount IS NULL THEN c.did_owner_account_id
				WHEN c.did_provider_amount IS NULL THEN c.did_provider_account_id END
		WHERE failed.did
		UNION ALL
		SELECT 'call', NULL, coalesce(c.customer_reason, c.provider_reason, c.did_reason), NULL
		WHERE NOT failed.customer AND NOT failed.provider AND NOT failed.did) f
WHERE c.status <> 'rated'
ORDER BY 12 DESC NULLS LAST, c.started_at, c.id, f.side;

COMMENT ON VIEW billing.unrated IS 'Calls that could not be priced, one row for each side that failed, most seconds first (P9). A reason beside an amount is a note and is not listed.';
COMMENT ON COLUMN billing.unrated.cdr_id IS 'The call: billing.cdr.id.';
COMMENT ON COLUMN billing.unrated.started_at IS 'Start of the call; -infinity where the row had none.';
COMMENT ON COLUMN billing.unrated.source IS 'Where the CDR came from.';
COMMENT ON COLUMN billing.unrated.call_id IS 'The switch''s name of the call.';
COMMENT ON COLUMN billing.unrated.caller IS 'The calling number as rating read it, else the raw text.';
COMMENT ON COLUMN billing.unrated.callee IS 'The called number, on side did the DID, as rating read it, else the raw text.';
COMMENT ON COLUMN billing.unrated.status IS 'Status of the whole call: partial, unrated or invalid.';
COMMENT ON COLUMN billing.unrated.side IS 'Which side failed: customer (with the reseller), provider or did; call where the row as a whole cannot be read, or nothing was expected of it.';
COMMENT ON COLUMN billing.unrated.leg IS 'The first leg of that side without an amount: customer, reseller, provider, did_incoming, did_owner or did_provider; null where no leg applies.';
COMMENT ON COLUMN billing.unrated.reason IS 'Why: no_account, ambiguous, no_tariff, no_rate, blocked, no_exchange_rate, invalid_number, unknown_did ...';
COMMENT ON COLUMN billing.unrated.account_id IS 'The account of that leg, where one was found.';
COMMENT ON COLUMN billing.unrated.seconds IS 'Seconds of the call before rounding and increments; null where they cannot be read.';
COMMENT ON COLUMN billing.unrated.disposition IS 'How the call ended, as the switch said.';
COMMENT ON COLUMN billing.unrated.auth_code IS 'Raw: the customer''s authorisation code.';
COMMENT ON COLUMN billing.unrated.provider_code IS 'Raw: the provider''s authorisation code.';
COMMENT ON COLUMN billing.unrated.did IS 'Raw: the DID that was called.';
COMMENT ON COLUMN billing.unrated.src_trunk IS 'Raw: the trunk that the call came by.';
COMMENT ON COLUMN billing.unrated.dst_trunk IS 'Raw: the trunk that the call went out by.';
COMMENT ON COLUMN billing.unrated.src_ip IS 'Raw: the address that the call came from.';
COMMENT ON COLUMN billing.unrated.dst_ip IS 'Raw: the address that the call went to.';
COMMENT ON COLUMN billing.unrated.tenant IS 'Raw: the tenant of the PBX.';

CREATE OR REPLACE VIEW billing.unrated_summary AS
SELECT u.reason, u.side, u.leg, u.account_id, a.name AS account, left(ltrim(u.callee, '+'), 3) AS first_digits,
	count(*) AS calls, coalesce(sum(u.seconds), 0) AS seconds, min(u.started_at) AS first_seen, max(u.started_at) AS last_seen
FROM billing.unrated u
	LEFT JOIN billing.account a ON a.id = u.account_id
GROUP BY u.reason, u.side, u.leg, u.account_id, a.name, left(ltrim(u.callee, '+'), 3)
ORDER BY 8 DESC, 7 DESC, 1, 2, 3, 4, 6;

COMMENT ON VIEW billing.unrated_summary IS 'billing.unrated counted by reason, side, leg, account and the first three symbols of the number, most seconds first (P9, D18). A call that failed on two sides counts on both.';
COMMENT ON COLUMN billing.unrated_summary.reason IS 'Why the calls have no price.';
COMMENT ON COLUMN billing.unrated_summary.side IS 'Which side failed: customer, provider, did, or call for the row as a whole.';
COMMENT ON COLUMN billing.unrated_summary.leg IS 'The first leg of that side without an amount.';
COMMENT ON COLUMN billing.unrated_summary.account_id IS 'The account of that leg, where one was found.';
COMMENT ON COLUMN billing.unrated_summary.account IS 'Its name.';
COMMENT ON COLUMN billing.unrated_summary.first_digits IS 'First three symbols of the number, without a leading plus.';
COMMENT ON COLUMN billing.unrated_summary.calls IS 'How many calls.';
COMMENT ON COLUMN billing.unrated_summary.seconds IS 'Their seconds before rounding and increments; durations that cannot be read count 0.';
COMMENT ON COLUMN billing.unrated_summary.first_seen IS 'Start of the first of them.';
COMMENT ON COLUMN billing.unrated_summary.last_seen IS 'Start of the last of them.';
