/*
 * billing.h
 *	  What the stations of a CDR's way share with each other, grouped by implementing file.
 */
#ifndef BILLING_H
#define BILLING_H

#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "datatype/timestamp.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "lib/ilist.h"
#include "lib/stringinfo.h"
#include "utils/hsearch.h"
#include "utils/numeric.h"
#include "utils/rel.h"
#include "utils/snapshot.h"

#include "charge.h"
#include "compat.h"
#include "prefix.h"

/* Among ourselves: calls that need no look-up by name when a session loads the library. */
#pragma GCC visibility push(hidden)

#define BILLING_SCHEMA		"billing"

/* ---- billing.c ---- */

extern int	billing_deck_memory;	/* kB */
extern bool billing_usage_writer;	/* billing.usage may be written now */

/* ---- fixed.c ---- */

extern bool billing_decimal_scan(const char *text, int scale, int64 *value, bool *more);
extern int64 billing_fixed_from_numeric(Numeric number, int scale);
extern Numeric billing_numeric_from_fixed(Money number, int decimals);
extern Numeric billing_numeric_from_money(Money money);
extern Money billing_money_from_numeric(Numeric number);
extern bool billing_seconds_from_numeric(Numeric number, CallSeconds *seconds);
extern bool billing_seconds_between(TimestampTz starts, TimestampTz ends, CallSeconds *seconds);

/* ---- catalogue.c ---- */

typedef enum CatalogueTable
{
	CATALOGUE_EXCHANGE_RATE,
	CATALOGUE_CALENDAR,
	CATALOGUE_CALENDAR_DAY,
	CATALOGUE_CALENDAR_BAND,
	CATALOGUE_TARIFF,
	CATALOGUE_TARIFF_TERMS,
	CATALOGUE_RATE,
	CATALOGUE_RATE_BY_ID,
	CATALOGUE_RATE_STEP,
	CATALOGUE_PLAN,
	CATALOGUE_ALLOWANCE,
	CATALOGUE_ACCOUNT,
	CATALOGUE_ACCOUNT_TERMS,
	CATALOGUE_SERVICE,
	CATALOGUE_SERVICE_BY_ID,
	CATALOGUE_SERVICE_TERMS,
	CATALOGUE_DID_RATE,
	CATALOGUE_ARCHIVED_PARTITION
} CatalogueTable;

#define CATALOGUE_TABLES	(CATALOGUE_ARCHIVED_PARTITION + 1)
#define CATALOGUE_COLUMNS	32

typedef struct Deck Deck;
typedef struct Directory Directory;
typedef struct Statement Statement;

/* Where a catalogue table stands and which attribute each of its columns is. */
typedef struct TableMap
{
	uint64		generation;		/* for which the rest holds; 0: not asked for yet */
	Oid			relation;
	Oid			index;
	AttrNumber	attribute[CATALOGUE_COLUMNS];
} TableMap;

/*
 * What a backend knows of the catalogue under one generation of it.  Its parts are loaded when they are
 * asked for and never changed afterwards; see "Coherence" in src/README.
 */
typedef struct Catalogue
{
	MemoryContext context;
	uint64		generation;
	uint32		transaction;	/* lxid when only this transaction may use it, else 0 */
	int			pins;			/* statements that use it */
	TableMap	table[CATALOGUE_TABLES];
	HTAB	   *names;			/* interned ones */
	MemoryContext rows;			/* of the next two; NULL: not made yet */
	HTAB	   *accounts;
	HTAB	   *rate_labels;
	struct NotedLabels *noted_labels;	/* NULL: none yet */
	HTAB	   *tariffs;
	HTAB	   *plans;
	HTAB	   *exchange_rates;
	HTAB	   *calendars;
	int64		default_calendar;	/* 0: none, -1: not asked for yet */
	int			has_rate_steps; /* whether any rate has steps; -1: not asked for yet */
	HTAB	   *did_rates;
	struct ArchivedPeriods *archived_periods;	/* NULL: not read yet */
	Directory  *directory;
	struct DefaultTariffs *default_tariffs;
	dlist_head	decks;			/* least recently used first */
	Size		deck_bytes;
	Size		row_bytes;		/* of the directory and rows, as of the last call */
	uint64		lookups;		/* in price lists */
} Catalogue;

