-- Before a call (design 6): who pays, may the call be made and how long, and money set aside for it.

CREATE FUNCTION billing._quote_call(cdr anyelement, seconds integer,
	OUT customer_service_id bigint, OUT did_service_id bigint, OUT invalid text, OUT did_reason text,
	OUT account_id bigint[], OUT rate_id bigint[], OUT reason text[], OUT amount numeric[], OUT tariff_id bigint[],
	OUT currency text[], OUT price numeric[], OUT connect_fee numeric[], OUT first_increment integer[], OUT next_increment integer[],
	OUT included boolean[], OUT pool_service_id bigint[])
LANGUAGE C STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'billing_quote_call';
COMMENT ON FUNCTION billing._quote_call(anyelement, integer) IS 'What rate_call would make of the call if it were answered and lasted so many seconds, and by which terms. Arrays have an element for each leg: customer, reseller, provider, did_incoming, did_owner, did_provider. tariff_id is the price list that was asked, the prices are in currency, that of the list that had the rate; included: the leg''s plan has an allowance for such legs, pool_service_id: of that service, null: of the account. For those who may read the catalogue: 42501 for others, else errors as rate_call.';

CREATE FUNCTION billing._longest_call(cdr anyelement, spendable numeric[], covered bigint[], most integer,
	OUT seconds integer, OUT short_leg text, OUT amount numeric[], OUT billsec bigint[])
LANGUAGE C STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'billing_longest_call';
COMMENT ON FUNCTION billing._longest_call(anyelement, numeric[], bigint[], integer) IS 'The longest duration, up to most seconds, for which the customer, the reseller and, of a DID, its owner and who dials it can each pay what the call and every shorter one will be charged; 0 when one cannot pay the first increment (reading 9). spendable: what the account of each leg can spend (null: no limit), the same for legs of one account, which pays for them together; covered: billed seconds of an allowance. short_leg: who cannot pay more; amount: the most that each leg owes by then; billsec: its billed seconds, null for none. A call that may become cheaper while it lasts gets a day at most. For those who may read the catalogue: 42501 for others, 22023 for most out of range.';

CREATE FUNCTION billing._spendable(account_id bigint, reservation bigint DEFAULT NULL, OUT spendable numeric, OUT available numeric) RETURNS record
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	credit_limit numeric;
BEGIN
	SELECT CASE WHEN a.billing = 'prepaid' THEN coalesce(a.credit_limit, 0) ELSE a.credit_limit END INTO credit_limit
	FROM billing.account a WHERE a.id = _spendable.account_id;
	IF credit_limit IS NULL THEN
		RETURN;
	END IF;
	spendable := credit_limit
		+ coalesce((SELECT sum(e.amount) FROM billing.entry e WHERE e.account_id = _spendable.account_id), 0)
		- coalesce((SELECT sum(m.amount - m.credit) FROM billing.usage_month m WHERE m.account_id = _spendable.account_id), 0)
		- coalesce((SELECT sum(u.amount - u.credit) FROM billing.usage u WHERE u.account_id = _spendable.account_id AND u.slot > 0), 0);
	available := spendable - coalesce((
		SELECT sum(r.amount) FROM billing.reservation r
		WHERE r.account_id = _spendable.account_id AND r.released_at IS NULL AND r.expires_at > now() AND r.id IS DISTINCT FROM _spendable.reservation), 0);
END $$;
COMMENT ON FUNCTION billing._spendable(bigint, bigint) IS 'What an account can spend, in its currency: its balance and its credit limit (reading 33), read from sums by month and the days that are not folded yet. available: less what open reservations set aside, except the one that is named. Both null where there is no limit: a postpaid account without one, and an unknown account; a prepaid one without has 0.';

CREATE FUNCTION billing._converted(amount numeric, base text, quote text, at timestamptz) RETURNS numeric
LANGUAGE sql STABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp AS $$
	SELECT CASE WHEN base = quote THEN amount ELSE coalesce(
		amount * (SELECT x.rate FROM billing.exchange_rate x WHERE x.base = $2 AND x.quote = $3 AND x.valid_from <= $4 ORDER BY x.valid_from DESC LIMIT 1),
		amount / (SELECT x.rate FROM billing.exchange_rate x WHERE x.base = $3 AND x.quote = $2 AND x.valid_from <= $4 ORDER BY x.valid_from DESC LIMIT 1)) END
