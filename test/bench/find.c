/*
 * find.c
 *	  Times the lookup in a compiled price list itself: no SQL, no row, no reading of the number.
 *
 * bench.find(prefixes, ids, numbers) returns nanoseconds a lookup, milliseconds to compile, bytes a prefix, and
 * the sum of the ids that were found, which the caller compares with what SQL finds.
 */
#include "../../src/deck.c"

#include "catalog/pg_type.h"
#include "portability/instr_time.h"
#include "utils/array.h"
#include "utils/memutils.h"

PG_MODULE_MAGIC;
PG_FUNCTION_INFO_V1(bench_find);

Datum
bench_find(PG_FUNCTION_ARGS)
{
	ArrayType  *prefixes = PG_GETARG_ARRAYTYPE_P(0);
	ArrayType  *ids = PG_GETARG_ARRAYTYPE_P(1);
	ArrayType  *numbers = PG_GETARG_ARRAYTYPE_P(2);
	int			nprefixes = ArrayGetNItems(ARR_NDIM(prefixes), ARR_DIMS(prefixes));
	int			nnumbers = ArrayGetNItems(ARR_NDIM(numbers), ARR_DIMS(numbers));
	const Prefix *prefix = (const Prefix *) ARR_DATA_PTR(prefixes);
	const int64 *id = (const int64 *) ARR_DATA_PTR(ids);
	const Prefix *number = (const Prefix *) ARR_DATA_PTR(numbers);
	Deck		deck = {.context = AllocSetContextCreate(CurrentMemoryContext, "bench deck", ALLOCSET_DEFAULT_SIZES)};
	DayBand		day = {.day_type = DAY_ANY};
	instr_time	began,
				took;
	double		compiled,
				found;
	double		sum = 0;
	Datum		result[4];

	deck.nrates = nprefixes;
	deck.rates = MemoryContextAllocExtended(deck.context, nprefixes * sizeof(Rate), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (int i = 0; i < nprefixes; i++)
	{
		deck.rates[i].id = id[i];
		deck.rates[i].prefix = prefix[i];
		deck.rates[i].valid_from = DT_NOBEGIN;
	}
	INSTR_TIME_SET_CURRENT(began);
	qsort(deck.rates, deck.nrates, sizeof(Rate), billing_rate_compare);
	billing_deck_build(&deck);
	INSTR_TIME_SET_CURRENT(took);
	INSTR_TIME_SUBTRACT(took, began);
	compiled = INSTR_TIME_GET_MILLISEC(took);

	/* Once to warm up, once to time. */
	for (int round = 0; round < 2; round++)
	{
		sum = 0;
		INSTR_TIME_SET_CURRENT(began);
		for (int i = 0; i < nnumbers; i++)
		{
			const Rate *rate = billing_deck_find(&deck, (Number) {.symbols = number[i]}, 0, day);

			if (rate)
				sum += rate->id;
		}
		INSTR_TIME_SET_CURRENT(took);
		INSTR_TIME_SUBTRACT(took, began);
	}
	found = INSTR_TIME_GET_DOUBLE(took) * 1e9 / nnumbers;
	result[0] = Float8GetDatum(found);
	result[1] = Float8GetDatum(compiled);
	result[2] = Float8GetDatum((double) MemoryContextMemAllocated(deck.context, true) / nprefixes);
	result[3] = Float8GetDatum(sum);
	PG_RETURN_ARRAYTYPE_P(construct_array(result, 4, FLOAT8OID, sizeof(float8), true, 'd'));
}
