/*
 * directory.c
 *	  Services by what identifies them: the answer to "whose code, trunk, address or number is this?".
 *
 * Services of a side and kind are looked up one by one in the btree at first, and what was found, or not found,
 * is remembered.  After DIRECTORY_PROBES of them the whole kind is read, if it fits half of billing.deck_memory.
 * Addresses and patterns are read whole at once, because any of them may match.
 */
#include "billing.h"

#include <arpa/inet.h>

#include "catalog/pg_collation_d.h"
#include "common/hashfn.h"
#include "mb/pg_wchar.h"
#include "regex/regex.h"
#include "utils/builtins.h"
#include "utils/inet.h"
#include "utils/memutils.h"
#include "utils/rangetypes.h"
#include "utils/timestamp.h"

#define DIRECTORY_PROBES	64
#define BYTES_PER_SERVICE	400 /* in memory, for the estimate whether a kind fits */
#define MAX_MATCHED			(16 * 1024 * 1024)	/* bytes of a value that patterns are tried on */
#define MAX_REMEMBERED		256	/* bytes of an identifier that is remembered not to exist */
#define MASK_WORDS			3	/* 129 prefix lengths of IPv6 */

typedef struct ServiceKey
{
	ServiceSide side;
	ServiceKind kind;
	int			length;
	const char *data;
} ServiceKey;

typedef struct ServiceEntry
{
	ServiceKey	key;
	Service    *first;			/* NULL: known not to exist */
	uint32		hash;
	char		status;
} ServiceEntry;

static inline uint32
hash_service_key(ServiceKey key)
{
	return hash_bytes((const unsigned char *) key.data, key.length) ^ (key.side * 31 + key.kind + 1) * 0x9e3779b1u;
}

static inline bool
equal_service_keys(ServiceKey a, ServiceKey b)
{
	return a.kind == b.kind && a.side == b.side && a.length == b.length && memcmp(a.data, b.data, a.length) == 0;
}

#define SH_PREFIX			services
#define SH_ELEMENT_TYPE		ServiceEntry
#define SH_KEY_TYPE			ServiceKey
#define SH_KEY				key
#define SH_HASH_KEY(tb, k)	hash_service_key(k)
#define SH_EQUAL(tb, a, b)	equal_service_keys(a, b)
#define SH_STORE_HASH
#define SH_GET_HASH(tb, e)	(e)->hash
#define SH_SCOPE			static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

typedef struct ServiceById
{
	int64		id;
	Service    *service;
} ServiceById;

/* Kind ip is keyed by the network: family, prefix length, address with the host bits cleared. */
typedef struct NetworkKey
{
	uint8		family;
	uint8		bits;
	uint8		address[16];
} NetworkKey;

struct Directory
{
	MemoryContext context;
	services_hash *services;
	HTAB	   *by_id;
	bool		complete[SIDES][SERVICE_KINDS];
	uint32		probes[SIDES][SERVICE_KINDS];
	uint64		masks[SIDES][2][MASK_WORDS];	/* which prefix lengths occur, IPv4 and IPv6 */
	List	   *patterns[SIDES];
	bool		filling;		/* an error left it half filled */
	Size		whole;			/* bytes with the kinds that are read whole whatever their size */
	bool		asked_for_customers;
	bool		has_customers;
};

typedef struct ServicePattern
{
	regex_t		regex;
	MemoryContextCallback callback;
} ServicePattern;

enum {SERVICE_ID, SERVICE_TERMS_FROM, SERVICE_TARIFF, SERVICE_PLAN, SERVICE_PROVIDER, SERVICE_OUT_PAYMENT, SERVICE_ACCOUNT, SERVICE_SIDE_NAME,
	SERVICE_KIND_NAME, SERVICE_IDENTIFIER, SERVICE_FIELD, SERVICE_TENANT, SERVICE_PRIMARY, SERVICE_ACTIVE,
	SERVICE_COST_CENTER, SERVICE_MAX_CHANNELS};

static const char *const kind_names[SERVICE_KINDS] = {
	"auth_code", "trunk", "ip", "extension", "virtual_number", "did", "ani", "pattern", "source"
};
static const char *const side_names[SIDES] = {"customer", "provider"};

const char *
billing_kind_name(ServiceKind kind)
{
	return kind_names[kind];
}

/* ---- one service ---- */

/*
 * The half-open interval of instants in which a service holds (D13, reading 30).  The range is read as it is stored, its
 * bounds that are there one after the other: to deserialise it by its type would look up in a dozen catalogs how bounds
 * are compared, which a session that rates one call would notice.
 */
