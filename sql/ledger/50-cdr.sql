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
-- The default of id runs with the rights of whoever inserts, who needs no more than INSERT on raw columns (design 2).
GRANT USAGE ON SEQUENCE billing.cdr_id_seq TO PUBLIC;

CREATE TABLE billing.cdr_default PARTITION OF billing.cdr DEFAULT;

CREATE INDEX cdr_customer ON billing.cdr (customer_account_id, started_at) WHERE customer_account_id IS NOT NULL;
CREATE INDEX cdr_reseller ON billing.cdr (reseller_account_id, started_at) WHERE reseller_account_id IS NOT NULL;
CREATE INDEX cdr_provider ON billing.cdr (provider_account_id, started_at) WHERE provider_account_id IS NOT NULL;
CREATE INDEX cdr_did_incoming ON billing.cdr (did_incoming_account_id, started_at) WHERE did_incoming_account_id IS NOT NULL;
CREATE INDEX cdr_did_owner ON billing.cdr (did_owner_account_id, started_at) WHERE did_owner_account_id IS NOT NULL;
CREATE INDEX cdr_did_provider ON billing.cdr (did_provider_account_id, started_at) WHERE did_provider_account_id IS NOT NULL;
CREATE INDEX cdr_unrated ON billing.cdr (started_at) WHERE status <> 'rated';

CREATE TRIGGER zz_rate BEFORE INSERT OR UPDATE ON billing.cdr FOR EACH ROW EXECUTE FUNCTION billing.rate_cdr();
CREATE TRIGGER zz_move BEFORE DELETE ON billing.cdr FOR EACH ROW EXECUTE FUNCTION billing.note_move();

