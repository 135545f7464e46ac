# A prepared transaction outlives its backend and the server, while its number goes to other backends (design 6): nobody who counts
# waits for it, nothing that it has counted is lost, doubled or folded before its end.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('prepared');
$node->init;
$node->append_conf('postgresql.conf', "jit = off\nmax_prepared_transactions = 3\nautovacuum = off\n");
$node->start;
# A call of 60 s costs 0.60.
$node->safe_psql('postgres', q{
	CREATE EXTENSION billing CASCADE;
	SELECT billing.create_ledger();
	INSERT INTO billing.tariff (id, name, currency) VALUES (1, 'sell', 'EUR');
	INSERT INTO billing.rate (tariff_id, prefix, price) VALUES (1, '44', 0.60);
	INSERT INTO billing.account (id, name, currency, tariff_id) VALUES (1, 'Acme', 'EUR', 1);
	INSERT INTO billing.service (account_id, kind, identifier) VALUES (1, 'auth_code', 'Acme')});

my $call = q{INSERT INTO billing.cdr (started_at, callee, billsec, auth_code) VALUES ('2026-03-02', '441', 60, 'Acme')};
my $impatient = q{SET statement_timeout = '10s'};
# calls, amount and what is folded of the calls; what verify() finds follows, if anything.
sub total
{
	return $node->safe_psql('postgres', q{SELECT coalesce(sum(calls), 0), coalesce(sum(amount), 0.00), coalesce(sum(calls) FILTER (WHERE slot = 0), 0) FROM billing.usage; SELECT * FROM billing.verify()});
}
sub sql { return $node->safe_psql('postgres', join '; ', $impatient, @_); }

# The rows of the prepared one cannot be seen yet, so its slot is known by the lock on it.
my $slots = q{SELECT string_agg(l.objid::text, ',') FROM pg_locks l WHERE l.locktype = 'advisory' AND l.classid = 'billing.usage'::regclass AND l.objid <> 0 AND l.pid IS NULL};
sql('BEGIN', $call, $call, q{PREPARE TRANSACTION 'one'});
my $slot = sql($slots);
like($slot, qr/^\d+$/, "it holds a slot: $slot");
is(total(), '0|0.00|0', 'a prepared call is not counted yet');
sql($call);
is(total(), '1|0.60000000|0', 'another session counts beside it: 0.60');
sql($call);
# A session alone on the server has the number that the prepared one had.
is(sql('SELECT count(DISTINCT slot) FROM billing.usage WHERE slot >= 1 << 30'), '2', 'its number is taken, so that sessions count in slots of their transactions');
is(total(), '2|1.20000000|0', '2 calls: 1.20');
is(sql('SELECT billing.compact_usage()'), '2', 'two rows are folded, those of the prepared one are not');
is(total(), '2|1.20000000|2', 'and nothing is lost');

$node->restart;
is(sql($slots), $slot, 'it holds its slot after a restart');
sql('BEGIN', $call, $call, q{PREPARE TRANSACTION 'two'});
is(sql('SELECT count(*) FROM pg_prepared_xacts'), '2', 'another one is prepared, by the same number');
sql('BEGIN ISOLATION LEVEL SERIALIZABLE', $call, 'COMMIT');
is(total(), '3|1.80000000|2', '3 calls: 1.80');
is(sql('SELECT billing.compact_usage()'), '1', 'one more row is folded');
sql(q{COMMIT PREPARED 'one'});
is(total(), '5|3.00000000|3', 'the first is committed: 5 calls, 3.00');
sql(q{ROLLBACK PREPARED 'two'});
is(total(), '5|3.00000000|3', 'the second is rolled back');
is(sql('SELECT billing.compact_usage()'), '1', 'the row of the first is folded');
is(total(), '5|3.00000000|5', 'all 5 calls are folded');

# An immediate stop is a crash for what is prepared.
sql('BEGIN', $call, q{DELETE FROM billing.cdr WHERE id = (SELECT min(id) FROM billing.cdr)}, q{PREPARE TRANSACTION 'three'});
$node->stop('immediate');
$node->start;
sql($call);
is(total(), '6|3.60000000|5', 'after a crash: 6 calls, 3.60');
sql(q{COMMIT PREPARED 'three'});
is(total(), '6|3.60000000|5', 'one more and one less: 6 calls, 3.60');
sql($call, 'SELECT billing.compact_usage()');
is(total(), '7|4.20000000|7', '7 calls, 4.20, all folded');
is(sql('SELECT count(*) FROM billing.cdr'), '7', 'and 7 rows');

$node->stop;
done_testing();
