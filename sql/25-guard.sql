-- The rules of the catalogue that no constraint can hold: trigger functions, attached in sql/ledger/45-guard.sql.
-- Those that read or write other tables are run by billing.as_owner(). A rule that looks at other rows locks what
-- it has seen, or waits for who may be changing it, and then asks again: under READ COMMITTED two sessions that
-- each keep a rule keep it together. A REPEATABLE READ transaction sees only what was there when it began.
-- Statement triggers run without nested loops: their plans are made for the first statement of a session, often of
-- one row, and serve the later one of 300,000. What that forbids looks dear, and would be compiled each time: no JIT.

-- Terms (design 3: what prices a call is dated).

CREATE FUNCTION billing.keep_terms() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	terms_table regclass := format('billing.%I', TG_TABLE_NAME || '_terms')::regclass;
	former jsonb := to_jsonb(OLD);
	present jsonb := to_jsonb(NEW);
	terms text[] := ARRAY(
		SELECT a.attname FROM pg_attribute a
		WHERE a.attrelid = terms_table AND a.attnum > 0 AND NOT a.attisdropped AND former ? a.attname::text
			AND a.attname <> 'terms_from');
BEGIN
	IF NOT EXISTS (SELECT FROM unnest(terms) t WHERE former -> t IS DISTINCT FROM present -> t) THEN
		IF NEW.terms_from IS DISTINCT FROM OLD.terms_from THEN
			RAISE EXCEPTION 'terms_from of % % cannot change alone', TG_TABLE_NAME, OLD.id USING
				ERRCODE = 'invalid_parameter_value',
				DETAIL = format('It says since when the present terms hold: %s.', OLD.terms_from),
				HINT = 'Give it in the UPDATE that changes a term: ' || array_to_string(terms, ', ') || '.';
		END IF;
		RETURN NEW;
	END IF;

	IF NEW.terms_from < OLD.terms_from THEN
		RAISE EXCEPTION 'new terms of % % cannot begin before the present ones', TG_TABLE_NAME, OLD.id USING
			ERRCODE = 'invalid_parameter_value',
			DETAIL = format('The present terms hold since %s, the new ones would from %s on.', OLD.terms_from, NEW.terms_from),
			HINT = 'Give a later terms_from.';
	ELSIF NEW.terms_from = OLD.terms_from THEN
		NEW.terms_from := greatest(now(), OLD.terms_from);
		IF OLD.terms_from > now() THEN
			RAISE NOTICE 'terms of % % that begin at % are replaced', TG_TABLE_NAME, OLD.id, OLD.terms_from;
		END IF;
	END IF;

	-- Terms that held for no time are not kept.
	IF NEW.terms_from > OLD.terms_from THEN
		EXECUTE format('INSERT INTO %s (%I, terms_from, %s) SELECT $1.id, $1.terms_from, %s', terms_table, TG_TABLE_NAME || '_id',
			(SELECT string_agg(quote_ident(t), ', ') FROM unnest(terms) t),
			(SELECT string_agg('$1.' || quote_ident(t), ', ') FROM unnest(terms) t)) USING OLD;
	END IF;
	RETURN NEW;
END $$;
COMMENT ON FUNCTION billing.keep_terms() IS 'BEFORE UPDATE row trigger of tariff, account and service: keeps the former terms in <table>_terms when one of its columns changes, from terms_from of the UPDATE or now() on (design 3). 22023 when the instant lies before the present terms or is changed alone.';

CREATE FUNCTION billing.keep_history() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RAISE EXCEPTION 'billing.% is history and does not change', TG_TABLE_NAME USING
		ERRCODE = 'restrict_violation',
		DETAIL = 'Calls of its time were priced by it.',
		HINT = format('New terms are an UPDATE of billing.%I, from terms_from on.', regexp_replace(TG_TABLE_NAME, '_terms$', ''));
END $$;
COMMENT ON FUNCTION billing.keep_history() IS 'BEFORE UPDATE row trigger of tariff_terms, account_terms and service_terms: former terms never change; they go with a row that no call names (design 3). 23001.';

-- Calls. Row-level security that is forced upon the owner would hide calls from the guards: it is an error (42501)
-- instead.

CREATE FUNCTION billing._call_naming_rate(rate_ids bigint[], OUT rate_id bigint, OUT call text) RETURNS record
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET row_security = off SET enable_nestloop = off SET jit = off AS $$
BEGIN
	-- A COPY in flight has rated with the old prices and is not to be seen yet: wait for it, and let none begin
	-- before this transaction has ended.
	LOCK TABLE billing.cdr IN SHARE MODE;
	SELECT n.rate_id, format('%s of %s', c.id, c.started_at) INTO rate_id, call
	FROM billing.cdr c
		CROSS JOIN LATERAL (VALUES (c.customer_rate_id), (c.reseller_rate_id), (c.provider_rate_id),
			(c.did_incoming_rate_id), (c.did_owner_rate_id), (c.did_provider_rate_id)) n(rate_id)
		JOIN unnest(rate_ids) u(id) ON u.id = n.rate_id
	LIMIT 1;
