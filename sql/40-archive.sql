-- Old calls leave (design 6): archive() takes whole partitions out of billing.cdr, what they add up to stays in
-- billing.usage under a slot of its own, and what arrives for their time is stored as too_old by the trigger
-- (src/archive.c). unarchive() takes a partition back.

CREATE FUNCTION billing._archivable(until timestamptz, OUT partition regclass, OUT parent regclass, OUT starts_at timestamptz, OUT ends_at timestamptz) RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO' AS $$
BEGIN
	RETURN QUERY
	WITH RECURSIVE divided(relation) AS (
		SELECT 'billing.cdr'::regclass
		UNION ALL
		SELECT c.oid::regclass FROM divided d JOIN pg_inherits i ON i.inhparent = d.relation JOIN pg_class c ON c.oid = i.inhrelid AND c.relkind = 'p'
	), bounded AS MATERIALIZED (
		SELECT i.inhrelid::regclass AS relation, d.relation AS parent,
			regexp_match(pg_get_expr(c.relpartbound, c.oid), '^FOR VALUES FROM \((MINVALUE|''[^'']+'')\) TO \(''([^'']+)''\)$') AS bound
		FROM divided d
			JOIN pg_partitioned_table t ON t.partrelid = d.relation AND t.partstrat = 'r' AND t.partnatts = 1
			JOIN pg_attribute a ON a.attrelid = d.relation AND a.attnum = t.partattrs[0] AND a.attname = 'started_at'
			JOIN pg_inherits i ON i.inhparent = d.relation AND NOT i.inhdetachpending
			JOIN pg_class c ON c.oid = i.inhrelid
	), past AS MATERIALIZED (
		SELECT b.relation, b.parent,
			CASE WHEN b.bound[1] = 'MINVALUE' THEN '-infinity' ELSE btrim(b.bound[1], '''') END::timestamptz AS starts_at,
			b.bound[2]::timestamptz AS ends_at
		FROM bounded b
		WHERE b.bound IS NOT NULL AND b.bound[2]::timestamptz <= until
	)
	SELECT p.relation, p.parent, p.starts_at, p.ends_at
	FROM past p
	WHERE NOT EXISTS (SELECT FROM pg_partition_ancestors(p.relation) WITH ORDINALITY r(relid, place) JOIN past q ON q.relation = r.relid WHERE r.place > 1)
	ORDER BY p.starts_at;
END $$;
COMMENT ON FUNCTION billing._archivable(timestamptz) IS 'Partitions of billing.cdr, at any depth, that hold a period that has ended by an instant, the outermost of each branch; never a default partition. Only levels that are divided by started_at alone count.';

CREATE FUNCTION billing._lock_archive() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	-- In the order of those who load calls, settle credits and fold usage: whoever holds a lock of settle_credits() has
	-- locked the calls before.
	LOCK TABLE billing.cdr IN ACCESS EXCLUSIVE MODE;
	PERFORM pg_advisory_xact_lock('billing.usage'::regclass::oid::integer, 0);
END $$;
COMMENT ON FUNCTION billing._lock_archive() IS 'Waits for loads, settlements and compaction in flight and keeps others from beginning.';

-- Usage between slot 0 and the slot of an archive.

CREATE FUNCTION billing._put_archived_usage(archive integer, partition regclass) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET row_security = off SET billing.usage_writer = on AS $$
BEGIN
	DELETE FROM billing.usage u WHERE u.slot = -archive;
	INSERT INTO billing.usage (account_id, leg, day, cost_center, destination, currency, slot, calls, answered, seconds, billsec, amount, credit)
	SELECT n.account_id, n.leg, n.day, n.cost_center, n.destination, n.currency, -archive,
		sum(n.calls), sum(n.answered), sum(n.seconds), sum(n.billsec), sum(n.amount), sum(n.credit)
	FROM (
		SELECT c.account_id, c.leg, c.day, c.cost_center, c.destination, c.currency, c.calls, c.answered, c.seconds, c.billsec, c.amount, 0 AS credit
		FROM billing._counted_in(partition) c
		UNION ALL
		SELECT k.account_id, k.leg, k.day, k.cost_center, k.destination, k.currency, 0, 0, 0, 0, 0, k.amount
		FROM billing.archived_credit k WHERE k.archive_id = archive AND NOT k.keeps_fee) n
	GROUP BY n.account_id, n.leg, n.day, n.cost_center, n.destination, n.currency;
END $$;
COMMENT ON FUNCTION billing._put_archived_usage(integer, regclass) IS 'Counts the calls of a table, and the credits that were archived with them, into the slot of an archive.';

CREATE FUNCTION billing._add_to_folded(archive integer, sign integer) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET billing.usage_writer = on AS $$
BEGIN
	INSERT INTO billing.usage_folded AS u (account_id, leg, day, cost_center, destination, currency, slot, part, calls, answered, seconds, billsec, amount)
	SELECT a.account_id, a.leg, a.day, a.cost_center, a.destination, a.currency, 0, 0,
		sign * a.calls, sign * a.answered, sign * a.seconds, sign * a.billsec, sign * a.amount
	FROM billing.usage a WHERE a.slot = -archive AND a.calls <> 0
	ON CONFLICT ON CONSTRAINT usage_key DO UPDATE SET calls = u.calls + EXCLUDED.calls, answered = u.answered + EXCLUDED.answered,
		seconds = u.seconds + EXCLUDED.seconds, billsec = u.billsec + EXCLUDED.billsec, amount = u.amount + EXCLUDED.amount;
	DELETE FROM billing.usage u WHERE u.slot = 0 AND (u.calls, u.answered, u.seconds, u.billsec, u.amount, u.credit) = (0, 0, 0, 0, 0, 0);
END $$;
COMMENT ON FUNCTION billing._add_to_folded(integer, integer) IS 'Adds what the slot of an archive counts to slot 0 (sign 1), or takes it away (sign -1); not the credits, which follow billing.credit by its triggers.';

CREATE FUNCTION billing._add_to_months(archive integer, amounts integer, credits integer) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET billing.usage_writer = on AS $$
BEGIN
	INSERT INTO billing.usage_month AS m (account_id, leg, month, currency, amount, credit)
	SELECT a.account_id, a.leg, date_trunc('month', a.day::timestamp)::date, a.currency, amounts * sum(a.amount), credits * sum(a.credit)
	FROM billing.usage a WHERE a.slot = -archive
	GROUP BY 1, 2, 3, 4
	HAVING amounts * sum(a.amount) <> 0 OR credits * sum(a.credit) <> 0
	ON CONFLICT ON CONSTRAINT usage_month_key DO UPDATE SET amount = m.amount + EXCLUDED.amount, credit = m.credit + EXCLUDED.credit;
END $$;
COMMENT ON FUNCTION billing._add_to_months(integer, integer, integer) IS 'Adds the amounts and credits of the slot of an archive, each times a factor, to billing.usage_month.';

CREATE FUNCTION billing._usage_totals(slot integer) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN (SELECT coalesce(jsonb_object_agg(t.name, jsonb_build_object('calls', t.calls, 'amount', t.amount, 'credit', t.credit)), '{}')
	FROM (SELECT rtrim(u.leg || ' ' || u.currency) AS name, sum(u.calls) AS calls, sum(u.amount) AS amount, sum(u.credit) AS credit
		FROM billing.usage u WHERE u.slot = _usage_totals.slot GROUP BY 1) t);
END $$;
COMMENT ON FUNCTION billing._usage_totals(integer) IS 'What a slot of billing.usage adds up to, by leg and currency, as billing.archived_partition.totals keeps it.';

-- Credits.

CREATE FUNCTION billing._archive_credits(archive integer, partition regclass, starts timestamptz, ends timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
BEGIN
	-- Calls that keep the fee of a session which goes on elsewhere, or may: those of the last day count as such.
	EXECUTE format('
		INSERT INTO billing.archived_credit (id, cdr_id, started_at, leg, kind, pool, amount, day, archive_id, keeps_fee)
		SELECT DISTINCT ON (p.pool, l.leg) 0, c.id, c.started_at, l.leg, ''session_fee'', p.pool, 0, ''-infinity'', $1, true
		FROM %s c
			CROSS JOIN LATERAL (SELECT billing._session_pool(c.session_id, billing._did_number(c.did, c.callee_number, c.callee)) AS pool OFFSET 0) p
			CROSS JOIN LATERAL (VALUES (''did_incoming'', c.did_incoming_amount), (''did_owner'', c.did_owner_amount), (''did_provider'', c.did_provider_amount)) l(leg, amount)
		WHERE c.session_id <> '''' AND coalesce(c.did_incoming_amount, c.did_owner_amount, c.did_provider_amount) IS NOT NULL
			AND l.amount IS NOT NULL AND billing.did_fee(c, l.leg) <> 0
			AND (c.started_at >= $3 - interval ''1 day'' OR EXISTS (SELECT FROM billing.credit k
				WHERE k.pool = p.pool AND k.kind = ''session_fee'' AND k.leg = l.leg AND NOT (k.started_at >= $2 AND k.started_at < $3)))
			AND NOT EXISTS (SELECT FROM billing.credit k WHERE k.pool = p.pool AND k.kind = ''session_fee'' AND k.leg = l.leg
				AND k.cdr_id = c.id AND k.started_at = c.started_at)
		ORDER BY p.pool, l.leg, c.started_at, c.source, c.call_id, c.id', partition) USING archive, starts, ends;

	INSERT INTO billing.archived_credit (id, cdr_id, started_at, leg, kind, pool, allowance, cycle, seconds, amount,
		account_id, day, cost_center, destination, currency, archive_id)
	SELECT k.id, k.cdr_id, k.started_at, k.leg, k.kind, k.pool, k.allowance, k.cycle, k.seconds, k.amount,
		k.account_id, k.day, k.cost_center, k.destination, k.currency, archive
	FROM billing.credit k WHERE k.started_at >= starts AND k.started_at < ends;
	DELETE FROM billing.credit k WHERE k.started_at >= starts AND k.started_at < ends;
END $$;
COMMENT ON FUNCTION billing._archive_credits(integer, regclass, timestamptz, timestamptz) IS 'Moves the credits of a period to billing.archived_credit and notes there which of its calls keep the fee of a session that has calls outside of it.';

-- The table itself.

CREATE FUNCTION billing._make_inert(partition regclass) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	counting record;
BEGIN
	FOR counting IN
		SELECT p.relid AS relation, t.tgname AS name
		FROM (SELECT partition AS relid UNION SELECT q.relid FROM pg_partition_tree(partition) q) p JOIN pg_trigger t ON t.tgrelid = p.relid
		WHERE t.tgfoid = 'billing.account_cdr()'::regprocedure AND NOT t.tgisinternal
	LOOP
		EXECUTE format('DROP TRIGGER %I ON %s', counting.name, counting.relation);
	END LOOP;
	-- What the ledger owns is nothing that an archived table needs: drop_ledger() must not meet it.
	EXECUTE format('ALTER TABLE %s ALTER COLUMN id DROP DEFAULT', partition);
END $$;
COMMENT ON FUNCTION billing._make_inert(regclass) IS 'Takes the statement triggers off a detached partition, and off its own partitions, and the default of id; its row triggers went with DETACH.';

CREATE FUNCTION billing._archive_partition(partition regclass, parent regclass, starts timestamptz, ends timestamptz) RETURNS integer
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	held bigint;
	archive integer;
BEGIN
	EXECUTE format('SELECT count(*) FROM %s', partition) INTO held;
	INSERT INTO billing.archived_partition (name, parent, starts_at, ends_at, calls, totals)
	VALUES (billing._qualified_name(partition), billing._qualified_name(parent), starts, ends, held, '{}')
	RETURNING id INTO archive;
	PERFORM billing._archive_credits(archive, partition, starts, ends);
	PERFORM billing._put_archived_usage(archive, partition);
	PERFORM billing._add_to_folded(archive, -1);
	PERFORM billing._add_to_months(archive, 0, 1);
	UPDATE billing.archived_partition a SET totals = billing._usage_totals(-archive) WHERE a.id = archive;
	EXECUTE format('ALTER TABLE %s DETACH PARTITION %s', parent, partition);
	PERFORM billing._make_inert(partition);
	RETURN archive;
END $$;
COMMENT ON FUNCTION billing._archive_partition(regclass, regclass, timestamptz, timestamptz) IS 'Archives one partition and returns the number of the archive. The caller holds the locks.';

CREATE FUNCTION billing._qualified_name(relation regclass) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp
RETURN (SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = relation);
COMMENT ON FUNCTION billing._qualified_name(regclass) IS 'Name of a relation with its schema, quoted as SQL needs it, whatever the search_path.';

CREATE FUNCTION billing.archive(until timestamptz, OUT partition text, OUT starts_at timestamptz, OUT ends_at timestamptz, OUT calls bigint, OUT slot integer) RETURNS SETOF record
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	target record;
	archives integer[] := '{}';
BEGIN
	PERFORM billing._require_ledger();
	PERFORM billing._require_read_committed('billing.archive()');
	IF until IS NULL OR until > now() THEN
		RAISE EXCEPTION 'calls cannot be archived until %', coalesce(until::text, 'null') USING
			ERRCODE = 'invalid_parameter_value',
			DETAIL = 'Calls that arrive for an archived period are not charged, so that it must lie in the past.',
			HINT = 'Give an instant before now(), such as the end of the last partition that is to leave.';
	END IF;
	PERFORM billing._lock_archive();
	PERFORM billing.settle_credits();
	FOR target IN SELECT p.* FROM billing._archivable(until) p LOOP
		archives := archives || billing._archive_partition(target.partition, target.parent, target.starts_at, target.ends_at);
	END LOOP;
	RETURN QUERY SELECT a.name, a.starts_at, a.ends_at, a.calls, -a.id FROM billing.archived_partition a WHERE a.id = ANY (archives) ORDER BY a.starts_at, a.id;
END $$;
COMMENT ON FUNCTION billing.archive(timestamptz) IS 'Takes every partition of billing.cdr whose upper bound is not after an instant of the past out of it, never a default partition, after settling credits: an ordinary table remains, to be dumped and dropped. What its calls add up to stays in billing.usage, with slot = -archived_partition.id; totals and balances do not change. Its credits move to billing.archived_credit. A call that arrives for its period later is stored with the reason too_old and not charged; one that arrives with rated_at is stored, and counted, as it is. Holds ACCESS EXCLUSIVE on billing.cdr until the end of the transaction. For the ledger''s owner. Returns a row for each partition: name, period [starts_at, ends_at), calls, slot of usage. 22023 for an instant that is null or to come, 25000 unless READ COMMITTED, 55000 without a ledger.';
REVOKE ALL ON FUNCTION billing.archive(timestamptz) FROM PUBLIC;

-- And back.

CREATE FUNCTION billing._counted_totals(partition regclass) RETURNS text
LANGUAGE sql STABLE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp AS $$
	SELECT coalesce(string_agg(t.line, ', ' ORDER BY t.line), 'nothing') FROM (
		SELECT format('%s %s calls %s', rtrim(c.leg || ' ' || c.currency), sum(c.calls), trim_scale(sum(c.amount))) AS line
		FROM billing._counted_in(partition) c GROUP BY c.leg, c.currency HAVING sum(c.calls) <> 0) t
$$;
COMMENT ON FUNCTION billing._counted_totals(regclass) IS 'What the calls of a table add up to, by leg and currency, to be compared with _recorded_totals().';

CREATE FUNCTION billing._recorded_totals(totals jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp AS $$
	SELECT coalesce(string_agg(t.line, ', ' ORDER BY t.line), 'nothing') FROM (
		SELECT format('%s %s calls %s', k.key, k.value ->> 'calls', trim_scale((k.value ->> 'amount')::numeric)) AS line
		FROM jsonb_each(totals) k WHERE (k.value ->> 'calls')::bigint <> 0) t
$$;
COMMENT ON FUNCTION billing._recorded_totals(jsonb) IS 'billing.archived_partition.totals as a text.';

-- A new partition may have the name of one that was archived and dropped: what it holds tells.
CREATE FUNCTION billing._archive_in(partition regclass) RETURNS integer
LANGUAGE plpgsql STABLE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN (SELECT max(a.id) FROM billing.archived_partition a
		WHERE a.name = billing._qualified_name(partition) AND a.readopted_at IS NULL AND a.totals <> '{}'
			AND billing._recorded_totals(a.totals) = billing._counted_totals(partition));
END $$;
COMMENT ON FUNCTION billing._archive_in(regclass) IS 'The number of the archive whose calls stand in a table of its name; null: none.';

CREATE FUNCTION billing._refuse_archived(partition regclass) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF billing._archive_in(partition) IS NOT NULL THEN
		RAISE EXCEPTION '% holds calls that are archived', partition USING
			ERRCODE = 'object_not_in_prerequisite_state',
			DETAIL = 'They are counted already, and would be counted twice.',
			HINT = format('Detach it, and run SELECT billing.unarchive(%L);', billing._qualified_name(partition));
	END IF;
END $$;
COMMENT ON FUNCTION billing._refuse_archived(regclass) IS 'Raises 55000 for an archived table that was attached to billing.cdr by hand.';

CREATE FUNCTION billing._check_archived_table(archive integer, partition regclass) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	kept record;
	late bigint;
	counted text;
	recorded text;
BEGIN
	SELECT a.* INTO STRICT kept FROM billing.archived_partition a WHERE a.id = archive;
	SELECT count(*) INTO late FROM billing.cdr c WHERE c.started_at >= kept.starts_at AND c.started_at < kept.ends_at;
	IF late > 0 THEN
		RAISE EXCEPTION 'billing.cdr holds % calls of the period of %', late, kept.name USING
			ERRCODE = 'object_not_in_prerequisite_state',
			DETAIL = format('Calls from %s on and before %s arrived after it was archived.', kept.starts_at, kept.ends_at),
			HINT = 'Keep those you want elsewhere, delete them from billing.cdr, run unarchive() and insert them again: then they are rated, and duplicates are noticed.';
	END IF;

	counted := billing._counted_totals(partition);
	recorded := billing._recorded_totals(kept.totals);
	IF counted <> recorded THEN
		RAISE EXCEPTION '% does not hold the calls that were archived', partition USING
			ERRCODE = 'object_not_in_prerequisite_state',
			DETAIL = format('Archived were: %s; it adds up to: %s.', recorded, counted),
			HINT = 'Restore it from its dump.';
	END IF;
END $$;
COMMENT ON FUNCTION billing._check_archived_table(integer, regclass) IS 'Raises 55000 when billing.cdr has calls of the period of an archive, or when the table adds up to something else than what was archived.';

-- Bounds are written as text, in which only ISO says the offset.
CREATE FUNCTION billing._attach_archived(archive integer, partition regclass) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' AS $$
DECLARE
	kept record;
	leaf regclass;
BEGIN
	SELECT a.* INTO STRICT kept FROM billing.archived_partition a WHERE a.id = archive;
	EXECUTE format('ALTER TABLE %s ALTER COLUMN id SET DEFAULT nextval(''billing.cdr_id_seq'')', partition);
	EXECUTE format('ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM (%s) TO (%L)', kept.parent, partition,
		CASE WHEN kept.starts_at = '-infinity' THEN 'MINVALUE' ELSE quote_literal(kept.starts_at) END, kept.ends_at);
	FOR leaf IN
		SELECT p.relid FROM pg_partition_tree(partition) p
		WHERE NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = p.relid AND t.tgfoid = 'billing.account_cdr()'::regprocedure)
	LOOP
		PERFORM billing._account_partition(leaf);
	END LOOP;
END $$;
COMMENT ON FUNCTION billing._attach_archived(integer, regclass) IS 'Makes a table the partition again that it was, with the triggers of one.';

CREATE FUNCTION billing._count_again(archive integer, partition regclass) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp SET billing.usage_writer = on AS $$
BEGIN
	PERFORM billing._add_to_months(archive, -1, -1);
	-- Calls and credits are counted as all are, by the account's time zone as it is now; credits come back to usage by
	-- the trigger of billing.credit.
	EXECUTE format('
		WITH back AS (
			DELETE FROM billing.archived_credit k WHERE k.archive_id = $1 RETURNING k.*
		)
		INSERT INTO billing.credit (id, cdr_id, started_at, leg, kind, pool, allowance, cycle, seconds, amount, account_id, day, cost_center, destination, currency)
		SELECT b.id, b.cdr_id, b.started_at, b.leg, b.kind, b.pool, b.allowance, b.cycle, b.seconds, b.amount, n.account_id, n.day, n.cost_center, n.destination, n.currency
		FROM back b JOIN (%s) n ON n.cdr_id = b.cdr_id AND n.started_at = b.started_at AND n.leg = b.leg
		WHERE NOT b.keeps_fee', billing._counted_legs(partition, 'true')) USING archive;
	PERFORM billing._put_archived_usage(archive, partition);
	PERFORM billing._add_to_months(archive, 1, 0);
	PERFORM billing._add_to_folded(archive, 1);
	DELETE FROM billing.usage u WHERE u.slot = -archive;
END $$;
COMMENT ON FUNCTION billing._count_again(integer, regclass) IS 'Moves the calls and credits of an archive back from its slot.';

CREATE FUNCTION billing._refuse_foreign_table(archived regclass) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF EXISTS (SELECT FROM pg_class c, pg_class r WHERE c.oid = archived AND r.oid = 'billing.cdr'::regclass AND (c.relkind NOT IN ('r', 'p') OR c.relowner <> r.relowner)) THEN
		RAISE EXCEPTION '% is no table of the owner of billing.cdr', archived USING
			ERRCODE = 'insufficient_privilege',
			DETAIL = 'A view of somebody else would run what he likes with the rights of who reads it, and his table stay his as a partition.',
			HINT = format('If it is what was archived, run ALTER TABLE %s OWNER TO %I;', archived,
				(SELECT pg_get_userbyid(r.relowner) FROM pg_class r WHERE r.oid = 'billing.cdr'::regclass));
	END IF;
END $$;
COMMENT ON FUNCTION billing._refuse_foreign_table(regclass) IS 'Raises 42501 for what is not a table, or belongs to somebody else than billing.cdr: an archived table may be gone, and its name taken. Nothing for null.';

CREATE FUNCTION billing.unarchive(name text) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	kept record;
BEGIN
	PERFORM billing._require_ledger();
	PERFORM billing._require_read_committed('billing.unarchive()');
	PERFORM billing._lock_archive();
	PERFORM billing._refuse_foreign_table(to_regclass(a.name))
	FROM billing.archived_partition a WHERE a.name IN (unarchive.name, 'billing.' || quote_ident(unarchive.name)) AND a.readopted_at IS NULL;
	-- Of several of the name, the one that the table holds.
	SELECT a.* INTO kept FROM billing.archived_partition a
	WHERE a.name IN (unarchive.name, 'billing.' || quote_ident(unarchive.name)) AND a.readopted_at IS NULL
	ORDER BY a.id = billing._archive_in(to_regclass(a.name)) DESC NULLS LAST, a.id DESC LIMIT 1;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no archived partition "%"', name USING
			ERRCODE = 'no_data_found',
			HINT = 'SELECT name FROM billing.archived_partition WHERE readopted_at IS NULL; lists them.';
	ELSIF to_regclass(kept.name) IS NULL THEN
		RAISE EXCEPTION 'table % does not exist', kept.name USING
			ERRCODE = 'undefined_table',
			DETAIL = format('It was archived at %s.', kept.archived_at),
			HINT = 'Restore it from its dump first.';
	END IF;
	EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', kept.name);
	PERFORM billing._check_archived_table(kept.id, kept.name::regclass);
	-- Before ATTACH: from here on the period is open, and the triggers rate its calls.
	UPDATE billing.archived_partition a SET readopted_at = now() WHERE a.id = kept.id;
	PERFORM billing._attach_archived(kept.id, kept.name::regclass);
	PERFORM billing._count_again(kept.id, kept.name::regclass);
	RETURN kept.calls;
END $$;
COMMENT ON FUNCTION billing.unarchive(text) IS 'Makes an archived table, present or restored from its dump, a partition of billing.cdr again: its calls are counted among the live ones, its credits return, calls of its period are charged again. Returns the number of its calls. Holds ACCESS EXCLUSIVE on billing.cdr. For the ledger''s owner. P0002 for a name that is not archived, 42P01 when the table is gone, 42501 when what has its name is no table or belongs to somebody else than billing.cdr, 55000 when it adds up to something else than what was archived or billing.cdr holds calls of its period, 25000 unless READ COMMITTED.';
REVOKE ALL ON FUNCTION billing.unarchive(text) FROM PUBLIC;

CREATE FUNCTION billing._verify_archive(OUT subject text, OUT detail text) RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
BEGIN
	RETURN QUERY
	SELECT a.name, format('archive %s was %s, its rows of usage add up to %s', a.id, a.totals, billing._usage_totals(-a.id))
	FROM billing.archived_partition a
	WHERE a.readopted_at IS NULL AND a.totals <> billing._usage_totals(-a.id)
	UNION ALL
	SELECT coalesce(a.name, 'slot ' || s.slot), format('usage has rows of slot %s, whose archive %s', s.slot, CASE WHEN a.id IS NULL THEN 'does not exist' ELSE 'was taken back' END)
	FROM (SELECT DISTINCT u.slot FROM billing.usage u WHERE u.slot < 0) s LEFT JOIN billing.archived_partition a ON a.id = -s.slot
	WHERE a.id IS NULL OR a.readopted_at IS NOT NULL
	UNION ALL
	SELECT a.name, format('archive %s is a partition again, but was not taken back by billing.unarchive()', a.id)
	FROM billing.archived_partition a
	WHERE a.readopted_at IS NULL AND a.id = CASE WHEN EXISTS (SELECT FROM pg_partition_ancestors(to_regclass(a.name)) r WHERE r.relid = 'billing.cdr'::regclass)
		THEN billing._archive_in(to_regclass(a.name)) END;
END $$;
COMMENT ON FUNCTION billing._verify_archive() IS 'What is wrong with archived partitions, for billing.verify(): recorded totals that differ from the sums of their slot in billing.usage, slots without an archive, archived tables that were attached by hand. Empty when all is right.';