/* An executor query in which calls are rated; all that it reads is read under its snapshot. */
struct Statement
{
	dlist_node	node;
	MemoryContext context;
	MemoryContextCallback callback;
	Snapshot	snapshot;		/* NULL once released */
	bool		latest;			/* reads what is committed by now, whatever the isolation level */
	uint32		identity;		/* of the active snapshot it belongs to */
	TransactionId identity_xmin;
	TransactionId identity_xmax;
	CommandId	identity_curcid;
	SubTransactionId subtransaction;	/* in which it began */
	Catalogue  *catalogue;
	int			noted_labels;	/* see billing_note_label() */
};

typedef struct CatalogueScan
{
	const TableMap *map;
	Relation	relation;
	Relation	index;			/* NULL: in no order */
	SysScanDesc scan;
	Datum	   *values;			/* of the row that was reached */
	bool	   *nulls;
} CatalogueScan;

extern void billing_catalogue_init(void);
extern Statement *billing_statement(MemoryContext query_context);
extern void billing_catalogue_written(void);
extern Oid	billing_ledger_relation(const char *name);
extern void billing_check_reader(Oid owner);
extern _Noreturn void billing_ledger_missing(void);
extern Statement *billing_latest_statement(MemoryContext context);
extern HTAB *billing_catalogue_hash(MemoryContext context, HTAB **slot, const char *name, Size keysize, Size entrysize);
extern const TableMap *billing_table_map(Statement *statement, CatalogueTable table);
extern uint64 billing_count_entries(Statement *statement, CatalogueTable table, ScanKey key, uint64 limit);
extern uint64 billing_estimated_rows(Statement *statement, CatalogueTable table);
extern void billing_key_int8(Statement *statement, CatalogueTable table, int column, int64 value, ScanKey key);
extern void billing_key_text(Statement *statement, CatalogueTable table, int column, const char *value, Size length, ScanKey key);
extern void billing_key_datum(Statement *statement, CatalogueTable table, int column, StrategyNumber strategy, PGFunction compare, Datum value, ScanKey key);
extern void billing_scan_begin(Statement *statement, CatalogueTable table, ScanKey keys, int nkeys, CatalogueScan *scan);
extern bool billing_scan_begin_backward(Statement *statement, CatalogueTable table, ScanKey keys, int nkeys, CatalogueScan *scan);
extern bool billing_scan_next(CatalogueScan *scan);
extern void billing_scan_end(CatalogueScan *scan);
extern Datum billing_scan_datum(CatalogueScan *scan, int column, bool *isnull);
extern int64 billing_scan_int64(CatalogueScan *scan, int column, int64 if_null);
extern int32 billing_scan_int32(CatalogueScan *scan, int column, int32 if_null);
extern bool billing_scan_bool(CatalogueScan *scan, int column);
extern int64 billing_scan_fixed(CatalogueScan *scan, int column, int scale, bool *isnull);
extern int	billing_name_index(const char *what, const char *name, const char *const *names, int count);
extern char *billing_scan_text(CatalogueScan *scan, int column, MemoryContext context);

/* ---- names.c ---- */

extern const char *billing_intern(Statement *statement, const char *text);

/* ---- terms.c ---- */

/* Terms of one row, latest first; structs that begin with terms_from. */
typedef struct DatedTerms
{
	int			count;
	int			room;
	void	   *terms;
} DatedTerms;

/* Reads the terms of the row that a scan has reached. */
typedef void (*TermsReader) (CatalogueScan *scan, void *terms);

extern void billing_terms_add(DatedTerms *dated, MemoryContext context, Size size, TermsReader read, CatalogueScan *scan);
extern void billing_terms_load(Statement *statement, CatalogueTable table, int64 id, DatedTerms *dated, MemoryContext context, Size size, TermsReader read);
extern const void *billing_terms_at(const DatedTerms *dated, Size size, TimestampTz at);

/* ---- account.c ---- */

typedef struct AccountTerms
{
	TimestampTz terms_from;
	int64		tariff_id;		/* 0: none, as below */
	int64		plan_id;
	int64		parent_id;
} AccountTerms;

typedef struct Account
{
	int64		id;				/* hash key */
	char	   *name;
	const char *currency;		/* interned */
	struct pg_tz *zone;			/* of its days; UTC where the name is unknown */
	bool		is_provider;
	bool		active;
	Numeric		credit_limit;	/* NULL: it may owe any amount */
	DatedTerms	terms;			/* AccountTerms */
} Account;

