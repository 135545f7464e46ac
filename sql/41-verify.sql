-- Whether the ledger keeps its promises, each as a query that returns what contradicts it (design 6). All are STABLE: one
-- snapshot for everything, so that loads which go on meanwhile make no differences.

CREATE FUNCTION billing._verify_usage(OUT "check" text, OUT account_id bigint, OUT leg text, OUT day date, OUT expected numeric, OUT actual numeric, OUT detail text) RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET row_security = off SET jit = off AS $$
BEGIN
	RETURN QUERY
	SELECT v."check", k.account_id, k.leg, k.day, v.expected, v.actual, format('cost centre "%s", destination "%s", currency "%s"', k.cost_center, k.destination, k.currency)
	FROM (
		SELECT b.account_id, b.leg, b.day, b.cost_center, b.destination, b.currency,
			sum(b.calls) FILTER (WHERE b.recounted) AS calls, sum(b.calls) FILTER (WHERE NOT b.recounted) AS held_calls,
			sum(b.answered) FILTER (WHERE b.recounted) AS answered, sum(b.answered) FILTER (WHERE NOT b.recounted) AS held_answered,
			sum(b.seconds) FILTER (WHERE b.recounted) AS seconds, sum(b.seconds) FILTER (WHERE NOT b.recounted) AS held_seconds,
			sum(b.billsec) FILTER (WHERE b.recounted) AS billsec, sum(b.billsec) FILTER (WHERE NOT b.recounted) AS held_billsec,
			sum(b.amount) FILTER (WHERE b.recounted) AS amount, sum(b.amount) FILTER (WHERE NOT b.recounted) AS held_amount,
			sum(b.credit) FILTER (WHERE b.recounted) AS credit, sum(b.credit) FILTER (WHERE NOT b.recounted) AS held_credit
		FROM (
			SELECT true AS recounted, n.account_id, n.leg, n.day, n.cost_center, n.destination, n.currency, n.calls, n.answered, n.seconds, n.billsec, n.amount, n.credit
			FROM billing._counted() n
			UNION ALL
			SELECT false, u.account_id, u.leg, u.day, u.cost_center, u.destination, u.currency, u.calls, u.answered, u.seconds, u.billsec, u.amount, u.credit
			FROM billing.usage u WHERE u.slot >= 0) b
		GROUP BY 1, 2, 3, 4, 5, 6) k
		CROSS JOIN LATERAL (VALUES
			('usage_calls', coalesce(k.calls, 0), coalesce(k.held_calls, 0)), ('usage_answered', coalesce(k.answered, 0), coalesce(k.held_answered, 0)),
			('usage_seconds', coalesce(k.seconds, 0), coalesce(k.held_seconds, 0)), ('usage_billsec', coalesce(k.billsec, 0), coalesce(k.held_billsec, 0)),
			('usage_amount', coalesce(k.amount, 0), coalesce(k.held_amount, 0)), ('usage_credit', coalesce(k.credit, 0), coalesce(k.held_credit, 0))) v("check", expected, actual)
	WHERE v.expected <> v.actual
	ORDER BY k.account_id, k.leg, k.day, v."check";
END $$;
COMMENT ON FUNCTION billing._verify_usage() IS 'Sums of billing.usage, archived calls aside, that are not those of billing.cdr and billing.credit (promise 3).';

