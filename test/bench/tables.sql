-- Beside billing.cdr: tables of the same columns, indexes and partitions, and what people write instead of us.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS prefix;
CREATE EXTENSION IF NOT EXISTS btree_gist;

CREATE PROCEDURE bench.twin(name text, indexed boolean) LANGUAGE plpgsql AS $$
DECLARE
	part record;
BEGIN
	EXECUTE format('CREATE TABLE bench.%I (LIKE billing.cdr INCLUDING DEFAULTS %s) PARTITION BY RANGE (started_at)', name,
		CASE WHEN indexed THEN 'INCLUDING INDEXES' ELSE '' END);
	FOR part IN SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) AS bound FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid WHERE i.inhparent = 'billing.cdr'::regclass LOOP
		EXECUTE format('CREATE TABLE bench.%I PARTITION OF bench.%I %s', name || '_' || part.relname, name, part.bound);
	END LOOP;
END $$;

-- plain stores what comes; rating prices and counts nothing; gist and btree are hand-written; the bare ones have no index.
CALL bench.twin('plain', true);
CALL bench.twin('rating', true);
CALL bench.twin('gist', true);
CALL bench.twin('btree', true);
CALL bench.twin('plain_bare', false);
CALL bench.twin('rating_bare', false);
CALL bench.twin('gist_bare', false);
CREATE TRIGGER zz_rate BEFORE INSERT OR UPDATE ON bench.rating FOR EACH ROW EXECUTE FUNCTION billing.rate_cdr();
CREATE TRIGGER zz_rate BEFORE INSERT OR UPDATE ON bench.rating_bare FOR EACH ROW EXECUTE FUNCTION billing.rate_cdr();

-- The same catalogue as people keep it: who calls and who carries, prices by prefix, and zones to report by.
CREATE TABLE bench.caller (auth_code text PRIMARY KEY, account_id bigint NOT NULL, service_id bigint NOT NULL, tariff_id bigint NOT NULL);
INSERT INTO bench.caller SELECT s.identifier, a.id, s.id, a.tariff_id FROM billing.service AS s JOIN billing.account AS a ON a.id = s.account_id WHERE s.kind = 'auth_code';
CREATE TABLE bench.carrier (trunk text PRIMARY KEY, account_id bigint NOT NULL, service_id bigint NOT NULL, tariff_id bigint NOT NULL);
INSERT INTO bench.carrier SELECT s.identifier, a.id, s.id, a.tariff_id FROM billing.service AS s JOIN billing.account AS a ON a.id = s.account_id WHERE s.kind = 'trunk';

CREATE TABLE bench.rate_gist (id bigint PRIMARY KEY, tariff_id bigint NOT NULL, prefix prefix_range NOT NULL, price numeric NOT NULL);
INSERT INTO bench.rate_gist SELECT id, tariff_id, prefix::text::prefix_range, price FROM billing.rate;
CREATE TABLE bench.sell_gist AS SELECT r.id, r.prefix, r.price FROM bench.rate_gist AS r JOIN billing.tariff AS t ON t.id = r.tariff_id WHERE t.name = 'sell';
CREATE TABLE bench.buy_gist AS SELECT r.id, r.prefix, r.price FROM bench.rate_gist AS r JOIN billing.tariff AS t ON t.id = r.tariff_id WHERE t.name = 'buy';
CREATE TABLE bench.zone_gist AS SELECT prefix::prefix_range AS prefix, destination FROM bench.price;
CREATE INDEX ON bench.sell_gist USING gist (prefix);
CREATE INDEX ON bench.buy_gist USING gist (prefix);
CREATE INDEX ON bench.zone_gist USING gist (prefix);
DROP TABLE bench.rate_gist;

CREATE TABLE bench.rate_btree (id bigint PRIMARY KEY, tariff_id bigint NOT NULL, prefix text NOT NULL, price numeric NOT NULL, UNIQUE (tariff_id, prefix));
INSERT INTO bench.rate_btree SELECT id, tariff_id, prefix::text, price FROM billing.rate;
CREATE TABLE bench.zone_btree AS SELECT prefix, destination FROM bench.price;
CREATE UNIQUE INDEX ON bench.zone_btree (prefix);
ANALYZE;

-- With three lookups of the longest prefix: what the customer pays, what the carrier gets, which zone it is.
CREATE FUNCTION bench.rate_gist() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	who record;
	price record;
	zone text;
	number prefix_range := new.callee::prefix_range;
