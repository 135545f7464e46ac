-- Rating again (P18, K20, design 6): what the present catalogue says of calls that are stored. rerate() commits after
-- each batch; so it has no SET search_path, and all that is more than a call of a function is in the functions below.

CREATE FUNCTION billing.rerate_call(cdr anyelement, legs text[] DEFAULT NULL,
	OUT customer_account_id bigint, OUT customer_service_id bigint, OUT customer_rate_id bigint, OUT customer_billsec integer,
	OUT customer_amount numeric, OUT customer_reason text,
	OUT reseller_account_id bigint, OUT reseller_rate_id bigint, OUT reseller_billsec integer, OUT reseller_amount numeric,
	OUT provider_account_id bigint, OUT provider_service_id bigint, OUT provider_rate_id bigint, OUT provider_billsec integer,
	OUT provider_amount numeric, OUT provider_reason text,
	OUT did_service_id bigint,
	OUT did_incoming_account_id bigint, OUT did_incoming_rate_id bigint, OUT did_incoming_billsec integer, OUT did_incoming_amount numeric,
	OUT did_owner_account_id bigint, OUT did_owner_rate_id bigint, OUT did_owner_billsec integer, OUT did_owner_amount numeric,
	OUT did_provider_account_id bigint, OUT did_provider_rate_id bigint, OUT did_provider_billsec integer, OUT did_provider_amount numeric,
	OUT did_reason text, OUT status text)
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'billing_rerate_call';
COMMENT ON FUNCTION billing.rerate_call(anyelement, text[]) IS
'The rated columns that a row of billing.cdr would have if only the named legs were rated again, nothing stored; legs null: all, which is rate_call(). The other legs keep what the row has, and so do the reason and service of a side of which no leg is named (customer and reseller share a reason, the three DID legs share both); status counts the mixture (P3). Null for a null row. For those who may read the catalogue. Errors: 42501 for others, 22023 for an unknown leg or none, else as rate_call.';

CREATE FUNCTION billing._rerate_changes(cdr anyelement, legs text[]) RETURNS boolean
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'billing_rerate_changes';
COMMENT ON FUNCTION billing._rerate_changes(anyelement, text[]) IS 'Whether rating the named legs of a row again would change a rated column. Takes what rerate_call takes.';

CREATE FUNCTION billing._rerate_legs(cdr anyelement, legs text[], OUT leg text, OUT changed boolean,
	OUT old_account_id bigint, OUT new_account_id bigint, OUT old_service_id bigint, OUT new_service_id bigint,
	OUT old_rate_id bigint, OUT new_rate_id bigint, OUT old_billsec integer, OUT new_billsec integer,
	OUT old_amount numeric, OUT new_amount numeric, OUT old_reason text, OUT new_reason text, OUT old_status text, OUT new_status text)
RETURNS SETOF record
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'billing_rerate_legs';
COMMENT ON FUNCTION billing._rerate_legs(anyelement, text[]) IS 'For a row that rating the named legs again would change: these legs, old and new, and which of them change, at least one. No rows for a row that would not change. Takes what rerate_call takes.';

CREATE FUNCTION billing._in_transaction_block() RETURNS boolean
LANGUAGE c VOLATILE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'billing_in_transaction_block';
COMMENT ON FUNCTION billing._in_transaction_block() IS 'Whether the session is in a transaction block, in which a procedure cannot COMMIT.';

CREATE FUNCTION billing.keep_revision() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RAISE EXCEPTION 'billing.% is append only', TG_TABLE_NAME USING
		ERRCODE = 'restrict_violation',
		DETAIL = 'It says what was done, by whom and why.',
		HINT = 'Correct a mistake by a new row: rerate again, close_period() or reopen_period().';
END $$;
COMMENT ON FUNCTION billing.keep_revision() IS 'BEFORE UPDATE, DELETE or TRUNCATE statement trigger of rating_revision and period_close: they are append only (23001).';

-- What the present catalogue would price otherwise.

CREATE FUNCTION billing.stale(starts timestamptz, ends timestamptz,
	OUT cdr_id bigint, OUT started_at timestamptz, OUT leg text,
	OUT old_account_id bigint, OUT old_rate_id bigint, OUT old_billsec integer, OUT old_amount numeric, OUT old_reason text,
	OUT new_account_id bigint, OUT new_rate_id bigint, OUT new_billsec integer, OUT new_amount numeric, OUT new_reason text,
	OUT difference numeric)
RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM billing._require_ledger();
	RETURN QUERY
		SELECT c.id, c.started_at, l.leg, l.old_account_id, l.old_rate_id, l.old_billsec, l.old_amount, l.old_reason,
			l.new_account_id, l.new_rate_id, l.new_billsec, l.new_amount, l.new_reason,
			coalesce(l.new_amount, 0) - coalesce(l.old_amount, 0)
		FROM billing.cdr c CROSS JOIN LATERAL billing._rerate_legs(c, NULL) l
		WHERE c.started_at >= coalesce(stale.starts, '-infinity') AND c.started_at < coalesce(stale.ends, 'infinity')
			AND billing._rerate_changes(c, NULL) AND l.changed;
END $$;
COMMENT ON FUNCTION billing.stale(timestamptz, timestamptz) IS 'What the present catalogue, as of each call, would price otherwise than it is stored: a row for each leg of each call that began at or after starts and before ends (null: no bound); difference is new - old amount, a missing one counting as nothing, in the currency of the leg''s account. A leg whose account, rate, billed seconds and amount stay is listed where only its service, reason or the status of the call would change. What rerate() of the period would do, closed periods aside; changes nothing, and rates each call once. 55000 without a ledger.';
REVOKE ALL ON FUNCTION billing.stale(timestamptz, timestamptz) FROM PUBLIC;

-- Closed periods.

CREATE FUNCTION billing._closed_until(account_id bigint) RETURNS date
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
BEGIN
	RETURN (SELECT p.closed_until FROM billing.period_close p WHERE p.account_id = _closed_until.account_id ORDER BY p.id DESC LIMIT 1);
END $$;
COMMENT ON FUNCTION billing._closed_until(bigint) IS 'The first day of an account, in its time zone, that is not closed to re-rating; null: none is closed.';

CREATE FUNCTION billing._period_closed(old_account_id bigint, new_account_id bigint, instant timestamptz) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	-- The first instant that is open: so no date is made of an instant outside the calendar.
	RETURN EXISTS (
		SELECT FROM billing.account a
		WHERE a.id IN (old_account_id, new_account_id) AND instant < billing._day_start(billing._closed_until(a.id), a.timezone));
END $$;
COMMENT ON FUNCTION billing._period_closed(bigint, bigint, timestamptz) IS 'Whether an instant lies in a closed period of one of two accounts.';

CREATE FUNCTION billing._begin_closing(account_id bigint, until date) RETURNS date
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	present date;
BEGIN
	PERFORM billing._require_ledger();
	-- A batch of rerate() holds this table: it has ended before the period closes, and the next one sees that.
	LOCK TABLE billing.period_close IN EXCLUSIVE MODE;
	SELECT (now() AT TIME ZONE a.timezone)::date INTO present FROM billing.account a WHERE a.id = _begin_closing.account_id;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no account %', coalesce(account_id::text, 'null') USING
			ERRCODE = 'no_data_found',
			HINT = 'Give the id of an account.';
	END IF;
	IF until > present OR NOT isfinite(until) THEN
		RAISE EXCEPTION 'a period cannot be closed until %', until USING
			ERRCODE = 'invalid_parameter_value',
			DETAIL = format('The days before until are closed; today is %s in the account''s time zone, and its calls still come in.', present),
			HINT = format('Give %s or an earlier day.', present);
	END IF;
	RETURN billing._closed_until(account_id);
END $$;
COMMENT ON FUNCTION billing._begin_closing(bigint, date) IS 'Locks billing.period_close, checks what close_period() and reopen_period() take, and returns until when the account is closed.';

CREATE FUNCTION billing.close_period(account_id bigint, until date) RETURNS date
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	closed_until date := billing._begin_closing(account_id, until);
BEGIN
	IF until IS NULL THEN
		RAISE EXCEPTION 'a period needs an end' USING
			ERRCODE = 'invalid_parameter_value',
			HINT = 'Give in until the first day that stays open.';
	ELSIF until < closed_until THEN
		RAISE EXCEPTION 'account % is closed until %, and that does not move backwards', account_id, closed_until USING
			ERRCODE = 'invalid_parameter_value',
			HINT = format('Use SELECT billing.reopen_period(%s, %L, ''the reason'');', account_id, until);
	END IF;
	IF until IS DISTINCT FROM closed_until THEN
		INSERT INTO billing.period_close (account_id, closed_until) VALUES (close_period.account_id, until);
	END IF;
	RETURN until;
END $$;
COMMENT ON FUNCTION billing.close_period(bigint, date) IS 'Closes an account''s calls before a day, in its time zone and by their rating instant, to rerate(), which skips and counts them unless it is told allow_closed. Waits for a batch in flight. Closing again until the same day does nothing. Returns the day. 22023 for a day after today, or before the one until which it is closed; P0002 for an unknown account; 55000 without a ledger. Calls that come late are rated and counted all the same.';
REVOKE ALL ON FUNCTION billing.close_period(bigint, date) FROM PUBLIC;