$$;
COMMENT ON FUNCTION billing._converted(numeric, text, text, timestamptz) IS 'An amount in another currency by the exchange rate in force, the direct pair, else the inverse (C28); not rounded. Null where there is none.';

-- The operator's loss on a call of average length: what it is paid against what it pays for the route.
CREATE FUNCTION billing._loses(call record, quote record, OUT loses boolean, OUT note text, OUT leg text) RETURNS record
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	buyer integer := CASE WHEN quote.account_id[2] IS NULL THEN 1 ELSE 2 END;
	tariff record;
	average record;
	cost numeric;
BEGIN
	loses := false;
	leg := (billing._leg_names())[buyer];
	IF quote.tariff_id[buyer] IS NULL OR quote.account_id[3] IS NULL THEN
		RETURN;
	END IF;
	SELECT t.average_duration, t.loss_percent INTO tariff FROM billing.tariff t WHERE t.id = quote.tariff_id[buyer];
	SELECT q.* INTO average FROM billing._quote_call(call, tariff.average_duration) q;
	IF average.amount[3] IS NULL THEN
		note := average.reason[3];
		RETURN;
	END IF;
	SELECT billing._converted(-average.amount[3], p.currency, b.currency, call.started_at) INTO cost
	FROM billing.account p, billing.account b WHERE p.id = quote.account_id[3] AND b.id = quote.account_id[buyer];
	IF cost IS NULL THEN
		note := 'no_exchange_rate';
	ELSE
		loses := cost > average.amount[buyer] * (1 + tariff.loss_percent / 100);
	END IF;
END $$;
COMMENT ON FUNCTION billing._loses(record, record) IS 'The loss check (C24, reading 35): whether a call of the average_duration of the price list by which the operator is paid, the reseller''s if there is one, else the customer''s, would cost at the provider whom the call names more than its price and loss_percent of the price on top; -10 asks that a tenth of the price remain. Without a provider there is nothing to compare. note: why it could not be compared; leg: whose price it is.';

-- Why a call may not be made, but for money.

CREATE FUNCTION billing._leg_names() RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ARRAY['customer', 'reseller', 'provider', 'did_incoming', 'did_owner', 'did_provider'];
COMMENT ON FUNCTION billing._leg_names() IS 'The legs of a call in the order of the arrays of _quote_call().';

CREATE FUNCTION billing._unpriced(quote record, owner_id bigint, OUT reason text, OUT leg text) RETURNS record
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	i integer;
BEGIN
	leg := 'customer';
	reason := quote.invalid;
	IF reason IS NOT NULL THEN
		RETURN;
	END IF;
	-- Somebody in the chain would not pay (C17); a note beside an amount says that the account is missing.
	FOREACH i IN ARRAY ARRAY[1, 2, 5, 4] LOOP
		IF quote.reason[i] IS NOT NULL THEN
			reason := quote.reason[i];
			leg := (billing._leg_names())[i];
			RETURN;
		END IF;
	END LOOP;
	IF quote.account_id[1] IS NULL AND owner_id IS NULL THEN
		reason := CASE WHEN quote.did_service_id IS NULL THEN coalesce(quote.did_reason, 'no_account') ELSE 'no_account' END;
		leg := CASE WHEN quote.did_service_id IS NULL AND quote.did_reason IS NULL THEN 'customer' ELSE 'did_owner' END;
	END IF;
END $$;
COMMENT ON FUNCTION billing._unpriced(record, bigint) IS 'The first reason for which one who should pay a call would not: of its customer, reseller, the owner of the DID (owner_id: who holds it), who dials it; reason null: none.';

CREATE FUNCTION billing._barred(quote record, payer integer, owner_id bigint, service_id bigint, channels integer, OUT reason text, OUT leg text) RETURNS record
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	accounts bigint[] := ARRAY[quote.account_id[1], quote.account_id[2], NULL, quote.account_id[4], owner_id];
BEGIN
	SELECT (billing._leg_names())[array_position(accounts, a.id)] INTO leg
	FROM billing.account a WHERE a.id = ANY (accounts) AND NOT a.active
	ORDER BY array_position(accounts, a.id) LIMIT 1;
	IF FOUND THEN
		reason := 'inactive';
	ELSIF EXISTS (SELECT FROM billing.service s WHERE s.id = _barred.service_id AND _barred.channels >= s.max_channels) THEN
		reason := 'channels';
		leg := (billing._leg_names())[payer];
	END IF;
