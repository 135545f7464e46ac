-- Credits: what a charge costs less because of other calls (design 6). Statements queue the pools that they touch,
-- by plain append; settle_credits() works them out.

CREATE FUNCTION billing._did_number(did text, callee_number text, callee text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN regexp_replace(coalesce(nullif(did, ''), nullif(callee_number, ''), callee, ''), '^\+', '');
COMMENT ON FUNCTION billing._did_number(text, text, text) IS 'The DID of a call with DID legs: did, else the callee, without + (design 5, step 6). Empty when there is none. Raises no error.';

CREATE FUNCTION billing._session_pool(session_id text, number text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
RETURN (SELECT CASE WHEN octet_length(n.name) <= 1000 THEN n.name
	ELSE left(n.name, 200) || '#' || to_hex(hashtextextended(n.name, 1)) || to_hex(hashtextextended(n.name, 2)) END
	FROM (SELECT jsonb_build_array(session_id, number)::text AS name) n);
COMMENT ON FUNCTION billing._session_pool(text, text) IS 'Name of the pool of a session fee: session and DID as a JSON array, so that no two pools have one name; beyond 1,000 bytes its beginning and a digest, so that an index can hold it.';

CREATE FUNCTION billing._pool_lock(session_id text, number text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
RETURN (hashtextextended(session_id || ' ' || number, 0) & 255)::integer;
COMMENT ON FUNCTION billing._pool_lock(text, text) IS 'Which of the 256 advisory locks guards a pool: a transaction that settles a million sessions holds no more.';

CREATE FUNCTION billing._settle_session_fees(sessions text[], numbers text[]) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	WITH pool AS MATERIALIZED (
		SELECT u.session_id, u.number, billing._session_pool(u.session_id, u.number) AS name FROM unnest(sessions, numbers) u(session_id, number)
	), fee AS MATERIALIZED (
		-- From the first row of each session on, in the order of reading 8. Rows without a fee have nothing to share.
		SELECT c.id AS cdr_id, c.started_at, p.name AS pool, l.leg, f.fee,
			row_number() OVER (PARTITION BY p.name, l.leg ORDER BY c.started_at, c.source, c.call_id, c.id) AS place
		FROM pool p
			JOIN billing.cdr c ON c.session_id = p.session_id AND billing._did_number(c.did, c.callee_number, c.callee) = p.number
			CROSS JOIN LATERAL (VALUES ('did_incoming', c.did_incoming_amount), ('did_owner', c.did_owner_amount), ('did_provider', c.did_provider_amount)) l(leg, amount)
			CROSS JOIN LATERAL (SELECT billing.did_fee(c, l.leg) AS fee WHERE l.amount IS NOT NULL OFFSET 0) f
		WHERE c.session_id <> '' AND coalesce(c.did_incoming_amount, c.did_owner_amount, c.did_provider_amount) IS NOT NULL AND f.fee <> 0
	), due AS MATERIALIZED (
		SELECT f.cdr_id, f.started_at, f.pool, f.leg, f.fee FROM fee f WHERE f.place > 1
	), gone AS (
		DELETE FROM billing.credit k USING pool p
		WHERE k.pool = p.name AND k.kind = 'session_fee' AND NOT EXISTS (
			SELECT FROM due d WHERE d.cdr_id = k.cdr_id AND d.started_at = k.started_at AND d.leg = k.leg AND d.pool = k.pool)
	)
	INSERT INTO billing.credit AS k (cdr_id, started_at, leg, kind, pool, amount)
	SELECT d.cdr_id, d.started_at, d.leg, 'session_fee', d.pool, d.fee FROM due d
	ON CONFLICT ON CONSTRAINT credit_key DO UPDATE SET amount = EXCLUDED.amount WHERE k.amount <> EXCLUDED.amount;
END $$;
COMMENT ON FUNCTION billing._settle_session_fees(text[], text[]) IS 'Works out the session fee credits of the pools (session, DID) anew, from all calls that are there; writes only what differs. The caller holds their locks.';

CREATE FUNCTION billing.settle_credits() RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	settled bigint := 0;
	slot integer;
	sessions text[];
	numbers text[];
BEGIN
	PERFORM billing._require_ledger();
	-- In the order of the locks, so that two who settle at once wait for each other and never in a circle.
	FOR slot IN SELECT DISTINCT billing._pool_lock(q.session_id, q.number) FROM billing.credit_queue q WHERE q.kind = 'session_fee' ORDER BY 1 LOOP
		PERFORM pg_advisory_xact_lock('billing.credit'::regclass::oid::integer, slot);
		-- Each statement reads anew: calls that are committed between the two have left a row in the queue, which
		-- the next who settles finds. Settling twice changes nothing.
		WITH drained AS (
			DELETE FROM billing.credit_queue q
			WHERE q.kind = 'session_fee' AND billing._pool_lock(q.session_id, q.number) = slot
			RETURNING q.session_id, q.number
		)
		SELECT array_agg(d.session_id), array_agg(d.number) INTO sessions, numbers FROM (SELECT DISTINCT e.session_id, e.number FROM drained e) d;
		CONTINUE WHEN sessions IS NULL;
		PERFORM billing._settle_session_fees(sessions, numbers);
		settled := settled + cardinality(sessions);
	END LOOP;
	RETURN settled;
END $$;
COMMENT ON FUNCTION billing.settle_credits() IS 'Works out what billing.credit_queue asks for, and returns how many pools that were. Of the connect fees of a DID leg, the first call of a session (by start, source, call_id, id) keeps its fee, and the others are credited theirs (K4, reading 8), whatever the order in which calls came, changed or went. Sessions may settle at once; one waits for the other on the same calls. For the ledger''s owner. 55000 without a ledger.';
REVOKE ALL ON FUNCTION billing.settle_credits() FROM PUBLIC;
