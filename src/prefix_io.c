/*
 * prefix_io.c
 *		The type prefix: text and binary form, casts, length.
 */
#include "postgres.h"

#include "fmgr.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "prefix_sql.h"

PG_FUNCTION_INFO_V1(billing_prefix_in);
PG_FUNCTION_INFO_V1(billing_prefix_out);
PG_FUNCTION_INFO_V1(billing_prefix_recv);
PG_FUNCTION_INFO_V1(billing_prefix_send);
PG_FUNCTION_INFO_V1(billing_prefix_from_text);
PG_FUNCTION_INFO_V1(billing_prefix_to_text);
PG_FUNCTION_INFO_V1(billing_prefix_length);

#define MESSAGE_SYNTAX	"invalid input syntax for type billing.prefix: \"%.*s\""
#define HINT_SYMBOLS	"A prefix is written with the symbols 0-9, *, # and A-D (capital letters), after at most one leading +."
#define HINT_LENGTH		"A longer number is matched as text, by its first 15 symbols: write prefix @> number::text."

/* The three ways not to be a prefix; at is the offset of the unreadable byte. */
static bool
unreadable(const char *s, size_t len, size_t at, Node *escontext)
{
	if (at >= len)
		input_error_return(escontext, false,
						   (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
							errmsg(MESSAGE_SYNTAX, (int) len, s),
							errdetail("No symbol follows the \"+\"."),
							errhint(HINT_SYMBOLS)));

	/* All bytes before it are ASCII, so the offset counts characters too. */
	input_error_return(escontext, false,
					   (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
						errmsg(MESSAGE_SYNTAX, (int) len, s),
						errdetail("Character \"%.*s\" at position %zu is not a symbol of a prefix.",
								  (int) Min((size_t) pg_mblen(s + at), len - at),
								  s + at, at + 1),
						errhint(HINT_SYMBOLS)));
}

static bool
too_long(const char *s, size_t len, size_t symbols, Node *escontext)
{
	input_error_return(escontext, false,
					   (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
						errmsg(MESSAGE_SYNTAX, (int) len, s),
						errdetail("It has %zu symbols, a prefix at most %d.",
								  symbols, PREFIX_MAX_LEN),
						errhint(HINT_LENGTH)));
}

bool
billing_prefix_parse(const char *s, size_t len, Node *escontext, Prefix *out)
{
	size_t		symbols;

	if (!billing_prefix_scan(s, len, out, &symbols))
		return unreadable(s, len, symbols, escontext);
	if (symbols > PREFIX_MAX_LEN)
		return too_long(s, len, symbols, escontext);
	return true;
}

/*
 * prefix_in(cstring) returns prefix
 * Symbols 0-9 * # A-D, at most 15, after an optional '+'; '' is the empty
 * prefix.  Anything else is 22P02, soft where the server supports that.
 */
Datum
billing_prefix_in(PG_FUNCTION_ARGS)
{
	char	   *s = PG_GETARG_CSTRING(0);
	Prefix		p;

	if (!billing_prefix_parse(s, strlen(s), fcinfo->context, &p))
		PG_RETURN_NULL();
	PG_RETURN_PREFIX(p);
}

/*
 * prefix_out(prefix) returns cstring
 * The symbols, without '+'.
 */
Datum
billing_prefix_out(PG_FUNCTION_ARGS)
{
	char	   *buf = palloc(PREFIX_MAX_LEN + 1);

	prefix_print(PG_GETARG_PREFIX(0), buf);
	PG_RETURN_CSTRING(buf);
}

/*
 * prefix_recv(internal) returns prefix
 * 8 bytes in network order, as described in prefix.h.  Used bits where there
 * should be none are 22P03, for two forms of one prefix would not be equal.
 */
Datum
billing_prefix_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	Prefix		p = (Prefix) pq_getmsgint64(buf);

	if (!prefix_is_valid(p))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid binary representation of type billing.prefix"),
				 errdetail("The length is %d symbols, but a nibble behind them is not zero.",
						   prefix_len(p)),
				 errhint("Send 8 bytes: the symbols as nibbles from the highest on, zeros, and the length in the lowest nibble.")));
	PG_RETURN_PREFIX(p);
}

/*
 * prefix_send(prefix) returns bytea
 * 8 bytes in network order.
 */
Datum
billing_prefix_send(PG_FUNCTION_ARGS)
{
	StringInfoData buf;

	pq_begintypsend(&buf);
	pq_sendint64(&buf, PG_GETARG_PREFIX(0));
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

/*
 * prefix(text) returns prefix
 * The cast; reads and refuses what prefix_in does.
 */
Datum
billing_prefix_from_text(PG_FUNCTION_ARGS)
{
	text	   *t = PG_GETARG_TEXT_PP(0);
	Prefix		p;

	if (!billing_prefix_parse(VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t),
							  fcinfo->context, &p))
		PG_RETURN_NULL();
	PG_RETURN_PREFIX(p);
}

/*
 * text(prefix) returns text
 * The cast; writes what prefix_out does.
 */
Datum
billing_prefix_to_text(PG_FUNCTION_ARGS)
{
	char		buf[PREFIX_MAX_LEN + 1];
	int			len = prefix_print(PG_GETARG_PREFIX(0), buf);

	PG_RETURN_TEXT_P(cstring_to_text_with_len(buf, len));
}

/*
 * length(prefix) returns integer
 * The number of symbols, 0 to 15.
 */
Datum
billing_prefix_length(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(prefix_len(PG_GETARG_PREFIX(0)));
}
