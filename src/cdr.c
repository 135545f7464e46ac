/*
 * cdr.c
 *	  The row: its columns by name, what rating reads of it, what the trigger writes into it (design 4).
 */
#include "accounting.h"

#include "access/xact.h"
#include "catalog/pg_trigger_d.h"
#include "catalog/pg_type_d.h"
#include "commands/sequence.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "executor/tuptable.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

/* Bytes of source, call_id and session_id: the first two, and an instant, fit the 2,704 bytes of an index entry. */
#define IDENTITY_LENGTH	1000

const char *const billing_raw_names[RAW_COLUMNS] = {
	"id", "source", "call_id", "session_id", "tenant", "started_at", "answered_at", "ended_at", "duration", "billsec",
	"did_billsec", "disposition", "caller", "callee", "redirected_by", "did", "auth_code", "provider_code", "src_trunk",
	"dst_trunk", "src_ip", "dst_ip", "rerouted", "custom", "caller_number", "callee_number"
};

const char *const billing_rated_names[RATED_COLUMNS] = {
	"customer_account_id", "customer_service_id", "customer_rate_id", "customer_billsec", "customer_amount", "customer_reason",
	"reseller_account_id", "reseller_rate_id", "reseller_billsec", "reseller_amount",
	"provider_account_id", "provider_service_id", "provider_rate_id", "provider_billsec", "provider_amount", "provider_reason",
	"did_service_id", "did_incoming_account_id", "did_incoming_rate_id", "did_incoming_billsec", "did_incoming_amount",
	"did_owner_account_id", "did_owner_rate_id", "did_owner_billsec", "did_owner_amount",
	"did_provider_account_id", "did_provider_rate_id", "did_provider_billsec", "did_provider_amount",
	"did_reason", "status"
};

static const Oid raw_types[RAW_COLUMNS] = {
	[RAW_ID] = INT8OID, [RAW_STARTED_AT] = TIMESTAMPTZOID, [RAW_ANSWERED_AT] = TIMESTAMPTZOID, [RAW_ENDED_AT] = TIMESTAMPTZOID,
	[RAW_DURATION] = NUMERICOID, [RAW_BILLSEC] = NUMERICOID, [RAW_DID_BILLSEC] = NUMERICOID,
	[RAW_REROUTED] = BOOLOID, [RAW_CUSTOM] = JSONBOID	/* the others are text */
};

static inline Oid
raw_type(RawColumn column)
{
	return OidIsValid(raw_types[column]) ? raw_types[column] : TEXTOID;
}

static const Oid rated_types[RATED_COLUMNS] = {
	[RATED_CUSTOMER_BILLSEC] = INT4OID, [RATED_CUSTOMER_AMOUNT] = NUMERICOID, [RATED_CUSTOMER_REASON] = TEXTOID,
	[RATED_RESELLER_BILLSEC] = INT4OID, [RATED_RESELLER_AMOUNT] = NUMERICOID,
	[RATED_PROVIDER_BILLSEC] = INT4OID, [RATED_PROVIDER_AMOUNT] = NUMERICOID, [RATED_PROVIDER_REASON] = TEXTOID,
	[RATED_DID_INCOMING_BILLSEC] = INT4OID, [RATED_DID_INCOMING_AMOUNT] = NUMERICOID,
	[RATED_DID_OWNER_BILLSEC] = INT4OID, [RATED_DID_OWNER_AMOUNT] = NUMERICOID,
	[RATED_DID_PROVIDER_BILLSEC] = INT4OID, [RATED_DID_PROVIDER_AMOUNT] = NUMERICOID,
	[RATED_DID_REASON] = TEXTOID, [RATED_STATUS] = TEXTOID	/* the others are ids */
};

static inline Oid
rated_type(RatedColumn column)
{
	return OidIsValid(rated_types[column]) ? rated_types[column] : INT8OID;
}

