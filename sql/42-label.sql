-- Names under which calls are counted: cost centres, destinations, time zones. They are frozen once a call carries them;
-- what changes them counts those calls anew (design 6).

CREATE FUNCTION billing._accounts_naming(service_ids bigint[], rate_ids bigint[]) RETURNS bigint[]
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET row_security = off SET jit = off AS $$
BEGIN
	RETURN ARRAY(
		SELECT DISTINCT l.account_id
		FROM billing.cdr c
			CROSS JOIN LATERAL (VALUES (c.customer_account_id, c.customer_service_id, c.customer_rate_id, c.customer_amount),
				(c.reseller_account_id, NULL, c.reseller_rate_id, c.reseller_amount),
				(c.provider_account_id, c.provider_service_id, c.provider_rate_id, c.provider_amount),
				(c.did_incoming_account_id, c.did_service_id, NULL, c.did_incoming_amount),
				(c.did_owner_account_id, c.did_service_id, NULL, c.did_owner_amount),
				(c.did_provider_account_id, c.did_service_id, NULL, c.did_provider_amount)) l(account_id, service_id, rate_id, amount)
		WHERE (l.account_id IS NOT NULL OR l.amount IS NOT NULL)
			AND (l.service_id IN (SELECT unnest(service_ids)) OR l.rate_id IN (SELECT unnest(rate_ids))));
END $$;
COMMENT ON FUNCTION billing._accounts_naming(bigint[], bigint[]) IS 'The accounts of the legs that carry a name of one of these services or rates, null among them for legs without account. One scan of billing.cdr.';

CREATE FUNCTION billing._queue_accounts(account_ids bigint[]) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM billing._queue_account(a.id)
	FROM billing.account a
	WHERE a.id = ANY (account_ids) AND EXISTS (
		SELECT FROM billing.allowance l
		WHERE l.plan_id = a.plan_id
			OR l.plan_id IN (SELECT t.plan_id FROM billing.account_terms t WHERE t.account_id = a.id)
			OR l.plan_id IN (SELECT s.plan_id FROM billing.service s WHERE s.account_id = a.id)
			OR l.plan_id IN (SELECT t.plan_id FROM billing.service s JOIN billing.service_terms t ON t.service_id = s.id WHERE s.account_id = a.id));
END $$;
COMMENT ON FUNCTION billing._queue_accounts(bigint[]) IS 'Queues the pools of included minutes of those of these accounts that have any.';

