-- Included minutes (D3, D9 to D12, K21, readings 24 and 25): plans, cycles, and what a pool has left. A pool is an
-- account and a service whose own plan it is, or an account alone; all its calls of one leg share the allowances of the
-- plan. Who draws how much is worked out in 34-credit.sql.

CREATE FUNCTION billing.covered_amount(cdr anyelement, leg text, seconds bigint) RETURNS numeric
LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'billing_covered_amount';
COMMENT ON FUNCTION billing.covered_amount(anyelement, text, bigint) IS 'What a leg of a call would cost, in the account''s currency, if an allowance covered its first so many billed seconds: those have price 0; when they are all, connect fee and minimum fall away, and only an out-payment remains (reading 25, D14). 0: the whole amount. Takes what rate_call takes. Null where the leg has no amount, and for null. For those who may read the catalogue, as settling is run for switches by an owner who need have no right on functions: 42501 for others, 22023 for an unknown leg or negative seconds, else errors as rate_call.';

CREATE FUNCTION billing._covered_amount(cdr anyelement, leg text, seconds bigint, without_did_fee boolean) RETURNS numeric
LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'billing_covered_amount';
COMMENT ON FUNCTION billing._covered_amount(anyelement, text, bigint, boolean) IS 'As covered_amount(), with without_did_fee as if a DID leg had no connect fee: another call of its session has paid it (K4).';

-- Cycles.

CREATE FUNCTION billing._cycle_start(cycle text, day date) RETURNS date
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
RETURN CASE cycle
	WHEN 'weekly' THEN day - (extract(isodow FROM day)::integer - 1)
	WHEN 'two_weekly' THEN day - ((day - '2001-01-01'::date) % 14 + 14) % 14
	ELSE date_trunc('month', day::timestamp)::date END;
COMMENT ON FUNCTION billing._cycle_start(text, date) IS 'First day of the cycle that a day lies in: the first of its month, its Monday, or its Monday of every other week counted from 2001-01-01 (C20). Null for null.';

CREATE FUNCTION billing._cycle_end(cycle text, starts date) RETURNS date
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
RETURN CASE cycle WHEN 'weekly' THEN starts + 7 WHEN 'two_weekly' THEN starts + 14 ELSE (starts + interval '1 month')::date END;
COMMENT ON FUNCTION billing._cycle_end(text, date) IS 'First day of the next cycle, for the first day of one. Null for null.';

CREATE FUNCTION billing._plan_period(account_id bigint, service_id bigint, OUT plan_id bigint, OUT cycle text, OUT first_cycle text,
	OUT starts timestamptz, OUT ends timestamptz, OUT first_day date, OUT end_day date) RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	-- Not in SQL: it would be planned at each call.
	RETURN QUERY
	WITH term AS (
		SELECT t.terms_from, t.plan_id FROM billing.account_terms t WHERE $2 IS NULL AND t.account_id = $1
		UNION ALL SELECT a.terms_from, a.plan_id FROM billing.account a WHERE $2 IS NULL AND a.id = $1
		UNION ALL SELECT t.terms_from, t.plan_id FROM billing.service_terms t WHERE t.service_id = $2
		UNION ALL SELECT s.terms_from, s.plan_id FROM billing.service s WHERE s.id = $2
	), marked AS (
		-- Terms that change something else let the plan go on.
		SELECT t.terms_from, t.plan_id, lag(t.plan_id) OVER (ORDER BY t.terms_from) IS DISTINCT FROM t.plan_id AS begins FROM term t
	), period AS (
		SELECT m.plan_id, m.terms_from AS starts, lead(m.terms_from, 1, 'infinity') OVER (ORDER BY m.terms_from) AS ends FROM marked m WHERE m.begins
	)
	SELECT p.plan_id, n.cycle, n.first_cycle, p.starts, p.ends, billing._usage_day(p.starts, a.timezone),
		CASE WHEN p.ends = 'infinity' THEN 'infinity'::date ELSE billing._usage_day(p.ends - interval '1 microsecond', a.timezone) + 1 END
	FROM period p JOIN billing.plan n ON n.id = p.plan_id JOIN billing.account a ON a.id = $1;
END $$;
COMMENT ON FUNCTION billing._plan_period(bigint, bigint) IS 'When a service, or an account (service null), has had which plan: from starts to before ends, on the days of the account''s time zone from first_day to before end_day.';