END $$;
COMMENT ON FUNCTION billing._barred(record, integer, bigint, bigint, integer) IS 'inactive: the account of a leg, or of the DID, is switched off; channels: the service has as many calls in progress as it may have (D7); reason null: neither.';

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

CREATE FUNCTION billing._included(call record, quote record, payers bigint[], reservation bigint, OUT covered bigint[], OUT pools bigint[]) RETURNS record
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	services bigint[] := ARRAY[quote.customer_service_id, NULL, NULL, NULL, quote.did_service_id];
	number text;
	pool record;
	i integer;
BEGIN
	covered := array_fill(NULL::bigint, ARRAY[6]);
	pools := covered;
	IF NOT true = ANY (quote.included) THEN
		RETURN;
	END IF;
	-- In the order of the locks, for settling takes one a pool.
	FOR pool IN
		SELECT n.place, n.name, quote.pool_service_id[n.place] AS pool_service_id
		FROM unnest(billing._leg_names()) WITH ORDINALITY n(name, place)
		WHERE payers[n.place] IS NOT NULL AND quote.included[n.place]
		ORDER BY billing._allowance_lock(payers[n.place], quote.pool_service_id[n.place], n.name)
	LOOP
		i := pool.place;
		number := billing._drawing_number(pool.name, call.did, call.callee);
		PERFORM billing._settle_pool(payers[i], services[i], pool.name, call.started_at);
		pools[i] := pool.pool_service_id;
		covered[i] := greatest(0, billing.allowance_remaining(payers[i], services[i], pool.name, number, call.started_at)
			- billing._reserved_seconds(payers[i], pool.pool_service_id, pool.name, number, call.started_at, reservation));
	END LOOP;
END $$;
COMMENT ON FUNCTION billing._included(record, record, bigint[], bigint) IS 'For each leg the included seconds that the call may draw, less what open reservations of the same pool count on, except the one that is named; and the service whose own plan it is. Settles what is queued of the pools before.';

-- Reservations.

CREATE FUNCTION billing._lock_accounts(accounts bigint[]) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	class integer := ('billing.reservation'::regclass::oid::bigint - 2147483648)::integer;
	object integer;
BEGIN
	IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
		RAISE EXCEPTION 'a reservation cannot be made in a transaction that is %', upper(current_setting('transaction_isolation')) USING
			ERRCODE = 'feature_not_supported',
			DETAIL = 'It must see the reservations that other transactions have made since this one began.',
			HINT = 'Use READ COMMITTED.';
	END IF;
	-- Who has no limit cannot run out of it, and a large reseller's calls need not wait for each other.
	FOR object IN
		SELECT DISTINCT (a.id % 2147483648)::integer FROM billing.account a
		WHERE a.id = ANY (accounts) AND (a.billing = 'prepaid' OR a.credit_limit IS NOT NULL) ORDER BY 1
	LOOP
		PERFORM pg_advisory_xact_lock(class, object);
	END LOOP;
END $$;
COMMENT ON FUNCTION billing._lock_accounts(bigint[]) IS 'Lets one transaction at a time make reservations on those of these accounts that have a limit; in the order of their ids, so that two cannot wait for each other. 0A000 where the transaction would not see what others have reserved before it.';

CREATE FUNCTION billing._reserve(reservation bigint, request jsonb, accounts bigint[], amounts numeric[], billsec bigint[], seconds integer, covered bigint[], pools bigint[], expires timestamptz) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	number bigint := coalesce(reservation, nextval(pg_get_serial_sequence('billing.reservation', 'id')));
BEGIN
	DELETE FROM billing.reservation r
	WHERE r.id = _reserve.reservation AND _reserve.accounts[array_position(billing._leg_names(), r.leg)] IS NULL;
	INSERT INTO billing.reservation AS r (id, leg, account_id, service_id, call, seconds, amount, covered, expires_at)
	SELECT number, (billing._leg_names())[i], _reserve.accounts[i], _reserve.pools[i], _reserve.request, _reserve.seconds, _reserve.amounts[i],
		least(coalesce(_reserve.covered[i], 0), coalesce(_reserve.billsec[i], 0)), _reserve.expires
	FROM unnest(ARRAY[1, 2, 4, 5]) i
	WHERE _reserve.accounts[i] IS NOT NULL
	ON CONFLICT (id, leg) DO UPDATE SET account_id = EXCLUDED.account_id, service_id = EXCLUDED.service_id, seconds = EXCLUDED.seconds,
		amount = EXCLUDED.amount, covered = EXCLUDED.covered, expires_at = EXCLUDED.expires_at;
	RETURN number;
