/*
 * billing.c
 *	  The module: its settings and callbacks.
 */
#include "billing.h"

#include "utils/guc.h"

PG_MODULE_MAGIC;

int			billing_deck_memory = 256 * 1024;
bool		billing_usage_writer = false;

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
	DefineCustomBoolVariable("billing.usage_writer",
							 "Lets billing.usage be written.",
							 "For the functions of billing, which set it in their definition; what anything else writes makes totals differ from calls.",
							 &billing_usage_writer,
							 false,
							 PGC_USERSET, GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE,
							 NULL, NULL, NULL);
	billing_catalogue_init();
}
