-- The guards of the catalogue. They are ORIGIN triggers: logical replication brings rows that were checked where
-- they were written. zz_terms sorts behind users' own BEFORE triggers, whose work it must see.

CREATE TRIGGER zz_terms BEFORE UPDATE ON billing.tariff FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*)
	EXECUTE FUNCTION billing.as_owner('keep_terms');
CREATE TRIGGER zz_terms BEFORE UPDATE ON billing.account FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*)
	EXECUTE FUNCTION billing.as_owner('keep_terms');
CREATE TRIGGER zz_terms BEFORE UPDATE ON billing.service FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*)
	EXECUTE FUNCTION billing.as_owner('keep_terms');

CREATE TRIGGER keep_history BEFORE UPDATE ON billing.tariff_terms FOR EACH ROW EXECUTE FUNCTION billing.keep_history();
CREATE TRIGGER keep_history BEFORE UPDATE ON billing.account_terms FOR EACH ROW EXECUTE FUNCTION billing.keep_history();
CREATE TRIGGER keep_history BEFORE UPDATE ON billing.service_terms FOR EACH ROW EXECUTE FUNCTION billing.keep_history();

CREATE TRIGGER keep_tariff AFTER UPDATE ON billing.tariff FOR EACH ROW
	WHEN (OLD.id <> NEW.id OR OLD.currency <> NEW.currency OR OLD.owner_id IS DISTINCT FROM NEW.owner_id)
	EXECUTE FUNCTION billing.as_owner('keep_tariff');
CREATE TRIGGER check_tariff AFTER INSERT OR UPDATE ON billing.tariff FOR EACH ROW EXECUTE FUNCTION billing.as_owner('check_tariff');
CREATE TRIGGER check_tariff_terms AFTER INSERT OR UPDATE ON billing.tariff_terms FOR EACH ROW WHEN (NEW.base_tariff_id IS NOT NULL)
	EXECUTE FUNCTION billing.as_owner('check_tariff_terms');

-- Statement triggers: prices come 300,000 at a time.
CREATE TRIGGER keep_rate_update AFTER UPDATE ON billing.rate REFERENCING OLD TABLE AS former NEW TABLE AS written
	FOR EACH STATEMENT EXECUTE FUNCTION billing.as_owner('keep_rate');
CREATE TRIGGER keep_rate_delete AFTER DELETE ON billing.rate REFERENCING OLD TABLE AS former
	FOR EACH STATEMENT EXECUTE FUNCTION billing.as_owner('keep_rate');
CREATE TRIGGER keep_rate_truncate BEFORE TRUNCATE ON billing.rate
	FOR EACH STATEMENT EXECUTE FUNCTION billing.as_owner('keep_rate');
CREATE TRIGGER check_rate_insert AFTER INSERT ON billing.rate REFERENCING NEW TABLE AS written
	FOR EACH STATEMENT EXECUTE FUNCTION billing.as_owner('check_rate');
CREATE TRIGGER check_rate_update AFTER UPDATE ON billing.rate REFERENCING NEW TABLE AS written
	FOR EACH STATEMENT EXECUTE FUNCTION billing.as_owner('check_rate');

CREATE TRIGGER keep_rate_step_insert AFTER INSERT ON billing.rate_step REFERENCING NEW TABLE AS written
	FOR EACH STATEMENT EXECUTE FUNCTION billing.as_owner('keep_rate_step');
CREATE TRIGGER keep_rate_step_update AFTER UPDATE ON billing.rate_step REFERENCING OLD TABLE AS former NEW TABLE AS written
	FOR EACH STATEMENT EXECUTE FUNCTION billing.as_owner('keep_rate_step');
CREATE TRIGGER keep_rate_step_delete AFTER DELETE ON billing.rate_step REFERENCING OLD TABLE AS former
	FOR EACH STATEMENT EXECUTE FUNCTION billing.as_owner('keep_rate_step');
CREATE TRIGGER keep_rate_step_truncate BEFORE TRUNCATE ON billing.rate_step
	FOR EACH STATEMENT EXECUTE FUNCTION billing.as_owner('keep_rate_step');
