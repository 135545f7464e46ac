-- What billing.usage must hold, worked out in plain SQL from the calls alone, and the functions that write it by that:
-- none of them shares code with the accounting pass, so that verify() compares two independent sums (promise 3).

-- The legs of a call as billing.usage counts them.
CREATE FUNCTION billing._counted_legs(relation regclass, condition text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp AS $_$
	SELECT format($$
		SELECT c.id AS cdr_id, c.started_at, l.leg, l.account_id, l.service_id,
			billing._usage_day(i.instant, coalesce(a.timezone, 'UTC')) AS day, coalesce(s.cost_center, '') AS cost_center,
			coalesce(r.destination, '') AS destination, coalesce(a.currency, t.currency, '') AS currency, i.instant,
			billing._call_answered(c.billsec, c.answered_at, c.disposition) AS answered,
			trunc(coalesce(billing._call_seconds(l.seconds, c.answered_at, c.ended_at), 0), 6) AS seconds,
			coalesce(l.billsec, 0)::bigint AS billsec, l.amount, coalesce(nullif(l.amount, 'NaN'), 0) AS charge
		FROM %s c
			CROSS JOIN LATERAL (VALUES
				('customer', c.customer_account_id, c.customer_service_id, c.customer_rate_id, c.billsec, c.customer_billsec, c.customer_amount::numeric),
				('reseller', c.reseller_account_id, NULL, c.reseller_rate_id, c.billsec, c.reseller_billsec, c.reseller_amount),
				('provider', c.provider_account_id, c.provider_service_id, c.provider_rate_id, c.billsec, c.provider_billsec, c.provider_amount),
				('did_incoming', c.did_incoming_account_id, c.did_service_id, NULL, coalesce(c.did_billsec, c.billsec), c.did_incoming_billsec, c.did_incoming_amount),
				('did_owner', c.did_owner_account_id, c.did_service_id, NULL, coalesce(c.did_billsec, c.billsec), c.did_owner_billsec, c.did_owner_amount),
				('did_provider', c.did_provider_account_id, c.did_service_id, NULL, coalesce(c.did_billsec, c.billsec), c.did_provider_billsec, c.did_provider_amount)
				) l(leg, account_id, service_id, rate_id, seconds, billsec, amount)
			CROSS JOIN LATERAL (SELECT CASE WHEN isfinite(c.answered_at) THEN c.answered_at ELSE c.started_at END AS instant) i
			LEFT JOIN billing.account a ON a.id = l.account_id
			LEFT JOIN billing.service s ON s.id = l.service_id
			LEFT JOIN billing.rate r ON r.id = l.rate_id
			LEFT JOIN billing.tariff t ON t.id = r.tariff_id
		WHERE (l.account_id IS NOT NULL OR l.amount IS NOT NULL) AND (%s)$$, relation, condition)
$_$;
COMMENT ON FUNCTION billing._counted_legs(regclass, text) IS 'The query whose rows are the legs of the calls in billing.cdr or a partition of it that meet a condition on c (the call) and l (leg, account_id, amount), with the key by which billing.usage counts them and what it counts.';

CREATE FUNCTION billing._counted_of(relation regclass, account_ids bigint[])
RETURNS TABLE (account_id bigint, leg text, day date, cost_center text, destination text, currency text,
	calls bigint, answered bigint, seconds numeric, billsec bigint, amount numeric, credit numeric)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET row_security = off SET jit = off AS $$
DECLARE
	without_account boolean := coalesce(array_position(account_ids, NULL) IS NOT NULL, false);
	-- Calls are found by the indexes of the accounts; those with a leg without account by none.
	condition text := CASE WHEN account_ids IS NULL THEN 'true'
		WHEN without_account THEN 'l.account_id = ANY ($1) OR l.account_id IS NULL'
		ELSE 'l.account_id = ANY ($1) AND (c.customer_account_id = ANY ($1) OR c.reseller_account_id = ANY ($1) OR c.provider_account_id = ANY ($1)
			OR c.did_incoming_account_id = ANY ($1) OR c.did_owner_account_id = ANY ($1) OR c.did_provider_account_id = ANY ($1))' END;
	credits text := CASE WHEN account_ids IS NULL THEN 'true' WHEN without_account THEN 'k.account_id = ANY ($1) OR k.account_id IS NULL'
		ELSE 'k.account_id = ANY ($1)' END;
