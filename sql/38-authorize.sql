-- Before a call (design 6): who pays, may the call be made and how long, and money set aside for it.

CREATE FUNCTION billing._longest_call(cdr anyelement, spendable numeric[], covered bigint[], most integer,
	OUT seconds integer, OUT short_leg text, OUT amount numeric[], OUT billsec bigint[])
LANGUAGE C STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'billing_longest_call';
COMMENT ON FUNCTION billing._longest_call(anyelement, numeric[], bigint[], integer) IS 'The longest duration, up to most seconds, for which the customer, the reseller and, of a DID, its owner and who dials it can each pay what the call and every shorter one will be charged; 0 when one cannot pay the first increment (reading 9). spendable: what the account of each leg can spend (null: no limit), the same for legs of one account, which pays for them together; covered: billed seconds of an allowance. short_leg: who cannot pay more; amount: the most that each leg owes by then; billsec: its billed seconds, null for none. A call that may become cheaper while it lasts gets a day at most. For those who may read the catalogue: 42501 for others, 22023 for most out of range.';

CREATE FUNCTION billing._spendable(account_id bigint, reservation bigint DEFAULT NULL, OUT spendable numeric, OUT available numeric) RETURNS record
LANGUAGE C STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'billing_spendable_of';
COMMENT ON FUNCTION billing._spendable(bigint, bigint) IS 'What an account can spend, in its currency: its balance and its credit limit (reading 33), read from sums by month and the days that are not folded yet. available: less what open reservations set aside, except the one that is named. Both null where there is no limit: a postpaid account without one, and an unknown account; a prepaid one without has 0.';

CREATE FUNCTION billing._leg_names() RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ARRAY['customer', 'reseller', 'provider', 'did_incoming', 'did_owner', 'did_provider'];
COMMENT ON FUNCTION billing._leg_names() IS 'The legs of a call in the order of the arrays of _longest_call().';

-- Included minutes.

