-- Money that is not calls, and what an account has: guards of billing.entry, balances at a day, statements of account
-- (design 6). All of it reads one snapshot, that of the calling statement: its sums agree.

CREATE FUNCTION billing.keep_entry() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RAISE EXCEPTION 'billing.entry is append only' USING
		ERRCODE = 'restrict_violation',
		DETAIL = 'Statements that were made with an entry stay true.',
		HINT = 'Insert another entry that takes it back: the same account, kind and reference, the amount with the other sign.';
END $$;
COMMENT ON FUNCTION billing.keep_entry() IS 'BEFORE UPDATE, DELETE or TRUNCATE statement trigger of entry: it is append only. 23001.';

CREATE FUNCTION billing.check_entry() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	zone text;
	closed_until date;
BEGIN
	NEW.created_at := now();
	NEW.created_by := session_user;
	-- Waits for who closes a period, and lets none be closed before this has ended.
	LOCK TABLE billing.period_close IN ROW SHARE MODE;
	-- The foreign key tells of an account that does not exist.
	SELECT a.timezone INTO zone FROM billing.account a WHERE a.id = NEW.account_id;
	closed_until := billing._closed_until(NEW.account_id);
	IF isfinite(NEW.at) AND billing._usage_day(NEW.at, zone) < closed_until THEN
		RAISE EXCEPTION 'account % is closed until %', NEW.account_id, closed_until USING
			ERRCODE = 'object_not_in_prerequisite_state',
			DETAIL = format('The entry is of %s in the account''s time zone.', billing._usage_day(NEW.at, zone)),
			HINT = 'Give a later at, and in period_from and period_until what it is for; or open the period with billing.reopen_period().';
	END IF;
	RETURN NEW;
END $$;
COMMENT ON FUNCTION billing.check_entry() IS 'BEFORE INSERT row trigger of entry: notes when and by whom it is written, and refuses it in a period that is closed for the account (55000).';

-- Balances.

CREATE FUNCTION billing._balance_before(account_id bigint, day date, timezone text) RETURNS numeric
LANGUAGE plpgsql STABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	first_of_month date := date_trunc('month', day::timestamp)::date;
BEGIN
	-- Folded days before the month, those of the month, live ones.
	RETURN coalesce((SELECT sum(e.amount) FROM billing.entry e WHERE e.account_id = _balance_before.account_id AND billing._usage_day(e.at, timezone) < day), 0)
		- coalesce((SELECT sum(m.amount - m.credit) FROM billing.usage_month m WHERE m.account_id = _balance_before.account_id AND m.month < first_of_month), 0)
		- coalesce((
			SELECT sum(u.amount - u.credit) FROM billing.usage u
			WHERE u.account_id = _balance_before.account_id AND u.slot <= 0 AND u.day >= first_of_month AND u.day < _balance_before.day), 0)
		- coalesce((SELECT sum(u.amount - u.credit) FROM billing.usage u WHERE u.account_id = _balance_before.account_id AND u.slot > 0 AND u.day < _balance_before.day), 0);
END $$;
COMMENT ON FUNCTION billing._balance_before(bigint, date, text) IS 'What an account had at the beginning of a day in its time zone: the entries before it less the calls before it, net of credits.';

CREATE FUNCTION billing._zone_of_account(account_id bigint) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	zone text := (SELECT a.timezone FROM billing.account a WHERE a.id = _zone_of_account.account_id);
BEGIN
	PERFORM billing._require_ledger();
	IF zone IS NULL THEN
		RAISE EXCEPTION 'there is no account %', coalesce(account_id::text, 'null') USING
			ERRCODE = 'no_data_found',
			HINT = 'Accounts are named by their id.';
	END IF;
	RETURN zone;
END $$;
COMMENT ON FUNCTION billing._zone_of_account(bigint) IS 'The time zone of an account. P0002 when there is none of this id, 55000 without a ledger.';

CREATE FUNCTION billing.account_balance(account_id bigint, at date DEFAULT NULL) RETURNS numeric
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	zone text := billing._zone_of_account(account_id);
BEGIN
	IF at IS NULL THEN
		RETURN (SELECT b.balance FROM billing.balance b WHERE b.account_id = account_balance.account_id);
	END IF;
	RETURN billing._balance_before(account_id, at, zone);
