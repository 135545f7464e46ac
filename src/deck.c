/*
 * deck.c
 *	  A compiled price list: the rates that a number may be priced by, longest first (design 5.4, 7).
 *
 * The prefixes stand in a trie of 16-way nodes.  A node is two bitmaps, which symbols lead on and which
 * complete a prefix, and the places of the first of each; the others are counted from there.  Walking down a
 * number touches one node of 12 bytes a symbol and passes every prefix of it on the way, so falling back to
 * a shorter one costs no second descent.  Whole numbers (exact) are few and stand sorted beside the trie.
 *
 * Knows no catalog access; deck_load.c reads the rates.
 */
#include "billing.h"

#include "port/pg_bitutils.h"

/* The order of Deck.rates: exact ones first, by prefix, the latest version of a prefix first. */
int
billing_rate_compare(const void *a, const void *b)
{
	const Rate *left = a;
	const Rate *right = b;

	if (left->exact != right->exact)
		return left->exact ? -1 : 1;
	if (left->prefix != right->prefix)
		return left->prefix < right->prefix ? -1 : 1;
	if (left->valid_from != right->valid_from)
		return left->valid_from > right->valid_from ? -1 : 1;
	return (left->id > right->id) - (left->id < right->id);
}

/* ---- building ---- */

/* How many versions each prefix has, and where the kinds of rates stand. */
static void
mark_prefixes(Deck *deck)
{
	deck->nexact = 0;
	deck->empty_prefix = DECK_NO_RATE;

	for (uint32 i = deck->nrates; i-- > 0;)
	{
		Rate	   *rate = &deck->rates[i];
		bool		last = i + 1 == deck->nrates || rate[1].prefix != rate->prefix || rate[1].exact != rate->exact;

		rate->versions = last ? 1 : rate[1].versions + 1;
		if (rate->exact)
			deck->nexact++;
		else if (rate->prefix == PREFIX_EMPTY)
			deck->empty_prefix = i;
	}
}

/* A node still to be filled: the rates [first, last) whose prefixes share its first depth symbols and are longer. */
typedef struct PendingNode
{
	uint32		first;
	uint32		last;
} PendingNode;

/*
 * Fills one node from its rates, which stand in dialling order: for each symbol the prefix that ends with it,
 * if any, then those that go on.  Those become a child, queued behind all others, so that the children of a
 * node stand side by side.
 */
static void
fill_node(Deck *deck, DeckNode *node, PendingNode *pending, int depth, PendingNode *queue, uint32 *nqueued, uint32 *nmatches)
{
	const Rate *rates = deck->rates;
	uint32		rate = pending->first;

	node->children = node->matches = 0;
	node->first_child = *nqueued;
	node->first_match = *nmatches;

	while (rate < pending->last)
	{
		unsigned	symbol = prefix_symbol(rates[rate].prefix, depth);
		uint32		first;

		if (prefix_len(rates[rate].prefix) == depth + 1)
		{
			node->matches |= 1 << symbol;
			deck->matches[(*nmatches)++] = rate;
			rate += rates[rate].versions;
		}
		first = rate;
		while (rate < pending->last && prefix_symbol(rates[rate].prefix, depth) == symbol)
			rate += rates[rate].versions;
		if (rate > first)
		{
			node->children |= 1 << symbol;
			queue[(*nqueued)++] = (PendingNode) {first, rate};
		}
	}
}

/* The prefixes in the trie, and an upper bound of its nodes: each prefix adds at most as many as it has symbols beyond its predecessor. */
static void
count_nodes(const Deck *deck, uint32 first, uint32 *nodes, uint32 *prefixes)
{
	Prefix		former = PREFIX_EMPTY;

	*nodes = 1;
	*prefixes = 0;
	for (uint32 rate = first; rate < deck->nrates; rate += deck->rates[rate].versions)
	{
		Prefix		prefix = deck->rates[rate].prefix;

		*nodes += prefix_len(prefix) - prefix_len(prefix_common(prefix, former));
		*prefixes += 1;
		former = prefix;
	}
}

/* Builds the trie from deck->rates, which are sorted by billing_rate_compare. */
void
billing_deck_build(Deck *deck)
{
	uint32		room;
	uint32		prefixes;
	uint32		first;
	uint32		nqueued = 0;
	uint32		nmatches = 0;
	uint32		done = 0;
	int			depth = 0;
	uint32		level_ends;
	PendingNode *queue;

	mark_prefixes(deck);
	first = deck->nexact;
	if (deck->empty_prefix != DECK_NO_RATE)
		first += deck->rates[deck->empty_prefix].versions;
	count_nodes(deck, first, &room, &prefixes);
	queue = MemoryContextAllocHuge(deck->context, (Size) room * sizeof(PendingNode));
	deck->nodes = MemoryContextAllocHuge(deck->context, (Size) room * sizeof(DeckNode));
	deck->matches = MemoryContextAllocHuge(deck->context, (Size) (prefixes + 1) * sizeof(uint32));

	queue[nqueued++] = (PendingNode) {first, deck->nrates};
	for (level_ends = nqueued; done < nqueued; depth++, level_ends = nqueued)
	{
		CHECK_FOR_INTERRUPTS();
		for (; done < level_ends; done++)
			fill_node(deck, &deck->nodes[done], &queue[done], depth, queue, &nqueued, &nmatches);
	}
	Assert(nqueued <= room);
	pfree(queue);
	deck->nodes = repalloc_huge(deck->nodes, (Size) nqueued * sizeof(DeckNode));
}