COMMENT ON SEQUENCE billing.cdr_id_seq IS 'Numbers the rows of billing.cdr; gaps are normal.';
COMMENT ON TABLE billing.cdr IS 'Call detail records: raw columns as the source gave them, rated columns as billing filled them, side by side (design 4). Seconds are real, amounts follow one sign: what the account owes to its seller is positive (K13, reading 7).';
COMMENT ON TABLE billing.cdr_default IS 'Calls for which billing.cdr has no other partition, and those without a start, so that no row is turned away (promise 1).';
COMMENT ON COLUMN billing.cdr.id IS 'Number of the row; filled by the trigger when null.';
COMMENT ON COLUMN billing.cdr.source IS 'File, switch or provider that it came from; empty: unnamed. Part of its identity.';
COMMENT ON COLUMN billing.cdr.call_id IS 'Identity of the call within its source; null: none, and then duplicates are not noticed.';
COMMENT ON COLUMN billing.cdr.session_id IS 'What several rows of one visit share, such as calls over one IVR session (K4). Beyond 1,000 bytes its beginning and a digest are kept, as of call_id and source.';
COMMENT ON COLUMN billing.cdr.tenant IS 'Tenant of a multi-tenant PBX (D6); null: unknown.';
COMMENT ON COLUMN billing.cdr.started_at IS 'When the call began; -infinity when the source did not say (status invalid, no_start). Partition key.';
COMMENT ON COLUMN billing.cdr.answered_at IS 'When it was answered; null: unknown, or not answered.';
COMMENT ON COLUMN billing.cdr.ended_at IS 'When it ended; null: unknown.';
COMMENT ON COLUMN billing.cdr.duration IS 'Seconds from start to end, as the source says; not charged.';
COMMENT ON COLUMN billing.cdr.billsec IS 'Seconds from answer to end, as the source says; what is charged. Null: ended_at - answered_at.';
COMMENT ON COLUMN billing.cdr.did_billsec IS 'Seconds from the answer of the DID to the end, for DID legs (K16); null: billsec.';
COMMENT ON COLUMN billing.cdr.disposition IS 'How it ended, as the source says; ANSWERED counts as an answer.';
COMMENT ON COLUMN billing.cdr.caller IS 'Calling number as text.';
COMMENT ON COLUMN billing.cdr.callee IS 'Called number as text.';
COMMENT ON COLUMN billing.cdr.redirected_by IS 'Number that forwarded the call; takes the place of the caller.';
COMMENT ON COLUMN billing.cdr.did IS 'DID that the call came in by; null: see callee.';
COMMENT ON COLUMN billing.cdr.auth_code IS 'Authorization code of the customer (P4).';
COMMENT ON COLUMN billing.cdr.provider_code IS 'Code by which the target provider is found (P4).';
COMMENT ON COLUMN billing.cdr.src_trunk IS 'Trunk that it came from (D7).';
COMMENT ON COLUMN billing.cdr.dst_trunk IS 'Trunk that it went to.';
COMMENT ON COLUMN billing.cdr.src_ip IS 'Address that it came from (D8), as text.';
COMMENT ON COLUMN billing.cdr.dst_ip IS 'Address that it went to, as text.';
COMMENT ON COLUMN billing.cdr.rerouted IS 'True: the call went on by another route; only the provider leg is priced.';
COMMENT ON COLUMN billing.cdr.custom IS 'Anything else of the source.';
COMMENT ON COLUMN billing.cdr.caller_number IS 'Calling number that rating reads; filled by normalisation, else from caller.';
COMMENT ON COLUMN billing.cdr.callee_number IS 'Called number that rating reads; filled by normalisation, else from callee.';
COMMENT ON COLUMN billing.cdr.customer_account_id IS 'Account of the customer; null: nobody was found, or the default customer tariff priced the call (V13).';
COMMENT ON COLUMN billing.cdr.customer_service_id IS 'Service that identified the customer; null: none.';
COMMENT ON COLUMN billing.cdr.customer_rate_id IS 'Rate that priced the customer leg; null: none.';
COMMENT ON COLUMN billing.cdr.customer_billsec IS 'Seconds that the customer leg was charged, after increments; null: not priced.';
COMMENT ON COLUMN billing.cdr.customer_amount IS 'What the customer owes, in the currency of the account, or of the default customer tariff where there is none; negative: it is paid; null: does not apply or not priced, never 0 for that.';
COMMENT ON COLUMN billing.cdr.customer_reason IS 'Why the customer or reseller leg has no amount, or a note beside one; null: nothing to say.';
COMMENT ON COLUMN billing.cdr.reseller_account_id IS 'Account of the customer''s parent; null: the reseller leg does not apply, or nobody was found.';
COMMENT ON COLUMN billing.cdr.reseller_rate_id IS 'Rate that priced the reseller leg; null: none.';
COMMENT ON COLUMN billing.cdr.reseller_billsec IS 'Seconds that the reseller leg was charged, after increments; null: not priced.';
COMMENT ON COLUMN billing.cdr.reseller_amount IS 'What the account owes for the reseller leg, in its currency; negative: it is paid; null: does not apply or not priced, never 0 for that.';
COMMENT ON COLUMN billing.cdr.provider_account_id IS 'Account of the provider; null: the provider leg does not apply, or nobody was found.';
COMMENT ON COLUMN billing.cdr.provider_service_id IS 'Service that identified the provider; null: none.';
COMMENT ON COLUMN billing.cdr.provider_rate_id IS 'Rate that priced the provider leg; null: none.';
COMMENT ON COLUMN billing.cdr.provider_billsec IS 'Seconds that the provider leg was charged, after increments; null: not priced.';
COMMENT ON COLUMN billing.cdr.provider_amount IS 'What the account owes for the provider leg, in its currency; negative: it is paid; null: does not apply or not priced, never 0 for that.';
COMMENT ON COLUMN billing.cdr.provider_reason IS 'Why the provider leg has no amount, or a note beside one; null: nothing to say.';
COMMENT ON COLUMN billing.cdr.did_service_id IS 'Service that is the DID of the call; null: none.';
COMMENT ON COLUMN billing.cdr.did_incoming_account_id IS 'Account of who dials the DID (K2); null: the DID incoming leg does not apply, or nobody was found.';
COMMENT ON COLUMN billing.cdr.did_incoming_rate_id IS 'Rate that priced the DID incoming leg; null: none.';
COMMENT ON COLUMN billing.cdr.did_incoming_billsec IS 'Seconds that the DID incoming leg was charged, after increments; null: not priced.';
COMMENT ON COLUMN billing.cdr.did_incoming_amount IS 'What the account owes for the DID incoming leg, in its currency; negative: it is paid; null: does not apply or not priced, never 0 for that.';
COMMENT ON COLUMN billing.cdr.did_owner_account_id IS 'Account of the owner of the DID (K5); null: the DID owner leg does not apply, or nobody was found.';
COMMENT ON COLUMN billing.cdr.did_owner_rate_id IS 'Rate that priced the DID owner leg; null: none.';
COMMENT ON COLUMN billing.cdr.did_owner_billsec IS 'Seconds that the DID owner leg was charged, after increments; null: not priced.';
COMMENT ON COLUMN billing.cdr.did_owner_amount IS 'What the account owes for the DID owner leg, in its currency; negative: it is paid; null: does not apply or not priced, never 0 for that.';
COMMENT ON COLUMN billing.cdr.did_provider_account_id IS 'Account of the provider of the DID (K11); null: the DID provider leg does not apply, or nobody was found.';
COMMENT ON COLUMN billing.cdr.did_provider_rate_id IS 'Rate that priced the DID provider leg; null: none.';
COMMENT ON COLUMN billing.cdr.did_provider_billsec IS 'Seconds that the DID provider leg was charged, after increments; null: not priced.';
COMMENT ON COLUMN billing.cdr.did_provider_amount IS 'What the account owes for the DID provider leg, in its currency; negative: it is paid; null: does not apply or not priced, never 0 for that.';
COMMENT ON COLUMN billing.cdr.did_reason IS 'Why DID legs have no amount, or a note beside one; null: nothing to say.';
COMMENT ON COLUMN billing.cdr.status IS 'rated: every expected leg has an amount; partial: some; unrated: none, or nothing was expected; invalid: the row cannot be read; null: not seen by the trigger.';
COMMENT ON COLUMN billing.cdr.rated_at IS 'When the trigger saw the row; set by a loader, the row is stored as it arrives; set to null, it is rated again.';
