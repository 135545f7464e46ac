-- What pools of included minutes have left, for people.

CREATE OR REPLACE VIEW billing.allowance_left AS
SELECT l.account_id, a.name AS account, l.service_id, s.identifier AS service, p.name AS plan, o.name AS allowance, l.leg, l.cycle,
	l.granted, l.rolled_over, l.used, l.granted + l.rolled_over - l.used AS left_seconds
FROM billing.allowance_cycle l
	JOIN billing.account a ON a.id = l.account_id
	LEFT JOIN billing.service s ON s.id = l.service_id
	JOIN billing.allowance o ON o.id = l.allowance_id
	JOIN billing.plan p ON p.id = o.plan_id;

COMMENT ON VIEW billing.allowance_left IS 'Included minutes of each pool and cycle that calls have been in: granted, used and left, as of the last billing.settle_credits() (D10, K21).';
COMMENT ON COLUMN billing.allowance_left.account_id IS 'Account whose calls draw.';
COMMENT ON COLUMN billing.allowance_left.account IS 'Its name.';
COMMENT ON COLUMN billing.allowance_left.service_id IS 'Service whose own plan it is; null: the plan of the account.';
COMMENT ON COLUMN billing.allowance_left.service IS 'Its identifier.';
COMMENT ON COLUMN billing.allowance_left.plan IS 'Name of the plan.';
COMMENT ON COLUMN billing.allowance_left.allowance IS 'Name of the allowance.';
COMMENT ON COLUMN billing.allowance_left.leg IS 'Leg whose charges draw.';
COMMENT ON COLUMN billing.allowance_left.cycle IS 'First day of the cycle in the account''s time zone; of a plan that began in the middle of one, the day on which it began.';
COMMENT ON COLUMN billing.allowance_left.granted IS 'Seconds of the cycle.';
COMMENT ON COLUMN billing.allowance_left.rolled_over IS 'Seconds that the cycle before has left.';
COMMENT ON COLUMN billing.allowance_left.used IS 'Billed seconds that calls have drawn.';
COMMENT ON COLUMN billing.allowance_left.left_seconds IS 'Seconds that are left: granted + rolled_over - used.';