const LegColumns billing_leg_columns[LEGS] = {
	[LEG_CUSTOMER] = {RATED_CUSTOMER_ACCOUNT, RATED_CUSTOMER_SERVICE, RATED_CUSTOMER_RATE, RATED_CUSTOMER_BILLSEC, RATED_CUSTOMER_AMOUNT, RATED_CUSTOMER_REASON},
	[LEG_RESELLER] = {RATED_RESELLER_ACCOUNT, RATED_CUSTOMER_SERVICE, RATED_RESELLER_RATE, RATED_RESELLER_BILLSEC, RATED_RESELLER_AMOUNT, RATED_CUSTOMER_REASON},
	[LEG_PROVIDER] = {RATED_PROVIDER_ACCOUNT, RATED_PROVIDER_SERVICE, RATED_PROVIDER_RATE, RATED_PROVIDER_BILLSEC, RATED_PROVIDER_AMOUNT, RATED_PROVIDER_REASON},
	[LEG_DID_INCOMING] = {RATED_DID_INCOMING_ACCOUNT, RATED_DID_SERVICE, RATED_DID_INCOMING_RATE, RATED_DID_INCOMING_BILLSEC, RATED_DID_INCOMING_AMOUNT, RATED_DID_REASON},
	[LEG_DID_OWNER] = {RATED_DID_OWNER_ACCOUNT, RATED_DID_SERVICE, RATED_DID_OWNER_RATE, RATED_DID_OWNER_BILLSEC, RATED_DID_OWNER_AMOUNT, RATED_DID_REASON},
	[LEG_DID_PROVIDER] = {RATED_DID_PROVIDER_ACCOUNT, RATED_DID_SERVICE, RATED_DID_PROVIDER_RATE, RATED_DID_PROVIDER_BILLSEC, RATED_DID_PROVIDER_AMOUNT, RATED_DID_REASON},
};

/* ---- columns by name ---- */

static AttrNumber
find_attribute(TupleDesc desc, const char *name, Oid type)
{
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (attribute->attisdropped || strcmp(NameStr(attribute->attname), name) != 0)
			continue;
		if (attribute->atttypid != type)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("column \"%s\" of a CDR has type %s", name, format_type_be(attribute->atttypid)),
					 errdetail("It must have type %s, as in billing.cdr.", format_type_be(type)),
					 errhint("Use a row of billing.cdr, or jsonb_populate_record(NULL::billing.cdr, ...).")));
		return attribute->attnum;
	}
	return InvalidAttrNumber;
}

/* Columns stand in any order, and partitions number them otherwise than their root: they are found by name. */
void
billing_cdr_map(TupleDesc desc, CdrMap *map)
{
	for (int i = 0; i < RAW_COLUMNS; i++)
		map->raw[i] = find_attribute(desc, billing_raw_names[i], raw_type(i));
	for (int i = 0; i < RATED_COLUMNS; i++)
		map->rated[i] = find_attribute(desc, billing_rated_names[i], rated_type(i));
	map->rated_at = find_attribute(desc, "rated_at", TIMESTAMPTZOID);
}

/* What is known of a row type, by the number that the server gives each version of one. */
typedef struct MapEntry
{
	uint64		identifier;
	CdrMap		map;
} MapEntry;

#define MAPS_KEPT	256