CREATE FUNCTION billing._pool_cycle(account_id bigint, service_id bigint, from_day date, until_day date, OUT plan_id bigint, OUT cycle text,
	OUT first_cycle text, OUT starts timestamptz, OUT ends timestamptz, OUT first_day date, OUT end_day date, OUT whole_from date, OUT since timestamptz)
RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	period record;
	next date;
BEGIN
	FOR period IN
		SELECT p.* FROM billing._plan_period(_pool_cycle.account_id, _pool_cycle.service_id) p
		WHERE p.first_day < _pool_cycle.until_day AND p.end_day > _pool_cycle.from_day
		ORDER BY p.starts
	LOOP
		plan_id := period.plan_id;
		cycle := period.cycle;
		first_cycle := period.first_cycle;
		starts := period.starts;
		ends := period.ends;
		next := billing._cycle_start(period.cycle, greatest(period.first_day, from_day));
		WHILE next < least(period.end_day, until_day) LOOP
			whole_from := next;
			next := billing._cycle_end(period.cycle, whole_from);
			first_day := greatest(whole_from, period.first_day);
			end_day := least(next, period.end_day);
			since := CASE WHEN period.first_day >= whole_from THEN period.starts ELSE '-infinity' END;
			RETURN NEXT;
		END LOOP;
	END LOOP;
END $$;
COMMENT ON FUNCTION billing._pool_cycle(bigint, bigint, date, date) IS 'The cycles of a pool that touch the days from from_day to before until_day, in order. Calls of a cycle are those with a rating instant from starts to before ends of the plan on the days from first_day to before end_day; whole_from is the first day that it would have with the plan all the time, since the instant at which the plan began in it, or -infinity.';

CREATE FUNCTION billing._pool_span(account_id bigint, service_id bigint, day date, OUT starts date, OUT ends date) RETURNS record
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	wider record;
BEGIN
	starts := day;
	ends := day + 1;
	-- Where a plan changes within a day, the day belongs to two cycles.
	LOOP
		SELECT min(c.first_day) AS starts, max(c.end_day) AS ends INTO wider
		FROM billing._pool_cycle(_pool_span.account_id, _pool_span.service_id, _pool_span.starts, _pool_span.ends) c;
		EXIT WHEN coalesce(wider.starts >= starts AND wider.ends <= ends, true);
		starts := least(starts, wider.starts);
		ends := greatest(ends, wider.ends);
	END LOOP;
END $$;
COMMENT ON FUNCTION billing._pool_span(bigint, bigint, date) IS 'The days around a day that whole cycles of a pool fill, from starts to before ends.';

CREATE FUNCTION billing._granted(seconds bigint, cycle text, first_cycle text, whole_from date, first_day date) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN first_cycle = 'full' OR first_day <= whole_from THEN seconds
	ELSE seconds * (billing._cycle_end(cycle, whole_from) - first_day) / (billing._cycle_end(cycle, whole_from) - whole_from) END;
COMMENT ON FUNCTION billing._granted(bigint, text, text, date, date) IS 'Seconds that an allowance grants in a cycle: all, or where the plan begins in its middle as many as fall on the days left, the first one counted, rounded down.';

CREATE FUNCTION billing._rolled_over(account_id bigint, service_id bigint, allowance_id bigint, first_day date, since timestamptz) RETURNS bigint
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	seconds bigint;
	former record;
	left_over bigint;
	begun boolean;