BEGIN
	SELECT * INTO who FROM bench.caller WHERE auth_code = new.auth_code;
	new.customer_account_id := who.account_id;
	new.customer_service_id := who.service_id;
	SELECT id, r.price INTO price FROM bench.sell_gist AS r WHERE r.prefix @> number ORDER BY length(r.prefix) DESC LIMIT 1;
	new.customer_rate_id := price.id;
	new.customer_billsec := CASE WHEN new.billsec > 0 THEN 30 + ceil(greatest(new.billsec - 30, 0) / 6) * 6 ELSE 0 END;
	new.customer_amount := CASE WHEN new.billsec > 0 THEN round(0.01 + new.customer_billsec * price.price / 60, 8) ELSE 0 END;
	SELECT * INTO who FROM bench.carrier WHERE trunk = new.dst_trunk;
	new.provider_account_id := who.account_id;
	new.provider_service_id := who.service_id;
	SELECT id, r.price INTO price FROM bench.buy_gist AS r WHERE r.prefix @> number ORDER BY length(r.prefix) DESC LIMIT 1;
	new.provider_rate_id := price.id;
	new.provider_billsec := new.billsec;
	new.provider_amount := -round(new.billsec * price.price / 60, 8);
	SELECT destination INTO zone FROM bench.zone_gist AS z WHERE z.prefix @> number ORDER BY length(z.prefix) DESC LIMIT 1;
	new.custom := NULL;
	new.caller_number := new.caller;
	new.callee_number := new.callee;
	new.status := CASE WHEN zone IS NULL THEN 'unrated' ELSE 'rated' END;
	new.rated_at := now();
	RETURN new;
END $$;
CREATE TRIGGER rate BEFORE INSERT ON bench.gist FOR EACH ROW EXECUTE FUNCTION bench.rate_gist();
CREATE TRIGGER rate BEFORE INSERT ON bench.gist_bare FOR EACH ROW EXECUTE FUNCTION bench.rate_gist();

CREATE FUNCTION bench.prefixes(number text) RETURNS text[] LANGUAGE sql IMMUTABLE AS
$$ SELECT array_agg(left(number, n)) FROM generate_series(1, least(length(number), 15)) AS n $$;

-- The same with btree: all prefixes of the number are asked for at once.
CREATE FUNCTION bench.rate_btree() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	who record;
	price record;
	zone text;
	asked text[] := bench.prefixes(new.callee);
BEGIN
	SELECT * INTO who FROM bench.caller WHERE auth_code = new.auth_code;
	new.customer_account_id := who.account_id;
	new.customer_service_id := who.service_id;
	SELECT id, r.price INTO price FROM bench.rate_btree AS r WHERE r.tariff_id = who.tariff_id AND r.prefix = ANY (asked) ORDER BY length(r.prefix) DESC LIMIT 1;
	new.customer_rate_id := price.id;
	new.customer_billsec := CASE WHEN new.billsec > 0 THEN 30 + ceil(greatest(new.billsec - 30, 0) / 6) * 6 ELSE 0 END;
	new.customer_amount := CASE WHEN new.billsec > 0 THEN round(0.01 + new.customer_billsec * price.price / 60, 8) ELSE 0 END;
	SELECT * INTO who FROM bench.carrier WHERE trunk = new.dst_trunk;
	new.provider_account_id := who.account_id;
	new.provider_service_id := who.service_id;
	SELECT id, r.price INTO price FROM bench.rate_btree AS r WHERE r.tariff_id = who.tariff_id AND r.prefix = ANY (asked) ORDER BY length(r.prefix) DESC LIMIT 1;
	new.provider_rate_id := price.id;
	new.provider_billsec := new.billsec;
	new.provider_amount := -round(new.billsec * price.price / 60, 8);
	SELECT destination INTO zone FROM bench.zone_btree AS z WHERE z.prefix = ANY (asked) ORDER BY length(z.prefix) DESC LIMIT 1;
	new.caller_number := new.caller;
	new.callee_number := new.callee;
	new.status := CASE WHEN zone IS NULL THEN 'unrated' ELSE 'rated' END;
	new.rated_at := now();
	RETURN new;
END $$;
CREATE TRIGGER rate BEFORE INSERT ON bench.btree FOR EACH ROW EXECUTE FUNCTION bench.rate_btree();
