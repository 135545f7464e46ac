-- The accounting pass: what keeps billing.usage equal to the sum over billing.cdr (promise 3, design 6). The trigger
-- functions are C; they look names up in their schema and run their SQL with the rights of the table's owner.

CREATE FUNCTION billing.account_cdr() RETURNS trigger
LANGUAGE C AS 'MODULE_PATHNAME', 'billing_account_cdr';
COMMENT ON FUNCTION billing.account_cdr() IS 'Statement trigger of billing.cdr and each of its partitions: AFTER INSERT, UPDATE, DELETE with transition tables it adds the rows of NEW to billing.usage and takes away those of OLD, grouped, in key order, and queues the credits that they touch; BEFORE INSERT, UPDATE, DELETE it notes that the statement will be counted; BEFORE TRUNCATE of a partition it takes its rows away (design 6). 0A000 for a MERGE that has moved a row between partitions, 55000 when there is no ledger.';

CREATE FUNCTION billing.account_credit() RETURNS trigger
LANGUAGE C AS 'MODULE_PATHNAME', 'billing_account_credit';
COMMENT ON FUNCTION billing.account_credit() IS 'Statement trigger of billing.credit, with transition tables: keeps usage.credit equal to the sum of the credits (design 6).';

CREATE FUNCTION billing.note_move() RETURNS trigger
LANGUAGE C AS 'MODULE_PATHNAME', 'billing_note_move';
COMMENT ON FUNCTION billing.note_move() IS 'Trigger zz_move of billing.cdr, BEFORE DELETE of each row: notices rows that an UPDATE moves to another partition, because a MERGE that does so reaches no transition table, and refuses the DELETE of a row from a partition whose statement triggers are missing (55000, design 4 and 6).';

CREATE FUNCTION billing.guard_usage() RETURNS trigger
LANGUAGE C AS 'MODULE_PATHNAME', 'billing_guard_usage';
COMMENT ON FUNCTION billing.guard_usage() IS 'Trigger of billing.usage: only the accounting pass and functions that set billing.usage_writer write it. Other inserts are skipped, so that a data-only restore counts the calls itself; other changes are refused (42501, design 6).';

CREATE FUNCTION billing._usage_day(instant timestamptz, timezone text) RETURNS date
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE WHEN instant >= '0001-01-02 00:00:00+00'::timestamptz AND instant < '9999-12-31 00:00:00+00'::timestamptz
	THEN (instant AT TIME ZONE timezone)::date ELSE (instant AT TIME ZONE 'UTC')::date END;
COMMENT ON FUNCTION billing._usage_day(timestamptz, text) IS 'The day of billing.usage for a rating instant: by the wall clock of the zone; outside the years 1 to 9999, where an offset could leave the range of timestamps, that of UTC; infinite for an infinite instant. The same as day_of() in src/accounting.c. 22023 for an unknown time zone.';

CREATE FUNCTION billing._account_partition(partition regclass) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	EXECUTE format('CREATE TRIGGER account_statement BEFORE INSERT OR UPDATE OR DELETE ON %s
		FOR EACH STATEMENT EXECUTE FUNCTION billing.account_cdr()', partition);
	EXECUTE format('CREATE TRIGGER account_insert AFTER INSERT ON %s REFERENCING NEW TABLE AS written
		FOR EACH STATEMENT EXECUTE FUNCTION billing.account_cdr()', partition);
	EXECUTE format('CREATE TRIGGER account_update AFTER UPDATE ON %s REFERENCING OLD TABLE AS former NEW TABLE AS written
		FOR EACH STATEMENT EXECUTE FUNCTION billing.account_cdr()', partition);
	EXECUTE format('CREATE TRIGGER account_delete AFTER DELETE ON %s REFERENCING OLD TABLE AS former
		FOR EACH STATEMENT EXECUTE FUNCTION billing.account_cdr()', partition);
	EXECUTE format('CREATE TRIGGER account_truncate BEFORE TRUNCATE ON %s
		FOR EACH STATEMENT EXECUTE FUNCTION billing.account_cdr()', partition);
END $$;
COMMENT ON FUNCTION billing._account_partition(regclass) IS 'Gives billing.cdr, or a partition of it, the statement triggers by which its calls are counted. For its owner.';
