/*
 * queue.c
 *	  What a statement leaves for others to work out: sessions with connect fees, pools of included minutes, names that
 *	  the catalogue does not know yet (design 6).
 *
 * All is appended, nothing is looked up or changed: statements never wait for each other here.
 */
#include "accounting.h"

#include "catalog/pg_type_d.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

typedef struct PoolKey
{
	int64		account_id;
	int64		service_id;
	int32		leg;
	DateADT		day;
} PoolKey;

typedef struct UnknownKey
{
	int64		id;
	char		kind[8];
} UnknownKey;

/* A session and a DID, one behind the other with a NUL between. */
typedef struct SessionKey
{
	const char *data;
	Size		length;
} SessionKey;

struct CreditQueue
{
	MemoryContext context;
	HTAB	   *pools;			/* NULL: none, as below */
	HTAB	   *unknown;
	HTAB	   *sessions;
};

CreditQueue *
billing_credit_queue(MemoryContext context)
{
	CreditQueue *queue = MemoryContextAllocZero(context, sizeof(CreditQueue));

	queue->context = context;
	return queue;
}

static HTAB *
create_set(CreditQueue *queue, const char *name, Size size)
{
	HASHCTL		control = {.keysize = size, .entrysize = size, .hcxt = queue->context};

	return hash_create(name, 16, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

void
billing_queue_pool(CreditQueue *queue, int64 account_id, int64 service_id, LegKind leg, int32 day)
{
	PoolKey		key = {account_id, service_id, leg, day};

	if (queue->pools == NULL)
		queue->pools = create_set(queue, "billing pools", sizeof(PoolKey));
	hash_search(queue->pools, &key, HASH_ENTER, NULL);
}

void
billing_queue_unknown(CreditQueue *queue, const char *kind, int64 id)
{
	UnknownKey	key = {.id = id};

	strlcpy(key.kind, kind, sizeof(key.kind));
	if (queue->unknown == NULL)
		queue->unknown = create_set(queue, "billing unknown names", sizeof(UnknownKey));
	hash_search(queue->unknown, &key, HASH_ENTER, NULL);
}

/* ---- sessions ---- */

static uint32
hash_session(const void *key, Size size)
{
	const SessionKey *session = key;

	return hash_bytes((const unsigned char *) session->data, session->length);
}

static int
compare_sessions(const void *a, const void *b, Size size)
{
	const SessionKey *left = a;
	const SessionKey *right = b;

	return left->length != right->length || memcmp(left->data, right->data, left->length) != 0;
}

static RawText
text_of(const CdrMap *map, RawColumn column, const Datum *values, const bool *nulls)
{
	AttrNumber	attribute = map->raw[column];
	text	   *value;

	if (attribute == InvalidAttrNumber || nulls[attribute - 1])
		return (RawText) {NULL, 0};
	value = DatumGetTextPP(values[attribute - 1]);
	return (RawText) {VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value)};
}

/* The DID of a call: did, else the callee, without +; billing._did_number() is the same in SQL. */
static RawText
did_number(const CdrMap *map, const Datum *values, const bool *nulls)
{
	RawText		number = text_of(map, RAW_DID, values, nulls);

	if (number.length == 0)
		number = text_of(map, RAW_CALLEE_NUMBER, values, nulls);
	if (number.length == 0)
		number = text_of(map, RAW_CALLEE, values, nulls);
	if (number.length > 0 && *number.data == '+')
		return (RawText) {number.data + 1, number.length - 1};
	return number;
}

/* Queues the session of a call with a priced DID leg, if it is part of one. */
void
billing_queue_session(CreditQueue *queue, const CdrMap *map, const Datum *values, const bool *nulls)
{
	RawText		session = text_of(map, RAW_SESSION_ID, values, nulls);
	RawText		number;
	char	   *joined;
	SessionKey	key;
	bool		found;
	SessionKey *entry;

	if (session.length == 0)
		return;
	number = did_number(map, values, nulls);
	joined = palloc(session.length + 1 + number.length + 1);
	memcpy(joined, session.data, session.length);
	joined[session.length] = '\0';
	if (number.length > 0)
		memcpy(joined + session.length + 1, number.data, number.length);
	joined[session.length + 1 + number.length] = '\0';
	key = (SessionKey) {joined, session.length + 1 + number.length};

	if (queue->sessions == NULL)
	{
		HASHCTL		control = {
			.keysize = sizeof(SessionKey),
			.entrysize = sizeof(SessionKey),
			.hash = hash_session,
			.match = compare_sessions,
			.hcxt = queue->context
		};

		queue->sessions = hash_create("billing sessions", 16, &control, HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
	}
	entry = hash_search(queue->sessions, &key, HASH_ENTER, &found);
	if (!found)
	{
		char	   *kept = MemoryContextAlloc(queue->context, key.length + 1);

		entry->data = memcpy(kept, joined, key.length + 1);
	}
}

/* ---- writing ---- */

/* Executes a query whose plan is kept for the session. */
static void
execute(SPIPlanPtr *plan, const char *query, int nargs, const Oid *types, Datum *values)
{
	int			result;

	if (*plan == NULL)
	{
		SPIPlanPtr	prepared = SPI_prepare(query, nargs, (Oid *) types);

		if (prepared == NULL || SPI_keepplan(prepared) != 0)
			elog(ERROR, "could not prepare \"%s\": %s", query, SPI_result_code_string(SPI_result));
		*plan = prepared;
	}
	result = SPI_execute_plan(*plan, values, NULL, false, 0);
	if (result < 0)
		elog(ERROR, "could not execute \"%s\": %s", query, SPI_result_code_string(result));
}

static Datum
make_array(Datum *values, bool *nulls, int count, Oid type)
{
	int			bounds[] = {1};
	int16		length;
	bool		by_value;
	char		alignment;

	get_typlenbyvalalign(type, &length, &by_value, &alignment);
	return PointerGetDatum(construct_md_array(values, nulls, 1, &count, bounds, type, length, by_value, alignment));
}

#define MOST_COLUMNS	4
#define ROWS_AT_ONCE	1000

/* Rows that are collected by column until they are written together. */
typedef struct Rows
{
	SPIPlanPtr *plan;
	const char *query;
	int			ncolumns;
	const Oid  *types;
	const Oid  *array_types;
	int			count;
	bool		nulls[ROWS_AT_ONCE];	/* of the second column; the others have none */
	Datum		values[MOST_COLUMNS][ROWS_AT_ONCE];
} Rows;

static Rows *
begin_rows(SPIPlanPtr *plan, const char *query, int ncolumns, const Oid *types, const Oid *array_types)
{
	Rows	   *rows = palloc(sizeof(Rows));

	rows->plan = plan;
	rows->query = query;
	rows->ncolumns = ncolumns;
	rows->types = types;
	rows->array_types = array_types;
	rows->count = 0;
	return rows;
}

static void
write_rows(Rows *rows)
{
	Datum		arrays[MOST_COLUMNS];

	if (rows->count == 0)
		return;
	for (int c = 0; c < rows->ncolumns; c++)
		arrays[c] = make_array(rows->values[c], c == 1 ? rows->nulls : NULL, rows->count, rows->types[c]);
	execute(rows->plan, rows->query, rows->ncolumns, rows->array_types, arrays);
	rows->count = 0;
}

static void
add_row(Rows *rows, const Datum *values, bool second_is_null)
{
	if (rows->count == ROWS_AT_ONCE)
		write_rows(rows);
	for (int c = 0; c < rows->ncolumns; c++)
		rows->values[c][rows->count] = values[c];
	rows->nulls[rows->count++] = second_is_null;
}

static void
write_pools(HTAB *pools)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {INT8OID, INT8OID, TEXTOID, DATEOID};
	static const Oid array_types[] = {INT8ARRAYOID, INT8ARRAYOID, TEXTARRAYOID, DATEARRAYOID};
	Rows	   *rows = begin_rows(&plan, "INSERT INTO billing.credit_queue (kind, account_id, service_id, leg, day) SELECT 'allowance', n.* FROM ROWS FROM"
							  " (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4)) n",
							  lengthof(types), types, array_types);
	HASH_SEQ_STATUS status;
	PoolKey    *key;

	hash_seq_init(&status, pools);
	while ((key = hash_seq_search(&status)) != NULL)
	{
		Datum		values[] = {
			Int64GetDatum(key->account_id), Int64GetDatum(key->service_id), CStringGetTextDatum(billing_leg_names[key->leg]), DateADTGetDatum(key->day)
		};

		add_row(rows, values, key->service_id == 0);
	}
	write_rows(rows);
}

static void
write_sessions(HTAB *sessions)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {TEXTOID, TEXTOID};
	static const Oid array_types[] = {TEXTARRAYOID, TEXTARRAYOID};
	Rows	   *rows = begin_rows(&plan, "INSERT INTO billing.credit_queue (kind, session_id, number) SELECT 'session_fee', n.* FROM ROWS FROM"
							  " (pg_catalog.unnest($1), pg_catalog.unnest($2)) n",
							  lengthof(types), types, array_types);
	HASH_SEQ_STATUS status;
	SessionKey *key;

	hash_seq_init(&status, sessions);
	while ((key = hash_seq_search(&status)) != NULL)
	{
		Datum		values[] = {CStringGetTextDatum(key->data), CStringGetTextDatum(key->data + strlen(key->data) + 1)};

		add_row(rows, values, false);
	}
	write_rows(rows);
}