/* The columns of a table, found once for all statements of a session. */
const CdrMap *
billing_cdr_map_of(Relation relation)
{
	static HTAB *maps = NULL;
	uint64		identifier = assign_record_type_identifier(relation->rd_rel->reltype, -1);
	MapEntry   *entry;

	if (maps && hash_get_num_entries(maps) >= MAPS_KEPT)
	{
		hash_destroy(maps);
		maps = NULL;
	}
	if (maps == NULL)
	{
		HASHCTL		control = {
			.keysize = sizeof(uint64),
			.entrysize = sizeof(MapEntry),
			.hcxt = TopMemoryContext
		};

		maps = hash_create("billing row types", 16, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	entry = hash_search(maps, &identifier, HASH_FIND, NULL);
	if (entry == NULL)
	{
		CdrMap		map;

		billing_cdr_map(RelationGetDescr(relation), &map);
		entry = hash_search(maps, &identifier, HASH_ENTER, NULL);
		entry->map = map;
	}
	return &entry->map;
}

/* ---- reading ---- */

static Datum
raw_datum(const CdrMap *map, RawColumn column, const Datum *values, const bool *nulls, bool *isnull)
{
	AttrNumber	attribute = map->raw[column];

	*isnull = attribute == InvalidAttrNumber || nulls[attribute - 1];
	return *isnull ? (Datum) 0 : values[attribute - 1];
}

static RawText
raw_text(const CdrMap *map, RawColumn column, const Datum *values, const bool *nulls)
{
	bool		isnull;
	Datum		value = raw_datum(map, column, values, nulls, &isnull);
	RawText		result = {NULL, 0};
	text	   *packed;

	if (isnull)
		return result;
	packed = DatumGetTextPP(value);
	if (VARSIZE_ANY_EXHDR(packed) > 0)
	{
		result.data = VARDATA_ANY(packed);
		result.length = VARSIZE_ANY_EXHDR(packed);
	}
	return result;
}

/* An instant; false when it is null.  Infinity is an instant that cannot be used. */
static bool
raw_instant(const CdrMap *map, RawColumn column, const Datum *values, const bool *nulls, TimestampTz *instant)
{
	bool		isnull;
	Datum		value = raw_datum(map, column, values, nulls, &isnull);

	*instant = isnull ? 0 : DatumGetTimestampTz(value);
	return !isnull;
}

/*
 * billsec, else from answer to end, else 0; what is negative or no number cannot be billed.  The DID's clock runs
 * from its own answer; where it is not given it is the call's (K16, reading 13).
 */
static void
read_seconds(const CdrMap *map, const Datum *values, const bool *nulls, bool has_answer, TimestampTz answered_at, Cdr *cdr)
{
	bool		isnull;
	Datum		billsec = raw_datum(map, RAW_BILLSEC, values, nulls, &isnull);
	TimestampTz ended_at;

	cdr->seconds = (CallSeconds) {0};
	if (!isnull)
		cdr->bad_duration = !billing_seconds_from_numeric(DatumGetNumeric(billsec), &cdr->seconds);
	else if (has_answer && raw_instant(map, RAW_ENDED_AT, values, nulls, &ended_at))
		cdr->bad_duration = !billing_seconds_between(answered_at, ended_at, &cdr->seconds);

	if (cdr->bad_duration)
		cdr->seconds = (CallSeconds) {0};
	cdr->did_seconds = cdr->seconds;
	billsec = raw_datum(map, RAW_DID_BILLSEC, values, nulls, &isnull);
	if (!isnull)
		cdr->bad_did_duration = !billing_seconds_from_numeric(DatumGetNumeric(billsec), &cdr->did_seconds);
	if (cdr->bad_did_duration)
		cdr->did_seconds = (CallSeconds) {0};
}

/* A billsec above 0 says that there was an answer, even where it is no time that can be billed (NaN is above all). */
static bool
is_above_zero(const CdrMap *map, const Datum *values, const bool *nulls)
{
	bool		isnull;
	Datum		billsec = raw_datum(map, RAW_BILLSEC, values, nulls, &isnull);

	return !isnull && DatumGetBool(DirectFunctionCall2(numeric_gt, billsec, NumericGetDatum(int64_to_numeric(0))));
}

/* A row is answered when it has an answer, or time to bill, or says so. */
static bool
is_answered(const Cdr *cdr, bool has_answer)
{
	RawText		disposition = cdr->text[RAW_DISPOSITION];

	return has_answer || cdr->seconds.micros > 0 || cdr->seconds.more ||
		(disposition.length == 8 && pg_strncasecmp(disposition.data, "ANSWERED", 8) == 0);
}

/* Instants and durations alone: all that counting a row needs. */
void
billing_cdr_read_times(const CdrMap *map, const Datum *values, const bool *nulls, Cdr *cdr)
{
	TimestampTz answered_at;
	bool		has_answer = raw_instant(map, RAW_ANSWERED_AT, values, nulls, &answered_at);

	cdr->bad_duration = cdr->bad_did_duration = false;
	cdr->text[RAW_DISPOSITION] = raw_text(map, RAW_DISPOSITION, values, nulls);
	cdr->has_start = raw_instant(map, RAW_STARTED_AT, values, nulls, &cdr->started_at) && !TIMESTAMP_NOT_FINITE(cdr->started_at);
	read_seconds(map, values, nulls, has_answer, answered_at, cdr);
	if (has_answer && TIMESTAMP_NOT_FINITE(answered_at))
		cdr->bad_duration = true;
	cdr->at = has_answer && !TIMESTAMP_NOT_FINITE(answered_at) ? answered_at : cdr->started_at;
	cdr->answered = is_answered(cdr, has_answer) || (cdr->bad_duration && is_above_zero(map, values, nulls));
}

void
billing_cdr_read(const CdrMap *map, const Datum *values, const bool *nulls, Cdr *cdr)
{
	bool		isnull;

	memset(cdr, 0, sizeof(Cdr));
	for (int i = 0; i < RAW_COLUMNS; i++)
		if (raw_type(i) == TEXTOID)
			cdr->text[i] = raw_text(map, i, values, nulls);
	if (cdr->text[RAW_CALLER_NUMBER].data == NULL)
		cdr->text[RAW_CALLER_NUMBER] = cdr->text[RAW_CALLER];
	if (cdr->text[RAW_CALLEE_NUMBER].data == NULL)
		cdr->text[RAW_CALLEE_NUMBER] = cdr->text[RAW_CALLEE];
	cdr->rerouted = DatumGetBool(raw_datum(map, RAW_REROUTED, values, nulls, &isnull));
	billing_cdr_read_times(map, values, nulls, cdr);
}

/* ---- writing ---- */

static void
set_int64(Datum *values, bool *nulls, RatedColumn column, int64 value)
{
	nulls[column] = value == 0;
	values[column] = Int64GetDatum(value);
}

/* Statuses and reasons are few, and most rows have the same: the text of each is made once. */
#define KNOWN_TEXTS	64

static Datum
known_text(const char *value)
{
	static text *known[KNOWN_TEXTS];
	size_t		length = strlen(value);
	text	  **place = &known[((unsigned char) value[0] + 7 * length) % KNOWN_TEXTS];

	if (*place == NULL)
	{
		text	   *made = cstring_to_text(value);

		*place = memcpy(MemoryContextAlloc(TopMemoryContext, VARSIZE(made)), made, VARSIZE(made));
	}
	if (VARSIZE(*place) - VARHDRSZ == length && memcmp(VARDATA(*place), value, length) == 0)
		return PointerGetDatum(*place);
	return CStringGetTextDatum(value);
}

static void
set_text(Datum *values, bool *nulls, RatedColumn column, const char *value)
{
	nulls[column] = value == NULL;
	values[column] = value ? known_text(value) : (Datum) 0;
}

/* billsec and amount of a leg stand side by side */
static void
set_charge(Datum *values, bool *nulls, RatedColumn billsec, const Leg *leg)
{
	nulls[billsec] = !leg->has_billsec;
	values[billsec] = Int32GetDatum(leg->billsec);
	nulls[billsec + 1] = !leg->has_amount;
	values[billsec + 1] = leg->has_amount ? NumericGetDatum(billing_numeric_from_money(leg->amount)) : (Datum) 0;
}

/* The rated columns, in the order of billing_rated_names. */
void
billing_rated_columns(const Rating *rating, Datum *values, bool *nulls)
{
	set_int64(values, nulls, RATED_CUSTOMER_ACCOUNT, rating->customer.account_id);
	set_int64(values, nulls, RATED_CUSTOMER_SERVICE, rating->customer_service_id);
	set_int64(values, nulls, RATED_CUSTOMER_RATE, rating->customer.rate_id);
	set_charge(values, nulls, RATED_CUSTOMER_BILLSEC, &rating->customer);
	set_text(values, nulls, RATED_CUSTOMER_REASON, rating->customer_reason);
	set_int64(values, nulls, RATED_RESELLER_ACCOUNT, rating->reseller.account_id);
	set_int64(values, nulls, RATED_RESELLER_RATE, rating->reseller.rate_id);
	set_charge(values, nulls, RATED_RESELLER_BILLSEC, &rating->reseller);
	set_int64(values, nulls, RATED_PROVIDER_ACCOUNT, rating->provider.account_id);
	set_int64(values, nulls, RATED_PROVIDER_SERVICE, rating->provider_service_id);
	set_int64(values, nulls, RATED_PROVIDER_RATE, rating->provider.rate_id);
	set_charge(values, nulls, RATED_PROVIDER_BILLSEC, &rating->provider);
	set_text(values, nulls, RATED_PROVIDER_REASON, rating->provider_reason);
	set_int64(values, nulls, RATED_DID_SERVICE, rating->did_service_id);
	set_int64(values, nulls, RATED_DID_INCOMING_ACCOUNT, rating->did_incoming.account_id);
	set_int64(values, nulls, RATED_DID_INCOMING_RATE, rating->did_incoming.rate_id);
	set_charge(values, nulls, RATED_DID_INCOMING_BILLSEC, &rating->did_incoming);
	set_int64(values, nulls, RATED_DID_OWNER_ACCOUNT, rating->did_owner.account_id);
	set_int64(values, nulls, RATED_DID_OWNER_RATE, rating->did_owner.rate_id);
	set_charge(values, nulls, RATED_DID_OWNER_BILLSEC, &rating->did_owner);
	set_int64(values, nulls, RATED_DID_PROVIDER_ACCOUNT, rating->did_provider.account_id);
	set_int64(values, nulls, RATED_DID_PROVIDER_RATE, rating->did_provider.rate_id);
	set_charge(values, nulls, RATED_DID_PROVIDER_BILLSEC, &rating->did_provider);
	set_text(values, nulls, RATED_DID_REASON, rating->did_reason);
	set_text(values, nulls, RATED_STATUS, rating->status);
}

/* ---- the trigger ---- */

/* The row that is being stored. */
typedef struct Row
{
	const CdrMap *map;
	Datum	   *values;
	bool	   *nulls;
	bool		changed;
} Row;

/* What an UPDATE changed of the raw columns. */
typedef enum Change
{
	CHANGE_NONE,
	CHANGE_PROVIDER,			/* only which provider is named: the other legs stay as they are (P3) */
	CHANGE_HOP,					/* the same, and whether any is named at all */
	CHANGE_ANY
} Change;

static void
put(Row *row, AttrNumber attribute, Datum value)
{
	if (attribute == InvalidAttrNumber)
		return;
	row->values[attribute - 1] = value;
	row->nulls[attribute - 1] = false;
	row->changed = true;
}

static bool
is_null(const Row *row, AttrNumber attribute)
{
	return attribute == InvalidAttrNumber || row->nulls[attribute - 1];
}

static bool
differs(Row *row, TupleTableSlot *former, RawColumn column)
{
	AttrNumber	attribute = row->map->raw[column];
	Form_pg_attribute type;

	if (attribute == InvalidAttrNumber)
		return false;
	if (row->nulls[attribute - 1] || former->tts_isnull[attribute - 1])
		return row->nulls[attribute - 1] != former->tts_isnull[attribute - 1];
	type = TupleDescAttr(former->tts_tupleDescriptor, attribute - 1);
	return !datum_image_eq(row->values[attribute - 1], former->tts_values[attribute - 1], type->attbyval, type->attlen);
}

static bool
names_hop(const CdrMap *map, const Datum *values, const bool *nulls)
{
	return raw_text(map, RAW_PROVIDER_CODE, values, nulls).data || raw_text(map, RAW_DST_TRUNK, values, nulls).data ||
		raw_text(map, RAW_DST_IP, values, nulls).data;
}

static Change
find_change(Row *row, TupleTableSlot *former)
{
	bool		provider = false;

	slot_getallattrs(former);
	for (int i = 0; i < RAW_COLUMNS; i++)
	{
		if (i == RAW_ID || !differs(row, former, i))
			continue;
		if (i != RAW_PROVIDER_CODE && i != RAW_DST_TRUNK && i != RAW_DST_IP)
			return CHANGE_ANY;
		provider = true;
	}
	if (!provider)
		return CHANGE_NONE;
	return names_hop(row->map, row->values, row->nulls) == names_hop(row->map, former->tts_values, former->tts_isnull) ?
		CHANGE_PROVIDER : CHANGE_HOP;
}

/* A number that was filled from the raw text follows it. */
static void
renew_number(Row *row, TupleTableSlot *former, RawColumn raw, RawColumn number)
{
	if (differs(row, former, raw) && !differs(row, former, number) && row->map->raw[number] != InvalidAttrNumber)
		row->nulls[row->map->raw[number] - 1] = true;
}

static void
fill_number(Row *row, RawColumn raw, RawColumn number)
{
	AttrNumber	from = row->map->raw[raw];

	if (is_null(row, row->map->raw[number]) && !is_null(row, from))
		put(row, row->map->raw[number], row->values[from - 1]);
}

/*
 * A value that an index is to find and that no entry could hold keeps its beginning and gets a digest of the whole: the row
 * is stored (promise 1), and a second delivery of it is still recognised.
 */
static void
shorten(Row *row, RawColumn column)
{
	AttrNumber	attribute = row->map->raw[column];
	text	   *value;
	int			length;

	if (is_null(row, attribute))
		return;
	value = DatumGetTextPP(row->values[attribute - 1]);
	length = VARSIZE_ANY_EXHDR(value);
	if (length > IDENTITY_LENGTH)
	{
		const unsigned char *data = (const unsigned char *) VARDATA_ANY(value);
		int			kept = pg_mbcliplen((const char *) data, length, IDENTITY_LENGTH - 40);

		put(row, attribute, CStringGetTextDatum(psprintf("%.*s#%016llx%016llx", kept, data,
														 (unsigned long long) hash_bytes_extended(data, length, 1),
														 (unsigned long long) hash_bytes_extended(data, length, 2))));
	}
}

/* What must not be null and came so, for instance from another node (design 9). */
static void
fill_raw_columns(Row *row)
{
	if (row->map->raw[RAW_ID] != InvalidAttrNumber && is_null(row, row->map->raw[RAW_ID]))
	{
		Oid			sequence = billing_ledger_relation("cdr_id_seq");

		if (!OidIsValid(sequence))
			billing_ledger_missing();
		put(row, row->map->raw[RAW_ID], Int64GetDatum(nextval_internal(sequence, false)));
	}
	if (is_null(row, row->map->raw[RAW_SOURCE]))
		put(row, row->map->raw[RAW_SOURCE], PointerGetDatum(cstring_to_text_with_len("", 0)));
	if (is_null(row, row->map->raw[RAW_STARTED_AT]))
		put(row, row->map->raw[RAW_STARTED_AT], TimestampTzGetDatum(DT_NOBEGIN));
	shorten(row, RAW_SOURCE);
	shorten(row, RAW_CALL_ID);
	shorten(row, RAW_SESSION_ID);
	fill_number(row, RAW_CALLER, RAW_CALLER_NUMBER);
	fill_number(row, RAW_CALLEE, RAW_CALLEE_NUMBER);
}

static bool
is_provider_column(RatedColumn column)
{
	return (column >= RATED_PROVIDER_ACCOUNT && column <= RATED_PROVIDER_REASON) || column == RATED_STATUS;
}

/* The status of a row whose other legs stay as they are stored. */
static void
keep_other_legs(const Row *row, Rating *rating)
{
	const AttrNumber *rated = row->map->rated;

	rating->customer_expected |= !is_null(row, rated[RATED_CUSTOMER_ACCOUNT]) || !is_null(row, rated[RATED_CUSTOMER_AMOUNT]);
	rating->customer.has_amount = !is_null(row, rated[RATED_CUSTOMER_AMOUNT]);
	rating->reseller.applies = !is_null(row, rated[RATED_RESELLER_ACCOUNT]);
	rating->reseller.has_amount = !is_null(row, rated[RATED_RESELLER_AMOUNT]);
	rating->did_incoming.applies = !is_null(row, rated[RATED_DID_INCOMING_ACCOUNT]);
	rating->did_incoming.has_amount = !is_null(row, rated[RATED_DID_INCOMING_AMOUNT]);
	rating->did_owner.applies = !is_null(row, rated[RATED_DID_OWNER_ACCOUNT]);
	rating->did_owner.has_amount = !is_null(row, rated[RATED_DID_OWNER_AMOUNT]);
	rating->did_provider.applies = !is_null(row, rated[RATED_DID_PROVIDER_ACCOUNT]);
	rating->did_provider.has_amount = !is_null(row, rated[RATED_DID_PROVIDER_AMOUNT]);
	rating->status = billing_status(rating);
}

/*
 * Whether a call is, or was, one to a DID: then an outbound hop that comes or goes turns it into another call, and
 * more than the provider's leg changes.
 */
static bool
concerns_did(const Row *row, const Rating *rating)
{
	const AttrNumber *rated = row->map->rated;

	return rating->did_service_id != 0 || rating->did_reason ||
		!is_null(row, rated[RATED_DID_SERVICE]) || !is_null(row, rated[RATED_DID_REASON]);
}

static void
rate_row(Row *row, Statement *statement, Change change)
{
	bool		provider_only = change == CHANGE_PROVIDER || change == CHANGE_HOP;
	Cdr			cdr;
	Rating		rating;
	Datum		values[RATED_COLUMNS];
	bool		nulls[RATED_COLUMNS];

	billing_cdr_read(row->map, row->values, row->nulls, &cdr);
	if (unlikely(billing_too_old(statement, &cdr)))
	{
		rating = (Rating) {.status = "unrated", .customer_reason = "too_old", .provider_reason = "too_old"};
		provider_only = false;
	}
	else
	{
		billing_rate(statement, &cdr, &(RatingRequest) {0}, &rating);
		if (change == CHANGE_HOP && concerns_did(row, &rating))
			provider_only = false;
	}
	if (provider_only)
		keep_other_legs(row, &rating);
	billing_rated_columns(&rating, values, nulls);
	for (int i = 0; i < RATED_COLUMNS; i++)
	{
		AttrNumber	attribute = row->map->rated[i];

		if (attribute == InvalidAttrNumber || (provider_only && !is_provider_column(i)))
			continue;
		row->values[attribute - 1] = values[i];
		row->nulls[attribute - 1] = nulls[i];
	}
	row->changed = true;
	put(row, row->map->rated_at, TimestampTzGetDatum(GetCurrentTransactionStartTimestamp()));
}

/* What a statement knows of the table that a trigger belongs to. */
typedef struct Target
{
	CdrMap		map;
	bool		last_of_insert; /* no other BEFORE trigger sees a row of an INSERT after ours */
} Target;

static bool
is_last_of_insert(const TriggerData *data)
{
	const TriggerDesc *triggers = data->tg_relation->trigdesc;

	for (int i = triggers->numtriggers - 1; i >= 0; i--)
	{
		const Trigger *trigger = &triggers->triggers[i];

		if (trigger->tgoid == data->tg_trigger->tgoid)
			return true;
		if (TRIGGER_TYPE_MATCHES(trigger->tgtype, TRIGGER_TYPE_ROW, TRIGGER_TYPE_BEFORE, TRIGGER_TYPE_INSERT))
			return false;
	}
	return false;
}

static const Target *
trigger_target(FunctionCallInfo fcinfo)
{
	const TriggerData *data = (const TriggerData *) fcinfo->context;
	Target	   *target = fcinfo->flinfo->fn_extra;

	if (target == NULL)
	{
		billing_check_reader(data->tg_relation->rd_rel->relowner);
		billing_require_counted(fcinfo->flinfo->fn_mcxt, data->tg_relation);
		target = MemoryContextAlloc(fcinfo->flinfo->fn_mcxt, sizeof(Target));
		target->map = *billing_cdr_map_of(data->tg_relation);
		target->last_of_insert = is_last_of_insert(data);
		fcinfo->flinfo->fn_extra = target;
	}
	return target;
}

static void
check_trigger(FunctionCallInfo fcinfo)
{
	TriggerData *data = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(data->tg_event) || !TRIGGER_FIRED_FOR_ROW(data->tg_event) ||
		TRIGGER_FIRED_BY_DELETE(data->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("billing.rate_cdr() rates rows that are being stored"),
				 errdetail("It must be called as a BEFORE INSERT OR UPDATE trigger for each row.")));
}

/* A row that is inserted: rated unless it arrives with rated_at. */
static void
rate_inserted(FunctionCallInfo fcinfo, Row *row)
{
	bool		rated = !is_null(row, row->map->rated_at);

	fill_raw_columns(row);
	if (!rated)
		rate_row(row, billing_statement(fcinfo->flinfo->fn_mcxt), CHANGE_ANY);
}

/* A row that is updated: rated again when a raw column changed or rated_at was set to null. */
static void
rate_updated(FunctionCallInfo fcinfo, Row *row)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	Change		change;

	billing_note_update(fcinfo->flinfo->fn_mcxt, RelationGetRelid(data->tg_relation), &data->tg_trigslot->tts_tid);
	change = find_change(row, data->tg_trigslot);
	if (change == CHANGE_ANY)
	{
		renew_number(row, data->tg_trigslot, RAW_CALLER, RAW_CALLER_NUMBER);
		renew_number(row, data->tg_trigslot, RAW_CALLEE, RAW_CALLEE_NUMBER);
	}
	if (is_null(row, row->map->rated_at))
		change = CHANGE_ANY;
	fill_raw_columns(row);
	if (change != CHANGE_NONE)
		rate_row(row, billing_statement(fcinfo->flinfo->fn_mcxt), change);
}