static void
read_active(CatalogueScan *scan, Service *service)
{
	bool		isnull;
	RangeType  *range = DatumGetRangeTypeP(billing_scan_datum(scan, SERVICE_ACTIVE, &isnull));
	const TimestampTz *bound = (const TimestampTz *) (range + 1);
	char		flags = range_get_flags(range);

	service->active_from = DT_NOBEGIN;
	service->active_until = flags & RANGE_EMPTY ? DT_NOBEGIN : DT_NOEND;
	if (RANGE_HAS_LBOUND(flags))
		service->active_from = *bound++ + (flags & RANGE_LB_INC ? 0 : 1);
	if (RANGE_HAS_UBOUND(flags))
		service->active_until = *bound + (flags & RANGE_UB_INC ? 1 : 0);
}

static void
read_terms(CatalogueScan *scan, void *into)
{
	ServiceTerms *terms = into;
	bool		isnull;

	terms->terms_from = billing_scan_int64(scan, SERVICE_TERMS_FROM, DT_NOBEGIN);
	terms->tariff_id = billing_scan_int64(scan, SERVICE_TARIFF, 0);
	terms->plan_id = billing_scan_int64(scan, SERVICE_PLAN, 0);
	terms->provider_id = billing_scan_int64(scan, SERVICE_PROVIDER, 0);
	terms->out_payment = billing_scan_fixed(scan, SERVICE_OUT_PAYMENT, MONEY_DIGITS, &isnull);
}

static void
load_former_terms(Statement *statement, Service *service)
{
	billing_terms_load(statement, CATALOGUE_SERVICE_TERMS, service->id, &service->terms, billing_directory_context(statement),
					   sizeof(ServiceTerms), read_terms);
}

static Service *
read_service(Statement *statement, CatalogueScan *scan, MemoryContext context)
{
	Service    *service = MemoryContextAllocZero(context, sizeof(Service));
	char	   *field = billing_scan_text(scan, SERVICE_FIELD, CurrentMemoryContext);

	service->id = billing_scan_int64(scan, SERVICE_ID, 0);
	service->account_id = billing_scan_int64(scan, SERVICE_ACCOUNT, 0);
	service->primary_id = billing_scan_int64(scan, SERVICE_PRIMARY, 0);
	service->side = billing_name_index("side", billing_scan_text(scan, SERVICE_SIDE_NAME, CurrentMemoryContext), side_names, SIDES);
	service->kind = billing_name_index("kind", billing_scan_text(scan, SERVICE_KIND_NAME, CurrentMemoryContext), kind_names, SERVICE_KINDS);
	service->identifier = billing_scan_text(scan, SERVICE_IDENTIFIER, context);
	service->tenant = billing_scan_text(scan, SERVICE_TENANT, context);
	service->cost_center = billing_intern(statement, billing_scan_text(scan, SERVICE_COST_CENTER, CurrentMemoryContext));
	if (field)
		service->field = billing_name_index("field", field, billing_raw_names, RAW_COLUMNS);
	read_active(scan, service);
	service->max_channels = billing_scan_int32(scan, SERVICE_MAX_CHANNELS, 0);
	billing_terms_add(&service->terms, context, sizeof(ServiceTerms), read_terms, scan);
	return service;
}

/* The terms in force at the instant; NULL before the first ones. */
const ServiceTerms *
billing_service_terms(const Service *service, TimestampTz at)
{
	return billing_terms_at(&service->terms, sizeof(ServiceTerms), at);
}

/* ---- networks ---- */

static void
clear_host_bits(NetworkKey *network, int bits)
{
	int			size = network->family == PGSQL_AF_INET ? 4 : 16;

	network->bits = (uint8) bits;
	for (int i = 0; i < size; i++)
	{
		int			kept = Min(8, Max(0, bits - 8 * i));

		network->address[i] &= (uint8) (0xff << (8 - kept));
	}
}

/* An address, or a network written with its length; false: it is neither. */
static bool
parse_network(const char *text, int length, NetworkKey *network)
{
	char		copy[64];
	int			bits;
	bool		v6 = memchr(text, ':', length) != NULL;

	if (length >= (int) sizeof(copy))
		return false;
	memcpy(copy, text, length);
	copy[length] = '\0';

	memset(network, 0, sizeof(NetworkKey));
	network->family = v6 ? PGSQL_AF_INET6 : PGSQL_AF_INET;
	bits = pg_inet_net_pton(network->family, copy, network->address, v6 ? 16 : 4);
	if (bits < 0)
		return false;
	clear_host_bits(network, bits);
	return true;
}