END $$;
COMMENT ON FUNCTION billing._reserve(bigint, jsonb, bigint[], numeric[], bigint[], integer, bigint[], bigint[], timestamptz) IS 'Makes a reservation, or makes one longer, for the legs with an account; covered: what a leg may draw of its pool, of which it reserves no more than is billed. Returns the number.';

CREATE FUNCTION billing._authorize(caller text, callee text, did text, redirected_by text, auth_code text, tenant text, source text,
	src_trunk text, src_ip text, dst_trunk text, dst_ip text, provider_code text, at timestamptz, channels integer,
	reserve integer, reservation bigint, at_most integer, expires interval,
	OUT allowed boolean, OUT reason text, OUT leg text, OUT account_id bigint, OUT service_id bigint, OUT reseller_id bigint,
	OUT rate_id bigint, OUT destination text, OUT currency text, OUT price numeric, OUT connect_fee numeric,
	OUT first_increment integer, OUT next_increment integer, OUT max_seconds integer, OUT reservation_id bigint,
	OUT expires_at timestamptz, OUT note text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	longest CONSTANT integer := 999999999;
	request jsonb := jsonb_build_object('caller', caller, 'callee', callee, 'did', did, 'redirected_by', redirected_by, 'auth_code', auth_code,
		'tenant', tenant, 'source', source, 'src_trunk', src_trunk, 'src_ip', src_ip, 'dst_trunk', dst_trunk, 'dst_ip', dst_ip,
		'provider_code', provider_code, 'started_at', coalesce(at, now()));
	reserves boolean := reserve IS NOT NULL OR reservation IS NOT NULL;
	held integer := 0;
	call record;
	quote record;
	answer record;
	payer integer;
	owner_id bigint;
	payers bigint[];
	spendable numeric[] := array_fill(NULL::numeric, ARRAY[6]);
	included record;
	most integer;
	i integer;
BEGIN
	allowed := false;
	max_seconds := 0;
	IF reservation IS NOT NULL THEN
		SELECT r.call INTO request FROM billing.reservation r WHERE r.id = reservation AND r.released_at IS NULL LIMIT 1;
		IF NOT FOUND THEN
			reason := 'no_reservation';
			RETURN;
		END IF;
	END IF;
	SELECT x.* INTO call FROM jsonb_to_record(request) x (caller text, callee text, did text, redirected_by text, auth_code text, tenant text,
		source text, src_trunk text, src_ip text, dst_trunk text, dst_ip text, provider_code text, started_at timestamptz);
	SELECT q.* INTO quote FROM billing._quote_call(call, 1) q;
	IF quote.did_service_id IS NOT NULL THEN
		SELECT s.account_id INTO owner_id FROM billing.service s WHERE s.id = quote.did_service_id;
	END IF;

	payer := CASE WHEN quote.account_id[1] IS NOT NULL OR owner_id IS NULL THEN 1 ELSE 5 END;
	account_id := CASE payer WHEN 1 THEN quote.account_id[1] ELSE owner_id END;
	service_id := CASE payer WHEN 1 THEN quote.customer_service_id ELSE quote.did_service_id END;
	reseller_id := quote.account_id[2];
	rate_id := quote.rate_id[payer];
	IF payer = 1 AND rate_id IS NOT NULL THEN
		SELECT r.destination INTO destination FROM billing.rate r WHERE r.id = quote.rate_id[1];
	END IF;
	currency := quote.currency[payer];
	price := quote.price[payer];
	connect_fee := quote.connect_fee[payer];
	first_increment := quote.first_increment[payer];
	next_increment := quote.next_increment[payer];

	SELECT u.* INTO reason, leg FROM billing._unpriced(quote, owner_id) u;
	IF reason IS NULL THEN
		SELECT b.* INTO reason, leg FROM billing._barred(quote, payer, owner_id, service_id, channels) b;
	END IF;
	IF reason IS NULL THEN
		SELECT l.* INTO answer FROM billing._loses(call, quote) l;
		note := answer.note;
		IF answer.loses THEN
			reason := 'loss';
			leg := answer.leg;
		END IF;
	END IF;
	IF reason IS NOT NULL THEN
		RETURN;
	END IF;

	payers := ARRAY[quote.account_id[1], quote.account_id[2], NULL, quote.account_id[4], CASE payer WHEN 1 THEN quote.account_id[5] ELSE owner_id END];
	IF reserves THEN
		PERFORM billing._lock_accounts(payers);
		IF reservation IS NOT NULL THEN
			SELECT r.seconds INTO held FROM billing.reservation r WHERE r.id = reservation AND r.released_at IS NULL ORDER BY r.leg LIMIT 1 FOR UPDATE;
			IF NOT FOUND THEN
				reason := 'no_reservation';
				RETURN;
			END IF;
		END IF;
	END IF;
	SELECT n.* INTO included FROM billing._included(call, quote, payers, reservation) n;
	FOREACH i IN ARRAY ARRAY[1, 2, 4, 5] LOOP
		CONTINUE WHEN payers[i] IS NULL;
		SELECT s.* INTO answer FROM billing._spendable(payers[i], reservation) s;
		spendable[i] := answer.available;
		IF answer.spendable < 0 AND i IN (1, 2) AND reason IS NULL THEN
			reason := 'over_credit_limit';
			leg := (billing._leg_names())[i];
		END IF;
	END LOOP;
	IF reason IS NOT NULL THEN
		RETURN;
	END IF;

	most := least(CASE WHEN at_most < 1 THEN 1 ELSE at_most END, longest, CASE WHEN reserves THEN held::bigint + greatest(coalesce(reserve, 60), 1) END);
	IF reserves OR at_most IS NOT NULL OR EXISTS (SELECT FROM unnest(spendable) s WHERE s IS NOT NULL) THEN
		SELECT l.* INTO answer FROM billing._longest_call(call, spendable, included.covered, most) l;
		IF answer.seconds = 0 OR (answer.seconds <= held AND answer.short_leg IS NOT NULL) THEN
			reason := 'not_enough_balance';
			leg := answer.short_leg;
			RETURN;
		END IF;
		max_seconds := nullif(answer.seconds, longest);
	ELSE
		max_seconds := NULL;
	END IF;
	allowed := true;
	IF reserves THEN
		expires_at := now() + coalesce(expires, interval '1 hour');
		reservation_id := billing._reserve(reservation, request, payers, answer.amount, answer.billsec, answer.seconds,
			included.covered, included.pools, expires_at);
	END IF;
END $$;
COMMENT ON FUNCTION billing._authorize(text, text, text, text, text, text, text, text, text, text, text, text, timestamptz, integer, integer, bigint, integer, interval) IS 'What billing.authorize() runs with the rights of the ledger''s owner.';
REVOKE ALL ON FUNCTION billing._authorize(text, text, text, text, text, text, text, text, text, text, text, text, timestamptz, integer, integer, bigint, integer, interval) FROM PUBLIC;

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
AS 'MODULE_PATHNAME', 'billing_for_switch';
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
		SELECT count(*) FILTER (WHERE billing._check_overdraft(a.id))
		FROM billing.account a WHERE a.billing = 'prepaid' OR a.credit_limit IS NOT NULL
			OR EXISTS (SELECT FROM billing.alert t WHERE t.account_id = a.id AND t.kind = 'overdraft' AND t.ended_at IS NULL));
END $$;
COMMENT ON FUNCTION billing.check_overdrafts() IS 'Settles credits, then looks at every account that has a limit: those that owe more get a row in billing.alert, one until they have recovered; returns how many do. For a scheduler; for its owner.';
REVOKE ALL ON FUNCTION billing.check_overdrafts() FROM PUBLIC;

CREATE FUNCTION billing._release(reservation bigint) RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
BEGIN
	-- The first row guards the others, as in _authorize().
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