CREATE TRIGGER check_rate_step_insert AFTER INSERT ON billing.rate_step REFERENCING NEW TABLE AS written
	FOR EACH STATEMENT EXECUTE FUNCTION billing.as_owner('check_rate');
CREATE TRIGGER check_rate_step_update AFTER UPDATE ON billing.rate_step REFERENCING NEW TABLE AS written
	FOR EACH STATEMENT EXECUTE FUNCTION billing.as_owner('check_rate');

CREATE TRIGGER keep_plan AFTER UPDATE ON billing.plan FOR EACH ROW WHEN (OLD.tariff_id IS DISTINCT FROM NEW.tariff_id)
	EXECUTE FUNCTION billing.as_owner('keep_plan');

CREATE TRIGGER known_timezone BEFORE INSERT OR UPDATE OF timezone ON billing.account FOR EACH ROW
	EXECUTE FUNCTION billing.known_timezone();
CREATE TRIGGER check_account AFTER INSERT OR UPDATE ON billing.account FOR EACH ROW EXECUTE FUNCTION billing.as_owner('check_account');
CREATE TRIGGER keep_account_update AFTER UPDATE ON billing.account FOR EACH ROW
	WHEN (OLD.id <> NEW.id OR OLD.currency <> NEW.currency OR OLD.timezone <> NEW.timezone)
	EXECUTE FUNCTION billing.as_owner('keep_account');
CREATE TRIGGER keep_account_delete AFTER DELETE ON billing.account FOR EACH ROW EXECUTE FUNCTION billing.as_owner('keep_account');
CREATE TRIGGER keep_account_truncate BEFORE TRUNCATE ON billing.account
	FOR EACH STATEMENT EXECUTE FUNCTION billing.as_owner('keep_account');

CREATE TRIGGER canonical_identifier BEFORE INSERT OR UPDATE OF kind, identifier ON billing.service FOR EACH ROW
	EXECUTE FUNCTION billing.canonical_identifier();
CREATE TRIGGER check_service AFTER INSERT OR UPDATE ON billing.service FOR EACH ROW EXECUTE FUNCTION billing.as_owner('check_service');
CREATE TRIGGER keep_service_update AFTER UPDATE ON billing.service REFERENCING OLD TABLE AS former NEW TABLE AS written
	FOR EACH STATEMENT EXECUTE FUNCTION billing.as_owner('keep_service');
CREATE TRIGGER keep_service_delete AFTER DELETE ON billing.service REFERENCING OLD TABLE AS former
	FOR EACH STATEMENT EXECUTE FUNCTION billing.as_owner('keep_service');
CREATE TRIGGER keep_service_truncate BEFORE TRUNCATE ON billing.service
	FOR EACH STATEMENT EXECUTE FUNCTION billing.as_owner('keep_service');

CREATE TRIGGER known_timezone BEFORE INSERT OR UPDATE OF timezone ON billing.calendar FOR EACH ROW
	EXECUTE FUNCTION billing.known_timezone();
CREATE TRIGGER check_calendar BEFORE INSERT OR UPDATE OF free_weekdays ON billing.calendar FOR EACH ROW
	EXECUTE FUNCTION billing.check_calendar();
CREATE TRIGGER keep_calendar AFTER UPDATE OR DELETE ON billing.calendar FOR EACH ROW EXECUTE FUNCTION billing.as_owner('keep_calendar');

CREATE TRIGGER keep_calendar_day_insert AFTER INSERT ON billing.calendar_day REFERENCING NEW TABLE AS written
	FOR EACH STATEMENT EXECUTE FUNCTION billing.as_owner('keep_calendar_day');
CREATE TRIGGER keep_calendar_day_update AFTER UPDATE ON billing.calendar_day REFERENCING OLD TABLE AS former NEW TABLE AS written
	FOR EACH STATEMENT EXECUTE FUNCTION billing.as_owner('keep_calendar_day');
CREATE TRIGGER keep_calendar_day_delete AFTER DELETE ON billing.calendar_day REFERENCING OLD TABLE AS former
	FOR EACH STATEMENT EXECUTE FUNCTION billing.as_owner('keep_calendar_day');
