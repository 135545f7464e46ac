/*
 * deck_cache.c
 *	  Which price lists are compiled, within billing.deck_memory; the others are asked through the btree.
 *
 * Compiling a list costs as much as probing it some thousand times, and nobody knows how many calls will come.  So it is
 * compiled when it has been probed for as long as compiling takes: whatever comes, that is at most twice the cost
 * of what would have been best.
 *
 * When memory is full, lists that are asked more often take the place of those that are asked less.  The least recently
 * used one must not go for any other: where calls go to more lists than fit, in turn, each would be thrown away just
 * before it is asked again, and compiling would be all that the session does.
 */
#include "billing.h"

#include "access/stratnum.h"
#include "utils/memutils.h"

#define ROWS_PER_PROBE	24		/* compiled in the time of a probe */
#define RETRY_PROBES	256		/* until a list asks again for the place of another */
#define BYTES_PER_RATE	(sizeof(Rate) + sizeof(uint32) + sizeof(DeckNode))	/* about, with its place in the order while a list is compiled */
#define EPOCH_BITS		16		/* look-ups after which what was asked before counts half */

/* Bytes for price lists and what is remembered of single rows together. */
Size
billing_memory_limit(void)
{
	return (Size) billing_deck_memory * 1024;
}

/* How often the list was asked of late. */
static uint32
heat(const Catalogue *catalogue, Tariff *tariff)
{
	uint64		epoch = catalogue->lookups >> EPOCH_BITS;

	if (tariff->heat_epoch != epoch)
	{
		uint64		passed = epoch - tariff->heat_epoch;

		tariff->heat = passed < 32 ? tariff->heat >> passed : 0;
		tariff->heat_epoch = epoch;
	}
	return tariff->heat;
}

/* The call that is being rated may hold a rate of it, so it goes with the memory of that call. */
static void
discard(Catalogue *catalogue, Deck *deck)
{
	dlist_delete(&deck->node);
	catalogue->deck_bytes -= deck->bytes;
	deck->tariff->deck = NULL;
	deck->tariff->probes = 0;
	MemoryContextSetIdentifier(deck->context, NULL);
	MemoryContextSetParent(deck->context, CurrentMemoryContext);
}

/* Discards the least recently used decks until the others fit: services and accounts need their place. */
void
billing_shrink_decks(Catalogue *catalogue, Size bytes)
{
	while (catalogue->deck_bytes > bytes && !dlist_is_empty(&catalogue->decks))
		discard(catalogue, dlist_container(Deck, node, dlist_head_node(&catalogue->decks)));
}

/* Discards decks that together were asked half as often as this list, the least recently used first; false: that is not enough. */
static bool
make_room(Catalogue *catalogue, Tariff *tariff, Size needed)
{
	uint32		bearable = heat(catalogue, tariff) / 2;
	uint32		lost = 0;
	Size		used = catalogue->deck_bytes + catalogue->row_bytes;
	List	   *coldest = NIL;
	ListCell   *cell;
	dlist_iter	iter;

	if (catalogue->row_bytes + needed > billing_memory_limit())
		return false;
	dlist_foreach(iter, &catalogue->decks)
	{
		Deck	   *deck = dlist_container(Deck, node, iter.cur);
		uint32		loss = heat(catalogue, deck->tariff);

		if (used + needed <= billing_memory_limit())
			break;
		if (lost + loss > bearable)
			continue;
		lost += loss;
		used -= deck->bytes;
		coldest = lappend(coldest, deck);
	}
	if (used + needed <= billing_memory_limit())
		foreach(cell, coldest)
			discard(catalogue, lfirst(cell));
	list_free(coldest);
	return used + needed <= billing_memory_limit();
}

/* Whether the list was probed about as long as compiling it takes; if not, it is asked again later. */
static bool
is_worth_it(Statement *statement, Tariff *tariff)
{
	uint64		rows = tariff->probes * ROWS_PER_PROBE;

	if (tariff->rows == 0)
	{
		uint64		counted = billing_count_rates(statement, tariff, rows + 1);

		if (counted <= rows)
			tariff->rows = counted;
		else
			tariff->next_try = 2 * tariff->probes;
		return counted <= rows;
	}
	tariff->next_try = tariff->rows / ROWS_PER_PROBE + 1;
	return tariff->probes >= tariff->next_try;
}

/* The deck is made under the statement's context and only then handed to the catalogue, so that an error on the way leaves nothing behind. */
static void
try_compile(Statement *statement, Tariff *tariff)
{
	Catalogue  *catalogue = statement->catalogue;
	Deck	   *deck;

	if (!is_worth_it(statement, tariff))
		return;
	tariff->next_try = tariff->probes + RETRY_PROBES;
	if (!make_room(catalogue, tariff, tariff->deck_bytes != 0 ? tariff->deck_bytes : tariff->rows * BYTES_PER_RATE))
		return;
	deck = billing_deck_load(statement, tariff, billing_memory_limit());
	tariff->deck_bytes = deck ? deck->bytes : 0;
	if (deck && make_room(catalogue, tariff, deck->bytes))
	{
		MemoryContextSetParent(deck->context, catalogue->context);
		catalogue->deck_bytes += deck->bytes;
		dlist_push_tail(&catalogue->decks, &deck->node);
		tariff->deck = deck;
		return;
	}
	/* Larger than it looked. */
	tariff->next_try = 2 * tariff->probes;
	if (deck)
		MemoryContextDelete(deck->context);
}

/* The rate of a number at an instant: exact, else the longest prefix that has one; NULL: none. */
const Rate *
billing_tariff_rate(Statement *statement, Tariff *tariff, Number number, TimestampTz at, DayBand day)
{
	Catalogue  *catalogue = statement->catalogue;

	catalogue->lookups++;
	tariff->heat = heat(catalogue, tariff) + 1;
	if (tariff->deck == NULL && tariff->probes++ >= tariff->next_try)
		try_compile(statement, tariff);
	if (tariff->deck == NULL)
		return billing_rate_probe(statement, tariff, number, at, day);
	dlist_move_tail(&catalogue->decks, &tariff->deck->node);
	return billing_deck_find(tariff->deck, number, at, day);
}
