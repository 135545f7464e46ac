-- catalogue_check(): what will go wrong before it does. Each check is a function of its own; all judge the
-- terms that the live rows carry, so also terms that are yet to begin. PL/pgSQL, because the tables that they
-- read are the ledger's and need not exist when the extension is created.

CREATE FUNCTION billing._price_list(OUT side text, OUT account_id bigint, OUT service_id bigint, OUT tariff_id bigint) RETURNS SETOF record
	LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	SELECT 'customer', a.id, s.id, coalesce(s.tariff_id, sp.tariff_id, ap.tariff_id, a.tariff_id,
		CASE WHEN a.parent_id IS NULL THEN (SELECT t.id FROM billing.tariff t WHERE t.is_default_customer) END)
	FROM billing.service s
		JOIN billing.account a ON a.id = s.account_id
		LEFT JOIN billing.plan sp ON sp.id = s.plan_id
		LEFT JOIN billing.plan ap ON ap.id = a.plan_id
	WHERE s.side = 'customer' AND s.kind <> 'virtual_number' AND s.active && tstzrange(now(), NULL)
	UNION ALL
	SELECT 'reseller', a.id, NULL, coalesce(ap.tariff_id, a.tariff_id, (SELECT t.id FROM billing.tariff t WHERE t.is_default_customer))
	FROM billing.account a
		LEFT JOIN billing.plan ap ON ap.id = a.plan_id
	WHERE EXISTS (SELECT FROM billing.account child WHERE child.parent_id = a.id)
	UNION ALL
	SELECT 'provider', a.id, s.id, coalesce(s.tariff_id, a.tariff_id)
	FROM billing.account a
		LEFT JOIN billing.service s ON s.account_id = a.id AND s.side = 'provider' AND s.active && tstzrange(now(), NULL)
	WHERE s.id IS NOT NULL
		OR a.is_provider AND NOT EXISTS (SELECT FROM billing.service did WHERE did.provider_id = a.id);
END $$;
COMMENT ON FUNCTION billing._price_list(OUT text, OUT bigint, OUT bigint, OUT bigint) IS
	'Which price list serves whom by the present terms, in the order of precedence of design 5, step 3: each service that is or will be active, each account with accounts below it (side reseller), each provider. tariff_id is null where there is none.';

CREATE FUNCTION billing._exchange(base text, quote text, OUT rate numeric, OUT valid_from timestamptz)
	LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF base = quote THEN
		rate := 1;
		RETURN;
	END IF;
	SELECT CASE WHEN e.base = _exchange.base THEN e.rate ELSE 1 / e.rate END, e.valid_from INTO rate, valid_from
	FROM billing.exchange_rate e
	WHERE (e.base, e.quote) IN ((_exchange.base, _exchange.quote), (_exchange.quote, _exchange.base)) AND e.valid_from <= now()
	ORDER BY e.base = _exchange.base DESC, e.valid_from DESC
	LIMIT 1;
END $$;
COMMENT ON FUNCTION billing._exchange(text, text, OUT numeric, OUT timestamptz) IS
	'How many units of quote one unit of base is worth now, and since when: the direct pair, else the inverse, never through a third (design 3). Both null where there is neither; 1 and null for one currency.';

