# billing: rates VoIP calls inside PostgreSQL
EXTENSION = billing
VERSION = $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" billing.control)

MODULE_big = billing
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c)))
FRAGMENTS = $(sort $(wildcard sql/[0-9]*.sql))
LEDGER = $(sort $(wildcard sql/ledger/[0-9]*.sql))
DATA_built = sql/billing--$(VERSION).sql
EXTRA_CLEAN = sql/billing--$(VERSION).sql

PG_CFLAGS = -std=gnu11 -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers -Wno-cast-function-type
PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

$(OBJS): $(wildcard src/*.h)

# The ledger's DDL stays plain SQL in sql/ledger/ and travels inside the extension as rows of one function.
sql/billing--$(VERSION).sql: $(FRAGMENTS) $(LEDGER) Makefile
	{ echo '\echo Use "CREATE EXTENSION billing" to load this file. \quit'; \
	  echo 'CREATE FUNCTION billing._ledger_part(OUT part text, OUT ddl text) RETURNS SETOF record'; \
	  echo 'LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$_ledger_$$ VALUES'; \
	  sep=' '; for f in $(LEDGER); do printf "%s('%s', \$$_part_\$$\n" "$$sep" "$$(basename $$f .sql)"; cat $$f; printf '$$_part_$$)\n'; sep=','; done; \
	  echo '$$_ledger_$$;'; \
	  echo "COMMENT ON FUNCTION billing._ledger_part() IS 'The DDL of the ledger, one row a file of sql/ledger/, in the order in which create_ledger() executes them (design 2).';"; \
	  cat $(FRAGMENTS); } > $@
