-- Rating: the trigger, and the same core as functions. They are C, look names up in their schema and run no SQL,
-- so a SET search_path would guard nothing and cost a microsecond a call.

CREATE FUNCTION billing.rate_cdr() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'billing_rate_cdr';
COMMENT ON FUNCTION billing.rate_cdr() IS
'Trigger zz_rate of billing.cdr: fills the rated columns of the row that is being stored (design 2 and 4). A row whose rated_at is set is stored as it arrives; an UPDATE rates again when a raw column changed or rated_at was set to null; one that changes provider_code, dst_trunk or dst_ip only touches the provider''s leg only (P3). Raises no error for what a row says: what cannot be priced is stored with its reason.';

CREATE FUNCTION billing.rate_call(cdr anyelement,
	OUT customer_account_id bigint, OUT customer_service_id bigint, OUT customer_rate_id bigint, OUT customer_billsec integer,
	OUT customer_amount numeric, OUT customer_reason text,
	OUT reseller_account_id bigint, OUT reseller_rate_id bigint, OUT reseller_billsec integer, OUT reseller_amount numeric,
	OUT provider_account_id bigint, OUT provider_service_id bigint, OUT provider_rate_id bigint, OUT provider_billsec integer,
	OUT provider_amount numeric, OUT provider_reason text,
	OUT did_service_id bigint,
	OUT did_incoming_account_id bigint, OUT did_incoming_rate_id bigint, OUT did_incoming_billsec integer, OUT did_incoming_amount numeric,
	OUT did_owner_account_id bigint, OUT did_owner_rate_id bigint, OUT did_owner_billsec integer, OUT did_owner_amount numeric,
	OUT did_provider_account_id bigint, OUT did_provider_rate_id bigint, OUT did_provider_billsec integer, OUT did_provider_amount numeric,
	OUT did_reason text, OUT status text)
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'billing_rate_call';
COMMENT ON FUNCTION billing.rate_call(anyelement) IS
'What a call would cost, nothing stored: the rated columns for a row of billing.cdr, or any row with raw columns of the same names and types; missing ones count as null, a null row gives null. Seconds are whole, amounts in the currency of each leg''s account. The same code as the trigger. Errors: 42804 for what is no row or has columns of other types, 55000 without a ledger.';
REVOKE EXECUTE ON FUNCTION billing.rate_call(anyelement) FROM PUBLIC;

CREATE FUNCTION billing.explain(cdr anyelement, OUT step integer, OUT leg text, OUT topic text, OUT explanation text)
RETURNS SETOF record
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'billing_explain';
COMMENT ON FUNCTION billing.explain(anyelement) IS
'How a call is rated, a step a row, from caller to amount: who was identified and by what, which rate of which tariff, its terms, seconds, charge before rounding, exchange rate, amount, reasons (promise 4). Takes what rate_call takes; null gives no rows. Errors as rate_call.';
REVOKE EXECUTE ON FUNCTION billing.explain(anyelement) FROM PUBLIC;

CREATE FUNCTION billing.match_rate(tariff_id bigint, number text, at timestamptz DEFAULT now(),
	OUT rate_id bigint, OUT prefix billing.prefix, OUT exact boolean, OUT day_type text, OUT band text, OUT valid_from timestamptz,
	OUT destination text, OUT rate_tariff_id bigint, OUT currency text, OUT price numeric, OUT first_price numeric,
	OUT connect_fee numeric, OUT attempt_fee numeric, OUT first_increment integer, OUT next_increment integer,
	OUT increment_rule text, OUT grace_seconds integer, OUT free_seconds integer, OUT min_amount numeric, OUT max_amount numeric,
	OUT surcharge_percent numeric, OUT boundary text, OUT duration_rounding text, OUT rounding_digits integer,
	OUT rounding_mode text, OUT blocked boolean)
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'billing_match_rate';
COMMENT ON FUNCTION billing.match_rate(bigint, text, timestamptz) IS
'The rate by which a tariff, or its base, prices a number at an instant: the whole number, else the longest prefix with a version in force (P13, V17, V18, design 5.4), and the terms that hold for it, inherited ones filled in. Prices are per minute in the currency of rate_tariff_id, the tariff that holds the rate. All null when there is none or the number is not made of dialled symbols. Errors: 55000 without a ledger.';
REVOKE EXECUTE ON FUNCTION billing.match_rate(bigint, text, timestamptz) FROM PUBLIC;