CREATE FUNCTION billing._warn_loss(OUT severity text, OUT problem text, OUT subject text, OUT detail text, OUT hint text) RETURNS SETOF record
	LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET work_mem = '64MB'
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	WITH RECURSIVE list AS MATERIALIZED (
		SELECT DISTINCT l.side, l.account_id, l.tariff_id FROM billing._price_list() l WHERE l.tariff_id IS NOT NULL
	), pair AS MATERIALIZED (
		-- The operator buys from the providers, an account below a reseller is served by what the reseller buys.
		SELECT p.sell_id, p.buy_id, p.reseller_id, sell.average_duration AS seconds, x.rate AS exchange
		FROM (
			SELECT l.tariff_id AS sell_id, buy.tariff_id AS buy_id, NULL::bigint AS reseller_id
			FROM list l
				JOIN billing.account a ON a.id = l.account_id
				JOIN list buy ON buy.side = 'provider'
			WHERE l.side = 'reseller' OR l.side = 'customer' AND a.parent_id IS NULL
			UNION
			SELECT l.tariff_id, buy.tariff_id, a.parent_id
			FROM list l
				JOIN billing.account a ON a.id = l.account_id
				JOIN list buy ON buy.side = 'reseller' AND buy.account_id = a.parent_id
			WHERE l.side = 'customer') p
			JOIN billing.tariff sell ON sell.id = p.sell_id
			JOIN billing.tariff buy ON buy.id = p.buy_id
			CROSS JOIN LATERAL billing._exchange(buy.currency, sell.currency) x
		WHERE x.rate IS NOT NULL
	), chain (tariff_id, part_id, depth) AS (
		SELECT p.sell_id, p.sell_id, 0 FROM pair p
		UNION
		SELECT p.buy_id, p.buy_id, 0 FROM pair p
		UNION
		SELECT c.tariff_id, t.base_tariff_id, c.depth + 1
		FROM chain c
			JOIN billing.tariff t ON t.id = c.part_id
		WHERE t.base_tariff_id IS NOT NULL AND c.depth < 4
	), number AS MATERIALIZED (
		-- The prefixes of both lists: either may be finer than the other. Any number stands for the empty one.
		SELECT DISTINCT c.tariff_id, CASE WHEN billing.length(r.prefix) = 0 THEN '0' ELSE r.prefix END AS number
		FROM chain c
			JOIN billing.rate r ON r.tariff_id = c.part_id
		WHERE r.valid_from <= now()
	), wanted AS MATERIALIZED (
		SELECT p.sell_id, p.buy_id, p.seconds, n.number FROM pair p JOIN number n ON n.tariff_id = p.sell_id
		UNION
		SELECT p.sell_id, p.buy_id, p.seconds, n.number FROM pair p JOIN number n ON n.tariff_id = p.buy_id
	), priced AS MATERIALIZED (
		SELECT w.tariff_id, w.number, w.seconds, m.rate_id, m.destination, m.prefix::text AS prefix,
			billing.charge_amount(w.seconds, m.price, m.first_increment, m.next_increment, m.increment_rule, m.first_price, m.connect_fee,
				m.grace_seconds, m.free_seconds, m.min_amount, m.max_amount, m.surcharge_percent, m.duration_rounding, m.rounding_digits, m.rounding_mode) AS amount
		FROM (
			SELECT w.sell_id AS tariff_id, w.number, w.seconds FROM wanted w
			UNION
			SELECT w.buy_id, w.number, w.seconds FROM wanted w) w
			CROSS JOIN LATERAL billing.match_rate(w.tariff_id, w.number::text, now()) m
		WHERE m.rate_id IS NOT NULL AND NOT m.blocked
	), cheapest AS (
		SELECT p.sell_id, p.reseller_id, p.seconds, w.number, min(ARRAY[buy.amount * p.exchange, p.buy_id]) AS buy
		FROM wanted w
			JOIN pair p ON p.sell_id = w.sell_id AND p.buy_id = w.buy_id
			JOIN priced buy ON buy.tariff_id = w.buy_id AND buy.number OPERATOR(billing.=) w.number AND buy.seconds = w.seconds
		GROUP BY p.sell_id, p.reseller_id, p.seconds, w.number
	), worst AS (
		SELECT DISTINCT ON (c.sell_id, c.reseller_id, sell.rate_id) c.reseller_id, c.seconds, c.number, c.buy[1] AS costs, b.name AS buy_name,
			t.name AS sell_name, t.currency, t.loss_percent, sell.prefix, sell.destination, sell.amount AS sells
		FROM cheapest c
			JOIN billing.tariff t ON t.id = c.sell_id
			JOIN billing.tariff b ON b.id = c.buy[2]
			JOIN priced sell ON sell.tariff_id = c.sell_id AND sell.number OPERATOR(billing.=) c.number AND sell.seconds = c.seconds
		WHERE sell.amount < c.buy[1] * (1 - t.loss_percent / 100)
		ORDER BY c.sell_id, c.reseller_id, sell.rate_id, sell.amount - c.buy[1], c.number
	)
	SELECT 'warning', 'sell_below_buy', format('tariff %s, prefix %s%s', w.sell_name, w.prefix, coalesce(' (' || w.destination || ')', '')),
		format('A call of %s s to %s sells for %s %s and costs %s %s by %s%s; loss_percent allows %s %%.', w.seconds, w.number,
			trim_scale(w.sells), w.currency, trim_scale(round(w.costs, 8)), w.currency, w.buy_name,
			CASE WHEN w.reseller_id IS NULL THEN ', the cheapest provider list' ELSE ', which the reseller buys by' END, trim_scale(w.loss_percent)),
		'Raise the price with a new valid_from, block the prefix, or find a cheaper provider.'
	FROM worst w;