CREATE FUNCTION billing._verify_signs(OUT "check" text, OUT account_id bigint, OUT leg text, OUT day date, OUT expected numeric, OUT actual numeric, OUT detail text) RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET row_security = off SET jit = off AS $$
BEGIN
	RETURN QUERY
	SELECT 'usage_impossible', k.account_id, k.leg, k.day, NULL::numeric, NULL::numeric,
		format('%s calls, %s answered, %s seconds, %s billed, amount %s, credit %s', k.calls, k.answered, k.seconds, k.billsec, k.amount, k.credit)
	FROM (
		SELECT u.account_id, u.leg, u.day, sum(u.calls) AS calls, sum(u.answered) AS answered, sum(u.seconds) AS seconds, sum(u.billsec) AS billsec,
			sum(u.amount) AS amount, sum(u.credit) AS credit
		FROM billing.usage u WHERE u.slot >= 0 GROUP BY u.account_id, u.leg, u.day, u.cost_center, u.destination, u.currency) k
	WHERE k.calls < 0 OR k.answered NOT BETWEEN 0 AND k.calls OR k.seconds < 0 OR (k.calls = 0 AND (k.seconds, k.billsec, k.amount) <> (0, 0, 0));
END $$;
COMMENT ON FUNCTION billing._verify_signs() IS 'Sums of billing.usage that no calls could have, without a look at the calls: fewer than none, more answered than there are, seconds or money of none.';

CREATE FUNCTION billing._verify_months(OUT "check" text, OUT account_id bigint, OUT leg text, OUT day date, OUT expected numeric, OUT actual numeric, OUT detail text) RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET row_security = off SET jit = off AS $$
BEGIN
	RETURN QUERY
	SELECT v."check", k.account_id, k.leg, k.month, v.expected, v.actual, format('currency "%s"', k.currency)
	FROM (
		SELECT b.account_id, b.leg, b.month, b.currency, sum(b.amount) AS amount, sum(b.credit) AS credit, sum(b.held_amount) AS held_amount, sum(b.held_credit) AS held_credit
		FROM (
			SELECT u.account_id, u.leg, date_trunc('month', u.day::timestamp)::date AS month, u.currency, u.amount, u.credit, 0::numeric AS held_amount, 0::numeric AS held_credit
			FROM billing.usage u WHERE u.slot <= 0
			UNION ALL
			SELECT m.account_id, m.leg, m.month, m.currency, 0, 0, m.amount, m.credit FROM billing.usage_month m) b
		GROUP BY 1, 2, 3, 4) k
		CROSS JOIN LATERAL (VALUES ('month_amount', k.amount, k.held_amount), ('month_credit', k.credit, k.held_credit)) v("check", expected, actual)
	WHERE v.expected <> v.actual
	ORDER BY k.account_id, k.leg, k.month, v."check";
END $$;
COMMENT ON FUNCTION billing._verify_months() IS 'Months of billing.usage_month that are not the sum of the folded and archived rows of billing.usage.';