END $$;
COMMENT ON FUNCTION billing._call_naming_rate(bigint[]) IS 'One of the rates that a call names, and that call as text; nulls when no call names any. One scan of billing.cdr, after waiting for loads in flight.';

CREATE FUNCTION billing._correctable() RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ARRAY['price', 'first_price', 'connect_fee', 'attempt_fee', 'first_increment', 'next_increment', 'increment_rule', 'grace_seconds',
	'free_seconds', 'min_amount', 'max_amount', 'surcharge_percent', 'boundary', 'duration_rounding', 'rounding_digits', 'rounding_mode', 'blocked'];
COMMENT ON FUNCTION billing._correctable() IS 'The columns of rates that correct_rate() may change, of DID rates all of them but blocked.';

CREATE FUNCTION billing._present_corrections() RETURNS TABLE (rate_id bigint, old jsonb, new jsonb)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN QUERY
		SELECT l.rate_id, l.old, l.new
		FROM (SELECT DISTINCT ON (c.rate_id) c.rate_id, c.old, c.new
			FROM billing.rate_correction c WHERE c.corrected_at = now() ORDER BY c.rate_id, c.id DESC) l
		WHERE l.old - (billing._correctable() || 'steps'::text) = l.new - (billing._correctable() || 'steps'::text);
END $$;
COMMENT ON FUNCTION billing._present_corrections() IS 'What lets a change of a priced rate pass: the last correction of each rate in this very transaction, so that each serves once, and only one of columns that correct_rate() may change, whoever wrote it.';

CREATE FUNCTION billing._present_labels(kind text) RETURNS TABLE (object_id bigint, old text, new text)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN QUERY
		SELECT DISTINCT ON (c.object_id) c.object_id, c.old, c.new
		FROM billing.label_change c WHERE c.kind = _present_labels.kind AND c.changed_at = now() ORDER BY c.object_id, c.id DESC;
END $$;
COMMENT ON FUNCTION billing._present_labels(text) IS 'What lets a change of the cost centre of a service (kind service) or the destination of a rate (kind rate) that a call names pass: the last change of each in this very transaction, so that each serves once.';

CREATE FUNCTION billing.keep_rate() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_nestloop = off SET jit = off AS $$
DECLARE
	ids bigint[];
	hit record;
BEGIN
	IF TG_OP = 'DELETE' THEN
		ids := ARRAY(SELECT f.id FROM former f);
	ELSIF TG_OP = 'TRUNCATE' THEN
		ids := ARRAY(SELECT r.id FROM billing.rate r);
	ELSE
		-- What correct_rate() or rename_destination() has put on record in this very transaction may pass. IS NOT
		-- DISTINCT FROM: an = would be hashed, and make jsonb of every row.
		ids := ARRAY(
			SELECT f.id
			FROM former f LEFT JOIN written w ON w.id = f.id LEFT JOIN billing._present_labels('rate') l ON l.object_id = f.id
			WHERE (w.id IS NULL OR w.prefix OPERATOR(billing.<>) f.prefix
				OR (w.tariff_id, w.exact, w.day_type, w.band, w.valid_from, w.price, w.first_price, w.connect_fee, w.attempt_fee,
					w.first_increment, w.next_increment, w.increment_rule, w.grace_seconds, w.free_seconds, w.min_amount, w.max_amount,
					w.surcharge_percent, w.boundary, w.duration_rounding, w.rounding_digits, w.rounding_mode, w.blocked, w.withdrawn)
				IS DISTINCT FROM (f.tariff_id, f.exact, f.day_type, f.band, f.valid_from, f.price, f.first_price, f.connect_fee, f.attempt_fee,
					f.first_increment, f.next_increment, f.increment_rule, f.grace_seconds, f.free_seconds, f.min_amount, f.max_amount,
					f.surcharge_percent, f.boundary, f.duration_rounding, f.rounding_digits, f.rounding_mode, f.blocked, f.withdrawn))
				AND NOT EXISTS (
					SELECT FROM billing._present_corrections() c
					WHERE c.rate_id = f.id AND c.old - 'steps' IS NOT DISTINCT FROM to_jsonb(f) AND c.new - 'steps' IS NOT DISTINCT FROM to_jsonb(w))
				OR (w.destination IS DISTINCT FROM f.destination
					AND (l.object_id IS NULL OR (l.old, l.new) IS DISTINCT FROM (f.destination, w.destination))));
	END IF;
	IF ids = '{}' THEN
		RETURN NULL;
	END IF;

	hit := billing._call_naming_rate(ids);
	IF hit.rate_id IS NOT NULL THEN
		RAISE EXCEPTION 'rate % has priced calls and cannot be %', hit.rate_id,
			CASE TG_OP WHEN 'UPDATE' THEN 'changed' ELSE 'deleted' END USING
			ERRCODE = 'restrict_violation',
			DETAIL = format('Call %s names it.', hit.call),
			HINT = 'Insert a rate with a later valid_from (withdrawn, if it shall end), or correct a mistake with billing.correct_rate(), a name with billing.rename_destination().';
	END IF;
	RETURN NULL;
