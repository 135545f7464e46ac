# A run of billing.rerate() goes on where a crash of the server left it, each call once (P18, promise 3), and belongs to one session.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('rerate');
$node->init;
$node->append_conf('postgresql.conf', "timezone = 'UTC'\nclient_min_messages = warning");
$node->start;
$node->safe_psql('postgres', <<'END');
CREATE EXTENSION billing CASCADE;
SELECT billing.create_ledger();
INSERT INTO billing.tariff (id, name, currency) VALUES (1, 'sell', 'EUR');
INSERT INTO billing.rate (id, tariff_id, prefix, price) VALUES (11, 1, '44', 0.60);
INSERT INTO billing.account (id, name, currency, tariff_id) VALUES (1, 'Acme', 'EUR', 1);
INSERT INTO billing.service (account_id, kind, identifier) VALUES (1, 'auth_code', 'acme');
INSERT INTO billing.cdr (call_id, started_at, billsec, callee, auth_code)
SELECT g, timestamptz '2026-03-01' + g * interval '1 minute', 60, '441', 'acme' FROM generate_series(1, 2000) g;
SELECT billing.correct_rate(11, '{"price": 0.90}', 'typo');
-- So that the crash comes in the middle.
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.002); RETURN NULL; END $$;
CREATE TRIGGER slow AFTER UPDATE ON billing.cdr FOR EACH ROW EXECUTE FUNCTION slow();
END

my ($in, $out, $err) = ('', '', '');
my $run = IPC::Run::start(['psql', '-XqAt', '-d', $node->connstr('postgres'), '-c', "CALL billing.rerate('2026-01-01', '2027-01-01', batch => 20)"],
	'<', \$in, '>', \$out, '2>', \$err);
ok($node->poll_query_until('postgres', 'SELECT changed >= 100 FROM billing.rerate_progress'), 'a run is under way');
my ($status, $stdout, $stderr) = $node->psql('postgres', 'CALL billing.rerate(resume => 1)');
like($stderr, qr/run 1 is being worked on by another session/, 'no other session takes it');

$node->stop('immediate');
$run->finish;
$node->start;
my $half = $node->safe_psql('postgres', 'SELECT changed FROM billing.rerate_progress');
cmp_ok($half, '<', 2000, "the server crashed after $half calls");
is($node->safe_psql('postgres', "SELECT state, seen, (SELECT count(*) FROM billing.rating_revision) FROM billing.rerate_progress"),
	"running|$half|$half", 'progress and revisions are those of the batches that were committed');
is($node->safe_psql('postgres', "SELECT count(*) FROM billing.cdr WHERE customer_amount = 0.90"), $half, 'so are the calls');

$node->safe_psql('postgres', 'DROP TRIGGER slow ON billing.cdr');
$node->safe_psql('postgres', 'CALL billing.rerate(resume => 1)');
is($node->safe_psql('postgres', 'SELECT state, seen, changed FROM billing.rerate_progress'), 'done|2000|2000', 'the run goes on to its end');
is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT cdr_id) FROM billing.rating_revision'), '2000|2000', 'and revises each call once');
# 2,000 minutes at 0.90
is($node->safe_psql('postgres', 'SELECT sum(calls), trim_scale(sum(amount)) FROM billing.usage'), '2000|1800', 'promise 3: totals equal rows');
is($node->safe_psql('postgres', "SELECT count(*) FROM billing.stale('-infinity', 'infinity')"), '0', 'nothing is stale');

# A run that fails gives itself up: another session can take it at once.
$node->safe_psql('postgres', <<'END');
SELECT billing.correct_rate(11, '{"price": 1.20}', 'typo');
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$;
CREATE TRIGGER refuse AFTER UPDATE ON billing.cdr FOR EACH ROW WHEN (NEW.call_id = '1001') EXECUTE FUNCTION refuse();
END
my $session = $node->background_psql('postgres', on_error_stop => 0);
$session->query("CALL billing.rerate('2026-01-01', '2027-01-01', batch => 100)");
# Not 2: the crash has left a gap in the sequence.
my $second = $node->safe_psql('postgres', 'SELECT max(run_id) FROM billing.rerate_progress');
is($node->safe_psql('postgres', "SELECT state, changed FROM billing.rerate_progress WHERE run_id = $second"), 'running|1000', 'a run fails in its eleventh batch');
$node->safe_psql('postgres', 'DROP TRIGGER refuse ON billing.cdr');
$node->safe_psql('postgres', "CALL billing.rerate(resume => $second)");
is($node->safe_psql('postgres', "SELECT state, changed FROM billing.rerate_progress WHERE run_id = $second"), 'done|2000', 'another session ends it');

# The same where rating fails while it is found out which calls would change, here by a price that only a broken ledger has.
$node->safe_psql('postgres', <<'END');
ALTER TABLE billing.rate ALTER price TYPE numeric;
ALTER TABLE billing.rate DISABLE TRIGGER USER;
UPDATE billing.rate SET price = 'NaN';
ALTER TABLE billing.rate ENABLE TRIGGER USER;
END
$session->query("CALL billing.rerate('2026-01-01', '2027-01-01')");
my $third = $node->safe_psql('postgres', 'SELECT max(run_id) FROM billing.rerate_progress');
is($node->safe_psql('postgres', "SELECT state, seen FROM billing.rerate_progress WHERE run_id = $third"), 'running|0', 'a run fails before its first batch');
($status, $stdout, $stderr) = $node->psql('postgres', "CALL billing.rerate(resume => $third)");
like($stderr, qr/number of the catalogue is out of range: NaN/, 'and another session takes it, and fails as well');
$session->quit;

$node->stop;
done_testing();