extern const Account *billing_account(Statement *statement, int64 id);
extern const AccountTerms *billing_account_terms(const Account *account, TimestampTz at);
extern bool billing_belongs_to(Statement *statement, int64 account_id, int64 owner_id, TimestampTz at);
extern int64 billing_plan_tariff(Statement *statement, int64 plan_id);
extern uint32 billing_plan_allowances(Statement *statement, int64 plan_id);
extern bool billing_exchange(Statement *statement, const char *base, const char *quote, TimestampTz at, Exchange *exchange);

/* ---- calendar.c, calendar_load.c ---- */

typedef enum DayType
{
	DAY_ANY,
	DAY_WORK,
	DAY_FREE
} DayType;

/* The day type and band of an instant; a tariff without a calendar knows neither. */
typedef struct DayBand
{
	DayType		day_type;
	const char *band;
} DayBand;

typedef struct CalendarDay
{
	int32		date;			/* days since 2000-01-01 */
	DayType		day_type;
} CalendarDay;

typedef struct CalendarWindow
{
	TimestampTz valid_from;
	DayType		day_type;
	int			weekdays;		/* bit 1 is Monday, bit 7 Sunday */
	const char *band;
	int64		starts;			/* microseconds of the day; ends < starts wraps midnight */
	int64		ends;
} CalendarWindow;

/* What was asked last, and for which instants the answer is the same. */
typedef struct CalendarAnswer
{
	DayBand		day;
	TimestampTz from;
	TimestampTz until;
	int			windows;
} CalendarAnswer;

typedef struct Calendar
{
	int64		id;
	char	   *name;
	char	   *timezone;
	struct pg_tz *zone;
	int			free_weekdays;	/* bits as above */
	int			ndays;
	CalendarDay *days;			/* by date */
	int			nwindows;
	CalendarWindow *windows;	/* latest valid_from first */
	CalendarAnswer last_answer;
} Calendar;

extern void billing_calendar_at(Calendar *calendar, TimestampTz at, TimestampTz windows_from, DayBand *day, TimestampTz *until);
extern Calendar *billing_calendar(Statement *statement, int64 id);
extern int64 billing_default_calendar(Statement *statement);
extern DayType billing_day_type(const char *name);
extern const char *billing_day_type_name(DayType day_type);

/* ---- deck.c, deck_load.c ---- */

#define TERM_FIRST_PRICE		(1 << 0)
#define TERM_CONNECT_FEE		(1 << 1)
#define TERM_ATTEMPT_FEE		(1 << 2)
#define TERM_FIRST_INCREMENT	(1 << 3)
#define TERM_NEXT_INCREMENT		(1 << 4)
#define TERM_INCREMENT_RULE		(1 << 5)
#define TERM_GRACE_SECONDS		(1 << 6)
#define TERM_FREE_SECONDS		(1 << 7)
#define TERM_MIN_AMOUNT			(1 << 8)
#define TERM_MAX_AMOUNT			(1 << 9)
#define TERM_SURCHARGE			(1 << 10)
#define TERM_DURATION_ROUNDING	(1 << 11)
#define TERM_ROUNDING_DIGITS	(1 << 12)
#define TERM_ROUNDING_MODE		(1 << 13)
#define TERM_BOUNDARY			(1 << 14)

/* What a rate says otherwise than its tariff; given tells which fields of terms are its own. */
typedef struct RateOverride
{
	uint32		given;
	ChargeTerms terms;
} RateOverride;

/* One version of a price for a prefix; what choosing between versions reads stands first, in one cache line. */
typedef struct Rate
{
	int64		id;
	TimestampTz valid_from;
	const char *band;			/* NULL: any */
	uint8		day_type;
	bool		exact;
	bool		blocked;
	bool		withdrawn;
	uint32		older;			/* so many places further on stands the next older version of its prefix; 0: none */
	int64		price;
	const RateOverride *override;	/* NULL: nothing */
	Prefix		prefix;
	const char *destination;	/* may be NULL */
} Rate;

/* A called number as matching reads it: its first 15 symbols, and whether there were more. */
typedef struct Number
{
	Prefix		symbols;
	bool		longer;
} Number;

typedef struct DeckNode
{
	uint16		children;		/* bitmap of symbols below which there is more */
	uint16		matches;		/* bitmap of symbols that complete a prefix */
	uint32		first_child;
	uint32		first_match;	/* a rate */
} DeckNode;