CREATE TRIGGER keep_calendar_day_truncate BEFORE TRUNCATE ON billing.calendar_day
	FOR EACH STATEMENT EXECUTE FUNCTION billing.as_owner('keep_calendar_day');

CREATE TRIGGER check_window BEFORE INSERT OR UPDATE ON billing.calendar_band FOR EACH ROW EXECUTE FUNCTION billing.check_window();
CREATE TRIGGER keep_calendar_band_insert AFTER INSERT ON billing.calendar_band REFERENCING NEW TABLE AS written
	FOR EACH STATEMENT EXECUTE FUNCTION billing.as_owner('keep_calendar_band');
CREATE TRIGGER keep_calendar_band_update AFTER UPDATE ON billing.calendar_band REFERENCING OLD TABLE AS former NEW TABLE AS written
	FOR EACH STATEMENT EXECUTE FUNCTION billing.as_owner('keep_calendar_band');
CREATE TRIGGER keep_calendar_band_delete AFTER DELETE ON billing.calendar_band REFERENCING OLD TABLE AS former
	FOR EACH STATEMENT EXECUTE FUNCTION billing.as_owner('keep_calendar_band');
CREATE TRIGGER keep_calendar_band_truncate BEFORE TRUNCATE ON billing.calendar_band
	FOR EACH STATEMENT EXECUTE FUNCTION billing.as_owner('keep_calendar_band_truncate');

CREATE TRIGGER canonical_did BEFORE INSERT OR UPDATE OF number ON billing.did_rate FOR EACH ROW EXECUTE FUNCTION billing.canonical_did();
CREATE TRIGGER keep_did_rate_update AFTER UPDATE ON billing.did_rate REFERENCING OLD TABLE AS former NEW TABLE AS written
	FOR EACH STATEMENT EXECUTE FUNCTION billing.as_owner('keep_did_rate');
CREATE TRIGGER keep_did_rate_delete AFTER DELETE ON billing.did_rate REFERENCING OLD TABLE AS former
	FOR EACH STATEMENT EXECUTE FUNCTION billing.as_owner('keep_did_rate');
CREATE TRIGGER keep_did_rate_truncate BEFORE TRUNCATE ON billing.did_rate
	FOR EACH STATEMENT EXECUTE FUNCTION billing.as_owner('keep_did_rate');
CREATE TRIGGER check_did_rate_insert AFTER INSERT ON billing.did_rate REFERENCING NEW TABLE AS written
	FOR EACH STATEMENT EXECUTE FUNCTION billing.as_owner('check_did_rate');
CREATE TRIGGER check_did_rate_update AFTER UPDATE ON billing.did_rate REFERENCING NEW TABLE AS written
	FOR EACH STATEMENT EXECUTE FUNCTION billing.as_owner('check_did_rate');

-- The signal by which every session drops what it has compiled (design 7). ROW, and ALWAYS: the apply worker of
-- logical replication fires nothing else. Before the statement too, for what runs inside it.
DO $signal$
DECLARE
	catalogue regclass;
BEGIN
	FOREACH catalogue IN ARRAY ARRAY['billing.currency', 'billing.exchange_rate', 'billing.calendar', 'billing.calendar_day', 'billing.calendar_band', 'billing.did_rate', 'billing.tariff', 'billing.rate', 'billing.rate_step',
		'billing.plan', 'billing.allowance', 'billing.allowance_prefix', 'billing.account', 'billing.service', 'billing.tariff_terms', 'billing.account_terms', 'billing.service_terms']::regclass[]
	LOOP
		EXECUTE format('CREATE TRIGGER catalogue_signal AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION billing.catalogue_changed()', catalogue);
		EXECUTE format('CREATE TRIGGER catalogue_signal_statement BEFORE INSERT OR UPDATE OR DELETE ON %s FOR EACH STATEMENT EXECUTE FUNCTION billing.catalogue_changed()', catalogue);
		EXECUTE format('CREATE TRIGGER catalogue_signal_truncate AFTER TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION billing.catalogue_changed()', catalogue);
		EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER catalogue_signal, ENABLE ALWAYS TRIGGER catalogue_signal_statement, ENABLE ALWAYS TRIGGER catalogue_signal_truncate', catalogue);
	END LOOP;
END $signal$;