static void
write_unknown(HTAB *unknown)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {TEXTOID, INT8OID};
	static const Oid array_types[] = {TEXTARRAYOID, INT8ARRAYOID};
	Rows	   *rows = begin_rows(&plan, "INSERT INTO billing.usage_orphan (kind, id) SELECT n.* FROM ROWS FROM"
							  " (pg_catalog.unnest($1), pg_catalog.unnest($2)) n ORDER BY 1, 2 ON CONFLICT DO NOTHING",
							  lengthof(types), types, array_types);
	HASH_SEQ_STATUS status;
	UnknownKey *key;

	hash_seq_init(&status, unknown);
	while ((key = hash_seq_search(&status)) != NULL)
	{
		Datum		values[] = {CStringGetTextDatum(key->kind), Int64GetDatum(key->id)};

		add_row(rows, values, false);
	}
	write_rows(rows);
}

/* Appends it all, with the rights of the ledger's owner, which the caller has taken. */
void
billing_queue_write(CreditQueue *queue)
{
	if (!queue->pools && !queue->sessions && !queue->unknown)
		return;
	billing_owner_search_path();
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	if (queue->pools)
		write_pools(queue->pools);
	if (queue->sessions)
		write_sessions(queue->sessions);
	if (queue->unknown)
		write_unknown(queue->unknown);
	SPI_finish();
}
