-- What billing.settle_credits() has not worked out yet.

CREATE OR REPLACE VIEW billing.pending_credits AS
SELECT q.kind, q.session_id, q.number, q.account_id, q.service_id, q.leg, q.day, count(*) AS entries
FROM billing.credit_queue q
GROUP BY q.kind, q.session_id, q.number, q.account_id, q.service_id, q.leg, q.day;

COMMENT ON VIEW billing.pending_credits IS 'Sessions and pools of included minutes whose credits billing.settle_credits() is to work out again. Until then they are what they were before the calls changed: pending, not wrong (design 6).';
COMMENT ON COLUMN billing.pending_credits.kind IS 'session_fee or allowance.';
COMMENT ON COLUMN billing.pending_credits.session_id IS 'Session of the calls; null for an allowance.';
COMMENT ON COLUMN billing.pending_credits.number IS 'DID of the calls, without +; null for an allowance.';
COMMENT ON COLUMN billing.pending_credits.account_id IS 'Account whose calls draw from the pool; null for a session fee.';
COMMENT ON COLUMN billing.pending_credits.service_id IS 'Service whose pool it is; null: the account''s pool, or a session fee.';
COMMENT ON COLUMN billing.pending_credits.leg IS 'Leg whose charges draw; null for a session fee.';
COMMENT ON COLUMN billing.pending_credits.day IS 'A day of the cycle, in the account''s time zone; null for a session fee.';
COMMENT ON COLUMN billing.pending_credits.entries IS 'How many statements have asked for it.';
