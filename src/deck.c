/*
 * deck.c
 *	  A compiled price list: the rates that a number may be priced by, longest first (design 5.4, 7).
 *
 * The prefixes stand in a trie of 16-way nodes.  A node is two bitmaps, which symbols lead on and which
 * complete a prefix, and the places of the first of each; the others are counted from there.  Walking down a
 * number touches one node of 12 bytes a symbol and passes every prefix of it on the way, so falling back to
 * a shorter one costs no second descent.  The rates themselves stand in the order in which the nodes count, so
 * that a number costs one cache miss more than its nodes.  Whole numbers (exact) are few and stand sorted before them.
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

/* Ties the versions of a prefix together, in rates that are sorted by billing_rate_compare. */
void
billing_rate_link(Rate *rates, uint32 nrates)
{
	for (uint32 i = 0; i < nrates; i++)
		rates[i].older = i + 1 < nrates && rates[i + 1].prefix == rates[i].prefix && rates[i + 1].exact == rates[i].exact;
}

/* The first rate of the next prefix. */
static inline uint32
next_prefix(const Deck *deck, uint32 rate)
{
	while (deck->rates[rate].older)
		rate++;
	return rate + 1;
}

/* Counts the exact rates and finds the empty prefix; returns where the prefixes of the trie begin. */
static uint32
skip_rates_beside(Deck *deck)
{
	uint32		first = 0;

	while (first < deck->nrates && deck->rates[first].exact)
		first++;
	deck->nexact = first;
	deck->empty_prefix = DECK_NO_RATE;
	if (first < deck->nrates && deck->rates[first].prefix == PREFIX_EMPTY)
	{
		deck->empty_prefix = first;
		first = next_prefix(deck, first);
	}
	return first;
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
fill_node(const Deck *deck, DeckNode *node, PendingNode *pending, int depth, PendingNode *queue, uint32 *nqueued, uint32 *order, uint32 *nplaced)
{
	const Rate *rates = deck->rates;
	uint32		rate = pending->first;

	node->children = node->matches = 0;
	node->first_child = *nqueued;
	node->first_match = *nplaced;

	while (rate < pending->last)
	{
		unsigned	symbol = prefix_symbol(rates[rate].prefix, depth);
		uint32		first;

		if (prefix_len(rates[rate].prefix) == depth + 1)
		{
			node->matches |= 1 << symbol;
			order[(*nplaced)++] = rate;
			rate = next_prefix(deck, rate);
		}
		first = rate;
		while (rate < pending->last && prefix_symbol(rates[rate].prefix, depth) == symbol)
			rate = next_prefix(deck, rate);
		if (rate > first)
		{
			node->children |= 1 << symbol;
			queue[(*nqueued)++] = (PendingNode) {first, rate};
		}
	}
}

/* An upper bound of the nodes: each prefix adds at most as many as it has symbols beyond its predecessor. */
static uint32
count_nodes(const Deck *deck, uint32 first)
{
	uint32		nodes = 1;
	Prefix		former = PREFIX_EMPTY;

	for (uint32 rate = first; rate < deck->nrates; rate++)
	{
		Prefix		prefix = deck->rates[rate].prefix;

		nodes += prefix_len(prefix) - prefix_len(prefix_common(prefix, former));
		former = prefix;
	}
	return nodes;
}

/* Appends the older versions to the order, which has the latest of each prefix in places [first, placed). */
static void
place_older(Deck *deck, uint32 *order, uint32 first, uint32 placed)
{
	uint32		latest = placed;

	for (uint32 i = first; i < latest; i++)
	{
		uint32		version = order[i];

		if (!deck->rates[version].older)
			continue;
		deck->rates[version].older = placed - i;
		do
			order[placed++] = ++version;
		while (deck->rates[version].older);
	}
}

/* Moves rate order[i] to place i, round by round, for there may be no room for all of them twice. */
static void
move_rates(Deck *deck, uint32 *order, uint32 first)
{
	for (uint32 i = first; i < deck->nrates; i++)
	{
		Rate		displaced = deck->rates[i];
		uint32		place = i;

		while (order[place] != i)
		{
			uint32		from = order[place];

			deck->rates[place] = deck->rates[from];
			order[place] = place;
			place = from;
		}
		deck->rates[place] = displaced;
		order[place] = place;
	}
}

/* Builds the trie from deck->rates, which are sorted by billing_rate_compare, and puts them in its order. */
void
billing_deck_build(Deck *deck)
{
	uint32		room;
	uint32		first;
	uint32		placed;
	uint32		nqueued = 0;
	uint32		done = 0;
	int			depth = 0;
	uint32		level_ends;
	PendingNode *queue;
	uint32	   *order;

	billing_rate_link(deck->rates, deck->nrates);
	first = placed = skip_rates_beside(deck);
	room = count_nodes(deck, first);
	queue = MemoryContextAllocHuge(deck->context, (Size) room * sizeof(PendingNode));
	deck->nodes = MemoryContextAllocHuge(deck->context, (Size) room * sizeof(DeckNode));
	order = MemoryContextAllocHuge(deck->context, (Size) Max(deck->nrates, 1) * sizeof(uint32));

	queue[nqueued++] = (PendingNode) {first, deck->nrates};
	for (level_ends = nqueued; done < nqueued; depth++, level_ends = nqueued)
	{
		CHECK_FOR_INTERRUPTS();
		for (; done < level_ends; done++)
			fill_node(deck, &deck->nodes[done], &queue[done], depth, queue, &nqueued, order, &placed);
	}
	Assert(nqueued <= room);
	pfree(queue);
	place_older(deck, order, first, placed);
	move_rates(deck, order, first);
	pfree(order);
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
 * Among the versions of one prefix, from the latest on: the one in force for day and band, else band, else day, else
 * any.  A withdrawn version counts as none, so the next fit is asked (design 5.4).
 */
const Rate *
billing_rate_choose(const Rate *latest, TimestampTz at, DayBand day)
{
	for (int fit = 0; fit < 4; fit++)
	{
		DayType		day_type = (fit & 1) ? DAY_ANY : day.day_type;
		const char *band = (fit & 2) ? NULL : day.band;

		if ((!(fit & 1) && day.day_type == DAY_ANY) || (!(fit & 2) && day.band == NULL))
			continue;
		for (const Rate *rate = latest;; rate += rate->older)
		{
			if (rate->valid_from <= at && fits(rate, day_type, band))
			{
				if (!rate->withdrawn)
					return rate;
				break;
			}
			if (rate->older == 0)
				break;
		}
	}
	return NULL;
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
			rate = billing_rate_choose(&deck->rates[exact], at, day);
	}
	while (rate == NULL && depth-- > 0)
	{
		const DeckNode *node = path[depth];
		unsigned	symbol = prefix_symbol(number.symbols, depth);

		if (node->matches & (1u << symbol))
			rate = billing_rate_choose(&deck->rates[node->first_match + symbols_before(node->matches, symbol)], at, day);
	}
	if (rate == NULL && deck->empty_prefix != DECK_NO_RATE)
		rate = billing_rate_choose(&deck->rates[deck->empty_prefix], at, day);
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
