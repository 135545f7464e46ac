-- Holidays from a file (V21, reading 18).

CREATE FUNCTION billing._csv_record(csv text, OUT line integer, OUT fields text[]) RETURNS SETOF record
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	-- A field is quoted, with its quotes doubled, or has none; then a comma, the end of the line or of the text.
	token CONSTANT text := '("(?:[^"]|"")*"|[^",\r\n]*)(,|\r\n|\n|\r|$)';
	read text;
	part text[];
	next_line integer := 1;
BEGIN
	-- The expression passes over what it cannot read.
	SELECT coalesce(string_agg(m.t[1] || m.t[2], '' ORDER BY m.n), '') INTO read FROM regexp_matches(csv, token, 'g') WITH ORDINALITY m(t, n);
	IF read <> csv THEN
		SELECT min(o.n) INTO line
		FROM regexp_split_to_table(csv, '\r\n|\n|\r') WITH ORDINALITY o(t, n)
			LEFT JOIN regexp_split_to_table(read, '\r\n|\n|\r') WITH ORDINALITY r(t, n) ON r.n = o.n
		WHERE r.t IS DISTINCT FROM o.t;
		RAISE EXCEPTION 'line % of the CSV cannot be read', line USING
			ERRCODE = 'bad_copy_file_format',
			DETAIL = 'A quote stands within a field, or is never closed.',
			HINT = 'Quote the whole field, and double the quotes within it.';
	END IF;

	line := 1;
	fields := '{}';
	FOR part IN SELECT m.t FROM regexp_matches(csv, token, 'g') WITH ORDINALITY m(t, n) ORDER BY m.n LOOP
		fields := fields || CASE WHEN left(part[1], 1) = '"' THEN replace(substr(part[1], 2, length(part[1]) - 2), '""', '"') ELSE part[1] END;
		next_line := next_line + regexp_count(part[1], '\r\n|\n|\r') + (part[2] NOT IN (',', ''))::integer;
		IF part[2] <> ',' THEN
			IF fields <> '{""}' THEN
				RETURN NEXT;
			END IF;
			EXIT WHEN part[2] = '';
			line := next_line;
			fields := '{}';
		END IF;
	END LOOP;
END $$;
COMMENT ON FUNCTION billing._csv_record(text, OUT integer, OUT text[]) IS 'The records of a CSV text (RFC 4180, any end of line), each with the line on which it begins and its fields without quotes; empty lines are left out. 22P04 for a stray quote.';

CREATE FUNCTION billing._holiday_column(header text[], name text, required boolean) RETURNS integer
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	places integer[] := array_positions(header, name);
BEGIN
	IF cardinality(places) > 1 OR cardinality(places) = 0 AND required THEN
		RAISE EXCEPTION 'the CSV has % columns "%"', cardinality(places), name USING
			ERRCODE = 'bad_copy_file_format',
			DETAIL = format('Its first line is: %s.', array_to_string(header, ',')),
			HINT = 'The first line names the columns date, day_type and name, in any order.';
	END IF;
	RETURN places[1];
END $$;
COMMENT ON FUNCTION billing._holiday_column(text[], text, boolean) IS 'Place of a column in the header of a CSV; null when it is missing and may be. 22P04 when it is missing or there twice.';

CREATE FUNCTION billing._holiday(csv text, OUT line integer, OUT date date, OUT day_type text, OUT name text) RETURNS SETOF record
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	header text[];
	entry record;
	date_at integer;
	day_type_at integer;
	name_at integer;