END $$;
COMMENT ON FUNCTION billing.keep_rate() IS 'Statement trigger of rate, with transition tables: a rate that a call names keeps everything, and is never deleted; its destination changes by billing.rename_destination() only, which counts its calls anew (design 3 and 6). 23001.';

CREATE FUNCTION billing.keep_rate_step() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_nestloop = off SET jit = off AS $$
DECLARE
	ids bigint[];
	hit record;
BEGIN
	IF TG_OP = 'TRUNCATE' THEN
		ids := ARRAY(SELECT DISTINCT s.rate_id FROM billing.rate_step s);
	ELSIF TG_OP = 'UPDATE' THEN
		ids := ARRAY(
			(SELECT f.rate_id FROM (TABLE former EXCEPT TABLE written) f) UNION (SELECT w.rate_id FROM (TABLE written EXCEPT TABLE former) w));
	ELSIF TG_OP = 'INSERT' THEN
		ids := ARRAY(
			SELECT DISTINCT w.rate_id FROM written w
			WHERE NOT EXISTS (
				SELECT FROM billing._present_corrections() c
				WHERE c.rate_id = w.rate_id
					AND c.new -> 'steps' @> jsonb_build_array(to_jsonb(w) - 'rate_id') AND NOT c.old -> 'steps' @> jsonb_build_array(to_jsonb(w) - 'rate_id')));
	ELSE
		ids := ARRAY(
			SELECT DISTINCT f.rate_id FROM former f
			WHERE NOT EXISTS (
				SELECT FROM billing._present_corrections() c
				WHERE c.rate_id = f.rate_id
					AND c.old -> 'steps' @> jsonb_build_array(to_jsonb(f) - 'rate_id') AND NOT c.new -> 'steps' @> jsonb_build_array(to_jsonb(f) - 'rate_id')));
	END IF;
	IF ids = '{}' THEN
		RETURN NULL;
	END IF;

	hit := billing._call_naming_rate(ids);
	IF hit.rate_id IS NOT NULL THEN
		RAISE EXCEPTION 'rate % has priced calls and its steps cannot change', hit.rate_id USING
			ERRCODE = 'restrict_violation',
			DETAIL = format('Call %s names it.', hit.call),
			HINT = 'Insert a rate with a later valid_from and its steps, or correct a mistake with billing.correct_rate().';
	END IF;
	RETURN NULL;
END $$;
COMMENT ON FUNCTION billing.keep_rate_step() IS 'Statement trigger of rate_step, with transition tables: the steps of a rate that a call names never change (design 3). 23001.';

CREATE FUNCTION billing.keep_tariff() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	hit record;
BEGIN
	hit := billing._call_naming_rate(ARRAY(SELECT r.id FROM billing.rate r WHERE r.tariff_id = OLD.id));
	IF hit.rate_id IS NOT NULL THEN
		RAISE EXCEPTION 'tariff "%" has priced calls: its currency and owner stay', OLD.name USING
			ERRCODE = 'restrict_violation',
			DETAIL = format('Call %s names its rate %s.', hit.call, hit.rate_id),
			HINT = 'Make a new tariff and move accounts and services to it.';
	END IF;
	RETURN NULL;
END $$;
COMMENT ON FUNCTION billing.keep_tariff() IS 'AFTER UPDATE row trigger of tariff: currency and owner never change once a call was priced by it (design 3). 23001.';

CREATE FUNCTION billing._account_has_calls(account_id bigint) RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
BEGIN
	LOCK TABLE billing.cdr IN SHARE MODE;
	RETURN EXISTS (SELECT FROM billing.cdr c WHERE c.customer_account_id = _account_has_calls.account_id)
		OR EXISTS (SELECT FROM billing.cdr c WHERE c.reseller_account_id = _account_has_calls.account_id)
		OR EXISTS (SELECT FROM billing.cdr c WHERE c.provider_account_id = _account_has_calls.account_id)
		OR EXISTS (SELECT FROM billing.cdr c WHERE c.did_incoming_account_id = _account_has_calls.account_id)
		OR EXISTS (SELECT FROM billing.cdr c WHERE c.did_owner_account_id = _account_has_calls.account_id)
		OR EXISTS (SELECT FROM billing.cdr c WHERE c.did_provider_account_id = _account_has_calls.account_id)
		OR EXISTS (SELECT FROM billing.usage u WHERE u.account_id = _account_has_calls.account_id AND u.slot < 0)
		OR EXISTS (SELECT FROM billing.entry e WHERE e.account_id = _account_has_calls.account_id);
END $$;
COMMENT ON FUNCTION billing._account_has_calls(bigint) IS 'Whether a call, present or archived, names the account on any leg, or an entry does, after waiting for loads in flight; reads one index of billing.cdr for each leg.';

