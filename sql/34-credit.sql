-- Credits: what a charge costs less because of other calls (design 6). Statements queue the pools that they touch,
-- by plain append; settle_credits() works them out.

CREATE FUNCTION billing._did_number(did text, callee_number text, callee text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN regexp_replace(coalesce(nullif(did, ''), nullif(callee_number, ''), callee, ''), '^\+', '');
COMMENT ON FUNCTION billing._did_number(text, text, text) IS 'The DID of a call with DID legs: did, else the callee, without + (design 5, step 6). Empty when there is none. Raises no error.';

CREATE FUNCTION billing._session_pool(session_id text, number text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
RETURN (SELECT CASE WHEN octet_length(n.name) <= 1000 THEN n.name
	ELSE left(n.name, 200) || '#' || to_hex(hashtextextended(n.name, 1)) || to_hex(hashtextextended(n.name, 2)) END
	FROM (SELECT jsonb_build_array(session_id, number)::text AS name) n);
COMMENT ON FUNCTION billing._session_pool(text, text) IS 'Name of the pool of a session fee: session and DID as a JSON array, so that no two pools have one name; beyond 1,000 bytes its beginning and a digest, so that an index can hold it.';

CREATE FUNCTION billing._pool_lock(session_id text, number text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
RETURN (hashtextextended(session_id || ' ' || number, 0) & 255)::integer;
COMMENT ON FUNCTION billing._pool_lock(text, text) IS 'Which of the 256 advisory locks guards a session: a transaction that settles a million sessions holds no more.';

CREATE FUNCTION billing._allowance_lock(account_id bigint, service_id bigint, leg text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN 256 + (hashtextextended(account_id || ' ' || coalesce(service_id, 0) || ' ' || leg, 0) & 255)::integer;
COMMENT ON FUNCTION billing._allowance_lock(bigint, bigint, text) IS 'Which of the next 256 advisory locks guards a pool of included minutes. Sessions are locked before pools, each in ascending order.';

CREATE FUNCTION billing._lock_pools(number integer) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp AS $$
	-- The calls first: billing.archive() holds them while it settles.
	LOCK TABLE billing.cdr IN ACCESS SHARE MODE;
	SELECT pg_advisory_xact_lock('billing.credit'::regclass::oid::integer, $1)
$$;
COMMENT ON FUNCTION billing._lock_pools(integer) IS 'Takes one of the advisory locks of _pool_lock() and _allowance_lock() until the transaction ends.';

-- Session fees (K4, reading 8).

CREATE FUNCTION billing._queue_fee_pools(sessions text[], numbers text[]) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
	INSERT INTO billing.credit_queue (kind, account_id, service_id, leg, day)
	SELECT DISTINCT 'allowance', l.account_id, p.pool_service_id, l.leg, billing._usage_day(i.at, a.timezone)
	FROM unnest($1, $2) u(session_id, number)
		JOIN billing.cdr c ON c.session_id = u.session_id AND billing._did_number(c.did, c.callee_number, c.callee) = u.number
		CROSS JOIN LATERAL (VALUES ('did_incoming', c.did_incoming_account_id, c.did_incoming_amount), ('did_owner', c.did_owner_account_id, c.did_owner_amount),
			('did_provider', c.did_provider_account_id, c.did_provider_amount)) l(leg, account_id, amount)
		CROSS JOIN LATERAL (SELECT CASE WHEN isfinite(c.answered_at) THEN c.answered_at ELSE c.started_at END AS at) i
		JOIN billing.account a ON a.id = l.account_id
		CROSS JOIN LATERAL billing._pool_of(l.account_id, c.did_service_id, l.leg, i.at) p
	WHERE c.session_id <> '' AND coalesce(c.did_incoming_amount, c.did_owner_amount, c.did_provider_amount) IS NOT NULL
		AND l.amount > 0 AND isfinite(i.at) AND EXISTS (SELECT FROM billing.allowance o WHERE o.plan_id = p.plan_id AND o.leg = l.leg)
$$;
COMMENT ON FUNCTION billing._queue_fee_pools(text[], text[]) IS 'Queues the pools of included minutes that the calls of sessions draw from: a fee that another call has paid is not credited a second time by them.';

CREATE FUNCTION billing._settle_session_fees(sessions text[], numbers text[]) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	changes bigint;
BEGIN
	WITH pool AS MATERIALIZED (
		SELECT u.session_id, u.number, billing._session_pool(u.session_id, u.number) AS name FROM unnest(sessions, numbers) u(session_id, number)
	), fee AS MATERIALIZED (
		-- From the first row of each session on, in the order of reading 8. Rows without a fee have nothing to share.
		SELECT c.id AS cdr_id, c.started_at, p.name AS pool, l.leg, f.fee, l.account_id, c.answered_at, c.did_service_id,
			row_number() OVER (PARTITION BY p.name, l.leg ORDER BY c.started_at, c.source COLLATE "C", c.call_id COLLATE "C", c.id) AS place
		FROM pool p
			JOIN billing.cdr c ON c.session_id = p.session_id AND billing._did_number(c.did, c.callee_number, c.callee) = p.number
			CROSS JOIN LATERAL (VALUES ('did_incoming', c.did_incoming_account_id, c.did_incoming_amount), ('did_owner', c.did_owner_account_id, c.did_owner_amount),
				('did_provider', c.did_provider_account_id, c.did_provider_amount)) l(leg, account_id, amount)
			CROSS JOIN LATERAL (SELECT billing.did_fee(c, l.leg) AS fee WHERE l.amount IS NOT NULL OFFSET 0) f
		WHERE c.session_id <> '' AND coalesce(c.did_incoming_amount, c.did_owner_amount, c.did_provider_amount) IS NOT NULL AND f.fee <> 0
	), due AS MATERIALIZED (
		SELECT f.cdr_id, f.started_at, f.pool, f.leg, f.fee, f.account_id,
			billing._usage_day(CASE WHEN isfinite(f.answered_at) THEN f.answered_at ELSE f.started_at END, coalesce(a.timezone, 'UTC')) AS day,
			coalesce(s.cost_center, '') AS cost_center, coalesce(a.currency, '') AS currency
		FROM fee f LEFT JOIN billing.account a ON a.id = f.account_id LEFT JOIN billing.service s ON s.id = f.did_service_id
		-- The call that keeps the fee may have left with its partition.
		WHERE f.place > 1 OR EXISTS (SELECT FROM billing.archived_credit k WHERE k.pool = f.pool AND k.kind = 'session_fee' AND k.leg = f.leg AND k.keeps_fee)
	), gone AS (
		DELETE FROM billing.credit k USING pool p
		WHERE k.pool = p.name AND k.kind = 'session_fee' AND NOT EXISTS (
			SELECT FROM due d WHERE d.cdr_id = k.cdr_id AND d.started_at = k.started_at AND d.leg = k.leg AND d.pool = k.pool)
		RETURNING 1
	), written AS (
		INSERT INTO billing.credit AS k (cdr_id, started_at, leg, kind, pool, amount, account_id, day, cost_center, currency)
		SELECT d.cdr_id, d.started_at, d.leg, 'session_fee', d.pool, d.fee, d.account_id, d.day, d.cost_center, d.currency FROM due d
		ON CONFLICT ON CONSTRAINT credit_key DO UPDATE SET amount = EXCLUDED.amount, account_id = EXCLUDED.account_id, day = EXCLUDED.day,
			cost_center = EXCLUDED.cost_center, destination = EXCLUDED.destination, currency = EXCLUDED.currency
		WHERE (k.amount, k.account_id, k.day, k.cost_center, k.destination, k.currency)
			IS DISTINCT FROM (EXCLUDED.amount, EXCLUDED.account_id, EXCLUDED.day, EXCLUDED.cost_center, EXCLUDED.destination, EXCLUDED.currency)
		RETURNING 1
	)
	SELECT (SELECT count(*) FROM gone) + (SELECT count(*) FROM written) INTO changes;
	IF changes > 0 AND EXISTS (SELECT FROM billing.allowance a WHERE a.leg IN ('did_incoming', 'did_owner', 'did_provider')) THEN
		PERFORM billing._queue_fee_pools(sessions, numbers);
	END IF;
END $$;
COMMENT ON FUNCTION billing._settle_session_fees(text[], text[]) IS 'Works out the session fee credits of the pools (session, DID) anew, from all calls that are there; writes only what differs. The caller holds their locks.';

-- Included minutes (readings 24 and 25).

CREATE FUNCTION billing._allowance_credit(cdr anyelement, leg text, amount numeric, billsec bigint, seconds bigint) RETURNS numeric
LANGUAGE plpgsql STABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	rest numeric;
BEGIN
	IF billing.covered_amount(cdr, leg, 0) = amount THEN
		rest := billing.covered_amount(cdr, leg, seconds);
		-- A credit never exceeds the amount, but for an out-payment, which does not depend on it (reading 28).
		IF rest < 0 THEN
			rest := greatest(rest, least(billing.covered_amount(cdr, leg, billsec), 0));
		END IF;
		RETURN greatest(amount - rest, 0);
	ELSIF seconds >= billsec THEN
		RETURN amount;
	END IF;
	-- amount x seconds / billsec, rounded once: in whole units of 1e-8.
	RETURN div(2 * amount * 100000000 * seconds + billsec, 2 * billsec) * 0.00000001;
END $$;
COMMENT ON FUNCTION billing._allowance_credit(anyelement, text, numeric, bigint, bigint) IS 'The credit on a stored amount above 0 for its first so many billed seconds: what the call costs less with them covered (billing.covered_amount()). If the catalogue would price it otherwise by now, or it arrived priced: its share by seconds. Null for null.';

CREATE FUNCTION billing._pool_calls(leg text, by_service boolean) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp AS $function$
	-- Which allowances cover a call: of the prefixes of each the longest decides (D12); they are drawn from in the order
	-- of their longest prefix, then of their id. Only what costs something draws.
	-- A call is looked for by its start. One that is answered more than 31 days after it, or a day before it, draws nothing.
	SELECT format($query$
		SELECT c AS cdr, c.id, c.started_at, c.%2$I AS amount, c.%3$I::bigint AS billsec,
			CASE WHEN c.%2$I > 0 AND c.%2$I <> 'NaN' AND c.%3$I > 0 THEN ARRAY(
				SELECT u.place FROM unnest($9) WITH ORDINALITY u(id, place)
					CROSS JOIN LATERAL (
						SELECT p.prefix, p.included FROM billing.allowance_prefix p
						WHERE p.allowance_id = u.id AND p.prefix OPERATOR(billing.@>) %4$s
						ORDER BY billing.length(p.prefix) DESC LIMIT 1) m
				WHERE m.included ORDER BY billing.length(m.prefix) DESC, u.id) ELSE '{}' END AS covering,
			billing._usage_day(i.at, $3) AS day, coalesce((SELECT s.cost_center FROM billing.service s WHERE s.id = %5$s), '') AS cost_center,
			%6$s AS destination, %7$s AS fee
		FROM billing.cdr c
			CROSS JOIN LATERAL (SELECT CASE WHEN isfinite(c.answered_at) THEN c.answered_at ELSE c.started_at END AS at) i
		WHERE c.%1$I = $1 AND c.started_at >= $4::timestamp AT TIME ZONE $3 - interval '31 days' AND c.started_at < $5::timestamp AT TIME ZONE $3 + interval '1 day'
			AND i.at >= c.started_at - interval '1 day' AND i.at <= c.started_at + interval '31 days'
			AND i.at >= $6 AND i.at < $7 AND billing._usage_day(i.at, $3) >= $4 AND billing._usage_day(i.at, $3) < $5
			AND %8$s
		ORDER BY c.started_at, c.source COLLATE "C", c.call_id COLLATE "C", c.id$query$,
		$1 || '_account_id', $1 || '_amount', $1 || '_billsec',
		CASE WHEN $1 LIKE 'did%' THEN 'billing._did_number(c.did, c.callee_number, c.callee)' ELSE $$ltrim(coalesce(nullif(c.callee_number, ''), c.callee), '+')$$ END,
		CASE WHEN $1 LIKE 'did%' THEN 'c.did_service_id' WHEN $1 IN ('customer', 'provider') THEN format('c.%I', $1 || '_service_id') ELSE 'NULL' END,
		CASE WHEN $1 LIKE 'did%' THEN $$''::text$$ ELSE format($$coalesce((SELECT r.destination FROM billing.rate r WHERE r.id = c.%I), '')$$, $1 || '_rate_id') END,
		CASE WHEN $1 LIKE 'did%' THEN format($$coalesce((SELECT k.amount FROM billing.credit k WHERE k.cdr_id = c.id AND k.started_at = c.started_at AND k.leg = %L AND k.kind = 'session_fee'), 0)$$, $1)
			ELSE '0::numeric' END,
		CASE WHEN $2 THEN format('c.%I IN (SELECT s.id FROM billing.service s WHERE s.id = $2 OR s.primary_id = $2)', l.service)
			WHEN l.service IS NOT NULL THEN format('(c.%1$I IS NULL OR c.%1$I = ANY ($8) OR (SELECT p.pool_service_id FROM billing._pool_of(c.%2$I, c.%1$I, %3$L, i.at) p) IS NULL)', l.service, $1 || '_account_id', $1)
			ELSE '$2 IS NULL' END)
	FROM (SELECT CASE $1 WHEN 'customer' THEN 'customer_service_id' WHEN 'provider' THEN 'provider_service_id' WHEN 'did_owner' THEN 'did_service_id' END AS service) l
$function$;
COMMENT ON FUNCTION billing._pool_calls(text, boolean) IS 'The query for the calls of a cycle that belong to a pool, in the order in which they draw (reading 25). $1 account, $2 service or null, $3 its time zone, $4 first day, $5 day behind the last, $6 and $7 from and to when the plan holds, $8 services of the account that have never had a plan of their own, $9 allowances; covering are places among these.';

CREATE FUNCTION billing._write_cycle(account_id bigint, service_id bigint, leg text, allowance_id bigint, cycle date, since timestamptz,
	granted bigint, rolled_over bigint, used bigint) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
	INSERT INTO billing.allowance_cycle AS c (account_id, service_id, leg, allowance_id, cycle, since, granted, rolled_over, used)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
	ON CONFLICT ON CONSTRAINT allowance_cycle_key DO UPDATE SET leg = EXCLUDED.leg, granted = EXCLUDED.granted, rolled_over = EXCLUDED.rolled_over, used = EXCLUDED.used
	WHERE (c.leg, c.granted, c.rolled_over, c.used) IS DISTINCT FROM (EXCLUDED.leg, EXCLUDED.granted, EXCLUDED.rolled_over, EXCLUDED.used)
$$;
COMMENT ON FUNCTION billing._write_cycle(bigint, bigint, text, bigint, date, timestamptz, bigint, bigint, bigint) IS 'Keeps what a cycle of a pool has come to in billing.allowance_cycle; writes only what differs.';

-- Without nested loops: of a pool with many calls they would compare each with each.
CREATE FUNCTION billing._write_allowance_credits(account_id bigint, leg text, pool text, currency text, from_day date, until_day date,
	cdr_ids bigint[], starts timestamptz[], allowances text[], cycles date[], seconds bigint[], amounts numeric[], days date[], cost_centers text[], destinations text[])
RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET enable_nestloop = off SET jit = off AS $$
	WITH due AS MATERIALIZED (
		SELECT * FROM unnest($7, $8, $9, $10, $11, $12, $13, $14, $15) u(cdr_id, started_at, allowance, cycle, seconds, amount, day, cost_center, destination)
	), gone AS (
		DELETE FROM billing.credit k
		WHERE k.pool = $3 AND k.kind = 'allowance' AND k.day >= $5 AND k.day < $6 AND k.leg = $2 AND k.account_id = $1
			AND NOT EXISTS (SELECT FROM due d WHERE d.cdr_id = k.cdr_id AND d.started_at = k.started_at AND d.allowance = k.allowance)
	)
	INSERT INTO billing.credit AS k (cdr_id, started_at, leg, kind, pool, allowance, cycle, seconds, amount, account_id, day, cost_center, destination, currency)
	SELECT d.cdr_id, d.started_at, $2, 'allowance', $3, d.allowance, d.cycle, d.seconds, d.amount, $1, d.day, d.cost_center, d.destination, $4
	FROM due d
	ON CONFLICT ON CONSTRAINT credit_key DO UPDATE SET cycle = EXCLUDED.cycle, seconds = EXCLUDED.seconds, amount = EXCLUDED.amount,
		account_id = EXCLUDED.account_id, day = EXCLUDED.day, cost_center = EXCLUDED.cost_center, destination = EXCLUDED.destination, currency = EXCLUDED.currency
	WHERE (k.cycle, k.seconds, k.amount, k.account_id, k.day, k.cost_center, k.destination, k.currency)
		IS DISTINCT FROM (EXCLUDED.cycle, EXCLUDED.seconds, EXCLUDED.amount, EXCLUDED.account_id, EXCLUDED.day, EXCLUDED.cost_center, EXCLUDED.destination, EXCLUDED.currency)
$$;
COMMENT ON FUNCTION billing._write_allowance_credits(bigint, text, text, text, date, date, bigint[], timestamptz[], text[], date[], bigint[], numeric[], date[], text[], text[]) IS 'Makes the credits of a pool on the days from from_day to before until_day those that are due, given side by side; writes only what differs.';

-- Without a sort the calls are read in the order of an index, and no further than there is something to draw.
CREATE FUNCTION billing._replay_pool(account_id bigint, service_id bigint, leg text, day date) RETURNS date
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET enable_sort = off SET jit = off AS $$
DECLARE
	account record;
	span record;
	cycle record;
	call record;
	place integer;
	calls text := billing._pool_calls(leg, service_id IS NOT NULL);
	pool_name text := coalesce('service:' || service_id, 'account:' || account_id);
	unplanned bigint[];
	-- The allowances of the cycle's plan, side by side.
	ids bigint[];
	names text[];
	granted bigint[];
	rolled bigint[];
	used bigint[];
	rest bigint[];
	begun boolean;
	-- What of the call is covered so far, and its next part.
	covered bigint;
	credited numeric;
	part bigint;
	total numeric;
	-- What is due, side by side.
	cdr_ids bigint[] := '{}';
	starts timestamptz[] := '{}';
	allowances text[] := '{}';
	cycles date[] := '{}';
	seconds bigint[] := '{}';
	amounts numeric[] := '{}';
	days date[] := '{}';
	cost_centers text[] := '{}';
	destinations text[] := '{}';
BEGIN
	SELECT a.timezone, a.currency INTO account FROM billing.account a WHERE a.id = _replay_pool.account_id;
	IF NOT FOUND THEN
		RETURN day + 1;
	END IF;
	span := billing._pool_span(account_id, service_id, day);
	unplanned := ARRAY(
		SELECT s.id FROM billing.service s JOIN billing.service e ON e.id = coalesce(s.primary_id, s.id)
		WHERE s.account_id = _replay_pool.account_id AND _replay_pool.service_id IS NULL AND e.plan_id IS NULL
			AND NOT EXISTS (SELECT FROM billing.service_terms t WHERE t.service_id = e.id AND t.plan_id IS NOT NULL));
	-- Cycles that are no more: a plan has changed since.
	DELETE FROM billing.allowance_cycle l
	WHERE l.account_id = _replay_pool.account_id AND l.service_id IS NOT DISTINCT FROM _replay_pool.service_id AND l.leg = _replay_pool.leg
		AND l.cycle >= span.starts AND l.cycle < span.ends AND NOT EXISTS (
			SELECT FROM billing._pool_cycle(_replay_pool.account_id, _replay_pool.service_id, span.starts, span.ends) c
				JOIN billing.allowance a ON a.plan_id = c.plan_id
			WHERE a.id = l.allowance_id AND c.first_day = l.cycle AND c.since = l.since);

	FOR cycle IN SELECT c.* FROM billing._pool_cycle(account_id, service_id, span.starts, span.ends) c LOOP
		SELECT array_agg(a.id ORDER BY a.id), array_agg(a.name ORDER BY a.id), array_agg(g.seconds ORDER BY a.id), array_agg(r.seconds ORDER BY a.id),
			array_agg(u.seconds ORDER BY a.id), array_agg(g.seconds + r.seconds - u.seconds ORDER BY a.id), bool_or(u.seconds > 0)
		INTO ids, names, granted, rolled, used, rest, begun
		FROM billing.allowance a
			CROSS JOIN LATERAL (SELECT billing._granted(a.seconds, cycle.cycle, cycle.first_cycle, cycle.whole_from, cycle.first_day) AS seconds) g
			CROSS JOIN LATERAL (SELECT billing._rolled_over(_replay_pool.account_id, _replay_pool.service_id, a.id, cycle.first_day, cycle.since) AS seconds) r
			-- Calls that have left with their partition drew first.
			CROSS JOIN LATERAL (
				SELECT coalesce(sum(k.seconds), 0)::bigint AS seconds FROM billing.archived_credit k
				WHERE k.pool = pool_name AND k.kind = 'allowance' AND k.account_id = _replay_pool.account_id AND k.leg = a.leg AND k.allowance = a.name
					AND k.cycle = cycle.first_day) u
		WHERE a.plan_id = cycle.plan_id AND a.leg = _replay_pool.leg;
		CONTINUE WHEN ids IS NULL;

		FOR call IN EXECUTE calls USING account_id, service_id, account.timezone, cycle.first_day, cycle.end_day, cycle.starts, cycle.ends, unplanned, ids LOOP
			begun := true;
			EXIT WHEN 0 >= ALL (rest);
			covered := 0;
			credited := 0;
			FOREACH place IN ARRAY call.covering LOOP
				part := least(rest[place], call.billsec - covered);
				CONTINUE WHEN part <= 0;
				covered := covered + part;
				rest[place] := rest[place] - part;
				used[place] := used[place] + part;
				total := billing._allowance_credit(call.cdr, leg, call.amount, call.billsec, covered);
				-- The fee that another call of the session has paid is credited already.
				IF covered >= call.billsec THEN
					total := greatest(total - call.fee, 0);
				END IF;
				cdr_ids := cdr_ids || call.id;
				starts := starts || call.started_at;
				allowances := allowances || names[place];
				cycles := cycles || cycle.first_day;
				seconds := seconds || part;
				amounts := amounts || (total - credited);
				days := days || call.day;
				cost_centers := cost_centers || call.cost_center;
				destinations := destinations || call.destination;
				credited := total;
			END LOOP;
		END LOOP;

		IF begun THEN
			PERFORM billing._write_cycle(account_id, service_id, leg, ids[i], cycle.first_day, cycle.since, granted[i], rolled[i], used[i])
			FROM generate_subscripts(ids, 1) i;
		ELSE
			DELETE FROM billing.allowance_cycle l
			WHERE l.account_id = _replay_pool.account_id AND l.service_id IS NOT DISTINCT FROM _replay_pool.service_id
				AND l.allowance_id = ANY (ids) AND l.cycle = cycle.first_day AND l.since = cycle.since;
		END IF;
	END LOOP;

	PERFORM billing._write_allowance_credits(account_id, leg, pool_name, account.currency, span.starts, span.ends,
		cdr_ids, starts, allowances, cycles, seconds, amounts, days, cost_centers, destinations);
	RETURN span.ends;
END $$;
COMMENT ON FUNCTION billing._replay_pool(bigint, bigint, text, date) IS 'Works out the cycles of a pool around a day anew, from all calls that are there, in the order start, source, call_id, id (reading 25); writes only what differs. Returns the first day behind them. The caller holds the pool''s lock.';

CREATE FUNCTION billing._next_cycle(account_id bigint, service_id bigint, leg text, from_day date, until_day date) RETURNS date
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
	SELECT min(n.cycle)
	FROM billing.allowance a
		-- What changes later than in the first cycle that is there changes by it.
		CROSS JOIN LATERAL (
			SELECT l.cycle, l.since, l.rolled_over FROM billing.allowance_cycle l
			WHERE l.account_id = $1 AND l.service_id IS NOT DISTINCT FROM $2 AND l.allowance_id = a.id AND l.cycle >= $4 AND l.cycle < $5
			ORDER BY l.cycle, l.since LIMIT 1) n
	WHERE a.rollover AND a.leg = $3 AND a.id IN (SELECT l.allowance_id FROM billing.allowance_cycle l WHERE l.account_id = $1 AND l.service_id IS NOT DISTINCT FROM $2)
		AND n.rolled_over IS DISTINCT FROM billing._rolled_over($1, $2, a.id, n.cycle, n.since)
$$;
COMMENT ON FUNCTION billing._next_cycle(bigint, bigint, text, date, date) IS 'The cycle of a pool from from_day to before until_day into which something else rolls over than did when it was worked out; null: none.';

CREATE FUNCTION billing._settle_allowance(account_id bigint, service_id bigint, leg text) RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	days date[];
	done date := '-infinity';
	next date;
BEGIN
	WITH drained AS (
		DELETE FROM billing.credit_queue q
		WHERE q.kind = 'allowance' AND q.account_id = _settle_allowance.account_id AND q.service_id IS NOT DISTINCT FROM _settle_allowance.service_id
			AND q.leg = _settle_allowance.leg
		RETURNING q.day
	)
	SELECT array_agg(DISTINCT d.day ORDER BY d.day) INTO days FROM drained d WHERE isfinite(d.day);
	FOR i IN 1 .. coalesce(cardinality(days), 0) LOOP
		next := CASE WHEN days[i] >= done THEN days[i] END;
		LOOP
			IF next IS NOT NULL THEN
				done := billing._replay_pool(account_id, service_id, leg, next);
			END IF;
			next := billing._next_cycle(account_id, service_id, leg, done, coalesce(days[i + 1], 'infinity'));
			EXIT WHEN next IS NULL;
		END LOOP;
	END LOOP;
	RETURN days IS NOT NULL;
END $$;
COMMENT ON FUNCTION billing._settle_allowance(bigint, bigint, text) IS 'Drains the queue of one pool: works out the cycles of the days that stand there, and later ones into which something else rolls over by that. False: nothing stood there. The caller holds the pool''s lock.';

CREATE FUNCTION billing._settle_pool(account_id bigint, service_id bigint, leg text, at timestamptz DEFAULT now()) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	pool record;
BEGIN
	pool := billing._pool_of(account_id, service_id, leg, at);
	IF pool.plan_id IS NULL OR NOT EXISTS (
		SELECT FROM billing.credit_queue q
		WHERE q.kind = 'allowance' AND q.account_id = _settle_pool.account_id AND q.service_id IS NOT DISTINCT FROM pool.pool_service_id AND q.leg = _settle_pool.leg)
	THEN
		RETURN;
	END IF;
	PERFORM billing._lock_pools(billing._allowance_lock(account_id, pool.pool_service_id, leg));
	PERFORM billing._settle_allowance(account_id, pool.pool_service_id, leg);
END $$;
COMMENT ON FUNCTION billing._settle_pool(bigint, bigint, text, timestamptz) IS 'Settles the pool of included minutes that a call of an account by a service, or none, would draw from on a leg; an index look-up when nothing is queued for it. Who settles several pools in one transaction goes in the order of _allowance_lock().';

CREATE FUNCTION billing._settle_allowances() RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	settled bigint := 0;
	pool record;
	number integer;
BEGIN
	FOR pool IN
		SELECT q.account_id, q.service_id, q.leg, billing._allowance_lock(q.account_id, q.service_id, q.leg) AS number
		FROM (SELECT DISTINCT u.account_id, u.service_id, u.leg FROM billing.credit_queue u WHERE u.kind = 'allowance') q
		ORDER BY 4, 1, 2, 3
	LOOP
		IF pool.number IS DISTINCT FROM number THEN
			number := pool.number;
			PERFORM billing._lock_pools(number);
		END IF;
		-- Somebody else may have been faster.
		IF billing._settle_allowance(pool.account_id, pool.service_id, pool.leg) THEN
			settled := settled + 1;
		END IF;
	END LOOP;
	RETURN settled;
END $$;
COMMENT ON FUNCTION billing._settle_allowances() IS 'Settles all pools of included minutes that are queued, in the order of their locks; returns how many.';

CREATE FUNCTION billing.settle_credits() RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	settled bigint := 0;
	slot integer;
	sessions text[];
	numbers text[];
BEGIN
	PERFORM billing._require_ledger();
	-- In the order of the locks, so that two who settle at once wait for each other and never in a circle.
	FOR slot IN SELECT DISTINCT billing._pool_lock(q.session_id, q.number) FROM billing.credit_queue q WHERE q.kind = 'session_fee' ORDER BY 1 LOOP
		PERFORM billing._lock_pools(slot);
		-- Each statement reads anew: calls that are committed between the two have left a row in the queue, which
		-- the next who settles finds. Settling twice changes nothing.
		WITH drained AS (
			DELETE FROM billing.credit_queue q
			WHERE q.kind = 'session_fee' AND billing._pool_lock(q.session_id, q.number) = slot
			RETURNING q.session_id, q.number
		)
		SELECT array_agg(d.session_id), array_agg(d.number) INTO sessions, numbers FROM (SELECT DISTINCT e.session_id, e.number FROM drained e) d;
		CONTINUE WHEN sessions IS NULL;
		PERFORM billing._settle_session_fees(sessions, numbers);
		settled := settled + cardinality(sessions);
	END LOOP;
	RETURN settled + billing._settle_allowances();
END $$;
COMMENT ON FUNCTION billing.settle_credits() IS 'Works out what billing.credit_queue asks for, and returns how many pools that were. Included minutes: the calls of a cycle draw from their pool in the order start, source, call_id, id (D9 to D12, reading 25). Session fees: of the connect fees of a DID leg, the first call of a session keeps its fee, and the others are credited theirs (K4, reading 8). Whatever the order in which calls came, changed or went. Sessions may settle at once; one waits for the other on the same calls. For the ledger''s owner. 55000 without a ledger.';
REVOKE ALL ON FUNCTION billing.settle_credits() FROM PUBLIC;