BEGIN
	-- Only from a cycle of the same plan without a break.
	IF since > '-infinity' THEN
		RETURN 0;
	END IF;
	SELECT a.seconds INTO seconds FROM billing.allowance a WHERE a.id = _rolled_over.allowance_id AND a.rollover;
	IF NOT FOUND THEN
		RETURN 0;
	END IF;
	SELECT c.* INTO former
	FROM billing._pool_cycle(_rolled_over.account_id, _rolled_over.service_id, _rolled_over.first_day - 1, _rolled_over.first_day) c
	WHERE c.plan_id = (SELECT a.plan_id FROM billing.allowance a WHERE a.id = _rolled_over.allowance_id)
	ORDER BY c.starts DESC LIMIT 1;

	-- Of its own seconds: those that rolled over to it went first, and end with it.
	SELECT l.granted - greatest(l.used - l.rolled_over, 0) INTO left_over
	FROM billing.allowance_cycle l
	WHERE l.account_id = _rolled_over.account_id AND l.service_id IS NOT DISTINCT FROM _rolled_over.service_id
		AND l.allowance_id = _rolled_over.allowance_id AND l.cycle = former.first_day AND l.since = former.since;
	IF FOUND THEN
		RETURN left_over;
	END IF;

	-- A cycle without a call leaves all. Of a plan that was always there nobody can say when it began: it begins with the
	-- service, or else with its first call.
	SELECT greatest(former.starts, lower(s.active)) < lower_day.instant INTO begun
	FROM (SELECT (_rolled_over.first_day::timestamp AT TIME ZONE a.timezone) AS instant FROM billing.account a WHERE a.id = _rolled_over.account_id) lower_day
		LEFT JOIN billing.service s ON s.id = _rolled_over.service_id
	WHERE isfinite(greatest(former.starts, lower(s.active)));
	IF begun IS NULL THEN
		begun := EXISTS (
			SELECT FROM billing.allowance_cycle l
			WHERE l.account_id = _rolled_over.account_id AND l.service_id IS NOT DISTINCT FROM _rolled_over.service_id
				AND l.allowance_id = _rolled_over.allowance_id AND l.cycle < _rolled_over.first_day);
	END IF;
	RETURN CASE WHEN begun THEN billing._granted(seconds, former.cycle, former.first_cycle, former.whole_from, former.first_day) ELSE 0 END;
END $$;
COMMENT ON FUNCTION billing._rolled_over(bigint, bigint, bigint, date, timestamptz) IS 'Seconds that join a cycle of a pool from the cycle before: what is unused of its own grant (billing.allowance_cycle; all of it where no call was). Only with rollover, and never over a change of the plan.';

-- Pools.

CREATE FUNCTION billing._pool_of(account_id bigint, service_id bigint, leg text, at timestamptz, OUT pool_service_id bigint, OUT plan_id bigint) RETURNS record
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF leg IN ('customer', 'provider', 'did_owner') THEN
		SELECT t.id, t.plan_id INTO pool_service_id, plan_id
		FROM (
			SELECT e.id, e.plan_id, e.terms_from FROM billing.service s JOIN billing.service e ON e.id = coalesce(s.primary_id, s.id) WHERE s.id = _pool_of.service_id
			UNION ALL
			SELECT f.service_id, f.plan_id, f.terms_from
			FROM billing.service s JOIN billing.service_terms f ON f.service_id = coalesce(s.primary_id, s.id) WHERE s.id = _pool_of.service_id) t
		WHERE t.terms_from <= _pool_of.at
		ORDER BY t.terms_from DESC LIMIT 1;
	END IF;
	IF plan_id IS NULL THEN
		pool_service_id := NULL;
		SELECT t.plan_id INTO plan_id
		FROM (
			SELECT a.plan_id, a.terms_from FROM billing.account a WHERE a.id = _pool_of.account_id
			UNION ALL SELECT f.plan_id, f.terms_from FROM billing.account_terms f WHERE f.account_id = _pool_of.account_id) t
		WHERE t.terms_from <= _pool_of.at
		ORDER BY t.terms_from DESC LIMIT 1;
	END IF;
END $$;
COMMENT ON FUNCTION billing._pool_of(bigint, bigint, text, timestamptz) IS 'The plan that covers a leg of a call at an instant: the service''s own, of a virtual number its primary''s, with that service; else the account''s, with a null service; null: none (D9 to D11).';

CREATE FUNCTION billing.allowance_remaining(account_id bigint, service_id bigint, leg text, number text, at timestamptz DEFAULT now()) RETURNS bigint
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	pool record;
	cycle record;
	seconds bigint;
BEGIN
	pool := billing._pool_of(account_id, service_id, leg, at);
	SELECT c.* INTO cycle
	FROM billing.account a
		CROSS JOIN LATERAL (SELECT billing._usage_day(allowance_remaining.at, a.timezone) AS day) d
		CROSS JOIN LATERAL billing._pool_cycle(a.id, pool.pool_service_id, d.day, d.day + 1) c
	WHERE a.id = allowance_remaining.account_id AND pool.plan_id IS NOT NULL AND isfinite(allowance_remaining.at)
		AND c.starts <= allowance_remaining.at AND allowance_remaining.at < c.ends;
	IF NOT FOUND THEN
		RETURN 0;
	END IF;
	SELECT sum(coalesce(l.granted + l.rolled_over - l.used,
		billing._granted(a.seconds, cycle.cycle, cycle.first_cycle, cycle.whole_from, cycle.first_day)
			+ billing._rolled_over(allowance_remaining.account_id, pool.pool_service_id, a.id, cycle.first_day, cycle.since))) INTO seconds
	FROM billing.allowance a
		CROSS JOIN LATERAL (
			SELECT p.included FROM billing.allowance_prefix p
			WHERE p.allowance_id = a.id AND p.prefix OPERATOR(billing.@>) ltrim(allowance_remaining.number, '+')
			ORDER BY billing.length(p.prefix) DESC LIMIT 1) m
		LEFT JOIN billing.allowance_cycle l ON l.account_id = allowance_remaining.account_id AND l.service_id IS NOT DISTINCT FROM pool.pool_service_id
			AND l.allowance_id = a.id AND l.cycle = cycle.first_day AND l.since = cycle.since
	WHERE a.plan_id = pool.plan_id AND a.leg = allowance_remaining.leg AND m.included;
	RETURN coalesce(seconds, 0);
