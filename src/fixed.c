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

/*
 * A numeric as it is stored: base-10000 digits with a weight, which pg_upgrade keeps readable for ever.  Reading it costs
 * a few nanoseconds, and numeric_out with parsing its text more than a hundred.
 */
#define NUMERIC_BASE		10000
#define NUMERIC_BASE_DIGITS	4
#define STORED_DIGITS		5	/* of 64 bits */
#define HEADER_SPECIAL		0xC000
#define HEADER_SHORT		0x8000
#define SHORT_NEGATIVE		0x2000
#define SHORT_SCALE_SHIFT	7
#define SHORT_WEIGHT_SIGN	0x0040
#define SHORT_WEIGHT		0x003F
#define LONG_NEGATIVE		0x4000

typedef struct StoredNumeric
{
	bool		negative;
	int			weight;			/* of the first digit */
	int			ndigits;
	const int16 *digits;
} StoredNumeric;

/* False: NaN or infinite. */
static bool
read_numeric(Numeric number, StoredNumeric *stored)
{
	const char *data = VARDATA_ANY(number);
	int			length = VARSIZE_ANY_EXHDR(number);
	uint16		header;
	int16		weight;

	memcpy(&header, data, sizeof(header));
	if ((header & HEADER_SPECIAL) == HEADER_SPECIAL)
		return false;
	if (header & HEADER_SHORT)
	{
		stored->negative = (header & SHORT_NEGATIVE) != 0;
		stored->weight = (header & SHORT_WEIGHT_SIGN ? ~SHORT_WEIGHT : 0) | (header & SHORT_WEIGHT);
		data += sizeof(header);
		length -= sizeof(header);
	}
	else
	{
		memcpy(&weight, data + sizeof(header), sizeof(weight));
		stored->negative = (header & HEADER_SPECIAL) == LONG_NEGATIVE;
		stored->weight = weight;
		data += sizeof(header) + sizeof(weight);
		length -= sizeof(header) + sizeof(weight);
	}
	stored->digits = (const int16 *) data;
	stored->ndigits = length / sizeof(int16);
	return true;
}

#define FINEST_SCALE	12		/* three base-10000 digits behind the point */

/* Times 10^scale, cut towards zero; *more tells whether anything was cut.  False: NaN, infinite, or 10^24 and more. */
static bool
numeric_scan(Numeric number, int scale, Money *value, bool *more)
{
	StoredNumeric stored;
	Money		result = 0;
	int64		unit = 1;
	int			place;

	*more = false;
	if (!read_numeric(number, &stored) || (stored.ndigits > 0 && stored.weight >= 6))
		return false;
	place = stored.weight + 3;	/* 0: the digit that counts units of 10^-12 */
	for (int i = 0; i < stored.ndigits; i++, place--)
	{
		int16		digit;

		memcpy(&digit, stored.digits + i, sizeof(digit));
		if (place >= 0)
			result = result * NUMERIC_BASE + digit;
		else
			*more |= digit != 0;
	}
	for (; place >= 0 && result != 0; place--)
		result *= NUMERIC_BASE;

	for (int digit = scale; digit < FINEST_SCALE; digit++)
		unit *= 10;
	*more |= result % unit != 0;
	*value = stored.negative ? -(result / unit) : result / unit;
	return true;
}

/* A number of the catalogue, whose constraints keep it in range, times 10^scale. */
int64
billing_fixed_from_numeric(Numeric number, int scale)
{
	Money		value;
	bool		more;

	if (!numeric_scan(number, scale, &value, &more) || more || value > PG_INT64_MAX || value < -PG_INT64_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("number of the catalogue is out of range: %s",
						DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(number)))),
				 errdetail("It must be finite and have at most %d decimals.", scale),
				 errhint("Was a constraint of the ledger's tables removed?")));
	return (int64) value;
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

/*
 * Money as numeric stores it, without trailing zeros: amounts are written twice a call and more, and the server's own
 * way there divides.
 */
Numeric
billing_numeric_from_money(Money money)
{
	uint64		rest = money < 0 ? (uint64) -money : (uint64) money;
	int16		digits[STORED_DIGITS];
	int			first = STORED_DIGITS;
	int			last = STORED_DIGITS;
	int			weight;
	uint16		header = HEADER_SHORT | MONEY_DIGITS << SHORT_SCALE_SHIFT;
	Numeric		number;

	if (money > PG_INT64_MAX || money < -PG_INT64_MAX)
		return billing_numeric_from_fixed(money, MONEY_DIGITS);
	for (; rest > 0; rest /= NUMERIC_BASE)
		digits[--first] = rest % NUMERIC_BASE;
	weight = STORED_DIGITS - first - 1 - MONEY_DIGITS / NUMERIC_BASE_DIGITS;
	while (last > first && digits[last - 1] == 0)
		last--;
	if (last == first)
		weight = 0;
	header |= (money < 0 ? SHORT_NEGATIVE : 0) | (weight < 0 ? SHORT_WEIGHT_SIGN : 0) | (weight & SHORT_WEIGHT);

	number = palloc(VARHDRSZ + sizeof(header) + (last - first) * sizeof(int16));
	SET_VARSIZE(number, VARHDRSZ + sizeof(header) + (last - first) * sizeof(int16));
	memcpy(VARDATA(number), &header, sizeof(header));
	memcpy(VARDATA(number) + sizeof(header), digits + first, (last - first) * sizeof(int16));
	return number;
}

/* An amount of a row, numeric(20,8); NaN, which that type lets pass, is 0. */
Money
billing_money_from_numeric(Numeric number)
{
	Money		money;
	bool		more;

	return numeric_scan(number, MONEY_DIGITS, &money, &more) ? money : 0;
}

/* Seconds of a raw column; false: negative, NaN, infinite or SECONDS_LIMIT and more. */
bool
billing_seconds_from_numeric(Numeric number, CallSeconds *seconds)
{
	Money		micros;

	if (!numeric_scan(number, 6, &micros, &seconds->more) || micros >= (Money) SECONDS_LIMIT * MICROS_PER_SECOND)
		return false;
	seconds->micros = micros < 0 ? -1 : (int64) micros;
	if (seconds->micros < 0 || (seconds->micros == 0 && seconds->more &&
								DatumGetBool(DirectFunctionCall2(numeric_lt, NumericGetDatum(number),
																 NumericGetDatum(int64_to_numeric(0))))))
		return false;
	return true;
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