END $$;
COMMENT ON FUNCTION billing._warn_loss(OUT text, OUT text, OUT text, OUT text, OUT text) IS
	'sell_below_buy (V2, C24): for each price list that customers of the operator are on, each rate in force by which a call of the list''s average_duration sells for less than the cheapest provider list charges, less the loss that loss_percent allows (-10: at least 10 % above cost); for accounts below a reseller, less than the reseller pays. Compared on the prefixes of both lists with their charge parameters, in the selling list''s currency; the worst prefix of each rate is named. Takes a few microseconds for each list and prefix.';

CREATE FUNCTION billing._warn_rate(OUT severity text, OUT problem text, OUT subject text, OUT detail text, OUT hint text) RETURNS SETOF record
	LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	SELECT DISTINCT 'error', 'no_any_rate', format('tariff %s, prefix %s%s', t.name, r.prefix, CASE WHEN r.exact THEN ' (exact)' ELSE '' END),
		'It has a price for some bands or days, and no rate of day_type any without a band.',
		'Insert the rate that holds at all other times.'
	FROM billing.rate r
		JOIN billing.tariff t ON t.id = r.tariff_id
		CROSS JOIN LATERAL (SELECT greatest(r.valid_from, now()) AS at) i
		CROSS JOIN LATERAL (
			-- The versions in force then that hold all day: any, or work and free.
			SELECT coalesce(bool_or(o.day_type = 'any') OR count(*) = 2, false) AS complete
			FROM (
				SELECT DISTINCT ON (o.day_type) o.day_type, o.withdrawn
				FROM billing.rate o
				WHERE o.tariff_id = r.tariff_id AND o.prefix OPERATOR(billing.=) r.prefix AND o.exact = r.exact AND o.band IS NULL AND o.valid_from <= i.at
				ORDER BY o.day_type, o.valid_from DESC) o
			WHERE NOT o.withdrawn) whole
	WHERE (r.band IS NOT NULL OR r.day_type <> 'any') AND NOT r.withdrawn AND NOT whole.complete
		AND NOT EXISTS (
			SELECT FROM billing.rate later
			WHERE later.tariff_id = r.tariff_id AND later.prefix OPERATOR(billing.=) r.prefix AND later.exact = r.exact AND later.day_type = r.day_type
				AND later.band IS NOT DISTINCT FROM r.band AND later.valid_from > r.valid_from AND later.valid_from <= i.at);
	RETURN QUERY
	WITH RECURSIVE used AS (
		SELECT l.tariff_id FROM billing._price_list() l WHERE l.tariff_id IS NOT NULL
		UNION
		SELECT t.id FROM billing.tariff t WHERE t.is_default_customer
		UNION
		SELECT t.base_tariff_id FROM used u JOIN billing.tariff t ON t.id = u.tariff_id WHERE t.base_tariff_id IS NOT NULL
	)
	SELECT 'info', 'unused_tariff', format('tariff %s', t.name),
		format('Its %s rates price nobody: no account, service or plan in use names it, it is no list''s base and not the default.', (SELECT count(*) FROM billing.rate r WHERE r.tariff_id = t.id)),
		'Assign it to an account, a plan or a service, or leave it.'
	FROM billing.tariff t
	WHERE t.id NOT IN (SELECT u.tariff_id FROM used u);
END $$;
COMMENT ON FUNCTION billing._warn_rate(OUT text, OUT text, OUT text, OUT text, OUT text) IS
	'no_any_rate: a price for a band or a kind of day, now or later, without one for the rest of the time (work and free together are enough). unused_tariff: a list that prices nobody.';