CREATE FUNCTION billing.keep_account() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	account record;
BEGIN
	IF TG_OP = 'TRUNCATE' THEN
		FOR account IN SELECT a.name FROM billing.account a WHERE billing._account_has_calls(a.id) LIMIT 1 LOOP
			RAISE EXCEPTION 'account "%" has calls or entries and cannot be deleted', account.name USING
				ERRCODE = 'restrict_violation',
				HINT = 'Set active to false.';
		END LOOP;
		RETURN NULL;
	END IF;

	-- Waits for entries in flight too, unless the foreign key does: they wait for this row.
	IF TG_OP = 'UPDATE' AND NEW.id = OLD.id THEN
		LOCK TABLE billing.entry IN SHARE MODE;
	END IF;
	IF NOT billing._account_has_calls(OLD.id) THEN
		RETURN NULL;
	ELSIF TG_OP = 'DELETE' THEN
		RAISE EXCEPTION 'account "%" has calls or entries and cannot be deleted', OLD.name USING
			ERRCODE = 'restrict_violation',
			HINT = 'Set active to false.';
	ELSIF NEW.id <> OLD.id OR NEW.currency <> OLD.currency THEN
		RAISE EXCEPTION 'account "%" has calls or entries: its id and currency stay', OLD.name USING
			ERRCODE = 'restrict_violation',
			DETAIL = format('Its amounts are in %s.', OLD.currency),
			HINT = 'Make a new account and end the services of this one.';
	ELSIF NEW.timezone <> OLD.timezone AND NOT EXISTS (
		SELECT FROM (SELECT c.old, c.new FROM billing.timezone_change c WHERE c.account_id = NEW.id AND c.changed_at = now() ORDER BY c.id DESC LIMIT 1) l
		WHERE l.old = OLD.timezone AND l.new = NEW.timezone)
	THEN
		RAISE EXCEPTION 'account "%" has calls or entries: its time zone does not change by UPDATE', OLD.name USING
			ERRCODE = 'restrict_violation',
			DETAIL = 'Another time zone moves them to other days and months.',
			HINT = format('Use SELECT billing.change_timezone(%s, %L);', OLD.id, NEW.timezone);
	END IF;
	RETURN NULL;
END $$;
COMMENT ON FUNCTION billing.keep_account() IS 'AFTER UPDATE or DELETE row and BEFORE TRUNCATE trigger of account: once a call or an entry names it, it is not deleted, its currency stays, its time zone changes by billing.change_timezone() only (design 3). 23001.';

CREATE FUNCTION billing._call_naming_service(service_ids bigint[], OUT service_id bigint, OUT call text) RETURNS record
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET row_security = off SET enable_nestloop = off SET jit = off AS $$
BEGIN
	LOCK TABLE billing.cdr IN SHARE MODE;
	SELECT n.service_id, format('%s of %s', c.id, c.started_at) INTO service_id, call
	FROM billing.cdr c
		CROSS JOIN LATERAL (VALUES (c.customer_service_id), (c.provider_service_id), (c.did_service_id)) n(service_id)
		JOIN unnest(service_ids) u(id) ON u.id = n.service_id
	LIMIT 1;
END $$;
COMMENT ON FUNCTION billing._call_naming_service(bigint[]) IS 'One of the services that a call names, and that call as text; nulls when no call names any. One scan of billing.cdr, after waiting for loads in flight.';

CREATE FUNCTION billing.keep_service() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_nestloop = off SET jit = off AS $$
DECLARE
	ids bigint[];
	hit record;
BEGIN
	IF TG_OP = 'DELETE' THEN
		ids := ARRAY(SELECT f.id FROM former f);
	ELSIF TG_OP = 'TRUNCATE' THEN
		ids := ARRAY(SELECT s.id FROM billing.service s);
	ELSE
		ids := ARRAY(
			SELECT f.id FROM former f LEFT JOIN written w ON w.id = f.id LEFT JOIN billing._present_labels('service') l ON l.object_id = f.id
			WHERE w.id IS NULL
				OR (w.account_id, w.side, w.kind, w.identifier, w.field, w.tenant, w.primary_id)
					IS DISTINCT FROM (f.account_id, f.side, f.kind, f.identifier, f.field, f.tenant, f.primary_id)
				OR (w.cost_center IS DISTINCT FROM f.cost_center
					AND (l.object_id IS NULL OR (l.old, l.new) IS DISTINCT FROM (f.cost_center, w.cost_center))));
	END IF;
	IF ids = '{}' THEN
		RETURN NULL;
	END IF;

	hit := billing._call_naming_service(ids);
	IF hit.service_id IS NOT NULL THEN
		RAISE EXCEPTION 'service % has identified calls and cannot be %', hit.service_id,
			CASE TG_OP WHEN 'UPDATE' THEN 'changed' ELSE 'deleted' END USING
			ERRCODE = 'restrict_violation',
			DETAIL = format('Call %s names it; its account, side, kind, identifier, field, tenant, primary and cost centre stay.', hit.call),
			HINT = 'End it with the upper bound of active, and make a new one from there on; change the cost centre with billing.change_cost_center().';
	END IF;
	RETURN NULL;
END $$;
COMMENT ON FUNCTION billing.keep_service() IS 'Statement trigger of service, with transition tables: once a call names it, who it identifies and by what stays, and it is not deleted: it ends; its cost centre changes by billing.change_cost_center() only, which counts its calls anew (design 3 and 6). 23001.';

-- Tariffs.

CREATE FUNCTION billing._check_bases(tariff_id bigint) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	above integer;
	below integer;
	other record;
