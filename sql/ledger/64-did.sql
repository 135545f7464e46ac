-- What each DID earned, and which DIDs there are.

CREATE OR REPLACE VIEW billing.did_reconciliation AS
SELECT s.tenant, s.identifier AS number, billing._month(coalesce(c.answered_at, c.started_at), 'UTC') AS month, l.currency,
	count(*) AS calls,
	count(*) FILTER (WHERE billing._call_answered(c.billsec, c.answered_at, c.disposition)) AS answered,
	coalesce(sum(billing._call_seconds(coalesce(c.did_billsec, c.billsec), c.answered_at, c.ended_at)), 0) AS seconds,
	sum(l.incoming) AS incoming, sum(l.owner) AS owner, sum(l.provider) AS provider,
	coalesce(sum(k.credit), 0) AS credit,
	coalesce(sum(l.incoming), 0) + coalesce(sum(l.owner), 0) + coalesce(sum(l.provider), 0) - coalesce(sum(k.credit), 0) AS profit,
	coalesce(sum(l.unpriced), 0)::bigint AS unpriced_legs
FROM billing.cdr c
	JOIN billing.service s ON s.id = c.did_service_id
	-- One row for each currency of a call's DID legs; one without, for a call that none applies to.
	LEFT JOIN LATERAL (
		SELECT a.currency, sum(v.amount) FILTER (WHERE v.leg = 'did_incoming') AS incoming, sum(v.amount) FILTER (WHERE v.leg = 'did_owner') AS owner,
			sum(v.amount) FILTER (WHERE v.leg = 'did_provider') AS provider, array_agg(v.leg) AS legs, count(*) - count(v.amount) AS unpriced
		FROM (VALUES ('did_incoming', c.did_incoming_account_id, c.did_incoming_amount), ('did_owner', c.did_owner_account_id, c.did_owner_amount),
				('did_provider', c.did_provider_account_id, c.did_provider_amount)) v(leg, account_id, amount)
			JOIN billing.account a ON a.id = v.account_id
		GROUP BY a.currency) l ON true
	LEFT JOIN LATERAL (
		SELECT sum(d.amount) AS credit FROM billing.credit d
		WHERE d.cdr_id = c.id AND d.started_at = c.started_at AND d.leg = ANY (l.legs)) k ON true
WHERE c.did_service_id IS NOT NULL
GROUP BY s.tenant, s.identifier, billing._month(coalesce(c.answered_at, c.started_at), 'UTC'), l.currency;

COMMENT ON VIEW billing.did_reconciliation IS 'What each DID earned in a month, by its three prices (K1, K13): a row for each currency, for money of two is never added; a call whose legs are in two currencies counts in both rows. Calls that no DID leg applies to stand in a row without currency.';
COMMENT ON COLUMN billing.did_reconciliation.tenant IS 'Tenant of the DID; empty: none.';
COMMENT ON COLUMN billing.did_reconciliation.number IS 'Number of the DID, whoever held it.';
COMMENT ON COLUMN billing.did_reconciliation.month IS 'First day of the month in UTC in which the rating instant lies; UTC because the parties of a call may be in several time zones.';
COMMENT ON COLUMN billing.did_reconciliation.currency IS 'Currency of the sums: of the accounts of the legs; null where no leg applies.';
COMMENT ON COLUMN billing.did_reconciliation.calls IS 'Calls, answered or not.';
COMMENT ON COLUMN billing.did_reconciliation.answered IS 'Of these, answered ones.';
COMMENT ON COLUMN billing.did_reconciliation.seconds IS 'Seconds of the DID before rounding and increments: did_billsec, else those of the call (K16).';
COMMENT ON COLUMN billing.did_reconciliation.incoming IS 'What those who dialled owe: positive, they pay; negative, they are paid (K2). Null where the leg has no priced call.';
COMMENT ON COLUMN billing.did_reconciliation.owner IS 'What its owners owe: positive, they pay; negative, they are paid (K5). Null where the leg has no priced call.';
COMMENT ON COLUMN billing.did_reconciliation.provider IS 'What its providers owe: positive, they pay; negative, they are paid (K11). Null where the leg has no priced call.';
COMMENT ON COLUMN billing.did_reconciliation.credit IS 'Connect fees that an earlier call of the session has paid (K4), and included minutes: in the three sums, and to be taken off.';
COMMENT ON COLUMN billing.did_reconciliation.profit IS 'incoming + owner + provider - credit: what the DID earned (K13).';
COMMENT ON COLUMN billing.did_reconciliation.unpriced_legs IS 'Legs that apply but have no price: not in the sums; billing.unrated says why.';

CREATE OR REPLACE VIEW billing.did_inventory AS
SELECT n.tenant, n.number,
	CASE WHEN s.id IS NULL THEN CASE WHEN n.begins > now() THEN 'future' ELSE 'ended' END WHEN s.account_id IS NULL THEN 'stock' ELSE 'assigned' END AS state,
	CASE WHEN s.id IS NULL THEN n.ended ELSE lower(s.active) END AS since,
	s.id AS service_id, s.account_id AS owner_id, a.name AS owner, s.provider_id, p.name AS provider, s.out_payment::numeric AS out_payment,
	s.cost_center, s.max_channels,
	r.incoming_currency, r.incoming_work, r.incoming_free, r.owner_currency, r.owner_work, r.owner_free, r.provider_currency, r.provider_work, r.provider_free,
	r.has_bands
