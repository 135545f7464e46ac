-- The ledger: made, upgraded and dropped by its users, and never a member of the extension (design 2).
-- A function that a ledger's trigger, view or default calls is never dropped and never changes its
-- signature, because older ledgers still call it: as_owner(), catalogue_changed(), and every trigger
-- function of 25-guard.sql.

CREATE FUNCTION billing.as_owner() RETURNS trigger
LANGUAGE C AS 'MODULE_PATHNAME', 'billing_as_owner';
COMMENT ON FUNCTION billing.as_owner() IS 'Trigger function: runs the trigger function of this extension that its first argument names, with the rights of the owner of the table that fired, restricted (design 2). 42883 when it names anything else.';

CREATE FUNCTION billing.catalogue_changed() RETURNS trigger
LANGUAGE C AS 'MODULE_PATHNAME', 'billing_catalogue_changed';
COMMENT ON FUNCTION billing.catalogue_changed() IS 'Trigger function, row or TRUNCATE, ENABLE ALWAYS: tells every session that the catalogue has changed, by invalidating billing.catalogue_signal (design 7).';

CREATE FUNCTION billing._code_version() RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN 1;
COMMENT ON FUNCTION billing._code_version() IS 'The version of the ledger that this code makes and upgrades to.';

CREATE FUNCTION billing.ledger_version() RETURNS integer
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
RETURN pg_catalog.substring(pg_catalog.obj_description(pg_catalog.to_regclass('billing.catalogue_signal'), 'pg_class'),
	'^billing ledger ([0-9]+)$')::integer;
COMMENT ON FUNCTION billing.ledger_version() IS 'Version of the ledger of this database, from the comment of billing.catalogue_signal; null when there is none (design 2).';

CREATE FUNCTION billing._require_ledger() RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF billing.ledger_version() IS NULL THEN
		RAISE EXCEPTION 'this database has no billing ledger' USING
			ERRCODE = 'object_not_in_prerequisite_state',
			DETAIL = 'The extension brings code only; the tables are made by a function.',
			HINT = 'Run SELECT billing.create_ledger(); first.';
	END IF;
END $$;
COMMENT ON FUNCTION billing._require_ledger() IS 'Raises 55000 with the command to run when the database has no ledger (design 2).';

CREATE FUNCTION billing._refuse_newer_ledger() RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF billing.ledger_version() > billing._code_version() THEN
		RAISE EXCEPTION 'the billing ledger is newer than the extension' USING
			ERRCODE = 'object_not_in_prerequisite_state',
			DETAIL = format('The ledger has version %s, the extension works on versions up to %s.',
				billing.ledger_version(), billing._code_version()),
			HINT = 'Install the newer extension and run ALTER EXTENSION billing UPDATE; then SELECT billing.upgrade_ledger();';
	END IF;
END $$;
COMMENT ON FUNCTION billing._refuse_newer_ledger() IS 'Raises 55000 when the ledger is of a later version than the code.';

CREATE FUNCTION billing._set_ledger_version() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	EXECUTE format('COMMENT ON TABLE billing.catalogue_signal IS %L', 'billing ledger ' || billing._code_version());
END $$;
COMMENT ON FUNCTION billing._set_ledger_version() IS 'Marks the ledger with the version of the code; the mark is a comment, which dump and restore keep.';

CREATE FUNCTION billing.create_ledger() RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	statements text;
BEGIN
	-- Two sessions at once: the second finds the ledger of the first.
	PERFORM pg_advisory_xact_lock('pg_namespace'::regclass::oid::integer, 'billing'::regnamespace::oid::integer);
	PERFORM billing._refuse_newer_ledger();
	IF billing.ledger_version() < billing._code_version() THEN
		RAISE NOTICE 'the billing ledger stands already, but has version % of %', billing.ledger_version(), billing._code_version()
			USING HINT = 'Run SELECT billing.upgrade_ledger();';
	ELSIF billing.ledger_version() IS NOT NULL THEN
		RAISE NOTICE 'the billing ledger stands already';
	ELSE
		FOR statements IN SELECT p.ddl FROM billing._ledger_part() p ORDER BY p.part COLLATE "C" LOOP
			EXECUTE statements;
		END LOOP;
		PERFORM billing._set_ledger_version();
	END IF;
	RETURN format('billing ledger %s', billing.ledger_version());
END $$;
COMMENT ON FUNCTION billing.create_ledger() IS 'Makes the tables, triggers and views of the ledger in schema billing, owned by the caller, who needs CREATE on the schema; no member of the extension (design 2). Returns the version; only says so when the ledger stands already. 55000 when it is newer than the code.';
REVOKE ALL ON FUNCTION billing.create_ledger() FROM PUBLIC;

CREATE FUNCTION billing._ledger_object(kind text) RETURNS SETOF text
LANGUAGE sql STABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp AS $$
	SELECT DISTINCT 'billing.' || m.name[1]
	FROM billing._ledger_part() p
		CROSS JOIN LATERAL regexp_matches(p.ddl, '^CREATE (?:OR REPLACE )?' || kind || ' billing\.(\w+)', 'gn') m(name)
	ORDER BY 1
$$;
COMMENT ON FUNCTION billing._ledger_object(text) IS 'Qualified names of the tables, views or domains (kind TABLE, VIEW, DOMAIN) that the DDL of the ledger makes, partitions included.';

CREATE FUNCTION billing._replace_views() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	statements text;
BEGIN
	FOR statements IN SELECT p.ddl FROM billing._ledger_part() p WHERE p.part COLLATE "C" >= '60' ORDER BY p.part COLLATE "C" LOOP
		EXECUTE statements;
	END LOOP;
