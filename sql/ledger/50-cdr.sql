-- The call detail records: raw columns as the switch gave them, rated columns as billing filled them.
-- Raw columns carry no typmod, domain or CHECK: one bad value would end a COPY of a million (promise 1).

CREATE SEQUENCE billing.cdr_id_seq AS bigint CACHE 100;

CREATE TABLE billing.cdr (
	id bigint NOT NULL DEFAULT nextval('billing.cdr_id_seq'),
	source text NOT NULL DEFAULT '',
	call_id text,
	session_id text,
	tenant text,
	started_at timestamptz NOT NULL,
	answered_at timestamptz,
	ended_at timestamptz,
	duration numeric,
	billsec numeric,
	did_billsec numeric,
	disposition text,
	caller text,
	callee text,
	redirected_by text,
	did text,
	auth_code text,
	provider_code text,
	src_trunk text,
	dst_trunk text,
	src_ip text,
	dst_ip text,
	rerouted boolean,
	custom jsonb,
	caller_number text,
	callee_number text,
	customer_account_id bigint,
	customer_service_id bigint,
	customer_rate_id bigint,
	customer_billsec integer,
	customer_amount numeric(20,8),
	customer_reason text,
	reseller_account_id bigint,
	reseller_rate_id bigint,
	reseller_billsec integer,
	reseller_amount numeric(20,8),
	provider_account_id bigint,
	provider_service_id bigint,
	provider_rate_id bigint,
	provider_billsec integer,
	provider_amount numeric(20,8),
	provider_reason text,
	did_service_id bigint,
	did_incoming_account_id bigint,
	did_incoming_rate_id bigint,
	did_incoming_billsec integer,
	did_incoming_amount numeric(20,8),
	did_owner_account_id bigint,
	did_owner_rate_id bigint,
	did_owner_billsec integer,
	did_owner_amount numeric(20,8),
	did_provider_account_id bigint,
	did_provider_rate_id bigint,
	did_provider_billsec integer,
	did_provider_amount numeric(20,8),
	did_reason text,
	status text,
	rated_at timestamptz,
	PRIMARY KEY (id, started_at),
	CONSTRAINT cdr_identity UNIQUE (source, call_id, started_at)
) PARTITION BY RANGE (started_at);
ALTER SEQUENCE billing.cdr_id_seq OWNED BY billing.cdr.id;

CREATE TABLE billing.cdr_default PARTITION OF billing.cdr DEFAULT;

CREATE INDEX cdr_customer ON billing.cdr (customer_account_id, started_at) WHERE customer_account_id IS NOT NULL;
CREATE INDEX cdr_reseller ON billing.cdr (reseller_account_id, started_at) WHERE reseller_account_id IS NOT NULL;
CREATE INDEX cdr_provider ON billing.cdr (provider_account_id, started_at) WHERE provider_account_id IS NOT NULL;
CREATE INDEX cdr_did_incoming ON billing.cdr (did_incoming_account_id, started_at) WHERE did_incoming_account_id IS NOT NULL;
CREATE INDEX cdr_did_owner ON billing.cdr (did_owner_account_id, started_at) WHERE did_owner_account_id IS NOT NULL;
CREATE INDEX cdr_did_provider ON billing.cdr (did_provider_account_id, started_at) WHERE did_provider_account_id IS NOT NULL;
CREATE INDEX cdr_unrated ON billing.cdr (started_at) WHERE status <> 'rated';

CREATE TRIGGER zz_rate BEFORE INSERT OR UPDATE ON billing.cdr FOR EACH ROW EXECUTE FUNCTION billing.rate_cdr();
