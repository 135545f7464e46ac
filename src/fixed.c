/*
 * fixed.c
 *	  Between the server's numeric and the fixed point that charges are computed in.
 */
#include "billing.h"

#include "common/int.h"
#include "utils/builtins.h"

/*
 * Decimal text, as numeric prints it, times 10^scale, cut towards zero; *more tells whether anything was cut.
 * False: NaN, infinite, or beyond 10^18.
 */
bool
billing_decimal_scan(const char *text, int scale, int64 *value, bool *more)
{
	const int64 limit = INT64CONST(100000000000000000); /* one more digit still fits */
	bool		negative = *text == '-';
	int64		result = 0;
	int			decimals = -1;	/* digits behind the point; -1: no point yet */

	*more = false;
	if (negative)
		text++;
	for (; *text; text++)
	{
		if (*text == '.' && decimals < 0)
		{
			decimals = 0;
			continue;
		}
		if (*text < '0' || *text > '9')
			return false;
		if (decimals >= scale)
		{
			*more |= *text != '0';
			continue;
		}
		if (result >= limit)
			return false;
		result = result * 10 + (*text - '0');
		if (decimals >= 0)
			decimals++;
	}
	for (decimals = Max(decimals, 0); decimals < scale; decimals++)
	{
		if (result >= limit)
			return false;
		result *= 10;
	}
	*value = negative ? -result : result;
	return true;
}

static bool
numeric_scan(Numeric number, int scale, int64 *value, bool *more)
{
	char	   *text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(number)));
	bool		fits = billing_decimal_scan(text, scale, value, more);

	pfree(text);
	return fits;
}

/* A number of the catalogue, whose constraints keep it in range, times 10^scale. */
int64
billing_fixed_from_numeric(Numeric number, int scale)
{
	int64		value;
	bool		more;

	if (!numeric_scan(number, scale, &value, &more) || more)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("number of the catalogue is out of range: %s",
						DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(number)))),
				 errdetail("It must be finite and have at most %d decimals.", scale),
				 errhint("Was a constraint of the ledger's tables removed?")));
	return value;
}

/* A fixed-point number with so many decimals. */
Numeric
billing_numeric_from_fixed(Money number, int decimals)
{
	char		digits[48];
	char	   *at = digits + sizeof(digits);
	Money		rest = number < 0 ? -number : number;

	if (rest <= PG_INT64_MAX)
		return int64_div_fast_to_numeric((int64) number, decimals);

	*--at = '\0';
	for (int digit = 0; rest > 0; digit++)
	{
		if (digit == decimals)
			*--at = '.';
		*--at = '0' + (char) (rest % 10);
		rest /= 10;
	}
	if (number < 0)
		*--at = '-';
	return DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(at),
											   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}

Numeric
billing_numeric_from_money(Money money)
{
	return billing_numeric_from_fixed(money, MONEY_DIGITS);
}

/* An amount of a row, numeric(20,8); NaN, which that type lets pass, is 0. */
Money
billing_money_from_numeric(Numeric number)
{
	char	   *text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(number)));
	bool		negative = *text == '-';
	Money		result = 0;
	int			decimals = -1;

	for (const char *at = text + negative; *at; at++)
	{
		if (*at == '.')
			decimals = 0;
		else if (*at < '0' || *at > '9')
			return 0;
		else if (decimals < MONEY_DIGITS)
		{
			result = result * 10 + (*at - '0');
			if (decimals >= 0)
				decimals++;
		}
	}
	for (decimals = Max(decimals, 0); decimals < MONEY_DIGITS; decimals++)
		result *= 10;
	return negative ? -result : result;
}

/* Seconds of a raw column; false: negative, NaN, infinite or SECONDS_LIMIT and more. */
bool
billing_seconds_from_numeric(Numeric number, CallSeconds *seconds)
{
	if (!numeric_scan(number, 6, &seconds->micros, &seconds->more))
		return false;
	if (seconds->micros < 0 || (seconds->micros == 0 && seconds->more &&
								DatumGetBool(DirectFunctionCall2(numeric_lt, NumericGetDatum(number),
																 NumericGetDatum(int64_to_numeric(0))))))
		return false;
	return seconds->micros < SECONDS_LIMIT * MICROS_PER_SECOND;
}

/* Time between two instants; false: it is negative, infinite, or SECONDS_LIMIT and more. */
bool
billing_seconds_between(TimestampTz starts, TimestampTz ends, CallSeconds *seconds)
{
	seconds->more = false;
	return !TIMESTAMP_NOT_FINITE(starts) && !TIMESTAMP_NOT_FINITE(ends) && starts <= ends &&
		!pg_sub_s64_overflow(ends, starts, &seconds->micros) &&
		seconds->micros < SECONDS_LIMIT * MICROS_PER_SECOND;
}
