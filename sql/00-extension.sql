-- CREATE EXTENSION would look for operators and functions where it puts the extension, and where btree_gist is, and
-- there others may have put some that fit better than pg_catalog's (CVE-2018-1058). All names of ours are qualified.
SET LOCAL search_path = pg_catalog, pg_temp;

-- The schema is ordinary: CREATE EXTENSION makes it, or takes what is there. Its owner may drop and replace what
-- others keep in it.
DO $schema$
DECLARE
	keeper name := (SELECT r.rolname FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner WHERE n.nspname = 'billing' AND NOT r.rolsuper);
BEGIN
	IF keeper <> current_user THEN
		RAISE EXCEPTION 'schema billing belongs to "%"', keeper USING
			ERRCODE = 'insufficient_privilege',
			DETAIL = 'Its owner could replace what the extension and the ledger keep in it.',
			HINT = format('Run ALTER SCHEMA billing OWNER TO %I; the ledger may belong to another role, which needs USAGE and CREATE on the schema.', current_user);
	END IF;
END $schema$;
