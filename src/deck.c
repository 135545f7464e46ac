/*
 * deck.c
 *	  A compiled price list: the rates that a number may be priced by, longest first (design 5.4, 7).
 *
 * The prefixes stand in a trie of 16-way nodes.  A node is two bitmaps, which symbols lead on and which
 * complete a prefix, and the places of the first of each; the others are counted from there.  Walking down a
 * number touches one node of 12 bytes a symbol and passes every prefix of it on the way, so falling back to
 * a shorter one costs nothing more.  Whole numbers (exact) are few and stand sorted beside the trie.
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

static void
group_rates(Deck *deck)
{
	deck->groups = MemoryContextAlloc(deck->context, (Size) Max(deck->nrates, 1) * sizeof(RateGroup));
	deck->ngroups = 0;
	deck->nexact = 0;
	deck->empty_prefix = DECK_NO_GROUP;

	for (uint32 i = 0; i < deck->nrates; i++)
	{
		const Rate *rate = &deck->rates[i];
		RateGroup  *group;

		if (i > 0 && rate[-1].prefix == rate->prefix && rate[-1].exact == rate->exact)
		{
			deck->groups[deck->ngroups - 1].count++;
			continue;
		}
		if (rate->exact)
			deck->nexact++;
		else if (rate->prefix == PREFIX_EMPTY)
			deck->empty_prefix = deck->ngroups;
		group = &deck->groups[deck->ngroups++];
		group->first = i;
		group->count = 1;
	}
}

static inline Prefix
group_prefix(const Deck *deck, uint32 group)
{
	return deck->rates[deck->groups[group].first].prefix;
}

/* A node still to be filled: the groups [first, last) that share its first depth symbols and are longer. */
typedef struct PendingNode
{
	uint32		first;
	uint32		last;
} PendingNode;

/*
 * Fills one node from its groups, which stand in dialling order: for each symbol the group that ends with it,
 * if any, then those that go on.  Those become a child, queued behind all others, so that the children of a
 * node stand side by side.
 */
static void
fill_node(Deck *deck, DeckNode *node, PendingNode *pending, int depth, PendingNode *queue, uint32 *nqueued, uint32 *nmatches)
{
	uint32		group = pending->first;

	node->children = node->matches = 0;
	node->first_child = *nqueued;
	node->first_match = *nmatches;

	while (group < pending->last)
	{
		unsigned	symbol = prefix_symbol(group_prefix(deck, group), depth);
		uint32		first;

		if (prefix_len(group_prefix(deck, group)) == depth + 1)
		{
			node->matches |= 1 << symbol;
			deck->matches[(*nmatches)++] = group++;
		}
		first = group;
		while (group < pending->last && prefix_symbol(group_prefix(deck, group), depth) == symbol)
			group++;
		if (group > first)
		{
			node->children |= 1 << symbol;
			queue[(*nqueued)++] = (PendingNode) {first, group};
		}
	}
}

/* An upper bound of the nodes: each group adds at most as many as it has symbols beyond its predecessor. */
static uint32
count_nodes(const Deck *deck)
{
	uint32		nodes = 1;

	for (uint32 group = deck->nexact; group < deck->ngroups; group++)
	{
		Prefix		prefix = group_prefix(deck, group);
		int			shared = group == deck->nexact ? 0 :
			prefix_len(prefix_common(prefix, group_prefix(deck, group - 1)));

		if (prefix_len(prefix) > shared)
			nodes += prefix_len(prefix) - shared;
	}
	return nodes;
}

/* Builds groups and trie from deck->rates, which are sorted by billing_rate_compare. */
void
billing_deck_build(Deck *deck)
{
	uint32		room;
	uint32		nqueued = 0;
	uint32		nmatches = 0;
	uint32		done = 0;
	int			depth = 0;
	uint32		level_ends;
	PendingNode *queue;

	group_rates(deck);
	room = count_nodes(deck);
	queue = MemoryContextAllocHuge(deck->context, (Size) room * sizeof(PendingNode));
	deck->nodes = MemoryContextAllocHuge(deck->context, (Size) room * sizeof(DeckNode));
	deck->matches = MemoryContextAllocHuge(deck->context, (Size) (deck->ngroups + 1) * sizeof(uint32));

	queue[nqueued++] = (PendingNode) {
		deck->nexact + (deck->empty_prefix != DECK_NO_GROUP ? 1 : 0), deck->ngroups
	};
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

static inline int
symbols_before(uint16 bitmap, unsigned symbol)
{
	return pg_popcount32(bitmap & ((1u << symbol) - 1));
}

/* The groups that are prefixes of the number, shortest first; returns their count, at most 16. */
static int
matching_groups(const Deck *deck, Prefix number, uint32 *groups)
{
	const DeckNode *node = deck->nodes;
	int			length = prefix_len(number);
	int			count = 0;

	if (deck->empty_prefix != DECK_NO_GROUP)
		groups[count++] = deck->empty_prefix;

	for (int i = 0; i < length; i++)
	{
		unsigned	symbol = prefix_symbol(number, i);

		if (node->matches & (1u << symbol))
			groups[count++] = deck->matches[node->first_match + symbols_before(node->matches, symbol)];
		if (!(node->children & (1u << symbol)))
			break;
		node = &deck->nodes[node->first_child + symbols_before(node->children, symbol)];
	}
	return count;
}

static uint32
exact_group(const Deck *deck, Prefix number)
{
	uint32		low = 0;
	uint32		high = deck->nexact;

	while (low < high)
	{
		uint32		middle = low + (high - low) / 2;
		Prefix		prefix = group_prefix(deck, middle);

		if (prefix == number)
			return middle;
		if (prefix < number)
			low = middle + 1;
		else
			high = middle;
	}
	return DECK_NO_GROUP;
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

/* The rate of a number at an instant: exact, else the longest prefix that has one; NULL: none. */
const Rate *
billing_deck_find(const Deck *deck, Number number, TimestampTz at, DayBand day)
{
	uint32		groups[PREFIX_MAX_LEN + 2];
	int			count = matching_groups(deck, number.symbols, groups);

	if (deck->nexact > 0 && !number.longer)
	{
		uint32		exact = exact_group(deck, number.symbols);

		if (exact != DECK_NO_GROUP)
			groups[count++] = exact;
	}
	while (count > 0)
	{
		const RateGroup *group = &deck->groups[groups[--count]];
		const Rate *rate = billing_rate_choose(&deck->rates[group->first], group->count, at, day);

		if (rate)
			return rate;
	}
	return NULL;
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