BEGIN
	-- One at a time: of two sessions that each close half of a circle, the second sees the first. Nothing else locks
	-- this table, and nobody can without a right on it.
	LOCK TABLE billing.catalogue_signal IN SHARE ROW EXCLUSIVE MODE;

	WITH RECURSIVE base(id, depth) AS (
		SELECT _check_bases.tariff_id, 0
		UNION
		SELECT e.base_id, b.depth + 1
		FROM base b CROSS JOIN LATERAL (
			SELECT t.base_tariff_id FROM billing.tariff t WHERE t.id = b.id
			UNION SELECT f.base_tariff_id FROM billing.tariff_terms f WHERE f.tariff_id = b.id) e(base_id)
		WHERE e.base_id IS NOT NULL AND b.depth < 5
	)
	SELECT max(b.depth), bool_or(b.depth > 0 AND b.id = _check_bases.tariff_id) AS circle INTO other FROM base b;
	IF other.circle THEN
		RAISE EXCEPTION 'tariff % would be a base of itself', tariff_id USING
			ERRCODE = 'check_violation',
			DETAIL = 'Former bases count too: calls of their time are rated by them.',
			HINT = 'Give it another base_tariff_id, or none.';
	END IF;
	above := other.max;

	WITH RECURSIVE derived(id, depth) AS (
		SELECT _check_bases.tariff_id, 0
		UNION
		SELECT e.tariff_id, d.depth + 1
		FROM derived d CROSS JOIN LATERAL (
			SELECT t.id FROM billing.tariff t WHERE t.base_tariff_id = d.id
			UNION SELECT f.tariff_id FROM billing.tariff_terms f WHERE f.base_tariff_id = d.id) e(tariff_id)
		WHERE d.depth < 5
	)
	SELECT max(d.depth) INTO below FROM derived d;
	IF above + below > 4 THEN
		RAISE EXCEPTION 'bases of tariff % would be more than 4 deep', tariff_id USING
			ERRCODE = 'check_violation',
			DETAIL = format('It has %s bases above it and %s levels of tariffs that build on it; former bases count too.', above, below),
			HINT = 'Give it a base_tariff_id that has fewer bases of its own.';
	END IF;

	SELECT t.name, t.currency, o.name AS other_name, o.currency AS other_currency INTO other
	FROM billing.tariff t CROSS JOIN LATERAL (
			SELECT t.base_tariff_id
			UNION SELECT f.base_tariff_id FROM billing.tariff_terms f WHERE f.tariff_id = t.id
			UNION SELECT d.id FROM billing.tariff d WHERE d.base_tariff_id = t.id
			UNION SELECT f.tariff_id FROM billing.tariff_terms f WHERE f.base_tariff_id = t.id) e(id)
		JOIN billing.tariff o ON o.id = e.id
	WHERE t.id = _check_bases.tariff_id AND o.currency <> t.currency
	LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'tariff "%" and its base must have the same currency', other.name USING
			ERRCODE = 'check_violation',
			DETAIL = format('"%s" is in %s, "%s" in %s.', other.name, other.currency, other.other_name, other.other_currency),
			HINT = 'Use a base tariff in the same currency.';
	END IF;
END $$;
COMMENT ON FUNCTION billing._check_bases(bigint) IS 'Raises 23514 when the bases of the tariff, present and former, make a circle, are more than 4 deep, or have another currency (design 3).';

CREATE FUNCTION billing._check_increments(tariff_id bigint, rate_ids bigint[]) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	hit record;
BEGIN
	WITH term AS (
		SELECT t.id, t.name, 'infinity'::timestamptz AS ends, t.increment_rule, t.boundary, t.free_seconds, t.min_amount, t.max_amount FROM billing.tariff t
		UNION ALL
		SELECT t.id, t.name, coalesce(lead(f.terms_from) OVER (PARTITION BY t.id ORDER BY f.terms_from), t.terms_from),
			f.increment_rule, f.boundary, f.free_seconds, f.min_amount, f.max_amount
		FROM billing.tariff_terms f JOIN billing.tariff t ON t.id = f.tariff_id
	), rated AS (
		SELECT r.* FROM billing.rate r WHERE r.tariff_id = _check_increments.tariff_id
		UNION ALL
		SELECT r.* FROM unnest(rate_ids) u(id) JOIN billing.rate r ON r.id = u.id
	)
	SELECT r.id, r.prefix, m.name, m.ends,
		coalesce(r.increment_rule, m.increment_rule) = 'aligned' AND coalesce(r.free_seconds, m.free_seconds) > 0 AS free,
		coalesce(r.increment_rule, m.increment_rule) = 'aligned' AND EXISTS (SELECT FROM billing.rate_step s WHERE s.rate_id = r.id) AS stepped,
		coalesce(r.increment_rule, m.increment_rule) = 'aligned' AND coalesce(r.boundary, m.boundary) = 'split' AS split,
		coalesce(r.min_amount, m.min_amount) AS least, coalesce(r.max_amount, m.max_amount) AS most
	INTO hit
	FROM rated r JOIN term m ON m.id = r.tariff_id AND m.ends > r.valid_from
	WHERE coalesce(r.min_amount, m.min_amount) > coalesce(r.max_amount, m.max_amount)
		OR (coalesce(r.increment_rule, m.increment_rule) = 'aligned'
			AND (coalesce(r.free_seconds, m.free_seconds) > 0 OR coalesce(r.boundary, m.boundary) = 'split' OR EXISTS (SELECT FROM billing.rate_step s WHERE s.rate_id = r.id)))
	LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'rate % ("%") and the defaults of tariff "%" do not go together', hit.id, hit.prefix, hit.name USING
			ERRCODE = 'check_violation',
			DETAIL = CASE WHEN hit.free THEN 'Aligned increments have no free seconds.'
				WHEN hit.stepped THEN 'Aligned increments have no steps.'
				WHEN hit.split THEN 'Aligned increments are not split at boundaries.'
				ELSE format('The minimum %s is above the maximum %s.', hit.least, hit.most) END
				|| CASE WHEN isfinite(hit.ends) THEN format(' These defaults held until %s.', hit.ends) ELSE '' END,
			HINT = 'Let the rate name the parameter itself: ' || CASE WHEN hit.free THEN 'increment_rule or free_seconds.' WHEN hit.stepped THEN 'increment_rule.' WHEN hit.split THEN 'increment_rule or boundary.' ELSE 'min_amount or max_amount.' END;
	END IF;