/*
 * The usual row: it comes as columns, and nobody looks at its tuple after us, for the server forms one of the columns
 * when it stores the row.  So they are filled in where they stand: a tuple returned would be formed by us, taken apart and
 * formed once more.  What we got is freed, for the server forgets it when it gets it back.  A row without a start gets
 * one, and the server then asks whether it still belongs to its partition.
 */
static bool
takes_columns(const Target *target, const TupleTableSlot *slot)
{
	AttrNumber	started_at = target->map.raw[RAW_STARTED_AT];

	return target->last_of_insert && TTS_IS_VIRTUAL(slot) && started_at != InvalidAttrNumber && !slot->tts_isnull[started_at - 1];
}

/*
 * billing.rate_cdr(): the trigger zz_rate.  A row with rated_at is stored as it arrives; an UPDATE rates again
 * when a raw column changed or rated_at was set to null (design 2).
 */
PG_FUNCTION_INFO_V1(billing_rate_cdr);
Datum
billing_rate_cdr(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	const Target *target;
	bool		update;
	int			natts;
	TupleTableSlot *slot;
	Row			row;

	check_trigger(fcinfo);
	target = trigger_target(fcinfo);
	update = TRIGGER_FIRED_BY_UPDATE(data->tg_event);
	slot = update ? data->tg_newslot : data->tg_trigslot;
	if (!update && takes_columns(target, slot))
	{
		row = (Row) {&target->map, slot->tts_values, slot->tts_isnull};
		rate_inserted(fcinfo, &row);
		heap_freetuple(data->tg_trigtuple);
		PG_RETURN_POINTER(data->tg_trigtuple);
	}

	slot_getallattrs(slot);
	natts = slot->tts_tupleDescriptor->natts;
	row = (Row) {
		.map = &target->map,
		.values = memcpy(palloc(natts * sizeof(Datum)), slot->tts_values, natts * sizeof(Datum)),
		.nulls = memcpy(palloc(natts * sizeof(bool)), slot->tts_isnull, natts * sizeof(bool))
	};
	if (update)
		rate_updated(fcinfo, &row);
	else
		rate_inserted(fcinfo, &row);
	if (!row.changed)
		PG_RETURN_POINTER(update ? data->tg_newtuple : data->tg_trigtuple);
	PG_RETURN_POINTER(heap_form_tuple(slot->tts_tupleDescriptor, row.values, row.nulls));
}
