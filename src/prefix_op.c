/*
 * prefix_op.c
 *		The operators of the type prefix: order, hash, containment, distance.
 *
 * None of them raises an error for any value, so all are LEAKPROOF and keep
 * their indexes under row-level security.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/lsyscache.h"
#include "utils/sortsupport.h"

#include "prefix_sql.h"

PG_FUNCTION_INFO_V1(billing_prefix_eq);
PG_FUNCTION_INFO_V1(billing_prefix_ne);
PG_FUNCTION_INFO_V1(billing_prefix_lt);
PG_FUNCTION_INFO_V1(billing_prefix_le);
PG_FUNCTION_INFO_V1(billing_prefix_gt);
PG_FUNCTION_INFO_V1(billing_prefix_ge);
PG_FUNCTION_INFO_V1(billing_prefix_cmp);
PG_FUNCTION_INFO_V1(billing_prefix_sortsupport);
PG_FUNCTION_INFO_V1(billing_prefix_hash);
PG_FUNCTION_INFO_V1(billing_prefix_hash_extended);
PG_FUNCTION_INFO_V1(billing_prefix_contains);
PG_FUNCTION_INFO_V1(billing_prefix_contained);
PG_FUNCTION_INFO_V1(billing_prefix_contains_number);
PG_FUNCTION_INFO_V1(billing_prefix_number_contained);
PG_FUNCTION_INFO_V1(billing_prefix_distance);
PG_FUNCTION_INFO_V1(billing_prefix_distance_number);
PG_FUNCTION_INFO_V1(billing_prefix_prefixes);
PG_FUNCTION_INFO_V1(billing_prefix_prefixes_number);
PG_FUNCTION_INFO_V1(billing_prefix_last);

/*
 * The six comparisons and prefix_cmp(prefix, prefix): dialling order, that is,
 * by symbol (0-9 * # A-D), a prefix before what begins with it.
 */
Datum
billing_prefix_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(PG_GETARG_PREFIX(0) == PG_GETARG_PREFIX(1));
}

Datum
billing_prefix_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(PG_GETARG_PREFIX(0) != PG_GETARG_PREFIX(1));
}

Datum
billing_prefix_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(PG_GETARG_PREFIX(0) < PG_GETARG_PREFIX(1));
}

Datum
billing_prefix_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(PG_GETARG_PREFIX(0) <= PG_GETARG_PREFIX(1));
}

Datum
billing_prefix_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(PG_GETARG_PREFIX(0) > PG_GETARG_PREFIX(1));
}

Datum
billing_prefix_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(PG_GETARG_PREFIX(0) >= PG_GETARG_PREFIX(1));
}

Datum
billing_prefix_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(prefix_compare(PG_GETARG_PREFIX(0), PG_GETARG_PREFIX(1)));
}

/*
 * prefix_sortsupport(internal)
 * A prefix sorts as the unsigned integer that it is; the server has a
 * specialised sort for that comparator.
 */
Datum
billing_prefix_sortsupport(PG_FUNCTION_ARGS)
{
	SortSupport ssup = (SortSupport) PG_GETARG_POINTER(0);

	ssup->comparator = ssup_datum_unsigned_cmp;
	PG_RETURN_VOID();
}

/*
 * By halves, not by bytes, so that hash partitions are the same on every
 * machine.
 */
static uint32
fold(Prefix p)
{
	return (uint32) p ^ murmurhash32((uint32) (p >> 32));
}

/*
 * prefix_hash(prefix) returns integer
 */
Datum
billing_prefix_hash(PG_FUNCTION_ARGS)
{
	return hash_uint32(fold(PG_GETARG_PREFIX(0)));
}

/*
 * prefix_hash_extended(prefix, bigint) returns bigint
 */
Datum
billing_prefix_hash_extended(PG_FUNCTION_ARGS)
{
	return hash_uint32_extended(fold(PG_GETARG_PREFIX(0)),
								(uint64) PG_GETARG_INT64(1));
}

bool
billing_prefix_of_number(Datum number, Prefix *out)
{
	text	   *t = DatumGetTextPP(number);
	bool		readable = billing_prefix_scan(VARDATA_ANY(t),
											   VARSIZE_ANY_EXHDR(t), out, NULL);

	/* Index scans call this often within one context. */
	if ((Pointer) t != DatumGetPointer(number))
		pfree(t);
	return readable;
}