END $$;
COMMENT ON FUNCTION billing._check_increments(bigint, bigint[]) IS 'Raises 23514 when a rate of the tariff, or one of the rates, has aligned increments with free seconds, steps or boundary split, or a minimum above its maximum, with the defaults that it inherits while it is in force (design 5).';

CREATE FUNCTION billing.check_tariff() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	other record;
BEGIN
	IF NEW.base_tariff_id IS NOT NULL OR (TG_OP = 'UPDATE' AND NEW.currency <> OLD.currency) THEN
		PERFORM billing._check_bases(NEW.id);
	END IF;
	IF NEW.is_default_customer THEN
		LOCK TABLE billing.catalogue_signal IN SHARE ROW EXCLUSIVE MODE;
		SELECT o.name, p.ends INTO other
		FROM billing.tariff o CROSS JOIN LATERAL (
			SELECT f.is_default_customer, coalesce(lead(f.terms_from) OVER (ORDER BY f.terms_from), o.terms_from) AS ends
			FROM billing.tariff_terms f WHERE f.tariff_id = o.id) p
		WHERE o.id <> NEW.id AND p.is_default_customer AND p.ends > NEW.terms_from
		ORDER BY p.ends DESC LIMIT 1;
		IF FOUND THEN
			RAISE EXCEPTION 'tariff "%" was the default customer tariff until %', other.name, other.ends USING
				ERRCODE = 'exclusion_violation',
				DETAIL = format('"%s" would be it from %s on; at no time may there be two.', NEW.name, NEW.terms_from),
				HINT = format('Give terms_from = %L.', other.ends);
		END IF;
	END IF;
	IF TG_OP = 'UPDATE' AND (NEW.increment_rule, NEW.boundary, NEW.free_seconds, NEW.min_amount, NEW.max_amount)
		IS DISTINCT FROM (OLD.increment_rule, OLD.boundary, OLD.free_seconds, OLD.min_amount, OLD.max_amount)
	THEN
		-- Waits for who inserts rates of it: their foreign keys share the row.
		PERFORM FROM billing.tariff t WHERE t.id = NEW.id FOR UPDATE;
		PERFORM billing._check_increments(NEW.id, NULL);
	END IF;
	IF TG_OP = 'UPDATE' AND NEW.calendar_id IS DISTINCT FROM OLD.calendar_id THEN
		PERFORM FROM billing.tariff t WHERE t.id = NEW.id FOR UPDATE;
		PERFORM billing._check_bands(NEW.id, NULL);
	END IF;
	RETURN NULL;
END $$;
COMMENT ON FUNCTION billing.check_tariff() IS 'AFTER INSERT or UPDATE row trigger of tariff: bases (23514), one default customer tariff at any instant (V15, 23P01), defaults and a calendar that go together with its rates (23514).';

CREATE FUNCTION billing.check_tariff_terms() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM billing._check_bases(NEW.tariff_id);
	RETURN NULL;
END $$;
COMMENT ON FUNCTION billing.check_tariff_terms() IS 'AFTER INSERT or UPDATE row trigger of tariff_terms: former bases keep the rules of bases (23514).';

CREATE FUNCTION billing.check_rate() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	ids bigint[];
	chosen bigint[];
