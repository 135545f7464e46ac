-- The ledger: made, upgraded and dropped by its users, and never a member of the extension (design 2).
-- A function that a ledger's trigger, view or default calls is never dropped and never changes its
-- signature, because older ledgers still call it: as_owner(), catalogue_changed(), and every trigger
-- function of 25-guard.sql.

CREATE FUNCTION billing.as_owner() RETURNS trigger
LANGUAGE C AS 'MODULE_PATHNAME', 'billing_as_owner';
COMMENT ON FUNCTION billing.as_owner() IS 'Trigger function: runs the trigger function of this extension that its first argument names, with the rights of the owner of the table that fired, restricted (design 2). 42883 when it names anything else.';

CREATE FUNCTION billing.catalogue_changed() RETURNS trigger
LANGUAGE C AS 'MODULE_PATHNAME', 'billing_catalogue_changed';
COMMENT ON FUNCTION billing.catalogue_changed() IS 'Trigger function, before a statement, after a row or after TRUNCATE, ENABLE ALWAYS: tells every session that the catalogue has changed, by invalidating billing.catalogue_signal (design 7). On a table outside schema billing it does nothing.';

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
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF billing.ledger_version() IS NULL THEN
		RAISE EXCEPTION 'the billing ledger does not exist in this database' USING
			ERRCODE = 'object_not_in_prerequisite_state',
			DETAIL = 'The extension brings the code; tables, triggers and views are made by a function.',
			HINT = 'Run: SELECT billing.create_ledger();';
	END IF;
END $$;
COMMENT ON FUNCTION billing._require_ledger() IS 'Raises 55000 with the command to run when the database has no ledger (design 2).';

CREATE FUNCTION billing._refuse_newer_ledger() RETURNS void
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
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
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	EXECUTE format('COMMENT ON TABLE billing.catalogue_signal IS %L', 'billing ledger ' || billing._code_version());
END $$;
COMMENT ON FUNCTION billing._set_ledger_version() IS 'Marks the ledger with the version of the code; the mark is a comment, which dump and restore keep.';

CREATE FUNCTION billing._ledger_object(kind text) RETURNS SETOF text
LANGUAGE sql STABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp AS $$
	SELECT DISTINCT 'billing.' || m.name[1]
	FROM billing._ledger_part() p
		CROSS JOIN LATERAL regexp_matches(p.ddl, '^CREATE (?:OR REPLACE )?' || kind || ' billing\.(\w+)', 'gn') m(name)
	ORDER BY 1
$$;
COMMENT ON FUNCTION billing._ledger_object(text) IS 'Qualified names of the tables, views, domains or sequences (kind TABLE, VIEW, DOMAIN, SEQUENCE) that the DDL of the ledger makes, partitions included.';

