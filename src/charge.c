/*
 * charge.c
 *	  How much a call costs: seconds to billed seconds to money (design 5.5).
 */
#include "charge.h"

typedef unsigned __int128 Magnitude;

#define MAGNITUDE_HALF		64
#define AMOUNT_LIMIT		((Money) INT64_C(1000000000000) * 100000000)	/* 1e12 */

static inline int64_t
ceil_div(int64_t dividend, int64_t divisor)
{
	return (dividend + divisor - 1) / divisor;
}

/*
 * Microseconds after duration_rounding; a positive time never becomes 0 (reading 20).  With "none" what was
 * cut off below a microsecond counts as one, which no whole-second threshold can tell from the truth.
 */
int64_t
billing_duration_round(CallSeconds seconds, DurationRounding rounding)
{
	int64_t		whole;

	if (seconds.micros == 0 && !seconds.more)
		return 0;

	switch (rounding)
	{
		case DURATION_NONE:
			return seconds.micros + (seconds.more ? 1 : 0);
		case DURATION_HALF_UP:
			whole = (seconds.micros + MICROS_PER_SECOND / 2) / MICROS_PER_SECOND;
			break;
		case DURATION_UP:
		default:
			whole = ceil_div(seconds.micros + (seconds.more ? 1 : 0), MICROS_PER_SECOND);
			break;
	}
	return (whole > 0 ? whole : 1) * MICROS_PER_SECOND;
}

/*
 * The next billed seconds of the call at their price.  The first ones that an allowance covers have price 0; free
 * seconds are not billed and use up nothing of it (D10, readings 24 and 25).
 */
static void
bill(const ChargeTerms *terms, int64_t price, int64_t seconds, Charge *charge)
{
	int64_t		covered = terms->covered > charge->billed ? terms->covered - charge->billed : 0;

	if (covered < seconds)
		charge->time_money += (Money) price * (seconds - covered);
	charge->billed += seconds;
}

/* MOR's rule: the longer of duration and first increment, up to a multiple of the next one (K17). */
static void
lay_out_aligned(const ChargeTerms *terms, Charge *charge)
{
	int64_t		first = terms->first_increment;
	int64_t		next = terms->next_increment;
	int64_t		least = first * MICROS_PER_SECOND;
	int64_t		longer = charge->micros > least ? charge->micros : least;

	bill(terms, terms->first_price, first, charge);
	bill(terms, terms->price, ceil_div(longer, next * MICROS_PER_SECOND) * next - first, charge);
}

/* The price and increment of an increment that starts at a second, and the second from which others may hold. */
typedef struct Stretch
{
	int64_t		price;
	int64_t		increment;
	int64_t		until;
} Stretch;

#define FOR_EVER	INT64_MAX

/* The step in force, else what holds before the first one. */
static Stretch
step_at(const ChargeSegment *segment, int64_t position)
{
	Stretch		stretch = {segment->price, segment->increment, FOR_EVER};
	int			low = 0;
	int			high = segment->nsteps;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (segment->steps[middle].from_second <= position)
			low = middle + 1;
		else
			high = middle;
	}
	if (low > 0)
	{
		stretch.price = segment->steps[low - 1].price;
		stretch.increment = segment->steps[low - 1].increment;
	}
	if (low < segment->nsteps)
		stretch.until = segment->steps[low].from_second;
	return stretch;
}

/*
 * The first increment, the free seconds behind it (C19), then increments until the call is covered.  A step's
 * price and increment, or those of another band or day, hold from the first increment that starts at or after
 * their second; increments are never cut (K22, reading 15).  The work is one round for each step or boundary,
 * however long the call.
 */
