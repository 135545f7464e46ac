/*
 * explain.c
 *	  Every amount explains itself: the steps from caller to amount, by the code that rates (promise 4).
 */
#include "accounting.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

struct Trace
{
	ReturnSetInfo *result;
	int			steps;
};

/* ---- text ---- */

/* value / 10^scale without trailing zeros */
char *
billing_decimal_text(Money value, int scale)
{
	char		digits[64];
	char	   *at = digits + sizeof(digits);
	Money		rest = value < 0 ? -value : value;
	bool		significant = false;

	*--at = '\0';
	for (int digit = 0; digit <= scale || rest > 0; digit++)
	{
		if (digit == scale)
		{
			if (significant)
				*--at = '.';
			significant = true;
		}
		significant |= rest % 10 != 0;
		if (significant)
			*--at = '0' + (char) (rest % 10);
		rest /= 10;
	}
	if (value < 0)
		*--at = '-';
	return pstrdup(at);
}

char *
billing_money_text(Money money)
{
	return billing_decimal_text(money, MONEY_DIGITS);
}

char *
billing_prefix_text(Prefix prefix)
{
	char	   *text = palloc(PREFIX_MAX_LEN + 1);
	int			length = prefix_len(prefix);

	for (int i = 0; i < length; i++)
		text[i] = PREFIX_SYMBOLS[prefix_symbol(prefix, i)];
	text[length] = '\0';
	return text;
}

/* ---- the steps ---- */

void
billing_trace(Trace *trace, const char *leg, const char *topic, const char *format,...)
{
	StringInfoData text;
	Datum		values[4];
	bool		nulls[4] = {false};

	initStringInfo(&text);
	for (;;)
	{
		va_list		args;
		int			needed;

		va_start(args, format);
		needed = appendStringInfoVA(&text, format, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&text, needed);
	}
	values[0] = Int32GetDatum(++trace->steps);
	values[1] = CStringGetTextDatum(leg);
	values[2] = CStringGetTextDatum(topic);
	values[3] = CStringGetTextDatum(text.data);
	tuplestore_putvalues(trace->result->setResult, trace->result->setDesc, values, nulls);
	pfree(text.data);
}

/* billing.explain(cdr): how the call is rated by the catalogue as of the call, a step a row. */
PG_FUNCTION_INFO_V1(billing_explain);
Datum
billing_explain(PG_FUNCTION_ARGS)
{
	Trace		trace = {.result = (ReturnSetInfo *) fcinfo->resultinfo};
	Statement  *statement = billing_statement(fcinfo->flinfo->fn_mcxt);
	Cdr			cdr;
	Rating		rating;

	InitMaterializedSRF(fcinfo, 0);
	billing_record_read(fcinfo, &cdr);
	billing_rate(statement, &cdr, &(RatingRequest) {.trace = &trace}, &rating);
	if (rating.customer_reason)
		billing_trace(&trace, "customer", "outcome", "%s", rating.customer_reason);
	if (rating.provider_reason)
		billing_trace(&trace, "provider", "outcome", "%s", rating.provider_reason);
	if (rating.did_reason)
		billing_trace(&trace, "did", "outcome", "%s", rating.did_reason);
	if (billing_too_old(statement, &cdr))
		billing_trace(&trace, "call", "horizon", "too_old: the calls of that time are archived; one that arrives now is stored, not charged");
	return (Datum) 0;
}