static int
family_bits(const NetworkKey *network)
{
	return network->family == PGSQL_AF_INET ? 32 : 128;
}

static uint64 *
mask_words(Directory *directory, ServiceSide side, const NetworkKey *network)
{
	return directory->masks[side][network->family == PGSQL_AF_INET ? 0 : 1];
}

/* ---- patterns ---- */

static void
free_pattern(void *arg)
{
	compat_regex_free(&((ServicePattern *) arg)->regex);
}

/* Compiled when it was written, so it compiles now; should it not, it is as one that fails on every call. */
static struct ServicePattern *
compile_pattern(Directory *directory, const char *identifier)
{
	int			length = strlen(identifier);
	MemoryContext former = MemoryContextSwitchTo(directory->context);
	ServicePattern *pattern = palloc0(sizeof(ServicePattern));
	pg_wchar   *wide = palloc((length + 1) * sizeof(pg_wchar));
	int			nwide = pg_mb2wchar_with_len(identifier, wide, length);

	if (pg_regcomp(&pattern->regex, wide, nwide, REG_ADVANCED, C_COLLATION_OID) != REG_OKAY)
	{
		CHECK_FOR_INTERRUPTS(); /* 15 ends the compilation when it is cancelled */
		pattern = NULL;
	}
	else
	{
		pattern->callback.func = free_pattern;
		pattern->callback.arg = pattern;
		MemoryContextRegisterResetCallback(directory->context, &pattern->callback);
	}
	pfree(wide);
	MemoryContextSwitchTo(former);
	return pattern;
}

static int
match_pattern(const Service *service, RawText value)
{
	pg_wchar   *wide;
	int			nwide;
	int			result;

	if (service->pattern == NULL || value.length > MAX_MATCHED)
		return REG_ESPACE;
	wide = palloc((value.length + 1) * sizeof(pg_wchar));
	nwide = pg_mb2wchar_with_len(value.data, wide, value.length);
	result = pg_regexec(&service->pattern->regex, wide, nwide, 0, NULL, 0, NULL, 0);
	pfree(wide);
	return result;
}

/* ---- filling the directory ---- */