static void
lay_out_first_next(const ChargeTerms *terms, const ChargeSplit *split, Charge *charge)
{
	const ChargeSegment start = {0, terms->price, terms->next_increment, terms->nsteps, terms->steps};
	const ChargeSegment *segment = &start;
	int64_t		position = (int64_t) terms->first_increment + terms->free_seconds;
	int			next = 0;

	bill(terms, terms->first_price, terms->first_increment, charge);
	while (charge->micros > position * MICROS_PER_SECOND)
	{
		Stretch		stretch;
		int64_t		count;

		while (next < split->count && split->segments[next].from_second <= position)
			segment = &split->segments[next++];
		stretch = step_at(segment, position);
		if (next < split->count && split->segments[next].from_second < stretch.until)
			stretch.until = split->segments[next].from_second;

		count = ceil_div(charge->micros - position * MICROS_PER_SECOND, stretch.increment * MICROS_PER_SECOND);
		if (stretch.until != FOR_EVER && ceil_div(stretch.until - position, stretch.increment) < count)
			count = ceil_div(stretch.until - position, stretch.increment);

		bill(terms, stretch.price, count * stretch.increment, charge);
		position += count * stretch.increment;
	}
}

/* Billed seconds of an answered call, and the money of that time before fee and surcharge. */
static void
lay_out(const ChargeTerms *terms, const ChargeSplit *split, CallSeconds seconds, Charge *charge)
{
	charge->micros = billing_duration_round(seconds, terms->duration_rounding);
	charge->in_grace = charge->micros > 0 && charge->micros <= terms->grace_seconds * MICROS_PER_SECOND;
	charge->billed = 0;
	charge->time_money = 0;

	if (charge->micros == 0 || charge->in_grace)
		return;
	if (terms->increment_rule == INCREMENT_ALIGNED)
		lay_out_aligned(terms, charge);
	else
		lay_out_first_next(terms, split, charge);
}

/* Billed seconds of an answered call (V10, V11, K17, K18). */
int64_t
billing_charge_seconds(const ChargeTerms *terms, CallSeconds seconds)
{
	const ChargeSplit unsplit = {0, NULL};
	Charge		charge;

	lay_out(terms, &unsplit, seconds, &charge);
	return charge.billed;
}

/* Minimum and maximum hold for the magnitude; 0 counts as positive. */
static void
hold_limits(const ChargeTerms *terms, Charge *charge)
{
	Money		sign = charge->numerator < 0 ? -1 : 1;
	Money		magnitude = charge->numerator * sign;
	Money		least = (Money) terms->min_amount * CHARGE_DENOMINATOR;
	Money		most = (Money) terms->max_amount * CHARGE_DENOMINATOR;

	if (terms->has_min && magnitude < least)
	{
		charge->minimum_held = true;
		magnitude = least;
	}
	if (terms->has_max && magnitude > most)
	{
		charge->maximum_held = true;
		magnitude = most;
	}
	charge->numerator = magnitude * sign;
}

/* A sign and 256 bits. */
typedef struct Wide
{
	bool		negative;
	Magnitude	high;
	Magnitude	low;
} Wide;

/* 128 x 64 bits; the product fits 192. */
static Wide
multiply(Money a, uint64_t b)
{
	Magnitude	magnitude = a < 0 ? -(Magnitude) a : (Magnitude) a;
	Magnitude	lower = (Magnitude) (uint64_t) magnitude * b;
	Magnitude	upper = (magnitude >> MAGNITUDE_HALF) * b + (lower >> MAGNITUDE_HALF);

	return (Wide) {
		a < 0, upper >> MAGNITUDE_HALF, (upper << MAGNITUDE_HALF) | (uint64_t) lower
	};
}

static bool
smaller(const Wide *a, const Wide *b)
{
	return a->high < b->high || (a->high == b->high && a->low < b->low);
}

/* a - b */
static Wide
subtract(Wide a, Wide b)
{
	if (a.negative != b.negative)
	{
		a.high += b.high + (a.low + b.low < a.low ? 1 : 0);
		a.low += b.low;
		return a;
	}
	if (smaller(&a, &b))
	{
		Wide		swapped = subtract(b, a);

		swapped.negative = !a.negative;
		return swapped;
	}
	a.high -= b.high + (a.low < b.low ? 1 : 0);
	a.low -= b.low;
	return a;
}