CREATE FUNCTION billing.reopen_period(account_id bigint, until date, reason text) RETURNS date
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	closed_until date := billing._begin_closing(account_id, until);
BEGIN
	IF reason IS NULL OR reason !~ '[^[:space:]]' THEN
		RAISE EXCEPTION 'reopening a period needs a reason' USING
			ERRCODE = 'invalid_parameter_value',
			HINT = 'Say in reason why; it is kept in billing.period_close.';
	ELSIF closed_until IS NULL OR until >= closed_until THEN
		RAISE EXCEPTION 'account % is not closed that far', account_id USING
			ERRCODE = 'invalid_parameter_value',
			DETAIL = CASE WHEN closed_until IS NULL THEN 'Nothing of it is closed.' ELSE format('It is closed until %s.', closed_until) END,
			HINT = 'Close more with billing.close_period().';
	END IF;
	INSERT INTO billing.period_close (account_id, closed_until, reason) VALUES (reopen_period.account_id, until, reopen_period.reason);
	RETURN until;
END $$;
COMMENT ON FUNCTION billing.reopen_period(bigint, date, text) IS 'Opens an account''s calls from a day on that close_period() has closed, all of them for a null day; the reason is kept. Returns the day. 22023 without a reason or when it is not closed that far, P0002 for an unknown account, 55000 without a ledger.';
REVOKE ALL ON FUNCTION billing.reopen_period(bigint, date, text) FROM PUBLIC;

-- The run.

CREATE FUNCTION billing._rerate_keys(starts timestamptz, ends timestamptz, source text, status text, legs text[], after_started_at timestamptz, after_id bigint, batch integer,
	OUT ids bigint[], OUT begins timestamptz[], OUT calls bigint, OUT last_started_at timestamptz, OUT last_id bigint)
RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
	call record;
BEGIN
	calls := 0;
	FOR call IN
		SELECT r.id, r.started_at, r.changes
		FROM (
			-- Rated where it is read: only keys are sorted.
			SELECT c.id, c.started_at, billing._rerate_changes(c, _rerate_keys.legs) AS changes
			FROM billing.cdr c
			WHERE c.started_at >= greatest(_rerate_keys.starts, _rerate_keys.after_started_at) AND c.started_at < _rerate_keys.ends
				AND (_rerate_keys.after_id IS NULL OR (c.started_at, c.id) > (_rerate_keys.after_started_at, _rerate_keys.after_id))
				AND (_rerate_keys.source IS NULL OR c.source = _rerate_keys.source)
				AND (_rerate_keys.status IS NULL OR c.status = _rerate_keys.status)
			OFFSET 0) r
		ORDER BY r.started_at, r.id
	LOOP
		calls := calls + 1;
		IF call.changes THEN
			ids := ids || call.id;
			begins := begins || call.started_at;
		END IF;
		IF calls = batch THEN
			last_started_at := call.started_at;
			last_id := call.id;
			RETURN NEXT;
			calls := 0;
			ids := NULL;
			begins := NULL;
		END IF;
	END LOOP;
	IF calls > 0 THEN
		last_started_at := call.started_at;
		last_id := call.id;
		RETURN NEXT;
	END IF;
END $$;
COMMENT ON FUNCTION billing._rerate_keys(timestamptz, timestamptz, text, text, text[], timestamptz, bigint, integer) IS 'Calls of a run, in its order, a batch a row: keys of those that would change (null: none would), how many it has seen for that, and the key of the last one. One scan, which rates, and one sort of keys: no index has that order, and none is worth its price at each load.';

CREATE FUNCTION billing._rerate_selected(ids bigint[], begins timestamptz[], legs text[], of_account bigint, of_tariff bigint, of_import text, allow_closed boolean,
	OUT id bigint, OUT started_at timestamptz, OUT closed boolean)
RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
	first timestamptz := begins[1];
	last timestamptz := begins[cardinality(begins)];
	filtered boolean := num_nonnulls(of_account, of_tariff, of_import) > 0;
	check_closed boolean := NOT allow_closed AND EXISTS (SELECT FROM billing.period_close);
BEGIN
	RETURN QUERY
		SELECT c.id, c.started_at, check_closed AND (
			SELECT bool_or(l.changed AND billing._period_closed(l.old_account_id, l.new_account_id, CASE WHEN isfinite(c.answered_at) THEN c.answered_at ELSE c.started_at END))
			FROM billing._rerate_legs(c, legs) l)
		FROM unnest(ids, begins) k(id, started_at)
			JOIN billing.cdr c ON c.id = k.id AND c.started_at = k.started_at AND c.started_at BETWEEN first AND last
		WHERE billing._rerate_changes(c, legs)
			AND (NOT filtered OR (
				SELECT (of_account IS NULL OR bool_or(of_account IN (l.old_account_id, l.new_account_id)))
					AND (of_tariff IS NULL OR bool_or(r.tariff_id = of_tariff))
					AND (of_import IS NULL OR bool_or(r.import = of_import))
				FROM billing._rerate_legs(c, legs) l LEFT JOIN billing.rate r ON r.id IN (l.old_rate_id, l.new_rate_id)));
