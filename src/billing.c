/*
 * billing.c
 *	  The module: its settings and callbacks.
 */
#include "billing.h"

#include "utils/guc.h"

PG_MODULE_MAGIC;

int			billing_deck_memory = 256 * 1024;

void		_PG_init(void);

void
_PG_init(void)
{
	DefineCustomIntVariable("billing.deck_memory",
							"Memory that a backend may use for compiled price lists and services.",
							"Beyond it the least recently used price list goes first; one that does not fit alone is read through its index.",
							&billing_deck_memory,
							256 * 1024, 64, MAX_KILOBYTES,
							PGC_USERSET, GUC_UNIT_KB,
							NULL, NULL, NULL);
	billing_catalogue_init();
}
