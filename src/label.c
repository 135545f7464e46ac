/*
 * label.c
 *	  What a rate is reported under: its destination and its currency (design 6).
 */
#include "billing.h"

#include "utils/hsearch.h"

/* As CATALOGUE_RATE_BY_ID lists them. */
enum {LABEL_RATE, LABEL_TARIFF, LABEL_DESTINATION};

/* Of a catalogue: the labels of the rates that priced last. */
#define NOTED_LABELS		8
#define NOTED_BY_STATEMENT	4

typedef struct NotedLabels
{
	RateLabel	label[NOTED_LABELS];
	unsigned	next;
} NotedLabels;

/*
 * The pass that counts a call asks for what the call has just been priced by; where a statement stores one call, looking it
 * up again in the table would cost more than rating did.  Those who load many find most labels in memory anyway.
 */
void
billing_note_label(Statement *statement, const Rate *rate, const Tariff *tariff)
{
	Catalogue  *catalogue = statement->catalogue;
	RateLabel  *label;

	if (statement->noted_labels >= NOTED_BY_STATEMENT)
		return;
	statement->noted_labels++;
	if (catalogue->noted_labels == NULL)
		catalogue->noted_labels = MemoryContextAllocZero(catalogue->context, sizeof(NotedLabels));
	label = &catalogue->noted_labels->label[catalogue->noted_labels->next++ % NOTED_LABELS];
	*label = (RateLabel)
	{
		.id = rate->id,
		.destination = billing_intern(statement, rate->destination),
		.currency = billing_intern(statement, tariff->currency),
		.known = true
	};
}

static const RateLabel *
noted_label(const Catalogue *catalogue, int64 rate_id)
{
	for (int i = 0; catalogue->noted_labels && i < NOTED_LABELS; i++)
		if (catalogue->noted_labels->label[i].id == rate_id)
			return &catalogue->noted_labels->label[i];
	return NULL;
}

static void
load_label(Statement *statement, int64 rate_id, RateLabel *label)
{
	int64		tariff_id = 0;
	const Tariff *tariff;
	CatalogueScan scan;
	ScanKeyData key;

	*label = (RateLabel)
	{
		.id = rate_id, .destination = billing_intern(statement, NULL), .currency = billing_intern(statement, NULL)
	};
	billing_key_int8(statement, CATALOGUE_RATE_BY_ID, LABEL_RATE, rate_id, &key);
	billing_scan_begin(statement, CATALOGUE_RATE_BY_ID, &key, 1, &scan);
	label->known = billing_scan_next(&scan);
	if (label->known)
	{
		label->destination = billing_intern(statement, billing_scan_text(&scan, LABEL_DESTINATION, CurrentMemoryContext));
		tariff_id = billing_scan_int64(&scan, LABEL_TARIFF, 0);
	}
	billing_scan_end(&scan);
	tariff = tariff_id != 0 ? billing_tariff(statement, tariff_id) : NULL;
	if (tariff)
		label->currency = billing_intern(statement, tariff->currency);
}

/* What a rate is reported under; by its number alone, for it may have arrived with the call. */
const RateLabel *
billing_rate_label(Statement *statement, int64 rate_id)
{
	const RateLabel *noted = noted_label(statement->catalogue, rate_id);
	HTAB	   *labels;
	RateLabel  *label;

	if (noted)
		return noted;
	labels = billing_catalogue_hash(billing_rows_context(statement), &statement->catalogue->rate_labels, "billing rate labels",
									sizeof(int64), sizeof(RateLabel));
	label = hash_search(labels, &rate_id, HASH_FIND, NULL);
	if (label == NULL)
	{
		RateLabel	loaded;

		load_label(statement, rate_id, &loaded);
		label = hash_search(labels, &rate_id, HASH_ENTER, NULL);
		*label = loaded;
	}
	return label;
}