CREATE FUNCTION billing.match_rate_id(tariff_id bigint, number text, at timestamptz DEFAULT now()) RETURNS bigint
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'billing_match_rate_id';
COMMENT ON FUNCTION billing.match_rate_id(bigint, text, timestamptz) IS
'The id of the rate that match_rate() finds, for joins over many numbers: a row costs more than the look-up. Null where there is none. Errors: 55000 without a ledger.';
REVOKE EXECUTE ON FUNCTION billing.match_rate_id(bigint, text, timestamptz) FROM PUBLIC;

CREATE FUNCTION billing.billed_seconds(seconds numeric, first_increment integer DEFAULT 1, next_increment integer DEFAULT 1,
	increment_rule text DEFAULT 'first_next', grace_seconds integer DEFAULT 0, free_seconds integer DEFAULT 0,
	duration_rounding text DEFAULT 'up')
RETURNS integer
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'billing_billed_seconds';
COMMENT ON FUNCTION billing.billed_seconds(numeric, integer, integer, text, integer, integer, text) IS
'Seconds that are billed for an answered call of so many seconds (V10, V11, K17, K18, C19, C22): 30 s by 10/6 are 34. 0 s bill 0. Null seconds give null, other nulls their default. Errors: 22023 for what is out of range.';

CREATE FUNCTION billing.charge_amount(seconds numeric, price numeric, first_increment integer DEFAULT 1,
	next_increment integer DEFAULT 1, increment_rule text DEFAULT 'first_next', first_price numeric DEFAULT NULL,
	connect_fee numeric DEFAULT 0, grace_seconds integer DEFAULT 0, free_seconds integer DEFAULT 0,
	min_amount numeric DEFAULT NULL, max_amount numeric DEFAULT NULL, surcharge_percent numeric DEFAULT 0,
	duration_rounding text DEFAULT 'up', rounding_digits integer DEFAULT 8, rounding_mode text DEFAULT 'half_up')
RETURNS numeric
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'billing_charge_amount';
COMMENT ON FUNCTION billing.charge_amount(numeric, numeric, integer, integer, text, numeric, numeric, integer, integer, numeric, numeric, numeric, text, integer, text) IS
'What an answered call of so many seconds costs at a price per minute (V12, C18, C19, C23): 34 billed seconds at 0.60 are 0.34. The arithmetic is exact and rounded once. Null seconds or price give null, other nulls their default. Errors: 22023 for what is out of range, 22003 for an amount of 1,000,000,000,000 or more.';

CREATE FUNCTION billing.calendar_at(calendar_id bigint, instant timestamptz, OUT day_type text, OUT band text)
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'billing_calendar_day_band';
COMMENT ON FUNCTION billing.calendar_at(bigint, timestamptz) IS
'The day type (work or free) and the band of an instant by the wall clock of a calendar: a date that is named is what it is named, else the weekday decides; the windows are those of the latest valid_from (K15, V19, V21, readings 14 to 18). band is null outside all windows; both are null for an unknown calendar or an infinite instant. Errors: 55000 without a ledger.';

CREATE FUNCTION billing.did_fee(cdr anyelement, leg text) RETURNS numeric
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'billing_did_fee';
COMMENT ON FUNCTION billing.did_fee(anyelement, text) IS
'Which part of the amount of a DID leg (did_incoming, did_owner or did_provider) is owed to its connect fee: the amount less the amount of the same call without the fee, in the currency of the leg''s account (K4). 0 when the leg does not apply. Takes what rate_call takes. For those who may read the catalogue. Errors: 42501 for others, 22023 for another leg, else as rate_call.';