#define DECK_NO_RATE	PG_UINT32_MAX

/* A compiled price list: immutable, in a context of its own. */
struct Deck
{
	dlist_node	node;			/* in Catalogue.decks */
	MemoryContext context;
	Size		bytes;
	struct Tariff *tariff;
	uint32		nrates;
	uint32		nexact;			/* rates [0, nexact) are exact, sorted by prefix */
	uint32		empty_prefix;	/* latest rate of the prefix that matches every number */
	Rate	   *rates;			/* behind these the latest of each prefix, as the nodes count them, then the older ones */
	DeckNode   *nodes;
};

extern IncrementRule billing_increment_rule(const char *name);
extern const char *billing_increment_rule_name(IncrementRule rule);
extern DurationRounding billing_duration_rounding(const char *name);
extern const char *billing_duration_rounding_name(DurationRounding rounding);
extern RoundingMode billing_rounding_mode(const char *name);
extern const char *billing_rounding_mode_name(RoundingMode mode);
extern bool billing_boundary_splits(const char *name);

extern void billing_deck_build(Deck *deck);
extern const Rate *billing_deck_find(const Deck *deck, Number number, TimestampTz at, DayBand day);
extern void billing_rate_link(Rate *rates, uint32 nrates);
extern const Rate *billing_rate_choose(const Rate *latest, TimestampTz at, DayBand day);
extern int	billing_rate_compare(const void *a, const void *b);
extern void billing_rate_terms(const ChargeTerms *defaults, const Rate *rate, ChargeTerms *terms);

extern Deck *billing_deck_load(Statement *statement, struct Tariff *tariff, Size limit);
extern uint64 billing_count_rates(Statement *statement, struct Tariff *tariff, uint64 limit);
extern const Rate *billing_rate_probe(Statement *statement, struct Tariff *tariff, Number number, TimestampTz at, DayBand day);

/* ---- deck_cache.c ---- */

extern Size billing_memory_limit(void);
extern void billing_shrink_decks(Catalogue *catalogue, Size bytes);
extern const Rate *billing_tariff_rate(Statement *statement, struct Tariff *tariff, Number number, TimestampTz at, DayBand day);

/* What a rate is reported under. */
typedef struct RateLabel
{
	int64		id;				/* hash key */
	bool		known;
	const char *destination;	/* interned, as below; "" for none */
	const char *currency;		/* of its tariff */
} RateLabel;

/* ---- tariff.c ---- */

typedef struct TariffTerms
{
	TimestampTz terms_from;
	int64		base_tariff_id;
	int64		calendar_id;	/* 0: none */
	ChargeTerms charge;			/* price and first_price are the rate's */
} TariffTerms;

typedef struct Tariff
{
	int64		id;				/* hash key */
	char	   *name;
	char	   *currency;
	int32		average_duration;	/* for the loss check, as the next */
	int64		loss_percent;	/* 4 decimals */
	DatedTerms	terms;			/* TariffTerms */
	Deck	   *deck;			/* NULL: not compiled */
	uint64		probes;			/* how often its btree was asked instead */
	uint64		next_try;		/* to compile it, when it has been probed so often */
	uint64		rows;			/* of the index; 0: not counted */
	Size		deck_bytes;		/* of its deck, once it was made; 0: not known */
	uint64		heat_epoch;
	uint32		heat;			/* how often it was asked of late, in heat_epoch */
} Tariff;

/* A price that was found: the rate, who holds it, and what is charged by it. */
typedef struct Price
{
	const Tariff *tariff;		/* maybe a base of the one that was asked; NULL: a DID's own price */
	const char *currency;
	const Rate *rate;			/* NULL: a DID's out-payment alone */
	DayBand		day;			/* by which the rate was chosen */
	const char *calendar;		/* its name; NULL: none */
	ChargeTerms terms;
} Price;

/*
 * Finds the price that holds at an instant of a call, and until when day and band, and so the price, stay; the
 * versions are those in force at the rating instant, which the source knows.
 */
typedef bool (*PriceFinder) (const void *source, TimestampTz instant, Price *price, TimestampTz *until);

/* A number to be priced by a tariff. */
typedef struct TariffSource
{
	Statement  *statement;
	int64		tariff_id;
	Number		number;
	TimestampTz at;
} TariffSource;