static Directory *
create_directory(Catalogue *catalogue)
{
	MemoryContext context = AllocSetContextCreate(catalogue->context, "billing directory", ALLOCSET_DEFAULT_SIZES);
	Directory  *directory = MemoryContextAllocZero(context, sizeof(Directory));
	HASHCTL		control = {.keysize = sizeof(int64), .entrysize = sizeof(ServiceById), .hcxt = context};

	directory->context = context;
	directory->services = services_create(context, 256, NULL);
	directory->by_id = hash_create("billing services", 256, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	return directory;
}

/* Where accounts and labels are kept, of which there may be more than memory is for: they are forgotten with the directory. */
MemoryContext
billing_rows_context(Statement *statement)
{
	Catalogue  *catalogue = statement->catalogue;

	if (catalogue->rows == NULL)
		catalogue->rows = AllocSetContextCreate(catalogue->context, "billing rows", ALLOCSET_DEFAULT_SIZES);
	return catalogue->rows;
}

static Size
size_of(MemoryContext context)
{
	return context ? MemoryContextMemAllocated(context, true) : 0;
}

/* Single services, accounts and labels are forgotten. */
static void
forget_rows(Catalogue *catalogue)
{
	MemoryContext rows = catalogue->rows;
	Directory  *directory = catalogue->directory;

	catalogue->directory = NULL;
	catalogue->rows = NULL;
	catalogue->accounts = catalogue->rate_labels = NULL;
	if (directory)
		MemoryContextDelete(directory->context);
	if (rows)
		MemoryContextDelete(rows);
}

/*
 * The directory of the statement's catalogue.  What is remembered of single look-ups may outgrow half of the memory, the
 * other half being for price lists; then it starts anew.  Services and accounts that were returned are used within one
 * call only, so this is asked between calls.  Until there are many of them, price lists have the rest too.
 */
void
billing_directory_begin_call(Statement *statement)
{
	Catalogue  *catalogue = statement->catalogue;
	Directory  *directory = catalogue->directory;

	catalogue->row_bytes = size_of(catalogue->rows) + (directory ? size_of(directory->context) : 0);
	if (directory && (directory->filling || catalogue->row_bytes > directory->whole + billing_memory_limit() / 2))
	{
		forget_rows(catalogue);
		catalogue->row_bytes = 0;
	}
	if (catalogue->deck_bytes > 0 && catalogue->deck_bytes + catalogue->row_bytes > billing_memory_limit())
		billing_shrink_decks(catalogue, billing_memory_limit() - Min(catalogue->row_bytes, billing_memory_limit()));
	if (catalogue->directory == NULL)
		catalogue->directory = create_directory(catalogue);
}

static ServiceEntry *
enter_key(Directory *directory, ServiceKey key)
{
	bool		found;
	ServiceEntry *entry = services_lookup(directory->services, key);
	char	   *copy;

	if (entry)
		return entry;
	copy = MemoryContextAlloc(directory->context, Max(key.length, 1));
	memcpy(copy, key.data, key.length);
	key.data = copy;
	entry = services_insert(directory->services, key, &found);
	entry->first = NULL;
	return entry;
}

static void
add_service(Statement *statement, Directory *directory, Service *service)
{
	NetworkKey	network;
	ServiceKey	key = {service->side, service->kind, strlen(service->identifier), service->identifier};
	ServiceEntry *entry;

	load_former_terms(statement, service);
	if (service->kind == KIND_PATTERN)
	{
		MemoryContext former = MemoryContextSwitchTo(directory->context);

		service->pattern = compile_pattern(directory, service->identifier);
		directory->patterns[service->side] = lappend(directory->patterns[service->side], service);
		MemoryContextSwitchTo(former);
		return;
	}
	if (service->kind == KIND_IP)
	{
		if (!parse_network(key.data, key.length, &network))
			return;
		mask_words(directory, service->side, &network)[network.bits / 64] |= UINT64CONST(1) << (network.bits % 64);
		key.data = (char *) &network;
		key.length = sizeof(network);
	}
	entry = enter_key(directory, key);
	service->next = entry->first;
	entry->first = service;
}

/* Reads services by (kind, side) or by (kind, side, identifier), then adds them. */
static void
load_services(Statement *statement, Directory *directory, ServiceSide side, ServiceKind kind, const RawText *identifier)
{
	CatalogueScan scan;
	ScanKeyData keys[3];
	List	   *loaded = NIL;
	ListCell   *cell;

	billing_key_text(statement, CATALOGUE_SERVICE, SERVICE_KIND_NAME, kind_names[kind], strlen(kind_names[kind]), &keys[0]);
	billing_key_text(statement, CATALOGUE_SERVICE, SERVICE_SIDE_NAME, side_names[side], strlen(side_names[side]), &keys[1]);
	if (identifier)
		billing_key_text(statement, CATALOGUE_SERVICE, SERVICE_IDENTIFIER, identifier->data, identifier->length, &keys[2]);

	billing_scan_begin(statement, CATALOGUE_SERVICE, keys, identifier ? 3 : 2, &scan);
	while (billing_scan_next(&scan))
		loaded = lappend(loaded, read_service(statement, &scan, directory->context));
	billing_scan_end(&scan);
	foreach(cell, loaded)
		add_service(statement, directory, lfirst(cell));
	list_free(loaded);
}

static bool
kind_fits_memory(Statement *statement)
{
	return billing_estimated_rows(statement, CATALOGUE_SERVICE) * BYTES_PER_SERVICE < billing_memory_limit() / 2;
}

/* Single look-ups so far are forgotten: the whole kind is read in their place. */
static void
complete_kind(Statement *statement, Directory *directory, ServiceSide side, ServiceKind kind)
{
	services_iterator iterator;
	ServiceEntry *entry;

	directory->filling = true;
	services_start_iterate(directory->services, &iterator);
	while ((entry = services_iterate(directory->services, &iterator)) != NULL)
		if (entry->key.side == side && entry->key.kind == kind)
			entry->first = NULL;
	load_services(statement, directory, side, kind, NULL);
	directory->complete[side][kind] = true;
	directory->filling = false;
	if (kind == KIND_IP || kind == KIND_PATTERN)
		directory->whole = MemoryContextMemAllocated(directory->context, true);
}

/* The services with this identifier, in any tenant and at any time. */
static const Service *
find_services(Statement *statement, ServiceSide side, ServiceKind kind, RawText value)
{
	Directory  *directory = statement->catalogue->directory;
	ServiceKey	key = {side, kind, value.length, value.data};
	ServiceEntry *entry = services_lookup(directory->services, key);

	if (entry)
		return entry->first;
	if (directory->complete[side][kind])
		return NULL;

	if (directory->probes[side][kind]++ >= DIRECTORY_PROBES && kind_fits_memory(statement))
		complete_kind(statement, directory, side, kind);
	else
	{
		directory->filling = true;
		load_services(statement, directory, side, kind, &value);
		if (value.length <= MAX_REMEMBERED)
			enter_key(directory, key);
		directory->filling = false;
	}
	entry = services_lookup(directory->services, key);
	return entry ? entry->first : NULL;
}

/* ---- the rules of one level ---- */

static inline bool
active_at(const Service *service, TimestampTz at)
{
	return service->active_from <= at && at < service->active_until;
}

static void
add_candidate(Candidates *candidates, const Service *service)
{
	if (candidates->service == NULL)
	{
		candidates->room = 8;
		candidates->service = palloc(candidates->room * sizeof(Service *));
	}
	else if (candidates->count == candidates->room)
	{
		candidates->room *= 2;
		candidates->service = repalloc(candidates->service, candidates->room * sizeof(Service *));
	}
	candidates->service[candidates->count++] = service;
}

static bool
in_tenant(const Service *service, RawText tenant)
{
	return (int) strlen(service->tenant) == tenant.length && memcmp(service->tenant, tenant.data ? tenant.data : "", tenant.length) == 0;
}

/* A virtual number lives no longer than its primary (reading 26). */
static bool
counts(Statement *statement, const Service *service, const Cdr *cdr, const Candidates *candidates)
{
	if (!active_at(service, cdr->at) || (candidates->owned && service->account_id == 0))
		return false;
	if (candidates->within != 0 && !billing_belongs_to(statement, service->account_id, candidates->within, cdr->at))
		return false;
	if (service->kind == KIND_VIRTUAL_NUMBER)
	{
		const Service *primary = billing_service(statement, service->primary_id);

		return primary && active_at(primary, cdr->at);
	}
	return true;
}

/*
 * Tenants are asked in rounds, and the first round with a match decides: services of the row's tenant, then those
 * without a tenant; for a row without tenant those without, then all, of which decide() makes one or none (D6,
 * design 5.2).
 */
#define TENANT_ROUNDS	3

static bool
in_round(const Service *service, RawText tenant, int round)
{
	const RawText none = {NULL, 0};

	switch (round)
	{
		case 0:
			return tenant.data != NULL && in_tenant(service, tenant);
		case 1:
			return in_tenant(service, none);
		default:
			return tenant.data == NULL;
	}
}

/* Of the services with one identifier those that the tenants' rounds select; how many. */
static int
add_by_tenant(Statement *statement, const Service *first, const Cdr *cdr, Candidates *candidates)
{
	int			before = candidates->count;

	for (int round = 0; round < TENANT_ROUNDS && candidates->count == before; round++)
		for (const Service *service = first; service; service = service->next)
			if (in_round(service, cdr->text[RAW_TENANT], round) && counts(statement, service, cdr, candidates))
				add_candidate(candidates, service);
	return candidates->count - before;
}

/* The longest network that holds the address (D8). */
static void
add_networks(Statement *statement, const Cdr *cdr, ServiceSide side, RawText value, Candidates *candidates)
{
	Directory  *directory = statement->catalogue->directory;
	NetworkKey	address;
	const uint64 *masks;

	if (!parse_network(value.data, value.length, &address) || address.bits != family_bits(&address))
		return;
	if (!directory->complete[side][KIND_IP])
		complete_kind(statement, directory, side, KIND_IP);
	masks = mask_words(directory, side, &address);
	for (int bits = family_bits(&address); bits >= 0; bits--)
	{
		RawText		network = {(const char *) &address, sizeof(address)};

		if (!(masks[bits / 64] & (UINT64CONST(1) << (bits % 64))))
			continue;
		clear_host_bits(&address, bits);
		if (add_by_tenant(statement, find_services(statement, side, KIND_IP, network), cdr, candidates) > 0)
			return;
	}
}

/* A pattern matches what its field holds; a field that is not given it does not match. */
static void
add_pattern(const Service *service, const Cdr *cdr, Candidates *candidates)
{
	RawText		value = cdr->text[service->field];
	int			result;

	if (value.data == NULL)
		return;
	result = match_pattern(service, value);
	if (result == REG_OKAY)
		add_candidate(candidates, service);
	else if (result != REG_NOMATCH)
	{
		CHECK_FOR_INTERRUPTS(); /* 15 ends the match when it is cancelled */
		candidates->pattern_error = true;
	}
}

static void
add_patterns(Statement *statement, const Cdr *cdr, ServiceSide side, Candidates *candidates)
{
	Directory  *directory = statement->catalogue->directory;
	int			before = candidates->count;

	if (!directory->complete[side][KIND_PATTERN])
		complete_kind(statement, directory, side, KIND_PATTERN);
	for (int round = 0; round < TENANT_ROUNDS && candidates->count == before; round++)
	{
		ListCell   *cell;

		foreach(cell, directory->patterns[side])
		{
			const Service *service = lfirst(cell);

			if (in_round(service, cdr->text[RAW_TENANT], round) && counts(statement, service, cdr, candidates))
				add_pattern(service, cdr, candidates);
		}
	}
}

/* Adds the services of one kind that a value of the row names; nothing when the value is not given. */
void
billing_candidates(Statement *statement, const Cdr *cdr, ServiceSide side, ServiceKind kind, RawText value, Candidates *candidates)
{
	if (kind == KIND_PATTERN)
		add_patterns(statement, cdr, side, candidates);
	else if (value.data == NULL)
		return;
	else if (kind == KIND_IP)
		add_networks(statement, cdr, side, value, candidates);
	else
	{
		/* longer identifiers do not exist: an index entry could not hold them */
		if (value.length <= MAX_IDENTIFIER)
			add_by_tenant(statement, find_services(statement, side, kind, value), cdr, candidates);
	}
}

/* Is a to be preferred to b, both of one account?  Kind, then the longer identifier, then the lower id. */
static bool
preferred(const Service *a, const Service *b)
{
	if (a->kind != b->kind)
		return a->kind < b->kind;
	if (strlen(a->identifier) != strlen(b->identifier))
		return strlen(a->identifier) > strlen(b->identifier);
	return a->id < b->id;
}

/* One service, or none; of several accounts: ambiguous, nobody is charged (reading 29). */
Found
billing_decide(const Candidates *candidates)
{
	Found		found = {FOUND_NONE, NULL};

	for (int i = 0; i < candidates->count; i++)
	{
		const Service *service = candidates->service[i];

		if (found.service && found.service->account_id != service->account_id)
			return (Found) {FOUND_AMBIGUOUS, NULL};
		if (found.service == NULL || preferred(service, found.service))
			found.service = service;
	}
	if (found.service)
		found.verdict = FOUND_ONE;
	else if (candidates->pattern_error)
		found.verdict = FOUND_PATTERN_ERROR;
	return found;
}

/* The context in which what belongs to services is kept. */
MemoryContext
billing_directory_context(Statement *statement)
{
	return statement->catalogue->directory->context;
}

/* ---- by id, and whether there is any ---- */

const Service *
billing_service(Statement *statement, int64 id)
{
	Directory  *directory = statement->catalogue->directory;
	ServiceById *entry = hash_search(directory->by_id, &id, HASH_FIND, NULL);

	if (entry == NULL)
	{
		Service    *service = NULL;
		CatalogueScan scan;
		ScanKeyData key;

		billing_key_int8(statement, CATALOGUE_SERVICE_BY_ID, SERVICE_ID, id, &key);
		billing_scan_begin(statement, CATALOGUE_SERVICE_BY_ID, &key, 1, &scan);
		if (billing_scan_next(&scan))
			service = read_service(statement, &scan, directory->context);
		billing_scan_end(&scan);
		if (service)
			load_former_terms(statement, service);
		entry = hash_search(directory->by_id, &id, HASH_ENTER, NULL);
		entry->service = service;
	}
	return entry->service;
}

/* Whether customers are billed at all; a set-up of providers only has no customer-side service (V7). */
bool
billing_has_customer_service(Statement *statement)
{
	Directory  *directory = statement->catalogue->directory;

	if (!directory->asked_for_customers)
	{
		CatalogueScan scan;

		billing_scan_begin(statement, CATALOGUE_SERVICE, NULL, 0, &scan);
		while (!directory->has_customers && billing_scan_next(&scan))
		{
			char	   *side = billing_scan_text(&scan, SERVICE_SIDE_NAME, CurrentMemoryContext);

			directory->has_customers = strcmp(side, side_names[SIDE_CUSTOMER]) == 0;
			pfree(side);
		}
		billing_scan_end(&scan);
		directory->asked_for_customers = true;
	}
	return directory->has_customers;
}
