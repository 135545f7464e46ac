-- What the demo's calls have to cost, worked out a second time in plain SQL from the catalogue and the raw columns
-- alone: identification by the demo's own kinds, the longest prefix, first and next increment, fee, exchange rate.
-- TAP tests compare it with what rating has stored.
SET search_path = public, billing;       -- for the operators of type prefix
CREATE VIEW demo.oracle AS
WITH call AS (
	SELECT c.id, c.started_at, coalesce(c.answered_at, c.started_at) AS instant, ltrim(c.callee, '+') AS callee,
		coalesce(c.billsec, extract(epoch FROM c.ended_at - c.answered_at), 0) AS seconds, cs.account_id AS customer_id, ps.account_id AS provider_id
	FROM billing.cdr c
		LEFT JOIN billing.service cs ON cs.side = 'customer' AND (cs.kind, cs.identifier) = (CASE WHEN c.auth_code IS NOT NULL THEN 'auth_code' WHEN c.src_trunk IS NOT NULL THEN 'trunk' ELSE 'ip' END,
			coalesce(c.auth_code, c.src_trunk, regexp_replace(c.src_ip, '\d+$', '0/24')))
		LEFT JOIN billing.service ps ON ps.side = 'provider' AND (ps.kind, ps.identifier) = (CASE WHEN c.provider_code IS NOT NULL THEN 'auth_code' WHEN c.dst_trunk IS NOT NULL THEN 'trunk' ELSE 'source' END,
			coalesce(c.provider_code, c.dst_trunk, c.source))
), leg AS (
	SELECT id, started_at, 'customer' AS leg, customer_id AS account_id, 1 AS sign, instant, callee, seconds FROM call
	UNION ALL
	SELECT id, started_at, 'provider', provider_id, -1, instant, callee, seconds FROM call
)
SELECT l.id, l.started_at, l.leg, l.account_id,
	CASE WHEN l.account_id IS NULL THEN 'no_account' WHEN r.price IS NULL THEN 'no_rate' WHEN r.blocked THEN 'blocked' END AS reason,
	CASE WHEN NOT r.blocked THEN b.billed END AS billed,
	CASE WHEN NOT r.blocked THEN
		l.sign * round(CASE WHEN l.seconds > 0 THEN r.connect_fee + r.price * b.billed / 60 ELSE 0 END * coalesce(x.rate, 1), 8) END AS amount
FROM leg l
	LEFT JOIN billing.account a ON a.id = l.account_id
	LEFT JOIN billing.tariff t ON t.id = a.tariff_id
	LEFT JOIN LATERAL (
		SELECT rate.price, rate.blocked, own.connect_fee, own.first_increment, own.next_increment
		FROM billing.rate JOIN billing.tariff own ON own.id = rate.tariff_id
		WHERE rate.tariff_id IN (t.id, t.base_tariff_id)
			AND rate.prefix = ANY (ARRAY(SELECT left(l.callee, n)::billing.prefix FROM generate_series(1, 15) n))
			AND (NOT rate.exact OR rate.prefix::text = l.callee)
		ORDER BY rate.tariff_id = t.id DESC, rate.exact DESC, billing.length(rate.prefix) DESC
		LIMIT 1) r ON true
	LEFT JOIN LATERAL (
		SELECT CASE WHEN l.seconds <= 0 THEN 0
			ELSE r.first_increment + ceil(greatest(l.seconds - r.first_increment, 0) / r.next_increment) * r.next_increment END AS billed) b ON true
	LEFT JOIN LATERAL (
		SELECT e.rate FROM billing.exchange_rate e
		WHERE e.base = t.currency AND e.quote = a.currency AND e.valid_from <= l.instant
		ORDER BY e.valid_from DESC LIMIT 1) x ON true;