CREATE FUNCTION billing._warn_service(OUT severity text, OUT problem text, OUT subject text, OUT detail text, OUT hint text) RETURNS SETOF record
	LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	WITH network AS MATERIALIZED (
		SELECT s.id, s.side, s.identifier, s.identifier::inet AS net, s.tenant, s.active, s.account_id, a.name
		FROM billing.service s
			JOIN billing.account a ON a.id = s.account_id
		WHERE s.kind = 'ip' AND s.active && tstzrange(now(), NULL)
	)
	SELECT 'warning', 'overlapping_networks', format('%s service %s and %s service %s', x.side, x.identifier, y.side, y.identifier),
		format('Addresses in both belong to %s and to %s.%s', x.name, y.name,
			CASE WHEN x.side = y.side THEN ' The longer network decides.' ELSE ' A call from there comes from a provider, and its customer may not be charged.' END),
		'Give each account the addresses that are its own.'
	FROM network x
		JOIN network y ON y.net && x.net AND y.account_id <> x.account_id AND (x.side, x.id) < (y.side, y.id)
	WHERE x.active && y.active AND (x.tenant = y.tenant OR x.tenant = '' OR y.tenant = '');
	RETURN QUERY
	WITH candidate AS MATERIALIZED (
		-- A caller is looked for as extension, virtual number, DID and ani at once (design 5, step 2).
		SELECT s.id, s.side, CASE WHEN s.kind IN ('extension', 'virtual_number', 'did', 'ani') THEN 'caller' ELSE s.kind END AS level,
			s.kind, s.identifier, s.tenant, s.active, s.account_id, a.name
		FROM billing.service s
			JOIN billing.account a ON a.id = s.account_id
		WHERE s.kind NOT IN ('ip', 'pattern') AND s.active && tstzrange(now(), NULL)
	), rival AS (
		SELECT x.*, bool_or(x.tenant = y.tenant) AS same_tenant, bool_or(x.tenant = '' OR y.tenant = '') AS any_tenant
		FROM candidate x
			JOIN candidate y ON y.side = x.side AND y.level = x.level AND y.identifier = x.identifier AND y.account_id <> x.account_id AND y.active && x.active
		GROUP BY x.id, x.side, x.level, x.kind, x.identifier, x.tenant, x.active, x.account_id, x.name
	)
	SELECT CASE WHEN bool_or(r.same_tenant) THEN 'error' WHEN bool_or(r.any_tenant) THEN 'warning' ELSE 'info' END,
		'ambiguous_identifier', format('%s %s %s', r.side, string_agg(DISTINCT r.kind, '/'), r.identifier),
		format('It belongs to %s. %s', string_agg(format('%s%s', r.name, coalesce(' in tenant ' || nullif(r.tenant, ''), '')), ', ' ORDER BY r.id),
			CASE WHEN bool_or(r.same_tenant) THEN 'A call that shows it is ambiguous, and nobody is charged.'
				WHEN bool_or(r.any_tenant) THEN 'A call without tenant is charged to the service without one.'
				ELSE 'A call without tenant is ambiguous, and nobody is charged.' END),
		'Give each its own identifier, or its tenant, and load calls with the tenant.'
	FROM rival r
	GROUP BY r.side, r.level, r.identifier;
	RETURN QUERY
	SELECT 'warning', 'inactive_account', format('account %s', a.name),
		format('It is not active, but %s of its services are; what is called by them is still rated.', count(*)),
		'End the services, or make the account active.'
	FROM billing.service s
		JOIN billing.account a ON a.id = s.account_id
	WHERE NOT a.active AND s.active && tstzrange(now(), NULL)
	GROUP BY a.id, a.name;
	RETURN QUERY
	SELECT 'error', 'primary_ended', format('virtual number %s', v.identifier),
		format('Its primary %s %s is active in %s, the virtual number in %s; outside it matches nothing.', p.kind, p.identifier, p.active, v.active),
		'End the virtual number with its primary, or give it another primary.'
	FROM billing.service v
		JOIN billing.service p ON p.id = v.primary_id
	WHERE v.active && tstzrange(now(), NULL) AND NOT p.active @> (v.active * tstzrange(now(), NULL));
END $$;
COMMENT ON FUNCTION billing._warn_service(OUT text, OUT text, OUT text, OUT text, OUT text) IS
	'overlapping_networks: two accounts on one address. ambiguous_identifier (D6, reading 29): one identifier of several accounts; an error within a tenant, a warning where one has no tenant, else an info. inactive_account: services of an account that is not active. primary_ended (reading 26): a virtual number that outlives its primary.';

CREATE FUNCTION billing._warn_account(OUT severity text, OUT problem text, OUT subject text, OUT detail text, OUT hint text) RETURNS SETOF record
	LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	SELECT 'error', 'no_price_list', format('account %s', a.name),
		CASE l.side WHEN 'customer' THEN format('%s of its services have no tariff, nor have their plan or the account%s.', count(*),
				CASE WHEN a.parent_id IS NULL THEN ', and there is no default customer tariff' ELSE '; the default is not for a reseller''s customers' END)
			WHEN 'reseller' THEN 'It has accounts below it, but neither its plan nor itself has a tariff, and there is no default customer tariff.'
			ELSE 'It is a provider, but neither the account nor its services have a tariff.' END,
		'Set tariff_id of the account, its plan or its service.'
	FROM billing._price_list() l
		JOIN billing.account a ON a.id = l.account_id
	WHERE l.tariff_id IS NULL
	GROUP BY l.side, a.id, a.name, a.parent_id;
	RETURN QUERY
	SELECT DISTINCT 'warning', 'foreign_price_list', format('account %s', a.name),
		format('Its price list %s belongs to %s, but its seller is %s.', t.name, coalesce(o.name, 'the operator'), coalesce(p.name, 'the operator')),
		'Give it a price list whose owner is its parent account, or the operator''s where it has none.'
	FROM billing._price_list() l
		JOIN billing.account a ON a.id = l.account_id
		JOIN billing.tariff t ON t.id = l.tariff_id
		LEFT JOIN billing.account o ON o.id = t.owner_id
		LEFT JOIN billing.account p ON p.id = a.parent_id
	WHERE l.side <> 'provider' AND t.owner_id IS DISTINCT FROM a.parent_id;
	RETURN QUERY
	SELECT 'info', 'future_terms', f.subject, format('Its present columns hold from %s; until then its former terms price calls.', f.terms_from),
		'Nothing to do if that is meant.'
	FROM (
		SELECT format('tariff %s', t.name) AS subject, t.terms_from FROM billing.tariff t
		UNION ALL
		SELECT format('account %s', a.name), a.terms_from FROM billing.account a
		UNION ALL
		SELECT format('%s service %s %s', s.side, s.kind, s.identifier), s.terms_from FROM billing.service s) f
	WHERE f.terms_from > now();