END $$;
COMMENT ON FUNCTION billing._rerate_selected(bigint[], timestamptz[], text[], bigint, bigint, text, boolean) IS 'Of these calls, those that would change and are asked for, and whether a period forbids it. Keys in order of started_at.';

CREATE FUNCTION billing.rerate_preview(starts timestamptz, ends timestamptz, INOUT account_id bigint DEFAULT NULL, tariff_id bigint DEFAULT NULL,
	import text DEFAULT NULL, source text DEFAULT NULL, status text DEFAULT NULL, legs text[] DEFAULT NULL, allow_closed boolean DEFAULT false,
	OUT leg text, OUT calls bigint, OUT old_amount numeric, OUT new_amount numeric, OUT difference numeric, OUT currency text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
BEGIN
	PERFORM billing._require_ledger();
	RETURN QUERY
		WITH change AS (
			-- A call that moves to another account is two rows, else one.
			SELECT v.account_id, l.leg, v.rate_id, count(*) AS calls, coalesce(sum(v.old_amount), 0) AS old_amount, coalesce(sum(v.new_amount), 0) AS new_amount
			FROM billing._rerate_keys(coalesce(rerate_preview.starts, '-infinity'), coalesce(rerate_preview.ends, 'infinity'),
					rerate_preview.source, rerate_preview.status, rerate_preview.legs, NULL, NULL, 10000) k
				CROSS JOIN LATERAL billing._rerate_selected(k.ids, k.begins, rerate_preview.legs, rerate_preview.account_id, rerate_preview.tariff_id,
					rerate_preview.import, coalesce(rerate_preview.allow_closed, false)) s
				JOIN billing.cdr c ON c.id = s.id AND c.started_at = s.started_at
				CROSS JOIN LATERAL billing._rerate_legs(c, rerate_preview.legs) l
				CROSS JOIN LATERAL (
					SELECT l.old_account_id, coalesce(l.old_rate_id, l.new_rate_id), l.old_amount, l.new_amount WHERE l.old_account_id IS NOT DISTINCT FROM l.new_account_id
					UNION ALL SELECT l.old_account_id, l.old_rate_id, l.old_amount, NULL WHERE l.old_account_id IS DISTINCT FROM l.new_account_id
					UNION ALL SELECT l.new_account_id, l.new_rate_id, NULL, l.new_amount WHERE l.old_account_id IS DISTINCT FROM l.new_account_id
				) v(account_id, rate_id, old_amount, new_amount)
			WHERE l.changed AND NOT s.closed AND (v.account_id IS NOT NULL OR num_nonnulls(v.old_amount, v.new_amount) > 0)
			GROUP BY v.account_id, l.leg, v.rate_id
		)
		SELECT h.account_id, h.leg, sum(h.calls)::bigint, sum(h.old_amount), sum(h.new_amount), sum(h.new_amount) - sum(h.old_amount), coalesce(a.currency, t.currency)
		FROM change h
			LEFT JOIN billing.account a ON a.id = h.account_id
			LEFT JOIN billing.rate r ON r.id = h.rate_id
			LEFT JOIN billing.tariff t ON t.id = r.tariff_id
		GROUP BY h.account_id, h.leg, coalesce(a.currency, t.currency)
		ORDER BY h.account_id, array_position(ARRAY['customer', 'reseller', 'provider', 'did_incoming', 'did_owner', 'did_provider'], h.leg);
END $$;
COMMENT ON FUNCTION billing.rerate_preview(timestamptz, timestamptz, bigint, bigint, text, text, text, text[], boolean) IS 'What rerate() with the same arguments would change, per account and leg: calls, the sums of their amounts as they are and as they would be, the difference, the currency; nothing is changed (K20). A call that would move to another account counts with its old amount there and its new one here. In a transaction it sees the transaction''s own changes: try any tariff, and ROLLBACK. Errors: 22023 for an unknown leg, 55000 without a ledger.';
REVOKE ALL ON FUNCTION billing.rerate_preview(timestamptz, timestamptz, bigint, bigint, text, text, text, text[], boolean) FROM PUBLIC;

CREATE FUNCTION billing._rerate_lock(run_id bigint) RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	class oid := 'billing.rerate_progress'::regclass;
	object integer := (run_id & 2147483647)::integer;
BEGIN
	-- A session lock, for a run outlives its transactions. A run that failed may have left it with us.
	RETURN EXISTS (
		SELECT FROM pg_locks l
		WHERE l.locktype = 'advisory' AND l.pid = pg_backend_pid() AND l.classid = class AND l.objid = object::oid AND l.objsubid = 2
			AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
	) OR pg_try_advisory_lock(class::integer, object);
END $$;
COMMENT ON FUNCTION billing._rerate_lock(bigint) IS 'Takes a run for this session; false when another session has it.';

CREATE FUNCTION billing._rerate_unlock(run_id bigint) RETURNS boolean
LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$ SELECT pg_advisory_unlock(to_regclass('billing.rerate_progress')::oid::integer, (run_id & 2147483647)::integer) $$;
COMMENT ON FUNCTION billing._rerate_unlock(bigint) IS 'Gives up what _rerate_lock() has taken.';

CREATE FUNCTION billing._refuse_transaction_block() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF billing._in_transaction_block() THEN
		RAISE EXCEPTION 'billing.rerate() cannot run inside a transaction block' USING
			ERRCODE = 'active_sql_transaction',
			DETAIL = 'It commits after each batch.',
			HINT = 'CALL it by itself; billing.rerate_preview() shows in a transaction what it would change.';
	END IF;
END $$;
COMMENT ON FUNCTION billing._refuse_transaction_block() IS 'Raises 25001 in a transaction block, in which rerate() could not commit its batches.';

CREATE FUNCTION billing._rerate_resume(run_id bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	run record;
BEGIN
	SELECT p.* INTO run FROM billing.rerate_progress p WHERE p.run_id = _rerate_resume.run_id;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no run %', run_id USING
			ERRCODE = 'no_data_found',
			HINT = 'Runs stand in billing.rerate_progress.';
	ELSIF run.state = 'done' THEN
		RAISE EXCEPTION 'run % is done', run_id USING
			ERRCODE = 'object_not_in_prerequisite_state',
			DETAIL = format('It ended at %s.', run.finished_at),
			HINT = 'Begin another with starts and ends.';
	END IF;
	PERFORM billing._refuse_transaction_block();
	IF NOT billing._rerate_lock(run_id) THEN
		RAISE EXCEPTION 'run % is being worked on by another session', run_id USING
			ERRCODE = 'object_in_use',
			HINT = format('Stop it with SELECT billing.stop_rerate(%s);', run_id);
	END IF;
	UPDATE billing.rerate_progress p SET state = 'running', updated_at = now() WHERE p.run_id = _rerate_resume.run_id;
	RETURN run_id;
END $$;
COMMENT ON FUNCTION billing._rerate_resume(bigint) IS 'Takes a stopped or killed run up again. P0002, 55000 when it is done, 55006 when another session works on it.';

CREATE FUNCTION billing._rerate_begin(starts timestamptz, ends timestamptz, account_id bigint, tariff_id bigint, import text, source text, status text,
	legs text[], dry_run boolean, reason text, allow_closed boolean, batch integer, resume bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	run bigint;
	wrong text;
BEGIN
	PERFORM billing._require_ledger();
	IF resume IS NOT NULL THEN
		IF num_nonnulls(starts, ends, account_id, tariff_id, import, source, status, legs) > 0 THEN
			RAISE EXCEPTION 'a run is resumed with the arguments that it began with' USING
				ERRCODE = 'invalid_parameter_value',
				HINT = format('CALL billing.rerate(resume => %s);', resume);
		END IF;
		RETURN billing._rerate_resume(resume);
	END IF;

	IF starts IS NULL OR ends IS NULL OR starts >= ends THEN
		RAISE EXCEPTION 'a period is expected' USING
			ERRCODE = 'invalid_parameter_value',
			DETAIL = 'Calls that began at or after starts and before ends are rated again.',
			HINT = 'For all calls give -infinity and infinity.';
	ELSIF batch IS NULL OR batch NOT BETWEEN 1 AND 1000000 THEN
		RAISE EXCEPTION 'batch is out of range' USING
			ERRCODE = 'invalid_parameter_value',
			DETAIL = 'It must be from 1 to 1,000,000 calls.';
	ELSIF reason IS NULL OR reason !~ '[^[:space:]]' THEN
		RAISE EXCEPTION 're-rating needs a reason' USING
			ERRCODE = 'invalid_parameter_value',
			HINT = 'Say in reason why; it is kept in billing.rating_revision.';
	END IF;
	SELECT coalesce(l.leg, 'null') INTO wrong FROM unnest(legs) l(leg)
	WHERE (l.leg = ANY (ARRAY['customer', 'reseller', 'provider', 'did_incoming', 'did_owner', 'did_provider'])) IS NOT TRUE;
	IF FOUND OR legs = '{}' THEN
		RAISE EXCEPTION '"%" is no leg of a call', coalesce(wrong, '') USING
			ERRCODE = 'invalid_parameter_value',
			DETAIL = 'Legs are customer, reseller, provider, did_incoming, did_owner and did_provider.',
			HINT = 'Leave legs out for all of them.';
	END IF;

	PERFORM billing._refuse_transaction_block();
	INSERT INTO billing.rerate_progress (starts, ends, account_id, tariff_id, import, source, status, legs, dry_run, allow_closed, reason, batch_size)
	VALUES (_rerate_begin.starts, _rerate_begin.ends, _rerate_begin.account_id, _rerate_begin.tariff_id, _rerate_begin.import, _rerate_begin.source,
		_rerate_begin.status, _rerate_begin.legs, coalesce(_rerate_begin.dry_run, false), coalesce(_rerate_begin.allow_closed, false), _rerate_begin.reason, batch)
	RETURNING run_id INTO run;
	PERFORM billing._rerate_lock(run);
	RETURN run;
END $$;
COMMENT ON FUNCTION billing._rerate_begin(timestamptz, timestamptz, bigint, bigint, text, text, text, text[], boolean, text, boolean, integer, bigint) IS 'Checks the arguments of rerate() and enters the run, or takes one up again. 25001, 22023, and what _rerate_resume() raises.';

CREATE FUNCTION billing._rerate_slices(run_id bigint,
	OUT ids bigint[], OUT begins timestamptz[], OUT calls bigint, OUT last_started_at timestamptz, OUT last_id bigint) RETURNS SETOF record
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	run record;
BEGIN
	SELECT p.* INTO run FROM billing.rerate_progress p WHERE p.run_id = _rerate_slices.run_id;
	RETURN QUERY SELECT k.ids, k.begins, k.calls, k.last_started_at, k.last_id
		FROM billing._rerate_keys(run.starts, run.ends, run.source, run.status, run.legs, run.last_started_at, run.last_id, run.batch_size) k;
EXCEPTION WHEN query_canceled OR OTHERS THEN
	PERFORM billing._rerate_unlock(run_id);
	RAISE;
END $$;
COMMENT ON FUNCTION billing._rerate_slices(bigint) IS 'What a run has not seen yet, a batch a row. Gives the run up when it fails, as _rerate_step() does.';

CREATE FUNCTION billing._rerate_write(run_id bigint, ids bigint[], begins timestamptz[], legs text[], allow_closed boolean, reason text, OUT changed bigint, OUT skipped bigint) RETURNS record
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
	first timestamptz := begins[1];
	last timestamptz := begins[cardinality(begins)];
	check_closed boolean;
BEGIN
	-- In the order of all runs, so that two of them wait for each other and never in a circle. What is locked here is read
	-- anew below, by a statement that sees what others have committed meanwhile.
	LOCK TABLE billing.period_close IN ROW SHARE MODE;
	check_closed := NOT allow_closed AND EXISTS (SELECT FROM billing.period_close);
	PERFORM FROM unnest(ids, begins) WITH ORDINALITY k(id, started_at, place)
		JOIN billing.cdr c ON c.id = k.id AND c.started_at = k.started_at AND c.started_at BETWEEN first AND last
	ORDER BY k.place
	FOR NO KEY UPDATE OF c;

	-- One statement, so that the revision and the row are of one state of the catalogue. Few calls if any are of a period
	-- that was closed since they were selected.
	WITH closed AS MATERIALIZED (
		SELECT c.id, c.started_at
		FROM unnest(ids, begins) k(id, started_at)
			JOIN billing.cdr c ON c.id = k.id AND c.started_at = k.started_at AND c.started_at BETWEEN first AND last
		WHERE check_closed AND (
			SELECT bool_or(l.changed AND billing._period_closed(l.old_account_id, l.new_account_id, CASE WHEN isfinite(c.answered_at) THEN c.answered_at ELSE c.started_at END))
			FROM billing._rerate_legs(c, legs) l)
	), kept AS (
		INSERT INTO billing.rating_revision (run_id, cdr_id, started_at, leg, old_account_id, new_account_id, old_service_id, new_service_id,
			old_rate_id, new_rate_id, old_billsec, new_billsec, old_amount, new_amount, old_reason, new_reason, old_status, new_status, reason)
		SELECT _rerate_write.run_id, c.id, c.started_at, l.leg, l.old_account_id, l.new_account_id, l.old_service_id, l.new_service_id,
			l.old_rate_id, l.new_rate_id, l.old_billsec, l.new_billsec, l.old_amount, l.new_amount, l.old_reason, l.new_reason, l.old_status, l.new_status,
			_rerate_write.reason
		FROM unnest(ids, begins) k(id, started_at)
			JOIN billing.cdr c ON c.id = k.id AND c.started_at = k.started_at AND c.started_at BETWEEN first AND last
			CROSS JOIN LATERAL billing._rerate_legs(c, legs) l
		WHERE l.changed AND (c.id, c.started_at) NOT IN (SELECT h.id, h.started_at FROM closed h)
	), written AS (
		UPDATE billing.cdr c SET (customer_account_id, customer_service_id, customer_rate_id, customer_billsec, customer_amount, customer_reason,
				reseller_account_id, reseller_rate_id, reseller_billsec, reseller_amount,
				provider_account_id, provider_service_id, provider_rate_id, provider_billsec, provider_amount, provider_reason,
				did_service_id, did_incoming_account_id, did_incoming_rate_id, did_incoming_billsec, did_incoming_amount,
				did_owner_account_id, did_owner_rate_id, did_owner_billsec, did_owner_amount,
				did_provider_account_id, did_provider_rate_id, did_provider_billsec, did_provider_amount, did_reason, status)
			= (SELECT n.* FROM billing.rerate_call(c, legs) n), rated_at = now()
		FROM unnest(ids, begins) k(id, started_at)
		WHERE c.id = k.id AND c.started_at = k.started_at AND c.started_at BETWEEN first AND last
			AND billing._rerate_changes(c, legs) AND (c.id, c.started_at) NOT IN (SELECT h.id, h.started_at FROM closed h)
		RETURNING c.id
	)
	SELECT (SELECT count(*) FROM written), (SELECT count(*) FROM closed) INTO changed, skipped;
END $$;
COMMENT ON FUNCTION billing._rerate_write(bigint, bigint[], timestamptz[], text[], boolean, text) IS 'Locks these calls and rates their named legs again: writes those that change and what changed. The trigger zz_rate leaves such rows as they are, for no raw column changes. Keys in order of started_at.';

CREATE FUNCTION billing._rerate_batch(run_id bigint, ids bigint[], begins timestamptz[], calls bigint, last_started_at timestamptz, last_id bigint) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	run record;
	selected record;
	written record;
	changed_calls bigint := 0;
	skipped_calls bigint := 0;
BEGIN
	SELECT p.* INTO run FROM billing.rerate_progress p WHERE p.run_id = _rerate_batch.run_id;
	IF ids IS NOT NULL THEN
		-- Which of those that would change are asked for is found without a lock.
		SELECT array_agg(s.id ORDER BY s.started_at, s.id) FILTER (WHERE NOT s.closed) AS ids,
			array_agg(s.started_at ORDER BY s.started_at, s.id) FILTER (WHERE NOT s.closed) AS begins,
			count(*) FILTER (WHERE NOT s.closed) AS changed, count(*) FILTER (WHERE s.closed) AS skipped INTO selected
		FROM billing._rerate_selected(ids, begins, run.legs, run.account_id, run.tariff_id, run.import, run.allow_closed) s;
		changed_calls := selected.changed;
		skipped_calls := selected.skipped;
	END IF;
	IF changed_calls > 0 AND NOT run.dry_run THEN
		written := billing._rerate_write(run_id, selected.ids, selected.begins, run.legs, run.allow_closed, run.reason);
		changed_calls := written.changed;
		skipped_calls := skipped_calls + written.skipped;
	END IF;
	UPDATE billing.rerate_progress p SET seen = p.seen + _rerate_batch.calls, changed = p.changed + changed_calls,
		skipped_closed = p.skipped_closed + skipped_calls, last_id = _rerate_batch.last_id, last_started_at = _rerate_batch.last_started_at, updated_at = now()
	WHERE p.run_id = _rerate_batch.run_id;
END $$;
COMMENT ON FUNCTION billing._rerate_batch(bigint, bigint[], timestamptz[], bigint, timestamptz, bigint) IS 'Rates those calls of one batch of a run that would change again, and notes how far it is.';

CREATE FUNCTION billing._rerate_step(run_id bigint, ids bigint[], begins timestamptz[], calls bigint, last_started_at timestamptz, last_id bigint) RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	UPDATE billing.rerate_progress p SET state = 'stopped', updated_at = now() WHERE p.run_id = _rerate_step.run_id AND p.state = 'stopping';
	IF FOUND THEN
		RETURN false;
	END IF;
	FOR attempt IN 1..10 LOOP
		BEGIN
			PERFORM billing._rerate_batch(run_id, ids, begins, calls, last_started_at, last_id);
			EXIT;
		EXCEPTION WHEN serialization_failure OR deadlock_detected THEN
			-- Somebody moved a call to another partition, or changes many in an order of his own: we can wait for him.
			IF attempt = 10 THEN
				RAISE;
			END IF;
		END;
	END LOOP;
	RETURN true;
EXCEPTION WHEN query_canceled OR OTHERS THEN
	PERFORM billing._rerate_unlock(run_id);
	RAISE;
END $$;
COMMENT ON FUNCTION billing._rerate_step(bigint, bigint[], timestamptz[], bigint, timestamptz, bigint) IS 'One batch of a run, tried again when it loses against another session; false when the run is to stop.';

CREATE FUNCTION billing._rerate_settle(run_id bigint) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF EXISTS (SELECT FROM billing.rerate_progress p WHERE p.run_id = _rerate_settle.run_id AND p.changed > 0 AND NOT p.dry_run) THEN
		PERFORM billing.settle_credits();
	END IF;
END $$;
COMMENT ON FUNCTION billing._rerate_settle(bigint) IS 'Works out the credits that the changes of a run have touched.';

CREATE FUNCTION billing._rerate_end(run_id bigint) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	run record;
BEGIN
	UPDATE billing.rerate_progress p SET state = 'done', finished_at = now(), updated_at = now()
	WHERE p.run_id = _rerate_end.run_id AND p.state <> 'stopped';
	SELECT p.* INTO run FROM billing.rerate_progress p WHERE p.run_id = _rerate_end.run_id;
	PERFORM billing._rerate_unlock(run_id);
	RAISE NOTICE 'run % is %: % calls seen, % %, % in closed periods', run_id, run.state, run.seen, run.changed,
		CASE WHEN run.dry_run THEN 'would change' ELSE 'changed' END, run.skipped_closed;
END $$;
COMMENT ON FUNCTION billing._rerate_end(bigint) IS 'Notes that a run has ended, and says so.';

CREATE PROCEDURE billing.rerate(starts timestamptz DEFAULT NULL, ends timestamptz DEFAULT NULL, account_id bigint DEFAULT NULL, tariff_id bigint DEFAULT NULL,
	import text DEFAULT NULL, source text DEFAULT NULL, status text DEFAULT NULL, legs text[] DEFAULT NULL, dry_run boolean DEFAULT false,
	reason text DEFAULT 'the catalogue has changed', allow_closed boolean DEFAULT false, batch integer DEFAULT 10000, resume bigint DEFAULT NULL)
LANGUAGE plpgsql AS $$
DECLARE
	run bigint;
	slice record;
	more boolean;
BEGIN
	run := billing._rerate_begin(starts, ends, account_id, tariff_id, import, source, status, legs, dry_run, reason, allow_closed, batch, resume);
	COMMIT;
	-- Each statement is to see what others have committed; a default of REPEATABLE READ would fail on every call that changed.
	SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
	FOR slice IN SELECT s.ids, s.begins, s.calls, s.last_started_at, s.last_id FROM billing._rerate_slices(run) s LOOP
		more := billing._rerate_step(run, slice.ids, slice.begins, slice.calls, slice.last_started_at, slice.last_id);
		COMMIT;
		SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
		EXIT WHEN NOT more;
	END LOOP;
	PERFORM billing._rerate_settle(run);
	COMMIT;
	PERFORM billing._rerate_end(run);
	COMMIT;
END $$;
COMMENT ON PROCEDURE billing.rerate(timestamptz, timestamptz, bigint, bigint, text, text, text, text[], boolean, text, boolean, integer, bigint) IS
'Rates calls that began at or after starts and before ends again, by the catalogue as of each call (P18, K20, reading 41), also those that arrived rated. Only calls of which a named leg is or would be of account_id, or priced by a rate of tariff_id or of import (billing.rate.import), and only those of source and status; null: any. Only the named legs; null: all. Rows that do not change are not touched; what changed stands in billing.rating_revision with the run and reason, progress in billing.rerate_progress. Calls that would change an account in a closed period are skipped unless allow_closed. dry_run only counts; billing.rerate_preview() tells the differences. Commits after each batch of calls, so it is no part of a transaction (25001). billing.stop_rerate(run_id) ends it after a batch; resume => run_id goes on, also after a crash. Running it twice changes nothing the second time. For the ledger''s owner. 22023 for wrong arguments, 55000 without a ledger.';
REVOKE ALL ON PROCEDURE billing.rerate(timestamptz, timestamptz, bigint, bigint, text, text, text, text[], boolean, text, boolean, integer, bigint) FROM PUBLIC;

CREATE FUNCTION billing.stop_rerate(run_id bigint) RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM billing._require_ledger();
	UPDATE billing.rerate_progress p SET state = 'stopping' WHERE p.run_id = stop_rerate.run_id AND p.state = 'running';
	RETURN FOUND;
END $$;
COMMENT ON FUNCTION billing.stop_rerate(bigint) IS 'Asks a run of rerate() to stop after its batch; CALL billing.rerate(resume => run_id) goes on. True when it was running, false when there is nothing to stop. 55000 without a ledger.';
REVOKE ALL ON FUNCTION billing.stop_rerate(bigint) FROM PUBLIC;
