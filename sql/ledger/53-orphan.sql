-- Names that calls carry and the catalogue did not know when they were counted.

CREATE TABLE billing.usage_orphan (
	kind text NOT NULL CONSTRAINT usage_orphan_kind CHECK (kind IN ('account', 'service', 'rate')),
	id bigint NOT NULL,
	PRIMARY KEY (kind, id)
);

COMMENT ON TABLE billing.usage_orphan IS 'Accounts, services and rates that a counted call names and that did not exist then, as in a data-only restore that brings calls first; whoever brings them counts the calls anew (design 6).';
COMMENT ON COLUMN billing.usage_orphan.kind IS 'account, service or rate.';
COMMENT ON COLUMN billing.usage_orphan.id IS 'Its id.';