CREATE FUNCTION billing.change_cost_center(service_id bigint, cost_center text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	former text;
BEGIN
	PERFORM billing._require_ledger();
	PERFORM billing._require_read_committed('billing.change_cost_center()');
	-- The service before the calls, as an UPDATE of it does by its guards.
	SELECT s.cost_center INTO former FROM billing.service s WHERE s.id = change_cost_center.service_id FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no service %', coalesce(service_id::text, 'null') USING
			ERRCODE = 'no_data_found',
			HINT = 'Services are named by their id.';
	ELSIF former IS NOT DISTINCT FROM cost_center THEN
		RETURN;
	END IF;
	PERFORM billing._lock_accounting();
	-- The proof that keep_service() asks for.
	INSERT INTO billing.label_change (kind, object_id, old, new) VALUES ('service', change_cost_center.service_id, former, change_cost_center.cost_center);
	UPDATE billing.service s SET cost_center = change_cost_center.cost_center WHERE s.id = change_cost_center.service_id;
	PERFORM billing._rebuild_usage(billing._accounts_naming(ARRAY[change_cost_center.service_id], NULL));
END $$;
COMMENT ON FUNCTION billing.change_cost_center(bigint, text) IS 'Changes the cost centre of a service (null: none), also of one that has calls: they are counted under the new one (D15); archived calls stay under the old one, which billing.label_change keeps. Whoever loads calls waits until the transaction ends. For the ledger''s owner. P0002 when there is no such service, 25000 unless READ COMMITTED, 55000 without a ledger.';

CREATE FUNCTION billing.rename_destination(rate_ids bigint[], destination text) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	renamed bigint[];
BEGIN
	PERFORM billing._require_ledger();
	PERFORM billing._require_read_committed('billing.rename_destination()');
	renamed := ARRAY(
		SELECT r.id FROM billing.rate r
		WHERE r.id = ANY (rate_ids) AND r.destination IS DISTINCT FROM rename_destination.destination ORDER BY r.id FOR NO KEY UPDATE);
	PERFORM billing._lock_accounting();
	-- The proof that keep_rate() asks for.
	INSERT INTO billing.label_change (kind, object_id, old, new)
	SELECT 'rate', r.id, r.destination, rename_destination.destination FROM billing.rate r WHERE r.id = ANY (renamed);
	UPDATE billing.rate r SET destination = rename_destination.destination WHERE r.id = ANY (renamed);
	PERFORM billing._rebuild_usage(billing._accounts_naming(NULL, renamed));
	RETURN cardinality(renamed);
END $$;
COMMENT ON FUNCTION billing.rename_destination(bigint[], text) IS 'Gives rates another destination (null: none), also those that have priced calls, which are counted under the new one; archived calls stay under the old one, which billing.label_change keeps. Returns how many rates it changed. Whoever loads calls waits until the transaction ends. For the ledger''s owner. 25000 unless READ COMMITTED, 55000 without a ledger.';

CREATE FUNCTION billing.rename_destination(tariff_id bigint, old text, new text) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM billing._require_ledger();
	RETURN billing.rename_destination(ARRAY(
		SELECT r.id FROM billing.rate r
		WHERE r.tariff_id = rename_destination.tariff_id AND r.destination IS NOT DISTINCT FROM rename_destination.old), new);
END $$;
COMMENT ON FUNCTION billing.rename_destination(bigint, text, text) IS 'Renames a destination (null: none) in all rates of a tariff, as rename_destination(rate_ids, destination).';
REVOKE ALL ON FUNCTION billing.change_cost_center(bigint, text), billing.rename_destination(bigint[], text), billing.rename_destination(bigint, text, text) FROM PUBLIC;

CREATE FUNCTION billing.keep_orphan() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF EXISTS (SELECT FROM billing.usage_orphan o WHERE o.kind = NEW.kind AND o.id = NEW.id) THEN
		RETURN NULL;
	ELSIF (CASE NEW.kind WHEN 'account' THEN EXISTS (SELECT FROM billing.account a WHERE a.id = NEW.id)
		WHEN 'service' THEN EXISTS (SELECT FROM billing.service s WHERE s.id = NEW.id) ELSE EXISTS (SELECT FROM billing.rate r WHERE r.id = NEW.id) END)
	THEN
		RAISE EXCEPTION '% % came while calls that name it were counted', NEW.kind, NEW.id USING
			ERRCODE = 'serialization_failure',
			DETAIL = 'They were looked at without its time zone, currency or name.',
			HINT = 'Run the statement again.';
	END IF;
	RETURN NEW;
END $$;
COMMENT ON FUNCTION billing.keep_orphan() IS 'BEFORE INSERT row trigger of usage_orphan: notes each name once, also in a data-only restore; 40001 when what it names has been committed since the accounting pass did not find it (design 6).';

CREATE FUNCTION billing.count_orphans() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	ids bigint[];
	account_ids bigint[];
BEGIN
	-- Whoever counts calls with names that he does not know has noted them, or waits and then finds ours: see keep_orphan().
	LOCK TABLE billing.usage_orphan IN SHARE MODE;
	ids := ARRAY(SELECT o.id FROM billing.usage_orphan o JOIN written w ON w.id = o.id WHERE o.kind = TG_TABLE_NAME);
	IF ids = '{}' THEN
		RETURN NULL;
	END IF;
	PERFORM billing._require_read_committed(format('INSERT INTO billing.%I of names that calls carry already', TG_TABLE_NAME));
	PERFORM billing._lock_accounting();
	account_ids := CASE TG_TABLE_NAME WHEN 'account' THEN ids WHEN 'service' THEN billing._accounts_naming(ids, NULL) ELSE billing._accounts_naming(NULL, ids) END;
	PERFORM billing._rebuild_usage(account_ids);
	PERFORM billing._queue_accounts(account_ids);
	DELETE FROM billing.usage_orphan o WHERE o.kind = TG_TABLE_NAME AND o.id = ANY (ids);
	RETURN NULL;
END $$;
COMMENT ON FUNCTION billing.count_orphans() IS 'AFTER INSERT statement trigger of account, service and rate, with a transition table: counts the calls anew that carry the names of rows which arrive after them, as in a data-only restore (billing.usage_orphan, design 6); waits for loads in flight that carry names which are not there. 25000 unless READ COMMITTED, if there are such calls.';