/* Binary long division; the caller has seen to it that high < divisor, so the quotient fits. */
static Magnitude
divide(Magnitude high, Magnitude low, Magnitude divisor, Magnitude *remainder)
{
	Magnitude	quotient = 0;

	if (high == 0)
	{
		*remainder = low % divisor;
		return low / divisor;
	}
	for (int bit = 127; bit >= 0; bit--)
	{
		bool		carry = (high >> 127) != 0;

		high = (high << 1) | ((low >> bit) & 1);
		quotient <<= 1;
		if (carry || high >= divisor)
		{
			high -= divisor;
			quotient |= 1;
		}
	}
	*remainder = high;
	return quotient;
}

static bool
rounds_away(RoundingMode mode, Magnitude quotient, Magnitude remainder, Magnitude divisor)
{
	switch (mode)
	{
		case ROUND_MODE_UP:
			return remainder > 0;
		case ROUND_MODE_DOWN:
			return false;
		case ROUND_MODE_HALF_EVEN:
			if (remainder == divisor - remainder)
				return (quotient & 1) != 0;
			return remainder > divisor - remainder;
		case ROUND_MODE_HALF_UP:
		default:
			return remainder >= divisor - remainder;
	}
}

/*
 * The exchange rate, the out-payment and the one rounding, as a single division: the quotient counts units of the last
 * digit that is kept (reading 39: after conversion, half away from zero unless the list says otherwise).
 */
static void
convert_and_round(const ChargeTerms *terms, const Exchange *exchange, Charge *charge)
{
	const uint64_t one = exchange->needed ? UINT64_C(1000000000) : 1;
	const uint64_t rate = exchange->needed ? (uint64_t) exchange->rate : 1;
	Wide		sum;
	Magnitude	unit = 1;
	Magnitude	divisor;
	Magnitude	quotient;
	Magnitude	remainder;

	for (int digit = terms->rounding_digits; digit < MONEY_DIGITS; digit++)
		unit *= 10;

	/* all over CHARGE_DENOMINATOR x one, or x rate when the charge is divided by it */
	sum = subtract(multiply(charge->numerator, exchange->inverse ? one : rate),
				   multiply(charge->out_payment, exchange->inverse ? rate : one));
	divisor = unit * CHARGE_DENOMINATOR * (exchange->inverse ? rate : one);

	charge->amount = 0;
	charge->out_of_range = sum.high >= divisor;
	if (charge->out_of_range)
		return;

	quotient = divide(sum.high, sum.low, divisor, &remainder);
	if (rounds_away(terms->rounding_mode, quotient, remainder, divisor))
		quotient++;

	charge->out_of_range = quotient >= (Magnitude) AMOUNT_LIMIT / unit;
	if (charge->out_of_range)
		return;
	charge->amount = (Money) (quotient * unit);
	if (sum.negative)
		charge->amount = -charge->amount;
}

/* The whole charge of an answered call; seconds are not negative and below SECONDS_LIMIT. */
void
billing_charge_answered(const ChargeTerms *terms, const ChargeSplit *split, CallSeconds seconds,
						const Exchange *exchange, Charge *charge)
{
	*charge = (Charge) {0};
	lay_out(terms, split, seconds, charge);
	if (charge->micros == 0 || charge->in_grace)
		return;

	charge->wholly_covered = charge->billed > 0 && terms->covered >= charge->billed;
	if (!charge->wholly_covered)
	{
		charge->numerator = ((Money) terms->connect_fee * 60 + charge->time_money) * (1000000 + terms->surcharge);
		hold_limits(terms, charge);
	}
	charge->out_payment = (Money) terms->out_payment * charge->billed * 1000000;
	convert_and_round(terms, exchange, charge);
}

/* An unanswered call costs the attempt fee as it is: no minimum, no surcharge (reading 19, design 5.5). */
void
billing_charge_attempt(const ChargeTerms *terms, const Exchange *exchange, Charge *charge)
{
	*charge = (Charge) {0};
	charge->numerator = (Money) terms->attempt_fee * CHARGE_DENOMINATOR;
	convert_and_round(terms, exchange, charge);
}
