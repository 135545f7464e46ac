/*
 * prefix.h
 *		A prefix: up to 15 dialled symbols in one 64-bit integer.
 *
 * The symbols 0-9 * # A-D are the nibble codes 0 to 15, the first symbol in the
 * highest nibble, unused nibbles zero, and the lowest nibble holds the length:
 *
 *		"4420"  =  0x4420 0000 0000 0004
 *
 * So the order of the unsigned integers is dialling order (a prefix, then
 * everything that begins with it, then its next sibling), "begins with" is one
 * mask and compare, and all that begin with a prefix form one closed range,
 * prefix to prefix_last(prefix).
 *
 * This file needs no server header, so that it can be fuzzed and benchmarked
 * alone; what ties it to the server is in prefix_sql.h.
 */
#ifndef BILLING_PREFIX_H
#define BILLING_PREFIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t Prefix;

#define PREFIX_MAX_LEN	15		/* E.164 */
#define PREFIX_EMPTY	UINT64_C(0) /* matches every number */
#define PREFIX_SYMBOLS	"0123456789*#ABCD"	/* by nibble code */

/* Number of symbols, 0 to 15. */
static inline int
prefix_len(Prefix p)
{
	return (int) (p & 15);
}

/* The bits of the first len symbols, len 0 to 15. */
static inline uint64_t
prefix_mask(int len)
{
	return ~(UINT64_MAX >> (4 * len));
}

/* Nibble code of symbol i, which must be less than the length. */
static inline unsigned
prefix_symbol(Prefix p, int i)
{
	return (unsigned) (p >> (60 - 4 * i)) & 15;
}

/* The first len symbols of p, or p if it has no more than that. */
static inline Prefix
prefix_truncate(Prefix p, int len)
{
	if (len >= prefix_len(p))
		return p;
	return (p & prefix_mask(len)) | (Prefix) len;
}

/* p and one more symbol; p must be shorter than PREFIX_MAX_LEN. */
static inline Prefix
prefix_append(Prefix p, unsigned symbol)
{
	return (p | (Prefix) symbol << (60 - 4 * prefix_len(p))) + 1;
}

/* Does inner begin with outer?  Every prefix contains itself. */
static inline bool
prefix_contains(Prefix outer, Prefix inner)
{
	return prefix_len(outer) <= prefix_len(inner) &&
		((outer ^ inner) & prefix_mask(prefix_len(outer))) == 0;
}

/* Dialling order: negative, 0 or positive. */
static inline int
prefix_compare(Prefix a, Prefix b)
{
	return (a > b) - (a < b);
}

/* The last prefix, in dialling order, that begins with p. */
static inline Prefix
prefix_last(Prefix p)
{
	return p | ~prefix_mask(prefix_len(p));
}

/* What a and b have in common from their beginning. */
static inline Prefix
prefix_common(Prefix a, Prefix b)
{
	uint64_t	differ = (a ^ b) & ~UINT64_C(15);
	int			len = differ ? __builtin_clzll(differ) / 4 : PREFIX_MAX_LEN;

	return prefix_len(a) < prefix_len(b) ?
		prefix_truncate(a, len) : prefix_truncate(b, len);
}

/* Is this integer a prefix at all, that is, are the unused nibbles zero? */
static inline bool
prefix_is_valid(uint64_t p)
{
	return (p & ~prefix_mask(prefix_len(p)) & ~UINT64_C(15)) == 0;
}

/* Nibble code of a character, or -1 if it is not a dialled symbol. */
static inline int
prefix_symbol_code(unsigned char c)
{
	/* code + 1, so that the characters not named here are -1 */
	static const unsigned char code[256] = {
		['0'] = 1, ['1'] = 2, ['2'] = 3, ['3'] = 4, ['4'] = 5,
		['5'] = 6, ['6'] = 7, ['7'] = 8, ['8'] = 9, ['9'] = 10,
		['*'] = 11, ['#'] = 12,
		['A'] = 13, ['B'] = 14, ['C'] = 15, ['D'] = 16
	};

	return (int) code[c] - 1;
}

/*
 * Reads a dialled number of len bytes, which needs no terminating NUL.  One
 * leading '+' is dropped; alone it is no number.  No bytes at all are the empty
 * prefix.
 *
 * True: *out holds the first 15 symbols, *symbols the count of all of them, so
 * more than PREFIX_MAX_LEN tells that *out was cut short.
 * False: some byte is not a symbol; *out is the empty prefix and *symbols the
 * offset of that byte, which is len when nothing follows the '+'.
 * symbols may be NULL.
 */
static inline bool
billing_prefix_scan(const char *s, size_t len, Prefix *out, size_t *symbols)
{
	size_t		start = (len > 0 && s[0] == '+') ? 1 : 0;
	size_t		i;
	Prefix		p = PREFIX_EMPTY;
	bool		readable = (start == 0 || len > 1);

	for (i = start; i < len; i++)
	{
		int			code = prefix_symbol_code((unsigned char) s[i]);

		if (code < 0)
		{
			readable = false;
			break;
		}
		if (i - start < PREFIX_MAX_LEN)
			p = prefix_append(p, (unsigned) code);
	}

	*out = readable ? p : PREFIX_EMPTY;
	if (symbols != NULL)
		*symbols = readable ? len - start : i;
	return readable;
}

/* Writes the symbols and a NUL, at most 16 bytes; returns the length. */
static inline int
prefix_print(Prefix p, char *buf)
{
	int			len = prefix_len(p);

	for (int i = 0; i < len; i++)
		buf[i] = PREFIX_SYMBOLS[prefix_symbol(p, i)];
	buf[len] = '\0';
	return len;
}

#endif							/* BILLING_PREFIX_H */