extern Tariff *billing_tariff(Statement *statement, int64 id);
extern const TariffTerms *billing_tariff_terms(const Tariff *tariff, TimestampTz at);
extern int64 billing_default_tariff(Statement *statement, TimestampTz at);
extern bool billing_tariff_price(const void *tariff_source, TimestampTz instant, Price *price, TimestampTz *until);

/* ---- label.c ---- */

extern void billing_note_label(Statement *statement, const Rate *rate, const Tariff *tariff);
extern const RateLabel *billing_rate_label(Statement *statement, int64 rate_id);

/* ---- cdr.c ---- */

/* The raw columns, in the order of billing_raw_names. */
typedef enum RawColumn
{
	RAW_ID,
	RAW_SOURCE,
	RAW_CALL_ID,
	RAW_SESSION_ID,
	RAW_TENANT,
	RAW_STARTED_AT,
	RAW_ANSWERED_AT,
	RAW_ENDED_AT,
	RAW_DURATION,
	RAW_BILLSEC,
	RAW_DID_BILLSEC,
	RAW_DISPOSITION,
	RAW_CALLER,
	RAW_CALLEE,
	RAW_REDIRECTED_BY,
	RAW_DID,
	RAW_AUTH_CODE,
	RAW_PROVIDER_CODE,
	RAW_SRC_TRUNK,
	RAW_DST_TRUNK,
	RAW_SRC_IP,
	RAW_DST_IP,
	RAW_REROUTED,
	RAW_CUSTOM,
	RAW_CALLER_NUMBER,
	RAW_CALLEE_NUMBER
} RawColumn;

#define RAW_COLUMNS	(RAW_CALLEE_NUMBER + 1)

/* The rated columns, in the order of billing_rated_names. */
typedef enum RatedColumn
{
	RATED_CUSTOMER_ACCOUNT,
	RATED_CUSTOMER_SERVICE,
	RATED_CUSTOMER_RATE,
	RATED_CUSTOMER_BILLSEC,
	RATED_CUSTOMER_AMOUNT,
	RATED_CUSTOMER_REASON,
	RATED_RESELLER_ACCOUNT,
	RATED_RESELLER_RATE,
	RATED_RESELLER_BILLSEC,
	RATED_RESELLER_AMOUNT,
	RATED_PROVIDER_ACCOUNT,
	RATED_PROVIDER_SERVICE,
	RATED_PROVIDER_RATE,
	RATED_PROVIDER_BILLSEC,
	RATED_PROVIDER_AMOUNT,
	RATED_PROVIDER_REASON,
	RATED_DID_SERVICE,
	RATED_DID_INCOMING_ACCOUNT,
	RATED_DID_INCOMING_RATE,
	RATED_DID_INCOMING_BILLSEC,
	RATED_DID_INCOMING_AMOUNT,
	RATED_DID_OWNER_ACCOUNT,
	RATED_DID_OWNER_RATE,
	RATED_DID_OWNER_BILLSEC,
	RATED_DID_OWNER_AMOUNT,
	RATED_DID_PROVIDER_ACCOUNT,
	RATED_DID_PROVIDER_RATE,
	RATED_DID_PROVIDER_BILLSEC,
	RATED_DID_PROVIDER_AMOUNT,
	RATED_DID_REASON,
	RATED_STATUS
} RatedColumn;

#define RATED_COLUMNS	(RATED_STATUS + 1)

/* Text of a raw column, in place; an empty one counts as not given. */
typedef struct RawText
{
	const char *data;			/* NULL: not given */
	int			length;
} RawText;

/* A call as rating reads it. */
typedef struct Cdr
{
	RawText		text[RAW_COLUMNS];	/* of text columns */
	bool		has_start;
	TimestampTz started_at;
	TimestampTz at;				/* the rating instant: answer, else start */
	bool		answered;
	bool		rerouted;
	bool		bad_duration;
	bool		bad_did_duration;
	CallSeconds seconds;
	CallSeconds did_seconds;	/* by the DID's own clock (K16) */
} Cdr;

extern const char *const billing_raw_names[RAW_COLUMNS];
extern const char *const billing_rated_names[RATED_COLUMNS];

/* Which attribute of a row type each column is; 0: none. */
typedef struct CdrMap
{
	AttrNumber	raw[RAW_COLUMNS];
	AttrNumber	rated[RATED_COLUMNS];
	AttrNumber	rated_at;
} CdrMap;