/* ---- finding ---- */

/* Counted by the server's table: without -mpopcnt its function is a call through a pointer. */
static inline uint32
symbols_before(uint16 bitmap, unsigned symbol)
{
	unsigned	before = bitmap & ((1u << symbol) - 1);

	return pg_number_of_ones[before & 0xFF] + pg_number_of_ones[before >> 8];
}

/* The nodes that the number passes, the root first; returns their count. */
static int
walk_down(const Deck *deck, Prefix number, const DeckNode **path)
{
	const DeckNode *node = deck->nodes;
	int			length = prefix_len(number);
	int			depth = 0;

	while (depth < length)
	{
		unsigned	symbol = prefix_symbol(number, depth);

		path[depth++] = node;
		if (!(node->children & (1u << symbol)))
			break;
		node = &deck->nodes[node->first_child + symbols_before(node->children, symbol)];
	}
	return depth;
}

/* The first of the exact rates of a number. */
static uint32
exact_rate(const Deck *deck, Prefix number)
{
	uint32		low = 0;
	uint32		high = deck->nexact;

	while (low < high)
	{
		uint32		middle = low + (high - low) / 2;

		if (deck->rates[middle].prefix < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low < deck->nexact && deck->rates[low].prefix == number ? low : DECK_NO_RATE;
}

static inline bool
fits(const Rate *rate, DayType day_type, const char *band)
{
	if (rate->day_type != day_type || (rate->band == NULL) != (band == NULL))
		return false;
	return band == NULL || strcmp(rate->band, band) == 0;
}

/*
 * Among the versions of one prefix, latest first: the one in force for day and band, else band, else day, else
 * any.  A withdrawn version counts as none, so the next fit is asked (design 5.4).
 */
const Rate *
billing_rate_choose(const Rate *rates, int nrates, TimestampTz at, DayBand day)
{
	for (int fit = 0; fit < 4; fit++)
	{
		DayType		day_type = (fit & 1) ? DAY_ANY : day.day_type;
		const char *band = (fit & 2) ? NULL : day.band;

		if ((!(fit & 1) && day.day_type == DAY_ANY) || (!(fit & 2) && day.band == NULL))
			continue;
		for (int i = 0; i < nrates; i++)
		{
			if (rates[i].valid_from > at || !fits(&rates[i], day_type, band))
				continue;
			if (!rates[i].withdrawn)
				return &rates[i];
			break;
		}
	}
	return NULL;
}

static inline const Rate *
choose_version(const Deck *deck, uint32 first, TimestampTz at, DayBand day)
{
	const Rate *rate = &deck->rates[first];

	return billing_rate_choose(rate, rate->versions, at, day);
}

/* The rate of a number at an instant: exact, else the longest prefix that has one; NULL: none. */
const Rate *
billing_deck_find(const Deck *deck, Number number, TimestampTz at, DayBand day)
{
	const DeckNode *path[PREFIX_MAX_LEN];
	const Rate *rate = NULL;
	int			depth = walk_down(deck, number.symbols, path);

	if (deck->nexact > 0 && !number.longer)
	{
		uint32		exact = exact_rate(deck, number.symbols);

		if (exact != DECK_NO_RATE)
			rate = choose_version(deck, exact, at, day);
	}
	while (rate == NULL && depth-- > 0)
	{
		const DeckNode *node = path[depth];
		unsigned	symbol = prefix_symbol(number.symbols, depth);

		if (node->matches & (1u << symbol))
			rate = choose_version(deck, deck->matches[node->first_match + symbols_before(node->matches, symbol)], at, day);
	}
	if (rate == NULL && deck->empty_prefix != DECK_NO_RATE)
		rate = choose_version(deck, deck->empty_prefix, at, day);
	return rate;
}

/* ---- inheritance ---- */

/* What a call is charged by: the rate's own terms where it has them, else its tariff's. */
void
billing_rate_terms(const ChargeTerms *defaults, const Rate *rate, ChargeTerms *terms)
{
	const RateOverride *override = rate->override;

	*terms = *defaults;
	terms->price = terms->first_price = rate->price;
	if (override == NULL)
		return;

#define TAKE(flag, field) \
	if (override->given & (flag)) \
		terms->field = override->terms.field

	TAKE(TERM_FIRST_PRICE, first_price);
	TAKE(TERM_CONNECT_FEE, connect_fee);
	TAKE(TERM_ATTEMPT_FEE, attempt_fee);
	TAKE(TERM_FIRST_INCREMENT, first_increment);
	TAKE(TERM_NEXT_INCREMENT, next_increment);
	TAKE(TERM_INCREMENT_RULE, increment_rule);
	TAKE(TERM_GRACE_SECONDS, grace_seconds);
	TAKE(TERM_FREE_SECONDS, free_seconds);
	TAKE(TERM_MIN_AMOUNT, min_amount);
	TAKE(TERM_MIN_AMOUNT, has_min);
	TAKE(TERM_MAX_AMOUNT, max_amount);
	TAKE(TERM_MAX_AMOUNT, has_max);
	TAKE(TERM_SURCHARGE, surcharge);
	TAKE(TERM_DURATION_ROUNDING, duration_rounding);
	TAKE(TERM_ROUNDING_DIGITS, rounding_digits);
	TAKE(TERM_ROUNDING_MODE, rounding_mode);
	TAKE(TERM_BOUNDARY, split);
#undef TAKE
	terms->nsteps = override->terms.nsteps;
	terms->steps = override->terms.steps;
}