BEGIN
	IF getdatabaseencoding() = 'UTF8' THEN
		csv := ltrim(csv, chr(65279));	-- a byte order mark
	END IF;
	FOR entry IN SELECT r.line, r.fields FROM billing._csv_record(csv) r LOOP
		IF header IS NULL THEN
			header := ARRAY(SELECT lower(btrim(f.field)) FROM unnest(entry.fields) WITH ORDINALITY f(field, n) ORDER BY f.n);
			date_at := billing._holiday_column(header, 'date', true);
			day_type_at := billing._holiday_column(header, 'day_type', true);
			name_at := billing._holiday_column(header, 'name', false);
			CONTINUE;
		END IF;
		line := entry.line;
		IF cardinality(entry.fields) <> cardinality(header) THEN
			RAISE EXCEPTION 'line % of the CSV has % fields', line, cardinality(entry.fields) USING
				ERRCODE = 'bad_copy_file_format',
				DETAIL = format('Its first line has %s.', cardinality(header)),
				HINT = 'Quote fields that hold a comma.';
		END IF;
		-- Not by DateStyle: 03/04 is a day in March or in April.
		BEGIN
			date := CASE WHEN btrim(entry.fields[date_at]) ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$' THEN make_date(substr(btrim(entry.fields[date_at]), 1, 4)::integer,
				substr(btrim(entry.fields[date_at]), 6, 2)::integer, substr(btrim(entry.fields[date_at]), 9, 2)::integer) END;
		EXCEPTION WHEN datetime_field_overflow THEN
			date := NULL;
		END;
		IF date IS NULL THEN
			RAISE EXCEPTION 'line % of the CSV has no date but "%"', line, entry.fields[date_at] USING
				ERRCODE = 'invalid_datetime_format',
				DETAIL = 'A date of the calendar is expected, year first.',
				HINT = 'Write it as 2026-12-25.';
		END IF;
		day_type := lower(btrim(entry.fields[day_type_at]));
		IF day_type NOT IN ('work', 'free') THEN
			RAISE EXCEPTION 'line % of the CSV has day type "%"', line, entry.fields[day_type_at] USING
				ERRCODE = 'invalid_parameter_value',
				DETAIL = 'A day is work or free.',
				HINT = 'A holiday is free.';
		END IF;
		name := nullif(btrim(entry.fields[name_at]), '');
		RETURN NEXT;
	END LOOP;
	IF header IS NULL THEN
		PERFORM billing._holiday_column('{}', 'date', true);
	END IF;
END $$;
COMMENT ON FUNCTION billing._holiday(text, OUT integer, OUT date, OUT text, OUT text) IS 'The days that a CSV with the header date, day_type, name tells, each with its line. 22P04, 22007, 22023, naming the line.';

CREATE FUNCTION billing.import_holidays(calendar_id bigint, csv text, OUT inserted integer, OUT updated integer, OUT unchanged integer)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	twice record;
BEGIN
	PERFORM billing._require_ledger();
	PERFORM FROM billing.calendar c WHERE c.id = import_holidays.calendar_id FOR KEY SHARE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no calendar %', coalesce(calendar_id::text, 'null') USING
			ERRCODE = 'no_data_found',
			HINT = 'Calendars are named by their id: SELECT id, name FROM billing.calendar.';
	END IF;
	SELECT h.date, min(h.line) AS line, max(h.line) AS again INTO twice FROM billing._holiday(coalesce(csv, '')) h GROUP BY h.date HAVING count(*) > 1 ORDER BY 2 LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'line % of the CSV has the date % again', twice.again, twice.date USING
			ERRCODE = 'cardinality_violation',
			DETAIL = format('Line %s has it too.', twice.line),
			HINT = 'Leave one of them.';
	END IF;

	WITH told AS MATERIALIZED (
		SELECT h.date, h.day_type, h.name FROM billing._holiday(csv) h
	), written AS (
		INSERT INTO billing.calendar_day AS d (calendar_id, date, day_type, name)
		SELECT import_holidays.calendar_id, t.date, t.day_type, t.name FROM told t
		ON CONFLICT ON CONSTRAINT calendar_day_pkey DO UPDATE SET day_type = EXCLUDED.day_type, name = EXCLUDED.name
		WHERE (d.day_type, d.name) IS DISTINCT FROM (EXCLUDED.day_type, EXCLUDED.name)
		RETURNING d.xmax = 0 AS new
	)
	SELECT count(*) FILTER (WHERE w.new), count(*) FILTER (WHERE NOT w.new), (SELECT count(*) FROM told) - count(*) INTO inserted, updated, unchanged
	FROM written w;
END $$;
COMMENT ON FUNCTION billing.import_holidays(bigint, text, OUT integer, OUT integer, OUT integer) IS 'Writes days into a calendar from a CSV whose first line names the columns date (2026-12-25), day_type (work, free) and name, in any order; a date that is there already takes the new day type and name (V21, K15). Returns how many days were new, changed and as before; days that the CSV does not name stay. Nothing is written when a line cannot be read: 22P04, 22007, 22023, 21000, naming the line. P0002 for an unknown calendar, 23001 when a day has priced calls, 55000 without a ledger.';
REVOKE ALL ON FUNCTION billing.import_holidays(bigint, text) FROM PUBLIC;