CREATE FUNCTION billing._execute_parts(first text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	statements text;
BEGIN
	FOR statements IN SELECT p.ddl FROM billing._ledger_part() p WHERE p.part COLLATE "C" >= first ORDER BY p.part COLLATE "C" LOOP
		EXECUTE statements;
	END LOOP;
END $$;
COMMENT ON FUNCTION billing._execute_parts(text) IS 'Executes the DDL of the ledger, in the order of its parts, from the first on that is called so: all for the empty text, the views (CREATE OR REPLACE VIEW and comments) from 60 on.';

CREATE FUNCTION billing._refuse_foreign_objects() RETURNS void
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	foreign_name text;
BEGIN
	SELECT o.name INTO foreign_name
	FROM unnest(ARRAY['TABLE', 'VIEW', 'DOMAIN', 'SEQUENCE']) k(kind) CROSS JOIN LATERAL billing._ledger_object(k.kind) o(name)
	WHERE coalesce(to_regclass(o.name)::oid, to_regtype(o.name)::oid) IS NOT NULL
	LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION '% exists already and belongs to no ledger', foreign_name USING
			ERRCODE = 'duplicate_object',
			DETAIL = 'The ledger is made of new objects only; whoever owns one of them could read and change what passes through it.',
			HINT = 'Drop it, or give it another name or schema.';
	END IF;
END $$;
COMMENT ON FUNCTION billing._refuse_foreign_objects() IS 'Raises 42710 when schema billing holds an object that has the name of one of the ledger, before there is a ledger (CVE-2022-2625).';

CREATE FUNCTION billing.create_ledger() RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM billing._refuse_newer_ledger();
	IF billing.ledger_version() < billing._code_version() THEN
		RAISE NOTICE 'the billing ledger stands already, but has version % of %', billing.ledger_version(), billing._code_version()
			USING HINT = 'Run SELECT billing.upgrade_ledger();';
	ELSIF billing.ledger_version() IS NOT NULL THEN
		RAISE NOTICE 'the billing ledger stands already';
	ELSE
		PERFORM billing._refuse_foreign_objects();
		BEGIN
			PERFORM billing._execute_parts('');
			PERFORM billing._set_ledger_version();
		EXCEPTION WHEN unique_violation OR duplicate_object OR duplicate_table THEN
			-- Another session was faster, or it is something else.
			IF billing.ledger_version() IS NULL THEN
				RAISE;
			END IF;
			RAISE NOTICE 'the billing ledger stands already';
		END;
	END IF;
	RETURN format('billing ledger %s', billing.ledger_version());
END $$;
COMMENT ON FUNCTION billing.create_ledger() IS 'Makes the tables, triggers and views of the ledger in schema billing, owned by the caller, who needs CREATE on the schema; no member of the extension (design 2). Returns the version; only says so when the ledger stands already. 42710 when schema billing holds other objects of these names, 55000 when the ledger is newer than the code.';
REVOKE ALL ON FUNCTION billing.create_ledger() FROM PUBLIC;

CREATE FUNCTION billing._refuse_foreign_views() RETURNS void
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	hit record;
BEGIN
	SELECT v.name, pg_get_userbyid(s.relowner) AS keeper INTO hit
	FROM billing._ledger_object('VIEW') v(name) JOIN pg_class c ON c.oid = to_regclass(v.name)
		JOIN pg_class s ON s.oid = 'billing.catalogue_signal'::regclass AND s.relowner <> c.relowner
	LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'view % does not belong to the owner of the billing ledger', hit.name USING
			ERRCODE = 'object_not_in_prerequisite_state',
			DETAIL = format('The ledger belongs to "%s"; a view reads with the rights of its owner.', hit.keeper),
			HINT = format('Drop the view, or run ALTER VIEW %s OWNER TO %I;', hit.name, hit.keeper);
	END IF;
END $$;
COMMENT ON FUNCTION billing._refuse_foreign_views() IS 'Raises 55000 when a view that is to be replaced belongs to somebody else than billing.catalogue_signal.';

CREATE FUNCTION billing._view_settings(OUT options text[], OUT grants jsonb) RETURNS record
LANGUAGE sql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
	WITH view AS (
		SELECT v.name, c.oid, c.relowner, c.relacl, c.reloptions
		FROM billing._ledger_object('VIEW') v(name) JOIN pg_class c ON c.oid = to_regclass(v.name)
	), granted AS (
		SELECT v.name, v.relowner, NULL::name AS attname, a.* FROM view v CROSS JOIN LATERAL aclexplode(v.relacl) a
		UNION ALL
		SELECT v.name, v.relowner, t.attname, a.*
		FROM view v JOIN pg_attribute t ON t.attrelid = v.oid AND t.attnum > 0 AND NOT t.attisdropped CROSS JOIN LATERAL aclexplode(t.attacl) a
	)
	SELECT
		(SELECT array_agg(format('ALTER VIEW %s SET (%I = %L)', v.name, o.option_name, o.option_value))
			FROM view v CROSS JOIN LATERAL pg_options_to_table(v.reloptions) o),
		(SELECT coalesce(jsonb_agg(jsonb_build_object('view', g.name, 'column', g.attname, 'command',
				format('GRANT %s%s ON %s TO %s%s', g.privilege_type, ' (' || quote_ident(g.attname) || ')', g.name,
					CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END,
					CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END))), '[]')
			FROM granted g WHERE g.grantee <> g.relowner)
$$;
COMMENT ON FUNCTION billing._view_settings() IS 'The commands that give the views of the ledger their present options, and as objects with view, column (null: the whole view) and command those that give the present grants.';

CREATE FUNCTION billing._recreate_views(grants jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	command text;
	depending text;
BEGIN
	BEGIN
		EXECUTE format('DROP VIEW IF EXISTS %s', (SELECT string_agg(v.name, ', ') FROM billing._ledger_object('VIEW') v(name)));
	EXCEPTION WHEN dependent_objects_still_exist THEN
		GET STACKED DIAGNOSTICS depending = PG_EXCEPTION_DETAIL;
		RAISE EXCEPTION 'the views of the billing ledger cannot be replaced' USING
			ERRCODE = 'dependent_objects_still_exist',
			DETAIL = depending,
			HINT = 'Their columns have changed. Drop the views that depend on them, run SELECT billing.upgrade_ledger(); and make them again.';
	END;
	PERFORM billing._execute_parts('60');

	-- What was granted outlives the drop, and default privileges do not come on top.
	FOR command IN
		SELECT format('REVOKE ALL ON %s FROM %s', v.name, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END)
		FROM billing._ledger_object('VIEW') v(name) JOIN pg_class c ON c.oid = to_regclass(v.name) CROSS JOIN LATERAL aclexplode(c.relacl) a
		WHERE a.grantee <> c.relowner
		UNION ALL
		SELECT g ->> 'command' FROM jsonb_array_elements(grants) g
		WHERE g ->> 'column' IS NULL OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = to_regclass(g ->> 'view') AND a.attname = g ->> 'column')
	LOOP
		EXECUTE command;
	END LOOP;
END $$;
COMMENT ON FUNCTION billing._recreate_views(jsonb) IS 'Drops and makes the views of the ledger, with these grants; 2BP01 when views of users depend on them.';

CREATE FUNCTION billing.upgrade_ledger() RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	settings record;
	command text;
	broken record;
BEGIN
	PERFORM billing._require_ledger();
	PERFORM billing._refuse_newer_ledger();
	PERFORM billing._refuse_foreign_views();
	settings := billing._view_settings();
	BEGIN
		PERFORM billing._execute_parts('60');
	EXCEPTION WHEN invalid_table_definition THEN
		PERFORM billing._recreate_views(settings.grants);
	END;
	-- CREATE OR REPLACE VIEW forgets options too, and a new view belongs to whoever upgrades.
	FOREACH command IN ARRAY settings.options || ARRAY(
		SELECT format('ALTER VIEW %s OWNER TO %I', v.name, pg_get_userbyid(s.relowner))
		FROM billing._ledger_object('VIEW') v(name), pg_class s WHERE s.oid = 'billing.catalogue_signal'::regclass)
	LOOP
		EXECUTE command;
	END LOOP;

	-- pg_restore --disable-triggers ends with ENABLE TRIGGER ALL, which makes ORIGIN of ALWAYS. Triggers that
	-- users disabled or made are theirs.
	FOR broken IN
		SELECT t.tgrelid::regclass AS relation, t.tgname AS name
		FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
		WHERE c.relnamespace = 'billing'::regnamespace AND t.tgfoid = 'billing.catalogue_changed()'::regprocedure
			AND t.tgname IN ('catalogue_signal', 'catalogue_signal_statement', 'catalogue_signal_truncate') AND t.tgenabled = 'O'
		ORDER BY c.relname, t.tgname
	LOOP
		RAISE NOTICE 'trigger % of table % fires always again', broken.name, broken.relation;
		EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', broken.relation, broken.name);
	END LOOP;

	EXECUTE (SELECT p.ddl FROM billing._ledger_part() p WHERE p.part = '25-iso4217');
	PERFORM billing._set_ledger_version();
	RETURN format('billing ledger %s', billing.ledger_version());
END $$;
COMMENT ON FUNCTION billing.upgrade_ledger() IS 'Brings the ledger to the version of the code: replaces its views, repairs the states of its triggers, adds missing currencies; never called from an extension script (design 2). For its owner. Returns the version. Views keep their options and grants. 55000 when there is no ledger or a newer one or a view of it has another owner, 2BP01 when views of users stand in the way.';
REVOKE ALL ON FUNCTION billing.upgrade_ledger() FROM PUBLIC;

CREATE FUNCTION billing.drop_ledger(with_data boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
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
