# billing: rates VoIP calls inside PostgreSQL
#
#   make, make install          the extension, by PGXS; PG_CONFIG=... names another server
#   make demo [KEEP=1]          a month of three providers and 100 customers, in a server of its own
#   make test [TESTS="..."]     every test, in a server of its own; TESTS names some of the files below test/
#   make stress                 the long forms of the tests
#   make bench [PARTS="..."]    what it all costs beside other ways, by part (the files of test/bench/parts); test/bench/run names the settings
#   make installcheck           pg_regress and isolation tests in the server that runs already
EXTENSION = billing
# Not VERSION: PGXS calls the server's so.
EXTVERSION := $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" billing.control)
PG_CONFIG ?= pg_config

ifneq ($(filter demo test stress bench,$(MAKECMDGOALS)),)
# These begin on a machine that may have no server and no PGXS yet, so nothing of PGXS is read for them.
.PHONY: demo test stress bench
export PG_CONFIG KEEP TESTS PARTS DEMO_CALLS

demo:
	@KEEP_DATABASE=demo test/cluster demo test/demo/run
test:
	@test/cluster test test/run
stress:
	@BILLING_STRESS=1 test/cluster test test/run
bench:
	@test/deps bench
	@new=$$(mktemp) && { test/cluster demo test/bench/run 3>$$new; status=$$?; test/bench/publish $$new; rm -f $$new; exit $$status; }
else

MODULE_big = billing
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c)))
FRAGMENTS = $(filter-out sql/00-extension.sql,$(sort $(wildcard sql/[0-9]*.sql)))
LEDGER = $(sort $(wildcard sql/ledger/[0-9]*.sql))
DATA = $(wildcard sql/billing--*--*.sql)
DATA_built = sql/billing--$(EXTVERSION).sql
EXTRA_CLEAN = sql/billing--$(EXTVERSION).sql results output_iso regression.diffs regression.out

REGRESS = $(sort $(patsubst test/sql/%.sql,%,$(wildcard test/sql/*.sql)))
REGRESS_OPTS = --inputdir=test
ISOLATION = $(sort $(patsubst test/specs/%.spec,%,$(wildcard test/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test --outputdir=.

PG_CFLAGS = -std=gnu11 -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers -Wno-cast-function-type
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

$(OBJS) $(OBJS:.o=.bc): $(wildcard src/*.h)

# The ledger's DDL stays plain SQL in sql/ledger/ and travels inside the extension as rows of one function.
sql/billing--$(EXTVERSION).sql: sql/00-extension.sql $(FRAGMENTS) $(LEDGER) Makefile
	{ printf '%s\n' '\echo Use "CREATE EXTENSION billing" to load this file. \quit'; \
	  cat sql/00-extension.sql; \
	  printf '%s\n' 'CREATE FUNCTION billing._ledger_part(OUT part text, OUT ddl text) RETURNS SETOF record'; \
	  echo 'LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$_ledger_$$ VALUES'; \
	  sep=' '; for f in $(LEDGER); do printf "%s('%s', \$$_part_\$$\n" "$$sep" "$$(basename $$f .sql)"; cat $$f; printf '$$_part_$$)\n'; sep=','; done; \
	  echo '$$_ledger_$$;'; \
	  echo "COMMENT ON FUNCTION billing._ledger_part() IS 'The DDL of the ledger, one row a file of sql/ledger/, in the order in which create_ledger() executes them (design 2).';"; \
	  cat $(FRAGMENTS); } > $@
endif