END $$;
COMMENT ON FUNCTION billing.allowance_remaining(bigint, bigint, text, text, timestamptz) IS 'Included seconds that a call to a number (of a DID leg: to the DID) could still draw on a leg of an account, found by a service or none, with this rating instant: as of the last settling of its pool (billing.settle_credits()). 0 where no allowance covers it.';

-- Changes.

CREATE FUNCTION billing._queue_pools(account_id bigint, service_ids bigint[], at timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	leg text;
BEGIN
	FOR leg IN SELECT DISTINCT a.leg FROM billing.allowance a ORDER BY 1 LOOP
		-- Whatever day of it, a cycle is worked out as a whole: those of calls, and those of what is there already.
		EXECUTE format($query$
			INSERT INTO billing.credit_queue (kind, account_id, service_id, leg, day)
			SELECT 'allowance', $1, s.id, %2$L, d.day
			FROM unnest($2) s(id)
				CROSS JOIN (
					SELECT billing._usage_day(i.at, a.timezone)
					FROM billing.account a
						JOIN billing.cdr c ON c.%1$I = a.id AND c.started_at >= $3 - interval '31 days'
						CROSS JOIN LATERAL (SELECT CASE WHEN isfinite(c.answered_at) THEN c.answered_at ELSE c.started_at END AS at) i
					WHERE a.id = $1 AND i.at >= $3 AND isfinite(i.at)
					UNION
					SELECT l.cycle FROM billing.allowance_cycle l JOIN billing.account a ON a.id = l.account_id
					WHERE l.account_id = $1 AND l.leg = %2$L AND l.cycle >= billing._usage_day($3, a.timezone) - 1
					UNION
					-- The cycle that ends there has lost calls.
					SELECT billing._usage_day(n.at, a.timezone) FROM billing.account a, (VALUES ($3), ($3 - interval '1 microsecond')) n(at)
					WHERE a.id = $1 AND isfinite(n.at)) d(day)
			WHERE s.id IS NULL OR %3$L$query$,
			leg || '_account_id', leg, leg IN ('customer', 'provider', 'did_owner')) USING account_id, service_ids, at;
	END LOOP;
END $$;
COMMENT ON FUNCTION billing._queue_pools(bigint, bigint[], timestamptz) IS 'Queues pools of an account, of services and for null its own, from an instant on, so that settling works them out anew.';

CREATE FUNCTION billing._queue_account(account_id bigint) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM billing._queue_pools(_queue_account.account_id, ARRAY[NULL::bigint] || ARRAY(
		SELECT s.id FROM billing.service s
		WHERE s.account_id = _queue_account.account_id AND s.primary_id IS NULL
			AND (s.plan_id IS NOT NULL OR EXISTS (SELECT FROM billing.service_terms t WHERE t.service_id = s.id AND t.plan_id IS NOT NULL))), '-infinity');
END $$;
COMMENT ON FUNCTION billing._queue_account(bigint) IS 'Queues all pools of included minutes of an account, as when its time zone, and so its cycles, have changed.';

CREATE FUNCTION billing.queue_plan() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	account bigint := CASE TG_TABLE_NAME WHEN 'account' THEN to_jsonb(NEW) ->> 'id' ELSE to_jsonb(NEW) ->> 'account_id' END;
BEGIN
	-- A service with a plan of its own draws no longer from its account's, whatever that includes.
	IF account IS NULL OR NOT EXISTS (
		SELECT FROM billing.allowance a
		WHERE a.plan_id IN (OLD.plan_id, NEW.plan_id)
			OR a.plan_id IN (SELECT c.plan_id FROM billing.account c WHERE c.id = account)
			OR a.plan_id IN (SELECT t.plan_id FROM billing.account_terms t WHERE t.account_id = account))
	THEN
		RETURN NULL;
	END IF;
	-- A load in flight queues by the plan that it knows, and its calls are not to be seen yet: wait for it.
	LOCK TABLE billing.cdr IN SHARE MODE;
	PERFORM billing._queue_pools(account, CASE TG_TABLE_NAME WHEN 'account' THEN ARRAY[NULL::bigint] ELSE ARRAY[NULL, NEW.id] END, NEW.terms_from);
	RETURN NULL;
END $$;
COMMENT ON FUNCTION billing.queue_plan() IS 'AFTER UPDATE row trigger of account and service: another plan, also one from an instant in the past, queues the pools concerned from then on, so that settling gives what would be, had it been known before the calls.';

CREATE FUNCTION billing._refuse_used_plan(plan_ids bigint[], what text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	plan text;
BEGIN
	-- Waits for who gives the plan to somebody: their foreign keys share the row.
	PERFORM FROM billing.plan p WHERE p.id = ANY (plan_ids) ORDER BY p.id FOR UPDATE;
	SELECT p.name INTO plan FROM billing.plan p
	WHERE p.id = ANY (plan_ids) AND (EXISTS (SELECT FROM billing.account a WHERE a.plan_id = p.id) OR EXISTS (SELECT FROM billing.service s WHERE s.plan_id = p.id)
		OR EXISTS (SELECT FROM billing.account_terms a WHERE a.plan_id = p.id) OR EXISTS (SELECT FROM billing.service_terms s WHERE s.plan_id = p.id))
	LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'plan "%" is in use and its % stay', plan, what USING
			ERRCODE = 'restrict_violation',
			DETAIL = 'Accounts or services have it, or had it when their calls drew from it (C21).',
			HINT = 'Make a new plan and give it to them from an instant on.';
	END IF;
END $$;
COMMENT ON FUNCTION billing._refuse_used_plan(bigint[], text) IS 'Raises 23001 when an account or service has or had one of the plans (C21).';

CREATE FUNCTION billing.keep_allowance() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	ids bigint[];
	by_prefix boolean := TG_TABLE_NAME = 'allowance_prefix';
BEGIN
	IF TG_OP = 'TRUNCATE' THEN
		ids := ARRAY(SELECT DISTINCT a.plan_id FROM billing.allowance a);
	ELSIF by_prefix THEN
		-- Of an allowance that is deleted itself the plan is not known any more; its own trigger has asked.
		IF TG_OP = 'INSERT' THEN
			ids := ARRAY(SELECT DISTINCT w.allowance_id FROM written w);
		ELSIF TG_OP = 'DELETE' THEN
			ids := ARRAY(SELECT DISTINCT f.allowance_id FROM former f);
		ELSE
			ids := ARRAY((SELECT f.allowance_id FROM (TABLE former EXCEPT TABLE written) f) UNION (SELECT w.allowance_id FROM (TABLE written EXCEPT TABLE former) w));
		END IF;
		ids := ARRAY(SELECT DISTINCT a.plan_id FROM billing.allowance a WHERE a.id = ANY (ids));
	ELSIF TG_OP = 'INSERT' THEN
		ids := ARRAY(SELECT DISTINCT w.plan_id FROM written w);
	ELSIF TG_OP = 'DELETE' THEN
		ids := ARRAY(SELECT DISTINCT f.plan_id FROM former f);
	ELSE
		ids := ARRAY((SELECT f.plan_id FROM (TABLE former EXCEPT TABLE written) f) UNION (SELECT w.plan_id FROM (TABLE written EXCEPT TABLE former) w));
	END IF;
	IF ids <> '{}' THEN
		PERFORM billing._refuse_used_plan(ids, 'included minutes');
	END IF;
	RETURN NULL;
END $$;
COMMENT ON FUNCTION billing.keep_allowance() IS 'Statement trigger of allowance and allowance_prefix, with transition tables: the included minutes of a plan are frozen once an account or service has or had it (C21). 23001.';

CREATE FUNCTION billing.keep_plan_cycle() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM billing._refuse_used_plan(ARRAY[NEW.id], 'cycles');
	RETURN NULL;
END $$;
COMMENT ON FUNCTION billing.keep_plan_cycle() IS 'AFTER UPDATE row trigger of plan: its cycle and its first cycle are frozen once an account or service has or had it (C21). 23001.';