FROM (
		SELECT v.tenant, v.identifier AS number, max(upper(v.active)) FILTER (WHERE upper(v.active) <= now()) AS ended,
			min(lower(v.active)) FILTER (WHERE lower(v.active) > now()) AS begins
		FROM billing.service v WHERE v.kind = 'did' AND v.side = 'customer'
		GROUP BY v.tenant, v.identifier) n
	LEFT JOIN billing.service s ON s.kind = 'did' AND s.side = 'customer' AND s.tenant = n.tenant AND s.identifier = n.number AND s.active @> now()
	LEFT JOIN billing.account a ON a.id = s.account_id
	LEFT JOIN billing.account p ON p.id = s.provider_id
	CROSS JOIN LATERAL (
		-- In force now, without a band: that of the kind of day, else that of any.
		SELECT (array_agg(d.price::numeric ORDER BY d.any_day) FILTER (WHERE d.leg = 'did_incoming' AND d.day_type <> 'free'))[1] AS incoming_work,
			(array_agg(d.price::numeric ORDER BY d.any_day) FILTER (WHERE d.leg = 'did_incoming' AND d.day_type <> 'work'))[1] AS incoming_free,
			(array_agg(d.price::numeric ORDER BY d.any_day) FILTER (WHERE d.leg = 'did_owner' AND d.day_type <> 'free'))[1] AS owner_work,
			(array_agg(d.price::numeric ORDER BY d.any_day) FILTER (WHERE d.leg = 'did_owner' AND d.day_type <> 'work'))[1] AS owner_free,
			(array_agg(d.price::numeric ORDER BY d.any_day) FILTER (WHERE d.leg = 'did_provider' AND d.day_type <> 'free'))[1] AS provider_work,
			(array_agg(d.price::numeric ORDER BY d.any_day) FILTER (WHERE d.leg = 'did_provider' AND d.day_type <> 'work'))[1] AS provider_free,
			string_agg(DISTINCT d.currency, '/') FILTER (WHERE d.leg = 'did_incoming') AS incoming_currency,
			string_agg(DISTINCT d.currency, '/') FILTER (WHERE d.leg = 'did_owner') AS owner_currency,
			string_agg(DISTINCT d.currency, '/') FILTER (WHERE d.leg = 'did_provider') AS provider_currency,
			coalesce(bool_or(d.banded), false) AS has_bands
		FROM (
			SELECT f.leg, f.price, f.currency, f.day_type = 'any' AS any_day, f.band IS NOT NULL AS banded,
				CASE WHEN f.band IS NULL THEN f.day_type END AS day_type
			FROM (
				SELECT DISTINCT ON (o.leg, o.day_type, o.band) o.leg, o.day_type, o.band, o.price, o.currency, o.withdrawn
				FROM billing.did_rate o
				WHERE o.number = n.number AND o.tenant = n.tenant AND o.valid_from <= now()
				ORDER BY o.leg, o.day_type, o.band, o.valid_from DESC) f
			WHERE NOT f.withdrawn) d) r;

COMMENT ON VIEW billing.did_inventory IS 'The DIDs and where they are now (D4): in stock or with whom, from which provider, and at which prices per minute on work days and free days (K12).';
COMMENT ON COLUMN billing.did_inventory.tenant IS 'Tenant of the DID; empty: none.';
COMMENT ON COLUMN billing.did_inventory.number IS 'Its number.';
COMMENT ON COLUMN billing.did_inventory.state IS 'assigned to an account, in stock, ended, or future: not active yet.';
COMMENT ON COLUMN billing.did_inventory.since IS 'Since when it is in this state; null: always, or not known.';
COMMENT ON COLUMN billing.did_inventory.service_id IS 'The service that it is now; null when none is active.';
COMMENT ON COLUMN billing.did_inventory.owner_id IS 'Account that has it; null in stock.';
COMMENT ON COLUMN billing.did_inventory.owner IS 'Its name.';
COMMENT ON COLUMN billing.did_inventory.provider_id IS 'Account of the provider that it comes from.';
COMMENT ON COLUMN billing.did_inventory.provider IS 'Its name.';
COMMENT ON COLUMN billing.did_inventory.out_payment IS 'Paid to the owner per minute (D14), in the owner''s currency.';
COMMENT ON COLUMN billing.did_inventory.cost_center IS 'Cost centre or location of the owner (D15).';
COMMENT ON COLUMN billing.did_inventory.max_channels IS 'Calls at once that it is sold for.';
COMMENT ON COLUMN billing.did_inventory.incoming_currency IS 'Currency of the prices for who dials it; several, separated by /, where they differ.';
COMMENT ON COLUMN billing.did_inventory.incoming_work IS 'Price for who dials it on a work day, outside bands; null: none is in force.';
COMMENT ON COLUMN billing.did_inventory.incoming_free IS 'Price for who dials it on a free day, outside bands; null: none is in force.';
COMMENT ON COLUMN billing.did_inventory.owner_currency IS 'Currency of the prices for its owner; several, separated by /, where they differ.';
COMMENT ON COLUMN billing.did_inventory.owner_work IS 'Price for its owner on a work day, outside bands; null: none is in force.';
COMMENT ON COLUMN billing.did_inventory.owner_free IS 'Price for its owner on a free day, outside bands; null: none is in force.';
COMMENT ON COLUMN billing.did_inventory.provider_currency IS 'Currency of the prices for its provider; several, separated by /, where they differ.';
COMMENT ON COLUMN billing.did_inventory.provider_work IS 'Price for its provider on a work day, outside bands; null: none is in force.';
COMMENT ON COLUMN billing.did_inventory.provider_free IS 'Price for its provider on a free day, outside bands; null: none is in force.';
COMMENT ON COLUMN billing.did_inventory.has_bands IS 'Whether it has prices for time bands beside these.';
