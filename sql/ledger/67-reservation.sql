CREATE OR REPLACE VIEW billing.open_reservation AS
SELECT r.id, r.leg, r.account_id, a.name AS account, a.currency, r.seconds, r.amount, r.made_at, r.expires_at, r.call
FROM billing.reservation r LEFT JOIN billing.account a ON a.id = r.account_id
WHERE r.released_at IS NULL AND r.expires_at > now();

COMMENT ON VIEW billing.open_reservation IS 'Reservations that count: neither released nor expired.';
COMMENT ON COLUMN billing.open_reservation.id IS 'Number of the reservation.';
COMMENT ON COLUMN billing.open_reservation.leg IS 'Leg that is paid for.';
COMMENT ON COLUMN billing.open_reservation.account_id IS 'Account that will pay.';
COMMENT ON COLUMN billing.open_reservation.account IS 'Its name.';
COMMENT ON COLUMN billing.open_reservation.currency IS 'Its currency.';
COMMENT ON COLUMN billing.open_reservation.seconds IS 'Seconds that it is for.';
COMMENT ON COLUMN billing.open_reservation.amount IS 'What is set aside.';
COMMENT ON COLUMN billing.open_reservation.made_at IS 'When it was made.';
COMMENT ON COLUMN billing.open_reservation.expires_at IS 'Until when it counts.';
COMMENT ON COLUMN billing.open_reservation.call IS 'What the switch said of the call.';
