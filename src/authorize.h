/*
 * authorize.h
 *	  What the files that answer before a call share with each other and with rating, grouped by implementing file.
 */
#ifndef BILLING_AUTHORIZE_H
#define BILLING_AUTHORIZE_H

#include "billing.h"

#pragma GCC visibility push(hidden)

/* ---- longest.c ---- */

/* What a leg is charged by, for who asks before the call. */
typedef struct LegQuote
{
	int64		tariff_id;		/* the price list that was asked; 0: none */
	const char *destination;	/* of the rate; NULL: none */
	const char *currency;		/* of the prices; NULL: not priced */
	ChargeTerms terms;
	Exchange	exchange;
	int			sign;
	bool		splits;			/* a longer call may cross into other terms */
	bool		falls;			/* a longer call may cost less */
} LegQuote;

/* A call that is priced as if it were answered and lasted so long. */
typedef struct Search
{
	Statement  *statement;
	Cdr		   *cdr;
	MemoryContext scratch;		/* of one rating */
	int64		covered[LEGS];
	bool		limited[LEGS];
	Money		spendable[LEGS];
	Money		peak[LEGS];		/* the greatest amount of each leg, until the call has lasted as long as it may */
	int64		billsec[LEGS];	/* and what is billed of it by then */
	Rating		rating;			/* as of the seconds that were asked last */
	LegQuote	quotes[LEGS];
	bool		splits;			/* any of them: each duration is rated anew */
	int			short_leg;		/* whose account cannot pay; LEGS: nobody's */
	Money		short_of;		/* what it would have to pay; 0: its price is not known */
} Search;

/* The legs that must be affordable: all that a customer, a reseller or the holder of a DID pays. */
#define PAYERS	4

extern const LegKind billing_payers[PAYERS];	/* in the order in which they are told what they lack */

extern void billing_quote_destination(const Price *price, LegQuote *quote);
extern void billing_quote_leg(const Price *price, const ChargeSplit *split, const Exchange *exchange, int sign, LegQuote *quote);
extern void billing_search_begin(Search *search, Statement *statement, Cdr *cdr);
extern void billing_search_seconds(Search *search, const LegKind *legs, int count, int64 seconds);
extern int64 billing_search_longest(Search *search, int64 most);
extern Datum billing_leg_array(Datum *values, bool *nulls, Oid type);
extern Datum billing_leg_ids(const int64 *ids);
extern Datum billing_leg_money(const Money *money);

/* ---- spendable.c ---- */

/* What an account can spend: its balance and its credit limit. */
typedef struct Spendable
{
	bool		limited;		/* else it can spend any amount */
	Money		spendable;
	Money		available;		/* less what open reservations set aside */
} Spendable;

extern Spendable billing_spendable(const Account *account, int64 reservation, Snapshot snapshot);
extern void billing_lock_spending(Statement *statement, const int64 *accounts, int count);

#pragma GCC visibility pop

#endif							/* BILLING_AUTHORIZE_H */