BEGIN
	-- A rate that overrides nothing and has no steps is as good as its tariff, whose own CHECKs hold.
	IF TG_TABLE_NAME = 'rate' THEN
		ids := ARRAY(
			SELECT w.id FROM written w
			WHERE num_nonnulls(w.increment_rule, w.boundary, w.free_seconds, w.min_amount, w.max_amount) > 0
				OR EXISTS (SELECT FROM billing.rate_step s WHERE s.rate_id = w.id));
		chosen := ARRAY(SELECT w.id FROM written w WHERE (w.day_type <> 'any' OR w.band IS NOT NULL) AND NOT w.withdrawn);
	ELSE
		ids := ARRAY(SELECT DISTINCT w.rate_id FROM written w);
		-- The rate must not turn aligned meanwhile.
		PERFORM FROM billing.rate r WHERE r.id = ANY (ids) FOR SHARE;
	END IF;
	IF ids <> '{}' THEN
		-- Nor may the defaults of its tariff change: see check_tariff().
		PERFORM FROM billing.tariff t WHERE t.id IN (SELECT r.tariff_id FROM billing.rate r WHERE r.id = ANY (ids)) FOR KEY SHARE;
		PERFORM billing._check_increments(NULL, ids);
	END IF;
	IF chosen <> '{}' THEN
		PERFORM FROM billing.tariff t WHERE t.id IN (SELECT r.tariff_id FROM billing.rate r WHERE r.id = ANY (chosen)) FOR KEY SHARE;
		PERFORM billing._check_bands(NULL, chosen);
	END IF;
	RETURN NULL;
END $$;
COMMENT ON FUNCTION billing.check_rate() IS 'Statement trigger of rate and rate_step, with a transition table: no aligned increments with free seconds, steps or boundary split, no minimum above the maximum, inherited ones included; no day type or band without a calendar that has it (23514).';

-- Plans and accounts.

CREATE FUNCTION billing.keep_plan() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	-- Waits for who gives the plan to somebody: their foreign keys share the row.
	PERFORM FROM billing.plan p WHERE p.id = NEW.id FOR UPDATE;
	IF EXISTS (SELECT FROM billing.account a WHERE a.plan_id = NEW.id) OR EXISTS (SELECT FROM billing.service s WHERE s.plan_id = NEW.id)
		OR EXISTS (SELECT FROM billing.account_terms a WHERE a.plan_id = NEW.id) OR EXISTS (SELECT FROM billing.service_terms s WHERE s.plan_id = NEW.id)
	THEN
		RAISE EXCEPTION 'plan "%" is in use and its tariff stays', NEW.name USING
			ERRCODE = 'restrict_violation',
			DETAIL = 'Accounts or services have it, or had it when their calls were priced.',
			HINT = 'Make a new plan and give it to them from an instant on.';
	END IF;
	RETURN NULL;
END $$;
COMMENT ON FUNCTION billing.keep_plan() IS 'AFTER UPDATE row trigger of plan: its tariff is frozen once an account or service has or had it (C21, design 3). 23001.';

CREATE FUNCTION billing.known_timezone() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	BEGIN
		PERFORM now() AT TIME ZONE NEW.timezone;
		-- That takes abbreviations (CEST: no summer, no winter) and POSIX formulas (Berlin1) too; the list of names is
		-- slow to read, so it is asked only about what does not look like Area/City.
		IF NEW.timezone !~ '^[A-Za-z_]+(/[A-Za-z_-]+)+$' AND NEW.timezone <> 'UTC'
			AND NOT EXISTS (SELECT FROM pg_timezone_names z WHERE lower(z.name) = lower(NEW.timezone))
		THEN
			RAISE invalid_parameter_value;
		END IF;
	EXCEPTION WHEN invalid_parameter_value THEN
		RAISE EXCEPTION 'time zone "%" is not known', NEW.timezone USING
			ERRCODE = 'invalid_parameter_value',
			DETAIL = 'The full name of a time zone is expected, which knows summer and winter.',
			HINT = 'Use a name such as Europe/Berlin or UTC; pg_timezone_names lists them.';
	END;
	RETURN NEW;
END $$;
COMMENT ON FUNCTION billing.known_timezone() IS 'BEFORE INSERT or UPDATE row trigger of account and calendar: timezone is the full name of a time zone that the server knows. 22023.';

CREATE FUNCTION billing.check_account() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	parent record;
BEGIN
	IF NEW.parent_id IS NOT NULL THEN
		-- FOR SHARE: the parent gets no parent of its own before this has ended.
		SELECT p.name, p.parent_id INTO parent FROM billing.account p WHERE p.id = NEW.parent_id FOR SHARE;
		IF parent.parent_id IS NOT NULL THEN
			RAISE EXCEPTION 'account "%" cannot be a parent', parent.name USING
				ERRCODE = 'check_violation',
				DETAIL = 'It has a parent itself; a parent has none.',
				HINT = 'Choose an account without a parent.';
		ELSIF EXISTS (SELECT FROM billing.account c WHERE c.parent_id = NEW.id) THEN
			RAISE EXCEPTION 'account "%" cannot have a parent', NEW.name USING
				ERRCODE = 'check_violation',
				DETAIL = 'It is a parent itself; a parent has none.',
				HINT = 'Give its children another parent first.';
		END IF;
	END IF;
	IF TG_OP = 'UPDATE' AND OLD.is_provider AND NOT NEW.is_provider
		AND (EXISTS (SELECT FROM billing.service s WHERE s.side = 'provider' AND s.account_id = NEW.id)
			OR EXISTS (SELECT FROM billing.service s WHERE s.provider_id = NEW.id)
			OR EXISTS (SELECT FROM billing.service_terms s WHERE s.provider_id = NEW.id))
	THEN
		RAISE EXCEPTION 'account "%" must stay a provider', NEW.name USING
			ERRCODE = 'check_violation',
			DETAIL = 'It has services on the provider side, or DIDs come from it.',
			HINT = 'End its services; they still price the calls of their time.';
	END IF;
	RETURN NULL;