END $$;
COMMENT ON FUNCTION billing._warn_account(OUT text, OUT text, OUT text, OUT text, OUT text) IS
	'no_price_list: a customer with services, an account with accounts below it, or a provider, that no tariff serves. foreign_price_list (C9): a list that belongs to another than the account''s seller. future_terms: a tariff, account or service whose terms are yet to begin.';

CREATE FUNCTION billing._warn_exchange_rate(OUT severity text, OUT problem text, OUT subject text, OUT detail text, OUT hint text) RETURNS SETOF record
	LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	SELECT CASE WHEN x.rate IS NULL THEN 'error' ELSE 'warning' END,
		CASE WHEN x.rate IS NULL THEN 'no_exchange_rate' ELSE 'stale_exchange_rate' END,
		format('exchange rate of %s and %s', n.base, n.quote),
		format('Price lists in %s serve accounts in %s (%s), %s.', n.base, n.quote, n.accounts,
			CASE WHEN x.rate IS NULL THEN 'but neither the pair nor its inverse is in force' ELSE format('and the newest rate is of %s', x.valid_from) END),
		'Insert the present rate into billing.exchange_rate.'
	FROM (
		SELECT t.currency AS base, a.currency AS quote, string_agg(DISTINCT a.name, ', ') AS accounts
		FROM billing._price_list() l
			JOIN billing.account a ON a.id = l.account_id
			JOIN billing.tariff t ON t.id = l.tariff_id
		WHERE t.currency <> a.currency
		GROUP BY t.currency, a.currency) n
		CROSS JOIN LATERAL billing._exchange(n.base, n.quote) x
	WHERE x.rate IS NULL OR x.valid_from < now() - interval '30 days';
END $$;
COMMENT ON FUNCTION billing._warn_exchange_rate(OUT text, OUT text, OUT text, OUT text, OUT text) IS
	'no_exchange_rate: a price list in one currency serves an account in another, and neither the pair nor its inverse is in force (C28). stale_exchange_rate: the one that rating would use is older than 30 days.';

CREATE FUNCTION billing.catalogue_check(OUT severity text, OUT problem text, OUT subject text, OUT detail text, OUT hint text) RETURNS SETOF record
	LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM billing._require_ledger();
	RETURN QUERY
	SELECT f.severity, f.problem, f.subject, f.detail, f.hint
	FROM (
		SELECT * FROM billing._warn_loss()
		UNION ALL
		SELECT * FROM billing._warn_rate()
		UNION ALL
		SELECT * FROM billing._warn_service()
		UNION ALL
		SELECT * FROM billing._warn_account()
		UNION ALL
		SELECT * FROM billing._warn_exchange_rate()) f
	ORDER BY CASE f.severity WHEN 'error' THEN 1 WHEN 'warning' THEN 2 ELSE 3 END, f.problem, f.subject;
END $$;
COMMENT ON FUNCTION billing.catalogue_check(OUT text, OUT text, OUT text, OUT text, OUT text) IS
	'What will go wrong before it does, one row a problem, none when all is well. severity: error (calls will have no price), warning (money may be lost), info. problem: sell_below_buy, no_any_rate, unused_tariff, overlapping_networks, ambiguous_identifier, inactive_account, primary_ended, no_price_list, foreign_price_list, future_terms, no_exchange_rate, stale_exchange_rate (a needed rate older than 30 days). subject: what is concerned; detail: why; hint: what to do. Judges the catalogue as of now and the terms that the rows carry, also future ones. 55000 without a ledger.';
REVOKE ALL ON FUNCTION billing.catalogue_check() FROM PUBLIC;