END $$;
COMMENT ON FUNCTION billing.account_balance(bigint, date) IS 'What an account had at the beginning of a day in its time zone, in its currency: its entries before it less its calls before it, net of credits, as they are known now. Null at: now, all of them, as in billing.balance. Reads with the rights of the caller. P0002 for an unknown account, 55000 without a ledger.';

CREATE FUNCTION billing.account_statement(account_id bigint, starts date DEFAULT NULL, ends date DEFAULT NULL)
RETURNS TABLE (day date, at timestamptz, kind text, leg text, destination text, cost_center text, reference text, calls bigint, billed_seconds bigint,
	gross numeric, credit numeric, movement numeric, balance numeric)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	zone text := billing._zone_of_account(account_id);
	opening numeric := coalesce(billing._balance_before(account_id, starts, zone), 0);
BEGIN
	IF starts > ends THEN
		RAISE EXCEPTION 'a statement cannot end before it begins' USING
			ERRCODE = 'invalid_parameter_value',
			DETAIL = format('It would be from %s until before %s.', starts, ends),
			HINT = 'Give in ends the day after the last one of the period.';
	END IF;
	RETURN QUERY
	WITH line AS (
		SELECT billing._usage_day(e.at, zone) AS day, e.at, e.id, e.kind, e.leg, e.destination, NULL::text AS cost_center, e.reference,
			NULL::bigint AS calls, NULL::bigint AS billed_seconds, NULL::numeric AS gross, NULL::numeric AS credit, e.amount::numeric AS movement
		FROM billing.entry e
		WHERE e.account_id = account_statement.account_id
			AND (starts IS NULL OR billing._usage_day(e.at, zone) >= starts) AND (ends IS NULL OR billing._usage_day(e.at, zone) < ends)
		UNION ALL
		SELECT u.day, NULL, NULL, 'calls', u.leg, nullif(u.destination, ''), nullif(u.cost_center, ''), NULL,
			sum(u.calls)::bigint, sum(u.billsec)::bigint, sum(u.amount), sum(u.credit), -sum(u.amount - u.credit)
		FROM billing.usage u
		WHERE u.account_id = account_statement.account_id AND (starts IS NULL OR u.day >= starts) AND (ends IS NULL OR u.day < ends)
		GROUP BY u.day, u.leg, u.destination, u.cost_center
		HAVING (sum(u.calls), sum(u.amount), sum(u.credit)) <> (0, 0, 0)
	), placed AS (
		-- The entries of a day in their order, then its calls.
		SELECT l.*, row_number() OVER (ORDER BY l.day, l.at, l.id, l.leg, l.destination, l.cost_center) AS place FROM line l
	)
	SELECT s.day, s.at, s.kind, s.leg, s.destination, s.cost_center, s.reference, s.calls, s.billed_seconds, s.gross, s.credit, s.movement, s.balance
	FROM (
		SELECT starts AS day, NULL::timestamptz AS at, 'opening' AS kind, NULL::text AS leg, NULL::text AS destination, NULL::text AS cost_center,
			NULL::text AS reference, NULL::bigint AS calls, NULL::bigint AS billed_seconds, NULL::numeric AS gross, NULL::numeric AS credit,
			NULL::numeric AS movement, opening AS balance, 0::bigint AS place
		UNION ALL
		SELECT p.day, p.at, p.kind, p.leg, p.destination, p.cost_center, p.reference, p.calls, p.billed_seconds, p.gross, p.credit,
			p.movement, opening + sum(p.movement) OVER (ORDER BY p.place), p.place
		FROM placed p
		UNION ALL
		SELECT ends, NULL, 'closing', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
			opening + coalesce((SELECT sum(p.movement) FROM placed p), 0), 9223372036854775807) s
	ORDER BY s.place;
END $$;
COMMENT ON FUNCTION billing.account_statement(bigint, date, date) IS 'Statement of an account from the day starts until before the day ends, in its time zone (null: from the beginning, to the end), in its currency: a row of kind opening, the movements by day, a row of kind closing. A movement is an entry (its kind and at), or calls: those of a day on a leg, by destination and cost centre, with calls, billed_seconds, gross (what they cost), credit (what is taken off), at null. movement is what it adds to the balance, balance what the account had after it. opening + all movements = closing, which is the opening of the next period: all as known now, so a call that comes late changes both. The calls of a day follow its entries. Reads with the rights of the caller. P0002 for an unknown account, 22023 when it would end before it begins, 55000 without a ledger.';
