/*
 * allowance.c
 *	  What a call costs of which an allowance covers the first seconds (D10, readings 24 and 25).
 */
#include "billing.h"

#include "utils/builtins.h"

static int64
seconds_argument(FunctionCallInfo fcinfo, int argument)
{
	int64		seconds = PG_GETARG_INT64(argument);

	if (seconds < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("seconds is out of range"),
				 errdetail("It must be 0 or more.")));
	return seconds;
}

/* billing.covered_amount(cdr, leg, seconds, without_did_fee): the amount of the leg with its first billed seconds covered. */
PG_FUNCTION_INFO_V1(billing_covered_amount);
Datum
billing_covered_amount(PG_FUNCTION_ARGS)
{
	LegKind		kind = billing_leg_kind(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	int64		covered[LEGS] = {0};
	Cdr			cdr;
	Rating		rating;
	const Leg  *leg;

	covered[kind] = seconds_argument(fcinfo, 2);
	billing_check_reader(GetUserId());
	billing_record_read(fcinfo, &cdr);
	billing_rate(billing_statement(fcinfo->flinfo->fn_mcxt), &cdr, &(RatingRequest) {.covered = covered, .without_did_fee = PG_NARGS() > 3 && PG_GETARG_BOOL(3)}, &rating);
	leg = billing_rating_leg(&rating, kind);
	if (!leg->has_amount)
		PG_RETURN_NULL();
	PG_RETURN_NUMERIC(billing_numeric_from_money(leg->amount));
}