END $$;
COMMENT ON FUNCTION billing.check_account() IS 'AFTER INSERT or UPDATE row trigger of account: a parent has no parent, and who has provider services stays a provider. 23514.';

-- Services.

CREATE FUNCTION billing.canonical_identifier() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	network inet;
	complaint text;
BEGIN
	IF NEW.kind = 'ip' THEN
		BEGIN
			network := NEW.identifier::inet;
		EXCEPTION WHEN invalid_text_representation THEN
			RAISE EXCEPTION 'identifier "%" is not a network', NEW.identifier USING
				ERRCODE = 'invalid_text_representation',
				DETAIL = 'An address, or a network as address/length, is expected, IPv4 or IPv6.',
				HINT = 'Examples: 192.0.2.7, 192.0.2.0/24, 2001:db8::/32.';
		END;
		IF host(network) <> host(network(network)) THEN
			RAISE EXCEPTION 'identifier "%" is not a network', NEW.identifier USING
				ERRCODE = 'invalid_text_representation',
				DETAIL = format('It has bits to the right of the first %s.', masklen(network)),
				HINT = format('The network is %s, the address alone %s.', text(network(network)), host(network));
		END IF;
		NEW.identifier := text(network);
	ELSIF NEW.kind IN ('did', 'ani', 'virtual_number', 'extension') THEN
		NEW.identifier := regexp_replace(NEW.identifier, '^\+', '');
		IF NEW.kind <> 'extension' AND NEW.identifier !~ '^[0-9*#A-D]+$' THEN
			RAISE EXCEPTION 'identifier "%" is not a number', NEW.identifier USING
				ERRCODE = 'invalid_text_representation',
				DETAIL = 'Dialled symbols are expected: 0-9, *, #, A-D, with or without a leading +.',
				HINT = 'Write it as it stands in the CDRs, without spaces and punctuation.';
		END IF;
	ELSIF NEW.kind = 'pattern' THEN
		BEGIN
			PERFORM '' ~ NEW.identifier;
		EXCEPTION WHEN invalid_regular_expression THEN
			GET STACKED DIAGNOSTICS complaint = MESSAGE_TEXT;
			RAISE EXCEPTION 'pattern "%" is not a regular expression', NEW.identifier USING
				ERRCODE = 'invalid_regular_expression',
				DETAIL = complaint,
				HINT = 'Patterns are POSIX regular expressions of PostgreSQL, such as ^4420[0-9]{8}$.';
		END;
	END IF;
	RETURN NEW;
END $$;
COMMENT ON FUNCTION billing.canonical_identifier() IS 'BEFORE INSERT or UPDATE row trigger of service: networks as address/length (D8), numbers without +, patterns that compile. 22P02, 2201B.';

CREATE FUNCTION billing.check_service() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	other record;
BEGIN
	IF NEW.kind = 'virtual_number' THEN
		SELECT s.kind, s.account_id, s.tenant INTO other FROM billing.service s WHERE s.id = NEW.primary_id FOR SHARE;
		IF other.kind <> 'did' OR other.account_id IS DISTINCT FROM NEW.account_id OR other.tenant <> NEW.tenant THEN
			RAISE EXCEPTION 'service % cannot be the primary of virtual number "%"', NEW.primary_id, NEW.identifier USING
				ERRCODE = 'check_violation',
				DETAIL = format('It is of kind %s; a DID of the same account and tenant is expected.', other.kind),
				HINT = 'Name the DID whose prices and minutes the virtual number shares.';
		END IF;
	END IF;
	IF TG_OP = 'UPDATE' AND EXISTS (
		SELECT FROM billing.service v
		WHERE v.primary_id = NEW.id AND (NEW.kind <> 'did' OR v.account_id IS DISTINCT FROM NEW.account_id OR v.tenant <> NEW.tenant))
	THEN
		RAISE EXCEPTION 'service % is the primary of virtual numbers', NEW.id USING
			ERRCODE = 'check_violation',
			DETAIL = 'It stays a DID of their account and tenant.',
			HINT = 'Move its virtual numbers to another primary first, or end them.';
	END IF;

	-- FOR SHARE: the account stays a provider until this has ended.
	FOR other IN
		SELECT a.name, a.is_provider FROM billing.account a
		WHERE a.id IN (NEW.provider_id, CASE NEW.side WHEN 'provider' THEN NEW.account_id END) FOR SHARE
	LOOP
		IF NOT other.is_provider THEN
			RAISE EXCEPTION 'account "%" is not a provider', other.name USING
				ERRCODE = 'check_violation',
				DETAIL = 'Services on the provider side belong to providers, and DIDs come from them (P1).',
				HINT = 'Set is_provider of the account.';
		END IF;
	END LOOP;
	RETURN NULL;
END $$;
COMMENT ON FUNCTION billing.check_service() IS 'AFTER INSERT or UPDATE row trigger of service: a virtual number has a DID of its account and tenant as primary (D9, reading 26); providers are providers (P1). 23514.';