/*
 * prefix @> prefix: does the right one begin with the left one?
 */
Datum
billing_prefix_contains(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(prefix_contains(PG_GETARG_PREFIX(0), PG_GETARG_PREFIX(1)));
}

/*
 * prefix <@ prefix: does the left one begin with the right one?
 */
Datum
billing_prefix_contained(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(prefix_contains(PG_GETARG_PREFIX(1), PG_GETARG_PREFIX(0)));
}

/*
 * prefix @> text: does the number begin with the prefix?  By its first 15
 * symbols; a number that cannot be read begins with none, and is no error.
 */
Datum
billing_prefix_contains_number(PG_FUNCTION_ARGS)
{
	Prefix		number;

	PG_RETURN_BOOL(billing_prefix_of_number(PG_GETARG_DATUM(1), &number) &&
				   prefix_contains(PG_GETARG_PREFIX(0), number));
}

/*
 * text <@ prefix: the same, the other way round.
 */
Datum
billing_prefix_number_contained(PG_FUNCTION_ARGS)
{
	Prefix		number;

	PG_RETURN_BOOL(billing_prefix_of_number(PG_GETARG_DATUM(0), &number) &&
				   prefix_contains(PG_GETARG_PREFIX(1), number));
}

double
billing_prefix_miss(Prefix p, Prefix number)
{
	if (!prefix_contains(p, number))
		return get_float8_infinity();
	return PREFIX_MAX_LEN - prefix_len(p);
}

/*
 * prefix <-> prefix returns double precision
 * 15 - length of the left one if the right one begins with it, else infinity:
 * the longest match is the nearest.
 */
Datum
billing_prefix_distance(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(billing_prefix_miss(PG_GETARG_PREFIX(0),
										 PG_GETARG_PREFIX(1)));
}

/*
 * prefix <-> text returns double precision
 * The same for a number, by its first 15 symbols; infinity if not readable.
 */
Datum
billing_prefix_distance_number(PG_FUNCTION_ARGS)
{
	Prefix		number;

	if (!billing_prefix_of_number(PG_GETARG_DATUM(1), &number))
		PG_RETURN_FLOAT8(get_float8_infinity());
	PG_RETURN_FLOAT8(billing_prefix_miss(PG_GETARG_PREFIX(0), number));
}

/* The type prefix, which is known here as what the function's array is of. */
static Oid
element_type(FmgrInfo *flinfo)
{
	Oid		   *type = flinfo->fn_extra;

	if (type == NULL)
	{
		type = MemoryContextAlloc(flinfo->fn_mcxt, sizeof(Oid));
		*type = get_element_type(get_func_rettype(flinfo->fn_oid));
		flinfo->fn_extra = type;
	}
	return *type;
}

static ArrayType *
all_prefixes(Prefix p, Oid type)
{
	Datum		elem[PREFIX_MAX_LEN + 1];
	int			len = prefix_len(p);

	for (int i = 0; i <= len; i++)
		elem[i] = PrefixGetDatum(prefix_truncate(p, i));
	return construct_array(elem, len + 1, type, sizeof(Prefix), true,
						   TYPALIGN_DOUBLE);
}

/*
 * prefixes(prefix) returns prefix[]
 * All that contain it, from the empty one to itself.
 */
Datum
billing_prefix_prefixes(PG_FUNCTION_ARGS)
{
	PG_RETURN_ARRAYTYPE_P(all_prefixes(PG_GETARG_PREFIX(0),
									   element_type(fcinfo->flinfo)));
}

/*
 * prefixes(text) returns prefix[]
 * All prefixes of a number, from the empty one to its first 15 symbols; none
 * if it is not readable.
 */
Datum
billing_prefix_prefixes_number(PG_FUNCTION_ARGS)
{
	Oid			type = element_type(fcinfo->flinfo);
	Prefix		number;

	if (!billing_prefix_of_number(PG_GETARG_DATUM(0), &number))
		PG_RETURN_ARRAYTYPE_P(construct_empty_array(type));
	PG_RETURN_ARRAYTYPE_P(all_prefixes(number, type));
}

/*
 * prefix_last(prefix) returns prefix
 * The last one, in dialling order, that begins with it: p <@ q is
 * p BETWEEN q AND prefix_last(q).
 */
Datum
billing_prefix_last(PG_FUNCTION_ARGS)
{
	PG_RETURN_PREFIX(prefix_last(PG_GETARG_PREFIX(0)));
}