CREATE FUNCTION billing._verify_credits(OUT "check" text, OUT account_id bigint, OUT leg text, OUT day date, OUT expected numeric, OUT actual numeric, OUT detail text) RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET row_security = off SET jit = off AS $$
BEGIN
	RETURN QUERY EXECUTE format('
		SELECT CASE WHEN n.cdr_id IS NULL THEN ''credit_call'' WHEN n.amount IS NULL THEN ''credit_amount'' ELSE ''credit_key'' END,
			k.account_id, k.leg, k.day, NULL::numeric, k.amount, CASE
				WHEN n.cdr_id IS NULL THEN format(''%%s of pool %%s: there is no such leg of call %%s of %%s'', k.kind, k.pool, k.cdr_id, k.started_at)
				WHEN n.amount IS NULL THEN format(''%%s of pool %%s: the leg of call %%s has no amount'', k.kind, k.pool, k.cdr_id)
				ELSE format(''%%s of pool %%s: the leg of call %%s is counted for account %%s on %%s, cost centre "%%s", destination "%%s", currency "%%s"'',
					k.kind, k.pool, k.cdr_id, n.account_id, n.day, n.cost_center, n.destination, n.currency) END
		FROM billing.credit k LEFT JOIN (%s) n ON n.cdr_id = k.cdr_id AND n.started_at = k.started_at AND n.leg = k.leg
		WHERE (n.amount IS NULL
				OR (k.account_id, k.day, k.cost_center, k.destination, k.currency) IS DISTINCT FROM (n.account_id, n.day, n.cost_center, n.destination, n.currency))
			AND NOT EXISTS (SELECT FROM billing.credit_queue q WHERE q.kind = ''session_fee'' AND k.kind = q.kind AND k.pool = billing._session_pool(q.session_id, q.number))
			AND NOT EXISTS (SELECT FROM billing.credit_queue q WHERE q.kind = ''allowance'' AND k.kind = q.kind AND k.account_id = q.account_id AND k.leg = q.leg)
		ORDER BY k.id', billing._counted_legs('billing.cdr', 'true'));
END $$;
COMMENT ON FUNCTION billing._verify_credits() IS 'Credits on legs that are not there or have no amount, or that are counted elsewhere than the leg; those of pools that wait for billing.settle_credits() aside.';

CREATE FUNCTION billing._verify_balance(OUT "check" text, OUT account_id bigint, OUT leg text, OUT day date, OUT expected numeric, OUT actual numeric, OUT detail text) RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET row_security = off SET jit = off AS $$
BEGIN
	RETURN QUERY
	SELECT 'balance', coalesce(b.account_id, n.account_id), NULL::text, NULL::date, n.balance, b.balance, 'entries less usage net of credits'
	FROM billing.balance b FULL JOIN (
		SELECT a.id AS account_id, coalesce(e.amount, 0) - coalesce(u.net, 0) AS balance
		FROM billing.account a
			LEFT JOIN (SELECT e.account_id, sum(e.amount) AS amount FROM billing.entry e GROUP BY 1) e ON e.account_id = a.id
			LEFT JOIN (SELECT u.account_id, sum(u.amount - u.credit) AS net FROM billing.usage u GROUP BY 1) u ON u.account_id = a.id) n ON n.account_id = b.account_id
	WHERE b.balance IS DISTINCT FROM n.balance
	ORDER BY 2;
END $$;
COMMENT ON FUNCTION billing._verify_balance() IS 'Accounts whose billing.balance is not the sum of their entries less that of all their rows of billing.usage.';

CREATE FUNCTION billing._verify_identity(OUT "check" text, OUT account_id bigint, OUT leg text, OUT day date, OUT expected numeric, OUT actual numeric, OUT detail text) RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
BEGIN
	RETURN QUERY
	SELECT 'identity', NULL::bigint, NULL::text, NULL::date, NULL::numeric, NULL::numeric, format('index %s of %s is not valid', i.indexrelid::regclass, i.indrelid::regclass)
	FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
	WHERE (i.indisunique OR i.indisexclusion) AND NOT (i.indisvalid AND i.indisready AND i.indislive)
		AND (c.relnamespace = 'billing'::regnamespace OR i.indrelid IN (SELECT p.relid FROM pg_partition_tree('billing.cdr') p));
	RETURN QUERY
	SELECT 'identity', NULL::bigint, NULL::text, NULL::date, NULL::numeric, NULL::numeric, format('%s has no unique constraint on (%s)', p.relid::regclass, k.columns)
	FROM pg_partition_tree('billing.cdr') p CROSS JOIN (VALUES ('id, started_at'), ('source, call_id, started_at')) k(columns)
	WHERE NOT EXISTS (
		SELECT FROM pg_constraint n
		WHERE n.conrelid = p.relid AND n.contype IN ('p', 'u') AND n.convalidated AND k.columns = (
			SELECT string_agg(a.attname, ', ' ORDER BY u.place)
			FROM unnest(n.conkey) WITH ORDINALITY u(attnum, place) JOIN pg_attribute a ON a.attrelid = n.conrelid AND a.attnum = u.attnum));
	RETURN QUERY
	SELECT 'service', s.account_id, NULL::text, NULL::date, NULL::numeric, NULL::numeric, format('services %s and %s have identifier "%s" at the same time', s.id, o.id, s.identifier)
	FROM billing.service s JOIN billing.service o ON o.side = s.side AND o.kind = s.kind AND o.tenant = s.tenant AND o.identifier = s.identifier
		AND coalesce(o.field, '') = coalesce(s.field, '') AND o.active && s.active AND o.id > s.id;
END $$;
COMMENT ON FUNCTION billing._verify_identity() IS 'What lets one call be stored twice or one identifier name two accounts: indexes that are missing or not valid, services that overlap.';

CREATE FUNCTION billing._expected_triggers(OUT relation regclass, OUT name name, OUT always boolean) RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN QUERY
	-- As the ledger's DDL says.
	SELECT m.found[2]::regclass, m.found[1]::name, m.found[1] ~ '^catalogue_signal'
	FROM billing._ledger_part() p CROSS JOIN LATERAL regexp_matches(p.ddl, '\nCREATE TRIGGER (\w+)\s[^;]*?\sON (billing\.\w+)', 'g') m(found)
	WHERE m.found[2] <> 'billing.cdr'
	UNION ALL
	SELECT t.name[1]::regclass, s.name::name, true
	FROM billing._ledger_part() p
		CROSS JOIN LATERAL regexp_matches(p.ddl, 'FOREACH catalogue IN ARRAY ARRAY\[([^]]+)\]') m(list)
		CROSS JOIN LATERAL regexp_matches(m.list[1], '''(billing\.\w+)''', 'g') t(name)
		CROSS JOIN (VALUES ('catalogue_signal'), ('catalogue_signal_statement'), ('catalogue_signal_truncate')) s(name)
	UNION ALL
	SELECT p.relid, r.name::name, false
	FROM pg_partition_tree('billing.cdr') p CROSS JOIN (VALUES ('zz_rate'), ('zz_move')) r(name)
	UNION ALL
	SELECT p.relid, 'guard_usage', false
	FROM pg_partition_tree('billing.usage') p WHERE p.isleaf;
END $$;
COMMENT ON FUNCTION billing._expected_triggers() IS 'The triggers that a ledger has, those of the accounting pass on billing.cdr aside, and which of them fire always.';

CREATE FUNCTION billing._verify_triggers(OUT "check" text, OUT account_id bigint, OUT leg text, OUT day date, OUT expected numeric, OUT actual numeric, OUT detail text) RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN QUERY
	SELECT 'trigger', NULL::bigint, NULL::text, NULL::date, NULL::numeric, NULL::numeric, format('trigger %s of %s is %s', e.name, e.relation,
		CASE t.tgenabled WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'of replicas only' WHEN 'O' THEN 'not ENABLE ALWAYS' ELSE 'missing' END)
	FROM billing._expected_triggers() e LEFT JOIN pg_trigger t ON t.tgrelid = e.relation AND t.tgname = e.name AND NOT t.tgisinternal
	WHERE t.tgenabled IS NULL OR t.tgenabled IN ('D', 'R') OR (e.always AND t.tgenabled <> 'A')
	ORDER BY e.relation::text, e.name;
	RETURN QUERY
	SELECT 'partition', NULL::bigint, NULL::text, NULL::date, 5::numeric, count(t.oid)::numeric,
		format('%s lacks statement triggers; run SELECT billing.adopt_partition(%L)', p.relid::regclass, p.relid::regclass)
	FROM pg_partition_tree('billing.cdr') p JOIN pg_class c ON c.oid = p.relid AND c.relkind IN ('r', 'p')
		LEFT JOIN pg_trigger t ON t.tgrelid = p.relid AND t.tgfoid = 'billing.account_cdr()'::regprocedure AND t.tgenabled IN ('O', 'A')
	GROUP BY p.relid
	HAVING count(t.oid) <> 5
	ORDER BY p.relid::regclass::text;
END $$;
COMMENT ON FUNCTION billing._verify_triggers() IS 'Triggers of the ledger that are missing or in a wrong state, and partitions of billing.cdr that do not count what is written to them by name.';

CREATE FUNCTION billing._verify_names(OUT "check" text, OUT account_id bigint, OUT leg text, OUT day date, OUT expected numeric, OUT actual numeric, OUT detail text) RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
BEGIN
	RETURN QUERY
	SELECT 'orphan', CASE o.kind WHEN 'account' THEN o.id END, NULL::text, NULL::date, NULL::numeric, NULL::numeric,
		format('calls were counted before there was %s %s; run SELECT billing.rebuild_usage()', o.kind, o.id)
	FROM billing.usage_orphan o
	WHERE CASE o.kind WHEN 'account' THEN EXISTS (SELECT FROM billing.account a WHERE a.id = o.id)
		WHEN 'service' THEN EXISTS (SELECT FROM billing.service s WHERE s.id = o.id) ELSE EXISTS (SELECT FROM billing.rate r WHERE r.id = o.id) END
	ORDER BY o.kind, o.id;
	RETURN QUERY
	SELECT 'archive', NULL::bigint, NULL::text, NULL::date, NULL::numeric, NULL::numeric, format('%s: %s', v.subject, v.detail) FROM billing._verify_archive() v;
	IF billing.ledger_version() <> billing._code_version() OR EXISTS (SELECT FROM billing.catalogue_signal) THEN
		RETURN QUERY SELECT 'ledger', NULL::bigint, NULL::text, NULL::date, billing._code_version()::numeric, billing.ledger_version()::numeric,
			'the ledger is of another version than the code, or billing.catalogue_signal has rows; run SELECT billing.upgrade_ledger()';
	END IF;
END $$;
COMMENT ON FUNCTION billing._verify_names() IS 'Calls that were counted before the names that they carry came, archived partitions that do not add up, a ledger of another version.';

CREATE FUNCTION billing.verify(fast boolean DEFAULT false, OUT "check" text, OUT account_id bigint, OUT leg text, OUT day date, OUT expected numeric, OUT actual numeric, OUT detail text) RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	pending bigint;
BEGIN
	PERFORM billing._require_ledger();
	IF fast THEN
		RETURN QUERY SELECT * FROM billing._verify_signs();
	ELSE
		RETURN QUERY SELECT * FROM billing._verify_usage();
		RETURN QUERY SELECT * FROM billing._verify_credits();
	END IF;
	RETURN QUERY SELECT * FROM billing._verify_months();
	RETURN QUERY SELECT * FROM billing._verify_balance();
	RETURN QUERY SELECT * FROM billing._verify_identity();
	RETURN QUERY SELECT * FROM billing._verify_triggers();
	RETURN QUERY SELECT * FROM billing._verify_names();
	SELECT count(*) INTO pending FROM billing.pending_credits;
	IF pending > 0 THEN
		RAISE NOTICE '% pools of credits wait for billing.settle_credits(); see billing.pending_credits', pending;
	END IF;
END $$;
COMMENT ON FUNCTION billing.verify(boolean) IS 'Proves the promises of the ledger under one snapshot, while loads go on, and returns one row for each discrepancy, so none. check says which: usage_calls, usage_answered, usage_seconds, usage_billsec, usage_amount, usage_credit (a sum of billing.usage is not that of the calls or credits, promise 3), credit_call, credit_amount, credit_key (a credit without a charge, or counted elsewhere), month_amount, month_credit (billing.usage_month is not the sum of its days; day is its first), balance, identity (a unique index is missing or not valid), service (two of one identifier at a time), trigger, partition (see billing.adopt_partition()), orphan (a name that came after its calls), archive, ledger. Money in the currency that detail names, of a balance the account''s. Credits that wait for billing.settle_credits() are no discrepancies: a NOTICE tells how many. fast: for a cron job, all but the recount of the calls and the look at each credit; instead usage_impossible, sums that no calls could have. That the catalogue has changed since is billing.stale(). For the ledger''s owner. 55000 without a ledger.';
REVOKE ALL ON FUNCTION billing.verify(boolean) FROM PUBLIC;
