/*
 * names.c
 *	  Names of which a catalogue has one copy each, so that they are compared by their pointers.
 */
#include "billing.h"

#include "common/hashfn.h"
#include "utils/memutils.h"

typedef struct Interned
{
	const char *text;			/* hash key */
} Interned;

static uint32
hash_name(const void *key, Size size)
{
	const char *text = ((const Interned *) key)->text;

	return hash_bytes((const unsigned char *) text, strlen(text));
}

static int
compare_names(const void *a, const void *b, Size size)
{
	return strcmp(((const Interned *) a)->text, ((const Interned *) b)->text);
}

/* The one copy of a text in the catalogue; NULL counts as empty. */
const char *
billing_intern(Statement *statement, const char *text)
{
	Catalogue  *catalogue = statement->catalogue;
	Interned	key = {text ? text : ""};
	Interned   *name;

	if (catalogue->names == NULL)
	{
		HASHCTL		control = {
			.keysize = sizeof(Interned),
			.entrysize = sizeof(Interned),
			.hash = hash_name,
			.match = compare_names,
			.hcxt = catalogue->context
		};

		catalogue->names = hash_create("billing names", 256, &control, HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
	}
	name = hash_search(catalogue->names, &key, HASH_FIND, NULL);
	if (name == NULL)
	{
		key.text = MemoryContextStrdup(catalogue->context, key.text);
		name = hash_search(catalogue->names, &key, HASH_ENTER, NULL);
	}
	return name->text;
}