BEGIN
	IF relation <> 'billing.cdr'::regclass THEN
		credits := format('EXISTS (SELECT FROM %s p WHERE p.id = k.cdr_id AND p.started_at = k.started_at)', relation);
	END IF;
	RETURN QUERY EXECUTE format('
		SELECT u.account_id, u.leg, u.day, u.cost_center, u.destination, u.currency,
			sum(u.calls)::bigint, sum(u.answered)::bigint, sum(u.seconds), sum(u.billsec)::bigint, sum(u.amount), sum(u.credit)
		FROM (
			SELECT n.account_id, n.leg, n.day, n.cost_center, n.destination, n.currency, count(*) AS calls,
				count(*) FILTER (WHERE n.answered) AS answered, sum(n.seconds) AS seconds, sum(n.billsec) AS billsec, sum(n.charge) AS amount, 0::numeric AS credit
			FROM (%s) n GROUP BY 1, 2, 3, 4, 5, 6
			UNION ALL
			SELECT k.account_id, k.leg, k.day, k.cost_center, k.destination, k.currency, 0, 0, 0, 0, 0, sum(coalesce(nullif(k.amount, ''NaN''), 0))
			FROM billing.credit k WHERE %s GROUP BY 1, 2, 3, 4, 5, 6) u
		GROUP BY 1, 2, 3, 4, 5, 6', billing._counted_legs(relation, condition), credits) USING account_ids;
END $$;
COMMENT ON FUNCTION billing._counted_of(regclass, bigint[]) IS 'What _counted() and _counted_in() return.';

CREATE FUNCTION billing._counted(account_ids bigint[] DEFAULT NULL)
RETURNS TABLE (account_id bigint, leg text, day date, cost_center text, destination text, currency text,
	calls bigint, answered bigint, seconds numeric, billsec bigint, amount numeric, credit numeric)
LANGUAGE sql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
	SELECT * FROM billing._counted_of('billing.cdr', account_ids)
$$;
COMMENT ON FUNCTION billing._counted(bigint[]) IS 'What billing.usage must hold for the calls of billing.cdr, and billing.credit for theirs: a plain sum that shares nothing with the accounting pass (promise 3). Of these accounts, a null among them: legs without account; null: all. Sums of accounts without a null are read through the indexes of billing.cdr.';

CREATE FUNCTION billing._counted_in(partition regclass)
RETURNS TABLE (account_id bigint, leg text, day date, cost_center text, destination text, currency text,
	calls bigint, answered bigint, seconds numeric, billsec bigint, amount numeric, credit numeric)
LANGUAGE sql STABLE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp AS $$
	SELECT * FROM billing._counted_of(partition, NULL)
$$;
COMMENT ON FUNCTION billing._counted_in(regclass) IS 'As _counted(), of the calls in one partition of billing.cdr, or a table that was one, and the credits of billing.credit on them.';

-- Writing.

CREATE FUNCTION billing._require_read_committed(what text) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
		RAISE EXCEPTION '% needs isolation level READ COMMITTED', what USING
			ERRCODE = 'invalid_transaction_state',
			DETAIL = 'This transaction does not see the calls that were committed since it began, and would count without them.',
			HINT = 'Begin another transaction, with ISOLATION LEVEL READ COMMITTED.';
	END IF;
END $$;
COMMENT ON FUNCTION billing._require_read_committed(text) IS 'Raises 25000 in a transaction whose snapshot may be older than the locks that it gets.';

CREATE FUNCTION billing._lock_accounting() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	-- In the order of those who load calls and then settle them.
	LOCK TABLE billing.cdr IN SHARE ROW EXCLUSIVE MODE;
	LOCK TABLE billing.credit IN SHARE ROW EXCLUSIVE MODE;
	-- Slot 0 is for who folds: see compact_usage(). The same locks as in src/usage_write.c.
	PERFORM pg_advisory_xact_lock('billing.usage'::regclass::oid::integer, 0);
END $$;
COMMENT ON FUNCTION billing._lock_accounting() IS 'Waits for everybody who writes calls, credits or folded rows of billing.usage, and holds the next ones off until the transaction ends.';

CREATE FUNCTION billing._fold_months(account_ids bigint[]) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET billing.usage_writer = on AS $$
BEGIN
	DELETE FROM billing.usage_month m
	WHERE account_ids IS NULL OR m.account_id = ANY (account_ids) OR (m.account_id IS NULL AND array_position(account_ids, NULL) IS NOT NULL);
	INSERT INTO billing.usage_month (account_id, leg, month, currency, amount, credit)
	SELECT u.account_id, u.leg, date_trunc('month', u.day::timestamp)::date, u.currency, sum(u.amount), sum(u.credit)
	FROM billing.usage u
	WHERE u.slot <= 0 AND (account_ids IS NULL OR u.account_id = ANY (account_ids) OR (u.account_id IS NULL AND array_position(account_ids, NULL) IS NOT NULL))
	GROUP BY 1, 2, 3, 4
	HAVING sum(u.amount) <> 0 OR sum(u.credit) <> 0;
END $$;
COMMENT ON FUNCTION billing._fold_months(bigint[]) IS 'Writes the rows of billing.usage_month of these accounts anew, a null among them: those without account; null: all. The caller holds the lock of slot 0.';

CREATE FUNCTION billing._relabel_credits(account_ids bigint[]) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET row_security = off SET jit = off AS $$
BEGIN
	EXECUTE format('
		UPDATE billing.credit k SET day = n.day, cost_center = n.cost_center, destination = n.destination, currency = n.currency
		FROM (%s) n
		WHERE n.cdr_id = k.cdr_id AND n.started_at = k.started_at AND n.leg = k.leg
			AND ($1 IS NULL OR k.account_id = ANY ($1) OR (k.account_id IS NULL AND array_position($1, NULL) IS NOT NULL))
			AND (k.day, k.cost_center, k.destination, k.currency) IS DISTINCT FROM (n.day, n.cost_center, n.destination, n.currency)',
		billing._counted_legs('billing.cdr', 'true')) USING account_ids;
END $$;
COMMENT ON FUNCTION billing._relabel_credits(bigint[]) IS 'Puts the credits of these accounts, a null among them: those without account; null: all; where the charges that they are taken off are counted.';

CREATE FUNCTION billing._rebuild_usage(account_ids bigint[]) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET billing.usage_writer = on SET row_security = off SET jit = off AS $$
DECLARE
	written bigint;
BEGIN
	PERFORM billing._relabel_credits(account_ids);
	DELETE FROM billing.usage u
	WHERE u.slot >= 0 AND (account_ids IS NULL OR u.account_id = ANY (account_ids) OR (u.account_id IS NULL AND array_position(account_ids, NULL) IS NOT NULL));
	INSERT INTO billing.usage (account_id, leg, day, cost_center, destination, currency, slot, calls, answered, seconds, billsec, amount, credit)
	SELECT n.account_id, n.leg, n.day, n.cost_center, n.destination, n.currency, 0, n.calls, n.answered, n.seconds, n.billsec, n.amount, n.credit
	FROM billing._counted(account_ids) n;
	GET DIAGNOSTICS written = ROW_COUNT;
	PERFORM billing._fold_months(account_ids);
	RETURN written;
END $$;
COMMENT ON FUNCTION billing._rebuild_usage(bigint[]) IS 'What rebuild_usage() does; the caller holds the locks of _lock_accounting() under READ COMMITTED.';

CREATE FUNCTION billing.rebuild_usage(account_ids bigint[] DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	written bigint;
BEGIN
	PERFORM billing._require_ledger();
	PERFORM billing._require_read_committed('billing.rebuild_usage()');
	PERFORM billing._lock_accounting();
	written := billing._rebuild_usage(account_ids);
	IF account_ids IS NULL THEN
		DELETE FROM billing.usage_orphan o
		WHERE (o.kind = 'account' AND o.id IN (SELECT a.id FROM billing.account a)) OR (o.kind = 'service' AND o.id IN (SELECT s.id FROM billing.service s))
			OR (o.kind = 'rate' AND o.id IN (SELECT r.id FROM billing.rate r));
	END IF;
	RETURN written;
END $$;
COMMENT ON FUNCTION billing.rebuild_usage(bigint[]) IS 'Counts the calls and credits of these accounts anew, a null among them: those without account; null: all; and writes billing.usage and billing.usage_month by that. Rows of archived calls stay as they are. Returns how many rows of billing.usage it wrote. For the ledger''s owner; whoever writes calls waits until the transaction ends. 25000 above READ COMMITTED, 55000 without a ledger.';
REVOKE ALL ON FUNCTION billing.rebuild_usage(bigint[]) FROM PUBLIC;

CREATE FUNCTION billing._fold_slots(slots integer[]) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp SET billing.usage_writer = on SET jit = off AS $$
DECLARE
	live tid[] := ARRAY(SELECT u.ctid FROM billing.usage_live u WHERE u.slot = ANY (slots) FOR UPDATE SKIP LOCKED);
	folded bigint;
	empty_rows tid[];
	empty_months tid[];
BEGIN
	WITH gone AS (
		DELETE FROM billing.usage_live u WHERE u.ctid = ANY (live) AND u.slot = ANY (slots)
		RETURNING u.*
	), key AS MATERIALIZED (
		SELECT g.account_id, g.leg, g.day, g.cost_center, g.destination, g.currency, count(*) AS rows, sum(g.calls) AS calls,
			sum(g.answered) AS answered, sum(g.seconds) AS seconds, sum(g.billsec) AS billsec, sum(g.amount) AS amount, sum(g.credit) AS credit
		FROM gone g GROUP BY 1, 2, 3, 4, 5, 6
	), kept AS (
		INSERT INTO billing.usage_folded AS u (account_id, leg, day, cost_center, destination, currency, slot, calls, answered, seconds, billsec, amount, credit)
		SELECT k.account_id, k.leg, k.day, k.cost_center, k.destination, k.currency, 0, k.calls, k.answered, k.seconds, k.billsec, k.amount, k.credit
		FROM key k
		ON CONFLICT ON CONSTRAINT usage_key DO UPDATE SET calls = u.calls + EXCLUDED.calls, answered = u.answered + EXCLUDED.answered,
			seconds = u.seconds + EXCLUDED.seconds, billsec = u.billsec + EXCLUDED.billsec, amount = u.amount + EXCLUDED.amount, credit = u.credit + EXCLUDED.credit
		RETURNING u.ctid, (u.calls, u.answered, u.seconds, u.billsec, u.amount, u.credit) = (0, 0, 0, 0, 0, 0) AS is_empty
	), month AS (
		INSERT INTO billing.usage_month AS m (account_id, leg, month, currency, amount, credit)
		SELECT k.account_id, k.leg, date_trunc('month', k.day::timestamp)::date, k.currency, sum(k.amount), sum(k.credit)
		FROM key k GROUP BY 1, 2, 3, 4
		ON CONFLICT ON CONSTRAINT usage_month_key DO UPDATE SET amount = m.amount + EXCLUDED.amount, credit = m.credit + EXCLUDED.credit
		RETURNING m.ctid, (m.amount, m.credit) = (0, 0) AS is_empty
	)
	SELECT coalesce((SELECT sum(k.rows) FROM key k), 0), ARRAY(SELECT k.ctid FROM kept k WHERE k.is_empty), ARRAY(SELECT m.ctid FROM month m WHERE m.is_empty)
	INTO folded, empty_rows, empty_months;
	DELETE FROM billing.usage_folded u WHERE u.ctid = ANY (empty_rows) AND u.slot = 0;
	DELETE FROM billing.usage_month m WHERE m.ctid = ANY (empty_months);
	RETURN folded;
END $$;
COMMENT ON FUNCTION billing._fold_slots(integer[]) IS 'Folds the rows of these slots above 0, which nobody else is writing, into slot 0 and the months, and drops what adds up to nothing; returns how many it folded. The caller holds slot 0.';

CREATE FUNCTION billing.compact_usage() RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	transactions CONSTANT integer := 1 << 30;
	locks integer;
	slots integer[];
BEGIN
	PERFORM billing._require_ledger();
	-- The locks and slots of src/usage_write.c: see own_slot().
	locks := 'billing.usage'::regclass::oid::integer;
	IF NOT pg_try_advisory_xact_lock(locks, 0) THEN
		RETURN 0;
	END IF;
	-- A slot of a transaction has no other writer: whose rows can be seen has ended, so that no lock is needed.
	slots := ARRAY(SELECT u.slot FROM (SELECT DISTINCT v.slot FROM billing.usage_live v) u WHERE u.slot >= transactions OR pg_try_advisory_xact_lock(locks, u.slot));
	-- The statements of _fold_slots() begin after the locks are held, so that they see all that was written under them.
	RETURN billing._fold_slots(slots);
END $$;
COMMENT ON FUNCTION billing.compact_usage() IS 'Folds the rows of billing.usage that loads have left in their slots into slot 0 and billing.usage_month, and drops what adds up to nothing; returns how many rows it folded. Totals stay what they are. Slots that a transaction is writing are skipped until the next time; while one compaction runs, another returns 0 at once: it never waits for a load, and no load for it. Above READ COMMITTED it folds what the transaction sees, and fails with 40001 when a row has changed since. For the ledger''s owner, from time to time; 55000 without a ledger.';
REVOKE ALL ON FUNCTION billing.compact_usage() FROM PUBLIC;