CREATE FUNCTION billing._drawing_number(leg text, did text, callee text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN leg IN ('did_incoming', 'did_owner') THEN coalesce(nullif(did, ''), callee) ELSE callee END;
COMMENT ON FUNCTION billing._drawing_number(text, text, text) IS 'The number that decides which allowances cover a leg of a call that a switch asks about.';

CREATE FUNCTION billing._share_allowance(plan_id bigint, leg text, number text, other text) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN number = other OR EXISTS (
		SELECT FROM billing.allowance a
		WHERE a.plan_id = _share_allowance.plan_id AND a.leg = _share_allowance.leg AND (
			SELECT bool_and(coalesce((
				SELECT p.included FROM billing.allowance_prefix p
				WHERE p.allowance_id = a.id AND p.prefix OPERATOR(billing.@>) ltrim(n.number, '+')
				ORDER BY billing.length(p.prefix) DESC LIMIT 1), false))
			FROM (VALUES (_share_allowance.number), (_share_allowance.other)) n(number)));
END $$;
COMMENT ON FUNCTION billing._share_allowance(bigint, text, text, text) IS 'Whether an allowance of a plan covers calls to both numbers (D12).';

CREATE FUNCTION billing._reserved_seconds(account_id bigint, pool_service_id bigint, leg text, number text, at timestamptz, reservation bigint) RETURNS bigint
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	zone text := (SELECT a.timezone FROM billing.account a WHERE a.id = _reserved_seconds.account_id);
	cycle record;
	calls jsonb[];
	seconds bigint[];
	total bigint := 0;
BEGIN
	SELECT array_agg(r.call), array_agg(r.covered) INTO calls, seconds
	FROM billing.reservation r
	WHERE r.account_id = _reserved_seconds.account_id AND r.leg = _reserved_seconds.leg
		AND r.service_id IS NOT DISTINCT FROM _reserved_seconds.pool_service_id AND r.covered > 0
		AND r.released_at IS NULL AND r.expires_at > now() AND r.id IS DISTINCT FROM _reserved_seconds.reservation;
	IF calls IS NULL THEN
		RETURN 0;
	END IF;
	SELECT c.* INTO cycle
	FROM billing._usage_day(at, zone) d(day)
		CROSS JOIN LATERAL billing._pool_cycle(_reserved_seconds.account_id, _reserved_seconds.pool_service_id, d.day, d.day + 1) c
	WHERE c.starts <= _reserved_seconds.at AND _reserved_seconds.at < c.ends;
	SELECT coalesce(sum(o.seconds), 0) INTO total
	FROM (
		SELECT billing._drawing_number(_reserved_seconds.leg, u.call ->> 'did', u.call ->> 'callee') AS number, sum(u.seconds)::bigint AS seconds
		FROM unnest(calls, seconds) u(call, seconds) CROSS JOIN LATERAL (SELECT (u.call ->> 'started_at')::timestamptz AS at) b
		WHERE b.at >= cycle.starts AND b.at < cycle.ends
			AND billing._usage_day(b.at, zone) >= cycle.first_day AND billing._usage_day(b.at, zone) < cycle.end_day
		GROUP BY 1) o
	WHERE billing._share_allowance(cycle.plan_id, _reserved_seconds.leg, _reserved_seconds.number, o.number);
	RETURN total;
END $$;
COMMENT ON FUNCTION billing._reserved_seconds(bigint, bigint, text, text, timestamptz, bigint) IS 'Included seconds of a pool that open reservations count on, except the one that is named: those for the same cycle and for numbers that an allowance covers together with this one (D12).';

CREATE FUNCTION billing._included(accounts bigint[], services bigint[], pools bigint[], included boolean[], did text, callee text, at timestamptz, reservation bigint) RETURNS bigint[]
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	covered bigint[] := array_fill(NULL::bigint, ARRAY[6]);
	pool record;
	number text;
BEGIN
	-- In the order of the locks, for settling takes one a pool.
	FOR pool IN
		SELECT n.place, n.leg, accounts[n.place] AS account_id, services[n.place] AS service_id, pools[n.place] AS pool_service_id
		FROM unnest(billing._leg_names()) WITH ORDINALITY n(leg, place)
		WHERE included[n.place]
		ORDER BY billing._allowance_lock(accounts[n.place], pools[n.place], n.leg)
	LOOP
		number := billing._drawing_number(pool.leg, did, callee);
		PERFORM billing._settle_pool(pool.account_id, pool.service_id, pool.leg, at);
		covered[pool.place] := greatest(0, billing.allowance_remaining(pool.account_id, pool.service_id, pool.leg, number, at)
			- billing._reserved_seconds(pool.account_id, pool.pool_service_id, pool.leg, number, at, reservation));
	END LOOP;
	RETURN covered;
END $$;
COMMENT ON FUNCTION billing._included(bigint[], bigint[], bigint[], boolean[], text, text, timestamptz, bigint) IS 'For each leg that is included the seconds that a call may draw of its pool, less what open reservations of the same pool count on, except the one that is named. Elements are by leg: the account, the service that the call has found, the service whose own plan it is. Settles what is queued of the pools before.';

-- Reservations.

CREATE FUNCTION billing._reserved_call(reservation bigint, OUT caller text, OUT callee text, OUT did text, OUT redirected_by text, OUT auth_code text,
	OUT tenant text, OUT source text, OUT src_trunk text, OUT src_ip text, OUT dst_trunk text, OUT dst_ip text, OUT provider_code text,
	OUT started_at timestamptz, OUT request jsonb) RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
BEGIN
	RETURN QUERY
	SELECT x.*, r.call
	FROM billing.reservation r CROSS JOIN LATERAL jsonb_to_record(r.call) x (caller text, callee text, did text, redirected_by text, auth_code text, tenant text,
		source text, src_trunk text, src_ip text, dst_trunk text, dst_ip text, provider_code text, started_at timestamptz)
	WHERE r.id = _reserved_call.reservation AND r.released_at IS NULL LIMIT 1;
END $$;
COMMENT ON FUNCTION billing._reserved_call(bigint) IS 'What the switch said of the call of an open reservation, by column and as it is kept; no row: there is no such reservation.';

CREATE FUNCTION billing._lock_reservation(reservation bigint) RETURNS SETOF integer
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
BEGIN
	RETURN QUERY SELECT r.seconds FROM billing.reservation r WHERE r.id = _lock_reservation.reservation AND r.released_at IS NULL ORDER BY r.leg LIMIT 1 FOR UPDATE;
END $$;
COMMENT ON FUNCTION billing._lock_reservation(bigint) IS 'Locks the first row of an open reservation, which guards the others, and returns its seconds; no row: there is no such reservation.';

CREATE FUNCTION billing._reserve(reservation bigint, request jsonb, accounts bigint[], amounts numeric[], billsec bigint[], seconds integer, covered bigint[], pools bigint[], expires timestamptz) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	legs text[] := billing._leg_names();
	number bigint := coalesce(reservation, nextval(pg_get_serial_sequence('billing.reservation', 'id')));
	i integer;
BEGIN
	IF reservation IS NOT NULL THEN
		DELETE FROM billing.reservation r WHERE r.id = _reserve.reservation AND accounts[array_position(legs, r.leg)] IS NULL;
	END IF;
	-- One by one: most calls have one leg that is paid for, and a row of values needs no plan of its own.
	FOREACH i IN ARRAY ARRAY[1, 2, 4, 5] LOOP
		CONTINUE WHEN accounts[i] IS NULL;
		INSERT INTO billing.reservation AS r (id, leg, account_id, service_id, call, seconds, amount, covered, expires_at)
		VALUES (number, legs[i], accounts[i], pools[i], request, _reserve.seconds, amounts[i], least(coalesce(_reserve.covered[i], 0), coalesce(billsec[i], 0)), expires)
		ON CONFLICT (id, leg) DO UPDATE SET account_id = EXCLUDED.account_id, service_id = EXCLUDED.service_id, seconds = EXCLUDED.seconds,
			amount = EXCLUDED.amount, covered = EXCLUDED.covered, expires_at = EXCLUDED.expires_at;
	END LOOP;
	RETURN number;
END $$;
COMMENT ON FUNCTION billing._reserve(bigint, jsonb, bigint[], numeric[], bigint[], integer, bigint[], bigint[], timestamptz) IS 'Makes a reservation, or makes one longer, for the legs with an account; covered: what a leg may draw of its pool, of which it reserves no more than is billed. Returns the number.';

CREATE FUNCTION billing.authorize(caller text DEFAULT NULL, callee text DEFAULT NULL, did text DEFAULT NULL, redirected_by text DEFAULT NULL,
	auth_code text DEFAULT NULL, tenant text DEFAULT NULL, source text DEFAULT NULL, src_trunk text DEFAULT NULL, src_ip text DEFAULT NULL,
	dst_trunk text DEFAULT NULL, dst_ip text DEFAULT NULL, provider_code text DEFAULT NULL, at timestamptz DEFAULT now(),
	channels integer DEFAULT NULL, reserve integer DEFAULT NULL, reservation bigint DEFAULT NULL, at_most integer DEFAULT NULL,
	expires interval DEFAULT '1 hour',
	OUT allowed boolean, OUT reason text, OUT leg text, OUT account_id bigint, OUT service_id bigint, OUT reseller_id bigint,
	OUT rate_id bigint, OUT destination text, OUT currency text, OUT price numeric, OUT connect_fee numeric,
	OUT first_increment integer, OUT next_increment integer, OUT max_seconds integer, OUT reservation_id bigint,
	OUT expires_at timestamptz, OUT note text)
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'billing_authorize';
COMMENT ON FUNCTION billing.authorize(text, text, text, text, text, text, text, text, text, text, text, text, timestamptz, integer, integer, bigint, integer, interval) IS
'Asked by a switch before it connects a call (design 6): one record, whatever the call. What the switch knows is named as the columns of billing.cdr; at is the rating instant. channels: calls now in progress on the service, this one not counted; at_most: longest duration wanted, in seconds; reserve: set the money for so many seconds aside until expires has passed; reservation: extend that one by reserve seconds (60 where it is null), the call being the one it was made for.
allowed, or reason and leg: no_account, ambiguous, pattern_error, unknown_did, invalid_number, no_tariff, no_rate, blocked, no_exchange_rate, amount_out_of_range (somebody of the chain, or the owner or the caller of a DID, would not pay: C17), inactive, channels (D7), loss (C24), over_credit_limit, not_enough_balance (any link, and the owner of a DID whose price is above 0: K7), no_reservation. account_id and service_id: who pays, of a call that ends at a DID its owner; price a minute and connect_fee in currency, that of the price list; max_seconds: how long all can pay (null: nothing limits it; 0 where refused), with a reservation for how many seconds from the beginning it is; note: why the loss check could not be made.
Runs with the rights of the ledger''s owner, so a switch needs EXECUTE on this and billing.release() only. Errors: 0A000 for a reservation in a transaction above READ COMMITTED, 55000 without a ledger.';
REVOKE ALL ON FUNCTION billing.authorize(text, text, text, text, text, text, text, text, text, text, text, text, timestamptz, integer, integer, bigint, integer, interval) FROM PUBLIC;

-- Overdrafts.

CREATE FUNCTION billing._check_overdraft(account bigint) RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	spendable numeric := (SELECT s.spendable FROM billing._spendable(_check_overdraft.account) s);
BEGIN
	IF spendable < 0 THEN
		INSERT INTO billing.alert (kind, account_id, detail)
		SELECT 'overdraft', a.id, jsonb_build_object('spendable', spendable, 'currency', a.currency)
		FROM billing.account a WHERE a.id = _check_overdraft.account
		ON CONFLICT (account_id) WHERE kind = 'overdraft' AND ended_at IS NULL DO NOTHING;
		RETURN true;
	END IF;
	UPDATE billing.alert t SET ended_at = now() WHERE t.account_id = _check_overdraft.account AND t.kind = 'overdraft' AND t.ended_at IS NULL;
	RETURN false;
END $$;
COMMENT ON FUNCTION billing._check_overdraft(bigint) IS 'Whether an account owes more than it may; if so there is an alert, one until it has recovered.';

CREATE FUNCTION billing.check_overdrafts() RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
BEGIN
	PERFORM billing.settle_credits();
	RETURN (
		-- In the order of release(), or two who write alerts could wait for each other in a circle.
		SELECT count(*) FILTER (WHERE billing._check_overdraft(o.id))
		FROM (
			SELECT a.id FROM billing.account a WHERE a.billing = 'prepaid' OR a.credit_limit IS NOT NULL
				OR EXISTS (SELECT FROM billing.alert t WHERE t.account_id = a.id AND t.kind = 'overdraft' AND t.ended_at IS NULL)
			ORDER BY a.id OFFSET 0) o);
END $$;
COMMENT ON FUNCTION billing.check_overdrafts() IS 'Settles credits, then looks at every account that has a limit: those that owe more get a row in billing.alert, one until they have recovered; returns how many do. For a scheduler; for its owner.';
REVOKE ALL ON FUNCTION billing.check_overdrafts() FROM PUBLIC;

CREATE FUNCTION billing._release(reservation bigint) RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
BEGIN
	-- The first row guards the others, as in _lock_reservation().
	PERFORM FROM billing.reservation r WHERE r.id = reservation ORDER BY r.leg LIMIT 1 FOR UPDATE;
	UPDATE billing.reservation r SET released_at = now() WHERE r.id = reservation AND r.released_at IS NULL;
	-- What was covered by an allowance is no debt.
	IF EXISTS (SELECT FROM billing.allowance) THEN
		PERFORM billing._settle_pool(r.account_id, r.service_id, r.leg, (r.call ->> 'started_at')::timestamptz)
		FROM (
			SELECT * FROM billing.reservation r WHERE r.id = reservation
			ORDER BY billing._allowance_lock(r.account_id, r.service_id, r.leg)) r;
	END IF;
	RETURN (SELECT bool_or(billing._check_overdraft(a.account_id))
		FROM (SELECT DISTINCT r.account_id FROM billing.reservation r WHERE r.id = reservation ORDER BY 1) a);
END $$;
COMMENT ON FUNCTION billing._release(bigint) IS 'What billing.release() runs with the rights of the ledger''s owner.';
REVOKE ALL ON FUNCTION billing._release(bigint) FROM PUBLIC;

CREATE FUNCTION billing.release(reservation bigint) RETURNS boolean
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'billing_for_switch';
COMMENT ON FUNCTION billing.release(bigint) IS 'Settles a reservation when its call is over and stored in billing.cdr, or was not made: its money can be spent again. True: an account that it was made on now owes more than it may, and billing.alert says so; null: there is no such reservation. Again: the same answer. Runs as billing.authorize() does.';
REVOKE ALL ON FUNCTION billing.release(bigint) FROM PUBLIC;