struct Rating;

/* Where the columns of each leg stand among the rated ones; legs without a service or reason of their own share those of their side. */
typedef struct LegColumns
{
	RatedColumn account;
	RatedColumn service;
	RatedColumn rate;
	RatedColumn billsec;
	RatedColumn amount;
	RatedColumn reason;
} LegColumns;

extern const LegColumns billing_leg_columns[];

extern void billing_cdr_map(TupleDesc desc, CdrMap *map);
extern const CdrMap *billing_cdr_map_of(Relation relation);
extern void billing_cdr_read_times(const CdrMap *map, const Datum *values, const bool *nulls, Cdr *cdr);
extern void billing_cdr_read(const CdrMap *map, const Datum *values, const bool *nulls, Cdr *cdr);
extern void billing_rated_columns(const struct Rating *rating, Datum *values, bool *nulls);

/* ---- directory.c ---- */

typedef enum ServiceSide
{
	SIDE_CUSTOMER,
	SIDE_PROVIDER
} ServiceSide;

#define SIDES	(SIDE_PROVIDER + 1)

/* In the order in which several services of one account are preferred (design 5.2). */
typedef enum ServiceKind
{
	KIND_AUTH_CODE,
	KIND_TRUNK,
	KIND_IP,
	KIND_EXTENSION,
	KIND_VIRTUAL_NUMBER,
	KIND_DID,
	KIND_ANI,
	KIND_PATTERN,
	KIND_SOURCE
} ServiceKind;

#define SERVICE_KINDS	(KIND_SOURCE + 1)

typedef struct ServiceTerms
{
	TimestampTz terms_from;
	int64		tariff_id;
	int64		plan_id;
	int64		provider_id;
	int64		out_payment;	/* per minute, 8 decimals */
} ServiceTerms;

typedef struct Service
{
	struct Service *next;		/* with the same key */
	int64		id;
	int64		account_id;		/* 0: a DID in stock */
	int64		primary_id;
	ServiceSide side;
	ServiceKind kind;
	char	   *identifier;
	char	   *tenant;
	const char *cost_center;	/* interned; empty: none */
	TimestampTz active_from;
	TimestampTz active_until;	/* exclusive */
	int32		max_channels;	/* 0: any number */
	RawColumn	field;			/* of a pattern */
	struct ServicePattern *pattern;
	struct DidRates *did_rates; /* of a DID; NULL: not read yet */
	DatedTerms	terms;			/* ServiceTerms */
} Service;

typedef enum Verdict
{
	FOUND_NONE,
	FOUND_ONE,
	FOUND_AMBIGUOUS,
	FOUND_PATTERN_ERROR
} Verdict;

/* The outcome of a look-up by the rules of one level. */
typedef struct Found
{
	Verdict		verdict;
	const Service *service;
} Found;

/* Services that match at one level, before they are decided between. */
typedef struct Candidates
{
	bool		owned;			/* DIDs in stock are not asked for */
	int64		within;			/* only of this account and those below it; 0: of any */
	int			count;
	int			room;
	bool		pattern_error;
	const Service **service;
} Candidates;

/* what a btree entry can hold of an identifier, with room to spare; longer values match nothing */
#define MAX_IDENTIFIER	1024

extern void billing_directory_begin_call(Statement *statement);
extern MemoryContext billing_directory_context(Statement *statement);
extern MemoryContext billing_rows_context(Statement *statement);
extern void billing_candidates(Statement *statement, const Cdr *cdr, ServiceSide side, ServiceKind kind, RawText value, Candidates *candidates);
extern Found billing_decide(const Candidates *candidates);
extern bool billing_has_customer_service(Statement *statement);
extern const Service *billing_service(Statement *statement, int64 id);
extern const ServiceTerms *billing_service_terms(const Service *service, TimestampTz at);
extern const char *billing_kind_name(ServiceKind kind);

/* ---- identify.c ---- */

/* Who takes part in a call (design 5.2). */
typedef struct Parties
{
	Found		customer;
	Found		dialler;		/* the customer who dials a DID (K2, K3) */
	bool		dialler_on_net; /* he was found by extension, trunk or address */
	Found		source_provider;
	Found		target_provider;
	const Service *did;			/* known DID of the call */
	bool		did_ambiguous;	/* of several accounts or tenants */
	bool		did_unknown;	/* one is called, or was, that we do not know */
	bool		onward_hop;		/* dst_trunk, dst_ip or provider_code names one */
	bool		did_call;		/* ends at a known DID */
} Parties;