END $$;
COMMENT ON FUNCTION billing._replace_views() IS 'Executes the parts of the ledger that are views: CREATE OR REPLACE VIEW and comments.';

CREATE FUNCTION billing._recreate_views() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	restore text[];
	command text;
	views text;
BEGIN
	-- What people were granted, and the owner, must outlive the drop.
	SELECT array_agg(format('ALTER VIEW %s OWNER TO %I', v.name, pg_get_userbyid(s.relowner)))
	INTO restore
	FROM billing._ledger_object('VIEW') v(name), pg_class s
	WHERE s.oid = 'billing.catalogue_signal'::regclass;
	restore := restore || ARRAY(
		SELECT format('GRANT %s ON %s TO %s%s', a.privilege_type, v.name,
			CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
			CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
		FROM billing._ledger_object('VIEW') v(name)
			JOIN pg_class c ON c.oid = to_regclass(v.name)
			CROSS JOIN LATERAL aclexplode(c.relacl) a
		WHERE a.grantee <> c.relowner);
	SELECT string_agg(v.name, ', ') INTO views FROM billing._ledger_object('VIEW') v(name);

	BEGIN
		EXECUTE format('DROP VIEW IF EXISTS %s', views);
	EXCEPTION WHEN dependent_objects_still_exist THEN
		DECLARE
			depending text;
		BEGIN
			GET STACKED DIAGNOSTICS depending = PG_EXCEPTION_DETAIL;
			RAISE EXCEPTION 'the views of the billing ledger cannot be replaced' USING
				ERRCODE = 'dependent_objects_still_exist',
				DETAIL = depending,
				HINT = 'Their columns have changed. Drop the views that depend on them, run SELECT billing.upgrade_ledger(); and make them again.';
		END;
	END;
	PERFORM billing._replace_views();
	FOREACH command IN ARRAY restore LOOP
		EXECUTE command;
	END LOOP;
END $$;
COMMENT ON FUNCTION billing._recreate_views() IS 'Drops and makes the views of the ledger, with their owner and grants; 2BP01 when views of users depend on them.';

CREATE FUNCTION billing.upgrade_ledger() RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	broken record;
BEGIN
	PERFORM billing._require_ledger();
	PERFORM billing._refuse_newer_ledger();
	BEGIN
		PERFORM billing._replace_views();
	EXCEPTION WHEN invalid_table_definition THEN
		PERFORM billing._recreate_views();
	END;

	-- pg_restore --disable-triggers ends with ENABLE TRIGGER ALL, which makes ORIGIN of ALWAYS. Triggers that
	-- users disabled or made are theirs.
	FOR broken IN
		SELECT t.tgrelid::regclass AS relation, t.tgname AS name
		FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
		WHERE c.relnamespace = 'billing'::regnamespace AND t.tgfoid = 'billing.catalogue_changed()'::regprocedure
			AND t.tgname IN ('catalogue_signal', 'catalogue_signal_truncate') AND t.tgenabled = 'O'
		ORDER BY c.relname, t.tgname
	LOOP
		RAISE NOTICE 'trigger % of table % fires always again', broken.name, broken.relation;
		EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', broken.relation, broken.name);
	END LOOP;

	EXECUTE (SELECT p.ddl FROM billing._ledger_part() p WHERE p.part = '25-iso4217');
	PERFORM billing._set_ledger_version();
	RETURN format('billing ledger %s', billing.ledger_version());
END $$;
COMMENT ON FUNCTION billing.upgrade_ledger() IS 'Brings the ledger to the version of the code: replaces its views, repairs the states of its triggers, adds missing currencies; never called from an extension script (design 2). For its owner. Returns the version. 55000 when there is no ledger or a newer one, 2BP01 when views of users stand in the way.';
REVOKE ALL ON FUNCTION billing.upgrade_ledger() FROM PUBLIC;

CREATE FUNCTION billing.drop_ledger(with_data boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	target record;
BEGIN
	PERFORM billing._require_ledger();
	LOCK TABLE billing.cdr IN ACCESS EXCLUSIVE MODE;
	IF with_data IS NOT TRUE AND EXISTS (SELECT FROM billing.cdr) THEN
		RAISE EXCEPTION 'the billing ledger holds calls' USING
			ERRCODE = 'object_in_use',
			DETAIL = 'They would be lost, with the catalogue that priced them.',
			HINT = 'Keep a dump, then run SELECT billing.drop_ledger(with_data => true);';
	END IF;
	FOR target IN
		SELECT k.kind, string_agg(o.name, ', ') AS names
		FROM unnest(ARRAY['VIEW', 'TABLE', 'DOMAIN']) WITH ORDINALITY k(kind, place) CROSS JOIN LATERAL billing._ledger_object(k.kind) o(name)
		WHERE coalesce(to_regclass(o.name)::oid, to_regtype(o.name)::oid) IS NOT NULL
		GROUP BY k.kind, k.place ORDER BY k.place
	LOOP
		EXECUTE format('DROP %s %s', target.kind, target.names);
	END LOOP;
END $$;
COMMENT ON FUNCTION billing.drop_ledger(boolean) IS 'Drops the ledger: views, tables, partitions, sequences and domains; the way out before DROP EXTENSION (design 2). For its owner. 55006 when it holds calls and with_data is not true, 2BP01 when objects of users depend on it, 55000 when there is none.';
REVOKE ALL ON FUNCTION billing.drop_ledger(boolean) FROM PUBLIC;
