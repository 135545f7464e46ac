/*
 * charge.h
 *	  How much a call costs: seconds to billed seconds to money.
 *
 * Knows neither catalogs nor the server, so that it can be fuzzed and measured alone (design 8).
 *
 * Money is fixed point with 8 decimals; what is not yet rounded is an int128 numerator over
 * CHARGE_DENOMINATOR.  Within the bounds of the catalogue (prices and fees < 1e8, seconds < 1e9, surcharge
 * < 10,000 %) the numerator stays below 1e34 and nothing is divided before the one rounding (promise 5).
 */
#ifndef BILLING_CHARGE_H
#define BILLING_CHARGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef __int128 Money;			/* units of 1e-8 */

#define MONEY_DIGITS		8
#define MICROS_PER_SECOND	INT64_C(1000000)
#define SECONDS_LIMIT		INT64_C(1000000000)	/* seconds of a call are less */

/* per minute (60), and a surcharge of 1 + percent / 100 with 4 decimals of percent (1e6) */
#define CHARGE_DENOMINATOR	INT64_C(60000000)

typedef enum IncrementRule
{
	INCREMENT_FIRST_NEXT,
	INCREMENT_ALIGNED
} IncrementRule;

typedef enum DurationRounding
{
	DURATION_UP,
	DURATION_HALF_UP,
	DURATION_NONE
} DurationRounding;

typedef enum RoundingMode
{
	ROUND_MODE_HALF_UP,
	ROUND_MODE_HALF_EVEN,
	ROUND_MODE_UP,
	ROUND_MODE_DOWN
} RoundingMode;

/* A stretch of the call, from its second on, with a price and an increment of its own (K22). */
typedef struct ChargeStep
{
	int32_t		from_second;
	int32_t		increment;
	int64_t		price;
} ChargeStep;

/* Everything that a charge depends on beside the call's duration. */
typedef struct ChargeTerms
{
	int64_t		price;			/* per minute */
	int64_t		first_price;	/* per minute within the first increment */
	int64_t		connect_fee;
	int64_t		attempt_fee;	/* of an unanswered call */
	int64_t		out_payment;	/* per minute, taken off after the exchange (D14) */
	int64_t		covered;		/* billed seconds that an allowance covers (D10) */
	int64_t		min_amount;
	int64_t		max_amount;
	int32_t		surcharge;		/* percent, 4 decimals */
	int32_t		first_increment;	/* seconds, as all below */
	int32_t		next_increment;
	int32_t		grace_seconds;
	int32_t		free_seconds;
	int8_t		rounding_digits;	/* -4 .. 8 */
	bool		has_min;
	bool		has_max;
	IncrementRule increment_rule;
	DurationRounding duration_rounding;
	RoundingMode rounding_mode;
	bool		split;			/* boundary: each increment by the rate in which it starts */
	int			nsteps;
	const ChargeStep *steps;	/* by from_second */
} ChargeTerms;

/* From this second of the call on, increments start under these terms: their price, next increment and steps. */
typedef struct ChargeSegment
{
	int64_t		from_second;
	int64_t		price;
	int32_t		increment;
	int			nsteps;
	const ChargeStep *steps;
} ChargeSegment;

/* Where a call crosses into other terms (reading 15); none for most. */
typedef struct ChargeSplit
{
	int			count;
	const ChargeSegment *segments;	/* by from_second */
} ChargeSplit;

/*
 * A duration as precise as it was given: whole microseconds, and whether something smaller than one was cut
 * off.  Thresholds are whole seconds, so that is all that any comparison or rounding needs to be exact.
 */
typedef struct CallSeconds
{
	int64_t		micros;
	bool		more;
} CallSeconds;

/* An exchange rate with 9 decimals: the amount is multiplied by it, or divided when inverse. */
typedef struct Exchange
{
	bool		needed;
	bool		inverse;
	int64_t		rate;
} Exchange;

/* How an amount came about, for those who ask (promise 4). */
typedef struct Charge
{
	int64_t		micros;			/* after duration_rounding */
	int64_t		billed;			/* whole seconds */
	bool		in_grace;
	Money		time_money;		/* price x seconds, over 60 */
	Money		numerator;		/* fee, time, surcharge, minimum and maximum; over CHARGE_DENOMINATOR */
	Money		out_payment;	/* in the account's currency; over CHARGE_DENOMINATOR */
	bool		wholly_covered; /* by an allowance: neither fee nor minimum */
	bool		minimum_held;
	bool		maximum_held;
	bool		out_of_range;	/* |amount| >= 1e12: amount is void */
	Money		amount;			/* rounded, in the account's currency; the sign of the leg is the caller's */
} Charge;

extern int64_t billing_duration_round(CallSeconds seconds, DurationRounding rounding);
extern int64_t billing_charge_seconds(const ChargeTerms *terms, CallSeconds seconds);
extern void billing_charge_answered(const ChargeTerms *terms, const ChargeSplit *split, CallSeconds seconds,
									const Exchange *exchange, Charge *charge);
extern void billing_charge_attempt(const ChargeTerms *terms, const Exchange *exchange, Charge *charge);

#endif
