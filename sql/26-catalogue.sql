-- What is done to a ledger by function: corrections that the guards let pass, and partitions.

CREATE FUNCTION billing._steps(rate_id bigint) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN (SELECT coalesce(jsonb_agg(to_jsonb(s) - 'rate_id' ORDER BY s.from_second), '[]')
		FROM billing.rate_step s WHERE s.rate_id = _steps.rate_id);
END $$;
COMMENT ON FUNCTION billing._steps(bigint) IS 'The steps of a rate as a jsonb array of objects with from_second, price and increment.';

CREATE FUNCTION billing._correct_did_rate(rate_id bigint, changes jsonb, reason text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	former jsonb;
	corrected jsonb;
BEGIN
	SELECT to_jsonb(d) INTO STRICT former FROM billing.did_rate d WHERE d.id = _correct_did_rate.rate_id FOR UPDATE;
	corrected := to_jsonb(jsonb_populate_record(NULL::billing.did_rate, former || changes));
	-- The proof that keep_did_rate() asks for.
	INSERT INTO billing.rate_correction (rate_id, reason, old, new)
	VALUES (_correct_did_rate.rate_id, _correct_did_rate.reason, former, corrected);
	UPDATE billing.did_rate d SET (price, first_price, connect_fee, attempt_fee, first_increment, next_increment, increment_rule,
			grace_seconds, free_seconds, min_amount, max_amount, surcharge_percent, boundary, duration_rounding, rounding_digits, rounding_mode)
		= (SELECT n.price, n.first_price, n.connect_fee, n.attempt_fee, n.first_increment, n.next_increment, n.increment_rule,
			n.grace_seconds, n.free_seconds, n.min_amount, n.max_amount, n.surcharge_percent, n.boundary, n.duration_rounding,
			n.rounding_digits, n.rounding_mode
			FROM jsonb_populate_record(NULL::billing.did_rate, corrected) n)
	WHERE d.id = _correct_did_rate.rate_id;
END $$;
COMMENT ON FUNCTION billing._correct_did_rate(bigint, jsonb, text) IS 'The part of correct_rate() for DID rates; what may change has been checked.';

CREATE FUNCTION billing.correct_rate(rate_id bigint, changes jsonb, reason text) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	correctable text[] := billing._correctable();
	unknown text;
	former jsonb;
	corrected jsonb;
	steps jsonb;
	new_steps jsonb;
	of_did boolean;
BEGIN
	PERFORM billing._require_ledger();
	of_did := EXISTS (SELECT FROM billing.did_rate d WHERE d.id = correct_rate.rate_id);
	IF of_did THEN
		correctable := array_remove(correctable, 'blocked');
	ELSE
		correctable := correctable || 'steps'::text;
	END IF;
	IF reason IS NULL OR reason !~ '[^[:space:]]' THEN
		RAISE EXCEPTION 'a correction needs a reason' USING
			ERRCODE = 'invalid_parameter_value',
			HINT = 'Say in reason why the rate was wrong; it is kept in billing.rate_correction.';
	END IF;
	IF jsonb_typeof(changes) IS DISTINCT FROM 'object' OR changes = '{}' THEN
		RAISE EXCEPTION 'a correction needs changes' USING
			ERRCODE = 'invalid_parameter_value',
			DETAIL = 'A jsonb object of columns and their right values is expected.',
			HINT = 'For example {"price": 0.0125}.';
	END IF;
	SELECT k INTO unknown FROM jsonb_object_keys(changes) k WHERE k <> ALL (correctable) ORDER BY k LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'a correction cannot change "%" of a rate', unknown USING
			ERRCODE = 'invalid_parameter_value',
			DETAIL = 'It can change: ' || array_to_string(correctable, ', ') || '.',
			HINT = 'Insert another rate for another number, time or tariff.';
	END IF;

	IF of_did THEN
		PERFORM billing._correct_did_rate(rate_id, changes, reason);
		RETURN rate_id;
	END IF;

	SELECT to_jsonb(r) INTO former FROM billing.rate r WHERE r.id = correct_rate.rate_id FOR UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no rate %', coalesce(rate_id::text, 'null') USING
			ERRCODE = 'no_data_found',
			HINT = 'The column customer_rate_id (reseller, provider, did_incoming ...) of a call names its rate.';
	END IF;
	steps := billing._steps(rate_id);
	-- Through the row type, so that the record shows what the columns will hold.
	corrected := to_jsonb(jsonb_populate_record(NULL::billing.rate, former || (changes - 'steps')));
	new_steps := CASE WHEN changes ? 'steps' THEN (
		SELECT coalesce(jsonb_agg(to_jsonb(s) - 'rate_id' ORDER BY s.from_second), '[]')
		FROM jsonb_populate_recordset(NULL::billing.rate_step, changes -> 'steps') s) ELSE steps END;

	-- The proof that keep_rate() and keep_rate_step() ask for.
	INSERT INTO billing.rate_correction (rate_id, reason, old, new)
	VALUES (correct_rate.rate_id, correct_rate.reason,
		former || jsonb_build_object('steps', steps), corrected || jsonb_build_object('steps', new_steps));

	DELETE FROM billing.rate_step s
	WHERE s.rate_id = correct_rate.rate_id AND NOT new_steps @> jsonb_build_array(to_jsonb(s) - 'rate_id');
	UPDATE billing.rate r SET (price, first_price, connect_fee, attempt_fee, first_increment, next_increment, increment_rule,
			grace_seconds, free_seconds, min_amount, max_amount, surcharge_percent, boundary, duration_rounding, rounding_digits,
			rounding_mode, blocked)
		= (SELECT n.price, n.first_price, n.connect_fee, n.attempt_fee, n.first_increment, n.next_increment, n.increment_rule,
			n.grace_seconds, n.free_seconds, n.min_amount, n.max_amount, n.surcharge_percent, n.boundary, n.duration_rounding,
			n.rounding_digits, n.rounding_mode, n.blocked
			FROM jsonb_populate_record(NULL::billing.rate, corrected) n)
	WHERE r.id = correct_rate.rate_id;
	INSERT INTO billing.rate_step (rate_id, from_second, price, increment)
	SELECT correct_rate.rate_id, n.from_second, n.price, n.increment
	FROM jsonb_populate_recordset(NULL::billing.rate_step, new_steps) n
	WHERE NOT EXISTS (
		SELECT FROM billing.rate_step s WHERE s.rate_id = correct_rate.rate_id AND s.from_second = n.from_second AND s.price = n.price AND s.increment = n.increment);
	RETURN rate_id;
END $$;
COMMENT ON FUNCTION billing.correct_rate(bigint, jsonb, text) IS 'Corrects a mistake in a rate or DID rate, also one that has priced calls (design 3): changes names columns and their right values, steps (an array of from_second, price, increment; not of DID rates) replaces all steps. The row changes in place; billing.rate_correction keeps it as it was, with author and reason. Calls keep their amounts until they are rated again. Returns the rate. 22023 for what cannot be corrected or without a reason, P0002 when there is no such rate, 55000 without a ledger.';
REVOKE ALL ON FUNCTION billing.correct_rate(bigint, jsonb, text) FROM PUBLIC;

CREATE FUNCTION billing.change_timezone(account_id bigint, timezone text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	former text;
BEGIN
	PERFORM billing._require_ledger();
	PERFORM billing._require_read_committed('billing.change_timezone()');
	-- The account before the calls, as an UPDATE of it does by its guards.
	SELECT a.timezone INTO former FROM billing.account a WHERE a.id = change_timezone.account_id FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no account %', coalesce(account_id::text, 'null') USING
			ERRCODE = 'no_data_found',
			HINT = 'Accounts are named by their id.';
	END IF;
	PERFORM billing._lock_accounting();
	-- The proof that keep_account() asks for.
	INSERT INTO billing.timezone_change (account_id, old, new) VALUES (change_timezone.account_id, former, change_timezone.timezone);
	UPDATE billing.account a SET timezone = change_timezone.timezone WHERE a.id = change_timezone.account_id;
	PERFORM billing._rebuild_usage(ARRAY[change_timezone.account_id]);
	PERFORM billing._queue_accounts(ARRAY[change_timezone.account_id]);
END $$;
COMMENT ON FUNCTION billing.change_timezone(bigint, text) IS 'Changes the time zone of an account, also of one that has calls: they move to the days and months of the new zone, where they are counted anew at once, and its included minutes at the next settling (design 3); archived calls stay in their days. billing.timezone_change keeps the old zone. Whoever loads calls waits until the transaction ends. For the ledger''s owner. 25000 unless READ COMMITTED, P0002 when there is no such account, 22023 for an unknown time zone, 55000 without a ledger.';
REVOKE ALL ON FUNCTION billing.change_timezone(bigint, text) FROM PUBLIC;

CREATE FUNCTION billing._partition_name(starts timestamptz, ends timestamptz) RETURNS name
LANGUAGE sql STABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp AS $$
	SELECT ('cdr_' || to_char(starts, CASE
		WHEN starts = date_trunc('month', starts) AND ends = date_trunc('month', ends) THEN 'YYYYMM'
		WHEN starts = date_trunc('day', starts) AND ends = date_trunc('day', ends) THEN 'YYYYMMDD'
		ELSE 'YYYYMMDD_HH24MISS' END))::name
$$;
COMMENT ON FUNCTION billing._partition_name(timestamptz, timestamptz) IS 'Name of the partition of billing.cdr for these bounds: cdr_YYYYMM for whole months, cdr_YYYYMMDD for whole days, else with the time, in the time zone of the session.';

CREATE FUNCTION billing._add_partition(starts timestamptz, ends timestamptz) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' AS $$
DECLARE
	partition name := billing._partition_name(starts, ends);
	fallback regclass := (SELECT nullif(p.partdefid, 0) FROM pg_partitioned_table p WHERE p.partrelid = 'billing.cdr'::regclass);
	keeper name := (SELECT pg_get_userbyid(c.relowner) FROM pg_class c WHERE c.oid = 'billing.cdr'::regclass);
	columns text := (
		SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a
		WHERE a.attrelid = 'billing.cdr'::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '');
	moved bigint := 0;
BEGIN
	EXECUTE format('CREATE TABLE billing.%I (LIKE billing.cdr INCLUDING ALL EXCLUDING INDEXES EXCLUDING STATISTICS EXCLUDING IDENTITY)', partition);
	EXECUTE format('COMMENT ON TABLE billing.%I IS %L', partition, format('Calls started from %s to before %s.', starts, ends));
	IF keeper <> current_user THEN
		EXECUTE format('ALTER TABLE billing.%I OWNER TO %I', partition, keeper);
	END IF;
	PERFORM billing._account_partition(format('billing.%I', partition)::regclass);
	IF fallback IS NOT NULL THEN
		-- The new table rates nothing yet, so the rows arrive as they are, but it counts, as the default partition does:
		-- what goes there comes here. Its indexes come at ATTACH, all at once.
		EXECUTE format('WITH moved AS (DELETE FROM %1$s WHERE started_at >= $1 AND started_at < $2 RETURNING %2$s) '
			'INSERT INTO billing.%3$I (%2$s) SELECT %2$s FROM moved', fallback, columns, partition) USING starts, ends;
		GET DIAGNOSTICS moved = ROW_COUNT;
	END IF;
	EXECUTE format('ALTER TABLE billing.cdr ATTACH PARTITION billing.%I FOR VALUES FROM (%L) TO (%L)', partition, starts, ends);
	RETURN moved;
END $$;
COMMENT ON FUNCTION billing._add_partition(timestamptz, timestamptz) IS 'Adds one partition to billing.cdr and moves the calls of its time there from the default partition, as they are; returns how many. The caller has locked billing.cdr.';

CREATE FUNCTION billing.create_partitions(starts timestamptz, ends timestamptz, step interval DEFAULT '1 month') RETURNS integer
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' AS $$
DECLARE
	lower_bound timestamptz := starts;
	upper_bound timestamptz;
	added integer := 0;
	place integer := 0;
	moved bigint;
BEGIN
	PERFORM billing._require_ledger();
	IF starts IS NULL OR ends IS NULL OR NOT isfinite(starts) OR NOT isfinite(ends) OR starts >= ends THEN
		RAISE EXCEPTION 'partitions need a first and a later last instant' USING
			ERRCODE = 'invalid_parameter_value',
			DETAIL = format('starts is %s, ends is %s.', coalesce(starts::text, 'null'), coalesce(ends::text, 'null')),
			HINT = 'Give two finite instants, starts before ends.';
	END IF;
	IF step IS NULL OR step <= interval '0' OR starts + step <= starts THEN
		RAISE EXCEPTION 'partitions need a step above zero' USING
			ERRCODE = 'invalid_parameter_value',
			DETAIL = format('step is %s.', coalesce(step::text, 'null')),
			HINT = 'Give a step such as ''1 month'' or ''1 day''.';
	END IF;

	-- Bounds are written as text, in which only ISO says the offset: IST is India's, Ireland's and Israel's.
	-- The table before its default partition, as whoever inserts does; and nothing may come to the default
	-- partition between the move and the ATTACH.
	LOCK TABLE billing.cdr IN ACCESS EXCLUSIVE MODE;
	WHILE lower_bound < ends LOOP
		place := place + 1;
		-- From the first instant each time: the 31st stays the 31st after a February.
		upper_bound := starts + place * step;
		IF EXISTS (
			SELECT FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
			WHERE i.inhparent = 'billing.cdr'::regclass
				AND pg_get_expr(c.relpartbound, c.oid) = format('FOR VALUES FROM (%L) TO (%L)', lower_bound, upper_bound))
		THEN
			RAISE NOTICE 'a partition from % to % stands already', lower_bound, upper_bound;
		ELSIF EXISTS (
			SELECT FROM billing.archived_partition a
			WHERE a.readopted_at IS NULL AND a.starts_at <= lower_bound AND upper_bound <= a.ends_at)
		THEN
			RAISE NOTICE 'the calls from % to % are archived', lower_bound, upper_bound;
		ELSE
			moved := billing._add_partition(lower_bound, upper_bound);
			RAISE NOTICE 'partition % from % to %, % calls moved', billing._partition_name(lower_bound, upper_bound), lower_bound, upper_bound, moved;
			added := added + 1;
		END IF;
		lower_bound := upper_bound;
	END LOOP;
	RETURN added;
END $$;
COMMENT ON FUNCTION billing.create_partitions(timestamptz, timestamptz, interval) IS 'Adds partitions of billing.cdr from starts on, each as long as step, until ends is covered; returns how many. Months and days are those of the session''s time zone. What stands already is skipped, and so is what is archived; calls that wait in the default partition move as they are, not rated again. For the owner of billing.cdr; loads wait until the transaction ends. 22023 for bounds or steps that make no sense, 42P17 when a partition with other bounds is in the way, 55000 without a ledger.';
REVOKE ALL ON FUNCTION billing.create_partitions(timestamptz, timestamptz, interval) FROM PUBLIC;

CREATE FUNCTION billing._check_adoptable(partition regclass) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	keeper oid := (SELECT c.relowner FROM pg_class c WHERE c.oid = 'billing.cdr'::regclass);
	other record;
BEGIN
	IF partition IS NULL OR partition = 'billing.cdr'::regclass OR pg_partition_root(partition) IS DISTINCT FROM 'billing.cdr'::regclass THEN
		RAISE EXCEPTION '% is no partition of billing.cdr', coalesce(partition::text, 'null') USING
			ERRCODE = 'wrong_object_type',
			HINT = 'Attach it first, with ALTER TABLE billing.cdr ATTACH PARTITION.';
	END IF;
	SELECT c.oid::regclass AS relation, c.relkind, pg_get_userbyid(c.relowner) AS owner INTO other
	FROM pg_partition_tree(partition) p JOIN pg_class c ON c.oid = p.relid
	WHERE c.relkind NOT IN ('r', 'p') OR c.relowner <> keeper
	LIMIT 1;
	IF other.relkind NOT IN ('r', 'p') THEN
		RAISE EXCEPTION 'foreign table % cannot count its calls', other.relation USING
			ERRCODE = 'wrong_object_type',
			DETAIL = 'Triggers with transition tables cannot stand on it.',
			HINT = 'Its calls are counted by the ledger of the server that holds them.';
	ELSIF other.relation IS NOT NULL THEN
		RAISE EXCEPTION 'partition % belongs to "%"', other.relation, other.owner USING
			ERRCODE = 'object_not_in_prerequisite_state',
			DETAIL = 'Calls are counted with the rights of the owner of the table that a statement names.',
			HINT = format('Run: ALTER TABLE %s OWNER TO %I;', other.relation, pg_get_userbyid(keeper));
	END IF;
	PERFORM billing._refuse_archived(partition);
END $$;
COMMENT ON FUNCTION billing._check_adoptable(regclass) IS 'Raises 42809 for what is no partition of billing.cdr, or has a foreign table in it, and 55000 for one of another owner or with archived calls.';

CREATE FUNCTION billing._renew_counting(partition regclass) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	relation regclass;
	name name;
BEGIN
	FOR relation IN
		SELECT p.relid FROM pg_partition_tree(partition) p
		WHERE (SELECT count(*) FROM pg_trigger t WHERE t.tgrelid = p.relid AND t.tgfoid = 'billing.account_cdr()'::regprocedure AND t.tgenabled IN ('O', 'A')) <> 5
	LOOP
		FOR name IN SELECT t.tgname FROM pg_trigger t WHERE t.tgrelid = relation AND t.tgfoid = 'billing.account_cdr()'::regprocedure LOOP
			EXECUTE format('DROP TRIGGER %I ON %s', name, relation);
		END LOOP;
		PERFORM billing._account_partition(relation);
	END LOOP;
END $$;
COMMENT ON FUNCTION billing._renew_counting(regclass) IS 'Gives a partition of billing.cdr, and what it is divided into, the statement triggers of the accounting pass where one is missing or disabled.';

CREATE FUNCTION billing._accounts_in(partition regclass) RETURNS bigint[]
LANGUAGE plpgsql STABLE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	account_ids bigint[];
BEGIN
	EXECUTE format('
		SELECT array_agg(DISTINCT l.account_id)
		FROM %s c CROSS JOIN LATERAL (VALUES (c.customer_account_id, c.customer_amount), (c.reseller_account_id, c.reseller_amount),
			(c.provider_account_id, c.provider_amount), (c.did_incoming_account_id, c.did_incoming_amount),
			(c.did_owner_account_id, c.did_owner_amount), (c.did_provider_account_id, c.did_provider_amount)) l(account_id, amount)
		WHERE l.account_id IS NOT NULL OR l.amount IS NOT NULL', partition) INTO account_ids;
	RETURN coalesce(account_ids, '{}');
END $$;
COMMENT ON FUNCTION billing._accounts_in(regclass) IS 'The accounts of the legs of the calls in billing.cdr or a partition of it, null among them for legs without account.';

CREATE FUNCTION billing._queue_in(partition regclass, account_ids bigint[]) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
BEGIN
	EXECUTE format('
		INSERT INTO billing.credit_queue (kind, session_id, number)
		SELECT DISTINCT ''session_fee'', c.session_id, billing._did_number(c.did, c.callee_number, c.callee)
		FROM %s c
		WHERE c.session_id <> '''' AND coalesce(c.did_incoming_amount, c.did_owner_amount, c.did_provider_amount) IS NOT NULL', partition);
	PERFORM billing._queue_accounts(account_ids);
END $$;
COMMENT ON FUNCTION billing._queue_in(regclass, bigint[]) IS 'Queues the session fees of the calls in a partition, and the included minutes of these accounts.';

CREATE FUNCTION billing._note_orphans(partition regclass) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp SET row_security = off SET jit = off AS $$
BEGIN
	EXECUTE format('
		INSERT INTO billing.usage_orphan (kind, id)
		SELECT DISTINCT n.kind, n.id
		FROM %s c
			CROSS JOIN LATERAL (VALUES (''account'', c.customer_account_id), (''account'', c.reseller_account_id), (''account'', c.provider_account_id),
				(''account'', c.did_incoming_account_id), (''account'', c.did_owner_account_id), (''account'', c.did_provider_account_id),
				(''service'', c.customer_service_id), (''service'', c.provider_service_id), (''service'', c.did_service_id),
				(''rate'', c.customer_rate_id), (''rate'', c.reseller_rate_id), (''rate'', c.provider_rate_id)) n(kind, id)
			LEFT JOIN billing.account a ON a.id = n.id AND n.kind = ''account''
			LEFT JOIN billing.service s ON s.id = n.id AND n.kind = ''service''
			LEFT JOIN billing.rate r ON r.id = n.id AND n.kind = ''rate''
		WHERE n.id IS NOT NULL AND a.id IS NULL AND s.id IS NULL AND r.id IS NULL
		ON CONFLICT DO NOTHING', partition);
END $$;
COMMENT ON FUNCTION billing._note_orphans(regclass) IS 'Notes the names that calls of a partition carry and that are not there, as the accounting pass does (billing.usage_orphan).';

CREATE FUNCTION billing.adopt_partition(partition regclass) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	found_calls bigint;
	account_ids bigint[];
BEGIN
	PERFORM billing._require_ledger();
	PERFORM billing._require_read_committed('billing.adopt_partition()');
	PERFORM billing._lock_accounting();
	PERFORM billing._check_adoptable(partition);
	PERFORM billing._renew_counting(partition);
	-- Rows that no trigger has seen. Those that came through billing.cdr are rated and counted, those of an attached
	-- table are not: nobody can tell them apart, so that their accounts are counted anew.
	EXECUTE format('UPDATE %s SET rated_at = NULL WHERE rated_at IS NULL', partition);
	EXECUTE format('SELECT count(*) FROM %s', partition) INTO found_calls;
	IF found_calls > 0 THEN
		account_ids := billing._accounts_in(partition);
		PERFORM billing._note_orphans(partition);
		PERFORM billing._rebuild_usage(account_ids);
		PERFORM billing._queue_in(partition, account_ids);
	END IF;
	RETURN found_calls;
END $$;
COMMENT ON FUNCTION billing.adopt_partition(regclass) IS 'Makes a partition of billing.cdr that was made by CREATE TABLE ... PARTITION OF or ATTACH PARTITION, also one that is divided itself, count its calls when a statement names it; rates those that have no rated_at, counts the accounts of its calls anew and queues their credits. Also repairs one whose triggers were dropped or disabled. Returns how many calls it holds. Whoever loads calls waits until the transaction ends. For the ledger''s owner. 42809 for what is no partition of billing.cdr or holds foreign tables, 55000 when it belongs to somebody else, holds archived calls (see billing.unarchive()) or without a ledger, 25000 unless READ COMMITTED.';
REVOKE ALL ON FUNCTION billing.adopt_partition(regclass) FROM PUBLIC;