struct Trace;

extern void billing_identify(Statement *statement, const Cdr *cdr, struct Trace *trace, Parties *parties);

/* ---- rating.c ---- */

/* The parties of a call that are charged, in the order of the columns of billing.cdr. */
typedef enum LegKind
{
	LEG_CUSTOMER,
	LEG_RESELLER,
	LEG_PROVIDER,
	LEG_DID_INCOMING,
	LEG_DID_OWNER,
	LEG_DID_PROVIDER
} LegKind;

#define LEGS	(LEG_DID_PROVIDER + 1)

/* What one party is charged. */
typedef struct Leg
{
	bool		applies;
	bool		has_billsec;
	bool		has_amount;
	int64		account_id;		/* 0: none */
	int64		rate_id;
	int32		billsec;
	Money		amount;
	const char *reason;			/* NULL: none */
} Leg;

typedef struct Rating
{
	Leg			customer;
	Leg			reseller;
	Leg			provider;
	Leg			did_incoming;
	Leg			did_owner;
	Leg			did_provider;
	int64		customer_service_id;
	int64		provider_service_id;
	int64		did_service_id;
	const char *customer_reason;	/* the customer's, else the reseller's */
	const char *provider_reason;
	const char *did_reason;
	bool		customer_expected;
	bool		provider_expected;
	bool		invalid;
	const char *status;
} Rating;

/* What rating a call is asked beside the call itself. */
typedef struct RatingRequest
{
	struct Trace *trace;		/* NULL: nobody asks how */
	bool		without_did_fee;	/* as if DIDs had no connect fee (K4) */
	const int64 *covered;		/* for each leg, billed seconds that an allowance covers; NULL: none */
	struct LegQuote *quotes;	/* of each leg, filled in; NULL: nobody asks */
} RatingRequest;

/* A call, what is known of it, and who asks. */
typedef struct Call
{
	Statement  *statement;
	const Cdr  *cdr;
	struct Trace *trace;
	Number		number;
	const char *invalid;		/* reason why the row cannot be read; NULL: it can */
	bool		without_did_fee;
	const int64 *covered;
	struct LegQuote *quotes;
} Call;

/* One leg to be priced. */
typedef struct LegTerms
{
	const char *name;
	PriceFinder find;			/* NULL: there is no price list */
	const void *source;
	const char *currency;		/* of the account; NULL: the price's */
	CallSeconds seconds;
	bool		answered;
	int			sign;			/* of a positive charge */
	bool		may_block;		/* a blocked rate refuses the leg, else it is a note */
} LegTerms;

extern const char *const billing_leg_names[LEGS];
extern LegKind billing_leg_kind(const char *name);
extern Leg *billing_rating_leg(Rating *rating, LegKind kind);
extern void billing_rate(Statement *statement, const Cdr *cdr, const RatingRequest *request, Rating *rating);
extern void billing_price_leg(Call *call, const LegTerms *terms, Leg *leg);
extern void billing_refuse(Call *call, const LegTerms *terms, Leg *leg, const char *reason);
extern const char *billing_status(const Rating *rating);

/* ---- functions.c ---- */

extern const CdrMap *billing_record_columns(FunctionCallInfo fcinfo, Datum **values, bool **nulls);
extern void billing_record_read(FunctionCallInfo fcinfo, Cdr *cdr);
extern struct TupleDescData *billing_result_desc(FunctionCallInfo fcinfo);

/* ---- did.c ---- */

extern void billing_rate_did(Call *call, const Parties *parties, Rating *rating);

/* ---- explain.c ---- */

typedef struct Trace Trace;

extern void billing_trace(Trace *trace, const char *leg, const char *topic, const char *format,...) pg_attribute_printf(4, 5);
extern char *billing_decimal_text(Money value, int scale);
extern char *billing_money_text(Money money);
extern char *billing_prefix_text(Prefix prefix);

/* Formatting costs nothing where nobody asks. */
#define TRACE(trace, ...) \
	do { \
		if (unlikely((trace) != NULL)) \
			billing_trace(trace, __VA_ARGS__); \
	} while (0)

#pragma GCC visibility pop

#endif							/* BILLING_H */
